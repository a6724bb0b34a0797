package hosttest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/queueerror"
)

// developmentStorage is what UseDevelopmentStorage=true stands for: the emulator's well-known account and key.
const developmentStorage = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;" +
	"AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;" +
	"QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"

// maxWireBytes is the largest message that a storage queue takes, as it stands on the wire.
const maxWireBytes = 64 << 10

// storageError is a refusal by the queue service: the operation, the status and the code, never the address or the
// body, which the SDK's own error prints.
type storageError struct {
	op, code string
	status   int
	err      error
}

func (e *storageError) Error() string {
	if e.status == 0 {
		return e.op + ": no answer from the queue service"
	}
	return fmt.Sprintf("%s: status %d, code %q", e.op, e.status, e.code)
}

func (e *storageError) Unwrap() error { return e.err }

func storageFault(op string, err error) error {
	var response *azcore.ResponseError
	if errors.As(err, &response) {
		return &storageError{op: op, code: response.ErrorCode, status: response.StatusCode, err: err}
	}
	return &storageError{op: op, err: err}
}

func isCode(err error, code queueerror.Code) bool { return queueerror.HasCode(err, code) }

// queues are the storage queues of the app's connections.
type queues struct {
	services map[string]*azqueue.ServiceClient // by the connection's setting
	base64   bool
}

// openQueues opens the service behind each connection that a function uses, and the host's own.
func openQueues(a *app, settings map[string]string) (*queues, error) {
	q := &queues{services: map[string]*azqueue.ServiceClient{}, base64: a.queues.base64}
	names := []string{storageConnection}
	for _, f := range a.functions {
		for _, b := range append([]binding{f.trigger}, f.outputs...) {
			if b.Connection != "" {
				names = append(names, b.Connection)
			}
		}
	}
	for _, name := range names {
		text := strings.TrimSpace(settings[name])
		if strings.EqualFold(strings.TrimSuffix(text, ";"), "UseDevelopmentStorage=true") {
			text = developmentStorage
		}
		service, err := azqueue.NewServiceClientFromConnectionString(text, nil)
		if err != nil {
			// The parser's error may quote what it read, the key included.
			return nil, fmt.Errorf("open queues: the setting %s is not a storage connection string", name)
		}
		q.services[name] = service
	}
	return q, nil
}

// queue gives a queue of a connection; "" is the host's own storage.
func (q *queues) queue(connection, name string) *queue {
	if connection == "" {
		connection = storageConnection
	}
	return &queue{
		key:    connection + "/" + name,
		name:   name,
		client: q.services[connection].NewQueueClient(name),
		poison: poisonName(name),
		base64: q.base64,
		siblings: func(name string) *queue {
			return q.queue(connection, name)
		},
	}
}

// poisonSuffix marks the queue for messages that were given up.
const poisonSuffix = "-poison"

// maxQueueName is the length of the longest queue name.
const maxQueueName = 63

// poisonName gives the name of the poison queue, "" when there is none: a poison queue has none, nor has one whose name
// would be too long.
func poisonName(name string) string {
	if strings.HasSuffix(name, poisonSuffix) || len(name)+len(poisonSuffix) > maxQueueName {
		return ""
	}
	return name + poisonSuffix
}

type queue struct {
	key      string // unique over the connections
	name     string
	poison   string // "" when it has none
	base64   bool
	client   *azqueue.QueueClient
	siblings func(name string) *queue
}

// taken is a message under lease.
type taken struct {
	id, receipt                    string
	wire                           string // as stored
	dequeueCount                   int64
	inserted, expires, nextVisible time.Time
}

