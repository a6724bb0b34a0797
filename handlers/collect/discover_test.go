package collect

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"
)

// discovered is what discovery finds of a mailbox, by item key.
func discovered(t *testing.T, client *graph.Client, u *graphtest.User, s settings.Source) map[string]capture.Item {
	t.Helper()
	three := ledger.Batch{Reason: capture.ReasonWindow, Start: day().Start, End: day().Start.AddDate(0, 0, 3)}
	r := &run{Collector: &Collector{}, source: s, batch: three, graph: client, watch: &watch{}}
	p := &progress{Custodian: custodianOf(u, 0)}
	err := r.discover(t.Context(), p)
	for n := 0; err != nil && n < 20 && graph.MeaningOf(err) != ""; n++ { // as the retry policy has it
		err = r.discover(t.Context(), p)
	}
	must(t, err)
	if p.Total.Found != len(p.todo) || !p.Listed {
		t.Errorf("%d items, %d are counted", len(p.todo), p.Total.Found)
	}
	items := map[string]capture.Item{}
	for key, it := range p.todo {
		items[key] = *it
	}
	return items
}

func TestDiscoveryFindsTheSameByMailboxAndByFolder(t *testing.T) {
	t.Parallel()
	for name, drafts := range map[string]bool{"a calm day": true, "a bad day": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant, truth := graphtest.Sample(1)
			server, root := graphtest.Serve(t, tenant, graphtest.Options{Anonymous: true})
			if name == "a bad day" {
				server, root = graphtest.Serve(t, tenant, graphtest.Options{Anonymous: true, Chaos: graphtest.Chaos{Rate: 0.05, Seed: 7}})
			}
			large := regexp.MustCompile(`top=1000`) // pages of a hundred, so that a mailbox has several
			server.Fault(func(r graphtest.Request) bool { return isList(r) && large.MatchString(r.Query) }, 0,
				graphtest.Fault{Status: 504, Empty: true})
			server.Fault(func(r graphtest.Request) bool { return isList(r) }, 0, graphtest.Fault{Page: graphtest.PageDuplicates})
			server.Fault(isList, 0, graphtest.Fault{Page: graphtest.PageDuplicates})
			client := newClient(t, root, graphtest.NewClock(day().End), nil)
			want, got := map[string]capture.State{}, map[string]capture.State{}
			for _, i := range truth.InScope(capture.Window{Start: day().Start, End: day().Start.AddDate(0, 0, 3)}, drafts) {
				want[i.UserID+i.ImmutableID] = i.State
			}
			for _, u := range tenant.Users {
				if u.Mailbox == nil || u.Problem != "" {
					continue
				}
				quick := discovered(t, client, u, settings.Source{CollectEmail: true, QuickDiscovery: true, Drafts: drafts})
				slow := discovered(t, client, u, settings.Source{CollectEmail: true, Drafts: drafts})
				if !maps.Equal(quick, slow) {
					t.Errorf("%d items by mailbox, %d by folder, or others", len(quick), len(slow))
				}
				for _, i := range quick {
					got[u.ID+i.GraphID] = i.State
				}
			}
			if len(want) < 1000 || !maps.Equal(got, want) {
				t.Errorf("%d items, want %d", len(got), len(want))
			}
		})
	}
}

// TestAnItemIsNotLostWhenPagesShift takes a mail away while the pages of the first listing are read, so that the first row
// of the third page moves to the second, which was read before.
func TestAnItemIsNotLostWhenPagesShift(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(*graphtest.User, string) error{
		"one is removed":              (*graphtest.User).Remove,
		"one goes to another folder":  func(u *graphtest.User, id string) error { return u.Move(id, "Sent Items") },
		"one goes to the recoverable": func(u *graphtest.User, id string) error { return u.Move(id, "Recoverable Items/Deletions") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant := newTenant(1)
			u := tenant.Users[0]
			m := put(u, "Inbox", 1, 25)
			w := newWorld(t, tenant, map[string]any{"useQuickDiscovery": false})
			large := regexp.MustCompile(`top=100`)
			w.graph.Fault(func(r graphtest.Request) bool { return isList(r) && large.MatchString(r.Query) }, 0,
				graphtest.Fault{Status: 504, Empty: true})
			var third atomic.Int32
			w.graph.OnRequest(func(r graphtest.Request) {
				if isList(r) && strings.Contains(r.Query, "skip=20") && third.Add(1) == 1 {
					w.graph.Mutate(func(*graphtest.Tenant) {
						if err := remove(u, m[3].ImmutableID); err != nil {
							t.Error(err)
						}
					})
				}
			})
			w.batch(w.custodians()...)
			w.settle(w.collector(nil), pause)
			status, codes := capture.Completed, map[string]string{}
			if name == "one is removed" {
				status, codes[m[3].ImmutableID] = capture.CompletedWithDocumentLevelErrors, codeVanished
			}
			w.checkOwed(w.read(), status, codes)
			if third.Load() < 2 {
				t.Errorf("the third page was read %d times: no listing shifted", third.Load())
			}
		})
	}
}

