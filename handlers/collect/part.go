package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
	"chainmail/handlers/vault"
)

// The limits of a package where none are set.
const (
	maxEntries = 20_000
	maxBytes   = 1 << 30
)

// part is a package being filled, and the exceptions found meanwhile. Its bytes are staged as they come and belong to no
// blob until the part is closed.
type part struct {
	name       pack.Name
	blocks     *vault.Blocks // nil while there is no document
	writer     *pack.Writer
	exceptions []capture.Exception
	events     []ledger.EventVersion
	again      []capture.Exception // of earlier batches, that could not be had now either
	closings   []ledger.Closing    // of exceptions of earlier batches
	closed     []pack.Closed       // the same as the manifest tells it
	deletions  []pack.DeletionRow
}

// ensurePart opens the part that the next document or exception goes to. The lock is held.
func (r *run) ensurePart() *part {
	if r.part == nil {
		c := r.work.Chunk.Value
		r.part = &part{name: pack.Name{Source: r.source.Name, Batch: r.batch.ID, Lane: c.Lane, Part: c.Part + 1}}
	}
	return r.part
}

// add puts a finished family into the package, and closes the part when it is full.
func (r *run) add(ctx context.Context, p *progress, it capture.Item, family []pack.Document, bytes int64, events ...ledger.EventVersion) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return r.broken
	}
	owed := p.again[it.Key()]
	for i := range family {
		if owed != nil {
			family[i].For = owed.Batch
		}
	}
	err := r.write(family)
	if errors.Is(err, pack.ErrFull) && r.part.writer.Documents() > 0 { // a fresh package may have room for it
		if err := r.closePart(false); err != nil {
			return err
		}
		err = r.write(family)
	}
	if errors.Is(err, pack.ErrFull) {
		r.leaveOut(ctx, p, it, stageWrite, codeTooLarge)
		return nil
	}
	if err != nil {
		return fmt.Errorf("write package: %w", err)
	}
	if r.settled(p, it.Key()) != nil {
		p.count(tally{Recovered: 1, Bytes: bytes})
	} else {
		delete(p.todo, it.Key())
		p.count(tally{Captured: 1, Bytes: bytes})
	}
	r.part.events = append(r.part.events, events...)
	r.begun = true
	if w := r.part.writer; w.Entries() >= cmp.Or(r.Limits.Entries, maxEntries) || w.Bytes() >= cmp.Or(r.Limits.Bytes, maxBytes) {
		return r.closePart(false)
	}
	return nil
}

// settled ends the open exception of an item that was captured now, and gives the one for whose sake it was fetched; nil: it was
// found by this batch. The lock is held.
func (r *run) settled(p *progress, item string) *ledger.Exception {
	owed := p.again[item]
	if owed == nil {
		if e := r.openException(p, item); e != nil {
			r.closing(e, ledger.ClosedCaptured)
		}
		return nil
	}
	r.closing(owed, ledger.ClosedCaptured)
	return owed
}

// write appends a family to the part being filled, whose package begins with its first. The lock is held.
func (r *run) write(family []pack.Document) error {
	part := r.ensurePart()
	if part.writer == nil {
		part.blocks = r.evidence.Stage(r.ctx, part.name.Zip())
		part.writer = pack.NewWriter(part.blocks, part.name, r.source.ControlNumberPrefix, r.batch.Window(), r.batch.N)
	}
	return part.writer.Add(family)
}

// except records an item that was found and cannot be had.
func (r *run) except(ctx context.Context, p *progress, it capture.Item, stage, code string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return r.broken
	}
	r.leaveOut(ctx, p, it, stage, code)
	return nil
}

// leaveOut puts an item into the exceptions. The lock is held.
func (r *run) leaveOut(ctx context.Context, p *progress, it capture.Item, stage, code string) {
	r.begun = true
	if e := p.again[it.Key()]; e != nil {
		r.failedAgain(ctx, e, stage, code)
		return
	}
	now := r.Now().UTC()
	part := r.ensurePart()
	part.exceptions = append(part.exceptions, capture.Exception{
		Custodian: p.Custodian.Name(), Item: it, Batch: r.batch.ID, Stage: stage, Code: code,
		Attempts: 1, FirstSeen: now, LastSeen: now,
	})
	delete(p.todo, it.Key())
	p.count(tally{Excepted: 1})
	r.log.WarnContext(ctx, "item excepted", "custodian", p.Custodian.Name(), "item", it.Key(), "stage", stage, "code", code)
}

