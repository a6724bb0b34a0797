package chain

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
)

// batchOf makes the batch of 2 March with one lane and a snapshot of its custodians, which all were collected.
func (w *world) batchOf(custodians ...capture.Custodian) string {
	w.Helper()
	snapshot, err := json.Marshal(custodians)
	must(w.T, err)
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	b := ledger.Batch{
		Start: start, End: start.AddDate(0, 0, 1), N: 1, Reason: "window", Custodians: len(custodians),
		Snapshot: "snapshots/mail", SnapshotSHA256: pack.Sum(snapshot),
	}
	b.ID = capture.BatchID(b.Window(), 1)
	b.Lanes.V = []int{0}
	must(w.T, w.state.Put(w.Context(), b.Snapshot, snapshot))
	row, err := w.ledger.Source(w.Context(), source.Name)
	must(w.T, err)
	must(w.T, w.ledger.CreateBatch(w.Context(), source.Name, row, b))
	var sealed []pack.SealCustodian
	for i, k := range custodians {
		s := custodian(i, capture.Collected, "", 0, 0, 0)
		s.ID = k.Name()
		sealed = append(sealed, s)
	}
	w.seal(b.ID, 0, 1, sealed...)
	w.close(b.ID, 0, 1)
	return b.ID
}

func TestCoverageNamesCustodiansWithAnArchive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	batch := w.batchOf(
		capture.Custodian{ID: "c3", Archive: true}, capture.Custodian{ID: "c1"}, capture.Custodian{ID: "c2", Archive: true},
	)
	c, _ := w.chain()
	m := w.finish(c, batch)
	var lines []pack.Coverage
	for _, k := range m.Coverage {
		if k.Custodian != "" {
			lines = append(lines, k)
		}
	}
	const reason = "it has an archive mailbox, which Microsoft Graph does not give; collect it by a source of its own"
	want := []pack.Coverage{
		{Custodian: "c2", Scope: "archive mailbox", Reason: reason}, {Custodian: "c3", Scope: "archive mailbox", Reason: reason},
	}
	if !slices.Equal(lines, want) || m.Status != capture.Completed {
		t.Errorf("coverage %+v, status %s, want %+v and that it completes", lines, m.Status, want)
	}
}

func TestASnapshotThatIsNotTheBatchsSealsNothing(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*world) error{
		"other bytes": func(w *world) error { return w.state.Put(w.Context(), "snapshots/mail", []byte("[]")) },
		"gone":        func(w *world) error { return w.state.Delete(w.Context(), "snapshots/mail") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			batch := w.batchOf(capture.Custodian{ID: "c1", Archive: true})
			must(t, spoil(w))
			c, _ := w.chain()
			done, err := c.Finish(t.Context(), source, batch)
			if done || w.log.Error(err) == nil || !strings.Contains(err.Error(), "snapshot of custodians") {
				t.Errorf("Finish() = %v, %v, want the snapshot's fault", done, err)
			}
			if n := len(w.names(t.Context())); n != 1 {
				t.Errorf("%d files in the evidence, want the seal alone", n)
			}
		})
	}
}
