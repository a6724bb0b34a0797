package collect

import (
	"context"
	"fmt"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/mailfmt/event"
)

// The errors of a series in a cloud that does not tell which of its occurrences were changed or cancelled, so that they are
// looked for: an occurrence of the rule that Graph does not show was cancelled.
const (
	codeCancelledUnknown = "CancelledOccurrencesUnknown" // Graph shows occurrences that the rule does not have, or other ones each time
	codeCut              = "OccurrencesCut"              // the series is longer than what is looked through
)

// The bounds of what is looked through of a series, a request for each year.
const (
	maxSeries = 50 // years in all
	afterward = 2  // years after the batch, of a series that goes on without end or for longer than maxSeries
	moved     = 1  // years by which an occurrence may have been moved out of the others' time, for it to be found
)

// tell fetches an event with the occurrences that were changed or cancelled. The code says what of them is not known.
func (r *run) tell(ctx context.Context, p *progress, id string) (told capture.CalendarEvent, code string, err error) {
	for range listings {
		var complete bool
		if told, complete, err = r.graph.Event(ctx, p.Custodian.ID, id); err != nil || complete {
			return told, "", err
		}
		code, err = r.completeSeries(ctx, p, &told)
		if graph.MeaningOf(err) == graph.NotFound { // of the series or of an occurrence, which went meanwhile
			continue
		}
		if err != nil {
			return told, "", err
		}
		now, err := r.graph.EventAlone(ctx, p.Custodian.ID, id)
		if err != nil || now.ChangeKey == told.ChangeKey {
			return told, code, err
		}
	}
	told.CancelledOccurrences = nil // what was found while the series changed
	return told, codeCancelledUnknown, nil
}

// noteUnknown has the coverage say what of a series is not known.
func (r *run) noteUnknown(p *progress, code string) {
	switch code {
	case codeCancelledUnknown:
		r.note(p, "cancelled occurrences", "the cloud does not tell them, and of some series they could not be found")
	case codeCut:
		r.note(p, "occurrences of long series", "the cloud does not tell which were changed or cancelled; looked for until "+
			fmt.Sprintf("%s, over %d years at most", r.seriesLimit().Format(time.DateOnly), maxSeries))
	}
}

// completeSeries looks for the occurrences of a series that were changed or cancelled, by those that there are.
func (r *run) completeSeries(ctx context.Context, p *progress, e *capture.CalendarEvent) (code string, err error) {
	read, err := event.Read(*e)
	if err != nil {
		return "", nil // it is no calendar, which look tells
	}
	span, cut := r.seriesSpan(read)
	wide := capture.Window{Start: span.Start.AddDate(-moved, 0, 0), End: span.End.AddDate(moved, 0, 0)}
	all, err := r.graph.Occurrences(ctx, p.Custodian.ID, e.ID, wide)
	if err != nil {
		return "", err
	}
	var originals []time.Time
	for _, o := range all {
		if o.Changed {
			x, err := r.graph.EventAlone(ctx, p.Custodian.ID, o.ID)
			if err != nil {
				return "", err
			}
			e.Exceptions = append(e.Exceptions, x)
			o.Original = x.OriginalStart
		}
		originals = append(originals, o.Original)
	}
	days, ok := read.Missing(originals, span.Start, span.End)
	if !ok {
		return codeCancelledUnknown, nil
	}
	for _, day := range days {
		e.CancelledOccurrences = append(e.CancelledOccurrences, "OID."+e.ID+"."+day.Format(time.DateOnly))
	}
	if cut {
		return codeCut, nil
	}
	return "", nil
}

// seriesLimit is until when a series is looked through that has no end.
func (r *run) seriesLimit() time.Time { return r.batch.End.UTC().AddDate(afterward, 0, 0) }

// seriesSpan is what is looked through of a series; cut says that there is more.
func (r *run) seriesSpan(read *event.Event) (span capture.Window, cut bool) {
	first, last := read.Span()
	if first.IsZero() { // its rule cannot be read: what was changed may show all the same
		return capture.Window{Start: r.batch.Start, End: r.seriesLimit()}, true
	}
	if !last.IsZero() && !last.After(first.AddDate(maxSeries, 0, 0)) {
		return capture.Window{Start: first, End: last.Add(24 * time.Hour)}, false
	}
	span = capture.Window{Start: first, End: r.seriesLimit()}
	if earliest := span.End.AddDate(-maxSeries, 0, 0); first.Before(earliest) {
		span.Start = earliest
	}
	return span, true
}
