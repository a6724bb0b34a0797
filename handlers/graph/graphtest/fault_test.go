package graphtest_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/graph/graphtest"
)

// at matches the requests to a path.
func at(path string) func(graphtest.Request) bool {
	return func(r graphtest.Request) bool { return r.Path == "GET "+path }
}

const (
	listPath  = "/users/{id}/mailFolders/{id}/messages"
	valuePath = "/users/{id}/messages/{id}/$value"
	adasInbox = "/users/id-ada/mailFolders/inbox/messages?" + window + "&$orderby=receivedDateTime"
	adasMail  = "/users/id-ada/messages/AAkA-m1/$value"
)

// withMail has Ada's Inbox hold so many messages, the one in the middle changed.
func withMail(n int, change func(*graphtest.Message)) func(*graphtest.Tenant, *graphtest.Options) {
	return func(world *graphtest.Tenant, _ *graphtest.Options) {
		inbox := world.User("id-ada").Folder("inbox")
		inbox.Messages = letters("m", n)
		change(inbox.Messages[n/2])
	}
}

func TestAMessageBecomesVisibleWhenItsTimeHasCome(t *testing.T) {
	t.Parallel()
	b := newBench(t, withMail(3, func(m *graphtest.Message) { m.VisibleAfter = noon().Add(time.Minute) }))
	b.Mutate(func(world *graphtest.Tenant) {
		u := world.User("id-ada")
		u.Folder("Unread").Messages = u.Folder("inbox").Messages[1:2]
	})
	lists := []string{adasInbox, "/users/id-ada/messages?" + window, "/users/id-ada/mailFolders/F-search/messages?" + window}
	count := func() (n int) {
		for _, list := range lists {
			for _, id := range b.get(t, list+"&$count=true", "Prefer", immutable).page(t).ids() {
				if id == "AAkA-m1" {
					n++
				}
			}
		}
		return n
	}
	if n := count(); n != 0 {
		t.Errorf("listed %d times before its time", n)
	}
	if p := b.get(t, adasInbox+"&$count=true").page(t); *p.Count != 2 {
		t.Errorf("counted %d, want 2", *p.Count)
	}
	for _, path := range []string{adasMail, "/users/id-ada/messages/AAkA-m1", "/users/id-ada/mailFolders/inbox/messages/AAkA-m1"} {
		if a := b.get(t, path); a.status != 200 {
			t.Errorf("%s: %d, want 200", path, a.status)
		}
	}
	b.clock.Advance(time.Minute)
	if n := count(); n != 3 {
		t.Errorf("listed in %d lists when its time has come, want 3", n)
	}
}

func TestAMessageSpoilsThePagesThatWouldHoldIt(t *testing.T) {
	t.Parallel()
	const cut = "cut"
	tests := []struct {
		fault graphtest.ListFault
		above int
		query string // appended
		want  string // ids of the page, a code, or cut
	}{
		{graphtest.ListRefused, 0, "", "InternalServerError"},
		{graphtest.ListRefused, 0, "&$top=2", "AAkA-m0 AAkA-m1"},
		{graphtest.ListRefused, 0, "&$top=2&$skip=1", "InternalServerError"},
		{graphtest.ListRefused, 0, "&$top=1&$skip=2", "ErrorContentConversionFailed"},
		{graphtest.ListRefused, 0, "&$top=2&$skip=3", "AAkA-m3 AAkA-m4"},
		{graphtest.ListRefused, 2, "&$top=3", "InternalServerError"},
		{graphtest.ListRefused, 2, "&$top=2&$skip=2", "AAkA-m2 AAkA-m3"},
		{graphtest.ListCut, 0, "", cut},
		{graphtest.ListCut, 0, "&$top=1&$skip=2", cut},
		{graphtest.ListCut, 0, "&$top=1&$skip=3", "AAkA-m3"},
		{graphtest.ListCut, 1, "&$top=2&$skip=2", cut},
		{graphtest.ListCut, 1, "&$top=1&$skip=2", "AAkA-m2"},
		{"", 0, "", "AAkA-m0 AAkA-m1 AAkA-m2 AAkA-m3 AAkA-m4"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.fault, tt.above, tt.query), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, withMail(5, func(m *graphtest.Message) { m.ListFault, m.ListFaultAbove = tt.fault, tt.above }))
			a := b.get(t, adasInbox+tt.query, "Prefer", immutable)
			switch {
			case tt.want == cut:
				if a.status != 200 || a.err != nil || !bytes.HasSuffix(a.body, []byte(`"value":[`)) {
					t.Errorf("%d %q %v, want a body that breaks off", a.status, a.body, a.err)
				}
			case a.status == 200:
				if got := strings.Join(a.page(t).ids(), " "); got != tt.want {
					t.Errorf("ids %q, want %q", got, tt.want)
				}
			default:
				if a.status != 500 || a.code() != tt.want {
					t.Errorf("%d %q, want %q", a.status, a.code(), tt.want)
				}
			}
			b.broken(t, "")
		})
	}
}

