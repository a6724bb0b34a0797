package years_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/ledger"
)

// allSetting, when it is not empty, has many more seeds tried.
const allSetting = "CHAINMAIL_TEST_ALL"

// seedsSetting is how many random histories are tried, where it is given.
const seedsSetting = "CHAINMAIL_TEST_SEEDS"

// seeds are how many random histories are tried.
func seeds() int {
	n, err := strconv.Atoi(os.Getenv(seedsSetting))
	switch {
	case err == nil:
		return n
	case os.Getenv(allSetting) != "":
		return 60
	}
	return 6
}

// TestNoInstantIsLostWhateverHappens lets everything happen to a source for two days, in random order: ticks, messages lost, doubled
// and reordered, deaths after any write, faults of Graph and of the storage, people who join and leave, mailboxes that come and
// go, what operators do, a clock that jumps. Then the world is healed, and weeks later nothing is missing.
func TestNoInstantIsLostWhateverHappens(t *testing.T) {
	t.Parallel()
	for seed := range seeds() {
		t.Run(fmt.Sprint("seed ", seed+1), func(t *testing.T) {
			t.Parallel()
			h := newHistory(t, uint64(seed+1))
			for range 70 {
				h.step()
			}
			h.owedOnce(h.glance(), h.persons(), h.source().State)
			h.heal()
			h.settle(16, 2*time.Hour)
			h.check()
		})
	}
}

// A history is a world in which anything happens.
type history struct {
	*world
	end    time.Time
	joiner *graphtest.User
	mails  []sent
}

// sent is a mail that somebody received.
type sent struct {
	user *graphtest.User
	*graphtest.Message
}

func newHistory(t *testing.T, seed uint64) *history {
	end := begin().Add(48 * time.Hour)
	w := newWorld(t, seed, 3, map[string]any{
		"endDate": end.Format(time.RFC3339), "collectJobTimeoutInMinutes": 300, "healthCheckFailureWindowInMinutes": 0,
	})
	h := &history{world: w, end: end, joiner: w.tenant.Users[2]}
	for _, u := range w.tenant.Users {
		for n := range 10 {
			at := begin().Add(time.Duration(w.random.IntN(48*60)) * time.Minute)
			late := []time.Duration{0, 0, time.Second, 5 * time.Minute, 3 * time.Hour, 9 * 24 * time.Hour}[w.random.IntN(6)]
			h.mails = append(h.mails, sent{u, w.mail(u, n, at, late)})
		}
	}
	w.list = []listed{{user: w.tenant.Users[0]}, {user: w.tenant.Users[1]}}
	w.putList()
	w.synchronise(0)
	return h
}

// chance is true so many times of a hundred.
func (w *world) chance(percent int) bool { return w.random.IntN(100) < percent }

// anyCut is after how many writes the process dies; 0: it lives.
func (w *world) anyCut() int32 {
	if w.chance(20) {
		return int32(1 + w.random.IntN(25))
	}
	return 0
}

// step is one thing that happens.
func (h *history) step() {
	switch n := h.random.IntN(100); {
	case n < 25:
		h.tick(h.anyCut())
	case n < 60:
		if len(h.queue) == 0 {
			h.tick(0)
			return
		}
		i := h.random.IntN(len(h.queue))
		switch {
		case h.chance(5):
			h.queue = append(h.queue[:i:i], h.queue[i+1:]...) // lost
			return
		case h.chance(8):
			h.queue = append(h.queue, h.queue[i])
		}
		h.deliver(i, h.anyCut())
	case n < 67:
		h.synchronise(h.anyCut())
	case n < 87:
		h.clock.Advance(time.Duration(1+h.random.IntN(150)) * time.Minute)
	default:
		h.happen()
	}
}

