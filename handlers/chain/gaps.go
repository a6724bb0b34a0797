package chain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
	"chainmail/handlers/settings"
)

// An outcome is what became of one of a batch's custodians.
type outcome struct {
	custodian capture.Custodian // as the snapshot has it
	name      string            // in the evidence; it may be known only since the mailbox was collected
	owed      string            // why the period is still owed; empty: it was collected
	failed    bool              // owed by a failure, not by an exclusion
}

// outcomes goes through the snapshot of a batch's custodians: whom the seals do not name is owed as well.
func outcomes(snapshot []capture.Custodian, sealed map[string]account) []outcome {
	byIdentifier := map[string]string{}
	for id, a := range sealed {
		byIdentifier[strings.ToLower(a.identifier)] = id
	}
	var all []outcome
	for _, c := range snapshot {
		o := outcome{custodian: c, name: c.Name()}
		a, ok := sealed[o.name]
		if !ok {
			if id, found := byIdentifier[strings.ToLower(c.Identifier)]; found {
				o.name, a, ok = id, sealed[id], true
			}
		}
		switch reason, failed := a.verdict(); {
		case !ok, failed:
			o.owed, o.failed = capture.ReasonAbandoned, true
		case reason != "":
			o.owed = reason
		default:
			o.owed = partly(a.notes)
		}
		all = append(all, o)
	}
	return all
}

// partly is the reason for which a mailbox that was collected is still owed, as its notes say; empty: there is none.
func partly(notes []pack.Note) string {
	for _, n := range notes {
		switch n.Scope {
		case pack.ScopeCalendars:
			return capture.ReasonCalendars
		case pack.ScopeUnlisted:
			return capture.ReasonUnlisted
		}
	}
	return ""
}

// keepVerdicts puts what the gaps are to know of the batch's custodians beside its manifest: of everybody who leaves a gap, and of
// everybody whose gap the batch carried.
func (c *Chain) keepVerdicts(ctx context.Context, b *ledger.Batch, told []outcome) error {
	var all []ledger.Verdict
	for _, o := range told {
		if reason := o.gap(b.Reason); reason != "" || b.Gaps > 0 {
			all = append(all, ledger.Verdict{
				Person: ledger.PersonKey(o.custodian.Identifier), Custodian: o.name, Lane: o.custodian.Lane, Reason: reason,
			})
		}
	}
	if len(all) == 0 {
		return nil
	}
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	b.Verdicts = strings.TrimSuffix(b.Manifest, ".json") + ".verdicts.json"
	if err := c.State.Put(ctx, b.Verdicts, data); err != nil {
		return fmt.Errorf("keep verdicts: %w", err)
	}
	return nil
}

// gap is the reason of the gap that is left by a batch made for the given reason; empty: none is. Who shares a mailbox with another
// is owed nothing: it is collected once. Where a second look failed it is owed again, and nothing else.
func (o outcome) gap(batch string) string {
	switch {
	case o.owed == capture.ReasonDuplicate:
		return ""
	case batch == capture.ReasonLate && o.failed:
		return capture.ReasonLate
	case batch == capture.ReasonLate:
		return ""
	}
	return o.owed
}

// settle has the ledger's gaps follow from a sealed batch.
func (c *Chain) settle(ctx context.Context, s settings.Source, b ledger.Row[ledger.Batch]) (ledger.Row[ledger.Batch], error) {
	if b.Value.Verdicts == "" {
		return b, nil
	}
	data, err := c.State.Get(ctx, b.Value.Verdicts)
	if err != nil {
		return b, fmt.Errorf("read verdicts: %w", err)
	}
	var verdicts []ledger.Verdict
	if err := json.Unmarshal(data, &verdicts); err != nil {
		return b, errors.New("read verdicts: they are damaged")
	}
	b, opened, closed, err := c.Ledger.SettleGaps(ctx, s.Name, b, verdicts, c.Now().UTC().Truncate(time.Second))
	for _, g := range opened {
		c.Log.With(g.Fields()...).WarnContext(ctx, "gap opened", "source", s.Name, "batch", b.Value.ID)
	}
	for _, g := range closed {
		c.Log.With(g.Fields()...).InfoContext(ctx, "gap closed", "source", s.Name, "batch", b.Value.ID)
	}
	return b, err
}

