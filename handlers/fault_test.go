package main

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/host/hosttest"
	"chainmail/handlers/vault/storagetest"
)

// hurry is how many times as fast as the machine's the time of a world runs in which Graph has the handler wait.
const hurry = 60

// faultWorld is a world of half a day in which waiting takes no time worth speaking of, and in which a custodian is tried
// again for as long as the test lasts.
func faultWorld(t *testing.T) *world {
	t.Helper()
	w := newSmallWorld(t)
	w.hurry(hurry)
	w.configure(w.faultSource(nil))
	return w
}

func (w *world) faultSource(changes map[string]any) map[string]any {
	all := map[string]any{"endDate": graphtest.SmallHalf().End.Format(time.RFC3339), "retryPolicyInMinutes": []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}}
	maps.Copy(all, changes)
	return w.source(all)
}

// A refusal is what Graph does to a request.
type refusal struct {
	name  string
	fault func(w *world) graphtest.Fault
}

// refusals are the faults of single requests: everything that clients of Graph have met (facts of throttling, errors and
// paging), each of which passes when the request comes again.
func refusals() []refusal {
	always := func(f graphtest.Fault) func(*world) graphtest.Fault { return func(*world) graphtest.Fault { return f } }
	html := []byte("<html><head><title>Service unavailable</title></head><body>Our services aren't available right now</body></html>")
	return []refusal{
		{"429 for two seconds", always(graphtest.Fault{Status: 429, Code: "ApplicationThrottled", RetryAfter: "2"})},
		{"429 for a fraction", always(graphtest.Fault{Status: 429, Code: "TooManyRequests", RetryAfter: "1.128"})},
		{"429 until a date", func(w *world) graphtest.Fault {
			return graphtest.Fault{Status: 429, Code: "activityLimitReached", RetryAfter: w.now().UTC().Add(40 * time.Second).Format(http.TimeFormat)}
		}},
		{"429 without a time", always(graphtest.Fault{Status: 429, Code: "ErrorExceededMessageLimit"})},
		{"429 for all", always(graphtest.Fault{Scope: graphtest.ScopeTenant, Lasts: 3 * time.Second})},
		{"503 without a body", always(graphtest.Fault{Status: 503, Empty: true})},
		{"503 with a time", always(graphtest.Fault{Status: 503, Code: "ErrorServerBusy", RetryAfter: "3"})},
		{"503 in HTML", always(graphtest.Fault{Status: 503, Body: html, ContentType: "text/html"})},
		{"504 in HTML", always(graphtest.Fault{Status: 504, Body: html, ContentType: "text/html"})},
		{"502 in HTML", always(graphtest.Fault{Status: 502, Body: html, ContentType: "text/html"})},
		{"500", always(graphtest.Fault{Status: 500, Code: "InternalServerError"})},
		{"500 of the store", always(graphtest.Fault{Status: 500, Code: "ErrorInternalServerTransientError"})},
		{"509", always(graphtest.Fault{Status: 509, Empty: true})},
		{"408", always(graphtest.Fault{Status: 408, Code: "RequestTimeout"})},
		{"404 without a body", always(graphtest.Fault{Status: 404, Empty: true})},
		{"400 now and then", always(graphtest.Fault{Status: 400, Code: "invalidRequest"})},
		{"401 of a token that has expired", always(graphtest.Fault{Status: 401, Code: "InvalidAuthenticationToken"})},
		{"a connection that breaks before the answer", always(graphtest.Fault{CutAfter: -1})},
		{"a connection that breaks in the answer", always(graphtest.Fault{CutAfter: 200})},
		{"an answer without a body", always(graphtest.Fault{Empty: true})},
		{"JSON that is cut", always(graphtest.Fault{Truncate: 40})},
		{"a page without rows", always(graphtest.Fault{Page: graphtest.PageEmpty})},
		{"a page that follows itself", always(graphtest.Fault{Page: graphtest.PageSameLink})},
		{"a page that comes again", always(graphtest.Fault{Page: graphtest.PageSameRows})},
		{"a page that leads elsewhere", always(graphtest.Fault{Page: graphtest.PageForeign})},
		{"a row that comes again", always(graphtest.Fault{Page: graphtest.PageDuplicates})},
	}
}

