package graphtest

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Graph's limits of a batch (page "Combine multiple HTTP requests using JSON batching"): parts in one, and parts sent
// on to Outlook at a time.
const (
	maxParts     = 20
	partsAtATime = 4
)

type batchPart struct {
	ID        string            `json:"id"`
	Method    string            `json:"method"`
	URL       string            `json:"url"`
	Headers   map[string]string `json:"headers"`
	DependsOn []string          `json:"dependsOn"`
	Body      json.RawMessage   `json:"body"`
}

type partAnswer struct {
	ID      string            `json:"id"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    any               `json:"body,omitempty"`
}

// errCut is a request whose client has gone: no rule is broken by that.
var errCut = errors.New("request is cut")

// readBatch reads and checks a batch. The error says what Graph would refuse.
func readBatch(r *http.Request) ([]batchPart, error) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return nil, errCut
	}
	body := io.Reader(bytes.NewReader(raw))
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, fmt.Errorf("body is not gzip")
		}
		body = z
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return nil, fmt.Errorf("content type is not application/json")
	}
	var batch struct {
		Requests []batchPart `json:"requests"`
	}
	if err := json.NewDecoder(io.LimitReader(body, 4<<20)).Decode(&batch); err != nil {
		return nil, fmt.Errorf("body is not a batch")
	}
	if len(batch.Requests) == 0 || len(batch.Requests) > maxParts {
		return nil, fmt.Errorf("a batch has 1 to %d requests", maxParts)
	}
	known := map[string]bool{}
	for _, p := range batch.Requests {
		if err := p.check(known); err != nil {
			return nil, err
		}
		known[p.ID] = true
	}
	return batch.Requests, nil
}

// check looks at one part; known are the ids before it, so that dependencies can make no circle.
func (p batchPart) check(known map[string]bool) error {
	switch {
	case p.ID == "" || known[p.ID]:
		return fmt.Errorf("ids of a batch's requests are unique")
	case p.Method != http.MethodGet:
		return fmt.Errorf("only GET is served in a batch")
	case len(p.Body) > 0 && string(p.Body) != "null":
		return fmt.Errorf("a GET in a batch has no body")
	case strings.Contains(p.URL, "://") || p.URL == "":
		return fmt.Errorf("URLs of a batch are relative")
	case strings.HasPrefix(p.URL, "/v1.0") || strings.HasPrefix(p.URL, "/beta"):
		return fmt.Errorf("URLs of a batch are relative to the version")
	case strings.HasPrefix(strings.TrimPrefix(p.URL, "/"), "$batch"):
		return fmt.Errorf("batches are not nested")
	}
	for _, id := range p.DependsOn {
		if !known[id] {
			return fmt.Errorf("dependsOn names a request that does not come before")
		}
	}
	return nil
}

// runBatch answers a batch. Its parts run four at a time, and each counts like a request of its own; their answers
// come in the order in which they were ready.
func (s *Server) runBatch(c *call, r *http.Request) *reply {
	parts, err := readBatch(r)
	if err == errCut {
		return refuse(400, "BadRequest", "Invalid batch payload format.")
	}
	if err != nil {
		return refuse(400, "BadRequest", "Invalid batch payload format.").breaks("batch: " + err.Error())
	}
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		answers []partAnswer
		slots   = make(chan struct{}, partsAtATime)
		done    = map[string]chan struct{}{}
		failed  = map[string]bool{}
	)
	for _, p := range parts {
		done[p.ID] = make(chan struct{})
	}
	for _, p := range parts {
		wg.Go(func() {
			defer close(done[p.ID])
			for _, id := range p.DependsOn {
				<-done[id]
			}
			mu.Lock()
			blocked := slices.ContainsFunc(p.DependsOn, func(id string) bool { return failed[id] })
			mu.Unlock()
			answer := partAnswer{ID: p.ID, Status: http.StatusFailedDependency, Headers: map[string]string{}}
			if !blocked {
				slots <- struct{}{}
				answer = s.runPart(c, p)
				<-slots
			}
			mu.Lock()
			defer mu.Unlock()
			failed[p.ID] = answer.Status >= 400
			answers = append(answers, answer)
		})
	}
	wg.Wait()
	return jsonReply(map[string]any{"responses": answers})
}

func (s *Server) runPart(outer *call, p batchPart) partAnswer {
	path, query, _ := strings.Cut("/"+strings.TrimPrefix(p.URL, "/"), "?")
	header := http.Header{}
	for name, value := range p.Headers {
		header.Set(name, value)
	}
	c := &call{
		ctx: outer.ctx, method: p.Method, path: path, query: query, header: header,
		base: outer.base, app: outer.app, batch: true,
	}
	r := s.run(c, nil)
	defer r.release()
	if r.stream != nil {
		s.violate(c, "message bodies do not belong in a batch")
	}
	s.finish(c, r)
	body := r.part() // may change the status
	return partAnswer{ID: p.ID, Status: r.status, Headers: flat(r.header), Body: body}
}

// flat gives headers as a batch has them.
func flat(h http.Header) map[string]string {
	out := map[string]string{}
	for name, values := range h {
		out[name] = strings.Join(values, ", ")
	}
	return out
}

// part is an answer's body within a batch: JSON as it is, everything else as base64 in a string. A fault of the
// connection cannot befall a part alone, and becomes a gateway time-out.
func (r *reply) part() any {
	body := r.body
	if r.stream != nil {
		defer r.stream.Close()
		var err error
		if body, err = io.ReadAll(r.stream); err != nil {
			r.status = http.StatusInternalServerError
			return nil
		}
		return base64.StdEncoding.EncodeToString(body)
	}
	if r.cut != 0 {
		r.status = http.StatusGatewayTimeout
		return nil
	}
	switch {
	case len(body) == 0:
		return nil
	case json.Valid(body):
		return json.RawMessage(body)
	}
	return base64.StdEncoding.EncodeToString(body)
}
