package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"

	"strings"
	"testing"
	"testing/iotest"
	"time"

	"chainmail/handlers/pack"
	"chainmail/infra/evidence/store"
)

func TestSoundEvidenceIsSound(t *testing.T) {
	t.Parallel()
	tr := sample()
	r := tr.verified(t, Options{Heads: tr.heads()})
	var got bytes.Buffer
	r.Print(&got)
	size, config := 0, ""
	for file, data := range tr {
		size += len(data)
		if kindOf(file) == "config" && !bytes.Contains(data, []byte("older")) {
			config = file
		}
	}
	want := fmt.Sprintf("o365-mail: 4 custodians, 2026-03-02..2026-03-04, 75.00 %% covered, 2 gaps, 1 open exception, "+
		"1 closed exception; 3 batches, 3 packages unchanged, 12 documents; chain whole (1..3), head %s as given\n"+
		"o365-mail: texts: of 12 documents 58.33 %% have their text, 7 extracted, 5 of kinds not read; 1 native synthesised\n"+
		"o365-mail: gap: custodian dora-0f5a-4b5e-9c55-0a5cbb1f5a01, 2026-03-02..2026-03-03: excluded: NotFound\n"+
		"o365-mail: gap: custodian dora-0f5a-4b5e-9c55-0a5cbb1f5a01, 2026-03-03..2026-03-04: not monitored: in no seal of the batch\n"+
		"o365-mail: left out for everybody by rule or setting: hidden folders\n"+
		"o365-mail: ingestion state by the manifests 2026-03-04T00:00:00Z, settings %s\n"+
		"second: 1 custodian, 2026-03-02..2026-03-03, 100.00 %% covered, 0 gaps, 1 open exception; "+
		"1 batch, 1 package unchanged, 2 documents; chain whole (1..1), head %s as given\n"+
		"second: texts: of 2 documents 50.00 %% have their text, 1 extracted, 1 of kinds not read; 0 natives synthesised\n"+
		"second: left out for everybody by rule or setting: hidden folders\n"+
		"second: ingestion state by the manifests 2026-03-03T00:00:00Z, settings %s\n"+
		"sound: %d files, %s\n", tr.heads()[0].SHA256, config, tr.heads()[1].SHA256, config, len(tr), count(size, "byte"))
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
	if !r.Sound() || r.Bytes != int64(size) {
		t.Errorf("sound %t, %d bytes read of %d", r.Sound(), r.Bytes, size)
	}
}

// blames reports whether a finding names the file that was altered, or for a manifest the line with its hash.
func (r *Report) blames(file string) bool {
	return len(r.about(file)) > 0 || path.Base(file) == pack.ManifestFile && len(r.about(file+".sha256")) > 0
}

// alter flips one bit at each of some places of a file, one at a time, and wants each to be found.
func alter(t *testing.T, dir, file string, data []byte, places []int) {
	t.Helper()
	for _, at := range places {
		altered := bytes.Clone(data)
		altered[at] ^= 1 << rand.IntN(8)
		write(t, dir, file, altered)
		if r := verified(t, dir, Options{}); !r.blames(file) {
			t.Errorf("%s: byte %d changed from %#x to %#x, and the findings are %v", file, at, data[at], altered[at], r.Findings)
		}
	}
	write(t, dir, file, data)
	if r := verified(t, dir, Options{}); !r.Sound() {
		t.Errorf("%s as it was: %v", file, r.Findings)
	}
}

func TestEveryAlteredByteIsFound(t *testing.T) {
	t.Parallel()
	tr := small()
	dirs := make(chan string, 4) // few at a time, each with a folder of its own
	for range cap(dirs) {
		dirs <- tr.lay(t)
	}
	kinds := map[string]bool{}
	for _, file := range tr.files() {
		kinds[kindOf(file)] = true
		t.Run(kindOf(file), func(t *testing.T) {
			t.Parallel()
			dir := <-dirs
			defer func() { dirs <- dir }()
			places := rand.Perm(len(tr[file]))
			switch { // those that are long
			case strings.HasPrefix(file, "_format/"):
				places = places[:50]
			case kindOf(file) == ".zip", kindOf(file) == ".items.jsonl":
				places = places[:400]
			}
			alter(t, dir, file, tr[file], places)
		})
	}
	if len(kinds) != 11 {
		t.Errorf("kinds of files %v", kinds)
	}
}

func TestAlteredBytesAnywhereAreFound(t *testing.T) {
	t.Parallel()
	tr := sample()
	dir := tr.lay(t)
	kinds := map[string]bool{}
	for _, file := range tr.files() {
		kinds[kindOf(file)] = true
		data := tr[file]
		places := append(rand.Perm(len(data))[:12], 0, len(data)-1)
		alter(t, dir, file, data, places)
	}
	if len(kinds) != 11 {
		t.Errorf("kinds of files %v", kinds)
	}
}

