package preflight

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/settings"
)

func TestASourceThatIsReadyHasNothingButWhatGraphCannotTell(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	result := w.check()
	var checks []string
	for _, f := range result.Findings {
		checks = append(checks, f.Check)
		want := OK
		if f.Check == CheckArchives || f.Check == CheckRetention {
			want = Unknown
		}
		if f.State != want {
			t.Errorf("%s is %s, want %s: %s", f.Check, f.State, want, f.Text)
		}
	}
	want := []string{
		CheckSignIn, CheckCredential, CheckDirectory, CheckMail, CheckCalendars, CheckGroups, CheckExcess, CheckScope, CheckRefused,
		CheckLicences, CheckArchives, CheckRetention, CheckApplication, CheckIndividuals, CheckForecast,
	}
	if !slices.Equal(checks, want) {
		t.Errorf("checked %v, want %v", checks, want)
	}
	finding(t, result, CheckScope, OK, outsider)
	finding(t, result, CheckCredential, OK, "2026-01-01", "2026-12-31")
	for _, template := range []string{"/users/{id}/messages/{id}", "/users/{id}/messages/{id}/$value"} {
		if n := w.server.Requests()["GET "+template]; n != 0 {
			t.Errorf("%d mails were read", n)
		}
	}
}

func TestEachCheckTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	without := func(w *world, permission string) {
		drop := func(p string) bool { return p == permission }
		w.options.Permissions = slices.DeleteFunc(w.options.Permissions, drop)
		w.options.Scoped = slices.DeleteFunc(w.options.Scoped, drop)
	}
	for name, tt := range map[string]struct {
		change func(w *world)
		check  string
		state  State
		words  []string
	}{
		"a wrong secret": {func(w *world) { w.subject.Source.Credential.Secret = settings.NewSecret("another") },
			CheckSignIn, Fault, []string{"AADSTS7000215", "copy the secret's Value"}},
		"an expired secret": {func(w *world) { w.tenant.Apps[0].SecretExpired = true },
			CheckSignIn, Fault, []string{"AADSTS7000222", "make a new one"}},
		"an unknown application": {func(w *world) { w.subject.Source.ApplicationID = outsider },
			CheckSignIn, Fault, []string{"AADSTS700016", "Application (client) ID"}},
		"an unknown tenant": {func(w *world) { w.subject.Source.Domain = "fabrikam.example" },
			CheckSignIn, Fault, []string{"AADSTS90002", "domain"}},
		"a sign-in out of reach": {func(w *world) { w.root = "https://127.0.0.1:1" },
			CheckSignIn, Fault, []string{"SignInUnreachable", "network"}},
		"no certificate": {func(w *world) { w.subject.Source.Credential.Kind = "certificate" },
			CheckSignIn, Fault, []string{"CertificateUnreadable", "PEM"}},
		"no sign-in, no more": {func(w *world) { w.tenant.Apps = nil },
			CheckForecast, Unknown, []string{"sign-in"}},
		"a token that cannot be read": {func(w *world) { w.credential, w.options.Anonymous = opaque{}, true },
			CheckSignIn, OK, []string{"none that can be read"}},

		"a secret near its end": {func(w *world) { w.tenant.Apps[0].SecretTo = w.checker.Now().AddDate(0, 0, 12) },
			CheckCredential, Warning, []string{"in 12 days", "Value"}},
		"a secret that nobody may read": {func(w *world) { without(w, "Application.Read.All") },
			CheckCredential, Unknown, []string{"Application.Read.All", "Certificates & secrets"}},
		"a secret that is not shown": {func(w *world) { w.tenant.Apps[0].SecretTo = time.Time{} },
			CheckCredential, Unknown, []string{"0 of the registration", "Expires"}},
		"a certificate": {func(w *world) { certified(w, 300) },
			CheckCredential, OK, []string{"the certificate holds from"}},
		"a certificate near its end": {func(w *world) { certified(w, 20) },
			CheckCredential, Warning, []string{"in 19 days", "public part"}},

		"no User.Read.All": {func(w *world) { without(w, "User.Read.All") },
			CheckDirectory, Fault, []string{"User.Read.All", "admin consent"}},
		"a directory that fails": {func(w *world) { w.stuck("GET /users", 503, "ServiceUnavailable") },
			CheckDirectory, Unknown, []string{"503"}},

		"no Mail.Read": {func(w *world) { without(w, "Mail.Read") },
			CheckMail, Fault, []string{"none of the 3", "Mail.Read", "RBAC"}},
		"no properties": {func(w *world) { w.stuck("GET /users/{id}/messages", 403, "ErrorAccessDenied") },
			CheckMail, Fault, []string{"Mail.ReadBasic.All is not enough"}},
		"401 for want of a permission": {func(w *world) { problem(w, graphtest.ProblemUnconsented) },
			CheckMail, Fault, []string{"refused it", "Mail.Read"}},
		"mail that fails": {func(w *world) { w.stuck("GET /users/{id}/messages", 503, "ErrorMailboxStoreUnavailable") },
			CheckMail, Unknown, []string{"try again"}},
		"no mailbox": {func(w *world) { problem(w, graphtest.ProblemInactive) },
			CheckMail, Unknown, []string{"individuals"}},

		"no Calendars.Read": {func(w *world) { without(w, "Calendars.Read") },
			CheckCalendars, Fault, []string{"Calendars.Read", `["email"]`}},
		"calendars without their texts": {func(w *world) {
			w.options.Permissions = append(w.options.Permissions, "Calendars.ReadBasic.All")
		},
			CheckCalendars, Warning, []string{"ReadBasic"}},
		"calendars that fail": {func(w *world) { w.stuck("GET /users/{id}/calendars", 503, "ErrorServerBusy") },
			CheckCalendars, Unknown, []string{"try again"}},
		"no calendars to try": {func(w *world) { problem(w, graphtest.ProblemInactive) },
			CheckCalendars, Unknown, []string{"no mailbox"}},
		"no GroupMember.Read.All": {func(w *world) { without(w, "GroupMember.Read.All") },
			CheckGroups, Fault, []string{"GroupMember.Read.All", groupID}},
		"no such group": {func(w *world) { w.tenant.Groups = nil },
			CheckGroups, Fault, []string{"no such group", groupID}},
		"a group that hides": {func(w *world) { w.tenant.Groups[0].Visibility = graphtest.HiddenMembership },
			CheckGroups, Fault, []string{"Member.Read.Hidden"}},
		"groups that fail": {func(w *world) {
			w.stuck("GET /groups/{id}/transitiveMembers/microsoft.graph.user", 503, "ServiceUnavailable")
		},
			CheckGroups, Unknown, []string{"try again"}},

		"rights to change": {func(w *world) {
			w.options.Permissions = append(w.options.Permissions, "Mail.ReadWrite", "Mail.Send", "Files.Read.All")
		},
			CheckExcess, Warning, []string{"Mail.ReadWrite, Mail.Send (with which evidence could be changed", "Files.Read.All", "consent"}},
		"rights for what is not collected": {func(w *world) {
			w.subject.Source.CollectCalendar, w.options.Permissions = false, append(w.options.Permissions, "Calendars.Read")
		}, CheckExcess, Warning, []string{"Calendars.Read"}},
		"rights that cannot be read": {func(w *world) { w.credential, w.options.Anonymous = opaque{}, true },
			CheckExcess, Unknown, []string{"API permissions"}},

		"an application that is let in everywhere": {func(w *world) { w.user(outsider).Problem = "" },
			CheckScope, Warning, []string{outsider, "New-ManagementScope", "New-ManagementRoleAssignment", "union"}},
		"a scope that was not asked for": {func(w *world) {
			w.checker.Outsider, w.options.Permissions = false, append(w.options.Permissions, "Mail.Read")
		}, CheckScope, Unknown, []string{"whole tenant", "Test-ServicePrincipalAuthorization"}},
		"nobody outside": {func(w *world) { w.user(outsider).Licensed = false },
			CheckScope, Unknown, []string{"no user beside"}},
		"an outsider of another source": {func(w *world) {
			w.others = []Subject{{Source: settings.Source{Name: "b"}, Individuals: []capture.Custodian{{ID: outsider}}}}
		}, CheckScope, Unknown, []string{"no user beside"}},
		"nobody is let in": {func(w *world) { problem(w, graphtest.ProblemOutOfScope) },
			CheckScope, Unknown, []string{"everybody else"}},
		"an outsider without mailbox": {func(w *world) { w.user(outsider).Problem = graphtest.ProblemInactive },
			CheckScope, Unknown, []string{"of 1 users", "MailboxNotEnabledForRESTAPI"}},

		"a custodian out of scope": {func(w *world) { w.tenant.Users[2].Problem = graphtest.ProblemDenied },
			CheckRefused, Warning, []string{"1 individuals", "nested groups", "desk"}},
		"nobody to refuse": {func(w *world) {
			problem(w, graphtest.ProblemInactive)
			w.list("nobody@contoso.onmicrosoft.com")
			w.tenant.Groups[0].Members = nil
		},
			CheckRefused, Unknown, []string{"no individual's mailbox"}},

		"no Compliance module": {func(w *world) { w.tenant.Users[1].Plans = nil },
			CheckLicences, Warning, []string{
				"Microsoft 365 E3 or higher is required. If you are using Microsoft 365 E3, you also need to add the Compliance module.",
				"0 without Exchange Online (Plan 2)", "1 without a compliance plan"}},
		"licences that fail": {func(w *world) {
			w.begun = func() {
				plans := func(r graphtest.Request) bool { return strings.Contains(r.Query, "assignedPlans") }
				w.server.Fault(plans, 0, graphtest.Fault{Status: 503, Code: "ServiceUnavailable"})
			}
		}, CheckLicences, Unknown, []string{"503", "Billing"}},

		"an archive mailbox": {func(w *world) { w.tenant.Users[1].Archive = true }, CheckArchives, Warning,
			[]string{"does NOT support collection from Archive mailboxes", "quickly archived", "1 custodians"}},
		"an archive known from before": {func(w *world) {
			w.checker.Looks = 1
			w.subject.Individuals[1].ID, w.subject.Individuals[1].Archive = w.tenant.Users[1].ID, true
		}, CheckArchives, Warning, []string{"1 custodians"}},
		"a short retention": {func(w *world) { w.subject.Source.DeletedItemRetention = 7 * 24 * time.Hour },
			CheckRetention, Warning, []string{"is 7", "at least 14 days", "Set-Mailbox -RetainDeletedItemsFor 14"}},
		"any retention": {func(w *world) { w.subject.Source.DeletedItemRetention = 30 * 24 * time.Hour },
			CheckRetention, Unknown, []string{"is 30", "Get-Mailbox -ResultSize Unlimited", "FromDays(30)"}},

		"an application with custodians in common": {func(w *world) { w.beside(w.tenant.Users[1].Mail) },
			CheckApplication, Warning, []string{"source b", "10,000 requests", "strongly recommend"}},
		"an application with a group in common": {func(w *world) {
			w.beside()
			w.others[0].Source.Individuals.Groups = []string{strings.ToUpper(groupID)}
		}, CheckApplication, Warning, []string{"by a group"}},
		"an application of two sources": {func(w *world) { w.beside("zoe@fabrikam.example") },
			CheckApplication, Warning, []string{"without a custodian in common"}},
		"an application of a source at rest": {func(w *world) {
			w.beside(w.tenant.Users[1].Mail)
			w.others[0].Source.Enabled = false
		}, CheckApplication, OK, nil},

		"an individual whom nobody knows": {func(w *world) { w.list(w.tenant.Users[0].Mail, "former@contoso.onmicrosoft.com") },
			CheckIndividuals, Warning, []string{"NotFound: 1", "unresolved-", "identifier"}},
		"an individual without mailbox": {func(w *world) { w.tenant.Users[1].Problem = graphtest.ProblemInactive },
			CheckIndividuals, Warning, []string{"NoMailbox: 1", "license"}},
		"a guest": {func(w *world) { u := w.tenant.Users[1]; u.UserType, u.Licensed = "Guest", false },
			CheckIndividuals, Warning, []string{"UnlicensedGuest: 1", "own tenant"}},
		"an individual twice": {func(w *world) { w.list(w.tenant.Users[0].Mail, w.tenant.Users[0].ID) },
			CheckIndividuals, Warning, []string{"Duplicate: 1", "one of the rows"}},
		"a reason known from before": {func(w *world) {
			w.checker.Looks = 1
			w.subject.Individuals[1].Reason = capture.ReasonNoMailbox
		}, CheckIndividuals, Warning, []string{"3 individuals; of 1 looked at 1 can be collected, 1 NoMailbox"}},
		"a reason that has ended": {func(w *world) {
			w.subject.Individuals[1].Reason = capture.ReasonNoMailbox
		}, CheckIndividuals, OK, []string{"of 3 looked at 3 can be collected"}},
		"rows that are none": {func(w *world) { w.subject.Rejected = 3 },
			CheckIndividuals, Warning, []string{"3 rows", "lines"}},
		"nobody to collect": {func(w *world) { problem(w, graphtest.ProblemInactive) },
			CheckIndividuals, Fault, []string{"0 can be collected, 3 NoMailbox"}},
		"nobody on the list": {func(w *world) { w.list(); w.tenant.Groups[0].Members = nil },
			CheckIndividuals, Fault, []string{"nobody is monitored"}},
		"nobody in the period": {func(w *world) {
			w.list(w.tenant.Users[0].Mail)
			w.subject.Source.Individuals.Groups = nil
			w.subject.Individuals[0].From = w.subject.Source.EndDate
		}, CheckIndividuals, Fault, []string{"from and to"}},
		"individuals of a group unread": {func(w *world) { w.list(); w.tenant.Groups = nil },
			CheckIndividuals, Unknown, []string{"see to the groups"}},
		"mailboxes that fail": {func(w *world) { problem(w, graphtest.ProblemStore) },
			CheckIndividuals, Unknown, []string{"try again"}},
		"nothing to forecast": {func(w *world) { problem(w, graphtest.ProblemStore) },
			CheckForecast, Unknown, []string{"try again"}},
		"no mail in the period": {func(w *world) {
			before := w.checker.Now().AddDate(-1, 0, 0)
			w.subject.Source.StartDate, w.subject.Source.EndDate = before, before.AddDate(0, 0, 3)
		},
			CheckForecast, Unknown, []string{"no email", "startDate"}},
		"lists that fail": {func(w *world) { w.stuck("GET /users/{id}/mailFolders/delta", 503, "ErrorServerBusy") },
			CheckForecast, Unknown, []string{"503"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.change(w)
			words := slices.Clone(tt.words)
			for i := range words {
				if words[i] == "desk" {
					words[i] = w.tenant.Users[2].ID
				}
			}
			result := w.check()
			finding(t, result, tt.check, tt.state, words...)
			if got := result.Has(Fault); tt.state == Fault && !got {
				t.Error("the result does not say that there is a fault")
			}
		})
	}
}

