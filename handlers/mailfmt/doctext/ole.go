package doctext

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf16"
)

// oleMagic begins a file in OLE2's format (MS-CFB), a file system in a file.
const oleMagic = "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"

// The bounds of what is read of an OLE2 file's directory.
const (
	maxEntries = 16 << 10
	maxSteps   = 64 << 10 // along chains of sectors, in all: each may be a read elsewhere
	entrySize  = 128
)

// ole names what an OLE2 file is from its streams: an encrypted document of today's Office, or one of Office 97, of which it
// is told whether it has a password. Their text is not read.
func (d *document) ole() error {
	c := &compound{r: d.Content, size: d.Size}
	if err := c.open(); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	has := func(name string) bool { _, ok := c.entries[name]; return ok }
	switch {
	case has("EncryptedPackage"), has("\x09DRMContent"): // a password, or rights management
		d.kind = "encrypted office"
		d.protected = true
	case has("WordDocument"):
		d.kind = "doc"
		fib := c.head("WordDocument", 12)
		d.protected = len(fib) == 12 && fib[11]&1 != 0 // MS-DOC 2.5.2: fEncrypted
	case has("Workbook"), has("Book"):
		d.kind = "xls"
		d.protected = filePass(c.head("Workbook", 4096)) || filePass(c.head("Book", 4096))
	case has("PowerPoint Document"):
		d.kind = "ppt"
		d.protected = has("EncryptedSummary")
	case has("__properties_version1.0"):
		d.kind = "msg"
	case has("VisioDocument"):
		d.kind = "vsd"
	}
	if d.protected {
		return errProtected
	}
	return errUnsupported
}

// filePass reports whether a workbook's records, of which these are the first, are encrypted: MS-XLS 2.4.117.
func filePass(b []byte) bool {
	for len(b) >= 4 {
		id, size := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if id == 0x2F {
			return true
		}
		b = b[min(len(b), 4+size):]
	}
	return false
}

// A compound is an OLE2 file whose directory is read as a list: of the tree that it is no more is needed than names.
type compound struct {
	r       io.ReaderAt
	size    int64
	sector  int64
	fat     []uint32 // sectors that hold the table of sectors
	mini    uint32   // the first sector of the table of small sectors
	root    entry
	entries map[string]entry
	steps   int
}

type entry struct {
	first uint32
	size  int64
}

const lastSector = 0xFFFFFFFA // the largest number of a sector

var errOLE = errors.New("OLE2 structure")

func (c *compound) open() error {
	var h [512]byte
	if _, err := c.r.ReadAt(h[:], 0); err != nil {
		return err
	}
	shift := binary.LittleEndian.Uint16(h[30:])
	if shift != 9 && shift != 12 {
		return errOLE
	}
	c.sector = 1 << shift
	c.mini = binary.LittleEndian.Uint32(h[60:])
	for i := 76; i < len(h); i += 4 {
		if n := binary.LittleEndian.Uint32(h[i:]); n <= lastSector {
			c.fat = append(c.fat, n)
		}
	}
	if err := c.moreFAT(binary.LittleEndian.Uint32(h[68:])); err != nil {
		return err
	}
	return c.directory(binary.LittleEndian.Uint32(h[48:]))
}

// moreFAT follows the chain of sectors that list further sectors of the table. A file of 2 GB has 240 of 512 bytes.
func (c *compound) moreFAT(n uint32) error {
	b := make([]byte, c.sector)
	for i := 0; n <= lastSector && i < 256; i++ {
		if err := c.read(n, b); err != nil {
			return err
		}
		last := len(b) - 4
		for j := 0; j < last; j += 4 {
			if n := binary.LittleEndian.Uint32(b[j:]); n <= lastSector {
				c.fat = append(c.fat, n)
			}
		}
		n = binary.LittleEndian.Uint32(b[last:])
	}
	return nil
}

func (c *compound) read(n uint32, b []byte) error {
	m, err := c.r.ReadAt(b, (int64(n)+1)*c.sector)
	if m == len(b) || errors.Is(err, io.EOF) && m > 0 { // the last sector may be short
		clear(b[m:])
		return nil
	}
	return err
}

// next is the sector that follows in a chain.
func (c *compound) next(n uint32) (uint32, error) {
	per := uint32(c.sector / 4)
	if c.steps++; int(n/per) >= len(c.fat) || c.steps > maxSteps {
		return 0, errOLE
	}
	var b [4]byte
	_, err := c.r.ReadAt(b[:], (int64(c.fat[n/per])+1)*c.sector+int64(n%per)*4)
	return binary.LittleEndian.Uint32(b[:]), err
}

func (c *compound) directory(n uint32) (err error) {
	c.entries = map[string]entry{}
	b := make([]byte, c.sector)
	for i := 0; n <= lastSector && i < maxEntries*entrySize; i += len(b) {
		if err := c.read(n, b); err != nil {
			return err
		}
		for e := range slices.Chunk(b, entrySize) {
			c.entry(e)
		}
		if n, err = c.next(n); err != nil {
			return err
		}
	}
	return nil
}

func (c *compound) entry(b []byte) {
	size := int(binary.LittleEndian.Uint16(b[64:]))
	if size < 2 || size > 64 {
		return
	}
	units := make([]uint16, size/2-1)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	e := entry{binary.LittleEndian.Uint32(b[116:]), int64(binary.LittleEndian.Uint32(b[120:]))}
	if b[66] == 5 {
		c.root = e
	}
	if name := string(utf16.Decode(units)); b[66] != 0 {
		if _, ok := c.entries[name]; !ok {
			c.entries[name] = e
		}
	}
}

// head is the beginning of a stream, or what there is of it.
func (c *compound) head(name string, n int64) []byte {
	e := c.entries[name]
	n = min(n, e.size, c.size)
	small := e.size < 4096
	sector := c.sector
	if small {
		sector = 64
	}
	b := make([]byte, 0, n)
	for at := e.first; int64(len(b)) < n && at <= lastSector; {
		piece := make([]byte, min(sector, n-int64(len(b))))
		offset, err := c.offset(at, small)
		if err != nil {
			break
		}
		if _, err := c.r.ReadAt(piece, offset); err != nil {
			break
		}
		b = append(b, piece...)
		if at, err = c.follow(at, small); err != nil {
			break
		}
	}
	return b
}

// offset is where a sector is. Small ones are in the stream of the root.
func (c *compound) offset(n uint32, small bool) (int64, error) {
	if !small {
		return (int64(n) + 1) * c.sector, nil
	}
	big, err := c.along(c.root.first, int64(n)*64/c.sector)
	return (int64(big)+1)*c.sector + int64(n)*64%c.sector, err
}

// follow is the sector after n in its stream.
func (c *compound) follow(n uint32, small bool) (uint32, error) {
	if !small {
		return c.next(n)
	}
	big, err := c.along(c.mini, int64(n)*4/c.sector)
	if err != nil {
		return 0, err
	}
	var b [4]byte
	_, err = c.r.ReadAt(b[:], (int64(big)+1)*c.sector+int64(n)*4%c.sector)
	return binary.LittleEndian.Uint32(b[:]), err
}

// along goes so many steps along a chain.
func (c *compound) along(n uint32, steps int64) (uint32, error) {
	var err error
	for ; steps > 0 && n <= lastSector && err == nil; steps-- {
		n, err = c.next(n)
	}
	if n > lastSector {
		err = errOLE
	}
	return n, err
}
