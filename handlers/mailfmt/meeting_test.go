package mailfmt

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// invite is a message that is nothing but a calendar with one event, in the zones given.
func invite(zones, event string) string {
	calendar := "BEGIN:VCALENDAR\nMETHOD:REQUEST\n" + zones + "BEGIN:VEVENT\n" + event + "\nEND:VEVENT\nEND:VCALENDAR\n"
	return "Subject: s\r\nContent-Type: text/calendar; charset=utf-8; method=REQUEST\r\n\r\n" + strings.ReplaceAll(calendar, "\n", "\r\n")
}

// The zones of three continents as calendars define them, each by the rules of today.
var definedZones = map[string]string{
	"Europe/Berlin":    changes("Europe/Berlin", "+0200", "+0100", "BYDAY=-1SU;BYMONTH=10", "T030000", "BYDAY=-1SU;BYMONTH=3", "T020000"),
	"America/New_York": changes("America/New_York", "-0400", "-0500", "BYMONTH=11;BYDAY=1SU", "T020000", "BYMONTH=3;BYDAY=2SU", "T020000"),
	"Australia/Sydney": changes("Australia/Sydney", "+1100", "+1000",
		"BYMONTH=4;BYMONTHDAY=1,2,3,4,5,6,7;BYDAY=SU", "T030000", "BYDAY=1SU;BYMONTH=10", "T020000"),
	"America/Sao_Paulo": changes("America/Sao_Paulo", "-0200", "-0300", "UNTIL=20190217T020000Z;BYDAY=3SU;BYMONTH=2", "T000000",
		"UNTIL=20171015T030000Z;BYDAY=3SU;BYMONTH=10", "T000000"),
}

// changes writes a zone as Exchange does, with rules since 1601.
func changes(name, summer, winter, toWinter, toWinterAt, toSummer, toSummerAt string) string {
	return "BEGIN:VTIMEZONE\nTZID:" + name + "\n" +
		"BEGIN:STANDARD\nDTSTART:16010101" + toWinterAt + "\nTZOFFSETFROM:" + summer +
		"\nTZOFFSETTO:" + winter + "\nRRULE:FREQ=YEARLY;" + toWinter + "\nEND:STANDARD\n" +
		"BEGIN:DAYLIGHT\nDTSTART:16010101" + toSummerAt + "\nTZOFFSETFROM:" + winter +
		"\nTZOFFSETTO:" + summer + "\nRRULE:FREQ=YEARLY;" + toSummer + "\nEND:DAYLIGHT\n" +
		"END:VTIMEZONE\n"
}

func TestADefinedZoneHasTheTimesOfTheDatabase(t *testing.T) {
	t.Parallel()
	for name, definition := range definedZones {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, _, broken := readCalendar([]byte(definition), "")
			defined, database := newZoned(root), newZoned(&component{})
			if broken || defined.own[zoneKey(name)] == nil {
				t.Fatal("the zone is not defined")
			}
			first, last := 2009, 2032
			if name == "America/Sao_Paulo" { // its rules were these for two years
				first, last = 2016, 2017
			}
			from, to := time.Date(first, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(last, 12, 31, 0, 0, 0, 0, time.UTC)
			for clock := from; clock.Before(to); clock = clock.Add(step(clock)) {
				got, ok := defined.instant(clock, name)
				want, _ := database.instant(clock, name)
				if !ok || !got.Equal(want) {
					t.Fatalf("%s is %s, want %s", clock.Format(time.DateTime), got, want)
				}
				offset, _ := defined.offsetAt(got, name)
				if wanted, _ := database.offsetAt(got, name); offset != wanted {
					t.Fatalf("the offset at %s is %s, want %s", got, offset, wanted)
				}
			}
		})
	}
}

// step is small in three years, so that every switch of theirs is met at the half hour.
func step(clock time.Time) time.Duration {
	if y := clock.Year(); y >= 2026 && y <= 2028 || y == 2017 {
		return 30 * time.Minute
	}
	return 7*time.Hour + 30*time.Minute
}