func TestAMessageWhoseRowCannotBeHadMayStillHaveItsMIME(t *testing.T) {
	t.Parallel()
	for _, fault := range []graphtest.ListFault{graphtest.ListRefused, graphtest.ListCut} {
		b := newBench(t, withMail(3, func(m *graphtest.Message) { m.ListFault = fault }))
		if a := b.get(t, "/users/id-ada/messages/AAkA-m1"); a.code() != "ErrorContentConversionFailed" {
			t.Errorf("%s: the row by its id: %d %s", fault, a.status, a.body)
		}
		if a := b.get(t, adasMail); a.status != 200 {
			t.Errorf("%s: MIME %d, want 200", fault, a.status)
		}
	}
	b := newBench(t, withMail(3, func(m *graphtest.Message) { m.NoMIME = true }))
	for range 3 {
		if a := b.get(t, adasMail); a.status != 500 || a.code() != "ErrorMimeContentConversionFailed" {
			t.Errorf("MIME: %d %s, want a failure for ever", a.status, a.code())
		}
	}
	if a := b.get(t, adasInbox, "Prefer", immutable); len(a.page(t).Value) != 3 {
		t.Errorf("list: %q", a.page(t).ids())
	}
	if got := b.Served("id-ada", "AAkA-m1"); len(got) != 0 {
		t.Errorf("Served = %q, want nothing", got)
	}
}

func TestPagesGoWrongAsAsked(t *testing.T) {
	t.Parallel()
	for fault, check := range map[graphtest.PageFault]func(t *testing.T, b *bench, p page) bool{
		graphtest.PageEmpty: func(t *testing.T, b *bench, p page) bool {
			next := b.get(t, p.Next, "Prefer", immutable).page(t)
			return len(p.Value) == 0 && next.ids()[0] == "AAkA-m0"
		},
		graphtest.PageSameLink: func(t *testing.T, b *bench, p page) bool {
			return len(p.Value) == 2 && b.get(t, p.Next, "Prefer", immutable).page(t).ids()[0] == "AAkA-m0"
		},
		graphtest.PageSameRows: func(t *testing.T, b *bench, p page) bool {
			next := b.get(t, p.Next, "Prefer", immutable).page(t)
			return slices.Equal(next.ids(), p.ids()) && next.Next != p.Next
		},
		graphtest.PageDuplicates: func(t *testing.T, b *bench, p page) bool {
			return b.get(t, p.Next, "Prefer", immutable).page(t).ids()[0] == p.ids()[1]
		},
		graphtest.PageForeign: func(_ *testing.T, b *bench, p page) bool {
			return len(p.Value) == 2 && p.Next != "" && !strings.HasPrefix(p.Next, b.root)
		},
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.Fault(at(listPath), 1, graphtest.Fault{Page: fault})
			p := b.get(t, adasInbox+"&$top=2", "Prefer", immutable).page(t)
			if !check(t, b, p) {
				t.Errorf("rows %q, next %q", p.ids(), p.Next)
			}
		})
	}
}

func TestFaultsSpoilAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault graphtest.Fault
		good  func(a answer) bool
	}{
		{"404 without a body", graphtest.Fault{Status: 404, Empty: true},
			func(a answer) bool { return a.status == 404 && len(a.body) == 0 && a.code() == "" }},
		{"a decimal Retry-After", graphtest.Fault{Status: 429, Code: "ApplicationThrottled", RetryAfter: "2.128"},
			func(a answer) bool {
				return a.status == 429 && a.code() == "ApplicationThrottled" && a.header.Get("Retry-After") == "2.128"
			}},
		{"a gateway's page", graphtest.Fault{Status: 502, Body: []byte("<html>"), ContentType: "text/html"},
			func(a answer) bool {
				return a.status == 502 && string(a.body) == "<html>" && a.header.Get("Content-Type") == "text/html"
			}},
		{"no code", graphtest.Fault{Status: 503}, func(a answer) bool { return a.status == 503 && a.code() == "UnknownError" }},
		{"another body", graphtest.Fault{Body: []byte("{}")}, func(a answer) bool { return a.status == 200 && string(a.body) == "{}" }},
		{"nothing", graphtest.Fault{Empty: true}, func(a answer) bool { return a.status == 200 && len(a.body) == 0 && a.err == nil }},
		{"an early end", graphtest.Fault{Truncate: 30}, func(a answer) bool { return a.status == 200 && len(a.body) == 30 && a.err == nil }},
		{"a reset in the body", graphtest.Fault{CutAfter: 30}, func(a answer) bool { return a.err != nil && len(a.body) <= 30 }},
		{"a reset before the status", graphtest.Fault{CutAfter: -1}, func(a answer) bool { return a.err != nil && a.status == 0 }},
		{"a header", graphtest.Fault{Header: http.Header{"x-ms-throttle-scope": {"Application"}}},
			func(a answer) bool { return a.status == 200 && a.header.Get("x-ms-throttle-scope") == "Application" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.Fault(at(listPath), 2, tt.fault)
			for range 2 {
				if a := b.get(t, adasInbox, "Accept-Encoding", "identity"); !tt.good(a) {
					t.Errorf("%d %v %q %v", a.status, a.header, a.body, a.err)
				}
			}
			if a := b.get(t, adasInbox); a.status != 200 || len(a.page(t).Value) != 5 {
				t.Errorf("after the fault: %d %q", a.status, a.body)
			}
		})
	}
}

func TestAResetMIMEIsNotServed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Fault(at(valuePath), 1, graphtest.Fault{CutAfter: 10})
	if a := b.get(t, adasMail, "Accept-Encoding", "identity"); a.err == nil {
		t.Errorf("%d %q, want a reset", a.status, a.body)
	}
	if got := b.Served("id-ada", "AAkA-m1"); len(got) != 0 {
		t.Errorf("Served = %q, want nothing", got)
	}
	b.get(t, adasMail)
	if got := b.Served("id-ada", "AAkA-m1"); len(got) != 1 || b.Fetches("id-ada", "AAkA-m1") != 2 {
		t.Errorf("Served = %q after %d fetches, want one after 2", got, b.Fetches("id-ada", "AAkA-m1"))
	}
}

func TestMailboxesFailWithTheirProblem(t *testing.T) {
	t.Parallel()
	for problem, want := range map[string]string{
		graphtest.ProblemDenied:       "403 ErrorAccessDenied",
		graphtest.ProblemOutOfScope:   "403 ErrorAccessDenied",
		graphtest.ProblemInsufficient: "403 Authorization_RequestDenied",
		graphtest.ProblemLapsed:       "403 notAllowed",
		graphtest.ProblemLocked:       "403 resourceLocked",
		graphtest.ProblemUnauthorized: "401 AuthenticationError",
		graphtest.ProblemTokenExpired: "401 InvalidAuthenticationToken",
		graphtest.ProblemUnconsented:  "401 UnknownError",
		graphtest.ProblemInactive:     "404 MailboxNotEnabledForRESTAPI",
		graphtest.ProblemNotSupported: "404 MailboxNotSupportedForRESTAPI",
		graphtest.ProblemInvalidUser:  "404 ErrorInvalidUser",
		graphtest.ProblemUndiscovered: "404 ResourceNotFound",
		graphtest.ProblemNoObject:     "404 Request_ResourceNotFound",
		graphtest.ProblemNonExistent:  "404 ErrorNonExistentMailbox",
		graphtest.ProblemNoFolders:    "404 ErrorItemNotFound",
		graphtest.ProblemMoving:       "503 ErrorMailboxMoveInProgress",
		graphtest.ProblemStore:        "503 ErrorMailboxStoreUnavailable",
		graphtest.ProblemStoreShort:   "503 MailboxStoreUnavailable",
		graphtest.ProblemBusy:         "503 ErrorServerBusy",
		graphtest.ProblemTimeout:      "503 ErrorTimeoutExpired",
		graphtest.ProblemTransient:    "500 ErrorInternalServerTransientError",
		graphtest.ProblemDirectory:    "503 ErrorADUnavailable",
		graphtest.ProblemConnection:   "503 ErrorConnectionFailed",
		"of tomorrow":                 "404 MailboxNotEnabledForRESTAPI",
	} {
		b := newBench(t, func(world *graphtest.Tenant, _ *graphtest.Options) { world.User("id-ada").Problem = problem })
		for _, path := range []string{"/mailFolders/inbox", "/mailFolders/delta", "/messages", "/messages/AAkA-m1/$value"} {
			a := b.get(t, "/users/id-ada"+path)
			if got := fmt.Sprint(a.status, " ", a.code()); got != want {
				t.Errorf("%s: %s = %q, want %q", problem, path, got, want)
			}
		}
		if a := b.get(t, "/users/id-ada"); a.status != 200 {
			t.Errorf("%s: the directory answers %d, want 200", problem, a.status)
		}
		if a := b.get(t, "/users/id-bob/messages"); a.status != 200 {
			t.Errorf("%s: another mailbox answers %d, want 200", problem, a.status)
		}
	}
}

