package capture

import "time"

// A CalendarEvent is one calendar event as Graph tells it: a single instance, or the master of a series with its changed and
// its cancelled occurrences. Names and shapes are those of Graph's resource event (facts of Graph, 3.2), so that its JSON
// reads into it as it stands. What Graph leaves out is the zero value; what it tells is kept as told, also where it is no
// date, no zone or no address: judging it is the reader's part.
type CalendarEvent struct {
	ID             string `json:"id"` // immutable id, case-sensitive
	ChangeKey      string `json:"changeKey,omitempty"`
	ICalUID        string `json:"iCalUId,omitempty"` // of an occurrence it differs from the master's, which counts
	Type           string `json:"type,omitempty"`    // singleInstance, occurrence, exception, seriesMaster
	SeriesMasterID string `json:"seriesMasterId,omitempty"`
	OccurrenceID   string `json:"occurrenceId,omitempty"` // of an occurrence, "OID.<master>.<yyyy-MM-dd>"; not in every cloud

	Subject   string          `json:"subject,omitempty"`
	Body      EventBody       `json:"body,omitzero"`
	Start     ZonedTime       `json:"start,omitzero"`
	End       ZonedTime       `json:"end,omitzero"` // of whole days midnight after the last
	IsAllDay  bool            `json:"isAllDay,omitempty"`
	Location  EventLocation   `json:"location,omitzero"`
	Locations []EventLocation `json:"locations,omitempty"`

	Organizer   Recipient       `json:"organizer,omitzero"`
	Attendees   []EventAttendee `json:"attendees,omitempty"`
	IsOrganizer bool            `json:"isOrganizer,omitempty"` // the mailbox's owner is
	IsCancelled bool            `json:"isCancelled,omitempty"`
	IsDraft     bool            `json:"isDraft,omitempty"`

	IsOnlineMeeting       bool          `json:"isOnlineMeeting,omitempty"`
	OnlineMeeting         OnlineMeeting `json:"onlineMeeting,omitzero"`
	OnlineMeetingURL      string        `json:"onlineMeetingUrl,omitempty"`      // the older field; Graph fills one of the two
	OnlineMeetingProvider string        `json:"onlineMeetingProvider,omitempty"` // teamsForBusiness, skypeForBusiness, …

	Recurrence            *Recurrence `json:"recurrence,omitempty"`            // of a master
	OriginalStart         time.Time   `json:"originalStart,omitzero"`          // of an occurrence: when it would have been, UTC
	OriginalStartTimeZone string      `json:"originalStartTimeZone,omitempty"` // in which it was made; also tzone://Microsoft/Custom
	OriginalEndTimeZone   string      `json:"originalEndTimeZone,omitempty"`

	Sensitivity string   `json:"sensitivity,omitempty"` // normal, personal, private, confidential
	ShowAs      string   `json:"showAs,omitempty"`      // unknown, free, tentative, busy, oof, workingElsewhere
	Importance  string   `json:"importance,omitempty"`  // low, normal, high
	Categories  []string `json:"categories,omitempty"`  // in no order

	ResponseStatus        ResponseStatus `json:"responseStatus,omitzero"` // the mailbox's owner's
	ResponseRequested     bool           `json:"responseRequested,omitempty"`
	HideAttendees         bool           `json:"hideAttendees,omitempty"`
	AllowNewTimeProposals *bool          `json:"allowNewTimeProposals,omitempty"` // nil: not told

	IsReminderOn               bool  `json:"isReminderOn,omitempty"`
	ReminderMinutesBeforeStart int32 `json:"reminderMinutesBeforeStart,omitempty"` // negative: after the start

	HasAttachments bool      `json:"hasAttachments,omitempty"`
	TransactionID  string    `json:"transactionId,omitempty"`
	WebLink        string    `json:"webLink,omitempty"`
	Created        time.Time `json:"createdDateTime,omitzero"`
	LastModified   time.Time `json:"lastModifiedDateTime,omitzero"`

	// Sequence counts the changes that attendees were told of. Graph does not show it: it is the extended property
	// "Integer {00062002-0000-0000-C000-000000000046} Id 0x8201", taken out of those asked for. nil: not told.
	Sequence *int32 `json:"-"`

	// Exceptions are a master's occurrences that were changed ($expand=exceptionOccurrences), each a whole event, in no order.
	Exceptions []CalendarEvent `json:"exceptionOccurrences,omitempty"`
	// CancelledOccurrences are those taken out, as occurrence ids "OID.<master>.<yyyy-MM-dd>": the day, after the last dot, is
	// that of the original start in the recurrence's zone.
	CancelledOccurrences []string `json:"cancelledOccurrences,omitempty"`
}