func TestTimesAroundASwitchOfClocks(t *testing.T) {
	t.Parallel()
	tests := []struct{ zone, clock, want string }{
		{"Europe/Berlin", "20260329T015959", "2026-03-29 00:59:59"},
		{"Europe/Berlin", "20260329T023000", "2026-03-29 01:30:00"}, // is skipped
		{"Europe/Berlin", "20260329T030000", "2026-03-29 01:00:00"},
		{"Europe/Berlin", "20261025T023000", "2026-10-25 00:30:00"}, // comes twice
		{"Europe/Berlin", "20261025T030000", "2026-10-25 02:00:00"},
		{"America/New_York", "20260308T013000", "2026-03-08 06:30:00"},
		{"America/New_York", "20260308T023000", "2026-03-08 07:30:00"},
		{"America/New_York", "20260308T030000", "2026-03-08 07:00:00"},
		{"America/New_York", "20261101T013000", "2026-11-01 05:30:00"},
		{"America/New_York", "20261101T020000", "2026-11-01 07:00:00"},
		{"Australia/Sydney", "20260405T023000", "2026-04-04 15:30:00"},
		{"Australia/Sydney", "20260405T030000", "2026-04-04 17:00:00"},
		{"Australia/Sydney", "20261004T023000", "2026-10-03 16:30:00"},
		{"Australia/Sydney", "20261004T030000", "2026-10-03 16:00:00"},
		{"Australia/Sydney", "20261225T120000", "2026-12-25 01:00:00"},
		{"America/Sao_Paulo", "20190217T000000", "2019-02-17 03:00:00"},
		{"America/Sao_Paulo", "20260115T120000", "2026-01-15 15:00:00"}, // there is no summer time any more
	}
	for _, tt := range tests {
		for _, zones := range []string{definedZones[tt.zone], ""} {
			m := read(t, invite(zones, "DTSTART;TZID="+tt.zone+":"+tt.clock))
			if got := m.Meeting.Start.Format(time.DateTime); got != tt.want || len(m.Defects) != 0 {
				t.Errorf("%s in %s, defined here %t: start, defects = %s, %q, want %s", tt.clock, tt.zone, zones != "", got, m.Defects, tt.want)
			}
		}
	}
}

func TestDefinitionsOfZones(t *testing.T) {
	t.Parallel()
	zone := func(changes string) string {
		return "BEGIN:VTIMEZONE\nTZID:Custom\nBEGIN:STANDARD\n" + changes + "\nEND:STANDARD\nEND:VTIMEZONE\n"
	}
	tests := []struct{ name, zones, start, want, defect string }{
		{"no change", zone("DTSTART:16010101T000000\nTZOFFSETFROM:+0530\nTZOFFSETTO:+0530"), "20260302T100000", "2026-03-02 04:30:00", ""},
		{"seconds", zone("DTSTART:16010101T000000\nTZOFFSETFROM:-001744\nTZOFFSETTO:-001744"), "20260302T100000", "2026-03-02 10:17:44", ""},
		{"before the first change", zone("DTSTART:20300101T000000\nTZOFFSETFROM:+0300\nTZOFFSETTO:+0400"), "20260302T100000", "2026-03-02 07:00:00", ""},
		{"dates", zone("DTSTART:20200101T000000\nTZOFFSETFROM:+0300\nTZOFFSETTO:+0400\nRDATE:20210101T000000,20260101T000000"),
			"20260302T100000", "2026-03-02 06:00:00", ""},
		{"every second year", zone("DTSTART:20200301T000000\nTZOFFSETFROM:+0300\nTZOFFSETTO:+0400\nRRULE:FREQ=YEARLY;INTERVAL=2"),
			"20210302T100000", "2021-03-02 06:00:00", ""},
		{"until the last change, in UTC", changes("Custom", "+0200", "+0100", "UNTIL=20251026T010000Z;BYDAY=-1SU;BYMONTH=10", "T030000",
			"UNTIL=20250330T020000;BYDAY=-1SU;BYMONTH=3", "T020000"), "20260715T120000", "2026-07-15 11:00:00", ""},
		{"by weeks", zone("DTSTART:20200101T000000\nTZOFFSETFROM:+0300\nTZOFFSETTO:+0400\nRRULE:FREQ=WEEKLY"),
			"20260302T100000", "2026-03-02 10:00:00", UnknownZone},
		{"no offset", zone("DTSTART:20200101T000000\nTZOFFSETFROM:+0300"), "20260302T100000", "2026-03-02 10:00:00", UnknownZone},
		{"empty", "BEGIN:VTIMEZONE\nTZID:Custom\nEND:VTIMEZONE\n", "20260302T100000", "2026-03-02 10:00:00", UnknownZone},
		{"none", "", "20260302T100000", "2026-03-02 10:00:00", UnknownZone},
		{"not needed", "", "20260302T100000Z", "2026-03-02 10:00:00", ""},
		{"too many changes", zone("DTSTART:20200101T000000\nTZOFFSETFROM:+0300\nTZOFFSETTO:+0400\nRDATE:" +
			strings.Repeat("20210101T000000,", maxChanges+1)),
			"20260302T100000", "2026-03-02 10:00:00", UnknownZone},
	}
	for _, tt := range tests {
		m := read(t, invite(tt.zones, "DTSTART;TZID=Custom:"+tt.start))
		if got, defect := m.Meeting.Start.Format(time.DateTime), strings.Join(m.Defects, " "); got != tt.want || defect != tt.defect {
			t.Errorf("%s: start, defects = %s, %q, want %s, %q", tt.name, got, defect, tt.want, tt.defect)
		}
	}
}

