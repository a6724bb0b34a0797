package chain

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault"

	"golang.org/x/sync/errgroup"
)

// Resume takes up a source whose ledger is new: its evidence may be older, because the state account was lost. The chain then
// goes on from its last manifest, and batches that nobody can finish any more are made ready to be sealed as they lie there, under
// the settings of the given hash. It returns until when batches of the schedule have the time without a hole; zero: there is no
// evidence. Doing it twice is harmless.
func (c *Chain) Resume(ctx context.Context, s settings.Source, config string) (time.Time, error) {
	folders, err := c.folders(ctx, s)
	if err != nil || len(folders) == 0 {
		return time.Time{}, err
	}
	links, err := c.links(ctx, s, folders)
	if err != nil {
		return time.Time{}, err
	}
	var windows []capture.Window
	var remnants []ledger.Remnant
	var head link
	for _, id := range slices.Sorted(maps.Keys(folders)) {
		l, closed := links[id]
		switch {
		case !closed:
			remnants = append(remnants, c.remnant(id, folders[id], config))
		case l.sequence > head.sequence:
			head = l
		case l.sequence == head.sequence:
			return time.Time{}, fmt.Errorf("resume chain: two manifests have sequence %d: verify the evidence", l.sequence)
		}
		if l.reason == capture.ReasonWindow {
			windows = append(windows, folders[id].window)
		}
		if into := l.splitInto; into != "" && folders[into] == nil {
			remnants = append(remnants, c.splitOff(id, into, config))
		}
	}
	until := capture.Unbroken(windows)
	c.Log.WarnContext(ctx, "source resumed from its evidence", "source", s.Name, "chainSequence", head.sequence,
		"chainHead", head.sum, "until", until, "unfinished", len(remnants))
	return until, c.Ledger.Resume(ctx, s.Name, ledger.Head{Sequence: int(head.sequence), ManifestSHA256: head.sum}, remnants)
}

// FreeBatch gives the number and the name of the next batch of a period that neither ledger nor evidence has: evidence may have
// more, of a ledger that was lost, and nothing in it is written over.
func (c *Chain) FreeBatch(ctx context.Context, s settings.Source, w capture.Window) (int, string, error) {
	return c.Ledger.FreeBatch(ctx, s.Name, w, func(id string) (bool, error) {
		for _, err := range c.Evidence(s.Container).List(ctx, pack.Folder(s.Name, id)) {
			if errors.Is(err, vault.ErrNotFound) { // the container itself
				return false, nil
			}
			return err == nil, err
		}
		return false, nil
	})
}

// A folder is a batch as evidence has it.
type folder struct {
	window        capture.Window
	number        int
	manifest, sum bool
	parts         map[int]map[int]bool // by lane and part: whether it is sealed
}

// folders lists what evidence has of a source, by the batch's id.
func (c *Chain) folders(ctx context.Context, s settings.Source) (map[string]*folder, error) {
	all := map[string]*folder{}
	for info, err := range c.Evidence(s.Container).List(ctx, s.Name+"/") {
		if errors.Is(err, vault.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list evidence: %w", err)
		}
		id, file, _ := strings.Cut(strings.TrimPrefix(info.Name, s.Name+"/"), "/")
		f := all[id]
		if f == nil {
			window, number, ok := capture.ParseBatchID(id)
			if !ok {
				continue
			}
			f = &folder{window: window, number: number, parts: map[int]map[int]bool{}}
			all[id] = f
		}
		f.manifest, f.sum = f.manifest || file == pack.ManifestFile, f.sum || file == pack.ManifestSumFile
		if n, err := pack.ParseName(info.Name); err == nil {
			if f.parts[n.Lane] == nil {
				f.parts[n.Lane] = map[int]bool{}
			}
			f.parts[n.Lane][n.Part] = f.parts[n.Lane][n.Part] || info.Name == n.Seal()
		}
	}
	return all, nil
}

// A link is what the chain needs to know of a manifest that was published.
type link struct {
	sequence  int64
	sum       string
	reason    string
	splitInto string
}

// links reads the manifests that there are, by the batch's id. Where a process died between a manifest and the file with its
// hash, the hash is written now.
func (c *Chain) links(ctx context.Context, s settings.Source, folders map[string]*folder) (map[string]link, error) {
	ids := slices.DeleteFunc(slices.Sorted(maps.Keys(folders)), func(id string) bool { return !folders[id].manifest })
	read := make([]link, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, id := range ids {
		g.Go(func() error {
			data, err := c.Evidence(s.Container).Get(ctx, pack.ManifestName(s.Name, id))
			if err != nil {
				return fmt.Errorf("read manifest: %w", err)
			}
			m, err := pack.ParseManifest(data)
			if err != nil {
				return fmt.Errorf("batch %s: %w", id, err)
			}
			read[i] = link{m.Sequence, pack.Sum(data), m.Reason, m.SplitInto}
			if folders[id].sum {
				return nil
			}
			err = c.Evidence(s.Container).PutOnce(ctx, pack.ManifestSumName(s.Name, id), pack.ManifestSumLine(data), "text/plain")
			if err != nil {
				return fmt.Errorf("write hash of manifest: %w", err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	all := map[string]link{}
	for i, id := range ids {
		all[id] = read[i]
	}
	return all, nil
}

// remnant is the batch of a folder that no manifest closes: what is sealed stands, and nobody works on it any more.
func (c *Chain) remnant(id string, f *folder, config string) ledger.Remnant {
	r := ledger.Remnant{Batch: ledger.Batch{
		ID: id, Start: f.window.Start, End: f.window.End, N: f.number, Reason: capture.ReasonLost, ConfigSHA256: config,
	}}
	r.Batch.Lanes.V = slices.Sorted(maps.Keys(f.parts))
	r.Batch.Enter(capture.Created, c.Now().UTC().Truncate(time.Second), 0)
	for _, lane := range r.Batch.Lanes.V {
		parts := f.parts[lane]
		chunk := ledger.Chunk{
			Batch: id, Lane: lane, Status: ledger.ChunkClosed, Final: true, Part: slices.Max(slices.Collect(maps.Keys(parts))),
			Started: f.window.End, // when it was is lost with the ledger; it was not before
		}
		for part := 1; part <= chunk.Part; part++ {
			if !parts[part] {
				chunk.Burnt.V = append(chunk.Burnt.V, part)
			}
		}
		r.Chunks = append(r.Chunks, chunk)
	}
	return r
}

// splitOff is the batch that a manifest names for its failed custodians, and that was not published.
func (c *Chain) splitOff(of, id, config string) ledger.Remnant {
	window, number, _ := capture.ParseBatchID(id)
	b := ledger.Batch{
		ID: id, Start: window.Start, End: window.End, N: number, Reason: capture.ReasonSplit, SplitOf: of, ConfigSHA256: config,
	}
	b.Enter(capture.Created, c.Now().UTC().Truncate(time.Second), 0)
	return ledger.Remnant{Batch: b}
}
