// Package preflight tells before a collection what would keep it from being whole: sign-in, permissions, scope, licences,
// archive mailboxes, who would be left out, and how much there is to collect.
//
// It proves by reading: what RBAC for Applications grants stands in no token. Of many individuals a sample is looked at, spread
// evenly, and every finding says how many that were. It changes nothing and keeps nothing of a mail but counts and sizes.
package preflight

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/settings"
)

// A State is what became of a check.
type State string

// The states. A fault keeps the source from being collected, a warning does not; unknown is what cannot be told from here.
const (
	OK      State = "ok"
	Warning State = "warning"
	Fault   State = "fault"
	Unknown State = "unknown"
)

// The checks, in the order of a [Result].
const (
	CheckSignIn      = "signIn"
	CheckCredential  = "credential"
	CheckDirectory   = "permissionDirectory"
	CheckMail        = "permissionMail"
	CheckCalendars   = "permissionCalendars"
	CheckGroups      = "permissionGroups"
	CheckExcess      = "permissionExcess"
	CheckScope       = "scope"
	CheckRefused     = "refused"
	CheckLicences    = "licences"
	CheckArchives    = "archives"
	CheckRetention   = "deletedItemRetention"
	CheckApplication = "application"
	CheckIndividuals = "individuals"
	CheckForecast    = "forecast"
)

// A Finding is what one check found. It names people by [capture.Custodian.Name] alone.
type Finding struct {
	Check      string             `json:"check"`
	State      State              `json:"state"`
	Text       string             `json:"text"`             // what was checked, and what was found
	Remedy     string             `json:"remedy,omitempty"` // of all but ok
	Figures    map[string]float64 `json:"figures,omitempty"`
	Custodians []string           `json:"custodians,omitempty"` // the first of those whom it concerns
}

// A Result is what all checks of a source found.
type Result struct {
	Source   string    `json:"source"`
	At       time.Time `json:"at"`
	Findings []Finding `json:"findings"`
}

// Has reports whether a state is among the findings.
func (r Result) Has(s State) bool {
	for _, f := range r.Findings {
		if f.State == s {
			return true
		}
	}
	return false
}

// A Subject is a source with the individuals of its list. What an earlier check knows of them, object id, reason and archive,
// may stand in them.
type Subject struct {
	Source      settings.Source
	Individuals []capture.Custodian
	Rejected    int // rows of the list that cannot be used
}

// The bounds of a check where a [Checker] sets none.
const (
	defaultLooks  = 200
	defaultSample = 20
	defaultTime   = 5 * time.Minute
)

// A Checker checks sources. Graph and Now are needed.
type Checker struct {
	Graph    func(settings.Source) (*graph.Client, error)
	Now      func() time.Time
	Progress func(stage string, done, of int) // nil: nobody watches

	Outsider bool          // the mailbox of one user who is no individual may be tried
	Looks    int           // individuals looked up, with their mailboxes; 0: 200
	Sample   int           // mailboxes listed for the forecast; 0: 20
	Time     time.Duration // after which no further mailbox is begun, and a minute later all ends; 0: 5 minutes
}

// Check checks one source. others are the sources beside it; the subject itself may be among them. The error is the
// context's: everything else is a finding.
func (c *Checker) Check(ctx context.Context, subject Subject, others []Subject) (Result, error) {
	now, limit := c.Now().UTC(), cmp.Or(c.Time, defaultTime)
	r := &run{Checker: c, Subject: subject, others: others, now: now, until: now.Add(limit), period: periodOf(subject.Source, now)}
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, limit+time.Minute) // what was begun must end, however patient the client is
	defer cancel()
	if r.signIn(ctx) {
		r.credential(ctx)
		r.gather(ctx)
		r.permissions(ctx)
		r.scope(ctx)
		r.refusals()
		r.licences()
		r.archives()
	} else {
		r.skip(CheckCredential, CheckDirectory, CheckMail, CheckScope, CheckRefused, CheckLicences, CheckArchives)
	}
	r.retention()
	r.application()
	if r.signedIn {
		r.individuals()
		r.forecast(ctx)
	} else {
		r.skip(CheckIndividuals, CheckForecast)
	}
	return Result{Source: subject.Source.Name, At: now, Findings: r.findings}, caller.Err()
}

// A run is one check of one source.
type run struct {
	*Checker
	Subject
	others []Subject
	now    time.Time
	until  time.Time
	period period

	client    *graph.Client
	signedIn  bool
	token     graph.Token
	directory []graph.User // a page of the tenant's users
	dirErr    error
	groupErrs []groupFault
	people    []individual
	looks     []look // of a sample of the people, in their order
	findings  []Finding
}

func (r *run) add(f Finding) { r.findings = append(r.findings, f) }

func (r *run) ok(check, format string, args ...any) {
	r.add(Finding{Check: check, State: OK, Text: fmt.Sprintf(format, args...)})
}

// found adds what is not ok, with its remedy.
func (r *run) found(check string, state State, remedy, format string, args ...any) {
	r.add(Finding{Check: check, State: state, Text: fmt.Sprintf(format, args...), Remedy: remedy})
}

// skip adds what cannot be checked while nobody is signed in.
func (r *run) skip(checks ...string) {
	for _, check := range checks {
		r.found(check, Unknown, "mend the sign-in first", "not checked: the sign-in failed")
	}
}

func (r *run) progress(stage string, done, of int) {
	if r.Progress != nil {
		r.Progress(stage, done, of)
	}
}

// late reports whether no further mailbox is to be begun.
func (r *run) late() bool { return !r.Now().Before(r.until) }

// maxNamed is how many custodians a finding names.
const maxNamed = 50

func firstOf(names []string) []string { return names[:min(len(names), maxNamed)] }

// say is an error's text without its remedy, which a finding has by itself.
func say(err error) string {
	text, _, _ := strings.Cut(err.Error(), "): ")
	if text != err.Error() {
		text += ")"
	}
	return text
}

// later is the remedy of what may pass.
const later = "try again later"

// refuses reports whether an error says that the application may not.
func refuses(err error) bool {
	m := graph.MeaningOf(err)
	return m == graph.Denied || m == graph.Unauthorized
}

// remedyOf is what is known to help against an error, or else other.
func remedyOf(err error, other string) string { return cmp.Or(graph.Remedy(err), other) }