// close ends the part being filled, or one without documents that only tells how far the custodians are.
func (r *run) close(last bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closePart(last)
}

// closePart is the closing protocol. A run may die between any two of its steps.
//
//  1. the record of the part goes into the state, under a name of its own;
//  2. the chunk's row says that this record is pending: one of two rivals loses here, and nothing it did counts;
//  3. package, items, exceptions and seal are committed: a pure function of the record, repeatable by anyone;
//  4. the row says that the part is closed.
//
// It goes by the run's context, not by that of the mailbox whose item filled the part: a fault of that mailbox must not
// break the protocol off. A run whose closing failed is broken and writes nothing more. The lock is held.
func (r *run) closePart(last bool) error {
	if r.broken == nil {
		if err := r.tryClose(r.ctx, last); err != nil {
			r.broken = fmt.Errorf("close part: %w", err)
		}
	}
	return r.broken
}

func (r *run) tryClose(ctx context.Context, last bool) error {
	rec, err := r.record(ctx, last)
	if err != nil {
		return err
	}
	r.work.Chunk.Value.Pending = rec.name
	if err := r.Ledger.Save(ctx, r.work); err != nil {
		return err
	}
	if err := r.commit(ctx, rec); err != nil {
		return err
	}
	if err := r.closed(ctx, rec); err != nil {
		return err
	}
	r.part, r.ended = nil, last
	for _, p := range r.custodians {
		p.tally, p.fresh = tally{}, false
	}
	return nil
}

// closed is the protocol's last step.
func (r *run) closed(ctx context.Context, rec *record) error {
	chunk := &r.work.Chunk.Value
	chunk.Part, chunk.Record, chunk.Pending = rec.Name.Part, rec.name, ""
	chunk.Documents += rec.Documents
	if err := r.Ledger.Save(ctx, r.work); err != nil {
		return err
	}
	bytes := int64(0)
	if rec.Package != nil {
		bytes = rec.Package.Bytes
	}
	r.log.InfoContext(ctx, "package closed", "part", rec.Name.Part, "documents", rec.Documents, "bytes", bytes, "excepted", len(rec.Exceptions))
	return nil
}

// commit is the protocol's third step.
func (r *run) commit(ctx context.Context, rec *record) error {
	if rec.Package != nil {
		if err := r.evidence.Commit(ctx, rec.Name.Zip(), rec.Blocks, "application/zip"); err != nil {
			return fmt.Errorf("commit package: %w", err)
		}
	}
	for _, f := range rec.files() {
		if f.sum == "" {
			continue
		}
		data, err := r.State.Get(ctx, f.state)
		if err != nil {
			return fmt.Errorf("read record: %w", err)
		}
		if pack.Sum(data) != f.sum {
			return fmt.Errorf("read record: %s is not what the record says", f.kind)
		}
		if err := r.evidence.PutOnce(ctx, f.evidence, data, f.kind); err != nil {
			return fmt.Errorf("write %s: %w", f.kind, err)
		}
	}
	exceptions := append(slices.Clone(rec.Exceptions), rec.Again...)
	if err := r.Ledger.PutExceptions(ctx, r.source.Name, rec.Name.Lane, exceptions, fetchedAgain); err != nil {
		return err
	}
	if err := r.Ledger.CloseExceptions(ctx, r.source.Name, rec.Closings); err != nil {
		return err
	}
	for _, c := range rec.Closings {
		r.log.InfoContext(ctx, "exception closed", "custodian", c.Custodian, "item", c.Item, "how", c.How)
	}
	return r.Ledger.PutEvents(ctx, r.source.Name, rec.Events)
}

// finishPending does for a dead run what it could not do any more. If its staged blocks are gone (Azure keeps them for a
// week) the part is burnt: its name is never used again, and its items are open as they were before it.
func (r *run) finishPending(ctx context.Context) error {
	rec, err := r.load(ctx, r.work.Chunk.Value.Pending)
	if err != nil {
		return err
	}
	err = r.commit(ctx, rec)
	if errors.Is(err, vault.ErrBlocksGone) {
		chunk := &r.work.Chunk.Value
		chunk.Part, chunk.Pending = rec.Name.Part, ""
		chunk.Burnt.V = append(slices.Clone(chunk.Burnt.V), rec.Name.Part)
		r.log.WarnContext(ctx, "part burnt", "part", rec.Name.Part)
		return r.Ledger.Save(ctx, r.work)
	}
	if err != nil {
		return err
	}
	return r.closed(ctx, rec)
}
