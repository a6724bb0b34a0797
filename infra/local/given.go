package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"chainmail/handlers/config"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/settings"
	"chainmail/infra/package/staging"
)

// given is what the run was told: sources, lists of individuals, app settings.
type given struct {
	sources  []settings.Source
	files    map[string][]byte // blobs of the container config
	settings map[string]string // app settings of local.settings.json, and the secrets that the sources name
	warnings []string
}

func (o options) appDir() string     { return filepath.Join(o.data, "app") }
func (o options) storageDir() string { return filepath.Join(o.data, "azurite") }
func (o options) logFile() string    { return filepath.Join(o.data, "handler.log") }

// sampleSources is what runs when nothing is given.
const sampleSources = "infra/local/sample/sources.json"

// load reads everything that is given and finds its faults before anything is started.
func load(o options, root string) (*given, error) {
	file := o.sources
	if file == "" {
		file = filepath.Join(root, filepath.FromSlash(sampleSources))
	}
	values, err := localSettings(root)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, refuse("read sources: %w", err)
	}
	if o.graph != "" {
		if data, err = redirect(data, o.graph); err != nil {
			return nil, refuse("%s: %w", file, err)
		}
	}
	g := &given{files: map[string][]byte{config.File: data}, settings: values}
	if g.sources, err = settings.ParseSources(data, g.lookup); err != nil {
		return nil, refuse("%s:\n%w", file, err)
	}
	for _, s := range g.sources {
		if v, ok := g.lookup(s.Credential.Setting); ok && s.Credential.Setting != "" {
			g.settings[s.Credential.Setting] = v
		}
		if err := g.addList(filepath.Dir(file), s); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// lookup finds an app setting: in the environment, or in local.settings.json.
func (g *given) lookup(name string) (string, bool) {
	if v, ok := os.LookupEnv(name); ok {
		return v, true
	}
	v, ok := g.settings[name]
	return v, ok
}

// localSettings reads the values of local.settings.json, which need not be there.
func localSettings(root string) (map[string]string, error) {
	data, err := os.ReadFile(filepath.Join(root, staging.SettingsFile))
	if errors.Is(err, os.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, refuse("read local settings: %w", err)
	}
	var file struct {
		IsEncrypted bool
		Values      map[string]string
	}
	if err := json.Unmarshal(data, &file); err != nil || file.IsEncrypted {
		return nil, refuse("%s is not what local.settings.sample.json shows: its values must be strings, not encrypted", staging.SettingsFile)
	}
	if file.Values == nil {
		file.Values = map[string]string{}
	}
	return file.Values, nil
}

// redirect points every source to another Graph-like server, which wants no sign-in over plain http.
func redirect(data []byte, endpoint string) ([]byte, error) {
	var file map[string]json.RawMessage
	var sources []map[string]json.RawMessage
	if json.Unmarshal(data, &file) != nil || json.Unmarshal(file["sources"], &sources) != nil {
		return data, nil // its faults are found when it is read as sources
	}
	root, _ := json.Marshal(endpoint)
	for _, s := range sources {
		s["graphEndpoint"] = root
		if strings.HasPrefix(endpoint, "http:") {
			s["credential"] = json.RawMessage(`{"kind":"none"}`)
		}
	}
	all, err := json.Marshal(sources)
	if err != nil {
		return nil, err
	}
	file["sources"] = all
	return json.MarshalIndent(file, "", "  ")
}

// addList reads a source's list of individuals. Its bad rows are told, and the rest is used, as the app does.
func (g *given) addList(dir string, s settings.Source) error {
	name := s.Individuals.File
	if name == "" || g.files[name] != nil {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return refuse("source %s: read its list of individuals: %w", s.Name, err)
	}
	_, faults, err := settings.ParseIndividuals(data)
	if err != nil {
		return refuse("source %s: %s: %w", s.Name, name, err)
	}
	for _, f := range faults {
		g.warnings = append(g.warnings, fmt.Sprintf("%s line %d: %s", name, f.Line, f.Problem))
	}
	g.files[name] = data
	return nil
}

// serveGraph starts the stand-in for Microsoft Graph where the sources want one on this machine, unless another
// Graph-like server was named.
func (g *given) serveGraph(o options) (stop func(), err error) {
	endpoints := map[string]bool{}
	for _, s := range g.sources {
		if (s.Enabled || o.preflight) && s.GraphEndpoint != "" && o.graph == "" {
			endpoints[s.GraphEndpoint] = true
		}
	}
	var servers []*graphtest.Server
	stop = func() {
		for _, s := range servers {
			s.Close()
		}
	}
	for endpoint := range endpoints {
		u, err := url.Parse(endpoint)
		if err != nil || u.Scheme != "http" {
			stop()
			return nil, refuse("the stand-in for Microsoft Graph speaks http: change graphEndpoint, or name your own server by -graph")
		}
		server := graphtest.NewServer(sampleTenant(), graphtest.Options{Anonymous: true})
		if _, err := server.Start(address(u), false); err != nil {
			stop()
			return nil, fmt.Errorf("start the stand-in for Microsoft Graph on %s: the port is in use or not allowed: stop what listens "+
				"there, change graphEndpoint in the sources, or name that server by -graph", u.Host)
		}
		servers = append(servers, server)
	}
	return stop, nil
}

func address(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), "80")
}
