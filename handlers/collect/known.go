package collect

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"

	"golang.org/x/sync/errgroup"
)

// Knowledge is what the evidence has already of a lane's custodians and a batch's period. A batch of the schedule needs none: no
// other has its time. A supplement and a second look list time anew that was collected in part or whole, and capture what is
// missing.
type knowledge struct {
	items  map[string]*knownItem // by custodian and item key
	copies map[string]bool       // by custodian, Message-ID and time received
}

// knownItem is an email that was captured, where it lay when it was seen last, and when that was.
type knownItem struct {
	pack.DeletionRow      // SeenAfter and From as of the last sight
	excepted         bool // it was not captured, and stands in the exceptions
}

func copyKey(custodian, messageID string, received time.Time) string {
	return custodian + " " + messageID + " " + strconv.FormatInt(received.Unix(), 10)
}

// know gathers the knowledge, once for a run.
func (r *run) know(ctx context.Context) (*knowledge, error) {
	r.knowing.Lock()
	defer r.knowing.Unlock()
	if r.known != nil {
		return r.known, nil
	}
	mine := map[string]bool{}
	for _, p := range r.custodians {
		mine[p.Custodian.Name()] = true
	}
	batches, err := r.Ledger.Overlapping(ctx, r.source.Name, r.batch.Window())
	if err == nil {
		r.known, err = r.gather(ctx, batches, mine)
	}
	return r.known, err
}

// gather reads what other batches have in the lane of some custodians.
func (r *run) gather(ctx context.Context, batches []ledger.Row[ledger.Batch], mine map[string]bool) (*knowledge, error) {
	names, err := r.otherParts(ctx, batches)
	if err != nil {
		return nil, err
	}
	k := &knowledge{items: map[string]*knownItem{}, copies: map[string]bool{}}
	if err := r.readItems(ctx, names, mine, k); err != nil {
		return nil, err
	}
	all, err := r.laneExceptions(ctx)
	if err != nil {
		return nil, err
	}
	for _, list := range all {
		for _, e := range list {
			key := workName(e.Custodian, e.Item.V.Key())
			if e.Item.V.Kind == capture.Email && k.items[key] == nil && (e.Closed == "" || e.Closed == ledger.ClosedCaptured) {
				k.items[key] = &knownItem{excepted: true}
			}
		}
	}
	return k, nil
}

// otherPart is a closed part of another batch, and when its chunk was begun.
type otherPart struct {
	name  pack.Name
	begun time.Time
}

