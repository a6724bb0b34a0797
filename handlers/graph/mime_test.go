package graph

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// memory is a sink in memory.
type memory struct {
	bytes.Buffer
	resets int
	fail   error
}

func (m *memory) Write(p []byte) (int, error) {
	if m.fail != nil {
		return 0, m.fail
	}
	return m.Buffer.Write(p)
}

func (m *memory) Reset() error {
	m.resets++
	m.Buffer.Reset()
	return nil
}

var body = strings.Repeat("Subject: x\r\n", 20_000)

func whole(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, body)
}

// cut ends the connection in the middle of the body.
func cut(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "half a message")
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func TestMIMEStreamsTheItemAsItIs(t *testing.T) {
	t.Parallel()
	var path, prefer string
	b := newBench(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, prefer = r.URL.EscapedPath(), r.Header.Get("Prefer")
		whole(w, r)
	}))
	var dst memory
	n, err := b.client.MIME(t.Context(), "u1", "AAk/+b=_-", &dst)
	if err != nil || n != int64(len(body)) || dst.String() != body || dst.resets != 0 {
		t.Errorf("MIME = %d, %v, %d resets, want %d bytes as served", n, err, dst.resets, len(body))
	}
	if want := "/v1.0/users/u1/messages/AAk%2F%2Bb%3D_-/$value"; path != want || prefer != `IdType="ImmutableId"` {
		t.Errorf("asked for %s with %q, want %s", path, prefer, want)
	}
}

func TestMIMEUnpacksCompression(t *testing.T) {
	t.Parallel()
	b := newBench(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Error("no compression asked for")
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, body)
		_ = z.Close()
	}))
	var dst memory
	if _, err := b.client.MIME(t.Context(), "u1", "m", &dst); err != nil || dst.String() != body {
		t.Errorf("MIME = %v, %d bytes", err, dst.Len())
	}
}

func TestMIMEBeginsAnewAfterACut(t *testing.T) {
	t.Parallel()
	short := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "too little")
	}
	for name, failure := range map[string]http.HandlerFunc{"reset": cut, "shorter than it says": short} {
		a := inTurn(failure, failure, whole)
		b := newBench(t, a)
		var dst memory
		n, err := b.client.MIME(t.Context(), "u1", "m", &dst)
		if err != nil || n != int64(len(body)) || dst.String() != body || dst.resets != 2 {
			t.Errorf("%s: MIME = %d, %v, %d resets, want the whole body after 2", name, n, err, dst.resets)
		}
		b = newBench(t, inTurn(failure))
		if _, err := b.client.MIME(t.Context(), "u1", "m", &memory{}); MeaningOf(err) != Transient {
			t.Errorf("%s for ever: %v, want transient", name, err)
		}
	}
}

func TestMIMEErrorsHaveTheirMeaning(t *testing.T) {
	t.Parallel()
	tests := []struct {
		answer http.HandlerFunc
		want   Meaning
		tries  int
	}{
		{refuse(404, "ErrorItemNotFound"), NotFound, 1},
		{say(404, ""), Transient, 3}, // never taken for a vanished item
		{refuse(404, "Request_ResourceNotFound"), NoMailbox, 1},
		{refuse(500, "ErrorMimeContentConversionFailed"), BadItem, 2},
		{refuse(500, "ErrorInternalServerError"), Transient, 3},
		{refuse(403, "ErrorAccessDenied"), Denied, 1},
		{say(200, ""), Transient, 3},
		{say(204, ""), Broken, 1},
	}
	for _, tt := range tests {
		a := inTurn(tt.answer)
		var dst memory
		n, err := newBench(t, a).client.MIME(t.Context(), "u1", "m", &dst)
		if MeaningOf(err) != tt.want || a.count() != tt.tries || n != 0 || dst.Len() != 0 {
			t.Errorf("MIME = %d, %v after %d, want %s after %d", n, err, a.count(), tt.want, tt.tries)
		}
	}
}

func TestAFailingSinkIsNotGraphsFault(t *testing.T) {
	t.Parallel()
	full := errors.New("disk full")
	a := inTurn(whole)
	_, err := newBench(t, a).client.MIME(t.Context(), "u1", "m", &memory{fail: full})
	if !errors.Is(err, full) || MeaningOf(err) != "" || a.count() != 1 {
		t.Errorf("MIME = %v after %d requests, want the sink's error after 1", err, a.count())
	}
}

func TestAnItemUnderWayHoldsASlot(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now, most := 0, 0
	arrived, release := make(chan struct{}, 100), make(chan struct{})
	b := newBench(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		_, _ = io.WriteString(w, "begin")
		w.(http.Flusher).Flush()
		arrived <- struct{}{}
		<-release
		mu.Lock()
		now--
		mu.Unlock()
	}))
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			if _, err := b.client.MIME(t.Context(), "u1", fmt.Sprint(i), &memory{}); err != nil {
				t.Error(err)
			}
		})
	}
	for range 4 {
		<-arrived
	}
	close(release)
	wg.Wait()
	if most != 4 {
		t.Errorf("%d in flight, want 4", most)
	}
}

func TestABodyThatStallsIsGivenUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	g := &guarded{body: endless{ctx}, stall: time.Millisecond, cancel: cancel}
	if _, err := io.ReadAll(g); !errors.Is(err, context.Canceled) {
		t.Errorf("ReadAll = %v, want Canceled", err)
	}
}

// endless is a body that gives nothing until its request is cancelled.
type endless struct{ ctx context.Context }

func (e endless) Read([]byte) (int, error) {
	<-e.ctx.Done()
	return 0, e.ctx.Err()
}

func (endless) Close() error { return nil }
