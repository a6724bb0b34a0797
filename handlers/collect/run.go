package collect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
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
	watch    *watch
	roll     roll

	knowing    sync.Mutex
	known      *knowledge // of what the evidence has already; nil until it is asked for
	excepting  sync.Mutex
	exceptions map[string][]ledger.Exception // of the lane; nil until they are asked for

	mu         sync.Mutex // guards what follows, and the custodians' fields
	custodians []*progress
	part       *part // being filled; nil between parts
	begun      bool  // something was done: the budget may end the run now
	answered   bool  // a mailbox was listed, or collected to its end
	ended      bool  // the chunk's last part is closed
	broken     error // why a part could not be closed: the run is over
}

// progress is how far the chunk got with one custodian: what a record keeps between parts.
type progress struct {
	Custodian capture.Custodian       `json:"custodian"`
	Status    capture.CustodianStatus `json:"status"`
	Reason    string                  `json:"reason,omitempty"`   // of an exclusion, or the code of a failure
	Listed    bool                    `json:"listed"`             // discovery is done: what is still to fetch stands in the record
	Attempts  int                     `json:"attempts,omitempty"` // that failed; the retry policy counts them
	Due       time.Time               `json:"due,omitzero"`       // not before: Graph or the retry policy asks so
	Total     tally                   `json:"total"`              // of all parts
	Notes     []pack.Note             `json:"notes,omitempty"`    // what of the mailbox is not covered

	todo  map[string]*capture.Item // by item key, what is still to fetch; often many
	tally tally                    // of the part being filled
	fresh bool                     // the status changed since the last closed part

	again map[string]*ledger.Exception // by item key, what is fetched again for earlier batches
	doubt error                        // a fault that may be the mailbox's, or the source's as a whole
}

// tally is a custodian's share of a part; see seal.json.
type tally struct {
	Found     int   `json:"found"`
	Captured  int   `json:"captured"`
	Excepted  int   `json:"excepted"`
	Unchanged int   `json:"unchanged,omitempty"`
	Recovered int   `json:"recovered,omitempty"`
	Deleted   int   `json:"deleted,omitempty"`
	Bytes     int64 `json:"bytes"`
}

func (t tally) plus(u tally) tally {
	return tally{
		t.Found + u.Found, t.Captured + u.Captured, t.Excepted + u.Excepted, t.Unchanged + u.Unchanged, t.Recovered + u.Recovered,
		t.Deleted + u.Deleted, t.Bytes + u.Bytes,
	}
}

func (p *progress) count(t tally) { p.tally, p.Total = p.tally.plus(t), p.Total.plus(t) }

// over reports whether the custodian gets no further turn: collected, excluded, or out of attempts.
func (p *progress) over(policy []time.Duration) bool {
	return p.Status == capture.Collected || p.Status == capture.Excluded || p.Status == capture.Failed && p.Attempts > len(policy)
}

// mailboxesAtOnce is how many mailboxes a run reads side by side. Graph's limits are per mailbox; the spool's budget
// bounds the memory.
const (
	mailboxesAtOnce = 8
	itemsAtOnce     = 4 // Graph's limit for a mailbox
)

