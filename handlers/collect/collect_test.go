package collect

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault/storagetest"
)

// value is the template of the request for an item's MIME, list those of the lists of messages.
const value = "GET /users/{id}/messages/{id}/$value"

func isList(r graphtest.Request) bool {
	return r.Path == "GET /users/{id}/messages" || r.Path == "GET /users/{id}/mailFolders/{id}/messages"
}

// gate holds the requests of one run back, from the first that matches on.
type gate struct {
	reached, opened chan struct{}
	once            sync.Once
}

func newGate() *gate { return &gate{reached: make(chan struct{}), opened: make(chan struct{})} }

// pass stops the first who come, until the gate is opened.
func (g *gate) pass() {
	first := false
	g.once.Do(func() { first = true; close(g.reached) })
	if first {
		<-g.opened
	}
}

func TestMessagesThatAreNobodysTurnAreLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newTenant(1), nil)
	batch := w.batch(w.custodians()...)
	known := capture.Chunk{Source: testSource, Batch: batch, Lane: 0}
	c := w.collector(nil)
	left := func(name string, chunk capture.Chunk, message, reason string) {
		t.Helper()
		next, more, err := c.Run(t.Context(), chunk)
		if next != (capture.Chunk{}) || more || err != nil {
			t.Errorf("%s: Run() = %v, %v, %v, want nothing", name, next, more, err)
		}
		if w.log.count(message, reason) != 1 {
			t.Errorf("%s: the log does not say %q once", name, reason)
		}
	}
	left("a lane that has not its turn", known, "chunk left", "not the lane's turn")
	left("an unknown source", capture.Chunk{Source: "nobody", Batch: batch}, "chunk refused", "no such source")
	left("an unknown batch", capture.Chunk{Source: testSource, Batch: capture.BatchID(day(), 7)}, "chunk left", "no such row")

	held := newGate()
	w.graph.OnRequest(func(graphtest.Request) { held.pass() })
	done := make(chan error, 1)
	chunk := w.first()
	go func() { _, _, err := w.collector(nil).Run(t.Context(), chunk); done <- err }()
	<-held.reached
	left("a lane that is held", known, "chunk left", "held by another run")
	close(held.opened)
	must(t, <-done)

	files := w.read().files
	_, more, err := c.Run(t.Context(), known)
	if more || err != nil || !maps.EqualFunc(w.files().files, files, bytes.Equal) {
		t.Errorf("a message of a closed chunk changed something: %v, %v", more, err)
	}
}

func TestTwoRunsAtTheSameTimeCaptureOnce(t *testing.T) {
	t.Parallel()
	w, bad := cutWorld(t)
	chunk := w.first()
	done := make(chan error, 4)
	for range cap(done) {
		c := w.collector(w.account.Proxy(t))
		go func() { _, _, err := c.Run(t.Context(), chunk); done <- err }()
	}
	for range cap(done) {
		must(t, <-done)
	}
	w.settle(w.collector(nil), pause)
	checkCut(w, bad)
}

