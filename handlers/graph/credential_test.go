package graph

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chainmail/handlers/graph/graphtest"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// identityHost is where managed identities are asked for tokens.
const identityHost = "identity.example"

// TestMain sets what the platform sets in the environment of a function app that has managed identities. It is the same for
// all tests of the process; what differs is the [network] behind it.
func TestMain(m *testing.M) {
	err := errors.Join(os.Setenv("IDENTITY_ENDPOINT", "http://"+identityHost+graphtest.IdentityPath),
		os.Setenv("IDENTITY_HEADER", graphtest.IdentityHeader))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// A network leads every request to the stand-in, whichever host it is for, and writes down who was asked for which token.
type network struct {
	tenant *graphtest.Tenant
	server *graphtest.Server
	host   string // of the stand-in
	inner  http.RoundTripper
	log    *graphtest.Log

	mu        sync.Mutex
	hosts     []string
	scopes    []string // of tokens asked for, resources of identities' among them
	assertion string   // the last one
}

const testUser = "2f0c1f5e-9d0c-4a51-8a0e-5f1f6a4b7c10"

// newNetwork makes a tenant with one mailbox, and one app that takes a secret, a certificate and a managed identity. Ids are
// new each time: the identities' tokens are cached for the whole process by the SDK.
func newNetwork(t *testing.T, o graphtest.Options, change ...func(*graphtest.Tenant)) *network {
	t.Helper()
	inbox := &graphtest.Folder{ID: "AAinbox=", Name: "Inbox", WellKnown: "inbox"}
	top := &graphtest.Folder{ID: "AAtop=", Name: "Top", WellKnown: "msgfolderroot", Children: []*graphtest.Folder{inbox}}
	root := &graphtest.Folder{ID: "AAroot=", Name: "Root", WellKnown: "root", Children: []*graphtest.Folder{top}}
	identity := graphtest.Identity{ClientID: newRequestID(), ObjectID: newRequestID()}
	tenant := &graphtest.Tenant{
		ID: newRequestID(), Domain: "contoso.onmicrosoft.com", Identities: []graphtest.Identity{identity},
		Apps: []graphtest.App{{
			ClientID: newRequestID(), Secret: "the~right.secret", Certificates: []*x509.Certificate{goodPair().leaf},
			Federations: []graphtest.Federation{
				{Subject: identity.ObjectID, Audience: "api://AzureADTokenExchange"},
				{Subject: identity.ObjectID, Audience: "api://AzureADTokenExchangeUSGov"},
				{Subject: identity.ObjectID, Audience: "api://AzureADTokenExchangeChina"},
			},
		}},
		Users: []*graphtest.User{{ID: testUser, Enabled: true, Licensed: true, Mailbox: &graphtest.Mailbox{Root: root}}},
	}
	for _, f := range change {
		f(tenant)
	}
	n := &network{tenant: tenant, server: graphtest.NewServer(tenant, o), log: graphtest.NewLog(t, "the~right.secret")}
	address, err := n.server.Start("127.0.0.1:0", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.server.Close)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(n.server.RootPEM())
	transport := DefaultTransport()
	transport.Proxy, transport.TLSClientConfig = nil, &tls.Config{RootCAs: roots}
	t.Cleanup(transport.CloseIdleConnections)
	n.inner, n.host = transport, strings.TrimPrefix(address, "https://")
	return n
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	form := r.URL.Query()
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/token") {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		out.Body = io.NopCloser(bytes.NewReader(body))
		if form, err = url.ParseQuery(string(body)); err != nil {
			return nil, err
		}
	}
	n.mu.Lock()
	n.hosts = append(n.hosts, r.URL.Host)
	if a := form.Get("client_assertion"); a != "" {
		n.assertion = a
	}
	if scope, _, _ := strings.Cut(form.Get("scope")+form.Get("resource"), " "); scope != "" {
		n.scopes = append(n.scopes, scope)
	}
	n.mu.Unlock()
	out.Host, out.URL.Host, out.URL.Scheme = r.URL.Host, n.host, "https"
	return n.inner.RoundTrip(out)
}

