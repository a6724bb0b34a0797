package ledger

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/vault/storagetest"
)

func ids(rows []Row[Batch]) []string {
	var all []string
	for _, r := range rows {
		all = append(all, r.Value.ID)
	}
	return all
}

func TestABatchAndTheIngestionStateAreOneTransaction(t *testing.T) {
	t.Parallel()
	p := storagetest.New(t).Proxy(t)
	l := open(t, p.ConnectionString())
	before := len(p.Ops())
	create(t, l, batchOf(first, 0))
	var writes []string
	for _, op := range p.Ops()[before:] {
		if op.Write {
			writes = append(writes, fmt.Sprintf("%s of %d", op.Verb, len(op.Parts)))
		}
	}
	if want := []string{transaction + " of 3"}; !slices.Equal(writes, want) {
		t.Errorf("writes = %v, want %v", writes, want)
	}
	row, err := l.Source(t.Context(), source)
	if err != nil || !row.Value.State.Equal(instant("20260303000000UTC")) {
		t.Errorf("ingestion state = %v, %v", row.Value.State, err)
	}
}

func TestOneOfTwoPlannersMakesTheBatch(t *testing.T) {
	t.Parallel()
	for name, rivalID := range map[string]string{"same id": first, "another id": first + "-2"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := empty(t)
			put(t, l, "source", Source{State: instant("20260302000000UTC")})
			row, err := l.Source(t.Context(), source)
			must(t, err)
			row.Value.State = instant("20260303000000UTC")
			made, errs := [2]Batch{batchOf(first, 0), batchOf(rivalID, 1)}, [2]error{}
			var wg sync.WaitGroup
			for i := range made {
				wg.Go(func() { errs[i] = l.CreateBatch(t.Context(), source, row, made[i]) })
			}
			wg.Wait()
			won := slices.Index(errs[:], nil)
			if won < 0 || errs[1-won] != ErrConflict {
				t.Fatalf("planners: %v", errs)
			}
			all, err := l.Batches(t.Context(), source)
			if err != nil || len(all) != 1 || !slices.Equal(all[0].Value.Lanes.V, made[won].Lanes.V) {
				t.Errorf("batches = %v, %v, want the winner's", ids(all), err)
			}
			if n := strings.Count(dump(t, l), "\n"); n != 3 {
				t.Errorf("%d rows, want source, batch and index:\n%s", n, dump(t, l))
			}
		})
	}
}

func TestBatchesComeOldestFirst(t *testing.T) {
	t.Parallel()
	l := empty(t)
	create(t, l, batchOf(third, 0), batchOf(first, 0), batchOf(first+"-2", 0), batchOf(second, 0))
	want := []string{first, first + "-2", second, third}
	all, err := l.Batches(t.Context(), source)
	if err != nil || !slices.Equal(ids(all), want) {
		t.Errorf("batches = %v, %v, want %v", ids(all), err, want)
	}
	must(t, seal(t.Context(), t, l, second, "ab"))
	unfinished, err := l.OpenBatches(t.Context(), source)
	if want := []string{first, first + "-2", third}; err != nil || !slices.Equal(ids(unfinished), want) {
		t.Errorf("open batches = %v, %v, want %v", ids(unfinished), err, want)
	}
	if all, err = l.Batches(t.Context(), source); err != nil || !slices.Equal(ids(all), want) {
		t.Errorf("batches = %v, %v, want %v", ids(all), err, want)
	}
}

func TestABatchThatIsPublishedMeanwhileIsNotOpen(t *testing.T) {
	t.Parallel()
	l := empty(t)
	b := batchOf(first, 0)
	b.Published = true
	create(t, l, b) // the index is read before the batch
	put(t, l, openKey(second), struct{}{})
	if unfinished, err := l.OpenBatches(t.Context(), source); err != nil || len(unfinished) != 0 {
		t.Errorf("open batches = %v, %v, want none", ids(unfinished), err)
	}
}

func TestChunksOfABatchAreItsOwn(t *testing.T) {
	t.Parallel()
	l := empty(t)
	create(t, l, batchOf(first, 0, 2), batchOf(first+"-2", 0))
	put(t, l, chunkKey(first, 2), Chunk{Batch: first, Lane: 2, Status: ChunkClosed})
	put(t, l, chunkKey(first, 0), Chunk{Batch: first, Lane: 0, Status: ChunkCollecting})
	put(t, l, chunkKey(first+"-2", 0), Chunk{Batch: first + "-2", Status: ChunkClosed})
	chunks, err := l.Chunks(t.Context(), source, first)
	if err != nil || len(chunks) != 2 || chunks[0].Value.Lane != 0 || chunks[1].Value.Lane != 2 {
		t.Errorf("chunks = %+v, %v", chunks, err)
	}
	if c, err := l.Chunk(t.Context(), source, first, 1); err != nil || c.Exists() || c.Value.Status != "" {
		t.Errorf("a chunk that was never started = %+v, %v", c, err)
	}
}

