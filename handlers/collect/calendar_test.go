package collect

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/pack"
)

func zoned(t time.Time) capture.ZonedTime {
	return capture.ZonedTime{DateTime: t.UTC().Format("2006-01-02T15:04:05.0000000"), TimeZone: "UTC"}
}

// meeting is an event of a user that was changed at a minute of the day.
func meeting(u *graphtest.User, n int, changed time.Time) *graphtest.Event {
	start := day().Start.AddDate(0, 0, 10).Add(time.Duration(9+n) * time.Hour)
	id := fmt.Sprintf("AAkALgEvent%d%s=", n, u.ID[30:])
	return &graphtest.Event{MutableID: "M" + id, CalendarEvent: capture.CalendarEvent{
		ID: id, ChangeKey: "CQ1", ICalUID: fmt.Sprint("uid-", n, u.ID), Type: "singleInstance", Subject: canarySubject, OriginalStartTimeZone: "W. Europe Standard Time",
		Body:  capture.EventBody{ContentType: "html", Content: "<p>" + canaryText + "</p>"},
		Start: zoned(start), End: zoned(start.Add(time.Hour)), Location: capture.EventLocation{DisplayName: "Room 5"},
		Organizer:    capture.Recipient{EmailAddress: capture.EmailAddress{Name: canaryName, Address: u.Mail}},
		Attendees:    []capture.EventAttendee{{EmailAddress: capture.EmailAddress{Address: "guest@" + strings.ToLower(canaryName) + ".example"}, Type: "required"}},
		LastModified: changed, Created: day().Start.AddDate(0, -1, 0),
	}}
}

// diary gives a user two calendars of their own, and one that is not.
func diary(u *graphtest.User, events ...*graphtest.Event) {
	u.Calendars = []*graphtest.Calendar{
		{ID: "C1" + u.ID, Name: "Calendar", Default: true, Events: events},
		{ID: "C2" + u.ID, Name: "Launch", Group: "Projects"},
		{ID: "C3" + u.ID, Name: "Boss", Group: "Others", Owner: graphtest.Address{Address: "boss@contoso.onmicrosoft.com"},
			Events: []*graphtest.Event{meeting(u, 9, day().Start)}},
	}
}

func calendarWorld(t *testing.T, changes map[string]any, change func(u *graphtest.User)) *world {
	t.Helper()
	tenant := newTenant(1)
	u := tenant.Users[0]
	put(u, "Inbox", 0, 2)
	diary(u, meeting(u, 1, day().Start.Add(time.Hour)), meeting(u, 2, day().Start.Add(-time.Hour)))
	change(u)
	settings := map[string]any{"collect": []string{"email", "calendar"}}
	maps.Copy(settings, changes)
	return newWorld(t, tenant, settings)
}

// events are the ids and change keys of the events among the items, with how many documents belong to each.
func (e *evidence) events() []string {
	var all []string
	for _, i := range e.items {
		if i.Kind == capture.Event {
			all = append(all, i.GraphID[:12]+" "+i.ChangeKey)
		}
	}
	slices.Sort(all)
	return all
}

