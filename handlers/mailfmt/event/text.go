package event

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/mailfmt"
	"chainmail/handlers/mailfmt/zones"
)

const (
	mark = "\uFEFF" // the byte order mark
	crlf = "\r\n"
)

// isHTML reports whether an event's body is HTML, which it is unless it says otherwise.
func isHTML(e *capture.CalendarEvent) bool { return e.Body.ContentType != "text" }

// bodyText is what is written in an event, as text; lines end in LF.
func bodyText(e *capture.CalendarEvent) string {
	if !isHTML(e) {
		return strings.Trim(clean(e.Body.Content), "\n")
	}
	return strings.Trim(mailfmt.HTMLText(e.Body.Content), "\n")
}

// Text reads the event's text: what it is, line by line, an empty line, and its body; then what each changed occurrence says
// otherwise, and the cancelled ones. It is in UTF-8 with a byte order mark; lines end in CRLF. Attachments are the names of the
// event's.
func (e *Event) Text(attachments []string) io.Reader {
	var b strings.Builder
	b.WriteString(mark + heading(e.master.event) + crlf)
	fields := e.fields(&e.master)
	write(&b, fields)
	write(&b, []field{{"Attachments", oneLine(strings.Join(attachments, "; "))}})
	writeBody(&b, e.master.body)
	for _, c := range append(slices.Clone(e.changed), e.untold...) {
		of := c.original.text()
		if of == "" {
			of = "an unknown day"
		}
		b.WriteString(crlf + "Changed occurrence of " + of + crlf)
		if c.event.IsCancelled != e.master.event.IsCancelled {
			b.WriteString(heading(c.event) + crlf)
		}
		write(&b, otherwise(e.fields(&c), fields))
		if c.body != e.master.body {
			writeBody(&b, c.body)
		}
	}
	e.writeCancelled(&b)
	return strings.NewReader(b.String())
}

func heading(e *capture.CalendarEvent) string {
	switch {
	case e.IsCancelled:
		return "Calendar event, cancelled"
	case e.IsDraft:
		return "Calendar event, draft"
	}
	return "Calendar event"
}

// A field is one line of the text.
type field struct{ name, value string }

func write(b *strings.Builder, fields []field) {
	for _, f := range fields {
		if f.value != "" {
			b.WriteString(f.name + ": " + f.value + crlf)
		}
	}
}

func writeBody(b *strings.Builder, body string) {
	if body != "" {
		b.WriteString(crlf + strings.ReplaceAll(body, "\n", crlf) + crlf)
	}
}

// otherwise leaves out the lines that others say as well, but for the times.
func otherwise(fields, others []field) []field {
	for i, f := range fields {
		if f.value == "" && others[i].value != "" && f.name != "Recurrence" {
			fields[i].value = "(none)"
		}
		if f == others[i] && f.name != "Start" && f.name != "End" {
			fields[i].value = ""
		}
	}
	return fields
}

// fields are the lines of a component, in their order; those that are empty are not written.
func (e *Event) fields(c *component) []field {
	x := c.event
	start, end := c.start.text(), c.end.text()
	switch {
	case c.start.isZero():
		start = told(x.Start)
	case c.start.date:
		start += " (all day)"
		if !c.end.isZero() { // the last day, not that after it
			end = wholeDay(c.end.at.AddDate(0, 0, -1)).text() + " (all day)"
		}
	}
	if c.end.isZero() {
		end = told(x.End)
	}
	recurrence := ""
	if c == &e.master {
		recurrence = e.words()
	}
	var people []string
	for _, a := range c.attendees {
		people = append(people, attendee(a))
	}
	return []field{
		{"Subject", oneLine(x.Subject)}, {"Organizer", person(x.Organizer.EmailAddress)}, {"Start", start}, {"End", end},
		{"Time zone", unknownZone(c)}, {"Recurrence", recurrence}, {"Location", places(x)}, {"Attendees", strings.Join(people, "; ")},
		{"Own answer", answer(x.ResponseStatus)}, {"Online meeting", oneLine(joinURL(x))},
		{"Conference number", oneLine(strings.Trim(x.OnlineMeeting.TollNumber+" "+x.OnlineMeeting.ConferenceID, " "))},
		{"Categories", oneLine(strings.Join(categories(x), "; "))}, {"Shown as", except(x.ShowAs, "busy", "unknown")},
		{"Importance", except(x.Importance, "normal")}, {"Sensitivity", except(x.Sensitivity, "normal")},
	}
}

// except leaves out what is usual.
func except(value string, usual ...string) string {
	if slices.Contains(usual, value) {
		return ""
	}
	return oneLine(value)
}

// told is a time as it is told.
func told(t capture.ZonedTime) string {
	text := t.DateTime
	if clock, ok := clockOf(text); ok {
		text = clock.Format(time.DateTime)
	}
	return oneLine(text + " " + t.TimeZone)
}

