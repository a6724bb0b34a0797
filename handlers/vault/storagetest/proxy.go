package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

const anyETag = azcore.ETagAny

// An Action says what becomes of a request: Pass, Twice, or what Before, After, Fail and Delay make.
type Action interface{ action() }

type (
	pass   int
	before func()
	after  func()
	fail   struct {
		status int
		code   string
	}
	delay time.Duration
)

func (pass) action()   {}
func (before) action() {}
func (after) action()  {}
func (fail) action()   {}
func (delay) action()  {}

// Pass lets the request through. A nil Action does the same. Twice lets it through two times and gives the second answer,
// as when a network repeats what it has delivered.
const (
	Pass  = pass(0)
	Twice = pass(1)
)

// Before runs f and cuts the connection; the request never reaches storage. f may be nil.
func Before(f func()) Action { return before(f) }

// After lets the request reach storage, then runs f and cuts the connection, so that the answer is lost. f may be nil.
func After(f func()) Action { return after(f) }

// Fail answers with an error of the service, such as 503 ServerBusy; the request never reaches storage.
func Fail(status int, code string) Action { return fail{status, code} }

// Delay lets the request through when the time has passed, unless the client gives up before.
func Delay(d time.Duration) Action { return delay(d) }

// A Proxy stands between one client and its account. It always refuses what Azure refuses and Azurite lets through:
// transactions over two tables or partitions, over 100 entities or 4 MiB, and changes of evidence (see [Proxy.WORM]).
type Proxy struct {
	account   *Account
	endpoints [3]string
	transport *http.Transport

	mu     sync.Mutex
	hooks  []func(Op) Action
	worm   map[string]bool
	ops    []Op
	writes int

	bytes atomic.Int64
}

// Proxy lays a proxy of its own before the account, until the test ends. An account may have several, one for each
// client that is to be told apart from the others.
func (a *Account) Proxy(tb TB) *Proxy {
	tb.Helper()
	p := &Proxy{account: a, worm: map[string]bool{}, transport: &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: 64,
	}}
	for i, service := range []string{Blob, Queue, Table} {
		upstream, err := url.Parse(a.azurite.endpoints[i])
		if err != nil {
			tb.Fatalf("storagetest: read Azurite's address: %v", err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatalf("storagetest: start a proxy: %v", err)
		}
		p.endpoints[i] = "http://" + l.Addr().String()
		server := &http.Server{Handler: p.handler(service, upstream), ErrorLog: log.New(io.Discard, "", 0)}
		go func() { _ = server.Serve(l) }()
		tb.Cleanup(func() { _ = server.Close() })
	}
	tb.Cleanup(p.transport.CloseIdleConnections)
	return p
}

// ConnectionString leads through the proxy. Shared-key signatures cover the path and not the host, so they stay valid.
func (p *Proxy) ConnectionString() string { return connectionString(p.account.cred, p.endpoints) }

// BlobURL is the account's Blob endpoint through the proxy, "http://127.0.0.1:40000/test000".
func (p *Proxy) BlobURL() string { return p.endpoints[0] + "/" + p.account.cred.Name }

// QueueURL is the account's Queue endpoint through the proxy.
func (p *Proxy) QueueURL() string { return p.endpoints[1] + "/" + p.account.cred.Name }

// TableURL is the account's Table endpoint through the proxy.
func (p *Proxy) TableURL() string { return p.endpoints[2] + "/" + p.account.cred.Name }

// OnRequest adds a hook that is asked about every request before it is forwarded, from several goroutines at a time.
// Hooks are asked in the order they were added until one gives anything but Pass.
func (p *Proxy) OnRequest(hook func(Op) Action) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hooks = append(p.hooks, hook)
}

// WORM marks containers as under a time-based retention policy: whatever changes or deletes a committed blob, or stages
// a block for it, gets 409 BlobImmutableDueToPolicy. The mark holds for this proxy.
func (p *Proxy) WORM(containers ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range containers {
		p.worm[c] = true
	}
}

