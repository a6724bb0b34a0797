package console

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault/storagetest"
)

func TestWhatThereIsIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	for path, wants := range map[string][]string{
		"/api/sources": {`"name": "o365-mail"`, `"ingestionState": "2026-03-04T00:00:00Z"`, `"lastError": "GroupUnreadable"`, `"acceptedAt"`},
		"/api/sources/o365-mail": {`"Completed": 1`, `"Created": 1`, `"documents": 7`, `"individuals": 2`, `"NoMailbox": 1`,
			`"openExceptions": 1`, `"gaps": 1`},
		"/api/sources/o365-mail/custodians": {alice, `"objectId": "` + aliceID + `"`, `"excluded": "NoMailbox"`, `\u003cscript\u003e`},
		"/api/batches":                      {firstID, secondID, `"status": "Completed"`, `"manifestSha256": "m"`},
		"/api/batches/o365-mail/" + firstID: {`"chunks"`, `"status": "Waiting"`, `"sequence": 1`},
		"/api/exceptions":                   {`"id": "` + aliceID + ":" + capture.ItemKey("AAA") + `"`, `"code": "ErrorCorruptData"`, `"due"`, `\u003cimg`},
		"/api/gaps":                         {`"origin": "` + firstID + `"`, `"reason": "NoMailbox"`, `"held": false`},
		"/api/config":                       {"graphEndpoint"},
	} {
		said := w.get(path)
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("GET %s does not say %s: %s", path, want, said)
			}
		}
	}
	if len(w.records()) > 0 {
		t.Error("looking is recorded as an action")
	}
}

func TestListsAreReadInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	type answer struct {
		Value []struct{ ID, Key string }
		Next  string
	}
	for _, path := range []string{"/api/batches?top=1", "/api/sources/o365-mail/custodians?top=1", "/api/batches?source=o365-mail&top=1"} {
		first := into[answer](t, w.get(path))
		if len(first.Value) != 1 || first.Next == "" {
			t.Fatalf("GET %s: %+v, want one of two", path, first)
		}
		second := into[answer](t, w.get(path+"&after="+first.Next))
		if len(second.Value) != 1 || second.Next != "" || second.Value[0] == first.Value[0] {
			t.Errorf("GET %s: then %+v, want the other one, the last", path, second)
		}
	}
	if got := into[answer](t, w.get("/api/batches?status=Created")); len(got.Value) != 1 || got.Value[0].ID != secondID {
		t.Errorf("batches by status: %+v", got)
	}
}

