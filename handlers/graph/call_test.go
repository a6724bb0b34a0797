package graph

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRequestsAreRepeatedAsTheirFailureAsks(t *testing.T) {
	t.Parallel()
	reset := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	tests := []struct {
		name    string
		failure http.HandlerFunc
		tries   int // until the client gives up
		want    Meaning
	}{
		{"429 without Retry-After", refuse(429, "ApplicationThrottled"), 5, Throttled},
		{"408", say(408, ""), 5, Transient},
		{"502", say(502, "<html>"), 5, Transient},
		{"503", refuse(503, "ErrorMailboxStoreUnavailable"), 5, Transient},
		{"504", say(504, ""), 5, Transient},
		{"509", say(509, ""), 5, Transient},
		{"500", say(500, "<html>"), 3, Transient},
		{"move", refuse(503, "ErrorMailboxMoveInProgress"), 2, Moving},
		{"connection reset", reset, 5, Transient},
		{"truncated", say(200, `{"value":[`), 5, Transient},
		{"empty 200", say(200, ""), 5, Transient},
		{"404 without a body", say(404, ""), 3, Transient},
		{"404", refuse(404, "ErrorItemNotFound"), 1, NoMailbox}, // of the probe
		{"no mailbox", refuse(404, "MailboxNotEnabledForRESTAPI"), 1, NoMailbox},
		{"denied", refuse(403, "ErrorAccessDenied"), 1, Denied},
		{"bad request", refuse(400, "BadRequest"), 1, Bad},
		{"redirect", say(302, "", "Location", "https://example.com/"), 1, Broken},
		{"JSON of another shape", say(200, `[1,2]`), 1, Broken},
		{"JSON that is no object", say(200, `"x"`), 1, Broken},
		{"null", say(200, `null`), 1, Broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := inTurn(tt.failure)
			b := newBench(t, a)
			err := b.log.Error(b.client.ProbeMailbox(t.Context(), "u1"))
			if MeaningOf(err) != tt.want {
				t.Fatalf("ProbeMailbox = %v, want %s", err, tt.want)
			}
			if a.count() != tt.tries {
				t.Errorf("asked %d times, want %d", a.count(), tt.tries)
			}
			if strings.Contains(err.Error(), "127.0.0.1") {
				t.Errorf("error text shows too much: %q", err)
			}
			if tt.tries == 1 {
				return
			}
			b = newBench(t, inTurn(tt.failure, inbox))
			if err := b.client.ProbeMailbox(t.Context(), "u1"); err != nil {
				t.Errorf("after one failure: %v", err)
			}
			if b.clock.total() <= 0 {
				t.Error("the second attempt did not wait")
			}
		})
	}
}

func TestRetryAfterIsWaitedForAndFencesTheMailbox(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"7":                             7 * time.Second,
		"2.128":                         3 * time.Second,
		"Wed, 04 Mar 2026 12:00:30 GMT": 30 * time.Second,
	} {
		b := newBench(t, inTurn(refuse(429, "ApplicationThrottled", "Retry-After", header), inbox))
		if err := b.client.ProbeMailbox(t.Context(), "u1"); err != nil {
			t.Fatal(err)
		}
		if b.clock.total() != want {
			t.Errorf("Retry-After %q: waited %v, want %v", header, b.clock.total(), want)
		}
		for _, part := range []string{`"msg":"graph throttled"`, `"custodian":"u1"`, `"waitMs":`} {
			if !strings.Contains(b.log.String(), part) {
				t.Errorf("log %q lacks %s", b.log, part)
			}
		}
	}
}

func TestRetryAfterBeyondMaxWaitComesBackAsThrottled(t *testing.T) {
	t.Parallel()
	for _, status := range []int{429, 503} {
		a := inTurn(say(status, "", "Retry-After", "600"), inbox)
		b := newBench(t, a)
		until := b.clock.Now().Add(10 * time.Minute)
		for range 2 { // the second call does not even ask
			err := b.client.ProbeMailbox(t.Context(), "u1")
			if MeaningOf(err) != Throttled || !Until(err).Equal(until) {
				t.Errorf("%d: ProbeMailbox = %v until %v, want throttled until %v", status, err, Until(err), until)
			}
		}
		if a.count() != 1 || b.clock.total() != 0 {
			t.Errorf("%d: asked %d times, waited %v, want once and not at all", status, a.count(), b.clock.total())
		}
		if err := b.client.ProbeMailbox(t.Context(), "u2"); err != nil {
			t.Errorf("%d: another mailbox: %v", status, err)
		}
	}
}

func TestThrottlingOfTheAppStopsEveryMailbox(t *testing.T) {
	t.Parallel()
	a := inTurn(refuse(429, "TooManyRequests", "Retry-After", "600",
		"x-ms-throttle-scope", "Tenant_Application/ReadWrite/app/tenant"), inbox)
	b := newBench(t, a)
	for _, user := range []string{"u1", "u2"} {
		if err := b.client.ProbeMailbox(t.Context(), user); MeaningOf(err) != Throttled {
			t.Errorf("ProbeMailbox(%s) = %v, want throttled", user, err)
		}
	}
	if a.count() != 1 {
		t.Errorf("asked %d times, want once", a.count())
	}
}

func TestARefusedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	challenge := base64.StdEncoding.EncodeToString([]byte(`{"access_token":{"acrs":1}}`))
	tests := []struct {
		name   string
		header []string
		claims string // part of what the credential is asked for
	}{
		{"expired", nil, `"nbf"`},
		{"claims challenge", []string{"WWW-Authenticate", `Bearer realm="", error="insufficient_claims", claims="` + challenge + `"`},
			`{"access_token":{"acrs":1}}`},
	}
	for _, tt := range tests {
		cred := &tokens{}
		a := inTurn(refuse(401, "InvalidAuthenticationToken", tt.header...), inbox)
		b := newBench(t, a, func(o *Options) { o.Credential, o.Scope = cred, "s" })
		if err := b.client.ProbeMailbox(t.Context(), "u1"); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if len(cred.asked) != 2 || cred.asked[0].Claims != "" || !strings.Contains(cred.asked[1].Claims, tt.claims) {
			t.Errorf("%s: asked for %+v", tt.name, cred.asked)
		}
		if err := b.client.ProbeMailbox(t.Context(), "u1"); err != nil || cred.asked[2].Claims != "" {
			t.Errorf("%s: the next call asked for claims again: %v", tt.name, err)
		}

		a = inTurn(refuse(401, "InvalidAuthenticationToken", tt.header...))
		b = newBench(t, a, func(o *Options) { o.Credential, o.Scope = &tokens{}, "s" })
		if err := b.client.ProbeMailbox(t.Context(), "u1"); MeaningOf(err) != Unauthorized || a.count() != 2 {
			t.Errorf("%s: refused for ever: %v after %d, want unauthorized after 2", tt.name, err, a.count())
		}
	}
}

func TestAUserWithoutMailboxCostsNoFreshToken(t *testing.T) {
	t.Parallel()
	cred := &tokens{}
	b := newBench(t, inTurn(refuse(401, "AuthenticationError")), func(o *Options) { o.Credential, o.Scope = cred, "s" })
	if err := b.client.ProbeMailbox(t.Context(), "u1"); MeaningOf(err) != NoMailbox {
		t.Errorf("ProbeMailbox = %v, want no mailbox", err)
	}
	for _, o := range cred.asked {
		if o.Claims != "" {
			t.Errorf("asked for claims %q", o.Claims)
		}
	}
}

func TestTheContextsEndPassesThrough(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	b := newBench(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	if err := b.client.ProbeMailbox(ctx, "u1"); err != context.Canceled {
		t.Errorf("ProbeMailbox = %v, want context.Canceled itself", err)
	}
	if err := b.client.ProbeMailbox(ctx, "u1"); err != context.Canceled {
		t.Errorf("ProbeMailbox with an ended context = %v, want context.Canceled itself", err)
	}
}

func TestAPanicOfTheSDKIsAnError(t *testing.T) {
	t.Parallel()
	b := newBench(t, inbox)
	err := b.client.do(t.Context(), call{op: "try it", mailbox: "u1"}, func(context.Context) error { panic("alice@contoso.com") })
	if MeaningOf(b.log.Error(err)) != Broken {
		t.Errorf("do = %v, want broken", err)
	}
	if err := b.client.ProbeMailbox(t.Context(), "u1"); err != nil {
		t.Errorf("the slot was not given back: %v", err)
	}
}

func TestControlCharactersInStringsDoNotSpoilAnAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t, say(200, "{\"id\":\"x\",\"displayName\":\"a\x01b\"}"))
	if err := b.client.ProbeMailbox(t.Context(), "u1"); err != nil {
		t.Errorf("ProbeMailbox = %v", err)
	}
}

func TestAnAnswerWithoutContentTypeIsRead(t *testing.T) {
	t.Parallel()
	b := newBench(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		_, _ = w.Write([]byte(`{"id":"x"}`))
	}))
	if err := b.client.ProbeMailbox(t.Context(), "u1"); err != nil {
		t.Errorf("ProbeMailbox = %v", err)
	}
}

func TestThrottledAnswersDoNotCostConnections(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 40<<10)
	a := inTurn(say(429, big), say(429, big), say(429, big), inbox)
	remotes := map[string]bool{}
	b := newBench(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		remotes[r.RemoteAddr] = true
		a.ServeHTTP(w, r)
	}))
	if err := b.client.ProbeMailbox(t.Context(), "u1"); err != nil {
		t.Fatal(err)
	}
	if len(remotes) != 1 {
		t.Errorf("four requests used %d connections, want 1", len(remotes))
	}
}

func TestBackoffDoublesUpToABound(t *testing.T) {
	t.Parallel()
	for try, full := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 6: 30 * time.Second, 1000: 30 * time.Second,
	} {
		for range 100 {
			if d := backoff(try); d < full/2 || d > full {
				t.Fatalf("backoff(%d) = %v, want between %v and %v", try, d, full/2, full)
			}
		}
	}
}

func TestAnUnreachableServerIsTransient(t *testing.T) {
	t.Parallel()
	b := newBench(t, inbox, func(o *Options) { o.Transport = failing{} })
	err := b.client.ProbeMailbox(t.Context(), "alice@contoso.com")
	if MeaningOf(err) != Transient || err.Error() != "probe mailbox: ConnectionFailed (transient)" {
		t.Errorf("ProbeMailbox = %v", err)
	}
}

type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }
