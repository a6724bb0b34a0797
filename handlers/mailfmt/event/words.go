package event

import (
	"fmt"
	"strings"
	"time"
)

// words tell in plain words how an event repeats.
func (e *Event) words() string {
	if e.rule == nil {
		if e.master.event.Recurrence == nil {
			return ""
		}
		return strings.TrimSuffix("cannot be read: "+oneLine(e.asWritten), ": ")
	}
	r := e.rule
	text := r.words() + ", from " + r.first.Format(time.DateOnly)
	switch {
	case r.count > 0:
		text += ", " + plural(r.count, "time")
	case !r.until.IsZero():
		text += " until " + r.until.Format(time.DateOnly)
	default:
		text += ", without end"
	}
	return text
}

func (r *rule) words() string {
	switch r.kind {
	case "daily":
		return "every " + r.every("day")
	case "weekly":
		return "every " + r.every("week") + " on " + listed(r.weekdays, "and")
	case "absoluteMonthly":
		return r.dayWords() + " of every " + r.every("month")
	case "relativeMonthly":
		return r.positionWords() + " of every " + r.every("month")
	case "absoluteYearly":
		return fmt.Sprintf("every %s on %d %s", r.every("year"), r.day, r.month) + r.shortWords()
	}
	return "every " + r.every("year") + " " + r.positionWords() + " of " + r.month.String()
}

// every is "day" or "3 days".
func (r *rule) every(unit string) string {
	if r.interval == 1 {
		return unit
	}
	return plural(r.interval, unit)
}

func (r *rule) dayWords() string { return fmt.Sprintf("on day %d", r.day) + r.shortWords() }

// shortWords tell what becomes of a day that a month lacks.
func (r *rule) shortWords() string {
	if r.day <= 28 || r.kind == "absoluteYearly" && r.month != time.February {
		return ""
	}
	return " (or the last day)"
}

func (r *rule) positionWords() string {
	position := map[int]string{1: "first", 2: "second", 3: "third", 4: "fourth", -1: "last"}[r.position]
	return "on the " + position + " " + kindOfDay(r.weekdays)
}

// kindOfDay is "day", "weekday", "weekend day", or the days that are meant.
func kindOfDay(days []time.Weekday) string {
	switch isWeekend := days[0] == time.Saturday; {
	case len(days) == 7:
		return "day"
	case len(days) == 5 && days[0] == time.Monday && days[4] == time.Friday:
		return "weekday"
	case len(days) == 2 && isWeekend:
		return "weekend day"
	}
	return listed(days, "or")
}

// listed is "Monday, Tuesday and Friday".
func listed(days []time.Weekday, and string) string {
	var b strings.Builder
	for i, d := range days {
		switch {
		case i > 0 && i == len(days)-1:
			b.WriteString(" " + and + " ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(d.String())
	}
	return b.String()
}
