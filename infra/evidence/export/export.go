// Package export hands evidence over: it writes the documents that a filter asks for in the form that a review tool loads.
//
// Nothing is taken on trust but the manifests: a seal must have the hash that its manifest names, items the hash that their
// seal names, and a native the hash that its line of the items names; a text, and the load file, the CRC that its ZIP entry
// bears. What is not so is an exception, listed beside the documents, and never left out in silence.
//
// An export goes through three steps. The plan reads manifests, seals and items, and decides what is exported. Volumes are
// written then, each under a name with "_inprogress" until it is whole. At the end stand the lists, the hashes and
// export.json. A run that was cut goes on with the volume that it was at, and ends with the same bytes.
package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"chainmail/handlers/capture"
	"chainmail/infra/evidence/store"
)

// The forms in which documents are handed over.
const (
	Trace       = "trace"       // whole packages, for Zip Drop
	Concordance = "concordance" // a DAT as Relativity reads it
	Nuix        = "nuix"
	Everlaw     = "everlaw"
	Purview     = "purview" // import of external data into a review set
	EML         = "eml"     // plain files
)

// Forms are all forms.
func Forms() []string { return []string{Trace, Concordance, Nuix, Everlaw, Purview, EML} }

// A Filter says which families are exported: those whose email or event has every value that is given.
type Filter struct {
	Custodians []string     `json:"custodians,omitempty"` // object ids, or addresses as seals name them
	Source     string       `json:"source,omitempty"`
	From       time.Time    `json:"from,omitzero"` // received, else sent, in [From, To)
	To         time.Time    `json:"to,omitzero"`
	Kind       capture.Kind `json:"kind,omitempty"`
	Dedupe     bool         `json:"dedupeByMIH,omitempty"` // of the families of one MIH the first alone
}

// Options say what is exported, how and by whom.
type Options struct {
	Filter
	As   string
	By   string // who exports
	Tool Tool
	Now  func() time.Time
	Read func(total int64, n int) // is told what is read of packages, by several goroutines at a time; may be nil

	volumeDocuments int          // at most in a volume; 0: 10,000
	volumeBytes     int64        // of natives and texts; 0: 2 GiB
	cut             func() error // is asked before every change of the folder, by tests; may be nil
}

// The size of a volume. A family larger than that has a volume of its own.
const (
	maxVolumeDocuments = 10_000
	maxVolumeBytes     = 2 << 30
)

// A Tool is the program that exported.
type Tool struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
}

// A Refusal is an error of what was asked for.
type Refusal struct{ Reason string }

// Error implements error.
func (r Refusal) Error() string { return r.Reason }

// Unlisted says that it could not be found out what evidence there is.
type Unlisted struct{ error }

// Unwrap gives what it could not be found out for.
func (u Unlisted) Unwrap() error { return u.error }

func refuse(format string, args ...any) error { return Refusal{fmt.Sprintf(format, args...)} }

// Run exports into a folder, which it makes if there is none, and goes on with an export that lies there unfinished. An error
// says that the export is not finished: a [Refusal], that it cannot be as it was asked for; [Unlisted] or another, that
// evidence could not be read, or the folder not be written.
func Run(ctx context.Context, s store.Store, dir string, o Options) (Report, error) {
	if err := o.check(); err != nil {
		return Report{}, err
	}
	_, missing := os.Lstat(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Report{}, refuse("the folder cannot be made: %v", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Report{}, refuse("the folder cannot be opened: %v", err)
	}
	defer root.Close()
	e := &exporter{Options: o, store: s, out: &folder{root: root, cut: o.cut}, form: forms[o.As]}
	r, err := e.run(ctx)
	if err != nil && !e.out.has(begunFile) && !e.out.has(reportFile) {
		_ = e.out.remove(workFolder)
		if missing != nil {
			_ = os.Remove(dir) // which it made, and in which nothing stands
		}
	}
	return r, err
}

func (o *Options) check() error {
	if !slices.Contains(Forms(), o.As) {
		return refuse("there is no form %q", o.As)
	}
	if o.Dedupe && o.As == Trace {
		return refuse("Zip Drop takes whole packages, of which no document can be left out: Trace deduplicates by itself")
	}
	if o.Kind != "" && o.Kind != capture.Email && o.Kind != capture.Event {
		return refuse("families are exported whole, so that their kind is email or event")
	}
	if o.volumeDocuments == 0 {
		o.volumeDocuments = maxVolumeDocuments
	}
	if o.volumeBytes == 0 {
		o.volumeBytes = maxVolumeBytes
	}
	slices.Sort(o.Custodians)
	o.Custodians = slices.Compact(o.Custodians)
	return nil
}

// An exporter is one run.
type exporter struct {
	Options
	store store.Store
	out   *folder
	form  form
	plan  *plan
}

func (e *exporter) run(ctx context.Context) (Report, error) {
	before, done, err := e.before()
	if err != nil || done != nil {
		return first(done), err
	}
	if e.plan, err = e.makePlan(ctx, before); err != nil {
		return Report{}, err
	}
	begun, err := e.begin(before)
	if err != nil {
		return Report{}, err
	}
	var made Totals
	if e.As == Trace {
		made, err = e.copyPackages(ctx)
	} else {
		made, err = e.writeVolumes(ctx)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Report{}, err
	}
	return e.finish(begun, made)
}

func first(r *Report) Report {
	if r == nil {
		return Report{}
	}
	return *r
}

// Inside reports whether a folder is another one, or lies in it.
func Inside(folder, other string) bool {
	a, err1 := real(folder)
	b, err2 := real(other)
	if err1 != nil || err2 != nil {
		return false
	}
	rel, err := filepath.Rel(b, a)
	return err == nil && filepath.IsLocal(rel)
}

// real is a folder's path without links, also of one that is still to be made.
func real(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	resolved, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, os.ErrNotExist) && filepath.Dir(dir) != dir {
		parent, err := real(filepath.Dir(dir))
		return filepath.Join(parent, filepath.Base(dir)), err
	}
	return resolved, err
}
