package graphtest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"mime/multipart"
	"net/http"
	"net/mail"
	"strings"
	"sync/atomic"
	"testing"

	"chainmail/handlers/graph/graphtest"
)

func TestMIMEIsMadeAnewAtEachCallAndItsHashKept(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(world *graphtest.Tenant, _ *graphtest.Options) {
		world.User("id-ada").Folder("inbox").Messages[1].MIME = graphtest.Bulk("Two", 5000)
	})
	var sums []string
	var bodies [][]byte
	for range 2 {
		a := b.get(t, adasMail, "Accept-Encoding", "identity")
		sum := sha256.Sum256(a.body)
		sums, bodies = append(sums, hex.EncodeToString(sum[:])), append(bodies, a.body)
	}
	if bytes.Equal(bodies[0], bodies[1]) || len(bodies[0]) != len(bodies[1]) {
		t.Errorf("bodies of %d and %d bytes, want other bytes of the same length", len(bodies[0]), len(bodies[1]))
	}
	if got := b.Served("id-ada", "AAkA-m1"); strings.Join(got, " ") != strings.Join(sums, " ") {
		t.Errorf("Served = %q, want %q", got, sums)
	}
}

func TestABulkMailIsAMailOfItsSize(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{0, 1000, 5000, 100_000} {
		body, err := graphtest.Bulk("Größe", size)(1)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(body)
		if err != nil || size >= 1000 && (int64(len(raw)) > size || int64(len(raw)) < size-100) {
			t.Errorf("%d bytes, %v, want about %d", len(raw), err, size)
		}
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		_, boundary, _ := strings.Cut(m.Header.Get("Content-Type"), `boundary="`)
		parts := multipart.NewReader(m.Body, strings.TrimSuffix(boundary, `"`))
		n := 0
		for p, err := parts.NextPart(); err != io.EOF; p, err = parts.NextPart() {
			if err != nil {
				t.Fatalf("part %d of %d bytes: %v", n, size, err)
			}
			if _, err := io.Copy(io.Discard, p); err != nil {
				t.Fatalf("part %d of %d bytes: %v", n, size, err)
			}
			n++
		}
		if n != 2 {
			t.Errorf("%d parts, want 2", n)
		}
	}
}

// metered counts what has been read of a body.
type metered struct {
	io.ReadCloser
	n *atomic.Int64
}

func (m metered) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.n.Add(int64(n))
	return n, err
}

// TestAMailOf150MBIsStreamed has the client stop after a while: what the server has made by then lies in buffers of the
// connection, which are small, and not in memory as a whole.
func TestAMailOf150MBIsStreamed(t *testing.T) {
	t.Parallel()
	const size = 150_000_000
	var made atomic.Int64
	b := newBench(t, func(world *graphtest.Tenant, _ *graphtest.Options) {
		m := world.User("id-ada").Folder("inbox").Messages[1]
		m.Size = size
		m.MIME = func(call uint64) (io.ReadCloser, error) {
			body, err := graphtest.Bulk("Large", size)(call)
			return metered{body, &made}, err
		}
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.root+adasMail, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	if n := made.Load(); n > 32<<20 {
		t.Errorf("made %d bytes for a client that has taken 1 MiB", n)
	}
	rest, err := io.Copy(io.Discard, resp.Body)
	if total := rest + 1<<20; err != nil || total > size || total < size-100 || resp.ContentLength >= 0 {
		t.Errorf("%d bytes, %v, announced as %d", total, err, resp.ContentLength)
	}
	if got := b.Served("id-ada", "AAkA-m1"); len(got) != 1 {
		t.Errorf("Served = %q, want one", got)
	}
}