// kinds are the kinds of credentials, as in the settings.
var kinds = []string{"secret", "certificate", "managedIdentity", "federated"}

// credential makes the credential of a kind as the tenant has it, but for what change does to the registration.
func (n *network) credential(kind string, cloud Cloud, change ...func(*Registration)) (azcore.TokenCredential, error) {
	app := n.tenant.Apps[0]
	r := Registration{Tenant: n.tenant.Domain, ClientID: app.ClientID, Cloud: cloud, Transport: n}
	for _, f := range change {
		f(&r)
	}
	switch kind {
	case "secret":
		return r.Secret("the~right.secret")
	case "certificate":
		return r.Certificate(goodPair().pem())
	}
	identity, err := ManagedIdentity(n.tenant.Identities[0].ClientID, n)
	if err != nil || kind == "managedIdentity" {
		return identity, err
	}
	return r.Federated(identity)
}

// client makes a client of the cloud's Graph. Its clock does not wait.
func (n *network) client(t *testing.T, cloud Cloud, cred azcore.TokenCredential) *Client {
	t.Helper()
	clock := newTestClock()
	c, err := New(Options{
		Root: cloud.Root, Credential: cred, Scope: cloud.Scope, Transport: n, Clock: Clock{Now: clock.Now, Sleep: clock.Sleep},
		Log: n.log.Logger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// checkManners holds that no rule of the stand-in was broken.
func (n *network) checkManners(t *testing.T) {
	t.Helper()
	if v := n.server.Violations(); len(v) > 0 {
		t.Errorf("rules broken: %q", v)
	}
}

func public() Cloud {
	cloud, _ := Clouds("public")
	return cloud
}

func TestEveryKindSignsInAtEveryCloudAndNowhereElse(t *testing.T) {
	t.Parallel()
	exchanges := map[string]string{
		"public": "api://AzureADTokenExchange", "usgov": "api://AzureADTokenExchangeUSGov",
		"usgovdod": "api://AzureADTokenExchangeUSGov", "china": "api://AzureADTokenExchangeChina",
	}
	for name, exchange := range exchanges {
		for _, kind := range kinds {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				n := newNetwork(t, graphtest.Options{})
				cloud, _ := Clouds(name)
				cred, err := n.credential(kind, cloud)
				if err != nil {
					t.Fatal(err)
				}
				if err := n.client(t, cloud, cred).ProbeMailbox(t.Context(), testUser); err != nil {
					t.Fatal(err)
				}
				authority, root := host(t, cloud.Authority), host(t, cloud.Root)
				hosts := map[string][]string{"managedIdentity": {root, identityHost}, "federated": {authority, root, identityHost}}[kind]
				if hosts == nil {
					hosts = []string{authority, root}
				}
				scopes := map[string][]string{
					"managedIdentity": {strings.TrimSuffix(cloud.Scope, "/.default")}, "federated": {exchange, cloud.Scope},
				}[kind]
				if scopes == nil {
					scopes = []string{cloud.Scope}
				}
				slices.Sort(hosts)
				slices.Sort(n.hosts)
				if got := slices.Compact(n.hosts); !slices.Equal(got, hosts) {
					t.Errorf("asked %q, want %q", got, hosts)
				}
				if !slices.Equal(n.scopes, scopes) {
					t.Errorf("tokens for %q, want %q", n.scopes, scopes)
				}
				n.checkManners(t)
			})
		}
	}
}

func host(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func TestAManagedIdentityWithoutClientIDIsTheSystemAssignedOne(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, graphtest.Options{}, func(tenant *graphtest.Tenant) {
		tenant.Identities = append(tenant.Identities, graphtest.Identity{ClientID: newRequestID(), ObjectID: newRequestID(), System: true})
	})
	cred, err := ManagedIdentity("", n)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.client(t, public(), cred).ProbeMailbox(t.Context(), testUser); err != nil {
		t.Error(err)
	}
	n.checkManners(t)
}

func TestACertificateComesWithItsChain(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, graphtest.Options{})
	issuer := newPair(newKey(), -1, 1)
	cred, err := Registration{
		Tenant: n.tenant.Domain, ClientID: n.tenant.Apps[0].ClientID, Cloud: public(), Transport: n,
	}.Certificate(issuer.certificate() + goodPair().pem())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.client(t, public(), cred).ProbeMailbox(t.Context(), testUser); err != nil {
		t.Fatal(err)
	}
	encoded, _, _ := strings.Cut(n.assertion, ".")
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	var header struct{ X5C [][]byte }
	if err := errors.Join(err, json.Unmarshal(text, &header)); err != nil {
		t.Fatal(err)
	}
	if got := header.X5C; len(got) != 2 || !bytes.Equal(got[0], goodPair().leaf.Raw) || !bytes.Equal(got[1], issuer.leaf.Raw) {
		t.Errorf("x5c has %d certificates, want the app's and then its issuer's", len(got))
	}
}

