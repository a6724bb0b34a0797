package mailfmt

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"
)

// decodeTransfer undoes a text's transfer encoding. What breaks it is passed over, never what is around it.
func decodeTransfer(b []byte, encoding string) (text []byte, defect string) {
	switch encoding {
	case "", "7bit", "8bit", "binary":
		return b, ""
	case "quoted-printable":
		return decodeQuotedPrintable(b), ""
	case "base64":
		text, broken := decodeBase64(b)
		if broken == 0 && bytes.IndexByte(b, ' ') < 0 && bytes.IndexByte(b, '\t') < 0 {
			return text, ""
		}
		b, words := withoutFooter(b)
		text, broken = decodeBase64(b)
		switch {
		case len(words) > 0:
			return append(append(text, '\n'), words...), BrokenBase64
		case isWords(b, broken): // the label is wrong
			return b, BrokenBase64
		case broken > 0:
			return text, BrokenBase64
		}
		return text, ""
	}
	if isUuencode(encoding) {
		d := &uuDecoder{}
		text, _ := d.step(nil, b, true)
		if len(text) == 0 || d.broken > 0 { // the label is wrong, or words stand around the file
			return b, BrokenUuencode
		}
		return text, ""
	}
	return b, UnknownEncoding
}

// encodingName is a Content-Transfer-Encoding without what mailers put around it.
func encodingName(value string) string {
	if i := bytes.IndexAny([]byte(value), ";( \t"); i >= 0 {
		value = value[:i]
	}
	switch name := cleanLabel(value); name {
	case "8-bit":
		return "8bit"
	case "7-bit":
		return "7bit"
	default:
		return name
	}
}

// decodeBase64 decodes a text as a whole; see base64Decoder.
func decodeBase64(b []byte) (out []byte, broken int) {
	d := &base64Decoder{}
	out, _ = d.step(make([]byte, 0, len(b)/4*3+3), b, true)
	return out, d.broken
}

// withoutFooter cuts off lines of words that follow lines of base64: lists append their footer to a text as it is encoded.
func withoutFooter(b []byte) (encoded, words []byte) {
	for at := 0; at < len(b); {
		line, _, _ := bytes.Cut(b[at:], []byte{'\n'})
		if isBase64Line(line) {
			at += len(line) + 1
			continue
		}
		text, before := decodeBase64(b[:at])
		_, broken := decodeBase64(b[at:])
		if at > 0 && before == 0 && isWords(b[at:], broken) && (at > 60 || utf8.Valid(text)) { // "Dear" can be base64 too
			return b[:at], b[at:]
		}
		break
	}
	return b, nil
}

// isBase64Line reports whether a line is base64 and nothing else, with blanks and up to two "=" at its end.
func isBase64Line(line []byte) bool {
	line = bytes.TrimRight(line, " \t\r")
	for range 2 {
		line = bytes.TrimSuffix(line, []byte{'='})
	}
	for _, c := range line {
		if base64Values[c] < 0 {
			return false
		}
	}
	return true
}

// isWords reports whether what is labelled base64 is none at all: so much of it is broken, or blanks, that it is written
// words.
func isWords(b []byte, broken int) bool { return (broken+bytes.Count(b, []byte{' '}))*12 > len(b) }

// A base64Decoder decodes groups of four and passes over everything else. Padding ends a group, not the text: mailers join
// texts that were encoded one by one.
type base64Decoder struct {
	group  uint32
	n      int // characters of the group
	padded bool
	broken int // bytes that belong to no group, blanks apart
}

