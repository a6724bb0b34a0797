package pack

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"chainmail/handlers/capture"

	"github.com/klauspost/compress/flate"
)

// The load file's special characters: Concordance's, as Relativity reads them.
const (
	bom       = "\uFEFF"
	separator = '\x14'
	quote     = 'þ'
	newline   = '®'
	many      = ";"
)

// dateFormat is the one that Relativity parses in every locale; always UTC.
const dateFormat = "2006-01-02 15:04:05"

// A record is a document with what its place in the package gives it.
type record struct {
	*Document
	control, top, last, parent string // control numbers: its own, its family's first and last, its parent's
	batch                      string // Trace Data Batch
}

type column struct {
	name  string
	value func(*record) string
}

// columns is the load file in its fixed order. The names are Trace's own, and case-sensitive; those that Trace does not
// know come last.
var columns = [...]column{
	{"Control Number", func(r *record) string { return r.control }},
	{"Group Identifier", func(r *record) string { return r.top }},
	{"Parent Document ID", func(r *record) string { return r.topParent() }},
	{"Native File", func(r *record) string { return windows(r.Native.Name) }},
	{"Extracted Text", func(r *record) string { return windows(entryName(r.Text)) }},
	{"File Name", func(r *record) string { return r.fileName() }},
	{"File Extension", func(r *record) string { return extension(r.fileName()) }},
	{"File Size", func(r *record) string { return strconv.FormatInt(r.Native.Size, 10) }},
	{"File Type", func(r *record) string { return r.fileType() }},
	{"From", func(r *record) string { return list(r.Fields.From) }},
	{"To", func(r *record) string { return list(r.Fields.To) }},
	{"CC", func(r *record) string { return list(r.Fields.CC) }},
	{"BCC", func(r *record) string { return list(r.Fields.BCC) }},
	{"From Address", func(r *record) string { return r.Fields.FromAddress }},
	{"Subject", func(r *record) string { return r.Fields.Subject }},
	{"Conversation", func(r *record) string { return r.Fields.Conversation }},
	{"Conversation Index", func(r *record) string { return r.Fields.ConversationIndex }},
	{"Message ID", func(r *record) string { return r.messageID() }},
	{"Email In Reply To ID", func(r *record) string { return r.Fields.InReplyTo }},
	{"Message Class", func(r *record) string { return r.relativityClass() }},
	{"Importance", func(r *record) string { return r.Fields.Importance }},
	{"Priority", func(r *record) string { return r.Fields.Priority }},
	{"Email Sensitivity", func(r *record) string { return r.Fields.Sensitivity }},
	{"Email Categories", func(r *record) string { return list(r.Fields.Categories) }},
	{"Email Format", func(r *record) string { return r.Fields.Format }},
	{"Email Created Date/Time", func(r *record) string { return date(r.created()) }},
	{"Sent Date/Time", func(r *record) string { return date(r.sent()) }},
	{"Received Date/Time", func(r *record) string { return date(r.ofItem(r.Item.Received)) }},
	{"Email Last Modified Date/Time", func(r *record) string { return date(r.modified()) }},
	{"Created Date/Time", func(r *record) string { return date(r.created()) }},
	{"Author", func(r *record) string { return r.Fields.Author }},
	{"Attachment List", func(r *record) string { return list(r.Fields.Attachments) }},
	{"Number of Attachments", func(r *record) string { return strconv.Itoa(len(r.Fields.Attachments)) }},
	{"Email Has Attachments", func(r *record) string { return yes(len(r.Fields.Attachments) > 0) }},
	{"Recipient Count", func(r *record) string { return strconv.Itoa(r.Fields.Recipients) }},
	{"Read Receipt Requested", func(r *record) string { return yes(r.Fields.ReadReceipt) }},
	{"Delivery Receipt Requested", func(r *record) string { return yes(r.Fields.DeliveryReceipt) }},
	{"Email Store Name", func(r *record) string { return r.Custodian.Identifier }},
	{"Container ID", func(r *record) string { return r.Item.FolderID }},
	{"Container Name", func(r *record) string { return r.Item.Folder[strings.LastIndexByte(r.Item.Folder, '/')+1:] }},
	{"Password Protected", func(r *record) string { return yes(r.Fields.PasswordProtected) }},
	{"Extracted Text Size in KB", func(r *record) string { return kilobytes(r.Text) }},
	{"Other Metadata", func(r *record) string { return r.otherMetadata() }},
	{"Trace Document Hash", func(r *record) string { return r.documentHash() }},
	{"Trace Monitored Individuals", func(r *record) string { return list(append([]string{r.Custodian.Identifier}, r.Monitored...)) }},
	{"Trace Data Batch", func(r *record) string { return r.batch }},
	{"Trace Is Extracted", func(r *record) string { return yes(r.Kind == capture.Attachment) }},
	{"Trace Has Errors", func(r *record) string { return yes(len(r.Fields.Errors) > 0) }},
	{"Trace Error Details", func(r *record) string { return list(r.Fields.Errors) }},
	{"Trace Record Origin Identifier", func(r *record) string { return r.Item.GraphID }},
	{"Trace Email Action", func(r *record) string { return r.action() }},
	{"Native SHA-256", func(r *record) string { return r.Native.SHA256 }},
	{"MD5 Hash", func(r *record) string { return r.Native.MD5 }},
	{"EDRM MIH", func(r *record) string { return r.Fields.MIH }},
	{"Mailbox", func(r *record) string { return r.Custodian.Identifier }},
	{"Custodian", func(r *record) string {
		return cmp.Or(r.Custodian.DisplayName, r.Custodian.Identifier)
	}},
	{"Folder Path", func(r *record) string { return r.Item.Folder }},
	{"Item State", func(r *record) string { return string(r.Item.State) }},
	{"Meeting Start Date/Time", func(r *record) string { return date(r.Fields.Meeting.Start) }},
	{"Meeting End Date/Time", func(r *record) string { return date(r.Fields.Meeting.End) }},
	{"Meeting Location", func(r *record) string { return r.Fields.Meeting.Location }},
	{"Meeting Organizer", func(r *record) string { return r.Fields.Meeting.Organizer }},
	{"Meeting Attendees", func(r *record) string { return list(r.Fields.Meeting.Attendees) }},
	{"Meeting Recurrence", func(r *record) string { return r.Fields.Meeting.Recurrence }},
	{"Meeting iCalUId", func(r *record) string { return r.Fields.Meeting.ICalUID }},
	{"Participants", func(r *record) string { return list(r.Fields.Participants) }},
	{"BegAttach", func(r *record) string { return r.top }},
	{"EndAttach", func(r *record) string { return r.last }},
	{"Time Zone", func(*record) string { return "UTC" }},
	{"Text Status", func(r *record) string { return r.TextStatus }},
}

