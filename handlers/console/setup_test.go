package console

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
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
	alice      = "alice@contoso.example"
	bob        = "bob@contoso.example"
	aliceID    = "11111111-1111-4111-8111-111111111111"
	firstID    = "20260302000000UTC-20260303000000UTC"
	secondID   = "20260303000000UTC-20260304000000UTC"
)

// A world is a console over a storage account of its own, with a source, two individuals and two batches, the first final.
type world struct {
	*testing.T
	console *Console
	ledger  *ledger.Ledger
	written *vault.Container
	state   *vault.Container
	log     *graphtest.Log
	proxy   *storagetest.Proxy
	now     time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, log: graphtest.NewLog(t, alice, bob), now: at("2026-03-05T12:00:00Z")}
	account := storagetest.New(t)
	w.proxy = account.Proxy(t)
	blobs, err := vault.Open(vault.Account{ConnectionString: w.proxy.ConnectionString()})
	must(t, err)
	w.ledger, err = ledger.Open(ledger.Account{ConnectionString: w.proxy.ConnectionString()})
	must(t, err)
	w.written, w.state = blobs.Container("config"), blobs.Container("state")
	log, now := w.log.Logger(), func() time.Time { return w.now }
	w.console = &Console{
		Open: true, Written: w.written, State: w.state, Ledger: w.ledger, Log: log, Now: now,
		Ready: func(ctx context.Context) error {
			for _, c := range []*vault.Container{w.written, w.state} {
				if err := c.Ensure(ctx); err != nil {
					return err
				}
			}
			return w.ledger.Ensure(ctx)
		},
		Config: &config.Store{
			Written: w.written, State: w.state, Evidence: blobs.Container, Ledger: w.ledger,
			Lookup: func(string) (string, bool) { return "", false }, Log: log, Now: now,
		},
	}
	must(t, w.console.Ready(t.Context()))
	must(t, w.written.Put(t.Context(), config.File, []byte(sourcesFile(nil))))
	_, err = w.console.Config.Accept(t.Context())
	must(t, err)
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

// sourcesFile has one source, with what is changed; nil removes a setting.
func sourcesFile(changes map[string]any) string {
	s := map[string]any{
		"name": testSource, "domain": "contoso.onmicrosoft.com", "graphEndpoint": "http://127.0.0.1:1/v1.0",
		"credential": map[string]any{"kind": "none"}, "collect": []string{"email"},
		"individuals": map[string]any{"file": "individuals/people.csv"}, "controlNumberPrefix": "P",
		"startDate": "2026-03-02T00:00:00Z",
	}
	maps.Copy(s, changes)
	maps.DeleteFunc(s, func(_ string, v any) bool { return v == nil })
	data, err := json.Marshal(map[string]any{"sources": []any{s}})
	if err != nil {
		panic(err)
	}
	return string(data)
}

// populate gives the source what a collection would: its schedule has come to 4 March.
func (w *world) populate() {
	w.Helper()
	ctx, t := w.Context(), w.T
	must(t, w.ledger.UpdateSource(ctx, testSource, func(s *ledger.Source) bool {
		s.Begin, s.State = at("2026-03-02T00:00:00Z"), at("2026-03-02T00:00:00Z")
		s.PeopleAt, s.EnabledAt = w.now.Add(-time.Hour), w.now.Add(-time.Hour)
		s.LastError, s.LastErrorAt = "GroupUnreadable", w.now.Add(-time.Minute)
		return true
	}))
	row, err := w.ledger.Source(ctx, testSource)
	must(t, err)
	everything := ledger.Packed[[]ledger.Interval]{V: []ledger.Interval{{Cause: "list"}}}
	later := ledger.Packed[[]ledger.Interval]{V: []ledger.Interval{{Cause: "list", From: at("2026-03-04T00:00:00Z")}}}
	must(t, w.ledger.PutPeople(ctx, testSource, row, []ledger.Row[ledger.Person]{
		{Value: ledger.Person{Identifier: alice, DisplayName: "<script>alert(1)</script>", ObjectID: aliceID, Intervals: everything}},
		{Value: ledger.Person{Identifier: bob, Lane: 1, Reason: capture.ReasonNoMailbox, Intervals: later}},
	}, nil))
	for i, id := range []string{firstID, secondID} {
		row, err = w.ledger.Source(ctx, testSource)
		must(t, err)
		start := at("2026-03-02T00:00:00Z").AddDate(0, 0, i)
		b := ledger.Batch{ID: id, Start: start, End: start.AddDate(0, 0, 1), N: 1, Reason: capture.ReasonWindow, Custodians: 2, ConfigSHA256: "c"}
		b.Lanes.V = []int{0, 1}
		b.Enter(capture.Created, w.now, 0)
		row.Value.State = b.End
		must(t, w.ledger.CreateBatch(ctx, testSource, row, b))
	}
	w.finish(firstID)
	seen := at("2026-03-04T01:00:00Z")
	must(t, w.ledger.PutExceptions(ctx, testSource, 0, []capture.Exception{{
		Custodian: aliceID, Item: capture.Item{GraphID: "AAA", Kind: capture.Email, Folder: "Inbox/<img src=x>", Received: seen},
		Batch: firstID, Stage: "fetch", Code: "ErrorCorruptData", Attempts: 2, FirstSeen: seen, LastSeen: seen,
	}}, func(capture.Exception) bool { return true }))
}

