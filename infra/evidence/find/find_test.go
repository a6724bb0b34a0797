package find

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
	"chainmail/infra/evidence/evidencetest"
	"chainmail/infra/evidence/store"
)

func open(t testing.TB, tr evidencetest.Tree) *store.Folder {
	t.Helper()
	folder, err := store.OpenFolder(tr.Lay(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Close() })
	return folder
}

func run(t testing.TB, s store.Store, q Query) ([]Match, Result) {
	t.Helper()
	var all []Match
	r, err := Run(t.Context(), s, q, func(m Match) error { all = append(all, m); return nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Matches != len(all) {
		t.Errorf("%d matches counted, %d given", r.Matches, len(all))
	}
	return all, r
}

// rows are the items of the sample, in the order of its files.
func rows(t testing.TB, tr evidencetest.Tree) (all []pack.ItemRow, of []pack.Name) {
	t.Helper()
	for _, file := range tr.Files() {
		n, err := pack.ParseName(file)
		if err != nil || n.Items() != file {
			continue
		}
		part, err := pack.DecodeItems(tr[file])
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range part {
			all, of = append(all, row), append(of, n)
		}
	}
	if len(all) != 14 {
		t.Fatalf("the sample has %d documents", len(all))
	}
	return all, of
}

// numbers are the control numbers of matches.
func numbers(all []Match) (list []string) {
	for _, m := range all {
		list = append(list, m.ControlNumber)
	}
	return list
}

func TestACriterionFindsWhatHasItsValueAndNothingElse(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	s := open(t, tr)
	all, _ := rows(t, tr)
	emil := evidencetest.Custodian("emil").ID
	anna, mih := evidencetest.Custodian("anna").ID, "1de319c276884bd0c9e2f1621ada26cc"
	second := "<second." + evidencetest.Canary + "@contoso.example>"
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name  string
		query Query
		want  func(*pack.ItemRow) bool
		count int
	}{
		{"everything", Query{}, func(*pack.ItemRow) bool { return true }, 14},
		{"message id", Query{MessageID: second}, func(r *pack.ItemRow) bool { return r.InternetMessageID == second }, 1},
		{"message id without brackets", Query{MessageID: strings.Trim(second, "<>")},
			func(r *pack.ItemRow) bool { return r.InternetMessageID == second }, 1},
		{"a part of a message id", Query{MessageID: "second"}, func(*pack.ItemRow) bool { return false }, 0},
		{"hash", Query{SHA256: all[3].NativeSHA256}, func(r *pack.ItemRow) bool { return r.NativeSHA256 == all[3].NativeSHA256 }, 1},
		{"a hash that stands elsewhere in a line", Query{Custodian: all[0].NativeSHA256}, func(*pack.ItemRow) bool { return false }, 0},
		{"mih", Query{MIH: mih}, func(r *pack.ItemRow) bool { return r.MIH == mih }, 8},
		{"custodian", Query{Custodian: anna}, func(r *pack.ItemRow) bool { return r.Custodian == anna }, 7},
		{"control number", Query{ControlNumber: all[6].ControlNumber},
			func(r *pack.ItemRow) bool { return r.ControlNumber == all[6].ControlNumber }, 1},
		{"source", Query{Source: "second"}, func(r *pack.ItemRow) bool { return r.Custodian == emil }, 2},
		{"a source that is not there", Query{Source: "secon"}, func(*pack.ItemRow) bool { return false }, 0},
		{"from", Query{From: noon}, func(r *pack.ItemRow) bool { return r.Received.After(noon) }, 2},
		{"to", Query{To: noon}, func(r *pack.ItemRow) bool { return r.Received.Before(noon) }, 12},
		{"exactly", Query{From: all[0].Received, To: all[0].Received.Add(time.Second)},
			func(r *pack.ItemRow) bool { return r.Received.Equal(all[0].Received) }, 12},
		{"several", Query{Custodian: anna, MIH: mih, To: noon},
			func(r *pack.ItemRow) bool { return r.Custodian == anna && r.MIH == mih }, 3},
		{"several that contradict", Query{Custodian: anna, From: noon}, func(*pack.ItemRow) bool { return false }, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var want []string
			for i := range all {
				if test.want(&all[i]) {
					want = append(want, all[i].ControlNumber)
				}
			}
			got, r := run(t, s, test.query)
			if !slices.Equal(numbers(got), want) || len(want) != test.count || len(r.Faults) > 0 || r.Unnamed > 0 ||
				(r.Documents == 14) != (test.query.Source == "") {
				t.Errorf("found %v, want %v of number %d; %+v", numbers(got), want, test.count, r)
			}
		})
	}
}

