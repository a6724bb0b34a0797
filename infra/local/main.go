// Command local runs the whole system on this machine: Azurite as storage, a stand-in for Microsoft Graph with a sample
// tenant (or whatever Graph the sources name), and the handler as a process of its own under a Functions host.
//
//	go run ./infra/local -once -out out
//	go run ./infra/local -sources my.json -preflight
//
// It builds what it needs and installs Azurite through npm. What it stores persists below .local, so that the next run goes
// on where this one ended.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"chainmail/handlers/vault/storagetest"
	"chainmail/infra/package/staging"

	"golang.org/x/sync/errgroup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// The exit codes.
const (
	exitDone    = 0 // every batch completed
	exitFailed  = 1 // one did not, or the system could not run
	exitRefused = 2 // bad input
)

// A refusal is an error of what was given, as against one of this machine.
type refusal struct{ error }

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitDone
	}
	if err == nil {
		err = start(ctx, o, stdout, stderr)
	}
	var bad refusal
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &bad):
		fmt.Fprintln(stderr, "local:", err)
		return exitRefused
	case errors.Is(err, errIncomplete), errors.Is(err, errFault):
		return exitFailed // what was printed says it
	}
	fmt.Fprintln(stderr, "local:", err)
	return exitFailed
}

// options are the command line.
type options struct {
	once        bool
	preflight   bool
	outsider    bool
	out         string // "": nothing is copied
	sources     string // "": the sample's
	graph       string // "": as the sources say
	host        string
	data        string
	storagePort int
	apiPort     int
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("local", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.BoolVar(&o.once, "once", false, "end when every window is collected: 0 if all batches completed, 1 if not, 2 for bad input")
	f.StringVar(&o.out, "out", "", "`folder` to copy the evidence to, same paths, at the end of the run")
	f.StringVar(&o.sources, "sources", "", "`file` of sources in place of infra/local/sample/sources.json; lists of individuals lie beside it")
	f.StringVar(&o.graph, "graph", "", "root `URL` of another Graph-like server on loopback, http://127.0.0.1:8085/v1.0")
	f.StringVar(&o.host, "host", "standin", "Functions host: standin, or func for the Azure Functions Core Tools")
	f.StringVar(&o.data, "data", ".local", "`folder` where storage and logs persist")
	f.IntVar(&o.storagePort, "storage-port", 10000, "`port` of Azurite's Blob service, Queue and Table on the two after it; 0 for free ones")
	f.IntVar(&o.apiPort, "api-port", 7091, "`port` of the operators' console and API on loopback; 0 for a free one")
	f.BoolVar(&o.preflight, "preflight", false, "check every source and collect nothing: 0 without a fault, 1 with one, 2 for bad input")
	f.BoolVar(&o.outsider, "outsider", false, "with -preflight: try whether the mailbox of a user who is no individual lets the application in")
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return o, err
	case err != nil:
		return o, refusal{errors.New("the command line cannot be read")}
	case f.NArg() > 0:
		return o, refuse("unexpected argument %q", f.Arg(0))
	case o.host != "standin" && o.host != "func":
		return o, refuse("-host is standin or func")
	case o.outsider && !o.preflight:
		return o, refuse("-outsider goes with -preflight")
	case o.storagePort < 0 || o.storagePort > 65533:
		return o, refuse("-storage-port is from 1 to 65533, or 0 for free ports")
	case o.apiPort < 0 || o.apiPort > 65535 || o.apiPort == 0 && o.host == "func":
		return o, refuse("-api-port is from 1 to 65535, or with -host standin 0 for a free one")
	}
	if o.graph != "" {
		if u, err := url.Parse(o.graph); err != nil || u.Host == "" {
			return o, refuse("-graph is a URL such as http://127.0.0.1:8085/v1.0")
		}
	}
	return o, nil
}

func (o options) ports() [3]int {
	if o.storagePort == 0 {
		return [3]int{}
	}
	return [3]int{o.storagePort, o.storagePort + 1, o.storagePort + 2}
}

// start brings the parts up, from what can be refused at once to what takes long, and runs the app.
func start(ctx context.Context, o options, stdout, stderr io.Writer) error {
	root, err := staging.Root(".")
	if err != nil {
		return refusal{err}
	}
	given, err := load(o, root)
	if err != nil {
		return err
	}
	for _, w := range given.warnings {
		fmt.Fprintln(stderr, "local:", w)
	}
	if o.preflight {
		return given.check(ctx, o, stdout, stderr)
	}
	if err := os.MkdirAll(o.data, 0o755); err != nil {
		return fmt.Errorf("%w: give another folder by -data", err)
	}
	azurite, err := prepare(ctx, o, root, stderr)
	if err != nil {
		return err
	}
	defer func() { _ = azurite.Stop() }()
	stopGraph, err := given.serveGraph(o)
	if err != nil {
		return err
	}
	defer stopGraph()
	s, err := open(azurite, given)
	if err != nil {
		return err
	}
	if err := s.upload(ctx, given); err != nil {
		return err
	}
	return operate(ctx, o, s, given, stdout, stderr)
}

// prepare builds the handler and starts Azurite, side by side: each may take minutes the first time.
func prepare(ctx context.Context, o options, root string, stderr io.Writer) (azurite *storagetest.Azurite, err error) {
	fmt.Fprintln(stderr, "local: building the handler; the first time, the Graph SDK takes some minutes to compile")
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := staging.Stage(ctx, root, o.appDir(), staging.Target{}, stderr); err != nil {
			return err
		}
		fmt.Fprintf(stderr, "local: built the handler in %v\n", time.Since(began).Round(time.Second))
		return nil
	})
	g.Go(func() (err error) {
		azurite, err = storagetest.Start(ctx, storagetest.Options{Dir: o.storageDir(), Ports: o.ports(), Log: stderr})
		return err
	})
	if err := g.Wait(); err != nil {
		if azurite != nil {
			_ = azurite.Stop()
		}
		return nil, err
	}
	return azurite, nil
}