func TestAnItemThatMovesBetweenListingsIsCapturedOnceWhereItLiesNow(t *testing.T) {
	t.Parallel()
	tenant := newTenant(1)
	u := tenant.Users[0]
	m := put(u, "Inbox", 1, 4)
	w := newWorld(t, tenant, nil)
	var lists atomic.Int32
	w.graph.OnRequest(func(r graphtest.Request) {
		if r.Path == "GET /users/{id}/messages" && lists.Add(1) == 2 {
			w.graph.Mutate(func(*graphtest.Tenant) {
				if err := u.Move(m[1].ImmutableID, "Recoverable Items/Deletions"); err != nil {
					t.Error(err)
				}
				u.Folder("Inbox").Messages = append(u.Folder("Inbox").Messages, mail(u, 50)) // comes late
			})
		}
	})
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), pause)
	e := w.read()
	w.checkOwed(e, capture.Completed, nil)
	for _, row := range e.items {
		state, folder := capture.Active, "Inbox"
		if row.GraphID == m[1].ImmutableID {
			state, folder = capture.Recoverable, "Recoverable Items/Deletions"
		}
		if row.State != state || row.Folder != folder || row.ChangeKey == "" {
			t.Errorf("an item has state %s in %s, change key %q", row.State, row.Folder, row.ChangeKey)
		}
	}
}

func TestWhatCannotBeListedStandsInTheExceptions(t *testing.T) {
	t.Parallel()
	tenant := newTenant(1)
	u := tenant.Users[0]
	m := put(u, "Inbox", 1, 8)
	purged := put(u, "Recoverable Items/Purges", 20, 1)[0]
	m[2].ListFault, purged.ListFault = graphtest.ListRefused, graphtest.ListCut
	w := newWorld(t, tenant, nil)
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), pause)
	e := w.read()
	if totals := e.manifest.Totals; totals.Found != 9 || totals.Captured != 7 || totals.Excepted != 2 {
		t.Errorf("totals %+v, want nine found and two of them excepted", totals)
	}
	if e.manifest.Status != capture.CompletedWithDocumentLevelErrors {
		t.Errorf("the batch is %s", e.manifest.Status)
	}
	got := map[string]capture.State{}
	for _, x := range e.exceptions {
		got[x.Stage+" "+x.Item.Folder+" "+x.Item.Received.String()] = x.Item.State
	}
	want := map[string]capture.State{
		"list Inbox " + m[2].Received.String():                      capture.Active,
		"list Recoverable Items/Purges " + purged.Received.String(): capture.Purged,
	}
	if !maps.Equal(got, want) {
		t.Errorf("exceptions %v, want %v", got, want)
	}
}

