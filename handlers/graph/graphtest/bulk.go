package graphtest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
)

// Bulk makes a mail of about that many bytes, with one attachment that does not compress, while it is read: for
// [Message.MIME]. Exchange Online takes mails of up to 150 MB.
func Bulk(subject string, size int64) func(call uint64) (io.ReadCloser, error) {
	return func(call uint64) (io.ReadCloser, error) {
		boundary := "_000_" + hex.EncodeToString(seedBytes(fmt.Sprint(subject, call), 16)) + "_"
		head := "From: big@contoso.example\r\nSubject: " + encodeWords(subject) + "\r\nMIME-Version: 1.0\r\n" +
			"Content-Type: multipart/mixed; boundary=\"" + boundary + "\"\r\n\r\n--" + boundary +
			"\r\nContent-Type: text/plain\r\n\r\nSorry for the size.\r\n--" + boundary +
			"\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n" +
			"Content-Disposition: attachment; filename=\"bulk.bin\"\r\n\r\n"
		tail := "--" + boundary + "--\r\n"
		lines := &bulkLines{random: rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%-32.32s", subject))))}
		body := io.LimitReader(lines, max(0, size-int64(len(head)+len(tail)))/bulkLine*bulkLine)
		return io.NopCloser(io.MultiReader(strings.NewReader(head), body, strings.NewReader(tail))), nil
	}
}

// bulkLine is the length of a line of base64, 57 bytes and CRLF.
const bulkLine = 78

// bulkLines is base64 of noise without end, line by line.
type bulkLines struct {
	random *rand.ChaCha8
	buffer [bulkLine]byte
	line   []byte // what is left of the buffer
}

func (b *bulkLines) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(b.line) == 0 {
			var raw [57]byte
			_, _ = b.random.Read(raw[:]) // never fails
			b.line = append(base64.StdEncoding.AppendEncode(b.buffer[:0], raw[:]), '\r', '\n')
		}
		c := copy(p[n:], b.line)
		b.line, n = b.line[c:], n+c
	}
	return n, nil
}
