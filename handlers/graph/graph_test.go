package graph

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"chainmail/handlers/graph/graphtest"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// testClock stands still but for Sleep, which takes no time and is written down.
type testClock struct {
	mu    sync.Mutex
	now   time.Time
	slept []time.Duration
}

func newTestClock() *testClock {
	return &testClock{now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.slept = append(c.slept, d)
	return ctx.Err()
}

func (c *testClock) total() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var sum time.Duration
	for _, d := range c.slept {
		sum += d
	}
	return sum
}

// bench is a client, and the server that it talks to.
type bench struct {
	client *Client
	clock  *testClock
	url    string
	log    *graphtest.Log
}

func newBench(t *testing.T, h http.Handler, change ...func(*Options)) *bench {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	b := &bench{clock: newTestClock(), url: srv.URL + "/v1.0", log: graphtest.NewLog(t, "secret words", "alice")}
	o := Options{
		Root:  b.url,
		Clock: Clock{Now: b.clock.Now, Sleep: b.clock.Sleep},
		Log:   b.log.Logger(),
	}
	for _, f := range change {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.client = c
	return b
}

// answers is a handler that gives one answer after another, the last one for ever, and counts.
type answers struct {
	mu   sync.Mutex
	n    int
	list []http.HandlerFunc
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	i := min(a.n, len(a.list)-1)
	a.n++
	a.mu.Unlock()
	a.list[i](w, r)
}

func (a *answers) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n
}

func inTurn(list ...http.HandlerFunc) *answers { return &answers{list: list} }

func say(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func refuse(status int, code string, header ...string) http.HandlerFunc {
	body := fmt.Sprintf(`{"error":{"code":%q,"message":"secret words","innerError":{"request-id":"req-1"}}}`, code)
	return say(status, body, header...)
}

var inbox = say(200, `{"id":"inbox-id"}`)

// tokens is a credential that gives a token of its own for every set of claims, and remembers what it was asked.
type tokens struct {
	mu    sync.Mutex
	asked []policy.TokenRequestOptions
	err   error
}

func (c *tokens) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, o)
	return azcore.AccessToken{Token: fmt.Sprintf("token-%d", len(o.Claims))}, c.err
}

func TestNewRefusesRootsThatATokenMayNotTravelTo(t *testing.T) {
	t.Parallel()
	for root, good := range map[string]bool{
		"https://graph.microsoft.com/v1.0":      true,
		"https://graph.microsoft.com/v1.0/":     true,
		"http://127.0.0.1:8080/v1.0":            true,
		"http://[::1]:8080/v1.0":                true,
		"http://localhost:8080/v1.0":            true,
		"https://127.0.0.1:8080/v1.0":           true,
		"http://graph.microsoft.com/v1.0":       false,
		"http://127.0.0.1.example.com/v1.0":     false,
		"https://user:pw@graph.microsoft.com/":  false,
		"https://graph.microsoft.com/v1.0?x=1":  false,
		"https://graph.microsoft.com/v1.0#part": false,
		"graph.microsoft.com/v1.0":              false,
		"ftp://127.0.0.1/v1.0":                  false,
		"":                                      false,
		"https:///v1.0":                         false,
	} {
		if _, err := New(Options{Root: root}); (err == nil) != good {
			t.Errorf("New(Root %q) = %v, want good %v", root, err, good)
		}
	}
	if _, err := New(Options{Root: "https://graph.microsoft.com/v1.0", Credential: &tokens{}}); err == nil {
		t.Error("New with a credential and no scope = nil, want an error")
	}
}

func TestCloudsNamesEachCloudsEndpoints(t *testing.T) {
	t.Parallel()
	want := map[string]Cloud{
		"public": {"https://graph.microsoft.com/v1.0", "https://login.microsoftonline.com/", "https://graph.microsoft.com/.default"},
		"usgov":  {"https://graph.microsoft.us/v1.0", "https://login.microsoftonline.us/", "https://graph.microsoft.us/.default"},
		"usgovdod": {"https://dod-graph.microsoft.us/v1.0", "https://login.microsoftonline.us/",
			"https://dod-graph.microsoft.us/.default"},
		"china": {"https://microsoftgraph.chinacloudapi.cn/v1.0", "https://login.chinacloudapi.cn/",
			"https://microsoftgraph.chinacloudapi.cn/.default"},
	}
	for name, cloud := range want {
		if got, ok := Clouds(name); !ok || got != cloud {
			t.Errorf("Clouds(%q) = %+v, %v, want %+v", name, got, ok, cloud)
		}
		if _, err := New(Options{Root: cloud.Root}); err != nil {
			t.Errorf("New(%q) = %v", cloud.Root, err)
		}
	}
	if _, ok := Clouds("germany"); ok {
		t.Error("Clouds(germany) = true, want false: it closed in 2021")
	}
}

func TestEveryRequestCarriesTokenIDsHeaderAndRequestID(t *testing.T) {
	t.Parallel()
	seen := make(chan http.Header, 1)
	b := newBench(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Clone()
		inbox(w, r)
	}), func(o *Options) { o.Credential, o.Scope = &tokens{}, "https://graph.example/.default" })
	if err := b.client.ProbeMailbox(t.Context(), "u1"); err != nil {
		t.Fatal(err)
	}
	h := <-seen
	if got := h.Get("Authorization"); got != "Bearer token-0" {
		t.Errorf("Authorization = %q", got)
	}
	if got := h.Get("Prefer"); got != `IdType="ImmutableId"` {
		t.Errorf("Prefer = %q", got)
	}
	if got := h.Get("client-request-id"); len(got) != 36 {
		t.Errorf("client-request-id = %q, want a UUID", got)
	}
}

func TestManyCallsAtOnceShareNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, inbox)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			if err := b.client.ProbeMailbox(t.Context(), fmt.Sprint("user", i%3)); err != nil {
				t.Errorf("ProbeMailbox: %v", err)
			}
		})
	}
	wg.Wait()
}
