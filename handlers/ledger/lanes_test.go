package ledger

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/vault/storagetest"
)

func TestTakeSaysWhyNot(t *testing.T) {
	t.Parallel()
	due := Chunk{Batch: first, Started: now.Add(-time.Hour), Status: ChunkPendingRetry, Run: "old", Attempts: 1, Due: now, Part: 2}
	late, closed, working := due, due, due
	late.Due, closed.Status, working.Status = now.Add(time.Second), ChunkClosed, ChunkCollecting
	turned := Lane{Batch: first, Emitted: now, Emits: 3}
	held, expired, ours := turned, turned, turned
	held.Run, held.Until = "old", now.Add(time.Second)
	expired.Run, expired.Until = "old", now
	ours.Run, ours.Until = "new", now.Add(time.Second)
	for _, row := range []struct {
		name  string
		lane  *Lane
		chunk *Chunk
		batch string // that the message names
		want  error
	}{
		{"first time", &turned, nil, first, nil},
		{"due again", &turned, &due, first, nil},
		{"going on", &turned, &working, first, nil},
		{"its run died", &expired, &working, first, nil},
		{"taken by the same run", &ours, &working, first, nil},
		{"held by another", &held, &working, first, ErrHeld},
		{"not due", &turned, &late, first, ErrStale},
		{"closed", &turned, &closed, first, ErrStale},
		{"another batch's turn", &turned, nil, second, ErrStale},
		{"another batch's turn, held", &held, nil, second, ErrStale},
		{"idle lane", &Lane{}, &due, first, ErrStale},
		{"no lane", nil, nil, first, ErrStale},
		{"no such batch", &turned, nil, third, ErrNotFound},
		{"neither lane nor batch", nil, nil, third, ErrNotFound},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			l := empty(t)
			create(t, l, batchOf(first, 0), batchOf(second, 0))
			if row.lane != nil {
				put(t, l, laneKey(0), *row.lane)
			}
			want := Chunk{Batch: first, Started: now}
			if row.chunk != nil {
				put(t, l, chunkKey(first, 0), *row.chunk)
				want = *row.chunk
			}
			before := dump(t, l)
			w, err := l.Take(t.Context(), chunkOf(row.batch, 0), "new", now, now.Add(time.Minute))
			if err != row.want {
				t.Fatalf("take: %v, want %v", err, row.want)
			}
			if err != nil {
				if after := dump(t, l); after != before {
					t.Errorf("a refusal changed the rows:\n%s\nwere\n%s", after, before)
				}
				return
			}
			want.Status, want.Run = ChunkCollecting, "new"
			if row.lane == &expired {
				want.Deaths = 1
			}
			if got := chunkRow(t, l, first, 0); fmt.Sprint(got) != fmt.Sprint(want) || fmt.Sprint(w.Chunk.Value) != fmt.Sprint(want) {
				t.Errorf("chunk = %+v, taken %+v, want %+v", got, w.Chunk.Value, want)
			}
			lane := laneRow(t, l, 0)
			if lane.Run != "new" || !lane.Until.Equal(now.Add(time.Minute)) || lane.Batch != first || lane.Emits != 3 {
				t.Errorf("lane = %+v", lane)
			}
			must(t, l.Save(t.Context(), &w)) // the version that was taken is the one that is saved
		})
	}
}

