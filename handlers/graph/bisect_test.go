package graph

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
)

// shelf makes a folder whose messages were received at the given seconds of the day, in fractions that differ.
func shelf(name, wellKnown string, seconds ...int) *graphtest.Folder {
	f := &graphtest.Folder{ID: "F-" + name, Name: name, WellKnown: wellKnown}
	for i, second := range seconds {
		id := fmt.Sprintf("AAk-%s-%04d", name, i)
		f.Messages = append(f.Messages, &graphtest.Message{
			ImmutableID: id, MutableID: "AAM-" + id, ChangeKey: "ck",
			Received: day().Start.Add(time.Duration(second)*time.Second + time.Duration(i%997)*time.Millisecond),
		})
	}
	return f
}

// every gives n times, one each step seconds.
func every(n, step int) []int {
	var all []int
	for i := range n {
		all = append(all, i*step)
	}
	return all
}

// spoiltWorld is a mailbox with an Inbox, a folder below it, a hidden one, and Purges.
type spoiltWorld struct {
	inbox, projects, chat, purges *graphtest.Folder
}

func newSpoiltWorld(inbox []int) *spoiltWorld {
	return &spoiltWorld{
		inbox: shelf("Inbox", "inbox", inbox...), projects: shelf("Projects", "", every(40, 1999)...),
		chat: shelf("Chat", "", every(5, 700)...), purges: shelf("Purges", "recoverableitemspurges", every(30, 2500)...),
	}
}

// spoil has messages of a folder fail in lists, by their number.
func spoil(f *graphtest.Folder, fault graphtest.ListFault, above int, numbers ...int) {
	for _, n := range numbers {
		f.Messages[n].ListFault, f.Messages[n].ListFaultAbove = fault, above
	}
}

func (w *spoiltWorld) serve(t *testing.T) (*graphtest.Server, *bench) {
	t.Helper()
	w.chat.Hidden = true
	w.inbox.Children = []*graphtest.Folder{w.projects}
	top := shelf("Top", "msgfolderroot")
	top.Children = []*graphtest.Folder{w.inbox, w.chat}
	dumpster := shelf("Recoverable Items", "recoverableitemsroot")
	dumpster.Children = []*graphtest.Folder{w.purges}
	root := shelf("Root", "root")
	root.Children = []*graphtest.Folder{top, dumpster}
	s := graphtest.NewServer(&graphtest.Tenant{Users: []*graphtest.User{{
		ID: "u1", UserPrincipalName: "u1@contoso.example", Mailbox: &graphtest.Mailbox{Root: root},
	}}}, graphtest.Options{Anonymous: true})
	return s, newBench(t, s)
}

// want gives the ids that can be listed, sorted, and by folder and second what cannot.
func (w *spoiltWorld) want() (ids []string, lost map[string]int) {
	lost = map[string]int{}
	for _, f := range []*graphtest.Folder{w.inbox, w.projects, w.purges} {
		for _, m := range f.Messages {
			if m.ListFault != "" && m.ListFaultAbove == 0 {
				lost[f.Name+m.Received.Format(" 15:04:05")]++
				continue
			}
			ids = append(ids, m.ImmutableID)
		}
	}
	slices.Sort(ids)
	return ids, lost
}

func idsOf(l Listing) (ids []string) {
	for _, i := range l.Items {
		ids = append(ids, i.GraphID)
	}
	slices.Sort(ids)
	return ids
}

func lostOf(t *testing.T, l Listing) map[string]int {
	t.Helper()
	lost := map[string]int{}
	for _, u := range l.Unlisted {
		if u.Window.Duration() != time.Second || u.Count < 1 || u.Code == "" || u.FolderID == "" || u.State == "" {
			t.Errorf("Unlisted %+v", u)
		}
		lost[u.Folder[strings.LastIndex(u.Folder, "/")+1:]+u.Window.Start.Format(" 15:04:05")] += u.Count
	}
	return lost
}

func lists(s *graphtest.Server) (n int) {
	for path, times := range s.Requests() {
		if strings.HasSuffix(path, "/messages") {
			n += times
		}
	}
	return n
}