// Columns are the load file's column names in their order.
func Columns() []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return names
}

func entryName(e *Entry) string {
	if e == nil {
		return ""
	}
	return e.Name
}

func windows(name string) string { return strings.ReplaceAll(name, "/", `\`) }

func yes(b bool) string {
	if b {
		return "Yes"
	}
	return "No"
}

func date(t time.Time) string {
	if t = plausible(t); t.IsZero() {
		return ""
	}
	return t.Format(dateFormat)
}

// plausible is a time in UTC, or none where its year has no four digits: a mail's own dates may be anything, and JSON and
// the load file have no way to write others.
func plausible(t time.Time) time.Time {
	if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// list joins several values; a separator within one becomes a comma, so that a name cannot pass for two.
func list(values []string) string {
	clean := make([]string, len(values))
	for i, v := range values {
		clean[i] = strings.ReplaceAll(v, many, ",")
	}
	return strings.Join(clean, many)
}

func extension(name string) string {
	e := path.Ext(name)
	if len(e) < 2 || len(e) > 12 || strings.ContainsAny(e, " \t") {
		return ""
	}
	return strings.ToLower(e[1:])
}

func kilobytes(text *Entry) string {
	if text == nil {
		return "0.00"
	}
	return strconv.FormatFloat(float64(text.Size)/1024, 'f', 2, 64)
}

// topParent is the family's top, also for what is attached to an attachment.
func (r *record) topParent() string {
	if r.parent == "" {
		return ""
	}
	return r.top
}

func (r *record) fileName() string {
	return cmp.Or(r.FileName, path.Base(r.Native.Name))
}

func (r *record) fileType() string {
	switch {
	case r.Fields.FileType != "":
		return r.Fields.FileType
	case r.Kind == capture.Email:
		return "message/rfc822"
	case r.Kind == capture.Event:
		return "text/calendar"
	}
	return "application/octet-stream"
}

// relativityClass is Relativity's sort of document, not Outlook's message class, which stands in Other Metadata.
func (r *record) relativityClass() string {
	switch r.Kind {
	case capture.Email:
		return "Email"
	case capture.Attachment:
		return "Attach"
	}
	return "Edoc"
}

// ofItem gives a time of the listing row, to the item itself and not to what is attached to it.
func (r *record) ofItem(t time.Time) time.Time {
	if r.Kind == capture.Attachment {
		return time.Time{}
	}
	return t
}

func (r *record) sent() time.Time     { return either(r.Fields.Sent, r.ofItem(r.Item.Sent)) }
func (r *record) created() time.Time  { return either(r.Fields.Created, r.ofItem(r.Item.Created)) }
func (r *record) modified() time.Time { return either(r.Fields.Modified, r.ofItem(r.Item.Modified)) }

func either(t, otherwise time.Time) time.Time {
	if t.IsZero() {
		return otherwise
	}
	return t
}

// messageID is the content's own, or the listing row's where the content could not be read.
func (r *record) messageID() string {
	if r.Fields.MessageID != "" || r.Kind == capture.Attachment {
		return r.Fields.MessageID
	}
	return r.Item.InternetMessageID
}

func (r *record) documentHash() string {
	return cmp.Or(r.Fields.DocumentHash, r.Native.SHA256)
}

func (r *record) action() string {
	if r.Item.Draft && r.Kind == capture.Email {
		return "Draft"
	}
	return r.Fields.Action
}

// otherMetadata is a JSON list of {Key, Value}; an empty value has no entry.
func (r *record) otherMetadata() string {
	all := slices.Concat(r.Fields.Other, []KeyValue{
		{"Item Key", r.Item.Key()}, {"Change Key", r.Item.ChangeKey}, {"Message Item Class", r.Fields.Class},
		{"Recovered For", r.For}, {"Synthesised", map[bool]string{true: "true"}[r.Synthesised]},
	})
	all = slices.DeleteFunc(all, func(kv KeyValue) bool { return kv.Value == "" })
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(all); err != nil {
		panic(fmt.Sprintf("pack: internal error: pairs of strings are always JSON: %v", err))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// appendField writes a value between quotes. The format has no escapes, so that what could end the value, the record or
// the file is replaced: a hostile subject cannot forge a column. Replaced are the quote þ by "th", the line break's sign
// ® by "(R)", every line break by ®, and other control characters by a space. The native has the value as it was.
func appendField(line []byte, value string) []byte {
	line = utf8.AppendRune(line, quote)
	var before rune
	for _, r := range value { // an invalid byte comes as U+FFFD
		switch {
		case r == '\n' && before == '\r': // CRLF is one break
		case r == '\n', r == '\r', r == '\v', r == '\f', r == 0x85, r == 0x2028, r == 0x2029:
			line = utf8.AppendRune(line, newline)
		case r == quote:
			line = append(line, "th"...)
		case r == newline:
			line = append(line, "(R)"...)
		case r < 0x20 && r != '\t', r == 0x7F, r == 0xFEFF:
			line = append(line, ' ')
		default:
			line = utf8.AppendRune(line, r)
		}
		before = r
	}
	return utf8.AppendRune(line, quote)
}

// loadFile gathers the load file while the package is written. It stands at the package's end and is held compressed
// until then: some 300 bytes a document, of at most 65,534.
type loadFile struct {
	data    bytes.Buffer
	encoder *flate.Writer
	line    []byte
	entry   Entry
	crc     hash.Hash32
}

func newLoadFile() *loadFile {
	l := &loadFile{crc: crc32.NewIEEE()}
	l.encoder, _ = flate.NewWriter(&l.data, deflateLevel) // fails for an unknown level only
	l.line = append(l.line, bom...)
	for i, c := range columns {
		l.field(i, c.name)
	}
	return l
}

func (l *loadFile) field(i int, value string) {
	if i > 0 {
		l.line = append(l.line, separator)
	}
	l.line = appendField(l.line, value)
	if i == len(columns)-1 {
		l.line = append(l.line, "\r\n"...)
	}
}

func (l *loadFile) add(r *record) error {
	for i, c := range columns {
		l.field(i, c.value(r))
	}
	return l.flush()
}

func (l *loadFile) flush() error {
	l.crc.Write(l.line)
	l.entry.Size += int64(len(l.line))
	_, err := l.encoder.Write(l.line)
	l.line = l.line[:0]
	return err
}

// close ends the load file; also one without records has its header.
func (l *loadFile) close() (*Entry, io.Reader, error) {
	if err := l.flush(); err != nil {
		return nil, nil, fmt.Errorf("compress load file: %w", err)
	}
	if err := l.encoder.Close(); err != nil {
		return nil, nil, fmt.Errorf("compress load file: %w", err)
	}
	l.entry.Name, l.entry.CRC32, l.entry.Compressed = LoadFileName, l.crc.Sum32(), int64(l.data.Len())
	return &l.entry, bytes.NewReader(l.data.Bytes()), nil
}
