package hosttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"chainmail/handlers/host"
)

// roleVariable makes this test binary a handler; its value says which.
const roleVariable = "HOSTTEST_ROLE"

// The handlers that this binary can be.
const (
	rolePuppet = "puppet" // does what each message says
	roleServer = "server" // package host, as the product uses it
	roleSilent = "silent" // never listens where it is called
)

func TestMain(m *testing.M) {
	switch role, isHandler := os.LookupEnv(roleVariable); {
	case !isHandler:
		os.Exit(m.Run())
	case role == rolePuppet:
		runPuppet()
	case role == roleServer:
		runServer()
	case role == roleSilent:
		elsewhere, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		fmt.Println("up")
		_, _ = elsewhere.Accept()
	default: // exits with the code before it listens
		var code int
		if _, err := fmt.Sscan(role, &code); err != nil {
			panic(err)
		}
		fmt.Fprintln(os.Stderr, "no listener today")
		os.Exit(code)
	}
}

func listenAsHandler() net.Listener {
	address, err := host.ListenAddress(os.LookupEnv)
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp4", address)
	if err != nil {
		panic(err)
	}
	return l
}

// order is what the puppet is told by a message's text, or by the setting ORDER when a timer calls it.
type order struct {
	Do     string // "answer", "echo", "environment", "exit", "hang", "long", "meet", "cut", "hold", "spill"
	Say    string // a line for the standard output, first
	Status int
	Type   string
	Body   string
	Target string // of a redirect
	N      int    // the exit code; the length of a long output; how many must meet; bytes to hold or to spill
}

func (o order) String() string { return `{"order":` + hostText(o) + `}` }

// answering is the order to answer with a body, 200 and the right content type.
func answering(body string) order {
	return order{Do: "answer", Status: 200, Type: "application/json", Body: body}
}

// puppet does as it is told.
type puppet struct {
	mu       sync.Mutex
	inside   int // invocations that meet right now
	peak     int
	complete chan struct{} // closed when enough have met
	held     [][]byte
	spilt    []*os.File
}

func runPuppet() {
	p := &puppet{complete: make(chan struct{})}
	panic(http.Serve(listenAsHandler(), p))
}

// echo is what the puppet reports of a request.
type echo struct {
	Method, Path, Body string
	Host, URI          string
	Header             http.Header
	ContentLength      int64
	TransferEncoding   []string
}

func (p *puppet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	if r.Method == http.MethodGet {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"Logs":["came by GET %s"]}`, r.URL.Path)
		return
	}
	o := orderOf(body)
	if o.Say != "" {
		fmt.Println(o.Say)
	}
	switch o.Do {
	case "answer":
		w.Header()["Content-Type"] = nil
		if o.Type != "" {
			w.Header().Set("Content-Type", o.Type)
		}
		if o.Target != "" {
			w.Header().Set("Location", o.Target)
		}
		w.WriteHeader(o.Status)
		_, _ = io.WriteString(w, o.Body)
		return
	case "exit":
		fmt.Fprintln(os.Stderr, "last words")
		os.Exit(o.N)
	case "hang":
		<-make(chan struct{}) // nothing but a kill ends it
	case "cut":
		panic(http.ErrAbortHandler)
	case "long":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"Outputs":{"out":[%q]}}`, strings.Repeat("x", o.N))
		return
	case "meet":
		fmt.Fprintf(w, "%s", p.meet(w, o.N))
		return
	case "hold":
		p.hold(o.N)
	case "spill":
		p.spill(o.N)
	case "echo":
		fmt.Println("echo " + hostText(echo{
			r.Method, r.URL.Path, string(body), r.Host, r.URL.RequestURI(), r.Header, r.ContentLength, r.TransferEncoding,
		}))
	case "environment":
		fmt.Println("environment " + hostText(os.Environ()))
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "{}")
}

// meet waits until n invocations have met once, and answers with the largest number that were here at a time.
func (p *puppet) meet(w http.ResponseWriter, n int) string {
	p.mu.Lock()
	p.inside++
	p.peak = max(p.peak, p.inside)
	if p.inside == n {
		select {
		case <-p.complete:
		default:
			close(p.complete)
		}
	}
	p.mu.Unlock()
	<-p.complete
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inside--
	w.Header().Set("Content-Type", "application/json")
	return fmt.Sprintf(`{"Logs":["%d"]}`, p.peak)
}

// hold takes so many bytes of memory and keeps them.
func (p *puppet) hold(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = append(p.held, resident(n))
}

// resident makes memory of which every page is there.
func resident(n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += 1 << 10 {
		b[i] = 1
	}
	return b
}

// spill writes so many bytes to a temporary file without a name and keeps it open.
func (p *puppet) spill(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := os.CreateTemp("", "")
	if err == nil {
		_, err = f.Write(make([]byte, n))
	}
	if err == nil {
		err = os.Remove(f.Name())
	}
	if err != nil {
		panic(err)
	}
	p.spilt = append(p.spilt, f)
}

// orderOf decodes the host's body with no help of the product's code.
func orderOf(body []byte) order {
	var envelope struct{ Data map[string]json.RawMessage }
	if err := json.Unmarshal(body, &envelope); err != nil {
		panic(err)
	}
	text := os.Getenv("ORDER")
	if envelope.Data == nil { // a forwarded request, whose body is what its client has sent
		text = string(body)
	}
	if raw, ok := envelope.Data["message"]; ok {
		for range 2 {
			if err := json.Unmarshal(raw, &text); err != nil {
				panic(err)
			}
			raw = json.RawMessage(text)
		}
	}
	var m struct{ Order order }
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		panic(err)
	}
	return m.Order
}

// runServer serves one function, work, with package host: it echoes its message to both queues, or fails as it says.
func runServer() {
	log := host.NewLogger(os.Stdout, slog.LevelDebug)
	work := func(ctx context.Context, inv *host.Invocation) (host.Outcome, error) {
		text, err := inv.Message("message")
		if err != nil {
			return host.Outcome{}, err
		}
		log.InfoContext(ctx, "working", "dequeue_count", inv.DequeueCount())
		switch {
		case strings.Contains(string(text), "fail"):
			return host.Outcome{}, errors.New("as it was told")
		case strings.Contains(string(text), "panic"):
			panic("as it was told")
		case strings.Contains(string(text), "quiet"):
			return host.Outcome{Outputs: map[string][]string{"out": nil}}, nil
		}
		return host.Outcome{Outputs: map[string][]string{"out": {string(text), `{"n":2}`}}}, nil
	}
	tick := func(_ context.Context, inv *host.Invocation) (host.Outcome, error) {
		timer, err := inv.Timer("timer")
		if err != nil {
			return host.Outcome{}, err
		}
		return host.Outcome{Outputs: map[string][]string{"out": {fmt.Sprintf(`{"pastDue":%t}`, timer.PastDue)}}}, nil
	}
	s := host.New(map[string]host.Func{"work": work, "tick": tick}, host.Options{Log: log})
	fmt.Fprintln(os.Stderr, s.Serve(context.Background(), listenAsHandler()))
	os.Exit(1)
}
