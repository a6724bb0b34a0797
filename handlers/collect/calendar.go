package collect

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/ledger"
	"chainmail/handlers/mailfmt/event"
	"chainmail/handlers/pack"
	"chainmail/handlers/spool"
)

// codeNoEvent is the code of an event that cannot be written as a calendar.
const codeNoEvent = "UnreadableEvent"

// discoverEvents finds the events that the custodian is owed, besides what was found already, and counts those that were
// captured as they are now. Where the app may not read calendars the email goes on without them.
func (r *run) discoverEvents(ctx context.Context, p *progress, found map[string]*capture.Item) error {
	calendars, err := r.graph.Calendars(ctx, p.Custodian.ID)
	if m := graph.MeaningOf(err); r.source.CollectEmail && (m == graph.Denied || m == graph.Unauthorized) {
		r.note(p, pack.ScopeCalendars, "denied: the app may not read calendars; it needs the application permission Calendars.Read")
		r.log.ErrorContext(ctx, "calendars not read", "custodian", p.Custodian.Name(), "error", err)
		return r.Ledger.Complain(ctx, r.source.Name, "CalendarsDenied", r.Now().UTC())
	}
	if err != nil {
		return err
	}
	if err := r.listedAgain(ctx, p, capture.Event); err != nil {
		return err
	}
	others := 0
	events := map[string]*capture.Item{}
	for _, one := range calendars {
		if !one.Own {
			others++
			continue
		}
		if err := r.listEvents(ctx, p, one, events); err != nil {
			return err
		}
	}
	if others > 0 {
		r.note(p, "calendars of others", fmt.Sprintf("left out by rule: %d are shared with the mailbox", others))
	}
	return r.unknown(ctx, p, events, found)
}

// listEvents lists a calendar until two listings agree. One that fails each time is itself what cannot be had, as long as the
// mailbox answers beside it.
func (r *run) listEvents(ctx context.Context, p *progress, one graph.Calendar, events map[string]*capture.Item) error {
	var before []string
	var fault error
	for n := range listings {
		items, err := r.graph.Events(ctx, p.Custodian.ID, one, r.eventQuery())
		if m := graph.MeaningOf(err); m == graph.NotFound { // it went while we listed
			return nil
		} else if err != nil && (m == "" || m == graph.Throttled) {
			return err
		}
		if fault = err; err != nil {
			continue
		}
		var seen []string
		for i := range items {
			seen = append(seen, items[i].GraphID+" "+items[i].ChangeKey)
			events[items[i].Key()] = &items[i]
		}
		if n > 0 && slices.Equal(seen, before) {
			break
		}
		before = seen
	}
	if fault == nil {
		return nil
	}
	code, err := r.itemFault(ctx, p, fault)
	if err == nil {
		r.unlistedCalendar(ctx, p, one, code)
	}
	return err
}

// eventQuery is what is owed of a calendar: what was changed in the batch's period; where the period is bounded, so that no
// later batch would come to it, also what was made in it and changed after it, and what happens in it. The newest period of
// a collection without an end has none for changes: an event that changes all the time would else be in none.
func (r *run) eventQuery() graph.EventQuery {
	w := r.batch.Window()
	q := graph.EventQuery{Changed: w}
	s := &r.source
	switch {
	case r.batch.Reason == capture.ReasonLate:
	case r.batch.Reason != capture.ReasonWindow, !s.EndDate.IsZero():
		q.Created, q.Occurs = w, w
	case r.Now().Before(w.End.Add(2*s.Frequency + s.Offset + s.Settle)):
		q.Changed.End = time.Time{}
	}
	return q
}

// unlistedCalendar puts a calendar into the exceptions.
func (r *run) unlistedCalendar(ctx context.Context, p *progress, one graph.Calendar, code string) {
	r.note(p, pack.ScopeUnlisted, "they stand in the exceptions, and the period is listed again")
	r.mu.Lock()
	defer r.mu.Unlock()
	p.count(tally{Found: 1})
	r.leaveOut(ctx, p, capture.Item{
		GraphID: unlistedName + "calendar " + one.ID, Kind: capture.Event, Folder: one.Path, FolderID: one.ID, State: capture.Active,
		Received: r.batch.Start.UTC(),
	}, stageList, code)
}

