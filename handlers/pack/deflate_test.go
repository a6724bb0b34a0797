package pack

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"chainmail/handlers/spool"

	"github.com/klauspost/compress/flate"
)

// noise is random bytes, the same at each call.
func noise(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data) // never fails
	return data
}

// attached is base64 in lines, as mail has it.
func attached(data []byte) []byte {
	var b []byte
	for line := range slices.Chunk(data, 57) {
		b = append(base64.StdEncoding.AppendEncode(b, line), "\r\n"...)
	}
	return b
}

// table is text that repeats itself as tables do.
func table(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d;customer %d;%d\r\n", i, i%977, i*31%1009)
	}
	return b.Bytes()[:n]
}

func deflated(t testing.TB, d *deflater, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if n, err := d.deflate(&b, bytes.NewReader(data)); err != nil || n != int64(len(data)) {
		t.Fatalf("deflate = %d, %v, want %d", n, err, len(data))
	}
	return b.Bytes()
}

func TestWhatIsDeflatedComesBack(t *testing.T) {
	t.Parallel()
	const p = pieceBytes
	long := (untried + 3) * p
	contents := map[string][]byte{
		"text": table(long), "base64 of noise": attached(noise(long)), "base64 of text": attached(table(long)), "noise": noise(long),
		"several": slices.Concat(table(100_000), attached(noise(2 * long))[:2*long-7], table(3*p), noise(p+1), attached(table(3*p)), attached(noise(2*p))),
	}
	used := newDeflater()
	for name, all := range contents {
		for _, size := range []int{0, 1, p - 1, p, p + 1, 2 * p, 3*p - 1, untried * p, (untried + 1) * p, (untried+1)*p + 1, (untried + 2) * p, len(all)} {
			data := all[:size]
			packed := deflated(t, used, data)
			got, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s, %d bytes: %d come back, %v", name, size, len(got), err)
			}
			if !bytes.Equal(packed, deflated(t, newDeflater(), data)) {
				t.Errorf("%s, %d bytes: a deflater that was used gives another stream than a fresh one", name, size)
			}
		}
	}
}

func TestAttachmentsTakeLittleMoreThanTheyAreInBinary(t *testing.T) {
	t.Parallel()
	const size = 3 << 20
	for name, row := range map[string]struct {
		data []byte
		most float64 // of a thousand
	}{
		"base64 of noise":               {attached(noise(size)), 762},
		"text":                          {table(size), 290},
		"base64 of text":                {attached(table(size)), 300},
		"base64 of noise, then of text": {slices.Concat(attached(noise(size)), attached(table(size))), 600},
		"noise":                         {noise(size), 1001},
	} {
		packed := deflated(t, newDeflater(), row.data)
		if got := 1000 * float64(len(packed)) / float64(len(row.data)); got > row.most {
			t.Errorf("%s: %.0f of a thousand bytes are left, want at most %.0f", name, got, row.most)
		}
	}
}

func TestAFaultOfTheSourceOrTheSinkEndsDeflating(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, size := range []int{0, 10, 3 * pieceBytes} {
		source := io.MultiReader(bytes.NewReader(table(size)), iotest.ErrReader(broken))
		if _, err := newDeflater().deflate(io.Discard, source); !errors.Is(err, broken) {
			t.Errorf("source ends after %d bytes: %v, want its error", size, err)
		}
		if _, err := newDeflater().deflate(brokenWriter{broken}, bytes.NewReader(table(size))); !errors.Is(err, broken) {
			t.Errorf("sink, %d bytes: %v, want its error", size, err)
		}
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func BenchmarkCompress(b *testing.B) {
	for name, data := range map[string][]byte{
		"small text": table(1500), "text": table(1 << 20), "base64 of noise": attached(noise(6 << 20)), "base64 of text": attached(table(1 << 20)),
	} {
		b.Run(name, func(b *testing.B) {
			lease, err := spool.NewBudget(1<<30, 1<<30, b.TempDir()).Acquire(b.Context(), 0)
			if err != nil {
				b.Fatal(err)
			}
			defer lease.Release()
			dst, compressor := lease.New(), new(Compressor)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			var e Entry
			for b.Loop() {
				if err := dst.Reset(); err != nil {
					b.Fatal(err)
				}
				if e, err = compressor.Compress("x", bytes.NewReader(data), dst); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(e.Compressed)/float64(e.Size), "ratio")
		})
	}
}
