package collect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"chainmail/handlers/vault"
)

// A watch finds out what kills a process. While no run of the chunk has died it does nothing. After a first death every
// piece of work is written down before it begins, so that a second one leaves suspects: whatever was under way. Suspects
// are worked on alone, nothing beside them; what a third death finds alone has killed the process, and is not begun again.
type watch struct {
	state  *vault.Container
	blob   string // watch/<source>/<batch>/<lane>.json
	deaths int    // of the chunk's runs, as this run found them
	on     bool

	alone sync.RWMutex // held for reading by a piece of work, for writing by a suspect

	mu    sync.Mutex
	trail trail
	busy  map[string]bool
}

// trail is what a run leaves for the next one.
type trail struct {
	Deaths   int      `json:"deaths"`          // as the run that wrote this found them: more of them now means that it died
	Busy     []string `json:"busy"`            // what it had under way
	Alone    string   `json:"alone,omitempty"` // the suspect that it worked on alone
	Suspects []string `json:"suspects,omitempty"`
	Killers  []string `json:"killers,omitempty"`
}

// openWatch takes up the trail of the runs before.
func openWatch(ctx context.Context, state *vault.Container, blob string, deaths int) (*watch, error) {
	w := &watch{state: state, blob: blob, deaths: deaths, on: deaths > 0, busy: map[string]bool{}}
	if !w.on {
		return w, nil
	}
	data, err := state.Get(ctx, blob)
	if errors.Is(err, vault.ErrNotFound) {
		return w, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &w.trail)
	}
	if err != nil {
		return nil, fmt.Errorf("read what was under way: %w", err)
	}
	w.trail = w.trail.judged(deaths)
	return w, nil
}

// judged draws the conclusion from a death, if there was one since the trail was written.
func (t trail) judged(deaths int) trail {
	switch {
	case deaths <= t.Deaths:
	case t.Alone != "":
		t.Killers = with(t.Killers, t.Alone)
		t.Suspects = slices.DeleteFunc(t.Suspects, func(s string) bool { return s == t.Alone })
	default:
		t.Suspects = with(t.Suspects, t.Busy...)
	}
	t.Busy, t.Alone = nil, ""
	return t
}

func with(set []string, more ...string) []string {
	all := slices.Concat(set, more)
	slices.Sort(all)
	return slices.Compact(all)
}

// killed reports whether the work has killed the process.
func (w *watch) killed(work string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.trail.Killers, work)
}

// begin waits until the work may be done and notes that it is; end is to be called after it.
func (w *watch) begin(ctx context.Context, work string) (end func(), err error) {
	if !w.on {
		return func() {}, nil
	}
	w.mu.Lock()
	suspect := slices.Contains(w.trail.Suspects, work)
	w.mu.Unlock()
	if suspect {
		w.alone.Lock()
	} else {
		w.alone.RLock()
	}
	leave := sync.OnceFunc(func() { w.end(work, suspect) })
	if err := w.note(ctx, work, suspect); err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

// note writes down what is under way, with what is about to begin.
func (w *watch) note(ctx context.Context, work string, suspect bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy[work] = true
	w.trail.Deaths, w.trail.Busy = w.deaths, slices.Sorted(maps.Keys(w.busy))
	if suspect {
		w.trail.Alone = work
	}
	data, err := json.Marshal(w.trail)
	if err != nil {
		return err
	}
	if err := w.state.Put(ctx, w.blob, data); err != nil {
		return fmt.Errorf("note what is under way: %w", err)
	}
	return nil
}

// end takes the work from what is under way. Nothing is written: what comes next does that. A suspect that came through
// alone is none any more.
func (w *watch) end(work string, suspect bool) {
	w.mu.Lock()
	delete(w.busy, work)
	if suspect {
		w.trail.Alone = ""
		w.trail.Suspects = slices.DeleteFunc(w.trail.Suspects, func(s string) bool { return s == work })
	}
	w.mu.Unlock()
	if suspect {
		w.alone.Unlock()
	} else {
		w.alone.RUnlock()
	}
}
