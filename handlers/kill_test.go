package main

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/host/hosttest"
	"chainmail/handlers/vault/storagetest"
)

// A moment is a write of the handler, the n-th of its kind.
type moment struct {
	kind string
	nth  int
}

// varying are the parts of a name that tell one write from another of its kind.
var varying = regexp.MustCompile(`\d{14}UTC-\d{14}UTC|[0-9a-f]{64}|[0-9]*-?[0-9]*-?[A-Z2-7]{26}|[a-z2-7]{26}|\d+-\d+|\d{5}`)

// kindOf names what a request does: "Put Blob evidence o365-mail/*/manifest.json", "Insert Entity lane:*, Update Entity chunk:*".
func kindOf(op storagetest.Op) string {
	if len(op.Parts) == 0 {
		return strings.TrimSpace(op.Verb + " " + op.Container + " " + varying.ReplaceAllString(op.Name, "*"))
	}
	var parts []string
	for _, p := range op.Parts {
		_, key, _ := strings.Cut(p.Name, "/")
		parts = append(parts, p.Verb+" "+varying.ReplaceAllString(key, "*"))
	}
	return strings.Join(parts, ", ")
}

// rehearse runs a small world undisturbed and gives what it asked of its storage.
func rehearse(t *testing.T) []storagetest.Op {
	t.Helper()
	w, day := killWorld(t)
	w.start()
	w.settle()
	w.checkAfterKills(day)
	return w.proxy.Ops()
}

// moments are all writes of a run.
func moments(ops []storagetest.Op) []moment {
	seen := map[string]int{}
	var all []moment
	for _, op := range ops {
		if op.Write {
			kind := kindOf(op)
			seen[kind]++
			all = append(all, moment{kind, seen[kind]})
		}
	}
	return all
}

// at makes an action at a moment, and counts how often a write of its kind came.
func (m moment) at(action storagetest.Action, came *atomic.Int32) func(storagetest.Op) storagetest.Action {
	return func(op storagetest.Op) storagetest.Action {
		if op.Write && kindOf(op) == m.kind && int(came.Add(1)) == m.nth {
			return action
		}
		return storagetest.Pass
	}
}

func TestAHandlerKilledAtAnyWriteLeavesTheSameEvidence(t *testing.T) {
	t.Parallel()
	all := moments(rehearse(t))
	if len(all) < 40 {
		t.Fatalf("%d writes: the test would prove little", len(all))
	}
	for n, m := range all {
		for i, when := range []string{"before", "after"} {
			if !picked(2*n + i) {
				continue
			}
			action := map[string]func(func()) storagetest.Action{"before": storagetest.Before, "after": storagetest.After}[when]
			t.Run(fmt.Sprintf("%s %s %d", when, m.kind, m.nth), func(t *testing.T) {
				t.Parallel()
				w, day := killWorld(t)
				var came atomic.Int32
				w.proxy.OnRequest(m.at(action(func() { w.host.Kill() }), &came))
				w.start()
				w.settle()
				if int(came.Load()) < m.nth {
					t.Fatalf("such a write came %d times: the handler was not killed", came.Load())
				}
				w.checkAfterKills(day)
			})
		}
	}
}

// TestAHandlerKilledAnywhereLeavesTheSameEvidence kills at requests picked at random, reads and fetches as well, and once
// more while what the first death left is taken up. A third death could be laid to an item that it happens to meet alone.
func TestAHandlerKilledAnywhereLeavesTheSameEvidence(t *testing.T) {
	t.Parallel()
	requests := len(rehearse(t)) + 60 // of Graph
	var kills atomic.Int32
	t.Run("killed", func(t *testing.T) {
		for seed := range uint64(104) {
			if !picked(int(seed)) {
				continue
			}
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
				t.Parallel()
				w, day := killWorld(t)
				random := rand.New(rand.NewPCG(seed, 1))
				first := 1 + random.IntN(requests)
				second := first + 1 + random.IntN(20)
				late := random.IntN(2) == 0 // the answer is lost
				var came atomic.Int32
				due := func() bool { n := int(came.Add(1)); return n == first || n == second }
				kill := func() { kills.Add(1); w.host.Kill() }
				w.proxy.OnRequest(func(storagetest.Op) storagetest.Action {
					switch {
					case !due():
						return storagetest.Pass
					case late:
						return storagetest.After(kill)
					}
					return storagetest.Before(kill)
				})
				w.graph.OnRequest(func(graphtest.Request) {
					if due() {
						go kill() // the request itself stays in flight
					}
				})
				w.start()
				w.settle()
				w.checkAfterKills(day)
			})
		}
	})
	want := int32(200)
	if !picked(1) {
		want /= 10 // one of eight, some of which end before
	}
	if n := kills.Load(); n < want {
		t.Errorf("killed at %d points, want %d or more", n, want)
	}
}