// A refusal changes nothing and leaves no record, and says what is wrong.
func TestWhatCannotBeDoneIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	item := aliceID + ":" + capture.ItemKey("AAA")
	const because = `{"reason":"test"}`
	before := w.snapshot()
	for name, row := range map[string]struct {
		call   call
		status int
		says   string
	}{
		"no path":           {call{method: "GET", path: "/api/other"}, 404, "no such path"},
		"no path below":     {call{method: "GET", path: "/other/sources"}, 404, "no such path"},
		"empty part":        {call{method: "GET", path: "/api/sources//custodians"}, 404, "no such path"},
		"slash at the end":  {call{method: "GET", path: "/api/sources/"}, 404, "no such path"},
		"method":            {call{method: "POST", path: "/api/sources", body: because}, 405, "takes GET"},
		"two methods":       {call{method: "POST", path: "/api/config", body: because}, 405, "takes GET and PUT"},
		"source":            {call{method: "GET", path: "/api/sources/none"}, 404, "no such source"},
		"source of a list":  {call{method: "GET", path: "/api/gaps?source=none"}, 404, "no such source"},
		"parameter":         {call{method: "GET", path: "/api/batches?stauts=Created"}, 400, "stauts"},
		"parameter of none": {call{method: "GET", path: "/api/sources?top=1"}, 400, "takes none"},
		"parameter twice":   {call{method: "GET", path: "/api/batches?top=1&top=2"}, 400, "more than once"},
		"query":             {call{method: "GET", path: "/api/batches?top=%zz"}, 400, "cannot be read"},
		"top":               {call{method: "GET", path: "/api/batches?top=0"}, 400, "from 1 to 1000"},
		"top, too much":     {call{method: "GET", path: "/api/batches?top=1001"}, 400, "from 1 to 1000"},
		"status":            {call{method: "GET", path: "/api/batches?status=Done"}, 400, "must be one of"},
		"after":             {call{method: "GET", path: "/api/batches?after=o365-mail/'"}, 400, "after"},
		"after without":     {call{method: "GET", path: "/api/batches?after=x"}, 400, "after"},
		"after, custodians": {call{method: "GET", path: "/api/sources/o365-mail/custodians?after='"}, 400, "after"},
		"batch": {
			call{method: "GET", path: "/api/batches/o365-mail/20260302000000UTC-20260303000000UTC-2"},
			404, "no such batch",
		},
		"batch, no id": {call{method: "GET", path: "/api/batches/o365-mail/..%2f"}, 404, "no such"},
		"no reason":    {call{method: "POST", path: "/api/sources/o365-mail/disable", body: `{}`}, 422, "reason"},
		"blank reason": {call{method: "POST", path: "/api/sources/o365-mail/reset", body: `{"reason":" "}`}, 422, "reason"},
		"long reason": {
			call{method: "POST", path: "/api/sources/o365-mail/reset", body: `{"reason":"` + strings.Repeat("x", 2001) + `"}`},
			422, "2000",
		},
		"reason of another": {call{method: "POST", path: "/api/sources/o365-mail/reset", body: `{"reason":7}`}, 400, "reason"},
		"field": {
			call{method: "POST", path: "/api/sources/o365-mail/disable", body: `{"reason":"x","why":"y"}`},
			400, "why",
		},
		"no object": {call{method: "POST", path: "/api/sources/o365-mail/disable", body: `[]`}, 400, "JSON object"},
		"two objects": {
			call{method: "POST", path: "/api/sources/o365-mail/disable", body: because + because},
			400, "JSON object",
		},
		"empty body": {call{method: "POST", path: "/api/sources/o365-mail/disable"}, 400, "JSON object"},
		"form": {
			call{method: "POST", path: "/api/sources/o365-mail/disable", body: because, header: map[string]string{"Content-Type": "text/plain"}},
			415, "application/json",
		},
		"no media type": {
			call{method: "POST", path: "/api/sources/o365-mail/disable", body: because, header: map[string]string{"Content-Type": ""}},
			415, "application/json",
		},
		"list as JSON": {
			call{method: "PUT", path: "/api/individuals/people.csv?reason=x", body: "identifier\n"},
			415, "text/csv",
		},
		"retry of an open": {
			call{method: "POST", path: "/api/batches/o365-mail/" + secondID + "/retry", body: because},
			409, "not final",
		},
		"abandon of a final": {
			call{method: "POST", path: "/api/batches/o365-mail/" + firstID + "/abandon", body: because},
			409, "final",
		},
		"close of none": {
			call{method: "POST", path: "/api/exceptions/o365-mail/" + aliceID + ":none/close", body: because},
			404, "no such exception",
		},
		"close by no id": {
			call{method: "POST", path: "/api/exceptions/o365-mail/x/close", body: because},
			404, "no such exception",
		},
		"close as the app": {
			call{method: "POST", path: "/api/exceptions/o365-mail/" + item + "/close", body: `{"reason":"Captured"}`},
			422, "own words",
		},
		"no preflight":        {call{method: "GET", path: "/api/preflight/o365-mail"}, 501, "preflight"},
		"no list":             {call{method: "GET", path: "/api/individuals/people.csv"}, 404, "individuals/people.csv"},
		"list that is none":   {call{method: "GET", path: "/api/individuals/../sources.json"}, 404, "no such"},
		"list that is config": {call{method: "GET", path: "/api/individuals/sources.json"}, 404, "no such list"},
	} {
		answer := w.do(row.call)
		p := into[problem](t, answer.Body.String())
		if answer.Code != row.status || p.Status != row.status || p.Title == "" || p.Detail == "" || !strings.Contains(answer.Body.String(), row.says) {
			t.Errorf("%s: %d %s, want %d and %q", name, answer.Code, answer.Body, row.status, row.says)
		}
	}
	if after := w.snapshot(); after != before {
		t.Errorf("a refused request has changed something:\n%s\nwas\n%s", after, before)
	}
	if got := w.records(); len(got) > 0 {
		t.Errorf("a refused request is recorded: %v", got)
	}
	if said := w.log.String(); strings.Contains(said, "operator acted") {
		t.Errorf("a refused request is logged as done: %s", said)
	}
}

