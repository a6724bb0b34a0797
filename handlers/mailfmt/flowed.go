package mailfmt

import "strings"

// unflow joins the lines of format=flowed (RFC 3676) that were broken softly: a line that ends in a blank goes on in the
// next one, if both are quoted as deeply. Quote marks stay, and the blank before a line that was put there to keep it from
// looking like another goes.
func unflow(s string, delSp bool) string {
	var out strings.Builder
	out.Grow(len(s))
	begun, soft, depth := false, false, 0 // of the line before
	for line := range strings.SplitSeq(s, "\n") {
		quoted := len(line) - len(strings.TrimLeft(line, ">"))
		text := strings.TrimPrefix(line[quoted:], " ")
		joins := soft && quoted == depth && text != signature
		if !joins {
			if begun {
				out.WriteByte('\n')
			}
			out.WriteString(line[:quoted])
			if quoted > 0 && text != "" {
				out.WriteByte(' ')
			}
		}
		begun, soft, depth = true, strings.HasSuffix(text, " ") && text != signature, quoted
		if soft && delSp {
			text = text[:len(text)-1]
		}
		out.WriteString(text)
	}
	return out.String()
}

// signature is the line above a signature. It ends in a blank, and its line ends there.
const signature = "-- "
