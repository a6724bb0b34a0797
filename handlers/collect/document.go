package collect

import (
	"bytes"
	"fmt"
	"strings"

	"chainmail/handlers/capture"
	"chainmail/handlers/mailfmt"
	"chainmail/handlers/pack"
	"chainmail/handlers/spool"
)

// document makes an email's family of its native: the email, ready for the package. Its entries lie in buffers of the
// lease. What the mail is never makes an error: what could not be read stands in the document's Errors; an error is the
// spool's.
func document(compressor *pack.Compressor, lease *spool.Lease, c capture.Custodian, it capture.Item, native *spool.Buffer) ([]pack.Document, error) {
	mail, err := mailfmt.Read(native.Open())
	if err != nil {
		return nil, err
	}
	original, err := compressor.Compress(pack.NativeName(c, it), native.Open(), lease.New())
	if err != nil {
		return nil, fmt.Errorf("compress native: %w", err)
	}
	var plain bytes.Buffer
	if err := mail.WriteText(&plain); err != nil {
		return nil, fmt.Errorf("write text: %w", err)
	}
	text, err := compressor.Compress(pack.TextName(c, it, 0), &plain, lease.New())
	if err != nil {
		return nil, fmt.Errorf("compress text: %w", err)
	}
	return []pack.Document{{
		Custodian: c, Item: it, Kind: it.Kind, Native: &original, Text: &text, TextStatus: mail.TextStatus,
		Parent: -1, Fields: fields(&mail),
	}}, nil
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