// A definition beats the name: some programs name a zone of their own as Windows does.
func TestAZoneThatIsOnlyNamedIsKnownByWindowsNames(t *testing.T) {
	t.Parallel()
	own := "BEGIN:VTIMEZONE\nTZID:W. Europe Standard Time\nBEGIN:STANDARD\nDTSTART:16010101T000000\n" +
		"TZOFFSETFROM:+0500\nTZOFFSETTO:+0500\nEND:STANDARD\nEND:VTIMEZONE\n"
	for _, tt := range []struct{ zones, name, clock, want string }{
		{"", "W. Europe Standard Time", "20260328T100000", "2026-03-28 09:00:00"},
		{"", "W. Europe Standard Time", "20260329T100000", "2026-03-29 08:00:00"},
		{"", `"w. europe standard time"`, "20260329T100000", "2026-03-29 08:00:00"},
		{"", "India Standard Time", "20260302T100000", "2026-03-02 04:30:00"},
		{"", "AUS Eastern Standard Time", "20260302T100000", "2026-03-01 23:00:00"},
		{"", "Qyzylorda Standard Time", "20260302T100000", "2026-03-02 05:00:00"},
		{"", `"tzone://Microsoft/Utc"`, "20260302T100000", "2026-03-02 10:00:00"},
		{"", "Greenwich Standard Time", "20260702T100000", "2026-07-02 10:00:00"}, // Iceland's
		{own, "W. Europe Standard Time", "20260329T100000", "2026-03-29 05:00:00"},
	} {
		m := read(t, invite(tt.zones, "DTSTART;TZID="+tt.name+":"+tt.clock))
		if got := m.Meeting.Start.Format(time.DateTime); got != tt.want || len(m.Defects) != 0 {
			t.Errorf("%s in %s: start, defects = %s, %q, want %s", tt.clock, tt.name, got, m.Defects, tt.want)
		}
	}
}

func TestTheZoneOfTheMachineIsNone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Local", "local", "/x/Local", "../../etc/passwd", "/etc/localtime", ".", "Factory", `"tzone://Microsoft/Custom"`} {
		if m := read(t, invite("", "DTSTART;TZID="+name+":20260302T100000")); !slices.Contains(m.Defects, UnknownZone) {
			t.Errorf("zone %q: defects = %q, want UnknownZone", name, m.Defects)
		}
	}
}

