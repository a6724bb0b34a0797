package graphtest

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"regexp"
	"strings"

	"github.com/emersion/go-message/charset"
	"github.com/emersion/go-message/textproto"
)

// A detail is what Graph tells of a message besides its listing row, taken out of its MIME: Exchange makes both of one item.
type detail struct {
	header   []headerField // of the message, in order, unfolded
	kind     string        // of the body: "html" or "text"
	body     string
	attached []Attachment // in the order of the MIME
}

type headerField struct{ name, value string }

func (d *detail) get(name string) string {
	for _, f := range d.header {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

// transported reports whether the message came over the wire: of others Graph has no internetMessageHeaders.
func (d *detail) transported() bool { return d.get("Received") != "" }

// maxBody is how much of a text the stand-in takes for a body.
const maxBody = 16 << 20

// detail reads the message's MIME.
func (m *Message) detail() (*detail, error) {
	d := &detail{}
	err := m.leaves(func(h textproto.Header, l leafPart) error {
		if d.header == nil {
			d.header = l.top
		}
		switch {
		case l.isText() && (d.kind == "" || d.kind == "text" && l.kind == "text/html"):
			text, err := io.ReadAll(io.LimitReader(l.body, maxBody))
			if err != nil {
				return err
			}
			d.body, d.kind = l.decode(text), map[bool]string{true: "html", false: "text"}[l.kind == "text/html"]
		case !l.isText() && !l.isFace():
			size, err := io.Copy(io.Discard, l.body)
			if err != nil {
				return err
			}
			a := l.attachment()
			a.Size = size + 300 // by Exchange's own account
			d.attached = append(d.attached, a)
		}
		return nil
	})
	d.attached = append(d.attached, m.Attached...)
	return d, err
}

// content gives the content of the n-th attachment that the MIME holds.
func (m *Message) content(n int) (io.ReadCloser, error) {
	source, err := m.open(0)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	err = walkMIME(source, func(_ textproto.Header, l leafPart) error {
		if l.isText() || l.isFace() {
			return nil
		}
		if n--; n >= 0 {
			return nil
		}
		body = l.body
		return errFound
	})
	if !errors.Is(err, errFound) {
		_ = source.Close()
		return nil, errors.New("no such attachment")
	}
	return struct {
		io.Reader
		io.Closer
	}{body, source}, nil
}

var errFound = errors.New("found")

func (m *Message) leaves(visit func(textproto.Header, leafPart) error) error {
	source, err := m.open(0)
	if err != nil {
		return err
	}
	defer source.Close()
	return walkMIME(source, visit)
}

// A leafPart is a part that has no parts of its own.
type leafPart struct {
	top               []headerField // of the message
	kind, disposition string
	name, label       string
	alternative       bool // one of several versions of the same
	contentID         string
	body              io.Reader // its transfer encoding undone
}

// isText tells what people wrote from what they attached.
func (l *leafPart) isText() bool {
	return (l.kind == "text/plain" || l.kind == "text/html") && l.disposition != "attachment" && l.name == ""
}

// isFace reports whether the part is a meeting, which Graph shows in other ways.
func (l *leafPart) isFace() bool { return l.kind == "text/calendar" && l.alternative }

func (l *leafPart) decode(text []byte) string {
	r, err := charset.Reader(l.label, strings.NewReader(string(text)))
	if l.label == "" || err != nil {
		return strings.ToValidUTF8(string(text), "\uFFFD")
	}
	decoded, _ := io.ReadAll(r) // memory alone; what is no text of that charset is replaced
	return string(decoded)
}

func (l *leafPart) attachment() Attachment {
	a := Attachment{
		Kind: FileAttachment, Name: l.name, ContentType: l.kind, ContentID: strings.Trim(l.contentID, "<>"),
		Inline: l.disposition == "inline" && l.contentID != "",
	}
	if l.kind == "message/rfc822" {
		a.Kind, a.ContentType = ItemAttachment, ""
	}
	return a
}

// walkMIME visits the leaves of a message, in order.
func walkMIME(source io.Reader, visit func(textproto.Header, leafPart) error) error {
	r := bufio.NewReader(source)
	h, err := textproto.ReadHeader(r)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read header: %w", err)
	}
	var top []headerField
	for f := h.Fields(); f.Next(); {
		top = append(top, headerField{f.Key(), f.Value()})
	}
	return walkPart(h, r, top, false, 0, visit)
}

func walkPart(h textproto.Header, body io.Reader, top []headerField, alternative bool, depth int,
	visit func(textproto.Header, leafPart) error,
) error {
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		kind = "text/plain"
	}
	if strings.HasPrefix(kind, "multipart/") && params["boundary"] != "" && depth < 20 {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return fmt.Errorf("read part: %w", err)
			}
			inner := textproto.HeaderFromMap(p.Header)
			if err := walkPart(inner, p, top, kind == "multipart/alternative", depth+1, visit); err != nil {
				return err
			}
		}
	}
	disposition, more, _ := mime.ParseMediaType(h.Get("Content-Disposition"))
	name := more["filename"]
	if name == "" {
		name = params["name"]
	}
	switch strings.ToLower(h.Get("Content-Transfer-Encoding")) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	return visit(h, leafPart{
		top: top, kind: kind, disposition: disposition, name: decodeWords(name), label: params["charset"], alternative: alternative,
		contentID: h.Get("Content-Id"), body: body,
	})
}

