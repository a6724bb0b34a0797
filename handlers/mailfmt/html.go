package mailfmt

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// The bounds of what is kept of HTML's nesting, far above what browsers lay out. Deeper elements are read as if their
// tags were not there.
const (
	maxElements = 512
	maxCells    = 32 // tables within tables
)

// htmlToText lays HTML out as plain text; lines end in LF. Gone is what a reader does not see: styles, scripts, comments,
// hidden elements. Links keep their target, images their alternative text, a table's row is a line, and so is an ordered
// list as a whole.
//
// It reads tokens and keeps a stack of its own, bounded: building the tree of hostile HTML costs hundreds of bytes a tag.
//
// Each link is given to linked, with its text.
func htmlToText(source string, linked func(text, href string)) string {
	h := &htmlReader{linked: linked, flow: &flow{b: make([]byte, 0, len(source)/4)}, tokens: html.NewTokenizer(strings.NewReader(source)),
		count: map[string]int{}, read: attributes{}}
	for {
		switch h.tokens.Next() {
		case html.ErrorToken:
			h.closeTo(0)
			h.flow.endRow()
			return h.flow.text()
		case html.TextToken:
			h.text(string(h.tokens.Text()))
		case html.StartTagToken, html.SelfClosingTagToken: // HTML has no self-closing tags: <div/> opens
			h.start()
		case html.EndTagToken:
			name, _ := h.tokens.TagName()
			h.end(string(name))
		}
	}
}

type htmlReader struct {
	tokens *html.Tokenizer
	linked func(text, href string)
	flow   *flow
	open   []element
	count  map[string]int // open elements by name
	read   attributes     // of the element that begins
	lists  []*list
	cells  int // that are open

	numbered  bool // the last line is a numbered paragraph of Word's, which the next one may continue
	paragraph bool // such a paragraph, numbered or not, has begun and has no text yet
}

// An element is an open element, and what it changes for what is in it.
type element struct {
	name      string
	hidden    bool // nothing in it is seen
	tiny      bool // its font has no size: only what sets one is seen
	pre       bool // white space counts
	wingdings bool
	word      bool // a list paragraph of Word's: it begins with its number

	href   string // a link's target, and where its text begins
	begins int
	outer  *flow // of a cell: the flow around it
	list   *list
}

func (h *htmlReader) top() element {
	if len(h.open) == 0 {
		return element{}
	}
	return h.open[len(h.open)-1]
}

// start opens an element.
func (h *htmlReader) start() {
	raw, more := h.tokens.TagName()
	name := string(raw)
	a := h.attributes(more)
	if name == "noscript" || name == "noembed" || name == "noframes" || name == "iframe" {
		h.tokens.NextIsNotRawText() // mail is read without scripts and frames: what stands in for them is seen
	}
	h.imply(name)
	e := h.inherit(name, a)
	if e.hidden {
		if !isVoid(name) {
			h.push(e)
		}
		return
	}
	h.begin(&e, a)
	if !isVoid(name) {
		h.push(e)
	}
}

func (h *htmlReader) push(e element) {
	if len(h.open) >= maxElements {
		h.leave(&e)
		return
	}
	h.open = append(h.open, e)
	h.count[e.name]++
}

// imply closes what the start of an element closes without saying so.
func (h *htmlReader) imply(name string) {
	switch name {
	case "li":
		h.closeWithin("li", "ul", "ol")
	case "dt", "dd":
		h.closeWithin("dt", "dl")
		h.closeWithin("dd", "dl")
	case "tr", "tbody", "thead", "tfoot":
		h.closeWithin("tr", "table")
	case "td", "th":
		h.closeWithin("td", "tr", "table")
		h.closeWithin("th", "tr", "table")
	case "a":
		h.closeWithin("a", "td", "th", "table")
	case "option":
		h.closeWithin("option", "select")
	case "body":
		h.closeWithin("head")
	}
	if isBlock(name) {
		h.closeWithin("p", "td", "th", "table", "li", "button")
	}
}

// inherit makes an element of what it is within and of its own attributes.
func (h *htmlReader) inherit(name string, a attributes) element {
	outer := h.top()
	e := element{name: name, hidden: outer.hidden, tiny: outer.tiny, pre: outer.pre, wingdings: outer.wingdings}
	switch name {
	case "style", "script", "title", "template", "xml", "svg", "math", "datalist":
		e.hidden = true
	case "pre", "textarea", "listing", "xmp", "plaintext":
		e.pre = true
	}
	_, hides := a["hidden"]
	e.hidden = e.hidden || hides
	if a["face"] != "" {
		e.wingdings = isWingdings(a["face"])
	}
	h.styled(&e, a["style"])
	return e
}

// replaced lays out what an element without content shows.
func (h *htmlReader) replaced(name string, a attributes) {
	switch name {
	case "br":
		h.flow.lineBreak()
	case "img":
		h.text(picture(a))
	case "emoji": // of Teams
		h.text(a["alt"])
	case "w:sym": // of Word
		h.text(symbol(a))
	case "input":
		h.text(control(a))
		h.flow.space = true
	case "area":
		l := element{href: target(a["href"]), begins: len(h.flow.b)}
		h.text(a["alt"])
		h.link(&l)
	}
}

