// Package doctext reads the text of a document that came as an attachment: what a person sees in it, in reading order, for
// search.
//
// A document is hostile until read. It is read in another process: the handler's executable, started again as a worker that
// is kept for the next document. The worker has no environment, so no secrets; it asks for the document's bytes and answers
// with text over its standard input and output. A document that crashes the worker, makes it take more memory than it may,
// or outlasts its time costs its own text and nothing else.
//
// What reads what:
//
//   - PDF: PDFium (github.com/klippa-app/go-pdfium) as WebAssembly in wazero, within the worker: memory bounded, no files, no
//     clock; what makes it trap ends an instance, what makes it run on ends the worker. It adds 9.7 MB to the handler's 38.
//     Compiling it takes 5 s of a core and 320 MB once per worker, or 0.6 s and 50 MB from the cache directory; then the worker
//     holds 70 MB, a document up to maxPDFMemory more, and a page takes 5 ms. Its interpreter needs no compiling, 200 MB, and
//     40 times as long. Of the readers in Go, github.com/ledongthuc/pdf loses the blanks between words of what TeX sets
//     and has no bounds; github.com/pdfcpu/pdfcpu reads no text.
//   - docx, xlsx, pptx: archive/zip and encoding/xml's tokens, iteratively and as a stream, at 2 to 9 MB of text a second
//     and with less than 128 MB, whatever they unpack to. github.com/xuri/excelize/v2 holds all parts of a workbook in
//     memory, pictures too; github.com/thedatashed/xlsxreader knows cells only. For docx and pptx no living library was
//     found in Go.
//   - RTF (1.9.1, with the HTML that Outlook encapsulates in it), iCalendar, the names in a ZIP or OLE2 file: read here; no
//     living library was found.
//   - Plain text and HTML: by the functions that read a mail's, see Converters.
package doctext

import "io"

// What became of a document's text.
const (
	Extracted    = "Extracted"
	Empty        = "Empty"        // the document has no text: a scan, an empty file
	NotSupported = "NotSupported" // no text is read of its kind
	Protected    = "Protected"    // a password or rights management keeps it shut
	TooLarge     = "TooLarge"     // what fits the limits was extracted
	Failed       = "Failed"       // it is broken, or reading it failed; there may be some text
)

// The kinds whose text is read. Others are named as far as their content tells: "doc", "image", "binary".
const (
	PlainText    = "txt"
	CSV          = "csv"
	HTML         = "html"
	RTF          = "rtf"
	Calendar     = "ics"
	Word         = "docx"
	Workbook     = "xlsx"
	Presentation = "pptx"
	PDF          = "pdf"
	ZIP          = "zip"
)

// A Source is a document. Its kind is found from its content; media type and name only tell between kinds of plain text.
type Source struct {
	Name      string // with its extension
	MediaType string // as declared, "text/csv"
	Charset   string // as declared for a text
	Size      int64
	Content   io.ReaderAt `json:"-"`
}

// A Result says what was read of a document.
type Result struct {
	Kind              string
	Status            string
	PasswordProtected bool  // it is, or of a ZIP a member
	Bytes             int64 // of text
}

// MaxText is the length of a text in bytes. Equal documents have equal texts, so it is no setting.
const MaxText = 16 << 20

// Converters are the readers of texts that mail has too.
type Converters struct {
	// Decode turns a text of the declared charset, which may be empty, into valid UTF-8.
	Decode func(b []byte, charset string, isHTML bool) string
	// HTML lays HTML out as plain text; lines end in LF.
	HTML func(source string) string
	// Calendar gives what iCalendar says to a person; broken: it is damaged, and what could be read is given.
	Calendar func(b []byte, charset string) (text string, broken bool)
}
