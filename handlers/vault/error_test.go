package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"chainmail/handlers/vault/storagetest"
)

func answer(status int, code string) error {
	return wrap("put blob", &azcore.ResponseError{StatusCode: status, ErrorCode: code})
}

func TestWhatIsTemporary(t *testing.T) {
	t.Parallel()
	link := func(err error) error {
		return &url.Error{Op: "Put", URL: "https://canary.example/?sig=canary", Err: err}
	}
	dial := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, row := range []struct {
		err       error
		temporary bool
		text      string // after "put blob: "; "": not looked at
	}{
		{nil, false, ""},
		{answer(400, "InvalidBlockList"), false, "400 InvalidBlockList"},
		{answer(403, "AuthorizationFailure"), false, "403 AuthorizationFailure"},
		{answer(403, "blocked for canary"), false, "403"}, // by a proxy
		{answer(404, "BlobNotFound"), false, "404 BlobNotFound"},
		{answer(408, ""), true, "408"},
		{answer(409, "BlobAlreadyExists"), false, "409 BlobAlreadyExists"},
		{answer(409, "BlobImmutableDueToPolicy"), false, "409 BlobImmutableDueToPolicy"},
		{answer(409, "ContainerBeingDeleted"), true, "409 ContainerBeingDeleted"},
		{answer(412, "ConditionNotMet"), false, "412 ConditionNotMet"},
		{answer(416, "InvalidRange"), false, "416 InvalidRange"},
		{answer(429, ""), true, "429"},
		{answer(500, "InternalError"), true, "500 InternalError"},
		{answer(503, "ServerBusy"), true, "503 ServerBusy"},
		{fmt.Errorf("commit package: %w", answer(503, "ServerBusy")), true, ""},
		{wrap("put blob", context.Canceled), false, "context canceled"},
		{wrap("put blob", link(context.Canceled)), false, "context canceled"},
		{wrap("put blob", context.DeadlineExceeded), true, "context deadline exceeded"},
		{wrap("put blob", link(context.DeadlineExceeded)), true, "context deadline exceeded"},
		{wrap("put blob", link(io.EOF)), true, "connection closed"},
		{wrap("put blob", io.ErrUnexpectedEOF), true, "connection closed"},
		{wrap("put blob", link(dial)), true, "dial: connection refused"},
		{wrap("put blob", link(&net.DNSError{Err: "no such host", Name: "canary.example"})), true, "no answer (*net.DNSError)"},
		{wrap("put blob", link(errors.New("canary"))), true, "no answer (*errors.errorString)"},
		{wrap("put blob", errors.New("canary")), false, "no answer (*errors.errorString)"},
		{ErrDiffers, false, ""}, {ErrBlocksGone, false, ""}, {ErrNotFound, false, ""},
	} {
		if got := Temporary(row.err); got != row.temporary {
			t.Errorf("Temporary(%v) = %v, want %v", row.err, got, row.temporary)
		}
		if row.text != "" && row.err.Error() != "put blob: "+row.text {
			t.Errorf("error %q, want %q", row.err, "put blob: "+row.text)
		}
	}
}

func TestAnErrorHasTheMeaningOfItsStatus(t *testing.T) {
	t.Parallel()
	commit := func(status int, code string) error {
		return wrap(opCommit, &azcore.ResponseError{StatusCode: status, ErrorCode: code})
	}
	for _, row := range []struct {
		err            error
		notFound, gone bool
	}{
		{answer(404, "BlobNotFound"), true, false},
		{answer(404, "ContainerNotFound"), true, false},
		{commit(400, "InvalidBlockList"), false, true},
		{commit(400, "InvalidBlobOrBlock"), false, true},
		{commit(400, "InvalidHeaderValue"), false, false},
		{commit(409, "InvalidBlockList"), false, false},
		{answer(400, "InvalidBlobOrBlock"), false, false}, // not of a commit
		{wrap(opCommit, io.EOF), false, false},
	} {
		if got, gone := errors.Is(row.err, ErrNotFound), errors.Is(row.err, ErrBlocksGone); got != row.notFound || gone != row.gone {
			t.Errorf("%v: not found %v, blocks gone %v, want %v, %v", row.err, got, gone, row.notFound, row.gone)
		}
	}
}

