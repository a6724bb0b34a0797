// Package chain seals batches: from the seals of its parts and the snapshot of its custodians alone it makes a batch's
// manifest, links it to the source's manifest before it, and publishes it. Planner and collector both call it; doing it
// twice is harmless.
package chain

import (
	"cmp"
	"context"
	"encoding/json"
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
// the first decided. The bytes that are published are always those that the chain names.
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
			err = c.publish(ctx, s, b)
		} else {
			chunks, readErr := c.Ledger.Chunks(ctx, s.Name, batch)
			if readErr != nil || !ledger.Ended(b.Value, chunks) {
				return false, readErr
			}
			err = c.link(ctx, s, b, chunks)
		}
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
	m, told, err := c.manifest(ctx, s, b.Value, chunks)
	if err != nil {
		return err
	}
	split, err := c.split(ctx, s, b.Value, &m, told)
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
	if err := c.keepVerdicts(ctx, &b.Value, told); err != nil {
		return err
	}
	head.Value = ledger.Head{Sequence: b.Value.Sequence, ManifestSHA256: sum}
	return c.Ledger.Seal(ctx, s.Name, head, b, split)
}

// publish lays the linked manifest down in the evidence, with the format that it is written in.
func (c *Chain) publish(ctx context.Context, s settings.Source, b ledger.Row[ledger.Batch]) error {
	data, err := c.State.Get(ctx, b.Value.Manifest)
	if err != nil {
		return fmt.Errorf("read linked manifest: %w", err)
	}
	if pack.Sum(data) != b.Value.ManifestSHA256 {
		return errors.New("read linked manifest: its hash is not the chain's")
	}
	evidence := c.Evidence(s.Container)
	if err := evidence.Ensure(ctx); err != nil {
		return fmt.Errorf("open evidence: %w", err)
	}
	if b.Value.Sequence == 1 { // the chain's first manifest brings its own description along
		for name, text := range pack.FormatFiles() {
			if err := evidence.PutOnce(ctx, name, text, ""); err != nil && !errors.Is(err, vault.ErrDiffers) {
				return fmt.Errorf("write format: %w", err)
			}
		}
	}
	if err := evidence.PutOnce(ctx, pack.ManifestName(s.Name, b.Value.ID), data, "application/json"); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	if err := evidence.PutOnce(ctx, pack.ManifestSumName(s.Name, b.Value.ID), pack.ManifestSumLine(data), "text/plain"); err != nil {
		return fmt.Errorf("write hash of manifest: %w", err)
	}
	// The line is a second witness outside the storage: whoever alters the chain would have to alter the log as well. It
	// comes before the batch is done with, so that a run that dies in between makes it come twice, and not never.
	c.Log.InfoContext(ctx, "batch sealed", "source", s.Name, "batch", b.Value.ID, "status", string(b.Value.Status),
		"sequence", b.Value.Sequence, "manifestSha256", b.Value.ManifestSHA256, "documents", b.Value.Documents)
	if err := c.told(ctx, s, b.Value.ID, data); err != nil {
		return err
	}
	if b, err = c.settle(ctx, s, b); err != nil {
		return err
	}
	if err := c.Ledger.Publish(ctx, s.Name, b); err != nil {
		return err
	}
	if b.Value.Status == capture.Abandoned || b.Value.Custodians == 0 {
		return nil
	}
	return c.Ledger.Succeeded(ctx, s.Name, c.Now().UTC().Truncate(time.Second))
}

