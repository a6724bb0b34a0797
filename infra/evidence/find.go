package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"chainmail/infra/evidence/find"
	"chainmail/infra/evidence/store"
)

const findUsage = `usage: evidence find CRITERION... [-json] [-get FILE|-]
                     [-connection-string-env NAME] DIR|CONTAINER

Looks documents up by what items.jsonl says of them. Criteria, at least one of which must be
given, narrow each other down: -message-id, -sha256, -mih, -custodian, -control-number,
-source, -from, -to, -subject-hash.

-subject-hash finds a subject without anybody having to write it on a command line or into a
log: echo -n "the whole subject" | sha256sum. It is that of the load file's column Subject.
Items hold no subject, so the load file of each part is read that has a document with all the
other criteria: -source, -custodian, -from and -to make it quick.

Prints a line for each document, tab separated: batch, package, entry, state (active,
deleted, recoverable, purged), SHA-256 of the native, control number; with -json a JSON
object. Of an attachment's entry the name is left out, which is the mail's own: what stands
there is a pattern that unzip takes. No subject and no address is printed.

-get fetches the native of the one document that is found, and reads no more of the package
than that. It is given out only if it has the SHA-256 that its line of the items names; that
items, seals and manifests are as they were written is for verify to say. If several
documents match, all are listed and none is fetched: narrow them down, in the end by
-control-number and -source.

Exit code 0: found; 1: nothing was found, something could not be read, or the native is not
the one that the items name; 2: bad input.

`

// findOptions are the command line.
type findOptions struct {
	where
	find.Query
	json bool
	get  string // file; "-": standard output; "": nothing is fetched
}

func parseFind(args []string, lookup func(string) (string, bool), stderr io.Writer) (findOptions, error) {
	var o findOptions
	f := flag.NewFlagSet("find", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(f.Output(), findUsage)
		f.PrintDefaults()
	}
	f.Func("message-id", "Message-`ID`, with its angle brackets or without", worded(&o.MessageID))
	f.Func("sha256", "`SHA-256` of the native", hexadecimal(&o.SHA256, 64))
	f.Func("mih", "EDRM message identification `hash`", hexadecimal(&o.MIH, 32))
	f.Func("subject-hash", "`SHA-256` of the subject, as UTF-8 and with no line break at its end",
		hexadecimal(&o.SubjectSHA256, 64))
	f.Func("custodian", "custodian by the `ID` in paths: the mailbox's object id", worded(&o.Custodian))
	f.Func("control-number", "control `NUMBER`, unique in a source", worded(&o.ControlNumber))
	f.Func("source", "`NAME` of the one source to look through", sourceName(&o.Source))
	timeFlag(f, "from", "received, or where that is not known sent, at this `TIME` or later, RFC 3339: 2026-03-02T00:00:00Z", &o.From)
	timeFlag(f, "to", "received, or where that is not known sent, before this `TIME`", &o.To)
	f.BoolVar(&o.json, "json", false, "print JSON, an object a line")
	f.Func("get", "write the native to this `FILE`, which must not exist yet; -: to standard output, and the line to standard error",
		worded(&o.get))
	var err error
	if o.where, err = parse(f, args, lookup); err != nil {
		return o, err
	}
	if o.Query == (find.Query{}) {
		return o, refuse("say what to find: -message-id, -sha256, -mih, -custodian, -control-number, -source, -from, -to or " +
			"-subject-hash")
	}
	if err := inOrder(o.From, o.To); err != nil {
		return o, err
	}
	return o, o.checkTarget()
}

// checkTarget refuses a file that cannot be made, before anything is read.
func (o *findOptions) checkTarget() error {
	if o.get == "" || o.get == "-" {
		return nil
	}
	if _, err := os.Lstat(o.get); err == nil {
		return refuse("-get: %s exists already, and is not written over", o.get)
	}
	if info, err := os.Stat(filepath.Dir(o.get)); err != nil || !info.IsDir() {
		return refuse("-get: there is no folder %s", filepath.Dir(o.get))
	}
	return nil
}

func worded(to *string) func(string) error {
	return func(s string) error {
		if strings.TrimSpace(s) == "" {
			return errors.New("it is empty")
		}
		*to = strings.TrimSpace(s)
		return nil
	}
}

