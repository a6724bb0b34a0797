package export

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
)

// inProgress stands in the name of what is not whole yet.
const inProgress = "_inprogress"

// A folder is where an export is written. Names are relative to it, with "/". All that changes it goes through here, so that
// a test can cut a run before any change.
type folder struct {
	root *os.Root
	cut  func() error
}

func (f *folder) changes() error {
	if f.cut == nil {
		return nil
	}
	return f.cut()
}

// A file is one that is being written.
type file struct {
	*bufio.Writer
	to   *output
	name string
}

// output counts and hashes what is written.
type output struct {
	folder *folder
	file   *os.File
	sum    hash.Hash
	bytes  int64
	failed error
}

// Write implements io.Writer. A write that is cut has written its first half, as in life it may.
func (o *output) Write(p []byte) (int, error) {
	n, err := 0, o.folder.changes()
	if err == nil {
		n, err = o.file.Write(p)
	} else {
		n, _ = o.file.Write(p[:len(p)/2])
	}
	o.sum.Write(p[:n])
	o.bytes += int64(n)
	if err != nil && o.failed == nil {
		o.failed = unwritten(err)
	}
	return n, o.failed
}

// create begins a file, over what bears its name, and makes the folders that it lies in.
func (f *folder) create(name string) (*file, error) {
	if err := f.mkdir(path.Dir(name)); err != nil {
		return nil, err
	}
	if err := f.changes(); err != nil {
		return nil, err
	}
	opened, err := f.root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, unwritten(err)
	}
	o := &output{folder: f, file: opened, sum: sha256.New()}
	return &file{bufio.NewWriterSize(o, 64<<10), o, name}, nil
}

// A sum is a file and its SHA-256.
type sum struct {
	name, sha256 string
	bytes        int64
}

// close ends a file.
func (w *file) close() (sum, error) {
	flushed, closed := w.Flush(), w.to.file.Close()
	if flushed != nil || closed != nil {
		return sum{}, cmp.Or(flushed, unwritten(closed))
	}
	return sum{w.name, hex.EncodeToString(w.to.sum.Sum(nil)), w.to.bytes}, nil
}

// keep ends a file that must outlast the machine's own end.
func (w *file) keep() (sum, error) {
	err := w.Flush()
	if err == nil {
		err = unwritten(w.to.file.Sync())
	}
	if err != nil {
		w.drop()
		return sum{}, err
	}
	return w.close()
}

// drop closes a file that is of no use.
func (w *file) drop() { _ = w.to.file.Close() }

func (f *folder) mkdir(name string) error {
	if info, err := f.root.Stat(name); err == nil && info.IsDir() {
		return nil
	}
	if err := f.changes(); err != nil {
		return err
	}
	return unwritten(f.root.MkdirAll(name, 0o700))
}

func (f *folder) rename(from, to string) error {
	if err := f.changes(); err != nil {
		return err
	}
	return unwritten(f.root.Rename(from, to))
}

func (f *folder) remove(name string) error {
	if !f.has(name) {
		return nil
	}
	if err := f.changes(); err != nil {
		return err
	}
	return unwritten(f.root.RemoveAll(name))
}

func (f *folder) has(name string) bool {
	_, err := f.root.Lstat(name)
	return err == nil
}

// whole writes a file under a name that says so until it is whole.
func (f *folder) whole(name string, content func(w io.Writer) error) (sum, error) {
	w, err := f.create(name + inProgress)
	if err != nil {
		return sum{}, err
	}
	if err := content(w); err != nil {
		w.drop()
		return sum{}, err
	}
	s, err := w.keep()
	if err != nil {
		return sum{}, err
	}
	s.name = name
	return s, f.rename(name+inProgress, name)
}

// copyTo appends a file to another one.
func (f *folder) copyTo(w io.Writer, name string) error {
	r, err := f.root.Open(name)
	if err != nil {
		return unwritten(err)
	}
	defer r.Close()
	if _, err = io.Copy(w, onlyReader{r}); err != nil {
		return unwritten(err)
	}
	return nil
}

type onlyReader struct{ io.Reader }

// names are what lies in the folder itself.
func (f *folder) names() ([]string, error) {
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return nil, unwritten(err)
	}
	all := make([]string, len(entries))
	for i, e := range entries {
		all[i] = e.Name()
	}
	return all, nil
}

// unwritten says of an error that it is one of the folder that is written.
func unwritten(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the export cannot be written: %w", err)
}
