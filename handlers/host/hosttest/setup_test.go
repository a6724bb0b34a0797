package hosttest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/vault/storagetest"
)

// patience is how long a test waits for what must come; only a failing test waits that long.
const patience = time.Minute

// world is a staged app and what to change in it.
type world struct {
	role     string
	queues   string // host.json's extensions.queues
	timeout  string // functionTimeout
	init     string // initializationTimeout
	forwards bool   // enableForwardingHttpRequest
	options  Options
	// functions by their names; nil: work, triggered by the queue work and with the output binding out; after, triggered by
	// the poison queue; tick, a timer that never comes by itself.
	functions map[string]string
}

const (
	workFunction = `{"bindings":[
		{"type":"queueTrigger","direction":"in","name":"message","queueName":"%WORK_QUEUE%"},
		{"type":"queue","direction":"out","name":"out","queueName":"out"},
		{"type":"queue","direction":"out","name":"more","queueName":"more","connection":"AzureWebJobsStorage"}]}`
	afterFunction = `{"bindings":[{"type":"queueTrigger","direction":"in","name":"message","queueName":"work-poison"}]}`
	tickFunction  = `{"bindings":[
		{"type":"timerTrigger","direction":"in","name":"timer","schedule":"%TICK_SCHEDULE%"},
		{"type":"queue","direction":"out","name":"out","queueName":"out"}]}`
)

// running is a started host, what its handler has said, and the results of what it ran.
type running struct {
	*Host
	lines chan string
	ended chan Result
}

// stage writes the app and gives its folder.
func (w world) stage(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if w.functions == nil {
		w.functions = map[string]string{"work": workFunction, "tick": tickFunction}
	}
	files := map[string]string{"host.json": w.hostJSON()}
	for name, text := range w.functions {
		files[name+"/function.json"] = text
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(root, "handler")); err != nil {
		t.Fatal(err)
	}
	return root
}

func (w world) hostJSON() string {
	file := map[string]any{
		"version": "2.0",
		"customHandler": map[string]any{
			"description":                 map[string]any{"defaultExecutablePath": "handler"},
			"initializationTimeout":       w.init,
			"enableForwardingHttpRequest": w.forwards,
		},
		"functionTimeout": w.timeout,
	}
	if w.queues != "" {
		file["extensions"] = map[string]any{"queues": json.RawMessage(w.queues)}
	}
	return hostText(file)
}

// prepare fills in the options for a storage account of the test's own.
func (w world) prepare(t *testing.T) (Options, *running) {
	t.Helper()
	if w.role == "" {
		w.role = rolePuppet
	}
	r := &running{lines: make(chan string, 1000), ended: make(chan Result, 1000)}
	o := w.options
	o.Root = w.stage(t)
	settings := map[string]string{
		"AzureWebJobsStorage": storagetest.New(t).ConnectionString(),
		"WORK_QUEUE":          "work",
		"TICK_SCHEDULE":       "0 0 0 1 1 *",
		"ORDER":               order{Do: "echo"}.String(),
	}
	for name, value := range o.Settings {
		settings[name] = value
	}
	o.Settings = settings
	o.CommandEnv = append(o.CommandEnv, roleVariable+"="+w.role)
	o.Console = func(line string, stderr bool) {
		if stderr {
			line = "stderr " + line
		}
		r.lines <- line
	}
	o.Ended = func(result Result) { r.ended <- result }
	return o, r
}

func (w world) start(t *testing.T) *running {
	t.Helper()
	o, r := w.prepare(t)
	var err error
	if r.Host, err = Start(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// line waits for a line of the handler's console that begins with prefix, and gives the rest of it.
func (r *running) line(t *testing.T, prefix string) string {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case line := <-r.lines:
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return rest
			}
		case <-late:
			t.Fatalf("the handler has not said %q", prefix)
		}
	}
}

// result waits for the next invocation to end.
func (r *running) result(t *testing.T) Result {
	t.Helper()
	select {
	case result := <-r.ended:
		return result
	case <-time.After(patience):
		t.Fatal("no invocation has ended")
		panic("unreachable")
	}
}

// put puts an order into the queue work.
func (r *running) put(t *testing.T, orders ...order) {
	t.Helper()
	for _, o := range orders {
		if err := r.Put(t.Context(), "work", o.String()); err != nil {
			t.Fatal(err)
		}
	}
}

// next runs one message of work.
func (r *running) next(t *testing.T) Result {
	t.Helper()
	result, ok, err := r.Next(t.Context(), "work")
	if err != nil || !ok {
		t.Fatalf("Next = %v, %v", ok, err)
	}
	return result
}

// nextInBackground runs one message of work; its result comes by r.result.
func (r *running) nextInBackground(ctx context.Context, t *testing.T) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, ok, err := r.Next(ctx, "work"); err != nil || !ok {
			t.Errorf("Next = %v, %v", ok, err)
		}
	}()
	t.Cleanup(func() {
		r.Close()
		<-done
	})
}

func (r *running) drain(t *testing.T) []Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	results, err := r.Drain(ctx)
	if err != nil {
		t.Fatalf("Drain: %v", err)
	}
	return results
}

// background runs the host until the test, or stop, ends it.
func (r *running) background(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	var stopped bool
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func (r *running) peek(t *testing.T, queue string) string {
	t.Helper()
	texts, err := r.Peek(t.Context(), queue)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(texts, "|")
}

// count checks the number of messages in a queue.
func (r *running) count(t *testing.T, queue string, want int) {
	t.Helper()
	if got, err := r.Outstanding(t.Context(), queue); err != nil || got != want {
		t.Errorf("Outstanding(%q) = %d, %v, want %d", queue, got, err, want)
	}
}

// fates gives each result as fate/dequeue count.
func fates(results []Result) string {
	var words []string
	for _, r := range results {
		words = append(words, fmt.Sprintf("%s/%d", r.Fate, r.DequeueCount))
	}
	return strings.Join(words, " ")
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("error = %v, want one with %q", err, part)
	}
}
