package export

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"chainmail/handlers/pack"
)

// A plan is what is exported. It holds a few hundred bytes for a part, and where families are deduplicated some 170 for each
// of them; nothing else of documents.
type plan struct {
	heads     []Head
	unnamed   int    // parts that no manifest names, and that were not looked at
	parts     []part // with families to export, in the order of control numbers
	faults    []exception
	ids       map[string]bool   // custodians that are asked for; nil: all
	addresses map[string]string // identifiers by custodian, as the last seal names them
	names     map[string]string // ids of custodians by themselves, so that each is held once
	dedupe    *dedupe           // nil: duplicates are exported
	totals    Totals
	looked    int // documents that were looked at
	reads     int64
	stems     map[string]pack.Name // parts by what their control numbers begin with
}

func (p *plan) fault(x exception) {
	p.faults = append(p.faults, x)
	p.totals.Exceptions++
}

// makePlan decides what is exported, of the evidence that was there when the export began.
func (e *exporter) makePlan(ctx context.Context, before *Begun) (*plan, error) {
	p := &plan{addresses: map[string]string{}, names: map[string]string{}, stems: map[string]pack.Name{}}
	all, err := e.batches(ctx, p, before)
	if err != nil {
		return nil, err
	}
	known, err := e.seals(ctx, p, &all)
	if err != nil {
		return nil, err
	}
	if p.ids, err = e.custodians(known); err != nil {
		return nil, err
	}
	if e.Dedupe {
		if p.dedupe, err = newDedupe(e.out); err != nil {
			return nil, err
		}
	}
	all = slices.DeleteFunc(all, func(part part) bool { return !concerned(p.ids, part.custodians) })
	scan := func(ctx context.Context, part part) (scanned, error) { return e.scan(ctx, part, p.ids) }
	err = inOrder(ctx, readAtOnce, each(all), scan, func(s scanned) error { return e.take(p, s) })
	if p.dedupe != nil {
		err = errors.Join(err, p.dedupe.close())
	}
	return p, err
}

// seals reads the seals of parts and drops the parts without documents. It gives the custodians' ids by all that they are
// called.
func (e *exporter) seals(ctx context.Context, p *plan, all *[]part) (map[string]map[string]bool, error) {
	known := map[string]map[string]bool{}
	call := func(name, id string) {
		name = strings.ToLower(name)
		if known[name] == nil {
			known[name] = map[string]bool{}
		}
		known[name][id] = true
	}
	var kept []part
	err := inOrder(ctx, readAtOnce, each(*all), e.seal, func(s sealed) error {
		if s.fault != "" {
			p.fault(exceptionOf(s.name, s.name.Seal(), s.fault))
			return nil
		}
		for id, identifier := range s.identifier {
			call(id, id)
			call(identifier, id)
			p.addresses[id] = identifier
			if _, held := p.names[id]; !held {
				p.names[id] = id
			}
		}
		if s.pkg != nil {
			kept = append(kept, s.part)
		}
		return nil
	})
	*all = kept
	return known, err
}

// custodians resolves those that are asked for; nil: all are.
func (e *exporter) custodians(known map[string]map[string]bool) (map[string]bool, error) {
	if len(e.Custodians) == 0 {
		return nil, nil
	}
	ids := map[string]bool{}
	for i, name := range e.Custodians {
		found := known[strings.ToLower(name)]
		if len(found) == 0 {
			return nil, refuse("of the custodians that are asked for number %d, in alphabetical order, is named by no seal: "+
				"give the mailbox's object id, or the identifier that it had in the list of individuals", i+1)
		}
		maps.Copy(ids, found)
	}
	return ids, nil
}

func concerned(ids map[string]bool, custodians []string) bool {
	return ids == nil || slices.ContainsFunc(custodians, func(c string) bool { return ids[c] })
}

