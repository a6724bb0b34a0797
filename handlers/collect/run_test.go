package collect

import (
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"
)

func TestWhatBecomesOfAChunkAfterARun(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	soon, later := now.Add(time.Minute), now.Add(time.Hour)
	p := func(s capture.CustodianStatus, attempts int, due time.Time) progress {
		return progress{Status: s, Attempts: attempts, Due: due, Reason: "r"}
	}
	collected, excluded := p(capture.Collected, 0, time.Time{}), p(capture.Excluded, 0, time.Time{})
	waiting, begun := p(capture.Waiting, 0, time.Time{}), p(capture.Collecting, 0, time.Time{})
	throttled := p(capture.Waiting, 0, soon)
	failed, again, out := p(capture.Failed, 1, later), p(capture.Failed, 2, now), p(capture.Failed, 3, time.Time{})
	started := now.Add(-time.Hour)
	for name, tt := range map[string]struct {
		custodians []progress
		chunk      ledger.Chunk
		ended      bool
		want       verdict
		gaveUp     string // the reason of those that were given up
	}{
		"nobody":                        {want: verdict{closed: true}},
		"all settled":                   {custodians: []progress{collected, excluded}, want: verdict{closed: true}},
		"one not begun":                 {custodians: []progress{collected, waiting}},
		"one half done":                 {custodians: []progress{collected, begun}},
		"half done beside a failed one": {custodians: []progress{failed, begun}},
		"half done beside a throttled":  {custodians: []progress{throttled, begun}},
		"throttled":                     {custodians: []progress{throttled, collected}, want: verdict{wait: true, due: soon}},
		"throttled until now":           {custodians: []progress{p(capture.Waiting, 0, now)}},
		"failed":                        {custodians: []progress{failed, collected}, want: verdict{wait: true, due: later}},
		"failed, and due at once":       {custodians: []progress{again}, want: verdict{wait: true, due: now}},
		"failed and throttled":          {custodians: []progress{failed, throttled}, want: verdict{wait: true, due: soon}},
		"out of attempts":               {custodians: []progress{out, collected}, want: verdict{closed: true}},
		"out of attempts and throttled": {custodians: []progress{out, throttled}, want: verdict{wait: true, due: soon}},
		"given up by the host": {
			custodians: []progress{failed, begun, collected}, chunk: ledger.Chunk{Final: true}, want: verdict{closed: true}, gaveUp: "OutOfAttempts",
		},
		"out of time": {
			custodians: []progress{throttled, waiting, failed}, chunk: ledger.Chunk{Started: now.Add(-24 * time.Hour)},
			want: verdict{closed: true}, gaveUp: "OutOfTime",
		},
		"all settled and out of time": {
			custodians: []progress{collected}, chunk: ledger.Chunk{Started: now.Add(-25 * time.Hour)}, want: verdict{closed: true},
		},
		"out of time before it is due": {
			custodians: []progress{failed}, chunk: ledger.Chunk{Started: now.Add(30*time.Minute - 24*time.Hour)},
			want: verdict{wait: true, due: now.Add(30 * time.Minute)},
		},
		"cut after its last part": {custodians: []progress{collected, failed}, ended: true, want: verdict{closed: true}},
	} {
		if tt.chunk.Started.IsZero() {
			tt.chunk.Started = started
		}
		r := &run{
			watch:     &watch{},
			Collector: &Collector{Now: func() time.Time { return now }}, ended: tt.ended,
			source: settings.Source{JobTimeout: 24 * time.Hour, RetryPolicy: []time.Duration{time.Minute, time.Hour}},
			work:   &ledger.Work{Chunk: ledger.Row[ledger.Chunk]{Value: tt.chunk}},
		}
		for _, p := range tt.custodians {
			r.custodians = append(r.custodians, &p)
		}
		if got := r.verdict(); got != tt.want {
			t.Errorf("%s: verdict() = %+v, want %+v", name, got, tt.want)
		}
		for i, p := range r.custodians {
			before := tt.custodians[i]
			gone := before.Status == capture.Waiting || before.Status == capture.Collecting
			switch {
			case tt.gaveUp == "" || !gone:
				if p.Status != before.Status || p.Reason != before.Reason || p.fresh {
					t.Errorf("%s: custodian %d becomes %s %s", name, i, p.Status, p.Reason)
				}
			case p.Status != capture.Failed || p.Reason != tt.gaveUp || !p.fresh:
				t.Errorf("%s: custodian %d becomes %s %s, want Failed %s", name, i, p.Status, p.Reason, tt.gaveUp)
			}
		}
	}
}

