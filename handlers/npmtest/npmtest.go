// Package npmtest installs programs from npm for tests and for the local run: once per machine, at the versions that a lock
// file pins with all that they need.
package npmtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// A Program is one package of npm, with the lock file that pins it.
type Program struct {
	Name    string // "Azurite"
	Version string
	Size    string // what it takes on disk, in words
	File    string // the file of it that is run or read, from the top of the installation on: "node_modules/…"

	PackageJSON, Lock []byte
}

// ErrLocked says that another process holds a lock.
var ErrLocked = errors.New("locked")

// Install gives the paths of node and of the program's file, installing the program first where it is missing. It lies in
// a cache directory of the user's. What is done is told to log, one line each, unless that is nil; errors are one line with
// the remedy.
func (p Program) Install(ctx context.Context, log io.Writer) (node, file string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", "", fmt.Errorf("find a place for %s: %w: set HOME or XDG_CACHE_HOME", p.Name, err)
	}
	return installer{Program: p, cache: filepath.Join(cache, "chainmail"), look: exec.LookPath, log: log}.ensure(ctx)
}

// An installer keeps a program in a cache directory of the user, one directory for each lock file.
type installer struct {
	Program
	cache string                       // made when missing
	look  func(string) (string, error) // finds node and npm
	log   io.Writer                    // may be nil
}

// dir is where this version lies. The lock file's hash belongs to the name: a change of any dependency is another tree.
func (i installer) dir() string {
	return filepath.Join(i.cache, fmt.Sprintf("%s-%s-%.4x", strings.ToLower(i.Name), i.Version, sha256.Sum256(i.Lock)))
}

// ensure installs what is missing. Processes that ensure at the same time wait for the first; a killed one leaves nothing
// that passes for an installation.
func (i installer) ensure(ctx context.Context) (node, file string, err error) {
	if node, err = i.look("node"); err != nil {
		return "", "", fmt.Errorf("run %s: node is not on the path: install Node.js 22 or newer, npm comes with it", i.Name)
	}
	dir := i.dir()
	file = filepath.Join(dir, filepath.FromSlash(i.File))
	if exists(file) {
		return node, file, nil
	}
	npm, err := i.look("npm")
	if err != nil {
		return "", "", fmt.Errorf("install %s: npm is not on the path: install Node.js 22 or newer with npm", i.Name)
	}
	if err := os.MkdirAll(i.cache, 0o755); err != nil {
		return "", "", fmt.Errorf("install %s: %w: make the directory writable or set XDG_CACHE_HOME", i.Name, err)
	}
	unlock, err := LockFile(ctx, dir+".lock", true)
	if err != nil {
		return "", "", fmt.Errorf("install %s: lock the cache: %w", i.Name, err)
	}
	defer unlock()
	if exists(file) { // by the process that held the lock
		return node, file, nil
	}
	if err := i.install(ctx, npm, dir); err != nil && !exists(file) {
		return "", "", err
	}
	return node, file, nil
}

// install runs npm in a directory of its own, which becomes dir when everything is there.
func (i installer) install(ctx context.Context, npm, dir string) error {
	i.logf("installing %s %s into %s (once, about %s)", i.Name, i.Version, dir, i.Size)
	began := time.Now()
	tmp, err := os.MkdirTemp(i.cache, "installing-*")
	if err != nil {
		return fmt.Errorf("install %s: %w: make the directory writable or set XDG_CACHE_HOME", i.Name, err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	for name, data := range map[string][]byte{"package.json": i.PackageJSON, "package-lock.json": i.Lock} {
		if err := os.WriteFile(filepath.Join(tmp, name), data, 0o644); err != nil {
			return fmt.Errorf("install %s: %w: free some space or set XDG_CACHE_HOME", i.Name, err)
		}
	}
	// Scripts of packages are not needed, so they do not run.
	cmd := exec.CommandContext(ctx, npm, "ci", "--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts")
	cmd.Dir = tmp
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("install %s: %w", i.Name, ctx.Err())
		}
		return i.explain(out)
	}
	if err := os.Rename(tmp, dir); err != nil {
		return fmt.Errorf("install %s: %w", i.Name, err)
	}
	i.logf("installed %s %s in %v", i.Name, i.Version, time.Since(began).Round(time.Second))
	return nil
}

var npmCode = regexp.MustCompile(`(?m)^npm (?:error|ERR!) code (\w+)`)

// explain turns npm's output into one line with the remedy.
func (i installer) explain(out []byte) error {
	code := "no code given"
	if m := npmCode.FindSubmatch(out); m != nil {
		code = string(m[1])
	}
	remedy := "run `npm ping` to see whether npm works on this machine"
	switch code {
	case "ENOSPC":
		remedy = "no space left: free " + i.Size + " below " + i.cache + " or set XDG_CACHE_HOME"
	case "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "ERR_SOCKET_TIMEOUT":
		remedy = "npm does not reach its registry: check the network, and npm's settings registry and https-proxy"
	case "E401", "E403", "E404", "E407", "SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
		remedy = "npm's registry refuses: check npm's settings registry, https-proxy and cafile, and the sign-in"
	case "EACCES", "EPERM", "EROFS":
		remedy = "npm may not write: make " + i.cache + " and npm's cache writable"
	case "EINTEGRITY":
		remedy = "a package is not the one that is pinned: run `npm cache clean --force` and check npm's setting registry"
	}
	return fmt.Errorf("install %s %s: npm ci failed (%s): %s", i.Name, i.Version, code, remedy)
}

func (i installer) logf(format string, args ...any) {
	if i.log != nil {
		fmt.Fprintf(i.log, format+"\n", args...)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
