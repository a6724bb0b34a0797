package find

import (
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"chainmail/infra/evidence/store"
)

// ErrAltered says that a native is not what its line of the items says.
var ErrAltered = errors.New("the native in the package is not the one that the items name: one of them was altered")

// Get reads a match's native out of its package, and nothing else of the package. Whoever gets it may use what was written
// only if there is no error: the hash is known at the end.
func Get(ctx context.Context, s store.Store, m Match, w io.Writer) error {
	if m.Offset < 0 || m.Compressed <= 0 || m.Bytes < 0 {
		return fmt.Errorf("%s: %w", m.File(), ErrAltered)
	}
	r, err := s.Range(ctx, m.File(), m.Offset, m.Compressed)
	if err != nil {
		return fmt.Errorf("%s: cannot be read: %w", m.File(), err)
	}
	defer r.Close()
	return Inflate(ctx, m, r, w)
}

// Inflate gives a match's native out of its compressed bytes, with which r begins. It reads those and no more, also of a
// native that is not the match's, so that what follows them can be read on.
func Inflate(ctx context.Context, m Match, r io.Reader, w io.Writer) error {
	source := &faultKeeper{Reader: io.LimitReader(r, m.Compressed)}
	h := sha256.New()
	to := &writer{Writer: w}
	n, err := io.Copy(io.MultiWriter(h, to), io.LimitReader(flate.NewReader(source), m.Bytes+1))
	if to.err == nil && source.err == nil {
		_, _ = io.Copy(io.Discard, source)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case to.err != nil:
		return fmt.Errorf("write native: %w", to.err)
	case source.err != nil:
		return fmt.Errorf("%s: cannot be read: %w", m.File(), source.err)
	case err != nil || n != m.Bytes || hex.EncodeToString(h.Sum(nil)) != m.SHA256:
		return fmt.Errorf("%s: document %s: %w", m.File(), m.ControlNumber, ErrAltered)
	}
	return nil
}

// faultKeeper keeps a reader's own error apart from what Deflate makes of it.
type faultKeeper struct {
	io.Reader
	err error
}

func (k *faultKeeper) Read(p []byte) (int, error) {
	n, err := k.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		k.err = err
	}
	return n, err
}

// writer likewise keeps a writer's.
type writer struct {
	io.Writer
	err error
}

func (w *writer) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.err = err
	return n, err
}