func TestAFaultOfAMailboxBecomesItsStatus(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	policy := []time.Duration{10 * time.Minute, time.Hour}
	for name, tt := range map[string]struct {
		err    graph.Error
		before progress
		want   progress
	}{
		"no mailbox": {graph.Error{Meaning: graph.NoMailbox}, progress{}, progress{Status: capture.Excluded, Reason: "NoMailbox"}},
		"denied":     {graph.Error{Meaning: graph.Denied}, progress{}, progress{Status: capture.Excluded, Reason: "AccessDenied"}},
		"not found":  {graph.Error{Meaning: graph.NotFound}, progress{}, progress{Status: capture.Excluded, Reason: "NotFound"}},
		"gone after it was listed": {
			graph.Error{Meaning: graph.NoMailbox}, progress{Listed: true},
			progress{Status: capture.Failed, Reason: "no mailbox", Listed: true, Attempts: 1, Due: now.Add(10 * time.Minute)},
		},
		"no answer": {
			graph.Error{Meaning: graph.Transient}, progress{}, progress{Status: capture.Failed, Reason: "transient", Attempts: 1, Due: now.Add(10 * time.Minute)},
		},
		"no answer again": {
			graph.Error{Meaning: graph.Broken}, progress{Attempts: 1}, progress{Status: capture.Failed, Reason: "broken", Attempts: 2, Due: now.Add(time.Hour)},
		},
		"no answer for the last time": {
			graph.Error{Meaning: graph.Bad}, progress{Attempts: 2}, progress{Status: capture.Failed, Reason: "bad request", Attempts: 3},
		},
		"moving": {
			graph.Error{Meaning: graph.Moving}, progress{Attempts: 1},
			progress{Status: capture.Waiting, Reason: "moving", Attempts: 1, Due: now.Add(movingWait)},
		},
		"throttled": {
			graph.Error{Meaning: graph.Throttled, Until: now.Add(2 * time.Hour)}, progress{Attempts: 1, Listed: true},
			progress{Status: capture.Waiting, Reason: "throttled", Attempts: 1, Listed: true, Due: now.Add(2 * time.Hour)},
		},
		"throttled for a moment": {
			graph.Error{Meaning: graph.Throttled, Until: now.Add(time.Second)}, progress{},
			progress{Status: capture.Waiting, Reason: "throttled", Due: now.Add(leastWait)},
		},
		"throttled, nobody knows how long": {
			graph.Error{Meaning: graph.Throttled}, progress{}, progress{Status: capture.Waiting, Reason: "throttled", Due: now.Add(leastWait)},
		},
	} {
		r := &run{
			watch:     &watch{},
			Collector: &Collector{Now: func() time.Time { return now }}, log: graphtest.NewLog(t).Logger(),
			source: settings.Source{RetryPolicy: policy},
		}
		got := tt.before
		r.custodians, r.answered = []*progress{&got}, true
		r.judge(t.Context(), &got, &tt.err)
		must(t, r.weigh(t.Context()))
		if got.Status != tt.want.Status || got.Reason != tt.want.Reason || got.Attempts != tt.want.Attempts ||
			got.Listed != tt.want.Listed || !got.Due.Equal(tt.want.Due) || !got.fresh {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}