func TestABatchHasEndedWhenAllItsChunksAreClosed(t *testing.T) {
	t.Parallel()
	chunks := func(statuses ...ChunkStatus) []Row[Chunk] {
		var rows []Row[Chunk]
		for _, s := range statuses {
			rows = append(rows, Row[Chunk]{Value: Chunk{Status: s}})
		}
		return rows
	}
	for _, row := range []struct {
		name   string
		lanes  int
		chunks []Row[Chunk]
		want   bool
	}{
		{"nobody monitored", 0, nil, true},
		{"none started", 2, nil, false},
		{"one closed, one not started", 2, chunks(ChunkClosed), false},
		{"one waits", 2, chunks(ChunkClosed, ChunkPendingRetry), false},
		{"one collects", 2, chunks(ChunkCollecting, ChunkClosed), false},
		{"all closed", 2, chunks(ChunkClosed, ChunkClosed), true},
	} {
		if got := Ended(batchOf(first, numbers(row.lanes)...), row.chunks); got != row.want {
			t.Errorf("%s: ended = %v", row.name, got)
		}
	}
}

func TestProgressNotesEachStageOnce(t *testing.T) {
	t.Parallel()
	l := empty(t)
	create(t, l, batchOf(first, 0))
	for i, s := range []capture.BatchStatus{capture.Retrieving, capture.Retrieving, capture.PendingRetry, capture.Retrieving} {
		must(t, l.Progress(t.Context(), source, first, s, now.Add(time.Duration(i)*time.Minute)))
	}
	b, err := l.Batch(t.Context(), source, first)
	want := []Stage{
		{capture.Created, now, 0}, {capture.Retrieving, now, 0}, {capture.PendingRetry, now.Add(2 * time.Minute), 0},
		{capture.Retrieving, now.Add(3 * time.Minute), 0},
	}
	if err != nil || b.Value.Status != capture.Retrieving || fmt.Sprint(b.Value.Statuses.V) != fmt.Sprint(want) {
		t.Errorf("batch is %s, %v, %v, want %v", b.Value.Status, b.Value.Statuses.V, err, want)
	}
	must(t, seal(t.Context(), t, l, first, "ab"))
	before := dump(t, l)
	must(t, l.Progress(t.Context(), source, first, capture.PendingRetry, now))
	must(t, l.Progress(t.Context(), source, second, capture.PendingRetry, now)) // no such batch
	if after := dump(t, l); after != before {
		t.Errorf("rows:\n%s\nwere\n%s", after, before)
	}
}

func TestABatchThatIsRetriedForEverKeepsItsFirstAndLastStages(t *testing.T) {
	t.Parallel()
	l := empty(t)
	create(t, l, batchOf(first, 0))
	turns := []capture.BatchStatus{capture.Retrieving, capture.PendingRetry}
	const n = 120
	for i := range n {
		must(t, l.Progress(t.Context(), source, first, turns[i%2], now.Add(time.Duration(i)*time.Minute)))
	}
	b, err := l.Batch(t.Context(), source, first)
	must(t, err)
	stages := b.Value.Statuses.V
	if len(stages) != maxStages || stages[0].Status != capture.Created || stages[1].Status != capture.Retrieving || !stages[1].At.Equal(now) {
		t.Fatalf("%d stages, beginning with %v", len(stages), stages[:2])
	}
	for i, s := range slices.Backward(stages[2:]) {
		turn := n - (maxStages - 2) + i
		if !s.At.Equal(now.Add(time.Duration(turn)*time.Minute)) || s.Status != turns[turn%2] {
			t.Errorf("stage %d = %v, want turn %d", i, s, turn)
		}
	}
}

func TestManifestsAreChainedInTheOrderOfSealing(t *testing.T) {
	t.Parallel()
	l := empty(t)
	create(t, l, batchOf(first, 0), batchOf(second, 0))
	if head, err := l.Head(t.Context(), source); err != nil || head.Exists() || head.Value != (Head{}) {
		t.Errorf("head before the first manifest = %+v, %v", head, err)
	}
	must(t, seal(t.Context(), t, l, second, "aa"))
	must(t, seal(t.Context(), t, l, first, "bb"))
	head, err := l.Head(t.Context(), source)
	if err != nil || head.Value != (Head{Sequence: 2, ManifestSHA256: "bb"}) {
		t.Errorf("head = %+v, %v", head.Value, err)
	}
	for sequence, id := range []string{second, first} {
		b, err := l.Batch(t.Context(), source, id)
		if err != nil || b.Value.Sequence != sequence+1 || !b.Value.Published || b.Value.Status != capture.Completed {
			t.Errorf("batch = %+v, %v, want number %d", b.Value, err, sequence+1)
		}
	}
}

