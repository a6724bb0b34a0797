package mailfmt

import (
	"bytes"
	"strings"
)

// The reader of iCalendar (RFC 5545) reads line by line, and keeps whatever can be read of a damaged calendar.
//
// No library is used for it. Of the two that live, github.com/arran4/golang-ical and github.com/emersion/go-ical, both give
// up the whole calendar for one line without a colon, a quote within a name, words before the calendar or a lost END, which
// programs write every day; the latter panics at a parameter that ends the line and takes quadratic time on a long one.
// Neither knows the zones that a calendar defines itself, by which Exchange says every time.

// A component of a calendar: the calendar itself, an event, a time zone.
type component struct {
	name  string // "VEVENT"
	props []property
	parts []*component
}

// A property is one line of a component. Parameters and value are as written.
type property struct {
	name   string // "DTSTART"; as written where it is no name of a property
	params string // `;TZID="W. Europe Standard Time"`
	value  string
}

// maxNested is how deep components are kept; a calendar has three levels.
const maxNested = 8

// get is a component's first property of that name.
func (c *component) get(name string) (property, bool) {
	for _, p := range c.props {
		if p.name == name {
			return p, true
		}
	}
	return property{}, false
}

// An icalReader reads one calendar. Values are slices of its text, so that lines that continue one cost nothing.
type icalReader struct {
	text   string
	open   []*component // the innermost last; the first holds what stands outside of all
	passed int          // components open that are too deep to be kept; what is in them counts as the innermost kept one's
	broken bool
	stray  []string // lines that are no property and continue no text
	value  int      // where the value begins that the next line may continue; none: -1

	// tell, if not nil, is given each property with the components that it is in, and stray lines as properties without a
	// name, as soon as they are whole; nothing is kept then. A component's begin and end are told as "BEGIN".
	tell func(within []*component, p property)
}

// readCalendar reads a calendar of the declared charset. The first component given holds all others.
func readCalendar(raw []byte, charset string) (root *component, stray []string, broken bool) {
	r := &icalReader{}
	r.read(unfold(raw, charset))
	return r.open[0], r.stray, r.broken
}

func (r *icalReader) read(text string) {
	r.text, r.open, r.value = text, []*component{{}}, -1
	for at := 0; at < len(r.text); {
		end := strings.IndexByte(r.text[at:], '\n')
		if end < 0 {
			end = len(r.text) - at
		}
		r.line(at, at+end)
		at += end + 1
	}
	if len(r.open) > 1 || r.passed > 0 {
		r.broken = true
	}
	r.told(property{name: "BEGIN"})
}

// told tells the property that came before, which nothing continues any more, and then p if it is whole.
func (r *icalReader) told(p property) {
	if r.tell == nil {
		return
	}
	last := r.open[len(r.open)-1]
	for _, p := range last.props {
		r.tell(r.open, p)
	}
	if last.props = last.props[:0]; p != (property{}) {
		r.tell(r.open, p)
	}
}

// unfold joins the lines that are one, before bytes become characters: a line may be folded within one. Lines end in LF.
func unfold(raw []byte, charset string) string {
	if bytes.IndexByte(raw, 0) >= 0 { // UTF-16 has its line ends in two bytes
		text, _ := decodeText(raw, charset, false)
		raw, charset = []byte(text), "utf-8"
	}
	for _, lineEnd := range []string{"\r\r\n", "\r\n", "\r"} {
		raw = bytes.ReplaceAll(raw, []byte(lineEnd), []byte{'\n'})
	}
	raw = bytes.ReplaceAll(raw, []byte("\n "), nil)
	raw = bytes.ReplaceAll(raw, []byte("\n\t"), nil)
	text, _ := decodeText(raw, charset, false)
	return text
}

// line takes the line between two places of the text.
func (r *icalReader) line(from, to int) {
	line := strings.TrimRight(r.text[from:to], " \t")
	if line == "" {
		return
	}
	p, at, ok := contentLine(line)
	switch {
	case !ok, r.value >= 0 && !isName(p.name):
		r.astray(to, line)
	case p.name == "BEGIN":
		r.begin(strings.ToUpper(strings.TrimSpace(p.value)))
	case p.name == "END":
		r.end(strings.ToUpper(strings.TrimSpace(p.value)))
	default:
		r.told(property{})
		c := r.open[len(r.open)-1]
		c.props = append(c.props, p)
		if r.value = -1; isWritten(p.name) {
			r.value = from + at
		}
	}
}

