package people

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
)

// The groups of these tests: A and B, and N that is nested in A.
const (
	groupA = "7d2c1a4e-0000-4000-8000-0000000000aa"
	groupB = "7d2c1a4e-0000-4000-8000-0000000000bb"
	groupN = "7d2c1a4e-0000-4000-8000-0000000000cc"
)

// letters writes the groups' object ids as their letters.
func letters(text string) string {
	return strings.NewReplacer(groupA, "A", groupB, "B", groupN, "N").Replace(text)
}

func idsOf(groups string) []string {
	ids := []string{}
	for _, letter := range strings.Fields(groups) {
		ids = append(ids, map[string]string{"A": groupA, "B": groupB}[letter])
	}
	return ids
}

// club is a tenant of ada, bob and eve, with empty groups.
func club() *graphtest.Tenant {
	t := tenantOf(ada, "bob@contoso.example", "eve@contoso.example")
	t.Groups = []*graphtest.Group{{ID: groupA, Groups: []string{groupN}, Contacts: []string{"contact"}}, {ID: groupB}, {ID: groupN, Devices: []string{"device"}}}
	return t
}

// enrol makes users, by the names before the @, the members of a group of the tenant.
func enrol(t *graphtest.Tenant, group int, names string) {
	t.Groups[group].Members = nil
	for _, name := range strings.Fields(names) {
		t.Groups[group].Members = append(t.Groups[group].Members, t.User(name+"@contoso.example").ID)
	}
}

// individuals are settings of groups, and of the list unless the words say otherwise.
func individuals(groups string, words ...string) map[string]any {
	in := map[string]any{"file": testList, "groups": idsOf(groups)}
	for _, word := range words {
		if word == "no list" {
			delete(in, "file")
			continue
		}
		in[word] = true
	}
	return map[string]any{"individuals": in}
}

// told are the rows as "name: intervals", by identifier, groups as letters.
func (w *world) told() string {
	w.Helper()
	people := w.people()
	var all []string
	for _, identifier := range slices.Sorted(maps.Keys(people)) {
		name, _, _ := strings.Cut(identifier, "@")
		all = append(all, name+": "+letters(show(people[identifier].Intervals.V)))
	}
	return strings.Join(all, "; ")
}

// A day is what a synchronisation of the tables below finds.
type day struct {
	a, b, n string // the members of the groups
	list    string // who stands on the list; empty: the source has none
	groups  string // the source's groups, where they are not A and B
	fault   graphtest.Fault
	of      string // the group that has the fault
}

