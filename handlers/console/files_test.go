package console

import (
	"slices"
	"strings"
	"testing"

	"chainmail/handlers/config"
)

// put sends a file, over the one whose ETag is given.
func (w *world) put(path, media, body, match string) (int, string) {
	w.Helper()
	header := map[string]string{"Content-Type": media}
	if match != "" {
		header["If-Match"] = match
	}
	answer := w.do(call{method: "PUT", path: path, body: body, header: header})
	return answer.Code, answer.Body.String()
}

func TestSettingsAreReplacedByWhoHasSeenThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seen := w.do(call{method: "GET", path: "/api/config"}).Header().Get("ETag")
	mine, others := sourcesFile(map[string]any{"frequencyInMinutes": 30}), sourcesFile(map[string]any{"frequencyInMinutes": 45})
	if status, said := w.put("/api/config?reason=x", mediaJSON, mine, ""); status != 428 {
		t.Errorf("PUT without If-Match: %d %s", status, said)
	}
	status, said := w.put("/api/config?reason=half+an+hour", mediaJSON, mine, seen)
	if status != 200 || !strings.Contains(said, `"inForce": true`) || !strings.Contains(said, `"changed": true`) {
		t.Fatalf("PUT: %d %s", status, said)
	}
	if status, said := w.put("/api/config?reason=x", mediaJSON, others, seen); status != 412 {
		t.Errorf("PUT over what somebody else has changed: %d %s", status, said)
	}
	force, err := w.console.Config.Current(t.Context())
	must(t, err)
	if force.SHA256 != hash([]byte(mine)) {
		t.Error("the settings are not in force")
	}
	status, said = w.put("/api/config?reason=x", mediaJSON, mine, etag([]byte(mine)))
	if status != 200 || !strings.Contains(said, `"changed": false`) {
		t.Errorf("PUT of the same: %d %s", status, said)
	}
	all := w.records()
	for _, a := range all {
		content, err := w.state.Get(t.Context(), a.Content)
		must(t, err)
		if a.Action != "put" || a.File != config.File || `"`+a.Was+`"` != seen || a.SHA256 != force.SHA256 || a.Reason != "half an hour" ||
			string(content) != mine {
			t.Errorf("record %+v", a)
		}
	}
	if len(all) != 1 {
		t.Errorf("%d records, want one", len(all))
	}
}

func TestTheReasonMayStandInAHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	current := etag([]byte(sourcesFile(nil)))
	mine := sourcesFile(map[string]any{"frequencyInMinutes": 30})
	answer := w.do(call{method: "PUT", path: "/api/config", body: mine, header: map[string]string{"If-Match": current, "Reason": "by header"}})
	if answer.Code != 200 {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	for _, a := range w.records() {
		if a.Reason != "by header" {
			t.Errorf("record %+v", a)
		}
	}
}

func TestFilesWithFaultsChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	current := etag([]byte(sourcesFile(nil)))
	bad := sourcesFile(map[string]any{"frequencyInMinutes": -1, "colour": "red"})
	before := w.snapshot()
	for name, row := range map[string]struct {
		path, media, body string
		faults            string // paths
	}{
		"settings":        {"/api/config?reason=x", mediaJSON, bad, "sources[0].colour sources[0].frequencyInMinutes"},
		"settings, check": {"/api/config?check=true", mediaJSON, bad, "sources[0].colour sources[0].frequencyInMinutes"},
		"no JSON":         {"/api/config?reason=x", mediaJSON, "{", ""},
		"list":            {"/api/individuals/p.csv?reason=x", mediaCSV, "identifier,from\na@x.example,soon\nb@x.example,\na@x.example,\n,\nb@x.example,2026\n", "line 2 line 6"},
		"list, check":     {"/api/individuals/p.csv?check=true", mediaCSV, "identifier,from\na@x.example,soon\n", "line 2"},
		"no header":       {"/api/individuals/p.csv?reason=x", mediaCSV, "a@x.example\n", ""},
	} {
		status, said := w.put(row.path, row.media, row.body, current)
		p := into[problem](t, said)
		var paths []string
		for _, f := range p.Faults {
			paths = append(paths, f.Path)
		}
		slices.Sort(paths)
		if status != 422 || len(paths) == 0 || strings.TrimSpace(strings.Join(paths, " ")) != row.faults {
			t.Errorf("%s: %d %s, want faults at %q", name, status, said, row.faults)
		}
	}
	for name, path := range map[string]string{"check": "/api/config?check=true", "no reason": "/api/config", "check of what": "/api/config?check=maybe"} {
		status, said := w.put(path, mediaJSON, sourcesFile(map[string]any{"frequencyInMinutes": 30}), current)
		if want := map[string]int{"check": 200, "no reason": 422, "check of what": 400}[name]; status != want {
			t.Errorf("%s: %d %s, want %d", name, status, said, want)
		}
	}
	if w.snapshot() != before || len(w.records()) > 0 {
		t.Error("a file that was refused or checked has changed something")
	}
}

func TestListsOfIndividualsAreReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := "identifier\n"+alice+"\n", "identifier\n"+alice+"\n"+bob+"\n"
	if status, said := w.put("/api/individuals/people.csv?reason=first", mediaCSV, first, etag(nil)); status != 412 {
		t.Errorf("PUT over a list that is not there: %d %s", status, said)
	}
	if status, said := w.put("/api/individuals/people.csv?reason=first", mediaCSV, first, ""); status != 200 {
		t.Fatalf("PUT of a new list: %d %s", status, said)
	}
	if status, said := w.put("/api/individuals/people.csv?reason=second", mediaCSV, second, ""); status != 428 {
		t.Errorf("PUT without If-Match: %d %s", status, said)
	}
	if status, said := w.put("/api/individuals/people.csv?reason=second", mediaCSV, second, etag([]byte(first))); status != 200 {
		t.Errorf("PUT: %d %s", status, said)
	}
	answer := w.do(call{method: "GET", path: "/api/individuals/people.csv"})
	if answer.Body.String() != second || answer.Header().Get("ETag") != etag([]byte(second)) || answer.Header().Get("Content-Disposition") != "attachment" {
		t.Errorf("GET: %s, %v", answer.Body, answer.Header())
	}
	if data, err := w.written.Get(t.Context(), "individuals/people.csv"); err != nil || string(data) != second {
		t.Errorf("the list in the container config: %q, %v", data, err)
	}
	if said := w.log.String(); strings.Count(said, `"operator acted"`) != 2 || len(w.records()) != 2 {
		t.Errorf("%d records, logged %s", len(w.records()), said)
	}
}

func TestAListIsFoundWhereItsSourceHasIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	must(t, w.written.Put(t.Context(), config.File, []byte(sourcesFile(map[string]any{"individuals": map[string]any{"file": "top.csv"}}))))
	_, err := w.console.Config.Accept(t.Context())
	must(t, err)
	for path, want := range map[string]string{"top.csv": "top.csv", "other.csv": "individuals/other.csv", "a/b.csv": "individuals/a/b.csv"} {
		if status, said := w.put("/api/individuals/"+path+"?reason=x", mediaCSV, "identifier\n", ""); status != 200 {
			t.Errorf("PUT %s: %d %s", path, status, said)
		}
		if there, err := w.written.Exists(t.Context(), want); !there || err != nil {
			t.Errorf("%s is not written as %s: %v", path, want, err)
		}
	}
}

// Two operators who have seen the same settings cannot both replace them, however close together they write.
func TestOfTwoOperatorsAtOnceOneWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	current := etag([]byte(sourcesFile(nil)))
	won := make(chan int, 8)
	for i := range cap(won) {
		go func() {
			status, _ := w.put("/api/config?reason=race", mediaJSON, sourcesFile(map[string]any{"frequencyInMinutes": 60 + i}), current)
			won <- status
		}()
	}
	count := map[int]int{}
	for range cap(won) {
		count[<-won]++
	}
	// One of them writes what is there already: that changes nothing, and is refused to those who come later.
	if count[200] < 1 || count[200] > 2 || count[200]+count[412] != cap(won) {
		t.Errorf("answers %v, want one success, and the others refused", count)
	}
}
