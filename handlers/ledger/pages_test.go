package ledger

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"chainmail/handlers/capture"
)

// hourly puts batches of an hour each into the ledger, which begin at the given hours after a day's begin.
func hourly(t *testing.T, l *Ledger, day time.Time, all ...int) {
	t.Helper()
	for _, h := range all {
		w := capture.Window{Start: day.Add(time.Duration(h) * time.Hour), End: day.Add(time.Duration(h+1) * time.Hour)}
		b := Batch{ID: capture.BatchID(w, 1), Start: w.Start, End: w.End, N: 1, Status: capture.Completed, Documents: 3}
		if err := l.commit(t.Context(), "s", insert(batchKey(b.ID), b)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBatchesAreReadBackwards(t *testing.T) {
	t.Parallel()
	l := empty(t)
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	hourly(t, l, day, -9000, -300, 0, 1, 2, 3, 4, 5)
	for name, row := range map[string]struct {
		before int
		top    int
		want   []int
		older  bool
	}{
		"the latest":       {6, 3, []int{3, 4, 5}, true},
		"those before":     {3, 3, []int{0, 1, 2}, true},
		"over a pause":     {1, 2, []int{-300, 0}, true},
		"to the beginning": {0, 2, []int{-9000, -300}, false},
		"more than all":    {6, 100, []int{-9000, -300, 0, 1, 2, 3, 4, 5}, false},
		"none":             {-9000, 5, nil, false},
	} {
		rows, older, err := l.BatchesBack(t.Context(), "s", day.Add(time.Duration(row.before)*time.Hour), time.Hour, row.top)
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, r := range rows {
			got = append(got, int(r.Value.Start.Sub(day)/time.Hour))
		}
		if !slices.Equal(got, row.want) || older != row.older {
			t.Errorf("%s: %v, older %v; want %v, %v", name, got, older, row.want, row.older)
		}
	}
}

func TestTheFirstOpenBatchesAreTheOldest(t *testing.T) {
	t.Parallel()
	l := empty(t)
	for _, hour := range []int{3, 1, 2} {
		row, err := l.Source(t.Context(), "s")
		must(t, err)
		must(t, l.CreateBatch(t.Context(), "s", row, hours(hour, hour+1, capture.ReasonWindow)))
	}
	open, err := l.FirstOpen(t.Context(), "s", 2)
	if err != nil || len(open) != 2 || open[0].Start.Hour() != 1 || open[1].Start.Hour() != 2 {
		t.Errorf("%+v, %v", open, err)
	}
}

func TestATallyCountsNoFurtherThanItMay(t *testing.T) {
	t.Parallel()
	l := empty(t)
	hourly(t, l, time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), 0, 1, 2)
	for i := range 5 {
		p := Person{Identifier: fmt.Sprintf("p%d@contoso.example", i), Reason: []string{"", capture.ReasonNoMailbox}[i%2]}
		if err := l.commit(t.Context(), "s", insert("person:"+PersonKey(p.Identifier), p)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := l.Tally(t.Context(), "s", 5)
	if err != nil {
		t.Fatal(err)
	}
	if all.Batches[capture.Completed] != 3 || all.Documents != 9 || all.Individuals != 5 || all.Excluded[capture.ReasonNoMailbox] != 2 ||
		all.MoreBatches || all.MoreIndividuals || all.Gaps != 0 || all.Exceptions != 0 {
		t.Errorf("%+v", all)
	}
	some, err := l.Tally(t.Context(), "s", 2)
	if err != nil || some.Batches[capture.Completed] != 2 || some.Individuals != 2 || !some.MoreBatches || !some.MoreIndividuals || some.MoreGaps {
		t.Errorf("%+v, %v", some, err)
	}
}

func TestWhatIsOneCustodiansIsFoundByTheirKey(t *testing.T) {
	t.Parallel()
	l := empty(t)
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for _, who := range []string{"ana", "ben"} {
		g := Gap{Person: PersonKey(who), Custodian: who, Start: day, End: day.Add(time.Hour), Reason: capture.ReasonNoMailbox, Origin: "b"}
		if _, err := l.PutGap(t.Context(), "s", g); err != nil {
			t.Fatal(err)
		}
		x := capture.Exception{Custodian: who, Item: capture.Item{GraphID: "A" + who}, Batch: "batch-of-" + who, LastSeen: day, FirstSeen: day}
		if err := l.PutExceptions(t.Context(), "s", 0, []capture.Exception{x}, func(capture.Exception) bool { return false }); err != nil {
			t.Fatal(err)
		}
	}
	gaps, err := l.PersonGaps(t.Context(), "s", PersonKey("ben"))
	if err != nil || len(gaps) != 1 || gaps[0].Value.Custodian != "ben" {
		t.Errorf("gaps of ben: %+v, %v", gaps, err)
	}
	own, err := l.CustodianExceptions(t.Context(), "s", "ben", "", 10)
	if err != nil || len(own.Rows) != 1 || own.Rows[0].Value.Custodian != "ben" || own.Keys[0] != capture.ItemKey("Aben") {
		t.Errorf("exceptions of ben: %+v, %v", own, err)
	}
	found, err := l.BatchExceptions(t.Context(), "s", "batch-of-ana", "", 10)
	if err != nil || len(found.Rows) != 1 || found.Rows[0].Value.Custodian != "ana" {
		t.Errorf("exceptions of a batch: %+v, %v", found, err)
	}
}
