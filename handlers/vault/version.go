package vault

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

// ErrChanged says that a blob is no longer as it was read.
var ErrChanged = errors.New("blob was changed by another")

// A Version tells a blob's content from what it was before and after; the zero Version is that of a blob that is not there.
type Version struct{ etag azcore.ETag }

// Exists reports whether the version is of a blob that is there.
func (v Version) Exists() bool { return v.etag != "" }

// GetVersion reads a whole blob with its version; no bytes and the zero version when there is none.
func (c *Container) GetVersion(ctx context.Context, name string) ([]byte, Version, error) {
	resp, err := c.client.NewBlobClient(name).DownloadStream(ctx, nil)
	if err = wrap(opRead, err); errors.Is(err, ErrNotFound) {
		return nil, Version{}, nil
	}
	if err != nil {
		return nil, Version{}, err
	}
	if resp.ContentLength == nil || resp.ETag == nil {
		_ = resp.Body.Close()
		return nil, Version{}, &Error{Op: opRead, Status: http.StatusOK, Code: "NoVersion"}
	}
	body := &reader{body: resp.NewRetryReader(ctx, &blob.RetryReaderOptions{MaxRetries: retries}), left: *resp.ContentLength}
	defer func() { _ = body.Close() }()
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, Version{}, err
	}
	return data, Version{*resp.ETag}, nil
}

// Replace writes a blob over the version that was read, or where none was; ErrChanged when something else lies there by now.
func (c *Container) Replace(ctx context.Context, name string, data []byte, over Version) error {
	o := &blockblob.UploadOptions{AccessConditions: absent()}
	if over.Exists() {
		o.AccessConditions = &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &over.etag}}
	}
	err := c.upload(ctx, name, data, o)
	var e *Error
	if !errors.As(err, &e) || e.Status != http.StatusPreconditionFailed && !e.exists() {
		return err
	}
	// An earlier try of this very call, whose answer was lost, may be what lies there.
	same, err := c.equal(ctx, name, data)
	switch {
	case err != nil && !errors.Is(err, ErrNotFound):
		return err
	case same:
		return nil
	}
	return ErrChanged
}