// TestWhatSpoilsAPageIsPassedAndSaid holds quick and slow listings, of rows and of ids alone, to the same result.
func TestWhatSpoilsAPageIsPassedAndSaid(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		inbox []int
		spoil func(w *spoiltWorld)
		most  int // requests for lists in all four listings
	}{
		{"nothing", every(1100, 70), func(*spoiltWorld) {}, 30},
		{"one among 2,500", every(2500, 30), func(w *spoiltWorld) { spoil(w.inbox, graphtest.ListRefused, 0, 1234) }, 4 * 75},
		{"one that cuts the page", every(600, 140), func(w *spoiltWorld) { spoil(w.inbox, graphtest.ListCut, 0, 234) }, 4 * 75},
		{"the first and the last", every(600, 140), func(w *spoiltWorld) { spoil(w.inbox, graphtest.ListRefused, 0, 0, 599) }, 4 * 110},
		{"at the borders of pages", every(1100, 70), func(w *spoiltWorld) {
			spoil(w.inbox, graphtest.ListRefused, 0, 999, 1000)
			spoil(w.inbox, graphtest.ListCut, 0, 1009, 1099)
		}, 4 * 200},
		{"one that is listed alone", every(600, 140), func(w *spoiltWorld) { spoil(w.inbox, graphtest.ListRefused, 1, 234) }, 4 * 75},
		{"one that is listed on pages of 50", every(300, 30), func(w *spoiltWorld) { spoil(w.inbox, graphtest.ListCut, 50, 123) }, 4 * 60},
		{"several in one second", slices.Repeat([]int{3600, 3601, 3602}, 20), func(w *spoiltWorld) {
			spoil(w.inbox, graphtest.ListRefused, 0, 4, 7, 10, 13)
			spoil(w.inbox, graphtest.ListCut, 1, 16)
		}, 4 * 80},
		{"one among 1,100 of one second", slices.Repeat([]int{3600}, 1100), func(w *spoiltWorld) {
			spoil(w.inbox, graphtest.ListRefused, 0, 1045)
		}, 4 * 75},
		{"all of a folder", []int{1, 1000, 1000, 86_399}, func(w *spoiltWorld) { spoil(w.inbox, graphtest.ListCut, 0, 0, 1, 2, 3) }, 4 * 130},
		{"the only one of a folder", []int{43_200}, func(w *spoiltWorld) { spoil(w.inbox, graphtest.ListRefused, 0, 0) }, 4 * 75},
		{"in Recoverable Items", every(10, 30), func(w *spoiltWorld) { spoil(w.purges, graphtest.ListRefused, 0, 29) }, 4 * 60},
		{"in three folders at one second", []int{0}, func(w *spoiltWorld) {
			spoil(w.inbox, graphtest.ListRefused, 0, 0)
			spoil(w.projects, graphtest.ListCut, 0, 0)
			spoil(w.purges, graphtest.ListCut, 0, 0)
		}, 4 * 130},
		{"out of scope, in a hidden folder", every(10, 30), func(w *spoiltWorld) { spoil(w.chat, graphtest.ListRefused, 0, 2) }, 4 * 40},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newSpoiltWorld(tt.inbox)
			tt.spoil(w)
			s, b := w.serve(t)
			ids, lost := w.want()
			var before []Unlisted
			for i, q := range []Query{{Quick: true}, {}, {Quick: true, IDsOnly: true}, {IDsOnly: true}} {
				q.Window = day()
				got, err := b.client.List(t.Context(), "u1", q)
				if err != nil {
					t.Fatalf("%+v: %v", q, err)
				}
				if found := idsOf(got); !slices.Equal(found, ids) {
					t.Errorf("%+v: %d items, want %d, or others", q, len(found), len(ids))
				}
				if said := lostOf(t, got); !reflect.DeepEqual(said, lost) {
					t.Errorf("%+v: Unlisted %v, want %v", q, said, lost)
				}
				if i > 0 && !slices.Equal(got.Unlisted, before) {
					t.Errorf("%+v: Unlisted %v, and before %v", q, got.Unlisted, before)
				}
				before = got.Unlisted
			}
			if n := lists(s); n > tt.most {
				t.Errorf("%d requests for lists, want at most %d", n, tt.most)
			}
			if v := s.Violations(); len(v) > 0 {
				t.Errorf("violations %q", v)
			}
		})
	}
}

