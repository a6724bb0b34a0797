package doctext

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The bounds of what is held of RTF.
const (
	maxGroups = 4096 // deeper groups are read as if their braces were not there
	maxFonts  = 32 << 10
	maxNotes  = 1 << 20
)

// A destination is what the text in a group is for.
type destination int

const (
	toText destination = iota
	toNowhere
	toFonts // the table of fonts
	toCode  // a field's code
	toTag   // a tag of encapsulated HTML
	toNotes // a footnote, an endnote or a comment: they are written at the end
)

// A group is what a pair of braces keeps apart.
type group struct {
	dest, outer destination
	font        int
	skip        int    // how many bytes stand for a character of Unicode where that is not read
	rtfOnly     bool   // what is read is not in the encapsulated HTML
	both        bool   // its first group says in bytes what its second says in Unicode
	block       bool   // it is a paragraph of its own
	link        string // where the field in it leads
}

// An rtf is RTF being read, token by token. Groups are counted, not called.
type rtf struct {
	d       *document
	in      *bufio.Reader
	n       int // bytes read since it was last asked whether there is time
	group   group
	groups  []group
	over    int // groups that are open and nested too deep
	star    bool
	passing int // bytes to pass over: what stands for a character that has been read as Unicode

	bytes    []byte // of text, not decoded yet
	high     rune   // the first half of a character that has two
	codePage int
	fonts    map[int]int // code pages
	font     int         // the one that is being described
	plain    int         // the one that text is in by default

	code  strings.Builder
	shown strings.Builder // of the field that is being read
	notes strings.Builder
	html  *strings.Builder // where the RTF encapsulates HTML
	row   cellBegin
}

// rtf reads RTF 1.9.1, and the HTML that Outlook encapsulates in RTF (MS-OXRTFEX).
func (d *document) rtf() error {
	r := &rtf{d: d, in: bufio.NewReaderSize(d.section(), 32<<10), codePage: 1252, fonts: map[int]int{}, group: group{skip: 1}}
	_, err := r.in.ReadSlice('{') // a mark may stand before it
	if errors.Is(err, bufio.ErrBufferFull) || err == nil {
		r.open()
		err = r.read()
	}
	r.flush()
	if r.html != nil {
		d.out.text(trimLines(d.conv.HTML(r.html.String())))
		d.cut = d.cut || r.html.Len() >= maxSource
	}
	d.out.sep(paragraph)
	d.out.text(trimLines(r.notes.String()))
	if d.out.full || errors.Is(err, io.EOF) { // that it ends within a group is common
		return nil
	}
	return err
}

// next is the next byte.
func (r *rtf) next() (byte, error) {
	if r.n++; r.n == 64<<10 {
		r.n = 0
		if err := r.d.ctx.Err(); err != nil {
			return 0, err
		}
		if r.d.out.done() || r.html != nil && r.html.Len() >= maxSource {
			return 0, io.EOF
		}
	}
	return r.in.ReadByte()
}

func (r *rtf) read() error {
	for {
		c, err := r.next()
		if err != nil {
			return err
		}
		switch c {
		case '{':
			r.open()
		case '}':
			r.close()
		case '\\':
			err = r.control()
		case '\r', '\n':
		case 0:
		default:
			r.byte(c)
		}
		if err != nil {
			return err
		}
	}
}

// byte takes a byte of text.
func (r *rtf) byte(c byte) {
	r.star = false
	switch {
	case r.passing > 0:
		r.passing--
	case r.group.dest != toNowhere && r.group.dest != toFonts:
		if r.bytes = append(r.bytes, c); len(r.bytes) >= 32<<10 {
			r.flush()
		}
	}
}

func (r *rtf) open() {
	r.flush()
	r.passing, r.star = 0, false
	if len(r.groups) >= maxGroups {
		r.over++
		return
	}
	r.groups = append(r.groups, r.group)
	outer := r.group
	r.group.outer, r.group.both, r.group.block, r.group.link = outer.dest, false, false, ""
	if outer.both {
		r.group.dest = toNowhere
	}
}

