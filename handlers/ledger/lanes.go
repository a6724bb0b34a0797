package ledger

import (
	"context"
	"errors"
	"slices"
	"time"

	"chainmail/handlers/capture"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"golang.org/x/sync/errgroup"
)

// Lane is the row of a lane: it works on one chunk at a time, so that no two runs read one mailbox side by side.
type Lane struct {
	Number  int
	Batch   string    `json:",omitempty"` // of the chunk that is the lane's turn; empty: idle
	Emitted time.Time `json:",omitzero"`  // when the chunk's message was last given out
	Emits   int       `json:",omitempty"` // how often since the lane moved
	Run     string    `json:",omitempty"` // who holds the lane
	Until   time.Time `json:",omitzero"`  // until when, unless extended
	Dead    string    `json:",omitempty"` // a run that died while it held the lane, until the next one has counted it
}

// Held reports whether a run holds the lane at the time.
func (l Lane) Held(now time.Time) bool { return l.Run != "" && now.Before(l.Until) }

// Why a message cannot be worked on now. Both end the message: the lane's row says what is the lane's turn, and whoever
// holds it goes on.
var (
	ErrHeld  = errors.New("the lane is held by another run")
	ErrStale = errors.New("the chunk is not the lane's turn")
)

// Work is a chunk that a run has taken.
type Work struct {
	Source string
	Run    string
	Chunk  Row[Chunk]
	lane   int
}

// Take gives the run the chunk and its lane until the given time. ErrStale and ErrHeld say why not; ErrNotFound that
// the batch does not exist.
func (l *Ledger) Take(ctx context.Context, c capture.Chunk, run string, now, until time.Time) (Work, error) {
	for {
		w, err := l.take(ctx, c, run, now, until)
		if err != ErrConflict { // else somebody was faster: look again at who holds the lane now
			return w, err
		}
	}
}

func (l *Ledger) take(ctx context.Context, c capture.Chunk, run string, now, until time.Time) (Work, error) {
	lane, err := find[Lane](ctx, l, c.Source, laneKey(c.Lane))
	if err != nil {
		return Work{}, err
	}
	switch {
	case lane.Value.Batch != c.Batch:
		if _, err := l.Batch(ctx, c.Source, c.Batch); err != nil {
			return Work{}, err
		}
		return Work{}, ErrStale
	case lane.Value.Held(now) && lane.Value.Run != run:
		return Work{}, ErrHeld
	}
	chunk, err := l.Chunk(ctx, c.Source, c.Batch, c.Lane)
	if err != nil {
		return Work{}, err
	}
	if chunk.Value.Status == ChunkClosed || chunk.Value.Status == ChunkPendingRetry && chunk.Value.Due.After(now) {
		return Work{}, ErrStale
	}
	if !chunk.Exists() {
		chunk.Value = Chunk{Batch: c.Batch, Lane: c.Lane, Started: now}
	}
	if died := dead(lane.Value, run); died != "" && died == chunk.Value.Run && chunk.Value.Status == ChunkCollecting {
		chunk.Value.Deaths++
	}
	lane.Value.Run, lane.Value.Until, lane.Value.Dead = run, until, ""
	chunk.Value.Status, chunk.Value.Run = ChunkCollecting, run
	err = l.commit(ctx, c.Source, replace(laneKey(c.Lane), lane), replace(chunkKey(c.Batch, c.Lane), chunk))
	if err != nil {
		return Work{}, err
	}
	w := Work{Source: c.Source, Run: run, Chunk: chunk, lane: c.Lane}
	return w, l.reread(ctx, &w)
}

// dead is the run that died while it held the lane: it neither left nor gave the lane back.
func dead(l Lane, run string) string {
	if l.Run != "" && l.Run != run {
		return l.Run
	}
	return l.Dead
}

// reread gets the version of the chunk's row that the run wrote. A rival that took the chunk since has put its own run
// there.
func (l *Ledger) reread(ctx context.Context, w *Work) error {
	r, err := get[Chunk](ctx, l, w.Source, chunkKey(w.Chunk.Value.Batch, w.lane))
	if err != nil {
		return err
	}
	if r.Value.Run != w.Run {
		return ErrConflict
	}
	w.Chunk = r
	return nil
}