func TestEventsThatWereChangedAreCapturedOncePerVersion(t *testing.T) {
	t.Parallel()
	w := calendarWorld(t, nil, func(*graphtest.User) {})
	u := w.tenant.Users[0]
	c := w.collector(nil)
	collect := func(n int) *evidence {
		period := capture.Window{Start: day().Start.AddDate(0, 0, n), End: day().End.AddDate(0, 0, n)}
		w.clock.Set(period.End.Add(100 * 24 * time.Hour)) // long after
		w.batchOf(period, w.custodians()...)
		w.settle(c, 15*time.Minute)
		return w.readOf(period, int64(n+1))
	}
	change := func(n int, day int, subject string) {
		w.graph.Mutate(func(*graphtest.Tenant) {
			e := u.Calendars[0].Events[n]
			e.Touch(time.Date(2026, 3, 2+day, 5, 0, 0, 0, time.UTC))
			e.ChangeKey = fmt.Sprint("CQ", day+1)
			if subject != "" {
				e.Subject = subject
			}
		})
	}
	first := collect(0)
	if got, want := first.events(), []string{"AAkALgEvent1 CQ1"}; !slices.Equal(got, want) {
		t.Errorf("first day: events %q, want %q", got, want)
	}
	if tt := first.manifest.Totals; tt.Found != 3 || tt.Captured != 3 || tt.Unchanged != 0 {
		t.Errorf("first day: totals %+v", tt)
	}
	change(0, 1, "") // touched, and says what it said
	change(1, 1, "")
	second := collect(1)
	if got, want := second.events(), []string{"AAkALgEvent2 CQ2"}; !slices.Equal(got, want) || second.manifest.Totals.Unchanged != 1 {
		t.Errorf("second day: events %q, want %q; totals %+v", got, want, second.manifest.Totals)
	}
	change(0, 2, canarySubject+" moved")
	third := collect(2)
	if got, want := third.events(), []string{"AAkALgEvent1 CQ3"}; !slices.Equal(got, want) || third.manifest.Totals.Unchanged != 0 {
		t.Errorf("third day: events %q, want %q; totals %+v", got, want, third.manifest.Totals)
	}
	var others []string
	for _, k := range first.manifest.Coverage {
		if k.Custodian != "" {
			others = append(others, k.Scope+": "+k.Reason)
		}
	}
	if want := []string{"calendars of others: left out by rule: 1 are shared with the mailbox"}; !slices.Equal(others, want) {
		t.Errorf("coverage %q, want %q", others, want)
	}
}

func TestAnEventThatChangesAllTheTimeIsCapturedInEveryPeriod(t *testing.T) {
	t.Parallel()
	w := calendarWorld(t, nil, func(*graphtest.User) {})
	u := w.tenant.Users[0]
	c := w.collector(nil)
	for n := range 3 {
		period := capture.Window{Start: day().Start.Add(time.Duration(n) * time.Hour), End: day().Start.Add(time.Duration(n+1) * time.Hour)}
		w.clock.Set(period.End.Add(15 * time.Minute))
		w.graph.Mutate(func(*graphtest.Tenant) {
			e := u.Calendars[0].Events[0]
			e.Subject = fmt.Sprint(canarySubject, n)
			e.Touch(w.clock.Now().Add(-time.Minute)) // it was changed in the period as well, and nobody can see that now
			e.ChangeKey = fmt.Sprint("CQ", n)
		})
		w.batchOf(period, w.custodians()...)
		w.settle(c, time.Minute)
		if got, want := w.readOf(period, int64(n+1)).events(), fmt.Sprint("AAkALgEvent1 CQ", n); !slices.Contains(got, want) {
			t.Errorf("period %d: events %q, want %q", n, got, want)
		}
	}
}

func TestWhatHappensInAPeriodThatEndsIsCapturedAsItStands(t *testing.T) {
	t.Parallel()
	w := calendarWorld(t, map[string]any{"startDate": "2026-03-02T00:00:00Z", "endDate": "2026-03-03T00:00:00Z"}, func(u *graphtest.User) {
		old := meeting(u, 3, day().Start.AddDate(0, -1, 0))
		old.Start, old.End = zoned(day().Start.Add(8*time.Hour)), zoned(day().Start.Add(9*time.Hour))
		u.Calendars[1].Events = append(u.Calendars[1].Events, old)
	})
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), 15*time.Minute)
	e := w.read()
	if got, want := e.events(), []string{"AAkALgEvent1 CQ1", "AAkALgEvent3 CQ1"}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
	for _, row := range w.loadFile(e) {
		asOf := strings.Contains(row["Other Metadata"], `"As Of","Value":"2026-03-04T12:00:00Z"`)
		if old := strings.Contains(row["Container Name"]+row["Folder Path"], "Launch"); row["File Extension"] == "ics" && asOf != old {
			t.Errorf("an event of %q has other metadata %q", row["Folder Path"], row["Other Metadata"])
		}
	}
}

// loadFile reads the load files of a batch: their records by column.
func (w *world) loadFile(e *evidence) []map[string]string {
	w.Helper()
	var all []map[string]string
	for name, data := range e.files {
		if !strings.HasSuffix(name, ".zip") {
			continue
		}
		lines := strings.Split(strings.TrimPrefix(unzipped(w.T, data)["loadfile.dat"], "\uFEFF"), "\r\n")
		split := func(line string) []string { return strings.Split(strings.Trim(line, "\u00FE"), "\u00FE\u0014\u00FE") }
		head := split(lines[0])
		for _, line := range lines[1:] {
			if line == "" {
				continue
			}
			row := map[string]string{}
			for i, v := range split(line) {
				row[head[i]] = v
			}
			all = append(all, row)
		}
	}
	return all
}

