package console

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/config"
	"chainmail/handlers/ledger"
)

const (
	finished = "finance"
	running  = "o365-mail"
	failing  = "legal"
	hostile  = `<script>alert("x")</script>`
)

// A run is a source with what a collection of some days would leave.
type run struct {
	source   string
	start    time.Time
	statuses []capture.BatchStatus // of the batches, a day each
}

// newPages gives a world with a finished, a running and a failing source, and the address at which a browser reaches it.
func newPages(t *testing.T) (*world, string) {
	w := newWorld(t)
	var sources []any
	for i, name := range []string{running, finished, failing} {
		one := into[struct{ Sources []map[string]any }](t, sourcesFile(nil)).Sources[0]
		one["name"], one["controlNumberPrefix"] = name, fmt.Sprintf("P%d", i)
		one["startDate"], one["frequencyInMinutes"] = "2026-02-02T00:00:00Z", 60
		if name == finished {
			one["endDate"] = "2026-02-12T00:00:00Z"
		}
		sources = append(sources, one)
	}
	file, err := json.MarshalIndent(map[string]any{"sources": sources}, "", "  ")
	must(t, err)
	must(t, w.written.Put(t.Context(), config.File, append(file, '\n')))
	_, err = w.console.Config.Accept(t.Context())
	must(t, err)
	start := at("2026-02-02T00:00:00Z")
	w.now = at("2026-03-05T12:00:00Z")
	w.collected(run{finished, start, repeat(10, capture.Completed)})
	w.collected(run{running, start, append(repeat(23, capture.Completed), capture.CompletedWithDocumentLevelErrors, capture.Completed,
		capture.CompletedWithErrors, capture.Retrieving, capture.PendingRetry)})
	w.collected(run{failing, start, []capture.BatchStatus{capture.Completed, capture.CompletedWithErrors, capture.Abandoned, capture.PendingRetry}})
	must(t, w.ledger.Trouble(t.Context(), failing, "SignInRefused", w.now.Add(-3*time.Hour)))
	server := httptest.NewServer(w.console)
	t.Cleanup(server.Close)
	return w, server.URL
}

func repeat(n int, s capture.BatchStatus) []capture.BatchStatus {
	all := make([]capture.BatchStatus, n)
	for i := range all {
		all[i] = s
	}
	return all
}

// collected puts a run into the ledger.
func (w *world) collected(r run) {
	ctx, t := w.Context(), w.T
	must(t, w.ledger.UpdateSource(ctx, r.source, func(s *ledger.Source) bool {
		s.Begin, s.State, s.PeopleAt, s.EnabledAt, s.LastSuccess = r.start, r.start, w.now.Add(-time.Hour), r.start, w.now.Add(-25*time.Minute)
		return true
	}))
	row, err := w.ledger.Source(ctx, r.source)
	must(t, err)
	always := ledger.Packed[[]ledger.Interval]{V: []ledger.Interval{{Cause: "list", From: r.start}}}
	people := []ledger.Row[ledger.Person]{
		{Value: ledger.Person{Identifier: alice, DisplayName: hostile, ObjectID: aliceID, Intervals: always, CheckedAt: w.now.Add(-time.Hour)}},
		{Value: ledger.Person{Identifier: bob, DisplayName: "Bob Berg", Lane: 1, Reason: capture.ReasonNoMailbox, Intervals: always}},
	}
	must(t, w.ledger.PutPeople(ctx, r.source, row, people, nil))
	snapshot, err := json.Marshal([]capture.Custodian{people[0].Value.Custodian(), people[1].Value.Custodian()})
	must(t, err)
	must(t, w.state.Put(ctx, "snapshots/"+r.source, snapshot))
	for i, status := range r.statuses {
		w.collectedBatch(r, i, status)
	}
	seen := w.now.Add(-26 * time.Hour)
	must(t, w.ledger.PutExceptions(ctx, r.source, 0, []capture.Exception{{
		Custodian: aliceID, Item: capture.Item{GraphID: "AAA", Kind: capture.Email, Folder: hostile, Received: r.start.Add(7 * time.Hour), Size: 48213},
		Batch: r.batch(0), Stage: "fetch", Code: "ErrorCorruptData", Attempts: 3, FirstSeen: seen, LastSeen: seen,
	}}, func(capture.Exception) bool { return true }))
}

func (r run) batch(i int) string {
	return capture.BatchID(capture.Window{Start: r.start.AddDate(0, 0, i), End: r.start.AddDate(0, 0, i+1)}, 1)
}

// collectedBatch makes a batch and brings it to a status.
func (w *world) collectedBatch(r run, i int, status capture.BatchStatus) {
	ctx, t := w.Context(), w.T
	row, err := w.ledger.Source(ctx, r.source)
	must(t, err)
	b := ledger.Batch{
		ID: r.batch(i), Start: r.start.AddDate(0, 0, i), End: r.start.AddDate(0, 0, i+1), N: 1, Reason: capture.ReasonWindow,
		Custodians: 2, ConfigSHA256: "c", Snapshot: "snapshots/" + r.source,
	}
	b.Lanes.V = []int{0, 1}
	began := w.now.Add(-time.Duration(len(r.statuses)-i) * 40 * time.Minute)
	b.Enter(capture.Created, began, 0)
	row.Value.State = b.End
	must(t, w.ledger.CreateBatch(ctx, r.source, row, b))
	must(t, w.ledger.Progress(ctx, r.source, b.ID, capture.Retrieving, began.Add(time.Minute)))
	if !status.Final() {
		must(t, w.ledger.Progress(ctx, r.source, b.ID, status, began.Add(9*time.Minute)))
		return
	}
	documents := 1200 + 37*i
	name := "manifests/" + r.source + "/" + b.ID
	must(t, w.state.Put(ctx, name, fmt.Appendf(nil, `{"totals":{"custodians":2,"found":%d,"captured":%d,"excepted":1,"bytes":%d,"documents":%d},
		"seals":[{"name":"%s.%s.00000-001.seal.json","sha256":"%064x"}]}`, documents+1, documents, documents*91000, documents, r.source, b.ID, i+1)))
	sealed, err := w.ledger.Batch(ctx, r.source, b.ID)
	must(t, err)
	head, err := w.ledger.Head(ctx, r.source)
	must(t, err)
	head.Value.Sequence++
	sealed.Value.Sequence, sealed.Value.Manifest, sealed.Value.Documents = head.Value.Sequence, name, documents
	sealed.Value.ManifestSHA256 = fmt.Sprintf("%064x", 0xabcdef0123+i)
	sealed.Value.Enter(status, began.Add(31*time.Minute), documents)
	must(t, w.ledger.Seal(ctx, r.source, head, sealed, nil))
	if status == capture.CompletedWithErrors || status == capture.Abandoned {
		sealed, err = w.ledger.Batch(ctx, r.source, b.ID)
		must(t, err)
		_, _, _, err = w.ledger.SettleGaps(ctx, r.source, sealed, []ledger.Verdict{
			{Person: ledger.PersonKey(bob), Custodian: "unresolved-bob", Lane: 1, Reason: capture.ReasonNoMailbox},
		}, w.now)
		must(t, err)
	}
}
