// Package years_test runs a whole source for simulated days and years, with everything that happens to one, and holds what came of
// it against a small model of the rules.
package years_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/bury"
	"chainmail/handlers/capture"
	"chainmail/handlers/chain"
	"chainmail/handlers/collect"
	"chainmail/handlers/config"
	"chainmail/handlers/graph"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/ledger"
	"chainmail/handlers/mailfmt"
	"chainmail/handlers/mailfmt/doctext"
	"chainmail/handlers/pack"
	"chainmail/handlers/people"
	"chainmail/handlers/plan"
	"chainmail/handlers/queue"
	"chainmail/handlers/settings"
	"chainmail/handlers/spool"
	"chainmail/handlers/vault"
	"chainmail/handlers/vault/storagetest"
)

const testSource = "mail"

// begin is when the collections of all worlds begin.
func begin() time.Time { return time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) }

var texts *doctext.Extractor

func TestMain(m *testing.M) {
	if doctext.IsWorker(os.Args) {
		if doctext.Work(os.Args, os.Stdin, os.Stdout, doctext.Converters{Decode: mailfmt.Decode, HTML: mailfmt.HTMLText, Calendar: mailfmt.CalendarText}) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	var err error
	if texts, err = doctext.New(doctext.Options{}); err != nil {
		panic(err)
	}
	code := m.Run()
	texts.Close()
	os.Exit(code)
}

// A listed individual stands on the list of those who are monitored.
type listed struct {
	user     *graphtest.User
	from, to time.Time
}

// A world is a source with its functions, a tenant, and a storage account.
type world struct {
	*testing.T
	random   *rand.Rand
	tenant   *graphtest.Tenant
	graph    *graphtest.Server
	root     string
	clock    *graphtest.Clock
	log      *graphtest.Log
	ledger   *ledger.Ledger
	written  *vault.Container
	evidence *vault.Container
	changes  map[string]any
	list     []listed

	planner   *plan.Planner
	registry  *people.Registry
	collector *collect.Collector
	burier    *bury.Burier

	queue  []message
	outage atomic.Bool  // of Graph
	down   atomic.Bool  // of storage
	cut    atomic.Int32 // the process dies after so many writes; 0: it lives
	dead   atomic.Bool
	kill   context.CancelFunc

	mu   sync.Mutex
	laid []string // lists of items that were sent to the evidence
}

// A message is in the queue, and was delivered so many times.
type message struct {
	chunk      capture.Chunk
	deliveries int
}

// newWorld makes a world whose clock stands at the collection's beginning.
func newWorld(t *testing.T, seed uint64, users int, changes map[string]any) *world {
	t.Helper()
	w := &world{
		T: t, random: rand.New(rand.NewPCG(seed, 0x7EA5)), clock: graphtest.NewClock(begin()), tenant: newTenant(users), changes: changes,
		log: graphtest.NewLog(t),
	}
	w.graph, w.root = graphtest.Serve(t, w.tenant, graphtest.Options{Anonymous: true, Now: w.clock.Now})
	w.graph.Fault(func(graphtest.Request) bool { return w.outage.Load() }, 0, graphtest.Fault{Status: 503, Code: "ServiceUnavailable"})
	account := storagetest.New(t)
	proxy := account.Proxy(t)
	proxy.WORM("evidence")
	proxy.OnRequest(w.storage)
	direct, err := vault.Open(vault.Account{ConnectionString: account.ConnectionString()})
	must(t, err)
	w.written, w.evidence = direct.Container("config"), direct.Container("evidence")
	w.ledger, err = ledger.Open(ledger.Account{ConnectionString: account.ConnectionString()})
	must(t, err)
	must(t, w.ledger.Ensure(t.Context()))
	must(t, w.written.Ensure(t.Context()))
	must(t, direct.Container("state").Ensure(t.Context()))
	w.wire(proxy.ConnectionString())
	w.configure()
	t.Cleanup(func() {
		if v := w.graph.Violations(); len(v) > 0 {
			t.Errorf("%d rules of Graph's were broken, the first: %s", len(v), v[0])
		}
		if t.Failed() {
			t.Logf("seed %d, the log:\n%s", seed, tail(w.log.String(), 400))
		}
	})
	return w
}

func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(len(all)-lines, 0):], "\n")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// storage is what becomes of a request of the functions to the storage.
func (w *world) storage(op storagetest.Op) storagetest.Action {
	if op.Write && op.Container == "evidence" && strings.HasSuffix(op.Name, ".items.jsonl") {
		w.mu.Lock()
		w.laid = append(w.laid, op.Name)
		w.mu.Unlock()
	}
	switch {
	case w.dead.Load(), w.down.Load():
		return storagetest.Fail(403, "AuthorizationFailure") // which nobody tries again
	case op.Write && w.cut.Load() > 0 && w.cut.Add(-1) == 0:
		return storagetest.After(func() { w.dead.Store(true); w.kill() })
	}
	return storagetest.Pass
}

