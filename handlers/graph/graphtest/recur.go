package graphtest

import (
	"slices"
	"strings"
	"time"

	"chainmail/handlers/capture"
)

// An Instance is an event as a calendar view shows it: a single one, or an occurrence of a series.
type Instance struct {
	Start, End time.Time // UTC; of whole days they are midnights
	Original   time.Time // of an occurrence: when it would have been had it not been changed
	Event      *capture.CalendarEvent
	Changed    bool // Event is the exception, not the master
}

// Instances are those of an event that overlap [from, to), by their starts. Occurrences are found as Microsoft describes
// patterns (recurrencePattern and recurrenceRange resource types): by looking at each day from the range's start on whether the
// pattern allows it. Zone gives the place of a zone's name, nil where it knows none.
func Instances(e *capture.CalendarEvent, zone func(name string) *time.Location, from, to time.Time) []Instance {
	s := series{e: e, zone: zone}
	var all []Instance
	if e.Recurrence == nil {
		start, end := s.times(e)
		all = []Instance{{Start: start, End: end, Event: e}}
	} else {
		all = s.occurrences(to)
	}
	all = slices.DeleteFunc(all, func(i Instance) bool {
		return !i.Start.Before(to) || !i.End.After(from) && !(i.Start.Equal(i.End) && i.Start.Equal(from))
	})
	slices.SortStableFunc(all, func(a, b Instance) int { return a.Start.Compare(b.Start) })
	return all
}

// maxMove is how much earlier than it would have been an occurrence is looked for.
const maxMove = 400

// A series is an event that repeats.
type series struct {
	e    *capture.CalendarEvent
	zone func(string) *time.Location
}

// place is the first of the zones that is known, or else UTC.
func (s series) place(names ...string) *time.Location {
	for _, name := range names {
		if loc := s.zone(name); name != "" && loc != nil {
			return loc
		}
	}
	return time.UTC
}

// home is where the series' days are counted.
func (s series) home() *time.Location {
	return s.place(s.e.Recurrence.Range.RecurrenceTimeZone, s.e.OriginalStartTimeZone, s.e.Start.TimeZone)
}

// times are an event's start and end. Those of whole days are told as midnights, which are no instants.
func (s series) times(e *capture.CalendarEvent) (start, end time.Time) {
	start, end = s.instant(e.Start), s.instant(e.End)
	if e.IsAllDay {
		start, end = clockShows(e.Start), clockShows(e.End)
	}
	return start, end
}

func (s series) instant(t capture.ZonedTime) time.Time {
	return onClock(clockShows(t), s.place(t.TimeZone))
}

func clockShows(t capture.ZonedTime) time.Time {
	shown, _ := time.Parse("2006-01-02T15:04:05", t.DateTime) // a fraction may follow
	return shown
}

// onClock is when clocks of a place show a time. Of the hour that they show twice it is the first time; in the hour that they
// skip, they are read as if they had not been put forward.
func onClock(shown time.Time, loc *time.Location) time.Time {
	_, before := shown.Add(-30 * time.Hour).In(loc).Zone()
	_, after := shown.Add(30 * time.Hour).In(loc).Zone()
	early, late := shown.Add(-time.Duration(before)*time.Second), shown.Add(-time.Duration(after)*time.Second)
	if _, is := early.In(loc).Zone(); is == before {
		return early
	}
	if _, is := late.In(loc).Zone(); is == after {
		return late
	}
	return early
}

// occurrences walks the days of the range, but not beyond a time.
func (s series) occurrences(to time.Time) []Instance {
	r := s.e.Recurrence.Range
	first := date(r.StartDate)
	limit := date(to.UTC().Format(time.DateOnly)).AddDate(0, 0, maxMove)
	home := s.home()
	start, end := s.times(s.e)
	clock := start
	if !s.e.IsAllDay {
		local := start.In(home)
		clock = time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), 0, time.UTC)
	}
	timeOfDay := clock.Sub(date(clock.Format(time.DateOnly)))
	var all []Instance
	n := 0
	for day := first; !day.After(limit); day = day.AddDate(0, 0, 1) {
		if r.Type == "endDate" && day.After(date(r.EndDate)) || r.Type == "numbered" && n == int(r.NumberOfOccurrences) {
			break
		}
		if !allows(s.e.Recurrence.Pattern, first, day) {
			continue
		}
		n++
		at := day.Add(timeOfDay)
		if !s.e.IsAllDay {
			at = onClock(at, home)
		}
		if i, ok := s.occurrence(day, at, end.Sub(start)); ok {
			all = append(all, i)
		}
	}
	return all
}

