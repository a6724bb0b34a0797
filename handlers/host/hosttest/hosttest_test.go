package hosttest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue"
)

func TestARequestIsTheHosts(t *testing.T) {
	t.Parallel()
	h := world{}.start(t)
	h.put(t, order{Do: "echo"})
	r := h.next(t)
	var got echo
	if err := json.Unmarshal([]byte(h.line(t, "echo ")), &got); err != nil {
		t.Fatal(err)
	}
	if got.Method != "POST" || got.Path != "/work" {
		t.Errorf("request = %s %s, want POST /work", got.Method, got.Path)
	}
	if got.ContentLength != -1 || !slices.Equal(got.TransferEncoding, []string{"chunked"}) {
		t.Errorf("length %d, transfer encoding %v, want none and chunked", got.ContentLength, got.TransferEncoding)
	}
	for name, pattern := range map[string]string{
		"User-Agent":                     `^Azure-Functions-Host/4\.`,
		"X-Azure-Functions-Hostversion":  `^4\.`,
		"X-Azure-Functions-Invocationid": "^" + r.Invocation + "$",
		"Content-Type":                   `^application/json; charset=utf-8$`,
		"Traceparent":                    `^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$`,
	} {
		if value := got.Header.Get(name); !regexp.MustCompile(pattern).MatchString(value) {
			t.Errorf("header %s = %q, want %s", name, value, pattern)
		}
		got.Header.Del(name)
	}
	if len(got.Header) > 0 {
		t.Errorf("further headers: %v", got.Header)
	}
	if !strings.HasPrefix(got.Body, `{"Data":{"message":"\"{\\\"order\\\":`) {
		t.Errorf("body = %s, want the message encoded twice under Data, first", got.Body)
	}
}

func TestTheHandlersEnvironmentIsTheAppSettingsAndTheHosts(t *testing.T) {
	t.Parallel()
	h := world{options: Options{Settings: map[string]string{"SOME_SETTING": "a value"}}}.start(t)
	h.put(t, order{Do: "environment"})
	h.next(t)
	var got []string
	if err := json.Unmarshal([]byte(h.line(t, "environment ")), &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(got, "SOME_SETTING=a value") || !slices.Contains(got, "FUNCTIONS_APP_ROOT_PATH="+h.app.root) {
		t.Errorf("environment lacks a setting or the app's root: %d variables", len(got))
	}
	known := append(inherited(), roleVariable, "SOME_SETTING", "AzureWebJobsStorage", "WORK_QUEUE", "TICK_SCHEDULE", "ORDER",
		"FUNCTIONS_CUSTOMHANDLER_PORT", "FUNCTIONS_HTTPWORKER_PORT", "FUNCTIONS_CUSTOMHANDLER_WORKER_ID",
		"FUNCTIONS_HTTPWORKER_ID", "FUNCTIONS_APP_ROOT_PATH", "PWD")
	for _, entry := range got {
		if name, _, _ := strings.Cut(entry, "="); !slices.Contains(known, name) {
			t.Errorf("the handler has inherited %s", name)
		}
	}
}

func TestOutputsAreEnqueuedInOrderAndThenTheMessageIsDeleted(t *testing.T) {
	t.Parallel()
	h := world{}.start(t)
	h.put(t, answering(`{"outputs":{"more":"hello!!","out":["{\"a\":1}","abcd1234"]},"logs":["one","two"]}`))
	r := h.next(t)
	want := []Message{{"out", `{"a":1}`}, {"out", "abcd1234"}, {"more", "hello!!"}}
	if r.Err != nil || !slices.Equal(r.Outputs, want) || r.Fate != Deleted || r.DequeueCount != 1 {
		t.Errorf("Next = %+v, want the outputs %v and deleted", r, want)
	}
	if !slices.Equal(r.Logs, []string{"one", "two"}) {
		t.Errorf("logs = %q", r.Logs)
	}
	if got := h.peek(t, "out"); got != `{"a":1}|abcd1234` {
		t.Errorf("queue out holds %s", got)
	}
	if got := h.peek(t, "more"); got != "hello!!" {
		t.Errorf("queue more holds %s", got)
	}
	h.count(t, "work", 0)
	if again, ok, err := h.Next(t.Context(), "work"); ok || err != nil {
		t.Errorf("Next on an empty queue = %+v, %v, %v", again, ok, err)
	}
}

func TestMessagesStandInStorageAsHostJSONSays(t *testing.T) {
	t.Parallel()
	for encoding, want := range map[string]string{
		"base64": base64.StdEncoding.EncodeToString([]byte("hello!!")),
		"none":   "hello!!",
	} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			h := world{queues: `{"messageEncoding":"` + encoding + `"}`}.start(t)
			h.put(t, answering(`{"Outputs":{"out":["hello!!"]}}`))
			if r := h.next(t); r.Err != nil {
				t.Fatal(r.Err)
			}
			if wire, err := h.named("out").peek(t.Context()); err != nil || !slices.Equal(wire, []string{want}) {
				t.Errorf("stored: %q, %v, want %q", wire, err, want)
			}
			if got := h.peek(t, "out"); got != "hello!!" {
				t.Errorf("Peek = %q", got)
			}
		})
	}
}

