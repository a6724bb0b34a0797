package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
	"chainmail/handlers/vault/storagetest"
)

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

const (
	firstDay  = "20260302000000UTC-20260303000000UTC"
	firstHour = "20260302000000UTC-20260302010000UTC"
)

// hours are the ids of the day's first batches of an hour each.
func hours(n int) []string {
	var all []string
	begin := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for i := range n {
		start := begin.Add(time.Duration(i) * time.Hour)
		all = append(all, capture.BatchID(capture.Window{Start: start, End: start.Add(time.Hour)}, 1))
	}
	return all
}

// hourly is a source that makes a batch an hour.
func hourly(changes ...map[string]any) map[string]any {
	s := map[string]any{"mergeBatchesDuringColdStart": false}
	for _, c := range changes {
		for k, v := range c {
			s[k] = v
		}
	}
	return s
}

func TestWhatIsDueBecomesABatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sum := w.configure(nil)
	excluded := person("c", 4)
	excluded.Reason, excluded.ObjectID = capture.ReasonNotFound, ""
	b := person("b", 1)
	b.DisplayName, b.Secondary.V, b.Archive = "B.", []string{"bb"}, true
	w.monitor(testSource, person("a", 1), b, excluded)
	want := []capture.Chunk{{Source: testSource, Batch: firstDay, Lane: 1}, {Source: testSource, Batch: firstDay, Lane: 4}}
	if got := w.tick(); !slices.Equal(got, want) {
		t.Errorf("chunks = %v, want %v", got, want)
	}
	batches := w.batches(testSource)
	if len(batches) != 1 {
		t.Fatalf("batches = %v, want one", batches)
	}
	made := batches[0]
	custodians := w.custodians(made)
	wanted := ledger.Batch{
		ID: firstDay, Start: at(t, "2026-03-02T00:00:00Z"), End: at(t, "2026-03-03T00:00:00Z"), N: 1, Reason: "window", Status: capture.Created,
		Snapshot: made.Snapshot, SnapshotSHA256: made.SnapshotSHA256, Custodians: 3, ConfigSHA256: sum,
	}
	wanted.Lanes.V = []int{1, 4}
	wanted.Statuses.V = []ledger.Stage{{Status: capture.Created, At: w.now}}
	if !reflect.DeepEqual(made, wanted) {
		t.Errorf("batch = %+v\nwant    %+v", made, wanted)
	}
	if want := []capture.Custodian{
		{Individual: capture.Individual{Identifier: "a"}, ID: "id-a", Lane: 1},
		{Individual: capture.Individual{Identifier: "b", DisplayName: "B.", Secondary: []string{"bb"}}, ID: "id-b", Lane: 1, Archive: true},
		{Individual: capture.Individual{Identifier: "c"}, Lane: 4, Reason: capture.ReasonNotFound},
	}; !reflect.DeepEqual(custodians, want) {
		t.Errorf("custodians = %+v, want %+v", custodians, want)
	}
	if s := w.source(); !s.State.Equal(made.End) || !s.EnabledAt.Equal(w.now) {
		t.Errorf("source = %+v", s)
	}
	planned := w.log.Events("batch planned")
	if len(planned) != 1 || planned[0]["source"] != testSource || planned[0]["batch"] != firstDay || planned[0]["custodians"] != 3.0 || planned[0]["chunks"] != 2.0 {
		t.Errorf("logged: %v", planned)
	}
	writes := w.proxy.Writes()
	if again := w.tick(); len(again) != 0 || w.proxy.Writes() != writes {
		t.Errorf("a second tick gives out %v and writes %d times", again, w.proxy.Writes()-writes)
	}
}

func TestABatchAndTheIngestionStateMoveTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(nil)
	w.monitor(testSource, person("a", 0))
	w.tick()
	transactions := 0
	for _, op := range w.proxy.Ops() {
		var keys []string
		for _, part := range op.Parts {
			keys = append(keys, strings.TrimPrefix(part.Name, testSource+"/"))
		}
		if slices.Contains(keys, "batch:"+firstDay) {
			transactions++
			if !slices.Contains(keys, "source") || !slices.Contains(keys, "open:"+firstDay) {
				t.Errorf("the batch is made in a transaction of %v", keys)
			}
		}
	}
	if transactions != 1 {
		t.Errorf("%d transactions write the batch, want one", transactions)
	}
}

