package collect

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/pack"
	"chainmail/handlers/vault"
)

// evidence is what lies in the container, held against itself.
type evidence struct {
	files      map[string][]byte
	items      []pack.ItemRow
	exceptions []capture.Exception
	seals      map[string]pack.Seal // by file name
	manifest   pack.Manifest
}

// read reads the evidence of the batch of the day, which must be published.
func (w *world) read() *evidence {
	w.Helper()
	return w.readOf(day(), 1)
}

// readOf reads the evidence of the batch of a period, which is the sequence-th that was published.
func (w *world) readOf(period capture.Window, sequence int64) *evidence {
	w.Helper()
	e := w.files()
	folder := pack.Folder(testSource, capture.BatchID(period, 1))
	maps.DeleteFunc(e.files, func(name string, _ []byte) bool { return !strings.HasPrefix(name, folder) })
	for name, data := range e.files {
		if strings.HasSuffix(name, ".seal.json") {
			s, err := pack.ParseSeal(data)
			must(w.T, err)
			e.seals[path.Base(name)] = s
			w.checkPart(e, s)
		}
	}
	data := e.files[folder+pack.ManifestFile]
	m, err := pack.ParseManifest(data)
	must(w.T, err)
	e.manifest = m
	if got := string(e.files[folder+pack.ManifestSumFile]); got != string(pack.ManifestSumLine(data)) {
		w.Errorf("the manifest's hash file holds %q", got)
	}
	if m.Sequence != sequence || (m.PreviousManifestSHA256 == "") != (sequence == 1) {
		w.Errorf("the manifest has sequence %d and a predecessor %q", m.Sequence, m.PreviousManifestSHA256)
	}
	w.checkManifest(e)
	return e
}

// files reads everything in the container.
func (w *world) files() *evidence {
	w.Helper()
	e := &evidence{files: map[string][]byte{}, seals: map[string]pack.Seal{}}
	for i, err := range w.evidence.List(w.Context(), testSource+"/") {
		if errors.Is(err, vault.ErrNotFound) {
			return e
		}
		must(w.T, err)
		data, err := w.evidence.Get(w.Context(), i.Name)
		must(w.T, err)
		e.files[i.Name] = data
	}
	return e
}

// checkPart reads a part's files and holds them against its seal.
func (w *world) checkPart(e *evidence, s pack.Seal) {
	w.Helper()
	n := s.Name()
	if s.ItemsSHA256 != "" {
		if got := pack.Sum(e.files[n.Items()]); got != s.ItemsSHA256 {
			w.Errorf("%s: the items are not those that the seal names", n.Stem())
		}
		rows, err := pack.DecodeItems(e.files[n.Items()])
		must(w.T, err)
		if len(rows) != s.Documents || pack.CountTexts(rows) != s.Texts || s.Texts.Sum() != s.Documents {
			w.Errorf("%s: %d items, %d documents sealed, with the texts %+v", n.Stem(), len(rows), s.Documents, s.Texts)
		}
		if pack.CountSynthesised(rows) != s.Synthesised {
			w.Errorf("%s: %d natives are synthesised, the seal says %d", n.Stem(), pack.CountSynthesised(rows), s.Synthesised)
		}
		for _, row := range rows {
			if row.Kind != capture.Attachment {
				e.items = append(e.items, row)
			}
		}
		w.checkPackage(e, s, rows)
	} else if s.Documents != 0 || s.Package != nil || e.files[n.Zip()] != nil {
		w.Errorf("%s: a package without items", n.Stem())
	}
	if s.ExceptionsSHA256 != "" {
		if got := pack.Sum(e.files[n.Exceptions()]); got != s.ExceptionsSHA256 {
			w.Errorf("%s: the exceptions are not those that the seal names", n.Stem())
		}
		rows, err := pack.DecodeExceptions(e.files[n.Exceptions()])
		must(w.T, err)
		e.exceptions = append(e.exceptions, rows...)
	}
}

