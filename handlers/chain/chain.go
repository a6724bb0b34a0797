// Package chain seals batches: from the seals of its parts alone it makes a batch's manifest, links it to the source's
// manifest before it, and publishes it. Planner and collector both call it; doing it twice is harmless.
package chain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path"
	"slices"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault"

	"golang.org/x/sync/errgroup"
)

// A Chain needs all its fields.
type Chain struct {
	Ledger   *ledger.Ledger
	State    *vault.Container
	Evidence func(container string) *vault.Container
	App      pack.App
	Log      *slog.Logger
	Now      func() time.Time
}

// Finish seals and publishes a batch if all its chunks are closed, and reports whether it is published now.
//
// The bytes of the manifest, with its place in the chain, go to the state first; one transaction moves the end of the
// chain and makes the batch final; then they are published. Of two rivals one moves the chain, the other publishes what
// the first decided.
func (c *Chain) Finish(ctx context.Context, s settings.Source, batch string) (bool, error) {
	for {
		b, err := c.Ledger.Batch(ctx, s.Name, batch)
		if err != nil {
			return false, err
		}
		if b.Value.Published {
			return true, nil
		}
		if b.Value.Sequence > 0 {
			return c.publish(ctx, s, b)
		}
		chunks, err := c.Ledger.Chunks(ctx, s.Name, batch)
		if err != nil || !ledger.Ended(b.Value, chunks) {
			return false, err
		}
		err = c.link(ctx, s, b, chunks)
		if err != nil && !errors.Is(err, ledger.ErrConflict) { // a rival was faster: look again
			return false, err
		}
	}
}

// link gives the batch its place in the chain.
func (c *Chain) link(ctx context.Context, s settings.Source, b ledger.Row[ledger.Batch], chunks []ledger.Row[ledger.Chunk]) error {
	head, err := c.Ledger.Head(ctx, s.Name)
	if err != nil {
		return err
	}
	m, err := c.manifest(ctx, s, b.Value, chunks)
	if err != nil {
		return err
	}
	now := c.Now().UTC().Truncate(time.Second)
	b.Value.Documents = m.Totals.Documents
	b.Value.Enter(m.Status, now, m.Totals.Documents)
	for _, st := range b.Value.Statuses.V {
		m.Statuses = append(m.Statuses, pack.StatusAt{Status: st.Status, At: st.At, Documents: st.Documents})
	}
	data, err := pack.LinkManifest(m, int64(head.Value.Sequence+1), head.Value.ManifestSHA256).Encode()
	if err != nil {
		return err
	}
	sum := pack.Sum(data)
	b.Value.Sequence, b.Value.ManifestSHA256 = head.Value.Sequence+1, sum
	b.Value.Manifest = fmt.Sprintf("manifests/%s/%s/%s.json", s.Name, b.Value.ID, sum)
	if err := c.State.Put(ctx, b.Value.Manifest, data); err != nil {
		return fmt.Errorf("keep manifest: %w", err)
	}
	head.Value = ledger.Head{Sequence: b.Value.Sequence, ManifestSHA256: sum}
	return c.Ledger.Seal(ctx, s.Name, head, b)
}

// publish lays the linked manifest down in the evidence, with the format that it is written in.
func (c *Chain) publish(ctx context.Context, s settings.Source, b ledger.Row[ledger.Batch]) (bool, error) {
	data, err := c.State.Get(ctx, b.Value.Manifest)
	if err != nil {
		return false, fmt.Errorf("read linked manifest: %w", err)
	}
	evidence := c.Evidence(s.Container)
	if err := evidence.Ensure(ctx); err != nil {
		return false, fmt.Errorf("open evidence: %w", err)
	}
	if b.Value.Sequence == 1 { // the chain's first manifest brings its own description along
		for name, text := range pack.FormatFiles() {
			if err := evidence.PutOnce(ctx, name, text, ""); err != nil && !errors.Is(err, vault.ErrDiffers) {
				return false, fmt.Errorf("write format: %w", err)
			}
		}
	}
	if err := evidence.PutOnce(ctx, pack.ManifestName(s.Name, b.Value.ID), data, "application/json"); err != nil {
		return false, fmt.Errorf("write manifest: %w", err)
	}
	if err := evidence.PutOnce(ctx, pack.ManifestSumName(s.Name, b.Value.ID), pack.ManifestSumLine(data), "text/plain"); err != nil {
		return false, fmt.Errorf("write hash of manifest: %w", err)
	}
	err = c.Ledger.Publish(ctx, s.Name, b)
	if errors.Is(err, ledger.ErrConflict) {
		return true, nil // a rival published the same bytes
	}
	if err != nil {
		return false, err
	}
	// The line is a second witness outside the storage: whoever alters the chain would have to alter the log as well.
	c.Log.InfoContext(ctx, "batch sealed", "source", s.Name, "batch", b.Value.ID, "status", string(b.Value.Status),
		"sequence", b.Value.Sequence, "manifestSha256", b.Value.ManifestSHA256, "documents", b.Value.Documents)
	return true, nil
}

