package graphtest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestALeakIsFoundInEveryForm(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, what, hidden string }{
		"the canary":               {"Ärger mit Zeisig 7", "the canary", "zeisig"},
		"in capitals":              {`{"subject":"ÄRGER MIT ZEISIG"}`, "the canary", "zeisig"},
		"in another word":          {"zeisig-secret", "the canary", "zeisig"},
		"in hex":                   {hex.EncodeToString([]byte("der Zeisig")), "the canary", "5a6569736967"},
		"as bytes":                 {fmt.Sprint([]byte("der zeisig")), "the canary", "122 101 105"},
		"in an RFC 2047 word":      {"=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte("Ärger mit zeisig")) + "?=", "the canary", ""},
		"an address":               {"user maren.oldenkamp@contoso.onmicrosoft.com is gone", "an address", "maren"},
		"in JSON":                  {`{"identifier":"maren@contoso.com"}`, "an address", "maren"},
		"a short one":              {"(m@a.de)", "an address", "m@a"},
		"in a path":                {`Get "https://graph.example/v1.0/groups/maren%40contoso.com": EOF`, "an address", "maren"},
		"escaped twice":            {"/groups/maren%2540contoso.com", "an address", "maren"},
		"in a query":               {"?f=p%20eq%20'smtp:maren@contoso.com'", "an address", "maren"},
		"a Message-ID":             {"<20260302.1@mail.kestrel.example>", "an address", "20260302.1"},
		"a mailbox":                {`Get "http://127.0.0.1:1/v1.0/users/u1": EOF`, "a mailbox's path", "/users/u"},
		"a folder":                 {"/mailfolders/inbox", "a mailbox's path", "mailfolders"},
		"a token":                  {"token eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.e30.", "a token", "eyJ0"},
		"a header":                 {"Authorization:[Bearer x1y2]", "an authorization", "Bearer"},
		"a header of storage":      {"SharedKey account:c2lnbmF0dXJl", "an authorization", "SharedKey"},
		"a connection string":      {"AccountName=a;AccountKey=Zm9v;", "a secret's parameter", "AccountKey"},
		"a signature":              {"https://a.blob.example/c?sv=1&sig=x", "a secret's parameter", "sig="},
		"a signature, escaped":     {"c%3Fsv%3D1%26sig%3Dx", "a secret's parameter", "sig%3D"},
		"a form":                   {"grant_type=x&client_secret=y", "a secret's parameter", "client_secret"},
		"a key":                    {"-----BEGIN PRIVATE KEY-----", "a private key", "BEGIN"},
		"an old key":               {`-----BEGIN RSA PRIVATE KEY-----\nMII`, "a private key", "BEGIN"},
		"nothing":                  {"", "", ""},
		"ids":                      {`{"custodian":"68ca8ec0-11f8-456b-a785-70d9936650d5","item":"mzxw6ytboizgs3djnz2ca43un4"}`, "", ""},
		"an annotation":            {`{"@odata.nextLink":1,"value@odata.count":2,"x@microsoft.graph.downloadUrl":3}`, "", ""},
		"a module in a stack":      {"/go/pkg/mod/golang.org/x/net@v0.56.0/html/parse.go:12", "", ""},
		"a domain":                 {"domain: contoso.onmicrosoft.com", "", ""},
		"a certificate, no key":    {"-----BEGIN CERTIFICATE-----", "", ""},
		"a remedy":                 {"the private key is missing: add it unencrypted, as PEM (BEGIN PRIVATE KEY)", "", ""},
		"an at sign":               {"4 messages @ 12:00", "", ""},
		"a figure of the host":     {`{"signal":"design=2","sequence":1}`, "", ""},
		"a challenge, not a token": {`Bearer`, "", ""},
	} {
		what, text := Leak(tt.text)
		if what != tt.what || what == "" && text != tt.text {
			t.Errorf("%s: Leak = %q, %q, want %q", name, what, text, tt.what)
		}
		if tt.hidden != "" && strings.Contains(strings.ToLower(text), strings.ToLower(tt.hidden)) {
			t.Errorf("%s: it is told again: %s", name, text)
		}
	}
}

