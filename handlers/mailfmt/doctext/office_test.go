package doctext

import (
	"archive/zip"
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// files makes a ZIP of files, by name.
func files(t testing.TB, content map[string]string) []byte { return packed(t, zip.Deflate, content) }

func packed(t testing.TB, method uint16, content map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(content)) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err == nil {
			_, err = f.Write([]byte(content[name]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const (
	xmlHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\r\n"
	wml     = "application/vnd.openxmlformats-officedocument.wordprocessingml."
	sml     = "application/vnd.openxmlformats-officedocument.spreadsheetml."
	pml     = "application/vnd.openxmlformats-officedocument.presentationml."
	rels    = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
)

// opc makes a document of OOXML.
func opc(t testing.TB, parts map[string]string) []byte { return files(t, opcFiles(parts)) }

// opcFiles are the files of a document: parts by "name: content type", all with the namespaces' usual prefixes.
func opcFiles(parts map[string]string) map[string]string {
	content := map[string]string{}
	types := xmlHead + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
		`<Default Extension="xml" ContentType="application/xml"/>`
	for _, key := range slices.Sorted(maps.Keys(parts)) {
		name, kind, typed := strings.Cut(key, ": ")
		content[name] = parts[key]
		if strings.HasSuffix(name, ".xml") || strings.HasSuffix(name, ".rels") {
			content[name] = xmlHead + parts[key]
		}
		if typed {
			types += fmt.Sprintf(`<Override PartName="/%s" ContentType="%s"/>`, name, kind)
		}
	}
	content["[Content_Types].xml"] = types + "</Types>"
	return content
}

// relate makes a part with relationships from "id kind target"; targets with a scheme lie outside.
func relate(list ...string) string {
	s := `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`
	for _, r := range list {
		f := strings.Fields(r)
		mode := ""
		if strings.Contains(f[2], ":") {
			mode = ` TargetMode="External"`
		}
		s += fmt.Sprintf(`<Relationship Id="%s" Type="%s%s" Target="%s"%s/>`, f[0], rels, f[1], f[2], mode)
	}
	return s + `</Relationships>`
}

const wordRoot = `<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" ` +
	`xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" ` +
	`xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">`

// docx makes a document of Word with a body, and further parts.
func docx(t testing.TB, body string, more map[string]string) []byte {
	t.Helper()
	return opc(t, docxParts(body, more))
}

func docxParts(body string, more map[string]string) map[string]string {
	parts := map[string]string{
		"word/document.xml: " + wml + "document.main+xml": wordRoot + "<w:body>" + body + "<w:sectPr/></w:body></w:document>",
		"_rels/.rels": relate("rId1 officeDocument word/document.xml"),
	}
	maps.Copy(parts, more)
	return parts
}

func p(runs string) string {
	return "<w:p><w:pPr><w:tabs><w:tab w:val=\"left\"/></w:tabs></w:pPr>" + runs + "</w:p>"
}

func r(text string) string {
	return `<w:r><w:rPr><w:b/></w:rPr><w:t xml:space="preserve">` + text + `</w:t></w:r>`
}

func TestWordGivesWhatAPersonSees(t *testing.T) {
	t.Parallel()
	link := map[string]string{"word/_rels/document.xml.rels": relate("rId7 hyperlink https://example.com/a?b=1&amp;c")}
	field := func(code, result string) string {
		return `<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>` + code + `</w:instrText></w:r>` +
			`<w:r><w:fldChar w:fldCharType="separate"/></w:r>` + r(result) + `<w:r><w:fldChar w:fldCharType="end"/></w:r>`
	}
	cell := func(paragraphs ...string) string {
		return "<w:tc><w:tcPr/>" + strings.Join(paragraphs, "") + "</w:tc>"
	}
	box := `<w:txbxContent>` + p(r("in a box")) + `</w:txbxContent>`
	for name, tt := range map[string]struct {
		body string
		more map[string]string
		want string
	}{
		"paragraphs": {p(r("Hello ")+r("world")) + p("") + p(r("Second")), nil, "Hello world\nSecond"},
		"tabs and breaks": {p(`<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/><w:t>d</w:t>` +
			`</w:r>`), nil, "a\tb\nc-d"},
		"entities":         {p(r("Fish &amp; &#x43;hips &lt;5")), nil, "Fish & Chips <5"},
		"line ends in XML": {p(r("one\r\ntwo\nthree")), nil, "one two three"},
		"a table": {
			"<w:tbl><w:tr>" + cell(p(r("a"))) + cell(p("")) + cell(p(r("b1")), p(r("b2"))) + "</w:tr><w:tr>" +
				cell(p("")) + cell(p(r("c"))) + "</w:tr></w:tbl>" + p(r("after")),
			nil, "a\tb1\nb2\nc\nafter",
		},
		"a table in a table": {
			"<w:tbl><w:tr>" + cell(p(r("a")), "<w:tbl><w:tr>"+cell(p(r("x")))+cell(p(r("y")))+"</w:tr></w:tbl>") +
				cell(p(r("b"))) + "</w:tr></w:tbl>",
			nil, "a\nx\ty\tb",
		},
		"a link": {p(r("see ") + `<w:hyperlink r:id="rId7" w:history="1">` + r("here") + `</w:hyperlink>` + r(" now")),
			link, "see here <https://example.com/a?b=1&c> now"},
		"a link that says where it leads": {
			p(`<w:hyperlink r:id="rId7">` + r("Example.com/a?b=1&amp;c") + `</w:hyperlink>`), link, "Example.com/a?b=1&c",
		},
		"a link within the document": {p(`<w:hyperlink w:anchor="top">` + r("up") + `</w:hyperlink>`), nil, "up"},
		"a field that links": {p(r("see ") + field(` HYPERLINK "https://example.org/x" \o "tip" `, "this")), nil,
			"see this <https://example.org/x>"},
		"a field that links inside": {p(field(`HYPERLINK \l "_Toc1"`, "Chapter")), nil, "Chapter"},
		"a field":                   {p(r("Page ") + field(" PAGE ", "3")), nil, "Page 3"},
		"a simple field": {
			p(`<w:fldSimple w:instr="HYPERLINK &quot;https://example.net&quot;">` + r("net") + `</w:fldSimple>`), nil,
			"net <https://example.net>",
		},
		"tracked changes cut a word": {
			p(r("the colo") + `<w:del w:id="1"><w:r><w:delText>u</w:delText></w:r></w:del>` + r("r of ") +
				`<w:ins w:id="2">` + r("bright ") + `</w:ins>` + r("money")),
			nil, "the color of bright money\n[Original: the colour of money]",
		},
		"a deleted paragraph": {p(`<w:del><w:r><w:delText>burn this</w:delText></w:r></w:del>`) + p(r("kept")), nil,
			"[Original: burn this]\nkept"},
		"a moved paragraph": {
			p(`<w:moveFrom>`+r("wander")+`</w:moveFrom>`) + p(`<w:moveTo>`+r("wander")+`</w:moveTo>`), nil,
			"[Original: wander]\nwander",
		},
		"a text box once": {
			p(r("before ") + `<w:r><mc:AlternateContent><mc:Choice Requires="wps"><w:drawing>` + box +
				`</w:drawing></mc:Choice><mc:Fallback><w:pict>` + box +
				`</w:pict></mc:Fallback></mc:AlternateContent></w:r>` + r("after")),
			nil, "in a box\nbefore after",
		},
		"a text box of old": {p(`<w:r><w:pict><v:shape><v:textbox>` + box + `</v:textbox></v:shape></w:pict></w:r>` +
			r("x")), nil, "in a box\nx"},
		"a watermark": {p(`<w:r><w:pict><v:shape><v:textpath style="" string="DRAFT"/></v:shape></w:pict></w:r>`),
			nil, " DRAFT "},
		"pictures that say what they show": {
			p(`<w:r><w:drawing><wp:inline><wp:docPr id="1" name="no" descr="A signed&#xA;contract"/></wp:inline></w:drawing>` +
				`<w:pict><v:shape alt="old"/><v:shape/></w:pict></w:r>` + r(" below")), nil, "[A signed contract][old] below"},
		"a form's list": {
			p(`<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:ddList><w:result w:val="1"/><w:listEntry w:val="no"/>` +
				`<w:listEntry w:val="chosen"/></w:ddList></w:ffData></w:fldChar></w:r>`), nil, "chosen"},
		"parts in other formats": {
			p(r("above")) + `<w:altChunk r:id="a"/><w:altChunk r:id="b"/><w:altChunk r:id="c"/>` + p(r("below")),
			map[string]string{
				"word/_rels/document.xml.rels": relate("a aFChunk a.htm", "b aFChunk /word/b.rtf", "c aFChunk c.txt"),
				"word/a.htm":                   "<html><p>taken in</p></html>",
				"word/b.rtf":                   `{\rtf1 rich}`, "word/c.txt": "plain"},
			"above\ntaken in\nrich\n\nplain\nbelow"},
		"a formula": {p(`<m:oMath><m:r><m:t>E=mc²</m:t></m:r></m:oMath>`), nil, "E=mc²"},
		"a content control": {`<w:sdt><w:sdtPr><w:alias w:val="no"/></w:sdtPr><w:sdtContent>` + p(r("chosen")) +
			`</w:sdtContent></w:sdt>`, nil, "chosen"},
		"hidden text": {p(`<w:r><w:rPr><w:vanish/></w:rPr><w:t>unseen</w:t></w:r>`), nil, "unseen"},
		"a symbol": {p(`<w:r><w:sym w:font="Wingdings" w:char="F04A"/></w:r><w:r><w:sym w:font="Arial" ` +
			`w:char="F041"/><w:sym w:font="Arial" w:char="20AC"/></w:r>`), nil, "A€"},
		"an unknown element": {p(`<w15:new><w:r><w:t>still</w:t></w:r></w15:new>`), nil, "still"},
		"strict and macros":  {p(r("x")), map[string]string{"word/vbaProject.bin": "no"}, "x"},
		"all parts in order": {
			p(r("body")), map[string]string{
				"word/header1.xml: " + wml + "header+xml":  `<w:hdr>` + p(r("header one")) + `</w:hdr>`,
				"word/header10.xml: " + wml + "header+xml": `<w:hdr>` + p(r("header ten")) + `</w:hdr>`,
				"word/header2.xml: " + wml + "header+xml":  `<w:hdr>` + p(r("header two")) + `</w:hdr>`,
				"word/footer1.xml: " + wml + "footer+xml":  `<w:ftr>` + p(r("footer")) + `</w:ftr>`,
				"word/footnotes.xml: " + wml + "footnotes+xml": `<w:footnotes><w:footnote w:id="1">` +
					p(r("a footnote")) + `</w:footnote></w:footnotes>`,
				"word/endnotes.xml: " + wml + "endnotes+xml": `<w:endnotes><w:endnote w:id="1">` + p(r("an endnote")) +
					`</w:endnote></w:endnotes>`,
				"word/comments.xml: " + wml + "comments+xml": `<w:comments><w:comment w:id="0" w:author="Ann Lee" ` +
					`w:initials="A">` + p(r("really?")) + p(r("yes")) + `</w:comment></w:comments>`,
				"word/styles.xml: " + wml + "styles+xml": `<w:styles><w:style><w:name w:val="no"/><w:t>no</w:t>` +
					`</w:style></w:styles>`,
				"word/glossary/document.xml: " + wml + "x+xml": `<w:glossaryDocument>` + p(r("no")) + `</w:glossaryDocument>`,
				"word/charts/chart1.xml: " +
					"application/vnd.openxmlformats-officedocument.drawingml.chart+xml": `<c:chartSpace><c:title><a:p>` +
					`<a:r><a:t>Sales</a:t></a:r></a:p></c:title>` +
					`<c:cat><c:strCache><c:pt idx="0"><c:v>East</c:v></c:pt><c:pt idx="1"><c:v>West</c:v></c:pt>` +
					`</c:strCache></c:cat><c:f>no</c:f></c:chartSpace>`,
				"word/diagrams/data1.xml: " +
					"application/vnd.openxmlformats-officedocument.drawingml.diagramData+xml": `<dgm:dataModel><dgm:t>` +
					`<a:p><a:r><a:t>Boss</a:t></a:r></a:p></dgm:t></dgm:dataModel>`,
			},
			"header one\n\nheader two\n\nheader ten\n\nbody\n\na footnote\n\nan endnote\n\nAnn Lee: " +
				"really?\nyes\n\nSales\nEast West\n\nBoss\n\nfooter",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, res := extract(t, "x.docx", docx(t, tt.body, tt.more))
			if got != tt.want || res.Kind != Word || res.Status != Extracted {
				t.Errorf("%q, %+v, want %q", got, res, tt.want)
			}
		})
	}
}

const mainSheet = sml + "sheet.main+xml"

// xlsx makes a document of Excel with one sheet, and further parts.
func xlsx(t testing.TB, sheet string, more map[string]string) []byte {
	t.Helper()
	return opc(t, xlsxParts(sheet, more))
}

func xlsxParts(sheet string, more map[string]string) map[string]string {
	parts := map[string]string{
		"xl/workbook.xml: " + mainSheet: `<workbook><sheets><sheet name="Data" sheetId="1" ` +
			`r:id="rId1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": relate("rId1 worksheet worksheets/sheet1.xml",
			"rId2 sharedStrings sharedStrings.xml", "rId3 styles styles.xml"),
		"xl/worksheets/sheet1.xml: " + sml + "worksheet+xml": `<worksheet>` + sheet + `</worksheet>`,
		"xl/sharedStrings.xml: " + sml + "sharedStrings+xml": `<sst><si><t>plain</t></si><si><r><t>ri</t></r><r><t>ch</t>` +
			`</r><rPh><t>no</t></rPh></si><si><t>two&#10;lines</t></si><si><t xml:space="preserve">a_x000D_b_x00e9_</t>` +
			`</si></sst>`,
		"xl/styles.xml: " + sml + "styles+xml": `<styleSheet><numFmts><numFmt numFmtId="164" ` +
			`formatCode="000\-00\-0000"/></numFmts><cellStyleXfs><xf numFmtId="9"/></cellStyleXfs><cellXfs><xf ` +
			`numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="10"/></cellXfs></styleSheet>`,
	}
	maps.Copy(parts, more)
	return parts
}

func TestWorkbookGivesWhatAPersonSees(t *testing.T) {
	t.Parallel()
	data := func(cells string) string { return `<sheetData><row r="1">` + cells + `</row></sheetData>` }
	for name, tt := range map[string]struct {
		sheet string
		more  map[string]string
		want  string
	}{
		"strings": {data(`<c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="C1" t="inlineStr"><is><r><t>` +
			`in</t></r><r><t>line</t></r></is></c><c r="D1" t="str"><f>A1</f><v>made</v></c>`), nil,
			"plain\trich\tinline\tmade"},
		"lines, escape": {data(`<c t="s"><v>2</v></c><c t="s"><v>3</v></c>`), nil, "two lines\ta bé"},
		"numbers": {data(`<c><v>12.50</v></c><c s="1"><v>45292</v></c><c s="2"><v>123456789</v></c><c s="3"><v>` +
			`0.125</v></c><c s="99"><v>7</v></c>`), nil, "12.5\t1/1/2024\t123-45-6789\t12.50%\t7"},
		"other values": {data(`<c t="b"><v>1</v></c><c t="e"><v>#DIV/0!</v></c><c t="d"><v>2024-05-06</v></c><c t="s"><v>` +
			`77</v></c><c><v>odd</v></c>`), nil, "TRUE\t#DIV/0!\t2024-05-06\todd"},
		"a formula without a value": {data(`<c><f>SUM(A1:A2)</f></c><c><f>A1</f><v>5</v></c>`), nil, "=SUM(A1:A2)\t5"},
		"rows": {`<sheetData><row r="1"><c><v>1</v></c><c/></row><row r="2" hidden="1"><c><v>2</v></c></row>` +
			`<row/><row><c/><c><v>3</v></c></row></sheetData>`, nil, "1\n2\n3"},
		"links": {
			data(`<c t="str"><f>HYPERLINK("https://example.com/f","see")</f><v>see</v></c>`) +
				`<hyperlinks><hyperlink ref="A1" r:id="rId5"/><hyperlink ref="A2" location="Data!A1"/></hyperlinks>`,
			map[string]string{"xl/worksheets/_rels/sheet1.xml.rels": relate("rId5 hyperlink https://example.com/h")},
			"see\n<https://example.com/f>\n<https://example.com/h>",
		},
		"header": {data(`<c><v>1</v></c>`) + `<headerFooter><oddHeader>&amp;L&amp;"Arial,Bold"&amp;12Secret&amp;CPage ` +
			`&amp;P of &amp;N&amp;R&amp;KFF0000R&amp;&amp;D</oddHeader></headerFooter>`, nil, "1\nSecret Page  of  R&D"},
		"what belongs to it": {
			data(`<c><v>1</v></c>`) + `<drawing r:id="rId2"/>`,
			map[string]string{
				"xl/worksheets/_rels/sheet1.xml.rels": relate("rId1 comments ../comments1.xml",
					"rId2 drawing ../drawings/drawing1.xml", "rId3 threadedComment ../threadedComments/t1.xml"),
				"xl/comments1.xml: " + sml + "comments+xml": `<comments><authors><author>no</author></authors>` +
					`<commentList><comment ref="A1"><text><r><t>Bob:</t></r><r><t xml:space="preserve"> odd</t></r></text>` +
					`</comment></commentList></comments>`,
				"xl/threadedComments/t1.xml": `<ThreadedComments><threadedComment ref="A1"><text>` +
					`agreed</text></threadedComment></ThreadedComments>`,
				"xl/drawings/drawing1.xml": `<xdr:wsDr><xdr:sp><xdr:txBody><a:p><a:r><a:t>boxed</a:t>` +
					`</a:r></a:p></xdr:txBody></xdr:sp></xdr:wsDr>`,
				"xl/drawings/_rels/drawing1.xml.rels": relate("rId1 chart ../charts/chart1.xml"),
				"xl/charts/chart1.xml": `<c:chartSpace><a:p><a:r><a:t>Trend</a:t></a:r></a:p>` +
					`</c:chartSpace>`,
			},
			"1\n\nBob: odd\n\nagreed\n\nboxed\n\nTrend",
		},
		"sheets in order, hidden too": {
			data(`<c><v>1</v></c>`), map[string]string{
				"xl/workbook.xml: " + mainSheet: `<workbook><workbookPr date1904="1"/><sheets><sheet ` +
					`name="Last made" sheetId="9" state="veryHidden" r:id="rId9"/><sheet name="First" sheetId="1" ` +
					`r:id="rId1"/></sheets></workbook>`,
				"xl/_rels/workbook.xml.rels": relate("rId1 worksheet worksheets/sheet1.xml",
					"rId9 worksheet /xl/worksheets/sheet9.xml", "rId3 styles styles.xml"),
				"xl/worksheets/sheet9.xml: " + sml + "worksheet+xml": `<worksheet>` + data(`<c s="1"><v>1</v></c>`) +
					`</worksheet>`,
			},
			"Last made\n1/2/1904\n\nFirst\n1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := tt.want
			if tt.more["xl/workbook.xml: "+mainSheet] == "" {
				want = "Data\n" + want
			}
			got, res := extract(t, "x.xlsx", xlsx(t, tt.sheet, tt.more))
			if got != want || res.Kind != Workbook || res.Status != Extracted {
				t.Errorf("%q, %+v, want %q", got, res, want)
			}
		})
	}
}

// pptx makes a document of PowerPoint with one slide, and further parts.
func pptx(t testing.TB, slide string, more map[string]string) []byte {
	t.Helper()
	return opc(t, pptxParts(slide, more))
}

func pptxParts(slide string, more map[string]string) map[string]string {
	parts := map[string]string{
		"ppt/presentation.xml: " + pml + "presentation.main+xml": `<p:presentation><p:sldIdLst><p:sldId id="256" ` +
			`r:id="rId2"/></p:sldIdLst></p:presentation>`,
		"ppt/_rels/presentation.xml.rels": relate("rId2 slide slides/slide1.xml"),
		"ppt/slides/slide1.xml: " + pml + "slide+xml": `<p:sld><p:cSld><p:spTree>` + slide +
			`</p:spTree></p:cSld></p:sld>`,
	}
	maps.Copy(parts, more)
	return parts
}

func shape(placeholder string, paragraphs ...string) string {
	s := `<p:sp><p:nvSpPr><p:cNvPr id="2" name="no"/><p:nvPr>` + placeholder + `</p:nvPr></p:nvSpPr><p:txBody>`
	for _, text := range paragraphs {
		s += `<a:p><a:pPr/><a:r><a:rPr lang="en"/><a:t>` + text + `</a:t></a:r></a:p>`
	}
	return s + `</p:txBody></p:sp>`
}

func TestPresentationGivesWhatAPersonSees(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		slide string
		more  map[string]string
		want  string
	}{
		"shapes": {shape(`<p:ph type="title"/>`, "Title") + shape("", "one", "two"), nil, "Title\none\ntwo"},
		"breaks": {`<p:sp><p:txBody><a:p><a:r><a:t>a</a:t></a:r><a:br/><a:fld type="slidenum"><a:t>7</a:t></a:fld></a:p>` +
			`</p:txBody></p:sp>`, nil, "a\n7"},
		"a picture that says what it shows": {`<p:pic><p:nvPicPr><p:cNvPr id="4" name="no" descr="A chart"/></p:nvPicPr></p:pic>` +
			shape("", "x"), nil, "[A chart]\nx"},
		"a table": {
			`<p:graphicFrame><a:tbl><a:tr><a:tc><a:txBody><a:p><a:r><a:t>a</a:t></a:r></a:p></a:txBody></a:tc><a:tc>` +
				`<a:txBody><a:p><a:r><a:t>b</a:t></a:r></a:p></a:txBody></a:tc></a:tr>` +
				`<a:tr><a:tc><a:txBody><a:p/></a:txBody></a:tc><a:tc><a:txBody><a:p><a:r><a:t>c</a:t></a:r></a:p>` +
				`</a:txBody></a:tc></a:tr></a:tbl></p:graphicFrame>`,
			nil, "a\tb\nc",
		},
		"links": {
			`<p:sp><p:txBody><a:p><a:r><a:rPr><a:hlinkClick r:id="rId5"/></a:rPr><a:t>go</a:t></a:r></a:p></p:txBody></p:sp>`,
			map[string]string{"ppt/slides/_rels/slide1.xml.rels": relate("rId5 hyperlink https://example.com/p")},
			"go <https://example.com/p>",
		},
		"notes, comments, charts, diagrams": {
			shape("", "slide"), map[string]string{
				"ppt/slides/_rels/slide1.xml.rels": relate("rId1 notesSlide ../notesSlides/notesSlide1.xml",
					"rId2 comments ../comments/comment1.xml",
					"rId3 chart ../charts/chart1.xml", "rId4 diagramData ../diagrams/data1.xml",
					"rId5 slideLayout ../slideLayouts/slideLayout1.xml"),
				"ppt/notesSlides/notesSlide1.xml: " + pml + "notesSlide+xml": `<p:notes>` +
					shape(`<p:ph type="body"/>`, "say this") + `</p:notes>`,
				"ppt/comments/comment1.xml: " + pml + "comments+xml": `<p:cmLst><p:cm authorId="0"><p:pos ` +
					`x="1"/><p:text>why?</p:text></p:cm></p:cmLst>`,
				"ppt/charts/chart1.xml": `<c:chartSpace><c:v>12</c:v></c:chartSpace>`,
				"ppt/diagrams/data1.xml": `<dgm:dataModel><a:p><a:r><a:t>Step</a:t>` +
					`</a:r></a:p></dgm:dataModel>`,
				"ppt/slideLayouts/slideLayout1.xml: " + pml + "slideLayout+xml": `<p:sldLayout>` +
					shape(`<p:ph type="title"/>`, "Click to edit") + shape("", "Company confidential") + `</p:sldLayout>`,
			},
			"slide\n\n12\n\nStep\n\nsay this\n\nwhy?\n\nCompany confidential",
		},
		"slides of a broken list": {
			shape("", "one"), map[string]string{
				"ppt/presentation.xml: " + pml + "presentation.main+xml": `<p:presentation/>`,
				"ppt/slides/slide10.xml: " + pml + "slide+xml":           `<p:sld>` + shape("", "ten") + `</p:sld>`,
				"ppt/slides/slide2.xml: " + pml + "slide+xml":            `<p:sld>` + shape("", "two") + `</p:sld>`,
			},
			"one\n\ntwo\n\nten",
		},
		"slides in the order shown, hidden too": {
			shape("", "second"), map[string]string{
				"ppt/presentation.xml: " + pml + "presentation.main+xml": `<p:presentation><p:sldIdLst><p:sldId id="300" ` +
					`r:id="rId3"/><p:sldId id="256" r:id="rId2"/></p:sldIdLst></p:presentation>`,
				"ppt/_rels/presentation.xml.rels": relate("rId2 slide slides/slide1.xml",
					"rId3 slide slides/slide2.xml"),
				"ppt/slides/slide2.xml: " + pml + "slide+xml": `<p:sld show="0">` + shape("", "first") +
					`</p:sld>`,
			},
			"first\n\nsecond",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, res := extract(t, "x.pptx", pptx(t, tt.slide, tt.more))
			if got != tt.want || res.Kind != Presentation || res.Status != Extracted {
				t.Errorf("%q, %+v, want %q", got, res, tt.want)
			}
		})
	}
}

