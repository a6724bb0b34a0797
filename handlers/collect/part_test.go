package collect

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
	"chainmail/handlers/settings"
	"chainmail/handlers/spool"
	"chainmail/handlers/vault/storagetest"
)

func TestAPackageIsClosedAtItsLimits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		limits Limits
		want   []int // documents of the parts
	}{
		"none":    {Limits{}, []int{14}}, // an email, its attachment, and the text of each
		"entries": {Limits{Entries: 8}, []int{4, 4, 4, 2}},
		"odd":     {Limits{Entries: 9}, []int{6, 6, 2}},
		"bytes":   {Limits{Bytes: 1}, []int{2, 2, 2, 2, 2, 2, 2, 0}},
		"both":    {Limits{Entries: 12, Bytes: 1 << 20}, []int{6, 6, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant := newTenant(1)
			put(tenant.Users[0], "Inbox", 1, 7)
			w := newWorld(t, tenant, nil)
			w.limits = tt.limits
			w.batch(w.custodians()...)
			w.settle(w.collector(nil), pause)
			e := w.read()
			w.checkOwed(e, capture.Completed, nil)
			got := make([]int, len(e.seals))
			for _, s := range e.seals {
				got[s.Part-1] = s.Documents
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("parts of %v documents, want %v", got, tt.want)
			}
		})
	}
}

// taken is a run that has taken the only chunk and knows its custodians.
func (w *world) taken(c *Collector) *run {
	w.Helper()
	now := w.clock.Now()
	work, err := c.Ledger.Take(w.Context(), w.first(), "run-1", now, now.Add(time.Hour))
	must(w.T, err)
	r := &run{
		watch:     &watch{},
		Collector: c, ctx: w.Context(), log: w.logger(), batch: w.row(), work: &work, began: now,
		source: settings.Source{Name: testSource, Container: "evidence", ControlNumberPrefix: "TEST", RetryPolicy: []time.Duration{time.Minute}},
	}
	must(w.T, r.prepare(w.Context()))
	return r
}

// listed gives the run's first custodian that many items, and makes a family of each.
func (w *world) listed(r *run, items int) (*progress, []capture.Item, [][]pack.Document) {
	w.Helper()
	lease, err := r.Spool.Acquire(w.Context(), 1)
	must(w.T, err)
	w.Cleanup(lease.Release)
	p := r.custodians[0]
	found := map[string]*capture.Item{}
	var all []capture.Item
	var families [][]pack.Document
	for n := range items {
		m := mail(w.tenant.Users[0], n)
		it := capture.Item{GraphID: m.ImmutableID, Kind: capture.Email, Folder: "Inbox", State: capture.Active, Received: m.Received}
		native := lease.New()
		_, err := native.Write(m.Raw)
		must(w.T, err)
		family, err := r.family(w.Context(), lease, p.Custodian, it, native)
		must(w.T, err)
		found[it.Key()] = &it
		all, families = append(all, it), append(families, family)
	}
	r.listed(w.Context(), p, found, nil)
	return p, all, families
}

// TestAFaultOfAMailboxDoesNotBreakTheClosingOff holds that a part is closed whole while the mailbox whose item filled it
// fails: the context of its requests has ended then.
func TestAFaultOfAMailboxDoesNotBreakTheClosingOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newTenant(1), nil)
	w.limits = Limits{Entries: 2}
	w.batch(w.custodians()...)
	r := w.taken(w.collector(nil))
	p, items, families := w.listed(r, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, r.add(ctx, p, items[0], families[0], 1))
	if c := w.chunk(0); c.Part != 1 || c.Pending != "" || c.Documents != 1 || r.part != nil {
		t.Errorf("the part is not closed: part %d, pending %q", c.Part, c.Pending)
	}
}

func TestARunWhoseClosingFailedWritesNothingMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newTenant(1), nil)
	w.limits = Limits{Entries: 2}
	w.batch(w.custodians()...)
	proxy := w.account.Proxy(t)
	refuse := false
	proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		if refuse && op.Verb == "Put Block List" {
			return storagetest.Fail(403, "AuthorizationFailure")
		}
		return storagetest.Pass
	})
	r := w.taken(w.collector(proxy))
	p, items, families := w.listed(r, 3)
	must(t, r.add(t.Context(), p, items[0], families[0], 1))
	refuse = true
	first := r.add(t.Context(), p, items[1], families[1], 1)
	if first == nil {
		t.Fatal("add() = nil, want the storage's fault")
	}
	writes := proxy.Writes()
	for what, err := range map[string]error{
		"add":    r.add(t.Context(), p, items[2], families[2], 1),
		"except": r.except(t.Context(), p, items[2], stageFetch, "X"),
		"end":    r.end(),
	} {
		if !errors.Is(err, first) {
			t.Errorf("%s: %v, want the first fault", what, err)
		}
	}
	if n := proxy.Writes(); n != writes {
		t.Errorf("%d writes after the fault", n-writes)
	}
	if _, still := p.todo[items[2].Key()]; !still {
		t.Error("an item is done with that was not written")
	}
}

