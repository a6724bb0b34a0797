package storagetest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"sync"
)

// TB is what this package needs of a testing.TB. Package testing itself stays out: the local run links this package too.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// An Account is a storage account of one test, empty at the start and not known to any other test.
type Account struct {
	azurite *Azurite
	cred    Credential
	worm    sync.RWMutex // held for writing while evidence is checked and committed, for reading while blocks are staged
}

// accountsEach is how many accounts an Azurite of the pool has: they are made when it starts, and cannot be added. Their
// names and keys pass through one environment variable, which some systems limit to 32 KiB.
const accountsEach = 500

// pool hands out the accounts of one Azurite per process, and starts another when they are used up.
type pool struct {
	mu      sync.Mutex
	azurite *Azurite
	accts   []Credential // not yet taken
	err     error        // of the start; not tried again: every test would wait for the same failure
}

// shared is the process's pool. It is the package's one variable: tests of a binary have nothing else in common that
// could carry it. Its Azurites end with the process.
var shared pool

// New gives the test a storage account of its own on this process's Azurite, which the first call starts.
func New(tb TB) *Account {
	tb.Helper()
	a, err := shared.take()
	if err != nil {
		tb.Fatalf("storagetest: %v", err)
	}
	return a
}

func (p *pool) take() (*Account, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return nil, p.err
	}
	if len(p.accts) == 0 {
		accts := accounts(accountsEach)
		azurite, err := Start(context.Background(), Options{Accounts: accts})
		if err != nil {
			p.err = err
			return nil, err
		}
		p.azurite, p.accts = azurite, accts
	}
	a := &Account{azurite: p.azurite, cred: p.accts[0]}
	p.accts = p.accts[1:]
	return a, nil
}

// accounts makes n accounts with a key each, so that a mix-up of two shows.
func accounts(n int) []Credential {
	c := make([]Credential, n)
	for i := range c {
		name := fmt.Sprintf("test%03d", i)
		key := sha256.Sum256([]byte(name))
		c[i] = Credential{name, base64.StdEncoding.EncodeToString(key[:])}
	}
	return c
}

// Name is the account's name.
func (a *Account) Name() string { return a.cred.Name }

// ConnectionString leads straight to Azurite, past any proxy.
func (a *Account) ConnectionString() string { return a.azurite.ConnectionString(a.cred.Name) }