func TestHowLongAMeetingLasts(t *testing.T) {
	t.Parallel()
	const berlin = "DTSTART;TZID=Europe/Berlin:20260328T120000\n"
	tests := []struct {
		event, start, end string
		allDay            bool
		defects           []string
	}{
		{berlin + "DTEND;TZID=America/New_York:20260328T120000", "2026-03-28 11:00", "2026-03-28 16:00", false, nil},
		{berlin + "DURATION:PT24H", "2026-03-28 11:00", "2026-03-29 11:00", false, nil},
		{berlin + "DURATION:P1D", "2026-03-28 11:00", "2026-03-29 10:00", false, nil}, // a day of 23 hours
		{berlin + "DURATION:P1W2DT1H30M5S", "2026-03-28 11:00", "2026-04-06 11:30", false, nil},
		{berlin, "2026-03-28 11:00", "2026-03-28 11:00", false, nil},
		{berlin + "DURATION:-PT1H", "2026-03-28 11:00", "2026-03-28 11:00", false, []string{BrokenCalendar}},
		{berlin + "DURATION:P99999999999999999999D", "2026-03-28 11:00", "2026-03-28 11:00", false, []string{BrokenCalendar}},
		{berlin + "DTEND:20200101T000000Z", "2026-03-28 11:00", "2026-03-28 11:00", false, []string{BrokenCalendar}},
		{"DTSTART:99981231T000000Z\nDURATION:P36000D", "9998-12-31 00:00", "9998-12-31 00:00", false, []string{BrokenCalendar}},
		{"DTSTART;VALUE=DATE:20260302", "2026-03-02 00:00", "2026-03-03 00:00", true, nil},
		{"DTSTART;VALUE=DATE:20260302\nDTEND;VALUE=DATE:20260302", "2026-03-02 00:00", "2026-03-03 00:00", true, nil},
		{"DTSTART;VALUE=DATE:20260302\nDURATION:P2D", "2026-03-02 00:00", "2026-03-04 00:00", true, nil},
		{"X-MICROSOFT-CDO-ALLDAYEVENT:TRUE\nDTSTART;TZID=Europe/Berlin:20260302T000000\nDTEND;TZID=Europe/Berlin:20260303T000000",
			"2026-03-01 23:00", "2026-03-02 23:00", true, nil},
		{"DTSTART:20260302T090060Z", "2026-03-02 09:00", "2026-03-02 09:00", false, nil},
		{"DTSTART:00000000T000000Z", "0001-01-01 00:00", "0001-01-01 00:00", false, []string{BrokenCalendar}},
		{"SUMMARY:x", "0001-01-01 00:00", "0001-01-01 00:00", false, []string{BrokenCalendar}},
	}
	for _, tt := range tests {
		m := read(t, invite("", tt.event))
		const layout = "2006-01-02 15:04"
		if start, end := m.Meeting.Start.Format(layout), m.Meeting.End.Format(layout); start != tt.start || end != tt.end || m.Meeting.AllDay != tt.allDay {
			t.Errorf("%q: start, end, whole days = %s, %s, %t, want %s, %s, %t", tt.event, start, end, m.Meeting.AllDay, tt.start, tt.end, tt.allDay)
		}
		if !slices.Equal(m.Defects, tt.defects) {
			t.Errorf("%q: defects = %q, want %q", tt.event, m.Defects, tt.defects)
		}
	}
}

func TestWordsOfACalendarAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	tests := []struct{ line, want string }{
		{`SUMMARY:a\, b\; c\\nd\ne`, `a, b; c\nd e`},
		{`SUMMARY:C:\temp\x`, `C:\temp\x`},
		{`SUMMARY;LANGUAGE=en;X="a:b;c":d`, "d"},
		{"SUMMARY:Gr\xC3\n \xBC\xC3\n\t\x9Fe", "Grüße"},
		{"summary:x", "x"},
		{`SUMMARY;ENCODING=QUOTED-PRINTABLE;CHARSET=iso-8859-1:Gr=FC=DFe`, "Grüße"},
		{"SUMMARY:a\u2028b\u202Ec\x00", "a bc"},
	}
	for _, tt := range tests {
		m := read(t, invite("", "DTSTART:20260302T090000Z\n"+tt.line))
		if m.Meeting.Summary != tt.want {
			t.Errorf("%q: Summary = %q, want %q", tt.line, m.Meeting.Summary, tt.want)
		}
	}
}

func TestPersonsOfACalendar(t *testing.T) {
	t.Parallel()
	tests := []struct{ line, want string }{
		{"ATTENDEE;CN=Bo:mailto:bo@a.example", "Bo <bo@a.example>"},
		{"ATTENDEE;CN=bo@a.example:MAILTO:bo@a.example", "bo@a.example"},
		{`ATTENDEE;CN="Ek, Bo";ROLE=CHAIR:mailto:bo%2Bx@a.example`, "Ek, Bo <bo+x@a.example>"},
		{"ATTENDEE;CN=Ek, Bo:mailto:bo@a.example", "Ek, Bo <bo@a.example>"},
		{"ATTENDEE;CN=Ek; Bo;ROLE=CHAIR:mailto:bo@a.example", "Ek; Bo <bo@a.example>"},
		{"ATTENDEE;CN=Sales: Bo:mailto:bo@a.example", "Sales: Bo <bo@a.example>"},
		{`ATTENDEE;CN="Bo:mailto:bo@a.example`, "Bo <bo@a.example>"},
		{"ATTENDEE;CN=Bo;EMAIL=bo@a.example:/principals/1", "Bo <bo@a.example>"},
		{"ATTENDEE;CN=Bo^'s^n:mailto:bo@a.example", `Bo"s <bo@a.example>`},
		{"ATTENDEE:bo@a.example", "bo@a.example"},
		{"ATTENDEE;CN=\u0130\u0130\u0130;X=\":mailto:bo@a.example", "\u0130\u0130\u0130 <bo@a.example>"},
	}
	for _, tt := range tests {
		m := read(t, invite("", "DTSTART:20260302T090000Z\n"+tt.line))
		if got := strings.Join(m.Meeting.Attendees, "|"); got != tt.want {
			t.Errorf("%q: Attendees = %q, want %q", tt.line, got, tt.want)
		}
	}
}

// Whatever holds words in a calendar, they are in the text, and once.
func TestNothingWrittenInACalendarIsMissingInTheText(t *testing.T) {
	t.Parallel()
	places := map[string]string{
		"description": "DESCRIPTION:%s", "another description": "DESCRIPTION:x\nDESCRIPTION:%s", "comment": "COMMENT:%s", "summary": "SUMMARY:%s",
		"location": "LOCATION:%s", "categories": "CATEGORIES:a,%s", "contact": "CONTACT:%s", "resources": "RESOURCES:%s", "link": "URL:https://%s.example/",
		"HTML": "X-ALT-DESC;FMTTYPE=text/html:<html><b>%s</b></html>", "note of an attendee": "ATTENDEE;X-RESPONSE-COMMENT=%s:mailto:bo@a.example",
		"alarm":               "BEGIN:VALARM\nDESCRIPTION:%s\nEND:VALARM",
		"line without a name": "DESCRIPTION:x\n%s", "line without a name, after a field": "UID:1\n%s here",
		"line with a word and a colon": "DESCRIPTION:x\n%s: yes",
		"word and colon after a field": "UID:1\n%s: yes", "attachment": "ATTACH:https://a.example/%s",
		"another event": "END:VEVENT\nBEGIN:VEVENT\nSUMMARY:%s", "task": "END:VEVENT\nBEGIN:VTODO\nSUMMARY:%s\nEND:VTODO\nBEGIN:VEVENT",
		"within unknown parts": "BEGIN:X-A\nBEGIN:X-B\nCOMMENT:%s\nEND:X-B\nEND:X-A",
		"after the end":        "END:VEVENT\nEND:VCALENDAR\n%s here",
	}
	for name, format := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := textOf(t, read(t, invite("", "DTSTART:20260302T090000Z\n"+fmt.Sprintf(format, "plutonium"))))
			if strings.Count(text, "plutonium") != 1 {
				t.Errorf("the text does not have the word once:\n%s", text)
			}
		})
	}
}

// A message has the meeting of its own face before that of an attached calendar, in whatever order they come.
func TestTheCalendarThatIsTheMessageCounts(t *testing.T) {
	t.Parallel()
	calendar := func(summary, method string) string {
		return "BEGIN:VCALENDAR\r\n" + method + "BEGIN:VEVENT\r\nDTSTART:20260302T090000Z\r\nSUMMARY:" + summary + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
	}
	const request = "METHOD:REQUEST\r\n"
	face := "--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n" +
		"--i\r\n\r\ntext\r\n--i\r\nContent-Type: text/calendar\r\n\r\n" + calendar("face", request) + "--i--\r\n"
	attached := func(params, method string) string {
		return "--o\r\nContent-Type: text/calendar; name=a.ics" + params + "\r\nContent-Disposition: attachment\r\n\r\n" + calendar("attached", method)
	}
	tests := []struct{ name, parts, summary, class string }{
		{"face", face, "face", "IPM.Schedule.Meeting.Request"},
		{"face, attached", face + attached("; method=CANCEL", ""), "face", "IPM.Schedule.Meeting.Request"},
		{"two faces", strings.Replace(face, "--i--", "--i\r\nContent-Type: text/calendar\r\n\r\n"+calendar("second", request)+"--i--", 1), "face", "IPM.Schedule.Meeting.Request"},
		{"attached, face", attached("; method=CANCEL", "") + face, "face", "IPM.Schedule.Meeting.Request"},
		{"an attached invitation", attached("; method=request", ""), "attached", "IPM.Schedule.Meeting.Request"},
		{"an invitation sent along", attached("", request), "", "IPM.Note"},
		{"a published calendar", attached("; method=PUBLISH", ""), "", "IPM.Note"},
	}
	for _, tt := range tests {
		m := read(t, "Content-Type: multipart/mixed; boundary=o\r\n\r\n"+tt.parts+"--o--\r\n")
		summary := ""
		if m.Meeting != nil {
			summary = m.Meeting.Summary
		}
		if summary != tt.summary || m.Class != tt.class || len(m.Defects) != 0 {
			t.Errorf("%s: meeting, class, defects = %q, %s, %q, want %q, %s", tt.name, summary, m.Class, m.Defects, tt.summary, tt.class)
		}
	}
}

func TestAnEventWhoseEndIsLostDoesNotSwallowTheNext(t *testing.T) {
	t.Parallel()
	m := read(t, invite("", "DTSTART:20260302T090000Z\nRECURRENCE-ID:20260302T090000Z\nSUMMARY:one of them\nBEGIN:VEVENT\nDTSTART:20260301T090000Z\nSUMMARY:all of them"))
	if m.Meeting.Summary != "all of them" || !slices.Equal(m.Defects, []string{BrokenCalendar}) {
		t.Errorf("summary, defects = %q, %q, want that of the series, BrokenCalendar", m.Meeting.Summary, m.Defects)
	}
}

