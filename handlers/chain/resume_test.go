package chain

import (
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
)

// anew is a chain with a ledger and a state of its own, over the evidence of the world.
func (w *world) anew(c *Chain) (*world, *Chain) {
	w.Helper()
	other := newWorld(w.T)
	other.evidence = w.evidence
	d, _ := other.chain()
	d.Evidence = c.Evidence
	return other, d
}

func TestAChainGoesOnFromItsEvidence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, _ := w.chain()
	collected := custodian(1, capture.Collected, "", 1, 1, 0)
	one := w.batch(2, 1, 0)
	w.seal(one, 0, 1, collected)
	w.close(one, 0, 1)
	w.finish(c, one)
	_, sum := w.manifest(one)
	// Of the next day one lane has a second part, its first was burnt, and the other nothing.
	two := w.batch(3, 2, 0, 1)
	w.seal(two, 0, 2, custodian(1, capture.Collecting, "", 5, 1, 0))
	three := w.batch(5, 1, 0)
	w.seal(three, 0, 1, collected)
	must(t, w.evidence.Delete(t.Context(), pack.ManifestSumName(source.Name, one))) // as if the process had died before

	config := strings.Repeat("c", 64)
	w, c = w.anew(c)
	for range 2 { // a tick may be cut off and come again
		until, err := c.Resume(t.Context(), source, config)
		must(t, err)
		if want := time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC); !until.Equal(want) {
			t.Errorf("resumed from %v, want %v", until, want)
		}
	}
	open, err := w.ledger.OpenBatches(t.Context(), source.Name)
	if err != nil || len(open) != 2 {
		t.Fatalf("%d batches are open, %v", len(open), err)
	}
	m := w.finish(c, two)
	abandoned := func(x pack.Coverage) bool {
		return x.Scope == "custodians" && strings.HasPrefix(x.Reason, "abandoned: ")
	}
	if m.Sequence != 2 || m.PreviousManifestSHA256 != sum || m.Status != capture.Abandoned || m.Reason != capture.ReasonLost ||
		m.ConfigSHA256 != config || len(m.Seals) != 1 || m.Totals.Documents != 1 || !slices.ContainsFunc(m.Coverage, abandoned) {
		t.Errorf("manifest %+v", m)
	}
	if m := w.finish(c, three); m.Sequence != 3 || m.Status != capture.Abandoned {
		t.Errorf("manifest %+v", m)
	}
	line, err := w.evidence.Get(t.Context(), pack.ManifestSumName(source.Name, one))
	if err != nil || !strings.HasPrefix(string(line), sum) {
		t.Errorf("the hash beside the first manifest is %q, %v", line, err)
	}
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	n, id, err := c.FreeBatch(t.Context(), source, capture.Window{Start: day, End: day.AddDate(0, 0, 1)})
	if err != nil || n != 2 || id != one+"-2" {
		t.Errorf("the next batch of the first day is %s, %v", id, err)
	}
}

func TestABatchThatWasSplitOffIsNotLostWithTheLedger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, _ := w.chain()
	b := w.dayOf(capture.ReasonWindow, 2)
	w.seal(b, 0, 1, says(1, capture.Collected, "", 1), says(2, capture.Failed, "ErrorX", 0))
	w.close(b, 0, 1)
	splitting := source
	splitting.SplitFailedBatches = true
	if done, err := c.Finish(t.Context(), splitting, b); !done || err != nil {
		t.Fatalf("%v, %v", done, err)
	}
	_, sum := w.manifest(b)
	w, c = w.anew(c)
	_, err := c.Resume(t.Context(), source, strings.Repeat("c", 64))
	must(t, err)
	m := w.finish(c, b+"-2")
	if m.SplitOf != b || m.Status != capture.Abandoned || m.PreviousManifestSHA256 != sum || m.Sequence != 2 {
		t.Errorf("manifest %+v", m)
	}
}

func TestWithoutEvidenceNothingIsResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, _ := w.chain()
	until, err := c.Resume(t.Context(), source, strings.Repeat("c", 64))
	head, headErr := w.ledger.Head(t.Context(), source.Name)
	if err != nil || !until.IsZero() || headErr != nil || head.Exists() {
		t.Errorf("resumed from %v, %v; head %+v, %v", until, err, head, headErr)
	}
}

func TestAForkedChainIsNotResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, _ := w.chain()
	for n := 2; n <= 3; n++ {
		start := time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC)
		window := capture.Window{Start: start, End: start.AddDate(0, 0, 1)}
		m := pack.Manifest{Source: source.Name, Batch: capture.BatchID(window, 1), Start: window.Start, End: window.End, Reason: "window"}
		data, err := pack.LinkManifest(m, 1, "").Encode()
		must(t, err)
		must(t, w.evidence.PutOnce(t.Context(), pack.ManifestName(source.Name, m.Batch), data, ""))
	}
	if _, err := c.Resume(t.Context(), source, ""); err == nil || !strings.Contains(err.Error(), "two manifests have sequence 1") {
		t.Errorf("error %v", err)
	}
	if head, err := w.ledger.Head(t.Context(), source.Name); err != nil || head != (ledger.Row[ledger.Head]{}) {
		t.Errorf("head %+v, %v", head, err)
	}
}
