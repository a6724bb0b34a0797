package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/graph/graphtest"
	"chainmail/infra/evidence/export"
	"chainmail/infra/evidence/store"
)

var update = flag.Bool("update", false, "write the sample's list of individuals anew")

func TestTheSamplesListIsTheSampleTenants(t *testing.T) {
	t.Parallel()
	const file = "sample/individuals/o365-mail.csv"
	tenant, _ := graphtest.Sample(1)
	want := graphtest.Custodians(tenant)
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not the sample tenant's list: run this test with -update", file)
	}
}

func TestBadInputIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const source = `{"sources":[{"name":"a","domain":"contoso.com","graphEndpoint":"http://127.0.0.1:9/v1.0",
		"credential":{"kind":"none"},"collect":["email"],"individuals":{"file":"%s"},"controlNumberPrefix":"A"}]}`
	tests := []struct {
		name string
		args []string
		want []string // what standard error must hold
	}{
		{"an unknown flag", []string{"-wrong"}, []string{"-wrong", "-once"}},
		{"an argument", []string{"now"}, []string{`"now"`}},
		{"a host that is none", []string{"-host", "docker"}, []string{"standin or func"}},
		{"a Graph elsewhere", []string{"-graph", "http://graph.example/v1.0"}, []string{"sources[0].graphEndpoint", "loopback"}},
		{"a Graph without a name", []string{"-graph", "8085"}, []string{"-graph"}},
		{"no sources file", []string{"-sources", filepath.Join(dir, "none.json")}, []string{"none.json"}},
		{"faults in the sources", []string{"-sources", file("faults.json",
			`{"sources":[{"name":"A!","frequencyInMinutes":0,"enable":true},{"name":"b","startDate":"2026-03-05T00:00:00Z","endDate":"2026-03-02T00:00:00Z"}]}`)},
			[]string{"sources[0].name", "sources[0].frequencyInMinutes", "sources[0].enable", "sources[1].endDate", "sources[1].domain"}},
		{"no JSON", []string{"-sources", file("cut.json", `{"sources":[`)}, []string{"cut.json", "line 1"}},
		{"no list of individuals", []string{"-sources", file("nolist.json", fmt.Sprintf(source, "people.csv"))}, []string{"people.csv"}},
		{"a list that is none", []string{"-sources", file("badlist.json", fmt.Sprintf(source, filepath.Base(file("bad.csv", "name\nx\n"))))},
			[]string{"bad.csv", "identifier"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			args := append([]string{"-once", "-data", filepath.Join(dir, "data")}, test.args...)
			if code := run(t.Context(), args, &stdout, &stderr); code != exitRefused {
				t.Errorf("exit code %d, want %d", code, exitRefused)
			}
			for _, want := range test.want {
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("standard error does not name %s:\n%s", want, stderr.String())
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
				t.Error("something was started")
			}
		})
	}
}

func TestAPortInUseIsNamedWithTheRemedy(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := options{sources: sampleOn(t, l.Addr().String(), nil)}
	g, err := load(o, "../..")
	if err != nil {
		t.Fatal(err)
	}
	stop, err := g.serveGraph(o)
	if err == nil {
		stop()
		t.Fatal("the stand-in started on a port in use")
	}
	if text := err.Error(); !strings.Contains(text, l.Addr().String()) || !strings.Contains(text, "-graph") {
		t.Errorf("error %q", text)
	}
}

// sampleOn writes the sample's sources and list with another address of Graph, changed as wanted.
func sampleOn(t *testing.T, address string, change func(source map[string]any)) string {
	t.Helper()
	data, err := os.ReadFile("sample/sources.json")
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	source := file["sources"].([]any)[0].(map[string]any)
	source["graphEndpoint"] = "http://" + address + "/v1.0"
	if change != nil {
		change(source)
	}
	if data, err = json.Marshal(file); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile("sample/individuals/o365-mail.csv")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"sources.json": data, "individuals/o365-mail.csv": list} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "sources.json")
}

