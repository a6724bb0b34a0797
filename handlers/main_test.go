package main

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/host"
	"chainmail/handlers/vault"
	"chainmail/infra/package/staging"
)

// sampleDays is the period that the sample's source collects.
func sampleDays() capture.Window {
	return capture.Window{Start: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), End: end()}
}

func TestRoutesAndFunctionsAgree(t *testing.T) {
	t.Parallel()
	root, err := staging.Root(".")
	if err != nil {
		t.Fatal(err)
	}
	folders, err := staging.Functions(root)
	if err != nil {
		t.Fatal(err)
	}
	a := &app{}
	routes := host.New(a.functions(), host.Options{HTTP: a.web()}).Functions()
	slices.Sort(routes)
	if !slices.Equal(routes, folders) {
		t.Errorf("routes %v, folders %v", routes, folders)
	}
}

func TestTheMainJobCapturesEverythingInScopeOnce(t *testing.T) {
	t.Parallel()
	for name, quick := range map[string]bool{"by mailbox": true, "by folder": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.configure(w.source(map[string]any{"useQuickDiscovery": quick, "monitoredIndividualsPerJob": 5}))
			m := w.meter()
			w.start()
			w.settle()

			e := w.readEvidence()
			w.checkCaptured(e, sampleDays())
			if len(e.manifests) != 3 {
				t.Errorf("%d manifests, want three days", len(e.manifests))
			}
			for _, m := range e.manifests {
				if m.Status != string(capture.Completed) || m.Totals.Excepted != 0 {
					t.Errorf("batch %s is %s with %d exceptions", m.Batch, m.Status, m.Totals.Excepted)
				}
			}
			if !slices.ContainsFunc(e.items, func(row itemRow) bool { return row.Synthesised }) {
				t.Error("no native is synthesised: the sample has mails without MIME")
			}
			w.checkExcluded(e)
			w.checkManners()
			m.check()
		})
	}
}

// checkExcluded holds that everybody who cannot be collected is named with the reason, in the ledger and in every seal.
func (w *world) checkExcluded(e *evidence) {
	w.Helper()
	people, err := w.ledger.People(w.Context(), testSource)
	if err != nil {
		w.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range people {
		if p.Value.Reason != "" {
			got[p.Value.Identifier] = p.Value.Reason
		}
	}
	if !maps.Equal(got, w.truth.Excluded) {
		w.Errorf("excluded %v, want %v", got, w.truth.Excluded)
	}
	sealed := map[string]int{}
	for _, s := range e.seals {
		for _, c := range s.Custodians {
			if c.Status == string(capture.Excluded) && c.Reason == w.truth.Excluded[c.Identifier] {
				sealed[c.Identifier]++
			}
		}
	}
	for identifier := range w.truth.Excluded {
		if sealed[identifier] != len(e.manifests) {
			w.Errorf("an exclusion for %s is sealed %d times, want once a batch", w.truth.Excluded[identifier], sealed[identifier])
		}
	}
	for _, m := range e.manifests {
		if m.Totals.Excluded != len(w.truth.Excluded) {
			w.Errorf("batch %s counts %d excluded, want %d", m.Batch, m.Totals.Excluded, len(w.truth.Excluded))
		}
	}
}

// checkManners holds that no rule of Graph's was broken and that the log tells of the batches; see [world.log] for what it must
// not tell.
func (w *world) checkManners() {
	w.Helper()
	w.checkViolations()
	if !strings.Contains(w.logged(), `"batch sealed"`) {
		w.Error("the log does not tell of sealed batches")
	}
}

func TestAnotherRunOnTheSameStorageCapturesNothingTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(w.source(map[string]any{"endDate": "2026-03-03T00:00:00Z"}))
	w.start()
	w.settle()
	before := w.readEvidence()
	fetched := w.graph.Requests()[value]

	w.host.Close()
	w.start()
	for range 3 {
		w.tick("people")
		w.tick("plan")
		w.drain()
	}
	if after := w.readEvidence(); !maps.EqualFunc(before.files, after.files, bytes.Equal) {
		t.Error("the evidence changed")
	}
	if n := w.graph.Requests()[value]; n != fetched || n == 0 {
		t.Errorf("%d fetches, %d before", n, fetched)
	}
}

// value is the template of the request for an item's MIME.
const value = "GET /users/{id}/messages/{id}/$value"

func TestAnIdleWindowIsSealedWithoutAPackage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(w.source(map[string]any{"startDate": "2025-01-06T00:00:00Z", "endDate": "2025-01-06T01:00:00Z"}))
	w.start()
	w.settle()
	e := w.readEvidence()
	if len(e.manifests) != 1 || len(e.seals) != 1 || e.manifests[0].Status != string(capture.Completed) {
		t.Errorf("%d manifests, %d seals, status %s", len(e.manifests), len(e.seals), e.manifests[0].Status)
	}
	for name := range e.files {
		if strings.HasSuffix(name, ".zip") || strings.HasSuffix(name, ".items.jsonl") {
			t.Errorf("an idle window has %s", name)
		}
	}
}

