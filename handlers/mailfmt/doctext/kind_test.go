package doctext

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

func wideText(s string, order unicode.Endianness, mark unicode.BOMPolicy) string {
	b, _ := unicode.UTF16(order, mark).NewEncoder().String(s)
	return b
}

func TestADocumentIsReadAsWhatItIs(t *testing.T) {
	t.Parallel()
	word := string(docx(t, p(r("word")), nil))
	const page = "<!DOCTYPE html><html><body><p>page</p></body></html>"
	for _, tt := range []struct {
		name, media, content string
		kind, status, want   string
	}{
		{"a.pdf", "application/pdf", "just text", PlainText, Extracted, "just text"},
		{"a.txt", "text/plain", word, Word, Extracted, "word"},
		{"a.doc", "application/msword", page, HTML, Extracted, "page"},
		{"a.xls", "application/vnd.ms-excel", "a,b\n1,2\n", PlainText, Extracted, "a,b\n1,2"},
		{"a.csv", "application/octet-stream", "a;b\r\n1;2\r\n", CSV, Extracted, "a;b\n1;2"},
		{"a", "text/csv; header=present", "a,b", CSV, Extracted, "a,b"},
		{"a.doc", "", `{\rtf1 rich}`, RTF, Extracted, "rich"},
		{"a.dat", "", "\uFEFF  {\\rtf1 rich}", RTF, Extracted, "rich"},
		{"a.jpg", "image/jpeg", "no picture", PlainText, Extracted, "no picture"},
		{"a.htm", "", "a <b>fragment</b>", HTML, Extracted, "a\nfragment"},
		{"a.xml", "text/xml", "<?xml version='1.0'?><a>x</a>", PlainText, Extracted, "<?xml version='1.0'?><a>x</a>"},
		{"a.xhtml", "", "<?xml version='1.0'?>\n<html><p>x</p></html>", HTML, Extracted, "x"},
		{"a.txt", "", wideText("wide Ж", unicode.LittleEndian, unicode.UseBOM), PlainText, Extracted, "wide Ж"},
		{"a.txt", "", wideText("no mark", unicode.LittleEndian, unicode.IgnoreBOM), PlainText, Extracted, "no mark"},
		{"a.htm", "", wideText("<html>wide", unicode.LittleEndian, unicode.UseBOM), HTML, Extracted, "wide"},
		{"a.txt", "", "caf\xe9\r\n\x0cx\x1a", PlainText, Extracted, "café\n\nx "},
		{"a.txt", "", "\n \n  indented\n\n\nkept\n\n", PlainText, Extracted, "  indented\n\n\nkept"},
		{"a.txt", "", "half\x00 text\x01 that is called one", PlainText, Extracted, "half text  that is called one"},
		{"a.bin", "", "half\x00 text\x01", "binary", NotSupported, ""},
		{"a.txt", "text/plain", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "image", NotSupported, ""},
		{"BMW.txt", "", "BM is how this text begins", PlainText, Extracted, "BM is how this text begins"},
		{"a.mp3", "", "ID3\x03\x00\x00\x00\x00", "audio", NotSupported, ""},
		{"a.gz", "", "\x1f\x8b\x08\x00\x00\x00", "gzip", NotSupported, ""},
		{"a.txt", "", "", PlainText, Empty, ""},
		{"a.pdf", "", "", PDF, Empty, ""},
		{"a.txt", "", " \r\n\t\r\n", PlainText, Empty, ""},
		{"a.odt", "", string(files(t, map[string]string{"mimetype": "x", "content.xml": "<x/>"})), ZIP, Extracted,
			"content.xml\nmimetype"},
		{"a.vsix", "", string(files(t, map[string]string{"[Content_Types].xml": "<Types/>", "x": ""})), ZIP, Extracted,
			"[Content_Types].xml\nx"},
		{"a.xlsb", "", string(opc(t, map[string]string{"xl/workbook.bin: " +
			"application/vnd.ms-excel.sheet.binary.macroEnabled.main": "x"})), "xlsb", NotSupported, ""},
		{"a.docm", "", string(opc(t, map[string]string{"w/main.xml: " +
			"application/vnd.ms-word.document.macroEnabled.main+xml": wordRoot + p(r("m")) + "</w:document>"})), Word,
			Extracted, "m"},
		{"a.xltx", "", string(opc(t, map[string]string{"xl/workbook.xml: " + sml +
			"template.main+xml": `<workbook><sheets><sheet name="T"/></sheets></workbook>`})), Workbook, Failed, "T"},
		{"a.docx", "", string(files(t, map[string]string{"[Content_Types].xml": "broken", `word\document.xml`: wordRoot +
			p(r("w")) + "</w:document>"})), Word, Extracted, "w"},
	} {
		src := source(tt.name, tt.content)
		src.MediaType = tt.media
		got, res := extractSource(t, src)
		if got != tt.want || res.Kind != tt.kind || res.Status != tt.status {
			t.Errorf("%s, %s: %q, %+v, want %q, %s, %s", tt.name, tt.media, got, res, tt.want, tt.kind, tt.status)
		}
	}
}

