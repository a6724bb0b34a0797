package ledger

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"chainmail/handlers/capture"
)

// gapText is a gap in short: hours of the day, reason, attempts, and what carries it.
func gapText(g Gap) string {
	s := fmt.Sprintf("%s %02d-%02d %s %d", g.Person, g.Start.Hour(), g.End.Hour(), g.Reason, g.Attempts)
	if g.Held {
		s += " held"
	}
	if g.Batch != "" {
		s += " carried"
	}
	return s
}

func gapTexts(t *testing.T, l *Ledger) []string {
	t.Helper()
	rows, err := l.Gaps(t.Context(), source)
	must(t, err)
	var all []string
	for _, r := range rows {
		all = append(all, gapText(r.Value))
	}
	slices.Sort(all)
	return all
}

// hours is a batch of some hours of the day.
func hours(from, to int, reason string) Batch {
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	w := capture.Window{Start: day.Add(time.Duration(from) * time.Hour), End: day.Add(time.Duration(to) * time.Hour)}
	return Batch{ID: capture.BatchID(w, 1), Start: w.Start, End: w.End, N: 1, Reason: reason}
}

func owed(person, reason string) Verdict {
	return Verdict{Person: person, Custodian: "c-" + person, Reason: reason}
}

func TestABatchLeavesGapsAndSupplementsCloseThem(t *testing.T) {
	t.Parallel()
	type step struct {
		batch    Batch
		verdicts []Verdict
		carries  []string // persons whose gaps go into the batch, which is a supplement then
	}
	givenUp := hours(0, 1, capture.ReasonWindow)
	givenUp.GivenUp = true
	for name, row := range map[string]struct {
		steps []step
		want  []string
	}{
		"nothing is owed": {[]step{{batch: hours(0, 1, "window")}}, nil},
		"one is left":     {[]step{{hours(0, 1, "window"), []Verdict{owed("a", "NoMailbox")}, nil}}, []string{"a 00-01 NoMailbox 1"}},
		"adjoining ones of a reason are one": {[]step{
			{hours(0, 1, "window"), []Verdict{owed("a", "NoMailbox"), owed("b", "Abandoned")}, nil},
			{hours(1, 2, "window"), []Verdict{owed("a", "NoMailbox"), owed("b", "NoMailbox")}, nil},
			{hours(2, 3, "window"), []Verdict{owed("a", "NoMailbox")}, nil},
		}, []string{"a 00-03 NoMailbox 1", "b 00-01 Abandoned 1", "b 01-02 NoMailbox 1"}},
		"of which an earlier one comes later": {[]step{
			{hours(1, 2, "window"), []Verdict{owed("a", "NoMailbox")}, nil},
			{hours(0, 1, "window"), []Verdict{owed("a", "NoMailbox")}, nil},
		}, []string{"a 00-02 NoMailbox 1"}},
		"what does not adjoin is another": {[]step{
			{hours(0, 1, "window"), []Verdict{owed("a", "NoMailbox")}, nil},
			{hours(2, 3, "window"), []Verdict{owed("a", "NoMailbox")}, nil},
		}, []string{"a 00-01 NoMailbox 1", "a 02-03 NoMailbox 1"}},
		"what is owed already stays": {[]step{
			{hours(0, 4, "window"), []Verdict{owed("a", "Abandoned")}, nil},
			{hours(1, 2, "Requested"), []Verdict{owed("a", "Abandoned")}, nil},
		}, []string{"a 00-04 Abandoned 1"}},
		"a supplement closes": {[]step{
			{hours(0, 1, "window"), []Verdict{owed("a", "Abandoned"), owed("b", "Abandoned")}, nil},
			{supplementOf(hours(0, 1, "Abandoned")), []Verdict{owed("a", ""), owed("b", "")}, []string{"a", "b"}},
		}, nil},
		"or fails in turn": {[]step{
			{hours(0, 1, "window"), []Verdict{owed("a", "Abandoned"), owed("b", "Abandoned")}, nil},
			{supplementOf(hours(0, 1, "Abandoned")), []Verdict{owed("a", ""), owed("b", "NoMailbox")}, []string{"a", "b"}},
		}, []string{"b 00-01 NoMailbox 2"}},
		"what is carried does not grow": {[]step{
			{hours(0, 1, "window"), []Verdict{owed("a", "Abandoned")}, nil},
			{supplementOf(hours(0, 1, "Abandoned")), nil, []string{"a"}},
			{hours(1, 2, "window"), []Verdict{owed("a", "Abandoned")}, nil},
		}, []string{"a 00-01 Abandoned 1 carried", "a 01-02 Abandoned 1"}},
		"what a person gave up is held": {[]step{
			{givenUp, []Verdict{owed("a", "Abandoned")}, nil},
			{hours(1, 2, "window"), []Verdict{owed("a", "Abandoned")}, nil},
		}, []string{"a 00-01 Abandoned 1 held", "a 01-02 Abandoned 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := empty(t)
			for _, s := range row.steps {
				src, err := l.Source(t.Context(), source)
				must(t, err)
				if s.carries != nil {
					gaps, err := l.Gaps(t.Context(), source)
					must(t, err)
					gaps = slices.DeleteFunc(gaps, func(g Row[Gap]) bool { return !slices.Contains(s.carries, g.Value.Person) })
					must(t, l.CreateSupplement(t.Context(), source, src, s.batch, gaps))
				} else {
					must(t, l.CreateBatch(t.Context(), source, src, s.batch))
				}
				for range 2 { // whoever publishes may do it again
					b, err := l.Batch(t.Context(), source, s.batch.ID)
					must(t, err)
					_, _, _, err = l.SettleGaps(t.Context(), source, b, s.verdicts, now)
					must(t, err)
				}
			}
			if got := gapTexts(t, l); !slices.Equal(got, row.want) {
				t.Errorf("gaps %q, want %q", got, row.want)
			}
		})
	}
}

