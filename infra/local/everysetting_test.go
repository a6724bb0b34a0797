package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/pack"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault"
	"chainmail/handlers/vault/storagetest"
)

// The sample whose sources together give every setting another value than its default.
const (
	everySetting     = "sample/every-setting.json"
	everySettingList = "sample/individuals/every-setting.csv"
)

// everySettingOn writes that sample with another address of Graph.
func everySettingOn(t *testing.T, address string, change func(sources []byte) []byte) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{everySetting, everySettingList} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if name == everySetting {
			if data = bytes.ReplaceAll(data, []byte("127.0.0.1:8085"), []byte(address)); change != nil {
				data = change(data)
			}
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, filepath.FromSlash(everySetting))
}

// A yield is what a run left behind.
type yield struct {
	dir, data string // the copied evidence, and where the run kept its storage
	stdout    string
	manifests map[string][]pack.Manifest     // by source, in the order of their periods
	seals     map[string][]pack.Seal         // by source
	items     map[string][]pack.ItemRow      // by source
	records   map[string][]map[string]string // of load files, by source; a record by its columns
}

// collectEverySetting runs the sample to its end and reads the evidence.
func collectEverySetting(t *testing.T, want int, sources string, args ...string) *yield {
	t.Helper()
	dir := t.TempDir()
	y := &yield{
		dir: filepath.Join(dir, "out"), data: filepath.Join(dir, "data"), manifests: map[string][]pack.Manifest{},
		seals: map[string][]pack.Seal{}, items: map[string][]pack.ItemRow{}, records: map[string][]map[string]string{},
	}
	args = append([]string{
		"-once", "-data", y.data, "-storage-port", "0", "-api-port", "0", "-out", y.dir, "-sources", sources,
	}, args...)
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), args, &stdout, &stderr); code != want {
		t.Fatalf("exit code %d, want %d\n%s\n%s", code, want, stdout.String(), stderr.String())
	}
	y.stdout = stdout.String()
	files := tree(t, y.dir)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		source, _, _ := strings.Cut(filepath.ToSlash(name), "/")
		if err := y.read(source, name, files[name]); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return y
}

// read takes in a file of the evidence.
func (y *yield) read(source, name, text string) error {
	switch {
	case filepath.Base(name) == "manifest.json":
		m, err := pack.ParseManifest([]byte(text))
		y.manifests[source] = append(y.manifests[source], m)
		return err
	case strings.HasSuffix(name, ".seal.json"):
		s, err := pack.ParseSeal([]byte(text))
		y.seals[source] = append(y.seals[source], s)
		return err
	case strings.HasSuffix(name, ".items.jsonl"):
		rows, err := pack.DecodeItems([]byte(text))
		y.items[source] = append(y.items[source], rows...)
		return err
	case strings.HasSuffix(name, ".zip"):
		return y.readPackage(source, text)
	}
	return nil
}

func (y *yield) readPackage(source, text string) error {
	z, err := zip.NewReader(strings.NewReader(text), int64(len(text)))
	if err != nil {
		return err
	}
	f, err := z.Open("loadfile.dat")
	if err != nil {
		return err
	}
	defer f.Close()
	l, err := pack.NewLoadFileReader(f)
	if err != nil {
		return err
	}
	for {
		values, err := l.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		record := map[string]string{}
		for i, column := range pack.Columns() {
			record[column] = values[i]
		}
		y.records[source] = append(y.records[source], record)
	}
}

// lengths are how much time each of a source's batches takes.
func (y *yield) lengths(source string) (all []time.Duration) {
	for _, m := range y.manifests[source] {
		all = append(all, m.End.Sub(m.Start))
	}
	return all
}

