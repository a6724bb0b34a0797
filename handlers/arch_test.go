package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// imports is the house's import table: what of ours each package may import. Arrows point downwards: functions meet only
// through the ledger, test doubles lie beside what they imitate and are in nobody's row.
func imports() map[string]string {
	return map[string]string{
		".": "bury capture chain collect config console graph host ledger mailfmt mailfmt/doctext pack people plan preflight queue settings signin spool vault",

		"plan":    "capture chain config ledger queue settings",
		"collect": "capture chain config graph ledger mailfmt mailfmt/compose mailfmt/doctext mailfmt/event pack settings spool vault",
		"people":  "capture config graph ledger settings vault",
		"bury":    "capture config ledger",
		"console": "capture config ledger settings vault",

		"chain":    "capture ledger pack settings vault",
		"config":   "ledger settings vault",
		"settings": "capture",

		"preflight": "capture graph settings",
		"signin":    "graph settings",

		"graph":           "capture",
		"ledger":          "capture",
		"mailfmt":         "mailfmt/zones",
		"mailfmt/compose": "",
		"mailfmt/doctext": "",
		"mailfmt/event":   "capture mailfmt mailfmt/zones",
		"mailfmt/zones":   "",
		"pack":            "capture spool",
		"spool":           "",
		"vault":           "",
		"queue":           "",
		"host":            "",
		"capture":         "",

		"graph/graphtest":   "capture",
		"host/hosttest":     "",
		"npmtest":           "",
		"npmtest/chromium":  "npmtest",
		"npmtest/icaljs":    "npmtest",
		"vault/storagetest": "npmtest",
	}
}

func TestPackagesImportWhatTheTableAllows(t *testing.T) {
	t.Parallel()
	may := imports()
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := path.Dir(filepath.ToSlash(p))
		seen[dir] = true
		row, ok := may[dir]
		if !ok {
			t.Errorf("%s: its package has no row", p)
		}
		for _, spec := range f.Imports {
			imp, _ := strconv.Unquote(spec.Path.Value)
			if name, ours := strings.CutPrefix(imp, "chainmail/handlers/"); ours && !slices.Contains(strings.Fields(row), name) {
				t.Errorf("%s must not import %s", p, name)
			}
			if imp == "testing" || strings.HasPrefix(imp, "chainmail/infra") {
				t.Errorf("%s must not import %s", p, imp)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir := range may {
		if !seen[dir] {
			t.Errorf("the table has a row for %s, which holds no package", dir)
		}
	}
}

func TestEveryPackageHasItsSentence(t *testing.T) {
	t.Parallel()
	sentences := map[string]int{}
	for _, root := range []string{".", "../infra"} {
		err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				return err
			}
			dir := path.Dir(filepath.ToSlash(p))
			if _, ok := sentences[dir]; !ok {
				sentences[dir] = 0
			}
			if f.Doc != nil {
				sentences[dir]++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(sentences) < len(imports()) {
		t.Fatalf("read %d packages, the house has more", len(sentences))
	}
	for dir, n := range sentences {
		if n != 1 {
			t.Errorf("%s: %d package comments, want one", dir, n)
		}
	}
}
