package graphtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the machine may have none

	"chainmail/handlers/capture"
)

// A Calendar is one that a mailbox shows: its own, or one that somebody shares with it.
type Calendar struct {
	ID      string
	Name    string
	Group   string  // name of its group; "": My Calendars
	Owner   Address // zero: the mailbox's user
	Default bool
	Events  []*Event

	// Broken has every call for its events fail for ever with 500 ErrorInternalServerTransientError, as calendars do that were
	// shared in the old way (known issues of Microsoft Graph).
	Broken bool
	// NoFilter has it refuse $filter on lastModifiedDateTime.
	NoFilter bool
	// ViewDays is the longest calendar view that it gives; 0: two years, as by EWS. A longer one is ErrorCalendarViewRangeTooBig.
	ViewDays int
}

// An Event is a single event of a calendar or the master of a series. Start and End are in UTC, as Graph gives them; its ID is
// the immutable one, and Exceptions have ids of their own.
type Event struct {
	capture.CalendarEvent
	MutableID string
	Attached  []Attachment
}

// Touch makes an event one that was changed at a time. For use within [Server.Mutate].
func (e *Event) Touch(at time.Time) {
	e.LastModified = at
	e.ChangeKey = changeKey(e.ChangeKey + at.String())
}

// zones are the places of the zones that the sample has, by their Windows names.
var zones = map[string]string{
	"UTC": "UTC", "W. Europe Standard Time": "Europe/Berlin", "GMT Standard Time": "Europe/London", "Romance Standard Time": "Europe/Paris",
	"FLE Standard Time": "Europe/Kiev", "Eastern Standard Time": "America/New_York", "Central Standard Time": "America/Chicago",
	"Pacific Standard Time": "America/Los_Angeles", "India Standard Time": "Asia/Calcutta", "Tokyo Standard Time": "Asia/Tokyo",
	"AUS Eastern Standard Time": "Australia/Sydney", "E. South America Standard Time": "America/Sao_Paulo",
	"Newfoundland Standard Time": "America/St_Johns", "Nepal Standard Time": "Asia/Katmandu",
}

// Zone gives the place of a zone's Windows name; nil: the stand-in does not know it.
func Zone(name string) *time.Location {
	place, err := time.LoadLocation(cmp.Or(zones[name], "none/of/these"))
	if err != nil {
		return nil
	}
	return place
}

// myCalendars is the group that every mailbox has.
const myCalendars = "My Calendars"

func (c *Calendar) group() string { return cmp.Or(c.Group, myCalendars) }

func groupID(u *User, name string) string { return folderID(u.ID + " calendar group " + name) }

// answerCalendar answers what is asked of calendars and events.
func (s *Server) answerCalendar(c *call) *reply {
	switch c.route.template {
	case pathCalendars, pathGroupCalendars:
		return s.listCalendars(c)
	case pathCalendarGroups:
		return s.listCalendarGroups(c)
	case pathCalendarEvents:
		return s.listEvents(c)
	case pathCalendarView, pathInstances:
		return s.viewCalendar(c)
	case pathEventAttachments:
		return s.listAttachments(c)
	case pathEventAttachment:
		return s.getAttachment(c)
	}
	return s.getEvent(c)
}

// rowPage is a page of rows that were made beforehand.
func (s *Server) rowPage(c *call, context string, rows []map[string]any) *reply {
	skip, count, bad := pageOf(c.options, c.prefer, 10, 1000)
	if bad != nil {
		return bad
	}
	skip = min(skip, len(rows))
	n, next, more := c.fault.Page.next(c.options["$skip"], skip, count, len(rows))
	answer := map[string]any{"@odata.context": c.base + "/$metadata#users('" + c.user.ID + "')/" + context, "value": rows[skip : skip+n]}
	if n == 0 {
		answer["value"] = []any{}
	}
	if more {
		answer["@odata.nextLink"] = s.link(c, "$skip", next)
	}
	return c.applied(jsonReply(answer))
}

