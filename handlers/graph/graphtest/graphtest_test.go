package graphtest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/graph/graphtest"
)

// noon is the time of every world unless a test moves it.
func noon() time.Time { return time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) }

func folder(id, name, wellKnown string, children ...*graphtest.Folder) *graphtest.Folder {
	return &graphtest.Folder{ID: id, Name: name, WellKnown: wellKnown, Children: children}
}

// letter is a message received so many minutes after midnight of 2 March 2026.
func letter(id string, minutes int) *graphtest.Message {
	at := time.Date(2026, 3, 2, 0, minutes, 0, 0, time.UTC)
	return &graphtest.Message{
		ImmutableID: "AAkA-" + id, MutableID: "AAMk-" + id, ChangeKey: "ck-" + id, Received: at, Sent: at, Created: at, Modified: at,
		InternetMessageID: "<" + id + "@x.example>", Subject: "Subject of " + id, Size: 100, Raw: []byte("Subject: " + id + "\r\n\r\nHello\r\n"),
	}
}

func letters(prefix string, n int) []*graphtest.Message {
	var all []*graphtest.Message
	for i := range n {
		all = append(all, letter(fmt.Sprint(prefix, i), i))
	}
	return all
}

// tenant has two mailboxes. Ada's Inbox holds five messages, m0 to m4.
func tenant() *graphtest.Tenant {
	inbox := folder("F-inbox", "Inbox", "inbox", folder("F-projects", "Projects", ""))
	inbox.Messages = letters("m", 5)
	chat := folder("F-chat", "Team Chat", "")
	chat.Hidden, chat.Messages = true, letters("chat", 1)
	below := folder("F-below", "Below", "")
	chat.Children = []*graphtest.Folder{below}
	search := folder("F-search", "Unread", "")
	search.Search, search.Messages = true, inbox.Messages[:1]
	purges := folder("F-purges", "Purges", "recoverableitemspurges")
	purges.Messages = letters("purged", 2)
	top := folder("F-top", "Top of Information Store", "msgfolderroot", inbox, folder("F-del", "Gelöschte Elemente", "deleteditems"), chat, search)
	ada := &graphtest.User{
		ID: "id-ada", UserPrincipalName: "ada@contoso.example", Mail: "ada@contoso.example", DisplayName: "Ada", UserType: "Member",
		Enabled: true, Licensed: true, Aliases: []string{"a.l@contoso.example"},
		Mailbox: &graphtest.Mailbox{Root: folder("F-root", "Root", "root", top,
			folder("F-rec", "Recoverable Items", "recoverableitemsroot", purges))},
	}
	bobs := folder("F-bobs", "Inbox", "inbox")
	bobs.Messages = letters("bob", 1)
	bob := &graphtest.User{
		ID: "id-bob", UserPrincipalName: "bob@contoso.example", Mail: "bob@contoso.example", DisplayName: "Bob", Enabled: true, Licensed: true,
		Mailbox: &graphtest.Mailbox{Root: folder("F-bobroot", "Root", "root", folder("F-bobtop", "Top", "msgfolderroot", bobs))},
	}
	guest := &graphtest.User{ID: "id-guest", UserPrincipalName: "guest#EXT#@contoso.example", UserType: "Guest", Enabled: true}
	return &graphtest.Tenant{
		ID: "0d1c1c1e-0000-4000-8000-000000000001", Domain: "contoso.example", Users: []*graphtest.User{ada, bob, guest},
		Apps: []graphtest.App{{ClientID: "app-1", Secret: "one"}, {ClientID: "app-2", Secret: "two"}},
		Groups: []*graphtest.Group{
			{ID: "g-inner", DisplayName: "Inner", Members: []string{"id-bob", "id-ada"}},
			{ID: "g-outer", DisplayName: "Outer", Members: []string{"id-ada"}, Groups: []string{"g-inner"}},
		},
	}
}

// bench is a stand-in, and how a test talks to it: by plain HTTP, without tokens unless it says so.
type bench struct {
	*graphtest.Server
	root  string
	token string
	clock *graphtest.Clock
}

