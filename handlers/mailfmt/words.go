package mailfmt

import (
	"strings"
	"unicode/utf8"
)

// decodeWords decodes a header value: encoded words (RFC 2047), and 8-bit bytes as UTF-8 or else windows-1252. The
// result is one line without control characters.
//
// mime.WordDecoder is not used: mailers split a character between two words, leave out the padding, and put blanks
// inside a word, and it takes none of these. Words that adjoin in one charset are joined before they are decoded.
func decodeWords(s string) string {
	if !strings.Contains(s, "=?") {
		return oneLine(literal(s))
	}
	var out strings.Builder
	var run []byte // bytes of adjoining words
	label := ""
	flush := func() {
		text, _ := decodeText(run, label, false)
		out.WriteString(text)
		run = run[:0]
	}
	last := strings.LastIndex(s, "?=")
	plain := 0 // where the text that is in no word begins
	for i := 0; i < last; {
		w, ok := word(s[i:])
		if !ok {
			i++
			if n := strings.Index(s[i:], "=?"); n > 0 {
				i += n
			} else if n < 0 {
				break
			}
			continue
		}
		between := s[plain:i]
		adjoins := len(run) > 0 && strings.Trim(between, " \t") == ""
		if !adjoins || !strings.EqualFold(label, w.label) {
			flush()
		}
		if !adjoins {
			out.WriteString(literal(between))
		}
		run, label = append(run, w.bytes...), w.label
		if len(run) == 0 { // an empty word still swallows the blanks about it
			plain = i + w.size
			i = plain
			continue
		}
		i += w.size
		plain = i
	}
	flush()
	out.WriteString(literal(s[plain:]))
	return oneLine(out.String())
}

type encodedWord struct {
	label string
	bytes []byte
	size  int // of the word as it is written
}

// word reads the encoded word that s begins with.
func word(s string) (encodedWord, bool) {
	rest, ok := strings.CutPrefix(s, "=?")
	if !ok {
		return encodedWord{}, false
	}
	label, rest, ok := strings.Cut(rest[:min(len(rest), 64)], "?")
	if !ok || label == "" || strings.ContainsAny(label, " \t<>@,;\"") {
		return encodedWord{}, false
	}
	at := len("=?") + len(label) + len("?")
	if len(rest) < 2 || rest[1] != '?' {
		return encodedWord{}, false
	}
	text := s[at+2:]
	end := strings.Index(text, "?=")
	if end < 0 {
		return encodedWord{}, false
	}
	w := encodedWord{size: at + 2 + end + 2}
	if n := strings.Index(text[:end], "=?"); n >= 0 { // it is not closed: another begins within it
		w.size, end = at+2+n, len(strings.TrimRight(text[:n], " \t"))
	}
	w.label, _, _ = strings.Cut(label, "*") // a language may follow: RFC 2231, 5
	switch text = text[:end]; rest[0] {
	case 'B', 'b':
		w.bytes, _ = decodeBase64([]byte(text))
	case 'Q', 'q':
		w.bytes = decodeQ(text)
	default:
		return encodedWord{}, false
	}
	return w, true
}

func decodeQ(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '_':
			out = append(out, ' ')
		case s[i] == '=' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return out
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// literal reads bytes that declare no charset.
func literal(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	text, _ := unlabelled([]byte(s))
	return text
}

// oneLine puts a blank for every control character and line break, and takes out what is not seen.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == 0:
			return -1
		case r < 0x20, r >= 0x7F && r <= 0x9F, r == 0x2028, r == 0x2029:
			return ' '
		case invisible(r):
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(unjoin(s))
}

// shorten cuts s to n bytes between two characters.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
