package event

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/mailfmt/zones"
)

// The years that Outlook can hold; a time outside of them is none.
const (
	firstYear = 1601
	lastYear  = 4500
)

// component reads when an event is. A time that cannot be read gives false.
func (r *reader) component(e *capture.CalendarEvent) (component, bool) {
	c := component{event: e, attendees: sorted(e.Attendees), body: bodyText(e)}
	home := r.home(e)
	var isSaid bool
	if e.IsAllDay {
		c.start, c.end, isSaid = r.days(e, home)
	} else {
		c.start, isSaid = r.moment(e.Start, home)
		if end, ok := r.moment(e.End, home); ok {
			c.end = end
		}
		if zone, ok := zones.Find(e.OriginalEndTimeZone); ok && e.Recurrence == nil && !c.end.isZero() {
			c.end = at(c.end.at, zone)
		}
	}
	if !isSaid {
		return c, false
	}
	r.defect(NoEnd, c.end.isZero())
	if !c.end.isZero() && c.end.at.Before(c.start.at) {
		r.defect(EndBeforeStart, true)
		c.end = moment{}
	}
	return c, true
}

// home is the zone that an event's times are written in: of a series the one that its days are counted in, otherwise the one
// that it was made in.
func (r *reader) home(e *capture.CalendarEvent) zones.Zone {
	if e.Recurrence != nil {
		r.zone(e.OriginalStartTimeZone)
		return r.zone(e.Recurrence.Range.RecurrenceTimeZone, e.OriginalStartTimeZone, e.Start.TimeZone)
	}
	return r.zone(e.OriginalStartTimeZone, r.recurrenceZone(), e.Start.TimeZone)
}

func (r *reader) recurrenceZone() string {
	if r.recurrence == nil {
		return ""
	}
	return r.recurrence.Range.RecurrenceTimeZone
}

// zone is the first of the names that is known, or else UTC. A name that is told and unknown is a defect.
func (r *reader) zone(names ...string) zones.Zone {
	for _, name := range names {
		if name == "" {
			continue
		}
		if z, ok := zones.Find(name); ok {
			return z
		}
		r.defect(UnknownZone, true)
	}
	return zones.UTC()
}

// moment reads a time, to be written in the zone given.
func (r *reader) moment(t capture.ZonedTime, home zones.Zone) (moment, bool) {
	clock, ok := clockOf(t.DateTime)
	if !ok {
		return moment{}, false
	}
	return at(zones.Instant(clock, r.zone(t.TimeZone, r.recurrenceZone()).Location), home), true
}

// clockOf reads what a clock shows, to the second. An offset, which Graph does not write, is passed by.
func clockOf(text string) (time.Time, bool) {
	text = strings.TrimSpace(text)
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04", time.DateOnly} {
		t, err := time.Parse(layout, text)
		if err == nil {
			t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
			return t, plausible(t)
		}
	}
	return time.Time{}, false
}

func plausible(t time.Time) bool { return t.Year() >= firstYear && t.Year() <= lastYear }

// days reads the days of an event of whole days. Graph shows them from midnight to midnight, whatever zone it is asked for.
func (r *reader) days(e *capture.CalendarEvent, home zones.Zone) (start, end moment, ok bool) {
	from, ok := r.midnight(e.Start, home)
	if !ok {
		return moment{}, moment{}, false
	}
	start = wholeDay(dayOf(from))
	to, isSaid := r.midnight(e.End, home)
	if !isSaid {
		return start, end, true
	}
	if day := dayOf(to); !day.Equal(to) {
		to = day.AddDate(0, 0, 1)
	}
	if to.Equal(start.at) { // a day that ends on its own date is meant so
		to = start.at.AddDate(0, 0, 1)
	}
	return start, wholeDay(to), true
}

// midnight reads a bound of whole days: what is told, or what clocks of the event's own zone show then if that is midnight.
func (r *reader) midnight(t capture.ZonedTime, home zones.Zone) (time.Time, bool) {
	clock, ok := clockOf(t.DateTime)
	if !ok || dayOf(clock).Equal(clock) {
		return clock, ok
	}
	told := zones.Instant(clock, r.zone(t.TimeZone, r.recurrenceZone()).Location)
	if own := zones.Clock(told, home.Location); dayOf(own).Equal(own) {
		return own, true
	}
	r.defect(OddAllDay, true)
	return clock, true
}

