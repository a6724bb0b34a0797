package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/host/hosttest"
	"chainmail/handlers/ledger"
	"chainmail/handlers/vault"
	"chainmail/handlers/vault/storagetest"
	"chainmail/infra/package/staging"
)

// asHandler makes the test binary the handler: a process of its own that a stand-in host starts, with the wiring of main.
const asHandler = "CHAINMAIL_TEST_HANDLER"

// clockSetting names a file that says by how much the handler's clock is ahead.
const clockSetting = "CHAINMAIL_TEST_CLOCK"

// rootSetting names a file with the root certificate that the handler is to trust.
const rootSetting = "CHAINMAIL_TEST_ROOT"

func TestMain(m *testing.M) {
	if os.Getenv(asHandler) == "" {
		os.Exit(m.Run())
	}
	if file := os.Getenv(rootSetting); file != "" {
		pem, err := os.ReadFile(file)
		roots := x509.NewCertPool()
		if err != nil || !roots.AppendCertsFromPEM(pem) {
			fmt.Fprintln(os.Stderr, "handler: no root certificate")
			os.Exit(1)
		}
		x509.SetFallbackRoots(roots) // see rootsFromTest
	}
	fmt.Fprintln(os.Stderr, "handler:", run(context.Background(), os.LookupEnv, clock(os.Getenv(clockSetting))))
	os.Exit(1)
}

// clock is a clock that the test sets forward.
func clock(file string) func() time.Time {
	return func() time.Time {
		text, err := os.ReadFile(file)
		if err != nil {
			return time.Now()
		}
		ahead, err := time.ParseDuration(string(text))
		if err != nil {
			panic(err)
		}
		return time.Now().Add(ahead)
	}
}

// rootsFromTest makes the fallback roots the only ones, on every system.
const rootsFromTest = "GODEBUG=x509usefallbackroots=1"

// A world is the whole system of one test: a tenant behind the stand-in Graph, a storage account behind a proxy, and the app
// as a process under the stand-in host.
type world struct {
	*testing.T
	tenant  *graphtest.Tenant
	truth   *graphtest.Truth
	graph   *graphtest.Server
	root    string // of Graph
	account *storagetest.Account
	proxy   *storagetest.Proxy // between the handler and storage
	host    *hosttest.Host

	written  *vault.Container
	state    *vault.Container
	evidence *vault.Container
	ledger   *ledger.Ledger

	clock    string            // file of the handler's clock
	ahead    time.Duration     // of the handler's clock
	env      []string          // of the handler, beside the settings
	settings map[string]string // app settings

	mu  sync.Mutex
	log bytes.Buffer // everything that the handler wrote
}

const testSource = "o365-mail"

// newWorld makes a world with the sample tenant; the app is started by start.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, settings: map[string]string{}, clock: filepath.Join(t.TempDir(), "clock")}
	w.tenant, w.truth = graphtest.Sample(1)
	w.graph, w.root = graphtest.Serve(t, w.tenant, graphtest.Options{Anonymous: true})
	w.store()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the handler said last:\n%s", tail(w.logged(), 30))
		}
	})
	return w
}

// store opens the storage past the proxy.
func (w *world) store() {
	w.Helper()
	w.account = storagetest.New(w.T)
	w.proxy = w.account.Proxy(w.T)
	w.proxy.WORM("evidence")
	blobs, err := vault.Open(vault.Account{ConnectionString: w.account.ConnectionString()})
	if err != nil {
		w.Fatal(err)
	}
	w.written, w.state, w.evidence = blobs.Container("config"), blobs.Container("state"), blobs.Container("evidence")
	if w.ledger, err = ledger.Open(ledger.Account{ConnectionString: w.account.ConnectionString()}); err != nil {
		w.Fatal(err)
	}
	if err := w.written.Ensure(w.Context()); err != nil {
		w.Fatal(err)
	}
	if err := w.ledger.Ensure(w.Context()); err != nil {
		w.Fatal(err)
	}
}

// source is the source of a test: the sample's, with what a test changes. A nil value removes a setting.
func (w *world) source(changes map[string]any) map[string]any {
	s := map[string]any{
		"name": testSource, "domain": w.tenant.Domain, "graphEndpoint": w.root, "credential": map[string]any{"kind": "none"},
		"collect": []string{"email"}, "individuals": map[string]any{"file": "individuals/people.csv"},
		"startDate": "2026-03-02T00:00:00Z", "endDate": "2026-03-05T00:00:00Z", "controlNumberPrefix": "O365",
		"retryPolicyInMinutes": []int{0, 0, 0},
	}
	maps.Copy(s, changes)
	maps.DeleteFunc(s, func(_ string, v any) bool { return v == nil })
	return s
}

