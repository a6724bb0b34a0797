package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Format is the format of export.json.
const Format = "chainmail/export/1"

const (
	workFolder = "work" + inProgress
	begunFile  = workFolder + "/begun.json"
	reportFile = "export.json"
	sumsFile   = "hashes.sha256"
)

// Begun is what an export is of. It is settled when the export begins, and holds for every run that goes on with it.
type Begun struct {
	Format  string    `json:"format"`
	As      string    `json:"as"`
	By      string    `json:"by"`
	At      time.Time `json:"at"` // when it was begun
	Tool    Tool      `json:"tool"`
	Filter  Filter    `json:"filter"`
	IDs     []string  `json:"custodianIds,omitempty"` // of the custodians in the filter
	Heads   []Head    `json:"evidence"`               // the last manifest of every source, as the export began
	Unnamed int       `json:"unnamedParts"`           // that no manifest names, and that were not looked at
	Plan    string    `json:"plan"`                   // hash over what is exported, for a run that goes on
}

// after reports whether a manifest came after the export was begun.
func (b *Begun) after(h Head) bool {
	for _, known := range b.Heads {
		if known.Source == h.Source {
			return h.Sequence > known.Sequence
		}
	}
	return true
}

// before reads what lies in the folder: the export that goes on, or the report of one that is finished, or nothing.
func (e *exporter) before() (*Begun, *Report, error) {
	var r Report
	done, err := e.read(reportFile, &r)
	if err != nil {
		return nil, nil, err
	}
	if done {
		if err := e.same(&r.Begun); err != nil {
			return nil, nil, err
		}
		return nil, &r, e.out.remove(workFolder)
	}
	var b Begun
	begun, err := e.read(begunFile, &b)
	if err != nil {
		return nil, nil, err
	}
	if begun {
		return &b, nil, e.same(&b)
	}
	names, err := e.out.names()
	if err != nil {
		return nil, nil, err
	}
	if i := slices.IndexFunc(names, func(n string) bool { return n != workFolder }); i >= 0 {
		return nil, nil, refuse("the folder holds something else, and is not written over: give an empty one, or one that is " +
			"still to be made")
	}
	return nil, nil, nil
}

// read reads a file of JSON, if there is one.
func (e *exporter) read(name string, v any) (bool, error) {
	data, err := e.out.root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	var head struct{ Format string }
	switch {
	case err != nil:
		return false, unwritten(err)
	case json.Unmarshal(data, &head) != nil, head.Format != Format, json.Unmarshal(data, v) != nil:
		return false, refuse("%s in the folder is of no export that this program knows: give another folder", name)
	}
	return true, nil
}

// same refuses an export other than the one that lies in the folder, and names what differs.
func (e *exporter) same(b *Begun) error {
	for _, d := range []struct{ flag, there, here string }{
		{"-as", b.As, e.As},
		{"-custodian", custodians(b.Filter), custodians(e.Filter)},
		{"-source", b.Filter.Source, e.Source},
		{"-from", instant(b.Filter.From), instant(e.From)},
		{"-to", instant(b.Filter.To), instant(e.To)},
		{"-kind", string(b.Filter.Kind), string(e.Kind)},
		{"-dedupe", dedupeFlag(b.Filter), dedupeFlag(e.Filter)},
		{"the version of this program", b.Tool.Version + " " + b.Tool.Commit, e.Tool.Version + " " + e.Tool.Commit},
	} {
		if d.there == d.here {
			continue
		}
		differs := fmt.Sprintf("%s is %s there, and %s here", d.flag, named(d.there), named(d.here))
		if d.flag == "-custodian" { // which may be addresses
			differs = "-custodian names others there"
		}
		return refuse("the folder holds another export: %s; give another folder, or the same flags to go on", differs)
	}
	return nil
}

func custodians(f Filter) string { return strings.Join(f.Custodians, "\n") }

func dedupeFlag(f Filter) string {
	if f.Dedupe {
		return "mih"
	}
	return ""
}

func named(s string) string {
	if s == "" {
		return "not given"
	}
	return strings.TrimSpace(s)
}

