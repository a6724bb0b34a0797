// Package people decides who is monitored: it reads lists of individuals and Microsoft Entra groups, finds the mailboxes, gives
// each individual a lane for life, and says who cannot be collected and why.
//
// A run costs what there is to read and what has changed: a group is a request per 999 members, rows are read a thousand at a
// time and written when they change. A mailbox is checked once a day, those excluded since less than a day at every run, and as
// many at a run as fit into its time. A check is a round trip for a group's member, and one or two more for who is only on the
// list. At a quarter of a second each and eight side by side that makes 16 to 32 a second, or 9,600 to 19,200 in ten minutes. So
// 100,000 individuals are all checked after 6 to 11 hourly runs, and from then on take 4,200 checks an hour, which are 2 to 5
// minutes. The machine's own part (BenchmarkSynchronise) is some 1.2 ms for who is new and 0.3 ms an hour for each, from 1,000
// to 10,000 alike.
package people

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/config"
	"chainmail/handlers/graph"
	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault"
)

// A Registry needs all its fields but CheckTime.
type Registry struct {
	Config  *config.Store
	Written *vault.Container // container config: the lists that the customer writes
	Ledger  *ledger.Ledger
	Graph   func(settings.Source) (*graph.Client, error)
	Log     *slog.Logger
	Now     func() time.Time

	CheckTime time.Duration // how long a run may check mailboxes; 0: ten minutes
}

// Tick is the timer's work: every enabled source's individuals are brought up to date. A fault of one source is logged
// and kept as its last error, and does not stop the others.
func (r *Registry) Tick(ctx context.Context) error {
	force, err := r.Config.Accept(ctx)
	if err != nil {
		return err
	}
	var faults []error
	end := r.Now().Add(cmp.Or(r.CheckTime, checkTime))
	for i, s := range force.Sources {
		if !s.Enabled {
			continue
		}
		fault := r.source(ctx, s, share(r.Now(), end, len(force.Sources)-i))
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
		row.Trouble, row.TroubleSince = "", time.Time{}
		return true
	}
	row.LastError, row.LastErrorAt = "PeopleNotSynchronised", now
	if errors.Is(fault, errList) {
		row.LastError = "IndividualsUnreadable"
	}
	m := graph.MeaningOf(fault)
	if m != "" {
		row.LastError = string(m)
	}
	if errors.Is(fault, errGroup) {
		row.LastError = groupUnreadable
	}
	if errors.Is(fault, errSignIn) && m == "" {
		row.LastError = "SignInNotPossible"
	}
	if m == graph.Unauthorized || errors.Is(fault, errSignIn) { // which no waiting mends
		row.Trouble = row.LastError
		if row.TroubleSince.IsZero() {
			row.TroubleSince = now
		}
	}
	return true
}

// errSignIn says that the settings do not let the app sign in.
var errSignIn = errors.New("sign in")

// An individual is one of a source's rows on its way through a synchronisation.
type individual struct {
	row     ledger.Row[ledger.Person]
	before  ledger.Person       // the row as it was read
	listing *capture.Individual // what the list says of them; nil: they do not stand on it
	user    *graph.User         // what the directory says of a member of a group that was read; nil: they are in none
	in      []string            // the groups that were read and have them as a member
}

func (r *Registry) source(ctx context.Context, s settings.Source, until time.Time) error {
	client, err := r.Graph(s)
	if err != nil {
		return fmt.Errorf("%w: %w", errSignIn, err)
	}
	list, err := r.list(ctx, client, s)
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
	if err := r.resolve(ctx, client, s.Name, people, until); err != nil {
		return err
	}
	markDuplicates(people, now)
	r.warnOfArchives(ctx, s.Name, people)
	if err := r.write(ctx, s, people); err != nil {
		return err
	}
	excluded := 0
	for _, p := range people {
		if p.row.Value.Reason != "" {
			excluded++
		}
	}
	r.Log.InfoContext(ctx, "individuals synchronised", "source", s.Name, "individuals", len(people), "excluded", excluded)
	if row.Value.PeopleAt.IsZero() && !list.read() {
		return errGroup
	}
	return nil
}

// errList says that the individuals cannot be told: nobody joins, and nobody leaves.
var errList = errors.New("nobody's monitoring changes")

// A list is what a source's list of individuals says, and its groups.
type list struct {
	individuals []capture.Individual
	whole       bool // no row was rejected, so that whoever is missing has left
	groups      []group
}

// read reports whether all groups were read.
func (l list) read() bool {
	return !slices.ContainsFunc(l.groups, func(g group) bool { return !g.read })
}

// list reads the source's list, if it has one, and its groups.
func (r *Registry) list(ctx context.Context, client *graph.Client, s settings.Source) (list, error) {
	l := list{whole: true}
	var err error
	if s.Individuals.File != "" {
		if l, err = r.file(ctx, s); err != nil {
			return list{}, err
		}
	}
	l.groups, err = r.groups(ctx, client, s)
	return l, err
}

// file reads the source's list. Bad rows are logged by their line, and the rest is used.
func (r *Registry) file(ctx context.Context, s settings.Source) (list, error) {
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
	return list{individuals: individuals, whole: len(faults) == 0}, nil
}

// maxFaults is how many of a list's bad rows are logged one by one.
const maxFaults = 50

// changed reports whether the row is to be written. The time of a check alone is, once a day.
func (p *individual) changed() bool {
	is := p.row.Value
	if is.CheckedAt.Before(p.before.CheckedAt.Add(checkedAgain)) {
		is.CheckedAt = p.before.CheckedAt
	}
	return !p.row.Exists() || !reflect.DeepEqual(is, p.before)
}
