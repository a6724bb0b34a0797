package verify

import (
	"maps"
	"path"
	"strings"
	"testing"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
	"chainmail/infra/evidence/evidencetest"
	"chainmail/infra/evidence/store"
)

// A tree is evidence by file.
type tree evidencetest.Tree

// verified is the report of a folder.
func verified(t testing.TB, dir string, o Options) *Report {
	t.Helper()
	folder, err := store.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	r, err := Run(t.Context(), folder, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (tr tree) verified(t testing.TB, o Options) *Report {
	t.Helper()
	return verified(t, tr.lay(t), o)
}

func (tr tree) lay(t testing.TB) string {
	t.Helper()
	return evidencetest.Tree(tr).Lay(t)
}

func (tr tree) files() []string { return evidencetest.Tree(tr).Files() }

func write(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	evidencetest.Write(t, dir, name, data)
}

func sample() tree { return tree(evidencetest.Sample()) }

// What the tests alter of the sample.
const (
	canary = evidencetest.Canary
	mail   = evidencetest.Mail
)

var (
	one, two, three = evidencetest.One, evidencetest.Two, evidencetest.Three
	four, five, six = evidencetest.Four, evidencetest.Five, evidencetest.Six
)

func day(n int) capture.Window                { return evidencetest.Day(n) }
func custodian(name string) capture.Custodian { return evidencetest.Custodian(name) }

func name(source string, window capture.Window, number, lane, part int) pack.Name {
	return evidencetest.Name(source, window, number, lane, part)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// about are the findings of a file.
func (r *Report) about(file string) []string {
	var lines []string
	for _, f := range r.Findings {
		if f.File == file {
			lines = append(lines, f.What)
		}
	}
	return lines
}

// small is the sample's second source alone.
func small() tree {
	tr := sample()
	maps.DeleteFunc(tr, func(file string, _ []byte) bool { return strings.HasPrefix(file, mail+"/") })
	return tr
}

// kindOf is a file's kind.
func kindOf(file string) string {
	base := path.Base(file)
	for _, suffix := range []string{".seal.json", ".items.jsonl", ".exceptions.csv", ".zip"} {
		if strings.HasSuffix(base, suffix) {
			return suffix
		}
	}
	if strings.HasPrefix(file, "_config/") {
		return "config"
	}
	return base
}

// heads are the SHA-256 of the last manifests.
func (tr tree) heads() []Head {
	return []Head{
		{mail, pack.Sum(tr[pack.ManifestName(mail, four.Batch)])}, {"", pack.Sum(tr[pack.ManifestName("second", six.Batch)])},
	}
}
