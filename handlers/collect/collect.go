// Package collect carries out one chunk: it finds what a lane's custodians are owed in a batch, fetches it from Graph, and
// lays it down as packages, each of which is committed whole or never happened.
//
// A run takes the chunk (the ledger's lane), goes on from the record of the last closed part, and works until the chunk
// is done or its budget is spent. What it gathered becomes one or more parts, closed by the protocol of part.go. Whatever
// line a run dies at, the next one finds either a closed part or none.
package collect

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/chain"
	"chainmail/handlers/config"
	"chainmail/handlers/graph"
	"chainmail/handlers/ledger"
	"chainmail/handlers/mailfmt/doctext"
	"chainmail/handlers/settings"
	"chainmail/handlers/spool"
	"chainmail/handlers/vault"
)

// Limits bound a package, so that none needs ZIP64, a killed run loses minutes, and one tool opens it.
type Limits struct {
	Entries int   // files in a package; 0: 20,000
	Bytes   int64 // of a package; 0: 1 GiB
}

// A Collector needs all its fields but Limits.
type Collector struct {
	Config   *config.Store
	Ledger   *ledger.Ledger
	State    *vault.Container
	Evidence func(container string) *vault.Container
	Chain    *chain.Chain
	Graph    func(settings.Source) (*graph.Client, error)
	Spool    *spool.Budget
	Texts    *doctext.Extractor
	Budget   time.Duration // of a run; after it no further item is begun
	Limits   Limits
	Log      *slog.Logger
	Now      func() time.Time

	reader reader
}

// Run works on the chunk that a queue message names and returns the chunk whose message is to be given out next; false
// when there is none. An error means that the message shall come again; everything that ends a message for good (a batch
// that does not exist, a lane that another run holds) is logged and is no error.
func (c *Collector) Run(ctx context.Context, chunk capture.Chunk) (capture.Chunk, bool, error) {
	log := c.Log.With("source", chunk.Source, "batch", chunk.Batch, "lane", chunk.Lane)
	force, err := c.Config.Current(ctx)
	if err != nil {
		return capture.Chunk{}, false, err
	}
	source, ok := force.Source(chunk.Source)
	if !ok {
		log.WarnContext(ctx, "chunk refused", "reason", "the settings have no such source")
		return capture.Chunk{}, false, nil
	}
	run, now := rand.Text(), c.Now().UTC()
	work, err := c.Ledger.Take(ctx, chunk, run, now, now.Add(c.lease()))
	switch {
	case errors.Is(err, ledger.ErrHeld), errors.Is(err, ledger.ErrStale), errors.Is(err, ledger.ErrNotFound):
		log.InfoContext(ctx, "chunk left", "reason", err.Error())
		return capture.Chunk{}, false, nil
	case err != nil:
		return capture.Chunk{}, false, err
	}
	next, more, err := c.work(ctx, log, source, &work)
	if err != nil && (errors.Is(err, ledger.ErrConflict) || c.giveBack(ctx, log, &work)) {
		log.WarnContext(ctx, "chunk lost", "reason", "another run has taken it") // which does all that this one did not
		return capture.Chunk{}, false, nil
	}
	return next, more, err
}

// lease is how long a lane is held without a sign of life. A run gives one three times within it.
func (c *Collector) lease() time.Duration { return max(c.Budget/4, time.Second) }

// giveBack gives the lane back after a fault, also when the invocation's own time is over. It reports whether the lane
// was lost before: the fault is then a consequence, such as blocks refused for a package that the rival has closed.
func (c *Collector) giveBack(ctx context.Context, log *slog.Logger, work *ledger.Work) (lost bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := c.Ledger.Extend(ctx, work, c.Now().UTC().Add(c.lease()))
	if errors.Is(err, ledger.ErrConflict) {
		return true
	}
	if err == nil {
		err = c.Ledger.Release(ctx, work)
	}
	if err != nil {
		log.WarnContext(ctx, "lane not released", "error", err) // its lease ends
	}
	return false
}

