package doctext

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// word reads a document of Word: headers, body, notes, comments, charts and diagrams, footers.
func (p *pack) word() error {
	main := p.mainPart("word/document.xml")
	read := func(name string) error { return p.wordPart(name) }
	for _, group := range [][]string{
		p.having(".header+xml", "header"),
		{main},
		p.having(".footnotes+xml", "footnotes"),
		p.having(".endnotes+xml", "endnotes"),
		p.having(".comments+xml", "comments"),
		p.drawn(),
		p.having(".footer+xml", "footer"),
	} {
		if err := p.each(group, read); err != nil {
			return err
		}
	}
	return nil
}

// drawn are the charts and diagrams.
func (p *pack) drawn() []string {
	names := p.having("drawingml.chart+xml", "chart")
	names = append(names, p.having("chartex+xml", "chartEx")...)
	return append(names, p.having("diagramdata+xml", "data")...)
}

// The bounds of what is held of a paragraph, and of paragraphs within paragraphs: the text boxes anchored in them.
const (
	maxParagraph = 256 << 10
	maxNested    = 64
)

// A wordReader lays out a part of a Word document.
type wordReader struct {
	out     *sink
	links   map[string]relationship
	open    []*wordParagraph
	over    int         // paragraphs that are open and nested too deep
	cells   []cellBegin // of those that are open
	deleted int         // elements that are open whose text is no longer in the document,
	added   int         // and those whose text is new in it
	fields  []*field
	take    taken    // what the characters are that come next
	author  string   // of the comment that begins
	choice  bool     // of alternatives one has been read
	listed  []string // what a form's list offers
	chosen  int
}

// taken says what characters in an element are.
type taken int

const (
	nothing taken = iota
	run           // text
	code          // a field's code
	value         // a chart's value
)

// A wordParagraph is an open paragraph, as it is and as it was before tracked changes. A search for a word needs both:
// deletions and insertions cut words in two.
type wordParagraph struct {
	now, before strings.Builder
	changed     bool
	links       []link
}

// A link is one whose text is being read.
type link struct {
	target string
	begin  int
}

// A field is what Word computes; here it counts where it is a link.
type field struct {
	code   strings.Builder
	begin  int
	result bool // what comes is no code any more
}

func (p *pack) wordPart(name string) error {
	_, links, err := p.relationships(name)
	if err != nil {
		return err
	}
	w := &wordReader{out: p.d.out, links: links}
	err = p.tokens(name, func(s *scanner, t xml.Token) error {
		switch t := t.(type) {
		case xml.StartElement:
			if t.Name.Local == "altChunk" {
				return p.d.part(func() error { return p.chunk(links[relation(t, "id")].target) })
			}
			w.start(s, t)
		case xml.EndElement:
			w.end(t.Name.Local)
		case xml.CharData:
			w.characters(string(t))
		}
		return nil
	})
	for len(w.open) > 0 { // of a broken part
		w.endParagraph()
	}
	return err
}

func (w *wordReader) start(s *scanner, e xml.StartElement) {
	w.take = nothing
	switch e.Name.Local {
	case "pPr", "rPr", "tblPr", "tblGrid", "tcPr", "trPr", "sectPr":
		s.skip()
	case "AlternateContent":
		w.choice = false
	case "Choice":
		w.choice = true
	case "Fallback":
		if w.choice {
			s.skip()
		}
	case "p":
		w.startParagraph()
	case "tc":
		if len(w.cells) < maxNested {
			w.cells = append(w.cells, w.out.beginCell())
		}
	case "ins", "moveTo":
		w.added++
	case "del", "moveFrom":
		w.deleted++
	case "t", "delText":
		w.take = run
	case "instrText", "delInstrText":
		w.take = code
	case "v":
		w.take = value
	case "pt":
		if e.Name.Space == "cx" {
			w.take = value
		}
	case "comment":
		w.author = attribute(e, "author")
	default:
		w.inline(e)
	}
}

