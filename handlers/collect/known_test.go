package collect

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
)

// told is what the evidence has of one batch.
type told struct {
	manifest  pack.Manifest
	items     []pack.ItemRow
	deletions []pack.DeletionRow
	notes     []string
}

func (w *world) told(batch string) told {
	w.Helper()
	e := w.files()
	folder := pack.Folder(testSource, batch)
	m, err := pack.ParseManifest(e.files[folder+pack.ManifestFile])
	must(w.T, err)
	r := told{manifest: m}
	for _, s := range m.Seals {
		seal, err := pack.ParseSeal(e.files[folder+s.Name])
		must(w.T, err)
		rows, err := pack.DecodeItems(e.files[seal.Name().Items()])
		must(w.T, err)
		for _, row := range rows {
			if row.Parent == "" {
				r.items = append(r.items, row)
			}
		}
		gone, err := pack.DecodeDeletions(e.files[seal.Name().Deletions()])
		must(w.T, err)
		r.deletions = append(r.deletions, gone...)
		for _, k := range seal.Custodians {
			for _, n := range k.Coverage {
				r.notes = append(r.notes, n.Scope+": "+n.Reason)
			}
		}
	}
	return r
}

// counts is a batch in short.
func (r told) counts() string {
	t := r.manifest.Totals
	return fmt.Sprintf("%s: %d found, %d captured, %d excepted, %d unchanged, %d recovered", r.manifest.Status, t.Found, t.Captured, t.Excepted, t.Unchanged, t.Recovered)
}

// run makes a batch and has it collected and published.
func (w *world) run(reason string, period capture.Window, custodians ...capture.Custodian) told {
	w.Helper()
	id := w.batchFor(reason, period, custodians...)
	w.settle(w.collector(nil), pause)
	return w.told(id)
}

func TestASupplementCapturesWhatIsMissing(t *testing.T) {
	t.Parallel()
	tenant := newTenant(2)
	ada, bo := tenant.Users[0], tenant.Users[1]
	put(ada, "Inbox", 1, 3)
	put(bo, "Inbox", 1, 2)
	w := newWorld(t, tenant, nil)
	w.run(capture.ReasonWindow, day(), custodianOf(ada, 0))
	var late []*graphtest.Message
	var copied *graphtest.Message
	w.graph.Mutate(func(*graphtest.Tenant) {
		late = put(ada, "Sent Items", 100, 2)
		copied = put(ada, "Inbox", 200, 1)[0]
		first := ada.Folder("Inbox").Messages[0]
		copied.InternetMessageID, copied.Received = first.InternetMessageID, first.Received
	})
	r := w.run(capture.ReasonJoined, day(), custodianOf(ada, 0), custodianOf(bo, 0))
	if got := r.counts(); got != "Completed: 8 found, 4 captured, 0 excepted, 4 unchanged, 0 recovered" {
		t.Error(got)
	}
	want := map[string]bool{late[0].ImmutableID: true, late[1].ImmutableID: true}
	for _, m := range bo.Folder("Inbox").Messages {
		want[m.ImmutableID] = true
	}
	got := map[string]bool{}
	for _, row := range r.items {
		got[row.GraphID] = true
	}
	if !maps.Equal(got, want) {
		t.Errorf("captured %v, want %v", got, want)
	}
	if !slices.ContainsFunc(r.notes, func(n string) bool { return strings.HasPrefix(n, "copies: not captured again: 1 ") }) {
		t.Errorf("the copy is not told of: %q", r.notes)
	}
	if r := w.run(capture.ReasonRequested, day(), custodianOf(ada, 0), custodianOf(bo, 0)); len(r.items) != 0 || r.manifest.Totals.Unchanged != 8 {
		t.Errorf("once more: %s", r.counts())
	}
}

