package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"

	"chainmail/handlers/vault"
)

// maxWhole is the largest file that is held in memory. Manifests, seals and exceptions are far smaller.
const maxWhole = 256 << 20

// sum reads a file to its end.
func (c *check) sum(ctx context.Context, name string) (sum string, size int64, ok bool) {
	r, err := c.open(ctx, name)
	if err != nil {
		c.unreadable(name, err)
		return "", 0, false
	}
	defer r.Close()
	h := sha256.New()
	size, err = io.CopyBuffer(h, onlyReader{r}, c.buffer(name))
	if err != nil {
		c.unreadable(name, err)
		return "", 0, false
	}
	return hexSum(h), size, true
}

// hexSum is a hash as all files of evidence write it.
func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// buffer is one to read a file through: no larger than the file, of which most are small.
func (c *check) buffer(name string) []byte {
	return make([]byte, min(256<<10, max(512, c.files[name]+1)))
}

// onlyReader hides a file's WriteTo, which would read past the count.
type onlyReader struct{ io.Reader }

// whole reads a file into memory.
func (c *check) whole(ctx context.Context, name string) ([]byte, bool) {
	r, err := c.open(ctx, name)
	if err != nil {
		c.unreadable(name, err)
		return nil, false
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxWhole+1))
	if err == nil && len(data) > maxWhole {
		err = errors.New("it is larger than any such file is")
	}
	if err != nil {
		c.unreadable(name, err)
		return nil, false
	}
	return data, true
}

func (c *check) unreadable(name string, err error) {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, vault.ErrNotFound) {
		c.found.add(name, "has gone while the evidence was verified")
		return
	}
	c.found.add(name, "cannot be read: %v", err)
}

// A local file is one whose bytes can be had in any order.
type localFile struct {
	io.ReaderAt
	size  int64
	sum   string
	close func()
}

// local reads a file to its end for its hash, and keeps it at hand: a folder's lies there already, a container's is
// copied to a temporary file.
func (c *check) local(ctx context.Context, name string) (*localFile, error) {
	r, err := c.open(ctx, name)
	if err != nil {
		return nil, err
	}
	var at io.ReaderAt
	var to io.Writer = io.Discard
	release := func() { _ = r.Close() }
	if lying, ok := r.ReadCloser.(io.ReaderAt); ok {
		at = lying
	} else {
		tmp, err := os.CreateTemp("", "chainmail-verify-*")
		if err != nil {
			release()
			return nil, err
		}
		_ = os.Remove(tmp.Name()) // where a system lets go of an open file's name, not even a kill leaves mail behind
		at, to = tmp, tmp
		release = func() { _, _, _ = r.Close(), tmp.Close(), os.Remove(tmp.Name()) }
	}
	h := sha256.New()
	size, err := io.CopyBuffer(io.MultiWriter(h, to), onlyReader{r}, c.buffer(name))
	if err != nil {
		release()
		return nil, err
	}
	return &localFile{at, size, hexSum(h), release}, nil
}
