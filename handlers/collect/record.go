package collect

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
)

const recordFormat = "chainmail/record/1"

// record is all that it takes to commit a part, and how far the chunk is after it. It lies in the state container as
// records/<source>/<batch>/<lane>-<part>-<run>/record.json, with the part's files and the list of what is still to fetch
// beside it; the files are written first.
type record struct {
	Format string    `json:"format"`
	Name   pack.Name `json:"name"`

	Package       *pack.Package         `json:"package"` // nil: a part without documents
	Blocks        []string              `json:"blocks,omitempty"`
	Documents     int                   `json:"documents"`
	Synthesised   int                   `json:"synthesised,omitempty"`
	Texts         pack.TextCounts       `json:"texts"`
	ItemsSum      string                `json:"itemsSha256,omitempty"`
	ExceptionsSum string                `json:"exceptionsSha256,omitempty"`
	DeletionsSum  string                `json:"deletionsSha256,omitempty"`
	SealSum       string                `json:"sealSha256"`
	Exceptions    []capture.Exception   `json:"exceptions,omitempty"`
	Again         []capture.Exception   `json:"again,omitempty"`    // of earlier batches, not to be had now either
	Closings      []ledger.Closing      `json:"closings,omitempty"` // of exceptions of earlier batches
	Events        []ledger.EventVersion `json:"events,omitempty"`   // captured, or seen to be as they were

	Closed     []pack.Closed `json:"closed,omitempty"`
	Custodians []*progress   `json:"custodians"`
	Last       bool          `json:"last,omitempty"` // the chunk's last part: nothing comes after it

	name string // of the record's own blob
}

// file is one of a part's files: where it waits, where it goes, and its hash; an empty hash: there is none.
type file struct{ kind, state, evidence, sum string }

func (rec *record) files() []file {
	dir := recordDir(rec.name)
	return []file{
		{"application/jsonl", dir + "items.jsonl", rec.Name.Items(), rec.ItemsSum},
		{"text/csv", dir + "exceptions.csv", rec.Name.Exceptions(), rec.ExceptionsSum},
		{"application/jsonl", dir + "deletions.jsonl", rec.Name.Deletions(), rec.DeletionsSum},
		{"application/json", dir + "seal.json", rec.Name.Seal(), rec.SealSum}, // last: who sees a seal finds the rest
	}
}

func recordDir(name string) string { return name[:len(name)-len("record.json")] }

// open is a line of the list of what is still to fetch.
type open struct {
	Custodian int           `json:"custodian"` // index in the record's custodians
	Item      *capture.Item `json:"item"`
}

// record ends the package and writes everything about the part into the state. The lock is held.
func (r *run) record(ctx context.Context, last bool) (*record, error) {
	part := r.ensurePart()
	rec := &record{
		Format: recordFormat, Name: part.name, Custodians: r.custodians, Last: last, Exceptions: part.exceptions, Events: part.events,
		Again: part.again, Closings: part.closings, Closed: part.closed,
	}
	rec.name = fmt.Sprintf("records/%s/%s/%05d-%d-%s/record.json", r.source.Name, r.batch.ID, part.name.Lane, part.name.Part, r.work.Run)
	var items, exceptions, deletions []byte
	if part.writer != nil && part.writer.Documents() > 0 {
		pkg, rows, err := part.writer.Close()
		if err == nil {
			err = part.blocks.Flush()
		}
		if err != nil {
			return nil, fmt.Errorf("close package: %w", err)
		}
		rec.Package, rec.Blocks, rec.Documents = &pkg, part.blocks.IDs(), len(rows)
		rec.Synthesised, rec.Texts = pack.CountSynthesised(rows), pack.CountTexts(rows)
		if items, err = pack.EncodeItems(rows); err != nil {
			return nil, err
		}
		rec.ItemsSum = pack.Sum(items)
	}
	if len(part.exceptions) > 0 {
		exceptions = pack.EncodeExceptions(part.exceptions)
		rec.ExceptionsSum = pack.Sum(exceptions)
	}
	if len(part.deletions) > 0 {
		var err error
		if deletions, err = pack.EncodeDeletions(part.deletions); err != nil {
			return nil, err
		}
		rec.DeletionsSum = pack.Sum(deletions)
	}
	seal, err := r.seal(rec, last).Encode()
	if err != nil {
		return nil, err
	}
	rec.SealSum = pack.Sum(seal)
	return rec, r.store(ctx, rec, items, exceptions, deletions, seal)
}