func TestAnAnswerThatTheHostRejectsFailsTheInvocation(t *testing.T) {
	t.Parallel()
	h := world{queues: `{"maxDequeueCount":1}`}.start(t)
	for name, row := range map[string]struct {
		answer order
		want   string
	}{
		"plain text":      {order{Status: 200, Type: "text/plain; charset=utf-8", Body: "{}"}, "content type"},
		"no content type": {order{Status: 200, Body: "{}"}, "content type"},
		"empty 200":       {order{Status: 200, Type: "application/json"}, "would hang"},
		"204":             {order{Status: 204}, "would hang"},
		"null":            {order{Status: 200, Type: "application/json", Body: " null\n"}, "would hang"},
		"array":           {order{Status: 200, Type: "application/json", Body: "[]"}, "not a JSON object"},
		"no JSON":         {order{Status: 200, Type: "application/json", Body: "{"}, "not JSON"},
		"logs of numbers": {order{Status: 200, Type: "application/json", Body: `{"Logs":[1]}`}, "Logs"},
		"500":             {order{Status: 500, Type: "application/json", Body: `{"Outputs":{"out":["lost"]}}`}, "500"},
		"400":             {order{Status: 400, Type: "application/json", Body: `{}`}, "400"},
		"unknown binding": {order{Status: 200, Type: "application/json", Body: `{"Outputs":{"Out":["x"]}}`}, "lose an output"},
		"looks like JSON": {order{Status: 200, Type: "application/json", Body: `{"Outputs":{"out":"{x}"}}`}, "is not JSON"},
		"too long":        {order{Do: "long", N: 48<<10 + 1}, "at most 65536"},
		"cut connection":  {order{Do: "cut"}, "EOF"},
	} {
		if row.answer.Do == "" {
			row.answer.Do = "answer"
		}
		h.put(t, row.answer)
		r := h.next(t)
		if r.Err == nil || !strings.Contains(r.Err.Error(), row.want) || r.Fate != Poisoned {
			t.Errorf("%s: %v, %v, want an error with %q and the message poisoned", name, r.Err, r.Fate, row.want)
		}
	}
	h.count(t, "out", 0)
	if h.Starts() != 1 {
		t.Errorf("the handler was started %d times", h.Starts())
	}
}

func TestARedirectIsFollowedAsAGet(t *testing.T) {
	t.Parallel()
	h := world{}.start(t)
	h.put(t, order{Do: "answer", Status: 301, Target: "/work/"})
	if r := h.next(t); r.Err != nil || !slices.Equal(r.Logs, []string{"came by GET /work/"}) {
		t.Errorf("Next = %v, logs %q, want the answer of the redirect's target", r.Err, r.Logs)
	}
}