func TestGroupsSayWhoIsMonitoredWhen(t *testing.T) {
	t.Parallel()
	outage := graphtest.Fault{Status: 503, Code: "serviceNotAvailable"}
	for _, tt := range []struct {
		name string
		days []day // the first is 5 March at noon
		want string
	}{
		{"members at first", []day{{a: "ada bob"}}, "ada: - - A; bob: - - A"},
		{"a member of a nested group", []day{{n: "ada"}}, "ada: - - A"},
		{"in a group twice over", []day{{a: "ada", n: "ada"}}, "ada: - - A"},
		{"joins", []day{{a: "ada"}, {a: "ada bob"}}, "ada: - - A; bob: 03-06T12 - A"},
		{"joins the nested group", []day{{}, {n: "bob"}}, "bob: 03-06T12 - A"},
		{"leaves", []day{{a: "ada bob"}, {a: "ada"}}, "ada: - - A; bob: - 03-06T12 left A"},
		{"the last one leaves", []day{{a: "ada"}, {}}, "ada: - 03-06T12 left A"},
		{"leaves and stays away", []day{{a: "ada"}, {}, {}, {}}, "ada: - 03-06T12 left A"},
		{"comes back", []day{{a: "ada"}, {}, {}, {a: "ada"}}, "ada: - 03-06T12 left A, 03-08T12 - A"},
		{"comes and goes", []day{{}, {a: "ada"}, {}, {a: "ada"}, {}}, "ada: 03-06T12 03-07T12 left A, 03-08T12 03-09T12 left A"},
		{"goes from one group to another", []day{{a: "ada"}, {b: "ada"}}, "ada: - 03-06T12 left A, 03-06T12 - B"},
		{"and back", []day{{b: "ada"}, {a: "ada"}, {b: "ada"}}, "ada: - 03-06T12 left B, 03-06T12 03-07T12 left A, 03-07T12 - B"},
		{"goes into a nested group", []day{{a: "ada"}, {n: "ada"}}, "ada: - - A"},
		{"in two groups", []day{{a: "ada", b: "ada"}}, "ada: - - A, - - B"},
		{"joins a second group", []day{{a: "ada"}, {a: "ada", b: "ada"}}, "ada: - - A, 03-06T12 - B"},
		{"leaves one of two", []day{{a: "ada", b: "ada"}, {b: "ada"}}, "ada: - 03-06T12 left A, - - B"},
		{"on the list and in two groups", []day{{a: "ada", b: "ada", list: "ada"}}, "ada: - - list, - - A, - - B"},
		{"from the list into a group", []day{{list: "ada bob"}, {a: "ada", list: "bob"}}, "ada: - 03-06T12 left list, 03-06T12 - A; bob: - - list"},
		{"from a group onto the list", []day{{a: "ada", list: "bob"}, {list: "ada bob"}}, "ada: - 03-06T12 left A, 03-06T12 - list; bob: - - list"},
		{"the source has the list no more", []day{{a: "ada", list: "ada bob"}, {a: "ada"}}, "ada: - 03-06T12 left list, - - A; bob: - 03-06T12 left list"},
		{"the source has a group no more", []day{{a: "ada", b: "bob"}, {a: "ada", b: "bob", groups: "A"}}, "ada: - - A; bob: - 03-06T12 left B"},
		{"the source has no group any more", []day{{a: "ada", list: "bob"}, {a: "ada", list: "bob", groups: "-"}}, "ada: - 03-06T12 left A; bob: - - list"},
		{"the source has a group again", []day{{b: "bob"}, {b: "bob", groups: "A"}, {b: "bob"}}, "bob: - 03-06T12 left B, 03-07T12 - B"},
		{"a group that does not answer changes nobody", []day{{a: "ada", b: "bob"}, {a: "eve", b: "eve", of: groupA, fault: outage}},
			"ada: - - A; bob: - 03-06T12 left B; eve: 03-06T12 - B"},
		{"when it answers again they join and leave", []day{{a: "ada"}, {a: "eve", of: groupA, fault: outage}, {a: "eve"}},
			"ada: - 03-07T12 left A; eve: 03-07T12 - A"},
		{"nor does one that is throttled", []day{{a: "ada"}, {a: "eve", of: groupA, fault: graphtest.Fault{Status: 429, Code: "TooManyRequests", RetryAfter: "1"}}},
			"ada: - - A"},
		{"nor one that is refused", []day{{a: "ada"}, {a: "eve", of: groupA, fault: graphtest.Fault{Status: 403, Code: "Authorization_RequestDenied"}}},
			"ada: - - A"},
		{"nor one that is missing", []day{{a: "ada"}, {a: "eve", of: groupA, fault: graphtest.Fault{Status: 404, Code: "Request_ResourceNotFound"}}},
			"ada: - - A"},
		{"nor one that is read in part", []day{{a: "ada"}, {a: "eve", of: groupA, fault: graphtest.Fault{Page: graphtest.PageSameRows}}}, "ada: - - A"},
		{"the list goes on without the group", []day{{a: "ada", list: "bob"}, {list: "eve", of: groupA, fault: outage}},
			"ada: - - A; bob: - 03-06T12 left list; eve: 03-06T12 - list"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, club())
			for i, d := range tt.days {
				w.day(d)
				w.tick()
				if n := w.rowsWritten(w.tick); n != 0 {
					t.Errorf("day %d: a second run writes %d rows", i, n)
				}
				w.now = w.now.AddDate(0, 0, 1)
			}
			if got := w.told(); got != tt.want {
				t.Errorf("intervals = %s\nwant %s", got, tt.want)
			}
			if v := w.graph.Violations(); len(v) > 0 {
				t.Errorf("%d rules of Graph's were broken, the first: %s", len(v), v[0])
			}
		})
	}
}