// identifiers are those of all custodians in a source's seals.
func (y *yield) identifiers(source string) []string {
	var all []string
	for _, s := range y.seals[source] {
		for _, c := range s.Custodians {
			all = append(all, c.Identifier)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ids are a source's items that pass, each once.
func (y *yield) ids(source string, pass func(pack.ItemRow) bool) []string {
	var all []string
	for _, i := range y.items[source] {
		if i.Parent == "" && pass(i) {
			all = append(all, i.GraphID)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// leftOut reports whether every manifest of a source says that the scope was left out by the setting.
func (y *yield) leftOut(source, scope, setting string) bool {
	want := pack.Coverage{Scope: scope, Reason: "left out by setting " + setting}
	return len(y.manifests[source]) > 0 && !slices.ContainsFunc(y.manifests[source], func(m pack.Manifest) bool {
		return !slices.Contains(m.Coverage, want)
	})
}

// found are the individuals that a source's documents are tagged with beside the custodian they were found at.
func (y *yield) found(source string) []string {
	var all []string
	for _, r := range y.records[source] {
		for _, i := range strings.Split(r["Trace Monitored Individuals"], ";") {
			if i != r["Mailbox"] {
				all = append(all, i)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// everySettingDays are the days that the sources desk and half-day collect
var everySettingDays = capture.Window{
	Start: time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC), End: time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC),
}

// owed are the emails of the sample that the sources desk and half-day owe, or the drafts among them.
func owed(t *testing.T, drafts bool) []string {
	t.Helper()
	tenant, truth := graphtest.Sample(1)
	people := listed(t)
	var all []string
	for _, i := range truth.InScope(everySettingDays, true) {
		u := tenant.User(i.UserID)
		one := slices.ContainsFunc(people, func(p string) bool { return strings.EqualFold(p, u.Mail) })
		if one && i.Draft == drafts {
			all = append(all, i.ImmutableID)
		}
	}
	if len(all) == 0 {
		t.Fatal("the sample owes nothing")
	}
	slices.Sort(all)
	return all
}

// listed are the identifiers on the sample's list.
func listed(t *testing.T) (all []string) {
	t.Helper()
	data, err := os.ReadFile(everySettingList)
	if err != nil {
		t.Fatal(err)
	}
	people, faults, err := settings.ParseIndividuals(data)
	if err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
	for _, p := range people {
		all = append(all, p.Identifier)
	}
	slices.Sort(all)
	return all
}

func isMail(i pack.ItemRow) bool { return i.Kind == capture.Email }

// shownSettings are the settings whose effect is seen in the evidence of one run over the sample.
var shownSettings = map[string]func(*testing.T, *yield){
	"name":                            seeSources,
	"enabled":                         seeSources,
	"graphEndpoint":                   seeAllThatIsOwed,
	"collect":                         seeKinds,
	"individuals.file":                seeList,
	"individuals.groups":              seeMember("hugo.castellan"),
	"individuals.pullDisabledUsers":   seeMember("piotr.zielinski", "accounts"),
	"individuals.pullUnlicensedUsers": seeMember("svenja.brandt", "accounts"),
	"startDate":                       seeDates,
	"endDate":                         seeDates,
	"frequencyInMinutes":              seeLengths("half-day", 12*time.Hour, 12*time.Hour, 12*time.Hour, 12*time.Hour),
	"mergeBatchesDuringColdStart":     seeLengths("half-day", 12*time.Hour, 12*time.Hour, 12*time.Hour, 12*time.Hour),
	"maxBatchesToMerge":               seeLengths("desk", 16*time.Hour, 16*time.Hour, 16*time.Hour),
	"monitoredIndividualsPerJob":      seeLanes,
	"useQuickDiscovery":               seeAllThatIsOwed,
	"collectDraftItems":               seeDrafts,
	"discoverMonitoredIndividuals":    seeFound("maren.oldenkamp@", "priya.raman@", "amara.diallo@"),
	"includeIndividualsNotLinked":     seeFound("hugo.castellan@", "svenja.brandt@", "accounts@"),
	"discoveryIgnoresCase":            seeFound("Tobias.Feldt@"), // no mail writes it with capitals
	"embeddedFileBehavior":            seeEmbedded,
	"extractAttachments":              seeNoAttachments,
	"container":                       seeContainers,
	"controlNumberPrefix":             seePrefixes,
}

func TestEverySettingShowsItsEffectInTheSample(t *testing.T) {
	t.Parallel()
	y := collectEverySetting(t, exitDone, everySettingOn(t, freeAddress(t), nil))
	for name, see := range shownSettings {
		t.Run(name, func(t *testing.T) { see(t, y) })
	}
}

func seeSources(t *testing.T, y *yield) {
	if got := slices.Sorted(maps.Keys(y.manifests)); !slices.Equal(got, []string{"desk", "group", "half-day"}) {
		t.Errorf("batches of the sources %q: of resting there must be none", got)
	}
	for source, seals := range y.seals {
		for _, s := range seals {
			if s.Source != source || s.Package != nil && !strings.HasPrefix(s.Package.Name, source+".") {
				t.Errorf("in the folder %s lies the part %+v", source, s.Name())
			}
		}
	}
	if strings.Contains(y.stdout, "resting") {
		t.Error("the table tells of a source that is not enabled")
	}
}

func seeAllThatIsOwed(t *testing.T, y *yield) {
	drafts := owed(t, true)
	want := owed(t, false)
	folderByFolder := y.ids("desk", func(i pack.ItemRow) bool { return !slices.Contains(drafts, i.GraphID) })
	if quick := y.ids("half-day", isMail); !slices.Equal(folderByFolder, want) || !slices.Equal(quick, want) {
		t.Errorf("%d items were captured folder by folder, %d in one go, and %d are owed", len(folderByFolder), len(quick), len(want))
	}
}

func seeKinds(t *testing.T, y *yield) {
	for source, kind := range map[string]capture.Kind{"desk": capture.Email, "half-day": capture.Email, "group": capture.Event} {
		other := y.ids(source, func(i pack.ItemRow) bool { return i.Kind != kind })
		if all := y.ids(source, func(pack.ItemRow) bool { return true }); len(other) > 0 || len(all) == 0 {
			t.Errorf("%s: of %d items %d are no %s", source, len(all), len(other), kind)
		}
	}
	if !y.leftOut("desk", "calendars", "collect") || y.leftOut("group", "calendars", "collect") ||
		!y.leftOut("group", "email", "collect") || y.leftOut("desk", "email", "collect") {
		t.Error("the coverage does not say what was left out")
	}
}

func seeList(t *testing.T, y *yield) {
	for _, source := range []string{"desk", "half-day"} {
		if got := y.identifiers(source); !slices.Equal(got, listed(t)) {
			t.Errorf("%s has the custodians %q", source, got)
		}
	}
}

func seeMember(nicknames ...string) func(*testing.T, *yield) {
	return func(t *testing.T, y *yield) {
		for _, n := range nicknames {
			if got := y.identifiers("group"); !slices.Contains(got, n+"@contoso.onmicrosoft.com") || len(got) != 4 {
				t.Errorf("the custodians are %q, without the member %s", got, n)
			}
		}
	}
}

func seeDates(t *testing.T, y *yield) {
	for source, manifests := range y.manifests {
		first, last := manifests[0].Start, manifests[len(manifests)-1].End
		if !first.Equal(everySettingDays.Start) || !last.Equal(everySettingDays.End) {
			t.Errorf("%s was collected from %v to %v", source, first, last)
		}
	}
	for _, i := range slices.Concat(y.items["desk"], y.items["half-day"]) {
		if i.Parent == "" && !everySettingDays.Contains(i.Received) {
			t.Fatalf("%s was received at %v", i.ControlNumber, i.Received)
		}
	}
}

func seeLengths(source string, want ...time.Duration) func(*testing.T, *yield) {
	return func(t *testing.T, y *yield) {
		if got := y.lengths(source); !slices.Equal(got, want) {
			t.Errorf("the batches of %s take %v, want %v", source, got, want)
		}
	}
}

func seeLanes(t *testing.T, y *yield) {
	lanes := func(source string) []int {
		var all []int
		for _, s := range y.seals[source] {
			if all = append(all, s.Lane); source == "desk" && len(s.Custodians) > 2 {
				t.Errorf("%d custodians in one lane", len(s.Custodians))
			}
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	if got := lanes("desk"); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("desk has the lanes %v", got)
	}
	if got := lanes("half-day"); !slices.Equal(got, []int{0}) {
		t.Errorf("half-day has the lanes %v", got)
	}
}

func seeDrafts(t *testing.T, y *yield) {
	want := owed(t, true)
	isDraft := func(i pack.ItemRow) bool { return slices.Contains(want, i.GraphID) }
	if got := y.ids("desk", isDraft); !slices.Equal(got, want) {
		t.Errorf("%d drafts were captured, want %d", len(got), len(want))
	}
	if got := y.ids("half-day", isDraft); len(got) > 0 {
		t.Errorf("%d drafts were captured where they are not asked for", len(got))
	}
	told := 0
	for _, r := range y.records["desk"] {
		if r["Trace Email Action"] == "Draft" && r["Parent Document ID"] == "" {
			told++
		}
	}
	if told != len(want) {
		t.Errorf("%d drafts are told as such, of %d", told, len(want))
	}
	if !y.leftOut("half-day", "drafts", "collectDraftItems") || y.leftOut("desk", "drafts", "collectDraftItems") {
		t.Error("the coverage does not say where they were left out")
	}
}

// seeFound holds that the source desk finds individuals by their addresses, and that the source half-day, in the same mail,
// does not.
func seeFound(names ...string) func(*testing.T, *yield) {
	return func(t *testing.T, y *yield) {
		for _, n := range names {
			if !slices.Contains(y.found("desk"), n+"contoso.onmicrosoft.com") {
				t.Errorf("nobody's mail is tagged with %s", n)
			}
		}
		if other := y.found("half-day"); len(other) > 0 {
			t.Errorf("tagged with %q without the setting", other)
		}
		for _, r := range slices.Concat(y.records["desk"], y.records["half-day"]) {
			if strings.Contains(r["From"]+r["To"]+r["CC"]+r["BCC"], "Tobias.Feldt@") {
				t.Error("the sample writes to an address with capitals: that case is ignored is not seen")
			}
		}
	}
}

func seeEmbedded(t *testing.T, y *yield) {
	subjects := map[string]string{}
	for _, r := range y.records["desk"] {
		subjects[r["Control Number"]] = r["Subject"]
	}
	var images []string
	for _, r := range y.records["desk"] {
		if subjects[r["Parent Document ID"]] == "Logo inline" {
			images = append(images, r["File Name"])
		}
	}
	if slices.Sort(images); !slices.Equal(images, []string{"logo.png", "smile.png"}) {
		t.Errorf("the email with two images in its text has the documents %q", images)
	}
}

func seeNoAttachments(t *testing.T, y *yield) {
	count := func(source string) (documents, listed int) {
		for _, r := range y.records[source] {
			if r["Parent Document ID"] != "" {
				documents++
			}
			if r["Attachment List"] != "" {
				listed++
			}
		}
		return documents, listed
	}
	if documents, listed := count("half-day"); documents > 0 || listed == 0 {
		t.Errorf("%d documents of attachments, %d emails that list theirs", documents, listed)
	}
	if documents, _ := count("desk"); documents == 0 {
		t.Error("the same mail has no attachments with the setting on")
	}
	if !y.leftOut("half-day", "text of attachments", "extractAttachments") {
		t.Error("the coverage does not say it")
	}
}

func seeContainers(t *testing.T, y *yield) {
	azurite, err := storagetest.Start(t.Context(), storagetest.Options{Dir: filepath.Join(y.data, "azurite")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = azurite.Stop() }()
	v, err := vault.Open(vault.Account{ConnectionString: azurite.ConnectionString(storagetest.DevelopmentName)})
	if err != nil {
		t.Fatal(err)
	}
	for container, want := range map[string][]string{
		"desk-evidence": {"_config", "_format", "desk"}, "evidence": {"_config", "_format", "group", "half-day"},
	} {
		var got []string
		for i, err := range v.Container(container).List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			folder, _, _ := strings.Cut(i.Name, "/")
			got = append(got, folder)
		}
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("the container %s holds %q, want %q", container, got, want)
		}
	}
}

func seePrefixes(t *testing.T, y *yield) {
	for source, prefix := range map[string]string{"desk": "DESK-", "half-day": "HALF-", "group": "GROUP-"} {
		for _, i := range y.items[source] {
			if !strings.HasPrefix(i.ControlNumber, prefix) {
				t.Fatalf("%s has the control number %s", source, i.ControlNumber)
			}
		}
	}
}

// TestAMailboxThatFailsIsSeenInTheStatusesOfItsBatches runs the sample's source half-day, which retries nothing and splits
// nothing, beside one that differs from it in splitFailedBatches alone, over a tenant in which a mailbox fails.
func TestAMailboxThatFailsIsSeenInTheStatusesOfItsBatches(t *testing.T) {
	t.Parallel()
	tenant := sampleTenant()
	failing := tenant.User("amara.diallo@contoso.onmicrosoft.com")
	failing.Problem = graphtest.ProblemInsufficient
	_, root := graphtest.Serve(t, tenant, graphtest.Options{Anonymous: true})
	y := collectEverySetting(t, exitFailed, everySettingOn(t, "127.0.0.1:8085", halfDayTwice(t)), "-graph", root)
	statuses := func(source string) (all []string) {
		for _, m := range y.manifests[source] {
			for _, s := range m.Statuses {
				if s.Status == capture.PendingRetry {
					t.Errorf("%s: a batch waited for a retry", source)
				}
			}
			all = append(all, string(m.Status))
		}
		slices.Sort(all)
		return all
	}
	if got, want := statuses("half-day"), slices.Repeat([]string{"CompletedWithErrors"}, 4); !slices.Equal(got, want) {
		t.Errorf("without splitting the batches are %q", got)
	}
	want := slices.Concat(slices.Repeat([]string{"Abandoned"}, 4), slices.Repeat([]string{"Completed"}, 4))
	if got := statuses("split"); !slices.Equal(got, want) {
		t.Errorf("with splitting the batches are %q", got)
	}
	for source, seals := range y.seals {
		for _, s := range seals {
			for _, c := range s.Custodians {
				if failed := c.ID == failing.ID; failed != (c.Status == capture.Failed) {
					t.Errorf("%s: the custodian %s is %s", source, c.ID, c.Status)
				}
			}
		}
	}
}

// halfDayTwice keeps of the sample's sources half-day, and adds the source split, which has splitFailedBatches as it is by
// default.
func halfDayTwice(t *testing.T) func([]byte) []byte {
	return func(data []byte) []byte {
		sources := sourcesOf(t, data)
		split := maps.Clone(sources["half-day"])
		split["name"], split["controlNumberPrefix"] = "split", "SPLIT"
		delete(split, "splitFailedBatches")
		data, err := json.Marshal(map[string]any{"sources": []any{sources["half-day"], split}})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
}

// sourcesOf reads a file of sources as it stands there, by name.
func sourcesOf(t *testing.T, data []byte) map[string]map[string]any {
	t.Helper()
	var file struct{ Sources []map[string]any }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]any{}
	for _, s := range file.Sources {
		all[s["name"].(string)] = s
	}
	return all
}
