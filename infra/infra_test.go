// Package infra_test holds the deployment against what it deploys: Bicep, function.json, host.json, the sample settings, the
// workbook's and the alerts' queries, and the code that reads the one and writes the log of the other.
package infra_test

import (
	"bytes"
	"context"
	_ "embed" // the grammars' lock file, manifest and script
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chainmail/handlers/npmtest"
)

//go:embed testdata/grammars/package.json
var packageJSON []byte

//go:embed testdata/grammars/package-lock.json
var packageLock []byte

//go:embed testdata/grammars/parse.mjs
var parser string

// A file is what its grammar makes of it.
type file struct {
	Faults       []string
	Declarations []declaration
	text         string
}

// A declaration is one at the top of a Bicep file.
type declaration struct {
	Kind, Name, Text string
	Decorators       []string
}

// The kinds of declarations.
const (
	parameter = "parameter_declaration"
	variable  = "variable_declaration"
	resource  = "resource_declaration"
	module    = "module_declaration"
	output    = "output_declaration"
)

func (f file) of(kind string) (found []declaration) {
	for _, d := range f.Declarations {
		if d.Kind == kind {
			found = append(found, d)
		}
	}
	return found
}

func names(all []declaration) (names []string) {
	for _, d := range all {
		names = append(names, d.Name)
	}
	return names
}

// declared is the variable or resource of that name.
func (f file) declared(t *testing.T, name string) declaration {
	t.Helper()
	for _, d := range f.Declarations {
		if d.Name == name && d.Kind != parameter && d.Kind != output {
			return d
		}
	}
	t.Fatalf("there is no %s", name)
	return declaration{}
}

// assignment is a parameter of a .bicepparam file, which the grammar does not know.
var assignment = regexp.MustCompile(`(?m)^param (\w+) = `)

// deployment reads the Bicep files and the script by the grammars of their languages, by path below infra: once for all tests.
func deployment(t *testing.T) map[string]file {
	t.Helper()
	once.Do(func() { once.files = readDeployment(t) })
	if once.files == nil {
		t.Fatal("the deployment was not read")
	}
	return once.files
}

var once struct {
	sync.Once
	files map[string]file
}

func readDeployment(t *testing.T) map[string]file {
	t.Helper()
	found, err := filepath.Glob("modules/*.bicep")
	if err != nil || len(found) < 10 {
		t.Fatalf("%d modules, %v", len(found), err)
	}
	texts, question := map[string]string{}, map[string]string{}
	for _, path := range append([]string{"main.bicep", "main.bicepparam", "grant.ps1"}, found...) {
		texts[filepath.ToSlash(path)] = read(t, path)
		question[filepath.ToSlash(path)] = texts[filepath.ToSlash(path)]
	}
	sample := strings.Replace(texts["main.bicepparam"], "\nusing 'main.bicep'\n", "\n", 1)
	question["main.bicepparam"] = assignment.ReplaceAllString(sample, "var $1 = ")
	answer := parse(t, question)
	for path, f := range answer {
		f.text = texts[path]
		answer[path] = f
	}
	return answer
}

// parse has the grammars read the files, in one process.
func parse(t *testing.T, question map[string]string) map[string]file {
	t.Helper()
	program := npmtest.Program{
		Name: "grammars", Version: "1", Size: "21 MB", File: "node_modules/web-tree-sitter/tree-sitter.js",
		PackageJSON: packageJSON, Lock: packageLock,
	}
	node, library, err := program.Install(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	in, err := json.Marshal(question)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// V8's optimising compiler takes ten seconds over the grammar of PowerShell; its first one a tenth of one.
	cmd := exec.CommandContext(ctx, node, "--liftoff-only", "--input-type=module", "--eval", parser, library)
	cmd.Stdin = bytes.NewReader(in)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, said.Bytes())
	}
	answer := map[string]file{}
	if err := json.Unmarshal(out, &answer); err != nil || len(answer) != len(question) {
		t.Fatalf("%d answers to %d questions, %v", len(answer), len(question), err)
	}
	return answer
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// bicep are the files of a deployment that are Bicep.
func bicep(all map[string]file) map[string]file {
	all = maps.Clone(all)
	maps.DeleteFunc(all, func(path string, _ file) bool { return !strings.HasSuffix(path, ".bicep") })
	return all
}