// work is a run on a chunk that it holds.
func (c *Collector) work(ctx context.Context, log *slog.Logger, source settings.Source, work *ledger.Work) (capture.Chunk, bool, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := c.hold(ctx, cancel, work)
	defer stop()

	batch, err := c.Ledger.Batch(ctx, source.Name, work.Chunk.Value.Batch)
	if err != nil {
		return capture.Chunk{}, false, err
	}
	r := &run{Collector: c, ctx: ctx, log: log, source: source, batch: batch.Value, work: work, began: c.Now()}
	if err := r.prepare(ctx); err != nil {
		return capture.Chunk{}, false, cause(ctx, err)
	}
	if err := c.Ledger.Progress(ctx, source.Name, batch.Value.ID, capture.Retrieving, c.Now().UTC()); err != nil {
		return capture.Chunk{}, false, err
	}
	log.InfoContext(ctx, "chunk started", "custodians", len(r.custodians), "part", work.Chunk.Value.Part+1, "attempt", work.Chunk.Value.Attempts+1)
	if err := r.collect(ctx); err != nil {
		return capture.Chunk{}, false, cause(ctx, err)
	}
	if err := r.end(); err != nil {
		return capture.Chunk{}, false, cause(ctx, err)
	}
	stop() // once the run has left the lane, an extension would look like a lost lane
	return r.leave(ctx)
}

// cause is the reason for which the context ended, if it did: a lost lane counts before the errors that follow from it.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil && errors.Is(c, ledger.ErrConflict) {
		return c
	}
	return err
}

// hold extends the lane's lease while the run lasts. Losing the lane ends the run.
func (c *Collector) hold(ctx context.Context, cancel context.CancelCauseFunc, work *ledger.Work) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	mine := *work // the rows change under the run's hands; the lane's number and the run's name do not
	go func() {
		defer close(ended)
		tick := time.NewTicker(c.lease() / 3)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			err := c.Ledger.Extend(ctx, &mine, c.Now().UTC().Add(c.lease()))
			if errors.Is(err, ledger.ErrConflict) {
				cancel(err)
				return
			}
		}
	}()
	return sync.OnceFunc(func() { close(done); <-ended })
}

// prepare finishes a part that a dead run left half closed, and takes up the chunk where the last closed part left it.
func (r *run) prepare(ctx context.Context) error {
	r.evidence = r.Evidence(r.source.Container)
	if err := r.evidence.Ensure(ctx); err != nil {
		return fmt.Errorf("open evidence: %w", err)
	}
	chunk := r.work.Chunk.Value
	blob := fmt.Sprintf("watch/%s/%s/%05d.json", r.source.Name, r.batch.ID, chunk.Lane)
	var err error
	if r.watch, err = openWatch(ctx, r.State, blob, chunk.Deaths); err != nil {
		return err
	}
	if err := r.callRoll(ctx); err != nil {
		return err
	}
	if r.work.Chunk.Value.Pending != "" {
		if err := r.finishPending(ctx); err != nil {
			return err
		}
	}
	if name := r.work.Chunk.Value.Record; name != "" {
		return r.resume(ctx, name)
	}
	return r.fresh(ctx)
}

// fresh takes the chunk's custodians from the batch's snapshot.
func (r *run) fresh(ctx context.Context) error {
	all, err := r.Chain.Custodians(ctx, r.batch)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.Lane != r.work.Chunk.Value.Lane {
			continue
		}
		p := &progress{Custodian: c, Status: capture.Waiting}
		if c.Reason != "" {
			p.Status, p.Reason = capture.Excluded, c.Reason
			p.fresh = true // its exclusion is to be sealed
		}
		r.custodians = append(r.custodians, p)
	}
	return nil
}

// end closes the last part of the run, if there is anything to tell. A chunk's end always has something: the final
// statuses of its custodians.
func (r *run) end() error {
	chunk := &r.work.Chunk.Value
	verdict := r.verdict()
	if verdict.closed && !r.ended || r.dirty() {
		if err := r.close(verdict.closed); err != nil {
			return err
		}
	}
	chunk.Due = verdict.due
	switch {
	case verdict.closed:
		chunk.Status, chunk.Final = ledger.ChunkClosed, false
	case verdict.wait:
		chunk.Status = ledger.ChunkPendingRetry
	}
	return nil
}

// leave gives the lane on, and seals the batch when this was its last chunk.
func (r *run) leave(ctx context.Context) (capture.Chunk, bool, error) {
	now := r.Now().UTC()
	next, more, err := r.Ledger.Leave(ctx, r.work, now)
	if err != nil {
		return capture.Chunk{}, false, err
	}
	switch r.work.Chunk.Value.Status {
	case ledger.ChunkPendingRetry:
		err = r.Ledger.Progress(ctx, r.source.Name, r.batch.ID, capture.PendingRetry, now)
	case ledger.ChunkClosed:
		_, err = r.Chain.Finish(ctx, r.source, r.batch.ID)
	}
	if err != nil {
		// The lane has moved on: the planner seals what is left unsealed, but nobody else gives out the next message
		// so soon.
		r.log.WarnContext(ctx, "batch not advanced", "error", err)
	}
	return next, more, nil
}