// day makes the world what a day says. A fault lasts for the day.
func (w *world) day(d day) {
	w.Helper()
	w.graph.Mutate(func(t *graphtest.Tenant) {
		enrol(t, 0, d.a)
		enrol(t, 1, d.b)
		enrol(t, 2, d.n)
	})
	if d.groups == "" {
		d.groups = "A B"
	}
	if d.list == "" {
		w.configure(individuals(strings.Trim(d.groups, "-"), "no list"))
	} else {
		w.configure(individuals(strings.Trim(d.groups, "-")))
		var all []string
		for _, name := range strings.Fields(d.list) {
			all = append(all, name+"@contoso.example,,,,")
		}
		w.list(all...)
	}
	if w.faulty != nil {
		w.faulty.Store(false)
	}
	if faulty := new(atomic.Bool); d.of != "" {
		faulty.Store(true)
		w.faulty = faulty
		w.graph.Fault(func(r graphtest.Request) bool { return r.Group == d.of && faulty.Load() }, 0, d.fault)
	}
}

func TestMembersAreFiltered(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		words []string
		want  string
	}{
		{nil, "ada: - - A; listed: - - list"},
		{[]string{"pullDisabledUsers"}, "ada: - - A; bob: - - A; listed: - - list"},
		{[]string{"pullUnlicensedUsers"}, "ada: - - A; eve: - - A; listed: - - list"},
		{[]string{"pullDisabledUsers", "pullUnlicensedUsers"}, "ada: - - A; bob: - - A; eve: - - A; listed: - - list, - - A; shared: - - A"},
	} {
		t.Run(fmt.Sprint(tt.words), func(t *testing.T) {
			t.Parallel()
			tenant := tenantOf(ada, "bob@contoso.example", "eve@contoso.example", "shared@contoso.example", "listed@contoso.example")
			tenant.Groups = []*graphtest.Group{{ID: groupA}}
			enrol(tenant, 0, "ada bob eve shared listed")
			tenant.Users[1].Enabled, tenant.Users[2].Licensed = false, false
			for _, u := range tenant.Users[3:] {
				u.Enabled, u.Licensed = false, false
			}
			w := newWorld(t, tenant)
			w.configure(individuals("A", tt.words...))
			w.list("listed@contoso.example,,,,")
			w.tick()
			if got := w.told(); got != tt.want || len(w.reasons()) != 0 {
				t.Errorf("intervals = %s\nwant %s; excluded: %v", got, tt.want, w.reasons())
			}
			w.graph.Mutate(func(t *graphtest.Tenant) { t.Users[0].Enabled, t.Users[0].Licensed = false, false })
			w.now = w.now.AddDate(0, 0, 1)
			w.tick()
			want := strings.Replace(tt.want, "ada: - - A", "ada: - 03-06T12 left A", 1)
			if len(tt.words) == 2 {
				want = tt.want
			}
			if got := w.told(); got != want {
				t.Errorf("a member who is disabled and loses the licence: %s\nwant %s", got, want)
			}
		})
	}
}

func TestANewMemberIsCalledAsTheDirectoryHasIt(t *testing.T) {
	t.Parallel()
	tenant := club()
	u := tenant.Users[0]
	u.Mail, u.Aliases, u.DisplayName, u.GivenName, u.Surname = "a.l@contoso.example", []string{"countess@contoso.example"}, "Ada Lovelace", "Ada", "Lovelace"
	enrol(tenant, 0, "ada bob")
	w := newWorld(t, tenant)
	w.configure(individuals("A", "no list"))
	w.tick()
	p := w.people()[ada]
	if !slices.Equal(p.Secondary.V, []string{"a.l@contoso.example"}) || p.DisplayName != "Ada Lovelace" || p.FirstName != "Ada" || p.LastName != "Lovelace" ||
		p.ObjectID != idOf(0) || p.Reason != "" || !p.CheckedAt.Equal(w.now) {
		t.Errorf("person = %+v", p)
	}
	if p := w.people()["bob@contoso.example"]; len(p.Secondary.V) != 0 || p.ObjectID != idOf(1) {
		t.Errorf("whose mail is the user principal name: %+v", p)
	}
	if n := w.graph.Requests()["GET /users/{id}"]; n != 0 {
		t.Errorf("%d look-ups in the directory of whom the listing told", n)
	}
}

