package pack

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"chainmail/handlers/capture"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestTheFormatIsFourFiles(t *testing.T) {
	t.Parallel()
	want := []string{"_format/1/FORMAT.md", "_format/1/items.schema.json", "_format/1/manifest.schema.json", "_format/1/seal.schema.json"}
	if got := slices.Sorted(maps.Keys(FormatFiles())); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

func specification() string { return string(FormatFiles()["_format/1/FORMAT.md"]) }

// chapter is the specification from a heading to the next of its rank.
func chapter(t *testing.T, heading string) string {
	t.Helper()
	_, text, ok := strings.Cut(specification(), "\n"+heading)
	if !ok {
		t.Fatalf("the specification has no chapter %q", heading)
	}
	rank, _, _ := strings.Cut(heading, " ")
	text, _, _ = strings.Cut(text, "\n"+rank+" ")
	return text
}

func TestTheSpecificationHasEveryColumnInItsOrder(t *testing.T) {
	t.Parallel()
	var got []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \| [^|]+ \| [^|]+ \|$`).FindAllStringSubmatch(chapter(t, "## 3. Load file"), -1) {
		got = append(got, row[1])
	}
	want := slices.Concat([]string{"Sign", "column separator", "quote", "line break within a value", "between several values", "Column"}, Columns())
	if !slices.Equal(got, want) {
		t.Errorf("columns\n%q, want\n%q", got, want)
	}
}

// rows are the words in the first column of a chapter's tables.
func rows(text string) map[string]bool {
	named := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?) \\|").FindAllStringSubmatch(text, -1) {
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			named[name[1]] = true
		}
	}
	return named
}

func wantNames(t *testing.T, what string, got map[string]bool, want []string) {
	t.Helper()
	slices.Sort(want)
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
		t.Errorf("%s: the specification names %q, the code %q", what, names, want)
	}
}

// fieldsOf are the JSON names of a struct's fields.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		fields[name] = t.Field(i).Type
	}
	return fields
}

func names(t reflect.Type, prefix string) []string {
	var all []string
	for name := range fieldsOf(t) {
		all = append(all, prefix+name)
	}
	return all
}

func TestTheSpecificationHasEveryField(t *testing.T) {
	t.Parallel()
	wantNames(t, "items", rows(chapter(t, "## 4. ")), names(reflect.TypeFor[ItemRow](), ""))
	wantNames(t, "exceptions", rows(chapter(t, "## 5. ")), exceptionHeader())
	wantNames(t, "deletions", rows(chapter(t, "## 9. ")), names(reflect.TypeFor[DeletionRow](), ""))
	wantNames(t, "seal", rows(chapter(t, "### `seal.json`")), slices.Concat(names(reflect.TypeFor[Seal](), ""),
		names(reflect.TypeFor[Package](), "package."), names(reflect.TypeFor[SealCustodian](), "custodians[].")))
	manifest := chapter(t, "### `manifest.json`")
	wantNames(t, "manifest", rows(manifest), names(reflect.TypeFor[Manifest](), ""))
	for _, inner := range []reflect.Type{reflect.TypeFor[App](), reflect.TypeFor[StatusAt](), reflect.TypeFor[Totals](),
		reflect.TypeFor[FileSum](), reflect.TypeFor[Closed](), reflect.TypeFor[Coverage]()} {
		for _, name := range names(inner, "") {
			if !strings.Contains(manifest, "`"+name+"`") {
				t.Errorf("manifest: the specification does not name %s of %s", name, inner.Name())
			}
		}
	}
}

func TestTheSpecificationHasEveryState(t *testing.T) {
	t.Parallel()
	states := rows(chapter(t, "## 7. "))
	for _, s := range []string{
		string(capture.Active), string(capture.Deleted), string(capture.Recoverable), string(capture.Purged),
		string(capture.Waiting), string(capture.Collecting), string(capture.Collected), string(capture.Failed), string(capture.Excluded),
		string(capture.Created), string(capture.Retrieving), string(capture.PendingRetry), string(capture.Completed),
		string(capture.CompletedWithDocumentLevelErrors), string(capture.CompletedWithErrors), string(capture.Abandoned),
	} {
		if !states[s] {
			t.Errorf("the specification does not have state %s", s)
		}
		delete(states, s)
	}
	if len(states) > 0 {
		t.Errorf("the specification has states that are none: %v", states)
	}
	for _, s := range []string{capture.ReasonNotFound, capture.ReasonNoMailbox, capture.ReasonDenied, capture.ReasonGuest,
		capture.ReasonDuplicate, string(capture.Email), string(capture.Event), string(capture.Attachment), SealFormat, ManifestFormat} {
		if !strings.Contains(specification(), "`"+s+"`") {
			t.Errorf("the specification does not name %s", s)
		}
	}
}

func schema(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(FormatFiles()["_format/1/"+name]))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource("https://example.org/"+name, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("https://example.org/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A described file is one that a schema describes: an encoded sample, and the type it was encoded from.
type described struct {
	schema string
	data   []byte
	of     reflect.Type
}

func describedFiles(t *testing.T) []described {
	t.Helper()
	p := newPacker(t)
	built := p.pack(everything(p), p.family("one"))
	var all []described
	for _, row := range built.rows {
		data, err := EncodeItems([]ItemRow{row})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, described{"items.schema.json", data, reflect.TypeFor[ItemRow]()})
	}
	seal, without := sampleSeal(), Seal{Source: "s", Batch: partOne().Batch, Part: 1}
	seal.Package = &built.pkg
	manifest := sampleManifest()
	first := LinkManifest(manifest, 1, "")
	first.RetryOf, first.LookedAtUntil, first.Closed = "", Manifest{}.LookedAtUntil, nil
	for _, f := range []struct {
		schema string
		file   interface{ Encode() ([]byte, error) }
		of     reflect.Type
	}{
		{"seal.schema.json", seal, reflect.TypeFor[Seal]()}, {"seal.schema.json", without, reflect.TypeFor[Seal]()},
		{"manifest.schema.json", manifest, reflect.TypeFor[Manifest]()}, {"manifest.schema.json", first, reflect.TypeFor[Manifest]()},
	} {
		data, err := f.file.Encode()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, described{f.schema, data, f.of})
	}
	return all
}

func TestTheSchemasTakeWhatIsWritten(t *testing.T) {
	t.Parallel()
	for _, d := range describedFiles(t) {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(d.data))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema(t, d.schema).Validate(v); err != nil {
			t.Errorf("%s refuses\n%s%v", d.schema, d.data, err)
		}
	}
}

// objects calls f for every object within a JSON value.
func objects(v any, f func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		f(v)
		for _, inner := range v {
			objects(inner, f)
		}
	case []any:
		for _, inner := range v {
			objects(inner, f)
		}
	}
}

// mayLack are the fields that are left out where they have no value.
func mayLack(name string, of reflect.Type) bool {
	for i := range of.NumField() {
		key, options, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		if key == name && strings.HasPrefix(options, "omit") {
			return true
		}
	}
	return false
}

func TestTheSchemasRefuseUnknownAndMissingFields(t *testing.T) {
	t.Parallel()
	for _, d := range describedFiles(t) {
		s := schema(t, d.schema)
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(d.data))
		if err != nil {
			t.Fatal(err)
		}
		objects(v, func(o map[string]any) {
			o["unknown"] = "x"
			if s.Validate(v) == nil {
				t.Errorf("%s takes an unknown field in %v", d.schema, o)
			}
			delete(o, "unknown")
			for _, name := range slices.Collect(maps.Keys(o)) {
				value := o[name]
				delete(o, name)
				if err := s.Validate(v); (err == nil) != mayLack(name, d.of) {
					t.Errorf("%s without %s: %v", d.schema, name, err)
				}
				o[name] = value
			}
		})
		if err := s.Validate(v); err != nil {
			t.Errorf("%s refuses the file it took: %v", d.schema, err)
		}
	}
}

func TestTheSchemasHaveNoFieldThatIsNotWritten(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]reflect.Type{
		"items.schema.json": reflect.TypeFor[ItemRow](), "seal.schema.json": reflect.TypeFor[Seal](), "manifest.schema.json": reflect.TypeFor[Manifest](),
	} {
		var doc map[string]any
		if err := json.Unmarshal(FormatFiles()["_format/1/"+name], &doc); err != nil {
			t.Fatal(err)
		}
		compareFields(t, name, doc, of)
	}
}

// compareFields holds a schema's properties against a struct's, and those of what they hold likewise.
func compareFields(t *testing.T, what string, schema map[string]any, of reflect.Type) {
	t.Helper()
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if items, ok := schema["items"].(map[string]any); ok {
		schema = items
	}
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return
	}
	fields := fieldsOf(of)
	if got, want := slices.Sorted(maps.Keys(properties)), slices.Sorted(maps.Keys(fields)); !slices.Equal(got, want) {
		t.Errorf("%s has %q, the code %q", what, got, want)
		return
	}
	for name, inner := range properties {
		compareFields(t, what+"/"+name, inner.(map[string]any), fields[name])
	}
}