func newBench(t *testing.T, change ...func(*graphtest.Tenant, *graphtest.Options)) *bench {
	t.Helper()
	b := &bench{clock: graphtest.NewClock(noon())}
	world, o := tenant(), graphtest.Options{Now: b.clock.Now, Anonymous: true}
	for _, f := range change {
		f(world, &o)
	}
	b.Server, b.root = graphtest.Serve(t, world, o)
	return b
}

func withSignIn(_ *graphtest.Tenant, o *graphtest.Options) { o.Anonymous = false }

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error // of the connection
}

const immutable = `IdType="ImmutableId"`

// get asks for a path below the root or a whole URL. header are names and values in turn.
func (b *bench) get(t *testing.T, path string, header ...string) answer {
	t.Helper()
	return b.do(t, http.MethodGet, path, nil, header...)
}

func (b *bench) do(t *testing.T, method, path string, body io.Reader, header ...string) answer {
	t.Helper()
	if !strings.Contains(path, "://") {
		path = b.root + path
	}
	req, err := http.NewRequestWithContext(t.Context(), method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	if b.token != "" {
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, got, err}
}

// signIn gets a token for an app.
func (b *bench) signIn(t *testing.T, app, secret string) {
	t.Helper()
	b.token = ""
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {app}, "client_secret": {secret},
		"scope": {"https://graph.microsoft.com/.default"},
	}
	a := b.do(t, http.MethodPost, strings.TrimSuffix(b.root, "/v1.0")+"/contoso.example/oauth2/v2.0/token",
		strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(a.body, &got); err != nil || got.Token == "" {
		t.Fatalf("sign in: %d %s", a.status, a.body)
	}
	b.token = got.Token
}

func (a answer) code() string {
	var e struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	_ = json.Unmarshal(a.body, &e) // an answer without a code has the empty one
	return e.Error.Code
}

// page is one page of a list.
type page struct {
	Count *int             `json:"@odata.count"`
	Next  string           `json:"@odata.nextLink"`
	Delta string           `json:"@odata.deltaLink"`
	Value []map[string]any `json:"value"`
}

func (a answer) page(t *testing.T) page {
	t.Helper()
	var p page
	if err := json.Unmarshal(a.body, &p); err != nil || a.status != 200 {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return p
}

func (p page) ids() []string {
	var ids []string
	for _, row := range p.Value {
		ids = append(ids, fmt.Sprint(row["id"]))
	}
	return ids
}

// pages follows a list to its end.
func (b *bench) pages(t *testing.T, path string, header ...string) (ids []string, pages int) {
	t.Helper()
	for path != "" {
		p := b.get(t, path, header...).page(t)
		ids, path = append(ids, p.ids()...), p.Next
		if pages++; pages > 50 {
			t.Fatal("the list has no end")
		}
	}
	return ids, pages
}

// broken checks that the client is told of one violation that holds the words, or of none with "".
func (b *bench) broken(t *testing.T, words string) {
	t.Helper()
	got := b.Violations()
	if words == "" && len(got) > 0 || words != "" && (len(got) != 1 || !strings.Contains(got[0], words)) {
		t.Errorf("violations %q, want %q", got, words)
	}
}

const window = "$filter=receivedDateTime%20ge%202026-03-02T00:00:00Z%20and%20receivedDateTime%20lt%202026-03-03T00:00:00Z"

func TestRequestsAreAnsweredByGraphsRules(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, path, header string
		status             int
		code, violation    string
	}{
		{"user by id", "/users/id-ada?$select=id,mail", "", 200, "", ""},
		{"user by name in any case", "/users/ADA@contoso.example", "", 200, "", ""},
		{"user in parentheses", "/users('id-ada')", "", 200, "", ""},
		{"an alias is no user", "/users/a.l@contoso.example", "", 404, "Request_ResourceNotFound", ""},
		{"an alias opens the mailbox", "/users/a.l@contoso.example/mailFolders/inbox", "", 200, "", ""},
		{"no such user", "/users/nobody", "", 404, "Request_ResourceNotFound", ""},
		{"no such address's mailbox", "/users/no@contoso.example/messages", "", 404, "ErrorInvalidUser", ""},
		{"no such id's mailbox", "/users/nobody/messages", "", 404, "ResourceNotFound", ""},
		{"a guest's mailbox", "/users/id-guest/messages", "", 404, "MailboxNotEnabledForRESTAPI", ""},
		{"unknown property", "/users/id-ada?$select=salary", "", 400, "BadRequest", "unknown property"},
		{"users by address", "/users?$filter=proxyAddresses/any(p:p%20eq%20'smtp:a.l@contoso.example')", "", 200, "", ""},
		{"negation without its header", "/users?$filter=userType%20ne%20'Guest'&$count=true", "", 400, "Request_UnsupportedQuery", "advanced"},
		{"negation with it", "/users?$filter=userType%20ne%20'Guest'&$count=true", "ConsistencyLevel: eventual", 200, "", ""},
		{"parentheses in a filter", "/users?$filter=(id%20eq%20'x')", "", 400, "Request_UnsupportedQuery", "$filter"},
		{"too many users", "/users?$top=1000", "", 400, "ErrorInvalidUrlQuery", "$top"},
		{"members", "/groups/g-outer/transitiveMembers", "", 200, "", ""},
		{"members that are users", "/groups/g-outer/transitiveMembers/graph.user?$count=true", "ConsistencyLevel: eventual", 200, "", ""},
		{"the cast without its header", "/groups/g-outer/transitiveMembers/graph.user?$count=true", "", 400, "Request_UnsupportedQuery", "advanced"},
		{"the cast without a count", "/groups/g-outer/transitiveMembers/graph.user", "ConsistencyLevel: eventual", 400, "Request_UnsupportedQuery",
			"advanced"},
		{"too many members", "/groups/g-outer/transitiveMembers?$top=1000", "", 400, "ErrorInvalidUrlQuery", "$top"},
		{"members of no group", "/groups/g-none/transitiveMembers", "", 404, "Request_ResourceNotFound", ""},
		{"no such group", "/groups/g-none", "", 404, "Request_ResourceNotFound", ""},
		{"purpose without its permission", "/users/id-ada/mailboxSettings/userPurpose", "", 403, "ErrorAccessDenied", ""},

		{"folder by well-known name in any case", "/users/id-ada/mailFolders/SentItems", "", 404, "ErrorItemNotFound", ""},
		{"inbox in any case", "/users/id-ada/mailFolders/InBox", "", 200, "", ""},
		{"folder ids have a case", "/users/id-ada/mailFolders/f-inbox", "", 404, "ErrorItemNotFound", ""},
		{"a name is no id", "/users/id-ada/mailFolders/Projects", "", 404, "ErrorItemNotFound", ""},
		{"the archive through the primary", "/users/id-ada/mailFolders/archivemsgfolderroot", "", 404, "ErrorInvalidMailboxItemId", ""},
		{"folders with an unknown option", "/users/id-ada/mailFolders?$filter=x", "", 400, "RequestBroker--ParseUri", "unknown query option"},
		{"hidden folders, maybe", "/users/id-ada/mailFolders?includeHiddenFolders=yes", "", 400, "BadRequest", "neither true nor false"},
		{"$top cuts a delta", "/users/id-ada/mailFolders/delta?$top=2", "", 200, "", "$top on a delta"},

		{"list", "/users/id-ada/messages?" + window + "&$orderby=receivedDateTime", "", 200, "", ""},
		{"order not in the filter", "/users/id-ada/messages?" + window + "&$orderby=subject", "", 400, "InefficientFilter", "InefficientFilter"},
		{"order not first in the filter", "/users/id-ada/messages?$filter=isDraft%20eq%20false%20and%20receivedDateTime%20ge%202026-03-02T00:00:00Z&" +
			"$orderby=receivedDateTime", "", 400, "InefficientFilter", "InefficientFilter"},
		{"a filter alone", "/users/id-ada/messages?$filter=isDraft%20eq%20false", "", 200, "", ""},
		{"a quoted time", "/users/id-ada/messages?$filter=receivedDateTime%20ge%20'2026-03-02T00:00:00Z'", "", 400,
			"ErrorInvalidUrlQueryFilter", "without quotes"},
		{"a filter on the subject", "/users/id-ada/messages?$filter=subject%20eq%20'x'", "", 400, "ErrorInvalidUrlQueryFilter", "$filter"},
		{"unknown option", "/users/id-ada/messages?$search=x", "", 400, "RequestBroker--ParseUri", "unknown query option"},
		{"an option twice", "/users/id-ada/messages?$top=1&$top=2", "", 400, "BadRequest", "given twice"},
		{"a page of none", "/users/id-ada/messages?$top=0", "", 400, "ErrorInvalidUrlQuery", "$top is out of range"},
		{"a page too large", "/users/id-ada/messages?$top=1001", "", 400, "ErrorInvalidUrlQuery", "$top is out of range"},
		{"a bad offset", "/users/id-ada/messages?$skip=-1", "", 400, "ErrorInvalidUrlQuery", "$skip is not valid"},
		{"another extended property", "/users/id-ada/messages?$expand=singleValueExtendedProperties($filter=id%20eq%20'String%200x37')", "",
			400, "BadRequest", "$expand"},
		{"list of no folder", "/users/id-ada/mailFolders/F-none/messages", "", 404, "ErrorItemNotFound", ""},

		{"message", "/users/id-ada/messages/AAkA-m1?$select=id", "", 200, "", ""},
		{"message by its other id", "/users/id-ada/messages/AAMk-m1", "", 200, "", ""},
		{"message ids have a case", "/users/id-ada/messages/AAkA-M1", "", 404, "ErrorItemNotFound", ""},
		{"message of its folder", "/users/id-ada/mailFolders/F-inbox/messages/AAkA-m1", "", 200, "", ""},
		{"message of another folder", "/users/id-ada/mailFolders/F-del/messages/AAkA-m1", "", 404, "ErrorItemNotFound", ""},
		{"message of another mailbox", "/users/id-ada/messages/AAkA-bob0/$value", "", 404, "ErrorInvalidMailboxItemId", "another mailbox"},
		{"malformed id", "/users/id-ada/messages/17", "", 400, "ErrorInvalidIdMalformed", "malformed"},
		{"MIME", "/users/id-ada/messages/AAkA-m1/$value", "", 200, "", ""},
		{"MIME with an option", "/users/id-ada/messages/AAkA-m1/$value?$select=id", "", 400, "RequestBroker--ParseUri", "unknown query option"},

		{"no such resource", "/users/id-ada/contacts", "", 400, "BadRequest", "contacts"},
		{"no such collection", "/devices", "", 400, "BadRequest", "devices"},
		{"a key that is empty", "/users//messages", "", 400, "BadRequest", "segment"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var header []string
			if name, value, ok := strings.Cut(tt.header, ": "); ok {
				header = []string{name, value}
			}
			a := b.get(t, tt.path, header...)
			if a.status != tt.status || a.code() != tt.code {
				t.Errorf("%d %q, want %d %q: %s", a.status, a.code(), tt.status, tt.code, a.body)
			}
			if a.header.Get("request-id") == "" || a.header.Get("client-request-id") == "" {
				t.Errorf("headers %v, want the ids of the request", a.header)
			}
			b.broken(t, tt.violation)
		})
	}
}

func TestOtherMethodsAndVersionsAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if a := b.do(t, http.MethodPost, "/users/id-ada/messages", strings.NewReader("{}")); a.status != 405 {
		t.Errorf("POST: %d, want 405", a.status)
	}
	b.broken(t, "method is not allowed")
	b = newBench(t)
	if a := b.get(t, strings.TrimSuffix(b.root, "/v1.0")+"/beta/users"); a.status != 400 {
		t.Errorf("beta: %d, want 400", a.status)
	}
	b.broken(t, "beta")
}

func TestErrorsHaveGraphsShape(t *testing.T) {
	t.Parallel()
	a := newBench(t).get(t, "/users/nobody", "client-request-id", "mine")
	var e struct {
		Error struct {
			Code, Message string
			InnerError    map[string]string
		}
	}
	if err := json.Unmarshal(a.body, &e); err != nil {
		t.Fatal(err)
	}
	inner := e.Error.InnerError
	if e.Error.Message == "" || inner["request-id"] != a.header.Get("request-id") || inner["client-request-id"] != "mine" ||
		inner["date"] != "2026-03-04T12:00:00" {
		t.Errorf("error %+v, headers %v", e, a.header)
	}
}

func TestTheFormOfIDsIsThatOfTheRequestsHeader(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for header, want := range map[string]string{
		immutable: "AAkA-m0", "": "AAMk-m0", `IdType="immutableid"`: "AAMk-m0", `odata.maxpagesize=1, IdType="ImmutableId"`: "AAkA-m0",
	} {
		a := b.get(t, "/users/id-ada/mailFolders/inbox/messages?"+window+"&$orderby=receivedDateTime", "Prefer", header)
		if got := a.page(t).ids()[0]; got != want {
			t.Errorf("Prefer %q: id %q, want %q", header, got, want)
		}
		if applied := strings.Contains(strings.Join(a.header.Values("Preference-Applied"), ","), "ImmutableId"); applied != (want == "AAkA-m0") {
			t.Errorf("Prefer %q: Preference-Applied %q", header, a.header.Values("Preference-Applied"))
		}
	}
}

func TestAMoveChangesTheMutableIDAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Mutate(func(world *graphtest.Tenant) {
		if err := world.User("id-ada").Move("AAkA-m1", "Gelöschte Elemente"); err != nil {
			t.Error(err)
		}
	})
	p := b.get(t, "/users/id-ada/mailFolders/deleteditems/messages").page(t)
	if len(p.Value) != 1 || p.Value[0]["id"] == "AAMk-m1" || p.Value[0]["changeKey"] == "ck-m1" || p.Value[0]["parentFolderId"] != "F-del" {
		t.Errorf("rows %v, want m1 with another id and change key", p.Value)
	}
	for path, want := range map[string]int{"AAMk-m1": 404, "AAkA-m1": 200} {
		if a := b.get(t, "/users/id-ada/messages/"+path); a.status != want {
			t.Errorf("%s: %d, want %d", path, a.status, want)
		}
	}
}

func TestAContinuationWithoutTheIDsHeaderIsNoted(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/users/id-ada/messages?$top=2", "/users/id-ada/mailFolders/inbox/messages?$top=2"} {
		b := newBench(t)
		next := b.get(t, path, "Prefer", immutable).page(t).Next
		b.get(t, next, "Prefer", immutable)
		b.broken(t, "")
		if ids := b.get(t, next).page(t).ids(); !strings.HasPrefix(ids[0], "AAMk") {
			t.Errorf("ids %q, want mutable ones", ids)
		}
		b.broken(t, "continuation without the Prefer header")
	}
}

