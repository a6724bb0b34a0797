package console

import (
	_ "embed" // the script
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chainmail/handlers/npmtest/chromium"
)

//go:embed testdata/looks.mjs
var looks string

// A look is what a browser makes of a page.
type look struct {
	Name     string
	Path     string
	Status   int
	Title    string
	Console  []string // what the browser complains of
	Foreign  []string // requests to other hosts
	Wide     bool     // the page is wider than its window
	Findings []struct {
		Rule, Help string
		Elements   []string
	}
	PNG string // base64
}

// elsewhere is how many of the pages, which have all their parts, the script looks at in the dark and on a phone as well.
const elsewhere = 6

// shots is where TestPagesAreGoodToReadEverywhere leaves what it saw; empty: nowhere.
const shots = "CHAINMAIL_SCREENSHOTS"

func TestPagesAreGoodToReadEverywhere(t *testing.T) {
	t.Parallel()
	w, server := newPages(t)
	w.console.Preflight = findings
	r := run{source: running, start: at("2026-02-02T00:00:00Z")}
	paths := map[string]string{
		"sources": "", "running": "/sources/" + running, "finished": "/sources/" + finished, "failing": "/sources/" + failing,
		"older": "/sources/" + running + "?before=2026-02-10T00:00:00Z", "custodians": "/sources/" + running + "/custodians",
		"batch": "/batches/" + running + "/" + r.batch(3), "batch-running": "/batches/" + running + "/" + r.batch(27),
		"custodian": "/custodians/" + running + "/" + personKey(bob), "custodian-alice": "/custodians/" + running + "/" + personKey(alice),
		"exceptions": "/exceptions", "gaps": "/gaps?source=" + running, "config": "/config", "preflight": "/preflight/" + running + "?run=true",
		"collect": "/sources/" + running + "/collect", "reset": "/sources/" + running + "/reset", "missing": "/nothing",
	}
	given, err := json.Marshal(paths)
	must(t, err)
	out, err := chromium.Run(t.Context(), t.Output(), looks, server+"/api/console", string(given), os.Getenv(shots))
	must(t, err)
	seen := into[[]look](t, string(out))
	if want := len(paths) + 2*elsewhere; len(seen) != want {
		t.Fatalf("%d looks, want %d", len(seen), want)
	}
	for _, l := range seen {
		want := 200
		if l.Path == "/nothing" {
			want, l.Console = 404, nil // of which the browser tells as well
		}
		if l.Status != want || l.Title == "" || l.Wide || len(l.Console)+len(l.Foreign)+len(l.Findings) > 0 {
			l.PNG = ""
			t.Errorf("%+v", l)
		}
		if dir := os.Getenv(shots); dir != "" {
			data, err := base64.StdEncoding.DecodeString(l.PNG)
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, l.Name+".png"), data, 0o600))
		}
	}
}

//go:embed testdata/keys.mjs
var keys string

// A task is what a person does on a page: where the focus goes by Tab, and what is typed there.
type task struct {
	From string      `json:"from"`
	Keys [][2]string `json:"keys"`

	action string // that stands in the record
}

func TestEachActionIsDoneByTheKeyboardAlone(t *testing.T) {
	t.Parallel()
	w, server := newPages(t)
	source, exception := "/sources/"+running, "The item is not in the evidence, and stays out of it"
	batches := run{source: running, start: at("2026-02-02T00:00:00Z")}
	because := [2]string{"Reason", "asked for by the audit"}
	tasks := []task{
		{source, [][2]string{{"Disable…", "Enter"}, because, {"Disable", "Enter"}}, "disable"},
		{source, [][2]string{{"Enable…", "Enter"}, because, {"Enable", "Enter"}}, "enable"},
		{source, [][2]string{{"Collect a period…", "Enter"}, {"Custodians", alice}, {"Start", "2026-02-10"}, {"End", "2026-02-11"}, because, {"Collect", "Enter"}}, "collect"},
		{"/batches/" + running + "/" + batches.batch(25), [][2]string{{"Try again…", "Enter"}, because, {"Try again", "Enter"}}, "retry"},
		{"/batches/" + running + "/" + batches.batch(27), [][2]string{{"Abandon…", "Enter"}, because,
			{"What is missing is no longer collected by itself", "Space"}, {"Abandon", "Enter"}}, "abandon"},
		{"/exceptions?source=" + running, [][2]string{{"Close…", "Enter"}, because, {exception, "Space"}, {"Close", "Enter"}}, "close"},
		{"/config", [][2]string{{"sources.json", " "}, because, {"Apply", "Enter"}}, "put"},
		{source, [][2]string{{"Reset…", "Enter"}, because, {"Everything from the start date on is collected again", "Space"}, {"Reset", "Enter"}}, "reset"},
	}
	given, err := json.Marshal(tasks)
	must(t, err)
	out, err := chromium.Run(t.Context(), t.Output(), keys, server+"/api/console", string(given))
	must(t, err)
	type outcome struct {
		From, Note, At string
		Said           []string
	}
	records := w.records()
	for i, done := range into[[]outcome](t, string(out)) {
		found := false
		for name, a := range records {
			found = found || a.Action == tasks[i].action && a.Reason == because[1] && a.Who == local && strings.Contains(done.Note, name)
		}
		if !found || len(done.Said) > 0 {
			t.Errorf("%s: %+v", tasks[i].action, done)
		}
	}
	if len(records) != len(tasks) {
		t.Errorf("%d records, want %d", len(records), len(tasks))
	}
}
