package console

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
)

// ask sends a wish, and gives the answer's status and text.
func (w *world) ask(wanted wish) (int, string) {
	w.Helper()
	data, err := json.Marshal(wanted)
	must(w.T, err)
	answer := w.do(call{method: "POST", path: "/api/sources/o365-mail/collect", body: string(data)})
	return answer.Code, answer.Body.String()
}

func TestWhatAnOperatorAsksForBecomesGaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	wanted := wish{
		Custodians: []string{strings.ToUpper(alice), aliceID, bob}, // one of them twice
		Start:      "2026-01-15T00:00:00Z", End: "2026-03-01T01:00:00+01:00", Reason: "matter 4711",
	}
	status, said := w.ask(wanted)
	if status != 202 || !strings.Contains(said, `"opened": 4`) {
		t.Fatalf("collect: %d %s", status, said)
	}
	rows, err := w.ledger.Gaps(t.Context(), testSource)
	must(t, err)
	mine := map[string][]ledger.Gap{}
	for _, r := range rows {
		if r.Value.Reason == capture.ReasonRequested {
			mine[r.Value.Person] = append(mine[r.Value.Person], r.Value)
		}
	}
	for person, lane := range map[string]int{alice: 0, bob: 1} {
		gaps := mine[ledger.PersonKey(person)]
		if len(gaps) != 2 || !gaps[0].Start.Equal(at("2026-01-15T00:00:00Z")) || !gaps[0].End.Equal(at("2026-02-15T00:00:00Z")) ||
			!gaps[1].Start.Equal(gaps[0].End) || !gaps[1].End.Equal(at("2026-03-01T00:00:00Z")) {
			t.Fatalf("gaps of %s: %+v, want the period in two", person, gaps)
		}
		if g := gaps[0]; !g.Asked || g.Lane != lane || !g.Opened.Equal(w.now) || !g.Due.IsZero() || g.Custodian == "" {
			t.Errorf("gap of %s: %+v", person, g)
		}
	}
	if !strings.Contains(said, "Not monitored") || strings.Contains(said, "has not reached") {
		t.Errorf("notes: %s, want that Bob is not monitored then, and no more", said)
	}
	for _, a := range w.records() {
		if len(a.Custodians) != 2 || a.Custodians[0] != aliceID || !a.Start.Equal(at(wanted.Start)) || a.Reason != "matter 4711" {
			t.Errorf("record %+v", a)
		}
	}
	if status, said = w.ask(wanted); status != 202 || !strings.Contains(said, `"opened": 0`) {
		t.Errorf("collect again: %d %s", status, said)
	}
}

func TestWhatKeepsAWishWaitingIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := wish{Custodians: []string{alice}, Start: "2026-03-03T12:00:00Z", End: "2026-03-05T12:00:00Z", Reason: "x"}
	w.populate()
	_, said := w.ask(one)
	for _, want := range []string{"has come to 2026-03-04T00:00:00Z", "collected from 2026-03-05T12:10:00Z on"} {
		if !strings.Contains(said, want) {
			t.Errorf("notes: %s, want %q", said, want)
		}
	}
	must(t, w.ledger.Trouble(t.Context(), testSource, "SignInRefused", w.now))
	if _, said = w.ask(one); !strings.Contains(said, "in trouble, SignInRefused") {
		t.Errorf("notes: %s, want the trouble", said)
	}
	must(t, w.ledger.Reset(t.Context(), testSource, w.now))
	_, said = w.ask(one)
	for _, want := range []string{"disabled", "not begun"} {
		if !strings.Contains(said, want) {
			t.Errorf("notes: %s, want %q", said, want)
		}
	}
	// Past the end date the schedule reaches nothing more, and nothing waits for it.
	must(t, w.written.Put(t.Context(), "sources.json", []byte(sourcesFile(map[string]any{"endDate": "2026-03-04T00:00:00Z"}))))
	_, err := w.console.Config.Accept(t.Context())
	must(t, err)
	must(t, w.ledger.UpdateSource(t.Context(), testSource, func(s *ledger.Source) bool {
		s.Begin, s.State = at("2026-03-02T00:00:00Z"), at("2026-03-04T00:00:00Z")
		return true
	}))
	if _, said = w.ask(one); strings.Contains(said, "has not reached") {
		t.Errorf("notes: %s, the schedule has ended", said)
	}
}

// All faults of a wish are told at once, by their paths.
func TestAWishWithFaultsOpensNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	const start, end = "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"
	many := make([]string, maxCustodians+1)
	before := w.snapshot()
	for name, row := range map[string]struct {
		wish  wish
		paths string
	}{
		"nobody":            {wish{nil, start, end, "x"}, "custodians"},
		"too many":          {wish{many, start, end, "x"}, "custodians"},
		"unknown":           {wish{[]string{alice, "carol@contoso.example", ""}, start, end, "x"}, "custodians[1] custodians[2]"},
		"no times":          {wish{[]string{alice}, "", "", "x"}, "start end"},
		"a day":             {wish{[]string{alice}, "2026-03-01", end, "x"}, "start"},
		"year":              {wish{[]string{alice}, "0001-01-01T00:00:00Z", end, "x"}, "start"},
		"fraction":          {wish{[]string{alice}, "2026-03-01T00:00:00.5Z", end, "x"}, "start"},
		"future":            {wish{[]string{alice}, start, "2026-03-05T12:00:01Z", "x"}, "end"},
		"backwards":         {wish{[]string{alice}, end, start, "x"}, "end"},
		"empty":             {wish{[]string{alice}, start, start, "x"}, "end"},
		"too long":          {wish{[]string{alice}, "2010-01-01T00:00:00Z", end, "x"}, "start"},
		"no reason":         {wish{[]string{alice}, start, end, ""}, "reason"},
		"everything at all": {wish{}, "custodians start end reason"},
	} {
		status, said := w.ask(row.wish)
		var paths []string
		for _, f := range into[problem](t, said).Faults {
			paths = append(paths, f.Path)
		}
		if got := strings.Join(paths, " "); status != 422 || got != row.paths {
			t.Errorf("%s: %d, faults of %q, want %q", name, status, got, row.paths)
		}
	}
	if w.snapshot() != before || len(w.records()) > 0 {
		t.Error("a wish with faults has changed something")
	}
}

func TestAWishThatIsTooMuchForOneRequestIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wanted := wish{Start: "2016-03-10T00:00:00Z", End: "2026-03-02T00:00:00Z", Reason: "everything"}
	for range 2 {
		row, err := w.ledger.Source(t.Context(), testSource)
		must(t, err)
		var people []ledger.Row[ledger.Person]
		for range 25 {
			p := ledger.Person{Identifier: fmt.Sprintf("p%d@contoso.example", len(wanted.Custodians))}
			people = append(people, ledger.Row[ledger.Person]{Value: p})
			wanted.Custodians = append(wanted.Custodians, p.Identifier)
		}
		must(t, w.ledger.PutPeople(t.Context(), testSource, row, people, nil))
	}
	if status, said := w.ask(wanted); status != 422 || !strings.Contains(said, "several requests") {
		t.Errorf("collect: %d %s", status, said)
	}
	gaps, err := w.ledger.Gaps(t.Context(), testSource)
	if err != nil || len(gaps) > 0 || len(w.records()) > 0 {
		t.Errorf("%d gaps, %d records, %v", len(gaps), len(w.records()), err)
	}
}
