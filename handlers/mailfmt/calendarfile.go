package mailfmt

import "strings"

// CalendarText gives what a calendar says to a person, property by property, each component apart; lines end in LF. Zones and
// alarms are left out: they are for programs. Broken is a calendar that is damaged, or does not end; what can be read counts.
// It keeps nothing of the calendar but its bytes and the text.
func CalendarText(raw []byte, charset string) (text string, broken bool) {
	var b strings.Builder
	r := &icalReader{tell: func(within []*component, p property) {
		for _, c := range within {
			if c.name == "VTIMEZONE" || c.name == "VALARM" {
				return
			}
		}
		switch label, value := p.seen(); {
		case p.name == "BEGIN":
			if s := b.String(); s != "" && !strings.HasSuffix(s, "\n\n") {
				b.WriteByte('\n')
			}
		case strings.TrimSpace(value) != "":
			b.WriteString(label + value + "\n")
		}
	}}
	r.read(unfold(raw, charset))
	return trimLines(b.String()), r.broken
}

// seen is a property that a person sees, with what it is called; no value: it is for programs.
func (p property) seen() (label, value string) {
	switch p.name {
	case "": // a line that is none
		return "", oneLine(p.value)
	case "SUMMARY", "DESCRIPTION", "LOCATION", "COMMENT", "CONTACT", "CATEGORIES", "RESOURCES", "STATUS", "METHOD":
		return title(p.name), p.words()
	case "URL", "ATTACH", "TZID":
		if strings.EqualFold(p.param("ENCODING"), "BASE64") {
			return "", ""
		}
		return title(p.name), oneLine(p.value)
	case "RRULE":
		return "Recurrence: ", oneLine(p.value)
	case "ORGANIZER", "ATTENDEE":
		return title(p.name), p.person().String()
	case "DTSTART":
		return "Start: ", p.moments()
	case "DTEND":
		return "End: ", p.moments()
	case "DUE":
		return "Due: ", p.moments()
	case "RECURRENCE-ID":
		return "Occurrence: ", p.moments()
	case "EXDATE":
		return "Except: ", p.moments()
	}
	return "", ""
}

func title(name string) string { return name[:1] + strings.ToLower(name[1:]) + ": " }

// maxMoments is how many times of a list are written as a person does.
const maxMoments = 10_000

// moments writes dates and times as a person does: 2026-03-02 09:00:00 Europe/Berlin.
func (p property) moments() string {
	value, zone := oneLine(p.value), p.param("TZID")
	if strings.Count(value, ",") > maxMoments {
		return value
	}
	all := strings.Split(value, ",")
	for i, t := range all {
		all[i] = moment(t, zone)
	}
	return strings.Join(all, ", ")
}

func moment(t, zone string) string {
	clock := strings.TrimSuffix(t, "Z")
	if clock != t {
		zone = "UTC"
	}
	date, clock, timed := strings.Cut(clock, "T")
	if len(date) != 8 || timed && len(clock) < 6 {
		return t
	}
	s := date[:4] + "-" + date[4:6] + "-" + date[6:]
	if timed {
		s += " " + clock[:2] + ":" + clock[2:4] + ":" + clock[4:6]
		if zone != "" {
			s += " " + zone
		}
	}
	return s
}
