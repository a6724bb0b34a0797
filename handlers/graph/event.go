package graph

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/serialization"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"chainmail/handlers/capture"
)

// sequenceProperty is MAPI's PidLidAppointmentSequence.
const sequenceProperty = "Integer {00062002-0000-0000-C000-000000000046} Id 0x8201"

// Event gives a whole event; of a series the master, with the occurrences that were changed or taken out. National clouds know
// neither of the two by name: what they give of a series is not complete, and [Client.Occurrences] shows the rest. The errors mean
// what those of [Client.MIME] do.
func (c *Client) Event(ctx context.Context, userID, eventID string) (e capture.CalendarEvent, complete bool, err error) {
	e, err = c.event(ctx, userID, eventID, true)
	if err == nil || MeaningOf(err) != Bad {
		return e, true, err
	}
	e, err = c.EventAlone(ctx, userID, eventID)
	return e, e.Recurrence == nil, err
}

// EventAlone gives an event without what belongs to it: a single one, a changed occurrence, or the master of a series.
func (c *Client) EventAlone(ctx context.Context, userID, eventID string) (capture.CalendarEvent, error) {
	return c.event(ctx, userID, eventID, false)
}

func eventSelect(exceptions bool) []string {
	fields := []string{"id", "changeKey", "iCalUId", "type", "seriesMasterId", "subject", "body", "start", "end", "isAllDay",
		"location", "locations", "organizer", "attendees", "isOrganizer", "isCancelled", "isDraft", "isOnlineMeeting", "onlineMeeting",
		"onlineMeetingUrl", "onlineMeetingProvider", "recurrence", "originalStart", "originalStartTimeZone", "originalEndTimeZone",
		"sensitivity", "showAs", "importance", "categories", "responseStatus", "responseRequested", "hideAttendees",
		"allowNewTimeProposals", "isReminderOn", "reminderMinutesBeforeStart", "hasAttachments", "transactionId", "webLink",
		"createdDateTime", "lastModifiedDateTime"}
	if exceptions {
		fields = append(fields, "cancelledOccurrences")
	}
	return fields
}

// event asks for an event in its own words: the SDK's models have no fields for what Graph adds, and are as many again.
func (c *Client) event(ctx context.Context, userID, eventID string, exceptions bool) (capture.CalendarEvent, error) {
	var answer struct {
		capture.CalendarEvent
		Properties []struct {
			ID    string `json:"id"`
			Value string `json:"value"`
		} `json:"singleValueExtendedProperties"`
	}
	expand := []string{"singleValueExtendedProperties($filter=id eq '" + sequenceProperty + "')"}
	if exceptions {
		expand = append(expand, "exceptionOccurrences")
	}
	err := c.plain(ctx, "get event", userID, &answer, func(ctx context.Context) (*abstractions.RequestInformation, error) {
		return c.user(userID).Events().ByEventId(eventID).ToGetRequestInformation(ctx,
			&users.ItemEventsEventItemRequestBuilderGetRequestConfiguration{
				Headers:         prefer(wholeBody),
				QueryParameters: &users.ItemEventsEventItemRequestBuilderGetQueryParameters{Select: eventSelect(exceptions), Expand: expand},
			})
	})
	if err == nil && answer.ID == "" {
		err = &Error{Op: "get event", Meaning: Broken, Code: "UnreadableAnswer"}
	}
	for _, p := range answer.Properties {
		if n, bad := strconv.ParseInt(p.Value, 10, 32); bad == nil && strings.EqualFold(p.ID, sequenceProperty) {
			sequence := int32(n)
			answer.Sequence = &sequence
		}
	}
	return answer.CalendarEvent, err
}

// plain sends a request whose answer is read as it stands, without the SDK's models.
func (c *Client) plain(ctx context.Context, op, mailbox string, into any,
	info func(context.Context) (*abstractions.RequestInformation, error),
) error {
	return c.do(ctx, call{op: op, mailbox: mailbox}, func(ctx context.Context) error {
		request, err := info(ctx)
		if err != nil {
			return &Error{Meaning: Bad, Code: "UnsendableRequest", err: err}
		}
		option := abstractions.NewRequestHandlerOption()
		option.SetResponseHandler(func(resp any, _ abstractions.ErrorMappings) (any, error) {
			body, err := io.ReadAll(resp.(*http.Response).Body)
			if err == nil {
				err = json.Unmarshal(body, into)
			}
			if err != nil {
				return nil, &Error{Status: http.StatusOK, Meaning: Broken, Code: "UnreadableAnswer", err: err}
			}
			return nil, nil
		})
		request.AddRequestOptions([]abstractions.RequestOption{option})
		_, err = c.adapter.Send(ctx, request, models.CreateEventFromDiscriminatorValue, nil)
		return err
	})
}

// An Occurrence is one that a series has.
type Occurrence struct {
	ID       string
	Original time.Time // when it would have been had it not been changed, UTC; zero: not told
	Changed  bool
}

// Occurrences lists the occurrences of a series that overlap a window, a year at a time, each once, by id. Those that were
// cancelled are not among them.
func (c *Client) Occurrences(ctx context.Context, userID, masterID string, w capture.Window) ([]Occurrence, error) {
	found := map[string]Occurrence{}
	for start := w.Start; start.Before(w.End); start = start.Add(maxView) {
		end := start.Add(maxView)
		if end.After(w.End) {
			end = w.End
		}
		l := &eventList{client: c, userID: userID}
		if err := c.walk(ctx, userID, l.instances(masterID, capture.Window{Start: start, End: end}, func(m models.Eventable) {
			isException := value(m.GetTypeEscaped()) == models.EXCEPTION_EVENTTYPE
			found[*m.GetId()] = Occurrence{ID: *m.GetId(), Original: utc(m.GetOriginalStart()), Changed: isException}
		})); err != nil {
			return nil, err
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Occurrence) int { return cmp.Compare(a.ID, b.ID) }), nil
}

// instances walks the occurrences of a series.
func (l *eventList) instances(masterID string, w capture.Window, take func(models.Eventable)) *walk {
	start, end := w.Start.UTC().Format(time.RFC3339), w.End.UTC().Format(time.RFC3339)
	walk := l.occurring(w)
	walk.op = "list instances"
	walk.first = func(ctx context.Context, top int32) (*abstractions.RequestInformation, error) {
		return l.client.user(l.userID).Events().ByEventId(masterID).Instances().ToGetRequestInformation(ctx,
			&users.ItemEventsItemInstancesRequestBuilderGetRequestConfiguration{
				Headers: immutableIDs(),
				QueryParameters: &users.ItemEventsItemInstancesRequestBuilderGetQueryParameters{
					StartDateTime: &start, EndDateTime: &end, Select: []string{"id", "type", "originalStart"}, Top: &top,
				},
			})
	}
	walk.next = func(ctx context.Context, link string, _ int32) (*abstractions.RequestInformation, error) {
		return users.NewItemEventsItemInstancesRequestBuilder(link, l.client.adapter).ToGetRequestInformation(ctx,
			&users.ItemEventsItemInstancesRequestBuilderGetRequestConfiguration{Headers: immutableIDs()})
	}
	walk.take = func(answer serialization.Parsable) ([]string, *string, error) { return l.page(answer, take) }
	return walk
}
