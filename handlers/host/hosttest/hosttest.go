// Package hosttest is a stand-in for the Azure Functions host: it runs a staged app, the real handler process with it,
// over real storage queues, and is as strict as the host where the host is strict.
//
// Start reads host.json and <function>/function.json below Options.Root, as they are deployed, and starts the handler.
// A test then drives the app by hand, which is deterministic:
//
//	h, err := hosttest.Start(ctx, hosttest.Options{Root: dir, Settings: settings, RetryDelay: -1})
//	defer h.Close()
//	tick, err := h.Tick(ctx, "plan")  // runs the timer now
//	all, err := h.Drain(ctx)          // runs every queue message until there is none
//	one, ok, err := h.Next(ctx, "collect")
//	h.Kill()                          // SIGKILL; the next invocation starts the handler again
//
// or lets Run do what a host does: timers by their schedules, queues as messages come. As an http.Handler the Host is the
// address at which clients reach the function with an HTTP trigger. The error of these methods is the
// host's own (no storage, ErrStopped); whether the invocation succeeded is in its Result.
//
// What is enforced, because the real host does it:
//
//   - An answer must be 2xx, application/json or text/json, and hold a JSON object. An empty or null one is reported as
//     the hang it would be, a name that is no output binding as the loss it would be. A redirect is followed, unless host.json has HTTP requests forwarded.
//   - A request of a client is forwarded to the function whose route and methods it meets, with the client's headers, Host
//     among them, only the first of several values, queries joined and written anew, and the host's own headers behind.
//   - A message is encoded twice, its top-level properties lie over the metadata, and outputs are guessed at: what looks
//     like base64 is decoded, what looks like an array is fanned out. Messages over 64 KiB on the wire fail.
//   - A message is leased, and the lease renewed while the function runs. After success its outputs are enqueued in order
//     and then it is deleted; after a failure it comes back, and at maxDequeueCount goes to the poison queue. A message
//     that cannot be decoded goes there unseen. A failed message of a poison queue stays under its lease.
//   - functionTimeout kills the handler, and every invocation that runs in it. So does the end of an invocation's context,
//     which is the host's own end: nothing tells a handler to stop. A handler that exits with 0 is never started
//     again, one that exits with 200 is; any other end is a fault, and the third within half an hour stops the host.
//
// Not imitated: keys of functions, HTTP triggers that are not forwarded, retry policies, several instances, dynamic concurrency, time zones. The status of a timer
// is kept in memory, as long as the Host.
package hosttest

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// ErrStopped says that the handler has failed too often and that the host has given up; the platform would start
// another host. ErrClosed says that Close was called.
var (
	ErrStopped = errors.New("the host has stopped after three faults of the handler")
	ErrClosed  = errors.New("the host is closed")
)

// defaultLease is how long the host leases a message.
const defaultLease = 10 * time.Minute

// Options say what to run and how.
type Options struct {
	// Root is the staged app: host.json, the handler, and a folder with a function.json for each function.
	Root string
	// Settings are the app settings. The handler gets them as its environment; AzureWebJobsStorage and each connection
	// of a queue must be a connection string or UseDevelopmentStorage=true.
	Settings map[string]string
	// CommandEnv are further variables for the handler, NAME=value. Of this process's own it gets next to none.
	CommandEnv []string
	// Console takes each line that the handler writes, one at a time, until Close has returned; nil drops them.
	Console func(line string, stderr bool)
	// Ended takes each invocation's result once its message has been settled, several side by side; nil drops them.
	Ended func(Result)
	// Log receives what the host itself has to say; nil drops it.
	Log *slog.Logger
	// Lease is how long a message is leased, renewed at its half; 0 means the host's 10 minutes.
	Lease time.Duration
	// RetryDelay replaces host.json's visibilityTimeout, after which a failed message comes back: 0 leaves that as it
	// is, a negative one means at once.
	RetryDelay time.Duration
	// Manual keeps Run from firing timers: only Tick does.
	Manual bool
	// Now is the clock of timers and of metadata; nil means time.Now.
	Now func() time.Time
}

