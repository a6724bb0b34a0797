package spool

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

const m = MemoryPerBuffer

func acquire(t testing.TB, b *Budget, n int64) *Lease {
	t.Helper()
	l, err := b.Acquire(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Release)
	return l
}

// wantBooked holds what a budget has given away against what it should have.
func wantBooked(t *testing.T, when string, b *Budget, memory, disk int64, leases int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if want := (amount{memory, disk}); b.booked != want || b.leases != leases {
		t.Errorf("%s: %+v booked by %d leases, want %+v by %d", when, b.booked, b.leases, want, leases)
	}
}

func write(t testing.TB, b *Buffer, n int) {
	t.Helper()
	if got, err := b.Write(make([]byte, n)); err != nil || got != n {
		t.Fatalf("Write of %d bytes = %d, %v", n, got, err)
	}
}

func TestAnEstimateIsBookedInMemoryAndOnDisk(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ estimate, memory, disk int64 }{
		{-5, 0, 0}, {0, 0, 0}, {1, 1, 0}, {m, m, 0}, {m + 1, m, 1}, {3 * m, m, 2 * m},
	} {
		b := NewBudget(10*m, 10*m, t.TempDir())
		l := acquire(t, b, row.estimate)
		wantBooked(t, "acquired", b, row.memory, row.disk, 1)
		l.Release()
		wantBooked(t, "released", b, 0, 0, 0)
	}
}

func TestTheLargerOfEstimateAndUseIsBooked(t *testing.T) {
	t.Parallel()
	b := NewBudget(10*m, 10*m, t.TempDir())
	l := acquire(t, b, 2*m)
	one, two := l.New(), l.New()
	write(t, one, m)
	wantBooked(t, "within the estimate", b, m, m, 1)
	write(t, one, 3*m)
	wantBooked(t, "beyond it on disk", b, m, 3*m, 1)
	write(t, two, m)
	wantBooked(t, "beyond it in memory", b, 2*m, 3*m, 1)
	if err := one.Reset(); err != nil {
		t.Fatal(err)
	}
	wantBooked(t, "one is empty again", b, m, m, 1)
	write(t, one, 2*m)
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	wantBooked(t, "one is closed", b, m, m, 1)
	write(t, two, 5*m)
	wantBooked(t, "two is large", b, m, 5*m, 1)
	l.Release()
	wantBooked(t, "released", b, 0, 0, 0)
}

func TestSmallBuffersTakeLittleMemory(t *testing.T) {
	t.Parallel()
	b := NewBudget(10*m, 10*m, t.TempDir())
	l := acquire(t, b, 0)
	buffer := l.New()
	for range 100 {
		write(t, buffer, 1)
	}
	wantBooked(t, "100 bytes", b, 4<<10, 0, 1)
	write(t, buffer, m-100)
	wantBooked(t, "a full memory", b, m, 0, 1)
}

// A waiting call waits in a goroutine, and keeps its lease until it is told to release it.
type waiting struct {
	cancel context.CancelFunc
	lease  *Lease
	err    error
	done   bool
}

func wait(t *testing.T, b *Budget, n int64) *waiting {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &waiting{cancel: cancel}
	go func() {
		w.lease, w.err = b.Acquire(ctx, n)
		w.done = true
	}()
	synctest.Wait()
	return w
}

// wantDone says which of the waiters have been served, once nothing moves any more.
func wantDone(t *testing.T, when string, want string, all ...*waiting) {
	t.Helper()
	synctest.Wait()
	got := ""
	for i, w := range all {
		if w.done {
			got += string(rune('a' + i))
		}
	}
	if got != want {
		t.Errorf("%s: %q are served, want %q", when, got, want)
	}
}

func TestWaitersAreServedInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(4*m, 4*m, "")
		holder := acquire(t, b, 4*m) // one of memory, three of disk
		a := wait(t, b, 4*m)         // does not fit
		small := wait(t, b, 1)       // would fit, and must not starve the one before
		c := wait(t, b, 3*m)
		wantDone(t, "all wait", "", a, small, c)
		holder.Release()
		wantDone(t, "the first is let in, and who fits beside it", "ab", a, small, c)
		a.lease.Release()
		wantDone(t, "the last", "abc", a, small, c)
		small.lease.Release()
		c.lease.Release()
		wantBooked(t, "at the end", b, 0, 0, 0)
	})
}

