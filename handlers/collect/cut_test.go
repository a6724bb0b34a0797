package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/vault/storagetest"
)

// cutWorld has two mailboxes with twelve mails, of which one cannot be had and one has no MIME, and an event each, and packages
// of five.
func cutWorld(t *testing.T) (w *world, bad string) {
	t.Helper()
	tenant := newTenant(2)
	put(tenant.Users[0], "Inbox", 1, 6)
	put(tenant.Users[0], "Recoverable Items/Purges", 10, 2)
	put(tenant.Users[1], "Sent Items", 1, 4)
	broken := tenant.Users[1].Folder("Sent Items").Messages[2]
	broken.MIME = func(uint64) (io.ReadCloser, error) { return nil, errors.New("corrupt") }
	tenant.Users[0].Folder("Inbox").Messages[3].NoMIME = true
	for i, u := range tenant.Users {
		diary(u, meeting(u, 1, day().Start.Add(time.Duration(i)*time.Hour)))
	}
	w = newWorld(t, tenant, map[string]any{"collect": []string{"email", "calendar"}})
	w.limits = Limits{Entries: 20} // of 48: three parts, in whatever order the items come
	w.batch(w.custodians()...)
	return w, broken.ImmutableID
}

func checkCut(w *world, bad string) {
	w.Helper()
	e := w.read()
	w.checkOwed(e, capture.CompletedWithDocumentLevelErrors, map[string]string{bad: "ErrorMimeContentConversionFailed"})
	if n := e.manifest.Totals.Synthesised; n != 1 {
		w.Errorf("%d natives are synthesised, want one", n)
	}
	for name, s := range e.seals {
		if len(s.Custodians) == 0 {
			w.Errorf("%s seals nothing", name)
		}
	}
	if b := w.row(); !b.Published {
		w.Error("the batch is not published")
	}
	if w.log.count("batch sealed") == 0 {
		w.Error("the log does not tell of the sealed batch")
	}
	for _, u := range w.tenant.Users {
		if words := e.words(u.ID); len(words) == 0 || words[len(words)-1] != string(capture.Collected) {
			w.Errorf("the seals say %q of a custodian", words)
		}
	}
}

// TestARunCutAtAnyWriteLeavesTheSameEvidence lets a run die at each of its writes, before it reaches the storage or after,
// when its answer is lost with the process.
func TestARunCutAtAnyWriteLeavesTheSameEvidence(t *testing.T) {
	t.Parallel()
	w, bad := cutWorld(t)
	proxy := w.account.Proxy(t)
	w.drain(w.collector(proxy), w.first())
	checkCut(w, bad)
	writes := proxy.Writes()
	if e := w.read(); len(e.seals) < 2 || writes < 30 {
		t.Fatalf("%d parts and %d writes: the test would prove little", len(e.seals), writes)
	}
	for n := 1; n <= writes; n++ {
		for _, when := range []string{"before", "after"} {
			t.Run(fmt.Sprint(when, " write ", n), func(t *testing.T) {
				t.Parallel()
				w, bad := cutWorld(t)
				w.cutRun(n, when == "after")
				w.clock.Advance(pause)
				w.settle(w.collector(nil), pause)
				checkCut(w, bad)
			})
		}
	}
}

// cutRun is a run that dies at its n-th write: nothing of what it does afterwards reaches the storage.
func (w *world) cutRun(n int, after bool) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	var dead atomic.Bool
	var writes atomic.Int32
	die := func() { dead.Store(true); cancel() }
	proxy := w.account.Proxy(w.T)
	proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		switch {
		case dead.Load():
			return storagetest.Fail(403, "AuthorizationFailure") // which nobody tries again
		case !op.Write || int(writes.Add(1)) != n:
			return storagetest.Pass
		case after:
			return storagetest.After(die)
		}
		return storagetest.Before(die)
	})
	_, _, err := w.collector(proxy).Run(ctx, w.first())
	if !dead.Load() {
		w.Fatalf("Run() = %v after %d writes: it was not cut", err, writes.Load())
	}
	_ = w.log.Error(err)
}
