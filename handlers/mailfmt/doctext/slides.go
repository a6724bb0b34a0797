package doctext

import (
	"encoding/xml"
	"slices"
	"strings"
)

// presentation reads a document of PowerPoint: slide by slide with what belongs to it, hidden ones too, then what layouts
// and masters show on slides.
func (p *pack) presentation() error {
	main := p.mainPart("ppt/presentation.xml")
	slides, err := p.slides(main)
	if err != nil {
		return err
	}
	for _, name := range slides {
		if err := p.each([]string{name}, p.slide); err != nil {
			return err
		}
	}
	static := p.having(".slidelayout+xml", "slideLayout")
	static = append(static, p.having(".slidemaster+xml", "slideMaster")...)
	return p.each(static, func(name string) error { return p.drawing(name, true) })
}

// slides are the slides in the order in which they are shown.
func (p *pack) slides(main string) ([]string, error) {
	_, byID, err := p.relationships(main)
	if err != nil {
		return nil, err
	}
	var names []string
	seen := map[string]bool{}
	err = p.scan(main, func(_ *scanner, e xml.StartElement) {
		if e.Name.Local == "sldId" {
			if r, ok := byID[relation(e, "id")]; ok && !seen[r.target] {
				names = append(names, r.target)
				seen[r.target] = true
			}
		}
	})
	if err := p.d.part(func() error { return err }); err != nil {
		return nil, err
	}
	if err == nil && len(names) > 0 {
		return names, nil
	}
	for _, name := range p.having(".slide+xml", "slide") { // the list is broken
		if !seen[name] {
			names = append(names, name)
		}
	}
	return names, nil
}

// slide reads a slide, its charts and diagrams, its notes and comments.
func (p *pack) slide(name string) error {
	list, _, err := p.relationships(name)
	if err != nil {
		return err
	}
	if err := p.drawing(name, false); err != nil {
		return err
	}
	if err := p.each(to(list, "chart", "chartEx", "diagramData"), p.wordPart); err != nil {
		return err
	}
	return p.each(to(list, "notesSlide", "comments"), func(name string) error { return p.drawing(name, false) })
}

// A drawingReader lays out the text of shapes, of slides and of drawings on sheets: DrawingML.
type drawingReader struct {
	out    *sink
	byID   map[string]relationship
	static bool // of placeholders no text is shown
	empty  bool // the shape that is read is a placeholder
	take   bool
	choice bool
	cells  []cellBegin // of those that are open
	links  []string    // to be written after the paragraph or the shape
}

func (p *pack) drawing(name string, static bool) error {
	_, byID, err := p.relationships(name)
	if err != nil {
		return err
	}
	r := &drawingReader{out: p.d.out, byID: byID, static: static}
	return p.tokens(name, func(s *scanner, t xml.Token) error {
		switch t := t.(type) {
		case xml.StartElement:
			r.start(s, t)
		case xml.EndElement:
			r.end(t.Name.Local)
		case xml.CharData:
			if r.take {
				r.out.text(oneLine.Replace(string(t)))
			}
		}
		return nil
	})
}

func (r *drawingReader) start(s *scanner, e xml.StartElement) {
	r.take = false
	switch e.Name.Local {
	case "AlternateContent":
		r.choice = false
	case "Choice":
		r.choice = true
	case "Fallback":
		if r.choice {
			s.skip()
		}
	case "sp":
		r.empty = false
	case "ph":
		r.empty = r.static
	case "t":
		r.take = !r.empty
	case "text": // of a comment on a slide
		r.take = !r.empty
	case "br":
		if !r.empty {
			r.out.text("\n")
		}
	case "tc":
		if len(r.cells) < maxNested {
			r.cells = append(r.cells, r.out.beginCell())
		}
	case "cNvPr": // of a picture or a shape: what it shows, for who does not see it
		if t := strings.TrimSpace(oneLine.Replace(attribute(e, "descr"))); t != "" && !r.static {
			r.out.text("[" + t + "]")
			r.out.sep(line)
		}
	case "hlinkClick":
		r.link(r.byID[relation(e, "id")])
	}
}

func (r *drawingReader) link(l relationship) {
	if l.external && l.target != "" && len(r.links) < maxNested && !slices.Contains(r.links, l.target) {
		r.links = append(r.links, l.target)
	}
}

func (r *drawingReader) end(name string) {
	r.take = false
	switch name {
	case "p", "cm", "pic", "graphicFrame":
		for _, target := range r.links {
			r.out.sep(blank)
			r.out.text("<" + target + ">")
		}
		r.links = r.links[:0]
		r.out.sep(line)
	case "tc":
		if n := len(r.cells); n > 0 {
			r.out.endCell(r.cells[n-1])
			r.cells = r.cells[:n-1]
		}
	case "tr":
		r.out.sep(line)
	case "sp":
		r.empty = false
		r.out.sep(line)
	}
}

// headerText is the text of a sheet's header or footer, without the codes that lay it out: &L &"Arial,Bold"&12 &P.
func headerText(s string) string {
	var b strings.Builder
	for s != "" {
		before, rest, ok := strings.Cut(s, "&")
		b.WriteString(before)
		if !ok || rest == "" {
			break
		}
		switch c := rest[0]; {
		case c == '&':
			b.WriteByte('&')
			s = rest[1:]
		case c == '"':
			_, s, _ = strings.Cut(rest[1:], `"`)
		case c == 'K':
			s = rest[min(len(rest), 7):]
		case c >= '0' && c <= '9':
			s = strings.TrimLeft(rest, "0123456789")
		default:
			if c == 'L' || c == 'C' || c == 'R' {
				b.WriteByte(' ')
			}
			s = rest[1:]
		}
	}
	return strings.TrimSpace(b.String())
}