// owedBy picks what a user is owed.
func owedBy(owed []graphtest.TruthItem, u *graphtest.User) []graphtest.TruthItem {
	return slices.DeleteFunc(slices.Clone(owed), func(i graphtest.TruthItem) bool { return i.UserID != u.ID })
}

func TestAnItemThatKillsTheProcessIsExceptedAndTheOthersAreCaptured(t *testing.T) {
	t.Parallel()
	w, day := killWorld(t)
	deadly := owedBy(w.truth.InScope(day, false), w.tenant.Users[1])[3]
	var deaths atomic.Int32
	w.graph.OnRequest(func(r graphtest.Request) {
		if r.Path == value && r.User == deadly.UserID && r.Item == deadly.ImmutableID {
			deaths.Add(1)
			w.host.Kill() // the item is not answered: the process dies while it is under way
		}
	})
	w.start()
	w.settle()
	if n := deaths.Load(); n != 3 {
		t.Errorf("the item killed the process %d times, want 3", n)
	}
	e := w.readEvidence()
	w.checkCaptured(e, day)
	kept, err := w.ledger.Exceptions(t.Context(), testSource)
	if err != nil || len(kept) != 2 {
		t.Fatalf("%d exceptions, %v", len(kept), err)
	}
	for _, x := range kept {
		if (x.Item.GraphID == deadly.ImmutableID) != (x.Code == "Crashed") {
			t.Errorf("an exception has the code %s", x.Code)
		}
	}
}

func TestTwoHostsSideBySideLeaveTheSameEvidence(t *testing.T) {
	t.Parallel()
	w, day := killWorld(t)
	w.start()
	other := w.newHost(w.proxy)
	w.tick("people")
	w.tick("plan")
	done := make(chan error, 2)
	for _, h := range []*hosttest.Host{w.host, other} {
		go func() { _, err := h.Drain(t.Context()); done <- err }()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	w.settle()
	w.checkAfterKills(day)
}

// TestTwoCopiesOfEveryMessageAtOnceLeaveTheSameEvidence has two lanes and four batches, so that a lane is moved on by
// either copy.
func TestTwoCopiesOfEveryMessageAtOnceLeaveTheSameEvidence(t *testing.T) {
	t.Parallel()
	w, day := killWorld(t)
	w.configure(w.source(map[string]any{
		"endDate": day.End.Format(time.RFC3339), "frequencyInMinutes": 180, "mergeBatchesDuringColdStart": false, "monitoredIndividualsPerJob": 2,
	}))
	w.start()
	doubled := w.settleDoubled(w.newHost(w.proxy))
	if doubled < 8 {
		t.Errorf("%d messages were doubled, want eight or more", doubled)
	}
	e := w.readEvidence()
	w.checkCaptured(e, day)
	if len(e.manifests) != 4 || len(e.excepted) != 1 {
		t.Errorf("%d manifests, %d exceptions", len(e.manifests), len(e.excepted))
	}
	w.checkViolations()
}

// double puts a copy of every message into its queue, and gives how many there were.
func (w *world) double() int {
	w.Helper()
	messages, err := w.host.Peek(w.Context(), "chunks")
	for _, m := range messages {
		if err == nil {
			err = w.host.Put(w.Context(), "chunks", m)
		}
	}
	if err != nil {
		w.Fatal(err)
	}
	return len(messages)
}

// TestTwoBatchesThatSealAtOnceMakeOneChain has two hosts seal a batch each; both have read the chain's head when they go on,
// and one is killed at a write of the sealing.
func TestTwoBatchesThatSealAtOnceMakeOneChain(t *testing.T) {
	t.Parallel()
	steps := map[string]string{
		"keeping the manifest":                 "Put Blob state manifests/o365-mail/*/*.json",
		"linking it":                           "Insert Entity head, Update Entity batch:*",
		"publishing it":                        "Put Blob evidence o365-mail/*/manifest.json",
		"publishing its hash":                  "Put Blob evidence o365-mail/*/manifest.json.sha256",
		"noting that the batch is published":   "Update Entity batch:*, Delete Entity open:*",
		"nothing: both live, and only compete": "",
	}
	for name, kind := range steps {
		for when, action := range map[string]func(func()) storagetest.Action{"before": storagetest.Before, "after": storagetest.After} {
			t.Run("killed "+when+" "+name, func(t *testing.T) {
				t.Parallel()
				sealAtOnce(t, kind, action)
			})
		}
	}
}

func sealAtOnce(t *testing.T, kind string, action func(func()) storagetest.Action) {
	w, owed := twoBatches(t)
	w.start()
	w.tick("people")
	w.tick("plan")
	meet := newMeeting(2)
	var once sync.Once
	var running sync.WaitGroup
	for range 2 {
		proxy := w.account.Proxy(t)
		proxy.WORM("evidence")
		var h *hosttest.Host
		proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
			var act storagetest.Action
			k := kindOf(op)
			if strings.HasPrefix(k, "Put Blob state manifests/") {
				meet.wait(t)
			}
			if kind != "" && k == kind {
				once.Do(func() { act = action(h.Kill) })
			}
			return act
		})
		h = w.newHost(proxy)
		running.Go(func() {
			if _, ok, err := h.Next(t.Context(), "collect"); !ok || err != nil {
				t.Errorf("no message, or %v", err)
			}
		})
	}
	running.Wait()
	w.settle()
	e := w.readEvidence()
	w.checkOwed(e, owed)
	if len(e.manifests) != 2 {
		t.Errorf("%d manifests, want two", len(e.manifests))
	}
}

