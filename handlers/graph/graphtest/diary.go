package graphtest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"chainmail/handlers/capture"
)

// A TruthEvent is a calendar event that is owed where it was made or changed, or happens, in the period that is collected: one of
// the mailbox's own calendars.
type TruthEvent struct {
	UserID string
	Folder string // the calendar's path, "Projects/Launch"
	*Event
}

// EventsIn gives the events that were made or changed in a period or happen in it, by user and id.
func (t *Truth) EventsIn(w capture.Window) []TruthEvent {
	var owed []TruthEvent
	for _, e := range t.Events {
		if w.Contains(e.LastModified) || w.Contains(e.Created) || len(Instances(&e.CalendarEvent, Zone, w.Start, w.End)) > 0 {
			owed = append(owed, e)
		}
	}
	slices.SortFunc(owed, func(a, b TruthEvent) int { return strings.Compare(a.UserID+a.ID, b.UserID+b.ID) })
	return owed
}

// calendars gives every mailbox its calendars: two of its own in two groups, one that a colleague shares, one shared in the old
// way that nobody can read; in the own ones single events and series of every pattern, in twelve zones, about the three days,
// the year, and the days on which clocks are changed.
func (g *generator) calendars() {
	d := newDiarist(g)
	d.people = g.writers()
	for i, u := range g.tenant.Users {
		if u.Mailbox == nil {
			continue
		}
		colleague := g.tenant.Users[(i+1)%len(g.tenant.Users)]
		main := d.calendar(u, "Calendar", "", Address{})
		main.Default = true
		launch := d.calendar(u, g.mark("Launch"), g.mark("Projects"), Address{})
		shared := d.calendar(u, colleague.DisplayName, g.mark("Other Calendars"), colleague.address())
		d.calendar(u, g.mark("Old planner"), g.mark("Other Calendars"), colleague.address()).Broken = true
		for n := range 12 {
			d.owe(u, main, d.single(u, n))
		}
		for range 3 {
			d.owe(u, main, d.series(u))
		}
		d.owe(u, launch, d.single(u, 3))
		d.owe(u, launch, d.wholeDays(u))
		shared.Events = append(shared.Events, d.single(u, 1))
	}
}

// A diarist writes calendars, with chance of its own, so that the mail stays what it is.
type diarist struct {
	*generator
	random  *rand.Rand
	zones   []string
	people  []*User // who is invited
	number  int     // of events
	repeats int     // of those, series
}

func newDiarist(g *generator) *diarist {
	return &diarist{generator: g, random: rand.New(rand.NewPCG(g.seed, 0xD1A5)), zones: slices.Sorted(maps.Keys(zones))}
}

// small gives a mailbox of a small tenant its calendar.
func (d *diarist) small(u *User) {
	main := d.calendar(u, d.mark("Calendar"), "", Address{})
	main.Default = true
	boss := Address{"Boss " + Canary, "boss." + Canary + "@contoso.onmicrosoft.com"}
	d.calendar(u, d.mark("Old planner"), d.mark("Other Calendars"), boss).Broken = true
	for i, e := range []*Event{d.single(u, 7), d.series(u)} {
		e.LastModified = d.day.Add(time.Duration(2+i) * time.Hour)
		d.owe(u, main, e)
	}
}

func (d *diarist) calendar(u *User, name, group string, owner Address) *Calendar {
	one := &Calendar{ID: folderID(fmt.Sprint(d.seed, u.ID, "calendar", len(u.Calendars))), Name: name, Group: group, Owner: owner}
	u.Calendars = append(u.Calendars, one)
	return one
}

// owe puts an event into a calendar and writes down that it is owed.
func (d *diarist) owe(u *User, one *Calendar, e *Event) {
	one.Events = append(one.Events, e)
	path := one.Name
	if one.Group != "" {
		path = one.Group + "/" + one.Name
	}
	if u.Problem == "" {
		d.truth.Events = append(d.truth.Events, TruthEvent{UserID: u.ID, Folder: path, Event: e})
	}
}