// take leases at most one message; ok is false when none is visible or the queue does not exist.
func (q *queue) take(ctx context.Context, lease time.Duration) (m taken, ok bool, err error) {
	r, err := q.client.DequeueMessage(ctx, &azqueue.DequeueMessageOptions{VisibilityTimeout: to.Ptr(wholeSeconds(lease))})
	if isCode(err, queueerror.QueueNotFound) {
		return taken{}, false, nil
	}
	if err != nil {
		return taken{}, false, storageFault("take message", err)
	}
	if len(r.Messages) == 0 {
		return taken{}, false, nil
	}
	d := r.Messages[0]
	return taken{
		id: value(d.MessageID), receipt: value(d.PopReceipt), wire: value(d.MessageText),
		dequeueCount: value(d.DequeueCount),
		inserted:     value(d.InsertionTime), expires: value(d.ExpirationTime), nextVisible: value(d.TimeNextVisible),
	}, true, nil
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// wholeSeconds rounds up to the service's unit.
func wholeSeconds(d time.Duration) int32 { return int32((d + time.Second - 1) / time.Second) }

// decode gives the text of a stored message; ok is false when it is not encoded as host.json says.
func (q *queue) decode(wire string) (text string, ok bool) {
	if !q.base64 {
		return wire, true
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(wire))
	return string(b), err == nil && utf8.Valid(b)
}

func (q *queue) encode(text string) string {
	if !q.base64 {
		return text
	}
	return base64.StdEncoding.EncodeToString([]byte(text))
}

// put stores a message as it is, and creates the queue when it is missing.
func (q *queue) put(ctx context.Context, wire string) error {
	if len(wire) > maxWireBytes {
		return fmt.Errorf("put message: %d bytes encoded, a queue takes at most %d", len(wire), maxWireBytes)
	}
	_, err := q.client.EnqueueMessage(ctx, wire, nil)
	if isCode(err, queueerror.QueueNotFound) {
		if _, err = q.client.Create(ctx, nil); err != nil && !isCode(err, queueerror.QueueAlreadyExists) {
			return storageFault("create queue", err)
		}
		_, err = q.client.EnqueueMessage(ctx, wire, nil)
	}
	if err != nil {
		return storageFault("put message", err)
	}
	return nil
}

// remove deletes a taken message. One whose lease was lost is left to whoever holds it now.
func (q *queue) remove(ctx context.Context, m taken) error {
	_, err := q.client.DeleteMessage(ctx, m.id, m.receipt, nil)
	if err != nil && !lost(err) {
		return storageFault("delete message", err)
	}
	return nil
}

// release makes a taken message visible again after the delay.
func (q *queue) release(ctx context.Context, m taken, delay time.Duration) error {
	_, err := q.client.UpdateMessage(ctx, m.id, m.receipt, m.wire,
		&azqueue.UpdateMessageOptions{VisibilityTimeout: to.Ptr(wholeSeconds(delay))})
	if err != nil && !lost(err) {
		return storageFault("release message", err)
	}
	return nil
}

// lost tells that somebody else took or deleted the message meanwhile.
func lost(err error) bool {
	return isCode(err, queueerror.MessageNotFound) || isCode(err, queueerror.PopReceiptMismatch) ||
		isCode(err, queueerror.QueueNotFound)
}

// outstanding counts the messages of the queue, leased ones included.
func (q *queue) outstanding(ctx context.Context) (int, error) {
	r, err := q.client.GetProperties(ctx, nil)
	if isCode(err, queueerror.QueueNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, storageFault("count messages", err)
	}
	return int(value(r.ApproximateMessagesCount)), nil
}

// peek gives the first visible messages, at most 32, as stored.
func (q *queue) peek(ctx context.Context) ([]string, error) {
	r, err := q.client.PeekMessages(ctx, &azqueue.PeekMessagesOptions{NumberOfMessages: to.Ptr(int32(32))})
	if isCode(err, queueerror.QueueNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, storageFault("peek messages", err)
	}
	var texts []string
	for _, m := range r.Messages {
		texts = append(texts, value(m.MessageText))
	}
	return texts, nil
}

// keep renews a message's lease at its half until stop is called; stop gives the message with its latest receipt.
func (q *queue) keep(ctx context.Context, m taken, lease time.Duration) (stop func() taken) {
	quit, done := make(chan struct{}), make(chan struct{})
	ctx = context.WithoutCancel(ctx) // a renewal cut off would leave the receipt unknown
	go func() {
		defer close(done)
		ticker := time.NewTicker(lease / 2)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
			}
			r, err := q.client.UpdateMessage(ctx, m.id, m.receipt, m.wire,
				&azqueue.UpdateMessageOptions{VisibilityTimeout: to.Ptr(wholeSeconds(lease))})
			if err == nil {
				m.receipt = value(r.PopReceipt)
			} else if lost(err) {
				return
			}
		}
	}()
	return sync.OnceValue(func() taken {
		close(quit)
		<-done
		return m
	})
}
