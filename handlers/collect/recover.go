package collect

import (
	"context"
	"slices"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"

	"golang.org/x/sync/errgroup"
)

// againAtMost is how many exceptions of a mailbox are fetched again at a turn.
const againAtMost = 200

// unlistedName begins what stands in the exceptions in place of the id of what could not be listed.
const unlistedName = "unlisted "

// fetchedAgain says whether an exception is worth being fetched again by itself. What killed the process would do so again, and
// what has no id cannot be fetched: it is listed again.
func fetchedAgain(x capture.Exception) bool {
	return x.Code != codeCrashed && !strings.HasPrefix(x.Item.GraphID, unlistedName)
}

// laneExceptions are the lane's exceptions by custodian, as they were when the run began.
func (r *run) laneExceptions(ctx context.Context) (map[string][]ledger.Exception, error) {
	r.excepting.Lock()
	defer r.excepting.Unlock()
	if r.exceptions != nil {
		return r.exceptions, nil
	}
	all, err := r.Ledger.LaneExceptions(ctx, r.source.Name, r.work.Chunk.Value.Lane)
	if err != nil {
		return nil, err
	}
	r.exceptions = map[string][]ledger.Exception{}
	for _, e := range all {
		r.exceptions[e.Custodian] = append(r.exceptions[e.Custodian], e)
	}
	return r.exceptions, nil
}

// recall fetches again what could not be had before: the custodian's open exceptions of earlier batches whose time has come. They do
// not count as found: they are owed to the batches that found them.
func (r *run) recall(ctx context.Context, p *progress) error {
	all, err := r.laneExceptions(ctx)
	if err != nil {
		return err
	}
	var due []*ledger.Exception
	list := all[p.Custodian.Name()]
	for i := range list {
		e := &list[i]
		again := e.Closed == "" && e.Batch != r.batch.ID && !e.Due.IsZero() && !e.Due.After(r.Now())
		if again && r.collects(e.Item.V.Kind) {
			due = append(due, e)
		}
	}
	slices.SortFunc(due, func(a, b *ledger.Exception) int { return a.Due.Compare(b.Due) })
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(itemsAtOnce)
	for _, e := range due[:min(len(due), againAtMost)] {
		if inner.Err() != nil || r.spent() {
			break
		}
		it := e.Item.V
		if !p.owe(r, it.Key(), e) || r.watch.killed(p.work(it.Key())) {
			continue
		}
		g.Go(func() error { return r.item(inner, p, it) })
	}
	err = g.Wait()
	if graph.MeaningOf(err) != "" && ctx.Err() == nil { // the batch's own items are all there
		r.log.WarnContext(ctx, "exceptions left", "custodian", p.Custodian.Name(), "error", err)
		return nil
	}
	return err
}

func (r *run) collects(k capture.Kind) bool {
	if k == capture.Event {
		return r.source.CollectCalendar
	}
	return r.source.CollectEmail
}

// owe notes that an item is owed to an earlier batch; false if that was settled in this run.
func (p *progress) owe(r *run, item string, e *ledger.Exception) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, tried := p.again[item]; tried {
		return false
	}
	if p.again == nil {
		p.again = map[string]*ledger.Exception{}
	}
	p.again[item] = e
	return true
}

// closing ends an open exception in the part being filled. The lock is held.
func (r *run) closing(e *ledger.Exception, how string) {
	part := r.ensurePart()
	item := e.Item.V.Key()
	part.closings = append(part.closings, ledger.Closing{
		Custodian: e.Custodian, Item: item, How: how, In: r.batch.ID, At: r.Now().UTC().Truncate(time.Second),
	})
	for _, batch := range e.Batches() {
		part.closed = append(part.closed, pack.Closed{Batch: batch, Item: item, How: how})
	}
	e.Closed = how
}

// openException finds the open exception of an earlier batch that an item captured now ends; nil if there is none. The lock is held.
func (r *run) openException(p *progress, item string) *ledger.Exception {
	r.excepting.Lock()
	defer r.excepting.Unlock()
	list := r.exceptions[p.Custodian.Name()]
	for i := range list {
		if e := &list[i]; e.Closed == "" && e.Batch != r.batch.ID && e.Item.V.Key() == item {
			return e
		}
	}
	return nil
}

// failedAgain keeps an exception that could not be fetched now either, or ends it where the item is gone. The lock is held.
func (r *run) failedAgain(ctx context.Context, e *ledger.Exception, stage, code string) {
	if code == codeVanished {
		r.closing(e, ledger.ClosedVanished)
		return
	}
	now := r.Now().UTC()
	part := r.ensurePart()
	part.again = append(part.again, capture.Exception{
		Custodian: e.Custodian, Item: e.Item.V, Batch: e.Batch, Stage: stage, Code: code, Attempts: 1, FirstSeen: e.FirstSeen, LastSeen: now,
	})
	r.log.WarnContext(ctx, "item excepted", "custodian", e.Custodian, "item", e.Item.V.Key(), "stage", stage, "code", code, "attempts", e.Attempts+1)
}

// listedAgain ends the exceptions that stand for what could not be listed, where a further listing of the period had all.
func (r *run) listedAgain(ctx context.Context, p *progress, kind capture.Kind) error {
	if r.batch.Reason == capture.ReasonWindow {
		return nil
	}
	all, err := r.laneExceptions(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	list := all[p.Custodian.Name()]
	for i := range list {
		e := &list[i]
		it := e.Item.V
		if e.Closed == "" && it.Kind == kind && strings.HasPrefix(it.GraphID, unlistedName) && r.batch.Window().Contains(it.Received) {
			r.closing(e, ledger.ClosedListed)
		}
	}
	return nil
}
