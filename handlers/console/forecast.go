package console

import (
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"
)

// A forecast is how far a source is behind, and what comes next. Plan decides what is done, by the same settings.
type forecast struct {
	BehindSeconds int64     `json:"behindSeconds"`         // from where the schedule has come to what could have been collected by now
	Windows       int64     `json:"windows"`               // that are due
	NextStart     time.Time `json:"nextStart,omitzero"`    // of the next window
	NextEnd       time.Time `json:"nextEnd,omitzero"`      // exclusive
	NextDue       time.Time `json:"nextDue,omitzero"`      // when it is collected: its end, the offset and the settling time
	Pace          float64   `json:"pace,omitempty"`        // hours of mail collected in an hour, of the latest batches
	CaughtUpAt    time.Time `json:"caughtUpAt,omitzero"`   // at that pace
	Done          bool      `json:"done"`                  // the end date is reached
	NeverAtPace   bool      `json:"neverAtPace,omitempty"` // new mail comes faster
}

func (f forecast) Behind() time.Duration { return time.Duration(f.BehindSeconds) * time.Second }

func forecastOf(s settings.Source, r ledger.Source, recent []ledger.Batch, now time.Time) forecast {
	var f forecast
	if r.State.IsZero() || s.Frequency <= 0 {
		return f
	}
	limit := now.Add(-max(s.Offset, 0)).Add(-max(s.Settle, 0))
	ends := !s.EndDate.IsZero()
	if f.Done = ends && !r.State.Before(s.EndDate); f.Done {
		return f
	}
	if ends && limit.After(s.EndDate) {
		limit = s.EndDate
	}
	f.NextStart, f.NextEnd = r.State.UTC(), r.State.Add(s.Frequency).UTC()
	if ends && f.NextEnd.After(s.EndDate) {
		f.NextEnd = s.EndDate.UTC()
	}
	f.NextDue = f.NextEnd.Add(max(s.Offset, 0)).Add(max(s.Settle, 0))
	behind := max(limit.Sub(r.State), 0)
	f.BehindSeconds, f.Windows = int64(behind/time.Second), int64(behind/s.Frequency)
	if ends && limit.Equal(s.EndDate) && behind%s.Frequency > 0 {
		f.Windows++ // the last one, which the end date cuts
	}
	f.Pace = pace(recent, now)
	f.catchUp(ends && limit.Equal(s.EndDate), now)
	return f
}

// catchUp forecasts when nothing is due any more: while it is worked off, new mail comes, unless all that is left lies in the
// past.
func (f *forecast) catchUp(past bool, now time.Time) {
	gain := f.Pace
	if !past {
		gain--
	}
	switch {
	case f.Windows == 0 || f.Pace == 0:
	case gain <= 0:
		f.NeverAtPace = true
	case f.Behind().Hours()/gain < 24*365*20:
		f.CaughtUpAt = now.Add(time.Duration(float64(f.Behind()) / gain)).Round(time.Minute).UTC()
	}
}

// pace is how much time of the schedule the latest final batches cover, by the time that they took from the first one's beginning
// to the last one's end; 0: not known yet.
func pace(recent []ledger.Batch, now time.Time) float64 {
	var covered time.Duration
	var from, to time.Time
	for _, b := range recent {
		stages := b.Statuses.V
		if b.Reason != capture.ReasonWindow || !b.Status.Final() || len(stages) < 2 {
			continue
		}
		covered += b.End.Sub(b.Start)
		if begun := stages[0].At; from.IsZero() || begun.Before(from) {
			from = begun
		}
		if ended := stages[len(stages)-1].At; ended.After(to) {
			to = ended
		}
	}
	if took := to.Sub(from); covered > 0 && took > 0 && !from.After(now) {
		return float64(covered) / float64(took)
	}
	return 0
}
