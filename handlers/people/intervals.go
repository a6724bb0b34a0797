package people

import (
	"slices"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
)

// Why an individual is or was monitored for an interval: because they stand on the list, whose ends the interval has; or
// because they stood there until they were taken off, which is history that no list changes any more.
const (
	onList  = "list"
	offList = "left list"
)

// merge brings rows and list together, the rows first and then who is new, in the order of the list: who is new gets a
// lane, who is gone is monitored until now. At a source's first synchronisation everyone is monitored from the
// beginning; who joins later without a time of their own, from now.
func merge(rows []ledger.Row[ledger.Person], l list, first bool, perLane int, now time.Time) []*individual {
	var people []*individual
	byKey := map[string]*individual{}
	lanes := places{perLane: perLane, taken: map[int]int{}}
	for _, row := range rows {
		p := &individual{row: row, before: row.Value}
		p.row.Value.Intervals.V = slices.Clone(row.Value.Intervals.V)
		people = append(people, p)
		byKey[ledger.PersonKey(row.Value.Identifier)] = p
		lanes.taken[row.Value.Lane]++
	}
	listed := map[*individual]bool{}
	for _, in := range l.individuals {
		key := ledger.PersonKey(in.Identifier)
		p := byKey[key]
		if p == nil {
			p = &individual{row: ledger.Row[ledger.Person]{Value: ledger.Person{Identifier: in.Identifier, Lane: lanes.take()}}}
			people = append(people, p)
			byKey[key] = p
		}
		listed[p] = true
		v := &p.row.Value
		v.Secondary.V, v.DisplayName, v.FirstName, v.LastName = in.Secondary, in.DisplayName, in.FirstName, in.LastName
		v.Intervals.V = join(v.Intervals.V, in, first, now)
	}
	for _, p := range people {
		if l.whole && !listed[p] {
			p.row.Value.Intervals.V = leave(p.row.Value.Intervals.V, now)
		}
	}
	return people
}

// join makes the interval of who stands on the list, or gives it the ends that the list has by now. A beginning that the
// list does not give stays as it was.
func join(intervals []ledger.Interval, in capture.Individual, first bool, now time.Time) []ledger.Interval {
	i := slices.IndexFunc(intervals, func(iv ledger.Interval) bool { return iv.Cause == onList })
	if i < 0 {
		i = len(intervals)
		intervals = append(intervals, ledger.Interval{Cause: onList})
		if !first {
			intervals[i].From = now
		}
	}
	if !in.From.IsZero() {
		intervals[i].From = in.From
	}
	intervals[i].To = in.To
	return slices.DeleteFunc(intervals, empty)
}

// leave ends the interval of who was taken off the list. One that has not begun is none.
func leave(intervals []ledger.Interval, now time.Time) []ledger.Interval {
	for i := range intervals {
		iv := &intervals[i]
		if iv.Cause != onList {
			continue
		}
		iv.Cause = offList
		if iv.To.IsZero() || iv.To.After(now) {
			iv.To = now
		}
	}
	return slices.DeleteFunc(intervals, empty)
}

// empty reports whether an interval ends before it begins, as one does that the list ends in the past.
func empty(iv ledger.Interval) bool { return !iv.To.IsZero() && !iv.From.Before(iv.To) }

// monitored reports whether the individual is monitored at the time.
func (p *individual) monitored(at time.Time) bool {
	return slices.ContainsFunc(p.row.Value.Intervals.V, func(iv ledger.Interval) bool {
		return !iv.From.After(at) && (iv.To.IsZero() || iv.To.After(at))
	})
}

// gone reports whether the individual will be monitored no more, for all that the list says.
func (p *individual) gone(now time.Time) bool {
	return !slices.ContainsFunc(p.row.Value.Intervals.V, func(iv ledger.Interval) bool { return iv.To.IsZero() || iv.To.After(now) })
}

// places are the lanes' places. They are for life, also of those who left.
type places struct {
	perLane int
	taken   map[int]int // by lane
	full    int         // the lanes before this one have no room
}

// take takes a place in the first lane with room.
func (l *places) take() int {
	for l.taken[l.full] >= l.perLane {
		l.full++
	}
	l.taken[l.full]++
	return l.full
}