// sound reports whether a fault can be told from a true answer. MIME has no length that Graph would state: a body that is
// cut and whole by HTTP's account is what was served.
func sound(f graphtest.Fault, r graphtest.Request) bool {
	return r.Path != value || f.Truncate == 0 && (!f.Empty || f.Status != 0)
}

// onceEach matches a request of a mailbox when it comes for the first time; a fault of paging befalls each list once.
func onceEach(f graphtest.Fault) func(graphtest.Request) bool {
	var mu sync.Mutex
	seen := map[string]bool{}
	return func(r graphtest.Request) bool {
		query, err := url.ParseQuery(r.Query)
		if f.Page != "" || err != nil {
			query.Del("$skip")
			query.Del("$skiptoken")
		}
		key := strings.Join([]string{r.Path, r.User, r.Folder, r.Item, query.Encode()}, " ")
		mu.Lock()
		defer mu.Unlock()
		first := !seen[key]
		seen[key] = true
		return first && sound(f, r)
	}
}

// TestEveryRequestThatFailsOnceCostsNothing has each request to Graph fail once in one way, and takes them all.
func TestEveryRequestThatFailsOnceCostsNothing(t *testing.T) {
	t.Parallel()
	for n, r := range refusals() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			w := faultWorld(t)
			w.configure(w.faultSource(map[string]any{"useQuickDiscovery": n%2 == 0}))
			f := r.fault(w)
			if f.Page != "" {
				w.smallPages()
			}
			w.graph.Fault(onceEach(f), 0, f)
			w.start()
			w.settle()
			w.checkAfterFaults(nil)
		})
	}
}

// smallPages has a message in every mailbox that no page above eight rows can hold, so that lists have several pages.
func (w *world) smallPages() {
	w.graph.Mutate(func(tenant *graphtest.Tenant) {
		for _, u := range tenant.Users {
			m := u.Folder("Inbox").Messages[1]
			m.ListFault, m.ListFaultAbove = graphtest.ListCut, 8
		}
	})
}

// checkAfterFaults holds that the half day is captured, but for what stands in the exceptions with the codes wanted, and
// that no rule of Graph's was broken.
func (w *world) checkAfterFaults(excepted map[string]string) {
	w.Helper()
	e := w.readEvidence()
	w.checkCaptured(e, graphtest.SmallHalf())
	w.checkViolations()
	kept, err := w.ledger.Exceptions(w.Context(), testSource)
	if err != nil {
		w.Fatal(err)
	}
	codes := map[string]string{}
	for _, x := range kept {
		codes[x.Item.GraphID] = x.Code
	}
	if !maps.Equal(codes, excepted) {
		w.Errorf("the exceptions are %v, want %v", codes, excepted)
	}
	want := capture.Completed
	if len(excepted) > 0 {
		want = capture.CompletedWithDocumentLevelErrors
	}
	for _, m := range e.manifests {
		if m.Status != string(want) {
			w.Errorf("the batch is %s, want %s", m.Status, want)
		}
	}
}

// An accident befalls one item of a mailbox. It gives the code with which the item is to be excepted, and its id; none when
// it is to be captured.
type accident struct {
	name   string
	befall func(w *world, i graphtest.TruthItem) (id, code string)
	moment bool // it happens while the item is collected

	synthesised bool // it is captured without its MIME
}