func (r *run) store(ctx context.Context, rec *record, items, exceptions, deletions, seal []byte) error {
	head, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	dir := recordDir(rec.name)
	if err := r.State.PutStream(ctx, dir+"todo.jsonl", r.writeTodo); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	for _, f := range []struct {
		name string
		data []byte
	}{
		{"items.jsonl", items}, {"exceptions.csv", exceptions}, {"deletions.jsonl", deletions}, {"seal.json", seal}, {"record.json", head},
	} {
		if f.data == nil {
			continue
		}
		if err := r.State.Put(ctx, dir+f.name, f.data); err != nil {
			return fmt.Errorf("write record: %w", err)
		}
	}
	return nil
}

// writeTodo writes the list of what is still to fetch, a line an item. It may be long: nothing holds it as a whole.
func (r *run) writeTodo(w io.Writer) error {
	e := json.NewEncoder(w)
	for i, p := range r.custodians {
		for _, it := range p.todo {
			if err := e.Encode(open{i, it}); err != nil {
				return err
			}
		}
	}
	return nil
}

// seal describes the part: its files, and each custodian that it tells something new of. The last part of a chunk also
// names those that failed for good. Who has no object id yet is named once it is certain that they will get none: a
// custodian has one name in all seals of a batch.
func (r *run) seal(rec *record, last bool) pack.Seal {
	s := pack.Seal{
		Source: r.source.Name, Batch: r.batch.ID, Lane: rec.Name.Lane, Part: rec.Name.Part,
		Package: rec.Package, ItemsSHA256: rec.ItemsSum, ExceptionsSHA256: rec.ExceptionsSum, DeletionsSHA256: rec.DeletionsSum, Closed: rec.Closed, Documents: rec.Documents,
		Synthesised: rec.Synthesised, Texts: rec.Texts,
		Custodians: []pack.SealCustodian{},
	}
	for _, p := range r.custodians {
		failed := p.Status != capture.Collected && p.Status != capture.Excluded
		news := p.fresh && !(failed && p.Custodian.ID == "") || p.tally != (tally{})
		if !news && !(last && failed) {
			continue
		}
		s.Custodians = append(s.Custodians, pack.SealCustodian{
			ID: p.Custodian.Name(), Identifier: p.Custodian.Identifier, Status: p.Status, Reason: p.Reason,
			Found: p.tally.Found, Captured: p.tally.Captured, Excepted: p.tally.Excepted, Unchanged: p.tally.Unchanged,
			Recovered: p.tally.Recovered, Deleted: p.tally.Deleted, Bytes: p.tally.Bytes, Coverage: p.Notes,
		})
	}
	return s
}

// load reads a record, without the list of what is still to fetch.
func (r *run) load(ctx context.Context, name string) (*record, error) {
	data, err := r.State.Get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	rec := &record{name: name}
	if err := json.Unmarshal(data, rec); err != nil { // whose text may quote a mail
		return nil, fmt.Errorf("read record: it is damaged (%T)", err)
	}
	if rec.Format != recordFormat {
		return nil, fmt.Errorf("read record: its format is %q, this app reads %q", rec.Format, recordFormat)
	}
	return rec, nil
}

// resume takes up the chunk where the record left it.
func (r *run) resume(ctx context.Context, name string) error {
	rec, err := r.load(ctx, name)
	if err != nil {
		return err
	}
	r.custodians, r.ended = rec.Custodians, rec.Last
	body, _, err := r.State.Open(ctx, recordDir(name)+"todo.jsonl")
	if err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	defer body.Close()
	d, words := json.NewDecoder(bufio.NewReader(body)), words{}
	for {
		var o open
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil || o.Custodian < 0 || o.Custodian >= len(r.custodians) || o.Item == nil {
			return fmt.Errorf("read record: its list of what is still to fetch is damaged")
		}
		p := r.custodians[o.Custodian]
		if p.todo == nil {
			p.todo = map[string]*capture.Item{}
		}
		words.share(o.Item)
		p.todo[o.Item.Key()] = o.Item
	}
}
