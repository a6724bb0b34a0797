package export

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
)

// A form is how a tool wants documents.
type form struct {
	dat     bool   // a DAT beside the volume, with all columns of the evidence's load file, and texts; else one CSV list
	bom     bool   // the DAT begins with a byte order mark
	list    string // name of the CSV list
	natives string // folder in the volume; "": folders of custodians stand in the volume itself
	texts   string
	address bool                // folders are named by the custodian's address, not by the object id
	inline  bool                // attachments are in the email's own file and are written only where they are not
	end     bool                // a column says with which number a document ends, beside the one with which it begins
	header  func(string) string // name of a load file's column; nil: as it is
}

var forms = map[string]form{
	Trace:       {},
	Concordance: {dat: true, bom: true, natives: "NATIVES", texts: "TEXT"},
	Nuix:        {dat: true, natives: "NATIVES", texts: "TEXT", header: nuixHeader},
	Everlaw:     {dat: true, bom: true, natives: "NATIVES", texts: "TEXT", header: everlawHeader, end: true},
	Purview:     {list: "crossreference.csv", address: true, inline: true},
	EML:         {list: "index.csv", inline: true},
}

// Columns of the load file that a form needs by name.
const (
	columnControl = "Control Number"
	columnNative  = "Native File"
	columnText    = "Extracted Text"
	columnSHA256  = "Native SHA-256"
	columnTextKB  = "Extracted Text Size in KB"
)

// own are the columns that an export adds to those of the load file.
var own = []string{"All Custodians", "Source Name", "Source Batch", "Source Package", "Source Package SHA-256", "Source Entry"}

const columnEnd = "End Control Number"

var nuixNames = map[string]string{
	columnControl: "DOCID", "Parent Document ID": "PARENT_DOCID", columnNative: "ITEMPATH", columnText: "TEXTPATH",
}

var notCapital = regexp.MustCompile(`[^A-Z0-9]+`)

func nuixHeader(name string) string {
	if known := nuixNames[name]; known != "" {
		return known
	}
	return notCapital.ReplaceAllString(strings.ToUpper(name), "_")
}

// everlawHeader names columns as Everlaw's standard fields, so that it proposes the right ones.
func everlawHeader(name string) string {
	known := map[string]string{
		columnControl: "Begin Bates", columnEnd: "End Bates", "BegAttach": "Begin Family", "EndAttach": "End Family",
		"Parent Document ID": "Parent ID", columnNative: "Native Path", columnText: "Text Path", "Subject": "Subject",
		"Sent Date/Time": "Date Sent", "Received Date/Time": "Date Received", "File Name": "Filename",
	}[name]
	if known != "" {
		return known
	}
	return name
}

// columns are the header of the form's DAT.
func (f *form) columns() []string {
	all := append(pack.Columns(), own...)
	if f.end {
		all = append(all, columnEnd)
	}
	if f.header != nil {
		for i, c := range all {
			all[i] = f.header(c)
		}
	}
	return all
}

// places of columns in a record.
var (
	atControl = slices.Index(pack.Columns(), columnControl)
	atNative  = slices.Index(pack.Columns(), columnNative)
	atText    = slices.Index(pack.Columns(), columnText)
	atSHA256  = slices.Index(pack.Columns(), columnSHA256)
	atTextKB  = slices.Index(pack.Columns(), columnTextKB)
)

// record is a document's record in the DAT. native and text are its files, by their paths in the export.
func (f *form) record(d *document, native, text string, all []string) []string {
	record := slices.Clone(d.record)
	record[atNative], record[atText] = backslashes(native), backslashes(text)
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], ";", ",")
	}
	n := d.part.name
	for _, v := range []string{strings.Join(all, ";"), n.Source, n.Batch, d.part.pkg.Name, d.part.pkg.SHA256, d.row.Native} {
		record = append(record, pack.LoadFileValue(v))
	}
	if f.end {
		record = append(record, d.row.ControlNumber)
	}
	return record
}

func backslashes(name string) string { return strings.ReplaceAll(name, "/", `\`) }

var indexColumns = []string{
	"controlNumber", "groupIdentifier", "parent", "kind", "file", "insideFile", "custodian", "identifier", "allCustodians",
	"received", "sent", "internetMessageId", "mih", "nativeBytes", "nativeSha256", "source", "batch", "package", "packageSha256",
	"entry",
}

// index is a document's record in the CSV list: which file it is, or in which other it is, and where it comes from.
func (f *form) index(d *document, file, inside string, all []string) []string {
	r, n := d.row, d.part.name
	return []string{
		r.ControlNumber, r.GroupIdentifier, r.Parent, string(r.Kind), file, inside, r.Custodian, all[0], strings.Join(all, "; "),
		instant(r.Received), instant(r.Sent), r.InternetMessageID, r.MIH, strconv.FormatInt(r.NativeBytes, 10), r.NativeSHA256,
		n.Source, n.Batch, d.part.pkg.Name, d.part.pkg.SHA256, r.Native,
	}
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// within reports whether a document has no file of its own, since it is in its email's.
func (f *form) within(d *document) bool {
	return f.inline && d.row.Kind == capture.Attachment && d.top.Kind == capture.Email
}

// native is where in its volume a document's native is written, and text its text. They are named by the control number,
// under which they are found whatever they were called, and which stands once; the name that it had stands in the load file.
func (f *form) native(d *document) string {
	return path.Join(f.natives, d.folder, d.row.ControlNumber+extension(d.row))
}

func (f *form) text(d *document) string {
	return path.Join(f.texts, d.folder, d.row.ControlNumber+".txt")
}

var extensionForm = regexp.MustCompile(`^\.[0-9A-Za-z_-]{1,11}$`)

// extension is that of the entry, where every system takes it.
func extension(row *pack.ItemRow) string {
	if e := path.Ext(row.Native); extensionForm.MatchString(e) {
		return strings.ToLower(e)
	}
	return ".bin"
}

// An address that may name a folder on every system.
var addressForm = regexp.MustCompile(`^[^\s\\/:*?"<>|@\x00-\x1F\x7F]{1,64}@[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)+$`)

// folderOf is the folder of a custodian; "": there is no name for it.
func (f *form) folderOf(id, address string) string {
	switch {
	case !f.address:
		return id
	case addressForm.MatchString(address) && len(address) <= 120:
		return address
	}
	return ""
}
