package doctext

import (
	"cmp"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
)

// workbook reads a document of Excel: sheet by sheet in their order, hidden ones too, each with its name, its rows, what
// its links lead to, comments, shapes, charts, header and footer.
func (p *pack) workbook() error {
	main := p.mainPart("xl/workbook.xml")
	list, byID, err := p.relationships(main)
	if err != nil {
		return err
	}
	b := &book{p: p}
	sheets, err := b.sheets(main, byID)
	if err != nil {
		return err
	}
	for _, name := range to(list, "sharedStrings") {
		if err := p.d.part(func() error { return b.sharedStrings(name) }); err != nil {
			return err
		}
	}
	for _, name := range to(list, "styles") {
		if err := p.d.part(func() error { return b.styles(name) }); err != nil {
			return err
		}
	}
	for _, s := range sheets {
		p.d.out.sep(paragraph)
		p.d.out.text(s.name)
		p.d.out.sep(line)
		if err := p.d.part(func() error { return b.sheet(s.part) }); err != nil {
			return err
		}
	}
	return nil
}

// The bounds of the table of a workbook's strings. It is needed as a whole, cells come in any order.
const (
	maxStrings = 2 << 20
	maxTable   = 2 * MaxText
)

// maxFormats is how many formats are held taken apart.
const maxFormats = 1024

// A book is what a workbook's sheets share.
type book struct {
	p       *pack
	from    epoch
	text    []byte   // of all strings
	ends    []uint32 // of each in it
	formats []string // codes of cells' formats, by style
	parsed  map[int]format
}

// A sheetRef is a sheet in a workbook's list.
type sheetRef struct{ name, part string }

func (b *book) sheets(main string, byID map[string]relationship) ([]sheetRef, error) {
	var sheets []sheetRef
	err := b.p.d.part(func() error {
		return b.p.scan(main, func(_ *scanner, e xml.StartElement) {
			switch e.Name.Local {
			case "workbookPr":
				if v := attribute(e, "date1904"); v == "1" || v == "true" {
					b.from = mac
				}
			case "sheet":
				s := sheetRef{attribute(e, "name"), byID[relation(e, "id")].target}
				b.p.d.hold(s.name, s.part)
				sheets = append(sheets, s)
			}
		})
	})
	if len(sheets) == 0 { // of a broken workbook
		for _, part := range b.p.having(".worksheet+xml", "sheet") {
			sheets = append(sheets, sheetRef{part: part})
		}
	}
	return sheets, err
}

// sharedStrings reads the table that cells point into.
func (b *book) sharedStrings(name string) error {
	take := false
	err := b.p.tokens(name, func(s *scanner, t xml.Token) error {
		switch t := t.(type) {
		case xml.StartElement:
			take = t.Name.Local == "t"
			if t.Name.Local == "rPh" { // how Japanese is pronounced
				s.skip()
			}
		case xml.EndElement:
			take = false
			if t.Name.Local == "si" {
				b.ends = append(b.ends, uint32(len(b.text)))
			}
		case xml.CharData:
			if take {
				b.text = append(b.text, t...)
			}
		}
		if len(b.ends) >= maxStrings || len(b.text) > maxTable {
			b.p.d.cut = true
			return io.EOF
		}
		return nil
	})
	if errors.Is(err, io.EOF) {
		return nil // what is held is shown
	}
	return err
}

func (b *book) shared(i int) string {
	if i < 0 || i >= len(b.ends) {
		return ""
	}
	begin := uint32(0)
	if i > 0 {
		begin = b.ends[i-1]
	}
	return string(b.text[begin:b.ends[i]])
}

// styles reads the formats in which cells show numbers.
func (b *book) styles(name string) error {
	custom := map[string]string{}
	inCells := false
	err := b.p.tokens(name, func(_ *scanner, t xml.Token) error {
		switch t := t.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "numFmt":
				id, code := attribute(t, "numFmtId"), attribute(t, "formatCode")
				b.p.d.hold(id, code)
				custom[id] = code
			case "cellXfs":
				inCells = true
			case "xf":
				if id := attribute(t, "numFmtId"); inCells {
					b.p.d.hold()
					b.formats = append(b.formats, cmp.Or(custom[id], builtin[id]))
				}
			}
		case xml.EndElement:
			inCells = inCells && t.Name.Local != "cellXfs"
		}
		return nil
	})
	return err
}

// format is the format of a style: it is taken apart when it is used, few are.
func (b *book) format(style string) format {
	i, err := strconv.Atoi(style)
	if err != nil || i < 0 || i >= len(b.formats) {
		return format{}
	}
	f, ok := b.parsed[i]
	if !ok {
		if len(b.parsed) >= maxFormats || b.parsed == nil {
			b.parsed = map[int]format{}
		}
		f = parseFormat(b.formats[i])
		b.parsed[i] = f
	}
	return f
}

// sheet reads a sheet and what belongs to it.
func (b *book) sheet(part string) error {
	p := b.p
	list, byID, err := p.relationships(part)
	if err != nil {
		return err
	}
	r := &sheetReader{book: b, out: p.d.out, byID: byID}
	err = p.d.part(func() error { return p.tokens(part, r.token) })
	if err != nil {
		return err
	}
	for _, t := range append(r.targets, r.headers...) {
		p.d.out.sep(line)
		p.d.out.text(t)
	}
	p.d.out.sep(line)
	if err := p.each(to(list, "comments", "threadedComment"), b.comments); err != nil {
		return err
	}
	return p.each(to(list, "drawing"), func(name string) error {
		list, _, err := p.relationships(name)
		if err != nil {
			return err
		}
		if err := p.drawing(name, false); err != nil {
			return err
		}
		return p.each(to(list, "chart", "chartEx", "diagramData"), p.wordPart)
	})
}

