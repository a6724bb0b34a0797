package graphtest

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestRoutesAreReadInEveryForm(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]route{
		"/users/u%2F1/messages/A%3D%3D/$value":     {template: pathValue, user: "u/1", message: "A=="},
		"/users('u1')/messages('A==')/$value":      {template: pathValue, user: "u1", message: "A=="},
		"/users('o''neil')":                        {template: pathUser, user: "o'neil"},
		"/users/u1/mailFolders/delta":              {template: pathFoldersDelta, user: "u1"},
		"/users/u1/mailFolders/delta()":            {template: pathFoldersDelta, user: "u1"},
		"/users/u1/mailFolders('inbox')/messages/": {template: pathFolderList, user: "u1", folder: "inbox"},
		"/groups/g/transitiveMembers/graph.user":   {template: pathMemberUsers, group: "g"},
		"/users/u/messages/m/attachments":          {template: pathAttachments, user: "u", message: "m"},
		"/users/u/messages/m/attachments/a/$value": {template: pathAttachment, user: "u", message: "m", attachment: "a"},
		"/$batch": {template: pathBatch},
	} {
		if got, err := parseRoute(path); err != nil || got != want {
			t.Errorf("parseRoute(%q) = %+v, %v, want %+v", path, got, err, want)
		}
	}
	for _, path := range []string{"", "users", "/", "/users//messages", "/me/messages", "/users/u/messages/m/attachments/a", "/users/%zz", "/users/u/$value"} {
		if got, err := parseRoute(path); err == nil {
			t.Errorf("parseRoute(%q) = %+v, want an error", path, got)
		}
	}
}

func TestFiltersAreReadAndOthersRefused(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"receivedDateTime ge 2026-03-02T00:00:00Z":                                              true,
		"receivedDateTime  gt  2026-03-02T00:00:00.5+01:00":                                     true,
		"receivedDateTime ge 2026-03-02T00:00:00Z and receivedDateTime lt 2026-03-03T00:00:00Z": true,
		"receivedDateTime ge 2026-03-02T00:00:00Z and isDraft eq false":                         true,
		"": false,
		"receivedDateTime eq 2026-03-02T00:00:00Z":                    false,
		"receivedDateTime ge '2026-03-02T00:00:00Z'":                  false,
		"receivedDateTime ge 2026-03-02":                              false,
		"receivedDateTime ge 2026-03-02T00:00:00Z or isDraft eq true": false,
		"receivedDateTime ge 2026-03-02T00:00:00Z and":                false,
		"isDraft eq 1":          false,
		"isDraft ne true":       false,
		"contains(subject,'x')": false,
	} {
		if _, err := parseFilter(text); (err == nil) != good {
			t.Errorf("parseFilter(%q) = %v, want good %v", text, err, good)
		}
	}
}

func TestPropertiesOfTheOrderComeFirstInTheFilter(t *testing.T) {
	t.Parallel()
	const received, draft = "receivedDateTime ge 2026-03-02T00:00:00Z", "isDraft eq false"
	for _, tt := range []struct {
		filter, order string
		want          bool
	}{
		{"", "subject", true},
		{received, "receivedDateTime", true},
		{received + " and " + draft, "receivedDateTime desc", true},
		{received + " and " + draft, "receivedDateTime,isDraft", true},
		{received + " and " + draft, "isDraft,receivedDateTime", false},
		{received + " and " + draft, "isDraft", false},
		{draft + " and " + received, "receivedDateTime", false},
		{received, "receivedDateTime,subject", false},
	} {
		var filter []clause
		var err error
		if tt.filter != "" {
			if filter, err = parseFilter(tt.filter); err != nil {
				t.Fatal(err)
			}
		}
		orders, err := parseOrder(tt.order)
		if err != nil {
			t.Fatal(err)
		}
		if got := efficient(filter, orders); got != tt.want {
			t.Errorf("efficient(%q, %q) = %v, want %v", tt.filter, tt.order, got, tt.want)
		}
	}
}