// split takes the custodians that failed out of a batch that has collected others, where the source's settings say so: it is
// then completed, and a further batch of the period holds them, abandoned. nil: there is nothing to split. A batch that has
// nothing at all is abandoned itself.
func (c *Chain) split(ctx context.Context, s settings.Source, b ledger.Batch, m *pack.Manifest, told []outcome) (*ledger.Batch, error) {
	var failed []capture.Custodian
	collected := 0
	for _, o := range told {
		switch {
		case o.failed:
			failed = append(failed, o.custodian)
		case o.owed == "":
			collected++
		}
	}
	switch {
	case m.Status != capture.CompletedWithErrors || len(failed) == 0:
		return nil, nil
	case collected == 0 && m.Totals.Documents == 0:
		m.Status = capture.Abandoned
		return nil, nil
	case collected == 0 || !s.SplitFailedBatches:
		return nil, nil
	}
	further := ledger.Batch{
		Start: b.Start, End: b.End, Reason: capture.ReasonSplit, SplitOf: b.ID, ConfigSHA256: b.ConfigSHA256,
	}
	var err error
	if further.N, further.ID, err = c.FreeBatch(ctx, s, b.Window()); err != nil {
		return nil, err
	}
	if err := c.Snapshot(ctx, s.Name, &further, failed); err != nil {
		return nil, err
	}
	further.Lanes.V = nil // nobody works on it
	further.Enter(capture.Created, c.Now().UTC().Truncate(time.Second), 0)
	m.Status = capture.Completed
	if m.Totals.Excepted > 0 {
		m.Status = capture.CompletedWithDocumentLevelErrors
	}
	m.SplitInto = further.ID
	return &further, nil
}

// unplanned names the gaps of which no batch's manifest has told: those of who joined with an earlier beginning, and those that
// an operator asked for.
func (c *Chain) unplanned(ctx context.Context, s settings.Source, b ledger.Batch) ([]pack.Coverage, error) {
	gaps, err := c.Ledger.Gaps(ctx, s.Name)
	if err != nil {
		return nil, err
	}
	var all []pack.Coverage
	for _, g := range gaps {
		if v := g.Value; v.Origin == "" && v.Batch != b.ID {
			all = append(all, pack.Coverage{
				Custodian: v.Custodian, Scope: "gap",
				Reason: fmt.Sprintf("open: %s to %s: %s", v.Start.UTC().Format(time.RFC3339), v.End.UTC().Format(time.RFC3339), v.Reason),
			})
		}
	}
	return all, nil
}

// byHand names the exceptions that a person closed since a manifest was made last.
func (c *Chain) byHand(ctx context.Context, s settings.Source) ([]pack.Closed, error) {
	all, err := c.Ledger.ClosedByHand(ctx, s.Name)
	var closed []pack.Closed
	for _, e := range all {
		closed = append(closed, endOf(e)...)
	}
	return closed, err
}

// endOf is how manifests tell of a closed exception.
func endOf(e ledger.Exception) []pack.Closed {
	var all []pack.Closed
	for _, batch := range e.Batches() {
		all = append(all, pack.Closed{Batch: batch, Item: e.Item.V.Key(), How: e.Closed})
	}
	return all
}

// told notes of the exceptions that a person closed that the batch's manifest tells of them. One that was closed since it was made is
// told of by the next.
func (c *Chain) told(ctx context.Context, s settings.Source, batch string, manifest []byte) error {
	m, err := pack.ParseManifest(manifest)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(m.Closed, func(x pack.Closed) bool { return !ledger.ClosedByItself(x.How) }) {
		return nil // as nearly always: nothing need be asked of the ledger
	}
	all, err := c.Ledger.ClosedByHand(ctx, s.Name)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(e ledger.Exception) bool {
		return slices.ContainsFunc(endOf(e), func(x pack.Closed) bool { return !slices.Contains(m.Closed, x) })
	})
	return c.Ledger.Told(ctx, s.Name, batch, all)
}
