package infra_test

import (
	"encoding/json"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"chainmail/handlers/ledger"
	"chainmail/handlers/queue"
	"chainmail/handlers/settings"
)

const someID = "11111111-2222-3333-4444-555555555555"

var settingLine = regexp.MustCompile(`(?m)^  (\w+): (.+)$`)

// appSettings are those of main.bicep, with an address, an id or a default in place of what is known only when deployed.
func appSettings(t *testing.T, all map[string]file) map[string]string {
	t.Helper()
	defaults := map[string]string{}
	for _, d := range all["main.bicep"].of(parameter) {
		if _, value, found := strings.Cut(d.Text, " = "); found {
			defaults[d.Name] = strings.Trim(value, "'")
		}
	}
	given := map[string]string{}
	for _, m := range settingLine.FindAllStringSubmatch(all["main.bicep"].declared(t, "settings").Text, -1) {
		name, value := m[1], m[2]
		switch {
		case strings.HasSuffix(name, "ServiceUri"):
			service := strings.TrimSuffix(name[strings.LastIndex(name, "__")+2:], "ServiceUri")
			if !strings.HasSuffix(value, "."+service) && !strings.HasSuffix(value, "."+service+"Endpoint") {
				t.Errorf("%s is the address of another service: %s", name, value)
			}
			given[name] = "https://account." + service + ".core.windows.net/"
		case strings.HasSuffix(name, "__clientId"):
			given[name] = someID
		case name == "CHAINMAIL_CONSOLE":
			_, form, _ := strings.Cut(value, ": '")
			form = regexp.MustCompile(`\$\{(subscription\(\)\.tenantId|consoleClientId)\}`).ReplaceAllString(strings.Trim(form, "'"), someID)
			given[name] = strings.ReplaceAll(form, "${cloud}", "usgov")
		case defaults[value] != "":
			given[name] = defaults[value]
		default:
			given[name] = strings.Trim(value, "'")
		}
	}
	return given
}

// notDeployed says why a setting that the code asks for is not among the app settings.
func notDeployed() map[string]string {
	return map[string]string{
		"AzureWebJobsStorage":                 "a connection string: identities are used",
		"CHAINMAIL_STATE":                     "a connection string",
		"CHAINMAIL_EVIDENCE":                  "a connection string",
		"CHAINMAIL_STATE__queueServiceUri":    "no queue is there but the host's",
		"CHAINMAIL_EVIDENCE__queueServiceUri": "evidence is blobs alone",
		"CHAINMAIL_EVIDENCE__tableServiceUri": "evidence is blobs alone",
		"WEBSITE_INSTANCE_ID":                 "the platform's",
		"WEBSITE_SITE_NAME":                   "the platform's",
		"WEBSITE_POD_NAME":                    "the platform's",
		"FUNCTIONS_WORKER_RUNTIME":            "refused by Flex Consumption: the runtime stands in functionAppConfig",
		"FUNCTIONS_CUSTOMHANDLER_PORT":        "the host's",
		"GOMEMLIMIT":                          "the handler sets a goal of its own",
	}
}

