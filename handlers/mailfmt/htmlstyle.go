package mailfmt

import (
	"strconv"
	"strings"
)

// attributes are an element's, as far as they are read. The first of two of a name counts.
type attributes map[string]string

var readAttributes = map[string]bool{
	"style": true, "class": true, "hidden": true, "face": true,
	"href": true, "start": true, "value": true, "type": true, "reversed": true, "checked": true,
	"alt": true, "title": true, "src": true, "aria-label": true, "itemid": true, "itemtype": true, "goomoji": true,
	"data-emoji": true, "data-name": true, "data-shortcode": true, "data-stringify-emoji": true,
	"w:font": true, "w:char": true,
}

// attributes reads those of the element that begins; they hold until the next one does.
func (h *htmlReader) attributes(more bool) attributes {
	a := h.read
	clear(a)
	for more {
		var k, v []byte
		k, v, more = h.tokens.TagAttr()
		if !readAttributes[string(k)] || string(k) == "src" && len(v) > maxName { // some hold the image itself
			continue
		}
		if a[string(k)] == "" {
			a[string(k)] = string(v)
		}
	}
	return a
}

func isWingdings(font string) bool {
	font = strings.ToLower(strings.Trim(font, ` "'`))
	first, _, _ := strings.Cut(font, ",")
	return strings.Trim(first, ` "'`) == "wingdings"
}

// styled applies the style attribute. What it hides is what common programs do not show: preheaders are written so. The
// colour of text, or a size that is small but some, hides nothing here: what somebody wrote is to be found.
func (h *htmlReader) styled(e *element, style string) {
	var flat, clipped, symbols bool
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
		case "opacity":
			e.hidden = e.hidden || tiny(value, false)
		case "max-height", "height":
			flat = flat || tiny(value, false)
		case "overflow", "overflow-y":
			clipped = clipped || value == "hidden"
		case "font-size":
			e.tiny = tiny(value, e.tiny)
		case "font":
			e.shorthand(value)
		case "font-family":
			e.wingdings = isWingdings(value)
		case "mso-symbol-font-family": // Word's, beside the font that letters would have
			symbols = isWingdings(value)
		case "white-space":
			e.pre = value == "pre" || value == "pre-wrap" || value == "pre-line" || value == "break-spaces"
		case "mso-list":
			e.word = e.word || value != "ignore" && value != "none" && value != "skip"
		}
	}
	e.wingdings = e.wingdings || symbols
	e.hidden = e.hidden || flat && clipped
}

// shorthand applies the style "font: 12pt/1.5 Wingdings".
func (e *element) shorthand(value string) {
	for part := range strings.FieldsSeq(value) {
		if part[0] >= '0' && part[0] <= '9' {
			size, _, _ := strings.Cut(part, "/")
			e.tiny = tiny(size, e.tiny)
			_, family, _ := strings.Cut(value, part)
			e.wingdings = isWingdings(family)
			return
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
