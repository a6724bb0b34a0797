package console

import (
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
)

// A timeline draws batches by their periods. Units are thousandths of its width.
type timeline struct {
	Start, End time.Time
	Bars       []bar
	Height     int
	Count      int
}

// A bar is a batch.
type bar struct {
	X, Width, Y int
	Status      capture.BatchStatus
	ID          string
}

const (
	timelineWidth = 1000
	rowHeight     = 26 // of batches of the schedule, and below them of supplements
)

func timelineOf(batches []ledger.Batch) timeline {
	t := timeline{Count: len(batches), Height: rowHeight}
	for _, b := range batches {
		if t.Start.IsZero() || b.Start.Before(t.Start) {
			t.Start = b.Start
		}
		if b.End.After(t.End) {
			t.End = b.End
		}
	}
	whole := t.End.Sub(t.Start)
	if whole <= 0 {
		return t
	}
	scale := func(d time.Duration) int { return int(float64(d) / float64(whole) * timelineWidth) }
	for _, b := range batches {
		x := scale(b.Start.Sub(t.Start))
		one := bar{X: x, Width: max(scale(b.End.Sub(t.Start))-x-2, 2), Status: b.Status, ID: b.ID}
		if b.Reason != capture.ReasonWindow {
			one.Y, t.Height = rowHeight, 2*rowHeight
		}
		t.Bars = append(t.Bars, one)
	}
	return t
}
