package bury

import (
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/config"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/ledger"
	"chainmail/handlers/vault"
	"chainmail/handlers/vault/storagetest"
)

const (
	testSource = "o365-mail"
	first      = "20260302000000UTC-20260303000000UTC"
	second     = "20260303000000UTC-20260304000000UTC"
)

// A world is a burier behind a proxy, and the storage past it.
type world struct {
	*testing.T
	proxy  *storagetest.Proxy
	burier *Burier
	ledger *ledger.Ledger
	log    *graphtest.Log
	now    time.Time
}

// newWorld has a source with two retries, after ten minutes and an hour, and two batches; lane 0 was given the first one.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, log: graphtest.NewLog(t), now: time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)}
	account := storagetest.New(t)
	w.proxy = account.Proxy(t)
	blobs, book := open(t, account.ConnectionString())
	w.ledger = book
	must(t, book.Ensure(t.Context()))
	for _, name := range []string{"config", "state"} {
		must(t, blobs.Container(name).Ensure(t.Context()))
	}
	blobs, book = open(t, w.proxy.ConnectionString())
	log, now := w.log.Logger(), func() time.Time { return w.now }
	w.burier = &Burier{Ledger: book, Log: log, Now: now, Config: &config.Store{
		Written: blobs.Container("config"), State: blobs.Container("state"), Evidence: blobs.Container, Ledger: book,
		Lookup: func(string) (string, bool) { return "", false }, Log: log, Now: now,
	}}
	must(t, w.burier.Config.Written.Put(t.Context(), config.File, []byte(`{"sources": [{"name": "`+testSource+`", "domain": "contoso.onmicrosoft.com",
		"graphEndpoint": "http://127.0.0.1:1/v1.0", "credential": {"kind": "none"}, "collect": ["email"], "individuals": {"file": "a.csv"},
		"controlNumberPrefix": "A", "retryPolicyInMinutes": [10, 60]}]}`)))
	_, err := w.burier.Config.Accept(t.Context())
	must(t, err)
	for _, id := range []string{first, second} {
		row, err := w.ledger.Source(t.Context(), testSource)
		must(t, err)
		b := ledger.Batch{ID: id}
		b.Lanes.V = []int{0}
		must(t, w.ledger.CreateBatch(t.Context(), testSource, row, b))
	}
	w.dispatch()
	w.log.Reset()
	return w
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

// dispatch gives out what is due, as the planner does.
func (w *world) dispatch() []capture.Chunk {
	w.Helper()
	batches, err := w.ledger.OpenBatches(w.Context(), testSource)
	must(w.T, err)
	chunks, err := w.ledger.Dispatch(w.Context(), testSource, batches, w.now, true)
	must(w.T, err)
	return chunks
}

// chunk is the row of lane 0's chunk.
func (w *world) chunk(batch string) ledger.Chunk {
	w.Helper()
	row, err := w.ledger.Chunk(w.Context(), testSource, batch, 0)
	must(w.T, err)
	return row.Value
}

// take makes a run the holder of lane 0 until a minute has passed.
func (w *world) take(batch string) *ledger.Work {
	w.Helper()
	work, err := w.ledger.Take(w.Context(), capture.Chunk{Source: testSource, Batch: batch}, "run", w.now, w.now.Add(time.Minute))
	must(w.T, err)
	return &work
}

// bury buries a message, and gives the events that were logged.
func (w *world) bury(text string) []map[string]any {
	w.Helper()
	w.log.Reset()
	must(w.T, w.burier.Run(w.Context(), []byte(text)))
	return w.log.Events("")
}

func message(batch string) string {
	return capture.Chunk{Source: testSource, Batch: batch}.Message()
}