// unknown adds to found the events that are not known as they are, and counts the others.
func (r *run) unknown(ctx context.Context, p *progress, events, found map[string]*capture.Item) error {
	var keys []string
	for key := range events {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	known, err := r.Ledger.Events(ctx, r.source.Name, p.Custodian.Name(), keys)
	if err != nil {
		return err
	}
	same := 0
	for key, it := range events {
		if it.ChangeKey != "" && known[key].ChangeKey == it.ChangeKey {
			same++
			continue
		}
		found[key] = it
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p.count(tally{Found: same, Unchanged: same})
	return nil
}

// note keeps what the coverage has to say of a custodian.
func (r *run) note(p *progress, scope, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := pack.Note{Scope: scope, Reason: reason}
	if !slices.Contains(p.Notes, n) {
		p.Notes = append(p.Notes, n)
	}
}

// A diaryEntry is an event being captured.
type diaryEntry struct {
	item     capture.Item // as it is now
	event    *event.Event
	told     capture.CalendarEvent
	attached []attachedFile
	content  string // what it says, as a hash
	unknown  string // a code: what of its occurrences is not known
}

// look fetches an event and reads it. A code says why it cannot be had.
func (r *run) look(ctx context.Context, p *progress, it capture.Item) (d *diaryEntry, code string, err error) {
	told, unknown, err := r.tell(ctx, p, it.GraphID)
	var attached []attachedFile
	if err == nil {
		attached, err = r.attachedTo(ctx, p, &told)
	}
	if err != nil {
		code, err := r.itemFault(ctx, p, err)
		return nil, code, err
	}
	read, err := event.Read(told)
	if err != nil { // it says nothing that a calendar could hold
		return nil, codeNoEvent, nil
	}
	it.ChangeKey, it.Created, it.Modified, it.Received = told.ChangeKey, told.Created, told.LastModified, told.LastModified
	it.Draft = told.IsDraft
	r.noteUnknown(p, unknown)
	d = &diaryEntry{item: it, event: read, told: told, attached: attached, unknown: unknown}
	d.content, err = contentOf(told, attached)
	return d, "", err
}

// An attachedFile is attached to an event, or to a changed occurrence of it.
type attachedFile struct {
	graph.Attachment
	event string // Graph's id
}

// attachedTo lists what is attached to an event and, where they have something else, to its changed occurrences. Graph does not
// count as an attachment what is shown in the body.
func (r *run) attachedTo(ctx context.Context, p *progress, e *capture.CalendarEvent) ([]attachedFile, error) {
	type file struct {
		name, kind string
		size       int64
	}
	var all []attachedFile
	seen := map[file]bool{}
	for _, one := range append([]capture.CalendarEvent{*e}, e.Exceptions...) {
		if !one.HasAttachments && !strings.Contains(one.Body.Content, "cid:") {
			continue
		}
		list, err := r.graph.EventAttachments(ctx, p.Custodian.ID, one.ID)
		if err != nil {
			return nil, err
		}
		before := maps.Clone(seen)
		for _, a := range list {
			if f := (file{a.Name, a.Type, a.Size}); !before[f] {
				seen[f] = true
				all = append(all, attachedFile{a, one.ID})
			}
		}
	}
	return all, nil
}

// contentOf is a hash over what an event says, whenever it was said.
func contentOf(e capture.CalendarEvent, attached []attachedFile) (string, error) {
	timeless := func(e *capture.CalendarEvent) { e.LastModified, e.ChangeKey = e.Created, "" }
	timeless(&e)
	e.Exceptions = slices.Clone(e.Exceptions)
	for i := range e.Exceptions {
		timeless(&e.Exceptions[i])
	}
	h := sha256.New()
	if _, err := event.Encode(h, e); err != nil {
		return "", err
	}
	for _, a := range attached {
		fmt.Fprintf(h, "%q %q %d\n", a.Name, a.Type, a.Size)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// event captures one event, or counts it where it says what it said when it was captured last.
func (r *run) event(ctx context.Context, p *progress, it capture.Item, lease *spool.Lease) error {
	d, code, err := r.look(ctx, p, it)
	if err != nil {
		return err
	}
	if code != "" {
		stage := stageFetch
		if code == codeNoEvent {
			stage = stageRead
		}
		return r.except(ctx, p, it, stage, code)
	}
	known, err := r.Ledger.Events(ctx, r.source.Name, p.Custodian.Name(), []string{it.Key()})
	if err != nil {
		return err
	}
	version := ledger.EventVersion{
		Custodian: p.Custodian.Name(), Item: it.Key(), ChangeKey: d.item.ChangeKey, Content: d.content, Batch: r.batch.ID, At: r.Now().UTC().Truncate(time.Second),
	}
	if known[it.Key()].Content == d.content {
		return r.same(p, it, version)
	}
	f := &eventFamily{family: r.newFamily(ctx, lease, p.Custodian, d.item, familyRoom*10), run: r, p: p, entry: d}
	size, err := f.make()
	if err != nil {
		return err
	}
	return r.add(ctx, p, it, f.finished(), size, version)
}

// same counts an event that says what it said when it was captured last.
func (r *run) same(p *progress, it capture.Item, version ledger.EventVersion) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return r.broken
	}
	part := r.ensurePart()
	part.events = append(part.events, version)
	if r.settled(p, it.Key()) == nil {
		delete(p.todo, it.Key())
		p.count(tally{Unchanged: 1})
	}
	r.begun = true
	return nil
}
