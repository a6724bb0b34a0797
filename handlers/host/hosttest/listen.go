package hosttest

import (
	"context"
	"errors"
	"sync"
	"time"
)

// The types of triggers, as function.json has them.
const (
	queueTrigger = "queueTrigger"
	timerTrigger = "timerTrigger"
	httpTrigger  = "httpTrigger"
)

// minPolling is the pause after a poll that found nothing; it doubles up to host.json's maxPollingInterval. (The host's
// is random besides.)
const minPolling = 100 * time.Millisecond

// Why a message is settled without running the function.
var (
	errUndecodable = errors.New("message decoding has failed: check messageEncoding")
	errTooOften    = errors.New("message was taken more often than maxDequeueCount")
)

// listener is a function with a queue trigger.
type listener struct {
	function *function
	queue    *queue
	wake     chan struct{} // holds a token when this host has put a message into the queue
}

// lease is a message of a queue that is out of reach, at the latest until its end.
type lease struct {
	queue string // its key
	end   time.Time
}

func newListeners(a *app, q *queues) []*listener {
	var all []*listener
	for _, f := range a.functions {
		if f.trigger.Type == queueTrigger {
			all = append(all, &listener{
				function: f,
				queue:    q.queue(f.trigger.Connection, f.trigger.QueueName),
				wake:     make(chan struct{}, 1),
			})
		}
	}
	return all
}

// enqueue puts a message, encoded, into a queue and wakes whoever listens to that.
func (h *Host) enqueue(ctx context.Context, q *queue, wire string) error {
	if err := q.put(ctx, wire); err != nil {
		return err
	}
	for _, l := range h.listeners {
		if l.queue.key == q.key {
			select {
			case l.wake <- struct{}{}:
			default:
			}
		}
	}
	return nil
}

// listen runs the messages of a queue as they come, at most batchSize + newBatchThreshold at a time, until ctx ends and
// the last has been settled.
func (h *Host) listen(ctx context.Context, l *listener) {
	slots := make(chan struct{}, h.app.queues.concurrency())
	var running sync.WaitGroup
	defer running.Wait()
	pause := minPolling
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		m, leave, ok, err := h.take(ctx, l)
		if ok {
			pause = minPolling
			running.Go(func() {
				defer func() { <-slots }()
				defer leave()
				if _, err := h.runMessage(ctx, l, m); err != nil {
					h.log.Error("message not settled", "function", l.function.name, "error", err)
				}
			})
			continue
		}
		<-slots
		if err != nil {
			h.log.Error("queue not read", "function", l.function.name, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		case <-time.After(pause):
		}
		pause = min(2*pause, h.app.queues.maxPolling)
	}
}

// take leases a message; when ok, the caller runs it and then calls leave. The end of ctx does not interrupt it, since a
// message might be leased that nobody knows of.
func (h *Host) take(ctx context.Context, l *listener) (m taken, leave func(), ok bool, err error) {
	leave, err = h.enter()
	if err != nil {
		return taken{}, nil, false, err
	}
	defer func() {
		if !ok {
			leave()
		}
	}()
	storage, cancel := lasting(ctx)
	defer cancel()
	m, ok, err = l.queue.take(storage, h.options.Lease)
	if ok && ctx.Err() != nil {
		return taken{}, leave, false, l.queue.release(storage, m, 0)
	}
	return m, leave, ok, err
}

// runMessage runs a taken message and settles it. The error is of the settlement alone.
func (h *Host) runMessage(ctx context.Context, l *listener, m taken) (Result, error) {
	done := h.work()
	defer done()
	r := Result{Function: l.function.name}
	switch text, ok := l.queue.decode(m.wire); {
	case !ok:
		r.Err = errUndecodable
	case m.dequeueCount > h.app.queues.maxDequeueCount:
		r.Err = errTooOften
	default:
		stop := l.queue.keep(ctx, m, h.options.Lease)
		r = h.invoke(ctx, l.function, func() []byte {
			return queueBody(l.function.name, l.function.trigger.Name, text, m, h.options.Now())
		})
		m = stop()
	}
	r.DequeueCount = m.dequeueCount
	cut := ctx.Err() != nil || errors.Is(r.Err, ErrClosed) || errors.Is(r.Err, ErrStopped)
	storage, cancel := lasting(ctx)
	defer cancel()
	var err error
	r.Fate, err = h.settle(storage, l, m, r, cut)
	h.report(r)
	return r, err
}

// settle does with a message what its invocation's result asks for. cut says that the host's end cut the invocation off:
// that is no reason to give the message up.
func (h *Host) settle(ctx context.Context, l *listener, m taken, r Result, cut bool) (Fate, error) {
	h.mu.Lock()
	delete(h.kept, m.id)
	h.mu.Unlock()
	last := r.Invocation == "" || m.dequeueCount >= h.app.queues.maxDequeueCount
	switch {
	case r.Err == nil:
		return Deleted, l.queue.remove(ctx, m)
	case cut || !last && l.queue.poison != "":
		return Retried, l.queue.release(ctx, m, h.retryDelay())
	case l.queue.poison == "":
		// The host does not release it, lest it come back in a fast and endless loop.
		h.mu.Lock()
		h.kept[m.id] = lease{l.queue.key, time.Now().Add(h.options.Lease)}
		h.mu.Unlock()
		return Kept, nil
	}
	if err := h.enqueue(ctx, l.queue.siblings(l.queue.poison), m.wire); err != nil {
		return Poisoned, err
	}
	return Poisoned, l.queue.remove(ctx, m)
}

func (h *Host) retryDelay() time.Duration {
	switch {
	case h.options.RetryDelay < 0:
		return 0
	case h.options.RetryDelay > 0:
		return h.options.RetryDelay
	}
	return h.app.queues.visibility
}
