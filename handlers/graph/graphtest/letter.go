package graphtest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// A letter is one mail as its author wrote it. Its copies in mailboxes differ in Received and Bcc.
type letter struct {
	id, inReplyTo string // Message-ID with angle brackets; may be empty
	from          Address
	to, cc, bcc   []Address
	sent          time.Time
	subject       string
	text          string // LF
	html          string // body of the HTML part; empty: made from the text
	form          form
	charset       string // of the text; empty, or unfit for one of its letters: utf-8
	files         []file
	inline        []file // for the HTML's cid: references, by position: <img src="cid:0">
	attached      *letter
	meeting       *meeting

	noMIME bool         // Graph cannot make its MIME
	beside []Attachment // attached to it beside what its MIME would hold
}

// A form is how a letter's body is put into MIME.
type form int

const (
	plainText form = iota
	htmlOnly
	alternative
	bareBody // neither MIME-Version nor Content-Type, RFC 822 alone
)

type file struct {
	name, kind string
	size       int
	data       func() []byte
	lines      func() io.Reader // instead of data for a large one: its base64, line by line, made while it is read
}

type meeting struct {
	method     string // REQUEST, CANCEL, REPLY
	uid        string
	start, end time.Time
	location   string
	attendees  []Address
	partstat   string // of a REPLY
}

// messageType is the type that Graph gives the letter's message.
func (l *letter) messageType() string {
	switch {
	case l.meeting == nil:
		return ""
	case l.meeting.method == "REQUEST":
		return "eventMessageRequest"
	case l.meeting.method == "REPLY":
		return "eventMessageResponse"
	}
	return "eventMessage"
}

func (l *letter) size() int64 {
	n := 1500 + len(l.text) + len(l.html)
	for _, f := range append(l.files[:len(l.files):len(l.files)], l.inline...) {
		n += f.size
	}
	return int64(n)
}

// A copy is a letter in one mailbox.
type copyOf struct {
	*letter
	received time.Time
	own      bool // the author's: with Bcc, without Received
}

func (c copyOf) open(call uint64) (io.ReadCloser, error) {
	w := &mimeWriter{name: fmt.Sprintf("%s %d", c.id+c.subject+c.sent.String(), call), b: &bytes.Buffer{}}
	c.writeHeader(w.b)
	if c.form == bareBody {
		w.b.WriteString("\r\n" + crlf(c.text))
		return io.NopCloser(w.b), nil
	}
	w.b.WriteString("MIME-Version: 1.0\r\n")
	w.write(c.part())
	return io.NopCloser(io.MultiReader(append(w.done, w.b)...)), nil
}

func (c copyOf) writeHeader(b *bytes.Buffer) {
	field := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	if !c.own {
		field("Received", "from AM9P192MB0871.contoso.example (2001:db8:20b:3d6::10)\r\n by DB7P192MB0299.contoso.example"+
			" with HTTPS; "+c.received.UTC().Format(time.RFC1123Z))
	}
	field("From", addressList([]Address{c.from}))
	field("To", addressList(c.to))
	field("Cc", addressList(c.cc))
	if c.own {
		field("Bcc", addressList(c.bcc))
	}
	field("Subject", encodeWords(c.subject))
	field("Thread-Topic", encodeWords(strings.TrimPrefix(c.subject, "Re: ")))
	field("Date", c.sent.UTC().Format(time.RFC1123Z))
	field("Message-ID", c.id)
	field("In-Reply-To", c.inReplyTo)
	field("References", c.inReplyTo)
	field("X-MS-Has-Attach", map[bool]string{true: "yes"}[len(c.files) > 0])
}

func encodeWords(s string) string { return mime.QEncoding.Encode("utf-8", s) }

func addressList(all []Address) string {
	var list []string
	for _, a := range all {
		switch {
		case a.Name == "":
			list = append(list, a.Address)
		case encodeWords(a.Name) != a.Name:
			list = append(list, encodeWords(a.Name)+" <"+a.Address+">")
		default:
			list = append(list, `"`+a.Name+`" <`+a.Address+">")
		}
	}
	return strings.Join(list, ",\r\n ")
}

// A part is a node of a MIME tree.
type part struct {
	kind     string   // content type with its parameters, but for a boundary
	header   []string // further fields
	encoding string   // 7bit, 8bit, quoted-printable, base64
	body     []byte
	lines    io.Reader // instead of body: base64 already
	parts    []part
}

