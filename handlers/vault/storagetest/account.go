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

// accountsEach is how many accounts an Azurite of the pool has. They are made when it starts, and cannot be added. It is few,
// because Azurite becomes slower with everything that it keeps, and after ten minutes collects its garbage in one go: with
// some hundred accounts it then answers nobody for two minutes.
const accountsEach = 24

// pool hands out the accounts of one Azurite at a time, and starts another when they are used up.
type pool struct {
	mu    sync.Mutex
	shelf *shelf
	err   error // of a start; not tried again: every test would wait for the same failure
}

// A shelf is an Azurite of the pool with the accounts that no test has taken yet. Its Azurite stops when every account was
// taken and is no longer in use, or with the process.
type shelf struct {
	azurite *Azurite
	accts   []Credential
	open    int // accounts whose test has not ended, or not begun
}

// shared is the process's pool. It is the package's one variable: tests of a binary have nothing else in common that
// could carry it.
var shared pool

// New gives the test a storage account of its own, on an Azurite that it shares with other tests of this process. The
// account is gone some time after the test.
func New(tb TB) *Account {
	tb.Helper()
	from, cred, err := shared.take()
	if err != nil {
		tb.Fatalf("storagetest: %v", err)
	}
	tb.Cleanup(func() { shared.giveBack(from) })
	return &Account{azurite: from.azurite, cred: cred}
}

func (p *pool) take() (*shelf, Credential, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return nil, Credential{}, p.err
	}
	if p.shelf == nil || len(p.shelf.accts) == 0 {
		accts := accounts(accountsEach)
		azurite, err := Start(context.Background(), Options{Accounts: accts})
		if err != nil {
			p.err = err
			return nil, Credential{}, err
		}
		p.shelf = &shelf{azurite: azurite, accts: accts, open: len(accts)}
	}
	s := p.shelf
	cred := s.accts[0]
	s.accts = s.accts[1:]
	return s, cred, nil
}

func (p *pool) giveBack(s *shelf) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.open--; s.open == 0 {
		go func() { _ = s.azurite.Stop() }() // what it kept is nobody's any more; the next test need not wait for its end
	}
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