// comments reads the comments on a sheet's cells.
func (b *book) comments(name string) error {
	take := false
	return b.p.tokens(name, func(s *scanner, t xml.Token) error {
		switch t := t.(type) {
		case xml.StartElement:
			take = t.Name.Local == "t" || t.Name.Local == "text"
			if t.Name.Local == "authors" || t.Name.Local == "rPh" {
				s.skip()
			}
		case xml.EndElement:
			take = false
			if t.Name.Local == "comment" || t.Name.Local == "threadedComment" {
				b.p.d.out.sep(line)
			}
		case xml.CharData:
			if take && strings.TrimSpace(string(t)) != "" {
				b.p.d.out.text(string(t))
			}
		}
		return nil
	})
}

// A sheetReader lays out a sheet: a row is a line, between its cells are tabs.
type sheetReader struct {
	*book
	out     *sink
	byID    map[string]relationship
	cell    cell
	take    *strings.Builder // where characters go that come next
	header  strings.Builder
	headers []string // headers and footers
	targets []string // of links
}

// A cell is the one that is being read.
type cell struct {
	kind, style    string
	value, formula strings.Builder
}

// maxCell is how much is held of a cell. In Excel it has at most 32,767 characters.
const maxCell = 256 << 10

func (r *sheetReader) token(s *scanner, t xml.Token) error {
	switch t := t.(type) {
	case xml.StartElement:
		r.take = nil
		r.start(s, t)
	case xml.EndElement:
		r.take = nil
		r.end(t.Name.Local)
	case xml.CharData:
		switch {
		case r.take == nil:
		case r.take.Len() < maxCell:
			r.take.Write(t)
		default:
			r.p.d.cut = true
		}
	}
	return nil
}

func (r *sheetReader) start(s *scanner, e xml.StartElement) {
	switch e.Name.Local {
	case "c":
		r.cell = cell{kind: attribute(e, "t"), style: attribute(e, "s")}
	case "v", "t":
		r.take = &r.cell.value
	case "f":
		r.take = &r.cell.formula
	case "rPh", "extLst":
		s.skip()
	case "hyperlink":
		if l := r.byID[relation(e, "id")]; l.external && l.target != "" {
			r.target(l.target)
		}
	case "oddHeader", "oddFooter", "evenHeader", "evenFooter", "firstHeader", "firstFooter":
		r.header.Reset()
		r.take = &r.header
	}
}

func (r *sheetReader) target(t string) {
	r.p.d.hold(t)
	r.targets = append(r.targets, "<"+t+">")
}

func (r *sheetReader) end(name string) {
	switch name {
	case "c":
		if s := strings.TrimSpace(r.shown()); s != "" {
			r.out.text(s)
			r.out.sep(tab)
		}
		if t := formulaLink(r.cell.formula.String()); t != "" {
			r.target(t)
		}
		r.cell = cell{}
	case "row":
		r.out.sep(line)
	case "oddHeader", "oddFooter", "evenHeader", "evenFooter", "firstHeader", "firstFooter":
		if t := headerText(r.header.String()); t != "" && len(r.headers) < maxNested {
			r.headers = append(r.headers, oneLine.Replace(t))
		}
	}
}

// shown is what the cell shows, in one line.
func (r *sheetReader) shown() string {
	v := r.cell.value.String()
	switch r.cell.kind {
	case "s":
		i, err := strconv.Atoi(strings.TrimSpace(v))
		if err != nil {
			return ""
		}
		return oneLine.Replace(unescapeX(r.shared(i)))
	case "b":
		return map[string]string{"0": "FALSE", "1": "TRUE"}[strings.TrimSpace(v)]
	case "", "n":
		if v == "" && r.cell.formula.Len() > 0 { // written by what does not compute
			return "=" + oneLine.Replace(r.cell.formula.String())
		}
		return r.number(strings.TrimSpace(v))
	}
	return oneLine.Replace(unescapeX(v)) // str, inlineStr, e, d
}

func (r *sheetReader) number(v string) string {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return v
	}
	return r.format(r.cell.style).show(f, r.from)
}

// unescapeX decodes _x000D_, the way to write a character that XML has not.
func unescapeX(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "_x")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		if len(rest) >= 5 && rest[4] == '_' {
			if n, err := strconv.ParseUint(rest[:4], 16, 16); err == nil {
				b.WriteRune(rune(n))
				s = rest[5:]
				continue
			}
		}
		b.WriteString("_x")
		s = rest
	}
}

// formulaLink is the address in a formula like HYPERLINK("https://example.com","shown").
func formulaLink(formula string) string {
	const function = "HYPERLINK("
	if len(formula) < len(function) || !strings.EqualFold(formula[:len(function)], function) {
		return ""
	}
	quoted, ok := strings.CutPrefix(strings.TrimSpace(formula[len(function):]), `"`)
	if !ok {
		return ""
	}
	target, _, _ := strings.Cut(quoted, `"`)
	return address(target)
}
