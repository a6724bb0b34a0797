package event

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"chainmail/handlers/capture"

	"github.com/emersion/go-ical"
)

// productID names what wrote a calendar. It has no version: the same event is to give the same bytes.
const productID = "-//Chainmail//Calendar evidence//EN"

// Encode writes the event as a calendar.
func (e *Event) Encode(w io.Writer) error {
	calendar := newBuilder(ical.CompCalendar)
	calendar.add(ical.PropProductID, productID)
	calendar.add(ical.PropVersion, "2.0")
	calendar.add(ical.PropCalendarScale, "GREGORIAN")
	for _, s := range e.spans() {
		calendar.Children = append(calendar.Children, describe(s.zone, s).Component)
	}
	for c := range e.components() {
		calendar.Children = append(calendar.Children, e.vevent(c).Component)
	}
	lines := bufio.NewWriter(w)
	if err := ical.NewEncoder(&folder{lines}).Encode(&ical.Calendar{Component: calendar.Component}); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	if err := lines.Flush(); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	return nil
}

// vevent makes a component of the calendar.
func (e *Event) vevent(c *component) builder {
	b := newBuilder(ical.CompEvent)
	b.text(ical.PropUID, e.uid)
	b.dates(c)
	if c == &e.master {
		e.recurrence(b)
	}
	b.what(c)
	b.flags(c.event)
	b.persons(c)
	b.links(c.event)
	b.alarm(c.event)
	return b
}

// dates says when an event is, and when it was made and changed.
func (b builder) dates(c *component) {
	b.moments(ical.PropDateTimeStart, c.start)
	for name, m := range map[string]moment{ical.PropDateTimeEnd: c.end, ical.PropRecurrenceID: c.original} {
		if !m.isZero() {
			b.moments(name, m)
		}
	}
	e := c.event
	stamp := c.start.at
	for _, t := range []time.Time{e.Created, e.LastModified} {
		if isTold(t) {
			stamp = t.UTC()
		}
	}
	b.add(ical.PropDateTimeStamp, stamp.Format(utcFormat))
	for name, t := range map[string]time.Time{ical.PropCreated: e.Created, ical.PropLastModified: e.LastModified} {
		if isTold(t) {
			b.add(name, t.UTC().Format(utcFormat))
		}
	}
	if e.Sequence != nil && *e.Sequence >= 0 {
		b.add(ical.PropSequence, strconv.Itoa(int(*e.Sequence)))
	}
}

// isTold reports whether a time is one that Graph tells: it writes the year 1 where there is none, and a calendar has no place
// for a year of five digits.
func isTold(t time.Time) bool { return t.UTC().Year() > 1 && t.UTC().Year() <= 9999 }

// recurrence says how a series repeats.
func (e *Event) recurrence(b builder) {
	if e.rule == nil {
		return
	}
	b.add(ical.PropRecurrenceRule, e.rule.String())
	b.moments(ical.PropExceptionDates, e.excluded...)
	b.moments(ical.PropRecurrenceDates, e.added...)
}

// what says what an event is about.
func (b builder) what(c *component) {
	e := c.event
	b.text(ical.PropSummary, e.Subject)
	b.text(ical.PropLocation, place(e))
	b.text(ical.PropDescription, c.body)
	if isHTML(e) && e.Body.Content != "" {
		b.text("X-ALT-DESC", e.Body.Content, "FMTTYPE", "text/html")
	}
	if list := categories(e); len(list) > 0 {
		b.texts(ical.PropCategories, list)
	}
}

func categories(e *capture.CalendarEvent) []string {
	list := slices.DeleteFunc(slices.Clone(e.Categories), func(s string) bool { return s == "" })
	slices.Sort(list)
	return list
}

var busy = map[string]string{
	"free": "FREE", "tentative": "TENTATIVE", "busy": "BUSY", "oof": "OOF", "workingElsewhere": "WORKINGELSEWHERE",
}

var classes = map[string]string{"normal": "PUBLIC", "personal": "PRIVATE", "private": "PRIVATE", "confidential": "CONFIDENTIAL"}

var priorities = map[string]string{"low": "9", "normal": "5", "high": "1"}

// flags says how an event stands.
func (b builder) flags(e *capture.CalendarEvent) {
	status := "CONFIRMED"
	switch {
	case e.IsCancelled:
		status = "CANCELLED"
	case e.IsDraft || e.ShowAs == "tentative":
		status = "TENTATIVE"
	}
	transparency := "OPAQUE"
	if e.ShowAs == "free" || e.ShowAs == "workingElsewhere" {
		transparency = "TRANSPARENT"
	}
	proposals := ""
	if e.AllowNewTimeProposals != nil {
		proposals = strings.ToUpper(strconv.FormatBool(!*e.AllowNewTimeProposals))
	}
	for _, f := range [][2]string{
		{ical.PropStatus, status}, {ical.PropTransparency, transparency}, {ical.PropClass, classes[e.Sensitivity]},
		{ical.PropPriority, priorities[e.Importance]}, {"X-MICROSOFT-CDO-BUSYSTATUS", busy[e.ShowAs]},
		{"X-MICROSOFT-CDO-ALLDAYEVENT", strings.ToUpper(strconv.FormatBool(e.IsAllDay))}, {"X-MICROSOFT-DISALLOW-COUNTER", proposals},
	} {
		if f[1] != "" {
			b.add(f[0], f[1])
		}
	}
}

