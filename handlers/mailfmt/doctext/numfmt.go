package doctext

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// An epoch is a day that a workbook counts dates from.
type epoch int

const (
	windows epoch = iota // 1 is 1900-01-01, and 60 is a 29th of February that never was
	mac                  // 0 is 1904-01-01
)

// time is the time of a serial number of days, to the millisecond.
func (e epoch) time(days float64) time.Time {
	begin := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	switch {
	case e == mac:
		begin = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	case days < 60:
		begin = begin.AddDate(0, 0, 1)
	}
	whole := math.Floor(days)
	return begin.AddDate(0, 0, int(whole)).Add(time.Duration(math.Round((days-whole)*864e5)) * time.Millisecond)
}

// lastDay is 9999-12-31, the last day that Excel shows.
const lastDay = 2958465

// builtin are the formats that a workbook does not write out: ECMA-376 part 1, 18.8.30. What depends on the country is as in
// the USA.
var builtin = map[string]string{
	"1": "0", "2": "0.00", "3": "#,##0", "4": "#,##0.00", "5": `"$"#,##0;\("$"#,##0\)`, "6": `"$"#,##0;\("$"#,##0\)`,
	"7": `"$"#,##0.00;\("$"#,##0.00\)`, "8": `"$"#,##0.00;\("$"#,##0.00\)`, "9": "0%", "10": "0.00%", "11": "0.00E+00",
	"14": "m/d/yyyy", "15": "d-mmm-yy", "16": "d-mmm", "17": "mmm-yy", "18": "h:mm AM/PM", "19": "h:mm:ss AM/PM",
	"20": "h:mm", "21": "h:mm:ss", "22": "m/d/yyyy h:mm", "37": "#,##0;(#,##0)", "38": "#,##0;(#,##0)",
	"39": "#,##0.00;(#,##0.00)", "40": "#,##0.00;(#,##0.00)", "41": "#,##0;(#,##0)", "42": `"$"#,##0;\("$"#,##0\)`,
	"43": "#,##0.00;(#,##0.00)", "44": `"$"#,##0.00;\("$"#,##0.00\)`, "45": "mm:ss", "46": "[h]:mm:ss", "47": "mm:ss.0",
	"48": "##0.0E+0",
}

// A format is how cells show numbers: up to three sections, for positive numbers, negative ones and zero. One that is not
// simple has none.
type format struct{ sections [][]piece }

// A piece is a part of a section.
type piece struct {
	kind pieceKind
	text string
}

type pieceKind int

const (
	literal  pieceKind = iota
	digit              // 0, # or ?
	point              // the decimal point
	comma              // between digits for thousands, behind them for a division by 1000
	percent            // shown, and a multiplication
	exponent           // E+
	dateTime           // y, m, d, h, s and repetitions
	elapsed            // [h], [m], [s]
	halfDay            // AM/PM
	generic            // General
)

// parseFormat takes a format's code apart: ECMA-376 part 1, 18.8.31. Fractions, conditions and other scripts' digits are
// not simple.
func parseFormat(code string) format {
	var f format
	if code == "" || len(code) > 1024 {
		return f
	}
	section := []piece{}
	for code != "" {
		if code[0] == ';' {
			f.sections = append(f.sections, section)
			section, code = []piece{}, code[1:]
			continue
		}
		p, n := nextPiece(code)
		if n == 0 {
			return format{}
		}
		if p.text != "" {
			section = append(section, p)
		}
		code = code[n:]
	}
	f.sections = append(f.sections, section)
	f.sections = f.sections[:min(len(f.sections), 3)] // the fourth is for texts
	return f
}