func TestEveryFileHoldsToItsGrammar(t *testing.T) {
	t.Parallel()
	for path, f := range deployment(t) {
		for _, fault := range f.Faults {
			t.Errorf("%s:%s", path, fault)
		}
		if len(f.Declarations) == 0 {
			t.Errorf("%s declares nothing", path)
		}
	}
	for name, f := range parse(t, map[string]string{"a.bicep": "param x string = {\n", "b.ps1": "if ($x { 1 }"}) {
		if len(f.Faults) == 0 {
			t.Errorf("the grammar takes %s, which is broken", name)
		}
	}
}

func TestEveryParameterAndOutputIsDescribed(t *testing.T) {
	t.Parallel()
	bound := regexp.MustCompile(`@(minValue|maxValue|allowed|minLength)\(`)
	for path, f := range bicep(deployment(t)) {
		for _, d := range append(f.of(parameter), f.of(output)...) {
			decorators := strings.Join(d.Decorators, "\n")
			if !strings.Contains(decorators, "@description('") {
				t.Errorf("%s: %s has no description", path, d.Name)
			}
			if path == "main.bicep" && d.Kind == parameter && strings.Contains(d.Text, " int") && !bound.MatchString(decorators) {
				t.Errorf("%s: %s has no bounds", path, d.Name)
			}
		}
	}
}

func TestEveryDeclarationIsUsed(t *testing.T) {
	t.Parallel()
	for path, f := range bicep(deployment(t)) {
		for _, d := range append(f.of(parameter), f.of(variable)...) {
			if uses := regexp.MustCompile(`\b`+d.Name+`\b`).FindAllString(withoutComments(f.text), -1); len(uses) < 2 {
				t.Errorf("%s: %s is not used", path, d.Name)
			}
		}
	}
}

var comment = regexp.MustCompile(`(?m)^\s*//.*$|@description\('.*'\)`)

func withoutComments(text string) string { return comment.ReplaceAllString(text, "") }

func TestTheSampleSetsParametersThatExist(t *testing.T) {
	t.Parallel()
	all := deployment(t)
	if !strings.Contains(all["main.bicepparam"].text, "using 'main.bicep'") {
		t.Error("the sample is for another template")
	}
	set := names(all["main.bicepparam"].of(variable))
	if len(set) < 4 {
		t.Fatalf("the sample sets %v", set)
	}
	for _, name := range set {
		if !slices.Contains(names(all["main.bicep"].of(parameter)), name) {
			t.Errorf("main.bicep has no parameter %s", name)
		}
	}
}

var (
	modulePath = regexp.MustCompile(`^(?:@\w+\([^\n]*\)\s+)*module \w+ '([^']+)'`)
	argument   = regexp.MustCompile(`(?m)^    (\w+):`)
	reference  = regexp.MustCompile(`\b(\w+)(?:\[i\])?!?\.outputs\.(\w+)`)
)

// target is the file of a module.
func target(path string, d declaration) string {
	m := modulePath.FindStringSubmatch(d.Text)
	if m == nil {
		return ""
	}
	return filepath.ToSlash(filepath.Join(filepath.Dir(path), m[1]))
}

func TestModulesGetTheirParametersAndGiveTheirOutputs(t *testing.T) {
	t.Parallel()
	all := bicep(deployment(t))
	used := map[string]bool{"main.bicep": true, "modules/types.bicep": true}
	for path, f := range all {
		files := map[string]file{}
		for _, d := range f.of(module) {
			into := target(path, d)
			callee, ok := all[into]
			if !ok {
				t.Fatalf("%s: module %s is %q, which is no file", path, d.Name, into)
			}
			used[into], files[d.Name] = true, callee
			checkArguments(t, path, d, callee)
		}
		for _, m := range reference.FindAllStringSubmatch(f.text, -1) {
			callee, ok := files[m[1]]
			if !ok || !slices.Contains(names(callee.of(output)), m[2]) {
				t.Errorf("%s: %s gives no output %s", path, m[1], m[2])
			}
		}
	}
	for path := range all {
		if !used[path] {
			t.Errorf("%s is not used", path)
		}
	}
}

