package compose

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-message/textproto"
)

// fields are a header's fields in the order in which they are written, each with its line ends.
type fields [][]byte

// add adds a field, unless it is empty. The value has no line ends.
func (f *fields) add(name, value string) {
	if value != "" {
		*f = append(*f, fold(name, value))
	}
}

// header is what go-message writes: its list begins at the end.
func (f fields) header() textproto.Header {
	var h textproto.Header
	for i := len(f) - 1; i >= 0; i-- {
		h.AddRaw(f[i])
	}
	return h
}

// fold writes a field, broken at blanks between words into lines of at most lineLength where it has blanks. No blank is added
// or lost, however the field is unfolded.
func fold(name, value string) []byte {
	line := append([]byte(name), ':', ' ')
	start, blank := 0, 0 // of the line, and the last blank to break at; 0: none
	for i := 0; i < len(value); i++ {
		if value[i] == ' ' && i > 0 && i+1 < len(value) && !isBlank(value[i-1]) && !isBlank(value[i+1]) {
			blank = len(line)
		}
		line = append(line, value[i])
		if len(line)-start > lineLength && blank > start {
			line = append(line[:blank], append([]byte("\r\n"), line[blank:]...)...)
			start, blank = blank+2, 0
		}
	}
	return append(line, '\r', '\n')
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// fields are the mail's own fields: those that JSON has of their own first, since of two a reader takes the first.
func (m *Mail) fields() fields {
	var f fields
	f.add(Mark, "true")
	f.add("From", persons(m.From))
	if !strings.EqualFold(m.Sender.Address, m.From.Address) {
		f.add("Sender", persons(m.Sender))
	}
	f.add("To", persons(m.To...))
	f.add("Cc", persons(m.CC...))
	f.add("Bcc", persons(m.BCC...))
	f.add("Reply-To", persons(m.ReplyTo...))
	f.add("Subject", words(m.Subject))
	f.add("Date", date(m.Sent))
	f.add("Message-ID", identifier(m.MessageID))
	f.add("Thread-Index", base64.StdEncoding.EncodeToString(m.ThreadIndex))
	if !strings.EqualFold(m.Class, "IPM.Note") {
		f.add("Content-Class", words(m.Class))
	}
	f.add("Importance", words(m.Importance))
	for _, c := range m.Categories {
		f.add("Keywords", words(c))
	}
	m.unlessTransported(&f)
	for _, name := range m.Missing {
		f.add(missing, orUnnamed(words(name)))
	}
	for _, r := range m.Elsewhere {
		value := orUnnamed(words(r.Name))
		if address := identifier(r.URL); address != "" {
			value += " <" + strings.Trim(address, "<>") + ">"
		}
		f.add(elsewhere, value)
	}
	f.add("MIME-Version", "1.0")
	for _, h := range m.Headers {
		if value := identifier(h.Value); m.passes(h.Name) {
			f.add(h.Name, value)
		}
	}
	return f
}

func orUnnamed(name string) string {
	if name == "" {
		return "unnamed"
	}
	return name
}

// unlessTransported adds what the store knows of a mail that came without these fields, or never came.
func (m *Mail) unlessTransported(f *fields) {
	has := map[string]bool{}
	for _, h := range m.Headers {
		has[strings.ToLower(h.Name)] = identifier(h.Value) != ""
	}
	add := func(name, value string) {
		if !has[strings.ToLower(name)] {
			f.add(name, value)
		}
	}
	add("In-Reply-To", identifier(m.InReplyTo))
	add("References", identifier(m.References))
	add("Sensitivity", words(m.Sensitivity))
	if m.ReadReceipt {
		add("Disposition-Notification-To", persons(m.From))
	}
	if m.DeliveryAsk {
		add("Return-Receipt-To", persons(m.From))
	}
}

// passes reports whether a transported field is written: not one that is written already, one that tells of MIME that is lost,
// nor one that only a composed mail has.
func (m *Mail) passes(name string) bool {
	if name == "" || len(name) > 200 {
		return false
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' || c == ':' {
			return false
		}
	}
	switch name = strings.ToLower(name); name {
	case "from", "sender", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "thread-index", "importance",
		"mime-version", "x-ms-tnef-correlator":
		return false
	case "keywords":
		return len(m.Categories) == 0
	}
	return !strings.HasPrefix(name, "content-") && !strings.HasPrefix(name, "x-chainmail-")
}