// nextPiece reads the piece that a code begins with, and how long it is: 0 for one that is not simple.
func nextPiece(code string) (piece, int) {
	c := code[0]
	lower := strings.ToLower(code[:min(len(code), 7)])
	switch {
	case c == '"':
		end := strings.IndexByte(code[1:], '"')
		if end < 0 {
			return piece{}, 0
		}
		return piece{literal, code[1 : 1+end]}, end + 2
	case c == '\\' || c == '!':
		_, n := first(code[1:])
		return piece{literal, code[1 : 1+n]}, 1 + n
	case c == '_' || c == '*': // a blank as wide as the next character, a filling with it
		_, n := first(code[1:])
		return piece{}, 1 + n
	case c == '[':
		return bracket(code)
	case lower == "general":
		return piece{generic, code[:7]}, 7
	case strings.HasPrefix(lower, "am/pm"):
		return piece{halfDay, code[:5]}, 5
	case strings.HasPrefix(lower, "a/p"):
		return piece{halfDay, code[:3]}, 3
	case strings.HasPrefix(lower, "e+"), strings.HasPrefix(lower, "e-"):
		return piece{exponent, code[:2]}, 2
	case strings.IndexByte("ymdhs", lower[0]) >= 0:
		n := len(lower) - len(strings.TrimLeft(lower, lower[:1]))
		return piece{dateTime, lower[:n]}, n
	case c == '0' || c == '#' || c == '?':
		return piece{digit, code[:1]}, 1
	case c == '.':
		return piece{point, "."}, 1
	case c == ',':
		return piece{comma, ","}, 1
	case c == '%':
		return piece{percent, "%"}, 1
	case c == '@':
		return piece{generic, "@"}, 1
	case c == '/' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		if c == '/' {
			return piece{literal, "/"}, 1
		}
		return piece{}, 0
	}
	_, n := first(code)
	return piece{literal, code[:n]}, n
}

func first(s string) (string, int) {
	for i := range s {
		if i > 0 {
			return s[:i], i
		}
	}
	return s, len(s)
}

// bracket reads [h], [Red], [$€-407].
func bracket(code string) (piece, int) {
	inner, _, ok := strings.Cut(code[1:], "]")
	n := len(inner) + 2
	lower := strings.ToLower(inner)
	switch {
	case !ok:
		return piece{}, 0
	case lower != "" && strings.Trim(lower, lower[:1]) == "" && strings.IndexByte("hms", lower[0]) >= 0:
		return piece{elapsed, lower}, n
	case strings.HasPrefix(inner, "$"):
		currency, _, _ := strings.Cut(inner[1:], "-")
		return piece{literal, currency}, n
	case strings.HasPrefix(lower, "color"):
		return piece{}, n
	}
	switch lower {
	case "black", "blue", "cyan", "green", "magenta", "red", "white", "yellow":
		return piece{}, n
	}
	return piece{}, 0
}

// show is how a number looks in a cell.
func (f format) show(v float64, from epoch) string {
	if len(f.sections) == 0 {
		return general(v)
	}
	section, sign := f.sections[0], ""
	switch {
	case v < 0 && len(f.sections) > 1:
		section, v = f.sections[1], -v
	case v == 0 && len(f.sections) > 2:
		section = f.sections[2]
	case v < 0:
		sign = "-"
	}
	counts := map[pieceKind]int{}
	for _, p := range section {
		counts[p.kind]++
	}
	text, ok := "", false
	switch {
	case counts[dateTime]+counts[elapsed]+counts[halfDay] > 0:
		if sign == "" && v < lastDay+1 {
			text, ok = showTime(section, v, from), true
		}
	case counts[exponent] > 0:
		text, ok = sign+showExponent(section, math.Abs(v)), true
	case counts[digit] > 0:
		text, ok = showDigits(section, math.Abs(v), sign)
	default:
		text, ok = sign+showLiteral(section, math.Abs(v)), true
	}
	if !ok {
		return general(v)
	}
	return strings.TrimSpace(text)
}