func accidents() []accident {
	return []accident{
		{name: "its MIME cannot be made", befall: func(w *world, i graphtest.TruthItem) (string, string) {
			w.message(i, func(m *graphtest.Message) {
				m.NoMIME = true
				m.Attached = []graphtest.Attachment{
					{Kind: graphtest.ItemAttachment, Name: graphtest.Canary, Content: []byte("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")},
					{Kind: graphtest.ReferenceAttachment, Name: graphtest.Canary + ".xlsx"},
					{Kind: graphtest.FileAttachment, Name: graphtest.Canary + ".ole", Unopened: true},
				}
			})
			return "", ""
		}, synthesised: true},
		{name: "its data is corrupt", befall: func(w *world, i graphtest.TruthItem) (string, string) {
			w.graph.Fault(valueOf(i), 0, graphtest.Fault{Status: 500, Code: "ErrorCorruptData"})
			return "", ""
		}, synthesised: true},
		{name: "its answer always breaks off", befall: func(w *world, i graphtest.TruthItem) (string, string) {
			w.graph.Fault(valueOf(i), 0, graphtest.Fault{CutAfter: 100})
			return "", ""
		}, synthesised: true},
		{name: "its MIME is never found without a reason", befall: func(w *world, i graphtest.TruthItem) (string, string) {
			w.graph.Fault(valueOf(i), 0, graphtest.Fault{Status: 404, Empty: true})
			return "", ""
		}, synthesised: true},
		{name: "neither MIME nor JSON can be made of it", befall: func(w *world, i graphtest.TruthItem) (string, string) {
			w.graph.Fault(anyOf(i), 0, graphtest.Fault{Status: 500, Code: "ErrorCorruptData"})
			return i.ImmutableID, "ErrorCorruptData"
		}},
		{name: "it is never found without a reason", befall: func(w *world, i graphtest.TruthItem) (string, string) {
			w.graph.Fault(anyOf(i), 0, graphtest.Fault{Status: 404, Empty: true})
			return i.ImmutableID, "transient"
		}},
		{name: "it cannot be listed", befall: func(w *world, i graphtest.TruthItem) (string, string) {
			w.message(i, func(m *graphtest.Message) { m.ListFault = graphtest.ListRefused })
			return "unlisted", "ErrorContentConversionFailed"
		}},
		{name: "it cuts every page that holds it", befall: func(w *world, i graphtest.TruthItem) (string, string) {
			w.message(i, func(m *graphtest.Message) { m.ListFault = graphtest.ListCut })
			return "unlisted", "TruncatedAnswer"
		}},
		{name: "it cuts large pages", befall: func(w *world, i graphtest.TruthItem) (string, string) {
			w.message(i, func(m *graphtest.Message) { m.ListFault, m.ListFaultAbove = graphtest.ListCut, 1 })
			return "", ""
		}},
		{name: "it is deleted when it has been listed", befall: func(w *world, i graphtest.TruthItem) (string, string) {
			w.onFetch(i, func(u *graphtest.User) error { return u.Remove(i.ImmutableID) })
			return i.ImmutableID, "Vanished"
		}, moment: true},
		{name: "it is moved when it has been listed", befall: func(w *world, i graphtest.TruthItem) (string, string) {
			w.onFetch(i, func(u *graphtest.User) error { return u.Move(i.ImmutableID, "Recoverable Items/Purges") })
			return "", ""
		}, moment: true},
		{name: "it is seen at the second listing alone", befall: func(w *world, i graphtest.TruthItem) (string, string) {
			w.message(i, func(m *graphtest.Message) { m.VisibleAfter = w.now().AddDate(0, 0, 1) })
			var lists, once = 0, sync.Once{}
			w.watchGraph(func(r graphtest.Request) {
				if r.User == i.UserID && strings.HasSuffix(r.Path, "/messages") {
					if lists++; lists > 1 {
						once.Do(func() { w.message(i, func(m *graphtest.Message) { m.VisibleAfter = time.Time{} }) })
					}
				}
			})
			return "", ""
		}},
		{name: "it has 150 MB and no MIME", befall: func(w *world, i graphtest.TruthItem) (string, string) {
			w.message(i, func(m *graphtest.Message) { m.MIME, m.Size, m.NoMIME = graphtest.Bulk("large", 150<<20), 110<<20, true })
			return "", ""
		}, synthesised: true},
		{name: "it has 150 MB", befall: func(w *world, i graphtest.TruthItem) (string, string) {
			w.message(i, func(m *graphtest.Message) { m.MIME, m.Size = graphtest.Bulk("large", 150<<20), 110<<20 })
			return "", ""
		}},
	}
}