func TestAnotherBatchOfAPeriodHasTheNextNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(nil)
	w.monitor(testSource, person("a", 0))
	for n, id := range []string{firstDay, firstDay + "-2", firstDay + "-3"} {
		must(t, w.ledger.UpdateSource(t.Context(), testSource, func(s *ledger.Source) bool { // as a reset does
			s.State, s.EnabledAt = time.Time{}, time.Time{}
			return true
		}))
		w.tick()
		batches := w.batches(testSource)
		if last := batches[len(batches)-1]; len(batches) != n+1 || last.ID != id || last.N != n+1 {
			t.Fatalf("batches = %v, the last %s with number %d", w.ids(testSource), last.ID, last.N)
		}
		w.custodians(batches[n])
	}
}

func TestThreeBatchesAreAheadOfTheSlowestLane(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(hourly())
	w.monitor(testSource, person("a", 0), person("b", 1))
	chunks := w.tick()
	if got := w.ids(testSource); !slices.Equal(got, hours(3)) {
		t.Fatalf("batches = %v, want %v", got, hours(3))
	}
	if want := []capture.Chunk{{Source: testSource, Batch: firstHour, Lane: 0}, {Source: testSource, Batch: firstHour, Lane: 1}}; !slices.Equal(chunks, want) {
		t.Fatalf("chunks = %v, want %v", chunks, want)
	}
	for chunk, more := chunks[0], true; more; { // the fast lane comes to its end
		chunk, more = w.end(w.begin(chunk))
	}
	if w.tick(); len(w.batches(testSource)) != 3 {
		t.Errorf("batches = %v, ahead of the slow lane", w.ids(testSource))
	}
	slow := w.begin(chunks[1]) // what a lane has begun does not wait for it
	chunks = w.tick()
	if got := w.ids(testSource); !slices.Equal(got, hours(4)) {
		t.Errorf("batches = %v, want %v", got, hours(4))
	}
	if want := []capture.Chunk{{Source: testSource, Batch: hours(4)[3], Lane: 0}}; !slices.Equal(chunks, want) {
		t.Errorf("chunks = %v, want %v", chunks, want)
	}
	if w.tick(); len(w.batches(testSource)) != 4 {
		t.Errorf("batches = %v, four of them wait", w.ids(testSource))
	}
	w.end(slow)
	if w.tick(); len(w.batches(testSource)) != 4 {
		t.Errorf("batches = %v, the next has not begun", w.ids(testSource))
	}
}

func TestADisabledSourceFinishesWhatItHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(hourly())
	w.monitor(testSource, person("a", 0))
	chunks := w.tick()
	w.configure(hourly(map[string]any{"enabled": false}))
	for chunk, more := chunks[0], true; more; {
		w.tick()
		chunk, more = w.end(w.begin(chunk))
	}
	if w.tick(); len(w.batches(testSource)) != 3 {
		t.Errorf("batches = %v, want no new ones", w.ids(testSource))
	}
	for _, b := range w.batches(testSource) {
		if !b.Published {
			t.Errorf("batch %s is not published", b.ID)
		}
	}
	w.configure(hourly())
	if chunks = w.tick(); len(chunks) != 1 || chunks[0].Batch != hours(4)[3] {
		t.Errorf("enabled again, it goes on with %v, want %s", chunks, hours(4)[3])
	}
}

func TestADisabledSourceIsNotBegun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(hourly(map[string]any{"enabled": false, "startDate": nil}))
	w.monitor(testSource, person("a", 0))
	w.tick()
	if s := w.source(); !s.EnabledAt.IsZero() || !s.State.IsZero() {
		t.Errorf("source = %+v", s)
	}
}