func TestListsArePagedByOffset(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	list := "/users/id-ada/mailFolders/inbox/messages?" + window + "&$orderby=receivedDateTime&$select=id&$top=2"
	ids, pages := b.pages(t, list, "Prefer", immutable)
	if want := []string{"AAkA-m0", "AAkA-m1", "AAkA-m2", "AAkA-m3", "AAkA-m4"}; !slices.Equal(ids, want) || pages != 3 {
		t.Errorf("%d pages of %q, want 3 of %q", pages, ids, want)
	}
	first := b.get(t, list, "Prefer", immutable).page(t)
	if u, err := url.Parse(first.Next); err != nil || !strings.HasPrefix(first.Next, b.root+"/") || u.Query().Get("$skip") != "2" ||
		u.Query().Get("$top") != "2" || u.Query().Get("$filter") == "" || u.Query().Get("$select") != "id" {
		t.Errorf("nextLink %q, want every option and $skip=2", first.Next)
	}
	b.Mutate(func(world *graphtest.Tenant) {
		if err := world.User("id-ada").Remove("AAkA-m0"); err != nil {
			t.Error(err)
		}
	})
	if ids, _ := b.pages(t, first.Next, "Prefer", immutable); !slices.Equal(ids, []string{"AAkA-m3", "AAkA-m4"}) {
		t.Errorf("after a removal: %q, want the row at the border lost, as Graph loses it", ids)
	}
	if p := b.get(t, list+"&$skip=9", "Prefer", immutable).page(t); len(p.Value) != 0 || p.Next != "" {
		t.Errorf("beyond the end: %v %q", p.Value, p.Next)
	}
	if p := b.get(t, strings.TrimSuffix(list, "&$top=2"), "Prefer", immutable+",odata.maxpagesize=3").page(t); len(p.Value) != 3 {
		t.Errorf("maxpagesize=3 gives %d rows", len(p.Value))
	}
	b.broken(t, "")
}

func TestListsDefaultToTenRowsNewestFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(world *graphtest.Tenant, _ *graphtest.Options) {
		world.User("id-ada").Folder("inbox").Messages = letters("m", 12)
	})
	p := b.get(t, "/users/id-ada/mailFolders/inbox/messages", "Prefer", immutable).page(t)
	if len(p.Value) != 10 || p.ids()[0] != "AAkA-m11" || p.Next == "" {
		t.Errorf("rows %q, next %q", p.ids(), p.Next)
	}
}

func TestFiltersCompareWithTheStoredTimeAndRowsShowWholeSeconds(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(world *graphtest.Tenant, _ *graphtest.Options) {
		m := letter("fine", 0)
		m.Received = time.Date(2026, 3, 2, 23, 59, 59, 999_999_900, time.UTC)
		world.User("id-ada").Folder("inbox").Messages = []*graphtest.Message{m}
	})
	list := "/users/id-ada/mailFolders/inbox/messages?"
	p := b.get(t, list+window).page(t)
	if len(p.Value) != 1 || p.Value[0]["receivedDateTime"] != "2026-03-02T23:59:59Z" {
		t.Errorf("rows %v", p.Value)
	}
	for filter, want := range map[string]int{ // it was received a moment after the second that is shown
		"le%202026-03-02T23:59:59Z": 0, "gt%202026-03-02T23:59:59Z": 1, "ge%202026-03-03T00:00:00Z": 0, "lt%202026-03-03T00:00:00Z": 1,
	} {
		if n := len(b.get(t, list+"$filter=receivedDateTime%20"+filter).page(t).Value); n != want {
			t.Errorf("%s: %d rows, want %d", filter, n, want)
		}
	}
}

func TestTheMailboxesListHoldsHiddenFoldersAndNotRecoverableItems(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.get(t, "/users/id-ada/messages?$count=true", "Prefer", immutable).page(t)
	ids := p.ids()
	slices.Sort(ids)
	if want := []string{"AAkA-chat0", "AAkA-m0", "AAkA-m1", "AAkA-m2", "AAkA-m3", "AAkA-m4"}; !slices.Equal(ids, want) {
		t.Errorf("mailbox-wide: %q, want %q", ids, want)
	}
	if p.Count == nil || *p.Count == len(ids) {
		t.Errorf("@odata.count = %v, want a wrong one", p.Count)
	}
	purged := b.get(t, "/users/id-ada/mailFolders/RecoverableItemsPurges/messages?$count=true", "Prefer", immutable).page(t)
	if len(purged.Value) != 2 || *purged.Count != 2 {
		t.Errorf("purges: %q, count %v", purged.ids(), purged.Count)
	}
}

