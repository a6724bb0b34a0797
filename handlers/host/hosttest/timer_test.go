package hosttest

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// told is what the handler was given as its timer.
type told struct {
	Schedule       struct{ AdjustForDST bool }
	ScheduleStatus *timerStatusText
	IsPastDue      bool
}

// timerOf reads the timer from the next echo.
func (r *running) timerOf(t *testing.T) (timer told, body string) {
	t.Helper()
	var e echo
	if err := json.Unmarshal([]byte(r.line(t, "echo ")), &e); err != nil {
		t.Fatal(err)
	}
	var envelope struct {
		Data     struct{ Timer told }
		Metadata map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(e.Body), &envelope); err != nil {
		t.Fatal(err)
	}
	if len(envelope.Metadata) != 1 || envelope.Metadata["sys"] == nil {
		t.Errorf("metadata = %v, want sys alone", envelope.Metadata)
	}
	return envelope.Data.Timer, e.Body
}

// clock is a time that a test moves.
type clock struct{ at atomic.Pointer[time.Time] }

func (c *clock) set(t time.Time) { c.at.Store(&t) }

func (c *clock) now() time.Time { return *c.at.Load() }

func TestATickRunsATimerNow(t *testing.T) {
	t.Parallel()
	h := world{}.start(t)
	r, err := h.Tick(t.Context(), "tick")
	if err != nil || r.Err != nil || r.Function != "tick" || r.Fate != "" || r.DequeueCount != 0 {
		t.Errorf("Tick = %+v, %v", r, err)
	}
	_, body := h.timerOf(t)
	want := `{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}},"Metadata":{"sys":{`
	if !strings.HasPrefix(body, want) {
		t.Errorf("body = %s, want it to begin with %s", body, want)
	}
	_, err = h.Tick(t.Context(), "work")
	wantError(t, err, "timer trigger")
	_, _, err = h.Next(t.Context(), "tick")
	wantError(t, err, "queue trigger")
}

func TestATimersOutputsAreEnqueued(t *testing.T) {
	t.Parallel()
	order := answering(`{"Outputs":{"out":["a"]},"ReturnValue":null}`).String()
	h := world{options: Options{Settings: map[string]string{"ORDER": order}}}.start(t)
	if r, err := h.Tick(t.Context(), "tick"); err != nil || r.Err != nil || len(r.Outputs) != 1 {
		t.Errorf("Tick = %+v, %v", r, err)
	}
	if got := h.peek(t, "out"); got != "a" {
		t.Errorf("queue out holds %q", got)
	}
}

// With a schedule of every second no status is kept, and the timer never meets itself.
func TestRunFiresATimerByItsSchedule(t *testing.T) {
	t.Parallel()
	h := world{options: Options{Settings: map[string]string{"TICK_SCHEDULE": "* * * * * *"}}}.start(t)
	h.background(t)
	for range 2 {
		if r := h.result(t); r.Err != nil || r.Function != "tick" {
			t.Errorf("%+v, want the timer's run", r)
		}
		if timer, _ := h.timerOf(t); timer.ScheduleStatus != nil || timer.IsPastDue || !timer.Schedule.AdjustForDST {
			t.Errorf("timer = %+v, want no status", timer)
		}
	}
}

func TestManualKeepsTimersStill(t *testing.T) {
	t.Parallel()
	h := world{options: Options{
		Manual: true, Settings: map[string]string{"TICK_SCHEDULE": "* * * * * *"},
	}}.start(t)
	stop := h.background(t)
	h.put(t, order{Do: "echo"})
	if r := h.result(t); r.Function != "work" {
		t.Errorf("%s ran, want only what the test asked for", r.Function)
	}
	stop()
	if _, ok := h.timerStatus(h.app.functions[0]); ok {
		t.Error("the timer was armed")
	}
}

func TestAMissedOccurrenceIsRunOnceAndPastDue(t *testing.T) {
	t.Parallel()
	var c clock
	start := time.Date(2026, 3, 2, 10, 0, 0, 250_000_000, time.UTC)
	c.set(start)
	daily := strings.Replace(tickFunction, `"name":"timer"`, `"name":"timer","runOnStartup":true`, 1)
	h := world{
		functions: map[string]string{"tick": daily},
		options:   Options{Now: c.now, Settings: map[string]string{"TICK_SCHEDULE": "0 0 3 * * *"}},
	}.start(t)

	stop := h.background(t)
	h.result(t)
	timer, _ := h.timerOf(t)
	first := timerStatusText{"0001-01-01T00:00:00+00:00", "2026-03-03T03:00:00+00:00", "2026-03-02T10:00:00.25+00:00"}
	if timer.IsPastDue || timer.ScheduleStatus == nil || *timer.ScheduleStatus != first {
		t.Errorf("at the start: %+v %+v, want %+v, not past due", timer, timer.ScheduleStatus, first)
	}
	stop()

	c.set(start.AddDate(0, 0, 3)) // three occurrences have passed
	stop = h.background(t)
	h.result(t)
	timer, _ = h.timerOf(t)
	second := timerStatusText{"2026-03-02T10:00:00.25+00:00", "2026-03-03T03:00:00+00:00", "2026-03-02T10:00:00.25+00:00"}
	if !timer.IsPastDue || timer.ScheduleStatus == nil || *timer.ScheduleStatus != second {
		t.Errorf("afterwards: %+v %+v, want %+v, past due", timer, timer.ScheduleStatus, second)
	}
	stop()
	status, _ := h.timerStatus(h.app.functions[0])
	if want := time.Date(2026, 3, 6, 3, 0, 0, 0, time.UTC); !status.next.Equal(want) {
		t.Errorf("next = %v, want %v", status.next, want)
	}
	if r, err := h.Tick(t.Context(), "tick"); err != nil || r.Err != nil {
		t.Errorf("Tick = %v, %v", r.Err, err)
	}
	if timer, _ = h.timerOf(t); timer.IsPastDue || timer.ScheduleStatus == nil {
		t.Errorf("a run by hand was told %+v, want the status as it stands", timer)
	}
	if after, _ := h.timerStatus(h.app.functions[0]); after != status {
		t.Errorf("a run by hand moved the schedule from %v to %v", status, after)
	}
}

func TestATimerWithoutMonitorForgetsWhatItMissed(t *testing.T) {
	t.Parallel()
	var c clock
	c.set(time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC))
	function := strings.Replace(tickFunction, `"name":"timer"`, `"name":"timer","useMonitor":false,"runOnStartup":true`, 1)
	h := world{functions: map[string]string{"tick": function}, options: Options{Now: c.now}}.start(t)
	for range 2 {
		stop := h.background(t)
		h.result(t)
		if timer, _ := h.timerOf(t); timer.IsPastDue || timer.ScheduleStatus != nil {
			t.Errorf("timer = %+v, want no status and not past due", timer)
		}
		stop()
		c.set(c.now().AddDate(2, 0, 0))
	}
}
