package chain

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/pack"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault/storagetest"
)

func TestAManifestTellsTheWholeBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	batch := w.batch(2, 5, 0, 2)
	// In lane 2, parts 1 and 3 of three are burnt; a part has none of the numbers that come after ten before them.
	var seals []pack.FileSum
	seals = append(seals, w.seal(batch, 0, 1, custodian(1, capture.Collecting, "", 7, 3, 0), custodian(2, capture.Excluded, "NoMailbox", 0, 0, 0)))
	seals = append(seals, w.seal(batch, 0, 2, custodian(1, capture.Collected, "", 0, 3, 1), custodian(3, capture.Failed, "transient", 0, 0, 0)))
	for part := 3; part <= 11; part++ {
		seals = append(seals, w.seal(batch, 0, part, custodian(3, capture.Failed, "transient", 0, 0, 0)))
	}
	seals = append(seals, w.seal(batch, 0, 12, custodian(3, capture.Collected, "", 2, 2, 0)))
	seals = append(seals, w.seal(batch, 2, 2, custodian(4, capture.Collected, "", 0, 0, 0), custodian(5, capture.Failed, "OutOfTime", 9, 4, 0)))
	w.close(batch, 0, 12)
	w.close(batch, 2, 3, 1, 3)
	c, _ := w.chain()
	got := w.finish(c, batch)

	slices.SortFunc(seals, func(a, b pack.FileSum) int { return strings.Compare(a.Name, b.Name) })
	if !slices.Equal(got.Seals, seals) {
		t.Errorf("seals %v, want %v", got.Seals, seals)
	}
	want := pack.Totals{Custodians: 5, Found: 18, Captured: 12, Excepted: 1, Excluded: 1, Bytes: 400, Documents: 12}
	want.Synthesised, want.Texts = 5, pack.TextCounts{Extracted: 8, Protected: 4}
	if got.Totals != want {
		t.Errorf("totals %+v, want %+v", got.Totals, want)
	}
	const protected = "documents: 4; a password or encryption keeps them shut"
	if !slices.Contains(got.Coverage, pack.Coverage{Scope: "text: Protected", Reason: protected}) {
		t.Errorf("coverage %v does not say that documents are protected", got.Coverage)
	}
	var mailboxes []string
	for _, k := range got.Coverage {
		if k.Custodian != "" {
			mailboxes = append(mailboxes, k.Custodian+" "+k.Scope+" "+k.Reason)
		}
	}
	if want := []string{"c2 mailbox NoMailbox", "c5 mailbox failed: OutOfTime"}; !slices.Equal(mailboxes, want) {
		t.Errorf("coverage of mailboxes %v, want %v", mailboxes, want)
	}
	statuses := []pack.StatusAt{
		{Status: capture.Created, At: now.Add(-time.Hour)}, {Status: capture.CompletedWithErrors, At: now, Documents: 12},
	}
	if !slices.Equal(got.Statuses, statuses) || got.Status != capture.CompletedWithErrors {
		t.Errorf("status %s after %v, want %v", got.Status, got.Statuses, statuses)
	}
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	if got.App != c.App || got.Source != "mail" || got.Batch != batch || got.Start != start || got.End != start.AddDate(0, 0, 1) ||
		got.Reason != "window" || got.ConfigSHA256 != strings.Repeat("a", 64) || got.Sequence != 1 || got.PreviousManifestSHA256 != "" {
		t.Errorf("the manifest is %+v", got)
	}
	if n := strings.Count(w.log.String(), `"msg":"batch sealed"`); n != 1 || !strings.Contains(w.log.String(), `"sequence":1,"manifestSha256":"`) {
		t.Errorf("the seal is logged %d times", n)
	}
}