func TestOneOfManyRunsHoldsALane(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*testing.T, *Ledger){
		"first time":   func(*testing.T, *Ledger) {},
		"its run died": func(t *testing.T, l *Ledger) { take(t, l, chunkOf(first, 0), "dead", now.Add(-time.Hour)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account := storagetest.New(t)
			l := open(t, account.Proxy(t).ConnectionString())
			create(t, l, batchOf(first, 0))
			dispatch(t, l, now.Add(-time.Hour))
			prepare(t, l)
			const racers = 20
			works, errs := make([]Work, racers), make([]error, racers)
			var wg sync.WaitGroup
			for i := range racers {
				wg.Go(func() {
					works[i], errs[i] = l.Take(t.Context(), chunkOf(first, 0), fmt.Sprint("run-", i), now, now.Add(time.Minute))
				})
			}
			wg.Wait()
			won := -1
			for i, err := range errs {
				switch {
				case err == nil && won < 0:
					won = i
				case !errors.Is(err, ErrHeld):
					t.Errorf("racer %d: %v, want ErrHeld", i, err)
				}
			}
			if won < 0 {
				t.Fatal("nobody holds the lane")
			}
			if got := laneRow(t, l, 0).Run; got != works[won].Run {
				t.Errorf("lane is held by %s, want %s", got, works[won].Run)
			}
			must(t, l.Save(t.Context(), &works[won]))
		})
	}
}

// A rival changes the lane's row between a run's look at it and its change.
func TestARunDecidesAnewWhenTheLaneHasChanged(t *testing.T) {
	t.Parallel()
	chunk := chunkOf(first, 0)
	never := func(int) (time.Time, bool) { return now, true }
	takeIt := func(l *Ledger, t *testing.T) error {
		_, err := l.Take(t.Context(), chunk, "new", now, now.Add(time.Minute))
		return err
	}
	buryIt := func(l *Ledger, t *testing.T) error {
		done, err := l.Bury(t.Context(), chunk, now, never)
		if err == nil && !done {
			return ErrHeld
		}
		return err
	}
	again := func(l *Ledger, t *testing.T) error {
		batches, err := l.OpenBatches(t.Context(), source)
		if err == nil {
			_, err = l.Dispatch(t.Context(), source, batches, now, false)
		}
		return err
	}
	rival := func(l *Ledger, t *testing.T) error {
		_, err := l.Take(t.Context(), chunk, "rival", now, now.Add(time.Minute))
		return err
	}
	for _, row := range []struct {
		name    string
		act     func(*Ledger, *testing.T) error
		between func(*Ledger, *testing.T) error
		want    error
	}{
		{"take, given out anew", takeIt, again, nil},
		{"take, taken", takeIt, rival, ErrHeld},
		{"take, buried", takeIt, buryIt, ErrStale},
		{"bury, given out anew", buryIt, again, nil},
		{"bury, taken", buryIt, rival, ErrHeld},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			account := storagetest.New(t)
			p := account.Proxy(t)
			l, direct := open(t, p.ConnectionString()), open(t, account.ConnectionString())
			create(t, l, batchOf(first, 0))
			dispatch(t, l, now.Add(-time.Hour))
			p.OnRequest(once(transaction, func() storagetest.Action {
				if err := row.between(direct, t); err != nil {
					t.Error(err)
				}
				return storagetest.Pass
			}))
			if err := row.act(l, t); err != row.want {
				t.Errorf("%v, want %v", err, row.want)
			}
		})
	}
}

func TestNothingCountsThatARunDoesAfterItLostTheChunk(t *testing.T) {
	t.Parallel()
	l := empty(t)
	create(t, l, batchOf(first, 0))
	dispatch(t, l, now)
	lost := take(t, l, chunkOf(first, 0), "lost", now)
	heir := take(t, l, chunkOf(first, 0), "heir", now.Add(time.Minute))
	heir.Chunk.Value.Pending = "records/heir"
	must(t, l.Save(t.Context(), heir))
	before := dump(t, l)
	lost.Chunk.Value.Pending, lost.Chunk.Value.Status = "records/lost", ChunkClosed
	_, _, leave := l.Leave(t.Context(), lost, now)
	for name, err := range map[string]error{
		"save": l.Save(t.Context(), lost), "leave": leave, "extend": l.Extend(t.Context(), lost, now.Add(time.Hour)),
	} {
		if err != ErrConflict {
			t.Errorf("%s: %v, want ErrConflict", name, err)
		}
	}
	if err := l.Release(t.Context(), lost); err != nil {
		t.Errorf("release: %v", err)
	}
	if after := dump(t, l); after != before {
		t.Errorf("rows:\n%s\nwere\n%s", after, before)
	}
	heir.Chunk.Value.Part, heir.Chunk.Value.Pending = 1, ""
	must(t, l.Save(t.Context(), heir))
}

