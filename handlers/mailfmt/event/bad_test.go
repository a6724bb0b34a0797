package event_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/mailfmt/event"
	"chainmail/handlers/npmtest/icaljs"

	"github.com/emersion/go-ical"
)

// plain is an event without fault.
func plain() capture.CalendarEvent {
	return capture.CalendarEvent{
		ID: "AAMk=", ICalUID: "UID1", Type: "singleInstance", Subject: "Plain", OriginalStartTimeZone: "W. Europe Standard Time",
		Start:   capture.ZonedTime{DateTime: "2026-03-02T09:00:00.0000000", TimeZone: "UTC"},
		End:     capture.ZonedTime{DateTime: "2026-03-02T10:00:00.0000000", TimeZone: "UTC"},
		Created: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), LastModified: time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC),
	}
}

// series is plain, every day.
func series() capture.CalendarEvent {
	e := plain()
	e.Type = "seriesMaster"
	e.Recurrence = &capture.Recurrence{
		Pattern: capture.RecurrencePattern{Type: "daily", Interval: 1},
		Range: capture.RecurrenceRange{
			Type: "numbered", NumberOfOccurrences: 5, StartDate: "2026-03-02", RecurrenceTimeZone: e.OriginalStartTimeZone,
		},
	}
	return e
}

func changed(e capture.CalendarEvent, change func(*capture.CalendarEvent)) capture.CalendarEvent {
	change(&e)
	return e
}

// A bad event has a fault, and must tell it.
type bad struct {
	event capture.CalendarEvent
	want  []string
}

func badEvents() map[string]bad {
	type e = capture.CalendarEvent
	all := map[string]bad{
		"none":   {plain(), nil},
		"series": {series(), nil},
		"control characters": {changed(series(), func(x *e) {
			controls(x)
			x.Exceptions = []e{plain()}
			controls(&x.Exceptions[0])
			x.Exceptions[0].OriginalStart = time.Date(2026, 3, 3, 9, 0, 0, 0, time.UTC)
		}), []string{event.BrokenLink, event.ReplacedCharacter, event.UnknownValue, event.UnknownZone}},
	}
	single := func(name, want string, change func(*e)) { all[name] = bad{changed(plain(), change), []string{want}} }
	single("no end", event.NoEnd, func(x *e) { x.End = capture.ZonedTime{} })
	single("impossible end", event.NoEnd, func(x *e) { x.End.DateTime = "2026-02-30T08:00:00" })
	single("end before start", event.EndBeforeStart, func(x *e) { x.End.DateTime = "2026-03-02T08:00:00" })
	single("custom zone", event.UnknownZone, func(x *e) { x.OriginalStartTimeZone = "tzone://Microsoft/Custom" })
	single("day at noon", event.OddAllDay, func(x *e) { x.IsAllDay = true })
	single("no UID", event.NoUID, func(x *e) { x.ICalUID = "" })
	single("no dates", event.NoStamp, func(x *e) { x.Created, x.LastModified = time.Time{}, time.Time{} })
	single("no link", event.BrokenLink, func(x *e) { x.OnlineMeeting.JoinURL = "not a link \n" })
	single("unknown values", event.UnknownValue, func(x *e) { x.ShowAs, x.Sensitivity, x.Importance = "a:b", "\r\nX:y", ";" })
	badSeries(all)
	badOccurrences(all)
	return all
}