func TestARunThatLostItsLaneWritesNothingThatCounts(t *testing.T) {
	t.Parallel()
	places := map[string]func(*world, *gate) *Collector{
		"while it fetches": func(w *world, g *gate) *Collector {
			w.graph.OnRequest(func(r graphtest.Request) {
				if r.Path == value {
					g.pass()
				}
			})
			return w.collector(w.account.Proxy(t))
		},
	}
	for name, op := range map[string]storagetest.Op{
		"before its record":         {Verb: "Put Blob", Container: "state", Name: "record.json"},
		"before the fence":          {Verb: "Entity Group Transaction", Container: ledger.Table, Name: "fence"},
		"before the package":        {Verb: "Put Block List", Container: "evidence", Name: ".zip"},
		"before the seal":           {Verb: "Put Blob", Container: "evidence", Name: ".seal.json"},
		"before it closes a part":   {Verb: "Entity Group Transaction", Container: ledger.Table, Name: "close"},
		"before it leaves its lane": {Verb: "Entity Group Transaction", Container: ledger.Table, Name: "leave"},
	} {
		places[name] = func(w *world, g *gate) *Collector {
			proxy := w.account.Proxy(w.T)
			nth := map[string]int{"fence": 2, "close": 3, "leave": 6}[op.Name] // of the chunk's row
			var mu sync.Mutex
			seen := 0
			proxy.OnRequest(func(o storagetest.Op) storagetest.Action {
				mu.Lock()
				match := o.Verb == op.Verb && o.Container == op.Container && (nth > 0 || strings.HasSuffix(o.Name, op.Name))
				if nth > 0 && match {
					if match = writesChunk(o); match {
						seen++
						match = seen == nth
					}
				}
				mu.Unlock()
				if match {
					g.pass()
				}
				return storagetest.Pass
			})
			return w.collector(proxy)
		}
	}
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, bad := cutWorld(t)
			g := newGate()
			slow, chunk := place(w, g), w.first()
			done := make(chan error, 1)
			go func() {
				_, more, err := slow.Run(context.Background(), chunk)
				if more {
					err = errors.Join(err, errors.New("it gives a message out"))
				}
				done <- err
			}()
			select {
			case <-g.reached:
			case err := <-done:
				t.Fatalf("the slow run: Run() = %v: it did not come there", err)
			}
			w.clock.Advance(pause) // its lease is over
			w.settle(w.collector(w.account.Proxy(t)), pause)
			files := w.read().files
			close(g.opened)
			if err := <-done; err != nil {
				t.Errorf("the slow run: Run() = %v, want that it leaves", err)
			}
			if w.log.count("chunk lost") != 1 {
				t.Error("the log does not tell of the lost chunk")
			}
			if !maps.EqualFunc(w.files().files, files, bytes.Equal) {
				t.Error("the slow run changed the evidence")
			}
			checkCut(w, bad)
		})
	}
}

func writesChunk(o storagetest.Op) bool {
	return slices.ContainsFunc(o.Parts, func(p storagetest.Op) bool { return strings.Contains(p.Name, "/chunk:") })
}

func TestABurntPartIsNeverUsedAgain(t *testing.T) {
	t.Parallel()
	w, bad := cutWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	proxy := w.account.Proxy(t)
	zip := ""
	proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		if op.Verb == "Put Block List" {
			zip = op.Name
			return storagetest.Before(cancel)
		}
		return storagetest.Pass
	})
	if _, _, err := w.collector(proxy).Run(ctx, w.first()); err == nil {
		t.Fatal("the run was not cut")
	}
	must(t, w.account.ExpireBlocks(t.Context(), "evidence", zip))
	w.clock.Advance(8 * 24 * time.Hour)
	w.configure(map[string]any{"collect": []string{"email", "calendar"}, "collectJobTimeoutInMinutes": 43200})
	w.settle(w.collector(w.account.Proxy(t)), pause)
	checkCut(w, bad)
	if c := w.chunk(0); !slices.Equal(c.Burnt.V, []int{1}) {
		t.Errorf("burnt parts %v, want the first", c.Burnt.V)
	}
	if w.log.count("part burnt", `"part":1`) != 1 {
		t.Error("the log does not tell of the burnt part")
	}
	e := w.read()
	for name := range e.files {
		if strings.Contains(name, ".000-1.") {
			t.Errorf("%s has a burnt part's name", name)
		}
	}
	if len(e.seals) != 3 || len(e.manifest.Seals) != 3 {
		t.Errorf("%d seals, %d in the manifest, want three", len(e.seals), len(e.manifest.Seals))
	}
}

func TestABudgetEndsTheRunAndNothingIsFetchedTwice(t *testing.T) {
	t.Parallel()
	tenant := newTenant(2)
	put(tenant.Users[0], "Inbox", 1, 40)
	put(tenant.Users[1], "Inbox", 1, 2)
	w := newWorld(t, tenant, nil)
	w.budget = 5 * time.Minute
	w.graph.OnRequest(func(r graphtest.Request) {
		if r.Path == value {
			w.clock.Advance(time.Minute)
		}
	})
	w.batch(w.custodians()...)
	chunk, c, runs := w.first(), w.collector(nil), 0
	for more := true; more; runs++ {
		var err error
		before := w.graph.Requests()[value]
		next := chunk
		next, more, err = c.Run(t.Context(), chunk)
		must(t, err)
		if n := w.graph.Requests()[value] - before; n > 5+2*itemsAtOnce {
			t.Errorf("a run fetched %d items after its budget was spent", n)
		}
		if more && next != chunk {
			t.Errorf("the next message is %v, want the chunk itself", next)
		}
	}
	e := w.read()
	w.checkOwed(e, capture.Completed, nil)
	if runs < 3 || len(e.seals) < runs {
		t.Errorf("%d runs, %d parts", runs, len(e.seals))
	}
	for _, row := range e.items {
		if n := w.graph.Fetches(row.Custodian, row.GraphID); n != 1 {
			t.Errorf("an item was fetched %d times", n)
		}
	}
	if w.log.count("custodian collected", `"found":40,"captured":40,"excepted":0`) != 1 {
		t.Error("the log does not count a custodian over all parts")
	}
}

