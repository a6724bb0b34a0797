package capture

import (
	"testing"
	"time"
)

func TestABatchIDIsReadBack(t *testing.T) {
	t.Parallel()
	w := Window{Start: at("2026-03-02T00:00:00Z"), End: at("2026-03-03T12:30:15Z")}
	for _, n := range []int{1, 2, 17} {
		if got, number, ok := ParseBatchID(BatchID(w, n)); got != w || number != n || !ok {
			t.Errorf("%s: %v, %d, %t", BatchID(w, n), got, number, ok)
		}
	}
	for _, id := range []string{
		"", "20260302000000UTC", "20260302000000UTC-20260303000000UTC-1", "20260302000000UTC-20260303000000UTC-02",
		"20260399000000UTC-20260303000000UTC", "x20260302000000UTC-20260303000000UTC",
	} {
		if _, _, ok := ParseBatchID(id); ok {
			t.Errorf("%q is taken for a batch's id", id)
		}
	}
}

func TestUnbrokenEndsAtTheFirstHole(t *testing.T) {
	t.Parallel()
	hour := func(n int) time.Time { return time.Date(2026, 3, 2, n, 0, 0, 0, time.UTC) }
	window := func(from, to int) Window { return Window{Start: hour(from), End: hour(to)} }
	tests := []struct {
		name    string
		windows []Window
		want    time.Time
	}{
		{"none", nil, time.Time{}},
		{"one", []Window{window(3, 4)}, hour(4)},
		{"in disorder", []Window{window(5, 6), window(3, 4), window(4, 5)}, hour(6)},
		{"a hole", []Window{window(3, 4), window(5, 9), window(9, 10)}, hour(4)},
		{"one within another", []Window{window(3, 9), window(4, 5), window(9, 10)}, hour(10)},
		{"a hole of a second", []Window{window(3, 4), {Start: hour(4).Add(time.Second), End: hour(5)}}, hour(4)},
	}
	for _, test := range tests {
		if got := Unbroken(test.windows); !got.Equal(test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
