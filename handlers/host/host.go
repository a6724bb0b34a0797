// Package host speaks the Azure Functions host's custom-handler protocol: invocation in, outcome out.
//
// The host starts the handler, names a loopback port in FUNCTIONS_CUSTOMHANDLER_PORT and sends each invocation as
// POST /<function> with the trigger's data. Any 2xx answer with a JSON object completes the invocation; any other answer
// fails it, and the host throws its body away. The handler is never told to stop: it is killed.
package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Func runs one invocation. Its outcome is written to the function's output bindings when err is nil. An error fails
// the invocation: the host offers the queue message again, a timer waits for its next occurrence. The error's text goes
// to the log, so it must not hold personal data.
type Func func(ctx context.Context, inv *Invocation) (Outcome, error)

// Outcome is what a finished invocation hands to its output bindings.
type Outcome struct {
	// Outputs maps a queue output binding's name to the messages to enqueue, in order. Each is the text of one JSON
	// object of at most MaxMessageBytes. Enqueuing is not atomic: the host may stop in the middle and run the
	// invocation again.
	Outputs map[string][]string
}

// MaxMessageBytes is the largest queue message: base64 makes 64 KiB of it, the limit of a storage queue.
const MaxMessageBytes = 48 << 10

// defaultIdle is longer than the minute for which the host's connection pool keeps a connection.
const defaultIdle = 5 * time.Minute

// stopGrace bounds how long Serve waits for invocations whose context has ended.
const stopGrace = 5 * time.Second

// Options configures a Server. The zero value is usable.
type Options struct {
	// Timeout is the deadline put on each invocation's context; 0 means none. It must be shorter than host.json's
	// functionTimeout, at which the host kills the process and with it every other invocation.
	Timeout time.Duration
	// IdleTimeout is how long an unused connection stays open; 0 means 5 minutes. It must be longer than 60 s, for
	// which the host expects to use a connection again.
	IdleTimeout time.Duration
	// Log receives the failures of invocations; nil discards them.
	Log *slog.Logger
	// HTTP is the function with an HTTP trigger; without a handler there is none.
	HTTP HTTPFunction
}

// Server answers the Functions host. It is an http.Handler.
type Server struct {
	functions map[string]Func
	http      HTTPFunction
	timeout   time.Duration
	idle      time.Duration
	log       *slog.Logger
}

// New gives a server of the functions, keyed by the name of their folder as it is on disk.
func New(functions map[string]Func, o Options) *Server {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Server{
		functions: maps.Clone(functions),
		http:      o.HTTP,
		timeout:   o.Timeout,
		idle:      cmp.Or(o.IdleTimeout, defaultIdle),
		log:       log,
	}
}

// Functions lists the names that the server answers to, in no order.
func (s *Server) Functions() []string {
	names := make([]string, 0, len(s.functions))
	for name := range s.functions {
		names = append(names, name)
	}
	if s.http.Handler != nil {
		names = append(names, s.http.Name)
	}
	return names
}

// Serve answers the host on l until ctx ends: then the invocations' contexts end too, Serve waits a few seconds for
// them and returns nil. It closes l. Every other end is an error, upon which the process must exit with a code other than
// 0: the Functions host never restarts a handler that exits with 0.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:     s,
		IdleTimeout: s.idle,
		// No read or write timeout: an invocation takes minutes, and only the host on this machine can connect.
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelError),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve the functions host: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	err := srv.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	<-ended
	if err != nil {
		return fmt.Errorf("stop serving the functions host: %w", err)
	}
	return nil
}

// portSetting is where the Functions host says on which port it will call.
const portSetting = "FUNCTIONS_CUSTOMHANDLER_PORT"

// ListenAddress gives the host:port that the Functions host will call: always IPv4 loopback, which is where it calls.
func ListenAddress(lookup func(string) (string, bool)) (string, error) {
	text, ok := lookup(portSetting)
	if !ok || text == "" {
		return "", errors.New(portSetting + " is not set: the Functions host sets it when it starts the handler; " +
			"start the app with `func start` instead of the handler itself")
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return "", errors.New(portSetting + " is not a port: it must be a number from 1 to 65535")
	}
	return net.JoinHostPort("127.0.0.1", strconv.FormatUint(port, 10)), nil
}
