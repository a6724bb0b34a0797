package staging

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// stageWithout stages the app around a file that stands for the handler, which other tests build.
func stageWithout(t *testing.T) (root, dir string) {
	t.Helper()
	root, err := Root(".")
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := Copy(root, dir, Azure()); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{HandlerFile: "\x7fELF", SettingsFile: `{"Values":{"SECRET":"x"}}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root, dir
}

func TestTheZipIsWhatAzureRuns(t *testing.T) {
	t.Parallel()
	root, dir := stageWithout(t)
	file := filepath.Join(t.TempDir(), "app.zip")
	if err := Zip(dir, file); err != nil {
		t.Fatal(err)
	}
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()

	want := []string{HandlerFile, HostFile}
	functions, err := Functions(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range functions {
		want = append(want, f+"/"+FunctionFile)
	}
	var got []string
	for _, f := range z.File {
		got = append(got, f.Name)
		mode := os.FileMode(0o644)
		if f.Name == HandlerFile {
			mode = 0o755
		}
		if f.Mode() != mode || f.CreatorVersion>>8 != 3 { // 3 is Unix: without it the mode is not read
			t.Errorf("%s has mode %v of system %d, want %v of Unix", f.Name, f.Mode(), f.CreatorVersion>>8, mode)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		packed, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		staged, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Name)))
		if err != nil || !bytes.Equal(packed, staged) {
			t.Errorf("%s is packed otherwise than staged: %v", f.Name, err)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("packed %v, want %v", got, want)
	}
}

func TestEqualAppsHaveEqualZips(t *testing.T) {
	t.Parallel()
	_, dir := stageWithout(t)
	var zips [2][]byte
	for i := range zips {
		file := filepath.Join(t.TempDir(), "app.zip")
		if err := Zip(dir, file); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		zips[i] = data
	}
	if !bytes.Equal(zips[0], zips[1]) {
		t.Error("the same app gives two different files")
	}
}

func TestStagedFunctionsAreTheRepositorys(t *testing.T) {
	t.Parallel()
	root, dir := stageWithout(t)
	functions, err := Functions(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range functions {
		ours, err := os.ReadFile(filepath.Join(root, FunctionsDir, name, FunctionFile))
		if err != nil {
			t.Fatal(err)
		}
		staged, err := os.ReadFile(filepath.Join(dir, name, FunctionFile))
		if err != nil || !bytes.Equal(ours, staged) {
			t.Errorf("%s is staged otherwise than written: %v", name, err)
		}
	}
}

func TestAHandlerOnWindowsHasAnExtension(t *testing.T) {
	t.Parallel()
	root, err := Root(".")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := Copy(root, dir, Target{"windows", "amd64"}); err != nil {
		t.Fatal(err)
	}
	host, err := os.ReadFile(filepath.Join(dir, HostFile))
	if err != nil || !strings.Contains(string(host), `"handler.exe"`) {
		t.Errorf("host.json does not name handler.exe: %v", err)
	}
}

func TestOutsideTheRepositoryTheErrorSaysWhereToRun(t *testing.T) {
	t.Parallel()
	if _, err := Root(t.TempDir()); err == nil || !strings.Contains(err.Error(), "go.mod") {
		t.Errorf("error %v", err)
	}
}
