package doctext

import (
	"archive/zip"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// check reads a document twice: the text is one, and the same.
func check(t *testing.T, name string, b []byte) {
	t.Helper()
	begin := time.Now()
	text, res := extract(t, name, b)
	if again, same := extract(t, name, b); again != text || res != same {
		t.Errorf("%q, %+v, and then %q, %+v", text, res, again, same)
	}
	if !slices.Contains([]string{Extracted, Empty, NotSupported, Protected, TooLarge, Failed}, res.Status) || res.Kind == "" {
		t.Errorf("%+v", res)
	}
	if res.Status == Protected && !res.PasswordProtected {
		t.Errorf("%+v", res)
	}
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("it took %v", took)
	}
}

// seeds are what each fuzz target begins with: what it takes, by its name.
func seeds(t testing.TB) map[string][][]any {
	one := func(list ...[]byte) (all [][]any) {
		for _, b := range list {
			all = append(all, []any{b})
		}
		return all
	}
	s := samples(t)
	pdfs := one(s["x.pdf"])
	small := smallPDFs()
	for _, name := range slices.Sorted(maps.Keys(small)) {
		pdfs = append(pdfs, []any{small[name]})
	}
	numbers := [][]any{}
	for _, code := range []string{"0.00E+00", "[h]:mm:ss.000", `_(* #,##0.00_);[Red]\-0,`, "000-00-0000", "m/d/yyyy AM/PM"} {
		numbers = append(numbers, []any{code, 12345.678})
	}
	return map[string][][]any{
		"FuzzRTF": one(s["x.rtf"], []byte(`{\rtf1\fromhtml1{\*\htmltag64 <p>}\htmlrtf x\htmlrtf0 y{\upr{a}{\*\ud{\u233?}}}`+
			`{\footnote n}\trowd a\cell\row}`)),
		"FuzzOffice": one(append([][]byte{s["x.docx"], s["x.xlsx"], s["x.pptx"]}, officeParts()...)...),
		"FuzzOLE":    one(s["x.doc"][len(oleMagic):]),
		"FuzzZIP": {{[]byte("a/d\xC3\xA9j\xC3\xA0"), uint16(0x800), s["x.zip"][4:]},
			{[]byte("caf\x82\n"), uint16(1), s["x.docx"][4:]}},
		"FuzzText":   one(s["x.ics"], s["x.txt"], s["x.html"], []byte("a;\"b\r\nc\";d\r\n"), []byte("\xFF\xFEa\x00\xE9\x00")),
		"FuzzNumber": numbers,
		"FuzzPDF":    pdfs,
	}
}

// officeParts are parts of documents of Word, Excel and PowerPoint.
func officeParts() [][]byte {
	return [][]byte{
		[]byte(wordRoot + p(r("a")+`<w:fldChar w:fldCharType="begin"/><w:instrText>HYPERLINK "x"</w:instrText><w:fldChar `+
			`w:fldCharType="end"/><w:del><w:delText>d</w:delText></w:del>`) + `<w:tbl><w:tr><w:tc/></w:tr></w:tbl>`),
		[]byte(`<worksheet><sheetData><row><c t="s"><v>1</v></c><c s="1"><f>HYPERLINK("a")</f><v>1.5</v></c></row></sheetData>` +
			`<headerFooter><oddHeader>&amp;L&amp;12x</oddHeader></headerFooter>`),
		[]byte(`<w:p><w:docPr descr="d"/><w:ddList><w:result w:val="1"/><w:listEntry w:val="x"/><w:listEntry w:val="y"/>` +
			`</w:ddList></w:p><w:altChunk r:id="a"/><Relationship Id="a" Target="header1.xml"/>`),
		[]byte(`<p:sld><p:sp><p:ph/><a:p><a:r><a:hlinkClick r:id="rId1"/><a:t>x</a:t></a:r></a:p></p:sp></p:sld>`),
		[]byte(`<styleSheet><numFmt numFmtId="164" formatCode="[h]:mm;@"/><cellXfs><xf numFmtId="164"/></cellXfs></styleSheet>`),
	}
}

func seed(f *testing.F) {
	f.Helper()
	for _, args := range seeds(f)[f.Name()] {
		f.Add(args...)
	}
}

// Without seeds a fuzz target tests nothing when tests run, and finds little when it is run.
func TestEveryFuzzTargetHasSeeds(t *testing.T) {
	t.Parallel()
	source, err := parser.ParseFile(token.NewFileSet(), "fuzz_test.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := seeds(t)
	for _, d := range source.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(f.Name.Name, "Fuzz") {
			continue
		}
		name := f.Name.Name
		for i, args := range all[name] {
			if b, ok := args[0].([]byte); ok && len(b) == 0 {
				t.Errorf("%s: seed %d is empty", name, i)
			}
		}
		if len(all[name]) == 0 {
			t.Errorf("%s has no seeds", name)
		}
		delete(all, name)
	}
	for name := range all {
		t.Errorf("there are seeds for %s, which there is not", name)
	}
}

func FuzzRTF(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		check(t, "x.rtf", b)
		check(t, "x.rtf", append([]byte(`{\rtf1 `), b...))
	})
}

// FuzzOffice reads bytes as a document, and as the parts of documents.
func FuzzOffice(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		check(t, "x", b)
		if len(b) > 64<<10 {
			return
		}
		part := string(b)
		for _, parts := range []map[string]string{
			docxParts(part, map[string]string{"word/_rels/document.xml.rels": part, "word/header1.xml": part}),
			xlsxParts(part, map[string]string{"xl/sharedStrings.xml": part, "xl/styles.xml: " + sml + "styles+xml": part}),
			pptxParts(part, nil),
		} {
			check(t, "x", packed(t, zip.Store, opcFiles(parts))) // packing them would be most of the work
		}
	})
}

// FuzzOLE reads bytes as an OLE2 file, whose first eight are given.
func FuzzOLE(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) { check(t, "x.doc", append([]byte(oleMagic), b...)) })
}

// FuzzZIP gives a member of a ZIP a name and flags, and reads bytes as a ZIP.
func FuzzZIP(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, name []byte, flags uint16, rest []byte) {
		check(t, "x.zip", append([]byte("PK\x03\x04"), rest...))
		b := oneMember(t, string(name[:min(len(name), 0xFFFF)]), flags)
		check(t, "x.zip", b)
		if _, res := extract(t, "x.zip", b); res.Kind != ZIP || res.PasswordProtected != (flags&1 != 0) {
			t.Errorf("%+v", res)
		}
	})
}

// FuzzText reads bytes as what is no container.
func FuzzText(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, name := range []string{"x.txt", "x.csv", "x.html"} {
			check(t, name, b)
		}
		check(t, "x.ics", append([]byte("BEGIN:VCALENDAR\n"), b...))
	})
}

// FuzzNumber writes a number in a format.
func FuzzNumber(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, code string, v float64) {
		if got := parseFormat(code).show(v, windows); len(got) > 64+8*len(code)+400 {
			t.Errorf("%v in %q has %d bytes", v, code, len(got))
		}
	})
}

func FuzzPDF(f *testing.F) {
	seed(f)
	extract(f, "x.pdf", []byte("%PDF-1.7\n")) // PDFium is compiled now, which on a busy machine takes longer than an input may
	f.Fuzz(func(t *testing.T, b []byte) { check(t, "x.pdf", b) })
}

// oneMember makes a ZIP of a member that is empty, with its flags as they are.
func oneMember(t testing.TB, name string, flags uint16) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	if _, err := w.CreateRaw(&zip.FileHeader{Name: name, Flags: flags &^ 8}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
