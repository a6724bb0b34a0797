// Package plan decides what is due: it cuts time into windows and windows into batches.
//
// Planning one window of N individuals, a hundred in a lane, reads their rows a thousand at a time, writes one snapshot of them, and
// reads two rows and writes one for each lane: N/1000 + 3*N/100 calls and a dozen more. So 100,000 individuals cost 3,130 calls, or
// 0.031 each, and 0.5 KB each of rows and snapshot, 50 MB in all; with sixteen lanes side by side, and calls of 10 ms, that is three
// seconds. A snapshot and the rows of all individuals are held at a time, some 100 MB for 100,000.
// TestPlanningAWindowCostsTheSameForEachIndividual measures it.
package plan

import (
	"time"

	"chainmail/handlers/capture"
)

// A Schedule is what decides a source's windows. All times are taken as UTC and cut to whole seconds, because windows
// lie on whole seconds; negative waits count as none.
type Schedule struct {
	State     time.Time     // ingestion state: everything before it has been planned; zero: nothing is ever due
	End       time.Time     // end date, exclusive; zero: none
	Frequency time.Duration // length of one window; below a second nothing is ever due
	Offset    time.Duration // collection period offset: a window's data is complete so long after its end
	Settle    time.Duration // what mail itself may need to become visible, on top of Offset
	Merge     bool          // several due windows become one batch
	MaxMerge  int           // at most so many windows in one batch; below 1 counts as 1
}

// Due gives the periods of the batches that are due at now, oldest first and at most room of them. They begin at the
// ingestion state and meet without gap or overlap, so that the last one's end is the next ingestion state.
//
// Windows are [State, State+Frequency), [State+Frequency, State+2*Frequency) and so on; one is due when its end, Offset
// and Settle have all passed. Only whole windows are due, but for the last one before the end date, which is cut there.
// While several are due and Merge is set, each batch takes as many as MaxMerge allows, greedily from the oldest. A clock
// that was set back makes nothing due and never moves the state back. The cost is that of the batches returned, however
// long the backlog.
func Due(s Schedule, now time.Time, room int) []capture.Window {
	start, frequency := capture.Second(s.State), s.Frequency.Truncate(time.Second)
	if s.State.IsZero() || frequency <= 0 {
		return nil
	}
	// Two subtractions: the sum of two long waits could wrap round.
	limit := capture.Second(now.Add(-max(s.Offset, 0)).Add(-max(s.Settle, 0)))
	ends := !s.End.IsZero() && !limit.Before(capture.Second(s.End))
	if ends {
		limit = capture.Second(s.End)
	}

	var due []capture.Window
	for len(due) < room {
		end := batchEnd(start, limit, frequency, s.perBatch(), ends)
		if !start.Before(end) {
			break
		}
		due = append(due, capture.Window{Start: start, End: end})
		start = end
	}
	return due
}

// batchEnd is where the batch that begins at start ends: after at most most windows, none of which ends after limit.
// Where limit is the end date, the window that it cuts counts as one. It is start when nothing is due.
func batchEnd(start, limit time.Time, frequency time.Duration, most int64, ends bool) time.Time {
	left := limit.Sub(start)
	whole := int64(left / frequency)
	if ends && whole < most && left > 0 {
		return limit
	}
	return start.Add(time.Duration(max(min(whole, most), 0)) * frequency)
}

func (s Schedule) perBatch() int64 {
	if !s.Merge || s.MaxMerge < 1 {
		return 1
	}
	return int64(s.MaxMerge)
}
