package ledger

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"chainmail/handlers/capture"
)

func TestPeopleComeByLaneThenIdentifier(t *testing.T) {
	t.Parallel()
	l := empty(t)
	for _, p := range []Person{
		{Identifier: "d@x.example", Lane: 10}, {Identifier: "c@x.example", Lane: 2}, {Identifier: "b@x.example", Lane: 0}, {Identifier: "a@x.example", Lane: 2},
	} {
		must(t, putPerson(t.Context(), l, Row[Person]{Value: p}))
	}
	people, err := l.People(t.Context(), source)
	must(t, err)
	var got []string
	for _, p := range people {
		got = append(got, p.Value.Identifier)
	}
	if want := []string{"b@x.example", "a@x.example", "c@x.example", "d@x.example"}; !slices.Equal(got, want) {
		t.Errorf("people = %v, want %v", got, want)
	}
}

func TestAPersonIsOneWhateverTheCase(t *testing.T) {
	t.Parallel()
	l := empty(t)
	must(t, putPerson(t.Context(), l, Row[Person]{Value: Person{Identifier: "Ada.L@X.example"}}))
	if err := putPerson(t.Context(), l, Row[Person]{Value: Person{Identifier: "ada.l@x.example"}}); err != ErrConflict {
		t.Errorf("second row: %v, want ErrConflict", err)
	}
}

func TestAPersonIsWrittenAsDecidedOnWhatWasRead(t *testing.T) {
	t.Parallel()
	l := empty(t)
	must(t, putPerson(t.Context(), l, Row[Person]{Value: Person{Identifier: "a"}}))
	people, err := l.People(t.Context(), source)
	must(t, err)
	people[0].Value.Reason = "guest"
	must(t, putPerson(t.Context(), l, people[0]))
	people[0].Value.Reason = "disabled"
	if err := putPerson(t.Context(), l, people[0]); err != ErrConflict {
		t.Errorf("stale row: %v, want ErrConflict", err)
	}
}

func TestWhoIsMonitoredAtAnyInstantOfAWindowIsACustodian(t *testing.T) {
	t.Parallel()
	w := capture.Window{Start: now, End: now.Add(time.Hour)}
	for _, row := range []struct {
		name      string
		intervals []Interval
		want      bool
	}{
		{"never", nil, false},
		{"always", []Interval{{}}, true},
		{"until its first second", []Interval{{To: now}}, false},
		{"until a second later", []Interval{{To: now.Add(time.Second)}}, true},
		{"from its end", []Interval{{From: w.End}}, false},
		{"from its last second", []Interval{{From: w.End.Add(-time.Second)}}, true},
		{"within", []Interval{{From: now.Add(time.Minute), To: now.Add(2 * time.Minute)}}, true},
		{"before and after", []Interval{{To: now.Add(-time.Hour)}, {From: w.End}}, false},
		{"before and within", []Interval{{To: now.Add(-time.Hour)}, {From: now}}, true},
	} {
		p := Person{
			Identifier: "a@x.example", Secondary: Packed[[]string]{[]string{"b@x.example"}}, DisplayName: "A B", FirstName: "A", LastName: "B",
			Intervals: Packed[[]Interval]{row.intervals}, ObjectID: "1", Lane: 3, Reason: "guest", Archive: true,
		}
		got, ok := p.Custodian(), p.Monitored(w)
		want := capture.Custodian{
			Individual: capture.Individual{
				Identifier: "a@x.example", Secondary: []string{"b@x.example"}, DisplayName: "A B", FirstName: "A", LastName: "B",
			}, ID: "1", Lane: 3, Reason: "guest", Archive: true,
		}
		if ok != row.want || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", row.name, got, ok, want)
		}
	}
}

func TestExceptionsCountEachStepOnce(t *testing.T) {
	t.Parallel()
	l := empty(t)
	later := now.Add(time.Hour)
	again := exception("1", later)
	again.Code, again.Stage = "Throttled", "read"
	steps := [][]capture.Exception{
		{exception("1", now), exception("2", now)},
		{again},
	}
	for _, step := range steps {
		for range 2 { // a step may be carried out again by another run
			must(t, l.PutExceptions(t.Context(), source, 0, step, always))
		}
	}
	got, err := l.Exceptions(t.Context(), source)
	must(t, err)
	counted := again
	counted.Attempts, counted.FirstSeen = 2, now
	want := []capture.Exception{counted, exception("2", now)}
	slices.SortFunc(want, func(a, b capture.Exception) int { return slices.Compare([]byte(a.Item.Key()), []byte(b.Item.Key())) })
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("exceptions = %+v, want %+v", got, want)
	}
}

func TestOneItemOfTwoCustodiansIsTwoExceptions(t *testing.T) {
	t.Parallel()
	l := empty(t)
	other := exception("1", now)
	other.Custodian = "c2"
	must(t, l.PutExceptions(t.Context(), source, 0, []capture.Exception{exception("1", now), other}, always))
	if got, err := l.Exceptions(t.Context(), source); err != nil || len(got) != 2 {
		t.Errorf("%d exceptions, %v, want 2", len(got), err)
	}
}

// putPerson writes an individual's row, as a synchronisation that finds nobody else changed.
func putPerson(ctx context.Context, l *Ledger, r Row[Person]) error {
	row, err := l.Source(ctx, source)
	if err != nil {
		return err
	}
	return l.PutPeople(ctx, source, row, []Row[Person]{r}, nil)
}

func always(capture.Exception) bool { return true }

func TestATimeOfMonitoringCountsOnce(t *testing.T) {
	t.Parallel()
	at := func(hour int) time.Time { return time.Date(2026, 3, 2, hour, 0, 0, 0, time.UTC) }
	day := capture.Window{Start: at(0), End: at(24)}
	for name, tt := range map[string]struct {
		intervals []Interval
		want      time.Duration
	}{
		"never":                  {nil, 0},
		"always":                 {[]Interval{{}}, 24 * time.Hour},
		"twice":                  {[]Interval{{From: at(20)}, {}}, 24 * time.Hour},
		"with a hole":            {[]Interval{{From: at(18)}, {To: at(6)}}, 12 * time.Hour},
		"one within another":     {[]Interval{{From: at(1), To: at(9)}, {From: at(2), To: at(3)}, {From: at(8), To: at(10)}}, 9 * time.Hour},
		"before, and after":      {[]Interval{{To: at(-5)}, {From: at(30)}}, 0},
		"that ends as it begins": {[]Interval{{From: at(5), To: at(5)}}, 0},
	} {
		p := Person{}
		p.Intervals.V = tt.intervals
		if got := p.MonitoredFor(day); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