func TestNumbersAreWrittenAsTheirCellsShowThem(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code string
		v    float64
		want string
	}{
		{"", 0.1 + 0.2, "0.3"}, {"", 123456789012345, "123456789012345"}, {"General", -7, "-7"}, {"", 1e300, "1E+300"},
		{"", 0, "0"},
		{"", 1234567.891, "1234567.891"}, {"", 2.5e-12, "2.5E-12"},
		{"0", 2.5, "3"}, {"0.00", 1.005, "1.01"}, {"0.00", 1234.567, "1234.57"}, {"#,##0", 1234567, "1,234,567"},
		{"#,##0.00", -1234.5, "-1,234.50"},
		{"#,##0;(#,##0)", -1234, "(1,234)"}, {"0.0#", 1.5, "1.5"}, {"0.0#", 1.25, "1.25"}, {"#", 0, ""}, {"0%", 0.25, "25%"},
		{"0.00E+00", 12345, "1.23E+04"}, {`"$"#,##0.00`, 12.5, "$12.50"}, {"[$€-407]#,##0.00", 1000, "€1,000.00"},
		{"#,##0.00\\ [$EUR]", 5, "5.00 EUR"},
		{"000-00-0000", 123456789, "123-45-6789"}, {"(000) 000-0000", 5551234567, "(555) 123-4567"}, {"00000", 42, "00042"},
		{"#,##0,", 1234567, "1,235"}, {"0.0,,\"M\"", 1234567, "1.2M"}, {"[Red]0;[Blue]-0", -3, "-3"}, {`0;-0;"nil"`, 0,
			"nil"},
		{"_(* #,##0.00_);_(* (#,##0.00);_(* \"-\"??_);_(@_)", 1234.5, "1,234.50"},
		{"_(* #,##0.00_);_(* (#,##0.00);_(* \"-\"??_);_(@_)", 0, "-"},
		{"# ?/?", 0.5, "0.5"}, {"[>100]0;0.0", 5, "5"}, {"0.00;", -1, ""}, {`"Q"0`, 3, "Q3"}, {"@", 7, "7"},
		{"m/d/yyyy", 45292, "1/1/2024"}, {"yyyy-mm-dd", 45351.75, "2024-02-29"}, {"dd/mm/yy hh:mm", 45351.75,
			"29/02/24 18:00"},
		{"d-mmm-yy", 1, "1-Jan-00"}, {"dddd, mmmm d, yyyy", 45292, "Monday, January 1, 2024"}, {"h:mm AM/PM", 0.75,
			"6:00 PM"}, {"h:mm:ss", 0.5000116, "12:00:01"},
		{"[h]:mm", 1.5, "36:00"}, {"mm:ss.0", 0.0007, "01:00.4"}, {"[$-409]d/m/yyyy;@", 45292, "1/1/2024"},
		{"yyyy\\-mm\\-dd\\Thh:mm:ss", 45292.5, "2024-01-01T12:00:00"},
		{"yyyy", -1, "-1"}, {"yyyy", 1e9, "1000000000"}, {"m/d/yyyy", 60, "2/28/1900"}, {"m/d/yyyy", 61, "3/1/1900"},
		{"mm/dd", 45292, "01/01"},
	} {
		if got := parseFormat(tt.code).show(tt.v, windows); got != tt.want {
			t.Errorf("%v in %q = %q, want %q", tt.v, tt.code, got, tt.want)
		}
	}
	if got := parseFormat("yyyy-mm-dd").show(0, mac); got != "1904-01-01" {
		t.Errorf("day 0 = %s", got)
	}
}
