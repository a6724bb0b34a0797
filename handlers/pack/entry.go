package pack

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"chainmail/handlers/spool"
)

// An Entry is one compressed file, ready to be put into a package. Its bytes lie in the buffer that it was compressed to,
// which has to live until the entry is added.
type Entry struct {
	Name       string // in the package, with "/"
	Size       int64  // bytes, uncompressed
	Compressed int64  // bytes
	CRC32      uint32 // of the uncompressed bytes, as are the hashes
	SHA256     string // lower-case hexadecimal
	MD5        string // lower-case hexadecimal; for the load file, not for integrity

	data  *spool.Buffer // has the compressed bytes
	begin int64         // from here on
}

// open reads the compressed bytes.
func (e *Entry) open() io.Reader { return io.NewSectionReader(e.data, e.begin, e.Compressed) }

// A Compressor makes entries and keeps the encoders' memory for the next ones. Its zero value is ready; it is safe for
// concurrent use.
type Compressor struct{ deflaters sync.Pool }

// Compress reads src to its end and appends it to dst with Deflate: one buffer may hold the entries of a family. All work is
// done in the caller's goroutine, so that many can run side by side.
func Compress(name string, src io.Reader, dst *spool.Buffer) (Entry, error) {
	return new(Compressor).Compress(name, src, dst)
}

// Compress is [Compress] with the encoders of c.
func (c *Compressor) Compress(name string, src io.Reader, dst *spool.Buffer) (Entry, error) {
	d, ok := c.deflaters.Get().(*deflater)
	if !ok {
		d = newDeflater()
	}
	defer c.deflaters.Put(d)
	sum, digest, crc := sha256.New(), md5.New(), crc32.NewIEEE()
	begin := dst.Size()
	size, err := d.deflate(dst, io.TeeReader(src, io.MultiWriter(sum, digest, crc)))
	if err != nil {
		return Entry{}, fmt.Errorf("compress entry: %w", err)
	}
	return Entry{
		Name: name, Size: size, Compressed: dst.Size() - begin, CRC32: crc.Sum32(),
		SHA256: hex.EncodeToString(sum.Sum(nil)), MD5: hex.EncodeToString(digest.Sum(nil)), data: dst, begin: begin,
	}, nil
}
