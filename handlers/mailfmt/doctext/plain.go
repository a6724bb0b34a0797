package doctext

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// plain reads text, which may be HTML.
func (d *document) plain(isHTML bool) error {
	text, cut, err := d.decoded(isHTML)
	if err != nil {
		return err
	}
	if isHTML {
		text = d.conv.HTML(text)
	}
	d.out.text(trimLines(text))
	if cut {
		return errTooLarge
	}
	return nil
}

// maxSource is how much of a text is read: UTF-16 has two bytes where UTF-8 has one, and markup is no text.
const maxSource = 2*MaxText + 64

// decoded is the document as valid UTF-8, as much of it as is read.
func (d *document) decoded(isHTML bool) (text string, cut bool, err error) {
	limit := int64(maxSource)
	if !isHTML && !strings.HasPrefix(strings.ToLower(d.Charset), "utf-16") {
		limit = MaxText + utf8.UTFMax // what makes it full is enough
	}
	b := make([]byte, min(d.Size, limit))
	if _, err := io.ReadFull(d.section(), b); err != nil {
		return "", false, err
	}
	cut = d.Size > limit
	if cut {
		b = wholeCharacters(b)
	}
	return d.conv.Decode(b, d.Charset, isHTML), cut, nil
}

// wholeCharacters takes away the beginning of a character of UTF-8 that is cut: it would make the whole no UTF-8.
func wholeCharacters(b []byte) []byte {
	for i := len(b) - 1; i >= max(0, len(b)-utf8.UTFMax); i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				return b[:i]
			}
			break
		}
	}
	return b
}

// trimLines takes away empty lines at both ends, and blanks at the end.
func trimLines(s string) string {
	s = strings.TrimRight(s, " \t\r\n\u00A0")
	for {
		first, rest, ok := strings.Cut(s, "\n")
		if !ok || strings.Trim(first, " \t\r\u00A0") != "" {
			return s
		}
		s = rest
	}
}

// calendar reads what iCalendar's components say to a person, property by property in their order.
func (d *document) calendar() error {
	text, cut, err := d.decoded(false)
	if err != nil {
		return err
	}
	c := calendar{out: d.out}
	for rest := text; rest != "" && !d.out.done(); {
		var property string
		property, rest = unfold(rest)
		c.property(property)
	}
	switch {
	case cut:
		return errTooLarge
	case c.depth > 0:
		return errors.Join(errBroken, errors.New("a component does not end"))
	}
	return nil
}

// unfold cuts the first line off, with those that continue it.
func unfold(s string) (first, rest string) {
	first, rest, _ = strings.Cut(s, "\n")
	first = strings.TrimSuffix(first, "\r")
	if rest == "" || rest[0] != ' ' && rest[0] != '\t' {
		return first, rest
	}
	b := bytes.NewBufferString(first)
	for rest != "" && (rest[0] == ' ' || rest[0] == '\t') {
		var next string
		next, rest, _ = strings.Cut(rest[1:], "\n")
		b.WriteString(strings.TrimSuffix(next, "\r"))
	}
	return b.String(), rest
}

type calendar struct {
	out    *sink
	depth  int
	hidden int // the depth of a component that nobody sees
}

func (c *calendar) property(p string) {
	name, value, params, ok := splitProperty(p)
	switch {
	case !ok:
	case name == "BEGIN":
		c.depth++
		if kind := strings.ToUpper(value); c.hidden == 0 && (kind == "VTIMEZONE" || kind == "VALARM") {
			c.hidden = c.depth
		}
		c.out.sep(paragraph)
	case name == "END":
		if c.depth == c.hidden {
			c.hidden = 0
		}
		c.depth = max(0, c.depth-1)
		c.out.sep(paragraph)
	case c.hidden > 0:
	default:
		c.seen(name, value, params)
	}
}

// seen writes a property that a person sees.
func (c *calendar) seen(name, value string, params []string) {
	label := ""
	switch name {
	case "SUMMARY", "DESCRIPTION", "LOCATION", "COMMENT", "CONTACT", "CATEGORIES", "RESOURCES", "STATUS", "METHOD":
		label, value = title(name), unescape(value)
	case "URL", "ATTACH", "TZID":
		if strings.EqualFold(parameter(params, "ENCODING"), "BASE64") {
			return
		}
		label = title(name)
	case "RRULE":
		label = "Recurrence"
	case "ORGANIZER", "ATTENDEE":
		label, value = title(name), person(value, parameter(params, "CN"))
	case "DTSTART", "DTEND", "DUE", "RECURRENCE-ID", "EXDATE":
		label = map[string]string{
			"DTSTART": "Start", "DTEND": "End", "DUE": "Due", "RECURRENCE-ID": "Occurrence", "EXDATE": "Except",
		}[name]
		value = times(value, parameter(params, "TZID"))
	}
	if label != "" && strings.TrimSpace(value) != "" {
		c.out.text(label + ": " + value)
		c.out.sep(line)
	}
}

func title(name string) string { return name[:1] + strings.ToLower(name[1:]) }

// The bounds of what is taken apart of a property. Longer lists of times are written as they are.
const (
	maxParams = 64
	maxTimes  = 10_000
)

// splitProperty takes a content line apart: NAME;PARAM="a:b";PARAM=c:value.
func splitProperty(p string) (name, value string, params []string, ok bool) {
	quoted, begin := false, 0
	for i := range len(p) {
		switch {
		case p[i] == '"':
			quoted = !quoted
		case quoted:
		case p[i] == ';', p[i] == ':':
			if name == "" {
				name = strings.ToUpper(p[:i])
			} else if len(params) < maxParams {
				params = append(params, p[begin:i])
			}
			begin = i + 1
			if p[i] == ':' {
				return name, p[begin:], params, name != ""
			}
		}
	}
	return "", "", nil, false
}

func parameter(params []string, name string) string {
	for _, p := range params {
		if k, v, _ := strings.Cut(p, "="); strings.EqualFold(k, name) {
			return strings.Trim(v, `"`)
		}
	}
	return ""
}

var unescaper = strings.NewReplacer(`\n`, "\n", `\N`, "\n", `\,`, ",", `\;`, ";", `\\`, `\`)

func unescape(s string) string { return unescaper.Replace(s) }

func person(value, name string) string {
	address := value
	if len(value) >= 7 && strings.EqualFold(value[:7], "mailto:") {
		address = value[7:]
	}
	if name == "" || strings.EqualFold(name, address) {
		return address
	}
	return name + " <" + address + ">"
}

// times writes dates and times as a person does: 2026-03-02 09:00:00 Europe/Berlin.
func times(list, zone string) string {
	if strings.Count(list, ",") > maxTimes {
		return list
	}
	all := strings.Split(list, ",")
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
