package plan

import (
	"cmp"
	"context"
	"slices"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
)

// supplements bounds the supplements that are open at a time: what else is owed waits in the gaps.
const supplements = 100

// supply makes supplements of the gaps that can be closed now.
func (w *work) supply(ctx context.Context) error {
	if err := w.recall(ctx); err != nil {
		return err
	}
	gaps, err := w.Ledger.Gaps(ctx, w.source.Name)
	if err != nil || len(gaps) == 0 {
		return err
	}
	persons, err := w.byKey(ctx)
	if err != nil {
		return err
	}
	extra := func(b ledger.Batch) bool { return b.Reason != capture.ReasonWindow && len(b.Lanes.V) > 0 }
	waiting, err := w.waiting(ctx, extra)
	if err != nil {
		return err
	}
	room := supplements
	for _, b := range w.open {
		if extra(b.Value) {
			room--
		}
	}
	for _, group := range groups(w.closable(gaps, persons)) {
		lanes := lanesOf(group)
		busy := slices.ContainsFunc(lanes, func(n int) bool { return waiting[n] >= ahead })
		if room <= 0 || busy || w.beingCollected(group[0].Value.Window(), lanes) {
			continue
		}
		made, err := w.supplement(ctx, group, persons)
		if err != nil || !made {
			return err
		}
		room--
		for _, n := range lanes {
			waiting[n]++
		}
	}
	return nil
}

// closable are the gaps that can be closed now, as far as is known: they are due, their time has passed, nobody collects it
// just now, and the mailbox answers or a person has asked for it. What the schedule has still to come to is left to it.
func (w *work) closable(gaps []ledger.Row[ledger.Gap], persons map[string]ledger.Person) []ledger.Row[ledger.Gap] {
	now, state, end := w.Now().UTC(), w.row.Value.State, w.source.EndDate
	planned := func(g ledger.Gap) bool {
		return !g.End.After(state) || !end.IsZero() && !state.Before(end) || !g.End.After(w.row.Value.Begin)
	}
	return slices.DeleteFunc(gaps, func(row ledger.Row[ledger.Gap]) bool {
		g := row.Value
		p, known := persons[g.Person]
		return !known || g.Batch != "" || g.Due.After(now) || g.Held && !g.Asked || p.Reason != "" && !g.Asked || !planned(g) ||
			now.Before(g.End.Add(w.source.Offset+w.source.Settle)) || w.beingCollected(g.Window(), []int{g.Lane})
	})
}

// groups puts together what makes one supplement: gaps of one period and one reason, the oldest first, those of a lane side by
// side.
func groups(gaps []ledger.Row[ledger.Gap]) [][]ledger.Row[ledger.Gap] {
	same := func(a, b ledger.Gap) int {
		return cmp.Or(a.Start.Compare(b.Start), a.End.Compare(b.End), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.RetryOf, b.RetryOf))
	}
	slices.SortFunc(gaps, func(a, b ledger.Row[ledger.Gap]) int {
		return cmp.Or(same(a.Value, b.Value), cmp.Compare(a.Value.Lane, b.Value.Lane), cmp.Compare(a.Value.Person, b.Value.Person))
	})
	var all [][]ledger.Row[ledger.Gap]
	for _, g := range gaps {
		if n := len(all) - 1; n >= 0 && len(all[n]) < ledger.MaxGaps && same(all[n][0].Value, g.Value) == 0 &&
			all[n][len(all[n])-1].Value.Person != g.Value.Person {
			all[n] = append(all[n], g)
			continue
		}
		all = append(all, []ledger.Row[ledger.Gap]{g})
	}
	return all
}

func lanesOf(gaps []ledger.Row[ledger.Gap]) []int {
	var lanes []int
	for _, g := range gaps {
		lanes = append(lanes, g.Value.Lane)
	}
	slices.Sort(lanes)
	return slices.Compact(lanes)
}

// beingCollected reports whether an open batch has the time in one of the lanes: what it captures is not known yet, and would be
// captured twice.
func (w *work) beingCollected(period capture.Window, lanes []int) bool {
	return slices.ContainsFunc(w.open, func(row ledger.Row[ledger.Batch]) bool {
		b := row.Value
		return b.Start.Before(period.End) && b.End.After(period.Start) &&
			slices.ContainsFunc(lanes, func(n int) bool { return slices.Contains(b.Lanes.V, n) })
	})
}

// supplement makes a batch of gaps.
func (w *work) supplement(ctx context.Context, gaps []ledger.Row[ledger.Gap], persons map[string]ledger.Person) (bool, error) {
	var custodians []capture.Custodian
	for _, g := range gaps {
		c := persons[g.Value.Person].Custodian()
		if g.Value.Asked {
			c.Reason = ""
		}
		custodians = append(custodians, c)
	}
	first := gaps[0].Value
	b := ledger.Batch{Start: first.Start, End: first.End, Reason: first.Reason, RetryOf: first.RetryOf, Gaps: len(gaps)}
	return w.make(ctx, b, custodians, func(b ledger.Batch) error {
		return w.Ledger.CreateSupplement(ctx, w.source.Name, w.row, b, gaps)
	})
}

func (w *work) byKey(ctx context.Context) (map[string]ledger.Person, error) {
	people, err := w.persons(ctx)
	all := make(map[string]ledger.Person, len(people))
	for _, p := range people {
		all[ledger.PersonKey(p.Value.Identifier)] = p.Value
	}
	return all, err
}

// recalls is how often an item that cannot be had is fetched again after its collection has ended: over some four days.
const recalls = 10

// recall sees to the exceptions of a collection that has ended. They are fetched again at the custodian's next turns, and no window
// will bring one: a gap of the second in which such an item was received does.
func (w *work) recall(ctx context.Context) error {
	if w.source.EndDate.IsZero() || capture.Second(w.row.Value.State).Before(capture.Second(w.source.EndDate)) || len(w.open) > 0 {
		return nil
	}
	now := w.Now().UTC()
	due, err := w.Ledger.DueExceptions(ctx, w.source.Name, now)
	if err != nil || len(due) == 0 {
		return err
	}
	persons, err := w.byKey(ctx)
	if err != nil {
		return err
	}
	keys := map[string]string{}
	for key, p := range persons {
		keys[p.Custodian().Name()] = key
	}
	for _, e := range due {
		key := keys[e.Custodian]
		if key == "" || e.Attempts > recalls {
			continue
		}
		delete(keys, e.Custodian) // one turn fetches all that is due of a mailbox
		at := capture.Second(e.Item.V.Received)
		if _, err := w.Ledger.PutGap(ctx, w.source.Name, ledger.Gap{
			Person: key, Custodian: e.Custodian, Lane: e.Lane, Start: at, End: at.Add(time.Second),
			Reason: capture.ReasonException, Opened: now.Truncate(time.Second),
		}); err != nil {
			return err
		}
	}
	return nil
}