// configure uploads sources and the list of individuals.
func (w *world) configure(sources ...map[string]any) {
	w.Helper()
	data, err := json.Marshal(map[string]any{"sources": sources})
	if err != nil {
		w.Fatal(err)
	}
	w.put("individuals/people.csv", graphtest.Custodians(w.tenant))
	w.put("sources.json", data)
}

func (w *world) put(name string, data []byte) {
	w.Helper()
	if err := w.written.Put(w.Context(), name, data); err != nil {
		w.Fatal(err)
	}
}

// start stages the app and starts the host. A message that failed comes back at once.
func (w *world) start() {
	w.Helper()
	w.host = w.newHost()
}

func (w *world) newHost() *hosttest.Host {
	w.Helper()
	settings := map[string]string{
		"AzureWebJobsStorage": w.account.ConnectionString(), "CHAINMAIL_STATE": w.proxy.ConnectionString(),
		"CHAINMAIL_EVIDENCE": w.proxy.ConnectionString(), "PLAN_SCHEDULE": "0 */5 * * * *", "PEOPLE_SCHEDULE": "0 0 * * * *",
	}
	maps.Copy(settings, w.settings)
	h, err := hosttest.Start(w.Context(), hosttest.Options{
		Root: stage(w.T), Settings: settings, RetryDelay: -1, Manual: true, CommandEnv: append([]string{asHandler + "=1", clockSetting + "=" + w.clock}, w.env...),
		Console: w.console,
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(h.Close)
	return h
}

// stage makes a staged app whose handler is this test binary.
func stage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root, err := staging.Root(".")
	if err == nil {
		err = staging.Copy(root, dir, staging.Target{})
	}
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.Executable()
	if err == nil {
		err = os.Symlink(binary, filepath.Join(dir, staging.HandlerFile))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func (w *world) console(line string, stderr bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintln(&w.log, line)
	if stderr && strings.Contains(line, "DATA RACE") {
		w.Errorf("the handler has a data race: %s", line)
	}
}

// logged gives what the handler has written so far.
func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// tick runs a timer, whatever becomes of it: a killed handler is what some tests are about.
func (w *world) tick(function string) {
	w.Helper()
	if _, err := w.host.Tick(w.Context(), function); err != nil {
		w.Fatalf("tick %s: %v", function, err)
	}
}

func (w *world) drain() {
	w.Helper()
	if _, err := w.host.Drain(w.Context()); err != nil {
		w.Fatalf("drain: %v", err)
	}
}

// settle lets timers tick and messages run until everything owed is sealed. A minute passes between two rounds, so that
// leases of dead runs end and retries are due without anybody waiting.
func (w *world) settle() {
	w.Helper()
	for rounds := 0; !w.settled(); rounds++ {
		if rounds == 100 {
			w.Fatal("not everything was collected")
		}
		w.tick("people")
		w.tick("plan")
		w.drain()
		w.advance(time.Minute)
	}
}

// advance sets the handler's clock forward.
func (w *world) advance(d time.Duration) {
	w.Helper()
	w.ahead += d
	next := w.clock + ".next"
	if err := errors.Join(os.WriteFile(next, []byte(w.ahead.String()), 0o600), os.Rename(next, w.clock)); err != nil {
		w.Fatal(err)
	}
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// end is the end date of [world.source].
func end() time.Time { return time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC) }

// settled reports whether the source has come to its end and every batch is published.
func (w *world) settled() bool {
	w.Helper()
	source, err := w.ledger.Source(w.Context(), testSource)
	if err != nil {
		w.Fatal(err)
	}
	open, err := w.ledger.OpenBatches(w.Context(), testSource)
	if err != nil {
		w.Fatal(err)
	}
	until := source.Value.State
	return len(open) == 0 && !until.IsZero() && !until.Before(w.endOf())
}

// endOf is the end date in force.
func (w *world) endOf() time.Time {
	w.Helper()
	data, err := w.written.Get(w.Context(), "sources.json")
	if err != nil {
		w.Fatal(err)
	}
	var file struct {
		Sources []struct {
			Name    string
			EndDate time.Time
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		w.Fatal(err)
	}
	for _, s := range file.Sources {
		if s.Name == testSource && !s.EndDate.IsZero() {
			return s.EndDate
		}
	}
	return end()
}

// batches are the source's batches in the order of their periods.
func (w *world) batches() []ledger.Batch {
	w.Helper()
	rows, err := w.ledger.Batches(w.Context(), testSource)
	if err != nil {
		w.Fatal(err)
	}
	var all []ledger.Batch
	for _, r := range rows {
		all = append(all, r.Value)
	}
	return all
}