// event makes an event at a time of a zone, made before the three days and last changed about them.
func (d *diarist) event(u *User, zone string, local time.Time, length time.Duration) *Event {
	d.number++
	name := fmt.Sprint(d.seed, " event ", d.number)
	start := onClock(local, Zone(zone))
	e := &Event{MutableID: mutableID(immutableID(name)), CalendarEvent: capture.CalendarEvent{
		ID: immutableID(name), ChangeKey: changeKey(name), ICalUID: fmt.Sprintf("040000008200E00074C5B7101A82E008%X", seedBytes(name, 24)),
		Type: "singleInstance", Subject: d.mark(fmt.Sprintf("Review %d", d.number)),
		Body:  capture.EventBody{ContentType: "html", Content: "<html><body><p>" + d.mark("Please bring your figures.") + "</p></body></html>"},
		Start: graphZoned(start), End: graphZoned(start.Add(length)), OriginalStartTimeZone: zone, OriginalEndTimeZone: zone,
		Location: capture.EventLocation{DisplayName: d.mark("Room Elbe")}, Organizer: d.recipient(u.address()), IsOrganizer: true,
		Sensitivity: []string{"normal", "private", "confidential"}[d.number%3],
		ShowAs:      []string{"busy", "tentative", "oof"}[d.number%3], Importance: "normal",
		Created: d.day.AddDate(0, 0, -30), LastModified: d.changedAt(),
	}}
	for i := range d.number % 4 {
		who := d.people[(d.number+i)%len(d.people)]
		e.Attendees = append(e.Attendees, capture.EventAttendee{
			EmailAddress: d.recipient(who.address()).EmailAddress, Type: []string{"required", "optional"}[i%2],
			Status: capture.ResponseStatus{Response: []string{"accepted", "declined", "none"}[i%3]},
		})
	}
	if d.number%5 == 0 { // made on the first of the days, and some of them changed when the days were over
		e.Created = d.day.Add(time.Duration(d.number%24) * time.Hour)
		if e.LastModified.Before(e.Created) {
			e.LastModified = e.Created
		}
	}
	e.WebLink = "https://outlook.office365.com/owa/?itemid=" + e.ID
	return e
}

func (d *diarist) recipient(a Address) capture.Recipient {
	a = d.markAddress(a)
	return capture.Recipient{EmailAddress: capture.EmailAddress{Name: a.Name, Address: a.Address}}
}

func graphZoned(t time.Time) capture.ZonedTime {
	return capture.ZonedTime{DateTime: t.UTC().Format(graphClock), TimeZone: "UTC"}
}

// changedAt is a whole second on one of the three days, on a day before, or on one after.
func (d *diarist) changedAt() time.Time {
	day := []int{0, 1, 2, 2, -3, -20, 4}[d.random.IntN(7)]
	return d.day.AddDate(0, 0, day).Add(time.Duration(d.random.IntN(24*3600)) * time.Second)
}

func (d *diarist) zone() string { return d.zones[d.random.IntN(len(d.zones))] }

// single is an event that happens once: in the three days, in the weeks about them, or on a day on which clocks are changed.
func (d *diarist) single(u *User, n int) *Event {
	changes := []time.Time{
		time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	}
	day := d.day.AddDate(0, 0, d.random.IntN(40)-20)
	switch {
	case n%3 == 0:
		day = d.day.AddDate(0, 0, d.random.IntN(3))
	case n%3 == 1:
		day = changes[n%len(changes)]
	}
	e := d.event(u, d.zone(), day.Add(time.Duration(d.random.IntN(24*4))*15*time.Minute), time.Duration(1+d.random.IntN(8))*30*time.Minute)
	if n == 5 {
		e.IsCancelled, e.Subject = true, "Canceled: "+e.Subject
	}
	if n == 7 {
		e.HasAttachments, e.Attached = true, []Attachment{{
			Kind: FileAttachment, Name: d.markFile("agenda.txt"), ContentType: "text/plain", Size: 500,
			Content: []byte(d.mark("Agenda: figures, then lunch.")),
		}}
	}
	return e
}