func TestALostChunkIsLostWhereverTheHeirComesIn(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{transaction, "Get Entity"} { // before the change, or between it and the look at its version
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			account := storagetest.New(t)
			p := account.Proxy(t)
			l, direct := open(t, p.ConnectionString()), open(t, account.ConnectionString())
			create(t, l, batchOf(first, 0))
			dispatch(t, l, now)
			w := take(t, l, chunkOf(first, 0), "lost", now)
			p.OnRequest(once(verb, func() storagetest.Action {
				if _, err := direct.Take(t.Context(), chunkOf(first, 0), "heir", now.Add(time.Hour), now.Add(2*time.Hour)); err != nil {
					t.Error(err)
				}
				return storagetest.Pass
			}))
			if err := l.Save(t.Context(), w); err != ErrConflict {
				t.Errorf("save: %v, want ErrConflict", err)
			}
		})
	}
}

func TestOnlyTheHolderExtendsAndReleases(t *testing.T) {
	t.Parallel()
	l := empty(t)
	create(t, l, batchOf(first, 0))
	dispatch(t, l, now)
	w := take(t, l, chunkOf(first, 0), "run", now)
	must(t, l.Extend(t.Context(), w, now.Add(time.Hour)))
	if lane := laneRow(t, l, 0); !lane.Held(now.Add(59*time.Minute)) || lane.Held(now.Add(time.Hour)) {
		t.Errorf("lane = %+v, want held for an hour", lane)
	}
	stranger := &Work{Source: source, Run: "stranger", lane: 0}
	if err := l.Extend(t.Context(), stranger, now.Add(9*time.Hour)); err != ErrConflict {
		t.Errorf("stranger extends: %v", err)
	}
	if err := l.Extend(t.Context(), &Work{Source: source, Run: "stranger", lane: 7}, now); err != ErrConflict {
		t.Errorf("extend a lane that is not there: %v", err)
	}
	must(t, l.Release(t.Context(), stranger))
	if lane := laneRow(t, l, 0); lane.Run != "run" || !lane.Until.Equal(now.Add(time.Hour)) {
		t.Errorf("lane = %+v, want the run's", lane)
	}
	must(t, l.Release(t.Context(), w))
	lane := laneRow(t, l, 0)
	if lane.Run != "" || lane.Batch != first || !lane.Until.IsZero() {
		t.Errorf("lane = %+v, want released", lane)
	}
	if err := l.Extend(t.Context(), w, now); err != ErrConflict {
		t.Errorf("extend after release: %v, want ErrConflict", err)
	}
	if got := take(t, l, chunkOf(first, 0), "next", now); got.Chunk.Value.Status != ChunkCollecting {
		t.Errorf("the message that comes again finds %+v", got.Chunk.Value)
	}
}

