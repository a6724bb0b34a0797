package bury

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/ledger"
	"chainmail/handlers/vault/storagetest"
)

func TestABuriedChunkIsDueByTheRetryPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for attempt, wait := range []time.Duration{10 * time.Minute, time.Hour, 0} {
		events := w.bury(message(first))
		if len(events) != 1 || events[0]["msg"] != "chunk buried" || events[0]["level"] != "ERROR" || events[0]["retried"] != true ||
			events[0]["source"] != testSource || events[0]["batch"] != first || events[0]["lane"] != 0.0 || events[0]["reason"] == "" {
			t.Errorf("attempt %d: logged %v", attempt+1, events)
		}
		final := attempt == 2 // the policy has two waits: the third failure is the last
		c := w.chunk(first)
		if c.Status != ledger.ChunkPendingRetry || c.Attempts != attempt+1 || !c.Due.Equal(w.now.Add(wait)) || c.Final != final {
			t.Errorf("attempt %d: chunk %+v, want it due after %v, final %v", attempt+1, c, wait, final)
		}
		w.now = c.Due
		if chunks := w.dispatch(); len(chunks) != 1 || chunks[0].Batch != first {
			t.Fatalf("attempt %d: %v are given out when it is due", attempt+1, chunks)
		}
	}
	if work := w.take(first); !work.Chunk.Value.Final {
		t.Error("the last run does not know that it is the last")
	}
}

func TestOtherBatchesGoOnWhileABuriedChunkWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bury(message(first))
	if chunks := w.dispatch(); len(chunks) != 1 || chunks[0].Batch != second {
		t.Errorf("%v are given out, want the second batch", chunks)
	}
}

func TestAChunkThatKillsItsRunsKeepsWhatIsDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	work := w.take(first)
	work.Chunk.Value.Part, work.Chunk.Value.Record = 3, "records/x"
	must(t, w.ledger.Save(t.Context(), work))
	w.now = w.now.Add(time.Minute) // its lease ends
	w.bury(message(first))
	if c := w.chunk(first); c.Status != ledger.ChunkPendingRetry || c.Part != 3 || c.Record != "records/x" {
		t.Errorf("chunk = %+v", c)
	}
}

func TestWhatIsDoneWithIsOnlyRecorded(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*world){
		"held by a run": func(w *world) { w.take(first) },
		"closed, and the lane moved on": func(w *world) {
			work := w.take(first)
			work.Chunk.Value.Status = ledger.ChunkClosed
			if _, _, err := w.ledger.Leave(w.Context(), work, w.now); err != nil {
				w.Error(err)
			}
		},
		"buried before": func(w *world) { w.bury(message(first)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			prepare(w)
			before, writes := w.chunk(first), w.proxy.Writes()
			events := w.bury(message(first))
			if len(events) != 1 || events[0]["retried"] != false {
				t.Errorf("logged: %v", events)
			}
			if after := w.chunk(first); after.Status != before.Status || after.Attempts != before.Attempts || w.proxy.Writes() != writes {
				t.Errorf("chunk = %+v, was %+v, %d writes", after, before, w.proxy.Writes()-writes)
			}
		})
	}
}

func TestMessagesThatAreNoChunksAreRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, text := range []string{
		"", graphtest.Canary, "{}", "null", `{"chunk":null}`, `{"chunk":{"v":2,"source":"zeisig","batch":"zeisig","lane":0}}`, "\x00\xff",
		`{"chunk":{"v":1,"source":"Zeisig@contoso.example","batch":"` + first + `","lane":0}}`, message(first) + graphtest.Canary, strings.Repeat("a", 60_000),
		capture.Chunk{Source: "nobody", Batch: first}.Message(),
		capture.Chunk{Source: testSource, Batch: "20200101000000UTC-20200102000000UTC"}.Message(),
		capture.Chunk{Source: testSource, Batch: first, Lane: 77}.Message(),
	} {
		writes := w.proxy.Writes()
		events := w.bury(text)
		if len(events) != 1 || events[0]["msg"] != "chunk buried" || events[0]["level"] != "ERROR" || events[0]["reason"] == "" {
			t.Errorf("message %.40q: logged %v", text, events)
		}
		if n := w.proxy.Writes() - writes; n != 0 {
			t.Errorf("message %.40q: %d writes", text, n)
		}
	}
	if c := w.chunk(first); c.Attempts != 0 {
		t.Errorf("chunk = %+v", c)
	}
}

func TestAFaultOfTheStorageBringsTheMessageBack(t *testing.T) {
	t.Parallel()
	for name, match := range map[string]func(storagetest.Op) bool{
		"reading the settings": func(op storagetest.Op) bool { return op.Verb == "Get Blob" },
		"reading the lane":     func(op storagetest.Op) bool { return op.Verb == "Get Entity" && strings.Contains(op.Name, "/lane:") },
		"writing the chunk":    func(op storagetest.Op) bool { return op.Service == storagetest.Table && op.Write },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var broken atomic.Bool
			broken.Store(true)
			w.proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
				if broken.Load() && match(op) {
					return storagetest.Fail(403, "AuthorizationFailure")
				}
				return storagetest.Pass
			})
			if err := w.log.Error(w.burier.Run(t.Context(), []byte(message(first)))); err == nil || !strings.Contains(err.Error(), "403 AuthorizationFailure") {
				t.Errorf("bury: %v", err)
			}
			if c := w.chunk(first); c.Attempts != 0 {
				t.Errorf("chunk = %+v", c)
			}
			broken.Store(false)
			w.bury(message(first))
			if c := w.chunk(first); c.Attempts != 1 || c.Status != ledger.ChunkPendingRetry {
				t.Errorf("chunk = %+v after the message came back", c)
			}
		})
	}
}

func TestALostAnswerCountsOneAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	last := w.proxy.Writes() + 1
	w.proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		if op.N == last {
			return storagetest.Twice
		}
		return storagetest.Pass
	})
	w.bury(message(first))
	w.bury(message(first))
	if c := w.chunk(first); c.Attempts != 1 {
		t.Errorf("%d attempts, want one", c.Attempts)
	}
}
