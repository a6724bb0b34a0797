package console

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	tenantID = "99999999-9999-4999-8999-999999999999"
	clientID = "77777777-7777-4777-8777-777777777777"
	carolID  = "33333333-3333-4333-8333-333333333333"
)

// A tenant signs tokens, and publishes its keys.
type tenant struct {
	*testing.T
	key    *rsa.PrivateKey
	name   string // of the key
	login  string
	asked  atomic.Int64
	broken atomic.Bool
	now    func() time.Time
}

func newTenant(t *testing.T, now func() time.Time) *tenant {
	x := &tenant{T: t, name: "first", now: now}
	x.rotate("first")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.asked.Add(1)
		if x.broken.Load() || r.URL.Path != "/"+tenantID+"/discovery/v2.0/keys" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []map[string]string{{
			"kty": "RSA", "use": "sig", "kid": x.name, "n": base64.RawURLEncoding.EncodeToString(x.key.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(x.key.E)).Bytes()), "issuer": x.login + "/{tenantid}/v2.0",
		}}})
	}))
	t.Cleanup(server.Close)
	x.login = server.URL
	return x
}

func (x *tenant) rotate(name string) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(x.T, err)
	x.key, x.name = key, name
}

func (x *tenant) signIn() *SignIn {
	return &SignIn{Tenant: tenantID, Audience: clientID, Login: x.login, Client: http.DefaultClient, Now: x.now}
}

// claims are those of Carol's good token, with changes; nil removes one.
func (x *tenant) claims(changes jwt.MapClaims) jwt.MapClaims {
	c := jwt.MapClaims{
		"iss": x.login + "/" + tenantID + "/v2.0", "aud": clientID, "tid": tenantID, "oid": carolID, "ver": "2.0",
		"roles": []string{roleOperator}, "nbf": x.now().Add(-time.Minute).Unix(), "exp": x.now().Add(time.Hour).Unix(),
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func (x *tenant) token(changes jwt.MapClaims) string {
	return x.sign(jwt.SigningMethodRS256, x.key, changes)
}

func (x *tenant) sign(method jwt.SigningMethod, key any, changes jwt.MapClaims) string {
	token := jwt.NewWithClaims(method, x.claims(changes))
	token.Header["kid"] = x.name
	text, err := token.SignedString(key)
	must(x.T, err)
	return text
}

// worthless are tokens that name nobody, by why.
func (x *tenant) worthless() map[string]string {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	must(x.T, err)
	public, err := x509.MarshalPKIXPublicKey(&x.key.PublicKey)
	must(x.T, err)
	good := x.token(nil)
	parts := strings.Split(good, ".")
	return map[string]string{
		"unsigned":            x.sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil),
		"by the public key":   x.sign(jwt.SigningMethodHS256, public, nil),
		"by another key":      x.sign(jwt.SigningMethodRS256, other, nil),
		"by another method":   x.sign(jwt.SigningMethodRS512, x.key, nil),
		"without signature":   parts[0] + "." + parts[1] + ".",
		"another's claims":    parts[0] + "." + strings.Split(x.token(jwt.MapClaims{"oid": aliceID}), ".")[1] + "." + parts[2],
		"foreign issuer":      x.token(jwt.MapClaims{"iss": "https://login.attacker.example/" + tenantID + "/v2.0"}),
		"version 1":           x.token(jwt.MapClaims{"iss": "https://sts.windows.net/" + tenantID + "/", "ver": "1.0"}),
		"foreign tenant":      x.token(jwt.MapClaims{"tid": clientID}),
		"foreign audience":    x.token(jwt.MapClaims{"aud": "https://graph.microsoft.com"}),
		"no audience":         x.token(jwt.MapClaims{"aud": nil}),
		"expired":             x.token(jwt.MapClaims{"exp": x.now().Add(-10 * time.Minute).Unix()}),
		"without end":         x.token(jwt.MapClaims{"exp": nil}),
		"not valid yet":       x.token(jwt.MapClaims{"nbf": x.now().Add(10 * time.Minute).Unix()}),
		"without beginning":   x.token(jwt.MapClaims{"nbf": nil}),
		"without a person":    x.token(jwt.MapClaims{"oid": nil}),
		"a person of no form": x.token(jwt.MapClaims{"oid": "<script>"}),
		"too long":            good + strings.Repeat("A", maxToken),
		"no token":            "operator",
	}
}

func TestATokenNamesWhomTheTenantSignedItFor(t *testing.T) {
	t.Parallel()
	now := at("2026-03-05T12:00:00Z")
	x := newTenant(t, func() time.Time { return now })
	s := x.signIn()
	who, err := s.person(t.Context(), x.token(nil))
	if err != nil || who.name != carolID || !who.may(roleOperator) || !who.may(roleReader) {
		t.Fatalf("%+v, %v", who, err)
	}
	if who, err := s.person(t.Context(), x.token(jwt.MapClaims{"roles": []string{roleReader}})); err != nil || who.may(roleOperator) || !who.may(roleReader) {
		t.Errorf("a reader: %+v, %v", who, err)
	}
	for why, token := range x.worthless() {
		if who, err := s.person(t.Context(), token); err == nil || who.name != "" || strings.Contains(err.Error(), "script") {
			t.Errorf("%s: %+v, %v", why, who, err)
		}
	}
	if n := x.asked.Load(); n != 1 {
		t.Errorf("the keys were asked for %d times, want once", n)
	}
}

func TestTheTenantsKeysAreFollowed(t *testing.T) {
	t.Parallel()
	now := at("2026-03-05T12:00:00Z")
	x := newTenant(t, func() time.Time { return now })
	s := x.signIn()
	old := x.token(nil)
	_, err := s.person(t.Context(), old)
	must(t, err)
	x.rotate("second")
	if _, err := s.person(t.Context(), x.token(nil)); err == nil || x.asked.Load() != 1 {
		t.Errorf("an unknown key is asked for at once, %d times: %v", x.asked.Load(), err)
	}
	now = now.Add(keysNotYet + time.Second)
	_, err = s.person(t.Context(), x.token(nil))
	must(t, err)
	if _, err := s.person(t.Context(), old); err == nil {
		t.Error("a key that the tenant has withdrawn still signs")
	}
	x.broken.Store(true)
	now = now.Add(keysKept + time.Second)
	if _, err := s.person(t.Context(), x.token(nil)); err != nil {
		t.Errorf("with the keys out of reach, known ones: %v", err)
	}
	if _, err := x.signIn().person(t.Context(), x.token(nil)); !errors.Is(err, errKeys) {
		t.Errorf("without any key: %v", err)
	}
}

// Each change and each read, by whoever may not.
func TestWithoutATokenOfTheRoleNothingIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	x := newTenant(t, func() time.Time { return w.now })
	w.console.Open, w.console.SignIn = false, x.signIn()
	before := w.snapshot()
	changes := append(everyChange(w), call{method: "POST", path: "/api/sources/o365-mail/enable", body: `{"reason":"test"}`})
	forged := `{"auth_typ":"aad","claims":[{"typ":"roles","val":"operator"}]}`
	headers := map[string]map[string]string{
		"nobody":             {},
		"a principal header": {"X-Ms-Client-Principal": base64.StdEncoding.EncodeToString([]byte(forged)), "X-Ms-Client-Principal-Id": carolID},
		"a basic sign-in":    {"Authorization": "Basic b3BlcmF0b3I6eA=="},
	}
	for why, token := range x.worthless() {
		headers[why] = map[string]string{"Authorization": "Bearer " + token}
		headers[why+", by App Service"] = map[string]string{tokenHeader: token}
	}
	for why, header := range headers {
		w.refused(why, 401, header, append(reads(), changes...))
	}
	w.refused("no role", 403, map[string]string{"Authorization": "Bearer " + x.token(jwt.MapClaims{"roles": nil})}, append(reads(), changes...))
	w.refused("another role", 403, map[string]string{"Authorization": "Bearer " + x.token(jwt.MapClaims{"roles": []string{"Operator", "admin"}})}, changes)
	w.refused("a reader", 403, map[string]string{tokenHeader: x.token(jwt.MapClaims{"roles": []string{roleReader}})}, changes)
	w.refused("another site", 403, map[string]string{tokenHeader: x.token(nil), "Sec-Fetch-Site": "cross-site"}, changes)
	if w.snapshot() != before || len(w.records()) > 0 {
		t.Error("a refused request has changed something")
	}
}

