package people

import (
	"context"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/ledger"

	"golang.org/x/sync/errgroup"
)

// mailboxesAtOnce bounds the directory look-ups side by side.
const mailboxesAtOnce = 8

// resolve asks Graph who can be collected. A fault that may pass leaves an individual's last verdict as it was; that the
// app cannot sign in is the source's fault, and no word about anybody.
func (r *Registry) resolve(ctx context.Context, client *graph.Client, source string, people []*individual) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(mailboxesAtOnce)
	for _, p := range people {
		g.Go(func() error {
			v := &p.row.Value
			id, reason, err := look(ctx, client, *v)
			switch {
			case err == nil:
				if id != "" {
					v.ObjectID = id
				}
				v.Reason, v.CheckedAt = reason, r.Now().UTC()
			case ctx.Err() != nil || graph.MeaningOf(err) == graph.Unauthorized:
				return err
			default:
				r.Log.WarnContext(ctx, "individual not checked", "source", source, "custodian", nameOf(*v), "error", err)
			}
			return nil
		})
	}
	return g.Wait()
}

// nameOf is the individual's name in logs, which says nothing about the person.
func nameOf(p ledger.Person) string {
	return capture.Custodian{Individual: capture.Individual{Identifier: p.Identifier}, ID: p.ObjectID}.Name()
}

// look finds an individual's mailbox and tries it. The reason says why it cannot be collected; an error, that it could
// not be told.
func look(ctx context.Context, client *graph.Client, p ledger.Person) (id, reason string, err error) {
	user, err := find(ctx, client, p)
	if graph.MeaningOf(err) == graph.NotFound {
		return "", capture.ReasonNotFound, nil
	}
	if err != nil {
		return "", "", err
	}
	if strings.EqualFold(user.UserType, "Guest") && !user.Licensed {
		return user.ID, capture.ReasonGuest, nil
	}
	switch err := client.ProbeMailbox(ctx, user.ID); graph.MeaningOf(err) {
	case graph.NoMailbox, graph.NotFound:
		return user.ID, capture.ReasonNoMailbox, nil
	case graph.Denied:
		return user.ID, capture.ReasonDenied, nil
	default:
		return user.ID, "", err
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
