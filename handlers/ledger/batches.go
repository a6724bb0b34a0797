package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"chainmail/handlers/capture"
)

// Batch is the row of a data batch. The package comment has its states.
type Batch struct {
	ID             string
	Start          time.Time
	End            time.Time
	N              int    // 1, or the number among the batches of one period
	Reason         string // why the batch was made: capture.ReasonWindow, or what a supplement is for
	RetryOf        string `json:",omitempty"` // the batch that an operator wanted tried again
	SplitOf        string `json:",omitempty"` // the batch whose failed custodians this one holds
	Status         capture.BatchStatus
	Statuses       Packed[[]Stage]
	Snapshot       string // state blob that lists the custodians
	SnapshotSHA256 string
	Custodians     int
	Lanes          Packed[[]int] // one chunk for each
	ConfigSHA256   string

	Sequence       int    `json:",omitempty"` // place in the chain; 0: not sealed
	Manifest       string `json:",omitempty"` // state blob of the linked manifest
	ManifestSHA256 string `json:",omitempty"`
	Documents      int    `json:",omitempty"`
	Published      bool   `json:",omitempty"` // the manifest lies in the evidence
	GivenUp        bool   `json:",omitempty"` // by a person: what it leaves is not tried again by itself
	Gaps           int    `json:",omitempty"` // that the batch was made of
	Verdicts       string `json:",omitempty"` // state blob with a verdict on each custodian who leaves or carried a gap
	Settled        int    `json:",omitempty"` // how many of the verdicts the gaps know of
}

// Stage is one status that a batch passed, with the documents captured until then.
type Stage struct {
	Status    capture.BatchStatus `json:"status"`
	At        time.Time           `json:"at"`
	Documents int                 `json:"documents"`
}

// Window is the batch's period.
func (b Batch) Window() capture.Window { return capture.Window{Start: b.Start, End: b.End} }

// follows reports whether a batch may pass from one status to another.
func follows(from, to capture.BatchStatus) bool {
	switch from {
	case "":
		return to == capture.Created
	case capture.Created, capture.Retrieving, capture.PendingRetry:
		return to.Final() || to != from && to != capture.Created
	}
	return false // final
}

// Enter sets a status, with its time.
func (b *Batch) Enter(s capture.BatchStatus, at time.Time, documents int) {
	b.Status = s
	b.Statuses.V = append(b.Statuses.V, Stage{Status: s, At: at, Documents: documents})
}

// Chunk is the row of a batch's work in one lane.
//
//	(absent) ──▶ Collecting ◀──▶ PendingRetry ──▶ … ──▶ Closed
type Chunk struct {
	Batch    string
	Lane     int
	Status   ChunkStatus
	Run      string    // the run that took the chunk last
	Started  time.Time // of the first run
	Attempts int       `json:",omitempty"` // failed runs; the retry policy counts them
	Deaths   int       `json:",omitempty"` // runs that ended without a word, killed by whatever they worked on or by the platform
	Due      time.Time `json:",omitzero"`  // not before, while PendingRetry
	Final    bool      `json:",omitempty"` // out of attempts or time: closed with what it has at the next turn
	Part     int       // the last part that is done with: closed or burnt
	Burnt    Packed[[]int]
	Record   string `json:",omitempty"` // state blob that says what is done after the last closed part
	Pending  string `json:",omitempty"` // state blob of the part being closed: Part + 1

	Documents int `json:",omitempty"`
}

// ChunkStatus is the state of a chunk.
type ChunkStatus string

// The states of a chunk.
const (
	ChunkCollecting   ChunkStatus = "Collecting"
	ChunkPendingRetry ChunkStatus = "PendingRetry"
	ChunkClosed       ChunkStatus = "Closed"
)

func batchKey(id string) string           { return "batch:" + id }
func openKey(id string) string            { return "open:" + id }
func laneKey(n int) string                { return fmt.Sprintf("lane:%05d", n) }
func chunkKey(batch string, n int) string { return fmt.Sprintf("chunk:%s:%05d", batch, n) }

// CreateBatch makes a batch and moves the source's ingestion state in one transaction.
func (l *Ledger) CreateBatch(ctx context.Context, name string, source Row[Source], b Batch) error {
	return l.commit(ctx, name, replace("source", source), insert(batchKey(b.ID), b), insert(openKey(b.ID), struct{}{}))
}

// FreeBatch gives the number and the name of the next batch of a period, of a name that is not taken elsewhere; taken may be nil.
func (l *Ledger) FreeBatch(
	ctx context.Context, source string, w capture.Window, taken func(id string) (bool, error),
) (n int, id string, err error) {
	for n = 1; ; n++ {
		id = capture.BatchID(w, n)
		_, err := l.Batch(ctx, source, id)
		there := err == nil
		if errors.Is(err, ErrNotFound) {
			if err = nil; taken != nil {
				there, err = taken(id)
			}
		}
		if err != nil {
			return 0, "", err
		}
		if !there {
			return n, id, nil
		}
	}
}