func valueOf(i graphtest.TruthItem) func(graphtest.Request) bool {
	return func(r graphtest.Request) bool {
		return r.Path == value && r.User == i.UserID && r.Item == i.ImmutableID
	}
}

// anyOf matches all that is asked of an item.
func anyOf(i graphtest.TruthItem) func(graphtest.Request) bool {
	return func(r graphtest.Request) bool { return r.User == i.UserID && r.Item == i.ImmutableID }
}

// message changes an item's message.
func (w *world) message(i graphtest.TruthItem, change func(*graphtest.Message)) {
	w.graph.Mutate(func(tenant *graphtest.Tenant) {
		m, _ := tenant.User(i.UserID).Find(i.ImmutableID)
		change(m)
	})
}

// onFetch changes a mailbox at the first fetch from it, which is of another item than the given one.
func (w *world) onFetch(i graphtest.TruthItem, change func(*graphtest.User) error) {
	var once sync.Once
	w.watchGraph(func(r graphtest.Request) {
		if r.Path == value && r.User == i.UserID {
			once.Do(func() {
				w.graph.Mutate(func(tenant *graphtest.Tenant) {
					if err := change(tenant.User(i.UserID)); err != nil {
						w.Error(err)
					}
				})
			})
		}
	})
}

// accidental picks an item of a mailbox that is fetched after others: one of Sent Items.
func (w *world) accidental(user int) graphtest.TruthItem {
	owed := owedBy(w.truth.InScope(graphtest.SmallHalf(), false), w.tenant.Users[user])
	return owed[7]
}

func TestAnItemsAccidentCostsThatItemAtMost(t *testing.T) {
	t.Parallel()
	for _, a := range accidents() {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			w := faultWorld(t)
			item := w.accidental(1)
			id, code := a.befall(w, item)
			w.start()
			w.settle()
			w.checkAfterFaults(w.wanted(item, id, code))
			w.checkSynthesised(item, a.synthesised)
		})
	}
}

// checkSynthesised holds that the item's native was made of JSON if that is wanted, and no other was.
func (w *world) checkSynthesised(i graphtest.TruthItem, want bool) {
	w.Helper()
	for _, row := range w.readEvidence().items {
		if own := row.Kind == string(capture.Email) && row.Custodian == i.UserID && row.GraphID == i.ImmutableID; row.Synthesised != (own && want) {
			w.Errorf("the native of %s %s: synthesised is %v", row.Kind, row.Item, row.Synthesised)
		}
	}
}

// wanted is what is to stand in the exceptions after an accident. An item that cannot be listed has no id there: it is not
// owed as itself any more.
func (w *world) wanted(i graphtest.TruthItem, id, code string) map[string]string {
	if id == "" {
		return nil
	}
	if id == "unlisted" {
		w.truth.Items = slices.DeleteFunc(w.truth.Items, func(other graphtest.TruthItem) bool { return other.ImmutableID == i.ImmutableID })
		id = fmt.Sprintf("unlisted %s %s 1", w.tenant.User(i.UserID).Folder(i.Folder).ID, i.Received.UTC().Truncate(time.Second).Format(time.RFC3339))
	}
	return map[string]string{id: code}
}