// part builds the letter's tree: text or alternatives, inline images around it, attachments around that.
func (l *letter) part() part {
	p := l.bodyPart()
	if len(l.inline) > 0 {
		related := part{kind: `multipart/related; type="text/html"`, parts: []part{p}}
		for i, f := range l.inline {
			related.parts = append(related.parts, f.part("inline", fmt.Sprintf("Content-ID: <%d>", i)))
		}
		p = related
	}
	if len(l.files) == 0 && l.attached == nil {
		return p
	}
	mixed := part{kind: "multipart/mixed", parts: []part{p}}
	for _, f := range l.files {
		mixed.parts = append(mixed.parts, f.part("attachment"))
	}
	if l.attached != nil {
		r, _ := copyOf{letter: l.attached, own: true}.open(0) // memory alone: cannot fail
		body, _ := io.ReadAll(r)
		mixed.parts = append(mixed.parts, part{
			kind: "message/rfc822", header: []string{"Content-Disposition: attachment"}, encoding: "8bit", body: body,
		})
	}
	return mixed
}

func (l *letter) bodyPart() part {
	text, html := l.textPart("plain", l.text), l.textPart("html", l.htmlBody())
	if l.meeting != nil {
		calendar := part{
			kind: `text/calendar; charset="utf-8"; method=` + l.meeting.method, encoding: "base64",
			body: []byte(l.meeting.calendar(l)),
		}
		return part{kind: "multipart/alternative", parts: []part{text, html, calendar}}
	}
	switch {
	case l.form == htmlOnly || len(l.inline) > 0:
		return html
	case l.form == alternative:
		return part{kind: "multipart/alternative", parts: []part{text, html}}
	}
	return text
}

// encodingOf gives the character sets, beside UTF-8, in which the sample's people write; nil for any other.
func encodingOf(charset string) encoding.Encoding {
	switch charset {
	case "iso-8859-1":
		return charmap.ISO8859_1
	case "windows-1252":
		return charmap.Windows1252
	case "windows-1251":
		return charmap.Windows1251
	case "windows-1256":
		return charmap.Windows1256
	case "koi8-r":
		return charmap.KOI8R
	case "shift_jis":
		return japanese.ShiftJIS
	case "iso-2022-jp":
		return japanese.ISO2022JP
	case "gb2312":
		return simplifiedchinese.GBK // as mailers name it
	}
	return nil
}

// writtenIn is the charset that the letter's text goes into.
func (l *letter) writtenIn() string {
	e := encodingOf(l.charset)
	if e == nil {
		return "utf-8"
	}
	if _, err := e.NewEncoder().String(l.text + l.html); err != nil {
		return "utf-8"
	}
	return l.charset
}

// textPart encodes a text in the letter's character set: as it is where 7 bits do, quoted-printable for European
// ones, base64 for the others, and 8bit for windows-1252, as old systems send it.
func (l *letter) textPart(subtype, text string) part {
	charset, transfer := l.writtenIn(), "quoted-printable"
	body := []byte(crlf(text))
	if e := encodingOf(charset); e != nil {
		body, _ = e.NewEncoder().Bytes(body) // writtenIn has tried it
	}
	switch charset {
	case "windows-1252":
		transfer = "8bit"
	case "koi8-r", "shift_jis", "windows-1251", "windows-1256", "gb2312":
		transfer = "base64"
	case "iso-2022-jp":
		transfer = "7bit"
	default:
		if utf8.RuneCountInString(text) == len(text) && longestLine(text) < 900 {
			transfer = "7bit"
		}
	}
	return part{kind: "text/" + subtype + `; charset="` + charset + `"`, encoding: transfer, body: body}
}

func longestLine(text string) int {
	longest := 0
	for line := range strings.SplitSeq(text, "\n") {
		longest = max(longest, len(line))
	}
	return longest
}

