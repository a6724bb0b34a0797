package doctext

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/unicode"
)

// bomb makes a ZIP whose one large member unpacks to so many times a piece, between two others.
func bomb(t testing.TB, parts map[string]string, name, begin, piece, end string, times int) []byte {
	t.Helper()
	for len(piece) < 1<<20 {
		piece += piece
	}
	packed := deflatedTimes(begin, piece, end, times)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, part := range parts {
		key, content, _ := strings.Cut(part, "\n")
		f, err := z.Create(key)
		if err == nil {
			_, err = io.WriteString(f, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	f, err := z.CreateRaw(&zip.FileHeader{
		Name: name, Method: zip.Deflate, CompressedSize64: uint64(len(packed)),
		UncompressedSize64: uint64((times + 2) * len(piece)),
	})
	if err == nil {
		_, err = f.Write(packed)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// deflatedTimes deflates a piece so many times, and two more, at the cost of two.
func deflatedTimes(begin, piece, end string, times int) []byte {
	var packed bytes.Buffer
	w, _ := flate.NewWriter(&packed, flate.BestCompression)
	write := func(s string) []byte {
		from := packed.Len()
		_, _ = io.WriteString(w, s)
		_ = w.Flush()
		return bytes.Clone(packed.Bytes()[from:])
	}
	write(begin)
	write(piece)
	again := write(piece) // refers to the piece before it, and so can stand any number of times
	packed.Write(bytes.Repeat(again, times))
	write(end)
	_ = w.Close()
	return packed.Bytes()
}

func TestWhatUnpacksToFarMoreIsCut(t *testing.T) {
	t.Parallel()
	types := map[string]string{"types": "[Content_Types].xml\n<Types/>"}
	book := map[string]string{
		"types": types["types"], "sheet": "xl/worksheets/sheet1.xml\n<worksheet><c t=\"s\"><v>0</v></c></worksheet>",
		"book": "xl/workbook.xml\n<workbook><sheets><sheet name=\"S\" r:id=\"r\"/></sheets></workbook>",
		"rels": "xl/_rels/workbook.xml.rels\n" + relate("r worksheet worksheets/sheet1.xml",
			"s sharedStrings sharedStrings.xml"),
	}
	for name, tt := range map[string]struct {
		parts                     map[string]string
		member, begin, piece, end string
		text                      bool // much of it is text
	}{
		"text": {types, "word/document.xml", wordRoot, p(r(strings.Repeat("bomb ", 1000))), "</w:document>", true},
		"blanks": {types, "word/document.xml", wordRoot + "<w:p>", strings.Repeat(" ", 1000) + "<w:r/>",
			"</w:p></w:document>", false},
		"a token": {types, "word/document.xml", wordRoot + "<w:p><w:r><w:t>", "word ",
			"</w:t></w:r></w:p></w:document>", true},
		"an attribute": {types, "word/document.xml", wordRoot + `<w:p a="`, "word>", `"/></w:document>`, false},
		"a comment":    {types, "word/document.xml", wordRoot + `<!--`, "<word>", `-->`, false},
		"strings": {book, "xl/sharedStrings.xml", "<sst><si><t>first</t></si>", "<si><t>bomb</t></si>", "</sst>",
			false},
		"empty strings": {book, "xl/sharedStrings.xml", "<sst>", "<si/>", "</sst>", false},
		"relationships": {map[string]string{"types": types["types"], "main": "word/document.xml\n" + wordRoot + p(r("word"))},
			"word/_rels/document.xml.rels", "<Relationships>", `<Relationship Id="a" Target="b"/>`, "</Relationships>", false},
		"content types": {map[string]string{"main": "word/document.xml\n" + wordRoot + p(r("word"))},
			"[Content_Types].xml", "<Types>", `<Override PartName="a" ContentType="b"/>`, "</Types>", false},
		"sheets": {types, "xl/workbook.xml", "<workbook>", `<sheet name="" r:id="a"/>`, "</workbook>", false},
		"formats": {map[string]string{"types": types["types"], "book": book["book"], "rels": "xl/_rels/workbook.xml.rels\n" +
			relate("s styles styles.xml")}, "xl/styles.xml", "<styleSheet><cellXfs>", `<xf numFmtId="14"/>`, "</styleSheet>",
			false},
		"a paragraph": {types, "word/document.xml", wordRoot + "<w:p>", r(strings.Repeat("word ", 200)),
			"</w:p></w:document>", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bomb(t, tt.parts, tt.member, tt.begin, tt.piece, tt.end, 10_000)
			if len(b) > 80<<20 {
				t.Fatalf("the bomb has %d bytes", len(b))
			}
			e := extractor(t, func(o *Options) { o.Timeout = 10 * time.Minute }) // the bounds end it, not the time
			text, res := e.extract(t, Source{Name: "x", Size: int64(len(b)), Content: bytes.NewReader(b)})
			if res.Status != TooLarge || tt.text != (len(text) > 1<<20) {
				t.Errorf("%+v, %d bytes of text", res, len(text))
			}
			peak := peakMemory(t, e)
			t.Logf("%d bytes, the worker took %d MiB", len(b), peak>>20)
			if peak > raceFactor*128<<20 {
				t.Errorf("the worker took %d MiB", peak>>20)
			}
		})
	}
}

func TestMoreTokensThanAreRead(t *testing.T) {
	t.Parallel()
	b := docx(t, strings.Repeat(p(r("word")), 1000), nil)
	var text strings.Builder
	res, err := (&reader{tokens: 10_000}).read(t.Context(), Source{Size: int64(len(b)), Content: bytes.NewReader(b)}, &text)
	if lines := strings.Count(text.String(), "word\n"); err != nil || res.Status != TooLarge || lines < 100 || lines > 900 {
		t.Errorf("%d lines, %+v, %v", lines, res, err)
	}
}

func TestDepthCostsNothing(t *testing.T) {
	t.Parallel()
	const n = 200_000 // what calls itself for each ends the tests: see TestMain
	deep := func(open, end string) string { return strings.Repeat(open, n) + p(r("deep")) + strings.Repeat(end, n) }
	for name, tt := range map[string]struct {
		content []byte
		want    string
	}{
		"elements": {docx(t, deep("<w:sdt>", "</w:sdt>"), nil), "deep"},
		"cells":    {docx(t, deep("<w:tc>", "</w:tc>"), nil), "deep"},
		"links":    {docx(t, "<w:p>"+deep("<w:hyperlink>", "</w:hyperlink>")+"</w:p>", nil), "deep"},
		"ends":     {docx(t, p(r("deep"))+strings.Repeat("</w:p></w:tc></w:ins></w:hyperlink>", n), nil), "deep"},
		"fields": {docx(t, "<w:p>"+strings.Repeat(`<w:fldChar w:fldCharType="begin"/>`, n)+r("deep")+"</w:p>",
			nil), "deep"},
		"paragraphs":  {docx(t, strings.Repeat("<w:p>", n)+r("deep")+strings.Repeat("</w:p>", n), nil), "deep"},
		"groups":      {[]byte(`{\rtf1 ` + strings.Repeat("{", n) + "deep" + strings.Repeat("}", n) + "}"), "deep"},
		"open groups": {[]byte(`{\rtf1 ` + strings.Repeat(`{\b`, n) + " deep"), "deep"},
		"shapes": {pptx(t, strings.Repeat("<p:grpSp>", n)+shape("", "deep")+strings.Repeat("</p:grpSp>", n),
			nil), "deep"},
		"cells of sheets": {xlsx(t, strings.Repeat("<c>", n)+`<c t="inlineStr"><is><t>deep</t></is></c>`+
			``+strings.Repeat("</c>", n), nil), "Data\ndeep"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, res := extract(t, "x", tt.content)
			if strings.TrimSpace(got) != tt.want || res.Status != Extracted {
				t.Errorf("%.80q, %+v, want %q", got, res, tt.want)
			}
		})
	}
}

func TestEmptyCellsCostNothing(t *testing.T) {
	t.Parallel()
	b := xlsx(t, "<sheetData>"+strings.Repeat("<row>"+strings.Repeat(`<c r="XFD1" s="1"/>`, 1000)+"</row>", 1000/raceFactor)+
		`<row><c><v>5</v></c></row></sheetData>`, nil)
	if got, res := extract(t, "x", b); got != "Data\n5" || res.Status != Extracted {
		t.Errorf("%.80q, %+v", got, res)
	}
}

func TestEntitiesAreNotReplacedByWhatADocumentSays(t *testing.T) {
	t.Parallel()
	laughs := `<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>`
	b := files(t, map[string]string{"[Content_Types].xml": "<Types/>", "word/document.xml": laughs + wordRoot +
		p(r("&b;&f;&amp;"))})
	if got, res := extract(t, "x", b); got != "&b;&f;&" || res.Status != Extracted {
		t.Errorf("%q, %+v", got, res)
	}
}

func TestAPartThatTakesInItselfIsReadOnce(t *testing.T) {
	t.Parallel()
	body := p(r("body")) + strings.Repeat(`<w:altChunk r:id="a"/>`, 3)
	got, res := extract(t, "x", docx(t, body, map[string]string{
		"word/_rels/document.xml.rels": relate("a aFChunk document.xml"),
	}))
	if n := strings.Count(got, "body</w:t>"); n != 3 || res.Status != Extracted { // as the text that it is
		t.Errorf("%d times, %.80q, %+v", n, got, res)
	}
	b := docx(t, p(r("inner")), nil)
	if got, res := extract(t, "x", docx(t, `<w:altChunk r:id="a"/>`+p(r("outer")), map[string]string{
		"word/_rels/document.xml.rels": relate("a aFChunk inner.docx"), "word/inner.docx": string(b),
	})); got != "outer" || res.Status != Failed {
		t.Errorf("a document in it: %q, %+v", got, res)
	}
}

func TestMorePartsThanAreRead(t *testing.T) {
	t.Parallel()
	parts := map[string]string{}
	for i := range maxParts + 1 {
		parts[fmt.Sprintf("word/media/image%d.png", i)] = ""
	}
	if got, res := extract(t, "x.docx", docx(t, p(r("x")), parts)); got != "" || res.Status != TooLarge {
		t.Errorf("%q, %+v", got, res)
	}
	// A ZIP's names are listed, however many there are.
	if got, res := extract(t, "x.zip", files(t, parts)); strings.Count(got, "\n") != maxParts || res.Status != Extracted {
		t.Errorf("%d lines, %+v", strings.Count(got, "\n"), res)
	}
}

func TestLongTextsAreCutAtACharacter(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		content string
		size    int
	}{
		"ASCII":          {strings.Repeat("a", MaxText+1), MaxText},
		"what fits":      {strings.Repeat("a", MaxText), MaxText},
		"of two bytes":   {"a" + strings.Repeat("é", MaxText/2), MaxText - 1},
		"of three bytes": {strings.Repeat("€", MaxText/3+1), MaxText / 3 * 3},
		"UTF-16":         {wideText(strings.Repeat("a", MaxText+1), unicode.LittleEndian, unicode.UseBOM), MaxText},
		"much longer":    {strings.Repeat("line\n", MaxText/2), MaxText},
		"RTF":            {`{\rtf1 ` + strings.Repeat(`\u233?`+strings.Repeat("a", 62), MaxText>>5) + `}`, MaxText},
		"HTML in RTF":    {`{\rtf1\fromhtml1 ` + strings.Repeat(`{\*\htmltag <p>}`+strings.Repeat("a", 61), 1<<19+4) + `}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, res := extract(t, "x.txt", []byte(tt.content))
			status := TooLarge
			if len(tt.content) == MaxText {
				status = Extracted
			}
			if res.Status != status || tt.size > 0 && len(got) != tt.size {
				t.Errorf("%d bytes, %+v, want %d, %s", len(got), res, tt.size, status)
			}
		})
	}
}

func TestWhatIsLeftOutIsTold(t *testing.T) {
	t.Parallel()
	comment := "<!--" + strings.Repeat("x", maxSource)
	cell := strings.Repeat("x", maxCell)
	note := strings.Repeat("x", maxNotes)
	for name, tt := range map[string]struct {
		content []byte
		size    int // of the text, at least
	}{
		"a cell": {xlsx(t, `<c t="inlineStr"><is><t>`+cell+`</t><t>more</t></is></c>`, nil), maxCell},
		"notes":  {[]byte(`{\rtf1 {\footnote ` + note + `}{\footnote more}}`), maxNotes},
		"HTML":   {[]byte(`{\rtf1\fromhtml1{\*\htmltag ` + comment + `-->}more}`), 0},
		"a part in another format": {docx(t, p(r("body"))+`<w:altChunk r:id="a"/>`, map[string]string{
			"word/_rels/document.xml.rels": relate("a aFChunk a.htm"), "word/a.htm": "<html>" + comment + "-->more"}), 4},
		"annotations": {pdfFile(onePage(words("page"), "/Annots ["+strings.Repeat("6 0 R ", maxAnnotations+1)+"]",
			"<< /Type /Annot /Subtype /Text /Rect [0 0 9 9] /Contents (note) >>"), ""), 5 * maxAnnotations},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, res := extract(t, "x", tt.content)
			if res.Status != TooLarge || len(got) < tt.size || strings.Contains(got, "more") {
				t.Errorf("%d bytes, %+v, want at least %d", len(got), res, tt.size)
			}
		})
	}
}

// samples are a small document of each kind.
func samples(t testing.TB) map[string][]byte {
	table := `<w:tbl><w:tr><w:tc>` + p(r("cell")) + `</w:tc></w:tr></w:tbl>`
	return map[string][]byte{
		"x.docx": docx(t, p(r("word")+`<w:ins>`+r("new")+`</w:ins>`)+table,
			map[string]string{"word/_rels/document.xml.rels": relate("rId7 hyperlink https://example.com/")}),
		"x.xlsx": xlsx(t, `<sheetData><row><c t="s"><v>1</v></c><c s="1"><v>45000</v></c></row></sheetData>`, nil),
		"x.pptx": pptx(t, shape("", "slide"), nil),
		"x.rtf": []byte(`{\rtf1\ansi{\fonttbl{\f0\fcharset204 A;}}\uc1 rich \b text\'e9 \u233?{\*\x ` +
			`no}\par{\field{\*\fldinst HYPERLINK "https://e.com"}{\fldrslt x}}\bin3 abc}`),
		"x.ics": []byte("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY;X=\"a:b\":c\\n\r\n " +
			"d\r\nDTSTART:20260101T000000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"),
		"x.zip": files(t, map[string]string{"a": "x", "b/c": "y"}),
		"x.doc": compoundFile(oleStream{"WordDocument", strings.Repeat("x", 5000)}, oleStream{"Workbook",
			"\x09\x08\x04\x00abcd\x2F\x00"}),
		"x.txt":  []byte("text é\r\n"),
		"x.html": []byte("<html>é&amp;"),
		"x.pdf": pdfFile(onePage(words("Hello"), "/Annots [6 0 R]", "<< /Type /Annot /Subtype /Text /Rect [0 0 9 9] "+
			"/Contents (note) >>"), ""),
	}
}

func TestWhatBreaksOffIsReadAsFarAsItGoes(t *testing.T) {
	t.Parallel()
	statuses := []string{Extracted, Empty, NotSupported, Protected, Failed}
	for name, whole := range samples(t) {
		step := 1
		switch {
		case name == "x.pdf": // each takes PDFium 10 ms to start
			step = 9
		case len(whole) > 4096:
			step = 13
		}
		for n := 0; n < len(whole); n += step {
			text, res := extract(t, name, whole[:n])
			if n%(16*step) == 0 {
				if again, same := extract(t, name, whole[:n]); again != text || res != same {
					t.Errorf("%s, %d bytes: %q, %+v, and then %q, %+v", name, n, text, res, again, same)
				}
			}
			if !slices.Contains(statuses, res.Status) {
				t.Errorf("%s, %d bytes: %+v", name, n, res)
			}
		}
	}
}

func TestEqualBytesGiveEqualTextsWhateverTheWorkerHasRead(t *testing.T) {
	t.Parallel()
	all := samples(t)
	maps.Copy(all, smallPDFs())
	names := slices.Sorted(maps.Keys(all))
	type reading struct {
		text string
		Result
	}
	first := map[string]reading{}
	extract(t, "x.pdf", all["x.pdf"]) // compiles PDFium, where no test has, for the workers too
	for range 2 {
		e := extractor(t)
		for _, name := range names {
			text, res := e.extract(t, Source{Name: name, Size: int64(len(all[name])), Content: bytes.NewReader(all[name])})
			if was, ok := first[name]; ok && was != (reading{text, res}) {
				t.Errorf("%s: %q, %+v, but first %q, %+v", name, text, res, was.text, was.Result)
			}
			first[name] = reading{text, res}
		}
		slices.Reverse(names)
	}
}

func TestABrokenPartCostsThatPart(t *testing.T) {
	t.Parallel()
	got, res := extract(t, "x.docx", docx(t, p(r("body")), map[string]string{
		"word/header1.xml: " + wml + "header+xml":      `<w:hdr>` + p(r("header")) + `<w:p><`,
		"word/footnotes.xml: " + wml + "footnotes+xml": `<w:footnotes>` + p(r("note")) + `</w:footnotes>`,
	}))
	if got != "header\n\nbody\n\nnote" || res.Status != Failed {
		t.Errorf("%q, %+v", got, res)
	}
}
