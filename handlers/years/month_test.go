package years_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/ledger"
)

// days is how long the simulated time is: a month, or less where not everything is tried.
func days() int {
	if os.Getenv(allSetting) != "" {
		return 30
	}
	return 6
}

// A disturbance is a time in which something is out of order.
type disturbance struct {
	from, to time.Time
	set      func(on bool)
	on       bool
}

// TestAMonthWithEverythingThatGoesWrong is a month of a source without an end: Graph is out for six hours and the storage for half
// an hour, half of a day's requests are throttled, a mailbox is moved for two days. All is captured, each mail once, and in healthy
// mailboxes no later than the outages explain.
func TestAMonthWithEverythingThatGoesWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 4, nil)
	moved := w.tenant.Users[3]
	var mails []sent
	for _, u := range w.tenant.Users {
		w.list = append(w.list, listed{user: u})
		for n := range days() * 5 {
			mails = append(mails, sent{u, w.mail(u, n, begin().Add(time.Duration(n)*(24*time.Hour/5)+time.Duration(w.random.IntN(200))*time.Minute), 0)})
		}
	}
	w.putList()
	at := func(day, hour int) time.Time { return begin().Add(time.Duration(day*24+hour) * time.Hour) }
	throttle := w.throttling()
	all := []*disturbance{
		{from: at(1, 10), to: at(1, 16), set: w.outage.Store},
		{from: at(2, 4), to: at(2, 5), set: w.down.Store}, // the clock goes by half hours
		{from: at(2, 12), to: at(3, 12), set: throttle},
		{from: at(2, 0), to: at(4, 0), set: func(on bool) {
			w.graph.Mutate(func(*graphtest.Tenant) { moved.Problem = map[bool]string{true: graphtest.ProblemMoving}[on] })
		}},
	}
	end := begin().Add(time.Duration(days()) * 24 * time.Hour)
	seen := map[string]time.Time{} // when a mail was first seen in the evidence, by Graph id
	for w.clock.Now().Before(end.Add(24 * time.Hour)) {
		for _, d := range all {
			if on := !w.clock.Now().Before(d.from) && w.clock.Now().Before(d.to); on != d.on {
				d.on = on
				d.set(on)
			}
		}
		if w.clock.Now().Minute() < 30 {
			w.synchronise(0) // hourly, or as often as there is a turn
		}
		w.tick(0)
		for n := 0; len(w.queue) > 0 && n < 40; n++ {
			w.deliver(0, 0)
		}
		w.look(seen)
		if w.clock.Now().Before(at(5, 0)) {
			w.clock.Advance(30 * time.Minute)
		} else { // calm days
			w.clock.Advance(2 * time.Hour)
		}
	}
	e := w.read()
	w.owedOnce(e, w.persons(), w.source().State)
	const usual = 4*time.Hour + 10*time.Minute + 4*time.Hour // the window, the time to settle, two turns of the planner
	for _, m := range mails {
		if n := e.items[m.user.ID+" "+m.ImmutableID]; n != 1 {
			t.Errorf("mail %s of %s was captured %d times", m.Subject, m.Received.Format(time.RFC3339), n)
			continue
		}
		late := usual
		for _, d := range all[:3] { // an outage explains its own length, and what a lane has to catch up with
			if m.Received.Before(d.to) && m.Received.Add(usual+6*time.Hour).After(d.from) {
				late += d.to.Sub(d.from)
			}
		}
		if took := seen[m.ImmutableID].Sub(m.Received); m.user != moved && took > late {
			t.Errorf("mail %s of %s was captured after %v", m.Subject, m.Received.Format(time.RFC3339), took)
		}
	}
}

// throttling refuses every second request to Graph while it is on.
func (w *world) throttling() (set func(on bool)) {
	var mu sync.Mutex
	on, count := false, 0
	w.graph.Fault(func(graphtest.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		count++
		return on && count%2 == 0
	}, 0, graphtest.Fault{Status: 429, Code: "ApplicationThrottled", RetryAfter: "5"})
	return func(to bool) {
		mu.Lock()
		defer mu.Unlock()
		on = to
	}
}

// look notes what is new in the evidence.
func (w *world) look(seen map[string]time.Time) {
	w.Helper()
	for id := range w.captured() {
		if seen[id].IsZero() {
			seen[id] = w.clock.Now()
		}
	}
}

// TestWhatComesLateIsCapturedInASupplement has mails become visible a second, five minutes, three hours and nine days after they
// were received.
func TestWhatComesLateIsCapturedInASupplement(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1, map[string]any{"endDate": begin().Add(48 * time.Hour).Format(time.RFC3339)})
	u := w.tenant.Users[0]
	w.list = []listed{{user: u}}
	w.putList()
	delays := []time.Duration{time.Second, 5 * time.Minute, 3 * time.Hour, 9 * 24 * time.Hour}
	var mails []sent
	for n := range 12 {
		at := begin().Add(time.Duration(n)*4*time.Hour + 3*time.Hour + 57*time.Minute)
		mails = append(mails, sent{u, w.mail(u, n, at, delays[n%4])})
	}
	copied := w.mail(u, 100, mails[0].Received, 3*24*time.Hour) // imported again, under another id
	copied.InternetMessageID = mails[0].InternetMessageID
	gone := mails[1]
	w.settle(3, time.Hour)
	w.graph.Mutate(func(*graphtest.Tenant) { must(t, u.Move(gone.ImmutableID, "Recoverable Items/Deletions")) })
	w.settle(17, 3*time.Hour)
	e := w.read()
	for _, m := range mails {
		id := u.ID + " " + m.ImmutableID
		late := m.VisibleAfter.Sub(m.Received)
		if n := e.items[id]; n != 1 || (e.late[id] > 0) != (late > time.Hour) {
			t.Errorf("mail visible %v later was captured %d times, %d of them by second looks", late, n, e.late[id])
		}
	}
	if n := e.items[u.ID+" "+copied.ImmutableID]; n != 0 {
		t.Errorf("a copy was captured %d times", n)
	}
	if got := fmt.Sprint(e.deleted); got != fmt.Sprint(map[string]string{gone.ImmutableID: "recoverable"}) {
		t.Errorf("deletion records %s", got)
	}
}

