package event_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/mailfmt/event"
)

func has(t *testing.T, ics string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains(ics, l+"\r\n") {
			t.Errorf("no line %s in\n%s", l, ics)
		}
	}
}

func TestOccurrencesInTheHourOfAChangeAreToldByTheirClock(t *testing.T) {
	t.Parallel()
	e := master("W. Europe Standard Time", "2026-03-01", "02:30", 15*time.Minute, patterns()["every day"], ranges()["without end"])
	x := plain()
	x.OriginalStart = time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC) // the second of the two; a series has one a day
	y := plain()
	y.OriginalStart = time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC) // skipped, and told by the new offset
	e.Exceptions = []capture.CalendarEvent{x, y}
	e.CancelledOccurrences = []string{"OID.x.2027-03-28", "OID.x.2027-10-31"}
	ics, defects := encode(t, e)
	if len(defects) > 0 {
		t.Errorf("defects %v", defects)
	}
	const zone = ";TZID=W. Europe Standard Time:"
	has(t, ics, "RECURRENCE-ID"+zone+"20261025T023000", "RECURRENCE-ID"+zone+"20260329T023000",
		"EXDATE"+zone+"20270328T023000", "EXDATE"+zone+"20271031T023000", "DTSTART"+zone+"20260301T023000")
}

func TestAnHourThatComesTwiceIsToldInUTCTheSecondTime(t *testing.T) {
	t.Parallel()
	e := plain()
	e.Start.DateTime, e.End.DateTime = "2026-10-25T00:30:00", "2026-10-25T01:30:00"
	ics, _ := encode(t, e)
	has(t, ics, "DTSTART;TZID=W. Europe Standard Time:20261025T023000", "DTEND:20261025T013000Z")
	if text := textOf(t, e); !strings.Contains(text, "End: 2026-10-25 01:30:00 UTC (02:30 W. Europe Standard Time, UTC+01:00)") {
		t.Error(text)
	}
}

func TestUnknownZonesFallBackToTheRecurrences(t *testing.T) {
	t.Parallel()
	e := series()
	e.OriginalStartTimeZone = "tzone://Microsoft/Custom"
	ics, defects := encode(t, e)
	if !reflect.DeepEqual(defects, []string{event.UnknownZone}) {
		t.Errorf("defects %v", defects)
	}
	has(t, ics, "DTSTART;TZID=W. Europe Standard Time:20260302T100000")
	e.Recurrence.Range.RecurrenceTimeZone = "tzone://Microsoft/Custom"
	ics, _ = encode(t, e)
	has(t, ics, "DTSTART:20260302T090000Z", "RRULE:FREQ=DAILY;COUNT=5")
	e.OriginalStartTimeZone, e.Recurrence.Range.RecurrenceTimeZone = "tzone://Microsoft/Utc", ""
	ics, defects = encode(t, e)
	has(t, ics, "DTSTART:20260302T090000Z")
	if len(defects) > 0 || strings.Contains(ics, "VTIMEZONE") {
		t.Errorf("defects %v in\n%s", defects, ics)
	}
}

func TestWholeDaysAreDatesWhateverTheZone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ start, end, zone, wantStart, wantEnd string }{
		{"2026-03-02T00:00:00", "2026-03-03T00:00:00", "UTC", "20260302", "20260303"},
		{"2026-03-01T23:00:00", "2026-03-02T23:00:00", "UTC", "20260302", "20260303"}, // midnights of Berlin
		{"2026-03-02T00:00:00", "2026-03-04T00:00:00", "W. Europe Standard Time", "20260302", "20260304"},
		{"2026-03-02T00:00:00", "2026-03-02T00:00:00", "UTC", "20260302", "20260303"}, // ends on its own day
		{"2026-03-02T00:00:00", "2026-03-02T23:59:00", "UTC", "20260302", "20260303"},
	} {
		e := plain()
		e.IsAllDay = true
		e.Start, e.End = capture.ZonedTime{DateTime: c.start, TimeZone: c.zone}, capture.ZonedTime{DateTime: c.end, TimeZone: c.zone}
		ics, _ := encode(t, e)
		has(t, ics, "DTSTART;VALUE=DATE:"+c.wantStart, "DTEND;VALUE=DATE:"+c.wantEnd)
	}
}

func TestASeriesStartsWithItsFirstOccurrence(t *testing.T) {
	t.Parallel()
	e := master("Eastern Standard Time", "2026-03-04", "09:00", time.Hour, capture.RecurrencePattern{
		Type: "weekly", Interval: 2, DaysOfWeek: []string{"monday"}, FirstDayOfWeek: "sunday",
	}, capture.RecurrenceRange{Type: "endDate", EndDate: "2026-11-30"})
	ics, defects := encode(t, e)
	has(t, ics, "DTSTART;TZID=Eastern Standard Time:20260316T090000", "DTEND;TZID=Eastern Standard Time:20260316T100000",
		"RRULE:FREQ=WEEKLY;UNTIL=20261130T140000Z;INTERVAL=2;BYDAY=MO;WKST=SU")
	if len(defects) > 0 {
		t.Errorf("defects %v", defects)
	}
}

func TestRulesSayWhatOutlookMeans(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"the 15th": "FREQ=MONTHLY;BYMONTHDAY=15", "the 29th": "FREQ=MONTHLY;BYMONTHDAY=28,29;BYSETPOS=-1",
		"the 30th": "FREQ=MONTHLY;BYMONTHDAY=28,29,30;BYSETPOS=-1", "the 31st": "FREQ=MONTHLY;BYMONTHDAY=-1",
		"29 February": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1", "31 April": "FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=30",
		"second Tuesday": "FREQ=MONTHLY;BYDAY=2TU", "first of two days": "FREQ=MONTHLY;BYDAY=MO,TH;BYSETPOS=1",
		"last weekday": "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "last Sunday of March": "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
		"fortnight, no first day": "FREQ=WEEKLY;INTERVAL=2;BYDAY=SA,SU;WKST=SU",
	} {
		e := master("UTC", "2026-01-01", "09:00", time.Hour, patterns()[name], ranges()["without end"])
		read, err := event.Read(e)
		if err != nil || read.Meeting.Recurrence != want {
			t.Errorf("%s: %s, want %s", name, read.Meeting.Recurrence, want)
		}
	}
}

func TestTheTextTellsInPlainWordsHowASeriesRepeats(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"every third day": "every 3 days", "weekdays": "every week on Monday, Tuesday, Wednesday, Thursday and Friday",
		"the 31st, quarterly": "on day 31 (or the last day) of every 3 months", "last weekday": "on the last weekday of every month",
		"first of two days":  "on the first Monday or Thursday of every month",
		"fourth weekend day": "on the fourth weekend day of every 5 months",
		"third day":          "on the third day of every month", "29 February": "every year on 29 February (or the last day)",
		"last Sunday of March": "every year on the last Sunday of March",
	} {
		e := master("UTC", "2026-01-01", "09:00", time.Hour, patterns()[name], ranges()["20 times"])
		if text := textOf(t, e); !strings.Contains(text, "\r\nRecurrence: "+want+", from 20") || !strings.Contains(text, ", 20 times\r\n") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestTheLoadFileSaysWhatTheEventIs(t *testing.T) {
	t.Parallel()
	read, err := event.Read(golden(t, "series"))
	if err != nil {
		t.Fatal(err)
	}
	want := event.Meeting{
		Subject: "Weekly sync", Start: time.Date(2026, 3, 2, 8, 30, 0, 0, time.UTC),
		End:  time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
		Zone: "W. Europe Standard Time", Location: "Room 1",
		Organizer: "Ann <ann@contoso.example>", Attendees: []string{"Bob <bob@contoso.example>"},
		Recurrence: "FREQ=WEEKLY;UNTIL=20260430T073000Z;INTERVAL=2;BYDAY=MO,WE;WKST=MO (2 dates excluded)",
		ICalUID:    "040000008200E00074C5B7101A82E00800000000MASTER",
	}
	if !reflect.DeepEqual(read.Meeting, want) {
		t.Errorf("meeting %+v, want %+v", read.Meeting, want)
	}
	days, err := event.Read(golden(t, "birthday"))
	if err != nil {
		t.Fatal(err)
	}
	end := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	if m := days.Meeting; !m.AllDay || m.Zone != "" || !m.End.Equal(end) {
		t.Errorf("meeting %+v", m)
	}
}
