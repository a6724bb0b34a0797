package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
	"chainmail/handlers/vault"
	"chainmail/infra/evidence/store"
)

// A Head is a source's last manifest: what stands in its chain up to there is what an export is of.
type Head struct {
	Source   string `json:"source"`
	Sequence int64  `json:"sequence"`
	SHA256   string `json:"sha256"`
}

// maxWhole is the largest file of evidence that is held in memory. Those that are written are far smaller.
const maxWhole = 256 << 20

// readAtOnce is how many files of evidence are read side by side.
const readAtOnce = 8

// whole reads a file. fault says what is wrong with the evidence; an error, that this could not be found out.
func (e *exporter) whole(ctx context.Context, name string) (data []byte, fault string, err error) {
	r, err := e.store.Open(ctx, name)
	if err == nil {
		defer r.Close()
		data, err = io.ReadAll(io.LimitReader(r, maxWhole+1))
	}
	switch {
	case gone(err):
		return nil, "is missing", nil
	case errors.Is(err, store.ErrIrregular):
		return nil, err.Error(), nil
	case err != nil:
		return nil, "", unread(name, err)
	case len(data) > maxWhole:
		return nil, "is larger than any such file is", nil
	}
	return data, "", nil
}

func unread(name string, err error) error { return fmt.Errorf("%s: cannot be read: %w", name, err) }

func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, vault.ErrNotFound) }

// A batch is a batch's folder as its manifest describes it.
type batch struct {
	folder string
	fault  string // "": the manifest can be read
	head   Head
	parts  []part
}

// listing is what lies in evidence, by name alone.
type listing struct {
	folders []string // with a manifest
	parts   map[pack.Name]bool
}

func (e *exporter) list(ctx context.Context) (listing, error) {
	l := listing{parts: map[pack.Name]bool{}}
	none := true
	for f, err := range e.store.List(ctx) {
		if err != nil {
			return l, Unlisted{err}
		}
		n, err := pack.ParseName(f.Name)
		isPart := err == nil && (f.Name == n.Zip() || f.Name == n.Items() || f.Name == n.Seal())
		isManifest := path.Base(f.Name) == pack.ManifestFile && strings.Count(f.Name, "/") == 2
		none = none && !isPart && !isManifest
		switch {
		case e.Source != "" && !strings.HasPrefix(f.Name, e.Source+"/"):
		case isPart:
			l.parts[n] = true
		case isManifest:
			l.folders = append(l.folders, path.Dir(f.Name)+"/")
		}
	}
	if none {
		return l, Unlisted{store.ErrNoEvidence}
	}
	return l, nil
}

// manifest reads the manifest of a batch.
func (e *exporter) manifest(ctx context.Context, folder string) (batch, error) {
	b := batch{folder: folder}
	data, fault, err := e.whole(ctx, folder+pack.ManifestFile)
	if err != nil || fault != "" {
		b.fault = fault
		return b, err
	}
	m, err := pack.ParseManifest(data)
	if err != nil {
		b.fault = err.Error()
		return b, nil
	}
	if pack.Folder(m.Source, m.Batch) != folder {
		b.fault = "is the manifest of another batch"
		return b, nil
	}
	b.head = Head{m.Source, m.Sequence, pack.Sum(data)}
	for _, s := range m.Seals {
		n, err := pack.ParseName(folder + s.Name)
		if err != nil || path.Base(n.Seal()) != s.Name {
			b.fault = "names a seal that no part of the batch has"
			return b, nil
		}
		b.parts = append(b.parts, part{name: n, sealSHA256: s.SHA256})
	}
	return b, nil
}

// batches reads all manifests and keeps those that the export is of: all, or those that were there when it began. It gives
// their parts in the order of control numbers.
func (e *exporter) batches(ctx context.Context, p *plan, before *Begun) ([]part, error) {
	l, err := e.list(ctx)
	if err != nil {
		return nil, err
	}
	var parts []part
	heads := map[string]Head{}
	err = inOrder(ctx, readAtOnce, each(l.folders), e.manifest, func(b batch) error {
		if b.fault != "" {
			p.fault(exception{Source: path.Dir(path.Dir(b.folder)), File: b.folder + pack.ManifestFile, What: b.fault})
			return nil
		}
		if before != nil && before.after(b.head) {
			return nil
		}
		if h, ok := heads[b.head.Source]; !ok || h.Sequence < b.head.Sequence {
			heads[b.head.Source] = b.head
		}
		parts = append(parts, b.parts...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, n := range parts {
		delete(l.parts, n.name)
	}
	p.unnamed = len(l.parts)
	for _, h := range heads {
		p.heads = append(p.heads, h)
	}
	slices.SortFunc(p.heads, func(a, b Head) int { return strings.Compare(a.Source, b.Source) })
	slices.SortFunc(parts, func(a, b part) int { return compare(a.name, b.name) })
	return parts, nil
}

// compare puts parts in the order of their control numbers: by source, period, batch, lane and part.
func compare(a, b pack.Name) int {
	w, n, _ := capture.ParseBatchID(a.Batch)
	v, m, _ := capture.ParseBatchID(b.Batch)
	return cmp.Or(strings.Compare(a.Source, b.Source), w.Start.Compare(v.Start), cmp.Compare(n, m), w.End.Compare(v.End),
		cmp.Compare(a.Lane, b.Lane), cmp.Compare(a.Part, b.Part))
}
