// Package icaljs has ical.js, an iCalendar library that shares nothing with ours, read calendars for tests.
package icaljs

import (
	"bytes"
	"cmp"
	"context"
	_ "embed" // the lock file, the manifest and the script
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"time"

	"chainmail/handlers/npmtest"
)

//go:embed package.json
var packageJSON []byte

//go:embed package-lock.json
var packageLock []byte

//go:embed expand.mjs
var script string

// A Question is a calendar: to expand it until an instant, and to say when clocks of its zones show the probes. Times are
// seconds since 1970; what clocks show is read as if it were UTC.
type Question struct {
	ICS    string  `json:"ics"`
	Until  int64   `json:"until"`
	Probes []int64 `json:"probes,omitempty"`
}

// An Answer is what ical.js makes of a calendar.
type Answer struct {
	Error     string
	Instances []Instance
	Zones     []Zone
	Events    [][]Property // of each VEVENT
}

// An Instance is an event, or an occurrence of a series. Of whole days the bounds are midnights as if in UTC.
type Instance struct {
	Start, End int64
	Summary    string
}

// A Zone is one that a calendar describes, with the instants of the probes.
type Zone struct {
	Name     string
	Instants []int64
}

// A Property is one of an event.
type Property struct {
	Name       string
	Parameters map[string]any
	Values     []string
}

// Ask has ical.js read calendars, in one process. It parses strictly: what is no iCalendar is an answer's error. The program
// is installed where it is missing, which log is told.
func Ask(ctx context.Context, log io.Writer, questions ...Question) ([]Answer, error) {
	program := npmtest.Program{
		Name: "ical.js", Version: "2.2.1", Size: "3 MB", File: "node_modules/ical.js/dist/ical.js",
		PackageJSON: packageJSON, Lock: packageLock,
	}
	node, library, err := program.Install(ctx, log)
	if err != nil {
		return nil, err
	}
	in, err := json.Marshal(questions)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, node, "--input-type=module", "--eval", script, library)
	cmd.Stdin, cmd.WaitDelay = bytes.NewReader(in), 5*time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run ical.js: %w: %s", err, said.Bytes())
	}
	var answers []Answer
	if err := json.Unmarshal(out, &answers); err != nil {
		return nil, fmt.Errorf("read what ical.js says: %w", err)
	}
	if len(answers) != len(questions) {
		return nil, fmt.Errorf("ical.js gives %d answers to %d questions", len(answers), len(questions))
	}
	return answers, nil
}

// Within are the instances that overlap [from, to), by their starts, as a calendar view has them.
func (a *Answer) Within(from, to time.Time) []Instance {
	all := slices.Clone(a.Instances)
	slices.SortStableFunc(all, func(x, y Instance) int { return cmp.Compare(x.Start, y.Start) })
	return slices.DeleteFunc(all, func(i Instance) bool {
		return i.Start >= to.Unix() || i.End <= from.Unix() && !(i.End == i.Start && i.Start == from.Unix())
	})
}

func (i Instance) String() string {
	when := func(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.DateTime) }
	return when(i.Start) + " – " + when(i.End) + " " + i.Summary
}

// Difference says where instances begin to differ from those wanted; empty: nowhere.
func Difference(got, want []Instance) string {
	for n := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if n < len(got) {
			g = got[n].String()
		}
		if n < len(want) {
			w = want[n].String()
		}
		if g != w {
			return fmt.Sprintf("instance %d of %d, wanted %d: got %s, want %s", n, len(got), len(want), g, w)
		}
	}
	return ""
}
