package export

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/pack"
	"chainmail/infra/evidence/evidencetest"
	"chainmail/infra/evidence/store"
)

func open(t testing.TB, tr evidencetest.Tree) *store.Folder {
	t.Helper()
	s, err := store.OpenFolder(tr.Lay(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// options are those of an export of the sample's first source, with a clock that stands.
func options(as string) Options {
	return Options{
		Filter: Filter{Source: evidencetest.Mail}, As: as, By: "auditor", Tool: Tool{Version: "1"},
		Now: func() time.Time { return time.Date(2026, 3, 10, 9, 0, 0, 0, time.UTC) },
	}
}

// exported is an export to a folder of the test's own.
func exportTo(t testing.TB, s store.Store, o Options) (dir string, r Report) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "out")
	r, err := Run(t.Context(), s, dir, o)
	if err != nil {
		t.Fatalf("%s: %v", o.As, err)
	}
	return dir, r
}

// files are all files below a folder, by their paths with "/".
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func hashOf(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// rowsOf are the items of a source, as a stranger reads them: JSON of every items file, in the order of control numbers.
func rowsOf(t testing.TB, tr evidencetest.Tree, source string) (rows []map[string]any, parts []pack.Name) {
	t.Helper()
	for _, name := range tr.Files() {
		n, err := pack.ParseName(name)
		if err != nil || name != n.Items() || n.Source != source {
			continue
		}
		for line := range strings.Lines(string(tr[name])) {
			var row map[string]any
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatal(err)
			}
			rows, parts = append(rows, row), append(parts, n)
		}
	}
	return rows, parts
}

func text(row map[string]any, field string) string { s, _ := row[field].(string); return s }

// table is a CSV file by its columns.
func table(t testing.TB, data string) []map[string]string {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(data)).ReadAll()
	if err != nil || len(all) == 0 {
		t.Fatalf("no CSV: %v", err)
	}
	var rows []map[string]string
	for _, record := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = record[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// checkHashes holds the files against hashes.sha256 by the form that sha256sum has, and that against export.json.
func checkHashes(t testing.TB, got map[string]string) {
	t.Helper()
	named := map[string]bool{"hashes.sha256": true, "export.json": true}
	for line := range strings.Lines(got["hashes.sha256"]) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		content, there := got[name]
		if !ok || !there || hashOf(content) != sum || named[name] {
			t.Errorf("hashes.sha256: %q is not of a file, or stands twice", name)
		}
		named[name] = true
	}
	for name := range got {
		if !named[name] {
			t.Errorf("%s stands in no list of hashes", name)
		}
		if strings.Contains(name, "_inprogress") {
			t.Errorf("%s is left", name)
		}
	}
	var report struct {
		Format string
		Files  []struct{ Name, SHA256 string }
	}
	if err := json.Unmarshal([]byte(got["export.json"]), &report); err != nil || report.Format != "chainmail/export/1" {
		t.Fatalf("export.json: %v, %+v", err, report)
	}
	for _, f := range report.Files {
		if hashOf(got[f.Name]) != f.SHA256 {
			t.Errorf("export.json: another hash of %s", f.Name)
		}
	}
}

// same compares two exports.
func same(t testing.TB, got, want map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if g, there := got[name]; !there || g != want[name] {
			t.Errorf("%s: there %t, or with other bytes", name, there)
		}
	}
	for name := range got {
		if _, there := want[name]; !there {
			t.Errorf("%s is too many", name)
		}
	}
}

// clone is a tree that a test may alter.
func clone(tr evidencetest.Tree) evidencetest.Tree {
	all := evidencetest.Tree{}
	for name, data := range tr {
		all[name] = slices.Clone(data)
	}
	return all
}

// manifestDocuments is what the manifest of a batch counts.
func manifestDocuments(t testing.TB, tr evidencetest.Tree, batch string) int {
	t.Helper()
	var m struct{ Totals struct{ Documents int } }
	if err := json.Unmarshal(tr[evidencetest.Mail+"/"+batch+"/manifest.json"], &m); err != nil {
		t.Fatal(err)
	}
	return m.Totals.Documents
}
