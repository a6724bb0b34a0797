package settings

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"chainmail/handlers/capture"
)

// A LineFault is a row of a list of individuals that is not used. It never quotes the row.
type LineFault struct {
	Line    int    // physical line of the file on which the row begins, from 1
	Problem string // what is wrong and what to do
}

// Columns of a list of individuals.
const (
	columnIdentifier  = "identifier"
	columnSecondary   = "secondaryIdentifiers"
	columnDisplayName = "displayName"
	columnFirstName   = "firstName"
	columnLastName    = "lastName"
	columnFrom        = "from"
	columnTo          = "to"
)

func columns() []string {
	return []string{columnIdentifier, columnSecondary, columnDisplayName, columnFirstName, columnLastName, columnFrom, columnTo}
}

// longestField is the room for one field, in bytes.
const longestField = 4096

// ParseIndividuals reads a list of individuals: a CSV file (RFC 4180) in UTF-8 with a header, separated by commas, or by
// semicolons where the header is. A bad row is reported and the rest is used; of two rows with the same identifier,
// compared without case, the first counts. The error says why the file as a whole cannot be used. Neither quotes the file.
func ParseIndividuals(data []byte) ([]capture.Individual, []LineFault, error) {
	if wide(data) {
		return nil, nil, errors.New("the file is UTF-16: save it as CSV UTF-8")
	}
	t := newTable(bytes.TrimPrefix(data, []byte(markUTF8)))
	if err := t.readHeader(); err != nil {
		return nil, nil, err
	}
	var people []capture.Individual
	var faults []LineFault
	first := map[string]int{} // line of an identifier
	for {
		row, line, problem, more := t.next()
		if !more {
			return people, faults, nil
		}
		var in capture.Individual
		if problem == "" {
			in, problem = individual(row)
		}
		key := strings.ToLower(in.Identifier)
		if at := first[key]; problem == "" && at > 0 {
			problem = fmt.Sprintf("the identifier stands on line %d already: remove one of the rows", at)
		}
		if problem != "" {
			faults = append(faults, LineFault{line, problem})
			continue
		}
		first[key] = line
		people = append(people, in)
	}
}

// A table reads the rows of a CSV file, and finds back after a row whose quotes do not match.
type table struct {
	text    string
	starts  []int // offset of every physical line
	comma   rune
	columns []string

	rows *csv.Reader
	base int // physical lines before those that rows reads
}

func newTable(data []byte) *table {
	// One kind of line end, so that lines are counted as editors do.
	t := &table{text: strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(data)), comma: ','}
	t.starts = []int{0}
	for i := range len(t.text) {
		if t.text[i] == '\n' {
			t.starts = append(t.starts, i+1)
		}
	}
	return t
}

// seek makes the rows go on after so many physical lines.
func (t *table) seek(lines int) {
	rest := ""
	if lines < len(t.starts) {
		rest = t.text[t.starts[lines]:]
	}
	t.base = lines
	t.rows = csv.NewReader(strings.NewReader(rest))
	t.rows.Comma = t.comma
	t.rows.FieldsPerRecord = -1
	t.rows.TrimLeadingSpace = true
}

var errHeader = errors.New("the first line must name the columns: identifier, and any of " + strings.Join(columns()[1:], ", "))

// readHeader finds the columns. Its errors do not repeat what stands there: without a header that is a person.
func (t *table) readHeader() error {
	header := ""
	for line := range strings.SplitSeq(t.text, "\n") {
		if header = line; strings.TrimSpace(line) != "" {
			break
		}
	}
	if strings.TrimSpace(header) == "" {
		return fmt.Errorf("the file is empty: %w", errHeader)
	}
	if !strings.Contains(header, ",") && strings.Contains(header, ";") {
		t.comma = ';'
	}
	t.seek(0)
	names, _, problem, _ := t.record()
	if problem != "" {
		return fmt.Errorf("the header cannot be read: %w", errHeader)
	}
	for i, name := range names {
		known := slices.IndexFunc(columns(), func(c string) bool { return strings.EqualFold(c, name) })
		if known < 0 {
			return fmt.Errorf("column %d of the header is unknown: %w", i+1, errHeader)
		}
		column := columns()[known]
		if slices.Contains(t.columns, column) {
			return fmt.Errorf("the header names the column %s twice", column)
		}
		t.columns = append(t.columns, column)
	}
	if !slices.Contains(t.columns, columnIdentifier) {
		return fmt.Errorf("the header has no column identifier: %w", errHeader)
	}
	return nil
}

