// Package evidencetest makes small, sound evidence for tests, with the code that writes it in life.
package evidencetest

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
	"chainmail/handlers/spool"
)

// A Tree is evidence by file, as a container holds it.
type Tree map[string][]byte

// Files are a tree's files in their order.
func (tr Tree) Files() []string { return slices.Sorted(maps.Keys(tr)) }

// TB is what this package needs of a testing.TB.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	TempDir() string
}

// Lay writes a tree into a folder of the test's own.
func (tr Tree) Lay(tb TB) (dir string) {
	tb.Helper()
	dir = tb.TempDir()
	for name, data := range tr {
		Write(tb, dir, name, data)
	}
	return dir
}

// Write writes one file of a tree into its folder, over what lies there.
func Write(tb TB, dir, name string, data []byte) {
	tb.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		tb.Fatalf("evidencetest: %v", err)
	}
}

// Canary is a word that stands in every field that comes from mail: no output may quote it.
const Canary = "Zaunkönig"

// Day is a day of March 2026.
func Day(n int) capture.Window {
	start := time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC)
	return capture.Window{Start: start, End: start.AddDate(0, 0, 1)}
}

// A builder writes evidence with the code that writes it in life.
type builder struct {
	tree  Tree
	lease *spool.Lease
	last  map[string]string // SHA-256 of a source's last manifest
	chain map[string]int64  // its sequence
}

