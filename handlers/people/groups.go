package people

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/settings"
)

// errGroup says that a source has not begun: a group could not be read. Later that changes nobody's membership of it, but what
// was never read would be taken for a group that everybody joins when it is, and the time until then would be owed to nobody.
var errGroup = errors.New("at a source's first synchronisation every group must be readable, or its members' beginning would be lost")

// groupUnreadable is a source's last error while one of its groups cannot be read.
const groupUnreadable = "GroupUnreadable"

// A group is one of a source's groups, and who of its members the source takes.
type group struct {
	id      string // object id in lower case: the cause of its members' intervals
	read    bool   // to its end; otherwise nobody joins or leaves by it
	members []graph.User
}

// groups reads the source's groups one by one. One that cannot be read keeps nothing else from being synchronised.
func (r *Registry) groups(ctx context.Context, client *graph.Client, s settings.Source) ([]group, error) {
	var all []group
	for _, id := range s.Individuals.Groups {
		id = strings.ToLower(id)
		if slices.ContainsFunc(all, func(g group) bool { return g.id == id }) {
			continue
		}
		members, err := membersOf(ctx, client, id, s.Individuals)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		all = append(all, group{id: id, read: err == nil, members: members})
		if err == nil {
			r.Log.DebugContext(ctx, "group read", "source", s.Name, "group", id, "members", len(members))
			continue
		}
		r.Log.WarnContext(ctx, "group not read", "source", s.Name, "group", id, "error", err,
			"consequence", "nobody joins or leaves by it until it can be read; it is tried again at the next run")
		if err := r.Ledger.Complain(ctx, s.Name, groupUnreadable, r.Now().UTC()); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// membersOf reads the members of a group whom the source takes, each once, in the order of the listing. All or none: who is
// missing in a part of a list has not left.
func membersOf(ctx context.Context, client *graph.Client, id string, in settings.Individuals) ([]graph.User, error) {
	var members []graph.User
	seen := map[string]bool{}
	err := client.Members(ctx, id, func(u graph.User) {
		if seen[u.ID] || !u.Enabled && !in.PullDisabledUsers || !u.Licensed && !in.PullUnlicensedUsers {
			return
		}
		seen[u.ID] = true
		members = append(members, u)
	})
	if err != nil {
		return nil, err
	}
	return members, nil
}

// namesOf are what a user can be called by in a list, in lower case, the user principal name first.
func namesOf(u graph.User) []string {
	names := []string{strings.ToLower(u.UserPrincipalName)}
	for _, name := range append([]string{u.Mail}, u.Addresses...) {
		if name = strings.ToLower(name); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// join has the groups' members join. A member is the row with their object id, or that of their addresses which stands
// for nobody else, or else a new one.
func (m *roster) join(groups []group) {
	m.index()
	m.match(groups, m.byKey, func(p *individual) bool {
		// An address on the list belongs to whoever has it by now; what came from a group is the person's for life.
		id := p.row.Value.ObjectID
		return id == "" || p.listing != nil && !m.members[id]
	})
	m.match(groups, m.secondaries(), func(p *individual) bool { return p.row.Value.ObjectID == "" })
	for _, g := range groups {
		for i := range g.members {
			u := &g.members[i]
			p := m.byID[u.ID]
			if p == nil {
				p = m.add(m.free(u))
				m.byID[u.ID] = p
			}
			p.become(u.ID)
			p.user = u
			p.in = append(p.in, g.id)
			p.row.Value.Intervals.V = joinGroup(p.row.Value.Intervals.V, g.id, m.first, m.now)
		}
	}
}

// match finds rows for members who have none by their object id: by a name of theirs, if the row may be taken.
func (m *roster) match(groups []group, byName map[string]*individual, may func(*individual) bool) {
	for _, g := range groups {
		for _, u := range g.members {
			if m.byID[u.ID] != nil {
				continue
			}
			for _, name := range namesOf(u) {
				if p := byName[name]; p != nil && may(p) {
					p.become(u.ID)
					m.byID[u.ID] = p
					break
				}
			}
		}
	}
}

// free is what a new member is called: their user principal name, or else their address, if that is not somebody else's row
// who had it before.
func (m *roster) free(u *graph.User) string {
	for _, name := range []string{u.UserPrincipalName, u.Mail} {
		if name != "" && m.byKey[strings.ToLower(name)] == nil {
			return name
		}
	}
	return u.ID
}

// describe notes what is said of the individual: the list's word counts, and where it is silent the directory's. Who is known
// from a group alone keeps their names while it cannot be read.
func (p *individual) describe() {
	var in capture.Individual
	var u graph.User
	if p.listing != nil {
		in = *p.listing
	}
	if p.user != nil {
		u = *p.user
	}
	v := &p.row.Value
	if p.user != nil || p.listing != nil && !p.ofGroup() {
		v.DisplayName, v.FirstName, v.LastName = "", "", ""
	}
	v.DisplayName = cmp.Or(in.DisplayName, u.DisplayName, v.DisplayName)
	v.FirstName, v.LastName = cmp.Or(in.FirstName, u.FirstName, v.FirstName), cmp.Or(in.LastName, u.LastName, v.LastName)
	switch {
	case p.listing != nil:
		v.Secondary.V = others(v.Identifier, append(slices.Clone(in.Secondary), in.Identifier))
	case p.user != nil:
		v.Secondary.V = others(v.Identifier, []string{u.UserPrincipalName, u.Mail})
	}
}

// others are the names that are not the identifier, which is for life, each once.
func others(identifier string, names []string) (all []string) {
	for _, name := range names {
		if name != "" && !strings.EqualFold(name, identifier) && !contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

func contains(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// become gives the individual a mailbox. Of another one than before nothing is known yet.
func (p *individual) become(id string) {
	v := &p.row.Value
	if v.ObjectID != id {
		v.ObjectID, v.Reason, v.Archive = id, "", false
		v.CheckedAt, v.ExcludedAt = time.Time{}, time.Time{}
	}
}
