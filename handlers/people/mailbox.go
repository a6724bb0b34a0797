package people

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/ledger"

	"golang.org/x/sync/errgroup"
)

// mailboxesAtOnce bounds the directory look-ups side by side.
const mailboxesAtOnce = 8

// checkedAgain is how long a check holds. Exclusions that have just begun are looked at again at every run for as long:
// mailboxes are made within the hour, and policies take some to be in force.
const checkedAgain = 24 * time.Hour

// checkTime is how long a run may check mailboxes where Registry.CheckTime is 0: a third of the time that a function has.
const checkTime = 10 * time.Minute

// share is until when the next of the sources that are left may check mailboxes: each has its part, and what one does not need
// the next ones have.
func share(now, end time.Time, sources int) time.Time {
	return now.Add(end.Sub(now) / time.Duration(max(sources, 1)))
}

// due reports whether the individual is to be checked, and their rank: who was never checked comes first, then who is excluded,
// then all others. What list and groups tell anew of who is excluded makes a check due.
func (p *individual) due(now time.Time) (rank int, ok bool) {
	v := p.row.Value
	again := !now.Before(v.CheckedAt.Add(checkedAgain))
	switch {
	case v.CheckedAt.IsZero():
		return 0, true
	case v.Reason == "" || v.Reason == capture.ReasonDuplicate:
		return 2, again
	}
	guest := p.user != nil && p.user.UnlicensedGuest()
	news := p.user != nil && (v.Reason == capture.ReasonNotFound || guest != (v.Reason == capture.ReasonGuest)) ||
		!slices.Equal(v.Secondary.V, p.before.Secondary.V)
	return 1, again || news || now.Before(v.ExcludedAt.Add(checkedAgain))
}

// queue are those who are to be checked, the most urgent first, and a few of the others, whose mailboxes answered when they were
// last checked: they are asked where nobody's answer shows that the app is let in.
func queue(people []*individual, now time.Time) (due, witnesses []*individual) {
	ranks := map[*individual]int{}
	for _, p := range people {
		rank, ok := p.due(now)
		switch {
		case ok:
			ranks[p] = rank
			due = append(due, p)
		case rank == 2 && p.row.Value.ObjectID != "" && len(witnesses) < mailboxesAtOnce:
			witnesses = append(witnesses, p)
		}
	}
	slices.SortStableFunc(due, func(a, b *individual) int {
		return cmp.Or(ranks[a]-ranks[b], a.row.Value.CheckedAt.Compare(b.row.Value.CheckedAt))
	})
	return due, witnesses
}

// resolve asks Graph who can be collected, of those whose turn it is and as far as the time goes. A fault that may pass leaves
// an individual's last verdict as it was. That the app cannot sign in is the source's fault, and no word about anybody; so it is
// when every mailbox refuses the app, where one alone costs nobody else.
func (r *Registry) resolve(ctx context.Context, client *graph.Client, source string, people []*individual, until time.Time) error {
	c := &checks{Registry: r, client: client, source: source}
	due, witnesses := queue(people, r.Now())
	begun, err := c.run(ctx, due, until)
	if err != nil {
		return err
	}
	if begun < len(due) {
		r.Log.InfoContext(ctx, "checks go on at the next run", "source", source, "checked", begun, "left", len(due)-begun)
	}
	if !c.answered { // a run that says that all is well has asked somebody
		if _, err := c.run(ctx, witnesses, until.Add(time.Minute)); err != nil {
			return err
		}
	}
	if c.answered {
		return nil
	}
	return c.refused
}

// checks are a run's checks of one source's individuals.
type checks struct {
	*Registry
	client *graph.Client
	source string

	mu       sync.Mutex
	refused  error // a mailbox that did not let the app in
	answered bool  // one that did
}

// run checks one after another until the time is up, and reports with how many it began.
func (c *checks) run(ctx context.Context, people []*individual, until time.Time) (begun int, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(mailboxesAtOnce)
	for _, p := range people {
		if ctx.Err() != nil || !c.Now().Before(until) {
			break
		}
		begun++
		g.Go(func() error { return c.check(ctx, p) })
	}
	return begun, g.Wait()
}

