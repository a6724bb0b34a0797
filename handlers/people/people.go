// Package people decides who is monitored: it reads the lists of individuals, finds their mailboxes, gives each
// individual a lane for life, and says who cannot be collected and why.
package people

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
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
		fault := r.source(ctx, s)
		if fault != nil {
			r.Log.ErrorContext(ctx, "individuals not synchronised", "source", s.Name, "error", fault)
		}
		now := r.Now().UTC()
		noted := r.Ledger.UpdateSource(ctx, s.Name, func(row *ledger.Source) bool { return note(row, now, fault) })
		if fault = errors.Join(fault, noted); fault != nil {
			faults = append(faults, fmt.Errorf("source %s: %w", s.Name, fault))
		}
	}
	return errors.Join(faults...)
}

func note(row *ledger.Source, now time.Time, fault error) bool {
	if fault == nil {
		row.PeopleAt = now
		return true
	}
	row.LastError, row.LastErrorAt = "PeopleNotSynchronised", now
	if errors.Is(fault, errList) {
		row.LastError = "IndividualsUnreadable"
	}
	if m := graph.MeaningOf(fault); m != "" {
		row.LastError = string(m)
	}
	return true
}

// An individual is one of a source's rows on its way through a synchronisation.
type individual struct {
	row    ledger.Row[ledger.Person]
	before ledger.Person // the row as it was read
}

func (r *Registry) source(ctx context.Context, s settings.Source) error {
	list, err := r.list(ctx, s)
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
	now := r.Now().UTC().Truncate(time.Second)
	people := merge(rows, list, row.Value.PeopleAt.IsZero(), s.IndividualsPerJob, now)
	client, err := r.Graph(s)
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	if err := r.resolve(ctx, client, s.Name, people); err != nil {
		return err
	}
	markDuplicates(people, now)
	r.warnOfArchives(ctx, s.Name, people)
	if err := r.write(ctx, s.Name, people); err != nil {
		return err
	}
	excluded := 0
	for _, p := range people {
		if p.row.Value.Reason != "" {
			excluded++
		}
	}
	r.Log.InfoContext(ctx, "individuals synchronised", "source", s.Name, "individuals", len(people), "excluded", excluded)
	return nil
}

// errList says that the individuals cannot be told: nobody joins, and nobody leaves.
var errList = errors.New("nobody's monitoring changes")

// A list is what a source's list of individuals says.
type list struct {
	individuals []capture.Individual
	whole       bool // no row was rejected, so that whoever is missing has left
}

// list reads the source's list. Bad rows are logged by their line, and the rest is used.
func (r *Registry) list(ctx context.Context, s settings.Source) (list, error) {
	if len(s.Individuals.Groups) > 0 {
		return list{}, fmt.Errorf("members of groups are not read: name them in the list individuals.file, and remove individuals.groups; %w", errList)
	}
	data, err := r.Written.Get(ctx, s.Individuals.File)
	if errors.Is(err, vault.ErrNotFound) {
		return list{}, fmt.Errorf("the list of individuals %s is missing: upload it beside sources.json; %w", s.Individuals.File, errList)
	}
	if err != nil {
		return list{}, fmt.Errorf("read list of individuals: %w", err)
	}
	individuals, faults, err := settings.ParseIndividuals(data)
	if err != nil {
		return list{}, fmt.Errorf("read list of individuals %s: %w; %w", s.Individuals.File, err, errList)
	}
	for _, f := range faults[:min(len(faults), maxFaults)] {
		r.Log.WarnContext(ctx, "individual rejected", "source", s.Name, "file", s.Individuals.File, "line", f.Line, "problem", f.Problem)
	}
	if len(faults) > 0 {
		r.Log.WarnContext(ctx, "list of individuals has faults", "source", s.Name, "file", s.Individuals.File, "rejected", len(faults),
			"remedy", "correct the list: until then nobody who is missing on it is taken to have left")
	}
	return list{individuals, len(faults) == 0}, nil
}

// maxFaults is how many of a list's bad rows are logged one by one.
const maxFaults = 50

// checkedAgain is how old the time of a check may become in a row in which nothing else changes: writing it at every
// synchronisation would cost a transaction per individual and hour.
const checkedAgain = 24 * time.Hour

// changed reports whether the row is to be written.
func (p *individual) changed() bool {
	is := p.row.Value
	if is.CheckedAt.Before(p.before.CheckedAt.Add(checkedAgain)) {
		is.CheckedAt = p.before.CheckedAt
	}
	return !p.row.Exists() || !reflect.DeepEqual(is, p.before)
}

// rowsAtOnce bounds the transactions side by side.
const rowsAtOnce = 8

// write writes the rows that have changed.
func (r *Registry) write(ctx context.Context, source string, people []*individual) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(rowsAtOnce)
	for _, p := range people {
		if !p.changed() {
			continue
		}
		g.Go(func() error {
			err := r.Ledger.PutPerson(ctx, source, p.row)
			if errors.Is(err, ledger.ErrConflict) {
				return nil // a second run is at the same rows; where it has read an older list, the next one mends that
			}
			return err
		})
	}
	return g.Wait()
}
