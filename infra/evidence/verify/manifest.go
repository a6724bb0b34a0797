package verify

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
)

// batch checks a batch's folder: its manifest, every part, and that all is accounted for and adds up.
func (c *check) batch(ctx context.Context, b *batch) {
	witness := c.manifest(ctx, b)
	names := c.partsOf(b, witness)
	seals := make([]*pack.Seal, len(names)) // nil: it is missing or cannot be read
	once := newOnce(c, b)
	var wg sync.WaitGroup
	for i, n := range names {
		c.parts <- struct{}{}
		wg.Go(func() {
			defer func() { <-c.parts }()
			p := &part{check: c, batch: b, name: n, once: once}
			seals[i] = p.verify(ctx, witness[n])
		})
	}
	wg.Wait()
	for i, s := range seals {
		if s == nil {
			continue
		}
		b.documents += s.Documents
		if s.Package != nil {
			b.packages++
			if c.found.any(names[i].Zip()) || c.found.any(names[i].Seal()) {
				b.altered++
			}
		}
	}
	if b.manifest != nil && !slices.Contains(seals, nil) { // what cannot be read cannot be added up
		c.balance(b, seals)
	}
	c.covers(b, seals)
}

// covers tells the source's coverage what the batch says, and keeps no more of its manifest than the chain needs: of
// thousands of batches the lists of seals and custodians would fill the memory.
func (c *check) covers(b *batch, seals []*pack.Seal) {
	switch {
	case b.manifest != nil:
		b.cover.Closed(b.id, b.window, b.manifest, seals)
		m := b.manifest
		b.manifest = &pack.Manifest{
			Sequence: m.Sequence, PreviousManifestSHA256: m.PreviousManifestSHA256, Reason: m.Reason, ConfigSHA256: m.ConfigSHA256,
			SplitOf: m.SplitOf, SplitInto: m.SplitInto,
		}
	case c.has(b.file()):
		b.cover.Open(b.id, b.window, "not known: the batch's manifest cannot be read")
	default:
		b.cover.Open(b.id, b.window, "no manifest closes the batch")
	}
	b.parts = nil
}

// partsOf are the parts to be checked, in the order of lanes and parts: those that the manifest names, or without one that
// can be read those that are there. Others are strangers.
func (c *check) partsOf(b *batch, witness map[pack.Name]string) []pack.Name {
	names := slices.Collect(maps.Keys(witness))
	for n := range b.parts {
		switch {
		case b.manifest == nil:
			names = append(names, n)
		case witness[n] == "":
			c.strangers(n)
		}
	}
	slices.SortFunc(names, func(x, y pack.Name) int { return cmp.Or(cmp.Compare(x.Lane, y.Lane), cmp.Compare(x.Part, y.Part)) })
	return names
}

// strangers are the files of a part that no manifest names.
func (c *check) strangers(n pack.Name) {
	for _, file := range []string{n.Zip(), n.Items(), n.Exceptions(), n.Seal()} {
		if c.has(file) {
			c.found.add(file, "is a stranger: the manifest names no seal of this part")
		}
	}
}

// manifest reads a batch's manifest and gives the hashes of the seals that it names.
func (c *check) manifest(ctx context.Context, b *batch) map[pack.Name]string {
	file, sumFile := b.file(), pack.ManifestSumName(b.source, b.id)
	if !c.has(file) {
		if c.has(sumFile) || !c.options.Collecting {
			c.found.add(file, "is missing: it was removed, or the batch is still being collected (-collecting)")
		}
		if c.has(sumFile) {
			c.found.add(sumFile, "there is no manifest beside it")
		}
		return nil
	}
	data, ok := c.whole(ctx, file)
	if !ok {
		return nil
	}
	b.sum = pack.Sum(data)
	if !c.has(sumFile) {
		c.found.add(sumFile, "is missing")
	} else if line, ok := c.whole(ctx, sumFile); ok && string(line) != string(pack.ManifestSumLine(data)) {
		c.found.add(sumFile, "is not the line with the manifest's SHA-256 that sha256sum writes: this file or the manifest was altered")
	}
	if !c.structured(file, data, pack.ManifestFormat, c.schemas.manifest) {
		return nil
	}
	m, err := pack.ParseManifest(data)
	if err != nil {
		c.found.add(file, "%v", err)
		return nil
	}
	b.manifest = &m
	c.manifestItself(b)
	return c.namedSeals(b)
}

// manifestItself checks what a manifest says of its batch.
func (c *check) manifestItself(b *batch) {
	m, file := b.manifest, b.file()
	if m.Source != b.source || m.Batch != b.id {
		c.found.add(file, "is the manifest of another batch")
	}
	if !m.Start.Equal(b.window.Start) || !m.End.Equal(b.window.End) || !m.Start.Before(m.End) {
		c.found.add(file, "start and end are not the batch's")
	}
	if n := len(m.Statuses); n == 0 || m.Statuses[n-1].Status != m.Status || m.Statuses[n-1].Documents != m.Totals.Documents {
		c.found.add(file, "its last status is not the one that it closes with")
	}
	if config := "_config/" + m.ConfigSHA256 + ".json"; plainWord.MatchString(m.ConfigSHA256) && !c.has(config) {
		c.found.add(config, "is missing: it holds the settings of %s", file)
	}
}

