package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/infra/evidence/store"
	"chainmail/infra/evidence/verify"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
)

// loseState deletes all rows of the ledger and every blob of the state container, as if the state account had never been.
func (w *world) loseState() {
	w.Helper()
	rows := w.empty(w.table())
	blobs := 0
	for i, err := range w.state.List(w.Context(), "") {
		if err == nil {
			err = w.state.Delete(w.Context(), i.Name)
		}
		if err != nil {
			w.Fatal(err)
		}
		blobs++
	}
	if rows == 0 || blobs == 0 {
		w.Fatalf("%d rows and %d blobs were there to be lost", rows, blobs)
	}
}

func (w *world) empty(table *aztables.Client) (rows int) {
	w.Helper()
	for pages := table.NewListEntitiesPager(nil); pages.More(); {
		page, err := pages.NextPage(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		for _, entity := range page.Entities {
			var key struct{ PartitionKey, RowKey string }
			w.parse("entity", entity, &key)
			if _, err := table.DeleteEntity(w.Context(), key.PartitionKey, key.RowKey, nil); err != nil {
				w.Fatal(err)
			}
			rows++
		}
	}
	return rows
}

// verified is what verify says of the container.
func (w *world) verified() *verify.Report {
	w.Helper()
	r, err := verify.Run(w.Context(), store.OpenContainer(w.evidence), verify.Options{})
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func TestCollectionGoesOnAfterTheStateAccountIsLost(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t)
	morning := graphtest.SmallHalf()
	afternoon := capture.Window{Start: morning.End, End: morning.End.Add(12 * time.Hour)}
	until := func(end time.Time) {
		w.configure(w.source(map[string]any{
			"collect": []string{"email"}, "endDate": end.Format(time.RFC3339), "frequencyInMinutes": 360,
			"mergeBatchesDuringColdStart": false, "monitoredIndividualsPerJob": 1,
		}))
	}
	until(morning.End)
	w.start()
	w.settle()
	// The afternoon is lost in the middle: one lane has closed a part of its first batch, and the others none.
	until(afternoon.End)
	w.tick("plan")
	if _, ok, err := w.host.Next(t.Context(), "collect"); !ok || err != nil {
		t.Fatalf("no message, or %v", err)
	}
	w.host.Close()
	w.loseState()
	before := w.readEvidence()
	if len(before.manifests) != 2 || w.verified().Sound() {
		t.Fatalf("%d manifests, want two, and a batch that is unfinished", len(before.manifests))
	}

	w.start()
	w.settle()
	after := w.readEvidence() // which holds the manifests to one chain
	for name, data := range before.files {
		if !bytes.Equal(after.files[name], data) {
			t.Errorf("%s was altered", name)
		}
	}
	r := w.verified()
	if !r.Sound() || len(r.Sources) != 1 || !r.Sources[0].Whole || len(r.Sources[0].Cover.Gaps) > 0 {
		t.Errorf("verify: %+v", r)
	}
	w.checkTwiceOnly(after, capture.BatchID(capture.Window{Start: afternoon.Start, End: afternoon.Start.Add(6 * time.Hour)}, 1))
	w.checkOwed(after, w.truth.InScope(capture.Window{Start: morning.Start, End: afternoon.End}, false))
	if !strings.Contains(w.logged(), `"source resumed from its evidence"`) {
		t.Error("the log does not tell that the source was resumed")
	}
}

// checkTwiceOnly takes what a batch captured out of the evidence: what stood in it was in flight, and is captured twice.
func (w *world) checkTwiceOnly(e *evidence, batch string) {
	w.Helper()
	all := len(e.items)
	e.items = slices.DeleteFunc(e.items, func(row itemRow) bool { return strings.Contains(row.pkg, batch+".") })
	if len(e.items) == all || len(e.items) == 0 {
		w.Errorf("%d of %d items lie in the batch that was lost", all-len(e.items), all)
	}
}