func TestOneOfTwoSealsMovesTheChain(t *testing.T) {
	t.Parallel()
	for name, other := range map[string]string{"same batch": first, "another batch": second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := empty(t)
			create(t, l, batchOf(first, 0), batchOf(second, 0))
			head, err := l.Head(t.Context(), source)
			must(t, err)
			var wg sync.WaitGroup
			errs := [2]error{}
			for i, id := range []string{first, other} {
				b, err := l.Batch(t.Context(), source, id)
				must(t, err)
				moved := head
				moved.Value = Head{Sequence: 1, ManifestSHA256: fmt.Sprint(i)}
				b.Value.Sequence, b.Value.ManifestSHA256, b.Value.Status = 1, fmt.Sprint(i), capture.Completed
				wg.Go(func() { errs[i] = l.Seal(t.Context(), source, moved, b, nil) })
			}
			wg.Wait()
			won := slices.Index(errs[:], nil)
			if won < 0 || errs[1-won] != ErrConflict {
				t.Fatalf("seals: %v", errs)
			}
			head, err = l.Head(t.Context(), source)
			if err != nil || head.Value.ManifestSHA256 != fmt.Sprint(won) {
				t.Errorf("head = %+v, %v, want the winner's", head.Value, err)
			}
			all, err := l.Batches(t.Context(), source)
			must(t, err)
			sealed := 0
			for _, b := range all {
				if b.Value.Sequence > 0 {
					sealed++
				}
			}
			if sealed != 1 {
				t.Errorf("%d batches are sealed, want 1", sealed)
			}
		})
	}
}

func TestPublishingTwiceIsAConflictThatChangesNothing(t *testing.T) {
	t.Parallel()
	l := empty(t)
	create(t, l, batchOf(first, 0))
	b, err := l.Batch(t.Context(), source, first)
	must(t, err)
	must(t, l.Publish(t.Context(), source, b))
	before := dump(t, l)
	if err := l.Publish(t.Context(), source, b); err != ErrConflict {
		t.Errorf("second: %v, want ErrConflict", err)
	}
	if after := dump(t, l); after != before || strings.Contains(after, "open:") {
		t.Errorf("rows:\n%s\nwere\n%s", after, before)
	}
}

func TestASealIsRefusedWhenTheBatchHasGoneOn(t *testing.T) {
	t.Parallel()
	l := empty(t)
	create(t, l, batchOf(first, 0))
	b, err := l.Batch(t.Context(), source, first)
	must(t, err)
	must(t, l.Progress(t.Context(), source, first, capture.Retrieving, now))
	b.Value.Sequence, b.Value.Status = 1, capture.Completed
	if err := l.Seal(t.Context(), source, Row[Head]{Value: Head{Sequence: 1}}, b, nil); err != ErrConflict {
		t.Errorf("seal: %v, want ErrConflict", err)
	}
	if head, err := l.Head(t.Context(), source); err != nil || head.Exists() {
		t.Errorf("head = %+v, %v, want none", head, err)
	}
}

func TestBatchesPassTheirStatesInOneOrder(t *testing.T) {
	t.Parallel()
	all := []capture.BatchStatus{capture.Created, capture.Retrieving, capture.PendingRetry, capture.Completed,
		capture.CompletedWithDocumentLevelErrors, capture.CompletedWithErrors, capture.Abandoned}
	allowed := 0
	for i, from := range all {
		for j, to := range all {
			want := i < 3 && j > 0 && i != j // whatever is not final may go to anything but the beginning and itself
			if follows(from, to) != want {
				t.Errorf("from %s to %s: %v", from, to, !want)
			}
			if want {
				allowed++
			}
		}
	}
	if allowed != 16 || !follows("", capture.Created) || follows("", capture.Retrieving) {
		t.Errorf("%d ways", allowed)
	}
	l := empty(t)
	row, err := l.Source(t.Context(), source)
	must(t, err)
	b := batchOf(first, 0)
	must(t, l.CreateBatch(t.Context(), source, row, b))
	must(t, l.Progress(t.Context(), source, first, capture.Completed, now)) // that is for the chain to say
	if got, err := l.Batch(t.Context(), source, first); err != nil || got.Value.Status != capture.Created {
		t.Errorf("status %s, %v", got.Value.Status, err)
	}
}
