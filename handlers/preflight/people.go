package preflight

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"

	"golang.org/x/sync/errgroup"
)

// An individual is one of the source's, from its list or a group of it.
type individual struct {
	capture.Custodian
	user *graph.User // of a group's member
}

// A look is what a look at an individual and their mailbox told.
type look struct {
	of, name string // before the look, and by it
	id       string // empty: the directory does not know them
	reason   string // why they would be excluded
	archive  graph.Archive
	licensed bool
	plans    []string
	planErr  error
	err      error // why there is no verdict
}

func (l look) readable() bool { return l.err == nil && l.reason == "" }

// denied reports whether the mailbox did not let the app in.
func (l look) denied() bool {
	return l.reason == capture.ReasonDenied || l.id != "" && graph.MeaningOf(l.err) == graph.Unauthorized
}

// gather reads what the checks are made of: directory, groups, and a sample of the individuals.
func (r *run) gather(ctx context.Context) {
	r.progress("directory and groups", 0, 1)
	r.directory, r.dirErr = r.client.SomeUsers(ctx, 999)
	for _, p := range r.Subject.Individuals {
		if r.period.monitors(p.Individual) {
			r.people = append(r.people, individual{Custodian: p})
		}
	}
	for _, id := range r.Source.Individuals.Groups {
		r.members(ctx, strings.ToLower(id))
	}
	if graph.MeaningOf(r.dirErr) == graph.Unauthorized || ctx.Err() != nil {
		return // nobody can be looked up
	}
	r.lookAll(ctx)
}

// members adds a group's members whom the source takes and who are not there yet.
func (r *run) members(ctx context.Context, group string) {
	in, known := r.Source.Individuals, map[string]bool{}
	for _, p := range r.people {
		for _, name := range p.names() {
			known[name] = true
		}
	}
	var taken []individual
	err := r.client.Members(ctx, group, func(u graph.User) {
		there := slices.ContainsFunc(namesOf(u), func(n string) bool { return known[n] })
		if !u.Enabled && !in.PullDisabledUsers || !u.Licensed && !in.PullUnlicensedUsers || there {
			return
		}
		known[strings.ToLower(u.ID)] = true
		p := individual{user: &u}
		p.ID, p.Identifier = u.ID, u.UserPrincipalName
		taken = append(taken, p)
	})
	if err != nil {
		r.groupErrs = append(r.groupErrs, groupFault{group, err})
		return
	}
	r.people = append(r.people, taken...)
}

// names are all that an individual may be known by, in lower case.
func (p individual) names() []string {
	var all []string
	for _, n := range append([]string{p.ID, p.Identifier}, p.Secondary...) {
		if n != "" {
			all = append(all, strings.ToLower(n))
		}
	}
	return all
}

func namesOf(u graph.User) []string {
	var all []string
	for _, n := range append([]string{u.ID, u.UserPrincipalName, u.Mail}, u.Addresses...) {
		if n != "" {
			all = append(all, strings.ToLower(n))
		}
	}
	return all
}

// looksAtOnce bounds the looks side by side, and givesUpAfter is how many may fail before anybody answered.
const (
	looksAtOnce  = 8
	givesUpAfter = 10
)

// lookAll looks at a sample of the individuals, spread evenly, as far as the time goes.
func (r *run) lookAll(ctx context.Context) {
	places := spread(len(r.people), r.Looks, defaultLooks)
	all := make([]*look, len(places))
	var mu sync.Mutex
	done, failed, answered := 0, 0, false
	var g errgroup.Group
	g.SetLimit(looksAtOnce)
	for i, place := range places {
		mu.Lock()
		lost := !answered && failed >= givesUpAfter
		mu.Unlock()
		if lost || r.late() || ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			l := r.look(ctx, r.people[place])
			mu.Lock()
			defer mu.Unlock()
			all[i] = &l
			done++
			if l.err != nil {
				failed++
			} else {
				answered = true
			}
			r.progress("mailboxes", done, len(places))
			return nil
		})
	}
	_ = g.Wait() // no look fails: what failed is in it
	owner := map[string]bool{}
	for _, l := range all {
		if l == nil {
			continue
		}
		if l.id != "" && owner[l.id] && l.reason == "" {
			l.reason = capture.ReasonDuplicate
		}
		owner[l.id] = true
		r.looks = append(r.looks, *l)
	}
}

// spread gives up to n places among so many, evenly.
func spread(among, n, otherwise int) []int {
	if n <= 0 {
		n = otherwise
	}
	n = min(n, among)
	places := make([]int, n)
	for i := range places {
		places[i] = i * among / n
	}
	return places
}

