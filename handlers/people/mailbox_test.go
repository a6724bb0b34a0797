package people

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
)

func TestWhoCannotBeCollectedIsExcludedWithTheReason(t *testing.T) {
	t.Parallel()
	tenant, truth := graphtest.Sample(1)
	w := newWorld(t, tenant)
	w.configure(nil)
	w.put(testList, string(graphtest.Custodians(tenant)))
	w.tick()
	if got := w.reasons(); !maps.Equal(got, truth.Excluded) {
		t.Errorf("excluded: %v, want %v", got, truth.Excluded)
	}
	for identifier, p := range w.people() {
		want := ""
		if u := tenant.User(identifier); u != nil {
			want = u.ID
		}
		if p.ObjectID != want || !p.CheckedAt.Equal(w.now) {
			t.Errorf("the object id for reason %q is %q, want %q, checked at %v", p.Reason, p.ObjectID, want, p.CheckedAt)
		}
	}
	if v := w.graph.Violations(); len(v) > 0 {
		t.Errorf("%d rules of Graph's were broken, the first: %s", len(v), v[0])
	}
}

func TestALookUpGivesTheVerdict(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		list   string                // identifier and secondary identifiers; every row has a domain of its own
		change func(*graphtest.User) // of a licensed member, ada@contoso.example with the alias countess@contoso.example
		found  bool
		reason string
	}{
		{"member", ada, nil, true, ""},
		{"in another case", "ADA@Contoso.example", nil, true, ""},
		{"by an alias", "countess@contoso.example", nil, true, ""},
		{"by object id", "{id}", nil, true, ""},
		{"by the first secondary identifier", "gone@contoso.example,countess@contoso.example;nobody@contoso.example", nil, true, ""},
		{"by the last secondary identifier", "gone@contoso.example,nobody@contoso.example;" + ada, nil, true, ""},
		{"nobody", "gone@contoso.example,nobody@contoso.example", nil, false, capture.ReasonNotFound},
		{"no address", "Ada Lovelace", nil, false, capture.ReasonNotFound},
		{"distribution list", "all@list.example", nil, false, capture.ReasonNotFound},
		{"unlicensed", ada, func(u *graphtest.User) { u.Licensed = false }, true, ""},
		{"sign-in blocked", ada, func(u *graphtest.User) { u.Enabled = false }, true, ""},
		{"shared", ada, func(u *graphtest.User) { u.Enabled, u.Licensed, u.Purpose = false, false, "shared" }, true, ""},
		{"an account made before there were types", ada, func(u *graphtest.User) { u.UserType = "" }, true, ""},
		{"licensed guest", ada, func(u *graphtest.User) { u.UserType = "Guest" }, true, ""},
		{"unlicensed guest", ada, func(u *graphtest.User) { u.UserType, u.Licensed = "Guest", false }, true, capture.ReasonGuest},
		{"no mailbox", ada, func(u *graphtest.User) { u.Mailbox = nil }, true, capture.ReasonNoMailbox},
		{"inactive", ada, func(u *graphtest.User) { u.Problem = graphtest.ProblemInactive }, true, capture.ReasonNoMailbox},
		{"on premises", ada, func(u *graphtest.User) { u.Problem = graphtest.ProblemNotSupported }, true, capture.ReasonNoMailbox},
		{"unlicensed in some data centres", ada, func(u *graphtest.User) { u.Problem = graphtest.ProblemUnauthorized }, true, capture.ReasonNoMailbox},
		{"denied", ada, func(u *graphtest.User) { u.Problem = graphtest.ProblemDenied }, true, capture.ReasonDenied},
	}
	own := func(text string, i int) string {
		return strings.NewReplacer("contoso", fmt.Sprint("c", i), "Contoso", fmt.Sprint("C", i), "{id}", idOf(i)).Replace(text)
	}
	var addresses, list []string
	for i, tt := range tests {
		addresses = append(addresses, own("ada@contoso.example countess@contoso.example", i))
		identifier, secondary, _ := strings.Cut(own(tt.list, i), ",")
		list = append(list, identifier+","+secondary+",,,")
	}
	tenant := tenantOf(addresses...)
	tenant.Groups = []*graphtest.Group{{ID: "7d2c1a4e-0000-4000-8000-00000000000a", Mail: "all@list.example"}}
	for i, tt := range tests {
		if tt.change != nil {
			tt.change(tenant.Users[i])
		}
	}
	w := newWorld(t, tenant)
	w.configure(nil)
	w.list(list...)
	w.tick()
	for i, tt := range tests {
		identifier, _, _ := strings.Cut(own(tt.list, i), ",")
		id := ""
		if tt.found {
			id = idOf(i)
		}
		if p := w.people()[identifier]; p.ObjectID != id || p.Reason != tt.reason || p.CheckedAt.IsZero() {
			t.Errorf("%s: object id %q, reason %q, checked at %v; want %q, %q", tt.name, p.ObjectID, p.Reason, p.CheckedAt, id, tt.reason)
		}
	}
}