func TestAThrottledMailboxWaitsAndTheOthersAreCollected(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"as it is listed": "GET /users/{id}/messages", "as it is fetched": value} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant := newTenant(3)
			for _, u := range tenant.Users {
				put(u, "Inbox", 1, 6)
			}
			w := newWorld(t, tenant, nil)
			slow := tenant.Users[1]
			served := 0
			w.graph.Fault(func(r graphtest.Request) bool {
				if r.User != slow.ID || r.Path != path {
					return false
				}
				served++
				return path != value || served > 2 // the first items are to be had
			}, 1, graphtest.Fault{Status: 429, Code: "ApplicationThrottled", RetryAfter: "7200"})
			w.batch(w.custodians()...)
			c, began := w.collector(nil), w.clock.Now()
			w.drain(c, w.first())

			chunk := w.chunk(0)
			if chunk.Status != ledger.ChunkPendingRetry || chunk.Due.Before(began.Add(2*time.Hour)) || chunk.Due.After(began.Add(3*time.Hour)) {
				t.Fatalf("the chunk is %s, due after %v", chunk.Status, chunk.Due.Sub(began))
			}
			if s := w.row().Status; s != capture.PendingRetry {
				t.Errorf("the batch is %s", s)
			}
			if n := chunk.Documents; n < 2*12 || n > 2*16 { // with their attachments
				t.Errorf("%d documents are captured, want the others' and no more", n)
			}
			if chunks := w.dispatch(); len(chunks) != 0 {
				t.Errorf("the chunk is given out before it is due")
			}
			w.clock.Advance(3 * time.Hour)
			w.settle(c, pause)
			e := w.read()
			w.checkOwed(e, capture.Completed, nil)
			if words := e.words(slow.ID); words[len(words)-1] != "Collected" || !slices.Contains(words, "Waiting throttled") {
				t.Errorf("the seals say %q of the throttled mailbox", words)
			}
			if n := w.log.count("custodian failed", `"reason":"throttled"`); n != 1 {
				t.Errorf("throttling is logged %d times", n)
			}
		})
	}
}

func TestAMailboxThatFailsIsRetriedByThePolicy(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		failures, attempts int
		status             capture.BatchStatus
		words              []string
	}{
		"once":     {1, 2, capture.Completed, []string{"Failed transient", "Collected"}},
		"twice":    {2, 3, capture.Completed, []string{"Failed transient", "Failed transient", "Collected"}},
		"for good": {9, 3, capture.Completed, []string{"Failed transient", "Failed transient", "Failed transient"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant := newTenant(2)
			failing := tenant.Users[0]
			put(failing, "Inbox", 1, 2)
			put(tenant.Users[1], "Inbox", 1, 3)
			w := newWorld(t, tenant, nil)
			failing.Problem = graphtest.ProblemStore
			w.batch(w.custodians()...)
			c, chunk := w.collector(nil), w.first()
			var waits []time.Duration
			for attempt := 1; ; attempt++ {
				if attempt > tt.failures {
					w.graph.Mutate(func(*graphtest.Tenant) { failing.Problem = "" })
				}
				at := w.clock.Now()
				w.drain(c, chunk)
				if w.row().Published {
					break
				}
				waits = append(waits, w.chunk(0).Due.Sub(at).Truncate(5*time.Minute))
				w.clock.Advance(w.chunk(0).Due.Sub(w.clock.Now()))
				chunk = w.first()
			}
			if want := []time.Duration{10 * time.Minute, 30 * time.Minute}[:tt.attempts-1]; !slices.Equal(waits, want) {
				t.Errorf("retries after %v, want %v", waits, want)
			}
			if n := w.log.count("custodian failed"); n != min(tt.failures, 3) {
				t.Errorf("%d failures are logged", n)
			}
			e := w.read()
			if got := e.words(failing.ID); !slices.Equal(got, tt.words) {
				t.Errorf("the seals say %q of the mailbox, want %q", got, tt.words)
			}
			if e.manifest.Status != tt.status || e.manifest.Totals.Custodians != 2 {
				t.Errorf("the batch is %s with %d custodians", e.manifest.Status, e.manifest.Totals.Custodians)
			}
			named := slices.ContainsFunc(e.manifest.Coverage, func(c pack.Coverage) bool {
				return c.Custodian == failing.ID && c.Reason == "failed: transient"
			})
			if split := e.manifest.SplitInto != ""; named != (tt.failures > 2) || split != named {
				t.Errorf("the coverage names the failed mailbox: %v", named)
			}
			if tt.failures <= 2 {
				w.checkOwed(e, capture.Completed, nil)
			} else if len(e.items) != 3 {
				t.Errorf("%d items, want those of the other mailbox", len(e.items))
			}
		})
	}
}

