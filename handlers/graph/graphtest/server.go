package graphtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options of a server. The zero value is a server with real time that wants a token for everything.
type Options struct {
	Now           func() time.Time // nil: time.Now
	Log           *slog.Logger     // nil: no log; templates, statuses and running numbers only
	Anonymous     bool             // no token needed
	Permissions   []string         // application permissions of every app; nil: DefaultPermissions
	Scoped        []string         // granted by RBAC for Applications besides: they work, and no token names them
	TokenLifetime time.Duration    // 0: an hour
	Latency       time.Duration    // before every answer
	Chaos         Chaos
	National      bool // a cloud whose schema has neither exceptionOccurrences nor cancelledOccurrences (US Government, China)
}

// DefaultPermissions are the application permissions that an app has if [Options] name none. MailboxSettings.Read is
// not among them: who wants userPurpose must do without it as well.
func DefaultPermissions() []string {
	return []string{"Mail.Read", "Calendars.Read", "User.Read.All", "GroupMember.Read.All"}
}

// A Server serves a tenant as Microsoft Graph and its sign-in would. It is an [http.Handler]; [Server.Start] gives it
// an address of its own. All methods may be called at any time, from any goroutine.
type Server struct {
	options Options
	limits  limits
	faults  faults
	tokens  tokens

	world sync.RWMutex // guards tenant and index
	index *index
	owner *Tenant

	mu         sync.Mutex // guards what follows
	number     int
	hook       func(Request)
	latency    time.Duration
	violations []string
	requests   map[string]int
	fetches    map[string]int
	moves      map[string]int // requests to mailboxes that move, by user id
	served     map[string][]string
	links      map[string]bool // continuations given out; true: ids were immutable
	mimeCalls  uint64
	running    *http.Server
	rootPEM    []byte
}

// NewServer serves a tenant, which must from then on be changed through [Server.Mutate] alone.
func NewServer(t *Tenant, o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Permissions == nil {
		o.Permissions = DefaultPermissions()
	}
	if o.TokenLifetime == 0 {
		o.TokenLifetime = time.Hour
	}
	return &Server{
		options: o, owner: t, index: newIndex(t), latency: o.Latency,
		limits:   limits{meters: map[string]*meter{}, most: map[string]int{}},
		faults:   faults{tenant: t.ID, chaos: o.Chaos},
		tokens:   tokens{valid: map[string]token{}},
		requests: map[string]int{}, fetches: map[string]int{}, moves: map[string]int{}, served: map[string][]string{},
		links: map[string]bool{},
	}
}

// A Handle is the part of a *testing.T that a stand-in needs; so a command may link it without the testing package.
type Handle interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Serve starts a server on a free port of loopback for the length of a test, and gives the root for a client,
// "http://127.0.0.1:port/v1.0".
func Serve(t Handle, tenant *Tenant, o Options) (*Server, string) {
	t.Helper()
	s := NewServer(tenant, o)
	url, err := s.Start("127.0.0.1:0", false)
	if err != nil {
		t.Fatalf("start stand-in Graph: %v", err)
	}
	t.Cleanup(s.Close)
	return s, url + "/v1.0"
}

// Start listens and serves until [Server.Close]. The URL has no path; Graph's root is url+"/v1.0", the sign-in
// authority url+"/". With tls the certificate is made on the spot, below the root that [Server.RootPEM] gives.
func (s *Server) Start(listen string, tls bool) (url string, err error) {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	server.ErrorLog = slog.NewLogLogger(s.options.Log.Handler(), slog.LevelDebug)
	scheme := "http"
	if tls {
		scheme = "https"
		root, config, err := selfMade(listener.Addr(), time.Now())
		if err != nil {
			_ = listener.Close()
			return "", fmt.Errorf("make certificate: %w", err)
		}
		server.TLSConfig = config
		s.mu.Lock()
		s.rootPEM = root
		s.mu.Unlock()
	}
	s.mu.Lock()
	s.running = server
	s.mu.Unlock()
	go func() {
		if tls {
			_ = server.ServeTLS(listener, "", "") // ends with Close
			return
		}
		_ = server.Serve(listener)
	}()
	return scheme + "://" + listener.Addr().String(), nil
}

