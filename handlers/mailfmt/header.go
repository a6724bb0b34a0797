package mailfmt

import (
	"bytes"
	"strings"
)

// A header holds the fields that are of use, by their lower-case names, unfolded and otherwise as written.
type header map[string][]string

// get is a field's first value.
func (h header) get(name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// The fields that are read, and whether one may stand but once. All others are passed by: Received lines alone can be
// most of a header.
var wanted = map[string]bool{
	"from": true, "sender": true, "reply-to": true, "to": false, "cc": false, "bcc": false,
	"subject": true, "date": true, "message-id": true, "in-reply-to": false, "references": false,
	"thread-topic": false, "thread-index": false, "content-class": false,
	"importance": false, "x-priority": false, "x-msmail-priority": false, "priority": false, "sensitivity": false,
	"keywords": false, "disposition-notification-to": false, "return-receipt-to": false,
	"content-type": true, "content-disposition": true, "content-transfer-encoding": true, "content-id": true,
	"content-location": false,
}

// headerReader gathers a header of at most limit bytes.
type headerReader struct {
	p      *parser
	fields header
	room   int
	name   string // of the field being read; "": one that is passed by
	value  []byte
	any    bool // a field was seen, wanted or not
}

// header reads a header: up to and with the empty line, or up to what cannot belong to it.
func (p *parser) header(limit int) header {
	h := &headerReader{p: p, fields: header{}, room: limit}
	for {
		line, ok := p.lines.next()
		if !ok || h.line(line) {
			break
		}
	}
	h.flush()
	return h.fields
}

// line takes the next piece; it reports whether the header ends there.
func (h *headerReader) line(l piece) (ends bool) {
	switch {
	case !l.begins:
		h.add(l.text)
		return false
	case len(l.text) == 0:
		return h.any || !h.blank()
	case h.p.delimits(l.text):
		h.p.lines.hold(l)
		return true
	case h.any && (l.text[0] == ' ' || l.text[0] == '\t'):
		h.add([]byte{' '})
		h.add(bytes.TrimLeft(l.text, " \t"))
		return false
	}
	if name, value, ok := field(l.text); ok {
		h.begin(name, value)
		return false
	}
	if !h.any && h.p.parts == 0 && mbox(l.text) {
		return false
	}
	return h.stray(l)
}

// blank reports whether an empty line before the first field is to be passed over: before a message that is there after
// all.
func (h *headerReader) blank() bool {
	if h.p.parts > 0 {
		return false
	}
	name, _, ok := field(h.p.lines.peek())
	if !ok {
		return false
	}
	_, known := wanted[name]
	return known || name == "received" || name == "return-path" || name == "delivered-to"
}

// stray decides on a line that is no field. If a field follows it, the line's own beginning was lost, most often the
// blank of a continuation, and it is one; otherwise the body has begun without an empty line before it.
func (h *headerReader) stray(l piece) (ends bool) {
	text := bytes.Clone(l.text)
	if _, _, ok := field(h.p.lines.peek()); ok && h.any {
		h.p.mail.defect(BrokenHeader)
		h.add([]byte{' '})
		h.add(text)
		return false
	}
	h.p.mail.defect(MissingSeparator)
	h.p.lines.hold(piece{text, true, l.at, l.gap})
	return true
}

func mbox(line []byte) bool {
	return bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))
}

// field splits a header line; the name comes in lower case. A name is printable ASCII without blanks (RFC 5322, 2.2),
// blanks before the colon are borne.
func field(line []byte) (name string, value []byte, ok bool) {
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return "", nil, false
	}
	key := bytes.TrimRight(line[:i], " \t")
	if len(key) == 0 || len(key) > 256 {
		return "", nil, false
	}
	for _, c := range key {
		if c <= ' ' || c > '~' {
			return "", nil, false
		}
	}
	return strings.ToLower(string(key)), line[i+1:], true
}

func (h *headerReader) begin(name string, value []byte) {
	h.flush()
	h.any = true
	if _, ok := wanted[name]; !ok {
		return
	}
	if h.room == 0 {
		h.p.mail.defect(HeaderTooLarge)
		return
	}
	h.name = name
	h.room = max(h.room-fieldCost, 0) // a million empty fields are bounded too
	h.add(value)
}

// fieldCost is what a field counts towards the limit beside its value, in bytes.
const fieldCost = 32

func (h *headerReader) add(b []byte) {
	if h.name == "" {
		return
	}
	if len(b) > h.room {
		b = b[:h.room]
		h.p.mail.defect(HeaderTooLarge)
	}
	h.room -= len(b)
	h.value = append(h.value, b...)
}

func (h *headerReader) flush() {
	if h.name != "" {
		value := string(bytes.Trim(bytes.ReplaceAll(h.value, []byte{0}, nil), " \t\r"))
		if wanted[h.name] && len(h.fields[h.name]) > 0 {
			h.p.mail.defect(DuplicateHeader)
		}
		h.fields[h.name] = append(h.fields[h.name], value)
	}
	h.name, h.value = "", h.value[:0]
}