// manifest describes the batch from the seals of its parts and the snapshot of its custodians, without its place in the chain, and
// tells what became of each custodian.
func (c *Chain) manifest(ctx context.Context, s settings.Source, b ledger.Batch, chunks []ledger.Row[ledger.Chunk]) (pack.Manifest, []outcome, error) {
	m := pack.Manifest{
		App: c.App, Source: s.Name, Batch: b.ID, Start: b.Start, End: b.End, Reason: b.Reason, RetryOf: b.RetryOf, SplitOf: b.SplitOf,
		ConfigSHA256: b.ConfigSHA256, Status: capture.Completed, Coverage: coverage(s), LookedAtUntil: lookedAt(b, chunks),
	}
	seals, err := c.seals(ctx, s, b, chunks)
	if err != nil {
		return m, nil, err
	}
	snapshot, err := c.Custodians(ctx, b)
	if err != nil {
		return m, nil, err
	}
	open, err := c.unplanned(ctx, s, b)
	if err != nil {
		return m, nil, err
	}
	if m.Closed, err = c.byHand(ctx, s); err != nil {
		return m, nil, err
	}
	custodians := total(&m, seals)
	if m.Totals.Excepted > 0 {
		m.Status = capture.CompletedWithDocumentLevelErrors
	}
	told := outcomes(snapshot, custodians)
	for _, id := range slices.Sorted(maps.Keys(custodians)) {
		a := custodians[id]
		if a.status == capture.Excluded {
			m.Totals.Excluded++
		}
		for _, n := range a.notes {
			m.Coverage = append(m.Coverage, pack.Coverage{Custodian: id, Scope: n.Scope, Reason: n.Reason})
		}
		if reason, failed := a.verdict(); reason != "" {
			m.Coverage = append(m.Coverage, pack.Coverage{Custodian: id, Scope: "mailbox", Reason: reason})
			if failed {
				m.Status = capture.CompletedWithErrors
			}
		}
	}
	m.Coverage = append(append(append(m.Coverage, archives(snapshot)...), open...), textless(m.Totals.Texts)...)
	if b.Reason == capture.ReasonLost {
		m.Status = capture.Abandoned
		m.Coverage = append(m.Coverage, pack.Coverage{
			Scope: "custodians", Reason: "abandoned: the state was lost while the batch was collected; a further batch has its period",
		})
		return m, nil, nil
	}
	if b.Reason == capture.ReasonSplit {
		m.Status = capture.Abandoned
		for _, o := range told {
			m.Coverage = append(m.Coverage, pack.Coverage{Custodian: o.name, Scope: "mailbox", Reason: "abandoned: failed in " + b.SplitOf})
		}
		return m, nil, nil
	}
	if n := b.Custodians - len(custodians); n != 0 { // nobody may be missing without a word, whatever went wrong
		m.Status = capture.CompletedWithErrors
		m.Coverage = append(m.Coverage, pack.Coverage{
			Scope: "custodians", Reason: fmt.Sprintf("failed: the seals name %d of %d", len(custodians), b.Custodians),
		})
	}
	return m, told, nil
}

// total adds up what the seals say, and gives what they say of each custodian.
func total(m *pack.Manifest, seals []sealed) map[string]account {
	custodians := map[string]account{}
	for _, x := range seals {
		m.Seals = append(m.Seals, x.ref)
		m.Closed = append(m.Closed, x.seal.Closed...)
		m.Totals.Documents += x.seal.Documents
		m.Totals.Synthesised += x.seal.Synthesised
		m.Totals.Texts = m.Totals.Texts.Plus(x.seal.Texts)
		if x.seal.Package != nil {
			m.Totals.Bytes += x.seal.Package.Bytes
		}
		for _, k := range x.seal.Custodians {
			m.Totals.Found += k.Found
			m.Totals.Captured += k.Captured
			m.Totals.Excepted += k.Excepted
			m.Totals.Unchanged += k.Unchanged
			m.Totals.Recovered += k.Recovered
			custodians[k.ID] = custodians[k.ID].plus(k)
		}
	}
	m.Totals.Custodians = len(custodians)
	return custodians
}

// lookedAt is until when the batch's period has been looked at: its first chunk was begun then, and no listing is older.
func lookedAt(b ledger.Batch, chunks []ledger.Row[ledger.Chunk]) time.Time {
	var at time.Time
	for _, c := range chunks {
		if at.IsZero() || c.Value.Started.Before(at) {
			at = c.Value.Started
		}
	}
	return at.UTC().Truncate(time.Second)
}

// textless says of how many captured documents not all text can be searched, and why; who looks for words must know it.
func textless(t pack.TextCounts) []pack.Coverage {
	var all []pack.Coverage
	for _, k := range []struct {
		count       int
		status, why string
	}{
		{t.Failed, "Failed", "they are broken, or reading them broke off"},
		{t.NotSupported, "NotSupported", "of their kind no text is read"},
		{t.Protected, "Protected", "a password or encryption keeps them shut"},
		{t.TooLarge, "TooLarge", "their text was cut"},
	} {
		if k.count > 0 {
			all = append(all, pack.Coverage{Scope: "text: " + k.status, Reason: fmt.Sprintf("documents: %d; %s", k.count, k.why)})
		}
	}
	return all
}