func TestAnEventIsAFamilyWithItsAttachments(t *testing.T) {
	t.Parallel()
	w := calendarWorld(t, nil, func(u *graphtest.User) {
		e := u.Calendars[0].Events[0]
		e.HasAttachments = true
		e.Attached = []graphtest.Attachment{
			{Kind: graphtest.FileAttachment, Name: "agenda.txt", ContentType: "text/plain", Size: 90, Content: []byte("the agenda")},
			{Kind: graphtest.ItemAttachment, Name: "Old mail", Content: []byte("Subject: old\r\n\r\nwords of old\r\n")},
			{Kind: graphtest.ReferenceAttachment, Name: "plan.xlsx", URL: "https://contoso.sharepoint.com/plan.xlsx"},
			{Kind: graphtest.FileAttachment, Name: "broken.ole", Unopened: true},
		}
	})
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), 15*time.Minute)
	e := w.read()
	var rows []map[string]string
	for _, row := range w.loadFile(e) {
		if strings.Contains(row["Native File"], "agenda") || strings.Contains(row["Native File"], "Old mail") || row["File Extension"] == "ics" {
			rows = append(rows, row)
		}
	}
	if len(rows) != 3 {
		t.Fatalf("%d documents of the event, want 3", len(rows))
	}
	top := rows[0]
	for column, want := range map[string]string{
		"Subject": canarySubject, "Meeting Location": "Room 5", "Meeting Start Date/Time": "2026-03-12 10:00:00", "Message Class": "Edoc",
		"Number of Attachments": "4", "Text Status": "Extracted", "Trace Error Details": "AttachmentMissing",
	} {
		if top[column] != want {
			t.Errorf("column %s is %q, want %q", column, top[column], want)
		}
	}
	for _, name := range []string{"agenda.txt", "Old mail.eml", "plan.xlsx", "broken.ole"} {
		if !strings.Contains(top["Attachment List"], name) {
			t.Errorf("the attachment list %q lacks %s", top["Attachment List"], name)
		}
	}
	for _, row := range rows[1:] {
		if row["Parent Document ID"] != top["Control Number"] || row["Text Status"] != "Extracted" {
			t.Errorf("attachment %+v", row)
		}
	}
}

func TestEmailGoesOnWhereCalendarsAreClosed(t *testing.T) {
	t.Parallel()
	w := calendarWorld(t, nil, func(*graphtest.User) {})
	w.graph.Fault(func(r graphtest.Request) bool { return strings.Contains(r.Path, "/calendar") }, 0, graphtest.Fault{Status: 403, Code: "ErrorAccessDenied"})
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), 15*time.Minute)
	e := w.read()
	if len(e.items) != 2 || len(e.events()) > 0 || e.manifest.Status != capture.Completed {
		t.Errorf("%d items, events %q, status %s", len(e.items), e.events(), e.manifest.Status)
	}
	if !slices.ContainsFunc(e.manifest.Coverage, func(k pack.Coverage) bool { return k.Custodian != "" && k.Scope == "calendars" }) {
		t.Errorf("the coverage %v does not say that calendars are closed", e.manifest.Coverage)
	}
	row, err := w.ledger.Source(t.Context(), testSource)
	must(t, err)
	if row.Value.LastError != "CalendarsDenied" || w.log.count("calendars not read") == 0 {
		t.Errorf("last error %q", row.Value.LastError)
	}
}

func TestACalendarThatCannotBeListedStandsInTheExceptions(t *testing.T) {
	t.Parallel()
	w := calendarWorld(t, nil, func(u *graphtest.User) { u.Calendars[1].Broken = true })
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), 15*time.Minute)
	e := w.read()
	if len(e.exceptions) != 1 || e.exceptions[0].Stage != stageList || e.exceptions[0].Code != "ErrorInternalServerTransientError" ||
		e.exceptions[0].Item.Folder != "Projects/Launch" || !slices.Equal(e.events(), []string{"AAkALgEvent1 CQ1"}) {
		t.Errorf("exceptions %+v, events %q", e.exceptions, e.events())
	}
}