func FuzzParseRoute(f *testing.F) {
	for _, s := range []string{"/users/u/messages/m/$value", "/users('u')/mailFolders/delta()", "/$batch", "/users/%2F", "//"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r, err := parseRoute(path)
		if _, ok := served(r.template); err == nil && !ok {
			t.Errorf("parseRoute(%q) = %+v, which is not served", path, r)
		}
		if err == nil && slices.Contains([]string{pathValue, pathMessage}, r.template) && (r.user == "" || r.message == "") {
			t.Errorf("parseRoute(%q) = %+v, without a key", path, r)
		}
	})
}

func FuzzParseFilter(f *testing.F) {
	f.Add("receivedDateTime ge 2026-03-02T00:00:00Z and isDraft eq false")
	f.Add("isDraft eq true and and")
	f.Fuzz(func(t *testing.T, text string) {
		if clauses, err := parseFilter(text); (err == nil) != (len(clauses) > 0) {
			t.Errorf("parseFilter(%q) = %v, %v", text, clauses, err)
		}
	})
}

func FuzzParseDirectoryFilter(f *testing.F) {
	f.Add("proxyAddresses/any(p:p eq 'smtp:a@x.example') or id eq 'o''neil' and accountEnabled eq true")
	f.Fuzz(func(t *testing.T, text string) {
		if all, err := parseDirectoryFilter(text); err == nil && slices.ContainsFunc(all, func(and []directoryClause) bool { return len(and) == 0 }) {
			t.Errorf("parseDirectoryFilter(%q) = %v, with an empty term", text, all)
		}
	})
}

func FuzzParseExpand(f *testing.F) {
	f.Add("singleValueExtendedProperties($filter=id eq 'Integer 0x0E08' or id eq 'Long 0xe08')")
	f.Add("singleValueExtendedProperties($filter=id eq 'String 0x1042')")
	f.Fuzz(func(t *testing.T, text string) {
		if ids, err := parseExpand(text); err == nil && len(ids) == 0 {
			t.Errorf("parseExpand(%q) = nothing", text)
		}
	})
}

// FuzzServeHTTP holds that no request makes the stand-in fail: what it does not know it refuses.
func FuzzServeHTTP(f *testing.F) {
	f.Add("/v1.0/users/u/messages", "$top=1&$skip=2", `IdType="ImmutableId"`)
	f.Add("/v1.0/users/u/mailFolders/inbox/messages/x/$value", "", "")
	f.Add("/v1.0/users/u/mailFolders/delta", "$skiptoken=m~1", "odata.maxpagesize=9999999999")
	f.Add("/v1.0/users/u/messages/AAx/attachments", "$select=name&$top=2", "outlook.allow-unsafe-html")
	f.Add("/v1.0/users/u/messages/AAx/attachments/y/$value", "", "")
	f.Add("/v1.0/users/u/messages/AAy", "$select=body", "")
	f.Add("/v1.0/groups/g/transitiveMembers", "$skiptoken=x", "")
	f.Add("/contoso.onmicrosoft.com/oauth2/v2.0/token", "", "")
	root := newFolder("u", "", "Root", "root")
	root.Children = standardMailbox("u").Root.Children
	world := &Tenant{ID: "t", Domain: loadDomain, Users: []*User{{ID: "u", UserPrincipalName: "u@x.example", Mailbox: &Mailbox{Root: root}}},
		Groups: []*Group{{ID: "g", Groups: []string{"g"}, Members: []string{"u", "nobody"}}}}
	world.Users[0].Folder("inbox").Messages = []*Message{{ImmutableID: "AAx", MutableID: "AAy"}}
	s := NewServer(world, Options{Anonymous: true})
	f.Fuzz(func(t *testing.T, path, query, prefer string) {
		r := httptest.NewRequest(http.MethodGet, "http://graph.example/", nil)
		r.URL.Path, r.URL.RawQuery = path, query
		r.Header["Prefer"] = []string{prefer}
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, r)
		if rec.Code >= 500 || rec.Code < 200 {
			t.Errorf("GET %q?%q: %d", path, query, rec.Code)
		}
		if next := rec.Body.String(); strings.Contains(next, "nextLink") && !strings.Contains(next, "http://graph.example/v1.0/") {
			t.Errorf("GET %q?%q: a continuation elsewhere", path, query)
		}
	})
}