func TestOutputsAreNotAtomic(t *testing.T) {
	t.Parallel()
	h := world{options: Options{RetryDelay: -1}}.start(t)
	h.put(t, answering(`{"Outputs":{"out":["first"],"more":"{broken}"}}`))
	for range 2 {
		r := h.next(t)
		if r.Err == nil || !slices.Equal(r.Outputs, []Message{{"out", "first"}}) || r.Fate != Retried {
			t.Errorf("Next = %+v, want a failure after the first output", r)
		}
	}
	h.count(t, "out", 2) // the retry enqueued it again
}

func TestAFailedMessageComesBackUntilItIsPoison(t *testing.T) {
	t.Parallel()
	h := world{queues: `{"maxDequeueCount":3}`, options: Options{RetryDelay: -1}}.start(t)
	bad := order{Do: "answer", Status: 500}
	h.put(t, bad)
	if got := fates(h.drain(t)); got != "retried/1 retried/2 poisoned/3" {
		t.Errorf("fates: %s", got)
	}
	h.count(t, "work", 0)
	if got := h.peek(t, "work-poison"); got != bad.String() {
		t.Errorf("poison queue holds %s", got)
	}
}

func TestDrainWaitsForADelayedMessage(t *testing.T) {
	t.Parallel()
	h := world{queues: `{"maxDequeueCount":2,"visibilityTimeout":"00:00:03"}`}.start(t)
	h.put(t, order{Do: "answer", Status: 500})
	if r := h.next(t); r.Fate != Retried {
		t.Errorf("fate = %s, want it retried", r.Fate)
	}
	if _, ok, err := h.Next(t.Context(), "work"); ok || err != nil {
		t.Errorf("Next at once = %v, %v, want no message", ok, err)
	}
	h.count(t, "work", 1)
	if got := fates(h.drain(t)); got != "poisoned/2" {
		t.Errorf("fates: %s", got)
	}
}

func TestDrainFollowsMessagesFromQueueToQueue(t *testing.T) {
	t.Parallel()
	h := world{queues: `{"maxDequeueCount":1}`, functions: map[string]string{
		"after": afterFunction,
		"first": strings.Replace(workFunction, "%WORK_QUEUE%", "first", 1),
		"work":  strings.Replace(workFunction, `"queueName":"out"`, `"queueName":"first"`, 1),
	}}.start(t)
	inner := answering(`{"Outputs":{"out":["done"]}}`).String()
	h.put(t, answering(`{"Outputs":{"out":[`+hostText(inner)+`]}}`), order{Do: "answer", Status: 500})
	var ran []string
	for _, r := range h.drain(t) {
		ran = append(ran, r.Function+" "+string(r.Fate))
	}
	want := []string{"work deleted", "work poisoned", "after kept", "first deleted"}
	if !slices.Equal(ran, want) {
		t.Errorf("ran %q, want %q", ran, want)
	}
	if got := h.peek(t, "out"); got != "done" {
		t.Errorf("queue out holds %q", got)
	}
}

func TestAMessageThatCannotBeDecodedIsPoisonUnrun(t *testing.T) {
	t.Parallel()
	h := world{}.start(t)
	if err := h.PutRaw(t.Context(), "work", "not base64!"); err != nil {
		t.Fatal(err)
	}
	r := h.next(t)
	if !errors.Is(r.Err, errUndecodable) || r.Invocation != "" || r.Fate != Poisoned {
		t.Errorf("Next = %+v, want it poisoned unrun", r)
	}
	if got := h.peek(t, "work-poison"); got != "not base64!" {
		t.Errorf("poison queue holds %q, want it as it was", got)
	}
}