func TestLeaveMovesTheLaneOn(t *testing.T) {
	t.Parallel()
	retry := func(due time.Time) *Chunk {
		return &Chunk{Started: now, Status: ChunkPendingRetry, Attempts: 1, Due: due}
	}
	closed := &Chunk{Started: now, Status: ChunkClosed}
	for _, row := range []struct {
		name   string
		left   Chunk            // how the run leaves the chunk of the first batch
		others map[string]Chunk // chunks of further batches
		want   string
	}{
		{"goes on", Chunk{Status: ChunkCollecting}, nil, first},
		{"goes on though another is due", Chunk{Status: ChunkCollecting}, map[string]Chunk{second: *retry(now)}, first},
		{"the oldest", Chunk{Status: ChunkClosed}, nil, second},
		{"what is due again before the oldest", Chunk{Status: ChunkClosed}, map[string]Chunk{third: *retry(now)}, third},
		{"not what is due later", Chunk{Status: ChunkClosed}, map[string]Chunk{second: *retry(now.Add(1))}, third},
		{"not what is closed", Chunk{Status: ChunkClosed}, map[string]Chunk{second: *closed}, third},
		{"its own, due at once", Chunk{Status: ChunkPendingRetry, Due: now}, nil, first},
		{"the oldest while its own waits", Chunk{Status: ChunkPendingRetry, Due: now.Add(time.Hour)}, nil, second},
		{"idle", Chunk{Status: ChunkClosed}, map[string]Chunk{second: *closed, third: *closed}, ""},
		{"idle while all wait", Chunk{Status: ChunkPendingRetry, Due: now.Add(time.Hour)},
			map[string]Chunk{second: *retry(now.Add(1)), third: *closed}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			l := empty(t)
			create(t, l, batchOf(first, 0, 1), batchOf(second, 0, 1), batchOf(third, 0))
			create(t, l, batchOf("20260301000000UTC-20260302000000UTC", 1)) // older, and none of this lane's
			dispatch(t, l, now.Add(-time.Hour))
			for id, c := range row.others {
				c.Batch = id
				put(t, l, chunkKey(id, 0), c)
			}
			w := take(t, l, chunkOf(first, 0), "run", now)
			w.Chunk.Value.Status, w.Chunk.Value.Due, w.Chunk.Value.Part = row.left.Status, row.left.Due, 3
			next, more, err := l.Leave(t.Context(), w, now)
			if err != nil || more != (row.want != "") || more && next != chunkOf(row.want, 0) {
				t.Fatalf("next = %+v, %v, %v, want %q", next, more, err, row.want)
			}
			if c := chunkRow(t, l, first, 0); c.Status != row.left.Status || !c.Due.Equal(row.left.Due) || c.Part != 3 {
				t.Errorf("chunk = %+v", c)
			}
			want := Lane{}
			if row.want != "" {
				want = Lane{Batch: row.want, Emitted: now, Emits: 1}
			}
			if got := laneRow(t, l, 0); got != want {
				t.Errorf("lane = %+v, want %+v", got, want)
			}
			if row.want != "" {
				take(t, l, next, "next", now) // the message given out is good
			}
		})
	}
}

func TestLeaveSurvivesItsOwnExtend(t *testing.T) {
	t.Parallel()
	account := storagetest.New(t)
	p := account.Proxy(t)
	l, direct := open(t, p.ConnectionString()), open(t, account.ConnectionString())
	create(t, l, batchOf(first, 0), batchOf(second, 0))
	dispatch(t, l, now)
	w := take(t, l, chunkOf(first, 0), "run", now)
	w.Chunk.Value.Status = ChunkClosed
	mine := *w
	p.OnRequest(once(transaction, func() storagetest.Action {
		if err := direct.Extend(t.Context(), &mine, now.Add(time.Hour)); err != nil {
			t.Error(err)
		}
		return storagetest.Pass
	}))
	next, more, err := l.Leave(t.Context(), w, now)
	if err != nil || !more || next != chunkOf(second, 0) {
		t.Errorf("leave: %+v, %v, %v, want the second batch", next, more, err)
	}
	if c := chunkRow(t, l, first, 0); c.Status != ChunkClosed {
		t.Errorf("chunk is %s, want closed", c.Status)
	}
}

func TestLeaveEndsWhenTheChunkIsNotAsItWas(t *testing.T) {
	t.Parallel()
	l := empty(t)
	create(t, l, batchOf(first, 0))
	dispatch(t, l, now)
	w := take(t, l, chunkOf(first, 0), "run", now)
	old := *w
	must(t, l.Save(t.Context(), w))
	if _, _, err := l.Leave(t.Context(), &old, now); err != ErrConflict {
		t.Errorf("leave with an old chunk: %v, want ErrConflict", err)
	}
	if _, _, err := l.Leave(t.Context(), w, now); err != nil {
		t.Errorf("leave: %v", err)
	}
}

