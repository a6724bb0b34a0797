// Package staging makes the Functions app that runs: host.json, the handler, and one folder a function, side by side. The
// Functions host looks for function.json one level below its root and nowhere else, so that the repository itself is no app.
package staging

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// The names in the repository and in the staged app.
const (
	HostFile      = "host.json"
	FunctionsDir  = "functions"
	FunctionFile  = "function.json"
	SettingsFile  = "local.settings.json"
	HandlerFile   = "handler" // customHandler.description.defaultExecutablePath of host.json
	handlerSource = "./handlers"
)

// A Target is the system that a handler is built for. The zero value is this machine.
type Target struct{ OS, Arch string }

// Azure is the only system of Flex Consumption.
func Azure() Target { return Target{"linux", "amd64"} }

func (t Target) windows() bool {
	return t.OS == "windows" || t.OS == "" && runtime.GOOS == "windows"
}

// handler is the executable's file name; Windows runs none without the extension.
func (t Target) handler() string {
	if t.windows() {
		return HandlerFile + ".exe"
	}
	return HandlerFile
}

// Root finds the repository from a directory within it: the nearest one above that holds go.mod and host.json.
func Root(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		if exists(filepath.Join(dir, "go.mod")) && exists(filepath.Join(dir, HostFile)) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the repository: run this command inside it, where go.mod and host.json lie")
		}
		dir = parent
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// Stage makes the app anew in dir: the handler is built for the target, host.json and the functions are copied. dir is
// emptied first, since a function that was removed must not live on. What the compiler says goes to log.
func Stage(ctx context.Context, root, dir string, t Target, log io.Writer) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("stage app: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("stage app: %w: free some space or make the folder writable", err)
	}
	if err := Copy(root, dir, t); err != nil {
		return err
	}
	return build(ctx, root, filepath.Join(dir, t.handler()), t, log)
}

// Copy puts everything of the app but the handler into dir.
func Copy(root, dir string, t Target) error {
	host, err := os.ReadFile(filepath.Join(root, HostFile))
	if err != nil {
		return fmt.Errorf("stage app: %w", err)
	}
	if t.windows() {
		host = bytes.Replace(host, []byte(`"`+HandlerFile+`"`), []byte(`"`+t.handler()+`"`), 1)
	}
	if err := os.WriteFile(filepath.Join(dir, HostFile), host, 0o644); err != nil {
		return fmt.Errorf("stage app: %w", err)
	}
	names, err := Functions(root)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := copyFunction(root, dir, name); err != nil {
			return fmt.Errorf("stage function %s: %w", name, err)
		}
	}
	return nil
}

func copyFunction(root, dir, name string) error {
	data, err := os.ReadFile(filepath.Join(root, FunctionsDir, name, FunctionFile))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name, FunctionFile), data, 0o644)
}

// Functions are the names of the repository's functions, in order.
func Functions(root string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(root, FunctionsDir, "*", FunctionFile))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("find functions: %s holds no */%s", FunctionsDir, FunctionFile)
	}
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(filepath.Dir(f)))
	}
	return names, nil
}

// build compiles the handler, stripped. For another system it is free of this machine's C library and paths; for this one
// it is built as tests are, so that the Graph SDK is compiled once for both.
func build(ctx context.Context, root, out string, t Target, log io.Writer) error {
	version, commit := describe(ctx, root)
	args := []string{"build", "-ldflags", "-s -w -X main.version=" + version + " -X main.commit=" + commit, "-o", out}
	env := os.Environ()
	if t != (Target{}) {
		args = append(args, "-trimpath")
		env = append(env, "CGO_ENABLED=0", "GOOS="+t.OS, "GOARCH="+t.Arch)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, handlerSource)...)
	cmd.Dir, cmd.Env = root, env
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the handler: go build: %w", err)
	}
	return nil
}

// describe names the sources: the tag, or "dev", and the commit, with "+" for changes on top of it.
func describe(ctx context.Context, root string) (version, commit string) {
	git := func(args ...string) string {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = root
		out, err := cmd.Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	version, commit = git("describe", "--tags", "--exact-match"), git("rev-parse", "--short=12", "HEAD")
	if version == "" {
		version = "dev"
	}
	switch {
	case commit == "":
		commit = "unknown"
	case git("status", "--porcelain", "--untracked-files=no") != "":
		commit += "+"
	}
	return version, commit
}

// Zip packs a staged app as Azure deploys it: no folder around it, the handler with mode 0755, everything else 0644,
// local settings left out, and equal apps in equal bytes.
func Zip(dir, file string) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("pack app: %w", err)
	}
	defer func() {
		if e := out.Close(); err == nil && e != nil {
			err = fmt.Errorf("pack app: %w: free some space", e)
		}
	}()
	z := zip.NewWriter(out)
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == SettingsFile {
			return err
		}
		inside, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		return addFile(z, name, filepath.ToSlash(inside))
	})
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return fmt.Errorf("pack app: %w", err)
	}
	return nil
}

func addFile(z *zip.Writer, name, inside string) error {
	h := &zip.FileHeader{Name: inside, Method: zip.Deflate, Modified: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	h.SetMode(0o644)
	if inside == HandlerFile { // without the bit the host cannot start it, and its own chmod may meet a read-only mount
		h.SetMode(0o755)
	}
	w, err := z.CreateHeader(h)
	if err != nil {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
