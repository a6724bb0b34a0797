package pack

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"chainmail/handlers/capture"
)

// A Document is one record of the load file: an email, an event, or an attachment.
type Document struct {
	Custodian  capture.Custodian
	Item       capture.Item // an attachment's is that of the item it belongs to
	Kind       capture.Kind
	Native     *Entry
	Text       *Entry   // nil: there is none
	TextStatus string   // "Extracted", or why there is no or not all text; see TextCounts
	Parent     int      // index in the family of what the document is attached to; -1: the family's top
	Monitored  []string // identifiers of monitored individuals whom the family names, beside the custodian
	FileName   string   // as the mail names it; "": the native's
	Fields     Fields
	// Synthesised: the native is not the email's MIME, which Graph could not give, but was made of what Graph tells in JSON.
	Synthesised bool
	For         string // the batch that a recovered item was owed to; "": this one
}

// Fields are the load file's columns that come from a document's content. Persons are written as mail writes them,
// "Name <address>"; times are UTC, and zero where the content has none. A zero Sent, Created or Modified of an email or
// event is taken from its listing row.
type Fields struct {
	From, To, CC, BCC []string
	FromAddress       string // the bare address of the first author
	Recipients        int    // unique over To, CC and BCC
	Participants      []string
	Author            string

	Subject           string
	Conversation      string
	ConversationIndex string // hexadecimal
	MessageID         string // with its angle brackets, as written
	InReplyTo         string
	MIH               string // EDRM message identification hash, 1.0
	Class             string // Outlook's message class, "IPM.Note"
	Action            string // Send, Forward, Reply, Reply-All; a draft's is set by itself

	Importance, Priority, Sensitivity string
	Categories                        []string
	Format                            string // "Plain", "HTML", "RTF"
	ReadReceipt, DeliveryReceipt      bool
	Sent, Created, Modified           time.Time

	FileType          string // of the native; "": by the document's kind
	Attachments       []string
	PasswordProtected bool
	DocumentHash      string // "": the native's SHA-256
	Errors            []string
	Meeting           Meeting
	Other             []KeyValue // of Other Metadata, before those that every document has
}

// A Meeting is what a meeting request, or an event, says of itself.
type Meeting struct {
	Start, End          time.Time
	Location, Organizer string
	Attendees           []string
	Recurrence          string
	ICalUID             string
}

// A KeyValue is one entry of the column Other Metadata.
type KeyValue struct {
	Key   string
	Value string
}

// check reports what makes a family unfit to be written. Faults here are the caller's, not the mail's.
func check(family []Document) error {
	if len(family) == 0 {
		return errors.New("the family has no documents")
	}
	for i, d := range family {
		switch {
		case d.Native == nil:
			return fmt.Errorf("document %d has no native", i)
		case i == 0 && d.Parent != -1, i > 0 && (d.Parent < 0 || d.Parent >= i):
			return fmt.Errorf("document %d does not come after its parent", i)
		case i > 0 && d.Kind != capture.Attachment:
			return fmt.Errorf("document %d is attached and of kind %s", i, d.Kind)
		case d.Synthesised && (i > 0 || d.Kind != capture.Email):
			return fmt.Errorf("document %d is synthesised and not an email of its own", i)
		case !strings.HasPrefix(d.Native.Name, NativesFolder):
			return fmt.Errorf("document %d has its native outside %s", i, NativesFolder)
		case new(TextCounts).count(d.TextStatus) == nil:
			return fmt.Errorf("document %d has no text status of the format", i)
		case d.Text != nil && !strings.HasPrefix(d.Text.Name, TextFolder):
			return fmt.Errorf("document %d has its text outside %s", i, TextFolder)
		}
	}
	return nil
}

// entries are the files of a family, in the order of the package.
func entries(family []Document) []*Entry {
	var all []*Entry
	for _, d := range family {
		all = append(all, d.Native)
		if d.Text != nil {
			all = append(all, d.Text)
		}
	}
	return all
}