func TestASecondLookFindsWhatWasDeletedSince(t *testing.T) {
	t.Parallel()
	tenant := newTenant(1)
	u := tenant.Users[0]
	mails := put(u, "Inbox", 1, 6)
	w := newWorld(t, tenant, nil)
	w.run(capture.ReasonWindow, day(), custodianOf(u, 0))
	captured := w.clock.Now()
	w.graph.Mutate(func(*graphtest.Tenant) {
		must(t, u.Move(mails[1].ImmutableID, "Deleted Items"))
		must(t, u.Move(mails[2].ImmutableID, "Recoverable Items/Deletions"))
		must(t, u.Move(mails[3].ImmutableID, "Recoverable Items/Purges"))
		must(t, u.Remove(mails[4].ImmutableID))
		must(t, u.Move(mails[5].ImmutableID, "Sent Items"))
	})
	r := w.run(capture.ReasonLate, day(), custodianOf(u, 0))
	got := map[string]string{}
	for _, d := range r.deletions {
		got[d.GraphID] = fmt.Sprint(d.From, " ", d.To)
		if d.Batch != capture.BatchID(day(), 1) || d.SeenAfter.After(captured) || d.SeenBy.Before(captured.Add(-pause)) || d.Folder != "Inbox" {
			t.Errorf("deletion %+v", d)
		}
	}
	want := map[string]string{
		mails[1].ImmutableID: "active deleted", mails[2].ImmutableID: "active recoverable",
		mails[3].ImmutableID: "active purged", mails[4].ImmutableID: "active gone",
	}
	if !maps.Equal(got, want) {
		t.Errorf("deletions %v, want %v", got, want)
	}
	if got := r.counts(); got != "Completed: 5 found, 0 captured, 0 excepted, 5 unchanged, 0 recovered" {
		t.Error(got)
	}
	if r.manifest.LookedAtUntil.Before(captured.Add(-pause)) {
		t.Errorf("looked at until %v", r.manifest.LookedAtUntil)
	}
	w.graph.Mutate(func(*graphtest.Tenant) { must(t, u.Move(mails[2].ImmutableID, "Recoverable Items/Purges")) })
	again := w.run(capture.ReasonLate, day(), custodianOf(u, 0)) // tells what is new alone
	if len(again.deletions) != 1 || again.deletions[0].From != capture.Recoverable || again.deletions[0].To != capture.Purged {
		t.Errorf("the next look tells of %+v", again.deletions)
	}
}

// nextDay is the day after the tests' own.
func nextDay() capture.Window {
	return capture.Window{Start: day().End, End: day().End.Add(24 * time.Hour)}
}

func TestWhatCouldNotBeHadIsFetchedAgain(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		heal   func(u *graphtest.User, m *graphtest.Message)
		counts string
		how    string
		code   string // of the exception that stays open
	}{
		"and captured": {func(_ *graphtest.User, m *graphtest.Message) { m.MIME = nil },
			"Completed: 1 found, 1 captured, 0 excepted, 0 unchanged, 1 recovered", "Captured", ""},
		"and gone": {func(u *graphtest.User, m *graphtest.Message) { _ = u.Remove(m.ImmutableID) },
			"Completed: 1 found, 1 captured, 0 excepted, 0 unchanged, 0 recovered", "Vanished", ""},
		"and in vain": {func(*graphtest.User, *graphtest.Message) {},
			"Completed: 1 found, 1 captured, 0 excepted, 0 unchanged, 0 recovered", "", "ErrorMimeContentConversionFailed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant := newTenant(1)
			u := tenant.Users[0]
			bad := put(u, "Inbox", 1, 2)[1]
			raw := bad.Raw
			put(u, "Inbox", 24*60+5, 1)
			bad.MIME = func(uint64) (io.ReadCloser, error) { return nil, errors.New("corrupt") }
			bad.ListFault, bad.ListFaultAbove = "", 0
			w := newWorld(t, tenant, nil)
			first := w.run(capture.ReasonWindow, day(), custodianOf(u, 0))
			w.graph.Mutate(func(*graphtest.Tenant) { bad.Raw = raw; tt.heal(u, bad) })
			w.clock.Advance(time.Hour)
			r := w.run(capture.ReasonWindow, nextDay(), custodianOf(u, 0))
			if got := r.counts(); got != tt.counts || first.manifest.Totals.Excepted != 1 {
				t.Errorf("%s; first %s", got, first.counts())
			}
			how := ""
			for _, c := range r.manifest.Closed {
				if c.Batch != first.manifest.Batch || c.Item != capture.ItemKey(bad.ImmutableID) {
					t.Errorf("closed %+v", c)
				}
				how += c.How
			}
			if how != tt.how {
				t.Errorf("closed as %q, want %q", how, tt.how)
			}
			for _, row := range r.items {
				if recovered := row.GraphID == bad.ImmutableID; (row.For == first.manifest.Batch) != recovered {
					t.Errorf("item %s is for %q", row.Item, row.For)
				}
			}
			open, err := w.ledger.Exceptions(t.Context(), testSource)
			must(t, err)
			if (len(open) == 1) != (tt.code != "") || len(open) == 1 && (open[0].Attempts != 2 || open[0].Code != tt.code) {
				t.Errorf("open exceptions %+v", open)
			}
			if all, err := w.ledger.LaneExceptions(t.Context(), testSource, 0); err != nil || len(all) != 1 || all[0].Closed != tt.how {
				t.Errorf("exceptions %+v, %v", all, err)
			}
			// A supplement of its day does not capture it again.
			if again := w.run(capture.ReasonJoined, day(), custodianOf(u, 0)); len(again.items) != 0 {
				t.Errorf("a supplement: %s", again.counts())
			}
		})
	}
}

