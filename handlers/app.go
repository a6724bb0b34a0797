package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"

	"chainmail/handlers/bury"
	"chainmail/handlers/chain"
	"chainmail/handlers/collect"
	"chainmail/handlers/config"
	"chainmail/handlers/graph"
	"chainmail/handlers/host"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
	"chainmail/handlers/people"
	"chainmail/handlers/plan"
	"chainmail/handlers/settings"
	"chainmail/handlers/spool"
	"chainmail/handlers/vault"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// The containers of the state account: what the customer writes, and what the app remembers.
const (
	configContainer = "config"
	stateContainer  = "state"
)

// The spool's budget: what a process holds of items in memory and in temporary files at any moment.
const (
	spoolMemory = 96 << 20
	spoolDisk   = 400 << 20
)

// app is the wired application.
type app struct {
	log       *slog.Logger
	ledger    *ledger.Ledger
	state     *vault.Vault
	planner   *plan.Planner
	registry  *people.Registry
	collector *collect.Collector
	burier    *bury.Burier

	mu   sync.Mutex
	made bool // tables and containers are there
}

func newApp(env settings.Environment, log *slog.Logger, clock graph.Clock) (*app, error) {
	state, err := openVault(env.State)
	if err != nil {
		return nil, fmt.Errorf("CHAINMAIL_STATE: %w", err)
	}
	evidence, err := openVault(env.Evidence)
	if err != nil {
		return nil, fmt.Errorf("CHAINMAIL_EVIDENCE: %w", err)
	}
	book, err := openLedger(env.State)
	if err != nil {
		return nil, fmt.Errorf("CHAINMAIL_STATE: %w", err)
	}
	texts, err := newTexts()
	if err != nil {
		return nil, fmt.Errorf("prepare the reading of attachments: %w", err)
	}
	var (
		now     = clock.Now
		written = state.Container(configContainer)
		memory  = state.Container(stateContainer)
		clients = newClients(log, clock)
		inForce = &config.Store{
			Written: written, State: memory, Evidence: evidence.Container, Ledger: book, Lookup: env.Lookup, Log: log, Now: now,
		}
		sealing = &chain.Chain{
			Ledger: book, State: memory, Evidence: evidence.Container, App: pack.App{Version: version, Commit: commit}, Log: log, Now: now,
		}
	)
	return &app{
		log: log, ledger: book, state: state,
		planner:  &plan.Planner{Config: inForce, Ledger: book, State: memory, Chain: sealing, Log: log, Now: now},
		registry: &people.Registry{Config: inForce, Written: written, Ledger: book, Graph: clients.of, Log: log, Now: now},
		collector: &collect.Collector{
			Config: inForce, Ledger: book, State: memory, Evidence: evidence.Container, Chain: sealing, Graph: clients.of,
			Spool: spool.NewBudget(spoolMemory, spoolDisk, os.TempDir()), Texts: texts, Budget: env.RunBudget, Log: log,
			Now: now,
		},
		burier: &bury.Burier{Config: inForce, Ledger: book, Log: log, Now: now},
	}, nil
}

// ready makes the tables and containers before the first invocation works, not before the process listens: the host waits
// for that, and storage may be out of reach just then.
func (a *app) ready(f host.Func) host.Func {
	return func(ctx context.Context, inv *host.Invocation) (host.Outcome, error) {
		if err := a.ensure(ctx); err != nil {
			return host.Outcome{}, fmt.Errorf("prepare storage: %w", err)
		}
		return f(ctx, inv)
	}
}

func (a *app) ensure(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.made {
		return nil
	}
	err := errors.Join(a.ledger.Ensure(ctx), a.state.Container(configContainer).Ensure(ctx), a.state.Container(stateContainer).Ensure(ctx))
	a.made = err == nil
	return err
}

func openVault(c settings.Connection) (*vault.Vault, error) {
	if !c.String.IsZero() {
		return vault.Open(vault.Account{ConnectionString: c.String.Reveal()})
	}
	cred, err := identity(c.ClientID)
	if err != nil {
		return nil, err
	}
	return vault.Open(vault.Account{BlobServiceURL: c.BlobServiceURI, Credential: cred})
}

func openLedger(c settings.Connection) (*ledger.Ledger, error) {
	if !c.String.IsZero() {
		return ledger.Open(ledger.Account{ConnectionString: c.String.Reveal()})
	}
	cred, err := identity(c.ClientID)
	if err != nil {
		return nil, err
	}
	return ledger.Open(ledger.Account{TableServiceURL: c.TableServiceURI, Credential: cred})
}

// identity is the app's managed identity: the user-assigned one of that client id, or the system's.
func identity(clientID string) (azcore.TokenCredential, error) {
	o := &azidentity.ManagedIdentityCredentialOptions{}
	if clientID != "" {
		o.ID = azidentity.ClientID(clientID)
	}
	return azidentity.NewManagedIdentityCredential(o)
}

// clients keeps one Graph client for each application that signs in: its gate counts the requests to each mailbox, and must
// see all of them.
type clients struct {
	log       *slog.Logger
	clock     graph.Clock
	transport http.RoundTripper

	mu   sync.Mutex
	kept map[string]*graph.Client
}

func newClients(log *slog.Logger, clock graph.Clock) *clients {
	return &clients{log: log, clock: clock, transport: graph.DefaultTransport(), kept: map[string]*graph.Client{}}
}

func (c *clients) of(s settings.Source) (*graph.Client, error) {
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

func (c *clients) open(s settings.Source) (*graph.Client, error) {
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
func (c *clients) signIn(s settings.Source, cloud graph.Cloud) (cred azcore.TokenCredential, err error) {
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
