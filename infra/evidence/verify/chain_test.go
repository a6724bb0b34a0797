package verify

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"chainmail/handlers/pack"
)

// The sample's chain: the first day, a supplement of the second, the second day.
var (
	first  = pack.ManifestName(mail, one.Batch)
	second = pack.ManifestName(mail, five.Batch)
	third  = pack.ManifestName(mail, four.Batch)
)

// drop removes files by what their names begin with.
func (tr tree) drop(prefix string) {
	maps.DeleteFunc(tr, func(file string, _ []byte) bool { return strings.HasPrefix(file, prefix) })
}

// relabel edits a manifest, with the hash beside it and nothing else.
func (tr tree) relabel(file string, edit func(map[string]any)) {
	tr.object(file, edit)
	tr[file+".sha256"] = pack.ManifestSumLine(tr[file])
}

func TestTheChainsFaultsAreFound(t *testing.T) {
	t.Parallel()
	sequence := func(n int) func(map[string]any) {
		return func(v map[string]any) { v["sequence"] = n }
	}
	tests := []struct {
		name   string
		damage func(tree)
		file   string
		want   string
	}{
		{"a fork", func(tr tree) {
			tr.relabel(third, func(v map[string]any) { v["sequence"], v["previousManifestSha256"] = 2, pack.Sum(tr[first]) })
		}, third, "the chain forks: " + second + " has sequence 2 as well"},
		{"a gap in the sequence", func(tr tree) { tr.relabel(third, sequence(4)) },
			third, "the chain has a gap: before its sequence 4 stands 2"},
		{"a manifest altered with its hash", func(tr tree) {
			tr.relabel(second, func(v map[string]any) { v["reason"] = "retry" })
		}, third, "it does not follow the manifest before it: its previousManifestSha256 is not the SHA-256 of " + second},
		{"a batch removed from the middle", func(tr tree) { tr.drop(strings.TrimSuffix(second, "manifest.json")) },
			third, "before its sequence 3 stands 1"},
		{"the first batch removed", func(tr tree) { tr.drop(strings.TrimSuffix(first, "manifest.json")) },
			second, "before its sequence 2 stands 0"},
		{"a first one with one before it", func(tr tree) {
			tr.relabel(first, func(v map[string]any) { v["previousManifestSha256"] = strings.Repeat("0", 64) })
		}, first, "it is the chain's first, and names one before it"},
		{"no sequence at all", func(tr tree) { tr.relabel(first, sequence(0)) }, first, "before its sequence 0 stands 0"},
		{"sequences from below", func(tr tree) { tr.relabel(first, sequence(-1)) }, first, "before its sequence -1 stands 0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tr := sample()
			test.damage(tr)
			r := tr.verified(t, Options{})
			if got := strings.Join(r.about(test.file), "\n"); !strings.Contains(got, test.want) {
				t.Errorf("findings %v, want %s: %s", r.Findings, test.file, test.want)
			}
			if r.Sources[0].Whole || !r.Sources[1].Whole {
				t.Errorf("chains whole: %t, %t, want the second alone", r.Sources[0].Whole, r.Sources[1].Whole)
			}
		})
	}
}

// The last manifest has none after it. Only a hash from outside shows that it was replaced, or removed with its batch; and
// without one the report says so.
func TestOnlyAHeadShowsTheChainsEnd(t *testing.T) {
	t.Parallel()
	heads := sample().heads()
	tests := []struct {
		name   string
		change func(tree)
	}{
		{"the last manifest replaced", func(tr tree) { tr.relabel(third, func(v map[string]any) { v["reason"] = "retry" }) }},
		{"the last batch removed", func(tr tree) { tr.drop(strings.TrimSuffix(third, "manifest.json")) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tr := sample()
			test.change(tr)
			r := tr.verified(t, Options{Heads: heads[1:]})
			var text bytes.Buffer
			r.Print(&text)
			if !r.Sound() || r.Sources[0].Witnessed || !r.Sources[1].Witnessed ||
				strings.Count(text.String(), "no -head was given") != 1 || !strings.Contains(text.String(), mail+": no -head was given") {
				t.Errorf("without a head of %s: findings %v\n%s", mail, r.Findings, text.String())
			}
			r = tr.verified(t, Options{Heads: heads})
			got := r.about("-head " + mail + "=" + heads[0].SHA256)
			if len(got) != 1 || !strings.Contains(got[0], "no manifest has this SHA-256") {
				t.Errorf("with it: findings %v", r.Findings)
			}
		})
	}
}

