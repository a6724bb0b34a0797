package hosttest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"time"
)

// hostVersion is the host that is imitated.
const hostVersion = "4.1037.0.0"

// Result is what became of an invocation.
type Result struct {
	Function     string
	Invocation   string // its id; "" when the host settled the message without running the function
	Err          error  // why it failed; nil when it succeeded
	Duration     time.Duration
	Outputs      []Message // enqueued, in order; not all there would have been when Err is not nil
	Logs         []string  // of the answer, which the host writes after success alone
	DequeueCount int64     // of the message, 1 at its first time; 0 for a timer
	Fate         Fate      // of the message; "" for a timer
}

// Message is the text of a message and the queue that it was put into.
type Message struct{ Queue, Text string }

// Fate is what the host did with a message after its invocation.
type Fate string

// The fates of a message.
const (
	Deleted  Fate = "deleted"
	Retried  Fate = "retried"  // comes back after the retry delay
	Poisoned Fate = "poisoned" // moved to the poison queue
	Kept     Fate = "kept"     // left under its lease: a failure in a queue that has no poison queue
)

// invoke runs f with the body and, when that succeeds, enqueues its outputs.
func (h *Host) invoke(ctx context.Context, f *function, body func() []byte) Result {
	r := Result{Function: f.name, Invocation: guid()}
	started := time.Now()
	answer, err := h.call(ctx, f, r.Invocation, body())
	if err == nil {
		for _, raw := range answer.Logs {
			var line string
			_ = json.Unmarshal(raw, &line) // parseResult has seen that they are strings
			r.Logs = append(r.Logs, line)
			h.log.Info(line, "category", "Function."+f.name+".User", "invocation", r.Invocation)
		}
		r.Outputs, err = h.bind(ctx, f, answer)
	}
	r.Err, r.Duration = err, time.Since(started)
	return r
}

// report tells the log and Options.Ended of a result.
func (h *Host) report(r Result) {
	attrs := []slog.Attr{
		slog.String("function", r.Function), slog.String("invocation", r.Invocation),
		slog.Int64("duration_ms", r.Duration.Milliseconds()), slog.Int("outputs", len(r.Outputs)),
	}
	if r.Fate != "" {
		attrs = append(attrs, slog.Int64("dequeue_count", r.DequeueCount), slog.String("fate", string(r.Fate)))
	}
	level, message := slog.LevelInfo, "invocation succeeded"
	if r.Err != nil {
		level, message = slog.LevelError, "invocation failed"
		attrs = append(attrs, slog.Any("error", r.Err))
	}
	h.log.LogAttrs(context.Background(), level, message, attrs...)
	if h.options.Ended != nil {
		h.options.Ended(r)
	}
}

// errTimeout is the failure of the invocation that ran into functionTimeout; the others that ran beside it fail by their
// broken connections.
var errTimeout = errors.New("functionTimeout exceeded, the handler was killed")

// call posts one invocation and gives the handler's answer. The end of ctx and functionTimeout kill the handler: the
// host has no other way to end an invocation, and the handler must not see its connection closed before it dies.
func (h *Host) call(ctx context.Context, f *function, id string, body []byte) (result, error) {
	if ctx.Err() != nil {
		return result{}, context.Cause(ctx)
	}
	p, err := h.handler(ctx)
	if err != nil {
		return result{}, err
	}
	request, err := newRequest(context.WithoutCancel(ctx), p.base+"/"+f.name, id, body)
	if err != nil {
		return result{}, fmt.Errorf("invoke: %w", err)
	}
	limit := ctx
	if h.app.functionTimeout > 0 {
		var cancel context.CancelFunc
		limit, cancel = context.WithTimeoutCause(ctx, h.app.functionTimeout, errTimeout)
		defer cancel()
	}
	stop := context.AfterFunc(limit, p.kill)
	status, contentType, data, err := exchange(p.client, request)
	stop()
	switch {
	case err == nil:
		return judge(status, contentType, data)
	case limit.Err() != nil:
		err = context.Cause(limit)
	case errors.Is(h.usable(), ErrClosed):
		err = ErrClosed
	}
	p.settled() // so that the next invocation does not meet a process that is just dying
	return result{}, fmt.Errorf("invoke: %w", err)
}

// newRequest gives the request with the host's headers, its body chunked.
func newRequest(ctx context.Context, url, id string, body []byte) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.ContentLength = -1 // unknown: chunked
	request.Header.Set("User-Agent", "Azure-Functions-Host/"+hostVersion)
	request.Header.Set("X-Azure-Functions-HostVersion", hostVersion)
	request.Header.Set("X-Azure-Functions-InvocationId", id)
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	request.Header.Set("Traceparent", "00-"+hex.EncodeToString(random(16))+"-"+hex.EncodeToString(random(8))+"-01")
	return request, nil
}

func exchange(client *http.Client, request *http.Request) (status int, contentType string, data []byte, err error) {
	response, err := client.Do(request)
	if err != nil {
		return 0, "", nil, err
	}
	defer response.Body.Close()
	data, err = io.ReadAll(response.Body)
	return response.StatusCode, response.Header.Get("Content-Type"), data, err
}

// judge gives the host's verdict on a whole answer.
func judge(status int, contentType string, data []byte) (result, error) {
	if status < 200 || status > 299 {
		return result{}, fmt.Errorf("response status code does not indicate success: %d", status)
	}
	if len(data) == 0 {
		return result{}, errHangs
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil || media != "application/json" && media != "text/json" {
		return result{}, fmt.Errorf("invalid response: its content type is %.40q, not application/json", contentType)
	}
	return parseResult(data)
}

// bind enqueues what the answer holds for each output binding, in the order of function.json. It is not atomic: what was
// enqueued before a failure stays. The end of ctx does not interrupt it, since it would not be known what was enqueued.
func (h *Host) bind(ctx context.Context, f *function, answer result) ([]Message, error) {
	values, err := answer.outputs(f)
	if err != nil {
		return nil, err
	}
	ctx, cancel := lasting(ctx)
	defer cancel()
	var sent []Message
	for _, b := range f.outputs {
		texts, err := outputMessages(values[b.Name], b.DataType == "binary")
		if err != nil {
			return sent, fmt.Errorf("output binding %q: %w", b.Name, err)
		}
		q := h.queues.queue(b.Connection, b.QueueName)
		for _, text := range texts {
			if err := h.enqueue(ctx, q, q.encode(text)); err != nil {
				return sent, fmt.Errorf("output binding %q: %w", b.Name, err)
			}
			sent = append(sent, Message{b.QueueName, text})
		}
	}
	return sent, nil
}

// storageLimit bounds what must be finished although its invocation's context has ended.
const storageLimit = time.Minute

func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), storageLimit)
}

// guid gives a random GUID in lower case with dashes.
func guid() string {
	b := random(16)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
