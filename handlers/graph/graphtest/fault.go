package graphtest

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A Request is what hooks and faults see of a request, alone or in a batch.
type Request struct {
	Method     string
	Path       string // method and template, "GET /users/{id}/messages/{id}/$value"
	User       string // object id; as sent if there is no such user
	Folder     string // folder id or well-known name as sent
	Group      string // id of a group as sent
	Item       string // immutable id; as sent if there is no such message
	Attachment string // id of an attachment as sent
	Query      string // raw query
	App        string // client id of the app; empty for an anonymous client and for the sign-in
	N          int    // running number of the server's requests, from 1
	Batch      bool   // is part of a batch
}

// A PageFault is one of the ways in which Graph's paging has been seen to go wrong.
type PageFault string

// The faults of a page of messages or folders.
const (
	PageEmpty      PageFault = "empty"      // no rows, and a nextLink to the same position
	PageSameLink   PageFault = "sameLink"   // the nextLink is the link of the page itself
	PageSameRows   PageFault = "sameRows"   // a new nextLink each time, always to the same rows
	PageDuplicates PageFault = "duplicates" // the last row comes again as the first of the next page
	PageForeign    PageFault = "foreign"    // the nextLink leads to another host, where a token must not go
)

// A Fault is an answer that is not the true one. With a Status the answer is an error of that status; without, it is
// the true answer with what the other fields do to it.
type Fault struct {
	Status      int
	Code        string      // error code; Body wins over it
	RetryAfter  string      // as sent: "2", "2.128", a date
	Header      http.Header // further headers
	Body        []byte
	ContentType string
	Empty       bool          // no body at all
	Truncate    int64         // whole by HTTP's account, but the body ends after so many bytes
	CutAfter    int64         // the connection is reset after so many bytes of body; below zero: before the status
	Delay       time.Duration // before the answer
	Page        PageFault

	// Scope makes the fault a throttle that stands for Lasts from the request on which it falls, for all that it covers: 429
	// TooManyRequests with x-ms-throttle-scope, and a Retry-After of what is left unless RetryAfter says otherwise ("Microsoft
	// Graph throttling guidance"). The sign-in is no part of Graph and not covered.
	Scope ThrottleScope
	Lasts time.Duration
}

// A ThrottleScope is what a throttle covers beyond one mailbox.
type ThrottleScope string

// The scopes of a throttle, as the first part of x-ms-throttle-scope names them.
const (
	ScopeTenant ThrottleScope = "Tenant"             // all apps in the tenant
	ScopeApp    ThrottleScope = "Tenant_Application" // one app in the tenant
)

// A standing is a throttle that has begun.
type standing struct {
	fault Fault
	app   string // whose request began it
	until time.Time
}

// Chaos makes faults by chance: Rate of all requests (0 to 1) fail, each in one of the ways that a client must stand.
// Which do depends on Seed and the running number alone.
type Chaos struct {
	Rate float64
	Seed uint64
}

type plannedFault struct {
	match func(Request) bool
	left  int // below zero: for ever
	fault Fault
}

type faults struct {
	tenant  string // directory id
	mu      sync.Mutex
	planned []*plannedFault
	chaos   Chaos
	wides   []standing
}

// wide gives the throttle that a request falls under, if one stands.
func (f *faults) wide(r Request, now time.Time) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wides = slices.DeleteFunc(f.wides, func(s standing) bool { return !now.Before(s.until) })
	for _, s := range f.wides {
		if s.fault.Scope == ScopeTenant || s.app == r.App {
			return s.left(now), true
		}
	}
	return Fault{}, false
}

