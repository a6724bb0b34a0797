package host

import (
	"context"
	"io"
	"log/slog"
)

type invocationKey struct{}

// WithInvocation gives a context whose log lines name the invocation. The server calls it before each function.
func WithInvocation(ctx context.Context, inv *Invocation) context.Context {
	return context.WithValue(ctx, invocationKey{}, inv)
}

// NewLogger gives a logger that writes one JSON object a line to w: time (UTC), level, msg, the attributes, and
// `function` and `invocation` when the context is an invocation's. w should be the standard output: the Functions host
// takes every line of the standard error for an error.
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(handler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})})
}

// handler adds what the context knows to each record.
type handler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	r = r.Clone()
	r.Time = r.Time.UTC()
	if inv, ok := ctx.Value(invocationKey{}).(*Invocation); ok {
		r.AddAttrs(slog.String("function", inv.Function), slog.String("invocation", inv.ID))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
