package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// progress shows on a terminal how much has been read; elsewhere it shows nothing.
type progress struct {
	out io.Writer // nil: no terminal

	mu    sync.Mutex
	total int64
	done  int64
	shown time.Time
	last  string // what the bar shows
}

func newProgress(out io.Writer) *progress {
	if f, ok := out.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return &progress{out: out}
		}
	}
	return &progress{}
}

func (p *progress) listed(_ int, bytes int64) { p.total = bytes }

// of is read where each call tells the total.
func (p *progress) of(total int64, n int) {
	p.mu.Lock()
	p.total = total
	p.mu.Unlock()
	p.read(n)
}

const (
	barWidth  = 24
	showEvery = 200 * time.Millisecond
)

// read moves the bar.
func (p *progress) read(bytes int) {
	if p.out == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += int64(bytes)
	if time.Since(p.shown) < showEvery || p.total <= 0 {
		return
	}
	p.shown = time.Now()
	share := min(1, float64(p.done)/float64(p.total))
	full := int(share * barWidth)
	bar := fmt.Sprintf("[%s%s] %3.0f %%  %.1f of %.1f MB", strings.Repeat("#", full), strings.Repeat("-", barWidth-full),
		share*100, float64(p.done)/1e6, float64(p.total)/1e6)
	fmt.Fprint(p.out, "\r"+bar+strings.Repeat(" ", max(0, len(p.last)-len(bar))))
	p.last = bar
}

// end leaves the terminal clean.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last != "" {
		fmt.Fprint(p.out, "\r"+strings.Repeat(" ", len(p.last))+"\r")
		p.last = ""
	}
}