func TestADeclaredCharsetIsUsed(t *testing.T) {
	t.Parallel()
	b, _ := charmap.Windows1251.NewEncoder().String("Привет")
	src := source("a.txt", b)
	src.Charset = "windows-1251"
	if got, _ := extractSource(t, src); got != "Привет" {
		t.Errorf("%q", got)
	}
}

func TestCalendarsAreReadByTheConverter(t *testing.T) {
	t.Parallel()
	for content, status := range map[string]string{"BEGIN:VCALENDAR\nEND:VCALENDAR": Extracted, "BEGIN:VCALENDAR\n": Failed} {
		if got, res := extract(t, "invite.ics", []byte(content)); strings.TrimSpace(got) != strings.TrimSpace(content) || res.Kind != Calendar || res.Status != status {
			t.Errorf("%q, %+v, want %s", got, res, status)
		}
	}
}

func TestAZIPListsItsMembers(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, h := range []zip.FileHeader{{Name: "b.txt"}, {Name: "a/"}, {Name: "a/déjà.txt"}, {Name: "a/b/c.docx"},
		{Name: "caf\x82", NonUTF8: true}} {
		if _, err := w.CreateHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	const want = "b.txt\na/\na/déjà.txt\na/b/c.docx\ncafé"
	for _, front := range []string{"", "#!/bin/sh\n"} {
		content := front + b.String()
		if front != "" {
			content = "PK\x03\x04" + content
		}
		if got, res := extract(t, "x.zip",
			[]byte(content)); got != want || res.Kind != ZIP || res.Status != Extracted || res.PasswordProtected {
			t.Errorf("%q, %+v, want %q", got, res, want)
		}
	}
	if got, res := extract(t, "x.zip", files(t, nil)); got != "" || res.Status != Empty {
		t.Errorf("an empty one: %q, %+v", got, res)
	}
	if _, res := extract(t, "x.zip", b.Bytes()[:b.Len()-30]); res.Kind != ZIP || res.Status != Failed {
		t.Errorf("one without an end: %+v", res)
	}
}

// encrypted sets the flag of every member.
func encrypted(b []byte) []byte {
	b = bytes.Clone(b)
	for _, h := range []struct {
		signature string
		flags     int
	}{{"PK\x01\x02", 8}, {"PK\x03\x04", 6}} {
		for i := 0; ; i++ {
			n := bytes.Index(b[i:], []byte(h.signature))
			if n < 0 {
				break
			}
			i += n
			b[i+h.flags] |= 1
		}
	}
	return b
}

func TestPasswordsAreTold(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		content    []byte
		kind, want string
		status     string
		protected  bool
	}{
		"a ZIP": {encrypted(files(t, map[string]string{"secret.txt": "x"})), ZIP, "secret.txt",
			Extracted, true},
		"a Word document in one": {encrypted(docx(t, p(r("x")), nil)), ZIP,
			"[Content_Types].xml\n_rels/.rels\nword/document.xml", Extracted, true},
		"an Office document": {compoundFile(oleStream{"EncryptionInfo", "x"}, oleStream{"EncryptedPackage", "x"}),
			"encrypted office", "", Protected, true},
		"an Office 97 document with rights": {compoundFile(oleStream{"WordDocument", "x"}, oleStream{"\x09DRMContent", "x"}),
			"encrypted office", "", Protected, true},
		"Word 97": {compoundFile(oleStream{"WordDocument",
			"\xEC\xA5\xC1\x00\x00\x00\x00\x00\x00\x00\x00\x01" + strings.Repeat("x", 5000)}), "doc", "", Protected, true},
		"Word 97 without": {compoundFile(oleStream{"WordDocument",
			"\xEC\xA5\xC1\x00\x00\x00\x00\x00\x00\x00\x00\x00" + strings.Repeat("x", 50)}), "doc", "", NotSupported, false},
		"Excel 97": {compoundFile(oleStream{"Other", strings.Repeat("z", 200)}, oleStream{"Workbook",
			"\x09\x08\x04\x00abcd\x2F\x00\x02\x00xx"}), "xls", "", Protected, true},
		"Excel 97 without": {compoundFile(oleStream{"Workbook", "\x09\x08\x04\x00abcd\x31\x00\x02\x00xx"}), "xls",
			"", NotSupported, false},
		"PowerPoint 97": {compoundFile(oleStream{"PowerPoint Document", "x"}, oleStream{"EncryptedSummary",
			"x"}), "ppt", "", Protected, true},
		"PowerPoint 97 without": {compoundFile(oleStream{"PowerPoint Document", "x"}), "ppt", "", NotSupported, false},
		"a message":             {compoundFile(oleStream{"__properties_version1.0", "x"}), "msg", "", NotSupported, false},
		"something else":        {compoundFile(oleStream{"Stuff", "x"}), "ole", "", NotSupported, false},
		"something broken":      {compoundFile(oleStream{"Stuff", "x"})[:700], "ole", "", Failed, false},
	} {
		got, res := extract(t, "x", tt.content)
		if want := (Result{tt.kind, tt.status, tt.protected, int64(len(tt.want))}); got != tt.want || res != want {
			t.Errorf("%s: %q, %+v, want %q, %+v", name, got, res, tt.want, want)
		}
	}
}

