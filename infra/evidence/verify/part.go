package verify

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"sync"

	"chainmail/handlers/pack"
)

// A part is one part under check: its seal, and the files that the seal names.
type part struct {
	*check
	batch *batch
	name  pack.Name
	once  *once

	seal     *pack.Seal
	rows     []pack.ItemRow
	rowsRead bool // rows is all of the items
	shares   map[string]share
}

// verify checks the part and gives its seal, if it can be read. want is the seal's hash by the manifest; "": there is no
// manifest that could be read.
func (p *part) verify(ctx context.Context, want string) *pack.Seal {
	file := p.name.Seal()
	switch {
	case p.has(file):
	case want != "":
		p.found.add(file, "is missing: the manifest names it")
		return nil
	case p.options.Collecting && !p.has(p.batch.file()):
		return nil // it is being written
	default:
		p.unsealed("is a stranger: there is no seal that names it")
		return nil
	}
	data, ok := p.whole(ctx, file)
	if !ok {
		return nil
	}
	if want != "" && pack.Sum(data) != want {
		p.found.add(file, "its SHA-256 is not the one that the manifest names")
	}
	if !p.structured(file, data, pack.SealFormat, p.schemas.seal) {
		p.unsealed("was not verified: its seal cannot be read")
		return nil
	}
	s, err := pack.ParseSeal(data)
	if err != nil {
		p.found.add(file, "%v", err)
		p.unsealed("was not verified: its seal cannot be read")
		return nil
	}
	if s.Name() != p.name {
		p.found.add(file, "is the seal of another part")
	}
	p.seal = &s
	p.sealed(ctx)
	return &s
}

// unsealed says something of all the part's files but the seal.
func (p *part) unsealed(what string) {
	for _, file := range []string{p.name.Zip(), p.name.Items(), p.name.Exceptions(), p.name.Deletions()} {
		if p.has(file) {
			p.found.add(file, "%s", what)
		}
	}
}

// sealed checks what the seal names, and what it counts.
func (p *part) sealed(ctx context.Context) {
	s := p.seal
	if (s.Package == nil) != (s.ItemsSHA256 == "") || (s.Package == nil) != (s.Documents == 0) {
		p.found.add(p.name.Seal(), "a part has package, items and documents, or none of them")
	}
	p.shares = map[string]share{}
	items := p.present(p.name.Items(), s.ItemsSHA256 != "")
	if items {
		p.items(ctx)
	}
	exceptions := p.present(p.name.Exceptions(), s.ExceptionsSHA256 != "")
	if exceptions {
		exceptions = p.exceptions(ctx)
	}
	if p.present(p.name.Deletions(), s.DeletionsSHA256 != "") {
		p.deletions(ctx)
	}
	if p.present(p.name.Zip(), s.Package != nil) {
		p.unzip(ctx)
	}
	p.custodians(s.ItemsSHA256 == "" || p.rowsRead, s.ExceptionsSHA256 == "" || exceptions)
}

// present holds a file that is there, or not, against the seal, and reports whether it is to be read.
func (p *part) present(file string, named bool) bool {
	switch has := p.has(file); {
	case named && !has:
		p.found.add(file, "is missing: its seal names it")
	case !named && has:
		p.found.add(file, "is a stranger: its seal names no such file")
	}
	return named && p.has(file)
}

// exceptions reads the items that could not be captured.
func (p *part) exceptions(ctx context.Context) bool {
	file := p.name.Exceptions()
	data, ok := p.whole(ctx, file)
	if !ok {
		return false
	}
	if pack.Sum(data) != p.seal.ExceptionsSHA256 {
		p.found.add(file, "its SHA-256 is not the one that its seal names")
	}
	rows, err := pack.DecodeExceptions(data)
	if err != nil {
		p.found.add(file, "%v", err)
		return false
	}
	for _, row := range rows {
		s := p.shares[row.Custodian]
		s.excepted++
		p.shares[row.Custodian] = s
		p.once.see(row.Custodian, row.Item.GraphID)
		p.batch.cover.Excepted(p.batch.id, row.Item.Key())
	}
	return true
}

// deletions reads what was seen deleted, and holds the seal's counts against it.
func (p *part) deletions(ctx context.Context) {
	file := p.name.Deletions()
	data, ok := p.whole(ctx, file)
	if !ok {
		return
	}
	if pack.Sum(data) != p.seal.DeletionsSHA256 {
		p.found.add(file, "its SHA-256 is not the one that its seal names")
	}
	rows, err := pack.DecodeDeletions(data)
	if err != nil {
		p.found.add(file, "%v", err)
		return
	}
	seen := map[string]int{}
	for _, row := range rows {
		seen[row.Custodian]++
	}
	for _, k := range p.seal.Custodians {
		if seen[k.ID] != k.Deleted {
			p.found.add(p.name.Seal(), "custodian %s: %d deleted, and the deletions hold %d", word(k.ID), k.Deleted, seen[k.ID])
		}
	}
}

// A share is what items and exceptions hold of a custodian.
type share struct {
	captured, recovered, excepted int
	bytes                         int64
}

// custodians holds the seal's counts against the rows of items and exceptions, as far as they could be read.
func (p *part) custodians(items, exceptions bool) {
	file := p.name.Seal()
	named := map[string]bool{}
	before := ""
	for _, k := range p.seal.Custodians {
		if k.ID <= before {
			p.found.add(file, "its custodians are not each named once, by id")
		}
		before, named[k.ID] = k.ID, true
		got := p.shares[k.ID]
		if want := (share{k.Captured, k.Recovered, got.excepted, k.Bytes}); items && got != want {
			p.found.add(file, "custodian %s: %d captured, %d recovered, %d bytes, and the items hold %d, %d and %d",
				word(k.ID), k.Captured, k.Recovered, k.Bytes, got.captured, got.recovered, got.bytes)
		}
		if exceptions && got.excepted != k.Excepted {
			p.found.add(file, "custodian %s: %d excepted, and the exceptions hold %d", word(k.ID), k.Excepted, got.excepted)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p.shares)) {
		if !named[id] {
			p.found.add(file, "it does not name custodian %s, of whom there are items or exceptions", word(id))
		}
	}
}

// once sees that an item stands once in a batch: captured, or excepted. One that stands twice could make up, in the counts,
// for one that is missing.
type once struct {
	check *check
	batch *batch

	mu   sync.Mutex
	seen map[itemID]bool
}

// An itemID is a digest of custodian and Graph id: a batch may have very many.
type itemID [16]byte

func newOnce(c *check, b *batch) *once { return &once{check: c, batch: b, seen: map[itemID]bool{}} }

func (o *once) see(custodian, graphID string) {
	sum := sha256.Sum256([]byte(custodian + "\x00" + graphID))
	id := itemID(sum[:len(itemID{})])
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen[id] {
		o.check.found.add(o.batch.file(), "item %s of custodian %s stands twice in its batch", itemKey(graphID), word(custodian))
	}
	o.seen[id] = true
}
