package mailfmt

import (
	"strings"
	"testing"
)

func TestCalendarsSayWhatAPersonSees(t *testing.T) {
	t.Parallel()
	const invitation = "BEGIN:VCALENDAR\r\nPRODID:no\r\nMETHOD:REQUEST\r\nBEGIN:VTIMEZONE\r\nTZID:no\r\nEND:VTIMEZONE\r\n" +
		"BEGIN:VEVENT\r\nSUMMARY;LANGUAGE=en:Long\r\n  title\\, " +
		"folded\r\nDTSTART;TZID=\"Europe/Berlin\":20260302T090000\r\n" +
		"DTEND:20260302T100000Z\r\nEXDATE;VALUE=DATE:20260303,20260304\r\nORGANIZER;CN=\"Lee; " +
		"Ann\":mailto:ann@example.com\r\n" +
		"ATTENDEE:MAILTO:bob@example.com\r\nATTENDEE;CN=bob@example.com:mailto:bob@example.com\r\nDESCRIPTION:one\\ntwo\\\\n\r\n" +
		"LOCATION:Room 5\r\nURL:https://example.com/m\r\nATTACH;ENCODING=BASE64;VALUE=BINARY:AAAA\r\nRRULE:FREQ=DAILY\r\n" +
		"UID:no\r\n" +
		"BEGIN:VALARM\r\nDESCRIPTION:no\r\nEND:VALARM\r\nEND:VEVENT\r\nBEGIN:VTODO\r\nSUMMARY:Do " +
		"it\r\nDUE;VALUE=DATE:20260305\r\nEND:VTODO\r\nEND:VCALENDAR\r\n"
	const want = "Method: REQUEST\n\nSummary: Long title, folded\nStart: 2026-03-02 09:00:00 Europe/Berlin\nEnd: " +
		"2026-03-02 10:00:00 UTC\n" +
		"Except: 2026-03-03, 2026-03-04\nOrganizer: Lee; Ann <ann@example.com>\nAttendee: bob@example.com\nAttendee: " +
		"bob@example.com\n" +
		"Description: one\ntwo\\n\nLocation: Room 5\nUrl: https://example.com/m\nRecurrence: FREQ=DAILY\n\nSummary: Do " +
		"it\nDue: 2026-03-05"
	if got, broken := CalendarText([]byte(invitation), ""); got != want || broken {
		t.Errorf("%q, broken: %v, want %q", got, broken, want)
	}
	if got, broken := CalendarText([]byte(invitation[:len(invitation)/2]), ""); !broken || !strings.HasPrefix(want, got[:40]) {
		t.Errorf("half of it: %q, broken: %v", got, broken)
	}
}

func TestHostileCalendarsLoseNoWordsAndTakeLinearTime(t *testing.T) {
	t.Parallel()
	const n = 300_000
	for name, tt := range map[string]struct {
		calendar, want string
		broken         bool
	}{
		"parameters": {"BEGIN:VCALENDAR\nSUMMARY" + strings.Repeat(";", n) + ":deep\nEND:VCALENDAR\n", "Summary: deep", false},
		"times":      {"BEGIN:VCALENDAR\nDUE:x\nEXDATE:" + strings.Repeat(",", n) + "\nEND:VCALENDAR\n", "Due: x\nExcept: " + strings.Repeat(",", n), false},
		"components": {strings.Repeat("BEGIN:VCALENDAR\n", n) + "SUMMARY:deep\n" + strings.Repeat("END:VCALENDAR\n", n), "Summary: deep", true},
		"properties": {"BEGIN:VCALENDAR\n" + strings.Repeat("URL:x\n", n) + "END:VCALENDAR\n", strings.TrimSpace(strings.Repeat("Url: x\n", n)), false},
		"strays":     {"BEGIN:VCALENDAR\n" + strings.Repeat("y\n", n) + "END:VCALENDAR\n", strings.TrimSpace(strings.Repeat("y\n", n)), true},
		"a text that goes on": {"BEGIN:VCALENDAR\nSUMMARY:a\n" + strings.Repeat("y\n", n) + "END:VCALENDAR\n",
			"Summary: a\n" + strings.TrimSpace(strings.Repeat("y\n", n)), true},
	} {
		if got, broken := CalendarText([]byte(tt.calendar), ""); got != tt.want || broken != tt.broken {
			t.Errorf("%s: %.80q, broken: %v, want %.80q, %v", name, got, broken, tt.want, tt.broken)
		}
	}
}
