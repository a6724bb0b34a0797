package infra_test

import (
	"encoding/json"
	"go/ast"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"chainmail/handlers/graph/graphtest"
)

// always are the fields of every line of the log; function and invocation of those within an invocation (package host).
func always() []string { return []string{"time", "level", "msg", "function", "invocation"} }

// events are the log events of the handler's source, with the fields that a line of each can have.
func events(t *testing.T) map[string]map[string]bool {
	t.Helper()
	all := source(t, "")
	shared := map[string]map[string]bool{} // what .With adds to a package's loggers
	fields := map[string]bool{}            // what Fields methods give
	for path, f := range all {
		dir := filepath.Dir(path)
		if shared[dir] == nil {
			shared[dir] = map[string]bool{}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if name, _ := called(n); name == "With" {
					addKeys(shared[dir], n.Args, nil)
				}
			case *ast.FuncDecl:
				if n.Name.Name == "Fields" {
					addLists(fields, n)
				}
			}
			return true
		})
	}
	found := map[string]map[string]bool{}
	for path, f := range all {
		for _, d := range f.Decls {
			if function, ok := d.(*ast.FuncDecl); ok {
				addEvents(found, function, shared[filepath.Dir(path)], fields)
			}
		}
	}
	return found
}

// addEvents finds the events that a function logs.
func addEvents(found map[string]map[string]bool, function *ast.FuncDecl, shared, fields map[string]bool) {
	at := map[string]int{"DebugContext": 1, "InfoContext": 1, "WarnContext": 1, "ErrorContext": 1, "LogAttrs": 2}
	ast.Inspect(function, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		name, on := called(call)
		i, logs := at[name]
		if !logs || len(call.Args) <= i {
			return true
		}
		msg, ok := literal(call.Args[i])
		if !ok {
			return true
		}
		if found[msg] == nil {
			found[msg] = map[string]bool{}
		}
		addKeys(found[msg], call.Args[i+1:], function)
		if with, ok := on.(*ast.CallExpr); ok { // a logger made for this line
			addKeys(found[msg], with.Args, nil)
			if spread(with, "Fields") {
				maps.Copy(found[msg], fields)
			}
		} else if !exported(on) { // one that a function before has made
			maps.Copy(found[msg], shared)
		}
		return true
	})
}

// called is the method of a call and what it is called on.
func called(call *ast.CallExpr) (string, ast.Expr) {
	if s, ok := call.Fun.(*ast.SelectorExpr); ok {
		return s.Sel.Name, s.X
	}
	return "", nil
}

// exported reports whether a logger is a field such as c.Log, to which nothing has been added.
func exported(on ast.Expr) bool {
	s, ok := on.(*ast.SelectorExpr)
	return ok && s.Sel.Name == "Log"
}

func spread(call *ast.CallExpr, method string) bool {
	return slices.ContainsFunc(call.Args, func(a ast.Expr) bool {
		inner, ok := a.(*ast.CallExpr)
		if !ok {
			return false
		}
		name, _ := called(inner)
		return name == method
	})
}

// addKeys takes the keys of pairs and of slog's attributes; what a variable holds is looked up in the function.
func addKeys(keys map[string]bool, args []ast.Expr, function *ast.FuncDecl) {
	for i := 0; i < len(args); i++ {
		if key, ok := literal(args[i]); ok {
			keys[key] = true
			i++
			continue
		}
		if call, ok := args[i].(*ast.CallExpr); ok && len(call.Args) > 0 {
			if key, ok := literal(call.Args[0]); ok {
				keys[key] = true
			}
		}
		if _, ok := args[i].(*ast.Ident); ok && function != nil {
			addLists(keys, function)
		}
	}
}

// addLists takes the keys of the lists of attributes that a function makes.
func addLists(keys map[string]bool, function *ast.FuncDecl) {
	ast.Inspect(function, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			if _, ok := n.Type.(*ast.ArrayType); ok {
				addKeys(keys, n.Elts, nil)
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "append" && len(n.Args) > 1 {
				addKeys(keys, n.Args[1:], nil)
			}
		}
		return true
	})
}