// collect works through the custodians whose turn it is. Only a fault that concerns the whole run is an error; a
// mailbox's own faults are kept in its progress.
func (r *run) collect(ctx context.Context) (err error) {
	if r.over() {
		return nil
	}
	if r.graph, err = r.Collector.Graph(r.source); err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	before := r.graph.Requests()
	defer func() { // other runs of the process may have sent some of them: on Azure there are none
		r.log.InfoContext(ctx, "chunk read", "requests", r.graph.Requests()-before, "ms", r.Now().Sub(r.began).Milliseconds())
	}()
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(mailboxesAtOnce)
	for _, p := range r.custodians {
		if p.over(r.source.RetryPolicy) || p.Due.After(r.Now()) {
			continue
		}
		if r.spent() || inner.Err() != nil {
			break
		}
		g.Go(func() error { return r.custodian(inner, p) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return r.weigh(ctx)
}

// spent reports whether the budget is used up. A run always does something first, so that no budget is too small to
// get anywhere.
func (r *run) spent() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begun && r.Now().Sub(r.began) >= r.Budget
}

// over reports whether the chunk gets no further turn: it is out of attempts or time, or its last part is closed.
func (r *run) over() bool { return r.work.Chunk.Value.Final || r.overtime() || r.ended }

func (r *run) overtime() bool {
	return r.Now().Sub(r.work.Chunk.Value.Started) >= r.source.JobTimeout
}

// custodian collects one mailbox as far as the budget allows.
func (r *run) custodian(ctx context.Context, p *progress) error {
	began := r.Now()
	if r.watch.killed(p.work("")) {
		r.crashed(ctx, p)
		return nil
	}
	r.set(p, capture.Collecting, "", time.Time{})
	reason, err := r.resolve(ctx, p)
	if reason != "" {
		r.set(p, capture.Excluded, reason, time.Time{})
		return nil
	}
	if err == nil {
		err = r.discover(ctx, p)
	}
	if err == nil {
		err = r.fetch(ctx, p)
	}
	if err == nil {
		err = r.recall(ctx, p)
	}
	r.mu.Lock()
	left, broken := len(p.todo), r.broken
	r.mu.Unlock()
	var fault *graph.Error
	switch {
	case broken != nil: // of several items that failed at once, the first may have told of the mailbox alone
		return broken
	case err != nil && (ctx.Err() != nil || !errors.As(err, &fault)):
		return err
	case err != nil:
		r.judge(ctx, p, err)
	case left == 0:
		r.set(p, capture.Collected, "", time.Time{})
		r.mu.Lock()
		r.answered = true
		r.mu.Unlock()
		r.report(ctx, p, r.Now().Sub(began))
	}
	return nil
}

// crashed fails a custodian whose listing kills the process, without a further turn.
func (r *run) crashed(ctx context.Context, p *progress) {
	r.mu.Lock()
	p.Attempts = len(r.source.RetryPolicy) + 1
	r.mu.Unlock()
	r.set(p, capture.Failed, codeCrashed, time.Time{})
	r.log.ErrorContext(ctx, "custodian failed", "custodian", p.Custodian.Name(), "status", string(capture.Failed), "reason", codeCrashed)
}

// slow is the time from which a custodian without items is worth a log line.
const slow = time.Minute

func (r *run) report(ctx context.Context, p *progress, took time.Duration) {
	r.mu.Lock()
	t := p.Total
	r.mu.Unlock()
	if t.Found > 0 || took > slow {
		r.log.InfoContext(ctx, "custodian collected", "custodian", p.Custodian.Name(),
			"found", t.Found, "captured", t.Captured, "excepted", t.Excepted, "unchanged", t.Unchanged, "recovered", t.Recovered, "bytes", t.Bytes, "ms", took.Milliseconds())
	}
}

func (r *run) set(p *progress, s capture.CustodianStatus, reason string, due time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.Status, p.Reason, p.Due = s, reason, due
	p.fresh = p.fresh || s != capture.Collecting
}

// leastWait is how long a throttled mailbox is left alone at least, wherever it asks for less: the run has been patient
// with it already.
const leastWait = time.Minute

// movingWait is how long a mailbox is left alone that is being moved, which takes hours and is no failure.
const movingWait = 30 * time.Minute

// judge turns a mailbox's fault into its status: excluded where the mailbox is not to be had, else failed until the retry
// policy lets it try again. A throttled mailbox waits, which is no failure. Where items were found already the mailbox is
// owed: it fails, and is not excluded.
func (r *run) judge(ctx context.Context, p *progress, err error) {
	now, m := r.Now().UTC(), graph.MeaningOf(err)
	switch reason := exclusion(m); {
	case reason != "" && !p.Listed:
		r.set(p, capture.Excluded, reason, time.Time{})
	case m == graph.Unauthorized, m == graph.Transient:
		r.mu.Lock()
		p.doubt = err // it may be the source's fault: that shows when all have had their turn
		r.mu.Unlock()
		return
	case m == graph.Moving:
		r.set(p, capture.Waiting, string(m), now.Add(movingWait))
	case m == graph.Throttled:
		due := now.Add(leastWait)
		if until := graph.Until(err).UTC(); until.After(due) {
			due = until
		}
		r.set(p, capture.Waiting, string(m), due)
	default:
		r.set(p, capture.Failed, string(m), r.retry(p, now))
	}
	r.log.WarnContext(ctx, "custodian failed", "custodian", p.Custodian.Name(), "status", string(p.Status), "reason", p.Reason, "error", err)
}

// retry counts a failed attempt, and gives the time of the next; zero when there is none.
func (r *run) retry(p *progress, now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.Attempts++
	if p.Attempts > len(r.source.RetryPolicy) {
		return time.Time{}
	}
	return now.Add(r.source.RetryPolicy[p.Attempts-1])
}

// exclusion is the reason for which a mailbox that answers so is excluded; empty: it is not.
func exclusion(m graph.Meaning) string {
	switch m {
	case graph.NoMailbox:
		return capture.ReasonNoMailbox
	case graph.Denied:
		return capture.ReasonDenied
	case graph.NotFound:
		return capture.ReasonNotFound
	}
	return ""
}

// verdict says what becomes of the chunk after a run. One that neither is closed nor waits goes on at once.
type verdict struct {
	closed, wait bool
	due          time.Time // while it waits
}

// verdict looks at the custodians: when all are over the chunk is closed; when those that are left must wait it is due
// with the first of them; and a chunk that is out of attempts or time is closed with what it has.
func (r *run) verdict() verdict {
	open, due := 0, []time.Time(nil)
	for _, p := range r.custodians {
		switch {
		case p.over(r.source.RetryPolicy):
		case p.Status == capture.Failed, p.Due.After(r.Now()):
			due = append(due, p.Due)
		default:
			open++ // the budget ended the run
		}
	}
	switch {
	case open+len(due) == 0:
		return verdict{closed: true}
	case r.over():
		r.giveUp()
		return verdict{closed: true}
	case open == 0:
		due = append(due, r.work.Chunk.Value.Started.Add(r.source.JobTimeout)) // the chunk ends then, whoever still waits
		return verdict{wait: true, due: slices.MinFunc(due, time.Time.Compare).UTC()}
	}
	return verdict{}
}

// giveUp fails the custodians of a chunk that gets no further turn.
func (r *run) giveUp() {
	reason := "OutOfTime"
	if r.work.Chunk.Value.Final {
		reason = "OutOfAttempts"
	}
	for _, p := range r.custodians {
		if !p.over(r.source.RetryPolicy) && p.Status != capture.Failed {
			p.Status, p.Reason, p.Due, p.fresh = capture.Failed, reason, time.Time{}, true
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
