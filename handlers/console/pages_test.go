package console

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"
)

func personKey(identifier string) string { return ledger.PersonKey(identifier) }

// findings are what a preflight might give.
func findings(_ context.Context, s settings.Source) (any, error) {
	return map[string]any{"source": s.Name, "at": "2026-03-05T12:00:00Z", "findings": []map[string]any{
		{"check": "signIn", "state": "ok", "text": "Signed in at the tenant."},
		{"check": "mailboxes", "state": "warning", "text": "1 of 2 individuals has no mailbox.", "remedy": "Take them off the list, or give them one.",
			"custodians": []string{hostile}},
		{"check": "permissions", "state": "fault", "text": "Mail.Read is not granted.", "remedy": "Grant it."},
	}}, nil
}

// visit sends a request as a browser does, with a form's token if there is a form.
func (w *world) visit(method, path string, form url.Values, header map[string]string) *httptest.ResponseRecorder {
	w.Helper()
	r := httptest.NewRequestWithContext(w.Context(), method, "http://127.0.0.1:7091/api/console"+path, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", mediaForm)
		r.AddCookie(&http.Cookie{Name: "chainmail-form", Value: testToken})
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	answer := httptest.NewRecorder()
	w.console.ServeHTTP(answer, r)
	return answer
}

const testToken = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// everyForm is a good form of each action, by its path.
func everyForm() map[string]url.Values {
	because := func(more ...string) url.Values {
		v := url.Values{"reason": {"test"}, "token": {testToken}}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	return map[string]url.Values{
		"/sources/o365-mail/disable":                                                 because(),
		"/sources/o365-mail/reset":                                                   because("confirmed", "yes"),
		"/sources/o365-mail/collect":                                                 because("custodians", alice+"\r\n"+bob, "start", "2026-03-01", "end", "2026-03-02"),
		"/batches/o365-mail/" + firstID + "/retry":                                   because(),
		"/batches/o365-mail/" + secondID + "/abandon":                                because("confirmed", "yes"),
		"/exceptions/o365-mail/" + aliceID + ":" + capture.ItemKey("AAA") + "/close": because("confirmed", "yes"),
		"/config": because("do", "apply", "text", sourcesFile(map[string]any{"frequencyInMinutes": 30}), "etag", etag([]byte(sourcesFile(nil)))),
	}
}

func TestEachFormIsRefusedToWhomItIsNotShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	x := newTenant(t, func() time.Time { return w.now })
	before := w.snapshot()
	for path, form := range everyForm() {
		stale := url.Values{}
		for name, value := range form {
			stale[name] = value
		}
		for name, token := range map[string]string{"no token": "", "another token": strings.Repeat("A", len(testToken))} {
			stale.Set("token", token)
			if answer := w.visit("POST", path, stale, nil); answer.Code != 403 {
				t.Errorf("%s with %s: %d", path, name, answer.Code)
			}
		}
		for _, header := range []map[string]string{
			{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://attacker.example"}, {"Origin": "null"},
		} {
			if answer := w.visit("POST", path, form, header); answer.Code != 403 {
				t.Errorf("%s with %v: %d", path, header, answer.Code)
			}
		}
		if answer := w.visit("POST", path, form, map[string]string{"Content-Type": "text/plain"}); answer.Code != 415 {
			t.Errorf("%s as a text: %d", path, answer.Code)
		}
	}
	w.console.Open, w.console.SignIn = false, x.signIn()
	reader := x.token(map[string]any{"roles": []string{roleReader}})
	for path, form := range everyForm() {
		for status, header := range map[int]map[string]string{401: {"X-Ms-Client-Principal-Id": carolID}, 403: {tokenHeader: reader}} {
			if answer := w.visit("POST", path, form, header); answer.Code != status {
				t.Errorf("%s: %d, want %d", path, answer.Code, status)
			}
		}
		if answer := w.visit("GET", path, nil, map[string]string{tokenHeader: reader}); path != "/config" && answer.Code != 403 {
			t.Errorf("the form %s is shown to a reader: %d", path, answer.Code)
		}
	}
	if w.snapshot() != before || len(w.records()) > 0 {
		t.Error("a refused form has changed something")
	}
}

func TestEachFormDoesWhatTheAPIDoes(t *testing.T) {
	t.Parallel()
	for path, form := range everyForm() {
		t.Run(path[strings.LastIndex(path, "/"):], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.populate()
			before := w.snapshot()
			if form.Has("confirmed") {
				form.Del("confirmed")
				if answer := w.visit("POST", path, form, nil); answer.Code != 422 || !strings.Contains(answer.Body.String(), "must be ticked") {
					t.Errorf("without its confirmation: %d", answer.Code)
				}
				form.Set("confirmed", "yes")
			}
			form.Set("reason", "")
			if answer := w.visit("POST", path, form, nil); answer.Code != 422 || w.snapshot() != before {
				t.Errorf("without a reason: %d", answer.Code)
			}
			form.Set("reason", hostile)
			answer := w.visit("POST", path, form, map[string]string{"Origin": "http://127.0.0.1:7091", "Sec-Fetch-Site": "same-origin"})
			if answer.Code != 303 || w.snapshot() == before {
				t.Fatalf("%d %s", answer.Code, answer.Body)
			}
			for name, a := range w.records() {
				if a.Reason != hostile || a.Who != local || !strings.Contains(answer.Header().Get("Location"), url.QueryEscape(name)) {
					t.Errorf("record %+v, sent to %s", a, answer.Header().Get("Location"))
				}
			}
			if len(w.records()) != 1 {
				t.Errorf("%d records", len(w.records()))
			}
			seen := w.visit("GET", strings.TrimPrefix(answer.Header().Get("Location"), pagePrefix), nil, nil)
			if seen.Code != 200 || strings.Contains(seen.Body.String(), "<script") || !strings.Contains(seen.Body.String(), "recorded as") {
				t.Errorf("%d %s", seen.Code, seen.Body)
			}
		})
	}
}

func TestPagesLetBrowsersDoNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	const script = "%3Cscript%3Ealert(1)%3C/script%3E"
	for path, status := range map[string]int{
		"": 200, "/sources/o365-mail": 200, "/sources/o365-mail/custodians": 200, "/custodians/o365-mail/" + personKey(alice): 200,
		"/exceptions": 200, "/gaps": 200, "/config": 200, "/style.css": 200, "/icon.svg": 200, "/batches/o365-mail/" + firstID: 200,
		"/sources/" + script: 404, "/" + script: 404, "/exceptions?source=" + script: 404, "/exceptions?after=" + script: 400,
		"/sources/o365-mail?before=" + script: 400, "/sources/o365-mail?done=" + script: 200, "/sources/o365-mail?x=" + script: 400,
		"/sources/o365-mail/custodians?find=" + script: 404, "/sources/o365-mail/collect?custodian=" + script: 200,
		"/batches/o365-mail/" + firstID + "?after=" + script: 400, "/custodians/o365-mail/" + script: 404,
	} {
		answer := w.visit("GET", path, nil, nil)
		said := answer.Body.String()
		if answer.Code != status || strings.Contains(said, "<script") || strings.Contains(said, "<img") || strings.Contains(said, " style=") {
			t.Errorf("%s: %d %s", path, answer.Code, said)
		}
		policy := answer.Header().Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy, want) || strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") {
				t.Errorf("%s: policy %q", path, policy)
			}
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if answer.Header().Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, answer.Header().Get(name))
			}
		}
	}
}

func TestPagesOfAClosedConsoleShowNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	w.console.Open = false
	before := w.snapshot()
	for path, form := range everyForm() {
		if answer := w.visit("POST", path, form, nil); answer.Code != 403 {
			t.Errorf("%s: %d", path, answer.Code)
		}
	}
	for _, path := range []string{"", "/sources/o365-mail", "/config", "/style.css", "/sources/o365-mail/custodians"} {
		if answer := w.visit("GET", path, nil, nil); answer.Code != 403 || strings.Contains(answer.Body.String(), alice) {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
	if w.snapshot() != before {
		t.Error("a closed console has changed something")
	}
}

// After the sign-in, which is another site, the browser arrives at a page; nothing else is answered to another site.
func TestPeopleArriveFromTheSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := newTenant(t, func() time.Time { return w.now })
	w.console.Open, w.console.SignIn = false, x.signIn()
	arrival := map[string]string{
		tokenHeader: x.token(nil), "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document",
	}
	answer := w.visit("GET", "", nil, arrival)
	cookie := answer.Header().Get("Set-Cookie")
	if answer.Code != 200 || !strings.HasPrefix(cookie, "__Host-") || !strings.Contains(cookie, "Secure") || !strings.Contains(cookie, "SameSite=Strict") {
		t.Errorf("%d, cookie %q", answer.Code, cookie)
	}
	arrival["Sec-Fetch-Dest"] = "iframe"
	if answer := w.visit("GET", "", nil, arrival); answer.Code != 403 {
		t.Errorf("within another page: %d", answer.Code)
	}
	delete(arrival, tokenHeader)
	arrival["Sec-Fetch-Dest"] = "document"
	if answer := w.visit("GET", "", nil, arrival); answer.Code != 401 || !strings.Contains(answer.Body.String(), "/.auth/login/aad") {
		t.Errorf("without a sign-in: %d %s", answer.Code, answer.Body)
	}
}

func TestTheConfigurationIsCheckedOnItsPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.snapshot()
	form := url.Values{"token": {testToken}, "do": {"check"}, "text": {sourcesFile(map[string]any{"frequencyInMinutes": -1, "colour": hostile})}}
	answer := w.visit("POST", "/config", form, nil)
	for _, want := range []string{"sources[0].frequencyInMinutes", "sources[0].colour"} {
		if answer.Code != 422 || !strings.Contains(answer.Body.String(), want) {
			t.Errorf("%d, without %s: %s", answer.Code, want, answer.Body)
		}
	}
	form.Set("text", sourcesFile(map[string]any{"frequencyInMinutes": 30}))
	if answer := w.visit("POST", "/config", form, nil); answer.Code != 200 || !strings.Contains(answer.Body.String(), "The file is good") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	if w.snapshot() != before || len(w.records()) > 0 {
		t.Error("a check has changed something")
	}
}

func TestASourceSaysWhenItCatchesUp(t *testing.T) {
	t.Parallel()
	now, start := at("2026-03-05T12:00:00Z"), at("2026-03-01T00:00:00Z")
	s := settings.Source{Frequency: time.Hour, Offset: 20 * time.Minute, Settle: 10 * time.Minute, Merge: true, MaxMerge: 24}
	// Two days of mail in four hours: 12 hours an hour.
	var recent []ledger.Batch
	for i := range 2 {
		b := ledger.Batch{Start: start.AddDate(0, 0, i), End: start.AddDate(0, 0, i+1), Reason: capture.ReasonWindow}
		b.Enter(capture.Created, now.Add(time.Duration(2*i-4)*time.Hour), 0)
		b.Enter(capture.Completed, now.Add(time.Duration(2*i-2)*time.Hour), 1)
		recent = append(recent, b)
	}
	for name, row := range map[string]struct {
		state, end string
		recent     []ledger.Batch
		want       forecast
	}{
		"behind": {"2026-03-03T00:30:00Z", "", recent, forecast{
			BehindSeconds: 59 * 3600, Windows: 59, NextStart: at("2026-03-03T00:30:00Z"), NextEnd: at("2026-03-03T01:30:00Z"),
			NextDue: at("2026-03-03T02:00:00Z"), Pace: 12, CaughtUpAt: at("2026-03-05T17:22:00Z"),
		}},
		"up to date": {"2026-03-05T11:00:00Z", "", recent, forecast{
			BehindSeconds: 1800, NextStart: at("2026-03-05T11:00:00Z"), NextEnd: at("2026-03-05T12:00:00Z"), NextDue: at("2026-03-05T12:30:00Z"), Pace: 12,
		}},
		"to an end in the past": {"2026-03-03T00:00:00Z", "2026-03-03T12:30:00Z", recent, forecast{
			BehindSeconds: 45000, Windows: 13, NextStart: at("2026-03-03T00:00:00Z"), NextEnd: at("2026-03-03T01:00:00Z"),
			NextDue: at("2026-03-03T01:30:00Z"), Pace: 12, CaughtUpAt: at("2026-03-05T13:03:00Z"),
		}},
		"at its end": {"2026-03-03T00:00:00Z", "2026-03-03T00:00:00Z", recent, forecast{Done: true}},
		"not known yet": {"2026-03-05T09:30:00Z", "", nil, forecast{
			BehindSeconds: 7200, Windows: 2, NextStart: at("2026-03-05T09:30:00Z"), NextEnd: at("2026-03-05T10:30:00Z"), NextDue: at("2026-03-05T11:00:00Z"),
		}},
	} {
		own := s
		if row.end != "" {
			own.EndDate = at(row.end)
		}
		if got := forecastOf(own, ledger.Source{State: at(row.state)}, row.recent, now); got != row.want {
			t.Errorf("%s: %+v, want %+v", name, got, row.want)
		}
	}
}
