package people

import (
	"slices"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
)

// Why an individual is or was monitored for an interval: because they stand on the list, whose ends the interval has, or are a
// member of the group whose object id is the cause; or because they were, which is history that nothing changes any more.
const (
	onList  = "list"
	left    = "left "
	offList = left + onList
)

// A roster is a source's individuals while they are brought up to date.
type roster struct {
	first   bool // the source's first synchronisation: everyone is monitored from the beginning
	now     time.Time
	people  []*individual
	lanes   places
	byKey   map[string]*individual // by identifier, in lower case
	byID    map[string]*individual // by object id
	members map[string]bool        // object ids of members of groups that were read
}

// merge brings rows, list and groups together, the rows first and then who is new, in the order of the list and of the groups:
// who is new gets a lane, who is gone is monitored until now. At a source's first synchronisation everyone is monitored
// from the beginning; who joins later without a time of their own, from now. Who goes from one group to another stays without a
// hole: both intervals meet at now.
func merge(rows []ledger.Row[ledger.Person], l list, first bool, perLane int, now time.Time) []*individual {
	m := &roster{
		first: first, now: now, lanes: places{perLane: perLane, taken: map[int]int{}},
		byKey: map[string]*individual{}, members: map[string]bool{},
	}
	for _, row := range rows {
		p := &individual{row: row, before: row.Value}
		p.row.Value.Intervals.V = slices.Clone(row.Value.Intervals.V)
		m.people = append(m.people, p)
		m.byKey[strings.ToLower(row.Value.Identifier)] = p
		m.lanes.taken[row.Value.Lane]++
	}
	for _, g := range l.groups {
		for _, u := range g.members {
			m.members[u.ID] = true
		}
	}
	m.enlist(l)
	m.join(l.groups)
	m.leave(l)
	for _, p := range m.people {
		p.describe()
	}
	return m.people
}

// index finds rows by object id. Of several for one mailbox it is who stands on the list, or is monitored, or has the mailbox.
func (m *roster) index() {
	m.byID = map[string]*individual{}
	rank := func(p *individual) (n int) {
		for i, is := range []bool{p.row.Value.Reason != capture.ReasonDuplicate, p.monitored(m.now), p.listing != nil} {
			if is {
				n += 1 << i
			}
		}
		return n
	}
	for _, p := range m.people {
		id := p.row.Value.ObjectID
		if other := m.byID[id]; id != "" && (other == nil || rank(p) > rank(other)) {
			m.byID[id] = p
		}
	}
}

// secondaries finds rows by their secondary identifiers, in lower case. What two rows have is nobody's.
func (m *roster) secondaries() map[string]*individual {
	all := map[string]*individual{}
	for _, p := range m.people {
		for _, name := range p.row.Value.Secondary.V {
			name = strings.ToLower(name)
			if other, taken := all[name]; taken && other != p {
				all[name] = nil
				continue
			}
			all[name] = p
		}
	}
	return all
}

func (m *roster) add(identifier string) *individual {
	p := &individual{row: ledger.Row[ledger.Person]{Value: ledger.Person{Identifier: identifier, Lane: m.lanes.take()}}}
	m.people = append(m.people, p)
	m.byKey[strings.ToLower(identifier)] = p
	return p
}

// enlist takes what the list says.
func (m *roster) enlist(l list) {
	others := m.aliases(l)
	for _, in := range l.individuals {
		key := strings.ToLower(in.Identifier)
		p := m.byKey[key]
		if p == nil {
			p = others[key]
		}
		if p == nil || p.listing != nil {
			p = m.add(in.Identifier)
		}
		p.listing = &in
		p.row.Value.Secondary.V = in.Secondary // by which a member may be found
		p.row.Value.Intervals.V = join(p.row.Value.Intervals.V, in, m.first, m.now)
	}
}

// aliases finds the rows of those whom the list calls by another name than their row: a group brought them first. They are
// found by a member's addresses, or by the row's secondary identifiers, unless the list has the row under its own name.
func (m *roster) aliases(l list) map[string]*individual {
	wanted, named := map[string]bool{}, map[string]bool{}
	for _, in := range l.individuals {
		key := strings.ToLower(in.Identifier)
		named[key] = true
		if m.byKey[key] == nil {
			wanted[key] = true
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	all := map[string]*individual{}
	note := func(name string, p *individual) {
		if p != nil && wanted[name] && p.ofGroup() && !named[strings.ToLower(p.row.Value.Identifier)] {
			all[name] = p
		}
	}
	for name, p := range m.secondaries() {
		note(name, p)
	}
	m.index()
	for _, g := range l.groups {
		for _, u := range g.members {
			for _, name := range namesOf(u) {
				note(name, m.byID[u.ID])
			}
		}
	}
	return all
}

// leave ends the intervals of those who are no longer on the list, or in a group; also in one that the source no longer has.
// A list with faults and a group that was not read say nothing of who has left.
func (m *roster) leave(l list) {
	unknown := map[string]bool{onList: !l.whole}
	for _, g := range l.groups {
		unknown[g.id] = !g.read
	}
	for _, p := range m.people {
		stays := func(cause string) bool {
			return unknown[cause] || cause == onList && p.listing != nil || slices.Contains(p.in, cause)
		}
		p.row.Value.Intervals.V = leave(p.row.Value.Intervals.V, stays, m.now)
	}
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

// joinGroup makes the interval of who is a member of a group, if there is none yet.
func joinGroup(intervals []ledger.Interval, id string, first bool, now time.Time) []ledger.Interval {
	if slices.ContainsFunc(intervals, func(iv ledger.Interval) bool { return iv.Cause == id }) {
		return intervals
	}
	iv := ledger.Interval{Cause: id}
	if !first {
		iv.From = now
	}
	return append(intervals, iv)
}

// leave ends the intervals whose cause does not stay. One that has not begun is none.
func leave(intervals []ledger.Interval, stays func(cause string) bool, now time.Time) []ledger.Interval {
	for i := range intervals {
		iv := &intervals[i]
		if strings.HasPrefix(iv.Cause, left) || stays(iv.Cause) {
			continue
		}
		iv.Cause = left + iv.Cause
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

// gone reports whether the individual will be monitored no more, for all that list and groups say.
func (p *individual) gone(now time.Time) bool {
	return !slices.ContainsFunc(p.row.Value.Intervals.V, func(iv ledger.Interval) bool { return iv.To.IsZero() || iv.To.After(now) })
}

// ofGroup reports whether the individual is or was a member of a group.
func (p *individual) ofGroup() bool {
	return slices.ContainsFunc(p.row.Value.Intervals.V, func(iv ledger.Interval) bool { return iv.Cause != onList && iv.Cause != offList })
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
