package ledger

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

func TestTheVersionOfAnEventThatWasCapturedLastIsKnown(t *testing.T) {
	t.Parallel()
	l := empty(t)
	at := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
	v := EventVersion{Custodian: "u1", Item: "aaaa", ChangeKey: "CQ1", Content: "c1", Batch: "20260303000000UTC-20260304000000UTC", At: at}
	other := EventVersion{Custodian: "u12", Item: "aaaa", ChangeKey: "CQ9", Content: "c9", Batch: v.Batch}
	must(t, l.PutEvents(t.Context(), source, []EventVersion{v, other}))
	must(t, l.PutEvents(t.Context(), source, []EventVersion{v})) // the same step, again
	later := v
	later.ChangeKey, later.Batch, later.At = "CQ2", "20260302000000UTC-20260303000000UTC", at.Add(time.Hour) // a supplement
	must(t, l.PutEvents(t.Context(), source, []EventVersion{later}))
	must(t, l.PutEvents(t.Context(), source, []EventVersion{v})) // by a run that comes too late
	got, err := l.Events(t.Context(), source, "u1", []string{"aaaa", "bbbb"})
	must(t, err)
	if want := map[string]EventVersion{"aaaa": later}; !maps.Equal(got, want) {
		t.Errorf("events = %v, want %v", got, want)
	}
}

func TestManyEventsAreReadAtOnce(t *testing.T) {
	t.Parallel()
	l := empty(t)
	var all []EventVersion
	var items []string
	for i := range fewEvents + 1 {
		item := fmt.Sprintf("item%03d", i)
		items = append(items, item)
		all = append(all, EventVersion{Custodian: "u1", Item: item, ChangeKey: "CQ"})
	}
	must(t, l.PutEvents(t.Context(), source, append(all, EventVersion{Custodian: "u10", Item: "other"})))
	got, err := l.Events(t.Context(), source, "u1", items)
	must(t, err)
	if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, items) {
		t.Errorf("events = %q, want %q", keys, items)
	}
}
