package graphtest

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// A Request is what hooks and faults see of a request, alone or in a batch.
type Request struct {
	Method string
	Path   string // method and template, "GET /users/{id}/messages/{id}/$value"
	User   string // object id; as sent if there is no such user
	Folder string // folder id or well-known name as sent
	Item   string // immutable id; as sent if there is no such message
	Query  string // raw query
	N      int    // running number of the server's requests, from 1
	Batch  bool   // is part of a batch
}

// A PageFault is one of the ways in which Graph's paging has been seen to go wrong.
type PageFault string

// The faults of a page of messages or folders.
const (
	PageEmpty      PageFault = "empty"      // no rows, and a nextLink to the same position
	PageSameLink   PageFault = "sameLink"   // the nextLink is the link of the page itself
	PageSameRows   PageFault = "sameRows"   // a new nextLink each time, always to the same rows
	PageDuplicates PageFault = "duplicates" // the last row comes again as the first of the next page
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
	mu      sync.Mutex
	planned []*plannedFault
	chaos   Chaos
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
	if r.Path != "GET "+pathValue && r.Path != "GET "+pathFolderValue {
		ways = append(ways, Fault{Truncate: 40})
	}
	return ways[random.IntN(len(ways))], true
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
