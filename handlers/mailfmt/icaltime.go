package mailfmt

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"chainmail/handlers/mailfmt/zones"
)

// A wall is a time as a calendar says it: what a clock shows, and in which zone.
type wall struct {
	clock time.Time // what the clock shows, as if it were UTC
	date  bool      // a day without a time
	zone  string    // as written; "UTC"; empty for a time of no zone
	known bool      // the zone is known, or not needed
	at    time.Time // UTC; of a time in no known zone the clock's time
}

// zoned knows the zones of one calendar.
type zoned struct {
	own   map[string]*rules         // those that it defines, by their names in lower case
	named map[string]*time.Location // those that it only names; nil: there is none of the name
}

// wall reads a property that is a time.
func (z *zoned) wall(p property) (w wall, ok bool) {
	value := strings.ToUpper(strings.TrimSpace(p.value))
	clock, offset, ok := clockTime(value)
	if !ok {
		return wall{}, false
	}
	w = wall{clock: clock, at: clock, zone: p.param("TZID"), known: true}
	switch {
	case len(value) == len("20060102") || strings.EqualFold(p.param("VALUE"), "DATE") || len(value) == len("2006-01-02") && value[4] == '-':
		w.clock = clock.Truncate(24 * time.Hour)
		w.at, w.date, w.zone = w.clock, true, ""
	case offset != nil:
		w.at, w.zone = clock.Add(-*offset), "UTC"
		w.clock = w.at
	default:
		w.at, w.known = z.instant(clock, w.zone)
	}
	return w, true
}

// after is a time that is d later. Days are days of the calendar, whatever a day's length (RFC 5545, 3.3.6).
func (z *zoned) after(w wall, days int, d time.Duration) wall {
	if days != 0 {
		w.clock = w.clock.AddDate(0, 0, days)
		if w.date || w.zone == "UTC" {
			w.at = w.clock
		} else {
			w.at, w.known = z.instant(w.clock, w.zone)
		}
	}
	w.at, w.clock = w.at.Add(d), w.clock.Add(d) // its zone's offset may have changed meanwhile
	if offset, ok := z.offsetAt(w.at, w.zone); ok && !w.date && w.zone != "UTC" {
		w.clock = w.at.Add(offset)
	}
	return w
}

// clockTime reads a date or a time in the forms that there are; offset is nil where none is written.
func clockTime(value string) (clock time.Time, offset *time.Duration, ok bool) {
	if body, isUTC := strings.CutSuffix(value, "Z"); isUTC {
		value, offset = body, new(time.Duration)
	} else if i := strings.LastIndexAny(value, "+-"); i > len("20060102T") && strings.Contains(value, "T") {
		if d, ok := utcOffset(value[i:]); ok {
			value, offset = value[:i], &d
		}
	}
	value = strings.NewReplacer("-", "", ":", "", " ", "T").Replace(value)
	value, _, _ = strings.Cut(value, ".")
	if strings.HasSuffix(value, "60") && len(value) == len("20060102T150405") {
		value = value[:len(value)-2] + "59" // a leap second
	}
	for _, layout := range []string{"20060102T150405", "20060102T1504", "20060102"} {
		if t, err := time.Parse(layout, value); err == nil && len(value) == len(layout) {
			return t, offset, t.Year() > 1600 && t.Year() < 9999
		}
	}
	return time.Time{}, nil, false
}

// utcOffset reads "+0100", "-03:30", "+013000".
func utcOffset(s string) (time.Duration, bool) {
	s = strings.ReplaceAll(strings.TrimSpace(s), ":", "")
	if len(s) != 5 && len(s) != 7 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	n, err := strconv.Atoi(s[1:])
	if err != nil || n < 0 {
		return 0, false
	}
	if len(s) == 5 {
		n *= 100
	}
	d := time.Duration(n/10000)*time.Hour + time.Duration(n/100%100)*time.Minute + time.Duration(n%100)*time.Second
	if s[0] == '-' {
		d = -d
	}
	return d, d.Abs() <= 24*time.Hour
}

