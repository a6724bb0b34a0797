package mailfmt

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// A parser reads one message.
type parser struct {
	lines *lines
	mail  *Mail
	head  header // the message's own

	frames     []*frame       // the multiparts that are open, the outermost first
	boundaries map[string]int // a boundary to the innermost frame that has it
	leaf       leaf           // what takes the lines; nil: they are passed by
	root       *node          // nil: the message has no text
	parts      int            // begun so far
	begins     int64          // where the content of the part being read begins
	ends       int64          // where the piece before the one being read ends
	listed     int            // the attachment being read; noAttachment: none
	room       int            // bytes of text that may still be held
	raw        []byte         // what a text is gathered in; the texts have it one after the other
	compared   int            // bytes of versions of a text that were compared

	ids   []string        // the attachments' content ids; empty for one that cannot be embedded
	shown map[string]bool // content ids that HTML shows
	cut   bool            // a text was cut

	invited invitation
	status  string // of a delivery: failed, delivered, delayed …
	label   string // the charset of the first text that declares one
	kind    string // the message's own type, "multipart/signed"
	params  map[string]string
}

// A node is a part that can have text: a multipart, or a text.
type node struct {
	kind     string // "text/plain", "text/html", "multipart/alternative" …
	children []*node
	source   string // of a text, in UTF-8, as it came
	flowed   bool   // its lines are broken as RFC 3676 has it
	delSp    bool   // and the blank where they are goes
}

// A frame is an open multipart.
type frame struct {
	node     *node
	boundary string
	hides    int  // the frame that had the same boundary before; noFrame: none
	begun    bool // a part of it was seen
	ended    bool // its end was seen; against the rules, a part may follow
}

// A leaf takes the lines of a part.
type leaf interface {
	line(piece)
	end()
}

const (
	noFrame      = -1
	noAttachment = -1
)

func newParser(lines *lines, m *Mail) *parser {
	return &parser{
		lines: lines, mail: m, boundaries: map[string]int{}, shown: map[string]bool{}, room: maxText, listed: noAttachment,
	}
}

// structure goes through the message once, line by line.
func (p *parser) structure() {
	p.head = p.header(maxHeader)
	p.part(p.head, nil)
	for p.parts <= maxParts {
		l, ok := p.lines.next()
		if !ok {
			break
		}
		p.ends = l.at - int64(l.gap) // the line end before a delimiter belongs to it: RFC 2046, 5.1.1
		if l.begins && bytes.HasPrefix(l.text, dashes) && p.delimiter(&l) {
			continue
		}
		if p.leaf != nil {
			p.leaf.line(l)
		}
	}
	p.ends = p.lines.offset()
	p.close(noFrame)
}

var dashes = []byte("--")

// find tells which open multipart a line delimits, and whether it ends it.
func (p *parser) find(line []byte) (index int, ends bool) {
	if !bytes.HasPrefix(line, dashes) || len(line) > maxName {
		return noFrame, false
	}
	line = bytes.TrimRight(line[len(dashes):], " \t\r")
	if i, ok := p.boundaries[string(line)]; ok {
		return i, false
	}
	if line, ok := bytes.CutSuffix(line, dashes); ok {
		if i, ok := p.boundaries[string(line)]; ok {
			return i, true
		}
	}
	return noFrame, false
}

func (p *parser) delimits(line []byte) bool {
	i, _ := p.find(line)
	return i != noFrame
}

// delimiter takes a line that begins with two hyphens; it reports whether it parts two parts.
func (p *parser) delimiter(l *piece) bool {
	i, ends := p.find(l.text)
	if i == noFrame {
		if !p.adopts(l) {
			return false
		}
		i = len(p.frames) - 1
	}
	f := p.frames[i]
	if i == len(p.frames)-1 && !f.begun && !ends {
		p.leaf = nil // what stood before the first part is for readers that do not know MIME
	}
	p.close(i)
	if ends {
		f.ended = true
		return true
	}
	f.begun = true
	p.part(p.header(maxPartHeader), f.node)
	return true
}