func TestNothingIsPlannedBeforeTheIndividualsAreKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(map[string]any{"startDate": nil})
	begun := w.now.Add(900 * time.Millisecond)
	w.now = begun
	if chunks := w.tick(); len(chunks) != 0 || len(w.batches(testSource)) != 0 {
		t.Errorf("chunks = %v", chunks)
	}
	if len(w.log.Events("source waits for its individuals")) != 1 {
		t.Error("the log does not say what the source waits for")
	}
	w.now = w.now.Add(3 * time.Hour)
	w.monitor(testSource, person("a", 0))
	w.tick()
	// Without a start date it began when it was enabled, not when the individuals were known.
	if s := w.source(); !s.EnabledAt.Equal(begun) || !slices.Equal(w.ids(testSource), []string{"20260303001000UTC-20260303021000UTC"}) {
		t.Errorf("source = %+v, batches %v", s, w.ids(testSource))
	}
}

func TestAStateLaterThanTheStartWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(nil)
	w.monitor(testSource, person("a", 0))
	w.tick()
	w.now = w.now.Add(time.Hour)
	w.configure(map[string]any{"startDate": "2026-02-01T00:00:00Z"})
	w.tick()
	if want := []string{firstDay, "20260303000000UTC-20260303010000UTC"}; !slices.Equal(w.ids(testSource), want) {
		t.Errorf("batches = %v, want %v", w.ids(testSource), want)
	}
}

func TestNothingIsPlannedBeyondTheEndDate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(map[string]any{"endDate": "2026-03-02T01:30:00Z"})
	w.monitor(testSource, person("a", 0))
	w.tick()
	w.now = w.now.AddDate(1, 0, 0)
	w.tick()
	if want := []string{"20260302000000UTC-20260302013000UTC"}; !slices.Equal(w.ids(testSource), want) {
		t.Errorf("batches = %v, want %v", w.ids(testSource), want)
	}
}

func TestWhoIsMonitoredAtAnyInstantIsInTheBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(nil)
	var people []ledger.Person
	var want []string
	for i, tt := range []struct {
		intervals string // "from to" of 2 and 3 March, for several ones in a row
		in        bool
	}{
		{"- -", true}, {"", false},
		{"- 02T00:00:00", false}, {"- 02T00:00:01", true}, {"03T00:00:00 -", false}, {"02T23:59:59 -", true},
		{"02T08:00:00 02T09:00:00", true}, {"02T00:00:00 03T00:00:00", true}, {"03T00:00:00 03T12:00:00", false},
		{"- 01T00:00:00 03T08:00:00 -", false}, {"- 01T00:00:00 02T08:00:00 -", true},
	} {
		p := person(fmt.Sprintf("p%02d", i), i)
		p.Intervals.V = nil
		ends := strings.Fields(tt.intervals)
		for j := 0; j < len(ends); j += 2 {
			iv := ledger.Interval{Cause: "list"}
			if ends[j] != "-" {
				iv.From = at(t, "2026-03-"+ends[j]+"Z")
			}
			if ends[j+1] != "-" {
				iv.To = at(t, "2026-03-"+ends[j+1]+"Z")
			}
			p.Intervals.V = append(p.Intervals.V, iv)
		}
		people = append(people, p)
		if tt.in {
			want = append(want, p.Identifier)
		}
	}
	w.monitor(testSource, people...)
	w.tick()
	var got []string
	for _, c := range w.custodians(w.batches(testSource)[0]) {
		got = append(got, c.Identifier)
	}
	if !slices.Equal(got, want) {
		t.Errorf("custodians = %v, want %v", got, want)
	}
}

