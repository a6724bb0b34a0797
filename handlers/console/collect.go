package console

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"

	"golang.org/x/sync/errgroup"
)

// Bounds of what one request may ask for.
const (
	maxCustodians = 1000
	maxPeriod     = 10 * 366 * 24 * time.Hour
	maxGaps       = 5000 // custodians times months: each is a transaction, and the host waits less than four minutes
	gapsAtOnce    = 8
)

// A wish is what an operator wants collected.
type wish struct {
	Custodians []string `json:"custodians"` // identifiers or object ids
	Start      string   `json:"start"`
	End        string   `json:"end"`
	Reason     string   `json:"reason"`
}

// collect: POST /sources/{source}/collect. It opens gaps, of which plan makes supplements.
func (c *Console) collect(q *request) (reply, error) {
	s, err := c.find(q.ctx, q.args["source"])
	if err != nil {
		return reply{}, err
	}
	var wanted wish
	if err := q.decode(&wanted); err != nil {
		return reply{}, err
	}
	everybody, err := c.individuals(q, s.Name, wanted.Custodians)
	if err != nil {
		return reply{}, err
	}
	var f faults
	people := wanted.people(everybody, &f)
	period := wanted.period(c.Now().UTC(), &f)
	checkReason(&f, "reason", wanted.Reason)
	months := cut(period)
	if n := len(people) * len(months); len(f) == 0 && n > maxGaps {
		f.add("custodians", "and period make %d supplements of at most %d days, more than %d: ask in several requests",
			n, ledger.LongestGap/(24*time.Hour), maxGaps)
	}
	if err := f.problem(http.StatusUnprocessableEntity); err != nil {
		return reply{}, err
	}
	row, err := c.Ledger.Source(q.ctx, s.Name)
	if err != nil {
		return reply{}, err
	}
	a := action{Action: "collect", Source: s.Name, Start: period.Start, End: period.End, Reason: wanted.Reason}
	for _, p := range people {
		a.Custodians = append(a.Custodians, p.Custodian().Name())
	}
	record, err := c.record(q, a, nil)
	if err != nil {
		return reply{}, err
	}
	opened, err := c.open(q, s.Name, people, months)
	return reply{status: http.StatusAccepted, value: map[string]any{
		"custodians": a.Custodians, "gaps": len(people) * len(months), "opened": opened, "record": record,
		"notes": notes(s, row.Value, people, period, c.Now().UTC()),
	}}, err
}

// fewNames is how many individuals are looked up one by one, rather than found among all.
const fewNames = 20

// individuals are those among whom the names are looked for: those that have them as identifiers, or everybody.
func (c *Console) individuals(q *request, source string, names []string) ([]ledger.Row[ledger.Person], error) {
	var found []ledger.Row[ledger.Person]
	for _, name := range names[:min(len(names), fewNames)] {
		row, err := c.Ledger.Person(q.ctx, source, ledger.PersonKey(strings.TrimSpace(name)))
		if err != nil {
			return nil, err
		}
		if row.Exists() {
			found = append(found, row)
		}
	}
	if len(found) == len(names) {
		return found, nil
	}
	return c.Ledger.People(q.ctx, source)
}

// people are the individuals that are wanted, each once.
func (w wish) people(all []ledger.Row[ledger.Person], f *faults) []ledger.Person {
	switch n := len(w.Custodians); {
	case n == 0:
		f.add("custodians", "is empty: name at least one, by identifier or object id")
	case n > maxCustodians:
		f.add("custodians", "names %d, more than %d: ask in several requests", n, maxCustodians)
		return nil
	}
	known := map[string]ledger.Person{}
	for _, r := range all {
		id := strings.ToLower(r.Value.ObjectID)
		if r.Value.Reason != capture.ReasonDuplicate && id != "" {
			known[id] = r.Value
		}
	}
	for _, r := range all { // behind, so that an identifier counts before an object id
		known[strings.ToLower(r.Value.Identifier)] = r.Value
	}
	var people []ledger.Person
	seen := map[string]bool{}
	for i, name := range w.Custodians {
		p, ok := known[strings.ToLower(strings.TrimSpace(name))]
		if !ok {
			f.add(fmt.Sprintf("custodians[%d]", i),
				"is no individual of the source, neither by identifier nor by object id: put them on its list first")
			continue
		}
		if key := ledger.PersonKey(p.Identifier); !seen[key] {
			seen[key] = true
			people = append(people, p)
		}
	}
	return people
}