func TestAMessageTakenTooOftenIsPoisonUnrun(t *testing.T) {
	t.Parallel()
	h := world{queues: `{"maxDequeueCount":2}`}.start(t)
	h.put(t, order{Do: "echo"})
	q := h.named("work")
	for range 2 { // as when a host dies with the message
		m, ok, err := q.take(t.Context(), time.Minute)
		if err != nil || !ok {
			t.Fatalf("take = %v, %v", ok, err)
		}
		if err := q.release(t.Context(), m, 0); err != nil {
			t.Fatal(err)
		}
	}
	r := h.next(t)
	if !errors.Is(r.Err, errTooOften) || r.Invocation != "" || r.Fate != Poisoned || r.DequeueCount != 3 {
		t.Errorf("Next = %+v, want it poisoned unrun at the third time", r)
	}
}

func TestAFailedMessageOfAPoisonQueueStaysUnderItsLease(t *testing.T) {
	t.Parallel()
	h := world{
		functions: map[string]string{"after": afterFunction},
		options:   Options{RetryDelay: -1},
	}.start(t)
	if err := h.Put(t.Context(), "work-poison", order{Do: "answer", Status: 500}.String()); err != nil {
		t.Fatal(err)
	}
	if got := fates(h.drain(t)); got != "kept/1" { // and Drain has ended
		t.Errorf("fates: %s", got)
	}
	h.count(t, "work-poison", 1)
	if got := h.peek(t, "work-poison"); got != "" {
		t.Errorf("visible: %s", got)
	}
	h.count(t, "work-poison-poison", 0)
}

