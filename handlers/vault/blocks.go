package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

// BlockBytes is how long the blocks are into which Blocks cuts what is written, and stateBytes those of PutStream.
const (
	BlockBytes = 8 << 20
	stateBytes = 1 << 20
)

const (
	opStage  = "stage block"
	opCommit = "commit blocks"
)

// Blocks is a blob on its way: what is written is cut into blocks and staged, and is no blob until Commit names the
// blocks. While one block is being staged the next is filled; so it holds two blocks of memory at most. A Blocks belongs
// to one goroutine. After an error it gives the same error for ever.
type Blocks struct {
	// BlockBytes is the length of a block; it may be set before the first Write.
	BlockBytes int

	ctx    context.Context // of Stage: an io.Writer's methods have none
	client *blockblob.Client
	run    [8]byte // makes the ids of this Blocks its own

	filling []byte
	spare   []byte     // a buffer that is not in use
	sending []byte     // the buffer that is being staged
	staged  chan error // the result of staging it; nil: none is
	next    uint64
	ids     []string // in order; the last one may still be on its way
	size    int64
	err     error
}

// Stage begins to write a blob in blocks. Staging ends when ctx does. No id is ever used by two calls of Stage, so rivals
// at one name do not touch each other's blocks.
func (c *Container) Stage(ctx context.Context, name string) *Blocks {
	b := &Blocks{BlockBytes: BlockBytes, ctx: ctx, client: c.client.NewBlockBlobClient(name)}
	_, _ = rand.Read(b.run[:]) // never fails
	return b
}

// Write implements [io.Writer].
func (b *Blocks) Write(p []byte) (int, error) {
	written := 0
	for b.err == nil && len(p) > 0 {
		n := min(len(p), b.BlockBytes-len(b.filling))
		b.reserve(n)
		b.filling = append(b.filling, p[:n]...)
		p, written, b.size = p[n:], written+n, b.size+int64(n)
		if len(b.filling) == b.BlockBytes {
			b.send()
		}
	}
	return written, b.err
}

// reserve makes room for n bytes more. A small blob takes a small buffer, a large one never more than a block.
func (b *Blocks) reserve(n int) {
	if need := len(b.filling) + n; need > cap(b.filling) {
		grown := make([]byte, len(b.filling), min(b.BlockBytes, max(need, 2*cap(b.filling), 64<<10)))
		copy(grown, b.filling)
		b.filling = grown
	}
}

// send stages the buffer that has been filled, once the one before is done.
func (b *Blocks) send() {
	if b.wait(); b.err != nil {
		return
	}
	b.sending, b.filling, b.spare = b.filling, b.spare, nil
	id := b.id()
	b.ids = append(b.ids, id)
	b.staged = make(chan error, 1)
	go func(data []byte, result chan<- error) {
		_, err := b.client.StageBlock(bounded(b.ctx), id, streaming.NopCloser(bytes.NewReader(data)),
			&blockblob.StageBlockOptions{TransactionalValidation: checksum(data)})
		result <- wrap(opStage, err)
	}(b.sending, b.staged)
}

// wait returns when no block is on its way.
func (b *Blocks) wait() {
	if b.staged == nil {
		return
	}
	if err := <-b.staged; err != nil {
		b.err = err
	}
	b.spare, b.sending, b.staged = b.sending[:0], nil, nil
}

// id is 24 characters, the base64 of the run's 8 bytes and a counter. All ids of a blob must be equally long.
func (b *Blocks) id() string {
	b.next++
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(b.run[:], b.next))
}

// Flush stages what is left, as a block that may be short, and waits until everything is staged.
func (b *Blocks) Flush() error {
	if b.err == nil && len(b.filling) > 0 {
		b.send()
	}
	b.wait()
	return b.err
}

// IDs are the ids of the blocks in order, all of them staged once Flush has returned without an error.
func (b *Blocks) IDs() []string { return slices.Clone(b.ids) }

// Size is how many bytes have been written.
func (b *Blocks) Size() int64 { return b.size }

// checksum is the CRC-64 by which the service verifies what arrives (Microsoft Learn, "Put Block": x-ms-content-crc64).
// The SDK can compute it, but copies the data for that.
func checksum(data []byte) blob.TransferValidationType {
	const polynomial = 0x9A6C9329AC4BC9B5 // of the SDK's own checksum; tested against the service
	return blob.TransferValidationTypeCRC64(crc64.Checksum(data, crc64.MakeTable(polynomial)))
}

// Commit makes a blob of staged blocks, once. When there is one already of the same blocks, by this call's own lost try or
// by another run, that is success; of other blocks it is ErrDiffers. Blocks that are not staged give ErrBlocksGone.
// contentType may be empty.
func (c *Container) Commit(ctx context.Context, name string, ids []string, contentType string) error {
	if len(ids) == 0 {
		return errors.New("commit blocks: there are none")
	}
	client := c.client.NewBlockBlobClient(name)
	_, err := client.CommitBlockList(bounded(ctx), ids,
		&blockblob.CommitBlockListOptions{HTTPHeaders: headers(contentType), AccessConditions: absent()})
	err = wrap(opCommit, err)
	var e *Error
	if !errors.As(err, &e) || !e.exists() && !e.blocksGone() {
		return err
	}
	there, exists, readErr := c.committed(ctx, name)
	switch {
	case readErr != nil:
		return fmt.Errorf("settle a conflict: %w", readErr)
	case !exists:
		return err
	case slices.Equal(there, ids):
		return nil
	}
	return fmt.Errorf("commit blocks: %w", ErrDiffers)
}

// PutStream writes a blob of what write gives over whatever lies there, and holds little of it at a time. It is for state that
// may be long. When write fails nothing is changed.
func (c *Container) PutStream(ctx context.Context, name string, write func(io.Writer) error) error {
	b := c.Stage(ctx, name)
	b.BlockBytes = stateBytes
	if err := write(b); err != nil {
		return err
	}
	if len(b.ids) == 0 && b.err == nil {
		return c.Put(ctx, name, b.filling) // one request is enough
	}
	if err := b.Flush(); err != nil {
		return err
	}
	_, err := b.client.CommitBlockList(bounded(ctx), b.ids, nil)
	return wrap(opCommit, err)
}

// committed gives the ids of the blob's blocks, and whether there is a blob: one that was put in one request has no blocks.
func (c *Container) committed(ctx context.Context, name string) (ids []string, exists bool, err error) {
	list, err := c.client.NewBlockBlobClient(name).GetBlockList(bounded(ctx), blockblob.BlockListTypeCommitted, nil)
	if err = wrap("get block list", err); err != nil && !errors.Is(err, ErrNotFound) {
		return nil, false, err
	}
	if len(list.CommittedBlocks) == 0 { // QUIRK: so does the list look for blocks that wait for their commit, too
		exists, err = c.Exists(ctx, name)
		return nil, exists, err
	}
	for _, b := range list.CommittedBlocks {
		ids = append(ids, *b.Name)
	}
	return ids, true, nil
}
