package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/pack"
	"chainmail/handlers/spool"

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
	end, err := r.watch.begin(ctx, p.work(""))
	if err != nil {
		return err
	}
	defer end()
	found := map[string]*capture.Item{}
	var lost []graph.Unlisted
	if r.source.CollectEmail {
		if lost, err = r.discoverMail(ctx, p, found); err != nil {
			return err
		}
		if err := r.compare(ctx, p, found, lost); err != nil {
			return err
		}
	}
	if r.source.CollectCalendar {
		if err := r.discoverEvents(ctx, p, found); err != nil {
			return err
		}
	}
	r.listed(ctx, p, found, lost)
	return nil
}

// compare holds what was listed against what the evidence has already.
func (r *run) compare(ctx context.Context, p *progress, found map[string]*capture.Item, lost []graph.Unlisted) error {
	if len(lost) == 0 {
		if err := errors.Join(r.listedAgain(ctx, p, capture.Email), r.deleted(ctx, p, found)); err != nil {
			return err
		}
	}
	if err := r.missing(ctx, p, found); err != nil {
		return err
	}
	return r.imported(ctx, p, found)
}

// discoverMail finds the emails that the custodian is owed, and what cannot be listed of them.
func (r *run) discoverMail(ctx context.Context, p *progress, found map[string]*capture.Item) (lost []graph.Unlisted, err error) {
	quick := r.source.QuickDiscovery && r.batch.Reason != capture.ReasonLate // which holds the quick way against the other
	q := graph.Query{Window: r.batch.Window(), Quick: quick, Drafts: r.source.Drafts}
	words := words{}
	var before []string
	for n := range listings {
		l, err := r.graph.List(ctx, p.Custodian.ID, q)
		if err != nil {
			return nil, err
		}
		lost = l.Unlisted // what could not be listed in passing is there by now
		keys := make([]string, 0, len(l.Items))
		fresh := false
		for i := range l.Items {
			it := &l.Items[i]
			words.share(it)
			key := it.Key()
			keys = append(keys, key)
			known, ok := found[key]
			fresh = fresh || !ok
			switch {
			case !ok:
				known = new(*it) // pointing into the listing would keep all of it
				found[key] = known
			case q.IDsOnly: // a row of ids knows only where the item is now
				known.State, known.Folder, known.FolderID = it.State, it.Folder, it.FolderID
			default:
				*known = *it
			}
		}
		slices.Sort(keys)
		if n > 0 && slices.Equal(keys, before) {
			break
		}
		before = keys
		q.IDsOnly = n == 0 || !fresh // what a listing of ids found new is listed once more in full
	}
	return lost, nil
}

// words are texts that many items have in common, such as their folders, each kept once.
type words map[string]string

func (w words) share(it *capture.Item) {
	for _, text := range []*string{&it.Folder, &it.FolderID, &it.Class, (*string)(&it.Kind), (*string)(&it.State)} {
		known, ok := w[*text]
		if !ok {
			known = *text
			w[known] = known
		}
		*text = known
	}
}

// listed notes what is owed. What Graph cannot list is owed as well: it stands in the exceptions, under a name of ours in
// place of the id that nobody knows.
func (r *run) listed(ctx context.Context, p *progress, found map[string]*capture.Item, lost []graph.Unlisted) {
	if len(lost) > 0 {
		r.note(p, pack.ScopeUnlisted, "they stand in the exceptions, and the period is listed again")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p.todo, p.Listed, p.fresh, r.begun, r.answered = found, true, true, true, true
	p.count(tally{Found: len(found)})
	for _, u := range lost {
		for n := range u.Count {
			p.count(tally{Found: 1})
			r.leaveOut(ctx, p, capture.Item{
				GraphID: fmt.Sprintf(unlistedName+"%s %s %d", u.FolderID, u.Window.Start.UTC().Format(time.RFC3339), n+1),
				Kind:    capture.Email, Folder: u.Folder, FolderID: u.FolderID, State: u.State, Received: u.Window.Start.UTC(),
			}, stageList, u.Code)
		}
	}
}

// resolve finds the mailbox of a custodian that has no object id, because the directory did not answer when the list was
// read. It judges as the list's reader would have: the reason says why the mailbox is not collected.
func (r *run) resolve(ctx context.Context, p *progress) (reason string, err error) {
	if p.Custodian.ID != "" {
		return "", nil
	}
	var user graph.User
	for _, name := range append([]string{p.Custodian.Identifier}, p.Custodian.Secondary...) {
		if user, err = r.graph.FindUser(ctx, name); graph.MeaningOf(err) != graph.NotFound {
			break
		}
	}
	if err != nil {
		return "", err
	}
	if user.UnlicensedGuest() {
		return capture.ReasonGuest, nil
	}
	all, err := r.Chain.Custodians(ctx, r.batch)
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := slices.ContainsFunc(all, func(c capture.Custodian) bool { return c.ID == user.ID }) ||
		slices.ContainsFunc(r.custodians, func(other *progress) bool { return other.Custodian.ID == user.ID })
	if taken {
		return capture.ReasonDuplicate, nil
	}
	p.Custodian.ID = user.ID
	return "", nil
}

// fetch captures what is still to fetch, the oldest first, until the budget is spent.
func (r *run) fetch(ctx context.Context, p *progress) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(itemsAtOnce)
	for _, it := range r.owed(p) {
		if ctx.Err() != nil || r.spent() {
			break
		}
		if r.watch.killed(p.work(it.Key())) {
			if err := r.except(ctx, p, *it, stageRead, codeCrashed); err != nil {
				return err
			}
			continue
		}
		g.Go(func() error { return r.item(ctx, p, *it) })
	}
	return g.Wait()
}

