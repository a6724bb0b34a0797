package people

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/ledger"
)

const ada = "ada@contoso.example"

// show writes intervals as "from to cause", times as day and hour of March 2026.
func show(intervals []ledger.Interval) string {
	var all []string
	for _, iv := range intervals {
		ends := []string{"-", "-"}
		for i, end := range []time.Time{iv.From, iv.To} {
			if !end.IsZero() {
				ends[i] = end.Format("01-02T15")
			}
		}
		all = append(all, strings.Join(ends, " ")+" "+iv.Cause)
	}
	return strings.Join(all, ", ")
}

func TestTheListSaysWhoIsMonitoredWhen(t *testing.T) {
	t.Parallel()
	const off = "off" // not on the list
	tests := []struct {
		name  string
		steps []string // what the list has of somebody day by day, "from,to"; the first synchronisation is on 5 March at noon
		want  string
	}{
		{"on the first list", []string{","}, "- - list"},
		{"on the first list with a beginning", []string{"2026-03-02,"}, "03-02T00 - list"},
		{"on the first list with an end", []string{",2026-03-04"}, "- 03-04T00 list"},
		{"on the first list with both ends", []string{"2026-03-02,2026-03-09"}, "03-02T00 03-09T00 list"},
		{"joins", []string{off, ","}, "03-06T12 - list"},
		{"joins with an earlier beginning", []string{off, "2026-03-02,"}, "03-02T00 - list"},
		{"joins with a later beginning", []string{off, "2026-03-09T08:00:00Z,"}, "03-09T08 - list"},
		{"joins with a later end", []string{off, ",2026-03-09"}, "03-06T12 03-09T00 list"},
		{"joins with an end that has passed", []string{off, ",2026-03-04"}, ""},
		{"joins with a time that has passed", []string{off, "2026-03-02,2026-03-04"}, "03-02T00 03-04T00 list"},
		{"leaves", []string{",", off}, "- 03-06T12 left list"},
		{"leaves and stays away", []string{",", off, off, off}, "- 03-06T12 left list"},
		{"leaves before the end", []string{",2026-03-09", off}, "- 03-06T12 left list"},
		{"leaves after the end", []string{",2026-03-04", off}, "- 03-04T00 left list"},
		{"leaves before the beginning", []string{"2026-03-09,", off}, ""},
		{"comes back", []string{",", off, off, ","}, "- 03-06T12 left list, 03-08T12 - list"},
		{"comes back with an end", []string{",", off, off, ",2026-03-11"}, "- 03-06T12 left list, 03-08T12 03-11T00 list"},
		{"comes back with the beginning of before", []string{"2026-03-02,", off, "2026-03-02,"}, "03-02T00 03-06T12 left list, 03-02T00 - list"},
		{"comes and goes", []string{",", off, ",", off, ","}, "- 03-06T12 left list, 03-07T12 03-08T12 left list, 03-09T12 - list"},
		{"the list sets an end", []string{",", ",2026-03-09"}, "- 03-09T00 list"},
		{"the list sets an end in the past", []string{",", ",2026-03-04"}, "- 03-04T00 list"},
		{"the list sets an end before the beginning", []string{off, ",", ",2026-03-04"}, ""},
		{"the list moves the end", []string{",2026-03-09", ",2026-03-11"}, "- 03-11T00 list"},
		{"the list moves an end that has passed", []string{",2026-03-04", ",2026-03-11"}, "- 03-11T00 list"},
		{"the list takes the end away", []string{",2026-03-04", ","}, "- - list"},
		{"the list moves the beginning", []string{"2026-03-02,", "2026-03-03,"}, "03-03T00 - list"},
		{"the list sets an earlier beginning", []string{off, ",", "2026-03-03,"}, "03-03T00 - list"},
		{"the list takes the beginning away", []string{"2026-03-02,", ","}, "03-02T00 - list"},
		{"history is no list's any more", []string{",", off, ",", "2026-03-03,2026-03-04"}, "- 03-06T12 left list, 03-03T00 03-04T00 list"},
	}
	w := newWorld(t, tenantOf(ada))
	w.configure(nil)
	for day, left := 0, len(tests); left > 0; day++ {
		rows := []string{ada + ",,,,"} // a list always has somebody
		for i, tt := range tests {
			if step := tt.steps[min(day, len(tt.steps)-1)]; step != off {
				rows = append(rows, fmt.Sprintf("p%d,,,%s", i, step))
			}
		}
		w.list(rows...)
		w.tick()
		people := w.people()
		if n := w.rowsWritten(w.tick); n != 0 || !reflect.DeepEqual(w.people(), people) {
			t.Errorf("day %d: a second run writes %d rows", day, n)
		}
		for i, tt := range tests {
			if day != len(tt.steps)-1 {
				continue
			}
			left--
			if got := show(people[fmt.Sprint("p", i)].Intervals.V); got != tt.want {
				t.Errorf("%s: intervals = %q, want %q", tt.name, got, tt.want)
			}
		}
		if got := show(people[ada].Intervals.V); got != "- - list" {
			t.Errorf("day %d: who always stood on the list has %q", day, got)
		}
		w.now = w.now.AddDate(0, 0, 1)
	}
}