func TestAMailboxStandsOnceInABatch(t *testing.T) {
	t.Parallel()
	c := func(identifier, id, reason string) capture.Custodian {
		return capture.Custodian{Individual: capture.Individual{Identifier: identifier}, ID: id, Reason: reason}
	}
	const duplicate, denied = capture.ReasonDuplicate, capture.ReasonDenied
	for _, tt := range []struct {
		name       string
		custodians []capture.Custodian
		want       []capture.Custodian
	}{
		{"nobody", nil, nil},
		{"different ones", []capture.Custodian{c("a", "1", ""), c("b", "2", denied)}, []capture.Custodian{c("a", "1", ""), c("b", "2", denied)}},
		{"unresolved ones", []capture.Custodian{c("a", "", ""), c("b", "", ""), c("c", "", capture.ReasonNotFound)},
			[]capture.Custodian{c("a", "", ""), c("b", "", ""), c("c", "", capture.ReasonNotFound)}},
		{"a duplicate after its owner", []capture.Custodian{c("a", "1", ""), c("b", "1", duplicate)}, []capture.Custodian{c("a", "1", ""), c("b", "", duplicate)}},
		{"a duplicate before its owner", []capture.Custodian{c("a", "1", duplicate), c("b", "1", "")}, []capture.Custodian{c("a", "", duplicate), c("b", "1", "")}},
		{"one took the other's place", []capture.Custodian{c("a", "1", ""), c("b", "1", "")}, []capture.Custodian{c("a", "1", ""), c("b", "", duplicate)}},
		{"three", []capture.Custodian{c("a", "1", duplicate), c("b", "1", ""), c("c", "1", "")},
			[]capture.Custodian{c("a", "", duplicate), c("b", "1", ""), c("c", "", duplicate)}},
		{"a duplicate whose owner is not there", []capture.Custodian{c("a", "1", duplicate)}, []capture.Custodian{c("a", "1", "")}},
		{"two duplicates whose owner is not there", []capture.Custodian{c("a", "1", duplicate), c("b", "1", duplicate)},
			[]capture.Custodian{c("a", "1", ""), c("b", "", duplicate)}},
		{"an owner that cannot be collected", []capture.Custodian{c("a", "1", denied), c("b", "1", duplicate)},
			[]capture.Custodian{c("a", "1", denied), c("b", "", duplicate)}},
		{"one that could not be collected before", []capture.Custodian{c("a", "1", denied), c("b", "1", "")},
			[]capture.Custodian{c("a", "", denied), c("b", "1", "")}},
	} {
		got := slices.Clone(tt.custodians)
		if capture.NameMailboxesOnce(got); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	w := newWorld(t)
	w.configure(nil)
	renamed := person("b", 1)
	renamed.ObjectID = "id-a"
	w.monitor(testSource, person("a", 0), renamed)
	w.tick()
	if got := w.custodians(w.batches(testSource)[0]); len(got) != 2 || got[0].Name() == got[1].Name() || got[1].Reason != duplicate {
		t.Errorf("custodians = %+v", got)
	}
}

func TestABatchWithoutCustodiansIsSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(hourly(map[string]any{"endDate": "2026-03-02T02:00:00Z"}))
	w.monitor(testSource)
	if worked := w.settle(at(t, "2026-03-02T02:00:00Z")); len(worked) != 0 {
		t.Errorf("chunks %v were given out", worked)
	}
	for i, id := range hours(2) {
		m, ok := w.manifest(id)
		if !ok || fmt.Sprint(m.Status) != string(capture.Completed) || m.Totals.Custodians != 0 {
			t.Errorf("manifest %d = %+v, %v", i, m, ok)
		}
	}
}

func TestAFaultOfOneSourceDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(hourly(map[string]any{"name": "bad"}), hourly())
	w.monitor("bad", person("a", 0))
	w.monitor(testSource, person("a", 0))
	stop := w.refuse(func(op storagetest.Op) bool {
		return op.Verb == "Put Blob" && strings.HasPrefix(op.Name, "snapshots/bad/")
	})
	chunks, err := w.planner.Tick(t.Context())
	if err != nil || !slices.Equal(chunks, []capture.Chunk{{Source: testSource, Batch: firstHour}}) {
		t.Errorf("chunks = %v, %v", chunks, err)
	}
	if failed := w.log.Events("source not planned"); len(failed) != 1 || failed[0]["source"] != "bad" {
		t.Errorf("logged: %v", failed)
	}
	if _, err := w.planner.Tick(t.Context()); w.log.Error(err) == nil { // nothing is given out that an error would lose
		t.Error("a tick with a fault and without chunks gives no error")
	}
	stop()
	if chunks := w.tick(); !slices.Equal(chunks, []capture.Chunk{{Source: "bad", Batch: firstHour}}) {
		t.Errorf("chunks = %v", chunks)
	}
}