func TestDispatchGivesOutEachChunkOnce(t *testing.T) {
	t.Parallel()
	l := empty(t)
	create(t, l, batchOf(first, 0, 1, 2), batchOf(second, 2, 3))
	want := []capture.Chunk{chunkOf(first, 0), chunkOf(first, 1), chunkOf(first, 2), chunkOf(second, 3)}
	if got := dispatch(t, l, now); !slices.Equal(got, want) {
		t.Errorf("first tick: %v, want %v", got, want)
	}
	if got := dispatch(t, l, now.Add(emitAgain-1)); len(got) != 0 {
		t.Errorf("second tick: %v, want none", got)
	}
	for _, c := range want {
		take(t, l, c, "run", now)
	}
	if got := dispatch(t, l, now.Add(time.Minute-1)); len(got) != 0 {
		t.Errorf("while all are held: %v, want none", got)
	}
}

func TestDispatchGivesOutOnceForManyPlanners(t *testing.T) {
	t.Parallel()
	l := empty(t)
	create(t, l, batchOf(first, 0, 1, 2, 3))
	batches, err := l.OpenBatches(t.Context(), source)
	must(t, err)
	got, errs := make([][]capture.Chunk, 6), make([]error, 6)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i], errs[i] = l.Dispatch(t.Context(), source, batches, now, false) })
	}
	wg.Wait()
	must(t, errors.Join(errs...))
	all := slices.Concat(got...)
	slices.SortFunc(all, func(a, b capture.Chunk) int { return a.Lane - b.Lane })
	if want := []capture.Chunk{chunkOf(first, 0), chunkOf(first, 1), chunkOf(first, 2), chunkOf(first, 3)}; !slices.Equal(all, want) {
		t.Errorf("given out: %v, want %v", all, want)
	}
}

func TestDispatchLooksAfterLanes(t *testing.T) {
	t.Parallel()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for _, row := range []struct {
		name  string
		lane  *Lane
		chunk *Chunk // of the first batch
		want  string
		emits int
	}{
		{"new lane", nil, nil, first, 1},
		{"idle", &Lane{}, nil, first, 1},
		{"idle, due again", &Lane{}, &Chunk{Status: ChunkPendingRetry, Due: now}, first, 1},
		{"idle, due later", &Lane{}, &Chunk{Status: ChunkPendingRetry, Due: now.Add(1)}, second, 1},
		{"idle, closed", &Lane{}, &Chunk{Status: ChunkClosed}, second, 1},
		{"held", &Lane{Batch: first, Emitted: ago(time.Hour), Emits: 1, Run: "r", Until: now.Add(1)}, nil, "", 0},
		{"its run died", &Lane{Batch: first, Emitted: ago(time.Minute), Emits: 1, Run: "r", Until: now}, nil, first, 2},
		{"just given out", &Lane{Batch: first, Emitted: ago(30*time.Minute - 1), Emits: 1}, nil, "", 0},
		{"lost", &Lane{Batch: first, Emitted: ago(30 * time.Minute), Emits: 1}, nil, first, 2},
		{"lost, while another is due", &Lane{Batch: second, Emitted: ago(30 * time.Minute), Emits: 1}, nil, second, 2},
		{"given out twice", &Lane{Batch: first, Emitted: ago(60*time.Minute - 1), Emits: 2}, nil, "", 0},
		{"lost twice", &Lane{Batch: first, Emitted: ago(60 * time.Minute), Emits: 2}, nil, first, 3},
		{"given out five times", &Lane{Batch: first, Emitted: ago(8*time.Hour - 1), Emits: 5}, nil, "", 0},
		{"lost five times", &Lane{Batch: first, Emitted: ago(8 * time.Hour), Emits: 5}, nil, first, 6},
		{"given out for days", &Lane{Batch: first, Emitted: ago(8*time.Hour - 1), Emits: 100}, nil, "", 0},
		{"lost for days", &Lane{Batch: first, Emitted: ago(8 * time.Hour), Emits: 100}, nil, first, 101},
		{"never counted", &Lane{Batch: first, Emitted: ago(30 * time.Minute)}, nil, first, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			l := empty(t)
			create(t, l, batchOf(first, 0), batchOf(second, 0))
			if row.lane != nil {
				put(t, l, laneKey(0), *row.lane)
			}
			if row.chunk != nil {
				row.chunk.Batch = first
				put(t, l, chunkKey(first, 0), *row.chunk)
			}
			var want []capture.Chunk
			if row.want != "" {
				want = append(want, chunkOf(row.want, 0))
			}
			if got := dispatch(t, l, now); !slices.Equal(got, want) {
				t.Fatalf("given out: %v, want %v", got, want)
			}
			wanted := Lane{Batch: row.want, Emitted: now, Emits: row.emits}
			if row.lane != nil {
				wanted.Dead = row.lane.Run
			}
			if lane := laneRow(t, l, 0); row.want != "" && lane != wanted {
				t.Errorf("lane = %+v", lane)
			}
			if got := dispatch(t, l, now); len(got) != 0 {
				t.Errorf("given out again: %v", got)
			}
		})
	}
}

