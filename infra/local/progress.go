package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// progress shows a run on the standard error: on a terminal as one bar that moves, elsewhere as a line for each change.
type progress struct {
	out      io.Writer
	log      io.Writer // every line of the handler
	terminal bool
	began    time.Time

	mu        sync.Mutex
	statuses  map[string]string // of batches, as shown last
	told      map[string]bool   // faults, as shown
	collected int               // custodians with items
	captured  int
	excepted  int
	last      string // what the bar shows
}

func newProgress(out, log io.Writer) *progress {
	return &progress{
		out: out, log: log, terminal: isTerminal(out), began: time.Now(), statuses: map[string]string{}, told: map[string]bool{},
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// line is what of a handler's log line is shown.
type line struct {
	Level    string `json:"level"`
	Msg      string `json:"msg"`
	Source   string `json:"source"`
	Error    string `json:"error"`
	Reason   string `json:"reason"`
	Path     string `json:"path"`
	Problem  string `json:"problem"`
	Captured int    `json:"captured"`
	Excepted int    `json:"excepted"`
}

// console takes a line of the handler: all of them go to the log file, figures move the bar, faults are shown once.
func (p *progress) console(text string, _ bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.log, text)
	var l line
	if i := strings.IndexByte(text, '{'); i < 0 || json.Unmarshal([]byte(text[i:]), &l) != nil {
		return
	}
	if l.Msg == "custodian collected" {
		p.collected++
		p.captured += l.Captured
		p.excepted += l.Excepted
	}
	if l.Level != "ERROR" {
		return
	}
	fault := "handler: " + l.Msg
	for _, detail := range []string{l.Source, l.Path, l.Problem, l.Reason, l.Error} {
		if detail != "" {
			fault += ": " + detail
		}
	}
	if !p.told[fault] {
		p.told[fault] = true
		p.say(fault)
	}
}

// say writes a line of its own; the bar stands below it again at its next move. The lock is held.
func (p *progress) say(text string) {
	p.clear()
	fmt.Fprintln(p.out, text)
}

func (p *progress) clear() {
	if p.last != "" {
		fmt.Fprint(p.out, "\r"+strings.Repeat(" ", len(p.last))+"\r")
		p.last = ""
	}
}

const barWidth = 24

// at shows how far everything is.
func (p *progress) at(s state) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range s.batches {
		name := b.source + " " + b.row.ID
		if status := string(b.row.Status); p.statuses[name] != status {
			p.statuses[name] = status
			if !p.terminal || b.row.Published {
				p.say(fmt.Sprintf("%s  %s", name, status))
			}
		}
	}
	if !p.terminal {
		return
	}
	full := int(s.share * barWidth)
	bar := fmt.Sprintf("[%s%s] %3.0f %%  %d mailboxes, %d captured, %d excepted, %v",
		strings.Repeat("#", full), strings.Repeat("-", barWidth-full), s.share*100,
		p.collected, p.captured, p.excepted, time.Since(p.began).Round(time.Second))
	fmt.Fprint(p.out, "\r"+bar+strings.Repeat(" ", max(0, len(p.last)-len(bar))))
	p.last = bar
}

// end leaves the terminal clean.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}
