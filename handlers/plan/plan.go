package plan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/chain"
	"chainmail/handlers/config"
	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault"
)

// ahead is how many batches may wait for the slowest lane: a backlog waits in the ingestion state, not in tables.
const ahead = 3

// A Planner needs all its fields.
type Planner struct {
	Config *config.Store
	Ledger *ledger.Ledger
	State  *vault.Container
	Chain  *chain.Chain
	Log    *slog.Logger
	Now    func() time.Time
}

// Tick is the timer's work: it accepts settings, seals batches whose end was cut off, cuts what is due into batches, and
// returns the chunks whose messages are to be given out. A fault of one source is logged and does not stop the others;
// everything is decided again at the next tick.
func (p *Planner) Tick(ctx context.Context) ([]capture.Chunk, error) {
	force, err := p.Config.Accept(ctx)
	if err != nil {
		return nil, err
	}
	var chunks []capture.Chunk
	var faults []error
	for _, s := range force.Sources {
		c, err := p.source(ctx, s, force.SHA256)
		chunks = append(chunks, c...) // those of an earlier step count even when a later one failed
		if err != nil {
			p.Log.ErrorContext(ctx, "source not planned", "source", s.Name, "error", err)
			faults = append(faults, err)
		}
	}
	if len(chunks) == 0 {
		return nil, errors.Join(faults...)
	}
	return chunks, nil // an error would lose the messages
}

// source plans one source. What is wrong with one batch or step keeps none of the others from theirs.
func (p *Planner) source(ctx context.Context, s settings.Source, configSum string) ([]capture.Chunk, error) {
	var row ledger.Row[ledger.Source]
	var fault error
	if s.Enabled {
		// Read before the open batches are counted: whoever makes a batch after that changes the row's version.
		row, fault = p.ready(ctx, s, p.Now().UTC())
	}
	open, err := p.Ledger.OpenBatches(ctx, s.Name)
	if err != nil {
		return nil, errors.Join(fault, err)
	}
	open, err = p.finish(ctx, s, open)
	fault = errors.Join(fault, err)
	if !row.Value.PeopleAt.IsZero() {
		made, err := p.cut(ctx, s, configSum, row, open)
		open, fault = append(open, made...), errors.Join(fault, err)
	}
	chunks, err := p.Ledger.Dispatch(ctx, s.Name, open, p.Now().UTC())
	return chunks, errors.Join(fault, err)
}

// finish seals and publishes the batches whose chunks are all closed, and returns those that are still open.
func (p *Planner) finish(ctx context.Context, s settings.Source, all []ledger.Row[ledger.Batch]) ([]ledger.Row[ledger.Batch], error) {
	var open []ledger.Row[ledger.Batch]
	var faults []error
	for _, b := range all {
		done, err := p.Chain.Finish(ctx, s, b.Value.ID)
		if err != nil {
			faults = append(faults, fmt.Errorf("batch %s: %w", b.Value.ID, err))
		}
		if !done {
			open = append(open, b)
		}
	}
	return open, errors.Join(faults...)
}

// cut makes batches of what is due, as far as there is room, and returns those that it made, also when a later one failed.
func (p *Planner) cut(ctx context.Context, s settings.Source, configSum string, row ledger.Row[ledger.Source], open []ledger.Row[ledger.Batch]) ([]ledger.Row[ledger.Batch], error) {
	now := p.Now().UTC()
	room, err := p.room(ctx, s.Name, open)
	if err != nil {
		return nil, err
	}
	due := Due(Schedule{
		State: row.Value.State, End: s.EndDate, Frequency: s.Frequency, Offset: s.Offset, Settle: s.Settle,
		Merge: s.Merge, MaxMerge: s.MaxMerge,
	}, now, room)
	if len(due) == 0 {
		return nil, nil
	}
	people, err := p.Ledger.People(ctx, s.Name)
	if err != nil {
		return nil, err
	}
	var made []ledger.Row[ledger.Batch]
	for _, w := range due {
		if !second(row.Value.State).Equal(w.Start) {
			return made, nil // a second planner has come between, and goes on from where the state is now
		}
		b, err := p.batch(ctx, s, w, people)
		if err != nil {
			return made, err
		}
		b.ConfigSHA256 = configSum
		b.Enter(capture.Created, now, 0)
		row.Value.State = w.End
		err = p.Ledger.CreateBatch(ctx, s.Name, row, b)
		if errors.Is(err, ledger.ErrConflict) {
			return made, nil // a second planner was faster; the next tick sees what it did
		}
		if err != nil {
			return made, err
		}
		p.Log.InfoContext(ctx, "batch planned", "source", s.Name, "batch", b.ID, "custodians", b.Custodians, "chunks", len(b.Lanes.V))
		saved, err := p.Ledger.Batch(ctx, s.Name, b.ID)
		if err != nil {
			return made, err
		}
		made = append(made, saved)
		if row, err = p.Ledger.Source(ctx, s.Name); err != nil {
			return made, err
		}
	}
	return made, nil
}

