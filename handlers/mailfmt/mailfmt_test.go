package mailfmt

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files")

func read(t testing.TB, mail string) Mail {
	t.Helper()
	m, err := Read(strings.NewReader(mail))
	if err != nil {
		t.Fatalf("Read() = %v, want no error", err)
	}
	return m
}

func textOf(t testing.TB, m Mail) string {
	t.Helper()
	text, err := io.ReadAll(m.Text())
	if err != nil {
		t.Fatalf("read text: %v", err)
	}
	return string(text)
}

// Each testdata/x.eml has its text in x.txt and its fields, without the body, in x.json. The files' line ends are theirs.
func TestMailsReadAsTheirGoldenFilesSay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) == 0 {
		t.Fatalf("Glob() = %d files, %v, want some", len(files), err)
	}
	for _, file := range files {
		stem := strings.TrimSuffix(file, ".eml")
		t.Run(filepath.Base(stem), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m := read(t, string(data))
			golden(t, stem+".txt", textOf(t, m))
			m.Body = ""
			family := familyOf(t, m, data)
			m.Attachments = nil
			fields, err := json.MarshalIndent(struct {
				Mail
				Meeting     *Meeting `json:",omitempty"`
				Attachments []member `json:",omitempty"`
			}{m, m.Meeting, family}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, stem+".json", string(fields)+"\n")
		})
	}
}

// A member of a family as golden files have it: an attachment, with its content's size and hash in place of where it is.
type member struct {
	Name, Type, Charset, Encoding string
	Embedded, Encrypted           bool
	Size                          int
	SHA256                        string
	Defect                        string   `json:",omitempty"`
	Subject                       string   `json:",omitempty"` // of an attached message
	Attachments                   []member `json:",omitempty"`
}

func familyOf(t testing.TB, m Mail, message []byte) []member {
	t.Helper()
	var all []member
	for _, a := range m.Attachments {
		c := a.Content(bytes.NewReader(message))
		content, err := io.ReadAll(c)
		if err != nil {
			t.Fatalf("read content: %v", err)
		}
		k := member{
			Name: a.Name, Type: a.Type, Charset: a.Charset, Encoding: a.Encoding, Embedded: a.Embedded, Encrypted: a.Encrypted,
			Size: len(content), SHA256: fmt.Sprintf("%x", sha256.Sum256(content)), Defect: c.Defect(),
		}
		if a.Message() {
			within := read(t, string(content))
			k.Subject, k.Attachments = within.Subject, familyOf(t, within, content)
		}
		all = append(all, k)
	}
	return all
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

func TestEveryGoldenFileHasItsMail(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := f.Name()
		if ext := filepath.Ext(name); ext == ".txt" || ext == ".json" {
			if _, err := os.Stat(filepath.Join("testdata", strings.TrimSuffix(name, ext)+".eml")); err != nil {
				t.Errorf("%s has no mail", name)
			}
		}
	}
}