// TestAPersonIsOneRow goes through the ways in which list and groups can mean the same person.
func TestAPersonIsOneRow(t *testing.T) {
	t.Parallel()
	grouped := func(t *graphtest.Tenant) { enrol(t, 0, "ada"); enrol(t, 1, "ada") }
	rename := func(t *graphtest.Tenant) {
		grouped(t)
		t.Users[0].UserPrincipalName, t.Users[0].Mail, t.Users[0].Aliases = "king@contoso.example", "king@contoso.example", nil
	}
	for _, tt := range []struct {
		name   string
		list   []string                    // day by day; empty: nobody but bob
		groups []func(t *graphtest.Tenant) // day by day; the last one stays
		want   string
	}{
		{"by the user principal name in another case", []string{"ADA@Contoso.example,,,,"}, nil, "ADA: - - list, - - A, - - B"},
		{"by the address", []string{"a.l@contoso.example,,,,"}, nil, "a.l: - - list, - - A, - - B"},
		{"by an alias", []string{"countess@contoso.example,,,,"}, nil, "countess: - - list, - - A, - - B"},
		{"by a secondary identifier", []string{"a@old.example,COUNTESS@contoso.example,,,"}, nil, "a: - - list, - - A, - - B"},
		{"first on the list, by the object id", []string{"countess@contoso.example,,,,"}, []func(*graphtest.Tenant){func(*graphtest.Tenant) {}, rename},
			"countess: - - list, 03-06T12 - A, 03-06T12 - B"},
		{"first in the group, then listed by name", []string{"", "Ada@contoso.example,,,,"}, nil, "ada: - - A, - - B, 03-06T12 - list"},
		{"first in the group, then listed by address", []string{"", "a.l@contoso.example,,,,"}, nil, "ada: - - A, - - B, 03-06T12 - list"},
		{"first in the group, then listed by alias", []string{"", "countess@contoso.example,,,,"}, nil, "ada: - - A, - - B, 03-06T12 - list"},
		{"left the groups, then listed by address", []string{"", "", "a.l@contoso.example,,,,"}, []func(*graphtest.Tenant){grouped, func(t *graphtest.Tenant) {
			enrol(t, 0, "")
			enrol(t, 1, "")
		}}, "ada: - 03-06T12 left A, - 03-06T12 left B, 03-07T12 - list"},
		{"listed by alias until it leaves the groups", []string{"", "countess@contoso.example,,,,", "countess@contoso.example,,,,"},
			[]func(*graphtest.Tenant){grouped, grouped, func(t *graphtest.Tenant) { enrol(t, 0, ""); enrol(t, 1, "") }},
			"ada: - 03-07T12 left A, - 03-07T12 left B, 03-06T12 - list"},
		{"renamed in the group", nil, []func(*graphtest.Tenant){grouped, rename}, "ada: - - A, - - B"},
		{"renamed on the list", []string{"ada@contoso.example,,,,"}, []func(*graphtest.Tenant){grouped, rename}, "ada: - - list, - - A, - - B"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tenant := club()
			tenant.Users[0].Mail, tenant.Users[0].Aliases = "a.l@contoso.example", []string{"countess@contoso.example"}
			w := newWorld(t, tenant)
			w.configure(individuals("A B"))
			for i := range max(len(tt.list), len(tt.groups)) {
				change, text := grouped, ""
				if len(tt.groups) > 0 {
					change = tt.groups[min(i, len(tt.groups)-1)]
				}
				if len(tt.list) > 0 {
					text = tt.list[min(i, len(tt.list)-1)]
				}
				w.graph.Mutate(change)
				w.list("bob@contoso.example,,,,", text)
				w.tick()
				w.now = w.now.AddDate(0, 0, 1)
			}
			if got := strings.Replace(strings.Replace(w.told(), "; bob: - - list", "", 1), "bob: - - list; ", "", 1); got != tt.want || len(w.reasons()) > 0 {
				t.Errorf("rows = %s\nwant %s; excluded: %v", got, tt.want, w.reasons())
			}
			w.now = w.now.Add(time.Hour - 24*time.Hour)
			if n := w.rowsWritten(w.tick); n != 0 {
				t.Errorf("another run writes %d rows", n)
			}
		})
	}
}

