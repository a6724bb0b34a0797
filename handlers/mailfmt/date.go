package mailfmt

import (
	"net/mail"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// offsetNames are the names that Date fields have for their offsets: those of RFC 5322, 4.3, and of Europe's and Asia's
// mailers. time.Parse takes an unknown name for UTC, which would be wrong by hours.
var offsetNames = map[string]string{
	"UT": "+0000", "UTC": "+0000", "GMT": "+0000", "Z": "+0000",
	"EST": "-0500", "EDT": "-0400", "CST": "-0600", "CDT": "-0500", "MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700",
	"WET": "+0000", "WEST": "+0100", "BST": "+0100", "CET": "+0100", "CEST": "+0200", "MET": "+0100", "MEZ": "+0100",
	"MEST": "+0200", "MESZ": "+0200", "EET": "+0200", "EEST": "+0300", "MSK": "+0300", "JST": "+0900", "KST": "+0900",
	"HKT": "+0800", "SGT": "+0800", "AEST": "+1000", "AEDT": "+1100",
}

// layouts are the forms that are no date of RFC 5322 and come all the same; the zone is numeric, or there is none. Figures
// alone are read only where their order is not in doubt.
var layouts = []string{
	"2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04 -0700", "2 Jan 06 15:04:05 -0700", "2 Jan 06 15:04 -0700",
	"2 Jan 2006 15:04:05", "2 Jan 2006 15:04", "2 Jan 06 15:04:05", "2-Jan-2006 15:04:05 -0700",
	"2-Jan-06 15:04:05 -0700", "2 January 2006 15:04:05 -0700", "2 January 2006 15:04:05", "2 January 2006 15:04",
	"Jan 2 15:04:05 2006 -0700", "Jan 2 15:04:05 -0700 2006", "Jan 2 15:04:05 2006", "Jan 2 2006 15:04:05 -0700",
	"Jan 2 2006 15:04:05", "January 2 2006 15:04:05", "January 2 2006 3:04 PM", "January 2 2006 3:04:05 PM",
	"2 Jan 2006 15.04.05 -0700", "2 Jan 2006 3:04:05 PM -0700", "2 Jan 2006 3:04 PM -0700", "2 Jan 2006 3:04:05 PM",
	"2 Jan 2006 3:04 PM", "Jan 2 2006 3:04:05 PM", "Jan 2 2006 3:04 PM", "1/2/2006 3:04:05 PM", "1/2/2006 3:04 PM",
	"1/2/2006 3:04:05 PM -0700", "2 Jan 2006", time.RFC3339Nano, "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05",
	"2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04:05 -0700", "2006/01/02 15:04:05 -0700",
	"2006/01/02 15:04:05", "2006/01/02 15:04", "2.1.2006 15:04:05 -0700", "2.1.2006 15:04:05", "2.1.2006 15:04",
}

var (
	dateComment  = regexp.MustCompile(`\([^()]*\)|\(.*$|[,"]`)
	firstWord    = regexp.MustCompile(`^[^\d\s+-][^\d\s]*\s+`)
	dayAndMonth  = regexp.MustCompile(`^\d{1,2}\.?[ -]\p{L}`)
	dayDot       = regexp.MustCompile(`^(\d{1,2})\. `)
	monthWord    = regexp.MustCompile(`[\p{L}]{3,}\.?`)
	namedOffset  = regexp.MustCompile(`(?i)\b(?:GMT|UTC)\s*([+-])(\d{1,2}):?(\d\d)?$`)
	shortOffset  = regexp.MustCompile(`([+-])(\d{1,2}):?(\d\d)$`)
	joinedOffset = regexp.MustCompile(`(:\d\d(?:\.\d+)?)([+-]\d\d:?\d\d)$`)
	twoOffsets   = regexp.MustCompile(`([+-]\d{4}) (?:[+-]\d{4}|[A-Za-z]{1,5})$`)
	shortYear    = regexp.MustCompile(`([A-Za-z]) (?:19)?(1\d\d) (\d)`)
	leapSecond   = regexp.MustCompile(`(:\d\d):60\b`)
)

// months are names of months in other languages that differ from English in their first three letters, by those.
var months = map[string]string{
	"mär": "Mar", "mrz": "Mar", "mae": "Mar", "mrt": "Mar", "maa": "Mar", "mai": "May", "mei": "May", "mag": "May",
	"maj": "May", "okt": "Oct", "ott": "Oct", "out": "Oct", "dez": "Dec", "déc": "Dec", "dic": "Dec", "fév": "Feb",
	"fev": "Feb", "avr": "Apr", "abr": "Apr", "aoû": "Aug", "aou": "Aug", "ago": "Aug", "ene": "Jan", "gen": "Jan",
	"giu": "Jun", "lug": "Jul", "set": "Sep",
}

// sent reads a Date field, leniently; zero when it is none. One without a zone is taken for UTC.
func sent(value string) time.Time {
	value = dateComment.ReplaceAllString(shorten(decodeWords(value), 200), " ")
	value = strings.Join(strings.Fields(value), " ")
	value = monthWord.ReplaceAllStringFunc(value, englishMonth)
	if word := firstWord.FindString(value); word != "" && (!isMonth(word) || dayAndMonth.MatchString(value[len(word):])) {
		value = value[len(word):] // a day's name; "mar" is one in Italian
	}
	value = dayDot.ReplaceAllString(value, "$1 ")
	value = joinedOffset.ReplaceAllString(value, "$1 $2")
	value = twoOffsets.ReplaceAllString(value, "$1")
	value = leapSecond.ReplaceAllString(value, "$1:59")
	if m := shortYear.FindStringSubmatch(value); m != nil { // RFC 5322, 4.3, and programs that put "19" before it
		n, _ := strconv.Atoi(m[2])
		value = strings.Replace(value, m[0], m[1]+" "+strconv.Itoa(1900+n)+" "+m[3], 1)
	}
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

// englishMonth writes the name of a month in some other language as English has it, and leaves other words.
func englishMonth(word string) string {
	lower := strings.ToLower(word)
	if lower == "mars" || lower == "marzo" || lower == "märz" {
		return "Mar"
	}
	if letters := []rune(lower); len(letters) >= 3 {
		if m, ok := months[string(letters[:3])]; ok {
			return m
		}
	}
	switch lower {
	case "juin", "juni", "junio":
		return "Jun"
	case "juil", "juil.", "juillet", "juli", "julio":
		return "Jul"
	}
	return strings.TrimSuffix(word, ".")
}

func isMonth(word string) bool {
	if len(word) < 3 {
		return false
	}
	_, err := time.Parse("Jan", strings.ToUpper(word[:1])+strings.ToLower(word[1:3]))
	return err == nil
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
	if offset, ok := offsetNames[strings.ToUpper(s[i+1:])]; ok && i > 0 {
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
