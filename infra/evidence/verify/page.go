package verify

import (
	_ "embed" // the page
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"chainmail/infra/evidence/cover"
)

// listed is how many rows of a list stand on the page. The text has them all.
const listed = 2000

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"count": func(n any, noun string) string {
		if big, ok := n.(int64); ok {
			return count(big, noun)
		}
		return count(n.(int), noun)
	},
	"number": func(n any) string {
		s, _, _ := strings.Cut(fmt.Sprint(n), ".")
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	},
	"name": printable, "word": word, "scope": scope, "span": span,
	"time": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" },
	"day": func(t time.Time) string {
		return strings.TrimSuffix(t.UTC().Format("2006-01-02 15:04:05"), " 00:00:00")
	},
}).Parse(pageText))

// An Occasion is what a certificate says besides what was found.
type Occasion struct {
	Place   string    // what was looked at, without any secret
	At      time.Time // when
	Program string    // by which version of the program
}

// A certificate is what the page is made of.
type certificate struct {
	*Report
	Occasion
	Sources []sourcePage
	Blamed  int
	Gaps    int // over all sources
	Open    int
	Covered string // the least of a source
	Full    bool   // nothing is missing, as far as manifests and seals say
	Alone   int    // sources to whose ends nothing outside bears witness
}

// A sourcePage is a source as the page has it, its lists cut.
type sourcePage struct {
	Source
	Covered string
	Rules   []string
}

// WritePage writes the report as one page of HTML that needs nothing else, to be printed and handed on. Its lists are cut
// where they are very long, and it says so.
func (r *Report) WritePage(w io.Writer, o Occasion) error {
	c := certificate{Report: r, Occasion: o, Blamed: r.blamed(), Full: true, Covered: "100.00 %"}
	least := int64(-1)
	for _, s := range r.Sources {
		p := sourcePage{Source: s, Covered: "—"}
		for _, rule := range s.Cover.Rules {
			p.Rules = append(p.Rules, scope(rule))
		}
		if s.Cover.Time > 0 {
			p.Covered = percent(s.Cover.Covered, s.Cover.Time)
			if share := hundredths(s.Cover.Covered, s.Cover.Time); least < 0 || share < least {
				least, c.Covered = share, p.Covered
			}
		}
		c.Gaps, c.Open = c.Gaps+len(s.Cover.Gaps), c.Open+s.Cover.Open
		c.Full = c.Full && s.Cover.Period.Start.Before(s.Cover.Period.End) && s.Cover.Custodians > 0 && s.Collecting == 0
		if s.Last > 0 && !s.Witnessed {
			c.Alone++
		}
		c.Sources = append(c.Sources, p)
	}
	c.Full = c.Full && c.Gaps == 0 && c.Open == 0 && len(r.Findings) == 0
	return page.Execute(w, c)
}

// A cutList is the first rows of a list, and how many it leaves out.
type cutList[T any] struct {
	Rows []T
	More int
	Len  int // of all
}

func cut[T any](list []T) cutList[T] {
	n := min(len(list), listed)
	return cutList[T]{list[:n], len(list) - n, len(list)}
}

// What of the lists stands on the page.
func (c certificate) Found() cutList[Finding]      { return cut(c.Findings) }
func (s sourcePage) Gaps() cutList[cover.Gap]      { return cut(s.Cover.Gaps) }
func (s sourcePage) Partly() cutList[cover.Partly] { return cut(s.Cover.Partly) }
func (s sourcePage) Texts() string                 { return s.texts() }
func (s sourcePage) Resumption() string            { return s.resumption() }
func (s sourcePage) Unwitnessed() string           { return s.unwitnessed() }
func (s sourcePage) Anchored() string              { return s.anchored() }
