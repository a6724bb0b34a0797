package years_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
	"chainmail/handlers/vault"
	"chainmail/infra/evidence/store"
	"chainmail/infra/evidence/verify"
)

// evidence is what the container holds.
type evidence struct {
	manifests map[string]pack.Manifest
	seals     map[string][]pack.Seal // by batch
	items     map[string]int         // how often each item was captured, by custodian and Graph id
	late      map[string]int         // of those, in batches with the reason late
	excepted  map[string]bool
	deleted   map[string]capture.State // by Graph id: where deletion records say it is
}

// read reads the evidence, and has it verified as a stranger would.
func (w *world) read() evidence {
	w.Helper()
	e := w.glance()
	if len(e.manifests) == 0 {
		return e
	}
	found, err := verify.Run(w.Context(), store.OpenContainer(w.evidence), verify.Options{Collecting: true})
	must(w.T, err)
	for _, f := range found.Findings {
		w.Errorf("verify: %s", f)
	}
	return e
}

// glance reads the evidence as it lies there, some of it half written.
func (w *world) glance() evidence {
	w.Helper()
	e := evidence{
		manifests: map[string]pack.Manifest{}, seals: map[string][]pack.Seal{}, items: map[string]int{}, late: map[string]int{},
		excepted: map[string]bool{}, deleted: map[string]capture.State{},
	}
	for i, err := range w.evidence.List(w.Context(), "") {
		if errors.Is(err, vault.ErrNotFound) { // nothing was ever written
			return e
		}
		must(w.T, err)
		data, err := w.evidence.Get(w.Context(), i.Name)
		must(w.T, err)
		batch := path.Base(path.Dir(i.Name))
		switch {
		case strings.HasSuffix(i.Name, "/manifest.json"):
			m, err := pack.ParseManifest(data)
			must(w.T, err)
			e.manifests[batch] = m
		case strings.HasSuffix(i.Name, ".seal.json"):
			s, err := pack.ParseSeal(data)
			must(w.T, err)
			e.seals[batch] = append(e.seals[batch], s)
		case strings.HasSuffix(i.Name, ".items.jsonl"):
			rows, err := pack.DecodeItems(data)
			must(w.T, err)
			for _, r := range rows {
				if r.Parent != "" {
					continue
				}
				e.items[r.Custodian+" "+r.GraphID]++
				if b, err := w.ledger.Batch(w.Context(), testSource, batch); err == nil && b.Value.Reason == capture.ReasonLate {
					e.late[r.Custodian+" "+r.GraphID]++
				}
			}
		case strings.HasSuffix(i.Name, ".exceptions.csv"):
			rows, err := pack.DecodeExceptions(data)
			must(w.T, err)
			for _, r := range rows {
				e.excepted[r.Custodian+" "+r.Item.GraphID] = true
			}
		case strings.HasSuffix(i.Name, ".deletions.jsonl"):
			rows, err := pack.DecodeDeletions(data)
			must(w.T, err)
			for _, r := range rows {
				e.deleted[r.GraphID] = r.To
			}
		}
	}
	for _, seals := range e.seals {
		slices.SortFunc(seals, func(a, b pack.Seal) int { return a.Part - b.Part })
	}
	return e
}

// captured are the Graph ids of what was captured since it was asked last.
func (w *world) captured() map[string]bool {
	w.Helper()
	w.mu.Lock()
	laid := w.laid
	w.laid = nil
	w.mu.Unlock()
	ids := map[string]bool{}
	for _, name := range laid {
		data, err := w.evidence.Get(w.Context(), name)
		if errors.Is(err, vault.ErrNotFound) { // it did not get there
			continue
		}
		must(w.T, err)
		rows, err := pack.DecodeItems(data)
		must(w.T, err)
		for _, r := range rows {
			ids[r.GraphID] = true
		}
	}
	return ids
}

// A span is a time in which a custodian was collected, and by which batch.
type span struct {
	capture.Window
	batch string
}

// collected is when a custodian was collected, by the final batches that collect anew: second looks and what an operator asked for
// come on top of what is owed.
func (e evidence) collected(custodian string) []span {
	var all []span
	for batch, m := range e.manifests {
		if m.Reason == capture.ReasonLate || m.Reason == capture.ReasonRequested {
			continue
		}
		status := capture.CustodianStatus("")
		for _, s := range e.seals[batch] {
			for _, k := range s.Custodians {
				if k.ID == custodian {
					status = k.Status
				}
			}
		}
		if status == capture.Collected {
			all = append(all, span{capture.Window{Start: m.Start, End: m.End}, batch})
		}
	}
	return all
}

// times is how often an instant is in spans, and in which.
func times(at time.Time, spans []span) (n int, batches []string) {
	for _, s := range spans {
		if s.Contains(at) {
			n++
			batches = append(batches, s.batch)
		}
	}
	return n, batches
}

// owedOnce checks the rule of rules: every instant at which a custodian is monitored is in exactly one final batch that collected
// them, or in an open gap, or in a batch that is still open, and never in two final ones. Nothing else may be: it is looked at on
// every edge of every span, gap and batch.
func (w *world) owedOnce(e evidence, persons []ledger.Row[ledger.Person], until time.Time) {
	w.Helper()
	gaps, err := w.ledger.Gaps(w.Context(), testSource)
	must(w.T, err)
	open, err := w.ledger.OpenBatches(w.Context(), testSource)
	must(w.T, err)
	for _, p := range persons {
		key, custodian := ledger.PersonKey(p.Value.Identifier), p.Value.ObjectID
		spans := e.collected(custodian)
		edges := []time.Time{begin()}
		add := func(all ...time.Time) {
			for _, at := range all {
				edges = append(edges, at, at.Add(-time.Second))
			}
		}
		for _, s := range spans {
			add(s.Start, s.End)
		}
		var owed []span
		for _, g := range gaps {
			if g.Value.Person == key {
				owed = append(owed, span{g.Value.Window(), "gap " + g.Value.Reason})
				add(g.Value.Start, g.Value.End)
			}
		}
		for _, b := range open {
			if slices.Contains(b.Value.Lanes.V, p.Value.Lane) || b.Value.Sequence > 0 {
				owed = append(owed, span{b.Value.Window(), b.Value.ID})
				add(b.Value.Start, b.Value.End)
			}
		}
		for _, i := range p.Value.Intervals.V {
			add(i.From, i.To)
		}
		for _, at := range edges {
			if at.Before(begin()) || !at.Before(until) || !p.Value.Monitored(capture.Window{Start: at, End: at.Add(time.Second)}) {
				continue
			}
			n, in := times(at, spans)
			more, where := times(at, owed)
			if n > 1 || n == 0 && more == 0 {
				w.Errorf("custodian %s at %s is in %d final batches %q, and owed in %d %q", custodian, at.Format(time.RFC3339), n, in, more, where)
				return
			}
		}
	}
}

func (w *world) persons() []ledger.Row[ledger.Person] {
	w.Helper()
	all, err := w.ledger.People(w.Context(), testSource)
	must(w.T, err)
	return all
}

func (w *world) source() ledger.Source {
	w.Helper()
	row, err := w.ledger.Source(w.Context(), testSource)
	must(w.T, err)
	return row.Value
}

// dump shows rows in a failure.
func dump[T any](rows []ledger.Row[T]) string {
	var b strings.Builder
	for _, r := range rows {
		data, _ := json.Marshal(r.Value)
		fmt.Fprintf(&b, "%s\n", data)
	}
	return b.String()
}