// TestAMailboxThatIsNotToBeHadIsExcludedOrFailsWithItsReason goes through everything that stands in the way of a mailbox.
func TestAMailboxThatIsNotToBeHadIsExcludedOrFailsWithItsReason(t *testing.T) {
	t.Parallel()
	excluded := map[string]string{
		graphtest.ProblemDenied: capture.ReasonDenied, graphtest.ProblemOutOfScope: capture.ReasonDenied,
		graphtest.ProblemInactive: capture.ReasonNoMailbox, graphtest.ProblemNotSupported: capture.ReasonNoMailbox,
		graphtest.ProblemUnauthorized: capture.ReasonNoMailbox, graphtest.ProblemInvalidUser: capture.ReasonNoMailbox,
		graphtest.ProblemUndiscovered: capture.ReasonNoMailbox, graphtest.ProblemNoObject: capture.ReasonNoMailbox,
		graphtest.ProblemNonExistent: capture.ReasonNoMailbox, graphtest.ProblemNoFolders: capture.ReasonNoMailbox,
	}
	failed := map[string]string{
		graphtest.ProblemUnconsented: "unauthorized", graphtest.ProblemInsufficient: "unauthorized", graphtest.ProblemLapsed: "unauthorized",
		graphtest.ProblemLocked: "unauthorized", graphtest.ProblemTokenExpired: "unauthorized",
		graphtest.ProblemMoving: "OutOfTime", graphtest.ProblemStore: "transient", graphtest.ProblemStoreShort: "transient",
		graphtest.ProblemTimeout: "transient", graphtest.ProblemTransient: "transient", graphtest.ProblemDirectory: "transient",
		graphtest.ProblemConnection: "transient",
	}
	for problem, reason := range excluded {
		t.Run(problem, func(t *testing.T) {
			t.Parallel()
			w := faultWorld(t)
			w.tenant.Users[1].Problem = problem
			w.start()
			w.settle()
			w.checkLeftOut(w.tenant.Users[1], capture.Excluded, reason, capture.Completed)
		})
	}
	for problem, reason := range failed {
		t.Run(problem, func(t *testing.T) {
			t.Parallel()
			w := faultWorld(t)
			w.configure(w.faultSource(map[string]any{
				"retryPolicyInMinutes": []int{0}, "splitFailedBatches": false, "collectJobTimeoutInMinutes": 45,
			}))
			w.tenant.Users[1].Problem = problem
			w.start()
			w.settle()
			w.checkLeftOut(w.tenant.Users[1], capture.Failed, reason, capture.CompletedWithErrors)
		})
		t.Run(problem+" for a while", func(t *testing.T) {
			t.Parallel()
			w := faultWorld(t)
			w.tenant.Users[1].Problem = problem
			w.start()
			w.tick("people")
			w.tick("plan")
			w.drain()
			w.graph.Mutate(func(tenant *graphtest.Tenant) { tenant.Users[1].Problem = "" })
			w.settle()
			w.checkAfterFaults(nil)
		})
	}
	for _, problem := range []string{graphtest.ProblemQuota, graphtest.ProblemBusy} {
		t.Run(problem+" for a while", func(t *testing.T) {
			t.Parallel()
			w := faultWorld(t)
			w.tenant.Users[1].Problem = problem
			w.start()
			w.tick("people")
			w.tick("plan")
			w.drain()
			w.graph.Mutate(func(tenant *graphtest.Tenant) { tenant.Users[1].Problem = "" })
			w.settle()
			w.checkAfterFaults(nil)
		})
	}
}

// checkLeftOut holds that one mailbox has the status and the reason in its last seal, that the
// coverage names it, and that the others are captured.
func (w *world) checkLeftOut(u *graphtest.User, status capture.CustodianStatus, reason string, batch capture.BatchStatus) {
	w.Helper()
	e := w.readEvidence()
	others := slices.DeleteFunc(w.truth.InScope(graphtest.SmallHalf(), false), func(i graphtest.TruthItem) bool { return i.UserID == u.ID })
	events := slices.DeleteFunc(w.eventsIn(graphtest.SmallHalf()), func(i graphtest.TruthItem) bool { return i.UserID == u.ID })
	w.checkOwed(e, append(others, events...))
	w.checkViolations()
	got := ""
	for _, name := range slices.Sorted(maps.Keys(e.seals)) {
		for _, c := range e.seals[name].Custodians {
			if c.Identifier == u.Mail {
				got = c.Status + " " + c.Reason
			}
		}
	}
	if want := string(status) + " " + reason; got != want {
		w.Errorf("the custodian is %q, want %q", got, want)
	}
	m := e.manifests[len(e.manifests)-1]
	if m.Status != string(batch) {
		w.Errorf("the batch is %s, want %s", m.Status, batch)
	}
	named := slices.ContainsFunc(m.Coverage, func(c struct{ Custodian, Scope, Reason string }) bool { return c.Custodian == u.ID })
	if !named {
		w.Error("the coverage does not name the custodian")
	}
}

