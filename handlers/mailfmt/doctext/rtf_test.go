package doctext

import "testing"

func TestRTFGivesWhatAPersonSees(t *testing.T) {
	t.Parallel()
	const head = `{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fswiss\fcharset0 Arial;}{\f1\fcharset204 ` +
		`Cyr;}{\f2\fcharset128 MS Gothic;}{\f3\fcharset2 Symbol;}{\f4\cpg1250 EE;}}` +
		`{\colortbl;\red0\green0\blue0;}{\stylesheet{\s0 Normal;}}{\info{\title no}{\author no}}{\*\generator no;}\uc1\pard `
	for name, tt := range map[string]struct{ source, want string }{
		"paragraphs":             {head + `Hello\par\par\pard second\line third}`, "Hello\nsecond\nthird"},
		"line ends":              {head + "one\r\n two\\\nthree\\par\r\n}", "one two\nthree"},
		"escapes":                {head + `a\{b\}c\\d\~e\_f\-g}`, "a{b}c\\d\u00A0e-fg"},
		"symbols":                {head + `\ldblquote a\rdblquote\emdash b\tab c\bullet}`, "“a”—b\tc•"},
		"hexadecimal":            {head + `caf\'e9 \'80 5}`, "café € 5"},
		"code page":              {`{\rtf1\ansi\ansicpg1251 \'cf\'f0\'e8\'e2\'e5\'f2}`, "Привет"},
		"fonts":                  {head + `\f1 \'cf\'f0{\f4 \'b9}\f0 \'e9\f1 x\plain\'e9}`, "Прąéxé"},
		"two bytes":              {head + `\f2 \'93\'fa\'96{\b }\'7b}`, "日\uFFFD{"},
		"two bytes whole":        {head + "\\f2 \\'93\\'fa\r\n\\'96\\'7b}", "日本"},
		"a Macintosh":            {`{\rtf1\mac caf\'8e}`, "café"},
		"Unicode":                {head + `\u1055?\u-3913 ?\uc2\u8364\'80\'80x\uc0\u233y{\uc3\u233 abcz}w}`, "П€xéyézw"},
		"surrogates":             {head + `\u-10179?\u-8704?.\u-10179?x}`, "😀.\uFFFDx"},
		"an unknown destination": {head + `a{\*\unknown no {no}}b{\known yes}`, "abyes"},
		"pictures and binary": {head + "a{\\pict\\wmetafile8 0102ff}{\\*\\shppict{\\pict ff}}{\\nonshppict{\\pict " +
			"ff}}\\bin5 }{\\\\}b}", "ab"},
		"a table": {head + `\trowd a\intbl\cell\cell b1\par b2\cell\row\trowd\cell c\cell\row\pard ` +
			`after}`, "a\tb1\nb2\nc\nafter"},
		"a link": {head + `see {\field{\*\fldinst{HYPERLINK "https://example.com/a" \\o ` +
			`"t"}}{\fldrslt{\ul here}}} now}`, "see here <https://example.com/a> now"},
		"a link that says where": {head + `{\field{\*\fldinst HYPERLINK "mailto:a@example.com"}{\fldrslt ` +
			`a@example.com}}}`, "a@example.com"},
		"a field": {head + `{\field{\*\fldinst PAGE}{\fldrslt 3}} of 4}`, "3 of 4"},
		"notes": {head + `body{\footnote\pard the note} goes on{\*\atnauthor ` +
			`no}{\*\annotation{\*\atndate no}a comment}.\par}`, "body goes on.\n\nthe note\na comment"},
		"header": {head + `{\header\pard top\par}body{\footer bottom}}`, "top\nbody\nbottom"},
		"a text box once": {head + `a{\shp{\*\shpinst\shpleft1{\sp{\sn no}{\sv no}}{\shptxt\pard ` +
			`boxed\par}}{\shprslt no}}b}`, "a\nboxed\nb"},
		"a text box of old":  {head + `a{\*\do\dobxpage{\dptxbxtext\pard boxed\par}\dpx1}b}`, "a\nboxed\nb"},
		"in both ways":       {head + `{\upr{no}{\*\ud{\u1055?es}}}}`, "Пes"},
		"deleted and hidden": {head + `{\deleted gone}{\v hidden}`, "gonehidden"},
		"listed": {head + `{\listtext\'b7\tab}item\par{\pntext 1.\tab}{\*\pn\pnlvlbody{\pntxtb ` +
			`no}}item}`, "·\titem\n1.\titem"},
		"an object":     {head + `{\object{\*\objclass no}{\*\objdata 01}{\result{shown}}}}`, "shown"},
		"index entries": {head + `a{\xe no}{\tc no}b}`, "ab"},
		"controls":      {head + "a\x00\\'01b\\'00}", "a b"},
		"no end":        {head + `a{\b b{\i c`, "abc"},
		"more ends":     {head + `a}}}} b`, "a b"},
		"HTML": {
			`{\rtf1\ansi\ansicpg1252\fromhtml1 \deff0{\fonttbl{\f0 Arial;}{\f1\fcharset204 C;}}` + "\r\n" +
				`{\*\htmltag19 <html>}{\*\htmltag50 <body>}\htmlrtf {\f1\htmlrtf0 {\*\htmltag64 <p>}\'cf\u233? ` +
				`{\*\htmltag84 &nbsp;}\htmlrtf \'a0\htmlrtf0 {\*\mhtmltag64 <no>}` +
				`{\*\htmltag72 </p>}\htmlrtf\par}\htmlrtf0{\*\htmltag64 <p title="\'e9">}caf\'e9{\*\htmltag58 </body>}}`,
			"Пé\ncafé",
		},
		"plain text in it": {`{\rtf1\ansi\fromtext \fbidi a\par b}`, "a\nb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, res := extract(t, "x.doc", []byte(tt.source))
			if got != tt.want || res.Kind != RTF || res.Status != Extracted {
				t.Errorf("%q, %+v, want %q", got, res, tt.want)
			}
		})
	}
}
