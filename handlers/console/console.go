// Package console is the operators' console, an API of HTTP and JSON below /api and pages for people below /api/console: it shows
// how far the sources, batches, individuals, exceptions and gaps are, takes new settings and lists of individuals, and does what
// an operator asks for.
//
// The pages are HTML without scripts. They ask the API's own functions and do what they do by them, so that the two never differ.
//
// Nothing is done without a record of who, when, what and why, which is written once as state blob actions/<time>-<random>.json
// before the change is made. Answers may hold addresses, which operators see; logs hold object ids.
package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"chainmail/handlers/config"
	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault"
)

// A Console answers operators. All fields but Open, SignIn and Preflight are needed.
type Console struct {
	Open      bool                        // it answers this machine
	SignIn    *SignIn                     // it answers whoever signs in; with neither it refuses everybody
	Ready     func(context.Context) error // makes what the fields below stand for, before the first answer
	Config    *config.Store
	Written   *vault.Container // container config: the sources file, and the lists of individuals beside it
	State     *vault.Container // container state: the records
	Ledger    *ledger.Ledger
	Preflight func(context.Context, settings.Source) (any, error) // nil: there is none
	Log       *slog.Logger
	Now       func() time.Time
}

// A route is what is answered to a method and a path. A part of the path in braces stands for anything, {name...} for all the
// rest.
type route struct {
	method, path string
	query        string // the parameters that it knows
	media        string // of the body; empty: JSON
	answer       func(*Console, *request) (reply, error)
}

func routes() []route {
	return []route{
		{"GET", "sources", "", "", (*Console).sources},
		{"GET", "sources/{source}", "", "", (*Console).source},
		{"GET", "sources/{source}/custodians", "after top", "", (*Console).custodians},
		{"POST", "sources/{source}/enable", "", "", (*Console).enable},
		{"POST", "sources/{source}/disable", "", "", (*Console).disable},
		{"POST", "sources/{source}/reset", "", "", (*Console).reset},
		{"POST", "sources/{source}/collect", "", "", (*Console).collect},
		{"GET", "batches", "source status after top", "", (*Console).batches},
		{"GET", "batches/{source}/{batch}", "", "", (*Console).batch},
		{"POST", "batches/{source}/{batch}/retry", "", "", (*Console).retry},
		{"POST", "batches/{source}/{batch}/abandon", "", "", (*Console).abandon},
		{"GET", "exceptions", "source after top", "", (*Console).exceptions},
		{"POST", "exceptions/{source}/{id}/close", "", "", (*Console).closeException},
		{"GET", "gaps", "source after top", "", (*Console).gaps},
		{"GET", "preflight/{source}", "", "", (*Console).preflight},
		{"GET", "config", "", "", (*Console).sourcesFile},
		{"PUT", "config", "check reason", "", (*Console).putSourcesFile},
		{"GET", "openapi.json", "", "", (*Console).openAPI},
		{"GET", "individuals/{file...}", "", "", (*Console).list},
		{"PUT", "individuals/{file...}", "check reason", mediaCSV, (*Console).putList},
	}
}

const prefix = "/api/"

// ServeHTTP answers one request.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	harden(w.Header())
	if isPage(r.URL.Path) {
		c.servePage(w, r)
		return
	}
	answer, err := c.handle(w, r)
	if err != nil {
		p := c.problem(r.Context(), err)
		answer = reply{status: p.Status, media: mediaProblem, value: p, allow: p.allow, challenge: p.challenge()}
	}
	if err := answer.write(w); err != nil {
		c.Log.WarnContext(r.Context(), "answer not written", "error", "connection closed")
	}
}

// problem is what to say of an error: itself, or that something failed, which the log tells of.
func (c *Console) problem(ctx context.Context, err error) *problem {
	var p *problem
	if !errors.As(err, &p) {
		c.Log.ErrorContext(ctx, "request failed", "error", err)
		p = failed(http.StatusInternalServerError, "The request could not be carried out",
			"Try it again; the log of the handler has the reason under the message \"request failed\".")
	}
	return p
}

// harden has browsers take an answer for nothing but what it says it is, show it within nothing, and keep it nowhere.
func harden(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

func (c *Console) handle(w http.ResponseWriter, r *http.Request) (reply, error) {
	who, err := c.admit(r)
	if err != nil {
		return reply{}, err
	}
	if err := permit(who, r.Method); err != nil {
		return reply{}, err
	}
	found, args, err := find(r)
	if err != nil {
		return reply{}, err
	}
	if err := c.Ready(r.Context()); err != nil {
		return reply{}, err
	}
	q, err := read(w, r, found, args)
	if err != nil {
		return reply{}, err
	}
	q.who = who
	return found.answer(c, q)
}

// find gives the route of a request, with what stands for the parts in braces.
func find(r *http.Request) (route, map[string]string, error) {
	var allow []string
	path, below := strings.CutPrefix(r.URL.Path, prefix)
	for _, candidate := range routes() {
		args, ok := match(candidate.path, path)
		switch {
		case !ok || !below:
		case candidate.method == r.Method:
			return candidate, args, nil
		default:
			allow = append(allow, candidate.method)
		}
	}
	if allow != nil {
		p := failed(http.StatusMethodNotAllowed, "The method is not allowed here", "This path takes "+strings.Join(allow, " and ")+".")
		p.allow = strings.Join(allow, ", ")
		return route{}, nil, p
	}
	return route{}, nil, failed(http.StatusNotFound, "There is no such path",
		"The page is /api/console. The API's paths, which /api/openapi.json tells all of, begin with "+
			"/api/sources, /api/batches, /api/exceptions, /api/gaps, /api/preflight, /api/config and /api/individuals.")
}

func match(pattern, path string) (map[string]string, bool) {
	args := map[string]string{}
	parts := strings.Split(path, "/")
	for i, want := range strings.Split(pattern, "/") {
		if i >= len(parts) || parts[i] == "" {
			return nil, false
		}
		name, variable := strings.CutPrefix(strings.TrimSuffix(want, "}"), "{")
		switch rest, all := strings.CutSuffix(name, "..."); {
		case variable && all:
			args[rest] = strings.Join(parts[i:], "/")
			return args, true
		case variable:
			args[name] = parts[i]
		case want != parts[i]:
			return nil, false
		}
	}
	return args, len(parts) == strings.Count(pattern, "/")+1
}
