// Package event writes a calendar event as one iCalendar file and as the text that a reviewer reads. It is pure: the same
// event gives the same bytes, in whatever order it names its attendees, categories and occurrences; there is no clock in it.
//
// The file follows RFC 5545: a series is its master with the rule, the cancelled dates and a component for each changed
// occurrence, all of one UID, the master's; every zone that a time is in is described by its real rules.
//
// github.com/emersion/go-ical puts the file together: it sorts properties, refuses a component that lacks what it must
// have, and quotes parameters as the RFC says. What it does not do is done in line.go: folding, and the escapes of RFC
// 6868. The other library that lives, github.com/arran4/golang-ical, folds, but writes a colon or a quote in a name as \:
// and \", which parameters do not know: a strict reader takes the rest of the name for the value. Nor can it write a list of
// categories. Both are small; the first has one dependency, for reading rules, which is not used here.
package event

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/mailfmt/zones"
)

// The codes of defects. None fails an event.
const (
	UnknownZone       = "UnknownZone"       // a zone is unknown; the recurrence's was taken, that in which Graph tells the time, or UTC
	BrokenRecurrence  = "BrokenRecurrence"  // the recurrence cannot be read, or has no day; the event was written as a single one
	BrokenOccurrence  = "BrokenOccurrence"  // of a changed or cancelled occurrence it is not known which or when; the text alone tells it
	StrayOccurrence   = "StrayOccurrence"   // a changed occurrence is not on a day of the series; it was added as a date of its own
	DoubledOccurrence = "DoubledOccurrence" // an occurrence was changed twice, and the last change counts, or changed and cancelled
	OddStart          = "OddStart"          // the series does not start when its range does; the range counts
	NoEnd             = "NoEnd"             // the end is missing, or no time
	EndBeforeStart    = "EndBeforeStart"    // it ends before it starts, so no end was written
	OddAllDay         = "OddAllDay"         // a whole day does not begin at midnight; the day that it lies in was taken
	NoUID             = "NoUID"             // there is no iCalUId; Graph's id was taken
	NoStamp           = "NoStamp"           // nothing says when it was last changed; its start was taken
	BrokenLink        = "BrokenLink"        // the link to an online meeting is none; it is told in the text alone
	UnknownValue      = "UnknownValue"      // a field has a value that Graph does not have; it was left out
	ReplacedCharacter = "ReplacedCharacter" // control characters or broken UTF-8 were replaced by U+FFFD
)

// The reasons for which an event cannot be a calendar.
var (
	ErrNoStart    = errors.New("the event has no start, or one that is no time")
	ErrNoIdentity = errors.New("the event has neither an iCalUId nor an id")
)

// A Meeting is what the load file says of an event; its fields mean what those of mailfmt's Meeting mean.
type Meeting struct {
	Subject    string
	Start, End time.Time // UTC; End is zero where it is not said. Of whole days they are midnights, End that after the last day
	AllDay     bool
	Zone       string // in which it starts; empty for whole days
	Location   string
	Organizer  string   // "Name <address>", or what of the two there is
	Attendees  []string // the same, each once
	Recurrence string   // the rule as written, "FREQ=WEEKLY;BYDAY=MO (2 dates excluded)"
	ICalUID    string
	Sequence   int
}

// An Event is one that can be written.
type Event struct {
	Meeting Meeting
	Defects []string // codes, each once, sorted

	uid       string
	master    component
	changed   []component // by the occurrence that each changed
	rule      *rule       // nil: it does not repeat
	excluded  []moment    // sorted, each once
	added     []moment    // the same
	untold    []component // changed occurrences that cannot be written as such
	unread    []string    // cancelled occurrences that cannot be read
	asWritten string      // a recurrence that cannot be read
}

// A component is one VEVENT.
type component struct {
	event      *capture.CalendarEvent
	start, end moment                  // end is zero where there is none
	original   moment                  // of an occurrence: when it would have been
	attendees  []capture.EventAttendee // sorted: their order says nothing
	body       string                  // as text; lines end in LF
}

// A moment is a time in a zone, or a day.
type moment struct {
	at    time.Time // UTC; of a day its midnight as if it were in UTC
	clock time.Time // what the zone's clocks show, as if it were UTC; in an hour that they skip what they would show
	zone  zones.Zone
	date  bool
}

func (m moment) isZero() bool { return m.at.IsZero() }

func (m moment) day() time.Time { return dayOf(m.clock) }

// at is a time as the clocks of a zone show it.
func at(t time.Time, zone zones.Zone) moment {
	return moment{at: t, clock: zones.Clock(t, zone.Location), zone: zone}
}

// wholeDay is a day.
func wholeDay(day time.Time) moment { return moment{at: day, clock: day, date: true} }

// on is another moment of the same kind, at which clocks show what is given.
func (m moment) on(clock time.Time) moment {
	if m.date {
		return wholeDay(dayOf(clock))
	}
	return moment{at: zones.Instant(clock, m.zone.Location), clock: clock, zone: m.zone}
}