func supplementOf(b Batch) Batch {
	b.N, b.ID, b.Gaps = 2, capture.BatchID(b.Window(), 2), 1
	return b
}

func TestManyGapsAreSettledInSeveralTransactions(t *testing.T) {
	t.Parallel()
	l := empty(t)
	var verdicts []Verdict
	for n := range 2*gapsAtOnce + 1 {
		verdicts = append(verdicts, owed(fmt.Sprintf("p%04d", n), "NoMailbox"))
	}
	for n := range 2 { // hour after hour
		b := hours(n, n+1, capture.ReasonWindow)
		src, err := l.Source(t.Context(), source)
		must(t, err)
		must(t, l.CreateBatch(t.Context(), source, src, b))
		row, err := l.Batch(t.Context(), source, b.ID)
		must(t, err)
		if _, opened, _, err := l.SettleGaps(t.Context(), source, row, verdicts, now); err != nil || len(opened) != len(verdicts) {
			t.Errorf("%d gaps are opened, %v", len(opened), err)
		}
		if _, opened, _, err := l.SettleGaps(t.Context(), source, row, verdicts, now); err != ErrConflict || opened != nil {
			t.Errorf("a rival opens %d gaps, %v", len(opened), err)
		}
	}
	if got := gapTexts(t, l); len(got) != len(verdicts) || got[0] != "p0000 00-02 NoMailbox 1" {
		t.Errorf("%d gaps, the first %q", len(got), got[:1])
	}
}

func TestAGapWaitsLongerAfterEachAttempt(t *testing.T) {
	t.Parallel()
	for attempts, want := range map[int]time.Duration{0: time.Hour, 1: time.Hour, 2: 2 * time.Hour, 5: 16 * time.Hour, 6: 24 * time.Hour, 99: 24 * time.Hour} {
		if got := GapWait(attempts); got != want {
			t.Errorf("GapWait(%d) = %v, want %v", attempts, got, want)
		}
	}
}