// otherParts are the closed parts of the lane in batches other than this one, the oldest first.
func (r *run) otherParts(ctx context.Context, batches []ledger.Row[ledger.Batch]) ([]otherPart, error) {
	lane := r.work.Chunk.Value.Lane
	var all []otherPart
	for _, b := range batches {
		if b.Value.ID == r.batch.ID || !slices.Contains(b.Value.Lanes.V, lane) {
			continue
		}
		c, err := r.Ledger.Chunk(ctx, r.source.Name, b.Value.ID, lane)
		if err != nil {
			return nil, err
		}
		for part := 1; part <= c.Value.Part; part++ {
			if !slices.Contains(c.Value.Burnt.V, part) {
				all = append(all, otherPart{pack.Name{Source: r.source.Name, Batch: b.Value.ID, Lane: lane, Part: part}, c.Value.Started})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b otherPart) int { return a.begun.Compare(b.begun) })
	return all, nil
}

// readItems reads what the parts captured of the custodians, and what was seen deleted since.
func (r *run) readItems(ctx context.Context, parts []otherPart, mine map[string]bool, k *knowledge) error {
	type read struct {
		items     []pack.ItemRow
		deletions []pack.DeletionRow
	}
	for some := range slices.Chunk(parts, 8) {
		got := make([]read, len(some))
		g, ctx := errgroup.WithContext(ctx)
		for i, part := range some {
			g.Go(func() (err error) {
				got[i].items, got[i].deletions, err = r.readPart(ctx, part.name, mine)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		for i, part := range some {
			for _, row := range got[i].items {
				k.add(row, part)
			}
			for _, row := range got[i].deletions {
				if it := k.items[workName(row.Custodian, row.Item)]; it != nil {
					it.From, it.SeenAfter = row.To, row.SeenBy
				}
			}
		}
	}
	return nil
}

// add takes a captured item in. What was captured again, in a batch that began the collection anew, counts as it was seen last.
func (k *knowledge) add(row pack.ItemRow, part otherPart) {
	k.items[workName(row.Custodian, row.Item)] = &knownItem{DeletionRow: pack.DeletionRow{
		Custodian: row.Custodian, Item: row.Item, GraphID: row.GraphID, Folder: row.Folder, Received: row.Received,
		Batch: part.name.Batch, From: row.State, SeenAfter: part.begun,
	}}
	if row.InternetMessageID != "" {
		k.copies[copyKey(row.Custodian, row.InternetMessageID, row.Received)] = true
	}
}

// readPart reads a part's lists: the custodians' own emails, and what was seen deleted. Its seal says which lists there are.
func (r *run) readPart(ctx context.Context, name pack.Name, mine map[string]bool) (items []pack.ItemRow, deletions []pack.DeletionRow, err error) {
	data, err := r.evidence.Get(ctx, name.Seal())
	if err != nil {
		return nil, nil, fmt.Errorf("read seal: %w", err)
	}
	seal, err := pack.ParseSeal(data)
	if err != nil {
		return nil, nil, err
	}
	if seal.ItemsSHA256 != "" {
		if data, err = r.evidence.Get(ctx, name.Items()); err != nil {
			return nil, nil, fmt.Errorf("read items: %w", err)
		}
		if items, err = pack.DecodeItems(data); err != nil {
			return nil, nil, err
		}
		items = slices.DeleteFunc(items, func(row pack.ItemRow) bool {
			return row.Kind != capture.Email || row.Parent != "" || !mine[row.Custodian]
		})
	}
	if seal.DeletionsSHA256 != "" {
		if data, err = r.evidence.Get(ctx, name.Deletions()); err != nil {
			return nil, nil, fmt.Errorf("read deletions: %w", err)
		}
		deletions, err = pack.DecodeDeletions(data)
	}
	return items, deletions, err
}

// missing takes out of what a listing found what the evidence has already.
func (r *run) missing(ctx context.Context, p *progress, found map[string]*capture.Item) error {
	if r.batch.Reason == capture.ReasonWindow {
		return nil
	}
	k, err := r.know(ctx)
	if err == nil {
		r.sift(p, k, found)
	}
	return err
}

// sift takes out of what was found what is known, and counts it. A copy under another id, as an import makes it, has the Message-ID
// and the time received of what was captured.
func (r *run) sift(p *progress, k *knowledge, found map[string]*capture.Item) {
	custodian := p.Custodian.Name()
	same, copies := 0, 0
	for key, it := range found {
		switch {
		case k.items[workName(custodian, key)] != nil:
			same++
		case it.InternetMessageID != "" && k.copies[copyKey(custodian, it.InternetMessageID, it.Received)]:
			copies++
		default:
			continue
		}
		delete(found, key)
	}
	if copies > 0 {
		r.note(p, "copies", fmt.Sprintf("not captured again: %d have the Message-ID and the time received of captured emails", copies))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p.count(tally{Found: same + copies, Unchanged: same + copies})
}

// imported finds, at a second look, what came into the mailbox since the period's beginning and was received before it: what was
// imported or restored keeps its time received. It is owed as far back as the source goes and the individual was monitored.
func (r *run) imported(ctx context.Context, p *progress, found map[string]*capture.Item) error {
	if r.batch.Reason != capture.ReasonLate {
		return nil
	}
	source, err := r.Ledger.Source(ctx, r.source.Name)
	if err != nil {
		return err
	}
	past := capture.Window{Start: source.Value.Begin.UTC().Truncate(time.Second), End: r.batch.Start}
	if past.Start.IsZero() || !past.Start.Before(past.End) {
		return nil
	}
	l, err := r.graph.List(ctx, p.Custodian.ID, graph.Query{Window: past, CreatedFrom: r.batch.Start, Quick: true, Drafts: r.source.Drafts})
	if graph.MeaningOf(err) == graph.Bad {
		r.note(p, "imports", "not looked for: Microsoft Graph refuses a filter on createdDateTime here")
		return nil
	}
	if err != nil || len(l.Items) == 0 {
		return err
	}
	person, err := r.Ledger.Person(ctx, r.source.Name, ledger.PersonKey(p.Custodian.Identifier))
	if err != nil {
		return err
	}
	late, hull := map[string]*capture.Item{}, capture.Window{Start: l.Items[0].Received.Truncate(time.Second)}
	for i := range l.Items {
		it := &l.Items[i]
		hull.End = it.Received.Truncate(time.Second).Add(time.Second)
		if person.Value.Monitored(capture.Window{Start: it.Received, End: it.Received.Add(time.Second)}) {
			late[it.Key()] = new(*it)
		}
	}
	batches, err := r.mayHave(ctx, hull)
	if err != nil {
		return err
	}
	k, err := r.gather(ctx, batches, map[string]bool{p.Custodian.Name(): true})
	if err != nil {
		return err
	}
	r.sift(p, k, late)
	maps.Copy(found, late)
	return nil
}

// mayHave are the batches that may have captured what was received at a time and came into the mailbox about now: those of that time,
// and the second looks of these weeks.
func (r *run) mayHave(ctx context.Context, received capture.Window) ([]ledger.Row[ledger.Batch], error) {
	const weeks = 3 * 7 * 24 * time.Hour
	all, err := r.Ledger.Overlapping(ctx, r.source.Name, received)
	if err != nil {
		return nil, err
	}
	lately, err := r.Ledger.Overlapping(ctx, r.source.Name, capture.Window{Start: r.batch.Start.Add(-weeks), End: r.batch.End.Add(weeks)})
	for _, b := range lately {
		if b.Value.Reason == capture.ReasonLate && !slices.ContainsFunc(all, func(a ledger.Row[ledger.Batch]) bool { return a.Value.ID == b.Value.ID }) {
			all = append(all, b)
		}
	}
	return all, err
}

// gone is the state of an email that lies in no folder any more that is collected.
const gone capture.State = "gone"

// deleted finds what was captured in the period and has been deleted since, as a whole listing shows it.
func (r *run) deleted(ctx context.Context, p *progress, listed map[string]*capture.Item) error {
	if r.batch.Reason != capture.ReasonLate {
		return nil
	}
	k, err := r.know(ctx)
	if err != nil {
		return err
	}
	var rows []pack.DeletionRow
	window := r.batch.Window()
	for _, it := range k.items {
		if it.excepted || it.Custodian != p.Custodian.Name() || !window.Contains(it.Received) {
			continue
		}
		to := gone
		if now := listed[it.Item]; now != nil {
			to = now.State
		}
		if rank(to) <= rank(it.From) {
			continue // where it was, or taken back
		}
		row := it.DeletionRow
		row.To, row.SeenBy = to, r.Now().UTC().Truncate(time.Second)
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b pack.DeletionRow) int { return a.Received.Compare(b.Received) })
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(rows) > 0 {
		part := r.ensurePart()
		part.deletions = append(part.deletions, rows...)
		p.count(tally{Deleted: len(rows)})
	}
	return nil
}

// rank orders states by how far an email is deleted.
func rank(s capture.State) int {
	return slices.Index([]capture.State{capture.Active, capture.Deleted, capture.Recoverable, capture.Purged, gone}, s)
}
