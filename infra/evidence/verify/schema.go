package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"chainmail/handlers/pack"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// schemas are those of the format, as this program ships them: the copies that lie in evidence are evidence.
type schemas struct{ manifest, seal, item *jsonschema.Schema }

var compiled = sync.OnceValue(func() schemas {
	return schemas{compileSchema("manifest"), compileSchema("seal"), compileSchema("items")}
})

func compileSchema(name string) *jsonschema.Schema {
	file := "_format/1/" + name + ".schema.json"
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(pack.FormatFiles()[file]))
	if err == nil {
		err = compiler.AddResource("chainmail:"+file, doc)
	}
	if err == nil {
		var s *jsonschema.Schema
		if s, err = compiler.Compile("chainmail:" + file); err == nil {
			return s
		}
	}
	panic("verify: internal error: the schemas are part of the program: " + err.Error())
}

// faults says where a JSON value departs from its schema. It names fields and quotes no value.
func faults(s *jsonschema.Schema, data []byte) []string {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return []string{"is not one JSON value"}
	}
	var invalid *jsonschema.ValidationError
	if errors.As(s.Validate(v), &invalid) {
		return leaves(invalid)
	}
	return nil
}

func leaves(e *jsonschema.ValidationError) []string {
	var all []string
	for _, cause := range e.Causes {
		all = append(all, leaves(cause)...)
	}
	if len(all) > 0 {
		return all
	}
	at := ""
	for _, step := range e.InstanceLocation {
		at += "/" + word(step)
	}
	at = strings.TrimPrefix(at, "/")
	if at != "" {
		at += ": "
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		return []string{at + "lacks the field " + words(k.Missing)}
	case *kind.AdditionalProperties:
		return []string{at + "has the unknown field " + words(k.Properties)}
	case *kind.Type:
		return []string{at + fmt.Sprintf("is of type %s, not %s", k.Got, strings.Join(k.Want, " or "))}
	}
	return []string{at + "has a value that the format does not have"}
}

var plainWord = regexp.MustCompile(`^[0-9A-Za-z._-]{1,80}$`)

// word gives a name as it is, if it is a plain one: what was altered may be anything.
func word(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "(unreadable)"
}

func words(list []string) string {
	plain := make([]string, len(list))
	for i, s := range list {
		plain[i] = word(s)
	}
	return strings.Join(plain, ", ")
}

// structured checks a seal or manifest against its format's version and schema, and reports whether it is worth reading on.
func (c *check) structured(file string, data []byte, format string, s *jsonschema.Schema) bool {
	var head struct {
		Format string `json:"format"`
	}
	if json.Unmarshal(data, &head) != nil {
		c.found.add(file, "is not the JSON that the format has")
		return false
	}
	if head.Format != format {
		name := "(unreadable)"
		if regexp.MustCompile(`^[a-z/]{1,40}/\d{1,6}$`).MatchString(head.Format) {
			name = head.Format
		}
		c.found.add(file, "its format is %s, and this program reads %s: nothing that it says was checked", name, format)
		return false
	}
	for _, fault := range faults(s, data) {
		c.found.add(file, "%s", fault)
	}
	return true
}
