package collect

import (
	"fmt"
	"strings"
	"sync"

	"chainmail/handlers/capture"
	"chainmail/handlers/mailfmt"
	"chainmail/handlers/pack"
	"chainmail/handlers/spool"
)

// A reader makes documents of natives. It is safe for concurrent use.
type reader struct {
	compressor pack.Compressor // keeps the encoders' memory from one item to the next
	large      sync.Mutex
}

// largeFrom is the size in bytes from which natives are read one at a time. All bytes of a native may be text, and reading
// takes several times the text's length of memory, which the spool does not count.
const largeFrom = 1 << 20

// document makes an email's family of its native: the email, ready for the package. Its entries lie in buffers of the
// lease. What the mail is never makes an error: what could not be read stands in the document's Errors; an error is the
// spool's.
func (d *reader) document(lease *spool.Lease, c capture.Custodian, it capture.Item, native *spool.Buffer) ([]pack.Document, error) {
	mail, text, err := d.text(lease, pack.TextName(c, it, 0), native)
	if err != nil {
		return nil, err
	}
	original, err := d.compressor.Compress(pack.NativeName(c, it), native.Open(), lease.New())
	if err != nil {
		return nil, fmt.Errorf("compress native: %w", err)
	}
	return []pack.Document{{
		Custodian: c, Item: it, Kind: it.Kind, Native: &original, Text: &text, TextStatus: mail.TextStatus,
		Parent: -1, Fields: fields(&mail),
	}}, nil
}

// text reads a native and lays its text down as an entry of that name. The mail is given without its text.
func (d *reader) text(lease *spool.Lease, name string, native *spool.Buffer) (mailfmt.Mail, pack.Entry, error) {
	if native.Size() >= largeFrom {
		d.large.Lock()
		defer d.large.Unlock()
	}
	mail, err := mailfmt.Read(native.Open())
	if err != nil {
		return mailfmt.Mail{}, pack.Entry{}, err
	}
	text, err := d.compressor.Compress(name, mail.Text(), lease.New())
	if err != nil {
		return mailfmt.Mail{}, pack.Entry{}, fmt.Errorf("compress text: %w", err)
	}
	mail.Body = ""
	return mail, text, nil
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
	for _, other := range []struct {
		key    string
		values []string
	}{
		{"Reply To", m.ReplyTo}, {"References", m.References}, {"Embedded Files", m.EmbeddedNames()},
	} {
		f.Other = append(f.Other, pack.KeyValue{Key: other.key, Value: strings.Join(other.values, "; ")}) // empty: no entry
	}
	return f
}
