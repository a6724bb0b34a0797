package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
)

// caughtUp is a world in which the first day has been collected; it is the next noon.
func caughtUp(t *testing.T, people ...ledger.Person) *world {
	t.Helper()
	w := newWorld(t)
	w.configure(map[string]any{"endDate": "2026-03-03T00:00:00Z", "settleInMinutes": 10})
	w.monitor(testSource, people...)
	must(t, w.ledger.UpdateSource(t.Context(), testSource, func(s *ledger.Source) bool {
		s.EnabledAt, s.Begin, s.State = w.now, at(t, "2026-03-02T00:00:00Z"), at(t, "2026-03-03T00:00:00Z")
		s.LookedDay, s.LookedWeek = s.State, s.State
		return true
	}))
	w.now = at(t, "2026-03-03T12:00:00Z")
	return w
}

// owe opens a gap of some hours of the first day.
func (w *world) owe(p ledger.Person, from, to int, change func(*ledger.Gap)) {
	w.Helper()
	day := at(w.T, "2026-03-02T00:00:00Z")
	g := ledger.Gap{
		Person: ledger.PersonKey(p.Identifier), Custodian: p.Custodian().Name(), Lane: p.Lane, Reason: capture.ReasonJoined,
		Start: day.Add(time.Duration(from) * time.Hour), End: day.Add(time.Duration(to) * time.Hour), Opened: w.now,
	}
	if change != nil {
		change(&g)
	}
	opened, err := w.ledger.PutGap(w.Context(), testSource, g)
	if err != nil || !opened {
		w.Fatalf("PutGap() = %v, %v", opened, err)
	}
}

// made are the batches in short: hours, number, reason, and how many custodians.
func (w *world) made() []string {
	w.Helper()
	var all []string
	for _, b := range w.batches(testSource) {
		all = append(all, fmt.Sprintf("%02d-%02d %d %s %d", b.Start.Hour(), b.End.Hour(), b.N, b.Reason, b.Custodians))
	}
	return all
}

func TestAGapBecomesASupplementWhenItCanBeClosed(t *testing.T) {
	t.Parallel()
	excluded := func(p *ledger.Person) { p.Reason = capture.ReasonNoMailbox }
	for name, row := range map[string]struct {
		person func(*ledger.Person)
		gap    func(*ledger.Gap)
		want   []string
	}{
		"at once":                     {nil, nil, []string{"01-03 1 Joined 1"}},
		"not before it is due":        {nil, func(g *ledger.Gap) { g.Due = g.Opened.Add(time.Second) }, nil},
		"when it is due":              {nil, func(g *ledger.Gap) { g.Due = g.Opened }, []string{"01-03 1 Joined 1"}},
		"not while excluded":          {excluded, nil, nil},
		"unless it is asked for":      {excluded, func(g *ledger.Gap) { g.Asked = true }, []string{"01-03 1 Joined 1"}},
		"not while it is held":        {nil, func(g *ledger.Gap) { g.Held = true }, nil},
		"held, and asked for":         {nil, func(g *ledger.Gap) { g.Held, g.Asked = true, true }, []string{"01-03 1 Joined 1"}},
		"not while it is carried":     {nil, func(g *ledger.Gap) { g.Batch = "20260302010000UTC-20260302030000UTC" }, nil},
		"not of somebody unknown":     {nil, func(g *ledger.Gap) { g.Person = "nobody" }, nil},
		"not before its time is over": {nil, func(g *ledger.Gap) { g.End = g.Opened }, nil},
		"with an operator's reason": {nil, func(g *ledger.Gap) {
			g.Reason, g.RetryOf = capture.ReasonRequested, "20260302000000UTC-20260303000000UTC"
		},
			[]string{"01-03 1 Requested 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := person("ada", 0)
			if row.person != nil {
				row.person(&p)
			}
			w := caughtUp(t, p)
			w.owe(p, 1, 3, row.gap)
			for range 2 { // the next tick makes no second one
				w.tick()
			}
			if got := w.made(); !slices.Equal(got, row.want) {
				t.Fatalf("batches %q, want %q", got, row.want)
			}
			for _, b := range w.batches(testSource) {
				if c := w.custodians(b); len(c) != 1 || c[0].Identifier != "ada" || c[0].Reason != "" {
					t.Errorf("custodians %+v", c)
				}
			}
		})
	}
}

func TestWhatTheScheduleHasStillToComeToIsLeftToIt(t *testing.T) {
	t.Parallel()
	p := person("ada", 0)
	w := caughtUp(t, p)
	w.configure(map[string]any{"endDate": "2026-03-04T00:00:00Z"})
	must(t, w.ledger.UpdateSource(t.Context(), testSource, func(s *ledger.Source) bool { s.State = at(t, "2026-03-02T02:00:00Z"); return true }))
	w.owe(p, 1, 3, nil)
	w.tick()
	if got := w.made(); slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "Joined") }) {
		t.Errorf("batches %q", got)
	}
}

