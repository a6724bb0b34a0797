package verify

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"chainmail/handlers/capture"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// An Anchor is what the log says of a manifest: its place in a source's chain, and its SHA-256.
type Anchor struct {
	Source   string
	Sequence int64
	SHA256   string
}

// sealedEvent is the event of the log that anchors a manifest.
const sealedEvent = "batch sealed"

// ErrNoAnchor says that nothing that was read is an anchor.
var ErrNoAnchor = errors.New(`no event "batch sealed" in it: give the app's log, or rows of Log Analytics as JSON or CSV, ` +
	"with source, sequence and manifestSha256 as columns, or in a column such as Message, Properties or customDimensions")

// ReadAnchors reads the heads out of a log: lines that hold a JSON object each, with whatever before it; JSON as the API and the
// command line of Log Analytics give it; or CSV with a header, as its portal exports it. Other events are passed over. An event
// "batch sealed" that is not whole is an error.
func ReadAnchors(r io.Reader) ([]Anchor, error) {
	text := bufio.NewReaderSize(transform.NewReader(r, unicode.BOMOverride(unicode.UTF8.NewDecoder())), 1<<20)
	start, err := text.Peek(1 << 16)
	if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
		return nil, err
	}
	first, _, _ := bytes.Cut(bytes.TrimLeft(start, " \t\r\n"), []byte("\n"))
	var g gatherer
	switch {
	case isDocument(first):
		err = g.document(text)
	case isHeader(first):
		err = g.rows(text)
	default:
		err = g.lines(text)
	}
	if err == nil && len(g.anchors) == 0 {
		err = ErrNoAnchor
	}
	return g.anchors, err
}

// isDocument reports whether JSON begins that goes on in the next line: a list, or an object that is not whole.
func isDocument(line []byte) bool {
	line = bytes.TrimSpace(line)
	if list, ok := bytes.CutPrefix(line, []byte("[")); ok {
		list = bytes.TrimSpace(list)
		return len(list) == 0 || list[0] == '{' // and no time in brackets, with which a line of a console begins
	}
	return bytes.HasPrefix(line, []byte("{")) && !json.Valid(line)
}

// carriers are the columns in which an event stands whole.
var carriers = []string{
	"message", "logmessage", "log", "msg", "line", "rawdata", "properties", "customdimensions", "additionalproperties",
}

// isHeader reports whether a line names columns of which one may hold an anchor.
func isHeader(line []byte) bool {
	names, err := csv.NewReader(bytes.NewReader(line)).Read()
	return err == nil && !bytes.ContainsAny(line, "{}") && slices.ContainsFunc(names, func(s string) bool {
		return plainName(s) == "manifestsha256" || slices.Contains(carriers, plainName(s))
	})
}

// affix is what Log Analytics and Application Insights put around a field's name.
var affix = regexp.MustCompile(`^(.*[._])?(source|sequence|manifestsha256|msg)(_[sdgb])?$`)

func plainName(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if m := affix.FindStringSubmatch(s); m != nil {
		return m[2]
	}
	return strings.ReplaceAll(s, "_", "")
}

// A gatherer takes anchors out of values.
type gatherer struct {
	anchors []Anchor
	where   string // what is being read: "line 3"
}

// document reads JSON values that stand one behind the other.
func (g *gatherer) document(r io.Reader) error {
	d := json.NewDecoder(r)
	d.UseNumber()
	for {
		var v any
		g.where = fmt.Sprintf("the JSON before byte %d", d.InputOffset())
		switch err := d.Decode(&v); {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("it is not JSON behind byte %d", d.InputOffset())
		}
		if err := g.gather(v, 0); err != nil {
			return err
		}
	}
}

func (g *gatherer) rows(r io.Reader) error {
	c := csv.NewReader(r)
	c.FieldsPerRecord, c.LazyQuotes = -1, true
	names, err := c.Read()
	if err != nil {
		return err
	}
	for {
		values, err := c.Read()
		line, _ := c.FieldPos(0)
		switch g.where = fmt.Sprintf("line %d", line); {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("%s cannot be read as CSV", g.where)
		}
		row := map[string]any{}
		for i, v := range values[:min(len(values), len(names))] {
			row[names[i]] = v
		}
		if err := g.gather(row, 0); err != nil {
			return err
		}
	}
}

func (g *gatherer) lines(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		g.where = fmt.Sprintf("line %d", n)
		if err := g.inText(lines.Text(), 0); err != nil {
			return err
		}
	}
	return lines.Err()
}

