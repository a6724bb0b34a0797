// Package storagetest runs Azurite, Microsoft's emulator of Blob, Queue and Table storage, for tests and for the local
// run, and lays a proxy before it that refuses what Azure refuses and loses the answers that a network loses.
//
// Azurite comes from npm once per machine, with its whole tree pinned by the embedded package-lock.json.
package storagetest

import (
	"bufio"
	"context"
	_ "embed" // the lock file, the manifest and the launcher
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"chainmail/handlers/npmtest"
)

// Version is the version of Azurite that runs.
const Version = "3.37.0"

// The account that Azurite and Microsoft's tools know by default (Microsoft Learn, "Use the Azurite emulator"). Its key
// is public and protects nothing.
const (
	DevelopmentName = "devstoreaccount1"
	DevelopmentKey  = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

//go:embed azurite/package.json
var packageJSON []byte

//go:embed azurite/package-lock.json
var packageLock []byte

// launcher is the script that ties Azurite's life to its standard input.
//
//go:embed azurite/launch.js
var launcher string

// A Credential is a storage account: a name of lower-case letters and digits, and a key in base64.
type Credential struct {
	Name string
	Key  string
}

// Options say how Azurite runs; the zero value keeps everything in memory, on free ports, for the development account.
type Options struct {
	Dir      string       // where data persist, made when missing; empty: in memory, gone with the process
	Accounts []Credential // empty: the development account
	Ports    [3]int       // of Blob, Queue and Table; 0: a free one
	Log      io.Writer    // progress in words, one line each; nil: none
	Debug    string       // a file for Azurite's own debug log; empty: none
}

// Azurite is a running Azurite on the loopback interface.
type Azurite struct {
	endpoints [3]string // Blob, Queue, Table; no slash at the end
	keys      map[string]string
	stdin     io.Closer
	output    *output
	exited    chan struct{} // closed when the process has ended
	exit      error         // valid once exited is closed
	unlock    func()
	stop      sync.Once
}

// Start installs Azurite unless that has been done before, starts it, and returns when its three services listen. It
// runs until Stop is called or the calling process ends; ctx governs the start alone. Errors are one line with the remedy.
func Start(ctx context.Context, o Options) (*Azurite, error) {
	azurite := npmtest.Program{
		Name: "Azurite", Version: Version, Size: "370 MB", File: "node_modules/azurite/dist/src/azurite.js",
		PackageJSON: packageJSON, Lock: packageLock,
	}
	node, script, err := azurite.Install(ctx, o.Log)
	if err != nil {
		return nil, err
	}
	return run(ctx, node, script, o)
}

// stopGrace is how long Azurite may take to write its data and close.
const stopGrace = 30 * time.Second

// run starts Azurite's script with node.
func run(ctx context.Context, node, script string, o Options) (_ *Azurite, err error) {
	if len(o.Accounts) == 0 {
		o.Accounts = []Credential{{DevelopmentName, DevelopmentKey}}
	}
	a := &Azurite{keys: map[string]string{}, output: &output{}, exited: make(chan struct{}), unlock: func() {}}
	if o.Dir != "" {
		if o.Dir, a.unlock, err = claim(ctx, o.Dir); err != nil {
			return nil, err
		}
	}
	pairs := make([]string, len(o.Accounts))
	for i, c := range o.Accounts {
		a.keys[c.Name] = c.Key
		pairs[i] = c.Name + ":" + c.Key
	}
	cmd := exec.Command(node, append([]string{"-e", launcher, "--", script}, flags(o)...)...)
	cmd.Dir = filepath.Dir(script)
	cmd.Env = append(without(os.Environ(), "AZURITE_"), "AZURITE_ACCOUNTS="+strings.Join(pairs, ";"))
	if err := a.start(cmd); err != nil {
		a.unlock()
		return nil, err
	}
	if err := a.wait(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// claim makes dir and locks it: two Azurites would overwrite each other's data. The path returned is absolute.
func claim(ctx context.Context, dir string) (string, func(), error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", nil, fmt.Errorf("find the data directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, fmt.Errorf("make the data directory: %w: give one that can be written to", err)
	}
	unlock, err := npmtest.LockFile(ctx, filepath.Join(dir, ".lock"), false)
	if errors.Is(err, npmtest.ErrLocked) {
		return "", nil, fmt.Errorf("open the data directory %s: in use by another run: stop that one or give another directory", dir)
	}
	if err != nil {
		return "", nil, fmt.Errorf("lock the data directory: %w: give one that can be written to", err)
	}
	return dir, unlock, nil
}

// flags are Azurite's command line.
func flags(o Options) []string {
	f := []string{"--silent", "--skipApiVersionCheck", "--disableTelemetry",
		"--blobPort", strconv.Itoa(o.Ports[0]), "--queuePort", strconv.Itoa(o.Ports[1]), "--tablePort", strconv.Itoa(o.Ports[2])}
	if o.Dir != "" {
		f = append(f, "--location", o.Dir)
	} else {
		f = append(f, "--inMemoryPersistence")
	}
	if o.Debug != "" {
		f = append(f, "--debug", o.Debug)
	}
	return f
}

// without leaves out the variables whose names begin with prefix.
func without(env []string, prefix string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(v, prefix) {
			kept = append(kept, v)
		}
	}
	return kept
}

// start runs cmd. Its streams are pipes of this process, so that neither a terminal nor `go test` is held by Azurite.
func (a *Azurite) start(cmd *exec.Cmd) error {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("run Azurite: %w", err)
	}
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run Azurite: %w", err)
	}
	a.stdin = stdin
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(r); s.Scan(); {
			a.output.add(s.Text())
		}
		_, _ = io.Copy(io.Discard, r) // a line too long for the scanner must not block Azurite
	}()
	go func() {
		a.exit = cmd.Wait()
		_ = w.Close()
		<-read
		close(a.exited)
	}()
	return nil
}

