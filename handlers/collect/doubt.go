package collect

import (
	"context"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
)

// sourceWait is how long a chunk waits whose source as a whole gives no answer, or refuses the application.
const sourceWait = 10 * time.Minute

// weigh judges the faults that may be a mailbox's or the whole source's. Where another mailbox answers, or Graph itself, it is the
// mailbox's, and costs it an attempt. An outage does not: nothing would be left of the attempts when it is over. A refusal of the
// application is trouble that a person must mend, and is said once.
func (r *run) weigh(ctx context.Context) error {
	var doubtful []*progress
	refused := false
	for _, p := range r.custodians {
		if p.doubt != nil {
			doubtful = append(doubtful, p)
			refused = refused || graph.MeaningOf(p.doubt) == graph.Unauthorized
		}
	}
	if len(doubtful) == 0 {
		return nil
	}
	now := r.Now().UTC()
	if r.answered || r.othersAnswer(ctx) || !refused && r.graphAnswers(ctx, doubtful[0]) {
		for _, p := range doubtful {
			r.set(p, capture.Failed, string(graph.MeaningOf(p.doubt)), r.retry(p, now))
			r.log.WarnContext(ctx, "custodian failed", "custodian", p.Custodian.Name(), "status", string(p.Status), "reason", p.Reason, "error", p.doubt)
		}
		return nil
	}
	for _, p := range doubtful {
		r.set(p, capture.Waiting, string(graph.MeaningOf(p.doubt)), now.Add(sourceWait))
	}
	if !refused {
		r.log.WarnContext(ctx, "source does not answer", "custodians", len(doubtful), "error", doubtful[0].doubt)
		return r.Ledger.Complain(ctx, r.source.Name, string(graph.Transient), now)
	}
	r.log.ErrorContext(ctx, "source refused", "custodians", len(doubtful), "error", doubtful[0].doubt)
	return r.Ledger.Trouble(ctx, r.source.Name, string(graph.Unauthorized), now)
}

// othersAnswer tries a few mailboxes of the chunk about which there is no doubt.
func (r *run) othersAnswer(ctx context.Context) bool {
	tries := 3
	for _, p := range r.custodians {
		if p.doubt != nil || p.Custodian.ID == "" || p.Status == capture.Excluded {
			continue
		}
		if r.graph.ProbeMailbox(ctx, p.Custodian.ID) == nil {
			return true
		}
		if tries--; tries == 0 {
			break
		}
	}
	return false
}

// graphAnswers asks the directory about a custodian: where that gives an answer, whatever it is, there is no outage.
func (r *run) graphAnswers(ctx context.Context, p *progress) bool {
	name := p.Custodian.ID
	if name == "" {
		name = p.Custodian.Identifier
	}
	_, err := r.graph.FindUser(ctx, name)
	m := graph.MeaningOf(err)
	return err == nil || m == graph.NotFound || m == graph.Denied
}