func TestAPersonMayAskForGaps(t *testing.T) {
	t.Parallel()
	l := empty(t)
	b := hours(0, 1, capture.ReasonWindow)
	src, err := l.Source(t.Context(), source)
	must(t, err)
	must(t, l.CreateBatch(t.Context(), source, src, b))
	row, err := l.Batch(t.Context(), source, b.ID)
	must(t, err)
	_, _, _, err = l.SettleGaps(t.Context(), source, row, []Verdict{owed("a", "Abandoned")}, now)
	must(t, err)
	if n, err := l.Ask(t.Context(), source, b.ID); n != 1 || err != nil {
		t.Errorf("Ask() = %d, %v", n, err)
	}
	g := Gap{Person: "b", Start: b.Start, End: b.End, Reason: capture.ReasonRequested, Opened: now, Asked: true}
	for _, want := range []bool{true, false} {
		if opened, err := l.PutGap(t.Context(), source, g); opened != want || err != nil {
			t.Errorf("PutGap() = %v, %v, want %v", opened, err, want)
		}
	}
	rows, err := l.Gaps(t.Context(), source)
	must(t, err)
	for _, r := range rows {
		if !r.Value.Asked || !r.Value.Due.IsZero() {
			t.Errorf("gap %+v", r.Value)
		}
	}
	if len(rows) != 2 || rows[0].Value.RetryOf+rows[1].Value.RetryOf != b.ID {
		t.Errorf("gaps %v", gapTexts(t, l))
	}
}

func TestWhatIsPlannedMeanwhileKeepsAChangeOfPeopleOut(t *testing.T) {
	t.Parallel()
	l := empty(t)
	before, err := l.Source(t.Context(), source)
	must(t, err)
	must(t, l.CreateBatch(t.Context(), source, before, hours(0, 1, capture.ReasonWindow)))
	row := Row[Person]{Value: Person{Identifier: "a@x.example"}}
	gap := Gap{Person: PersonKey("a@x.example"), Start: hours(0, 1, "").Start, End: hours(0, 1, "").End, Reason: capture.ReasonJoined}
	if err := l.PutPeople(t.Context(), source, before, []Row[Person]{row}, []Gap{gap}); err != ErrConflict {
		t.Errorf("PutPeople() = %v, want a conflict", err)
	}
	after, err := l.Source(t.Context(), source)
	must(t, err)
	must(t, l.PutPeople(t.Context(), source, after, []Row[Person]{row}, []Gap{gap}))
	if err := l.CreateBatch(t.Context(), source, after, hours(1, 2, capture.ReasonWindow)); err != ErrConflict {
		t.Errorf("CreateBatch() = %v, want a conflict", err)
	}
	if open, err := l.GapOpen(t.Context(), source, gap); !open || err != nil {
		t.Errorf("GapOpen() = %v, %v", open, err)
	}
}

func TestBatchesAreFoundByTheirTime(t *testing.T) {
	t.Parallel()
	l := empty(t)
	for _, b := range []Batch{hours(0, 2, "window"), hours(2, 4, "window"), supplementOf(hours(1, 3, "Joined"))} {
		src, err := l.Source(t.Context(), source)
		must(t, err)
		must(t, l.CreateBatch(t.Context(), source, src, b))
	}
	for name, row := range map[string]struct {
		from, to int
		want     int
	}{"before": {22, 24, 0}, "all": {0, 4, 3}, "first": {0, 1, 1}, "last": {3, 4, 1}, "second": {2, 3, 2}, "touching": {4, 5, 0}} {
		if got, err := l.Overlapping(t.Context(), source, hours(row.from, row.to, "").Window()); err != nil || len(got) != row.want {
			t.Errorf("%s: %d batches, %v, want %d", name, len(got), err, row.want)
		}
	}
	if b, err := l.WindowAt(t.Context(), source, hours(2, 3, "").Start); err != nil || b.Value.ID != hours(2, 4, "").ID {
		t.Errorf("WindowAt() = %s, %v", b.Value.ID, err)
	}
	if _, err := l.WindowAt(t.Context(), source, hours(4, 5, "").Start); err != ErrNotFound {
		t.Errorf("WindowAt() = %v, want not found", err)
	}
}

