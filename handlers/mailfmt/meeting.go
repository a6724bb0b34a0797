package mailfmt

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"time"
)

// A Meeting is what the calendar part of an invitation says, of a response to one, or of a cancellation. Of a series it is
// the series; its changed occurrences are told in the text.
type Meeting struct {
	Method     string    // REQUEST, REPLY, COUNTER, CANCEL, ADD; PUBLISH or empty where the message is a calendar and no more
	Response   string    // of a REPLY or COUNTER: ACCEPTED, DECLINED, TENTATIVE, DELEGATED
	Summary    string    // its subject
	Start, End time.Time // UTC; zero where they are not said. Of whole days they are midnights, End that after the last day
	AllDay     bool
	Zone       string // in which it starts, as the invitation calls it; empty for whole days, and for times in no zone
	Location   string
	Organizer  string   // "Name <address>", or what of the two there is
	Attendees  []string // the same, each once
	Recurrence string   // the rule as written, "FREQ=WEEKLY;BYDAY=MO (2 dates excluded)"
	UID        string
	Sequence   int

	start, end wall
}

// An invitation is what a calendar part says beside its meeting's fields.
type invitation struct {
	isFace      bool // it is the message itself, not attached to it
	description string
	more        []string // what else is written in it
}

// calendar opens a calendar part. One that is attached is read if it says that it is an invitation, by its type's parameter
// as RFC 6047 has it: that of a file that somebody sends along does not say it. What is written in it follows the text.
func (p *parser) calendar(isFace bool, encoding string, params map[string]string) {
	method := strings.ToUpper(shorten(oneLine(params["method"]), maxName))
	if isFace || method != "" && method != "PUBLISH" && p.mail.Meeting == nil {
		p.leaf = &calendar{p: p, encoding: encoding, charset: params["charset"], method: method, isFace: isFace}
	}
}

// calendar gathers a calendar part, up to a bound.
type calendar struct {
	p                         *parser
	encoding, charset, method string
	isFace, any, cut          bool
	raw                       []byte
}

func (c *calendar) line(l piece) {
	if l.begins && c.any {
		c.add([]byte{'\n'})
	}
	c.any = true
	c.add(l.text)
}

func (c *calendar) add(b []byte) {
	if room := rawFactor(c.encoding)*maxCalendar - len(c.raw); len(b) > room {
		b, c.cut = b[:room], true
	}
	c.raw = append(c.raw, b...)
}

func (c *calendar) end() {
	m := c.p.mail
	raw, defect := decodeTransfer(c.raw, c.encoding)
	c.raw = nil
	if len(raw) > maxCalendar {
		raw, c.cut = raw[:maxCalendar], true
	}
	if c.isFace && c.cut {
		c.p.cut = true
		m.defect(TextTooLarge)
	} else if c.isFace && defect != "" {
		m.defect(defect)
	}
	root, stray, broken := readCalendar(raw, c.charset)
	r := &meetingReader{zoned: newZoned(root), meeting: &Meeting{Method: c.method}, sender: people(c.p.head["from"])}
	r.read(root)
	if broken || r.broken {
		m.defect(BrokenCalendar)
	}
	if r.unknown {
		m.defect(UnknownZone)
	}
	m.Meeting = r.meeting
	c.p.invited = invitation{isFace: c.isFace, description: r.description, more: append(r.more, stray...)}
}

// A meetingReader takes a meeting out of a calendar.
type meetingReader struct {
	*zoned
	meeting     *Meeting
	sender      []address // who sent the message
	description string
	more        []string
	broken      bool
	unknown     bool // a time is in no known zone
	told        int  // events whose times were told
}

func (r *meetingReader) read(root *component) {
	calendars := append([]*component{root}, root.parts...)
	for _, c := range calendars {
		if p, ok := c.get("METHOD"); ok && r.meeting.Method == "" {
			r.meeting.Method = strings.ToUpper(shorten(p.line(), maxName))
		}
	}
	event := chosen(calendars)
	if event == nil {
		r.broken = true
	} else {
		r.times(event)
		r.fields(event)
		r.persons(event)
		if p, ok := event.get("DESCRIPTION"); ok {
			r.description = p.words()
		}
	}
	r.written(root, event)
}

