package doctext

import (
	"bufio"
	"io"
	"strings"
	"unicode/utf8"
)

// A gap is what separates two pieces of text. It is written when the second comes; the larger of two gaps counts.
type gap int

const (
	none gap = iota
	blank
	tab
	line
	paragraph // an empty line
)

// A sink takes a document's text: what it writes is valid UTF-8, lines end in LF, there is no control character but LF and
// TAB, and no more than fits.
type sink struct {
	w       *bufio.Writer
	room    int64
	written int64
	gap     gap
	cr      bool // the last character was a CR, which with an LF makes one line end
	seen    bool // something is not white space
	full    bool
	err     error // of the writer
}

func newSink(w io.Writer, room int64) *sink {
	return &sink{w: bufio.NewWriterSize(w, 32<<10), room: room}
}

// done reports whether writing more has no effect.
func (s *sink) done() bool { return s.full || s.err != nil }

func (s *sink) sep(g gap) { s.gap = max(s.gap, g) }

// A cellBegin is where a table's cell began.
type cellBegin struct {
	written int64
	gap     gap
}

func (s *sink) beginCell() cellBegin { return cellBegin{s.written, s.gap} }

// endCell ends a table's cell: what follows is beside it, not below it.
func (s *sink) endCell(c cellBegin) {
	switch {
	case s.written == c.written: // it is empty
		s.gap = c.gap
	case s.gap <= line:
		s.gap = tab
	}
}

// text appends a piece after the gap that is pending.
func (s *sink) text(t string) {
	if t == "" || s.done() {
		return
	}
	if s.gap != none && s.written > 0 {
		s.put([]string{"", " ", "\t", "\n", "\n\n"}[s.gap])
	}
	s.gap = none
	for t != "" && !s.done() {
		if n := ordinary(t); n > 0 {
			s.put(t[:n])
			t, s.cr = t[n:], false
			continue
		}
		r, size := utf8.DecodeRuneInString(t)
		s.unordinary(r, t[:size])
		t = t[size:]
	}
}

func (s *sink) unordinary(r rune, t string) {
	cr := s.cr
	s.cr = r == '\r'
	switch {
	case r == '\n' && cr:
	case r == '\n', r == '\r', r == 0x2028, r == 0x2029, r == 0x85, r == '\v', r == '\f':
		s.put("\n")
	case r == '\t':
		s.put("\t")
	case r == 0, r == 0xFEFF:
	case r == utf8.RuneError:
		s.put(string(utf8.RuneError))
	case r < 0x20, r >= 0x7F && r <= 0x9F:
		s.put(" ")
	default:
		s.put(t)
	}
}

// ordinary is how many visible characters of ASCII, and blanks, t begins with.
func ordinary(t string) int {
	for i := range len(t) {
		if t[i] < 0x20 || t[i] >= 0x7F {
			return i
		}
	}
	return len(t)
}

// put writes what is clean, or of it whole characters that fit.
func (s *sink) put(t string) {
	if s.done() {
		return
	}
	if int64(len(t)) > s.room {
		s.full = true
		t = t[:s.room]
		for t != "" {
			if r, n := utf8.DecodeLastRuneInString(t); r != utf8.RuneError || n != 1 {
				break
			}
			t = t[:len(t)-1]
		}
	}
	if !s.seen {
		s.seen = strings.TrimSpace(t) != ""
	}
	_, s.err = s.w.WriteString(t)
	s.room -= int64(len(t))
	s.written += int64(len(t))
}

func (s *sink) flush() error {
	if s.err == nil {
		s.err = s.w.Flush()
	}
	return s.err
}
