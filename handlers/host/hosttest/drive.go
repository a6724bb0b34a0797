package hosttest

import (
	"context"
	"fmt"
	"time"
)

// Next takes one message of a function's queue, runs and settles it; ok is false when none is visible.
func (h *Host) Next(ctx context.Context, function string) (r Result, ok bool, err error) {
	for _, l := range h.listeners {
		if l.function.name == function {
			return h.next(ctx, l)
		}
	}
	return Result{}, false, fmt.Errorf("run a message: the app has no function %q with a queue trigger", function)
}

func (h *Host) next(ctx context.Context, l *listener) (Result, bool, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, false, err
	}
	m, leave, ok, err := h.take(ctx, l)
	if !ok {
		return Result{}, false, err
	}
	defer leave()
	r, err := h.runMessage(ctx, l, m)
	return r, true, err
}

// drainPoll is how often Drain looks for messages that it has to wait for.
const drainPoll = 50 * time.Millisecond

// Drain runs the messages of all queues one after another, function by function in the order of their names, until no
// queue that has a function holds a message and nothing runs. It waits for messages that are leased or delayed, but not
// for those that the host has left under their lease (Kept). It gives the results of what it ran itself, also with an
// error.
func (h *Host) Drain(ctx context.Context) ([]Result, error) {
	var all []Result
	for {
		begun, _ := h.activity()
		results, err := h.sweep(ctx)
		all = append(all, results...)
		if err != nil {
			return all, err
		}
		if len(results) > 0 {
			continue
		}
		waiting, err := h.waiting(ctx)
		if err != nil {
			return all, err
		}
		// What ran while the queues were counted may have put a message into one already counted.
		if after, open := h.activity(); waiting == 0 && open == 0 && after == begun {
			return all, nil
		}
		select {
		case <-ctx.Done():
			return all, ctx.Err()
		case <-time.After(drainPoll):
		}
	}
}

// sweep runs the messages that are visible now.
func (h *Host) sweep(ctx context.Context) ([]Result, error) {
	var all []Result
	for _, l := range h.listeners {
		for {
			r, ok, err := h.next(ctx, l)
			if ok {
				all = append(all, r)
			}
			if err != nil {
				return all, err
			}
			if !ok {
				break
			}
		}
	}
	return all, nil
}

// waiting counts the messages that are still to be run.
func (h *Host) waiting(ctx context.Context) (int, error) {
	total, seen := 0, map[string]bool{}
	for _, l := range h.listeners {
		if seen[l.queue.key] {
			continue
		}
		seen[l.queue.key] = true
		n, err := l.queue.outstanding(ctx)
		if err != nil {
			return 0, err
		}
		total += max(0, n-h.keptIn(l.queue.key))
	}
	return total, nil
}

func (h *Host) keptIn(key string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, kept := range h.kept {
		if kept.queue == key && time.Now().Before(kept.end) {
			n++
		}
	}
	return n
}

// named gives the queue of that name in the connection of the function that uses it, else in the host's own storage.
func (h *Host) named(name string) *queue {
	for _, f := range h.app.functions {
		for _, b := range append([]binding{f.trigger}, f.outputs...) {
			if b.QueueName == name {
				return h.queues.queue(b.Connection, name)
			}
		}
	}
	return h.queues.queue("", name)
}

// Put puts a message's text into a queue, encoded as host.json says, and creates the queue when it is missing.
func (h *Host) Put(ctx context.Context, queue, text string) error {
	q := h.named(queue)
	return h.enqueue(ctx, q, q.encode(text))
}

// PutRaw puts a message as it is to stand in storage.
func (h *Host) PutRaw(ctx context.Context, queue, wire string) error {
	return h.enqueue(ctx, h.named(queue), wire)
}

// Peek gives the texts of the queue's first visible messages, at most 32; one that cannot be decoded as it is stored.
func (h *Host) Peek(ctx context.Context, queue string) ([]string, error) {
	q := h.named(queue)
	texts, err := q.peek(ctx)
	for i, wire := range texts {
		if text, ok := q.decode(wire); ok {
			texts[i] = text
		}
	}
	return texts, err
}

// Outstanding counts the messages of a queue, those that are leased or delayed included.
func (h *Host) Outstanding(ctx context.Context, queue string) (int, error) {
	return h.named(queue).outstanding(ctx)
}
