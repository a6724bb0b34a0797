// Package compose writes an email as MIME from its header fields, its text and its attachments, where its own MIME is not to be
// had.
//
// What it writes says so in a field of its header, [Mark]. Equal mails give equal bytes. Every value may hold anything: none can
// end its field or begin another, nor end its part.
package compose

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-message/textproto"
)

// Mark is the field that a composed mail has, with the value true. Those of Missing and Elsewhere tell, one for each, what was
// attached to the mail and is not in it.
const (
	Mark      = "X-Chainmail-Synthesised"
	missing   = "X-Chainmail-Missing-Attachment"
	elsewhere = "X-Chainmail-Reference-Attachment"
)

// A Mail is what is to be written.
type Mail struct {
	ID      string  // that of the item; the boundaries come from it
	Headers []Field // as the mail was transported, in order; what the other fields say, and what tells of MIME, is left out

	From, Sender             Person
	To, CC, BCC, ReplyTo     []Person
	Subject                  string
	MessageID                string // with its angle brackets
	InReplyTo, References    string // where Headers have none
	ThreadIndex              []byte
	Class                    string // Outlook's message class; one that every mail has is not written
	Importance, Sensitivity  string
	Categories               []string
	ReadReceipt, DeliveryAsk bool
	Sent                     time.Time

	HTML        bool // what the body is written in
	Body        string
	Attachments []Attachment
	Missing     []string    // names of attachments that are not to be had
	Elsewhere   []Reference // attachments that are nothing but links
}

// A Field is a field of a mail's header, its value unfolded.
type Field struct{ Name, Value string }

// A Person is a name and an address, of which one may be empty.
type Person struct{ Name, Address string }

// A Reference is an attachment that lies elsewhere, under an address that may be unknown.
type Reference struct{ Name, URL string }

// An Attachment is one with its content.
type Attachment struct {
	Name      string           // "": an attached message is called by its subject, any other by its number
	Type      string           // media type; message/rfc822 for an attached message
	Inline    bool             // the text shows it in its place
	ContentID string           // what the HTML calls it by, without angle brackets
	Content   func() io.Reader // from its beginning; it may be read more than once
}

// Write writes the mail to w. Contents go through it as streams. The errors are those of w and of the contents.
func Write(w io.Writer, m *Mail) error {
	out := bufio.NewWriterSize(w, 64<<10)
	tree, err := m.tree()
	if err == nil {
		err = textproto.WriteHeader(out, tree.fields.header())
	}
	if err == nil {
		err = tree.write(out)
	}
	if err == nil && len(tree.children) == 0 {
		_, err = out.WriteString("\r\n")
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("compose mail: %w", err)
	}
	return nil
}

// A part is a node of the mail's tree: a multipart, or what has content.
type part struct {
	fields   fields
	boundary string
	children []*part
	content  func() io.Reader
	plain    bool // the content is written as it is, not as base64
}

func (p *part) write(w io.Writer) error {
	if len(p.children) > 0 {
		return p.writeChildren(w)
	}
	if p.plain {
		_, err := io.Copy(w, p.content())
		return err
	}
	encoder := base64.NewEncoder(base64.StdEncoding, &lines{w: w, end: []byte("\r\n")})
	if _, err := io.Copy(encoder, p.content()); err != nil {
		return err
	}
	return encoder.Close()
}

func (p *part) writeChildren(w io.Writer) error {
	m := textproto.NewMultipartWriter(w)
	if err := m.SetBoundary(p.boundary); err != nil {
		return err
	}
	for _, child := range p.children {
		out, err := m.CreatePart(child.fields.header())
		if err != nil {
			return err
		}
		if err := child.write(out); err != nil {
			return err
		}
	}
	return m.Close()
}

// lines breaks base64 into lines.
type lines struct {
	w      io.Writer
	end    []byte
	column int
}

const lineLength = 76 // RFC 2045, 6.8

func (l *lines) Write(p []byte) (n int, err error) {
	for n < len(p) {
		if l.column == lineLength {
			if _, err := l.w.Write(l.end); err != nil {
				return n, err
			}
			l.column = 0
		}
		k, err := l.w.Write(p[n : n+min(len(p)-n, lineLength-l.column)])
		n, l.column = n+k, l.column+k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// isMessage reports whether an attachment is written as it is, since base64 is not for messages (RFC 2046, 5.2.1).
func (a *Attachment) isMessage() bool {
	kind, _, _ := strings.Cut(strings.ToLower(a.Type), ";")
	kind = strings.TrimSpace(kind)
	return kind == "message/rfc822" || kind == "message/global"
}
