// Command graph runs the stand-in for Microsoft Graph alone, over a sample tenant or a folder of mail:
//
//	go run ./infra/local/graph -listen 127.0.0.1:8085 -sample
//	go run ./infra/local/graph -listen 127.0.0.1:8085 -tenant DIR
//
// It prints the root that a client is given, and runs until it is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"chainmail/handlers/graph/graphtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

type settings struct {
	listen, tenant, secret, rootPEM, custodians string
	sample, tls, verbose                        bool
	seed                                        uint64
	latency                                     time.Duration
	chaos                                       float64
}

// run is the command: 0 when it was interrupted, 1 when it could not serve, 2 for bad arguments.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "graph:", err)
		return 2
	}
	tenant, err := s.load()
	if tenant == nil {
		fmt.Fprintln(stderr, "graph:", err)
		return 2
	}
	if err != nil {
		fmt.Fprintf(stderr, "graph: what follows is left out, or served without what was said about it:\n%v\n", err)
	}
	if err := s.serve(ctx, tenant, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "graph:", err)
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	f := flag.NewFlagSet("graph", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&s.listen, "listen", "127.0.0.1:8085", "address to listen on")
	f.StringVar(&s.tenant, "tenant", "", "folder of the tenant: a folder per user, folders of .eml in it")
	f.BoolVar(&s.sample, "sample", false, "serve the sample tenant")
	f.Uint64Var(&s.seed, "seed", 1, "seed of the sample tenant")
	f.BoolVar(&s.tls, "tls", false, "serve HTTPS with a certificate made on the spot")
	f.StringVar(&s.rootPEM, "root", "", "file to write the root certificate to, with -tls")
	f.StringVar(&s.secret, "secret", "", "want tokens, given for this client secret; without it none are wanted")
	f.StringVar(&s.custodians, "custodians", "", "file to write the list of individuals to")
	f.DurationVar(&s.latency, "latency", 0, "delay of every answer")
	f.Float64Var(&s.chaos, "chaos", 0, "part of all requests that fail by chance, 0 to 1")
	f.BoolVar(&s.verbose, "verbose", false, "log every request")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	switch {
	case f.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case s.sample == (s.tenant != ""):
		return s, errors.New("give either -tenant DIR or -sample")
	case s.chaos < 0 || s.chaos > 1:
		return s, errors.New("-chaos is between 0 and 1")
	case s.rootPEM != "" && !s.tls:
		return s, errors.New("-root goes with -tls")
	}
	return s, nil
}

func (s settings) load() (*graphtest.Tenant, error) {
	if s.sample {
		tenant, _ := graphtest.Sample(s.seed)
		return tenant, nil
	}
	return graphtest.LoadTenant(s.tenant)
}

func (s settings) serve(ctx context.Context, tenant *graphtest.Tenant, stdout, stderr io.Writer) error {
	if s.secret != "" {
		tenant.Apps[0].Secret = s.secret
	}
	level := slog.LevelInfo
	if s.verbose {
		level = slog.LevelDebug
	}
	server := graphtest.NewServer(tenant, graphtest.Options{
		Anonymous: s.secret == "", Latency: s.latency, Chaos: graphtest.Chaos{Rate: s.chaos, Seed: s.seed},
		Log: slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level})),
	})
	url, err := server.Start(s.listen, s.tls)
	if err != nil {
		return err
	}
	defer server.Close()
	if err := s.writeFiles(server, tenant); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s/v1.0\n", url)
	if s.secret != "" {
		fmt.Fprintf(stdout, "authority %s/ tenant %s application %s\n", url, tenant.Domain, tenant.Apps[0].ClientID)
	}
	<-ctx.Done()
	for _, v := range server.Violations() {
		fmt.Fprintln(stderr, "violation:", v)
	}
	return nil
}

func (s settings) writeFiles(server *graphtest.Server, tenant *graphtest.Tenant) error {
	if s.rootPEM != "" {
		if err := os.WriteFile(s.rootPEM, server.RootPEM(), 0o644); err != nil {
			return fmt.Errorf("write root certificate: %w", err)
		}
	}
	if s.custodians != "" {
		if err := os.WriteFile(s.custodians, graphtest.Custodians(tenant), 0o644); err != nil {
			return fmt.Errorf("write list of individuals: %w", err)
		}
	}
	return nil
}
