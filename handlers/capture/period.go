package capture

import (
	"regexp"
	"slices"
	"strconv"
	"time"
)

var batchID = regexp.MustCompile(`^(\d{14}UTC)-(\d{14}UTC)(?:-([1-9]\d{0,5}))?$`)

// ParseBatchID reads a batch's id back into its period, and its number among the batches of that period.
func ParseBatchID(id string) (w Window, number int, ok bool) {
	m := batchID.FindStringSubmatch(id)
	if m == nil {
		return w, 0, false
	}
	const form = "20060102150405UTC"
	start, err1 := time.Parse(form, m[1])
	end, err2 := time.Parse(form, m[2])
	w, number = Window{Start: start, End: end}, 1
	if m[3] != "" {
		number, _ = strconv.Atoi(m[3]) // the pattern admits only what fits
	}
	return w, number, err1 == nil && err2 == nil && BatchID(w, number) == id
}

// Unbroken is the end of the time that windows cover without a hole from the beginning of the first on; zero: there is none.
func Unbroken(windows []Window) time.Time {
	var end time.Time
	for _, w := range slices.SortedFunc(slices.Values(windows), func(a, b Window) int { return a.Start.Compare(b.Start) }) {
		if !end.IsZero() && w.Start.After(end) {
			break
		}
		if w.End.After(end) {
			end = w.End
		}
	}
	return end
}