func (c *checks) check(ctx context.Context, p *individual) error {
	verdict, err := look(ctx, c.client, p)
	unauthorized := graph.MeaningOf(err) == graph.Unauthorized
	if ctx.Err() != nil || unauthorized && verdict.id == "" {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v := &p.row.Value
	if err == nil {
		verdict.enter(v, c.Now().UTC())
		c.answered = c.answered || verdict.id != "" && verdict.reason != capture.ReasonGuest
		return nil
	}
	if unauthorized {
		c.refused = err
	}
	c.Log.WarnContext(ctx, "individual not checked", "source", c.source, "custodian", nameOf(*v), "error", err)
	return nil
}

// nameOf is the individual's name in logs, which says nothing about the person.
func nameOf(p ledger.Person) string {
	return capture.Custodian{Individual: capture.Individual{Identifier: p.Identifier}, ID: p.ObjectID}.Name()
}

// A verdict is what a look-up says of an individual.
type verdict struct {
	id      string // object id; empty: there is no such user
	reason  string // why the mailbox cannot be collected; empty: it can
	archive graph.Archive
}

func (v verdict) enter(row *ledger.Person, now time.Time) {
	if v.id != "" && v.id != row.ObjectID {
		row.ObjectID, row.Archive = v.id, false // nothing is known of this mailbox yet
	}
	if v.archive != graph.ArchiveUntold {
		row.Archive = v.archive == graph.ArchiveFound
	}
	switch v.reason {
	case "":
		row.ExcludedAt = time.Time{}
	case row.Reason:
	default:
		row.ExcludedAt = now
	}
	row.Reason, row.CheckedAt = v.reason, now
}

// look finds an individual's mailbox and tries it. Of a group's member the listing has told all that the directory knows. An
// error says that there is no verdict; with an id in it, that the directory knows the user and the mailbox gave the error.
func look(ctx context.Context, client *graph.Client, p *individual) (verdict, error) {
	user := p.user
	if user == nil {
		found, err := find(ctx, client, p)
		if graph.MeaningOf(err) == graph.NotFound {
			return verdict{reason: capture.ReasonNotFound}, nil
		}
		if err != nil {
			return verdict{}, err
		}
		user = &found
	}
	v := verdict{id: user.ID}
	if user.UnlicensedGuest() {
		v.reason = capture.ReasonGuest
		return v, nil
	}
	var err error
	v.archive, err = client.CheckMailbox(ctx, user.ID)
	switch graph.MeaningOf(err) {
	case graph.NoMailbox, graph.NotFound:
		v.reason = capture.ReasonNoMailbox
		return v, nil
	case graph.Denied:
		v.reason = capture.ReasonDenied
		return v, nil
	}
	return v, err
}

// warnOfArchives says once of each mailbox that has an archive beside it: what is moved there is missed. It comes before
// the rows are written, so that a run that dies in between makes it come twice, and not never.
func (r *Registry) warnOfArchives(ctx context.Context, source string, people []*individual) {
	for _, p := range people {
		if v := p.row.Value; v.Archive && !p.before.Archive && v.Reason != capture.ReasonDuplicate {
			r.Log.WarnContext(ctx, "archive mailbox found", "source", source, "custodian", nameOf(v),
				"remedy", "collect it by a source of its own: Microsoft Graph does not give it")
		}
	}
}

// find looks for the user by all that is known: identifier, secondary identifiers, and last the object id that was found
// before, so that a mailbox whose addresses were all changed is not lost. Whom a group brought is known by the object id alone:
// an address of theirs may be somebody else's by now.
func find(ctx context.Context, client *graph.Client, p *individual) (user graph.User, err error) {
	v := p.row.Value
	names := append([]string{v.Identifier}, v.Secondary.V...)
	if v.ObjectID != "" {
		names = append(names, v.ObjectID)
		if p.listing == nil && p.ofGroup() {
			names = names[len(names)-1:]
		}
	}
	for _, name := range names {
		user, err = client.FindUser(ctx, name)
		if graph.MeaningOf(err) != graph.NotFound {
			return user, err
		}
	}
	return user, err
}

// markDuplicates excludes an individual whose mailbox another one has: a mailbox is read once. Among those who are
// monitored, who had it before keeps it, whatever the order of the rows; it passes on when they have left.
func markDuplicates(people []*individual, now time.Time) {
	for _, p := range people {
		if v := &p.row.Value; v.Reason == capture.ReasonDuplicate {
			v.Reason = "" // by the last check the mailbox answers
		}
	}
	owner := map[string]*individual{}
	for _, held := range []bool{true, false} {
		for _, p := range people {
			id := p.row.Value.ObjectID
			if owner[id] == nil && p.held() == held && p.monitored(now) {
				owner[id] = p
			}
		}
	}
	for _, p := range people {
		v := &p.row.Value
		other := owner[v.ObjectID]
		if v.ObjectID == "" || v.Reason != "" || other == nil || other == p {
			continue
		}
		if !p.gone(now) || p.before.Reason == capture.ReasonDuplicate {
			v.Reason = capture.ReasonDuplicate
		}
	}
}

// held reports whether the individual had its mailbox before.
func (p *individual) held() bool {
	return p.before.ObjectID != "" && p.before.ObjectID == p.row.Value.ObjectID && p.before.Reason != capture.ReasonDuplicate
}