func badSeries(all map[string]bad) {
	add := func(name, want string, change func(*capture.CalendarEvent, *capture.RecurrencePattern, *capture.RecurrenceRange)) {
		e := series()
		change(&e, &e.Recurrence.Pattern, &e.Recurrence.Range)
		all[name] = bad{e, []string{want}}
		if want == "" {
			all[name] = bad{e, nil}
		}
	}
	type (
		e = *capture.CalendarEvent
		p = *capture.RecurrencePattern
		r = *capture.RecurrenceRange
	)
	add("no pattern", event.BrokenRecurrence, func(_ e, p p, _ r) { *p = capture.RecurrencePattern{} })
	add("no range", event.BrokenRecurrence, func(_ e, _ p, r r) { *r = capture.RecurrenceRange{} })
	add("unknown pattern", event.BrokenRecurrence, func(_ e, p p, _ r) { p.Type = "hourly" })
	add("interval 0", event.BrokenRecurrence, func(_ e, p p, _ r) { p.Interval = 0 })
	add("no weekdays", event.BrokenRecurrence, func(_ e, p p, _ r) { p.Type = "weekly" })
	add("no such weekday", event.BrokenRecurrence, func(_ e, p p, _ r) { p.DaysOfWeek = []string{"noday"} })
	add("no occurrence", event.BrokenRecurrence, func(_ e, _ p, r r) { r.Type, r.EndDate = "endDate", "2026-03-01" })
	add("0 times", event.BrokenRecurrence, func(_ e, _ p, r r) { r.NumberOfOccurrences = 0 })
	add("impossible range", event.BrokenRecurrence, func(_ e, _ p, r r) { r.StartDate = "2026-02-30" })
	add("another start", event.OddStart, func(_ e, _ p, r r) { r.StartDate = "2026-02-20" })
	add("for ages", "", func(_ e, _ p, r r) { r.NumberOfOccurrences = 1_000_000 })
	add("until 9999", "", func(_ e, _ p, r r) { r.Type, r.EndDate = "endDate", "9999-12-31" })
	add("unknown zones", event.UnknownZone, func(e e, _ p, r r) {
		e.OriginalStartTimeZone, r.RecurrenceTimeZone, e.Start.TimeZone = "Nowhere", "Mars \x00\r\nX:1", "?"
	})
}

func badOccurrences(all map[string]bad) {
	type e = capture.CalendarEvent
	add := func(name, want string, change func(series, exception *e)) {
		m, x := series(), plain()
		x.ID, x.Type, x.OriginalStart = "X", "exception", time.Date(2026, 3, 3, 9, 0, 0, 0, time.UTC)
		x.Start.DateTime, x.End.DateTime = "2026-03-03T11:00:00", "2026-03-03T12:00:00"
		change(&m, &x)
		m.Exceptions = append(m.Exceptions, x)
		all[name] = bad{m, []string{want}}
	}
	add("which occurrence", event.BrokenOccurrence, func(_, x *e) { x.OriginalStart = time.Time{} })
	add("when is it", event.BrokenOccurrence, func(_, x *e) { x.Start.DateTime = "soon" })
	add("stray occurrence", event.StrayOccurrence, func(_, x *e) { x.OriginalStart = x.OriginalStart.AddDate(1, 0, 0) })
	add("cancelled, no day", event.BrokenOccurrence, func(m, _ *e) {
		m.CancelledOccurrences = []string{"OID.x", "", ".", "OID.x.2026-02-30"}
	})
	add("changed, cancelled", event.DoubledOccurrence, func(m, _ *e) { m.CancelledOccurrences = []string{"OID.x.2026-03-03"} })
	add("changed twice", event.DoubledOccurrence, func(m, x *e) { m.Exceptions = []e{*x} })
}

// much fills an event with 10,000 attendees and a body of 5 MB.
func much(e *capture.CalendarEvent) {
	e.Body = capture.EventBody{ContentType: "html", Content: "<p>" + strings.Repeat("Größe, 📅; \\ ", 5<<20/16) + "</p>"}
	for i := range 10_000 {
		e.Attendees = append(e.Attendees, capture.EventAttendee{Type: "required", EmailAddress: capture.EmailAddress{
			Name: fmt.Sprintf("Person %d", i), Address: fmt.Sprintf("p%d@contoso.example", i*7919%10_000),
		}})
	}
}

