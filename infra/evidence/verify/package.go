package verify

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"chainmail/handlers/pack"
)

// A content is what an entry of a package is to hold.
type content struct {
	row  int  // of the items
	text bool // the document's text, not its native
}

// facts are what reading the entries of a document brought to light, for the load file.
type facts struct {
	md5       string // of the native; "": it could not be read
	textBytes uint64
}

// A packageCheck is a package under check.
type packageCheck struct {
	*part
	file  string
	zip   *zip.Reader
	named map[string]content
	facts []facts // of the rows
}

// unzip checks a package: its hash, its structure, and every entry. It is read with the standard library, not with what
// wrote it.
func (p *part) unzip(ctx context.Context) {
	c := &packageCheck{part: p, file: p.name.Zip(), named: map[string]content{}, facts: make([]facts, len(p.rows))}
	local, err := p.local(ctx, c.file)
	if err != nil {
		p.unreadable(c.file, err)
		return
	}
	defer local.close()
	said := p.seal.Package
	if local.sum != said.SHA256 {
		p.found.add(c.file, "its SHA-256 is not the one that its seal names")
	}
	if local.size != said.Bytes {
		p.found.add(c.file, "it has %s, and its seal says %d", count(local.size, "byte"), said.Bytes)
	}
	if said.Name != path.Base(c.file) {
		p.found.add(p.name.Seal(), "the package that it names is not this part's")
	}
	if c.zip, err = zip.NewReader(local, local.size); err != nil {
		p.found.add(c.file, "is no ZIP file that can be read")
		return
	}
	if len(c.zip.File) != said.Entries {
		p.found.add(c.file, "it has %d entries, and its seal says %d", len(c.zip.File), said.Entries)
	}
	c.structure(local, local.size)
	c.naming()
	for i, f := range c.zip.File {
		if ctx.Err() == nil && f.Name != pack.LoadFileName {
			c.entry(i, f)
		}
	}
	c.loadFile()
}

// naming holds the entries against those that the items name, in their order.
func (c *packageCheck) naming() {
	want := c.wanted()
	got := make([]string, len(c.zip.File))
	seen := map[string]bool{}
	for i, f := range c.zip.File {
		got[i] = f.Name
		_, named := c.named[f.Name]
		switch {
		case !safe(f.Name):
			c.found.add(c.file, "the name of entry %d leads out of the package's folders", i+1)
		case seen[f.Name]:
			c.found.add(c.file, "entry %d bears the name of another one", i+1)
		case !named && f.Name != pack.LoadFileName && c.rowsRead:
			c.found.add(c.file, "entry %d is named by no item", i+1)
		}
		seen[f.Name] = true
	}
	missing := false
	for _, name := range want {
		if !seen[name] {
			missing = true
			c.found.add(c.file, "it has no %s", c.what(name))
		}
	}
	if !missing && len(got) == len(want) && !slices.Equal(got, want) {
		c.found.add(c.file, "its entries are not in the order of the items")
	}
}

// wanted are the entries that the items name, in the order of a package: of each document its native and its text, and the
// load file at the end.
func (c *packageCheck) wanted() []string {
	var want []string
	name := func(entry string, is content) {
		other, taken := c.named[entry]
		switch {
		case entry == "": // there is no text
		case taken:
			c.found.add(c.name.Items(), "line %d names an entry that line %d names as well", is.row+1, other.row+1)
		default:
			c.named[entry] = is
			want = append(want, entry)
		}
	}
	for i, row := range c.rows {
		name(row.Native, content{row: i})
		name(row.Text, content{row: i, text: true})
	}
	return append(want, pack.LoadFileName)
}

// what says what an entry is. It does not give its name, which may hold a word of the mail, but its document.
func (c *packageCheck) what(entry string) string {
	e, named := c.named[entry]
	switch {
	case !named: // the load file, which no item names
		return entry
	case e.text:
		return "text of " + word(c.rows[e.row].ControlNumber)
	}
	return "native of " + word(c.rows[e.row].ControlNumber)
}

// safe reports whether an entry's name stays below the folder that a package is unpacked to, on every system.
func safe(name string) bool {
	return fs.ValidPath(name) && !strings.ContainsAny(name, "\\:\x00") && len(name) <= 150
}

