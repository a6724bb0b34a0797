package ledger

import (
	"context"
	"slices"
	"sort"
	"strings"
	"time"

	"chainmail/handlers/capture"
)

// Person is the row of a monitored individual of a source.
type Person struct {
	Identifier  string
	Secondary   Packed[[]string]
	DisplayName string             `json:",omitempty"`
	FirstName   string             `json:",omitempty"`
	LastName    string             `json:",omitempty"`
	Intervals   Packed[[]Interval] // who was monitored when, and why
	ObjectID    string             `json:",omitempty"`
	Lane        int                // for life
	Reason      string             `json:",omitempty"` // why they cannot be collected; empty: they can
	Archive     bool               `json:",omitempty"` // the mailbox is known to have an archive beside it
	CheckedAt   time.Time          `json:",omitzero"`
	ExcludedAt  time.Time          `json:",omitzero"` // since when Reason holds; zero for a duplicate
}

// Interval is a time of monitoring: [From, To), zero ends are open.
type Interval struct {
	From  time.Time `json:"from,omitzero"`
	To    time.Time `json:"to,omitzero"`
	Cause string    `json:"cause"` // list, or the group's object id; with "left " before it once they were taken off or went
}

// Meets reports whether the interval has an instant in the window.
func (i Interval) Meets(w capture.Window) bool {
	return (i.From.IsZero() || i.From.Before(w.End)) && (i.To.IsZero() || i.To.After(w.Start))
}

// Monitored reports whether the person is monitored at any instant of the window.
func (p Person) Monitored(w capture.Window) bool {
	return slices.ContainsFunc(p.Intervals.V, func(i Interval) bool { return i.Meets(w) })
}

// MonitoredFor is how much of a window the person is monitored, by however many intervals.
func (p Person) MonitoredFor(w capture.Window) (d time.Duration) {
	intervals := slices.SortedFunc(slices.Values(p.Intervals.V), func(a, b Interval) int { return a.From.Compare(b.From) })
	for at := w.Start; len(intervals) > 0; intervals = intervals[1:] {
		from, to := intervals[0].From, intervals[0].To
		if from.Before(at) {
			from = at
		}
		if to.IsZero() || to.After(w.End) {
			to = w.End
		}
		if from.Before(to) {
			d, at = d+to.Sub(from), to
		}
	}
	return d
}

// Custodian is the person as a batch takes them.
func (p Person) Custodian() capture.Custodian {
	return capture.Custodian{
		Individual: capture.Individual{
			Identifier: p.Identifier, Secondary: p.Secondary.V,
			DisplayName: p.DisplayName, FirstName: p.FirstName, LastName: p.LastName,
		},
		ID: p.ObjectID, Lane: p.Lane, Reason: p.Reason, Archive: p.Archive,
	}
}

// PersonKey is the key of an individual's row. Identifiers are compared without case: Exchange has no two mailboxes
// whose addresses differ in case alone.
func PersonKey(identifier string) string { return capture.ItemKey(strings.ToLower(identifier)) }

// People lists a source's individuals by lane, then identifier.
func (l *Ledger) People(ctx context.Context, source string) ([]Row[Person], error) {
	rows, err := list[Person](ctx, l, source, "person:")
	sort.Slice(rows, func(a, b int) bool {
		x, y := rows[a].Value, rows[b].Value
		return x.Lane < y.Lane || x.Lane == y.Lane && x.Identifier < y.Identifier
	})
	return rows, err
}

// MaxPeople is how many individuals are written in one transaction at most, each with the gaps that the change opens.
const MaxPeople = 40

// PutPeople writes individuals' rows as decided on what was read, with the gaps that the changes open, in one transaction with
// the source's row: what is owed of the past depends on how far the source has been planned, and a batch that is planned
// meanwhile goes by the rows as they were. ErrConflict: somebody was faster, decide again.
func (l *Ledger) PutPeople(ctx context.Context, name string, source Row[Source], people []Row[Person], gaps []Gap) error {
	changes := []change{replace("source", source)}
	for _, r := range people {
		changes = append(changes, replace("person:"+PersonKey(r.Value.Identifier), r))
	}
	for _, g := range gaps {
		changes = append(changes, insert(gapKey(g.id()), g))
	}
	return l.commit(ctx, name, changes...)
}

// Person reads an individual's row; one that does not exist is zero.
func (l *Ledger) Person(ctx context.Context, source, key string) (Row[Person], error) {
	return find[Person](ctx, l, source, "person:"+key)
}