func (l *letter) htmlBody() string {
	body := l.html
	if body == "" {
		escaped := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(l.text)
		body = "<p>" + strings.ReplaceAll(strings.ReplaceAll(escaped, "\n\n", "</p>\n<p>"), "\n", "<br>\n") + "</p>"
	}
	language := `lang="EN-GB"`
	if strings.ContainsFunc(l.text, func(r rune) bool { return unicode.Is(unicode.Arabic, r) }) {
		language = `lang="AR" dir="rtl"`
	}
	return `<html><head><meta http-equiv="Content-Type" content="text/html; charset=` + l.writtenIn() + `">` +
		"<style>p.MsoNormal {margin:0cm; font-size:11pt}</style></head>\n<body " + language + ">\n" + body + "\n</body></html>\n"
}

func (f file) part(disposition string, more ...string) part {
	dispose := mime.FormatMediaType(disposition, map[string]string{"filename": f.name})
	kind := mime.FormatMediaType(f.kind, map[string]string{"name": f.name})
	p := part{kind: kind, header: append([]string{"Content-Disposition: " + dispose}, more...), encoding: "base64"}
	if f.lines != nil {
		p.lines = f.lines()
		return p
	}
	p.body = f.data()
	return p
}

// calendar is the iCalendar object of a meeting's mail (RFC 5545, RFC 5546).
func (m *meeting) calendar(l *letter) string {
	organizer, attendees := l.from, m.attendees
	status := "NEEDS-ACTION"
	if m.method == "REPLY" {
		organizer, attendees, status = l.to[0], []Address{l.from}, m.partstat
	}
	lines := []string{
		"BEGIN:VCALENDAR", "PRODID:-//Stand-in//EN", "VERSION:2.0", "METHOD:" + m.method, "BEGIN:VEVENT", "UID:" + m.uid,
		"DTSTAMP:" + l.sent.UTC().Format("20060102T150405Z"), "DTSTART:" + m.start.UTC().Format("20060102T150405Z"),
		"DTEND:" + m.end.UTC().Format("20060102T150405Z"), "SUMMARY:" + l.subject, "LOCATION:" + m.location,
		"ORGANIZER;CN=" + organizer.Name + ":mailto:" + organizer.Address,
	}
	for _, a := range attendees {
		lines = append(lines, "ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT="+status+";CN="+a.Name+":mailto:"+a.Address)
	}
	if m.method == "CANCEL" {
		lines = append(lines, "STATUS:CANCELLED")
	}
	return strings.Join(append(lines, "END:VEVENT", "END:VCALENDAR", ""), "\r\n")
}

// A mimeWriter writes trees, with boundaries that depend on its name: another at each call, as Exchange does it. What it has
// written is done, one after another, and then b.
type mimeWriter struct {
	name  string
	count int
	done  []io.Reader
	b     *bytes.Buffer
}

func (w *mimeWriter) write(p part) {
	boundary := ""
	if len(p.parts) > 0 {
		w.count++
		boundary = fmt.Sprintf("_%03d_%s_", w.count, hex.EncodeToString(seedBytes(fmt.Sprint(w.name, w.count), 16)))
		p.kind += ";\r\n\tboundary=\"" + boundary + `"`
	}
	fmt.Fprintf(w.b, "Content-Type: %s\r\n", p.kind)
	for _, h := range p.header {
		w.b.WriteString(h + "\r\n")
	}
	if p.encoding != "" {
		fmt.Fprintf(w.b, "Content-Transfer-Encoding: %s\r\n", p.encoding)
	}
	w.b.WriteString("\r\n")
	for _, child := range p.parts {
		w.b.WriteString("--" + boundary + "\r\n")
		w.write(child)
		w.b.WriteString("\r\n")
	}
	switch {
	case boundary != "":
		w.b.WriteString("--" + boundary + "--\r\n")
	case p.lines != nil:
		w.done = append(w.done, w.b, p.lines)
		w.b = &bytes.Buffer{}
	default:
		writeEncoded(w.b, p.encoding, p.body)
	}
}

func writeEncoded(b *bytes.Buffer, encoding string, body []byte) {
	switch encoding {
	case "base64":
		const line = 57 // bytes, which are 76 characters
		for len(body) > 0 {
			n := min(line, len(body))
			b.WriteString(base64.StdEncoding.EncodeToString(body[:n]) + "\r\n")
			body = body[n:]
		}
	case "quoted-printable":
		q := quotedprintable.NewWriter(b)
		_, _ = q.Write(body) // memory alone: cannot fail
		_ = q.Close()
	default:
		b.Write(body)
	}
}

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }
