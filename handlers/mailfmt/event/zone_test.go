package event_test

import (
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/mailfmt/zones"
	"chainmail/handlers/npmtest/icaljs"
)

// The zones' rules, as calendars tell them and ical.js reads them, are those of the database: at clock times four hours before
// and after every change over nine years, and every ten days. (At the hours themselves ical.js differs from RFC 5545,
// 3.3.5: of a clock time that comes twice it takes the second, and one that is skipped it reads by the new offset.)
func TestCalendarsDescribeEveryZone(t *testing.T) {
	t.Parallel()
	from := time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC)
	to := time.Date(2033, 1, 1, 12, 0, 0, 0, time.UTC)
	names := append(zones.WindowsNames(), "America/Nuuk", "Asia/Gaza", "America/Scoresbysund", "Europe/Dublin", "Antarctica/Troll")
	var questions []icaljs.Question
	var asked []string
	for _, name := range names {
		for span, r := range map[string]capture.RecurrenceRange{
			"open": {Type: "noEnd"}, "closed": {Type: "endDate", EndDate: "2033-06-01"},
		} {
			z, ok := zones.Find(name)
			if !ok || z.IsUTC() {
				continue
			}
			e := master(name, "2024-01-01", "12:00", time.Hour, patterns()["6 November"], r)
			ics, _ := encode(t, e)
			if n := len(ics); n > 8<<10 && span == "closed" || n > 40<<10 {
				t.Errorf("%s: %d bytes", name, n)
			}
			questions = append(questions, icaljs.Question{ICS: ics, Probes: probes(z.Location, from, to)})
			asked = append(asked, name+" "+span)
		}
	}
	n := 0
	for i, a := range ask(t, questions...) {
		name, _, _ := strings.Cut(asked[i], " open")
		name = strings.TrimSuffix(name, " closed")
		z, _ := zones.Find(name)
		if a.Error != "" || len(a.Zones) != 1 || a.Zones[0].Name != name {
			t.Errorf("%s: %s %d zones", asked[i], a.Error, len(a.Zones))
			continue
		}
		for j, got := range a.Zones[0].Instants {
			n++
			clock := time.Unix(questions[i].Probes[j], 0).UTC()
			if want := zones.Instant(clock, z.Location); want.Unix() != got {
				t.Errorf("%s: clocks show %s at %s, not at %s\n%s", asked[i], clock, want, time.Unix(got, 0).UTC(), questions[i].ICS)
				break
			}
		}
	}
	t.Logf("%d zones, %d clock times", len(asked), n)
}

// probes are clock times of a place around its changes, found by looking at each hour.
func probes(loc *time.Location, from, to time.Time) (clocks []int64) {
	for at := from; at.Before(to); at = at.AddDate(0, 0, 10) {
		clocks = append(clocks, zones.Clock(at, loc).Unix())
	}
	last := zones.Offset(from, loc)
	for at := from; at.Before(to); at = at.Add(30 * time.Minute) {
		if offset := zones.Offset(at, loc); offset != last {
			last = offset
			clocks = append(clocks, zones.Clock(at.Add(-4*time.Hour), loc).Unix(), zones.Clock(at.Add(4*time.Hour), loc).Unix())
		}
	}
	return clocks
}