func TestAChunkOutOfTimeIsClosedWithWhatItHas(t *testing.T) {
	t.Parallel()
	tenant := newTenant(3)
	for _, u := range tenant.Users {
		put(u, "Inbox", 1, 4)
	}
	w := newWorld(t, tenant, map[string]any{"collectJobTimeoutInMinutes": 60})
	throttled, failing := tenant.Users[0], tenant.Users[1]
	failing.Problem = graphtest.ProblemStore
	w.graph.Fault(func(r graphtest.Request) bool { return r.User == throttled.ID && isList(r) }, 0,
		graphtest.Fault{Status: 429, Code: "ApplicationThrottled", RetryAfter: "80000"})
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), pause)
	if c := w.chunk(0); c.Status != ledger.ChunkClosed || w.clock.Now().Sub(c.Started) > 3*time.Hour {
		t.Errorf("the chunk is %s after %v", c.Status, w.clock.Now().Sub(c.Started))
	}
	e := w.read()
	if e.manifest.Status != capture.Completed || e.manifest.SplitInto != capture.BatchID(day(), 2) || len(e.items) != 4 {
		t.Errorf("the batch is %s with %d items, split into %s", e.manifest.Status, len(e.items), e.manifest.SplitInto)
	}
	for id, want := range map[string]string{throttled.ID: "Failed OutOfTime", failing.ID: "Failed transient", tenant.Users[2].ID: "Collected"} {
		if words := e.words(id); len(words) == 0 || words[len(words)-1] != want {
			t.Errorf("the seals say %q of a custodian, want %s in the end", words, want)
		}
	}
}

func TestAChunkThatWasGivenUpIsClosedWithoutGraph(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newTenant(2), nil)
	put(w.tenant.Users[0], "Inbox", 1, 2)
	w.batch(w.custodians()...)
	chunk := w.first()
	if _, err := w.ledger.Bury(t.Context(), chunk, w.clock.Now(), func(int) (time.Time, bool) { return w.clock.Now(), true }); err != nil {
		t.Fatal(err)
	}
	c := w.collector(nil)
	c.Graph = nil // what made the chunk fail may be the way in
	w.settle(c, pause)
	e := w.read()
	if e.manifest.Status != capture.Abandoned || len(e.seals) != 1 {
		t.Errorf("the batch is %s with %d parts", e.manifest.Status, len(e.seals))
	}
	for _, u := range w.tenant.Users {
		if words := e.words(u.ID); !slices.Equal(words, []string{"Failed OutOfAttempts"}) {
			t.Errorf("the seals say %q of a custodian", words)
		}
	}
}

