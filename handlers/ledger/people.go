package ledger

import (
	"context"
	"fmt"
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
}

// Interval is a time of monitoring: [From, To), zero ends are open.
type Interval struct {
	From  time.Time `json:"from,omitzero"`
	To    time.Time `json:"to,omitzero"`
	Cause string    `json:"cause"` // list; left list, once they were taken off it; or the group's object id
}

// Meets reports whether the interval has an instant in the window.
func (i Interval) Meets(w capture.Window) bool {
	return (i.From.IsZero() || i.From.Before(w.End)) && (i.To.IsZero() || i.To.After(w.Start))
}

// Custodian is the person as a batch of the window takes them; false when they are not monitored in it.
func (p Person) Custodian(w capture.Window) (capture.Custodian, bool) {
	for _, i := range p.Intervals.V {
		if i.Meets(w) {
			return capture.Custodian{
				Individual: capture.Individual{
					Identifier: p.Identifier, Secondary: p.Secondary.V,
					DisplayName: p.DisplayName, FirstName: p.FirstName, LastName: p.LastName,
				},
				ID: p.ObjectID, Lane: p.Lane, Reason: p.Reason, Archive: p.Archive,
			}, true
		}
	}
	return capture.Custodian{}, false
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

// PutPerson writes an individual's row as decided on what was read.
func (l *Ledger) PutPerson(ctx context.Context, source string, r Row[Person]) error {
	return l.commit(ctx, source, replace("person:"+PersonKey(r.Value.Identifier), r))
}

// Exception is the row of an item that was found and is still to be had.
type Exception struct {
	Item      Packed[capture.Item]
	Custodian string
	Batch     string // the batch that found it
	Stage     string
	Code      string
	Attempts  int
	FirstSeen time.Time
	LastSeen  time.Time
}

// PutExceptions records items as exceptions; one that stands there already keeps its first sight and counts on.
func (l *Ledger) PutExceptions(ctx context.Context, source string, found []capture.Exception) error {
	for _, x := range found {
		err := update(ctx, l, source, fmt.Sprintf("exception:%s:%s", x.Custodian, x.Item.Key()), func(e *Exception) bool {
			if e.Batch == x.Batch && e.LastSeen.Equal(x.LastSeen) {
				return false // recorded by an earlier run of the same step
			}
			if e.FirstSeen.IsZero() {
				e.FirstSeen = x.FirstSeen
			}
			e.Item = Packed[capture.Item]{x.Item}
			e.Custodian, e.Batch, e.Stage, e.Code = x.Custodian, x.Batch, x.Stage, x.Code
			e.Attempts += x.Attempts
			e.LastSeen = x.LastSeen
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Exceptions lists the open exceptions of a source.
func (l *Ledger) Exceptions(ctx context.Context, source string) ([]capture.Exception, error) {
	rows, err := list[Exception](ctx, l, source, "exception:")
	var all []capture.Exception
	for _, r := range rows {
		e := r.Value
		all = append(all, capture.Exception{
			Custodian: e.Custodian, Item: e.Item.V, Batch: e.Batch, Stage: e.Stage, Code: e.Code,
			Attempts: e.Attempts, FirstSeen: e.FirstSeen, LastSeen: e.LastSeen,
		})
	}
	return all, err
}
