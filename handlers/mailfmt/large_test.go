package mailfmt

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// Messages that are too large to keep in testdata, each with what a reader must get of it.
func TestLargeMailsAreReadWhole(t *testing.T) {
	t.Parallel()
	const million = 1 << 20
	long := strings.Repeat("word ", million/5)
	head := func(encoding, kind string) string {
		return "Subject: large\r\nContent-Type: " + kind + "; charset=utf-8\r\nContent-Transfer-Encoding: " + encoding + "\r\n\r\n"
	}
	ends := func(body string) bool {
		return strings.HasSuffix(body, "word last\r\n") && strings.Count(body, "word") == million/5
	}
	tests := []struct {
		name, mail string
		right      func(Mail) bool
	}{
		{"a line of 1 MB in plain text", head("7bit", plainText) + long + "last", func(m Mail) bool { return ends(m.Body) }},
		{"a line of 1 MB in HTML", head("8bit", htmlText) + "<p>" + long + "last</p>", func(m Mail) bool { return ends(m.Body) }},
		{"a line of 1 MB in quoted-printable", head("quoted-printable", plainText) + strings.ReplaceAll(long, " ", "=20") + "last",
			func(m Mail) bool { return ends(m.Body) }},
		{"a line of 1 MB in base64", head("base64", plainText) + base64.StdEncoding.EncodeToString([]byte(long+"last")),
			func(m Mail) bool { return ends(m.Body) }},
		{"a line of 1 MB in format=flowed", "Content-Type: text/plain; format=flowed\r\n\r\n" +
			strings.ReplaceAll(long, "word ", "word \r\n") + "last",
			func(m Mail) bool { return ends(m.Body) }},
		{"a subject of 1 MB", "Subject: " + long + "last\r\n\r\nx", func(m Mail) bool { return ends(m.Subject + crlf) }},
		{"a subject of 100,000 folds", "Subject: a" + strings.Repeat("\r\n b", 100_000) + "\r\n\r\nx",
			func(m Mail) bool { return strings.Count(m.Subject, " b") == 100_000 }},
		{"a subject of 20,000 encoded words", "Subject: " + strings.Repeat("=?utf-8?B?w6Q=?=\r\n ", 20_000) + "\r\n\r\nx",
			func(m Mail) bool { return m.Subject == strings.Repeat("ä", 20_000) }},
		{"10,000 recipients", "To: " + many(10_000, "Person %d <person%d@contoso.example>,\r\n ") + "\r\n\r\nx",
			func(m Mail) bool {
				return m.Recipients == 10_000 && m.To[9_999] == "Person 9999 <person9999@contoso.example>"
			}},
		{"10,000 recipients in a group each", "To: " + many(10_000, "G%d: person%d@contoso.example;,\r\n ") + "\r\n\r\nx",
			func(m Mail) bool { return m.Recipients == 10_000 }},
		{"10,000 references", "References: " + many(10_000, "<%d.%d@contoso.example>\r\n ") + "\r\n\r\nx",
			func(m Mail) bool { return len(m.References) == 10_000 }},
		{"2,000 attachments", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n" +
			many(2_000, "--b\r\nContent-Type: application/pdf; name=\"%d.pdf\"\r\n\r\ncontent %d\r\n") + "--b--\r\n",
			func(m Mail) bool { return len(m.Attachments) == 2_000 && m.Attachments[1_999].Name == "1999.pdf" }},
		{"2,000 files in uuencode", "\r\n" + many(2_000, "begin 644 %d.txt\r\n#0V%%T\r\n`\r\nend\r\n%d\r\n"),
			func(m Mail) bool { return len(m.Attachments) == 2_000 && strings.HasSuffix(m.Body, "\r\n1999\r\n") }},
		{"100 levels of multipart", nest(100, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", "\r\ninnermost"),
			func(m Mail) bool { return m.Body == "innermost\r\n" }},
		{"100 levels of alternatives", nest(100, "Content-Type: multipart/alternative; boundary=b%d\r\n\r\n--b%d\r\n",
			"Content-Type: text/html\r\n\r\n<p>"+long+"last"),
			func(m Mail) bool { return ends(m.Body) }},
		{"alternatives too large to compare", "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n" + long +
			"\r\n--b\r\nContent-Type: text/html\r\n\r\n" + long + long + "\r\n--b--",
			func(m Mail) bool {
				return strings.Count(m.Body, "word") == 3*(million/5) && strings.Contains(m.Body, versionNote)
			}},
		{"a table of 50,000 rows", head("8bit", htmlText) + "<table>" + strings.Repeat("<tr><td>a<td>b", 50_000) + "</table>",
			func(m Mail) bool { return strings.Count(m.Body, "a | b\r\n") == 50_000 }},
		{"a list of 50,000 items that counts down", head("8bit", htmlText) + "<ol reversed>" + strings.Repeat("<li>a", 50_000) + "</ol>",
			func(m Mail) bool {
				return strings.HasPrefix(m.Body, "50000. a 49999. a ") && strings.HasSuffix(m.Body, " 1. a\r\n")
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if m := read(t, tt.mail); !tt.right(m) || m.TextStatus != Extracted {
				t.Errorf("subject %.60q, %d attachments, %d recipients, defects %q, body %.60q … of %d bytes: not what was written",
					m.Subject, len(m.Attachments), m.Recipients, m.Defects, m.Body, len(m.Body))
			}
		})
	}
}

// many writes n times what has a number twice.
func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i, i)
	}
	return b.String()
}

func nest(n int, format, innermost string) string { return many(n, format) + innermost }

func TestAHundredMessagesWithinEachOtherAreAFamily(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "Subject: level %d\r\nContent-Type: message/rfc822\r\n\r\n", i)
	}
	message := []byte(b.String() + "Subject: innermost\r\n\r\nwords")
	for i := range 100 {
		m := read(t, string(message))
		if m.Subject != fmt.Sprintf("level %d", i) || len(m.Attachments) != 1 || !m.Attachments[0].Message() {
			t.Fatalf("level %d: subject %q, attachments %v, want one message", i, m.Subject, m.Attachments)
		}
		inner, err := io.ReadAll(m.Attachments[0].Content(bytes.NewReader(message)))
		if err != nil {
			t.Fatal(err)
		}
		message = inner
	}
	if m := read(t, string(message)); m.Subject != "innermost" || m.Body != "words\r\n" || !slices.Equal(m.Defects, nil) {
		t.Errorf("the innermost: %q, %q, want its subject and words", m.Subject, m.Body)
	}
}
