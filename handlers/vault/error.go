package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
)

// What an operation of this package may find; test with errors.Is.
var (
	// ErrNotFound says that the blob, or its container, is not there.
	ErrNotFound = errors.New("not found")
	// ErrDiffers says that a blob which is written once is there already, with other content.
	ErrDiffers = errors.New("other content lies there")
	// ErrBlocksGone says that blocks to be committed are not staged (any more): they expire a week after the last one.
	ErrBlocksGone = errors.New("staged blocks are gone")
)

// An Error is a failed operation. Its text, "put blob: 409 BlobAlreadyExists", holds no address, no blob name and nothing
// that a server said but its code.
type Error struct {
	Op     string // "put blob"
	Status int    // HTTP status; 0: there was no answer
	Code   string // the service's error code; may be empty
	err    error
}

// Error implements error.
func (e *Error) Error() string {
	switch {
	case e.Status == 0:
		return e.Op + ": " + cause(e.err)
	case e.Code == "":
		return e.Op + ": " + strconv.Itoa(e.Status)
	}
	return fmt.Sprintf("%s: %d %s", e.Op, e.Status, e.Code)
}

// Unwrap gives the SDK's error, whose text belongs into no log: it holds addresses and bodies.
func (e *Error) Unwrap() error { return e.err }

// Is makes errors.Is find the meaning of a status.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrBlocksGone:
		return e.Op == opCommit && e.blocksGone()
	}
	return false
}

func (e *Error) blocksGone() bool {
	return e.Status == http.StatusBadRequest &&
		(e.Code == string(bloberror.InvalidBlockList) || e.Code == string(bloberror.InvalidBlobOrBlock))
}

// exists reports whether a conditional write was refused because something lies there, be it our own earlier try.
func (e *Error) exists() bool {
	return e.Status == http.StatusPreconditionFailed || e.Status == http.StatusConflict &&
		(e.Code == string(bloberror.BlobAlreadyExists) || e.Code == string(bloberror.BlobImmutableDueToPolicy))
}

// wrap makes an Error of the SDK's error; nil stays nil.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op, err: err}
	var resp *azcore.ResponseError
	if errors.As(err, &resp) {
		e.Status, e.Code = resp.StatusCode, resp.ErrorCode
		if !codeWord.MatchString(e.Code) {
			e.Code = ""
		}
	}
	return e
}

// codeWord is what a code looks like. Anything else was not said by the service, and goes into no log.
var codeWord = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,80}$`)

// cause is what may be said of an error that is no answer. It is a list of the known: the text of an unknown error may
// hold an address with a signature in it.
func cause(err error) string {
	var link *url.Error
	if errors.As(err, &link) { // its own text is the address
		err = link.Err
	}
	var dial *net.OpError
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded.Error()
	case errors.As(err, &dial):
		return dial.Op + ": " + cause(dial.Err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "connection closed"
	}
	var errno interface {
		error
		Temporary() bool
		Is(error) bool // as syscall.Errno has it
	}
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return fmt.Sprintf("no answer (%T)", err)
}

// Temporary reports whether the same call may succeed later: no answer, throttling, or a fault of the service. It is
// false for what the caller cancelled.
func Temporary(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var e *Error
	if errors.As(err, &e) && e.Status != 0 {
		switch e.Status {
		case http.StatusRequestTimeout, http.StatusTooManyRequests:
			return true
		case http.StatusConflict:
			return e.Code == string(bloberror.ContainerBeingDeleted)
		}
		return e.Status >= http.StatusInternalServerError
	}
	var link *url.Error
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.As(err, &link) || errors.As(err, &network)
}
