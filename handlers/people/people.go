// Package people decides who is monitored: it reads the lists of individuals, finds their mailboxes, gives each
// individual a lane for life, and says who cannot be collected and why.
package people

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/config"
	"chainmail/handlers/graph"
	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault"

	"golang.org/x/sync/errgroup"
)

// A Registry needs all its fields.
type Registry struct {
	Config  *config.Store
	Written *vault.Container // container config: the lists that the customer writes
	Ledger  *ledger.Ledger
	Graph   func(settings.Source) (*graph.Client, error)
	Log     *slog.Logger
	Now     func() time.Time
}

// Tick is the timer's work: every enabled source's individuals are brought up to date. A fault of one source is logged
// and kept as its last error, and does not stop the others.
func (r *Registry) Tick(ctx context.Context) error {
	force, err := r.Config.Accept(ctx)
	if err != nil {
		return err
	}
	var faults []error
	for _, s := range force.Sources {
		if !s.Enabled {
			continue
		}
		err := r.source(ctx, s)
		if err != nil {
			r.Log.ErrorContext(ctx, "individuals not synchronised", "source", s.Name, "error", err)
			faults = append(faults, fmt.Errorf("source %s: %w", s.Name, err))
		}
		now := r.Now().UTC()
		if err := r.Ledger.UpdateSource(ctx, s.Name, func(row *ledger.Source) bool { return note(row, now, err) }); err != nil {
			return err
		}
	}
	return errors.Join(faults...)
}

func note(row *ledger.Source, now time.Time, err error) bool {
	if err == nil {
		row.PeopleAt = now
		return true
	}
	row.LastError, row.LastErrorAt = "PeopleNotSynchronised", now
	if m := graph.MeaningOf(err); m != "" {
		row.LastError = string(m)
	}
	return true
}

func (r *Registry) source(ctx context.Context, s settings.Source) error {
	listed, err := r.listed(ctx, s)
	if err != nil {
		return err
	}
	rows, err := r.Ledger.People(ctx, s.Name)
	if err != nil {
		return err
	}
	row, err := r.Ledger.Source(ctx, s.Name)
	if err != nil {
		return err
	}
	people := merge(rows, listed, row.Value.PeopleAt.IsZero(), s.IndividualsPerJob, r.Now().UTC().Truncate(time.Second))
	client, err := r.Graph(s)
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	if err := r.resolve(ctx, client, people); err != nil {
		return err
	}
	markDuplicates(people)
	excluded := 0
	for _, p := range people {
		if p.Value.Reason != "" {
			excluded++
		}
		if err := r.Ledger.PutPerson(ctx, s.Name, *p); err != nil && !errors.Is(err, ledger.ErrConflict) {
			return err // a conflict: a second run wrote the same
		}
	}
	r.Log.InfoContext(ctx, "individuals synchronised", "source", s.Name, "individuals", len(people), "excluded", excluded)
	return nil
}

// listed reads the source's list. Bad rows are logged by their line, and the rest is used.
func (r *Registry) listed(ctx context.Context, s settings.Source) ([]capture.Individual, error) {
	if s.Individuals.File == "" {
		return nil, nil
	}
	data, err := r.Written.Get(ctx, s.Individuals.File)
	if errors.Is(err, vault.ErrNotFound) {
		return nil, fmt.Errorf("the list of individuals %s is missing: upload it beside sources.json", s.Individuals.File)
	}
	if err != nil {
		return nil, fmt.Errorf("read list of individuals: %w", err)
	}
	individuals, faults, err := settings.ParseIndividuals(data)
	if err != nil {
		return nil, fmt.Errorf("read list of individuals %s: %w", s.Individuals.File, err)
	}
	for _, f := range faults {
		r.Log.WarnContext(ctx, "individual rejected", "source", s.Name, "file", s.Individuals.File, "line", f.Line, "problem", f.Problem)
	}
	return individuals, nil
}