func TestABatchHasTheStatusOfItsWorstCustodian(t *testing.T) {
	t.Parallel()
	type k = pack.SealCustodian
	unchanged := custodian(1, capture.Collected, "", 3, 1, 0)
	unchanged.Unchanged = 2
	for name, tt := range map[string]struct {
		custodians int
		parts      [][]k
		status     capture.BatchStatus
		failed     []string // of the coverage
	}{
		"nobody":       {0, [][]k{{}}, capture.Completed, nil},
		"nothing":      {1, [][]k{{custodian(1, capture.Collected, "", 0, 0, 0)}}, capture.Completed, nil},
		"all captured": {1, [][]k{{custodian(1, capture.Collected, "", 2, 2, 0)}}, capture.Completed, nil},
		"unchanged":    {1, [][]k{{unchanged}}, capture.Completed, nil},
		"excepted":     {1, [][]k{{custodian(1, capture.Collected, "", 2, 1, 1)}}, capture.CompletedWithDocumentLevelErrors, nil},
		"excluded":     {1, [][]k{{custodian(1, capture.Excluded, "Duplicate", 0, 0, 0)}}, capture.Completed, nil},
		"failed": {
			2, [][]k{{custodian(1, capture.Failed, "x", 0, 0, 0), custodian(2, capture.Collected, "", 2, 1, 1)}}, capture.CompletedWithErrors,
			[]string{"c1 mailbox failed: x"},
		},
		"failed, then collected": {
			1, [][]k{{custodian(1, capture.Failed, "x", 3, 0, 0)}, {custodian(1, capture.Collected, "", 0, 3, 0)}}, capture.Completed, nil,
		},
		"half collected, and no word after": {
			1, [][]k{{custodian(1, capture.Collecting, "", 3, 1, 0)}}, capture.CompletedWithErrors, []string{"c1 mailbox failed: "},
		},
		"more found than closed": {
			1, [][]k{{custodian(1, capture.Collected, "", 3, 1, 1)}}, capture.CompletedWithErrors,
			[]string{"c1 mailbox failed: 3 found, 2 captured, excepted or unchanged"},
		},
		"nobody speaks of one": {
			2, [][]k{{custodian(1, capture.Collected, "", 0, 0, 0)}}, capture.CompletedWithErrors, []string{" custodians failed: the seals name 1 of 2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			batch := w.batch(2, tt.custodians, 0)
			for i, part := range tt.parts {
				w.seal(batch, 0, i+1, part...)
			}
			w.close(batch, 0, len(tt.parts))
			c, _ := w.chain()
			m := w.finish(c, batch)
			var failed []string
			for _, k := range m.Coverage {
				if strings.HasPrefix(k.Reason, "failed") {
					failed = append(failed, k.Custodian+" "+k.Scope+" "+k.Reason)
				}
			}
			if m.Status != tt.status || !slices.Equal(failed, tt.failed) {
				t.Errorf("status %s with %q, want %s with %q", m.Status, failed, tt.status, tt.failed)
			}
		})
	}
}

func TestABatchWithoutLanesIsSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	batch := w.batch(2, 0)
	c, _ := w.chain()
	if m := w.finish(c, batch); m.Status != capture.Completed || m.Seals == nil || len(m.Seals) != 0 || m.Totals != (pack.Totals{}) {
		t.Errorf("the manifest is %+v", m)
	}
	w.checkChain(batch)
}

func TestABatchIsNotSealedBeforeItsLastChunkIsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	batch := w.batch(2, 2, 0, 1)
	w.seal(batch, 0, 1, custodian(1, capture.Collected, "", 0, 0, 0))
	w.close(batch, 0, 1)
	c, proxy := w.chain()
	done, err := c.Finish(t.Context(), source, batch)
	if done || err != nil || proxy.Writes() != 0 {
		t.Errorf("Finish() = %v, %v after %d writes, want nothing", done, err, proxy.Writes())
	}
	if done, err := c.Finish(t.Context(), source, "20200101000000UTC-20200102000000UTC"); done || w.log.Error(err) == nil {
		t.Errorf("Finish() of an unknown batch = %v, %v, want an error", done, err)
	}
}