// duration reads RFC 5545, 3.3.6: "P1DT2H30M". Days and weeks are given apart: they are no fixed number of hours.
func duration(value string) (days int, d time.Duration, ok bool) {
	value = strings.ToUpper(strings.TrimSpace(value))
	rest, isNegative := strings.CutPrefix(value, "-")
	rest, ok = strings.CutPrefix(strings.TrimPrefix(rest, "+"), "P")
	if !ok || rest == "" || isNegative { // no meeting ends before it starts
		return 0, 0, false
	}
	for rest != "" {
		rest = strings.TrimPrefix(rest, "T")
		n := 0
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		count, err := strconv.Atoi(rest[:n])
		if err != nil || n == len(rest) || count > math.MaxInt32 {
			return 0, 0, false
		}
		switch rest[n] {
		case 'W':
			days += 7 * count
		case 'D':
			days += count
		case 'H':
			d += time.Duration(count) * time.Hour
		case 'M':
			d += time.Duration(count) * time.Minute
		case 'S':
			d += time.Duration(count) * time.Second
		default:
			return 0, 0, false
		}
		if days > maxDays || d < 0 || d > maxDays*24*time.Hour {
			return 0, 0, false
		}
		rest = rest[n+1:]
	}
	return days, d, true
}

// maxDays is how long a meeting can be.
const maxDays = 100 * 366

// newZoned gathers the zones that a calendar defines.
func newZoned(root *component) *zoned {
	z := &zoned{own: map[string]*rules{}, named: map[string]*time.Location{}}
	for _, calendar := range append([]*component{root}, root.parts...) {
		for _, c := range calendar.parts {
			name, _ := c.get("TZID")
			key := zoneKey(oneLine(name.value))
			if c.name != "VTIMEZONE" || z.own[key] != nil {
				continue
			}
			if r := newRules(c); r != nil {
				z.own[key] = r
			}
		}
	}
	return z
}

func zoneKey(name string) string { return strings.ToLower(strings.Trim(name, `" `)) }

// instant is the time at which clocks of a zone show what is given, by the calendar's own definition of the zone, or else
// that of its name. Of a time that clocks show twice it is the first; one that they skip counts as if they had
// not been put forward yet (RFC 5545, 3.3.5).
func (z *zoned) instant(clock time.Time, zone string) (at time.Time, known bool) {
	if r := z.own[zoneKey(zone)]; r != nil {
		return clock.Add(-r.offset(clock)), true
	}
	loc := z.location(zone)
	if loc == nil {
		return clock, false
	}
	return zones.Instant(clock, loc), true
}

// offsetAt is the offset of a zone's clocks at an instant.
func (z *zoned) offsetAt(at time.Time, zone string) (time.Duration, bool) {
	if r := z.own[zoneKey(zone)]; r != nil {
		return r.offsetAt(at), true
	}
	if loc := z.location(zone); loc != nil {
		return zones.Offset(at, loc), true
	}
	return 0, false
}

// location finds a zone by its name in the IANA database or by Windows' name of it, which Exchange writes and some programs leave
// undefined; old programs put a path of their own before the former. nil: it is none.
func (z *zoned) location(name string) *time.Location {
	name = strings.Trim(name, `" `)
	if name == "" || len(name) > 128 {
		return nil
	}
	switch strings.ToUpper(name) {
	case "GMT", "UTC+00:00":
		return time.UTC
	}
	if loc, ok := z.named[name]; ok {
		return loc
	}
	if len(z.named) >= maxZones {
		return nil
	}
	var found *time.Location
	if pieces := strings.Split(name, "/"); strings.HasPrefix(name, "/") { // "/mozilla.org/20050126_1/Europe/Berlin"
		for n := min(3, len(pieces)-1); n >= 1 && found == nil; n-- {
			found = named(strings.Join(pieces[len(pieces)-n:], "/"))
		}
	} else {
		found = named(name)
	}
	z.named[name] = found
	return found
}