func (s *Server) listCalendars(c *call) *reply {
	s.checkContinuation(c)
	var bad *reply
	if c.options, bad = parseOptions(c.query, []string{"$select", "$top", "$skip"}); bad != nil {
		return bad
	}
	properties := []string{"id", "name", "owner", "isDefaultCalendar", "canEdit", "canShare", "changeKey", "color"}
	selected, bad := selection(c.options, properties)
	if bad != nil {
		return bad
	}
	found := false
	rows := []map[string]any{}
	for _, one := range c.user.Calendars {
		if key := c.route.calendarGroup; key != "" && groupID(c.user.User, one.group()) != key {
			continue
		}
		found = true
		owner := one.Owner
		if owner == (Address{}) {
			owner = c.user.address()
		}
		rows = append(rows, project(map[string]any{
			"id": one.ID, "name": one.Name, "owner": map[string]any{"name": owner.Name, "address": owner.Address},
			"isDefaultCalendar": one.Default, "canEdit": one.Owner == (Address{}), "canShare": one.Owner == (Address{}),
			"changeKey": changeKey(one.ID), "color": "auto",
		}, selected, properties))
	}
	if key := c.route.calendarGroup; key != "" && !found && key != groupID(c.user.User, myCalendars) {
		return notFound()
	}
	return s.rowPage(c, "calendars", rows)
}

func notFound() *reply {
	return refuse(404, "ErrorItemNotFound", "The specified object was not found in the store.")
}

func (s *Server) listCalendarGroups(c *call) *reply {
	s.checkContinuation(c)
	var bad *reply
	if c.options, bad = parseOptions(c.query, []string{"$select", "$top", "$skip"}); bad != nil {
		return bad
	}
	properties := []string{"id", "name", "classId", "changeKey"}
	selected, bad := selection(c.options, properties)
	if bad != nil {
		return bad
	}
	names := []string{myCalendars}
	for _, one := range c.user.Calendars {
		if !slices.Contains(names, one.group()) {
			names = append(names, one.group())
		}
	}
	rows := []map[string]any{}
	for _, name := range names {
		id := groupID(c.user.User, name)
		rows = append(rows, project(map[string]any{"id": id, "name": name, "classId": guid(name), "changeKey": changeKey(id)}, selected, properties))
	}
	return s.rowPage(c, "calendarGroups", rows)
}

// calendar gives the calendar of a path.
func (c *call) calendar() (*Calendar, *reply) {
	for _, one := range c.user.Calendars {
		if one.ID == c.route.calendar {
			if one.Broken {
				return nil, refuse(500, "ErrorInternalServerTransientError", "Cannot query rows in a table.")
			}
			return one, nil
		}
	}
	return nil, notFound()
}

// parseChanges reads the $filter of a list of events: lastModifiedDateTime with ge or lt and an unquoted time, joined by "and".
func parseChanges(text string) (from, to time.Time, err error) {
	words := strings.Fields(text)
	for len(words) >= 3 {
		at, bad := time.Parse(time.RFC3339Nano, words[2])
		switch {
		case bad != nil || words[0] != "lastModifiedDateTime":
			return from, to, fmt.Errorf("lastModifiedDateTime is compared with a time without quotes")
		case words[1] == "ge":
			from = at
		case words[1] == "lt":
			to = at
		default:
			return from, to, fmt.Errorf("lastModifiedDateTime is compared with ge or lt")
		}
		if words = words[3:]; len(words) == 0 {
			return from, to, nil
		}
		if words[0] != "and" {
			break
		}
		words = words[1:]
	}
	return from, to, fmt.Errorf("a filter is clauses joined by and")
}

// listEvents answers the list of a calendar's events: single ones and masters, the latest start first unless it is sorted.
func (s *Server) listEvents(c *call) *reply {
	s.checkContinuation(c)
	var bad *reply
	if c.options, bad = parseOptions(c.query, []string{"$select", "$filter", "$orderby", "$top", "$skip"}); bad != nil {
		return bad
	}
	selected, bad := selection(c.options, s.eventProperties())
	if bad != nil {
		return bad
	}
	one, bad := c.calendar()
	if bad != nil {
		return bad
	}
	text, filtered := c.options["$filter"]
	from, to, err := parseChanges(text)
	switch order := c.options["$orderby"]; {
	case filtered && err != nil:
		return refuse(400, "ErrorInvalidUrlQueryFilter", "The query filter contains one or more invalid nodes.").breaks("$filter: " + err.Error())
	case filtered && one.NoFilter:
		return refuse(400, "ErrorInvalidUrlQueryFilter", "The query filter contains one or more invalid nodes.")
	case order != "" && (order != "lastModifiedDateTime" || !filtered):
		return refuse(400, "InefficientFilter", "The restriction or sort order is too complex for this operation.").
			breaks("InefficientFilter: properties of $orderby must come first in $filter")
	}
	events := slices.DeleteFunc(slices.Clone(one.Events), func(e *Event) bool {
		return filtered && (e.LastModified.Before(from) || !to.IsZero() && !e.LastModified.Before(to))
	})
	slices.SortStableFunc(events, func(a, b *Event) int {
		if filtered {
			return cmp.Or(a.LastModified.Compare(b.LastModified), cmp.Compare(a.ID, b.ID))
		}
		return cmp.Or(cmp.Compare(b.Start.DateTime, a.Start.DateTime), cmp.Compare(a.ID, b.ID))
	})
	rows := []map[string]any{}
	for _, e := range events {
		rows = append(rows, c.eventRow(e, &e.CalendarEvent, selected))
	}
	return s.rowPage(c, "calendars('"+one.ID+"')/events", rows)
}

