package mailfmt

import (
	"bytes"
	"encoding/base64"
	"io"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	mailcharset "github.com/emersion/go-message/charset"
	htmlcharset "golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
)

var utf8BOM = []byte("\uFEFF")

// decodeText turns a text of the declared charset into valid UTF-8. Whatever the bytes are, there is a text; the code says
// how it came about where it is not as declared. A byte order mark counts before the declaration.
func decodeText(b []byte, label string, isHTML bool) (text, defect string) {
	label = cleanLabel(label)
	switch {
	case bytes.HasPrefix(b, utf8BOM):
		b, label = b[len(utf8BOM):], "utf-8"
	case bytes.HasPrefix(b, []byte{0xFE, 0xFF}), bytes.HasPrefix(b, []byte{0xFF, 0xFE}):
		return convert(b, unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM)), ""
	case label == "" && isHTML && !utf8.Valid(b): // it may say in itself what it is
		if e, name, _ := htmlcharset.DetermineEncoding(b[:min(len(b), 1024)], ""); name != "utf-8" && name != "windows-1252" {
			return convert(b, e), ""
		}
	}
	switch label {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "x-unknown", "8bit", "7bit":
		return unlabelled(b)
	case "utf-7", "unicode-1-1-utf-7", "x-unicode-2-0-utf-7", "csunicode11utf7":
		return utf7(b), ""
	case "utf-16", "utf16", "unicode", "csunicode", "ucs-2", "iso-10646-ucs-2":
		if bytes.IndexByte(b, 0) < 0 && utf8.Valid(b) { // it has not one blank of UTF-16
			return string(b), WrongCharset
		}
		return convert(b, unicode.UTF16(byteOrder(b), unicode.IgnoreBOM)), ""
	}
	if isUTF8All(b, label) {
		return string(b), WrongCharset
	}
	// The names mean in mail what they mean on the web: iso-8859-1 is windows-1252, gb2312 is gbk.
	if e, err := htmlindex.Get(label); err == nil && e != encoding.Replacement {
		return convert(b, e), ""
	}
	if r, err := mailcharset.Reader(label, bytes.NewReader(b)); err == nil {
		if text, err := io.ReadAll(r); err == nil {
			return strings.ToValidUTF8(string(text), string(utf8.RuneError)), ""
		}
	}
	text, _ = unlabelled(b)
	return text, UnknownCharset
}

// isUTF8All reports whether a text that is said to be in another charset is UTF-8 throughout. By chance a text in a charset
// of single bytes never is: its letters beyond ASCII would have to come in pairs and threes of just the right kind. A few
// characters of a charset of double bytes can be.
func isUTF8All(b []byte, label string) bool {
	beyond := utf8.RuneCount(b) // of ASCII
	for _, c := range b {
		if c < utf8.RuneSelf {
			beyond--
		}
	}
	if beyond == 0 || !utf8.Valid(b) {
		return false
	}
	return beyond >= 4 || singleByte.MatchString(label)
}

var singleByte = regexp.MustCompile(`^(?:iso-?8859|latin|l[1-9]$|windows-125|cp-?125|koi8|tis-620|mac|x-mac|ibm|cp-?[48])`)

// byteOrder finds the order of UTF-16 without a mark by where most zeros are: in all scripts blanks and line ends have one.
//
// QUIRK: RFC 2781 says that it is big-endian then; what is in mail comes from Windows and is not.
func byteOrder(b []byte) unicode.Endianness {
	zeros := [2]int{}
	for i, c := range b {
		if c == 0 {
			zeros[i%2]++
		}
	}
	if zeros[0] > zeros[1] {
		return unicode.BigEndian
	}
	return unicode.LittleEndian
}

// cleanLabel takes away what mailers put around a charset's name.
func cleanLabel(label string) string {
	label = strings.ToLower(strings.Trim(label, " \t\r\n\"';"))
	label = strings.TrimPrefix(label, "charset=")
	return strings.Trim(label, "\"'")
}

// unlabelled reads bytes as UTF-8. If they are none, and hold nothing that only UTF-8 can mean, they are windows-1252; a
// damaged UTF-8 text keeps what is whole of it.
func unlabelled(b []byte) (text, defect string) {
	if isEscaped(b) {
		return convert(b, japanese.ISO2022JP), WrongCharset
	}
	if utf8.Valid(b) {
		return string(b), ""
	}
	if multibyte(b) {
		return strings.ToValidUTF8(string(b), string(utf8.RuneError)), WrongCharset
	}
	return convert(b, charmap.Windows1252), WrongCharset
}

// isEscaped reports whether a text in ASCII switches to Japanese and back, as ISO-2022-JP does: nothing else has these codes.
func isEscaped(b []byte) bool {
	i := bytes.Index(b, []byte("\x1b$"))
	if i < 0 || i+2 >= len(b) || b[i+2] != 'B' && b[i+2] != '@' {
		return false
	}
	return bytes.Contains(b[i:], []byte("\x1b(B")) || bytes.Contains(b[i:], []byte("\x1b(J"))
}

// multibyte reports whether whole characters of UTF-8 outnumber the bytes that belong to none.
func multibyte(b []byte) bool {
	whole, broken := 0, 0
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1:
			broken++
		case n > 1:
			whole++
		}
		b = b[n:]
	}
	return whole > broken
}

// convert decodes b; a decoder puts U+FFFD for what it cannot read and has no other errors.
func convert(b []byte, e encoding.Encoding) string {
	text, err := e.NewDecoder().Bytes(b)
	if err != nil {
		text, _ = charmap.Windows1252.NewDecoder().Bytes(b)
	}
	return strings.ToValidUTF8(string(text), string(utf8.RuneError))
}

// utf7 decodes RFC 2152. No library here has it, and old mail does.
func utf7(b []byte) string {
	var out strings.Builder
	for {
		i := bytes.IndexByte(b, '+')
		if i < 0 {
			break
		}
		out.Write(b[:i])
		b = b[i+1:]
		n := 0
		for n < len(b) && (b[n] == '+' || b[n] == '/' || b[n] >= '0' && b[n] <= '9' || b[n]|0x20 >= 'a' && b[n]|0x20 <= 'z') {
			n++
		}
		if n == 0 {
			out.WriteByte('+')
		}
		out.WriteString(utf7Run(b[:n]))
		if b = b[n:]; len(b) > 0 && b[0] == '-' {
			b = b[1:]
		}
	}
	out.Write(b)
	return strings.ToValidUTF8(out.String(), string(utf8.RuneError))
}

func utf7Run(b []byte) string {
	raw := make([]byte, base64.RawStdEncoding.DecodedLen(len(b)))
	n, _ := base64.RawStdEncoding.Decode(raw, b) // what was whole before an error stands
	units := make([]uint16, 0, n/2)
	for i := 0; i+1 < n; i += 2 {
		units = append(units, uint16(raw[i])<<8|uint16(raw[i+1]))
	}
	return string(utf16.Decode(units))
}
