package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/graph/graphtest"
)

// serving gives a server of one function, work, and what it logs.
func serving(t *testing.T, work Func, o Options) (*Server, *graphtest.Log) {
	log := graphtest.NewLog(t)
	o.Log = NewLogger(log, slog.LevelDebug)
	return New(map[string]Func{"work": work}, o), log
}

// ask sends one request. Whatever the answer, it must be a JSON object as JSON, and no redirect.
func ask(t *testing.T, s *Server, method, path, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set(invocationHeader, "83a33220-6f1c-4c5a-9d9e-3f1a1a0c8b11")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var object map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &object); err != nil || object == nil {
		t.Errorf("%s %s: body %q is no JSON object", method, path, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("%s %s: content type %q", method, path, got)
	}
	graphtest.NewLog(t).Check("an answer", w.Body.String())
	if w.Code >= 300 && w.Code < 400 {
		t.Errorf("%s %s: redirected by %d", method, path, w.Code)
	}
	return w.Code, w.Body.String()
}

func nothing(context.Context, *Invocation) (Outcome, error) { return Outcome{}, nil }

func TestPathsAreExact(t *testing.T) {
	t.Parallel()
	s, _ := serving(t, nothing, Options{})
	for _, row := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/", 200},
		{"HEAD", "/", 200},
		{"POST", "/", 405},
		{"POST", "/work", 200},
		{"GET", "/work", 405},
		{"POST", "/work/", 404},
		{"POST", "/Work", 404},
		{"POST", "//work", 404},
		{"POST", "/other", 404},
		{"GET", "/api/work", 404},
	} {
		if got, _ := ask(t, s, row.method, row.path, capturedQueue); got != row.want {
			t.Errorf("%s %s = %d, want %d", row.method, row.path, got, row.want)
		}
	}
	if got := s.Functions(); !slices.Equal(got, []string{"work"}) {
		t.Errorf("Functions = %q", got)
	}
}

func TestAFunctionSeesItsInvocation(t *testing.T) {
	t.Parallel()
	var got Invocation
	s, _ := serving(t, func(_ context.Context, inv *Invocation) (Outcome, error) {
		got = *inv
		return Outcome{}, nil
	}, Options{})
	if status, body := ask(t, s, "POST", "/work", capturedQueue); status != 200 || body != "{}" {
		t.Errorf("answer = %d %s, want 200 {}", status, body)
	}
	if got.ID != "83a33220-6f1c-4c5a-9d9e-3f1a1a0c8b11" || got.Function != "work" {
		t.Errorf("invocation = %+v", got)
	}
	if text, err := got.Message("queue"); err != nil || string(text) != "hello!!" {
		t.Errorf("Message = %q, %v", text, err)
	}
}

func TestOutputsAreArraysOfStrings(t *testing.T) {
	t.Parallel()
	s, _ := serving(t, func(context.Context, *Invocation) (Outcome, error) {
		return Outcome{Outputs: map[string][]string{"chunks": {`{"a":"<&>é"}`, `{"b":[1]}`}}}, nil
	}, Options{})
	want := `{"Outputs":{"chunks":["{\"a\":\"<&>é\"}","{\"b\":[1]}"]}}`
	if status, body := ask(t, s, "POST", "/work", capturedQueue); status != 200 || body != want {
		t.Errorf("answer = %d %s, want 200 %s", status, body, want)
	}
}

