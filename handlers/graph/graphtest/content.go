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
		number, day := 10000+g.random.IntN(80000), t.language.weekdays()[g.random.IntN(5)]
		charset := ""
		if i/len(all)%2 == 0 {
			charset = t.language.charset()
		}
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
				subject: g.fill(t.subject, number, day, "", ""), charset: charset,
				text: g.fill(text, number, day, from.firstName(), to[0].firstName()),
				form: []form{alternative, alternative, plainText, htmlOnly}[g.random.IntN(4)],
			}
			for _, u := range to[1:] {
				l.cc = append(l.cc, u.address())
			}
			if turn == 0 && t.file != "none" {
				l.files = []file{attachment(t.file, l.subject, g.mark(l.subject))}
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
	for _, u := range append(g.writers(), g.user(sampleLeaver), g.user(sampleRoom)) {
		for i := range 16 {
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
	number, day := 10000+g.random.IntN(80000), n.language.weekdays()[g.random.IntN(5)]
	l := &letter{
		id: g.messageID(), from: Address{"Service", "no-reply@kestrel.example"}, to: []Address{u.address()}, sent: g.at(),
		subject: g.fill(n.subject, number, day, "", ""), text: g.fill(n.text, number, day, "", "") + "\n",
		form: []form{plainText, htmlOnly, alternative}[i%3],
	}
	if g.random.IntN(2) == 0 {
		l.charset = n.language.charset()
	}
	if i%9 == 2 {
		l.files = []file{attachment("pdf", fmt.Sprintf("invoice-%d", number), g.mark(l.subject))}
	}
	g.send(nil, l, u)
}

// meetings makes invitations, to a room as well, an answer and a cancellation.
func (g *generator) meetings() {
	writers, room := g.writers(), g.user(sampleRoom)
	for i := range 6 {
		from, to, third := writers[i], writers[i+1], writers[i+2]
		start := g.day.AddDate(0, 0, 7+i).Add(9 * time.Hour)
		m := meeting{
			method: "REQUEST", uid: g.messageID(), start: start, end: start.Add(time.Hour), location: "Room Elbe",
			attendees: []Address{to.address(), third.address(), room.address()},
		}
		l := &letter{
			id: g.messageID(), from: from.address(), to: m.attendees, sent: g.inDays(g.at()),
			subject: fmt.Sprintf("Review of quarter %d", i+1), text: "Please bring your figures.\n\nRoom Elbe, coffee is there.\n",
			meeting: &m,
		}
		g.send(from, l, to, third, room)
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
			}, to, third, room)
		}
	}
}