func TestWhatKilledTheProcessIsNotFetchedAgainByItself(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{codeCrashed: false, codePanic: true, codeTooLarge: true, "ErrorMimeContentConversionFailed": true} {
		if got := fetchedAgain(capture.Exception{Code: code, Item: capture.Item{GraphID: "AAkA"}}); got != want {
			t.Errorf("fetchedAgain(%s) = %v", code, got)
		}
	}
	if fetchedAgain(capture.Exception{Code: "x", Item: capture.Item{GraphID: unlistedName + "f 1"}}) {
		t.Error("what has no id would be fetched")
	}
}

func TestWhatCouldNotBeListedIsListedAgain(t *testing.T) {
	t.Parallel()
	tenant := newTenant(1)
	u := tenant.Users[0]
	bad := put(u, "Inbox", 1, 3)[1]
	bad.ListFault = graphtest.ListFault("500")
	w := newWorld(t, tenant, nil)
	first := w.run(capture.ReasonWindow, day(), custodianOf(u, 0))
	if first.manifest.Totals.Excepted != 1 {
		t.Fatal(first.counts())
	}
	gaps, err := w.ledger.Gaps(t.Context(), testSource)
	must(t, err)
	if len(gaps) != 1 || gaps[0].Value.Reason != capture.ReasonUnlisted {
		t.Fatalf("gaps %+v", gaps)
	}
	w.graph.Mutate(func(*graphtest.Tenant) { bad.ListFault = "" })
	r := w.run(capture.ReasonUnlisted, day(), custodianOf(u, 0))
	if got := r.counts(); got != "Completed: 3 found, 1 captured, 0 excepted, 2 unchanged, 0 recovered" {
		t.Error(got)
	}
	if len(r.manifest.Closed) != 1 || r.manifest.Closed[0].How != "Listed" || r.manifest.Closed[0].Batch != first.manifest.Batch {
		t.Errorf("closed %+v", r.manifest.Closed)
	}
}

// recalled is a world with an exception of the first day, and a batch of the second that would capture it.
func recalled(t *testing.T) (w *world, bad string) {
	t.Helper()
	tenant := newTenant(1)
	u := tenant.Users[0]
	m := put(u, "Inbox", 1, 2)[1]
	m.MIME = func(uint64) (io.ReadCloser, error) { return nil, errors.New("corrupt") }
	put(u, "Inbox", 24*60+5, 1)
	w = newWorld(t, tenant, nil)
	w.run(capture.ReasonWindow, day(), custodianOf(u, 0))
	w.graph.Mutate(func(*graphtest.Tenant) { m.MIME = nil })
	w.clock.Advance(time.Hour)
	w.batchOf(nextDay(), custodianOf(u, 0))
	return w, m.ImmutableID
}

func TestARecoveryCutAtAnyWriteHappensOnce(t *testing.T) {
	t.Parallel()
	w, _ := recalled(t)
	proxy := w.account.Proxy(t)
	w.drain(w.collector(proxy), w.first())
	for n := 1; n <= proxy.Writes(); n++ {
		t.Run(fmt.Sprint("write ", n), func(t *testing.T) {
			t.Parallel()
			w, bad := recalled(t)
			w.cutRun(n, true)
			w.clock.Advance(pause)
			w.settle(w.collector(nil), pause)
			r := w.told(capture.BatchID(nextDay(), 1))
			times := 0
			for _, row := range r.items {
				if row.GraphID == bad {
					times++
				}
			}
			if len(r.manifest.Closed) != 1 || times != 1 || r.manifest.Totals.Recovered != 1 {
				t.Errorf("%s, captured %d times, closed %+v", r.counts(), times, r.manifest.Closed)
			}
			if open, err := w.ledger.Exceptions(t.Context(), testSource); err != nil || len(open) != 0 {
				t.Errorf("%d exceptions are open, %v", len(open), err)
			}
		})
	}
}