// inline writes what elements within a paragraph stand for.
func (w *wordReader) inline(e xml.StartElement) {
	switch e.Name.Local {
	case "docPr": // of a picture or a shape: what it shows, for who does not see it
		w.aside(attribute(e, "descr"))
	case "shape":
		w.aside(attribute(e, "alt"))
	case "tab", "ptab":
		w.text("\t")
	case "br", "cr":
		w.text("\n")
	case "noBreakHyphen":
		w.text("-")
	case "sym":
		w.text(symbol(attribute(e, "font"), attribute(e, "char")))
	case "textpath": // WordArt, as in a watermark
		w.text(" " + attribute(e, "string") + " ")
	case "hyperlink":
		w.startLink(w.links[relation(e, "id")])
	case "fldSimple":
		w.startLink(relationship{target: linkOf(attribute(e, "instr")), external: true})
	case "fldChar":
		w.field(attribute(e, "fldCharType"))
	case "ddList":
		w.listed, w.chosen = nil, 0
	case "result":
		w.chosen, _ = strconv.Atoi(attribute(e, "val"))
	case "listEntry":
		if len(w.listed) < maxNested {
			w.listed = append(w.listed, attribute(e, "val"))
		}
	}
}

// aside writes what is said beside the text.
func (w *wordReader) aside(t string) {
	if t = strings.TrimSpace(oneLine.Replace(t)); t != "" {
		w.text("[" + t + "]")
	}
}

func (w *wordReader) end(name string) {
	w.take = nothing
	switch name {
	case "p":
		w.endParagraph()
	case "tc":
		if n := len(w.cells); n > 0 {
			w.out.endCell(w.cells[n-1])
			w.cells = w.cells[:n-1]
		}
	case "tr", "tbl":
		w.out.sep(line)
	case "ins", "moveTo":
		w.added = max(0, w.added-1)
	case "del", "moveFrom":
		w.deleted = max(0, w.deleted-1)
	case "hyperlink", "fldSimple":
		w.endLink()
	case "ddList":
		if w.chosen >= 0 && w.chosen < len(w.listed) {
			w.text(w.listed[w.chosen])
		}
		w.listed = nil
	}
}

func (w *wordReader) characters(t string) {
	switch w.take {
	case run:
		w.text(oneLine.Replace(t))
	case code:
		if n := len(w.fields); n > 0 && !w.fields[n-1].result && w.fields[n-1].code.Len() < maxCode {
			w.fields[n-1].code.WriteString(t)
		}
	case value:
		w.out.text(strings.TrimSpace(t))
		w.out.sep(blank)
	}
}

// oneLine writes line ends as the blanks that they are in XML.
var oneLine = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ")

func (w *wordReader) startParagraph() {
	if len(w.open) >= maxNested {
		w.over++
		return
	}
	w.open = append(w.open, &wordParagraph{})
	if w.author != "" {
		w.text(w.author + ": ")
		w.author = ""
	}
}

// paragraph is the innermost that is open.
func (w *wordReader) paragraph() *wordParagraph {
	if len(w.open) == 0 {
		return nil
	}
	return w.open[len(w.open)-1]
}

// text appends to the paragraph as it is, as it was, or both.
func (w *wordReader) text(t string) {
	p := w.paragraph()
	if p == nil {
		w.out.text(t)
		return
	}
	if p.now.Len()+p.before.Len()+len(t) > maxParagraph {
		w.write(p)
	}
	if !p.changed && (w.added > 0 || w.deleted > 0) {
		p.changed = true
		p.before.WriteString(p.now.String())
	}
	if w.deleted == 0 {
		p.now.WriteString(t)
	}
	if p.changed && w.added == 0 {
		p.before.WriteString(t)
	}
}

// write writes what has been read of a paragraph.
func (w *wordReader) write(p *wordParagraph) {
	w.out.text(p.now.String())
	if before := p.before.String(); p.changed && strings.TrimSpace(before) != "" && before != p.now.String() {
		w.out.sep(line)
		w.out.text("[Original: " + before + "]")
		w.out.sep(line)
	}
	p.now.Reset()
	p.before.Reset()
	p.changed = false
}

// endParagraph ends the innermost paragraph. One within another, in a text box, comes before the one that it is anchored in.
func (w *wordReader) endParagraph() {
	if w.over > 0 {
		w.over--
		w.text("\n")
		return
	}
	p := w.paragraph()
	if p == nil {
		return
	}
	for len(p.links) > 0 {
		w.endLink()
	}
	w.write(p)
	w.open = w.open[:len(w.open)-1]
	w.out.sep(line)
}