// maxZones bounds how many names a calendar may look up.
const maxZones = 100

func named(name string) *time.Location {
	z, ok := zones.Find(name)
	if !ok {
		return nil
	}
	return z.Location
}

// rules are a zone as a calendar defines it: when its clocks are changed, and by how much.
type rules struct {
	changes []change
	before  time.Duration // the offset before the first change
}

// A change is one of STANDARD and DAYLIGHT: from its start on, and every year by its rule, clocks are put to an offset.
type change struct {
	from, to time.Duration
	start    time.Time // as clocks show it before they are changed
	rule     *yearly   // nil: it happens once
}

// yearly is the rule of a change: the days of a year, and until when.
type yearly struct {
	months   []int
	days     []int // of the month
	weekdays []weekday
	interval int
	until    time.Time // as clocks show it; zero: forever
}

// A weekday of a month: the n-th, from its end where n is negative, or each where it is 0.
type weekday struct {
	n   int
	day time.Weekday
}

// maxChanges bounds the changes of a zone. Those with the whole history of a place have less than 200.
const maxChanges = 1000

// newRules reads a VTIMEZONE; nil: nothing can be told by it.
func newRules(c *component) *rules {
	r := &rules{}
	for _, part := range c.parts {
		if part.name != "STANDARD" && part.name != "DAYLIGHT" {
			continue
		}
		if !r.add(part) || len(r.changes) > maxChanges {
			return nil
		}
	}
	if len(r.changes) == 0 {
		return nil
	}
	first := slices.MinFunc(r.changes, func(a, b change) int { return a.start.Compare(b.start) })
	r.before = first.from
	return r
}

func (r *rules) add(c *component) bool {
	from, _ := c.get("TZOFFSETFROM")
	to, _ := c.get("TZOFFSETTO")
	start, _ := c.get("DTSTART")
	var x change
	var ok bool
	if x.to, ok = utcOffset(to.value); !ok {
		return false
	}
	if x.from, ok = utcOffset(from.value); !ok {
		x.from = x.to
	}
	if x.start, _, ok = clockTime(strings.ToUpper(strings.TrimSpace(start.value))); !ok {
		return false
	}
	if rule, isRule := c.get("RRULE"); isRule {
		if x.rule, ok = x.yearly(rule.value); !ok {
			return false
		}
	}
	r.changes = append(r.changes, x)
	for _, p := range c.props {
		if p.name != "RDATE" {
			continue
		}
		for value := range strings.SplitSeq(strings.ToUpper(p.value), ",") {
			if at, _, ok := clockTime(strings.TrimSpace(value)); ok && len(r.changes) <= maxChanges {
				r.changes = append(r.changes, change{from: x.from, to: x.to, start: at})
			}
		}
	}
	return true
}

