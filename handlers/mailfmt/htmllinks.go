package mailfmt

import "strings"

// link appends a link's target to its text, unless the text is the target.
func (h *htmlReader) link(e *element) {
	f := h.flow
	if e.href == "" || e.begins > len(f.b) {
		return
	}
	text := strings.TrimSpace(string(f.b[e.begins:]))
	h.linked(text, e.href)
	switch {
	case bareLink(text) == bareLink(e.href):
		return
	case text == "":
		f.space = true
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