func TestARefusedSignInSaysWhatToDo(t *testing.T) {
	t.Parallel()
	stranger := graphtest.Federation{Subject: newRequestID(), Audience: "api://AzureADTokenExchange"}
	tests := []struct {
		name, kind string
		tenant     func(*graphtest.Tenant)
		app        func(*Registration)
		code, want string
	}{
		{"another secret", "secret", func(t *graphtest.Tenant) { t.Apps[0].Secret = "x" }, nil,
			"401 AADSTS7000215", "the secret is not valid: copy the secret's Value, not its Secret ID, into the app setting"},
		{"an expired secret", "secret", func(t *graphtest.Tenant) { t.Apps[0].SecretExpired = true }, nil,
			"401 AADSTS7000222", "the secret has expired"},
		{"an unknown app", "secret", nil, func(r *Registration) { r.ClientID = newRequestID() },
			"400 AADSTS700016", "applicationId must be the Application (client) ID, not the object or tenant id"},
		{"an unknown tenant", "secret", nil, func(r *Registration) { r.Tenant = "fabrikam.example" },
			"400 AADSTS90002", "check domain and cloud in sources.json"},
		{"a certificate that is not registered", "certificate", func(t *graphtest.Tenant) { t.Apps[0].Certificates = nil }, nil,
			"401 AADSTS700027", "the certificate is not the application's"},
		{"a federated credential of another identity", "federated",
			func(t *graphtest.Tenant) { t.Apps[0].Federations = []graphtest.Federation{stranger} }, nil,
			"401 AADSTS700213", "compare issuer, subject (its Object (principal) ID) and audience"},
		{"a federated credential of another cloud", "federated",
			func(t *graphtest.Tenant) { t.Apps[0].Federations = t.Apps[0].Federations[1:] }, nil,
			"401 AADSTS700212", "compare issuer, subject (its Object (principal) ID) and audience"},
		{"an identity that is not assigned", "managedIdentity", func(t *graphtest.Tenant) { t.Identities[0].System = true }, nil,
			"400 ManagedIdentityRefused", "assign it to the app, and check clientId"},
		{"an identity that is not assigned, federated", "federated", func(t *graphtest.Tenant) { t.Identities[0].System = true }, nil,
			"400 ManagedIdentityRefused", "assign it to the app, and check clientId"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, graphtest.Options{})
			var change []func(*Registration)
			if tt.app != nil {
				change = append(change, tt.app)
			}
			cred, err := n.credential(tt.kind, public(), change...)
			if err != nil {
				t.Fatal(err)
			}
			n.server.Mutate(func(tenant *graphtest.Tenant) {
				if tt.tenant != nil {
					tt.tenant(tenant)
				}
				if strings.Contains(tt.code, "Identity") {
					tenant.Identities = nil
				}
			})
			err = n.client(t, public(), cred).ProbeMailbox(t.Context(), testUser)
			text := fmt.Sprint(n.log.Error(err))
			if MeaningOf(err) != Unauthorized || !strings.HasPrefix(text, "probe mailbox: "+tt.code+" (unauthorized): ") || !strings.Contains(text, tt.want) {
				t.Errorf("ProbeMailbox = %v, want %s and %q", err, tt.code, tt.want)
			}
			for _, secret := range []string{n.tenant.ID, n.tenant.Domain, "\n", "http"} {
				if strings.Contains(text, secret) {
					t.Errorf("the error shows %q: %s", secret, text)
				}
			}
			n.checkManners(t)
		})
	}
}