// Snapshot puts a batch's custodians into the state and notes in the batch where they are, how many, and in which lanes.
func (c *Chain) Snapshot(ctx context.Context, source string, b *ledger.Batch, custodians []capture.Custodian) error {
	if custodians == nil {
		custodians = []capture.Custodian{}
	}
	b.Custodians, b.Lanes.V = len(custodians), nil
	for _, k := range custodians {
		b.Lanes.V = append(b.Lanes.V, k.Lane)
	}
	slices.Sort(b.Lanes.V)
	b.Lanes.V = slices.Compact(b.Lanes.V)
	snapshot, err := json.Marshal(custodians)
	if err != nil {
		return err
	}
	b.SnapshotSHA256 = pack.Sum(snapshot)
	b.Snapshot = fmt.Sprintf("snapshots/%s/%s/%s.json", source, b.ID, b.SnapshotSHA256)
	if err := c.State.Put(ctx, b.Snapshot, snapshot); err != nil {
		return fmt.Errorf("keep snapshot of custodians: %w", err)
	}
	return nil
}

// Custodians reads the snapshot of a batch's custodians, which its hash proves.
func (c *Chain) Custodians(ctx context.Context, b ledger.Batch) ([]capture.Custodian, error) {
	if b.Snapshot == "" {
		return nil, nil // the batch has no custodians
	}
	data, err := c.State.Get(ctx, b.Snapshot)
	if err != nil {
		return nil, fmt.Errorf("read snapshot of custodians: %w", err)
	}
	if pack.Sum(data) != b.SnapshotSHA256 {
		return nil, errors.New("read snapshot of custodians: its hash is not the batch's")
	}
	var all []capture.Custodian
	if err := json.Unmarshal(data, &all); err != nil { // whose text may quote an individual
		return nil, fmt.Errorf("read snapshot of custodians: it is damaged (%T)", err)
	}
	capture.NameMailboxesOnce(all)
	return all, nil
}

// archives says of each custodian whose mailbox is known to have an archive beside it that the archive is not covered.
func archives(custodians []capture.Custodian) []pack.Coverage {
	var all []pack.Coverage
	for _, k := range custodians {
		if k.Archive {
			all = append(all, pack.Coverage{
				Custodian: k.Name(), Scope: "archive mailbox",
				Reason: "it has an archive mailbox, which Microsoft Graph does not give; collect it by a source of its own",
			})
		}
	}
	return all
}

// account is what all the seals of a batch say of a custodian: the last word on the status, and the sums.
type account struct {
	identifier    string
	status        capture.CustodianStatus
	reason        string
	found, closed int // closed: captured, excepted or unchanged
	notes         []pack.Note
}

func (a account) plus(k pack.SealCustodian) account {
	notes := a.notes
	for _, n := range k.Coverage {
		if !slices.Contains(notes, n) {
			notes = append(notes[:len(notes):len(notes)], n)
		}
	}
	return account{k.Identifier, k.Status, k.Reason, a.found + k.Found, a.closed + k.Captured + k.Excepted + k.Unchanged, notes}
}

// verdict says why a mailbox is not, or not wholly, covered, and whether that is a failure; an empty reason: it is covered.
func (a account) verdict() (reason string, failed bool) {
	switch {
	case a.status == capture.Excluded:
		return a.reason, false
	case a.status != capture.Collected:
		return "failed: " + a.reason, true
	case a.found != a.closed:
		return fmt.Sprintf("failed: %d found, %d captured, excepted or unchanged", a.found, a.closed), true
	}
	return "", false
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
			if seals[i].seal, err = pack.ParseSeal(data); err != nil {
				return err
			}
			if seals[i].seal.Name() != n {
				return errors.New("read seal: it is another part's")
			}
			return nil
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
	if !s.CollectEmail {
		all = append(all, pack.Coverage{Scope: "email", Reason: "left out by setting collect"})
	}
	if !s.ExtractAttachments {
		all = append(all, pack.Coverage{Scope: "text of attachments", Reason: "left out by setting extractAttachments"})
	}
	if !s.Drafts {
		all = append(all, pack.Coverage{Scope: "drafts", Reason: "left out by setting collectDraftItems"})
	}
	if !s.CollectCalendar {
		return append(all, pack.Coverage{Scope: "calendars", Reason: "left out by setting collect"})
	}
	return append(all,
		pack.Coverage{Scope: "calendars of others", Reason: "left out by rule, also where they are shared with a custodian"},
		pack.Coverage{Scope: "events: attendees", Reason: "as they stand at capture: Microsoft Graph does not tell who was invited before"},
		pack.Coverage{Scope: "events: earlier versions", Reason: "what an event said between two readings is not told by Microsoft Graph; " +
			"the mails about it are captured as mails"},
		pack.Coverage{Scope: "events: deleted", Reason: "Microsoft Graph shows no deleted appointments, nor those that were made and " +
			"deleted between two readings; of meetings the cancellation's mail is captured"})
}
