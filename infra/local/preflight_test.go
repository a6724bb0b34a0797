package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chainmail/handlers/graph/graphtest"
)

// checked runs the check of the sources, and gives the exit code and what is printed. Nothing may be started or made for it.
func checked(t *testing.T, sources string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	var out, err bytes.Buffer
	code = run(t.Context(), append([]string{"-preflight", "-data", data, "-sources", sources}, args...), &out, &err)
	if _, err := os.Stat(data); err == nil {
		t.Error("storage was made")
	}
	for _, said := range []string{out.String(), err.String()} {
		if what, _ := graphtest.Leak(said); what != "" || strings.Contains(said, "@") {
			t.Errorf("%s was printed: %s", what, said)
		}
	}
	return code, out.String(), err.String()
}

func TestAPreflightPrintsWhatItFoundAndCollectsNothing(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := checked(t, sampleOn(t, freeAddress(t), nil), "-outsider")
	if code != exitDone {
		t.Fatalf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	tenant, _ := graphtest.Sample(1)
	archived := ""
	for _, u := range tenant.Users {
		if u.Archive {
			archived = u.ID
		}
	}
	for _, want := range []string{
		"o365-mail\n", "ok       permissionMail ", "warning  scope ", "New-ManagementRoleAssignment", "unknown  deletedItemRetention",
		"warning  archives ", archived, "37 individuals; of 37 looked at 25 can be collected", "NoMailbox: 5 would be left out", "remedy: ",
		"ok       forecast ",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q was not printed:\n%s", want, stdout)
		}
	}
	if !strings.Contains(stderr, "local: o365-mail: mailboxes, 37 of 37") {
		t.Errorf("no progress on standard error:\n%s", stderr)
	}
}

func TestAPreflightWithAFaultEndsWithOne(t *testing.T) {
	t.Parallel()
	sources := sampleOn(t, freeAddress(t), func(source map[string]any) { source["enabled"] = false }) // checked all the same
	list := filepath.Join(filepath.Dir(sources), "individuals", "o365-mail.csv")
	if err := os.WriteFile(list, []byte("identifier,from\nformer.employee,\nbad row,yesterday\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := checked(t, sources)
	if code != exitFailed || !strings.Contains(stdout, "fault    individuals") || !strings.Contains(stdout, "1 rows of the list") {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	if !strings.Contains(stderr, "o365-mail.csv line 3") {
		t.Errorf("the bad row is not named by its line:\n%s", stderr)
	}
}

func TestAPreflightNeedsSourcesThatCanBeRead(t *testing.T) {
	t.Parallel()
	code, _, said := checked(t, filepath.Join(t.TempDir(), "none.json"))
	if code != exitRefused || !strings.Contains(said, "none.json") {
		t.Errorf("exit code %d\n%s", code, said)
	}
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), []string{"-once", "-outsider"}, &stdout, &stderr)
	if code != exitRefused || !strings.Contains(stderr.String(), "-preflight") {
		t.Errorf("exit code %d\n%s", code, stderr.String())
	}
}