// A ZonedTime is Graph's dateTimeTimeZone: what a clock shows, "2026-01-02T09:00:00.0000000", and in which zone: a name of
// Windows or IANA, or UTC, which Graph gives unless it is asked for another by Prefer: outlook.timezone.
type ZonedTime struct {
	DateTime string `json:"dateTime,omitempty"`
	TimeZone string `json:"timeZone,omitempty"`
}

// An EventBody is what is written in an event.
type EventBody struct {
	ContentType string `json:"contentType,omitempty"` // text, html
	Content     string `json:"content,omitempty"`
}

// An EventLocation is a place.
type EventLocation struct {
	DisplayName  string        `json:"displayName,omitempty"`
	LocationType string        `json:"locationType,omitempty"`         // default, conferenceRoom, homeAddress, …
	EmailAddress string        `json:"locationEmailAddress,omitempty"` // of a room
	URI          string        `json:"locationUri,omitempty"`
	Address      PostalAddress `json:"address,omitzero"`
}

// A PostalAddress is where a place is.
type PostalAddress struct {
	Street          string `json:"street,omitempty"`
	City            string `json:"city,omitempty"`
	State           string `json:"state,omitempty"`
	CountryOrRegion string `json:"countryOrRegion,omitempty"`
	PostalCode      string `json:"postalCode,omitempty"`
}

// A Recipient is a person or a room.
type Recipient struct {
	EmailAddress EmailAddress `json:"emailAddress,omitzero"`
}

// An EmailAddress is a name and an address; of somebody within the organization the latter may be one of X.500.
type EmailAddress struct {
	Name    string `json:"name,omitempty"`
	Address string `json:"address,omitempty"`
}

// An EventAttendee is somebody invited, and the answer.
type EventAttendee struct {
	EmailAddress    EmailAddress   `json:"emailAddress,omitzero"`
	Type            string         `json:"type,omitempty"` // required, optional, resource
	Status          ResponseStatus `json:"status,omitzero"`
	ProposedNewTime *TimeSlot      `json:"proposedNewTime,omitempty"`
}

// A ResponseStatus is an answer and when it was given; Graph's year 1 is no time.
type ResponseStatus struct {
	Response string    `json:"response,omitempty"` // none, organizer, tentativelyAccepted, accepted, declined, notResponded
	Time     time.Time `json:"time,omitzero"`
}

// A TimeSlot is a span of time.
type TimeSlot struct {
	Start ZonedTime `json:"start,omitzero"`
	End   ZonedTime `json:"end,omitzero"`
}

// An OnlineMeeting is where and how one joins.
type OnlineMeeting struct {
	JoinURL         string   `json:"joinUrl,omitempty"`
	ConferenceID    string   `json:"conferenceId,omitempty"`
	TollNumber      string   `json:"tollNumber,omitempty"`
	QuickDial       string   `json:"quickDial,omitempty"`
	TollFreeNumbers []string `json:"tollFreeNumbers,omitempty"`
}

// A Recurrence says on which days a series falls.
type Recurrence struct {
	Pattern RecurrencePattern `json:"pattern"`
	Range   RecurrenceRange   `json:"range"`
}

// A RecurrencePattern is how a series repeats. Graph fills the fields that a type does not use with "first", "sunday" and 0.
type RecurrencePattern struct {
	Type           string   `json:"type,omitempty"` // daily, weekly, absoluteMonthly, relativeMonthly, absoluteYearly, …
	Interval       int32    `json:"interval,omitempty"`
	Month          int32    `json:"month,omitempty"`          // 1 to 12; of yearly ones
	DayOfMonth     int32    `json:"dayOfMonth,omitempty"`     // of absolute ones; a month that has no such day: its last
	DaysOfWeek     []string `json:"daysOfWeek,omitempty"`     // sunday, …; of weekly and relative ones, in no order
	FirstDayOfWeek string   `json:"firstDayOfWeek,omitempty"` // of weekly ones; empty: sunday
	Index          string   `json:"index,omitempty"`          // first to fourth, last; of relative ones: which of the DaysOfWeek
}

// A RecurrenceRange is over which days a series goes. The first occurrence falls on StartDate or on the first day after it
// that the pattern allows; intervals are counted from StartDate's day, week, month or year.
type RecurrenceRange struct {
	Type                string `json:"type,omitempty"`      // endDate, noEnd, numbered
	StartDate           string `json:"startDate,omitempty"` // 2026-01-02, in RecurrenceTimeZone
	EndDate             string `json:"endDate,omitempty"`   // may be an occurrence itself; 0001-01-01 where Type is another
	RecurrenceTimeZone  string `json:"recurrenceTimeZone,omitempty"`
	NumberOfOccurrences int32  `json:"numberOfOccurrences,omitempty"`
}
