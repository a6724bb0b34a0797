package host

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/graph/graphtest"
)

// patience is how long a test waits for what must come; only a failing test waits that long.
const patience = time.Minute

func TestTheListenAddressIsLoopbackAndTheHostsPort(t *testing.T) {
	t.Parallel()
	for port, want := range map[string]string{
		"7071": "127.0.0.1:7071", "1": "127.0.0.1:1", "65535": "127.0.0.1:65535",
		"": "", "0": "", "65536": "", "-1": "", "http": "", " 7071": "", "127.0.0.1:7071": "",
	} {
		got, err := ListenAddress(func(name string) (string, bool) { return port, name == portSetting })
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ListenAddress with port %q = %q, %v, want %q", port, got, err, want)
		}
	}
	_, err := ListenAddress(func(string) (string, bool) { return "", false })
	if err == nil || !strings.Contains(err.Error(), "func start") {
		t.Errorf("without a port: %v, want what to do", err)
	}
}

// served starts a server on loopback and gives its address, its end and how to end it.
func served(t *testing.T, s *Server) (url string, ended <-chan error, stop func(), l net.Listener) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	end := make(chan error, 1)
	go func() { end <- s.Serve(ctx, l) }()
	return "http://" + l.Addr().String(), end, cancel, l
}

func wait[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s has not come", what)
		panic("unreachable")
	}
}

// post sends an invocation in the background and gives the status of its answer, 0 when there was none.
func post(url string) <-chan int {
	status := make(chan int, 1)
	go func() {
		response, err := http.Post(url+"/work", "application/json", strings.NewReader(capturedQueue))
		if err != nil {
			status <- 0
			return
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
		status <- response.StatusCode
	}()
	return status
}

func TestServeEndsWithItsContextAndSoDoTheInvocations(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	s, _ := serving(t, func(ctx context.Context, _ *Invocation) (Outcome, error) {
		close(begun)
		<-ctx.Done()
		return Outcome{}, nil
	}, Options{})
	url, ended, stop, _ := served(t, s)
	status := post(url)
	wait(t, begun, "the invocation")
	stop()
	if err := wait(t, ended, "the end of Serve"); err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	if got := wait(t, status, "the answer"); got != 200 {
		t.Errorf("answer = %d, want the invocation to have ended well", got)
	}
	if got := wait(t, post(url), "the answer"); got != 0 {
		t.Errorf("answer = %d after Serve has ended", got)
	}
}

func TestServeSaysWhenItsListenerFails(t *testing.T) {
	t.Parallel()
	s, _ := serving(t, nothing, Options{})
	_, ended, _, l := served(t, s)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, ended, "the end of Serve"); err == nil {
		t.Error("Serve = nil, want an error: the process must not exit with 0")
	}
}

func TestInvocationsRunSideBySide(t *testing.T) {
	t.Parallel()
	const n = 8
	arrived, leave := make(chan struct{}, n), make(chan struct{})
	s, _ := serving(t, func(context.Context, *Invocation) (Outcome, error) {
		arrived <- struct{}{}
		<-leave
		return Outcome{}, nil
	}, Options{})
	url, _, _, _ := served(t, s)
	var answers []<-chan int
	for range n {
		answers = append(answers, post(url))
	}
	for range n {
		wait(t, arrived, "an invocation")
	}
	close(leave)
	for _, answer := range answers {
		if got := wait(t, answer, "an answer"); got != 200 {
			t.Errorf("answer = %d, want 200", got)
		}
	}
}

func TestALogLineIsOneJSONObjectThatNamesItsInvocation(t *testing.T) {
	t.Parallel()
	c := graphtest.NewLog(t)
	log := NewLogger(c, slog.LevelInfo)
	ctx := WithInvocation(t.Context(), &Invocation{ID: "an-id", Function: "plan"})
	log.DebugContext(ctx, "below the level")
	log.InfoContext(ctx, "batch\nplanned", "batch", 7)
	log.With("source", "mail").WarnContext(ctx, "graph throttled")
	log.Error("outside")
	lines := c.Events("")
	if len(lines) != 3 {
		t.Fatalf("log = %v, want three lines", lines)
	}
	for i, want := range []map[string]any{
		{"level": "INFO", "msg": "batch\nplanned", "batch": 7.0, "function": "plan", "invocation": "an-id"},
		{"level": "WARN", "msg": "graph throttled", "source": "mail", "function": "plan", "invocation": "an-id"},
		{"level": "ERROR", "msg": "outside"},
	} {
		at, ok := lines[i]["time"].(string)
		if !ok || !strings.HasSuffix(at, "Z") {
			t.Errorf("line %d: time = %v, want UTC", i, lines[i]["time"])
		}
		delete(lines[i], "time")
		if len(lines[i]) != len(want) {
			t.Errorf("line %d = %v, want %v", i, lines[i], want)
		}
		for key, value := range want {
			if lines[i][key] != value {
				t.Errorf("line %d: %s = %v, want %v", i, key, lines[i][key], value)
			}
		}
	}
}