// astray takes a line that is no property. After a text it belongs to it: programs forget to escape the line's break.
func (r *icalReader) astray(to int, line string) {
	r.broken = true
	if r.value < 0 {
		if r.told(property{value: line}); r.tell == nil {
			r.stray = append(r.stray, oneLine(line))
		}
		return
	}
	props := r.open[len(r.open)-1].props
	props[len(props)-1].value = r.text[r.value:to]
}

func (r *icalReader) begin(name string) {
	r.told(property{name: "BEGIN"})
	r.value = -1
	if last := r.open[len(r.open)-1]; r.passed == 0 && isEvent(name) && isEvent(last.name) { // its end was lost
		r.end(last.name)
		r.broken = true
	}
	if r.passed > 0 || len(r.open) > maxNested {
		r.passed, r.broken = r.passed+1, true
		return
	}
	c := &component{name: name}
	last := r.open[len(r.open)-1]
	if r.tell == nil {
		last.parts = append(last.parts, c)
	}
	r.open = append(r.open, c)
}

func (r *icalReader) end(name string) {
	r.told(property{name: "BEGIN"})
	r.value = -1
	if r.passed > 0 {
		r.passed--
		return
	}
	for i := len(r.open) - 1; i > 0; i-- {
		if r.open[i].name == name {
			r.broken = r.broken || i < len(r.open)-1
			r.open = r.open[:i]
			return
		}
	}
	r.broken = true
}

func isEvent(name string) bool { return name == "VEVENT" || name == "VTODO" || name == "VJOURNAL" }

// isWritten reports whether a property holds what a person wrote.
func isWritten(name string) bool {
	switch name {
	case "SUMMARY", "DESCRIPTION", "LOCATION", "COMMENT", "CONTACT", "X-ALT-DESC", "STYLED-DESCRIPTION":
		return true
	}
	return false
}

// known are the names that a line begins with; any other word before a colon is somebody's.
var known = func() map[string]struct{} {
	names := map[string]struct{}{}
	for name := range strings.FieldsSeq(`BEGIN END CALSCALE METHOD PRODID VERSION ATTACH CATEGORIES CLASS COMMENT DESCRIPTION GEO LOCATION
		PERCENT-COMPLETE PRIORITY RESOURCES STATUS SUMMARY COMPLETED DTEND DUE DTSTART DURATION FREEBUSY TRANSP TZID TZNAME
		TZOFFSETFROM TZOFFSETTO TZURL TZUNTIL TZID-ALIAS-OF ATTENDEE CONTACT ORGANIZER RECURRENCE-ID RELATED-TO URL UID EXDATE
		EXRULE RDATE RRULE ACTION REPEAT TRIGGER CREATED DTSTAMP LAST-MODIFIED SEQUENCE REQUEST-STATUS NAME REFRESH-INTERVAL SOURCE
		COLOR IMAGE CONFERENCE LOCATION-TYPE PARTICIPANT-TYPE RESOURCE-TYPE CALENDAR-ADDRESS STRUCTURED-DATA STYLED-DESCRIPTION
		ACKNOWLEDGED PROXIMITY BUSYTYPE LINK CONCEPT REFID DAYLIGHT TZ AALARM DALARM DCREATED RNUM`) {
		names[name] = struct{}{}
	}
	return names
}()

func isName(s string) bool {
	_, ok := known[s]
	return ok || strings.HasPrefix(s, "X-")
}

// contentLine splits a line; at is where its value begins. A quote that does not close ends where an address begins, or
// else counts for nothing.
func contentLine(line string) (p property, at int, ok bool) {
	n := 0
	for n < len(line) && isNameByte(line[n]) {
		n++
	}
	if n == 0 || n > 64 || n == len(line) || line[n] != ':' && line[n] != ';' {
		return property{}, 0, false
	}
	colon, inQuotes := -1, false
	for i := n; i < len(line) && colon < 0; i++ {
		switch {
		case line[i] == '"':
			inQuotes = !inQuotes
		case line[i] == ':' && !inQuotes:
			colon = i
		}
	}
	if colon < 0 {
		if colon = mailto(line) - 1; colon < n || line[colon] != ':' {
			colon = strings.IndexByte(line, ':')
		}
	}
	if colon < 0 {
		return property{}, 0, false
	}
	p = property{name: strings.ToUpper(line[:n]), params: line[n:colon], value: line[colon+1:]}
	if !isName(p.name) {
		p.name = line[:n]
	}
	return p, colon + 1, true
}