func TestAMessageIsLostWhereNothingWaitsAndElseWaitsItself(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		age     time.Duration
		emits   int
		emptied bool
		want    int // messages
	}{
		{10*time.Minute - 1, 1, true, 0},
		{10 * time.Minute, 1, true, 1},
		{10 * time.Minute, 100, true, 1},
		{10 * time.Minute, 1, false, 0},
		{30 * time.Minute, 1, false, 1},
		{30 * time.Minute, 2, false, 0},
	} {
		t.Run(fmt.Sprint(row), func(t *testing.T) {
			t.Parallel()
			l := empty(t)
			create(t, l, batchOf(first, 0))
			put(t, l, laneKey(0), Lane{Batch: first, Emitted: now.Add(-row.age), Emits: row.emits})
			batches, err := l.OpenBatches(t.Context(), source)
			must(t, err)
			chunks, err := l.Dispatch(t.Context(), source, batches, now, row.emptied)
			must(t, err)
			if len(chunks) != row.want {
				t.Errorf("given out %v, want %d", chunks, row.want)
			}
		})
	}
}

func TestDeathsOfRunsAreCountedOnce(t *testing.T) {
	t.Parallel()
	l := empty(t)
	create(t, l, batchOf(first, 0))
	dispatch(t, l, now)
	at := now
	take := func(want int) Work {
		t.Helper()
		w, err := l.Take(t.Context(), chunkOf(first, 0), fmt.Sprint("run at ", at), at, at.Add(time.Minute))
		must(t, err)
		if got := w.Chunk.Value.Deaths; got != want {
			t.Fatalf("deaths = %d, want %d", got, want)
		}
		at = at.Add(time.Minute)
		return w
	}
	take(0)
	take(1) // its message came again: the run before had died
	if got := dispatch(t, l, at); len(got) != 1 {
		t.Fatalf("given out: %v", got)
	}
	w := take(2) // the planner had found the second one dead
	must(t, l.Release(t.Context(), &w))
	w = take(2) // the third gave the lane back
	if _, _, err := l.Leave(t.Context(), &w, at); err != nil {
		t.Fatal(err)
	}
	take(2) // the fourth left with work to go on with
	take(3)
}

func TestDispatchLeavesALaneToWhoeverWorksOnIt(t *testing.T) {
	t.Parallel()
	account := storagetest.New(t)
	p := account.Proxy(t)
	l, direct := open(t, p.ConnectionString()), open(t, account.ConnectionString())
	create(t, l, batchOf(first, 0))
	dispatch(t, l, now.Add(-time.Hour))
	p.OnRequest(once(transaction, func() storagetest.Action {
		if _, err := direct.Take(t.Context(), chunkOf(first, 0), "run", now, now.Add(time.Minute)); err != nil {
			t.Error(err)
		}
		return storagetest.Pass
	}))
	if got := dispatch(t, l, now); len(got) != 0 {
		t.Errorf("given out: %v, want none", got)
	}
	if lane := laneRow(t, l, 0); lane.Run != "run" {
		t.Errorf("lane = %+v, want the run's", lane)
	}
}

