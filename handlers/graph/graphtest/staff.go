package graphtest

import (
	"fmt"
	"slices"
	"strings"

	"chainmail/handlers/capture"
)

// The nicknames in the sample that stand for something.
const (
	sampleHeavy         = "ines.carvalho"
	sampleDeep          = "priya.raman"
	sampleIdle          = "jonas.witte"
	sampleByAlias       = "yuki.tanabe"
	sampleUnmonitored   = "nora.vance"
	sampleLeaver        = "piotr.zielinski"
	sampleElsewhere     = "claire.fontaine"
	sampleMoving        = "mikkel.aagaard"
	sampleArchived      = "greta.lindholm"
	sampleUnlicensed    = "svenja.brandt"
	sampleShared        = "accounts"
	sampleRoom          = "room.elbe"
	sampleLicensedGuest = "auditor_brightwater.example#EXT#"

	sampleGuest         = "supplier_kestrel.example#EXT#"
	sampleDenied        = "helena.marsh"
	sampleOutOfScope    = "ruth.abelson"
	sampleInactive      = "otto.lindqvist"
	sampleLapsed        = "dmitri.volkov"
	sampleSharedDeleted = "showroom"
	sampleOnPremises    = "walter.kroll"
	sampleUnprovisioned = "lucia.moreau"
)

// The identifiers of the sample's custodians that are nobody's mailbox. A security group has no address: its object id is
// what can be named.
const (
	sampleNobody = "former.employee@contoso.onmicrosoft.com"
	sampleList   = "project-aurora@contoso.onmicrosoft.com"
	sampleTeam   = "site-office@contoso.onmicrosoft.com"
)

// A person is a user of the sample. Most are licensed members with a mailbox that answers; change makes the others what
// they are.
type person struct {
	nickname, name string
	change         func(*User)
	reason         string // why they cannot be collected; empty: they can
}

// staff are the users of the sample: everyday ones, and one of each kind that a collection must tell apart.
func staff() []person {
	return []person{
		{"maren.oldenkamp", "Maren Oldenkamp", func(u *User) { u.alias("maren", "m.oldenkamp") }, ""},
		{"tobias.feldt", "Tobias Feldt", func(u *User) { u.UserType = "" }, ""}, // an account made before there were types
		{sampleHeavy, "Inês Carvalho", nil, ""},
		{sampleDeep, "Priya Raman", nil, ""},
		{sampleIdle, "Jonas Witte", nil, ""},
		{sampleByAlias, "Yuki Tanabe", func(u *User) { u.alias("y.tanabe") }, ""},
		{"rafael.monteiro", "Rafael Monteiro", nil, ""},
		{"amara.diallo", "Amara Diallo", nil, ""},
		{"leon.baptiste", "Léon Baptiste", nil, ""},
		{sampleUnlicensed, "Svenja Brandt", func(u *User) { u.Licensed = false }, ""}, // and answers all the same
		{sampleShared, "Accounts Payable", shared("shared"), ""},
		{sampleUnmonitored, "Nora Vance", nil, ""},
		{"carmen.ibarra", "Carmen Ibarra", nil, ""},
		{"joao.pinheiro", "João Pinheiro", nil, ""},
		{"anna.sokolova", "Анна Соколова", nil, ""},
		{"nadia.haddad", "نادية حداد", nil, ""},
		{"wei.zhang", "张伟", nil, ""},
		{"hugo.castellan", "Hugo Castellan", nil, ""},
		{"ayse.demir", "Ayşe Demir", nil, ""},
		{sampleLeaver, "Piotr Zieliński", func(u *User) { u.Enabled = false }, ""}, // blocked, and still there
		{sampleElsewhere, "Claire Fontaine", func(u *User) { u.DataLocation = "CAN" }, ""},
		{sampleMoving, "Mikkel Aagaard", func(u *User) { u.Moving = 3 }, ""},
		{sampleArchived, "Greta Lindholm", func(u *User) { u.Archive = true }, ""},
		{"samuel.okafor", "Samuel Okafor", func(u *User) { u.Archive = true }, ""},
		{sampleRoom, "Room Elbe", shared("room"), ""},
		{sampleLicensedGuest, "Brightwater Auditor", guest("auditor@brightwater.example"), ""},

		{sampleDenied, "Helena Marsh", problematic(ProblemDenied), capture.ReasonDenied},
		{sampleOutOfScope, "Ruth Abelson", problematic(ProblemOutOfScope), capture.ReasonDenied},
		{sampleInactive, "Otto Lindqvist", func(u *User) { u.Enabled, u.Problem = false, ProblemInactive }, capture.ReasonNoMailbox},
		{sampleLapsed, "Dmitri Volkov", func(u *User) { u.Licensed, u.Problem = false, ProblemUnauthorized }, capture.ReasonNoMailbox},
		{sampleSharedDeleted, "Showroom", func(u *User) {
			shared("shared")(u)
			u.Problem = ProblemInactive
		}, capture.ReasonNoMailbox},
		{sampleOnPremises, "Walter Kroll", func(u *User) {
			u.OnPremises, u.Licensed, u.Mailbox = true, false, nil
		}, capture.ReasonNoMailbox},
		{sampleUnprovisioned, "Lucia Moreau", func(u *User) { u.Mailbox = nil }, capture.ReasonNoMailbox}, // licensed some minutes ago
		{sampleGuest, "Kestrel Supplier", func(u *User) {
			guest("supplier@kestrel.example")(u)
			u.Licensed, u.Mailbox = false, nil
		}, capture.ReasonGuest},
	}
}

