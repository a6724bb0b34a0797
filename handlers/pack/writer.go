package pack

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"path"
	"time"
	"unicode/utf8"

	"chainmail/handlers/capture"
)

// A package never needs ZIP64, which not every review platform reads: so many entries and bytes are the most it holds.
// The limits that a collection sets are far below.
const (
	maxZipEntries = math.MaxUint16 - 1
	maxZipBytes   = math.MaxUint32 - 1<<28 // leaves room for the load file and the directory
)

// ErrFull is returned by [Writer.Add] when the family does not fit into the package any more; nothing of it was written.
var ErrFull = errors.New("package is full")

// A Package is what a seal says of a package file.
type Package struct {
	Name    string `json:"name"` // the file's own name, in the folder of the seal
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"` // of the file
	Entries int    `json:"entries"`
}

// A Writer writes one package. It is not safe for concurrent use. Equal input gives equal bytes.
type Writer struct {
	name   Name
	prefix string
	window capture.Window
	number int

	out     *tally
	zip     *zip.Writer
	names   map[string]bool
	entries int
	rows    []ItemRow
	load    *loadFile
	err     error // the first failure; what the package holds is not known after it
}

// NewWriter begins a package on w. Control numbers are made of the prefix, the batch's window and its number among the
// batches of the same period (1, or 0, is the first).
func NewWriter(w io.Writer, name Name, prefix string, window capture.Window, number int) *Writer {
	out := &tally{w: w, sum: sha256.New()}
	return &Writer{
		name: name, prefix: prefix, window: window, number: number,
		out: out, zip: zip.NewWriter(out), names: map[string]bool{LoadFileName: true}, load: newLoadFile(),
	}
}

// tally counts and hashes what goes through it.
type tally struct {
	w   io.Writer
	n   int64 // bytes, those included that the ZIP writer still holds back: see Writer.put
	got int64
	sum hash.Hash
}

func (t *tally) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	t.sum.Write(p[:n])
	t.got += int64(n)
	return n, err
}

// Entries is the number of files so far, the load file not counted.
func (w *Writer) Entries() int { return w.entries }

// Bytes is the package's size so far, without load file and directory.
func (w *Writer) Bytes() int64 { return w.out.n }

// Documents is the number of documents so far.
func (w *Writer) Documents() int { return len(w.rows) }

// Add writes a family: a document and what is attached to it, parents before children. Their control numbers adjoin. It
// returns when their bytes are written; the buffers of the entries may be released then. After an error other than
// [ErrFull] the package is of no use.
func (w *Writer) Add(family []Document) error {
	if w.err != nil {
		return w.err
	}
	if err := w.admit(family); err != nil {
		return fmt.Errorf("add family: %w", err)
	}
	if err := w.add(family); err != nil {
		w.err = fmt.Errorf("add family: %w", err)
	}
	return w.err
}

// admit checks a family before anything of it is written.
func (w *Writer) admit(family []Document) error {
	if err := check(family); err != nil {
		return err
	}
	bytes, fresh := w.out.n, map[string]bool{}
	for _, e := range entries(family) {
		switch {
		case len(e.Name) > maxEntryName || !utf8.ValidString(e.Name):
			return errors.New("an entry's name is too long or not UTF-8")
		case w.names[e.Name] || fresh[e.Name]:
			return errors.New("an entry's name is taken")
		case e.Size >= math.MaxUint32:
			return errors.New("an entry is larger than 4 GiB")
		case e.data == nil:
			return errors.New("an entry was not compressed")
		}
		fresh[e.Name] = true
		bytes += e.Compressed + maxEntryName + 64
	}
	if w.entries+len(fresh) >= maxZipEntries || bytes > maxZipBytes {
		return ErrFull
	}
	return nil
}