// ready gives the source's row, made at the first tick that finds the source enabled. Collection begins at the start
// date, or without one at that moment.
func (p *Planner) ready(ctx context.Context, s settings.Source, now time.Time) (ledger.Row[ledger.Source], error) {
	err := p.Ledger.UpdateSource(ctx, s.Name, func(r *ledger.Source) bool {
		if !r.EnabledAt.IsZero() {
			return false
		}
		r.EnabledAt = now
		r.State = s.StartDate.UTC()
		if s.StartDate.IsZero() {
			r.State = now.Truncate(time.Second)
		}
		return true
	})
	if err != nil {
		return ledger.Row[ledger.Source]{}, err
	}
	row, err := p.Ledger.Source(ctx, s.Name)
	if err == nil && row.Value.PeopleAt.IsZero() {
		p.Log.InfoContext(ctx, "source waits for its individuals", "source", s.Name)
	}
	return row, err
}

// room is how many more batches may be made: the slowest lane has at most three that it has not begun.
func (p *Planner) room(ctx context.Context, source string, open []ledger.Row[ledger.Batch]) (int, error) {
	waiting := map[int]int{}
	for _, b := range open {
		chunks, err := p.Ledger.Chunks(ctx, source, b.Value.ID)
		if err != nil {
			return 0, err
		}
		begun := map[int]bool{}
		for _, c := range chunks {
			begun[c.Value.Lane] = true
		}
		for _, lane := range b.Value.Lanes.V {
			if !begun[lane] {
				waiting[lane]++
			}
		}
	}
	room := ahead
	for _, n := range waiting {
		room = min(room, ahead-n)
	}
	return room, nil
}

// batch describes the batch of a window, with the snapshot of everyone monitored at any instant of it.
func (p *Planner) batch(ctx context.Context, s settings.Source, w capture.Window, people []ledger.Row[ledger.Person]) (ledger.Batch, error) {
	b := ledger.Batch{Start: w.Start, End: w.End, Reason: "window"}
	for b.N = 1; ; b.N++ {
		b.ID = capture.BatchID(w, b.N)
		if _, err := p.Ledger.Batch(ctx, s.Name, b.ID); errors.Is(err, ledger.ErrNotFound) {
			break
		} else if err != nil {
			return b, err
		}
	}
	custodians := []capture.Custodian{}
	for _, person := range people {
		if c, monitored := person.Value.Custodian(w); monitored {
			custodians = append(custodians, c)
			b.Lanes.V = append(b.Lanes.V, c.Lane)
		}
	}
	capture.NameMailboxesOnce(custodians)
	slices.Sort(b.Lanes.V)
	b.Lanes.V = slices.Compact(b.Lanes.V)
	b.Custodians = len(custodians)
	snapshot, err := json.Marshal(custodians)
	if err != nil {
		return b, err
	}
	sum := sha256.Sum256(snapshot)
	b.SnapshotSHA256 = hex.EncodeToString(sum[:])
	b.Snapshot = fmt.Sprintf("snapshots/%s/%s/%s.json", s.Name, b.ID, b.SnapshotSHA256)
	if err := p.State.Put(ctx, b.Snapshot, snapshot); err != nil {
		return b, fmt.Errorf("keep snapshot of custodians: %w", err)
	}
	return b, nil
}