// mailto is where the first "mailto:" stands in a text, in whatever case; -1: nowhere.
func mailto(s string) int {
	for at := 0; ; at++ {
		n := strings.IndexByte(s[at:], ':')
		if n < 0 {
			return -1
		}
		at += n
		if start := at - len("mailto"); start >= 0 && strings.EqualFold(s[start:at], "mailto") {
			return start
		}
	}
}

func isNameByte(c byte) bool {
	return c == '-' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// param is a parameter of a property, without quotes. Several values stay one: most often a comma belongs to a name.
func (p property) param(name string) string {
	value, found := "", false
	for rest := p.params; rest != ""; {
		var piece string
		piece, rest = cutParameter(rest)
		key, text, ok := strings.Cut(piece, "=")
		switch {
		case found && ok:
			return unquoteParameter(value)
		case found: // a semicolon that should have stood in quotes
			value += ";" + piece
		case ok && strings.EqualFold(strings.TrimSpace(key), name):
			value, found = text, true
		}
	}
	return unquoteParameter(value)
}

// cutParameter cuts off what stands before the next semicolon that is not in quotes.
func cutParameter(s string) (piece, rest string) {
	s = strings.TrimPrefix(s, ";")
	inQuotes := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			inQuotes = !inQuotes
		case s[i] == ';' && !inQuotes:
			return s[:i], s[i:]
		}
	}
	return s, ""
}

var (
	caretEscapes = strings.NewReplacer("^n", " ", "^N", " ", "^^", "^", "^'", `"`) // RFC 6868
	loneQuotes   = strings.NewReplacer(`\"`, `"`, `\,`, ",", `\;`, ";")            // against the rules, and usual
)

func unquoteParameter(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	s = strings.Trim(loneQuotes.Replace(s), `"`)
	return oneLine(caretEscapes.Replace(s))
}

// words is a property's text; lines end in LF.
func (p property) words() string {
	value := p.value
	if strings.EqualFold(p.param("ENCODING"), "QUOTED-PRINTABLE") { // of vCalendar, which came before
		value, _ = decodeText(decodeQuotedPrintable([]byte(value)), p.param("CHARSET"), false)
	}
	value = unescapeText(value)
	if p.name == "X-ALT-DESC" && strings.EqualFold(p.param("FMTTYPE"), htmlText) || looksLikeHTML([]byte(value[:min(len(value), 256)])) {
		return trimLines(HTMLText(value))
	}
	return trimLines(cleanLines(value))
}

// line is a property's text in one line.
func (p property) line() string { return oneLine(p.words()) }

// unescapeText undoes the escapes of RFC 5545, 3.3.11. A backslash before anything else is one: paths come so.
func unescapeText(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		switch c := s[i+1]; c {
		case 'n', 'N':
			b.WriteByte('\n')
			i++
		case '\\', ',', ';', ':', '"':
			b.WriteByte(c)
			i++
		default:
			b.WriteByte('\\')
		}
	}
	return b.String()
}

// person is an address of the calendar, "mailto:bo@contoso.example" with its name as a parameter.
func (p property) person() address {
	a := address{name: p.param("CN")}
	value := strings.TrimLeft(p.value, " \t")
	if i := mailto(value); i > 0 { // a colon that should have stood in quotes
		a.name = oneLine(a.name + ":" + strings.TrimSuffix(p.value[:len(p.value)-len(value)+i], ":"))
		value = value[i:]
	}
	a.addr = bareAddress(oneLine(literal(string(percentDecoded(value)))))
	if email := bareAddress(p.param("EMAIL")); email != "" && !strings.Contains(a.addr, "@") {
		a.addr = email // the value is a place in some directory
	}
	return a
}