// Extend holds the lane for longer; ErrConflict when the run no longer holds it.
func (l *Ledger) Extend(ctx context.Context, w *Work, until time.Time) error {
	lost := false
	err := update(ctx, l, w.Source, laneKey(w.lane), func(lane *Lane) bool {
		lost = lane.Run != w.Run
		lane.Until = until
		return !lost
	})
	if err == nil && lost {
		return ErrConflict
	}
	return err
}

// Save writes the chunk's row. It is the fence: ErrConflict means that another run has the chunk, and that nothing this
// run does counts any more.
func (l *Ledger) Save(ctx context.Context, w *Work) error {
	err := l.commit(ctx, w.Source, replace(chunkKey(w.Chunk.Value.Batch, w.lane), w.Chunk))
	if err != nil {
		return err
	}
	return l.reread(ctx, w)
}

// Leave writes the chunk's row as the run ends and moves the lane to its next chunk, in one transaction. It returns the
// chunk whose message is to be given out; false when the lane has nothing to do.
func (l *Ledger) Leave(ctx context.Context, w *Work, now time.Time) (capture.Chunk, bool, error) {
	for refused := azcore.ETag(""); ; {
		lane, err := find[Lane](ctx, l, w.Source, laneKey(w.lane))
		if err != nil {
			return capture.Chunk{}, false, err
		}
		if lane.Value.Run != w.Run || lane.etag == refused {
			return capture.Chunk{}, false, ErrConflict
		}
		batch, err := l.after(ctx, w, now)
		if err != nil {
			return capture.Chunk{}, false, err
		}
		refused, lane.Value = lane.etag, turn(w.lane, batch, now)
		err = l.commit(ctx, w.Source, replace(laneKey(w.lane), lane), replace(chunkKey(w.Chunk.Value.Batch, w.lane), w.Chunk))
		switch {
		case err == ErrConflict: // no rival's doing if this run's own Extend has changed the lane's row meanwhile
			continue
		case err != nil:
			return capture.Chunk{}, false, err
		}
		return capture.Chunk{Source: w.Source, Batch: batch, Lane: w.lane}, batch != "", nil
	}
}

// after is the batch that is the lane's turn when the run has ended as its chunk says; empty: none.
func (l *Ledger) after(ctx context.Context, w *Work, now time.Time) (string, error) {
	if w.Chunk.Value.Status == ChunkCollecting { // the chunk's own work goes on
		return w.Chunk.Value.Batch, nil
	}
	open, err := l.OpenBatches(ctx, w.Source)
	if err != nil {
		return "", err
	}
	return l.next(ctx, w.Source, w.lane, open, w.Chunk.Value, now)
}

// Release gives the lane back without a word about the chunk: the run failed, and the message will come again.
func (l *Ledger) Release(ctx context.Context, w *Work) error {
	return update(ctx, l, w.Source, laneKey(w.lane), func(lane *Lane) bool {
		mine := lane.Run == w.Run
		lane.Run, lane.Until = "", time.Time{}
		return mine
	})
}

func turn(number int, batch string, now time.Time) Lane {
	if batch == "" {
		return Lane{Number: number}
	}
	return Lane{Number: number, Batch: batch, Emitted: now, Emits: 1}
}

// next is the batch whose chunk is the lane's turn: first what is due again, then the oldest that was never started.
// left is a chunk as it will be written, newer than its row.
func (l *Ledger) next(ctx context.Context, source string, lane int, open []Row[Batch], left Chunk, now time.Time) (string, error) {
	fresh := ""
	for _, b := range open {
		if !slices.Contains(b.Value.Lanes.V, lane) {
			continue
		}
		c, err := l.Chunk(ctx, source, b.Value.ID, lane)
		if err != nil {
			return "", err
		}
		if left.Batch == b.Value.ID {
			c.Value = left
		}
		switch {
		case c.Value.Status == "" && fresh == "":
			fresh = b.Value.ID
		case c.Value.Status == ChunkCollecting, c.Value.Status == ChunkPendingRetry && !c.Value.Due.After(now):
			return b.Value.ID, nil
		}
	}
	return fresh, nil
}

// The time after which a chunk's message that nobody took is given out anew. Where nothing is in the queue it is lost. Else it
// may wait behind others, and the time is doubled with each copy, which is harmless.
const (
	emitLost     = 10 * time.Minute
	emitAgain    = 30 * time.Minute
	emitAgainMax = 8 * time.Hour
)

