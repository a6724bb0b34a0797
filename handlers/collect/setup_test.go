package collect

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/chain"
	"chainmail/handlers/config"
	"chainmail/handlers/graph"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/ledger"
	"chainmail/handlers/mailfmt"
	"chainmail/handlers/mailfmt/doctext"
	"chainmail/handlers/pack"
	"chainmail/handlers/settings"
	"chainmail/handlers/spool"
	"chainmail/handlers/vault"
	"chainmail/handlers/vault/storagetest"
)

const testSource = "mail"

// texts reads the attachments of all tests: its worker is the test binary started again.
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

// day is the period of the tests' batches.
func day() capture.Window {
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	return capture.Window{Start: start, End: start.AddDate(0, 0, 1)}
}

// A journal keeps what was logged.
type journal struct{ *graphtest.Log }

// count is how often a message was logged, with all the other words in the same line.
func (j journal) count(message string, words ...string) int {
	n := 0
line:
	for line := range strings.Lines(j.String()) {
		for _, w := range append(words, `"msg":"`+message+`"`) {
			if !strings.Contains(line, w) {
				continue line
			}
		}
		n++
	}
	return n
}

// A world is one source of a tenant behind the stand-in Graph, and a storage account. What tests look at leads past the
// proxies of the collectors.
type world struct {
	*testing.T
	tenant   *graphtest.Tenant
	graph    *graphtest.Server
	root     string
	account  *storagetest.Account
	ledger   *ledger.Ledger
	written  *vault.Container
	state    *vault.Container
	evidence *vault.Container
	clock    *graphtest.Clock
	log      journal
	budget   time.Duration
	limits   Limits
}

// newWorld makes a world of a tenant. The source is the tests' own, with some settings changed.
func newWorld(t *testing.T, tenant *graphtest.Tenant, changes map[string]any) *world {
	t.Helper()
	w := &world{
		T: t, tenant: tenant, account: storagetest.New(t), budget: 8 * time.Minute,
		clock: graphtest.NewClock(time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)),
		log:   journal{graphtest.NewLog(t, canaryName, canarySubject, canaryText, canaryFile, canaryMessage)},
	}
	w.graph, w.root = graphtest.Serve(t, tenant, graphtest.Options{Anonymous: true})
	blobs := w.vault(w.account.ConnectionString())
	w.written, w.state, w.evidence = blobs.Container("config"), blobs.Container("state"), blobs.Container("evidence")
	w.ledger = w.book(w.account.ConnectionString())
	must(t, w.ledger.Ensure(t.Context()))
	must(t, w.written.Ensure(t.Context()))
	must(t, w.state.Ensure(t.Context()))
	w.configure(changes)
	t.Cleanup(func() {
		if v := w.graph.Violations(); len(v) > 0 {
			t.Errorf("%d rules of Graph's were broken, the first: %s", len(v), v[0])
		}
		if t.Failed() {
			t.Logf("the log:\n%s", w.log)
		}
	})
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) vault(connection string) *vault.Vault {
	w.Helper()
	v, err := vault.Open(vault.Account{ConnectionString: connection})
	must(w.T, err)
	return v
}

func (w *world) book(connection string) *ledger.Ledger {
	w.Helper()
	l, err := ledger.Open(ledger.Account{ConnectionString: connection})
	must(w.T, err)
	return l
}

// configure puts settings into force.
func (w *world) configure(changes map[string]any) {
	w.Helper()
	source := map[string]any{
		"name": testSource, "domain": "contoso.onmicrosoft.com", "graphEndpoint": w.root,
		"credential": map[string]any{"kind": "none"}, "collect": []string{"email"},
		"individuals": map[string]any{"file": "individuals/people.csv"}, "controlNumberPrefix": "TEST",
		"retryPolicyInMinutes": []int{10, 30},
	}
	maps.Copy(source, changes)
	data, err := json.Marshal(map[string]any{"sources": []any{source}})
	must(w.T, err)
	must(w.T, w.written.Put(w.Context(), config.File, data))
	_, err = w.store(w.vault(w.account.ConnectionString()), w.ledger).Accept(w.Context())
	must(w.T, err)
}

func (w *world) store(blobs *vault.Vault, book *ledger.Ledger) *config.Store {
	return &config.Store{
		Written: blobs.Container("config"), State: blobs.Container("state"), Evidence: blobs.Container, Ledger: book,
		Lookup: func(string) (string, bool) { return "", false }, Log: w.logger(), Now: w.clock.Now,
	}
}

func (w *world) logger() *slog.Logger { return w.log.Logger() }