func (r *rtf) close() {
	r.flush()
	r.passing, r.star = 0, false
	if r.over > 0 {
		r.over--
		return
	}
	n := len(r.groups)
	if n == 0 {
		return
	}
	ended := r.group
	r.group, r.groups = r.groups[n-1], r.groups[:n-1]
	if ended.link != "" && bareLink(r.shown.String()) != bareLink(ended.link) {
		r.text(" <" + ended.link + ">")
	}
	if ended.block {
		r.newLine()
	}
	if ended.dest == toCode && r.group.dest != toCode {
		r.group.link = linkOf(r.code.String())
		r.shown.Reset()
	}
	if ended.dest == toNotes && r.group.dest != toNotes && r.notes.Len() < maxNotes {
		r.notes.WriteByte('\n')
	}
}

// control reads what a backslash begins.
func (r *rtf) control() error {
	c, err := r.next()
	switch {
	case err != nil:
		return err
	case c|0x20 >= 'a' && c|0x20 <= 'z':
		return r.word(c)
	case c == '\'':
		return r.hex()
	case c == '*':
		r.star = true
		return nil
	case c == '{', c == '}', c == '\\':
		r.byte(c)
		return nil
	}
	r.flush()
	if r.passing > 0 {
		r.passing--
		return nil
	}
	switch c {
	case '~':
		r.text("\u00A0")
	case '_':
		r.text("-")
	case '\r', '\n':
		r.newLine()
	case '\t':
		r.text("\t")
	}
	return nil
}

// hex reads a byte in hexadecimal.
func (r *rtf) hex() error {
	var c byte
	for range 2 {
		h, err := r.next()
		if err != nil {
			return err
		}
		i := strings.IndexByte("0123456789abcdef", h|0x20)
		if i < 0 {
			return r.in.UnreadByte() // none; what it is will be read
		}
		c = c<<4 | byte(i)
	}
	r.byte(c)
	return nil
}