func (w *world) checkPackage(e *evidence, s pack.Seal, rows []pack.ItemRow) {
	w.Helper()
	data := e.files[s.Name().Zip()]
	if s.Package == nil || pack.Sum(data) != s.Package.SHA256 || int64(len(data)) != s.Package.Bytes {
		w.Errorf("%s: the package is not the one that the seal names", s.Name().Stem())
		return
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	must(w.T, err)
	for _, row := range rows {
		f, err := z.Open(row.Native)
		must(w.T, err)
		native, err := io.ReadAll(f)
		must(w.T, err)
		bodies := w.graph.Served(row.Custodian, row.GraphID)
		served := row.Kind != capture.Email || slices.Contains(bodies, row.NativeSHA256) ||
			row.Synthesised && len(bodies) == 0 && bytes.HasPrefix(native, []byte(pack.SynthesisedMark))
		if pack.Sum(native) != row.NativeSHA256 || !served {
			w.Errorf("item %s: its native is no body that was served for it", row.Item)
		}
	}
}

// checkManifest holds the manifest against the seals, and looks for files that nothing accounts for.
func (w *world) checkManifest(e *evidence) {
	w.Helper()
	m := e.manifest
	left := map[string]bool{}
	for name := range e.files {
		left[path.Base(name)] = true
	}
	var sum pack.Totals
	custodians := map[string]bool{}
	for _, f := range m.Seals {
		s, ok := e.seals[f.Name]
		if !ok || pack.Sum(e.files[s.Name().Seal()]) != f.SHA256 {
			w.Errorf("the manifest names %s, which is not there or another", f.Name)
		}
		for _, name := range []string{s.Name().Seal(), s.Name().Items(), s.Name().Exceptions(), s.Name().Zip()} {
			delete(left, path.Base(name))
		}
		sum.Documents += s.Documents
		sum.Synthesised += s.Synthesised
		sum.Texts = sum.Texts.Plus(s.Texts)
		if s.Package != nil {
			sum.Bytes += s.Package.Bytes
		}
		named := map[string]bool{}
		for _, c := range s.Custodians {
			if named[c.ID] {
				w.Errorf("%s names a custodian twice", f.Name)
			}
			named[c.ID], custodians[c.ID] = true, true
			sum.Found += c.Found
			sum.Captured += c.Captured
			sum.Excepted += c.Excepted
			sum.Unchanged += c.Unchanged
		}
	}
	sum.Custodians, sum.Excluded = len(custodians), m.Totals.Excluded
	if m.Totals != sum {
		w.Errorf("totals %+v, the seals have %+v", m.Totals, sum)
	}
	delete(left, pack.ManifestFile)
	delete(left, pack.ManifestSumFile)
	for name := range left {
		w.Errorf("%s belongs to nothing", name)
	}
}

// checkOwed holds that every message stands in the evidence once: captured, or excepted with its code.
func (w *world) checkOwed(e *evidence, status capture.BatchStatus, codes map[string]string) {
	w.Helper()
	want := map[string]string{}
	for _, u := range w.tenant.Users {
		for _, path := range []string{"Inbox", "Sent Items", "Deleted Items", "Recoverable Items/Deletions", "Recoverable Items/Purges"} {
			if f := u.Folder(path); f != nil {
				for _, m := range f.Messages {
					want[m.ImmutableID] = ""
				}
			}
		}
	}
	for _, u := range w.tenant.Users {
		for _, one := range u.Calendars {
			for _, event := range one.Events {
				if one.Owner == (graphtest.Address{}) && day().Contains(event.LastModified) {
					want[event.ID] = ""
				}
			}
		}
	}
	maps.Copy(want, codes)
	got := map[string]string{}
	note := func(id, code string) {
		if _, twice := got[id]; twice {
			w.Errorf("item %s stands in the evidence twice", capture.ItemKey(id))
		}
		got[id] = code
	}
	for _, row := range e.items {
		note(row.GraphID, "")
	}
	for _, x := range e.exceptions {
		note(x.Item.GraphID, x.Code)
	}
	if len(want) == 0 || !maps.Equal(got, want) {
		w.Errorf("%d items in the evidence, want %d; exceptions %v", len(got), len(want), codesOf(got))
	}
	if e.manifest.Status != status {
		w.Errorf("the batch is %s, want %s", e.manifest.Status, status)
	}
	if t := e.manifest.Totals; status != capture.CompletedWithErrors && (t.Found != len(want) || t.Found != t.Captured+t.Excepted) {
		w.Errorf("%d found, %d captured, %d excepted, want %d", t.Found, t.Captured, t.Excepted, len(want))
	}
	kept, err := w.ledger.Exceptions(w.Context(), testSource)
	must(w.T, err)
	if len(kept) != len(e.exceptions) {
		w.Errorf("the ledger has %d exceptions, the evidence %d", len(kept), len(e.exceptions))
	}
	for _, x := range kept {
		if x.Attempts != 1 || codes[x.Item.GraphID] != x.Code {
			w.Errorf("the ledger has an exception %s with %d attempts", x.Code, x.Attempts)
		}
	}
}

func codesOf(got map[string]string) []string {
	var codes []string
	for _, c := range got {
		if c != "" {
			codes = append(codes, c)
		}
	}
	return codes
}

// words are the statuses that the seals give a custodian, in the order of the parts.
func (e *evidence) words(id string) []string {
	var words []string
	for part := 1; part <= 50; part++ {
		for _, s := range e.seals {
			for _, c := range s.Custodians {
				if s.Part == part && c.ID == id {
					words = append(words, strings.TrimSpace(string(c.Status)+" "+c.Reason))
				}
			}
		}
	}
	return words
}
