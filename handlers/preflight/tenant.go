package preflight

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"chainmail/handlers/graph"
	"chainmail/handlers/settings"
)

// What the requirements of the data source say, word for word.
const (
	quoteLicence = `"Microsoft 365 E3 or higher is required. If you are using Microsoft 365 E3, you also need to add the ` +
		`Compliance module."`
	quoteArchive = `"The connector does NOT support collection from Archive mailboxes", and "Without Microsoft O365 Mail Archive ` +
		`Mailbox data source enabled you may miss data that is quickly archived either by a rule or manual action."`
	quoteRetention   = `"Users must set their "Deleted items retention" to at least 14 days (Microsoft default)."`
	quoteApplication = `"We strongly recommend registering a separate Azure Application for each Data Source."`
)

// Service plans by which licences show ("Product names and service plan identifiers for licensing"). Plan 2 of Exchange Online is
// what E3 and E5 have and smaller licences do not, for US governments by an id of its own; the others come with the Compliance
// module and with E5.
var (
	exchangePlans = []string{
		"efb87545-963c-4e0d-99df-69c6916d9eb0", // EXCHANGE_S_ENTERPRISE
		"8c3069c0-ccdb-44be-ab77-986203a67df2", // EXCHANGE_S_ENTERPRISE_GOV
	}
	compliancePlans = []string{
		"65cc641f-cccd-4643-97e0-a17e3045e541", // RECORDS_MANAGEMENT
		"e26c2fcc-ab91-4a61-b35c-03cdc8dddf66", // INFO_GOVERNANCE
		"41fcdd7d-4733-4863-9cf4-c65b83ce2df4", // COMMUNICATIONS_COMPLIANCE
		"2f442157-a11c-46b9-ae5b-6e39ff4e5849", // M365_ADVANCED_AUDITING
	}
)

func hasAny(plans, wanted []string) bool {
	return slices.ContainsFunc(plans, func(p string) bool { return slices.Contains(wanted, p) })
}

// licences tells who of those looked at lacks a licence that the data source requires. Who has no licence at all can be collected
// as long as the mailbox answers, as shared mailboxes do.
func (r *run) licences() {
	var lacking []string
	var told error
	var licensed, unlicensed, noE3, noCompliance int
	for _, l := range r.looks {
		switch {
		case !l.readable():
			continue
		case !l.licensed:
			unlicensed++
			continue
		case l.planErr != nil:
			told = l.planErr
			continue
		}
		licensed++
		e3, compliance := hasAny(l.plans, exchangePlans), hasAny(l.plans, compliancePlans)
		if !e3 {
			noE3++
		}
		if !compliance {
			noCompliance++
		}
		if !e3 || !compliance {
			lacking = append(lacking, l.name)
		}
	}
	if licensed == 0 {
		text := "no licensed custodian's service plans could be read"
		if told != nil {
			text += ": " + say(told)
		}
		r.found(CheckLicences, Unknown, "look at Microsoft 365 admin center → Billing → Licenses: "+quoteLicence, "%s", text)
		return
	}
	f := Finding{
		Check: CheckLicences, State: OK, Custodians: firstOf(lacking),
		Text: fmt.Sprintf("service plans of %s licensed custodians; %s more have no licence and can be collected while their "+
			"mailboxes are active", number(licensed), number(unlicensed)),
		Figures: map[string]float64{
			"licensed": float64(licensed), "unlicensed": float64(unlicensed), "custodians": float64(len(lacking)),
			"withoutE3": float64(noE3), "withoutCompliance": float64(noCompliance),
		},
	}
	if len(lacking) > 0 {
		f.State = Warning
		f.Remedy = "assign those named Microsoft 365 E3 with the Compliance module (Microsoft 365 E5 Compliance), or E5"
		f.Text += fmt.Sprintf(": %s without Exchange Online (Plan 2), as in E3 and higher, %s without a compliance plan: %s",
			number(noE3), number(noCompliance), quoteLicence)
	}
	r.add(f)
}

