package event_test

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// checkForm checks what every calendar must be: lines of at most 75 octets that end in CRLF and cut no character, components that
// close as they open, and the properties that each must have.
func checkForm(t *testing.T, ics string) {
	t.Helper()
	body, ok := strings.CutSuffix(ics, "\r\n")
	if !ok {
		t.Fatal("no line end at the end")
	}
	var open []string
	var names [][]string
	for i, raw := range strings.Split(body, "\r\n") {
		if len(raw) > 75 || raw == "" || !utf8.ValidString(raw) || strings.ContainsAny(raw, "\r\n\x00\x07\x1b\x7f") {
			t.Fatalf("line %d: %q", i+1, raw)
		}
		if raw[0] == ' ' {
			continue
		}
		name := raw[:strings.IndexAny(raw+":", ";:")]
		switch {
		case name == "BEGIN":
			open, names = append(open, raw[6:]), append(names, nil)
		case name == "END":
			if len(open) == 0 || open[len(open)-1] != raw[4:] {
				t.Fatalf("line %d: %q closes %v", i+1, raw, open)
			}
			checkProperties(t, open[len(open)-1], names[len(names)-1])
			open, names = open[:len(open)-1], names[:len(names)-1]
		case len(open) == 0:
			t.Fatalf("line %d outside of all: %q", i+1, raw)
		default:
			names[len(names)-1] = append(names[len(names)-1], name)
		}
	}
	if len(open) > 0 {
		t.Fatalf("%v not closed", open)
	}
}

func checkProperties(t *testing.T, component string, names []string) {
	t.Helper()
	once := map[string]string{
		"VCALENDAR": "PRODID VERSION CALSCALE", "VEVENT": "UID DTSTAMP DTSTART", "VTIMEZONE": "TZID",
		"STANDARD": "DTSTART TZOFFSETFROM TZOFFSETTO", "DAYLIGHT": "DTSTART TZOFFSETFROM TZOFFSETTO",
		"VALARM": "ACTION TRIGGER DESCRIPTION",
	}[component]
	if once == "" {
		t.Fatalf("a component %s", component)
	}
	count := map[string]int{}
	for _, n := range names {
		count[n]++
	}
	for _, n := range strings.Fields(once) {
		if count[n] != 1 {
			t.Errorf("%s has %s %d times", component, n, count[n])
		}
	}
	const atMostOnce = "DTEND RRULE RECURRENCE-ID SUMMARY DESCRIPTION LOCATION STATUS CLASS TRANSP ORGANIZER SEQUENCE URL PRIORITY"
	for _, n := range strings.Fields(atMostOnce) {
		if count[n] > 1 {
			t.Errorf("%s has %s %d times", component, n, count[n])
		}
	}
}