// collector is the collector of one process, with clients of its own. Its storage is reached through the proxy, or
// directly with nil.
func (w *world) collector(proxy *storagetest.Proxy) *Collector {
	w.Helper()
	connection := w.account.ConnectionString()
	if proxy != nil {
		connection = proxy.ConnectionString()
		proxy.WORM("evidence")
	}
	blobs, book := w.vault(connection), w.book(connection)
	client := newClient(w.T, w.root, w.clock, w.logger())
	sealing := &chain.Chain{
		Ledger: book, State: blobs.Container("state"), Evidence: blobs.Container, App: pack.App{Version: "1.0.0", Commit: "c0ffee"},
		Log: w.logger(), Now: w.clock.Now,
	}
	return &Collector{
		Config: w.store(blobs, book), Ledger: book, State: blobs.Container("state"), Evidence: blobs.Container, Chain: sealing,
		Graph: func(settings.Source) (*graph.Client, error) { return client, nil },
		Spool: spool.NewBudget(8<<20, 64<<20, w.TempDir()), Texts: texts, Budget: w.budget, Limits: w.limits, Log: w.logger(), Now: w.clock.Now,
	}
}

// newClient is a client of the stand-in Graph that does not wait. Its answers come uncompressed: compressing them would take
// most of the tests' time.
func newClient(t *testing.T, root string, c *graphtest.Clock, log *slog.Logger) *graph.Client {
	t.Helper()
	transport := graph.DefaultTransport()
	transport.DisableCompression = true
	t.Cleanup(transport.CloseIdleConnections)
	client, err := graph.New(graph.Options{
		Root: root, Log: log, Transport: transport, Clock: graph.Clock{Now: c.Now, Sleep: c.Sleep},
	})
	must(t, err)
	return client
}

// custodianOf is a user as the people of a source know them.
func custodianOf(u *graphtest.User, lane int) capture.Custodian {
	return capture.Custodian{
		Individual: capture.Individual{Identifier: u.Mail, Secondary: u.Aliases, DisplayName: u.DisplayName}, ID: u.ID, Lane: lane,
	}
}

// custodians are all users of the tenant, in lane 0.
func (w *world) custodians() []capture.Custodian {
	var all []capture.Custodian
	for _, u := range w.tenant.Users {
		all = append(all, custodianOf(u, 0))
	}
	return all
}

// batch makes the batch of the day for the custodians.
func (w *world) batch(custodians ...capture.Custodian) string {
	w.Helper()
	return w.batchOf(day(), custodians...)
}

func (w *world) batchOf(period capture.Window, custodians ...capture.Custodian) string {
	w.Helper()
	return w.batchFor(capture.ReasonWindow, period, custodians...)
}

func (w *world) batchFor(reason string, period capture.Window, custodians ...capture.Custodian) string {
	w.Helper()
	n, id, err := w.ledger.FreeBatch(w.Context(), testSource, period, nil)
	must(w.T, err)
	b := ledger.Batch{
		ID: id, Start: period.Start, End: period.End, N: n, Reason: reason, Custodians: len(custodians),
		ConfigSHA256: strings.Repeat("0", 64),
	}
	lanes := map[int]bool{}
	for _, c := range custodians {
		if !lanes[c.Lane] {
			lanes[c.Lane] = true
			b.Lanes.V = append(b.Lanes.V, c.Lane)
		}
	}
	snapshot, err := json.Marshal(custodians)
	must(w.T, err)
	sum := sha256.Sum256(snapshot)
	b.Snapshot, b.SnapshotSHA256 = "snapshots/"+b.ID, hex.EncodeToString(sum[:])
	must(w.T, w.state.Put(w.Context(), b.Snapshot, snapshot))
	b.Enter(capture.Created, w.clock.Now(), 0)
	row, err := w.ledger.Source(w.Context(), testSource)
	must(w.T, err)
	must(w.T, w.ledger.CreateBatch(w.Context(), testSource, row, b))
	return b.ID
}

func (w *world) open() []ledger.Row[ledger.Batch] {
	w.Helper()
	open, err := w.ledger.OpenBatches(w.Context(), testSource)
	must(w.T, err)
	return open
}

// dispatch gives out messages as the planner does.
func (w *world) dispatch() []capture.Chunk {
	w.Helper()
	chunks, err := w.ledger.Dispatch(w.Context(), testSource, w.open(), w.clock.Now(), true)
	must(w.T, err)
	return chunks
}

// first gives out the only lane's message.
func (w *world) first() capture.Chunk {
	w.Helper()
	chunks := w.dispatch()
	if len(chunks) != 1 {
		w.Fatalf("%d messages are given out, want one", len(chunks))
	}
	return chunks[0]
}

