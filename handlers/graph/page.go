package graph

import (
	"context"
	"net/url"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/serialization"
)

const (
	immutable = `IdType="ImmutableId"`

	maxStalePages = 3   // pages in a row whose rows had all been seen
	maxEmptyPages = 100 // pages in a row without rows; some are normal
	maxSmallPages = 12  // small pages after a spoilt one, where a walk ends with what spoilt it
	maxWalks      = 3   // a list whose continuations led astray is begun anew
)

// immutableIDs is the header that every request carries, a later page's too: without it that page has other ids.
func immutableIDs() *abstractions.RequestHeaders { return prefer(immutable) }

// prefer gives a Prefer header of one line: the SDK's headers are sets, and a batch joins their lines.
func prefer(value string) *abstractions.RequestHeaders {
	h := abstractions.NewRequestHeaders()
	h.Add("Prefer", value)
	return h
}

// A walk goes through the pages of one list. Where a page is too much for the server the walk begins again with smaller
// ones, so that take sees rows more than once and must not mind.
type walk struct {
	op     string
	sizes  []int32 // of pages, the largest first
	brief  bool    // where a page was spoilt, it ends after maxSmallPages: the caller has a better way
	first  func(ctx context.Context, size int32) (*abstractions.RequestInformation, error)
	next   func(ctx context.Context, link string, size int32) (*abstractions.RequestInformation, error)
	model  serialization.ParsableFactory
	take   func(serialization.Parsable) (ids []string, next *string, err error)
	opened *ask // the first page of the first size, where a batch has asked for it already
}

// open gives the walk's first page as an ask for a batch.
func (w *walk) open() *ask {
	w.opened = w.ask(func(ctx context.Context) (*abstractions.RequestInformation, error) { return w.first(ctx, w.sizes[0]) })
	return w.opened
}

func (w *walk) ask(info func(context.Context) (*abstractions.RequestInformation, error)) *ask {
	return &ask{op: w.op, model: w.model, info: info}
}

// walk goes through all pages of w. It ends with [Broken] instead of going round for ever.
func (c *Client) walk(ctx context.Context, mailbox string, w *walk) error {
	if a := w.opened; a != nil && a.err != nil && !a.passing() && !a.err.shrink {
		return a.err
	}
	var err error
	for i, size := range w.sizes {
		last := i == len(w.sizes)-1
		var spent error
		if w.brief && spoilt(err) {
			spent = err
		}
		err = c.walkAt(ctx, mailbox, w, size, !last, spent)
		if e, ok := err.(*Error); !ok || !e.shrink || last || err == spent {
			return err
		}
	}
	return nil
}

// walkAt goes through all pages of w at one size, anew where the continuations led astray. With spent it ends with that after
// maxSmallPages.
func (c *Client) walkAt(ctx context.Context, mailbox string, w *walk, size int32, shrinks bool, spent error) error {
	for try := 1; ; try++ {
		err := c.walkOnce(ctx, mailbox, w, size, shrinks, spent)
		if try >= maxWalks || !lost(err) {
			return err
		}
		if err := c.clock.Sleep(ctx, backoff(try)); err != nil {
			return err
		}
	}
}

func (c *Client) walkOnce(ctx context.Context, mailbox string, w *walk, size int32, shrinks bool, spent error) error {
	a := w.opened
	w.opened = nil
	if a == nil || a.err != nil {
		a = w.ask(func(ctx context.Context) (*abstractions.RequestInformation, error) { return w.first(ctx, size) })
		if err := c.ask(ctx, mailbox, shrinks, a); err != nil {
			return err
		}
	}
	guard := loopGuard{op: w.op, links: map[string]bool{}, ids: map[string]bool{}}
	for page := 1; ; page++ {
		ids, link, err := w.take(a.answer)
		if err != nil {
			return asError(w.op, err)
		}
		if link == nil || *link == "" { // an empty page is not the end: only the missing link is
			return nil
		}
		if err := guard.check(ids, *link); err != nil {
			return err
		}
		if u, err := url.Parse(*link); err != nil || !below(c.root, u) {
			return &Error{Op: w.op, Meaning: Broken, Code: codeForeign}
		}
		if spent != nil && page >= maxSmallPages {
			return spent
		}
		next := *link
		a = w.ask(func(ctx context.Context) (*abstractions.RequestInformation, error) { return w.next(ctx, next, size) })
		if err := c.ask(ctx, mailbox, shrinks, a); err != nil {
			return err
		}
	}
}

// lost reports whether a walk ended because a continuation led nowhere.
func lost(err error) bool {
	switch CodeOf(err) {
	case codeForeign, codeRepeated, codeEndless:
		return true
	}
	return false
}

// Codes of ours for continuations that lead to another server, back to a page, or on for ever.
const (
	codeForeign  = "ForeignContinuation"
	codeRepeated = "RepeatedContinuation"
	codeEndless  = "EndlessList"
)

// loopGuard finds lists without an end. QUIRK: Graph has been seen to repeat a continuation, and to give ever new
// continuations to the same page.
type loopGuard struct {
	op           string
	links, ids   map[string]bool
	stale, empty int
}

func (g *loopGuard) check(ids []string, link string) error {
	if g.links[link] {
		return &Error{Op: g.op, Meaning: Broken, Code: codeRepeated}
	}
	g.links[link] = true
	fresh := false
	for _, id := range ids {
		fresh = fresh || !g.ids[id]
		g.ids[id] = true
	}
	switch {
	case len(ids) == 0:
		g.empty++
	case fresh:
		g.stale, g.empty = 0, 0
	default:
		g.stale++
	}
	if g.stale >= maxStalePages || g.empty >= maxEmptyPages {
		return &Error{Op: g.op, Meaning: Broken, Code: codeEndless}
	}
	return nil
}
