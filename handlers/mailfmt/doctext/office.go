package doctext

import (
	"archive/zip"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
)

// A pack is a document of OOXML, a ZIP of parts: ECMA-376 part 2.
type pack struct {
	d        *document
	parts    map[string]*zip.File // by partName
	types    map[string]string    // content types of parts
	defaults map[string]string    // and by extension
	sorted   []string             // their names
	left     int64                // bytes that may still be unpacked
}

const contentTypes = "[content_types].xml"

// maxHeld is how many bytes are held of the lists in a document: of content types, relationships, links, sheets, formats.
// Excel has at most 65,530 links on a sheet.
const maxHeld = 64 << 20

// hold makes room for one more entry of a list. Where there is none, reading ends with the token.
func (d *document) hold(entry ...string) {
	d.held += 128
	for _, s := range entry {
		d.held += len(s)
	}
}

// partName is a part's name as it is compared: parts' names know no case. Some write it with a slash before or with
// backslashes.
func partName(name string) string {
	return strings.TrimPrefix(path.Clean("/"+strings.ToLower(strings.ReplaceAll(name, `\`, "/"))), "/")
}

// open opens the document as a package and reads its content types.
func (d *document) open() (*pack, error) {
	z, err := d.unpack()
	if err != nil {
		return nil, err
	}
	p := &pack{d: d, parts: map[string]*zip.File{}, types: map[string]string{}, defaults: map[string]string{}, left: maxUnpacked}
	for _, f := range z.File {
		if name := partName(f.Name); p.parts[name] == nil {
			p.parts[name] = f
		}
	}
	err = p.scan(contentTypes, func(s *scanner, e xml.StartElement) {
		kind := strings.ToLower(attribute(e, "ContentType"))
		extension, name := attribute(e, "Extension"), attribute(e, "PartName")
		d.hold(extension, name, kind)
		switch e.Name.Local {
		case "Default":
			p.defaults[strings.ToLower(extension)] = kind
		case "Override":
			p.types[partName(name)] = kind
		}
	})
	if errors.Is(err, errTooLarge) || d.ctx.Err() != nil {
		return nil, err
	}
	return p, nil // without content types the usual names tell
}

// kind is the document's, by its main part.
func (p *pack) kind() string {
	for _, name := range p.names() {
		t := p.contentType(name)
		application, _, _ := strings.Cut(t, ".main")
		switch {
		case !strings.Contains(t, ".main"):
		case strings.HasSuffix(t, "sheet.binary.macroenabled.main"):
			return "xlsb"
		case strings.Contains(application, "wordprocessingml"), strings.Contains(application, "ms-word"):
			return Word
		case strings.Contains(application, "spreadsheetml"), strings.Contains(application, "ms-excel"):
			return Workbook
		case strings.Contains(application, "presentationml"), strings.Contains(application, "ms-powerpoint"):
			return Presentation
		case strings.Contains(application, "ms-visio"):
			return "vsdx"
		}
	}
	return ""
}

// names are those of all parts, in an order that has header2 before header10.
func (p *pack) names() []string {
	if p.sorted == nil {
		p.sorted = slices.SortedFunc(maps.Keys(p.parts), naturally)
	}
	return p.sorted
}

func naturally(a, b string) int {
	return cmp.Or(cmp.Compare(stem(a), stem(b)), cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// stem is a name without its number.
func stem(name string) string {
	return strings.TrimRight(strings.TrimSuffix(name, path.Ext(name)), "0123456789")
}

func (p *pack) contentType(name string) string {
	if t, ok := p.types[name]; ok {
		return t
	}
	return p.defaults[strings.TrimPrefix(path.Ext(name), ".")]
}

// having are the parts of a content type, or where it is not given, with a name that is usual for it: "header" for
// word/header1.xml.
func (p *pack) having(suffix, usual string) []string {
	var names []string
	for _, name := range p.names() {
		t := p.contentType(name)
		base := path.Base(name)
		if strings.HasSuffix(t, suffix) || (t == "" || t == "application/xml") &&
			path.Ext(base) == ".xml" && stem(base) == usual {
			names = append(names, name)
		}
	}
	return names
}

// mainPart is the part that the document begins in.
func (p *pack) mainPart(usual string) string {
	for _, name := range p.names() {
		if strings.HasSuffix(p.contentType(name), ".main+xml") {
			return name
		}
	}
	return usual
}

// open starts reading a part.
func (p *pack) open(name string) (io.ReadCloser, error) {
	f := p.parts[name]
	if f == nil {
		return nil, fmt.Errorf("%w: a part is missing", errBroken)
	}
	if f.Flags&1 != 0 {
		p.d.protected = true
		return nil, errProtected
	}
	return f.Open()
}

// tokens gives a part's tokens to use, whose error ends it. The sink's end does too.
func (p *pack) tokens(name string, use func(*scanner, xml.Token) error) error {
	r, err := p.open(name)
	if err != nil {
		return err
	}
	defer r.Close()
	s := newScanner(p, r)
	for {
		t, err := s.next()
		if t == nil || err != nil {
			return err
		}
		if err := use(s, t); err != nil {
			return err
		}
		if p.d.out.done() || p.d.held > maxHeld {
			return errTooLarge
		}
	}
}

// scan gives a part's elements' starts to use.
func (p *pack) scan(name string, use func(*scanner, xml.StartElement)) error {
	return p.tokens(name, func(s *scanner, t xml.Token) error {
		if e, ok := t.(xml.StartElement); ok {
			use(s, e)
		}
		return nil
	})
}

// A relationship leads from a part to another, or out of the document.
type relationship struct {
	kind     string // the last word of its type: "hyperlink", "comments"
	target   string // a part's name, or an address
	external bool
}

// relationships are those of a part, in their order, and by id.
func (p *pack) relationships(name string) (list []relationship, byID map[string]relationship, err error) {
	byID = map[string]relationship{}
	dir, base := path.Split(name)
	rels := dir + "_rels/" + base + ".rels"
	if p.parts[rels] == nil {
		return nil, byID, nil
	}
	err = p.scan(rels, func(_ *scanner, e xml.StartElement) {
		if e.Name.Local != "Relationship" {
			return
		}
		id := attribute(e, "Id")
		r := relationship{kind: path.Base(attribute(e, "Type")), target: attribute(e, "Target")}
		p.d.hold(id, r.kind, r.target)
		switch {
		case strings.EqualFold(attribute(e, "TargetMode"), "External"):
			r.external = true
			r.target = address(r.target)
		case strings.HasPrefix(r.target, "/"):
			r.target = partName(r.target)
		default:
			r.target = partName(dir + r.target)
		}
		list = append(list, r)
		byID[id] = r
	})
	return list, byID, err
}

// to are the parts that a part's relationships of a kind lead to.
func to(list []relationship, kinds ...string) []string {
	var names []string
	seen := map[string]bool{}
	for _, r := range list {
		if slices.Contains(kinds, r.kind) && !r.external && !seen[r.target] {
			names = append(names, r.target)
			seen[r.target] = true
		}
	}
	return names
}

// address is a link's target as it is written, without what would break the line that it is in, between its brackets.
func address(target string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == '<' || r == '>' {
			return -1
		}
		return r
	}, target)
}

// office reads a document of Word, Excel or PowerPoint.
func (d *document) office() error {
	p, err := d.open()
	if err != nil {
		return err
	}
	switch d.kind {
	case Word:
		return p.word()
	case Workbook:
		return p.workbook()
	}
	return p.presentation()
}

// each reads parts one after the other.
func (p *pack) each(names []string, read func(name string) error) error {
	for _, name := range names {
		p.d.out.sep(paragraph)
		if err := p.d.part(func() error { return read(name) }); err != nil {
			return err
		}
	}
	return nil
}