func TestWhatSortOfMessageAMeetingIs(t *testing.T) {
	t.Parallel()
	const calendarMessage = "Content-Class: urn:content-classes:calendarmessage\r\n"
	tests := []struct{ header, method, status, heading, class string }{
		{"", "REQUEST", "NEEDS-ACTION", "Meeting request", "IPM.Schedule.Meeting.Request"},
		{"", "CANCEL", "ACCEPTED", "Meeting cancelled", "IPM.Schedule.Meeting.Canceled"},
		{"", "REPLY", "accepted", "Meeting accepted", "IPM.Schedule.Meeting.Resp.Pos"},
		{"", "REPLY", "TENTATIVE", "Meeting tentatively accepted", "IPM.Schedule.Meeting.Resp.Tent"},
		{"", "REPLY", "DECLINED", "Meeting declined", "IPM.Schedule.Meeting.Resp.Neg"},
		{"", "REPLY", "DELEGATED", "Meeting delegated", "IPM.Schedule.Meeting.Resp.Tent"},
		{"", "COUNTER", "DECLINED", "New time proposed", "IPM.Schedule.Meeting.Resp.Neg"},
		{"", "PUBLISH", "ACCEPTED", "Calendar entry", "IPM.Note"},
		{"", "", "", "Calendar entry", "IPM.Note"},
		{calendarMessage, "", "", "Meeting request", "IPM.Schedule.Meeting.Request"},
		{"Content-Class: IPM.Schedule.Meeting.Resp.Pos\r\n", "REPLY", "", "Meeting accepted", "IPM.Schedule.Meeting.Resp.Pos"},
	}
	for _, tt := range tests {
		calendar := "BEGIN:VCALENDAR\r\nMETHOD:" + tt.method + "\r\nBEGIN:VEVENT\r\nDTSTART:20260302T090000Z\r\nATTENDEE;PARTSTAT=" + tt.status +
			":mailto:bo@a.example\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
		m := read(t, tt.header+"Content-Type: text/calendar\r\n\r\n"+calendar)
		if text := textOf(t, m); m.Class != tt.class || !strings.Contains(text, "\r\n"+tt.heading+"\r\n") {
			t.Errorf("%s, %s: class = %s, text %q, want %s, %s", tt.method, tt.status, m.Class, text, tt.class, tt.heading)
		}
	}
}

func TestHowAMeetingRecurs(t *testing.T) {
	t.Parallel()
	tests := []struct{ event, want string }{
		{"RRULE:FREQ=DAILY;COUNT=3", "FREQ=DAILY;COUNT=3"},
		{"RRULE:FREQ=DAILY\nEXDATE:20260303T090000Z", "FREQ=DAILY (1 date excluded)"},
		{"RRULE:FREQ=DAILY\nEXDATE:20260303T090000Z,20260304T090000Z\nEXDATE:20260305T090000Z\nRDATE:20260303T100000Z",
			"FREQ=DAILY (3 dates excluded, 1 date added)"},
		{"RDATE:20260303T100000Z,20260304T090000Z", "(2 dates added)"},
		{"RECURRENCE-ID;TZID=Europe/Berlin:20260309T100000", "one occurrence of a series: 2026-03-09 09:00:00 UTC (10:00 Europe/Berlin)"},
		{"RECURRENCE-ID:?", "one occurrence of a series: ?"},
		{"", ""},
	}
	for _, tt := range tests {
		if m := read(t, invite("", "DTSTART:20260302T090000Z\n"+tt.event)); m.Meeting.Recurrence != tt.want {
			t.Errorf("%q: Recurrence = %q, want %q", tt.event, m.Meeting.Recurrence, tt.want)
		}
	}
}

