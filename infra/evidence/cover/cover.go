// Package cover computes which time of which custodian the batches of a source cover, and why they do not cover the rest.
//
// It goes by what manifests and seals say. A batch covers its period for a custodian whose last status in it is Collected,
// with every item that was found accounted for. Who is in none of its seals was not monitored. Of what several batches say
// of the same time the best holds: a supplement that collected somebody closes the gap that an earlier batch left.
//
// What is kept of a custodian is a list of stretches, not of batches: stretches that adjoin and agree are one.
package cover

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
)

// A Source gathers what the batches of one source say. It may be used by several goroutines at a time, and the order in
// which batches come does not matter.
type Source struct {
	mu         sync.Mutex
	periods    line // what a custodian is whom no seal names, by the batches of the time
	custodians map[string]line
	partly     map[Partly]line // Period is empty in its keys
	rules      map[string]bool // scopes that are not covered for anybody
	batches    map[string]*batch
}

// A batch is what is kept of one: sums, and its exceptions by item key.
type batch struct {
	window      capture.Window // empty: nothing but exceptions is known of it
	closed      bool           // by a manifest
	texts       pack.TextCounts
	synthesised int
	exceptions  map[string]fate
}

type fate uint8

const (
	excepted fate = 1 << iota
	closed
)

// NewSource has nothing yet.
func NewSource() *Source {
	return &Source{
		custodians: map[string]line{}, partly: map[Partly]line{}, rules: map[string]bool{}, batches: map[string]*batch{},
	}
}

// Closed adds a batch that a manifest closes, with its seals in the order of lanes and parts; one that is nil cannot be
// read.
func (s *Source) Closed(id string, window capture.Window, m *pack.Manifest, seals []*pack.Seal) {
	if !window.Start.Before(window.End) {
		return
	}
	last := lastWords(seals)
	s.mu.Lock()
	defer s.mu.Unlock()
	for custodian, a := range last {
		s.custodians[custodian] = s.custodians[custodian].put(window, a.state(m.Status))
	}
	if unnamed, says := ofUnnamed(m, seals); says {
		s.periods = s.periods.put(window, unnamed)
	}
	s.notes(window, m.Coverage)
	b := s.batch(id)
	b.window, b.closed, b.texts, b.synthesised = window, true, m.Totals.Texts, m.Totals.Synthesised
	for _, c := range m.Closed {
		s.batch(c.Batch).exceptions[c.Item] |= closed
	}
}

// ofUnnamed is what a batch says of custodians whom none of its seals names.
func ofUnnamed(m *pack.Manifest, seals []*pack.Seal) (state, bool) {
	short := func(c pack.Coverage) bool { return c.Custodian == "" && c.Scope == everybody }
	switch {
	case slices.Contains(seals, nil):
		return state{unread, "not known: a seal cannot be read"}, true
	case m.Reason != capture.ReasonWindow:
		return state{}, false // it was made of those whom it names
	case m.Status == capture.Abandoned:
		return state{givenUp, "in no seal of a batch that was abandoned"}, true
	case slices.ContainsFunc(m.Coverage, short):
		return state{missed, "in no seal of a batch whose seals do not name everybody"}, true
	}
	return state{planned, "not monitored: in no seal of the batch"}, true
}

// everybody is the scope by which a manifest says that its seals do not name all custodians.
const everybody = "custodians"

// Open adds a batch that no manifest closes, or none that can be read.
func (s *Source) Open(id string, window capture.Window, why string) {
	if !window.Start.Before(window.End) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batch(id).window = window
	s.periods = s.periods.put(window, state{unread, why})
}

// Excepted adds an item that a batch found and did not capture, by its item key.
func (s *Source) Excepted(id, item string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batch(id).exceptions[item] |= excepted
}

func (s *Source) batch(id string) *batch {
	b := s.batches[id]
	if b == nil {
		b = &batch{exceptions: map[string]fate{}}
		s.batches[id] = b
	}
	return b
}

// notes keeps what a manifest's coverage says beside the mailboxes that are not covered at all. Counts of texts stand in
// the totals.
func (s *Source) notes(window capture.Window, all []pack.Coverage) {
	for _, c := range all {
		switch {
		case c.Custodian == "" && (c.Scope == everybody || strings.HasPrefix(c.Scope, "text: ")):
		case c.Custodian == "":
			s.rules[c.Scope] = true
		case c.Scope != "mailbox":
			key := Partly{Custodian: c.Custodian, Scope: c.Scope}
			s.partly[key] = s.partly[key].put(window, state{covered, ""})
		}
	}
}

// account is what all seals of a batch say of a custodian: the last word on the status, and the sums.
type account struct {
	status        capture.CustodianStatus
	reason        string
	found, closed int
}

func lastWords(seals []*pack.Seal) map[string]account {
	last := map[string]account{}
	for _, seal := range seals {
		if seal == nil {
			continue
		}
		for _, k := range seal.Custodians {
			a := last[k.ID]
			last[k.ID] = account{k.Status, k.Reason, a.found + k.Found, a.closed + k.Captured + k.Excepted + k.Unchanged}
		}
	}
	return last
}

// plainReason is how our own reasons look: what was altered may be anything, and is not repeated.
var plainReason = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z ._:,()/-]{0,120}$`)

// state is what a custodian's last word in a batch means for the batch's period.
func (a account) state(batch capture.BatchStatus) state {
	reason := ""
	switch {
	case plainReason.MatchString(a.reason):
		reason = ": " + a.reason
	case a.reason != "":
		reason = ": (unreadable)"
	}
	switch {
	case a.status == capture.Collected && a.found == a.closed:
		return state{covered, ""}
	case a.status == capture.Collected:
		return state{failed, "failed: not every item that was found is accounted for"}
	case a.status == capture.Excluded:
		return state{excluded, "excluded" + reason}
	case batch == capture.Abandoned:
		return state{abandoned, "abandoned" + reason}
	case a.status == capture.Failed:
		return state{failed, "failed" + reason}
	}
	return state{unfinished, "not collected to its end" + reason}
}