// list makes mail to the distribution list, of which each of the six members has a copy, also those of the list in it.
func (g *generator) list() {
	var members []*User
	for _, group := range g.tenant.Groups[:2] {
		for _, id := range group.Members {
			members = append(members, g.tenant.User(id))
		}
	}
	from := g.user("tobias.feldt")
	for i := range 3 {
		g.send(from, &letter{
			id: g.messageID(), from: from.address(), to: []Address{{g.mark("Project Aurora"), sampleList}}, sent: g.at(),
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
}

// drafts makes unsent mail of every day, in the folder for it and thrown away; nobody has got it.
func (g *generator) drafts() {
	texts := []notice{
		{"Draft: notice of termination", "Dear Sir or Madam,\n\nI hereby\n", inEnglish},
		{"Entwurf: Kündigung des Mietvertrags", "Sehr geehrte Damen und Herren,\n\nhiermit kündige ich\n", inGerman},
		{"Borrador: oferta revisada", "Estimado cliente:\n\nle adjunto la oferta con los precios\n", inSpanish},
		{"Черновик: ответ поставщику", "Уважаемые коллеги!\n\nВ ответ на ваше письмо\n", inRussian},
	}
	for i, u := range g.writers()[:12] {
		for day := range 3 {
			n := texts[(i+day)%len(texts)]
			draft := &letter{
				from: u.address(), to: []Address{g.user("maren.oldenkamp").address()}, subject: n.subject, text: n.text,
				sent: g.day.AddDate(0, 0, day).Add(time.Duration(8*60+g.random.IntN(600)) * time.Minute),
			}
			path := "Drafts"
			if (i+day)%3 == 2 {
				path, draft.subject = "Deleted Items", "Draft: never mind"
			}
			g.place(u, path, draft, draft.sent, true)
		}
	}
}

// large makes mail with attachments of up to 25 MB, on the second and third day, in mailboxes that tests do not name.
func (g *generator) large() {
	const mega = 1 << 20
	day2, day3 := g.day.AddDate(0, 0, 1), g.day.AddDate(0, 0, 2)
	mail := func(sent time.Time, subject, text string, to []string, files ...file) {
		l := &letter{
			id: g.messageID(), from: Address{"Kestrel Surveying", "survey@kestrel.example"}, sent: sent, subject: subject, text: text,
			form: alternative, files: files,
		}
		var users []*User
		for _, nickname := range to {
			users = append(users, g.user(nickname))
			l.to = append(l.to, g.user(nickname).address())
		}
		g.send(nil, l, users...)
	}
	data := func(name, kind string, size int) file { return noise(name, kind, size, g.seed) }
	mail(day3.Add(14*time.Hour), "Point cloud of hall 3", "The whole scan, as you asked. It only just fits.\n",
		[]string{"hugo.castellan"}, data("hall-3.e57", "application/octet-stream", 25*mega))
	mail(day2.Add(9*time.Hour), "Film of the safety walk", "Please do not pass it on.\n",
		[]string{sampleShared}, data("safety-walk.mp4", "video/mp4", 10*mega))
	mail(day2.Add(16*time.Hour), "Soundings, raw data", "Both runs of this week.\n",
		[]string{"carmen.ibarra", sampleElsewhere}, data("run-1.dat", "application/octet-stream", 3*mega),
		data("run-2.dat", "application/octet-stream", 2*mega))
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
		{subject: "Logo inline", form: htmlOnly, noMIME: true, text: "See our new logo.\n",
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
		{subject: "FW: delivery note", form: alternative, noMIME: true, text: "The original is attached.\n", attached: &letter{
			id: "<inner@kestrel.example>", from: Address{"Driver", "driver@kestrel.example"},
			to: []Address{{"Dispatch", "dispatch@kestrel.example"}}, sent: g.day.AddDate(0, 0, -3), subject: "Delivery note",
			text: "Twelve pallets, four damaged.\n", files: []file{attachment("pdf", "note", "Delivery note")},
		}},
		{subject: "Names of files", text: "Some names are difficult.\n", noMIME: true, beside: []Attachment{
			{Kind: ItemAttachment, Name: "Site meeting", Content: []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n")},
			{Kind: ReferenceAttachment, Name: "Budget.xlsx", ContentType: "application/octet-stream"},
			{Kind: FileAttachment, Name: "Drawing.ole", Size: 20_000, Unopened: true},
		}, files: []file{
			attachment("txt", `..\..\windows\boot`, "escape"), attachment("txt", "Übersicht 2026 – März", "Übersicht"),
			attachment("txt", strings.Repeat("long ", 60), "long"), attachment("pdf", "same", "one"), attachment("pdf", "same", "two"),
		}},
		{subject: "Photos of the site", form: alternative, text: "All photos in one file, sorry for the size.\n",
			files: []file{noise("site-photos.bin", "application/octet-stream", 4_400_000, g.seed)}},
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
		search, inbox := g.paths[u.ID+"Unread invoices"], g.paths[u.ID+"Inbox"].Messages
		search.Messages = append(search.Messages, inbox[:min(5, len(inbox))]...)
	}
}

// edges makes messages on both sides of every midnight, to the second and to the 100 ns of stored times, in folders of every
// state, and some long before and after; for the idle user those outside the three days are all.
func (g *generator) edges() {
	writers, end := g.writers(), g.day.AddDate(0, 0, 3)
	for i, path := range []string{"Inbox", "Sent Items", "Deleted Items", "Recoverable Items/Deletions", "Recoverable Items/Purges"} {
		for night := range 4 {
			u := writers[(4*i+night)%len(writers)]
			for _, off := range []time.Duration{-time.Second, -100, 0, 100, time.Second} {
				at := g.day.AddDate(0, 0, night).Add(off)
				g.place(u, path, g.border(u, at), at, false)
			}
		}
	}
	for i, at := range []time.Time{g.day.AddDate(0, 0, -1), g.day.Add(time.Hour), end.Add(3 * time.Hour), end.AddDate(0, 0, 2)} {
		g.place(writers[i], "Inbox", g.border(writers[i], at), at, false)
	}
	idle := g.user(sampleIdle)
	for _, at := range []time.Time{g.day.AddDate(0, 0, -9), g.day.Add(-100), end, end.AddDate(0, 0, 1)} {
		g.place(idle, "Inbox", g.border(idle, at), at, false)
	}
	for _, u := range g.tenant.Users {
		if u.Problem != "" { // what cannot be collected is there all the same
			g.place(u, "Inbox", g.border(u, g.day.Add(time.Hour)), g.day.Add(time.Hour), false)
		}
	}
}

func (g *generator) border(u *User, at time.Time) *letter {
	return &letter{
		id: g.messageID(), from: Address{"Night Watch", "watch@kestrel.example"}, to: []Address{u.address()}, sent: at.Add(-time.Second),
		subject: "Round at " + at.Format("15:04:05 on 2 January"), text: "All quiet.\n",
	}
}
