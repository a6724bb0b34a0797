package preflight

import (
	"fmt"
	"io"
	"strings"
)

// The text form has lines of this width, and names so many custodians in a line.
const (
	textWidth = 116
	textNamed = 8
	indent    = "                                 " // as wide as state and check
)

// WriteText writes the result for people: a line for each finding with its state, and below it the remedy and who it concerns.
func (r Result) WriteText(w io.Writer) error {
	var b strings.Builder
	b.WriteString(r.Source + "\n")
	for _, f := range r.Findings {
		wrap(&b, fmt.Sprintf("  %-8s %-21s ", f.State, f.Check), f.Text)
		if f.Remedy != "" {
			wrap(&b, indent+"remedy: ", f.Remedy)
		}
		if n := len(f.Custodians); n > 0 {
			names := strings.Join(f.Custodians[:min(n, textNamed)], " ")
			if all := max(int(f.Figures["custodians"]), n); all > textNamed {
				names += fmt.Sprintf(" and %s more", number(all-textNamed))
			}
			wrap(&b, indent+"custodians: ", names)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// wrap writes a text after a head, its further lines below its first.
func wrap(b *strings.Builder, head, text string) {
	line := head
	empty := true
	for word := range strings.FieldsSeq(text) {
		if !empty && len(line)+1+len(word) > textWidth {
			b.WriteString(line + "\n")
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line += word
		empty = false
	}
	b.WriteString(line + "\n")
}
