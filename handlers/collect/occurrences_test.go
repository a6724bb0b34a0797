package collect

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/npmtest/icaljs"
	"chainmail/handlers/pack"
)

// nationalWorld is one of a cloud that does not name the occurrences that were changed or cancelled.
func nationalWorld(t *testing.T, events func(u *graphtest.User) []*graphtest.Event) *world {
	t.Helper()
	changes := map[string]any{"collect": []string{"email", "calendar"}}
	w := calendarWorld(t, changes, func(u *graphtest.User) { diary(u, events(u)...) })
	w.graph, w.root = graphtest.Serve(t, w.tenant, graphtest.Options{Anonymous: true, National: true})
	w.configure(changes)
	return w
}

// series is an event of a user that repeats, an hour from a time on in a zone.
func series(
	u *graphtest.User, n int, zone string, start time.Time, p capture.RecurrencePattern, r capture.RecurrenceRange,
) *graphtest.Event {
	e := meeting(u, n, day().Start.Add(time.Hour))
	e.Type, e.Start, e.End, e.OriginalStartTimeZone = "seriesMaster", zoned(start), zoned(start.Add(time.Hour)), zone
	r.RecurrenceTimeZone = zone
	e.Recurrence = &capture.Recurrence{Pattern: p, Range: r}
	return e
}

func cancel(e *graphtest.Event, days ...string) *graphtest.Event {
	for _, d := range days {
		e.CancelledOccurrences = append(e.CancelledOccurrences, "OID."+e.ID+"."+d)
	}
	return e
}

// move has the occurrence of a time happen at another.
func move(e *graphtest.Event, original, start time.Time) *graphtest.Event {
	x := e.CalendarEvent
	x.ID, x.Subject, x.Type = fmt.Sprint(e.ID, "X", len(e.Exceptions)), e.Subject+" moved", "exception"
	x.Recurrence, x.Exceptions, x.CancelledOccurrences = nil, nil, nil
	x.OriginalStart, x.Start, x.End = original, zoned(start), zoned(start.Add(time.Hour))
	e.Exceptions = append(e.Exceptions, x)
	return e
}

func at(y, m, d, hour int) time.Time { return time.Date(y, time.Month(m), d, hour, 0, 0, 0, time.UTC) }

var (
	weekly = capture.RecurrencePattern{Type: "weekly", Interval: 1, DaysOfWeek: []string{"monday", "thursday"}, FirstDayOfWeek: "monday"}
	daily  = capture.RecurrencePattern{Type: "daily", Interval: 1}
)

// manySeries are some of each sort, with the error that each has, by number.
func manySeries(u *graphtest.User) ([]*graphtest.Event, map[int]string) {
	const berlin, newYork = "W. Europe Standard Time", "Eastern Standard Time"
	numbered := capture.RecurrenceRange{Type: "numbered", StartDate: "2026-02-02", NumberOfOccurrences: 40}
	until := capture.RecurrenceRange{Type: "endDate", StartDate: "2026-02-23", EndDate: "2026-11-30"}
	forever := capture.RecurrenceRange{Type: "noEnd", StartDate: "2026-01-01", EndDate: "0001-01-01"}
	old := capture.RecurrenceRange{Type: "noEnd", StartDate: "1960-01-04", EndDate: "0001-01-01"}
	late := capture.RecurrenceRange{Type: "endDate", StartDate: "2026-01-01", EndDate: "2099-12-31"}
	wholeDays := cancel(series(u, 4, berlin, at(2026, 2, 23, 0), daily, until), "2026-02-27", "2026-11-30")
	wholeDays.IsAllDay, wholeDays.Start, wholeDays.End = true, zoned(at(2026, 2, 23, 0)), zoned(at(2026, 2, 24, 0))
	// the first, the last and one after a change of the clocks are cancelled, and one is moved to another day
	first := cancel(series(u, 1, berlin, at(2026, 2, 2, 8), weekly, numbered), "2026-02-02", "2026-03-30", "2026-06-18")
	// the first and the last are moved out of the time of the others
	second := move(series(u, 2, newYork, at(2026, 2, 23, 15), weekly, until), at(2026, 2, 23, 15), at(2025, 12, 1, 15))
	return []*graphtest.Event{
		move(first, at(2026, 2, 5, 8), at(2026, 2, 6, 11)),
		move(second, at(2026, 11, 30, 15), at(2027, 3, 1, 15)),
		cancel(series(u, 3, newYork, at(2026, 1, 1, 13), daily, forever), "2026-01-01", "2028-03-02"),
		wholeDays,
		cancel(series(u, 5, berlin, at(1960, 1, 4, 8), weekly, old), "2026-03-05"),
		cancel(series(u, 6, berlin, at(2026, 1, 1, 8), daily, late), "2026-03-05"),
		series(u, 7, berlin, at(2026, 2, 2, 8), weekly, numbered),
		series(u, 8, "Korea Standard Time", at(2026, 2, 1, 15), weekly, numbered), // which the stand-in takes for UTC
	}, map[int]string{1: "", 2: "", 3: codeCut, 4: "", 5: codeCut, 6: codeCut, 7: "", 8: codeCancelledUnknown}
}

