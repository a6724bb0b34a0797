package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"

	"chainmail/infra/evidence/verify"
)

const verifyUsage = `usage: evidence verify [-head [SOURCE=]SHA256]... [-collecting]
                       [-connection-string-env NAME] DIR|CONTAINER

Reads every file of evidence and tells whether it is whole and unaltered: that each file is
what its hash says, that none is missing and none too many, that packages, items, load
files, exceptions, seals and manifests agree in every count, that families are together,
and that the manifests of each source form one chain.

  DIR        the folder that a container was copied to, same paths
  CONTAINER  https://ACCOUNT.blob.core.windows.net/CONTAINER, read as who is signed in (az
             login, AZURE_TENANT_ID ..., or a managed identity); packages pass through a
             temporary file. With -connection-string-env the container's name alone.

Prints a line for each finding, "FILE: what is wrong", and a line for each source. Findings
name files, control numbers, item keys and object ids, and quote nothing of any mail.
Exit code 0: all is sound; 1: something is wrong, or could not be read; 2: bad input.

A chain proves all of its manifests but the last. To prove that one as well give its hash
by -head: it stands in the log as manifestSha256 of the last event "batch sealed".

`

// verifyOptions are the command line.
type verifyOptions struct {
	where
	verify.Options
}

var headForm = regexp.MustCompile(`^(?:([a-z0-9-]{1,24})=)?([0-9a-fA-F]{64})$`)

func parseVerify(args []string, lookup func(string) (string, bool), stderr io.Writer) (verifyOptions, error) {
	var o verifyOptions
	var places []string
	f := flag.NewFlagSet("verify", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(f.Output(), verifyUsage)
		f.PrintDefaults()
	}
	f.Func("head", "SHA-256 that a source's last manifest must have, `[SOURCE=]SHA256`; once for each source", func(s string) error {
		m := headForm.FindStringSubmatch(s)
		if m == nil {
			return errors.New("a SHA-256 is 64 hexadecimal digits, with SOURCE= before it if wanted")
		}
		o.Heads = append(o.Heads, verify.Head{Source: m[1], SHA256: strings.ToLower(m[2])})
		return nil
	})
	f.BoolVar(&o.Collecting, "collecting", false, "a batch without a manifest is still being collected, and no finding")
	env := f.String("connection-string-env", "", "environment variable, by `NAME`, with the storage account's connection string")
	for { // flags may stand behind the folder as well
		err := f.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		if err != nil {
			return o, refusal{errors.New("the command line cannot be read")}
		}
		if f.NArg() == 0 {
			break
		}
		places, args = append(places, f.Arg(0)), f.Args()[1:]
	}
	if len(places) != 1 {
		return o, refuse("give one folder or container; evidence verify -h says more")
	}
	o.place = places[0]
	if *env != "" {
		o.connection, _ = lookup(*env)
		if o.connection == "" {
			return o, refuse("the environment variable %s, which -connection-string-env names, is empty", *env)
		}
	}
	return o, nil
}

func runVerify(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	o, err := parseVerify(args, lookup, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitSound
	}
	var report *verify.Report
	if err == nil {
		report, err = verifyAt(ctx, o, stderr)
	}
	if report != nil {
		report.Print(stdout)
	}
	switch {
	case err == nil && report.Sound():
		return exitSound
	case err == nil:
		return exitUnsound
	case refused(err):
		fmt.Fprintln(stderr, "evidence:", err)
		return exitRefused
	}
	fmt.Fprintln(stderr, "evidence: interrupted: what was not read until then is not verified")
	return exitUnsound
}

// verifyAt verifies what lies there. A report beside an error tells what was found until then.
func verifyAt(ctx context.Context, o verifyOptions, stderr io.Writer) (*verify.Report, error) {
	s, closeIt, err := o.open()
	if err != nil {
		return nil, err
	}
	defer closeIt()
	show := newProgress(stderr)
	defer show.end()
	o.Listed, o.Read = show.listed, show.read
	report, err := verify.Run(ctx, s, o.Options)
	switch {
	case err == nil || ctx.Err() != nil:
		return report, err
	case errors.Is(err, verify.ErrNoEvidence):
		return nil, refuse("%s: %w: it must hold SOURCE/BATCH/manifest.json, as a container of evidence does", o.place, err)
	}
	err = fmt.Errorf("%s cannot be listed: %w", o.place, err)
	if todo := remedy(err); todo != "" {
		err = fmt.Errorf("%w: %s", err, todo)
	}
	return nil, refusal{err}
}
