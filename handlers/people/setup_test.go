package people

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/config"
	"chainmail/handlers/graph"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault"
	"chainmail/handlers/vault/storagetest"
)

const (
	testSource = "o365-mail"
	testList   = "individuals/people.csv"
	header     = "identifier,secondaryIdentifiers,displayName,from,to\n"
)

// A world is a registry with everything that it works on: a tenant behind the stand-in Graph, and a storage account
// behind a proxy.
type world struct {
	testing.TB
	tenant   *graphtest.Tenant
	graph    *graphtest.Server
	root     string // of Graph
	proxy    *storagetest.Proxy
	registry *Registry
	written  *vault.Container // past the proxy, like the ledger
	ledger   *ledger.Ledger
	log      *graphtest.Log
	now      time.Time    // the registry's clock
	faulty   *atomic.Bool // while the day's fault lasts, see groups_test.go
}

// newWorld serves the tenant; the clock begins at 5 March 2026, noon.
func newWorld(t testing.TB, tenant *graphtest.Tenant) *world {
	t.Helper()
	w := &world{TB: t, tenant: tenant, now: time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC), log: graphtest.NewLog(t, "canary")}
	w.graph, w.root = graphtest.Serve(t, tenant, graphtest.Options{Anonymous: true})
	account := storagetest.New(t)
	w.proxy = account.Proxy(t)
	blobs := openVault(t, account.ConnectionString())
	w.written, w.ledger = blobs.Container("config"), openLedger(t, account.ConnectionString())
	for _, err := range []error{
		w.ledger.Ensure(t.Context()), w.written.Ensure(t.Context()), blobs.Container("state").Ensure(t.Context()),
	} {
		must(t, err)
	}
	w.registry = w.newRegistry()
	return w
}

// newRegistry is a registry behind the proxy, as a process of its own would have it.
func (w *world) newRegistry() *Registry {
	w.Helper()
	log := w.log.Logger()
	blobs, book := openVault(w.TB, w.proxy.ConnectionString()), openLedger(w.TB, w.proxy.ConnectionString())
	now := func() time.Time { return w.now }
	return &Registry{
		Config: &config.Store{
			Written: blobs.Container("config"), State: blobs.Container("state"), Evidence: blobs.Container, Ledger: book,
			Lookup: func(string) (string, bool) { return "", false }, Log: log, Now: now,
		},
		Written: blobs.Container("config"), Ledger: book, Log: log, Now: now,
		Graph: func(s settings.Source) (*graph.Client, error) {
			return graph.New(graph.Options{Root: s.GraphEndpoint, Log: log, Clock: graph.Clock{Now: time.Now, Sleep: noWait}})
		},
	}
}

func noWait(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func openVault(t testing.TB, connection string) *vault.Vault {
	t.Helper()
	v, err := vault.Open(vault.Account{ConnectionString: connection})
	must(t, err)
	return v
}

func openLedger(t testing.TB, connection string) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(ledger.Account{ConnectionString: connection})
	must(t, err)
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// configure uploads the sources, each the test's source with changes.
func (w *world) configure(changes ...map[string]any) {
	w.Helper()
	var sources []any
	for i, change := range changes {
		s := map[string]any{
			"name": testSource, "domain": w.tenant.Domain, "graphEndpoint": w.root, "credential": map[string]any{"kind": "none"},
			"collect": []string{"email"}, "individuals": map[string]any{"file": testList}, "controlNumberPrefix": fmt.Sprint("P", i),
		}
		maps.Copy(s, change)
		sources = append(sources, s)
	}
	data, err := json.Marshal(map[string]any{"sources": sources})
	must(w.TB, err)
	w.put("sources.json", string(data))
}

func (w *world) put(name, text string) {
	w.Helper()
	must(w.TB, w.written.Put(w.Context(), name, []byte(text)))
}

// list uploads the list of individuals.
func (w *world) list(rows ...string) {
	w.Helper()
	w.put(testList, header+strings.Join(rows, "\n")+"\n")
}

// tick synchronises, and wants no fault.
func (w *world) tick() {
	w.Helper()
	must(w.TB, w.registry.Tick(w.Context()))
}

// people are the source's individuals by identifier.
func (w *world) people() map[string]ledger.Person {
	w.Helper()
	rows, err := w.ledger.People(w.Context(), testSource)
	must(w.TB, err)
	all := map[string]ledger.Person{}
	for _, r := range rows {
		all[r.Value.Identifier] = r.Value
	}
	return all
}

// reasons are the exclusions by identifier.
func (w *world) reasons() map[string]string {
	w.Helper()
	all := map[string]string{}
	for identifier, p := range w.people() {
		if p.Reason != "" {
			all[identifier] = p.Reason
		}
	}
	return all
}

// rowsWritten counts the individuals' rows that f writes.
func (w *world) rowsWritten(f func()) int {
	w.Helper()
	before := len(w.proxy.Ops())
	f()
	n := 0
	for _, op := range w.proxy.Ops()[before:] {
		for _, part := range op.Parts {
			if strings.Contains(part.Name, "/person:") {
				n++
			}
		}
	}
	return n
}

// cutTick synchronises until the n-th write, at which the process dies: the answer is lost, and nothing follows. It
// reports false when there were fewer writes.
func (w *world) cutTick(n int) bool {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	var dead, over atomic.Bool
	last := w.proxy.Writes() + n
	w.proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		switch {
		case over.Load():
		case dead.Load():
			return storagetest.Before(nil)
		case op.N == last:
			return storagetest.After(func() { dead.Store(true); cancel() })
		}
		return storagetest.Pass
	})
	err := w.log.Error(w.registry.Tick(ctx))
	over.Store(true)
	if dead.Load() != (err != nil) {
		w.Fatalf("tick that was cut: %v", err)
	}
	return dead.Load()
}

// tenantOf is a tenant of members with mailboxes, named by their addresses; the first of several is the primary one.
func tenantOf(addresses ...string) *graphtest.Tenant {
	tenant := &graphtest.Tenant{ID: "7d2c1a4e-0000-4000-8000-000000000000", Domain: "contoso.onmicrosoft.com"}
	for i, all := range addresses {
		names := strings.Fields(all)
		inbox := &graphtest.Folder{ID: fmt.Sprint("inbox", i), Name: "Inbox", WellKnown: "inbox"}
		top := &graphtest.Folder{ID: fmt.Sprint("top", i), Name: "Top", WellKnown: "msgfolderroot", Children: []*graphtest.Folder{inbox}}
		root := &graphtest.Folder{ID: fmt.Sprint("root", i), Name: "Root", WellKnown: "root", Children: []*graphtest.Folder{top}}
		tenant.Users = append(tenant.Users, &graphtest.User{
			ID: idOf(i), UserPrincipalName: names[0], Mail: names[0], Aliases: names[1:],
			UserType: "Member", Enabled: true, Licensed: true, Mailbox: &graphtest.Mailbox{Root: root},
		})
	}
	return tenant
}

// idOf is the object id of a tenant's user.
func idOf(i int) string { return fmt.Sprintf("7d2c1a4e-0000-4000-8000-%012d", i+1) }
