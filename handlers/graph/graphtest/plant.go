package graphtest

import "strings"

// Planted makes the tenant of [Sample], and the same truth, with [Canary] in everything that people write or are called by:
// names, subjects, bodies as text and as HTML, names of attachments and of folders, Message-IDs, and addresses of outsiders.
// It is put there before anything is encoded. The users' own addresses stay, because tests name them.
func Planted(seed uint64) (*Tenant, *Truth) { return sample(seed, Canary) }

// mark puts the word into a name or a subject, once.
func (g *generator) mark(s string) string {
	switch {
	case g.word == "" || strings.Contains(s, g.word):
		return s
	case s == "":
		return g.word
	}
	return s + " " + g.word
}

// plant puts the word into a letter that is about to be placed; its copies are marked with it, for they are the same letter.
func (g *generator) plant(l *letter) {
	if g.word == "" || l == nil {
		return
	}
	l.subject = g.mark(l.subject)
	if !strings.Contains(l.text, g.word) {
		l.text = g.word + " " + l.text
	}
	if l.html != "" && !strings.Contains(l.html, g.word) {
		l.html = "<p>" + g.word + "</p>" + l.html
	}
	l.id, l.inReplyTo = g.markID(l.id), g.markID(l.inReplyTo)
	l.from = g.markAddress(l.from)
	for _, list := range [][]Address{l.to, l.cc, l.bcc} {
		for i := range list {
			list[i] = g.markAddress(list[i])
		}
	}
	for _, list := range [][]file{l.files, l.inline} {
		for i := range list {
			list[i].name = g.markFile(list[i].name)
		}
	}
	for i := range l.beside {
		l.beside[i].Name = g.markFile(l.beside[i].Name)
	}
	if m := l.meeting; m != nil {
		m.uid, m.location = g.markID(m.uid), g.mark(m.location)
		for i := range m.attendees {
			m.attendees[i] = g.markAddress(m.attendees[i])
		}
	}
	g.plant(l.attached)
}

// markID marks a Message-ID: "<1.zeisig@mail.example>".
func (g *generator) markID(id string) string {
	left, domain, ok := strings.Cut(id, "@")
	if !ok || strings.Contains(left, g.word) {
		return id
	}
	return left + "." + g.word + "@" + domain
}

// markAddress marks a name, and the address of whoever is neither a user nor a list of the tenant.
func (g *generator) markAddress(a Address) Address {
	a.Name = g.mark(a.Name)
	local, domain, ok := strings.Cut(a.Address, "@")
	if ok && !strings.Contains(local, g.word) && g.tenant.User(a.Address) == nil && a.Address != sampleList {
		a.Address = local + "." + g.word + "@" + domain
	}
	return a
}

// markFile marks a file's name before its ending.
func (g *generator) markFile(name string) string {
	if strings.Contains(name, g.word) {
		return name
	}
	dot := max(0, strings.LastIndex(name, "."))
	return name[:dot] + "-" + g.word + name[dot:]
}
