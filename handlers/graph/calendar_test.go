package graph

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
)

func utcTime(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func graphTime(text string) capture.ZonedTime {
	return capture.ZonedTime{DateTime: utcTime(text).Format("2006-01-02T15:04:05.0000000"), TimeZone: "UTC"}
}

// diary is a mailbox with a series that was changed, a single event, calendars in two groups, and one that is not its own.
func diary() *graphtest.Tenant {
	series := &graphtest.Event{MutableID: "AAMkS", CalendarEvent: capture.CalendarEvent{
		ID: "AAkS", ChangeKey: "CQ1", ICalUID: "uid-s", Type: "seriesMaster", Subject: "Jour fixe", Body: capture.EventBody{ContentType: "html", Content: "<script>x</script><p>Hi</p>"},
		Start: graphTime("2026-03-02T08:00:00Z"), End: graphTime("2026-03-02T09:00:00Z"), OriginalStartTimeZone: "W. Europe Standard Time",
		Recurrence: &capture.Recurrence{
			Pattern: capture.RecurrencePattern{Type: "weekly", Interval: 1, DaysOfWeek: []string{"monday"}, FirstDayOfWeek: "monday"},
			Range:   capture.RecurrenceRange{Type: "numbered", StartDate: "2026-03-02", RecurrenceTimeZone: "W. Europe Standard Time", NumberOfOccurrences: 10},
		},
		CancelledOccurrences: []string{"OID.AAkS.2026-03-16"}, Sequence: new(int32(3)), Created: utcTime("2026-02-01T00:00:00Z"), LastModified: utcTime("2026-03-03T10:00:00Z"),
		Exceptions: []capture.CalendarEvent{{
			ID: "AAkX", ChangeKey: "CQX", ICalUID: "uid-s-x", Subject: "Jour fixe, later", OriginalStart: utcTime("2026-03-09T08:00:00Z"),
			Start: graphTime("2026-03-09T10:00:00Z"), End: graphTime("2026-03-09T11:00:00Z"), LastModified: utcTime("2026-03-03T10:00:00Z"),
		}},
	}}
	single := &graphtest.Event{MutableID: "AAMk1", CalendarEvent: capture.CalendarEvent{
		ID: "AAk1", ChangeKey: "CQ2", ICalUID: "uid-1", Type: "singleInstance", Subject: "Lunch", Start: graphTime("2026-03-04T11:00:00Z"), End: graphTime("2026-03-04T12:00:00Z"),
		LastModified: utcTime("2026-03-01T00:00:00Z"),
	}}
	foreign := &graphtest.Event{CalendarEvent: capture.CalendarEvent{ID: "AAkF", LastModified: utcTime("2026-03-03T10:00:00Z")}}
	user := &graphtest.User{ID: "u1", UserPrincipalName: "bert@x.example", Mail: "Bert@x.example", Licensed: true, Mailbox: &graphtest.Mailbox{
		Root: &graphtest.Folder{ID: "root", WellKnown: "root"},
		Calendars: []*graphtest.Calendar{
			{ID: "C2", Name: "Launch", Group: "Projects", Events: []*graphtest.Event{single}},
			{ID: "C1", Name: "Calendar", Default: true, Events: []*graphtest.Event{series}},
			{ID: "C3", Name: "Anna", Group: "Other Calendars", Owner: graphtest.Address{Name: "Anna", Address: "anna@x.example"}, Events: []*graphtest.Event{foreign}},
		},
	}}
	return &graphtest.Tenant{ID: "t", Domain: "x.example", Users: []*graphtest.User{user}}
}

func diaryBench(t *testing.T, tenant *graphtest.Tenant, o graphtest.Options) (*graphtest.Server, *bench) {
	t.Helper()
	o.Anonymous = true
	s := graphtest.NewServer(tenant, o)
	b := newBench(t, s)
	t.Cleanup(func() {
		if v := s.Violations(); len(v) > 0 {
			t.Errorf("rules of Graph's were broken: %q", v)
		}
	})
	return s, b
}

func TestCalendarsOfAllGroupsAreListedAndToldWhetherTheyAreOwn(t *testing.T) {
	t.Parallel()
	_, b := diaryBench(t, diary(), graphtest.Options{})
	got, err := b.client.Calendars(t.Context(), "u1")
	want := []Calendar{
		{ID: "C1", Path: "Calendar", Owner: "bert@x.example", Own: true},
		{ID: "C3", Path: "Other Calendars/Anna", Owner: "anna@x.example"},
		{ID: "C2", Path: "Projects/Launch", Owner: "bert@x.example", Own: true},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Calendars() = %+v, %v, want %+v", got, err, want)
	}
}

func TestWithoutConsentForCalendarsTheMailboxIsDenied(t *testing.T) {
	t.Parallel()
	_, b := diaryBench(t, diary(), graphtest.Options{Permissions: []string{"Mail.Read"}})
	if _, err := b.client.Calendars(t.Context(), "u1"); MeaningOf(err) != Denied {
		t.Errorf("Calendars() = %v, want it denied", err)
	}
}

func TestEventsAreListedByChangeAndByOccurrence(t *testing.T) {
	t.Parallel()
	march := func(from, to int) capture.Window {
		return capture.Window{Start: utcTime(fmt.Sprintf("2026-03-%02dT00:00:00Z", from)), End: utcTime(fmt.Sprintf("2026-03-%02dT00:00:00Z", to))}
	}
	for name, tt := range map[string]struct {
		calendar string
		query    EventQuery
		change   func(*graphtest.Calendar)
		want     []string
	}{
		"changed":                {"C1", EventQuery{Changed: march(3, 4)}, nil, []string{"AAkS CQ1"}},
		"changed to the end":     {"C1", EventQuery{Changed: capture.Window{Start: utcTime("2026-03-03T10:00:00Z")}}, nil, []string{"AAkS CQ1"}},
		"not changed":            {"C1", EventQuery{Changed: march(4, 5)}, nil, nil},
		"changed at the border":  {"C1", EventQuery{Changed: capture.Window{Start: utcTime("2026-03-02T00:00:00Z"), End: utcTime("2026-03-03T10:00:00Z")}}, nil, nil},
		"made":                   {"C1", EventQuery{Changed: march(4, 5), Created: capture.Window{Start: utcTime("2026-02-01T00:00:00Z"), End: utcTime("2026-02-02T00:00:00Z")}}, nil, []string{"AAkS CQ1"}},
		"made before":            {"C1", EventQuery{Created: capture.Window{Start: utcTime("2026-02-01T00:00:01Z"), End: utcTime("2026-02-02T00:00:00Z")}}, nil, nil},
		"no filter is taken":     {"C1", EventQuery{Changed: march(3, 4)}, func(c *graphtest.Calendar) { c.NoFilter = true }, []string{"AAkS CQ1"}},
		"no filter, not changed": {"C1", EventQuery{Changed: march(4, 5)}, func(c *graphtest.Calendar) { c.NoFilter = true }, nil},
		"occurring":              {"C1", EventQuery{Occurs: march(9, 10)}, nil, []string{"AAkS "}},
		"cancelled":              {"C1", EventQuery{Occurs: march(16, 17)}, nil, nil},
		"single":                 {"C2", EventQuery{Occurs: march(4, 5)}, nil, []string{"AAk1 "}},
		"both":                   {"C2", EventQuery{Changed: march(1, 2), Occurs: march(4, 5)}, nil, []string{"AAk1 CQ2"}},
		"three years":            {"C1", EventQuery{Occurs: capture.Window{Start: utcTime("2024-01-01T00:00:00Z"), End: utcTime("2027-01-01T00:00:00Z")}}, nil, []string{"AAkS "}},
		"a view of a week":       {"C1", EventQuery{Occurs: march(1, 31)}, func(c *graphtest.Calendar) { c.ViewDays = 7 }, []string{"AAkS "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant := diary()
			for _, c := range tenant.Users[0].Calendars {
				if tt.change != nil && c.ID == tt.calendar {
					tt.change(c)
				}
			}
			_, b := diaryBench(t, tenant, graphtest.Options{})
			items, err := b.client.Events(t.Context(), "u1", Calendar{ID: tt.calendar, Path: "Projects/Launch"}, tt.query)
			var got []string
			for _, it := range items {
				got = append(got, it.GraphID+" "+it.ChangeKey)
				if it.Kind != capture.Event || it.Folder != "Projects/Launch" || it.FolderID != tt.calendar || it.State != capture.Active {
					t.Errorf("item %+v", it)
				}
			}
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("Events() = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestAnEventIsToldWithItsExceptions(t *testing.T) {
	t.Parallel()
	tenant := diary()
	want := tenant.Users[0].Calendars[1].Events[0].CalendarEvent
	exception := want.Exceptions[0]
	exception.Type, exception.SeriesMasterID = "exception", "AAkS"
	for _, national := range []bool{false, true} {
		_, b := diaryBench(t, tenant, graphtest.Options{National: national})
		got, complete, err := b.client.Event(t.Context(), "u1", "AAkS")
		if err != nil || complete == national {
			t.Fatalf("Event() = %v, complete: %v", err, complete)
		}
		want := want
		if want.Exceptions = []capture.CalendarEvent{exception}; national {
			want.Exceptions, want.CancelledOccurrences = nil, nil
		}
		plainly := func(e *capture.CalendarEvent) { // without lists that Graph has and gives as empty ones
			e.Attendees, e.Locations, e.Categories = nil, nil, nil
			if len(e.CancelledOccurrences) == 0 {
				e.CancelledOccurrences = nil
			}
		}
		plainly(&got)
		for i := range got.Exceptions {
			plainly(&got.Exceptions[i])
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("national: %v: Event() = %+v\nwant %+v", national, got, want)
		}
		alone, err := b.client.EventAlone(t.Context(), "u1", "AAkX")
		if plainly(&alone); err != nil || !reflect.DeepEqual(alone, exception) {
			t.Errorf("national: %v: EventAlone() = %+v, %v\nwant %+v", national, alone, err, exception)
		}
		if single, complete, err := b.client.Event(t.Context(), "u1", "AAk1"); err != nil || !complete || single.Subject != "Lunch" {
			t.Errorf("national: %v: Event() of a single one = %v, complete: %v", national, err, complete)
		}
	}
}

func TestTheOccurrencesOfASeriesAreListedWithTheirOriginalStarts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		window   capture.Window
		want     []string
		requests int
	}{
		"three years": {capture.Window{Start: utcTime("2026-01-01T00:00:00Z"), End: utcTime("2028-12-31T00:00:00Z")}, []string{
			"03-02T08:00", "03-09T08:00 changed", "03-23T08:00", "03-30T07:00", "04-06T07:00", "04-13T07:00", "04-20T07:00", "04-27T07:00", "05-04T07:00",
		}, 3},
		"from within the second": {
			capture.Window{Start: utcTime("2026-03-09T10:30:00Z"), End: utcTime("2026-03-24T00:00:00Z")},
			[]string{"03-09T08:00 changed", "03-23T08:00"}, 1,
		},
		"nothing": {capture.Window{Start: utcTime("2026-03-16T00:00:00Z"), End: utcTime("2026-03-17T00:00:00Z")}, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, b := diaryBench(t, diary(), graphtest.Options{National: true})
			all, err := b.client.Occurrences(t.Context(), "u1", "AAkS", tt.window)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, o := range all {
				text := o.Original.Format("01-02T15:04")
				if o.Changed {
					text += " changed"
				}
				if o.ID == "AAkX" != o.Changed {
					t.Errorf("occurrence %+v", o)
				}
				got = append(got, text)
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("Occurrences() = %q, want %q", got, tt.want)
			}
			if n := s.Requests()["GET /users/{id}/events/{id}/instances"]; n != tt.requests {
				t.Errorf("%d requests, want %d", n, tt.requests)
			}
		})
	}
}

func TestACalendarThatAlwaysFailsSaysSo(t *testing.T) {
	t.Parallel()
	tenant := diary()
	tenant.Users[0].Calendars[0].Broken = true
	_, b := diaryBench(t, tenant, graphtest.Options{})
	_, err := b.client.Events(t.Context(), "u1", Calendar{ID: "C2"}, EventQuery{Changed: capture.Window{Start: utcTime("2026-01-01T00:00:00Z")}})
	if MeaningOf(err) != Transient || !strings.Contains(err.Error(), "ErrorInternalServerTransientError") {
		t.Errorf("Events() = %v", err)
	}
}
