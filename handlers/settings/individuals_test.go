package settings

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
)

func day(d int) time.Time { return time.Date(2026, 3, d, 0, 0, 0, 0, time.UTC) }

func TestIndividualsAreRead(t *testing.T) {
	t.Parallel()
	const header = "identifier,secondaryIdentifiers,displayName,firstName,lastName,from,to\n"
	whole := capture.Individual{
		Identifier: "ann@example.com", Secondary: []string{"a@example.com", "b@example.com"},
		DisplayName: "Ann Example", FirstName: "Ann", LastName: "Example", From: day(2), To: day(5),
	}
	ann := capture.Individual{Identifier: "ann@example.com"}
	bob := capture.Individual{Identifier: "bob@example.com"}
	tests := []struct {
		name, text string
		want       []capture.Individual
	}{
		{"all columns", header + "ann@example.com,a@example.com;b@example.com,Ann Example,Ann,Example,2026-03-02,2026-03-05\n", []capture.Individual{whole}},
		{"spaces", header + " ann@example.com , a@example.com ;; b@example.com; , Ann Example ,Ann, Example, 2026-03-02 ,2026-03-05 \n", []capture.Individual{whole}},
		{"mark, CRLF, quotes, no last line end", "\xef\xbb\xbf" + strings.ReplaceAll(header, "\n", "\r\n") +
			`"ann@example.com","a@example.com;b@example.com","Ann Example",Ann,Example,2026-03-02T01:00:00+01:00,2026-03-05T00:00:00Z`, []capture.Individual{whole}},
		{"any order", "to,identifier,from\n2026-03-05,ann@example.com,2026-03-02\n",
			[]capture.Individual{{Identifier: "ann@example.com", From: day(2), To: day(5)}}},
		{"headers without case", "IDENTIFIER, DisplayName\nann@example.com,\n", []capture.Individual{ann}},
		{"identifier alone", "identifier\nann@example.com\nbob@example.com\n", []capture.Individual{ann, bob}},
		{"blank lines", "\n\nidentifier,to\n\n  \nann@example.com,\n,\n\r\nbob@example.com,\n\n", []capture.Individual{ann, bob}},
		{"lone CR", "identifier\rann@example.com\rbob@example.com\r", []capture.Individual{ann, bob}},
		{"semicolons", "identifier;secondaryIdentifiers;from\nann@example.com;\"x@example.com;y@example.com\";2026-03-02\n",
			[]capture.Individual{{Identifier: "ann@example.com", Secondary: []string{"x@example.com", "y@example.com"}, From: day(2)}}},
		{"quotes and separators in quotes", "identifier,displayName\nann@example.com,\"Example, \"\"Ann\"\"\"\n",
			[]capture.Individual{{Identifier: "ann@example.com", DisplayName: `Example, "Ann"`}}},
		{"a name on two lines", "identifier,displayName\nann@example.com,\"Ann \n Example\"\nbob@example.com,\n",
			[]capture.Individual{{Identifier: "ann@example.com", DisplayName: "Ann Example"}, bob}},
		{"the header alone", header, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, faults, err := ParseIndividuals([]byte(tt.text))
			if err != nil || len(faults) > 0 {
				t.Fatalf("faults %v, error %v", faults, err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestABadRowIsReportedAndTheRestUsed(t *testing.T) {
	t.Parallel()
	const header = "identifier,displayName,from,to\n" // line 1
	tests := []struct {
		name, rows string
		want       []string // "line: part of the problem"
		used       []string
	}{
		{"no identifier", ",Canary,,\nb@x,,,\n", []string{"2: identifier is empty"}, []string{"b@x"}},
		{"too few fields", "canary@x,Ann\nb@x,,,\n", []string{"2: has 2 fields, the header has 4"}, []string{"b@x"}},
		{"too many fields", "canary@x,Ann,,,,\nb@x,,,\n", []string{"2: has 6 fields"}, []string{"b@x"}},
		{"bad from", "canary@x,,02.03.2026,\nb@x,,,\n", []string{"2: from is no time"}, []string{"b@x"}},
		{"bad to", "canary@x,,,2026-02-30\nb@x,,,\n", []string{"2: to is no time"}, []string{"b@x"}},
		{"years that cannot be written", "canary@x,,0001-01-01,\nc@x,,,9999-12-31T23:59:59-01:00\nb@x,,,9999-12-31\n",
			[]string{"2: from is no time", "3: to is no time"}, []string{"b@x"}},
		{"to before from", "canary@x,,2026-03-05,2026-03-02\nb@x,,,\n", []string{"2: to must be later than from"}, []string{"b@x"}},
		{"to is from", "canary@x,,2026-03-05,2026-03-05T00:00:00Z\nb@x,,,\n", []string{"2: to must be later"}, []string{"b@x"}},
		{"duplicate", "b@x,,,\nB@X,Canary,,\nc@x,,,\nb@x,,,\n", []string{"3: stands on line 2 already", "5: stands on line 2 already"}, []string{"b@x", "c@x"}},
		{"a bad row does not count as the first", "b@x,,canary,\nb@x,,,\n", []string{"2: from is no time"}, []string{"b@x"}},
		{"control character", "canary\x00@x,,,\nb@x,,,\nc@x,Can\x1bary,,\n", []string{"2: identifier holds a control character", "4: displayName holds"}, []string{"b@x"}},
		{"line break in the identifier", "\"canary\nd\",,,\nb@x,,,\n", []string{"2: identifier holds a control character"}, []string{"b@x"}},
		{"not UTF-8", "canary@x,J\xfcrgen,,\nb@x,,,\n", []string{"2: displayName is not UTF-8"}, []string{"b@x"}},
		{"too long", strings.Repeat("canary", 1000) + ",,,\nb@x,,,\n", []string{"2: longer than 4096"}, []string{"b@x"}},
		{"a quote within a field", "canary@x,Ann \"A\" B,,\nb@x,,,\n", []string{"2: quotes do not match"}, []string{"b@x"}},
		{"a quote never closed", "a@x,,,\ncanary@x,\"Ann,,\nb@x,,,\nc@x,,,\n", []string{"3: quotes do not match"}, []string{"a@x", "b@x", "c@x"}},
		{"a quote closed by a later row's", "canary@x,\"Ann,,\nb@x,,,\nc@x,\"Carl\",,\n", []string{"2: quotes do not match"}, []string{"b@x", "c@x"}},
		{"a quote closed neatly by a later row's", "canary@x,\"Ann,,\nb@x,Bob\",,\nc@x,,,\n", []string{"2: quotes do not match", "3: quotes do not match"}, []string{"c@x"}},
		{"physical lines", "\na@x,\"Ann\nA.\",,\n\n,Canary,,\n", []string{"6: identifier is empty"}, []string{"a@x"}},
		{"several", ",Canary,,\n,Canary,,\n", []string{"2: identifier", "3: identifier"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, faults, err := ParseIndividuals([]byte(header + tt.rows))
			if err != nil {
				t.Fatal(err)
			}
			var used []string
			for _, in := range got {
				used = append(used, in.Identifier)
			}
			if !reflect.DeepEqual(used, tt.used) {
				t.Errorf("used %q, want %q", used, tt.used)
			}
			if len(faults) != len(tt.want) {
				t.Fatalf("faults %v, want %q", faults, tt.want)
			}
			for i, f := range faults {
				line, part, _ := strings.Cut(tt.want[i], ": ")
				if fmt.Sprint(f.Line) != line || !strings.Contains(f.Problem, part) {
					t.Errorf("fault %d: %s, want %s", f.Line, f.Problem, tt.want[i])
				}
				if strings.Contains(strings.ToLower(f.Problem), "canary") {
					t.Errorf("the fault quotes the row: %s", f.Problem)
				}
			}
		})
	}
}

func TestAFileThatIsNoListIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"empty", "", "is empty"},
		{"blank", "\xef\xbb\xbf \r\n\n", "is empty"},
		{"UTF-16 by its mark", "\xff\xfei\x00d\x00", "save it as CSV UTF-8"},
		{"UTF-16, the other", "\xfe\xff\x00i\x00d", "save it as CSV UTF-8"},
		{"UTF-16 without a mark", "i\x00d\x00e\x00", "save it as CSV UTF-8"},
		{"no header", "canary@example.com,Ann\n", "column 1 of the header is unknown"},
		{"no header of one column", "canary@example.com\n", "must name the columns: identifier, and any of secondaryIdentifiers, displayName"},
		{"unknown column", "identifier,canary\n", "column 2 of the header is unknown"},
		{"no name", "identifier,,to\n", "column 2 of the header is unknown"},
		{"tabs", "identifier\tcanary\n", "column 1 of the header is unknown"},
		{"twice", "identifier,Identifier\n", "names the column identifier twice"},
		{"no identifier", "displayName,from\nCanary,\n", "has no column identifier"},
		{"broken header", "identifier,\"to\ncanary@x,\n", "header cannot be read"},
	}
	for _, tt := range tests {
		people, faults, err := ParseIndividuals([]byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
			continue
		}
		if len(people)+len(faults) > 0 || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %d individuals, %d faults, error %v, want the error alone, without a quotation", tt.name, len(people), len(faults), err)
		}
	}
}

func FuzzParseIndividuals(f *testing.F) {
	for _, seed := range []string{
		"identifier,secondaryIdentifiers,displayName,firstName,lastName,from,to\na@x,b;c,A,B,C,2026-03-02,2026-03-05T00:00:00Z\n",
		"identifier;to\n\"a\nb\";\n\"\"\"\n", "\xef\xbb\xbfidentifier\r\na\rA\r\n", "identifier,to\na,\"\n\"b\",\"\n\n\"\"\",\n", "\xff\xfe", "identifier\n\"", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		people, faults, err := ParseIndividuals(data)
		if err != nil && len(people)+len(faults) > 0 {
			t.Error("both an error and rows")
		}
		seen := map[string]bool{}
		for _, p := range people {
			key := strings.ToLower(p.Identifier)
			if p.Identifier == "" || p.Identifier != strings.TrimSpace(p.Identifier) || seen[key] {
				t.Errorf("individual %+v", p)
			}
			seen[key] = true
			if !p.To.IsZero() && !p.To.After(p.From) {
				t.Errorf("monitored from %v to %v", p.From, p.To)
			}
			if _, err := p.To.MarshalJSON(); err != nil {
				t.Error(err)
			}
		}
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 1
		last := 1
		for _, f := range faults {
			if f.Line <= last || f.Line > lines || f.Problem == "" {
				t.Errorf("fault %+v after line %d of %d", f, last, lines)
			}
			last = f.Line
		}
	})
}