func TestARefusedApplicationIsTheSourcesTroubleAndCostsNoAttempts(t *testing.T) {
	t.Parallel()
	tenant := newTenant(12)
	for _, u := range tenant.Users {
		put(u, "Inbox", 1, 1)
		u.Problem = graphtest.ProblemTokenExpired
	}
	w := newWorld(t, tenant, nil)
	w.batch(w.custodians()...)
	c := w.collector(nil)
	w.drain(c, w.first())
	row, err := w.ledger.Source(t.Context(), testSource)
	must(t, err)
	if n := w.log.count("source refused"); n != 1 || row.Value.Trouble != "unauthorized" || w.log.count("custodian failed") != 0 {
		t.Errorf("said %d times, and of %d custodians; trouble %q", n, w.log.count("custodian failed"), row.Value.Trouble)
	}
	if c := w.chunk(0); c.Status != ledger.ChunkPendingRetry || c.Due.Sub(w.clock.Now()) > sourceWait {
		t.Errorf("the chunk is %s, due in %v", c.Status, c.Due.Sub(w.clock.Now()))
	}
	w.graph.Mutate(func(*graphtest.Tenant) {
		for _, u := range tenant.Users {
			u.Problem = ""
		}
	})
	w.settle(c, pause)
	w.checkOwed(w.read(), capture.Completed, nil)
}

func TestARefusalOfOneMailboxIsItsOwn(t *testing.T) {
	t.Parallel()
	tenant := newTenant(3)
	for _, u := range tenant.Users {
		put(u, "Inbox", 1, 1)
	}
	tenant.Users[1].Problem = graphtest.ProblemInsufficient
	w := newWorld(t, tenant, nil)
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), time.Hour)
	row, err := w.ledger.Source(t.Context(), testSource)
	must(t, err)
	if words := w.read().words(tenant.Users[1].ID); row.Value.Trouble != "" || !slices.Contains(words, "Failed unauthorized") {
		t.Errorf("trouble %q, the mailbox is %q", row.Value.Trouble, words)
	}
}

func TestAnOutageCostsNoAttempts(t *testing.T) {
	t.Parallel()
	tenant := newTenant(2)
	for _, u := range tenant.Users {
		put(u, "Inbox", 1, 2)
	}
	w := newWorld(t, tenant, nil)
	over := w.clock.Now().Add(6 * time.Hour)
	w.graph.Fault(func(graphtest.Request) bool { return w.clock.Now().Before(over) }, 0, graphtest.Fault{Status: 503, Code: "ServiceUnavailable"})
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), pause)
	w.checkOwed(w.read(), capture.Completed, nil)
	if took := w.clock.Now().Sub(over); took > time.Hour || w.log.count("custodian failed") != 0 {
		t.Errorf("collected %v after the outage, with %d failures", took, w.log.count("custodian failed"))
	}
}

func TestACloudThatTakesNoFilterOnCreationIsToldOf(t *testing.T) {
	t.Parallel()
	tenant := newTenant(1)
	u := tenant.Users[0]
	put(u, "Inbox", 1, 2)
	w := newWorld(t, tenant, nil)
	must(t, w.ledger.UpdateSource(t.Context(), testSource, func(s *ledger.Source) bool { s.Begin = day().Start.AddDate(0, -1, 0); return true }))
	w.graph.Fault(func(r graphtest.Request) bool {
		return strings.Contains(r.Query, "createdDateTime+ge") || strings.Contains(r.Query, "createdDateTime%20ge")
	}, 0,
		graphtest.Fault{Status: 400, Code: "ErrorInvalidUrlQueryFilter"})
	r := w.run(capture.ReasonLate, day(), custodianOf(u, 0))
	if got := r.counts(); got != "Completed: 2 found, 2 captured, 0 excepted, 0 unchanged, 0 recovered" {
		t.Error(got)
	}
	if want := "imports: not looked for: Microsoft Graph refuses a filter on createdDateTime here"; !slices.Contains(r.notes, want) {
		t.Errorf("notes %q", r.notes)
	}
}