// step appends what it decodes of b to out; none of b is left over.
func (d *base64Decoder) step(out, b []byte, last bool) ([]byte, int) {
	for i := 0; i < len(b); i++ {
		if d.n == 0 && base64Values[b[i]] >= 0 {
			var n int
			if out, n = wholeGroups(out, b[i:]); n > 0 {
				d.padded = false
			}
			if i += n; i == len(b) {
				break
			}
		}
		c := b[i]
		v := base64Values[c]
		switch {
		case v >= 0:
			d.padded = false
			d.group, d.n = d.group<<6|uint32(v), d.n+1
			if d.n == 4 {
				out = append(out, byte(d.group>>16), byte(d.group>>8), byte(d.group))
				d.group, d.n = 0, 0
			}
		case c == '=':
			if d.n == 0 && !d.padded {
				d.broken++
			}
			d.padded = true
			out = d.end(out)
		case c == ' ', c == '\t', c == '\r', c == '\n':
		default:
			d.broken++
		}
	}
	if last && d.n > 0 {
		d.broken++
		out = d.end(out)
	}
	return out, 0
}

// end closes a group that is not full.
func (d *base64Decoder) end(out []byte) []byte {
	switch d.n {
	case 1:
		d.broken++
	case 2:
		out = append(out, byte(d.group>>4))
	case 3:
		out = append(out, byte(d.group>>10), byte(d.group>>2))
	}
	d.group, d.n = 0, 0
	return out
}

func (d *base64Decoder) defect() string {
	if d.broken > 0 {
		return BrokenBase64
	}
	return ""
}

// base64Values are the values of base64's characters; of all others -1.
var base64Values = func() (values [256]int8) {
	for c := range values {
		values[c] = -1
	}
	for v, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		values[c] = int8(v)
	}
	return values
}()

// wholeGroups decodes the groups that b begins with, up to the first that is not four characters side by side, and tells how
// many bytes of b they are. Lines that are whole and nothing else, as almost all are, the standard library decodes.
func wholeGroups(out, b []byte) ([]byte, int) {
	n := 0
	for {
		line := bytes.IndexByte(b[n:], '\n')
		if line < 0 {
			break
		}
		text := bytes.TrimSuffix(b[n:n+line], []byte{'\r'})
		if len(text) == 0 || len(text)%4 != 0 || bytes.IndexByte(text, '\r') >= 0 { // the library reads on after a CR
			break
		}
		more, err := base64.RawStdEncoding.AppendDecode(out, text)
		if err != nil {
			break
		}
		out, n = more, n+line+1
	}
	for len(b)-n >= 4 {
		v0, v1, v2, v3 := base64Values[b[n]], base64Values[b[n+1]], base64Values[b[n+2]], base64Values[b[n+3]]
		if v0|v1|v2|v3 < 0 {
			break
		}
		group := uint32(v0)<<18 | uint32(v1)<<12 | uint32(v2)<<6 | uint32(v3)
		out = append(out, byte(group>>16), byte(group>>8), byte(group))
		n += 4
	}
	return out, n
}

// decodeQuotedPrintable decodes RFC 2045, 6.7, of lines that end in LF, in place. A "=" that begins no code stands for itself,
// and bytes that should have been encoded stand as they are.
func decodeQuotedPrintable(b []byte) []byte {
	out := b[:0]
	for len(b) > 0 {
		line, rest, broken := bytes.Cut(b, []byte{'\n'})
		b = rest
		line, soft := quotedLine(line)
		out = appendUnquoted(out, line)
		if broken && !soft {
			out = append(out, '\n')
		}
	}
	return out
}

// quotedLine is a line without what is transport's: blanks at its end, and the "=" of a line break that is none.
func quotedLine(line []byte) (_ []byte, soft bool) {
	line = bytes.TrimRight(line, " \t\r")
	return bytes.CutSuffix(line, []byte{'='})
}

// appendUnquoted decodes a line, or a piece of one that holds its codes whole.
func appendUnquoted(out, line []byte) []byte {
	for i := 0; i < len(line); i++ {
		if line[i] == '=' && i+2 < len(line) && isHex(line[i+1]) && isHex(line[i+2]) {
			out = append(out, unhex(line[i+1])<<4|unhex(line[i+2]))
			i += 2
			continue
		}
		out = append(out, line[i])
	}
	return out
}
