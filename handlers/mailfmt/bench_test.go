package mailfmt

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/quotedprintable"
	"strings"
	"testing"

	"github.com/emersion/go-message"
)

// typical makes messages as offices send them, 75 KB in the mean: of ten, five are a few lines in both versions, three a long
// HTML thread, two carry a file. They are encoded as Exchange does it: what is ASCII in quoted-printable, all else in base64.
func typical(n int) [][]byte {
	noise := make([]byte, 256<<10)
	rand.NewChaCha8([32]byte{7}).Read(noise)
	var all [][]byte
	for i := range n {
		encode, greeting, paragraphs := inQuotedPrintable, "Please", 20
		if i%2 == 1 {
			encode, greeting = inBase64, "Bitte prüfen, and"
		}
		if i%10 >= 5 && i%10 < 8 {
			paragraphs = 250
		}
		var m, plain, page strings.Builder
		page.WriteString("<html><head><style>p{margin:0}</style></head><body>\r\n")
		for p := range paragraphs {
			plain.WriteString(fmt.Sprintf("%s look at item %d of the list (page %d) before\r\nFriday. Carl asked for it %d times.\r\n\r\n", greeting, i, p, p%7))
			page.WriteString(fmt.Sprintf("<p class=MsoNormal><span style='color:black'>%s look at item %d of the list (page %d) before Friday. "+
				"Carl asked for it %d times.</span></p>\r\n", greeting, i, p, p%7))
		}
		page.WriteString("</body></html>")
		m.WriteString("From: Anna Berg <anna@contoso.example>\r\nTo: Bo <bo@contoso.example>, carl@fabrikam.example\r\nSubject: Item\r\n" +
			"Date: Mon, 02 Mar 2026 10:15:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n" +
			"--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\nContent-Type: text/plain; charset=utf-8\r\n" +
			encode(plain.String()) + "\r\n--i\r\nContent-Type: text/html; charset=utf-8\r\n" + encode(page.String()) + "\r\n--i--\r\n")
		if i%10 >= 8 {
			file := noise[:96<<10+i%7*(24<<10)]
			m.WriteString("--o\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
				folded(base64.StdEncoding.EncodeToString(file), 76) + "\r\n")
		}
		m.WriteString("--o--\r\n")
		all = append(all, []byte(m.String()))
	}
	return all
}

// inQuotedPrintable and inBase64 give a part's last header field, the empty line and the content.
func inQuotedPrintable(text string) string {
	var b strings.Builder
	w := quotedprintable.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		panic(err) // a builder has no errors
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return "Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b.String()
}

func inBase64(text string) string {
	return "Content-Transfer-Encoding: base64\r\n\r\n" + folded(base64.StdEncoding.EncodeToString([]byte(text)), 76)
}

// BenchmarkTypicalMail reads messages and the content of their attachments: with this package, which makes text, fields and
// hashes of them, and with the plain MIME library, which decodes the same bytes and does nothing with them.
func BenchmarkTypicalMail(b *testing.B) {
	mails := typical(200)
	total := int64(0)
	for _, m := range mails {
		total += int64(len(m))
	}
	b.Run("mailfmt", func(b *testing.B) {
		b.SetBytes(total)
		b.ReportAllocs()
		for b.Loop() {
			for _, data := range mails {
				m, err := Read(bytes.NewReader(data))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, m.Text()); err != nil {
					b.Fatal(err)
				}
				for i := range m.Attachments {
					if _, err := io.Copy(io.Discard, m.Attachments[i].Content(bytes.NewReader(data))); err != nil {
						b.Fatal(err)
					}
				}
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.SetBytes(total)
		b.ReportAllocs()
		for b.Loop() {
			for _, data := range mails {
				e, err := message.Read(bytes.NewReader(data))
				if err != nil {
					b.Fatal(err)
				}
				if err := e.Walk(func(_ []int, part *message.Entity, err error) error {
					if err == nil && part.MultipartReader() == nil {
						_, err = io.Copy(io.Discard, part.Body)
					}
					return err
				}); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
