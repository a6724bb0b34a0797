package mailfmt

import (
	"bytes"
	"regexp"
	"strings"
)

// An address is a person as mail writes them. At least one of the two is not empty.
type address struct{ name, addr string }

// String is "Name <address>", or what of the two there is.
func (a address) String() string {
	switch {
	case a.addr == "":
		return a.name
	case a.name == "" || strings.EqualFold(a.name, a.addr):
		return a.addr
	}
	return a.name + " <" + a.addr + ">"
}

// key tells two persons apart: the address in lower case, or the name of one without.
func (a address) key() string {
	if a.addr != "" {
		return strings.ToLower(a.addr)
	}
	return strings.ToLower(a.name)
}

// addresses reads a list of persons, in linear time whatever it is. It takes what net/mail refuses: bare names, addresses
// without a domain, semicolons between persons, quotes and brackets that do not close, encoded words with commas in them,
// the addresses of Exchange's own directory. Of a group its members count.
func addresses(value string) []address {
	l := addressList{s: value, lastQuote: strings.LastIndexByte(value, '"'),
		lastParen: strings.LastIndexByte(value, ')'), lastWord: strings.LastIndex(value, "?=")}
	for l.i < len(l.s) {
		l.step()
	}
	l.flush()
	return l.found
}

type addressList struct {
	s     string
	i     int
	found []address

	phrase, comment, angle []byte
	inAngle                bool // an angle address was seen

	lastQuote, lastParen, lastWord int // where the list has its last of these
}

// step takes the next character, or all that it opens.
func (l *addressList) step() {
	switch c := l.s[l.i]; {
	case c == '"' && l.i < l.lastQuote:
		if text, rest, ok := quoted(l.s[l.i:]); ok {
			l.i = len(l.s) - len(rest)
			if strings.HasPrefix(rest, "@") {
				l.quotedLocal(text)
				return
			}
			l.phrase = append(l.phrase, text...)
			return
		}
		l.lastQuote = l.i // none closes from here on
	case c == '"': // never closes
		l.i++
		return
	case c == '<':
		l.i++
		l.bracketed()
		return
	case c == '>': // closes nothing
		l.i++
		return
	case c == '(' && l.i < l.lastParen:
		l.parenthesis()
		return
	case c == '=' && l.i < l.lastWord:
		if w, ok := word(l.s[l.i:]); ok {
			l.phrase = append(l.phrase, l.s[l.i:l.i+w.size]...)
			l.i += w.size
			return
		}
	case c == ',' || c == ';':
		l.flush()
		l.i++
		return
	case c == ':' && !l.inAngle && bytes.IndexByte(l.phrase[max(0, len(l.phrase)-maxName):], '@') < 0 &&
		!bytes.HasPrefix(bytes.TrimSpace(l.phrase), []byte("[")): // "[FAX:+1 2]"
		l.phrase = l.phrase[:0] // a group's name, or "mailto"
		l.i++
		return
	}
	l.phrase = append(l.phrase, l.s[l.i])
	l.i++
}

// quotedLocal reads an address whose part before the "@" was quoted, since it holds blanks or worse.
func (l *addressList) quotedLocal(local string) {
	rest := l.s[l.i:]
	n := strings.IndexAny(rest, ",; \t<>()")
	if n < 0 {
		n = len(rest)
	}
	l.i += n
	if len(l.angle) == 0 {
		l.angle = append(append(append(l.angle, '"'), local...), '"')
		l.angle = append(l.angle, rest[:n]...)
	}
	l.inAngle = true
}

// bracketed reads an address after its "<". One that does not close ends with the person.
func (l *addressList) bracketed() {
	rest := l.s[l.i:]
	n := strings.IndexByte(rest[:min(len(rest), maxName)], '>') // one that is far away closes another
	if n < 0 {
		n = strings.IndexAny(rest, ",;<")
	}
	if n < 0 {
		n = len(rest)
	}
	if len(l.angle) == 0 {
		l.angle = append(l.angle, rest[:n]...)
	}
	l.inAngle = true
	l.i += n
	if l.i < len(l.s) && l.s[l.i] == '>' {
		l.i++
	}
}

