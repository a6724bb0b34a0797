package mailfmt

import (
	"hash/maphash"
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A wording knows which words a text has, and which follow each other. Letter case, white space, punctuation and where on
// a host a link leads do not count: versions differ in them that say the same.
//
// It keeps hashes of the words, seeded by chance so that nobody can write two words that share one.
type wording struct {
	seed maphash.Seed
	seen hashSet
	fold []byte // the word that is being read, in small letters
}

// A term is a word by its hash; where there is no word, it is the zero term.
type term struct {
	hash   uint64
	letter rune // where it is a single letter; 0: it is none
	symbol bool
}

func newWording(text string) *wording {
	w := &wording{seed: maphash.MakeSeed(), fold: make([]byte, 0, 64)}
	w.seen.grow()
	w.each(text, func(before, past, word term) bool {
		w.seen.add(word.hash)
		w.seen.add(pair(before, word))
		if past != before {
			w.seen.add(pair(past, word))
		}
		return true
	})
	return w
}

// pair is the key of two words in a row. Where there is none before it, it is a key that nobody asks for.
func pair(a, b term) uint64 { return bits.RotateLeft64(a.hash, 31)*0x9E3779B97F4A7C15 + b.hash }

// says reports whether all words of a line are the text's, and in its order wherever two are side by side.
func (w *wording) says(line string) bool {
	line = strings.TrimLeft(line, "> \t\u00A0")
	if bullet, rest, ok := strings.Cut(line, " "); ok && isBullet(bullet) {
		line = rest
	}
	if strings.Contains(line, "[image: ") { // so Gmail writes an image's alternative text
		line = strings.ReplaceAll(line, "[image: ", "[")
	}
	return w.each(line, func(before, _, word term) bool {
		word = w.asPicture(word)
		return w.seen.has(word.hash) && (before.hash == 0 || w.seen.has(pair(w.asPicture(before), word)))
	})
}

// asPicture is the picture in the text that a letter of Wingdings is: Outlook's plain version has the letter.
func (w *wording) asPicture(letter term) term {
	if letter.letter == 0 || w.seen.has(letter.hash) {
		return letter
	}
	if picture, ok := wingdings[unicode.ToUpper(letter.letter)]; ok {
		w.fold = utf8.AppendRune(w.fold[:0], picture)
		return w.folded(true)
	}
	return letter
}

// folded is the word that was read.
func (w *wording) folded(symbol bool) term {
	out := term{hash: max(maphash.Bytes(w.seed, w.fold), 1), symbol: symbol}
	if r, size := utf8.DecodeRune(w.fold); size == len(w.fold) {
		out.letter = r
	}
	w.fold = w.fold[:0]
	return out
}

// each gives a text's words one by one, each with the word before it, and the one before that is no symbol; it stops, and
// reports false, when of does. A link is no word of the sentence that it stands in, and is read apart.
func (w *wording) each(s string, of func(before, past, word term) bool) bool {
	var before, past term
	inText := func(word term) bool {
		ok := of(before, past, word)
		if before = word; !word.symbol {
			past = word
		}
		return ok
	}
	for s != "" {
		start, end := link(s)
		if !w.words(s[:start], inText) {
			return false
		}
		var last term
		if !w.words(leadsTo(s[start:end]), func(word term) bool {
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

// words cuts text without links into words: letters and digits in a row, symbols and letters of scripts that do not part
// words one by one. What is not seen counts as if it were not there.
func (w *wording) words(s string, of func(term) bool) bool {
	for _, r := range s {
		switch kind := kindOf(r); {
		case kind == unseen:
		case kind == lettered:
			if r < utf8.RuneSelf {
				w.fold = append(w.fold, asciiLower[r])
			} else {
				w.fold = utf8.AppendRune(w.fold, unicode.ToLower(r))
			}
		case len(w.fold) > 0 && !of(w.folded(false)):
			return false
		case kind == alone:
			w.fold = utf8.AppendRune(w.fold, r)
			if !of(w.folded(unicode.Is(unicode.So, r))) {
				return false
			}
		}
	}
	return len(w.fold) == 0 || of(w.folded(false))
}

// A kind says what a character is to a word.
type kind byte

const (
	apart    kind = iota // it parts words
	lettered             // it is one of a word's
	alone                // it is a word
	unseen
)

var asciiKinds, asciiLower = func() (kinds [utf8.RuneSelf]kind, lower [utf8.RuneSelf]byte) {
	for r := range rune(utf8.RuneSelf) {
		kinds[r], lower[r] = slowKind(r), byte(unicode.ToLower(r))
	}
	return kinds, lower
}()

func kindOf(r rune) kind {
	switch {
	case r < utf8.RuneSelf:
		return asciiKinds[r]
	case r >= 0x100 && r < 0x250, r >= 0x400 && r < 0x482: // Latin and Cyrillic have nothing else
		return lettered
	}
	return slowKind(r)
}

func slowKind(r rune) kind {
	switch {
	case r == '\n', r == '\t':
		return apart
	case invisible(r), r >= 0xFE00 && r <= 0xFE0F, r == 0x200C, r == 0x200D:
		return unseen
	case r == '$', r >= utf8.RuneSelf && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.So, unicode.Sc,
		unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
		return alone
	case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r):
		return lettered
	}
	return apart
}

// link finds the first link in s; without one, both ends are that of s.
func link(s string) (start, end int) {
	for i := 0; ; i++ {
		n := strings.IndexByte(s[i:], ':')
		if n < 0 {
			return len(s), len(s)
		}
		i += n
		for start = i; start > 0 && isLetter(s[start-1]) && i-start < 16; start-- {
		}
		switch strings.ToLower(s[start:i]) {
		case "http", "https", "ftp", "mailto", "tel", "sip", "callto", "cid", "file":
			n := strings.IndexAny(s[i:], " \n\t<>\"[])|\u00A0")
			if n < 0 {
				n = len(s) - i
			}
			return start, i + n
		}
	}
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// leadsTo is a link's host, or whom it writes to: newsletters have another path for each version.
func leadsTo(link string) string {
	scheme, rest, _ := strings.Cut(link, ":")
	switch strings.ToLower(scheme) {
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

// A hashSet is a set of hashes; unlike a map, it need not hash them again.
type hashSet struct {
	slots []uint64 // a power of two; 0: free
	n     int
}

func (s *hashSet) has(h uint64) bool {
	return s.slots[s.slot(h)] != 0
}

func (s *hashSet) add(h uint64) {
	if 2*s.n >= len(s.slots) {
		s.grow()
	}
	if i := s.slot(h); s.slots[i] == 0 {
		s.slots[i] = max(h, 1)
		s.n++
	}
}

// slot is where h is, or is to be.
func (s *hashSet) slot(h uint64) uint64 {
	h = max(h, 1)
	last := uint64(len(s.slots) - 1)
	i := h & last
	for s.slots[i] != 0 && s.slots[i] != h {
		i = (i + 1) & last
	}
	return i
}

func (s *hashSet) grow() {
	old := s.slots
	s.slots = make([]uint64, max(2*len(old), 1<<10))
	for _, h := range old {
		if h != 0 {
			s.slots[s.slot(h)] = h
		}
	}
}
