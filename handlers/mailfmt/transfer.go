package mailfmt

import "bytes"

// decodeTransfer undoes a text's transfer encoding. What breaks it is passed over, never what is around it.
func decodeTransfer(b []byte, encoding string) (text []byte, defect string) {
	switch encoding {
	case "", "7bit", "8bit", "binary":
		return b, ""
	case "quoted-printable":
		return decodeQuotedPrintable(b), ""
	case "base64":
		text, broken := decodeBase64(b)
		switch {
		case (broken+bytes.Count(b, []byte{' '}))*12 > len(b): // words, not base64: the label is wrong
			return b, BrokenBase64
		case broken > 0:
			return text, BrokenBase64
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

// decodeBase64 decodes groups of four and passes over everything else. Padding ends a group, not the text: mailers join
// texts that were encoded one by one. broken counts bytes that belong to no group, blanks apart.
func decodeBase64(b []byte) (out []byte, broken int) {
	out = make([]byte, 0, len(b)/4*3+3)
	var group uint32
	n, padded := 0, false
	end := func() {
		switch n {
		case 1:
			broken++
		case 2:
			out = append(out, byte(group>>4))
		case 3:
			out = append(out, byte(group>>10), byte(group>>2))
		}
		group, n = 0, 0
	}
	for _, c := range b {
		v := base64Value(c)
		switch {
		case v >= 0:
			padded = false
			group, n = group<<6|uint32(v), n+1
			if n == 4 {
				out = append(out, byte(group>>16), byte(group>>8), byte(group))
				group, n = 0, 0
			}
		case c == '=':
			if n == 0 && !padded {
				broken++
			}
			padded = true
			end()
		case c == ' ', c == '\t', c == '\r', c == '\n':
		default:
			broken++
		}
	}
	if n > 0 {
		broken++
		end()
	}
	return out, broken
}

func base64Value(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}

// decodeQuotedPrintable decodes RFC 2045, 6.7, of lines that end in LF, in place. A "=" that begins no code stands for itself,
// and bytes that should have been encoded stand as they are.
func decodeQuotedPrintable(b []byte) []byte {
	out := b[:0]
	for len(b) > 0 {
		line, rest, broken := bytes.Cut(b, []byte{'\n'})
		b = rest
		line = bytes.TrimRight(line, " \t\r") // blanks at a line's end are transport's
		soft := bytes.HasSuffix(line, []byte{'='})
		line = bytes.TrimSuffix(line, []byte{'='})
		for i := 0; i < len(line); i++ {
			if line[i] == '=' && i+2 < len(line) && isHex(line[i+1]) && isHex(line[i+2]) {
				out = append(out, unhex(line[i+1])<<4|unhex(line[i+2]))
				i += 2
				continue
			}
			out = append(out, line[i])
		}
		if broken && !soft {
			out = append(out, '\n')
		}
	}
	return out
}