func newBuilder() (*builder, func(), error) {
	dir, err := os.MkdirTemp("", "evidencetest-*")
	if err != nil {
		return nil, nil, err
	}
	lease, err := spool.NewBudget(1<<20, 1<<20, dir).Acquire(context.Background(), 0)
	if err != nil {
		return nil, nil, err
	}
	b := &builder{tree: Tree{}, lease: lease, last: map[string]string{}, chain: map[string]int64{}}
	return b, func() { lease.Release(); _ = os.RemoveAll(dir) }, nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (b *builder) entry(name, content string) *pack.Entry {
	e := must(pack.Compress(name, strings.NewReader(content), b.lease.New()))
	return &e
}

// Custodian is the custodian that bears a name.
func Custodian(name string) capture.Custodian {
	return capture.Custodian{
		ID: name + "-0f5a-4b5e-9c55-0a5cbb1f5a01", Individual: capture.Individual{Identifier: name + "@contoso.example"},
	}
}

func item(id string, w capture.Window) capture.Item {
	return capture.Item{
		GraphID: id, ChangeKey: "CQAAABYAAAD", Kind: capture.Email, InternetMessageID: "<" + id + "." + Canary + "@contoso.example>",
		Folder: "Inbox/" + Canary, State: capture.Active, Received: w.Start.Add(10 * time.Hour), Sent: w.Start.Add(9 * time.Hour),
	}
}

// family is an item with its attachments, the last of which hangs on the one before it.
func (b *builder) family(who string, it capture.Item, attachments int, owed string) []pack.Document {
	c := Custodian(who)
	native := "BEGIN:VCALENDAR"
	if it.Kind == capture.Email {
		native = "Subject: " + Canary + " " + it.GraphID + "\r\n\r\n" + strings.Repeat("words "+it.GraphID+"\r\n", 20)
	}
	all := []pack.Document{{
		Custodian: c, Item: it, Kind: it.Kind, Parent: -1, TextStatus: "Extracted", For: owed,
		Native: b.entry(pack.NativeName(c, it), native), Text: b.entry(pack.TextName(c, it, 0), "\uFEFFwords of "+it.GraphID),
		Fields: pack.Fields{Subject: Canary, MIH: "1de319c276884bd0c9e2f1621ada26cc"},
	}}
	for n := 1; n <= attachments; n++ {
		d := pack.Document{
			Custodian: c, Item: it, Kind: capture.Attachment, TextStatus: "NotSupported", FileName: Canary + ".txt", For: owed,
			Native: b.entry(pack.AttachmentName(c, it, n, Canary+".txt"), strings.Repeat("attached ", n)),
		}
		if n > 1 && n == attachments {
			d.Parent = n - 1
		}
		all = append(all, d)
	}
	return all
}

// A portion is what a part holds, and says of each custodian beyond what it holds.
type portion struct {
	name     pack.Name
	number   int
	families [][]pack.Document
	excepted []capture.Exception
	found    map[string]int // by custodian, each of which is Collected
	excluded []string
}

func (b *builder) part(window capture.Window, p portion) pack.Seal {
	s := pack.Seal{Source: p.name.Source, Batch: p.name.Batch, Lane: p.name.Lane, Part: p.name.Part}
	shares := map[string]pack.SealCustodian{}
	share := func(who string, change func(*pack.SealCustodian)) {
		k := shares[who]
		k.ID, k.Identifier, k.Status = Custodian(who).Name(), Custodian(who).Identifier, capture.Collected
		change(&k)
		shares[who] = k
	}
	for who, n := range p.found {
		share(who, func(k *pack.SealCustodian) { k.Found = n })
	}
	for _, who := range p.excluded {
		share(who, func(k *pack.SealCustodian) { k.Status, k.Reason = capture.Excluded, capture.ReasonNotFound })
	}
	if len(p.families) > 0 {
		var data bytes.Buffer
		w := pack.NewWriter(&data, p.name, "O365", window, p.number)
		for _, f := range p.families {
			if err := w.Add(f); err != nil {
				panic(err)
			}
			share(strings.SplitN(f[0].Custodian.ID, "-", 2)[0], func(k *pack.SealCustodian) {
				k.Bytes += f[0].Native.Size
				if f[0].For != "" {
					k.Recovered++
				} else {
					k.Captured++
				}
			})
		}
		pkg, rows, err := w.Close()
		if err != nil {
			panic(err)
		}
		items := must(pack.EncodeItems(rows))
		b.tree[p.name.Zip()], b.tree[p.name.Items()] = data.Bytes(), items
		s.Package, s.ItemsSHA256, s.Documents, s.Texts = &pkg, pack.Sum(items), len(rows), pack.CountTexts(rows)
		s.Synthesised = pack.CountSynthesised(rows)
	}
	if len(p.excepted) > 0 {
		data := pack.EncodeExceptions(p.excepted)
		b.tree[p.name.Exceptions()], s.ExceptionsSHA256 = data, pack.Sum(data)
		for _, e := range p.excepted {
			share(strings.SplitN(e.Custodian, "-", 2)[0], func(k *pack.SealCustodian) { k.Excepted++ })
		}
	}
	s.Custodians = slices.Collect(maps.Values(shares))
	b.tree[p.name.Seal()] = must(s.Encode())
	return s
}

// close writes the manifest of a batch.
func (b *builder) close(source string, window capture.Window, number int, closed []pack.Closed, seals ...pack.Seal) {
	config := []byte(`{"sources": []}`)
	b.tree["_config/"+pack.Sum(config)+".json"] = config
	m := pack.Manifest{
		App: pack.App{Version: "1"}, Source: source, Batch: capture.BatchID(window, number), Start: window.Start, End: window.End,
		Reason: "window", Status: capture.Completed, ConfigSHA256: pack.Sum(config), Closed: closed,
		Coverage: []pack.Coverage{{Scope: "hidden folders", Reason: "left out by rule"}},
	}
	ids := map[string]bool{}
	for _, s := range seals {
		m.Seals = append(m.Seals, pack.FileSum{Name: path.Base(s.Name().Seal()), SHA256: pack.Sum(b.tree[s.Name().Seal()])})
		m.Totals.Documents += s.Documents
		m.Totals.Synthesised += s.Synthesised
		m.Totals.Texts = m.Totals.Texts.Plus(s.Texts)
		if s.Package != nil {
			m.Totals.Bytes += s.Package.Bytes
		}
		for _, k := range s.Custodians {
			m.Totals.Found, m.Totals.Captured = m.Totals.Found+k.Found, m.Totals.Captured+k.Captured
			m.Totals.Excepted, m.Totals.Recovered = m.Totals.Excepted+k.Excepted, m.Totals.Recovered+k.Recovered
			m.Totals.Unchanged += k.Unchanged
			if !ids[k.ID] && k.Status == capture.Excluded {
				m.Totals.Excluded++
			}
			ids[k.ID] = true
		}
	}
	m.Totals.Custodians = len(ids)
	if m.Totals.Excepted > 0 {
		m.Status = capture.CompletedWithDocumentLevelErrors
	}
	m.Statuses = []pack.StatusAt{
		{Status: capture.Created, At: window.End}, {Status: m.Status, At: window.End.Add(time.Hour), Documents: m.Totals.Documents},
	}
	b.chain[source]++
	data := must(pack.LinkManifest(m, b.chain[source], b.last[source]).Encode())
	b.last[source] = pack.Sum(data)
	b.tree[pack.ManifestName(source, m.Batch)] = data
	b.tree[pack.ManifestSumName(source, m.Batch)] = pack.ManifestSumLine(data)
}

// Name names a part.
func Name(source string, window capture.Window, number, lane, part int) pack.Name {
	return pack.Name{Source: source, Batch: capture.BatchID(window, number), Lane: lane, Part: part}
}

func exception(who string, it capture.Item, batch string) capture.Exception {
	return capture.Exception{
		Custodian: Custodian(who).Name(), Item: it, Batch: batch, Stage: "fetch", Code: "ErrorItemCorrupt", Attempts: 1,
		FirstSeen: it.Received.Add(time.Hour), LastSeen: it.Received.Add(time.Hour),
	}
}

// Mail is the sample's source of three batches.
const Mail = "o365-mail"

// The parts of the sample.
var (
	One   = Name(Mail, Day(2), 1, 0, 1)     // anna's family of five and an email, bo's event
	Two   = Name(Mail, Day(2), 1, 0, 2)     // no documents, one of anna's excepted
	Three = Name(Mail, Day(2), 1, 1, 1)     // cleo's two emails; dora is excluded
	Four  = Name(Mail, Day(3), 1, 0, 2)     // part 1 was burnt; an email of bo, one excepted, and anna's of before recovered
	Five  = Name(Mail, Day(3), 2, 0, 1)     // a supplement that found nothing
	Six   = Name("second", Day(2), 1, 0, 1) // an email of emil with an attachment, and one excepted
)

var built = sync.OnceValue(build)

// Sample is sound evidence with every kind of file and part: four batches of two sources, with six parts.
func Sample() Tree { return maps.Clone(built()) }

func build() Tree {
	b, release, err := newBuilder()
	if err != nil {
		panic(err)
	}
	defer release()
	for file, text := range pack.FormatFiles() {
		b.tree[file] = text
	}
	older := []byte(`{"sources": [], "older": true}`)
	b.tree["_config/"+pack.Sum(older)+".json"] = older

	made := b.family("cleo", item("fourth", Day(2)), 0, "")
	made[0].Synthesised = true
	made[0].Native = b.entry(made[0].Native.Name, pack.SynthesisedMark+"Subject: "+Canary+"\r\n\r\nwords\r\n")
	event := item("event", Day(2))
	event.Kind, event.InternetMessageID = capture.Event, ""
	lost := item("lost", Day(2))
	b.close(Mail, Day(2), 1, nil,
		b.part(Day(2), portion{name: One, families: [][]pack.Document{
			b.family("anna", item("first", Day(2)), 4, ""), b.family("anna", item("second", Day(2)), 0, ""), b.family("bo", event, 0, ""),
		}, found: map[string]int{"anna": 3, "bo": 1}}),
		b.part(Day(2), portion{name: Two, excepted: []capture.Exception{exception("anna", lost, One.Batch)}}),
		b.part(Day(2), portion{name: Three, families: [][]pack.Document{
			b.family("cleo", item("third", Day(2)), 0, ""), made,
		}, found: map[string]int{"cleo": 2}, excluded: []string{"dora"}}),
	)
	b.close(Mail, Day(3), 2, nil, b.part(Day(3), portion{name: Five, found: map[string]int{"cleo": 0}}))
	b.close(Mail, Day(3), 1, []pack.Closed{{Batch: One.Batch, Item: lost.Key(), How: "Captured"}},
		b.part(Day(3), portion{name: Four, families: [][]pack.Document{
			b.family("bo", item("fifth", Day(3)), 1, ""), b.family("anna", lost, 0, One.Batch),
		}, excepted: []capture.Exception{exception("bo", item("sixth", Day(3)), Four.Batch)}, found: map[string]int{"bo": 2}}),
	)
	b.close("second", Day(2), 1, nil, b.part(Day(2), portion{
		name: Six, families: [][]pack.Document{b.family("emil", item("seventh", Day(2)), 1, "")},
		excepted: []capture.Exception{exception("emil", item("eighth", Day(2)), Six.Batch)}, found: map[string]int{"emil": 2},
	}))
	return b.tree
}

// Entry is what an entry of a package holds.
func Entry(tb TB, data []byte, name string) []byte {
	tb.Helper()
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		tb.Fatalf("evidencetest: %v", err)
	}
	f, err := r.Open(name)
	if err != nil {
		tb.Fatalf("evidencetest: %v", err)
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		tb.Fatalf("evidencetest: %v", err)
	}
	return content
}