// unsafe is what Graph takes out of a body unless it is told not to ("outlook.allow-unsafe-html").
var unsafe = regexp.MustCompile(`(?is)<(script|style)\b.*?</(script|style)\s*>`)

// shownBody is the body as Graph gives it: always HTML, made safe unless the client wants it as it is.
func (c *call) shownBody(d *detail) map[string]any {
	text := d.body
	if d.kind != "html" {
		text = `<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body><div class="PlainText">` +
			strings.ReplaceAll(html.EscapeString(text), "\n", "<br>\n") + "</div></body></html>"
	}
	if !c.prefer.unsafe {
		text = unsafe.ReplaceAllString(text, "")
	}
	return map[string]any{"contentType": "html", "content": text}
}

// more adds to a message's row what its MIME tells.
func (c *call) more(all map[string]any, m *Message, d *detail) {
	all["body"] = c.shownBody(d)
	index, err := base64.StdEncoding.DecodeString(d.get("Thread-Index"))
	if err != nil || len(index) == 0 {
		index = append([]byte{1}, seedBytes("thread "+m.Subject, 21)...)
	}
	all["conversationIndex"] = base64.StdEncoding.EncodeToString(index)
	if v := strings.ToLower(d.get("Importance")); v == "high" || v == "low" {
		all["importance"] = v
	}
	all["isReadReceiptRequested"] = d.get("Disposition-Notification-To") != ""
	all["isDeliveryReceiptRequested"] = d.get("Return-Receipt-To") != ""
	if categories := d.get("Keywords"); categories != "" {
		all["categories"] = strings.Split(categories, ", ")
	}
	all["replyTo"] = recipients(header{"reply-to": {d.get("Reply-To")}}.addresses("reply-to"))
	if !d.transported() {
		return
	}
	var headers []any
	for _, f := range d.header {
		headers = append(headers, map[string]any{"name": f.name, "value": f.value})
	}
	all["internetMessageHeaders"] = headers
}

// property is the value of an extended property, "" for one that the message does not have.
func (m *Message) property(id string, d *detail) string {
	switch _, tag, _ := strings.Cut(id, " "); tag {
	case "0xe08":
		return fmt.Sprint(m.Size)
	case "0x1a":
		return map[string]string{
			"eventMessageRequest": "IPM.Schedule.Meeting.Request", "eventMessageResponse": "IPM.Schedule.Meeting.Resp.Pos",
			"eventMessage": "IPM.Schedule.Meeting.Canceled", "": "IPM.Note",
		}[m.Type]
	case "0x36":
		values := map[string]string{"": "0", "personal": "1", "private": "2", "company-confidential": "3"}
		return values[strings.ToLower(d.get("Sensitivity"))]
	case "0x1039":
		return d.get("References")
	case "0x1042":
		return d.get("In-Reply-To")
	}
	return ""
}
