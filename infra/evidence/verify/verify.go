// Package verify finds out whether evidence is whole and unaltered: it reads every byte of every file, and holds it against
// the hash, the count and the place in the chain that bear witness to it.
//
// What makes any altered byte show: a manifest is witnessed by the manifest after it and by its .sha256, the last one by a
// hash from outside; seals by the manifest; packages, items and exceptions by their seal; settings by their name; the
// description of the format by the program; and a file that nothing witnesses is itself a finding.
package verify

import (
	"context"
	"io"
	"path"
	"sync/atomic"
	"time"

	"chainmail/handlers/pack"
	"chainmail/infra/evidence/store"

	"golang.org/x/sync/errgroup"
)

// Options say what is known beside the evidence. The functions may be nil.
type Options struct {
	Heads      []Head   // hashes of last manifests, witnessed outside the storage
	Anchors    []Anchor // those of manifests, as the log has them
	Collecting bool     // a batch without a manifest is still being collected, and no finding

	// From and To are the period in which coverage is looked for, [From, To); zero: from the first, or to the last manifest's.
	From, To time.Time

	Listed func(files int, bytes int64) // called once, before anything is read
	Read   func(bytes int)              // called for all that is read, by several goroutines at a time
}

// A Head is the SHA-256 that a source's last manifest must have, as the log event "batch sealed" tells it.
type Head struct {
	Source string // "": of any source
	SHA256 string
}

// What is read side by side: of parts only a few, since each holds the rows of its items, and a package of a container
// lies in a temporary file meanwhile.
const (
	batchesAtOnce = 16
	partsAtOnce   = 4
)

// check is one verification under way.
type check struct {
	store   store.Store
	options Options
	formats map[string][]byte
	schemas schemas
	found   *findings
	parts   chan struct{}    // a place for each part that is read
	files   map[string]int64 // those that have a place in evidence, with their sizes
	read    atomic.Int64
}

func newCheck(ctx context.Context, s store.Store, o Options) *check {
	return &check{
		store: s, options: o, formats: pack.FormatFiles(), schemas: compiled(), found: newFindings(ctx),
		parts: make(chan struct{}, partsAtOnce), files: map[string]int64{},
	}
}

// Run verifies everything in the store. It ends early only when the store cannot be listed, holds nothing that is
// evidence ([store.ErrNoEvidence]), or ctx ends; then the report tells what was found until then. Whatever else is wrong
// is a finding, also a file that cannot be read.
func Run(ctx context.Context, s store.Store, o Options) (*Report, error) {
	c := newCheck(ctx, s, o)
	sources, err := c.list(ctx)
	if err != nil {
		return nil, err
	}
	if len(sources) == 0 {
		return nil, store.ErrNoEvidence
	}
	c.common(ctx)
	r := &Report{}
	var g errgroup.Group
	g.SetLimit(batchesAtOnce)
	for _, source := range sources {
		for _, b := range source.batches {
			g.Go(func() error { c.batch(ctx, b); return nil })
		}
	}
	_ = g.Wait()
	for _, source := range sources {
		r.Sources = append(r.Sources, c.source(source))
	}
	c.heads(sources, r)
	c.anchored(sources, r)
	r.Findings, r.Files, r.Bytes, r.Interrupted = c.found.all(), len(c.files), c.read.Load(), ctx.Err() != nil
	return r, ctx.Err()
}

// common checks what all sources have in common: the description of the format, and the settings.
func (c *check) common(ctx context.Context) {
	for name, want := range c.formats {
		if !c.has(name) && c.options.Collecting && !c.anyManifest() {
			continue
		}
		if !c.has(name) {
			c.found.add(name, "is missing: it comes with the chain's first manifest")
			continue
		}
		if sum, _, ok := c.sum(ctx, name); ok && sum != pack.Sum(want) {
			c.found.add(name, "is not the description that this program has: it was altered, or comes from another version of it")
		}
	}
	for name := range c.files {
		want, ok := configSum(name)
		if !ok {
			continue
		}
		if sum, _, ok := c.sum(ctx, name); ok && sum != want {
			c.found.add(name, "its SHA-256 is not its name")
		}
	}
}

// anyManifest reports whether a batch was closed at all.
func (c *check) anyManifest() bool {
	for name := range c.files {
		if path.Base(name) == pack.ManifestFile {
			return true
		}
	}
	return false
}

func (c *check) has(name string) bool {
	_, ok := c.files[name]
	return ok
}

// open opens a file; every read of it is counted, and ends when ctx does.
func (c *check) open(ctx context.Context, name string) (*counted, error) {
	r, err := c.store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return &counted{r, ctx, c}, nil
}

// A counted reader counts what is read.
type counted struct {
	io.ReadCloser
	ctx   context.Context // of the check: an io.Reader's methods have none
	check *check
}

// Read implements [io.Reader].
func (r *counted) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.ReadCloser.Read(p)
	r.check.read.Add(int64(n))
	if r.check.options.Read != nil {
		r.check.options.Read(n)
	}
	return n, err
}
