package graphtest

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A reply is an answer before it is written, to a connection or into the answer of a batch.
type reply struct {
	status    int
	header    http.Header
	body      []byte        // JSON, or what a fault says
	stream    io.ReadCloser // instead of body
	violation string        // the rule that the client broke, if it did
	cut       int64         // the connection is reset after so many bytes; below zero: before any
	release   func()        // gives the place in the limits back; called before the client can have seen the end
	complete  func(sha256 string)
}

const jsonType = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"

func newReply(status int) *reply {
	return &reply{status: status, header: http.Header{}, release: func() {}, complete: func(string) {}}
}

// jsonReply answers with a value, without escaping what need not be.
func jsonReply(v any) *reply {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return refuse(500, "InternalServerError", "Error while processing response.")
	}
	r := newReply(http.StatusOK)
	r.header.Set("Content-Type", jsonType)
	r.body = []byte(strings.TrimSuffix(b.String(), "\n"))
	return r
}

type errorBody struct {
	Error struct {
		Code    string            `json:"code"`
		Message string            `json:"message"`
		Inner   map[string]string `json:"innerError,omitempty"`
	} `json:"error"`
}

// naming is a message that names somebody, as Microsoft's may: "The requested user 'x@y' is invalid." [Leak] finds it wherever
// a client repeats it.
func naming(message string) string {
	return strings.TrimSpace(message + " ('" + Canary + "@kestrel.example')")
}

// refuse answers with an error in Graph's shape; ids and date are put in when it is written. Its message names somebody, but
// that UnknownError comes without one.
func refuse(status int, code, message string) *reply {
	var e errorBody
	e.Error.Code, e.Error.Message = code, message
	if code != "UnknownError" {
		e.Error.Message = naming(message)
	}
	r := newReply(status)
	r.header.Set("Content-Type", "application/json")
	r.body, _ = json.Marshal(e) // strings alone: cannot fail
	return r
}

// breaks says which rule the client broke to be refused.
func (r *reply) breaks(rule string) *reply {
	r.violation = rule
	return r
}

// stamp gives an answer its ids: headers, and the inner error of an error of Graph's shape that has none yet.
func (r *reply) stamp(requestID, clientID string, now time.Time) {
	r.header.Set("request-id", requestID)
	r.header.Set("client-request-id", clientID)
	if r.status < 400 || len(r.body) == 0 {
		return
	}
	var e errorBody
	if json.Unmarshal(r.body, &e) != nil || e.Error.Code == "" || e.Error.Inner != nil {
		return
	}
	e.Error.Inner = map[string]string{
		"date": now.UTC().Format("2006-01-02T15:04:05"), "request-id": requestID, "client-request-id": clientID,
	}
	if body, err := json.Marshal(e); err == nil {
		r.body = body
	}
}

// packers are gzip writers at rest: a new one is a megabyte.
var packers = sync.Pool{New: func() any { return gzip.NewWriter(io.Discard) }}

// write sends the answer, compressed if the client takes that, and never with a length: Graph streams. What is left
// unsent by a cut ends in a reset of the connection.
func (r *reply) write(w http.ResponseWriter, req *http.Request) {
	defer r.release()
	if r.stream != nil {
		defer r.stream.Close()
	}
	if r.cut < 0 {
		reset(w)
	}
	for name, values := range r.header {
		w.Header()[name] = values
	}
	if r.stream == nil && len(r.body) == 0 {
		r.release()
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(r.status)
		return
	}
	var out io.Writer = w
	closeOut := func() error { return nil }
	if strings.Contains(req.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		z := packers.Get().(*gzip.Writer)
		defer packers.Put(z)
		z.Reset(w)
		out, closeOut = z, z.Close
	}
	w.WriteHeader(r.status)
	_ = http.NewResponseController(w).Flush() // or else a short body gets a length
	if r.cut > 0 {
		r.writeCut(w, out)
	}
	sum, err := r.copy(out)
	if err == nil {
		err = closeOut()
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the client must not take what it got for the whole
	}
	r.complete(sum)
}

// copy writes the body and gives its SHA-256. The place in the limits is given back before the last piece is
// written, or else a fast client could come again while it still counts as in flight.
func (r *reply) copy(out io.Writer) (string, error) {
	hash := sha256.New()
	if r.stream == nil {
		r.release()
		hash.Write(r.body)
		_, err := out.Write(r.body)
		return hex.EncodeToString(hash.Sum(nil)), err
	}
	var held []byte
	piece := make([]byte, 32<<10)
	for {
		n, err := r.stream.Read(piece)
		if n > 0 {
			if _, err := out.Write(held); err != nil {
				return "", fmt.Errorf("write body: %w", err)
			}
			held = append(held[:0], piece[:n]...)
			hash.Write(held)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", fmt.Errorf("read body: %w", err)
		}
	}
	r.release()
	_, err := out.Write(held)
	return hex.EncodeToString(hash.Sum(nil)), err
}

// writeCut sends the first bytes and resets the connection. It does not return.
func (r *reply) writeCut(w http.ResponseWriter, out io.Writer) {
	var source io.Reader = strings.NewReader(string(r.body))
	if r.stream != nil {
		source = r.stream
	}
	_, _ = io.CopyN(out, source, r.cut) // the answer ends badly in any case
	if z, ok := out.(*gzip.Writer); ok {
		_ = z.Flush()
	}
	_ = http.NewResponseController(w).Flush()
	r.release()
	reset(w)
}

// reset ends the connection with a TCP reset, or the stream with one of HTTP/2. It does not return.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	under := conn
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		under = t.NetConn()
	}
	if t, ok := under.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = under.Close()
	panic(http.ErrAbortHandler)
}
