package plan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/chain"
	"chainmail/handlers/config"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
	"chainmail/handlers/queue"
	"chainmail/handlers/vault"
	"chainmail/handlers/vault/storagetest"
)

const testSource = "o365-mail"

// A world is a planner behind a proxy, and the storage past it.
type world struct {
	*testing.T
	proxy   *storagetest.Proxy
	planner *Planner
	blobs   *vault.Vault
	ledger  *ledger.Ledger
	log     *graphtest.Log
	direct  string // the storage's connection string, past the proxy
	now     time.Time
}

// newWorld has no sources yet. The evidence cannot be changed; the clock begins on 3 March 2026, shortly after midnight.
func newWorld(t *testing.T) *world {
	t.Helper()
	account := storagetest.New(t)
	w := &world{T: t, log: graphtest.NewLog(t), direct: account.ConnectionString(), now: at(t, "2026-03-03T00:10:00Z")}
	w.proxy = account.Proxy(t)
	w.proxy.WORM("evidence")
	w.blobs, w.ledger = open(t, w.direct)
	must(t, w.ledger.Ensure(t.Context()))
	for _, name := range []string{"config", "state"} {
		must(t, w.blobs.Container(name).Ensure(t.Context()))
	}
	w.planner = w.newPlanner(w.proxy.ConnectionString())
	return w
}

// newPlanner is a planner as a process of its own would have it.
func (w *world) newPlanner(connection string) *Planner {
	w.Helper()
	blobs, book := open(w.T, connection)
	log := w.log.Logger()
	now := func() time.Time { return w.now }
	state := blobs.Container("state")
	waiting, err := queue.Open(queue.Account{ConnectionString: connection})
	must(w.T, err)
	return &Planner{
		Config: &config.Store{
			Written: blobs.Container("config"), State: state, Evidence: blobs.Container, Ledger: book,
			Lookup: func(string) (string, bool) { return "", false }, Log: log, Now: now,
		},
		Ledger: book, Depth: waiting.Depth, Log: log, Now: now,
		Chain: &chain.Chain{Ledger: book, State: state, Evidence: blobs.Container, App: pack.App{Version: "1"}, Log: log, Now: now},
	}
}

