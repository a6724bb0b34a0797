package people

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
)

// hour is an hour of 5 March 2026.
func hour(n int) time.Time { return time.Date(2026, 3, 5, n, 0, 0, 0, time.UTC) }

// planned makes the source's windows of three hours up to an hour of the day, as a planner does.
func (w *world) planned(begin, end int) {
	w.Helper()
	for n := begin; n < end; n += 3 {
		row, err := w.ledger.Source(w.Context(), testSource)
		must(w.TB, err)
		window := capture.Window{Start: hour(n), End: hour(n + 3)}
		row.Value.State = window.End
		if row.Value.Begin.IsZero() {
			row.Value.Begin, row.Value.EnabledAt = window.Start, window.Start
		}
		must(w.TB, w.ledger.CreateBatch(w.Context(), testSource, row, ledger.Batch{
			ID: capture.BatchID(window, 1), Start: window.Start, End: window.End, N: 1, Reason: capture.ReasonWindow,
		}))
	}
}

// gaps are the open gaps in short.
func (w *world) gaps() []string {
	w.Helper()
	rows, err := w.ledger.Gaps(w.Context(), testSource)
	must(w.TB, err)
	var all []string
	for _, r := range rows {
		g := r.Value
		if g.Origin != "" || !g.Due.IsZero() || g.Reason != capture.ReasonJoined || g.Person != ledger.PersonKey(ada) || g.Custodian != idOf(0) {
			w.Errorf("gap %+v", g)
		}
		all = append(all, g.Start.Format("15:04")+"-"+g.End.Format("15:04"))
	}
	slices.Sort(all)
	return all
}

func TestWhoIsMonitoredFromAnEarlierTimeIsOwedIt(t *testing.T) {
	t.Parallel()
	row := func(from, to string) string { return fmt.Sprintf("%s,,,%s,%s", ada, from, to) }
	const bob = "bob@contoso.example,,,,"
	for name, tt := range map[string]struct {
		lists []string // of ada, one a synchronisation; "": she is not on it
		want  []string
	}{
		"from the beginning, at the first":   {[]string{row("", "")}, nil},
		"joins now":                          {[]string{"", row("", "")}, nil},
		"joins from yesterday":               {[]string{"", row("2026-03-04", "")}, []string{"03:00-12:00"}},
		"joins from this morning":            {[]string{"", row("2026-03-05T05:30:00Z", "")}, []string{"05:30-12:00"}},
		"joins from tomorrow":                {[]string{"", row("2026-03-06", "")}, nil},
		"was monitored for a time":           {[]string{"", row("2026-03-05T05:00:00Z", "2026-03-05T07:00:00Z")}, []string{"05:00-07:00"}},
		"beginning put back":                 {[]string{row("2026-03-05T10:30:00Z", ""), row("2026-03-05T04:00:00Z", "")}, []string{"04:00-09:00"}},
		"beginning put forward":              {[]string{row("2026-03-05T04:00:00Z", ""), row("2026-03-05T10:30:00Z", "")}, nil},
		"and back again":                     {[]string{row("2026-03-05T04:00:00Z", ""), row("2026-03-05T10:30:00Z", ""), row("2026-03-05T04:00:00Z", "")}, nil},
		"end put back, and forward again":    {[]string{row("", ""), row("", "2026-03-05T05:00:00Z"), row("", "")}, nil},
		"end put forward":                    {[]string{row("", "2026-03-05T05:00:00Z"), row("", "2026-03-05T10:00:00Z")}, []string{"06:00-10:00"}},
		"a list that says the same":          {[]string{"", row("2026-03-05T05:30:00Z", ""), row("2026-03-05T05:30:00Z", "")}, []string{"05:30-12:00"}},
		"leaves and joins from where it was": {[]string{row("", ""), "", row("2026-03-05T05:30:00Z", "")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tenantOf(ada, "bob@contoso.example"))
			w.configure(map[string]any{"startDate": "2026-03-05T03:00:00Z"})
			for n, text := range tt.lists {
				w.now = hour(13).Add(time.Duration(n) * time.Minute)
				rows := []string{bob}
				if text != "" {
					rows = append(rows, text)
				}
				w.list(rows...)
				w.tick()
				if n == 0 { // the batches of the schedule go by what is known then
					w.planned(3, 12)
				}
			}
			if got := w.gaps(); !slices.Equal(got, tt.want) {
				t.Errorf("gaps %q, want %q", got, tt.want)
			}
		})
	}
}

