package mailfmt

import (
	"net/mail"
	"regexp"
	"strings"
	"time"
)

// zones are the names that Date fields have for their offsets: those of RFC 5322, 4.3, and of Europe's and Asia's
// mailers. time.Parse takes an unknown name for UTC, which would be wrong by hours.
var zones = map[string]string{
	"UT": "+0000", "UTC": "+0000", "GMT": "+0000", "Z": "+0000",
	"EST": "-0500", "EDT": "-0400", "CST": "-0600", "CDT": "-0500", "MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700",
	"WET": "+0000", "WEST": "+0100", "BST": "+0100", "CET": "+0100", "CEST": "+0200", "MET": "+0100", "MEZ": "+0100",
	"MEST": "+0200", "MESZ": "+0200", "EET": "+0200", "EEST": "+0300", "MSK": "+0300", "JST": "+0900", "KST": "+0900",
	"HKT": "+0800", "SGT": "+0800", "AEST": "+1000", "AEDT": "+1100",
}

// layouts are the forms that are no date of RFC 5322 and come all the same; the zone is numeric, or there is none.
var layouts = []string{
	"2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04 -0700", "2 Jan 06 15:04:05 -0700", "2 Jan 06 15:04 -0700",
	"2 Jan 2006 15:04:05", "2 Jan 2006 15:04", "2 Jan 06 15:04:05", "2-Jan-2006 15:04:05 -0700", "2-Jan-06 15:04:05 -0700",
	"2 January 2006 15:04:05 -0700", "2 January 2006 15:04:05",
	"Jan 2 15:04:05 2006 -0700", "Jan 2 15:04:05 -0700 2006", "Jan 2 15:04:05 2006", "Jan 2 2006 15:04:05 -0700", "Jan 2 2006 15:04:05",
	"2 Jan 2006 15.04.05 -0700", "2 Jan 2006 3:04:05 PM -0700", "2 Jan 2006",
	time.RFC3339Nano, "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05", "2006-01-02T15:04:05",
}

var (
	dateComment = regexp.MustCompile(`\([^()]*\)|[,"]`)
	dayName     = regexp.MustCompile(`(?i)^(mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?\s+`)
	namedOffset = regexp.MustCompile(`(?i)\b(?:GMT|UTC)\s*([+-])(\d{1,2}):?(\d\d)?$`)
	shortOffset = regexp.MustCompile(`([+-])(\d{1,2}):?(\d\d)$`)
)

// sent reads a Date field, leniently; zero when it is none. One without a zone is taken for UTC.
func sent(value string) time.Time {
	value = dateComment.ReplaceAllString(shorten(decodeWords(value), 200), " ")
	value = strings.Join(strings.Fields(value), " ")
	value = dayName.ReplaceAllString(value, "")
	value = numericZone(value)
	if t, err := mail.ParseDate(value); err == nil {
		return plausible(t)
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, value); err == nil {
			return plausible(t)
		}
	}
	return time.Time{}
}

// numericZone writes a date's zone as "+hhmm".
func numericZone(s string) string {
	if m := namedOffset.FindStringSubmatchIndex(s); m != nil {
		minutes := "00"
		if m[6] >= 0 {
			minutes = s[m[6]:m[7]]
		}
		hours := s[m[4]:m[5]]
		return s[:m[0]] + s[m[2]:m[3]] + strings.Repeat("0", 2-len(hours)) + hours + minutes
	}
	i := strings.LastIndexByte(s, ' ')
	if offset, ok := zones[strings.ToUpper(s[i+1:])]; ok && i > 0 {
		return s[:i+1] + offset
	}
	if m := shortOffset.FindStringSubmatch(s[i+1:]); m != nil && m[0] == s[i+1:] {
		return s[:i+1] + m[1] + strings.Repeat("0", 2-len(m[2])) + m[2] + m[3]
	}
	return s
}

// plausible gives t in UTC, or zero for a year that no mail is from.
func plausible(t time.Time) time.Time {
	if t = t.UTC(); t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}
	}
	return t.Truncate(time.Second)
}
