package console

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The roles, which are values of app roles of the app registration. An operator may all that a reader may.
const (
	roleReader   = "reader"
	roleOperator = "operator"
)

// local is who acts while nobody signs in: whoever works on this machine.
const local = "local"

// A person is who calls: of the tenant's people by object id, in records and logs.
type person struct {
	name  string
	roles []string
}

func (p person) may(role string) bool {
	return slices.Contains(p.roles, role) || slices.Contains(p.roles, roleOperator)
}

// A SignIn tells callers by tokens of a tenant of Entra ID (version 2.0). It believes nothing but the tenant's signature: no
// header that says who somebody is, whoever adds it. All fields are needed.
type SignIn struct {
	Tenant   string // id
	Audience string // client id of the app registration that tokens are for
	Login    string // root of the sign-in, where the tenant's keys are
	Client   *http.Client
	Now      func() time.Time

	mu   sync.Mutex
	keys map[string]*rsa.PublicKey
	at   time.Time // when the keys were asked for last
}

// Bounds of tokens and keys.
const (
	maxToken   = 32 << 10
	maxKeys    = 1 << 20
	leastBits  = 2048
	skew       = 5 * time.Minute  // of clocks
	keysKept   = 24 * time.Hour   // then they are asked for again
	keysNotYet = 30 * time.Second // after which an unknown key is asked for again: keys change, and strangers name any
)

// claims are those of a token that are gone by.
type claims struct {
	jwt.RegisteredClaims
	Tenant  string   `json:"tid"`
	Object  string   `json:"oid"`
	Version string   `json:"ver"`
	Roles   []string `json:"roles"`
}

var objectID = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)

// errKeys says that the tenant's keys cannot be had: nobody can be told then.
var errKeys = errors.New("signing keys of the tenant not read")

func (s *SignIn) issuer() string { return s.Login + "/" + s.Tenant + "/v2.0" }

// person gives who a token names. Errors but errKeys say, without a word of the token, why it is worth nothing.
func (s *SignIn) person(ctx context.Context, token string) (person, error) {
	if len(token) > maxToken {
		return person{}, errors.New("it is too long")
	}
	var c claims
	_, err := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}), jwt.WithIssuer(s.issuer()), jwt.WithAudience(s.Audience),
		jwt.WithExpirationRequired(), jwt.WithNotBeforeRequired(), jwt.WithLeeway(skew), jwt.WithTimeFunc(s.Now),
	).ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		name, _ := t.Header["kid"].(string)
		return s.key(ctx, name)
	})
	switch {
	case errors.Is(err, errKeys):
		return person{}, err
	case errors.Is(err, jwt.ErrTokenExpired):
		return person{}, errors.New("it has expired")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return person{}, errors.New("it is not valid yet")
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return person{}, errors.New("it is meant for another application")
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return person{}, errors.New("another tenant or version issued it: tokens of version 2.0 are taken")
	case err != nil:
		return person{}, errors.New("it is not signed by the tenant, or damaged")
	case !strings.EqualFold(c.Tenant, s.Tenant) || c.Version != "2.0" || !objectID.MatchString(c.Object):
		return person{}, errors.New("it lacks the claims of a token of the tenant, tid, oid and ver")
	}
	return person{name: strings.ToLower(c.Object), roles: c.Roles}, nil
}

// key gives the tenant's key of that name.
func (s *SignIn) key(ctx context.Context, name string) (*rsa.PublicKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	age := s.Now().Sub(s.at)
	known, ok := s.keys[name]
	if s.at.IsZero() || age > keysKept || !ok && age > keysNotYet {
		s.at = s.Now()
		keys, err := s.fetch(ctx)
		if err == nil {
			s.keys = keys
			known, ok = s.keys[name]
		} else if !ok {
			s.at = time.Time{} // the next caller tries again
			return nil, err
		}
	}
	if !ok {
		return nil, errors.New("no such key")
	}
	return known, nil
}

// fetch asks the tenant for its keys.
func (s *SignIn) fetch(ctx context.Context) (map[string]*rsa.PublicKey, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Login+"/"+s.Tenant+"/discovery/v2.0/keys", nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errKeys, err)
	}
	response, err := s.Client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errKeys, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: status %d", errKeys, response.StatusCode)
	}
	var set struct {
		Keys []webKey `json:"keys"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxKeys)).Decode(&set); err != nil {
		return nil, fmt.Errorf("%w: %w", errKeys, err)
	}
	keys := map[string]*rsa.PublicKey{}
	for _, k := range set.Keys {
		if key, ok := k.rsa(); ok && k.of(s) {
			keys[k.Name] = key
		}
	}
	return keys, nil
}

// A webKey is a key as the tenant publishes it (RFC 7517).
type webKey struct {
	Type     string `json:"kty"`
	Use      string `json:"use"`
	Name     string `json:"kid"`
	Modulus  string `json:"n"`
	Exponent string `json:"e"`
	Issuer   string `json:"issuer"`
}

// of reports whether the key signs for the tenant.
func (k webKey) of(s *SignIn) bool {
	return k.Issuer == "" || strings.ReplaceAll(k.Issuer, "{tenantid}", s.Tenant) == s.issuer()
}

func (k webKey) rsa() (*rsa.PublicKey, bool) {
	n, err := base64.RawURLEncoding.DecodeString(k.Modulus)
	e, err2 := base64.RawURLEncoding.DecodeString(k.Exponent)
	if k.Type != "RSA" || k.Use != "sig" || k.Name == "" || err != nil || err2 != nil || len(e) > 4 {
		return nil, false
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	return key, key.N.BitLen() >= leastBits && key.E > 2
}