// chosen is the event that the message is about: the series before its occurrences, a meeting before tasks.
func chosen(calendars []*component) *component {
	var best *component
	rank := 0
	for _, calendar := range calendars {
		for _, c := range calendar.parts {
			score := 0
			if isEvent(c.name) {
				score = 1
			}
			if c.name == "VEVENT" {
				score = 3
			}
			if _, isOccurrence := c.get("RECURRENCE-ID"); !isOccurrence && score > 0 {
				score++
			}
			if score > rank {
				best, rank = c, score
			}
		}
	}
	return best
}

func (r *meetingReader) fields(event *component) {
	m := r.meeting
	for _, f := range []struct {
		name string
		to   *string
	}{{"SUMMARY", &m.Summary}, {"LOCATION", &m.Location}, {"UID", &m.UID}} {
		if p, ok := event.get(f.name); ok {
			*f.to = p.line()
		}
	}
	if p, ok := event.get("SEQUENCE"); ok {
		m.Sequence, _ = number(p.value, 0, 1<<30)
	}
	m.Recurrence = r.recurrence(event)
}

// recurrence is the rule as written; of one that is given by dates alone, how many there are; and of an occurrence, which.
func (r *meetingReader) recurrence(event *component) string {
	var rules []string
	excluded, added := 0, 0
	for _, p := range event.props {
		switch p.name {
		case "RRULE":
			rules = append(rules, oneLine(p.value))
		case "EXDATE":
			excluded += strings.Count(p.value, ",") + 1
		case "RDATE":
			added += strings.Count(p.value, ",") + 1
		}
	}
	var notes []string
	for _, n := range []struct {
		count int
		what  string
	}{{excluded, "excluded"}, {added, "added"}} {
		switch {
		case n.count == 1:
			notes = append(notes, "1 date "+n.what)
		case n.count > 1:
			notes = append(notes, fmt.Sprintf("%d dates %s", n.count, n.what))
		}
	}
	text := strings.Join(rules, ", ")
	if len(notes) > 0 {
		text += " (" + strings.Join(notes, ", ") + ")"
	}
	if p, ok := event.get("RECURRENCE-ID"); ok {
		w, _ := r.wall(p)
		text += " one occurrence of a series: " + cmp.Or(w.text(), oneLine(p.value))
	}
	return strings.TrimSpace(text)
}

// times reads when an event starts and ends.
func (r *meetingReader) times(event *component) {
	m := r.meeting
	start, isSaid := event.get("DTSTART")
	w, ok := r.wall(start)
	if !ok {
		r.broken = r.broken || isSaid || m.Method == "REQUEST"
		return
	}
	m.start, m.AllDay = w, w.date
	if m.end, ok = r.ends(event, w); !ok {
		r.broken = true
	}
	if p, ok := event.get("X-MICROSOFT-CDO-ALLDAYEVENT"); ok && strings.EqualFold(strings.TrimSpace(p.value), "TRUE") {
		m.AllDay = true
	}
	m.Start, m.End, m.Zone = m.start.at, m.end.at, m.start.zone
	r.unknown = r.unknown || !m.start.known || !m.end.known
}

// ends tells when an event ends. One that does not say it lasts a day if it is of whole days, and no time otherwise
// (RFC 5545, 3.6.1); so does one whose end is none, which ok tells.
func (r *meetingReader) ends(event *component, start wall) (end wall, ok bool) {
	unsaid := start
	if start.date {
		unsaid = r.after(start, 1, 0)
	}
	p, isSaid := event.get("DTEND")
	if !isSaid {
		p, isSaid = event.get("DUE")
	}
	if isSaid {
		end, ok = r.wall(p)
		ok = ok && end.date == start.date && !end.at.Before(start.at)
	} else if p, isSaid := event.get("DURATION"); isSaid {
		var days int
		var d time.Duration
		if days, d, ok = duration(p.value); ok {
			end = r.after(start, days, d)
			ok = end.at.Year() <= 9999
		}
	} else {
		return unsaid, true
	}
	if !ok || start.date && !end.at.After(start.at) { // a day that ends on its own date is against the rules, and meant so
		end = unsaid
	}
	return end, ok
}

