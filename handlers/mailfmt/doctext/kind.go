package doctext

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
)

// Kinds that are found on the way to a document's.
const (
	unknown = "binary"
	oleFile = "ole" // OLE2, a file system in a file: Word 97 and others
)

// headBytes is how much of a document is looked at for its kind.
const headBytes = 64 << 10

// identify finds the document's kind from its content, and among texts from media type and name.
func (d *document) identify() error {
	head := make([]byte, min(d.Size, headBytes))
	if _, err := d.Content.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	start := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\uFEFF")), " \t\r\n\x00")
	switch {
	case bytes.HasPrefix(start, []byte("%PDF-")), d.named() == PDF && bytes.Contains(head[:min(len(head), 1024)], []byte("%PDF-")):
		d.kind = PDF
	case isZIP(head):
		d.kind = ZIP
		return d.identifyZIP()
	case bytes.HasPrefix(head, []byte(oleMagic)):
		d.kind = oleFile
	case bytes.HasPrefix(start, []byte(`{\rtf`)):
		d.kind = RTF
	default:
		d.kind = d.identifyText(head)
	}
	return nil
}

func isZIP(head []byte) bool {
	return slices.Contains([]string{"PK\x03\x04", "PK\x05\x06", "PK\x07\x08"}, string(head[:min(len(head), 4)]))
}

// identifyText tells between texts, and text from what is none.
func (d *document) identifyText(head []byte) string {
	named := d.named()
	binaryKind, known := sniff(head)
	if utf16 := wide(head); utf16 != "" {
		if d.Charset == "" {
			d.Charset = utf16
		}
		for _, mark := range []string{"\xFF\xFE", "\xFE\xFF"} {
			head = bytes.TrimPrefix(head, []byte(mark))
		}
		head = bytes.ReplaceAll(head, []byte{0}, nil)
	} else if control := controls(head); known && control > 0 || control > 0 && !isText(named) || 10*control > len(head) {
		return binaryKind
	}
	start := strings.ToLower(string(head[:min(len(head), 2048)]))
	start = strings.TrimLeft(start, "\uFEFF \t\r\n")
	switch {
	case strings.HasPrefix(start, "begin:vcalendar"):
		return Calendar
	case strings.HasPrefix(start, "<!doctype html"), strings.HasPrefix(start, "<") && strings.Contains(start, "<html"):
		return HTML
	case named == HTML, named == CSV:
		return named
	}
	return PlainText
}

func isText(kind string) bool {
	return slices.Contains([]string{PlainText, CSV, HTML, Calendar, RTF}, kind)
}

// sniff names what begins as browsers know it: "image", "audio", "video", "font", an archive.
func sniff(head []byte) (kind string, known bool) {
	kind, _, _ = mime.ParseMediaType(http.DetectContentType(head))
	family, name, _ := strings.Cut(kind, "/")
	switch {
	case kind == "application/octet-stream", family == "text":
		return unknown, false
	case family == "application":
		return strings.TrimPrefix(name, "x-"), true
	}
	return family, true
}

// textless knows what needs no worker: what is empty, and pictures, sound and film by their first bytes.
func textless(src Source) (Result, bool) {
	if src.Size == 0 {
		return Result{Kind: (&document{Source: src}).named(), Status: Empty}, true
	}
	head := make([]byte, min(src.Size, 512))
	if _, err := src.Content.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return Result{}, false // the worker meets it again
	}
	kind, known := sniff(head)
	known = known && controls(head) > 0 && slices.Contains([]string{"image", "audio", "video", "font"}, kind)
	return Result{Kind: kind, Status: NotSupported}, known
}

// controls counts what no text has.
func controls(b []byte) int {
	n := 0
	for _, c := range b {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1A && c != 0x1B {
			n++ // 0x1A ended a file in DOS, 0x1B shifts in ISO-2022
		}
	}
	return n
}

// wide names UTF-16 and its order, with its mark or by where the zeros of Western text are.
func wide(b []byte) string {
	if bytes.HasPrefix(b, []byte{0xFF, 0xFE}) || bytes.HasPrefix(b, []byte{0xFE, 0xFF}) {
		return "utf-16"
	}
	var zeros [2]int
	for i, c := range b {
		if c == 0 {
			zeros[i%2]++
		}
	}
	few, many := min(zeros[0], zeros[1]), max(zeros[0], zeros[1])
	if many > len(b)/3 && few <= len(b)/100 {
		return "utf-16"
	}
	return ""
}

// named is the kind that media type or name say, where they say one of a text.
func (d *document) named() string {
	media, _, _ := mime.ParseMediaType(d.MediaType)
	switch media {
	case "text/html", "application/xhtml+xml":
		return HTML
	case "text/csv", "text/tab-separated-values":
		return CSV
	case "text/calendar":
		return Calendar
	case "application/pdf":
		return PDF
	case "text/rtf", "application/rtf":
		return RTF
	}
	switch strings.ToLower(path.Ext(d.Name)) {
	case ".html", ".htm", ".xhtml":
		return HTML
	case ".csv", ".tsv":
		return CSV
	case ".ics", ".ical", ".ifb", ".vcs":
		return Calendar
	case ".pdf":
		return PDF
	case ".rtf":
		return RTF
	case ".txt", ".text", ".log", ".md", ".json", ".xml", ".yaml", ".yml", ".ini", ".sql":
		return PlainText
	}
	if strings.HasPrefix(media, "text/") {
		return PlainText
	}
	return unknown
}
