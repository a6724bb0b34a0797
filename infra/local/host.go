package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"chainmail/handlers/host/hosttest"
	"chainmail/infra/package/staging"
)

// A front is where the host takes requests for the operators' console and its API.
type front struct {
	url      string       // with the condition on which it answers
	listener net.Listener // of the stand-in; the Core Tools listen themselves
}

func (o options) front() (front, error) {
	if o.host == "func" {
		return front{url: fmt.Sprintf("http://127.0.0.1:%d/api/console, if CHAINMAIL_CONSOLE in local.settings.json is local", o.apiPort)}, nil
	}
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", o.apiPort))
	if err != nil {
		return front{}, refuse("the console cannot listen on port %d: give another by -api-port, or 0 for a free one", o.apiPort)
	}
	return front{url: "http://" + l.Addr().String() + "/api/console", listener: l}, nil
}

func (f front) close() {
	if f.listener != nil {
		_ = f.listener.Close() // the server may have closed it
	}
}

// open has the handler answer there. Behind the Core Tools, which listen on every interface of the machine, it does so only if
// local.settings.json says it: whoever reaches the port can name this machine in the header Host.
func (f front) open(settings map[string]string) {
	if f.listener != nil {
		settings["CHAINMAIL_CONSOLE"] = "local"
	}
}

// runHost runs the staged app under a Functions host until ctx ends.
func runHost(ctx context.Context, o options, front front, settings map[string]string, console func(line string, stderr bool)) error {
	if o.host == "func" {
		return runFunc(ctx, o, settings, console)
	}
	return runStandIn(ctx, o, front, settings, console)
}

// runStandIn runs the stand-in host. Individuals are read at once instead of at the first occurrence of the schedule.
func runStandIn(ctx context.Context, o options, front front, settings map[string]string, console func(string, bool)) error {
	h, err := hosttest.Start(ctx, hosttest.Options{Root: o.appDir(), Settings: settings, Console: console})
	if err != nil {
		return err
	}
	defer h.Close()
	web := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	defer func() { _ = web.Close() }()
	go func() { _ = web.Serve(front.listener) }() // ends by Close
	for _, name := range []string{"people", "plan"} {
		if _, err := h.Tick(ctx, name); err != nil && ctx.Err() == nil {
			return err
		}
	}
	err = h.Run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// runFunc runs the Azure Functions Core Tools, which read their settings beside host.json.
func runFunc(ctx context.Context, o options, settings map[string]string, console func(string, bool)) error {
	tool, err := exec.LookPath("func")
	if err != nil {
		return errors.New("func is not on the path: install Azure Functions Core Tools 4, or leave -host out for the stand-in")
	}
	file, err := json.MarshalIndent(map[string]any{"IsEncrypted": false, "Values": settings}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.appDir(), staging.SettingsFile), file, 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, tool, "start", "--port", strconv.Itoa(o.apiPort))
	cmd.Dir = o.appDir()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	var lines sync.WaitGroup
	lines.Go(func() {
		b := bufio.NewScanner(r)
		b.Buffer(nil, 1<<20)
		for b.Scan() {
			console(b.Text(), false)
		}
		_, _ = io.Copy(io.Discard, r)
	})
	err = cmd.Run()
	_ = w.Close()
	lines.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("func start ended: %w: %s says more", err, o.logFile())
}
