package graph

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"chainmail/handlers/capture"
)

// mailbox serves one mailbox as far as a listing needs it, and notes what it does not like.
type mailbox struct {
	root    string // of the server, set by the first request
	folders []mailFolder
	noDelta bool
	noBatch func(url string) http.HandlerFunc // answers a request of a batch in the mailbox's stead
	onList  func(folder string)               // called before a list of messages is made

	mu      sync.Mutex
	mail    []mail
	asked   []string // paths of lists and folders, as they come
	batches []int    // requests in each
	faults  []string
}

type mailFolder struct {
	id, parent, name, known string
	hidden, search          bool
}

type mail struct {
	id, folder string
	received   string
	class      string
	draft      bool
	size       int
}

func sampleMailbox() *mailbox {
	return &mailbox{
		folders: []mailFolder{
			{id: "top", known: "msgfolderroot"},
			{id: "in", parent: "top", name: "Inbox", known: "inbox"},
			{id: "proj", parent: "in", name: "Projects"},
			{id: "del", parent: "top", name: "Gelöschte Elemente", known: "deleteditems"},
			{id: "delsub", parent: "del", name: "Old"},
			{id: "hid", parent: "top", name: "Team Chat", hidden: true},
			{id: "under", parent: "hid", name: "Visible below hidden"},
			{id: "search", parent: "top", name: "Unread", search: true},
			{id: "recdel", parent: "rec", name: "Deletions", known: "recoverableitemsdeletions"},
			{id: "recpur", parent: "rec", name: "Purges", known: "recoverableitemspurges"},
			{id: "recver", parent: "rec", name: "Versions", known: "recoverableitemsversions"},
		}, // without DiscoveryHolds, as most are
		mail: []mail{
			{id: "m1", folder: "in", received: "2026-03-02T00:00:00Z", size: 1234},
			{id: "m2", folder: "proj", received: "2026-03-02T10:00:00Z", class: "#microsoft.graph.eventMessageRequest"},
			{id: "m3", folder: "del", received: "2026-03-02T09:00:00Z"},
			{id: "m4", folder: "delsub", received: "2026-03-02T09:00:00Z"},
			{id: "m5", folder: "hid", received: "2026-03-02T11:00:00Z"},
			{id: "m6", folder: "under", received: "2026-03-02T11:00:00Z"},
			{id: "m7", folder: "recdel", received: "2026-03-02T12:00:00Z"},
			{id: "m8", folder: "recpur", received: "2026-03-02T13:00:00Z"},
			{id: "m9", folder: "recver", received: "2026-03-02T13:00:00Z"},
			{id: "d1", folder: "in", received: "2026-03-02T14:00:00Z", draft: true},
			{id: "early", folder: "in", received: "2026-03-01T23:59:59Z"},
			{id: "late", folder: "in", received: "2026-03-03T00:00:00Z"},
			{id: "top1", folder: "top", received: "2026-03-02T15:00:00Z"},
		},
	}
}

func day() capture.Window {
	return capture.Window{
		Start: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), End: time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC),
	}
}

func (m *mailbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	m.root = "http://" + r.Host + "/v1.0"
	m.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v1.0")
	if path == "/$batch" {
		m.batch(w, r)
		return
	}
	if r.Header.Get("Prefer") == "" || !strings.Contains(r.Header.Get("Prefer"), `IdType="ImmutableId"`) {
		m.fault("no ids header: " + path)
	}
	m.mu.Lock()
	m.asked = append(m.asked, strings.TrimPrefix(path, "/users/u1"))
	m.mu.Unlock()
	parts := strings.Split(strings.TrimPrefix(path, "/users/u1/"), "/")
	switch {
	case parts[0] == "messages":
		m.list(w, r, "")
	case parts[0] == "mailFolders" && strings.HasPrefix(parts[1], "delta"):
		m.delta(w, r)
	case parts[0] == "mailFolders":
		f, ok := m.folder(parts[1])
		switch {
		case !ok:
			refuse(404, "ErrorItemNotFound")(w, r)
		case len(parts) == 2:
			say(200, fmt.Sprintf(`{"id":%q,"displayName":%q}`, f.id, f.name))(w, r)
		case parts[2] == "childFolders":
			m.children(w, f.id)
		case parts[2] == "messages":
			m.list(w, r, f.id)
		}
	default:
		m.fault("unknown " + path)
		refuse(400, "BadRequest")(w, r)
	}
}

func (m *mailbox) fault(s string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = append(m.faults, s)
}

func (m *mailbox) folder(key string) (mailFolder, bool) {
	for _, f := range m.folders {
		if f.id == key || f.known == key {
			return f, true
		}
	}
	return mailFolder{}, false
}

