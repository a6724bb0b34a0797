package people

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/ledger"
)

// slow has the world's time pass with the requests to mailboxes.
func (w *world) slow(step time.Duration) *graphtest.Clock {
	w.Helper()
	c := graphtest.NewClock(w.now)
	w.registry.Now, w.registry.Config.Now = c.Now, c.Now
	w.graph.OnRequest(func(r graphtest.Request) {
		if r.Path == "GET /users/{id}/mailFolders/{id}" && r.Folder == "inbox" {
			c.Advance(step)
		}
	})
	return c
}

// crowd is a tenant of so many members of group A.
func crowd(n int) *graphtest.Tenant {
	var addresses []string
	for i := range n {
		addresses = append(addresses, fmt.Sprintf("p%05d@contoso.example", i))
	}
	t := tenantOf(addresses...)
	t.Groups = []*graphtest.Group{{ID: groupA}}
	for _, u := range t.Users {
		t.Groups[0].Members = append(t.Groups[0].Members, u.ID)
	}
	return t
}

func TestARunChecksWhatFitsIntoItsTimeAndTheNextGoesOn(t *testing.T) {
	t.Parallel()
	const n = 100
	w := newWorld(t, crowd(n))
	w.configure(individuals("A", "no list"))
	clock := w.slow(20 * time.Second) // thirty in ten minutes, and those that are under way
	checked := func() (all int) {
		for _, p := range w.people() {
			if !p.CheckedAt.IsZero() {
				all++
			}
		}
		return all
	}
	before := 0
	for run := 1; before < n; run++ {
		w.tick()
		now := checked()
		if added := now - before; len(w.people()) != n || added > 30+2*mailboxesAtOnce || added < min(30, n-before) {
			t.Fatalf("run %d checks %d of %d", run, added, len(w.people()))
		}
		before = now
		clock.Advance(time.Hour)
	}
	if said := w.log.Events("checks go on at the next run"); len(said) < 2 || said[0]["left"].(float64)+said[0]["checked"].(float64) != n {
		t.Errorf("logged: %v", said)
	}
}

func TestEachSourceHasItsPartOfTheTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, crowd(100))
	first, second := individuals("A", "no list"), individuals("A", "no list")
	second["name"] = "other"
	w.configure(first, second)
	w.slow(20 * time.Second)
	w.registry.CheckTime = 20 * time.Minute
	w.tick()
	for _, source := range []string{testSource, "other"} {
		rows, err := w.ledger.People(t.Context(), source)
		must(t, err)
		n := 0
		for _, r := range rows {
			if !r.Value.CheckedAt.IsZero() {
				n++
			}
		}
		if n < 15 || n > 30+2*mailboxesAtOnce {
			t.Errorf("source %s: %d are checked", source, n)
		}
	}
}

func TestTheMostUrgentAreCheckedFirst(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
	ago := func(hours int) time.Time { return now.Add(-time.Duration(hours) * time.Hour) }
	person := func(name, reason string, checked, excluded time.Time) *individual {
		p := ledger.Person{Identifier: name, ObjectID: "id-" + name, Reason: reason, CheckedAt: checked, ExcludedAt: excluded}
		return &individual{row: ledger.Row[ledger.Person]{Value: p}, before: p}
	}
	news := person("secondary identifier is new", capture.ReasonNotFound, ago(1), ago(200))
	news.row.Value.Secondary.V = []string{"new"}
	people := []*individual{
		person("healthy, an hour ago", "", ago(1), time.Time{}),
		person("healthy, a day ago", "", ago(24), time.Time{}),
		person("healthy, two days ago", "", ago(48), time.Time{}),
		person("excluded long since, an hour ago", capture.ReasonDenied, ago(1), ago(200)),
		person("excluded long since, a day ago", capture.ReasonDenied, ago(24), ago(200)),
		person("excluded since an hour", capture.ReasonNoMailbox, ago(1), ago(1)),
		person("duplicate, an hour ago", capture.ReasonDuplicate, ago(1), time.Time{}),
		person("excluded before that was noted", capture.ReasonDenied, ago(12), time.Time{}),
		news,
		person("never", "", time.Time{}, time.Time{}),
	}
	due, others := queue(people, now)
	names := func(people []*individual) (all []string) {
		for _, p := range people {
			all = append(all, p.row.Value.Identifier)
		}
		return all
	}
	want := []string{"never", "excluded long since, a day ago", "excluded since an hour", "secondary identifier is new", "healthy, two days ago", "healthy, a day ago"}
	if got := names(due); !slices.Equal(got, want) {
		t.Errorf("due: %q\nwant %q", got, want)
	}
	if got := names(others); !slices.Equal(got, []string{"healthy, an hour ago", "duplicate, an hour ago"}) {
		t.Errorf("witnesses: %q", got)
	}
}

func TestAnExclusionIsLookedAtHourlyForADayAndThenDaily(t *testing.T) {
	t.Parallel()
	const bob = "bob@contoso.example"
	w := newWorld(t, tenantOf(ada, bob))
	w.configure(nil)
	w.list(rows([]string{ada, bob})...)
	w.graph.Mutate(func(t *graphtest.Tenant) { t.Users[0].Problem = graphtest.ProblemDenied })
	asked := func() int {
		var n atomic.Int64
		w.graph.OnRequest(func(r graphtest.Request) {
			if r.Path == "GET /users/{id}" && r.User == idOf(0) {
				n.Add(1)
			}
		})
		w.tick()
		return int(n.Load())
	}
	for hour := range 73 {
		want := 0
		if hour < 24 || hour%24 == 0 {
			want = 1
		}
		if got := asked(); got != want {
			t.Errorf("hour %d: %d look-ups, want %d", hour, got, want)
		}
		w.now = w.now.Add(time.Hour)
	}
}

