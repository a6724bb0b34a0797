package graphtest

import (
	"testing"
	"time"

	"chainmail/handlers/capture"
)

func TestTheSampleHasACalendarOfEverySort(t *testing.T) {
	t.Parallel()
	tenant, truth := Sample(1)
	zones, patterns, ranges := map[string]bool{}, map[string]bool{}, map[string]bool{}
	series, exceptions, cancelled, days, attached := 0, 0, 0, 0, 0
	for _, e := range truth.Events {
		zones[e.OriginalStartTimeZone] = true
		if e.IsAllDay {
			days++
		}
		attached += len(e.Attached)
		if e.Recurrence == nil {
			continue
		}
		series++
		exceptions += len(e.Exceptions)
		cancelled += len(e.CancelledOccurrences)
		patterns[e.Recurrence.Pattern.Type], ranges[e.Recurrence.Range.Type] = true, true
	}
	if len(truth.Events) < 400 || series < 60 || len(zones) < 12 || len(patterns) != 6 || len(ranges) != 3 ||
		exceptions < 30 || cancelled < 30 || days < 20 || attached < 20 {
		t.Errorf("%d events, %d series in %d zones, %d patterns, %d ranges, %d exceptions, %d cancelled, %d of whole days, %d attachments",
			len(truth.Events), series, len(zones), len(patterns), len(ranges), exceptions, cancelled, days, attached)
	}
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	owed := truth.EventsIn(capture.Window{Start: start, End: start.AddDate(0, 0, 3)})
	if len(owed) < 100 || len(owed) == len(truth.Events) {
		t.Errorf("%d of %d events are owed for three days", len(owed), len(truth.Events))
	}
	if len(tenant.Users[0].Calendars) != 4 {
		t.Errorf("%d calendars", len(tenant.Users[0].Calendars))
	}
}
