package settings

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

const schemaURL = "urn:chainmail:sources:1"

// A rulebook is the compiled schema.
type rulebook struct {
	root  *jsonschema.Schema
	nodes map[string]*jsonschema.Schema // by their location in the schema
}

// rules compiles the schema once. That it compiles is held by the tests.
var rules = sync.OnceValue(func() *rulebook {
	text, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaText))
	if err != nil {
		panic(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	// The schema finds exactly those instants good that are read as such later.
	c.RegisterFormat(&jsonschema.Format{Name: "date-time", Validate: validInstant})
	if err := c.AddResource(schemaURL, text); err != nil {
		panic(err)
	}
	b := &rulebook{root: c.MustCompile(schemaURL), nodes: map[string]*jsonschema.Schema{}}
	b.index(b.root)
	return b
})

func validInstant(v any) error {
	s, ok := v.(string)
	if !ok {
		return nil
	}
	if _, err := time.Parse(time.RFC3339, s); err != nil {
		return errors.New("not an instant")
	}
	return nil
}

func (b *rulebook) index(s *jsonschema.Schema) {
	if s == nil || b.nodes[s.Location] != nil {
		return
	}
	b.nodes[s.Location] = s
	for _, part := range slices.Concat([]*jsonschema.Schema{s.Ref, s.If, s.Then, s.Else, s.Items2020}, s.AllOf, s.AnyOf) {
		b.index(part)
	}
	for _, part := range s.Properties {
		b.index(part)
	}
}

// at is the schema's node for a location of a document, or nil.
func (b *rulebook) at(location []string) *jsonschema.Schema {
	s := b.root
	for _, name := range location {
		s = resolved(s)
		switch {
		case s.Properties[name] != nil:
			s = s.Properties[name]
		case s.Items2020 != nil:
			s = s.Items2020
		default:
			return nil
		}
	}
	return s
}

// resolved follows the reference of a node that is nothing but one.
func resolved(s *jsonschema.Schema) *jsonschema.Schema {
	for s.Ref != nil && s.Properties == nil && s.Items2020 == nil {
		s = s.Ref
	}
	return s
}

// describe is what the schema says about a location, after a colon; "" if it says nothing.
func (b *rulebook) describe(location []string) string {
	s := b.at(location)
	if s == nil {
		return ""
	}
	if s.Description == "" {
		s = resolved(s)
	}
	if s.Description == "" {
		return ""
	}
	return ": " + s.Description
}

// validate reports what of the document is not as the schema has it.
func (b *rulebook) validate(document any, r *report) {
	var failed *jsonschema.ValidationError
	if errors.As(b.root.Validate(document), &failed) {
		b.translate(failed, r)
	}
}

// translate turns a tree of failures into faults: its leaves, in plain words.
func (b *rulebook) translate(e *jsonschema.ValidationError, r *report) {
	here := e.InstanceLocation
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, key := range k.Missing {
			there := append(slices.Clone(here), key)
			r.add(there, "is missing"+b.describe(there))
		}
	case *kind.AdditionalProperties:
		for _, key := range k.Properties {
			r.add(append(slices.Clone(here), key), b.stranger(here, key))
		}
	case *kind.UniqueItems:
		second := append(slices.Clone(here), strconv.Itoa(k.Duplicates[1]))
		r.add(second, fmt.Sprintf("is the same as entry %d of the list: remove one of them", k.Duplicates[0]))
	case *kind.AnyOf: // the description says of what one is needed
		r.add(here, "is incomplete"+b.describe(here))
	case *kind.FalseSchema:
		r.add(here, "does not go with a credential of this kind: remove it")
	default:
		if len(e.Causes) > 0 {
			for _, cause := range e.Causes {
				b.translate(cause, r)
			}
			return
		}
		r.add(here, problem(k)+b.reason(e))
	}
}

// reason is the description of the rule that failed, or of what it is about.
func (b *rulebook) reason(e *jsonschema.ValidationError) string {
	if s := b.nodes[e.SchemaURL]; s != nil && s.Description != "" {
		return ": " + s.Description
	}
	return b.describe(e.InstanceLocation)
}

// problem is a failed rule in plain words. The library's own words quote the value.
func problem(failure jsonschema.ErrorKind) string {
	switch k := failure.(type) {
	case *kind.Type:
		return "must be " + typeWords(k.Want)
	case *kind.Enum:
		return "must be " + enumWords(k.Want)
	case *kind.Minimum:
		return "must be at least " + k.Want.RatString()
	case *kind.Maximum:
		return "must be at most " + k.Want.RatString()
	case *kind.MinItems:
		return "must have at least " + count(k.Want, "entry", "entries")
	case *kind.MaxItems:
		return "must have at most " + count(k.Want, "entry", "entries")
	case *kind.MinLength:
		return "must have at least " + count(k.Want, "character", "characters")
	case *kind.MaxLength:
		return "must have at most " + count(k.Want, "character", "characters")
	case *kind.Pattern:
		return "has the wrong form"
	case *kind.Format:
		return "is no instant of the calendar"
	}
	return "is not valid"
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func typeWords(types []string) string {
	var words []string
	for _, t := range types {
		switch t {
		case "string":
			t = "text in quotes"
		case "integer":
			t = "a whole number"
		case "boolean":
			t = "true or false"
		case "array":
			t = "a list in brackets"
		case "object":
			t = "an object in braces"
		}
		words = append(words, t)
	}
	return strings.Join(words, " or ")
}

func enumWords(values []any) string {
	var words []string
	for _, v := range values {
		words = append(words, fmt.Sprint(v))
	}
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// stranger is the problem of a key that the schema does not know.
func (b *rulebook) stranger(holder []string, key string) string {
	s := resolved(b.at(holder))
	for _, known := range slices.Sorted(maps.Keys(s.Properties)) {
		if similar(known, key) {
			return "is unknown: did you mean " + known + "?"
		}
	}
	return "is unknown: remove it"
}

// longestKey is the length, in bytes, from which on a key is not compared.
const longestKey = 64

// similar reports whether two keys differ in case and at most two letters.
func similar(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if len(a) > longestKey || len(b) > longestKey || min(len(a), len(b)) < 4 {
		return false
	}
	row := make([]int, len(b)+1) // Levenshtein's distances of a's beginning to those of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)] <= 2
}

// fill sets what the document leaves out to the schema's defaults.
func fill(s *jsonschema.Schema, v any) {
	s = resolved(s)
	switch v := v.(type) {
	case map[string]any:
		for key, property := range s.Properties {
			if _, given := v[key]; !given && property.Default != nil {
				v[key] = *property.Default
			}
			fill(property, v[key])
		}
	case []any:
		if s.Items2020 != nil {
			for _, item := range v {
				fill(s.Items2020, item)
			}
		}
	}
}
