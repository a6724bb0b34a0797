package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"chainmail/handlers/capture"
)

// Exception is the row of an item that was found and could not be captured. It stays when it is closed: what became of an item
// must be known to whoever finds it again.
//
//	(absent) ──▶ open ──▶ Captured | Vanished | Listed | closed by a person
type Exception struct {
	Item      Packed[capture.Item]
	Custodian string
	Lane      int
	Batch     string           // the batch that found it
	Also      Packed[[]string] // further batches that found it while it was open: events are found when they change
	Stage     string
	Code      string
	Attempts  int
	FirstSeen time.Time
	LastSeen  time.Time
	Due       time.Time `json:",omitzero"` // when it is to be fetched again; zero: not by itself
	Alarmed   bool      // it was said that Exchange will soon delete the item
	Closed    string    // how; empty: it is open
	ClosedIn  string    // the batch whose manifest tells of it
}

// How an exception was closed, beside by a person: the item was captured, was gone when it was fetched again, or what could
// not be listed was listed.
const (
	ClosedCaptured = "Captured"
	ClosedVanished = "Vanished"
	ClosedListed   = "Listed"
)

// ClosedByItself reports whether an exception that was closed so was closed by the app, and not by a person.
func ClosedByItself(how string) bool {
	return how == ClosedCaptured || how == ClosedVanished || how == ClosedListed
}

func (e Exception) value() capture.Exception {
	return capture.Exception{
		Custodian: e.Custodian, Item: e.Item.V, Batch: e.Batch, Stage: e.Stage, Code: e.Code,
		Attempts: e.Attempts, FirstSeen: e.FirstSeen, LastSeen: e.LastSeen,
	}
}

// Batches are those whose exceptions have the item.
func (e Exception) Batches() []string { return append([]string{e.Batch}, e.Also.V...) }

func exceptionKey(custodian, item string) string {
	return fmt.Sprintf("exception:%s:%s", custodian, item)
}

// exceptionWait is how long an item is left alone after so many attempts: a quarter of an hour, doubling to a day.
func exceptionWait(attempts int) time.Duration {
	return min(15*time.Minute<<min(max(attempts-1, 0), 10), 24*time.Hour)
}

// PutExceptions records items of a lane as exceptions; one that stands there already keeps its first sight and counts on. What
// must not be fetched again by itself, because that is what killed the process, says again.
func (l *Ledger) PutExceptions(ctx context.Context, source string, lane int, found []capture.Exception, again func(capture.Exception) bool) error {
	for _, x := range found {
		err := update(ctx, l, source, exceptionKey(x.Custodian, x.Item.Key()), func(e *Exception) bool {
			if !e.LastSeen.Before(x.LastSeen) {
				return false // recorded by an earlier run of the same step
			}
			switch {
			case e.FirstSeen.IsZero(), e.Closed != "":
				e.FirstSeen, e.Batch, e.Also.V = x.FirstSeen, x.Batch, nil
			case e.Batch != x.Batch && !slices.Contains(e.Also.V, x.Batch):
				e.Also.V = append(e.Also.V, x.Batch)
			}
			e.Item = Packed[capture.Item]{x.Item}
			e.Custodian, e.Lane, e.Stage, e.Code = x.Custodian, lane, x.Stage, x.Code
			e.Attempts += x.Attempts
			e.LastSeen, e.Due = x.LastSeen, time.Time{}
			e.Closed, e.ClosedIn = "", ""
			if again(x) {
				e.Due = x.LastSeen.Add(exceptionWait(e.Attempts))
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// A Closing is the end of an open exception.
type Closing struct {
	Custodian string    `json:"custodian"`
	Item      string    `json:"item"` // item key
	How       string    `json:"how"`
	In        string    `json:"in"` // the batch that closes it
	At        time.Time `json:"at"`
}

// CloseExceptions closes exceptions; one that was closed before, or has failed again since, stays as it is.
func (l *Ledger) CloseExceptions(ctx context.Context, source string, closings []Closing) error {
	for _, c := range closings {
		err := update(ctx, l, source, exceptionKey(c.Custodian, c.Item), func(e *Exception) bool {
			if e.Custodian == "" || e.Closed != "" || e.LastSeen.After(c.At) {
				return false
			}
			e.Closed, e.ClosedIn, e.Due = c.How, c.In, time.Time{}
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
	rows, err := l.exceptions(ctx, source, "Closed eq ''")
	var all []capture.Exception
	for _, r := range rows {
		all = append(all, r.Value.value())
	}
	return all, err
}

func (l *Ledger) exceptions(ctx context.Context, source, filter string) ([]Row[Exception], error) {
	return query[Exception](ctx, l, fmt.Sprintf("PartitionKey eq '%s' and RowKey ge 'exception:' and RowKey lt 'exception;' and %s", source, filter))
}

// Endangered lists the open exceptions of items that Exchange will delete for good by the given time at the latest, where it keeps
// them for so long from when they were seen first, and notes that it was said of them: each comes once.
func (l *Ledger) Endangered(ctx context.Context, source string, by time.Time, kept time.Duration) ([]capture.Exception, error) {
	rows, err := l.exceptions(ctx, source, fmt.Sprintf("Closed eq '' and Alarmed eq false and FirstSeen lt '%s'",
		by.Add(-kept).UTC().Format(time.RFC3339)))
	if err != nil {
		return nil, err
	}
	var all []capture.Exception
	for _, r := range rows {
		e := r.Value
		recoverable := e.Item.V.State == capture.Recoverable || e.Item.V.State == capture.Purged
		if !recoverable {
			continue
		}
		all = append(all, e.value())
		r.Value.Alarmed = true
		if err := l.commit(ctx, source, replace(exceptionKey(e.Custodian, e.Item.V.Key()), r)); err != nil && err != ErrConflict {
			return all, err
		}
	}
	return all, nil
}

// ClosedByHand lists the exceptions that a person closed and that no manifest has told of yet.
func (l *Ledger) ClosedByHand(ctx context.Context, source string) ([]Exception, error) {
	rows, err := l.exceptions(ctx, source, "Closed gt '' and ClosedIn eq ''")
	return values(rows), err
}

// Told notes that a batch's manifest tells how exceptions were closed.
func (l *Ledger) Told(ctx context.Context, source, batch string, closed []Exception) error {
	for _, x := range closed {
		err := update(ctx, l, source, exceptionKey(x.Custodian, x.Item.V.Key()), func(e *Exception) bool {
			change := e.Closed == x.Closed && e.ClosedIn == ""
			if change {
				e.ClosedIn = batch
			}
			return change
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// DueExceptions lists the open exceptions that are due to be fetched again.
func (l *Ledger) DueExceptions(ctx context.Context, source string, now time.Time) ([]Exception, error) {
	rows, err := l.exceptions(ctx, source, fmt.Sprintf("Closed eq '' and Due le '%s'", now.UTC().Format(time.RFC3339)))
	return values(rows), err
}

// LaneExceptions lists a lane's exceptions, the closed ones included.
func (l *Ledger) LaneExceptions(ctx context.Context, source string, lane int) ([]Exception, error) {
	rows, err := l.exceptions(ctx, source, fmt.Sprintf("Lane eq %d", lane))
	return values(rows), err
}