// parenthesis reads a comment, which may hold others.
func (l *addressList) parenthesis() {
	depth, from := 0, l.i
	for ; l.i < len(l.s); l.i++ {
		switch l.s[l.i] {
		case '\\':
			l.i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				l.comment = append(l.comment, l.s[from+1:l.i]...)
				l.i++
				return
			}
		}
	}
	l.i, l.lastParen = from+1, from // it does not close: a character like others
}

// flush ends a person.
func (l *addressList) flush() {
	phrase, comment := decodeWords(string(l.phrase)), unescaped.Replace(decodeWords(string(l.comment)))
	a := address{name: phrase}
	switch {
	case l.inAngle:
		within := decodeWords(string(l.angle))
		if !directory.MatchString(within) { // Exchange's hold parentheses of their own
			within, comment = withoutComments(within, comment)
		}
		a.addr = bareAddress(within)
	case strings.Contains(phrase, "@"):
		a = l.splitPhrase(phrase)
	case directory.MatchString(phrase):
		a = address{addr: phrase}
	}
	switch {
	case comment == "":
	case a.name == "":
		a.name = comment
	default: // "Anna (Sales) Berg" loses nothing
		a.name += " (" + comment + ")"
	}
	if name := strings.Trim(a.name, `'"`); strings.EqualFold(name, a.addr) {
		a.name = ""
	}
	if a != (address{}) {
		l.found = append(l.found, a)
	}
	l.phrase, l.comment, l.angle, l.inAngle = l.phrase[:0], l.comment[:0], l.angle[:0], false
}

var (
	unescaped    = strings.NewReplacer(`\\`, `\`, `\(`, "(", `\)`, ")")
	angleComment = regexp.MustCompile(`\s*\(([^()]*)\)\s*`)
	directory    = regexp.MustCompile(`(?i)^/(?:o|c|cn|ou)=`) // an address of Exchange's own directory, or of X.400
)

// withoutComments moves the comments within an address to those beside it.
func withoutComments(addr, comment string) (string, string) {
	for _, c := range angleComment.FindAllStringSubmatch(addr, maxComments) {
		comment = strings.TrimSpace(comment + " " + c[1])
		addr = strings.Replace(addr, c[0], "", 1)
	}
	return addr, comment
}

// maxComments bounds the comments that are read within one address.
const maxComments = 8

// bareAddress takes away a route ("@a,@b:c@d"), a scheme, and what does not belong into an address.
func bareAddress(s string) string {
	s = strings.Trim(s, " <>'")
	if strings.Count(s, `"`)%2 == 1 || strings.HasPrefix(s, `"`) && strings.HasSuffix(s, `"`) {
		s = strings.Trim(s, `"' `)
	}
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") && strings.Contains(s, "@") {
		s = s[1 : len(s)-1]
	}
	if strings.HasPrefix(s, "@") {
		if _, after, ok := strings.Cut(s, ":"); ok {
			s = after
		}
	}
	if len(s) > 7 && strings.EqualFold(s[:7], "mailto:") {
		s = s[7:]
	}
	return s
}

// splitPhrase finds the address in a person without angle brackets: the last word with an "@". Where there are several, the
// list has lost its commas: each is a person, called as the words before it.
func (l *addressList) splitPhrase(phrase string) address {
	var name []string
	var last address
	for word := range strings.FieldsSeq(phrase) {
		if !strings.Contains(word, "@") {
			name = append(name, word)
			continue
		}
		if last.addr != "" {
			l.found = append(l.found, last)
		}
		last, name = address{strings.Join(name, " "), bareAddress(word)}, nil
	}
	last.name = strings.TrimSpace(last.name + " " + strings.Join(name, " "))
	return last
}