// word reads a control word and its number: \u-3913. A blank behind it belongs to it.
func (r *rtf) word(c byte) error {
	var name [32]byte
	n := 0
	var err error
	for ; err == nil && c|0x20 >= 'a' && c|0x20 <= 'z'; c, err = r.next() {
		if n < len(name) {
			name[n] = c
			n++
		}
	}
	number, has, negative := 0, false, false
	if err == nil && c == '-' {
		negative = true
		c, err = r.next()
	}
	for ; err == nil && c >= '0' && c <= '9'; c, err = r.next() {
		has = true
		if number < 1<<30/10 {
			number = 10*number + int(c-'0')
		}
	}
	if err == nil && c != ' ' {
		err = r.in.UnreadByte()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if negative {
		number = -number
	}
	return r.do(string(name[:n]), number, has)
}

// do carries out a control word.
func (r *rtf) do(word string, n int, has bool) error {
	star := r.star
	r.star = false
	if word != "u" {
		r.flush()
	}
	if word == "bin" {
		_, err := r.in.Discard(max(0, n))
		return err
	}
	if r.passing > 0 {
		r.passing--
		return nil
	}
	switch {
	case r.destination(word, star), r.format(word, n, has):
	case word == "u":
		r.unicode(n)
	case r.group.dest == toNowhere || r.group.dest == toFonts:
	case characters[word] != "":
		r.text(characters[word])
	default:
		r.layOut(word)
	}
	return nil
}

var characters = map[string]string{
	"tab": "\t", "emdash": "—", "endash": "–", "bullet": "•",
	"lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”",
	"emspace": " ", "enspace": " ", "qmspace": " ", "zwj": "\u200D", "zwnj": "\u200C",
}

// layOut carries out what moves text.
func (r *rtf) layOut(word string) {
	switch word {
	case "par", "line", "sect", "page", "column", "softline", "softpage":
		r.newLine()
	case "cell", "nestcell":
		if r.group.dest == toText && r.html == nil {
			r.d.out.endCell(r.row)
			r.row.gap = r.d.out.gap
		}
	case "row", "nestrow":
		r.newLine()
		r.row = r.d.out.beginCell()
	}
}

// newLine ends a line.
func (r *rtf) newLine() {
	switch {
	case r.group.dest == toText && r.html == nil:
		r.d.out.sep(line)
	case r.group.dest != toNowhere && r.group.dest != toFonts:
		r.text("\n")
	}
}

// destination carries out a word that says what its group is for.
func (r *rtf) destination(word string, star bool) bool {
	g := &r.group
	switch word {
	case "fonttbl":
		g.dest = toFonts
	case "colortbl", "stylesheet", "info", "pict", "objdata", "nonshppict", "shprslt", "xe", "tc", "rxe", "filetbl", "sp",
		"nonesttables", "nesttableprops", "datafield", "themedata":
		g.dest = toNowhere
	case "fldinst":
		if g.dest == toText || g.dest == toNotes {
			g.dest = toCode
			r.code.Reset()
		}
	case "htmltag":
		if r.html != nil && g.dest == toText {
			g.dest = toTag
		}
	case "footnote", "annotation":
		if g.dest == toText {
			g.dest = toNotes
		}
	case "upr":
		g.both = true
	case "ud":
		g.dest = g.outer
	case "header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf", "shptxt", "dptxbxtext":
		r.newLine()
		g.block = true
	case "shpinst", "do", "shppict", "picprop", "field", "fldrslt", "result", "listtext", "pntext":
	default:
		if star {
			g.dest = toNowhere // who does not know it passes over it
		}
		return star
	}
	return true
}

// format carries out a word that says how bytes are read.
func (r *rtf) format(word string, n int, has bool) bool {
	switch word {
	case "ansi":
		r.codePage = 1252
	case "mac":
		r.codePage = 10000
	case "pc":
		r.codePage = 437
	case "pca":
		r.codePage = 850
	case "ansicpg":
		r.codePage = n
	case "deff":
		r.plain, r.group.font = n, n
	case "plain":
		r.group.font = r.plain
	case "f":
		if r.group.dest == toFonts {
			r.font = n
		} else {
			r.group.font = n
		}
	case "fcharset", "cpg":
		if page := n; r.group.dest == toFonts && len(r.fonts) < maxFonts {
			if word == "fcharset" {
				page = charsets[n]
			}
			r.fonts[r.font] = page
		}
	case "uc":
		r.group.skip = max(0, n)
	case "fromhtml":
		if r.html == nil && (n != 0 || !has) {
			r.html = &strings.Builder{}
		}
	case "htmlrtf":
		r.group.rtfOnly = n != 0 || !has
	default:
		return false
	}
	return true
}

// unicode takes a character in UTF-16, and passes over what stands for it.
func (r *rtf) unicode(n int) {
	c := rune(uint16(n))
	r.passing = r.group.skip
	if r.group.dest == toNowhere || r.group.dest == toFonts {
		return
	}
	high := r.high
	if c >= 0xD800 && c < 0xDC00 {
		r.flush()
		r.high = c
		return
	}
	if high != 0 {
		c = utf16.DecodeRune(high, c)
	}
	r.high = 0
	r.flush()
	if utf16.IsSurrogate(c) {
		c = utf8.RuneError
	}
	if c >= 0xF020 && c <= 0xF0FF { // a font of symbols
		return
	}
	r.text(string(c))
}

// flush decodes the bytes of text that have been read.
func (r *rtf) flush() {
	if r.high != 0 {
		r.high = 0
		r.text(string(utf8.RuneError))
	}
	if len(r.bytes) == 0 {
		return
	}
	b := r.bytes
	r.bytes = r.bytes[:0]
	page := r.codePage
	if p := r.fonts[r.group.font]; p != 0 && r.group.dest != toTag {
		page = p
	}
	r.text(decodePage(b, page))
}

// text gives text to where it belongs.
func (r *rtf) text(t string) {
	if r.shown.Len() < maxCode {
		r.shown.WriteString(t)
	}
	switch r.group.dest {
	case toText, toTag:
		switch {
		case r.html == nil:
			r.d.out.text(t)
		case !r.group.rtfOnly || r.group.dest == toTag:
			if r.html.Len() < maxSource {
				r.html.WriteString(t)
			}
		}
	case toCode:
		if r.code.Len() < maxCode {
			r.code.WriteString(t)
		}
	case toNotes:
		if r.notes.Len() >= maxNotes {
			r.d.cut = true
			return
		}
		r.notes.WriteString(t)
	}
}

// decodePage decodes text in a Windows code page.
func decodePage(b []byte, page int) string {
	for _, c := range b {
		if c < 0x80 {
			continue
		}
		e := codePages[page]
		if e == nil {
			e = codePages[1252]
		}
		text, err := e.NewDecoder().Bytes(b)
		if err != nil {
			return strings.ToValidUTF8(string(b), string(utf8.RuneError))
		}
		return string(text)
	}
	return string(b)
}
