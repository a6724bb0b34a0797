package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"chainmail/handlers/settings"
)

// A place is a test, by its name and the folder of its package.
type place struct{ folder, test string }

// settingsShownElsewhere are the settings whose effect takes hours, a failure or a sign-in, and the tests that show it.
var settingsShownElsewhere = map[string]place{
	"domain":                            {"handlers", "TestEveryKindOfCredentialSignsIn"},
	"applicationId":                     {"handlers", "TestEveryKindOfCredentialSignsIn"},
	"cloud":                             {"handlers/graph", "TestEveryKindSignsInAtEveryCloudAndNowhereElse"},
	"credential.kind":                   {"handlers/graph", "TestEveryKindSignsInAtEveryCloudAndNowhereElse"},
	"credential.setting":                {"handlers/settings", "TestSecretsAreFoundAmongTheAppSettings"},
	"credential.clientId":               {"handlers", "TestEveryKindOfCredentialSignsIn"},
	"collectionPeriodOffsetInMinutes":   {"handlers/plan", "TestDueCutsTimeIntoBatches"},
	"settleInMinutes":                   {"handlers/plan", "TestDueCutsTimeIntoBatches"},
	"collectJobTimeoutInMinutes":        {"handlers/collect", "TestAChunkOutOfTimeIsClosedWithWhatItHas"},
	"retryPolicyInMinutes":              {"infra/local", "TestAMailboxThatFailsIsSeenInTheStatusesOfItsBatches"},
	"splitFailedBatches":                {"infra/local", "TestAMailboxThatFailsIsSeenInTheStatusesOfItsBatches"},
	"healthCheckFailureWindowInMinutes": {"handlers/plan", "TestASourceInTroubleWaitsAndIsDisabledInTheEnd"},
	"lastErrorRetentionInHours":         {"handlers/ledger", "TestASourceIsDisabledEnabledAndReset"},
	"deletedItemRetentionInDays":        {"handlers/ledger", "TestWhatExchangeSoonDeletesIsSaidOnce"},
}

func TestEverySettingIsShownOnce(t *testing.T) {
	t.Parallel()
	for name := range schemaSettings(t) {
		at, elsewhere := settingsShownElsewhere[name]
		if _, here := shownSettings[name]; here == elsewhere {
			t.Errorf("%s: no test shows its effect, or two are named", name)
		}
		if elsewhere && !hasTest(t, at) {
			t.Errorf("%s: in %s there is no %s", name, at.folder, at.test)
		}
	}
	known := slices.Concat(slices.Collect(maps.Keys(shownSettings)), slices.Collect(maps.Keys(settingsShownElsewhere)))
	for _, name := range known {
		if _, ok := schemaSettings(t)[name]; !ok {
			t.Errorf("%s is no setting", name)
		}
	}
}

// hasTest reports whether a package has a test of that name.
func hasTest(t *testing.T, at place) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(at.folder), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(data), "\nfunc "+at.test+"(t *testing.T)")
	})
}

// A schemaSetting is what the schema says of a setting.
type schemaSetting struct {
	required bool
	value    any // by default
	defaults bool
}

// schemaSettings are all settings of a source, those of its objects by their paths.
func schemaSettings(t *testing.T) map[string]schemaSetting {
	t.Helper()
	type object struct {
		Required   []string
		Properties map[string]map[string]any
	}
	var schema struct {
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(settings.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	all := map[string]schemaSetting{}
	var walk func(o object, path string)
	walk = func(o object, path string) {
		for name, property := range o.Properties {
			ref, _ := property["$ref"].(string)
			if below, ok := schema.Defs[strings.TrimPrefix(ref, "#/$defs/")]; ok && len(below.Properties) > 0 {
				walk(below, path+name+".")
				continue
			}
			s := schemaSetting{required: slices.Contains(o.Required, name)}
			s.value, s.defaults = property["default"]
			all[path+name] = s
		}
	}
	walk(schema.Defs["source"], "")
	if len(all) < 30 {
		t.Fatalf("the schema has %d settings", len(all))
	}
	return all
}

// A tableRow is a row of the settings' table in README.md.
type tableRow struct{ setting, value, sample, does, seen string }

var tableRows = regexp.MustCompile("(?m)^\\| `([A-Za-z.]+)` \\| ([^|]+) \\| ([^|]+) \\| ([^|]+) \\| ([^|]+) \\|$")

// settingsTable reads the table.
func settingsTable(t *testing.T) (rows []tableRow) {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## Settings\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range tableRows.FindAllStringSubmatch(section, -1) {
		rows = append(rows, tableRow{m[1], m[2], m[3], m[4], m[5]})
	}
	return rows
}

func TestTheTableOfSettingsIsThatOfTheSchema(t *testing.T) {
	t.Parallel()
	all := schemaSettings(t)
	seen := map[string]bool{}
	for _, r := range settingsTable(t) {
		s, ok := all[r.setting]
		if !ok || seen[r.setting] {
			t.Errorf("%s: a row without a setting, or a second one", r.setting)
		}
		seen[r.setting] = true
		want := "–"
		switch {
		case s.defaults:
			want = "`" + asWritten(t, s.value) + "`"
		case s.required:
			want = "required"
		}
		if r.value != want {
			t.Errorf("%s: by default %s, want %s", r.setting, r.value, want)
		}
	}
	for name := range all {
		if !seen[name] {
			t.Errorf("%s: no row", name)
		}
	}
}

func TestTheTableOfSettingsHasTheValuesOfTheSample(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(everySetting)
	if err != nil {
		t.Fatal(err)
	}
	sources := sourcesOf(t, data)
	all := schemaSettings(t)
	cell := regexp.MustCompile("^`(.+)` \\(([a-z-]+)\\)$")
	for _, r := range settingsTable(t) {
		if r.sample == "–" { // beside credentials of kind none, these alone cannot be given
			if r.setting != "credential.setting" && r.setting != "credential.clientId" {
				t.Errorf("%s: no value in the sample", r.setting)
			}
			continue
		}
		m := cell.FindStringSubmatch(r.sample)
		if m == nil {
			t.Errorf("%s: %s is not a value and its source", r.setting, r.sample)
			continue
		}
		value, ok := valueAt(sources[m[2]], r.setting)
		if !ok || asWritten(t, value) != m[1] {
			t.Errorf("%s: the source %s has %v, not %s", r.setting, m[2], value, m[1])
		}
		if s := all[r.setting]; s.defaults && asWritten(t, s.value) == m[1] {
			t.Errorf("%s: %s is the default", r.setting, m[1])
		}
	}
}

// valueAt finds a value by its path.
func valueAt(source map[string]any, path string) (any, bool) {
	name, below, deeper := strings.Cut(path, ".")
	value, ok := source[name]
	if !deeper {
		return value, ok
	}
	object, _ := value.(map[string]any)
	return valueAt(object, below)
}

// asWritten is a value as a reader writes it: a string as it is, everything else as JSON.
func asWritten(t *testing.T, value any) string {
	t.Helper()
	if s, ok := value.(string); ok {
		return s
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), ",", ", ")
}
