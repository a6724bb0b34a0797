package graphtest

import (
	"fmt"
	"io"
	"strings"
	"time"

	"chainmail/handlers/capture"
)

// Single makes a tenant, contoso.onmicrosoft.com, with one mailbox, whose inbox holds so many mails of 2 March 2026, and the
// truth about it. Each is some size bytes long as MIME, which are made when they are read. Small ones are a text; from 64 KiB
// on most have an attachment of noise, to which Exchange's account of the size owes a quarter, and of ten one is nothing
// but plain text and one nothing but HTML.
func Single(mails int, size int64) (*Tenant, *Truth) {
	g := &generator{
		tenant: &Tenant{ID: guid("single tenant"), Domain: "contoso.onmicrosoft.com"}, truth: &Truth{Excluded: map[string]string{}},
		scopes: map[*Folder]scope{}, paths: map[string]*Folder{}, day: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC),
	}
	address := "vera.lang@" + g.tenant.Domain
	u := &User{
		ID: guid(address), UserPrincipalName: address, Mail: address, DisplayName: "Vera Lang", UserType: "Member", Enabled: true, Licensed: true,
	}
	g.tenant.Users = []*User{u}
	g.mailbox(u)
	inbox := g.paths[u.ID+"Inbox"]
	for i := range mails {
		m := singleMail(u, i, size)
		m.Received = g.day.Add(time.Duration(i) * 24 * time.Hour / time.Duration(mails))
		m.Sent, m.Created, m.Modified = m.Received, m.Received, m.Received
		inbox.Messages = append(inbox.Messages, m)
		g.truth.Items = append(g.truth.Items, TruthItem{
			UserID: u.ID, ImmutableID: m.ImmutableID, Folder: "Inbox", State: capture.Active, Received: m.Received,
		})
	}
	return g.tenant, g.truth
}

func singleMail(u *User, i int, size int64) *Message {
	name := fmt.Sprint("single ", i)
	m := &Message{
		ImmutableID: immutableID(name), MutableID: mutableID(name), ChangeKey: changeKey(name), Size: size,
		InternetMessageID: fmt.Sprintf("<%X@mail.contoso.example>", seedBytes(name, 24)), Subject: fmt.Sprintf("Reading of meter %d", i),
		From: Address{"Meters", "meters@contoso.example"}, Sender: Address{"Meters", "meters@contoso.example"}, To: []Address{u.address()},
	}
	line := fmt.Sprintf("Meter %d stood at %d, as it did on the day before.", i, i*i)
	switch {
	case size >= 64<<10 && i%10 == 3:
		m.MIME = repeated(m, "text/html", "<p>"+line+"</p>\r\n", size)
	case size < 64<<10 || i%10 == 7:
		m.MIME = repeated(m, "text/plain", line+"\r\n", size)
	default:
		m.Size, m.HasAttachments, m.MIME = size*3/4, true, Bulk(m.Subject, size)
	}
	return m
}

// repeated makes a mail of one line again and again.
func repeated(m *Message, kind, line string, size int64) func(uint64) (io.ReadCloser, error) {
	return func(uint64) (io.ReadCloser, error) {
		head := "From: " + addressList([]Address{m.From}) + "\r\nTo: " + addressList(m.To) + "\r\nSubject: " + m.Subject + "\r\nDate: " +
			m.Sent.Format(time.RFC1123Z) + "\r\nMessage-ID: " + m.InternetMessageID + "\r\nMIME-Version: 1.0\r\nContent-Type: " + kind + "\r\n\r\n"
		n := max(1, (int(size)-len(head))/len(line))
		text := strings.Repeat(line, min(n, 1000))
		parts := []io.Reader{strings.NewReader(head)}
		for ; n > 1000; n -= 1000 {
			parts = append(parts, strings.NewReader(text))
		}
		return io.NopCloser(io.MultiReader(append(parts, strings.NewReader(strings.Repeat(line, n)))...)), nil
	}
}
