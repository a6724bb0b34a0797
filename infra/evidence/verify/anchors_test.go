package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"chainmail/handlers/pack"
)

// anchors are those of the sample's chain.
func (tr tree) anchors() []Anchor {
	return []Anchor{{mail, 1, pack.Sum(tr[first])}, {mail, 2, pack.Sum(tr[second])}, {mail, 3, pack.Sum(tr[third])}}
}

func TestEveryManifestIsHeldAgainstItsAnchor(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(tree)
		file   string
		want   string
	}{
		{"the last one replaced", func(tr tree) { tr.relabel(third, func(v map[string]any) { v["reason"] = "Joined" }) },
			third, "its SHA-256 is not the one that the log has for o365-mail sequence 3"},
		{"one in the middle replaced, and the chain made anew", func(tr tree) {
			tr.object(second, func(v map[string]any) { v["reason"] = "Joined" })
			tr.relink()
		}, second, "its SHA-256 is not the one that the log has for o365-mail sequence 2"},
		{"the last batch removed", func(tr tree) { tr.drop(strings.TrimSuffix(third, "manifest.json")) },
			"-anchors o365-mail sequence 3", "no manifest has it, and the chain ends at 2"},
		{"one in the middle removed, and the chain made anew", func(tr tree) {
			tr.drop(strings.TrimSuffix(second, "manifest.json"))
			tr.object(third, func(v map[string]any) { v["sequence"] = 2 })
			tr.relink()
		}, third, "its SHA-256 is not the one that the log has for o365-mail sequence 2"},
		{"the source removed", func(tr tree) { tr.drop(mail + "/") }, "-anchors o365-mail sequence 1", "there is nothing of this source"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tr := sample()
			anchors := tr.anchors()
			test.change(tr)
			r := tr.verified(t, Options{Anchors: anchors})
			if got := strings.Join(r.about(test.file), "\n"); !strings.Contains(got, test.want) {
				t.Errorf("findings %v, want %s: %s", r.Findings, test.file, test.want)
			}
		})
	}
}

func TestTheLineSaysHowFarASourceIsAnchored(t *testing.T) {
	t.Parallel()
	tr := sample()
	all := tr.anchors()
	for _, test := range []struct {
		anchors []Anchor
		want    string
		alone   bool
	}{
		{all, ", anchored in the log to sequence 3", false},
		{append(all, all[1]), ", anchored in the log to sequence 3", false}, // the log may have an event twice
		{all[:2], ", anchored in the log to sequence 2", true},
		{all[2:], " as given, anchored in the log to sequence 3 by 1 anchor", false},
	} {
		r := tr.verified(t, Options{Anchors: test.anchors})
		line, alone := r.Sources[0].line(), r.Sources[0].unwitnessed() != ""
		if !r.Sound() || !strings.HasSuffix(line, test.want) || alone != test.alone {
			t.Errorf("%v: %s, findings %v", test.anchors, line, r.Findings)
		}
	}
	r := tr.verified(t, Options{Anchors: all[:2]})
	if !strings.Contains(r.Sources[0].unwitnessed(), "end at sequence 2") ||
		!strings.Contains(r.Sources[1].unwitnessed(), "no -head") {
		t.Errorf("%q, %q", r.Sources[0].unwitnessed(), r.Sources[1].unwitnessed())
	}
}

