package mailfmt

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// lineBuffer bounds a line that is seen whole; a longer one comes in pieces.
const lineBuffer = 64 << 10

// A piece is a line without its end, or a part of one that is longer than the buffer. Its bytes hold until the next call.
type piece struct {
	text   []byte
	begins bool  // it begins a line
	at     int64 // where it begins, in bytes from the message's beginning
	gap    int   // bytes of the line's end before it
}

// lines cuts a message into lines. They end in CRLF or LF, or in CR where the message's beginning has no LF at all: a CR
// alone is otherwise no line's end, since what counts as one decides where the header ends.
type lines struct {
	r     *bufio.Reader
	end   byte
	begun bool // the next piece continues a line
	held  *piece
	read  int64 // bytes before the next piece, one that is held not considered
	gap   int   // bytes of the last line's end
	err   error // the reader's own
}

// newLines reads from a reader with a buffer of lineBuffer bytes.
func newLines(r *bufio.Reader) *lines {
	l := &lines{r: r, end: '\n'}
	head, _ := l.r.Peek(lineBuffer)
	if bytes.IndexByte(head, '\n') < 0 && bytes.IndexByte(head, '\r') >= 0 {
		l.end = '\r'
	}
	if bytes.HasPrefix(head, utf8BOM) {
		n, _ := l.r.Discard(len(utf8BOM)) // is buffered
		l.read = int64(n)
	}
	return l
}

// next gives the next piece; false at the end.
func (l *lines) next() (piece, bool) {
	if l.held != nil {
		p := *l.held
		l.held = nil
		return p, true
	}
	text, err := l.r.ReadSlice(l.end)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		l.err = err
		return piece{}, false
	}
	if len(text) == 0 {
		return piece{}, false
	}
	p := piece{text, !l.begun, l.read, l.gap}
	l.read, l.gap = l.read+int64(len(text)), 0
	l.begun = errors.Is(err, bufio.ErrBufferFull)
	if !l.begun {
		p.text = bytes.TrimSuffix(p.text, []byte{l.end})
		p.text = bytes.TrimRight(p.text, "\r") // twice converted line ends have two
		l.gap = 1
		if bytes.HasSuffix(text, []byte("\r\n")) {
			l.gap = 2
		}
	}
	return p, true
}

// offset is where the next piece begins.
func (l *lines) offset() int64 {
	if l.held != nil {
		return l.held.at
	}
	return l.read
}

// hold gives a piece back: it is the next one again.
func (l *lines) hold(p piece) { l.held = &p }

// peek gives the beginning of the line that follows, at most 1 KiB. It makes the piece before it invalid.
func (l *lines) peek() []byte {
	head, _ := l.r.Peek(1 << 10)
	if i := bytes.IndexByte(head, l.end); i >= 0 {
		head = head[:i]
	}
	return bytes.TrimRight(head, "\r")
}