func TestIntervalsWithoutAnInstantMeetNoWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenantOf(ada))
	w.configure(nil)
	w.list(ada + ",,,2026-03-09,")
	w.tick()
	w.list("bob,,,,")
	w.tick()
	week := capture.Window{Start: w.now.AddDate(0, 0, -7), End: w.now.AddDate(0, 0, 7)}
	if w.people()[ada].Monitored(week) {
		t.Error("who left before the beginning is monitored")
	}
}

func TestAListSaysWhatIsKnownOfAnIndividual(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenantOf(ada))
	w.configure(nil)
	w.list(ada + ",a@contoso.example;b@contoso.example,Ada L.,,")
	w.tick()
	w.list("ADA@contoso.example,c@contoso.example,Ada Lovelace,,")
	w.tick()
	p, ok := w.people()[ada]
	if !ok || len(w.people()) != 1 || p.DisplayName != "Ada Lovelace" || !slices.Equal(p.Secondary.V, []string{"c@contoso.example"}) {
		t.Errorf("%d individuals, %+v", len(w.people()), p)
	}
	if got := show(p.Intervals.V); got != "- - list" {
		t.Errorf("intervals = %q", got)
	}
}

// lanes are the source's lanes by identifier.
func (w *world) lanes() map[string]int {
	all := map[string]int{}
	for identifier, p := range w.people() {
		all[identifier] = p.Lane
	}
	return all
}

func TestALaneIsForLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenantOf(ada))
	w.configure(map[string]any{"monitoredIndividualsPerJob": 2})
	for _, step := range []struct {
		list []string
		want map[string]int
	}{
		{[]string{"e", "d", "c"}, map[string]int{"e": 0, "d": 0, "c": 1}},
		{[]string{"c", "d", "e"}, map[string]int{"e": 0, "d": 0, "c": 1}},
		{[]string{"c", "b", "a"}, map[string]int{"e": 0, "d": 0, "c": 1, "b": 1, "a": 2}}, // those who left keep their places
		{[]string{"d", "f", "g"}, map[string]int{"e": 0, "d": 0, "c": 1, "b": 1, "a": 2, "f": 2, "g": 3}},
	} {
		w.list(rows(step.list)...)
		w.tick()
		if got := w.lanes(); !maps.Equal(got, step.want) {
			t.Fatalf("lanes = %v, want %v", got, step.want)
		}
	}
	w.configure(map[string]any{"monitoredIndividualsPerJob": 1}) // nobody is moved, and lanes that are too full take no one
	w.list(rows([]string{"d", "h", "i"})...)
	w.tick()
	if got := w.lanes(); got["h"] != 4 || got["i"] != 5 || got["d"] != 0 || got["g"] != 3 {
		t.Errorf("lanes = %v", got)
	}
	w.configure(map[string]any{"monitoredIndividualsPerJob": 3}) // the first lane with room
	w.list(rows([]string{"k"})...)
	w.tick()
	if got := w.lanes(); got["k"] != 0 {
		t.Errorf("lanes = %v", got)
	}
}

