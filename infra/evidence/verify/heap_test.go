//go:build !race

package verify

import (
	"runtime"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"testing"
)

// live is what the heap holds that is in use.
func live() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// It measures the process's heap, so it does not run beside others, nor under the race detector, with which the heap is another.
func TestTenThousandBatchesRaiseNoFalseAlarmInBoundedMemory(t *testing.T) {
	const hours, bound = 10_000, 48 << 20
	tr := years(hours, 25, nil)
	runtime.GC()
	before := live()
	var reads atomic.Int64
	var peak atomic.Uint64
	r, err := Run(t.Context(), tr, Options{Read: func(int) {
		if n := reads.Add(1); n%4000 == 0 {
			runtime.GC()
			if is := live(); is > peak.Load() {
				peak.Store(is)
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := r.Sources[0]
	if !r.Sound() || !s.Whole || s.Last != hours || len(s.Cover.Gaps) > 0 || s.Cover.Covered != s.Cover.Time ||
		s.Cover.Custodians != 25 {
		t.Errorf("findings %v, %s", r.Findings[:min(5, len(r.Findings))], s.line())
	}
	if used := int64(peak.Load()) - int64(before); used <= 0 || used > bound {
		t.Errorf("%d MiB were held at the most, for %d batches of %d MiB", used>>20, hours, r.Bytes>>20)
	}
	var page strings.Builder
	if err := r.WritePage(&page, Occasion{}); err != nil || page.Len() > 1<<20 {
		t.Errorf("%v, the page has %d bytes", err, page.Len())
	}
}