// widen begins the throttle that a fault with a scope is; any other fault it leaves as it is.
func (f *faults) widen(r Request, fault Fault, now time.Time) Fault {
	if fault.Scope == "" {
		return fault
	}
	fault.Status = http.StatusTooManyRequests
	if fault.Code == "" {
		fault.Code = "TooManyRequests"
	}
	fault.Header = fault.Header.Clone()
	if fault.Header == nil {
		fault.Header = http.Header{}
	}
	fault.Header.Set("x-ms-throttle-scope", string(fault.Scope)+"/ReadWrite/"+r.App+"/"+f.tenant)
	s := standing{fault: fault, app: r.App, until: now.Add(fault.Lasts)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wides = append(f.wides, s)
	return s.left(now)
}

// left is the fault with the time that is left as Retry-After.
func (s standing) left(now time.Time) Fault {
	if s.fault.RetryAfter == "" {
		s.fault.RetryAfter = strconv.Itoa(int(max(1, (s.until.Sub(now)+time.Second-1)/time.Second)))
	}
	return s.fault
}

// next gives the first planned fault that matches, or one by chance.
func (f *faults) next(r Request) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.planned {
		if p.left == 0 || !p.match(r) {
			continue
		}
		if p.left > 0 {
			p.left--
		}
		return p.fault, true
	}
	if f.chaos.Rate <= 0 {
		return Fault{}, false
	}
	random := rand.New(rand.NewPCG(f.chaos.Seed, uint64(r.N)))
	if random.Float64() >= f.chaos.Rate {
		return Fault{}, false
	}
	ways := []Fault{
		{Status: 429, Code: "TooManyRequests", RetryAfter: "1"},
		{Status: 429, Code: "ApplicationThrottled", RetryAfter: "0.4"},
		{Status: 500, Code: "InternalServerError"},
		{Status: 503, Empty: true},
		{Status: 504, Code: "UnknownError", Body: []byte("<html><body>Gateway Timeout</body></html>"), ContentType: "text/html"},
		{CutAfter: 200},
	}
	if !r.streams() {
		ways = append(ways, Fault{Truncate: 40})
	}
	return ways[random.IntN(len(ways))], true
}

// streams reports whether the answer is no JSON, so that a client cannot tell that it was cut where it is whole by HTTP's account.
func (r Request) streams() bool {
	return r.Path == "GET "+pathValue || r.Path == "GET "+pathFolderValue || r.Path == "GET "+pathAttachment
}

// answer is the fault's own answer; only for one with a status.
func (f Fault) answer() *reply {
	code := f.Code
	if code == "" {
		code = "UnknownError"
	}
	r := refuse(f.Status, code, "")
	switch {
	case f.Empty:
		r.body = nil
	case f.Body != nil:
		r.body = f.Body
	}
	return r
}

// spoil does to an answer what the fault says, whether it is the true one or not.
func (f Fault) spoil(r *reply) *reply {
	if f.Status == 0 && f.Body != nil {
		r.body, r.stream = f.Body, nil
	}
	if f.ContentType != "" {
		r.header.Set("Content-Type", f.ContentType)
	}
	if f.RetryAfter != "" {
		r.header.Set("Retry-After", f.RetryAfter)
	}
	for name, values := range f.Header {
		r.header[http.CanonicalHeaderKey(name)] = values
	}
	if f.Empty {
		r.body, r.stream = nil, nil
	}
	if f.Truncate > 0 && int64(len(r.body)) > f.Truncate {
		r.body = r.body[:f.Truncate]
	}
	r.cut = f.CutAfter
	return r
}

// pageLinks gives position and text of the next page's $skip under a fault of paging.
func (p PageFault) next(sent string, skip, count, total int) (rows int, nextSkip string, more bool) {
	rows = min(count, total-skip)
	end := skip + rows
	nextSkip, more = strconv.Itoa(end), end < total
	switch p {
	case PageEmpty:
		return 0, "0" + orZero(sent), true
	case PageSameLink:
		return rows, orZero(sent), true
	case PageSameRows:
		return rows, "0" + orZero(sent), true
	case PageForeign:
		return rows, nextSkip, true
	case PageDuplicates:
		if more && rows > 1 {
			nextSkip = strconv.Itoa(end - 1)
		}
	}
	return rows, nextSkip, more
}

func orZero(s string) string {
	if s == "" {
		return "0"
	}
	return s
}