// Ops are the requests so far, in the order in which they came, whatever became of them.
func (p *Proxy) Ops() []Op {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.ops)
}

// Writes is how many requests so far were writes, the refused and lost ones included.
func (p *Proxy) Writes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writes
}

// Bytes is how many bytes the bodies of all requests and answers so far had that were forwarded.
func (p *Proxy) Bytes() int64 { return p.bytes.Load() }

// errCut makes the proxy close the connection without an answer.
var errCut = errors.New("connection cut")

func (p *Proxy) handler(service string, upstream *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = upstream.Scheme, upstream.Host, ""
			r.Out.URL.RawQuery = r.In.URL.RawQuery
		},
		Transport: &gate{p, service},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) // cut on purpose, or the client or Azurite has gone
		},
		ErrorLog:      log.New(io.Discard, "", 0),
		FlushInterval: -1,
	}
}

// A gate forwards the requests to one service.
type gate struct {
	proxy   *Proxy
	service string
}

// RoundTrip implements [http.RoundTripper].
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	c := call{r.Method, r.URL.Path, r.URL.Query(), r.Header, nil}
	if g.service == Table && r.Body != nil { // no body of the Table service is large
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		c.body, r.Body, r.ContentLength = body, io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	op, hooks, worm := g.proxy.record(classify(g.service, c))
	switch act := decide(hooks, op).(type) {
	case before:
		run0(act)
		return nil, errCut
	case after:
		if resp, err := g.forward(r, op, worm, len(c.body)); err == nil {
			drain(resp.Body)
		}
		run0(act)
		return nil, errCut
	case fail:
		drain(r.Body)
		return failure(r, g.service, act.status, act.code), nil
	case delay:
		if !waited(r.Context(), time.Duration(act)) {
			return nil, errCut
		}
	case pass:
		if act == Twice {
			return g.twice(r, op, worm, len(c.body))
		}
	}
	return g.forward(r, op, worm, len(c.body))
}

// twice forwards a request and then the same again.
func (g *gate) twice(r *http.Request, op Op, worm bool, length int) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	var answer *http.Response
	for range 2 {
		if answer != nil {
			drain(answer.Body)
		}
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		var err error
		if answer, err = g.forward(again, op, worm, length); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// waited lets time pass; false when ctx ended before.
func waited(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// record numbers the operation and notes it.
func (p *Proxy) record(op Op) (_ Op, hooks []func(Op) Action, worm bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if op.Write {
		p.writes++
		op.N = p.writes
	}
	p.ops = append(p.ops, op)
	return op, p.hooks, op.Service == Blob && p.worm[op.Container]
}

func decide(hooks []func(Op) Action, op Op) Action {
	for _, hook := range hooks {
		if a := hook(op); a != nil && a != Action(Pass) {
			return a
		}
	}
	return Pass
}

// forward gives Azurite's answer, or the refusal that Azure would give.
func (g *gate) forward(r *http.Request, op Op, worm bool, length int) (*http.Response, error) {
	if op.Verb == "Entity Group Transaction" {
		if refuse := refuseTransaction(op, length); refuse != nil {
			return refuse(r), nil
		}
	}
	send := func() (*http.Response, error) { return g.proxy.send(r) }
	if worm {
		return g.proxy.account.wormForward(r, op, send)
	}
	return send()
}

// send forwards a request, and counts the bytes of its body and of the answer's.
func (p *Proxy) send(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body = counted{r.Body, &p.bytes}
	}
	resp, err := p.transport.RoundTrip(r)
	if err == nil {
		resp.Body = counted{resp.Body, &p.bytes}
	}
	return resp, err
}

// counted counts what is read of a body.
type counted struct {
	io.ReadCloser
	bytes *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

func run0(f func()) {
	if f != nil {
		f()
	}
}

// drain reads a body to its end, so that its connection can carry the answer.
func drain(body io.ReadCloser) {
	if body != nil {
		_, _ = io.Copy(io.Discard, body)
		_ = body.Close()
	}
}
