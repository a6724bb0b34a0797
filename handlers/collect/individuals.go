package collect

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"chainmail/handlers/capture"
)

// A roll finds monitored individuals by the addresses in an email (setting discoverMonitoredIndividuals). The zero roll
// finds nobody.
type roll struct {
	ignoresCase bool
	named       map[string][]string // a name as key writes it to the identifiers of those who have it
}

// callRoll calls up whom the source's settings let be found: the batch's own individuals, or those of all sources, as they are
// known now.
func (r *run) callRoll(ctx context.Context) error {
	if !r.source.DiscoverIndividuals {
		return nil
	}
	r.roll = roll{ignoresCase: r.source.DiscoveryIgnoresCase, named: map[string][]string{}}
	all, err := r.Chain.Custodians(ctx, r.batch)
	if err != nil {
		return err
	}
	for _, c := range all {
		r.roll.add(c.Individual)
	}
	if !r.source.IncludeNotLinked {
		return nil
	}
	force, err := r.Config.Current(ctx)
	if err != nil {
		return err
	}
	for _, s := range force.Sources {
		people, err := r.Ledger.People(ctx, s.Name)
		if err != nil {
			return fmt.Errorf("read individuals: %w", err)
		}
		for _, p := range people {
			r.roll.add(capture.Individual{Identifier: p.Value.Identifier, Secondary: p.Value.Secondary.V})
		}
	}
	return nil
}

func (l *roll) add(i capture.Individual) {
	for _, name := range append([]string{i.Identifier}, i.Secondary...) {
		k := l.key(name)
		if !slices.Contains(l.named[k], i.Identifier) {
			l.named[k] = append(l.named[k], i.Identifier)
		}
	}
}

// key writes a name so that equal ones are one person's: domains have no case, and what stands before them has, unless the
// setting discoveryIgnoresCase says otherwise.
func (l *roll) key(name string) string {
	at := strings.LastIndexByte(name, '@')
	if l.ignoresCase || at < 0 {
		return strings.ToLower(name)
	}
	return name[:at] + strings.ToLower(name[at:])
}

// found are the identifiers of those who are named, each once and sorted, without the custodian's own.
func (l *roll) found(custodian string, addresses []string) []string {
	var all []string
	for _, a := range addresses {
		all = append(all, l.named[l.key(a)]...)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(id string) bool { return id == custodian })
}