// eventProperties are the names that $select takes.
func (s *Server) eventProperties() []string {
	names := []string{"id", "changeKey", "iCalUId", "type", "seriesMasterId", "subject", "bodyPreview", "body", "start", "end", "isAllDay",
		"location", "locations", "organizer", "attendees", "isOrganizer", "isCancelled", "isDraft", "isOnlineMeeting", "onlineMeeting",
		"onlineMeetingUrl", "onlineMeetingProvider", "recurrence", "originalStart", "originalStartTimeZone", "originalEndTimeZone",
		"sensitivity", "showAs", "importance", "categories", "responseStatus", "responseRequested", "hideAttendees",
		"allowNewTimeProposals", "isReminderOn", "reminderMinutesBeforeStart", "hasAttachments", "transactionId", "webLink",
		"createdDateTime", "lastModifiedDateTime"}
	if !s.options.National {
		names = append(names, "cancelledOccurrences")
	}
	return names
}

// eventRow is an event, an exception or an occurrence as JSON. Graph leaves out what was not selected, and gives null for what an
// event does not have.
func (c *call) eventRow(of *Event, e *capture.CalendarEvent, selected []string) map[string]any {
	plain := *e
	plain.Exceptions = nil
	if !c.prefer.unsafe {
		plain.Body.Content = unsafe.ReplaceAllString(plain.Body.Content, "")
	}
	all := map[string]any{}
	data, err := json.Marshal(plain)
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil {
		panic(err) // plain data
	}
	all["createdDateTime"], all["lastModifiedDateTime"] = stamp(e.Created), stamp(e.LastModified)
	if !c.prefer.immutable {
		all["id"] = mutableID(e.ID)
		if e.SeriesMasterID != "" {
			all["seriesMasterId"] = mutableID(e.SeriesMasterID)
		}
	}
	row := map[string]any{"@odata.etag": `W/"` + e.ChangeKey + `"`, "id": all["id"]}
	for _, name := range selected {
		row[name] = all[name]
	}
	if selected == nil {
		row = all
	}
	for _, name := range []string{"attendees", "locations", "categories", "cancelledOccurrences"} {
		if v, ok := row[name]; ok && v == nil {
			row[name] = []any{}
		}
	}
	return row
}

// viewCalendar answers a calendar view, or the instances of a series: what happens in a range, occurrence by occurrence.
func (s *Server) viewCalendar(c *call) *reply {
	s.checkContinuation(c)
	var bad *reply
	if c.options, bad = parseOptions(c.query, []string{"$select", "$top", "$skip", "startDateTime", "endDateTime"}); bad != nil {
		return bad
	}
	selected, bad := selection(c.options, s.eventProperties())
	if bad != nil {
		return bad
	}
	if slices.Contains(selected, "createdDateTime") || slices.Contains(selected, "lastModifiedDateTime") {
		return refuse(400, "ErrorInvalidProperty", "The property cannot be selected in a calendar view.").
			breaks("$select of a time of change in a calendar view")
	}
	from, err := time.Parse(time.RFC3339, c.options["startDateTime"])
	to, err2 := time.Parse(time.RFC3339, c.options["endDateTime"])
	if err != nil || err2 != nil || to.Before(from) {
		return refuse(400, "ErrorInvalidParameter",
			"This request requires a time window specified by the query string parameters StartDateTime and EndDateTime.").
			breaks("a view needs startDateTime and endDateTime")
	}
	var events []*Event
	days, context := 0, "calendarView"
	if c.route.template == pathInstances {
		e, own, bad := s.findEvent(c)
		if bad != nil {
			return bad
		}
		if own != &e.CalendarEvent || e.Recurrence == nil {
			return refuse(400, "ErrorInvalidRequest", "Expand series can only be performed against a master.").
				breaks("instances of what is no master")
		}
		events, context = []*Event{e}, "events('"+e.ID+"')/instances"
	} else {
		one, bad := c.calendar()
		if bad != nil {
			return bad
		}
		events, days = one.Events, one.ViewDays
	}
	if to.Sub(from) > time.Duration(cmp.Or(days, 730))*24*time.Hour {
		return refuse(400, "ErrorCalendarViewRangeTooBig", "The requested date range is too large.")
	}
	rows := []map[string]any{}
	for _, e := range events {
		for _, i := range Instances(&e.CalendarEvent, Zone, from, to) {
			rows = append(rows, c.eventRow(e, instanceEvent(e, i), selected))
		}
	}
	return s.rowPage(c, context, rows)
}