func TestASourceIsSwitched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	steps := []struct {
		what    string
		changed bool
		check   func(ledger.Source) bool
	}{
		{"enable", false, func(s ledger.Source) bool { return !s.Disabled() }},
		{"disable", true, func(s ledger.Source) bool { return s.Disabled() && s.DisabledReason == "Operator: for a test" }},
		{"disable", false, func(s ledger.Source) bool { return s.Disabled() }},
		{"enable", true, func(s ledger.Source) bool { return !s.Disabled() && !s.State.IsZero() }},
		{"reset", true, func(s ledger.Source) bool { return s.Disabled() && s.State.IsZero() }},
	}
	want := 0
	for i, step := range steps {
		answer := w.do(call{method: "POST", path: "/api/sources/o365-mail/" + step.what, body: `{"reason":"for a test"}`})
		done := into[changedSource](t, answer.Body.String())
		row, err := w.ledger.Source(t.Context(), testSource)
		must(t, err)
		if answer.Code != 200 || done.Changed != step.changed || !step.check(row.Value) {
			t.Errorf("step %d, %s: %d %s, then %+v", i, step.what, answer.Code, answer.Body, row.Value)
		}
		if step.changed {
			want++
			a, ok := w.records()[done.Record]
			if !ok || a.Action != step.what || a.Who != "local" || a.Source != testSource || a.Reason != "for a test" || !a.At.Equal(w.now) {
				t.Errorf("%s is recorded as %+v", step.what, a)
			}
		}
	}
	if got := len(w.records()); got != want {
		t.Errorf("%d records, want %d", got, want)
	}
	if got := strings.Count(w.log.String(), `"operator acted"`); got != want {
		t.Errorf("%d actions logged, want %d", got, want)
	}
	must(t, w.written.Put(t.Context(), "sources.json", []byte(sourcesFile(map[string]any{"enabled": false}))))
	_, err := w.console.Config.Accept(t.Context())
	must(t, err)
	if answer := w.do(call{method: "POST", path: "/api/sources/o365-mail/enable", body: `{"reason":"x"}`}); answer.Code != 409 {
		t.Errorf("enable of what the settings have disabled: %d %s", answer.Code, answer.Body)
	}
}

func TestABatchIsTriedAgainAndGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	retry := call{method: "POST", path: "/api/batches/o365-mail/" + firstID + "/retry", body: `{"reason":"mailbox is back"}`}
	if answer := w.do(retry); answer.Code != 202 || !strings.Contains(answer.Body.String(), `"gaps": 1`) {
		t.Errorf("retry: %d %s", answer.Code, answer.Body)
	}
	gaps, err := w.ledger.Gaps(t.Context(), testSource)
	must(t, err)
	if len(gaps) != 1 || !gaps[0].Value.Asked || gaps[0].Value.RetryOf != firstID {
		t.Errorf("gaps after the retry: %+v", gaps)
	}
	abandon := call{method: "POST", path: "/api/batches/o365-mail/" + secondID + "/abandon", body: `{"reason":"mailboxes are lost"}`}
	for i, status := range []int{202, 200} {
		if answer := w.do(abandon); answer.Code != status {
			t.Errorf("abandon, time %d: %d %s", i+1, answer.Code, answer.Body)
		}
	}
	b, err := w.ledger.Batch(t.Context(), testSource, secondID)
	must(t, err)
	chunks, err := w.ledger.Chunks(t.Context(), testSource, secondID)
	must(t, err)
	if !b.Value.GivenUp || len(chunks) != 2 || !chunks[0].Value.Final {
		t.Errorf("abandoned: %+v, %+v", b.Value, chunks)
	}
	var did []string
	for _, a := range w.records() {
		did = append(did, a.Action+" "+a.Batch)
	}
	slices.Sort(did)
	if want := []string{"abandon " + secondID, "retry " + firstID}; !slices.Equal(did, want) {
		t.Errorf("records %v, want %v", did, want)
	}
}

func TestABatchWithoutGapsIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	gaps, err := w.ledger.Gaps(t.Context(), testSource)
	must(t, err)
	row, err := w.ledger.Source(t.Context(), testSource)
	must(t, err)
	supplement := ledger.Batch{ID: firstID + "-2", Start: gaps[0].Value.Start, End: gaps[0].Value.End, N: 2}
	must(t, w.ledger.CreateSupplement(t.Context(), testSource, row, supplement, gaps))
	answer := w.do(call{method: "POST", path: "/api/batches/o365-mail/" + firstID + "/retry", body: `{"reason":"again"}`})
	if answer.Code != 409 || len(w.records()) != 0 {
		t.Errorf("retry of what is being tried: %d %s, %d records", answer.Code, answer.Body, len(w.records()))
	}
}

