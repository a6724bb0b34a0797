package event_test

import (
	"bytes"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"chainmail/handlers/capture"
	"chainmail/handlers/mailfmt/event"

	"github.com/emersion/go-ical"
)

// FuzzEncode writes events with any texts in any field, and reads them back: what is read is what was written, with the
// replacements that the package names.
func FuzzEncode(f *testing.F) {
	f.Add("UID", "Subject", "a body", "Room", "Ann", "ann@contoso.example", "Red", "UTC", "2026-03-02T09:00:00",
		"weekly", "monday", "2026-03-02", "https://x.example/1")
	f.Add("\r\n", "a;b,c\\n\\", "<p>x</p>", "\"", "^n^'\"\n", "a b@c:d", ",", "W. Europe Standard Time", "2026-10-25T00:30:00",
		"absoluteMonthly", "", "2026-01-31", "x:y")
	f.Add("\xff", "\u2028\x85", strings.Repeat("é", 80), "\t", "", "", "", "tzone://Microsoft/Custom", "2026-03-29T02:30:00.123",
		"relativeYearly", "friday", "4500-12-31", "//")
	f.Add("0", "\x00", "", "", ":;,=", "%41", " ", "Samoa Standard Time", "1601-01-01", "daily", "sunday", "1601-01-01", "mailto:a@b")
	f.Fuzz(func(t *testing.T, uid, subject, body, place, name, address, category, zone, at, pattern, weekday, day, link string) {
		e := capture.CalendarEvent{
			ICalUID: uid, Subject: subject, Body: capture.EventBody{ContentType: "text", Content: body},
			Location:      capture.EventLocation{DisplayName: place},
			OnlineMeeting: capture.OnlineMeeting{JoinURL: link}, OnlineMeetingProvider: "teamsForBusiness",
			Organizer:  capture.Recipient{EmailAddress: capture.EmailAddress{Name: name, Address: address}},
			Categories: []string{category, "z"}, OriginalStartTimeZone: zone, Sensitivity: zone, ShowAs: pattern, Importance: day,
			Start: capture.ZonedTime{DateTime: at, TimeZone: zone}, End: capture.ZonedTime{DateTime: at, TimeZone: "UTC"},
		}
		e.Attendees = []capture.EventAttendee{{
			EmailAddress: e.Organizer.EmailAddress, Type: pattern, Status: capture.ResponseStatus{Response: weekday},
		}}
		repeat(&e, pattern, weekday, day)
		var b bytes.Buffer
		_, err := event.Encode(&b, e)
		if errors.Is(err, event.ErrNoIdentity) && uid == "" || errors.Is(err, event.ErrNoStart) {
			if b.Len() > 0 {
				t.Fatal("something was written")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		checkForm(t, b.String())
		checkTexts(t, e, decoded(t, b.String()))
		if again, _ := encode(t, e); again != b.String() {
			t.Error("other bytes the second time")
		}
		if text := textOf(t, e); strings.ContainsRune(strings.ReplaceAll(text, "\r\n", ""), '\r') {
			t.Errorf("text %q", text)
		}
	})
}

// repeat makes an event a series, with an occurrence that is changed and one cancelled.
func repeat(e *capture.CalendarEvent, pattern, weekday, day string) {
	x := *e
	x.OccurrenceID, x.IsAllDay = "OID.y."+day, len(e.Subject)%2 == 0
	e.Exceptions = []capture.CalendarEvent{x}
	e.CancelledOccurrences = []string{"OID.x." + day}
	if pattern == "" {
		return
	}
	e.Recurrence = &capture.Recurrence{
		Pattern: capture.RecurrencePattern{
			Type: pattern, Interval: 1 + int32(len(e.Body.Content)%3), Month: 2, DayOfMonth: 1 + int32(len(e.Subject)%31),
			DaysOfWeek: []string{weekday},
		},
		Range: capture.RecurrenceRange{
			Type: "numbered", StartDate: day, NumberOfOccurrences: 3, RecurrenceTimeZone: e.OriginalStartTimeZone,
		},
	}
}

// checkTexts compares what is read of an event with what it was made of.
func checkTexts(t *testing.T, e capture.CalendarEvent, read *ical.Component) {
	t.Helper()
	for name, want := range map[string]string{
		ical.PropUID: e.ICalUID, ical.PropSummary: e.Subject, ical.PropLocation: strings.TrimSpace(e.Location.DisplayName),
		ical.PropDescription: strings.Trim(expected(e.Body.Content), "\n"),
	} {
		if got, err := read.Props.Text(name); err != nil || got != expected(want) {
			t.Errorf("%s is %q (%v), not %q", name, got, err, expected(want))
		}
	}
	who := e.Attendees[0].EmailAddress
	attendee := read.Props.Get(ical.PropAttendee)
	if got := unparam(attendee.Params.Get(ical.ParamCommonName)); got != expected(who.Name) {
		t.Errorf("name is %q, not %q", got, expected(who.Name))
	}
	address, err := url.PathUnescape(strings.TrimPrefix(attendee.Value, "mailto:"))
	if who.Address != "" && (err != nil || address != who.Address) {
		t.Errorf("address is %q (%v), not %q", address, err, who.Address)
	}
	want := slices.DeleteFunc(slices.Clone(e.Categories), func(s string) bool { return s == "" })
	slices.Sort(want)
	for i := range want {
		want[i] = expected(want[i])
	}
	if got, err := read.Props.Get(ical.PropCategories).TextList(); err != nil || !slices.Equal(got, want) {
		t.Errorf("categories %q (%v), not %q", got, err, want)
	}
}

// expected is what a text becomes: its lines end in LF, and what is no character and controls are U+FFFD.
func expected(s string) string {
	var b strings.Builder
	for _, r := range strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n") {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7F {
			r = '\uFFFD'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// unparam undoes RFC 6868.
func unparam(s string) string {
	return strings.NewReplacer("^^", "^", "^n", "\n", "^'", `"`).Replace(s)
}
