package ledger

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
	"syscall"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
)

// The two verdicts that callers decide on. Conflict: a row is not as it was when the change was decided on; read
// again and decide again, or leave it to the rival.
var (
	ErrNotFound = errors.New("no such row")
	ErrConflict = errors.New("row was changed by another")
)

// An Error is a failed operation on Table storage. Its text, "change rows: 503 ServerBusy", holds no address, no key and
// nothing that a server said but its code.
type Error struct {
	Op     string // "change rows"
	Status int    // HTTP status, 202 for a refused transaction; 0: there was no answer
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

// absent reports whether the row, and not the table, is missing.
func (e *Error) absent() bool {
	return e.Status == http.StatusNotFound && rowMissing(e.Code)
}

// conflicts reports whether a change was refused because a row is not as expected, be it by our own earlier try.
func (e *Error) conflicts() bool {
	switch e.Code {
	case string(aztables.EntityAlreadyExists), string(aztables.UpdateConditionNotSatisfied), "ConditionNotMet":
		return true
	}
	return rowMissing(e.Code)
}

func rowMissing(code string) bool {
	return code == string(aztables.ResourceNotFound) || code == string(aztables.EntityNotFound)
}

// wrap makes an Error of the SDK's error; nil stays nil.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op, err: err}
	var re *azcore.ResponseError
	if errors.As(err, &re) {
		e.Status, e.Code = re.StatusCode, re.ErrorCode
		if e.Code == "" && re.RawResponse != nil {
			if body, err := runtime.Payload(re.RawResponse); err == nil {
				e.Code = transactionCode(body)
			}
		}
		if !codeWord.MatchString(e.Code) {
			e.Code = ""
		}
	}
	return e
}

// codeWord is what a code looks like. Anything else was not said by the service, and goes into no log.
var codeWord = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,80}$`)

var codeOfPart = regexp.MustCompile(`"odata\.error"\s*:\s*\{\s*"code"\s*:\s*"(?:\d+:)?([A-Za-z0-9]+)"`)

// transactionCode is the error code in the answer to a transaction; empty where there is none.
// QUIRK: a refused transaction is answered with 202 Accepted; the one part of its multipart body is the refusal.
func transactionCode(body []byte) string {
	if m := codeOfPart.FindSubmatch(body); m != nil {
		return string(m[1])
	}
	return ""
}

// cause is what may be said of an error that is no answer. It is a list of the known: the text of an unknown error may
// hold an address with a signature in it.
func cause(err error) string {
	var link *url.Error
	if errors.As(err, &link) { // its own text is the address
		err = link.Err
	}
	var network *net.OpError
	var errno syscall.Errno
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded.Error()
	case errors.As(err, &network):
		return network.Op + ": " + cause(network.Err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "connection closed"
	case errors.As(err, &errno):
		return errno.Error()
	}
	return fmt.Sprintf("no answer (%T)", err)
}
