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

// SecretCredential signs in with a client secret. tenant is an id or a domain; authority is a cloud's sign-in, or one on
// loopback, of which nobody else is asked; transport may be nil. The error never holds the secret.
func SecretCredential(tenant, clientID, secret, authority string, transport policy.Transporter) (azcore.TokenCredential, error) {
	u, err := url.Parse(authority)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("make secret credential: the authority is no https URL")
	}
	o := &azidentity.ClientSecretCredentialOptions{DisableInstanceDiscovery: loopback(u.Hostname())}
	o.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: authority}
	o.Transport = transport
	cred, err := azidentity.NewClientSecretCredential(tenant, clientID, secret, o)
	if err != nil {
		return nil, fmt.Errorf("make secret credential: %w", err)
	}
	return cred, nil
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

// signInError turns a credential's error, whose text holds addresses and the whole answer, into one of ours.
func signInError(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	e := &Error{Meaning: Transient, Code: "SignInUnreachable", err: err}
	var failed *azidentity.AuthenticationFailedError
	if !errors.As(err, &failed) || failed.RawResponse == nil {
		return e
	}
	e.Status = failed.RawResponse.StatusCode
	e.Code = signInCode(failed.Error())
	if e.Status < 500 && e.Status != http.StatusTooManyRequests && e.Status != http.StatusRequestTimeout {
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
	return "SignInRefused"
}