// persons reads organizer and attendees, and of a response what the one who responds has to say.
func (r *meetingReader) persons(event *component) {
	m := r.meeting
	if p, ok := event.get("ORGANIZER"); ok {
		m.Organizer = p.person().String()
	}
	seen := map[string]bool{"": true}
	answer, isSender := "", false
	for _, p := range event.props {
		if p.name != "ATTENDEE" {
			continue
		}
		a := p.person()
		if key := a.key(); !seen[key] {
			seen[key] = true
			m.Attendees = append(m.Attendees, a.String())
		}
		if status := p.param("PARTSTAT"); status != "" && !isSender {
			isSender = r.isSender(a)
			if isSender || answer == "" {
				answer = status
			}
		}
		if note := p.param("X-RESPONSE-COMMENT"); note != "" {
			r.more = append(r.more, note)
		}
	}
	if m.Method == "REPLY" || m.Method == "COUNTER" {
		m.Response = strings.ToUpper(shorten(answer, maxName))
	}
}

func (r *meetingReader) isSender(a address) bool {
	for _, s := range r.sender {
		if s.key() == a.key() {
			return true
		}
	}
	return false
}

// maxTold bounds the events of a calendar, beside the first, whose times are told.
const maxTold = 100

// written gathers what somebody wrote in a calendar, whatever holds it. What is told twice is taken out later.
func (r *meetingReader) written(c, event *component) {
	if c != event && isEvent(c.name) && r.told < maxTold {
		if p, ok := c.get("DTSTART"); ok {
			r.told++
			w, ok := r.wall(p)
			r.unknown = r.unknown || ok && !w.known
			told := "Start: " + cmp.Or(w.text(), oneLine(p.value))
			if id, ok := c.get("RECURRENCE-ID"); ok {
				of, _ := r.wall(id)
				told = "Occurrence of " + cmp.Or(of.text(), oneLine(id.value)) + ": start " + cmp.Or(w.text(), oneLine(p.value))
			}
			r.more = append(r.more, told)
		}
	}
	for _, p := range c.props {
		if text := writtenIn(p); text != "" && !isStockReminder(c, text) {
			r.more = append(r.more, text)
		}
	}
	for _, part := range c.parts {
		if part.name != "VTIMEZONE" {
			r.written(part, event)
		}
	}
}

func writtenIn(p property) string {
	switch {
	case isWritten(p.name):
		return p.words()
	case p.name == "ATTACH" && strings.EqualFold(p.param("VALUE"), "BINARY"):
		return p.param("FILENAME")
	case p.name == "ATTACH":
		return strings.TrimSpace(p.param("FILENAME") + " " + shorten(oneLine(p.value), 2*maxName))
	case p.name == "CATEGORIES", p.name == "RESOURCES", p.name == "URL", p.name == "CONFERENCE", p.name == "NAME",
		p.name == "X-WR-CALNAME", p.name == "X-WR-CALDESC", p.name == "X-RESPONSE-COMMENT":
		return p.line()
	case isName(p.name):
		return ""
	}
	return p.name + oneLine(p.params) + ":" + p.words() // a line of somebody's words that looks like a property
}

// isStockReminder knows the texts that programs put into every alarm.
func isStockReminder(c *component, text string) bool {
	if c.name != "VALARM" {
		return false
	}
	switch strings.ToLower(text) {
	case "reminder", "alarm", "this is an event reminder", "alarm notification", "event reminder":
		return true
	}
	return false
}

