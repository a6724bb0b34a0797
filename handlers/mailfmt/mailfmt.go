// Package mailfmt reads an email's MIME into what evidence says of it: persons, subject, dates, text, attachments, hashes.
// It is pure: bytes in, values out, no clock and no network.
//
// Reading never fails for what the bytes are. Whatever they are, there is a result, and what could not be read as it is
// written is named in it as a defect. Only the text bodies are held, bounded; all else is passed by as a stream.
//
// The structure is read line by line here, with one stack of boundaries: the reader of github.com/emersion/go-message
// gives up a message at the first malformed line and with it all parts that follow, which evidence cannot. Its charset
// package, which knows the names that mail has for charsets, is what is used of it; golang.org/x/net/html reads HTML, by
// its tokenizer, whose time and memory hostile nesting does not change.
package mailfmt

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// The codes of defects, in the order in which they are looked for. None fails a message.
const (
	BrokenHeader      = "BrokenHeader"      // a header line is no field; it was joined to the field before it
	MissingSeparator  = "MissingSeparator"  // no empty line between header and body
	HeaderTooLarge    = "HeaderTooLarge"    // a header was cut
	DuplicateHeader   = "DuplicateHeader"   // a field that may stand once stands twice; the first counts
	BrokenDate        = "BrokenDate"        // the Date field is none
	BrokenContentType = "BrokenContentType" // a Content-Type is none
	MissingBoundary   = "MissingBoundary"   // a multipart has no boundary, another than declared, or no end
	TooDeep           = "TooDeep"           // parts nested deeper than maxDepth were passed by
	TooManyParts      = "TooManyParts"      // what follows part maxParts was passed by
	UnknownEncoding   = "UnknownEncoding"   // a text's transfer encoding is unknown; it was taken as it is
	BrokenBase64      = "BrokenBase64"      // a text's base64 holds what is no base64, or ends within a group
	BrokenUuencode    = "BrokenUuencode"    // an attachment's uuencode has lines that are none
	UnknownCharset    = "UnknownCharset"    // a text's charset is unknown; UTF-8 was taken, or else windows-1252
	WrongCharset      = "WrongCharset"      // a text is not in the charset that it declares, or that is usual undeclared
	Mislabelled       = "Mislabelled"       // a part's content is not of its type
	TextTooLarge      = "TextTooLarge"      // the text was cut
	BrokenCalendar    = "BrokenCalendar"    // a meeting's calendar is damaged, or has no meeting; what can be read counts
	UnknownZone       = "UnknownZone"       // a meeting's times are in no zone, or in an unknown one; UTC was taken
	Encrypted         = "Encrypted"         // the content is encrypted, or wrapped in a signature, and was not read
	Unreadable        = "Unreadable"        // reading broke off for a fault of the reader itself
)

// The limits of what is read of a message.
const (
	maxDepth      = 100
	maxParts      = 10_000
	maxHeader     = 4 << 20  // bytes kept of the message's header
	maxPartHeader = 64 << 10 // bytes kept of a part's header
	maxPartText   = 8 << 20  // bytes of one text, decoded
	maxText       = 16 << 20 // bytes of all texts, decoded
	maxCalendar   = 1 << 20  // bytes of a meeting's calendar
	maxName       = 1 << 10  // bytes of an attachment's name
)

// What became of a message's text.
const (
	Extracted = "Extracted"
	Empty     = "Empty"    // the message says nothing outside its header and attachments
	TooLarge  = "TooLarge" // what fits the limits was extracted
	Failed    = "Failed"   // the reader broke off; there may be some text
)

