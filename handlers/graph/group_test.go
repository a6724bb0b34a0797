package graph

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"chainmail/handlers/graph/graphtest"
)

// clubs is a tenant with as many users, of whom the first is in the nested group and all are in the outer one.
func clubs(users int) *graphtest.Tenant {
	t := &graphtest.Tenant{ID: "7d2c1a4e-0000-4000-8000-000000000000", Domain: "contoso.onmicrosoft.com"}
	inner := &graphtest.Group{ID: "g-inner", Mail: "inner@contoso.example", Devices: []string{"device"}}
	outer := &graphtest.Group{ID: "g-outer", Groups: []string{"g-inner"}, Contacts: []string{"contact"}}
	empty := &graphtest.Group{ID: "g-empty", Contacts: []string{"contact"}}
	hidden := &graphtest.Group{ID: "g-hidden", Visibility: graphtest.HiddenMembership, Members: []string{"id-0000"}}
	for i := range users {
		name := fmt.Sprintf("%04d@contoso.example", i)
		t.Users = append(t.Users, &graphtest.User{ID: fmt.Sprintf("id-%04d", i), UserPrincipalName: name, Mail: name, Enabled: true})
		outer.Members = append(outer.Members, t.Users[i].ID)
	}
	inner.Members = outer.Members[:1]
	outer.Members = outer.Members[1:]
	t.Groups = []*graphtest.Group{outer, inner, empty, hidden}
	return t
}

// clubBench is a client of clubs.
func clubBench(t *testing.T, users int, o graphtest.Options) (*bench, *graphtest.Server) {
	t.Helper()
	o.Anonymous = true
	s := graphtest.NewServer(clubs(users), o)
	return newBench(t, s), s
}

// members lists a group.
func (b *bench) members(t *testing.T, group string) (ids []string, err error) {
	t.Helper()
	err = b.client.Members(t.Context(), group, func(u User) { ids = append(ids, u.ID) })
	slices.Sort(ids)
	return slices.Compact(ids), err
}

func TestMembersAreTheUsersOfAGroupAndItsNestedOnes(t *testing.T) {
	t.Parallel()
	const users = 2100 // three pages
	b, s := clubBench(t, users, graphtest.Options{})
	ids, err := b.members(t, "g-outer")
	if err != nil || len(ids) != users || ids[0] != "id-0000" || ids[users-1] != fmt.Sprintf("id-%04d", users-1) {
		t.Errorf("%d members, %v", len(ids), err)
	}
	if n := s.Requests()["GET /groups/{id}/transitiveMembers/microsoft.graph.user"]; n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
	if ids, err := b.members(t, "g-empty"); err != nil || len(ids) != 0 {
		t.Errorf("a group without users: %q, %v", ids, err)
	}
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("%d rules of Graph's were broken, the first: %s", len(v), v[0])
	}
}

func TestAMemberIsGivenAsTheDirectoryHasIt(t *testing.T) {
	t.Parallel()
	b, s := clubBench(t, 1, graphtest.Options{})
	s.Mutate(func(w *graphtest.Tenant) {
		w.Users[0] = &graphtest.User{
			ID: "id-0000", UserPrincipalName: "ada@contoso.example", Mail: "a.l@contoso.example", DisplayName: "Ada Lovelace", GivenName: "Ada",
			Surname: "Lovelace", UserType: "Guest", Enabled: true, Licensed: true, Aliases: []string{"countess@contoso.example"},
		}
	})
	want := User{
		ID: "id-0000", UserPrincipalName: "ada@contoso.example", Mail: "a.l@contoso.example", DisplayName: "Ada Lovelace", FirstName: "Ada",
		LastName: "Lovelace", UserType: "Guest", Enabled: true, Licensed: true, Addresses: []string{"a.l@contoso.example", "countess@contoso.example"},
	}
	var got []User
	if err := b.client.Members(t.Context(), "g-inner", func(u User) { got = append(got, u) }); err != nil || len(got) != 1 ||
		!reflect.DeepEqual(got[0], want) {
		t.Errorf("members = %+v, %v, want %+v", got, err, want)
	}
	found, err := b.client.FindUser(t.Context(), "id-0000")
	if err != nil || !reflect.DeepEqual(found, want) {
		t.Errorf("FindUser = %+v, %v", found, err)
	}
}

