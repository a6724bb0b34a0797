package pack

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"chainmail/handlers/capture"
)

func exceptionRows() []ExceptionRow {
	full := ExceptionRow{
		Custodian: anna().Name(), Item: letter("one"), Batch: "20260302000000UTC-20260303000000UTC", Stage: "fetch",
		Code: "ErrorItemNotFound", Attempts: 3, FirstSeen: at("2026-03-03T00:15:00.123456789Z"), LastSeen: at("2026-03-03T01:00:00Z"),
	}
	full.Item.Draft = true
	hostile := full
	hostile.Item.GraphID, hostile.Item.Folder = "=AAMk", `=cmd|' /C calc'!A1`
	hostile.Item.InternetMessageID, hostile.Item.ChangeKey = `"a",b`, "'quoted'"
	empty := ExceptionRow{Item: capture.Item{GraphID: "-"}}
	return []ExceptionRow{full, hostile, empty}
}

func TestExceptionsAreReadBackAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	rows := exceptionRows()
	data := EncodeExceptions(rows)
	golden(t, "exceptions.csv", data)
	got, err := DecodeExceptions(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, rows) {
		t.Errorf("rows\n%+v, want\n%+v", got, rows)
	}
	if got, err := DecodeExceptions(EncodeExceptions(nil)); err != nil || len(got) != 0 {
		t.Errorf("of none: %v, %v", got, err)
	}
}

func TestEveryFieldOfAnExceptionHasAColumn(t *testing.T) {
	t.Parallel()
	row := exceptionRows()[0]
	for _, v := range []reflect.Value{reflect.ValueOf(row), reflect.ValueOf(row.Item)} {
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("the sample has no %s: its column is not tested", v.Type().Field(i).Name)
			}
		}
	}
	if n := reflect.TypeFor[capture.Item]().NumField() + reflect.TypeFor[capture.Exception]().NumField(); n != len(exceptionColumns) {
		t.Errorf("%d columns for %d fields", len(exceptionColumns), n) // Item itself stands for the column item
	}
}

func TestNoExceptionIsAFormula(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ value, want string }{
		{"", ""}, {"plain", "plain"}, {"a=b", "a=b"},
		{"=1+1", "'=1+1"}, {"+1", "'+1"}, {"-1", "'-1"}, {"@SUM(A1)", "'@SUM(A1)"}, {"\t=1", "'\t=1"},
		{"＝1", "'＝1"}, {"＋1", "'＋1"}, {"－1", "'－1"}, {"＠x", "'＠x"},
		{"'", "''"}, {"'=1", "''=1"},
		{"\r=1", " =1"}, {"\n=1", " =1"}, {"\x00=1", " =1"}, {"a\r\nb", "a  b"}, {"a\x7Fb", "a b"},
	} {
		if got := disarm(row.value); got != row.want {
			t.Errorf("disarm(%q) = %q, want %q", row.value, got, row.want)
		}
	}
}

func TestDamagedExceptionsAreRefused(t *testing.T) {
	t.Parallel()
	good := string(EncodeExceptions(exceptionRows()[:1]))
	header, record, _ := strings.Cut(good, "\r\n")
	const canary = "canary"
	for _, row := range []struct{ name, data, text string }{
		{"nothing", "", "header"},
		{"other header", strings.Replace(good, "graphId", canary, 1), "header"},
		{"no header", record, "header"},
		{"a column less", header + "\r\n" + strings.Replace(record, ",", canary, 1), "exception 1"},
		{"half a quote", header + "\r\n" + record + `"` + canary, "exception 2"},
		{"size", strings.Replace(good, ",4096,", ","+canary+",", 1), "exception 1: column size"},
		{"draft", strings.Replace(good, ",true,", ","+canary+",", 1), "exception 1: column draft"},
		{"received", strings.Replace(good, "2026-03-02T10:11:13Z", canary, 1), "exception 1: column received"},
		{"year", strings.Replace(good, "2026-03-02T10:11:13Z", "0000-01-01T00:00:00Z", 1), "exception 1: column received"},
		{"attempts", strings.Replace(good, ",3,", ",3.5,", 1), "exception 1: column attempts"},
		{"key of another item", strings.Replace(good, letter("one").Key(), letter("two").Key(), 1), "exception 1: column item"},
	} {
		_, err := DecodeExceptions([]byte(row.data))
		wantError(t, row.name, err, row.text)
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the error quotes the file: %v", row.name, err)
		}
	}
}

func FuzzDecodeExceptions(f *testing.F) {
	f.Add(EncodeExceptions(exceptionRows()))
	f.Add(EncodeExceptions(nil))
	f.Add([]byte("custodian,item\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := DecodeExceptions(data)
		if err != nil {
			return
		}
		unwritable := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7F || r == utf8.RuneError }
		for i := range rows {
			if strings.ContainsFunc(rows[i].Item.GraphID, unwritable) {
				return // no id of Graph's, and the key would not be its key any more
			}
		}
		once := EncodeExceptions(rows)
		again, err := DecodeExceptions(once)
		if err != nil || !bytes.Equal(EncodeExceptions(again), once) {
			t.Errorf("what was read is not read back: %v", err)
		}
	})
}

func TestInstantsAreExact(t *testing.T) {
	t.Parallel()
	for _, want := range []time.Time{{}, at("2026-03-02T00:00:00Z"), at("2026-03-02T00:00:00.000000001Z"), at("0001-01-01T00:00:01Z")} {
		if got, err := parseInstant(instant(want)); err != nil || !got.Equal(want) {
			t.Errorf("%v became %v, %v", want, got, err)
		}
	}
}