func TestEveryFileThatIsMissingIsFound(t *testing.T) {
	t.Parallel()
	tr := sample()
	dir := tr.lay(t)
	for _, file := range tr.files() {
		at := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.Remove(at); err != nil {
			t.Fatal(err)
		}
		r := verified(t, dir, Options{})
		unnamed := kindOf(file) == "config" && bytes.Contains(tr[file], []byte("older")) // no manifest was made under it
		if got := len(r.about(file)) > 0; got == unnamed {
			t.Errorf("without %s: %v", file, r.Findings)
		}
		write(t, dir, file, tr[file])
	}
}

func TestFilesThatAreSwappedAreFound(t *testing.T) {
	t.Parallel()
	tr := sample()
	dir := tr.lay(t)
	pairs := map[string]int{}
	for i, a := range tr.files() {
		for _, b := range tr.files()[i+1:] {
			if kindOf(a) != kindOf(b) {
				continue
			}
			pairs[kindOf(a)]++
			write(t, dir, a, tr[b])
			write(t, dir, b, tr[a])
			if r := verified(t, dir, Options{}); !r.blames(a) || !r.blames(b) {
				t.Errorf("%s and %s swapped: %v", a, b, r.Findings)
			}
			write(t, dir, a, tr[a])
			write(t, dir, b, tr[b])
		}
	}
	if len(pairs) != 7 {
		t.Errorf("pairs of files %v", pairs)
	}
}

func TestFilesThatAreCutOrGrownAreFound(t *testing.T) {
	t.Parallel()
	tr := sample()
	dir := tr.lay(t)
	for _, file := range tr.files() {
		data := tr[file]
		for _, other := range [][]byte{
			{}, data[:1], data[:len(data)/2], data[:len(data)-1], append(bytes.Clone(data), '\n'), append(bytes.Clone(data), data...),
		} {
			write(t, dir, file, other)
			if r := verified(t, dir, Options{}); !r.blames(file) {
				t.Errorf("%s with %d bytes instead of %d: %v", file, len(other), len(data), r.Findings)
			}
		}
		write(t, dir, file, data)
	}
}

func TestEveryStrangerIsFound(t *testing.T) {
	t.Parallel()
	sampleZip := sample()[one.Zip()]
	tests := []struct{ file, want string }{
		{"readme.txt", "stranger"},
		{"o365-mail/notes.txt", "stranger"},
		{"o365-mail/manifest.json", "stranger"},
		{"O365/" + one.Batch + "/manifest.json", "stranger"},
		{"o365-mail/20260399000000UTC-20260304000000UTC/manifest.json", "stranger"},
		{pack.Folder(mail, one.Batch) + "manifest.json.bak", "stranger"},
		{pack.Folder(mail, one.Batch) + "deeper/manifest.json", "stranger"},
		{pack.Folder(mail, one.Batch) + path.Base(four.Zip()), "stranger"},
		{one.Base(), "stranger"},
		{name(mail, day(3), 1, 0, 1).Zip(), "manifest names no seal"}, // of the part that was burnt
		{name(mail, day(3), 1, 0, 1).Seal(), "manifest names no seal"},
		{two.Zip(), "its seal names no such file"},
		{two.Items(), "its seal names no such file"},
		{three.Exceptions(), "its seal names no such file"},
		{name(mail, day(4), 1, 0, 1).Zip(), "there is no seal"},
		{"_format/1/notes.md", "no format that this program knows"},
		{"_format/2/FORMAT.md", "no format that this program knows"},
		{"_config/settings.json", "stranger"},
		{"_config/" + strings.Repeat("0", 64) + ".json", "SHA-256 is not its name"},
		{one.Zip() + "_inprogress", "unfinished copy"},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			t.Parallel()
			tr := sample()
			tr[test.file] = sampleZip
			r := tr.verified(t, Options{})
			if got := strings.Join(r.about(test.file), "\n"); !strings.Contains(got, test.want) {
				t.Errorf("findings %v, want %q", r.Findings, test.want)
			}
		})
	}
}

func TestALinkIsNoFile(t *testing.T) {
	t.Parallel()
	tr := sample()
	dir := tr.lay(t)
	at := filepath.Join(dir, filepath.FromSlash(one.Zip()))
	if err := os.Rename(at, filepath.Join(t.TempDir(), "elsewhere")); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "package")
	write(t, filepath.Dir(elsewhere), "package", tr[one.Zip()])
	if err := os.Symlink(elsewhere, at); err != nil {
		t.Fatal(err)
	}
	if got := verified(t, dir, Options{}).about(one.Zip()); len(got) != 1 || !strings.Contains(got[0], "not a file, but a link") {
		t.Errorf("findings %q", got)
	}
}

