package hosttest

import (
	"context"
	"fmt"
	"time"
)

// timerInfo is what a timer trigger is given; the names and their order are the host's.
type timerInfo struct {
	Schedule       timerSchedulePart
	ScheduleStatus *timerStatusText
	IsPastDue      bool
}

type timerSchedulePart struct{ AdjustForDST bool }

type timerStatusText struct{ Last, Next, LastUpdated string }

// timerStatus is what the host keeps of a timer: the zero time stands for never.
type timerStatus struct{ last, next, updated time.Time }

func (s timerStatus) text() *timerStatusText {
	return &timerStatusText{timerDate(s.last), timerDate(s.next), timerDate(s.updated)}
}

// timerDate is how the host serialises a date of its zone, UTC; year 1 is never.
func timerDate(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.9999999-07:00") }

// monitored tells whether a status is kept of f's schedule.
func (f *function) monitored() bool {
	return (f.trigger.UseMonitor == nil || *f.trigger.UseMonitor) && f.schedule.monitored()
}

// Tick runs a timer's function now, as the host's admin endpoint does: its schedule goes on as if nothing had been. It
// waits for a run that is under way.
func (h *Host) Tick(ctx context.Context, function string) (Result, error) {
	for _, f := range h.app.functions {
		if f.name == function && f.trigger.Type == timerTrigger {
			var status *timerStatusText
			if s, ok := h.timerStatus(f); ok && f.monitored() {
				status = s.text()
			}
			return h.runTimer(ctx, f, timerInfo{timerSchedulePart{true}, status, false})
		}
	}
	return Result{}, fmt.Errorf("run a timer: the app has no function %q with a timer trigger", function)
}

func (h *Host) runTimer(ctx context.Context, f *function, info timerInfo) (Result, error) {
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
	defer func() { <-f.turn }()
	leave, err := h.enter()
	if err != nil {
		return Result{}, err
	}
	defer leave()
	done := h.work()
	defer done()
	r := h.invoke(ctx, f, func() []byte {
		return timerBody(f.name, f.trigger.Name, info, h.options.Now())
	})
	h.report(r)
	return r, nil
}

func (h *Host) timerStatus(f *function) (timerStatus, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, ok := h.status[f.name]
	return s, ok
}

func (h *Host) setTimerStatus(f *function, s timerStatus) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status[f.name] = s
}

// keepTime runs a timer by its schedule until ctx ends. As in the host, the next run is armed when one has ended; of
// occurrences that passed meanwhile one is run, at once. At the start a monitored timer whose occurrence was missed runs
// at once as past due.
func (h *Host) keepTime(ctx context.Context, f *function) {
	now := h.options.Now()
	s, ok := h.timerStatus(f)
	if !ok || !f.monitored() {
		s = timerStatus{next: f.schedule.next(now), updated: now}
		h.setTimerStatus(f, s)
	}
	pastDue := !s.next.IsZero() && s.next.Before(now)
	early := pastDue || f.trigger.RunOnStartup
	for {
		if !early && !h.pause(ctx, s.next) {
			return
		}
		at := h.options.Now()
		info := timerInfo{Schedule: timerSchedulePart{true}, IsPastDue: pastDue}
		if f.monitored() {
			info.ScheduleStatus = s.text()
		}
		if _, err := h.runTimer(ctx, f, info); err != nil {
			return // ctx has ended, or the host has
		}
		if !early && s.next.After(at) {
			at = s.next // a clock that is fast must not make the same occurrence come twice
		}
		s = timerStatus{last: at, next: f.schedule.next(at), updated: at}
		h.setTimerStatus(f, s)
		early, pastDue = false, false
	}
}

// pause waits for an occurrence, for ever when there is none, and tells whether ctx still lives.
func (h *Host) pause(ctx context.Context, due time.Time) bool {
	if due.IsZero() {
		<-ctx.Done()
		return false
	}
	timer := time.NewTimer(due.Sub(h.options.Now()))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