func TestAFaultOfOneStepLosesNoChunk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(hourly())
	w.monitor(testSource, person("a", 0))
	stop := w.refuse(func(op storagetest.Op) bool { return op.Verb == "Put Blob" && strings.Contains(op.Name, hours(2)[1]) })
	// The first batch is made, the second cannot be; the first one's chunk is given out all the same.
	if chunks, err := w.planner.Tick(t.Context()); err != nil || !slices.Equal(chunks, []capture.Chunk{{Source: testSource, Batch: firstHour}}) {
		t.Errorf("chunks = %v, %v", chunks, err)
	}
	if len(w.log.Events("source not planned")) != 1 {
		t.Error("the log does not tell of the fault")
	}
	stop()
	if w.tick(); !slices.Equal(w.ids(testSource), hours(3)) {
		t.Errorf("batches = %v, want %v", w.ids(testSource), hours(3))
	}
}

func TestABatchThatCannotBeSealedDoesNotStopItsSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(hourly())
	w.monitor(testSource, person("a", 0))
	work := w.begin(w.tick()[0])
	work.Chunk.Value.Part = 1 // whose seal is gone
	w.end(work)
	if _, err := w.planner.Tick(t.Context()); w.log.Error(err) == nil || !strings.Contains(err.Error(), "batch "+firstHour+": read seal") {
		t.Errorf("tick: %v", err)
	}
	if got := w.ids(testSource); !slices.Equal(got, hours(4)) {
		t.Errorf("batches = %v, want %v", got, hours(4))
	}
	chunk := capture.Chunk{Source: testSource, Batch: hours(2)[1]}
	for more := true; more; {
		chunk, more = w.end(w.begin(chunk))
	}
	chunks, err := w.planner.Tick(t.Context())
	if want := []capture.Chunk{{Source: testSource, Batch: hours(5)[4]}}; err != nil || !slices.Equal(chunks, want) {
		t.Errorf("chunks = %v, %v, want %v", chunks, err, want)
	}
	for i, b := range w.batches(testSource)[:4] {
		if b.Published != (i > 0) {
			t.Errorf("batch %s is published: %v", b.ID, b.Published)
		}
	}
}

func TestATickThatIsCutIsMadeGood(t *testing.T) {
	t.Parallel()
	end := at(t, "2026-03-02T02:00:00Z")
	setting := hourly(map[string]any{"endDate": "2026-03-02T02:00:00Z"})
	// A tick makes both batches and gives their first chunks out; a later one seals what a run could not.
	for name, prepare := range map[string]func(*world){
		"that makes batches": func(*world) {},
		"that seals one": func(w *world) {
			w.configure(setting)
			for _, chunk := range w.tick() {
				w.end(w.begin(chunk))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				w := newWorld(t)
				w.monitor(testSource, person("a", 0), person("b", 1))
				prepare(w)
				w.configure(setting)
				cut := w.cutTick(n)
				worked := w.settle(end)
				if got := w.ids(testSource); !slices.Equal(got, hours(2)) {
					t.Errorf("write %d: batches = %v, want %v", n, got, hours(2))
				}
				for _, b := range w.batches(testSource) {
					if m, ok := w.manifest(b.ID); !ok || m.Batch != b.ID {
						t.Errorf("write %d: batch %s has no manifest", n, b.ID)
					}
					for lane := range 2 {
						chunk := capture.Chunk{Source: testSource, Batch: b.ID, Lane: lane}
						row, err := w.ledger.Chunk(t.Context(), testSource, b.ID, lane)
						if err != nil || row.Value.Status != ledger.ChunkClosed || worked[chunk] > 1 {
							t.Errorf("write %d: chunk %v is %s after %d runs, %v", n, chunk, row.Value.Status, worked[chunk], err)
						}
					}
				}
				if !cut {
					if n < 6 {
						t.Errorf("only %d writes were cut", n-1)
					}
					return
				}
			}
		})
	}
}

func TestALostMessageIsGivenOutAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(nil)
	w.monitor(testSource, person("a", 0))
	first := w.tick()
	w.now = w.now.Add(10*time.Minute - time.Second)
	if chunks := w.tick(); len(chunks) != 0 {
		t.Errorf("chunks = %v before the time has passed", chunks)
	}
	w.now = w.now.Add(time.Second)
	if chunks := w.tick(); len(chunks) != 1 || !slices.Equal(chunks, first) {
		t.Errorf("chunks = %v, want %v", chunks, first)
	}
}

func TestPlannersSideBySideMakeOneBatchAWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(hourly())
	w.monitor(testSource, person("a", 0), person("b", 1))
	w.tick()
	w.now = w.now.Add(time.Hour)
	for _, chunk := range []capture.Chunk{{Source: testSource, Batch: firstHour}, {Source: testSource, Batch: firstHour, Lane: 1}} {
		for more := true; more; {
			chunk, more = w.end(w.begin(chunk))
		}
	}
	var given [4][]capture.Chunk
	var errs [4]error
	var wg sync.WaitGroup
	for i := range given {
		planner := w.newPlanner(w.proxy.ConnectionString())
		wg.Go(func() { given[i], errs[i] = planner.Tick(t.Context()) })
	}
	wg.Wait()
	for _, err := range errs {
		must(t, err)
	}
	if ids := w.ids(testSource); !slices.Equal(ids, hours(6)) {
		t.Errorf("batches = %v, want %v", ids, hours(6))
	}
	seen := map[capture.Chunk]bool{}
	for _, chunk := range slices.Concat(given[:]...) {
		if seen[chunk] {
			t.Errorf("chunk %v is given out twice", chunk)
		}
		seen[chunk] = true
	}
}

func TestAPlannerThatIsOvertakenMakesNoBatchTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(hourly())
	w.monitor(testSource, person("a", 0))
	rival := w.newPlanner(w.direct)
	var once sync.Once
	var made atomic.Bool
	w.proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		switch {
		case op.Verb == "Entity Group Transaction" && slices.ContainsFunc(op.Parts, func(p storagetest.Op) bool { return strings.Contains(p.Name, "batch:") }):
			made.Store(true)
		case made.Load(): // the first request after the slow planner's first batch
			once.Do(func() {
				if _, err := rival.Tick(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		return storagetest.Pass
	})
	w.tick()
	if got := w.ids(testSource); !slices.Equal(got, hours(3)) {
		t.Errorf("batches = %v, want %v", got, hours(3))
	}
	if s := w.source(); !s.State.Equal(at(t, "2026-03-02T03:00:00Z")) {
		t.Errorf("ingestion state = %v, want the end of the last batch", s.State)
	}
}

func TestAYearsBacklogCostsATickWhatItMakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(hourly(map[string]any{"startDate": "2025-03-02T00:00:00Z"}))
	w.monitor(testSource, person("a", 0))
	w.tick()
	if n := len(w.proxy.Ops()); n > 45 || len(w.batches(testSource)) != 3 {
		t.Errorf("%d requests for %d batches", n, len(w.batches(testSource)))
	}
	before := len(w.proxy.Ops())
	w.tick()
	if n := len(w.proxy.Ops()) - before; n > 21 {
		t.Errorf("%d requests for nothing", n)
	}
}

func TestWithoutSettingsNothingIsPlanned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if chunks := w.tick(); len(chunks) != 0 {
		t.Errorf("chunks = %v", chunks)
	}
	w.refuse(func(op storagetest.Op) bool { return op.Verb == "Get Blob" })
	if chunks, err := w.planner.Tick(t.Context()); w.log.Error(err) == nil || len(chunks) != 0 {
		t.Errorf("chunks = %v, %v, want an error", chunks, err)
	}
}
