package console

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"
)

type openAPISchema struct {
	Properties map[string]any
	Required   []string
}

// openAPIFile is what the tests read of the document.
type openAPIFile struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Name, In string
		}
	}
	Components struct{ Schemas map[string]openAPISchema }
}

func TestTheDocumentTellsOfEveryRouteAndOfNoOther(t *testing.T) {
	t.Parallel()
	document := into[openAPIFile](t, string(openAPIDocument))
	told := map[string]string{}
	for path, methods := range document.Paths {
		for method, operation := range methods {
			var query []string
			for _, p := range operation.Parameters {
				if p.In == "query" {
					query = append(query, p.Name)
				}
			}
			told[strings.ToUpper(method)+" "+path] = strings.Join(query, " ")
		}
	}
	answered := map[string]string{}
	for _, r := range routes() {
		answered[r.method+" /"+strings.ReplaceAll(r.path, "...}", "}")] = r.query
	}
	if !maps.Equal(told, answered) {
		t.Errorf("the document tells of\n%v\nthe routes are\n%v", told, answered)
	}
}

func TestTheDocumentsSchemasAreTheAnswers(t *testing.T) {
	t.Parallel()
	schemas := into[openAPIFile](t, string(openAPIDocument)).Components.Schemas
	for name, value := range map[string]any{
		"Source": sourceView{}, "DetailedSource": detailedSource{}, "Forecast": forecast{}, "Config": configView{},
		"SourcesAnswer": sourcesAnswer{}, "Changed": changedSource{}, "Custodian": custodianView{}, "Interval": ledger.Interval{},
		"Batch": batchView{}, "DetailedBatch": detailedBatch{}, "Stage": ledger.Stage{}, "Chunk": chunkView{},
		"Exception": exceptionView{}, "Gap": gapView{}, "Problem": problem{}, "Fault": settings.Fault{}, "Wish": wish{},
	} {
		want := map[string]bool{}
		jsonFields(reflect.TypeOf(value), want)
		got := map[string]bool{}
		for field := range schemas[name].Properties {
			got[field] = slices.Contains(schemas[name].Required, field)
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: the document has %v, the answer %v", name, got, want)
		}
	}
}

// jsonFields gives a struct's fields in JSON, and whether each is always there.
func jsonFields(of reflect.Type, fields map[string]bool) {
	for i := range of.NumField() {
		f := of.Field(i)
		if f.Anonymous {
			jsonFields(f.Type, fields)
			continue
		}
		if name, options, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			fields[name] = !strings.HasPrefix(options, "omit")
		}
	}
}

func TestTheDocumentIsServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if !json.Valid(openAPIDocument) || w.get("/api/openapi.json") != string(openAPIDocument) {
		t.Error("the document is not what is served")
	}
}
