package graph

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/serialization"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"chainmail/handlers/capture"
)

// A Calendar is one of those that a mailbox shows.
type Calendar struct {
	ID    string
	Path  string // "Calendar", or below a group of calendars "Projects/Launch"
	Owner string // address of whose it is, lower case; empty: Graph does not say
	Own   bool   // the mailbox's own, not one that somebody shares with it
}

// Calendars lists the calendars of all groups of a mailbox, each once, the default one first. Whose a calendar is shows by its
// owner, who is that of the default calendar for the mailbox's own; one without an owner counts as own.
func (c *Client) Calendars(ctx context.Context, userID string) ([]Calendar, error) {
	l := &calendarList{client: c, userID: userID, known: map[string]int{}}
	if err := l.list(ctx, "", "", func(ctx context.Context, top int32) (*abstractions.RequestInformation, error) {
		return c.user(userID).Calendars().ToGetRequestInformation(ctx, &users.ItemCalendarsRequestBuilderGetRequestConfiguration{
			Headers: immutableIDs(), QueryParameters: &users.ItemCalendarsRequestBuilderGetQueryParameters{Select: calendarSelect(), Top: &top},
		})
	}); err != nil {
		return nil, err
	}
	groups, err := c.calendarGroups(ctx, userID)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		err := l.list(ctx, g.id, g.name, func(ctx context.Context, top int32) (*abstractions.RequestInformation, error) {
			return c.user(userID).CalendarGroups().ByCalendarGroupId(g.id).Calendars().ToGetRequestInformation(ctx,
				&users.ItemCalendarGroupsItemCalendarsRequestBuilderGetRequestConfiguration{
					Headers:         immutableIDs(),
					QueryParameters: &users.ItemCalendarGroupsItemCalendarsRequestBuilderGetQueryParameters{Select: calendarSelect(), Top: &top},
				})
		})
		if err != nil && !absent(err) { // a group may go while we list
			return nil, err
		}
	}
	return l.owned(), nil
}

func calendarSelect() []string { return []string{"id", "name", "owner", "isDefaultCalendar"} }

// A calendarList gathers calendars.
type calendarList struct {
	client  *Client
	userID  string
	all     []Calendar
	known   map[string]int // by id, the place in all
	primary string         // the default calendar's id
}

// list takes the calendars of a group, or with groupID "" those that Graph shows without one.
func (l *calendarList) list(ctx context.Context, groupID, group string,
	first func(ctx context.Context, top int32) (*abstractions.RequestInformation, error),
) error {
	return l.client.walk(ctx, l.userID, &walk{
		op: "list calendars", sizes: []int32{100, 10}, first: first,
		model: models.CreateCalendarCollectionResponseFromDiscriminatorValue,
		next: func(ctx context.Context, link string, _ int32) (*abstractions.RequestInformation, error) {
			return users.NewItemCalendarsRequestBuilder(link, l.client.adapter).ToGetRequestInformation(ctx,
				&users.ItemCalendarsRequestBuilderGetRequestConfiguration{Headers: immutableIDs()})
		},
		take: func(answer serialization.Parsable) (ids []string, next *string, err error) {
			page, ok := answer.(models.CalendarCollectionResponseable)
			if !ok || page.GetValue() == nil {
				return nil, nil, errors.New("answer is no list of calendars")
			}
			for _, m := range page.GetValue() {
				if m == nil || value(m.GetId()) == "" {
					return nil, nil, errors.New("calendar without id")
				}
				ids = append(ids, *m.GetId())
				l.take(m, groupID, group)
			}
			return ids, page.GetOdataNextLink(), nil
		},
	})
}

func (l *calendarList) take(m models.Calendarable, groupID, group string) {
	one := Calendar{ID: *m.GetId(), Path: value(m.GetName())}
	if o := m.GetOwner(); o != nil {
		one.Owner = strings.ToLower(value(o.GetAddress()))
	}
	if value(m.GetIsDefaultCalendar()) {
		l.primary = one.ID
	}
	i, ok := l.known[one.ID]
	if !ok {
		i = len(l.all)
		l.known[one.ID] = i
		l.all = append(l.all, one)
	}
	if groupID != "" && one.ID != l.primary {
		l.all[i].Path = group + "/" + one.Path
	}
}