func (w *wordReader) startLink(r relationship) {
	p := w.paragraph()
	if p == nil || len(p.links) >= maxNested {
		return
	}
	l := link{begin: p.now.Len()}
	if r.external {
		l.target = r.target
	}
	p.links = append(p.links, l)
}

func (w *wordReader) endLink() {
	p := w.paragraph()
	if p == nil || len(p.links) == 0 {
		return
	}
	l := p.links[len(p.links)-1]
	p.links = p.links[:len(p.links)-1]
	w.target(p, l)
}

// target writes where a link leads after its text, unless the text says it.
func (w *wordReader) target(p *wordParagraph, l link) {
	now := p.now.String()
	if l.target != "" && bareLink(now[min(l.begin, len(now)):]) != bareLink(l.target) {
		w.text(" <" + l.target + ">")
	}
}

// bareLink is what of an address people write.
func bareLink(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	for _, prefix := range []string{"mailto:", "https://", "http://"} {
		s = strings.TrimPrefix(s, prefix)
	}
	return strings.TrimSuffix(s, "/")
}

// field follows a field through its code and its result.
func (w *wordReader) field(at string) {
	n := len(w.fields)
	begin := 0
	if p := w.paragraph(); p != nil {
		begin = p.now.Len()
	}
	switch {
	case at == "begin" && n < maxNested:
		w.fields = append(w.fields, &field{begin: begin})
	case at == "separate" && n > 0:
		w.fields[n-1].result, w.fields[n-1].begin = true, begin
	case at == "end" && n > 0:
		f := w.fields[n-1]
		w.fields = w.fields[:n-1]
		if p := w.paragraph(); p != nil {
			w.target(p, link{linkOf(f.code.String()), f.begin})
		}
	}
}

// maxCode is how much of a field's code is read.
const maxCode = 8 << 10

// linkOf is the address in a field's code, as in: HYPERLINK "https://example.com" \o "tip".
func linkOf(fieldCode string) string {
	rest, ok := strings.CutPrefix(strings.TrimSpace(fieldCode), "HYPERLINK")
	for ok {
		rest = strings.TrimLeft(rest, " \t")
		if rest == "" {
			break
		}
		word, quoted := rest, strings.HasPrefix(rest, `"`)
		if quoted {
			word, rest, _ = strings.Cut(rest[1:], `"`)
		} else {
			word, rest, _ = strings.Cut(rest, " ")
		}
		switch {
		case !quoted && strings.HasPrefix(word, `\`):
			if s := word[1:]; s == "l" || s == "o" || s == "t" { // these have an argument
				_, rest, _ = strings.Cut(strings.TrimLeft(rest, ` "`), `"`)
			}
		default:
			return address(word)
		}
	}
	return ""
}

// symbol is a character given by its number. In fonts of symbols it is no letter.
func symbol(font, char string) string {
	n, err := strconv.ParseUint(char, 16, 16)
	font = strings.ToLower(font)
	if err != nil || strings.Contains(font, "dings") || font == "symbol" {
		return ""
	}
	if n >= 0xF000 && n <= 0xF0FF { // where Word maps such fonts' characters to
		n -= 0xF000
	}
	return string(rune(n))
}

// chunk reads a part in another format that the document takes in when Word opens it: HTML, RTF or plain text.
func (p *pack) chunk(name string) error {
	part, err := p.open(name)
	if err != nil {
		return err
	}
	defer part.Close()
	b, err := io.ReadAll(io.LimitReader(raw{&gauge{p: p, r: part}}, maxSource))
	if err != nil {
		return err
	}
	errKind := fmt.Errorf("%w: a part of another kind", errBroken)
	if isZIP(b) {
		return errKind // a document in a document in a document has no end
	}
	p.d.out.sep(line)
	defer p.d.out.sep(line)
	c := &document{ctx: p.d.ctx, conv: p.d.conv, out: p.d.out, cut: len(b) == maxSource}
	c.Source = Source{Name: name, Size: int64(len(b)), Content: bytes.NewReader(b)}
	defer func() { p.d.cut = p.d.cut || c.cut }()
	if err := c.identify(); err != nil {
		return err
	}
	switch c.kind {
	case HTML, PlainText:
		return c.plain(c.kind == HTML)
	case RTF:
		return c.rtf()
	}
	return errKind
}
