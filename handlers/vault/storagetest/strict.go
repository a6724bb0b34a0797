package storagetest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// The limits of an entity group transaction (Microsoft Learn, "Performing entity group transactions").
const (
	maxTransactionEntities = 100
	maxTransactionBytes    = 4 << 20
)

// refuseTransaction answers a transaction that Azure does not take; nil: it takes it. Azure refuses all but the length
// inside an answer of 202.
func refuseTransaction(op Op, bytes int) func(*http.Request) *http.Response {
	if bytes > maxTransactionBytes {
		return func(r *http.Request) *http.Response {
			return failure(r, Table, http.StatusRequestEntityTooLarge, "RequestBodyTooLarge")
		}
	}
	if len(op.Parts) > maxTransactionEntities {
		return refusePart(maxTransactionEntities-1, "InvalidInput", "One of the request inputs is not valid.")
	}
	seen := map[string]bool{}
	for i, part := range op.Parts {
		partition, _, _ := strings.Cut(part.Name, "/")
		switch {
		case part.Container != op.Container || partition != op.Name:
			return refusePart(i, "CommandsInBatchActOnDifferentPartitions",
				"All commands in a batch must operate on same entity group.")
		case seen[part.Name]:
			return refusePart(i, "InvalidDuplicateRow",
				"The batch request contains multiple changes with same row key. An entity can appear only once in a batch request.")
		}
		seen[part.Name] = true
	}
	return nil
}

// refusePart answers that operation i of a transaction is refused with status 400, and the transaction with it.
func refusePart(i int, code, text string) func(*http.Request) *http.Response {
	const outer, inner = "batchresponse_strict", "changesetresponse_strict"
	entity := fmt.Sprintf(`{"odata.error":{"code":"%s","message":{"lang":"en-US","value":"%d:%s"}}}`, code, i, text)
	body := strings.Join([]string{
		"--" + outer, "Content-Type: multipart/mixed; boundary=" + inner, "",
		"--" + inner, "Content-Type: application/http", "Content-Transfer-Encoding: binary", "",
		"HTTP/1.1 400 Bad Request", "DataServiceVersion: 3.0;", "Content-Type: application/json;odata=minimalmetadata", "",
		entity, "--" + inner + "--", "--" + outer + "--", "",
	}, "\r\n")
	return func(r *http.Request) *http.Response {
		return answer(r, http.StatusAccepted, "multipart/mixed; boundary="+outer, "", body)
	}
}

// failure is an error answer in the service's own form.
func failure(r *http.Request, service string, status int, code string) *http.Response {
	if service == Table {
		body := fmt.Sprintf(`{"odata.error":{"code":"%s","message":{"lang":"en-US","value":"%[1]s"}}}`, code)
		return answer(r, status, "application/json;odata=minimalmetadata", code, body)
	}
	body := fmt.Sprintf(`<?xml version="1.0" encoding="utf-8"?><Error><Code>%s</Code><Message>%[1]s</Message></Error>`, code)
	return answer(r, status, "application/xml", code, body)
}

func answer(r *http.Request, status int, contentType, code, body string) *http.Response {
	h := http.Header{"Content-Type": {contentType}, "X-Ms-Version": {r.Header.Get("x-ms-version")}}
	if code != "" {
		h.Set("x-ms-error-code", code)
	}
	if r.Method == http.MethodHead {
		body = ""
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}
}

// What WORM means for a blob operation.
type wormRule int

const (
	wormFree   wormRule = iota // allowed
	wormStage                  // allowed until the blob is committed; leaves it as it is
	wormChange                 // allowed until the blob is committed; may commit it
	wormNever                  // refused as long as the container holds a blob
)

// wormRuleOf follows the table of operations under a time-based retention policy of container scope (Microsoft Learn,
// "Container-level WORM policies for immutable blob data").
func wormRuleOf(verb string) wormRule {
	switch verb {
	case "Put Block", "Put Block From URL":
		return wormStage
	case "Put Blob", "Put Blob From URL", "Put Block List", "Copy Blob", "Copy Blob From URL", "Incremental Copy Blob",
		"Delete Blob", "Undelete Blob", "Set Blob Metadata", "Set Blob Properties", "Set Blob Expiry", "Snapshot Blob",
		"Put Page", "Append Block", "Append Blob Seal":
		return wormChange
	case "Delete Container":
		return wormNever
	}
	return wormFree
}

// wormForward forwards a write into a WORM container, or refuses it. Check and commit hold the account's lock, so that of two
// commits at the same time one is refused.
func (a *Account) wormForward(r *http.Request, op Op, forward func() (*http.Response, error)) (*http.Response, error) {
	rule := wormRuleOf(op.Verb)
	switch rule {
	case wormFree:
		return forward()
	case wormStage:
		a.worm.RLock()
		defer a.worm.RUnlock()
	default:
		a.worm.Lock()
		defer a.worm.Unlock()
	}
	check := a.committed
	if rule == wormNever {
		check = a.occupied
	}
	held, err := check(r.Context(), op.Container, op.Name)
	switch {
	case err != nil:
		return nil, err
	case !held:
		return forward()
	}
	drain(r.Body)
	return failure(r, Blob, http.StatusConflict, string(bloberror.BlobImmutableDueToPolicy)), nil
}

// containerClient leads straight to Azurite.
func (a *Account) containerClient(name string) (*container.Client, error) {
	o := &azblob.ClientOptions{ClientOptions: policy.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}}}
	c, err := azblob.NewClientFromConnectionString(a.ConnectionString(), o)
	if err != nil {
		return nil, err
	}
	return c.ServiceClient().NewContainerClient(name), nil
}

// committed reports whether the blob exists; one that has uncommitted blocks alone does not.
func (a *Account) committed(ctx context.Context, containerName, name string) (bool, error) {
	c, err := a.containerClient(containerName)
	if err != nil {
		return false, err
	}
	_, err = c.NewBlobClient(name).GetProperties(ctx, nil)
	if bloberror.HasCode(err, bloberror.BlobNotFound, bloberror.ContainerNotFound) {
		return false, nil
	}
	return err == nil, err
}

// occupied reports whether the container holds a committed blob.
func (a *Account) occupied(ctx context.Context, containerName, _ string) (bool, error) {
	c, err := a.containerClient(containerName)
	if err != nil {
		return false, err
	}
	page, err := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: to.Ptr[int32](1)}).NextPage(ctx)
	if bloberror.HasCode(err, bloberror.ContainerNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return len(page.Segment.BlobItems) > 0, nil
}

// ExpireBlocks discards the staged, uncommitted blocks of a blob, as Azure does a week after the last of them. It fails
// for a blob that is committed.
func (a *Account) ExpireBlocks(ctx context.Context, containerName, name string) error {
	a.worm.Lock()
	defer a.worm.Unlock()
	c, err := a.containerClient(containerName)
	if err != nil {
		return fmt.Errorf("expire blocks: %w", err)
	}
	// Azurite never expires blocks, but drops those that a commit leaves out.
	_, err = c.NewBlockBlobClient(name).CommitBlockList(ctx, nil, &blockblob.CommitBlockListOptions{
		AccessConditions: &blob.AccessConditions{
			ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(anyETag)},
		},
	})
	if err != nil {
		return fmt.Errorf("expire blocks: %w", err)
	}
	if _, err := c.NewBlobClient(name).Delete(ctx, nil); err != nil {
		return fmt.Errorf("expire blocks: %w", err)
	}
	return nil
}
