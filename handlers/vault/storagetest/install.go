package storagetest

import (
	"context"
	"crypto/sha256"
	_ "embed" // see storagetest.go
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

//go:embed azurite/package.json
var packageJSON []byte

//go:embed azurite/package-lock.json
var packageLock []byte

// errLocked says that another process holds a lock.
var errLocked = errors.New("locked")

// An installer keeps Azurite in a cache directory of the user, one directory for each lock file.
type installer struct {
	cache string                       // made when missing
	look  func(string) (string, error) // finds node and npm
	log   io.Writer                    // may be nil
}

// dir is where this version lies. The lock file's hash belongs to the name: a change of any dependency is another tree.
func (i installer) dir() string {
	return filepath.Join(i.cache, fmt.Sprintf("azurite-%s-%.4x", Version, sha256.Sum256(packageLock)))
}

// ensure gives the paths of node and of Azurite's script, installing Azurite first where it is missing. Processes that
// ensure at the same time wait for the first; a killed one leaves nothing that passes for an installation.
func (i installer) ensure(ctx context.Context) (node, script string, err error) {
	if node, err = i.look("node"); err != nil {
		return "", "", errors.New("run Azurite: node is not on the path: install Node.js 22 or newer, npm comes with it")
	}
	dir := i.dir()
	script = filepath.Join(dir, "node_modules", "azurite", "dist", "src", "azurite.js")
	if exists(script) {
		return node, script, nil
	}
	npm, err := i.look("npm")
	if err != nil {
		return "", "", errors.New("install Azurite: npm is not on the path: install Node.js 22 or newer with npm")
	}
	if err := os.MkdirAll(i.cache, 0o755); err != nil {
		return "", "", fmt.Errorf("install Azurite: %w: make the directory writable or set XDG_CACHE_HOME", err)
	}
	unlock, err := lockFile(ctx, dir+".lock", true)
	if err != nil {
		return "", "", fmt.Errorf("install Azurite: lock the cache: %w", err)
	}
	defer unlock()
	if exists(script) { // by the process that held the lock
		return node, script, nil
	}
	if err := i.install(ctx, npm, dir); err != nil && !exists(script) {
		return "", "", err
	}
	return node, script, nil
}

// install runs npm in a directory of its own, which becomes dir when everything is there.
func (i installer) install(ctx context.Context, npm, dir string) error {
	i.logf("installing Azurite %s into %s (once, about 370 MB)", Version, dir)
	began := time.Now()
	tmp, err := os.MkdirTemp(i.cache, "installing-*")
	if err != nil {
		return fmt.Errorf("install Azurite: %w: make the directory writable or set XDG_CACHE_HOME", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	for name, data := range map[string][]byte{"package.json": packageJSON, "package-lock.json": packageLock} {
		if err := os.WriteFile(filepath.Join(tmp, name), data, 0o644); err != nil {
			return fmt.Errorf("install Azurite: %w: free some space or set XDG_CACHE_HOME", err)
		}
	}
	// Scripts of packages are not needed, so they do not run.
	cmd := exec.CommandContext(ctx, npm, "ci", "--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts")
	cmd.Dir = tmp
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("install Azurite: %w", ctx.Err())
		}
		return explainNPM(out, i.cache)
	}
	if err := os.Rename(tmp, dir); err != nil {
		return fmt.Errorf("install Azurite: %w", err)
	}
	i.logf("installed Azurite %s in %v", Version, time.Since(began).Round(time.Second))
	return nil
}

var npmCode = regexp.MustCompile(`(?m)^npm (?:error|ERR!) code (\w+)`)

// explainNPM turns npm's output into one line with the remedy.
func explainNPM(out []byte, cache string) error {
	code := "no code given"
	if m := npmCode.FindSubmatch(out); m != nil {
		code = string(m[1])
	}
	remedy := "run `npm ping` to see whether npm works on this machine"
	switch code {
	case "ENOSPC":
		remedy = "no space left: free 400 MB below " + cache + " or set XDG_CACHE_HOME"
	case "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "ERR_SOCKET_TIMEOUT":
		remedy = "npm does not reach its registry: check the network, and npm's settings registry and https-proxy"
	case "E401", "E403", "E404", "E407", "SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
		remedy = "npm's registry refuses: check npm's settings registry, https-proxy and cafile, and the sign-in"
	case "EACCES", "EPERM", "EROFS":
		remedy = "npm may not write: make " + cache + " and npm's cache writable"
	case "EINTEGRITY":
		remedy = "a package is not the one that is pinned: run `npm cache clean --force` and check npm's setting registry"
	}
	return fmt.Errorf("install Azurite %s: npm ci failed (%s): %s", Version, code, remedy)
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
