package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"chainmail/handlers/vault"
)

// inProgress marks a file that is not whole yet. Zip Drop passes over files whose names contain it.
const inProgress = "_inprogress"

// copyEvidence copies all evidence containers into one folder, under the blobs' own paths. A file that is there already
// with the same bytes stays; with others it is an error, since evidence does not change.
func (s *system) copyEvidence(ctx context.Context, dir string) error {
	seen := map[string]bool{}
	for _, source := range s.sources {
		if seen[source.Container] {
			continue
		}
		seen[source.Container] = true
		c := s.vault.Container(source.Container)
		for i, err := range c.List(ctx, "") {
			if errors.Is(err, vault.ErrNotFound) { // nothing was collected yet
				break
			}
			if err != nil {
				return fmt.Errorf("copy evidence: %w", err)
			}
			if err := copyBlob(ctx, c, i.Name, dir); err != nil {
				return fmt.Errorf("copy evidence: %w", err)
			}
		}
	}
	return nil
}

func copyBlob(ctx context.Context, c *vault.Container, name, dir string) (err error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return fmt.Errorf("blob %q has no name for a file", name)
	}
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	body, _, err := c.Open(ctx, name)
	if err != nil {
		return err
	}
	defer body.Close()
	if old, err := os.Open(file); err == nil {
		defer old.Close()
		same, err := equal(old, body)
		if err == nil && !same {
			err = fmt.Errorf("%s is there with other content: give an empty folder by -out", file)
		}
		return err
	}
	if err := write(file+inProgress, body); err != nil {
		return fmt.Errorf("%w: free some space or make the folder writable", err)
	}
	return os.Rename(file+inProgress, file)
}

func write(file string, body io.Reader) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, body)
	return errors.Join(err, f.Close())
}

// equal compares two streams in pieces.
func equal(a, b io.Reader) (bool, error) {
	x, y := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(a, x)
		m, errB := io.ReadFull(b, y)
		if n != m || string(x[:n]) != string(y[:m]) {
			return false, nil
		}
		endA := errors.Is(errA, io.EOF) || errors.Is(errA, io.ErrUnexpectedEOF)
		endB := errors.Is(errB, io.EOF) || errors.Is(errB, io.ErrUnexpectedEOF)
		switch {
		case errA != nil && !endA:
			return false, errA
		case errB != nil && !endB:
			return false, errB
		case endA || endB:
			return endA && endB, nil
		}
	}
}
