package graph

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// A Cloud is where one of Microsoft's clouds has its Graph and its sign-in.
type Cloud struct {
	Root      string // of Graph, with version
	Authority string // of sign-in
	Scope     string // of a token for the Graph
}

// Clouds gives the cloud of a name: public, usgov, usgovdod or china (Microsoft Graph, "National cloud deployments").
func Clouds(name string) (Cloud, bool) {
	switch name {
	case "public":
		return cloudAt("https://graph.microsoft.com", cloud.AzurePublic), true
	case "usgov":
		return cloudAt("https://graph.microsoft.us", cloud.AzureGovernment), true
	case "usgovdod":
		return cloudAt("https://dod-graph.microsoft.us", cloud.AzureGovernment), true
	case "china":
		return cloudAt("https://microsoftgraph.chinacloudapi.cn", cloud.AzureChina), true
	}
	return Cloud{}, false
}

func cloudAt(host string, c cloud.Configuration) Cloud {
	return Cloud{Root: host + "/v1.0", Authority: c.ActiveDirectoryAuthorityHost, Scope: host + "/.default"}
}

// exchange is the audience of the tokens of managed identities that the cloud's sign-in takes for an app's credential
// (Microsoft Entra, "Configure an application to trust a managed identity").
func (c Cloud) exchange() string {
	switch c.Authority {
	case cloud.AzureGovernment.ActiveDirectoryAuthorityHost:
		return "api://AzureADTokenExchangeUSGov"
	case cloud.AzureChina.ActiveDirectoryAuthorityHost:
		return "api://AzureADTokenExchangeChina"
	}
	return "api://AzureADTokenExchange"
}

// A Registration is an app registration that signs in to a tenant. Its credentials' errors hold nothing of what they were
// given.
type Registration struct {
	Tenant    string // id, or one of the domains
	ClientID  string
	Cloud     Cloud             // whose Authority may be on loopback: then nobody else is asked
	Transport http.RoundTripper // nil: [DefaultTransport]
}

// Secret signs in with a client secret: the secret's value, not its id.
func (r Registration) Secret(value string) (azcore.TokenCredential, error) {
	o, alone, err := r.options()
	if err != nil {
		return nil, err
	}
	cred, err := azidentity.NewClientSecretCredential(r.Tenant, r.ClientID, value,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: alone})
	if err != nil {
		return nil, fmt.Errorf("make secret credential: %w", err)
	}
	return cred, nil
}

// Certificate signs in with a certificate and its private key: PEM, or a PFX without password in base64. The error of a
// value that cannot be used is an [*Error].
func (r Registration) Certificate(value string) (azcore.TokenCredential, error) {
	o, alone, err := r.options()
	if err != nil {
		return nil, err
	}
	pair, err := readCertificate(value)
	if err != nil {
		return nil, err
	}
	if err := pair.valid(time.Now()); err != nil {
		return nil, err
	}
	cred, err := azidentity.NewClientCertificateCredential(r.Tenant, r.ClientID, pair.chain, pair.key,
		&azidentity.ClientCertificateCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: alone, SendCertificateChain: true})
	if err != nil {
		return nil, fmt.Errorf("make certificate credential: %w", err)
	}
	return &certified{credential: cred, pair: pair, now: time.Now}, nil
}

// Federated signs in with tokens of a managed identity, see [ManagedIdentity], in which the registration trusts. The
// identity's credential keeps them.
func (r Registration) Federated(identity azcore.TokenCredential) (azcore.TokenCredential, error) {
	o, alone, err := r.options()
	if err != nil {
		return nil, err
	}
	want := policy.TokenRequestOptions{Scopes: []string{r.Cloud.exchange() + "/.default"}}
	assert := func(ctx context.Context) (string, error) {
		got, err := identity.GetToken(ctx, want)
		return got.Token, err
	}
	cred, err := azidentity.NewClientAssertionCredential(r.Tenant, r.ClientID, assert,
		&azidentity.ClientAssertionCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: alone})
	if err != nil {
		return nil, fmt.Errorf("make federated credential: %w", err)
	}
	return cred, nil
}

// options are the SDK's, and whether the authority stands alone, without Microsoft to vouch for it.
func (r Registration) options() (o azcore.ClientOptions, alone bool, err error) {
	u, err := url.Parse(r.Cloud.Authority)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return o, false, errors.New("make credential: the authority is no https URL")
	}
	o = clientOptions(r.Transport)
	o.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: r.Cloud.Authority}
	return o, loopback(u.Hostname()), nil
}

