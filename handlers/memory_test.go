package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/vault/storagetest"
)

// What a handler may take at most, in bytes: of memory, by the operating system's account, and of temporary files.
const (
	memoryAllowed = 256 << 20
	spoolAllowed  = 400 << 20
)

// share is by how much the mailboxes are smaller where they are not measured, or not everything is to be tried.
func share() int64 {
	if measurable && picked(1) {
		return 1
	}
	return 10
}

func TestAMailboxOfLargeMessagesStaysWithinTheMemory(t *testing.T) {
	t.Parallel()
	tenant, truth := graphtest.Single(20, 100<<20/share())
	w := newWorldOf(t, tenant, truth)
	w.serveUncompressed()
	w.configure(w.source(map[string]any{"endDate": "2026-03-03T00:00:00Z"}))
	if spooled := w.checkMemory(); spooled < 100<<20/share() && runtime.GOOS == "linux" {
		t.Errorf("%d MiB of temporary files were seen: the test would prove nothing", spooled>>20)
	}
}

func TestAMailboxOfManyMessagesStaysWithinTheMemory(t *testing.T) {
	t.Parallel()
	tenant, truth := graphtest.Single(50_000/int(share()), 1<<10)
	w := newWorldOf(t, tenant, truth)
	w.serveUncompressed()
	w.configure(w.source(map[string]any{"endDate": "2026-03-03T00:00:00Z"}))
	w.settings["RUN_BUDGET"] = "20m"
	w.hurry(60) // Graph lets 10,000 requests through in ten minutes
	w.checkMemory()
}

// serveUncompressed has Graph send no answer compressed: in these tests that would take most of the time.
func (w *world) serveUncompressed() {
	w.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.Header.Del("Accept-Encoding")
		w.graph.ServeHTTP(rw, r)
	}))
	w.Cleanup(server.Close)
	w.root = server.URL + "/v1.0"
}

// checkMemory collects everything, and holds that all is captured, with no more memory and temporary files than allowed. It
// gives the size of the temporary files.
func (w *world) checkMemory() (spooled int64) {
	w.Helper()
	m := w.meter()
	w.start()
	w.settle()
	w.checkCaptured(w.readLightly(), sampleDays())
	return m.check()
}

// check closes the host and holds that the handler took no more than it may. The sample's run is measured where it is
// tested, see [TestTheMainJobCapturesEverythingInScopeOnce].
func (m *meter) check() (spooled int64) {
	w := m.world
	w.Helper()
	w.host.Close()
	peak := w.host.PeakMemory()
	spooled = m.most.Load()
	w.Logf("at most %d MiB of memory, %d MiB of temporary files", peak>>20, spooled>>20)
	if measurable && (peak > memoryAllowed || peak == 0) {
		w.Errorf("the handler took %d MiB of memory, at most %d are allowed", peak>>20, memoryAllowed>>20)
	}
	if spooled > spoolAllowed {
		w.Errorf("the handler had %d MiB of temporary files, at most %d are allowed", spooled>>20, spoolAllowed>>20)
	}
	return spooled
}

// A meter looks at the handler's temporary files again and again while it gets mail and sends packages, which is when it
// makes them and needs them.
type meter struct {
	world *world
	dir   string
	most  atomic.Int64 // bytes at a time
}

// meter is to be called before the app is started.
func (w *world) meter() *meter {
	w.Helper()
	m := &meter{world: w, dir: w.TempDir()}
	w.env = append(w.env, "TMPDIR="+m.dir)
	w.graph.Mutate(func(tenant *graphtest.Tenant) {
		for _, u := range tenant.Users {
			if u.Mailbox != nil {
				m.watch(u.Root)
			}
		}
	})
	w.proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		if op.Verb == "Put Block" {
			m.look()
		}
		return storagetest.Pass
	})
	return m
}

// watch has a look at every megabyte of a message.
func (m *meter) watch(f *graphtest.Folder) {
	for _, message := range f.Messages {
		if mime := message.MIME; mime != nil && message.Size >= lookEvery {
			message.MIME = func(call uint64) (io.ReadCloser, error) {
				body, err := mime(call)
				return &watched{ReadCloser: body, look: m.look}, err
			}
		}
	}
	for _, child := range f.Children {
		m.watch(child)
	}
}

func (m *meter) look() {
	now := m.world.host.OpenFiles(m.dir)
	for {
		most := m.most.Load()
		if now <= most || m.most.CompareAndSwap(most, now) {
			return
		}
	}
}

const lookEvery = 1 << 20

type watched struct {
	io.ReadCloser
	look func()
	read int // since the last look
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if w.read += n; w.read >= lookEvery {
		w.read = 0
		w.look()
	}
	return n, err
}

// readLightly reads the evidence like readEvidence, but for what is in the packages: they are hashed, and no more.
func (w *world) readLightly() *evidence {
	w.Helper()
	e := &evidence{files: map[string][]byte{}, seals: map[string]seal{}}
	sums := map[string]string{}
	for i, err := range w.evidence.List(w.Context(), "") {
		if err != nil {
			w.Fatal(err)
		}
		e.files[i.Name], sums[i.Name] = w.readFile(i.Name)
	}
	names := slices.Sorted(maps.Keys(e.files))
	for _, name := range names {
		if stem, ok := strings.CutSuffix(name, ".seal.json"); ok {
			w.readSealLightly(e, stem, sums)
		}
	}
	for _, name := range names {
		if strings.HasSuffix(name, "/manifest.json") {
			w.readManifest(e, name)
		}
	}
	w.checkChain(e)
	w.checkNothingElse(e)
	return e
}

// readFile gives a file of the evidence and its SHA-256; of a package the latter alone.
func (w *world) readFile(name string) (data []byte, sum string) {
	w.Helper()
	body, _, err := w.evidence.Open(w.Context(), name)
	if err != nil {
		w.Fatal(err)
	}
	h := sha256.New()
	if strings.HasSuffix(name, ".zip") {
		_, err = io.Copy(h, body)
	} else {
		data, err = io.ReadAll(io.TeeReader(body, h))
	}
	if err := errors.Join(err, body.Close()); err != nil {
		w.Fatal(err)
	}
	return data, hex.EncodeToString(h.Sum(nil))
}

func (w *world) readSealLightly(e *evidence, stem string, sums map[string]string) {
	w.Helper()
	name := stem + ".seal.json"
	var s seal
	w.parse(name, e.files[name], &s)
	e.seals[name] = s
	items, exceptions := e.files[stem+".items.jsonl"], e.files[stem+".exceptions.csv"]
	if s.ItemsSha256 != sums[stem+".items.jsonl"] || s.ExceptionsSha256 != sums[stem+".exceptions.csv"] {
		w.Errorf("%s: items or exceptions are not those that the seal names", name)
	}
	if s.Package != nil && s.Package.SHA256 != sums[stem+".zip"] || s.Package == nil && s.Documents > 0 {
		w.Errorf("%s: the package is not the one that the seal names", name)
	}
	if exceptions != nil {
		w.readExceptions(e, exceptions)
	}
	before := len(e.items)
	for line := range strings.Lines(string(items)) {
		row := itemRow{pkg: path.Base(stem)}
		w.parse(name, []byte(line), &row)
		e.items = append(e.items, row)
	}
	if n := len(e.items) - before; n != s.Documents {
		w.Errorf("%s: %d items, %d documents are sealed", name, n, s.Documents)
	}
}
