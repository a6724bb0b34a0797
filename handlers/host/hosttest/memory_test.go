package hosttest

import (
	"path/filepath"
	"runtime"
	"testing"
)

// The puppet holds so many bytes, and this process more than what the puppet comes to, under the race detector too.
const (
	holding = 64 << 20
	mine    = 384 << 20
)

func TestPeakMemoryIsThatOfTheLargestLifeAndNotOfThisProcess(t *testing.T) {
	t.Parallel()
	held := resident(mine) // a fork begins with what its parent has
	h := world{}.start(t)
	runtime.KeepAlive(held)
	h.put(t, order{Do: "hold", N: holding}, order{Do: "echo"})
	h.next(t)
	h.Kill()
	h.next(t) // in a second life, which holds nothing
	h.Close()
	if peak := h.PeakMemory(); peak < holding || peak >= mine {
		t.Errorf("PeakMemory = %d MiB, want %d and some, less than %d", peak>>20, holding>>20, mine>>20)
	}
}

func TestPeakMemoryIsKnownOfAHandlerThatEndedByItself(t *testing.T) {
	t.Parallel()
	h := world{}.start(t)
	h.put(t, order{Do: "hold", N: holding}, order{Do: "exit", N: 3})
	h.next(t)
	h.next(t)
	h.Close()
	if peak := h.PeakMemory(); peak < holding {
		t.Errorf("PeakMemory = %d MiB, want %d or more", peak>>20, holding>>20)
	}
}

func TestOpenFilesAreSeenWithoutTheirNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := world{options: Options{CommandEnv: []string{"TMPDIR=" + dir}}}.start(t)
	h.put(t, order{Do: "spill", N: 1 << 20}, order{Do: "spill", N: 10})
	h.next(t)
	h.next(t)
	want := int64(1<<20 + 10)
	if runtime.GOOS != "linux" {
		want = 0
	}
	if got := h.OpenFiles(dir); got != want {
		t.Errorf("OpenFiles = %d, want %d", got, want)
	}
	if got := h.OpenFiles(filepath.Join(dir, "none")); got != 0 {
		t.Errorf("OpenFiles of another folder = %d", got)
	}
	h.Close()
	if got := h.OpenFiles(dir); got != 0 {
		t.Errorf("OpenFiles = %d after the end", got)
	}
}
