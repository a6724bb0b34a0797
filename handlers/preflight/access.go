package preflight

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"chainmail/handlers/graph"
)

// renewBefore is how long before its end a credential is warned of.
const renewBefore = 30 * 24 * time.Hour

// signIn gets a token, and reports whether the other checks can go on.
func (r *run) signIn(ctx context.Context) bool {
	r.progress("sign-in", 0, 1)
	const other = "check credential, domain and applicationId of the source; the log of the sign-ins in Microsoft Entra says more"
	var err error
	if r.client, err = r.Graph(r.Source); err == nil && r.client.SignsIn() {
		r.token, err = r.client.Token(ctx)
	}
	if err != nil {
		remedy := remedyOf(err, other)
		if graph.MeaningOf(err) == graph.Transient {
			remedy = remedyOf(err, "the sign-in cannot be reached: check the network, a proxy, and cloud in sources.json, and try again")
		}
		r.found(CheckSignIn, Fault, remedy, "no token: %s", say(err))
		return false
	}
	r.signedIn = true
	switch {
	case !r.client.SignsIn():
		r.ok(CheckSignIn, "the credential is of kind none: this Graph-like server wants no sign-in")
	case r.token.Opaque:
		r.ok(CheckSignIn, "a token was given; it is none that can be read")
	default:
		r.ok(CheckSignIn, "a token was given to application %s in tenant %s", r.token.App, r.token.Tenant)
	}
	return true
}

// credential tells the credential's kind, age and end.
func (r *run) credential(ctx context.Context) {
	switch kind := r.Source.Credential.Kind; kind {
	case "certificate":
		if v, ok := r.client.Certificate(); ok {
			r.validity("the certificate", v,
				"make a new certificate, upload its public part to the app registration, then put it into the app setting")
			return
		}
		r.found(CheckCredential, Unknown, secretsPage, "a certificate whose end cannot be read")
	case "secret":
		r.secret(ctx)
	default:
		r.ok(CheckCredential, "of kind %s: there is nothing that expires", kind)
	}
}

const secretsPage = "look at Azure portal → Microsoft Entra ID → App registrations → the application → Certificates & " +
	"secrets, column Expires, and renew in time"

// secret reads the client secret's age and end, for which the app is not meant to have the permission: it is tried all the same,
// for some have it.
func (r *run) secret(ctx context.Context) {
	secrets, err := r.client.ClientSecrets(ctx, r.Source.ApplicationID)
	own := r.Source.Credential.Secret.Reveal()
	matching := slices.DeleteFunc(slices.Clone(secrets), func(s graph.ClientSecret) bool {
		return s.Hint == "" || !strings.HasPrefix(own, s.Hint)
	})
	switch {
	case err != nil:
		r.found(CheckCredential, Unknown, secretsPage, "a client secret, whose age and end are for applications with "+
			"Application.Read.All alone, which a collection does not need: %s", say(err))
	case len(matching) != 1:
		r.found(CheckCredential, Unknown, secretsPage,
			"a client secret; which of the %d of the registration it is cannot be told", len(secrets))
	default:
		r.validity("the client secret", matching[0].Validity,
			"make a new secret in the app registration, copy its Value into the app setting, then remove the old one")
	}
}

