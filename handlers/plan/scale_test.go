package plan

import (
	"fmt"
	"os"
	"testing"
	"time"

	"chainmail/handlers/ledger"
)

// crowd monitors so many individuals, a hundred in a lane.
func (w *world) crowd(n int) {
	w.Helper()
	for from := 0; from < n; from += ledger.MaxPeople {
		row, err := w.ledger.Source(w.Context(), testSource)
		must(w.T, err)
		var rows []ledger.Row[ledger.Person]
		for i := from; i < min(from+ledger.MaxPeople, n); i++ {
			p := person(fmt.Sprintf("person.%06d@contoso.example", i), i/100)
			p.ObjectID = fmt.Sprintf("7d2c1a4e-0000-4000-8000-%012d", i)
			rows = append(rows, ledger.Row[ledger.Person]{Value: p})
		}
		must(w.T, w.ledger.PutPeople(w.Context(), testSource, row, rows, nil))
	}
	must(w.T, w.ledger.UpdateSource(w.Context(), testSource, func(s *ledger.Source) bool { s.PeopleAt = w.now; return true }))
}

// A cost is what planning one window costs.
type cost struct {
	calls int   // to the storage
	bytes int64 // of requests and answers
	took  time.Duration
}

// each is the cost for one of so many individuals.
func (c cost) each(n int) (calls, bytes, micros float64) {
	return float64(c.calls) / float64(n), float64(c.bytes) / float64(n), float64(c.took.Microseconds()) / float64(n)
}

func (w *world) cost() cost {
	w.Helper()
	before, moved, began := len(w.proxy.Ops()), w.proxy.Bytes(), time.Now()
	chunks := w.tick()
	took := time.Since(began)
	if len(w.ids(testSource)) != 1 || len(chunks) == 0 {
		w.Fatalf("%d batches, %d messages", len(w.ids(testSource)), len(chunks))
	}
	return cost{len(w.proxy.Ops()) - before, w.proxy.Bytes() - moved, took}
}

// TestPlanningAWindowCostsTheSameForEachIndividual holds the calls to the storage and their bytes against the number of individuals.
// The package comment has the arithmetic; go test -run PlanningAWindow -v ./handlers/plan prints the figures, CHAINMAIL_TEST_ALL those for 100,000.
func TestPlanningAWindowCostsTheSameForEachIndividual(t *testing.T) {
	t.Parallel()
	sizes := []int{1_000, 10_000}
	if os.Getenv("CHAINMAIL_TEST_ALL") != "" {
		sizes = append(sizes, 100_000)
	}
	var firstCalls, firstBytes float64
	for _, n := range sizes {
		w := newWorld(t)
		w.configure(map[string]any{"startDate": "2026-03-02T00:00:00Z", "endDate": "2026-03-02T01:00:00Z"})
		w.crowd(n)
		calls, bytes, micros := w.cost().each(n)
		t.Logf("%d individuals: %.4f calls, %.0f bytes and %.1f µs each", n, calls, bytes, micros)
		if firstCalls == 0 {
			firstCalls, firstBytes = calls, bytes
		}
		if calls > firstCalls || bytes > firstBytes {
			t.Errorf("%d individuals: %.4f calls and %.0f bytes each, of 1,000 %.4f and %.0f", n, calls, bytes, firstCalls, firstBytes)
		}
	}
}
