package mailfmt

import (
	"strings"
)

// versions is the text of a multipart/alternative, which holds one text in several versions. Programs show one of them,
// mostly that in HTML, and nothing makes the others say the same.
//
// It is that of the richest version, the last in HTML (RFC 2046, 5.1.4): readers saw it, links and emoji are whole in it,
// and the rules for lists and tables are for it. The lines of another version that say what it does not follow under a
// line that tells so. So no word of any version is missing, nor two in a row on a line, for those who search, and those
// who read see that two versions contradict each other. A program's "this message is in HTML" is no exception: by its
// length alone, nothing tells it from what somebody wrote.
func (p *parser) versions(n *node) string {
	texts := make([]string, len(n.children))
	best := -1
	for i, c := range n.children {
		texts[i] = trimLines(p.body(c))
		if texts[i] != "" && (best < 0 || c.has(htmlText) || !n.children[best].has(htmlText)) {
			best = i
		}
	}
	if best < 0 {
		return ""
	}
	text := texts[best]
	for i, other := range texts {
		if i == best {
			continue
		}
		if more := trimLines(p.beyond(text, other)); more != "" {
			text += "\n\n" + versionNote + "\n" + more
		}
	}
	return text
}

// versionNote stands above what only another version of a text says.
const versionNote = "[Another version of this message also says]"

// maxCompared bounds the bytes of a message's versions that are compared; what is longer follows whole.
const maxCompared = 2 << 20

// beyond gives the lines of other that say what text does not.
func (p *parser) beyond(text, other string) string {
	if other == "" || other == text {
		return ""
	}
	if p.compared += len(text) + len(other); p.compared > maxCompared {
		return other
	}
	var w *wording
	var more []string
	same := sameText{text}
	for line := range strings.SplitSeq(other, "\n") {
		if same.goesOn(line) {
			continue
		}
		if w == nil {
			w = newWording(text)
		}
		if !w.says(line) {
			more = append(more, line)
		}
	}
	return strings.Join(more, "\n")
}

// A sameText is followed by lines that are parts of it as they stand, as most lines of a version are. It saves looking at the
// words.
type sameText struct{ rest string }

// goesOn reports whether a line comes next or soon in the text, between blanks.
func (t *sameText) goesOn(line string) bool {
	if line = strings.Trim(line, " "); line == "" {
		return true
	}
	near := t.rest[:min(len(t.rest), len(line)+1<<10)]
	i := strings.Index(near, line)
	if i < 0 || i > 0 && !isBlank(rune(near[i-1])) {
		return false
	}
	rest := t.rest[i+len(line):]
	if rest != "" && !isBlank(rune(rest[0])) {
		return false
	}
	t.rest = rest
	return true
}