// Host runs one app. Its methods may be called side by side.
type Host struct {
	options   Options
	app       *app
	queues    *queues
	listeners []*listener // by the function's name
	log       *slog.Logger
	halted    chan struct{} // closed when the host has stopped or is closed
	starting  sync.Mutex    // held while the handler is started
	running   sync.WaitGroup

	consoleMu sync.Mutex
	silent    bool // Close has returned: nobody listens to the console any more

	mu      sync.Mutex // guards what follows
	process *process   // the last one started
	starts  int
	peak    int64       // see PeakMemory
	faults  []time.Time // not older than faultLifetime
	stopped error       // wraps ErrStopped
	closed  bool
	begun   int // see work
	open    int
	status  map[string]timerStatus // by the timer's function
	kept    map[string]lease       // by the id of a message that was left under its lease
}

// Start loads the app and starts its handler. ctx governs the start alone. An app that the host would not load, or would
// load without one of its functions, is an error.
func Start(ctx context.Context, o Options) (*Host, error) {
	a, err := loadApp(o.Root, o.Settings)
	if err != nil {
		return nil, err
	}
	q, err := openQueues(a, o.Settings)
	if err != nil {
		return nil, err
	}
	o.Lease = cmp.Or(o.Lease, defaultLease)
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Host{options: o, app: a, queues: q, log: o.Log, halted: make(chan struct{}),
		status: map[string]timerStatus{}, kept: map[string]lease{}}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	h.listeners = newListeners(a, q)
	if _, err := h.handler(ctx); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// Close kills the handler, as the host does, and waits until the invocations that were cut off are settled: their
// messages come back after the retry delay. It may be called more than once.
func (h *Host) Close() {
	h.mu.Lock()
	h.closed = true
	h.halt()
	p := h.process
	h.mu.Unlock()
	if p != nil {
		p.kill()
		p.drained()
	}
	h.running.Wait()
	h.consoleMu.Lock()
	h.silent = true
	h.consoleMu.Unlock()
}

// halt ends Run; h.mu is held.
func (h *Host) halt() {
	select {
	case <-h.halted:
	default:
		close(h.halted)
	}
}

// Kill kills the handler at once, whatever it is doing; the next invocation starts it again. It counts as no fault.
func (h *Host) Kill() {
	h.mu.Lock()
	p := h.process
	h.mu.Unlock()
	if p != nil {
		p.kill()
	}
}

// Starts says how often the handler has been started.
func (h *Host) Starts() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.starts
}

// Functions lists the app's functions by name.
func (h *Host) Functions() []string {
	var names []string
	for _, f := range h.app.functions {
		names = append(names, f.name)
	}
	return names
}

// usable tells why the host can run nothing any more, if so.
func (h *Host) usable() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	return h.stopped
}

// enter keeps Close waiting until leave is called; it is refused when the host can run nothing any more.
func (h *Host) enter() (leave func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, ErrClosed
	case h.stopped != nil:
		return nil, h.stopped
	}
	h.running.Add(1)
	return h.running.Done, nil
}

// work counts an invocation, or a message that is settled without one, until done is called.
func (h *Host) work() (done func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begun++
	h.open++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.open--
	}
}

// activity gives how much work has ever begun, and how much of it is not done.
func (h *Host) activity() (begun, open int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.begun, h.open
}

// Run does what a host does until ctx ends, and then returns nil, or until the host stops, and then returns ErrStopped or
// ErrClosed. When it returns, the invocations that it began are settled; those that ctx cut off took the handler with
// them.
func (h *Host) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var loops sync.WaitGroup
	for _, l := range h.listeners {
		loops.Go(func() { h.listen(ctx, l) })
	}
	for _, f := range h.app.functions {
		if f.trigger.Type == timerTrigger && !h.options.Manual {
			loops.Go(func() { h.keepTime(ctx, f) })
		}
	}
	var err error
	select {
	case <-ctx.Done():
	case <-h.halted:
		err = h.usable()
		cancel()
	}
	loops.Wait()
	return err
}
