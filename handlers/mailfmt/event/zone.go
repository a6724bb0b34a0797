package event

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"chainmail/handlers/mailfmt/zones"

	"github.com/emersion/go-ical"
)

// A change puts the clocks of a zone to another offset.
type change struct {
	at         time.Time // UTC; zero: they have always shown it
	from, to   time.Duration
	name       string // "CET"
	isDaylight bool
}

// clock is what clocks show when they are changed, before it.
func (c change) clock() time.Time { return c.at.UTC().Add(c.from) }

// changes are those of a zone's clocks after one instant and before another, with the last before, which is in force. Go bounds
// spans also by the ends of years where only a rule is known, and those of leap years a day early: what changes no offset is
// none, and a span that ends where it is looked up goes on.
func changes(loc *time.Location, from, to time.Time) []change {
	c, end := changeBefore(loc, from)
	for c.from == c.to && !c.at.IsZero() {
		c, _ = changeBefore(loc, c.at.Add(-time.Second))
	}
	all := []change{c}
	for !end.IsZero() && end.Before(to) {
		at := end
		c, end = changeBefore(loc, at)
		if c.from != c.to && c.at.After(all[len(all)-1].at) && c.at.After(from) {
			all = append(all, c)
		}
		if !end.IsZero() && !end.After(at) {
			end = at.AddDate(0, 0, 1)
		}
	}
	return all
}

// changeBefore is the last change before an instant, or at it, and when the next is.
func changeBefore(loc *time.Location, at time.Time) (c change, next time.Time) {
	start, next := at.In(loc).ZoneBounds()
	name, _ := at.In(loc).Zone()
	c = change{at: start, to: zones.Offset(at, loc), name: name, isDaylight: at.In(loc).IsDST()}
	c.from = c.to
	if !start.IsZero() {
		c.from = zones.Offset(start.Add(-time.Second), loc)
	}
	return c, next
}

// A yearly is a change that happens every year.
type yearly struct {
	change
	weekday time.Weekday
	clock   time.Duration        // what clocks show then
	days    map[time.Month][]int // the days of a month that it can fall on, each once, sorted
}

// The years by which the rule is told that a zone keeps: all that the calendar has, after the last single change that the
// database knows, which is in 2087.
const (
	tailFirst = 2100
	tailLast  = tailFirst + 399
)

// tail gives the changes that a zone has every year, and the first year from which it has no others. A zone whose clocks are
// not changed any more has none.
func tail(loc *time.Location) (rules []yearly, since int) {
	all := within(loc, tailFirst, tailLast)
	for _, c := range all {
		clock := c.clock()
		i := slices.IndexFunc(rules, func(y yearly) bool { return y.to == c.to })
		if i < 0 {
			i = len(rules)
			rules = append(rules, yearly{c, clock.Weekday(), clock.Sub(dayOf(clock)), map[time.Month][]int{}})
		}
		days := rules[i].days
		if !slices.Contains(days[clock.Month()], clock.Day()) {
			days[clock.Month()] = append(days[clock.Month()], clock.Day())
			slices.Sort(days[clock.Month()])
		}
	}
	for since = tailFirst; since > firstYear; since-- {
		year := within(loc, since-1, since-1)
		if len(year) != len(rules) || slices.ContainsFunc(year, func(c change) bool {
			return !slices.ContainsFunc(rules, func(y yearly) bool { return y.has(c) })
		}) {
			break
		}
	}
	return rules, since
}

func (y *yearly) has(c change) bool {
	clock := c.clock()
	return c.from == y.from && c.to == y.to && clock.Weekday() == y.weekday && clock.Sub(dayOf(clock)) == y.clock &&
		slices.Contains(y.days[clock.Month()], clock.Day())
}

// within are the changes of some years.
func within(loc *time.Location, first, last int) []change {
	from := time.Date(first, 1, 1, 0, 0, 0, 0, time.UTC)
	return changes(loc, from, time.Date(last+1, 1, 1, 0, 0, 0, 0, time.UTC))[1:]
}

