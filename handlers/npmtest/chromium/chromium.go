// Package chromium runs scripts in a headless Chromium for tests of pages, from npm and pinned, with nothing of the machine's own.
//
// A script is a module of Node's that exports one asynchronous function. It is called with the browser of Playwright
// (https://playwright.dev/docs/api/class-browser), axe, which gives what axe-core finds wrong with a page's accessibility, and
// the arguments; what it returns comes back as JSON:
//
//	export default async ({ browser, axe, args }) => {
//	  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
//	  await page.goto(args[0]);
//	  return { title: await page.title(), findings: await axe(page) }; // [{rule, impact, help, elements}]
//	};
//
// The package @sparticuz/chromium holds the browser with the libraries and a font, for Linux on x86-64 alone.
package chromium

import (
	"bytes"
	"context"
	_ "embed" // the lock file, the manifest and the scripts
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"chainmail/handlers/npmtest"
)

//go:embed package.json
var packageJSON []byte

//go:embed package-lock.json
var packageLock []byte

//go:embed run.mjs
var runScript []byte

//go:embed unpack.mjs
var unpackScript []byte

// library is the file of the package by which it is found.
const library = "node_modules/@sparticuz/chromium/build/index.js"

// fonts names the one font that comes along for whatever a page asks for.
const fonts = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir prefix="relative">fonts</dir><cachedir prefix="xdg">fontconfig</cachedir></fontconfig>
`

// Run runs a script, given as its text, and gives what it returns as JSON. The browser is installed where it is missing, which
// log is told unless it is nil; it ends with the script, and with ctx. An error of the script's has its text.
func Run(ctx context.Context, log io.Writer, script string, args ...string) ([]byte, error) {
	b, err := install(ctx, log)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "chromium-*") // for the scripts, and for the browser's profile
	if err != nil {
		return nil, fmt.Errorf("run Chromium: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "script.mjs")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		return nil, fmt.Errorf("run Chromium: %w", err)
	}
	return b.node(ctx, dir, runScript, append([]string{b.installation, b.unpacked, file}, args...)...)
}

// A browser is one that is installed.
type browser struct {
	nodePath     string
	installation string // what npm has installed
	unpacked     string // what of it is unpacked
}

func install(ctx context.Context, log io.Writer) (b browser, err error) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return b, fmt.Errorf("run Chromium: there is none for %s on %s: run the tests of pages on Linux on x86-64, as in a container",
			runtime.GOOS, runtime.GOARCH)
	}
	program := npmtest.Program{
		Name: "Chromium", Version: "153.0.0", Size: "300 MB", File: library, PackageJSON: packageJSON, Lock: packageLock,
	}
	node, file, err := program.Install(ctx, log)
	if err != nil {
		return b, err
	}
	b = browser{nodePath: node, installation: strings.TrimSuffix(file, filepath.FromSlash(library))}
	b.unpacked = filepath.Join(b.installation, "unpacked")
	return b, b.unpack(ctx)
}

// unpack unpacks the browser once per machine; a process that is killed leaves nothing that passes for it.
func (b browser) unpack(ctx context.Context) error {
	unlock, err := npmtest.LockFile(ctx, b.unpacked+".lock", true)
	if err != nil {
		return fmt.Errorf("unpack Chromium: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(b.unpacked); err == nil {
		return nil
	}
	dir, err := os.MkdirTemp(b.installation, "unpacking-*")
	if err != nil {
		return fmt.Errorf("unpack Chromium: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if _, err := b.node(ctx, dir, unpackScript, b.installation); err != nil {
		return fmt.Errorf("unpack Chromium: %w: it needs 220 MB below %s", err, b.installation)
	}
	if err := os.WriteFile(filepath.Join(dir, "fonts", "fonts.conf"), []byte(fonts), 0o600); err != nil {
		return fmt.Errorf("unpack Chromium: %w", err)
	}
	return os.Rename(dir, b.unpacked)
}

// stopTime is how long the browser may take to end once it is told to.
const stopTime = 10 * time.Second

// node runs one of our scripts with dir for temporary files. It sees nothing of this process's environment but the path.
func (b browser) node(ctx context.Context, dir string, script []byte, args ...string) ([]byte, error) {
	file := filepath.Join(dir, "main.mjs")
	if err := os.WriteFile(file, script, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, b.nodePath, append([]string{file}, args...)...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir,
		"LD_LIBRARY_PATH=" + filepath.Join(b.unpacked, "al2023", "lib"), "FONTCONFIG_PATH=" + filepath.Join(b.unpacked, "fonts"),
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // upon which Playwright ends the browser
	cmd.WaitDelay = stopTime
	out, err := cmd.Output()
	if err == nil {
		return out, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("run Chromium: %w: %s", context.Cause(ctx), said.Bytes())
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, fmt.Errorf("run Chromium: %w: %s", err, said.Bytes())
	}
	return nil, fmt.Errorf("run Chromium: %w", err)
}
