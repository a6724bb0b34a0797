package graphtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"chainmail/handlers/capture"
)

const heavyMessages = 400

// Sample makes a tenant, contoso.onmicrosoft.com, with some 3,300 messages of 2 to 4 March 2026 and some just outside, and the
// truth about what of it is owed. The same seed makes the same ids, times and texts.
//
// Its users are everyday ones; one with deep folders, one with 400 messages, one without any in those days, one known by an
// alias; and one of each kind that a collection must tell apart: see [staff]. They write in nine languages. Midnights,
// which are the edges of the windows, have messages on both sides in several folders. Of three mails with attachments of every
// kind there is no MIME.
func Sample(seed uint64) (*Tenant, *Truth) { return sample(seed, "") }

// sample makes the tenant with a word planted in all that people write; none if it is empty.
func sample(seed uint64, word string) (*Tenant, *Truth) {
	g := &generator{
		random: rand.New(rand.NewPCG(seed, 0x0E08)),
		seed:   seed,
		word:   word,
		tenant: &Tenant{ID: guid(fmt.Sprint("tenant ", seed)), Domain: "contoso.onmicrosoft.com"},
		truth:  &Truth{Excluded: map[string]string{}},
		scopes: map[*Folder]scope{},
		paths:  map[string]*Folder{},
		day:    time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC),
	}
	g.tenant.Apps = []App{{ClientID: guid(fmt.Sprint("app ", seed)), Secret: Canary + "-secret"}}
	g.people()
	g.threads(210)
	g.notices()
	g.meetings()
	g.curiosities()
	g.drafts()
	g.large()
	g.list()
	g.outOfScope()
	g.edges()
	g.calendars()
	return g.tenant, g.truth
}

type generator struct {
	random *rand.Rand
	seed   uint64
	word   string // planted in what people write; empty: none
	tenant *Tenant
	truth  *Truth
	scopes map[*Folder]scope
	paths  map[string]*Folder // by user id and path, without the word
	day    time.Time          // the first of the three
	serial int
}

// A scope is what the generator knows of a folder when it makes it: its path without the word, its path as it is shown, and
// the state of what lies in it, which is empty for a folder that is not in scope.
type scope struct {
	key, path string
	state     capture.State
}

// folder makes a folder below another, and writes down what is owed of it.
func (g *generator) folder(u *User, parent *Folder, name, wellKnown string, state capture.State) *Folder {
	shown := name
	if wellKnown == "" {
		shown = g.mark(name)
	}
	key, path := name, shown
	if above := g.scopes[parent]; above.path != "" {
		key, path = above.key+"/"+name, above.path+"/"+shown
	}
	if wellKnown == "root" || wellKnown == "msgfolderroot" {
		key, path = "", ""
	}
	f := &Folder{ID: folderID(fmt.Sprint(g.seed, u.ID, wellKnown, key)), Name: shown, WellKnown: wellKnown}
	g.scopes[f], g.paths[u.ID+key] = scope{key, path, state}, f
	if parent != nil {
		parent.Children = append(parent.Children, f)
	}
	return f
}

func (g *generator) mailbox(u *User) {
	root := g.folder(u, nil, "Root", "root", "")
	u.Mailbox = &Mailbox{Root: root}
	top := g.folder(u, root, "Top of Information Store", "msgfolderroot", "")
	for _, name := range []string{"Inbox", "Sent Items", "Drafts", "Archive", "Junk Email", "Outbox"} {
		g.folder(u, top, name, strings.ToLower(strings.ReplaceAll(name, " ", "")), capture.Active)
	}
	deleted := g.folder(u, top, "Deleted Items", "deleteditems", capture.Deleted)
	g.folder(u, deleted, "Old projects", "", capture.Deleted)
	inbox := top.Children[0]
	g.folder(u, inbox, "Projects", "", capture.Active)
	history := g.folder(u, top, "Conversation History", "conversationhistory", capture.Active)
	g.folder(u, history, "Team Chat", "", "").Hidden = true
	hidden := g.folder(u, top, "Quick Step Settings", "", "")
	hidden.Hidden = true
	g.folder(u, hidden, "Snapshots", "", "") // visible by itself, not by its parents
	g.folder(u, top, "Unread invoices", "", "").Search = true
	g.folder(u, root, "TeamsMessagesData", "", "").Hidden = true

	dumpster := g.folder(u, root, "Recoverable Items", "recoverableitemsroot", "")
	g.folder(u, dumpster, "Deletions", "recoverableitemsdeletions", capture.Recoverable)
	g.folder(u, dumpster, "Purges", "recoverableitemspurges", capture.Purged)
	g.folder(u, dumpster, "DiscoveryHolds", "recoverableitemsdiscoveryholds", capture.Recoverable)
	g.folder(u, dumpster, "Versions", "recoverableitemsversions", "")
	g.folder(u, dumpster, "SubstrateHolds", "", "")
	g.folder(u, dumpster, "Calendar Logging", "", "")

	if strings.HasPrefix(u.UserPrincipalName, sampleDeep+"@") {
		at := top
		for _, name := range []string{"Kunden & Verträge", "2026", "Halvorsen / Pumps", "Angebote", "Version 3"} {
			at = g.folder(u, at, name, "", capture.Active)
		}
		g.folder(u, at, "Überholt", "", capture.Active)
	}
}