func TestAMatchTellsWhereItsDocumentLies(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	all, of := rows(t, tr)
	got, _ := run(t, open(t, tr), Query{})
	attached := 0
	for i, m := range got {
		row, n := all[i], of[i]
		want := Match{
			Source: n.Source, Batch: n.Batch, Package: path.Base(n.Zip()), Entry: row.Native, State: row.State, SHA256: row.NativeSHA256,
			ControlNumber: row.ControlNumber, Custodian: row.Custodian, Kind: row.Kind, Bytes: row.NativeBytes,
			Offset: row.Offset, Compressed: row.CompressedBytes,
		}
		if row.Kind == capture.Attachment {
			attached++
			want.Entry = strings.TrimSuffix(row.Native, evidencetest.Canary+".txt") + "*"
		}
		if m != want || m.File() != n.Zip() || strings.Contains(fmt.Sprint(m), evidencetest.Canary) {
			t.Errorf("got %+v, want %+v", m, want)
		}
		if matched, err := path.Match(m.Entry, row.Native); err != nil || !matched {
			t.Errorf("entry %s is not matched by %s", row.Native, m.Entry)
		}
	}
	if attached != 6 {
		t.Errorf("%d attachments", attached)
	}
}

// What a store was asked for.
type watched struct {
	store.Store
	mu     sync.Mutex
	opened []string
	ranges []string
	body   func(io.ReadCloser) io.ReadCloser
}

func (w *watched) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	w.mu.Lock()
	w.opened = append(w.opened, name)
	w.mu.Unlock()
	return w.Store.Open(ctx, name)
}

func (w *watched) Range(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	w.mu.Lock()
	w.ranges = append(w.ranges, fmt.Sprintf("%s %d+%d", name, off, n))
	w.mu.Unlock()
	r, err := w.Store.Range(ctx, name, off, n)
	if err == nil && w.body != nil {
		r = w.body(r)
	}
	return r, err
}

// The natives are read here as a stranger would, out of the whole package by the name of their entry.
func TestGetGivesEveryNativeByItsRangeAlone(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	all, of := rows(t, tr)
	w := &watched{Store: open(t, tr)}
	got, _ := run(t, w, Query{})
	for _, name := range w.opened {
		if !strings.HasSuffix(name, ".items.jsonl") && path.Base(name) != pack.ManifestFile {
			t.Errorf("to find, %s was opened", name)
		}
	}
	w.opened = nil
	for i, m := range got {
		want := evidencetest.Entry(t, tr[of[i].Zip()], all[i].Native)
		var native bytes.Buffer
		w.ranges = nil
		if err := Get(t.Context(), w, m, &native); err != nil || !bytes.Equal(native.Bytes(), want) || len(want) == 0 {
			t.Errorf("%s: %v, %d bytes, want %d", m.ControlNumber, err, native.Len(), len(want))
		}
		only := fmt.Sprintf("%s %d+%d", m.File(), m.Offset, m.Compressed)
		if !slices.Equal(w.ranges, []string{only}) || w.opened != nil {
			t.Errorf("read %v and %v, want %s", w.ranges, w.opened, only)
		}
	}
}

func TestGetRefusesWhatIsNotTheNative(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	got, _ := run(t, open(t, tr), Query{})
	m := got[0]
	inside := func(at int64, bit byte) func(evidencetest.Tree, *Match) {
		return func(tr evidencetest.Tree, m *Match) {
			data := bytes.Clone(tr[m.File()])
			data[m.Offset+at] ^= bit
			tr[m.File()] = data
		}
	}
	tests := map[string]func(evidencetest.Tree, *Match){
		"an altered first byte": inside(0, 6), "an altered byte": inside(m.Compressed/2, 4),
		"another hash":       func(_ evidencetest.Tree, m *Match) { m.SHA256 = strings.Repeat("0", 64) },
		"another place":      func(_ evidencetest.Tree, m *Match) { m.Offset++ },
		"another document's": func(_ evidencetest.Tree, m *Match) { m.Offset, m.Compressed = got[1].Offset, got[1].Compressed },
		"too short":          func(_ evidencetest.Tree, m *Match) { m.Compressed /= 2 },
		"fewer bytes":        func(_ evidencetest.Tree, m *Match) { m.Bytes-- },
		"no bytes":           func(_ evidencetest.Tree, m *Match) { m.Compressed = 0 },
		"before the file":    func(_ evidencetest.Tree, m *Match) { m.Offset = -1 },
		"beyond the file":    func(tr evidencetest.Tree, m *Match) { m.Offset = int64(len(tr[m.File()])) + 1 },
		"a package cut":      func(tr evidencetest.Tree, m *Match) { tr[m.File()] = tr[m.File()][:m.Offset+m.Compressed/2] },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr, m := evidencetest.Sample(), m
			change(tr, &m)
			if err := Get(t.Context(), open(t, tr), m, io.Discard); !errors.Is(err, ErrAltered) {
				t.Errorf("error %v", err)
			}
		})
	}
	broken := errors.New("the disk is gone")
	w := &watched{Store: open(t, tr), body: func(r io.ReadCloser) io.ReadCloser {
		return io.NopCloser(io.MultiReader(io.LimitReader(r, 5), iotest.ErrReader(broken)))
	}}
	if err := Get(t.Context(), w, m, io.Discard); !errors.Is(err, broken) || errors.Is(err, ErrAltered) {
		t.Errorf("a package that cannot be read: %v", err)
	}
}

