package event

import (
	"time"

	"chainmail/handlers/capture"
)

// Span is from the first occurrence of a series to the start of its last, by the rule alone. A zero last: it goes on without
// end; a zero first as well: it does not repeat, or nobody can read how.
func (e *Event) Span() (first, last time.Time) {
	if e.rule == nil {
		return time.Time{}, time.Time{}
	}
	r := reader{event: e}
	if first = r.onDay(e.rule.first).at; !e.rule.last.IsZero() {
		last = r.onDay(e.rule.last).at
	}
	return first, last
}

// Missing gives the days on which a series has an occurrence by its rule that starts in [from, to) and is none of those whose
// original starts are given: those that were cancelled, where the others are all that there are. It says false where an original
// start is none of the rule's: the days are then counted in another way than here, as in a zone that nobody knows.
func (e *Event) Missing(originals []time.Time, from, to time.Time) (days []time.Time, ok bool) {
	if e.rule == nil {
		return nil, false
	}
	r := reader{event: e, recurrence: e.master.event.Recurrence, defects: map[string]bool{}}
	there := map[time.Time]bool{}
	for _, start := range originals {
		day := r.original(&capture.CalendarEvent{OriginalStart: start}).day()
		if !e.rule.falls(day) {
			return nil, false
		}
		there[day] = true
	}
	for k := 0; ; k++ {
		for _, day := range e.rule.period(k) {
			at := r.onDay(day).at
			if !at.Before(to) || !e.rule.last.IsZero() && day.After(e.rule.last) || day.Year() > lastYear {
				return days, true
			}
			if !day.Before(e.rule.first) && !at.Before(from) && !there[day] {
				days = append(days, day)
			}
		}
	}
}
