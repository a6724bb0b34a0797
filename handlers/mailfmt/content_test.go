package mailfmt

import (
	"bytes"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"mime/quotedprintable"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// withPart is a message whose second part is body, and that part.
func withPart(t testing.TB, encoding, body, tail string) (Attachment, []byte) {
	t.Helper()
	message := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n" +
		"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: " + encoding + "\r\n\r\n" + body + tail
	m := read(t, message)
	if len(m.Attachments) != 1 {
		t.Fatalf("%d attachments, want one", len(m.Attachments))
	}
	return m.Attachments[0], []byte(message)
}

// folded breaks a text into lines.
func folded(s string, n int) string {
	var b strings.Builder
	for len(s) > n {
		b.WriteString(s[:n] + "\r\n")
		s = s[n:]
	}
	return b.String() + s
}

// uuencoded writes content as uuencode does, in lines of 45 bytes.
func uuencoded(content []byte) string {
	var b strings.Builder
	b.WriteString("begin 644 a.pdf\r\n")
	for line := range slices.Chunk(content, 45) {
		b.WriteByte(byte(' ' + len(line)))
		for three := range slices.Chunk(line, 3) {
			group := append(bytes.Clone(three), 0, 0)
			n := uint32(group[0])<<16 | uint32(group[1])<<8 | uint32(group[2])
			for shift := 18; shift >= 0; shift -= 6 {
				b.WriteByte(" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_"[n>>shift&63])
			}
		}
		b.WriteString("\r\n")
	}
	return b.String() + "`\r\nend"
}

func TestAnAttachmentsContentIsWhatWasEncoded(t *testing.T) {
	t.Parallel()
	random := make([]byte, 5*contentBlock+7)
	rand.NewChaCha8([32]byte{1}).Read(random)
	lines := []byte(strings.Repeat("a line = of text \xE9 \r\nand \t\r\n\r\n", contentBlock/8))
	for name, content := range map[string][]byte{
		"random": random, "lines": lines, "one long line": bytes.Repeat([]byte("x=\xFF \t"), contentBlock), "empty": nil,
		"blanks": bytes.Repeat([]byte(" "), 3*contentBlock),
	} {
		for encoding, encode := range map[string]func([]byte) string{
			"binary":     func(b []byte) string { return string(b) },
			"base64":     func(b []byte) string { return folded(base64.StdEncoding.EncodeToString(b), 76) },
			"x-uuencode": uuencoded,
			"base64 in one line": func(b []byte) string {
				return base64.StdEncoding.EncodeToString(b)
			},
			"quoted-printable": func(b []byte) string {
				var out bytes.Buffer
				w := quotedprintable.NewWriter(&out)
				w.Binary = name == "random"
				if _, err := w.Write(b); err != nil {
					t.Fatal(err)
				}
				w.Close()
				return out.String()
			},
		} {
			for _, tail := range []string{"\r\n--b--\r\n", "\r\n--b\r\n\r\nmore\r\n--b--", ""} {
				a, message := withPart(t, strings.Fields(encoding)[0], encode(content), tail)
				c := a.Content(bytes.NewReader(message))
				got, err := io.ReadAll(iotest.OneByteReader(c))
				if err != nil || !bytes.Equal(got, content) || c.Defect() != "" {
					t.Errorf("%s as %s, then %q: %d bytes, %v, defect %q, want the %d bytes", name, encoding, tail, len(got), err, c.Defect(), len(content))
				}
			}
		}
	}
}