func TestGapsOfOnePeriodAndReasonAreOneSupplement(t *testing.T) {
	t.Parallel()
	var people []ledger.Person
	for n := range ledger.MaxGaps + 5 {
		people = append(people, person(fmt.Sprintf("p%03d", n), n/50))
	}
	w := caughtUp(t, people...)
	for _, p := range people {
		w.owe(p, 1, 3, nil)
	}
	w.owe(people[0], 5, 6, nil)
	w.owe(people[1], 5, 6, func(g *ledger.Gap) { g.Reason = capture.ReasonRequested })
	w.tick()
	want := []string{"01-03 1 Joined 90", "05-06 1 Joined 1"} // the others share time and lane with these, and wait
	if got := w.made(); !slices.Equal(got, want) {
		t.Errorf("batches %q, want %q", got, want)
	}
}

func TestASupplementWaitsForWhoeverCollectsItsTime(t *testing.T) {
	t.Parallel()
	ada, bo := person("ada", 0), person("bo", 1)
	w := caughtUp(t, ada, bo)
	w.owe(ada, 1, 4, nil)
	w.tick()
	w.owe(ada, 3, 6, nil) // shares time and lane with the first
	w.owe(bo, 3, 6, nil)  // is of another lane
	w.tick()
	if got, want := w.made(), []string{"01-04 1 Joined 1", "03-06 1 Joined 1"}; !slices.Equal(got, want) {
		t.Fatalf("batches %q, want %q", got, want)
	}
	if c := w.custodians(w.batches(testSource)[1]); c[0].Identifier != "bo" {
		t.Errorf("the second is of %s", c[0].Identifier)
	}
}

func TestASupplementIsMadeOnceWhereverATickIsCut(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		p := person("ada", 0)
		w := caughtUp(t, p)
		w.owe(p, 1, 3, nil)
		cut := w.cutTick(n)
		w.now = w.now.Add(time.Hour)
		w.tick()
		if got := w.made(); !slices.Equal(got, []string{"01-03 1 Joined 1"}) {
			t.Errorf("cut at write %d: batches %q", n, got)
		}
		if !cut {
			break
		}
	}
}

func TestWhatIsLookedAtASecondTime(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		now    string
		source func(*ledger.Source)
		end    any
		want   string
	}{
		"not before the small hours": {"2026-03-20T04:09:00Z", nil, nil, ""},
		"the last day":               {"2026-03-20T04:10:00Z", nil, nil, "2026-03-19T00:00:00Z 2026-03-20T00:00:00Z"},
		"once":                       {"2026-03-20T09:00:00Z", func(s *ledger.Source) { s.LookedDay = time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC) }, nil, ""},
		"also a day that was missed": {"2026-03-20T09:00:00Z",
			func(s *ledger.Source) { s.LookedDay = time.Date(2026, 3, 18, 0, 0, 0, 0, time.UTC) }, nil, "2026-03-18T00:00:00Z 2026-03-20T00:00:00Z"},
		"each week two weeks": {"2026-03-20T09:00:00Z",
			func(s *ledger.Source) { s.LookedWeek = time.Date(2026, 3, 13, 0, 0, 0, 0, time.UTC) }, nil, "2026-03-06T00:00:00Z 2026-03-20T00:00:00Z"},
		"nothing before the beginning": {"2026-03-20T09:00:00Z", func(s *ledger.Source) {
			s.LookedWeek, s.Begin = time.Time{}, time.Date(2026, 3, 19, 6, 0, 0, 0, time.UTC)
		}, nil, "2026-03-19T06:00:00Z 2026-03-20T00:00:00Z"},
		"no backlog": {"2026-03-20T09:00:00Z", func(s *ledger.Source) { s.State = time.Date(2026, 3, 19, 23, 0, 0, 0, time.UTC) }, nil, ""},
		"what has ended, for two weeks": {"2026-03-20T09:00:00Z", func(s *ledger.Source) {
			s.State, s.LookedWeek = time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC), time.Time{}
		}, "2026-03-10T00:00:00Z", "2026-03-06T00:00:00Z 2026-03-10T00:00:00Z"},
		"and no longer": {"2026-03-25T09:00:00Z", func(s *ledger.Source) {
			s.State, s.LookedWeek = time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC), time.Time{}
		}, "2026-03-10T00:00:00Z", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gone := person("bo", 1)
			gone.Reason = capture.ReasonNoMailbox
			w := newWorld(t)
			w.configure(map[string]any{"endDate": row.end, "frequencyInMinutes": 60 * 24 * 30, "settleInMinutes": 10})
			w.monitor(testSource, person("ada", 0), gone)
			w.now = at(t, row.now)
			must(t, w.ledger.UpdateSource(t.Context(), testSource, func(s *ledger.Source) bool {
				s.EnabledAt, s.Begin = w.now, at(t, "2026-03-02T00:00:00Z")
				s.State, s.LookedDay, s.LookedWeek = at(t, "2026-03-20T04:00:00Z"), at(t, "2026-03-19T00:00:00Z"), at(t, "2026-03-19T00:00:00Z")
				if row.source != nil {
					row.source(s)
				}
				return true
			}))
			for range 2 {
				w.tick()
			}
			got := ""
			for _, b := range w.batches(testSource) {
				got += b.Start.Format(time.RFC3339) + " " + b.End.Format(time.RFC3339)
				if c := w.custodians(b); b.Reason != capture.ReasonLate || len(c) != 1 {
					t.Errorf("reason %s, %d custodians", b.Reason, len(c))
				}
			}
			if got != row.want {
				t.Errorf("looked at %s, want %s", got, row.want)
			}
		})
	}
}

