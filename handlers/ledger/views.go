package ledger

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
)

// A Slice is a page of rows in the order of their keys, with the key after which the next one begins; empty: it is the last.
type Slice[T any] struct {
	Rows []Row[T]
	Keys []string // of the rows, without what all have in common
	Next string
}

// cursor is what a key looks like, without what all have in common. It stands in a filter.
var cursor = regexp.MustCompile(`^[A-Za-z0-9:._-]{0,400}$`)

// SliceAfter reports whether a text can be where a slice begins.
func SliceAfter(after string) bool { return cursor.MatchString(after) }

// PeopleSlice reads at most top of a source's individuals behind a key.
func (l *Ledger) PeopleSlice(ctx context.Context, source, after string, top int) (Slice[Person], error) {
	return slice[Person](ctx, l, source, "person:", after, "", top)
}

// BatchesSlice reads at most top of a source's batches behind one, of a status unless that is empty.
func (l *Ledger) BatchesSlice(ctx context.Context, source, status, after string, top int) (Slice[Batch], error) {
	filter := ""
	if status != "" {
		filter = fmt.Sprintf(" and Status eq '%s'", status)
	}
	return slice[Batch](ctx, l, source, "batch:", after, filter, top)
}

// ExceptionsSlice reads at most top of a source's open exceptions behind one.
func (l *Ledger) ExceptionsSlice(ctx context.Context, source, after string, top int) (Slice[Exception], error) {
	return slice[Exception](ctx, l, source, "exception:", after, " and Closed eq ''", top)
}

// GapsSlice reads at most top of a source's gaps behind one.
func (l *Ledger) GapsSlice(ctx context.Context, source, after string, top int) (Slice[Gap], error) {
	return slice[Gap](ctx, l, source, "gap:", after, "", top)
}

// Exception reads the row of an item's exception; one that does not exist is zero.
func (l *Ledger) Exception(ctx context.Context, source, custodian, item string) (Row[Exception], error) {
	return find[Exception](ctx, l, source, exceptionKey(custodian, item))
}

// slice reads rows whose keys begin with a prefix, which ends in ':'. The service may end a page before it is full, also with
// no row at all where a filter lets few through; it says then where to go on.
func slice[T any](ctx context.Context, l *Ledger, source, prefix, after, also string, top int) (s Slice[T], err error) {
	if !SliceAfter(after) || top < 1 {
		return s, errors.New("list rows: nothing can begin or end there")
	}
	filter := fmt.Sprintf("PartitionKey eq '%s' and RowKey gt '%s' and RowKey lt '%s'%s",
		source, prefix+after, prefix[:len(prefix)-1]+";", also)
	most := int32(min(top+1, 1000))
	pages := l.table.NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &filter, Top: &most})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return s, wrap("list rows", err)
		}
		for _, e := range page.Entities {
			if len(s.Rows) == top {
				s.Next = s.Keys[top-1]
				return s, nil
			}
			key, err := decode[struct{ RowKey string }](e)
			if err != nil {
				return s, err
			}
			r, err := decode[T](e)
			if err != nil {
				return s, err
			}
			s.Rows, s.Keys = append(s.Rows, r), append(s.Keys, key.Value.RowKey[len(prefix):])
		}
	}
	return s, nil
}