func TestAnExceptionIsClosedInTheWordsOfAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	item := capture.ItemKey("AAA")
	c := call{method: "POST", path: "/api/exceptions/o365-mail/" + aliceID + ":" + item + "/close", body: `{"reason":"corrupt since 2019, saved by hand"}`}
	if answer := w.do(c); answer.Code != 200 {
		t.Fatalf("close: %d %s", answer.Code, answer.Body)
	}
	e, err := w.ledger.Exception(t.Context(), testSource, aliceID, item)
	must(t, err)
	if e.Value.Closed != "corrupt since 2019, saved by hand" || !e.Value.Due.IsZero() {
		t.Errorf("closed: %+v", e.Value)
	}
	if said := w.get("/api/exceptions"); strings.Contains(said, item) {
		t.Errorf("the closed one is among the open: %s", said)
	}
	if answer := w.do(c); answer.Code != 409 {
		t.Errorf("close again: %d %s", answer.Code, answer.Body)
	}
	if len(w.records()) != 1 {
		t.Errorf("%d records, want one", len(w.records()))
	}
}

func TestNothingIsDoneThatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	before := w.snapshot()
	var refused atomic.Int64
	w.proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		if op.Write && op.Container == "state" && strings.HasPrefix(op.Name, records) {
			refused.Add(1)
			return storagetest.Fail(403, "AuthorizationFailure")
		}
		return storagetest.Pass
	})
	for _, c := range everyChange(w) {
		if answer := w.do(c); answer.Code != 500 {
			t.Errorf("%s %s: %d %s", c.method, c.path, answer.Code, answer.Body)
		}
	}
	if got, want := int(refused.Load()), len(everyChange(w)); got < want {
		t.Fatalf("%d records were tried, want %d", got, want)
	}
	if after := w.snapshot(); after != before {
		t.Errorf("something was changed without a record:\n%s\nwas\n%s", after, before)
	}
}

// everyChange is a good request of each kind that changes something.
func everyChange(w *world) []call {
	current := etag([]byte(sourcesFile(nil)))
	const because = `{"reason":"test"}`
	return []call{
		{method: "POST", path: "/api/sources/o365-mail/disable", body: because},
		{method: "POST", path: "/api/sources/o365-mail/reset", body: because},
		{method: "POST", path: "/api/sources/o365-mail/collect",
			body: `{"custodians":["` + alice + `"],"start":"2026-03-01T00:00:00Z","end":"2026-03-02T00:00:00Z","reason":"test"}`},
		{method: "POST", path: "/api/batches/o365-mail/" + firstID + "/retry", body: because},
		{method: "POST", path: "/api/batches/o365-mail/" + secondID + "/abandon", body: because},
		{method: "POST", path: "/api/exceptions/o365-mail/" + aliceID + ":" + capture.ItemKey("AAA") + "/close", body: because},
		{method: "PUT", path: "/api/config?reason=test", body: sourcesFile(map[string]any{"frequencyInMinutes": 120}),
			header: map[string]string{"If-Match": current}},
		{method: "PUT", path: "/api/individuals/people.csv?reason=test", body: "identifier\n" + alice + "\n",
			header: map[string]string{"Content-Type": "text/csv"}},
	}
}

func TestPreflightIsAnsweredAsItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.console.Preflight = func(_ context.Context, s settings.Source) (any, error) {
		return map[string]string{"source": s.Name}, nil
	}
	if said := w.get("/api/preflight/o365-mail"); !strings.Contains(said, `"source": "o365-mail"`) {
		t.Error(said)
	}
	w.console.Preflight = func(context.Context, settings.Source) (any, error) { return nil, errors.New("the disk is full") }
	answer := w.do(call{method: "GET", path: "/api/preflight/o365-mail"})
	if answer.Code != 500 || strings.Contains(answer.Body.String(), "disk") || !strings.Contains(w.log.String(), "the disk is full") {
		t.Errorf("a failure: %d %s", answer.Code, answer.Body)
	}
}

func TestALargeBodyIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := httptest.NewRequest(http.MethodPut, "http://localhost/api/config", &endless{left: maxBody + 1})
	r.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	w.console.ServeHTTP(answer, r)
	if answer.Code != 413 {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

// endless is a body that is made as it is read.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	n := min(len(p), e.left)
	if e.left -= n; n == 0 {
		return 0, errors.New("read to the end")
	}
	return n, nil
}

func TestTimesAreUTC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.now = w.now.In(time.FixedZone("CET", 3600))
	w.do(call{method: "POST", path: "/api/sources/o365-mail/disable", body: `{"reason":"x"}`})
	if said := w.get("/api/sources"); !strings.Contains(said, `"disabledAt": "2026-03-05T12:00:00Z"`) {
		t.Error(said)
	}
}