func rows(identifiers []string) []string {
	var all []string
	for _, identifier := range identifiers {
		all = append(all, identifier+",,,,")
	}
	return all
}

func TestTwoSynchronisationsSideBySideLeaveOneResult(t *testing.T) {
	t.Parallel()
	var identifiers []string
	for i := range 20 {
		identifiers = append(identifiers, fmt.Sprint("p", i))
	}
	var want map[string]ledger.Person
	for _, rivals := range []int{1, 3} {
		w := newWorld(t, tenantOf(ada))
		w.configure(map[string]any{"monitoredIndividualsPerJob": 3})
		w.list(rows(identifiers)...)
		errs := make(chan error, rivals)
		for range rivals {
			registry := w.newRegistry()
			go func() { errs <- registry.Tick(t.Context()) }()
		}
		for range rivals {
			must(t, <-errs)
		}
		got := w.people()
		if rivals == 1 {
			want = got
		}
		if len(got) != 20 || !reflect.DeepEqual(got, want) {
			t.Errorf("%d rivals leave %v,\nwant %v", rivals, got, want)
		}
	}
}

func TestASynchronisationThatIsCutIsMadeGood(t *testing.T) {
	t.Parallel()
	list := rows([]string{"c", "b", "a"})
	var want map[string]ledger.Person
	for n := 0; ; n++ {
		w := newWorld(t, tenantOf(ada))
		w.configure(map[string]any{"monitoredIndividualsPerJob": 2})
		w.list(list...)
		cut := n == 0 || w.cutTick(n)
		w.tick()
		row, err := w.ledger.Source(t.Context(), testSource)
		if err != nil || row.Value.PeopleAt.IsZero() || row.Value.LastError != "" {
			t.Errorf("write %d: source = %+v, %v", n, row.Value, err)
		}
		if n == 0 {
			want = w.people()
		} else if got := w.people(); !reflect.DeepEqual(got, want) {
			t.Errorf("write %d: people = %v, want %v", n, got, want)
		}
		if !cut {
			if n < 7 { // the settings are three writes and more, each individual is one, the source another
				t.Errorf("only %d writes were cut", n)
			}
			return
		}
	}
}

func TestABigListIsNotWrittenAnewAtEveryTick(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenantOf(ada))
	w.configure(nil)
	const n = 150 // what holds for them holds for thousands
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("p%04d,,,,", i))
	}
	list[7] = ada + ",,,,"
	w.list(list...)
	if got := w.rowsWritten(w.tick); got != n {
		t.Fatalf("%d rows written at first, want %d", got, n)
	}
	w.now = w.now.Add(checkedAgain - time.Second)
	if got := w.rowsWritten(w.tick); got != 0 {
		t.Errorf("%d rows written where nothing changed", got)
	}
	list[9] = "p0009,,Some Name,,"
	w.list(list...)
	w.graph.Mutate(func(tenant *graphtest.Tenant) { tenant.Users[0].Problem = graphtest.ProblemDenied })
	if got := w.rowsWritten(w.tick); got != 2 {
		t.Errorf("%d rows written where two have changed", got)
	}
}

func TestTheTimeOfACheckIsWrittenOnceADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenantOf(ada))
	w.configure(nil)
	w.list(ada + ",,,,")
	w.tick()
	first := w.now
	for _, step := range []struct {
		after time.Duration
		want  time.Time
	}{
		{time.Hour, first}, {checkedAgain - time.Second, first}, {checkedAgain, first.Add(checkedAgain)}, {2*checkedAgain - time.Second, first.Add(checkedAgain)},
	} {
		w.now = first.Add(step.after)
		w.tick()
		if got := w.people()[ada].CheckedAt; !got.Equal(step.want) {
			t.Errorf("after %v: checked at %v, want %v", step.after, got, step.want)
		}
	}
}
