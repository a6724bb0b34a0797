package collect

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"slices"
	"strings"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/mailfmt/compose"
	"chainmail/handlers/pack"
	"chainmail/handlers/spool"
)

// codeMissing is a document's error where an attachment could not be had for a synthesised native.
const codeMissing = "AttachmentMissing"

// native fetches an item's native. One whose MIME is not to be had is written of what else Graph tells of it: then made is what
// is to be said of it. A code says why the item cannot be had at all. The error is that of the mailbox, or the spool's.
func (r *run) native(ctx context.Context, p *progress, it capture.Item, lease *spool.Lease, native *spool.Buffer,
) (made *synthesis, code string, err error) {
	_, err = r.graph.MIME(ctx, p.Custodian.ID, it.GraphID, native)
	if err == nil {
		return nil, "", nil
	}
	refusal, err := r.itemFault(ctx, p, err)
	if err != nil || refusal == codeVanished {
		return nil, refusal, err
	}
	if err := native.Reset(); err != nil {
		return nil, "", err
	}
	made = &synthesis{run: r, p: p, item: it.GraphID, lease: lease, refusal: refusal}
	defer made.release()
	err = made.write(ctx, native)
	if err == nil {
		r.log.WarnContext(ctx, "item synthesised", "custodian", p.Custodian.Name(), "item", it.Key(), "code", refusal,
			"missing", len(made.missing))
		return made, "", nil
	}
	code, err = r.itemFault(ctx, p, err)
	if code != "" && code != codeVanished { // that the MIME was refused came first
		code = refusal
	}
	return nil, code, err
}

// A synthesis makes the native of an item whose MIME Graph cannot give, of what JSON tells of it and of its attachments.
type synthesis struct {
	*run
	p       *progress
	item    string // Graph's id
	lease   *spool.Lease
	refusal string // the code with which Graph refused the MIME

	attached  []*spool.Buffer
	doubtful  int                 // attachments lost to faults that pass with other items
	missing   []string            // names of attachments that are not to be had
	elsewhere []compose.Reference // attachments without content
}

// write writes the native. A fault of the item, of the mailbox, of the spool: the error is as it came.
func (s *synthesis) write(ctx context.Context, native *spool.Buffer) error {
	user := s.p.Custodian.ID
	m, err := s.graph.Message(ctx, user, s.item)
	if err != nil {
		return err
	}
	list, err := s.graph.Attachments(ctx, user, s.item)
	if err != nil {
		return err
	}
	mail := composed(&m)
	mail.ID = s.item
	for i := range list {
		a, err := s.attachment(ctx, &list[i])
		if err != nil {
			return err
		}
		if a != nil {
			mail.Attachments = append(mail.Attachments, *a)
		}
	}
	mail.Missing, mail.Elsewhere = s.missing, s.elsewhere
	return compose.Write(native, mail)
}

// attachment fetches an attachment; nil: it has no content, or none that can be had.
func (s *synthesis) attachment(ctx context.Context, a *graph.Attachment) (*compose.Attachment, error) {
	if a.Kind == graph.ReferenceAttachment {
		s.elsewhere = append(s.elsewhere, compose.Reference{Name: a.Name, URL: a.URL})
		return nil, nil
	}
	content := s.lease.New()
	s.attached = append(s.attached, content)
	if _, err := s.graph.Attachment(ctx, s.p.Custodian.ID, s.item, a.ID, content); err != nil {
		return nil, s.lost(ctx, a, err)
	}
	out := &compose.Attachment{
		Name: a.Name, Type: a.Type, Inline: a.Inline, ContentID: a.ContentID,
		Content: func() io.Reader { return content.Open() },
	}
	if a.Kind == graph.ItemAttachment {
		var suffix string
		if out.Type, suffix = itemType(content); suffix == "" {
			out.Name = "" // its subject names it
		} else if out.Name != "" {
			out.Name += suffix
		}
	}
	return out, nil
}

