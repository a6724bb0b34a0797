package doctext

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A testExtractor is an extractor whose workers are this test's binary.
type testExtractor struct{ *Extractor }

func extractor(t *testing.T, options ...func(*Options)) testExtractor {
	t.Helper()
	o := Options{Cache: cache(t), Timeout: time.Minute}
	for _, option := range options {
		option(&o)
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return testExtractor{e}
}

func (e testExtractor) extract(t *testing.T, src Source) (string, Result) {
	t.Helper()
	var text strings.Builder
	res, err := e.Extract(context.Background(), src, &text)
	if err != nil {
		t.Fatal(err)
	}
	checkText(t, text.String(), res)
	return text.String(), res
}

func source(name, s string) Source {
	return Source{Name: name, Size: int64(len(s)), Content: strings.NewReader(s)}
}

func TestAWorkerIsKeptForTheNextDocument(t *testing.T) {
	t.Parallel()
	e := extractor(t)
	var pids []int
	for i := range 3 {
		text, res := e.extract(t, source("x.txt", fmt.Sprintf("text %d", i)))
		if want := fmt.Sprintf("text %d", i); text != want || res.Status != Extracted || res.Kind != PlainText {
			t.Errorf("%q, %+v, want %q", text, res, want)
		}
		p := <-e.workers
		pids = append(pids, p.cmd.Process.Pid)
		e.workers <- p
	}
	if pids[0] != pids[2] {
		t.Errorf("processes %v, want one", pids)
	}
}

func TestADocumentThatEndsTheWorkerCostsItsTextAlone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		what    string
		timeout time.Duration
	}{
		"it crashes":   {endWorker, time.Minute},
		"it hangs":     {hangWorker, 300 * time.Millisecond},
		"it is greedy": {fillWorker, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := extractor(t, func(o *Options) { o.Timeout = tt.timeout })
			for range 2 {
				if text, res := e.extract(t, source("x.html", "<html>"+tt.what+"text")); res != (Result{Kind: HTML,
					Status: Failed}) || text != "" {
					t.Errorf("%q, %+v, want it to have failed", text, res)
				}
				if text, res := e.extract(t, source("y.html", "<html>fine")); text != "fine" || res.Status != Extracted {
					t.Errorf("the next document: %q, %+v", text, res)
				}
			}
		})
	}
}

func TestADocumentIsReadAgainWhenTheWorkerWasUsed(t *testing.T) {
	t.Parallel()
	e := extractor(t)
	for range 2 {
		if text, res := e.extract(t, source("x.html", "<html>"+endIfUsed+"text")); text != "text" || res.Status != Extracted {
			t.Errorf("%q, %+v", text, res)
		}
	}
}

func TestASecondWorkerDoesNotRepeatTheFirst(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	tr := &transfer{src: source("x.txt", "abcdef"), w: &text}
	for i, frames := range []string{"tabcd", "tabtcdeftg"} {
		var in bytes.Buffer
		to := newWire(nil, &in)
		for _, part := range strings.Split(frames[1:], "t") {
			if err := to.send(textPart, []byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		if err := tr.talk(newWire(&in, io.Discard), func() {}); err == nil {
			t.Errorf("worker %d has not died", i)
		}
	}
	if text.String() != "abcdefg" || tr.written != 7 {
		t.Errorf("%q, %d bytes", text.String(), tr.written)
	}
}

func TestAWorkerHasNoEnvironment(t *testing.T) {
	if err := os.Setenv("CHAINMAIL_TEST_CANARY", "secret"); err != nil {
		t.Fatal(err)
	}
	if text, _ := extractor(t).extract(t, source("x.html", "<html>"+environ)); text != "environment:" {
		t.Errorf("%q", text)
	}
}

type brokenContent struct{}

var errDisk = errors.New("disk")

func (brokenContent) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errDisk }

func TestErrorsAreThoseOfContentAndWriter(t *testing.T) {
	t.Parallel()
	e := extractor(t)
	if _, err := e.Extract(context.Background(), Source{Name: "x.txt", Size: 5, Content: brokenContent{}},
		io.Discard); !errors.Is(err, errDisk) {
		t.Errorf("of content: %v", err)
	}
	if _, err := e.Extract(context.Background(), source("x.txt", "text"), brokenWriter{}); !errors.Is(err, errDisk) {
		t.Errorf("of the writer: %v", err)
	}
	if _, err := e.Extract(context.Background(), Source{Name: "x.txt", Size: 9, Content: strings.NewReader("short")},
		io.Discard); err == nil {
		t.Error("content that is shorter than its size: no error")
	}
	if text, res := e.extract(t, source("x.txt", "text")); text != "text" || res.Status != Extracted {
		t.Errorf("afterwards: %q, %+v", text, res)
	}
}

func TestAWorkerThatDoesNotBeginIsTold(t *testing.T) {
	t.Parallel()
	for _, command := range [][]string{{filepath.Join(t.TempDir(), "none")}, {os.Args[0], "-test.run=^$"}} {
		e := extractor(t, func(o *Options) { o.Command = command })
		if res, err := e.Extract(context.Background(), source("x.csv", "text"), io.Discard); !errors.Is(err, ErrNotStarted) ||
			res != (Result{Kind: CSV, Status: Failed}) {
			t.Errorf("%v: %+v, %v", command[1:], res, err)
		}
	}
}

func TestCancellingEndsTheWorker(t *testing.T) {
	t.Parallel()
	e := extractor(t, func(o *Options) { o.Timeout = time.Hour })
	ctx, cancel := context.WithCancel(context.Background())
	reading := func(content io.ReaderAt) io.ReaderAt {
		return readerFunc(func(b []byte, off int64) (int, error) {
			time.AfterFunc(50*time.Millisecond, cancel)
			return content.ReadAt(b, off)
		})
	}
	src := source("x.html", "<html>"+hangWorker)
	src.Content = reading(src.Content)
	if _, err := e.Extract(ctx, src, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := e.Extract(ctx, source("x.txt", "text"), io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	if text, _ := e.extract(t, source("x.txt", "text")); text != "text" {
		t.Errorf("afterwards: %q", text)
	}
}

type readerFunc func([]byte, int64) (int, error)

func (f readerFunc) ReadAt(b []byte, off int64) (int, error) { return f(b, off) }

func TestWorkersReadSideBySide(t *testing.T) {
	t.Parallel()
	e := extractor(t, func(o *Options) { o.Workers = 2 })
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			want := strings.Repeat(fmt.Sprintf("text %d\n", i), 30_000)
			want = strings.TrimSuffix(want, "\n")
			if text, res := e.extract(t, source("x.txt", want)); text != want || res.Status != Extracted {
				t.Errorf("document %d: %d bytes, %+v", i, len(text), res)
			}
		})
	}
	wg.Wait()
}

func TestAWorkerEndsWithTheProcessThatStartedIt(t *testing.T) {
	t.Parallel()
	p, err := start([]string{os.Args[0], WorkerArgument})
	if err != nil {
		t.Fatal(err)
	}
	tr := &transfer{src: source("x.html", "<html>"+hangWorker), w: io.Discard}
	began := make(chan struct{})
	go func() { _ = tr.talk(p.wire, func() { close(began) }) }()
	<-began
	if err := p.in.Close(); err != nil { // as the system does when a process ends
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- p.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("the worker ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		p.kill()
		t.Error("the worker goes on")
	}
}

func TestACacheThatOthersCanWriteToIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Cache: dir}); err == nil {
		t.Error("no error")
	}
	if _, err := New(Options{Cache: filepath.Join(dir, "a", "b")}); err != nil {
		t.Error(err)
	}
}