func TestARenamedMemberIsKnownByTheNewNames(t *testing.T) {
	t.Parallel()
	tenant := club()
	enrol(tenant, 0, "ada")
	w := newWorld(t, tenant)
	w.configure(individuals("A", "no list"))
	w.tick()
	w.graph.Mutate(func(t *graphtest.Tenant) {
		t.Users[0].UserPrincipalName, t.Users[0].Mail, t.Users[0].DisplayName = "king@contoso.example", "ada.king@contoso.example", "Ada King"
	})
	w.tick()
	if p := w.people()[ada]; p.DisplayName != "Ada King" || !slices.Equal(p.Secondary.V, []string{"king@contoso.example", "ada.king@contoso.example"}) {
		t.Errorf("person = %+v", p)
	}
}

// TestAnAddressThatPassesOnTakesNobodysRow holds that a row from a group is a person's, whoever has their address now.
func TestAnAddressThatPassesOnTakesNobodysRow(t *testing.T) {
	t.Parallel()
	tenant := club()
	enrol(tenant, 0, "ada")
	w := newWorld(t, tenant)
	w.configure(individuals("A", "no list"))
	w.tick()
	w.graph.Mutate(func(t *graphtest.Tenant) { // ada leaves the tenant, and eve has her name
		t.Users[2].UserPrincipalName, t.Users[2].Mail, t.Users[2].Aliases = ada, "eve@contoso.example", nil
		t.Groups[0].Members = []string{t.Users[2].ID}
		t.Users = t.Users[1:]
	})
	w.now = w.now.AddDate(0, 0, 1)
	w.tick()
	people := w.people()
	if got := w.told(); got != "ada: - 03-06T12 left A; eve: 03-06T12 - A" || people[ada].ObjectID != idOf(0) || people["eve@contoso.example"].ObjectID != idOf(2) {
		t.Errorf("rows = %s, %+v", got, people)
	}
	if people[ada].Reason != capture.ReasonNotFound || people["eve@contoso.example"].Reason != "" {
		t.Errorf("excluded: %v", w.reasons())
	}
}

func TestTheListsWordAboutAMemberCounts(t *testing.T) {
	t.Parallel()
	tenant := club()
	tenant.Users[0].DisplayName, tenant.Users[0].GivenName = "Ada Lovelace", "Ada"
	enrol(tenant, 0, "ada")
	w := newWorld(t, tenant)
	w.configure(individuals("A"))
	for _, step := range []struct{ list, display, first string }{
		{ada + ",x@contoso.example,The Countess,,", "The Countess", "Ada"},
		{ada + ",x@contoso.example,,,", "Ada Lovelace", "Ada"},
	} {
		w.list(step.list)
		w.tick()
		if p := w.people()[ada]; p.DisplayName != step.display || p.FirstName != step.first || !slices.Equal(p.Secondary.V, []string{"x@contoso.example"}) {
			t.Errorf("with %s: %+v", step.list, p)
		}
	}
}

func TestGuestsOfAGroupGoByTheirLicence(t *testing.T) {
	t.Parallel()
	tenant := club()
	enrol(tenant, 0, "ada bob")
	tenant.Users[0].UserType, tenant.Users[1].UserType = "Guest", "Guest"
	tenant.Users[0].Licensed = false
	w := newWorld(t, tenant)
	w.configure(individuals("A", "no list", "pullUnlicensedUsers"))
	w.tick()
	if got := w.reasons(); !maps.Equal(got, map[string]string{ada: capture.ReasonGuest}) {
		t.Errorf("excluded: %v", got)
	}
	w.graph.Mutate(func(t *graphtest.Tenant) { t.Users[0].Licensed = true })
	w.tick()
	if got := w.reasons(); len(got) != 0 {
		t.Errorf("with a licence: excluded: %v", got)
	}
}

