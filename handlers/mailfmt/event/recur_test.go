package event_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/mailfmt/event"
	"chainmail/handlers/mailfmt/zones"
	"chainmail/handlers/npmtest/icaljs"
)

// twelve are zones of every sort: of both hemispheres, with half and quarter hours, a change by half an hour, one at midnight,
// none at all, and one with single changes for decades; by names of Windows and of IANA.
var twelve = []string{
	"UTC", "W. Europe Standard Time", "GMT Standard Time", "Eastern Standard Time", "Pacific Standard Time", "India Standard Time",
	"AUS Eastern Standard Time", "Nepal Standard Time", "Egypt Standard Time", "Lord Howe Standard Time", "Morocco Standard Time",
	"America/Santiago",
}

func location(name string) *time.Location {
	z, ok := zones.Find(name)
	if !ok {
		return nil
	}
	return z.Location
}

// shown is a time as Graph tells it, in UTC or, of a whole day, as a midnight.
func shown(at time.Time) capture.ZonedTime {
	return capture.ZonedTime{DateTime: at.UTC().Format("2006-01-02T15:04:05") + ".0000000", TimeZone: "UTC"}
}

// master makes a series that starts in a zone at a time of the day, as Graph would tell it.
func master(
	zone, day, clock string, length time.Duration, p capture.RecurrencePattern, r capture.RecurrenceRange,
) capture.CalendarEvent {
	r.StartDate, r.RecurrenceTimeZone = day, zone
	start, err := time.ParseInLocation("2006-01-02 15:04", day+" "+clock, location(zone))
	if err != nil {
		panic(err)
	}
	return capture.CalendarEvent{
		ID: "AAMkMaster=", ICalUID: "040000008200E00074C5B7101A82E008", Type: "seriesMaster", Subject: "Series",
		Start: shown(start), End: shown(start.Add(length)), OriginalStartTimeZone: zone, OriginalEndTimeZone: zone,
		Recurrence:   &capture.Recurrence{Pattern: p, Range: r},
		LastModified: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Created: time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC),
	}
}

func allDay(e capture.CalendarEvent, days int) capture.CalendarEvent {
	day := e.Recurrence.Range.StartDate
	start, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(err)
	}
	e.IsAllDay, e.Start, e.End = true, shown(start), shown(start.AddDate(0, 0, days))
	return e
}

func encode(t *testing.T, e capture.CalendarEvent) (string, []string) {
	t.Helper()
	var b strings.Builder
	defects, err := event.Encode(&b, e)
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), defects
}

// The two years that are looked at hold every change of the clocks four times over.
var (
	viewFrom = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	viewTo   = time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)
)

// view is an event's, as the stand-in for Graph has it.
func view(e *capture.CalendarEvent) (all []icaljs.Instance) {
	for _, i := range graphtest.Instances(e, location, viewFrom, viewTo) {
		all = append(all, icaljs.Instance{Start: i.Start.Unix(), End: i.End.Unix(), Summary: i.Event.Subject})
	}
	return all
}

// compare has ical.js expand the calendars of events, and compares each with its view.
func compare(t *testing.T, events map[string]capture.CalendarEvent) (instances int) {
	t.Helper()
	var names []string
	var questions []icaljs.Question
	for name, e := range events {
		ics, defects := encode(t, e)
		if len(defects) > 0 {
			t.Errorf("%s: defects %v", name, defects)
		}
		checkForm(t, ics)
		names = append(names, name)
		questions = append(questions, icaljs.Question{ICS: ics, Until: viewTo.AddDate(0, 2, 0).Unix()})
	}
	failed := 0
	for i, a := range ask(t, questions...) {
		e := events[names[i]]
		want := view(&e)
		instances += len(want)
		difference := icaljs.Difference(a.Within(viewFrom, viewTo), want)
		if a.Error == "" && difference == "" {
			continue
		}
		if failed++; failed <= 5 {
			t.Errorf("%s: %s\n%s\n%s", names[i], a.Error, difference, questions[i].ICS)
		}
	}
	if failed > 0 {
		t.Errorf("%d of %d differ", failed, len(events))
	}
	return instances
}

