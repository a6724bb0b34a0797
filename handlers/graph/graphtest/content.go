package graphtest

import (
	"fmt"
	"strings"
	"time"
)

// What the sample's users write to each other, and what is written to them.

// threads makes conversations among two to four users.
func (g *generator) threads(count int) {
	all, writers := topics(), g.writers()
	for i := range count {
		t := all[i%len(all)]
		g.random.Shuffle(len(writers), func(a, b int) { writers[a], writers[b] = writers[b], writers[a] })
		members := writers[:2+g.random.IntN(3)]
		number, day := 10000+g.random.IntN(80000), weekdays()[g.random.IntN(5)]
		sent, parent := g.at(), ""
		for turn, paragraphs := range t.turns {
			from := members[turn%len(members)]
			var to []*User
			for _, u := range members {
				if u != from {
					to = append(to, u)
				}
			}
			text := strings.Join(paragraphs, "\n\n") + "\n"
			l := &letter{
				id: g.messageID(), inReplyTo: parent, from: from.address(), to: []Address{to[0].address()}, sent: g.inDays(sent),
				subject: g.fill(t.subject, number, day, "", ""),
				text:    g.fill(text, number, day, from.firstName(), to[0].firstName()),
				form:    []form{alternative, alternative, plainText, htmlOnly}[g.random.IntN(4)],
			}
			for _, u := range to[1:] {
				l.cc = append(l.cc, u.address())
			}
			if turn == 0 && t.file != "none" {
				l.files = []file{attachment(t.file, l.subject, l.subject)}
			}
			if turn > 0 {
				l.subject = "Re: " + l.subject
			}
			g.send(from, l, to...)
			parent, sent = l.id, sent.Add(time.Duration(5+g.random.IntN(90))*time.Minute)
		}
	}
}

// notices makes mail from outside: a few for everyone, and so many for one that the mailbox has 400 messages.
func (g *generator) notices() {
	for _, u := range g.writers() {
		for i := range 12 {
			g.notice(u, i)
		}
	}
	heavy := g.user(sampleHeavy)
	for i := range heavyMessages {
		g.notice(heavy, i)
	}
}

func (g *generator) notice(u *User, i int) {
	all := notices()
	n := all[i%len(all)]
	number, day := 10000+g.random.IntN(80000), weekdays()[g.random.IntN(5)]
	l := &letter{
		id: g.messageID(), from: Address{"Service", "no-reply@kestrel.example"}, to: []Address{u.address()}, sent: g.at(),
		subject: g.fill(n[0], number, day, "", ""), text: g.fill(n[1], number, day, "", "") + "\n",
		form: []form{plainText, htmlOnly, alternative}[i%3],
	}
	if i%9 == 2 {
		l.files = []file{attachment("pdf", fmt.Sprintf("invoice-%d", number), l.subject)}
	}
	g.send(nil, l, u)
}

// meetings makes invitations, an answer and a cancellation.
func (g *generator) meetings() {
	writers := g.writers()
	for i := range 6 {
		from, to, third := writers[i], writers[i+1], writers[i+2]
		start := g.day.AddDate(0, 0, 7+i).Add(9 * time.Hour)
		m := meeting{
			method: "REQUEST", uid: g.messageID(), start: start, end: start.Add(time.Hour), location: "Room Elbe",
			attendees: []Address{to.address(), third.address()},
		}
		l := &letter{
			id: g.messageID(), from: from.address(), to: m.attendees, sent: g.inDays(g.at()),
			subject: fmt.Sprintf("Review of quarter %d", i+1), text: "Please bring your figures.\n\nRoom Elbe, coffee is there.\n",
			meeting: &m,
		}
		g.send(from, l, to, third)
		answer := m
		answer.method, answer.partstat = "REPLY", []string{"ACCEPTED", "TENTATIVE", "DECLINED"}[i%3]
		g.send(to, &letter{
			id: g.messageID(), from: to.address(), to: []Address{from.address()}, sent: g.inDays(l.sent.Add(time.Hour)),
			subject: "Accepted: " + l.subject, text: "See you there.\n", meeting: &answer,
		}, from)
		if i%3 == 2 {
			cancel := m
			cancel.method = "CANCEL"
			g.send(from, &letter{
				id: g.messageID(), from: from.address(), to: m.attendees, sent: g.inDays(l.sent.Add(2 * time.Hour)),
				subject: "Canceled: " + l.subject, text: "Sorry, the room is needed otherwise.\n", meeting: &cancel,
			}, to, third)
		}
	}
}

