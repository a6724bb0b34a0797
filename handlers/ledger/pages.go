package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chainmail/handlers/capture"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
)

// BatchesBack reads at most top of a source's batches whose periods begin before an instant, the oldest first, and whether there
// are older ones. usual is how long a batch's period is: Table storage gives rows in the order of their keys alone, so that the
// reading looks back by it, further each time, until there are enough.
func (l *Ledger) BatchesBack(ctx context.Context, source string, before time.Time, usual time.Duration, top int) (rows []Row[Batch], older bool, err error) {
	const (
		floor = 50 * 366 * 24 * time.Hour // no period lies further back
		wider = 4
	)
	end := batchKey(capture.BatchTime(before))
	for back := max(usual, time.Minute) * time.Duration(top+1); len(rows) <= top; back *= wider {
		begin := batchKey("")
		if back < floor/wider {
			begin = batchKey(capture.BatchTime(before.Add(-back)))
		}
		found, err := query[Batch](ctx, l, between(source, begin, end))
		if err != nil {
			return nil, false, err
		}
		rows = append(found, rows...)
		if end = begin; begin == batchKey("") {
			break
		}
	}
	if over := len(rows) - top; over > 0 {
		return rows[over:], true, nil
	}
	return rows, false, nil
}

func between(source, begin, end string) string {
	return fmt.Sprintf("PartitionKey eq '%s' and RowKey ge '%s' and RowKey lt '%s'", source, begin, end)
}

// PersonGaps lists the gaps of an individual, by the key of their row.
func (l *Ledger) PersonGaps(ctx context.Context, source, key string) ([]Row[Gap], error) {
	if !SliceAfter(key) {
		return nil, nil
	}
	return list[Gap](ctx, l, source, gapKey(key)+":")
}

// CustodianExceptions reads at most top of a custodian's open exceptions behind one.
func (l *Ledger) CustodianExceptions(ctx context.Context, source, custodian, after string, top int) (Slice[Exception], error) {
	if !SliceAfter(custodian) {
		return Slice[Exception]{}, nil
	}
	return slice[Exception](ctx, l, source, "exception:"+custodian+":", after, " and Closed eq ''", top)
}

// BatchExceptions reads at most top of the open exceptions that a batch found first, behind one.
func (l *Ledger) BatchExceptions(ctx context.Context, source, batch, after string, top int) (Slice[Exception], error) {
	return slice[Exception](ctx, l, source, "exception:", after, fmt.Sprintf(" and Closed eq '' and Batch eq '%s'", batch), top)
}

// FirstOpen lists at most top of the batches whose manifests are not published, the oldest period first.
func (l *Ledger) FirstOpen(ctx context.Context, source string, top int) ([]Batch, error) {
	open, err := slice[struct{}](ctx, l, source, openKey(""), "", "", top)
	if err != nil {
		return nil, err
	}
	var all []Batch
	for _, id := range open.Keys {
		b, err := l.Batch(ctx, source, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, b.Value)
	}
	return all, nil
}

// A Tally is what of a source's rows was counted: at most so many of each kind as were allowed, so that it takes no longer the
// more there are.
type Tally struct {
	Batches     map[capture.BatchStatus]int
	Documents   int            // in those batches
	Individuals int            // of all
	Excluded    map[string]int // of them, by the reasons
	Exceptions  int            // open ones
	Gaps        int

	MoreBatches, MoreIndividuals, MoreExceptions, MoreGaps bool // there are more than were counted
}

// Tally counts a source's rows, at most so many of each kind.
func (l *Ledger) Tally(ctx context.Context, source string, most int) (t Tally, err error) {
	t.Batches, t.Excluded = map[capture.BatchStatus]int{}, map[string]int{}
	t.MoreBatches, err = count(ctx, l, between(source, "batch:", "batch;"), "Status,Documents", most, func(b Batch) {
		t.Batches[b.Status]++
		t.Documents += b.Documents
	})
	if err != nil {
		return t, err
	}
	t.MoreIndividuals, err = count(ctx, l, between(source, "person:", "person;"), "Reason", most, func(p Person) {
		if t.Individuals++; p.Reason != "" {
			t.Excluded[p.Reason]++
		}
	})
	if err != nil {
		return t, err
	}
	t.MoreExceptions, err = count(ctx, l, between(source, "exception:", "exception;")+" and Closed eq ''", "RowKey", most,
		func(struct{}) { t.Exceptions++ })
	if err != nil {
		return t, err
	}
	t.MoreGaps, err = count(ctx, l, between(source, "gap:", "gap;"), "RowKey", most, func(struct{}) { t.Gaps++ })
	return t, err
}

// count gives the first rows of a filter, with these columns alone, to each, and reports whether there are more.
func count[T any](ctx context.Context, l *Ledger, filter, columns string, most int, each func(T)) (more bool, err error) {
	pages, n := l.table.NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &filter, Select: &columns}), 0
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return false, wrap("count rows", err)
		}
		for _, e := range page.Entities {
			if n == most {
				return true, nil
			}
			r, err := decode[T](e)
			if err != nil {
				return false, err
			}
			each(r.Value)
			n++
		}
	}
	return false, nil
}