func TestNoFindingQuotesTheMail(t *testing.T) {
	t.Parallel()
	for _, file := range []string{one.Zip(), one.Items(), two.Exceptions(), one.Seal()} {
		tr := sample()
		data := bytes.Clone(tr[file])
		for i := 7; i < len(data); i += 31 {
			data[i] ^= 0x41
		}
		tr[file] = data
		// a word of the mail in the place of a field's name
		tr[one.Items()] = bytes.ReplaceAll(tr[one.Items()], []byte(`"item":"`), []byte(`"`+canary+`":"`))
		r := tr.verified(t, Options{})
		var text bytes.Buffer
		r.Print(&text)
		if r.Sound() || strings.Contains(text.String(), canary) || strings.Contains(text.String(), "contoso.example") {
			t.Errorf("%s altered:\n%s", file, text.String())
		}
	}
}

func TestManyFindingsOfOneFileAreCounted(t *testing.T) {
	t.Parallel()
	f := newFindings(t.Context())
	for i := range linesEach + 1234 {
		f.add("a", "line %d", i+1)
	}
	all := f.all()
	if len(all) != linesEach+1 || all[linesEach].What != "and 1,234 findings more" {
		t.Errorf("%d findings, the last %v", len(all), all[len(all)-1])
	}
}

func TestNothingThatIsEvidenceIsAnErrorOfItsOwn(t *testing.T) {
	t.Parallel()
	only := sample()
	maps.DeleteFunc(only, func(file string, _ []byte) bool { return !strings.HasPrefix(file, "_") })
	for name, tr := range map[string]tree{"nothing": {}, "other files": {"a/b/c.txt": []byte("x")}, "settings alone": only} {
		folder, err := store.OpenFolder(tr.lay(t))
		if err != nil {
			t.Fatal(err)
		}
		defer folder.Close()
		if r, err := Run(t.Context(), folder, Options{}); !errors.Is(err, store.ErrNoEvidence) || r != nil {
			t.Errorf("%s: report %v, error %v", name, r, err)
		}
	}
}

// What an interrupted run did not read must not pass for sound, nor for a finding.
func TestAnInterruptedRunProvesNothing(t *testing.T) {
	t.Parallel()
	folder, err := store.OpenFolder(sample().lay(t))
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := Run(ctx, folder, Options{Read: func(int) { cancel() }})
	if !errors.Is(err, context.Canceled) || r.Sound() || len(r.Findings) > 0 {
		t.Fatalf("report %+v, error %v", r, err)
	}
	var text bytes.Buffer
	if r.Print(&text); text.Len() > 0 {
		t.Errorf("printed %q", text.String())
	}
}

// A faulty store cannot read one file, from some byte on; its other files are those of the folder.
type faulty struct {
	store.Store
	file  string
	after int64
	err   error
}

func (f faulty) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	r, err := f.Store.Open(ctx, name)
	if err != nil || name != f.file {
		return r, err
	}
	if f.after == 0 {
		_ = r.Close()
		return nil, f.err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(r, f.after), iotest.ErrReader(f.err)), r}, nil
}

func TestAFileThatCannotBeReadIsAFinding(t *testing.T) {
	t.Parallel()
	tr := sample()
	folder, err := store.OpenFolder(tr.lay(t))
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	for _, file := range tr.files() {
		for _, after := range []int64{0, int64(len(tr[file]) / 2)} {
			for err, want := range map[error]string{
				errors.New("the disk is gone"): "cannot be read: the disk is gone", fs.ErrNotExist: "has gone while",
			} {
				r, runErr := Run(t.Context(), faulty{folder, file, after, err}, Options{})
				if got := strings.Join(r.about(file), "\n"); runErr != nil || !strings.Contains(got, want) {
					t.Errorf("%s, unreadable after %d bytes: %v, findings %v, want %q", file, after, runErr, r.Findings, want)
				}
			}
		}
	}
}

func TestANameCannotActOnATerminal(t *testing.T) {
	t.Parallel()
	tr := sample()
	tr["\x1b[2Jsound"] = []byte("x")
	var text bytes.Buffer
	tr.verified(t, Options{}).Print(&text)
	if !strings.HasPrefix(text.String(), `"\x1b[2Jsound": is a stranger`) {
		t.Errorf("printed %q", text.String())
	}
}

func TestALineWithoutEndIsNotHeldInMemory(t *testing.T) {
	t.Parallel()
	tr := sample()
	tr[one.Items()] = bytes.Repeat([]byte("x"), maxLine+1)
	r := tr.verified(t, Options{})
	got := strings.Join(r.about(one.Items()), "\n")
	if !strings.Contains(got, "a line is longer") || !strings.Contains(got, "its SHA-256 is not") {
		t.Errorf("findings %v", r.Findings)
	}
}