// unknownZone tells of a zone that is unknown which was taken for it.
func unknownZone(c *component) string {
	name := c.event.OriginalStartTimeZone
	if _, ok := zones.Find(name); ok || name == "" {
		return ""
	}
	return oneLine(name) + " is unknown, " + cmp.Or(c.start.zone.Name, "none") + " was taken"
}

// places are where an event is held, with what is known of where that is.
func places(e *capture.CalendarEvent) string {
	text := oneLine(place(e))
	seen := map[string]bool{"": true}
	for _, l := range append([]capture.EventLocation{e.Location}, e.Locations...) {
		a := l.Address
		var parts []string
		for _, part := range []string{a.Street, a.PostalCode, a.City, a.State, a.CountryOrRegion} {
			if part = oneLine(part); part != "" {
				parts = append(parts, part)
			}
		}
		where := strings.Join(parts, ", ")
		if !seen[where] {
			text = strings.TrimSpace(text + " (" + where + ")")
		}
		seen[where] = true
	}
	return text
}

// person is "Name <address>", or what of the two there is.
func person(a capture.EmailAddress) string {
	name, address := oneLine(a.Name), oneLine(a.Address)
	switch {
	case name == "" || strings.EqualFold(name, address):
		return address
	case address == "":
		return name
	}
	return name + " <" + address + ">"
}

func attendee(a capture.EventAttendee) string {
	notes := []string{cmp.Or(oneLine(a.Type), "required"), cmp.Or(answer(a.Status), "no answer")}
	if p := proposal(a); p != (capture.TimeSlot{}) {
		notes = append(notes, "proposes "+told(p.Start)+" to "+told(p.End))
	}
	return person(a.EmailAddress) + " (" + strings.Join(notes, ", ") + ")"
}

var answerWords = map[string]string{
	"": "", "none": "", "notResponded": "", "organizer": "organizer", "accepted": "accepted",
	"tentativelyAccepted": "tentatively accepted", "declined": "declined",
}

func answer(s capture.ResponseStatus) string {
	words, ok := answerWords[s.Response]
	if !ok {
		words = oneLine(s.Response)
	}
	if words != "" && isTold(s.Time) {
		words += " " + s.Time.UTC().Format(time.DateTime) + " UTC"
	}
	return words
}

// text is a time as mail's placeholders write it, with the zone's offset: "2026-03-02 09:00:00 UTC (10:00 W. Europe Standard
// Time, UTC+01:00)".
func (m moment) text() string {
	switch {
	case m.isZero():
		return ""
	case m.date:
		return m.clock.Format(time.DateOnly)
	}
	text := m.at.UTC().Format(time.DateTime) + " UTC"
	if m.zone.IsUTC() {
		return text
	}
	clock := zones.Clock(m.at, m.zone.Location)
	layout := "15:04"
	if clock.Second() != 0 {
		layout = time.TimeOnly
	}
	if !dayOf(clock).Equal(dayOf(m.at)) {
		layout = time.DateOnly + " " + layout
	}
	offset := m.at.In(m.zone.Location).Format("-07:00")
	return text + " (" + clock.Format(layout) + " " + m.zone.Name + ", UTC" + offset + ")"
}

// writeCancelled tells which occurrences there are not.
func (e *Event) writeCancelled(b *strings.Builder) {
	if len(e.excluded)+len(e.unread) == 0 {
		return
	}
	b.WriteString(crlf)
	for _, m := range e.excluded {
		b.WriteString("Cancelled occurrence of " + m.text() + crlf)
	}
	for _, id := range e.unread {
		b.WriteString("Cancelled occurrence of an unknown day: " + oneLine(id) + crlf)
	}
}

// oneLine makes a text one line, without control characters.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return r <= ' ' || r >= 0x7F && r <= 0x9F || r == 0x2028 || r == 0x2029
	}), " ")
}

// meeting is what the load file says of the event.
func (e *Event) meeting() Meeting {
	x := e.master.event
	m := Meeting{
		Subject: oneLine(x.Subject), Start: e.master.start.at, End: e.master.end.at, AllDay: e.master.start.date,
		Location: oneLine(place(x)), Organizer: person(x.Organizer.EmailAddress), ICalUID: oneLine(x.ICalUID),
	}
	if !m.AllDay {
		m.Zone = e.master.start.zone.Name
	}
	if x.Sequence != nil {
		m.Sequence = int(*x.Sequence)
	}
	seen := map[string]bool{"": true}
	for _, a := range e.master.attendees {
		p := person(a.EmailAddress)
		if key := strings.ToLower(cmp.Or(oneLine(a.EmailAddress.Address), p)); !seen[key] {
			seen[key] = true
			m.Attendees = append(m.Attendees, p)
		}
	}
	if e.rule != nil {
		var notes []string
		for _, n := range []struct {
			count int
			what  string
		}{{len(e.excluded), "excluded"}, {len(e.added), "added"}} {
			if n.count > 0 {
				notes = append(notes, plural(n.count, "date")+" "+n.what)
			}
		}
		if m.Recurrence = e.rule.String(); len(notes) > 0 {
			m.Recurrence += " (" + strings.Join(notes, ", ") + ")"
		}
	}
	return m
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