func (u *User) alias(nicknames ...string) {
	_, domain, _ := strings.Cut(u.Mail, "@")
	for _, n := range nicknames {
		u.Aliases = append(u.Aliases, n+"@"+domain)
	}
}

// shared makes a mailbox of several people, or of a room: without licence, its sign-in blocked, as is usual.
func shared(purpose string) func(*User) {
	return func(u *User) { u.Purpose, u.Enabled, u.Licensed = purpose, false, false }
}

func guest(mail string) func(*User) {
	return func(u *User) { u.UserType, u.Mail = "Guest", mail }
}

func problematic(problem string) func(*User) {
	return func(u *User) { u.Problem = problem }
}

// people makes the users, with the folders that every mailbox has, and writes down who is excluded.
func (g *generator) people() {
	for _, p := range staff() {
		address := p.nickname + "@" + g.tenant.Domain
		u := &User{
			ID: guid(fmt.Sprint(p.nickname, g.seed)), UserPrincipalName: address, Mail: address, DisplayName: g.mark(p.name),
			UserType: "Member", Enabled: true, Licensed: true,
		}
		g.mailbox(u)
		if p.change != nil {
			p.change(u)
		}
		g.tenant.Users = append(g.tenant.Users, u)
		if p.reason != "" {
			g.truth.Excluded[u.Mail] = p.reason
		}
	}
	g.groups()
	g.tenant.listed = append(g.tenant.listed, Address{g.mark("Former Employee"), sampleNobody})
	for _, a := range g.tenant.listed {
		g.truth.Excluded[a.Address] = capture.ReasonNotFound
	}
}

// groups makes a distribution list with another one in it, a Microsoft 365 group and a security group, and puts them on the
// list of individuals, where they do not belong.
func (g *generator) groups() {
	ids := func(nicknames ...string) (all []string) {
		for _, n := range nicknames {
			all = append(all, g.user(n).ID)
		}
		return all
	}
	group := func(name, mail string) *Group {
		return &Group{ID: guid(fmt.Sprint("group ", name, g.seed)), Mail: mail, DisplayName: g.mark(name)}
	}
	aurora, site := group("Project Aurora", sampleList), group("Aurora site", "")
	aurora.Members, aurora.Groups = ids("rafael.monteiro", "amara.diallo", "maren.oldenkamp", sampleMoving), []string{site.ID}
	site.Members = ids(sampleByAlias, "carmen.ibarra")
	team := group("Site Office", sampleTeam)
	team.Unified, team.Members = true, ids("maren.oldenkamp", "hugo.castellan")
	security := group("Data room readers", "")
	security.Members = ids("leon.baptiste", sampleArchived)
	g.tenant.Groups = []*Group{aurora, site, team, security}
	for _, named := range []*Group{aurora, team} {
		g.tenant.listed = append(g.tenant.listed, Address{named.DisplayName, named.Mail})
	}
	g.tenant.listed = append(g.tenant.listed, Address{security.DisplayName, security.ID})
}

// user gives a user of the sample; one that is not there is a mistake in this file.
func (g *generator) user(nickname string) *User {
	for _, u := range g.tenant.Users {
		if strings.HasPrefix(u.UserPrincipalName, nickname+"@") {
			return u
		}
	}
	panic("sample has no user " + nickname)
}

// writers are the users that write to each other. The idle one takes no part, nor do a room and one who has left.
func (g *generator) writers() []*User {
	var all []*User
	for _, u := range g.tenant.Users {
		nickname, _, _ := strings.Cut(u.UserPrincipalName, "@")
		silent := slices.Contains([]string{sampleIdle, sampleHeavy, sampleLeaver, sampleRoom}, nickname)
		if u.Mailbox != nil && u.Problem == "" && !silent {
			all = append(all, u)
		}
	}
	return all
}

func (u *User) address() Address { return Address{u.DisplayName, u.Mail} }

func (u *User) firstName() string {
	first, _, _ := strings.Cut(u.DisplayName, " ")
	return first
}