func TestABatchThatIsGivenUpIsClosedWithWhatItHas(t *testing.T) {
	t.Parallel()
	l := empty(t)
	b := hours(0, 1, capture.ReasonWindow)
	b.Lanes.V = []int{0, 1}
	src, err := l.Source(t.Context(), source)
	must(t, err)
	must(t, l.CreateBatch(t.Context(), source, src, b))
	open, err := l.OpenBatches(t.Context(), source)
	must(t, err)
	_, err = l.Dispatch(t.Context(), source, open, now, false)
	must(t, err)
	chunk := capture.Chunk{Source: source, Batch: b.ID, Lane: 0}
	w, err := l.Take(t.Context(), chunk, "run1", now, now.Add(time.Minute))
	must(t, err)
	for range 2 {
		if given, err := l.Abandon(t.Context(), source, b.ID, now); !given || err != nil {
			t.Fatalf("Abandon() = %v, %v", given, err)
		}
	}
	if err := l.Save(t.Context(), &w); err != ErrConflict {
		t.Errorf("the run that works on it saves: %v", err)
	}
	for lane := range 2 {
		c, err := l.Chunk(t.Context(), source, b.ID, lane)
		if err != nil || !c.Value.Final || c.Value.Status != ChunkPendingRetry {
			t.Errorf("lane %d: %+v, %v", lane, c.Value, err)
		}
	}
	if given, err := l.Abandon(t.Context(), source, "20260101000000UTC-20260102000000UTC", now); given || err != nil {
		t.Errorf("a batch that does not exist: %v, %v", given, err)
	}
}

func TestWhatExchangeSoonDeletesIsSaidOnce(t *testing.T) {
	t.Parallel()
	l := empty(t)
	purged, active, closed := exception("1", now), exception("2", now), exception("3", now)
	purged.Item.State, closed.Item.State = capture.Purged, capture.Recoverable
	must(t, l.PutExceptions(t.Context(), source, 4, []capture.Exception{purged, active, closed}, always))
	must(t, l.CloseExceptions(t.Context(), source, []Closing{{Custodian: closed.Custodian, Item: closed.Item.Key(), How: ClosedVanished, At: now}}))
	const kept = 14 * 24 * time.Hour
	for day, want := range []int{0, 0, 1, 0} {
		at := now.Add(time.Duration(9+day)*24*time.Hour + time.Minute)
		got, err := l.Endangered(t.Context(), source, at.Add(3*24*time.Hour), kept)
		if err != nil || len(got) != want || want == 1 && got[0].Item.Key() != purged.Item.Key() {
			t.Errorf("day %d: %d items, %v, want %d", 9+day, len(got), err, want)
		}
	}
	if all, err := l.LaneExceptions(t.Context(), source, 4); err != nil || len(all) != 3 {
		t.Errorf("%d exceptions of the lane, %v", len(all), err)
	}
	if open, err := l.Exceptions(t.Context(), source); err != nil || len(open) != 2 {
		t.Errorf("%d are open, %v", len(open), err)
	}
}

func TestASourceIsDisabledEnabledAndReset(t *testing.T) {
	t.Parallel()
	l := empty(t)
	must(t, l.UpdateSource(t.Context(), source, func(s *Source) bool { s.State, s.Begin, s.EnabledAt = now, now, now; return true }))
	must(t, l.Trouble(t.Context(), source, "unauthorized", now))
	must(t, l.Trouble(t.Context(), source, "unauthorized", now.Add(2*time.Hour)))
	must(t, l.Disable(t.Context(), source, "unauthorized", now))
	must(t, l.Disable(t.Context(), source, "operator", now))
	row, err := l.Source(t.Context(), source)
	must(t, err)
	if s := row.Value; !s.Disabled() || s.DisabledReason != "unauthorized" || !s.TroubleSince.Equal(now) || !s.State.Equal(now) {
		t.Errorf("disabled: %+v", s)
	}
	if code, at := row.Value.LatestError(now.Add(25*time.Hour), 24*time.Hour); code != "unauthorized" || !at.Equal(now.Add(2*time.Hour)) {
		t.Errorf("last error %s at %v", code, at)
	}
	if code, _ := row.Value.LatestError(now.Add(26*time.Hour), 24*time.Hour); code != "" {
		t.Errorf("last error %s, after it is forgotten", code)
	}
	must(t, l.Enable(t.Context(), source, now.Add(time.Hour)))
	row, err = l.Source(t.Context(), source)
	must(t, err)
	if s := row.Value; s.Disabled() || s.Trouble != "" || !s.State.Equal(now) || !s.EnabledAt.Equal(now.Add(time.Hour)) {
		t.Errorf("enabled: %+v", s)
	}
	must(t, l.Reset(t.Context(), source, now))
	row, err = l.Source(t.Context(), source)
	must(t, err)
	if s := row.Value; !s.Disabled() || !s.State.IsZero() || !s.EnabledAt.IsZero() {
		t.Errorf("reset: %+v", s)
	}
}