// merge brings rows and list together: who is new gets a lane, who is gone is monitored until now. At a source's first
// synchronisation everyone is monitored from the beginning; who joins later without a time of their own, from now.
func merge(rows []ledger.Row[ledger.Person], listed []capture.Individual, first bool, perLane int, now time.Time) []*ledger.Row[ledger.Person] {
	people := map[string]*ledger.Row[ledger.Person]{}
	var order []*ledger.Row[ledger.Person]
	filled := map[int]int{}
	for i := range rows {
		people[ledger.PersonKey(rows[i].Value.Identifier)] = &rows[i]
		order = append(order, &rows[i])
		filled[rows[i].Value.Lane]++
	}
	still := map[string]bool{}
	for _, in := range listed {
		key := ledger.PersonKey(in.Identifier)
		still[key] = true
		p := people[key]
		if p == nil {
			p = &ledger.Row[ledger.Person]{Value: ledger.Person{Identifier: in.Identifier, Lane: lane(filled, perLane)}}
			people[key] = p
			order = append(order, p)
		}
		v := &p.Value
		v.Secondary.V, v.DisplayName, v.FirstName, v.LastName = in.Secondary, in.DisplayName, in.FirstName, in.LastName
		v.Intervals.V = join(v.Intervals.V, in, first, now)
	}
	for key, p := range people {
		if !still[key] {
			leave(p.Value.Intervals.V, now)
		}
	}
	return order
}

const byList = "list"

// join makes sure that an interval by list is open, with the list's own ends where it gives them.
func join(intervals []ledger.Interval, in capture.Individual, first bool, now time.Time) []ledger.Interval {
	from := in.From
	for i := range intervals {
		iv := &intervals[i]
		if iv.Cause != byList || !iv.To.IsZero() && !iv.To.Equal(in.To) && iv.To.Before(now) && in.To.IsZero() {
			continue // an interval that ended when the individual was taken off the list stays as it was
		}
		if !from.IsZero() {
			iv.From = from
		}
		iv.To = in.To
		return intervals
	}
	if from.IsZero() && !first {
		from = now
	}
	return append(intervals, ledger.Interval{From: from, To: in.To, Cause: byList})
}

func leave(intervals []ledger.Interval, now time.Time) {
	for i := range intervals {
		if intervals[i].Cause == byList && (intervals[i].To.IsZero() || intervals[i].To.After(now)) {
			intervals[i].To = now
		}
	}
}

// lane finds the first lane with room and takes a place in it. Places are for life, also of those who left.
func lane(filled map[int]int, perLane int) int {
	for n := 0; ; n++ {
		if filled[n] < perLane {
			filled[n]++
			return n
		}
	}
}

// mailboxesAtOnce bounds the directory look-ups side by side.
const mailboxesAtOnce = 8

// resolve asks Graph who can be collected. A fault that may pass leaves an individual's last verdict as it was.
func (r *Registry) resolve(ctx context.Context, client *graph.Client, people []*ledger.Row[ledger.Person]) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(mailboxesAtOnce)
	for _, p := range people {
		g.Go(func() error {
			id, reason, err := look(ctx, client, p.Value)
			switch {
			case err == nil:
				if id != "" {
					p.Value.ObjectID = id
				}
				p.Value.Reason, p.Value.CheckedAt = reason, r.Now().UTC()
			case ctx.Err() != nil || graph.MeaningOf(err) == graph.Unauthorized:
				return err
			default:
				r.Log.WarnContext(ctx, "individual not checked", "custodian", p.Value.ObjectID, "error", err)
			}
			return nil
		})
	}
	return g.Wait()
}

// look finds an individual's mailbox and tries it. The reason says why it cannot be collected; an error, that it could
// not be told.
func look(ctx context.Context, client *graph.Client, p ledger.Person) (id, reason string, err error) {
	var user graph.User
	for _, name := range append([]string{p.Identifier}, p.Secondary.V...) {
		user, err = client.FindUser(ctx, name)
		if graph.MeaningOf(err) != graph.NotFound {
			break
		}
	}
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

// markDuplicates excludes an individual whose mailbox another one has already: a mailbox is read once.
func markDuplicates(people []*ledger.Row[ledger.Person]) {
	seen := map[string]bool{}
	for _, p := range people {
		id := p.Value.ObjectID
		if id == "" || p.Value.Reason != "" {
			continue
		}
		if seen[id] {
			p.Value.Reason = capture.ReasonDuplicate
		}
		seen[id] = true
	}
}