// TestOneMailboxThatRefusesTheAppIsNoFaultOfTheSource holds that others are asked where only it was due.
func TestOneMailboxThatRefusesTheAppIsNoFaultOfTheSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t, crowd(20))
	w.configure(individuals("A", "no list"))
	w.tick()
	w.graph.Mutate(func(t *graphtest.Tenant) {
		u := tenantOf("x@contoso.example").Users[0]
		u.ID, u.Problem = idOf(77), graphtest.ProblemUnconsented
		t.Users = append(t.Users, u)
		t.Groups[0].Members = append(t.Groups[0].Members, u.ID)
	})
	w.now = w.now.Add(time.Hour)
	w.tick()
	if p := w.people()["x@contoso.example"]; !p.CheckedAt.IsZero() || p.Reason != "" || p.ObjectID == "" {
		t.Errorf("person = %+v", p)
	}
	w.graph.Mutate(func(t *graphtest.Tenant) {
		for _, u := range t.Users {
			u.Problem = graphtest.ProblemUnconsented
		}
	})
	if err := w.log.Error(w.registry.Tick(t.Context())); err == nil {
		t.Error("an app that no mailbox lets in is no fault")
	}
}

// TestAnHourCostsWhatHasChanged counts the requests of a run in which nothing is due, for a small source and a larger one: the
// pages of the listing, and those who vouch that the app is let in.
func TestAnHourCostsWhatHasChanged(t *testing.T) {
	t.Parallel()
	requests := map[int]int{}
	for _, n := range []int{100, 1000} {
		w := newWorld(t, crowd(n))
		w.configure(individuals("A", "no list"))
		w.tick()
		w.now = w.now.Add(time.Hour)
		count := func() (all int) {
			for path, k := range w.graph.Requests() {
				if strings.HasPrefix(path, "GET /users/{id}") {
					all += k
				}
			}
			return all
		}
		before := count()
		if before < n {
			t.Errorf("%d members: %d requests at first", n, before)
		}
		if rows := w.rowsWritten(w.tick); rows != 0 {
			t.Errorf("%d members: %d rows are written", n, rows)
		}
		requests[n] = count() - before
	}
	if requests[100] != requests[1000] || requests[100] > 2*mailboxesAtOnce {
		t.Errorf("requests by members: %v", requests)
	}
}

// BenchmarkMerge brings rows and a group together, without network: the cost of an individual is that of the last column.
func BenchmarkMerge(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l, stored := assembly(n)
			for b.Loop() {
				people := merge(stored, l, false, 100, time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC))
				queue(people, time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC))
				markDuplicates(people, time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/individual")
		})
	}
}

// BenchmarkSynchronise is a source's first run and the next hour's, from the stand-in Graph to the ledger.
func BenchmarkSynchronise(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				w := newWorld(b, crowd(n))
				w.configure(individuals("A", "no list"))
				b.StartTimer()
				begun := time.Now()
				w.tick()
				first := time.Since(begun)
				w.now = w.now.Add(time.Hour)
				w.tick()
				b.ReportMetric(float64(first.Microseconds())/float64(n), "µs/individual-first")
				b.ReportMetric(float64((time.Since(begun)-first).Microseconds())/float64(n), "µs/individual-next")
			}
		})
	}
}

// assembly is a group of n, the list of every tenth of them by an alias, and their rows.
func assembly(n int) (list, []ledger.Row[ledger.Person]) {
	l := list{whole: true, groups: []group{{id: groupA, read: true}}}
	var stored []ledger.Row[ledger.Person]
	for i := range n {
		u := graph.User{
			ID: idOf(i), UserPrincipalName: fmt.Sprintf("p%d@contoso.example", i), Mail: fmt.Sprintf("mail%d@contoso.example", i),
			Addresses: []string{fmt.Sprintf("mail%d@contoso.example", i), fmt.Sprintf("alias%d@contoso.example", i)}, Enabled: true, Licensed: true,
		}
		l.groups[0].members = append(l.groups[0].members, u)
		if i%10 == 0 {
			l.individuals = append(l.individuals, capture.Individual{Identifier: u.Addresses[1]})
		}
		p := ledger.Person{Identifier: u.UserPrincipalName, ObjectID: u.ID, Lane: i / 100}
		p.Intervals.V = []ledger.Interval{{Cause: groupA}}
		stored = append(stored, ledger.Row[ledger.Person]{Value: p})
	}
	return l, stored
}

// TestAMailboxPassesOnWithoutACheck holds that an exclusion as a duplicate ends with what made it one.
func TestAMailboxPassesOnWithoutACheck(t *testing.T) {
	t.Parallel()
	const alias, bob = "countess@contoso.example", "bob@contoso.example"
	w := newWorld(t, tenantOf(ada+" "+alias, bob))
	w.configure(nil)
	w.list(rows([]string{ada, alias})...)
	w.tick()
	w.now = w.now.Add(time.Hour)
	w.list(rows([]string{alias, bob})...) // bob is due, and answers
	w.tick()
	if p := w.people()[alias]; p.Reason != "" || !p.CheckedAt.Equal(w.now.Add(-time.Hour)) {
		t.Errorf("person = %+v, excluded: %v", p, w.reasons())
	}
}
