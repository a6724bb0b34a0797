package graph

import (
	"context"
	"io"
	"net/http"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
)

// A Sink takes an item's bytes. Reset throws away what was written, because the item is coming again from its beginning.
type Sink interface {
	io.Writer
	Reset() error
}

// codeEmpty is the code of an answer without a body.
const codeEmpty = "EmptyAnswer"

// sinkError is a failure of the sink, which is the caller's and never tried again.
type sinkError struct{ err error }

func (e *sinkError) Error() string { return e.err.Error() }
func (e *sinkError) Unwrap() error { return e.err }

// MIME writes the item's MIME to dst as Exchange makes it, and returns its length in bytes. It holds one of the mailbox's
// slots until the last byte has come. A body that was cut is fetched again after dst.Reset; Graph knows no ranges. On an
// error dst may hold a part of the item; an error of dst itself is in the returned error's chain and is no [*Error].
// [NotFound] means that the item is gone, [NoMailbox] that the mailbox is, [BadItem] that Exchange cannot make its MIME.
func (c *Client) MIME(ctx context.Context, userID, itemID string, dst Sink) (int64, error) {
	return c.stream(ctx, "fetch item", userID, dst, func(ctx context.Context) (*abstractions.RequestInformation, error) {
		return c.user(userID).Messages().ByMessageId(itemID).Content().ToGetRequestInformation(ctx,
			&users.ItemMessagesItemValueContentRequestBuilderGetRequestConfiguration{Headers: immutableIDs()})
	})
}

// stream writes the body of the answer to a request to dst, as [Client.MIME] does it.
func (c *Client) stream(ctx context.Context, op, mailbox string, dst Sink,
	info func(context.Context) (*abstractions.RequestInformation, error),
) (int64, error) {
	out := &counted{sink: dst}
	err := c.do(ctx, call{op: op, mailbox: mailbox}, func(ctx context.Context) error {
		if err := out.rewind(); err != nil {
			return err
		}
		request, err := info(ctx)
		if err != nil {
			return &Error{Meaning: Bad, Code: "UnsendableRequest", err: err}
		}
		option := abstractions.NewRequestHandlerOption()
		option.SetResponseHandler(func(resp any, _ abstractions.ErrorMappings) (any, error) {
			// Nothing but nil may be returned: the adapter panics on any value.
			return nil, out.receive(resp.(*http.Response))
		})
		request.AddRequestOptions([]abstractions.RequestOption{option, streamed{}})
		_, err = c.adapter.SendPrimitive(ctx, request, "[]byte", nil)
		return err
	})
	return out.n, err
}

// counted counts what a sink took, and keeps its errors apart from the network's.
type counted struct {
	sink Sink
	n    int64
}

func (w *counted) rewind() error {
	if w.n == 0 {
		return nil
	}
	if err := w.sink.Reset(); err != nil {
		return &sinkError{err}
	}
	w.n = 0
	return nil
}

func (w *counted) Write(p []byte) (int, error) {
	n, err := w.sink.Write(p)
	w.n += int64(n)
	if err != nil {
		err = &sinkError{err}
	}
	return n, err
}

// receive copies a body here, inside the response handler, since the adapter ends the request when its handler returns.
func (w *counted) receive(resp *http.Response) error {
	defer resp.Body.Close()
	_, err := io.Copy(w, resp.Body)
	if _, ours := err.(*sinkError); ours {
		return err
	}
	if err != nil {
		return &Error{
			Status: resp.StatusCode, Meaning: Transient, Code: "CutAnswer",
			RequestID: resp.Header.Get("request-id"), err: err,
		}
	}
	if w.n == 0 {
		return &Error{Status: resp.StatusCode, Meaning: Transient, Code: codeEmpty, tries: 3}
	}
	return nil
}