func TestAnUnlistedSaysWhereAndWhenAndWhy(t *testing.T) {
	t.Parallel()
	w := newSpoiltWorld(every(100, 60))
	spoil(w.projects, graphtest.ListRefused, 0, 3)
	spoil(w.purges, graphtest.ListCut, 0, 5)
	_, b := w.serve(t)
	got, err := b.client.List(t.Context(), "u1", Query{Window: day(), Quick: true})
	if err != nil {
		t.Fatal(err)
	}
	second := func(n int) capture.Window {
		start := day().Start.Add(time.Duration(n) * time.Second)
		return capture.Window{Start: start, End: start.Add(time.Second)}
	}
	want := []Unlisted{
		{Folder: "Inbox/Projects", FolderID: "F-Projects", State: capture.Active, Window: second(3 * 1999), Count: 1,
			Code: "ErrorContentConversionFailed"},
		{Folder: "Recoverable Items/Purges", FolderID: "recoverableitemspurges", State: capture.Purged, Window: second(5 * 2500), Count: 1,
			Code: "TruncatedAnswer"},
	}
	if !slices.Equal(got.Unlisted, want) {
		t.Errorf("Unlisted = %+v, want %+v", got.Unlisted, want)
	}
}

// TestAnyMailboxIsListedAroundWhatSpoilsIt makes mailboxes by chance.
func TestAnyMailboxIsListedAroundWhatSpoilsIt(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			var seconds []int
			spread := 1 + random.IntN(86_400)
			for range 1 + random.IntN(400) {
				seconds = append(seconds, random.IntN(spread))
			}
			w := newSpoiltWorld(seconds)
			for _, f := range []*graphtest.Folder{w.inbox, w.inbox, w.inbox, w.projects, w.purges, w.chat} {
				fault := []graphtest.ListFault{graphtest.ListRefused, graphtest.ListCut}[random.IntN(2)]
				spoil(f, fault, []int{0, 0, 1, 9, 10, 99}[random.IntN(6)], random.IntN(len(f.Messages)))
			}
			s, b := w.serve(t)
			ids, lost := w.want()
			for _, q := range []Query{{Quick: true}, {IDsOnly: true}} {
				q.Window = day()
				got, err := b.client.List(t.Context(), "u1", q)
				if err != nil {
					t.Fatal(err)
				}
				if found, said := idsOf(got), lostOf(t, got); !slices.Equal(found, ids) || !reflect.DeepEqual(said, lost) {
					t.Errorf("%+v: %d of %d items, Unlisted %v of %v", q, len(found), len(ids), said, lost)
				}
			}
			if v := s.Violations(); len(v) > 0 {
				t.Errorf("violations %q", v)
			}
		})
	}
}

func TestAMailboxesProblemHasItsMeaning(t *testing.T) {
	t.Parallel()
	for problem, want := range map[string]Meaning{
		graphtest.ProblemDenied: Denied, graphtest.ProblemOutOfScope: Denied,
		graphtest.ProblemInsufficient: Unauthorized, graphtest.ProblemLapsed: Unauthorized, graphtest.ProblemLocked: Unauthorized,
		graphtest.ProblemTokenExpired: Unauthorized, graphtest.ProblemUnconsented: Unauthorized,
		graphtest.ProblemUnauthorized: NoMailbox, graphtest.ProblemInactive: NoMailbox, graphtest.ProblemNotSupported: NoMailbox,
		graphtest.ProblemInvalidUser: NoMailbox, graphtest.ProblemUndiscovered: NoMailbox, graphtest.ProblemNoObject: NoMailbox,
		graphtest.ProblemNonExistent: NoMailbox, graphtest.ProblemNoFolders: NoMailbox,
		graphtest.ProblemMoving: Moving, graphtest.ProblemStore: Transient, graphtest.ProblemStoreShort: Transient,
		graphtest.ProblemBusy: Throttled, graphtest.ProblemTimeout: Transient, graphtest.ProblemTransient: Transient,
		graphtest.ProblemDirectory: Transient, graphtest.ProblemConnection: Transient,
	} {
		s, b := newSpoiltWorld(every(3, 60)).serve(t)
		s.Mutate(func(world *graphtest.Tenant) { world.Users[0].Problem = problem })
		if err := b.client.ProbeMailbox(t.Context(), "u1"); MeaningOf(err) != want {
			t.Errorf("%s: ProbeMailbox = %v, want %s", problem, err, want)
		}
		for _, quick := range []bool{true, false} {
			if _, err := b.client.List(t.Context(), "u1", Query{Window: day(), Quick: quick}); MeaningOf(err) != want {
				t.Errorf("%s: List = %v, want %s", problem, err, want)
			}
		}
	}
}

func TestAMailboxOverItsQuotaIsListed(t *testing.T) {
	t.Parallel()
	w := newSpoiltWorld(every(3, 60))
	s, b := w.serve(t)
	s.Mutate(func(world *graphtest.Tenant) { world.Users[0].Problem = graphtest.ProblemQuota })
	ids, _ := w.want()
	for _, quick := range []bool{true, false} {
		got, err := b.client.List(t.Context(), "u1", Query{Window: day(), Quick: quick})
		if err != nil || !slices.Equal(idsOf(got), ids) {
			t.Errorf("quick %v: %d items, %v, want %d", quick, len(got.Items), err, len(ids))
		}
	}
}