// refused sends requests with headers, and wants each refused with a status.
func (w *world) refused(why string, status int, header map[string]string, calls []call) {
	w.Helper()
	for _, c := range calls {
		c.header = maps.Clone(c.header)
		if c.header == nil {
			c.header = map[string]string{}
		}
		maps.Copy(c.header, header)
		if answer := w.do(c); answer.Code != status || strings.Contains(answer.Body.String(), alice) {
			w.Errorf("%s: %s %s: %d %s, want %d", why, c.method, c.path, answer.Code, answer.Body, status)
		}
	}
}

func TestWhoSignedInStandsInTheRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	x := newTenant(t, func() time.Time { return w.now })
	w.console.Open, w.console.SignIn = false, x.signIn()
	for _, header := range []map[string]string{{"Authorization": "Bearer " + x.token(nil)}, {tokenHeader: x.token(nil)}} {
		header["X-Forwarded-For"] = "203.0.113.7" // which App Service adds
		for _, what := range []string{"disable", "enable"} {
			c := call{method: "POST", path: "/api/sources/o365-mail/" + what, body: `{"reason":"x"}`, host: "chainmail.example", header: header}
			if answer := w.do(c); answer.Code != 200 {
				t.Fatalf("%d %s", answer.Code, answer.Body)
			}
		}
	}
	all := w.records()
	for name, a := range all {
		if a.Who != carolID {
			t.Errorf("%s: who %q", name, a.Who)
		}
	}
	if len(all) != 4 {
		t.Errorf("%d records, want 4", len(all))
	}
}
