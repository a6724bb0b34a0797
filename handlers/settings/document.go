package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	largestDocument = 1 << 20 // bytes of a sources.json
	deepestDocument = 32      // levels; a sources.json has 5
)

// A node is a value's place in a JSON text.
type node struct {
	at      int              // bytes before the value, or before its children; faults are put in order by it
	list    bool             // a list: children's names are indexes
	entries map[string]*node // by key or index
}

// follow walks a location as far as it exists, and calls step with every key or index and what holds it (nil from the
// first on that does not exist).
func (n *node) follow(location []string, step func(holder, child *node, name string)) {
	for _, name := range location {
		var child *node
		if n != nil {
			child = n.entries[name]
		}
		step(n, child, name)
		n = child
	}
}

// path is a location in dotted form, "sources[0].name".
func (n *node) path(location []string) string {
	var b strings.Builder
	n.follow(location, func(holder, _ *node, name string) {
		if holder != nil && holder.list {
			b.WriteString("[" + name + "]")
			return
		}
		b.WriteString(holder.member(name))
	})
	return strings.TrimPrefix(b.String(), ".")
}

var (
	plainKey = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]{0,39}$`)
	shownKey = regexp.MustCompile(`^[\pL\d_$ -]{0,40}$`)
)

// member is a key as a step of a path: ".name", or for a key that is not so plain `["a b"]`. One that is no word of ours
// gone wrong is named by its place among the keys, `[key 3]`: it may be an address or a secret.
func (n *node) member(key string) string {
	switch {
	case plainKey.MatchString(key):
		return "." + key
	case shownKey.MatchString(key) || n == nil || n.entries[key] == nil:
		return "[" + strconv.Quote(key) + "]"
	}
	number := 1
	for _, other := range n.entries {
		if other.at < n.entries[key].at {
			number++
		}
	}
	return fmt.Sprintf("[key %d]", number)
}

// offset is where the location, or as much of it as exists, stands in the text.
func (n *node) offset(location []string) int {
	at := n.at
	n.follow(location, func(_, child *node, _ string) {
		if child != nil {
			at = child.at
		}
	})
	return at
}

// readDocument reads a JSON text into maps, slices, strings, booleans and numbers: int64 where they are whole, otherwise
// float64. Keys that stand twice are noted in the report. The error is of type [Faults]: it is no JSON at all.
func readDocument(data []byte) (any, *report, error) {
	if problem := unreadable(data); problem != "" {
		return nil, nil, Faults{{Problem: problem}}
	}
	data = bytes.TrimPrefix(data, []byte(markUTF8))
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, nil, Faults{{Problem: malformed(data, err)}}
	}
	r := reader{decoder: json.NewDecoder(bytes.NewReader(data))}
	r.decoder.UseNumber()
	value, root, err := r.value()
	if err != nil {
		return nil, nil, Faults{{Problem: "the file cannot be read: " + err.Error()}}
	}
	report := &report{root: root}
	for _, d := range r.doubles {
		report.addAt(d.location, d.offset, "stands twice in the same object: keep one of them")
	}
	return value, report, nil
}

// unreadable says what keeps a file from being read as text, or "".
func unreadable(data []byte) string {
	switch {
	case len(data) > largestDocument:
		return "the file is larger than 1 MiB: take out what does not belong there, individuals go into lists of their own"
	case wide(data):
		return "the file is UTF-16: save it as UTF-8"
	case !utf8.Valid(data):
		good := 0
		for r, size := utf8.DecodeRune(data); r != utf8.RuneError || size > 1; r, size = utf8.DecodeRune(data[good:]) {
			good += size
		}
		return "the file is not UTF-8 at " + position(data, good) + ": save it as UTF-8"
	}
	return ""
}

var quotedCharacter = regexp.MustCompile(`(?s)invalid character '.+' `)

// malformed says where and why the text is no JSON, without quoting any of it.
func malformed(data []byte, err error) string {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return "the file is no JSON"
	}
	why := quotedCharacter.ReplaceAllString(syntax.Error(), "unexpected character ")
	at := max(int(syntax.Offset)-1, 0)
	if strings.HasPrefix(why, "unexpected end") {
		at = len(data)
	}
	return fmt.Sprintf("the file is no valid JSON at %s: %s", position(data, at), why)
}

// position names the place after that many bytes by line and column, both from 1, columns in characters.
func position(data []byte, offset int) string {
	before := data[:min(offset, len(data))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("line %d, column %d", line, column)
}

// A reader builds values and their places from a text that is known to be valid.
type reader struct {
	decoder  *json.Decoder
	location []string
	doubles  []double
}

// A double is a key that stood in its object before.
type double struct {
	location []string
	offset   int
}

var errTooDeep = fmt.Errorf("it is nested deeper than %d levels", deepestDocument)

func (r *reader) value() (any, *node, error) {
	token, err := r.decoder.Token()
	if err != nil {
		return nil, nil, err
	}
	n := &node{at: int(r.decoder.InputOffset())}
	if len(r.location) > deepestDocument {
		return nil, nil, errTooDeep
	}
	switch token := token.(type) {
	case json.Delim:
		n.entries = map[string]*node{}
		if n.list = token == '['; n.list {
			v, err := r.list(n)
			return v, n, err
		}
		v, err := r.object(n)
		return v, n, err
	case json.Number:
		return number(token), n, nil
	}
	return token, n, nil
}

func (r *reader) list(n *node) (any, error) {
	values := []any{}
	for r.decoder.More() {
		v, err := r.child(n, strconv.Itoa(len(values)))
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	_, err := r.decoder.Token() // the bracket
	return values, err
}

func (r *reader) object(n *node) (any, error) {
	values := map[string]any{}
	for r.decoder.More() {
		token, err := r.decoder.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string)
		if _, twice := values[key]; twice {
			location := append(slices.Clone(r.location), key)
			r.doubles = append(r.doubles, double{location, int(r.decoder.InputOffset())})
		}
		if values[key], err = r.child(n, key); err != nil {
			return nil, err
		}
	}
	_, err := r.decoder.Token() // the brace
	return values, err
}

func (r *reader) child(parent *node, name string) (any, error) {
	r.location = append(r.location, name)
	defer func() { r.location = r.location[:len(r.location)-1] }()
	v, n, err := r.value()
	parent.entries[name] = n
	return v, err
}

// number reads a number of any length. One beyond float64 becomes its largest: it is out of every range.
func number(n json.Number) any {
	f, err := n.Float64()
	if err != nil {
		f = math.Copysign(math.MaxFloat64, f)
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f)
	}
	return f
}