// freeAddress is a loopback address that nobody listens on. Its port lies below those that systems give to whoever asks
// for any, so that no other test takes it before it is used.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(8000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free between 12000 and 20000")
	return ""
}

func TestOneRunCollectsTheSampleAndAnotherNothingTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	args := []string{
		"-once", "-data", filepath.Join(dir, "data"), "-storage-port", "0", "-api-port", "0", "-out", out, "-sources", sampleOn(t, freeAddress(t), nil),
	}
	var first map[string]string
	for round := range 2 {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, &stderr); code != exitDone {
			t.Fatalf("exit code %d\n%s\n%s", code, stdout.String(), stderr.String())
		}
		if !regexp.MustCompile(`the console is http://127\.0\.0\.1:\d+/api/console\n`).MatchString(stderr.String()) {
			t.Errorf("the address of the console is not told:\n%s", stderr.String())
		}
		for _, day := range []string{"02", "03", "04"} {
			if !strings.Contains(stdout.String(), "202603"+day+"000000UTC-") {
				t.Errorf("the table lacks the batch of %s March:\n%s", day, stdout.String())
			}
		}
		for _, reason := range []string{"AccessDenied", "NoMailbox", "UnlicensedGuest", "NotFound"} {
			if !strings.Contains(stdout.String(), reason) {
				t.Errorf("the table does not name who is left out as %s", reason)
			}
		}
		got := tree(t, out)
		if round == 0 {
			first = got
			checkArchives(t, got)
			continue
		}
		if len(got) != len(first) {
			t.Errorf("%d files after another run, %d before", len(got), len(first))
		}
		for name, text := range first {
			if got[name] != text {
				t.Errorf("another run changed %s", name)
			}
		}
	}
	checkExports(t, out)
}

// checkExports hands one custodian over in every form.
func checkExports(t *testing.T, out string) {
	t.Helper()
	s, err := store.OpenFolder(out)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var who []string
	for name, text := range tree(t, out) {
		if strings.HasSuffix(name, ".items.jsonl") {
			who = regexp.MustCompile(`"custodian":"([^"]+)"`).FindStringSubmatch(text)[1:]
		}
	}
	for _, as := range export.Forms() {
		o := export.Options{Filter: export.Filter{Custodians: who}, As: as, Now: time.Now}
		r, err := export.Run(t.Context(), s, filepath.Join(t.TempDir(), as), o)
		if err != nil || r.Totals.Exceptions > 0 || r.Totals.Documents == 0 || len(r.Heads) != 1 {
			t.Errorf("export as %s: %v, %+v", as, err, r.Totals)
		}
	}
}

// checkArchives holds that every manifest names those of the sample who have an archive mailbox.
func checkArchives(t *testing.T, files map[string]string) {
	t.Helper()
	tenant, _ := graphtest.Sample(1)
	var want []string
	for _, u := range tenant.Users {
		if u.Archive {
			want = append(want, u.ID)
		}
	}
	slices.Sort(want)
	manifests := 0
	for name, text := range files {
		if filepath.Base(name) != "manifest.json" {
			continue
		}
		manifests++
		var m struct {
			Coverage []struct{ Custodian, Scope string }
		}
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, k := range m.Coverage {
			if k.Scope == "archive mailbox" {
				got = append(got, k.Custodian)
			}
		}
		if !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s names the archives of %v, want %v", name, got, want)
		}
	}
	if manifests != 3 {
		t.Errorf("%d manifests, want three days", manifests)
	}
}

// tree reads all files below dir, and opens the packages among them.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	packages := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files[name] = string(data)
		if strings.Contains(name, inProgress) {
			t.Errorf("%s is left", name)
		}
		if filepath.Ext(path) == ".zip" {
			packages++
			z, err := zip.OpenReader(path)
			if err != nil {
				return err
			}
			return z.Close()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if packages < 3 {
		t.Fatalf("%d packages, want one a day at least", packages)
	}
	return files
}
