// Package graph is the client of Microsoft Graph: sign-in, a gate for throttling, retries, paging, and errors by meaning.
//
// The Graph SDK's builders, models and error types are the client. Its defaults are not: they retry too little, stop at
// an overall time-out, forget headers on later pages, keep connections open and lose status codes. So the middleware
// chain is built here ([border]), every attempt runs in one loop ([Client.do]) behind one gate ([gate]), pages are
// followed by [Client.walk], and a fresh chain of builders is made for each call, for a builder may not be shared
// between goroutines.
package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/microsoft/kiota-abstractions-go/authentication"
	khttp "github.com/microsoft/kiota-http-go"
	kjson "github.com/microsoft/kiota-serialization-json-go"
	core "github.com/microsoftgraph/msgraph-sdk-go-core"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
)

// A Clock tells the time and waits. The zero Clock is the real one.
type Clock struct {
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error // returns ctx.Err() when ctx ends first
}

// Options say which Graph a [Client] talks to, and how.
type Options struct {
	Root       string                 // "https://graph.microsoft.com/v1.0"; plain http only on loopback
	Credential azcore.TokenCredential // nil: requests carry no token
	Scope      string                 // "https://graph.microsoft.com/.default"; needed with a Credential
	Transport  http.RoundTripper      // nil: [DefaultTransport]
	Clock      Clock
	Log        *slog.Logger  // nil: nothing is logged
	MaxWait    time.Duration // longest wait for the server inside a call, default 90 s; a longer one is returned as [Throttled]
	Attempts   int           // tries of one request, default 5
}

// A Client reads users and mailboxes. It is safe for concurrent use; one Client stands for one app registration, since
// Graph counts per app and mailbox.
type Client struct {
	root     *url.URL
	adapter  *core.GraphRequestAdapterBase
	gate     *gate
	clock    Clock
	log      *slog.Logger
	maxWait  time.Duration
	attempts int

	credential azcore.TokenCredential // nil: requests carry no token
	scope      string
}

// New gives a client for o. The error names the option that cannot be used.
func New(o Options) (*Client, error) {
	root, err := parseRoot(o.Root)
	if err != nil {
		return nil, err
	}
	if o.Credential != nil && o.Scope == "" {
		return nil, errors.New("graph options: a credential needs a scope")
	}
	o.applyDefaults()
	c := &Client{
		root: root, clock: o.Clock, log: o.Log, maxWait: o.MaxWait, attempts: o.Attempts,
		gate: newGate(o.Clock, o.MaxWait, o.Log), credential: o.Credential, scope: o.Scope,
	}
	hc := &http.Client{
		// No Timeout: it would cover waits and bodies alike. The caller's context and the border's stall guard bound a call.
		Transport:     khttp.NewCustomTransportWithParentTransport(o.Transport, middleware(root, o)...),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	// The factories are passed in, so that the SDK's global registries, which are not locked, stay untouched.
	c.adapter, err = core.NewGraphRequestAdapterBaseWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient(
		&authentication.AnonymousAuthenticationProvider{}, core.GraphClientOptions{},
		kjson.NewJsonParseNodeFactory(), kjson.NewJsonSerializationWriterFactory(), hc)
	if err != nil {
		return nil, fmt.Errorf("make graph adapter: %w", err)
	}
	c.adapter.SetBaseUrl(root.String())
	return c, nil
}

func (o *Options) applyDefaults() {
	if o.Clock.Now == nil {
		o.Clock.Now = time.Now
	}
	if o.Clock.Sleep == nil {
		o.Clock.Sleep = sleep
	}
	if o.Transport == nil {
		o.Transport = DefaultTransport()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxWait <= 0 {
		o.MaxWait = 90 * time.Second
	}
	if o.Attempts <= 0 {
		o.Attempts = 5
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// parseRoot reads a Graph root. A token may travel to it, so that it must be https, or on this machine.
func parseRoot(root string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(root, "/"))
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("graph options: the root is no absolute URL")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return u, nil
	}
	return nil, errors.New("graph options: the root must be https, or http on loopback")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// DefaultTransport gives a transport fit for many mailboxes at once: no overall time-out, but one for each stage, and
// pings that notice a dead HTTP/2 connection.
func DefaultTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute, // pages of meeting-heavy folders take half a minute
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   64, // Graph is one host, with four requests in flight per mailbox
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}
}

// user begins a fresh chain of builders for one request: the SDK's adapter writes into a builder's own map.
func (c *Client) user(id string) *users.UserItemRequestBuilder { return c.users().ByUserId(id) }

func (c *Client) users() *users.UsersRequestBuilder {
	return users.NewUsersRequestBuilderInternal(map[string]string{}, c.adapter)
}

// Requests is how many requests the client has sent so far, as Graph counts them.
func (c *Client) Requests() int64 {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	return c.gate.sent
}
