package npmtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// finds gives the path of what is on the path.
func finds(names ...string) func(string) (string, error) {
	return func(name string) (string, error) {
		for _, n := range names {
			if n == name {
				return "/bin/" + n, nil
			}
		}
		return "", errors.New("not found")
	}
}

func TestWhatIsMissingIsToldWithTheRemedy(t *testing.T) {
	t.Parallel()
	program := Program{Name: "Thing", Version: "1.2.3", File: "node_modules/thing/thing.js", Lock: []byte("lock")}
	for _, c := range []struct {
		in   installer
		want string
	}{
		{installer{Program: program, cache: t.TempDir(), look: finds()}, "run Thing: node is not on the path"},
		{installer{Program: program, cache: t.TempDir(), look: finds("node")}, "install Thing: npm is not on the path"},
	} {
		_, _, err := c.in.ensure(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "install Node.js") {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

func TestWhatIsInstalledIsNotInstalledAgain(t *testing.T) {
	t.Parallel()
	in := installer{
		Program: Program{Name: "Thing", Version: "1.2.3", File: "node_modules/thing/thing.js", Lock: []byte("lock")},
		cache:   t.TempDir(), look: finds("node"),
	}
	want := filepath.Join(in.dir(), "node_modules", "thing", "thing.js")
	if err := os.MkdirAll(filepath.Dir(want), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(want, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if node, file, err := in.ensure(t.Context()); err != nil || node != "/bin/node" || file != want {
		t.Errorf("%s, %s, %v", node, file, err)
	}
	in.Lock = []byte("another lock")
	if _, _, err := in.ensure(t.Context()); err == nil {
		t.Error("the tree of another lock file was taken")
	}
}

func TestNPMsFaultsAreToldInOneLine(t *testing.T) {
	t.Parallel()
	in := installer{Program: Program{Name: "Thing", Version: "1.2.3", Size: "2 MB"}, cache: "/cache"}
	for out, want := range map[string]string{
		"npm error code ENOSPC\nnpm error more": "(ENOSPC): no space left: free 2 MB below /cache",
		"npm ERR! code EINTEGRITY\n":            "(EINTEGRITY): a package is not the one that is pinned",
		"npm error code ENOTFOUND\n":            "(ENOTFOUND): npm does not reach its registry",
		"segmentation fault":                    "(no code given): run `npm ping`",
	} {
		got := in.explain([]byte(out)).Error()
		if !strings.HasPrefix(got, "install Thing 1.2.3: npm ci failed "+want) || strings.Contains(got, "\n") {
			t.Errorf("%q: %s", out, got)
		}
	}
}

func TestALockIsHeldByOne(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "lock")
	unlock, err := LockFile(t.Context(), file, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockFile(t.Context(), file, false); !errors.Is(err, ErrLocked) {
		t.Errorf("a second: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := LockFile(ended, file, true); !errors.Is(err, context.Canceled) {
		t.Errorf("one that waits: %v", err)
	}
	unlock()
	again, err := LockFile(t.Context(), file, true)
	if err != nil {
		t.Fatal(err)
	}
	again()
}