// answers are what Graph calls answers, and what RFC 5545 does.
var answers = map[string]string{
	"": "NEEDS-ACTION", "none": "NEEDS-ACTION", "notResponded": "NEEDS-ACTION", "organizer": "ACCEPTED", "accepted": "ACCEPTED",
	"tentativelyAccepted": "TENTATIVE", "declined": "DECLINED",
}

var roles = map[string]string{
	"": "REQ-PARTICIPANT", "required": "REQ-PARTICIPANT", "optional": "OPT-PARTICIPANT", "resource": "NON-PARTICIPANT",
}

// persons says who is invited, and what they answered. When they did is told by a parameter of our own.
func (b builder) persons(c *component) {
	e := c.event
	if o := e.Organizer.EmailAddress; o != (capture.EmailAddress{}) {
		b.add(ical.PropOrganizer, mailto(o.Address), ical.ParamCommonName, o.Name)
	}
	for _, a := range c.attendees {
		rsvp, answered := "", ""
		if e.ResponseRequested {
			rsvp = "TRUE"
		}
		if isTold(a.Status.Time) {
			answered = a.Status.Time.UTC().Format(utcFormat)
		}
		b.add(ical.PropAttendee, mailto(a.EmailAddress.Address), ical.ParamCommonName, a.EmailAddress.Name,
			ical.ParamCalendarUserType, userType(e, a), ical.ParamRole, cmp.Or(roles[a.Type], roles[""]),
			ical.ParamParticipationStatus, cmp.Or(answers[a.Status.Response], answers[""]), ical.ParamRSVP, rsvp,
			"X-CHAINMAIL-ANSWERED", answered)
	}
}

// userType tells rooms from other resources by the places that the event names.
func userType(e *capture.CalendarEvent, a capture.EventAttendee) string {
	if a.Type != "resource" {
		return "INDIVIDUAL"
	}
	isRoom := slices.ContainsFunc(append(slices.Clone(e.Locations), e.Location), func(l capture.EventLocation) bool {
		return l.LocationType == "conferenceRoom" && a.EmailAddress.Address != "" &&
			(strings.EqualFold(l.EmailAddress, a.EmailAddress.Address) || strings.EqualFold(l.URI, a.EmailAddress.Address))
	})
	if isRoom {
		return "ROOM"
	}
	return "RESOURCE"
}

// sorted are attendees by their addresses, and by all else that is written of them.
func sorted(attendees []capture.EventAttendee) []capture.EventAttendee {
	type keyed struct {
		capture.EventAttendee
		address, proposal string
	}
	all := make([]keyed, len(attendees))
	for i, a := range attendees {
		all[i] = keyed{a, strings.ToLower(a.EmailAddress.Address), fmt.Sprint(proposal(a))}
	}
	slices.SortFunc(all, func(a, b keyed) int {
		if c := strings.Compare(a.address, b.address); c != 0 {
			return c
		}
		return cmp.Or(
			strings.Compare(a.EmailAddress.Address, b.EmailAddress.Address), strings.Compare(a.EmailAddress.Name, b.EmailAddress.Name),
			strings.Compare(a.Type, b.Type), strings.Compare(a.Status.Response, b.Status.Response), a.Status.Time.Compare(b.Status.Time),
			strings.Compare(a.proposal, b.proposal),
		)
	})
	list := make([]capture.EventAttendee, len(all))
	for i, a := range all {
		list[i] = a.EventAttendee
	}
	return list
}

func proposal(a capture.EventAttendee) capture.TimeSlot {
	if a.ProposedNewTime == nil {
		return capture.TimeSlot{}
	}
	return *a.ProposedNewTime
}

// links says where one joins an online meeting (RFC 7986, and as Outlook writes it).
func (b builder) links(e *capture.CalendarEvent) {
	link := uri(joinURL(e))
	if link == "" {
		return
	}
	b.add("CONFERENCE", link, ical.ParamValue, "URI")
	b.add(ical.PropURL, link)
	switch e.OnlineMeetingProvider {
	case "teamsForBusiness", "skypeForBusiness", "skypeForConsumer":
		b.add("X-MICROSOFT-SKYPETEAMSMEETINGURL", link)
	}
}

// alarm says when the owner is to be reminded.
func (b builder) alarm(e *capture.CalendarEvent) {
	if !e.IsReminderOn {
		return
	}
	a := newBuilder(ical.CompAlarm)
	a.add(ical.PropAction, "DISPLAY")
	a.add(ical.PropDescription, "Reminder")
	trigger := fmt.Sprintf("-PT%dM", e.ReminderMinutesBeforeStart)
	if minutes := int64(e.ReminderMinutesBeforeStart); minutes <= 0 {
		trigger = fmt.Sprintf("PT%dM", -minutes)
	}
	a.add(ical.PropTrigger, trigger)
	b.Children = append(b.Children, a.Component)
}
