package settings

import (
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"
)

// An Environment is what the app settings say about the app itself.
type Environment struct {
	Queues    Connection    // the Functions host's queues, whose messages are counted
	State     Connection    // tables, and the containers config and state
	Evidence  Connection    // evidence containers
	RunBudget time.Duration // after so long a collecting run ends and hands on
	Console   Console       // to whom the operators' console answers
	LogLevel  slog.Level
	Lookup    func(string) (string, bool) // the app settings, by their exact names
}

// A Connection is how a storage account is reached: by a connection string, or by service addresses and the app's managed
// identity, under the names that the Functions host has for it (Microsoft Learn, "Azure Functions: configure an
// identity-based connection"). A service that is not needed may be empty.
type Connection struct {
	String          Secret // connection string; then the others are empty
	BlobServiceURI  string
	TableServiceURI string
	QueueServiceURI string
	ClientID        string // of the user-assigned identity; empty: the system-assigned one
}

// Names and bounds of the app settings. The longest budget leaves time to close a part before the app's own deadline for
// an invocation, 28 min.
const (
	queuesSetting    = "AzureWebJobsStorage"
	stateSetting     = "CHAINMAIL_STATE"
	evidenceSetting  = "CHAINMAIL_EVIDENCE"
	consoleSetting   = "CHAINMAIL_CONSOLE"
	budgetSetting    = "RUN_BUDGET"
	levelSetting     = "LOG_LEVEL"
	defaultRunBudget = 8 * time.Minute
	shortestBudget   = time.Second
	longestBudget    = 20 * time.Minute
)

// The services of a storage account, as the settings' names and the services' hosts have them.
const (
	blobService  = "blob"
	tableService = "table"
	queueService = "queue"
)

// FromEnvironment reads the app settings. lookup finds them by their exact names; an empty one counts as not set. The
// error is of type [Faults], lists everything that is wrong, and holds no value.
func FromEnvironment(lookup func(string) (string, bool)) (Environment, error) {
	r := &environment{lookup: lookup}
	env := Environment{
		Queues:    r.connection(queuesSetting, queueService),
		State:     r.connection(stateSetting, blobService, tableService),
		Evidence:  r.connection(evidenceSetting, blobService),
		RunBudget: r.budget(),
		Console:   r.console(),
		LogLevel:  r.level(),
		Lookup:    lookup,
	}
	if r.faults != nil {
		return Environment{}, r.faults
	}
	return env, nil
}

type environment struct {
	lookup func(string) (string, bool)
	faults Faults
}

func (r *environment) get(name string) string {
	value, _ := r.lookup(name)
	return strings.TrimSpace(value)
}

func (r *environment) fault(name, problem string) {
	r.faults = append(r.faults, Fault{Path: name, Problem: problem})
}

// connection reads an account's settings. needs are the services without which it is of no use.
func (r *environment) connection(name string, needs ...string) Connection {
	c := Connection{
		String:          NewSecret(r.get(name)),
		BlobServiceURI:  r.address(name, blobService),
		TableServiceURI: r.address(name, tableService),
		QueueServiceURI: r.address(name, queueService),
		ClientID:        r.get(name + "__clientId"),
	}
	byIdentity := c.BlobServiceURI+c.TableServiceURI+c.QueueServiceURI+c.ClientID != ""
	switch {
	case !c.String.IsZero() && byIdentity:
		r.fault(name, "is set, and so are settings that begin with "+name+"__: keep either the connection string, or those for the managed identity")
	case !c.String.IsZero():
		r.judge(name, c.String.Reveal())
	case !byIdentity:
		r.fault(name, "is not set: give it the storage account's connection string, or set "+addresses(name, needs)+" for the managed identity")
	default:
		r.identity(name, c, needs)
	}
	return c
}

// judge tells a connection string from what is mistaken for one.
func (r *environment) judge(name, value string) {
	lower := strings.ToLower(value)
	switch {
	case placeholder(value) != "":
		r.fault(name, placeholder(value))
	case strings.Contains(lower, "usedevelopmentstorage=true"), strings.Contains(lower, "accountkey="), strings.Contains(lower, "sharedaccesssignature="):
	default:
		r.fault(name, "is no connection string: copy it from the storage account's page Access keys, or write UseDevelopmentStorage=true for Azurite")
	}
}

// identity checks the settings of an identity-based connection.
func (r *environment) identity(name string, c Connection, needs []string) {
	given := map[string]string{blobService: c.BlobServiceURI, tableService: c.TableServiceURI, queueService: c.QueueServiceURI}
	for _, service := range needs {
		if given[service] == "" {
			r.fault(addressName(name, service), "is not set: give it the address of the account's "+service+" service, "+addressOf(service))
		}
	}
	for _, service := range []string{blobService, tableService, queueService} {
		if given[service] != "" && !serviceAddress(given[service]) {
			r.fault(addressName(name, service), "is no address of a service: it must be "+addressOf(service)+", without a key or a signature")
		}
	}
	if c.ClientID != "" && !guid.MatchString(c.ClientID) {
		r.fault(name+"__clientId", "is no GUID: give it the client id of the user-assigned identity, or remove it to use the system-assigned one")
	}
}

func (r *environment) address(name, service string) string { return r.get(addressName(name, service)) }

func addressName(name, service string) string { return name + "__" + service + "ServiceUri" }

func addresses(name string, services []string) string {
	var names []string
	for _, s := range services {
		names = append(names, addressName(name, s))
	}
	return strings.Join(names, " and ")
}

func addressOf(service string) string { return "https://ACCOUNT." + service + ".core.windows.net" }

// serviceAddress reports whether s is the https root of a service and carries no secret.
func serviceAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" &&
		strings.Trim(u.Path, "/") == ""
}

func (r *environment) budget() time.Duration {
	text := r.get(budgetSetting)
	if text == "" {
		return defaultRunBudget
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < shortestBudget || d > longestBudget {
		r.fault(budgetSetting, "must be a duration from 1s to 20m, such as 8m; without it, it is 8m")
	}
	return d
}

// platform are the variables by which a process knows that it runs on Azure.
func platform() []string {
	return []string{"WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME", "WEBSITE_POD_NAME"}
}

// deployed reports whether the process runs on Azure.
func (r *environment) deployed() bool {
	return slices.ContainsFunc(platform(), func(name string) bool { return r.get(name) != "" })
}

func (r *environment) level() slog.Level {
	switch strings.ToLower(r.get(levelSetting)) {
	case "debug":
		return slog.LevelDebug
	case "", "info":
		return slog.LevelInfo
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	r.fault(levelSetting, "must be debug, info, warn or error; without it, it is info")
	return slog.LevelInfo
}
