package verify

import (
	"cmp"
	"context"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
	"chainmail/infra/evidence/cover"
)

// A source is what lies in evidence of one source.
type source struct {
	name    string
	batches []*batch // by id
	cover   *cover.Source

	bySequence map[int64][]*batch // when anchors are looked for
}

// A batch is what lies in a batch's folder, and what became of its check.
type batch struct {
	source, id string
	window     capture.Window
	number     int // among the batches of its period
	parts      map[pack.Name]bool
	cover      *cover.Source // of the batch's source

	manifest  *pack.Manifest // nil: it is missing or cannot be read; without its lists once the batch is checked
	sum       string         // of the manifest
	packages  int
	altered   int // packages of which there are findings, or of their seals
	documents int
}

func (b *batch) file() string { return pack.ManifestName(b.source, b.id) }

// inProgress marks a file that was not copied to its end.
const inProgress = "_inprogress"

var configName = regexp.MustCompile(`^_config/([0-9a-f]{64})\.json$`)

// configSum is the hash that the name of a file of settings promises.
func configSum(name string) (string, bool) {
	m := configName.FindStringSubmatch(name)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// list gives every file its place, by its name alone. One that has none is a finding.
func (c *check) list(ctx context.Context) ([]*source, error) {
	batches := map[string]*batch{}
	total := int64(0)
	for f, err := range c.store.List(ctx) {
		if err != nil {
			return nil, err
		}
		_, config := configSum(f.Name)
		switch {
		case strings.Contains(f.Name, inProgress):
			c.found.add(f.Name, "is an unfinished copy: copy the file again")
			continue
		case config || c.formats[f.Name] != nil:
		case strings.HasPrefix(f.Name, "_format/"):
			c.found.add(f.Name, "belongs to no format that this program knows: a stranger, or a later version's")
			continue
		case !place(batches, f.Name):
			c.found.add(f.Name, "is a stranger: no file of evidence bears such a name")
			continue
		}
		c.files[f.Name] = f.Size
		total += f.Size
	}
	if c.options.Listed != nil {
		c.options.Listed(len(c.files), total)
	}
	return bySource(batches), nil
}

// place puts a file into its batch.
func place(batches map[string]*batch, name string) bool {
	parent, file := path.Split(name)
	sourceName, id, ok := strings.Cut(strings.TrimSuffix(parent, "/"), "/")
	window, number, valid := capture.Window{}, 0, false
	if ok && capture.ValidSourceName(sourceName) {
		window, number, valid = capture.ParseBatchID(id)
	}
	if !valid {
		return false
	}
	part, err := pack.ParseName(name)
	isPart := err == nil && slices.Contains([]string{part.Zip(), part.Items(), part.Exceptions(), part.Deletions(), part.Seal()}, name)
	if !isPart && file != pack.ManifestFile && file != pack.ManifestSumFile {
		return false
	}
	b := batches[parent]
	if b == nil {
		b = &batch{source: sourceName, id: id, window: window, number: number, parts: map[pack.Name]bool{}}
		batches[parent] = b
	}
	if isPart {
		b.parts[part] = true
	}
	return true
}

func bySource(batches map[string]*batch) []*source {
	sources := map[string]*source{}
	for _, folder := range slices.Sorted(maps.Keys(batches)) {
		b := batches[folder]
		if sources[b.source] == nil {
			sources[b.source] = &source{name: b.source, cover: cover.NewSource()}
		}
		b.cover = sources[b.source].cover
		sources[b.source].batches = append(sources[b.source].batches, b)
	}
	return slices.SortedFunc(maps.Values(sources), func(a, b *source) int { return cmp.Compare(a.name, b.name) })
}