// happen changes the world.
func (h *history) happen() {
	h.Helper()
	ctx := h.Context()
	switch h.random.IntN(12) {
	case 11: // a clock that was ahead is set right
		h.clock.Advance(-time.Duration(h.random.IntN(90)) * time.Minute)
	case 0:
		h.outage.Store(!h.outage.Load())
	case 1:
		h.down.Store(!h.down.Load())
	case 2, 3, 4:
		problems := []string{"", "", graphtest.ProblemInactive, graphtest.ProblemMoving, graphtest.ProblemStore, graphtest.ProblemDenied}
		u := h.tenant.Users[h.random.IntN(3)]
		problem := problems[h.random.IntN(len(problems))]
		h.graph.Mutate(func(*graphtest.Tenant) { u.Problem = problem })
	case 5:
		if len(h.list) == 2 { // somebody joins, from an earlier time
			back := time.Duration(h.random.IntN(30)) * time.Hour
			h.list = append(h.list, listed{user: h.joiner, from: h.clock.Now().Add(-back).Truncate(time.Minute)})
			h.putList()
		}
	case 6: // somebody leaves, at some time, or stays after all
		if h.list[1].to.IsZero() {
			h.list[1].to = h.clock.Now().Add(time.Duration(h.random.IntN(300)-200) * time.Minute).Truncate(time.Minute)
		} else {
			h.list[1].to = time.Time{}
		}
		h.putList()
	case 7: // or was meant to begin later, or earlier after all
		h.list[0].from = begin().Add(time.Duration(h.random.IntN(600)) * time.Minute)
		h.putList()
	case 8:
		must(h.T, h.ledger.UpdateSource(ctx, testSource, func(s *ledger.Source) bool {
			if s.Disabled() {
				s.DisabledAt, s.DisabledReason = time.Time{}, ""
			} else {
				s.DisabledAt, s.DisabledReason = h.clock.Now(), "operator"
			}
			return true
		}))
	case 9:
		batches, err := h.ledger.Batches(ctx, testSource)
		must(h.T, err)
		if len(batches) > 0 {
			_, err := h.ledger.Ask(ctx, testSource, batches[h.random.IntN(len(batches))].Value.ID)
			must(h.T, err)
		}
	case 10:
		start := begin().Add(time.Duration(h.random.IntN(40)) * time.Hour)
		u := h.list[h.random.IntN(len(h.list))].user
		for _, p := range h.persons() {
			if p.Value.Identifier == u.Mail {
				_, err := h.ledger.PutGap(ctx, testSource, ledger.Gap{
					Person: ledger.PersonKey(u.Mail), Custodian: p.Value.Custodian().Name(), Lane: p.Value.Lane, Start: start,
					End: start.Add(3 * time.Hour), Reason: capture.ReasonRequested, Opened: h.clock.Now(), Asked: true,
				})
				must(h.T, err)
			}
		}
	}
}

// heal ends everything that stands in the way.
func (w *world) heal() {
	w.Helper()
	w.outage.Store(false)
	w.down.Store(false)
	w.graph.Mutate(func(t *graphtest.Tenant) {
		for _, u := range t.Users {
			u.Problem = ""
		}
	})
	must(w.T, w.ledger.UpdateSource(w.Context(), testSource, func(s *ledger.Source) bool {
		s.DisabledAt, s.DisabledReason = time.Time{}, ""
		return true
	}))
}

// settle lets so many calm days pass, with a turn of the planner so often.
func (w *world) settle(days int, every time.Duration) {
	w.Helper()
	end := w.clock.Now().AddDate(0, 0, days)
	for n := 0; w.clock.Now().Before(end); n++ {
		if n%4 == 0 {
			w.synchronise(0)
		}
		w.tick(0)
		w.drain()
		w.clock.Advance(every)
	}
}

// check holds the end against the rules.
func (h *history) check() {
	h.Helper()
	open, err := h.ledger.OpenBatches(h.Context(), testSource)
	must(h.T, err)
	gaps, err := h.ledger.Gaps(h.Context(), testSource)
	must(h.T, err)
	if len(open)+len(gaps) > 0 {
		h.Errorf("%d batches are open and %d gaps:\n%s%s", len(open), len(gaps), dump(open), dump(gaps))
	}
	if state := h.source().State; !state.Equal(h.end) {
		h.Errorf("the ingestion state is %s", state)
	}
	e := h.read()
	persons := h.persons()
	h.owedOnce(e, persons, h.end)
	for _, m := range h.mails {
		for _, p := range persons {
			at := capture.Window{Start: m.Received, End: m.Received.Add(time.Second)}
			if p.Value.Identifier != m.user.Mail || !p.Value.Monitored(at) {
				continue
			}
			if n := e.items[m.user.ID+" "+m.ImmutableID]; n != 1 {
				h.Errorf("mail %s of %s, visible %v later, was captured %d times", m.Subject, m.Received.Format(time.RFC3339), m.VisibleAfter.Sub(m.Received), n)
			}
		}
	}
	for id, n := range e.items {
		if n > 1 {
			h.Errorf("%s was captured %d times", id, n)
		}
	}
}
