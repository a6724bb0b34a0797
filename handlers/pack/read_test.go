package pack

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func readLoadFile(text io.Reader) (records [][]string, faults []string) {
	r, err := NewLoadFileReader(text)
	if err != nil {
		return nil, []string{err.Error()}
	}
	for {
		record, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return records, faults
		case err != nil:
			faults = append(faults, err.Error())
		default:
			records = append(records, record)
		}
	}
}

func TestALoadFileIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	b := p.pack(everything(p), p.family("one"))
	text := loadfileText(t, b)
	want, err := parseDAT(text)
	if err != nil {
		t.Fatal(err)
	}
	got, faults := readLoadFile(iotest.HalfReader(strings.NewReader(text)))
	if len(faults) > 0 || !slices.EqualFunc(got, want[1:], slices.Equal) {
		t.Errorf("records %q, faults %q, want %q", got, faults, want[1:])
	}
}

func TestAValueIsComparedAsTheLoadFileHoldsIt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ value, want string }{
		{"", ""}, {"plain", "plain"}, {"Ordner þ®\r\n\x14", "Ordner th(R)® "}, {"þ", "th"},
	} {
		if got := LoadFileValue(test.value); got != test.want {
			t.Errorf("LoadFileValue(%q) = %q, want %q", test.value, got, test.want)
		}
	}
}

func TestFaultsOfALoadFileAreNamedWithTheirRecord(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	text := loadfileText(t, p.pack(p.family("one"))) // four records
	lines := strings.SplitAfter(text, "\r\n")
	replaced := func(record int, line string) string {
		all := slices.Clone(lines)
		all[record] = line
		return strings.Join(all, "")
	}
	tests := []struct {
		name, text, want string
		read             int // records that are read nevertheless
	}{
		{"none", "", "header", 0},
		{"without byte order mark", strings.TrimPrefix(text, bom), "byte order mark", 0},
		{"another column", strings.Replace(text, "Folder Path", "Folder", 1), "header is not the format's", 0},
		{"a line feed alone", replaced(2, strings.TrimSuffix(lines[2], "\r\n")+"\n"), "record 2: it is cut", 3},
		{"cut", strings.TrimSuffix(text, "\n"), "record 4: it is cut", 3},
		{"a value too many", replaced(1, "þþ\x14"+lines[1]), "record 1: it has 71 values, not 70", 3},
		{"a value without quotes", replaced(3, "x"+lines[3]), "record 3: value 1 is not between quotes", 3},
		{"a quote too many", replaced(3, "þ"+lines[3]), "record 3: value 1 is not between quotes", 3},
	}
	for _, test := range tests {
		got, faults := readLoadFile(strings.NewReader(test.text))
		if len(got) != test.read || len(faults) != 1 || !strings.Contains(faults[0], test.want) {
			t.Errorf("%s: %d records, faults %q, want %d and %q", test.name, len(got), faults, test.read, test.want)
		}
	}
	failing := io.MultiReader(strings.NewReader(lines[0]+lines[1]), iotest.ErrReader(errors.New("the disk is gone")))
	if got, faults := readLoadFile(failing); len(got) != 1 || len(faults) != 1 || !strings.Contains(faults[0], "the disk is gone") {
		t.Errorf("a reader that fails: %d records, faults %q", len(got), faults)
	}
}