func TestAMailboxOverItsQuotaHasNoDelta(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(world *graphtest.Tenant, _ *graphtest.Options) {
		world.User("id-ada").Problem = graphtest.ProblemQuota
	})
	if a := b.get(t, "/users/id-ada/mailFolders/delta"); a.status != 507 || a.code() != "ErrorQuotaExceeded" {
		t.Errorf("delta: %d %s", a.status, a.code())
	}
	for _, path := range []string{"/mailFolders", "/messages", "/messages/AAkA-m1/$value"} {
		if a := b.get(t, "/users/id-ada"+path); a.status != 200 {
			t.Errorf("%s: %d, want 200", path, a.status)
		}
	}
}

func TestAThrottleOfItsScopeStandsForItsTime(t *testing.T) {
	t.Parallel()
	for scope, others := range map[graphtest.ThrottleScope]int{graphtest.ScopeTenant: 429, graphtest.ScopeApp: 200} {
		t.Run(string(scope), func(t *testing.T) {
			t.Parallel()
			one := newBench(t, withSignIn)
			two := *one
			one.signIn(t, "app-1", "one")
			two.signIn(t, "app-2", "two")
			one.Fault(at(listPath), 1, graphtest.Fault{Scope: scope, Lasts: 30 * time.Second})
			if a := two.get(t, "/users/id-ada"); a.status != 200 {
				t.Fatalf("before: %d", a.status)
			}
			a := one.get(t, adasInbox)
			if a.status != 429 || a.code() != "TooManyRequests" || a.header.Get("Retry-After") != "30" ||
				!strings.HasPrefix(a.header.Get("x-ms-throttle-scope"), string(scope)+"/ReadWrite/app-1/") {
				t.Errorf("%d %s %v", a.status, a.code(), a.header)
			}
			one.clock.Advance(10 * time.Second)
			if a := one.get(t, "/users/id-bob/mailFolders/inbox"); a.status != 429 || a.header.Get("Retry-After") != "20" {
				t.Errorf("another mailbox: %d, Retry-After %q, want 429 for 20", a.status, a.header.Get("Retry-After"))
			}
			if a := one.get(t, "/users/id-ada"); a.status != 429 {
				t.Errorf("the directory: %d, want 429", a.status)
			}
			if a := two.get(t, "/users/id-ada"); a.status != others {
				t.Errorf("another app: %d, want %d", a.status, others)
			}
			two.signIn(t, "app-2", "two")
			one.clock.Advance(20 * time.Second)
			if a := one.get(t, adasInbox); a.status != 200 {
				t.Errorf("afterwards: %d, want 200", a.status)
			}
		})
	}
}

func TestATokenExpiresInTheMiddleOfAList(t *testing.T) {
	t.Parallel()
	b := newBench(t, withSignIn, func(_ *graphtest.Tenant, o *graphtest.Options) { o.TokenLifetime = time.Minute })
	b.signIn(t, "app-1", "one")
	p := b.get(t, adasInbox+"&$top=2", "Prefer", immutable).page(t)
	b.clock.Advance(time.Minute)
	a := b.get(t, p.Next, "Prefer", immutable)
	if a.status != 401 || a.code() != "InvalidAuthenticationToken" || a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("%d %s %v", a.status, a.code(), a.header)
	}
	b.signIn(t, "app-1", "one")
	if ids := b.get(t, p.Next, "Prefer", immutable).page(t).ids(); !slices.Equal(ids, []string{"AAkA-m2", "AAkA-m3"}) {
		t.Errorf("with a new token: %q", ids)
	}
	b.OnRequest(func(graphtest.Request) { b.RevokeTokens() })
	b.get(t, p.Next, "Prefer", immutable)
	if a := b.get(t, p.Next, "Prefer", immutable); a.status != 401 {
		t.Errorf("revoked: %d, want 401", a.status)
	}
}

