// Package queue counts what waits in storage queues. Messages are put into them and taken out by the Functions host alone.
package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/queueerror"
)

// The app's queues: messages of chunks, and those that the host gave up after maxDequeueCount.
const (
	Chunks = "chunks"
	Poison = "chunks-poison"
)

// development is what "UseDevelopmentStorage=true" stands for (Microsoft Learn, "Use the Azurite emulator"); the key is
// public.
const development = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;" +
	"AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;" +
	"QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"

// A count is not worth a long wait: where it cannot be had, the planner goes by time alone.
const (
	retries    = 1
	retryDelay = 400 * time.Millisecond
	tryTimeout = 10 * time.Second
)

// An Account says where the queues are and how to sign in: by ConnectionString, or by QueueServiceURL and Credential. It does
// not print itself.
type Account struct {
	ConnectionString string                 // of the portal's form, with a key or a signature; or UseDevelopmentStorage=true
	QueueServiceURL  string                 // "https://account.queue.core.windows.net"
	Credential       azcore.TokenCredential // for QueueServiceURL
}

const hidden = "[account]"

// Format hides the account's secrets, whatever the verb.
func (Account) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue is like Format, for package slog.
func (Account) LogValue() slog.Value { return slog.StringValue(hidden) }

// Queues are the queues of an account. They may be used by several goroutines at a time.
type Queues struct{ client *azqueue.ServiceClient }

// Open gives access to an account. It sends nothing. The error names the fault and never the value.
func Open(a Account) (*Queues, error) {
	o := &azqueue.ClientOptions{ClientOptions: policy.ClientOptions{
		Telemetry: policy.TelemetryOptions{ApplicationID: "chainmail"},
		Retry:     policy.RetryOptions{MaxRetries: retries, RetryDelay: retryDelay, TryTimeout: tryTimeout},
	}}
	switch {
	case a.ConnectionString != "" && (a.QueueServiceURL != "" || a.Credential != nil):
		return nil, errors.New("open queues: both a connection string and a service address are given")
	case a.ConnectionString != "":
		c, err := azqueue.NewServiceClientFromConnectionString(expand(a.ConnectionString), o)
		if err != nil { // the SDK's text may hold the string itself
			return nil, errors.New("open queues: the connection string cannot be read")
		}
		return &Queues{c}, nil
	case a.QueueServiceURL == "" || a.Credential == nil:
		return nil, errors.New("open queues: neither a connection string, nor a service address with a credential, is given")
	case !strings.HasPrefix(a.QueueServiceURL, "https://"):
		return nil, errors.New("open queues: the service address must begin with https://")
	}
	c, err := azqueue.NewServiceClient(a.QueueServiceURL, a.Credential, o)
	if err != nil {
		return nil, errors.New("open queues: the service address cannot be read")
	}
	return &Queues{c}, nil
}

func expand(connection string) string {
	if strings.TrimRight(strings.TrimSpace(connection), ";") == "UseDevelopmentStorage=true" {
		return development
	}
	return connection
}

// Depth is how many messages a queue holds, those that are being worked on included; a queue that was never written to has
// none. The service's number is approximate and never lower than the true one (Microsoft Learn, "Get Queue Metadata"): 0 is
// certain.
func (q *Queues) Depth(ctx context.Context, name string) (int, error) {
	got, err := q.client.NewQueueClient(name).GetProperties(ctx, nil)
	var re *azcore.ResponseError
	switch {
	case queueerror.HasCode(err, queueerror.QueueNotFound):
		return 0, nil
	case errors.As(err, &re): // the SDK's text has the address
		return 0, fmt.Errorf("count queue %s: %d %s", name, re.StatusCode, re.ErrorCode)
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case err != nil:
		return 0, fmt.Errorf("count queue %s: no answer from the queue service", name)
	case got.ApproximateMessagesCount == nil:
		return 0, fmt.Errorf("count queue %s: the queue service gave no number", name)
	}
	return int(*got.ApproximateMessagesCount), nil
}