func TestYearsAreOwedInPieces(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenantOf(ada, "bob@contoso.example"))
	w.configure(map[string]any{"startDate": "2016-03-05T00:00:00Z"})
	w.list("bob@contoso.example,,,,")
	w.tick()
	must(t, w.ledger.UpdateSource(t.Context(), testSource, func(s *ledger.Source) bool {
		s.Begin, s.State, s.EnabledAt = hour(0).AddDate(-10, 0, 0), hour(12), hour(0)
		return true
	}))
	w.list("bob@contoso.example,,,,", ada+",,,2016-03-05T00:00:00Z,")
	w.tick()
	rows, err := w.ledger.Gaps(t.Context(), testSource)
	must(t, err)
	slices.SortFunc(rows, func(a, b ledger.Row[ledger.Gap]) int { return a.Value.Start.Compare(b.Value.Start) })
	at := hour(0).AddDate(-10, 0, 0)
	for _, r := range rows {
		if !r.Value.Start.Equal(at) || r.Value.Window().Duration() > ledger.LongestGap {
			t.Fatalf("a gap from %v to %v after %v", r.Value.Start, r.Value.End, at)
		}
		at = r.Value.End
	}
	if !at.Equal(hour(12)) {
		t.Errorf("owed up to %v", at)
	}
	if n := len(w.log.Events("gap opened")); n != len(rows) {
		t.Errorf("%d gaps, %d are logged", len(rows), n)
	}
}

func TestAJoinersGapIsOpenedOnceWhereverTheRunIsCut(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		w := newWorld(t, tenantOf(ada, "bob@contoso.example"))
		w.configure(map[string]any{"startDate": "2026-03-05T03:00:00Z"})
		w.list("bob@contoso.example,,,,")
		w.tick()
		w.planned(3, 12)
		w.list("bob@contoso.example,,,,", ada+",,,2026-03-05T05:30:00Z,")
		cut := w.cutTick(n)
		w.tick()
		if got := w.gaps(); !slices.Equal(got, []string{"05:30-12:00"}) {
			t.Errorf("cut at write %d: gaps %q", n, got)
		}
		if !cut {
			break
		}
	}
}

func TestASourceThatCannotSignInIsInTrouble(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenantOf(ada))
	w.configure(nil)
	w.list(rows([]string{ada})...)
	w.tenant.Users[0].Problem = "tokenExpired"
	for range 2 {
		w.now = w.now.Add(time.Hour)
		_ = w.log.Error(w.registry.Tick(t.Context()))
	}
	row, err := w.ledger.Source(t.Context(), testSource)
	must(t, err)
	if s := row.Value; s.Trouble != "unauthorized" || !s.TroubleSince.Equal(w.now.Add(-time.Hour)) {
		t.Errorf("trouble %q since %v", s.Trouble, s.TroubleSince)
	}
	w.tenant.Users[0].Problem = ""
	w.tick()
	if row, err = w.ledger.Source(t.Context(), testSource); err != nil || row.Value.Trouble != "" || !row.Value.TroubleSince.IsZero() {
		t.Errorf("after it was mended: %+v, %v", row.Value, err)
	}
}

func TestWhatIsTakenFromAListStaysHistoryWhereBatchesWerePlanned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenantOf(ada, "bob@contoso.example"))
	w.configure(map[string]any{"startDate": "2026-03-05T03:00:00Z"})
	for n, from := range []string{"2026-03-05T04:00:00Z", "2026-03-05T05:00:00Z", "2026-03-05T06:00:00Z", "2026-03-05T15:00:00Z"} {
		w.now = hour(13).Add(time.Duration(n) * time.Minute)
		w.list("bob@contoso.example,,,,", fmt.Sprintf("%s,,,%s,", ada, from))
		w.tick()
		if n == 0 {
			w.planned(3, 12)
		}
	}
	if got, want := show(w.people()[ada].Intervals.V), "03-05T15 - list, 03-05T04 03-05T12 left list"; got != want {
		t.Errorf("ada is monitored %q, want %q", got, want)
	}
}