// one makes a batch that is ready to be sealed.
func (w *world) one(day int) string {
	w.Helper()
	batch := w.batch(day, 1, 0)
	w.seal(batch, 0, 1, custodian(1, capture.Collected, "", day, day, 0))
	w.close(batch, 0, 1)
	return batch
}

func TestFinishingTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	batch := w.one(2)
	c, _ := w.chain()
	w.finish(c, batch)
	before := w.names(t.Context())
	again, proxy := w.chain()
	w.finish(again, batch)
	if n := proxy.Writes(); n != 0 || !maps.Equal(w.names(t.Context()), before) {
		t.Errorf("%d writes to a published batch", n)
	}
	for name := range pack.FormatFiles() {
		if before[name] == 0 {
			t.Errorf("the evidence does not hold %s", name)
		}
	}
	w.checkChain(batch)
}

func TestRivalsKeepTheChainUnbroken(t *testing.T) {
	t.Parallel()
	for range 2 {
		w := newWorld(t)
		batches := []string{w.one(2), w.one(3), w.one(4)}
		var rivals sync.WaitGroup
		for n := range 6 { // two for each batch
			c, _ := w.chain()
			rivals.Go(func() {
				done, err := c.Finish(t.Context(), source, batches[n%3])
				if !done || err != nil {
					t.Errorf("Finish() = %v, %v", done, err)
				}
			})
		}
		rivals.Wait()
		w.checkChain(batches...)
		if n := strings.Count(w.log.String(), `"msg":"batch sealed"`); n < 3 {
			t.Errorf("%d seals are logged, want one a batch", n)
		}
	}
}

// TestAFinishCutAtAnyWriteIsMadeGood lets Finish die at each of its writes, before it reaches the storage or after, and
// another batch take its place in the chain meanwhile.
func TestAFinishCutAtAnyWriteIsMadeGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, proxy := w.chain()
	w.finish(c, w.one(2))
	writes := proxy.Writes()
	if writes < 8 {
		t.Fatalf("%d writes: the test would prove little", writes)
	}
	for n := 1; n <= writes; n++ {
		for _, when := range []string{"before", "after"} {
			t.Run(fmt.Sprint(when, " write ", n), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				batch, other := w.one(2), w.one(3)
				w.cut(batch, n, when == "after")
				fresh, _ := w.chain()
				w.finish(fresh, other)
				w.finish(fresh, batch)
				w.checkChain(batch, other)
				if n := strings.Count(w.log.String(), `"batch":"`+batch); n == 0 {
					t.Error("the log does not tell of the sealed batch")
				}
			})
		}
	}
}

// cut runs a Finish that dies at its n-th write.
func (w *world) cut(batch string, n int, after bool) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	var dead atomic.Bool
	var writes atomic.Int32
	die := func() { dead.Store(true); cancel() }
	c, proxy := w.chain()
	proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		switch {
		case dead.Load():
			return storagetest.Before(nil)
		case !op.Write || int(writes.Add(1)) != n:
			return storagetest.Pass
		case after:
			return storagetest.After(die)
		}
		return storagetest.Before(die)
	})
	_, err := c.Finish(ctx, source, batch)
	if err == nil {
		w.Fatalf("Finish() = nil after %d writes: it was not cut", writes.Load())
	}
	_ = w.log.Error(err)
}