// begin does what the start of an element that is seen does to the text.
func (h *htmlReader) begin(e *element, a attributes) {
	h.replaced(e.name, a)
	f := h.flow
	switch e.name {
	case "a":
		e.href, e.begins = target(a["href"]), len(f.b)
	case "ol":
		f.block()
		e.list = newList(a, f)
		f.flat++
		h.lists = append(h.lists, e.list)
	case "ul":
		f.block()
		e.list = &list{}
		h.lists = append(h.lists, e.list)
	case "li":
		h.item(a)
	case "table":
		f.block()
		f.nested = true
	case "tr":
		f.endRow()
	case "td", "th":
		within := h.count["table"] > 0 || h.count["tr"] > 0
		if within && h.cells < maxCells && len(h.open) < maxElements {
			h.cells++
			e.outer, h.flow = f, &flow{}
		} else {
			f.block()
		}
	default:
		if isBlock(e.name) {
			f.block()
		}
	}
	e.word = e.name != "li" && isBlock(e.name) && (e.word || strings.HasPrefix(a["class"], "MsoListParagraph"))
	h.paragraph = h.paragraph || e.word
}

// end closes an element, if one of that name is open in reach. A table's cell is a border that only the end of the table's
// own parts crosses.
func (h *htmlReader) end(name string) {
	switch name {
	case "br": // as browsers have it
		h.flow.lineBreak()
	case "p":
		if !h.closeWithin("p", "td", "th", "table") && !h.top().hidden {
			h.flow.block()
		}
	case "table", "body", "html":
		h.closeWithin(name)
	case "td", "th", "tr", "tbody", "thead", "tfoot":
		h.closeWithin(name, "table")
	case "a", "b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u":
		h.unwrap(name)
	default:
		h.closeWithin(name, "td", "th", "table")
	}
}

// unwrap closes an element that only formats, and not the paragraphs that were begun in it: "<b><p>a</b>b</p>".
func (h *htmlReader) unwrap(name string) {
	if h.count[name] == 0 {
		return
	}
	for i := len(h.open) - 1; i >= 0; i-- {
		switch h.open[i].name {
		case name:
			e := h.open[i]
			h.open = slices.Delete(h.open, i, i+1)
			h.count[name]--
			h.leave(&e)
			return
		case "td", "th", "table":
			return
		}
	}
}

// closeWithin closes the innermost open element of the name, and all in it, unless one of the borders is met before.
func (h *htmlReader) closeWithin(name string, borders ...string) bool {
	if h.count[name] == 0 {
		return false
	}
	for i := len(h.open) - 1; i >= 0; i-- {
		if h.open[i].name == name {
			h.closeTo(i)
			return true
		}
		for _, b := range borders {
			if h.open[i].name == b {
				return false
			}
		}
	}
	return false
}

// closeTo closes all open elements but the first n.
func (h *htmlReader) closeTo(n int) {
	for len(h.open) > n {
		e := h.top()
		h.open = h.open[:len(h.open)-1]
		h.count[e.name]--
		h.leave(&e)
	}
}

// leave does what an element's end does to the text.
func (h *htmlReader) leave(e *element) {
	f := h.flow
	switch {
	case e.hidden:
		return
	case e.outer != nil:
		f.endRow()
		h.flow = e.outer
		h.flow.cell(f)
		h.cells--
	case e.list != nil:
		h.lists = h.lists[:len(h.lists)-1]
		if f.marker = false; e.list.ordered {
			f.flat--
			e.list.end()
		}
		f.block()
	case e.name == "a":
		h.link(e)
	case e.name == "tr", e.name == "table":
		f.endRow()
		f.block()
	case e.name == "li":
		f.marker = false
		f.block()
	case isBlock(e.name):
		f.block()
	}
	if e.word {
		h.paragraph = false
	}
}

// text lays out text, where it is seen.
func (h *htmlReader) text(s string) {
	e := h.top()
	if e.hidden || e.tiny || s == "" {
		return
	}
	blank := strings.TrimFunc(s, func(r rune) bool { return isBlank(r) || r == 0xA0 }) == ""
	switch {
	case e.name == "table" || e.name == "tr" || e.name == "tbody" || e.name == "thead" || e.name == "tfoot":
		if blank {
			return // white space between a table's parts
		}
		h.flow.endRow()
	}
	if !blank {
		s = h.listParagraph(s)
	}
	if e.wingdings {
		s = pictured(s)
	}
	if e.pre && !blank {
		h.flow.preformatted(s)
		return
	}
	if e.pre {
		for range strings.Count(s, "\n") {
			h.flow.lineBreak()
		}
	}
	h.flow.write(s)
}

func isVoid(name string) bool {
	switch name {
	case "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr", "basefont", "bgsound", "frame":
		return true
	}
	return false
}

func isBlock(name string) bool {
	switch name {
	case "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog", "dir", "div", "dl", "dt", "fieldset",
		"figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "html", "legend", "li",
		"listing", "main", "menu", "nav", "ol", "optgroup", "option", "p", "plaintext", "pre", "search", "section", "summary", "table",
		"textarea", "ul", "xmp", "caption", "tr", "td", "th":
		return true
	}
	return false
}