// occurrence is that of a day, as it was changed; there is none where it was cancelled.
func (s series) occurrence(day, at time.Time, length time.Duration) (Instance, bool) {
	for _, id := range s.e.CancelledOccurrences {
		if strings.HasSuffix(id, "."+day.Format(time.DateOnly)) {
			return Instance{}, false
		}
	}
	for i := range s.e.Exceptions {
		x := &s.e.Exceptions[i]
		if x.OriginalStart.Equal(at) {
			start, end := s.times(x)
			return Instance{Start: start, End: end, Original: at, Event: x, Changed: true}, true
		}
	}
	return Instance{Start: at, End: at.Add(length), Original: at, Event: s.e}, true
}

func date(text string) time.Time {
	day, _ := time.Parse(time.DateOnly, text)
	return day
}

// allows reports whether a pattern that begins on a day falls on another.
func allows(p capture.RecurrencePattern, first, day time.Time) bool {
	every := int(p.Interval)
	months := 12*day.Year() + int(day.Month()) - 12*first.Year() - int(first.Month())
	isMonth := months%every == 0
	isYear := (day.Year()-first.Year())%every == 0 && int(day.Month()) == int(p.Month)
	switch p.Type {
	case "daily":
		return daysBetween(first, day)%every == 0
	case "weekly":
		return daysBetween(weekOf(first, p.FirstDayOfWeek), weekOf(day, p.FirstDayOfWeek))/7%every == 0 && isOneOf(p, day)
	case "absoluteMonthly":
		return isMonth && isDayOfMonth(p, day)
	case "relativeMonthly":
		return isMonth && isIndexed(p, day)
	case "absoluteYearly":
		return isYear && isDayOfMonth(p, day)
	case "relativeYearly":
		return isYear && isIndexed(p, day)
	}
	return false
}

func daysBetween(a, b time.Time) int { return int(b.Sub(a) / (24 * time.Hour)) }

// weekOf is the first day of a day's week.
func weekOf(day time.Time, firstDayOfWeek string) time.Time {
	if firstDayOfWeek == "" {
		firstDayOfWeek = "sunday"
	}
	for !strings.EqualFold(day.Weekday().String(), firstDayOfWeek) {
		day = day.AddDate(0, 0, -1)
	}
	return day
}

func isOneOf(p capture.RecurrencePattern, day time.Time) bool {
	return slices.ContainsFunc(p.DaysOfWeek, func(name string) bool { return strings.EqualFold(name, day.Weekday().String()) })
}

// isDayOfMonth: "If the month does not have that day, the last day of the month" (Outlook says so when it is chosen).
func isDayOfMonth(p capture.RecurrencePattern, day time.Time) bool {
	isLast := day.AddDate(0, 0, 1).Month() != day.Month()
	return day.Day() == int(p.DayOfMonth) || isLast && day.Day() < int(p.DayOfMonth)
}

// isIndexed: the instance of the allowed days that the index specifies, counted from the first such day of the month.
func isIndexed(p capture.RecurrencePattern, day time.Time) bool {
	if !isOneOf(p, day) {
		return false
	}
	before, after := 0, 0 // allowed days of the month on either side
	for d := day.AddDate(0, 0, -1); d.Month() == day.Month(); d = d.AddDate(0, 0, -1) {
		if isOneOf(p, d) {
			before++
		}
	}
	for d := day.AddDate(0, 0, 1); d.Month() == day.Month(); d = d.AddDate(0, 0, 1) {
		if isOneOf(p, d) {
			after++
		}
	}
	if p.Index == "last" {
		return after == 0
	}
	return before == max(0, slices.Index([]string{"first", "second", "third", "fourth"}, p.Index))
}