func literal(n ast.Node) (string, bool) {
	lit, ok := n.(*ast.BasicLit)
	if !ok || lit.Kind.String() != "STRING" {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

var alertRule = regexp.MustCompile(`(?s)name: '([\w-]+)'\n\s+title: .+?query: '''\n(.+?)'''`)

// alertQueries are the alerts' queries, by name.
func alertQueries(t *testing.T, all map[string]file) map[string]string {
	t.Helper()
	alerts := all["modules/alerts.bicep"]
	_, line, _ := strings.Cut(alerts.declared(t, "line").Text, "'")
	found := map[string]string{}
	for _, m := range alertRule.FindAllStringSubmatch(alerts.text, -1) {
		found[m[1]] = strings.TrimSuffix(line, "'") + m[2]
	}
	return found
}

type workbookItem struct {
	Type    int
	Name    string
	Content struct {
		Query, Title            string
		CrossComponentResources []string
		Parameters              []struct{ Name, Query string }
	}
}

func workbook(t *testing.T) []workbookItem {
	t.Helper()
	var w struct{ Items []workbookItem }
	if err := json.Unmarshal([]byte(read(t, "workbook.json")), &w); err != nil {
		t.Fatal(err)
	}
	return w.Items
}

// queries are all, of alerts and workbook.
func queries(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, query := range alertQueries(t, deployment(t)) {
		all["alert "+name] = query
	}
	for _, item := range workbook(t) {
		if item.Content.Query != "" {
			all["workbook "+item.Content.Title] = item.Content.Query
		}
		for _, p := range item.Content.Parameters {
			if p.Query != "" {
				all["workbook parameter "+p.Name] = p.Query
			}
		}
	}
	return all
}

var (
	msgIs    = regexp.MustCompile(`e\.msg == "([^"]+)"`)
	msgIn    = regexp.MustCompile(`e\.msg in \(([^)]+)\)`)
	quoted   = regexp.MustCompile(`"([^"]+)"`)
	fieldOf  = regexp.MustCompile(`\be\.(\w+)`)
	consoled = `traces | where tostring(customDimensions.Category) == "Host.Function.Console" | extend e = parse_json(message)`
)

// The events that runs of the tests have logged, in which everything goes wrong that a query looks for, and those of the source.
func TestQueriesNameEventsAndFieldsOfRunsAndOfTheCode(t *testing.T) {
	t.Parallel()
	known, recorded := events(t), recordedEvents(t)
	for _, must := range []string{"batch sealed", "custodian collected", "gap opened", "graph throttled", "queue depth"} {
		if len(known[must]) < 2 {
			t.Fatalf("the source's event %s has %v", must, known[must])
		}
	}
	for name, query := range queries(t) {
		var named []string
		for _, m := range msgIs.FindAllStringSubmatch(query, -1) {
			named = append(named, m[1])
		}
		for _, m := range msgIn.FindAllStringSubmatch(query, -1) {
			for _, one := range quoted.FindAllStringSubmatch(m[1], -1) {
				named = append(named, one[1])
			}
		}
		if strings.HasPrefix(query, "requests\n") || strings.HasPrefix(query, "StorageBlobLogs\n") {
			continue // the host's and the storage's own, whose columns are Microsoft's
		}
		if !strings.HasPrefix(query, consoled) || len(named) == 0 {
			t.Errorf("%s does not read the handler's lines: %s", name, query)
		}
		checkFields(t, name, query, named, known)
		checkFields(t, name, query, named, recorded)
	}
	for msg := range recorded {
		if known[msg] == nil {
			t.Errorf("the recorded event %s is logged no more: record anew, by %s", msg, graphtest.RecordSetting)
		}
	}
}

// recordedEvents are what runs have logged, with all fields that a line of each had.
func recordedEvents(t *testing.T) map[string]map[string]bool {
	t.Helper()
	all := map[string]map[string]bool{}
	for line := range strings.Lines(read(t, "testdata/events.jsonl")) {
		var e graphtest.LogEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if all[e.Msg] == nil {
			all[e.Msg] = map[string]bool{}
		}
		for _, f := range e.Fields {
			all[e.Msg][f] = true
		}
	}
	return all
}

func checkFields(t *testing.T, name, query string, named []string, known map[string]map[string]bool) {
	t.Helper()
	for _, event := range named {
		if known[event] == nil {
			t.Errorf("%s names the event %s, which nothing logs", name, event)
		}
	}
	for _, m := range fieldOf.FindAllStringSubmatch(query, -1) {
		// source filters every query of the workbook; where an event has none, the filter passes all.
		if !slices.Contains(always(), m[1]) && !slices.ContainsFunc(named, func(event string) bool { return known[event][m[1]] }) {
			t.Errorf("%s reads the field %s, which none of %q has", name, m[1], named)
		}
	}
}

func TestEveryAlertIsExplained(t *testing.T) {
	t.Parallel()
	found := alertQueries(t, deployment(t))
	wanted := []string{"gap-open", "batch-incomplete", "nothing-sealed", "poison", "source-refused", "source-disabled",
		"exception-near-retention", "config-rejected", "plan-silent", "test"}
	if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, slices.Sorted(slices.Values(wanted))) {
		t.Errorf("alerts %v, wanted %v", got, wanted)
	}
	readme := read(t, "README.md")
	for _, name := range append(wanted, "credential-ends") {
		if !strings.Contains(readme, "| `"+name+"` |") {
			t.Errorf("README.md does not say what %s means", name)
		}
	}
}

func TestAlertsSplitByColumnsOfTheirQueries(t *testing.T) {
	t.Parallel()
	rule := regexp.MustCompile(`(?s)dimensions: \[(.*?)\]\n\s+query: '''(.+?)'''`)
	found := rule.FindAllStringSubmatch(deployment(t)["modules/alerts.bicep"].text, -1)
	if len(found) < 10 {
		t.Fatalf("%d rules", len(found))
	}
	for _, m := range found {
		for _, dimension := range regexp.MustCompile(`'(\w+)'`).FindAllStringSubmatch(m[1], -1) {
			if !strings.Contains(m[2], dimension[1]+" = ") {
				t.Errorf("no column %s in %s", dimension[1], m[2])
			}
		}
	}
}

func TestTheWorkbookShowsWhatItReplaces(t *testing.T) {
	t.Parallel()
	text, template := read(t, "workbook.json"), deployment(t)["modules/workbook.bicep"].text
	for _, holder := range regexp.MustCompile(`__[A-Z]+__`).FindAllString(text, -1) {
		if !strings.Contains(template, "'"+holder+"'") {
			t.Errorf("nothing replaces %s", holder)
		}
	}
	seen := map[string]bool{}
	parameters := map[string]bool{"TimeRange": false, "Source": false, "PricePerGB": false}
	for _, item := range workbook(t) {
		if item.Name == "" || seen[item.Name] {
			t.Errorf("the name %q is no name or there twice", item.Name)
		}
		seen[item.Name] = true
		for _, p := range item.Content.Parameters {
			parameters[p.Name] = true
		}
	}
	for _, m := range regexp.MustCompile(`\{([A-Z]\w+)\}`).FindAllStringSubmatch(text, -1) {
		if !parameters[m[1]] {
			t.Errorf("there is no parameter %s", m[1])
		}
	}
}

func TestTheHostPassesTheHandlersLinesOn(t *testing.T) {
	t.Parallel()
	var host struct {
		Logging struct {
			LogLevel            map[string]string
			ApplicationInsights struct{ SamplingSettings struct{ IsEnabled bool } }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "../host.json")), &host); err != nil {
		t.Fatal(err)
	}
	if host.Logging.LogLevel["Host.Function.Console"] != "Information" || host.Logging.ApplicationInsights.SamplingSettings.IsEnabled {
		t.Errorf("lines would be left out: %+v", host.Logging)
	}
}