func TestAFamilyThatDoesNotFitGoesIntoTheNextPart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newTenant(1), nil)
	w.batch(w.custodians()...)
	proxy := w.account.Proxy(t)
	r := w.taken(w.collector(proxy))
	p, items, families := w.listed(r, 3)
	second, third := families[1][0].Native, families[2][0].Native
	size := second.Compressed
	const endless = 4 << 30 // no package has room for it
	second.Compressed, third.Compressed = endless, endless
	proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		if strings.HasSuffix(op.Name, "record.json") {
			second.Compressed = size // the next package has room
		}
		return storagetest.Pass
	})
	for n := range items {
		must(t, r.add(t.Context(), p, items[n], families[n], 1))
	}
	r.set(p, capture.Collected, "", time.Time{})
	must(t, r.end())
	for part, want := range map[int][3]int{1: {1, 1, 0}, 2: {1, 1, 0}, 3: {0, 0, 1}} {
		data, err := w.evidence.Get(t.Context(), pack.Name{Source: testSource, Batch: r.batch.ID, Part: part}.Seal())
		must(t, err)
		s, err := pack.ParseSeal(data)
		must(t, err)
		if got := [3]int{s.Documents, s.Custodians[0].Captured, s.Custodians[0].Excepted}; got != want || (s.Package == nil) != (part == 3) {
			t.Errorf("part %d: documents, captured and excepted %v, want %v", part, got, want)
		}
	}
	kept, err := w.ledger.Exceptions(t.Context(), testSource)
	must(t, err)
	if len(kept) != 1 || kept[0].Code != codeTooLarge || kept[0].Stage != stageWrite || kept[0].Item.GraphID != items[2].GraphID {
		t.Errorf("exceptions %v", kept)
	}
}

// TestALargeItemStreamsThrough is alone, since it looks at what the process has allocated.
func TestALargeItemStreamsThrough(t *testing.T) {
	const size = 60 << 20
	tenant := newTenant(1)
	u := tenant.Users[0]
	m := put(u, "Inbox", 1, 1)[0]
	m.Size = size
	random := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{1}).Read(random)
	for i, b := range random { // as base64 has it
		random[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[b&63]
		if i%77 == 76 {
			random[i] = '\n'
		}
	}
	head := "Subject: " + canarySubject + "\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee there\r\n--b\r\n" +
		"Content-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	m.MIME = func(uint64) (io.ReadCloser, error) {
		parts := []io.Reader{strings.NewReader(head)}
		for range size / len(random) {
			parts = append(parts, strings.NewReader(string(random)))
		}
		return io.NopCloser(io.MultiReader(parts...)), nil
	}
	body, err := m.MIME(0)
	must(t, err)
	w := newWorld(t, tenant, nil)
	m.MIME = func(uint64) (io.ReadCloser, error) { return body, nil } // made before it is measured
	w.batch(w.custodians()...)
	c := w.collector(nil)
	c.Spool = spool.NewBudget(1<<20, 8<<20, t.TempDir())
	chunk := w.first()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err = c.Run(t.Context(), chunk)
	runtime.ReadMemStats(&after)
	must(t, err)
	allocated := after.TotalAlloc - before.TotalAlloc
	if allocated > 56<<20 { // some 40 of them are the blocks that are staged
		t.Errorf("%d MiB were allocated for an item of 60: it does not stream", allocated>>20)
	}
	data, err := w.evidence.Get(t.Context(), pack.Name{Source: testSource, Batch: w.row().ID, Part: 1}.Seal())
	must(t, err)
	s, err := pack.ParseSeal(data)
	must(t, err)
	if s.Documents != 2 || s.Package.Bytes < size || s.Custodians[0].Bytes < size {
		t.Errorf("%d documents in a package of %d bytes", s.Documents, s.Package.Bytes)
	}
}