func TestMIHIsThatOfTheSpecification(t *testing.T) {
	t.Parallel()
	tests := []struct{ header, want string }{
		{"Message-ID: <CALckR-a8UDkRjO4xJyjd_s0GPxQWw@mail.gmail.com>\r\n", "1de319c276884bd0c9e2f1621ada26cc"},
		{"message-id:\r\n\t<CALckR-a8UDkRjO4xJyjd_s0GPxQWw@mail.gmail.com> \r\n", "1de319c276884bd0c9e2f1621ada26cc"},
		{"Message-ID: \r\n", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := read(t, tt.header+"\r\nx").MIH; got != tt.want {
			t.Errorf("MIH with %q = %q, want %q", tt.header, got, tt.want)
		}
	}
}

func TestTheDocumentHashIsThatOfTheContentAndNotOfItsForm(t *testing.T) {
	t.Parallel()
	const head = "From: Anna <anna@a.example>\r\nTo: bo@a.example, carl@a.example\r\nSubject: A long subject\r\nDate: Mon, 2 Mar 2026 10:15:00 +0100\r\n"
	const parts = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\u00FC\u00DFe\r\n" +
		"--b\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\nx\r\n--b--\r\n"
	original := read(t, head+parts)
	same := map[string]string{
		"another boundary": head + strings.NewReplacer("--b", "--zz", "=b", "=zz").Replace(parts),
		"folding":          strings.Replace(head, "long subject", "long\r\n subject", 1) + parts,
		"order of fields":  "Date: Mon, 2 Mar 2026 09:15:00 +0000\r\nSubject: A long subject\r\nTo: carl@A.example, Bo <bo@a.example>\r\nFrom: anna@a.example\r\n" + parts,
		"encoding": head + strings.Replace(strings.Replace(parts, "utf-8\r\n", "iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n", 1),
			"Gr\u00FC\u00DFe", "Gr=FC=DFe", 1),
		"another Message-ID": "Message-ID: <x@a.example>\r\n" + head + parts,
	}
	for name, mail := range same {
		if got := read(t, mail).DocumentHash; got != original.DocumentHash {
			t.Errorf("%s: DocumentHash = %s, want that of the original, %s", name, got, original.DocumentHash)
		}
	}
	seen := map[string]string{original.DocumentHash: "the original"}
	for name, change := range map[string][2]string{
		"sender": {"anna@", "annb@"}, "subject": {"long subject", "longer subject"}, "recipient": {"carl@", "cara@"},
		"field of a recipient": {"\r\nSubject", "\r\nCc: dora@a.example\r\nSubject"}, "date": {"10:15:00", "10:15:01"},
		"body": {"\u00DFe", "\u00DFen"}, "attachment": {"a.pdf", "b.pdf"},
	} {
		mail := strings.Replace(head+parts, change[0], change[1], 1)
		got := read(t, mail).DocumentHash
		if other, ok := seen[got]; ok {
			t.Errorf("another %s: DocumentHash is that of %s", name, other)
		}
		seen[got] = name
	}
}

func TestTheReadersOwnErrorIsTheOnlyOne(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk")
	_, err := Read(io.MultiReader(strings.NewReader("Subject: x\r\n\r\ntext"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("Read() = %v, want the reader's error", err)
	}
}

func TestAFaultOfTheReaderLeavesWhatWasRead(t *testing.T) {
	t.Parallel()
	m := &Mail{}
	p := newParser(nil, m) // there is nothing to read lines from
	p.head = header{"subject": {"Terms"}}
	p.read()
	if m.Subject != "Terms" || m.TextStatus != Failed || !slices.Equal(m.Defects, []string{Unreadable}) {
		t.Errorf("subject, status, defects = %q, %q, %q, want Terms, Failed, Unreadable", m.Subject, m.TextStatus, m.Defects)
	}
}

func TestTheSizeOfReadsDoesNotMatter(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/outlook-reply.eml")
	if err != nil {
		t.Fatal(err)
	}
	want := read(t, string(data))
	for name, r := range map[string]io.Reader{
		"one byte": iotest.OneByteReader(bytes.NewReader(data)), "half": iotest.HalfReader(bytes.NewReader(data)),
		"error with the data": iotest.DataErrReader(bytes.NewReader(data)),
	} {
		got, err := Read(r)
		if err != nil || got.DocumentHash != want.DocumentHash || !slices.Equal(got.Defects, want.Defects) {
			t.Errorf("%s at a time: Read() differs, error %v", name, err)
		}
	}
}

func TestLimitsAreKept(t *testing.T) {
	t.Parallel()
	nested := func(depth int) string {
		var b strings.Builder
		for i := range depth {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
		}
		return b.String() + "\r\nThe innermost text.\r\n"
	}
	recipients := strings.Repeat("\"Recipient, A\" <recipient@contoso.example>,\r\n ", 4999) + "a@contoso.example"
	var many strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&many, ",\r\n \"Person, No. %d\" <person%d@contoso.example>", i, i)
	}
	text := strings.Repeat(strings.Repeat("x", 1023)+"\n", maxPartText>>10)
	tests := []struct {
		name, mail string
		status     string
		defects    []string
		recipients int
	}{
		{"parts as deep as allowed", nested(maxDepth), Extracted, []string{MissingBoundary}, 0},
		{"parts too deep", nested(maxDepth + 1), Empty, []string{TooDeep, MissingBoundary}, 0},
		{"parts very much too deep", nested(20_000), Empty, []string{TooDeep, MissingBoundary}, 0},
		{"too many parts", "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", maxParts+10), Extracted,
			[]string{TooManyParts, MissingBoundary}, 0},
		{"a header of 4 MiB", "X-Filler: " + strings.Repeat("x", 4<<20) + "\r\nSubject: s\r\n\r\ntext", Extracted, nil, 0},
		{"a subject of 5 MiB", "Subject: " + strings.Repeat("x", 5<<20) + "\r\n\r\ntext", Extracted, []string{HeaderTooLarge}, 0},
		{"very many empty fields", strings.Repeat("To:\n", 200_000) + "\ntext", Extracted, []string{HeaderTooLarge}, 0},
		{"the same recipient many times", "To: " + recipients + "\r\n\r\ntext", Extracted, nil, 2},
		{"ten thousand recipients", "To: a@contoso.example" + many.String() + "\r\n\r\ntext", Extracted, nil, 10_001},
		{"text of just 8 MiB", "\r\n" + text[:maxPartText], Extracted, nil, 0},
		{"text of more than 8 MiB", "\r\n" + text + "x", TooLarge, []string{TextTooLarge}, 0},
		{"three texts of 8 MiB", "Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
			strings.Repeat("--b\r\n\r\n"+text, 3) + "--b--", TooLarge, []string{TextTooLarge}, 0},
		{"hostile words", "Subject: " + strings.Repeat("=?a?Q?", 200_000) + "\r\n\r\ntext", Extracted, nil, 0},
		{"hostile brackets", "To: " + strings.Repeat("<", 200_000) + ">\r\n\r\ntext", Extracted, nil, 0},
		{"hostile quotes", "To: " + strings.Repeat("\"\\", 200_000) + "\r\n\r\ntext", Extracted, nil, 1},
		{"hostile parentheses", "To: " + strings.Repeat("(", 200_000) + ")\r\n\r\ntext", Extracted, nil, 1},
		{"hostile prefixes", "Subject: " + strings.Repeat("re:", 200_000) + "\r\n\r\ntext", Extracted, nil, 0},
		{"hostile parameters", "Content-Type: text/plain" + strings.Repeat(";a*=b", 100_000) + "\r\n\r\ntext", Extracted, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := read(t, tt.mail)
			if m.TextStatus != tt.status || !slices.Equal(m.Defects, tt.defects) {
				t.Errorf("status, defects = %s, %q, want %s, %q", m.TextStatus, m.Defects, tt.status, tt.defects)
			}
			if m.Recipients != tt.recipients {
				t.Errorf("Recipients = %d, want %d", m.Recipients, tt.recipients)
			}
			if len(m.Body) > maxText+maxText/8 {
				t.Errorf("the body has %d bytes, want about %d at most", len(m.Body), maxText)
			}
		})
	}
}