// period is the time that is wanted; half of it is zero where it has faults.
func (w wish) period(now time.Time, f *faults) (p capture.Window) {
	p.Start, p.End = instant("start", w.Start, f), instant("end", w.End, f)
	if p.Start.IsZero() || p.End.IsZero() {
		return capture.Window{}
	}
	switch {
	case p.End.After(now):
		f.add("end", "lies in the future: what has not come yet is collected by the schedule, name a time that has passed")
	case !p.Start.Before(p.End):
		f.add("end", "must be later than start, which it is exclusive of")
	case p.Duration() > maxPeriod:
		f.add("start", "is more than %d days before end: ask in several requests", maxPeriod/(24*time.Hour))
	}
	return p
}

func instant(path, text string, f *faults) time.Time {
	if text == "" {
		f.add(path, "is missing: give a time such as 2026-03-02T00:00:00Z")
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.UTC().Year() < 1601 || t.UTC().Year() > 9999 {
		f.add(path, "is no time: write it as 2026-03-02T00:00:00Z")
		return time.Time{}
	}
	if t.Nanosecond() != 0 {
		f.add(path, "must be a whole second")
	}
	return t.UTC()
}

// cut parts a period into what one supplement may have.
func cut(p capture.Window) []capture.Window {
	var all []capture.Window
	for start := p.Start; start.Before(p.End) && len(all) <= maxGaps; start = start.Add(ledger.LongestGap) {
		end := start.Add(ledger.LongestGap)
		if end.After(p.End) {
			end = p.End
		}
		all = append(all, capture.Window{Start: start, End: end})
	}
	return all
}

// open opens the gaps. It reports how many are new: of the others, what was owed already is now asked for. Doing it again is
// harmless.
func (c *Console) open(q *request, source string, people []ledger.Person, months []capture.Window) (int, error) {
	var opened atomic.Int64
	g, ctx := errgroup.WithContext(q.ctx)
	g.SetLimit(gapsAtOnce)
	now := c.Now().UTC()
	for _, p := range people {
		for _, m := range months {
			g.Go(func() error {
				fresh, err := c.Ledger.PutGap(ctx, source, ledger.Gap{
					Person: ledger.PersonKey(p.Identifier), Custodian: p.Custodian().Name(), Lane: p.Lane, Start: m.Start, End: m.End,
					Reason: capture.ReasonRequested, Opened: now, Asked: true,
				})
				if fresh {
					opened.Add(1)
				}
				return err
			})
		}
	}
	err := g.Wait()
	return int(opened.Load()), err
}

// notes say what keeps a wish waiting, and what may be unexpected about it.
func notes(s settings.Source, r ledger.Source, people []ledger.Person, p capture.Window, now time.Time) []string {
	all := []string{}
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	done := !s.EndDate.IsZero() && !r.State.Before(s.EndDate)
	switch {
	case !s.Enabled || r.Disabled():
		add("The source is disabled: nothing is begun until it is enabled.")
	case r.Trouble != "":
		add("The source is in trouble, %s: nothing is begun until that is mended.", r.Trouble)
	}
	switch {
	case r.PeopleAt.IsZero() || r.State.IsZero():
		add("The schedule has not begun yet: what is asked for waits for it.")
	case p.End.After(r.State) && p.End.After(r.Begin) && !done:
		add("The schedule has not reached this period yet, it has come to %s: what is asked for waits until it has, "+
			"and the schedule collects the period as well.", r.State.UTC().Format(time.RFC3339))
	}
	if due := p.End.Add(s.Offset + s.Settle); now.Before(due) {
		add("Mail of the period may still become visible: it is collected from %s on.", due.UTC().Format(time.RFC3339))
	}
	if slices.ContainsFunc(people, func(x ledger.Person) bool { return !x.Monitored(p) }) {
		var names []string
		for _, x := range people {
			if !x.Monitored(p) {
				names = append(names, x.Custodian().Name())
			}
		}
		add("Not monitored at any instant of the period, and collected all the same: %s.", strings.Join(names, ", "))
	}
	return all
}