func (w *Writer) add(family []Document) error {
	base := len(w.rows)
	top, last := w.controlNumber(base), w.controlNumber(base+len(family)-1)
	for i := range family {
		d := &family[i]
		offset, err := w.put(d.Native, d.Item.Received)
		if err != nil {
			return err
		}
		if d.Text != nil {
			if _, err := w.put(d.Text, d.Item.Received); err != nil {
				return err
			}
		}
		r := record{Document: d, control: w.controlNumber(base + i), top: top, last: last, batch: w.name.Stem()}
		if i > 0 {
			r.parent = w.controlNumber(base + d.Parent)
		}
		w.rows = append(w.rows, r.item(offset))
		if err := w.load.add(&r); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) controlNumber(index int) string {
	return w.name.ControlNumber(w.prefix, w.window, w.number, index+1)
}

// put writes an entry and returns where its compressed bytes begin in the package.
func (w *Writer) put(e *Entry, modified time.Time) (offset int64, err error) {
	offset, err = w.raw(e, modified, e.open())
	if err != nil {
		return 0, err
	}
	w.names[e.Name] = true
	w.entries++
	return offset, nil
}

const (
	localHeader = 30    // bytes of a ZIP local file header, without name and extra field
	zipVersion  = 20    // the ZIP specification's 2.0: Deflate
	utf8Names   = 0x800 // bit 11 of the general purpose flags
)

// raw writes a local header, complete with sizes and CRC so that no data descriptor follows, and the compressed bytes.
func (w *Writer) raw(e *Entry, modified time.Time, data io.Reader) (offset int64, err error) {
	h := &zip.FileHeader{
		Name: e.Name, Method: zip.Deflate, CRC32: e.CRC32,
		CompressedSize64: uint64(e.Compressed), UncompressedSize64: uint64(e.Size),
		CreatorVersion: zipVersion, ReaderVersion: zipVersion,
	}
	for i := range len(e.Name) {
		if e.Name[i] >= utf8.RuneSelf {
			h.Flags = utf8Names
		}
	}
	stamp(h, modified)
	out, err := w.zip.CreateRaw(h)
	if err != nil {
		return 0, fmt.Errorf("write entry: %w", err)
	}
	offset = w.out.n + localHeader + int64(len(h.Name)+len(h.Extra))
	n, err := io.Copy(out, data)
	if err == nil && n != e.Compressed {
		err = errors.New("its buffer does not hold what was compressed to it")
	}
	if err != nil {
		return 0, fmt.Errorf("write entry: %w", err)
	}
	w.out.n = offset + n
	return offset, nil
}

// stamp sets an entry's time: in whole seconds UTC as the extended timestamp that most tools prefer, and in the two
// seconds and no zone of the ZIP format's own field. A time outside its 1980 to 2107 is left out.
func stamp(h *zip.FileHeader, t time.Time) {
	t = t.UTC()
	date, clock := uint16(1<<5|1), uint16(0) // 1980-01-01; a zero is no date
	if t.Year() >= 1980 && t.Year() <= 2107 {
		date = uint16(t.Year()-1980)<<9 | uint16(t.Month())<<5 | uint16(t.Day())
		clock = uint16(t.Hour())<<11 | uint16(t.Minute())<<5 | uint16(t.Second()/2)
		if t.Unix() <= math.MaxInt32 { // Info-ZIP's extended timestamp is 32 bits wide
			h.Extra = binary.LittleEndian.AppendUint32([]byte{'U', 'T', 5, 0, 1}, uint32(t.Unix()))
		}
	}
	//lint:ignore SA1019 CreateRaw looks at these fields alone, not at Modified
	h.ModifiedDate, h.ModifiedTime = date, clock
}

// Close writes the load file and the directory, and tells what the package came to. It does not close the underlying
// writer.
func (w *Writer) Close() (Package, []ItemRow, error) {
	if w.err != nil {
		return Package{}, nil, w.err
	}
	w.err = errors.New("package is closed")
	e, data, err := w.load.close()
	if err == nil {
		_, err = w.raw(e, w.window.End, data)
	}
	if err == nil {
		err = w.zip.Flush()
	}
	if err == nil && w.out.got != w.out.n {
		err = errors.New("the bytes written are not those counted")
	}
	if err == nil {
		err = w.zip.Close()
	}
	if err != nil {
		return Package{}, nil, fmt.Errorf("close package: %w", err)
	}
	return Package{
		Name: path.Base(w.name.Zip()), Bytes: w.out.got, SHA256: hex.EncodeToString(w.out.sum.Sum(nil)), Entries: w.entries + 1,
	}, w.rows, nil
}