// list makes mail to the distribution list, of which every member has a copy.
func (g *generator) list() {
	members := []*User{g.user("rafael.monteiro"), g.user("amara.diallo"), g.user("maren.oldenkamp"), g.user(sampleByAlias)}
	inner := &Group{ID: guid(fmt.Sprint("inner", g.seed)), DisplayName: "Aurora site", Members: []string{members[3].ID}}
	group := &Group{
		ID: guid(fmt.Sprint("aurora", g.seed)), Mail: sampleList, DisplayName: "Project Aurora", Groups: []string{inner.ID},
	}
	for _, u := range members[:3] {
		group.Members = append(group.Members, u.ID)
	}
	g.tenant.Groups = []*Group{group, inner}
	from := g.user("tobias.feldt")
	for i := range 3 {
		g.send(from, &letter{
			id: g.messageID(), from: from.address(), to: []Address{{"Project Aurora", sampleList}}, sent: g.at(),
			subject: fmt.Sprintf("Aurora news %d", i+1), text: "To everybody on the list: the site office moves to container 4.\n",
			form: alternative,
		}, members...)
	}
}

// curiosities makes what a reader of mail must stand, a few of each for different users.
func (g *generator) curiosities() {
	for i, l := range g.oddLetters() {
		u := g.writers()[i%6]
		l.from, l.to = Address{"Kestrel Logistics", "dispatch@kestrel.example"}, []Address{u.address()}
		l.sent = g.at()
		if l.id == "" {
			l.id = g.messageID()
		} else if l.id == "none" {
			l.id = ""
		}
		g.send(nil, l, u)
	}
	maren := g.user("maren.oldenkamp")
	self := &letter{
		id: g.messageID(), from: maren.address(), to: []Address{maren.address()}, sent: g.at(), subject: "Note to self",
		text: "Call the tax office. Password hint is on the yellow paper.\n",
	}
	g.place(maren, "Sent Items", self, self.sent, false)
	g.place(maren, "Inbox", self, self.sent.Add(2*time.Second), false)
	secret := &letter{
		id: g.messageID(), from: maren.address(), to: []Address{g.user("tobias.feldt").address()},
		bcc: []Address{g.user("leon.baptiste").address()}, sent: g.at(), subject: "For your information", form: alternative,
		text: "The auditors come on Thursday. I have not told everyone yet.\n",
	}
	g.send(maren, secret, g.user("tobias.feldt"), g.user("leon.baptiste"))
	g.twins(maren)
	for _, u := range g.writers()[:5] {
		draft := &letter{
			from: u.address(), to: []Address{maren.address()}, sent: g.at(), subject: "Draft: notice of termination",
			text: "Dear Sir or Madam,\n\nI hereby\n",
		}
		g.place(u, "Drafts", draft, draft.sent, true)
		thrown := *draft
		thrown.sent, thrown.subject = g.at(), "Draft: never mind"
		g.place(u, "Deleted Items", &thrown, thrown.sent, true)
	}
}

// twins makes two messages whose ids differ in the case of one letter.
func (g *generator) twins(u *User) {
	var ids []string
	for i := range 2 {
		l := &letter{
			id: g.messageID(), from: Address{"Twin", "twin@kestrel.example"}, to: []Address{u.address()}, sent: g.at(),
			subject: fmt.Sprintf("Twin %d", i+1), text: fmt.Sprintf("This is twin %d of two.\n", i+1),
		}
		m := g.place(u, "Inbox", l, l.sent, false)
		ids = append(ids, m.ImmutableID)
		if i == 0 {
			continue
		}
		m.ImmutableID = ids[0][:4] + swapCase(ids[0][4:5]) + ids[0][5:]
		g.truth.Items[len(g.truth.Items)-1].ImmutableID = m.ImmutableID
	}
}

func swapCase(s string) string {
	if s == strings.ToUpper(s) {
		return strings.ToLower(s)
	}
	return strings.ToUpper(s)
}