func TestEveryCodeOfTheSignInHasAnswer(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"AADSTS90099", "AADSTS50058"} {
		if got := (&Error{Meaning: Unauthorized, Code: code}).Error(); !strings.HasPrefix(got, code+" (unauthorized): look the code up") {
			t.Errorf("Error() = %q, want the code and where to look", got)
		}
	}
	for _, code := range []string{"ErrorItemNotFound", ""} {
		if got := remedy(code); got != "" {
			t.Errorf("remedy(%q) = %q, want none", code, got)
		}
	}
}

func TestASignInThatFailsForAWhileIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		for _, fault := range []graphtest.Fault{{Status: 503, Empty: true}, {Status: 429, RetryAfter: "1"}, {CutAfter: -1}} {
			n := newNetwork(t, graphtest.Options{})
			n.server.Fault(func(r graphtest.Request) bool { return strings.HasSuffix(r.Path, "/token") }, 2, fault)
			cred, err := n.credential(kind, public())
			if err != nil {
				t.Fatal(err)
			}
			if err := n.client(t, public(), cred).ProbeMailbox(t.Context(), testUser); err != nil {
				t.Errorf("%s, %+v: %v", kind, fault, err)
			}
		}
	}
}

func TestTokensAreKeptAndReplacedInTime(t *testing.T) {
	t.Parallel()
	const entra, msi = "POST /{tenant}/oauth2/v2.0/token", "GET " + graphtest.IdentityPath
	tests := []struct {
		kind      string
		lifetime  time.Duration
		revoke    bool
		entra, id int // requests for tokens in three calls
	}{
		{kind: "secret", entra: 1},
		{kind: "certificate", entra: 1},
		{kind: "managedIdentity", id: 1},
		{kind: "federated", entra: 1, id: 1},
		{kind: "secret", lifetime: 4 * time.Minute, entra: 3}, // the SDK lets no token come closer to its end than five minutes
		{kind: "managedIdentity", lifetime: 4 * time.Minute, id: 3},
		{kind: "federated", lifetime: 4 * time.Minute, entra: 3, id: 3},
		{kind: "secret", revoke: true, entra: 2},
		{kind: "certificate", revoke: true, entra: 2},
		{kind: "managedIdentity", revoke: true, id: 2},
		{kind: "federated", revoke: true, entra: 2, id: 1},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, graphtest.Options{TokenLifetime: tt.lifetime})
			cred, err := n.credential(tt.kind, public())
			if err != nil {
				t.Fatal(err)
			}
			c := n.client(t, public(), cred)
			for i := range 3 {
				if i == 1 && tt.revoke {
					n.server.RevokeTokens()
				}
				if err := c.ProbeMailbox(t.Context(), testUser); err != nil {
					t.Fatal(err)
				}
			}
			if got := n.server.Requests(); got[entra] != tt.entra || got[msi] != tt.id {
				t.Errorf("asked Entra %d times and the identity %d times, want %d and %d", got[entra], got[msi], tt.entra, tt.id)
			}
			n.checkManners(t)
		})
	}
}

func TestCredentialsRefuseAnAuthorityThatIsNotHTTPS(t *testing.T) {
	t.Parallel()
	for authority, good := range map[string]bool{
		"http://login.microsoftonline.com/": false, "http://127.0.0.1/": false, "login": false, "": false,
		"https://login.microsoftonline.com/": true, "https://127.0.0.1:1/": true,
	} {
		for _, kind := range []string{"secret", "certificate", "federated"} {
			_, err := new(network{tenant: &graphtest.Tenant{
				Domain: "contoso.example", Apps: []graphtest.App{{ClientID: "c"}}, Identities: []graphtest.Identity{{ClientID: "i"}},
			}}).credential(kind, Cloud{Authority: authority})
			if (err == nil) != good {
				t.Errorf("%s at %q: %v, want good %v", kind, authority, err, good)
			}
		}
	}
}

