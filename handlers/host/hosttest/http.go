package hosttest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// anyPath is the one form of a route that is imitated: it takes every path below the prefix, or below its own words.
var anyPath = regexp.MustCompile(`^([A-Za-z0-9_\-]+/)*\{\*[a-z]+\}$`)

// checkRoute tells whether an HTTP trigger is one of those that are imitated.
func checkRoute(b binding) error {
	switch {
	case !anyPath.MatchString(b.Route):
		return errors.New("has a route other than {*path}, which is not imitated")
	case !strings.EqualFold(b.AuthLevel, "anonymous"):
		return errors.New("has an authLevel other than anonymous, which is not imitated") // without one it is function
	case len(b.Methods) == 0:
		return errors.New("names no methods: it would take all of them")
	}
	return nil
}

// checkHTTP holds that a function with an HTTP trigger is one whose requests the host forwards: nothing in and out but HTTP.
func (f *function) checkHTTP() error {
	web := f.trigger.Type == httpTrigger
	switch {
	case web && (!f.answers || len(f.outputs) > 0):
		return errors.New("a request is forwarded only to a function with an http output and no other")
	case !web && f.answers:
		return errors.New("an http output goes with an HTTP trigger")
	}
	return nil
}

// ServeHTTP answers a client as the host does: by what the handler answers to the forwarded request, by 404 when no route and
// method meet it, by 500 when the handler fails.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := h.routed(r)
	if f == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	leave, err := h.enter()
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer leave()
	result := Result{Function: f.name, Invocation: guid()}
	started := time.Now()
	result.Err = h.pass(w, r, result.Invocation)
	result.Duration = time.Since(started)
	h.report(result)
}

// routed is the function that a request is for; nil if there is none.
func (h *Host) routed(r *http.Request) *function {
	for _, f := range h.app.functions {
		if f.trigger.Type != httpTrigger {
			continue
		}
		prefix := "/" + strings.TrimPrefix(h.app.routePrefix+"/", "/") + f.trigger.Route[:strings.Index(f.trigger.Route, "{")]
		same := func(method string) bool { return strings.EqualFold(method, r.Method) }
		if len(r.URL.Path) >= len(prefix) && strings.EqualFold(r.URL.Path[:len(prefix)], prefix) && slices.ContainsFunc(f.trigger.Methods, same) {
			return f
		}
	}
	return nil
}

// pass forwards a request and gives its answer back. A client that goes takes nothing with it: the host reads the answer to
// its end.
func (h *Host) pass(w http.ResponseWriter, r *http.Request, id string) error {
	fail := func(err error) error {
		w.WriteHeader(http.StatusInternalServerError)
		return err
	}
	p, err := h.handler(r.Context())
	if err != nil {
		return fail(err)
	}
	request, err := forwarded(r, p.base, id)
	if err != nil {
		return fail(err)
	}
	response, err := p.client.Do(request)
	if err != nil {
		p.settled()
		return fail(err)
	}
	defer response.Body.Close()
	for name, values := range response.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(response.StatusCode)
	_, err = io.Copy(w, response.Body)
	return err
}

// forwarded is the request as the handler gets it.
func forwarded(r *http.Request, base, id string) (*http.Request, error) {
	address := base + r.URL.EscapedPath()
	query := url.Values{}
	for name, values := range r.URL.Query() {
		query.Set(name, strings.Join(values, ","))
	}
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	out, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), r.Method, address, r.Body)
	if err != nil {
		return nil, err
	}
	out.Host, out.ContentLength = r.Host, r.ContentLength
	for name, values := range r.Header {
		out.Header.Set(name, values[0])
	}
	out.Header.Del("Connection") // this connection is the host's own
	agent := strings.TrimSpace(r.Header.Get("User-Agent") + " Azure-Functions-Host/" + hostVersion)
	out.Header.Set("User-Agent", agent)
	out.Header.Set("X-Azure-Functions-HostVersion", hostVersion)
	out.Header.Add("X-Azure-Functions-InvocationId", id) // behind what the client may have sent
	return out, nil
}
