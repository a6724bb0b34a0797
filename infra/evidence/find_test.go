package main

import (
	"bytes"
	"encoding/json"
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

// sampleRows are the items of the sample's first part.
func sampleRows(t *testing.T) []pack.ItemRow {
	t.Helper()
	rows, err := pack.DecodeItems(evidencetest.Sample()[evidencetest.One.Items()])
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestFindListsDocuments(t *testing.T) {
	t.Parallel()
	dir := evidencetest.Sample().Lay(t)
	row := sampleRows(t)[0]
	got := command(t, nil, "find", dir, "-message-id", row.InternetMessageID)
	want := strings.Join([]string{evidencetest.One.Batch, evidencetest.One.Stem() + ".zip", row.Native, "active", row.NativeSHA256,
		row.ControlNumber}, "\t") + "\n"
	if got != (result{exitSound, want, ""}) {
		t.Errorf("got %+v, want %q", got, want)
	}
	got = command(t, nil, "find", "-json", "-sha256", strings.ToUpper(row.NativeSHA256), dir)
	var line map[string]any
	if err := json.Unmarshal([]byte(got.stdout), &line); err != nil || got.code != exitSound || line["entry"] != row.Native ||
		line["batch"] != evidencetest.One.Batch || line["nativeSha256"] != row.NativeSHA256 || line["state"] != "active" {
		t.Errorf("-json: %+v", got)
	}
	got = command(t, nil, "find", dir, "-custodian", row.Custodian, "-from", "2026-03-02T00:00:00Z", "-to", "2026-03-03T00:00:00Z")
	if n := strings.Count(got.stdout, "\n"); got.code != exitSound || n != 7 {
		t.Errorf("a custodian's day: %d lines, %+v", n, got)
	}
	got = command(t, nil, "find", dir, "-message-id", "none@contoso.example")
	if got != (result{exitUnsound, "", "evidence: of 14 documents none matches\n"}) {
		t.Errorf("nothing: %+v", got)
	}
}

func TestFindQuotesNothingOfAnyMail(t *testing.T) {
	t.Parallel()
	dir := evidencetest.Sample().Lay(t)
	for _, form := range []string{"-json=true", "-json=false"} {
		got := command(t, nil, "find", form, dir, "-to", "2027-01-01T00:00:00Z")
		if strings.Count(got.stdout, "\n") != 14 || strings.Contains(got.stdout+got.stderr, evidencetest.Canary) ||
			strings.Contains(got.stdout+got.stderr, "contoso") {
			t.Errorf("%s: %+v", form, got)
		}
	}
}

func TestGetGivesEveryNativeOut(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	dir, out := tr.Lay(t), t.TempDir()
	for _, row := range sampleRows(t) {
		want := evidencetest.Entry(t, tr[evidencetest.One.Zip()], row.Native)
		got := command(t, nil, "find", dir, "-source", evidencetest.Mail, "-control-number", row.ControlNumber, "-get", "-")
		if got.code != exitSound || got.stdout != string(want) || !strings.Contains(got.stderr, row.NativeSHA256) {
			t.Errorf("%s to standard output: %+v", row.ControlNumber, got)
		}
		file := filepath.Join(out, row.ControlNumber)
		got = command(t, nil, "find", dir, "-source", evidencetest.Mail, "-control-number", row.ControlNumber, "-get", file)
		if data, err := os.ReadFile(file); err != nil || !bytes.Equal(data, want) || got.code != exitSound || got.stderr != "" {
			t.Errorf("%s to a file: %v, %+v", row.ControlNumber, err, got)
		}
	}
	if left, err := filepath.Glob(filepath.Join(out, "*_inprogress")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestGetLeavesNothingOfANativeThatWasAltered(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	dir, out := tr.Lay(t), t.TempDir()
	row := sampleRows(t)[0]
	altered := bytes.Clone(tr[evidencetest.One.Zip()])
	altered[row.Offset+row.CompressedBytes/2] ^= 4
	evidencetest.Write(t, dir, evidencetest.One.Zip(), altered)
	for _, to := range []string{"-", filepath.Join(out, "native.eml")} {
		got := command(t, nil, "find", dir, "-source", evidencetest.Mail, "-control-number", row.ControlNumber, "-get", to)
		if got.code != exitUnsound || strings.Contains(got.stdout, "words") || !strings.Contains(got.stderr, "one of them was altered") {
			t.Errorf("-get %s: %+v", to, got)
		}
	}
	if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestGetOfSeveralListsThemAndFetchesNone(t *testing.T) {
	t.Parallel()
	dir, out := evidencetest.Sample().Lay(t), t.TempDir()
	got := command(t, nil, "find", dir, "-custodian", sampleRows(t)[0].Custodian, "-get", filepath.Join(out, "native.eml"))
	if got.code != exitRefused || strings.Count(got.stdout, "\n") != 7 || !strings.Contains(got.stderr, "-get: 7 documents match") {
		t.Errorf("%+v", got)
	}
	if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	got = command(t, nil, "find", dir, "-custodian", sampleRows(t)[0].Custodian, "-get", "-")
	if got.code != exitRefused || got.stdout != "" || strings.Count(got.stderr, "\tactive\t") != 7 {
		t.Errorf("to standard output: %+v", got)
	}
}

func TestFindRefusesBadInputByTheFlagsName(t *testing.T) {
	t.Parallel()
	dir := evidencetest.Sample().Lay(t)
	empty := t.TempDir()
	evidencetest.Write(t, empty, "there", []byte("x"))
	one := []string{"-control-number", "X", dir}
	tests := []struct {
		name string
		args []string
		want string // what standard error must hold
	}{
		{"no criterion", []string{dir}, "say what to find: -message-id"},
		{"no folder", []string{"-mih", strings.Repeat("0", 32)}, "evidence find -h"},
		{"a hash that is too short", []string{"-sha256", "abc", dir}, "-sha256: it has 64 hexadecimal digits"},
		{"a MIH that is none", []string{"-mih", strings.Repeat("g", 32), dir}, "-mih: it has 32 hexadecimal digits"},
		{"an empty message id", []string{"-message-id", "", dir}, "-message-id: it is empty"},
		{"an empty custodian", []string{"-custodian", " ", dir}, "-custodian: it is empty"},
		{"a source that is none", []string{"-source", "O365", dir}, "-source: no source"},
		{"a day", []string{"-from", "2026-03-02", dir}, "-from: a time is written as in 2026-03-02T00:00:00Z"},
		{"a part of a second", []string{"-to", "2026-03-02T00:00:00.5Z", dir}, "-to: a time is written"},
		{"an end before the beginning", []string{"-from", "2026-03-03T00:00:00Z", "-to", "2026-03-02T00:00:00Z", dir},
			"-from must lie before -to"},
		{"a file that is there", append(one, "-get", filepath.Join(empty, "there")), "exists already"},
		{"a folder that is not there", append(one, "-get", filepath.Join(empty, "none", "x")), "-get: there is no folder"},
		{"a folder without evidence", []string{"-control-number", "X", empty}, "nothing in it is evidence"},
		{"a subject instead of its hash", append(one, "-subject-hash", "x"), "-subject-hash: it has 64 hexadecimal digits"},
		{"a flag that is not there", append(one, "-subject", "x"), "-subject"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := command(t, nil, append([]string{"find"}, test.args...)...)
			if got.code != exitRefused || got.stdout != "" || !strings.Contains(got.stderr, test.want) {
				t.Errorf("%+v, want %q", got, test.want)
			}
		})
	}
	got := command(t, nil, "find", "-h")
	for _, want := range []string{"-message-id", "-get", "-json", "-control-number", "Exit code 0"} {
		if got.code != exitSound || !strings.Contains(got.stderr, want) {
			t.Errorf("find -h: code %d, without %s", got.code, want)
		}
	}
}

func TestVerifyTellsGapsOfThePeriodAskedFor(t *testing.T) {
	t.Parallel()
	dir := evidencetest.Sample().Lay(t)
	got := command(t, nil, "verify", dir, "-from", "2026-03-01T00:00:00Z", "-to", "2026-03-03T00:00:00Z")
	if got.code != exitSound ||
		!strings.Contains(got.stdout, "o365-mail: gap: every custodian, 2026-03-01..2026-03-02: never planned") ||
		!strings.Contains(got.stdout, "second: 1 custodian, 2026-03-01..2026-03-03, 50.00 % covered, 1 gap, ") {
		t.Errorf("%+v", got)
	}
	for _, args := range [][]string{{"-from", "yesterday"}, {"-from", "2026-03-03T00:00:00Z", "-to", "2026-03-03T00:00:00Z"}} {
		got := command(t, nil, append([]string{"verify", dir}, args...)...)
		if got.code != exitRefused || !strings.Contains(got.stderr, "-from") {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

// contained puts a tree into the container evidence, which is reached through a proxy. The environment has its account's connection
// string as EVIDENCE.
func contained(t *testing.T, tr evidencetest.Tree) (*storagetest.Proxy, map[string]string) {
	t.Helper()
	proxy := storagetest.New(t).Proxy(t)
	v, err := vault.Open(vault.Account{ConnectionString: proxy.ConnectionString()})
	if err != nil {
		t.Fatal(err)
	}
	c := v.Container("evidence")
	if err := c.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, data := range tr {
		if err := c.PutOnce(t.Context(), name, data, ""); err != nil {
			t.Fatal(err)
		}
	}
	return proxy, map[string]string{"EVIDENCE": proxy.ConnectionString()}
}

func TestANativeOfAContainerIsFetchedByItsRange(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	proxy, environment := contained(t, tr)
	row := sampleRows(t)[2]
	args := []string{"find", "-connection-string-env", "EVIDENCE", "evidence", "-sha256", row.NativeSHA256, "-get", "-"}
	got := command(t, environment, args...)
	if want := evidencetest.Entry(t, tr[evidencetest.One.Zip()], row.Native); got.code != exitSound || got.stdout != string(want) {
		t.Errorf("%+v", got)
	}
	proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		if op.Name == evidencetest.One.Zip() {
			return storagetest.Fail(http.StatusForbidden, "AuthorizationFailure")
		}
		return storagetest.Pass
	})
	got = command(t, environment, args...)
	want := evidencetest.One.Zip() + ": cannot be read: get blob: 403"
	if got.code != exitUnsound || got.stdout != "" || !strings.Contains(got.stderr, want) {
		t.Errorf("a package that cannot be read: %+v", got)
	}
}

// A package may have a gigabyte: of one in a container no more is read than the native that is asked for.
func TestOneNativeOfALargePackageCostsLittleBesides(t *testing.T) {
	t.Parallel()
	large := []evidencetest.Own{{Who: "anna", ID: "wanted", MessageID: "<wanted@example.com>", Bytes: 100_000}}
	for _, id := range []string{"a", "b", "c", "d"} {
		large = append(large, evidencetest.Own{Who: "anna", ID: id, Bytes: 2 << 20})
	}
	tr := evidencetest.Made("made", large)
	total := 0
	for _, data := range tr {
		total += len(data)
	}
	proxy, environment := contained(t, tr)
	before := proxy.Bytes()
	file := filepath.Join(t.TempDir(), "native.eml")
	got := command(t, environment, "find", "-connection-string-env", "EVIDENCE", "evidence",
		"-message-id", "wanted@example.com", "-get", file)
	native, err := os.ReadFile(file)
	if err != nil || got.code != exitSound || len(native) < 100_000 || bytes.Count(native, []byte("\n")) > 1 {
		t.Fatalf("%v, %d bytes, %+v", err, len(native), got)
	}
	moved := proxy.Bytes() - before
	if besides := moved - int64(len(native)); moved < 50_000 || besides > 1<<20 || total < 4<<20 {
		t.Errorf("of %d bytes of evidence %d were moved for a native of %d", total, moved, len(native))
	}
}
