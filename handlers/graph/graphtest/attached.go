package graphtest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// An Attachment is attached to a message beside what its MIME holds: what MIME cannot hold, or what cannot be had. Those that
// the MIME holds are served likewise: what is of type message/rfc822 as an item, all others as files.
type Attachment struct {
	Kind        AttachmentKind
	Name        string
	ContentType string // null for an item
	ContentID   string // of a file
	Inline      bool
	Size        int64  // by Exchange's own account
	Content     []byte // of a file, or of an item as its $value has it: MIME, iCalendar or a vCard
	URL         string // of a reference; v1.0 does not tell it, so that it is served only where it is not empty

	// Unopened has its content fail for ever with 500 ErrorCannotOpenFileAttachment.
	Unopened bool
}

// An AttachmentKind is the type of an attachment in Graph.
type AttachmentKind string

// The kinds of attachments.
const (
	FileAttachment      AttachmentKind = "fileAttachment"
	ItemAttachment      AttachmentKind = "itemAttachment"
	ReferenceAttachment AttachmentKind = "referenceAttachment" // has no content: its $value is 405
)

// fileContentID is a property of files alone. By its bare name it is none of an attachment's.
const fileContentID = "microsoft.graph.fileAttachment/contentId"

// A holder is a message or an event that has attachments.
type holder struct {
	id       string // immutable
	modified time.Time
	attached []Attachment
	content  func(i int) (io.ReadCloser, error)
}

// holder gives the message or the event of a path.
func (s *Server) holder(c *call) (holder, *reply) {
	if c.route.event != "" {
		e, _, bad := s.findEvent(c)
		if bad != nil {
			return holder{}, bad
		}
		return holder{e.ID, e.LastModified, e.Attached, func(i int) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(e.Attached[i].Content)), nil
		}}, nil
	}
	f, bad := s.findMessage(c)
	if bad != nil {
		return holder{}, bad
	}
	m := f.message
	d, err := m.detail()
	if err != nil {
		return holder{}, unconvertible()
	}
	return holder{m.ImmutableID, m.Modified, d.attached, func(i int) (io.ReadCloser, error) {
		if own := len(d.attached) - len(m.Attached); i < own {
			return m.content(i)
		}
		return io.NopCloser(bytes.NewReader(d.attached[i].Content)), nil
	}}, nil
}

// attachmentName is what the ids of the n-th attachment are made of.
func (h holder) attachmentName(n int) string { return fmt.Sprint(h.id, " attachment ", n) }

// listAttachments answers the list of the attachments of a message or an event. Graph gives their contents with it where there is no $select,
// which is more than a client can take; here that is refused.
func (s *Server) listAttachments(c *call) *reply {
	s.checkContinuation(c)
	var bad *reply
	if c.options, bad = parseOptions(c.query, []string{"$select", "$top", "$skip"}); bad != nil {
		return bad
	}
	known := []string{"id", "name", "contentType", "size", "isInline", "lastModifiedDateTime", fileContentID}
	selected, bad := selection(c.options, known)
	if bad != nil {
		return bad
	}
	if selected == nil {
		return refuse(400, "BadRequest", "Name the properties.").breaks("attachments listed with their contents")
	}
	h, bad := s.holder(c)
	if bad != nil {
		return bad
	}
	skip, count, bad := pageOf(c.options, c.prefer, 10, 1000)
	if bad != nil {
		return bad
	}
	end := min(skip+count, len(h.attached))
	rows := []map[string]any{}
	for i := skip; i < end; i++ {
		rows = append(rows, c.attachmentRow(h, i, selected))
	}
	of := "messages('" + c.route.message
	if c.route.event != "" {
		of = "events('" + c.route.event
	}
	answer := map[string]any{"@odata.context": c.base + "/$metadata#users('" + c.user.ID + "')/" + of + "')/attachments", "value": rows}
	if end < len(h.attached) {
		answer["@odata.nextLink"] = s.link(c, "$skip", strconv.Itoa(end))
	}
	return c.applied(jsonReply(answer))
}

func (c *call) attachmentRow(h holder, n int, selected []string) map[string]any {
	a := &h.attached[n]
	row := project(map[string]any{
		"name": a.Name, "contentType": orNull(a.ContentType), "size": a.Size, "isInline": a.Inline,
		"lastModifiedDateTime": stamp(h.modified),
	}, selected, nil)
	row["@odata.type"], row["id"] = "#microsoft.graph."+string(a.Kind), mutableID(h.attachmentName(n))
	if c.prefer.immutable {
		row["id"] = immutableID(h.attachmentName(n))
	}
	if a.Kind == FileAttachment && slices.Contains(selected, fileContentID) {
		row["contentId"] = orNull(a.ContentID)
	}
	if a.URL != "" {
		row["sourceUrl"] = a.URL
	}
	return row
}

// getAttachment answers with an attachment's content.
func (s *Server) getAttachment(c *call) *reply {
	var bad *reply
	if c.options, bad = parseOptions(c.query, nil); bad != nil {
		return bad
	}
	h, bad := s.holder(c)
	if bad != nil {
		return bad
	}
	for i := range h.attached {
		if name := h.attachmentName(i); c.route.attachment == immutableID(name) || c.route.attachment == mutableID(name) {
			return h.answer(i)
		}
	}
	return notFound()
}

func (h holder) answer(i int) *reply {
	switch a := &h.attached[i]; {
	case a.Kind == ReferenceAttachment:
		return refuse(http.StatusMethodNotAllowed, "ErrorInvalidRequest", "The operation is not supported for a reference attachment.")
	case a.Unopened:
		return refuse(500, "ErrorCannotOpenFileAttachment", "OLE conversion failed for an attachment.")
	}
	body, err := h.content(i)
	if err != nil {
		return unconvertible()
	}
	r := newReply(200)
	r.header.Set("Content-Type", "application/octet-stream")
	r.stream = body
	return r
}