// A Mail is what an email says. Texts are valid UTF-8 without control characters; persons are written
// "Name <address>", or with what of the two there is.
type Mail struct {
	From, To, CC, BCC, ReplyTo []string
	FromAddress                string   // the bare address of the first author
	Authors                    []string // who wrote it: From and Sender, each once
	Addresses                  []string // the bare addresses in From, To, CC and BCC, each once
	Recipients                 int      // unique addresses over To, CC and BCC, in whatever case

	Subject           string
	MessageID         string // with its angle brackets, as written
	InReplyTo         string // the same
	References        []string
	Conversation      string // the topic: Thread-Topic, or the subject without its prefixes
	ConversationIndex string // Thread-Index in hexadecimal
	Class             string // Outlook's message class, "IPM.Note"
	Action            string // Send, Reply, Reply-All, Forward; see action

	Importance, Priority, Sensitivity string   // empty where the message does not say
	Categories                        []string // Keywords
	Format                            string   // "HTML" when there is a text in HTML, otherwise "Plain"
	ReadReceipt, DeliveryReceipt      bool
	Encrypted                         bool
	Sent                              time.Time // UTC; zero where there is no date

	Meeting *Meeting // nil: the message is about none

	Attachments []Attachment
	CloudFiles  []CloudFile // in the order of the text, each once
	Body        string      // lines end in CRLF
	TextStatus  string
	Defects     []string // codes, each once, in the order of their first appearance

	MIH          string // EDRM message identification hash 1.0, lower-case hexadecimal; empty without a Message-ID
	DocumentHash string // see documentHash
}

// An Attachment is a part of a message that is not its text.
type Attachment struct {
	Name string // never empty: an unnamed one is called by its number and type, an attached message by its subject
	Type string // as declared, lower case, "application/pdf"
	// Embedded: an image that the HTML text shows in its place, or a part without a file name that is not said to be an
	// attachment and that nobody wrote (no message, no text). The setting embeddedFileBehavior decides about it.
	Embedded  bool
	Encrypted bool

	Charset  string // of a text, as declared
	Encoding string // transfer encoding of its content, which is
	Offset   int64  // the message's bytes from here on,
	Length   int64  // so many of them
}

// Message reports whether the attachment is a message itself, which may have attachments of its own.
func (a *Attachment) Message() bool { return isMessage(a.Type) }

// Read reads a message to its end. Equal bytes give equal results. The only error is the reader's own.
func Read(r io.Reader) (Mail, error) {
	d := desks.Get().(*desk)
	defer d.leave()
	m := &Mail{}
	p := newParser(newLines(d.reader(r)), m)
	p.raw = d.raw
	p.read()
	d.raw = p.raw
	if p.lines.err != nil {
		return Mail{}, fmt.Errorf("read message: %w", p.lines.err)
	}
	m.MIH = mih(m.MessageID)
	m.DocumentHash = documentHash(m)
	return *m, nil
}

// A desk is the memory that reading a message takes and no message keeps.
type desk struct {
	lines *bufio.Reader
	raw   []byte
}

var desks = sync.Pool{New: func() any { return &desk{lines: bufio.NewReaderSize(nil, lineBuffer)} }}

// maxDesk is how many bytes of what a text was gathered in are kept for the next text.
const maxDesk = 1 << 20

func (d *desk) reader(r io.Reader) *bufio.Reader {
	d.lines.Reset(r)
	return d.lines
}

func (d *desk) leave() {
	d.lines.Reset(nil)
	desks.Put(d)
}

// read goes through the stages of reading; one that breaks off does not keep the next from what there is.
func (p *parser) read() {
	p.guard(p.structure)
	p.guard(p.describe)
	p.guard(p.text)
	if slices.Contains(p.mail.Defects, Unreadable) {
		p.mail.TextStatus = Failed
	}
}

// guard is the one place where a fault of the reader, or of a library on bytes that nobody has thought of, is caught: what
// was read until then stands.
func (p *parser) guard(stage func()) {
	defer func() {
		if recover() != nil {
			p.mail.defect(Unreadable)
		}
	}()
	stage()
}

func (m *Mail) defect(code string) {
	if !slices.Contains(m.Defects, code) {
		m.Defects = append(m.Defects, code)
	}
}

// AttachmentNames are the names of the attachments, those not counted that the text shows in its place.
func (m *Mail) AttachmentNames() []string { return m.names(false) }

// EmbeddedNames are the names of the images that the text shows in its place.
func (m *Mail) EmbeddedNames() []string { return m.names(true) }

func (m *Mail) names(embedded bool) []string {
	var names []string
	for _, a := range m.Attachments {
		if a.Embedded == embedded {
			names = append(names, a.Name)
		}
	}
	return names
}