// problem puts everybody's mailbox out of reach.
func problem(w *world, what string) {
	for _, u := range w.tenant.Users {
		u.Problem = what
	}
}

func certified(w *world, days int) {
	leaf, text := certificate(w.T, days)
	w.tenant.Apps[0].Certificates = append(w.tenant.Apps[0].Certificates, leaf)
	w.subject.Source.Credential.Kind, w.subject.Source.Credential.Secret = "certificate", settings.NewSecret(text)
	w.checker.Now = time.Now
}

func (w *world) user(id string) *graphtest.User { return w.tenant.User(id) }

// beside gives the application another source, with a list of those individuals.
func (w *world) beside(identifiers ...string) {
	s := Subject{Source: settings.Source{Name: "b", Enabled: true, ApplicationID: strings.ToUpper(w.subject.Source.ApplicationID)}}
	s.Source.Credential.Kind = "certificate"
	for _, id := range identifiers {
		s.Individuals = append(s.Individuals, capture.Custodian{Individual: capture.Individual{Identifier: strings.ToUpper(id)}})
	}
	w.others = append(w.others, s)
}

func TestAForecastOfAPeriodThatIsListedInFullIsTheTruth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	day := capture.Window{Start: w.subject.Source.StartDate, End: w.subject.Source.EndDate}
	owed := w.truth.InScope(day, false)
	var bytes float64
	for _, item := range owed {
		m, _ := w.user(item.UserID).Find(item.ImmutableID)
		bytes += float64(m.Size)
	}
	f := finding(t, w.check(), CheckForecast, OK, "calendars are not counted", "Graph's limit")
	if got := f.Figures["items"]; got != float64(len(owed)) || got == 0 {
		t.Errorf("forecast of %v items, there are %d", got, len(owed))
	}
	if got, want := f.Figures["gigabytes"], round(bytes/1e9); got != want || got == 0 {
		t.Errorf("forecast of %v GB, there are %v", got, want)
	}
	if got := f.Figures["itemErrorInPercent"]; got != 0 {
		t.Errorf("±%v %% where all mailboxes were listed", got)
	}
	requests := float64(len(owed)) + 3*listingRequests // a batch of 24 windows
	if got, want := f.Figures["hoursPerLane"], round(requests/sideBySide/requestsPerHour); got != want {
		t.Errorf("%v hours for the lane, want %v", got, want)
	}
}

