package find

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"chainmail/handlers/pack"
	"chainmail/infra/evidence/store"
)

// bySubject leaves the matches of a part whose subject has the hash that is looked for. Items hold no subject: it stands in the
// package's load file alone, which is read for it, and nothing else of the package.
func (f *finder) bySubject(ctx context.Context, n pack.Name, all []Match) ([]Match, error) {
	if f.query.SubjectSHA256 == "" || len(all) == 0 {
		return all, nil
	}
	z, err := zip.NewReader(&ranges{ctx: ctx, store: f.store, name: n.Zip(), size: f.zips[n]}, f.zips[n])
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be read: %w", n.Zip(), err)
	}
	body, err := z.Open(pack.LoadFileName)
	if err != nil {
		return nil, fmt.Errorf("%s: its load file cannot be read: %w", n.Zip(), err)
	}
	defer body.Close()
	with, err := numbersOf(body, f.query.SubjectSHA256)
	if err != nil {
		return nil, fmt.Errorf("%s: its load file cannot be read: %w", n.Zip(), err)
	}
	return slices.DeleteFunc(all, func(m Match) bool { return !with[m.ControlNumber] }), nil
}

// numbersOf are the control numbers of a load file's documents whose subject has a hash.
func numbersOf(r io.Reader, hash string) (map[string]bool, error) {
	l, err := pack.NewLoadFileReader(r)
	if err != nil {
		return nil, err
	}
	number, subject := slices.Index(pack.Columns(), "Control Number"), slices.Index(pack.Columns(), "Subject")
	with := map[string]bool{}
	for {
		record, err := l.Next()
		switch {
		case errors.Is(err, io.EOF):
			return with, nil
		case err != nil:
			return nil, err
		}
		if sum := sha256.Sum256([]byte(record[subject])); hex.EncodeToString(sum[:]) == hash {
			with[record[number]] = true
		}
	}
}

// block is how much of a package is fetched at once: its directory and its load file lie at its end, side by side.
const block = 256 << 10

// ranges reads a file by ranges, and keeps the last block, since what is read next lies mostly in it or behind it.
type ranges struct {
	ctx   context.Context // an io.ReaderAt's method has none
	store store.Store
	name  string
	size  int64

	at   int64
	held []byte
}

// ReadAt implements [io.ReaderAt], for one goroutine.
func (r *ranges) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at >= r.size {
			return n, io.EOF
		}
		if at < r.at || at >= r.at+int64(len(r.held)) {
			if err := r.fetch(at / block * block); err != nil {
				return n, err
			}
		}
		n += copy(p[n:], r.held[at-r.at:])
	}
	return n, nil
}

func (r *ranges) fetch(at int64) error {
	body, err := r.store.Range(r.ctx, r.name, at, min(block, r.size-at))
	if err != nil {
		return err
	}
	defer body.Close()
	held := make([]byte, min(block, r.size-at))
	if _, err := io.ReadFull(body, held); err != nil {
		return err
	}
	r.at, r.held = at, held
	return nil
}
