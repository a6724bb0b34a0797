package export

import (
	"encoding/csv"
	"io"
	"strings"

	"chainmail/handlers/pack"
)

// An exception is a document, or a file of evidence, that was asked for and is not exported. It quotes nothing of any mail.
type exception struct {
	Control, Custodian string // "": all that is in the file
	Source, Batch      string
	File               string // of the evidence
	What               string
}

func exceptionOf(n pack.Name, file, what string) exception {
	return exception{Source: n.Source, Batch: n.Batch, File: file, What: what}
}

const exceptionsFile = "exceptions.csv"

var exceptionColumns = []string{"controlNumber", "custodian", "source", "batch", "file", "what"}

func (x exception) row() []string {
	return []string{x.Control, x.Custodian, x.Source, x.Batch, x.File, x.What}
}

// writeCSV writes a record as RFC 4180 has it, UTF-8 without byte order mark.
func writeCSV(w io.Writer, record []string) error {
	safe := make([]string, len(record))
	for i, v := range record {
		safe[i] = disarm(v)
	}
	c := csv.NewWriter(w)
	c.UseCRLF = true
	if err := c.Write(safe); err != nil {
		return err
	}
	c.Flush()
	return c.Error()
}

// disarm makes a value safe to open in a spreadsheet, as in the exceptions of evidence: one line, and an apostrophe before
// what would be taken for a formula, or begins with an apostrophe itself.
func disarm(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' || r == 0x7F || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if s != "" && strings.ContainsRune("=+-@\t'\uFF1D\uFF0B\uFF0D\uFF20", []rune(s)[0]) {
		return "'" + s
	}
	return s
}

// The characters of a DAT: Concordance's.
const (
	byteOrderMark = "\uFEFF"
	datSeparator  = "\x14"
	datQuote      = "þ"
)

// writeDAT writes a record of a DAT. Its values are as [pack.LoadFileValue] makes them, or as a load file of evidence holds
// them; what of a foreign one could end a value or a record is replaced all the same.
func writeDAT(w io.Writer, record []string) error {
	var b strings.Builder
	for i, v := range record {
		if i > 0 {
			b.WriteString(datSeparator)
		}
		b.WriteString(datQuote + datSafe.Replace(v) + datQuote)
	}
	b.WriteString("\r\n")
	_, err := io.WriteString(w, b.String())
	return err
}

var datSafe = strings.NewReplacer(
	"\r\n", "®", "\r", "®", "\n", "®", datSeparator, " ", datQuote, "th", "\x00", " ", "\x1A", " ", byteOrderMark, " ",
)