func (r *run) owed(p *progress) []*capture.Item {
	r.mu.Lock()
	defer r.mu.Unlock()
	items := make([]*capture.Item, 0, len(p.todo))
	for _, it := range p.todo {
		items = append(items, it)
	}
	slices.SortFunc(items, func(a, b *capture.Item) int {
		return cmp.Or(a.Received.Compare(b.Received), cmp.Compare(a.GraphID, b.GraphID))
	})
	return items
}

// Codes of exceptions that are ours, not Graph's.
const (
	codeVanished = "Vanished" // listed, and gone when it was to be fetched
	codeTooLarge = "TooLarge" // no package has room for it
	codeCrashed  = "Crashed"  // it killed the process, alone and three times
	codePanic    = "Panic"    // reading it ended in a panic
	stageList    = "list"
	stageFetch   = "fetch"
	stageRead    = "read"
	stageWrite   = "write"
)

// work names a piece of work on the mailbox for the watch: an item by its key, the listing by an empty one.
func (p *progress) work(item string) string { return workName(p.Custodian.Name(), item) }

func workName(custodian, item string) string { return custodian + "/" + item }

// item captures one item, or records why it cannot be had. Only a fault of the mailbox is an error.
func (r *run) item(ctx context.Context, p *progress, it capture.Item) error {
	end, err := r.watch.begin(ctx, p.work(it.Key()))
	if err != nil {
		return err
	}
	defer end()
	err = r.take(ctx, p, it, estimate(it.Size))
	if errors.Is(err, spool.ErrCrowded) { // it is larger than it seemed, and others hold what it needs
		err = r.take(ctx, p, it, spool.Alone)
	}
	return err
}

// take fetches an item, reads it and puts it into the package, with so much room in the spool.
func (r *run) take(ctx context.Context, p *progress, it capture.Item, room int64) error {
	lease, err := r.Spool.Acquire(ctx, room)
	if err != nil {
		return err
	}
	defer lease.Release()
	if it.Kind == capture.Event {
		return r.event(ctx, p, it, lease)
	}
	native := lease.New()
	made, code, err := r.native(ctx, p, it, lease, native)
	switch {
	case err != nil:
		return err
	case code != "":
		return r.except(ctx, p, it, stageFetch, code)
	}
	family, panicked, err := r.read(ctx, lease, p.Custodian, it, native)
	switch {
	case panicked:
		return r.except(ctx, p, it, stageRead, codePanic)
	case err != nil:
		return err
	case made != nil:
		made.mark(&family[0])
	}
	size := native.Size()
	if err := native.Close(); err != nil { // it may be large, and the package be busy
		return err
	}
	return r.add(ctx, p, it, family, size)
}

// read makes a family of an item's native. A panic costs that item, not the process with everything that it does besides.
func (r *run) read(ctx context.Context, lease *spool.Lease, c capture.Custodian, it capture.Item, native *spool.Buffer) (family []pack.Document, panicked bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			panicked = true
			r.log.ErrorContext(ctx, "reading panicked", "item", it.Key(), "value", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
		}
	}()
	family, err = r.family(ctx, lease, c, it, native)
	return family, false, err
}

// unknownSize is what is taken for an item's size where Exchange does not tell it: few are larger.
const unknownSize = 4 << 20

// estimate is the room that an item takes in the spool: as MIME, a third larger than Exchange's own account of it, its
// attachments, and while they are compressed the largest of them once more, or all of it at the end. What is synthesised takes
// less before that: its attachments, and the MIME that is made of them.
func estimate(size int64) int64 {
	if size <= 0 {
		size = unknownSize
	}
	return size*7/2 + 256<<10
}

// itemFault tells a fault of one item, by its code, from one of its mailbox, which stays an error. An item that answers
// with server errors, or as if there were no mailbox or it were closed, is at fault itself when the mailbox answers
// beside it; else the mailbox's own answer is the fault.
func (r *run) itemFault(ctx context.Context, p *progress, err error) (code string, _ error) {
	switch graph.MeaningOf(err) {
	case graph.NotFound:
		return codeVanished, nil
	case graph.BadItem:
		return graph.CodeOf(err), nil
	case graph.Transient, graph.Broken, graph.Bad, graph.Denied, graph.NoMailbox:
		if err := r.graph.ProbeMailbox(ctx, p.Custodian.ID); err != nil {
			return "", err
		}
		return graph.CodeOf(err), nil
	}
	return "", err
}
