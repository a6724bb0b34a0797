package cover

import (
	"cmp"
	"sort"
	"time"

	"chainmail/handlers/capture"
)

// rank orders what may be said of a time: of two the higher holds.
type rank uint8

const (
	planned rank = iota // those that hold for whom no seal names
	missed
	givenUp
	unread

	excluded // those of a custodian
	unfinished
	failed
	abandoned
	covered
)

// A state is what holds for a stretch of time.
type state struct {
	rank rank
	why  string
}

// over reports whether a state holds where another was said as well. It does not depend on which came first.
func (s state) over(o state) bool {
	return cmp.Or(cmp.Compare(s.rank, o.rank), cmp.Compare(s.why, o.why)) > 0
}

// A stretch is [start, end), in Unix seconds: windows lie on whole ones.
type stretch struct {
	start, end int64
	state      state
}

// A line is what is known along the time, in order. Between stretches nothing is known; those that meet differ.
type line []stretch

// put says a state of a window.
func (l line) put(w capture.Window, s state) line {
	p := stretch{w.Start.Unix(), w.End.Unix(), s}
	i := sort.Search(len(l), func(i int) bool { return l[i].end >= p.start })
	tail := append(line(nil), l[i:]...)
	out := l[:i]
	for _, old := range tail {
		if p.start < p.end && p.start < old.start { // what lies before the old one
			end := min(p.end, old.start)
			out = out.add(p.start, end, p.state)
			p.start = end
		}
		from, to := max(p.start, old.start), min(p.end, old.end) // what both speak of
		if from >= to || !p.state.over(old.state) {
			out = out.add(old.start, old.end, old.state)
		} else {
			out = out.add(old.start, from, old.state).add(from, to, p.state).add(to, old.end, old.state)
		}
		p.start = max(p.start, min(p.end, old.end))
	}
	return out.add(p.start, p.end, p.state)
}

// add puts a stretch to the end. One that adjoins it and agrees is made longer.
func (l line) add(start, end int64, s state) line {
	if start >= end {
		return l
	}
	if n := len(l); n > 0 && l[n-1].end == start && l[n-1].state == s {
		l[n-1].end = end
		return l
	}
	return append(l, stretch{start, end, s})
}

// within tells what is known of a window, and where nothing is, in order.
func (l line) within(w capture.Window, known, unknown func(stretch)) {
	start, end := w.Start.Unix(), w.End.Unix()
	i := sort.Search(len(l), func(i int) bool { return l[i].end > start })
	for ; i < len(l) && l[i].start < end; i++ {
		if l[i].start > start {
			unknown(stretch{start: start, end: l[i].start})
			start = l[i].start
		}
		to := min(l[i].end, end)
		known(stretch{start, to, l[i].state})
		start = to
	}
	if start < end {
		unknown(stretch{start: start, end: end})
	}
}

func (g stretch) window() capture.Window {
	return capture.Window{Start: time.Unix(g.start, 0).UTC(), End: time.Unix(g.end, 0).UTC()}
}
