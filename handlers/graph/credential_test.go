package graph

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// signIn is Microsoft Entra as far as a client secret needs it.
func signIn(t *testing.T) *httptest.Server {
	t.Helper()
	var srv *httptest.Server
	srv = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tenant := srv.URL + "/tenant-id"
		switch {
		case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
			say(200, fmt.Sprintf(`{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q}`,
				tenant+"/v2.0", tenant+"/oauth2/v2.0/authorize", tenant+"/oauth2/v2.0/token"))(w, r)
		case r.PostFormValue("client_secret") != "right":
			say(401, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret for app alice.",
				"error_codes":[7000215]}`)(w, r)
		default:
			say(200, `{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"granted"}`)(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	return srv
}

func TestASecretSignsIn(t *testing.T) {
	t.Parallel()
	srv := signIn(t)
	for secret, want := range map[string]string{"right": "", "wrong-secret": "probe mailbox: 401 AADSTS7000215 (unauthorized)"} {
		cred, err := SecretCredential("tenant-id", "client-id", secret, srv.URL+"/", srv.Client())
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Authorization"); got != "Bearer granted" {
				t.Errorf("Authorization = %q", got)
			}
			inbox(w, r)
		}), func(o *Options) { o.Credential, o.Scope = cred, "https://graph.example/.default" })
		err = b.client.ProbeMailbox(t.Context(), "u1")
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && (got != want || MeaningOf(err) != Unauthorized) {
			t.Errorf("secret %q: %v, want %q", secret, err, want)
		}
	}
}

func TestSecretCredentialRefusesAnAuthorityThatIsNotHTTPS(t *testing.T) {
	t.Parallel()
	for _, authority := range []string{"http://login.microsoftonline.com/", "http://127.0.0.1/", "login", ""} {
		if _, err := SecretCredential("t", "c", "s", authority, nil); err == nil {
			t.Errorf("SecretCredential(%q) = nil, want an error", authority)
		}
	}
	if _, err := SecretCredential("t", "c", "s", "https://login.microsoftonline.com/", nil); err != nil {
		t.Errorf("SecretCredential = %v", err)
	}
}

func TestASignInThatCannotBeReachedIsTransient(t *testing.T) {
	t.Parallel()
	cred := &tokens{err: errors.New("dial https://login.example: refused for alice")}
	b := newBench(t, inbox, func(o *Options) { o.Credential, o.Scope = cred, "s" })
	err := b.client.ProbeMailbox(t.Context(), "u1")
	if MeaningOf(err) != Transient || strings.Contains(err.Error(), "alice") || len(cred.asked) != 5 {
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
