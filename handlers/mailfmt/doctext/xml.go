package doctext

import (
	"encoding/xml"
	"errors"
	"io"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// maxToken is the length of an XML token in bytes: encoding/xml holds one whole.
const maxToken = 4 << 20

// A scanner reads XML token by token. It holds no stack: nesting costs nothing, and tags that do not match are no fault.
type scanner struct {
	tokens  *xml.Decoder
	in      *gauge
	skipped int // elements that are open in one that is skipped
}

// A gauge is the reader below a scanner: it ends at a token that does not end, and with the package's budget.
type gauge struct {
	p     *pack
	r     io.Reader // as packed
	text  io.Reader // as UTF-8
	token int64     // bytes since the last token's end
}

func newScanner(p *pack, r io.Reader) *scanner {
	g := &gauge{p: p, r: r}
	// OOXML is UTF-8 or UTF-16 with a mark; a byte that is neither is no reason to stop.
	g.text = transform.NewReader(raw{g}, unicode.BOMOverride(unicode.UTF8.NewDecoder()))
	d := xml.NewDecoder(g)
	d.Strict = false
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	return &scanner{tokens: d, in: g}
}

// raw is what a gauge reads from: the part, within the budget.
type raw struct{ *gauge }

func (r raw) Read(b []byte) (int, error) {
	if err := r.p.d.ctx.Err(); err != nil {
		return 0, err
	}
	if r.p.left <= 0 {
		return 0, errTooLarge
	}
	n, err := r.r.Read(b[:min(int64(len(b)), r.p.left)])
	r.p.left -= int64(n)
	return n, err
}

func (g *gauge) Read(b []byte) (int, error) {
	if g.token > maxToken {
		return 0, errTooLarge
	}
	n, err := g.text.Read(b)
	g.token += int64(n)
	for i, c := range b[:n] {
		if c < 0x20 && c != '\n' && c != '\t' && c != '\r' {
			b[i] = ' ' // XML has none, and encoding/xml ends at it
		}
	}
	return n, err
}

// next is the next token: xml.StartElement, xml.EndElement or xml.CharData; nil at the end. It is valid until the next call.
func (s *scanner) next() (xml.Token, error) {
	for {
		s.in.token = 0
		if s.in.p.d.tokens--; s.in.p.d.tokens < 0 {
			return nil, errTooLarge
		}
		t, err := s.tokens.RawToken()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if s.skipped == 0 {
				return t, nil
			}
			s.skipped++
		case xml.EndElement:
			if s.skipped == 0 {
				return t, nil
			}
			s.skipped--
		case xml.CharData:
			if s.skipped == 0 {
				return t, nil
			}
		}
	}
}

// skip passes over the element whose start was the last token, its end too.
func (s *scanner) skip() { s.skipped = 1 }

// attribute is an element's attribute by its local name. Of two, the first counts: for r:id beside id there is relation.
func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// relation is the value of the attribute that names a relationship: r:id, r:embed. Its prefix is a custom, but always kept.
func relation(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space != "" {
			return a.Value
		}
	}
	return ""
}
