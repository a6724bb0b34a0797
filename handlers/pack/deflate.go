package pack

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/flate"
)

// deflateLevel is the compression of all entries: most of what level 9 saves, at a fraction of its time.
const deflateLevel = 5

// A deflater writes Deflate streams, by two encoders in turn. A piece without repetitions is stored as it is by the first,
// though base64, which most of a mail's bytes are, takes a quarter less when its letters alone are encoded. So it goes to the
// second, which does nothing else, and so do those that follow, untried for a while, since such pieces come in rows.
type deflater struct {
	piece  []byte
	packed bytes.Buffer  // what the encoders write of a piece: they give little at a time
	match  *flate.Writer // finds repetitions
	letter *flate.Writer // Huffman codes alone
	skip   int           // pieces that go to letter untried
}

const (
	pieceBytes = 64 << 10
	untried    = 15 // pieces
)

func newDeflater() *deflater {
	d := &deflater{piece: make([]byte, pieceBytes)}
	d.match, _ = flate.NewWriter(&d.packed, deflateLevel) // fails for an unknown level only
	d.letter, _ = flate.NewWriter(&d.packed, flate.HuffmanOnly)
	return d
}

// deflate compresses src to its end and gives its length. Equal bytes give equal streams.
func (d *deflater) deflate(dst io.Writer, src io.Reader) (size int64, err error) {
	d.packed.Reset()
	d.match.Reset(&d.packed)
	d.skip = 0
	for last := false; !last; {
		n, err := io.ReadFull(src, d.piece)
		if last = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF); err != nil && !last {
			return size, err
		}
		size += int64(n)
		if last {
			err = d.end(d.piece[:n])
		} else {
			err = d.next()
		}
		if err == nil {
			_, err = dst.Write(d.packed.Bytes())
		}
		if err != nil {
			return size, err
		}
		d.packed.Reset()
	}
	return size, nil
}

// next compresses a whole piece. Where one encoder follows the other, the one before has written whole bytes.
func (d *deflater) next() error {
	if d.skip == 0 {
		if err := write(d.match, d.piece); err != nil {
			return err
		}
		if d.packed.Len() <= len(d.piece)*31/32 {
			return nil
		}
		d.packed.Reset()
		d.letter.Reset(&d.packed)
		d.match.Reset(&d.packed)
		d.skip = untried + 1
	}
	d.skip--
	return write(d.letter, d.piece)
}

func write(w *flate.Writer, piece []byte) error {
	if _, err := w.Write(piece); err != nil {
		return err
	}
	return w.Flush()
}

// end compresses the last piece, which may be empty, and ends the stream.
func (d *deflater) end(piece []byte) error {
	encoder := d.match
	if d.skip > 0 {
		encoder = d.letter
	}
	if _, err := encoder.Write(piece); err != nil {
		return err
	}
	return encoder.Close()
}