// yearly reads the rule of a change. Rules by anything but months and days are not in use.
func (x *change) yearly(value string) (*yearly, bool) {
	y := &yearly{interval: 1}
	count := 0
	for piece := range strings.SplitSeq(strings.ToUpper(value), ";") {
		key, list, _ := strings.Cut(strings.TrimSpace(piece), "=")
		ok := true
		switch key {
		case "FREQ":
			ok = list == "YEARLY"
		case "INTERVAL":
			y.interval, ok = number(list, 1, 1000)
		case "COUNT":
			count, ok = number(list, 1, 10_000)
		case "UNTIL":
			var offset *time.Duration
			if y.until, offset, ok = clockTime(list); offset != nil {
				y.until = y.until.Add(x.from - *offset)
			}
		case "BYMONTH":
			y.months, ok = numbers(list, 1, 12)
		case "BYMONTHDAY":
			y.days, ok = numbers(list, -31, 31)
		case "BYDAY":
			y.weekdays, ok = weekdays(list)
		case "WKST", "":
		default:
			ok = false
		}
		if !ok {
			return nil, false
		}
	}
	if len(y.months) == 0 {
		y.months = []int{int(x.start.Month())}
	}
	if len(y.days) == 0 && len(y.weekdays) == 0 {
		y.days = []int{x.start.Day()}
	}
	if count > 0 {
		y.until = time.Date(x.start.Year()+(count-1)*y.interval, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	return y, true
}

func number(s string, low, high int) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	return n, err == nil && n >= low && n <= high
}

func numbers(list string, low, high int) (all []int, ok bool) {
	for s := range strings.SplitSeq(list, ",") {
		n, ok := number(s, low, high)
		if !ok || len(all) == 31 {
			return nil, false
		}
		all = append(all, n)
	}
	return all, true
}

func weekdays(list string) (all []weekday, ok bool) {
	for s := range strings.SplitSeq(list, ",") {
		s = strings.TrimSpace(s)
		if len(s) < 2 || len(all) == 31 {
			return nil, false
		}
		day := strings.Index("SUMOTUWETHFRSA", s[len(s)-2:])
		w := weekday{day: time.Weekday(day / 2)}
		if s = s[:len(s)-2]; s != "" {
			if w.n, ok = number(s, -5, 5); !ok {
				return nil, false
			}
		}
		if day < 0 || day%2 == 1 {
			return nil, false
		}
		all = append(all, w)
	}
	return all, true
}

// offset is that of clocks when they show what is given.
func (r *rules) offset(clock time.Time) time.Duration {
	return r.last(func(x *change) time.Time { return clock.Add(-max(0, x.to-x.from)) }) // the hour that is skipped is before
}

// offsetAt is that of clocks at an instant.
func (r *rules) offsetAt(at time.Time) time.Duration {
	return r.last(func(x *change) time.Time { return at.Add(x.from) })
}

// last is the offset of the last change before a time, which each change is told by its own clock.
func (r *rules) last(clock func(*change) time.Time) time.Duration {
	offset := r.before
	var latest time.Time
	for i := range r.changes {
		x := &r.changes[i]
		shows := clock(x)
		at, ok := x.before(shows)
		if at = at.Add(-x.from); ok && (latest.IsZero() || at.After(latest)) {
			latest, offset = at, x.to
		}
	}
	return offset
}

// before is when a change happened last, at a time or before it.
func (x *change) before(clock time.Time) (time.Time, bool) {
	if clock.Before(x.start) {
		return time.Time{}, false
	}
	if x.rule == nil {
		return x.start, true
	}
	limit := clock
	if until := x.rule.until; !until.IsZero() && until.Before(limit) {
		limit = until
	}
	year := limit.Year() - (limit.Year()-x.start.Year())%x.rule.interval
	for range 2 {
		if at, ok := x.within(year, limit); ok {
			return at, true
		}
		year -= x.rule.interval
	}
	return x.start, true
}

// within is the last day of a year on which the change happens, not after the limit nor before its start.
func (x *change) within(year int, limit time.Time) (latest time.Time, ok bool) {
	h, m, s := x.start.Clock()
	for _, month := range x.rule.months {
		first := time.Date(year, time.Month(month), 1, h, m, s, 0, time.UTC)
		last := first.AddDate(0, 1, -1).Day()
		for day := last; day >= 1; day-- {
			if !x.rule.has((first.Weekday()+time.Weekday(day-1))%7, day, last) {
				continue
			}
			at := first.AddDate(0, 0, day-1)
			if at.Before(x.start) || ok && !at.After(latest) {
				break
			}
			if !at.After(limit) {
				latest, ok = at, true
				break
			}
		}
	}
	return latest, ok
}

// has reports whether a day of a month with so many days is one of the rule's.
func (y *yearly) has(of time.Weekday, day, last int) bool {
	if len(y.days) > 0 && !slices.Contains(y.days, day) && !slices.Contains(y.days, day-last-1) {
		return false
	}
	return len(y.weekdays) == 0 || slices.ContainsFunc(y.weekdays, func(w weekday) bool {
		return w.day == of && (w.n == 0 || w.n == (day-1)/7+1 || w.n == -((last-day)/7+1))
	})
}