func TestAMailboxThatNeedsSeveralBudgetsIsCapturedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	heavy := w.tenant.User("ines.carvalho@contoso.onmicrosoft.com")
	w.settings["RUN_BUDGET"] = "1s"
	w.configure(w.source(map[string]any{"frequencyInMinutes": 3 * 24 * 60}))
	w.put("individuals/people.csv", []byte("identifier\n"+heavy.Mail+"\n"))
	w.graph.Slow(40 * time.Millisecond) // 400 messages, four at a time: four seconds and more
	w.start()
	w.settle()

	e := w.readEvidence()
	w.checkCaptured(e, sampleDays())
	packages := map[string]bool{}
	for _, row := range e.items {
		packages[row.pkg] = true
		if n := w.graph.Fetches(row.Custodian, row.GraphID); n != 1 && row.Kind == string(capture.Email) {
			t.Errorf("item %s was fetched %d times", row.Item, n)
		}
	}
	if len(packages) < 3 {
		t.Errorf("%d packages, want three or more", len(packages))
	}
	w.checkManners()
}

func TestASecretSignsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := graphtest.NewServer(w.tenant, graphtest.Options{})
	url, err := server.Start("127.0.0.1:0", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	w.graph, w.root = server, url+"/v1.0"
	pem := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(pem, server.RootPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	w.env = []string{rootSetting + "=" + pem, rootsFromTest}
	w.settings["O365_MAIL_SECRET"] = w.tenant.Apps[0].Secret
	w.configure(w.source(map[string]any{
		"applicationId": w.tenant.Apps[0].ClientID, "credential": map[string]any{"kind": "secret", "setting": "O365_MAIL_SECRET"},
		"endDate": "2026-03-02T06:00:00Z",
	}))
	w.start()
	w.settle()
	w.checkCaptured(w.readEvidence(), capture.Window{Start: sampleDays().Start, End: sampleDays().Start.Add(6 * time.Hour)})
	w.checkManners()
}

func TestWhatCannotBeHadStandsInTheExceptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	day := capture.Window{Start: sampleDays().Start, End: sampleDays().Start.AddDate(0, 0, 1)}
	owed := w.truth.InScope(day, false)
	monitored := w.monitoredOf(graphtest.Custodians(w.tenant))
	owed = slices.DeleteFunc(owed, func(i graphtest.TruthItem) bool { return !monitored[i.UserID] })
	corrupt, gone := owed[0], owed[len(owed)-1]
	w.graph.Fault(func(r graphtest.Request) bool { return r.Item == corrupt.ImmutableID }, 0,
		graphtest.Fault{Status: 500, Code: "ErrorMimeContentConversionFailed"})
	var once sync.Once
	w.graph.OnRequest(func(r graphtest.Request) {
		if r.Path == value && r.User == gone.UserID { // listed, and not yet fetched: the oldest comes first
			once.Do(func() {
				w.graph.Mutate(func(tenant *graphtest.Tenant) {
					if err := tenant.User(gone.UserID).Remove(gone.ImmutableID); err != nil {
						t.Error(err)
					}
				})
			})
		}
	})
	w.configure(w.source(map[string]any{"endDate": "2026-03-03T00:00:00Z"}))
	w.start()
	w.settle()

	e := w.readEvidence()
	w.checkCaptured(e, day)
	want := []string{corrupt.UserID + " " + corrupt.ImmutableID, gone.UserID + " " + gone.ImmutableID}
	slices.Sort(want)
	slices.Sort(e.excepted)
	if !slices.Equal(e.excepted, want) {
		t.Errorf("%d items are excepted, want the corrupt and the vanished one", len(e.excepted))
	}
	if s := e.manifests[0].Status; s != string(capture.CompletedWithDocumentLevelErrors) {
		t.Errorf("the batch is %s", s)
	}
	kept, err := w.ledger.Exceptions(t.Context(), testSource)
	codes := map[string]string{}
	for _, x := range kept {
		codes[x.Item.GraphID] = x.Code
	}
	if err != nil || codes[corrupt.ImmutableID] != "ErrorMimeContentConversionFailed" || codes[gone.ImmutableID] != "Vanished" {
		t.Errorf("the ledger has the codes %v, %v", slices.Collect(maps.Values(codes)), err)
	}
}

func TestAMailboxThatFailsDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	failing := w.tenant.User("tobias.feldt@contoso.onmicrosoft.com")
	w.configure(w.source(map[string]any{"endDate": "2026-03-02T12:00:00Z", "retryPolicyInMinutes": []int{0}}))
	w.start()
	w.tick("people")
	w.graph.Mutate(func(*graphtest.Tenant) { failing.Problem = graphtest.ProblemStore })
	w.settle()
	e := w.readEvidence()
	if first, second := e.manifests[0], e.manifests[1]; first.Status != string(capture.CompletedWithDocumentLevelErrors) &&
		first.Status != string(capture.Completed) || first.SplitInto != second.Batch || second.Status != string(capture.Abandoned) {
		t.Errorf("the batch is %s, and %s that was split off it", first.Status, second.Status)
	}
	failed := 0
	for _, c := range e.manifests[0].Coverage {
		if c.Custodian == failing.ID {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("the coverage names the failed mailbox %d times", failed)
	}
	others := 0
	for _, row := range e.items {
		if row.Custodian != failing.ID {
			others++
		}
	}
	if want := len(w.truth.InScope(capture.Window{Start: sampleDays().Start, End: sampleDays().Start.Add(12 * time.Hour)}, false)); others < want/2 {
		t.Errorf("%d items of the others, %d are owed in all", others, want)
	}
}

func TestMessagesThatAreNoChunksAreRecordedAndFinished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(w.source(map[string]any{"endDate": "2026-03-02T01:00:00Z"}))
	w.start()
	w.settle()
	before := w.readEvidence()
	messages := []string{
		"", "hello!!", "{}", "[]", "null", "{\"chunk\":null}", `{"chunk":{"v":2,"source":"o365-mail","batch":"x","lane":0}}`,
		`{"chunk":{"v":1,"source":"o365-mail","batch":"20200101000000UTC-20200102000000UTC","lane":0}}`,
		`{"chunk":{"v":1,"source":"nobody","batch":"20260302000000UTC-20260302010000UTC","lane":0}}`,
		`{"chunk":{"v":1,"source":"o365-mail","batch":"20260302000000UTC-20260302010000UTC","lane":77}}`,
		`{"chunk":{"v":1,"source":"o365-mail","batch":"20260302000000UTC-20260302010000UTC","lane":0}}`,
		`{"dequeueCount":99,"id":"x","chunk":{"v":1}}`, graphtest.Canary + "@contoso.example", `{"chunk":{"v":1,"source":"` + graphtest.Canary + `"}}`, strings.Repeat("a", 40_000), "\x00\x01",
	}
	for _, queue := range []string{"chunks", "chunks-poison"} {
		for _, m := range messages {
			if err := w.host.Put(t.Context(), queue, m); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.host.PutRaw(t.Context(), queue, "not base64!"); err != nil {
			t.Fatal(err)
		}
	}
	w.drain()
	// What a host cannot decode it can only keep: both copies lie where nobody listens any more.
	for queue, want := range map[string]int{"chunks": 0, "chunks-poison": 2} {
		if n, err := w.host.Outstanding(t.Context(), queue); err != nil || n != want {
			t.Errorf("%d messages stay in %s, %v", n, queue, err)
		}
	}
	w.tick("plan")
	w.drain()
	if after := w.readEvidence(); !maps.EqualFunc(before.files, after.files, bytes.Equal) {
		t.Error("the evidence changed")
	}
	if n := strings.Count(w.logged(), `"message refused"`); n < 8 {
		t.Errorf("%d messages are recorded as refused", n)
	}
}

func TestABrokenSourcesFileLeavesTheLastGoodOneInForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(w.source(map[string]any{"endDate": "2026-03-02T01:00:00Z"}))
	w.start()
	w.settle()
	good := w.readEvidence().manifests[0].ConfigSha256
	w.put("sources.json", []byte(`{"sources":[{"name":"o365-mail","frequencyInMinutes":0,"enable":true}]}`))
	w.tick("plan")
	w.tick("plan")
	log := w.logged()
	for _, path := range []string{"sources[0].frequencyInMinutes", "sources[0].enable", "sources[0].domain"} {
		if !strings.Contains(log, path) {
			t.Errorf("the log does not name %s", path)
		}
	}
	rejected, err := w.state.Get(t.Context(), "config/rejected.json")
	if err != nil || !bytes.Contains(rejected, []byte("frequencyInMinutes")) {
		t.Errorf("the faults are not kept: %v", err)
	}
	row, err := w.ledger.Config(t.Context())
	if err != nil || row.Value.SHA256 != good {
		t.Errorf("the settings in force are no more the good ones: %v", err)
	}
}

func TestWithoutASourcesFileNothingIsPlannedAndTheLogSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.tick("people")
	w.tick("plan")
	if !strings.Contains(w.logged(), `"config missing"`) {
		t.Error("the log does not say that sources.json is missing")
	}
	if _, err := w.written.Get(t.Context(), "sources.json"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("get sources.json: %v", err)
	}
}
