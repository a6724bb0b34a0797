package host

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/graph/graphtest"
)

// forwarding gives a server whose function web has an HTTP trigger, and what it logs.
func forwarding(t *testing.T, web http.HandlerFunc) (*Server, *graphtest.Log) {
	log := graphtest.NewLog(t)
	return New(map[string]Func{"work": nothing}, Options{
		Timeout: time.Minute, Log: NewLogger(log, slog.LevelDebug), HTTP: HTTPFunction{"web", web},
	}), log
}

func TestAForwardedRequestIsAnsweredAsItIs(t *testing.T) {
	t.Parallel()
	const id = "83a33220-6f1c-4c5a-9d9e-3f1a1a0c8b11"
	var log *graphtest.Log
	s, log := forwarding(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if _, limited := r.Context().Deadline(); err != nil || !limited {
			t.Errorf("body %v, with a deadline %t", err, limited)
		}
		NewLogger(log, slog.LevelInfo).InfoContext(r.Context(), "answering")
		w.Header().Set("X-Said", r.Host+r.URL.RequestURI())
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(append(bytes.ToUpper(body), r.Method...))
	})
	r := httptest.NewRequest("PUT", "http://localhost:7091/api/work/x?a=1", strings.NewReader("text"))
	r.Header.Add(invocationHeader, "forged by a client")
	r.Header.Add(invocationHeader, id)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusTeapot || w.Body.String() != "TEXTPUT" || w.Header().Get("X-Said") != "localhost:7091/api/work/x?a=1" {
		t.Errorf("answer %d %s %v", w.Code, w.Body, w.Header())
	}
	for _, e := range log.Events("answering") {
		if e["function"] != "web" || e["invocation"] != id {
			t.Errorf("log line %v, want the function and the host's own id", e)
		}
	}
	if names := s.Functions(); len(names) != 2 {
		t.Errorf("functions %v", names)
	}
}

func TestAClientReachesNoOtherFunction(t *testing.T) {
	t.Parallel()
	reached := false
	work := func(context.Context, *Invocation) (Outcome, error) { reached = true; return Outcome{}, nil }
	s := New(map[string]Func{"work": work, "api": work, "api/work": work}, Options{})
	if status, _ := ask(t, s, "POST", "/api/work", `{"Data":{}}`); status != http.StatusNotFound || reached {
		t.Errorf("answer %d, reached %t, want a path of no function", status, reached)
	}
}

func TestAPanicOfTheHTTPFunctionFailsItsRequestAlone(t *testing.T) {
	t.Parallel()
	s, log := forwarding(t, func(http.ResponseWriter, *http.Request) { panic("somebody@contoso.example") })
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/api/x", nil))
	if w.Code != http.StatusInternalServerError || w.Body.String() != "{}" {
		t.Errorf("answer %d %s", w.Code, w.Body)
	}
	if said := log.String(); !strings.Contains(said, "invocation failed") || !strings.Contains(said, "value of type string") {
		t.Errorf("log: %s", said)
	}
	if status, _ := ask(t, s, "POST", "/work", `{"Data":{}}`); status != http.StatusOK {
		t.Errorf("the next invocation: %d", status)
	}
}