func TestAGroupThatCannotBeReadSaysWhatToDo(t *testing.T) {
	t.Parallel()
	path := func(r graphtest.Request) bool { return strings.HasPrefix(r.Path, "GET /groups/{id}/transitiveMembers") }
	for name, tt := range map[string]struct {
		group       string
		permissions []string
		fault       graphtest.Fault
		meaning     Meaning
		words       string
	}{
		"missing": {group: "g-none", meaning: NotFound, words: "404 GroupNotFound (not found): the tenant has no such group"},
		"no id": {group: "canary", fault: graphtest.Fault{Status: 400, Code: "Request_BadRequest"}, meaning: NotFound,
			words: "400 GroupNotFound (not found): the tenant has no such group"},
		"no permission": {group: "g-outer", permissions: []string{"User.Read.All"}, meaning: Unauthorized,
			words: "403 GroupMembersDenied (unauthorized): permission is missing: grant the application permission GroupMember.Read.All"},
		"no permission to read users": {group: "g-outer", permissions: []string{"GroupMember.Read.All"}, meaning: Unauthorized,
			words: "MembersUnreadable (unauthorized): Graph gives the members without their names: grant the application permission User.Read.All"},
		"hidden, answered by an empty list": {group: "g-hidden", meaning: Denied, words: "HiddenMembership (denied): the group hides its members"},
		"hidden, refused": {group: "g-hidden", fault: graphtest.Fault{Status: 403, Code: "Authorization_RequestDenied"}, meaning: Denied,
			words: "403 HiddenMembership (denied): the group hides its members"},
		"throttled": {group: "g-outer", fault: graphtest.Fault{Status: 429, Code: "TooManyRequests", RetryAfter: "1"}, meaning: Throttled,
			words: "429 TooManyRequests (throttled)"},
		"out of order": {group: "g-outer", fault: graphtest.Fault{Status: 503, Code: "serviceNotAvailable"}, meaning: Transient, words: "503"},
		"lapsed": {group: "g-outer", fault: graphtest.Fault{Status: 403, Code: "notAllowed"}, meaning: Unauthorized,
			words: "403 notAllowed (unauthorized)"},
		"empty": {group: " ", meaning: Bad, words: "EmptyIdentifier"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s := clubBench(t, 3, graphtest.Options{Permissions: tt.permissions})
			if tt.fault.Status != 0 {
				s.Fault(path, 0, tt.fault)
			}
			_, err := b.members(t, tt.group)
			if MeaningOf(err) != tt.meaning || err == nil || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("error = %v, want %s, %s", err, tt.meaning, tt.words)
			}
		})
	}
}

// TestAHiddenMembershipIsReadWithThePermissionForIt holds that the visibility alone refuses nobody.
func TestAHiddenMembershipIsReadWithThePermissionForIt(t *testing.T) {
	t.Parallel()
	b, _ := clubBench(t, 3, graphtest.Options{Permissions: append(graphtest.DefaultPermissions(), "Member.Read.Hidden")})
	if ids, err := b.members(t, "g-hidden"); err != nil || len(ids) != 1 {
		t.Errorf("members = %q, %v", ids, err)
	}
}

func TestAnEmptyGroupOfWhichNothingElseIsSaidIsNotRead(t *testing.T) {
	t.Parallel()
	b, s := clubBench(t, 3, graphtest.Options{})
	s.Fault(func(r graphtest.Request) bool { return r.Path == "GET /groups/{id}" }, 0, graphtest.Fault{Status: 503, Code: "serviceNotAvailable"})
	if _, err := b.members(t, "g-empty"); MeaningOf(err) != Transient {
		t.Errorf("error = %v, want transient", err)
	}
}

// TestMembersArePagedAsOtherLists holds one of each way in which paging goes wrong: the rows are those of the true list, or
// there is an error.
func TestMembersArePagedAsOtherLists(t *testing.T) {
	t.Parallel()
	const users = 1500
	for name, tt := range map[string]struct {
		fault graphtest.Fault
		times int
		code  string
	}{
		"an empty page":           {fault: graphtest.Fault{Page: graphtest.PageEmpty}, times: 1},
		"rows twice":              {fault: graphtest.Fault{Page: graphtest.PageDuplicates}, times: 1},
		"led astray once":         {fault: graphtest.Fault{Page: graphtest.PageForeign}, times: 1},
		"led astray for ever":     {fault: graphtest.Fault{Page: graphtest.PageForeign}, code: codeForeign},
		"too large a page":        {fault: graphtest.Fault{Status: 504, Empty: true}, times: 2},
		"cut off":                 {fault: graphtest.Fault{CutAfter: 2000}, times: 1},
		"a first page, then none": {fault: graphtest.Fault{Page: graphtest.PageSameRows}, code: codeEndless},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s := clubBench(t, users, graphtest.Options{})
			s.Fault(func(r graphtest.Request) bool { return r.Group == "g-outer" }, tt.times, tt.fault)
			ids, err := b.members(t, "g-outer")
			if tt.code != "" {
				if CodeOf(err) != tt.code {
					t.Errorf("error = %v, want %s", err, tt.code)
				}
				return
			}
			if err != nil || len(ids) != users {
				t.Errorf("%d members, %v", len(ids), err)
			}
		})
	}
}

func TestMembersEndWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b := newBench(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel() }))
	if err := b.client.Members(ctx, "g-outer", func(User) {}); err != context.Canceled {
		t.Errorf("error = %v", err)
	}
}
