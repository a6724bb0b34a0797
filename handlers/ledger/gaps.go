package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"chainmail/handlers/capture"
)

// Gap is the row of a gap: time that a monitored individual is owed and that no batch has collected. It stands until a
// supplement, a batch made of gaps, has collected it.
//
//	(absent) ──▶ open ◀──▶ carried by a supplement ──▶ (absent)
type Gap struct {
	Person    string // the individual's key
	Custodian string // capture.Custodian's Name
	Lane      int
	Start     time.Time
	End       time.Time // exclusive
	Reason    string    // why it was not collected: see the reasons of package capture
	Origin    string    `json:",omitempty"` // the batch that left it open, whose manifest names it; empty: there is none
	Opened    time.Time
	Attempts  int       `json:",omitempty"` // supplements that did not close it
	Due       time.Time `json:",omitzero"`  // no supplement before
	Held      bool      `json:",omitempty"` // by a person, who gave the batch up: it is not tried by itself
	Asked     bool      `json:",omitempty"` // by an operator: whatever is known of the mailbox, it is tried
	RetryOf   string    `json:",omitempty"` // the batch that an operator wants tried again
	Batch     string    `json:",omitempty"` // the supplement that carries it
}

// Window is the gap's time.
func (g Gap) Window() capture.Window { return capture.Window{Start: g.Start, End: g.End} }

// Fields are what a log line says of the gap.
func (g Gap) Fields() []any {
	return []any{"custodian", g.Custodian, "start", g.Start, "end", g.End, "reason", g.Reason, "attempts", g.Attempts}
}

// TriedWith reports whether trying a batch again tries the gap: a batch left it, it has time of that one's, and nothing carries it.
func (g Gap) TriedWith(b Batch) bool {
	return g.Origin != "" && g.Batch == "" && g.Start.Before(b.End) && g.End.After(b.Start)
}

// id tells the gaps of an individual apart. What was left open by a batch has its name; what never stood in one, its own
// period.
func (g Gap) id() string {
	from := g.Origin
	if from == "" {
		from = "none:" + capture.BatchID(g.Window(), 1)
	}
	return g.Person + ":" + from
}

// open returns the gap without a supplement, which has left it open for a reason; it is due as its attempts say.
func (g Gap) open(reason string, now time.Time) Gap {
	g.Batch, g.Asked, g.RetryOf = "", false, ""
	if g.Origin != "" { // why else it is owed stays the reason
		g.Reason = reason
	}
	g.Attempts++
	g.Due = now.Add(GapWait(g.Attempts))
	return g
}

// GapWait is how long a gap is left alone after so many attempts to close it: an hour, doubling to a day. The first attempt
// of all was the batch that left it open.
func GapWait(attempts int) time.Duration {
	return min(time.Hour<<min(max(attempts-1, 0), 10), 24*time.Hour)
}

func gapKey(id string) string { return "gap:" + id }

// Gaps lists the gaps of a source, those that a supplement carries included.
func (l *Ledger) Gaps(ctx context.Context, source string) ([]Row[Gap], error) {
	return list[Gap](ctx, l, source, "gap:")
}

// GapOpen reports whether the same gap is open already.
func (l *Ledger) GapOpen(ctx context.Context, source string, g Gap) (bool, error) {
	r, err := find[Gap](ctx, l, source, gapKey(g.id()))
	return r.Exists(), err
}

// PutGap opens a gap that no batch left; one that is open already stays as it is, but for an operator's wish.
func (l *Ledger) PutGap(ctx context.Context, source string, g Gap) (opened bool, err error) {
	err = update(ctx, l, source, gapKey(g.id()), func(old *Gap) bool {
		opened = old.Person == ""
		switch {
		case opened:
			*old = g
		case old.Batch != "" || !g.Asked || old.Asked:
			return false
		default:
			old.Asked, old.Due, old.RetryOf = true, time.Time{}, g.RetryOf
		}
		return true
	})
	return opened, err
}

// Ask has the gaps that a batch left tried again at once; those that a supplement carries are being tried. It reports how many
// they are.
func (l *Ledger) Ask(ctx context.Context, source, batch string) (int, error) {
	gaps, err := l.Gaps(ctx, source)
	if err != nil {
		return 0, err
	}
	b, err := l.Batch(ctx, source, batch)
	if err != nil {
		return 0, err
	}
	asked := 0
	for _, g := range gaps {
		if !g.Value.TriedWith(b.Value) {
			continue
		}
		asked++
		g.Value.Asked, g.Value.Due, g.Value.RetryOf = true, time.Time{}, batch
		if err := l.commit(ctx, source, replace(gapKey(g.Value.id()), g)); err != nil && err != ErrConflict {
			return asked, err
		}
	}
	return asked, nil
}

// MaxGaps is how many gaps a supplement carries at most: with the other rows of the transaction that makes it they stay below
// Table storage's 100.
const MaxGaps = 90

// CreateSupplement makes a batch of gaps in one transaction. The source's row goes along as it was read, so that nothing that
// goes by it is decided beside it.
func (l *Ledger) CreateSupplement(ctx context.Context, name string, source Row[Source], b Batch, gaps []Row[Gap]) error {
	changes := []change{replace("source", source), insert(batchKey(b.ID), b), insert(openKey(b.ID), struct{}{})}
	for _, g := range gaps {
		g.Value.Batch = b.ID
		changes = append(changes, replace(gapKey(g.Value.id()), g))
	}
	return l.commit(ctx, name, changes...)
}

