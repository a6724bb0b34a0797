package event_test

import (
	"bytes"
	_ "embed" // the lock file, the manifest and the script
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/npmtest"
)

//go:embed testdata/icaljs/package.json
var packageJSON []byte

//go:embed testdata/icaljs/package-lock.json
var packageLock []byte

// A question is a calendar for ical.js: to expand it until an instant, and to say when clocks of its zones show the probes.
type question struct {
	ICS    string  `json:"ics"`
	Until  int64   `json:"until"`
	Probes []int64 `json:"probes,omitempty"`
}

// An answer is what ical.js makes of a calendar. Times are seconds since 1970.
type answer struct {
	Error     string
	Instances []occurrence
	Zones     []struct {
		Name     string
		Instants []int64
	}
	Events [][]property
}

type occurrence struct {
	Start, End int64
	Summary    string
}

type property struct {
	Name       string
	Parameters map[string]any
	Values     []string
}

// ask has ical.js read calendars, in one process. It parses strictly: what is no iCalendar is an error.
func ask(t *testing.T, questions ...question) []answer {
	t.Helper()
	program := npmtest.Program{
		Name: "ical.js", Version: "2.2.1", Size: "3 MB", File: "node_modules/ical.js/dist/ical.js",
		PackageJSON: packageJSON, Lock: packageLock,
	}
	node, library, err := program.Install(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	in, err := json.Marshal(questions)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, filepath.Join("testdata", "expand.mjs"), library)
	cmd.Stdin, cmd.WaitDelay = bytes.NewReader(in), 5*time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, said.Bytes())
	}
	var answers []answer
	if err := json.Unmarshal(out, &answers); err != nil {
		t.Fatal(err)
	}
	if len(answers) != len(questions) {
		t.Fatalf("%d answers to %d questions", len(answers), len(questions))
	}
	return answers
}

// get is a property of the first event that is read.
func (a answer) get(t *testing.T, name string) property {
	t.Helper()
	for _, p := range a.Events[0] {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no %s", name)
	return property{}
}

func TestAnotherReaderReadsEveryTextAsItIsWritten(t *testing.T) {
	t.Parallel()
	e := golden(t, "meeting")
	bad := plain()
	controls(&bad)
	var questions []question
	for _, event := range []capture.CalendarEvent{e, bad} {
		ics, _ := encode(t, event)
		questions = append(questions, question{ICS: ics})
	}
	for i, a := range ask(t, questions...) {
		want := []capture.CalendarEvent{e, bad}[i]
		if a.Error != "" || len(a.Events) != 1 {
			t.Fatalf("%s, %d events", a.Error, len(a.Events))
		}
		if got := a.get(t, "summary").Values[0]; got != expected(want.Subject) {
			t.Errorf("subject %q, want %q", got, expected(want.Subject))
		}
		if i == 0 {
			want.Attendees[0] = want.Attendees[3] // the first by address
		}
		// ical.js takes \n in a parameter for a line's end, which is none by RFC 5545, 3.2, and 6868.
		name := strings.ReplaceAll(expected(want.Attendees[0].EmailAddress.Name), `\n`, "\n")
		if got := a.get(t, "attendee").Parameters["cn"]; got != name {
			t.Errorf("name %q, want %q", got, name)
		}
		if got := a.get(t, "categories").Values; len(got) != 2 || !slices.Contains(got, expected(want.Categories[0])) {
			t.Errorf("categories %q, want %q", got, want.Categories)
		}
	}
	if got := ask(t, questions[0])[0].Events[0]; !slices.ContainsFunc(got, func(p property) bool {
		return p.Name == "attendee" && p.Parameters["cn"] == e.Attendees[1].EmailAddress.Name
	}) {
		t.Errorf("%q", got)
	}
}
