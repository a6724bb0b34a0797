package pack

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxRecord is the longest record of a load file that is read; those that are written are far shorter.
const maxRecord = 64 << 20

// A LoadFileReader reads a load file record by record, by the rules of the format alone.
type LoadFileReader struct {
	lines  *bufio.Scanner
	record int  // the last one, from 1; 0: the header
	ended  bool // nothing more can be read
}

// NewLoadFileReader begins to read a load file. Its header must be the format's.
func NewLoadFileReader(r io.Reader) (*LoadFileReader, error) {
	l := &LoadFileReader{lines: bufio.NewScanner(r)}
	l.lines.Buffer(nil, maxRecord)
	l.lines.Split(WholeLines)
	line, err := l.line()
	if err != nil {
		return nil, fmt.Errorf("read load file: header: %w", err)
	}
	line, ok := bytes.CutPrefix(line, []byte(bom))
	if !ok {
		return nil, errors.New("read load file: it does not begin with a byte order mark")
	}
	header, err := values(line)
	if err != nil || !slices.Equal(header, Columns()) {
		return nil, errors.New("read load file: the header is not the format's")
	}
	return l, nil
}

// Next gives the next record, its values in the order of [Columns] and as they lie there; io.EOF after the last. Other
// errors name the record, from 1, and quote nothing of it; after one the next record may be asked for.
func (l *LoadFileReader) Next() ([]string, error) {
	line, err := l.line()
	if err == io.EOF {
		return nil, err
	}
	l.record++
	var record []string
	if err == nil {
		record, err = values(line)
	}
	if err == nil && len(record) != len(columns) {
		err = fmt.Errorf("it has %d values, not %d", len(record), len(columns))
	}
	if err != nil {
		return nil, fmt.Errorf("read record %d: %w", l.record, err)
	}
	return record, nil
}

// LoadFileValue is a value as a load file holds it: what would end the value, its record or the file is replaced.
func LoadFileValue(v string) string {
	field := string(appendField(nil, v))
	return field[len(string(quote)) : len(field)-len(string(quote))]
}

var errCut = errors.New("it is cut, or ends in something else than CR LF")

// line gives a line without its end. An error of the reader beneath comes once, and io.EOF after it.
func (l *LoadFileReader) line() ([]byte, error) {
	if l.ended {
		return nil, io.EOF
	}
	if !l.lines.Scan() {
		l.ended = true
		return nil, cmp.Or(l.lines.Err(), io.EOF)
	}
	line, ok := bytes.CutSuffix(l.lines.Bytes(), []byte("\r\n"))
	if !ok {
		return nil, errCut
	}
	return line, nil
}

// WholeLines is a [bufio.SplitFunc] that gives lines with their LF, so that a cut last line shows itself.
func WholeLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

func values(line []byte) ([]string, error) {
	fields := strings.Split(string(line), string(separator))
	for i, f := range fields {
		inner, opened := strings.CutPrefix(f, string(quote))
		inner, closed := strings.CutSuffix(inner, string(quote))
		if !opened || !closed || strings.ContainsRune(inner, quote) {
			return nil, fmt.Errorf("value %d is not between quotes", i+1)
		}
		fields[i] = inner
	}
	return fields, nil
}