// patterns are one of each sort that Graph has, with its odd cases.
func patterns() map[string]capture.RecurrencePattern {
	weekdays := []string{"friday", "monday", "tuesday", "thursday", "wednesday"}
	everyDay := append([]string{"sunday", "saturday"}, weekdays...)
	type p = capture.RecurrencePattern
	return map[string]p{
		"every day":               {Type: "daily", Interval: 1},
		"every third day":         {Type: "daily", Interval: 3},
		"weekly":                  {Type: "weekly", Interval: 1, DaysOfWeek: []string{"monday"}, FirstDayOfWeek: "sunday"},
		"weekdays":                {Type: "weekly", Interval: 1, DaysOfWeek: weekdays, FirstDayOfWeek: "monday"},
		"fortnight from Sunday":   {Type: "weekly", Interval: 2, DaysOfWeek: []string{"sunday", "tuesday"}, FirstDayOfWeek: "sunday"},
		"fortnight from Monday":   {Type: "weekly", Interval: 2, DaysOfWeek: []string{"sunday", "tuesday"}, FirstDayOfWeek: "monday"},
		"fortnight, no first day": {Type: "weekly", Interval: 2, DaysOfWeek: []string{"saturday", "sunday"}},
		"the 15th":                {Type: "absoluteMonthly", Interval: 1, DayOfMonth: 15},
		"the 29th":                {Type: "absoluteMonthly", Interval: 1, DayOfMonth: 29},
		"the 30th":                {Type: "absoluteMonthly", Interval: 1, DayOfMonth: 30},
		"the 31st":                {Type: "absoluteMonthly", Interval: 1, DayOfMonth: 31},
		"the 31st, quarterly":     {Type: "absoluteMonthly", Interval: 3, DayOfMonth: 31},
		"second Tuesday":          {Type: "relativeMonthly", Interval: 1, DaysOfWeek: []string{"tuesday"}, Index: "second"},
		"last Friday":             {Type: "relativeMonthly", Interval: 2, DaysOfWeek: []string{"friday"}, Index: "last"},
		"last weekday":            {Type: "relativeMonthly", Interval: 1, DaysOfWeek: weekdays, Index: "last"},
		"first of two days":       {Type: "relativeMonthly", Interval: 1, DaysOfWeek: []string{"thursday", "monday"}, Index: "first"},
		"third day":               {Type: "relativeMonthly", Interval: 1, DaysOfWeek: everyDay, Index: "third"},
		"fourth weekend day":      {Type: "relativeMonthly", Interval: 5, DaysOfWeek: []string{"sunday", "saturday"}, Index: "fourth"},
		"6 November":              {Type: "absoluteYearly", Interval: 1, Month: 11, DayOfMonth: 6},
		"29 February":             {Type: "absoluteYearly", Interval: 1, Month: 2, DayOfMonth: 29},
		"31 April":                {Type: "absoluteYearly", Interval: 1, Month: 4, DayOfMonth: 31},
		"last Sunday of March":    {Type: "relativeYearly", Interval: 1, Month: 3, DaysOfWeek: []string{"sunday"}, Index: "last"},
		"first weekday of August": {Type: "relativeYearly", Interval: 1, Month: 8, DaysOfWeek: weekdays, Index: "first"},
		"last weekend day of May": {Type: "relativeYearly", Interval: 1, Month: 5, DaysOfWeek: everyDay[:2], Index: "last"},
	}
}

func ranges() map[string]capture.RecurrenceRange {
	return map[string]capture.RecurrenceRange{
		"without end": {Type: "noEnd", EndDate: "0001-01-01"},
		"until a day": {Type: "endDate", EndDate: "2027-03-31"},
		"20 times":    {Type: "numbered", EndDate: "0001-01-01", NumberOfOccurrences: 20},
	}
}

func TestEveryPatternExpandsAsGraphDoesInEveryZone(t *testing.T) {
	t.Parallel()
	events := map[string]capture.CalendarEvent{}
	spans := []string{"without end", "until a day", "20 times"}
	for name, p := range patterns() {
		for i, zone := range twelve {
			span := spans[(i+len(name))%3] // each pattern has each in four zones
			events[name+", "+zone+", "+span] = master(zone, "2025-12-30", "09:00", 90*time.Minute, p, ranges()[span])
		}
		for span, r := range ranges() {
			events[name+", all day, "+span] = allDay(master("W. Europe Standard Time", "2026-01-30", "00:00", 0, p, r), 2)
			events[name+", late, "+span] = master("Pacific Standard Time", "2026-01-31", "23:30", 15*time.Minute, p, r)
			events[name+", early, "+span] = master("AUS Eastern Standard Time", "2024-02-29", "00:15", 15*time.Minute, p, r)
		}
	}
	n := compare(t, events)
	t.Logf("%d series, %d instances", len(events), n)
	if n < 15_000 {
		t.Errorf("only %d instances", n)
	}
}