// adopts takes a line before a multipart's first part for its delimiter, though it is not the declared one, or none was
// declared, when a field of MIME follows it.
func (p *parser) adopts(l *piece) bool {
	if len(p.frames) == 0 || len(l.text) <= len(dashes) || len(l.text) > maxName {
		return false
	}
	i := len(p.frames) - 1
	if p.frames[i].begun || p.frames[i].ended {
		return false
	}
	l.text = bytes.Clone(l.text) // which peek would overwrite
	name, _, ok := field(p.lines.peek())
	if !ok || !strings.HasPrefix(name, "content-") {
		return false
	}
	p.mail.defect(MissingBoundary)
	p.forget(i)
	p.frames[i].boundary = string(bytes.TrimRight(l.text[len(dashes):], " \t\r"))
	p.remember(i)
	return true
}

// open begins a multipart. Until its first part, lines are gathered as text: they are all there is if no part comes.
func (p *parser) open(n *node, boundary string) {
	if boundary == "" {
		p.mail.defect(MissingBoundary)
	}
	p.frames = append(p.frames, &frame{node: n, boundary: boundary})
	p.remember(len(p.frames) - 1)
	p.leaf = &text{p: p, parent: n, kind: plainText, raw: p.raw[:0]}
}

func (p *parser) remember(i int) {
	f := p.frames[i]
	f.hides = noFrame
	if f.boundary == "" {
		return
	}
	if j, ok := p.boundaries[f.boundary]; ok {
		f.hides = j
	}
	p.boundaries[f.boundary] = i
}

func (p *parser) forget(i int) {
	switch f := p.frames[i]; {
	case f.boundary == "":
	case f.hides == noFrame:
		delete(p.boundaries, f.boundary)
	default:
		p.boundaries[f.boundary] = f.hides
	}
}

// close ends the part that is being read, and all multiparts within frame i.
func (p *parser) close(i int) {
	if p.leaf != nil {
		p.leaf.end()
		p.leaf = nil
	}
	if p.listed != noAttachment {
		a := &p.mail.Attachments[p.listed]
		a.Length = max(p.ends-a.Offset, 0)
		p.listed = noAttachment
	}
	for last := len(p.frames) - 1; last > i; last-- {
		if !p.frames[last].ended {
			p.mail.defect(MissingBoundary)
		}
		p.forget(last)
		p.frames = p.frames[:last]
	}
}

// part begins a part, or the message itself.
func (p *parser) part(h header, parent *node) {
	if p.parts++; p.parts > maxParts {
		p.mail.defect(TooManyParts)
		return
	}
	p.begins = p.lines.offset()
	kind, params := p.contentType(h, parent)
	if parent == nil {
		p.kind, p.params = kind, params
	}
	if !strings.HasPrefix(kind, "multipart/") {
		p.single(h, kind, params, parent)
		return
	}
	if len(p.frames) == maxDepth {
		p.mail.defect(TooDeep)
		p.attach(h, kind, "")
		return
	}
	n := &node{kind: kind}
	p.grow(parent, n)
	p.open(n, params["boundary"])
}

func (p *parser) grow(parent, n *node) {
	if parent == nil {
		p.root = n
		return
	}
	parent.children = append(parent.children, n)
}

// contentType is a part's type and its parameters. A part without one is plain text, or in a digest a message
// (RFC 2046, 5.1.5).
func (p *parser) contentType(h header, parent *node) (string, map[string]string) {
	value := h.get("content-type")
	if value == "" {
		if parent != nil && parent.kind == "multipart/digest" {
			return "message/rfc822", nil
		}
		return plainText, nil
	}
	kind, params := parameters(value)
	kind = strings.TrimSpace(kind)
	switch kind {
	case "text", "plain", "text/": // mailers of the last century
		return plainText, params
	case "html":
		return htmlText, params
	}
	if a, b, ok := strings.Cut(kind, "/"); !ok || a == "" || b == "" || len(kind) > 127 || strings.ContainsAny(kind, " \t\"=<>@,") {
		p.mail.defect(BrokenContentType)
		return plainText, params
	}
	return shorten(oneLine(literal(kind)), maxName), params
}