// A Verdict is what a batch says of one of its custodians in the end.
type Verdict struct {
	Person    string `json:"person"`    // the individual's key
	Custodian string `json:"custodian"` // the name in evidence
	Lane      int    `json:"lane"`
	Reason    string `json:"reason,omitempty"` // why the period is still owed; empty: it was collected
}

// LongestGap is how long a gap may become: a supplement's custodian is listed at a time, and the list is held.
const LongestGap = 31 * 24 * time.Hour

// gapsAtOnce is how many verdicts are settled in a transaction: each changes one row, besides the batch's.
const gapsAtOnce = 90

// SettleGaps opens the gaps that a batch leaves, and ends those that it carried, each once however often it is called and
// wherever it was cut off. It returns the batch's row as it is then, and what was opened and closed by this call.
// ErrConflict says that a rival does the same.
func (l *Ledger) SettleGaps(ctx context.Context, source string, b Row[Batch], verdicts []Verdict, now time.Time) (row Row[Batch], opened, closed []Gap, err error) {
	if b.Value.Settled >= len(verdicts) {
		return b, nil, nil, nil
	}
	all, err := l.Gaps(ctx, source)
	if err != nil {
		return b, nil, nil, err
	}
	mine := map[string][]Row[Gap]{}
	for _, g := range all {
		mine[g.Value.Person] = append(mine[g.Value.Person], g)
	}
	for b.Value.Settled < len(verdicts) {
		next := min(b.Value.Settled+gapsAtOnce, len(verdicts))
		var changes []change
		for _, v := range verdicts[b.Value.Settled:next] {
			c, o, k := settle(b.Value, v, mine[v.Person], now)
			if c.key != "" {
				changes = append(changes, c)
			}
			opened, closed = append(opened, o...), append(closed, k...)
		}
		b.Value.Settled = next
		changes = append(changes, replace(batchKey(b.Value.ID), b))
		if err := l.commit(ctx, source, changes...); err != nil {
			return b, nil, nil, err
		}
		if b, err = l.Batch(ctx, source, b.Value.ID); err != nil {
			return b, nil, nil, err
		}
	}
	return b, opened, closed, nil
}

// settle decides what becomes of an individual's gaps when a batch ends: the one that it carried is closed or open again; what
// it leaves adds to an open one of the same reason that it adjoins, or becomes one of its own.
func settle(b Batch, v Verdict, gaps []Row[Gap], now time.Time) (c change, opened, closed []Gap) {
	if i := slices.IndexFunc(gaps, func(g Row[Gap]) bool { return g.Value.Batch == b.ID }); i >= 0 {
		g := gaps[i]
		if v.Reason == "" {
			c = remove(gapKey(g.Value.id()))
			c.etag = g.etag
			return c, nil, []Gap{g.Value}
		}
		g.Value = g.Value.open(v.Reason, now)
		g.Value.Held = b.GivenUp
		return replace(gapKey(g.Value.id()), g), []Gap{g.Value}, nil
	}
	if v.Reason == "" {
		return change{}, nil, nil
	}
	for _, g := range gaps {
		o := g.Value
		if o.Batch != "" || o.Asked || o.Held != b.GivenUp || o.Reason != v.Reason || o.Origin == "" || o.Start.After(b.End) || o.End.Before(b.Start) {
			continue
		}
		if !b.Start.Before(o.Start) && !b.End.After(o.End) {
			return change{}, nil, nil // it is owed already
		}
		if b.Start.Before(o.Start) {
			g.Value.Start = b.Start
		}
		if b.End.After(o.End) {
			g.Value.End = b.End
		}
		if g.Value.Window().Duration() > LongestGap {
			continue
		}
		return replace(gapKey(o.id()), g), []Gap{g.Value}, nil
	}
	g := Gap{
		Person: v.Person, Custodian: v.Custodian, Lane: v.Lane, Start: b.Start, End: b.End, Reason: v.Reason, Origin: b.ID,
		Opened: now, Attempts: 1, Due: now.Add(GapWait(1)), Held: b.GivenUp,
	}
	return insert(gapKey(g.id()), g), []Gap{g}, nil
}

// WindowAt finds the batch of the schedule whose period holds an instant; ErrNotFound if there is none.
func (l *Ledger) WindowAt(ctx context.Context, source string, at time.Time) (Row[Batch], error) {
	at = at.UTC()
	rows, err := l.Overlapping(ctx, source, capture.Window{Start: at, End: at.Add(time.Second)})
	if err != nil {
		return Row[Batch]{}, err
	}
	for _, b := range rows {
		if b.Value.Reason == capture.ReasonWindow && b.Value.Window().Contains(at) {
			return b, nil
		}
	}
	return Row[Batch]{}, ErrNotFound
}

// Overlapping lists the batches whose periods share time with the window, whatever they were made for, the oldest period first.
func (l *Ledger) Overlapping(ctx context.Context, source string, w capture.Window) ([]Row[Batch], error) {
	// Rows stand by the beginnings of their periods; the ends are a property, whose texts compare as the times do.
	filter := fmt.Sprintf("PartitionKey eq '%s' and RowKey ge 'batch:' and RowKey lt 'batch:%s' and End gt '%s'",
		source, capture.BatchTime(w.End), w.Start.UTC().Format(time.RFC3339))
	return query[Batch](ctx, l, filter)
}
