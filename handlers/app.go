package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"chainmail/handlers/bury"
	"chainmail/handlers/chain"
	"chainmail/handlers/collect"
	"chainmail/handlers/config"
	"chainmail/handlers/console"
	"chainmail/handlers/graph"
	"chainmail/handlers/host"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
	"chainmail/handlers/people"
	"chainmail/handlers/plan"
	"chainmail/handlers/preflight"
	"chainmail/handlers/queue"
	"chainmail/handlers/settings"
	"chainmail/handlers/signin"
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
	console   *console.Console

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
	waiting, err := openQueues(env.Queues)
	if err != nil {
		return nil, fmt.Errorf("AzureWebJobsStorage: %w", err)
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
		clients = signin.New(log, clock)
		inForce = &config.Store{
			Written: written, State: memory, Evidence: evidence.Container, Ledger: book, Lookup: env.Lookup, Log: log, Now: now,
		}
		sealing = &chain.Chain{
			Ledger: book, State: memory, Evidence: evidence.Container, App: pack.App{Version: version, Commit: commit}, Log: log, Now: now,
		}
	)
	a := &app{
		log: log, ledger: book, state: state,
		planner:  &plan.Planner{Config: inForce, Ledger: book, Chain: sealing, Depth: waiting.Depth, Log: log, Now: now},
		registry: &people.Registry{Config: inForce, Written: written, Ledger: book, Graph: clients.Of, Log: log, Now: now},
		collector: &collect.Collector{
			Config: inForce, Ledger: book, State: memory, Evidence: evidence.Container, Chain: sealing, Graph: clients.Of,
			Spool: spool.NewBudget(spoolMemory, spoolDisk, os.TempDir()), Texts: texts, Budget: env.RunBudget, Log: log,
			Now: now,
		},
		burier: &bury.Burier{Config: inForce, Ledger: book, Log: log, Now: now},
	}
	a.console = &console.Console{
		Open: env.Console.Local, SignIn: signedIn(env.Console, now), Ready: a.ensure, Config: inForce,
		Written: written, State: memory, Ledger: book,
		Preflight: checked(inForce, written, preflight.Checker{Graph: clients.Of, Now: now}), Log: log, Now: now,
	}
	return a, nil
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
	cred, err := credential(c)
	if err != nil {
		return nil, err
	}
	return vault.Open(vault.Account{ConnectionString: c.String.Reveal(), BlobServiceURL: c.BlobServiceURI, Credential: cred})
}

func openQueues(c settings.Connection) (*queue.Queues, error) {
	cred, err := credential(c)
	if err != nil {
		return nil, err
	}
	return queue.Open(queue.Account{ConnectionString: c.String.Reveal(), QueueServiceURL: c.QueueServiceURI, Credential: cred})
}

func openLedger(c settings.Connection) (*ledger.Ledger, error) {
	cred, err := credential(c)
	if err != nil {
		return nil, err
	}
	return ledger.Open(ledger.Account{ConnectionString: c.String.Reveal(), TableServiceURL: c.TableServiceURI, Credential: cred})
}

// credential is the app's managed identity, where the connection has no string: the user-assigned one of its client id, or the
// system's.
func credential(c settings.Connection) (azcore.TokenCredential, error) {
	if !c.String.IsZero() {
		return nil, nil
	}
	o := &azidentity.ManagedIdentityCredentialOptions{}
	if c.ClientID != "" {
		o.ID = azidentity.ClientID(c.ClientID)
	}
	return azidentity.NewManagedIdentityCredential(o)
}
