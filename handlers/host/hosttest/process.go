package hosttest

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The host's rules for a handler that ends by itself.
const (
	exitDone      = 0   // nothing happens: it is never started again and calls are refused
	exitRestart   = 200 // started again, no error
	maxFaults     = 3   // errors at which the host stops
	faultLifetime = 30 * time.Minute
)

// handlerPort names the variables that tell the handler its port; the second is the older name.
const (
	handlerPort    = "FUNCTIONS_CUSTOMHANDLER_PORT"
	oldHandlerPort = "FUNCTIONS_HTTPWORKER_PORT"
)

// process is one life of the handler.
type process struct {
	cmd    *exec.Cmd
	client *http.Client
	base   string
	asked  atomic.Bool   // its end was the host's or the test's doing, not its own
	clean  bool          // it exited with 0 by itself; valid once done is closed
	peak   atomic.Int64  // bytes of memory, as far as known before it was killed
	done   chan struct{} // closed when it has ended and its end has been judged
	output chan struct{} // closed when its console has been read to the end
	tail   tail          // of its standard error
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill ends the process at once, as the host always does, and waits for its end.
func (p *process) kill() {
	p.asked.Store(true)
	if !p.ended() {
		p.peak.Store(p.peakSoFar())
	}
	_ = p.cmd.Process.Kill() // the only fault is that it has already ended
	<-p.done
}

// drained waits until the console has been read to its end.
func (p *process) drained() {
	select {
	case <-p.output:
	case <-time.After(time.Second): // a grandchild holds it open
	}
}

// settled waits until the process has ended and been judged, after a call of it broke off. It gives up soon: a handler
// may also close a connection and live on.
func (p *process) settled() {
	select {
	case <-p.done:
	case <-time.After(2 * time.Second):
	}
}

// start starts the handler on a free port. It does not wait until the handler answers.
func (h *Host) start() (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p := &process{
		cmd:    exec.Command(h.app.executable, h.app.arguments...),
		client: &http.Client{Transport: &http.Transport{DisableCompression: true}}, // the host asks for none
		base:   fmt.Sprintf("http://127.0.0.1:%d", port),
		done:   make(chan struct{}),
		output: make(chan struct{}),
	}
	if h.app.forwards { // then the host's client follows no redirect, whatever the trigger
		p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	p.cmd.Dir = h.app.root
	p.cmd.Env = h.environment(port)
	p.cmd.SysProcAttr = childAttributes()
	if err := h.runProcess(p); err != nil {
		return nil, fmt.Errorf("start handler: %w", err)
	}
	return p, nil
}

// runProcess starts p with its console read line by line, and judges its end in the background.
func (h *Host) runProcess(p *process) error {
	var readers sync.WaitGroup
	var ends []*os.File
	defer func() {
		for _, end := range ends {
			_ = end.Close() // the child has its own copies
		}
	}()
	console := func(stderr bool) (*os.File, error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		ends = append(ends, w)
		readers.Go(func() {
			defer r.Close()
			h.readConsole(r, stderr, p)
		})
		return w, nil
	}
	stdout, err := console(false)
	if err != nil {
		return err
	}
	stderr, err := console(true)
	if err != nil {
		return err
	}
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		readers.Wait()
		close(p.output)
	}()
	go h.await(p)
	return nil
}

// await waits for the handler's end and judges it by the host's rules.
func (h *Host) await(p *process) {
	_ = p.cmd.Wait() // the exit code says all
	p.client.CloseIdleConnections()
	h.measured(cmp.Or(p.peak.Load(), peakOf(p.cmd.ProcessState)))
	if !p.asked.Load() {
		p.drained()
		switch code := p.cmd.ProcessState.ExitCode(); code {
		case exitDone:
			p.clean = true
			h.log.Warn("handler exited with code 0 and is never started again")
		case exitRestart:
		default:
			h.fault(fmt.Sprintf("handler ended with %s: %s", p.cmd.ProcessState, p.tail.String()))
		}
	}
	close(p.done)
}

// measured notes what memory a life of the handler took.
func (h *Host) measured(peak int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.peak = max(h.peak, peak)
}

// fault counts an error of the handler; the third within half an hour stops the host.
func (h *Host) fault(reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.faults = slices.DeleteFunc(h.faults, func(t time.Time) bool { return now.Sub(t) > faultLifetime })
	h.faults = append(h.faults, now)
	if len(h.faults) >= maxFaults {
		h.stopped = fmt.Errorf("%w: %s", ErrStopped, reason)
		h.halt()
	}
	h.log.Error("handler fault", "reason", reason, "faults", len(h.faults))
}

// handler gives the running handler, and starts it when there is none. A handler that has exited with 0 is given as it
// is: calls of it are refused.
func (h *Host) handler(ctx context.Context) (*process, error) {
	h.starting.Lock()
	defer h.starting.Unlock()
	for {
		h.mu.Lock()
		p, err := h.process, h.stopped
		if h.closed {
			err = ErrClosed
		}
		h.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if p != nil && (!p.ended() || p.clean) {
			return p, nil
		}
		if err := h.spawn(ctx); err != nil {
			return nil, err
		}
	}
}

// spawn starts the handler and waits until it answers. That it ended meanwhile is for the caller to find.
func (h *Host) spawn(ctx context.Context) error {
	p, err := h.start()
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.process = p
	h.starts++
	closed := h.closed
	h.mu.Unlock()
	if closed {
		p.kill()
		return ErrClosed
	}
	limit, cancel := context.WithTimeout(ctx, h.app.initTimeout)
	defer cancel()
	if p.ready(limit) {
		return nil
	}
	if p.ended() {
		if p.clean {
			return errors.New("start handler: it exited with code 0 before it answered")
		}
		return nil
	}
	p.kill()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	h.fault("Initializing HttpWorker timed out.")
	return nil
}

// ready probes GET / until there is any answer, and tells whether there was one.
func (p *process) ready(ctx context.Context) bool {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"/", nil)
		if err != nil {
			return false
		}
		response, err := p.client.Do(request)
		if err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			return true
		}
		select {
		case <-p.done:
			return false
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		// Any other fault than a refused connection is an answer.
		if dial := (*net.OpError)(nil); !errors.As(err, &dial) || dial.Op != "dial" {
			return true
		}
	}
}

