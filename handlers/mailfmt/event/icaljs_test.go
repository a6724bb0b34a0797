package event_test

import (
	"slices"
	"strings"
	"testing"

	"chainmail/handlers/capture"
	"chainmail/handlers/npmtest/icaljs"
)

// ask has ical.js read calendars.
func ask(t *testing.T, questions ...icaljs.Question) []icaljs.Answer {
	t.Helper()
	answers, err := icaljs.Ask(t.Context(), t.Output(), questions...)
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

// get is a property of the first event that is read.
func get(t *testing.T, a icaljs.Answer, name string) icaljs.Property {
	t.Helper()
	for _, p := range a.Events[0] {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no %s", name)
	return icaljs.Property{}
}

func TestAnotherReaderReadsEveryTextAsItIsWritten(t *testing.T) {
	t.Parallel()
	e := golden(t, "meeting")
	bad := plain()
	controls(&bad)
	var questions []icaljs.Question
	for _, event := range []capture.CalendarEvent{e, bad} {
		ics, _ := encode(t, event)
		questions = append(questions, icaljs.Question{ICS: ics})
	}
	for i, a := range ask(t, questions...) {
		want := []capture.CalendarEvent{e, bad}[i]
		if a.Error != "" || len(a.Events) != 1 {
			t.Fatalf("%s, %d events", a.Error, len(a.Events))
		}
		if got := get(t, a, "summary").Values[0]; got != expected(want.Subject) {
			t.Errorf("subject %q, want %q", got, expected(want.Subject))
		}
		if i == 0 {
			want.Attendees[0] = want.Attendees[3] // the first by address
		}
		// ical.js takes \n in a parameter for a line's end, which is none by RFC 5545, 3.2, and 6868.
		name := strings.ReplaceAll(expected(want.Attendees[0].EmailAddress.Name), `\n`, "\n")
		if got := get(t, a, "attendee").Parameters["cn"]; got != name {
			t.Errorf("name %q, want %q", got, name)
		}
		if got := get(t, a, "categories").Values; len(got) != 2 || !slices.Contains(got, expected(want.Categories[0])) {
			t.Errorf("categories %q, want %q", got, want.Categories)
		}
	}
	if got := ask(t, questions[0])[0].Events[0]; !slices.ContainsFunc(got, func(p icaljs.Property) bool {
		return p.Name == "attendee" && p.Parameters["cn"] == e.Attendees[1].EmailAddress.Name
	}) {
		t.Errorf("%q", got)
	}
}