// instanceEvent is an instance as an event of its own.
func instanceEvent(e *Event, i Instance) *capture.CalendarEvent {
	if e.Recurrence == nil {
		return &e.CalendarEvent
	}
	one := *i.Event
	one.Recurrence, one.CancelledOccurrences, one.Exceptions = nil, nil, nil
	one.SeriesMasterID, one.OriginalStart, one.Type = e.ID, i.Original, "occurrence"
	if i.Changed {
		one.Type = "exception"
		return &one
	}
	one.ID = immutableID(e.ID + " on " + i.Original.Format(time.DateOnly))
	one.Start = capture.ZonedTime{DateTime: i.Start.Format(graphClock), TimeZone: "UTC"}
	one.End = capture.ZonedTime{DateTime: i.End.Format(graphClock), TimeZone: "UTC"}
	return &one
}

// graphClock is what Graph's clocks show: seven digits of a second and no zone.
const graphClock = "2006-01-02T15:04:05.0000000"

// findEvent gives the event of a path, by an id of either form: one of a calendar, or an exception with its master.
func (s *Server) findEvent(c *call) (*Event, *capture.CalendarEvent, *reply) {
	is := func(id string) bool { return c.route.event == id || c.route.event == mutableID(id) }
	for _, one := range c.user.Calendars {
		for _, e := range one.Events {
			if is(e.ID) {
				return e, &e.CalendarEvent, nil
			}
			for i := range e.Exceptions {
				if x := &e.Exceptions[i]; is(x.ID) {
					exception := *x
					exception.Type, exception.SeriesMasterID = "exception", e.ID
					return e, &exception, nil
				}
			}
		}
	}
	return nil, nil, notFound()
}

const sequenceID = "Integer {00062002-0000-0000-C000-000000000046} Id 0x8201"

// getEvent answers for one event.
func (s *Server) getEvent(c *call) *reply {
	var bad *reply
	if c.options, bad = parseOptions(c.query, []string{"$select", "$expand"}); bad != nil {
		return bad
	}
	selected, bad := selection(c.options, s.eventProperties())
	if bad != nil {
		if s.options.National {
			bad.violation = "" // a client cannot know
		}
		return bad
	}
	var sequence, exceptions bool
	for part := range strings.SplitSeq(c.options["$expand"], ",") {
		switch {
		case part == "":
		case part == "singleValueExtendedProperties($filter=id eq '"+sequenceID+"')":
			sequence = true
		case part == "exceptionOccurrences" && !s.options.National:
			exceptions = true
		default:
			bad := refuse(400, "BadRequest", "Parsing OData Select and Expand failed: Could not find a property named '"+part+"'.")
			if !s.options.National {
				bad = bad.breaks("$expand: not what is served")
			}
			return bad
		}
	}
	of, e, bad := s.findEvent(c)
	if bad != nil {
		return bad
	}
	row := c.eventRow(of, e, selected)
	if e != &of.CalendarEvent { // the answer for an exception
		exceptions = false
	}
	if exceptions {
		list := []any{}
		for i := range e.Exceptions {
			x := e.Exceptions[i]
			x.Type, x.SeriesMasterID = "exception", e.ID
			list = append(list, c.eventRow(of, &x, nil))
		}
		row["exceptionOccurrences"] = list
	}
	if sequence && e.Sequence != nil {
		row["singleValueExtendedProperties"] = []any{map[string]any{"id": sequenceID, "value": strconv.Itoa(int(*e.Sequence))}}
	}
	row["@odata.context"] = c.base + "/$metadata#users('" + c.user.ID + "')/events/$entity"
	return c.applied(jsonReply(row))
}
