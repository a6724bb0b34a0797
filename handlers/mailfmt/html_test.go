package mailfmt

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestHTMLBecomesPlainText(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, html, want string }{
		{"white space is collapsed", " a \n b\t<b> c </b>d ", "a b c d"},
		{"blocks have lines of their own", "<div>a<div>b</div>c</div><p>d<p>e", "a\nb\nc\nd\ne"},
		{"a break at a block's end is not one more line", "<div>a<br></div><div>b</div>", "a\nb"},
		{"an empty block is an empty line", "<div>a</div><div><br></div><div>b</div>", "a\n\nb"},
		{"so is one of a no-break space", "<p>a</p><p>&nbsp;</p><p>b</p>", "a\n\nb"},
		{"never more than one empty line", "a<br><br><br><br>b", "a\n\nb"},
		{"inline elements do not part words", "un<b>believ</b>able", "unbelievable"},
		{"entities", "&lt;a&gt; &amp; &eacute; &#8364; &#x1F600; &nosuch;", "<a> & é € 😀 &nosuch;"},
		{"styles, scripts, comments, title", "<head><title>t</title><style>s</style></head><script>x</script>a<!-- c --><!--[if mso]>m<![endif]-->b", "ab"},
		{"revealed conditional comments stay", "a<![if !mso]>b<![endif]>c", "abc"},
		{"hidden by style", `a<div style="color:red; DISPLAY : none !important">b<p>c</p></div>d`, "ad"},
		{"hidden by attribute", "a<p hidden>b</p>c", "ac"},
		{"hidden from Outlook", "a<span style='mso-hide:all'>b</span>c", "ac"},
		{"a hidden element that is not closed ends with what it is in", "<table><tr><td><span style='display:none'>x</td><td>b</td></tr></table>", "b"},
		{"text of no size", "<span style='font-size:0px'>a</span><span style='font-size:0.5em'>b</span>", "b"},
		{"a size within no size", "<div style='font-size:0'>a<span style='font-size:13px'>b</span><span style='font-size:120%'>c</span></div>", "b"},
		{"preheader filler", "a&#847;&zwnj;&#8203;&shy;&#65279;b", "ab"},
		{"joiners that join", "\u0645\u06CC&zwnj;\u062E \U0001F468&zwj;\U0001F469 pass&zwnj;word", "\u0645\u06CC\u200C\u062E \U0001F468\u200D\U0001F469 password"},
		{"a link keeps its target", `see <a href="https://a.example/x?y=1&amp;z=2">here</a>.`, "see here <https://a.example/x?y=1&z=2>."},
		{"a link that is its text", `<a href="https://A.example/">a.example</a> <a href="mailto:a@a.example">a@a.example</a>`, "a.example a@a.example"},
		{"links to nowhere", `<a href="#x">a</a> <a href="javascript:x()">b</a> <a href="cid:x">c</a> <a>d</a> <a href="/x">e</a>`, "a b c d e"},
		{"a link without text", `<a href="https://a.example/x"><img src=x></a>`, "<https://a.example/x>"},
		{"a link around a block", `<a href="https://a.example/x"><h1>a</h1></a>b`, "a <https://a.example/x>\nb"},
		{"links do not nest", `<a href="https://a.example/x">a<a href="https://a.example/y">b</a>`, "a <https://a.example/x>b <https://a.example/y>"},
		{"images are their alternative text", `a <img alt="😀 smile" src="cid:x"> b<img src=x>`, "a 😀 smile b"},
		{"a table's row is a line", "<table><tr><th>a<th>b<tr><td>c<td><p>d</p><p>e</p></table>f", "a | b\nc | d e\nf"},
		{"an empty cell keeps its place", "<table><tr><td>a</td><td></td><td>b</td><td></td></tr></table>", "a |  | b"},
		{"a row of one cell keeps its lines", "<table><tr><td><p>a</p><p>b</p></td><td></td></tr></table>", "a\nb"},
		{"layout tables are read cell by cell", "<table><tr><td><table><tr><td>a</td><td>b</td></tr></table></td><td>c</td></tr></table>", "a | b\nc"},
		{"an ordered list is one line", "a<ol><li>b<li><p>c</p><p>d</p><li>e<br>f</ol>g", "a\n1. b 2. c d 3. e f\ng"},
		{"its start and values", "<ol start=3><li>a<li value=7>b<li>c</ol>", "3. a 7. b 8. c"},
		{"its letters", "<ol type=A start=26><li>a<li>b</ol><ol type=i start=3><li>c<li>d</ol>", "Z. a AA. b\niii. c iv. d"},
		{"lists within an ordered list", "<ol><li>a<ol><li>b<li>c</ol><li>d<ul><li>e</ul></ol>", "1. a 1. b 2. c 2. d - e"},
		{"bullets have a line each", "<ul><li>a<li><p>b</p><ol><li>c<li>d</ol><li>e</ul>f", "- a\n- b\n1. c 2. d\n- e\nf"},
		{"a table in an ordered list", "<ol><li><table><tr><td>a<td>b<tr><td>c<td>d</table><li>e</ol>", "1. a | b c | d 2. e"},
		{"an item without a list", "<li>a", "- a"},
		{"preformatted text", "<pre>a\n  b\n\nc</pre>d", "a\n  b\n\nc\nd"},
		{"Wingdings smileys", `<span style="font-family:Wingdings">J</span><font face="Wingdings">L</font> J`, "☺☹ J"},
		{"end tags of nothing", "</div></p></table></ol>a</a></li>", "a"},
		{"crossed tags", "<b><div>a</b>b</div>c", "ab\nc"},
		{"hidden by a crossed tag", "<font style='display:none'><p>a</font>b</p>c", "c"},
		{"text between table parts", "<table>x<tr>y<td>z</td></tr></table>", "xy\nz"},
		{"an end that is cut off", "a<div style=\"display", "a"},
		{"no script to run", "<noscript><p>a</p></noscript>", "a"},
		{"quoted replies are kept", "a<blockquote type=cite><div>b</div></blockquote>", "a\nb"},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		if got := HTMLText(tt.html); got != tt.want {
			t.Errorf("%s: HTMLText(%q) = %q, want %q", tt.name, tt.html, got, tt.want)
		}
	}
}

