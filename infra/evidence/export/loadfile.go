package export

import (
	"bytes"
	"compress/flate"
	"context"
	"io"
	"strconv"

	"chainmail/handlers/pack"
)

// A loadFile gives the records of a package's load file. It holds the file compressed, some 300 bytes a document of one
// package.
type loadFile struct {
	begin  int64 // where its entry begins in the package: behind the last document
	reader *pack.LoadFileReader
}

// loadFile reads the load file of a part, and checks it, before any record is used. It stands at the package's end, behind
// the last document's native and text. said is what is wrong with it.
func (e *exporter) loadFile(ctx context.Context, p *part, last *pack.ItemRow) (l *loadFile, said string, err error) {
	at := last.Offset + last.CompressedBytes
	if last.Text != "" {
		h, length, said, err := e.headerAt(ctx, p, at, last.Text)
		if said != "" || err != nil {
			return nil, said, err
		}
		at += length + h.compressed
	}
	h, length, said, err := e.headerAt(ctx, p, at, pack.LoadFileName)
	if said != "" || err != nil {
		return nil, said, err
	}
	if h.compressed > min(maxWhole, p.pkg.Bytes) {
		return nil, damaged, nil
	}
	data, said, err := e.bytesAt(ctx, p, at+length, h.compressed)
	if said != "" || err != nil {
		return nil, said, err
	}
	if h.inflate(bytes.NewReader(data), io.Discard) != nil {
		return nil, damaged, nil
	}
	l = &loadFile{begin: at}
	if l.reader, err = pack.NewLoadFileReader(flate.NewReader(bytes.NewReader(data))); err != nil {
		return nil, damaged, nil
	}
	return l, "", nil
}

const damaged = "the package's load file is damaged, or not where the items say"

// headerAt reads the local header of an entry that must bear a name, and how long it is.
func (e *exporter) headerAt(
	ctx context.Context, p *part, at int64, name string,
) (h header, length int64, said string, err error) {
	const extra = 64 // more than any entry of evidence has
	data, said, err := e.bytesAt(ctx, p, at, headerBytes+int64(len(name))+extra)
	if said != "" || err != nil {
		return h, 0, said, err
	}
	r := bytes.NewReader(data)
	if h, err = readHeader(r); err != nil || h.name != name {
		return h, 0, damaged, nil
	}
	return h, int64(len(data) - r.Len()), "", nil
}

func (e *exporter) bytesAt(ctx context.Context, p *part, at, n int64) ([]byte, string, error) {
	r, err := e.store.Range(ctx, p.name.Zip(), at, n)
	if said, err := e.reading(p.name.Zip(), err); said != "" || err != nil {
		return nil, said, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, n))
	if err != nil {
		return nil, "", unread(p.name.Zip(), err)
	}
	return data, "", nil
}

// next gives the next record. It must be that of the row. A record that cannot be used is nil.
func (l *loadFile) next(row *pack.ItemRow) []string {
	record, err := l.reader.Next()
	if err != nil || record[atControl] != pack.LoadFileValue(row.ControlNumber) || record[atSHA256] != row.NativeSHA256 {
		return nil
	}
	return record
}

// textBytes is how long a document's text is at most, by its record.
func textBytes(record []string) int64 {
	if record == nil {
		return 0
	}
	kb, err := strconv.ParseFloat(record[atTextKB], 64)
	if err != nil || kb < 0 || kb > 1<<32 {
		return 0
	}
	return int64((kb+0.005)*1024) + 1
}
