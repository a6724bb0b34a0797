package verify

import (
	"cmp"
	"slices"
	"time"

	"chainmail/handlers/capture"
)

// source checks the chain of a source's manifests and sums the source up.
func (c *check) source(s *source) Source {
	r := Source{Name: s.name, Whole: true}
	var chain []*batch
	for _, b := range s.batches {
		r.Packages, r.Altered = r.Packages+b.packages, r.Altered+b.altered
		r.Documents += b.documents
		switch {
		case b.manifest != nil:
			r.Batches++
			chain = append(chain, b)
		case c.options.Collecting && !c.has(b.file()):
			r.Collecting++
		default:
			r.Whole = false
		}
	}
	r.Cover = s.cover.Result(c.options.From, c.options.To)
	c.splits(s)
	slices.SortStableFunc(chain, func(x, y *batch) int { return cmp.Compare(x.manifest.Sequence, y.manifest.Sequence) })
	r.Whole = c.linked(chain) && r.Whole
	if n := len(chain); n > 0 {
		r.Last, r.Head, r.HeadFile = chain[n-1].manifest.Sequence, chain[n-1].sum, chain[n-1].file()
		r.ConfigSHA256 = chain[n-1].manifest.ConfigSHA256
	}
	var windows []capture.Window
	for _, b := range chain {
		if b.manifest.Reason == capture.ReasonWindow {
			windows = append(windows, b.window)
			r.Planned = later(r.Planned, b.window.End)
		}
	}
	r.State = capture.Unbroken(windows)
	return r
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// linked checks that manifests, given by their sequence, form one chain from 1 on.
func (c *check) linked(chain []*batch) bool {
	whole, last := true, int64(0)
	fault := func(b *batch, format string, args ...any) {
		whole = false
		c.found.add(b.file(), format, args...)
	}
	var before, same []*batch // those with the sequence before, and with this one so far
	for _, b := range chain {
		sequence := b.manifest.Sequence
		switch {
		case len(same) > 0 && sequence == last:
			fault(b, "the chain forks: %s has sequence %d as well", same[0].file(), sequence)
		case sequence == last+1:
			before, same = same, nil
		default:
			fault(b, "the chain has a gap: before its sequence %d stands %d", sequence, last)
			before, same = nil, nil
		}
		last, same = sequence, append(same, b)
		previous := b.manifest.PreviousManifestSHA256
		follows := func(x *batch) bool { return x.sum == previous }
		switch {
		case sequence == 1 && previous != "":
			fault(b, "it is the chain's first, and names one before it")
		case len(before) > 0 && !slices.ContainsFunc(before, follows):
			fault(b, "it does not follow the manifest before it: its previousManifestSha256 is not the SHA-256 of %s", before[0].file())
		}
	}
	return whole
}

// heads holds the last manifests against the hashes that were witnessed outside.
func (c *check) heads(sources []*source, r *Report) {
	for _, head := range c.options.Heads {
		met := false
		for i := range r.Sources {
			s := &r.Sources[i]
			if (head.Source == "" || head.Source == s.Name) && s.Head == head.SHA256 {
				s.Witnessed, met = true, true
			}
		}
		if !met {
			c.unmet(sources, r, head)
		}
	}
}

// unmet says of a head that is no source's last manifest where it stands instead.
func (c *check) unmet(sources []*source, r *Report, head Head) {
	about := "-head " + head.SHA256
	if head.Source != "" {
		about = "-head " + head.Source + "=" + head.SHA256
	}
	for i, s := range sources {
		if head.Source != "" && head.Source != s.name {
			continue
		}
		for _, b := range s.batches {
			if b.manifest != nil && b.sum == head.SHA256 {
				c.found.add(about, "is %s with sequence %d, and the chain goes on to %d: is there a later head?",
					b.file(), b.manifest.Sequence, r.Sources[i].Last)
				return
			}
		}
	}
	c.found.add(about, "no manifest has this SHA-256: the chain's last one was altered, or removed with its batch")
}
