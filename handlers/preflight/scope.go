package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
)

// outsidersTried is how many users who are no individuals are tried until one has a mailbox that answers for itself.
const outsidersTried = 5

const (
	scopeRemedy = "grant Mail.Read (and Calendars.Read) by RBAC for Applications in Exchange Online: New-ManagementScope, then " +
		"New-ManagementRoleAssignment -App … -Role \"Application Mail.Read\" -CustomResourceScope …; and remove the grant in " +
		"Microsoft Entra: the two are a union, so that with it there is no scope"
	scopeTold = "Test-ServicePrincipalAuthorization -Identity … -Resource … in Exchange Online tells it of any mailbox"
)

// scope tells whether the application is kept to the mailboxes of the individuals. That is proved by a mailbox that is none of
// theirs: by the id of its top folder and nothing of what is in it, and only where that was asked for.
func (r *run) scope(ctx context.Context) {
	if !r.Outsider {
		text := "not tried: it takes a look at the mailbox of a user who is no individual"
		if slices.Contains(r.token.Roles, "Mail.Read") {
			text += "; the token grants Mail.Read in Microsoft Entra, which is for the whole tenant unless an application access " +
				"policy limits it"
		}
		r.found(CheckScope, Unknown, "have it tried (-outsider): the id of one top folder is read; or "+scopeTold, "%s", text)
		return
	}
	r.progress("scope", 0, 1)
	tried := 0
	var last error
	for _, u := range r.outsiders() {
		if tried == outsidersTried || ctx.Err() != nil {
			break
		}
		last = r.client.TryTop(ctx, u.ID)
		if last == nil || refuses(last) {
			r.judge(u.ID, last)
			return
		}
		tried++
	}
	if last == nil {
		r.found(CheckScope, Unknown, scopeTold, "there is no user beside the individuals whose mailbox could be tried")
		return
	}
	r.found(CheckScope, Unknown, scopeTold, "of %d users who are no individuals no mailbox answered: %s", tried, say(last))
}

// judge says what it means that the mailbox of a user who is no individual let the application in, or refused it.
func (r *run) judge(outsider string, refusal error) {
	inside := slices.IndexFunc(r.looks, look.readable)
	switch {
	case refusal == nil:
		r.found(CheckScope, Warning, scopeRemedy,
			"the application is not limited to the individuals: the mailbox of user %s, who is none, lets it in", outsider)
	case inside < 0:
		r.found(CheckScope, Unknown, "see to Mail.Read first", "a user who is no individual is refused, and so is everybody else")
	default:
		r.ok(CheckScope, "custodian %s is let in, and user %s, who is no individual, is refused", r.looks[inside].name, outsider)
	}
}

// outsiders are users of the directory's page who are nobody's individual, those first who are most likely to have a mailbox.
func (r *run) outsiders() []graph.User {
	inside := map[string]bool{}
	note := func(names ...string) {
		for _, n := range names {
			inside[strings.ToLower(n)] = true
		}
	}
	for _, p := range r.people {
		note(p.names()...)
	}
	for _, s := range append(slices.Clone(r.others), r.Subject) {
		for _, c := range s.Individuals {
			note(individual{Custodian: c}.names()...)
		}
	}
	for _, l := range r.looks {
		note(l.id)
	}
	var all []graph.User
	for _, u := range r.directory {
		if u.Enabled && u.Licensed && u.Mail != "" && !strings.EqualFold(u.UserType, "Guest") &&
			!slices.ContainsFunc(namesOf(u), func(n string) bool { return inside[n] }) {
			all = append(all, u)
		}
	}
	return all
}

// refusals names the individuals whose mailboxes refuse the application. Nobody can tell from here why; the likely cause is said.
func (r *run) refusals() {
	named, _ := r.excluded()
	names := named[capture.ReasonDenied]
	tried := 0
	for _, l := range r.looks {
		if l.id != "" && (l.err == nil || l.denied()) {
			tried++
		}
	}
	switch {
	case len(names) > 0:
		r.add(Finding{
			Check: CheckRefused, State: Warning,
			Text: fmt.Sprintf("%s: %s individuals refuse the application", capture.ReasonDenied, number(len(names))),
			Remedy: "put them into the scope of RBAC for Applications or of the application access policy: a scope by a group takes " +
				"its direct members alone, so that members of nested groups are left out; a change takes up to two hours to be in force",
			Figures:    map[string]float64{"custodians": float64(len(names)), "lookedAt": float64(len(r.looks))},
			Custodians: firstOf(names),
		})
	case tried == 0:
		r.found(CheckRefused, Unknown, "see to permissions and individuals first", "no individual's mailbox could be tried")
	default:
		r.ok(CheckRefused, "none of the %s mailboxes tried refuses the application", number(tried))
	}
}
