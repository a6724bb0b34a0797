package main

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/vault/storagetest"
)

// A moment is a request of the handler at which it is killed: the n-th that matches, before it reaches the storage or after,
// when its answer is lost with the process.
type moment struct {
	name  string
	match func(storagetest.Op) bool
	nth   int32
}

func blobOp(verb, container, part string) func(storagetest.Op) bool {
	return func(op storagetest.Op) bool {
		return op.Service == storagetest.Blob && op.Verb == verb && op.Container == container && strings.Contains(op.Name, part)
	}
}

// rowOp matches a transaction that writes a row whose key begins so.
func rowOp(prefix string) func(storagetest.Op) bool {
	return func(op storagetest.Op) bool {
		for _, p := range op.Parts {
			if _, key, _ := strings.Cut(p.Name, "/"); strings.HasPrefix(key, prefix) {
				return true
			}
		}
		return false
	}
}

func moments() []moment {
	return []moment{
		{"keeping the settings", blobOp("Put Blob", "evidence", "_config/"), 1},
		{"noting an individual", rowOp("person:"), 3},
		{"keeping the snapshot of custodians", blobOp("Put Blob", "state", "snapshots/"), 1},
		{"making a batch", rowOp("batch:"), 1},
		{"giving a lane its turn", rowOp("lane:"), 1},
		{"taking a chunk", rowOp("chunk:"), 1},
		{"staging a block", blobOp("Put Block", "evidence", ".zip"), 1},
		{"writing the record of a part", blobOp("Put Blob", "state", "record.json"), 1},
		{"fencing a part", rowOp("chunk:"), 2},
		{"committing a package", blobOp("Put Block List", "evidence", ".zip"), 1},
		{"writing the items", blobOp("Put Blob", "evidence", ".items.jsonl"), 1},
		{"writing the exceptions", blobOp("Put Blob", "evidence", ".exceptions.csv"), 1},
		{"noting an exception", rowOp("exception:"), 1},
		{"writing the seal", blobOp("Put Blob", "evidence", ".seal.json"), 1},
		{"closing a part", rowOp("chunk:"), 3},
		{"leaving a chunk", rowOp("chunk:"), 4},
		{"keeping the manifest", blobOp("Put Blob", "state", "manifests/"), 1},
		{"linking the manifest", rowOp("head"), 1},
		{"describing the format", blobOp("Put Blob", "evidence", "_format/"), 1},
		{"publishing the manifest", blobOp("Put Blob", "evidence", "manifest.json"), 1},
		{"publishing the manifest's hash", blobOp("Put Blob", "evidence", "manifest.json.sha256"), 1},
		{"noting that the batch is published", rowOp("open:"), 2},
	}
}

func TestAKilledHandlerLeavesTheSameEvidence(t *testing.T) {
	t.Parallel()
	for _, m := range moments() {
		for _, when := range []string{"before", "after"} {
			t.Run(m.name+" "+when, func(t *testing.T) {
				t.Parallel()
				w, day := killWorld(t)
				var matched atomic.Int32
				w.proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
					switch {
					case !m.match(op) || matched.Add(1) != m.nth:
						return storagetest.Pass
					case when == "before":
						return storagetest.Before(w.host.Kill)
					}
					return storagetest.After(w.host.Kill)
				})
				w.start()
				w.settle()
				if matched.Load() < m.nth {
					t.Fatalf("the moment came %d times: the handler was not killed", matched.Load())
				}
				w.checkAfterKills(day)
			})
		}
	}
}

func TestAHandlerKilledAtFetchesLeavesTheSameEvidence(t *testing.T) {
	t.Parallel()
	w, day := killWorld(t)
	var fetches atomic.Int32
	w.graph.OnRequest(func(r graphtest.Request) {
		if r.Path != value {
			return
		}
		if n := fetches.Add(1); n == 5 || n == 20 { // a third death could be laid to an item that it happens to meet alone
			go w.host.Kill() // the request itself stays in flight
		}
	})
	w.start()
	w.settle()
	if w.host.Starts() < 2 {
		t.Fatal("the handler was never killed")
	}
	w.checkAfterKills(day)
}

func TestAnItemThatKillsTheProcessIsExceptedAndTheOthersAreCaptured(t *testing.T) {
	t.Parallel()
	w, day := killWorld(t)
	owed := w.truth.InScope(day, false)
	maren := w.tenant.User("maren.oldenkamp@contoso.onmicrosoft.com")
	killer := slices.IndexFunc(owed, func(i graphtest.TruthItem) bool { return i.UserID == maren.ID && i.Folder == "Inbox" })
	deadly := owed[killer+2]
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
	other := w.newHost()
	w.tick("people")
	done := make(chan error, 2)
	for range 2 { // every message is worked on by whoever comes first, and some are given out twice
		w.tick("plan")
		if err := w.host.Put(t.Context(), "chunks", chunkMessage(t, w)); err != nil {
			t.Fatal(err)
		}
	}
	go func() { _, err := other.Drain(t.Context()); done <- err }()
	go func() { _, err := w.host.Drain(t.Context()); done <- err }()
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	w.settle()
	w.checkAfterKills(day)
}

// chunkMessage is the message of the oldest batch's first lane.
func chunkMessage(t *testing.T, w *world) string {
	t.Helper()
	b := w.batches()[0]
	return capture.Chunk{Source: testSource, Batch: b.ID, Lane: b.Lanes.V[0]}.Message()
}

// killWorld is a world of three individuals and half a day, with one item that cannot be had, so that every step of the protocol is taken.
func killWorld(t *testing.T) (*world, capture.Window) {
	t.Helper()
	w := newWorld(t)
	day := capture.Window{Start: sampleDays().Start, End: sampleDays().Start.Add(12 * time.Hour)}
	list := []byte("identifier\nmaren.oldenkamp@contoso.onmicrosoft.com\ntobias.feldt@contoso.onmicrosoft.com\nformer.employee@contoso.onmicrosoft.com\n")
	monitored := w.monitoredOf(list)
	for _, i := range w.truth.InScope(day, false) {
		if monitored[i.UserID] {
			w.graph.Fault(func(r graphtest.Request) bool { return r.Path == value && r.Item == i.ImmutableID }, 0,
				graphtest.Fault{Status: 500, Code: "ErrorMimeContentConversionFailed"})
			break
		}
	}
	w.configure(w.source(map[string]any{"endDate": day.End.Format(time.RFC3339)}))
	w.put("individuals/people.csv", list)
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
	if v := w.graph.Violations(); len(v) > 0 {
		w.Errorf("%d rules of Graph's were broken, the first: %s", len(v), v[0])
	}
}