func TestAForecastGoesFromASampleOfMailboxesAndDaysToAllOfThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.subject.Source.Individuals.Groups = nil
	w.list(w.crowd(40)...)
	w.subject.Source.StartDate = time.Date(2026, 2, 3, 0, 0, 0, 0, time.UTC) // so that the day with mail is listed
	w.subject.Source.EndDate = w.subject.Source.StartDate.AddDate(0, 0, 70)
	w.checker.Sample = 10
	f := finding(t, w.check(), CheckForecast, OK, "±", "10 mailboxes")
	for figure, want := range map[string]float64{"mailboxes": 40, "mailboxesListed": 10, "days": 70, "daysListed": 7} {
		if f.Figures[figure] != want {
			t.Errorf("%s is %v, want %v", figure, f.Figures[figure], want)
		}
	}
	if got, want := f.Figures["items"], math.Round(f.Figures["itemsListed"]*4*10); got != want {
		t.Errorf("%v items from %v that were listed, want %v", got, f.Figures["itemsListed"], want)
	}
	if f.Figures["itemsListed"] == 0 {
		t.Error("the test's day with mail was not listed")
	}
}

func TestTheErrorOfASampleIsThatOfStatistics(t *testing.T) {
	t.Parallel()
	sample := []volume{{items: 10}, {items: 20}, {items: 30}} // mean 20, standard deviation 10
	for mailboxes, want := range map[float64]float64{
		1e9: 2 * 10 / math.Sqrt(3) / 20, 3: 0, 12: 2 * 10 / math.Sqrt(3) / 20 * math.Sqrt(0.75),
	} {
		if got := sampleError(sample, mailboxes); math.Abs(got-want) > 1e-6 {
			t.Errorf("error %v of 3 among %v mailboxes, want %v", got, mailboxes, want)
		}
	}
	if got := sampleError(sample[:1], 9); got >= 0 {
		t.Errorf("error %v of a single mailbox", got)
	}
}

