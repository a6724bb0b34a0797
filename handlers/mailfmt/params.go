package mailfmt

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// parameters reads a value such as `text/plain; charset="utf-8"`: what stands before the first semicolon, in lower case,
// and the parameters by their lower-case names, decoded. The first of two parameters of a name counts.
//
// mime.ParseMediaType is not used: it refuses the whole value for one bad parameter, and of RFC 2231 it knows UTF-8 alone.
func parameters(value string) (string, map[string]string) {
	head, rest, _ := strings.Cut(value, ";")
	head = strings.ToLower(strings.TrimSpace(head))
	params := map[string]string{}
	var pieces []paramPiece
	for rest != "" {
		var name, text string
		name, text, rest = parameter(rest)
		if base, star, ok := strings.Cut(name, "*"); ok && base != "" {
			pieces = append(pieces, piecesOf(base, star, text))
			continue
		}
		if _, ok := params[name]; !ok && name != "" {
			params[name] = decodeWords(text)
		}
	}
	joinPieces(params, pieces)
	return head, params
}

// parameter cuts the first "name=value" off s.
func parameter(s string) (name, value, rest string) {
	i := strings.IndexAny(s, "=;")
	if i < 0 {
		return "", "", ""
	}
	if s[i] == ';' {
		return "", "", s[i+1:]
	}
	name = strings.ToLower(strings.Trim(s[:i], " \t\r\n"))
	s = strings.TrimLeft(s[i+1:], " \t\r\n")
	if text, after, ok := quoted(s); ok {
		_, rest, _ = strings.Cut(after, ";")
		return name, text, rest
	}
	value, rest, _ = strings.Cut(s, ";")
	return name, strings.Trim(value, " \t\r\n\""), rest
}

// quoted reads the quoted string that s begins with. A backslash before a character other than a quote or a backslash is
// itself: Windows paths come so.
func quoted(s string) (text, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// A paramPiece is one of the pieces that RFC 2231 cuts a long parameter into: name*0, name*1* …; one alone is name*.
type paramPiece struct {
	name    string
	number  int
	encoded bool
	text    string
}

func piecesOf(base, star, text string) paramPiece {
	number, encoded := strings.CutSuffix(star, "*")
	p := paramPiece{name: base, encoded: encoded || star == "", text: text}
	p.number, _ = strconv.Atoi(number)
	return p
}

// joinPieces puts the pieces of each parameter together. They count before the parameter's plain form, which is written
// beside them for old readers.
func joinPieces(params map[string]string, pieces []paramPiece) {
	slices.SortStableFunc(pieces, func(a, b paramPiece) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.number, b.number))
	})
	for len(pieces) > 0 {
		n := 1
		for n < len(pieces) && pieces[n].name == pieces[0].name {
			n++
		}
		params[pieces[0].name] = joined(pieces[:n])
		pieces = pieces[n:]
	}
}

func joined(pieces []paramPiece) string {
	label, any := "", false
	var raw []byte
	for i, p := range pieces {
		text := p.text
		if p.encoded && i == 0 {
			if parts := strings.SplitN(text, "'", 3); len(parts) == 3 {
				label, text = parts[0], parts[2]
			}
		}
		if p.encoded {
			any = true
			raw = append(raw, percentDecoded(text)...)
			continue
		}
		raw = append(raw, text...)
	}
	if !any {
		return decodeWords(string(raw))
	}
	text, _ := decodeText(raw, label, false)
	return oneLine(text)
}

func percentDecoded(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return out
}