// TestWhatIsNotAsTheChainNamesItIsNotPublished spoils what Finish reads.
func TestWhatIsNotAsTheChainNamesItIsNotPublished(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		cut   int // the write that Finish dies after, before things are spoilt
		spoil func(w *world, batch string)
	}{
		"the linked manifest": {2, func(w *world, batch string) {
			b, err := w.ledger.Batch(w.Context(), source.Name, batch)
			must(w.T, err)
			if b.Value.Manifest == "" {
				w.Fatal("the manifest is not linked")
			}
			must(w.T, w.state.Put(w.Context(), b.Value.Manifest, []byte("{}")))
		}},
		"a seal that is gone": {0, func(w *world, batch string) {
			must(w.T, w.evidence.Delete(w.Context(), pack.Name{Source: source.Name, Batch: batch, Part: 1}.Seal()))
		}},
		"another part's seal": {0, func(w *world, batch string) {
			w.seal(batch, 0, 2)
			n := pack.Name{Source: source.Name, Batch: batch, Part: 2}
			data, err := w.evidence.Get(w.Context(), n.Seal())
			must(w.T, err)
			n.Part = 1
			must(w.T, w.evidence.Put(w.Context(), n.Seal(), data))
		}},
		"a damaged seal": {0, func(w *world, batch string) {
			must(w.T, w.evidence.Put(w.Context(), pack.Name{Source: source.Name, Batch: batch, Part: 1}.Seal(), []byte(graphtest.Canary+"@contoso.example")))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			batch := w.one(2)
			if tt.cut > 0 {
				w.cut(batch, tt.cut, true)
			}
			tt.spoil(w, batch)
			c, _ := w.chain()
			done, err := c.Finish(t.Context(), source, batch)
			if done || err == nil {
				t.Fatalf("Finish() = %v, %v, want an error", done, err)
			}
			_ = w.log.Error(err)
			if _, published := w.names(t.Context())[pack.ManifestName(source.Name, batch)]; published {
				t.Error("a manifest is published")
			}
		})
	}
}

func TestTheCoverageSaysWhatIsNotCollected(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		source settings.Source
		with   []string
		not    []string
	}{
		"email":             {settings.Source{CollectEmail: true}, []string{"drafts", "calendars"}, []string{"email", "events: deleted"}},
		"email with drafts": {settings.Source{CollectEmail: true, Drafts: true}, []string{"calendars"}, []string{"drafts", "email"}},
		"calendars": {settings.Source{CollectCalendar: true},
			[]string{"email", "calendars of others", "events: attendees", "events: earlier versions", "events: deleted"}, []string{"calendars"}},
		"email and calendars": {settings.Source{CollectEmail: true, CollectCalendar: true}, []string{"events: deleted"}, []string{"email", "calendars"}},
	} {
		var scopes []string
		for _, k := range coverage(tt.source) {
			if k.Reason == "" || k.Custodian != "" {
				t.Errorf("%s: coverage %+v", name, k)
			}
			scopes = append(scopes, k.Scope)
		}
		for _, always := range append(tt.with, "archive mailboxes", "hidden folders", "search folders", "Teams chat copies") {
			if !slices.Contains(scopes, always) {
				t.Errorf("%s: the coverage does not speak of %s", name, always)
			}
		}
		for _, never := range tt.not {
			if slices.Contains(scopes, never) {
				t.Errorf("%s: the coverage speaks of %s", name, never)
			}
		}
	}
}

func TestTheCoverageSaysOnceWhatTheSealsSayOfACustodian(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	batch := w.batch(2, 1, 0)
	k := custodian(1, capture.Collecting, "", 2, 1, 0)
	k.Coverage = []pack.Note{{Scope: "calendars of others", Reason: "left out by rule: 2 are shared with the mailbox"}}
	w.seal(batch, 0, 1, k)
	k.Status, k.Found, k.Coverage = capture.Collected, 0, append(k.Coverage, pack.Note{Scope: "calendars", Reason: "denied"})
	w.seal(batch, 0, 2, k)
	w.close(batch, 0, 2)
	c, _ := w.chain()
	var got []pack.Coverage
	for _, x := range w.finish(c, batch).Coverage {
		if x.Custodian != "" {
			got = append(got, x)
		}
	}
	want := []pack.Coverage{
		{Custodian: "c1", Scope: "calendars", Reason: "denied"},
		{Custodian: "c1", Scope: "calendars of others", Reason: "left out by rule: 2 are shared with the mailbox"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("coverage %v, want %v", got, want)
	}
}
