package event_test

import (
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chainmail/handlers/capture"
	"chainmail/handlers/mailfmt/event"
	"chainmail/handlers/npmtest/icaljs"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden reads an event of testdata/golden, which is JSON as Graph gives it.
func golden(t testing.TB, name string) (e capture.CalendarEvent) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "golden", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		t.Fatal(err)
	}
	return e
}

var goldenNames = []string{"meeting", "series", "birthday", "custom"}

func TestEventsAreWrittenAsTheGoldenFilesHaveThem(t *testing.T) {
	t.Parallel()
	var questions []icaljs.Question
	for _, name := range goldenNames {
		e := golden(t, name)
		ics, _ := encode(t, e)
		checkForm(t, ics)
		questions = append(questions, icaljs.Question{ICS: ics, Until: viewTo.Unix()})
		read, err := event.Read(e)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(read.Text([]string{"plan.xlsx", "map.pdf"}))
		matches(t, name+".ics", ics)
		matches(t, name+".txt", string(text))
	}
	for i, a := range ask(t, questions...) {
		if a.Error != "" || len(a.Instances) == 0 {
			t.Errorf("%s: ical.js says %s", goldenNames[i], a.Error)
		}
	}
}

func matches(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs:\n%s", name, got)
	}
}
