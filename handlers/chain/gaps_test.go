package chain

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
	"chainmail/handlers/settings"
)

// batchOf makes a batch of the 2nd of March with a snapshot of the custodians c1, c2 and so on, all in lane 0.
func (w *world) dayOf(reason string, custodians int) string {
	w.Helper()
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	b := ledger.Batch{Start: start, End: start.AddDate(0, 0, 1), N: 1, Reason: reason, ConfigSHA256: strings.Repeat("a", 64)}
	b.ID = capture.BatchID(b.Window(), 1)
	var all []capture.Custodian
	for n := range custodians {
		all = append(all, capture.Custodian{ID: fmt.Sprintf("c%d", n+1), Individual: capture.Individual{Identifier: fmt.Sprintf("p%d", n+1)}})
	}
	c, _ := w.chain()
	must(w.T, c.Snapshot(w.Context(), source.Name, &b, all))
	b.Enter(capture.Created, now.Add(-time.Hour), 0)
	row, err := w.ledger.Source(w.Context(), source.Name)
	must(w.T, err)
	must(w.T, w.ledger.CreateBatch(w.Context(), source.Name, row, b))
	return b.ID
}

// says is what a seal says of the n-th custodian.
func says(n int, s capture.CustodianStatus, reason string, captured int) pack.SealCustodian {
	k := custodian(n, s, reason, captured, captured, 0)
	k.Identifier = fmt.Sprintf("p%d", n)
	return k
}

// owed are the gaps in short.
func (w *world) owed() []string {
	w.Helper()
	rows, err := w.ledger.Gaps(w.Context(), source.Name)
	must(w.T, err)
	var all []string
	for _, r := range rows {
		all = append(all, r.Value.Custodian+" "+r.Value.Reason)
	}
	slices.Sort(all)
	return all
}

func TestWhoeverFailedIsSplitOff(t *testing.T) {
	t.Parallel()
	ok, failed, excluded := says(1, capture.Collected, "", 2), says(2, capture.Failed, "transient", 1), says(3, capture.Excluded, "NoMailbox", 0)
	failed.Found = 5
	none := says(2, capture.Failed, "transient", 0)
	denied := says(1, capture.Collected, "", 2)
	denied.Coverage = []pack.Note{{Scope: pack.ScopeCalendars, Reason: "denied"}}
	for name, tt := range map[string]struct {
		split  bool
		reason string
		seals  []pack.SealCustodian
		status capture.BatchStatus
		off    bool // a batch was split off
		owed   []string
	}{
		"nobody":                         {true, "window", []pack.SealCustodian{ok}, capture.Completed, false, nil},
		"one of three":                   {true, "window", []pack.SealCustodian{ok, failed, excluded}, capture.Completed, true, []string{"c2 Abandoned", "c3 NoMailbox"}},
		"not where it is set off":        {false, "window", []pack.SealCustodian{ok, failed, excluded}, capture.CompletedWithErrors, false, []string{"c2 Abandoned", "c3 NoMailbox"}},
		"not when nothing would be left": {true, "window", []pack.SealCustodian{says(1, capture.Failed, "x", 0), none}, capture.Abandoned, false, []string{"c1 Abandoned", "c2 Abandoned"}},
		"nor when only pieces would":     {true, "window", []pack.SealCustodian{says(1, capture.Failed, "x", 1), none}, capture.CompletedWithErrors, false, []string{"c1 Abandoned", "c2 Abandoned"}},
		"calendars are owed":             {true, "window", []pack.SealCustodian{denied}, capture.Completed, false, []string{"c1 CalendarsDenied"}},
		"who shares a mailbox is not":    {true, "window", []pack.SealCustodian{ok, says(2, capture.Excluded, "Duplicate", 0)}, capture.Completed, false, nil},
		"a second look is owed again":    {true, "late", []pack.SealCustodian{ok, failed, excluded}, capture.Completed, true, []string{"c2 late"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := source
			s.SplitFailedBatches = tt.split
			id := w.dayOf(tt.reason, len(tt.seals))
			w.close(id, 0, 1)
			w.seal(id, 0, 1, tt.seals...)
			c, _ := w.chain()
			for range 2 {
				if done, err := c.Finish(t.Context(), s, id); !done || err != nil {
					t.Fatalf("Finish() = %v, %v", done, err)
				}
			}
			m := w.manifestOf(id)
			second := capture.BatchID(capture.Window{Start: m.Start, End: m.End}, 2)
			if m.Status != tt.status || (m.SplitInto == second) != tt.off {
				t.Errorf("%s, split into %q", m.Status, m.SplitInto)
			}
			if got := w.owed(); !slices.Equal(got, tt.owed) {
				t.Errorf("owed %q, want %q", got, tt.owed)
			}
			if tt.off {
				w.checkSplit(c, s, second, id)
			}
		})
	}
}

// manifestOf reads a published manifest.
func (w *world) manifestOf(batch string) pack.Manifest {
	w.Helper()
	data, err := w.evidence.Get(w.Context(), pack.ManifestName(source.Name, batch))
	must(w.T, err)
	m, err := pack.ParseManifest(data)
	must(w.T, err)
	return m
}

