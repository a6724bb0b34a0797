package settings

import (
	"encoding/json"
	"time"
)

// What becomes of embedded files, the values of embeddedFileBehavior: images that a text shows in its place, and parts
// without a name.
const (
	EmbeddedImport             = "Import"                     // they are documents like attachments
	EmbeddedNotFromAttachments = "DoNotImportFromAttachments" // those of the email are, those of attached messages are not
	EmbeddedNot                = "DoNotImport"                // they are named in Other Metadata alone
)

// A Source is one data source: a tenant, an app registration, a set of individuals, and how they are collected. The
// schema has the meanings and ranges; see [Schema].
type Source struct {
	Name                 string // [a-z0-9-]{1,24}, fixed for life
	Enabled              bool
	Domain               string // of the tenant, or its id
	ApplicationID        string
	Cloud                string // public, usgov, usgovdod or china
	GraphEndpoint        string // on loopback, in place of Microsoft's; else empty
	Credential           Credential
	CollectEmail         bool
	CollectCalendar      bool
	Individuals          Individuals
	StartDate            time.Time     // UTC; zero: from when the source is enabled
	EndDate              time.Time     // UTC, exclusive; zero: without end
	Frequency            time.Duration // length of one window
	Offset               time.Duration // from a window's end until its data is available
	Settle               time.Duration // on top of the offset
	JobTimeout           time.Duration
	HealthWindow         time.Duration // zero: never disabled
	ErrorRetention       time.Duration
	Merge                bool
	MaxMerge             int // windows in one batch
	IndividualsPerJob    int // in one lane
	QuickDiscovery       bool
	Drafts               bool
	RetryPolicy          []time.Duration // waits before the retries; empty: none
	SplitFailedBatches   bool
	DiscoverIndividuals  bool
	IncludeNotLinked     bool
	DiscoveryIgnoresCase bool
	EmbeddedFiles        string // EmbeddedImport, EmbeddedNotFromAttachments or EmbeddedNot
	ExtractAttachments   bool
	DeletedItemRetention time.Duration
	Container            string
	ControlNumberPrefix  string // [A-Z0-9]{1,12}, of this source alone
}

// A Credential is how the app signs in.
type Credential struct {
	Kind     string // secret, certificate, managedIdentity, federated or none
	Setting  string // name of the app setting with the secret; kinds secret and certificate
	ClientID string // of the user-assigned managed identity
	Secret   Secret // what the app setting holds; empty when it was not looked for
}

// Individuals say who is monitored.
type Individuals struct {
	File                string   // path of a list below config/; may be empty
	Groups              []string // object ids of Entra groups
	PullDisabledUsers   bool
	PullUnlicensedUsers bool
}

// ParseSources reads a sources.json. lookup finds app settings by their exact names, for the secrets; with nil they are
// neither looked for nor missed. The error is of type [Faults] and lists everything that is wrong, in the order of the file.
func ParseSources(data []byte, lookup func(string) (string, bool)) ([]Source, error) {
	document, report, err := readDocument(data)
	if err != nil {
		return nil, err
	}
	book := rules()
	book.validate(document, report)
	entries := object(document).list("sources")
	check(entries, lookup, report)
	if faults := report.sorted(); faults != nil {
		return nil, faults
	}
	fill(book.root, document)
	sources := make([]Source, len(entries))
	for i, entry := range entries {
		sources[i] = source(object(entry), lookup)
	}
	return sources, nil
}

// source reads a source that is valid and complete.
func source(f fields, lookup func(string) (string, bool)) Source {
	s := Source{
		Name: f.text("name"), Enabled: f.flag("enabled"), Domain: f.text("domain"), ApplicationID: f.text("applicationId"),
		Cloud: f.text("cloud"), GraphEndpoint: f.text("graphEndpoint"),
		Credential:           credential(object(f["credential"]), lookup),
		Individuals:          individuals(object(f["individuals"])),
		StartDate:            f.instant("startDate"),
		EndDate:              f.instant("endDate"),
		Frequency:            f.span("frequencyInMinutes", time.Minute),
		Offset:               f.span("collectionPeriodOffsetInMinutes", time.Minute),
		Settle:               f.span("settleInMinutes", time.Minute),
		JobTimeout:           f.span("collectJobTimeoutInMinutes", time.Minute),
		HealthWindow:         f.span("healthCheckFailureWindowInMinutes", time.Minute),
		ErrorRetention:       f.span("lastErrorRetentionInHours", time.Hour),
		Merge:                f.flag("mergeBatchesDuringColdStart"),
		MaxMerge:             whole(f["maxBatchesToMerge"]),
		IndividualsPerJob:    whole(f["monitoredIndividualsPerJob"]),
		QuickDiscovery:       f.flag("useQuickDiscovery"),
		Drafts:               f.flag("collectDraftItems"),
		RetryPolicy:          []time.Duration{},
		SplitFailedBatches:   f.flag("splitFailedBatches"),
		DiscoverIndividuals:  f.flag("discoverMonitoredIndividuals"),
		IncludeNotLinked:     f.flag("includeIndividualsNotLinked"),
		DiscoveryIgnoresCase: f.flag("discoveryIgnoresCase"),
		EmbeddedFiles:        f.text("embeddedFileBehavior"),
		ExtractAttachments:   f.flag("extractAttachments"),
		DeletedItemRetention: f.span("deletedItemRetentionInDays", 24*time.Hour),
		Container:            f.text("container"),
		ControlNumberPrefix:  f.text("controlNumberPrefix"),
	}
	for _, what := range f.list("collect") {
		s.CollectEmail = s.CollectEmail || what == "email"
		s.CollectCalendar = s.CollectCalendar || what == "calendar"
	}
	for _, wait := range f.list("retryPolicyInMinutes") {
		s.RetryPolicy = append(s.RetryPolicy, time.Duration(whole(wait))*time.Minute)
	}
	return s
}

func credential(f fields, lookup func(string) (string, bool)) Credential {
	c := Credential{Kind: f.text("kind"), Setting: f.text("setting"), ClientID: f.text("clientId")}
	if lookup != nil && c.Setting != "" {
		value, _ := lookup(c.Setting)
		c.Secret = NewSecret(value)
	}
	return c
}

func individuals(f fields) Individuals {
	in := Individuals{
		File: f.text("file"), Groups: []string{},
		PullDisabledUsers: f.flag("pullDisabledUsers"), PullUnlicensedUsers: f.flag("pullUnlicensedUsers"),
	}
	for _, id := range f.list("groups") {
		if id, ok := id.(string); ok {
			in.Groups = append(in.Groups, id)
		}
	}
	return in
}

// fields are a JSON object's. What is missing or of another type reads as the zero value: the schema reports it.
type fields map[string]any

func object(v any) fields {
	f, _ := v.(map[string]any)
	return f
}

func (f fields) text(key string) string {
	s, _ := f[key].(string)
	return s
}

func (f fields) flag(key string) bool {
	b, _ := f[key].(bool)
	return b
}

func (f fields) list(key string) []any {
	l, _ := f[key].([]any)
	return l
}

func (f fields) span(key string, unit time.Duration) time.Duration {
	return time.Duration(whole(f[key])) * unit
}

func (f fields) instant(key string) time.Time {
	t, err := time.Parse(time.RFC3339, f.text(key))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// whole reads a number of the document, or of the schema's defaults.
func whole(v any) int {
	switch n := v.(type) {
	case int64:
		return int(n)
	case json.Number:
		i, _ := n.Int64()
		return int(i)
	}
	return 0
}
