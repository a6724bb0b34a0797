package event

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/mailfmt/zones"
)

// The bounds of what a recurrence may say. Outlook offers intervals up to 99, and 999 occurrences.
const (
	maxInterval    = 999
	maxOccurrences = 1_000_000
)

// A rule says on which days a series falls. Days are midnights as if in UTC.
type rule struct {
	pattern
	from  time.Time // the range's first day, which need not be an occurrence; periods are counted from its own
	first time.Time // the first occurrence
	until time.Time // the range's last day; zero: none
	count int       // how many there are; 0: not said
	last  time.Time // the last occurrence; zero: there is none, or it lies beyond lastYear

	untilValue string // as the RRULE has it
}

// A pattern is Graph's, checked.
type pattern struct {
	kind     string
	interval int
	month    time.Month
	day      int
	weekdays []time.Weekday // each once, from Monday on
	week     time.Weekday   // the first day of a week
	position int            // 1 to 4, or -1: the last
}

var weekdays = map[string]time.Weekday{
	"sunday": time.Sunday, "monday": time.Monday, "tuesday": time.Tuesday, "wednesday": time.Wednesday, "thursday": time.Thursday,
	"friday": time.Friday, "saturday": time.Saturday,
}

var positions = map[string]int{"": 1, "first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}

// newRule checks a recurrence; start is the day on which the event starts. One that is none, or has no day, gives false.
func newRule(rec capture.Recurrence, start time.Time) (*rule, bool) {
	p, ok := newPattern(rec.Pattern)
	if !ok {
		return nil, false
	}
	r := &rule{pattern: p, from: start}
	if rec.Range.StartDate != "" {
		if r.from, ok = dateOf(rec.Range.StartDate); !ok {
			return nil, false
		}
	}
	switch rec.Range.Type {
	case "noEnd":
	case "endDate":
		until, err := time.Parse(time.DateOnly, rec.Range.EndDate)
		if err != nil {
			return nil, false
		}
		if until.Year() <= lastYear { // later is never
			r.until = until
		}
	case "numbered":
		if r.count = int(rec.Range.NumberOfOccurrences); r.count < 1 || r.count > maxOccurrences {
			return nil, false
		}
	default:
		return nil, false
	}
	return r, r.walk()
}

func newPattern(g capture.RecurrencePattern) (p pattern, ok bool) {
	p = pattern{kind: g.Type, interval: int(g.Interval), week: time.Sunday}
	ok = p.interval >= 1 && p.interval <= maxInterval
	if g.FirstDayOfWeek != "" {
		p.week, ok = weekdayOf(g.FirstDayOfWeek, ok)
	}
	for _, name := range g.DaysOfWeek {
		var day time.Weekday
		if day, ok = weekdayOf(name, ok); !slices.Contains(p.weekdays, day) {
			p.weekdays = append(p.weekdays, day)
		}
	}
	slices.SortFunc(p.weekdays, func(a, b time.Weekday) int { return cmp.Compare((a+6)%7, (b+6)%7) })
	isYearly := p.kind == "absoluteYearly" || p.kind == "relativeYearly"
	if p.month = time.Month(g.Month); isYearly {
		ok = ok && p.month >= 1 && p.month <= 12
	}
	switch p.kind {
	case "daily":
	case "weekly":
		ok = ok && len(p.weekdays) > 0
	case "absoluteMonthly", "absoluteYearly":
		p.day = int(g.DayOfMonth)
		ok = ok && p.day >= 1 && p.day <= 31
	case "relativeMonthly", "relativeYearly":
		var isPosition bool
		p.position, isPosition = positions[g.Index]
		ok = ok && isPosition && len(p.weekdays) > 0
	default:
		ok = false
	}
	return p, ok
}

func weekdayOf(name string, ok bool) (time.Weekday, bool) {
	day, known := weekdays[strings.ToLower(name)]
	return day, ok && known
}

// walk finds the first and the last occurrence; there being none gives false.
func (r *rule) walk() bool {
	n := 0
	for k := 0; ; k++ {
		days := r.period(k)
		for _, d := range days {
			switch {
			case d.Before(r.from):
			case !r.until.IsZero() && d.After(r.until), r.count > 0 && n == r.count:
				return n > 0
			case d.Year() > lastYear:
				r.last = time.Time{}
				return n > 0
			default:
				if n++; n == 1 {
					r.first = d
				}
				r.last = d
				if r.until.IsZero() && r.count == 0 {
					r.last = time.Time{}
					return true
				}
			}
		}
	}
}

// period gives the days of the k-th period that the rule visits, in order; some may lie before its range.
func (r *rule) period(k int) []time.Time {
	n := k * r.interval
	switch r.kind {
	case "daily":
		return []time.Time{r.from.AddDate(0, 0, n)}
	case "weekly":
		first := r.from.AddDate(0, 0, 7*n-r.sinceWeek(r.from.Weekday()))
		var days []time.Time
		for i := range 7 {
			if day := first.AddDate(0, 0, i); slices.Contains(r.weekdays, day.Weekday()) {
				days = append(days, day)
			}
		}
		return days
	case "absoluteMonthly", "relativeMonthly":
		return []time.Time{r.inMonth(time.Date(r.from.Year(), r.from.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC))}
	}
	return []time.Time{r.inMonth(time.Date(r.from.Year()+n, r.month, 1, 0, 0, 0, 0, time.UTC))}
}

// sinceWeek is how many days after the first of its week a day is.
func (p *pattern) sinceWeek(day time.Weekday) int { return int(day-p.week+7) % 7 }

// inMonth is the one day of a month, given by its first, that the pattern means. A month that is too short counts to its
// last day, as Outlook has it.
func (p *pattern) inMonth(first time.Time) time.Time {
	length := first.AddDate(0, 1, -1).Day()
	if p.day > 0 {
		return first.AddDate(0, 0, min(p.day, length)-1)
	}
	var fitting []time.Time
	for i := range length {
		if day := first.AddDate(0, 0, i); slices.Contains(p.weekdays, day.Weekday()) {
			fitting = append(fitting, day)
		}
	}
	if p.position < 0 {
		return fitting[len(fitting)-1]
	}
	return fitting[p.position-1] // a month has four of each weekday
}

// falls reports whether a day is an occurrence.
func (r *rule) falls(day time.Time) bool {
	if day.Before(r.first) || !r.last.IsZero() && day.After(r.last) {
		return false
	}
	n := 0
	switch r.kind {
	case "daily":
		n = int(day.Sub(r.from).Hours()) / 24
	case "weekly":
		n = (int(day.Sub(r.from).Hours())/24 + r.sinceWeek(r.from.Weekday())) / 7
	case "absoluteMonthly", "relativeMonthly":
		n = 12*(day.Year()-r.from.Year()) + int(day.Month()-r.from.Month())
	default:
		n = day.Year() - r.from.Year()
	}
	return n%r.interval == 0 && slices.ContainsFunc(r.period(n/r.interval), day.Equal)
}

// bound makes the end of a series that starts with the moment: until is the occurrence that its last day would have, in UTC.
func (r *rule) bound(start moment) {
	switch {
	case r.until.IsZero():
	case start.date:
		r.untilValue = r.until.Format(dateFormat)
	default:
		clock := r.until.Add(start.clock.Sub(start.day()))
		r.untilValue = zones.Instant(clock, start.zone.Location).Format(utcFormat)
	}
}

// String is the rule as an RRULE.
func (r *rule) String() string {
	parts := []string{"FREQ=" + map[string]string{
		"daily": "DAILY", "weekly": "WEEKLY", "absoluteMonthly": "MONTHLY", "relativeMonthly": "MONTHLY",
		"absoluteYearly": "YEARLY", "relativeYearly": "YEARLY",
	}[r.kind]}
	add := func(key string, value any) { parts = append(parts, fmt.Sprintf("%s=%v", key, value)) }
	if r.untilValue != "" {
		add("UNTIL", r.untilValue)
	}
	if r.count > 0 {
		add("COUNT", r.count)
	}
	if r.interval > 1 {
		add("INTERVAL", r.interval)
	}
	switch r.kind {
	case "weekly":
		add("BYDAY", abbreviated(r.weekdays))
		add("WKST", abbreviated([]time.Weekday{r.week}))
	case "absoluteMonthly":
		r.monthDay(add)
	case "absoluteYearly":
		add("BYMONTH", int(r.month))
		r.yearDay(add)
	case "relativeYearly":
		add("BYMONTH", int(r.month))
		r.relativeDay(add)
	case "relativeMonthly":
		r.relativeDay(add)
	}
	return strings.Join(parts, ";")
}

// monthDay says the day of each month. A rule skips the months that have no such day, where Outlook takes the last: of the
// days from the 28th to that meant, the last that a month has.
func (r *rule) monthDay(add func(string, any)) {
	switch r.day {
	case 31:
		add("BYMONTHDAY", -1)
	case 29, 30:
		add("BYMONTHDAY", "28,29,30"[:3*(r.day-28)+2])
		add("BYSETPOS", -1)
	default:
		add("BYMONTHDAY", r.day)
	}
}

// yearDay says the day of one month, the 29th of February being its last day in any year.
func (r *rule) yearDay(add func(string, any)) {
	if r.month == time.February && r.day > 28 {
		add("BYMONTHDAY", -1)
		return
	}
	const anyYear = 2001
	add("BYMONTHDAY", min(r.day, time.Date(anyYear, r.month+1, 0, 0, 0, 0, 0, time.UTC).Day()))
}

// relativeDay says which of some weekdays of a month it is.
func (r *rule) relativeDay(add func(string, any)) {
	if len(r.weekdays) == 1 {
		add("BYDAY", strconv.Itoa(r.position)+abbreviated(r.weekdays))
		return
	}
	add("BYDAY", abbreviated(r.weekdays))
	add("BYSETPOS", r.position)
}

func abbreviated(days []time.Weekday) string {
	names := make([]string, len(days))
	for i, d := range days {
		names[i] = strings.ToUpper(d.String()[:2])
	}
	return strings.Join(names, ",")
}