func TestASourceInTroubleWaitsAndIsDisabledInTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(map[string]any{"healthCheckFailureWindowInMinutes": 120})
	w.monitor(testSource, person("ada", 0))
	if n := len(w.tick()); n != 1 {
		t.Fatalf("%d messages before", n)
	}
	planned := len(w.ids(testSource))
	must(t, w.ledger.Trouble(t.Context(), testSource, "unauthorized", w.now))
	for hour := range 4 {
		w.now = w.now.Add(time.Hour)
		chunks := w.tick()
		if got := len(w.ids(testSource)); got != planned {
			t.Errorf("hour %d: %d batches, want no more than %d", hour, got, planned)
		}
		// Once it is disabled, what there is goes to its end.
		if s := w.source(); s.Disabled() != (hour >= 1) || (len(chunks) > 0) != (hour >= 1) {
			t.Errorf("hour %d: disabled %v (%s), %d messages", hour, s.Disabled(), s.DisabledReason, len(chunks))
		}
	}
	if n := strings.Count(w.log.String(), `"msg":"source disabled"`); n != 1 {
		t.Errorf("the log tells of it %d times", n)
	}
	must(t, w.ledger.Enable(t.Context(), testSource, w.now))
	w.now = w.now.Add(24 * time.Hour)
	for range 3 {
		w.tick()
	}
	if w.source().Disabled() {
		t.Error("it is disabled again")
	}
}

func TestASourceThatIsResetBeginsAnewOnceItIsEnabled(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]any{"with a start date": "2026-03-02T00:00:00Z", "without": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.configure(map[string]any{"startDate": start})
			w.monitor(testSource, person("ada", 0))
			w.tick()
			must(t, w.ledger.Reset(t.Context(), testSource, w.now))
			w.now = w.now.Add(time.Hour)
			w.tick()
			if s := w.source(); !s.State.IsZero() {
				t.Errorf("disabled, and at %v", s.State)
			}
			must(t, w.ledger.Enable(t.Context(), testSource, w.now))
			before := len(w.ids(testSource))
			w.tick()
			want := w.now
			if start != nil {
				want = at(t, "2026-03-02T00:00:00Z")
			}
			if s := w.source(); !s.Begin.Equal(want) || start != nil && len(w.ids(testSource)) == before {
				t.Errorf("begins at %v, want %v; %q", s.Begin, want, w.ids(testSource))
			}
		})
	}
}

func TestWhatExchangeSoonDeletesIsSaidInTheLogOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(map[string]any{"deletedItemRetentionInDays": 14})
	w.monitor(testSource, person("a", 0))
	seen := w.now
	x := capture.Exception{
		Custodian: "id-a", Item: capture.Item{GraphID: "AAA", Kind: capture.Email, State: capture.Recoverable}, Batch: firstDay,
		Stage: "mime", Code: "ErrorItemCorrupt", Attempts: 1, FirstSeen: seen, LastSeen: seen,
	}
	must(t, w.ledger.PutExceptions(t.Context(), testSource, 0, []capture.Exception{x}, func(capture.Exception) bool { return true }))
	for _, at := range []struct{ days, told int }{{0, 0}, {10, 0}, {12, 1}, {13, 1}} {
		w.now = seen.AddDate(0, 0, at.days)
		w.tick()
		if got := len(w.log.Events("exception near retention")); got != at.told {
			t.Errorf("after %d days it was said %d times, want %d", at.days, got, at.told)
		}
	}
	e := w.log.Events("exception near retention")
	if len(e) != 1 || e[0]["item"] != x.Item.Key() || e[0]["custodian"] != "id-a" || e[0]["code"] != x.Code || e[0]["remedy"] == "" {
		t.Errorf("the log says %v", e)
	}
}
