package collect

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/spool"
)

// TestMailsLargerThanTheySeemedAreCaptured has mails none of which the spool can hold beside another, though by what is known
// of their sizes it could hold four. Those that find no room are fetched once more, alone.
func TestMailsLargerThanTheySeemedAreCaptured(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int64{"understated": 1000, "unknown": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const mails = itemsAtOnce
			tenant := newTenant(1)
			u := tenant.Users[0]
			for _, m := range put(u, "Inbox", 0, mails) {
				m.Size, m.MIME = size, graphtest.Bulk(m.Subject, 24<<20)
			}
			w := newWorld(t, tenant, nil)
			w.batch(w.custodians()...)
			c := w.collector(nil)
			c.Spool = spool.NewBudget(8<<20, itemsAtOnce*estimate(0), t.TempDir())
			w.together(mails)
			w.settle(c, pause)

			fetches := w.graph.Requests()[value]
			if fetches == mails || fetches > 2*mails {
				t.Errorf("%d fetches of %d mails, want some of them twice", fetches, mails)
			}
			if b := w.row(); b.Status != capture.Completed || b.Documents != 2*mails { // each with its attachment
				t.Errorf("the batch is %s with %d documents, want Completed with %d", b.Status, b.Documents, 2*mails)
			}
			if n := w.log.count("item excepted") + w.log.count("custodian failed"); n > 0 {
				t.Errorf("%d items or custodians failed", n)
			}
		})
	}
}

// together lets no mail's fetch go on before so many have begun.
func (w *world) together(n int32) {
	var begun atomic.Int32
	all := make(chan struct{})
	w.graph.OnRequest(func(r graphtest.Request) {
		if r.Path != value {
			return
		}
		if begun.Add(1) == n {
			close(all)
		}
		<-all
	})
}

// TestLargeMailsAreReadOneAtATime holds that no second large mail is read while one is, and that small ones are.
func TestLargeMailsAreReadOneAtATime(t *testing.T) {
	t.Parallel()
	lease, err := spool.NewBudget(64<<20, 64<<20, t.TempDir()).Acquire(t.Context(), 0)
	must(t, err)
	t.Cleanup(lease.Release)
	native := func(size int) *spool.Buffer {
		b := lease.New()
		_, err := io.WriteString(b, "Subject: x\r\n\r\n"+strings.Repeat("Nothing new from here.\r\n", size/24+1))
		must(t, err)
		return b
	}
	r := &run{Collector: &Collector{Texts: texts}, log: slog.New(slog.DiscardHandler)}
	read := func(n int, native *spool.Buffer) {
		it := capture.Item{GraphID: fmt.Sprint(n), Kind: capture.Email}
		if _, err := r.family(t.Context(), lease, capture.Custodian{ID: "x"}, it, native); err != nil {
			t.Error(err)
		}
	}
	r.reader.large.Lock() // as one does that is being read
	var large sync.WaitGroup
	var done atomic.Bool
	waits := native(largeFrom)
	large.Go(func() {
		read(0, waits)
		done.Store(true)
	})
	for n := range 100 { // takes far longer than the large one would
		read(n+1, native(largeFrom/2))
	}
	if done.Load() {
		t.Error("a large mail was read beside another")
	}
	r.reader.large.Unlock()
	large.Wait()
}
