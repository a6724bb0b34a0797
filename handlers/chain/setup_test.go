package chain

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault"
	"chainmail/handlers/vault/storagetest"
)

var source = settings.Source{Name: "mail", Container: "evidence", CollectEmail: true}

var now = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// A world is a storage account, looked at past the proxies of the chains.
type world struct {
	*testing.T
	account  *storagetest.Account
	ledger   *ledger.Ledger
	state    *vault.Container
	evidence *vault.Container
	log      *graphtest.Log
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, account: storagetest.New(t), log: graphtest.NewLog(t)}
	w.ledger = w.book(w.account.ConnectionString())
	blobs := w.vault(w.account.ConnectionString())
	w.state, w.evidence = blobs.Container("state"), blobs.Container("evidence")
	must(t, w.ledger.Ensure(t.Context()))
	must(t, w.state.Ensure(t.Context()))
	must(t, w.evidence.Ensure(t.Context()))
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

// chain is the chain of one process, behind a proxy of its own that holds the evidence under WORM.
func (w *world) chain() (*Chain, *storagetest.Proxy) {
	w.Helper()
	proxy := w.account.Proxy(w.T)
	proxy.WORM("evidence")
	blobs := w.vault(proxy.ConnectionString())
	return &Chain{
		Ledger: w.book(proxy.ConnectionString()), State: blobs.Container("state"), Evidence: blobs.Container,
		App: pack.App{Version: "1.2.3", Commit: "c0ffee"}, Log: w.log.Logger(),
		Now: func() time.Time { return now.Add(700 * time.Millisecond) },
	}, proxy
}

// batch makes the batch of the n-th day of March with one chunk for each lane.
func (w *world) batch(n, custodians int, lanes ...int) string {
	w.Helper()
	start := time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC)
	b := ledger.Batch{Start: start, End: start.AddDate(0, 0, 1), N: 1, Reason: "window", Custodians: custodians, ConfigSHA256: strings.Repeat("a", 64)}
	b.ID = capture.BatchID(b.Window(), 1)
	b.Lanes.V = lanes
	b.Enter(capture.Created, now.Add(-time.Hour), 0)
	row, err := w.ledger.Source(w.Context(), source.Name)
	must(w.T, err)
	must(w.T, w.ledger.CreateBatch(w.Context(), source.Name, row, b))
	return b.ID
}

// close closes the lane's chunk of the batch, with so many parts, of which some are burnt.
func (w *world) close(batch string, lane, parts int, burnt ...int) {
	w.Helper()
	b, err := w.ledger.Batch(w.Context(), source.Name, batch)
	must(w.T, err)
	_, err = w.ledger.Dispatch(w.Context(), source.Name, []ledger.Row[ledger.Batch]{b}, now, false)
	must(w.T, err)
	chunk := capture.Chunk{Source: source.Name, Batch: batch, Lane: lane}
	work, err := w.ledger.Take(w.Context(), chunk, "run", now, now.Add(time.Minute))
	must(w.T, err)
	v := &work.Chunk.Value
	v.Part, v.Burnt.V, v.Status = parts, burnt, ledger.ChunkClosed
	_, _, err = w.ledger.Leave(w.Context(), &work, now)
	must(w.T, err)
}

// custodian is what a seal says of the n-th custodian.
func custodian(n int, s capture.CustodianStatus, reason string, found, captured, excepted int) pack.SealCustodian {
	return pack.SealCustodian{
		ID: fmt.Sprintf("c%d", n), Identifier: graphtest.Canary + "@contoso.example", Status: s, Reason: reason, Found: found, Captured: captured, Excepted: excepted,
	}
}

// seal lays a part's seal into the evidence. A part has a document for each captured item, in a package of 100 bytes; one
// of them is protected.
func (w *world) seal(batch string, lane, part int, custodians ...pack.SealCustodian) pack.FileSum {
	w.Helper()
	s := pack.Seal{Source: source.Name, Batch: batch, Lane: lane, Part: part, Custodians: custodians}
	for _, c := range custodians {
		s.Documents += c.Captured
	}
	if s.Documents > 0 {
		s.Synthesised = s.Documents / 2
		s.Texts = pack.TextCounts{Extracted: s.Documents - 1, Protected: 1}
		s.Package = &pack.Package{Name: s.Name().Stem() + ".zip", Bytes: 100, SHA256: strings.Repeat("b", 64), Entries: 1}
	}
	data, err := s.Encode()
	must(w.T, err)
	must(w.T, w.evidence.PutOnce(w.Context(), s.Name().Seal(), data, ""))
	return pack.FileSum{Name: s.Name().Stem() + ".seal.json", SHA256: pack.Sum(data)}
}

// finish seals the batch, which must be published then.
func (w *world) finish(c *Chain, batch string) pack.Manifest {
	w.Helper()
	done, err := c.Finish(w.Context(), source, batch)
	if !done || err != nil {
		w.Fatalf("Finish() = %v, %v, want that it is published", done, err)
	}
	m, _ := w.manifest(batch)
	return m
}

// manifest reads a published manifest and its hash, and holds it against the file beside it and the ledger.
func (w *world) manifest(batch string) (pack.Manifest, string) {
	w.Helper()
	data, err := w.evidence.Get(w.Context(), pack.ManifestName(source.Name, batch))
	must(w.T, err)
	m, err := pack.ParseManifest(data)
	must(w.T, err)
	line, err := w.evidence.Get(w.Context(), pack.ManifestSumName(source.Name, batch))
	must(w.T, err)
	if !bytes.Equal(line, pack.ManifestSumLine(data)) {
		w.Errorf("the hash beside the manifest is %q", line)
	}
	b, err := w.ledger.Batch(w.Context(), source.Name, batch)
	must(w.T, err)
	if v := b.Value; v.ManifestSHA256 != pack.Sum(data) || int64(v.Sequence) != m.Sequence || !v.Published || v.Status != m.Status {
		w.Errorf("the ledger has sequence %d, published %v, status %s, or another hash", v.Sequence, v.Published, v.Status)
	}
	return m, pack.Sum(data)
}

// checkChain holds that the manifests of the batches are one chain without a hole, and that nothing is left to be done.
func (w *world) checkChain(batches ...string) {
	w.Helper()
	type link struct{ previous, sum string }
	links := map[int64]link{}
	for _, b := range batches {
		m, sum := w.manifest(b)
		if _, twice := links[m.Sequence]; twice {
			w.Errorf("two manifests have sequence %d", m.Sequence)
		}
		links[m.Sequence] = link{m.PreviousManifestSHA256, sum}
	}
	previous := ""
	for n := int64(1); n <= int64(len(batches)); n++ {
		if links[n].sum == "" || links[n].previous != previous {
			w.Errorf("the chain is broken before sequence %d", n)
		}
		previous = links[n].sum
	}
	head, err := w.ledger.Head(w.Context(), source.Name)
	must(w.T, err)
	if head.Value.Sequence != len(batches) || head.Value.ManifestSHA256 != previous {
		w.Errorf("the chain's end is sequence %d, want %d", head.Value.Sequence, len(batches))
	}
	open, err := w.ledger.OpenBatches(w.Context(), source.Name)
	must(w.T, err)
	if len(open) != 0 {
		w.Errorf("%d batches are still open", len(open))
	}
}

// names lists the evidence.
func (w *world) names(ctx context.Context) map[string]int64 {
	w.Helper()
	names := map[string]int64{}
	for i, err := range w.evidence.List(ctx, "") {
		must(w.T, err)
		names[i.Name] = i.Size
	}
	return names
}
