package event_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/mailfmt/event"
	"chainmail/handlers/mailfmt/zones"
)

// TestCancelledOccurrencesAreFoundByThoseThatThereAre takes what is cancelled out of series that are shown by their instances, as
// a cloud shows them that does not name the cancelled ones.
func TestCancelledOccurrencesAreFoundByThoseThatThereAre(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	from, to := viewFrom.AddDate(0, 0, 45), viewTo.AddDate(0, 0, -45)
	found := 0
	for name, p := range patterns() {
		for i, zone := range twelve {
			span := []string{"without end", "until a day", "20 times"}[(i+len(name))%3]
			e := master(zone, "2025-12-30", "09:00", time.Hour, p, ranges()[span])
			if i%3 == 0 {
				e = allDay(e, 1)
			}
			e = disturb(e, random)
			var originals []time.Time
			for _, i := range graphtest.Instances(&e, location, viewFrom.AddDate(-1, 0, 0), viewTo.AddDate(1, 0, 0)) {
				originals = append(originals, i.Original)
			}
			var want []string
			for _, id := range e.CancelledOccurrences {
				if day := id[len(id)-len(time.DateOnly):]; day >= from.Format(time.DateOnly) && day < to.Format(time.DateOnly) {
					want = append(want, day)
				}
			}
			slices.Sort(want)
			e.CancelledOccurrences, e.Exceptions = nil, nil
			read, err := event.Read(e)
			if err != nil {
				t.Fatal(err)
			}
			days, ok := read.Missing(originals, from, to)
			var got []string
			for _, d := range days {
				got = append(got, d.Format(time.DateOnly))
			}
			if found += len(got); !ok || !slices.Equal(got, want) {
				t.Errorf("%s, %s, %s: missing are %v, %v, want %v", name, zone, span, got, ok, want)
			}
		}
	}
	if t.Logf("%d found", found); found < 500 {
		t.Error("too few to tell anything")
	}
}

func TestNothingIsMissingOfASeriesThatIsCountedInAnotherWay(t *testing.T) {
	t.Parallel()
	weekly := capture.RecurrencePattern{Type: "weekly", Interval: 1, DaysOfWeek: []string{"monday"}}
	e := master("Tokyo Standard Time", "2026-03-02", "00:30", time.Hour, weekly, ranges()["20 times"])
	var originals []time.Time
	for _, i := range graphtest.Instances(&e, location, viewFrom, viewTo) {
		originals = append(originals, i.Original)
	}
	missing := func(e capture.CalendarEvent, originals []time.Time) ([]time.Time, bool) {
		read, err := event.Read(e)
		if err != nil {
			t.Fatal(err)
		}
		return read.Missing(originals, viewFrom, viewTo)
	}
	if days, ok := missing(e, originals); !ok || len(days) > 0 {
		t.Errorf("missing are %v, %v", days, ok)
	}
	if days, ok := missing(e, nil); !ok || len(days) != 20 {
		t.Errorf("without any %d are missing, %v", len(days), ok)
	}
	custom := e
	custom.OriginalStartTimeZone = "tzone://Microsoft/Custom"
	custom.Recurrence = &capture.Recurrence{Pattern: weekly, Range: e.Recurrence.Range}
	custom.Recurrence.Range.RecurrenceTimeZone = "tzone://Microsoft/Custom" // by UTC they fall on Sundays
	if days, ok := missing(custom, originals); ok {
		t.Errorf("in an unknown zone %d are missing", len(days))
	}
	if _, ok := missing(e, append(originals, time.Time{})); ok {
		t.Error("an original start is not told, and all seems known")
	}
	single := e
	single.Recurrence = nil
	if _, ok := missing(single, nil); ok {
		t.Error("a single event misses occurrences")
	}
}

func TestASeriesSpansItsOccurrences(t *testing.T) {
	t.Parallel()
	weekly := capture.RecurrencePattern{Type: "weekly", Interval: 1, DaysOfWeek: []string{"wednesday"}}
	berlin, _ := zones.Find("W. Europe Standard Time")
	at := func(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 9, 0, 0, 0, berlin.Location) }
	for span, want := range map[string][2]time.Time{
		"without end": {at(2026, 3, 4)}, "until a day": {at(2026, 3, 4), at(2027, 3, 31)}, "20 times": {at(2026, 3, 4), at(2026, 7, 15)},
	} {
		read, err := event.Read(master("W. Europe Standard Time", "2026-03-02", "09:00", time.Hour, weekly, ranges()[span]))
		if err != nil {
			t.Fatal(err)
		}
		if first, last := read.Span(); !first.Equal(want[0]) || !last.Equal(want[1]) {
			t.Errorf("%s: from %v to %v, want %v", span, first, last, want)
		}
	}
	read, err := event.Read(plain())
	if err != nil {
		t.Fatal(err)
	}
	if first, last := read.Span(); !first.IsZero() || !last.IsZero() {
		t.Errorf("a single event spans %v to %v", first, last)
	}
}
