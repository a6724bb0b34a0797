package plan

import (
	"testing"
	"time"

	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"
)

func TestWhereACollectionBegins(t *testing.T) {
	t.Parallel()
	now, start := at(t, "2026-03-10T12:00:00Z"), at(t, "2026-03-02T00:00:00Z")
	earlier, later := start.Add(-time.Hour), start.Add(48*time.Hour)
	tests := []struct {
		name      string
		container string // of the row before
		start     time.Time
		until     time.Time // when the evidence is whole to
		want      time.Time
	}{
		{"at the start date", "", start, time.Time{}, start},
		{"without one now", "", time.Time{}, time.Time{}, now},
		{"where older evidence ends", "", start, later, later},
		{"where older evidence ends, without a start date", "", time.Time{}, later, later},
		{"at a start date that lies behind the evidence", "", start, earlier, start},
		{"at the start date after a reset", "evidence", start, later, start},
	}
	for _, test := range tests {
		row := ledger.Source{Container: test.container}
		enable(&row, settings.Source{StartDate: test.start, Container: "evidence"}, test.until, now)
		if !row.State.Equal(test.want) || !row.Begin.Equal(test.want) || !row.EnabledAt.Equal(now) || row.Container != "evidence" {
			t.Errorf("%s: %+v, want the state %v", test.name, row, test.want)
		}
	}
}

// Evidence is looked for when a source is enabled first, and never again: it costs a listing of all that there is.
func TestEvidenceIsLookedForOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(map[string]any{"endDate": "2026-03-03T00:00:00Z"})
	w.monitor(testSource, person("a", 0))
	listed := func() (n int) {
		for _, op := range w.proxy.Ops() {
			if op.Verb == "List Blobs" {
				n++
			}
		}
		return n
	}
	w.tick()
	first := listed()
	must(t, w.ledger.Reset(t.Context(), testSource, w.now))
	must(t, w.ledger.Enable(t.Context(), testSource, w.now))
	made := len(w.batches(testSource))
	w.tick()
	if again := listed() - first; first < 2 || again != len(w.batches(testSource))-made {
		t.Errorf("%d listings at first; then %d for %d batches", first, again, len(w.batches(testSource))-made)
	}
}
