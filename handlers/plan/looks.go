package plan

import (
	"context"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
)

// A second look lists once more what has been collected, folder by folder: mail may become visible hours or days after it was
// received. Each day the last full day is looked at, and once a week the last two weeks.
const (
	lookAfter = 4 * time.Hour // after the day's end, so that what is late by hours is there
	wideLook  = 14 * 24 * time.Hour
	wideEvery = 7 * 24 * time.Hour
)

// look makes the batch of a second look when one is due. What has not been planned yet, lies before the collection's beginning, or
// ended two weeks ago is not looked at.
func (w *work) look(ctx context.Context) error {
	s, row, now := w.source, w.row.Value, w.Now().UTC()
	day := now.Add(-lookAfter - s.Offset - s.Settle).Truncate(24 * time.Hour) // the end of the last full day
	if !day.After(row.LookedDay) {
		return nil
	}
	period := capture.Window{Start: day.Add(-24 * time.Hour), End: day}
	wide := !day.Before(row.LookedWeek.Add(wideEvery))
	switch longest := day.Add(-wideLook); {
	case wide || row.LookedDay.Before(longest):
		period.Start = longest
	case row.LookedDay.Before(period.Start): // a day's look had to wait
		period.Start = row.LookedDay
	}
	if row.Begin.After(period.Start) {
		period.Start = capture.Second(row.Begin)
	}
	if capture.Second(row.State).Before(period.End) {
		if s.EndDate.IsZero() || capture.Second(row.State).Before(capture.Second(s.EndDate)) {
			return nil // a backlog is collected first
		}
		period.End = capture.Second(s.EndDate)
	}
	custodians, lanes, err := w.lookedAt(ctx, period)
	if err != nil || period.Start.Before(period.End) && w.beingCollected(period, lanes) {
		return err
	}
	w.row.Value.LookedDay = day
	if wide {
		w.row.Value.LookedWeek = day
	}
	if len(custodians) == 0 || !period.Start.Before(period.End) {
		return w.looked(ctx)
	}
	_, err = w.make(ctx, ledger.Batch{Start: period.Start, End: period.End, Reason: capture.ReasonLate}, custodians,
		func(b ledger.Batch) error { return w.Ledger.CreateBatch(ctx, s.Name, w.row, b) })
	return err
}

// looked notes that there was nothing to look at.
func (w *work) looked(ctx context.Context) error {
	err := w.Ledger.UpdateSource(ctx, w.source.Name, func(r *ledger.Source) bool {
		r.LookedDay, r.LookedWeek = w.row.Value.LookedDay, w.row.Value.LookedWeek
		return true
	})
	if err == nil {
		w.row, err = w.Ledger.Source(ctx, w.source.Name)
	}
	return err
}

// lookedAt are the custodians of a second look: who was monitored in the period and can be collected.
func (w *work) lookedAt(ctx context.Context, period capture.Window) (custodians []capture.Custodian, lanes []int, err error) {
	people, err := w.persons(ctx)
	for _, p := range people {
		if p.Value.Reason == "" && p.Value.Monitored(period) {
			custodians = append(custodians, p.Value.Custodian())
			lanes = append(lanes, p.Value.Lane)
		}
	}
	return custodians, lanes, err
}
