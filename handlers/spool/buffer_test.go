package spool

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/iotest"
)

// pattern is n bytes of which no two places look alike.
func pattern(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i ^ i>>8*31 ^ i>>16*17)
	}
	return data
}

func TestBuffersGiveBackWhatTheyTook(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, m - 1, m, m + 1, 3 * m} {
		for _, step := range []int{1 << 30, m, 10_007} { // at once, in wholes, and across the border
			b := acquire(t, NewBudget(10*m, 10*m, t.TempDir()), 0).New()
			want := pattern(size)
			for rest := want; len(rest) > 0; {
				n := min(step, len(rest))
				if got, err := b.Write(rest[:n]); err != nil || got != n {
					t.Fatalf("Write of %d bytes = %d, %v", n, got, err)
				}
				rest = rest[n:]
			}
			if b.Size() != int64(size) {
				t.Errorf("Size = %d, want %d", b.Size(), size)
			}
			got, err := io.ReadAll(b.Open())
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes in steps of %d: read %d bytes, %v, equal %v", size, step, len(got), err, bytes.Equal(got, want))
			}
			if onDisk := b.file != nil; onDisk != (size > m) {
				t.Errorf("%d bytes: on disk is %v", size, onDisk)
			}
			if size < 2*m { // the test reads every length at every place of a small step
				if err := iotest.TestReader(b.Open(), want); err != nil {
					t.Errorf("%d bytes: %v", size, err)
				}
			}
		}
	}
}

func TestReadAtCrossesFromMemoryToTheFile(t *testing.T) {
	t.Parallel()
	const size = 3 * m
	b := acquire(t, NewBudget(10*m, 10*m, t.TempDir()), 0).New()
	data := pattern(size)
	if _, err := b.Write(data); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		off  int64
		n    int
		want int
		err  error
	}{
		{0, 10, 10, nil}, {m - 10, 10, 10, nil}, {m - 10, 11, 11, nil}, {m - 1, 2, 2, nil}, {m, 10, 10, nil},
		{0, size, size, nil}, {0, size + 1, size, io.EOF}, {size - 10, 10, 10, nil}, {size - 10, 11, 10, io.EOF},
		{size, 1, 0, io.EOF}, {size + 5, 1, 0, io.EOF}, {m, 0, 0, nil}, {size, 0, 0, nil},
	} {
		p := make([]byte, row.n)
		n, err := b.ReadAt(p, row.off)
		if n != row.want || err != row.err || n > 0 && !bytes.Equal(p[:n], data[row.off:row.off+int64(n)]) {
			t.Errorf("ReadAt(%d bytes, %d) = %d, %v, want %d, %v", row.n, row.off, n, err, row.want, row.err)
		}
	}
	if n, err := b.ReadAt(make([]byte, 1), -1); n != 0 || err == nil || errors.Is(err, io.EOF) {
		t.Errorf("ReadAt before the beginning = %d, %v", n, err)
	}
}

func TestReadersAreIndependent(t *testing.T) {
	t.Parallel()
	b := acquire(t, NewBudget(10*m, 10*m, t.TempDir()), 0).New()
	want := pattern(2*m + 5)
	if _, err := b.Write(want[:m+5]); err != nil {
		t.Fatal(err)
	}
	early := b.Open()
	if _, err := b.Write(want[m+5:]); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(early); err != nil || !bytes.Equal(got, want[:m+5]) {
		t.Errorf("a reader opened before the second Write: %d bytes, %v", len(got), err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got, err := io.ReadAll(b.Open()); err != nil || !bytes.Equal(got, want) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
}

func TestAResetBufferStartsAnew(t *testing.T) {
	t.Parallel()
	b := acquire(t, NewBudget(10*m, 10*m, t.TempDir()), 0).New()
	for _, size := range []int{2 * m, 10, m + 1, 0} {
		want := pattern(size)
		if _, err := b.Write(want); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(b.Open()); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: read %d, %v", size, len(got), err)
		}
		if err := b.Reset(); err != nil {
			t.Fatal(err)
		}
		if b.Size() != 0 {
			t.Errorf("Size = %d after Reset", b.Size())
		}
	}
}

func TestAFaultOfTheDiskIsTheWriters(t *testing.T) {
	t.Parallel()
	b := NewBudget(10*m, 10*m, filepath.Join(t.TempDir(), "none"))
	l := acquire(t, b, 0)
	buffer := l.New()
	n, err := buffer.Write(pattern(m + 1))
	if n != m || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Write = %d, %v, want %d and that the folder is missing", n, err, m)
	}
	if got, err := io.ReadAll(buffer.Open()); err != nil || !bytes.Equal(got, pattern(m)) {
		t.Errorf("what was taken: %d bytes, %v", len(got), err)
	}
	l.Release()
	wantBooked(t, "released", b, 0, 0, 0)
}