// The second message is the clock: it shows itself when the first one's lease would have run out.
func TestALeaseIsRenewedWhileTheFunctionRuns(t *testing.T) {
	t.Parallel()
	h := world{options: Options{Lease: 4 * time.Second}}.start(t)
	h.put(t, order{Do: "hang", Say: "hanging"})
	h.nextInBackground(t.Context(), t)
	h.line(t, "hanging")
	q := h.named("work")
	marker := q.encode("marker")
	_, err := q.client.EnqueueMessage(t.Context(), marker, &azqueue.EnqueueMessageOptions{VisibilityTimeout: to.Ptr(int32(5))})
	if err != nil {
		t.Fatal(err)
	}
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	late := time.After(patience)
	for {
		m, ok, err := q.take(t.Context(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if ok && m.wire != marker {
			t.Fatal("the message became visible while its function ran")
		}
		if ok {
			break
		}
		select {
		case <-poll.C:
		case <-late:
			t.Fatal("the second message has not become visible")
		}
	}
	h.Kill()
	if r := h.result(t); r.Fate != Retried {
		t.Errorf("fate = %s, want the renewed lease to be given back", r.Fate)
	}
	if _, ok, err := q.take(t.Context(), time.Minute); !ok || err != nil {
		t.Errorf("the message did not come back at once: %v, %v", ok, err)
	}
}

func TestAMessageWhoseLeaseWasLostIsLeftToItsNewHolder(t *testing.T) {
	t.Parallel()
	h := world{}.start(t)
	h.put(t, order{Do: "echo"})
	q := h.named("work")
	old, ok, err := q.take(t.Context(), time.Minute)
	if err != nil || !ok {
		t.Fatalf("take = %v, %v", ok, err)
	}
	if err := q.release(t.Context(), old, 0); err != nil {
		t.Fatal(err)
	}
	if _, ok, err = q.take(t.Context(), time.Minute); err != nil || !ok {
		t.Fatalf("take = %v, %v", ok, err)
	}
	if err := errors.Join(q.remove(t.Context(), old), q.release(t.Context(), old, 0)); err != nil {
		t.Error(err)
	}
	h.count(t, "work", 1)
	if got := h.peek(t, "work"); got != "" {
		t.Errorf("visible: %s", got)
	}
}

func TestAKilledHandlerFailsWhatItRanAndIsStartedAgain(t *testing.T) {
	t.Parallel()
	h := world{options: Options{RetryDelay: -1}}.start(t)
	for i := range 4 { // more often than faults are forgiven
		h.put(t, order{Do: "hang", Say: "hanging"})
		h.nextInBackground(t.Context(), t)
		h.line(t, "hanging")
		h.Kill()
		if r := h.result(t); r.Err == nil || r.Fate != Retried {
			t.Fatalf("kill %d: %+v, want a failure and the message back", i, r)
		}
		m, ok, err := h.named("work").take(t.Context(), time.Minute)
		if err != nil || !ok {
			t.Fatalf("take = %v, %v", ok, err)
		}
		if err := h.named("work").remove(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	h.put(t, order{Do: "echo"})
	if r := h.next(t); r.Err != nil {
		t.Error(r.Err)
	}
	if h.Starts() != 5 {
		t.Errorf("the handler was started %d times, want 5", h.Starts())
	}
}

func TestThreeCrashesStopTheHost(t *testing.T) {
	t.Parallel()
	h := world{options: Options{RetryDelay: -1, Manual: true}}.start(t)
	ended := make(chan error, 1)
	h.put(t, order{Do: "exit", N: 1})
	for i := range maxFaults {
		if r := h.next(t); r.Err == nil || r.Fate != Retried || int(r.DequeueCount) != i+1 {
			t.Errorf("crash %d: %+v, want a failure and the message back", i, r)
		}
	}
	_, _, err := h.Next(t.Context(), "work")
	if !errors.Is(err, ErrStopped) {
		t.Errorf("Next = %v, want ErrStopped", err)
	}
	wantError(t, err, "last words")
	if _, err := h.Tick(t.Context(), "tick"); !errors.Is(err, ErrStopped) {
		t.Errorf("Tick = %v, want ErrStopped", err)
	}
	go func() { ended <- h.Run(t.Context()) }()
	select {
	case err := <-ended:
		if !errors.Is(err, ErrStopped) {
			t.Errorf("Run = %v, want ErrStopped", err)
		}
	case <-time.After(patience):
		t.Error("Run goes on")
	}
	h.count(t, "work", 1)
}

func TestRunEndsWhenTheHostStops(t *testing.T) {
	t.Parallel()
	h := world{options: Options{RetryDelay: -1}}.start(t)
	ended := make(chan error, 1)
	go func() { ended <- h.Run(t.Context()) }()
	h.put(t, order{Do: "exit", N: 3})
	select {
	case err := <-ended:
		if !errors.Is(err, ErrStopped) {
			t.Errorf("Run = %v, want ErrStopped", err)
		}
	case <-time.After(patience):
		t.Error("Run goes on")
	}
}

func TestAHandlerThatExitsWith200IsStartedAgainAtNoCost(t *testing.T) {
	t.Parallel()
	h := world{queues: `{"maxDequeueCount":9}`, options: Options{RetryDelay: -1}}.start(t)
	h.put(t, order{Do: "exit", N: 200})
	for range maxFaults + 1 {
		if r := h.next(t); r.Err == nil {
			t.Error("an invocation succeeded although the handler ended")
		}
	}
	if h.Starts() != maxFaults+1 {
		t.Errorf("the handler was started %d times, want %d", h.Starts(), maxFaults+1)
	}
}

func TestAHandlerThatExitsWithZeroIsNeverStartedAgain(t *testing.T) {
	t.Parallel()
	h := world{options: Options{RetryDelay: -1}}.start(t)
	h.put(t, order{Do: "exit", N: 0}, order{Do: "echo"})
	for range 3 {
		if r := h.next(t); r.Err == nil {
			t.Error("an invocation succeeded although the handler has ended")
		}
	}
	r, err := h.Tick(t.Context(), "tick")
	if err != nil || r.Err == nil {
		t.Errorf("Tick = %v, %v, want a failed invocation", r.Err, err)
	}
	wantError(t, r.Err, "refused")
	if h.Starts() != 1 {
		t.Errorf("the handler was started %d times, want once", h.Starts())
	}
}

func TestAHandlerThatNeverListensKeepsTheHostFromStarting(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		role, init, want string
		stopped          bool
	}{
		{"1", "", "no listener today", true},
		{"0", "", "exited with code 0 before it answered", false},
		{roleSilent, "00:00:00.2", "Initializing HttpWorker timed out", true},
	} {
		t.Run(row.role, func(t *testing.T) {
			t.Parallel()
			o, _ := world{role: row.role, init: row.init}.prepare(t)
			_, err := Start(t.Context(), o)
			wantError(t, err, row.want)
			if errors.Is(err, ErrStopped) != row.stopped {
				t.Errorf("error = %v, is ErrStopped: want %v", err, row.stopped)
			}
		})
	}
}

func TestTheEndOfItsContextEndsAStart(t *testing.T) {
	t.Parallel()
	o, r := world{role: roleSilent}.prepare(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		r.line(t, "up")
		cancel()
	}()
	if _, err := Start(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("Start = %v, want its context's error", err)
	}
}

func TestFunctionTimeoutKillsTheHandlerAndAllThatItRuns(t *testing.T) {
	t.Parallel()
	h := world{timeout: "00:00:04", options: Options{RetryDelay: -1}}.start(t)
	h.put(t, order{Do: "hang", Say: "hanging"}, order{Do: "hang", Say: "hanging"})
	for range 2 {
		h.nextInBackground(t.Context(), t)
	}
	h.line(t, "hanging")
	h.line(t, "hanging")
	timeouts := 0
	for range 2 {
		r := h.result(t)
		if r.Err == nil || r.Fate != Retried {
			t.Errorf("%+v, want a failure", r)
		}
		if errors.Is(r.Err, errTimeout) {
			timeouts++
		}
	}
	if timeouts == 0 {
		t.Error("no invocation failed by functionTimeout")
	}
	if err := h.usable(); err != nil {
		t.Errorf("the time-out counted as a fault: %v", err)
	}
	if r, err := h.Tick(t.Context(), "tick"); err != nil || r.Err != nil {
		t.Errorf("Tick = %v, %v", r.Err, err)
	}
	if h.Starts() != 2 {
		t.Errorf("the handler was started %d times, want 2", h.Starts())
	}
}

func TestTheEndOfAContextKillsTheHandlerAndGivesTheMessageBack(t *testing.T) {
	t.Parallel()
	h := world{queues: `{"maxDequeueCount":1}`}.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h.put(t, order{Do: "hang", Say: "hanging"})
	h.nextInBackground(ctx, t)
	h.line(t, "hanging")
	cancel()
	if r := h.result(t); !errors.Is(r.Err, context.Canceled) || r.Fate != Retried {
		t.Errorf("%+v, want it cut off and retried, not poisoned", r)
	}
	if !h.process.ended() {
		t.Error("the handler lives")
	}
	h.count(t, "work", 1)
}

func TestCloseCutsOffWhatRunsAndGivesTheMessageBack(t *testing.T) {
	t.Parallel()
	h := world{queues: `{"maxDequeueCount":1}`}.start(t)
	h.put(t, order{Do: "hang", Say: "hanging"})
	h.nextInBackground(t.Context(), t)
	h.line(t, "hanging")
	h.Close()
	if r := h.result(t); !errors.Is(r.Err, ErrClosed) || r.Fate != Retried {
		t.Errorf("%+v, want it cut off and retried, not poisoned", r)
	}
	h.Close() // may be called again
	for name, call := range map[string]func() error{
		"Next":  func() error { _, _, err := h.Next(t.Context(), "work"); return err },
		"Tick":  func() error { _, err := h.Tick(t.Context(), "tick"); return err },
		"Drain": func() error { _, err := h.Drain(t.Context()); return err },
		"Run":   func() error { return h.Run(t.Context()) },
	} {
		if err := call(); !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close = %v, want ErrClosed", name, err)
		}
	}
	h.count(t, "work", 1)
}

func TestRunTakesAsManyMessagesAtATimeAsHostJSONSays(t *testing.T) {
	t.Parallel()
	h := world{queues: `{"batchSize":2,"newBatchThreshold":1}`}.start(t)
	for range 6 {
		h.put(t, order{Do: "meet", N: 3})
	}
	h.background(t)
	for range 6 {
		if r := h.result(t); r.Err != nil || r.Fate != Deleted || !slices.Equal(r.Logs, []string{"3"}) {
			t.Errorf("%+v, want at most three at a time", r)
		}
	}
}

func TestRunCutsOffWhatRunsWhenItEnds(t *testing.T) {
	t.Parallel()
	h := world{}.start(t)
	stop := h.background(t)
	h.put(t, order{Do: "hang", Say: "hanging"})
	h.line(t, "hanging")
	stop()
	if r := h.result(t); !errors.Is(r.Err, context.Canceled) || r.Fate != Retried {
		t.Errorf("%+v, want it cut off and retried", r)
	}
	h.count(t, "work", 1)
}

func TestAnOutputWakesItsListener(t *testing.T) {
	t.Parallel()
	h := world{}.start(t)
	l := h.listeners[0]
	if err := h.Put(t.Context(), "elsewhere", "{}"); err != nil {
		t.Fatal(err)
	}
	if len(l.wake) != 0 {
		t.Error("a message for another queue woke the listener")
	}
	for range 2 {
		h.put(t, order{Do: "echo"})
	}
	if len(l.wake) != 1 {
		t.Error("a message did not wake the listener")
	}
}

func TestPackageHostSpeaksTheHostsProtocol(t *testing.T) {
	t.Parallel()
	h := world{role: roleServer, queues: `{"maxDequeueCount":2}`, options: Options{RetryDelay: -1}}.start(t)
	long := `{"text":"` + strings.Repeat("<", 48<<10-len(`{"text":""}`)) + `"}`
	for _, row := range []struct{ text, fates, out string }{
		{`{"job":1}`, "deleted/1", `{"job":1}|{"n":2}`},
		{`{"dequeueCount":9,"id":"mine","job":"é<&>"}`, "deleted/1", `{"dequeueCount":9,"id":"mine","job":"é<&>"}|{"n":2}`},
		{`{"quiet":true}`, "deleted/1", ""},
		{`{"fail":true}`, "retried/1 poisoned/2", ""},
		{`{"panic":true}`, "retried/1 poisoned/2", ""},
		{`no JSON at all`, "retried/1 poisoned/2", ""},
		{long, "deleted/1", long + `|{"n":2}`},
	} {
		if err := h.Put(t.Context(), "work", row.text); err != nil {
			t.Fatal(err)
		}
		if got := fates(h.drain(t)); got != row.fates {
			t.Errorf("%.40s: %s, want %s", row.text, got, row.fates)
		}
		if got := h.peek(t, "out"); got != row.out {
			t.Errorf("%.40s: queue out holds %.60q, want %.60q", row.text, got, row.out)
		}
		if _, err := h.named("out").client.ClearMessages(t.Context(), nil); err != nil && row.out != "" {
			t.Fatal(err)
		}
	}
	if r, err := h.Tick(t.Context(), "tick"); err != nil || r.Err != nil || h.peek(t, "out") != `{"pastDue":false}` {
		t.Errorf("Tick = %+v, %v", r, err)
	}
	var line struct{ Msg, Function, Invocation string }
	if err := json.Unmarshal([]byte(h.line(t, "")), &line); err != nil {
		t.Fatal(err)
	}
	if line.Msg != "working" || line.Function != "work" || len(line.Invocation) != 36 {
		t.Errorf("log line = %+v, want the function and its invocation", line)
	}
	if h.Starts() != 1 {
		t.Errorf("the handler was started %d times", h.Starts())
	}
}
