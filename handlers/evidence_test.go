package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/vault"
)

// The evidence is read here as a stranger would: by its files, with the standard library, and by none of the code that
// wrote it.

// evidence is what a test finds in the container.
type evidence struct {
	files     map[string][]byte
	manifests []manifest // in the order of the chain
	seals     map[string]seal
	items     []itemRow
	excepted  []string // "custodian graphId"
}

type seal struct {
	Source, Batch, ItemsSha256, ExceptionsSha256 string
	Lane, Part, Documents                        int
	Package                                      *struct {
		Name, SHA256 string
		Bytes        int64
		Entries      int
	}
	Custodians []struct {
		ID, Identifier, Status, Reason                  string
		Found, Captured, Excepted, Unchanged, Recovered int
		Bytes                                           int64
	}
}

type manifest struct {
	Batch, Status, PreviousManifestSha256, ConfigSha256, SplitInto string
	Sequence                                                       int
	Totals                                                         struct{ Custodians, Found, Captured, Excepted, Unchanged, Excluded, Documents int }
	Seals                                                          []struct{ Name, SHA256 string }
	Coverage                                                       []struct{ Custodian, Scope, Reason string }
	sum                                                            string
}

type itemRow struct {
	ControlNumber, GroupIdentifier, Custodian, Item, GraphID, Kind, Folder, State, Native, NativeSha256, Text string
	NativeBytes, Offset, CompressedBytes                                                                      int64
	Received                                                                                                  string
	Synthesised                                                                                               bool
	pkg                                                                                                       string
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// readEvidence reads everything in the container and holds its parts against each other.
func (w *world) readEvidence() *evidence {
	w.Helper()
	e := &evidence{files: map[string][]byte{}, seals: map[string]seal{}}
	for i, err := range w.evidence.List(w.Context(), "") {
		if errors.Is(err, vault.ErrNotFound) {
			return e
		}
		if err != nil {
			w.Fatal(err)
		}
		data, err := w.evidence.Get(w.Context(), i.Name)
		if err != nil {
			w.Fatal(err)
		}
		e.files[i.Name] = data
	}
	names := slices.Sorted(maps.Keys(e.files))
	for _, name := range names {
		if strings.HasSuffix(name, ".seal.json") {
			w.readSeal(e, name)
		}
	}
	for _, name := range names {
		if strings.HasSuffix(name, "/manifest.json") {
			w.readManifest(e, name)
		}
	}
	w.checkChain(e)
	w.checkNothingElse(e)
	return e
}

func (w *world) parse(name string, data []byte, v any) {
	w.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		w.Fatalf("%s: %v", name, err)
	}
}

func (w *world) readSeal(e *evidence, name string) {
	w.Helper()
	var s seal
	w.parse(name, e.files[name], &s)
	e.seals[name] = s
	stem := strings.TrimSuffix(name, ".seal.json")
	if s.ItemsSha256 != "" && sum(e.files[stem+".items.jsonl"]) != s.ItemsSha256 {
		w.Errorf("%s: the items are not those that the seal names", name)
	}
	if s.ExceptionsSha256 != "" {
		data := e.files[stem+".exceptions.csv"]
		if sum(data) != s.ExceptionsSha256 {
			w.Errorf("%s: the exceptions are not those that the seal names", name)
		}
		w.readExceptions(e, data)
	}
	if s.Package == nil {
		if s.Documents != 0 || e.files[stem+".zip"] != nil {
			w.Errorf("%s: no package is sealed, and there are documents", name)
		}
		return
	}
	data := e.files[stem+".zip"]
	if sum(data) != s.Package.SHA256 || int64(len(data)) != s.Package.Bytes || s.Package.Name != path.Base(stem+".zip") {
		w.Errorf("%s: the package is not the one that the seal names", name)
	}
	w.readPackage(e, stem, s, data)
}

func (w *world) readExceptions(e *evidence, data []byte) {
	w.Helper()
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		w.Fatal(err)
	}
	custodian, id := slices.Index(rows[0], "custodian"), slices.Index(rows[0], "graphId")
	for _, row := range rows[1:] {
		e.excepted = append(e.excepted, row[custodian]+" "+row[id])
	}
}

