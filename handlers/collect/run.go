package collect

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault"

	"golang.org/x/sync/errgroup"
)

// A run is one invocation's work on a chunk.
type run struct {
	*Collector
	ctx      context.Context // of the run: a part is staged for longer than the mailbox is read that began it
	log      *slog.Logger
	source   settings.Source
	batch    ledger.Batch
	work     *ledger.Work
	graph    *graph.Client
	evidence *vault.Container
	began    time.Time

	mu         sync.Mutex // guards what follows, and the custodians' fields
	custodians []*progress
	part       *part // being filled; nil between parts
	begun      bool  // something was done: the budget may end the run now
}

// progress is how far the chunk got with one custodian: what a record keeps between parts.
type progress struct {
	Custodian capture.Custodian       `json:"custodian"`
	Status    capture.CustodianStatus `json:"status"`
	Reason    string                  `json:"reason,omitempty"` // of an exclusion, or the code of a failure
	Listed    bool                    `json:"listed"`           // discovery is done: what is still to fetch stands in the record
	Due       time.Time               `json:"due,omitzero"`     // Graph asked to come back not before

	todo  map[string]capture.Item // by item key, what is still to fetch
	tally tally                   // of the part being filled
	fresh bool                    // the status changed since the last closed part
}

// tally is a custodian's share of one part; see seal.json.
type tally struct {
	found, captured, excepted int
	bytes                     int64
}

func (p *progress) settled() bool {
	return p.Status == capture.Collected || p.Status == capture.Excluded
}

// mailboxesAtOnce is how many mailboxes a run reads side by side. Graph's limits are per mailbox; the spool's budget
// bounds the memory.
const (
	mailboxesAtOnce = 8
	itemsAtOnce     = 4 // Graph's limit for a mailbox
)

// collect works through the custodians that are not settled. Only a fault that concerns the whole run is an error; a
// mailbox's own faults are kept in its progress.
func (r *run) collect(ctx context.Context) error {
	if r.work.Chunk.Value.Final || r.overtime() {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(mailboxesAtOnce)
	for _, p := range r.custodians {
		if p.settled() || p.Due.After(r.Now()) {
			continue
		}
		if r.spent() || ctx.Err() != nil {
			break
		}
		g.Go(func() error { return r.custodian(ctx, p) })
	}
	return g.Wait()
}

// spent reports whether the budget is used up. A run always does something first, so that no budget is too small to
// get anywhere.
func (r *run) spent() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begun && r.Now().Sub(r.began) >= r.Budget
}

func (r *run) overtime() bool {
	return r.Now().Sub(r.work.Chunk.Value.Started) >= r.source.JobTimeout
}

// custodian collects one mailbox as far as the budget allows.
func (r *run) custodian(ctx context.Context, p *progress) error {
	began := r.Now()
	r.set(p, capture.Collecting, "")
	err := r.discover(ctx, p)
	if err == nil {
		err = r.fetch(ctx, p)
	}
	var fault *graph.Error
	if err != nil && (ctx.Err() != nil || !errors.As(err, &fault)) {
		return err
	}
	r.mu.Lock()
	left := len(p.todo)
	r.mu.Unlock()
	switch {
	case err != nil:
		r.judge(ctx, p, err)
	case left == 0:
		r.set(p, capture.Collected, "")
		r.report(ctx, p, r.Now().Sub(began))
	}
	return nil
}

// slow is the time from which a custodian without items is worth a log line.
const slow = time.Minute

func (r *run) report(ctx context.Context, p *progress, took time.Duration) {
	r.mu.Lock()
	t := p.tally
	r.mu.Unlock()
	if t.found+t.captured > 0 || took > slow {
		r.log.InfoContext(ctx, "custodian collected", "custodian", p.Custodian.Name(),
			"found", t.found, "captured", t.captured, "excepted", t.excepted, "bytes", t.bytes, "ms", took.Milliseconds())
	}
}

func (r *run) set(p *progress, s capture.CustodianStatus, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.Status, p.Reason, p.Due = s, reason, time.Time{}
	p.fresh = p.fresh || s != capture.Collecting
}

// judge turns a mailbox's fault into its status: excluded where the mailbox is not to be had, else failed until the next
// attempt. A throttled mailbox waits, which is no failure.
func (r *run) judge(ctx context.Context, p *progress, err error) {
	m := graph.MeaningOf(err)
	switch m {
	case graph.NoMailbox:
		r.set(p, capture.Excluded, capture.ReasonNoMailbox)
	case graph.Denied:
		r.set(p, capture.Excluded, capture.ReasonDenied)
	case graph.NotFound:
		r.set(p, capture.Excluded, capture.ReasonNotFound)
	default:
		r.set(p, capture.Failed, string(m))
		if m == graph.Throttled {
			r.mu.Lock()
			p.Status, p.Due = capture.Waiting, graph.Until(err)
			r.mu.Unlock()
		}
	}
	r.log.WarnContext(ctx, "custodian failed", "custodian", p.Custodian.Name(), "status", string(p.Status), "reason", p.Reason, "error", err)
}

// verdict says what becomes of the chunk after a run.
type verdict struct {
	closed, wait, final bool
	attempts            int
	due                 time.Time
}

// verdict looks at the custodians: all settled closes the chunk; failed ones wait for the next attempt by the retry
// policy, throttled ones until Graph lets them in; and a chunk that is out of attempts or time is closed with what it has.
func (r *run) verdict() verdict {
	chunk := r.work.Chunk.Value
	v := verdict{attempts: chunk.Attempts}
	failed, waiting, open := 0, 0, 0
	for _, p := range r.custodians {
		switch {
		case p.settled():
		case p.Status == capture.Failed:
			failed++
		case p.Due.After(r.Now()):
			waiting++
			if v.due.IsZero() || p.Due.Before(v.due) {
				v.due = p.Due
			}
		default:
			open++
		}
	}
	over := chunk.Final || r.overtime()
	switch {
	case failed+waiting+open == 0:
		v.closed = true
	case over:
		r.giveUp(chunk)
		v.closed = true
	case open > 0: // the budget ended the run: it goes on at once
	case failed > 0:
		v.attempts++
		if v.attempts > len(r.source.RetryPolicy) {
			v.closed = true
			break
		}
		v.wait = true
		v.due = r.Now().UTC().Add(r.source.RetryPolicy[v.attempts-1])
	default:
		v.wait = true
	}
	return v
}

// giveUp fails the custodians of a chunk that gets no further turn.
func (r *run) giveUp(chunk ledger.Chunk) {
	reason := "OutOfTime"
	if chunk.Final {
		reason = "OutOfAttempts"
	}
	for _, p := range r.custodians {
		if !p.settled() && p.Status != capture.Failed {
			p.Status, p.Reason, p.fresh = capture.Failed, reason, true
		}
	}
}

// dirty reports whether anything happened that the records do not know yet.
func (r *run) dirty() bool {
	if r.part != nil {
		return true
	}
	for _, p := range r.custodians {
		if p.fresh || p.tally != (tally{}) {
			return true
		}
	}
	return false
}