// A mishap is what happens to a request to storage, and to those after it of its kind, which is the same one coming again.
type mishap struct {
	name    string
	actions []storagetest.Action
}

func mishaps() []mishap {
	refused, failed := storagetest.Fail(503, "ServerBusy"), storagetest.Fail(500, "InternalError")
	return []mishap{
		{"is refused, never arrives, loses its answer, and arrives twice",
			[]storagetest.Action{refused, storagetest.Before(nil), storagetest.After(nil), storagetest.Twice}},
		{"fails for longer than the client is patient", []storagetest.Action{failed, failed, failed, failed, failed}},
	}
}

// TestEveryRequestToStorageThatFailsCostsNothing has the first request of every kind fail in every way.
func TestEveryRequestToStorageThatFailsCostsNothing(t *testing.T) {
	t.Parallel()
	kinds := map[string]bool{}
	for _, op := range rehearse(t) {
		kinds[kindOf(op)] = op.Write
	}
	for i, kind := range slices.Sorted(maps.Keys(kinds)) {
		for n, m := range mishaps() {
			if !picked(2*i + n) {
				continue
			}
			if !kinds[kind] && n != 1 {
				continue // a read is as good as another
			}
			t.Run(kind+" "+m.name, func(t *testing.T) {
				t.Parallel()
				w, day := killWorld(t)
				var came atomic.Int32
				w.proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
					if kindOf(op) != kind {
						return storagetest.Pass
					}
					if n := int(came.Add(1)); n <= len(m.actions) {
						return m.actions[n-1]
					}
					return storagetest.Pass
				})
				w.start()
				w.settle()
				w.checkAfterKills(day)
			})
		}
	}
}

// TestAllFaultsTogetherLoseNothing mixes faults of Graph and of storage and accidents at random, with two copies of every
// message at once, now and then on two hosts.
func TestAllFaultsTogetherLoseNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		if !picked(int(seed)) {
			continue
		}
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			w := faultWorld(t)
			w.configure(w.faultSource(map[string]any{
				"useQuickDiscovery": seed%2 == 0, "frequencyInMinutes": 360, "mergeBatchesDuringColdStart": false, "monitoredIndividualsPerJob": 2,
				"retryPolicyInMinutes": slices.Repeat([]int{1}, 20),
			}))
			random := rand.New(rand.NewPCG(seed, 2))
			if seed%3 == 0 {
				w.smallPages()
			}
			want := map[string]string{}
			var loose []graphtest.TruthItem
			all := accidents()
			for user := range w.tenant.Users {
				item := w.accidental(user)
				a := all[random.IntN(len(all)-1)] // 150 MB have a test of their own
				id, code := a.befall(w, item)
				if a.moment {
					loose = append(loose, item)
					continue
				}
				maps.Copy(want, w.wanted(item, id, code))
			}
			w.graphChaos(random.Uint64(), 0.06)
			w.storageChaos(random.Uint64(), 0.03)
			w.start()
			other := w.host
			if seed%10 == 0 {
				other = w.newHost(w.proxy)
			}
			w.settleDoubled(other)
			w.checkAfterChaos(want, loose)
		})
	}
}