func TestAnchorsAreReadOutOfEveryShapeOfALog(t *testing.T) {
	t.Parallel()
	one, two := strings.Repeat("1a", 32), strings.Repeat("2b", 32)
	event := func(n int, sum string) string {
		return fmt.Sprintf(`{"time":"2026-03-02T00:00:00Z","msg":"batch sealed","source":"mail","batch":"x",`+
			`"sequence":%d,"manifestSha256":%q}`, n, sum)
	}
	other := `{"time":"2026-03-02T00:00:00Z","msg":"package closed","source":"mail","part":1}`
	quoted := func(s string) string { return string(must(json.Marshal(s))) }
	doubled := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
	lines := "Azure Functions Core Tools\n" + other + "\n[2026-03-02T00:00:00Z] " + event(1, one) + "\nnot JSON {\n\n" + event(2, two)
	dimensions := fmt.Sprintf(`{"source":"mail","sequence":"1","manifestSha256":%q}`, one)
	wide := utf16.Encode([]rune("\uFEFF" + lines))
	utf16le := make([]byte, 0, 2*len(wide))
	for _, c := range wide {
		utf16le = append(utf16le, byte(c), byte(c>>8))
	}
	tests := map[string]string{
		"lines":           lines,
		"lines of CRLF":   strings.ReplaceAll(lines, "\n", "\r\n"),
		"lines in UTF-16": string(utf16le),
		"rows as JSON": "[\n  {\"TimeGenerated\": \"x\", \"Message\": " + quoted(event(1, one)) + "},\n  {\"Message\": " + quoted(other) +
			"},\n {\"Message\": " + quoted(event(2, two)) + "}\n]",
		"rows as JSON in one line": fmt.Sprintf(`[{"Source":"mail","Sequence":"1","ManifestSha256":%q},`+
			`{"source_s":"mail","sequence_d":2.0,"manifestSha256_s":%q}]`, one, strings.ToUpper(two)),
		"custom dimensions": fmt.Sprintf(`[{"message":"batch sealed","customDimensions":%s},{"message":"batch sealed",`+
			`"customDimensions":{"prop__source":"mail","prop__sequence":"2","prop__manifestSha256":%q}}]`, quoted(dimensions), two),
		"tables": fmt.Sprintf("{\"tables\": [\n{\"name\": \"PrimaryResult\", \"columns\": [{\"name\": \"source\"}, "+
			"{\"name\": \"sequence\"}, {\"name\": \"manifestSha256\"}],\n\"rows\": [[\"mail\", 1, %q], [\"mail\", 2, %q]]}]}", one, two),
		"CSV of columns": "\uFEFFTimeGenerated [UTC],source,sequence,manifestSha256\r\n\"3/2/2026, 1:00\",mail,1," + one +
			"\r\nx,mail,2.0," + two + "\r\n",
		"CSV of messages": "TimeGenerated,Message\nx," + doubled(event(1, one)) + "\ny," + doubled(other) + "\nz," +
			doubled(event(2, two)) + "\n",
		"CSV of dimensions": "message,customDimensions\nbatch sealed," + doubled(dimensions) + "\nbatch sealed," +
			doubled(event(2, two)) + "\n",
	}
	want := []Anchor{{"mail", 1, one}, {"mail", 2, two}}
	for name, text := range tests {
		if got, err := ReadAnchors(strings.NewReader(text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestWhatIsNoLogIsRefused(t *testing.T) {
	t.Parallel()
	event := `{"msg":"batch sealed","source":"mail","sequence":1,"manifestSha256":"` + strings.Repeat("1a", 32) + `"}`
	for name, test := range map[string]struct{ text, want string }{
		"nothing":                 {"", "no event"},
		"other events":            {`{"msg":"package closed","source":"mail"}` + "\n", "no event"},
		"another event's hash":    {strings.Replace(event, "batch sealed", "batch published", 1), "no event"},
		"other CSV":               {"a,b\n1,2\n", "no event"},
		"a cut event":             {event + "\n" + event[:len(event)-3], "line 2: an event"},
		"a hash that is cut":      {strings.Replace(event, "1a1a", "", 1), "line 1: an event"},
		"no sequence":             {strings.Replace(event, `"sequence":1`, `"sequence":0`, 1), "line 1: an event"},
		"a source that is none":   {"source,sequence,manifestSha256\nMAIL,1," + strings.Repeat("1a", 32) + "\n", "line 2: an event"},
		"JSON that ends too soon": {"[\n" + event, "not JSON"},
	} {
		got, err := ReadAnchors(strings.NewReader(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, ErrNoAnchor) != (test.want == "no event") {
			t.Errorf("%s: %v, %v, want %q", name, got, err, test.want)
		}
	}
}

func TestASplitThatOneSideAloneTellsOfIsFound(t *testing.T) {
	t.Parallel()
	split := func(of, into string) func(tree) {
		return func(tr tree) {
			if into != "" {
				tr.object(third, func(v map[string]any) { v["splitInto"] = into })
			}
			if of != "" {
				tr.object(second, func(v map[string]any) { v["splitOf"] = of })
			}
			tr.relink()
		}
	}
	absent := strings.TrimSuffix(five.Batch, "-2") + "-3"
	tests := []struct {
		name   string
		change func(tree)
		file   string
		want   string // "": no finding
	}{
		{"both", split(four.Batch, five.Batch), "", ""},
		{"the first alone", split("", five.Batch), third,
			"its splitInto names batch " + five.Batch + ", whose splitOf does not name this one"},
		{"the second alone", split(four.Batch, ""), second,
			"its splitOf names batch " + four.Batch + ", whose splitInto does not name this one"},
		{"into what is not there", split("", absent), third, "its splitInto names batch " + absent + ", which is not there"},
		{"of what is not there", split(absent, ""), second, "its splitOf names batch " + absent + ", which is not there"},
	}
	for _, test := range tests {
		tr := sample()
		test.change(tr)
		r := tr.verified(t, Options{})
		if got := strings.Join(r.about(test.file), "\n"); r.Sound() != (test.want == "") || got != test.want {
			t.Errorf("%s: findings %v, want %q", test.name, r.Findings, test.want)
		}
	}
	tr := sample()
	split("", absent)(tr)
	if r := tr.verified(t, Options{Collecting: true}); !r.Sound() {
		t.Errorf("while it is on its way: %v", r.Findings)
	}
}

func TestThePageIsCutAndSaysSo(t *testing.T) {
	t.Parallel()
	r := &Report{Sources: []Source{{Name: "mail"}}}
	for i := range listed + 17 {
		r.Findings = append(r.Findings, Finding{fmt.Sprintf("file-%05d", i), "is missing"})
	}
	var page bytes.Buffer
	if err := r.WritePage(&page, Occasion{}); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	if !strings.Contains(text, fmt.Sprintf("file-%05d", listed-1)) || strings.Contains(text, fmt.Sprintf("file-%05d", listed)) ||
		!strings.Contains(text, "17 findings more are left out here") || !strings.Contains(text, "No: 2,017 findings") {
		t.Error("the page has not the first findings and the number of the rest")
	}
}
