package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/graph/graphtest"
)

const sample = "../../infra/local/sample/sources.json"

// shortest is a source with what is required and no more.
const shortest = `{"name": "a", "domain": "contoso.onmicrosoft.com", "applicationId": "6f1c1b52-3a0e-4a57-9d4c-5b7f0c2e8a11",
	"credential": {"kind": "secret", "setting": "A_SECRET"}, "collect": ["email"], "individuals": {"file": "a.csv"},
	"controlNumberPrefix": "A"}`

// one is a file with the shortest source, changed by a JSON object of keys; null removes a key.
func one(t testing.TB, change string) []byte {
	t.Helper()
	source, changes := map[string]any{}, map[string]any{}
	for text, into := range map[string]*map[string]any{shortest: &source, change: &changes} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	for key, v := range changes {
		source[key] = v
		if v == nil {
			delete(source, key)
		}
	}
	text, err := json.Marshal(map[string]any{"sources": []any{source}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// good parses a file that has no faults and one source.
func good(t testing.TB, text []byte) Source {
	t.Helper()
	sources, err := ParseSources(text, nil)
	if err != nil {
		t.Fatalf("%v\nin %s", err, text)
	}
	if len(sources) != 1 {
		t.Fatalf("%d sources, want one", len(sources))
	}
	return sources[0]
}

func TestTheSampleIsGood(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	got := good(t, text)
	want := Source{
		Name: "o365-mail", Enabled: true, Domain: "contoso.onmicrosoft.com", ApplicationID: "6f1c1b52-3a0e-4a57-9d4c-5b7f0c2e8a11",
		Cloud: "public", GraphEndpoint: "http://127.0.0.1:8085/v1.0", Credential: Credential{Kind: "none"}, CollectEmail: true, CollectCalendar: true,
		Individuals: Individuals{File: "individuals/o365-mail.csv", Groups: []string{}}, StartDate: day(2), EndDate: day(5),
		Frequency: time.Hour, Settle: 10 * time.Minute, JobTimeout: 24 * time.Hour, HealthWindow: 24 * time.Hour, ErrorRetention: 24 * time.Hour,
		Merge: true, MaxMerge: 24, IndividualsPerJob: 100, QuickDiscovery: true,
		RetryPolicy:        []time.Duration{10 * time.Minute, 30 * time.Minute, time.Hour},
		SplitFailedBatches: true, EmbeddedFiles: "DoNotImport", ExtractAttachments: true, DeletedItemRetention: 14 * 24 * time.Hour,
		Container: "evidence", ControlNumberPrefix: "O365",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestWhatIsLeftOutHasTheDefaultsOfTheSchema(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	// The sample writes every default out.
	want, got := good(t, text), good(t, one(t, `{"name": "o365-mail", "controlNumberPrefix": "O365", "credential": {"kind": "none"}, "collect": ["email", "calendar"],
		"graphEndpoint": "http://127.0.0.1:8085/v1.0", "individuals": {"file": "individuals/o365-mail.csv"},
		"startDate": "2026-03-02T00:00:00Z", "endDate": "2026-03-05T00:00:00Z"}`))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestTheSchemasDefaultsAreGoodBySchema(t *testing.T) {
	t.Parallel()
	for location, s := range rules().nodes {
		if s.Default == nil {
			continue
		}
		if err := s.Validate(*s.Default); err != nil {
			t.Errorf("%s: %v", location, err)
		}
	}
}

func TestTheSchemaDescribesEveryProperty(t *testing.T) {
	t.Parallel()
	properties := 0
	for location, s := range rules().nodes {
		if strings.Contains(location, "/then") || strings.Contains(location, "/if") || strings.Contains(location, "/anyOf") {
			continue // rules about properties that are described elsewhere
		}
		for name, property := range s.Properties {
			properties++
			if len(resolved(property).Description)+len(property.Description) < 10 {
				t.Errorf("%s: property %s is not described", location, name)
			}
		}
		if s.Items2020 != nil && len(resolved(s.Items2020).Description)+len(s.Items2020.Description) < 10 {
			t.Errorf("%s: the items are not described", location)
		}
	}
	if properties < 40 {
		t.Errorf("%d properties found, want those of the whole schema", properties)
	}
	if !bytes.Equal(Schema(), schemaText) || !json.Valid(Schema()) {
		t.Error("Schema() is not the shipped schema")
	}
}

// others has a good value other than the default or the shortest source's for every property of a source.
func others() map[string]string {
	return map[string]string{
		"name": `"b"`, "enabled": `false`, "domain": `"example.org"`, "applicationId": `"11111111-3a0e-4a57-9d4c-5b7f0c2e8a11"`,
		"cloud": `"china"`, "graphEndpoint": `"https://localhost:1/v1.0"`,
		"credential": `{"kind": "certificate", "setting": "A_SECRET"}`, "collect": `["calendar"]`,
		"individuals": `{"groups": ["11111111-3a0e-4a57-9d4c-5b7f0c2e8a11"]}`,
		"startDate":   `"2026-03-02T01:00:00+01:00"`, "endDate": `"2026-03-05T00:00:00Z"`, "frequencyInMinutes": `61`,
		"mergeBatchesDuringColdStart": `false`, "maxBatchesToMerge": `1`, "collectionPeriodOffsetInMinutes": `5`, "settleInMinutes": `0`,
		"monitoredIndividualsPerJob": `7`, "useQuickDiscovery": `false`, "collectDraftItems": `true`, "collectJobTimeoutInMinutes": `60`,
		"retryPolicyInMinutes": `[]`, "splitFailedBatches": `false`, "healthCheckFailureWindowInMinutes": `0`,
		"lastErrorRetentionInHours": `1`, "discoverMonitoredIndividuals": `true`, "includeIndividualsNotLinked": `true`,
		"discoveryIgnoresCase": `true`, "embeddedFileBehavior": `"Import"`, "extractAttachments": `false`, "deletedItemRetentionInDays": `30`,
		"container": `"other"`, "controlNumberPrefix": `"B2"`,
	}
}

func TestEveryPropertyReachesTheSource(t *testing.T) {
	t.Parallel()
	nothing := good(t, one(t, `{}`))
	values := others()
	changed := map[string]string{} // field, by what
	for key := range resolved(rules().at([]string{"sources", "0"})).Properties {
		value, ok := values[key]
		if !ok {
			t.Errorf("property %s is not tried", key)
			continue
		}
		got := good(t, one(t, `{"`+key+`": `+value+`}`))
		before, after := reflect.ValueOf(nothing), reflect.ValueOf(got)
		fields := 0
		for i := range before.NumField() {
			if reflect.DeepEqual(before.Field(i).Interface(), after.Field(i).Interface()) {
				continue
			}
			fields++
			name := before.Type().Field(i).Name
			if by, twice := changed[name]; twice {
				t.Errorf("%s and %s both change %s", by, key, name)
			}
			changed[name] = key
		}
		if want := map[string]int{"collect": 2}[key]; fields != max(want, 1) {
			t.Errorf("property %s changes %d fields", key, fields)
		}
	}
	if n := reflect.TypeFor[Source]().NumField(); len(changed) != n {
		t.Errorf("%d of %d fields are set by properties: %v", len(changed), n, slices.Sorted(maps.Keys(changed)))
	}
}

func TestValuesOfAllKindsAreRead(t *testing.T) {
	t.Parallel()
	const group = "22222222-3a0e-4a57-9d4c-5b7f0c2e8a11"
	got := good(t, one(t, `{"credential": {"kind": "federated", "clientId": "`+group+`"}, "collect": ["calendar", "email"],
		"individuals": {"file": "x/y.csv", "groups": ["`+group+`"], "pullDisabledUsers": true, "pullUnlicensedUsers": true},
		"retryPolicyInMinutes": [0, 1], "frequencyInMinutes": 6e1, "settleInMinutes": 1.0, "endDate": "2026-03-05T02:00:00+02:00"}`))
	want := good(t, one(t, `{}`))
	want.Credential = Credential{Kind: "federated", ClientID: group}
	want.CollectCalendar = true
	want.Individuals = Individuals{File: "x/y.csv", Groups: []string{group}, PullDisabledUsers: true, PullUnlicensedUsers: true}
	want.RetryPolicy = []time.Duration{0, time.Minute}
	want.Settle, want.EndDate = time.Minute, day(5)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAnEmptyRetryPolicyRetriesNothing(t *testing.T) {
	t.Parallel()
	if got := good(t, one(t, `{"retryPolicyInMinutes": []}`)).RetryPolicy; len(got) != 0 || got == nil {
		t.Errorf("RetryPolicy = %v, want an empty one", got)
	}
}

func TestContainersBesideTheAppsOwnAreGood(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"config-evidence", "states", "my-azure-webjobs"} {
		if got := good(t, one(t, `{"container": "`+name+`"}`)).Container; got != name {
			t.Errorf("Container = %q, want %q", got, name)
		}
	}
}

func TestNoSourcesAreNoFault(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"sources": []}`, "\xef\xbb\xbf{\"sources\": [],\n\"$schema\": \"x\"}\n"} {
		if sources, err := ParseSources([]byte(text), nil); err != nil || len(sources) != 0 {
			t.Errorf("ParseSources(%q) = %v, %v, want none and no fault", text, sources, err)
		}
	}
}

// list parses a file that has faults, and gives each as "path: problem".
func list(t *testing.T, text []byte, lookup func(string) (string, bool)) []string {
	t.Helper()
	sources, err := ParseSources(text, lookup)
	if err == nil {
		return nil
	}
	var faults Faults
	if !errors.As(err, &faults) || len(faults) == 0 || sources != nil {
		t.Fatalf("ParseSources = %v, %T %v, want Faults alone", sources, err, err)
	}
	_ = graphtest.NewLog(t, "canary").Error(err)
	var lines []string
	for _, f := range faults {
		lines = append(lines, f.Path+": "+f.Problem)
	}
	return lines
}

// compare wants each fault to begin with what stands before the "…" and to hold what stands after it.
func compare(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("faults:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for i := range got {
		beginning, part, _ := strings.Cut(want[i], "…")
		if !strings.HasPrefix(got[i], beginning) || !strings.Contains(got[i], part) {
			t.Errorf("fault %d: %s\nwant: %s", i, got[i], want[i])
		}
	}
}

func TestFaultsOfASource(t *testing.T) {
	t.Parallel()
	const id = `"6f1c1b52-3a0e-4a57-9d4c-5b7f0c2e8a11"`
	tests := []struct {
		name, change string
		want         []string // paths below sources[0]
	}{
		{"minimum", `{"frequencyInMinutes": 0}`, []string{"frequencyInMinutes: must be at least 1: Length of one collection window, in minutes."}},
		{"maximum", `{"maxBatchesToMerge": 1001}`, []string{"maxBatchesToMerge: must be at most 1000: Largest"}},
		{"far too large", `{"maxBatchesToMerge": 1e300}`, []string{"maxBatchesToMerge: must be at most 1000: Largest"}},
		{"fraction", `{"frequencyInMinutes": 1.5}`, []string{"frequencyInMinutes: must be a whole number: Length"}},
		{"text for a number", `{"frequencyInMinutes": "canary"}`, []string{"frequencyInMinutes: must be a whole number: Length"}},
		{"text for a truth", `{"enabled": "canary"}`, []string{"enabled: must be true or false: true collects"}},
		{"number for a text", `{"name": 1}`, []string{"name: must be text in quotes: Name of the source"}},
		{"text for a list", `{"collect": "canary"}`, []string{"collect: must be a list in brackets"}},
		{"text for an object", `{"credential": "canary"}`, []string{"credential: must be an object in braces: How the app signs in"}},
		{"missing", `{"domain": null, "name": null}`, []string{"domain: is missing: Tenant: one of its domains", "name: is missing: Name of the source"}},
		{"unknown", `{"frequencyInMinuts": 60, "ApplicationID": 1, "zzzzzz": "canary"}`,
			[]string{"ApplicationID: is unknown: did you mean applicationId?", "frequencyInMinuts: is unknown: did you mean frequencyInMinutes?", "zzzzzz: is unknown: remove it"}},
		{"name", `{"name": "Canary"}`, []string{"name: has the wrong form: Name of the source: 1 to 24 lower-case"}},
		{"guid", `{"applicationId": "canary"}`, []string{"applicationId: has the wrong form: Application (client) id"}},
		{"domain", `{"domain": "canary"}`, []string{"domain: has the wrong form: Tenant"}},
		{"cloud", `{"cloud": "canary"}`, []string{"cloud: must be public, usgov, usgovdod or china: Microsoft cloud"}},
		{"too long", `{"container": "` + strings.Repeat("canary", 20) + `"}`, []string{"container: must have at most 63 characters: Evidence container"}},
		{"the settings' container", `{"container": "config"}`, []string{"container: is a container of the app's or the Functions host's own: give another one, such as evidence"}},
		{"the state's container", `{"container": "state"}`, []string{"container: is a container of the app's"}},
		{"a container of the host", `{"container": "azure-webjobs-hosts"}`, []string{"container: is a container of the app's"}},
		{"nothing to collect", `{"collect": []}`, []string{"collect: must have at least 1 entry: What is collected"}},
		{"unknown data", `{"collect": ["email", "canary"]}`, []string{"collect[1]: must be email or calendar"}},
		{"the same twice", `{"collect": ["email", "email"]}`, []string{"collect[1]: is the same as entry 0"}},
		{"too many retries", `{"retryPolicyInMinutes": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,-1]}`,
			[]string{"retryPolicyInMinutes: must have at most 20 entries", "retryPolicyInMinutes[20]: must be at least 0: Minutes before a retry."}},
		{"nobody", `{"individuals": {}}`, []string{"individuals: is incomplete: Who is monitored: a file, at least one group, or both."}},
		{"no group", `{"individuals": {"groups": []}}`, []string{"individuals: is incomplete"}},
		{"path", `{"individuals": {"file": "../canary"}}`, []string{"individuals.file: has the wrong form: The list of individuals"}},
		{"group", `{"individuals": {"groups": ["canary"]}}`, []string{"individuals.groups[0]: has the wrong form: Object id of an Entra group"}},
		{"30 February", `{"startDate": "2026-02-30T00:00:00Z"}`, []string{"startDate: is no instant of the calendar: Collect from here"}},
		{"a date", `{"startDate": "2026-02-28"}`, []string{"startDate: is no instant"}},
		{"half a second", `{"endDate": "2026-03-05T00:00:00.5Z"}`, []string{"endDate: has the wrong form: Collect up to here"}},
		{"end before start", `{"startDate": "2026-03-05T00:00:00Z", "endDate": "2026-03-02T00:00:00Z"}`, []string{"endDate: must be later than startDate"}},
		{"end is start", `{"startDate": "2026-03-05T00:00:00Z", "endDate": "2026-03-05T01:00:00+01:00"}`, []string{"endDate: must be later than startDate"}},
		{"tenant id for application id", `{"applicationId": ` + strings.ToUpper(id) + `, "domain": ` + id + `}`, []string{"applicationId: is the same as domain…Application (client) id"}},
		{"no application id", `{"applicationId": null}`, []string{"applicationId: is missing: Application (client) id"}},
		{"kind", `{"credential": {"kind": "canary"}}`, []string{"credential.kind: must be secret, certificate, managedIdentity, federated or none"}},
		{"no setting", `{"credential": {"kind": "secret"}}`, []string{"credential.setting: is missing: Name of the app setting"}},
		{"the secret itself", `{"credential": {"kind": "secret", "setting": "canary~8Q"}}`, []string{"credential.setting: has the wrong form…Never the secret itself."}},
		{"secret in a key of its own", `{"credential": {"kind": "secret", "setting": "A", "value": "canary"}}`, []string{"credential.value: is unknown: remove it"}},
		{"identity with a setting", `{"credential": {"kind": "managedIdentity", "setting": "A"}}`, []string{"credential.setting: does not go with a credential of this kind: remove it"}},
		{"federated without an identity", `{"credential": {"kind": "federated"}}`, []string{"credential.clientId: is missing: Client id of the user-assigned"}},
		{"none at Microsoft", `{"credential": {"kind": "none"}}`, []string{"graphEndpoint: is missing: Root of a Graph-like server"}},
		{"endpoint elsewhere", `{"graphEndpoint": "https://canary.example/v1.0"}`, []string{"graphEndpoint: has the wrong form: Root of a Graph-like"}},
		{"secret in the clear", `{"graphEndpoint": "http://127.0.0.1:1/v1.0"}`, []string{"graphEndpoint: has the wrong form: A secret is sent to a graphEndpoint over https alone."}},
		{"endpoint with an identity", `{"graphEndpoint": "http://127.0.0.1:1/v1.0", "credential": {"kind": "managedIdentity"}}`,
			[]string{"credential.kind: must be none or secret: A graphEndpoint takes no other credential"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var want []string
			for _, w := range tt.want {
				want = append(want, "sources[0]."+w)
			}
			compare(t, list(t, one(t, tt.change), nil), want)
		})
	}
}

func TestFaultsOfAFile(t *testing.T) {
	t.Parallel()
	a := shortest
	b := strings.NewReplacer(`"a"`, `"b"`, `"A"`, `"B"`).Replace(shortest)
	tests := []struct {
		name, text string
		want       []string
	}{
		{"empty", "", []string{": the file is no valid JSON at line 1, column 1: unexpected end of JSON input"}},
		{"cut off", "{\n \"sources\": [", []string{": the file is no valid JSON at line 2, column 14: unexpected end"}},
		{"comma too many", "{\"sources\": [\n  ],}", []string{": the file is no valid JSON at line 2, column 5: unexpected character looking for beginning of object key string"}},
		{"columns are characters", `{"ü": canary}`, []string{": the file is no valid JSON at line 1, column 7: unexpected character looking for beginning of value"}},
		{"more than one value", "{\"sources\": []}\ncanary", []string{": the file is no valid JSON at line 2, column 1: unexpected character after top-level value"}},
		{"comment", "{\n// canary\n}", []string{": the file is no valid JSON at line 2, column 1"}},
		{"Windows-1252", "{\"sources\": [],\n \"\xfc\": 1}", []string{": the file is not UTF-8 at line 2, column 3"}},
		{"UTF-16", "\xff\xfe{\x00}\x00", []string{": the file is UTF-16"}},
		{"too large", `{"sources": []}` + strings.Repeat(" ", 1<<20), []string{": the file is larger than 1 MiB"}},
		{"too deep", `{"sources": ` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, []string{": the file cannot be read: it is nested deeper than 32 levels"}},
		{"deep beyond all reason", strings.Repeat("[", 500_000), []string{": the file is no valid JSON"}},
		{"list", "[]", []string{": the file must be an object in braces: What is collected"}},
		{"null", "null", []string{": the file must be an object in braces"}},
		{"nothing", "{}", []string{"sources: is missing: The data sources."}},
		{"no list", `{"sources": {}}`, []string{"sources: must be a list in brackets: The data sources"}},
		{"no object", `{"sources": [1, "canary", null]}`, []string{"sources[0]: must be an object in braces: A data source", "sources[1]: must be", "sources[2]: must be"}},
		{"huge numbers", `{"sources": [], "x": 1e999999999, "y": -1e400, "z": 1e-999999999}`, []string{"x: is unknown", "y: is unknown", "z: is unknown"}},
		{"strange keys", `{"sources": [], "start date": 1, "": 2, "größe": 3}`,
			[]string{`["start date"]: is unknown`, `[""]: is unknown`, `["größe"]: is unknown`}},
		{"keys that may be more than keys", `{"canary~8Q": 1, "x": 2, "canary@contoso.example": {"y": 3}, "canary\n": 4, "` + strings.Repeat("canary", 7) + `": 5, "sources": []}`,
			[]string{`[key 1]: is unknown`, `x: is unknown`, `[key 3]: is unknown`, `[key 4]: is unknown`, `[key 5]: is unknown`}},
		{"keys twice", `{"sources": [], "sources": [` + strings.Replace(a, `"name"`, `"enabled": true, "enabled": false, "name"`, 1) + `]}`,
			[]string{"sources: stands twice in the same object", "sources[0].enabled: stands twice"}},
		{"names and prefixes twice", `{"sources": [` + a + `,` + b + `,` + a + `]}`,
			[]string{"sources[2].name: is that of sources[0] too: give another one", "sources[2].controlNumberPrefix: is that of sources[0] too"}},
		{"all, in the order of the file", `{"sources": [{"domain": "canary", "name": "a", "x": 1}, {"name": "a", "collect": [1, 2], "a": {}}], "sourcess": 1}`, []string{
			"sources[0].collect: is missing", "sources[0].controlNumberPrefix: is missing", "sources[0].credential: is missing", "sources[0].individuals: is missing",
			"sources[0].domain: has the wrong form", "sources[0].x: is unknown",
			"sources[1].controlNumberPrefix: is missing", "sources[1].credential: is missing", "sources[1].domain: is missing", "sources[1].individuals: is missing",
			"sources[1].name: is that of sources[0]", "sources[1].collect[0]: must be", "sources[1].collect[1]: must be", "sources[1].a: is unknown",
			"sourcess: is unknown: did you mean sources?",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			first := list(t, []byte(tt.text), nil)
			compare(t, first, tt.want)
			for range 5 {
				if again := list(t, []byte(tt.text), nil); !slices.Equal(again, first) {
					t.Fatalf("the faults change:\n%q\n%q", first, again)
				}
			}
		})
	}
}

func TestSecretsAreFoundAmongTheAppSettings(t *testing.T) {
	t.Parallel()
	const path = "sources[0].credential.setting: the app setting A_SECRET "
	certificate := `{"credential": {"kind": "certificate", "setting": "A_SECRET"}}`
	tests := []struct {
		name, change, value string
		want                []string
	}{
		{"secret", `{}`, "canary~8Q", nil},
		{"certificate with a line end", certificate, "-----BEGIN canary-----\n", nil},
		{"missing", `{}`, "", []string{path + "is missing or empty: add the app setting A_SECRET"}},
		{"blank", `{}`, " \n", []string{path + "is missing or empty"}},
		{"no certificate", certificate, "", []string{path + "is missing or empty"}},
		{"the secret's id", `{}`, "6F1C1B52-3a0e-4a57-9d4c-5b7f0c2e8a11", []string{path + "holds a GUID…Secret ID: it needs the secret's Value, or Microsoft Entra refuses the sign-in with AADSTS7000215"}},
		{"line end", `{}`, "canary~8Q\n", []string{path + "begins or ends with blanks"}},
		{"reference", `{}`, "@Microsoft.KeyVault(SecretUri=https://canary)", []string{path + "holds a Key Vault reference"}},
		{"sample", `{}`, "<the canary>", []string{path + "holds the sample's placeholder"}},
		{"none is needed", `{"credential": {"kind": "managedIdentity"}}`, "", nil},
		{"not looked for under a bad name", `{"credential": {"kind": "secret", "setting": "canary 8Q"}}`, "", []string{"sources[0].credential.setting: has the wrong form"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lookup := from(map[string]string{"A_SECRET": tt.value})
			text := one(t, tt.change)
			compare(t, list(t, text, lookup), tt.want)
			if tt.want != nil {
				return
			}
			sources, err := ParseSources(text, lookup)
			if err != nil {
				t.Fatal(err)
			}
			if got := sources[0].Credential.Secret.Reveal(); got != tt.value {
				t.Errorf("Secret = %q, want %q", got, tt.value)
			}
		})
	}
}

func TestWithoutLookupSecretsAreNotMissed(t *testing.T) {
	t.Parallel()
	if s := good(t, one(t, `{}`)); !s.Credential.Secret.IsZero() || s.Credential.Setting != "A_SECRET" {
		t.Errorf("Credential = %+v, want the setting's name and no secret", s.Credential)
	}
}

func TestWordsOfSimilarKeys(t *testing.T) {
	t.Parallel()
	tests := []struct {
		a, b string
		want bool
	}{
		{"domain", "Domain", true}, {"startDate", "strtDate", true}, {"startDate", "start_date", true}, {"startDate", "startDates", true},
		{"startDate", "endDate", false}, {"name", "nom", false}, {"name", "", false}, {"container", strings.Repeat("x", 1000), false},
	}
	for _, tt := range tests {
		if got := similar(tt.a, tt.b); got != tt.want {
			t.Errorf("similar(%q, %q) = %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}

func FuzzParseSources(f *testing.F) {
	text, err := os.ReadFile(sample)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	for _, seed := range []string{
		`{"sources": [` + shortest + `]}`, `{"sources": [{"a": 1, "a": 1e999}], "": [[]]}`, "\xef\xbb\xbf{}", "\xff\xfe", `{"sources": [`, "nul", `"\ud800"`,
		`{"sources": [{"startDate": "2026-02-30T00:00:00Z", "endDate": "2026-01-01T24:00:00+24:00"}]}`,
	} {
		f.Add([]byte(seed))
	}
	for key, value := range others() {
		f.Add(one(f, `{"`+key+`": `+value+`}`))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sources, err := ParseSources(data, from(map[string]string{"A_SECRET": "x"}))
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 || sources != nil {
				t.Fatalf("ParseSources = %v, %T %v", sources, err, err)
			}
			for _, f := range faults {
				if f.Problem == "" || strings.ContainsAny(f.Path+f.Problem, "\n\r\x00") {
					t.Errorf("fault %+q", f)
				}
			}
			return
		}
		for _, s := range sources {
			if s.Name == "" || s.Container == "" || s.Cloud == "" || s.Frequency < time.Minute || s.MaxMerge < 1 || s.IndividualsPerJob < 1 ||
				s.JobTimeout < time.Minute || s.RetryPolicy == nil || !s.CollectEmail && !s.CollectCalendar ||
				s.Individuals.File == "" && len(s.Individuals.Groups) == 0 {
				t.Errorf("a source without what it needs: %+v", s)
			}
			if bytes.Contains(data, []byte(`"endDate"`)) && !s.EndDate.IsZero() && !s.EndDate.After(s.StartDate) {
				t.Errorf("a source from %v to %v", s.StartDate, s.EndDate)
			}
		}
	})
}