// manifest describes the batch from the seals of its parts, without its place in the chain.
func (c *Chain) manifest(ctx context.Context, s settings.Source, b ledger.Batch, chunks []ledger.Row[ledger.Chunk]) (pack.Manifest, error) {
	m := pack.Manifest{
		App: c.App, Source: s.Name, Batch: b.ID, Start: b.Start, End: b.End, Reason: b.Reason, ConfigSHA256: b.ConfigSHA256,
		Coverage: coverage(s),
	}
	seals, err := c.seals(ctx, s, b, chunks)
	if err != nil {
		return m, err
	}
	final := map[string]pack.SealCustodian{} // the last word on each custodian
	for _, x := range seals {
		m.Seals = append(m.Seals, x.ref)
		m.Totals.Documents += x.seal.Documents
		if x.seal.Package != nil {
			m.Totals.Bytes += x.seal.Package.Bytes
		}
		for _, k := range x.seal.Custodians {
			m.Totals.Found += k.Found
			m.Totals.Captured += k.Captured
			m.Totals.Excepted += k.Excepted
			m.Totals.Recovered += k.Recovered
			final[k.ID] = k
		}
	}
	m.Totals.Custodians = len(final)
	m.Status = capture.Completed
	if m.Totals.Excepted > 0 {
		m.Status = capture.CompletedWithDocumentLevelErrors
	}
	for _, id := range slices.Sorted(maps.Keys(final)) {
		switch k := final[id]; k.Status {
		case capture.Collected:
		case capture.Excluded:
			m.Totals.Excluded++
			m.Coverage = append(m.Coverage, pack.Coverage{Custodian: id, Scope: "mailbox", Reason: k.Reason})
		default:
			m.Status = capture.CompletedWithErrors
			m.Coverage = append(m.Coverage, pack.Coverage{Custodian: id, Scope: "mailbox", Reason: "failed: " + k.Reason})
		}
	}
	return m, nil
}

type sealed struct {
	ref  pack.FileSum
	seal pack.Seal
}

// seals reads the seals of all closed parts, in the order of lanes and parts.
func (c *Chain) seals(ctx context.Context, s settings.Source, b ledger.Batch, chunks []ledger.Row[ledger.Chunk]) ([]sealed, error) {
	var names []pack.Name
	for _, row := range chunks {
		for part := 1; part <= row.Value.Part; part++ {
			if !slices.Contains(row.Value.Burnt.V, part) {
				names = append(names, pack.Name{Source: s.Name, Batch: b.ID, Lane: row.Value.Lane, Part: part})
			}
		}
	}
	slices.SortFunc(names, func(x, y pack.Name) int { return cmp.Or(cmp.Compare(x.Lane, y.Lane), cmp.Compare(x.Part, y.Part)) })
	seals := make([]sealed, len(names))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, n := range names {
		g.Go(func() error {
			data, err := c.Evidence(s.Container).Get(ctx, n.Seal())
			if err != nil {
				return fmt.Errorf("read seal: %w", err)
			}
			seals[i].ref = pack.FileSum{Name: path.Base(n.Seal()), SHA256: pack.Sum(data)}
			seals[i].seal, err = pack.ParseSeal(data)
			return err
		})
	}
	return seals, g.Wait()
}

// coverage says what lies outside the collection by rule, for everybody: what a reader of the evidence must not take for
// captured.
func coverage(s settings.Source) []pack.Coverage {
	all := []pack.Coverage{
		{Scope: "archive mailboxes", Reason: "not reachable through Microsoft Graph; collect them by a source of their own"},
		{Scope: "hidden folders", Reason: "left out by rule"},
		{Scope: "search folders", Reason: "left out by rule: they show items of other folders"},
		{Scope: "Teams chat copies", Reason: "left out by rule: they are no email"},
		{Scope: "Recoverable Items: Versions, SubstrateHolds, Calendar Logging", Reason: "left out by rule"},
	}
	if !s.Drafts {
		all = append(all, pack.Coverage{Scope: "drafts", Reason: "left out by setting collectDraftItems"})
	}
	if !s.CollectCalendar {
		all = append(all, pack.Coverage{Scope: "calendars", Reason: "left out by setting collect"})
	}
	return all
}
