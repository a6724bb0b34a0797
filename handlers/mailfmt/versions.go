package mailfmt

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// versions is the text of a multipart/alternative, which holds one text in several versions. Programs show one of them,
// mostly that in HTML, and nothing makes the others say the same.
//
// It is that of the richest version, the last in HTML (RFC 2046, 5.1.4): readers saw it, links and emoji are whole in it,
// and the rules for lists and tables are for it. The lines of another version that say what it does not follow under a
// line that tells so. So no word of any version is missing, nor two in a row on a line, for those who search, and those
// who read see that two versions contradict each other. A program's "this message is in HTML" is no exception: by its
// length alone, nothing tells it from what somebody wrote.
func (p *parser) versions(n *node) string {
	texts := make([]string, len(n.children))
	best := -1
	for i, c := range n.children {
		texts[i] = trimLines(p.body(c))
		if texts[i] != "" && (best < 0 || c.has(htmlText) || !n.children[best].has(htmlText)) {
			best = i
		}
	}
	if best < 0 {
		return ""
	}
	text := texts[best]
	for i, other := range texts {
		if i == best {
			continue
		}
		if more := trimLines(p.beyond(text, other)); more != "" {
			text += "\n\n" + versionNote + "\n" + more
		}
	}
	return text
}

// versionNote stands above what only another version of a text says.
const versionNote = "[Another version of this message also says]"

// maxCompared bounds the bytes of a message's versions that are compared; what is longer follows whole.
const maxCompared = 2 << 20

// beyond gives the lines of other that say what text does not.
func (p *parser) beyond(text, other string) string {
	if other == "" || other == text {
		return ""
	}
	if p.compared += len(text) + len(other); p.compared > maxCompared {
		return other
	}
	w := newWording(text)
	var more []string
	for line := range strings.SplitSeq(other, "\n") {
		if !w.says(line) {
			more = append(more, line)
		}
	}
	return strings.Join(more, "\n")
}

// A wording knows which words a text has, and which follow each other. Letter case, white space, punctuation and where on
// a host a link leads do not count: versions differ in them that say the same.
type wording struct {
	words map[string]uint32
	pairs map[uint64]struct{}
}

func newWording(text string) *wording {
	w := &wording{words: map[string]uint32{}, pairs: map[uint64]struct{}{}}
	w.each(lowered(text), func(before, past, word string) bool {
		if _, ok := w.words[word]; !ok {
			w.words[word] = uint32(len(w.words)) + 1 // none is 0: nothing was before
		}
		w.pairs[w.pair(before, word)] = struct{}{}
		w.pairs[w.pair(past, word)] = struct{}{}
		return true
	})
	return w
}

// says reports whether all words of a line are the text's, and in its order wherever two are side by side.
func (w *wording) says(line string) bool {
	line = strings.TrimLeft(lowered(line), "> \t\u00A0")
	if bullet, rest, ok := strings.Cut(line, " "); ok && isBullet(bullet) {
		line = rest
	}
	line = strings.ReplaceAll(line, "[image: ", "[") // so Gmail writes an image's alternative text
	return w.each(line, func(before, _, word string) bool {
		word = w.asPicture(word)
		if _, ok := w.words[word]; !ok {
			return false
		}
		_, ok := w.pairs[w.pair(w.asPicture(before), word)]
		return ok || before == ""
	})
}

// asPicture is the picture in the text that a letter of Wingdings is: Outlook's plain version has the letter.
func (w *wording) asPicture(word string) string {
	r, size := utf8.DecodeRuneInString(word)
	if picture, ok := wingdings[unicode.ToUpper(r)]; ok && size == len(word) {
		if _, ok := w.words[word]; !ok {
			return string(picture)
		}
	}
	return word
}

func (w *wording) pair(a, b string) uint64 { return uint64(w.words[a])<<32 | uint64(w.words[b]) }

// each gives a text's words one by one, each with the word before it, and the one before that is no symbol; it stops, and
// reports false, when of does. A link is no word of the sentence that it stands in, and is read apart.
func (w *wording) each(s string, of func(before, past, word string) bool) bool {
	var before, past string
	for s != "" {
		start, end := link(s)
		if !eachWord(s[:start], func(word string) bool {
			ok := of(before, past, word)
			if before = word; !isSymbol(word) {
				past = word
			}
			return ok
		}) {
			return false
		}
		last := ""
		if !eachWord(leadsTo(s[start:end]), func(word string) bool {
			ok := of(last, last, word)
			last = word
			return ok
		}) {
			return false
		}
		s = s[end:]
	}
	return true
}

// lowered is a text in small letters without what is not seen.
func lowered(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case invisible(r), r >= 0xFE00 && r <= 0xFE0F, r == 0x200C, r == 0x200D:
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// link finds the first link in s; without one, both ends are that of s.
func link(s string) (start, end int) {
	for i := 0; ; i++ {
		n := strings.IndexByte(s[i:], ':')
		if n < 0 {
			return len(s), len(s)
		}
		i += n
		for start = i; start > 0 && s[start-1] >= 'a' && s[start-1] <= 'z' && i-start < 16; start-- {
		}
		switch s[start:i] {
		case "http", "https", "ftp", "mailto", "tel", "sip", "callto", "cid", "file":
			n := strings.IndexAny(s[i:], " <>\"[])|\u00A0")
			if n < 0 {
				n = len(s) - i
			}
			return start, i + n
		}
	}
}

// leadsTo is a link's host, or whom it writes to: newsletters have another path for each version.
func leadsTo(link string) string {
	scheme, rest, _ := strings.Cut(link, ":")
	switch scheme {
	case "http", "https", "ftp":
		rest = strings.TrimLeft(rest, "/")
		if n := strings.IndexAny(rest, "/?#:"); n >= 0 {
			rest = rest[:n]
		}
		return rest
	case "mailto":
		rest, _, _ = strings.Cut(rest, "?")
		return rest
	}
	return ""
}

// eachWord cuts text without links into words: letters and digits in a row, symbols and letters of scripts that do not part
// words one by one.
func eachWord(s string, of func(word string) bool) bool {
	start := -1
	for i, r := range s {
		alone := isAlone(r)
		inWord := !alone && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
		if start >= 0 && !inWord {
			if !of(s[start:i]) {
				return false
			}
			start = -1
		}
		if inWord && start < 0 {
			start = i
		}
		if alone && !of(s[i:i+utf8.RuneLen(r)]) {
			return false
		}
	}
	return start < 0 || of(s[start:])
}

func isAlone(r rune) bool {
	return r >= 0x80 && unicode.In(r, unicode.So, unicode.Sc, unicode.Han, unicode.Hiragana, unicode.Katakana,
		unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) || r == '$'
}

func isSymbol(word string) bool {
	r, _ := utf8.DecodeRuneInString(word)
	return unicode.In(r, unicode.So)
}