func TestAMessageThatAQueueWouldNotTakeFailsTheInvocation(t *testing.T) {
	t.Parallel()
	object := func(bytes int) string { return `{"a":"` + strings.Repeat("x", bytes-len(`{"a":""}`)) + `"}` }
	for name, row := range map[string]struct {
		text string
		want int
	}{
		"48 KiB":         {object(MaxMessageBytes), 200},
		"one byte more":  {object(MaxMessageBytes + 1), 500},
		"empty":          {"", 500},
		"text":           {"hello", 500},
		"array":          {`[1]`, 500},
		"string":         {`"{}"`, 500},
		"broken":         {`{"a":`, 500},
		"two objects":    {`{}{}`, 500},
		"leading space":  {` {}`, 500},
		"invalid UTF-8":  {"{\"a\":\"\xff\"}", 500},
		"escaped quotes": {`{"a":"\"<>\""}`, 200},
	} {
		s, log := serving(t, func(context.Context, *Invocation) (Outcome, error) {
			return Outcome{Outputs: map[string][]string{"chunks": {`{}`, row.text}}}, nil
		}, Options{})
		status, body := ask(t, s, "POST", "/work", capturedQueue)
		if status != row.want || status == 500 && body != "{}" {
			t.Errorf("%s: %d %.40s, want %d", name, status, body, row.want)
		}
		if lines := log.Events(""); status == 500 && !strings.Contains(fmt.Sprint(lines[0]["error"]), `message 1 of the binding "chunks"`) {
			t.Errorf("%s: log %v, want it to name the message", name, lines)
		}
	}
}

func TestAnErrorFailsTheInvocationAndIsLogged(t *testing.T) {
	t.Parallel()
	s, log := serving(t, func(context.Context, *Invocation) (Outcome, error) {
		return Outcome{Outputs: map[string][]string{"chunks": {`{}`}}}, errors.New("read ledger: status 503")
	}, Options{})
	if status, body := ask(t, s, "POST", "/work", capturedQueue); status != 500 || body != "{}" {
		t.Errorf("answer = %d %s, want 500 {}", status, body)
	}
	lines := log.Events("")
	if len(lines) != 1 {
		t.Fatalf("log = %v, want one line", lines)
	}
	for key, want := range map[string]any{
		"level": "ERROR", "msg": "invocation failed", "error": "read ledger: status 503",
		"function": "work", "invocation": "83a33220-6f1c-4c5a-9d9e-3f1a1a0c8b11",
	} {
		if lines[0][key] != want {
			t.Errorf("log line's %s = %v, want %v", key, lines[0][key], want)
		}
	}
	if _, ok := lines[0]["duration_ms"].(float64); !ok {
		t.Errorf("log line has no duration: %v", lines[0])
	}
}

func TestAPanicFailsItsInvocationAlone(t *testing.T) {
	t.Parallel()
	const canary = graphtest.Canary
	for name, row := range map[string]struct {
		value func()
		want  string
	}{
		"text":    {func() { panic(canary) }, "panic: value of type string"},
		"error":   {func() { panic(errors.New(canary)) }, "panic: value of type *errors.errorString"},
		"runtime": {func() { clear([]int{}[len(canary):]) }, "slice bounds out of range"},
		"nil":     {func() { panic(any(nil)) }, "panic called with nil"},
		"abort":   {func() { panic(http.ErrAbortHandler) }, "panic: value of type"},
	} {
		s, log := serving(t, func(context.Context, *Invocation) (Outcome, error) {
			row.value()
			return Outcome{}, nil
		}, Options{})
		if status, body := ask(t, s, "POST", "/work", capturedQueue); status != 500 || body != "{}" {
			t.Errorf("%s: answer = %d %s, want 500 {}", name, status, body)
		}
		lines := log.Events("")
		if len(lines) != 1 || lines[0]["level"] != "ERROR" || lines[0]["function"] != "work" {
			t.Fatalf("%s: log = %v, want one line of the invocation", name, lines)
		}
		if text := fmt.Sprint(lines[0]["error"]); !strings.Contains(text, row.want) || strings.Contains(text, canary) {
			t.Errorf("%s: error = %s, want %s and not the value", name, text, row.want)
		}
		if stack := fmt.Sprint(lines[0]["stack"]); !strings.Contains(stack, "serve_test.go") || strings.Contains(stack, canary) {
			t.Errorf("%s: stack = %.100s, want where it happened and not the value", name, stack)
		}
	}
}