func checkArguments(t *testing.T, path string, d declaration, callee file) {
	t.Helper()
	_, params, _ := strings.Cut(d.Text, "\n  params: {\n")
	params, _, _ = strings.Cut(params, "\n  }")
	var given []string
	for _, m := range argument.FindAllStringSubmatch(params, -1) {
		given = append(given, m[1])
		if !slices.Contains(names(callee.of(parameter)), m[1]) {
			t.Errorf("%s: module %s has no parameter %s", path, d.Name, m[1])
		}
	}
	for _, p := range callee.of(parameter) {
		if !slices.Contains(given, p.Name) && !strings.Contains(p.Text, " = ") {
			t.Errorf("%s: module %s does not get its parameter %s", path, d.Name, p.Name)
		}
	}
}

// versions are the published versions of the resource types that are used; previews only where there is nothing else.
func versions() map[string]string {
	return map[string]string{
		"Microsoft.Authorization/locks":                                                  "2020-05-01",
		"Microsoft.Authorization/roleAssignments":                                        "2022-04-01",
		"Microsoft.EventGrid/systemTopics":                                               "2025-02-15",
		"Microsoft.EventGrid/systemTopics/eventSubscriptions":                            "2025-02-15",
		"Microsoft.Insights/actionGroups":                                                "2023-01-01",
		"Microsoft.Insights/components":                                                  "2020-02-02",
		"Microsoft.Insights/diagnosticSettings":                                          "2021-05-01-preview",
		"Microsoft.Insights/scheduledQueryRules":                                         "2023-12-01",
		"Microsoft.Insights/workbooks":                                                   "2023-06-01",
		"Microsoft.KeyVault/vaults":                                                      "2023-07-01",
		"Microsoft.KeyVault/vaults/keys":                                                 "2023-07-01",
		"Microsoft.ManagedIdentity/userAssignedIdentities":                               "2023-01-31",
		"Microsoft.Network/privateDnsZones":                                              "2020-06-01",
		"Microsoft.Network/privateDnsZones/virtualNetworkLinks":                          "2020-06-01",
		"Microsoft.Network/privateEndpoints":                                             "2024-01-01",
		"Microsoft.Network/privateEndpoints/privateDnsZoneGroups":                        "2024-01-01",
		"Microsoft.Network/virtualNetworks":                                              "2024-01-01",
		"Microsoft.OperationalInsights/workspaces":                                       "2023-09-01",
		"Microsoft.Storage/storageAccounts":                                              "2023-05-01",
		"Microsoft.Storage/storageAccounts/blobServices":                                 "2023-05-01",
		"Microsoft.Storage/storageAccounts/blobServices/containers":                      "2023-05-01",
		"Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies": "2023-05-01",
		"Microsoft.Storage/storageAccounts/managementPolicies":                           "2023-05-01",
		"Microsoft.Storage/storageAccounts/queueServices":                                "2023-05-01",
		"Microsoft.Storage/storageAccounts/queueServices/queues":                         "2023-05-01",
		"Microsoft.Storage/storageAccounts/tableServices":                                "2023-05-01",
		"Microsoft.Storage/storageAccounts/tableServices/tables":                         "2023-05-01",
		"Microsoft.Web/serverfarms":                                                      "2024-04-01",
		"Microsoft.Web/sites":                                                            "2024-04-01",
		"Microsoft.Web/sites/basicPublishingCredentialsPolicies":                         "2024-04-01",
		"Microsoft.Web/sites/config":                                                     "2024-04-01",
	}
}

func TestResourcesHaveVersionsThatArePublished(t *testing.T) {
	t.Parallel()
	typed := regexp.MustCompile(`'(Microsoft\.[\w./]+)@([\w-]+)'`)
	seen := map[string]bool{}
	for path, f := range bicep(deployment(t)) {
		for _, m := range typed.FindAllStringSubmatch(f.text, -1) {
			seen[m[1]] = true
			if versions()[m[1]] != m[2] {
				t.Errorf("%s: %s@%s, known is %q", path, m[1], m[2], versions()[m[1]])
			}
		}
	}
	for name := range versions() {
		if !seen[name] {
			t.Errorf("nothing is a %s", name)
		}
	}
}

// A role of Azure, by its published id, and where the app or the key's identity gets it: file and scope.
type role struct{ name, file, scope string }