func TestTheCanaryIsFoundWhereverItBeginsInBase64(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"zeisig", "Zeisig", "ZEISIG"} {
		for before := range 7 {
			for after := range 4 {
				text := []byte(strings.Repeat("\xff", before) + word + strings.Repeat("\xff", after))
				for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
					if what, _ := Leak(e.EncodeToString(text)); what == "" {
						t.Errorf("%s after %d bytes and before %d is not found", word, before, after)
					}
				}
			}
		}
	}
	if what, _ := Leak(base64.StdEncoding.EncodeToString([]byte("Zaunkönig and other birds"))); what != "" {
		t.Errorf("another word is taken for %s", what)
	}
}

// complaints is a test that only keeps what it is told.
type complaints []string

func (*complaints) Helper() {}

func (c *complaints) Errorf(format string, args ...any) {
	*c = append(*c, fmt.Sprintf(format, args...))
}

func TestALogFailsItsTestAtTheFirstLineThatTells(t *testing.T) {
	t.Parallel()
	var c complaints
	l := NewLog(&c, "swordfish")
	log := l.Logger()
	log.Info("batch planned", "batch", "b1")
	if _ = l.Error(nil); len(c) != 0 {
		t.Fatalf("complaints about nothing: %q", c)
	}
	log.Warn("individual not checked", "error", "no user maren@contoso.com")
	log.Warn("individual not checked", "error", "no user ada@contoso.com")
	if len(c) != 1 || !strings.Contains(c[0], "individual not checked") || strings.Contains(c[0], "maren") {
		t.Errorf("complaints: %q, want one, about the first line and without the address", c)
	}
	if got := l.Events("batch planned"); len(got) != 1 || got[0]["batch"] != "b1" || len(l.Events("")) != 3 || len(c) != 1 {
		t.Errorf("events: %v, complaints: %q", got, c)
	}
	if l.Reset(); l.String() != "" {
		t.Error("the log was not reset")
	}
	for kind, said := range map[string]string{"an error": "the secret is Swordfish", "a message": "to " + Canary} {
		var c complaints
		NewLog(&c, "swordfish").Check(kind, said)
		if len(c) != 1 || !strings.HasPrefix(c[0], kind) || strings.Contains(strings.ToLower(c[0]), "swordfish") {
			t.Errorf("complaints: %q", c)
		}
	}
}

// TestTheServiceSaysWhatMustNotBeRepeated holds that who repeats what the stand-in says is found out.
func TestTheServiceSaysWhatMustNotBeRepeated(t *testing.T) {
	t.Parallel()
	tenant, _ := Small(1)
	app := tenant.Apps[0]
	s := NewServer(tenant, Options{Now: noon})
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {app.ClientID}, "client_secret": {app.Secret},
		"scope": {graphs[0] + "/.default"},
	}
	answers := map[string]string{
		"a token":                   exchange(s, "POST", "/"+tenant.ID+"/oauth2/v2.0/token", "", form.Encode()),
		"a refused sign-in":         exchange(s, "POST", "/"+tenant.ID+"/oauth2/v2.0/token", "", "grant_type=password"),
		"a refused identity":        exchange(s, "GET", IdentityPath, "", ""),
		"a request without a token": exchange(s, "GET", "/v1.0/users/x", "", ""),
	}
	var token struct {
		Text string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(answers["a token"]), &token); err != nil || !strings.Contains(token.Text, Canary) {
		t.Fatalf("no token with the canary, %v", err)
	}
	signature := token.Text[strings.LastIndex(token.Text, ".")+1:]
	if _, err := base64.RawURLEncoding.DecodeString(signature); err != nil {
		t.Errorf("the signature is no base64: %v", err)
	}
	answers["a user who is not there"] = exchange(s, "GET", "/v1.0/users/x", token.Text, "")
	for name, answer := range answers {
		if what, _ := Leak(answer); what == "" {
			t.Errorf("%s: %s tells nothing", name, answer)
		}
	}
	for _, secret := range []string{app.Secret, IdentityHeader} {
		if what, _ := Leak(secret); what == "" {
			t.Error("a secret of the stand-in cannot be told from other text")
		}
	}
}

// exchange gives the body of an answer.
func exchange(s *Server, method, path, token, body string) string {
	r := httptest.NewRequest(method, "http://graph.example"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Body.String()
}