// Time is not measured here: reading one of these in quadratic time would take longer than a test may.
func TestHostileHTMLIsReadInLinearTime(t *testing.T) {
	t.Parallel()
	const n = 40_000
	for name, unit := range map[string][2]string{
		"divisions": {"<div>", "</div>"}, "lists": {"<ol><li>", "</ol>"}, "bold": {"<b>", ""}, "tables": {"<table><tr><td>", "</table>"},
		"cells": {"<td>", "</td>"}, "links": {"<a href=x:y>", "</a>"}, "crossed": {"<p><b>", "</i></p>"}, "hidden": {"<p hidden><i hidden>", "</i>"},
		"quotes": {"<a b='", ""}, "comments": {"<!--", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := HTMLText("before<br>" + strings.Repeat(unit[0], n) + "x" + strings.Repeat(unit[1], n) + "<br>after")
			if !strings.HasPrefix(text, "before") {
				t.Errorf("HTMLText() begins %.40q, want what stood before", text)
			}
		})
	}
}

func FuzzHTML(f *testing.F) {
	seedHTML(f)
	for _, s := range []string{
		"<p>a<br>b</p>", "<table><tr><td>a<td><ol><li>b</table>c", "<a href=x:y><table><td></a>b", "<ol type=i start=-5><li value=9999999999>a",
		"<p class=MsoListParagraph>1. a<p class=MsoListParagraph>2. b", "<div style='font:0/0 a;display:none'>a</div>", "<plaintext>a<b>",
		"<textarea></p><pre>\r\n", "<svg><title><p>", "<li></ol></li><ul><td></ul></td>", "<span style='font-family:Wingdings'>J\xC2\xA0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		text := HTMLText(strings.ToValidUTF8(source, ""))
		if !utf8.ValidString(text) {
			t.Errorf("HTMLText(%q) = %q, which is not UTF-8", source, text)
		}
		if text != trimLines(text) || strings.ContainsAny(text, "\r\x00") || strings.Contains(text, "\n\n\n") {
			t.Errorf("HTMLText(%q) = %q, which is not laid out", source, text)
		}
		if len(text) > 16*len(source)+64 {
			t.Errorf("%d bytes of HTML gave %d bytes of text", len(source), len(text))
		}
	})
}
