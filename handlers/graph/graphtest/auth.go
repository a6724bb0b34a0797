package graphtest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// tokens are the access tokens that the sign-in gave out.
type tokens struct {
	mu    sync.Mutex
	valid map[string]token
}

type token struct {
	app     string
	expires time.Time
}

// authorize finds the app that a request speaks for.
func (s *Server) authorize(r *http.Request) (app string, refusal *reply) {
	if s.options.Anonymous {
		return "", nil
	}
	bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return "", unauthorized("Access token is empty.")
	}
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	t, ok := s.tokens.valid[bearer]
	if !ok {
		return "", unauthorized("CompactToken validation failed.")
	}
	if !s.options.Now().Before(t.expires) {
		return "", unauthorized("Access token has expired or is not yet valid.")
	}
	return t.app, nil
}

func unauthorized(message string) *reply {
	r := refuse(401, "InvalidAuthenticationToken", message)
	r.header.Set("WWW-Authenticate", `Bearer realm="", authorization_uri="https://login.example/common/oauth2/authorize"`)
	return r
}

// RevokeTokens makes every token given out so far unknown.
func (s *Server) RevokeTokens() {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	clear(s.tokens.valid)
}

func (s *Server) permitted(permission string) bool {
	return slices.Contains(s.options.Permissions, permission)
}

// login serves the sign-in: the token endpoint of the tenant, and the documents in which clients look it up.
func (s *Server) login(c *call, r *http.Request) *reply {
	segments := strings.Split(strings.Trim(c.path, "/"), "/")
	tail := strings.Join(segments[1:], "/")
	request := Request{Method: c.method, Path: c.method + " /{tenant}/" + tail}
	c.route.template = "/{tenant}/" + tail
	s.mu.Lock()
	s.number++
	c.number, request.N = s.number, s.number
	s.mu.Unlock()
	switch {
	case segments[0] == "beta":
		c.route.template = "/beta"
		return refuse(400, "BadRequest", "Invalid version: beta").breaks("the beta version may not be used")
	case segments[0] == "common" && tail == "discovery/instance" && c.method == http.MethodGet:
		return s.instances(c, r)
	case tail == "v2.0/.well-known/openid-configuration" && c.method == http.MethodGet:
	case tail == "oauth2/v2.0/token" && c.method == http.MethodPost:
	default:
		c.route.template = ""
		return refuse(404, "NotFound", "").breaks("path outside Graph and its sign-in")
	}
	s.count(request)
	s.callHook(request)
	fault, faulty := s.faults.next(request)
	wait(c.ctx, fault.Delay)
	if faulty && fault.Status != 0 {
		return fault.spoil(fault.answer())
	}
	answer := s.answerLogin(c, r, segments[0])
	if faulty {
		answer = fault.spoil(answer)
	}
	return answer
}

func (s *Server) answerLogin(c *call, r *http.Request, tenant string) *reply {
	s.world.RLock()
	defer s.world.RUnlock()
	if !strings.EqualFold(tenant, s.owner.ID) && !strings.EqualFold(tenant, s.owner.Domain) {
		return s.aadsts(400, "invalid_request", 90002, "Tenant not found. Check to make sure you have the correct tenant ID.")
	}
	if c.method == http.MethodGet {
		return jsonReply(map[string]any{
			"token_endpoint":         c.base + "/" + tenant + "/oauth2/v2.0/token",
			"authorization_endpoint": c.base + "/" + tenant + "/oauth2/v2.0/authorize",
			"issuer":                 c.base + "/" + s.owner.ID + "/v2.0",
		})
	}
	return s.grant(r)
}

// instances answers that this server is an authority that it knows.
func (s *Server) instances(c *call, r *http.Request) *reply {
	endpoint := r.URL.Query().Get("authorization_endpoint")
	u, err := url.Parse(endpoint)
	if err != nil || u.Host != r.Host {
		return s.aadsts(400, "invalid_instance", 50049, "Unknown or invalid instance.")
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	return jsonReply(map[string]any{
		"tenant_discovery_endpoint": c.base + "/" + tenant + "/v2.0/.well-known/openid-configuration",
		"metadata": []any{map[string]any{
			"preferred_network": r.Host, "preferred_cache": r.Host, "aliases": []string{r.Host},
		}},
	})
}

// grant answers a request for a token by client credentials (RFC 6749, 4.4).
func (s *Server) grant(r *http.Request) *reply {
	r.Body = http.MaxBytesReader(nil, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		return s.aadsts(400, "invalid_request", 900144, "The request body could not be read.")
	}
	form := r.PostForm
	if form.Get("grant_type") != "client_credentials" {
		return s.aadsts(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
	}
	if !strings.HasSuffix(form.Get("scope"), "/.default") && !strings.Contains(form.Get("scope"), "/.default ") {
		return s.aadsts(400, "invalid_scope", 1002012, "The provided value for scope is not valid. "+
			"Client credential flows must have a scope value with /.default suffixed to the resource identifier.")
	}
	i := slices.IndexFunc(s.owner.Apps, func(a App) bool { return strings.EqualFold(a.ClientID, form.Get("client_id")) })
	if i < 0 {
		return s.aadsts(400, "unauthorized_client", 700016, "Application was not found in the directory.")
	}
	app := s.owner.Apps[i]
	switch {
	case form.Get("client_secret") == "":
		return s.aadsts(401, "invalid_client", 7000218,
			"The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
	case form.Get("client_secret") != app.Secret:
		return s.aadsts(401, "invalid_client", 7000215, "Invalid client secret provided.")
	}
	return jsonReply(map[string]any{
		"token_type": "Bearer", "access_token": s.issue(app.ClientID),
		"expires_in":     int(s.options.TokenLifetime.Seconds()),
		"ext_expires_in": int(s.options.TokenLifetime.Seconds()),
	})
}

// issue makes a token in the form of a JWT, with the roles that a client may look at; its signature is nonsense.
func (s *Server) issue(app string) string {
	now := s.options.Now()
	expires := now.Add(s.options.TokenLifetime)
	claims, _ := json.Marshal(map[string]any{
		"aud": "https://graph.microsoft.com", "appid": app, "tid": s.owner.ID, "roles": s.options.Permissions,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": expires.Unix(), "uti": randomID(),
	})
	encode := base64.RawURLEncoding.EncodeToString
	var signature [32]byte
	_, _ = rand.Read(signature[:]) // never fails
	text := encode([]byte(`{"typ":"JWT","alg":"RS256","kid":"stand-in"}`)) + "." + encode(claims) + "." + encode(signature[:])
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	s.tokens.valid[text] = token{app: app, expires: expires}
	return text
}

// aadsts answers with an error of the sign-in, which has a shape of its own.
func (s *Server) aadsts(status int, name string, code int, message string) *reply {
	trace := randomID()
	r := jsonReply(map[string]any{
		"error": name, "error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s", code, message, trace),
		"error_codes": []int{code}, "timestamp": s.options.Now().UTC().Format("2006-01-02 15:04:05Z"),
		"trace_id": trace, "correlation_id": randomID(),
	})
	r.header.Set("Content-Type", "application/json; charset=utf-8")
	r.status = status
	return r
}
