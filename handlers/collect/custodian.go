package collect

import (
	"cmp"
	"context"
	"slices"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"

	"golang.org/x/sync/errgroup"
)

// listings is how often a mailbox is listed at most until two listings agree. Graph pages by offset: what is removed
// while one walks shifts later pages, so that one listing alone may miss an item.
const listings = 3

// discover finds every item that the custodian is owed, before any is fetched. An item seen once is owed: if it is gone
// when it is fetched, it stands in the exceptions as Vanished.
func (r *run) discover(ctx context.Context, p *progress) error {
	if p.Listed {
		return nil
	}
	if p.Custodian.ID == "" { // the directory did not answer when the list was read
		user, err := r.graph.FindUser(ctx, p.Custodian.Identifier)
		if err != nil {
			return err
		}
		p.Custodian.ID = user.ID
	}
	q := graph.Query{Window: r.batch.Window(), Quick: r.source.QuickDiscovery, Drafts: r.source.Drafts}
	found := map[string]capture.Item{}
	var before []string
	for n := range listings {
		l, err := r.graph.List(ctx, p.Custodian.ID, q)
		if err != nil {
			return err
		}
		var keys []string
		fresh := false
		for _, it := range l.Items {
			key := it.Key()
			keys = append(keys, key)
			known, ok := found[key]
			fresh = fresh || !ok
			if ok && q.IDsOnly { // a row of ids knows only where the item is now
				known.State, known.Folder, known.FolderID = it.State, it.Folder, it.FolderID
				it = known
			}
			found[key] = it
		}
		slices.Sort(keys)
		if n > 0 && slices.Equal(keys, before) {
			break
		}
		before = keys
		q.IDsOnly = n == 0 || !fresh // what a listing of ids found new is listed once more in full
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p.todo, p.Listed, p.fresh, r.begun = found, true, true, true
	p.tally.found += len(found)
	return nil
}

// fetch captures what is still to fetch, the oldest first, until the budget is spent.
func (r *run) fetch(ctx context.Context, p *progress) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(itemsAtOnce)
	for _, it := range r.owed(p) {
		if ctx.Err() != nil || r.spent() {
			break
		}
		g.Go(func() error { return r.item(ctx, p, it) })
	}
	return g.Wait()
}

func (r *run) owed(p *progress) []capture.Item {
	r.mu.Lock()
	defer r.mu.Unlock()
	items := make([]capture.Item, 0, len(p.todo))
	for _, it := range p.todo {
		items = append(items, it)
	}
	slices.SortFunc(items, func(a, b capture.Item) int {
		return cmp.Or(a.Received.Compare(b.Received), cmp.Compare(a.GraphID, b.GraphID))
	})
	return items
}

// Codes of exceptions that are ours, not Graph's.
const (
	codeVanished = "Vanished" // listed, and gone when it was to be fetched
	stageFetch   = "fetch"
)

// item captures one item, or records why it cannot be had. Only a fault of the mailbox is an error.
func (r *run) item(ctx context.Context, p *progress, it capture.Item) error {
	lease, err := r.Spool.Acquire(ctx, estimate(it.Size))
	if err != nil {
		return err
	}
	defer lease.Release()
	native := lease.New()
	_, err = r.graph.MIME(ctx, p.Custodian.ID, it.GraphID, native)
	if code, ofItem := r.itemFault(ctx, p, err); ofItem {
		return r.except(ctx, p, it, stageFetch, code)
	}
	if err != nil {
		return err
	}
	family, err := document(lease, p.Custodian, it, native)
	if err != nil {
		return err
	}
	return r.add(ctx, p, it, family, native.Size())
}

// estimate is the room that an item takes in the spool: as MIME, a third larger than Exchange's own account of it, and
// once more compressed, with its text.
func estimate(size int64) int64 { return size*5/2 + 256<<10 }

// itemFault tells a fault of one item from one of its mailbox. An item that answers with server errors is at fault itself
// when the mailbox answers beside it.
func (r *run) itemFault(ctx context.Context, p *progress, err error) (code string, ofItem bool) {
	switch graph.MeaningOf(err) {
	case graph.NotFound:
		return codeVanished, true
	case graph.BadItem:
		return graph.CodeOf(err), true
	case graph.Transient, graph.Broken, graph.Bad:
		if r.graph.ProbeMailbox(ctx, p.Custodian.ID) == nil {
			return graph.CodeOf(err), true
		}
	}
	return "", false
}
