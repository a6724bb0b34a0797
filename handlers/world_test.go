package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"chainmail/handlers/graph"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/host/hosttest"
	"chainmail/handlers/ledger"
	"chainmail/handlers/mailfmt/doctext"
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
	if doctext.IsWorker(os.Args) {
		main()
		os.Exit(0)
	}
	if os.Getenv(asHandler) == "" {
		worlds := 3 * runtime.GOMAXPROCS(0) // they wait more than they compute: for processes, storage and retries
		if err := flag.Set("test.parallel", strconv.Itoa(worlds)); err != nil {
			panic(err)
		}
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

// A shift says how the time of a world differs from that of the machine: it is ahead, and since an instant it has run so
// many times as fast.
type shift struct {
	Ahead time.Duration
	Speed float64
	Since time.Time
}

func (s shift) now() time.Time {
	now := time.Now()
	return now.Add(s.Ahead + time.Duration(float64(now.Sub(s.Since))*(s.Speed-1)))
}

// clock is the clock of a world, which its test sets forward by a file.
func clock(file string) graph.Clock {
	read := func() shift {
		s := shift{Speed: 1}
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &s)
		}
		if err != nil {
			panic(err)
		}
		return s
	}
	return graph.Clock{
		Now: func() time.Time { return read().now() },
		Sleep: func(ctx context.Context, d time.Duration) error {
			ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(float64(d)/read().Speed), errSlept)
			defer cancel()
			<-ctx.Done()
			if context.Cause(ctx) == errSlept {
				return nil
			}
			return ctx.Err()
		},
	}
}

var errSlept = errors.New("slept")

// allSetting, when it is not empty, has the tests of kills, faults and memory go through everything that they know; see [picked].
const allSetting = "CHAINMAIL_TEST_ALL"

// picked says whether the n-th case of a long list is to be tried: all of them take longer than go test's ten minutes on a
// small machine, so that without [allSetting] it is one of eight.
func picked(n int) bool { return os.Getenv(allSetting) != "" || n%8 == 0 }

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
	shift    shift             // what it says
	env      []string          // of the handler, beside the settings
	settings map[string]string // app settings

	log *graphtest.Log // everything that the handler wrote; it may tell nothing of the mail

	mu       sync.Mutex
	watchers []func(graphtest.Request) // of the requests to Graph
	met      map[string]bool           // items whose fetch failed by chance
	served   map[string][]string       // SHA-256 of bodies that were served before this Graph was, by custodian and id
}

const testSource = "o365-mail"

// newWorld makes a world with the sample tenant; the app is started by start.
func newWorld(t *testing.T) *world {
	t.Helper()
	tenant, truth := graphtest.Planted(1)
	return newWorldOf(t, tenant, truth)
}

// newSmallWorld makes a world with the small tenant.
func newSmallWorld(t *testing.T) *world {
	t.Helper()
	tenant, truth := graphtest.Small(1)
	return newWorldOf(t, tenant, truth)
}

func newWorldOf(t *testing.T, tenant *graphtest.Tenant, truth *graphtest.Truth) *world {
	t.Helper()
	w := &world{
		T: t, tenant: tenant, truth: truth, settings: map[string]string{}, clock: filepath.Join(t.TempDir(), "clock"),
		shift: shift{Speed: 1, Since: time.Now()}, log: graphtest.NewLog(t, secretsOf(tenant)...),
	}
	w.advance(0)
	w.graph, w.root = graphtest.Serve(t, w.tenant, graphtest.Options{Anonymous: true, Now: func() time.Time { return w.now() }})
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
		"collect": []string{"email", "calendar"}, "individuals": map[string]any{"file": "individuals/people.csv"},
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
	w.host = w.newHost(w.proxy)
}

// newHost starts the app on a host of its own, which reaches the storage through a proxy.
func (w *world) newHost(proxy *storagetest.Proxy) *hosttest.Host {
	w.Helper()
	settings := map[string]string{
		"AzureWebJobsStorage": w.account.ConnectionString(), "CHAINMAIL_STATE": proxy.ConnectionString(),
		"CHAINMAIL_EVIDENCE": proxy.ConnectionString(), "PLAN_SCHEDULE": "0 */5 * * * *", "PEOPLE_SCHEDULE": "0 0 * * * *",
	}
	maps.Copy(settings, w.settings)
	h, err := hosttest.Start(w.Context(), hosttest.Options{
		Root: stage(w.T), Settings: settings, RetryDelay: -1, Manual: true, CommandEnv: append([]string{asHandler + "=1", clockSetting + "=" + w.clock}, w.env...),
		Console: w.console, Ended: w.ended,
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
	_, _ = w.log.Write([]byte(line + "\n"))
	if stderr && strings.Contains(line, "DATA RACE") {
		w.Errorf("the handler has a data race: %s", line)
	}
}

// ended holds that an invocation's answer, its logs and the messages that it puts into queues tell nothing either.
func (w *world) ended(r hosttest.Result) {
	_ = w.log.Error(r.Err)
	for _, line := range r.Logs {
		w.log.Check("a line of an answer", line)
	}
	for _, m := range r.Outputs {
		w.log.Check("a message", m.Text)
	}
}

// logged gives what the handler has written so far.
func (w *world) logged() string { return w.log.String() }

// secretsOf are the words by which a tenant's applications sign in.
func secretsOf(tenant *graphtest.Tenant) []string {
	var all []string
	for _, a := range tenant.Apps {
		if a.Secret != "" {
			all = append(all, a.Secret)
		}
	}
	return all
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
	w.settleBy(w.drain)
}

// settleBy does it with another way to run the messages of a round.
func (w *world) settleBy(drain func()) {
	w.Helper()
	for rounds := 0; !w.settled(); rounds++ {
		if rounds == 100 {
			w.Fatal("not everything was collected")
		}
		w.tick("people")
		w.tick("plan")
		drain()
		w.advance(time.Minute)
	}
}

// advance sets the handler's clock forward.
func (w *world) advance(d time.Duration) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shift.Ahead += d
	text, err := json.Marshal(w.shift)
	next := w.clock + ".next"
	if err := errors.Join(err, os.WriteFile(next, text, 0o600), os.Rename(next, w.clock)); err != nil {
		w.Fatal(err)
	}
}

// hurry has the world's time run so many times as fast.
func (w *world) hurry(times float64) {
	w.Helper()
	w.mu.Lock()
	w.shift.Speed = times
	w.mu.Unlock()
	w.advance(0)
}

// watchGraph adds a hook for the requests to Graph.
func (w *world) watchGraph(hook func(graphtest.Request)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watchers = append(w.watchers, hook)
	all := slices.Clone(w.watchers)
	w.graph.OnRequest(func(r graphtest.Request) {
		for _, f := range all {
			f(r)
		}
	})
}

// now is the time in the world.
func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shift.now()
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
