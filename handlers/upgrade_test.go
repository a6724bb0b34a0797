package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/host/hosttest"
	"chainmail/handlers/ledger"
	"chainmail/handlers/queue"
	"chainmail/handlers/vault"
	"chainmail/handlers/vault/storagetest"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
)

// recordSetting names a folder for recordings of what this version leaves behind. Before a version goes out, have it record, as
//
//	CHAINMAIL_TEST_RECORD=testdata/begun/1.2.0 go test -run EarlierVersion ./handlers
//
// so that the versions to come are held to finish it.
const recordSetting = "CHAINMAIL_TEST_RECORD"

// A recording is what stands in storage after a handler was killed, and the messages that were given out until then. Blocks that
// were not committed are not in it: they have expired.
type recording struct {
	At       time.Time                    `json:"at"`
	After    string                       `json:"after"` // the write after which the handler was killed
	Entities []map[string]json.RawMessage `json:"entities"`
	Blobs    map[string][]block           `json:"blobs"` // by container and name
	Messages []string                     `json:"messages"`
	Served   map[string][]string          `json:"served"` // SHA-256 of the bodies that Graph served, by custodian and id
}

// A block is a block of a blob, by its id; of a blob that was put in one piece it has none.
type block struct {
	ID   string `json:"id,omitempty"`
	Data []byte `json:"data"`
}

// TestWhatAnEarlierVersionBeganIsFinished has this version take up what handlers of earlier ones left behind when they were killed:
// rows, records, messages and half a batch. The outcome is that of a run of its own.
func TestWhatAnEarlierVersionBeganIsFinished(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(recordSetting); dir != "" {
		record(t, dir)
	}
	files, err := filepath.Glob("testdata/begun/*/*.json.gz")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.ToSlash(file), func(t *testing.T) {
			t.Parallel()
			r := readRecording(t, file)
			w, day := killWorld(t)
			w.restore(r)
			w.start()
			for _, m := range r.Messages { // each again: that is harmless
				if err := w.host.Put(t.Context(), queue.Chunks, m); err != nil {
					t.Fatal(err)
				}
			}
			w.settle()
			w.checkAfterKills(day)
		})
	}
}

// record kills handlers at moments spread over a run, and keeps what they leave.
func record(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	all := moments(rehearse(t))
	const recordings = 8
	for n := range recordings {
		m := all[(2*n+1)*len(all)/(2*recordings)]
		writeRecording(t, filepath.Join(dir, fmt.Sprintf("%d.json.gz", n+1)), begunUntil(t, m))
	}
}

// begunUntil has a handler killed at a moment, and nothing done after it.
func begunUntil(t *testing.T, m moment) recording {
	t.Helper()
	w, day := killWorld(t)
	var came atomic.Int32
	var dead atomic.Bool
	w.proxy.OnRequest(func(storagetest.Op) storagetest.Action {
		if dead.Load() {
			return storagetest.Fail(403, "AuthorizationFailure")
		}
		return storagetest.Pass
	})
	w.proxy.OnRequest(m.at(storagetest.After(func() { dead.Store(true); w.host.Kill() }), &came))
	w.start()
	var messages []string
	took := func(r hosttest.Result, err error) {
		if err != nil {
			t.Fatal(err)
		}
		for _, out := range r.Outputs {
			messages = append(messages, out.Text)
		}
	}
	for round := 0; !dead.Load(); round++ {
		if round == 20 {
			t.Fatalf("the handler was not killed at %v", m)
		}
		for _, timer := range []string{"people", "plan"} {
			took(w.host.Tick(t.Context(), timer))
		}
		for more := true; more && !dead.Load(); {
			r, ok, err := w.host.Next(t.Context(), "collect")
			took(r, err)
			more = ok
		}
		w.advance(time.Minute)
	}
	slices.Sort(messages)
	r := recording{At: w.now(), After: m.kind, Entities: w.entities(), Blobs: map[string][]block{}, Messages: slices.Compact(messages),
		Served: map[string][]string{}}
	for _, i := range w.truth.InScope(day, false) {
		r.Served[i.UserID+" "+i.ImmutableID] = w.graph.Served(i.UserID, i.ImmutableID)
	}
	for name, c := range w.containers() {
		for info, err := range c.List(t.Context(), "") {
			if errors.Is(err, vault.ErrNotFound) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			r.Blobs[name+"/"+info.Name] = w.blocks(name, info.Name)
		}
	}
	return r
}

