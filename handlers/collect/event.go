package collect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/mailfmt"
	"chainmail/handlers/pack"
)

// An eventFamily is an event's documents in the making.
type eventFamily struct {
	*family
	run   *run
	p     *progress
	entry *diaryEntry

	names     []string // of what is attached
	missing   bool     // one of them is not to be had
	embedded  []string // names of files that are shown in the body and are no documents
	elsewhere []string // names, and links where they are told, of files in a cloud
}

// make makes the documents, the event first, and gives the bytes of its native.
func (f *eventFamily) make() (int64, error) {
	calendar := f.lease.New()
	defer calendar.Close()
	if err := f.entry.event.Encode(calendar); err != nil {
		return 0, err
	}
	f.documents = append(f.documents, pack.Document{Kind: capture.Event, Parent: -1, Custodian: f.custodian, Item: f.item})
	for i := range f.entry.attached {
		if err := f.attach(&f.entry.attached[i]); err != nil {
			return 0, err
		}
	}
	text, err := f.compressor.Compress(pack.TextName(f.custodian, f.item, 0), f.entry.event.Text(f.names), f.packed)
	if err != nil {
		return 0, fmt.Errorf("compress text: %w", err)
	}
	native, err := f.compressor.Compress(pack.NativeName(f.custodian, f.item), calendar.Open(), f.packed)
	if err != nil {
		return 0, fmt.Errorf("compress event: %w", err)
	}
	d := &f.documents[0]
	d.Native, d.Text, d.TextStatus, d.Fields = &native, &text, mailfmt.Extracted, f.fields()
	f.monitored = f.roll.found(f.custodian.Identifier, f.addresses())
	return calendar.Size(), nil
}

// attach takes in what is attached to the event. What cannot be had is named, and does not cost the event.
func (f *eventFamily) attach(a *attachedFile) error {
	name := cmp.Or(a.Name, unnamed)
	if a.Kind == graph.ReferenceAttachment {
		f.names = append(f.names, name)
		if a.URL != "" {
			name += " <" + a.URL + ">"
		}
		f.elsewhere = append(f.elsewhere, name)
		return nil
	}
	as := &mailfmt.Attachment{Name: name, Type: a.Type, Embedded: a.Inline}
	if !f.wanted(as, 0) {
		if f.names = append(f.names, name); a.Inline {
			f.embedded = append(f.embedded, name)
		}
		return nil
	}
	content := f.lease.New()
	defer content.Close()
	if _, err := f.run.graph.EventAttachment(f.ctx, f.custodian.ID, a.event, a.ID, content); err != nil {
		f.names, f.missing = append(f.names, name), true
		_, err := f.run.itemFault(f.ctx, f.p, err)
		return err
	}
	if a.Kind == graph.ItemAttachment {
		var suffix string
		as.Type, suffix = itemType(content)
		as.Name += cmp.Or(suffix, ".eml")
	}
	f.names = append(f.names, as.Name)
	return f.attached(content, as, 0, 1)
}

// addresses are those of everybody whom the event names.
func (f *eventFamily) addresses() []string {
	all := []string{f.entry.told.Organizer.EmailAddress.Address}
	for _, a := range f.entry.told.Attendees {
		all = append(all, a.EmailAddress.Address)
	}
	return all
}

// fields maps what an event says to the load file's columns.
func (f *eventFamily) fields() pack.Fields {
	e, m := &f.entry.told, f.entry.event.Meeting
	out := pack.Fields{
		Author: m.Organizer, FromAddress: e.Organizer.EmailAddress.Address, To: m.Attendees, Recipients: len(m.Attendees),
		Subject: m.Subject, Conversation: m.Subject, Class: "IPM.Appointment", Format: "Plain",
		Categories: slices.Sorted(slices.Values(e.Categories)), Importance: e.Importance, Sensitivity: e.Sensitivity,
		Created: e.Created, Modified: e.LastModified, Attachments: f.names, Errors: slices.Clone(f.entry.event.Defects),
		Meeting: pack.Meeting{
			Start: m.Start, End: m.End, Location: m.Location, Organizer: m.Organizer, Attendees: m.Attendees,
			Recurrence: m.Recurrence, ICalUID: m.ICalUID,
		},
	}
	if m.Organizer != "" {
		out.From, out.Participants = []string{m.Organizer}, []string{m.Organizer}
	}
	if e.Body.ContentType == "html" {
		out.Format = "HTML"
	}
	if f.missing {
		out.Errors = append(out.Errors, codeMissing)
	}
	if f.entry.unknown != "" {
		out.Errors = append(out.Errors, f.entry.unknown)
	}
	out.Other = f.other()
	return out
}

// other is what no column is for. Entries without a value are left out by the package.
func (f *eventFamily) other() []pack.KeyValue {
	e := &f.entry.told
	asOf, status := "", ""
	if at := f.item.Modified; at.Before(f.run.batch.Start) || !at.Before(f.run.batch.End) {
		asOf = f.run.Now().UTC().Truncate(time.Second).Format(time.RFC3339)
	}
	if e.IsCancelled {
		status = "Cancelled"
	}
	return []pack.KeyValue{
		{Key: "As Of", Value: asOf}, {Key: "Meeting Time Zone", Value: f.entry.event.Meeting.Zone}, {Key: "Event Type", Value: e.Type},
		{Key: "Event Status", Value: status}, {Key: "Show As", Value: e.ShowAs}, {Key: "Response", Value: e.ResponseStatus.Response},
		{Key: "Embedded Files", Value: strings.Join(f.embedded, "; ")}, {Key: "Reference Attachments", Value: strings.Join(f.elsewhere, "; ")},
	}
}