// date is a time as mail writes it; "" for none, and for one that mail cannot write.
func date(t time.Time) string {
	if t = t.UTC(); t.IsZero() || t.Year() < 1900 || t.Year() > 9999 {
		return ""
	}
	return t.Format("Mon, 02 Jan 2006 15:04:05 -0700")
}

// clean makes one line of a value: a blank stands for every control character, and for what is no UTF-8 its replacement.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == 0:
			return -1
		case r < ' ', r >= 0x7F && r <= 0x9F, r == 0x2028, r == 0x2029:
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}

// identifier is a value that has no words, such as a Message-ID.
func identifier(s string) string { return strings.TrimSpace(clean(s)) }

// isPlain reports whether a text can stand in a header as it is: printable ASCII that no reader takes for an encoded word, and
// that can be folded without losing a blank.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	if strings.Contains(s, "=?") || strings.Contains(s, "  ") || strings.Trim(s, " ") != s {
		return false
	}
	for word := range strings.SplitSeq(s, " ") {
		if len(word) > longestWord {
			return false
		}
	}
	return true
}

// longestWord is how long a word without blanks may be: RFC 5322 has lines of 998 bytes at most.
const longestWord = 900

// wordBytes is how much of a text goes into an encoded word, which has 75 characters at most (RFC 2047, 2).
const wordBytes = 45

// words is a text for a header, in encoded words (RFC 2047) where it is not plain.
func words(s string) string {
	s = clean(s)
	if isPlain(s) {
		return s
	}
	var all []string
	for len(s) > 0 {
		n := min(len(s), wordBytes)
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n--
		}
		all = append(all, "=?utf-8?B?"+base64.StdEncoding.EncodeToString([]byte(s[:n]))+"?=")
		s = s[n:]
	}
	return strings.Join(all, " ")
}

// persons is a list of persons, "Name" <address>.
func persons(list ...Person) string {
	var all []string
	for _, p := range list {
		name, address := clean(p.Name), strings.Trim(identifier(p.Address), "<> ")
		address = strings.NewReplacer("<", "", ">", "").Replace(address)
		if strings.EqualFold(strings.TrimSpace(name), address) && address != "" {
			name = ""
		}
		switch {
		case strings.TrimSpace(name) == "" && address == "":
			continue
		case strings.TrimSpace(name) == "":
			all = append(all, "<"+address+">")
		case address == "":
			all = append(all, phrase(name))
		default:
			all = append(all, phrase(name)+" <"+address+">")
		}
	}
	return strings.Join(all, ", ")
}

// phrase is a name before an address.
func phrase(name string) string {
	if !isPlain(name) {
		return words(name)
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// parameter is "; name=value" of a field with parameters; "" without a value. What is not plain is written by RFC 2231, in
// pieces if it is long.
func parameter(name, value string) string {
	value = clean(value)
	if strings.TrimSpace(value) == "" {
		return ""
	}
	if isPlain(value) && !strings.ContainsAny(value, `"\`) {
		return `; ` + name + `="` + value + `"`
	}
	encoded := percent(value)
	if len(encoded) <= longestWord {
		return "; " + name + "*=utf-8''" + encoded
	}
	return pieces(name, encoded)
}

// pieces is a parameter in pieces (RFC 2231, 3), none of which cuts a byte in two.
func pieces(name, encoded string) string {
	const length = 60
	var b strings.Builder
	for n, charset := 0, "utf-8''"; encoded != ""; n, charset = n+1, "" {
		cut := min(length, len(encoded))
		for cut < len(encoded) && (encoded[cut-1] == '%' || encoded[cut-2] == '%') {
			cut--
		}
		b.WriteString("; " + name + "*" + strconv.Itoa(n) + "*=" + charset + encoded[:cut])
		encoded = encoded[cut:]
	}
	return b.String()
}

// percent writes bytes as RFC 2231 has them in a parameter.
func percent(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '-' || c == '.' || c == '_' {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
	return b.String()
}
