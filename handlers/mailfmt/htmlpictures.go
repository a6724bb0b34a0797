package mailfmt

import (
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// pictured writes for each character set in Wingdings, a font of pictures, what is seen: Outlook makes such characters of
// ":-)" and "-->". Only where a word is one character, or repeats it: whole words in that font stay letters, for they were
// written as such and are searched for as such.
func pictured(s string) string {
	var out strings.Builder
	for s != "" {
		end := strings.IndexFunc(s, func(r rune) bool { return isBlank(r) || r == 0xA0 })
		if end == 0 {
			_, end = utf8.DecodeRuneInString(s)
			out.WriteString(s[:end])
			s = s[end:]
			continue
		}
		if end < 0 {
			end = len(s)
		}
		out.WriteString(picturedWord(s[:end]))
		s = s[end:]
	}
	return out.String()
}

func picturedWord(s string) string {
	s = strings.Map(func(r rune) rune { // those were never letters
		if r < symbolFont || r > symbolFont+0xFF {
			return r
		}
		if picture, ok := wingdings[r-symbolFont]; ok {
			return picture
		}
		return r - symbolFont
	}, s)
	r, size := utf8.DecodeRuneInString(s)
	picture, ok := wingdings[r]
	if !ok || strings.Count(s, s[:size])*size != len(s) {
		return s
	}
	return strings.Repeat(string(picture), len(s)/size)
}

// symbolFont is where Word puts the characters of fonts that have no letters.
const symbolFont = 0xF000

// wingdings are the characters of the font that mail has, and what they are in Unicode.
var wingdings = map[rune]rune{
	'"': '✂', '(': '☎', ')': '✆', '6': '⌛', 'A': '✌', 'B': '👌', 'C': '👍', 'D': '👎', 'E': '☜', 'F': '☞', 'G': '☝',
	'H': '☟', 'I': '✋', 'J': '☺', 'K': '😐', 'L': '☹', 'M': '💣', 'N': '☠', 'Q': '✈', 'R': '☼', 'S': '💧', 'T': '❄',
	'V': '✞', 'Y': '✡', 'Z': '☪', '[': '☯', 'l': '●', 'n': '■', 'o': '□', 'q': '❑', 'r': '❒', 't': '⧫', 'u': '◆',
	'v': '❖', 'x': '⌧', 'z': '⌘', '§': '▪', '¨': '◻', '«': '★', 'Ø': '➢', 'à': '→', 'á': '↑', 'â': '↓', 'ß': '←',
	'è': '➔', 'ó': '↔', 'û': '✗', 'ü': '✓', 'ý': '☒', 'þ': '☑',
}

// picture is what an image says in place of itself: its alternative text; where it has none, the emoji that it stands for,
// by what else the program that put it there wrote about it; or its title.
func picture(a attributes) string {
	for _, name := range []string{"alt", "data-emoji"} {
		if a[name] != "" && strings.Trim(a[name], " \t\r\n\u00A0") != "" {
			return a[name]
		}
	}
	if s := codePoints(a["goomoji"]); s != "" {
		return s
	}
	source, _, _ := strings.Cut(a["src"], "?")
	name := strings.ToLower(strings.TrimSuffix(path.Base(source), path.Ext(source)))
	emoji := emojiWord.MatchString(a["class"]) || emojiWord.MatchString(a["itemtype"]) || emojiWord.MatchString(path.Dir(source)) ||
		strings.HasPrefix(name, "emoji")
	s := codePoints(strings.TrimPrefix(strings.TrimPrefix(name, "emoji_"), "u"))
	if s != "" && (emoji || s[0] >= 0xF0) { // 1f600.png; 2023.png is a year
		return s
	}
	for _, key := range []string{"data-stringify-emoji", "data-shortcode", "data-name", "itemid", "aria-label", "title"} {
		if v := strings.Trim(a[key], ": "); v != "" {
			if (emoji || strings.HasPrefix(key, "data-s")) && keyword.MatchString(v) {
				return ":" + v + ":"
			}
			return v
		}
	}
	if !emoji {
		return ""
	}
	if m := emojiClass.FindStringSubmatch(a["class"]); m != nil {
		return ":" + m[1] + ":"
	}
	if keyword.MatchString(name) && emojiWord.MatchString(path.Dir(source)) {
		return ":" + name + ":"
	}
	return ""
}

var (
	emojiWord  = regexp.MustCompile(`(?i)emoji|emoticon|smiley|smilies|goomoji`)
	emojiClass = regexp.MustCompile(`(?i)(?:^|\s)(?:emoji|emoticon|smiley)[-_]+([a-z][a-z0-9_-]*)`)
	keyword    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_+-]*$`)
	codePoint  = regexp.MustCompile(`^[0-9a-f]{2,6}(?:[-_][0-9a-f]{2,6})*$`)
)

// codePoints reads the characters that "1f468-200d-1f469" names; nothing when one of them is none that emoji are made of.
func codePoints(s string) string {
	s = strings.ToLower(s)
	if len(s) > 128 || !codePoint.MatchString(s) {
		return ""
	}
	var out strings.Builder
	for code := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '-' || r == '_' }) {
		n, err := strconv.ParseUint(code, 16, 32)
		r := rune(n)
		if err != nil || !inEmoji(r) {
			return ""
		}
		out.WriteRune(r)
	}
	if s := out.String(); utf8.RuneCountInString(s) > 1 || s[0] >= 0x80 {
		return s
	}
	return ""
}

// inEmoji reports whether emoji are made of a character: pictures, tags, figures for keycaps, and what joins them.
func inEmoji(r rune) bool {
	switch {
	case r == '#', r == '*', r >= '0' && r <= '9', r == 0xA9, r == 0xAE, r == 0xFE0F:
		return true
	}
	return r >= 0x200D && r < 0x3300 || r >= 0x1F000 && r <= 0x1FAFF || r >= 0xE0020 && r <= 0xE007F
}

// control is what a form's control shows of itself.
func control(a attributes) string {
	switch kind := strings.ToLower(a["type"]); kind {
	case "hidden", "password", "file":
		return ""
	case "image":
		return picture(a)
	case "checkbox", "radio":
		if _, checked := a["checked"]; checked {
			return "[x]"
		}
		return "[ ]"
	}
	return a["value"]
}

// symbol is the character of Word's <w:sym w:font="Wingdings" w:char="F04A"/>.
func symbol(a attributes) string {
	n, err := strconv.ParseUint(a["w:char"], 16, 16)
	if err != nil {
		return ""
	}
	if isWingdings(a["w:font"]) {
		return picturedWord(string(rune(n)))
	}
	return string(rune(n))
}