// everyCall makes every call of a container, with a canary in all that a caller gives.
func everyCall(ctx context.Context, c *Container) map[string]func() error {
	const name = "canary/canary-blob.json"
	body := []byte("canary-body")
	return map[string]func() error{
		"Ensure":    func() error { return c.Ensure(ctx) },
		"PutOnce":   func() error { return c.PutOnce(ctx, name, body, "canary/type") },
		"Put":       func() error { return c.Put(ctx, name, body) },
		"Commit":    func() error { return c.Commit(ctx, name, []string{"Y2FuYXJ5"}, "") },
		"Delete":    func() error { return c.Delete(ctx, name) },
		"Get":       func() error { _, err := c.Get(ctx, name); return err },
		"ReadRange": func() error { _, err := c.ReadRange(ctx, name, 1<<40, 1); return err },
		"Exists":    func() error { _, err := c.Exists(ctx, name); return err },
		"List": func() error {
			for _, err := range c.List(ctx, name) {
				return err
			}
			return nil
		},
		"Stage": func() error {
			b := c.Stage(ctx, name)
			_, err := b.Write(body)
			return errors.Join(err, b.Flush())
		},
	}
}

// wantSilent holds an error's text against all that must not stand in a log.
func wantSilent(t *testing.T, what string, err error, address string) {
	t.Helper()
	for _, word := range []string{"canary", "Y2FuYXJ5", "http://", "127.0.0.1", address} {
		if err != nil && strings.Contains(strings.ToLower(err.Error()), strings.ToLower(word)) {
			t.Errorf("%s: the error holds %q: %v", what, word, err)
		}
	}
}

func TestErrorsHoldNoNamesAndNoBodies(t *testing.T) {
	t.Parallel()
	for name, fate := range map[string]storagetest.Action{
		"refused": storagetest.Fail(403, "AuthorizationFailure"),
		"missing": nil, // the container is not there
		"busy":    storagetest.Fail(503, "ServerBusy"),
		"cut":     storagetest.Before(nil),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account := storagetest.New(t)
			p := account.Proxy(t)
			p.OnRequest(func(op storagetest.Op) storagetest.Action {
				if fate == nil && op.Verb == "Create Container" {
					return storagetest.Fail(403, "AuthorizationFailure")
				}
				return fate
			})
			v, err := Open(Account{ConnectionString: p.ConnectionString(), Transport: impatient{}})
			if err != nil {
				t.Fatal(err)
			}
			var calls sync.WaitGroup // side by side: each of them tries its request several times
			for call, f := range everyCall(t.Context(), v.Container("canary-container")) {
				calls.Go(func() {
					err := f()
					if err == nil && name != "missing" {
						t.Errorf("%s = nil, want an error", call)
					}
					wantSilent(t, call, err, account.Name())
					if temporary := name == "busy" || name == "cut"; err != nil && Temporary(err) != temporary {
						t.Errorf("%s = %v, temporary %v, want %v", call, err, !temporary, temporary)
					}
				})
			}
			calls.Wait()
		})
	}
}

// An impatient transport gives every answer that is tried again a Retry-After of its own, so that a test need not wait.
type impatient struct{}

func (impatient) Do(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultClient.Do(r)
	if err == nil && resp.StatusCode >= 500 {
		resp.Header.Set("retry-after-ms", "1")
	}
	return resp, err
}

func TestContentThatDiffersIsNotNamed(t *testing.T) {
	t.Parallel()
	c, direct, _ := newContainer(t)
	put(t, direct, "canary", "canary-old")
	err := c.PutOnce(t.Context(), "canary", []byte("canary-new"), "")
	if !errors.Is(err, ErrDiffers) {
		t.Errorf("PutOnce = %v", err)
	}
	wantSilent(t, "PutOnce", err, "canary")
	err = c.Commit(t.Context(), "canary", staged(t, direct, "canary", []byte("canary-new"), 3).IDs(), "")
	if !errors.Is(err, ErrDiffers) {
		t.Errorf("Commit = %v", err)
	}
	wantSilent(t, "Commit", err, "canary")
}
