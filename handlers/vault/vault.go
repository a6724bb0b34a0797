// Package vault keeps Blob storage: write-once evidence and mutable state.
//
// The SDK repeats a request whose answer is lost, and so may our own first try be what a conditional write finds in its
// way. Every conflict is therefore settled by reading back: what lies there already as wanted counts as written.
package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
)

// development is what "UseDevelopmentStorage=true" stands for (Microsoft Learn, "Use the Azurite emulator"); the key is
// public.
const development = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;" +
	"AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;" +
	"BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"

// Tries of one request. A try that hangs is given up after tryTimeout, but for the download of a body, which may take
// as long as it takes.
const (
	retries       = 3
	retryDelay    = 400 * time.Millisecond
	maxRetryDelay = 8 * time.Second
	tryTimeout    = 2 * time.Minute
)

// An Account says where a storage account is and how to sign in: by ConnectionString, or by BlobServiceURL and
// Credential. It does not print itself.
type Account struct {
	ConnectionString string                 // of the portal's form, with a key or a signature; or UseDevelopmentStorage=true
	BlobServiceURL   string                 // "https://account.blob.core.windows.net"
	Credential       azcore.TokenCredential // for BlobServiceURL
	Transport        policy.Transporter     // nil: the SDK's default
}

const hidden = "[account]"

// Format hides the account's secrets, whatever the verb.
func (Account) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue is like Format, for package slog.
func (Account) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText is like Format, for JSON.
func (Account) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// A Vault is the Blob service of a storage account. It may be used by several goroutines at a time.
type Vault struct{ client *service.Client }

// Open gives access to an account. It sends nothing. The error names the fault and never the value.
func Open(a Account) (*Vault, error) {
	o := &service.ClientOptions{ClientOptions: policy.ClientOptions{
		Transport: a.Transport,
		Telemetry: policy.TelemetryOptions{ApplicationID: "chainmail"},
		Retry:     retryOptions(),
	}}
	switch {
	case a.ConnectionString != "" && (a.BlobServiceURL != "" || a.Credential != nil):
		return nil, errors.New("open blob storage: both a connection string and a service address are given")
	case a.ConnectionString != "":
		c, err := service.NewClientFromConnectionString(expand(a.ConnectionString), o)
		if err != nil {
			return nil, errors.New("open blob storage: the connection string cannot be read")
		}
		return &Vault{c}, nil
	case a.BlobServiceURL == "" || a.Credential == nil:
		return nil, errors.New("open blob storage: neither a connection string, nor a service address with a credential, is given")
	case !strings.HasPrefix(a.BlobServiceURL, "https://"):
		return nil, errors.New("open blob storage: the service address must begin with https://")
	}
	c, err := service.NewClient(a.BlobServiceURL, a.Credential, o)
	if err != nil {
		return nil, errors.New("open blob storage: the service address cannot be read")
	}
	return &Vault{c}, nil
}

func expand(connection string) string {
	if strings.TrimRight(strings.TrimSpace(connection), ";") == "UseDevelopmentStorage=true" {
		return development
	}
	return connection
}

func retryOptions() policy.RetryOptions {
	return policy.RetryOptions{MaxRetries: retries, RetryDelay: retryDelay, MaxRetryDelay: maxRetryDelay}
}

// bounded limits each try of a request whose answer is short.
func bounded(ctx context.Context) context.Context {
	o := retryOptions()
	o.TryTimeout = tryTimeout
	return policy.WithRetryOptions(ctx, o)
}

// Container names a container; it need not exist yet.
func (v *Vault) Container(name string) *Container {
	return &Container{client: v.client.NewContainerClient(name)}
}

// A Container holds blobs. It may be used by several goroutines at a time. Its methods' errors are *Error, or wrap one
// of this package's sentinels.
type Container struct {
	client   *container.Client
	pageSize *int32 // of List; nil: the service's own
}

// Info is a blob as a listing shows it.
type Info struct {
	Name     string
	Size     int64     // bytes
	Modified time.Time // UTC
}

// Ensure creates the container, without public access, unless it is there. Who may write into one container alone may not create
// any, and is refused also where it is there: then it is looked up.
func (c *Container) Ensure(ctx context.Context) error {
	_, err := c.client.Create(bounded(ctx), nil)
	if bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
		return nil
	}
	var re *azcore.ResponseError
	if errors.As(err, &re) && re.StatusCode == http.StatusForbidden {
		if _, missing := c.client.GetProperties(bounded(ctx), nil); missing == nil {
			return nil
		}
	}
	return wrap("create container", err)
}

// PutOnce writes a blob that is never to change. When there is one already with the same bytes, by this call's own lost
// try or by another run, that is success; with other bytes it is ErrDiffers. contentType may be empty.
func (c *Container) PutOnce(ctx context.Context, name string, data []byte, contentType string) error {
	err := c.upload(ctx, name, data, &blockblob.UploadOptions{HTTPHeaders: headers(contentType), AccessConditions: absent()})
	var e *Error
	if !errors.As(err, &e) || !e.exists() {
		return err
	}
	same, readErr := c.equal(ctx, name, data)
	switch {
	case errors.Is(readErr, ErrNotFound): // refused for another reason, such as a policy of the container
		return err
	case readErr != nil:
		return fmt.Errorf("settle a conflict: %w", readErr)
	case !same:
		return fmt.Errorf("put blob: %w", ErrDiffers)
	}
	return nil
}