func open(t *testing.T, connection string) (*vault.Vault, *ledger.Ledger) {
	t.Helper()
	blobs, err := vault.Open(vault.Account{ConnectionString: connection})
	must(t, err)
	book, err := ledger.Open(ledger.Account{ConnectionString: connection})
	must(t, err)
	return blobs, book
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// configure uploads the sources, each the same but for the changes; nil removes a setting. It returns the file's hash.
func (w *world) configure(changes ...map[string]any) string {
	w.Helper()
	var sources []any
	for i, change := range changes {
		s := map[string]any{
			"name": testSource, "domain": "contoso.onmicrosoft.com", "graphEndpoint": "http://127.0.0.1:1/v1.0",
			"credential": map[string]any{"kind": "none"}, "collect": []string{"email"}, "individuals": map[string]any{"file": "a.csv"},
			"controlNumberPrefix": fmt.Sprint("P", i), "startDate": "2026-03-02T00:00:00Z",
		}
		maps.Copy(s, change)
		maps.DeleteFunc(s, func(_ string, v any) bool { return v == nil })
		sources = append(sources, s)
	}
	data, err := json.Marshal(map[string]any{"sources": sources})
	must(w.T, err)
	must(w.T, w.blobs.Container("config").Put(w.Context(), config.File, data))
	return sumOf(data)
}

// person is somebody who is always monitored and can be collected.
func person(identifier string, lane int) ledger.Person {
	p := ledger.Person{Identifier: identifier, ObjectID: "id-" + identifier, Lane: lane}
	p.Intervals.V = []ledger.Interval{{Cause: "list"}}
	return p
}

// monitor writes individuals as a synchronisation does.
func (w *world) monitor(source string, people ...ledger.Person) {
	w.Helper()
	for _, p := range people {
		row, err := w.ledger.Source(w.Context(), source)
		must(w.T, err)
		must(w.T, w.ledger.PutPeople(w.Context(), source, row, []ledger.Row[ledger.Person]{{Value: p}}, nil))
	}
	must(w.T, w.ledger.UpdateSource(w.Context(), source, func(s *ledger.Source) bool { s.PeopleAt = w.now; return true }))
}

// tick plans, and wants no fault.
func (w *world) tick() []capture.Chunk {
	w.Helper()
	chunks, err := w.planner.Tick(w.Context())
	must(w.T, err)
	return chunks
}

// source is the source's row.
func (w *world) source() ledger.Source {
	w.Helper()
	row, err := w.ledger.Source(w.Context(), testSource)
	must(w.T, err)
	return row.Value
}

func (w *world) batches(source string) []ledger.Batch {
	w.Helper()
	rows, err := w.ledger.Batches(w.Context(), source)
	must(w.T, err)
	var all []ledger.Batch
	for _, r := range rows {
		all = append(all, r.Value)
	}
	return all
}

func (w *world) ids(source string) []string {
	w.Helper()
	var all []string
	for _, b := range w.batches(source) {
		all = append(all, b.ID)
	}
	return all
}

// custodians reads a batch's snapshot, and holds it to the hash in the batch's row.
func (w *world) custodians(b ledger.Batch) []capture.Custodian {
	w.Helper()
	data, err := w.blobs.Container("state").Get(w.Context(), b.Snapshot)
	must(w.T, err)
	if sumOf(data) != b.SnapshotSHA256 || !strings.Contains(b.Snapshot, b.ID) {
		w.Errorf("snapshot %s has the hash %s, the batch names %s", b.Snapshot, sumOf(data), b.SnapshotSHA256)
	}
	var all []capture.Custodian
	must(w.T, json.Unmarshal(data, &all))
	return all
}

// begin takes a chunk as a run does.
func (w *world) begin(c capture.Chunk) *ledger.Work {
	w.Helper()
	work, err := w.ledger.Take(w.Context(), c, "run", w.now, w.now.Add(time.Minute))
	must(w.T, err)
	return &work
}

// end closes a chunk, and gives the lane's next one.
func (w *world) end(work *ledger.Work) (capture.Chunk, bool) {
	w.Helper()
	work.Chunk.Value.Status = ledger.ChunkClosed
	next, more, err := w.ledger.Leave(w.Context(), work, w.now)
	must(w.T, err)
	return next, more
}

// settle ticks and works until everything up to the end is published, and returns how often each chunk was worked on.
// From round to round the time passes after which a lost message is given out anew.
func (w *world) settle(end time.Time) map[capture.Chunk]int {
	w.Helper()
	worked := map[capture.Chunk]int{}
	for range 20 {
		for _, chunk := range w.tick() {
			for more := true; more; {
				work := w.begin(chunk)
				worked[chunk]++
				chunk, more = w.end(work)
			}
		}
		open, err := w.ledger.OpenBatches(w.Context(), testSource)
		must(w.T, err)
		if len(open) == 0 && w.source().State.Equal(end) {
			return worked
		}
		w.now = w.now.Add(10 * time.Minute)
	}
	w.Fatalf("not everything is published: state %v, batches %v", w.source().State, w.ids(testSource))
	return nil
}

// cutTick plans until the n-th write, at which the process dies: the answer is lost, and nothing follows. It reports
// false when there were fewer writes.
func (w *world) cutTick(n int) bool {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	var dead, over atomic.Bool
	last := w.proxy.Writes() + n
	w.proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		switch {
		case over.Load():
		case dead.Load():
			return storagetest.Before(nil)
		case op.N == last:
			return storagetest.After(func() { dead.Store(true); cancel() })
		}
		return storagetest.Pass
	})
	_, err := w.planner.Tick(ctx) // whatever it returns is lost with the process
	_ = w.log.Error(err)
	over.Store(true)
	if !dead.Load() && err != nil {
		w.Fatalf("tick that was not cut: %v", err)
	}
	return dead.Load()
}

// refuse makes the storage refuse what matches, until the returned function is called.
func (w *world) refuse(match func(storagetest.Op) bool) (stop func()) {
	var over atomic.Bool
	w.proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		if !over.Load() && match(op) {
			return storagetest.Fail(403, "AuthorizationFailure")
		}
		return storagetest.Pass
	})
	return func() { over.Store(true) }
}

// manifest is a batch's published manifest; false if there is none.
func (w *world) manifest(batch string) (pack.Manifest, bool) {
	w.Helper()
	data, err := w.blobs.Container("evidence").Get(w.Context(), pack.ManifestName(testSource, batch))
	if errors.Is(err, vault.ErrNotFound) {
		return pack.Manifest{}, false
	}
	must(w.T, err)
	var m pack.Manifest
	must(w.T, json.Unmarshal(data, &m))
	return m, true
}