// graphChaos has a share of all requests to Graph fail, each in a way that passes. The items that it met may be excepted:
// they are given up after some tries.
func (w *world) graphChaos(seed uint64, rate float64) {
	w.met = map[string]bool{}
	all := refusals()
	for n, r := range all {
		f := r.fault(w)
		w.graph.Fault(func(r graphtest.Request) bool {
			random := rand.New(rand.NewPCG(seed, uint64(r.N)))
			if random.Float64() >= rate || random.IntN(len(all)) != n || !sound(f, r) {
				return false
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.met[r.Item] = true
			return true
		}, 0, f)
	}
}

// metByChance reports whether a fault by chance has met an item.
func (w *world) metByChance(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.met[id]
}

// storageChaos has a share of all requests to storage fail.
func (w *world) storageChaos(seed uint64, rate float64) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 3))
	all := []storagetest.Action{
		storagetest.Fail(503, "ServerBusy"), storagetest.Fail(500, "InternalError"), storagetest.Before(nil), storagetest.After(nil),
		storagetest.Twice, storagetest.Delay(50 * time.Millisecond),
	}
	w.proxy.OnRequest(func(storagetest.Op) storagetest.Action {
		mu.Lock()
		defer mu.Unlock()
		if random.Float64() >= rate {
			return storagetest.Pass
		}
		return all[random.IntN(len(all))]
	})
}

// checkAfterChaos holds that everything is captured or stands in the exceptions with a reason that is true: that of its
// accident, or one of a fault that met it. Loose are items that were moved or deleted meanwhile. What a run has listed is
// known for good when its first part is closed: if it failed before, the next one lists what it finds then.
func (w *world) checkAfterChaos(want map[string]string, loose []graphtest.TruthItem) {
	w.Helper()
	e := w.readEvidence()
	kept, err := w.ledger.Exceptions(w.Context(), testSource)
	if err != nil {
		w.Fatal(err)
	}
	codes := map[string]string{}
	for _, x := range kept {
		codes[x.Item.GraphID] = x.Code
	}
	w.truth.Items = slices.DeleteFunc(w.truth.Items, func(i graphtest.TruthItem) bool {
		return slices.Contains(loose, i) && codes[i.ImmutableID] == "" && !w.stillThere(i)
	})
	for n, i := range w.truth.Items {
		at := slices.IndexFunc(e.items, func(row itemRow) bool { return row.GraphID == i.ImmutableID })
		if slices.Contains(loose, i) && at >= 0 && e.items[at].State == string(capture.Purged) {
			w.truth.Items[n].State = capture.Purged
		}
	}
	w.checkCaptured(e, graphtest.SmallHalf())
	w.checkViolations()
	for id, code := range codes {
		loosened := code == "Vanished" && slices.ContainsFunc(loose, func(i graphtest.TruthItem) bool { return i.ImmutableID == id })
		if want[id] != code && !w.met[id] && !loosened && !strings.HasPrefix(id, "unlisted ") {
			w.Errorf("an item that nothing befell is excepted as %s", code)
		}
	}
	for id, code := range want {
		if codes[id] == "" && !strings.HasPrefix(id, "unlisted ") {
			w.Errorf("no item is excepted as %s", code)
		}
	}
	if len(e.manifests) != 2 {
		w.Errorf("%d manifests, want two", len(e.manifests))
	}
}

// stillThere reports whether the mailbox has the item.
func (w *world) stillThere(i graphtest.TruthItem) (there bool) {
	w.graph.Mutate(func(tenant *graphtest.Tenant) {
		m, _ := tenant.User(i.UserID).Find(i.ImmutableID)
		there = m != nil
	})
	return there
}

// TestAGraphThatAnswersOnlyErrorsForTenMinutesIsCollectedAfterThem has the outage begin before anything is known of the
// tenant, and between two windows.
func TestAGraphThatAnswersOnlyErrorsForTenMinutesIsCollectedAfterThem(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"from the beginning": false, "in mid operation": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := faultWorld(t)
			// On a busy machine the handler's time runs on meanwhile: ten minutes may be two hours, and more attempts.
			w.configure(w.faultSource(map[string]any{"retryPolicyInMinutes": []int{10, 30, 60, 60, 60, 60, 60, 60}}))
			w.start()
			if known {
				w.tick("people")
			}
			began, over := w.now(), atomic.Bool{}
			for n, r := range refusals() {
				f := r.fault(w)
				if f.Status != 0 && f.Status != 400 && f.Status != 401 && f.Status != 404 {
					w.graph.Fault(func(r graphtest.Request) bool { return !over.Load() && r.N%9 == n%9 }, 0, f)
				}
			}
			w.graph.Fault(func(graphtest.Request) bool { return !over.Load() }, 0, graphtest.Fault{Status: 503, Empty: true})
			outage := 0
			for ; w.now().Before(began.Add(10 * time.Minute)); outage++ {
				w.tick("people")
				w.tick("plan")
				w.drain()
				w.advance(time.Minute)
			}
			w.checkOutage(outage)
			over.Store(true)
			w.settle()
			w.checkAfterFaults(nil)
		})
	}
}

