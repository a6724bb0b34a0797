package plan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/chain"
	"chainmail/handlers/config"
	"chainmail/handlers/ledger"
	"chainmail/handlers/queue"
	"chainmail/handlers/settings"
)

// ahead is how many batches may wait for the slowest lane: a backlog waits in the ingestion state, not in tables.
const ahead = 3

// A Planner needs all its fields.
type Planner struct {
	Config *config.Store
	Ledger *ledger.Ledger
	Chain  *chain.Chain
	Depth  func(ctx context.Context, queue string) (int, error) // how many messages a queue holds, those that are worked on included
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
	emptied := p.count(ctx)
	var chunks []capture.Chunk
	var faults []error
	for _, s := range force.Sources {
		c, err := p.source(ctx, s, force.SHA256, emptied)
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

// count tells how many messages wait in the queues, and reports whether it is known that none of a chunk does. Where they cannot
// be counted, lost messages are found by time alone.
func (p *Planner) count(ctx context.Context) (emptied bool) {
	for _, name := range []string{queue.Chunks, queue.Poison} {
		n, err := p.Depth(ctx, name)
		if err != nil {
			p.Log.WarnContext(ctx, "queue not counted", "queue", name, "error", err)
			continue
		}
		p.Log.InfoContext(ctx, "queue depth", "queue", name, "messages", n)
		emptied = emptied || name == queue.Chunks && n == 0
	}
	return emptied
}

// source plans one source. What is wrong with one batch or step keeps none of the others from theirs.
func (p *Planner) source(ctx context.Context, s settings.Source, configSum string, emptied bool) ([]capture.Chunk, error) {
	var row ledger.Row[ledger.Source]
	var fault error
	if s.Enabled {
		// Read before the open batches are counted: whoever makes a batch after that changes the row's version.
		row, fault = p.ready(ctx, s, configSum, p.Now().UTC())
	}
	open, err := p.Ledger.OpenBatches(ctx, s.Name)
	if err != nil {
		return nil, errors.Join(fault, err)
	}
	open, err = p.finish(ctx, s, open)
	fault = errors.Join(fault, err)
	fault = errors.Join(fault, p.alarm(ctx, s))
	if !row.Value.PeopleAt.IsZero() && !row.Value.Disabled() && row.Value.Trouble == "" {
		work := &work{Planner: p, source: s, config: configSum, row: row, open: open}
		fault = errors.Join(fault, work.plan(ctx))
		open = work.open
	}
	chunks, err := p.Ledger.Dispatch(ctx, s.Name, p.workable(s, row.Value, open), p.Now().UTC(), emptied)
	return chunks, errors.Join(fault, err)
}

// endangered is how long before Exchange deletes an item for good it is said that it has not been captured.
const endangered = 3 * 24 * time.Hour

// alarm says of items in Recoverable Items that could not be captured that Exchange will soon delete them.
func (p *Planner) alarm(ctx context.Context, s settings.Source) error {
	now := p.Now().UTC()
	all, err := p.Ledger.Endangered(ctx, s.Name, now.Add(endangered), s.DeletedItemRetention)
	for _, x := range all {
		p.Log.ErrorContext(ctx, "exception near retention", "source", s.Name, "custodian", x.Custodian, "item", x.Item.Key(), "code", x.Code,
			"firstSeen", x.FirstSeen, "remedy", "put the mailbox on hold (Set-Mailbox -LitigationHoldEnabled $true), or save the item by other means")
	}
	return err
}

// workable are the batches whose messages are given out. While a person must mend something nothing would succeed: then only
// what is out of time is worked on, to be closed with what it has.
func (p *Planner) workable(s settings.Source, row ledger.Source, open []ledger.Row[ledger.Batch]) []ledger.Row[ledger.Batch] {
	if row.Trouble == "" || row.Disabled() {
		return open
	}
	return slices.DeleteFunc(slices.Clone(open), func(b ledger.Row[ledger.Batch]) bool {
		return p.Now().Sub(b.Value.Statuses.V[0].At) < s.JobTimeout
	})
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

// A work is the planning of one source at one tick: its row and its open batches as they are by now.
type work struct {
	*Planner
	source settings.Source
	config string // SHA-256 of the settings
	row    ledger.Row[ledger.Source]
	open   []ledger.Row[ledger.Batch]

	people []ledger.Row[ledger.Person]
	read   bool
}

// plan makes the batches that are due: windows, second looks, supplements.
func (w *work) plan(ctx context.Context) error {
	return errors.Join(w.cut(ctx), w.look(ctx), w.supply(ctx))
}

// persons reads the source's individuals when they are needed first.
func (w *work) persons(ctx context.Context) ([]ledger.Row[ledger.Person], error) {
	var err error
	if !w.read {
		w.people, err = w.Ledger.People(ctx, w.source.Name)
		w.read = err == nil
	}
	return w.people, err
}

// cut makes batches of the windows that are due, as far as there is room.
func (w *work) cut(ctx context.Context) error {
	s := w.source
	room, err := w.room(ctx, func(b ledger.Batch) bool { return b.Reason == capture.ReasonWindow })
	if err != nil {
		return err
	}
	due := Due(Schedule{
		State: w.row.Value.State, End: s.EndDate, Frequency: s.Frequency, Offset: s.Offset, Settle: s.Settle,
		Merge: s.Merge, MaxMerge: s.MaxMerge,
	}, w.Now().UTC(), room)
	for _, window := range due {
		if !capture.Second(w.row.Value.State).Equal(window.Start) {
			return nil // a second planner has come between, and goes on from where the state is now
		}
		people, err := w.persons(ctx)
		if err != nil {
			return err
		}
		var custodians []capture.Custodian
		for _, person := range people {
			if person.Value.Monitored(window) {
				custodians = append(custodians, person.Value.Custodian())
			}
		}
		made, err := w.make(ctx, ledger.Batch{Start: window.Start, End: window.End, Reason: capture.ReasonWindow}, custodians,
			func(b ledger.Batch) error {
				w.row.Value.State = window.End
				return w.Ledger.CreateBatch(ctx, s.Name, w.row, b)
			})
		if err != nil || !made {
			return err
		}
	}
	return nil
}

// make makes a batch of the custodians by create, which is given its whole row. It reports false when a rival was faster, of
// whose doing the next tick goes on.
func (w *work) make(ctx context.Context, b ledger.Batch, custodians []capture.Custodian, create func(ledger.Batch) error) (bool, error) {
	s := w.source
	var err error
	if b.N, b.ID, err = w.Chain.FreeBatch(ctx, s, b.Window()); err != nil {
		return false, err
	}
	capture.NameMailboxesOnce(custodians)
	if err := w.Chain.Snapshot(ctx, s.Name, &b, custodians); err != nil {
		return false, err
	}
	w.row.Value.LastRun = w.Now().UTC().Truncate(time.Second)
	b.ConfigSHA256 = w.config
	b.Enter(capture.Created, w.Now().UTC(), 0)
	if err := create(b); errors.Is(err, ledger.ErrConflict) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	w.Log.InfoContext(ctx, "batch planned", "source", s.Name, "batch", b.ID, "reason", b.Reason, "custodians", b.Custodians, "chunks", len(b.Lanes.V))
	saved, err := w.Ledger.Batch(ctx, s.Name, b.ID)
	if err != nil {
		return false, err
	}
	w.open = append(w.open, saved)
	w.row, err = w.Ledger.Source(ctx, s.Name)
	return err == nil, err
}

// ready gives the source's row, made at the first tick that finds the source enabled. Collection begins at the start
// date, or without one at that moment; where evidence is older than the ledger, no earlier than the evidence is whole to. A
// source that has been in trouble for too long is disabled.
func (p *Planner) ready(ctx context.Context, s settings.Source, config string, now time.Time) (ledger.Row[ledger.Source], error) {
	row, err := p.Ledger.Source(ctx, s.Name)
	if err != nil {
		return row, err
	}
	var until time.Time
	if row.Value.Container == "" && !row.Value.Disabled() { // it was never enabled, as far as the ledger knows
		if until, err = p.Chain.Resume(ctx, s, config); err != nil {
			return row, err
		}
	}
	disabled := ""
	change := func(r *ledger.Source) bool {
		disabled = ""
		switch {
		case r.EnabledAt.IsZero() && !r.Disabled():
			enable(r, s, until, now)
		case !r.Disabled() && r.Trouble != "" && s.HealthWindow > 0 && now.Sub(r.TroubleSince) >= s.HealthWindow:
			r.DisabledAt, r.DisabledReason = now, r.Trouble
			disabled = r.Trouble
		default:
			return false
		}
		return true
	}
	if as := row.Value; change(&as) {
		err = p.Ledger.UpdateSource(ctx, s.Name, change)
		if err == nil {
			row, err = p.Ledger.Source(ctx, s.Name)
		}
		if err != nil {
			return ledger.Row[ledger.Source]{}, err
		}
	}
	if disabled != "" {
		p.Log.ErrorContext(ctx, "source disabled", "source", s.Name, "reason", disabled,
			"remedy", "mend what the reason names, prove it by a preflight, and enable the source again: it goes on from where it was")
	}
	if row.Value.PeopleAt.IsZero() {
		p.Log.InfoContext(ctx, "source waits for its individuals", "source", s.Name)
	}
	return row, nil
}

// enable begins the collection of a source. until is when evidence that is older than the ledger is whole to; zero: there is none.
func enable(r *ledger.Source, s settings.Source, until, now time.Time) {
	first := r.Container == "" // and not enabled anew after a reset, which collects again
	r.EnabledAt, r.State, r.Container = now, s.StartDate.UTC(), s.Container
	if s.StartDate.IsZero() {
		r.State = now.Truncate(time.Second)
	}
	if first && !until.IsZero() && (s.StartDate.IsZero() || until.After(s.StartDate)) {
		r.State = until
	}
	r.Begin = r.State
}

// room is how many more batches of a kind may be made: the slowest lane has at most three that it has not begun.
func (w *work) room(ctx context.Context, kind func(ledger.Batch) bool) (int, error) {
	waiting, err := w.waiting(ctx, kind)
	room := ahead
	for _, n := range waiting {
		room = min(room, ahead-n)
	}
	return room, err
}

// waiting counts, by lane, the open batches of a kind that the lane has not begun.
func (w *work) waiting(ctx context.Context, kind func(ledger.Batch) bool) (map[int]int, error) {
	waiting := map[int]int{}
	for _, b := range w.open {
		if !kind(b.Value) {
			continue
		}
		chunks, err := w.Ledger.Chunks(ctx, w.source.Name, b.Value.ID)
		if err != nil {
			return nil, err
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
	return waiting, nil
}
