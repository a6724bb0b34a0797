// Package spool holds bytes of unknown size in memory or in a temporary file, under one budget for the process.
//
// Who is about to read something takes a [Lease] for what it probably needs, and writes into buffers of that lease. What
// outgrows the estimate is booked at once where there is room for it, and refused with [ErrCrowded] where there is none: a
// holder never waits for another holder, so that no deadlock is possible. Who was refused gives its lease back and begins
// again with one for [Alone], which is refused nothing. So no more than the budget is ever held, unless by one lease.
package spool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// MemoryPerBuffer is how much of a buffer stays in memory, in bytes; what lies beyond it goes to a temporary file.
const MemoryPerBuffer = 256 << 10

// Alone is an estimate larger than any budget: its lease is the only one while it lasts.
const Alone = 1 << 50

// ErrReleased is returned by a buffer that is used after its lease was released or it was closed itself. ErrCrowded is
// returned where a buffer would outgrow its lease's estimate and, with what others hold, the budget.
var (
	ErrReleased = errors.New("spool buffer was released")
	ErrCrowded  = errors.New("spool has no room beyond the estimate")
)

// amount is an amount of both resources, in bytes.
type amount struct{ memory, disk int64 }

func (a amount) plus(b amount) amount  { return amount{a.memory + b.memory, a.disk + b.disk} }
func (a amount) minus(b amount) amount { return amount{a.memory - b.memory, a.disk - b.disk} }
func (a amount) atLeast(b amount) amount {
	return amount{max(a.memory, b.memory), max(a.disk, b.disk)}
}
func (a amount) within(b amount) bool { return a.memory <= b.memory && a.disk <= b.disk }

// A Budget is the process's room for spooled bytes. It is safe for concurrent use.
type Budget struct {
	limit amount
	dir   string

	mu     sync.Mutex
	booked amount
	leases int
	queue  []*waiter // first come, first served: a large item is not starved by small ones
}

type waiter struct {
	need    amount
	granted chan struct{} // closed when the amount is booked
}

// NewBudget makes a budget of so many bytes in memory and on disk. Temporary files are made in dir; "" is the system's
// folder for them.
func NewBudget(memory, disk int64, dir string) *Budget {
	return &Budget{limit: amount{memory, disk}, dir: dir}
}

// Acquire waits until n estimated bytes are free and books them. An n larger than the whole budget waits until its lease
// would be the only one. Waiters are served in the order of their calls. The only error is the context's.
func (b *Budget) Acquire(ctx context.Context, n int64) (*Lease, error) {
	n = max(n, 0)
	need := amount{memory: min(n, MemoryPerBuffer), disk: max(n-MemoryPerBuffer, 0)}
	w := &waiter{need: need, granted: make(chan struct{})}
	b.mu.Lock()
	b.queue = append(b.queue, w)
	b.grant()
	b.mu.Unlock()

	select {
	case <-w.granted:
	case <-ctx.Done():
		if !b.leave(w) {
			return nil, fmt.Errorf("acquire spool: %w", ctx.Err())
		}
		// The grant and the end of the context met. The lease is the caller's; it sees its context's end by itself.
	}
	return &Lease{budget: b, estimate: need, booked: need}, nil
}

// leave takes w out of the queue; it reports whether w had been granted before.
func (b *Budget) leave(w *waiter) (granted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.queue, w)
	if i < 0 {
		return true
	}
	b.queue = slices.Delete(b.queue, i, i+1)
	b.grant() // w may have been the one that held up the others
	return false
}

// grant serves the queue from its front as far as the budget goes. The lock is held.
func (b *Budget) grant() {
	for len(b.queue) > 0 {
		w := b.queue[0]
		if b.leases > 0 && !b.booked.plus(w.need).within(b.limit) {
			return
		}
		b.booked = b.booked.plus(w.need)
		b.leases++
		b.queue[0] = nil
		b.queue = b.queue[1:]
		close(w.granted)
	}
}

// book changes what is booked by the difference of two amounts of one lease, and reports whether there is room for that. For
// the only lease there always is.
func (b *Budget) book(before, after amount) bool {
	if before == after {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	booked := b.booked.plus(after.minus(before))
	if !after.within(before) && b.leases > 1 && !booked.within(b.limit) {
		return false
	}
	b.booked = booked
	b.grant()
	return true
}

// A Lease is a share of the budget, and the owner of the buffers made from it. Its methods are safe for concurrent use.
type Lease struct {
	budget   *Budget
	estimate amount

	mu       sync.Mutex
	used     amount // by the buffers, in fact
	booked   amount // the larger of estimate and use
	buffers  map[*Buffer]struct{}
	released bool
}

// New makes an empty buffer. It belongs to the lease and ends with it.
func (l *Lease) New() *Buffer {
	b := &Buffer{lease: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.released {
		b.closed = true
		return b
	}
	if l.buffers == nil {
		l.buffers = map[*Buffer]struct{}{}
	}
	l.buffers[b] = struct{}{}
	return b
}

// Release removes all temporary files and gives everything back, overruns included. No buffer of the lease may be in use.
// Releasing twice is harmless.
func (l *Lease) Release() {
	l.mu.Lock()
	if l.released {
		l.mu.Unlock()
		return
	}
	l.released = true
	buffers := l.buffers
	l.buffers = nil
	l.mu.Unlock()
	for b := range buffers {
		_ = b.Close() // a file that cannot be removed is the system's to clean up; its room is given back all the same
	}
	l.mu.Lock()
	booked := l.booked
	l.booked = amount{}
	l.mu.Unlock()

	l.budget.mu.Lock()
	defer l.budget.mu.Unlock()
	l.budget.booked = l.budget.booked.minus(booked)
	l.budget.leases--
	l.budget.grant()
}

// use books a buffer's growth, or what it gave back. It reports whether there is room for the growth.
func (l *Lease) use(change amount) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	used := l.used.plus(change)
	booked := l.estimate.atLeast(used)
	if !l.budget.book(l.booked, booked) {
		return false
	}
	l.used, l.booked = used, booked
	return true
}

func (l *Lease) forget(b *Buffer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.buffers, b)
}
