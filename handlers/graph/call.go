package graph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"time"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/serialization"
)

// A call is one operation on Graph, with the retries that it may need.
type call struct {
	op       string // verb and object, for errors
	mailbox  string // whose gate it passes, or directory
	slots    int64  // how many of the mailbox's slots it takes; 0: one
	requests int    // as Graph counts them; 0: one
	shrinks  bool   // the caller will ask for less when a smaller page may help, so that two tries are enough
}

// do runs one attempt after another, each behind the gate, until one succeeds or there is nothing left to try. The error is
// an [*Error], the context's own, or a sink's.
//
// Throttled attempts are counted by themselves: that the server was busy says nothing about the request.
func (c *Client) do(ctx context.Context, cl call, attempt func(context.Context) error) error {
	failed := map[bool]int{} // throttled or not
	for try := 1; ; try++ {
		err := c.once(ctx, cl, attempt)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var sink *sinkError
		if errors.As(err, &sink) {
			return fmt.Errorf("%s: %w", cl.op, sink.err)
		}
		e := asError(cl.op, err)
		if e.Meaning == Throttled {
			c.fence(ctx, cl.mailbox, e, try)
		}
		throttled := e.Meaning == Throttled
		failed[throttled]++
		if failed[throttled] >= c.tries(cl, e) || e.Until.Sub(c.clock.Now()) > c.maxWait {
			return e
		}
		if !throttled { // a throttled one waits at the gate
			if err := c.clock.Sleep(ctx, backoff(try)); err != nil {
				return err
			}
		}
	}
}

// once makes one attempt. A panic of the SDK becomes an error: it panics on answers of an unexpected shape.
func (c *Client) once(ctx context.Context, cl call, attempt func(context.Context) error) (err error) {
	leave, err := c.gate.enter(ctx, cl.mailbox, max(cl.slots, 1), max(cl.requests, 1))
	if err != nil {
		return err
	}
	defer leave()
	defer func() {
		if p := recover(); p != nil {
			err = &Error{Meaning: Broken, Code: "Panic", err: fmt.Errorf("panic of %T", p)}
		}
	}()
	return attempt(ctx)
}

// tries is how often a call that failed with e may be tried in all.
func (c *Client) tries(cl call, e *Error) int {
	switch {
	case e.Code == "GateClosed":
		return 1
	case e.shrink && cl.shrinks:
		return min(2, c.attempts)
	case e.tries > 0:
		return min(e.tries, c.attempts)
	case e.Meaning == Throttled, e.Meaning == Transient, e.Meaning == Moving:
		return c.attempts
	}
	return 1
}

// fence stops the mailbox, or all, until the server wants to be asked again.
func (c *Client) fence(ctx context.Context, mailbox string, e *Error, try int) {
	if e.Code == "GateClosed" {
		return
	}
	now := c.clock.Now()
	if e.Until.IsZero() {
		e.Until = now.Add(backoff(try))
	}
	c.gate.close(mailbox, e.wide, e.Until)
	c.log.WarnContext(ctx, "graph throttled", slog.String("custodian", mailbox), slog.Int("status", e.Status),
		slog.String("code", e.Code), slog.Bool("wide", e.wide), slog.Int64("waitMs", e.Until.Sub(now).Milliseconds()))
}

// backoff is the wait after the try-th attempt where the server names none: one second, doubling to half a minute, less up
// to half of it by chance, so that many callers do not come back as one.
func backoff(try int) time.Duration {
	full := min(time.Second<<min(try-1, 10), 30*time.Second)
	return full/2 + rand.N(full/2+1)
}

// asError gives the [*Error] in err's chain the operation, and makes one of anything else. What http.Client reports is a
// failed connection; what is left comes from the SDK's reading of an answer.
func asError(op string, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		named := *e
		named.Op = op
		return &named
	}
	var transport *url.Error
	if errors.As(err, &transport) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Error{Op: op, Meaning: Transient, Code: "ConnectionFailed", err: err}
	}
	return &Error{Op: op, Meaning: Broken, Code: "UnreadableAnswer", err: err}
}

// An ask is one request for JSON: how it is made, anew at every attempt, and the model that its answer is read into.
type ask struct {
	op     string
	info   func(context.Context) (*abstractions.RequestInformation, error)
	model  serialization.ParsableFactory
	answer serialization.Parsable
	err    *Error // why a batch gave no answer
}

// ask sends one ask by itself.
func (c *Client) ask(ctx context.Context, mailbox string, shrinks bool, a *ask) error {
	a.answer, a.err = nil, nil
	return c.do(ctx, call{op: a.op, mailbox: mailbox, shrinks: shrinks}, func(ctx context.Context) error {
		info, err := a.info(ctx)
		if err != nil {
			return &Error{Meaning: Bad, Code: "UnsendableRequest", err: err}
		}
		got, err := c.adapter.Send(ctx, info, a.model, nil)
		if err != nil {
			return err
		}
		if got == nil {
			return &Error{Meaning: Broken, Code: "EmptyAnswer"}
		}
		a.answer = got
		return nil
	})
}
