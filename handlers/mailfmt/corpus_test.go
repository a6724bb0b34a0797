package mailfmt

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// leastMails is how many messages the corpus has at least, large ones apart.
const leastMails = 150

// corpus gives the messages of testdata by their names.
func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) < leastMails {
		t.Fatalf("Glob() = %d files, %v, want %d at least", len(files), err, leastMails)
	}
	mails := map[string][]byte{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		mails[filepath.Base(file)] = data
	}
	return mails
}

func TestTheCorpusSaysOfEachMailWhatItIsFor(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("testdata/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, row := range regexp.MustCompile(`(?m)^\| (\S+\.eml) \| (.*) \|$`).FindAllStringSubmatch(string(readme), -1) {
		if len(row[2]) < 10 {
			t.Errorf("%s is for %q, want a line", row[1], row[2])
		}
		listed = append(listed, row[1])
	}
	if rows := strings.Count(string(readme), "\n| ") - 1; rows != len(listed) {
		t.Errorf("%d rows of %d are those of a mail", len(listed), rows)
	}
	var there []string
	for name := range corpus(t) {
		there = append(there, name)
	}
	slices.Sort(there)
	if !slices.Equal(listed, there) {
		t.Errorf("testdata/README.md lists, not sorted or not once each\n%q\nwant\n%q", listed, there)
	}
}

func TestTheCorpusIsSmall(t *testing.T) {
	t.Parallel()
	size := 0
	for name, data := range corpus(t) {
		if size += len(data); len(data) > 32<<10 {
			t.Errorf("%s has %d bytes: what is large is written by a test", name, len(data))
		}
	}
	if size > 1<<20 {
		t.Errorf("the mails have %d bytes, want 1 MiB at most", size)
	}
}

// Each code says what was wrong with some message of the corpus, unless it takes a large one, or a fault of the reader.
func TestTheCorpusHasEveryDefect(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, data := range corpus(t) {
		m := read(t, string(data))
		for _, d := range m.Defects {
			seen[d] = true
		}
		for _, a := range m.Attachments {
			c := a.Content(bytes.NewReader(data))
			if _, err := new(bytes.Buffer).ReadFrom(c); err != nil {
				t.Fatal(err)
			}
			seen[c.Defect()] = true
		}
	}
	for _, d := range []string{
		BrokenHeader, MissingSeparator, DuplicateHeader, BrokenDate, BrokenContentType, MissingBoundary, UnknownEncoding, BrokenBase64,
		BrokenUuencode, UnknownCharset, WrongCharset, Mislabelled, Encrypted,
	} {
		if !seen[d] {
			t.Errorf("no mail has the defect %s", d)
		}
	}
	if seen[Unreadable] {
		t.Error("the reader broke off")
	}
}

// seed adds what the corpus has in the fields to a fuzz target's seeds.
func seed(f *testing.F, fields ...string) {
	f.Helper()
	n := 0
	for _, data := range corpus(f) {
		h := newParser(newLines(bufio.NewReaderSize(bytes.NewReader(data), lineBuffer)), &Mail{}).header(maxHeader)
		for _, name := range fields {
			for _, value := range h[name] {
				f.Add(value)
				n++
			}
		}
	}
	if n < 5 {
		f.Fatalf("the corpus has %d of the fields %q, want some", n, fields)
	}
}

// seedHTML adds the texts in HTML of the corpus.
func seedHTML(f *testing.F) {
	f.Helper()
	n := 0
	for name, data := range corpus(f) {
		if _, body, ok := bytes.Cut(data, []byte("\r\n\r\n")); ok && strings.HasPrefix(name, "html-") {
			f.Add(string(body))
			n++
		}
	}
	if n < 20 {
		f.Fatalf("the corpus has %d texts in HTML, want some", n)
	}
}