func (g *generator) oddLetters() []*letter {
	return []*letter{
		{id: "none", subject: "No Message-ID", text: "Sent by a machine that does not number its mail.\n", form: bareBody},
		{subject: "", text: "This one has no subject.\n"},
		{subject: "Nothing in it", text: ""},
		{subject: "Größenänderung", text: "Die neue Größe beträgt 40 mm, gemessen bei 20 °C.\n", charset: "iso-8859-1"},
		{subject: "“Smart quotes”", text: "“Please confirm” – the price is 12 € … or less.\n", charset: "windows-1252"},
		{subject: "Счёт на оплату", text: "Добрый день!\n\nСчёт во вложении.\n", charset: "koi8-r"},
		{subject: "納期のご連絡", text: "納期は3月10日です。よろしくお願いします。\n", charset: "shift_jis"},
		{subject: "Log excerpt", text: strings.Repeat("0123456789 abcdefghij ", 400) + "\nend of the long line\n"},
		{subject: "8-bit in long lines", text: strings.Repeat("Straße und Fuß ", 300) + "\n", charset: "windows-1252"},
		{subject: "Logo inline", form: htmlOnly, text: "See our new logo.\n",
			html:   `<p>See our new logo: <img src="cid:0" alt="Kestrel logo"></p><p>Smile <img src="cid:1" alt="🙂"></p>`,
			inline: []file{fixed("logo.png", "image/png", picture(3)), fixed("smile.png", "image/png", picture(9))}},
		{subject: "Steps to follow", form: alternative, text: "1. Unpack\n2. Check\n3. Sign\n",
			html: "<ol><li>Unpack</li><li>Check</li><li>Sign</li></ol><ul><li>gloves</li><li>knife</li></ul>"},
		{subject: "Agenda from Outlook", form: htmlOnly, text: "Agenda\n",
			html: `<p class="MsoListParagraph" style="mso-list:l0 level1 lfo1"><span style="mso-list:Ignore">1.<span>&nbsp;&nbsp;</span>` +
				`</span>Opening</p><p class="MsoListParagraph" style="mso-list:l0 level1 lfo1"><span style="mso-list:Ignore">2.` +
				`<span>&nbsp;&nbsp;</span></span>Figures</p><p class="MsoNormal">Thanks <span style="font-family:Wingdings">J</span></p>`},
		{subject: "Figures as a table", form: htmlOnly, text: "Figures\n",
			html: `<div style="display:none">Open to see the figures</div><table><tr><th>Month</th><th>Units</th></tr>` +
				`<tr><td>January</td><td>120</td></tr><tr><td>February</td><td>96</td></tr></table><script>alert(1)</script>` +
				`<!-- internal --><p>More at <a href="https://portal.kestrel.example/f?id=7">the portal</a>.</p>`},
		{subject: "FW: delivery note", form: alternative, text: "The original is attached.\n", attached: &letter{
			id: "<inner@kestrel.example>", from: Address{"Driver", "driver@kestrel.example"},
			to: []Address{{"Dispatch", "dispatch@kestrel.example"}}, sent: g.day.AddDate(0, 0, -3), subject: "Delivery note",
			text: "Twelve pallets, four damaged.\n", files: []file{attachment("pdf", "note", "Delivery note")},
		}},
		{subject: "Names of files", text: "Some names are difficult.\n", files: []file{
			attachment("txt", `..\..\windows\boot`, "escape"), attachment("txt", "Übersicht 2026 – März", "Übersicht"),
			attachment("txt", strings.Repeat("long ", 60), "long"), attachment("pdf", "same", "one"), attachment("pdf", "same", "two"),
		}},
		{subject: "Photos of the site", form: alternative, text: "All photos in one file, sorry for the size.\n",
			files: []file{noise("site-photos.bin", 4_400_000, g.seed)}},
		{subject: "🎉 Jubiläum 🎉", form: alternative, text: "Zehn Jahre! 🎂🥳 Danke euch allen 👏🏽\n"},
		{subject: strings.Repeat("A very long subject that goes on ", 12), text: "Short text.\n"},
	}
}

// outOfScope makes what lies in mailboxes and is not owed, and what search folders show twice.
func (g *generator) outOfScope() {
	for _, u := range append(g.writers(), g.user(sampleHeavy)) {
		for i, path := range []string{
			"Conversation History/Team Chat", "Conversation History/Team Chat", "Quick Step Settings", "Quick Step Settings/Snapshots",
			"TeamsMessagesData", "Recoverable Items/Versions", "Recoverable Items/SubstrateHolds", "Recoverable Items/Calendar Logging",
		} {
			l := &letter{
				id: g.messageID(), from: u.address(), to: []Address{u.address()}, sent: g.at(), subject: fmt.Sprintf("Copy %d", i),
				text: "A chat message or an old version.\n", form: htmlOnly,
			}
			g.place(u, path, l, l.sent, false)
		}
		search := u.Folder("Unread invoices")
		inbox := u.Folder("inbox").Messages
		search.Messages = append(search.Messages, inbox[:min(5, len(inbox))]...)
	}
}

// borders makes messages at the edges of the days, and some before and after; for the idle user these are all.
func (g *generator) borders() {
	end := g.day.AddDate(0, 0, 3)
	moments := []time.Time{
		g.day, g.day.Add(-100), g.day.Add(-time.Second), g.day.AddDate(0, 0, -1), g.day.AddDate(0, 0, 1), g.day.AddDate(0, 0, 1).Add(-100),
		g.day.AddDate(0, 0, 2), g.day.Add(time.Hour), end, end.Add(-100), end.Add(100), end.Add(3 * time.Hour), end.AddDate(0, 0, 2),
	}
	for i, at := range moments {
		u := g.writers()[i%5]
		g.place(u, "Inbox", g.border(u, at), at, false)
	}
	idle := g.user(sampleIdle)
	for _, at := range []time.Time{g.day.AddDate(0, 0, -9), g.day.Add(-100), end, end.AddDate(0, 0, 1)} {
		g.place(idle, "Inbox", g.border(idle, at), at, false)
	}
	for _, nickname := range []string{sampleDenied, sampleInactive} {
		u := g.user(nickname)
		g.place(u, "Inbox", g.border(u, g.day.Add(time.Hour)), g.day.Add(time.Hour), false)
	}
}

func (g *generator) border(u *User, at time.Time) *letter {
	return &letter{
		id: g.messageID(), from: Address{"Night Watch", "watch@kestrel.example"}, to: []Address{u.address()}, sent: at.Add(-time.Second),
		subject: "Round at " + at.Format("15:04:05 on 2 January"), text: "All quiet.\n",
	}
}