// repeated gives n copies of a text as a stream.
type repeated struct {
	text string
	left int
	rest string
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.rest == "" {
		if r.left == 0 {
			return 0, io.EOF
		}
		r.left--
		r.rest = r.text
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// It is not parallel, so that what others allocate is not counted.
func TestAMailOf100MegabytesIsReadInLittleMemory(t *testing.T) {
	line := strings.Repeat("QUJD", 19) + "\r\n"
	mail := io.MultiReader(
		strings.NewReader("Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nThe text.\r\n"+
			"--b\r\nContent-Type: application/zip; name=large.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"),
		&repeated{text: strings.Repeat(line, 840), left: 1600},
		strings.NewReader("--b--\r\n"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := Read(mail)
	runtime.ReadMemStats(&after)
	if err != nil || m.Body != "The text.\r\n" || len(m.Attachments) != 1 || len(m.Defects) != 0 {
		t.Errorf("Read() = body %q, attachments %v, defects %q, %v, want the text and one attachment", m.Body, m.Attachments, m.Defects, err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("reading allocated %d bytes, want at most 1 MiB", got)
	}
}

func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) == 0 {
		f.Fatalf("Glob() = %d files, %v, want some", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := read(t, string(data))
		text := textOf(t, m)
		again := read(t, string(data))
		if again.DocumentHash != m.DocumentHash || textOf(t, again) != text || !slices.Equal(again.Defects, m.Defects) {
			t.Error("equal bytes gave different results")
		}
		if slices.Contains(m.Defects, Unreadable) {
			t.Error("the reader broke off")
		}
		if !strings.HasPrefix(text, "\uFEFF") || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			t.Error("the text is not UTF-8 with a byte order mark, or holds NUL")
		}
		if strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\n") || strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\r") {
			t.Error("the text has a line end other than CRLF")
		}
		if len(text) > 16*len(data)+1<<10 {
			t.Errorf("%d bytes of mail gave %d bytes of text", len(data), len(text))
		}
		for _, a := range m.Attachments {
			if a.Name == "" || len(a.Name) > maxName+len(".eml") || strings.ContainsAny(a.Name, "\r\n\x00") {
				t.Errorf("an attachment is called %q", a.Name)
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	paragraph := "<p class=3D\"MsoNormal\">The quick brown fox jumps over the lazy dog, again =\r\nand again, and <a href=3D\"https://contoso.example/a?b=3Dc\">reads</a> about it.</p>\r\n"
	mail := "From: Anna <anna@contoso.example>\r\nTo: Bo <bo@contoso.example>\r\nSubject: =?utf-8?Q?F=C3=BCr?=\r\nDate: Mon, 2 Mar 2026 10:15:00 +0100\r\n" +
		"Message-ID: <a@contoso.example>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + strings.Repeat(paragraph, 120) +
		"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 700) + "--b--\r\n"
	b.SetBytes(int64(len(mail)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(strings.NewReader(mail)); err != nil {
			b.Fatal(err)
		}
	}
}