// calendars are the natives of a user's events by their number, and the errors of their documents.
func (w *world) calendars(e *evidence, u *graphtest.User) (natives, faults map[int]string) {
	w.Helper()
	natives, faults = map[int]string{}, map[int]string{}
	files := map[string]string{}
	for name, data := range e.files {
		if strings.HasSuffix(name, ".zip") {
			maps.Copy(files, unzipped(w.T, data))
		}
	}
	for _, row := range w.loadFile(e) {
		content := files[strings.ReplaceAll(row["Native File"], `\`, "/")]
		for n := range 20 {
			if strings.Contains(content, fmt.Sprint("\r\nUID:uid-", n, u.ID, "\r\n")) && row["File Extension"] == "ics" {
				natives[n], faults[n] = content, row["Trace Error Details"]
			}
		}
	}
	return natives, faults
}

// checkExpansion holds what ical.js makes of calendars against what the stand-in shows, in two years.
func (w *world) checkExpansion(natives map[int]string, events map[int]*graphtest.Event) {
	w.Helper()
	from, to := at(2026, 1, 1, 0), at(2028, 1, 1, 0)
	numbers := slices.Sorted(maps.Keys(events))
	var questions []icaljs.Question
	for _, n := range numbers {
		questions = append(questions, icaljs.Question{ICS: natives[n], Until: to.AddDate(0, 2, 0).Unix()})
	}
	answers, err := icaljs.Ask(w.Context(), w.Output(), questions...)
	must(w.T, err)
	for i, n := range numbers {
		var want []icaljs.Instance
		for _, o := range graphtest.Instances(&events[n].CalendarEvent, graphtest.Zone, from, to) {
			want = append(want, icaljs.Instance{Start: o.Start.Unix(), End: o.End.Unix(), Summary: o.Event.Subject})
		}
		if d := icaljs.Difference(answers[i].Within(from, to), want); answers[i].Error != "" || d != "" || len(want) == 0 {
			w.Errorf("series %d: %s%s\n%s", n, answers[i].Error, d, natives[n])
		}
	}
}

const instances = "GET /users/{id}/events/{id}/instances"

func TestCancelledOccurrencesAreFoundInACloudThatDoesNotNameThem(t *testing.T) {
	t.Parallel()
	var want map[int]string
	w := nationalWorld(t, func(u *graphtest.User) []*graphtest.Event {
		var events []*graphtest.Event
		events, want = manySeries(u)
		return events
	})
	u := w.tenant.Users[0]
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), 15*time.Minute)
	e := w.read()
	natives, faults := w.calendars(e, u)
	if !maps.Equal(faults, want) {
		t.Errorf("errors %v, want %v", faults, want)
	}
	events := map[int]*graphtest.Event{}
	for i, one := range u.Calendars[0].Events {
		if want[i+1] != codeCancelledUnknown {
			events[i+1] = one
		}
	}
	w.checkExpansion(natives, events)
	if !strings.Contains(natives[3], "20280302T") { // in the batch's two years, which the other reader does not look at
		t.Errorf("an occurrence that was cancelled at the end is not excluded:\n%s", natives[3])
	}
	if strings.Contains(natives[8], "EXDATE") {
		t.Errorf("dates are excluded of a series whose days are not known:\n%s", natives[8])
	}
	var told []string
	for _, k := range e.manifest.Coverage {
		if k.Custodian != "" {
			told = append(told, k.Scope+": "+k.Reason)
		}
	}
	for _, line := range []string{
		"cancelled occurrences: the cloud does not tell them, and of some series they could not be found",
		"occurrences of long series: the cloud does not tell which were changed or cancelled; looked for until 2028-03-03, " +
			"over 50 years at most",
	} {
		if !slices.Contains(told, line) {
			t.Errorf("the coverage %q lacks %q", told, line)
		}
	}
	// three of a series within a year, five of one until 2028, and 53 of one that is fifty years old
	if n := w.graph.Requests()[instances]; n > 90 {
		t.Errorf("%d requests for instances", n)
	}
}

func TestASeriesThatChangesWhileItIsLookedThroughIsLookedThroughAgain(t *testing.T) {
	t.Parallel()
	span := capture.RecurrenceRange{Type: "numbered", StartDate: "2026-02-02", NumberOfOccurrences: 40}
	for name, tt := range map[string]struct {
		always bool // it does so each time
		want   string
	}{"once": {false, ""}, "always": {true, codeCancelledUnknown}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := nationalWorld(t, func(u *graphtest.User) []*graphtest.Event {
				return []*graphtest.Event{
					move(series(u, 1, "W. Europe Standard Time", at(2026, 2, 2, 8), weekly, span), at(2026, 2, 5, 8), at(2026, 2, 5, 11)),
				}
			})
			u := w.tenant.Users[0]
			one, n := u.Calendars[0].Events[0], 0
			w.graph.OnRequest(func(r graphtest.Request) {
				if r.Path != instances {
					return
				}
				if n++; n != 3 && !tt.always { // the third is for a later year than that of the change
					return
				}
				w.graph.Mutate(func(*graphtest.Tenant) {
					one.Touch(day().Start.Add(time.Hour + time.Duration(n)*time.Second))
					if n == 3 {
						cancel(one, "2026-03-09")
					}
				})
			})
			w.batch(w.custodians()...)
			w.settle(w.collector(nil), 15*time.Minute)
			natives, faults := w.calendars(w.read(), u)
			if want := map[int]string{1: tt.want}; !maps.Equal(faults, want) {
				t.Errorf("errors %v, want %v", faults, want)
			}
			if n < 6 {
				t.Error("nothing changed meanwhile: the test would prove nothing")
			}
			if !tt.always {
				w.checkExpansion(natives, map[int]*graphtest.Event{1: one})
			}
		})
	}
}

func TestAnOccurrenceThatIsListedAndGoneLeavesItsSeries(t *testing.T) {
	t.Parallel()
	span := capture.RecurrenceRange{Type: "numbered", StartDate: "2026-02-02", NumberOfOccurrences: 40}
	w := nationalWorld(t, func(u *graphtest.User) []*graphtest.Event {
		return []*graphtest.Event{
			move(series(u, 1, "W. Europe Standard Time", at(2026, 2, 2, 8), weekly, span), at(2026, 2, 5, 8), at(2026, 2, 5, 11)),
		}
	})
	gone := w.tenant.Users[0].Calendars[0].Events[0].Exceptions[0].ID
	w.graph.Fault(func(r graphtest.Request) bool { return r.Item == gone }, 0, graphtest.Fault{Status: 404, Code: "ErrorItemNotFound"})
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), 15*time.Minute)
	e := w.read()
	natives, faults := w.calendars(e, w.tenant.Users[0])
	if faults[1] != codeCancelledUnknown || len(e.exceptions) > 0 || !strings.Contains(natives[1], "RRULE:FREQ=WEEKLY") {
		t.Errorf("errors %v, %d exceptions\n%s", faults, len(e.exceptions), natives[1])
	}
}

func TestAnotherCloudIsAskedForNoInstances(t *testing.T) {
	t.Parallel()
	w := calendarWorld(t, nil, func(u *graphtest.User) {
		events, _ := manySeries(u)
		diary(u, events[0])
	})
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), 15*time.Minute)
	e := w.read()
	if n := w.graph.Requests()[instances]; n > 0 || len(e.events()) != 1 {
		t.Errorf("%d requests for instances, events %q", n, e.events())
	}
	if slices.ContainsFunc(e.manifest.Coverage, func(k pack.Coverage) bool { return strings.Contains(k.Scope, "occurrences") }) {
		t.Errorf("coverage %v", e.manifest.Coverage)
	}
}