// Batch reads a batch; ErrNotFound if there is none.
func (l *Ledger) Batch(ctx context.Context, source, id string) (Row[Batch], error) {
	return get[Batch](ctx, l, source, batchKey(id))
}

// Batches lists all batches of a source, the oldest period first.
func (l *Ledger) Batches(ctx context.Context, source string) ([]Row[Batch], error) {
	return list[Batch](ctx, l, source, "batch:")
}

// OpenBatches lists the batches whose manifests are not published, the oldest period first.
func (l *Ledger) OpenBatches(ctx context.Context, source string) ([]Row[Batch], error) {
	keys, err := list[struct{ RowKey string }](ctx, l, source, "open:")
	if err != nil {
		return nil, err
	}
	var open []Row[Batch]
	for _, k := range keys {
		b, err := l.Batch(ctx, source, k.Value.RowKey[len("open:"):])
		if errors.Is(err, ErrNotFound) || err == nil && b.Value.Published { // published since
			continue
		}
		if err != nil {
			return nil, err
		}
		open = append(open, b)
	}
	return open, nil
}

// Chunks lists the chunks of a batch that were ever started.
func (l *Ledger) Chunks(ctx context.Context, source, batch string) ([]Row[Chunk], error) {
	return list[Chunk](ctx, l, source, "chunk:"+batch+":")
}

// Chunk reads a chunk; one that was never started is zero.
func (l *Ledger) Chunk(ctx context.Context, source, batch string, lane int) (Row[Chunk], error) {
	return find[Chunk](ctx, l, source, chunkKey(batch, lane))
}

// Ended reports whether every chunk of a batch is closed: the batch can be sealed.
func Ended(b Batch, chunks []Row[Chunk]) bool {
	closed := 0
	for _, c := range chunks {
		if c.Value.Status == ChunkClosed {
			closed++
		}
	}
	return closed == len(b.Lanes.V)
}

// Progress sets a batch's status to what its chunks do; final ones stay.
func (l *Ledger) Progress(ctx context.Context, source, batch string, s capture.BatchStatus, at time.Time) error {
	return update(ctx, l, source, batchKey(batch), func(b *Batch) bool {
		if b.ID == "" || b.Sequence > 0 || s.Final() || !follows(b.Status, s) {
			return false
		}
		documents := 0
		if n := len(b.Statuses.V); n > 0 {
			documents = b.Statuses.V[n-1].Documents
		}
		if len(b.Statuses.V) >= maxStages { // a batch that is retried for ever keeps its first and its last stages
			b.Statuses.V = slices.Delete(b.Statuses.V, 2, 3)
		}
		b.Enter(s, at, documents)
		return true
	})
}

const maxStages = 50

// Head reads the end of a source's chain; a zero row before the first manifest.
func (l *Ledger) Head(ctx context.Context, source string) (Row[Head], error) {
	return find[Head](ctx, l, source, "head")
}

// Seal moves the end of the chain and makes the batch final, and makes the batch that was split off it where there is one, in
// one transaction.
func (l *Ledger) Seal(ctx context.Context, source string, head Row[Head], b Row[Batch], split *Batch) error {
	if !b.Value.Status.Final() {
		return fmt.Errorf("seal batch: %s is no final status", b.Value.Status)
	}
	changes := []change{replace("head", head), replace(batchKey(b.Value.ID), b)}
	if split != nil {
		changes = append(changes, insert(batchKey(split.ID), *split), insert(openKey(split.ID), struct{}{}))
	}
	return l.commit(ctx, source, changes...)
}

// Publish notes that a sealed batch's manifest lies in the evidence, and takes the batch from the unfinished ones.
func (l *Ledger) Publish(ctx context.Context, source string, b Row[Batch]) error {
	b.Value.Published = true
	return l.commit(ctx, source, replace(batchKey(b.Value.ID), b), remove(openKey(b.Value.ID)))
}

// Abandon gives a batch up, at a person's word: its chunks are closed with what they have, and what it leaves is not tried again
// by itself. It reports false for a batch that is final, whose end nothing changes.
func (l *Ledger) Abandon(ctx context.Context, source, batch string, now time.Time) (bool, error) {
	given := false
	err := update(ctx, l, source, batchKey(batch), func(b *Batch) bool {
		given = b.ID != "" && b.Sequence == 0
		change := given && !b.GivenUp
		b.GivenUp = b.GivenUp || given
		return change
	})
	if err != nil || !given {
		return false, err
	}
	b, err := l.Batch(ctx, source, batch)
	if err != nil {
		return false, err
	}
	for _, lane := range b.Value.Lanes.V {
		err := update(ctx, l, source, chunkKey(batch, lane), func(c *Chunk) bool {
			if c.Status == ChunkClosed || c.Final {
				return false
			}
			if c.Batch == "" {
				*c = Chunk{Batch: batch, Lane: lane, Started: now}
			}
			// A run that works on it loses the chunk here, and whatever it has not closed.
			c.Status, c.Final, c.Due, c.Run = ChunkPendingRetry, true, now, ""
			return true
		})
		if err != nil {
			return false, err
		}
	}
	return true, nil
}
