package graphtest

import (
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// IdentityPath is the path of the managed identities' endpoint, as App Service has it, and IdentityHeader what a client has to
// show there: the app's environment gives them in IDENTITY_ENDPOINT and IDENTITY_HEADER.
const (
	IdentityPath   = "/msi/token"
	IdentityHeader = Canary + "-identity-header"
)

// tokens are the access tokens that the sign-in and the managed identities' endpoint gave out.
type tokens struct {
	mu    sync.Mutex
	valid map[string]token
}

type token struct {
	app      string // client id of the app or identity
	subject  string // object id of the identity; empty for an app
	audience string
	expires  time.Time
}

// find gives a token that was given out, expired or not.
func (t *tokens) find(text string) (token, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found, ok := t.valid[text]
	return found, ok
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
	t, ok := s.tokens.find(bearer)
	switch {
	case !ok:
		return "", unauthorized("CompactToken validation failed.")
	case !isFor(t.audience, r.Host):
		return "", unauthorized("Access token validation failure. Invalid audience.").breaks("the token is for another audience")
	case !s.options.Now().Before(t.expires):
		return "", unauthorized("Access token has expired or is not yet valid.")
	}
	return t.app, nil
}

// graphs are the audiences of Graph in its clouds.
var graphs = []string{
	"https://graph.microsoft.com", "https://graph.microsoft.us", "https://dod-graph.microsoft.us", "https://microsoftgraph.chinacloudapi.cn",
}

// exchanges are the audiences of tokens that are exchanged for an app's ("Configure an application to trust a managed identity").
var exchanges = []string{"api://AzureADTokenExchange", "api://AzureADTokenExchangeUSGov", "api://AzureADTokenExchangeChina"}

// isFor reports whether a token for the audience opens the Graph at host. A host of no cloud's opens to all of them.
func isFor(audience, host string) bool {
	if here := "https://" + host; slices.Contains(graphs, here) {
		return audience == here
	}
	return slices.Contains(graphs, audience)
}

func unauthorized(message string) *reply {
	r := refuse(401, "InvalidAuthenticationToken", message)
	r.header.Set("WWW-Authenticate", `Bearer realm="", authorization_uri="https://login.example/common/oauth2/authorize"`)
	return r
}

// RevokeTokens makes every token for Graph given out so far unknown.
func (s *Server) RevokeTokens() {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	maps.DeleteFunc(s.tokens.valid, func(_ string, t token) bool { return slices.Contains(graphs, t.audience) })
}

func (s *Server) permitted(permission string) bool {
	return slices.Contains(s.options.Permissions, permission) || slices.Contains(s.options.Scoped, permission)
}

// login serves the sign-in: the token endpoint of the tenant, the documents in which clients look it up, and the endpoint of
// the function app's managed identities.
func (s *Server) login(c *call, r *http.Request) *reply {
	segments := strings.Split(strings.Trim(c.path, "/"), "/")
	tail := strings.Join(segments[1:], "/")
	request := Request{Method: c.method, Path: c.method + " /{tenant}/" + tail}
	if c.path == IdentityPath {
		request.Path = c.method + " " + IdentityPath
	}
	c.route.template = strings.TrimPrefix(request.Path, c.method+" ")
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
	case c.path == IdentityPath && c.method == http.MethodGet:
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
	if c.route.template == IdentityPath {
		return s.identity(r)
	}
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
	return s.grant(c, r)
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
func (s *Server) grant(c *call, r *http.Request) *reply {
	r.Body = http.MaxBytesReader(nil, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		return s.aadsts(400, "invalid_request", 900144, "The request body could not be read.")
	}
	form := r.PostForm
	if form.Get("grant_type") != "client_credentials" {
		return s.aadsts(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
	}
	scope, _, _ := strings.Cut(form.Get("scope"), " ") // clients add openid and the like
	audience, ok := strings.CutSuffix(scope, "/.default")
	switch {
	case !ok:
		return s.aadsts(400, "invalid_scope", 1002012, "The provided value for scope is not valid. "+
			"Client credential flows must have a scope value with /.default suffixed to the resource identifier.")
	case !slices.Contains(graphs, audience):
		return s.aadsts(400, "invalid_resource", 500011, "The resource principal was not found in the tenant.")
	}
	i := slices.IndexFunc(s.owner.Apps, func(a App) bool { return strings.EqualFold(a.ClientID, form.Get("client_id")) })
	if i < 0 {
		return s.aadsts(400, "unauthorized_client", 700016, "Application was not found in the directory.")
	}
	app := s.owner.Apps[i]
	if refusal := s.authenticate(form, app, c.base+c.path); refusal != nil {
		return refusal
	}
	text, _ := s.issue(token{app: app.ClientID, audience: audience})
	return jsonReply(map[string]any{
		"token_type": "Bearer", "access_token": text,
		"expires_in":     int(s.options.TokenLifetime.Seconds()),
		"ext_expires_in": int(s.options.TokenLifetime.Seconds()),
	})
}

// authenticate holds a client to its credential: a secret, or an assertion (RFC 7523, 2.2) that is signed with the app's
// certificate or is the token of a managed identity. endpoint is the address that the client asked.
func (s *Server) authenticate(form url.Values, app App, endpoint string) *reply {
	secret, assertion := form.Get("client_secret"), form.Get("client_assertion")
	switch {
	case secret == "" && assertion == "":
		return s.aadsts(401, "invalid_client", 7000218,
			"The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
	case secret != "" && assertion != "":
		return s.aadsts(400, "invalid_request", 900144, "The request has two credentials.").breaks("two credentials in one request")
	case secret != "" && (app.Secret == "" || secret != app.Secret):
		return s.aadsts(401, "invalid_client", 7000215, "Invalid client secret provided.")
	case secret != "" && app.SecretExpired:
		return s.aadsts(401, "invalid_client", 7000222, "The provided client secret keys are expired.")
	case secret != "":
		return nil
	case form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
		return s.aadsts(400, "invalid_request", 900144, "The request body must contain the following parameter: 'client_assertion_type'.").
			breaks("the assertion is of an unknown type")
	}
	if t, ok := s.tokens.find(assertion); ok {
		return s.federate(t, app)
	}
	return s.certify(assertion, form.Get("client_id"), app, endpoint)
}

// federate holds the token of a managed identity to the app's federated credentials.
func (s *Server) federate(t token, app App) *reply {
	if !s.options.Now().Before(t.expires) {
		return s.aadsts(401, "invalid_client", 700024, "Client assertion is not within its valid time range.")
	}
	audience := slices.ContainsFunc(app.Federations, func(f Federation) bool { return f.Audience == t.audience })
	if !audience || !slices.Contains(exchanges, t.audience) {
		return s.aadsts(401, "invalid_client", 700212, "No matching federated identity record found for presented assertion audience.")
	}
	if !slices.Contains(app.Federations, Federation{Subject: t.subject, Audience: t.audience}) {
		return s.aadsts(401, "invalid_client", 700213, "No matching federated identity record found for presented assertion subject.")
	}
	return nil
}

// certify holds an assertion to "Microsoft identity platform application authentication certificate credentials": issuer and
// subject are the app, the audience is the endpoint, and a certificate of the app signed it.
func (s *Server) certify(assertion, clientID string, app App, endpoint string) *reply {
	_, err := jwt.Parse(assertion,
		func(t *jwt.Token) (any, error) { return signer(t.Header, app, s.options.Now()) },
		jwt.WithValidMethods([]string{"PS256", "RS256"}), jwt.WithTimeFunc(s.options.Now), jwt.WithExpirationRequired(),
		jwt.WithAudience(endpoint), jwt.WithIssuer(clientID), jwt.WithSubject(clientID))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jwt.ErrTokenMalformed):
		return s.aadsts(400, "invalid_request", 50027, "JWT token is invalid or malformed.").breaks("the assertion is no JWT")
	case errors.Is(err, jwt.ErrTokenExpired), errors.Is(err, jwt.ErrTokenNotValidYet):
		return s.aadsts(401, "invalid_client", 700024, "Client assertion is not within its valid time range.")
	}
	return s.aadsts(401, "invalid_client", 700027, "Client assertion failed signature validation.")
}

// signer finds the app's certificate that an assertion's header names by its thumbprint, and gives its key.
func signer(header map[string]any, app App, now time.Time) (any, error) {
	for _, c := range app.Certificates {
		sha1sum, sha256sum := sha1.Sum(c.Raw), sha256.Sum256(c.Raw)
		if !names(header["x5t"], sha1sum[:]) && !names(header["x5t#S256"], sha256sum[:]) {
			continue
		}
		if now.Before(c.NotBefore) || now.After(c.NotAfter) {
			return nil, errors.New("the certificate is not valid now")
		}
		if chain, sent := header["x5c"].([]any); sent && (len(chain) == 0 || !names(chain[0], c.Raw)) {
			return nil, errors.New("the chain begins with another certificate")
		}
		return c.PublicKey, nil
	}
	return nil, errors.New("no such certificate")
}

// names reports whether a header's value is that value in base64 of either alphabet.
func names(v any, want []byte) bool {
	text, _ := v.(string)
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	return text == base64.RawStdEncoding.EncodeToString(want)
}

// identity answers as App Service does for the managed identities of an app ("How to use managed identities for App Service
// and Azure Functions", REST endpoint reference).
func (s *Server) identity(r *http.Request) *reply {
	if r.Header.Get("X-IDENTITY-HEADER") != IdentityHeader {
		return identityRefusal(401, "The identity header is missing or wrong.").breaks("X-IDENTITY-HEADER is missing or wrong")
	}
	options, bad := parseOptions(r.URL.RawQuery, []string{"api-version", "resource", "client_id"})
	if bad != nil {
		return bad
	}
	if options["api-version"] != "2019-08-01" {
		return identityRefusal(400, "The api-version is not supported.").breaks("api-version is not 2019-08-01")
	}
	if !slices.Contains(graphs, options["resource"]) && !slices.Contains(exchanges, options["resource"]) {
		return identityRefusal(400, "The resource principal was not found in the tenant.")
	}
	i := slices.IndexFunc(s.owner.Identities, func(i Identity) bool {
		id, given := options["client_id"]
		return given && strings.EqualFold(i.ClientID, id) || !given && i.System
	})
	if i < 0 {
		return identityRefusal(400, "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.")
	}
	id := s.owner.Identities[i]
	text, expires := s.issue(token{app: id.ClientID, subject: id.ObjectID, audience: options["resource"]})
	return jsonReply(map[string]any{
		"access_token": text, "expires_on": strconv.FormatInt(expires.Unix(), 10), "resource": options["resource"],
		"token_type": "Bearer", "client_id": id.ClientID,
	})
}

// identityRefusal has the shape that App Service gives its refusals.
func identityRefusal(status int, message string) *reply {
	r := jsonReply(map[string]any{"statusCode": status, "message": naming(message), "correlationId": randomID()})
	r.status = status
	return r
}

// issue makes a token in the form of a JWT, with the roles that a client may look at; its signature is nonsense and holds the
// canary.
func (s *Server) issue(t token) (text string, expires time.Time) {
	now := s.options.Now()
	t.expires = now.Add(s.options.TokenLifetime)
	claims, _ := json.Marshal(map[string]any{
		"aud": t.audience, "appid": t.app, "sub": t.subject, "tid": s.owner.ID, "roles": s.options.Permissions,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": t.expires.Unix(), "uti": randomID(),
	})
	encode := base64.RawURLEncoding.EncodeToString
	var signature [30]byte // after the canary it is of a length that base64 has
	_, _ = rand.Read(signature[:])
	text = encode([]byte(`{"typ":"JWT","alg":"RS256","kid":"stand-in"}`)) + "." + encode(claims) + "." + Canary + encode(signature[:])
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	s.tokens.valid[text] = t
	return text, t.expires
}

// aadsts answers with an error of the sign-in, which has a shape of its own.
func (s *Server) aadsts(status int, name string, code int, message string) *reply {
	trace := randomID()
	r := jsonReply(map[string]any{
		"error": name, "error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s", code, naming(message), trace),
		"error_codes": []int{code}, "timestamp": s.options.Now().UTC().Format("2006-01-02 15:04:05Z"),
		"trace_id": trace, "correlation_id": randomID(),
	})
	r.header.Set("Content-Type", "application/json; charset=utf-8")
	r.status = status
	return r
}