// twoBatches is a world of two batches that have no lane in common: one individual leaves when the other joins.
func twoBatches(t *testing.T) (*world, []graphtest.TruthItem) {
	t.Helper()
	w := newSmallWorld(t)
	leaver, joiner := w.tenant.Users[0], w.tenant.Users[1]
	morning := graphtest.SmallHalf()
	afternoon := capture.Window{Start: morning.End, End: morning.End.Add(12 * time.Hour)}
	w.configure(w.source(map[string]any{
		"collect": []string{"email"}, "endDate": afternoon.End.Format(time.RFC3339), "frequencyInMinutes": 720, "mergeBatchesDuringColdStart": false, "monitoredIndividualsPerJob": 1,
	}))
	noon := morning.End.Format(time.RFC3339)
	w.put("individuals/people.csv", []byte("identifier,from,to\n"+leaver.Mail+",,"+noon+"\n"+joiner.Mail+","+noon+",\n"))
	return w, slices.Concat(owedBy(w.truth.InScope(morning, false), leaver), owedBy(w.truth.InScope(afternoon, false), joiner))
}

// A meeting keeps those who come waiting until all are there. Who comes later passes.
type meeting struct {
	missing atomic.Int32
	met     chan struct{}
}

func newMeeting(n int32) *meeting {
	m := &meeting{met: make(chan struct{})}
	m.missing.Store(n)
	return m
}

func (m *meeting) wait(t *testing.T) {
	if m.missing.Add(-1) == 0 {
		close(m.met)
	}
	select {
	case <-m.met:
	case <-t.Context().Done():
	case <-time.After(30 * time.Second):
		t.Error("the others did not come")
	}
}

// killWorld is a world of three individuals and nobody, and half a day, with one item that cannot be had and one without
// MIME, so that every step of the protocol is taken.
func killWorld(t *testing.T) (*world, capture.Window) {
	t.Helper()
	w := newSmallWorld(t)
	day := graphtest.SmallHalf()
	bad := owedBy(w.truth.InScope(day, false), w.tenant.Users[0])[1]
	w.graph.Fault(func(r graphtest.Request) bool { return r.Item == bad.ImmutableID }, 0,
		graphtest.Fault{Status: 500, Code: "ErrorMimeContentConversionFailed"})
	w.message(owedBy(w.truth.InScope(day, false), w.tenant.Users[0])[2], func(m *graphtest.Message) { m.NoMIME = true })
	w.configure(w.source(map[string]any{"endDate": day.End.Format(time.RFC3339)}))
	return w, day
}

func (w *world) checkAfterKills(day capture.Window) {
	w.Helper()
	e := w.readEvidence()
	w.checkCaptured(e, day)
	if len(e.manifests) != 1 || e.manifests[0].Status != string(capture.CompletedWithDocumentLevelErrors) {
		w.Errorf("%d manifests, the first %s", len(e.manifests), e.manifests[0].Status)
	}
	if len(e.excepted) != 1 {
		w.Errorf("%d exceptions, want one", len(e.excepted))
	}
	if kept, err := w.ledger.Exceptions(w.Context(), testSource); err != nil || len(kept) != 1 || kept[0].Attempts != 1 {
		w.Errorf("the ledger has %d exceptions, %v", len(kept), err)
	}
	w.checkViolations()
}

func (w *world) checkViolations() {
	w.Helper()
	if v := w.graph.Violations(); len(v) > 0 {
		w.Errorf("%d rules of Graph's were broken, the first: %s", len(v), v[0])
	}
}