func TestTheLastManifestMissingIsFoundWithoutAHead(t *testing.T) {
	t.Parallel()
	tr := sample()
	heads := tr.heads()
	tr.drop(third) // and the hash beside it
	if got := tr.verified(t, Options{}).about(third); len(got) != 1 || !strings.Contains(got[0], "is missing") {
		t.Errorf("findings %q", got)
	}
	// Whoever says that a batch is still being collected cannot tell it from one whose manifest was removed, without a head.
	r := tr.verified(t, Options{Collecting: true})
	if !r.Sound() || r.Sources[0].Collecting != 1 || r.Sources[0].Last != 2 || !r.Sources[0].Whole {
		t.Errorf("collecting: %+v, findings %v", r.Sources[0], r.Findings)
	}
	if r := tr.verified(t, Options{Collecting: true, Heads: heads}); r.Sound() {
		t.Error("collecting, and the head is not there: no findings")
	}
}

// A batch that is being collected: closed parts are whole, the one being written is not there in full.
func TestABatchThatIsBeingCollectedIsCheckedAsFarAsItIsSealed(t *testing.T) {
	t.Parallel()
	tr := sample()
	tr.drop(third)
	tr[name(mail, day(3), 1, 0, 3).Zip()] = []byte("on its way")
	if r := tr.verified(t, Options{Collecting: true}); !r.Sound() {
		t.Errorf("findings %v", r.Findings)
	}
	if got := tr.verified(t, Options{}).about(name(mail, day(3), 1, 0, 3).Zip()); len(got) != 1 {
		t.Errorf("a package without seal: findings %q", got)
	}
	tr[four.Zip()] = append(bytes.Clone(tr[four.Zip()]), 0)
	if got := tr.verified(t, Options{Collecting: true}).about(four.Zip()); len(got) == 0 {
		t.Error("a sealed package altered: no finding")
	}
	tr = sample()
	delete(tr, third)
	r := tr.verified(t, Options{Collecting: true})
	if got := r.about(third); len(got) != 1 || !strings.Contains(got[0], "is missing") || len(r.about(third+".sha256")) != 1 {
		t.Errorf("a manifest removed, and its hash is there: findings %v", r.Findings)
	}
	tr = tree{one.Zip(): sample()[one.Zip()]} // nothing but a first package
	if r = tr.verified(t, Options{Collecting: true}); !r.Sound() || r.Sources[0].line() !=
		"o365-mail: 0 custodians, no manifest of the period; 0 batches, 0 packages unchanged, 0 documents, "+
			"1 batch without manifest, as still being collected; no chain" {
		t.Errorf("%s, findings %v", r.Sources[0].line(), r.Findings)
	}
}

func TestAHeadMayBeOfAnySourceOrOfOne(t *testing.T) {
	t.Parallel()
	tr := sample()
	heads := tr.heads()
	tests := []struct {
		name  string
		heads []Head
		want  string // of the finding; "": none
	}{
		{"of any source", []Head{{"", heads[0].SHA256}, {"", heads[1].SHA256}}, ""},
		{"of the source that has it", []Head{heads[0], {"second", heads[1].SHA256}}, ""},
		{"of another source", []Head{{"second", heads[0].SHA256}}, "no manifest has this SHA-256"},
		{"of no source", []Head{{"third", heads[0].SHA256}}, "no manifest has this SHA-256"},
		{"of an earlier manifest", []Head{{mail, pack.Sum(tr[second])}},
			"is " + second + " with sequence 2, and the chain goes on to 3"},
	}
	for _, test := range tests {
		r := tr.verified(t, Options{Heads: test.heads})
		if test.want == "" {
			if !r.Sound() || !r.Sources[0].Witnessed || !r.Sources[1].Witnessed {
				t.Errorf("%s: %+v, findings %v", test.name, r.Sources, r.Findings)
			}
			continue
		}
		if len(r.Findings) != 1 || !strings.Contains(r.Findings[0].What, test.want) ||
			r.Sources[0].Witnessed || r.Sources[1].Witnessed {
			t.Errorf("%s: findings %v, want %q", test.name, r.Findings, test.want)
		}
	}
}