// disturb changes some occurrences of a series and cancels others, by the instances that it has.
func disturb(e capture.CalendarEvent, random *rand.Rand) capture.CalendarEvent {
	id := 0
	for _, i := range graphtest.Instances(&e, location, viewFrom.AddDate(0, 1, 0), viewTo.AddDate(0, -1, 0)) {
		day := i.Original
		if !e.IsAllDay {
			day = zones.Clock(i.Original, location(e.Recurrence.Range.RecurrenceTimeZone))
		}
		switch random.IntN(8) {
		case 0:
			e.CancelledOccurrences = append(e.CancelledOccurrences, "OID.AAMk.Master=."+day.Format(time.DateOnly))
		case 1:
			id++
			x := e
			x.Recurrence, x.Exceptions, x.CancelledOccurrences = nil, nil, nil
			x.ID, x.ICalUID, x.Type, x.Subject = fmt.Sprintf("X%d", id), "04000000DIFFERENT", "exception", fmt.Sprintf("Changed %d", id)
			x.OriginalStart = i.Original
			start := day.Truncate(24*time.Hour).AddDate(0, 0, random.IntN(21)-10)
			if e.IsAllDay {
				x.Start, x.End = shown(start), shown(start.AddDate(0, 0, 1+random.IntN(3)))
			} else {
				start = start.Add(12*time.Hour + time.Duration(random.IntN(60))*time.Minute)
				x.Start, x.End = shown(start), shown(start.Add(time.Duration(random.IntN(100))*time.Minute))
			}
			e.Exceptions = append(e.Exceptions, x)
		}
	}
	random.Shuffle(len(e.Exceptions), func(i, j int) { e.Exceptions[i], e.Exceptions[j] = e.Exceptions[j], e.Exceptions[i] })
	random.Shuffle(len(e.CancelledOccurrences), func(i, j int) {
		e.CancelledOccurrences[i], e.CancelledOccurrences[j] = e.CancelledOccurrences[j], e.CancelledOccurrences[i]
	})
	return e
}

func TestChangedAndCancelledOccurrencesExpandAsGraphDoes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	events := map[string]capture.CalendarEvent{}
	for _, zone := range twelve {
		for _, name := range []string{"weekdays", "fortnight from Monday", "last weekday"} {
			e := master(zone, "2025-12-30", "09:00", time.Hour, patterns()[name], ranges()["without end"])
			events[name+" "+zone] = disturb(e, random)
			events[name+" all day "+zone] = disturb(allDay(e, 1), random)
		}
	}
	changed, cancelled := 0, 0
	for _, e := range events {
		changed, cancelled = changed+len(e.Exceptions), cancelled+len(e.CancelledOccurrences)
	}
	n := compare(t, events)
	t.Logf("%d series, %d instances, %d changed, %d cancelled", len(events), n, changed, cancelled)
	if changed < 1000 || cancelled < 1000 {
		t.Error("too few to tell anything")
	}
}

// anyRecurrence makes a recurrence that Graph would take.
func anyRecurrence(random *rand.Rand) (capture.RecurrencePattern, capture.RecurrenceRange) {
	names := []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
	p := capture.RecurrencePattern{
		Type:     []string{"daily", "weekly", "absoluteMonthly", "relativeMonthly", "absoluteYearly", "relativeYearly"}[random.IntN(6)],
		Interval: 1 + random.Int32N(6), Index: "first", FirstDayOfWeek: "sunday",
	}
	someDays := func() []string {
		random.Shuffle(7, func(i, j int) { names[i], names[j] = names[j], names[i] })
		return slices.Clone(names[:1+random.IntN(7)])
	}
	switch p.Type {
	case "weekly":
		p.DaysOfWeek, p.FirstDayOfWeek = someDays(), names[random.IntN(7)]
	case "absoluteMonthly":
		p.DayOfMonth = 1 + random.Int32N(31)
	case "relativeMonthly", "relativeYearly":
		p.DaysOfWeek, p.Index = someDays(), []string{"first", "second", "third", "fourth", "last"}[random.IntN(5)]
	case "absoluteYearly":
		p.DayOfMonth = 1 + random.Int32N(31)
	}
	if strings.HasSuffix(p.Type, "Yearly") {
		p.Month, p.Interval = 1+random.Int32N(12), 1+random.Int32N(2)
	}
	r := capture.RecurrenceRange{Type: []string{"noEnd", "endDate", "numbered"}[random.IntN(3)], EndDate: "0001-01-01"}
	switch r.Type {
	case "endDate":
		r.EndDate = viewTo.AddDate(0, 0, -random.IntN(500)).Format(time.DateOnly)
	case "numbered":
		r.NumberOfOccurrences = 1 + random.Int32N(200)
	}
	return p, r
}

func TestAThousandRandomRecurrencesExpandAsGraphDoes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	all := zones.WindowsNames()
	events := map[string]capture.CalendarEvent{}
	for len(events) < 1000 {
		p, r := anyRecurrence(random)
		day := viewFrom.AddDate(0, 0, random.IntN(600)-400).Format(time.DateOnly)
		zone := all[random.IntN(len(all))]
		clock := fmt.Sprintf("%02d:%02d", 4+random.IntN(18), 5*random.IntN(12)) // hours in which no clocks are changed
		e := master(zone, day, clock, time.Duration(random.IntN(120))*time.Minute, p, r)
		if random.IntN(5) == 0 {
			e = allDay(e, 1+random.IntN(3))
		}
		if len(graphtest.Instances(&e, location, viewFrom.AddDate(-3, 0, 0), viewTo.AddDate(5, 0, 0))) == 0 {
			continue // Graph refuses a series without an occurrence
		}
		if random.IntN(2) == 0 {
			e = disturb(e, random)
		}
		events[fmt.Sprintf("%d: %+v %+v %s %s", len(events), p, r, clock, zone)] = e
	}
	t.Logf("%d instances", compare(t, events))
}
