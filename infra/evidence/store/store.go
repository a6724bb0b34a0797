// Package store reads evidence from where it lies: a container of Blob storage, or the folder that one was copied to.
package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"

	"chainmail/handlers/vault"
)

// A Store gives the files of evidence. It may be used by several goroutines at a time.
type Store interface {
	// List gives every file, named by its path with "/". An error ends the sequence.
	List(ctx context.Context) iter.Seq2[File, error]
	// Open reads a file from its beginning. Where its bytes can be had in any order, it is an io.ReaderAt as well.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// Range reads n bytes of a file from offset off on, and no others; fewer where the file ends before.
	Range(ctx context.Context, name string, off, n int64) (io.ReadCloser, error)
}

// A File is a file as a listing shows it.
type File struct {
	Name string
	Size int64 // bytes
}

// ErrNoEvidence says that nothing that was listed is evidence.
var ErrNoEvidence = errors.New("nothing in it is evidence")

// ErrIrregular says that what bears a file's name is a link, a device or a folder.
var ErrIrregular = errors.New("it is not a file, but a link, a device or a folder")

// A Folder is a copy of a container, same paths. Links are not followed: what they lead to is no part of the copy.
type Folder struct{ root *os.Root }

// OpenFolder opens a folder. The caller closes it.
func OpenFolder(dir string) (*Folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Folder{root}, nil
}

// Close lets go of the folder.
func (f *Folder) Close() error { return f.root.Close() }

// List implements [Store]. What is not a regular file is listed as well: it has no place in evidence, and is refused by
// Open.
func (f *Folder) List(ctx context.Context) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		err := fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
			if err = errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			if d.IsDir() {
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if !yield(File{name, info.Size()}, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(File{}, err)
		}
	}
}

// Open implements [Store].
func (f *Folder) Open(_ context.Context, name string) (io.ReadCloser, error) { return f.open(name) }

// Range implements [Store].
func (f *Folder) Range(_ context.Context, name string, off, n int64) (io.ReadCloser, error) {
	file, err := f.open(name)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(file, off, n), file}, nil
}

func (f *Folder) open(name string) (*os.File, error) {
	info, err := f.root.Lstat(name)
	if err != nil {
		return nil, cause(err)
	}
	if !info.Mode().IsRegular() {
		return nil, ErrIrregular
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, cause(err)
	}
	return file, nil
}

// cause is an error without the path that it repeats.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// A Container is the evidence as it was written.
type Container struct{ container *vault.Container }

// OpenContainer reads a container. It sends nothing yet.
func OpenContainer(c *vault.Container) *Container { return &Container{c} }

// List implements [Store].
func (c *Container) List(ctx context.Context) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for i, err := range c.container.List(ctx, "") {
			if !yield(File{i.Name, i.Size}, err) {
				return
			}
		}
	}
}

// Open implements [Store].
func (c *Container) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	body, _, err := c.container.Open(ctx, name)
	return body, err
}

// Range implements [Store].
func (c *Container) Range(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	return c.container.ReadRange(ctx, name, off, n)
}
