package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chainmail/handlers/pack"
	"chainmail/handlers/vault"
	"chainmail/handlers/vault/storagetest"
	"chainmail/infra/evidence/evidencetest"
)

// result is what a run of the command came to.
type result struct {
	code           int
	stdout, stderr string
}

func command(t *testing.T, environment map[string]string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	lookup := func(name string) (string, bool) { v, ok := environment[name]; return v, ok }
	code := run(t.Context(), args, lookup, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// head is the SHA-256 of the last manifest of the sample's first source.
func head(tr evidencetest.Tree) string {
	return pack.Sum(tr[pack.ManifestName(evidencetest.Mail, evidencetest.Four.Batch)])
}

func TestAFolderIsVerified(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	dir := tr.Lay(t)
	got := command(t, nil, "verify", "-head", strings.ToUpper(head(tr)), dir)
	if got.code != exitSound || got.stderr != "" || !strings.Contains(got.stdout, "head "+head(tr)+" as given\n") ||
		!strings.Contains(got.stdout, "\nsound: ") {
		t.Errorf("sound: %+v", got)
	}
	if got := command(t, nil, "verify", dir, "-head", "second="+head(tr)); got.code != exitUnsound ||
		!strings.Contains(got.stdout, "-head second="+head(tr)+": no manifest has this SHA-256") {
		t.Errorf("a head that is not the chain's: %+v", got)
	}
	file := evidencetest.One.Zip()
	tr[file] = bytes.Clone(tr[file]) // other tests read the same
	tr[file][100] ^= 1
	evidencetest.Write(t, dir, file, tr[file])
	got = command(t, nil, "verify", dir)
	if got.code != exitUnsound || got.stderr != "" ||
		!strings.HasPrefix(got.stdout, file+": its SHA-256 is not the one that its seal names\n") ||
		!strings.Contains(got.stdout, "\nNOT SOUND: ") || strings.Contains(got.stdout, evidencetest.Canary) {
		t.Errorf("altered: %+v", got)
	}
}

func TestABatchThatIsStillCollectedIsNoFindingWhereThatIsSaid(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	delete(tr, pack.ManifestName(evidencetest.Mail, evidencetest.Four.Batch))
	delete(tr, pack.ManifestSumName(evidencetest.Mail, evidencetest.Four.Batch))
	dir := tr.Lay(t)
	if got := command(t, nil, "verify", dir); got.code != exitUnsound || !strings.Contains(got.stdout, "(-collecting)") {
		t.Errorf("%+v", got)
	}
	got := command(t, nil, "verify", dir, "-collecting")
	if got.code != exitSound || !strings.Contains(got.stdout, "still being collected") {
		t.Errorf("-collecting: %+v", got)
	}
}

func TestBadInputIsRefusedWithTheRemedy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	evidencetest.Write(t, dir, "file", []byte("x"))
	inside := filepath.Join(evidencetest.Sample().Lay(t), evidencetest.Mail)
	const account = "https://account.blob.core.windows.net/"
	tests := []struct {
		name string
		args []string
		want string // what standard error must hold
	}{
		{"nothing", nil, "usage: evidence verify"},
		{"another command", []string{"check"}, "usage: evidence verify"},
		{"no folder", []string{"verify"}, "give one folder or container"},
		{"two folders", []string{"verify", dir, dir}, "give one folder or container"},
		{"an unknown flag", []string{"verify", "-wrong", dir}, "-wrong"},
		{"an unknown flag behind the folder", []string{"verify", dir, "-wrong"}, "-wrong"},
		{"a head that is no hash", []string{"verify", "-head", "abc", dir}, "64 hexadecimal digits"},
		{"a folder that is not there", []string{"verify", filepath.Join(dir, "none")}, "copy the container there, or give its address"},
		{"a file", []string{"verify", filepath.Join(dir, "file")}, "is a file"},
		{"a folder without evidence", []string{"verify", dir}, "nothing in it is evidence: it must hold SOURCE/BATCH/manifest.json"},
		{"a folder within the evidence", []string{"verify", inside}, "nothing in it is evidence"},
		{"an address without container", []string{"verify", account}, "must end in its name"},
		{"an address with a blob", []string{"verify", account + "evidence/o365-mail"}, "must end in its name"},
		{"an address with a signature", []string{"verify", account + "evidence?sig=SECRET"}, "-connection-string-env"},
		{"an address without TLS", []string{"verify", "http://127.0.0.1:10000/devstoreaccount1/evidence"}, "begins with https://"},
		{"an empty connection string", []string{"verify", "-connection-string-env", "NONE", "evidence"}, "variable NONE"},
		{"an address beside a connection string", []string{"verify", "-connection-string-env", "SET", account + "evidence"},
			"container's name"},
		{"a connection string that is none", []string{"verify", "-connection-string-env", "SET", "evidence"},
			"connection string cannot be read"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := command(t, map[string]string{"SET": "AccountKey=SECRET"}, test.args...)
			if got.code != exitRefused || got.stdout != "" || !strings.Contains(got.stderr, test.want) {
				t.Errorf("%+v, want %q", got, test.want)
			}
			if strings.Contains(got.stderr, "SECRET") {
				t.Errorf("a secret is repeated: %s", got.stderr)
			}
		})
	}
}