func TestACustodianWithoutObjectIDIsResolvedAtTheRun(t *testing.T) {
	t.Parallel()
	tenant := newTenant(6)
	for _, u := range tenant.Users {
		put(u, "Inbox", 1, 2)
	}
	tenant.Users[1].Aliases = []string{strings.ToLower(canaryName) + ".other@contoso.onmicrosoft.com"}
	guest := tenant.Users[2]
	guest.UserType, guest.Licensed = "Guest", false
	w := newWorld(t, tenant, nil)
	down := tenant.Users[4]
	w.graph.Fault(func(r graphtest.Request) bool { return r.User == down.ID && r.Path == "GET /users/{id}" }, 5,
		graphtest.Fault{Status: 503, Code: "ServiceUnavailable"})

	unresolved := func(u *graphtest.User, lane int) capture.Custodian {
		c := custodianOf(u, lane)
		c.ID = ""
		return c
	}
	named := func(name string) capture.Custodian {
		return capture.Custodian{Individual: capture.Individual{Identifier: name + "@contoso.onmicrosoft.com"}}
	}
	second := named("kanaria.former")
	second.Secondary = tenant.Users[1].Aliases
	nobody, twin, other := named("kanaria.nobody"), named("kanaria.twin"), named("kanaria.lane")
	twin.Secondary, other.Secondary = tenant.Users[1].Aliases, []string{tenant.Users[5].Mail}
	w.batch(unresolved(tenant.Users[0], 0), second, unresolved(guest, 0), nobody, twin, unresolved(down, 0), other,
		custodianOf(tenant.Users[3], 0), custodianOf(tenant.Users[5], 1))
	w.settle(w.collector(nil), pause)

	e := w.read()
	for name, want := range map[string][]string{
		tenant.Users[0].ID: {"Collected"}, tenant.Users[1].ID: {"Collected"}, tenant.Users[3].ID: {"Collected"},
		tenant.Users[5].ID: {"Collected"}, down.ID: {"Collected"}, unresolved(down, 0).Name(): nil,
		unresolved(guest, 0).Name(): {"Excluded UnlicensedGuest"}, nobody.Name(): {"Excluded NotFound"}, other.Name(): {"Excluded Duplicate"},
	} {
		if got := e.words(name); !slices.Equal(got, want) {
			t.Errorf("the seals say %q of a custodian, want %q", got, want)
		}
	}
	// Of two that are one mailbox either may come first.
	twins := append(e.words(second.Name()), e.words(twin.Name())...)
	if !slices.Equal(twins, []string{"Excluded Duplicate"}) {
		t.Errorf("the seals say %q of the one that came second", twins)
	}
	if m := e.manifest; m.Status != capture.Completed || m.Totals.Custodians != 9 || m.Totals.Excluded != 4 || m.Totals.Captured != 10 {
		t.Errorf("the batch is %s, totals %+v", m.Status, m.Totals)
	}
}

func TestACustodianThatIsNeverResolvedIsNamedOnce(t *testing.T) {
	t.Parallel()
	tenant := newTenant(1)
	w := newWorld(t, tenant, map[string]any{"collectJobTimeoutInMinutes": 60})
	w.graph.Fault(func(r graphtest.Request) bool { return r.Path == "GET /users/{id}" }, 0, graphtest.Fault{Status: 503, Code: "ServiceUnavailable"})
	c := custodianOf(tenant.Users[0], 0)
	c.ID = ""
	w.batch(c)
	w.settle(w.collector(nil), pause)
	e := w.read()
	if got := e.words(c.Name()); !slices.Equal(got, []string{"Failed OutOfTime"}) || e.manifest.Status != capture.Abandoned {
		t.Errorf("the seals say %q of the custodian, the batch is %s", got, e.manifest.Status)
	}
}

func TestAMailboxBelongsToOneCustodian(t *testing.T) {
	t.Parallel()
	c := func(id, reason string) capture.Custodian { return capture.Custodian{ID: id, Reason: reason} }
	for name, tt := range map[string]struct{ all, want []capture.Custodian }{
		"nobody":             {nil, nil},
		"all differ":         {[]capture.Custodian{c("a", ""), c("b", "X")}, []capture.Custodian{c("a", ""), c("b", "X")}},
		"none is resolved":   {[]capture.Custodian{c("", ""), c("", "X")}, []capture.Custodian{c("", ""), c("", "X")}},
		"a marked duplicate": {[]capture.Custodian{c("a", "Duplicate"), c("a", "")}, []capture.Custodian{c("", "Duplicate"), c("a", "")}},
		"an unmarked one":    {[]capture.Custodian{c("a", ""), c("a", "")}, []capture.Custodian{c("a", ""), c("", "Duplicate")}},
		"two that are gone":  {[]capture.Custodian{c("a", "X"), c("a", "X")}, []capture.Custodian{c("a", "X"), c("", "X")}},
		"one of three can be had": {
			[]capture.Custodian{c("a", "X"), c("a", ""), c("a", "")}, []capture.Custodian{c("", "X"), c("a", ""), c("", "Duplicate")},
		},
	} {
		got := slices.Clone(tt.all)
		capture.NameMailboxesOnce(got)
		if !slices.EqualFunc(got, tt.want, func(x, y capture.Custodian) bool { return x.ID == y.ID && x.Reason == y.Reason }) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
