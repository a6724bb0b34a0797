package pack

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"chainmail/handlers/capture"
)

// An ExceptionRow is a record of exceptions.csv: an item that was found and not captured, with its whole listing row.
type ExceptionRow = capture.Exception

// exceptionColumn is a column of exceptions.csv: how a value is written, and read back.
type exceptionColumn struct {
	name string
	get  func(*ExceptionRow) string
	set  func(*ExceptionRow, string) error
}

var exceptionColumns = [...]exceptionColumn{
	{"custodian", func(e *ExceptionRow) string { return e.Custodian },
		func(e *ExceptionRow, s string) error { e.Custodian = s; return nil }},
	{"item", func(e *ExceptionRow) string { return e.Item.Key() }, sameKey},
	{"graphId", func(e *ExceptionRow) string { return e.Item.GraphID },
		func(e *ExceptionRow, s string) error { e.Item.GraphID = s; return nil }},
	{"changeKey", func(e *ExceptionRow) string { return e.Item.ChangeKey },
		func(e *ExceptionRow, s string) error { e.Item.ChangeKey = s; return nil }},
	{"kind", func(e *ExceptionRow) string { return string(e.Item.Kind) },
		func(e *ExceptionRow, s string) error { e.Item.Kind = capture.Kind(s); return nil }},
	{"class", func(e *ExceptionRow) string { return e.Item.Class },
		func(e *ExceptionRow, s string) error { e.Item.Class = s; return nil }},
	{"internetMessageId", func(e *ExceptionRow) string { return e.Item.InternetMessageID },
		func(e *ExceptionRow, s string) error { e.Item.InternetMessageID = s; return nil }},
	{"folder", func(e *ExceptionRow) string { return e.Item.Folder },
		func(e *ExceptionRow, s string) error { e.Item.Folder = s; return nil }},
	{"folderId", func(e *ExceptionRow) string { return e.Item.FolderID },
		func(e *ExceptionRow, s string) error { e.Item.FolderID = s; return nil }},
	{"state", func(e *ExceptionRow) string { return string(e.Item.State) },
		func(e *ExceptionRow, s string) error { e.Item.State = capture.State(s); return nil }},
	{"draft", func(e *ExceptionRow) string { return strconv.FormatBool(e.Item.Draft) },
		func(e *ExceptionRow, s string) (err error) { e.Item.Draft, err = strconv.ParseBool(s); return err }},
	{"received", func(e *ExceptionRow) string { return instant(e.Item.Received) },
		func(e *ExceptionRow, s string) (err error) { e.Item.Received, err = parseInstant(s); return err }},
	{"sent", func(e *ExceptionRow) string { return instant(e.Item.Sent) },
		func(e *ExceptionRow, s string) (err error) { e.Item.Sent, err = parseInstant(s); return err }},
	{"created", func(e *ExceptionRow) string { return instant(e.Item.Created) },
		func(e *ExceptionRow, s string) (err error) { e.Item.Created, err = parseInstant(s); return err }},
	{"modified", func(e *ExceptionRow) string { return instant(e.Item.Modified) },
		func(e *ExceptionRow, s string) (err error) { e.Item.Modified, err = parseInstant(s); return err }},
	{"size", func(e *ExceptionRow) string { return strconv.FormatInt(e.Item.Size, 10) },
		func(e *ExceptionRow, s string) (err error) {
			e.Item.Size, err = strconv.ParseInt(s, 10, 64)
			return err
		}},
	{"batch", func(e *ExceptionRow) string { return e.Batch },
		func(e *ExceptionRow, s string) error { e.Batch = s; return nil }},
	{"stage", func(e *ExceptionRow) string { return e.Stage },
		func(e *ExceptionRow, s string) error { e.Stage = s; return nil }},
	{"code", func(e *ExceptionRow) string { return e.Code },
		func(e *ExceptionRow, s string) error { e.Code = s; return nil }},
	{"attempts", func(e *ExceptionRow) string { return strconv.Itoa(e.Attempts) },
		func(e *ExceptionRow, s string) (err error) { e.Attempts, err = strconv.Atoi(s); return err }},
	{"firstSeen", func(e *ExceptionRow) string { return instant(e.FirstSeen) },
		func(e *ExceptionRow, s string) (err error) { e.FirstSeen, err = parseInstant(s); return err }},
	{"lastSeen", func(e *ExceptionRow) string { return instant(e.LastSeen) },
		func(e *ExceptionRow, s string) (err error) { e.LastSeen, err = parseInstant(s); return err }},
}

// sameKey reads the item key, which follows from the graph id: it is only for people, and compared once the row is read.
func sameKey(*ExceptionRow, string) error { return nil }

const itemColumn = 1 // of exceptionColumns

func instant(t time.Time) string {
	if t = plausible(t); t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func parseInstant(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || plausible(t).IsZero() {
		return time.Time{}, errors.New("not a time of RFC 3339")
	}
	return plausible(t), nil
}

// EncodeExceptions writes exceptions.csv: RFC 4180, UTF-8, a header and a record a row. A value that a spreadsheet would
// take for a formula begins with an apostrophe, and so does one that begins with an apostrophe itself.
func EncodeExceptions(rows []ExceptionRow) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	record := exceptionHeader()
	_ = w.Write(record) // a bytes.Buffer takes all
	for i := range rows {
		for c, column := range exceptionColumns {
			record[c] = disarm(column.get(&rows[i]))
		}
		_ = w.Write(record)
	}
	w.Flush()
	return b.Bytes()
}

func exceptionHeader() []string {
	names := make([]string, len(exceptionColumns))
	for i, c := range exceptionColumns {
		names[i] = c.name
	}
	return names
}

// disarm makes a value safe to open in a spreadsheet, and single-lined: the CSV reader takes CRLF in a value for LF, so
// that what is read back would differ.
func disarm(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' || r == 0x7F {
			return ' '
		}
		return r
	}, s)
	if s != "" && strings.ContainsRune("=+-@\t'\uFF1D\uFF0B\uFF0D\uFF20", []rune(s)[0]) {
		return "'" + s
	}
	return s
}

// DecodeExceptions reads exceptions.csv. Its errors name the row, from 1, and the column, and quote nothing.
func DecodeExceptions(data []byte) ([]ExceptionRow, error) {
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = len(exceptionColumns)
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil || !slices.Equal(header, exceptionHeader()) {
		return nil, errors.New("decode exceptions: the header is not the format's")
	}
	var rows []ExceptionRow
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decode exception %d: it is not a CSV record of the format", len(rows)+1)
		}
		row, err := decodeException(record)
		if err != nil {
			return nil, fmt.Errorf("decode exception %d: %w", len(rows)+1, err)
		}
		rows = append(rows, row)
	}
}

func decodeException(record []string) (ExceptionRow, error) {
	var row ExceptionRow
	for i, column := range exceptionColumns {
		if column.set(&row, strings.TrimPrefix(record[i], "'")) != nil {
			return row, fmt.Errorf("column %s has no value of its kind", column.name)
		}
	}
	if record[itemColumn] != row.Item.Key() {
		return row, errors.New("column item is not the key of column graphId")
	}
	return row, nil
}