// checkOutage holds that the batch waits and says why, and that nobody was left out for an outage.
func (w *world) checkOutage(rounds int) {
	w.Helper()
	for _, b := range w.batches() {
		if s := b.Statuses.V[len(b.Statuses.V)-1].Status; s != capture.PendingRetry {
			w.Errorf("after %d rounds the batch is %s, want PendingRetry", rounds, s)
		}
	}
	if !strings.Contains(w.logged(), `"custodian failed"`) {
		w.Error("the log does not tell why the custodians wait")
	}
	if e := w.readEvidence(); len(e.manifests) > 0 || len(e.excepted) > 0 || len(e.items) > 0 {
		w.Errorf("%d manifests, %d exceptions and %d items from an outage", len(e.manifests), len(e.excepted), len(e.items))
	}
	people, err := w.ledger.People(w.Context(), testSource)
	if err != nil {
		w.Fatal(err)
	}
	for _, p := range people {
		if p.Value.Reason != "" {
			w.Errorf("somebody was left out as %s", p.Value.Reason)
		}
	}
}

// TestTheTokenGoesToNoOtherHost has Graph lead the client elsewhere in every way there is.
func TestTheTokenGoesToNoOtherHost(t *testing.T) {
	t.Parallel()
	elsewhere := http.Header{"Location": {"https://graph.elsewhere.example/v1.0/users"}}
	for name, f := range map[string]graphtest.Fault{
		"a continuation":       {Page: graphtest.PageForeign},
		"a redirect":           {Status: 302, Header: elsewhere, Empty: true},
		"a permanent redirect": {Status: 308, Header: elsewhere, Empty: true},
		"a delta gone":         {Status: 410, Header: elsewhere, Code: "syncStateNotFound"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := faultWorld(t)
			hosts := []string{"graph.microsoft.com", "login.microsoftonline.com"}
			net := w.cloud(hosts...)
			w.settings["O365_MAIL_SECRET"] = w.tenant.Apps[0].Secret
			w.configure(w.faultSource(map[string]any{
				"graphEndpoint": nil, "applicationId": w.tenant.Apps[0].ClientID,
				"credential": map[string]any{"kind": "secret", "setting": "O365_MAIL_SECRET"},
			}))
			w.graph.Fault(onceEach(f), 0, f)
			w.start()
			w.settle()
			w.checkCaptured(w.readEvidence(), graphtest.SmallHalf())
			if got := slices.Sorted(maps.Keys(net.asked)); !slices.Equal(got, []string{hosts[0] + ":443", hosts[1] + ":443"}) {
				t.Errorf("the handler asked %q", got)
			}
		})
	}
}

// settleDoubled settles with two copies of every message at once, one on each host, which may be the same.
func (w *world) settleDoubled(other *hosttest.Host) (doubled int) {
	w.Helper()
	hosts := []*hosttest.Host{w.host, other}
	w.settleBy(func() {
		for n := w.double(); n > 0; n = w.double() {
			doubled += n
			errs := make([]error, 2*n)
			var running sync.WaitGroup
			for i := range errs {
				running.Go(func() { _, _, errs[i] = hosts[i%2].Next(w.Context(), "collect") })
			}
			running.Wait()
			if err := errors.Join(errs...); err != nil {
				w.Fatal(err)
			}
		}
	})
	return doubled
}
