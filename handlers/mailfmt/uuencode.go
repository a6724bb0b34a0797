package mailfmt

import (
	"bytes"
	"regexp"
	"strings"
)

// uuencode is the encoding in which old programs write files into the lines of a text, and old gateways parts. It has no
// registered name.
const uuencode = "x-uuencode"

var uuBegin = regexp.MustCompile(`^begin [0-7]{3,4} (\S.*)$`)

func isUuencode(encoding string) bool {
	return encoding == uuencode || encoding == "uuencode" || encoding == "x-uue" || encoding == "uue"
}

// within takes a line for what it is of a file written into the text: an attachment, since as text nothing in it could be
// found. It reports whether the line is of one. What is none of uuencode's lines ends the file and is text again.
func (t *text) within(l *piece) bool {
	if t.inFile {
		over := l.begins && string(bytes.TrimRight(l.text, " \t\r")) == "end"
		if over || !isUULine(l.text) && len(bytes.TrimSpace(l.text)) > 0 {
			a := &t.p.mail.Attachments[t.p.listed]
			a.Length, t.p.listed, t.inFile = l.at-a.Offset, noAttachment, false
			return over
		}
		return true
	}
	if !l.begins || t.kind != plainText || len(l.text) > maxName || !t.mayHold() {
		return false
	}
	m := uuBegin.FindSubmatch(l.text)
	if m == nil {
		return false
	}
	l.text = bytes.Clone(l.text) // which peek would overwrite
	name := string(m[1])
	if line := t.p.lines.peek(); !isUULine(line) && string(line) != "end" {
		return false
	}
	t.p.attach(header{}, "application/octet-stream", shorten(decodeWords(name), maxName))
	a := &t.p.mail.Attachments[t.p.listed]
	a.Encoding, a.Offset, t.inFile = uuencode, t.p.lines.offset(), true
	return true
}

// mayHold reports whether the text can hold files: it is written as it is, and stands in a part.
func (t *text) mayHold() bool {
	switch t.encoding {
	case "", "7bit", "8bit", "binary":
		return t.p.listed == noAttachment && len(t.p.mail.Attachments) < maxParts &&
			(len(t.p.frames) == 0 || t.p.frames[len(t.p.frames)-1].begun)
	}
	return false
}

// isUULine reports whether a line is uuencoded: its first character is how many bytes it holds, and it is as long as they
// take, blanks at its end apart, which are written as such and get lost.
func isUULine(line []byte) bool {
	line = bytes.TrimRight(line, "\r")
	if len(line) == 0 || line[0] < ' ' || line[0] > '`' {
		return false
	}
	n := (int(line[0]-' ')&63 + 2) / 3 * 4
	for _, c := range line {
		if c < ' ' || c > '`' {
			return false
		}
	}
	return len(line) <= 1+n+2 && (len(line) > 1+n-4 || n == 0)
}

// A uuDecoder decodes lines of uuencode, as a file within a text or as a part's own encoding, with the lines around them.
type uuDecoder struct{ broken int }

func (d *uuDecoder) step(out, block []byte, last bool) ([]byte, int) {
	for len(block) > 0 {
		line, rest, ends := bytes.Cut(block, []byte{'\n'})
		if !ends && !last && len(line) < contentBlock/2 {
			return out, len(line)
		}
		block = rest
		out = d.line(out, bytes.TrimRight(line, "\r"))
	}
	return out, 0
}

func (d *uuDecoder) line(out, line []byte) []byte {
	trimmed := strings.TrimSpace(string(line[:min(len(line), maxName)]))
	if trimmed == "" || trimmed == "end" || trimmed == "`" || uuBegin.MatchString(trimmed) {
		return out
	}
	if !isUULine(line) {
		d.broken++
		return out
	}
	n := int(line[0]-' ') & 63
	line = line[1:]
	for n > 0 {
		var group uint32
		for i := range 4 {
			c := byte(' ')
			if i < len(line) {
				c = line[i]
			}
			group = group<<6 | uint32(c-' ')&63
		}
		line = line[min(4, len(line)):]
		three := []byte{byte(group >> 16), byte(group >> 8), byte(group)}
		out = append(out, three[:min(n, 3)]...)
		n -= 3
	}
	return out
}

func (d *uuDecoder) defect() string {
	if d.broken > 0 {
		return BrokenUuencode
	}
	return ""
}