func TestTheLimitsOfACalendarAreKept(t *testing.T) {
	t.Parallel()
	const event = "DTSTART:20260302T090000Z\n"
	var attendees strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&attendees, "ATTENDEE;CN=\"Person, No. %d\":mailto:person%d@contoso.example\n", i, i)
	}
	base := invite("", event+attendees.String())
	head, body, _ := strings.Cut(base, "\r\n\r\n")
	zone := "BEGIN:VTIMEZONE\nTZID:Z\n" + strings.Repeat("BEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\n"+
		"RRULE:FREQ=YEARLY;BYMONTH=1,2,3,4,5,6,7,8,9,10,11,12;BYDAY=MO\nEND:STANDARD\n", maxChanges) + "END:VTIMEZONE\n"
	tests := []struct {
		name, mail string
		attendees  int
		status     string
		defects    []string
	}{
		{"ten thousand attendees", base, 10_000, Extracted, nil},
		{"the same in base64", head + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
			base64.StdEncoding.EncodeToString([]byte(body)), 10_000, Extracted, nil},
		{"the same attendee many times", invite("", event+strings.Repeat("ATTENDEE:mailto:bo@a.example\n", 30_000)), 1, Extracted, nil},
		{"more than is read", invite("", event+"DESCRIPTION:"+strings.Repeat("word ", maxCalendar/5)), 0, TooLarge, []string{TextTooLarge, BrokenCalendar}},
		{"deep", invite("", event+strings.Repeat("BEGIN:VALARM\n", 60_000)), 0, Extracted, []string{BrokenCalendar}},
		{"wide", invite("", event+strings.Repeat("BEGIN:A\nEND:A\n", 60_000)), 0, Extracted, nil},
		{"many events", invite("", event+strings.Repeat("END:VEVENT\nBEGIN:VEVENT\n"+event, 15_000)), 0, Extracted, nil},
		{"many events in a costly zone", invite(zone, event+strings.Repeat("END:VEVENT\nBEGIN:VEVENT\nDTSTART;TZID=Z:20260302T090000\n", 10_000)), 0, Extracted, nil},
		{"many zones", invite(strings.Repeat("BEGIN:VTIMEZONE\nEND:VTIMEZONE\n", 30_000), event), 0, Extracted, nil},
		{"a line of quotes", invite("", event+"ATTENDEE;CN="+strings.Repeat(`"`, 900_001)+":mailto:bo@a.example"), 1, Extracted, nil},
		{"a line of parameters", invite("", event+"ATTENDEE"+strings.Repeat(";A=B", 200_000)+":mailto:bo@a.example"), 1, Extracted, nil},
		{"lines that continue a text", invite("", event+"DESCRIPTION:x\n"+strings.Repeat("y\n", 400_000)), 0, Extracted, []string{BrokenCalendar}},
		{"colons", invite("", event+"ATTENDEE;CN=\""+strings.Repeat(":", 900_000)), 1, Extracted, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			m := read(t, tt.mail)
			text := textOf(t, m)
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("reading took %s", took)
			}
			if len(m.Meeting.Attendees) != tt.attendees || m.TextStatus != tt.status || !slices.Equal(m.Defects, tt.defects) {
				t.Errorf("attendees, status, defects = %d, %s, %q, want %d, %s, %q", len(m.Meeting.Attendees), m.TextStatus, m.Defects, tt.attendees, tt.status, tt.defects)
			}
			if len(text) > 4*maxCalendar {
				t.Errorf("the text has %d bytes", len(text))
			}
		})
	}
}

func FuzzMeeting(f *testing.F) {
	files, err := filepath.Glob("testdata/meeting-*.eml")
	if err != nil || len(files) == 0 {
		f.Fatalf("Glob() = %d files, %v, want some", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if i := strings.Index(string(data), "BEGIN:VCALENDAR"); i >= 0 {
			f.Add(data[i:])
		}
	}
	f.Add([]byte("\x000"))
	for name, zone := range definedZones {
		f.Add([]byte(invite(zone, "DTSTART;TZID="+name+":20260302T090000\nDURATION:P1DT2H\nRRULE:FREQ=DAILY\nEXDATE:20260303T090000Z")[75:]))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const head = "From: bo@a.example\r\nContent-Type: text/calendar; method=REPLY\r\n\r\n"
		m := read(t, head+string(data))
		text := textOf(t, m)
		if slices.Contains(m.Defects, Unreadable) || m.Meeting == nil {
			t.Fatal("the reader broke off")
		}
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) || len(text) > 20*len(data)+1<<12 {
			t.Errorf("the text of %d bytes is no UTF-8, holds NUL, or is longer than it can be", len(text))
		}
		if m.Meeting.End.Before(m.Meeting.Start) {
			t.Errorf("the meeting starts at %s and ends at %s", m.Meeting.Start, m.Meeting.End)
		}
		if _, err := json.Marshal(m.Meeting); err != nil {
			t.Errorf("write the meeting: %v", err)
		}
		for _, s := range append(m.Meeting.Attendees, m.Meeting.Summary, m.Meeting.Location, m.Meeting.Organizer, m.Meeting.Zone, m.Meeting.Recurrence, m.Meeting.UID) {
			if !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\x00") {
				t.Errorf("%q is not one line of UTF-8", s)
			}
		}
		if again := read(t, head+string(data)); textOf(t, again) != text {
			t.Error("equal bytes gave different texts")
		}
	})
}