// wait returns when the three services listen; else it stops Azurite and says why they do not.
func (a *Azurite) wait(ctx context.Context) error {
	for {
		endpoints, ready, more := a.output.listening()
		if ready {
			a.endpoints = endpoints
			return nil
		}
		select {
		case <-more:
		case <-a.exited:
			a.unlock()
			return a.output.explain()
		case <-ctx.Done():
			_ = a.Stop()
			return fmt.Errorf("start Azurite: %w", ctx.Err())
		}
	}
}

// Stop closes Azurite and waits until its data are on disk. It may be called more than once.
func (a *Azurite) Stop() error {
	var err error
	a.stop.Do(func() { err = a.close() })
	return err
}

func (a *Azurite) close() error {
	defer a.unlock()
	_ = a.stdin.Close()
	select {
	case <-a.exited:
	case <-time.After(stopGrace):
		return fmt.Errorf("stop Azurite: still running after %v", stopGrace)
	}
	if a.exit != nil {
		return fmt.Errorf("stop Azurite: %w", a.exit)
	}
	return nil
}

// BlobURL is the account's Blob endpoint, "http://127.0.0.1:10000/devstoreaccount1".
func (a *Azurite) BlobURL(account string) string { return a.endpoints[0] + "/" + account }

// QueueURL is the account's Queue endpoint.
func (a *Azurite) QueueURL(account string) string { return a.endpoints[1] + "/" + account }

// TableURL is the account's Table endpoint.
func (a *Azurite) TableURL(account string) string { return a.endpoints[2] + "/" + account }

// ConnectionString gives access to one of the accounts of Options; for any other it is empty.
func (a *Azurite) ConnectionString(account string) string {
	key, ok := a.keys[account]
	if !ok {
		return ""
	}
	return connectionString(Credential{account, key}, a.endpoints)
}

func connectionString(c Credential, endpoints [3]string) string {
	return fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%[1]s;AccountKey=%[2]s;"+
		"BlobEndpoint=%[3]s/%[1]s;QueueEndpoint=%[4]s/%[1]s;TableEndpoint=%[5]s/%[1]s;",
		c.Name, c.Key, endpoints[0], endpoints[1], endpoints[2])
}

// output is what Azurite has said.
type output struct {
	mu    sync.Mutex
	lines []string // the last keptLines
	found [3]string
	more  chan struct{} // closed at the next line
}

const keptLines = 50

var (
	listenLine = regexp.MustCompile(`^Azurite (Blob|Queue|Table) service is successfully listening at (http://[^/\s]+)$`)
	portInUse  = regexp.MustCompile(`EADDRINUSE.*:(\d+)\s*$`)
)

func (o *output) add(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if m := listenLine.FindStringSubmatch(line); m != nil {
		o.found[strings.Index("BQT", m[1][:1])] = m[2]
	}
	o.lines = append(o.lines, line)
	if len(o.lines) > keptLines {
		o.lines = o.lines[1:]
	}
	if o.more != nil {
		close(o.more)
		o.more = nil
	}
}

// listening gives the endpoints, whether all are there, and a channel that closes when there is more to see.
func (o *output) listening() (endpoints [3]string, ready bool, more <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more == nil {
		o.more = make(chan struct{})
	}
	ready = o.found[0] != "" && o.found[1] != "" && o.found[2] != ""
	return o.found, ready, o.more
}

// explain says in one line why Azurite ended before it listened.
func (o *output) explain() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	last := "it said nothing"
	for _, line := range o.lines {
		if m := portInUse.FindStringSubmatch(line); m != nil {
			return fmt.Errorf("start Azurite: port %s is in use: stop what listens there or choose other ports", m[1])
		}
		if strings.Contains(line, "ENOSPC") {
			return errors.New("start Azurite: no space left on the disk: free some, or give another data directory")
		}
		if s := strings.TrimSpace(line); s != "" && !strings.HasPrefix(s, "at ") && !strings.HasPrefix(s, "Node.js v") {
			last = s
		}
	}
	return fmt.Errorf("start Azurite: it ended at once (%s): it needs Node.js 22 or newer", last)
}