// checkSplit publishes the batch that was split off, and holds it against the rule: it is abandoned, names whom it holds, and
// opens no gap beside theirs.
func (w *world) checkSplit(c *Chain, s settings.Source, batch, of string) {
	w.Helper()
	before := w.owed()
	if done, err := c.Finish(w.Context(), s, batch); !done || err != nil {
		w.Fatalf("Finish() = %v, %v", done, err)
	}
	m := w.manifestOf(batch)
	named := slices.ContainsFunc(m.Coverage, func(v pack.Coverage) bool {
		return v.Custodian == "c2" && v.Scope == "mailbox" && v.Reason == "abandoned: failed in "+of
	})
	if m.Status != capture.Abandoned || m.SplitOf != of || len(m.Seals) != 0 || !named || m.Sequence != 2 {
		w.Errorf("split off: %+v", m)
	}
	if after := w.owed(); !slices.Equal(before, after) {
		w.Errorf("owed %q, and %q after the split batch", before, after)
	}
}

func TestAGapThatNoBatchLeftIsNamedByTheNextManifest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	start := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	_, err := w.ledger.PutGap(t.Context(), source.Name, ledger.Gap{
		Person: "p9", Custodian: "c9", Start: start, End: start.Add(time.Hour), Reason: capture.ReasonJoined, Opened: now,
	})
	must(t, err)
	id := w.dayOf("window", 1)
	w.close(id, 0, 1)
	w.seal(id, 0, 1, says(1, capture.Collected, "", 1))
	c, _ := w.chain()
	m := w.finish(c, id)
	want := pack.Coverage{Custodian: "c9", Scope: "gap", Reason: "open: 2026-02-01T00:00:00Z to 2026-02-01T01:00:00Z: Joined"}
	if !slices.Contains(m.Coverage, want) {
		t.Errorf("coverage %+v", m.Coverage)
	}
}

func TestASupplementClosesTheGapsThatItCarries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.dayOf("window", 2)
	w.close(id, 0, 1)
	w.seal(id, 0, 1, says(1, capture.Failed, "x", 0), says(2, capture.Failed, "x", 0))
	c, _ := w.chain()
	w.finish(c, id)
	gaps, err := w.ledger.Gaps(t.Context(), source.Name)
	must(t, err)
	b := ledger.Batch{Start: gaps[0].Value.Start, End: gaps[0].Value.End, N: 2, Reason: capture.ReasonAbandoned, Gaps: 2, ConfigSHA256: strings.Repeat("a", 64)}
	b.ID = capture.BatchID(b.Window(), 2)
	must(t, c.Snapshot(t.Context(), source.Name, &b, []capture.Custodian{
		{ID: "c1", Individual: capture.Individual{Identifier: "p1"}}, {ID: "c2", Individual: capture.Individual{Identifier: "p2"}},
	}))
	b.Enter(capture.Created, now, 0)
	row, err := w.ledger.Source(t.Context(), source.Name)
	must(t, err)
	must(t, w.ledger.CreateSupplement(t.Context(), source.Name, row, b, gaps))
	w.close(b.ID, 0, 1)
	w.seal(b.ID, 0, 1, says(1, capture.Collected, "", 3), says(2, capture.Excluded, "NoMailbox", 0))
	if done, err := c.Finish(t.Context(), source, b.ID); !done || err != nil {
		t.Fatalf("Finish() = %v, %v", done, err)
	}
	if got := w.owed(); !slices.Equal(got, []string{"c2 NoMailbox"}) {
		t.Errorf("owed %q", got)
	}
	for message, want := range map[string]int{"gap opened": 3, "gap closed": 1} {
		if n := strings.Count(w.log.String(), `"msg":"`+message+`"`); n != want {
			t.Errorf("%s is logged %d times, want %d", message, n, want)
		}
	}
}

func TestWhatAPersonClosesStandsInTheNextManifestOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := capture.Exception{Custodian: "c1", Item: capture.Item{GraphID: "AAkA1"}, Batch: "20260201000000UTC-20260202000000UTC", Stage: "fetch", Code: "x", Attempts: 1, FirstSeen: now, LastSeen: now}
	must(t, w.ledger.PutExceptions(t.Context(), source.Name, 0, []capture.Exception{x}, func(capture.Exception) bool { return true }))
	must(t, w.ledger.CloseExceptions(t.Context(), source.Name, []ledger.Closing{{Custodian: "c1", Item: x.Item.Key(), How: "seen on paper", At: now}}))
	c, _ := w.chain()
	first := w.batch(2, 0)
	want := []pack.Closed{{Batch: x.Batch, Item: x.Item.Key(), How: "seen on paper"}}
	if m := w.finish(c, first); !slices.Equal(m.Closed, want) {
		t.Errorf("closed %+v, want %+v", m.Closed, want)
	}
	second := w.batch(3, 0)
	if m := w.finish(c, second); len(m.Closed) != 0 {
		t.Errorf("the next manifest closes %+v", m.Closed)
	}
}
