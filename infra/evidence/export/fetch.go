package export

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"path"

	"chainmail/handlers/pack"
	"chainmail/handlers/vault"
	"chainmail/infra/evidence/find"
	"chainmail/infra/evidence/store"
)

// A document is one that is exported.
type document struct {
	part   *part
	row    *pack.ItemRow
	top    *pack.ItemRow // its family's first
	record []string      // in the load file; nil: the form needs none
	end    int64         // where in the package the next document's native, or the load file, begins at the latest
	folder string        // of its custodian
	volume int
	fault  string // why it cannot be exported; "": nothing is known
}

// fetched is what became of a document.
type fetched struct {
	*document
	native, text sum // without a name: not written
	faults       []string
}

// fetch writes a document's native, and its text, into its volume. It reads both at once out of the package, and nothing else.
// What is wrong with the package is a fault; an error says that it could not be found out.
func (e *exporter) fetch(ctx context.Context, d *document) (fetched, error) {
	got := fetched{document: d}
	if d.fault != "" {
		got.faults = []string{d.fault}
		return got, nil
	}
	m := find.MatchOf(d.part.name, d.row)
	if e.Read != nil {
		defer e.Read(e.plan.reads, int(m.Compressed))
	}
	if e.form.within(d) {
		return got, nil
	}
	wantsText := e.form.dat && d.row.Text != ""
	n := m.Compressed
	if wantsText {
		n = max(n, d.end-m.Offset)
	}
	r, err := e.store.Range(ctx, m.File(), m.Offset, n)
	if said, err := e.reading(m.File(), err); said != "" || err != nil {
		got.faults = []string{said}
		return got, err
	}
	defer r.Close()
	body := &keeper{Reader: r}
	if err := e.native(ctx, &got, m, body); err != nil {
		return got, err
	}
	if wantsText && len(got.faults) == 0 {
		err = e.textOf(&got, body)
	}
	return got, err
}

// reading tells a fault of the evidence from an error of reading it.
func (e *exporter) reading(name string, err error) (string, error) {
	var v *vault.Error
	switch {
	case err == nil:
		return "", nil
	case gone(err):
		return "the package is missing", nil
	case errors.Is(err, store.ErrIrregular):
		return "the package is no file: " + store.ErrIrregular.Error(), nil
	case errors.As(err, &v) && v.Status == http.StatusRequestedRangeNotSatisfiable:
		return "the package is cut", nil
	}
	return "", unread(name, err)
}

// keeper keeps an error of the reader beneath, which is not the end of what it reads.
type keeper struct {
	io.Reader
	err error
}

func (k *keeper) Read(p []byte) (int, error) {
	n, err := k.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		k.err = err
	}
	return n, err
}

func volumeName(n int) string { return fmt.Sprintf("VOL%03d", n) }

// native writes the native, which is kept only if it has the hash that the items name.
func (e *exporter) native(ctx context.Context, got *fetched, m find.Match, body io.Reader) error {
	name := path.Join(volumeName(got.volume)+inProgress, e.form.native(got.document))
	w, err := e.out.create(name)
	if err != nil {
		return err
	}
	err = find.Inflate(ctx, m, body, w)
	if err == nil {
		got.native, err = w.close()
		got.native.name = path.Join(volumeName(got.volume), e.form.native(got.document))
		return err
	}
	w.drop()
	if w.to.failed != nil {
		return w.to.failed
	}
	if !errors.Is(err, find.ErrAltered) {
		return err
	}
	got.faults = []string{"the native in the package is not the one that the items name"}
	return e.out.remove(name)
}

// A header is an entry's local header in a package, by the ZIP specification.
type header struct {
	name             string
	crc              uint32
	compressed, size int64
}

const headerBytes = 30

var errHeader = errors.New("no entry begins where one should")

// readHeader reads a local header up to the entry's bytes.
func readHeader(r io.Reader) (header, error) {
	var b [headerBytes]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return header{}, err
	}
	method, flags := binary.LittleEndian.Uint16(b[8:]), binary.LittleEndian.Uint16(b[6:])
	if !bytes.HasPrefix(b[:], []byte("PK\x03\x04")) || method != 8 || flags&^0x800 != 0 { // Deflate; sizes stand in the header
		return header{}, errHeader
	}
	name := make([]byte, binary.LittleEndian.Uint16(b[26:]))
	if _, err := io.ReadFull(r, name); err != nil {
		return header{}, err
	}
	_, err := io.CopyN(io.Discard, r, int64(binary.LittleEndian.Uint16(b[28:])))
	return header{
		string(name), binary.LittleEndian.Uint32(b[14:]),
		int64(binary.LittleEndian.Uint32(b[18:])), int64(binary.LittleEndian.Uint32(b[22:])),
	}, err
}

// inflate gives an entry out of its bytes, with which r begins.
func (h header) inflate(r io.Reader, w io.Writer) error {
	crc := crc32.NewIEEE()
	n, err := io.Copy(io.MultiWriter(crc, w), io.LimitReader(flate.NewReader(io.LimitReader(r, h.compressed)), h.size+1))
	if err != nil {
		return err
	}
	if n != h.size || crc.Sum32() != h.crc {
		return errors.New("its CRC is wrong")
	}
	return nil
}

// textOf writes the text, which follows its native in the package. The items know no hash of it: it is held against the CRC
// and the size of its entry.
func (e *exporter) textOf(got *fetched, body *keeper) error {
	name := path.Join(volumeName(got.volume)+inProgress, e.form.text(got.document))
	h, err := readHeader(body)
	if err == nil && h.name != got.row.Text {
		err = errHeader
	}
	var w *file
	if err == nil {
		if w, err = e.out.create(name); err != nil {
			return err
		}
		err = h.inflate(body, w)
	}
	switch {
	case err == nil:
		got.text, err = w.close()
		got.text.name = path.Join(volumeName(got.volume), e.form.text(got.document))
		return err
	case w != nil:
		w.drop()
		if w.to.failed != nil {
			return w.to.failed
		}
	}
	if body.err != nil {
		return unread(got.part.name.Zip(), body.err)
	}
	got.faults = append(got.faults, "the text in the package is damaged: exported without it")
	return e.out.remove(name)
}