// inText looks into a text that has JSON at its end.
func (g *gatherer) inText(s string, depth int) error {
	i := strings.Index(s, "{")
	if i < 0 || !strings.Contains(strings.ToLower(s), "manifestsha256") {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(s[i:]))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		if strings.Contains(s, `"`+sealedEvent+`"`) {
			return fmt.Errorf("%s: an event %q is cut, or no JSON", g.where, sealedEvent)
		}
		return nil
	}
	return g.gather(v, depth)
}

// maxDepth is how deep an event may lie in a value: tables, rows, a column, an object within it.
const maxDepth = 8

// gather takes the anchors out of a value, however an export wraps them up.
func (g *gatherer) gather(v any, depth int) error {
	if depth > maxDepth {
		return nil
	}
	switch v := v.(type) {
	case string:
		return g.inText(v, depth+1)
	case []any:
		for _, x := range v {
			if err := g.gather(x, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		if rows, ok := table(v); ok {
			return g.gather(rows, depth+1)
		}
		if taken, err := g.take(v); taken || err != nil {
			return err
		}
		for _, x := range v {
			if err := g.gather(x, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// table reads rows whose columns are named apart from them, as the API of Log Analytics gives them.
func table(v map[string]any) ([]any, bool) {
	columns, ok1 := v["columns"].([]any)
	rows, ok2 := v["rows"].([]any)
	if !ok1 || !ok2 {
		return nil, false
	}
	var all []any
	for _, row := range rows {
		values, _ := row.([]any)
		object := map[string]any{}
		for i, value := range values[:min(len(values), len(columns))] {
			if column, ok := columns[i].(map[string]any); ok {
				object[fmt.Sprint(column["name"])] = value
			}
		}
		all = append(all, object)
	}
	return all, true
}

// take takes an object as an event, and reports whether it is one with all that an anchor has, be it another event.
func (g *gatherer) take(v map[string]any) (bool, error) {
	fields := map[string]string{}
	for name, value := range v {
		switch value := value.(type) {
		case string:
			fields[plainName(name)] = strings.TrimSpace(value)
		case json.Number:
			fields[plainName(name)] = value.String()
		}
	}
	if fields["manifestsha256"] == "" {
		return false, nil
	}
	if event := fields["msg"]; event != "" && event != sealedEvent {
		return true, nil
	}
	a := Anchor{Source: fields["source"], SHA256: strings.ToLower(fields["manifestsha256"])}
	n, err := strconv.ParseFloat(fields["sequence"], 64) // an export may write 7.0
	if a.Sequence = int64(n); err != nil || a.Sequence < 1 || float64(a.Sequence) != n ||
		!capture.ValidSourceName(a.Source) || !sha256Form.MatchString(a.SHA256) {
		return true, fmt.Errorf("%s: an event %q without a source, a sequence from 1 on, and a manifestSha256 of 64 hexadecimal digits",
			g.where, sealedEvent)
	}
	g.anchors = append(g.anchors, a)
	return true, nil
}

var sha256Form = regexp.MustCompile(`^[0-9a-f]{64}$`)

// anchored holds every manifest against the log's anchors.
func (c *check) anchored(sources []*source, r *Report) {
	for _, a := range c.options.Anchors {
		i := slices.IndexFunc(sources, func(s *source) bool { return s.name == a.Source })
		about := fmt.Sprintf("-anchors %s sequence %d", a.Source, a.Sequence)
		if i < 0 {
			c.found.add(about, "there is nothing of this source: it was removed, or lies elsewhere")
			continue
		}
		s := &r.Sources[i]
		switch with := sources[i].sequence(a.Sequence); {
		case len(with) == 0:
			c.found.add(about, "no manifest has it, and the chain ends at %d: it was removed, altered, or copied before it was there",
				s.Last)
		case !slices.ContainsFunc(with, func(b *batch) bool { return b.sum == a.SHA256 }):
			c.found.add(with[0].file(), "its SHA-256 is not the one that the log has for %s sequence %d: it was altered or replaced",
				a.Source, a.Sequence)
		default:
			s.met(a)
		}
	}
}

// sequence are the batches whose manifests have a place in the chain: one, unless it forks.
func (s *source) sequence(n int64) []*batch {
	if s.bySequence == nil {
		s.bySequence = map[int64][]*batch{}
		for _, b := range s.batches {
			if b.manifest != nil {
				s.bySequence[b.manifest.Sequence] = append(s.bySequence[b.manifest.Sequence], b)
			}
		}
	}
	return s.bySequence[n]
}

// met notes an anchor that holds; the log may have it twice.
func (s *Source) met(a Anchor) {
	if s.anchors == nil {
		s.anchors = map[int64]bool{}
	}
	s.anchors[a.Sequence] = true
	s.Anchors, s.AnchoredTo = len(s.anchors), max(s.AnchoredTo, a.Sequence)
	s.Witnessed = s.Witnessed || a.Sequence == s.Last
}