// readPackage holds a package against its items and its load file.
func (w *world) readPackage(e *evidence, stem string, s seal, data []byte) {
	w.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		w.Fatalf("%s: open package: %v", stem, err)
	}
	if len(z.File) != s.Package.Entries {
		w.Errorf("%s: %d entries, the seal says %d", stem, len(z.File), s.Package.Entries)
	}
	content := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			w.Fatal(err)
		}
		b, err := io.ReadAll(r) // checks the CRC
		if err != nil {
			w.Fatalf("%s: %s: %v", stem, f.Name, err)
		}
		if _, twice := content[f.Name]; twice {
			w.Errorf("%s: entry twice", stem)
		}
		content[f.Name] = b
	}
	load := w.readLoadFile(stem, content["loadfile.dat"])
	lines := strings.Split(strings.TrimSuffix(string(e.files[stem+".items.jsonl"]), "\n"), "\n")
	if len(lines) != s.Documents || len(load) != s.Documents {
		w.Fatalf("%s: %d items, %d records in the load file, %d documents sealed", stem, len(lines), len(load), s.Documents)
	}
	used := map[string]bool{"loadfile.dat": true}
	for i, line := range lines {
		row := itemRow{pkg: path.Base(stem)}
		w.parse(stem, []byte(line), &row)
		e.items = append(e.items, row)
		used[row.Native], used[row.Text] = true, true
		native := content[row.Native]
		if native == nil || sum(native) != row.NativeSha256 || int64(len(native)) != row.NativeBytes {
			w.Errorf("%s: item %d: the native is not the one that the row names", stem, i+1)
		}
		if row.Synthesised != bytes.HasPrefix(native, []byte("X-Chainmail-Synthesised: true\r\n")) {
			w.Errorf("%s: item %d: what the row and the native say of its origin differs", stem, i+1)
		}
		for column, want := range map[string]string{
			"Control Number": row.ControlNumber, "Native File": strings.ReplaceAll(row.Native, "/", `\`),
			"Native SHA-256": row.NativeSha256, "Trace Data Batch": row.pkg, "Item State": row.State,
			"Extracted Text": strings.ReplaceAll(row.Text, "/", `\`), "Group Identifier": row.GroupIdentifier,
		} {
			if got := load[i][column]; got != want {
				w.Errorf("%s: record %d: %s = %q, want %q", stem, i+1, column, got, want)
			}
		}
	}
	for name := range content {
		if !used[name] {
			w.Errorf("%s: an entry that no item names", stem)
		}
	}
}

// readLoadFile reads a Concordance load file by its rules alone.
func (w *world) readLoadFile(stem string, data []byte) []map[string]string {
	w.Helper()
	text, ok := strings.CutPrefix(string(data), "\uFEFF")
	if !ok || !strings.HasSuffix(text, "\r\n") {
		w.Fatalf("%s: the load file has no BOM, or its last line is cut", stem)
	}
	var header []string
	var rows []map[string]string
	for n, line := range strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n") {
		cells := strings.Split(line, "\x14")
		for i, c := range cells {
			if len(c) < 4 || !strings.HasPrefix(c, "þ") || !strings.HasSuffix(c, "þ") {
				w.Fatalf("%s: load file line %d: cell %d is not quoted", stem, n+1, i+1)
			}
			cells[i] = strings.TrimSuffix(strings.TrimPrefix(c, "þ"), "þ")
		}
		if n == 0 {
			header = cells
			continue
		}
		if len(cells) != len(header) {
			w.Fatalf("%s: load file line %d: %d cells, want %d", stem, n+1, len(cells), len(header))
		}
		row := map[string]string{}
		for i, c := range cells {
			row[header[i]] = c
		}
		rows = append(rows, row)
	}
	return rows
}

func (w *world) readManifest(e *evidence, name string) {
	w.Helper()
	m := manifest{sum: sum(e.files[name])}
	w.parse(name, e.files[name], &m)
	if got, want := string(e.files[name+".sha256"]), m.sum+"  manifest.json\n"; got != want {
		w.Errorf("%s.sha256 = %q, want %q", name, got, want)
	}
	named := map[string]bool{}
	var found, captured, excepted, unchanged, documents int
	for _, s := range m.Seals {
		seal := path.Dir(name) + "/" + s.Name
		named[seal] = true
		if sum(e.files[seal]) != s.SHA256 {
			w.Errorf("%s: a seal is not the one that the manifest names", name)
		}
		documents += e.seals[seal].Documents
		for _, c := range e.seals[seal].Custodians {
			found, captured, excepted = found+c.Found, captured+c.Captured, excepted+c.Excepted
			unchanged += c.Unchanged
		}
	}
	if got := m.Totals; got.Found != found || got.Captured != captured || got.Excepted != excepted || got.Unchanged != unchanged || got.Documents != documents {
		w.Errorf("%s: totals %+v are not the sums of its seals", name, got)
	}
	if found != captured+excepted+unchanged && m.SplitInto == "" && m.Status != string(capture.CompletedWithErrors) {
		w.Errorf("%s: found %d, captured %d, excepted %d", name, found, captured, excepted)
	}
	for seal := range e.seals {
		if path.Dir(seal) == path.Dir(name) && !named[seal] {
			w.Errorf("%s does not name a seal of its folder", name)
		}
	}
	if e.files["_config/"+m.ConfigSha256+".json"] == nil {
		w.Errorf("%s: the settings that it was made under are not kept", name)
	}
	e.manifests = append(e.manifests, m)
}

// checkChain holds the manifests against each other.
func (w *world) checkChain(e *evidence) {
	w.Helper()
	slices.SortFunc(e.manifests, func(a, b manifest) int { return a.Sequence - b.Sequence })
	previous := ""
	for i, m := range e.manifests {
		if m.Sequence != i+1 || m.PreviousManifestSha256 != previous {
			w.Errorf("manifest of %s: sequence %d after %d, or linked to another", m.Batch, m.Sequence, i)
		}
		previous = m.sum
	}
}

// checkNothingElse finds files that nothing accounts for.
func (w *world) checkNothingElse(e *evidence) {
	w.Helper()
	for name := range e.files {
		stem, _, _ := strings.Cut(path.Base(name), ".zip")
		for _, suffix := range []string{".items.jsonl", ".exceptions.csv", ".seal.json"} {
			stem = strings.TrimSuffix(stem, suffix)
		}
		switch {
		case strings.HasPrefix(name, "_config/"), strings.HasPrefix(name, "_format/1/"):
		case path.Base(name) == "manifest.json", path.Base(name) == "manifest.json.sha256":
		case e.files[path.Dir(name)+"/"+stem+".seal.json"] == nil:
			w.Errorf("%s has no seal", name)
		}
	}
}

// checkCaptured holds the evidence against the generator's own list: what lies in scope in the window, each item once, each
// native one of the bodies that the stand-in served for it, or synthesised where it served none, and nothing else.
func (w *world) checkCaptured(e *evidence, window capture.Window) {
	w.Helper()
	monitored := w.monitored()
	owed := append(w.truth.InScope(window, false), w.eventsIn(window)...)
	w.checkOwed(e, slices.DeleteFunc(owed, func(i graphtest.TruthItem) bool { return !monitored[i.UserID] }))
}

// eventsIn are the events that are owed of a window, as items.
func (w *world) eventsIn(window capture.Window) []graphtest.TruthItem {
	var items []graphtest.TruthItem
	for _, e := range w.truth.EventsIn(window) {
		items = append(items, graphtest.TruthItem{UserID: e.UserID, ImmutableID: e.ID, Folder: e.Folder, State: capture.Active})
	}
	return items
}

// checkOwed does it for a list of items.
func (w *world) checkOwed(e *evidence, owed []graphtest.TruthItem) {
	w.Helper()
	want := map[string]capture.State{}
	for _, i := range owed {
		want[i.UserID+" "+i.ImmutableID] = i.State
	}
	if len(want) == 0 {
		w.Fatal("nothing is in scope: the test would prove nothing")
	}
	got := map[string]int{}
	for _, row := range e.items {
		if row.Kind == string(capture.Attachment) {
			continue
		}
		key := row.Custodian + " " + row.GraphID
		got[key]++
		state, ok := want[key]
		switch {
		case !ok:
			w.Errorf("captured out of scope: %s in %s", row.Item, row.Folder)
		case string(state) != row.State:
			w.Errorf("item %s: state %s, want %s", row.Item, row.State, state)
		}
		bodies := slices.DeleteFunc(append(w.graph.Served(row.Custodian, row.GraphID), w.served[key]...), func(body string) bool { return body == sum(nil) })
		// An item may have been served to a run that came to nothing, and be refused by chance to the one that counts.
		served := slices.Contains(bodies, row.NativeSha256) || row.Synthesised && (len(bodies) == 0 || w.metByChance(row.GraphID))
		if row.Kind == string(capture.Email) && !served {
			w.Errorf("item %s: its native is no body that was served for it", row.Item)
		}
	}
	for _, key := range e.excepted {
		got[key]++
	}
	missing := 0
	for key := range want {
		switch got[key] {
		case 1:
		case 0:
			missing++
		default:
			w.Errorf("an item stands in the evidence %d times", got[key])
		}
	}
	if missing > 0 {
		w.Errorf("%d of %d items are neither captured nor excepted", missing, len(want))
	}
}

// monitored are the object ids of the users that the list of individuals names.
func (w *world) monitored() map[string]bool {
	w.Helper()
	data, err := w.written.Get(w.Context(), "individuals/people.csv")
	if err != nil {
		w.Fatal(err)
	}
	return w.monitoredOf(data)
}

func (w *world) monitoredOf(list []byte) map[string]bool {
	w.Helper()
	rows, err := csv.NewReader(bytes.NewReader(list)).ReadAll()
	if err != nil {
		w.Fatal(err)
	}
	ids := map[string]bool{}
	for _, row := range rows[1:] {
		if u := w.tenant.User(row[0]); u != nil {
			ids[u.ID] = true
		}
	}
	return ids
}
