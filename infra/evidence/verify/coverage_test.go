package verify

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
	"chainmail/infra/evidence/store"
)

// lines are a report's lines that hold a text.
func (r *Report) lines(holding string) string {
	var all bytes.Buffer
	r.Print(&all)
	var lines []string
	for line := range strings.Lines(all.String()) {
		if strings.Contains(line, holding) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// unnamed takes a custodian out of a seal and its batch's totals, as if nobody had been told of them.
func (tr tree) unnamed(n pack.Name, who string) {
	tr.object(n.Seal(), func(v map[string]any) {
		rest := []any{}
		for _, k := range list(v, "custodians") {
			if k.(map[string]any)["id"] != custodian(who).ID {
				rest = append(rest, k)
			}
		}
		v["custodians"] = rest
	})
}

func TestWhatIsMissingIsTold(t *testing.T) {
	t.Parallel()
	dora, cleo := custodian("dora").ID, custodian("cleo").ID
	manifest := func(n pack.Name) string { return pack.ManifestName(n.Source, n.Batch) }
	totals := func(tr tree, n pack.Name, key string, value int) {
		tr.object(manifest(n), func(v map[string]any) { field(v, "totals")[key] = value })
	}
	status := func(tr tree, n pack.Name, who, status, reason string) {
		tr.object(n.Seal(), func(v map[string]any) {
			for _, k := range list(v, "custodians") {
				if k := k.(map[string]any); k["id"] == custodian(who).ID {
					k["status"], k["reason"] = status, reason
				}
			}
		})
	}
	tests := []struct {
		name    string
		change  func(tree)
		options Options
		sound   bool
		want    string // among the lines of the mail source
	}{
		{"a custodian left out of a batch", func(tr tree) {
			tr.unnamed(three, "dora")
			totals(tr, one, "custodians", 3)
			totals(tr, one, "excluded", 0)
			tr.unnamed(five, "cleo")
			totals(tr, five, "custodians", 0)
		}, Options{}, true, "gap: custodian " + cleo + ", 2026-03-03..2026-03-04: not monitored: in no seal of the batch\n"},
		{"a custodian that failed", func(tr tree) {
			status(tr, five, "cleo", "Failed", "ErrorMailboxStoreUnavailable")
			tr.object(manifest(five), func(v map[string]any) {
				v["status"], at(v, "statuses", 1)["status"] = "CompletedWithErrors", "CompletedWithErrors"
			})
		}, Options{}, true, "gap: custodian " + cleo + ", 2026-03-03..2026-03-04: failed: ErrorMailboxStoreUnavailable\n"},
		{"a custodian of a batch that was abandoned", func(tr tree) {
			status(tr, five, "cleo", "Waiting", "")
			tr.object(manifest(five), func(v map[string]any) {
				v["status"], at(v, "statuses", 1)["status"] = "Abandoned", "Abandoned"
			})
		}, Options{}, true, "gap: custodian " + cleo + ", 2026-03-03..2026-03-04: abandoned\n"},
		{"a batch removed from the middle", func(tr tree) { tr.drop(pack.Folder(mail, five.Batch)) }, Options{}, false,
			"gap: custodian " + cleo + ", 2026-03-03..2026-03-04: not monitored"},
		{"a seal removed", func(tr tree) { delete(tr, three.Seal()) }, Options{}, false, // only the supplement names cleo now
			"gap: custodian " + cleo + ", 2026-03-02..2026-03-03: not known: a seal cannot be read\n"},
		{"a manifest that cannot be read", func(tr tree) { tr[manifest(one)] = []byte("{") }, Options{}, false,
			"o365-mail: 3 custodians, 2026-03-03..2026-03-04, 100.00 % covered, 0 gaps,"},
		{"it, and the days before are asked for", func(tr tree) { tr[manifest(one)] = []byte("{") }, Options{From: day(2).Start}, false,
			"gap: every custodian, 2026-03-02..2026-03-03: not known: the batch's manifest cannot be read\n"},
		{"no manifest", func(tr tree) { tr.drop(manifest(one)) }, Options{From: day(2).Start, Collecting: true}, false,
			"gap: every custodian, 2026-03-02..2026-03-03: no manifest closes the batch\n"},
		{"a period of one day", func(tree) {}, Options{From: day(3).Start, To: day(3).End}, true,
			"o365-mail: 4 custodians, 2026-03-03..2026-03-04, 75.00 % covered, 1 gap, 1 open exception; 3 batches"},
		{"a period of hours", func(tree) {}, Options{From: day(2).Start.Add(time.Hour), To: day(2).End}, true,
			"gap: custodian " + dora + ", 2026-03-02T01:00:00Z..2026-03-03T00:00:00Z: excluded: NotFound\n"},
		{"a period beyond the last batch", func(tree) {}, Options{To: day(5).End}, true,
			"gap: every custodian, 2026-03-04..2026-03-06: never planned: no batch for the period\n"},
		{"no manifest of the period", func(tree) {}, Options{To: day(1).Start}, true,
			"o365-mail: 4 custodians, no manifest of the period; 3"},
		{"an altered package", func(tr tree) { tr[one.Zip()] = bytes.Clone(tr[one.Zip()][:100]) }, Options{}, false,
			"3 batches, 3 packages, 2 unchanged, 12 documents; chain whole"},
		{"a mailbox covered in part", func(tr tree) {
			tr.object(manifest(four), func(v map[string]any) {
				v["coverage"] = append(list(v, "coverage"), map[string]any{
					"custodian": custodian("bo").ID, "scope": "archive mailbox", "reason": "it has one"})
			})
		}, Options{}, true, "in part: custodian " + custodian("bo").ID + ", 2026-03-03..2026-03-04: without archive mailbox\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tr := sample()
			test.change(tr)
			if test.sound {
				tr.rehash()
			}
			r := tr.verified(t, test.options)
			if got := r.lines(mail + ": "); !strings.Contains(got, test.want) || r.Sound() != test.sound {
				t.Errorf("got\n%swant %s\nfindings %v", got, test.want, r.Findings)
			}
		})
	}
}

// Lists of a manifest, which have a row for each custodian or seal, are not kept for thousands of batches.
func TestAManifestsListsAreNotKept(t *testing.T) {
	t.Parallel()
	folder, err := store.OpenFolder(sample().lay(t))
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	c := newCheck(t.Context(), folder, Options{})
	sources, err := c.list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	batches := 0
	for _, s := range sources {
		for _, b := range s.batches {
			batches++
			c.batch(t.Context(), b)
			if m := b.manifest; m == nil || m.Sequence == 0 || m.Seals != nil || m.Coverage != nil || m.Closed != nil || b.parts != nil {
				t.Errorf("%s keeps %+v and %d parts", b.file(), m, len(b.parts))
			}
		}
	}
	if batches != 4 {
		t.Errorf("%d batches", batches)
	}
}

func TestSharesAreNotRoundedUp(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		part, whole int64
		want        string
	}{
		{1, 1, "100.00 %"}, {0, 7, "0.00 %"}, {57, 100, "57.00 %"}, {99999, 100000, "99.99 %"}, {2, 3, "66.66 %"},
		{1e6*100*365*86400 - 1, 1e6 * 100 * 365 * 86400, "99.99 %"},
	} {
		if got := percent(test.part, test.whole); got != test.want {
			t.Errorf("percent(%d, %d) = %s, want %s", test.part, test.whole, got, test.want)
		}
	}
}

func TestCoverageQuotesNothingThatWasAltered(t *testing.T) {
	t.Parallel()
	tr := sample()
	tr.object(three.Seal(), func(v map[string]any) {
		for _, k := range list(v, "custodians") {
			k := k.(map[string]any)
			k["status"], k["reason"], k["id"] = capture.Failed, "of "+canary+"@contoso.example", canary+"@contoso.example"
		}
	})
	tr.object(pack.ManifestName(mail, one.Batch), func(v map[string]any) {
		v["coverage"] = append(list(v, "coverage"),
			map[string]any{"custodian": canary, "scope": canary, "reason": canary},
			map[string]any{"custodian": "", "scope": canary + canary, "reason": canary})
	})
	tr.rehash()
	var all bytes.Buffer
	tr.verified(t, Options{}).Print(&all)
	for _, want := range []string{"gap: custodian (unreadable)", "failed: (unreadable)", "in part: custodian (unreadable)",
		"without (unreadable)", "setting: (unreadable); "} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("without %q", want)
		}
	}
	if strings.Contains(all.String(), canary) || strings.Contains(all.String(), "contoso.example") {
		t.Errorf("quoted:\n%s", all.String())
	}
}