// look finds an individual's mailbox and tries it, as the synchronisation of individuals does.
func (r *run) look(ctx context.Context, p individual) look {
	l := look{of: p.Name(), name: p.Name()}
	user := p.user
	if user == nil {
		found, err := r.find(ctx, p)
		switch {
		case graph.MeaningOf(err) == graph.NotFound:
			l.reason = capture.ReasonNotFound
			return l
		case err != nil:
			l.err = err
			return l
		}
		user = &found
	}
	l.id, l.name, l.licensed = user.ID, user.ID, user.Licensed
	if user.UnlicensedGuest() {
		l.reason = capture.ReasonGuest
		return l
	}
	var err error
	l.archive, err = r.client.CheckMailbox(ctx, user.ID)
	switch graph.MeaningOf(err) {
	case graph.NoMailbox, graph.NotFound:
		l.reason = capture.ReasonNoMailbox
	case graph.Denied:
		l.reason = capture.ReasonDenied
	default:
		l.err = err
	}
	if l.licensed && l.readable() {
		l.plans, l.planErr = r.client.Plans(ctx, user.ID)
	}
	return l
}

// find looks for the user by all that is known of them.
func (r *run) find(ctx context.Context, p individual) (user graph.User, err error) {
	for _, name := range append(append([]string{p.Identifier}, p.Secondary...), p.ID) {
		if name == "" {
			continue
		}
		user, err = r.client.FindUser(ctx, name)
		if graph.MeaningOf(err) != graph.NotFound {
			return user, err
		}
	}
	return user, err
}

// remedies are what helps those who would be excluded, by reason; [CheckRefused] has that of a refusal.
var remedies = []struct{ reason, remedy string }{
	{capture.ReasonNotFound, "correct the identifier in the list, or add the address in secondaryIdentifiers; of a distribution " +
		"list name the members, or give its group's Object id in individuals.groups: a list is no mailbox"},
	{capture.ReasonNoMailbox, "license the user, or wait some minutes after it was done; a mailbox that is inactive, soft-deleted " +
		"or on premises cannot be read through Microsoft Graph: restore or move it, or take the individual off the list"},
	{capture.ReasonGuest, "license the guest and give them a mailbox here, or take them off the list: their mail lies in their own " +
		"tenant"},
	{capture.ReasonDuplicate, "keep one of the rows, with the other address in its secondaryIdentifiers: a mailbox is read once"},
}

// individuals counts who would be excluded, and says what helps.
func (r *run) individuals() {
	named, told := r.excluded()
	switch {
	case len(r.people) == 0 && len(r.groupErrs) > 0:
		r.found(CheckIndividuals, Unknown, "see to the groups first", "the individuals are members of groups that could not be read")
	case len(r.people) == 0:
		r.found(CheckIndividuals, Fault, "name individuals in the list, or groups that have members; look at the columns from and to",
			"nobody is monitored in the time that is collected")
	default:
		r.add(r.counted(named, told))
	}
	for _, k := range remedies {
		if names := named[k.reason]; len(names) > 0 {
			r.add(Finding{
				Check: CheckIndividuals, State: Warning, Text: fmt.Sprintf("%s: %s would be left out", k.reason, number(len(names))),
				Remedy: k.remedy, Figures: map[string]float64{"custodians": float64(len(names))}, Custodians: firstOf(names),
			})
		}
	}
	if r.Rejected > 0 {
		r.add(Finding{
			Check: CheckIndividuals, State: Warning, Text: fmt.Sprintf("%s rows of the list cannot be used", number(r.Rejected)),
			Remedy: "correct the rows that are named by their lines", Figures: map[string]float64{"rejected": float64(r.Rejected)},
		})
	}
}

// counted is how many can be collected, and how many cannot for which reason.
func (r *run) counted(named map[string][]string, told error) Finding {
	readable, untold := 0, 0
	for _, l := range r.looks {
		switch {
		case l.err != nil:
			untold++
		case l.reason == "":
			readable++
		}
	}
	f := Finding{
		Check: CheckIndividuals, State: OK,
		Text: fmt.Sprintf("%s individuals; of %s looked at %s can be collected",
			number(len(r.people)), number(len(r.looks)), number(readable)),
		Figures: map[string]float64{
			"individuals": float64(len(r.people)), "lookedAt": float64(len(r.looks)), "canBeCollected": float64(readable),
			"withoutVerdict": float64(untold),
		},
	}
	for _, reason := range slices.Sorted(maps.Keys(named)) {
		f.Figures[reason] = float64(len(named[reason]))
		f.Text += fmt.Sprintf(", %s %s", number(len(named[reason])), reason)
		f.State, f.Remedy = Warning, "see the lines of the reasons"
	}
	if untold > 0 {
		f.Text += fmt.Sprintf("; of %s nothing could be told: %s", number(untold), say(told))
	}
	switch {
	case readable == 0 && (untold > 0 || len(r.looks) == 0):
		f.State, f.Remedy = Unknown, remedyOf(told, "see to the permissions first, then "+later)
	case readable == 0:
		f.State = Fault
	}
	return f
}

// excluded are the names of those who would be, by reason: those looked at, and of the others those known from before. told is
// why somebody has no verdict.
func (r *run) excluded() (named map[string][]string, told error) {
	named = map[string][]string{}
	seen := map[string]bool{}
	for _, l := range r.looks {
		seen[l.of] = true
		if l.err != nil {
			told = l.err
		} else if l.reason != "" {
			named[l.reason] = append(named[l.reason], l.name)
		}
	}
	for _, p := range r.people {
		if p.Reason != "" && !seen[p.Name()] {
			named[p.Reason] = append(named[p.Reason], p.Name())
		}
	}
	return named, told
}
