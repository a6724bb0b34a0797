// Command handlers is the custom handler of Chainmail: the process that the Azure Functions host starts and that does
// all its work. This file is the wiring: settings, clients, functions, serve.
package main

import (
	"context"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"time"

	"chainmail/handlers/bury"
	"chainmail/handlers/capture"
	"chainmail/handlers/collect"
	"chainmail/handlers/graph"
	"chainmail/handlers/host"
	"chainmail/handlers/mailfmt/doctext"
	"chainmail/handlers/people"
	"chainmail/handlers/plan"
	"chainmail/handlers/queue"
	"chainmail/handlers/settings"
)

// Set by the linker.
var version, commit = "dev", "unknown"

// memoryGoal is the size in bytes from which the garbage collector works harder to keep the process's own memory below it. What
// lives at a time stays far below (the spool's budget, two blocks of a package, what is still to fetch); what is left lying
// between two collections would else be as much again, and the smallest plans have half a gigabyte for host and handler.
const memoryGoal = 160 << 20

// ownDeadline ends an invocation before the host's functionTimeout (30 min in host.json) would kill the whole process, and
// everything else it does.
const ownDeadline = 28 * time.Minute

func main() {
	if doctext.IsWorker(os.Args) {
		if err := readDocuments(os.Args); err != nil {
			os.Exit(1) // the handler that started it asks for nothing more
		}
		return
	}
	// The host never restarts a handler that ended with 0.
	fmt.Fprintln(os.Stderr, "handler:", run(context.Background(), os.LookupEnv, graph.Clock{Now: time.Now}))
	os.Exit(1)
}

func run(ctx context.Context, lookup func(string) (string, bool), clock graph.Clock) error {
	// QUIRK: net/http repeats in the standard log what a server sends out of turn, and that may be a piece of a mail.
	stdlog.SetOutput(io.Discard)
	env, err := settings.FromEnvironment(lookup)
	if err != nil {
		return err
	}
	if _, set := lookup("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(memoryGoal)
	}
	log := host.NewLogger(os.Stdout, env.LogLevel)
	address, err := host.ListenAddress(lookup)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp4", address)
	if err != nil {
		return err
	}
	app, err := newApp(env, log, clock)
	if err != nil {
		return err
	}
	return host.New(app.functions(), host.Options{Timeout: ownDeadline, Log: log, HTTP: app.web()}).Serve(ctx, listener)
}

// web is the function with an HTTP trigger: the operators' API.
func (a *app) web() host.HTTPFunction {
	return host.HTTPFunction{Name: "console", Handler: a.console}
}

// functions are the other routes: their names, too, are the folders below functions/.
func (a *app) functions() map[string]host.Func {
	return map[string]host.Func{
		"plan":    a.ready(planned(a.planner)),
		"people":  a.ready(synchronised(a.registry)),
		"collect": a.ready(collected(a.collector, a.log)),
		"bury":    a.ready(buried(a.burier)),
	}
}

// timer: cuts due windows into batches and gives out messages.
func planned(p *plan.Planner) host.Func {
	return func(ctx context.Context, _ *host.Invocation) (host.Outcome, error) {
		chunks, err := p.Tick(ctx)
		return emit(chunks...), err
	}
}

// timer: brings the individuals up to date.
func synchronised(r *people.Registry) host.Func {
	return func(ctx context.Context, _ *host.Invocation) (host.Outcome, error) {
		return host.Outcome{}, r.Tick(ctx)
	}
}

// queue: collects one chunk. What is not a chunk is recorded and finished: no retry would make it one.
func collected(c *collect.Collector, log *slog.Logger) host.Func {
	return func(ctx context.Context, inv *host.Invocation) (host.Outcome, error) {
		text, err := inv.Message("chunk")
		if err != nil {
			log.ErrorContext(ctx, "message refused", "reason", "it is no text")
			return host.Outcome{}, nil
		}
		chunk, err := capture.ParseMessage(text)
		if err != nil {
			log.ErrorContext(ctx, "message refused", "reason", err.Error(), "bytes", len(text))
			return host.Outcome{}, nil
		}
		next, more, err := c.Run(ctx, chunk)
		if err != nil || !more {
			return host.Outcome{}, err
		}
		return emit(next), nil
	}
}

// queue: takes what the host gave up.
func buried(b *bury.Burier) host.Func {
	return func(ctx context.Context, inv *host.Invocation) (host.Outcome, error) {
		text, err := inv.Message("chunk")
		if err != nil {
			text = nil
		}
		return host.Outcome{}, b.Run(ctx, text)
	}
}

func emit(chunks ...capture.Chunk) host.Outcome {
	var messages []string
	for _, c := range chunks {
		messages = append(messages, c.Message())
	}
	return host.Outcome{Outputs: map[string][]string{queue.Chunks: messages}}
}