func TestFoldersAreListedByLevelAndByDelta(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for path, want := range map[string][]string{
		"/users/id-ada/mailFolders":                                   {"F-inbox", "F-del", "F-search"},
		"/users/id-ada/mailFolders?includeHiddenFolders=true":         {"F-inbox", "F-del", "F-chat", "F-search"},
		"/users/id-ada/mailFolders/inbox/childFolders":                {"F-projects"},
		"/users/id-ada/mailFolders/F-chat/childFolders":               {"F-below"},
		"/users/id-ada/mailFolders/recoverableitemsroot/childFolders": {"F-purges"},
		"/users/id-ada/mailFolders/delta":                             {"F-inbox", "F-projects", "F-del", "F-below", "F-search"},
		"/users/id-ada/mailFolders/delta()":                           {"F-inbox", "F-projects", "F-del", "F-below", "F-search"},
	} {
		if ids, _ := b.pages(t, path); !slices.Equal(ids, want) {
			t.Errorf("%s: %q, want %q", path, ids, want)
		}
	}
	ids, pages := b.pages(t, "/users/id-ada/mailFolders/delta", "Prefer", "odata.maxpagesize=2")
	if len(ids) != 5 || pages != 3 {
		t.Errorf("delta by two: %d pages, %q", pages, ids)
	}
	last := b.get(t, "/users/id-ada/mailFolders/delta").page(t)
	if last.Delta == "" || last.Next != "" {
		t.Errorf("last page: next %q, delta %q", last.Next, last.Delta)
	}
	if a := b.get(t, last.Delta); a.status != 410 || a.code() != "syncStateNotFound" || a.header.Get("Location") == "" {
		t.Errorf("an old delta: %d %s, Location %q", a.status, a.code(), a.header.Get("Location"))
	}
	for _, row := range last.Value {
		if search := row["@odata.type"] == "#microsoft.graph.mailSearchFolder"; search != (row["id"] == "F-search") {
			t.Errorf("row %v", row)
		}
	}
	b.broken(t, "")
}

func TestTopOnADeltaEndsTheRoundEarly(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if p := b.get(t, "/users/id-ada/mailFolders/delta?$top=2").page(t); len(p.Value) != 2 || p.Next != "" || p.Delta == "" {
		t.Errorf("rows %q, next %q, want an early end", p.ids(), p.Next)
	}
}

func TestMembersOfNestedGroupsComeOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(world *graphtest.Tenant, _ *graphtest.Options) {
		inner := world.Groups[0]
		inner.Groups, inner.Contacts, inner.Devices = []string{"g-outer"}, []string{"contact"}, []string{"device"}
	})
	for path, want := range map[string][]string{
		"/groups/g-outer/transitiveMembers":                               {"id-ada", "g-inner", "id-bob", "contact", "device"},
		"/groups/g-outer/transitiveMembers?$top=1":                        {"id-ada", "g-inner", "id-bob", "contact", "device"},
		"/groups/g-outer/transitiveMembers/graph.user?$count=true":        {"id-ada", "id-bob"},
		"/groups/g-outer/transitiveMembers/graph.user?$count=true&$top=1": {"id-ada", "id-bob"},
	} {
		if ids, _ := b.pages(t, path, "ConsistencyLevel", "eventual"); !slices.Equal(ids, want) {
			t.Errorf("%s: %q, want %q", path, ids, want)
		}
	}
	b.broken(t, "")
	first := b.get(t, "/groups/g-outer/transitiveMembers/graph.user?$count=true&$top=1", "ConsistencyLevel", "eventual").page(t)
	if got := b.get(t, first.Next); got.status != 400 {
		t.Errorf("a continuation without the header ConsistencyLevel: %d", got.status)
	}
}

func TestAHiddenMembershipWantsAPermissionOfItsOwn(t *testing.T) {
	t.Parallel()
	for permission, want := range map[string][]string{"Mail.Read": {"id-ada", "g-inner"}, "Member.Read.Hidden": {"id-ada", "g-inner", "id-bob"}} {
		b := newBench(t, func(world *graphtest.Tenant, o *graphtest.Options) {
			world.Groups[0].Visibility = graphtest.HiddenMembership
			o.Permissions = []string{"GroupMember.Read.All", "User.Read.All", permission}
		})
		if ids, _ := b.pages(t, "/groups/g-outer/transitiveMembers"); !slices.Equal(ids, want) {
			t.Errorf("with %s: %q, want %q", permission, ids, want)
		}
	}
}