func (m *mailbox) batch(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Requests []struct {
			ID, Method, URL string
			Headers         map[string]string
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		m.fault("batch: " + err.Error())
	}
	m.mu.Lock()
	m.batches = append(m.batches, len(in.Requests))
	m.mu.Unlock()
	var out []map[string]any
	for _, one := range slices.Backward(in.Requests) { // in any order
		if !strings.HasPrefix(one.URL, "/users/") || one.Method != "GET" {
			m.fault("batch: " + one.Method + " " + one.URL)
		}
		sub := httptest.NewRequest(one.Method, m.root+one.URL, nil)
		for k, v := range one.Headers {
			sub.Header.Set(k, v)
		}
		rec := httptest.NewRecorder()
		if stead := m.stead(one.URL); stead != nil {
			stead(rec, sub)
		} else {
			m.ServeHTTP(rec, sub)
		}
		headers := map[string]string{}
		for k := range rec.Header() {
			headers[k] = rec.Header().Get(k)
		}
		var body any = rec.Body.String()
		if json.Valid(rec.Body.Bytes()) {
			body = json.RawMessage(rec.Body.Bytes())
		}
		out = append(out, map[string]any{"id": one.ID, "status": rec.Code, "headers": headers, "body": body})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"responses": out})
}

func (m *mailbox) stead(url string) http.HandlerFunc {
	if m.noBatch == nil {
		return nil
	}
	return m.noBatch(url)
}

func (m *mailbox) delta(w http.ResponseWriter, r *http.Request) {
	if m.noDelta {
		refuse(400, "BadRequest")(w, r)
		return
	}
	if !strings.Contains(r.Header.Get("Prefer"), "odata.maxpagesize=") || r.URL.Query().Get("$top") != "" {
		m.fault("folders: page size is not a preference")
	}
	var rows []any
	for _, f := range m.folders {
		if f.known != "msgfolderroot" && !f.hidden && f.parent != "rec" {
			rows = append(rows, f.json())
		}
	}
	m.page(w, r, rows, 3) // smaller pages than asked for are allowed
}

func (f mailFolder) json() map[string]any {
	row := map[string]any{"id": f.id, "displayName": f.name, "parentFolderId": f.parent, "childFolderCount": 2}
	if f.search {
		row["@odata.type"] = "#microsoft.graph.mailSearchFolder"
	}
	return row
}

func (m *mailbox) children(w http.ResponseWriter, parent string) {
	rows := []any{}
	for _, f := range m.folders {
		if f.parent == parent && !f.hidden {
			rows = append(rows, f.json())
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"value": rows})
}