// next gives the next row by its columns, and the physical line on which it begins; a problem if it is not usable; and
// false after the last.
func (t *table) next() (row map[string]string, line int, problem string, more bool) {
	values, line, problem, more := t.record()
	if !more || problem != "" {
		return nil, line, problem, more
	}
	if len(values) != len(t.columns) {
		return nil, line, fmt.Sprintf("the row has %d fields, the header has %d: put a field that holds the separator in quotes", len(values), len(t.columns)), true
	}
	row = map[string]string{}
	for i, column := range t.columns {
		row[column] = values[i]
	}
	return row, line, "", true
}

const brokenQuotes = "the quotes do not match: put a field in quotes as a whole, and write a quote within it twice"

// record gives the next record that is not blank, its fields trimmed.
func (t *table) record() (values []string, line int, problem string, more bool) {
	for {
		values, err := t.rows.Read()
		if err == io.EOF {
			return nil, 0, "", false
		}
		if err != nil {
			// A quote that is not closed swallows what follows: whatever it did, the next line is read afresh.
			line := t.base + 1
			var parse *csv.ParseError
			if errors.As(err, &parse) {
				line = t.base + parse.StartLine
			}
			t.seek(line)
			return nil, line, brokenQuotes, true
		}
		inside, _ := t.rows.FieldPos(0)
		line := t.base + inside
		if slices.ContainsFunc(values, swallowed) {
			t.seek(line)
			return nil, line, brokenQuotes, true
		}
		blank := true
		for i := range values {
			values[i] = strings.TrimSpace(values[i])
			blank = blank && values[i] == ""
		}
		if !blank {
			return values, line, "", true
		}
	}
}

// swallowed reports whether a field looks as if it held other rows: it has a line break and an address. A name may be
// broken into lines.
func swallowed(field string) bool {
	return strings.Contains(field, "\n") && strings.Contains(field, "@")
}

// individual reads a row. The problem is "" if the row is good.
func individual(row map[string]string) (in capture.Individual, problem string) {
	for _, name := range []string{columnDisplayName, columnFirstName, columnLastName} {
		if strings.ContainsAny(row[name], "\n\t") { // a name that was broken into lines
			row[name] = strings.Join(strings.Fields(row[name]), " ")
		}
	}
	for _, column := range columns() {
		if problem := fieldProblem(row[column]); problem != "" {
			return in, column + " " + problem
		}
	}
	in = capture.Individual{
		Identifier: row[columnIdentifier], Secondary: split(row[columnSecondary]),
		DisplayName: row[columnDisplayName], FirstName: row[columnFirstName], LastName: row[columnLastName],
	}
	if in.Identifier == "" {
		return in, "identifier is empty: give the individual's address"
	}
	var fine bool
	if in.From, fine = moment(row[columnFrom]); !fine {
		return in, "from " + noMoment
	}
	if in.To, fine = moment(row[columnTo]); !fine {
		return in, "to " + noMoment
	}
	if !in.To.IsZero() && !in.To.After(in.From) {
		return in, "to must be later than from"
	}
	return in, ""
}

// fieldProblem says what is wrong with the characters of a field, or "".
func fieldProblem(field string) string {
	switch {
	case len(field) > longestField:
		return fmt.Sprintf("is longer than %d bytes: shorten it", longestField)
	case !utf8.ValidString(field):
		return "is not UTF-8: save the file as CSV UTF-8"
	case strings.ContainsFunc(field, unicode.IsControl):
		return "holds a control character, such as a tab or a line break: remove it"
	}
	return ""
}

func split(list string) []string {
	var parts []string
	for part := range strings.SplitSeq(list, ";") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

const noMoment = "is no time: write a date such as 2026-03-02, which is its midnight in UTC, or a time such as 2026-03-02T08:00:00Z"

// moment reads a time in RFC 3339, or a date, which is its midnight in UTC; zero for "". Years before 1601 and after 9999
// are refused: neither Windows nor JSON can write them.
func moment(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, true
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, err = time.Parse(time.DateOnly, s)
	}
	t = t.UTC()
	return t, err == nil && t.Year() >= 1601 && t.Year() <= 9999
}