func TestAFifthRequestInFlightIsThrottled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	arrived, leave := make(chan struct{}), make(chan struct{})
	b.OnRequest(func(graphtest.Request) {
		arrived <- struct{}{}
		<-leave
	})
	statuses := make(chan int)
	for i := range 5 {
		go func() { statuses <- b.get(t, adasInbox).status }()
		<-arrived
		if i == 3 {
			b.broken(t, "")
		}
	}
	go func() { statuses <- b.get(t, "/users/id-bob/messages").status }()
	<-arrived
	close(leave)
	var got []int
	for range 6 {
		got = append(got, <-statuses)
	}
	slices.Sort(got)
	if want := []int{200, 200, 200, 200, 200, 429}; !slices.Equal(got, want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
	b.broken(t, "more than 4 requests in flight")
	if n := b.MostInFlight("id-ada"); n != 5 {
		t.Errorf("MostInFlight = %d, want 5", n)
	}
}

// TestTheTenThousandAndFirstRequestIsThrottled also has refused requests count: Graph goes on counting while it throttles.
func TestTheTenThousandAndFirstRequestIsThrottled(t *testing.T) {
	t.Parallel()
	now := graphtest.NewClock(noon())
	s := graphtest.NewServer(tenant(), graphtest.Options{Anonymous: true, Now: now.Now})
	s.Fault(at(listPath), 100, graphtest.Fault{Status: 429, RetryAfter: "1"})
	ask := func(user, path string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "http://graph.example/v1.0/users/"+user+path, nil))
		return rec
	}
	const list = "/mailFolders/F-del/messages"
	for i := range 10_000 {
		want := 200
		if i < 100 {
			want = 429
		}
		if rec := ask("id-ada", list); rec.Code != want {
			t.Fatalf("request %d: %d, want %d", i+1, rec.Code, want)
		}
		if i == 1 { // the two that must be forgotten for one more to be let through
			now.Advance(time.Minute)
		}
	}
	if got := s.Violations(); len(got) != 0 {
		t.Fatalf("Violations = %q", got)
	}
	rec := ask("id-ada", list)
	if rec.Code != 429 || rec.Header().Get("Retry-After") != "540" || len(s.Violations()) != 1 ||
		!strings.Contains(s.Violations()[0], "10,000 requests in 10 minutes") {
		t.Errorf("the next: %d, Retry-After %q, violations %q", rec.Code, rec.Header().Get("Retry-After"), s.Violations())
	}
	if rec := ask("id-bob", "/messages"); rec.Code != 200 {
		t.Errorf("another mailbox: %d, want 200", rec.Code)
	}
	if rec := ask("id-ada", ""); rec.Code != 200 {
		t.Errorf("the directory: %d, want 200", rec.Code)
	}
	if got := s.Requests()["GET "+listPath]; got != 10_001 {
		t.Errorf("counted %d, want 10,001", got)
	}
	now.Advance(10 * time.Minute)
	if rec := ask("id-ada", list); rec.Code != 200 {
		t.Errorf("ten minutes later: %d, want 200", rec.Code)
	}
}

func TestChaosDependsOnSeedAndNumberAlone(t *testing.T) {
	t.Parallel()
	run := func(seed uint64, rate float64) (statuses []int) {
		s := graphtest.NewServer(tenant(), graphtest.Options{Anonymous: true, Chaos: graphtest.Chaos{Rate: rate, Seed: seed}})
		for range 60 {
			statuses = append(statuses, func() (status int) {
				defer func() {
					if recover() != nil {
						status = -1 // a reset
					}
				}()
				rec := httptest.NewRecorder()
				s.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "http://graph.example/v1.0/users/id-ada", nil))
				return rec.Code
			}())
		}
		return statuses
	}
	a, b, c := run(1, 0.3), run(1, 0.3), run(2, 0.3)
	if !slices.Equal(a, b) || slices.Equal(a, c) {
		t.Errorf("runs %v, %v and %v, want the first two alike", a, b, c)
	}
	for rate, want := range map[float64][2]int{0: {60, 60}, 0.3: {30, 55}, 1: {0, 12}} { // a body cut short has status 200 too
		good := 0
		for _, status := range run(1, rate) {
			if status == 200 {
				good++
			}
		}
		if good < want[0] || good > want[1] {
			t.Errorf("rate %v: %d of 60 with status 200, want %v", rate, good, want)
		}
	}
}