func TestWhoIsExcludedIsSealedOnce(t *testing.T) {
	t.Parallel()
	tenant := newTenant(5)
	put(tenant.Users[0], "Inbox", 1, 6)
	w := newWorld(t, tenant, nil)
	w.limits = Limits{Entries: 8}
	gone, closed, second := tenant.Users[1], tenant.Users[2], tenant.Users[0]
	all := w.custodians()
	all[3].Reason = capture.ReasonGuest
	again := custodianOf(second, 0) // the first mailbox under another address
	again.Identifier, again.Reason = "y."+second.Mail, capture.ReasonDuplicate
	gone.Problem, closed.Problem = graphtest.ProblemInactive, graphtest.ProblemDenied
	w.batch(append(all, again)...)
	w.settle(w.collector(nil), pause)
	e := w.read()
	again.ID = ""
	for id, want := range map[string]string{
		second.ID: "Collected", gone.ID: "Excluded NoMailbox", closed.ID: "Excluded AccessDenied",
		tenant.Users[3].ID: "Excluded UnlicensedGuest", tenant.Users[4].ID: "Collected", again.Name(): "Excluded Duplicate",
	} {
		words := slices.DeleteFunc(e.words(id), func(s string) bool { return s == "Collecting" })
		if !slices.Equal(words, []string{want}) {
			t.Errorf("the seals say %q of a custodian, want %q once", words, want)
		}
	}
	if m := e.manifest; m.Status != capture.Completed || m.Totals.Excluded != 4 || m.Totals.Custodians != 6 || m.Totals.Found != 6 {
		t.Errorf("the batch is %s, totals %+v", m.Status, m.Totals)
	}
}

func TestAMailboxThatClosesOverFoundItemsFails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		problem, reason string
		back            bool
	}{
		"gone for good":   {graphtest.ProblemInactive, "no mailbox", false},
		"denied for good": {graphtest.ProblemDenied, "denied", false},
		"gone for a time": {graphtest.ProblemInactive, "no mailbox", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant := newTenant(1)
			u := tenant.Users[0]
			put(u, "Inbox", 1, 8)
			w := newWorld(t, tenant, nil)
			var once sync.Once
			w.graph.OnRequest(func(r graphtest.Request) {
				if r.Path == value {
					once.Do(func() { w.graph.Mutate(func(*graphtest.Tenant) { u.Problem = tt.problem }) })
				}
			})
			w.batch(w.custodians()...)
			c := w.collector(nil)
			w.drain(c, w.first())
			if tt.back {
				w.graph.Mutate(func(*graphtest.Tenant) { u.Problem = "" })
			}
			w.clock.Advance(time.Hour)
			w.settle(c, time.Hour)
			e := w.read()
			if tt.back {
				w.checkOwed(e, capture.Completed, nil)
				return
			}
			if words := e.words(u.ID); words[len(words)-1] != "Failed "+tt.reason {
				t.Errorf("the seals say %q of the mailbox", words)
			}
			if m := e.manifest; m.Status != capture.Abandoned || m.Totals.Found != 8 || m.Totals.Excepted != 0 {
				t.Errorf("the batch is %s, totals %+v", m.Status, m.Totals)
			}
		})
	}
}

func TestAnItemThatCannotBeHadStandsInTheExceptions(t *testing.T) {
	t.Parallel()
	tenant := newTenant(1)
	u := tenant.Users[0]
	m := put(u, "Inbox", 1, 9)
	w := newWorld(t, tenant, nil)
	codes := map[string]string{}
	for i, f := range []graphtest.Fault{
		{Status: 500, Code: "ErrorInternalServerError"}, {Status: 403, Code: "ErrorAccessDenied"}, {Status: 400, Code: "ErrorInvalidIdMalformed"},
		{Empty: true}, {Status: 401, Code: "AuthenticationError"}, {Status: 418, Code: "Strange"},
	} {
		w.graph.Fault(func(r graphtest.Request) bool { return r.Item == m[i].ImmutableID }, 0, f)
		codes[m[i].ImmutableID] = f.Code
	}
	codes[m[3].ImmutableID] = "EmptyAnswer"
	codes[m[8].ImmutableID] = "Vanished"
	var once sync.Once
	w.graph.OnRequest(func(r graphtest.Request) {
		if r.Path == value { // listed, and not yet fetched: the oldest comes first
			once.Do(func() {
				w.graph.Mutate(func(*graphtest.Tenant) {
					if err := u.Remove(m[8].ImmutableID); err != nil {
						t.Error(err)
					}
				})
			})
		}
	})
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), pause)
	e := w.read()
	w.checkOwed(e, capture.CompletedWithDocumentLevelErrors, codes)
	for _, x := range e.exceptions {
		if x.Item.Folder != "Inbox" || x.Item.InternetMessageID == "" || x.Item.Received.IsZero() || x.Stage != "fetch" {
			t.Errorf("the exception %s has not its listing row", x.Code)
		}
	}
}

