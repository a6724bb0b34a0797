package graphtest

import (
	"strconv"
	"sync"
	"time"
)

// Graph's limits of Outlook per app and mailbox (page "Microsoft Graph service-specific throttling limits").
const (
	maxInFlight = 4
	maxInPeriod = 10_000
	period      = 10 * time.Minute
)

// limits counts the requests of each app to each mailbox.
type limits struct {
	mu     sync.Mutex
	meters map[string]*meter
	most   map[string]int // highest number in flight by mailbox, for tests
}

type meter struct {
	inFlight int
	begun    []time.Time // within the period, oldest first
}

// enter counts a request. The refusal is nil if the request may go on; release must be called in either case and may
// be called again. A refused request counts too: Graph goes on logging usage while a client is throttled.
func (l *limits) enter(key string, now time.Time) (release func(), refusal *reply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.meters[key]
	if m == nil {
		m = &meter{}
		l.meters[key] = m
	}
	for len(m.begun) > 0 && now.Sub(m.begun[0]) >= period {
		m.begun = m.begun[1:]
	}
	m.begun = append(m.begun, now)
	m.inFlight++
	l.most[key] = max(l.most[key], m.inFlight)
	release = sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		m.inFlight--
	})
	switch {
	case m.inFlight > maxInFlight:
		refusal = refuse(429, "ApplicationThrottled", "Application is over its MailboxConcurrency limit.").
			breaks("more than 4 requests in flight for one mailbox")
		refusal.header.Set("Retry-After", "1")
	case len(m.begun) > maxInPeriod:
		refusal = refuse(429, "ApplicationThrottled", "Application is over its RequestsPerPeriod limit.").
			breaks("more than 10,000 requests in 10 minutes for one mailbox")
		wait := m.begun[len(m.begun)-maxInPeriod].Add(period).Sub(now)
		refusal.header.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	return release, refusal
}
