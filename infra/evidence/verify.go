package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"chainmail/infra/evidence/verify"
)

const verifyUsage = `usage: evidence verify [-anchors FILE|-] [-head [SOURCE=]SHA256]... [-report FILE.html]
                       [-collecting] [-from TIME] [-to TIME]
                       [-connection-string-env NAME] DIR|CONTAINER

Is it unchanged, and is it everything? Reads every file of evidence and tells whether it is
whole and unaltered: that each file is what its hash says, that none is missing and none too
many, that packages, items, load files, exceptions, seals and manifests agree in every count,
that families are together, that batches and those split off them name each other, and that
the manifests of each source form one chain.

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

A chain proves all of its manifests but the last, to whoever cannot write all of them anew.
The log is a witness outside the storage. -anchors takes it, or an export of it: every event
"batch sealed" is held against the manifest of its source and sequence, and each source's
line says up to which sequence it is anchored. It reads the app's own log lines, and what Log
Analytics gives as JSON (az monitor log-analytics query) or CSV (the portal's export). -head
takes the hash of a last manifest alone: manifestSha256 of the last such event.

-report writes what is printed as one page to be printed and handed on, a certificate. It
loads nothing and runs nothing. Of very long lists it has the first 2,000 rows, and says so.
Its SHA-256 is printed. A file that is there is written over.

"Ingestion state by the manifests" is from where collection would go on if the state account
were lost: until then batches of the schedule have the time without a hole. The app finds it
by itself. Set up a new state account, put the settings that the line names there as
config/sources.json, with the lists of individuals, and start the app: its first run reads
the evidence, goes on with the chain, and seals batches that were in the middle as they lie
there, Abandoned, with others for their periods. What was open, gaps as well as exceptions,
only the evidence knows then: ask for it again, gap by gap, by POST /sources/SOURCE/collect.

`

// verifyOptions are the command line.
type verifyOptions struct {
	where
	verify.Options
	report  string // file; "": none is written
	anchors string // file; "-": standard input; "": none
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
	f.Func("anchors", "`FILE` with events \"batch sealed\" of the log, which every manifest is held against; -: standard input",
		worded(&o.anchors))
	f.Func("report", "write a certificate to this `FILE`, a page of HTML", worded(&o.report))
	timeFlag(f, "from", "coverage from this `TIME` on, RFC 3339, as in 2026-03-02T00:00:00Z", &o.From)
	timeFlag(f, "to", "coverage until this `TIME`, exclusive", &o.To)
	f.BoolVar(&o.Collecting, "collecting", false, "a batch without a manifest is still being collected, and no finding")
	var err error
	if o.where, err = parse(f, args, lookup); err == nil {
		err = inOrder(o.From, o.To)
	}
	if err == nil {
		err = checkReport(o.report, o.where)
	}
	return o, err
}

// readAnchors reads the log's anchors.
func (o *verifyOptions) readAnchors() (err error) {
	var r io.ReadCloser = os.Stdin
	switch o.anchors {
	case "":
		return nil
	case "-":
	default:
		if r, err = os.Open(o.anchors); err != nil {
			return refuse("-anchors: %w", err)
		}
		defer r.Close()
	}
	if o.Anchors, err = verify.ReadAnchors(r); err != nil {
		return refuse("-anchors: %w", err)
	}
	return nil
}

func runVerify(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	o, err := parseVerify(args, lookup, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitSound
	}
	var report *verify.Report
	if err == nil {
		err = o.readAnchors()
	}
	if err == nil {
		report, err = verifyAt(ctx, o, stderr)
	}
	if report != nil {
		report.Print(stdout)
	}
	if err == nil && o.report != "" {
		if err := writeReport(report, o.report, o.where, stdout); err != nil {
			fmt.Fprintln(stderr, "evidence:", err)
			return exitUnsound
		}
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
