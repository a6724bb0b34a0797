package graphtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"chainmail/handlers/capture"
)

// Canary is a word that stands in everything which must never leave the evidence: [Small] and [Planted] put it there.
const Canary = "zeisig"

// smallPlaces are the folders of a small tenant's mailboxes, each with how many mails lie there: what is in scope, and what
// is not.
var smallPlaces = []struct {
	path  string
	mails int
}{
	{"Inbox", 4}, {"Inbox/Projects", 1}, {"Sent Items", 2}, {"Archive", 1}, {"Deleted Items", 1}, {"Deleted Items/Old projects", 1},
	{"Recoverable Items/Deletions", 1}, {"Recoverable Items/Purges", 1}, {"Recoverable Items/DiscoveryHolds", 1},
	{"Conversation History/Team Chat", 1}, {"Quick Step Settings/Snapshots", 1}, {"Recoverable Items/Versions", 1},
	{"Recoverable Items/SubstrateHolds", 1}, {"TeamsMessagesData", 1},
}

// Small makes a tenant, contoso.onmicrosoft.com, that is collected within a moment and has something of everything: three
// mailboxes, one of them shared, with fifteen mails each in the morning of 2 March 2026 and as many in its afternoon, in
// every folder in scope; others out of scope, drafts, and one on each side of the borders; and a calendar each with an event and
// a series of the morning. [Canary] stands in all of it.
func Small(seed uint64) (*Tenant, *Truth) {
	g := &generator{
		random: rand.New(rand.NewPCG(seed, 0x5A11)),
		seed:   seed,
		tenant: &Tenant{ID: guid(fmt.Sprint("small tenant ", seed)), Domain: "contoso.onmicrosoft.com"},
		truth:  &Truth{Excluded: map[string]string{}},
		scopes: map[*Folder]scope{},
		paths:  map[string]*Folder{},
		day:    time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC),
	}
	g.tenant.Apps = []App{{ClientID: guid(fmt.Sprint("small app ", seed)), Secret: Canary + "-secret"}}
	marked := *g
	marked.word = Canary
	d := newDiarist(&marked)
	for _, nickname := range []string{"ada.berg", "emil.roth", "desk"} {
		address := nickname + "@" + g.tenant.Domain
		u := &User{
			ID: guid(fmt.Sprint(nickname, g.seed)), UserPrincipalName: address, Mail: address, DisplayName: nickname + " " + Canary,
			UserType: "Member", Enabled: nickname != "desk", Licensed: nickname != "desk",
		}
		g.tenant.Users = append(g.tenant.Users, u)
		g.mailbox(u)
		d.people = g.tenant.Users
		d.small(u)
		for _, half := range []time.Time{g.day, g.day.Add(12 * time.Hour)} {
			g.smallHalf(u, half)
		}
	}
	return g.tenant, g.truth
}

// smallHalf fills a mailbox for half a day.
func (g *generator) smallHalf(u *User, from time.Time) {
	at := from.Add(time.Hour)
	for _, p := range smallPlaces {
		for range p.mails {
			at = at.Add(time.Duration(1+g.random.IntN(40)) * 10 * time.Second)
			g.place(u, p.path, g.smallLetter(u, at), at, false)
		}
	}
	g.place(u, "Drafts", g.smallLetter(u, at), at, true)
	g.place(u, "Inbox", g.smallLetter(u, from), from, false)
	last := from.Add(12*time.Hour - 100*time.Nanosecond)
	g.place(u, "Inbox", g.smallLetter(u, last), last, false)
	if from.Equal(g.day) { // nobody's: a second before
		g.place(u, "Inbox", g.smallLetter(u, from.Add(-time.Second)), from.Add(-time.Second), false)
	}
}

// smallLetter is a mail to u. Now and then it has a file or another form.
func (g *generator) smallLetter(u *User, sent time.Time) *letter {
	id := g.messageID()
	l := &letter{
		id: strings.Replace(id, "<", "<"+Canary, 1), sent: sent,
		from: Address{"Outsider " + Canary, Canary + "@kestrel.example"}, to: []Address{u.address()},
		subject: fmt.Sprintf("Ärger mit %s %d", Canary, g.serial), text: fmt.Sprintf("Der %s singt.\n\nNumber %d\n", Canary, g.serial),
		form: form(g.random.IntN(3)),
	}
	if g.random.IntN(4) == 0 {
		l.files = []file{{name: Canary + ".txt", kind: "text/plain", size: 40, data: func() []byte { return []byte("the " + Canary + " itself") }}}
	}
	return l
}

// SmallHalf is the morning of a small tenant's day.
func SmallHalf() capture.Window {
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	return capture.Window{Start: start, End: start.Add(12 * time.Hour)}
}