func (r *run) validity(what string, v graph.Validity, remedy string) {
	left := v.To.Sub(r.now)
	f := Finding{
		Check: CheckCredential, State: OK,
		Text:    fmt.Sprintf("%s holds from %s to %s", what, day(v.From), day(v.To)),
		Figures: map[string]float64{"ageInDays": days(r.now.Sub(v.From)), "daysLeft": days(left)},
	}
	if left < renewBefore {
		f.State, f.Remedy = Warning, remedy
		f.Text += fmt.Sprintf(", in %.0f days", days(left))
	}
	r.add(f)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// days are whole days, those that are through.
func days(d time.Duration) float64 { return float64(d / (24 * time.Hour)) }

// permissions proves by reading what a collection needs, and tells from the token what it does not.
func (r *run) permissions(ctx context.Context) {
	if r.dirErr == nil {
		r.ok(CheckDirectory, "User.Read.All: the directory's users can be read")
	} else {
		r.refused(CheckDirectory, "User.Read.All", "the directory's users", r.dirErr)
	}
	r.mail(ctx)
	if r.Source.CollectCalendar {
		r.calendars(ctx)
	}
	if len(r.Source.Individuals.Groups) > 0 {
		r.groups()
	}
	r.excess()
}

// grant says how a permission is given.
func grant(permission string) string {
	return "grant the application permission " + permission +
		" with admin consent (Azure portal → App registrations → API permissions)"
}

// grantScoped says how a permission to mailboxes is given.
func grantScoped(permission string) string {
	return grant(permission) + ", or the role Application " + permission +
		" by RBAC for Applications; either takes up to two hours to be in force"
}

// refused adds what became of a read that failed: a fault where the permission is missing, unknown where nobody can tell.
func (r *run) refused(check, permission, what string, err error) {
	state, remedy := Unknown, later
	if refuses(err) {
		state, remedy = Fault, grant(permission)
	}
	r.found(check, state, remedyOf(err, remedy), "%s: %s could not be read: %s", permission, what, say(err))
}

// triedMailboxes is how many of the mailboxes that answer are tried for a permission before it counts as missing.
const triedMailboxes = 3

// try tries a read on mailboxes that answer, until one gives it.
func (r *run) try(ctx context.Context, read func(context.Context, string) error) (tried int, err error) {
	for _, l := range r.looks {
		if !l.readable() || tried == triedMailboxes {
			continue
		}
		tried++
		if err = read(ctx, l.id); err == nil || ctx.Err() != nil {
			break
		}
	}
	return tried, err
}

func (r *run) mail(ctx context.Context) {
	tried, err := r.try(ctx, r.client.TryMessages)
	switch {
	case tried == 0:
		r.mailUntried()
	case err == nil:
		r.ok(CheckMail, "Mail.Read: messages of a custodian can be listed")
	case refuses(err):
		r.found(CheckMail, Fault, grantScoped("Mail.Read")+"; Mail.ReadBasic.All is not enough",
			"Mail.Read: the messages of custodians are refused: %s", say(err))
	default:
		r.found(CheckMail, Unknown, remedyOf(err, later), "Mail.Read: no message of a custodian could be listed: %s", say(err))
	}
}

// mailUntried says why no mailbox could be tried.
func (r *run) mailUntried() {
	refused, at, told := 0, 0, error(nil)
	for _, l := range r.looks {
		if l.id != "" {
			at++
		}
		if l.denied() {
			refused++
		} else if l.err != nil {
			told = l.err
		}
	}
	switch {
	case refused > 0:
		r.found(CheckMail, Fault, grantScoped("Mail.Read"),
			"Mail.Read: none of the %d mailboxes looked at lets the application in; %d refused it", at, refused)
	case told != nil:
		r.found(CheckMail, Unknown, remedyOf(told, later), "Mail.Read: no mailbox could be tried: %s", say(told))
	default:
		r.found(CheckMail, Unknown, "see to the individuals first", "Mail.Read: no individual looked at has a mailbox to try")
	}
}

func (r *run) calendars(ctx context.Context) {
	tried, err := r.try(ctx, r.client.TryCalendars)
	basic := slices.Contains(r.token.Roles, "Calendars.ReadBasic.All") && !slices.Contains(r.token.Roles, "Calendars.Read")
	switch {
	case tried == 0:
		r.found(CheckCalendars, Unknown, "see to the individuals first", "Calendars.Read: there is no mailbox to try")
	case refuses(err):
		r.found(CheckCalendars, Fault, grantScoped("Calendars.Read")+`; or collect ["email"] alone`,
			"Calendars.Read: the calendars of custodians are refused: %s", say(err))
	case err != nil:
		r.found(CheckCalendars, Unknown, remedyOf(err, later), "Calendars.Read: no calendar could be listed: %s", say(err))
	case basic:
		r.found(CheckCalendars, Warning, grantScoped("Calendars.Read"), "Calendars.Read: calendars can be listed, "+
			"but the token names Calendars.ReadBasic.All, which gives events without their texts")
	default:
		r.ok(CheckCalendars, "Calendars.Read: the calendars of a custodian can be listed")
	}
}

// A groupFault is a group whose members could not be told.
type groupFault struct {
	id  string
	err error
}

func (r *run) groups() {
	if len(r.groupErrs) == 0 {
		r.ok(CheckGroups, "GroupMember.Read.All: the members of %d groups can be read", len(r.Source.Individuals.Groups))
		return
	}
	for _, g := range r.groupErrs {
		r.refused(CheckGroups, "GroupMember.Read.All", "the members of group "+g.id, g.err)
		if f := &r.findings[len(r.findings)-1]; graph.MeaningOf(g.err) == graph.NotFound {
			f.State = Fault
		}
	}
}

// excess compares the token's roles with what the source needs.
func (r *run) excess() {
	switch {
	case !r.client.SignsIn():
		r.ok(CheckExcess, "without a sign-in nothing is granted")
		return
	case r.token.Opaque:
		r.found(CheckExcess, Unknown, "look at Azure portal → App registrations → the application → API permissions: "+
			"it needs no more than the README says", "the token cannot be read, so that its permissions are not known")
		return
	}
	needed := r.needed()
	var changes, reads []string
	for _, role := range r.token.Roles {
		switch {
		case slices.Contains(needed, role):
		case changing.MatchString(role):
			changes = append(changes, role)
		default:
			reads = append(reads, role)
		}
	}
	if len(changes)+len(reads) == 0 {
		r.ok(CheckExcess, "the token grants no more than a collection needs")
		return
	}
	var parts []string
	if len(changes) > 0 {
		parts = append(parts, strings.Join(changes, ", ")+" (with which evidence could be changed or made)")
	}
	if len(reads) > 0 {
		parts = append(parts, strings.Join(reads, ", "))
	}
	r.add(Finding{
		Check: CheckExcess, State: Warning, Text: "the token grants more than a collection needs: " + strings.Join(parts, ", "),
		Remedy:  "remove them under API permissions of the app registration, and revoke their admin consent",
		Figures: map[string]float64{"changing": float64(len(changes)), "reading": float64(len(reads))},
	})
}

// changing are permissions that do more than read.
var changing = regexp.MustCompile(`Write|Send|Manage|FullControl|full_access|Import|Create|Delete`)

// needed are the permissions that the source can use. The one to read applications lets a secret's end be told.
func (r *run) needed() []string {
	all := []string{"Mail.Read", "User.Read.All", "Application.Read.All"}
	if r.Source.CollectCalendar {
		all = append(all, "Calendars.Read")
	}
	if len(r.Source.Individuals.Groups) > 0 {
		all = append(all, "GroupMember.Read.All", "Member.Read.Hidden")
	}
	return all
}