// stale is how old a lane's message must be to be given out anew.
func (l Lane) stale(emptied bool) time.Duration {
	if emptied {
		return emitLost
	}
	return min(emitAgain<<min(max(l.Emits, 1)-1, 10), emitAgainMax)
}

// lanesAtOnce bounds the lanes that are looked at side by side.
const lanesAtOnce = 16

// Dispatch looks at the lanes of a source's open batches and returns the chunks whose messages are to be given out now:
// of idle lanes that have work, of lanes whose run died, and of lanes whose message seems lost; emptied says that no message
// was in the queue at that time.
func (l *Ledger) Dispatch(ctx context.Context, source string, open []Row[Batch], now time.Time, emptied bool) ([]capture.Chunk, error) {
	var lanes []int
	for _, b := range open {
		lanes = append(lanes, b.Value.Lanes.V...)
	}
	slices.Sort(lanes)
	lanes = slices.Compact(lanes)
	turns := make([]capture.Chunk, len(lanes))
	var g errgroup.Group // not ended by the first fault: what was given out counts
	g.SetLimit(lanesAtOnce)
	for i, n := range lanes {
		g.Go(func() (err error) {
			turns[i], err = l.dispatch(ctx, source, n, open, now, emptied)
			return err
		})
	}
	err := g.Wait()
	return slices.DeleteFunc(turns, func(c capture.Chunk) bool { return c.Batch == "" }), err
}

// dispatch gives out the lane's message; a zero chunk: there is none to give out.
func (l *Ledger) dispatch(ctx context.Context, source string, n int, open []Row[Batch], now time.Time, emptied bool) (capture.Chunk, error) {
	lane, err := find[Lane](ctx, l, source, laneKey(n))
	if err != nil {
		return capture.Chunk{}, err
	}
	v := lane.Value
	switch {
	case v.Batch == "":
		batch, err := l.next(ctx, source, n, open, Chunk{}, now)
		if err != nil || batch == "" {
			return capture.Chunk{}, err
		}
		lane.Value = turn(n, batch, now)
	case v.Held(now):
		return capture.Chunk{}, nil
	case v.Run == "" && now.Before(v.Emitted.Add(v.stale(emptied))):
		return capture.Chunk{}, nil
	default:
		emits := v.Emits + 1
		lane.Value = turn(n, v.Batch, now)
		lane.Value.Emits, lane.Value.Dead = emits, dead(v, "")
	}
	err = l.commit(ctx, source, replace(laneKey(n), lane))
	switch {
	case err == ErrConflict:
		return capture.Chunk{}, nil // somebody works on the lane
	case err != nil:
		return capture.Chunk{}, err
	}
	return capture.Chunk{Source: source, Batch: lane.Value.Batch, Lane: n}, nil
}

// Bury ends the turn of a chunk whose message was given up by the host. The chunk is due again at the given time, or,
// final, closed with what it has at its next turn. It reports false when the lane has moved on since and nothing is to
// be done.
func (l *Ledger) Bury(ctx context.Context, c capture.Chunk, now time.Time, retry func(attempts int) (due time.Time, final bool)) (bool, error) {
	for {
		done, err := l.bury(ctx, c, now, retry)
		if err != ErrConflict { // else somebody was faster: look again at what is the lane's turn now
			return done, err
		}
	}
}

func (l *Ledger) bury(ctx context.Context, c capture.Chunk, now time.Time, retry func(attempts int) (due time.Time, final bool)) (bool, error) {
	lane, err := find[Lane](ctx, l, c.Source, laneKey(c.Lane))
	if err != nil {
		return false, err
	}
	if lane.Value.Batch != c.Batch || lane.Value.Held(now) {
		return false, nil
	}
	chunk, err := l.Chunk(ctx, c.Source, c.Batch, c.Lane)
	if err != nil || chunk.Value.Status == ChunkClosed {
		return false, err
	}
	if !chunk.Exists() {
		chunk.Value = Chunk{Batch: c.Batch, Lane: c.Lane, Started: now}
	}
	chunk.Value.Attempts++
	chunk.Value.Status, chunk.Value.Run = ChunkPendingRetry, ""
	chunk.Value.Due, chunk.Value.Final = retry(chunk.Value.Attempts)
	lane.Value = Lane{Number: c.Lane} // idle: the planner gives it its next turn
	err = l.commit(ctx, c.Source, replace(laneKey(c.Lane), lane), replace(chunkKey(c.Batch, c.Lane), chunk))
	return err == nil, err
}
