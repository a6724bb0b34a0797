package export

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"chainmail/handlers/pack"
)

// A filling is the volume that documents go to. A family is never cut over two.
type filling struct {
	number, documents int
	bytes             int64
}

func (v *filling) add(documents int, bytes int64, o *Options) int {
	if v.number == 0 || v.documents+documents > o.volumeDocuments || v.bytes+bytes > o.volumeBytes {
		*v = filling{number: v.number + 1}
	}
	v.documents, v.bytes = v.documents+documents, v.bytes+bytes
	return v.number
}

// documents gives the documents to fetch, in the order of control numbers: all but those of volumes that are whole. It holds
// the items of one part at a time.
func (e *exporter) documents(ctx context.Context, whole map[int]Totals) iter.Seq2[*document, error] {
	return func(yield func(*document, error) bool) {
		var to filling
		for i := range e.plan.parts {
			for d, err := range e.documentsOf(ctx, &e.plan.parts[i], &to) {
				if err == nil {
					if _, done := whole[d.volume]; done {
						continue
					}
				}
				if !yield(d, err) || err != nil {
					return
				}
			}
		}
	}
}

// documentsOf gives those of a part.
func (e *exporter) documentsOf(ctx context.Context, p *part, to *filling) iter.Seq2[*document, error] {
	return func(yield func(*document, error) bool) {
		s, err := e.open(ctx, p)
		if err != nil {
			yield(nil, err)
			return
		}
		for f, err := range families(bytes.NewReader(s.items), nil) {
			if err != nil {
				yield(nil, fmt.Errorf("%s: %w", p.name.Items(), err))
				return
			}
			all := s.family(e, &f)
			if !e.wants(e.plan.ids, f.top()) || e.plan.dedupe != nil && !e.plan.dedupe.keeps(f.top()) {
				continue
			}
			number := to.add(len(all), e.size(all), &e.Options)
			for _, d := range all {
				d.volume = number
				if !yield(d, nil) {
					return
				}
			}
		}
	}
}

// A source is a part that is being exported.
type source struct {
	*part
	items []byte
	load  *loadFile // nil: the form needs none, or there is none that can be used
	fault string    // why none of its documents can be exported
}

// open reads a part's items, and where the form needs it the load file.
func (e *exporter) open(ctx context.Context, p *part) (*source, error) {
	items, said, err := e.whole(ctx, p.name.Items())
	if err != nil {
		return nil, err
	}
	if said != "" || pack.Sum(items) != p.itemsSHA256 {
		return nil, unread(p.name.Items(), fmt.Errorf("it was altered while it was exported"))
	}
	s := &source{part: p, items: items}
	if !e.form.dat {
		return s, nil
	}
	rows, err := pack.DecodeItems(items[1+bytes.LastIndexByte(bytes.TrimSuffix(items, []byte("\n")), '\n'):])
	if err != nil || len(rows) != 1 {
		return nil, unread(p.name.Items(), fmt.Errorf("its last line is not of the format"))
	}
	s.load, s.fault, err = e.loadFile(ctx, p, &rows[0])
	return s, err
}

// family makes documents of a family, and takes their records out of the load file, which has one for each row.
func (s *source) family(e *exporter, f *family) []*document {
	all := make([]*document, len(f.rows))
	for i := range f.rows {
		d := &document{part: s.part, row: &f.rows[i], top: f.top(), fault: s.fault, end: f.next}
		if d.folder = e.form.folderOf(d.row.Custodian, e.plan.addresses[d.row.Custodian]); d.folder == "" {
			d.fault = "the custodian has no address alias@domain that can name a folder"
		}
		if i+1 < len(f.rows) {
			d.end = f.rows[i+1].Offset
		}
		if s.load != nil {
			if d.end == 0 {
				d.end = s.load.begin
			}
			if d.record = s.load.next(d.row); d.record == nil {
				d.fault = "its record in the load file is not the one of the items"
			}
		}
		all[i] = d
	}
	return all
}

// size is how many bytes documents are at most, once they are written.
func (e *exporter) size(all []*document) (n int64) {
	for _, d := range all {
		if !e.form.within(d) {
			n += d.row.NativeBytes + textBytes(d.record)
		}
	}
	return n
}
