package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"chainmail/handlers/vault/storagetest"
	"chainmail/infra/evidence/evidencetest"
	"chainmail/infra/evidence/export"
)

func TestExportHandsDocumentsOver(t *testing.T) {
	t.Parallel()
	dir := evidencetest.Sample().Lay(t)
	for _, form := range export.Forms() {
		out := filepath.Join(t.TempDir(), "out")
		args := []string{"export", dir, "-as", form, "-source", evidencetest.Mail, "-custodian", "bo@contoso.example",
			"-by", "C. Auditor", "-from", "2026-03-02T00:00:00Z", "-to", "2026-03-04T00:00:00Z", "-out", out}
		got := command(t, nil, args...)
		if got.code != exitSound || got.stderr != "" || !strings.Contains(got.stdout, form+": 3 documents of 2 families in ") ||
			!strings.Contains(got.stdout, "\no365-mail: manifests 1..3, head "+head(evidencetest.Sample())+"\n") ||
			strings.Contains(got.stdout, evidencetest.Canary) || strings.Contains(got.stdout, "contoso") {
			t.Errorf("%s: %+v", form, got)
		}
		data, err := os.ReadFile(filepath.Join(out, "export.json"))
		var report struct {
			By     string
			Totals struct{ Documents int }
		}
		if err != nil || json.Unmarshal(data, &report) != nil || report.By != "C. Auditor" || report.Totals.Documents != 3 {
			t.Errorf("%s: %v\n%s", form, err, data)
		}
		if again := command(t, nil, args...); again != got {
			t.Errorf("%s again: %+v", form, again)
		}
	}
}

func TestAnExportWithExceptionsSaysSoAndQuotesNothingOfAnyMail(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	dir, out := tr.Lay(t), filepath.Join(t.TempDir(), "out")
	altered := bytes.Clone(tr[evidencetest.One.Zip()])
	row := sampleRows(t)[1]
	altered[row.Offset+row.CompressedBytes/2] ^= 4
	evidencetest.Write(t, dir, evidencetest.One.Zip(), altered)
	got := command(t, nil, "export", dir, "-as", "concordance", "-source", evidencetest.Mail, "-out", out)
	if got.code != exitUnsound || !strings.Contains(got.stdout, "; 1 exception\n") ||
		!strings.Contains(got.stderr, "exceptions.csv") || strings.Contains(got.stdout+got.stderr, evidencetest.Canary) ||
		strings.Contains(got.stdout+got.stderr, "contoso") {
		t.Errorf("%+v", got)
	}
	data, err := os.ReadFile(filepath.Join(out, "exceptions.csv"))
	if err != nil || !strings.Contains(string(data), row.ControlNumber) || strings.Contains(string(data), evidencetest.Canary) {
		t.Errorf("%v: %s", err, data)
	}
	out = filepath.Join(t.TempDir(), "out")
	got = command(t, nil, "export", dir, "-as", "eml", "-source", evidencetest.Mail, "-from", "2030-01-01T00:00:00Z", "-out", out)
	if got.code != exitUnsound || !strings.Contains(got.stderr, "of 12 documents none matches") {
		t.Errorf("nothing: %+v", got)
	}
}

func TestExportRefusesBadInputByTheFlagsName(t *testing.T) {
	t.Parallel()
	dir, out := evidencetest.Sample().Lay(t), filepath.Join(t.TempDir(), "out")
	other, empty := t.TempDir(), t.TempDir()
	evidencetest.Write(t, other, "there", []byte("x"))
	with := func(args ...string) []string { return append(args, dir, "-source", evidencetest.Mail) }
	tests := []struct {
		name string
		args []string
		want string // what standard error must hold
	}{
		{"no form", with("-out", out), "by -as: trace, concordance"},
		{"a form that is none", with("-as", "pst", "-out", out), "-as: it is one of: trace, concordance"},
		{"no folder to export to", with("-as", "eml"), "by -out"},
		{"a folder in the evidence", with("-as", "eml", "-out", filepath.Join(dir, "export")), "lies in the evidence"},
		{"the evidence itself", with("-as", "eml", "-out", dir), "-out: the folder lies in the evidence"},
		{"a folder with something else", with("-as", "eml", "-out", other), "holds something else"},
		{"a kind that is none", with("-as", "eml", "-out", out, "-kind", "attachment"), "-kind: it is one of: email, event"},
		{"a dedupe that is none", with("-as", "eml", "-out", out, "-dedupe", "hash"), "-dedupe: it is one of: mih"},
		{"whole packages without duplicates", with("-as", "trace", "-out", out, "-dedupe", "mih"), "whole packages"},
		{"a custodian whom no seal names", with("-as", "eml", "-out", out, "-custodian", "x@contoso.example"),
			"named by no seal"},
		{"an empty custodian", with("-as", "eml", "-out", out, "-custodian", ""), "-custodian: it is empty"},
		{"an end before the beginning",
			with("-as", "eml", "-out", out, "-from", "2026-03-03T00:00:00Z", "-to", "2026-03-02T00:00:00Z"),
			"-from must lie before -to"},
		{"a source that is none", []string{dir, "-as", "eml", "-out", out, "-source", "O365"}, "-source: no source"},
		{"a folder without evidence", []string{empty, "-as", "eml", "-out", out}, "nothing in it is evidence"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := command(t, nil, append([]string{"export"}, test.args...)...)
			if got.code != exitRefused || got.stdout != "" || !strings.Contains(got.stderr, test.want) ||
				strings.Contains(got.stderr, "x@contoso") {
				t.Errorf("%+v, want %q", got, test.want)
			}
			if _, err := os.Lstat(out); err == nil {
				t.Error("a folder was made")
			}
		})
	}
	if got := command(t, nil, "export", "-h"); got.code != exitSound || !strings.Contains(got.stderr, "sha256sum -c") {
		t.Errorf("-h: %+v", got)
	}
}

func TestAnExportOfAContainerGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	proxy, environment := contained(t, evidencetest.Sample())
	var down atomic.Bool
	down.Store(true)
	proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		if down.Load() && op.Name == evidencetest.Four.Zip() {
			return storagetest.Fail(http.StatusForbidden, "AuthorizationFailure")
		}
		return storagetest.Pass
	})
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"export", "-connection-string-env", "EVIDENCE", "evidence", "-as", "nuix", "-out", out,
		"-source", evidencetest.Mail}
	got := command(t, environment, args...)
	if got.code != exitUnsound || got.stdout != "" || !strings.Contains(got.stderr, "get blob: 403") ||
		!strings.Contains(got.stderr, "the same command goes on where it was") {
		t.Errorf("a package that cannot be read: %+v", got)
	}
	down.Store(false)
	got = command(t, environment, args...)
	if got.code != exitSound || !strings.Contains(got.stdout, "nuix: 12 documents of 7 families") {
		t.Errorf("again: %+v", got)
	}
}