// single begins a part that holds no others.
func (p *parser) single(h header, kind string, params map[string]string, parent *node) {
	disposition, more := parameters(h.get("content-disposition"))
	name := shorten(cmp.Or(more["filename"], params["name"]), maxName)
	encoding := encodingName(h.get("content-transfer-encoding"))
	alternative := parent != nil && parent.kind == "multipart/alternative"
	whole := parent == nil // the message itself, or one of its faces
	switch {
	case isText(kind, whole) && disposition != "attachment" && (name == "" || whole || alternative):
		p.leaf = &text{p: p, parent: parent, kind: kind, encoding: encoding, charset: params["charset"], raw: p.raw[:0],
			flowed: strings.EqualFold(params["format"], "flowed"), delSp: strings.EqualFold(params["delsp"], "yes")}
		return
	case isCalendar(kind):
		isFace := (whole || alternative) && !p.invited.isFace && (disposition != "attachment" || params["method"] != "")
		p.calendar(isFace, encoding, params)
		if isFace {
			return
		}
	case alternative && (kind == "text/x-amp-html" || kind == "text/watch-html"): // programs of few kinds show these
		p.leaf = &text{p: p, parent: parent, kind: htmlText, encoding: encoding, charset: params["charset"], raw: p.raw[:0]}
		return
	case kind == "message/delivery-status":
		p.leaf = &deliveryStatus{p}
	case name == "" && isMessage(kind) && (encoding == "" || encoding == "7bit" || encoding == "8bit" || encoding == "binary"):
		name = p.subjectWithin()
	case name == "" && (kind == "application/ms-tnef" || kind == "application/vnd.ms-tnef"):
		name = "winmail.dat" // as it is known, and holds what people wrote
	}
	unsaid := name == "" && !whole && disposition != "attachment" && !strings.HasPrefix(kind, "message/") && !strings.HasPrefix(kind, "text/")
	p.attach(h, kind, name)
	a := &p.mail.Attachments[p.listed]
	if parent != nil && parent.kind == "multipart/encrypted" { // RFC 1847, 2.2
		a.Encrypted = true
	}
	a.Embedded, a.Charset = unsaid, shorten(params["charset"], maxName)
	if id := contentID(h.get("content-id")); id != "" && strings.HasPrefix(kind, "image/") && disposition != "attachment" {
		p.ids[p.listed] = id
	}
}

const (
	plainText = "text/plain"
	htmlText  = "text/html"
)

// isText reports whether a type is one in which people write to each other. A message that is nothing but some other sort
// of text is read as plain.
func isText(kind string, whole bool) bool {
	switch kind {
	case plainText, htmlText, "text/enriched", "text/richtext":
		return true
	}
	return whole && strings.HasPrefix(kind, "text/") && !isCalendar(kind)
}

func isCalendar(kind string) bool { return kind == "text/calendar" || kind == "application/ics" }

func isMessage(kind string) bool { return kind == "message/rfc822" || kind == "message/global" }

// contentID is a Content-ID without its angle brackets.
func contentID(value string) string { return strings.Trim(oneLine(literal(value)), "<> ") }

// attach lists an attachment. Its bytes are passed by; where they are is noted.
func (p *parser) attach(h header, kind, name string) {
	if name == "" {
		name = unnamed(len(p.mail.Attachments)+1, kind)
	}
	encrypted := isEncrypted(kind, h)
	if encrypted {
		p.mail.Encrypted = true
		p.mail.defect(Encrypted)
	}
	p.listed = len(p.mail.Attachments)
	p.mail.Attachments = append(p.mail.Attachments, Attachment{
		Name: name, Type: kind, Encrypted: encrypted, Encoding: encodingName(h.get("content-transfer-encoding")), Offset: p.begins,
	})
	p.ids = append(p.ids, "")
}

// isEncrypted knows S/MIME's envelopes, also those that hold a signed text that only S/MIME opens, OpenPGP's, and those of
// Microsoft's rights management.
func isEncrypted(kind string, h header) bool {
	switch kind {
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		_, params := parameters(h.get("content-type"))
		return params["smime-type"] != "certs-only"
	case "application/pgp-encrypted", "application/x-microsoft-rpmsg-message":
		return true
	}
	return false
}

// subjectWithin reads the header of the attached message that begins here, and makes a name of its subject. Its defects
// are its own, not those of the message it is attached to.
func (p *parser) subjectWithin() string {
	before := slices.Clip(p.mail.Defects)
	subject := decodeWords(p.header(maxPartHeader).get("subject"))
	p.mail.Defects = before
	if subject == "" {
		return ""
	}
	return shorten(subject, maxName) + ".eml"
}

// markEmbedded tells the images that HTML shows from the attachments, when all parts have been seen.
func (p *parser) markEmbedded() {
	for i, id := range p.ids {
		if id != "" && p.shown[id] {
			p.mail.Attachments[i].Embedded = true
		}
	}
}