// drain runs messages, and those that follow from them, until none is left.
func (w *world) drain(c *Collector, chunks ...capture.Chunk) {
	w.Helper()
	for n := 0; len(chunks) > 0; n++ {
		if n == 100 {
			w.Fatal("messages go round")
		}
		next, more, err := c.Run(w.Context(), chunks[0])
		if err != nil {
			w.Fatalf("Run() = %v", err)
		}
		if chunks = chunks[1:]; more {
			chunks = append(chunks, next)
		}
	}
}

// settle does what planner and collector do until every batch is published, so much time between two rounds.
func (w *world) settle(c *Collector, pause time.Duration) {
	w.Helper()
	for round := 0; len(w.open()) > 0; round++ {
		if round == 50 {
			w.Fatal("not every batch was published")
		}
		w.drain(c, w.dispatch()...)
		for _, b := range w.open() {
			force, err := c.Config.Current(w.Context())
			must(w.T, err)
			source, _ := force.Source(testSource)
			_, err = c.Chain.Finish(w.Context(), source, b.Value.ID)
			must(w.T, err)
		}
		w.clock.Advance(pause)
	}
}

// pause is longer than a lease and than the time after which a message is given out again.
const pause = 15 * time.Minute

func (w *world) chunk(lane int) ledger.Chunk {
	w.Helper()
	c, err := w.ledger.Chunk(w.Context(), testSource, capture.BatchID(day(), 1), lane)
	must(w.T, err)
	return c.Value
}

func (w *world) row() ledger.Batch {
	w.Helper()
	b, err := w.ledger.Batch(w.Context(), testSource, capture.BatchID(day(), 1))
	must(w.T, err)
	return b.Value
}

// The canaries: a word of each kind that no log and no error may hold.
const (
	canaryName    = "Kanaria"
	canarySubject = "Zeisig"
	canaryText    = "Stieglitz"
	canaryFile    = "Rotkehlchen"
	canaryMessage = "Nachtigall"
)

// newTenant is a tenant of so many users, whose mailboxes have the usual folders and nothing in them.
func newTenant(users int) *graphtest.Tenant {
	t := &graphtest.Tenant{ID: "11111111-1111-4111-8111-111111111111", Domain: "contoso.onmicrosoft.com"}
	for n := 1; n <= users; n++ {
		address := fmt.Sprintf("%s.%d@contoso.onmicrosoft.com", strings.ToLower(canaryName), n)
		u := &graphtest.User{
			ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", n), UserPrincipalName: address, Mail: address,
			DisplayName: fmt.Sprint(canaryName, " ", n), UserType: "Member", Enabled: true, Licensed: true,
		}
		u.Mailbox = graphtest.EmptyMailbox(n)
		t.Users = append(t.Users, u)
	}
	return t
}

// put lays so many small mails into a folder, from the n-th minute of the day on, and returns them.
func put(u *graphtest.User, path string, n, mails int) []*graphtest.Message {
	f := u.Folder(path)
	if f == nil {
		panic("no folder " + path)
	}
	var put []*graphtest.Message
	for i := range mails {
		put = append(put, mail(u, n+i))
	}
	f.Messages = append(f.Messages, put...)
	return put
}

// mail is the user's n-th mail of the day.
func mail(u *graphtest.User, n int) *graphtest.Message {
	name := fmt.Sprintf("%s-%d", u.ID, n)
	at := day().Start.Add(time.Duration(n) * time.Minute)
	from := graphtest.Address{Name: canaryName, Address: u.Mail}
	m := &graphtest.Message{
		ImmutableID: "AAkALg" + base64.URLEncoding.EncodeToString([]byte(name)) + "=",
		MutableID:   "AAMkAD" + base64.URLEncoding.EncodeToString([]byte(name)) + "=", ChangeKey: "CQ" + name,
		Received: at, Sent: at, Created: at, Modified: at, InternetMessageID: fmt.Sprintf("<%s.%s@contoso.example>", canaryMessage, name),
		Subject: fmt.Sprint(canarySubject, " ", n), From: from, Sender: from, To: []graphtest.Address{from}, Size: 900,
	}
	m.Raw = fmt.Appendf(nil, "From: %s <%s>\r\nTo: <%s>\r\nSubject: %s\r\nMessage-ID: %s\r\nDate: %s\r\n"+
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n%s %s\r\n--b\r\n"+
		"Content-Type: application/pdf; name=%s.pdf\r\n\r\n%%PDF\r\n--b--\r\n",
		canaryName, u.Mail, u.Mail, m.Subject, m.InternetMessageID, at.Format(time.RFC1123Z), canaryText, name, canaryFile)
	return m
}