// begin settles what is exported, or holds it against what was settled.
func (e *exporter) begin(before *Begun) (Begun, error) {
	plan := e.plan.digest()
	if before != nil {
		if plan != before.Plan || !slices.Equal(before.Heads, e.plan.heads) {
			return Begun{}, refuse("the evidence is not what it was when this export was begun: something of it was altered, or " +
				"is missing; verify it, and export it into another folder")
		}
		return *before, nil
	}
	b := Begun{
		Format: Format, As: e.As, By: e.By, At: e.Now().UTC().Truncate(time.Second), Tool: e.Tool, Filter: e.Filter,
		IDs: slices.Sorted(maps.Keys(e.plan.ids)), Heads: e.plan.heads, Unnamed: e.plan.unnamed, Plan: plan,
	}
	if b.Heads == nil {
		b.Heads = []Head{}
	}
	_, err := e.out.whole(begunFile, func(w io.Writer) error { return encode(w, b) })
	return b, err
}

func encode(w io.Writer, v any) error {
	j := json.NewEncoder(w)
	j.SetEscapeHTML(false)
	j.SetIndent("", "  ")
	return j.Encode(v)
}

// A Report is export.json: what was exported, of which evidence, by whom.
type Report struct {
	Begun
	Totals Totals  `json:"totals"`
	Files  []Named `json:"files"` // at the folder's top; hashes.sha256 names all others

	Looked int `json:"documentsLookedAt"`
}

// A Named is a file and its SHA-256.
type Named struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// finish writes the lists, the hashes and the report, in this order, and removes the work folder.
func (e *exporter) finish(b Begun, made Totals) (Report, error) {
	sums, err := e.lists()
	if err != nil {
		return Report{}, err
	}
	hashes, err := e.out.whole(sumsFile, func(w io.Writer) error { return e.hashes(w, sums) })
	if err != nil {
		return Report{}, err
	}
	r := Report{Begun: b, Totals: made.plus(e.plan.totals), Looked: e.plan.looked}
	for _, s := range append(sums, hashes) {
		r.Files = append(r.Files, Named{s.name, s.sha256})
	}
	if _, err := e.out.whole(reportFile, func(w io.Writer) error { return encode(w, r) }); err != nil {
		return Report{}, err
	}
	return r, e.out.remove(workFolder)
}

// lists writes the lists at the folder's top: the form's own, the duplicates and the exceptions.
func (e *exporter) lists() ([]sum, error) {
	var sums []sum
	add := func(name string, content func(w io.Writer) error) error {
		s, err := e.out.whole(name, content)
		sums = append(sums, s)
		return err
	}
	err := add(exceptionsFile, func(w io.Writer) error {
		if err := writeCSV(w, exceptionColumns); err != nil {
			return err
		}
		for _, x := range e.plan.faults {
			if err := writeCSV(w, x.row()); err != nil {
				return err
			}
		}
		return e.gather(w, exceptionsSuffix)
	})
	if err == nil && e.form.list != "" {
		err = add(e.form.list, func(w io.Writer) error {
			if err := writeCSV(w, indexColumns); err != nil {
				return err
			}
			return e.gather(w, rowsSuffix)
		})
	}
	if err == nil && e.plan.dedupe != nil {
		err = add(duplicatesFile, func(w io.Writer) error { return e.out.copyTo(w, path.Join(workFolder, duplicatesFile)) })
	}
	return sums, err
}

// hashes names every file of the export but itself and the report.
func (e *exporter) hashes(w io.Writer, top []sum) error {
	if err := e.gather(w, sumsSuffix); err != nil {
		return err
	}
	for _, s := range top {
		if err := writeSum(w, s); err != nil {
			return err
		}
	}
	return nil
}

// gather appends what the volumes, or packages, have left in the work folder under a suffix, in their order.
func (e *exporter) gather(w io.Writer, suffix string) error {
	for n := 1; e.out.has(inWork(n, recordSuffix)); n++ {
		if err := e.out.copyTo(w, inWork(n, suffix)); err != nil {
			return fmt.Errorf("volume %d: %w", n, err)
		}
	}
	return nil
}
