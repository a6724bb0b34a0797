package mailfmt

import (
	"slices"
	"strconv"
	"strings"
)

// A list is an open <ol> or <ul>.
type list struct {
	ordered bool
	style   string // "1", "a", "A", "i", "I"
	next    int
	step    int // -1 in a list that counts down

	counts bool   // down, from how many items there are, which its end tells
	items  int    // so far
	marks  []mark // their numbers
	flow   *flow  // that holds them
}

// A mark is an item's number that was written before it was known.
type mark struct{ at, ordinal int }

func newList(a attributes, f *flow) *list {
	l := &list{ordered: true, style: listStyle(a, ""), next: 1, step: 1, flow: f}
	_, down := a["reversed"]
	n, err := strconv.Atoi(strings.TrimSpace(a["start"]))
	if err == nil {
		l.next = n
	}
	if down {
		l.step, l.counts = -1, err != nil
	}
	return l
}

// listStyle is how a list, or an item that says so, is numbered.
func listStyle(a attributes, otherwise string) string {
	style := strings.ToLower(a["style"])
	for _, s := range []struct{ name, style string }{
		{"lower-alpha", "a"}, {"lower-latin", "a"}, {"upper-alpha", "A"}, {"upper-latin", "A"}, {"lower-roman", "i"}, {"upper-roman", "I"},
		{"decimal", "1"},
	} {
		if strings.Contains(style, "list-style") && strings.Contains(style, s.name) {
			return s.style
		}
	}
	switch kind := strings.TrimSpace(a["type"]); kind {
	case "1", "a", "A", "i", "I":
		return kind
	}
	return otherwise
}

func (h *htmlReader) item(a attributes) {
	if len(h.lists) == 0 || !h.lists[len(h.lists)-1].ordered {
		h.flow.mark("-")
		return
	}
	l := h.lists[len(h.lists)-1]
	l.items++
	if n, err := strconv.Atoi(strings.TrimSpace(a["value"])); err == nil {
		l.next, l.counts = n, false
	} else if l.counts && h.flow == l.flow {
		h.flow.mark(unknown)
		l.marks = append(l.marks, mark{len(h.flow.b) - len(unknown), l.items - 1})
		return
	}
	h.flow.mark(itemNumber(l.next, listStyle(a, l.style)) + ".")
	l.next += l.step
}

// unknown stands where the number of an item will.
const unknown = "0."

// end writes the numbers of a list that counts down from how many items it has.
func (l *list) end() {
	if len(l.marks) == 0 {
		return
	}
	from := l.marks[0].at
	rest := slices.Clone(l.flow.b[from:])
	out := l.flow.b[:from]
	for i, m := range l.marks {
		ends := len(rest)
		if i+1 < len(l.marks) {
			ends = l.marks[i+1].at - from
		}
		out = append(out, itemNumber(l.items-m.ordinal, l.style)+"."...)
		out = append(out, rest[m.at-from+len(unknown):ends]...)
	}
	l.flow.b = out
}

// itemNumber writes an item's number in its list's style: digits, letters, or Roman.
func itemNumber(n int, style string) string {
	s := ""
	switch {
	case n < 1 || n > 3999:
	case style == "a" || style == "A":
		for m := n; m > 0; m = (m - 1) / 26 {
			s = string(rune('a'+(m-1)%26)) + s
		}
	case style == "i" || style == "I":
		for _, r := range []struct {
			value int
			text  string
		}{
			{1000, "m"}, {900, "cm"}, {500, "d"}, {400, "cd"}, {100, "c"}, {90, "xc"}, {50, "l"}, {40, "xl"}, {10, "x"}, {9, "ix"}, {5, "v"}, {4, "iv"}, {1, "i"},
		} {
			for ; n >= r.value; n -= r.value {
				s += r.text
			}
		}
	}
	switch {
	case s == "":
		return strconv.Itoa(n)
	case style == "A" || style == "I":
		return strings.ToUpper(s)
	}
	return s
}

// listParagraph joins Word's numbered paragraphs to one line, as an ordered list is: Outlook writes lists as paragraphs
// that begin with their number as text. A bullet, which is a letter of some picture font, becomes a hyphen.
func (h *htmlReader) listParagraph(s string) string {
	if !h.paragraph {
		if h.flow.breaks > 0 {
			h.numbered = false // a line of another sort
		}
		return s
	}
	h.paragraph = false
	first := strings.TrimFunc(s, func(r rune) bool { return isBlank(r) || r == 0xA0 })
	if i := strings.IndexFunc(first, func(r rune) bool { return isBlank(r) || r == 0xA0 }); i >= 0 {
		first = first[:i]
	}
	if isNumber(first) {
		if h.numbered && len(h.flow.b) > 0 {
			h.flow.breaks, h.flow.space = 0, true
		}
		h.numbered = true
		return s
	}
	h.numbered = false
	if isBullet(first) || h.top().wingdings && len(first) == 1 {
		return strings.Replace(s, first, "-", 1)
	}
	return s
}

// isBullet knows what Word writes as a bullet: a letter of a font of pictures.
func isBullet(s string) bool {
	switch s {
	case "·", "•", "§", "o", "Ø", "ü", "v", "✓", "▪", "■", "□", "●", "➢", "❖",
		"\uF0B7", "\uF0A7", "\uF0D8", "\uF0FC", "\uF076", "\uF06E":
		return true
	}
	return false
}

// isNumber reports whether a word numbers a paragraph: "1.", "12)", "a.", "iv)", "2.1.".
func isNumber(s string) bool {
	if len(s) < 2 || len(s) > 8 || s[len(s)-1] != '.' && s[len(s)-1] != ')' {
		return false
	}
	digits, letters := 0, 0
	for _, c := range s[:len(s)-1] {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			letters++
		case c != '.' && c != '(':
			return false
		}
	}
	return digits > 0 && letters == 0 || digits == 0 && letters > 0 && letters <= 4
}