// wire makes the functions.
func (w *world) wire(connection string) {
	w.Helper()
	blobs, err := vault.Open(vault.Account{ConnectionString: connection})
	must(w.T, err)
	book, err := ledger.Open(ledger.Account{ConnectionString: connection})
	must(w.T, err)
	log, now, state := w.log.Logger(), w.clock.Now, blobs.Container("state")
	inForce := &config.Store{
		Written: blobs.Container("config"), State: state, Evidence: blobs.Container, Ledger: book,
		Lookup: func(string) (string, bool) { return "", false }, Log: log, Now: now,
	}
	sealing := &chain.Chain{
		Ledger: book, State: state, Evidence: blobs.Container, App: pack.App{Version: "1.0.0", Commit: "c0ffee"}, Log: log, Now: now,
	}
	transport := graph.DefaultTransport()
	transport.DisableCompression = true
	w.Cleanup(transport.CloseIdleConnections)
	client, err := graph.New(graph.Options{Root: w.root, Log: log, Transport: transport, Clock: graph.Clock{Now: now, Sleep: w.clock.Sleep}})
	must(w.T, err)
	clients := func(settings.Source) (*graph.Client, error) { return client, nil }
	w.planner = &plan.Planner{Config: inForce, Ledger: book, Chain: sealing, Depth: w.depth, Log: log, Now: now}
	w.registry = &people.Registry{Config: inForce, Written: blobs.Container("config"), Ledger: book, Graph: clients, Log: log, Now: now}
	w.collector = &collect.Collector{
		Config: inForce, Ledger: book, State: state, Evidence: blobs.Container, Chain: sealing, Graph: clients,
		Spool: spool.NewBudget(8<<20, 64<<20, w.TempDir()), Texts: texts, Budget: 8 * time.Minute, Log: log, Now: now,
	}
	w.burier = &bury.Burier{Config: inForce, Ledger: book, Log: log, Now: now}
}

// configure uploads the sources file and the list of individuals.
func (w *world) configure() {
	w.Helper()
	source := map[string]any{
		"name": testSource, "domain": "contoso.onmicrosoft.com", "graphEndpoint": w.root,
		"credential": map[string]any{"kind": "none"}, "collect": []string{"email"},
		"individuals": map[string]any{"file": "individuals/people.csv"}, "controlNumberPrefix": "TEST",
		"startDate": begin().Format(time.RFC3339), "monitoredIndividualsPerJob": 2, "frequencyInMinutes": 240,
		"retryPolicyInMinutes": []int{10, 30},
	}
	maps.Copy(source, w.changes)
	data, err := json.Marshal(map[string]any{"sources": []any{source}})
	must(w.T, err)
	must(w.T, w.written.Put(w.Context(), config.File, data))
	w.putList()
}

func (w *world) putList() {
	w.Helper()
	var b strings.Builder
	b.WriteString("identifier,secondaryIdentifiers,displayName,firstName,lastName,from,to\n")
	for _, l := range w.list {
		fmt.Fprintf(&b, "%s,,%s,,,%s,%s\n", l.user.Mail, l.user.DisplayName, stamp(l.from), stamp(l.to))
	}
	must(w.T, w.written.Put(w.Context(), "individuals/people.csv", []byte(b.String())))
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// depth is how many messages the host has of a queue.
func (w *world) depth(_ context.Context, name string) (int, error) {
	if name == queue.Poison {
		return 0, nil
	}
	return len(w.queue), nil
}

// alive carries out one invocation, which may be cut off; it reports whether it came to its end.
func (w *world) alive(cut int32, f func(ctx context.Context) error) bool {
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	w.kill = cancel
	w.cut.Store(cut)
	err := f(ctx)
	died := w.dead.Load()
	w.cut.Store(0)
	w.dead.Store(false)
	return err == nil && !died
}

// tick is the planner's turn; its messages reach the queue if it lives to its end.
func (w *world) tick(cut int32) {
	var chunks []capture.Chunk
	if w.alive(cut, func(ctx context.Context) (err error) { chunks, err = w.planner.Tick(ctx); return err }) {
		for _, c := range chunks {
			w.queue = append(w.queue, message{chunk: c})
		}
	}
}

func (w *world) synchronise(cut int32) { w.alive(cut, w.registry.Tick) }

// deliver gives the n-th message of the queue to the collector, and after the fifth failure to the burier.
func (w *world) deliver(n int, cut int32) {
	m := w.queue[n]
	w.queue = append(w.queue[:n:n], w.queue[n+1:]...)
	var next capture.Chunk
	more := false
	if w.alive(cut, func(ctx context.Context) (err error) { next, more, err = w.collector.Run(ctx, m.chunk); return err }) {
		if more {
			w.queue = append(w.queue, message{chunk: next})
		}
		return
	}
	if m.deliveries++; m.deliveries < 5 {
		w.queue = append(w.queue, m)
		return
	}
	text := []byte(m.chunk.Message())
	for !w.alive(0, func(ctx context.Context) error { return w.burier.Run(ctx, text) }) {
		w.down.Store(false) // the poison queue keeps it until storage is back
	}
}

// drain delivers all messages, in their order.
func (w *world) drain() {
	w.Helper()
	for n := 0; len(w.queue) > 0; n++ {
		if n > 2000 {
			w.Fatal("messages go round")
		}
		w.deliver(0, 0)
	}
}

// newTenant is a tenant of so many users with empty mailboxes.
func newTenant(users int) *graphtest.Tenant {
	t := &graphtest.Tenant{ID: "11111111-1111-4111-8111-111111111111", Domain: "contoso.onmicrosoft.com"}
	for n := 1; n <= users; n++ {
		address := fmt.Sprintf("user%d@contoso.onmicrosoft.com", n)
		t.Users = append(t.Users, &graphtest.User{
			ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", n), UserPrincipalName: address, Mail: address,
			DisplayName: fmt.Sprint("User ", n), UserType: "Member", Enabled: true, Licensed: true, Mailbox: graphtest.EmptyMailbox(n),
		})
	}
	return t
}

// mail lays a mail into the user's inbox, received at a time and visible after a while.
func (w *world) mail(u *graphtest.User, n int, at time.Time, late time.Duration) *graphtest.Message {
	name := fmt.Sprintf("%s-%d", u.ID, n)
	from := graphtest.Address{Name: u.DisplayName, Address: u.Mail}
	m := &graphtest.Message{
		ImmutableID: "AAkALg" + base64.URLEncoding.EncodeToString([]byte(name)) + "=",
		MutableID:   "AAMkAD" + base64.URLEncoding.EncodeToString([]byte(name)) + "=", ChangeKey: "CQ" + name,
		Received: at, Sent: at, Created: at.Add(late), Modified: at, InternetMessageID: fmt.Sprintf("<%s@contoso.example>", name),
		Subject: fmt.Sprint("Mail ", n), From: from, Sender: from, To: []graphtest.Address{from}, Size: 900, VisibleAfter: at.Add(late),
	}
	m.Raw = fmt.Appendf(nil, "From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nMessage-ID: %s\r\nDate: %s\r\n\r\nWords %s\r\n",
		u.Mail, u.Mail, m.Subject, m.InternetMessageID, at.Format(time.RFC1123Z), name)
	w.graph.Mutate(func(*graphtest.Tenant) { u.Folder("Inbox").Messages = append(u.Folder("Inbox").Messages, m) })
	return m
}

// meeting lays an event into the user's own calendar, made at a time.
func (w *world) meeting(u *graphtest.User, n int, at time.Time) *graphtest.Event {
	zoned := func(t time.Time) capture.ZonedTime {
		return capture.ZonedTime{DateTime: t.Format("2006-01-02T15:04:05.0000000"), TimeZone: "UTC"}
	}
	id := fmt.Sprintf("AAkALgEvent%d%s=", n, u.ID[30:])
	e := &graphtest.Event{MutableID: "M" + id, CalendarEvent: capture.CalendarEvent{
		ID: id, ChangeKey: fmt.Sprint("CQ", n), ICalUID: fmt.Sprint("uid-", n), Type: "singleInstance", Subject: fmt.Sprint("Meeting ", n),
		OriginalStartTimeZone: "UTC", Start: zoned(at.AddDate(0, 0, 10)), End: zoned(at.AddDate(0, 0, 10).Add(time.Hour)),
		Organizer: capture.Recipient{EmailAddress: capture.EmailAddress{Address: u.Mail}}, LastModified: at, Created: at,
	}}
	w.graph.Mutate(func(*graphtest.Tenant) {
		if len(u.Calendars) == 0 {
			u.Calendars = []*graphtest.Calendar{{ID: "C" + u.ID, Name: "Calendar", Default: true}}
		}
		u.Calendars[0].Events = append(u.Calendars[0].Events, e)
	})
	return e
}