// entry reads an entry to its end, which checks its length and CRC, and holds it against the row that names it.
func (c *packageCheck) entry(i int, f *zip.File) {
	e, named := c.named[f.Name]
	name := "entry " + strconv.Itoa(i+1)
	if named {
		name = c.what(f.Name)
	}
	sum, digest, begin := sha256.New(), md5.New(), &beginning{}
	n, err := readEntry(f, io.MultiWriter(sum, digest, begin))
	if err != nil {
		c.found.add(c.file, "%s: %s", name, entryFault(err))
	}
	if !named {
		return
	}
	if e.text {
		c.facts[e.row].textBytes = f.UncompressedSize64
		return
	}
	row := &c.rows[e.row]
	if err == nil {
		c.facts[e.row].md5 = hexSum(digest)
		if hexSum(sum) != row.NativeSHA256 || n != row.NativeBytes {
			c.found.add(c.file, "%s: its SHA-256 or size is not the one that the items name", name)
		}
		if row.Synthesised && !bytes.HasPrefix(begin.data, []byte(pack.SynthesisedMark)) {
			c.found.add(c.file, "%s: the items say that it is synthesised, and it does not begin with that mark", name)
		}
	}
	if at, err := f.DataOffset(); err != nil || at != row.Offset || int64(f.CompressedSize64) != row.CompressedBytes {
		c.found.add(c.name.Items(), "line %d (%s): offset and compressedBytes are not where its native lies",
			e.row+1, word(row.ControlNumber))
	}
}

// beginning keeps the first bytes of what goes through it.
type beginning struct{ data []byte }

func (b *beginning) Write(p []byte) (int, error) {
	b.data = append(b.data, p[:min(len(p), len(pack.SynthesisedMark)-min(len(b.data), len(pack.SynthesisedMark)))]...)
	return len(p), nil
}

// readEntry reads an entry, and no more of it than it says that it holds.
func readEntry(f *zip.File, w io.Writer) (int64, error) {
	r, err := f.Open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	n, err := io.Copy(w, io.LimitReader(r, int64(f.UncompressedSize64)))
	if err != nil {
		return n, err
	}
	if rest, err := io.Copy(io.Discard, io.LimitReader(r, 1)); err != nil || rest > 0 { // the end brings the CRC's verdict
		return n, errors.Join(err, zip.ErrFormat)
	}
	return n, nil
}

func entryFault(err error) string {
	if errors.Is(err, zip.ErrChecksum) {
		return "its CRC is wrong"
	}
	return "its bytes cannot be read to their end"
}

const (
	localHeader     = 30 // bytes of a ZIP's local file header, without name and extra field
	directoryHeader = 46 // of the directory's, likewise
	directoryEnd    = 22
)

// structure checks that the file is its entries and its directory, byte after byte: each entry with a header that says what
// the directory says, nothing before, between or behind them.
func (c *packageCheck) structure(file io.ReaderAt, size int64) {
	at, directory := int64(0), int64(0)
	for i, f := range c.zip.File {
		want := header(f)
		got := make([]byte, len(want))
		if _, err := file.ReadAt(got, at); err != nil || !bytes.Equal(got, want) {
			c.found.add(c.file, "entry %d does not begin where the one before it ends, with a header that agrees with the directory", i+1)
			return
		}
		if f.Method != zip.Deflate || f.Flags&^0x800 != 0 || f.Comment != "" {
			c.found.add(c.file, "entry %d is not as the format has it: Deflate, without encryption, data descriptor or comment", i+1)
		}
		at += int64(len(want)) + int64(f.CompressedSize64)
		directory += directoryHeader + int64(len(f.Name)+len(f.Extra)+len(f.Comment))
	}
	if at+directory+directoryEnd != size || c.zip.Comment != "" {
		c.found.add(c.file, "it holds bytes besides its entries and their directory")
	}
}

// header is the local header of an entry, by the directory.
func header(f *zip.File) []byte {
	b := make([]byte, 0, localHeader+len(f.Name)+len(f.Extra))
	b = append(b, "PK\x03\x04"...)
	b = binary.LittleEndian.AppendUint16(b, f.ReaderVersion)
	b = binary.LittleEndian.AppendUint16(b, f.Flags)
	b = binary.LittleEndian.AppendUint16(b, f.Method)
	b = binary.LittleEndian.AppendUint16(b, f.ModifiedTime)
	b = binary.LittleEndian.AppendUint16(b, f.ModifiedDate)
	b = binary.LittleEndian.AppendUint32(b, f.CRC32)
	b = binary.LittleEndian.AppendUint32(b, uint32(f.CompressedSize64))
	b = binary.LittleEndian.AppendUint32(b, uint32(f.UncompressedSize64))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(f.Name)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(f.Extra)))
	b = append(b, f.Name...)
	return append(b, f.Extra...)
}