// Close ends the server and its connections at once.
func (s *Server) Close() {
	s.mu.Lock()
	running := s.running
	s.mu.Unlock()
	if running != nil {
		_ = running.Close()
	}
}

// RootPEM is the root certificate of a server started with TLS, to be trusted by its clients; nil without.
func (s *Server) RootPEM() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rootPEM
}

// OnRequest has f called for every request and every part of a batch, before it is answered and while it counts as in
// flight. It may block, and it may use the server.
func (s *Server) OnRequest(f func(Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = f
}

// Fault plans a fault for the next requests that match, so many times; times below one is for ever. Faults planned
// earlier come first.
func (s *Server) Fault(match func(Request) bool, times int, f Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	if times < 1 {
		times = -1
	}
	s.faults.planned = append(s.faults.planned, &plannedFault{match: match, left: times, fault: f})
}

// Violations are the rules that the client broke, in order, each with the request's number and template.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// Served gives the SHA-256, in hex, of every MIME body of a message that was sent to its end, in order.
func (s *Server) Served(userID, immutableID string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.served[userID+" "+immutableID])
}

// Fetches counts the requests for a message's MIME that were begun, whatever came of them.
func (s *Server) Fetches(userID, immutableID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches[userID+" "+immutableID]
}

// Requests counts the requests per method and template, parts of batches included.
func (s *Server) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.requests)
}

// MostInFlight is the highest number of requests that were in flight at once for a user's mailbox.
func (s *Server) MostInFlight(userID string) int {
	s.limits.mu.Lock()
	defer s.limits.mu.Unlock()
	most := 0
	for key, n := range s.limits.most {
		if strings.HasSuffix(key, " "+userID) {
			most = max(most, n)
		}
	}
	return most
}

// Mutate changes the world while no request looks at it.
func (s *Server) Mutate(change func(*Tenant)) {
	s.world.Lock()
	defer s.world.Unlock()
	change(s.owner)
	s.index = newIndex(s.owner)
}

// Slow delays every further answer, beside what [Options] say.
func (s *Server) Slow(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latency = d
}

// ServeHTTP serves Graph below /v1.0 and the sign-in beside it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), "/v1.0")
	if !ok || path != "" && path[0] != '/' {
		s.serveOther(w, r)
		return
	}
	c := &call{
		ctx: r.Context(), method: r.Method, path: path, query: r.URL.RawQuery, header: r.Header,
		base: baseOf(r) + "/v1.0",
	}
	var answer *reply
	if c.app, answer = s.authorize(r); answer == nil {
		answer = s.run(c, r)
	}
	s.finish(c, answer)
	answer.write(w, r)
}

// serveOther serves the sign-in, and refuses every other version of Graph.
func (s *Server) serveOther(w http.ResponseWriter, r *http.Request) {
	c := &call{ctx: r.Context(), method: r.Method, path: r.URL.EscapedPath(), header: r.Header, base: baseOf(r)}
	answer := s.login(c, r)
	s.finish(c, answer)
	answer.write(w, r)
}

// baseOf is the address under which the client reached the server; links must not lead it to another.
func baseOf(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// finish stamps an answer, and writes down what it says about the client.
func (s *Server) finish(c *call, r *reply) {
	clientID := c.header.Get("client-request-id")
	if clientID == "" {
		clientID = randomID()
	}
	requestID := randomID()
	r.stamp(requestID, clientID, s.options.Now())
	r.header.Set("x-ms-ags-diagnostic", `{"ServerInfo":{"DataCenter":"Stand-in","Slice":"E","Ring":"1"}}`)
	if r.violation != "" {
		s.violate(c, r.violation)
	}
	s.options.Log.DebugContext(c.ctx, "request answered", slog.Int("number", c.number), slog.String("method", c.method),
		slog.String("template", c.route.template), slog.Int("status", r.status))
}

func (s *Server) violate(c *call, rule string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violations = append(s.violations, fmt.Sprintf("#%d %s %s: %s", c.number, c.method, c.route.template, rule))
}

func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// wait lets time pass, but not longer than the client waits.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