func hexadecimal(to *string, digits int) func(string) error {
	form := regexp.MustCompile(`^[0-9a-f]{` + strconv.Itoa(digits) + `}$`)
	return func(s string) error {
		if s = strings.ToLower(strings.TrimSpace(s)); !form.MatchString(s) {
			return fmt.Errorf("it has %d hexadecimal digits", digits)
		}
		*to = s
		return nil
	}
}

func runFind(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	o, err := parseFind(args, lookup, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitSound
	}
	found := false
	if err == nil {
		found, err = findAt(ctx, o, stdout, stderr)
	}
	switch {
	case err == nil && found:
		return exitSound
	case err == nil:
		return exitUnsound
	case ctx.Err() != nil:
		err = errors.New("interrupted: not everything was looked at")
	}
	fmt.Fprintln(stderr, "evidence:", err)
	if refused(err) {
		return exitRefused
	}
	return exitUnsound
}

// findAt looks for documents, lists them, and fetches the native of the one where that was asked for. It reports whether
// documents were found and everything could be looked at.
func findAt(ctx context.Context, o findOptions, stdout, stderr io.Writer) (bool, error) {
	s, closeIt, err := o.open()
	if err != nil {
		return false, err
	}
	defer closeIt()
	listing := stdout
	if o.get == "-" {
		listing = stderr
	}
	show := newProgress(stderr)
	var first find.Match
	var unprinted error
	r, err := find.Run(ctx, s, o.Query, func(m find.Match) error {
		show.end()
		if first.ControlNumber == "" {
			first = m
		}
		unprinted = printMatch(listing, m, o.json)
		return unprinted
	}, show.of)
	show.end()
	switch {
	case unprinted != nil:
		return false, unprinted
	case err != nil:
		return false, o.unlisted(ctx, err)
	}
	for _, fault := range r.Faults {
		fmt.Fprintln(stderr, "evidence:", fault)
	}
	if r.Unnamed > 0 {
		fmt.Fprintf(stderr, "evidence: parts that no manifest names, and that were not looked at: %d\n", r.Unnamed)
	}
	switch {
	case r.Matches == 0:
		fmt.Fprintf(stderr, "evidence: of %d documents none matches\n", r.Documents)
	case o.get != "" && r.Matches > 1:
		return false, refuse("-get: %d documents match, and it fetches one: narrow them down, in the end by "+
			"-control-number and -source", r.Matches)
	case o.get != "":
		if err := fetch(ctx, s, first, o.get, stdout); err != nil {
			return false, err
		}
	}
	return r.Matches > 0 && len(r.Faults) == 0, nil
}

func printMatch(w io.Writer, m find.Match, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(m)
	}
	columns := []string{m.Batch, m.Package, m.Entry, string(m.State), m.SHA256, m.ControlNumber}
	for i, c := range columns {
		columns[i] = printable(c)
	}
	_, err := fmt.Fprintln(w, strings.Join(columns, "\t"))
	return err
}

// printable is a value that cannot act on a terminal, nor be taken for two.
func printable(s string) string {
	for _, r := range s {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return strconv.Quote(s)
		}
	}
	return s
}

// fetch gives out a native. It lies in a temporary file until its hash is known: beside the file that it becomes, under a
// name that says so.
func fetch(ctx context.Context, s store.Store, m find.Match, file string, stdout io.Writer) error {
	folder := ""
	if file != "-" {
		folder = filepath.Dir(file)
	}
	tmp, err := os.CreateTemp(folder, "chainmail-*_inprogress")
	if err != nil {
		return fmt.Errorf("-get: %w", err)
	}
	defer func() { _, _ = tmp.Close(), os.Remove(tmp.Name()) }()
	if file == "-" {
		_ = os.Remove(tmp.Name()) // where a system lets go of an open file's name, not even a kill leaves mail behind
	}
	if err := find.Get(ctx, s, m, tmp); err != nil {
		return err
	}
	if file == "-" {
		if _, err = tmp.Seek(0, io.SeekStart); err == nil {
			_, err = io.Copy(stdout, tmp)
		}
		return err
	}
	if err := tmp.Close(); err != nil {
		return fmt.Errorf("-get: %w", err)
	}
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return refuse("-get: %s exists already, and is not written over", file)
	}
	if err := os.Rename(tmp.Name(), file); err != nil {
		return fmt.Errorf("-get: %w", err)
	}
	return nil
}
