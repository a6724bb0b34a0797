// Command package builds the Functions app:
//
//	go run ./infra/package           dist/app and dist/app.zip, for Azure (linux/amd64)
//	go run ./infra/package -local    dist/local, for this machine, with local.settings.json where there is one
//
// dist/app.zip is what a zip deployment takes; dist/local what `func start --script-root dist/local` runs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"chainmail/infra/package/staging"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, ".", os.Args[1:], os.Stdout, os.Stderr))
}

// run is the command: 0 when the app is made, 1 when it could not be, 2 for bad arguments.
func run(ctx context.Context, dir string, args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("package", flag.ContinueOnError)
	f.SetOutput(stderr)
	local := f.Bool("local", false, "build for this machine into dist/local")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil || f.NArg() > 0 {
		fmt.Fprintln(stderr, "package: it takes no arguments but -local")
		return 2
	}
	root, err := staging.Root(dir)
	if err == nil {
		fmt.Fprintln(stderr, "package: building the handler; the first time, the Graph SDK takes some minutes to compile")
		if *local {
			err = stageLocal(ctx, root, stdout, stderr)
		} else {
			err = stageAzure(ctx, root, stdout, stderr)
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "package:", err)
		return 1
	}
	return 0
}

func stageAzure(ctx context.Context, root string, stdout, stderr io.Writer) error {
	dir, file := filepath.Join(root, "dist", "app"), filepath.Join(root, "dist", "app.zip")
	if err := staging.Stage(ctx, root, dir, staging.Azure(), stderr); err != nil {
		return err
	}
	if err := staging.Zip(dir, file); err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "dist/app.zip  %.1f MB\n", float64(info.Size())/1e6)
	return nil
}

// stageLocal takes the local settings along: the Functions tools read them beside host.json.
func stageLocal(ctx context.Context, root string, stdout, stderr io.Writer) error {
	dir := filepath.Join(root, "dist", "local")
	if err := staging.Stage(ctx, root, dir, staging.Target{}, stderr); err != nil {
		return err
	}
	settings, err := os.ReadFile(filepath.Join(root, staging.SettingsFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
		fmt.Fprintf(stderr, "package: there is no %s: func start needs one; copy local.settings.sample.json\n", staging.SettingsFile)
	case err != nil:
		return err
	default:
		if err := os.WriteFile(filepath.Join(dir, staging.SettingsFile), settings, 0o600); err != nil {
			return err
		}
	}
	fmt.Fprintln(stdout, "dist/local")
	return nil
}
