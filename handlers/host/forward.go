package host

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// HTTPPrefix is how the paths of forwarded requests begin: host.json's default routePrefix, between slashes. No function's
// name holds a slash, so that no client can reach the other functions by one.
const HTTPPrefix = "/api/"

// HTTPFunction is the function with an HTTP trigger. With host.json's enableForwardingHttpRequest the host sends it the
// requests as its clients have sent them, Host and all other headers included, and gives the answers back as they are.
type HTTPFunction struct {
	Name    string // the name of its folder
	Handler http.Handler
}

// forward lets the function with the HTTP trigger answer, under the server's deadline. A panic of it is logged as that of any
// function is.
func (s *Server) forward(w http.ResponseWriter, r *http.Request) {
	if s.http.Handler == nil {
		answer(w, http.StatusNotFound, emptyObject)
		return
	}
	inv := &Invocation{ID: forwardedID(r.Header), Function: s.http.Name}
	ctx := WithInvocation(r.Context(), inv)
	if s.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.timeout)
		defer cancel()
	}
	started := time.Now()
	defer func() {
		took := slog.Int64("duration_ms", time.Since(started).Milliseconds())
		value := recover()
		if value == nil {
			s.log.DebugContext(ctx, "invocation done", took)
			return
		}
		err := newPanicError(value)
		s.log.LogAttrs(ctx, slog.LevelError, "invocation failed", slog.Any("error", errors.New(err.text)), took, slog.String("stack", err.stack))
		answer(w, http.StatusInternalServerError, emptyObject)
	}()
	s.http.Handler.ServeHTTP(w, r.WithContext(ctx))
}

// forwardedID is the invocation's id. QUIRK: the host adds its own header behind one that the client has sent.
func forwardedID(h http.Header) string {
	all := strings.Split(strings.Join(h.Values(invocationHeader), ","), ",")
	return invocationID(strings.TrimSpace(all[len(all)-1]))
}
