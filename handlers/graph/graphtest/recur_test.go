package graphtest

import (
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the machine may have none

	"chainmail/handlers/capture"
)

func zoneOf(name string) *time.Location {
	names := map[string]string{
		"W. Europe Standard Time": "Europe/Berlin", "Pacific Standard Time": "America/Los_Angeles", "UTC": "UTC",
	}
	loc, err := time.LoadLocation(names[name])
	if names[name] == "" || err != nil {
		return nil
	}
	return loc
}

// The days are counted off a calendar by hand.
func TestPatternsFallOnTheDaysThatMicrosoftDescribes(t *testing.T) {
	t.Parallel()
	weekdays := []string{"monday", "tuesday", "wednesday", "thursday", "friday"}
	type p = capture.RecurrencePattern
	fortnightly := []string{"monday", "sunday", "friday"}
	for _, c := range []struct {
		name, start string
		pattern     p
		want        string
	}{
		{"every third day", "2026-03-02", p{Type: "daily", Interval: 3}, "03-02 03-05 03-08 03-11"},
		{
			"every other week from Sunday on", "2026-03-04",
			p{Type: "weekly", Interval: 2, DaysOfWeek: fortnightly}, "03-06 03-15 03-16 03-20",
		},
		{
			"the same from Monday on", "2026-03-04",
			p{Type: "weekly", Interval: 2, DaysOfWeek: fortnightly, FirstDayOfWeek: "monday"}, "03-06 03-08 03-16 03-20",
		},
		{"the 31st", "2026-01-31", p{Type: "absoluteMonthly", Interval: 1, DayOfMonth: 31}, "01-31 02-28 03-31 04-30"},
		{"the 5th, begun later", "2026-01-10", p{Type: "absoluteMonthly", Interval: 2, DayOfMonth: 5}, "03-05 05-05 07-05 09-05"},
		{
			"second Thursday", "2026-03-01",
			p{Type: "relativeMonthly", Interval: 1, DaysOfWeek: []string{"thursday"}, Index: "second"}, "03-12 04-09 05-14 06-11",
		},
		{
			"first weekday", "2026-01-02",
			p{Type: "relativeMonthly", Interval: 1, DaysOfWeek: weekdays, Index: "first"}, "02-02 03-02 04-01 05-01",
		},
		{
			"last weekday", "2026-01-01",
			p{Type: "relativeMonthly", Interval: 1, DaysOfWeek: weekdays, Index: "last"}, "01-30 02-27 03-31 04-30",
		},
		{"29 February", "2024-02-29", p{Type: "absoluteYearly", Interval: 1, Month: 2, DayOfMonth: 29}, "02-29 02-28 02-28 02-28"},
		{
			"last Sunday of October", "2026-01-01",
			p{Type: "relativeYearly", Interval: 1, Month: 10, DaysOfWeek: []string{"sunday"}, Index: "last"}, "10-25 10-31 10-29 10-28",
		},
	} {
		e := capture.CalendarEvent{
			Start: capture.ZonedTime{DateTime: c.start + "T09:00:00.0000000", TimeZone: "UTC"},
			End:   capture.ZonedTime{DateTime: c.start + "T09:30:00.0000000", TimeZone: "UTC"},
			Recurrence: &capture.Recurrence{
				Pattern: c.pattern, Range: capture.RecurrenceRange{Type: "numbered", StartDate: c.start, NumberOfOccurrences: 4},
			},
		}
		var days []string
		for _, i := range Instances(&e, zoneOf, date("2020-01-01"), date("2040-01-01")) {
			days = append(days, i.Start.Format("01-02"))
		}
		if got := strings.Join(days, " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestAViewShowsAClockTimeAcrossItsChanges(t *testing.T) {
	t.Parallel()
	e := capture.CalendarEvent{
		Subject: "series", OriginalStartTimeZone: "tzone://Microsoft/Custom",
		Start: capture.ZonedTime{DateTime: "2026-03-27T08:00:00.0000000", TimeZone: "UTC"},
		End:   capture.ZonedTime{DateTime: "2026-03-27T08:30:00.0000000", TimeZone: "UTC"},
		Recurrence: &capture.Recurrence{
			Pattern: capture.RecurrencePattern{Type: "daily", Interval: 1},
			Range: capture.RecurrenceRange{
				Type: "endDate", StartDate: "2026-03-27", EndDate: "2026-03-31", RecurrenceTimeZone: "W. Europe Standard Time",
			},
		},
		CancelledOccurrences: []string{"OID.a.b=.2026-03-28"},
		Exceptions: []capture.CalendarEvent{{
			Subject: "changed", OriginalStart: time.Date(2026, 3, 30, 7, 0, 0, 0, time.UTC),
			Start: capture.ZonedTime{DateTime: "2026-04-02T05:00:00", TimeZone: "Pacific Standard Time"},
			End:   capture.ZonedTime{DateTime: "2026-04-02T06:00:00", TimeZone: "Pacific Standard Time"},
		}},
	}
	var got []string
	for _, i := range Instances(&e, zoneOf, date("2026-03-01"), date("2026-05-01")) {
		got = append(got, i.Start.Format("01-02 15:04")+" "+i.Event.Subject)
	}
	want := []string{"03-27 08:00 series", "03-29 07:00 series", "03-31 07:00 series", "04-02 12:00 changed"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if some := Instances(&e, zoneOf, date("2026-03-29"), date("2026-03-30")); len(some) != 1 {
		t.Errorf("%d on one day", len(some))
	}
}
