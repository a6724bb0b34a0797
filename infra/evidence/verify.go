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

const verifyUsage = `usage: evidence verify [-head [SOURCE=]SHA256]... [-collecting] [-from TIME] [-to TIME]
                       [-connection-string-env NAME] DIR|CONTAINER

Is it unchanged, and is it everything? Reads every file of evidence and tells whether it is whole and unaltered: that each file is
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

From manifests and seals it computes for every custodian of a source, which is everybody
whom any seal names, which time is covered, from the first manifest's period to the last
one's or from -from to -to. A line follows for each gap, with the custodian's id (an object
id), the period (its end exclusive) and the reason:

  not monitored    the batch of the period does not name the custodian
  excluded         by a rule: NotFound, NoMailbox, AccessDenied, UnlicensedGuest, Duplicate
  failed           the mailbox could not be read to its end; with the code
  abandoned        the batch was given up before it had the custodian
  never planned    there is no batch for the period
  not known        a manifest or seal cannot be read, or no manifest closes the batch

and lines for texts and synthesised natives, for what of a mailbox is left out, and for what
is left out for everybody. "Covered" is the custodians' covered time as part of all their
time, gaps of any reason counted in. What was excepted is open until a later manifest closes
it. A gap or an open exception is no finding: evidence that says what it lacks is sound, and
the exit code is 0. Read the lines.

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
	timeFlag(f, "from", "coverage from this `TIME` on, RFC 3339, as in 2026-03-02T00:00:00Z", &o.From)
	timeFlag(f, "to", "coverage until this `TIME`, exclusive", &o.To)
	f.BoolVar(&o.Collecting, "collecting", false, "a batch without a manifest is still being collected, and no finding")
	var err error
	if o.where, err = parse(f, args, lookup); err == nil {
		err = inOrder(o.From, o.To)
	}
	return o, err
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
	if err == nil || ctx.Err() != nil {
		return report, err
	}
	return nil, o.unlisted(ctx, err)
}