// namedSeals gives the hashes of the seals that a manifest names.
func (c *check) namedSeals(b *batch) map[pack.Name]string {
	m, file := b.manifest, b.file()
	named := map[pack.Name]string{}
	for i, s := range m.Seals {
		n, err := pack.ParseName(s.Name)
		switch {
		case err != nil || pack.Folder(b.source, b.id)+s.Name != n.Seal():
			c.found.add(file, "the name of seal %d is not one of this batch's", i+1)
		case named[n] != "":
			c.found.add(file, "it names seal %s twice", n.Stem())
		default:
			named[n] = cmp.Or(s.SHA256, "(none)")
		}
	}
	if !slices.IsSortedFunc(m.Seals, func(x, y pack.FileSum) int { return cmp.Compare(x.Name, y.Name) }) {
		c.found.add(file, "its seals are not in the order of their names")
	}
	return named
}

// account is what all seals of a batch say of a custodian: the last word on the status, and the sums.
type account struct {
	status        capture.CustodianStatus
	found, closed int // closed: captured, excepted or unchanged
}

// balance holds a manifest against its seals, in the order of lanes and parts: every sum, every custodian, the status.
func (c *check) balance(b *batch, seals []*pack.Seal) {
	var sum pack.Totals
	custodians := map[string]account{}
	for _, s := range seals {
		sum.Documents += s.Documents
		sum.Synthesised += s.Synthesised
		sum.Texts = sum.Texts.Plus(s.Texts)
		if s.Package != nil {
			sum.Bytes += s.Package.Bytes
		}
		for _, k := range s.Custodians {
			sum.Found, sum.Captured = sum.Found+k.Found, sum.Captured+k.Captured
			sum.Excepted, sum.Recovered = sum.Excepted+k.Excepted, sum.Recovered+k.Recovered
			sum.Unchanged += k.Unchanged
			a := custodians[k.ID]
			custodians[k.ID] = account{k.Status, a.found + k.Found, a.closed + k.Captured + k.Excepted + k.Unchanged}
		}
	}
	sum.Custodians = len(custodians)
	open := 0
	for _, id := range slices.Sorted(maps.Keys(custodians)) {
		switch a := custodians[id]; {
		case a.status == capture.Excluded:
			sum.Excluded++
		case a.status != capture.Collected:
			open++
		case a.found != a.closed:
			c.found.add(b.file(), "custodian %s: %d found, and %d captured, excepted or unchanged", word(id), a.found, a.closed)
		}
	}
	c.totals(b, sum)
	c.status(b, open)
	for _, s := range seals { // a person may have closed others
		for _, closed := range s.Closed {
			if !slices.Contains(b.manifest.Closed, closed) {
				c.found.add(b.file(), "it does not tell of an exception that its seals close")
				return
			}
		}
	}
}

func (c *check) totals(b *batch, sum pack.Totals) {
	said := b.manifest.Totals
	for _, t := range []struct {
		name      string
		said, sum int64
	}{
		{"custodians", int64(said.Custodians), int64(sum.Custodians)}, {"found", int64(said.Found), int64(sum.Found)},
		{"captured", int64(said.Captured), int64(sum.Captured)}, {"excepted", int64(said.Excepted), int64(sum.Excepted)},
		{"unchanged", int64(said.Unchanged), int64(sum.Unchanged)},
		{"recovered", int64(said.Recovered), int64(sum.Recovered)}, {"excluded", int64(said.Excluded), int64(sum.Excluded)},
		{"bytes", said.Bytes, sum.Bytes}, {"documents", int64(said.Documents), int64(sum.Documents)},
		{"synthesised", int64(said.Synthesised), int64(sum.Synthesised)},
	} {
		if t.said != t.sum {
			c.found.add(b.file(), "totals: %s is %d, and the sum over its seals %d", t.name, t.said, t.sum)
		}
	}
	if said.Texts != sum.Texts {
		c.found.add(b.file(), "totals: texts are not the sums over its seals")
	}
}

// status holds a manifest's status against the custodians that are neither collected nor excluded, unless they were split off,
// and the exceptions.
func (c *check) status(b *batch, open int) {
	m := b.manifest
	if m.SplitInto != "" {
		open = 0
	}
	wrong := false
	switch m.Status {
	case capture.Completed:
		wrong = open > 0 || m.Totals.Excepted > 0
	case capture.CompletedWithDocumentLevelErrors:
		wrong = open > 0 || m.Totals.Excepted == 0
	}
	if wrong {
		c.found.add(b.file(), "its status is %s, with %s neither collected nor excluded and %s excepted",
			m.Status, count(open, "custodian"), count(m.Totals.Excepted, "item"))
	}
}