// describe makes the VTIMEZONE of a zone for the years of a span: each change of its clocks by itself or, where the series
// goes on for ever, those before the rule that holds from then on, and the rule.
func describe(zone zones.Zone, s span) builder {
	b := newBuilder(ical.CompTimezone)
	b.add(ical.PropTimezoneID, clean(zone.Name))
	b.add("X-LIC-LOCATION", zone.IANA)
	from := time.Date(s.first.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	to := time.Date(s.last.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC)
	var rules []yearly
	if s.open {
		var since int
		rules, since = tail(zone.Location)
		to = time.Date(max(since, s.first.Year()), 1, 1, 0, 0, 0, 0, time.UTC)
		if !to.After(from) {
			to = from.Add(time.Second)
		}
	}
	for _, c := range changes(zone.Location, from, to) {
		b.observance(c, "")
	}
	for _, y := range rules {
		for _, month := range slices.Sorted(maps.Keys(y.days)) {
			b.observance(y.since(to, month), y.rule(month))
		}
	}
	return b
}

// since is the first change of a rule in a month, from a time on.
func (y *yearly) since(from time.Time, month time.Month) change {
	c := y.change
	for day := dayOf(from.AddDate(0, 0, -1)); ; day = day.AddDate(0, 0, 1) {
		at := day.Add(y.clock - y.from)
		if day.Month() == month && day.Weekday() == y.weekday && slices.Contains(y.days[month], day.Day()) && !at.Before(from) {
			c.at = at
			return c
		}
	}
}

// rule is the rule of a yearly change in a month: "the second Sunday", "the last Sunday", or a Sunday of certain days.
func (y *yearly) rule(month time.Month) string {
	days, day := y.days[month], abbreviated([]time.Weekday{y.weekday})
	const anyYear = 2001
	length := time.Date(anyYear, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
	text := fmt.Sprintf("FREQ=YEARLY;BYMONTH=%d", month)
	isWeek := len(days) == 7 && days[6] == days[0]+6
	switch {
	case isWeek && days[0]%7 == 1 && days[0] <= 22:
		return text + fmt.Sprintf(";BYDAY=%d%s", days[0]/7+1, day)
	case isWeek && days[6] == length && month != time.February:
		return text + ";BYDAY=-1" + day
	}
	list := make([]string, len(days))
	for i, d := range days {
		list[i] = strconv.Itoa(d)
	}
	return text + ";BYMONTHDAY=" + strings.Join(list, ",") + ";BYDAY=" + day
}

// observance adds a change to a zone.
func (b builder) observance(c change, rule string) {
	part := newBuilder(ical.CompTimezoneStandard)
	if c.isDaylight {
		part = newBuilder(ical.CompTimezoneDaylight)
	}
	start := time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC) // before the time that Outlook knows
	if !c.at.IsZero() {
		start = c.clock()
	}
	part.add(ical.PropDateTimeStart, start.Format(localFormat))
	part.add(ical.PropTimezoneOffsetFrom, offset(c.from))
	part.add(ical.PropTimezoneOffsetTo, offset(c.to))
	part.text(ical.PropTimezoneName, c.name)
	if rule != "" {
		part.add(ical.PropRecurrenceRule, rule)
	}
	b.Children = append(b.Children, part.Component)
}

// offset is "+0100", with seconds where there are any.
func offset(d time.Duration) string {
	sign := '+'
	if d < 0 {
		sign, d = '-', -d
	}
	s := int(d.Seconds())
	text := fmt.Sprintf("%c%02d%02d", sign, s/3600, s/60%60)
	if s%60 != 0 {
		text += fmt.Sprintf("%02d", s%60)
	}
	return text
}

// A span is the time for which a zone must be described.
type span struct {
	zone        zones.Zone
	first, last time.Time
	open        bool // it has no end
}

// maxSpan is how many years are described change by change.
const maxSpan = 30

// spans are those of the zones that an event's times are in, by name.
func (e *Event) spans() []span {
	all := map[string]span{}
	add := func(m moment) {
		if m.isZero() || m.date || m.isPlain() {
			return
		}
		s, ok := all[m.zone.Name]
		if !ok {
			s = span{m.zone, m.at, m.at, false}
		}
		if m.at.Before(s.first) {
			s.first = m.at
		}
		if m.at.After(s.last) {
			s.last = m.at
		}
		all[m.zone.Name] = s
	}
	for c := range e.components() {
		add(c.start)
		add(c.end)
		add(c.original)
	}
	for _, m := range append(slices.Clone(e.excluded), e.added...) {
		add(m)
	}
	if start := e.master.start; e.rule != nil && !start.date && !start.isPlain() {
		s := all[start.zone.Name]
		if last := e.rule.last; last.IsZero() {
			s.open = true
		} else if at := start.on(last.AddDate(0, 0, 1)); at.at.After(s.last) {
			s.last = at.at
		}
		all[start.zone.Name] = s
	}
	for name, s := range all {
		s.open = s.open || s.last.Year()-s.first.Year() > maxSpan
		all[name] = s
	}
	return slices.SortedFunc(maps.Values(all), func(a, b span) int { return cmp.Compare(a.zone.Name, b.zone.Name) })
}