// freePort gives a loopback port that nobody listens on. It lies below the range from which systems take the ports of
// connections and of listeners that ask for any port, so that none of those takes it before the handler does.
func freePort() (int, error) {
	for range 100 {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return 0, fmt.Errorf("find a port: %w", err)
		}
		return port, nil
	}
	return 0, errors.New("find a port: none is free between 20000 and 32000")
}

// inherited are the variables of this process that the handler gets beside the app settings.
func inherited() []string {
	return []string{"PATH", "HOME", "USERPROFILE", "TMPDIR", "TMP", "TEMP", "SYSTEMROOT", "SSL_CERT_FILE", "SSL_CERT_DIR"}
}

func (h *Host) environment(port int) []string {
	var env []string
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); slices.Contains(inherited(), strings.ToUpper(name)) {
			env = append(env, entry)
		}
	}
	env = append(env, h.options.CommandEnv...)
	for name, value := range h.options.Settings {
		env = append(env, name+"="+value)
	}
	id := guid()
	return append(env,
		fmt.Sprintf("%s=%d", handlerPort, port),
		fmt.Sprintf("%s=%d", oldHandlerPort, port),
		"FUNCTIONS_CUSTOMHANDLER_WORKER_ID="+id,
		"FUNCTIONS_HTTPWORKER_ID="+id,
		"FUNCTIONS_APP_ROOT_PATH="+h.app.root,
	)
}

// readConsole hands over each line of the handler's console, of whatever length.
func (h *Host) readConsole(r io.Reader, stderr bool, p *process) {
	b := bufio.NewReader(r)
	for {
		line, err := b.ReadBytes('\n')
		if text := string(bytes.TrimRight(line, "\r\n")); len(line) > 0 {
			if stderr {
				p.tail.add(text)
			}
			h.console(text, stderr)
		}
		if err != nil {
			return
		}
	}
}

func (h *Host) console(line string, stderr bool) {
	if h.options.Console == nil {
		return
	}
	h.consoleMu.Lock()
	defer h.consoleMu.Unlock()
	if !h.silent {
		h.options.Console(line, stderr)
	}
}

// tail keeps the last three lines of the standard error, which the host quotes when the handler dies.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
	if len(t.lines) > 3 {
		t.lines = t.lines[1:]
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, " | ")
}
