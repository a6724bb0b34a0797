package hosttest

import (
	"testing"
	"time"
)

func TestAScheduleHasANextOccurrence(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ expression, from, want string }{
		{"0 */5 * * * *", "2026-03-02T10:00:00Z", "2026-03-02T10:05:00Z"},
		{"0 */5 * * * *", "2026-03-02T10:04:59.999Z", "2026-03-02T10:05:00Z"},
		{"*/5 * * * *", "2026-03-02T23:58:00Z", "2026-03-03T00:00:00Z"},
		{"* * * * * *", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"},
		{"0 0 0 29 2 *", "2026-03-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"0 0 9 * * MON-FRI", "2026-03-06T09:00:00Z", "2026-03-09T09:00:00Z"},
		{"0 0 9 13 * Friday", "2026-03-13T09:00:00Z", "2026-11-13T09:00:00Z"}, // both fields must match
		{"30 15,45 8-10/2 * jan,JULY *", "2026-01-31T10:45:30Z", "2026-07-01T08:15:30Z"},
		{"0 50/4 * * * *", "2026-03-02T10:54:00Z", "2026-03-02T10:58:00Z"},
		{"0 0 12 * * *", "2026-03-02T12:30:00+02:00", "2026-03-02T12:00:00Z"}, // UTC whatever the clock's zone
		{"0 0 0 30 2 *", "2026-03-01T00:00:00Z", "0001-01-01T00:00:00Z"},
	} {
		s, err := parseSchedule(row.expression)
		if err != nil {
			t.Errorf("parseSchedule(%q): %v", row.expression, err)
			continue
		}
		from, err := time.Parse(time.RFC3339, row.from)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.next(from).Format(time.RFC3339); got != row.want {
			t.Errorf("next of %q after %s = %s, want %s", row.expression, row.from, got, row.want)
		}
	}
}

func TestASchedulesStatusIsKeptUnlessItFiresMoreThanOnceAMinute(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]bool{
		"0 * * * * *": true, "30 0 0 1 1 *": true, "* * * * *": true,
		"* * * * * *": false, "0,30 * * * * *": false, "*/59 0 0 * * *": false,
	} {
		if s, err := parseSchedule(expression); err != nil || s.monitored() != want {
			t.Errorf("%q is monitored: %v, %v, want %v", expression, s.monitored(), err, want)
		}
	}
}

func TestAFaultyScheduleIsRefused(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{
		"", "* * * *", "* * * * * * *", "60 * * * * *", "* 60 * * * *", "* * 24 * * *", "* * * 0 * *", "* * * 32 * *",
		"* * * * 13 *", "* * * * * 7", "* * * * * blue", "* * * * ja *", "5-1 * * * * *", "*/0 * * * * *", "*/60 * * * * *",
		"1, * * * * *", "1- * * * * *", "+1 * * * * *", "-1 * * * * *", "00:05:00", "1/x * * * * *",
	} {
		if s, err := parseSchedule(expression); err == nil {
			t.Errorf("parseSchedule(%q) = %+v, want an error", expression, s)
		}
	}
}

// The next occurrence lies ahead, on a whole second, and within the schedule's own fields.
func FuzzSchedule(f *testing.F) {
	for _, seed := range []string{"0 */5 * * * *", "* * * * *", "0 0 9 13 * fri", "1-5/2,7 0 0 29 feb *", "0 0 0 31 4,6 *"} {
		f.Add(seed, int64(1_772_445_600))
	}
	f.Fuzz(func(t *testing.T, expression string, unix int64) {
		s, err := parseSchedule(expression)
		if err != nil {
			return
		}
		from := time.Unix(unix%4_000_000_000, 0).UTC()
		next := s.next(from)
		if next.IsZero() {
			return
		}
		if !next.After(from) || next.Nanosecond() != 0 {
			t.Errorf("next of %q after %v = %v", expression, from, next)
		}
		if got := s.next(next.Add(-time.Second)); !got.Equal(next) {
			t.Errorf("next of %q after the second before %v = %v", expression, next, got)
		}
	})
}

func TestATimeSpanIsRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"00:00:00":         0,
		"00:30:00":         30 * time.Minute,
		"1:02":             time.Hour + 2*time.Minute,
		"2.03:04:05":       51*time.Hour + 4*time.Minute + 5*time.Second,
		"00:00:01.5":       1500 * time.Millisecond,
		"00:00:00.0000001": 100 * time.Nanosecond,
	} {
		if got, err := parseTimeSpan(text); err != nil || got != want {
			t.Errorf("parseTimeSpan(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "24:00:00", "00:60:00", "00:00:60", "-00:01:00", "00:00:00.", "1m", "00:00:00.00000001"} {
		if got, err := parseTimeSpan(text); err == nil {
			t.Errorf("parseTimeSpan(%q) = %v, want an error", text, got)
		}
	}
}

func FuzzTimeSpan(f *testing.F) {
	for _, seed := range []string{"00:30:00", "9999.23:59:59.9999999", "1:2", "-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parseTimeSpan(text); err == nil && (d < 0 || d%100 != 0) {
			t.Errorf("parseTimeSpan(%q) = %v", text, d)
		}
	})
}