// maxDoubtful is how many attachments may be lost to faults that are tried again: each takes its time, and where all of them
// fail it is rather the item that cannot be had.
const maxDoubtful = 16

// lost notes an attachment that cannot be had, unless that is the mailbox's fault, or the item has gone with it.
func (s *synthesis) lost(ctx context.Context, a *graph.Attachment, fault error) error {
	if graph.MeaningOf(fault) == graph.Transient {
		if s.doubtful++; s.doubtful > maxDoubtful {
			return fault
		}
	}
	code, err := s.itemFault(ctx, s.p, fault)
	if err != nil {
		return err
	}
	if code == codeVanished {
		if _, err := s.graph.Attachments(ctx, s.p.Custodian.ID, s.item); err != nil {
			return err
		}
	}
	s.missing = append(s.missing, cmp.Or(a.Name, unnamed))
	return nil
}

// unnamed is what an attachment without a name is called in a list.
const unnamed = "unnamed"

// itemType tells by its beginning what the content of an attached item is, and how a file of it is named: an event is
// iCalendar, a contact a vCard, all others are messages.
func itemType(content *spool.Buffer) (kind, suffix string) {
	var head [64]byte
	n, _ := io.ReadFull(content.Open(), head[:]) // shorter ones are messages
	begin := bytes.ToUpper(bytes.TrimLeft(head[:n], "\xEF\xBB\xBF \t\r\n"))
	switch {
	case bytes.HasPrefix(begin, []byte("BEGIN:VCALENDAR")):
		return "text/calendar", ".ics"
	case bytes.HasPrefix(begin, []byte("BEGIN:VCARD")):
		return "text/vcard", ".vcf"
	}
	return "message/rfc822", ""
}

// release gives the attachments' room back: the native has them by now.
func (s *synthesis) release() {
	for _, b := range s.attached {
		_ = b.Close() // what cannot be removed ends with the lease
	}
}

// mark says of the email's document that its native was synthesised, why, and what it lacks.
func (s *synthesis) mark(d *pack.Document) {
	f := &d.Fields
	d.Synthesised = true
	f.Errors = append(slices.Clip(f.Errors), s.refusal)
	if len(s.missing) > 0 {
		f.Errors = append(f.Errors, codeMissing)
	}
	f.Attachments = append(slices.Clip(f.Attachments), s.missing...)
	var links []string
	for _, r := range s.elsewhere {
		name := cmp.Or(r.Name, unnamed)
		f.Attachments = append(f.Attachments, name)
		if r.URL != "" {
			name += " <" + r.URL + ">"
		}
		links = append(links, name)
	}
	f.Other = append(slices.Clip(f.Other), pack.KeyValue{Key: "Reference Attachments", Value: strings.Join(links, "; ")})
}

// composed is what Graph tells of a message as the composer takes it.
func composed(m *graph.Message) *compose.Mail {
	out := &compose.Mail{
		From: compose.Person(m.From), Sender: compose.Person(m.Sender), To: people(m.To), CC: people(m.CC), BCC: people(m.BCC),
		ReplyTo: people(m.ReplyTo), Subject: m.Subject, MessageID: m.MessageID, InReplyTo: m.InReplyTo, References: m.References,
		ThreadIndex: m.ConversationIndex, Class: m.Class, Importance: m.Importance, Sensitivity: m.Sensitivity,
		Categories: m.Categories, ReadReceipt: m.ReadReceipt, DeliveryAsk: m.DeliveryAsked, Sent: m.Sent, HTML: m.HTML, Body: m.Body,
	}
	for _, h := range m.Headers {
		out.Headers = append(out.Headers, compose.Field(h))
	}
	return out
}

func people(list []graph.Person) []compose.Person {
	var all []compose.Person
	for _, p := range list {
		all = append(all, compose.Person(p))
	}
	return all
}
