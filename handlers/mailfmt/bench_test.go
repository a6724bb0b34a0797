package mailfmt

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/emersion/go-message"
)

// typical makes messages as offices send them, 75 KB in the mean: of ten, five are a few lines in both faces, three a long
// HTML thread, two carry a file.
func typical(n int) [][]byte {
	noise := make([]byte, 256<<10)
	rand.NewChaCha8([32]byte{7}).Read(noise)
	var all [][]byte
	for i := range n {
		words := strings.Repeat(fmt.Sprintf("Please look at item %d of the list before Friday. ", i), 40)
		page := "<html><head><style>p{margin:0}</style></head><body>" + strings.Repeat("<p class=MsoNormal><span style='color:black'>"+words[:180]+"</span></p>\r\n", 20)
		var m strings.Builder
		m.WriteString("From: Anna Berg <anna@contoso.example>\r\nTo: Bo <bo@contoso.example>, carl@fabrikam.example\r\nSubject: Item\r\n" +
			"Date: Mon, 02 Mar 2026 10:15:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n" +
			"--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" +
			folded(words, 70) + "\r\n--i\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
		if i%10 >= 5 && i%10 < 8 {
			page = strings.Repeat(page, 15)
		}
		m.WriteString(page + "\r\n--i--\r\n")
		if i%10 >= 8 {
			file := noise[:64<<10+i%7*(24<<10)]
			m.WriteString("--o\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
				folded(base64.StdEncoding.EncodeToString(file), 76) + "\r\n")
		}
		m.WriteString("--o--\r\n")
		all = append(all, []byte(m.String()))
	}
	return all
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
				m := read(b, string(data))
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
