package plan

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"chainmail/handlers/capture"
)

func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatalf("parse %q: %v", text, err)
	}
	return v
}

// windows turns "start end" pairs that share a border into windows: three instants are two windows.
func windows(t testing.TB, borders ...string) []capture.Window {
	t.Helper()
	var w []capture.Window
	for i := 1; i < len(borders); i++ {
		w = append(w, capture.Window{Start: at(t, borders[i-1]), End: at(t, borders[i])})
	}
	return w
}

func TestDueCutsTimeIntoBatches(t *testing.T) {
	t.Parallel()
	hour, day := time.Hour, 24*time.Hour
	state := at(t, "2026-03-02T00:00:00Z")
	seed := Schedule{State: state, Frequency: hour, Merge: true, MaxMerge: 24}
	with := func(change func(*Schedule)) Schedule { s := seed; change(&s); return s }

	tests := []struct {
		name     string
		schedule Schedule
		now      string
		room     int
		want     []capture.Window
	}{
		{"the documented example of merging", Schedule{State: state, Frequency: 4 * hour, Merge: true, MaxMerge: 3},
			"2026-03-03T04:00:00Z", 10, windows(t, "2026-03-02T00:00:00Z", "2026-03-02T12:00:00Z", "2026-03-03T00:00:00Z", "2026-03-03T04:00:00Z")},
		{"the default schedule, a day behind", seed, "2026-03-03T00:00:00Z", 3,
			windows(t, "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z")},
		{"the default schedule, up to date", seed, "2026-03-02T01:00:00Z", 3,
			windows(t, "2026-03-02T00:00:00Z", "2026-03-02T01:00:00Z")},
		{"one second too early", seed, "2026-03-02T00:59:59Z", 3, nil},
		{"a fraction of a second too early", seed, "2026-03-02T00:59:59.999999999Z", 3, nil},
		{"a fraction of a second late", seed, "2026-03-02T01:00:00.000000001Z", 3,
			windows(t, "2026-03-02T00:00:00Z", "2026-03-02T01:00:00Z")},
		{"merging off gives a batch a window", with(func(s *Schedule) { s.Merge = false }), "2026-03-02T03:30:00Z", 3,
			windows(t, "2026-03-02T00:00:00Z", "2026-03-02T01:00:00Z", "2026-03-02T02:00:00Z", "2026-03-02T03:00:00Z")},
		{"offset and settle are waited for together", with(func(s *Schedule) { s.Offset, s.Settle = 30*time.Minute, 10*time.Minute }),
			"2026-03-02T02:39:59Z", 3, windows(t, "2026-03-02T00:00:00Z", "2026-03-02T01:00:00Z")},
		{"offset and settle have just passed", with(func(s *Schedule) { s.Offset, s.Settle = 30*time.Minute, 10*time.Minute }),
			"2026-03-02T02:40:00Z", 3, windows(t, "2026-03-02T00:00:00Z", "2026-03-02T02:00:00Z")},
		{"an offset of a day", with(func(s *Schedule) { s.Offset = day }), "2026-03-03T02:00:00Z", 3,
			windows(t, "2026-03-02T00:00:00Z", "2026-03-02T02:00:00Z")},
		{"a leap day", Schedule{State: at(t, "2028-02-28T00:00:00Z"), Frequency: day, Merge: true, MaxMerge: 1}, "2028-03-01T12:00:00Z", 9,
			windows(t, "2028-02-28T00:00:00Z", "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z")},
		{"an end date inside a window cuts it", with(func(s *Schedule) { s.End = at(t, "2026-03-02T02:30:00Z"); s.Merge = false }),
			"2026-03-09T00:00:00Z", 9, windows(t, "2026-03-02T00:00:00Z", "2026-03-02T01:00:00Z", "2026-03-02T02:00:00Z", "2026-03-02T02:30:00Z")},
		{"a cut window is merged like a whole one", with(func(s *Schedule) { s.End = at(t, "2026-03-02T02:30:00Z") }),
			"2026-03-09T00:00:00Z", 9, windows(t, "2026-03-02T00:00:00Z", "2026-03-02T02:30:00Z")},
		{"a cut window counts towards the limit", with(func(s *Schedule) { s.End = at(t, "2026-03-02T02:30:00Z"); s.MaxMerge = 2 }),
			"2026-03-09T00:00:00Z", 9, windows(t, "2026-03-02T00:00:00Z", "2026-03-02T02:00:00Z", "2026-03-02T02:30:00Z")},
		{"a cut window is due at the end date, not before", with(func(s *Schedule) { s.End = at(t, "2026-03-02T02:30:00Z") }),
			"2026-03-02T02:29:59Z", 9, windows(t, "2026-03-02T00:00:00Z", "2026-03-02T02:00:00Z")},
		{"an end date waits for the settling too", with(func(s *Schedule) { s.End, s.Settle = at(t, "2026-03-02T00:30:00Z"), 10*time.Minute }),
			"2026-03-02T00:39:59Z", 9, nil},
		{"an end date on a border", with(func(s *Schedule) { s.End = at(t, "2026-03-05T00:00:00Z") }), "2026-11-24T00:00:00Z", 9,
			windows(t, "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z", "2026-03-04T00:00:00Z", "2026-03-05T00:00:00Z")},
		{"the end date is reached", with(func(s *Schedule) { s.End = state }), "2026-11-24T00:00:00Z", 9, nil},
		{"the end date was moved before the state", with(func(s *Schedule) { s.End = state.Add(-day) }), "2026-11-24T00:00:00Z", 9, nil},
		{"an end date shorter than a window", with(func(s *Schedule) { s.End = state.Add(time.Second) }), "2026-11-24T00:00:00Z", 9,
			windows(t, "2026-03-02T00:00:00Z", "2026-03-02T00:00:01Z")},
		{"a year behind, room for three", with(func(s *Schedule) { s.State = at(t, "2025-03-02T00:00:00Z") }), "2026-03-02T00:00:00Z", 3,
			windows(t, "2025-03-02T00:00:00Z", "2025-03-03T00:00:00Z", "2025-03-04T00:00:00Z", "2025-03-05T00:00:00Z")},
		{"the clock jumped back", seed, "2026-03-01T00:00:00Z", 3, nil},
		{"a state with a fraction of a second", with(func(s *Schedule) { s.State = state.Add(999 * time.Millisecond) }), "2026-03-02T01:00:00Z", 3,
			windows(t, "2026-03-02T00:00:00Z", "2026-03-02T01:00:00Z")},
		{"times in another zone", with(func(s *Schedule) { s.State = at(t, "2026-03-02T01:00:00+01:00") }), "2026-03-02T02:00:00+01:00", 3,
			windows(t, "2026-03-02T00:00:00Z", "2026-03-02T01:00:00Z")},
		{"no room", seed, "2026-03-03T00:00:00Z", 0, nil},
		{"negative room", seed, "2026-03-03T00:00:00Z", -1, nil},
		{"no state", with(func(s *Schedule) { s.State = time.Time{} }), "2026-03-03T00:00:00Z", 3, nil},
		{"no frequency", with(func(s *Schedule) { s.Frequency = 0 }), "2026-03-03T00:00:00Z", 3, nil},
		{"negative frequency", with(func(s *Schedule) { s.Frequency = -hour }), "2026-03-03T00:00:00Z", 3, nil},
		{"frequency below a second", with(func(s *Schedule) { s.Frequency = time.Millisecond }), "2026-03-03T00:00:00Z", 3, nil},
		{"negative waits make no future window due", with(func(s *Schedule) { s.Offset, s.Settle = -day, -day }), "2026-03-02T01:00:00Z", 3,
			windows(t, "2026-03-02T00:00:00Z", "2026-03-02T01:00:00Z")},
		{"the longest waits there are", with(func(s *Schedule) { s.Offset, s.Settle = math.MaxInt64, math.MaxInt64 }), "2026-03-03T00:00:00Z", 3, nil},
		{"a limit of no windows counts as one", with(func(s *Schedule) { s.MaxMerge = 0 }), "2026-03-02T02:00:00Z", 3,
			windows(t, "2026-03-02T00:00:00Z", "2026-03-02T01:00:00Z", "2026-03-02T02:00:00Z")},
		{"a negative limit counts as one", with(func(s *Schedule) { s.MaxMerge = -24 }), "2026-03-02T01:00:00Z", 3,
			windows(t, "2026-03-02T00:00:00Z", "2026-03-02T01:00:00Z")},
		{"the largest limit there is", with(func(s *Schedule) { s.MaxMerge = math.MaxInt }), "2026-03-05T00:30:00Z", 3,
			windows(t, "2026-03-02T00:00:00Z", "2026-03-05T00:00:00Z")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Due(tt.schedule, at(t, tt.now), tt.room); !slices.Equal(got, tt.want) {
				t.Errorf("Due = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestDueCostsItsResultNotTheBacklog(t *testing.T) {
	t.Parallel()
	// Two centuries of windows of a second: walking them all would take minutes and gigabytes.
	s := Schedule{State: at(t, "1990-01-01T00:00:00Z"), Frequency: time.Second, Merge: true, MaxMerge: 24}
	now := at(t, "2190-01-01T00:00:00Z")
	want := windows(t, "1990-01-01T00:00:00Z", "1990-01-01T00:00:24Z", "1990-01-01T00:00:48Z", "1990-01-01T00:01:12Z")
	if got := Due(s, now, 3); !slices.Equal(got, want) {
		t.Errorf("Due = %v, want %v", got, want)
	}
}

// TestDueTilesTime plans as the planner does, again and again with a clock that sometimes jumps back, and holds the
// results to what windows promise: no gap, no overlap, nothing early, nothing beyond the end, everything in the end.
func TestDueTilesTime(t *testing.T) {
	t.Parallel()
	for n := range uint64(300) {
		random := rand.New(rand.NewPCG(n, 24))
		begin := at(t, "2026-03-02T00:00:00Z").Add(time.Duration(random.IntN(1e6)) * time.Second)
		s := Schedule{
			State:     begin,
			Frequency: time.Duration(1+random.IntN(300)) * time.Minute,
			Offset:    time.Duration(random.IntN(120)) * time.Minute,
			Settle:    time.Duration(random.IntN(20)) * time.Minute,
			Merge:     random.IntN(4) > 0,
			MaxMerge:  random.IntN(30),
		}
		if random.IntN(2) > 0 {
			s.End = begin.Add(time.Duration(random.IntN(200*3600)) * time.Second)
		}
		now := begin
		for range 40 {
			now = now.Add(time.Duration(random.Int64N(int64(20*time.Hour))) - 4*time.Hour)
			for _, w := range Due(s, now, 1+random.IntN(4)) {
				checkWindow(t, n, s, begin, w, now)
				s.State = w.End
			}
		}
		late := now.Add(1000 * time.Hour)
		for due := Due(s, late, 100); len(due) > 0; due = Due(s, late, 100) {
			s.State = due[len(due)-1].End
		}
		if !s.End.IsZero() && !s.State.Equal(s.End) {
			t.Errorf("seed %d: planned up to %v, want the end date %v", n, s.State, s.End)
		}
		if s.End.IsZero() && late.Add(-s.Offset-s.Settle-s.Frequency).After(s.State) {
			t.Errorf("seed %d: planned up to %v, want all windows due at %v", n, s.State, late)
		}
	}
}

func checkWindow(t *testing.T, seed uint64, s Schedule, begin time.Time, w capture.Window, now time.Time) {
	t.Helper()
	switch {
	case !w.Start.Equal(s.State):
		t.Fatalf("seed %d: %v does not begin at the state %v", seed, w, s.State)
	case !w.Start.Before(w.End):
		t.Fatalf("seed %d: %v is empty", seed, w)
	case w.End.Add(s.Offset + s.Settle).After(now):
		t.Fatalf("seed %d: %v is not due at %v", seed, w, now)
	case !s.End.IsZero() && w.End.After(s.End):
		t.Fatalf("seed %d: %v reaches beyond the end date %v", seed, w, s.End)
	case w.End.Sub(begin)%s.Frequency != 0 && !w.End.Equal(s.End):
		t.Fatalf("seed %d: %v does not end on a border", seed, w)
	case w.Duration() > time.Duration(s.perBatch())*s.Frequency:
		t.Fatalf("seed %d: %v is longer than %d windows", seed, w, s.perBatch())
	}
}