// text is a time of the placeholder: "2026-03-02 09:00:00 UTC (10:00 W. Europe Standard Time)".
func (w wall) text() string {
	const minutes = "15:04"
	switch {
	case w.at.IsZero():
		return ""
	case w.date:
		return w.clock.Format(time.DateOnly)
	case !w.known && w.zone == "":
		return w.clock.Format(time.DateTime) + " in no zone (taken for UTC)"
	case !w.known:
		return w.clock.Format(time.DateTime) + " in the unknown zone " + w.zone + " (taken for UTC)"
	}
	text := w.at.Format(time.DateTime) + " UTC"
	if w.clock.Equal(w.at) && (w.zone == "UTC" || w.zone == "") {
		return text
	}
	layout := minutes
	if w.clock.Second() != 0 {
		layout = time.TimeOnly
	}
	if w.clock.Format(time.DateOnly) != w.at.Format(time.DateOnly) {
		layout = time.DateOnly + " " + layout
	}
	return text + " (" + w.clock.Format(layout) + " " + w.zone + ")"
}

// heading says what sort of message a meeting's is.
func (m *Mail) heading() string {
	switch m.Meeting.Method {
	case "COUNTER":
		return "New time proposed"
	case "DECLINECOUNTER":
		return "Proposed time declined"
	case "REFRESH":
		return "Meeting details asked for"
	}
	switch strings.ToLower(m.Class) {
	case "ipm.schedule.meeting.request":
		return "Meeting request"
	case "ipm.schedule.meeting.canceled":
		return "Meeting cancelled"
	case "ipm.schedule.meeting.resp.pos":
		return "Meeting accepted"
	case "ipm.schedule.meeting.resp.neg":
		return "Meeting declined"
	case "ipm.schedule.meeting.resp.tent":
		switch m.Meeting.Response {
		case "DELEGATED":
			return "Meeting delegated"
		case "", "TENTATIVE":
			return "Meeting tentatively accepted"
		}
		return "Meeting response"
	}
	return "Calendar entry"
}

// writePlaceholder writes the block that stands for a meeting, before the message's own words.
func (m *Mail) writePlaceholder(b *bytes.Buffer) {
	if m.Meeting == nil {
		return
	}
	b.WriteString(m.heading() + crlf)
	start, end := m.Meeting.start.text(), m.Meeting.end.text()
	if m.Meeting.start.date { // the last day, not that after it
		start, end = start+" (all day)", m.Meeting.end.clock.AddDate(0, 0, -1).Format(time.DateOnly)+" (all day)"
	} else if m.Meeting.AllDay {
		start, end = start+" (all day)", end+" (all day)"
	}
	for _, f := range []struct {
		name   string
		values []string
	}{
		{"Subject", []string{m.Meeting.Summary}}, {"Organizer", []string{m.Meeting.Organizer}}, {"Start", []string{start}},
		{"End", []string{end}}, {"Location", []string{m.Meeting.Location}}, {"Attendees", m.Meeting.Attendees},
		{"Recurrence", []string{m.Meeting.Recurrence}},
	} {
		writeField(b, f.name, f.values)
	}
	if m.Body != "" {
		b.WriteString(crlf)
	}
}

// invitationNote stands above what only a meeting's calendar says.
const invitationNote = "[The calendar of this message also says]"

// withInvitation adds to a message's text what its calendar says beyond it and the placeholder; without a text, the
// meeting's description is it.
func (p *parser) withInvitation(body string) string {
	in := p.invited
	p.invited = invitation{}
	if p.mail.Meeting == nil {
		return body
	}
	more := strings.Join(in.more, "\n")
	if body == "" {
		body = trimLines(in.description)
	}
	var said bytes.Buffer
	p.mail.writePlaceholder(&said)
	said.WriteString(body)
	if more = trimLines(p.beyond(said.String(), more)); more == "" {
		return body
	}
	if body == "" {
		return invitationNote + "\n" + more
	}
	return body + "\n\n" + invitationNote + "\n" + more
}
