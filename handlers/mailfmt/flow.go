package mailfmt

import (
	"strings"
	"unicode/utf8"
)

// A flow is text being laid out: the whole text, or that of a table's cell. White space is collapsed as a browser does,
// breaks are pending until something follows them. Lines end in LF.
type flow struct {
	b      []byte
	space  bool // a blank is pending
	breaks int  // line breaks that are pending; two make an empty line
	line   bool // the line has text
	filler bool // the line has a no-break space and nothing else yet
	marker bool // the line has a list's marker and nothing else yet
	flat   int  // ordered lists that are open: within them all is one line

	row    []string // cells of the table row that is being read
	nested bool     // it holds a table
	layout bool     // a cell of the row holds a table
}

// block ends the line, if it has anything. A paragraph that holds only a no-break space is an empty line: so they are
// written.
func (f *flow) block() {
	switch {
	case f.marker:
	case f.flat > 0:
		f.space = true
	case f.filler:
		f.breaks, f.filler = 2, false
	default:
		f.breaks = max(f.breaks, 1)
	}
}

// lineBreak is a <br>.
func (f *flow) lineBreak() {
	switch {
	case f.marker:
	case f.flat > 0:
		f.space = true
	default:
		f.breaks = min(f.breaks+1, 2)
		f.filler = false
	}
}

// write appends text with white space collapsed.
func (f *flow) write(s string) {
	for s != "" {
		if n := inWord(s); n > 0 {
			f.word(s[:n])
			s = s[n:]
			continue
		}
		r, n := utf8.DecodeRuneInString(s)
		s = s[n:]
		switch {
		case isBlank(r):
			f.space = true
		case r == 0xA0:
			f.filler = !f.line || f.breaks > 0
			f.space = true
		}
	}
}

// inWord is how many bytes s begins with that are seen and no blanks.
func inWord(s string) int {
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			if s[i] <= ' ' || s[i] == 0x7F {
				return i
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == 0xA0 || invisible(r) {
			return i
		}
		i += n
	}
	return len(s)
}

// invisible are the characters that no reader sees: control characters, those with which preheaders are filled up, and those
// that turn the direction of writing. Within a word they would hide it from who searches; text is in the order of reading
// without them. For what joins or parts letters and emoji see unjoin.
func invisible(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7F && r <= 0x9F, r == 0xFEFF, r == 0xAD, r == 0x200B, r == 0x2060, r == 0x34F:
		return true
	case r == 0x200E, r == 0x200F, r == 0x61C, r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

// unjoin takes out what joins or parts letters (U+200C, U+200D) where it means nothing. It means something between letters of
// Arabic and of India's scripts, and between emoji; elsewhere it only hides words from who searches.
func unjoin(s string) string {
	if !strings.Contains(s, "\u200C") && !strings.Contains(s, "\u200D") {
		return s
	}
	var out strings.Builder
	var before rune
	for i, r := range s {
		if r == 0x200C || r == 0x200D {
			after, _ := utf8.DecodeRuneInString(s[i+utf8.RuneLen(r):])
			if !hasJoiners(before) || !hasJoiners(after) {
				continue
			}
		}
		out.WriteRune(r)
		before = r
	}
	return out.String()
}

func hasJoiners(r rune) bool {
	return r >= 0x590 && (r < 0x1E00 || r >= 0x2190) && r != 0x200C && r != 0x200D
}

// word appends a word after what is pending.
func (f *flow) word(s string) {
	if s == "" {
		return
	}
	switch {
	case len(f.b) == 0:
	case f.breaks > 0:
		f.b = append(f.b, "\n\n"[:f.breaks]...)
	case f.space:
		f.b = append(f.b, ' ')
	}
	f.space, f.breaks, f.filler, f.marker, f.line = false, 0, false, false, true
	f.b = append(f.b, s...)
}

// mark begins a list's item.
func (f *flow) mark(s string) {
	f.marker = false
	f.block()
	f.word(s)
	f.space, f.marker = true, true
}

// preformatted appends text with its white space.
func (f *flow) preformatted(s string) {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			f.lineBreak()
		}
		f.word(strings.Map(func(r rune) rune {
			switch {
			case r == 0xA0, r == '\t':
				return ' '
			case invisible(r):
				return -1
			}
			return r
		}, line))
	}
}

// text is what was laid out.
func (f *flow) text() string { return trimLines(unjoin(string(f.b))) }

// cell takes a finished cell into the row.
func (f *flow) cell(c *flow) {
	f.row = append(f.row, c.text())
	f.layout = f.layout || c.nested
}

// endRow lays out the row's cells: side by side on one line, or where tables only serve the layout, one below the other.
func (f *flow) endRow() {
	row, layout := f.row, f.layout
	f.row, f.layout = nil, false
	filled := 0
	last := 0
	for i, c := range row {
		if c != "" {
			filled, last = filled+1, i
		}
	}
	if filled == 0 {
		return
	}
	f.block()
	if filled > 1 && !layout {
		for i, c := range row[:last+1] {
			row[i] = strings.Join(strings.FieldsFunc(c, func(r rune) bool { return r == '\n' }), " ")
		}
		f.word(strings.Join(row[:last+1], " | "))
		f.block()
		return
	}
	for _, c := range row {
		if f.flat > 0 {
			c = strings.ReplaceAll(c, "\n", " ")
		}
		f.word(c)
		f.block()
	}
}
