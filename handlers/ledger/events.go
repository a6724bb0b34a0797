package ledger

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// EventVersion is the row of a calendar event: the version of it that was captured last. It is what keeps an event from being
// captured again that did not change.
type EventVersion struct {
	Custodian string // capture.Custodian's Name
	Item      string // item key
	ChangeKey string
	Content   string    // SHA-256 over what the event says, whatever its change key
	Batch     string    // the batch that captured it
	At        time.Time // when it was read
}

func eventKey(custodian, item string) string { return fmt.Sprintf("event:%s:%s", custodian, item) }

// fewEvents is up to how many rows are read one by one, and not with all of the custodian.
const fewEvents = 100

// Events gives the versions captured last of a custodian's events, by item key; only of those that are asked for.
func (l *Ledger) Events(ctx context.Context, source, custodian string, items []string) (map[string]EventVersion, error) {
	known := map[string]EventVersion{}
	if len(items) <= fewEvents {
		for _, item := range items {
			r, err := find[EventVersion](ctx, l, source, eventKey(custodian, item))
			if err != nil {
				return nil, err
			}
			if r.Exists() {
				known[item] = r.Value
			}
		}
		return known, nil
	}
	rows, err := list[EventVersion](ctx, l, source, eventKey(custodian, ""))
	for _, r := range rows {
		known[r.Value.Item] = r.Value
	}
	return known, err
}

// PutEvents records versions as captured. A version that was read later stays: a run that was taken for dead may be late.
func (l *Ledger) PutEvents(ctx context.Context, source string, captured []EventVersion) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, v := range captured {
		g.Go(func() error {
			return update(ctx, l, source, eventKey(v.Custodian, v.Item), func(e *EventVersion) bool {
				if e.At.After(v.At) || *e == v {
					return false
				}
				*e = v
				return true
			})
		})
	}
	return g.Wait()
}