func dayOf(clock time.Time) time.Time {
	y, m, d := clock.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// series reads the recurrence, and the occurrences that are not as it says.
func (r *reader) series(e *capture.CalendarEvent) {
	if e.Recurrence != nil {
		r.repeat(e)
	}
	r.exceptions(e)
	r.cancelled(e)
}

// repeat reads the rule, and moves the start to the first day that it allows: a series must start with an occurrence.
func (r *reader) repeat(e *capture.CalendarEvent) {
	m := &r.event.master
	told := m.start.day()
	rule, ok := newRule(*e.Recurrence, told)
	if !ok {
		r.defect(BrokenRecurrence, true)
		r.event.asWritten = e.Recurrence.Pattern.Type
		return
	}
	r.defect(OddStart, !told.Equal(rule.from) && !told.Equal(rule.first))
	was := m.start
	m.start = r.onDay(rule.first)
	if !m.end.isZero() {
		m.end = m.end.later(m.start.at.Sub(was.at))
	}
	rule.bound(m.start)
	r.event.rule = rule
}

// onDay is the series' occurrence of a day.
func (r *reader) onDay(day time.Time) moment {
	start := r.event.master.start
	return start.on(day.Add(start.clock.Sub(start.day())))
}

// exceptions reads the occurrences that were changed. A series has one occurrence on a day, which is what tells them apart.
// Of one that was changed twice the last change counts.
func (r *reader) exceptions(e *capture.CalendarEvent) {
	for i := range e.Exceptions {
		x := &e.Exceptions[i]
		c, ok := r.component(x)
		c.original = r.original(x)
		if !ok || c.original.isZero() {
			r.defect(BrokenOccurrence, true)
			r.event.untold = append(r.event.untold, c)
			continue
		}
		if rule := r.event.rule; rule != nil && rule.falls(c.original.day()) {
			c.original = r.onDay(c.original.day())
		}
		r.event.changed = append(r.event.changed, c)
	}
	slices.SortFunc(r.event.changed, compareChanges)
	slices.SortFunc(r.event.untold, compareChanges)
	all := len(r.event.changed)
	r.event.changed = slices.CompactFunc(r.event.changed, func(a, b component) bool { return sameTime(a.original, b.original) })
	r.defect(DoubledOccurrence, len(r.event.changed) < all)
	for _, c := range r.event.changed {
		if rule := r.event.rule; rule != nil && !rule.falls(c.original.day()) {
			r.defect(StrayOccurrence, true)
			r.event.added = append(r.event.added, c.original)
		}
	}
}

func compareChanges(a, b component) int {
	return cmp.Or(
		a.original.at.Compare(b.original.at), b.event.LastModified.Compare(a.event.LastModified), a.start.at.Compare(b.start.at),
		strings.Compare(a.event.ID, b.event.ID), strings.Compare(a.event.ChangeKey, b.event.ChangeKey),
		strings.Compare(a.event.Subject, b.event.Subject),
	)
}

// original is when a changed occurrence would have been, as its series tells times; zero where nothing says it.
func (r *reader) original(x *capture.CalendarEvent) moment {
	start := r.event.master.start
	if !plausible(x.OriginalStart) {
		if day, ok := occurrenceDay(x.OccurrenceID); ok {
			return r.onDay(day)
		}
		return moment{}
	}
	told := x.OriginalStart.UTC().Truncate(time.Second)
	if !start.date {
		return at(told, start.zone)
	}
	clock := zones.Clock(told, r.home(r.event.master.event).Location)
	if !dayOf(clock).Equal(clock) {
		clock = told
	}
	return wholeDay(dayOf(clock))
}

// cancelled reads the occurrences that were taken out.
func (r *reader) cancelled(e *capture.CalendarEvent) {
	for _, id := range e.CancelledOccurrences {
		day, ok := occurrenceDay(id)
		if !ok {
			r.defect(BrokenOccurrence, true)
			r.event.unread = append(r.event.unread, id)
			continue
		}
		r.event.excluded = append(r.event.excluded, r.onDay(day))
	}
	slices.SortFunc(r.event.excluded, func(a, b moment) int { return a.at.Compare(b.at) })
	r.event.excluded = slices.CompactFunc(r.event.excluded, sameTime)
	slices.Sort(r.event.unread)
	for _, c := range r.event.changed {
		both := slices.ContainsFunc(r.event.excluded, func(m moment) bool { return sameTime(m, c.original) })
		r.defect(DoubledOccurrence, both)
	}
}

func sameTime(a, b moment) bool { return a.at.Equal(b.at) }

// occurrenceDay is the day in an occurrence's id, which may have dots before.
func occurrenceDay(id string) (time.Time, bool) {
	return dateOf(id[strings.LastIndexByte(id, '.')+1:])
}

func dateOf(text string) (time.Time, bool) {
	t, err := time.Parse(time.DateOnly, text)
	return t, err == nil && plausible(t)
}
