package collect

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"chainmail/handlers/mailfmt"
	"chainmail/handlers/mailfmt/doctext"
	"chainmail/handlers/pack"
	"chainmail/handlers/spool"
)

// A reader makes documents of natives. It is safe for concurrent use.
type reader struct {
	compressor pack.Compressor // keeps the encoders' memory from one item to the next
	large      sync.Mutex
}

// largeFrom is the size in bytes from which messages are read one at a time. All bytes of one may be text, and reading
// takes several times the text's length of memory, which the spool does not count.
const largeFrom = 1 << 20

// mail reads a message and appends its text to dst as an entry of that name. The mail is given without its text.
func (d *reader) mail(name string, message *io.SectionReader, dst *spool.Buffer) (mailfmt.Mail, pack.Entry, error) {
	if message.Size() >= largeFrom {
		d.large.Lock()
		defer d.large.Unlock()
	}
	mail, err := mailfmt.Read(message)
	if err != nil {
		return mailfmt.Mail{}, pack.Entry{}, err
	}
	text, err := d.compressor.Compress(name, mail.Text(), dst)
	if err != nil {
		return mailfmt.Mail{}, pack.Entry{}, fmt.Errorf("compress text: %w", err)
	}
	mail.Body = ""
	return mail, text, nil
}

// text lays down the text of an attached file as an entry of that name; nil: it has none.
func (f *family) text(name string, src doctext.Source) (*pack.Entry, doctext.Result, error) {
	raw := f.lease.New()
	defer raw.Close()
	res, err := f.texts.Extract(f.ctx, src, &crlf{raw})
	if err != nil || raw.Size() == 0 {
		return nil, res, err
	}
	entry, err := f.compressor.Compress(name, io.MultiReader(strings.NewReader(bom), raw.Open()), f.packed)
	if err != nil {
		return nil, res, fmt.Errorf("compress text: %w", err)
	}
	return &entry, res, nil
}

const bom = "\uFEFF"

// crlf ends lines as the texts of mails end theirs.
type crlf struct{ w io.Writer }

func (c *crlf) Write(p []byte) (int, error) {
	if _, err := io.WriteString(c.w, strings.ReplaceAll(string(p), "\n", "\r\n")); err != nil {
		return 0, err
	}
	return len(p), nil
}

// fields maps what an email says to the load file's columns. What it does not say, such as when it was made and changed,
// the package takes from the listing row.
func fields(m *mailfmt.Mail) pack.Fields {
	f := pack.Fields{
		From: m.From, To: m.To, CC: m.CC, BCC: m.BCC,
		FromAddress: m.FromAddress, Recipients: m.Recipients, Participants: m.Authors,
		Subject: m.Subject, Conversation: m.Conversation, ConversationIndex: m.ConversationIndex,
		MessageID: m.MessageID, InReplyTo: m.InReplyTo, MIH: m.MIH, Class: m.Class, Action: m.Action,
		Importance: m.Importance, Priority: m.Priority, Sensitivity: m.Sensitivity, Categories: m.Categories, Format: m.Format,
		ReadReceipt: m.ReadReceipt, DeliveryReceipt: m.DeliveryReceipt, Sent: m.Sent,
		Attachments: m.AttachmentNames(), PasswordProtected: m.Encrypted, DocumentHash: m.DocumentHash, Errors: m.Defects,
	}
	if len(m.Authors) > 0 {
		f.Author = m.Authors[0]
	}
	zone := ""
	if k := m.Meeting; k != nil {
		f.Meeting = pack.Meeting{
			Start: k.Start, End: k.End, Location: k.Location, Organizer: k.Organizer, Attendees: k.Attendees,
			Recurrence: k.Recurrence, ICalUID: k.UID,
		}
		zone = k.Zone
	}
	for _, other := range []struct {
		key    string
		values []string
	}{
		{"Reply To", m.ReplyTo}, {"References", m.References}, {"Embedded Files", m.EmbeddedNames()},
		{"Cloud Attachments", cloudFiles(m)}, {"Meeting Time Zone", []string{zone}},
	} {
		f.Other = append(f.Other, pack.KeyValue{Key: other.key, Value: strings.Join(other.values, "; ")}) // empty: no entry
	}
	return f
}

func cloudFiles(m *mailfmt.Mail) []string {
	var files []string
	for _, c := range m.CloudFiles {
		if c.Name == "" {
			files = append(files, c.URL)
		} else {
			files = append(files, c.Name+" <"+c.URL+">")
		}
	}
	return files
}
