package doctext

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

const (
	zipMember    = 0x02014b50 // the signatures of a central directory's entries, and of its end
	zipEnd       = 0x06054b50
	zip64End     = 0x06064b50
	zip64Locator = 0x07064b50
	zipSignature = 0x05054b50

	memberSize  = 46
	endSize     = 22
	locatorSize = 20
	end64Size   = 56
)

// A member is a file in a ZIP, as the central directory has it.
type member struct {
	name      string
	encrypted bool
}

// walk visits the members in the directory's order. It reads as a stream, where archive/zip holds all members in memory and
// so can be given too many.
func (d *document) walk(visit func(member) error) error {
	begin, err := d.directory()
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(io.NewSectionReader(d.Content, begin, d.Size-begin), 32<<10)
	for i := 0; ; i++ {
		if i%4096 == 0 && d.ctx.Err() != nil {
			return d.ctx.Err()
		}
		m, err := nextMember(r)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: its directory breaks off", errBroken)
		}
		if err := visit(m); err != nil {
			return err
		}
	}
}

// nextMember reads an entry of the central directory. io.EOF is its end.
func nextMember(r *bufio.Reader) (member, error) {
	var h [memberSize]byte
	b, err := r.Peek(4)
	if err != nil {
		return member{}, errBroken
	}
	switch binary.LittleEndian.Uint32(b) {
	case zipMember:
	case zipEnd, zip64End, zipSignature:
		return member{}, io.EOF
	default:
		return member{}, errBroken
	}
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return member{}, errBroken
	}
	name := make([]byte, binary.LittleEndian.Uint16(h[28:]))
	if _, err := io.ReadFull(r, name); err != nil {
		return member{}, errBroken
	}
	rest := int(binary.LittleEndian.Uint16(h[30:])) + int(binary.LittleEndian.Uint16(h[32:]))
	if _, err := r.Discard(rest); err != nil {
		return member{}, errBroken
	}
	flags := binary.LittleEndian.Uint16(h[8:])
	return member{memberName(name, flags&0x800 != 0), flags&1 != 0}, nil
}

// memberName decodes a name. Where it is not said to be UTF-8 it is in the code page of DOS, but many write UTF-8.
func memberName(b []byte, isUTF8 bool) string {
	if !isUTF8 && !utf8.Valid(b) {
		b, _ = charmap.CodePage437.NewDecoder().Bytes(b)
	}
	return strings.ToValidUTF8(string(b), string(utf8.RuneError))
}

// directory finds where the central directory begins.
func (d *document) directory() (int64, error) {
	tail := make([]byte, min(d.Size, 64<<10+endSize))
	from := d.Size - int64(len(tail))
	if _, err := d.Content.ReadAt(tail, from); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	i := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if i < 0 || len(tail)-i < endSize {
		return 0, fmt.Errorf("%w: it has no directory", errBroken)
	}
	end := from + int64(i)
	size := int64(binary.LittleEndian.Uint32(tail[i+12:]))
	offset := int64(binary.LittleEndian.Uint32(tail[i+16:]))
	if size == 0xFFFFFFFF || offset == 0xFFFFFFFF {
		var err error
		if end, size, err = d.directory64(end); err != nil {
			return 0, err
		}
	}
	if size < 0 || size > end {
		return 0, fmt.Errorf("%w: its directory is larger than it is", errBroken)
	}
	return end - size, nil // whatever stands before the ZIP: offsets count from the ZIP's beginning
}

// directory64 reads the end of a large ZIP's directory: where it is, and the directory's size.
func (d *document) directory64(end int64) (at, size int64, err error) {
	var locator [locatorSize]byte
	if _, err := d.Content.ReadAt(locator[:], end-locatorSize); err != nil {
		return 0, 0, fmt.Errorf("%w: %w", errBroken, err)
	}
	at = int64(binary.LittleEndian.Uint64(locator[8:]))
	if binary.LittleEndian.Uint32(locator[:]) != zip64Locator || at < 0 || at > end-end64Size {
		return 0, 0, fmt.Errorf("%w: its directory's end is not to be found", errBroken)
	}
	var record [end64Size]byte
	if _, err := d.Content.ReadAt(record[:], at); err != nil {
		return 0, 0, fmt.Errorf("%w: %w", errBroken, err)
	}
	if binary.LittleEndian.Uint32(record[:]) != zip64End {
		return 0, 0, fmt.Errorf("%w: its directory's end is not to be found", errBroken)
	}
	return at, int64(binary.LittleEndian.Uint64(record[40:])), nil
}

// identifyZIP finds what a ZIP is the container of. Who cannot be opened as anything else is a ZIP.
func (d *document) identifyZIP() error {
	var types bool
	main := map[string]string{"word/document.xml": Word, "xl/workbook.xml": Workbook, "ppt/presentation.xml": Presentation}
	kind := ""
	err := d.walk(func(m member) error {
		name := partName(m.name)
		types = types || name == contentTypes && !m.encrypted
		if k := main[name]; k != "" {
			kind = k
		}
		if name == "content.xml" || name == "meta-inf/container.xml" {
			kind = "" // OpenDocument, EPUB
		}
		return nil
	})
	if err != nil || !types {
		return err
	}
	p, err := d.open()
	if err != nil {
		return err
	}
	if k := p.kind(); k != "" {
		kind = k
	}
	if kind != "" {
		d.kind = kind
	}
	return nil
}

// members lists the names in a ZIP.
func (d *document) members() error {
	err := d.walk(func(m member) error {
		d.protected = d.protected || m.encrypted
		d.out.text(m.name)
		d.out.sep(line)
		if d.out.done() {
			return errTooLarge
		}
		return nil
	})
	return err
}

// The bounds of what is unpacked of a document, far above what a text that fits comes with.
const (
	maxUnpacked  = 256 << 20 / raceFactor
	maxTokens    = 50_000_000 // of XML: they take half a microsecond each, however short they are
	maxParts     = 20_000
	maxDirectory = 4 << 20 // bytes
)

// unpack opens the ZIP for reading members.
func (d *document) unpack() (*zip.Reader, error) {
	n := 0
	err := d.walk(func(member) error {
		if n++; n > maxParts {
			return errTooLarge
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	directory := &budget{r: d.Content, left: maxDirectory}
	z, err := zip.NewReader(directory, d.Size)
	if err != nil {
		return nil, err
	}
	directory.off = true
	return z, nil
}

// A budget ends reading at so many bytes, until it is off: of a directory that archive/zip would read beyond what it says.
type budget struct {
	r    io.ReaderAt
	left int
	off  bool
}

func (b *budget) ReadAt(p []byte, off int64) (int, error) {
	if !b.off {
		if b.left -= len(p); b.left < 0 {
			return 0, errTooLarge
		}
	}
	return b.r.ReadAt(p, off)
}