// TestWhatIsImportedLongAfterwardsIsCaptured has old mails come into a mailbox weeks later.
func TestWhatIsImportedLongAfterwardsIsCaptured(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1, map[string]any{"frequencyInMinutes": 24 * 60})
	u := w.tenant.Users[0]
	w.list = []listed{{user: u, from: begin().Add(6 * time.Hour)}}
	w.putList()
	const weeks = 20 * 24 * time.Hour
	first := w.mail(u, 1, begin().Add(10*time.Hour), 0)
	imported := w.mail(u, 2, begin().Add(11*time.Hour), weeks)
	copied := w.mail(u, 3, first.Received, weeks)
	copied.InternetMessageID = first.InternetMessageID
	early := w.mail(u, 4, begin().Add(time.Hour), weeks) // before anybody was monitored
	w.settle(30, 12*time.Hour)
	e := w.read()
	for name, tt := range map[string]struct {
		m    *graphtest.Message
		n    int
		late int
	}{"the first": {first, 1, 0}, "the imported": {imported, 1, 1}, "the copy": {copied, 0, 0}, "what is not owed": {early, 0, 0}} {
		if n, late := e.items[u.ID+" "+tt.m.ImmutableID], e.late[u.ID+" "+tt.m.ImmutableID]; n != tt.n || late != tt.late {
			t.Errorf("%s was captured %d times, %d by second looks", name, n, late)
		}
	}
}

// TestAnItemIsFetchedAgainAfterTheCollectionsEnd has a mail whose MIME cannot be had for two days, long after the last window.
func TestAnItemIsFetchedAgainAfterTheCollectionsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1, map[string]any{"endDate": begin().Add(24 * time.Hour).Format(time.RFC3339)})
	u := w.tenant.Users[0]
	w.list = []listed{{user: u}}
	w.putList()
	w.clock.Advance(100 * 24 * time.Hour)
	m := w.mail(u, 1, begin().Add(5*time.Hour), 0)
	raw := m.Raw
	w.graph.Mutate(func(*graphtest.Tenant) {
		m.MIME = func(uint64) (io.ReadCloser, error) { return nil, errors.New("corrupt") }
	})
	w.settle(2, time.Hour)
	e := w.read()
	if n := e.items[u.ID+" "+m.ImmutableID]; n != 0 || !e.excepted[u.ID+" "+m.ImmutableID] {
		t.Fatalf("captured %d times", n)
	}
	w.graph.Mutate(func(*graphtest.Tenant) { m.MIME, m.Raw = nil, raw })
	w.settle(2, time.Hour)
	if n := w.read().items[u.ID+" "+m.ImmutableID]; n != 1 {
		t.Errorf("captured %d times", n)
	}
	if told := w.log.Events("exception closed"); len(told) != 1 || told[0]["how"] != ledger.ClosedCaptured {
		t.Errorf("the log says of what was closed: %v", told)
	}
	if open, err := w.ledger.Exceptions(t.Context(), testSource); err != nil || len(open) != 0 {
		t.Errorf("%d exceptions are open, %v", len(open), err)
	}
}

// TestCalendarsThatWereRefusedForDaysAreMadeUpFor has the permission for calendars taken away for two days and given back: mails are
// captured all the while, and what happened in calendars meanwhile by a supplement.
func TestCalendarsThatWereRefusedForDaysAreMadeUpFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1, map[string]any{
		"endDate": begin().Add(96 * time.Hour).Format(time.RFC3339), "frequencyInMinutes": 24 * 60, "collect": []string{"email", "calendar"},
	})
	u := w.tenant.Users[0]
	w.list = []listed{{user: u}}
	w.putList()
	var refused atomic.Bool
	w.graph.Fault(func(r graphtest.Request) bool { return refused.Load() && strings.Contains(r.Path, "/calendar") }, 0,
		graphtest.Fault{Status: 403, Code: "ErrorAccessDenied"})
	var mails []sent
	var events []*graphtest.Event
	for day := range 4 {
		if day == 3 {
			gaps, err := w.ledger.Gaps(w.Context(), testSource)
			must(t, err)
			if len(gaps) == 0 || gaps[0].Value.Reason != capture.ReasonCalendars {
				t.Errorf("gaps while calendars are refused:\n%s", dump(gaps))
			}
		}
		refused.Store(day == 1 || day == 2)
		w.clock.Advance(2 * time.Hour)
		mails = append(mails, sent{u, w.mail(u, day, w.clock.Now().Add(-time.Minute), 0)})
		events = append(events, w.meeting(u, day, w.clock.Now().Add(-time.Minute)))
		w.settle(1, 4*time.Hour)
	}
	w.settle(3, 4*time.Hour)
	gaps, err := w.ledger.Gaps(w.Context(), testSource)
	must(t, err)
	if len(gaps) > 0 {
		t.Errorf("gaps after all:\n%s", dump(gaps))
	}
	e := w.read()
	for n := range 4 {
		for what, id := range map[string]string{"mail": mails[n].ImmutableID, "event": events[n].ID} {
			if times := e.items[u.ID+" "+id]; times != 1 {
				t.Errorf("the %s of day %d was captured %d times", what, n+1, times)
			}
		}
	}
}
