package verify

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
	"chainmail/infra/evidence/store"
)

// memory is evidence that lies in memory.
type memory tree

func (m memory) List(context.Context) iter.Seq2[store.File, error] {
	return func(yield func(store.File, error) bool) {
		for name, data := range m {
			if !yield(store.File{Name: name, Size: int64(len(data))}, nil) {
				return
			}
		}
	}
}

func (m memory) Open(_ context.Context, name string) (io.ReadCloser, error) {
	data, ok := m[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (m memory) Range(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return nil, fs.ErrInvalid
}

// years is sound evidence of so many hours in a row, each a batch of which all custodians are idle. Those whom left names for
// an hour are in no seal of it.
func years(hours, custodians int, left map[int]int) memory {
	tr := memory{}
	for file, text := range pack.FormatFiles() {
		tr[file] = text
	}
	config := []byte(`{"sources": []}`)
	tr["_config/"+pack.Sum(config)+".json"] = config
	previous := ""
	for i := range hours {
		start := time.Date(2020, 1, 1, i, 0, 0, 0, time.UTC)
		w := capture.Window{Start: start, End: start.Add(time.Hour)}
		n := pack.Name{Source: mail, Batch: capture.BatchID(w, 1), Part: 1}
		s := pack.Seal{Source: mail, Batch: n.Batch, Part: 1}
		for c := range custodians {
			if who, some := left[i]; some && who == c {
				continue
			}
			s.Custodians = append(s.Custodians, pack.SealCustodian{
				ID: fmt.Sprintf("%08d-0f5a-4b5e-9c55-0a5cbb1f5a01", c), Identifier: "x", Status: capture.Collected,
			})
		}
		tr[n.Seal()] = must(s.Encode())
		m := pack.Manifest{
			App: pack.App{Version: "1"}, Source: mail, Batch: n.Batch, Start: w.Start, End: w.End, Reason: capture.ReasonWindow,
			Status: capture.Completed, ConfigSHA256: pack.Sum(config),
			Statuses: []pack.StatusAt{{Status: capture.Created, At: w.End}, {Status: capture.Completed, At: w.End}},
			Totals:   pack.Totals{Custodians: len(s.Custodians)},
			Seals:    []pack.FileSum{{Name: n.Stem() + ".seal.json", SHA256: pack.Sum(tr[n.Seal()])}},
		}
		data := must(pack.LinkManifest(m, int64(i+1), previous).Encode())
		previous = pack.Sum(data)
		tr[pack.ManifestName(mail, n.Batch)], tr[pack.ManifestSumName(mail, n.Batch)] = data, pack.ManifestSumLine(data)
	}
	return tr
}

// hour is the folder of a batch of [years].
func hour(i int) string {
	start := time.Date(2020, 1, 1, i, 0, 0, 0, time.UTC)
	return pack.Folder(mail, capture.BatchID(capture.Window{Start: start, End: start.Add(time.Hour)}, 1))
}

// Each forgery of a long row of batches is found, and nothing beside it is blamed.
func TestAForgeryAmongManyBatchesIsNamed(t *testing.T) {
	t.Parallel()
	const hours = 300
	seal := func(i int) string { return hour(i) + mail + "." + strings.Split(hour(i), "/")[1] + ".000-1.seal.json" }
	tests := []struct {
		name  string
		forge func(tree)
		want  []string // of the report's lines, a part of each
	}{
		{"a manifest deleted", func(tr tree) { delete(tr, hour(100)+"manifest.json") }, []string{
			hour(100) + "manifest.json: is missing", hour(100) + "manifest.json.sha256: there is no manifest beside it",
			hour(101) + "manifest.json: the chain has a gap: before its sequence 102 stands 100",
		}},
		{"a seal deleted", func(tr tree) { delete(tr, seal(7)) }, []string{seal(7) + ": is missing: the manifest names it"}},
		{"a batch cut out, and the chain closed over it", func(tr tree) {
			tr.drop(hour(100))
			for i := 101; i < hours; i++ {
				tr.object(hour(i)+"manifest.json", func(v map[string]any) { v["sequence"] = i })
			}
			tr.relink()
		}, []string{"gap: every custodian, 2020-01-05T04:00:00Z..2020-01-05T05:00:00Z: never planned"}},
		{"a copy that was cut off", func(tr tree) {
			for i := 200; i < hours; i++ {
				tr.drop(hour(i))
			}
			tr[hour(199)+"manifest.json"] = tr[hour(199)+"manifest.json"][:100]
		}, []string{
			hour(199) + "manifest.json: is not the JSON that the format has", "-anchors o365-mail sequence 300: no manifest has it",
		}},
		{"two manifests exchanged in the chain", func(tr tree) {
			tr.relabel(hour(50)+"manifest.json", func(v map[string]any) { v["sequence"] = 52 })
			tr.relabel(hour(51)+"manifest.json", func(v map[string]any) { v["sequence"] = 51 })
		}, []string{hour(51) + "manifest.json: it does not follow the manifest before it"}},
		{"a manifest of another chain", func(tr tree) {
			tr.relabel(hour(60)+"manifest.json", func(v map[string]any) { v["previousManifestSha256"] = strings.Repeat("0", 64) })
		}, []string{hour(60) + "manifest.json: it does not follow", hour(61) + "manifest.json: it does not follow"}},
		{"a byte changed", func(tr tree) { tr[seal(8)][40] ^= 1 },
			[]string{seal(8) + ": its SHA-256 is not the one that the manifest names"}},
	}
	sound := years(hours, 3, nil)
	last := Anchor{mail, hours, pack.Sum(sound[hour(hours-1)+"manifest.json"])}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tr := tree(years(hours, 3, nil))
			test.forge(tr)
			r, err := Run(t.Context(), memory(tr), Options{Anchors: []Anchor{last}})
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			r.Print(&text)
			for _, want := range test.want {
				if !strings.Contains(text.String(), want) {
					t.Errorf("the report does not hold %q:\n%s", want, text.String()[:min(3000, text.Len())])
				}
			}
			if len(r.Findings) > 8 {
				t.Errorf("%d findings, of what is sound as well", len(r.Findings))
			}
		})
	}
}

func TestACustodianLeftOutOfOneBatchIsAGap(t *testing.T) {
	t.Parallel()
	r, err := Run(t.Context(), years(300, 3, map[int]int{123: 1}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var gaps []string
	for _, g := range r.Sources[0].Cover.Gaps {
		gaps = append(gaps, g.Custodian+" "+span(g.Period)+" "+g.Why)
	}
	want := "00000001-0f5a-4b5e-9c55-0a5cbb1f5a01 2020-01-06T03:00:00Z..2020-01-06T04:00:00Z not monitored: in no seal of the batch"
	if !slices.Equal(gaps, []string{want}) || !r.Sound() {
		t.Errorf("gaps %q, findings %v", gaps, r.Findings)
	}
}
