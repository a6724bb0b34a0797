package mailfmt

import (
	"slices"
	"strconv"
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
func htmlToText(source string) string {
	h := &htmlReader{flow: &flow{}, tokens: html.NewTokenizer(strings.NewReader(source)), count: map[string]int{}}
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
	flow   *flow
	open   []element
	count  map[string]int // open elements by name
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
	word      bool // a list paragraph of Word's

	href   string // a link's target, and where its text begins
	begins int
	outer  *flow // of a cell: the flow around it
	list   *list
}

// A list is an open <ol> or <ul>.
type list struct {
	ordered bool
	style   string // "1", "a", "A", "i", "I"
	next    int
}

func (h *htmlReader) top() element {
	if len(h.open) == 0 {
		return element{}
	}
	return h.open[len(h.open)-1]
}

// attributes are those that are read.
type attributes struct {
	style, class, href, alt, face, start, value, kind string
	hidden                                            bool
}

func (h *htmlReader) attributes(more bool) attributes {
	var a attributes
	for more {
		var k, v []byte
		k, v, more = h.tokens.TagAttr()
		var into *string
		switch string(k) {
		case "style":
			into = &a.style
		case "class":
			into = &a.class
		case "href":
			into = &a.href
		case "alt":
			into = &a.alt
		case "face":
			into = &a.face
		case "start":
			into = &a.start
		case "value":
			into = &a.value
		case "type":
			into = &a.kind
		case "hidden":
			a.hidden = true
		}
		if into != nil && *into == "" {
			*into = string(v)
		}
	}
	return a
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
	e.hidden = e.hidden || a.hidden
	if a.face != "" {
		e.wingdings = isWingdings(a.face)
	}
	h.styled(&e, a.style)
	return e
}

func isWingdings(font string) bool {
	font = strings.ToLower(strings.Trim(font, ` "'`))
	return font == "wingdings" || strings.HasPrefix(font, "wingdings,")
}

// styled applies the style attribute.
func (h *htmlReader) styled(e *element, style string) {
	for declaration := range strings.SplitSeq(style, ";") {
		name, value, ok := strings.Cut(declaration, ":")
		if !ok {
			continue
		}
		name = strings.ToLower(strings.TrimSpace(name))
		value = strings.ToLower(strings.TrimSpace(value))
		value = strings.TrimSpace(strings.TrimSuffix(value, "!important"))
		switch name {
		case "display":
			e.hidden = e.hidden || value == "none"
		case "mso-hide":
			e.hidden = e.hidden || value == "all"
		case "font-size":
			e.tiny = tiny(value, e.tiny)
		case "font":
			for part := range strings.FieldsSeq(value) {
				if part[0] >= '0' && part[0] <= '9' {
					size, _, _ := strings.Cut(part, "/")
					e.tiny = tiny(size, e.tiny)
					break
				}
			}
		case "font-family":
			e.wingdings = isWingdings(value)
		case "white-space":
			e.pre = value == "pre" || value == "pre-wrap" || value == "pre-line" || value == "break-spaces"
		}
	}
}

// tiny reports whether text of a font size is too small to be seen at all. A relative size of nothing is nothing.
//
// QUIRK: layouts set the size of what holds their columns to zero and give it back in the columns, so that a size of
// zero hides text and not elements.
func tiny(size string, within bool) bool {
	end := strings.IndexFunc(size, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 0 {
		end = len(size)
	}
	n, err := strconv.ParseFloat(size[:end], 64)
	switch {
	case err != nil:
		return within && (size == "inherit" || size == "smaller" || size == "larger" || size == "")
	case n == 0:
		return true
	case strings.HasPrefix(size[end:], "em"), strings.HasPrefix(size[end:], "%"):
		return within
	}
	return false
}

// begin does what the start of an element that is seen does to the text.
func (h *htmlReader) begin(e *element, a attributes) {
	f := h.flow
	switch e.name {
	case "br":
		f.lineBreak()
	case "img":
		h.text(a.alt)
	case "a":
		e.href, e.begins = target(a.href), len(f.b)
	case "ol":
		f.block()
		e.list = &list{ordered: true, style: a.kind, next: 1}
		if n, err := strconv.Atoi(strings.TrimSpace(a.start)); err == nil {
			e.list.next = n
		}
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
		if h.cells < maxCells && len(h.open) < maxElements {
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
	if e.name == "p" && strings.HasPrefix(a.class, "MsoListParagraph") {
		e.word, h.paragraph = true, true
	}
}

func (h *htmlReader) item(a attributes) {
	if len(h.lists) == 0 || !h.lists[len(h.lists)-1].ordered {
		h.flow.mark("-")
		return
	}
	l := h.lists[len(h.lists)-1]
	if n, err := strconv.Atoi(strings.TrimSpace(a.value)); err == nil {
		l.next = n
	}
	h.flow.mark(number(l.next, l.style) + ".")
	l.next++
}

// number writes an item's number in its list's style: digits, letters, or Roman.
func number(n int, style string) string {
	s := ""
	switch {
	case n < 1 || n > 3999:
	case style == "a" || style == "A":
		for m := n; m > 0; m = (m - 1) / 26 {
			s = string(rune('a'+(m-1)%26)) + s
		}
	case style == "i" || style == "I":
		for _, r := range []struct {
			value int
			text  string
		}{
			{1000, "m"}, {900, "cm"}, {500, "d"}, {400, "cd"}, {100, "c"}, {90, "xc"}, {50, "l"}, {40, "xl"}, {10, "x"}, {9, "ix"}, {5, "v"}, {4, "iv"}, {1, "i"},
		} {
			for ; n >= r.value; n -= r.value {
				s += r.text
			}
		}
	}
	switch {
	case s == "":
		return strconv.Itoa(n)
	case style == "A" || style == "I":
		return strings.ToUpper(s)
	}
	return s
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

// link appends a link's target to its text, unless the text is the target.
func (h *htmlReader) link(e *element) {
	f := h.flow
	if e.href == "" || e.begins > len(f.b) {
		return
	}
	text := strings.TrimSpace(string(f.b[e.begins:]))
	switch {
	case bareLink(text) == bareLink(e.href):
		return
	case text == "":
		f.word("<" + e.href + ">")
		return
	}
	breaks := f.breaks // a heading within a link has ended its line before the link does
	f.space, f.breaks = true, 0
	f.word("<" + e.href + ">")
	f.breaks = breaks
}

// target is where a link leads, or nothing for one that leads nowhere outside the message.
func target(href string) string {
	href = strings.Map(func(r rune) rune {
		if r <= ' ' || invisible(r) || r == '<' || r == '>' {
			return -1
		}
		return r
	}, href)
	scheme, rest, ok := strings.Cut(href, ":")
	if !ok || rest == "" {
		return ""
	}
	switch strings.ToLower(scheme) {
	case "cid", "mid", "data", "javascript", "vbscript", "about":
		return ""
	}
	return href
}

// bareLink is a link without what people leave out when they write one.
func bareLink(s string) string {
	s = strings.ToLower(s)
	for _, scheme := range []string{"mailto:", "https://", "http://", "tel:"} {
		s = strings.TrimPrefix(s, scheme)
	}
	return strings.TrimSuffix(s, "/")
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
	case e.wingdings:
		s = wingdings.Replace(s)
	}
	if !blank {
		s = h.listParagraph(s)
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

// wingdings are the characters that Outlook makes of ":-)" and "-->", set in a font in which they are pictures.
var wingdings = strings.NewReplacer("J", "☺", "K", "😐", "L", "☹", "à", "→", "ß", "←", "ó", "↔", "è", "➔", "ü", "✓", "û", "✗")

// listParagraph joins Word's numbered paragraphs to one line, as an ordered list is: Outlook writes lists as paragraphs
// that begin with their number as text. A bullet, which is a letter of some picture font, becomes a hyphen.
func (h *htmlReader) listParagraph(s string) string {
	if !h.paragraph {
		if h.flow.breaks > 0 {
			h.numbered = false // a line of another sort
		}
		return s
	}
	h.paragraph = false
	first := strings.TrimFunc(s, func(r rune) bool { return isBlank(r) || r == 0xA0 })
	if i := strings.IndexFunc(first, func(r rune) bool { return isBlank(r) || r == 0xA0 }); i >= 0 {
		first = first[:i]
	}
	if isNumber(first) {
		if h.numbered && len(h.flow.b) > 0 {
			h.flow.breaks, h.flow.space = 0, true
		}
		h.numbered = true
		return s
	}
	h.numbered = false
	switch first {
	case "·", "•", "§", "o", "Ø", "ü", "v", "✓", "\uF0B7", "\uF0A7":
		return strings.Replace(s, first, "-", 1)
	}
	return s
}

// isNumber reports whether a word numbers a paragraph: "1.", "12)", "a.", "iv)", "2.1.".
func isNumber(s string) bool {
	if len(s) < 2 || len(s) > 8 || s[len(s)-1] != '.' && s[len(s)-1] != ')' {
		return false
	}
	digits, letters := 0, 0
	for _, c := range s[:len(s)-1] {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			letters++
		case c != '.' && c != '(':
			return false
		}
	}
	return digits > 0 && letters == 0 || digits == 0 && letters > 0 && letters <= 4
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
