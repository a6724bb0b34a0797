package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"
)

// maxBodyBytes bounds an invocation's body. A 64 KiB message of control characters, each escaped twice and repeated in
// the metadata, makes not quite 1 MiB.
const maxBodyBytes = 4 << 20

const invocationHeader = "X-Azure-Functions-InvocationId"

// ServeHTTP answers GET / (the host's probe, at start and later), POST /<function>, and what is forwarded to the function
// with an HTTP trigger. Paths are exact: a redirect would turn the host's POST into a GET. Every answer to the host is a JSON
// object, and one that is not 2xx says nothing, since the host does not read it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			answer(w, http.StatusMethodNotAllowed, emptyObject)
			return
		}
		answer(w, http.StatusOK, emptyObject)
		return
	}
	if strings.HasPrefix(r.URL.Path, HTTPPrefix) {
		s.forward(w, r)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	f, ok := s.functions[name]
	if !ok {
		s.log.ErrorContext(r.Context(), "unknown function called")
		answer(w, http.StatusNotFound, emptyObject)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answer(w, http.StatusMethodNotAllowed, emptyObject)
		return
	}
	inv := &Invocation{ID: invocationID(r.Header.Get(invocationHeader)), Function: name}
	status, body := s.invoke(WithInvocation(r.Context(), inv), f, inv, http.MaxBytesReader(w, r.Body, maxBodyBytes))
	answer(w, status, body)
}

var emptyObject = []byte(`{}`) // never written to

// invoke reads the invocation, runs it and gives the status and body of the answer.
func (s *Server) invoke(ctx context.Context, f Func, inv *Invocation, body io.Reader) (int, []byte) {
	started := time.Now()
	data, err := io.ReadAll(body)
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		s.log.ErrorContext(ctx, "invocation unreadable", slog.Any("error", err))
		return status, emptyObject
	}
	e, err := parseEnvelope(data)
	if err != nil {
		s.log.ErrorContext(ctx, "invocation unreadable", slog.Any("error", err))
		return http.StatusBadRequest, emptyObject
	}
	inv.Data, inv.Metadata = e.Data, e.Metadata

	outcome, err := s.run(ctx, f, inv)
	var response []byte
	if err == nil {
		response, err = outcome.encode()
	}
	took := slog.Int64("duration_ms", time.Since(started).Milliseconds())
	if err != nil {
		attrs := []slog.Attr{slog.Any("error", err), took}
		if p := (*panicError)(nil); errors.As(err, &p) {
			attrs = append(attrs, slog.String("stack", p.stack))
		}
		s.log.LogAttrs(ctx, slog.LevelError, "invocation failed", attrs...)
		return http.StatusInternalServerError, emptyObject
	}
	s.log.DebugContext(ctx, "invocation done", took)
	return http.StatusOK, response
}

// run calls f under the server's deadline. A panic of f is an error: other invocations run in the same process.
func (s *Server) run(ctx context.Context, f Func, inv *Invocation) (outcome Outcome, err error) {
	if s.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.timeout)
		defer cancel()
	}
	defer func() {
		if value := recover(); value != nil {
			outcome, err = Outcome{}, newPanicError(value)
		}
	}()
	return f(ctx, inv)
}

// panicError is a recovered panic. Its text never quotes the value unless it is the runtime's own, which holds indexes
// and type names: a library that panics over a mail may quote it.
type panicError struct{ text, stack string }

func (e *panicError) Error() string { return e.text }

// maxStackBytes keeps the log line of a deep stack below the 32 KiB at which the host's log store cuts a message.
const maxStackBytes = 16 << 10

func newPanicError(value any) *panicError {
	stack := debug.Stack()
	if len(stack) > maxStackBytes {
		stack = stack[:maxStackBytes]
	}
	e := &panicError{text: fmt.Sprintf("panic: value of type %T", value), stack: string(stack)}
	if fault, ok := value.(runtime.Error); ok {
		e.text = "panic: " + fault.Error()
	}
	return e
}

// encode gives the answer for a finished invocation.
//
// QUIRK: the host guesses at strings (it decodes what looks like base64, fans out what looks like a JSON array); only
// the elements of an array of strings are enqueued verbatim, so that is what is always sent.
func (o Outcome) encode() ([]byte, error) {
	for binding, messages := range o.Outputs {
		for n, text := range messages {
			if err := checkMessage(text); err != nil {
				return nil, fmt.Errorf("encode outcome: message %d of the binding %q %w", n, binding, err)
			}
		}
	}
	response := struct {
		Outputs map[string][]string `json:",omitempty"`
	}{o.Outputs}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(response); err != nil {
		return nil, fmt.Errorf("encode outcome: %w", err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

func checkMessage(text string) error {
	switch {
	case len(text) > MaxMessageBytes:
		return fmt.Errorf("has %d bytes, a queue takes at most %d", len(text), MaxMessageBytes)
	case !strings.HasPrefix(text, "{") || !json.Valid([]byte(text)):
		return errors.New("is not a JSON object")
	case !utf8.ValidString(text):
		return errors.New("is not UTF-8")
	}
	return nil
}

// answer writes a JSON answer; the host fails an invocation whose answer has another content type, and waits for ever
// for one whose answer is empty. A write error means that the host has gone, and the invocation with it.
func answer(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// invocationID passes what may be an id: it goes into every log line.
func invocationID(s string) string {
	if len(s) > 64 {
		return ""
	}
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' {
			return ""
		}
	}
	return s
}