func TestTheCodeTakesTheDeployedSettings(t *testing.T) {
	t.Parallel()
	given := appSettings(t, deployment(t))
	asked := map[string]bool{}
	env, err := settings.FromEnvironment(func(name string) (string, bool) {
		asked[name] = true
		value, ok := given[name]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	if env.State.BlobServiceURI == "" || env.State.TableServiceURI == "" || env.Evidence.BlobServiceURI == "" || env.Queues.QueueServiceURI == "" {
		t.Errorf("an account is missing: %+v", env)
	}
	if !env.Console.SignIn() || env.Console.Login != "https://login.microsoftonline.us" {
		t.Errorf("the console is not for who signs in at the deployment's cloud: %+v", env.Console)
	}
	for name := range asked {
		if _, ok := given[name]; !ok && notDeployed()[name] == "" {
			t.Errorf("the code asks for %s, which is not deployed", name)
		}
	}
}

func TestEverySettingByNameIsDeployed(t *testing.T) {
	t.Parallel()
	all := deployment(t)
	given := appSettings(t, all)
	deployed := func(name string) bool {
		for have := range given {
			if have == name || strings.HasPrefix(have, name+"__") {
				return true
			}
		}
		return strings.Contains(all["main.bicepparam"].text, "'"+name+"'")
	}
	var sample struct{ Values map[string]string }
	if err := json.Unmarshal([]byte(read(t, "../local.settings.sample.json")), &sample); err != nil || len(sample.Values) < 5 {
		t.Fatalf("%d settings in the sample, %v", len(sample.Values), err)
	}
	for name := range sample.Values {
		if !deployed(name) && notDeployed()[name] == "" {
			t.Errorf("the sample's %s is not deployed", name)
		}
	}
	reads := regexp.MustCompile(`%(\w+)%`)
	for name, text := range functions(t) {
		for _, m := range reads.FindAllStringSubmatch(text, -1) {
			if _, ok := given[m[1]]; !ok {
				t.Errorf("%s reads %s, which is not deployed", name, m[1])
			}
		}
	}
	for name, text := range literals(t, "") {
		if regexp.MustCompile(`^(CHAINMAIL|FUNCTIONS|GO)_?[A-Z_]+$`).MatchString(name) && !deployed(name) && notDeployed()[name] == "" {
			t.Errorf("%s names %s, which is not deployed", text, name)
		}
	}
}

// functions are the function.json files, by function.
func functions(t *testing.T) map[string]string {
	t.Helper()
	found, err := filepath.Glob("../functions/*/function.json")
	if err != nil || len(found) < 5 {
		t.Fatalf("%d functions, %v", len(found), err)
	}
	all := map[string]string{}
	for _, path := range found {
		all[filepath.Base(filepath.Dir(path))] = read(t, path)
	}
	return all
}

// source parses the handler's own Go files, without tests and stand-ins, below a folder, by path.
func source(t *testing.T, below string) map[string]*ast.File {
	t.Helper()
	all := map[string]*ast.File{}
	err := filepath.WalkDir(filepath.Join("../handlers", below), func(path string, entry os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			strings.HasSuffix(filepath.Base(filepath.Dir(path)), "test") || strings.Contains(filepath.ToSlash(path), "/npmtest/") {
			return err
		}
		f, err := goparser.ParseFile(token.NewFileSet(), path, nil, goparser.SkipObjectResolution)
		all[filepath.ToSlash(path)] = f
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// literals are the texts that stand in the handler's source, with a file that holds them.
func literals(t *testing.T, below string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for path, f := range source(t, below) {
		ast.Inspect(f, func(n ast.Node) bool {
			if text, ok := literal(n); ok {
				all[text] = path
			}
			return true
		})
	}
	return all
}

func TestQueuesTablesAndContainersAreTheCodes(t *testing.T) {
	t.Parallel()
	all := deployment(t)
	state := all["modules/state.bicep"]
	for declared, wanted := range map[string][]string{
		"queues": {queue.Chunks, queue.Poison}, "containers": {"config", "state", "app-package"}, "table": {ledger.Table},
	} {
		text := state.declared(t, declared).Text
		for _, name := range wanted {
			if !strings.Contains(text, "'"+name+"'") {
				t.Errorf("%s does not hold %s", declared, name)
			}
		}
	}
	for _, name := range []string{"config", "state"} {
		if literals(t, "")[name] == "" {
			t.Errorf("the code has no container %s", name)
		}
	}
	named := regexp.MustCompile(`"(queueName|connection)": "([^"]+)"`)
	for function, text := range functions(t) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if m[1] == "connection" && m[2] != "AzureWebJobsStorage" || m[1] == "queueName" && !slices.Contains([]string{queue.Chunks, queue.Poison}, m[2]) {
				t.Errorf("%s has %s", function, m[0])
			}
		}
	}
	prefix := regexp.MustCompile(`'state/([^']+)'`).FindStringSubmatch(state.declared(t, "lifecycle").Text)
	written := 0
	for text := range literals(t, "collect") {
		if prefix != nil && strings.HasPrefix(text, prefix[1]) {
			written++
		}
	}
	if written != 1 {
		t.Errorf("the lifecycle rule deletes %q, which the collector writes in %d places", prefix, written)
	}
}

func TestTheSamplesContainerIsTheDefaultOfSources(t *testing.T) {
	t.Parallel()
	if !strings.Contains(read(t, "../handlers/settings/sources.schema.json"), `"default": "evidence"`) ||
		!strings.Contains(deployment(t)["main.bicep"].text, "name: 'evidence'") {
		t.Error("a source without container would not find the deployed one")
	}
}
