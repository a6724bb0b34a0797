package doctext

import (
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
	b, cut, err := d.source(limit)
	if err != nil {
		return "", false, err
	}
	return d.conv.Decode(b, d.Charset, isHTML), cut, nil
}

// source is the document's beginning, as much of it as fits the limit, cut between two characters of UTF-8.
func (d *document) source(limit int64) (b []byte, cut bool, err error) {
	b = make([]byte, min(d.Size, limit))
	if _, err := io.ReadFull(d.section(), b); err != nil {
		return nil, false, err
	}
	if cut = d.Size > limit; cut {
		b = wholeCharacters(b)
	}
	return b, cut, nil
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

// calendar reads what iCalendar's components say to a person.
func (d *document) calendar() error {
	b, cut, err := d.source(MaxText)
	if err != nil {
		return err
	}
	text, broken := d.conv.Calendar(b, d.Charset)
	d.out.text(text)
	switch {
	case cut:
		return errTooLarge
	case broken:
		return errors.Join(errBroken, errors.New("the calendar is damaged"))
	}
	return nil
}