func TestWhatTheSettingsDoNotAskForIsNotCollected(t *testing.T) {
	t.Parallel()
	tenant := newTenant(1)
	put(tenant.Users[0], "Inbox", 1, 3)
	w := newWorld(t, tenant, map[string]any{"collect": []string{"calendar"}})
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), pause)
	e := w.read()
	if len(e.items) != 0 || w.graph.Requests()[value] != 0 || e.manifest.Status != capture.Completed {
		t.Errorf("%d items, %d fetches, the batch is %s", len(e.items), w.graph.Requests()[value], e.manifest.Status)
	}
	if !slices.ContainsFunc(e.manifest.Coverage, func(c pack.Coverage) bool { return c.Scope == "email" }) {
		t.Error("the coverage does not say that emails were left out")
	}
}

func TestAFaultOfTheRunBringsTheMessageBack(t *testing.T) {
	t.Parallel()
	unwilling := errors.New("no such credential")
	for name, spoil := range map[string]func(*world, *Collector){
		"no way in": func(_ *world, c *Collector) {
			c.Graph = func(settings.Source) (*graph.Client, error) { return nil, unwilling }
		},
		"another snapshot": func(w *world, _ *Collector) {
			must(w.T, w.state.Put(w.Context(), w.row().Snapshot, []byte("[]")))
		},
		"no snapshot": func(w *world, _ *Collector) {
			must(w.T, w.state.Delete(w.Context(), w.row().Snapshot))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, newTenant(1), nil)
			w.batch(w.custodians()...)
			chunk, c := w.first(), w.collector(nil)
			spoil(w, c)
			for range 2 { // the lane is free for the message that comes again at once
				_, more, err := c.Run(t.Context(), chunk)
				if err == nil || more {
					t.Fatalf("Run() = %v, %v, want an error", more, err)
				}
				_ = w.log.Error(err)
			}
			if n := w.log.count("chunk left"); n != 0 {
				t.Errorf("the message was left %d times", n)
			}
		})
	}
}

func TestNothingOfMailAndPeopleIsLogged(t *testing.T) {
	t.Parallel()
	w, _ := cutWorld(t) // holds every log line against the canaries when it ends
	w.tenant.Users[0].Problem = graphtest.ProblemMoving
	w.graph.Fault(func(r graphtest.Request) bool { return isList(r) }, 1,
		graphtest.Fault{Status: 500, Code: "X", Body: []byte(`{"error":{"code":"` + canaryName + ` x","message":"` + canarySubject + `"}}`)})
	proxy := w.account.Proxy(t)
	faults := 0
	proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		if op.Verb == "Put Block" && faults < 6 {
			faults++
			return storagetest.Fail(403, "AuthorizationFailure")
		}
		return storagetest.Pass
	})
	_, _, err := w.collector(proxy).Run(t.Context(), w.first())
	if err == nil {
		t.Fatal("Run() = nil, want the storage's fault")
	}
	_ = w.log.Error(err)
	w.clock.Advance(pause)
	w.settle(w.collector(nil), time.Hour)
	if !strings.Contains(w.log.String(), "custodian failed") {
		t.Error("no mailbox failed: the test would prove little")
	}
}

func TestTheLogSaysHowManyRequestsARunCost(t *testing.T) {
	t.Parallel()
	tenant := newTenant(2)
	put(tenant.Users[0], "Inbox", 1, 6)
	w := newWorld(t, tenant, nil)
	var sent atomic.Int64
	w.graph.OnRequest(func(r graphtest.Request) {
		if !strings.HasSuffix(r.Path, "/$batch") { // which Graph counts by its parts
			sent.Add(1)
		}
	})
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), pause)
	total := int64(0)
	for _, e := range w.log.Events("chunk read") {
		total += int64(e["requests"].(float64))
	}
	if total == 0 || total != sent.Load() {
		t.Errorf("the log says %d requests, of %d", total, sent.Load())
	}
}