func TestTheTokenGoesToNoOtherHost(t *testing.T) {
	t.Parallel()
	foreign := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another host was asked") }))
	t.Cleanup(foreign.Close)
	here := func(status int) http.HandlerFunc { return say(status, "", "Location", foreign.URL+"/v1.0/users") }
	probe := func(c *Client) error { return c.ProbeMailbox(t.Context(), "u1") }
	batch := func(c *Client) error {
		a := c.folderID("u1", "inbox")
		if err := c.askAll(t.Context(), "u1", []*ask{a}); err != nil {
			return err
		}
		return a.err
	}
	part := fmt.Sprintf(`{"responses":[{"id":"0","status":302,"headers":{"Location":%q}}]}`, foreign.URL+"/v1.0/users")
	tests := map[string]struct {
		answer http.HandlerFunc
		call   func(*Client) error
	}{
		"302": {here(302), probe}, "307": {here(307), probe}, "308": {here(308), probe},
		"$batch 302": {here(302), batch}, "$batch 307": {here(307), batch}, "$batch 308": {here(308), batch},
		"part of a $batch": {say(200, part), batch},
		"MIME": {here(302), func(c *Client) error {
			_, err := c.MIME(t.Context(), "u1", "i1", nil)
			return err
		}},
	}
	for name, tt := range tests {
		b := newBench(t, tt.answer, func(o *Options) { o.Credential, o.Scope = &tokens{}, "s" })
		if err := tt.call(b.client); MeaningOf(err) != Broken {
			t.Errorf("%s: %v, want broken", name, err)
		}
	}
}

func TestTheSecretGoesToNoOtherHost(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		n := newNetwork(t, graphtest.Options{})
		n.server.Fault(func(r graphtest.Request) bool { return strings.HasSuffix(r.Path, "/token") }, 0,
			graphtest.Fault{Status: 307, Header: http.Header{"Location": {"https://elsewhere.example/token"}}})
		cred, err := n.credential(kind, public())
		if err != nil {
			t.Fatal(err)
		}
		if err := n.client(t, public(), cred).ProbeMailbox(t.Context(), testUser); MeaningOf(err) != Broken {
			t.Errorf("%s: %v, want broken", kind, err)
		}
		if slices.Contains(n.hosts, "elsewhere.example") {
			t.Errorf("%s: a redirect was followed", kind)
		}
	}
}

func TestASignInThatCannotBeReachedIsTransient(t *testing.T) {
	t.Parallel()
	cred := &tokens{err: errors.New("dial https://login.example: refused for alice")}
	b := newBench(t, inbox, func(o *Options) { o.Credential, o.Scope = cred, "s" })
	err := b.client.ProbeMailbox(t.Context(), "u1")
	if MeaningOf(b.log.Error(err)) != Transient || len(cred.asked) != 5 {
		t.Errorf("ProbeMailbox = %v after %d, want transient after 5", err, len(cred.asked))
	}
}

func TestRefusalOfAnOldTokenAsksForNoFreshOne(t *testing.T) {
	t.Parallel()
	cred := &tokens{}
	clock := newTestClock()
	b := &bearer{credential: cred, scope: "s", now: clock.Now}
	first, _ := b.token(context.Background())
	b.refuse(first, "InvalidAuthenticationToken", "")
	second, _ := b.token(context.Background())
	b.refuse(first, "InvalidAuthenticationToken", "") // a slow call comes back with the old one
	_, _ = b.token(context.Background())
	var claims []bool
	for _, o := range cred.asked {
		claims = append(claims, o.Claims != "")
	}
	if first == second || fmt.Sprint(claims) != "[false true false]" {
		t.Errorf("asked for claims %v, want only the second time", claims)
	}
}

func FuzzParseClaims(f *testing.F) {
	f.Add(`Bearer realm="", claims="` + base64.StdEncoding.EncodeToString([]byte(`{"a":1}`)) + `"`)
	f.Add(`Bearer claims="`)
	f.Add(`claims="%%%"`)
	f.Fuzz(func(t *testing.T, challenge string) {
		if got := parseClaims(challenge); got != "" && !strings.Contains(challenge, `claims="`) {
			t.Errorf("parseClaims(%q) = %q", challenge, got)
		}
	})
}
