package hosttest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// schedule is an NCRONTAB expression: seconds, minutes, hours, days of the month, months, days of the week, as bit sets.
// Unlike in cron, a day must match both of its fields.
type schedule struct{ seconds, minutes, hours, days, months, weekdays uint64 }

// field bounds the values of one position of an expression.
type field struct {
	name     string
	min, max int
	names    []string // names of the values from min on
}

func fields() []field {
	return []field{
		{"seconds", 0, 59, nil},
		{"minutes", 0, 59, nil},
		{"hours", 0, 23, nil},
		{"days", 1, 31, nil},
		{"months", 1, 12, strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")},
		{"weekdays", 0, 6, strings.Fields("sun mon tue wed thu fri sat")},
	}
}

// parseSchedule reads six fields, or five without the seconds. A TimeSpan, which the host takes on always-on plans
// only, is refused.
func parseSchedule(expression string) (schedule, error) {
	words := strings.Fields(expression)
	if len(words) == 5 {
		words = append([]string{"0"}, words...)
	}
	if len(words) != 6 {
		return schedule{}, fmt.Errorf("schedule has %d fields, want six: {second} {minute} {hour} {day} {month} {weekday}",
			len(words))
	}
	var sets [6]uint64
	for i, f := range fields() {
		set, err := f.parse(words[i])
		if err != nil {
			return schedule{}, fmt.Errorf("schedule's %s: %w", f.name, err)
		}
		sets[i] = set
	}
	return schedule{sets[0], sets[1], sets[2], sets[3], sets[4], sets[5]}, nil
}

func (f field) parse(word string) (uint64, error) {
	var set uint64
	for part := range strings.SplitSeq(word, ",") {
		s, err := f.parsePart(part)
		if err != nil {
			return 0, err
		}
		set |= s
	}
	return set, nil
}

// parsePart reads `*`, a value or a range, each with a step if wanted; a value with a step runs to the field's end.
func (f field) parsePart(part string) (uint64, error) {
	values, step, stepped := strings.Cut(part, "/")
	every := 1
	if stepped {
		n, err := strconv.Atoi(step)
		if err != nil || n < 1 || n > f.max {
			return 0, fmt.Errorf("step is not from 1 to %d", f.max)
		}
		every = n
	}
	from, to, err := f.span(values, stepped)
	if err != nil {
		return 0, err
	}
	var set uint64
	for v := from; v <= to; v += every {
		set |= 1 << v
	}
	return set, nil
}

func (f field) span(values string, stepped bool) (from, to int, err error) {
	if values == "*" {
		return f.min, f.max, nil
	}
	first, last, ranged := strings.Cut(values, "-")
	if from, err = f.value(first); err != nil {
		return 0, 0, err
	}
	switch {
	case ranged:
		to, err = f.value(last)
	case stepped:
		to = f.max
	default:
		to = from
	}
	if err == nil && to < from {
		err = errors.New("range ends before it begins")
	}
	return from, to, err
}

func (f field) value(s string) (int, error) {
	for i, name := range f.names {
		if len(s) >= 3 && strings.HasPrefix(strings.ToLower(s), name) {
			return f.min + i, nil
		}
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < f.min || n > f.max || s[0] == '+' || s[0] == '-' {
		return 0, fmt.Errorf("value is not from %d to %d", f.min, f.max)
	}
	return n, nil
}

// next gives the first occurrence after t, in UTC; zero when there is none (30 February).
func (s schedule) next(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Second).Add(time.Second)
	for end := t.Year() + 60; t.Year() <= end; {
		year, month, day := t.Date()
		switch {
		case s.months>>month&1 == 0:
			t = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
		case s.days>>day&1 == 0 || s.weekdays>>t.Weekday()&1 == 0:
			t = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
		case s.hours>>t.Hour()&1 == 0:
			t = t.Truncate(time.Hour).Add(time.Hour)
		case s.minutes>>t.Minute()&1 == 0:
			t = t.Truncate(time.Minute).Add(time.Minute)
		case s.seconds>>t.Second()&1 == 0:
			t = t.Add(time.Second)
		default:
			return t
		}
	}
	return time.Time{}
}

// monitored tells whether the host keeps a status of the schedule: not of one that may fire more often than once a
// minute.
func (s schedule) monitored() bool { return s.seconds&(s.seconds-1) == 0 }