// at is a time on one of the three days, mostly in working hours, as finely stored as Exchange does: 100 ns.
func (g *generator) at() time.Time {
	day := g.day.AddDate(0, 0, g.random.IntN(3))
	second := 6*3600 + g.random.IntN(13*3600)
	if g.random.IntN(10) == 0 {
		second = g.random.IntN(24 * 3600)
	}
	return day.Add(time.Duration(second)*time.Second + 100*time.Duration(g.random.IntN(9_000_000)))
}

// inDays keeps a time within the three days.
func (g *generator) inDays(t time.Time) time.Time {
	if end := g.day.AddDate(0, 0, 3); !t.Before(end) {
		return end.Add(-time.Second)
	}
	return t
}

// place puts a copy of a letter into a folder, and writes down what is owed of it.
func (g *generator) place(u *User, path string, l *letter, received time.Time, draft bool) *Message {
	f := g.paths[u.ID+path]
	if f == nil {
		panic("sample has no folder " + path)
	}
	g.plant(l)
	g.serial++
	name := fmt.Sprint(g.seed, " ", g.serial)
	m := &Message{
		ImmutableID: immutableID(name), MutableID: mutableID(name), ChangeKey: changeKey(name), Type: l.messageType(),
		Received: received, Sent: l.sent, Created: received, Modified: received.Add(time.Minute), Draft: draft,
		InternetMessageID: l.id, Subject: l.subject, Preview: l.text[:min(200, len(l.text))], From: l.from, Sender: l.from,
		To: l.to, Cc: l.cc, Size: l.size(), HasAttachments: len(l.files) > 0 || l.attached != nil,
		NoMIME: l.noMIME, Attached: l.beside,
	}
	m.Preview = strings.ToValidUTF8(m.Preview, "")
	own := draft || strings.EqualFold(l.from.Address, u.Mail)
	if own {
		m.Bcc = l.bcc
	}
	m.MIME = copyOf{letter: l, received: received, own: own}.open
	f.Messages = append(f.Messages, m)
	if s := g.scopes[f]; s.state != "" && u.Problem == "" {
		g.truth.Items = append(g.truth.Items, TruthItem{
			UserID: u.ID, ImmutableID: m.ImmutableID, Folder: s.path, State: s.state, Received: received, Draft: draft,
		})
	}
	return m
}

// send puts a letter into its author's Sent Items and its recipients' mailboxes, wherever they keep such mail.
func (g *generator) send(from *User, l *letter, to ...*User) {
	if from != nil {
		g.place(from, "Sent Items", l, l.sent, false)
	}
	for _, u := range to {
		g.place(u, g.keeps(u), l, g.inDays(l.sent.Add(time.Duration(1+g.random.IntN(20))*time.Second)), false)
	}
}

// keeps picks the folder in which a recipient has a mail by now.
func (g *generator) keeps(u *User) string {
	if strings.HasPrefix(u.UserPrincipalName, sampleDeep+"@") && g.random.IntN(2) == 0 {
		return []string{
			"Kunden & Verträge", "Kunden & Verträge/2026/Halvorsen / Pumps/Angebote/Version 3",
			"Kunden & Verträge/2026/Halvorsen / Pumps/Angebote/Version 3/Überholt",
		}[g.random.IntN(3)]
	}
	switch n := g.random.IntN(100); {
	case n < 66:
		return "Inbox"
	case n < 78:
		return "Inbox/Projects"
	case n < 84:
		return "Archive"
	case n < 91:
		return "Deleted Items"
	case n < 93:
		return "Deleted Items/Old projects"
	case n < 96:
		return "Recoverable Items/Deletions"
	case n < 98:
		return "Recoverable Items/Purges"
	}
	return "Recoverable Items/DiscoveryHolds"
}

func (g *generator) messageID() string {
	g.serial++
	return fmt.Sprintf("<%X.%d@mail.contoso.example>", seedBytes(fmt.Sprint("mid", g.seed, g.serial), 8), g.serial)
}

// fill puts names and figures into a text.
func (g *generator) fill(text string, number int, day string, me, to string) string {
	return strings.NewReplacer("{n}", fmt.Sprint(number), "{day}", day, "{me}", me, "{to}", to).Replace(text)
}
