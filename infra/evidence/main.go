// Command evidence is for whoever has to answer for the evidence:
//
//	go run ./infra/evidence verify DIR|CONTAINER    is it everything, and is it unchanged?
//	go run ./infra/evidence find DIR|CONTAINER      where does a document lie, and give me its native
//	go run ./infra/evidence export DIR|CONTAINER    hand documents over, as a review tool loads them
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr))
}

// The exit codes.
const (
	exitSound   = 0
	exitUnsound = 1 // something is wrong, or not all could be read; find: or nothing was found
	exitRefused = 2 // bad input
)

const usage = `usage: evidence verify [flags] DIR|CONTAINER
       evidence find [flags] DIR|CONTAINER
       evidence export [flags] DIR|CONTAINER

  verify   reads every file of evidence and holds it against the hash, the count and the
           chain that bear witness to it, and tells what is missing in which period
  find     tells where documents lie, and gives the native of one
  export   hands documents over in the form that a review tool loads

"evidence verify -h", "evidence find -h" and "evidence export -h" say more.
`

// run is the command. Environment variables are looked up by name, where a flag gives one.
func run(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	if len(args) > 0 {
		switch args[0] {
		case "verify":
			return runVerify(ctx, args[1:], lookup, stdout, stderr)
		case "find":
			return runFind(ctx, args[1:], lookup, stdout, stderr)
		case "export":
			return runExport(ctx, args[1:], lookup, stdout, stderr)
		case "-h", "-help", "--help", "help":
			fmt.Fprint(stdout, usage)
			return exitSound
		}
	}
	fmt.Fprint(stderr, usage)
	return exitRefused
}

// A refusal is an error of what was given.
type refusal struct{ error }

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

func refused(err error) bool {
	var r refusal
	return errors.As(err, &r)
}
