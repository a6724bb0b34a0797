package console

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
)

// A batchView is how a batch is doing.
type batchView struct {
	Source         string              `json:"source"`
	ID             string              `json:"id"`
	Start          time.Time           `json:"start"`
	End            time.Time           `json:"end"`
	Reason         string              `json:"reason"` // why it was made: window, or what a supplement is for
	Status         capture.BatchStatus `json:"status"`
	Statuses       []ledger.Stage      `json:"statuses"`
	Custodians     int                 `json:"custodians"`
	Lanes          int                 `json:"lanes"`
	Documents      int                 `json:"documents"`
	Gaps           int                 `json:"gaps,omitempty"` // that it was made of
	RetryOf        string              `json:"retryOf,omitempty"`
	SplitOf        string              `json:"splitOf,omitempty"`
	GivenUp        bool                `json:"givenUp,omitempty"`
	Sequence       int                 `json:"sequence,omitempty"` // place in the chain of manifests
	ManifestSHA256 string              `json:"manifestSha256,omitempty"`
	Published      bool                `json:"published"`
	ConfigSHA256   string              `json:"configSha256"`
}

func viewBatch(source, _ string, b ledger.Batch) batchView {
	v := batchView{
		Source: source, ID: b.ID, Start: b.Start, End: b.End, Reason: b.Reason, Status: b.Status, Statuses: b.Statuses.V,
		Custodians: b.Custodians, Lanes: len(b.Lanes.V), Documents: b.Documents, Gaps: b.Gaps, RetryOf: b.RetryOf,
		SplitOf: b.SplitOf,
		GivenUp: b.GivenUp, Sequence: b.Sequence, ManifestSHA256: b.ManifestSHA256, Published: b.Published, ConfigSHA256: b.ConfigSHA256,
	}
	if v.Statuses == nil {
		v.Statuses = []ledger.Stage{}
	}
	return v
}

func statuses() []capture.BatchStatus {
	return []capture.BatchStatus{
		capture.Created, capture.Retrieving, capture.PendingRetry, capture.Completed, capture.CompletedWithDocumentLevelErrors,
		capture.CompletedWithErrors, capture.Abandoned,
	}
}

// batches: GET /batches.
func (c *Console) batches(q *request) (reply, error) {
	status := q.query.Get("status")
	if status != "" && !slices.Contains(statuses(), capture.BatchStatus(status)) {
		var f faults
		f.add("status", "must be one of %v", statuses())
		return reply{}, f.problem(http.StatusBadRequest)
	}
	return paged(c, q, func(source, after string, top int) (ledger.Slice[ledger.Batch], error) {
		return c.Ledger.BatchesSlice(q.ctx, source, status, after, top)
	}, viewBatch)
}

// A chunkView is how far a batch's work in one lane is.
type chunkView struct {
	Lane      int       `json:"lane"`
	Status    string    `json:"status"` // Waiting until it is begun
	Started   time.Time `json:"started,omitzero"`
	Attempts  int       `json:"attempts"`
	Deaths    int       `json:"deaths"`
	Due       time.Time `json:"due,omitzero"`
	Final     bool      `json:"final"` // it is closed with what it has at its next turn
	Parts     int       `json:"parts"`
	Documents int       `json:"documents"`
}

// A detailedBatch is a batch with its chunks.
type detailedBatch struct {
	batchView
	Chunks []chunkView `json:"chunks"`
}

// batch: GET /batches/{source}/{batch}.
func (c *Console) batch(q *request) (reply, error) {
	source, b, err := c.batchOf(q)
	if err != nil {
		return reply{}, err
	}
	v := detailedBatch{viewBatch(source, "", b), []chunkView{}}
	rows, err := c.Ledger.Chunks(q.ctx, source, b.ID)
	if err != nil {
		return reply{}, err
	}
	for _, lane := range b.Lanes.V {
		chunk := chunkView{Lane: lane, Status: string(capture.Waiting)}
		for _, r := range rows {
			if r := r.Value; r.Lane == lane {
				chunk = chunkView{
					Lane: lane, Status: string(r.Status), Started: r.Started, Attempts: r.Attempts, Deaths: r.Deaths, Due: r.Due,
					Final: r.Final, Parts: r.Part - len(r.Burnt.V), Documents: r.Documents,
				}
			}
		}
		v.Chunks = append(v.Chunks, chunk)
	}
	return reply{value: v}, nil
}

// batchOf finds the batch that a path names.
func (c *Console) batchOf(q *request) (source string, b ledger.Batch, err error) {
	s, err := c.find(q.ctx, q.args["source"])
	if err != nil {
		return "", b, err
	}
	none := missing("batch", "GET /api/batches?source="+s.Name+" lists those that the source has.")
	if !capture.ValidBatchID(q.args["batch"]) {
		return "", b, none
	}
	row, err := c.Ledger.Batch(q.ctx, s.Name, q.args["batch"])
	if errors.Is(err, ledger.ErrNotFound) {
		return "", b, none
	}
	return s.Name, row.Value, err
}

// retry: POST /batches/{source}/{batch}/retry.
func (c *Console) retry(q *request) (reply, error) {
	source, b, err := c.batchOf(q)
	if err != nil {
		return reply{}, err
	}
	reason, err := q.reason()
	if err != nil {
		return reply{}, err
	}
	if b.Sequence == 0 {
		return reply{}, failed(http.StatusConflict, "The batch is not final",
			"What fails in it is tried again by the retry policy. Wait for its end, or give it up first by POST …/abandon.")
	}
	left, err := c.left(q, source, b)
	if err != nil {
		return reply{}, err
	}
	if left == 0 {
		return reply{}, failed(http.StatusConflict, "There is nothing to try again",
			"The batch left no time open, or it is being tried: GET /api/gaps?source="+source+" lists what is owed.")
	}
	record, err := c.record(q, action{Action: "retry", Source: source, Batch: b.ID, Reason: reason}, nil)
	if err != nil {
		return reply{}, err
	}
	asked, err := c.Ledger.Ask(q.ctx, source, b.ID)
	return reply{status: http.StatusAccepted, value: map[string]any{"gaps": asked, "record": record}}, err
}

// left counts the gaps that trying a batch again would try.
func (c *Console) left(q *request, source string, b ledger.Batch) (n int, err error) {
	gaps, err := c.Ledger.Gaps(q.ctx, source)
	for _, g := range gaps {
		if g.Value.TriedWith(b) {
			n++
		}
	}
	return n, err
}

// abandon: POST /batches/{source}/{batch}/abandon.
func (c *Console) abandon(q *request) (reply, error) {
	source, b, err := c.batchOf(q)
	if err != nil {
		return reply{}, err
	}
	reason, err := q.reason()
	if err != nil {
		return reply{}, err
	}
	final := failed(http.StatusConflict, "The batch is final", "Nothing changes a final batch: its manifest stands in the chain.")
	if b.Sequence > 0 {
		return reply{}, final
	}
	if b.GivenUp {
		// The chunks are closed again: the call that gave it up may have been cut off.
		_, err := c.Ledger.Abandon(q.ctx, source, b.ID, c.Now().UTC())
		return reply{value: map[string]any{"changed": false}}, err
	}
	record, err := c.record(q, action{Action: "abandon", Source: source, Batch: b.ID, Reason: reason}, nil)
	if err != nil {
		return reply{}, err
	}
	done, err := c.Ledger.Abandon(q.ctx, source, b.ID, c.Now().UTC())
	if err == nil && !done {
		err = final
	}
	return reply{status: http.StatusAccepted, value: map[string]any{"changed": true, "record": record}}, err
}