func TestChainsThatGoRoundEnd(t *testing.T) {
	t.Parallel()
	b := compoundFile(oleStream{"Workbook", "x"}, oleStream{"Book", "x"})
	const far = 250_000 // of small sectors
	for _, sector := range []int{3, 4} {
		binary.LittleEndian.PutUint32(b[512+4*sector:], uint32(sector)) // follows itself
	}
	for _, entry := range []int{1, 2} {
		binary.LittleEndian.PutUint32(b[1024+128*entry+116:], far)
		binary.LittleEndian.PutUint32(b[1024+128*entry+120:], 4000)
	}
	for i := 0; i < 512; i += 4 {
		binary.LittleEndian.PutUint32(b[512+3*512+i:], far)
	}
	reads := 0
	content := readerFunc(func(p []byte, off int64) (int, error) {
		reads++
		return bytes.NewReader(b).ReadAt(p, off)
	})
	_, res := extractSource(t, Source{Name: "x.xls", Size: int64(len(b)), Content: content})
	if res.Kind != "xls" || res.Status != NotSupported || reads < 30_000 || reads > 100_000 {
		t.Errorf("%+v after %d reads", res, reads)
	}
}

type oleStream struct{ name, content string }

// compoundFile makes an OLE2 file of streams: sectors of 512 bytes, small streams in the root's. Its table is sector 0, the
// directory begins in 1, the table of small sectors in 3, the root's stream in 4.
func compoundFile(streams ...oleStream) []byte {
	const end = 0xFFFFFFFE
	var small, large bytes.Buffer
	var table, smallTable []uint32
	table = append(table, 0xFFFFFFFD, 2, end, end)
	chain := func(table []uint32, n int) []uint32 {
		for range n - 1 {
			table = append(table, uint32(len(table)+1))
		}
		return append(table, end)
	}
	padded := func(b *bytes.Buffer, content string, sector int) int {
		n := (len(content) + sector - 1) / sector
		b.WriteString(content + strings.Repeat("\x00", n*sector-len(content)))
		return n
	}
	table = chain(table, 4) // room for 32 small sectors
	directory := dirEntry("Root Entry", 5, 4, 2048)
	for _, s := range streams {
		if len(s.content) >= 4096 {
			directory += dirEntry(s.name, 2, uint32(len(table)), len(s.content))
			table = chain(table, padded(&large, s.content, 512))
		} else {
			directory += dirEntry(s.name, 2, uint32(len(smallTable)), len(s.content))
			smallTable = chain(smallTable, padded(&small, s.content, 64))
		}
	}
	h := make([]byte, 512)
	copy(h, oleMagic)
	binary.LittleEndian.PutUint16(h[30:], 9)
	binary.LittleEndian.PutUint32(h[48:], 1)
	binary.LittleEndian.PutUint32(h[60:], 3)
	binary.LittleEndian.PutUint32(h[68:], end)
	for i := 76; i < 512; i += 4 {
		binary.LittleEndian.PutUint32(h[i:], 0xFFFFFFFF)
	}
	binary.LittleEndian.PutUint32(h[76:], 0)
	sector := func(t []uint32) []byte {
		b := bytes.Repeat([]byte{0xFF}, 512)
		for i, n := range t {
			binary.LittleEndian.PutUint32(b[4*i:], n)
		}
		return b
	}
	fill := func(s string, n int) []byte { return []byte(s + strings.Repeat("\x00", n-len(s))) }
	return bytes.Join([][]byte{h, sector(table), fill(directory, 1024), sector(smallTable), fill(small.String(), 2048),
		large.Bytes()}, nil)
}

func dirEntry(name string, kind byte, first uint32, size int) string {
	b := make([]byte, 128)
	for i, u := range utf16.Encode([]rune(name)) {
		binary.LittleEndian.PutUint16(b[2*i:], u)
	}
	binary.LittleEndian.PutUint16(b[64:], uint16(2*len(name)+2))
	b[66] = kind
	binary.LittleEndian.PutUint32(b[116:], first)
	binary.LittleEndian.PutUint32(b[120:], uint32(size))
	return string(b)
}