func TestAGroupThatCannotBeReadIsTheSourcesLastError(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*graphtest.Tenant)
		fault  graphtest.Fault
		words  string
	}{
		"missing": {change: func(t *graphtest.Tenant) { t.Groups = t.Groups[1:] }, words: "the tenant has no such group"},
		"refused": {fault: graphtest.Fault{Status: 403, Code: "Authorization_RequestDenied"}, words: "GroupMember.Read.All"},
		"hidden": {change: func(t *graphtest.Tenant) {
			t.Groups[0].Visibility = graphtest.HiddenMembership
			t.Groups[0].Groups = nil
		},
			words: "Member.Read.Hidden"},
		"out of order": {fault: graphtest.Fault{Status: 503, Code: "serviceNotAvailable"}, words: "serviceNotAvailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, club())
			w.day(day{a: "ada", b: "bob"})
			w.tick()
			w.now = w.now.AddDate(0, 0, 1)
			w.day(day{a: "ada", b: "bob eve", of: groupA, fault: tt.fault})
			if tt.change != nil {
				w.graph.Mutate(tt.change)
			}
			w.tick()
			if got := w.told(); got != "ada: - - A; bob: - - B; eve: 03-06T12 - B" {
				t.Errorf("intervals = %s", got)
			}
			row, err := w.ledger.Source(t.Context(), testSource)
			if s := row.Value; err != nil || s.LastError != "GroupUnreadable" || !s.LastErrorAt.Equal(w.now) || !s.PeopleAt.Equal(w.now) || s.Trouble != "" {
				t.Errorf("source = %+v, %v", s, err)
			}
			said := w.log.Events("group not read")
			if len(said) != 1 || said[0]["group"] != groupA || said[0]["source"] != testSource || !strings.Contains(fmt.Sprint(said[0]["error"]), tt.words) {
				t.Errorf("logged: %v", said)
			}
		})
	}
}

// TestAtFirstEveryGroupMustBeReadable holds that nothing is planned before all members are known: they are monitored from the
// beginning.
func TestAtFirstEveryGroupMustBeReadable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, club())
	w.day(day{a: "ada", b: "bob", list: "eve", of: groupA, fault: graphtest.Fault{Status: 403, Code: "Authorization_RequestDenied"}})
	if err := w.log.Error(w.registry.Tick(t.Context())); err == nil || !strings.Contains(err.Error(), "every group must be readable") {
		t.Errorf("tick: %v", err)
	}
	row, err := w.ledger.Source(t.Context(), testSource)
	if s := row.Value; err != nil || s.LastError != "GroupUnreadable" || !s.PeopleAt.IsZero() {
		t.Errorf("source = %+v, %v", s, err)
	}
	w.now = w.now.AddDate(0, 0, 1)
	w.day(day{a: "ada", b: "bob", list: "eve"})
	w.tick()
	if got := w.told(); got != "ada: - - A; bob: - - B; eve: - - list" {
		t.Errorf("intervals = %s", got)
	}
}

func TestAGroupIsTheSameInAnyCase(t *testing.T) {
	t.Parallel()
	tenant := club()
	enrol(tenant, 0, "ada")
	w := newWorld(t, tenant)
	for _, ids := range [][]string{{groupA}, {strings.ToUpper(groupA)}, {groupA, strings.ToUpper(groupA)}} {
		w.configure(map[string]any{"individuals": map[string]any{"groups": ids}})
		w.tick()
		if got := w.told(); got != "ada: - - A" {
			t.Errorf("with %v: intervals = %s", ids, got)
		}
		w.now = w.now.AddDate(0, 0, 1)
	}
}

func TestASynchronisationOfGroupsThatIsCutIsMadeGood(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		w := newWorld(t, club())
		w.day(day{a: "ada bob", b: "ada"})
		w.tick()
		w.now = w.now.AddDate(0, 0, 1)
		w.day(day{a: "eve", b: "ada bob"})
		cut := w.cutTick(n)
		w.tick()
		if got := w.told(); got != "ada: - 03-06T12 left A, - - B; bob: - 03-06T12 left A, 03-06T12 - B; eve: 03-06T12 - A" {
			t.Errorf("write %d: intervals = %s", n, got)
		}
		if !cut {
			if n < 3 {
				t.Errorf("only %d writes were cut", n)
			}
			return
		}
	}
}
