package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chainmail/handlers/pack"
	"chainmail/infra/evidence/evidencetest"
)

func TestVerifyTakesTheLogsAnchors(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	dir, logs := tr.Lay(t), t.TempDir()
	event := func(sum string) string {
		return fmt.Sprintf(`{"msg":"batch sealed","source":"second","sequence":1,"manifestSha256":%q}`+"\n", sum)
	}
	for name, text := range map[string]string{
		"log":   `{"msg":"queue depth"}` + "\n" + event(pack.Sum(tr[pack.ManifestName("second", evidencetest.Six.Batch)])),
		"wrong": event(strings.Repeat("0", 64)), "other": "{}\n",
	} {
		if err := os.WriteFile(filepath.Join(logs, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		file           string
		code           int
		stdout, stderr string
	}{
		{"log", exitSound, " as given, anchored in the log to sequence 1\n", ""},
		{"wrong", exitUnsound, "its SHA-256 is not the one that the log has for second sequence 1", ""},
		{"other", exitRefused, "", `-anchors: no event "batch sealed" in it: give the app's log`},
		{"none", exitRefused, "", "-anchors: open "},
	}
	for _, test := range tests {
		got := command(t, nil, "verify", dir, "-anchors", filepath.Join(logs, test.file))
		if got.code != test.code || !strings.Contains(got.stdout, test.stdout) || !strings.Contains(got.stderr, test.stderr) {
			t.Errorf("%s: %+v", test.file, got)
		}
	}
}