// take takes the families of a part into the plan.
func (e *exporter) take(p *plan, s scanned) error {
	p.looked += s.documents
	if s.fault != "" {
		p.fault(exceptionOf(s.name, s.name.Items(), s.fault))
		return nil
	}
	if len(s.families) == 0 {
		return nil
	}
	other, taken := p.stems[s.stem]
	switch {
	case taken && other.Source == s.name.Source:
		p.fault(exceptionOf(s.name, s.name.Items(), "has the control numbers of another part"))
		return nil
	case taken && e.As != Trace:
		return refuse("%s and %s have the same control numbers, by which documents are told apart here: export one source "+
			"at a time, by -source", other.Base(), s.name.Base())
	}
	p.stems[s.stem] = s.name
	for _, m := range s.families {
		if p.dedupe != nil {
			m.custodian = cmp.Or(p.names[m.custodian], m.custodian)
			kept, err := p.dedupe.take(&s.part, m, p.addresses[m.custodian])
			if err != nil {
				return err
			}
			if !kept {
				p.totals.Duplicates += m.documents
				continue
			}
		}
		s.part.families++
		s.part.matched += m.documents
		s.part.reads += m.reads
	}
	if s.part.families > 0 {
		p.parts = append(p.parts, s.part)
		p.reads += s.part.reads
	}
	return nil
}

// digest is equal for equal plans.
func (p *plan) digest() string {
	h := sha256.New()
	for _, part := range p.parts {
		fmt.Fprintln(h, part.name, part.sealSHA256, part.families, part.matched, part.reads)
	}
	for _, x := range p.faults {
		fmt.Fprintln(h, x.File, x.What)
	}
	fmt.Fprintln(h, p.totals, slices.Sorted(maps.Keys(p.ids)))
	return hex.EncodeToString(h.Sum(nil))
}

// A dedupe knows the families of which the first is exported. For each with a MIH it holds some 170 bytes.
type dedupe struct {
	first map[[16]byte]exported
	list  *file
	also  map[string][]string // custodians of the duplicates, by the control number that is exported
}

// exported is the family that is exported of its MIH.
type exported struct{ control, custodian string }

const duplicatesFile = "duplicates.csv"

var duplicateColumns = []string{
	"controlNumber", "duplicateOf", "mih", "custodian", "identifier", "source", "batch", "package", "documents",
}

func newDedupe(out *folder) (*dedupe, error) {
	list, err := out.create(path.Join(workFolder, duplicatesFile))
	if err != nil {
		return nil, err
	}
	d := &dedupe{first: map[[16]byte]exported{}, list: list, also: map[string][]string{}}
	return d, writeCSV(list, duplicateColumns)
}

// take reports whether a family is exported; one that is not is listed.
func (d *dedupe) take(p *part, m match, identifier string) (bool, error) {
	var key [16]byte
	if n, err := hex.Decode(key[:], []byte(m.mih)); n != len(key) || err != nil {
		return true, nil
	}
	kept, known := d.first[key]
	if !known {
		d.first[key] = exported{m.control, m.custodian}
		return true, nil
	}
	if m.custodian != kept.custodian && !slices.Contains(d.also[kept.control], m.custodian) {
		d.also[kept.control] = append(d.also[kept.control], m.custodian)
	}
	return false, writeCSV(d.list, []string{
		m.control, kept.control, m.mih, m.custodian, identifier, p.name.Source, p.name.Batch, p.pkg.Name, fmt.Sprint(m.documents),
	})
}

// keeps reports whether a family is exported.
func (d *dedupe) keeps(top *pack.ItemRow) bool {
	var key [16]byte
	mih := messageHash(top.MIH)
	if n, err := hex.Decode(key[:], []byte(mih)); n != len(key) || err != nil {
		return true
	}
	return d.first[key].control == top.ControlNumber
}

func (d *dedupe) close() error {
	_, err := d.list.close()
	return err
}

// everyone are the identifiers of the custodians who have a family or a duplicate of it.
func (p *plan) everyone(top *pack.ItemRow) []string {
	all := []string{p.addresses[top.Custodian]}
	if p.dedupe != nil {
		for _, id := range p.dedupe.also[top.ControlNumber] {
			all = append(all, p.addresses[id])
		}
	}
	return all
}
