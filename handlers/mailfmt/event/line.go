package event

import (
	"bufio"
	"bytes"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-ical"
)

// The forms of dates and times.
const (
	dateFormat  = "20060102"
	localFormat = "20060102T150405"
	utcFormat   = "20060102T150405Z"
)

// maxLine is how many bytes a line has at most, without its end.
const maxLine = 75

// A folder folds lines, each of which is written to it at once with its end. No character is cut.
type folder struct{ w *bufio.Writer }

func (f *folder) Write(line []byte) (int, error) {
	n := len(line)
	line = bytes.TrimSuffix(line, []byte("\r\n"))
	for room := maxLine; len(line) > room; room = maxLine - 1 {
		cut := room
		for !utf8.RuneStart(line[cut]) {
			cut--
		}
		_, _ = f.w.Write(line[:cut]) // what fails is told at the end
		_, _ = f.w.WriteString("\r\n ")
		line = line[cut:]
	}
	_, _ = f.w.Write(line)
	_, err := f.w.WriteString("\r\n")
	return n, err
}

// lines ends the lines of a text in LF.
func lines(s string) string {
	if !strings.Contains(s, "\r") {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// clean makes a text fit for iCalendar: valid UTF-8 whose lines end in LF, without control characters but tabs. What cannot
// stand in it is replaced by U+FFFD.
func clean(s string) string {
	return strings.Map(func(r rune) rune { // which sees each byte that is no UTF-8 as U+FFFD
		if r < 0x20 && r != '\t' && r != '\n' || r == 0x7F {
			return utf8.RuneError
		}
		return r
	}, lines(s))
}

// isReplaced reports whether a text has what cannot stand in iCalendar.
func isReplaced(s string) bool { return clean(s) != lines(s) }

// param makes a text fit for a parameter, by RFC 6868.
var paramEscapes = strings.NewReplacer("^", "^^", "\n", "^n", `"`, "^'")

func param(s string) string { return paramEscapes.Replace(clean(s)) }

// A builder makes a component.
type builder struct{ *ical.Component }

func newBuilder(name string) builder { return builder{ical.NewComponent(name)} }

// add adds a property as written; parameters are pairs of name and value, those without a value being left out.
func (b builder) add(name, value string, params ...string) {
	p := ical.NewProp(name)
	p.Value = value
	for i := 0; i < len(params); i += 2 {
		if params[i+1] != "" {
			p.Params.Set(params[i], param(params[i+1]))
		}
	}
	b.Props.Add(p)
}

// text adds a text, and nothing if it is empty.
func (b builder) text(name, value string, params ...string) {
	if value != "" {
		b.texts(name, []string{value}, params...)
	}
}

func (b builder) texts(name string, values []string, params ...string) {
	var list ical.Prop
	list.Params = ical.Params{}
	for i := range values {
		values[i] = clean(values[i])
	}
	list.SetTextList(values)
	b.add(name, list.Value, params...)
}

// moments adds a property of times.
func (b builder) moments(name string, moments ...moment) {
	for _, m := range moments {
		switch {
		case m.date:
			b.add(name, m.clock.Format(dateFormat), ical.ParamValue, "DATE")
		case m.isPlain():
			b.add(name, m.at.Format(utcFormat))
		default:
			b.add(name, m.clock.Format(localFormat), ical.PropTimezoneID, m.zone.Name)
		}
	}
}

// uri makes an absolute link one that may stand in a calendar; empty: it is none.
func uri(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.Scheme == "" || u.Host == "" && u.Opaque == "" {
		return ""
	}
	var b strings.Builder
	for i := range len(link) {
		if c := link[i]; c > ' ' && c < 0x7F && !strings.ContainsRune("\"<>\\^`{|}", rune(c)) {
			b.WriteByte(c)
		} else {
			writePercent(&b, c)
		}
	}
	return b.String()
}

// mailto is an address as a link (RFC 6068); an address that is none, such as one of X.500, is written as it is in the same
// form. Nobody's is that which Exchange writes.
func mailto(address string) string {
	if address == "" {
		return "invalid:nomail"
	}
	var b strings.Builder
	b.WriteString("mailto:")
	for i := range len(address) {
		c := address[i]
		isPlain := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("-._~!$'*+@", c) >= 0
		if isPlain {
			b.WriteByte(c)
		} else {
			writePercent(&b, c)
		}
	}
	return b.String()
}

func writePercent(b *strings.Builder, c byte) {
	const digits = "0123456789ABCDEF"
	b.WriteByte('%')
	b.WriteByte(digits[c>>4])
	b.WriteByte(digits[c&15])
}