func clientOptions(transport http.RoundTripper) azcore.ClientOptions {
	if transport == nil {
		transport = DefaultTransport()
	}
	return azcore.ClientOptions{
		Transport: &http.Client{
			Transport: transport,
			// A redirect would take secret or assertion along to wherever it points.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Retry: policy.RetryOptions{MaxRetries: -1}, // a call repeats its sign-in by itself, see [Client.do]
	}
}

// ManagedIdentity signs in as a managed identity of the function app: the user-assigned one of that client id, or with "" the
// system-assigned one. Where tokens are had is in the environment that the platform makes. transport may be nil.
func ManagedIdentity(clientID string, transport http.RoundTripper) (azcore.TokenCredential, error) {
	o := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: clientOptions(transport)}
	if clientID != "" {
		o.ID = azidentity.ClientID(clientID)
	}
	cred, err := azidentity.NewManagedIdentityCredential(o)
	if err != nil {
		return nil, fmt.Errorf("make managed identity credential: %w", err)
	}
	return managed{cred}, nil
}

// managed is a managed identity's credential, whose errors say that the identity is at fault and not the app registration.
type managed struct{ credential azcore.TokenCredential }

func (m managed) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	got, err := m.credential.GetToken(ctx, o)
	if err == nil {
		return got, nil
	}
	err = signInError(err)
	var e *Error
	if errors.As(err, &e) && (e.Code == codeRefused || e.Code == codeUnreachable) {
		e.Code = "ManagedIdentityUnreachable"
		if e.Meaning == Unauthorized {
			e.Code = "ManagedIdentityRefused"
		}
	}
	return azcore.AccessToken{}, err
}

// bearer hands out tokens and asks for a fresh one after one was refused. Caching is the credential's.
type bearer struct {
	credential azcore.TokenCredential
	scope      string
	now        func() time.Time

	mu     sync.Mutex
	newest string // the token given out last
	claims string // what the next token must fulfil; not empty after a refusal
}

// token gives a token, or "" without a credential. The error is an [*Error] or the context's.
func (b *bearer) token(ctx context.Context) (string, error) {
	if b.credential == nil {
		return "", nil
	}
	b.mu.Lock()
	claims := b.claims
	b.mu.Unlock()
	got, err := b.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{b.scope}, Claims: claims})
	if err != nil {
		return "", signInError(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.newest = got.Token
	if b.claims == claims {
		b.claims = ""
	}
	return got.Token, nil
}

// refuse notes that Graph answered 401 with that code and that WWW-Authenticate header. Only a refusal of the token itself
// asks for a fresh one, and only of the newest: otherwise another call has already fetched its successor.
func (b *bearer) refuse(token, code, challenge string) {
	claims := parseClaims(challenge)
	if claims == "" && !strings.EqualFold(code, "InvalidAuthenticationToken") {
		return
	}
	if claims == "" {
		// A credential returns its cached token unless it is asked for claims; this one asks for a token from now on.
		claims = fmt.Sprintf(`{"access_token":{"nbf":{"essential":true,"value":"%d"}}}`, b.now().Unix())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if token != "" && token == b.newest {
		b.claims = claims
	}
}

// parseClaims gives the claims of a WWW-Authenticate header (Microsoft identity platform, "Claims challenges"), or "".
func parseClaims(challenge string) string {
	_, rest, found := strings.Cut(challenge, `claims="`)
	if !found {
		return ""
	}
	encoded, _, _ := strings.Cut(rest, `"`)
	encoded = strings.TrimRight(encoded, "=")
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if claims, err := enc.DecodeString(encoded); err == nil {
			return string(claims)
		}
	}
	return ""
}

// Codes of a sign-in that failed without one of Microsoft Entra's.
const (
	codeRefused     = "SignInRefused"
	codeUnreachable = "SignInUnreachable"
)

// signInError turns a credential's error, whose text holds addresses and the whole answer, into one of ours.
func signInError(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var ours *Error
	if errors.As(err, &ours) { // of the certificate, or of the identity behind a federated credential
		return ours
	}
	e := &Error{Meaning: Transient, Code: codeUnreachable, err: err}
	var failed *azidentity.AuthenticationFailedError
	if !errors.As(err, &failed) || failed.RawResponse == nil {
		return e
	}
	e.Status = failed.RawResponse.StatusCode
	e.Code = signInCode(failed.Error())
	switch {
	case e.Status < 400:
		e.Meaning = Broken // a redirect
	case e.Status < 500 && e.Status != http.StatusTooManyRequests && e.Status != http.StatusRequestTimeout:
		e.Meaning = Unauthorized
	}
	return e
}

var entraCode = regexp.MustCompile(`AADSTS[0-9]{3,10}`)

// signInCode finds the first code of Microsoft Entra, "AADSTS7000215", in the text of a refusal.
func signInCode(text string) string {
	if code := entraCode.FindString(text); code != "" {
		return code
	}
	return codeRefused
}