func TestAMessageThatBecomesVisibleLateIsInALaterListing(t *testing.T) {
	t.Parallel()
	w := newSpoiltWorld(every(3, 60))
	w.inbox.Messages[1].VisibleAfter = time.Now().Add(time.Hour)
	s, b := w.serve(t)
	ids, _ := w.want()
	got, err := b.client.List(t.Context(), "u1", Query{Window: day(), Quick: true})
	if err != nil || len(got.Items) != len(ids)-1 {
		t.Errorf("%d items, %v, want %d", len(got.Items), err, len(ids)-1)
	}
	s.Mutate(func(*graphtest.Tenant) { w.inbox.Messages[1].VisibleAfter = time.Time{} })
	if got, err = b.client.List(t.Context(), "u1", Query{Window: day(), Quick: true}); err != nil || !slices.Equal(idsOf(got), ids) {
		t.Errorf("%d items, %v, want %d", len(got.Items), err, len(ids))
	}
}

func TestAListWhoseContinuationsLeadAstrayIsBegunAnew(t *testing.T) {
	t.Parallel()
	codes := map[graphtest.PageFault]string{
		graphtest.PageForeign: codeForeign, graphtest.PageSameLink: codeRepeated, graphtest.PageSameRows: codeEndless,
	}
	for fault, code := range codes {
		for _, quick := range []bool{true, false} {
			for times, want := range map[int]string{1: "", maxWalks - 1: "", 0: code} { // 0: for ever
				s, b := newSpoiltWorld(every(3, 60)).serve(t)
				s.Fault(func(r graphtest.Request) bool {
					return listRequest(r) && (r.Folder == "" || r.Folder == "F-Inbox")
				}, times, graphtest.Fault{Page: fault})
				if _, err := b.client.List(t.Context(), "u1", Query{Window: day(), Quick: quick}); CodeOf(err) != want {
					t.Errorf("%s %d times, quick %v: List = %v, want %q", fault, times, quick, err, want)
				}
			}
		}
	}
}

func listRequest(r graphtest.Request) bool { return strings.HasSuffix(r.Path, "/messages") }

func TestAServerThatRefusesEveryListIsNotAMailboxOfLostItems(t *testing.T) {
	t.Parallel()
	for _, fault := range []graphtest.Fault{
		{Status: 500, Code: "InternalServerError"}, {Status: 500, Code: "ErrorContentConversionFailed"}, {Body: []byte(`{"value":[`)},
	} {
		s, b := newSpoiltWorld(every(50, 60)).serve(t)
		s.Fault(listRequest, 0, fault)
		_, err := b.client.List(t.Context(), "u1", Query{Window: day(), Quick: fault.Code == "InternalServerError"})
		if MeaningOf(err) != Transient {
			t.Errorf("%+v: List = %v, want transient", fault, err)
		}
		if n := lists(s); n > maxExtra+50 {
			t.Errorf("%+v: %d requests", fault, n)
		}
	}
}

func TestTooMuchThatCannotBeListedFailsTheListing(t *testing.T) {
	t.Parallel()
	w := newSpoiltWorld(every(120, 700))
	spoil(w.inbox, graphtest.ListRefused, 0, every(40, 3)...)
	s, b := w.serve(t)
	_, err := b.client.List(t.Context(), "u1", Query{Window: day()})
	if MeaningOf(err) != Transient || !strings.HasPrefix(CodeOf(err), "Error") && CodeOf(err) != "InternalServerError" {
		t.Errorf("List = %v, want transient with what Graph said", err)
	}
	if n := lists(s); n > 4*maxExtra {
		t.Errorf("%d requests", n)
	}
}

