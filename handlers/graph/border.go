package graph

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	khttp "github.com/microsoft/kiota-http-go"
)

const (
	maxJSON    = 64 << 20         // an answer of 20 pages of 1,000 rows stays far below
	maxFailure = 1 << 20          // what is read of an error's body
	stallAfter = 90 * time.Second // a body that gives nothing for so long is given up
)

// middleware is the whole chain, in order. The SDK's own would come in random order, with retries of their own.
func middleware(root *url.URL, o Options) []khttp.Middleware {
	names := khttp.ParametersNameDecodingOptions{Enable: true, ParametersToDecode: []byte{'$'}}
	return []khttp.Middleware{
		khttp.NewParametersNameDecodingHandlerWithOptions(names), // the builders write %24select
		&border{
			root: root, now: o.Clock.Now, stall: stallAfter,
			bearer: &bearer{credential: o.Credential, scope: o.Scope, now: o.Clock.Now},
		},
	}
}

// border is the last stop before the network: what passes it outwards goes to the configured root alone and carries token
// and request id; what passes it inwards is a success, whole and readable, or an [*Error]. So the SDK sees nothing that it
// would read wrongly: it loses the status of an error page, and takes an empty answer for an empty list.
type border struct {
	root   *url.URL
	bearer *bearer
	now    func() time.Time
	stall  time.Duration
}

// streamed is the request option of a body that is passed on as it comes. Its receiver must close it.
type streamed struct{}

func (streamed) GetKey() abstractions.RequestOptionKey { return streamedKey() }

func streamedKey() abstractions.RequestOptionKey {
	return abstractions.RequestOptionKey{Key: "chainmail streamed"}
}

// Intercept sends one request, once.
func (b *border) Intercept(next khttp.Pipeline, index int, req *http.Request) (*http.Response, error) {
	if !below(b.root, req.URL) {
		return nil, &Error{Meaning: Broken, Code: "ForeignAddress"}
	}
	token, err := b.bearer.token(req.Context())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(req.Context())
	resp, err := next.Next(b.outward(ctx, req, token), index)
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &guarded{body: resp.Body, stall: b.stall, cancel: cancel}
	if resp.StatusCode == http.StatusOK && req.Context().Value(streamedKey()) != nil {
		return resp, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return b.whole(resp)
	}
	// A cut in an error's body changes nothing: the status is enough.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxFailure))
	e := classify(resp.StatusCode, resp.Header, body, b.now())
	if resp.StatusCode == http.StatusUnauthorized {
		b.bearer.refuse(token, e.Code, resp.Header.Get("WWW-Authenticate"))
	}
	return nil, e
}

func (b *border) outward(ctx context.Context, req *http.Request, token string) *http.Request {
	out := req.Clone(ctx)
	if token != "" {
		out.Header.Set("Authorization", "Bearer "+token)
	}
	out.Header.Set("User-Agent", "chainmail")
	out.Header.Set("client-request-id", newRequestID())
	out.Header.Set("return-client-request-id", "true")
	return out
}

// whole reads a JSON answer to its end and puts it back.
func (b *border) whole(resp *http.Response) (*http.Response, error) {
	cut := func(err error) error {
		return &Error{
			Status: resp.StatusCode, Meaning: Transient, Code: "TruncatedAnswer", shrink: true,
			RequestID: resp.Header.Get("request-id"), err: err,
		}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxJSON+1))
	if err != nil {
		return nil, cut(err)
	}
	if len(body) > maxJSON {
		return nil, &Error{Status: resp.StatusCode, Meaning: Broken, Code: "OversizedAnswer", shrink: true}
	}
	// QUIRK: Exchange lets control characters through into strings, where JSON forbids them.
	if !json.Valid(body) {
		body = bytes.Map(func(r rune) rune {
			if r < ' ' {
				return ' '
			}
			return r
		}, body)
	}
	// QUIRK: Exchange ends a page early, with status 200 and valid HTTP, at a message that it cannot return.
	if !json.Valid(body) {
		return nil, cut(errors.New("answer is no JSON"))
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Set("Content-Type", "application/json") // the SDK drops an answer that does not say so
	return resp, nil
}

// guarded is a body that is given up when it stalls, and drained a little when it is closed, so that its connection can be
// used again.
type guarded struct {
	body   io.ReadCloser
	stall  time.Duration
	cancel context.CancelFunc
	closed atomic.Bool
}

func (g *guarded) Read(p []byte) (int, error) {
	timer := time.AfterFunc(g.stall, g.cancel)
	defer timer.Stop()
	return g.body.Read(p)
}

func (g *guarded) Close() error {
	if g.closed.Swap(true) {
		return nil
	}
	defer g.cancel()
	_, _ = io.CopyN(io.Discard, g, 64<<10)
	return g.body.Close()
}

// below reports whether u lies below the root: same scheme and host, and a path under the root's.
func below(root, u *url.URL) bool {
	return u.Scheme == root.Scheme && strings.EqualFold(u.Host, root.Host) && u.User == nil &&
		strings.HasPrefix(u.EscapedPath(), root.EscapedPath()+"/") &&
		!strings.Contains(u.Path+"/", "/../") && !strings.Contains(u.Path, `\`)
}

// newRequestID gives a random UUID (RFC 9562, version 4).
func newRequestID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
