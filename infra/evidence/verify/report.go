package verify

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"chainmail/infra/evidence/cover"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// A Report is the outcome of a verification.
type Report struct {
	Findings []Finding // by file
	Sources  []Source  // by name
	Files    int       // that have a place in evidence
	Bytes    int64     // that were read

	Interrupted bool // not everything was read: what was found is wrong, and nothing else is proven
}

// Sound reports whether everything was read and nothing is wrong.
func (r *Report) Sound() bool { return len(r.Findings) == 0 && !r.Interrupted }

// A Finding is one thing that is wrong. It names files, control numbers, item keys and object ids, and quotes nothing.
type Finding struct{ File, What string }

// A Source is what was verified of one source.
type Source struct {
	Name       string
	Batches    int // with a manifest that can be read
	Collecting int // batches without one that were said to be still collected
	Packages   int // that their seals name
	Altered    int // of them, those about which, or about whose seals, there are findings
	Documents  int // in their items
	Cover      cover.Result
	Whole      bool   // the chain has no fault
	Last       int64  // the chain's last sequence
	Head       string // SHA-256 of its last manifest
	HeadFile   string // that manifest
	Witnessed  bool   // a head that was given is that one
	Anchors    int    // manifests that are as the log's anchors have them
	AnchoredTo int64  // the last of them, by its sequence; 0: none was given

	// What a new ledger goes on from, were this one lost.
	State        time.Time // until when batches of the schedule have the time without a hole, by their manifests; zero: there are none
	Planned      time.Time // the end of the last of them
	ConfigSHA256 string    // of the settings of the last manifest

	anchors map[int64]bool
}

// findings gathers what is wrong, from several goroutines.
type findings struct {
	ctx context.Context // once it has ended, nothing that cannot be read is a finding

	mu     sync.Mutex
	byFile map[string]*found
}

type found struct {
	lines []string
	more  int // that are only counted
}

// linesEach is how many findings of one file are told: a file that is altogether another one has one for each row.
const linesEach = 20

func newFindings(ctx context.Context) *findings {
	return &findings{ctx: ctx, byFile: map[string]*found{}}
}

func (f *findings) add(file, format string, args ...any) {
	if f.ctx.Err() != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.byFile[file]
	if x == nil {
		x = &found{}
		f.byFile[file] = x
	}
	if len(x.lines) == linesEach {
		x.more++
		return
	}
	x.lines = append(x.lines, fmt.Sprintf(format, args...))
}

// any reports whether anything was found about a file.
func (f *findings) any(file string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byFile[file] != nil
}

func (f *findings) all() []Finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []Finding
	for _, file := range slices.Sorted(maps.Keys(f.byFile)) {
		for _, line := range f.byFile[file].lines {
			all = append(all, Finding{file, line})
		}
		if n := f.byFile[file].more; n > 0 {
			all = append(all, Finding{file, "and " + count(n, "finding") + " more"})
		}
	}
	return all
}

// Print writes the findings, a line each, and for every source a line, its texts, and its gaps, a line each.
func (r *Report) Print(w io.Writer) {
	for _, f := range r.Findings {
		fmt.Fprintf(w, "%s: %s\n", printable(f.File), f.What)
	}
	if r.Interrupted {
		return
	}
	for _, s := range r.Sources {
		fmt.Fprintln(w, s.line())
		s.coverage(w)
		if is := s.resumption(); is != "" {
			fmt.Fprintf(w, "%s: %s\n", s.Name, is)
		}
	}
	for _, s := range r.Sources {
		if is := s.unwitnessed(); is != "" {
			fmt.Fprintf(w, "%s: %s\n", s.Name, is)
		}
	}
	if r.Sound() {
		fmt.Fprintf(w, "sound: %s, %s\n", count(r.Files, "file"), count(r.Bytes, "byte"))
		return
	}
	fmt.Fprintf(w, "NOT SOUND: %s about %s\n", count(len(r.Findings), "finding"), count(r.blamed(), "file"))
}

// blamed counts the files about which something was found.
func (r *Report) blamed() int {
	files := map[string]bool{}
	for _, f := range r.Findings {
		files[f.File] = true
	}
	return len(files)
}

// count is a number with its noun, "3,012 documents".
func count[N int | int64](n N, noun string) string {
	switch {
	case n != 1 && strings.HasSuffix(noun, "ch"):
		noun += "es"
	case n != 1:
		noun += "s"
	}
	return message.NewPrinter(language.English).Sprintf("%d %s", n, noun)
}

// printable is a name that cannot act on a terminal.
func printable(s string) string {
	for _, r := range s {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return strconv.Quote(s)
		}
	}
	return s
}