// controls puts control characters, line ends and broken UTF-8 into every text.
func controls(e *capture.CalendarEvent) {
	const c = "a\x00b\x07\r\nEND:VEVENT\r\nX:1\x1b\x7f\x85\u2028\xff\t;:,\"^'\\n"
	e.ICalUID, e.Subject, e.ChangeKey, e.Type, e.TransactionID, e.WebLink = c, c, c, c, c, c
	e.Body = capture.EventBody{ContentType: "text", Content: c}
	e.Location = capture.EventLocation{DisplayName: c, LocationType: c, EmailAddress: c, URI: c, Address: capture.PostalAddress{City: c}}
	e.Locations = []capture.EventLocation{e.Location}
	e.Organizer.EmailAddress = capture.EmailAddress{Name: c, Address: c}
	e.Attendees = []capture.EventAttendee{{
		Type: c, EmailAddress: capture.EmailAddress{Name: c, Address: c}, Status: capture.ResponseStatus{Response: c},
		ProposedNewTime: &capture.TimeSlot{Start: capture.ZonedTime{DateTime: c, TimeZone: c}},
	}}
	e.OnlineMeeting = capture.OnlineMeeting{JoinURL: c, ConferenceID: c}
	e.OnlineMeetingProvider, e.Sensitivity, e.ShowAs, e.Importance = c, c, c, c
	e.OriginalStartTimeZone, e.OriginalEndTimeZone = c, c
	e.Categories = []string{c, "other"}
	e.CancelledOccurrences = []string{"OID." + c + ".2026-03-04"}
	e.IsReminderOn, e.ReminderMinutesBeforeStart = true, -1<<31
}

func TestBadEventsGiveCalendarsAndTellTheirDefects(t *testing.T) {
	t.Parallel()
	var questions []icaljs.Question
	var names []string
	for name, bad := range badEvents() {
		ics, defects := encode(t, bad.event)
		if !slices.Equal(defects, bad.want) {
			t.Errorf("%s: defects %v, want %v", name, defects, bad.want)
		}
		checkForm(t, ics)
		questions = append(questions, icaljs.Question{ICS: ics, Until: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC).Unix()})
		names = append(names, name)
		read, err := event.Read(bad.event)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(read.Text([]string{"a\r\nSubject: b\x00\x1b.txt"}))
		rest, isText := strings.CutPrefix(string(text), "\uFEFFCalendar event\r\n")
		if !isText || strings.ContainsAny(strings.ReplaceAll(rest, "\r\n", ""), "\r\n\x00\x07\x1b") {
			t.Errorf("%s: text %.300q", name, text)
		}
	}
	for i, a := range ask(t, questions...) {
		if a.Error != "" || len(a.Instances) == 0 {
			t.Errorf("%s: %s, %d instances\n%.3000s", names[i], a.Error, len(a.Instances), questions[i].ICS)
		}
	}
}

// ical.js takes half a minute for it, so go-ical reads this one.
func TestAnEventOfTenThousandPersonsAndFiveMegabytesIsWritten(t *testing.T) {
	t.Parallel()
	e := changed(plain(), much)
	ics, defects := encode(t, e)
	checkForm(t, ics)
	read := decoded(t, ics)
	if n := len(read.Props[ical.PropAttendee]); n != 10_000 || len(defects) > 0 {
		t.Errorf("%d attendees, defects %v", n, defects)
	}
	if html := read.Props.Get("X-ALT-DESC").Value; len(html) < 5<<20 {
		t.Errorf("%d bytes of HTML", len(html))
	}
	if text := textOf(t, e); len(text) < 4<<20 || strings.Count(text, "Person ") != 10_000 {
		t.Errorf("%d bytes of text", len(text))
	}
}

// decoded is the first event of a calendar as go-ical reads it.
func decoded(t *testing.T, ics string) *ical.Component {
	t.Helper()
	calendar, err := ical.NewDecoder(strings.NewReader(ics)).Decode()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range calendar.Children {
		if c.Name == ical.CompEvent {
			return c
		}
	}
	t.Fatal("no event")
	return nil
}