func TestListedDaysAreEachAnotherWeekdayWithinThePeriod(t *testing.T) {
	t.Parallel()
	start := time.Date(2024, 5, 7, 6, 0, 0, 0, time.UTC)
	for n := 8; n < 800; n++ {
		p := period{sampled: capture.Window{Start: start, End: start.AddDate(0, 0, n)}}
		weekdays := map[time.Weekday]bool{}
		for _, w := range p.days() {
			weekdays[w.Start.Weekday()] = true
			if w.Start.Before(p.sampled.Start) || w.End.After(p.sampled.End) || w.Duration() != 24*time.Hour {
				t.Fatalf("of %d days %v is listed", n, w)
			}
		}
		if len(weekdays) != 7 {
			t.Fatalf("of %d days %v are listed", n, weekdays)
		}
	}
}

func TestThePeriodIsThatOfTheSourceAsFarAsItCanBeTold(t *testing.T) {
	t.Parallel()
	const d = 24 * time.Hour
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct{ start, end, from, to, length time.Duration }{ // from now; 1 is none
		"over":            {-10 * d, -2 * d, -10 * d, -2 * d, 8 * d},
		"under way":       {-10 * d, 5 * d, -10 * d, 0, 15 * d},
		"ahead":           {2 * d, 5 * d, -30 * d, 0, 3 * d},
		"since":           {-10 * d, 1, -10 * d, 0, 10 * d},
		"live":            {1, 1, -30 * d, 0, 30 * d},
		"until":           {1, 5 * d, -30 * d, 0, 5 * d},
		"live later":      {2 * d, 1, -30 * d, 0, 30 * d},
		"without a start": {1, -5 * d, -35 * d, -5 * d, 30 * d},
	} {
		var s settings.Source
		if tt.start != 1 {
			s.StartDate = now.Add(tt.start)
		}
		if tt.end != 1 {
			s.EndDate = now.Add(tt.end)
		}
		p := periodOf(s, now)
		if want := (capture.Window{Start: now.Add(tt.from), End: now.Add(tt.to)}); p.sampled != want || p.length != tt.length {
			t.Errorf("%s: %v long, from %v; want %v, from %v", name, p.length, p.sampled, tt.length, want)
		}
	}
}

func TestManyIndividualsAreSampledWithinBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.subject.Source.Individuals.Groups = nil
	w.list(w.crowd(10_000)...)
	var looked int
	w.checker.Progress = func(stage string, _, of int) {
		if stage == "mailboxes" {
			looked = of
		}
	}
	result := w.check()
	f := finding(t, result, CheckIndividuals, OK, "10,000 individuals; of 200 looked at 200 can be collected")
	if f.Figures["lookedAt"] != 200 || looked != 200 {
		t.Errorf("looked at %v, %d by the progress, want 200", f.Figures["lookedAt"], looked)
	}
	if f := finding(t, result, CheckForecast, OK, "10,000 mailboxes"); f.Figures["mailboxesListed"] != 20 {
		t.Errorf("listed %v mailboxes, want 20", f.Figures["mailboxesListed"])
	}
	all := 0
	for _, n := range w.server.Requests() {
		all += n
	}
	if all > 1300 { // four for each look, 14 for each listing
		t.Errorf("%d requests", all)
	}
	if f := finding(t, result, CheckLicences, Warning); len(f.Custodians) != maxNamed || f.Figures["custodians"] != 200 {
		t.Errorf("%d custodians named of %v", len(f.Custodians), f.Figures["custodians"])
	}
	if text := textOf(result); !strings.Contains(text, "and 192 more") {
		t.Errorf("the text does not say how many more there are:\n%s", text)
	}
}

func TestLooksEndSoonWhereNoneIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.subject.Source.Individuals.Groups = nil
	w.list(w.crowd(100)...)
	problem(w, graphtest.ProblemStore)
	f := finding(t, w.check(), CheckIndividuals, Unknown, "nothing could be told", "ErrorMailboxStoreUnavailable")
	if n := f.Figures["lookedAt"]; n < givesUpAfter || n > givesUpAfter+looksAtOnce {
		t.Errorf("looked at %v mailboxes that do not answer", n)
	}
}

func TestNoMailboxIsBegunWhenTheTimeIsUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.checker.Now()
	w.checker.Now = func() time.Time { at = at.Add(time.Minute); return at } // looks are begun by one goroutine
	w.checker.Time = 2 * time.Minute
	f := finding(t, w.check(), CheckIndividuals, OK)
	if f.Figures["lookedAt"] != 1 {
		t.Errorf("looked at %v, want 1", f.Figures["lookedAt"])
	}
}

func TestAResultIsWrittenInLowerCamelCase(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(newWorld(t).check())
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Source   string
		At       time.Time
		Findings []map[string]any
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got.Source != "o365-mail" || got.At.IsZero() || got.Findings[0]["check"] != "signIn" || got.Findings[0]["state"] != "ok" {
		t.Errorf("%s", data)
	}
	for _, f := range got.Findings {
		for key := range f {
			if !slices.Contains([]string{"check", "state", "text", "remedy", "figures", "custodians"}, key) {
				t.Errorf("key %s", key)
			}
		}
	}
}
