package people

import (
	"context"
	"strings"
	"sync"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/ledger"

	"golang.org/x/sync/errgroup"
)

// mailboxesAtOnce bounds the directory look-ups side by side.
const mailboxesAtOnce = 8

// resolve asks Graph who can be collected. A fault that may pass leaves an individual's last verdict as it was. That the app
// cannot sign in is the source's fault, and no word about anybody; so it is when every mailbox refuses the app, where one
// alone costs nobody else.
func (r *Registry) resolve(ctx context.Context, client *graph.Client, source string, people []*individual) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(mailboxesAtOnce)
	var mu sync.Mutex
	var refused error
	answered := false
	for _, p := range people {
		g.Go(func() error {
			v := &p.row.Value
			verdict, err := look(ctx, client, *v)
			unauthorized := graph.MeaningOf(err) == graph.Unauthorized
			if ctx.Err() != nil || unauthorized && verdict.id == "" {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				verdict.enter(v)
				v.CheckedAt = r.Now().UTC()
				answered = answered || verdict.id != "" && verdict.reason != capture.ReasonGuest
				return nil
			}
			if unauthorized {
				refused = err
			}
			r.Log.WarnContext(ctx, "individual not checked", "source", source, "custodian", nameOf(*v), "error", err)
			return nil
		})
	}
	if err := g.Wait(); err != nil || answered {
		return err
	}
	return refused
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

func (v verdict) enter(row *ledger.Person) {
	if v.id != "" && v.id != row.ObjectID {
		row.ObjectID, row.Archive = v.id, false // nothing is known of this mailbox yet
	}
	if v.archive != graph.ArchiveUntold {
		row.Archive = v.archive == graph.ArchiveFound
	}
	row.Reason = v.reason
}

// look finds an individual's mailbox and tries it. An error says that there is no verdict; with an id in it, that the directory
// knows the user and the mailbox gave the error.
func look(ctx context.Context, client *graph.Client, p ledger.Person) (verdict, error) {
	user, err := find(ctx, client, p)
	if graph.MeaningOf(err) == graph.NotFound {
		return verdict{reason: capture.ReasonNotFound}, nil
	}
	if err != nil {
		return verdict{}, err
	}
	v := verdict{id: user.ID}
	if strings.EqualFold(user.UserType, "Guest") && !user.Licensed {
		v.reason = capture.ReasonGuest
		return v, nil
	}
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
// before, so that a mailbox whose addresses were all changed is not lost.
func find(ctx context.Context, client *graph.Client, p ledger.Person) (user graph.User, err error) {
	names := append([]string{p.Identifier}, p.Secondary.V...)
	if p.ObjectID != "" {
		names = append(names, p.ObjectID)
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
