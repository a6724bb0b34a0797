package console

import (
	"fmt"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
)

// large gives the source so many individuals, a hundred in a lane, and so many final batches of an hour each.
func (w *world) large(individuals, batches int) {
	w.Helper()
	ctx := w.Context()
	start := at("2024-03-02T00:00:00Z")
	must(w.T, w.ledger.UpdateSource(ctx, testSource, func(s *ledger.Source) bool {
		s.Begin, s.State, s.PeopleAt, s.EnabledAt = start, start, w.now.Add(-time.Hour), start
		return true
	}))
	always := ledger.Packed[[]ledger.Interval]{V: []ledger.Interval{{Cause: "list"}}}
	for from := 0; from < individuals; from += ledger.MaxPeople {
		row, err := w.ledger.Source(ctx, testSource)
		must(w.T, err)
		var rows []ledger.Row[ledger.Person]
		for i := from; i < min(from+ledger.MaxPeople, individuals); i++ {
			rows = append(rows, ledger.Row[ledger.Person]{Value: ledger.Person{
				Identifier: fmt.Sprintf("person%06d@contoso.example", i), ObjectID: fmt.Sprintf("7d2c1a4e-0000-4000-8000-%012d", i),
				Lane: i / 100, Intervals: always,
			}})
		}
		must(w.T, w.ledger.PutPeople(ctx, testSource, row, rows, nil))
	}
	for i := range batches {
		row, err := w.ledger.Source(ctx, testSource)
		must(w.T, err)
		b := ledger.Batch{Start: start.Add(time.Duration(i) * time.Hour), N: 1, Reason: capture.ReasonWindow, Custodians: individuals, ConfigSHA256: "c"}
		b.End = b.Start.Add(time.Hour)
		b.ID = capture.BatchID(b.Window(), 1)
		b.Enter(capture.Created, b.End, 0)
		row.Value.State = b.End
		must(w.T, w.ledger.CreateBatch(ctx, testSource, row, b))
		w.finish(b.ID)
	}
}

// TestPagesCostNoMoreInALargeSource holds the requests to the storage, behind each page, to the same number whatever the size;
// go test -run LargeSource -v ./handlers/console prints them with the time that they take.
func TestPagesCostNoMoreInALargeSource(t *testing.T) {
	t.Parallel()
	cost := map[string]int{}
	for _, size := range [][2]int{{600, 60}, {6_000, 300}} {
		w := newWorld(t)
		w.large(size[0], size[1])
		for _, page := range []string{
			"", "/sources/o365-mail", "/sources/o365-mail/custodians", "/custodians/o365-mail/" + ledger.PersonKey("person000077@contoso.example"),
			"/batches/o365-mail/20240302000000UTC-20240302010000UTC", "/exceptions?source=o365-mail", "/gaps?source=o365-mail",
		} {
			before, began := len(w.proxy.Ops()), time.Now()
			answer := w.visit("GET", page, nil, nil)
			n := len(w.proxy.Ops()) - before
			t.Logf("%d individuals, %d batches: %d requests, %v for %q", size[0], size[1], n, time.Since(began).Round(time.Millisecond), page)
			if answer.Code != 200 {
				t.Errorf("%q: %d %s", page, answer.Code, answer.Body)
			}
			if first, known := cost[page]; known && n > first+10 {
				t.Errorf("%q: %d requests for %v, of the smaller source %d", page, n, size, first)
			} else if !known {
				cost[page] = n
			}
		}
	}
}
