package mailfmt

import (
	"regexp"
	"strings"
)

// enrichedToHTML writes text/enriched (RFC 1896) or its forerunner text/richtext (RFC 1341) as the HTML that it resembles.
// Of several line breaks in a row one is of the writing program's, "<<" is "<", and the parameters of commands are not text.
func enrichedToHTML(source string, rich bool) string {
	source = strings.ReplaceAll(strings.ReplaceAll(source, "\r\n", "\n"), "&", "&amp;")
	var out strings.Builder
	asIs := 0 // open commands within which line breaks count one by one
	for source != "" {
		i := strings.IndexAny(source, "<\n")
		if i < 0 {
			break
		}
		out.WriteString(source[:i])
		source = source[i:]
		rest := strings.TrimLeft(source, "\n")
		switch n := len(source) - len(rest); {
		case n == 1 && asIs == 0, rich && n > 0:
			out.WriteByte('\n')
		case n > 0 && asIs == 0:
			out.WriteString(strings.Repeat("<br>", n-1))
		case n > 0:
			out.WriteString(strings.Repeat("<br>", n))
		case !rich && strings.HasPrefix(source, "<<"):
			out.WriteString("&lt;")
			rest = source[2:]
		default:
			command := enrichedCommand.FindString(source)
			if command == "" { // no command: a character like others
				out.WriteString("&lt;")
				rest = source[1:]
				break
			}
			rest = source[len(command):]
			rest = writeCommand(&out, strings.ToLower(command), rest, &asIs)
		}
		source = rest
	}
	return out.String() + source
}

var enrichedCommand = regexp.MustCompile(`^</?[A-Za-z0-9-]{1,60}>`)

// writeCommand writes a command as HTML, and gives what follows it.
func writeCommand(out *strings.Builder, command, rest string, asIs *int) string {
	switch command {
	case "<param>", "<comment>":
		if _, after, ok := strings.Cut(rest, "</"+command[1:]); ok {
			return after
		}
	case "<lt>":
		out.WriteString("&lt;")
	case "<nl>", "<np>":
		out.WriteString("<br>")
	case "<paragraph>", "</paragraph>", "<excerpt>", "</excerpt>", "<center>", "</center>", "<paraindent>", "</paraindent>":
		out.WriteString("<div></div>")
	case "<nofill>":
		*asIs++
		out.WriteString("<div></div>")
	case "</nofill>":
		*asIs = max(*asIs-1, 0)
		out.WriteString("<div></div>")
	}
	return rest
}