// A package made to inflate without end must not fill the disk.
func TestGetWritesNoMoreThanTheItemsSay(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	got, _ := run(t, open(t, tr), Query{})
	m := got[0]
	m.Bytes = 10
	var native bytes.Buffer
	if err := Get(t.Context(), open(t, tr), m, &native); !errors.Is(err, ErrAltered) || native.Len() > 11 {
		t.Errorf("%v after %d bytes", err, native.Len())
	}
}

func TestOnlyPartsThatEvidenceVouchesForAreLookedAt(t *testing.T) {
	t.Parallel()
	stray := evidencetest.Name(evidencetest.Mail, evidencetest.Day(3), 1, 0, 1) // was burnt
	tr := evidencetest.Sample()
	tr[stray.Items()] = tr[evidencetest.One.Items()]
	tr[stray.Seal()] = tr[evidencetest.One.Seal()]
	if got, r := run(t, open(t, tr), Query{}); len(got) != 14 || r.Unnamed != 1 || len(r.Faults) > 0 {
		t.Errorf("a part that the manifest does not name: %d found, %+v", len(got), r)
	}
	manifest := pack.ManifestName(evidencetest.Mail, evidencetest.Four.Batch)
	delete(tr, manifest)
	delete(tr, stray.Seal())
	if got, r := run(t, open(t, tr), Query{}); len(got) != 14 || r.Unnamed != 1 {
		t.Errorf("no manifest yet, and a part without seal: %d found, %+v", len(got), r)
	}
	tr[manifest] = []byte("{}")
	got, r := run(t, open(t, tr), Query{})
	if len(got) != 14 || len(r.Faults) != 1 || !strings.HasPrefix(r.Faults[0], manifest+": ") {
		t.Errorf("a manifest that cannot be read: %d found, %+v", len(got), r)
	}
}

func TestWhatCannotBeReadIsSaid(t *testing.T) {
	t.Parallel()
	file := evidencetest.One.Items()
	for name, damage := range map[string]func([]byte) []byte{
		"cut":       func(b []byte) []byte { return b[:len(b)-10] },
		"no JSON":   func(b []byte) []byte { return append(bytes.Clone(b), "{\\}\n"...) },
		"very long": func(b []byte) []byte { return append(bytes.Clone(b), bytes.Repeat([]byte("x"), maxLine+1)...) },
	} {
		tr := evidencetest.Sample()
		tr[file] = damage(tr[file])
		_, r := run(t, open(t, tr), Query{SHA256: strings.Repeat("0", 64)})
		if len(r.Faults) != 1 || !strings.HasPrefix(r.Faults[0], file+": ") || strings.Contains(r.Faults[0], evidencetest.Canary) {
			t.Errorf("%s: %v", name, r.Faults)
		}
	}
	if _, err := Run(t.Context(), open(t, evidencetest.Tree{"a/b": nil}), Query{}, nil, nil); !errors.Is(err, store.ErrNoEvidence) {
		t.Errorf("no evidence: %v", err)
	}
}

// JSON may write any character as an escape, and a value is found however it is written.
func TestAValueIsFoundThroughJSONsEscapes(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	file := evidencetest.One.Items()
	escaped := bytes.ReplaceAll(tr[file], []byte("<second."), []byte(`\u003csec\u006fnd.`))
	if bytes.Equal(escaped, tr[file]) {
		t.Fatal("nothing to escape")
	}
	tr[file] = escaped
	if got, _ := run(t, open(t, tr), Query{MessageID: "second." + evidencetest.Canary + "@contoso.example"}); len(got) != 1 {
		t.Errorf("found %v", got)
	}
}

// However many parts there are, few are held at a time: while what was found is not taken, no more is read.
func TestFewPartsAreReadAhead(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Tree{}
	const parts = 200
	for i := range parts {
		n := evidencetest.Name(evidencetest.Mail, evidencetest.Day(2), 1, 0, i+1)
		tr[n.Items()], tr[n.Seal()] = evidencetest.Sample()[evidencetest.One.Items()], []byte("{}")
	}
	w := &watched{Store: open(t, tr)}
	stop := errors.New("enough")
	ahead := 0
	_, err := Run(t.Context(), w, Query{}, func(Match) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		ahead = len(w.opened)
		return stop
	}, nil)
	if !errors.Is(err, stop) || ahead > 2*readAtOnce || len(w.opened) > 3*readAtOnce {
		t.Errorf("%v, %d parts read before the first match was taken, %d at the end", err, ahead, len(w.opened))
	}
	got, r := run(t, open(t, tr), Query{})
	inOrder := slices.IsSortedFunc(got, func(a, b Match) int { return strings.Compare(a.Package, b.Package) })
	if len(got) != parts*7 || !inOrder || len(r.Faults) > 0 {
		t.Errorf("%d found, in order %t, want %d", len(got), inOrder, parts*7)
	}
}