func (m *mailbox) list(w http.ResponseWriter, r *http.Request, folder string) {
	if m.onList != nil {
		m.onList(folder)
	}
	q := r.URL.Query()
	var from, to string
	if _, err := fmt.Sscanf(q.Get("$filter"), "receivedDateTime ge %s and receivedDateTime lt %s", &from, &to); err != nil {
		m.fault("filter " + q.Get("$filter"))
	}
	if q.Get("$orderby") != "receivedDateTime" || strings.Contains(q.Get("$select"), "body") {
		m.fault("query " + r.URL.RawQuery)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := []any{}
	for _, one := range m.mail {
		f, _ := m.folder(one.folder)
		if (folder == "" && f.parent == "rec") || (folder != "" && folder != one.folder) || one.received < from || one.received >= to {
			continue
		}
		row := map[string]any{
			"id": one.id, "parentFolderId": one.folder, "receivedDateTime": one.received, "isDraft": one.draft,
		}
		if strings.Contains(q.Get("$select"), "changeKey") {
			row["changeKey"], row["internetMessageId"], row["sentDateTime"] = "ck-"+one.id, "<"+one.id+"@x>", one.received
		}
		if one.class != "" {
			row["@odata.type"] = one.class
		}
		if strings.Contains(q.Get("$expand"), "Integer 0x0E08") && one.size > 0 {
			row["singleValueExtendedProperties"] = []any{map[string]string{"id": "Integer 0xe08", "value": strconv.Itoa(one.size)}}
		}
		rows = append(rows, row)
	}
	m.page(w, r, rows, 2)
}

func (m *mailbox) page(w http.ResponseWriter, r *http.Request, rows []any, size int) {
	q := r.URL.Query()
	skip, _ := strconv.Atoi(q.Get("$skip"))
	out := map[string]any{"value": rows[min(skip, len(rows)):min(skip+size, len(rows))]}
	if skip+size < len(rows) {
		q.Set("$skip", strconv.Itoa(skip+size))
		out["@odata.nextLink"] = m.root + strings.TrimPrefix(r.URL.Path, "/v1.0") + "?" + q.Encode()
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

func (m *mailbox) check(t *testing.T) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.faults {
		t.Errorf("server: %s", f)
	}
}

func brief(items []capture.Item) []string {
	var out []string
	for _, i := range items {
		out = append(out, fmt.Sprintf("%s %s %s", i.GraphID, i.Folder, i.State))
	}
	return out
}

func sampleListing() []string {
	return []string{
		"m1 Inbox active",
		"m3 Gelöschte Elemente deleted",
		"m4 Gelöschte Elemente/Old deleted",
		"m2 Inbox/Projects active",
		"m7 Recoverable Items/Deletions recoverable",
		"m8 Recoverable Items/Purges purged",
		"top1 Top of Information Store active",
	}
}

func TestListFindsTheSameByMailboxAndByFolder(t *testing.T) {
	t.Parallel()
	for _, q := range []Query{
		{Quick: true}, {Quick: false}, {Quick: true, IDsOnly: true}, {Quick: false, IDsOnly: true},
	} {
		t.Run(fmt.Sprintf("quick %v ids only %v", q.Quick, q.IDsOnly), func(t *testing.T) {
			t.Parallel()
			m := sampleMailbox()
			b := newBench(t, m)
			q.Window = day()
			got, err := b.client.List(t.Context(), "u1", q)
			if err != nil {
				t.Fatal(err)
			}
			if items := brief(got.Items); !slices.Equal(items, sampleListing()) {
				t.Errorf("List = %q, want %q", items, sampleListing())
			}
			if got.LeftOut[Draft] != 1 || q.Quick && got.LeftOut[HiddenFolder] != 2 {
				t.Errorf("LeftOut = %v", got.LeftOut)
			}
			m.check(t)
		})
	}
}

func TestListGivesEverythingThatARowHolds(t *testing.T) {
	t.Parallel()
	b := newBench(t, sampleMailbox())
	got, err := b.client.List(t.Context(), "u1", Query{Window: day(), Quick: true, Drafts: true})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	want := capture.Item{
		GraphID: "m1", ChangeKey: "ck-m1", Kind: capture.Email, Class: "message", InternetMessageID: "<m1@x>", Folder: "Inbox",
		FolderID: "in", State: capture.Active, Received: at, Sent: at, Size: 1234,
	}
	if !reflect.DeepEqual(got.Items[0], want) {
		t.Errorf("Items[0] = %+v, want %+v", got.Items[0], want)
	}
	classes, drafts := map[string]string{}, 0
	for _, i := range got.Items {
		classes[i.GraphID] = i.Class
		if i.Draft {
			drafts++
		}
	}
	if classes["m2"] != "eventMessageRequest" || drafts != 1 || got.LeftOut[Draft] != 0 {
		t.Errorf("classes %v, drafts %d, left out %v", classes, drafts, got.LeftOut)
	}
}

func TestAQuickListingOfAnIdleMailboxIsOneRoundTripPerList(t *testing.T) {
	t.Parallel()
	m := sampleMailbox()
	m.mail = nil
	m.folders = slices.DeleteFunc(m.folders, func(f mailFolder) bool { return f.id == "search" || f.id == "under" || f.id == "delsub" })
	b := newBench(t, m)
	got, err := b.client.List(t.Context(), "u1", Query{Window: day(), Quick: true})
	if err != nil || len(got.Items) != 0 {
		t.Fatalf("List = %v, %v", got, err)
	}
	if !slices.Equal(m.batches, []int{7}) || len(m.asked) != 7 {
		t.Errorf("batches %v, requests %q, want one batch of 7 and nothing else", m.batches, m.asked)
	}
}

func TestASecondListingSeesVisibleFoldersBeforeRecoverableOnes(t *testing.T) {
	t.Parallel()
	for _, quick := range []bool{true, false} {
		m := sampleMailbox()
		moved := false
		m.onList = func(folder string) { // between visible and recoverable folders somebody deletes m1 for good
			if folder == "recpur" && !moved {
				moved = true
				m.mu.Lock()
				m.mail[0].folder = "recpur"
				m.mu.Unlock()
			}
		}
		b := newBench(t, m)
		got, err := b.client.List(t.Context(), "u1", Query{Window: day(), Quick: quick, IDsOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		if items := brief(got.Items); items[0] != "m1 Recoverable Items/Purges purged" {
			t.Errorf("quick %v: List = %q, want m1 where it was seen last", quick, items)
		}
		last := 0
		for i, path := range m.asked {
			if strings.Contains(path, "messages") && !strings.Contains(path, "recoverable") {
				last = i
			}
		}
		first := slices.IndexFunc(m.asked, func(path string) bool { return strings.Contains(path, "recoverable") })
		if first < last {
			t.Errorf("quick %v: asked in the order %q", quick, m.asked)
		}
	}
}

func TestRequestsThatABatchLeavesOutAreAskedAlone(t *testing.T) {
	t.Parallel()
	faults := map[string]http.HandlerFunc{
		"throttled":         refuse(429, "ApplicationThrottled", "Retry-After", "3"),
		"throttled in text": say(429, "slow down", "Retry-After", "3"),
		"unavailable":       say(503, ""),
		"a gateway's page":  say(502, "<html>"),
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := sampleMailbox()
			m.noBatch = func(url string) http.HandlerFunc {
				if strings.Contains(url, "/users/u1/messages") || strings.Contains(url, "purges") || strings.Contains(url, "root") ||
					strings.Contains(url, "delta") {
					return fault
				}
				return nil
			}
			b := newBench(t, m)
			got, err := b.client.List(t.Context(), "u1", Query{Window: day(), Quick: true})
			if err != nil {
				t.Fatal(err)
			}
			if items := brief(got.Items); !slices.Equal(items, sampleListing()) {
				t.Errorf("List = %q, want %q", items, sampleListing())
			}
			if len(m.batches) != 1 {
				t.Errorf("batches %v, want one", m.batches)
			}
			if strings.HasPrefix(name, "throttled") && b.clock.total() < 3*time.Second {
				t.Errorf("waited %v, want Retry-After's 3s", b.clock.total())
			}
			m.check(t)
		})
	}
}

func TestAMailboxThatIsClosedFailsTheListing(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]Meaning{"ErrorAccessDenied": Denied, "MailboxNotEnabledForRESTAPI": NoMailbox} {
		status := map[Meaning]int{Denied: 403, NoMailbox: 404}[want]
		m := sampleMailbox()
		m.noBatch = func(string) http.HandlerFunc { return refuse(status, code) }
		_, err := newBench(t, m).client.List(t.Context(), "u1", Query{Window: day(), Quick: true})
		if MeaningOf(err) != want {
			t.Errorf("List = %v, want %s", err, want)
		}
	}
}

func TestAClosedRecoverableFolderIsNotTakenForAnAbsentOne(t *testing.T) {
	t.Parallel()
	for _, fault := range []http.HandlerFunc{refuse(403, "ErrorAccessDenied"), refuse(404, "MailboxNotEnabledForRESTAPI")} {
		m := sampleMailbox()
		m.noBatch = func(url string) http.HandlerFunc {
			if strings.Contains(url, "purges") {
				return fault
			}
			return nil
		}
		if _, err := newBench(t, m).client.List(t.Context(), "u1", Query{Window: day(), Quick: true}); err == nil {
			t.Error("List = nil, want an error")
		}
	}
}

func TestFoldersAreLearntLevelByLevelWhereThereIsNoFlatList(t *testing.T) {
	t.Parallel()
	for _, quick := range []bool{true, false} {
		m := sampleMailbox()
		m.noDelta = true
		got, err := newBench(t, m).client.List(t.Context(), "u1", Query{Window: day(), Quick: quick})
		if err != nil {
			t.Fatal(err)
		}
		if items := brief(got.Items); !slices.Equal(items, sampleListing()) {
			t.Errorf("quick %v: List = %q, want %q", quick, items, sampleListing())
		}
		m.check(t)
	}
}

func TestManyFoldersAreAskedInBatchesOfTwenty(t *testing.T) {
	t.Parallel()
	m := sampleMailbox()
	for i := range 45 {
		id := fmt.Sprint("f", i)
		m.folders = append(m.folders, mailFolder{id: id, parent: "in", name: id})
		m.mail = append(m.mail, mail{id: "x" + id, folder: id, received: "2026-03-02T05:00:00Z"})
	}
	got, err := newBench(t, m).client.List(t.Context(), "u1", Query{Window: day()})
	if err != nil || len(got.Items) != 7+45 {
		t.Fatalf("List = %d items, %v, want 52", len(got.Items), err)
	}
	if want := []int{3, 20, 20, 10, 3}; !slices.Equal(m.batches, want) {
		t.Errorf("batches of %v, want %v", m.batches, want)
	}
}

func TestAFolderThatIsItsOwnAncestorIsNotVisible(t *testing.T) {
	t.Parallel()
	tr := tree{top: "top", folders: map[string]folder{"a": {id: "a", parent: "b"}, "b": {id: "b", parent: "a"}}}
	if p, ok := tr.find("a"); ok {
		t.Errorf("find = %v, want not visible", p)
	}
}