func (w *world) containers() map[string]*vault.Container {
	return map[string]*vault.Container{"state": w.state, "evidence": w.evidence}
}

func (w *world) table() *aztables.Client {
	w.Helper()
	service, err := aztables.NewServiceClientFromConnectionString(w.account.ConnectionString(), nil)
	if err != nil {
		w.Fatal(err)
	}
	return service.NewClient(ledger.Table)
}

// entities are the ledger's rows as they can be inserted again.
func (w *world) entities() (all []map[string]json.RawMessage) {
	w.Helper()
	for pages := w.table().NewListEntitiesPager(nil); pages.More(); {
		page, err := pages.NextPage(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		for _, raw := range page.Entities {
			var e map[string]json.RawMessage
			w.parse("entity", raw, &e)
			maps.DeleteFunc(e, func(key string, _ json.RawMessage) bool {
				return strings.HasPrefix(key, "odata.") || strings.HasPrefix(key, "Timestamp")
			})
			all = append(all, e)
		}
	}
	return all
}

// restore puts a recording into the storage, and the clock to a minute after it was made. The sources file stays the world's own.
func (w *world) restore(r recording) {
	w.Helper()
	for _, e := range r.Entities {
		raw, err := json.Marshal(e)
		if err == nil {
			_, err = w.table().AddEntity(w.Context(), raw, nil)
		}
		if err != nil {
			w.Fatal(err)
		}
	}
	for name, c := range w.containers() {
		if err := c.Ensure(w.Context()); err != nil {
			w.Fatal(err)
		}
		for blob, data := range r.Blobs {
			if file, ok := strings.CutPrefix(blob, name+"/"); ok {
				w.putBlocks(name, file, data)
			}
		}
	}
	w.served = r.Served
	w.advance(r.At.Add(time.Minute).Sub(w.now()))
}

func (w *world) blob(container, name string) *blockblob.Client {
	w.Helper()
	s, err := service.NewClientFromConnectionString(w.account.ConnectionString(), nil)
	if err != nil {
		w.Fatal(err)
	}
	return s.NewContainerClient(container).NewBlockBlobClient(name)
}

// blocks reads a blob by its blocks, by which the handler knows its own work again.
func (w *world) blocks(container, name string) []block {
	w.Helper()
	b := w.blob(container, name)
	body, err := b.DownloadStream(w.Context(), nil)
	if err != nil {
		w.Fatal(err)
	}
	data, err := io.ReadAll(body.Body)
	list, err2 := b.GetBlockList(w.Context(), blockblob.BlockListTypeCommitted, nil)
	if err := errors.Join(err, err2); err != nil {
		w.Fatal(err)
	}
	var all []block
	for _, c := range list.CommittedBlocks {
		all = append(all, block{*c.Name, data[:*c.Size]})
		data = data[*c.Size:]
	}
	if len(all) == 0 {
		all = []block{{Data: data}}
	}
	return all
}

func (w *world) putBlocks(container, name string, blocks []block) {
	w.Helper()
	b := w.blob(container, name)
	var ids []string
	for _, one := range blocks {
		var err error
		body := streaming.NopCloser(bytes.NewReader(one.Data))
		if one.ID == "" {
			_, err = b.Upload(w.Context(), body, nil)
		} else {
			_, err = b.StageBlock(w.Context(), one.ID, body, nil)
			ids = append(ids, one.ID)
		}
		if err != nil {
			w.Fatal(err)
		}
	}
	if len(ids) > 0 {
		if _, err := b.CommitBlockList(w.Context(), ids, nil); err != nil {
			w.Fatal(err)
		}
	}
}

func writeRecording(t *testing.T, file string, r recording) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if err := errors.Join(json.NewEncoder(z).Encode(r), z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func readRecording(t *testing.T, file string) (r recording) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err == nil {
		err = json.NewDecoder(z).Decode(&r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}
