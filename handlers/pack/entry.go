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

	"github.com/klauspost/compress/flate"
)

// deflateLevel is the compression of all entries: most of what level 9 saves, at a fraction of its time.
const deflateLevel = 5

// An Entry is one compressed file, ready to be put into a package. Its bytes lie in the buffer it was compressed to,
// which has to live until the entry is added.
type Entry struct {
	Name       string // in the package, with "/"
	Size       int64  // bytes, uncompressed
	Compressed int64  // bytes
	CRC32      uint32 // of the uncompressed bytes, as are the hashes
	SHA256     string // lower-case hexadecimal
	MD5        string // lower-case hexadecimal; for the load file, not for integrity

	data *spool.Buffer
}

// A Compressor makes entries and keeps the encoders' memory for the next ones. Its zero value is ready; it is safe for
// concurrent use.
type Compressor struct{ encoders sync.Pool }

// Compress reads src to its end and writes it to dst, which must be empty, with Deflate. All work is done in the caller's
// goroutine, so that many can run side by side.
func Compress(name string, src io.Reader, dst *spool.Buffer) (Entry, error) {
	return new(Compressor).Compress(name, src, dst)
}

// Compress is [Compress] with the encoders of c.
func (c *Compressor) Compress(name string, src io.Reader, dst *spool.Buffer) (Entry, error) {
	encoder, err := c.encoder(dst)
	if err != nil {
		return Entry{}, err
	}
	defer c.encoders.Put(encoder)
	sum, digest, crc := sha256.New(), md5.New(), crc32.NewIEEE()
	size, err := io.CopyBuffer(io.MultiWriter(encoder, sum, digest, crc), onlyReader{src}, make([]byte, 32<<10))
	if err == nil {
		err = encoder.Close()
	}
	if err != nil {
		return Entry{}, fmt.Errorf("compress entry: %w", err)
	}
	return Entry{
		Name: name, Size: size, Compressed: dst.Size(), CRC32: crc.Sum32(),
		SHA256: hex.EncodeToString(sum.Sum(nil)), MD5: hex.EncodeToString(digest.Sum(nil)), data: dst,
	}, nil
}

// onlyReader hides a source's WriteTo: it would write the whole of it at once, past the copy's buffer.
type onlyReader struct{ io.Reader }

func (c *Compressor) encoder(w io.Writer) (*flate.Writer, error) {
	if e, ok := c.encoders.Get().(*flate.Writer); ok {
		e.Reset(w)
		return e, nil
	}
	e, err := flate.NewWriter(w, deflateLevel)
	if err != nil {
		return nil, fmt.Errorf("compress entry: %w", err)
	}
	return e, nil
}