// Put writes a blob over whatever lies there. It is for state: under a WORM policy it fails where PutOnce would not.
func (c *Container) Put(ctx context.Context, name string, data []byte) error {
	return c.upload(ctx, name, data, &blockblob.UploadOptions{})
}

func (c *Container) upload(ctx context.Context, name string, data []byte, o *blockblob.UploadOptions) error {
	o.TransactionalValidation = checksum(data)
	body := streaming.NopCloser(bytes.NewReader(data))
	_, err := c.client.NewBlockBlobClient(name).Upload(bounded(ctx), body, o)
	return wrap("put blob", err)
}

// absent is the condition that there is no blob of that name.
func absent() *blob.AccessConditions {
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}}
}

func headers(contentType string) *blob.HTTPHeaders {
	if contentType == "" {
		return nil
	}
	return &blob.HTTPHeaders{BlobContentType: &contentType}
}

// equal reports whether the blob's bytes are data, holding no second copy of them.
func (c *Container) equal(ctx context.Context, name string, data []byte) (bool, error) {
	body, size, err := c.Open(ctx, name)
	if err != nil {
		return false, err
	}
	defer func() { _ = body.Close() }()
	if size != int64(len(data)) {
		return false, nil
	}
	for buf := make([]byte, 64<<10); ; {
		n, err := body.Read(buf)
		if !bytes.HasPrefix(data, buf[:n]) {
			return false, nil
		}
		data = data[n:]
		if err == io.EOF {
			return len(data) == 0, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// Get reads a whole blob; ErrNotFound when there is none.
func (c *Container) Get(ctx context.Context, name string) ([]byte, error) {
	body, size, err := c.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	data := make([]byte, size)
	if _, err := io.ReadFull(body, data); err != nil {
		return nil, err
	}
	return data, nil
}

// Open reads a blob as a stream and gives its size in bytes; ErrNotFound when there is none. A broken connection is
// taken up again where it broke. The caller closes the stream.
func (c *Container) Open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	return c.download(ctx, name, blob.HTTPRange{})
}

// ReadRange reads n bytes from offset off as a stream, fewer where the blob ends before. n must be positive and off lie
// within the blob: else the error has status 416.
func (c *Container) ReadRange(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if off < 0 || n <= 0 {
		return nil, &Error{Op: opRead, Status: http.StatusRequestedRangeNotSatisfiable, Code: string(bloberror.InvalidRange)}
	}
	body, _, err := c.download(ctx, name, blob.HTTPRange{Offset: off, Count: n})
	return body, err
}

const opRead = "get blob"

func (c *Container) download(ctx context.Context, name string, r blob.HTTPRange) (io.ReadCloser, int64, error) {
	resp, err := c.client.NewBlobClient(name).DownloadStream(ctx, &blob.DownloadStreamOptions{Range: r})
	if err != nil {
		return nil, 0, wrap(opRead, err)
	}
	if resp.ContentLength == nil {
		_ = resp.Body.Close()
		return nil, 0, &Error{Op: opRead, Status: http.StatusOK, Code: "NoContentLength"}
	}
	body := resp.NewRetryReader(ctx, &blob.RetryReaderOptions{MaxRetries: retries, EarlyCloseAsError: true})
	return &reader{body: body, left: *resp.ContentLength}, *resp.ContentLength, nil
}

// A reader gives a body whole or with an error: one that ends early must not pass for the blob.
type reader struct {
	body io.ReadCloser
	left int64
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	r.left -= int64(n)
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF && r.left == 0:
		return n, io.EOF
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return n, wrap(opRead, err)
}

// Close implements [io.Closer].
func (r *reader) Close() error { return wrap(opRead, r.body.Close()) }

// Exists reports whether there is a committed blob of that name.
func (c *Container) Exists(ctx context.Context, name string) (bool, error) {
	_, err := c.client.NewBlobClient(name).GetProperties(bounded(ctx), nil)
	if err = wrap("look for blob", err); errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// List gives the committed blobs whose names begin with prefix, in the order of their names. An error ends the sequence.
// A container that is not there gives ErrNotFound.
func (c *Container) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		pages := c.client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix, MaxResults: c.pageSize})
		for pages.More() {
			page, err := pages.NextPage(bounded(ctx))
			if err != nil {
				yield(Info{}, wrap("list blobs", err))
				return
			}
			for _, item := range page.Segment.BlobItems {
				if !yield(infoOf(item), nil) {
					return
				}
			}
		}
	}
}

func infoOf(item *container.BlobItem) Info {
	i := Info{Name: *item.Name}
	if p := item.Properties; p != nil {
		if p.ContentLength != nil {
			i.Size = *p.ContentLength
		}
		if p.LastModified != nil {
			i.Modified = p.LastModified.UTC()
		}
	}
	return i
}

// Delete removes a blob and its snapshots; one that is missing is fine. It is for state alone.
func (c *Container) Delete(ctx context.Context, name string) error {
	o := &blob.DeleteOptions{DeleteSnapshots: to.Ptr(blob.DeleteSnapshotsOptionTypeInclude)}
	_, err := c.client.NewBlobClient(name).Delete(bounded(ctx), o)
	if err = wrap("delete blob", err); errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
