package mailfmt

import (
	"bytes"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Text reads the message's text: a header block of the lines that are not empty, an empty line, and the body, in UTF-8 with
// a byte order mark; lines end in CRLF. A meeting's placeholder and an empty line stand before the body. It makes no copy of
// the body.
func (m *Mail) Text() io.Reader {
	var b bytes.Buffer
	b.Write(utf8BOM)
	for _, f := range []struct {
		name   string
		values []string
	}{
		{"From", m.From}, {"To", m.To}, {"Cc", m.CC}, {"Bcc", m.BCC}, {"Subject", []string{m.Subject}}, {"Sent", []string{m.sentText()}},
		{"Attachments", m.AttachmentNames()},
	} {
		writeField(&b, f.name, f.values)
	}
	b.WriteString(crlf)
	m.writePlaceholder(&b)
	return io.MultiReader(&b, strings.NewReader(m.Body))
}

const crlf = "\r\n"

func writeField(b *bytes.Buffer, name string, values []string) {
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return
	}
	b.WriteString(name)
	b.WriteString(": ")
	for i, v := range values {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(v)
	}
	b.WriteString(crlf)
}

func (m *Mail) sentText() string {
	if m.Sent.IsZero() {
		return ""
	}
	return m.Sent.Format(time.DateTime) + " UTC"
}

// cutNote is the last line of a text that was cut.
const cutNote = "[The text is longer than what is extracted and ends here]"

// text makes the body of the parts' texts.
func (p *parser) text() {
	m := p.mail
	m.Format = "Plain"
	body := ""
	if p.root != nil {
		if p.root.has(htmlText) {
			m.Format = "HTML"
		}
		body = trimLines(p.body(p.root))
	}
	body = p.withInvitation(body)
	p.linksWithin(body)
	if len(body) > maxText {
		body, p.cut = shorten(body, maxText), true
		m.defect(TextTooLarge)
	}
	m.TextStatus = Extracted
	switch {
	case p.cut:
		body += "\n" + cutNote
		m.TextStatus = TooLarge
	case body == "" && m.Meeting == nil:
		m.TextStatus = Empty
	}
	if body != "" {
		m.Body = strings.ReplaceAll(body, "\n", crlf) + crlf
	}
}

// has reports whether a text of the kind is in the part.
func (n *node) has(kind string) bool {
	for _, c := range n.children {
		if c.has(kind) {
			return true
		}
	}
	return n.kind == kind
}

// body is a part's text; lines end in LF.
func (p *parser) body(n *node) string {
	if n.kind == "multipart/alternative" {
		return p.versions(n)
	}
	if n.children == nil {
		return p.alone(n)
	}
	var texts []string
	for _, c := range n.children {
		if t := trimLines(p.body(c)); t != "" {
			texts = append(texts, t)
		}
	}
	return strings.Join(texts, "\n\n")
}

// alone is the text of a part that is one. It is asked for once: what it was made of is let go.
func (p *parser) alone(n *node) string {
	source := n.source
	n.source = ""
	switch n.kind {
	case htmlText:
		return htmlToText(source, p.linksTo)
	case "text/enriched", "text/richtext":
		return htmlToText(enrichedToHTML(source, n.kind == "text/richtext"), p.linksTo)
	}
	text := cleanLines(source)
	if n.flowed {
		text = unflow(text, n.delSp)
	}
	return text
}

// cleanLines gives every line break as LF, and takes out what is no text: control characters, and what is not seen.
func cleanLines(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	var before rune
	for s != "" {
		if n := ordinary(s); n > 0 {
			b.WriteString(s[:n])
			s, before = s[n:], 0
			continue
		}
		r, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		switch {
		case r == '\n' && before == '\r': // CRLF is one break
		case r == '\n', r == '\r', r == 0x2028, r == 0x2029, r == 0x85:
			b.WriteByte('\n')
		case r == '\t', r >= 0x20 && !invisible(r):
			b.WriteRune(r)
		case r == 0, r > 0x9F:
		default:
			b.WriteByte(' ')
		}
		before = r
	}
	return unjoin(b.String())
}

// ordinary is how many characters of visible ASCII, and blanks, s begins with.
func ordinary(s string) int {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7F {
			return i
		}
	}
	return len(s)
}

// trimLines takes away empty lines at both ends, and blanks at the end.
func trimLines(s string) string {
	s = strings.TrimRight(s, " \t\n\u00A0")
	for {
		line, rest, ok := strings.Cut(s, "\n")
		if !ok || strings.Trim(line, " \t\u00A0") != "" {
			return s
		}
		s = rest
	}
}

// isBlank reports whether a character is white space to HTML. A no-break space is not.
func isBlank(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\f' }
