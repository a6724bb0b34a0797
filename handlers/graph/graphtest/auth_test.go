package graphtest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	signInApp      = "3f1c2f0e-6b1a-4f0e-9d57-0e3b1f6f7b22"
	signInAudience = "http://login.example/contoso.example/oauth2/v2.0/token"
)

func noon() time.Time { return time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) }

// keyOf makes a certificate that is valid until then.
func keyOf(t *testing.T, until time.Time) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: noon().AddDate(0, 0, -9), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// post asks the token endpoint and gives the status and the code of a refusal, 0 for a token.
func post(t *testing.T, s *Server, form url.Values) (status, code int) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, signInAudience, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var answer struct {
		Codes []int  `json:"error_codes"`
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || (answer.Token == "") != (len(answer.Codes) == 1) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if answer.Token != "" {
		return w.Code, 0
	}
	return w.Code, answer.Codes[0]
}

func TestAnAssertionIsHeldToItsCertificate(t *testing.T) {
	t.Parallel()
	cert, key := keyOf(t, noon().AddDate(0, 0, 1))
	expired, expiredKey := keyOf(t, noon().AddDate(0, 0, -1))
	_, foreign := keyOf(t, noon().AddDate(0, 0, 1))
	s := NewServer(&Tenant{
		ID: guid("t"), Domain: "contoso.example", Apps: []App{{ClientID: signInApp, Certificates: []*x509.Certificate{cert, expired}}},
	}, Options{Now: noon})
	thumbprint := func(c *x509.Certificate) string {
		sum := sha256.Sum256(c.Raw)
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	for name, tt := range map[string]struct {
		method jwt.SigningMethod
		key    any
		claim  string
		value  any
		header map[string]any
		code   int
	}{
		"good":                   {},
		"RS256":                  {method: jwt.SigningMethodRS256},
		"another algorithm":      {method: jwt.SigningMethodHS256, key: []byte("k"), code: 700027},
		"another key":            {key: foreign, code: 700027},
		"another audience":       {claim: "aud", value: "http://login.example/other/oauth2/v2.0/token", code: 700027},
		"another issuer":         {claim: "iss", value: "x", code: 700027},
		"another subject":        {claim: "sub", value: "x", code: 700027},
		"without end":            {claim: "exp", code: 700027},
		"over":                   {claim: "exp", value: noon().Add(-time.Second).Unix(), code: 700024},
		"not yet":                {claim: "nbf", value: noon().Add(time.Minute).Unix(), code: 700024},
		"without thumbprint":     {header: map[string]any{"x5t#S256": nil}, code: 700027},
		"an unknown thumbprint":  {header: map[string]any{"x5t#S256": "AAAA"}, code: 700027},
		"another chain":          {header: map[string]any{"x5c": []string{base64.StdEncoding.EncodeToString(expired.Raw)}}, code: 700027},
		"its chain":              {header: map[string]any{"x5c": []string{base64.StdEncoding.EncodeToString(cert.Raw)}}},
		"an expired certificate": {key: expiredKey, header: map[string]any{"x5t#S256": thumbprint(expired)}, code: 700027},
	} {
		claims := jwt.MapClaims{
			"aud": signInAudience, "iss": signInApp, "sub": signInApp, "nbf": noon().Unix(), "exp": noon().Add(time.Minute).Unix(),
		}
		if tt.claim != "" {
			delete(claims, tt.claim)
			if tt.value != nil {
				claims[tt.claim] = tt.value
			}
		}
		if tt.method == nil {
			tt.method = jwt.SigningMethodPS256
		}
		if tt.key == nil {
			tt.key = key
		}
		token := jwt.NewWithClaims(tt.method, claims)
		token.Header["x5t#S256"] = thumbprint(cert)
		for name, value := range tt.header {
			token.Header[name] = value
		}
		assertion, err := token.SignedString(tt.key)
		if err != nil {
			t.Fatal(err)
		}
		form := url.Values{
			"grant_type": {"client_credentials"}, "client_id": {signInApp}, "scope": {"https://graph.microsoft.com/.default"},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
		}
		if _, code := post(t, s, form); code != tt.code {
			t.Errorf("%s: code %d, want %d", name, code, tt.code)
		}
	}
}

func TestATokenRequestIsHeldToItsForm(t *testing.T) {
	t.Parallel()
	s := NewServer(&Tenant{ID: guid("t"), Domain: "contoso.example", Apps: []App{
		{ClientID: signInApp, Secret: "s"}, {ClientID: "bare"}, {ClientID: "late", Secret: "s", SecretExpired: true},
	}}, Options{Now: noon})
	for name, tt := range map[string]struct {
		change       map[string]string
		status, code int
	}{
		"good":                      {nil, 200, 0},
		"another grant":             {map[string]string{"grant_type": "password"}, 400, 70003},
		"a scope of no default":     {map[string]string{"scope": "https://graph.microsoft.com/Mail.Read"}, 400, 1002012},
		"a scope of no Graph":       {map[string]string{"scope": "https://vault.azure.net/.default"}, 400, 500011},
		"an unknown app":            {map[string]string{"client_id": "x"}, 400, 700016},
		"another secret":            {map[string]string{"client_secret": "x"}, 401, 7000215},
		"no credential":             {map[string]string{"client_secret": ""}, 401, 7000218},
		"an app without a secret":   {map[string]string{"client_id": "bare"}, 401, 7000215},
		"an expired secret":         {map[string]string{"client_id": "late"}, 401, 7000222},
		"two credentials":           {map[string]string{"client_assertion": "x"}, 400, 900144},
		"an assertion of no type":   {map[string]string{"client_secret": "", "client_assertion": "x"}, 400, 900144},
		"an assertion that is none": {map[string]string{"client_secret": "", "client_assertion": "x", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, 400, 50027},
	} {
		form := url.Values{
			"grant_type": {"client_credentials"}, "client_id": {signInApp}, "client_secret": {"s"},
			"scope": {"https://graph.microsoft.com/.default openid offline_access profile"},
		}
		for field, value := range tt.change {
			form.Set(field, value)
		}
		if status, code := post(t, s, form); status != tt.status || code != tt.code {
			t.Errorf("%s: %d with code %d, want %d with %d", name, status, code, tt.status, tt.code)
		}
	}
}

func TestTheIdentityEndpointIsAppServices(t *testing.T) {
	t.Parallel()
	s := NewServer(&Tenant{ID: guid("t"), Domain: "contoso.example", Identities: []Identity{
		{ClientID: "u", ObjectID: "o"}, {ClientID: "s", ObjectID: "p", System: true},
	}}, Options{Now: noon})
	const good = "?api-version=2019-08-01&resource=https://graph.microsoft.com"
	for query, want := range map[string]struct {
		header   string
		status   int
		identity string
	}{
		good:                  {IdentityHeader, 200, "s"},
		good + "&client_id=u": {IdentityHeader, 200, "u"},
		good + "&client_id=x": {IdentityHeader, 400, ""},
		good + "&client_id=":  {IdentityHeader, 400, ""},
		good + "&clientid=u":  {IdentityHeader, 400, ""},
		good + "/.default":    {IdentityHeader, 400, ""}, // a scope is not a resource
		good + "#":            {"wrong", 401, ""},
		"?api-version=2017-09-01&resource=https://graph.microsoft.com": {IdentityHeader, 400, ""},
		"?api-version=2019-08-01":                                      {IdentityHeader, 400, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://identity.example"+IdentityPath+query, nil)
		r.Header.Set("X-IDENTITY-HEADER", want.header)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		var got struct {
			Token    string `json:"access_token"`
			Type     string `json:"token_type"`
			Expires  string `json:"expires_on"` // seconds since 1970, as text
			ClientID string `json:"client_id"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != want.status || got.ClientID != want.identity {
			t.Errorf("%s: %d %s, want %d and identity %q", query, w.Code, w.Body, want.status, want.identity)
		}
		if want.status == 200 && (got.Token == "" || got.Type != "Bearer" || got.Expires != "1772629200") {
			t.Errorf("%s: answer %s", query, w.Body)
		}
	}
}

func TestATokenOpensItsAudienceAlone(t *testing.T) {
	t.Parallel()
	s := NewServer(&Tenant{ID: guid("t"), Domain: "contoso.example"}, Options{Now: noon})
	for _, tt := range []struct {
		audience, host string
		open           bool
	}{
		{"https://graph.microsoft.com", "graph.microsoft.com", true},
		{"https://graph.microsoft.com", "127.0.0.1:1", true},
		{"https://graph.microsoft.us", "graph.microsoft.com", false},
		{"https://graph.microsoft.com", "dod-graph.microsoft.us", false},
		{"api://AzureADTokenExchange", "graph.microsoft.com", false},
		{"api://AzureADTokenExchange", "127.0.0.1:1", false},
	} {
		text, _ := s.issue(token{app: signInApp, audience: tt.audience})
		r := httptest.NewRequest(http.MethodGet, "http://"+tt.host+"/v1.0/users", nil)
		r.Header.Set("Authorization", "Bearer "+text)
		if _, refusal := s.authorize(r); (refusal == nil) != tt.open {
			t.Errorf("a token for %s at %s: open %v, want %v", tt.audience, tt.host, refusal == nil, tt.open)
		}
	}
}