// archives names who is known to have an archive mailbox. That none is named proves nothing.
func (r *run) archives() {
	var names []string
	seen := map[string]bool{}
	for _, l := range r.looks {
		seen[l.of] = true
		if l.archive == graph.ArchiveFound {
			names = append(names, l.name)
		}
	}
	for _, p := range r.people {
		if p.Archive && !seen[p.Name()] {
			names = append(names, p.Name())
		}
	}
	const list = "Get-EXOMailbox -Archive -ResultSize Unlimited in Exchange Online lists all archive mailboxes"
	if len(names) == 0 {
		r.found(CheckArchives, Unknown, list, "no archive mailbox was seen beside the %s mailboxes looked at; Microsoft Graph "+
			"betrays one by the text of an error alone", number(len(r.looks)))
		return
	}
	r.add(Finding{
		Check: CheckArchives, State: Warning, Custodians: firstOf(names),
		Text:    fmt.Sprintf("%s custodians have an archive mailbox: %s", number(len(names)), quoteArchive),
		Remedy:  "collect archive mailboxes by a source of their own: Microsoft Graph does not give them; " + list,
		Figures: map[string]float64{"custodians": float64(len(names)), "lookedAt": float64(len(r.looks))},
	})
}

// retention says where the tenant's deleted item retention is to be looked up: Graph does not tell it.
func (r *run) retention() {
	const least = 14
	n := int(r.Source.DeletedItemRetention / (24 * time.Hour))
	f := Finding{
		Check: CheckRetention, State: Unknown, Figures: map[string]float64{"deletedItemRetentionInDays": float64(n)},
		Text: fmt.Sprintf("the mailboxes' deleted item retention cannot be read through Microsoft Graph; "+
			"deletedItemRetentionInDays of the source is %d", n),
		Remedy: fmt.Sprintf("in Exchange Online: Get-Mailbox -ResultSize Unlimited | where { [timespan]$_.RetainDeletedItemsFor "+
			"-lt [timespan]::FromDays(%d) } | Set-Mailbox -RetainDeletedItemsFor %[1]d; without the last part it lists them",
			max(n, least)),
	}
	if n < least {
		f.State = Warning
		f.Text += ": " + quoteRetention
		f.Remedy += "; then set deletedItemRetentionInDays to what is in force"
	}
	r.add(f)
}

// application compares the source with the others: Graph's limits count an application's requests to a mailbox.
func (r *run) application() {
	own := identity(r.Source)
	if own == "" {
		r.ok(CheckApplication, "the source signs in as no application")
		return
	}
	var shares, beside []string
	shared := 0
	for _, other := range r.others {
		if other.Source.Name == r.Source.Name || !other.Source.Enabled || identity(other.Source) != own {
			continue
		}
		if n, groups := r.common(other); n > 0 || groups > 0 {
			shares = append(shares, other.Source.Name)
			shared += n
		} else {
			beside = append(beside, other.Source.Name)
		}
	}
	remedy := "register an application for each source: " + quoteApplication
	switch {
	case len(shares) > 0:
		r.add(Finding{
			Check: CheckApplication, State: Warning, Remedy: remedy, Figures: map[string]float64{"custodians": float64(shared)},
			Text: fmt.Sprintf("source %s signs in as the same application and has custodians in common (%s by their identifiers, or by a "+
				"group): Microsoft Graph allows an application 10,000 requests in 10 minutes and 4 at once for each mailbox, which the "+
				"sources then share", strings.Join(shares, ", "), number(shared)),
		})
	case len(beside) > 0:
		r.found(CheckApplication, Warning, remedy,
			"source %s signs in as the same application, without a custodian in common", strings.Join(beside, ", "))
	default:
		r.ok(CheckApplication, "no other source signs in as this application")
	}
}

// identity is whom a source signs in as, "" for nobody.
func identity(s settings.Source) string {
	switch s.Credential.Kind {
	case "none":
		return ""
	case "managedIdentity":
		return "identity " + strings.ToLower(s.Credential.ClientID)
	}
	return strings.ToLower(s.ApplicationID)
}

// common counts the individuals and groups that another source has as well.
func (r *run) common(other Subject) (individuals, groups int) {
	theirs := map[string]bool{}
	for _, c := range other.Individuals {
		for _, n := range (individual{Custodian: c}).names() {
			theirs[n] = true
		}
	}
	for _, c := range r.Subject.Individuals {
		if slices.ContainsFunc(individual{Custodian: c}.names(), func(n string) bool { return theirs[n] }) {
			individuals++
		}
	}
	for _, g := range r.Source.Individuals.Groups {
		if slices.ContainsFunc(other.Source.Individuals.Groups, func(o string) bool { return strings.EqualFold(o, g) }) {
			groups++
		}
	}
	return individuals, groups
}
