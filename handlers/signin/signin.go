// Package signin keeps the Graph clients of the sources, each with the credential that the source signs in with.
package signin

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"chainmail/handlers/graph"
	"chainmail/handlers/settings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// Clients keeps one Graph client for each application that signs in: its gate counts the requests to each mailbox, and must
// see all of them.
type Clients struct {
	log       *slog.Logger
	clock     graph.Clock
	transport http.RoundTripper

	mu   sync.Mutex
	kept map[string]*graph.Client
}

// New gives clients that log there and go by that clock.
func New(log *slog.Logger, clock graph.Clock) *Clients {
	return &Clients{log: log, clock: clock, transport: graph.DefaultTransport(), kept: map[string]*graph.Client{}}
}

// Of gives the client of a source.
func (c *Clients) Of(s settings.Source) (*graph.Client, error) {
	key := strings.Join([]string{
		s.Domain, s.ApplicationID, s.Cloud, s.GraphEndpoint, s.Credential.Kind, s.Credential.ClientID, hashed(s.Credential.Secret),
	}, "\n")
	c.mu.Lock()
	defer c.mu.Unlock()
	if g, ok := c.kept[key]; ok {
		return g, nil
	}
	g, err := c.open(s)
	if err == nil {
		c.kept[key] = g
	}
	return g, err
}

func (c *Clients) open(s settings.Source) (*graph.Client, error) {
	cloud, _ := graph.Clouds(s.Cloud)
	if s.GraphEndpoint != "" {
		cloud.Root, cloud.Authority = s.GraphEndpoint, origin(s.GraphEndpoint)
	}
	cred, err := c.signIn(s, cloud)
	if err != nil {
		return nil, err
	}
	return graph.New(graph.Options{Root: cloud.Root, Scope: cloud.Scope, Credential: cred, Transport: c.transport, Clock: c.clock, Log: c.log})
}

// signIn makes the source's credential; nil for kind none. The error names the app setting that cannot be used.
func (c *Clients) signIn(s settings.Source, cloud graph.Cloud) (cred azcore.TokenCredential, err error) {
	registration := graph.Registration{Tenant: s.Domain, ClientID: s.ApplicationID, Cloud: cloud, Transport: c.transport}
	switch s.Credential.Kind {
	case "none":
		return nil, nil
	case "secret":
		cred, err = registration.Secret(s.Credential.Secret.Reveal())
	case "certificate":
		cred, err = registration.Certificate(s.Credential.Secret.Reveal())
	case "managedIdentity":
		return graph.ManagedIdentity(s.Credential.ClientID, c.transport)
	case "federated":
		identity, err := graph.ManagedIdentity(s.Credential.ClientID, c.transport)
		if err != nil {
			return nil, err
		}
		return registration.Federated(identity)
	default:
		return nil, fmt.Errorf("credential kind %s is not known", s.Credential.Kind)
	}
	if err != nil {
		return nil, fmt.Errorf("app setting %s: %w", s.Credential.Setting, err)
	}
	return cred, nil
}

// origin is a URL's scheme and host, with a slash.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Scheme + "://" + u.Host + "/"
}

func hashed(s settings.Secret) string {
	sum := sha256.Sum256([]byte(s.Reveal()))
	return hex.EncodeToString(sum[:])
}