func TestAnEventThatIsNoneIsExcepted(t *testing.T) {
	t.Parallel()
	w := calendarWorld(t, nil, func(u *graphtest.User) {
		u.Calendars[0].Events[0].Start = capture.ZonedTime{}
		gone := meeting(u, 4, day().Start.Add(time.Hour))
		u.Calendars[0].Events = append(u.Calendars[0].Events, gone)
	})
	w.graph.Fault(func(r graphtest.Request) bool { return strings.HasPrefix(r.Item, "AAkALgEvent4") }, 0, graphtest.Fault{Status: 404, Code: "ErrorItemNotFound"})
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), 15*time.Minute)
	got := map[string]string{}
	for _, x := range w.read().exceptions {
		got[x.Item.GraphID[:12]] = x.Stage + " " + x.Code
	}
	if want := map[string]string{"AAkALgEvent1": "read UnreadableEvent", "AAkALgEvent4": "fetch Vanished"}; !maps.Equal(got, want) {
		t.Errorf("exceptions %v, want %v", got, want)
	}
}

// controlled is every control character that JSON can hold, among others that calendars and load files set apart.
func controlled() string {
	var b strings.Builder
	for c := range rune(0xA0) {
		if c < ' ' || c >= 0x7F {
			b.WriteRune(c)
		}
	}
	return "a" + b.String() + "\u2028\u2029\u00FE\u00AE\"\\;,:z"
}

// controls puts text into every field of an event that people write, and into those that they do not.
func controls(e *graphtest.Event, text string) {
	e.Subject, e.Body = text, capture.EventBody{ContentType: "text", Content: text}
	e.Location = capture.EventLocation{DisplayName: text, URI: text}
	e.Organizer = capture.Recipient{EmailAddress: capture.EmailAddress{Name: text, Address: text}}
	e.Attendees = []capture.EventAttendee{{EmailAddress: e.Organizer.EmailAddress, Type: text, Status: capture.ResponseStatus{Response: text}}}
	e.Categories, e.WebLink, e.TransactionID = []string{text, "b"}, text, text
	e.Sensitivity, e.ShowAs, e.Importance = text, text, text
	e.OnlineMeeting, e.OriginalStartTimeZone, e.OriginalEndTimeZone = capture.OnlineMeeting{JoinURL: text, ConferenceID: text}, text, text
	e.HasAttachments, e.Attached = true, []graphtest.Attachment{
		{Kind: graphtest.FileAttachment, Name: text, ContentType: text, Size: 3, Content: []byte("abc")},
	}
}

// badEvents are events with a fault, by what the document's errors or the exception have to say of it.
func badEvents(u *graphtest.User) ([]*graphtest.Event, []string) {
	var events []*graphtest.Event
	var want []string
	add := func(fault string, change func(e *graphtest.Event)) {
		e := meeting(u, 10+len(events), day().Start.Add(time.Hour))
		change(e)
		events, want = append(events, e), append(want, fault)
	}
	repeats := func(e *graphtest.Event) {
		e.Type = "seriesMaster"
		e.Recurrence = &capture.Recurrence{
			Pattern: capture.RecurrencePattern{Type: "daily", Interval: 1},
			Range:   capture.RecurrenceRange{Type: "numbered", StartDate: e.Start.DateTime[:10], NumberOfOccurrences: 5, RecurrenceTimeZone: "UTC"},
		}
	}
	add("read UnreadableEvent", func(e *graphtest.Event) { e.Start = capture.ZonedTime{} })
	add("read UnreadableEvent", func(e *graphtest.Event) { e.Start.DateTime = "2026-02-30T08:00:00" })
	add("NoEnd", func(e *graphtest.Event) { e.End = capture.ZonedTime{} })
	add("EndBeforeStart", func(e *graphtest.Event) { e.End = zoned(day().Start) })
	add("UnknownZone", func(e *graphtest.Event) { e.OriginalStartTimeZone = "tzone://Microsoft/Custom" })
	add("UnknownZone", func(e *graphtest.Event) { e.Start.TimeZone, e.End.TimeZone = "Mars", "Mars" })
	add("NoUID", func(e *graphtest.Event) { e.ICalUID = "" })
	add("BrokenRecurrence", func(e *graphtest.Event) { repeats(e); e.Recurrence.Pattern.Type = "hourly" })
	add("BrokenRecurrence", func(e *graphtest.Event) { repeats(e); e.Recurrence.Range.StartDate = "2026-02-30" })
	add("BrokenOccurrence", func(e *graphtest.Event) { repeats(e); e.CancelledOccurrences = []string{"OID.x.2026-02-30"} })
	add("BrokenLink;ReplacedCharacter;UnknownValue;UnknownZone", func(e *graphtest.Event) { controls(e, controlled()) })
	add("", func(e *graphtest.Event) {
		for n := range 10_000 {
			e.Attendees = append(e.Attendees, capture.EventAttendee{
				Type: "required", EmailAddress: capture.EmailAddress{Name: fmt.Sprint("Person ", n), Address: fmt.Sprintf("p%d@contoso.example", n)},
			})
		}
	})
	add("", func(e *graphtest.Event) {
		e.Body.Content = "<p>" + strings.Repeat(canaryText+" and so on; ", 5<<20/16) + "</p>"
	})
	return events, want
}

