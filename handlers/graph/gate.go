package graph

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// Outlook's limits for one app and one mailbox (Microsoft Graph, "Service-specific throttling limits").
const (
	mailboxSlots    = 4
	mailboxRequests = 10_000
	mailboxWindow   = 10 * time.Minute
)

// directory is the gate's key for requests that concern no mailbox. They have no window of their own.
const directory = ""

// gate lets requests through one mailbox at a time: four in flight, a sliding window of 10,000 in ten minutes, and none
// before a fence that a throttled answer has put up. One mailbox's fence does not stop the others, unless it is wide.
type gate struct {
	clock   Clock
	maxWait time.Duration
	log     *slog.Logger

	mu    sync.Mutex
	lanes map[string]*lane
	fence time.Time // for everybody
	sent  int64     // requests, of all lanes
}

type lane struct {
	slots *semaphore.Weighted // first come, first served, so that a batch which needs all is not starved
	users int                 // calls that hold or await slots
	fence time.Time
	spent []spent // what was sent in the last ten minutes, by whole seconds, oldest first
	total int     // the sum over spent
}

type spent struct {
	second   int64
	requests int
}

func newGate(clock Clock, maxWait time.Duration, log *slog.Logger) *gate {
	return &gate{clock: clock, maxWait: maxWait, log: log, lanes: map[string]*lane{}}
}

// enter waits until the mailbox may be sent that many requests on that many slots, and takes them. leave gives the slots
// back. The error is the context's, or [Throttled] with Until when the wait would be longer than the gate's patience.
func (g *gate) enter(ctx context.Context, mailbox string, slots int64, requests int) (leave func(), err error) {
	l := g.join(mailbox)
	if err := l.slots.Acquire(ctx, slots); err != nil {
		g.part(l)
		return nil, err
	}
	leave = func() {
		l.slots.Release(slots)
		g.part(l)
	}
	for {
		wait := g.spend(l, mailbox, requests)
		if wait <= 0 {
			return leave, nil
		}
		if wait > g.maxWait {
			leave()
			return nil, &Error{Meaning: Throttled, Code: "GateClosed", Until: g.clock.Now().Add(wait)}
		}
		g.log.InfoContext(ctx, "graph throttled", slog.String("custodian", mailbox), slog.Int64("waitMs", wait.Milliseconds()))
		if err := g.clock.Sleep(ctx, wait); err != nil {
			leave()
			return nil, err
		}
	}
}

// join registers a user of the mailbox's lane.
func (g *gate) join(mailbox string) *lane {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lane(mailbox)
	l.users++
	return l
}

// lane finds or makes the mailbox's lane. Lanes that nobody uses are swept when their number doubles past a bound, so that a
// process that sees every mailbox of a tenant does not keep them all.
func (g *gate) lane(mailbox string) *lane {
	l := g.lanes[mailbox]
	if l == nil {
		if n := len(g.lanes); n >= 1024 && n&(n-1) == 0 {
			g.sweep()
		}
		l = &lane{slots: semaphore.NewWeighted(mailboxSlots)}
		g.lanes[mailbox] = l
	}
	return l
}

func (g *gate) part(l *lane) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l.users--
}

func (g *gate) sweep() {
	now := g.clock.Now()
	for key, l := range g.lanes {
		l.forget(now)
		if l.users == 0 && l.total == 0 && !l.fence.After(now) {
			delete(g.lanes, key)
		}
	}
}

// spend books the requests and returns 0, or books nothing and returns how long to wait before asking again.
func (g *gate) spend(l *lane, mailbox string, requests int) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	if wait := max(g.fence.Sub(now), l.fence.Sub(now)); wait > 0 {
		return wait
	}
	if mailbox == directory {
		g.sent += int64(requests)
		return 0
	}
	l.forget(now)
	if over := l.total + requests - mailboxRequests; over > 0 {
		return l.untilFree(over, now)
	}
	if n := len(l.spent); n > 0 && l.spent[n-1].second == now.Unix() {
		l.spent[n-1].requests += requests
	} else {
		l.spent = append(l.spent, spent{now.Unix(), requests})
	}
	l.total += requests
	g.sent += int64(requests)
	return 0
}

// forget drops what has left the window. A second counts until its last instant has left.
func (l *lane) forget(now time.Time) {
	n := 0
	for n < len(l.spent) && !now.Before(l.spent[n].leaves()) {
		l.total -= l.spent[n].requests
		n++
	}
	l.spent = l.spent[n:]
}

func (s spent) leaves() time.Time { return time.Unix(s.second+1, 0).Add(mailboxWindow) }

// untilFree is how long it takes until that many requests have left the window.
func (l *lane) untilFree(requests int, now time.Time) time.Duration {
	for _, s := range l.spent {
		if requests -= s.requests; requests <= 0 {
			return s.leaves().Sub(now)
		}
	}
	return mailboxWindow
}

// close puts up a fence until t, for the mailbox or for everybody. A fence is never brought forward.
func (g *gate) close(mailbox string, wide bool, t time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	fence := &g.fence
	if !wide {
		fence = &g.lane(mailbox).fence
	}
	if t.After(*fence) {
		*fence = t
	}
}