// finish makes a batch final, with a gap of Bob's.
func (w *world) finish(id string) {
	w.Helper()
	ctx, t := w.Context(), w.T
	b, err := w.ledger.Batch(ctx, testSource, id)
	must(t, err)
	head, err := w.ledger.Head(ctx, testSource)
	must(t, err)
	head.Value.Sequence++
	b.Value.Sequence, b.Value.ManifestSHA256, b.Value.Documents = head.Value.Sequence, "m", 7
	b.Value.Enter(capture.Completed, w.now, 7)
	must(t, w.ledger.Seal(ctx, testSource, head, b, nil))
	b, err = w.ledger.Batch(ctx, testSource, id)
	must(t, err)
	_, _, _, err = w.ledger.SettleGaps(ctx, testSource, b, []ledger.Verdict{
		{Person: ledger.PersonKey(bob), Custodian: "unresolved-bob", Lane: 1, Reason: capture.ReasonNoMailbox},
	}, w.now)
	must(t, err)
}

// A call is a request; empty fields are what a good client sends.
type call struct {
	method, path, body string
	host               string
	header             map[string]string
}

// do sends a request as the host forwards it, and gives the answer, which is JSON or a list unless a test wants otherwise.
func (w *world) do(c call) *httptest.ResponseRecorder {
	w.Helper()
	r := httptest.NewRequestWithContext(w.Context(), c.method, "http://127.0.0.1:7091"+c.path, strings.NewReader(c.body))
	if c.host != "" {
		r.Host = c.host
	}
	if c.method != http.MethodGet {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range c.header {
		r.Header.Set(name, value)
		if value == "" {
			r.Header.Del(name)
		}
	}
	answer := httptest.NewRecorder()
	w.console.ServeHTTP(answer, r)
	if answer.Header().Get("X-Content-Type-Options") != "nosniff" {
		w.Errorf("%s %s: the answer may be sniffed", c.method, c.path)
	}
	media := answer.Header().Get("Content-Type")
	switch {
	case answer.Code >= 400 && media != mediaProblem:
		w.Errorf("%s %s: a problem is %q", c.method, c.path, media)
	case media == "text/csv; charset=utf-8":
	case !json.Valid(answer.Body.Bytes()):
		w.Errorf("%s %s: the answer is no JSON: %s", c.method, c.path, answer.Body)
	case strings.ContainsAny(answer.Body.String(), "<>") && c.path != "/api/config":
		w.Errorf("%s %s: the answer holds HTML: %s", c.method, c.path, answer.Body)
	}
	return answer
}

func (w *world) get(path string) string {
	w.Helper()
	answer := w.do(call{method: "GET", path: path})
	if answer.Code != http.StatusOK {
		w.Errorf("GET %s: %d %s", path, answer.Code, answer.Body)
	}
	return answer.Body.String()
}

// into reads a JSON answer.
func into[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	must(t, json.Unmarshal([]byte(text), &v))
	return v
}

// records are the records of what was done, by their names.
func (w *world) records() map[string]action {
	w.Helper()
	all := map[string]action{}
	for info, err := range w.state.List(w.Context(), records) {
		must(w.T, err)
		if !strings.HasSuffix(info.Name, ".json") {
			continue
		}
		data, err := w.state.Get(w.Context(), info.Name)
		must(w.T, err)
		all[info.Name] = into[action](w.T, string(data))
	}
	return all
}

// snapshot is all that a request may change but the records.
func (w *world) snapshot() string {
	w.Helper()
	ctx := w.Context()
	var b strings.Builder
	s, err := w.ledger.Source(ctx, testSource)
	must(w.T, err)
	batches, err := w.ledger.Batches(ctx, testSource)
	must(w.T, err)
	gaps, err := w.ledger.Gaps(ctx, testSource)
	must(w.T, err)
	exceptions, err := w.ledger.Exceptions(ctx, testSource)
	must(w.T, err)
	fmt.Fprintln(&b, s.Value, batches, gaps, exceptions)
	for info, err := range w.written.List(ctx, "") {
		must(w.T, err)
		data, err := w.written.Get(ctx, info.Name)
		must(w.T, err)
		fmt.Fprintln(&b, info.Name, string(data))
	}
	return b.String()
}