func TestWhatIsNoCalendarHasAReasonAndWritesNothing(t *testing.T) {
	t.Parallel()
	type e = capture.CalendarEvent
	for name, bad := range map[string]struct {
		event capture.CalendarEvent
		want  error
	}{
		"nothing":          {e{}, event.ErrNoIdentity},
		"no ids":           {changed(plain(), func(x *e) { x.ID, x.ICalUID = "", "" }), event.ErrNoIdentity},
		"no start":         {changed(plain(), func(x *e) { x.Start = capture.ZonedTime{} }), event.ErrNoStart},
		"no time":          {changed(plain(), func(x *e) { x.Start.DateTime = "soon" }), event.ErrNoStart},
		"impossible day":   {changed(plain(), func(x *e) { x.Start.DateTime = "2026-02-30T09:00:00" }), event.ErrNoStart},
		"impossible hour":  {changed(plain(), func(x *e) { x.Start.DateTime = "2026-02-03T25:00:00" }), event.ErrNoStart},
		"the year 1":       {changed(plain(), func(x *e) { x.Start.DateTime = "0001-01-01T00:00:00" }), event.ErrNoStart},
		"series, no start": {changed(series(), func(x *e) { x.Start = capture.ZonedTime{} }), event.ErrNoStart},
	} {
		var b bytes.Buffer
		if defects, err := event.Encode(&b, bad.event); !errors.Is(err, bad.want) || b.Len() > 0 || defects != nil {
			t.Errorf("%s: %v, %v, %d bytes", name, defects, err, b.Len())
		}
	}
}

func TestAFaultOfTheWriterIsTold(t *testing.T) {
	t.Parallel()
	full := errors.New("full")
	if _, err := event.Encode(failing{full}, plain()); !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
	if _, err := event.Encode(failing{full}, changed(plain(), much)); !errors.Is(err, full) {
		t.Errorf("error %v of a large one", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestTheOrderInWhichAnEventIsToldChangesNoByte(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	e := golden(t, "series")
	m := golden(t, "meeting")
	e.Attendees, e.Categories = append(m.Attendees, m.Attendees[0]), append(m.Categories, "third", "")
	e.CancelledOccurrences = append(e.CancelledOccurrences, "OID.a.2026-04-13", "OID.b.2026-04-13", "?", "!")
	for i := range 6 {
		x := e.Exceptions[i%2]
		x.ID, x.OriginalStart = fmt.Sprint("more", i), x.OriginalStart.AddDate(0, 0, 28*(i/2))
		x.Attendees = slices.Clone(e.Attendees)
		e.Exceptions = append(e.Exceptions, x)
	}
	first, defects := encode(t, e)
	if !slices.Contains(defects, event.DoubledOccurrence) || !slices.Contains(defects, event.StrayOccurrence) {
		t.Fatalf("defects %v", defects)
	}
	firstText := textOf(t, e)
	for range 100 {
		shuffle(random, e.Attendees)
		shuffle(random, e.Categories)
		shuffle(random, e.CancelledOccurrences)
		shuffle(random, e.Exceptions)
		for i := range e.Exceptions {
			shuffle(random, e.Exceptions[i].Attendees)
		}
		before := fmt.Sprintf("%+v", e)
		if again, _ := encode(t, e); again != first {
			t.Fatalf("other bytes:\n%s\n%s", first, again)
		}
		if again := textOf(t, e); again != firstText {
			t.Fatalf("another text:\n%s\n%s", firstText, again)
		}
		if after := fmt.Sprintf("%+v", e); after != before {
			t.Fatal("the event was changed")
		}
	}
}

func textOf(t *testing.T, e capture.CalendarEvent) string {
	t.Helper()
	read, err := event.Read(e)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(read.Text(nil))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func shuffle[T any](random *rand.Rand, list []T) {
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}