func TestHelpIsNoError(t *testing.T) {
	t.Parallel()
	if got := command(t, nil, "-h"); got.code != exitSound || !strings.Contains(got.stdout, "verify") {
		t.Errorf("-h: %+v", got)
	}
	got := command(t, nil, "verify", "-h")
	for _, want := range []string{"-head", "-collecting", "-connection-string-env", "Exit code 0", "batch sealed"} {
		if got.code != exitSound || !strings.Contains(got.stderr, want) {
			t.Errorf("verify -h: code %d, without %s:\n%s", got.code, want, got.stderr)
		}
	}
}

// It sets the folder of temporary files, which is the process's own: so it does not run beside others.
func TestAContainerIsVerified(t *testing.T) {
	tmp := t.TempDir()
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(name, tmp)
	}
	proxy := storagetest.New(t).Proxy(t)
	connection := proxy.ConnectionString()
	v, err := vault.Open(vault.Account{ConnectionString: connection})
	if err != nil {
		t.Fatal(err)
	}
	verify := func(args ...string) result {
		t.Helper()
		args = append([]string{"verify", "-connection-string-env", "EVIDENCE"}, args...)
		got := command(t, map[string]string{"EVIDENCE": connection}, args...)
		if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
			t.Errorf("left in the folder of temporary files: %v, %v", left, err)
		}
		return got
	}
	if got := verify("evidence"); got.code != exitRefused || !strings.Contains(got.stderr, "there is no such container") {
		t.Errorf("no container: %+v", got)
	}
	c := v.Container("evidence")
	if err := c.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := verify("evidence"); got.code != exitRefused || !strings.Contains(got.stderr, "nothing in it is evidence") {
		t.Errorf("an empty container: %+v", got)
	}
	tr := evidencetest.Sample()
	for name, data := range tr {
		if err := c.PutOnce(t.Context(), name, data, ""); err != nil {
			t.Fatal(err)
		}
	}
	sound := command(t, nil, "verify", tr.Lay(t))
	if got := verify("evidence"); got != sound || got.code != exitSound {
		t.Errorf("a container: %+v, its copy: %+v", got, sound)
	}
	file := evidencetest.One.Zip()
	altered := bytes.Clone(tr[file])
	altered[len(altered)/2] ^= 8
	if err := c.Put(t.Context(), file, altered); err != nil {
		t.Fatal(err)
	}
	if got := verify("evidence"); got.code != exitUnsound || !strings.HasPrefix(got.stdout, file+": its SHA-256 is not the one") {
		t.Errorf("an altered package: %+v", got)
	}
	proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		if op.Name == file {
			return storagetest.Fail(http.StatusForbidden, "AuthorizationFailure")
		}
		return storagetest.Pass
	})
	want := file + ": cannot be read: get blob: 403 AuthorizationFailure\n"
	if got := verify("evidence"); got.code != exitUnsound || !strings.HasPrefix(got.stdout, want) {
		t.Errorf("a package that cannot be read: %+v", got)
	}
}

func TestAContainerThatCannotBeListedIsRefusedWithTheRemedy(t *testing.T) {
	t.Parallel()
	proxy := storagetest.New(t).Proxy(t)
	proxy.OnRequest(func(storagetest.Op) storagetest.Action {
		return storagetest.Fail(http.StatusForbidden, "AuthorizationPermissionMismatch")
	})
	environment := map[string]string{"EVIDENCE": proxy.ConnectionString()}
	got := command(t, environment, "verify", "-connection-string-env", "EVIDENCE", "evidence")
	if got.code != exitRefused || got.stdout != "" || !strings.Contains(got.stderr, "403 AuthorizationPermissionMismatch") ||
		!strings.Contains(got.stderr, "Storage Blob Data Reader") || strings.Contains(got.stderr, "127.0.0.1") {
		t.Errorf("%+v", got)
	}
}