func TestAMailboxWhoseAddressesWereChangedIsNotLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenantOf(ada))
	w.configure(nil)
	w.list(ada + ",,,,")
	w.tick()
	before := w.people()[ada]
	w.graph.Mutate(func(tenant *graphtest.Tenant) {
		u := tenant.Users[0]
		u.UserPrincipalName, u.Mail = "ada.king@contoso.example", "ada.king@contoso.example"
	})
	w.tick()
	if p := w.people()[ada]; p.ObjectID != before.ObjectID || p.Reason != "" {
		t.Errorf("object id %q, reason %q, want the one of before", p.ObjectID, p.Reason)
	}
	w.graph.Mutate(func(tenant *graphtest.Tenant) { tenant.Users = nil })
	w.tick()
	if p := w.people()[ada]; p.ObjectID != before.ObjectID || p.Reason != capture.ReasonNotFound {
		t.Errorf("object id %q, reason %q, want the one of before, not found", p.ObjectID, p.Reason)
	}
}

func TestWhoseExclusionEndsIsCollected(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenantOf(ada))
	w.configure(nil)
	w.list(ada + ",,,,")
	w.graph.Mutate(func(tenant *graphtest.Tenant) { tenant.Users[0].Problem = graphtest.ProblemDenied })
	w.tick()
	window := capture.Window{Start: w.now, End: w.now.Add(time.Hour)}
	if c := w.people()[ada].Custodian(); c.Reason != capture.ReasonDenied {
		t.Fatalf("reason %q, want denied", c.Reason)
	}
	w.graph.Mutate(func(tenant *graphtest.Tenant) { tenant.Users[0].Problem = "" })
	w.tick()
	if p := w.people()[ada]; !p.Monitored(window) || p.Custodian().Reason != "" || p.Custodian().ID == "" {
		t.Errorf("monitored %v, %+v", p.Monitored(window), p.Custodian())
	}
}

func TestALookUpThatFailsInPassingKeepsTheLastVerdict(t *testing.T) {
	t.Parallel()
	const bob, eve = "bob@contoso.example", "eve@contoso.example"
	for name, path := range map[string]string{"of the directory": "GET /users/{id}", "of the mailbox": "GET /users/{id}/mailFolders/{id}"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requests := 3 * 5 // for each of the three, until patience is at its end
			if name == "of the mailbox" {
				requests += 3 * 2 // which come first, together in a batch
			}
			w := newWorld(t, tenantOf(ada, bob, eve))
			w.configure(nil)
			w.list(rows([]string{ada, bob})...)
			w.graph.Mutate(func(tenant *graphtest.Tenant) { tenant.Users[1].Problem = graphtest.ProblemDenied })
			w.tick()
			before := w.people()
			w.graph.Mutate(func(tenant *graphtest.Tenant) { tenant.Users[1].Problem = "" })
			w.graph.Fault(func(r graphtest.Request) bool { return r.Path == path }, requests,
				graphtest.Fault{Status: 503, Code: "serviceNotAvailable"})
			w.list(rows([]string{ada, bob, eve})...)
			w.now = w.now.Add(48 * time.Hour)
			w.tick()
			after := w.people()
			for _, identifier := range []string{ada, bob} {
				if got, want := after[identifier], before[identifier]; got.Reason != want.Reason || got.ObjectID != want.ObjectID || !got.CheckedAt.Equal(want.CheckedAt) {
					t.Errorf("%+v\nwas %+v", got, want)
				}
			}
			if p := after[eve]; p.Reason != "" || p.ObjectID != "" || !p.CheckedAt.IsZero() || show(p.Intervals.V) != "03-07T12 - list" {
				t.Errorf("who has joined is %+v, want no verdict", p)
			}
			if n := len(w.log.Events("individual not checked")); n != 3 {
				t.Errorf("%d look-ups are logged as failed, want 3", n)
			}
			w.tick()
			if p := w.people(); p[bob].Reason != "" || p[eve].ObjectID == "" {
				t.Errorf("after the outage: %v", p)
			}
		})
	}
}