// wholeDays is an event of two days.
func (d *diarist) wholeDays(u *User) *Event {
	day := d.day.AddDate(0, 0, d.random.IntN(6)-2)
	e := d.event(u, "UTC", day, 48*time.Hour)
	e.IsAllDay = true
	return e
}

// series is an event that repeats, with an occurrence that was changed and one that was cancelled.
func (d *diarist) series(u *User) *Event {
	d.repeats++
	zone := d.zone()
	first := d.day.AddDate(0, 0, d.random.IntN(60)-45)
	pattern := d.pattern(first)
	for !allows(pattern, first, first) {
		first = first.AddDate(0, 0, 1)
	}
	e := d.event(u, zone, first.Add(time.Duration(28+d.random.IntN(50))*15*time.Minute), time.Hour)
	e.Type = "seriesMaster"
	span := capture.RecurrenceRange{Type: "noEnd", StartDate: first.Format(time.DateOnly), EndDate: "0001-01-01", RecurrenceTimeZone: zone}
	switch d.repeats % 3 {
	case 0:
		span.Type, span.NumberOfOccurrences = "numbered", int32(5+d.random.IntN(40))
	case 1:
		span.Type, span.EndDate = "endDate", first.AddDate(0, 0, 100+d.random.IntN(400)).Format(time.DateOnly)
	}
	e.Recurrence = &capture.Recurrence{Pattern: pattern, Range: span}
	all := Instances(&e.CalendarEvent, Zone, d.day.AddDate(-1, 0, 0), d.day.AddDate(2, 0, 0))
	if len(all) > 4 {
		d.change(e, all[2])
		e.CancelledOccurrences = []string{"OID." + e.ID + "." + all[3].Original.In(Zone(zone)).Format(time.DateOnly)}
	}
	return e
}

// change moves an occurrence by two hours.
func (d *diarist) change(e *Event, i Instance) {
	x := e.CalendarEvent
	x.ID, x.ICalUID, x.Recurrence = immutableID(e.ID+" exception"), e.ICalUID+"X", nil
	x.Subject, x.OriginalStart, x.Type = e.Subject+" (later)", i.Original, "exception"
	x.Start, x.End = graphZoned(i.Start.Add(2*time.Hour)), graphZoned(i.End.Add(2*time.Hour))
	e.Exceptions = []capture.CalendarEvent{x}
}

// pattern is one that begins on a day or soon after.
func (d *diarist) pattern(first time.Time) capture.RecurrencePattern {
	weekday := strings.ToLower(first.Weekday().String())
	index := []string{"first", "second", "third", "fourth", "last"}[min((first.Day()-1)/7, 4)]
	every := int32(1 + d.random.IntN(2))
	switch d.repeats / 3 % 6 {
	case 0:
		return capture.RecurrencePattern{Type: "daily", Interval: every}
	case 1:
		return capture.RecurrencePattern{Type: "absoluteMonthly", Interval: every, DayOfMonth: int32(first.Day())}
	case 2:
		return capture.RecurrencePattern{Type: "relativeMonthly", Interval: every, DaysOfWeek: []string{weekday}, Index: index}
	case 3:
		return capture.RecurrencePattern{Type: "absoluteYearly", Interval: 1, DayOfMonth: int32(first.Day()), Month: int32(first.Month())}
	case 4:
		return capture.RecurrencePattern{Type: "relativeYearly", Interval: 1, DaysOfWeek: []string{weekday}, Index: index, Month: int32(first.Month())}
	}
	return capture.RecurrencePattern{Type: "weekly", Interval: every, DaysOfWeek: []string{weekday, "friday"}, FirstDayOfWeek: "monday"}
}
