package compose

import (
	"crypto/sha256"
	"fmt"
	"io"
	"mime"
	"strings"
)

// tree puts the mail's parts together: the text, about it the images that it shows, about these all other attachments.
func (m *Mail) tree() (*part, error) {
	boundary, err := m.boundaries()
	if err != nil {
		return nil, err
	}
	root := m.text()
	var shown, others []*part
	for i := range m.Attachments {
		if a := &m.Attachments[i]; m.shows(a) {
			shown = append(shown, a.part("inline"))
		} else {
			others = append(others, a.part("attachment"))
		}
	}
	if len(shown) > 0 {
		root = multipart(`multipart/related; type="text/html"`, boundary(1), root, shown)
	}
	if len(others) > 0 {
		root = multipart("multipart/mixed", boundary(0), root, others)
	}
	root.fields = append(m.fields(), root.fields...)
	return root, nil
}

func multipart(kind, boundary string, first *part, rest []*part) *part {
	p := &part{boundary: boundary, children: append([]*part{first}, rest...)}
	p.fields.add("Content-Type", kind+`; boundary="`+boundary+`"`)
	return p
}

// boundaries gives the mail's boundaries by number. They come from the item's id and from all that is written as it is, so
// that no line of what is attached can be one of them, whoever wrote it.
func (m *Mail) boundaries() (func(n int) string, error) {
	hash := sha256.New()
	fmt.Fprintf(hash, "chainmail/compose/1 %q", m.ID)
	for i := range m.Attachments {
		if a := &m.Attachments[i]; a.isMessage() {
			if _, err := io.Copy(hash, a.Content()); err != nil {
				return nil, err
			}
		}
	}
	sum := hash.Sum(nil)
	return func(n int) string { return fmt.Sprintf("_%03d_%x_", n, sum[:16]) }, nil
}

// text is the mail's text. Base64 keeps it as it is, line ends included.
func (m *Mail) text() *part {
	kind := "text/plain"
	if m.HTML {
		kind = "text/html"
	}
	p := &part{content: func() io.Reader { return strings.NewReader(m.Body) }}
	p.fields.add("Content-Type", kind+`; charset="utf-8"`)
	p.fields.add("Content-Transfer-Encoding", "base64")
	return p
}

// shows reports whether an attachment is one that the text shows in its place.
func (m *Mail) shows(a *Attachment) bool {
	return m.HTML && a.ContentID != "" && strings.HasPrefix(mediaType(a.Type), "image/") &&
		(a.Inline || strings.Contains(m.Body, "cid:"+a.ContentID))
}

func (a *Attachment) part(disposition string) *part {
	kind, charset := a.mediaType()
	p := &part{content: a.Content, plain: a.isMessage()}
	if charset != "" {
		charset = parameter("charset", charset)
	}
	p.fields.add("Content-Type", kind+charset+parameter("name", a.Name))
	p.fields.add("Content-Disposition", disposition+parameter("filename", a.Name))
	if id := strings.Trim(identifier(a.ContentID), "<>"); id != "" {
		p.fields.add("Content-ID", "<"+id+">")
	}
	encoding := "base64"
	if p.plain {
		encoding = "binary" // its lines may have any length
	}
	p.fields.add("Content-Transfer-Encoding", encoding)
	return p
}

// mediaType is the type that an attachment is given, and the charset of a text. What has parts of its own would be taken apart,
// and what is no type would be taken for text: both become bytes.
func (a *Attachment) mediaType() (kind, charset string) {
	kind, params, err := mime.ParseMediaType(a.Type)
	composite := strings.HasPrefix(kind, "multipart/") || strings.HasPrefix(kind, "message/") && !a.isMessage()
	if err != nil || !strings.Contains(kind, "/") || len(kind) > 127 || composite {
		if kind = mediaType(a.Type); a.isMessage() {
			return kind, ""
		}
		return "application/octet-stream", ""
	}
	if strings.HasPrefix(kind, "text/") {
		charset = params["charset"]
	}
	return kind, charset
}

// mediaType is what stands before the parameters, in lower case.
func mediaType(value string) string {
	kind, _, _ := strings.Cut(value, ";")
	return strings.ToLower(strings.TrimSpace(kind))
}