// diveThroughFramesLongEnoughToFillALogLineWhereverTheSourcesLieOnTheMachine
// panics n calls deep. Its name and arguments make its frames long, wherever the
// repository lies: the runtime prints at most a hundred frames.
//
//go:noinline
func diveThroughFramesLongEnoughToFillALogLineWhereverTheSourcesLieOnTheMachine(n int, a, b, c, d, e, f, g uint64) uint64 {
	if n == 0 {
		panic("deep")
	}
	return diveThroughFramesLongEnoughToFillALogLineWhereverTheSourcesLieOnTheMachine(n-1, a+1, b+1, c+1, d+1, e+1, f+1, g+1) + 1
}

func TestADeepStackIsCut(t *testing.T) {
	t.Parallel()
	const long = 1 << 63
	s, log := serving(t, func(context.Context, *Invocation) (Outcome, error) {
		return Outcome{}, fmt.Errorf("back from %d", diveThroughFramesLongEnoughToFillALogLineWhereverTheSourcesLieOnTheMachine(1000, long, long, long, long, long, long, long))
	}, Options{})
	ask(t, s, "POST", "/work", capturedQueue)
	if stack := fmt.Sprint(log.Events("")[0]["stack"]); len(stack) != maxStackBytes {
		t.Errorf("stack has %d bytes, want %d", len(stack), maxStackBytes)
	}
}

func TestAnInvocationEndsAtItsDeadline(t *testing.T) {
	t.Parallel()
	s, _ := serving(t, func(ctx context.Context, _ *Invocation) (Outcome, error) {
		<-ctx.Done()
		return Outcome{}, ctx.Err()
	}, Options{Timeout: time.Millisecond})
	if status, _ := ask(t, s, "POST", "/work", capturedQueue); status != 500 {
		t.Errorf("answer = %d, want 500", status)
	}
	s, _ = serving(t, func(ctx context.Context, _ *Invocation) (Outcome, error) {
		if _, ok := ctx.Deadline(); ok {
			return Outcome{}, errors.New("there is a deadline")
		}
		return Outcome{}, nil
	}, Options{})
	if status, _ := ask(t, s, "POST", "/work", capturedQueue); status != 200 {
		t.Error("without a timeout there is a deadline")
	}
}

func TestAnUnreadableInvocationIsRefused(t *testing.T) {
	t.Parallel()
	s, log := serving(t, nothing, Options{})
	for body, want := range map[string]int{
		"":                                     400,
		"{":                                    400,
		`{"Metadata":0}`:                       400,
		graphtest.Canary:                       400,
		`{"Data":"` + graphtest.Canary + `@"}`: 400,
		`{"Data":{"queue":"` + strings.Repeat("x", maxBodyBytes) + `"}}`: 413,
	} {
		if got, answer := ask(t, s, "POST", "/work", body); got != want || answer != "{}" {
			t.Errorf("answer to %.20q = %d %s, want %d {}", body, got, answer, want)
		}
	}
	for _, line := range log.Events("") {
		if line["msg"] != "invocation unreadable" || line["function"] != "work" {
			t.Errorf("log line = %v", line)
		}
	}
}

func TestABodyThatBreaksOffIsRefused(t *testing.T) {
	t.Parallel()
	s, _ := serving(t, nothing, Options{})
	w := httptest.NewRecorder()
	broken := io.MultiReader(strings.NewReader(`{"Data":`), brokenReader{})
	s.ServeHTTP(w, httptest.NewRequest("POST", "/work", broken))
	if w.Code != 400 {
		t.Errorf("answer = %d, want 400", w.Code)
	}
}

type brokenReader struct{}

// Read implements io.Reader.
func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestAnInvocationsIDIsCheckedBeforeItIsLogged(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"83a33220-6f1c-4c5a-9d9e-3f1a1a0c8b11": "83a33220-6f1c-4c5a-9d9e-3f1a1a0c8b11",
		"":                                     "",
		"a\nb":                                 "",
		"né":                                   "",
		strings.Repeat("a", 64):                strings.Repeat("a", 64),
		strings.Repeat("a", 65):                "",
	} {
		if got := invocationID(id); got != want {
			t.Errorf("invocationID(%q) = %q, want %q", id, got, want)
		}
	}
}