func roles() map[string]role {
	return map[string]role{
		"b7e6dc6d-f1e8-4753-8033-0f276bb0955b": {"Storage Blob Data Owner", "modules/state.bicep", "account"},
		"974c5e8b-45b9-4653-ba55-5f855dd0fb88": {"Storage Queue Data Contributor", "modules/state.bicep", "account"},
		"0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": {"Storage Table Data Contributor", "modules/state.bicep", "account"},
		"ba92f5b4-2d11-453d-a403-e96b0029c9fe": {"Storage Blob Data Contributor", "modules/evidenceContainer.bicep", "holder"},
		"4633458b-17de-408a-b874-0445c86b69e6": {"Key Vault Secrets User", "modules/vault.bicep", "vault"},
		"b86a8fe4-44ce-4948-aee5-eccb2c155cd7": {"Key Vault Secrets Officer", "modules/vault.bicep", "vault"},
		"e147488a-f6f5-4113-8e2d-b22465e65bf6": {"Key Vault Crypto Service Encryption User", "modules/customerKey.bicep", "key"},
		"3913510d-42f4-4e42-8a64-420c390055eb": {"Monitoring Metrics Publisher", "modules/monitoring.bicep", "component"},
	}
}

func TestRolesAreThePublishedOnesAtTheNarrowestScope(t *testing.T) {
	t.Parallel()
	id := regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	granted := map[string]bool{}
	for path, f := range bicep(deployment(t)) {
		if !strings.Contains(f.text, "roleDefinitionId") && id.MatchString(f.text) {
			t.Errorf("%s: an id that is no role: %s", path, id.FindString(f.text))
		}
		for _, d := range f.of(resource) {
			if !strings.Contains(d.Text, "Microsoft.Authorization/roleAssignments@") {
				continue
			}
			for _, one := range id.FindAllString(d.Text, -1) {
				want, known := roles()[one]
				if !known || want.file != path || !strings.Contains(d.Text, "\n  scope: "+want.scope+"\n") {
					t.Errorf("%s: %s grants %s (%s), wanted in %s at scope %s", path, d.Name, one, want.name, want.file, want.scope)
				}
				if !strings.Contains(f.text, want.name) {
					t.Errorf("%s: nothing says that %s is %s", path, one, want.name)
				}
				granted[one] = true
			}
		}
	}
	for one, want := range roles() {
		if !granted[one] {
			t.Errorf("%s is granted nowhere", want.name)
		}
	}
}

func TestNothingOpensASecretOrTheEvidence(t *testing.T) {
	t.Parallel()
	all := bicep(deployment(t))
	for path, f := range all {
		text := withoutComments(f.text)
		for _, never := range []string{"listKeys", "listAccountSas", "AccountKey", "SharedAccessSignature", "'Archive'", "tierToArchive",
			"core.windows.net", "vault.azure.net", "login.microsoftonline", "allowSharedKeyAccess: true", "allowBlobPublicAccess: true"} {
			if strings.Contains(text, never) {
				t.Errorf("%s holds %s", path, never)
			}
		}
		if strings.Contains(text, "'Microsoft.Storage/storageAccounts@") && !strings.Contains(text, "existing = {") {
			for _, always := range []string{"allowSharedKeyAccess: false", "allowBlobPublicAccess: false", "minimumTlsVersion: 'TLS1_2'",
				"deleteRetentionPolicy: {\n      enabled: true", "containerDeleteRetentionPolicy: {\n      enabled: true"} {
				if !strings.Contains(text, always) {
					t.Errorf("%s has no %s", path, always)
				}
			}
		}
		for _, d := range f.of(output) {
			if regexp.MustCompile(`(?i)password|secret|\.keys\b`).MatchString(d.Text) {
				t.Errorf("%s: output %s may be a secret: %s", path, d.Name, d.Text)
			}
		}
	}
	if !strings.Contains(all["main.bicep"].text, "param readLog bool = true") {
		t.Error("who reads evidence is not logged by default")
	}
	for _, option := range []string{"privateNetwork bool = false", "customerManagedKey bool = false", "consoleClientId string = ''"} {
		if !strings.Contains(all["main.bicep"].text, "param "+option) {
			t.Errorf("the option is not off by default: %s", option)
		}
	}
}