func TestTheScriptGrantsWhatTheSeedNames(t *testing.T) {
	t.Parallel()
	script := read(t, "grant.ps1")
	for _, must := range []string{"'Mail.Read'", "'Calendars.Read'", "'User.Read.All'", "'GroupMember.Read.All'", `"Application $permission"`,
		"SupportsShouldProcess", "[switch] $Remove", "Test-ServicePrincipalAuthorization", "Set-AzKeyVaultSecret", "-Expires $ends"} {
		if !strings.Contains(script, must) {
			t.Errorf("grant.ps1 has no %s", must)
		}
	}
	// Whatever changes something stands behind the question whether it is to be.
	changes := regexp.MustCompile(`(?m)^.*\b(?:New|Set|Add|Update|Remove)-(?:Mg|Management|ServicePrincipal|AzKeyVault)\w*`)
	body := script[strings.Index(script, "function Confirm-Step"):]
	if found := changes.FindAllString(body, -1); len(found) < 15 || strings.Count(body, "(Confirm-Step ") < 15 {
		t.Errorf("%d changes, %d questions", len(found), strings.Count(body, "(Confirm-Step "))
	}
	flags := regexp.MustCompile(`grant\.ps1((?:[^\n]*\\\n)*[^\n]*)`)
	for _, call := range flags.FindAllStringSubmatch(read(t, "README.md"), -1) {
		for _, flag := range regexp.MustCompile(` -([A-Z]\w+)`).FindAllStringSubmatch(call[1], -1) {
			if flag[1] != "WhatIf" && !regexp.MustCompile(`\] \$`+flag[1]+`\b`).MatchString(script) {
				t.Errorf("grant.ps1 has no -%s", flag[1])
			}
		}
	}
}

func TestTheReadmeNamesParametersAndOutputsThatExist(t *testing.T) {
	t.Parallel()
	readme := read(t, "README.md")
	if n := strings.Count(readme, "\n"); n > 220 {
		t.Errorf("README.md has %d lines", n)
	}
	main := deployment(t)["main.bicep"]
	got := regexp.MustCompile(`\$\(out (\w+)\)`).FindAllStringSubmatch(readme, -1)
	if len(got) < 4 {
		t.Fatalf("%d outputs are read", len(got))
	}
	for _, m := range got {
		if !slices.Contains(names(main.of(output)), m[1]) {
			t.Errorf("main.bicep has no output %s", m[1])
		}
	}
}