func TestBuryFollowsTheRetryPolicy(t *testing.T) {
	t.Parallel()
	policy := func(attempts int) (time.Time, bool) {
		if attempts > 2 {
			return now, true
		}
		return now.Add(time.Duration(attempts) * time.Hour), false
	}
	for _, row := range []struct {
		name  string
		lane  Lane
		chunk *Chunk
		want  *Chunk // nil: nothing is to be done
	}{
		{"never started", Lane{Batch: first, Emitted: now, Emits: 1}, nil,
			&Chunk{Batch: first, Started: now, Status: ChunkPendingRetry, Attempts: 1, Due: now.Add(time.Hour)}},
		{"its run died", Lane{Batch: first, Run: "r", Until: now}, &Chunk{Batch: first, Status: ChunkCollecting, Run: "r", Attempts: 1, Part: 2, Record: "x"},
			&Chunk{Batch: first, Status: ChunkPendingRetry, Attempts: 2, Due: now.Add(2 * time.Hour), Part: 2, Record: "x"}},
		{"out of attempts", Lane{Batch: first}, &Chunk{Batch: first, Status: ChunkPendingRetry, Attempts: 2},
			&Chunk{Batch: first, Status: ChunkPendingRetry, Attempts: 3, Due: now, Final: true}},
		{"held", Lane{Batch: first, Run: "r", Until: now.Add(1)}, nil, nil},
		{"moved on", Lane{Batch: second}, nil, nil},
		{"idle", Lane{}, nil, nil},
		{"closed", Lane{Batch: first}, &Chunk{Batch: first, Status: ChunkClosed}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			l := empty(t)
			create(t, l, batchOf(first, 0), batchOf(second, 0))
			put(t, l, laneKey(0), row.lane)
			if row.chunk != nil {
				put(t, l, chunkKey(first, 0), *row.chunk)
			}
			before := dump(t, l)
			done, err := l.Bury(t.Context(), chunkOf(first, 0), now, policy)
			if err != nil || done != (row.want != nil) {
				t.Fatalf("bury: %v, %v", done, err)
			}
			if row.want == nil {
				if after := dump(t, l); after != before {
					t.Errorf("rows:\n%s\nwere\n%s", after, before)
				}
				return
			}
			if got := chunkRow(t, l, first, 0); fmt.Sprint(got) != fmt.Sprint(*row.want) {
				t.Errorf("chunk = %+v, want %+v", got, *row.want)
			}
			if lane := laneRow(t, l, 0); lane != (Lane{}) {
				t.Errorf("lane = %+v, want idle", lane)
			}
			if done, err := l.Bury(t.Context(), chunkOf(first, 0), now, policy); done || err != nil {
				t.Errorf("a second copy is buried: %v, %v", done, err)
			}
			if row.want.Final { // its next turn is now
				if got := dispatch(t, l, now); !slices.Equal(got, []capture.Chunk{chunkOf(first, 0)}) {
					t.Errorf("given out: %v", got)
				}
				if w := take(t, l, chunkOf(first, 0), "last", now); !w.Chunk.Value.Final {
					t.Error("the last run does not know that it is the last")
				}
			}
		})
	}
}

func TestBuryOfAnUnknownBatchDoesNothing(t *testing.T) {
	t.Parallel()
	l := empty(t)
	done, err := l.Bury(t.Context(), chunkOf(first, 0), now, func(int) (time.Time, bool) { return now, true })
	if done || err != nil || dump(t, l) != "" {
		t.Errorf("bury: %v, %v, rows:\n%s", done, err, dump(t, l))
	}
}
