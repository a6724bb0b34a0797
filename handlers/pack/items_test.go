package pack

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestItemsAreReadBackAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	rows := p.pack(everything(p), p.family("one")).rows
	data, err := EncodeItems(rows)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeItems(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, rows) {
		t.Errorf("rows\n%+v, want\n%+v", got, rows)
	}
	if n := bytes.Count(data, []byte("\n")); n != len(rows) {
		t.Errorf("%d lines for %d rows", n, len(rows))
	}
	if data, err := EncodeItems(nil); err != nil || data == nil || len(data) != 0 {
		t.Errorf("of none: %q, %v", data, err)
	}
}

func TestDamagedItemsAreRefused(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	good, err := EncodeItems(p.pack([]Document{p.email("one")}).rows)
	if err != nil {
		t.Fatal(err)
	}
	line := string(good)
	const canary = "canary"
	for _, row := range []struct{ name, data, text string }{
		{"good", line + line, ""},
		{"nothing", "", ""},
		{"unknown field", strings.Replace(line, `"kind"`, `"`+canary+`":1,"kind"`, 1), "item 1"},
		{"empty line", line + "\n" + line, "item 2"},
		{"two objects a line", strings.TrimSuffix(line, "\n") + line, "item 1: it is more than one JSON value"},
		{"cut in an object", line + line[:20], "item 2"},
		{"cut before the end", line + strings.TrimSuffix(line, "\n"), "last line is cut"},
		{"another type", strings.Replace(line, `"nativeBytes":`, `"nativeBytes":"`+canary+`","x":`, 1), "field nativeBytes is not a int64"},
		{"not JSON", canary + "\n", "item 1"},
	} {
		_, err := DecodeItems([]byte(row.data))
		wantError(t, row.name, err, row.text)
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the error quotes the file: %v", row.name, err)
		}
	}
}

// A mail's Message-ID has no limit: the reader may not refuse what the writer wrote.
func TestAnItemsLineMayBeLong(t *testing.T) {
	t.Parallel()
	want := ItemRow{ControlNumber: "C", InternetMessageID: strings.Repeat("x", 3<<20)}
	data, err := EncodeItems([]ItemRow{want})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeItems(data); err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("DecodeItems = %d rows, %v", len(got), err)
	}
}

func FuzzDecodeItems(f *testing.F) {
	good, err := EncodeItems([]ItemRow{{ControlNumber: "C-1", GraphID: "é<&>\u2028", Received: at("2026-03-02T00:00:00.5Z"), Offset: 40}, {}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("{}\n{}\n"))
	f.Add([]byte("null\n"))
	f.Add([]byte("{\"received\":\"2026-03-02T00:00:00+01:00\"}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := DecodeItems(data)
		if err != nil {
			return
		}
		once, err := EncodeItems(rows)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeItems(once)
		if err != nil || len(again) != len(rows) {
			t.Fatalf("%d rows were read back as %d: %v", len(rows), len(again), err)
		}
		if twice, err := EncodeItems(again); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("what was read is not read back: %v", err)
		}
	})
}