func TestMembersHaveNoNamesForAnAppThatMayNotReadUsers(t *testing.T) {
	t.Parallel()
	for permission, named := range map[string]bool{"Mail.Read": false, "User.Read.All": true} {
		b := newBench(t, func(_ *graphtest.Tenant, o *graphtest.Options) {
			o.Permissions = []string{"GroupMember.Read.All", permission}
		})
		got := string(b.get(t, "/groups/g-inner/transitiveMembers?$select=id,userPrincipalName").body)
		if !strings.Contains(got, "id-bob") || strings.Contains(got, "bob@contoso.example") != named {
			t.Errorf("with %s: %s", permission, got)
		}
	}
}

func TestPermissionsAreHeldApart(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/users/id-ada/messages":                    "Mail.Read",
		"/users/id-ada":                             "User.Read.All",
		"/users":                                    "User.Read.All",
		"/groups/g-outer/transitiveMembers":         "GroupMember.Read.All",
		"/users/id-ada/mailboxSettings/userPurpose": "Mail.Read MailboxSettings.Read",
	} {
		all := []string{"Mail.Read", "User.Read.All", "GroupMember.Read.All", "MailboxSettings.Read"}
		for _, missing := range all {
			b := newBench(t, func(_ *graphtest.Tenant, o *graphtest.Options) {
				o.Permissions = slices.DeleteFunc(slices.Clone(all), func(p string) bool { return p == missing })
			})
			if got := b.get(t, path).status == 403; got != slices.Contains(strings.Fields(want), missing) {
				t.Errorf("%s without %s: refused %v", path, missing, got)
			}
		}
	}
}

func TestAnswersAreCompressedWhenTheClientTakesIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	plain := b.get(t, "/users/id-ada/messages/AAkA-m1/$value", "Accept-Encoding", "identity")
	packed := b.get(t, "/users/id-ada/messages/AAkA-m1/$value", "Accept-Encoding", "gzip")
	if plain.header.Get("Content-Encoding") != "" || packed.header.Get("Content-Encoding") != "gzip" || bytes.Equal(plain.body, packed.body) {
		t.Errorf("encodings %q and %q", plain.header.Get("Content-Encoding"), packed.header.Get("Content-Encoding"))
	}
	if plain.header.Get("Content-Length") != "" {
		t.Errorf("Content-Length %q, want none", plain.header.Get("Content-Length"))
	}
}

func TestRequestsAndViolationsNameTemplatesAndNoIDs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.get(t, "/users/ada@contoso.example/messages?$search=x")
	b.get(t, "/users/ada@contoso.example/messages/AAkA-m1/$value")
	b.get(t, "/users/ada@contoso.example/messages/AAMk-m1/$value")
	if got := b.Requests(); got["GET /users/{id}/messages"] != 1 || got["GET /users/{id}/messages/{id}/$value"] != 2 || len(got) != 2 {
		t.Errorf("Requests = %v", got)
	}
	if got := b.Violations(); len(got) != 1 || got[0] != `#1 GET /users/{id}/messages: unknown query option "$search"` {
		t.Errorf("Violations = %q", got)
	}
	if n := b.Fetches("id-ada", "AAkA-m1"); n != 2 {
		t.Errorf("Fetches = %d, want 2 by either id", n)
	}
}

func TestAHandlerNeedsNoListener(t *testing.T) {
	t.Parallel()
	s := graphtest.NewServer(tenant(), graphtest.Options{Anonymous: true})
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "http://graph.example/v1.0/users/id-ada/messages?$top=1", nil))
	var p page
	if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || !strings.HasPrefix(p.Next, "http://graph.example/v1.0/users/id-ada/messages?") {
		t.Errorf("nextLink %q, %v, want the client's own address of the server", p.Next, err)
	}
}