func TestAnAppThatCannotSignInExcludesNobody(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"to the directory": "GET /users/{id}", "to mailboxes": "GET /users/{id}/mailFolders/{id}"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tenantOf(ada))
			good, root := graphtest.Serve(t, tenantOf(ada), graphtest.Options{Anonymous: true})
			w.configure(nil, map[string]any{"name": "other", "graphEndpoint": root})
			w.list(ada + ",,,,")
			w.tick()
			before := w.people()
			w.graph.Fault(func(r graphtest.Request) bool { return r.Path == path }, 0, graphtest.Fault{Status: 401, Code: "InvalidAuthenticationToken"})
			w.list(ada+",,,,", "bob,,,,")
			earlier := w.now
			w.now = w.now.Add(time.Hour)
			asked := good.Requests()["GET /users/{id}"]
			if err := w.log.Error(w.registry.Tick(t.Context())); err == nil || !strings.Contains(err.Error(), "source "+testSource) {
				t.Errorf("tick: %v", err)
			}
			if got := w.people(); len(got) != 1 || got[ada].Reason != before[ada].Reason {
				t.Errorf("people = %v, want %v", got, before)
			}
			row, err := w.ledger.Source(t.Context(), testSource)
			if s := row.Value; err != nil || s.LastError != "unauthorized" || !s.LastErrorAt.Equal(w.now) || !s.PeopleAt.Equal(earlier) {
				t.Errorf("source = %+v, %v", s, err)
			}
			other, err := w.ledger.Source(t.Context(), "other")
			if err != nil || !other.Value.PeopleAt.Equal(w.now) || other.Value.LastError != "" || good.Requests()["GET /users/{id}"] == asked {
				t.Errorf("the other source = %+v, %v", other.Value, err)
			}
		})
	}
}

func TestAMailboxIsCollectedForOneIndividual(t *testing.T) {
	t.Parallel()
	const (
		zoe   = "zoe@contoso.example" // the mailbox's address; the others are aliases, and sort before it
		anna  = "anna@contoso.example"
		bella = "bella@contoso.example"
	)
	for _, tt := range []struct {
		name  string
		steps [][]string
		want  map[string]string
	}{
		{"twice on the first list", [][]string{{zoe, anna}}, map[string]string{anna: capture.ReasonDuplicate}},
		{"for good, whatever the order of rows", [][]string{{zoe}, {zoe, anna}, {zoe, anna}, {anna, zoe}}, map[string]string{anna: capture.ReasonDuplicate}},
		{"three times", [][]string{{bella, zoe}, {anna, zoe, bella}, {anna, zoe, bella}},
			map[string]string{anna: capture.ReasonDuplicate, zoe: capture.ReasonDuplicate}},
		{"it passes on when its owner leaves", [][]string{{zoe, anna}, {anna}}, nil},
		{"under another name", [][]string{{zoe}, {anna}, {anna}}, nil},
		{"who took it keeps it", [][]string{{zoe, anna}, {anna}, {zoe, anna, bella}, {zoe, anna, bella}},
			map[string]string{zoe: capture.ReasonDuplicate, bella: capture.ReasonDuplicate}},
		{"a duplicate that leaves gives nothing back", [][]string{{zoe, anna}, {zoe}}, map[string]string{anna: capture.ReasonDuplicate}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tenantOf(zoe+" "+anna+" "+bella, ada))
			w.configure(nil)
			for _, step := range tt.steps {
				w.list(rows(append([]string{ada}, step...))...)
				w.tick()
				w.now = w.now.Add(time.Hour)
			}
			if got := w.reasons(); !maps.Equal(got, tt.want) {
				t.Errorf("excluded: %v, want %v", got, tt.want)
			}
			if n := w.rowsWritten(w.tick); n != 0 {
				t.Errorf("a second run writes %d rows", n)
			}
		})
	}
}

func TestADuplicateStaysOneWhileItsOwnerCannotBeLookedUp(t *testing.T) {
	t.Parallel()
	const alias = "countess@contoso.example"
	w := newWorld(t, tenantOf(ada+" "+alias))
	w.configure(nil)
	w.list(rows([]string{ada, alias})...)
	w.tick()
	w.graph.Fault(func(r graphtest.Request) bool { return r.User == w.tenant.Users[0].ID && r.Path == "GET /users/{id}" }, 5,
		graphtest.Fault{Status: 503, Code: "serviceNotAvailable"})
	w.tick()
	w.tick()
	if got, want := w.reasons(), map[string]string{alias: capture.ReasonDuplicate}; !maps.Equal(got, want) {
		t.Errorf("excluded: %v, want %v", got, want)
	}
}

func TestWhoIsMonitoredLaterDoesNotKeepTheMailboxFromWhoIsNow(t *testing.T) {
	t.Parallel()
	const alias = "countess@contoso.example"
	w := newWorld(t, tenantOf(ada+" "+alias))
	w.configure(nil)
	w.list(ada+",,,2026-03-06,", alias+",,,,2026-03-07")
	for _, want := range []map[string]string{{ada: capture.ReasonDuplicate}, {ada: capture.ReasonDuplicate}, nil} {
		w.tick()
		if got := w.reasons(); !maps.Equal(got, want) {
			t.Errorf("on %s: excluded %v, want %v", w.now.Format(time.DateOnly), got, want)
		}
		w.now = w.now.AddDate(0, 0, 1)
	}
	if p := w.people(); p[ada].Lane != 0 || p[alias].ObjectID != p[ada].ObjectID {
		t.Errorf("people = %v", p)
	}
}
