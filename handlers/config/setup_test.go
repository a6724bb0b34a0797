package config

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/ledger"
	"chainmail/handlers/vault"
	"chainmail/handlers/vault/storagetest"
)

const secret = "canary~8Q"

// A world is a store behind a proxy, and the storage past it.
type world struct {
	*testing.T
	proxy   *storagetest.Proxy
	store   *Store
	blobs   *vault.Vault
	ledger  *ledger.Ledger
	log     *graphtest.Log
	secrets map[string]string // app settings
	now     time.Time
}

// newWorld has the app setting A_SECRET; the evidence cannot be changed.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		T: t, log: graphtest.NewLog(t, secret), secrets: map[string]string{"A_SECRET": secret},
		now: time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC),
	}
	account := storagetest.New(t)
	w.proxy = account.Proxy(t)
	w.proxy.WORM("evidence", "other")
	w.blobs, w.ledger = open(t, account.ConnectionString())
	must(t, w.ledger.Ensure(t.Context()))
	for _, name := range []string{"config", "state"} {
		must(t, w.blobs.Container(name).Ensure(t.Context()))
	}
	w.store = w.newStore()
	return w
}

// newStore is a store behind the proxy, as a process of its own would have it.
func (w *world) newStore() *Store {
	w.Helper()
	blobs, book := open(w.T, w.proxy.ConnectionString())
	return &Store{
		Written: blobs.Container("config"), State: blobs.Container("state"), Evidence: blobs.Container, Ledger: book,
		Lookup: func(name string) (string, bool) { v, ok := w.secrets[name]; return v, ok },
		Log:    w.log.Logger(),
		Now:    func() time.Time { return w.now },
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

// file is a sources file; each source is the same but for its name and prefix and the changes.
func file(t *testing.T, changes ...map[string]any) string {
	t.Helper()
	sources := []any{}
	for i, change := range changes {
		s := map[string]any{
			"name": fmt.Sprint("s", i), "domain": "contoso.onmicrosoft.com", "applicationId": "6f1c1b52-3a0e-4a57-9d4c-5b7f0c2e8a11",
			"credential": map[string]any{"kind": "secret", "setting": "A_SECRET"}, "collect": []string{"email"},
			"individuals": map[string]any{"file": "a.csv"}, "controlNumberPrefix": fmt.Sprint("P", i),
		}
		maps.Copy(s, change)
		sources = append(sources, s)
	}
	data, err := json.Marshal(map[string]any{"sources": sources})
	must(t, err)
	return string(data)
}

// put uploads the customer's file.
func (w *world) put(text string) {
	w.Helper()
	must(w.T, w.blobs.Container("config").Put(w.Context(), File, []byte(text)))
}

// accept accepts, and wants no fault of the storage.
func (w *world) accept() InForce {
	w.Helper()
	force, err := w.store.Accept(w.Context())
	must(w.T, err)
	return force
}

func (w *world) row() ledger.Config {
	w.Helper()
	row, err := w.ledger.Config(w.Context())
	must(w.T, err)
	return row.Value
}

// contents are all blobs of the containers by "container/name".
func (w *world) contents(containers ...string) map[string]string {
	w.Helper()
	all := map[string]string{}
	for _, name := range containers {
		c := w.blobs.Container(name)
		for info, err := range c.List(w.Context(), "") {
			must(w.T, err)
			data, err := c.Get(w.Context(), info.Name)
			must(w.T, err)
			all[name+"/"+info.Name] = string(data)
		}
	}
	return all
}

// writes counts what f writes.
func (w *world) writes(f func()) int {
	before := w.proxy.Writes()
	f()
	return w.proxy.Writes() - before
}

// cutAccept accepts until the n-th write, at which the process dies: the answer is lost, and nothing follows. It reports
// false when there were fewer writes.
func (w *world) cutAccept(n int) bool {
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
	_, err := w.store.Accept(ctx)
	_ = w.log.Error(err)
	over.Store(true)
	if dead.Load() != (err != nil) {
		w.Fatalf("accept that was cut: %v", err)
	}
	return dead.Load()
}

// events are the events logged since the last call, by their messages.
func (w *world) events() map[string][]map[string]any {
	w.Helper()
	all := map[string][]map[string]any{}
	for _, event := range w.log.Events("") {
		msg, _ := event["msg"].(string)
		all[msg] = append(all[msg], event)
	}
	w.log.Reset()
	return all
}