// general writes a number with all its digits, as Excel's input line does: a cell rounds to its width.
func general(v float64) string {
	if v == 0 {
		return "0"
	}
	s := strconv.FormatFloat(v, 'g', 15, 64)
	f, err := strconv.ParseFloat(s, 64)
	if a := math.Abs(v); err == nil && a >= 1e-9 && a < 1e21 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strings.Replace(strings.ToUpper(s), "E+0", "E+", 1)
}

func showLiteral(section []piece, v float64) string {
	var b strings.Builder
	for _, p := range section {
		if p.kind == generic {
			b.WriteString(general(v))
		} else {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

func showExponent(section []piece, v float64) string {
	decimals, after, before := 0, false, false
	var suffix strings.Builder
	for _, p := range section {
		switch {
		case p.kind == exponent:
			before = true
		case p.kind == point:
			after = true
		case p.kind == digit && after && !before:
			decimals++
		case p.kind == literal && before:
			suffix.WriteString(p.text)
		}
	}
	return strings.ToUpper(strconv.FormatFloat(v, 'e', decimals, 64)) + suffix.String()
}

// showDigits puts a number's digits into the places for them: the last place takes the last digit, the first all that are
// left. What stands between the places stays there: 000-00-0000.
func showDigits(section []piece, v float64, sign string) (string, bool) {
	decimals, thousands, scale := 0, false, 1.0
	dot, last := -1, -1
	for i, p := range section {
		switch p.kind {
		case point:
			if dot >= 0 {
				return "", false
			}
			dot = i
		case digit:
			if dot >= 0 {
				decimals++
			}
			last = i
		case percent:
			scale *= 100
		case generic:
			return "", false
		}
	}
	for i, p := range section {
		if p.kind == comma && i < last && (dot < 0 || i < dot) {
			thousands = true
		} else if p.kind == comma {
			scale /= 1000
		}
		if p.kind == literal && p.text == "/" && i > 0 && i < last && section[i-1].kind == digit {
			return "", false // a fraction
		}
	}
	if v*scale >= 1e15 {
		return "", false
	}
	whole, fraction := rounded(v*scale, decimals)
	if strings.Trim(whole+fraction, "0") == "" {
		sign = ""
	}
	end := len(section)
	if dot >= 0 {
		end = dot
	}
	whole = wholePlaces(section[:end], strings.TrimLeft(whole, "0"), thousands)
	return sign + whole + fractionPlaces(section[end:], fraction), true
}

// rounded writes a number with so many decimals, half of the last one rounded up as Excel does.
func rounded(v float64, decimals int) (whole, fraction string) {
	if units := decimal(decimal(v) * math.Pow10(decimals)); units < 1e15 {
		v = math.Floor(units+0.5) / math.Pow10(decimals)
	}
	whole, fraction, _ = strings.Cut(strconv.FormatFloat(v, 'f', decimals, 64), ".")
	return whole, fraction
}

// decimal rounds to the 15 digits that Excel has.
func decimal(v float64) float64 {
	f, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 15, 64), 64)
	if err != nil {
		return v
	}
	return f
}

// wholePlaces fills the places before the point from the right.
func wholePlaces(section []piece, digits string, thousands bool) string {
	places := 0
	for _, p := range section {
		if p.kind == digit {
			places++
		}
	}
	var out []string // from the right
	written := 0
	put := func(d string) {
		if thousands && written > 0 && written%3 == 0 {
			d += ","
		}
		out = append(out, d)
		written++
	}
	for i := len(section) - 1; i >= 0; i-- {
		p := section[i]
		switch {
		case p.kind == digit:
			places--
			if n := len(digits); n > 0 {
				put(digits[n-1:])
				digits = digits[:n-1]
			} else if p.text == "0" {
				put("0")
			}
			for n := len(digits); places == 0 && n > 0; n-- {
				put(digits[n-1 : n])
			}
		case p.kind != comma:
			out = append(out, p.text)
		}
	}
	var b strings.Builder
	for i := len(out) - 1; i >= 0; i-- {
		b.WriteString(out[i])
	}
	return b.String()
}

// fractionPlaces fills the places after the point. Zeros at the end are shown where a place asks for them.
func fractionPlaces(section []piece, digits string) string {
	needed := 0
	n := 0
	for _, p := range section {
		if p.kind == digit {
			n++
			if p.text == "0" || strings.Trim(digits[min(n-1, len(digits)):], "0") != "" {
				needed = n
			}
		}
	}
	var b strings.Builder
	n = 0
	for _, p := range section {
		switch p.kind {
		case digit:
			if n < needed && n < len(digits) {
				b.WriteByte(digits[n])
			}
			n++
		case comma:
		case point:
			if needed > 0 {
				b.WriteByte('.')
			}
		default:
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// showTime writes a date, a time, or how much time has passed.
func showTime(section []piece, v float64, from epoch) string {
	t := from.time(v)
	half, fraction := false, false
	for i, p := range section {
		half = half || p.kind == halfDay
		fraction = fraction || p.kind == point && i+1 < len(section) && section[i+1].kind == digit
	}
	if !fraction {
		t = t.Round(time.Second)
	}
	var b strings.Builder
	for i, p := range section {
		switch p.kind {
		case dateTime:
			if p.text[0] == 'm' && len(p.text) <= 2 && isMinute(section, i) {
				p.text = "nn"[:len(p.text)]
			}
			b.WriteString(timePart(p.text, t, half))
		case elapsed:
			unit := map[byte]float64{'h': 24, 'm': 24 * 60, 's': 24 * 60 * 60}[p.text[0]]
			b.WriteString(pad(int(math.Floor(v*unit+1e-6)), len(p.text)))
		case halfDay:
			b.WriteString(halfOf(t, p.text))
		case digit: // of a second's fraction
			if i > 0 && section[i-1].kind == point {
				n := 1
				for i+n < len(section) && section[i+n].kind == digit {
					n++
				}
				b.WriteString(t.Format(".000")[1 : 1+min(n, 3)])
			}
		default:
			b.WriteString(p.text)
		}
	}
	return b.String()
}

func halfOf(t time.Time, as string) string {
	s := "AM"
	if t.Hour() >= 12 {
		s = "PM"
	}
	return s[:min(len(s), len(as)/2)]
}

// isMinute reports whether an m is a minute's: after hours or before seconds.
func isMinute(section []piece, i int) bool {
	isTime := func(p piece, unit string) bool {
		return (p.kind == dateTime || p.kind == elapsed) && strings.HasPrefix(p.text, unit)
	}
	for j := i - 1; j >= 0; j-- {
		if section[j].kind == dateTime || section[j].kind == elapsed {
			if isTime(section[j], "h") {
				return true
			}
			break
		}
	}
	for j := i + 1; j < len(section); j++ {
		if section[j].kind == dateTime || section[j].kind == elapsed {
			return isTime(section[j], "s")
		}
	}
	return false
}

// timePart writes a part of a date or time; n is a minute.
func timePart(code string, t time.Time, half bool) string {
	n := len(code)
	switch code[0] {
	case 'y':
		if n <= 2 {
			return t.Format("06")
		}
		return t.Format("2006")
	case 'm':
		switch n {
		case 1, 2:
			return pad(int(t.Month()), n)
		case 3:
			return t.Format("Jan")
		case 5:
			return t.Format("Jan")[:1]
		}
		return t.Format("January")
	case 'd':
		switch n {
		case 1, 2:
			return pad(t.Day(), n)
		case 3:
			return t.Format("Mon")
		}
		return t.Format("Monday")
	case 'h':
		h := t.Hour()
		if half {
			h = (h+11)%12 + 1
		}
		return pad(h, n)
	case 'n':
		return pad(t.Minute(), n)
	}
	return pad(t.Second(), n)
}

func pad(n, width int) string {
	s := strconv.Itoa(n)
	for len(s) < min(width, 2) {
		s = "0" + s
	}
	return s
}