func TestTroubleThatPassesLosesNothing(t *testing.T) {
	t.Parallel()
	for _, times := range []int{1, 3, 6, 9, 20, 33} {
		for _, fault := range []graphtest.Fault{{Status: 500, Code: "InternalServerError"}, {Truncate: 60}} {
			w := newSpoiltWorld(every(300, 250))
			s, b := w.serve(t)
			n := 0
			s.Fault(func(r graphtest.Request) bool { // from the second page of Inbox on
				if r.Path == "GET /users/{id}/mailFolders/{id}/messages" && r.Folder == "F-Inbox" {
					n++
					return n > 1
				}
				return false
			}, times, fault)
			got, err := b.client.List(t.Context(), "u1", Query{Window: day()})
			ids, _ := w.want()
			if err != nil || !slices.Equal(idsOf(got), ids) {
				t.Errorf("%d times %+v: %d items, %v, want %d", times, fault, len(got.Items), err, len(ids))
			}
			if times < 12 && len(got.Unlisted) > 0 { // longer trouble than its tries is taken for an item; the next listing unsays it
				t.Errorf("%d times %+v: Unlisted %v", times, fault, got.Unlisted)
			}
		}
	}
}

func TestSlowPagesShrinkAndAreNotTakenForLostItems(t *testing.T) {
	t.Parallel()
	for _, fault := range []graphtest.Fault{{Status: 504, Body: []byte("<html>")}, {Status: 503, Empty: true}} {
		w := newSpoiltWorld(every(1100, 70))
		s, b := w.serve(t)
		s.Fault(func(r graphtest.Request) bool { return listRequest(r) && strings.Contains(r.Query, "top=1000") }, 0, fault)
		got, err := b.client.List(t.Context(), "u1", Query{Window: day(), Quick: true})
		if ids, _ := w.want(); err != nil || !slices.Equal(idsOf(got), ids) || len(got.Unlisted) > 0 {
			t.Errorf("%+v: %d items, %v, Unlisted %v", fault, len(got.Items), err, got.Unlisted)
		}
		s.Fault(listRequest, 0, fault)
		if _, err := b.client.List(t.Context(), "u1", Query{Window: day(), Quick: true}); MeaningOf(err) != Transient {
			t.Errorf("%+v for ever: %v, want transient", fault, err)
		}
	}
}

func TestAThrottleAndAMoveInTheMiddleOfTheSearch(t *testing.T) {
	t.Parallel()
	w := newSpoiltWorld(every(400, 200))
	spoil(w.inbox, graphtest.ListRefused, 0, 200)
	s, b := w.serve(t)
	n := 0
	throttled := func(r graphtest.Request) bool {
		if listRequest(r) {
			n++
		}
		return listRequest(r) && n%4 == 0
	}
	s.Fault(throttled, 10, graphtest.Fault{Status: 429, Code: "ApplicationThrottled", RetryAfter: "2"})
	got, err := b.client.List(t.Context(), "u1", Query{Window: day()})
	if ids, _ := w.want(); err != nil || !slices.Equal(idsOf(got), ids) || len(got.Unlisted) != 1 {
		t.Errorf("%d items, %v, Unlisted %v", len(got.Items), err, got.Unlisted)
	}

	n = 0
	s.OnRequest(func(r graphtest.Request) {
		if r.Folder == "F-Inbox" && listRequest(r) {
			if n++; n == 12 { // its folder goes while the list is searched
				s.Mutate(func(world *graphtest.Tenant) {
					top := world.Users[0].Folder("msgfolderroot")
					top.Children = top.Children[1:]
				})
			}
		}
	})
	if _, err := b.client.List(t.Context(), "u1", Query{Window: day()}); err != nil {
		t.Errorf("a folder that goes meanwhile: %v", err)
	}
}

func TestAStepBeyondALostRowFollowsGraphsOwnOffsets(t *testing.T) {
	t.Parallel()
	for link, code := range map[string]string{
		"https://elsewhere.example/v1.0/users/u1/messages?$skip=9": "ForeignContinuation",
		"ROOT/users/u1/messages?$skip=0":                           "RepeatedContinuation",
		"ROOT/users/u1/messages?$skiptoken=x":                      "RepeatedContinuation",
		"ROOT/users/u1/messages?$skip=99999999999":                 "RepeatedContinuation",
	} {
		var b *bench
		b = newBench(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("$top") == "1000" {
				refuse(500, "InternalServerError")(w, r)
				return
			}
			say(200, fmt.Sprintf(`{"value":[%s],"@odata.nextLink":%q}`, message("a"), strings.ReplaceAll(link, "ROOT", b.url)))(w, r)
		}))
		l := &lister{client: b.client, userID: "u1", query: Query{Window: day()}, rows: map[string]row{}}
		s := l.list("in", nil)
		s.rest.End = s.rest.Start.Add(time.Second)
		if err := l.slice(t.Context(), s); MeaningOf(err) != Broken || CodeOf(err) != code {
			t.Errorf("%s: %v, want %s", link, err, code)
		}
	}
}