// later is a moment d later.
func (m moment) later(d time.Duration) moment {
	if m.date {
		return wholeDay(m.at.Add(d))
	}
	return at(m.at.Add(d), m.zone)
}

// Encode writes an event as a calendar, and gives the codes of its defects. An event that cannot be one gives ErrNoStart or
// ErrNoIdentity, and nothing is written.
func Encode(w io.Writer, e capture.CalendarEvent) (defects []string, err error) {
	read, err := Read(e)
	if err != nil {
		return nil, err
	}
	return read.Defects, read.Encode(w)
}

// Read makes of an event what can be written. It keeps parts of what it is given, and changes none.
func Read(e capture.CalendarEvent) (*Event, error) {
	if e.ICalUID == "" && e.ID == "" {
		return nil, ErrNoIdentity
	}
	r := &reader{event: &Event{uid: cmp.Or(e.ICalUID, e.ID)}, recurrence: e.Recurrence, defects: map[string]bool{}}
	r.defect(NoUID, e.ICalUID == "")
	r.defect(NoStamp, e.LastModified.Year() <= 1 && e.Created.Year() <= 1)
	var ok bool
	if r.event.master, ok = r.component(&e); !ok {
		return nil, ErrNoStart
	}
	if isOccurrence := e.Type == "occurrence" || e.Type == "exception"; isOccurrence && e.OriginalStart.Year() > 1 {
		r.event.master.original = r.original(&e)
	}
	r.series(&e)
	r.values()
	for code := range r.defects {
		r.event.Defects = append(r.event.Defects, code)
	}
	slices.Sort(r.event.Defects)
	r.event.Meeting = r.event.meeting()
	return r.event, nil
}

// A reader reads one event.
type reader struct {
	event      *Event
	recurrence *capture.Recurrence
	defects    map[string]bool
}

func (r *reader) defect(code string, is bool) {
	if is {
		r.defects[code] = true
	}
}

// values looks for what the fields of the event and its occurrences cannot say.
func (r *reader) values() {
	r.defect(ReplacedCharacter, isReplaced(r.event.uid))
	for c := range r.event.components() {
		e := c.event
		for _, f := range []struct {
			value string
			known []string
		}{
			{e.Sensitivity, []string{"normal", "personal", "private", "confidential"}},
			{e.ShowAs, []string{"unknown", "free", "tentative", "busy", "oof", "workingElsewhere"}},
			{e.Importance, []string{"low", "normal", "high"}},
			{e.Body.ContentType, []string{"text", "html"}},
		} {
			r.defect(UnknownValue, f.value != "" && !slices.Contains(f.known, f.value))
		}
		for _, a := range e.Attendees {
			r.defect(UnknownValue, a.Type != "" && !slices.Contains([]string{"required", "optional", "resource"}, a.Type))
			_, ok := answers[a.Status.Response]
			r.defect(UnknownValue, !ok)
		}
		link := joinURL(e)
		r.defect(BrokenLink, link != "" && uri(link) == "")
		r.defect(ReplacedCharacter, slices.ContainsFunc(written(e), isReplaced))
	}
}

// written are the texts of an event that go into its calendar.
func written(e *capture.CalendarEvent) []string {
	texts := []string{
		e.Subject, e.Body.Content, place(e), e.Organizer.EmailAddress.Name,
	}
	texts = append(texts, e.Categories...)
	for _, a := range e.Attendees {
		texts = append(texts, a.EmailAddress.Name)
	}
	return texts
}

// components goes through the master and the changed occurrences that are written.
func (e *Event) components() func(yield func(*component) bool) {
	return func(yield func(*component) bool) {
		if !yield(&e.master) {
			return
		}
		for i := range e.changed {
			if !yield(&e.changed[i]) {
				return
			}
		}
	}
}

// joinURL is the link to an event's online meeting.
func joinURL(e *capture.CalendarEvent) string {
	return strings.TrimSpace(cmp.Or(e.OnlineMeeting.JoinURL, e.OnlineMeetingURL))
}

// place is where an event is held: its location, and those of its locations that are not named in it.
func place(e *capture.CalendarEvent) string {
	text := strings.TrimSpace(e.Location.DisplayName)
	seen := map[string]bool{"": true, text: true}
	for name := range strings.SplitSeq(text, "; ") {
		seen[name] = true
	}
	for _, l := range e.Locations {
		name := strings.TrimSpace(l.DisplayName)
		if !seen[name] {
			text = strings.TrimPrefix(text+"; "+name, "; ")
		}
		seen[name] = true
	}
	return text
}

// isPlain reports whether a time is written in UTC: its zone is that, or the zone's clocks showed the same an hour before, which
// a calendar would take for it.
func (m moment) isPlain() bool {
	return !m.date && (m.zone.IsUTC() || !zones.Instant(m.clock, m.zone.Location).Equal(m.at))
}