func TestBadEventsAreDocumentsWithTheirErrorsOrExceptions(t *testing.T) {
	t.Parallel()
	var want []string
	w := calendarWorld(t, nil, func(u *graphtest.User) {
		var events []*graphtest.Event
		events, want = badEvents(u)
		diary(u, events...)
	})
	u := w.tenant.Users[0]
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), 15*time.Minute)
	e := w.read()
	got := map[string]string{}
	for _, x := range e.exceptions {
		got[x.Item.GraphID] = x.Stage + " " + x.Code
	}
	files := map[string]string{}
	for name, data := range e.files {
		if strings.HasSuffix(name, ".zip") {
			maps.Copy(files, unzipped(t, data))
		}
	}
	errorsOf, documents, most := map[string]string{}, 0, 0
	for _, row := range w.loadFile(e) {
		if row["File Extension"] == "ics" && row["Parent Document ID"] == "" {
			documents++
			errorsOf[row["Control Number"]] = row["Trace Error Details"]
			most = max(most, strings.Count(row["Meeting Attendees"], "@contoso.example"))
		}
		for column, cell := range row {
			if strings.ContainsFunc(strings.ReplaceAll(cell, "\u00AE", ""), func(c rune) bool { return c < ' ' && c != '\t' }) {
				t.Errorf("column %s holds a control character: %.100q", column, cell)
			}
		}
	}
	for _, i := range e.items {
		if i.Kind == capture.Event {
			got[i.GraphID] = errorsOf[i.ControlNumber]
			checkCalendar(t, files[i.Native], files[i.Text])
		}
	}
	for n, one := range u.Calendars[0].Events {
		if fault, ok := got[one.ID]; !ok || fault != want[n] {
			t.Errorf("event %d: %q (there: %v), want %q", n, fault, ok, want[n])
		}
	}
	if most != 10_000 {
		t.Errorf("%d attendees at most, want 10,000", most)
	}
	if documents+len(e.exceptions) != len(want) || e.manifest.Status != capture.CompletedWithDocumentLevelErrors {
		t.Errorf("%d documents, %d exceptions of %d events, status %s", documents, len(e.exceptions), len(want), e.manifest.Status)
	}
}

// checkCalendar holds the form of a calendar, by RFC 5545, 3.1: lines of at most 75 bytes that end in CR LF, of UTF-8 without
// control characters; and that its text holds none either.
func checkCalendar(t *testing.T, ics, text string) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSuffix(ics, "\r\n"), "\r\n") {
		isControl := func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7F }
		if len(line) > 75 || line == "" || !utf8.ValidString(line) || strings.ContainsFunc(line, isControl) {
			t.Errorf("a line of a calendar is %.100q", line)
		}
	}
	if !strings.HasPrefix(ics, "BEGIN:VCALENDAR\r\n") || !strings.HasSuffix(ics, "END:VCALENDAR\r\n") || strings.Count(ics, "\nBEGIN:VEVENT\r\n") != 1 {
		t.Errorf("a calendar is %.200q", ics)
	}
	isControl := func(c rune) bool { return c < ' ' && c != '\t' }
	if rest := strings.ReplaceAll(text, "\r\n", ""); strings.ContainsFunc(rest, isControl) || !strings.Contains(text, "Subject: ") {
		i := strings.IndexFunc(rest, isControl)
		t.Errorf("a text is %.200q, and has %.50q", text, rest[max(0, i):])
	}
}
