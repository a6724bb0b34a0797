package cover

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
)

// A Result says of a source in a period whether it is everything.
type Result struct {
	Period      capture.Window // empty: there is no manifest, or the period that was asked for has ended before
	Custodians  int            // in any seal of any batch
	Time        int64          // seconds of the period, summed over the custodians
	Covered     int64          // of them
	Gaps        []Gap          // those of everybody first, then by custodian and time
	Partly      []Partly       // by custodian, scope and time, without the scopes that are not covered for anybody
	Rules       []string       // scopes that are not covered for anybody, by rule or setting
	Open, Ended int            // exceptions of the period's batches, and those of them that were closed
	Texts       pack.TextCounts
	Synthesised int
}

// A Gap is time of a custodian that no batch covers.
type Gap struct {
	Custodian string // name in paths; "": every custodian
	Period    capture.Window
	Why       string
}

// A Partly is time of a custodian that is covered but for a part of the mailbox.
type Partly struct {
	Custodian string
	Scope     string
	Period    capture.Window
}

// Result sums up. A period's zero end stands for that of the first or the last manifest.
func (s *Source) Result(from, to time.Time) Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Result{Custodians: len(s.custodians), Rules: slices.Sorted(maps.Keys(s.rules)), Period: s.period(from, to)}
	if !r.Period.Start.Before(r.Period.End) {
		r.Period = capture.Window{}
		return r
	}
	r.Time = int64(r.Custodians) * (r.Period.End.Unix() - r.Period.Start.Unix())
	for _, b := range s.batches {
		b.sum(&r)
	}
	s.gaps(&r)
	for key, l := range s.partly {
		if s.rules[key.Scope] {
			continue // it is told for everybody
		}
		l.within(r.Period, func(st stretch) {
			r.Partly = append(r.Partly, Partly{key.Custodian, key.Scope, st.window()})
		}, func(stretch) {})
	}
	slices.SortFunc(r.Partly, func(a, b Partly) int {
		return cmp.Or(cmp.Compare(a.Custodian, b.Custodian), cmp.Compare(a.Scope, b.Scope), a.Period.Start.Compare(b.Period.Start))
	})
	return r
}

// period is the one to answer for.
func (s *Source) period(from, to time.Time) capture.Window {
	w := capture.Window{Start: from.UTC(), End: to.UTC()}
	for _, b := range s.batches {
		if !b.closed {
			continue
		}
		if from.IsZero() && (w.Start.IsZero() || b.window.Start.Before(w.Start)) {
			w.Start = b.window.Start
		}
		if to.IsZero() && b.window.End.After(w.End) {
			w.End = b.window.End
		}
	}
	return w
}

// sum adds a batch that has to do with the result's period.
func (b *batch) sum(r *Result) {
	if !b.window.Start.Before(r.Period.End) || !r.Period.Start.Before(b.window.End) {
		return
	}
	r.Texts = r.Texts.Plus(b.texts)
	r.Synthesised += b.synthesised
	for _, f := range b.exceptions {
		switch f {
		case excepted:
			r.Open++
		case excepted | closed:
			r.Ended++
		}
	}
}

// gaps finds what is not covered. A gap that every custodian has is one.
func (s *Source) gaps(r *Result) {
	if len(s.custodians) == 0 {
		s.unnamed(r.Period, func(g stretch) { r.Gaps = append(r.Gaps, g.gap("")) })
		return
	}
	all := map[stretch]int{} // how many custodians have a gap
	for _, l := range s.custodians {
		r.Covered += s.of(l, r.Period, func(g stretch) { all[g]++ })
	}
	for g, n := range all {
		if n == len(s.custodians) {
			r.Gaps = append(r.Gaps, g.gap(""))
		}
	}
	for id, l := range s.custodians {
		s.of(l, r.Period, func(g stretch) {
			if all[g] < len(s.custodians) {
				r.Gaps = append(r.Gaps, g.gap(id))
			}
		})
	}
	slices.SortFunc(r.Gaps, func(a, b Gap) int {
		return cmp.Or(cmp.Compare(a.Custodian, b.Custodian), a.Period.Start.Compare(b.Period.Start))
	})
}

// of tells the gaps of a custodian in order, and gives the seconds that are covered.
func (s *Source) of(l line, w capture.Window, gap func(stretch)) (seconds int64) {
	l.within(w, func(st stretch) {
		if st.state.rank == covered {
			seconds += st.end - st.start
			return
		}
		gap(st)
	}, func(hole stretch) { s.unnamed(hole.window(), gap) })
	return seconds
}

// unnamed tells why nothing was said of a custodian in a window.
func (s *Source) unnamed(w capture.Window, gap func(stretch)) {
	s.periods.within(w, gap, func(hole stretch) {
		hole.state = state{planned, "never planned: no batch for the period"}
		gap(hole)
	})
}

func (g stretch) gap(custodian string) Gap { return Gap{custodian, g.window(), g.state.why} }
