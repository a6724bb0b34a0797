package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/user"
	"runtime/debug"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/infra/evidence/export"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

const exportUsage = `usage: evidence export -as FORM -out FOLDER [-custodian ID|ADDRESS]... [-source NAME]
                       [-from TIME] [-to TIME] [-kind email|event] [-dedupe mih] [-by NAME]
                       [-connection-string-env NAME] DIR|CONTAINER

Hands documents over in the form that a review tool loads. Families are exported whole: an
email or event that has every value that is asked for, with all that is attached to it.

  trace        whole packages into FOLDER/packages, for Zip Drop; what comes along in them
               is counted
  concordance  volumes with natives, texts and a DAT as Relativity reads it
  nuix         the same as Nuix Workstation ingests it
  everlaw      the same with Everlaw's names of columns
  purview      natives in folders alias@domain, for the import of external data
  eml          plain .eml and .ics files, a folder for each custodian

Volumes (VOL001 ...) hold at most 10,000 documents and 2 GiB; no family is cut over two. All
documents keep their control numbers, by which files are named. The source package, with its
SHA-256, and the entry stand in columns of the DAT, or in crossreference.csv (purview) or
index.csv (eml). In email of purview and eml the attachments are in the email's own file.

Beside the volumes stand hashes.sha256 (sha256sum -c), exceptions.csv, with -dedupe
duplicates.csv, and export.json: who, when, what was asked for, counts, and the last manifest
of every source. In CSV a value that a spreadsheet would take for a formula begins with an
apostrophe.

A native is exported only if it has the SHA-256 that the items name, items only if they have
the one that their seal names, and a seal only if a manifest names it. What is not so, or not
there, stands in exceptions.csv. Texts and columns of the DAT are held against the CRC in the
package alone: run verify first.

Killed or interrupted at any point, the same command goes on where it was, and ends with the
same bytes, of the evidence as it was when the export began.

Exit code 0: all is exported; 1: there are exceptions, nothing matched, or the export is not
finished; 2: bad input, or the folder holds something else.

`

// exportOptions are the command line.
type exportOptions struct {
	where
	export.Options
	out string
}

func parseExport(args []string, lookup func(string) (string, bool), stderr io.Writer) (exportOptions, error) {
	var o exportOptions
	f := flag.NewFlagSet("export", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(f.Output(), exportUsage)
		f.PrintDefaults()
	}
	forms := strings.Join(export.Forms(), ", ")
	f.Func("as", "`FORM`: "+forms, oneOf(&o.As, export.Forms()...))
	f.Func("out", "`FOLDER` to export to: an empty one, one to be made, or that of the export to go on with", worded(&o.out))
	f.Func("custodian", "custodian by mailbox's object id or address, `ID|ADDRESS`; again for several", func(s string) error {
		var one string
		err := worded(&one)(s)
		o.Custodians = append(o.Custodians, one)
		return err
	})
	f.Func("source", "`NAME` of the one source to export", sourceName(&o.Source))
	timeFlag(f, "from", "received, or else sent, at this `TIME` or later, RFC 3339: 2026-03-02T00:00:00Z", &o.From)
	timeFlag(f, "to", "received, or else sent, before this `TIME`", &o.To)
	var kind, dedupe string
	f.Func("kind", "`KIND` of families: email or event", oneOf(&kind, string(capture.Email), string(capture.Event)))
	f.Func("dedupe", "`mih`: of the families of one EDRM message identification hash the first alone", oneOf(&dedupe, "mih"))
	f.Func("by", "`NAME` of whoever exports; else who is signed in to this machine", worded(&o.By))
	var err error
	if o.where, err = parse(f, args, lookup); err != nil {
		return o, err
	}
	o.Kind, o.Dedupe = capture.Kind(kind), dedupe != ""
	switch {
	case o.As == "":
		return o, refuse("say in which form, by -as: %s", forms)
	case o.out == "":
		return o, refuse("say which folder to export to, by -out")
	case o.connection == "" && !strings.Contains(o.place, "://") && export.Inside(o.out, o.place):
		return o, refuse("-out: the folder lies in the evidence, in which nothing else has a place")
	}
	return o, inOrder(o.From, o.To)
}

func oneOf(to *string, values ...string) func(string) error {
	return func(s string) error {
		for _, v := range values {
			if s == v {
				*to = s
				return nil
			}
		}
		return fmt.Errorf("it is one of: %s", strings.Join(values, ", "))
	}
}

func sourceName(to *string) func(string) error {
	return func(s string) error {
		if !capture.ValidSourceName(s) {
			return errors.New("no source bears such a name")
		}
		*to = s
		return nil
	}
}

func runExport(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	o, err := parseExport(args, lookup, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitSound
	}
	var report export.Report
	if err == nil {
		report, err = exportAt(ctx, o, stderr)
	}
	switch {
	case err == nil:
		return printReport(report, o.out, stdout, stderr)
	case refused(err):
		fmt.Fprintln(stderr, "evidence:", err)
		return exitRefused
	case ctx.Err() != nil:
		err = errors.New("interrupted")
	}
	fmt.Fprintf(stderr, "evidence: %v: the export is not finished; the same command goes on where it was\n", err)
	return exitUnsound
}

// exportAt exports what lies there.
func exportAt(ctx context.Context, o exportOptions, stderr io.Writer) (export.Report, error) {
	s, closeIt, err := o.open()
	if err != nil {
		return export.Report{}, err
	}
	defer closeIt()
	if o.By == "" {
		if u, err := user.Current(); err == nil {
			o.By = u.Username
		}
	}
	o.Tool, o.Now = tool(), time.Now
	show := newProgress(stderr)
	defer show.end()
	o.Read = show.of
	report, err := export.Run(ctx, s, o.out, o.Options)
	var no export.Refusal
	var unlisted export.Unlisted
	switch {
	case errors.As(err, &no):
		return report, refusal{fmt.Errorf("%s: %w", o.out, no)}
	case errors.As(err, &unlisted):
		return report, o.unlisted(ctx, unlisted.Unwrap())
	}
	return report, err
}

// tool is this program's version.
func tool() export.Tool {
	t := export.Tool{Version: "dev"}
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return t
	}
	if b.Main.Version != "" && b.Main.Version != "(devel)" {
		t.Version = b.Main.Version
	}
	for _, s := range b.Settings {
		if s.Key == "vcs.revision" {
			t.Commit = s.Value
		}
	}
	return t
}

// printReport says what was exported, and gives the exit code.
func printReport(r export.Report, out string, stdout, stderr io.Writer) int {
	p := message.NewPrinter(language.English)
	t := r.Totals
	count := func(n int, one, many string) string {
		if n == 1 {
			return "1 " + one
		}
		return p.Sprintf("%d ", n) + many
	}
	documents := func(n int) string { return count(n, "document", "documents") }
	line := documents(t.Documents) + " of " + count(t.Families, "family", "families")
	if r.As == export.Trace {
		line += " in " + count(t.Packages, "whole package", "whole packages") + "; " + documents(t.Alongside) +
			" of others along with them"
	} else {
		line += " in " + count(t.Volumes, "volume", "volumes") + ": " + count(t.Natives, "native", "natives") + ", " +
			count(t.Texts, "text", "texts")
	}
	line += p.Sprintf(", %.1f MB", float64(t.Bytes)/1e6)
	if r.Filter.Dedupe {
		line += "; " + documents(t.Duplicates) + " left out as duplicates, and listed"
	}
	fmt.Fprintf(stdout, "%s: %s: %s; %s\n", out, r.As, line, count(t.Exceptions, "exception", "exceptions"))
	for _, h := range r.Heads {
		fmt.Fprintf(stdout, "%s: manifests 1..%d, head %s\n", h.Source, h.Sequence, h.SHA256)
	}
	if r.Unnamed > 0 {
		fmt.Fprintf(stderr, "evidence: parts that no manifest names, and that were not looked at: %d\n", r.Unnamed)
	}
	switch {
	case t.Exceptions > 0:
		fmt.Fprintln(stderr, "evidence: not all that was asked for is exported: exceptions.csv says what is not, and why")
		return exitUnsound
	case t.Documents == 0 && t.Duplicates == 0:
		fmt.Fprintf(stderr, "evidence: of %d documents none matches\n", r.Looked)
		return exitUnsound
	}
	return exitSound
}