// owned tells the mailbox's own calendars from the others.
func (l *calendarList) owned() []Calendar {
	owner := ""
	if i, ok := l.known[l.primary]; ok {
		owner = l.all[i].Owner
	}
	for i := range l.all {
		one := &l.all[i]
		one.Own = one.Owner == "" || owner == "" || one.Owner == owner
	}
	slices.SortStableFunc(l.all, func(a, b Calendar) int {
		return cmp.Or(-cmp.Compare(truth(a.ID == l.primary), truth(b.ID == l.primary)), cmp.Compare(a.Path, b.Path), cmp.Compare(a.ID, b.ID))
	})
	return l.all
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

type calendarGroup struct{ id, name string }

func (c *Client) calendarGroups(ctx context.Context, userID string) ([]calendarGroup, error) {
	var all []calendarGroup
	known := map[string]bool{}
	err := c.walk(ctx, userID, &walk{
		op: "list calendar groups", sizes: []int32{100, 10},
		model: models.CreateCalendarGroupCollectionResponseFromDiscriminatorValue,
		first: func(ctx context.Context, top int32) (*abstractions.RequestInformation, error) {
			return c.user(userID).CalendarGroups().ToGetRequestInformation(ctx, &users.ItemCalendarGroupsRequestBuilderGetRequestConfiguration{
				Headers:         immutableIDs(),
				QueryParameters: &users.ItemCalendarGroupsRequestBuilderGetQueryParameters{Select: []string{"id", "name"}, Top: &top},
			})
		},
		next: func(ctx context.Context, link string, _ int32) (*abstractions.RequestInformation, error) {
			return users.NewItemCalendarGroupsRequestBuilder(link, c.adapter).ToGetRequestInformation(ctx,
				&users.ItemCalendarGroupsRequestBuilderGetRequestConfiguration{Headers: immutableIDs()})
		},
		take: func(answer serialization.Parsable) (ids []string, next *string, err error) {
			page, ok := answer.(models.CalendarGroupCollectionResponseable)
			if !ok || page.GetValue() == nil {
				return nil, nil, errors.New("answer is no list of calendar groups")
			}
			for _, m := range page.GetValue() {
				if m == nil || value(m.GetId()) == "" {
					return nil, nil, errors.New("calendar group without id")
				}
				id := *m.GetId()
				if ids = append(ids, id); !known[id] {
					known[id] = true
					all = append(all, calendarGroup{id, value(m.GetName())})
				}
			}
			return ids, page.GetOdataNextLink(), nil
		},
	})
	return all, err
}

// An EventQuery says which events of a calendar to list.
type EventQuery struct {
	Changed capture.Window // on the time of the last change; a zero End: without one; a zero Window: none
	Created capture.Window // those made in it, whenever they were changed since; a zero Window: none
	Occurs  capture.Window // those with an occurrence that overlaps it; a zero Window: none
}

// span is within which times of change everything lies that a query takes; a zero end: without one. What was made in a period may
// have been changed at any time since.
func (q *EventQuery) span() (from, to time.Time) {
	none := capture.Window{}
	switch {
	case q.Created == none:
		return q.Changed.Start, q.Changed.End
	case q.Changed == none || q.Created.Start.Before(q.Changed.Start):
		return q.Created.Start, time.Time{}
	}
	return q.Changed.Start, time.Time{}
}

func (q *EventQuery) takes(it *capture.Item) bool {
	changed := q.Changed != (capture.Window{}) && !it.Modified.Before(q.Changed.Start) &&
		(q.Changed.End.IsZero() || it.Modified.Before(q.Changed.End))
	return changed || q.Created.Contains(it.Created)
}

// maxView is the longest range that is asked for of a calendar view. Microsoft names no limit that holds: EWS has two years.
const maxView = 365 * 24 * time.Hour

// Events lists the events of a calendar: single ones, and series by their masters, each once, by id. Of those that only an
// occurrence brings in, it tells no more than the id. Where the calendar refuses the filter on changes, all its events are
// listed and looked through.
func (c *Client) Events(ctx context.Context, userID string, calendar Calendar, q EventQuery) ([]capture.Item, error) {
	l := &eventList{client: c, userID: userID, calendar: calendar, query: q, found: map[string]capture.Item{}}
	if q.Changed != (capture.Window{}) || q.Created != (capture.Window{}) {
		err := c.walk(ctx, userID, l.changed(true))
		if MeaningOf(err) == Bad {
			err = c.walk(ctx, userID, l.changed(false))
		}
		if err != nil {
			return nil, err
		}
	}
	for start := q.Occurs.Start; start.Before(q.Occurs.End); start = start.Add(maxView) {
		end := start.Add(maxView)
		if end.After(q.Occurs.End) {
			end = q.Occurs.End
		}
		if err := l.view(ctx, capture.Window{Start: start, End: end}); err != nil {
			return nil, err
		}
	}
	items := make([]capture.Item, 0, len(l.found))
	for _, it := range l.found {
		items = append(items, it)
	}
	slices.SortFunc(items, func(a, b capture.Item) int { return cmp.Compare(a.GraphID, b.GraphID) })
	return items, nil
}

// An eventList is one listing of a calendar.
type eventList struct {
	client   *Client
	userID   string
	calendar Calendar
	query    EventQuery
	found    map[string]capture.Item // by id
}

// changed walks the events by their last change.
func (l *eventList) changed(filtered bool) *walk {
	var filter *string
	var order []string
	if filtered {
		from, to := l.query.span()
		text := "lastModifiedDateTime ge " + from.UTC().Format(time.RFC3339)
		if !to.IsZero() {
			text += " and lastModifiedDateTime lt " + to.UTC().Format(time.RFC3339)
		}
		filter, order = &text, []string{"lastModifiedDateTime"}
	}
	return &walk{
		op: "list events", sizes: []int32{1000, 100, 10},
		model: models.CreateEventCollectionResponseFromDiscriminatorValue,
		first: func(ctx context.Context, top int32) (*abstractions.RequestInformation, error) {
			return l.client.user(l.userID).Calendars().ByCalendarId(l.calendar.ID).Events().ToGetRequestInformation(ctx,
				&users.ItemCalendarsItemEventsRequestBuilderGetRequestConfiguration{
					Headers: immutableIDs(),
					QueryParameters: &users.ItemCalendarsItemEventsRequestBuilderGetQueryParameters{
						Filter: filter, Orderby: order, Top: &top,
						Select: []string{"id", "changeKey", "type", "createdDateTime", "lastModifiedDateTime", "isDraft"},
					},
				})
		},
		next: func(ctx context.Context, link string, _ int32) (*abstractions.RequestInformation, error) {
			return users.NewItemCalendarsItemEventsRequestBuilder(link, l.client.adapter).ToGetRequestInformation(ctx,
				&users.ItemCalendarsItemEventsRequestBuilderGetRequestConfiguration{Headers: immutableIDs()})
		},
		take: func(answer serialization.Parsable) ([]string, *string, error) {
			return l.page(answer, func(m models.Eventable) {
				it := l.item(value(m.GetId()))
				it.ChangeKey, it.Created, it.Modified, it.Draft = value(m.GetChangeKey()), utc(m.GetCreatedDateTime()),
					utc(m.GetLastModifiedDateTime()), value(m.GetIsDraft())
				it.Received = it.Modified
				if l.query.takes(&it) {
					l.found[it.GraphID] = it
				}
			})
		},
	}
}

// view takes what occurs in a range, which it halves where the server finds it too large.
func (l *eventList) view(ctx context.Context, w capture.Window) error {
	err := l.client.walk(ctx, l.userID, l.occurring(w))
	if half := w.Duration() / 2; strings.EqualFold(CodeOf(err), "ErrorCalendarViewRangeTooBig") && half >= time.Hour {
		middle := w.Start.Add(half)
		if err := l.view(ctx, capture.Window{Start: w.Start, End: middle}); err != nil {
			return err
		}
		return l.view(ctx, capture.Window{Start: middle, End: w.End})
	}
	return err
}

// occurring walks a calendar view. A master's rows are its occurrences.
func (l *eventList) occurring(w capture.Window) *walk {
	start, end := w.Start.UTC().Format(time.RFC3339), w.End.UTC().Format(time.RFC3339)
	return &walk{
		op: "list occurrences", sizes: []int32{1000, 100, 10},
		model: models.CreateEventCollectionResponseFromDiscriminatorValue,
		first: func(ctx context.Context, top int32) (*abstractions.RequestInformation, error) {
			return l.client.user(l.userID).Calendars().ByCalendarId(l.calendar.ID).CalendarView().ToGetRequestInformation(ctx,
				&users.ItemCalendarsItemCalendarViewRequestBuilderGetRequestConfiguration{
					Headers: immutableIDs(),
					QueryParameters: &users.ItemCalendarsItemCalendarViewRequestBuilderGetQueryParameters{
						StartDateTime: &start, EndDateTime: &end, Select: []string{"id", "type", "seriesMasterId"}, Top: &top,
					},
				})
		},
		next: func(ctx context.Context, link string, _ int32) (*abstractions.RequestInformation, error) {
			return users.NewItemCalendarsItemCalendarViewRequestBuilder(link, l.client.adapter).ToGetRequestInformation(ctx,
				&users.ItemCalendarsItemCalendarViewRequestBuilderGetRequestConfiguration{Headers: immutableIDs()})
		},
		take: func(answer serialization.Parsable) ([]string, *string, error) {
			return l.page(answer, func(m models.Eventable) {
				id := cmp.Or(value(m.GetSeriesMasterId()), value(m.GetId()))
				if _, ok := l.found[id]; !ok {
					l.found[id] = l.item(id)
				}
			})
		},
	}
}

func (l *eventList) item(id string) capture.Item {
	return capture.Item{
		GraphID: id, Kind: capture.Event, Class: "event", Folder: l.calendar.Path, FolderID: l.calendar.ID, State: capture.Active,
	}
}

func (l *eventList) page(answer serialization.Parsable, take func(models.Eventable)) (ids []string, next *string, err error) {
	page, ok := answer.(models.EventCollectionResponseable)
	if !ok || page.GetValue() == nil {
		return nil, nil, errors.New("answer is no list of events")
	}
	for _, m := range page.GetValue() {
		if m == nil || value(m.GetId()) == "" {
			return nil, nil, errors.New("event without id")
		}
		ids = append(ids, *m.GetId())
		take(m)
	}
	return ids, page.GetOdataNextLink(), nil
}