func TestWhatIsLargerThanTheBudgetGoesAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(2*m, 2*m, "")
		holder := acquire(t, b, 1)
		large := wait(t, b, 100*m)
		next := wait(t, b, 1)
		wantDone(t, "beside another", "", large, next)
		holder.Release()
		wantDone(t, "alone", "a", large, next)
		large.lease.Release()
		wantDone(t, "after it", "ab", large, next)
		next.lease.Release()
	})
}

func TestAnOverrunHoldsUpTheNext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(4*m, 16*m, dir)
		one, two := acquire(t, b, 1), acquire(t, b, 1)
		x, y := one.New(), two.New()
		write(t, x, 9*m) // neither waits for the other
		write(t, y, 9*m)
		wantBooked(t, "overrun", b, 2*m, 16*m, 2)
		next := wait(t, b, m+1)
		wantDone(t, "during the overrun", "", next)
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		wantDone(t, "given back before the lease ends", "a", next)
		next.lease.Release()
	})
}

func TestAnOverrunIsRefusedWhereThereIsNoRoom(t *testing.T) {
	t.Parallel()
	b := NewBudget(10*m, 4*m, t.TempDir())
	one, two := acquire(t, b, 3*m), acquire(t, b, 2*m)
	x, y := one.New(), two.New()
	write(t, x, 3*m)
	write(t, y, 2*m) // as estimated
	write(t, x, m)   // beyond it, and there is room
	wantBooked(t, "full", b, 2*m, 4*m, 2)
	for range 2 {
		if n, err := y.Write(make([]byte, 1)); n != 0 || !errors.Is(err, ErrCrowded) {
			t.Errorf("Write = %d, %v, want ErrCrowded", n, err)
		}
	}
	if y.Size() != 2*m {
		t.Errorf("Size = %d after a refusal, want %d", y.Size(), 2*m)
	}
	wantBooked(t, "refused", b, 2*m, 4*m, 2)
	one.Release()
	write(t, y, 9*m) // the only lease is refused nothing
	wantBooked(t, "by itself", b, m, 10*m, 1)
}

func TestAnOverrunOfMemoryIsRefusedWhereThereIsNoRoom(t *testing.T) {
	t.Parallel()
	b := NewBudget(2*m, 10*m, t.TempDir())
	one, two := acquire(t, b, m), acquire(t, b, m)
	write(t, one.New(), m)
	write(t, two.New(), m)
	if n, err := two.New().Write(make([]byte, 2*m)); n != 0 || !errors.Is(err, ErrCrowded) {
		t.Errorf("Write = %d, %v, want ErrCrowded", n, err)
	}
	wantBooked(t, "refused", b, 2*m, 0, 2)
	one.Release()
	write(t, two.New(), 2*m)
}

func TestWhoWasRefusedComesThroughAlone(t *testing.T) {
	t.Parallel()
	const size = 3 * m
	b := NewBudget(2*m, 3*m, t.TempDir())
	var most atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for _, estimate := range []int64{1, Alone} {
				l, err := b.Acquire(t.Context(), estimate)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = l.New().Write(make([]byte, size))
				b.mu.Lock()
				if b.leases > 1 {
					most.Store(max(most.Load(), b.booked.disk))
				}
				b.mu.Unlock()
				l.Release()
				switch {
				case err == nil:
					return
				case !errors.Is(err, ErrCrowded) || estimate == Alone:
					t.Errorf("with an estimate of %d: %v", estimate, err)
				}
			}
		})
	}
	wg.Wait()
	if most.Load() > 3*m {
		t.Errorf("%d bytes were booked by more than one lease, the budget is %d", most.Load(), 3*m)
	}
	wantBooked(t, "at the end", b, 0, 0, 0)
}

func TestAWaiterLeavesWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(2*m, 2*m, "")
		holder := acquire(t, b, m)
		large, small := wait(t, b, 100*m), wait(t, b, 1)
		wantDone(t, "both wait", "", large, small)
		large.cancel()
		wantDone(t, "the first has left, and holds up nobody", "ab", large, small)
		if !errors.Is(large.err, context.Canceled) || large.lease != nil || small.err != nil {
			t.Errorf("large = %v, %v, small = %v", large.lease, large.err, small.err)
		}
		small.lease.Release()
		holder.Release()
		wantBooked(t, "at the end", b, 0, 0, 0)
	})
}

// Whether a grant or the end of the context comes first, nothing may be lost.
func TestAGrantIsNotLostToTheEndOfAContext(t *testing.T) {
	t.Parallel()
	b := NewBudget(m, m, "")
	for range 500 {
		holder := acquire(t, b, m)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if l, err := b.Acquire(ctx, m); err == nil {
				l.Release()
			}
		})
		wg.Go(cancel)
		wg.Go(holder.Release)
		wg.Wait()
		cancel()
	}
	wantBooked(t, "at the end", b, 0, 0, 0)
}

func TestReleasingTwiceIsHarmless(t *testing.T) {
	t.Parallel()
	b := NewBudget(2*m, m, t.TempDir())
	l, other := acquire(t, b, 10), acquire(t, b, 20)
	buffer := l.New()
	write(t, buffer, 2*m)
	for range 2 {
		l.Release()
		if err := buffer.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		wantBooked(t, "released", b, 20, 0, 1)
	}
	other.Release()
}

func TestAReleasedBufferIsOfNoUse(t *testing.T) {
	t.Parallel()
	b := NewBudget(m, m, t.TempDir())
	l := acquire(t, b, 10)
	before, closed := l.New(), l.New()
	write(t, before, 10)
	write(t, closed, 10)
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	l.Release()
	for name, buffer := range map[string]*Buffer{"made before": before, "closed": closed, "made after": l.New()} {
		_, errWrite := buffer.Write([]byte("x"))
		_, errRead := buffer.ReadAt(make([]byte, 1), 0)
		if errReset := buffer.Reset(); !errors.Is(errWrite, ErrReleased) || !errors.Is(errRead, ErrReleased) || !errors.Is(errReset, ErrReleased) {
			t.Errorf("%s: Write = %v, ReadAt = %v, Reset = %v, want ErrReleased", name, errWrite, errRead, errReset)
		}
	}
	wantBooked(t, "released", b, 0, 0, 0)
}

func TestTemporaryFilesVanish(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := NewBudget(10*m, 10*m, dir)
	l := acquire(t, b, 0)
	wantFiles := func(when string, open ...*Buffer) {
		t.Helper()
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		// Where an open file can be removed, there is none to be seen even while it is in use.
		named := len(slices.DeleteFunc(open, func(b *Buffer) bool { return b.path == "" }))
		if len(files) != named {
			t.Errorf("%s: %d files, want %d", when, len(files), named)
		}
	}
	one, two, three := l.New(), l.New(), l.New()
	for _, buffer := range []*Buffer{one, two, three} {
		write(t, buffer, m+1)
		if buffer.file == nil {
			t.Fatal("the buffer has no file: nothing is tested")
		}
	}
	wantFiles("in use", one, two, three)
	if err := errors.Join(one.Close(), two.Reset()); err != nil {
		t.Fatal(err)
	}
	wantFiles("one closed, one reset", three)
	write(t, two, m+1)
	l.Release()
	wantFiles("released")
}

func TestManyLeasesSideBySide(t *testing.T) {
	t.Parallel()
	b := NewBudget(4*m, 4*m, t.TempDir())
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			l, err := b.Acquire(t.Context(), int64(i)*m/8)
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Release()
			var inner sync.WaitGroup
			for range 3 {
				inner.Go(func() {
					buffer := l.New()
					if _, err := buffer.Write(make([]byte, i*m/16)); err != nil && !errors.Is(err, ErrCrowded) {
						t.Error(err)
					}
					if i%2 == 0 {
						_ = buffer.Close()
					}
				})
			}
			inner.Wait()
		})
	}
	wg.Wait()
	wantBooked(t, "at the end", b, 0, 0, 0)
}
