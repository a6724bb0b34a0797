package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"
)

// write writes the rows that have changed, many in a transaction, with the gaps that come with the changes.
func (r *Registry) write(ctx context.Context, s settings.Source, people []*individual) error {
	var changed []*individual
	for _, p := range people {
		if p.changed() {
			changed = append(changed, p)
		}
	}
	for some := range slices.Chunk(changed, ledger.MaxPeople) {
		err := r.writeSome(ctx, s, some)
		if !errors.Is(err, ledger.ErrConflict) {
			if err != nil {
				return err
			}
			continue
		}
		// A second run is at the same rows: each is tried alone. Where it has read an older list, the next run mends that.
		for _, p := range some {
			if err := r.writeSome(ctx, s, []*individual{p}); err != nil && !errors.Is(err, ledger.ErrConflict) {
				return err
			}
		}
	}
	return nil
}

// triesOfWrite is how often a transaction is decided anew because the planner was faster.
const triesOfWrite = 3

func (r *Registry) writeSome(ctx context.Context, s settings.Source, people []*individual) (err error) {
	for range triesOfWrite {
		row, readErr := r.Ledger.Source(ctx, s.Name)
		if readErr != nil {
			return readErr
		}
		past := planned(s, row.Value)
		rows := make([]ledger.Row[ledger.Person], len(people))
		var gaps []ledger.Gap
		for i, p := range people {
			rows[i] = p.row
			rows[i].Value.Intervals.V = remember(p.before.Intervals.V, p.row.Value.Intervals.V, past)
			more, err := r.joined(ctx, s.Name, past, p)
			if err != nil {
				return err
			}
			gaps = append(gaps, more...)
		}
		// A transaction has room for 100 rows: whoever is owed years of the past is written alone, and the rest later.
		if len(rows)+len(gaps) > maxRows && len(people) > 1 {
			return ledger.ErrConflict
		}
		now, later := gaps[:min(len(gaps), maxRows)], gaps[min(len(gaps), maxRows):]
		for _, g := range later { // opened first: a run that dies in between opens them again
			if _, err := r.Ledger.PutGap(ctx, s.Name, g); err != nil {
				return err
			}
		}
		if err = r.Ledger.PutPeople(ctx, s.Name, row, rows, now); err == nil {
			r.tell(ctx, s.Name, gaps)
		}
		if !errors.Is(err, ledger.ErrConflict) {
			return err
		}
	}
	return err
}

// maxRows is how many rows a transaction has beside the source's.
const maxRows = 95

func (r *Registry) tell(ctx context.Context, source string, gaps []ledger.Gap) {
	for _, g := range gaps {
		r.Log.With(g.Fields()...).WarnContext(ctx, "gap opened", "source", source)
	}
}

// planned is the time that lies before the ingestion state, for which batches were made; an empty window: none, or none of
// which it matters who is monitored.
func planned(s settings.Source, source ledger.Source) capture.Window {
	past := capture.Window{Start: begin(s, source), End: capture.Second(source.State)}
	if source.PeopleAt.IsZero() || !past.Start.Before(past.End) {
		return capture.Window{}
	}
	return past
}

// remember keeps as history what was monitored when its batches were planned, and is no longer: a list that puts a beginning
// forward, or an end back, takes nothing away from what was collected. Without it, the same time would be collected again when
// the list is set right.
func remember(had, has []ledger.Interval, past capture.Window) []ledger.Interval {
	if past.End.IsZero() {
		return has
	}
	for _, i := range had {
		for _, w := range minus(within([]ledger.Interval{i}, past), within(has, past)) {
			has = addHistory(has, ledger.Interval{From: w.Start, To: w.End, Cause: left + strings.TrimPrefix(i.Cause, left)})
		}
	}
	return has
}

// addHistory adds an interval that has ended, or makes the one that it adjoins longer: a list may say something else every day.
func addHistory(all []ledger.Interval, h ledger.Interval) []ledger.Interval {
	all = slices.Clone(all)
	for n := range all {
		if i := &all[n]; i.Cause == h.Cause && i.To.Equal(h.From) {
			i.To = h.To
			return all
		}
	}
	return append(all, h)
}

// joined are the gaps of an individual who is monitored for time that was planned without them.
func (r *Registry) joined(ctx context.Context, source string, past capture.Window, p *individual) ([]ledger.Gap, error) {
	if past.End.IsZero() {
		return nil, nil
	}
	owed := within(p.row.Value.Intervals.V, past)
	had := within(p.before.Intervals.V, past)
	owed = minus(owed, had)
	if len(owed) == 0 {
		return nil, nil
	}
	for i := range had { // a batch has everyone who is monitored at any instant of it
		for _, at := range []time.Time{had[i].Start, had[i].End.Add(-time.Second)} {
			b, err := r.Ledger.WindowAt(ctx, source, at)
			if errors.Is(err, ledger.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("find batch: %w", err)
			}
			owed = minus(owed, []capture.Window{b.Value.Window()})
		}
	}
	var gaps []ledger.Gap
	for _, w := range owed {
		for w.Start.Before(w.End) {
			end := w.Start.Add(ledger.LongestGap)
			if end.After(w.End) {
				end = w.End
			}
			g := ledger.Gap{
				Person: ledger.PersonKey(p.row.Value.Identifier), Custodian: nameOf(p.row.Value), Lane: p.row.Value.Lane,
				Start: w.Start, End: end, Reason: capture.ReasonJoined, Opened: r.Now().UTC().Truncate(time.Second),
			}
			open, err := r.Ledger.GapOpen(ctx, source, g)
			if err != nil {
				return nil, err
			}
			if !open {
				gaps = append(gaps, g)
			}
			w.Start = end
		}
	}
	return gaps, nil
}

// begin is from where on the source owes anything.
func begin(s settings.Source, source ledger.Source) time.Time {
	switch {
	case !source.Begin.IsZero():
		return capture.Second(source.Begin)
	case !s.StartDate.IsZero(): // the row was written by an older version
		return capture.Second(s.StartDate)
	}
	return capture.Second(source.EnabledAt)
}

// within cuts intervals of monitoring to whole seconds and to a period.
func within(intervals []ledger.Interval, period capture.Window) []capture.Window {
	var all []capture.Window
	for _, i := range intervals {
		w := period
		if from := capture.Second(i.From); from.After(w.Start) {
			w.Start = from
		}
		if to := capture.Second(i.To.Add(time.Second - 1)); !i.To.IsZero() && to.Before(w.End) {
			w.End = to
		}
		if w.Start.Before(w.End) {
			all = append(all, w)
		}
	}
	return united(all)
}

// united puts together what overlaps or adjoins.
func united(windows []capture.Window) []capture.Window {
	slices.SortFunc(windows, func(a, b capture.Window) int { return a.Start.Compare(b.Start) })
	var all []capture.Window
	for _, w := range windows {
		if n := len(all) - 1; n >= 0 && !w.Start.After(all[n].End) {
			if w.End.After(all[n].End) {
				all[n].End = w.End
			}
			continue
		}
		all = append(all, w)
	}
	return all
}

// minus takes times out of others.
func minus(from, what []capture.Window) []capture.Window {
	for _, w := range what {
		var left []capture.Window
		for _, f := range from {
			if !w.Start.Before(f.End) || !f.Start.Before(w.End) {
				left = append(left, f)
				continue
			}
			if f.Start.Before(w.Start) {
				left = append(left, capture.Window{Start: f.Start, End: w.Start})
			}
			if w.End.Before(f.End) {
				left = append(left, capture.Window{Start: w.End, End: f.End})
			}
		}
		from = left
	}
	return from
}
