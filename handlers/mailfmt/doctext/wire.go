package doctext

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// What passes between the extractor and its worker are frames: a byte that says what it is, four with a length, and so
// many bytes.
type frame struct {
	kind frameKind
	body []byte
}

type frameKind byte

const (
	job      frameKind = 'j' // to the worker: a document, but for its content
	content  frameKind = 'c' // to the worker: the bytes that it asked for
	noBytes  frameKind = 'n' // to the worker: they cannot be read
	started  frameKind = 's' // from the worker: the document's kind; what takes long once is done, its time begins
	readAt   frameKind = 'r' // from the worker: it asks for bytes, at an offset of eight bytes, so many, four bytes
	textPart frameKind = 't' // from the worker
	result   frameKind = 'e' // from the worker: the document has been read
)

// maxFrame is the largest body. No more is asked for, and no more is sent.
const maxFrame = 256 << 10

// A wire is one end of the connection.
type wire struct {
	r *bufio.Reader
	w io.Writer
	b []byte
}

func newWire(r io.Reader, w io.Writer) *wire { return &wire{r: bufio.NewReaderSize(r, 64<<10), w: w} }

func (w *wire) send(kind frameKind, body ...[]byte) error {
	w.b = append(w.b[:0], byte(kind), 0, 0, 0, 0)
	for _, b := range body {
		w.b = append(w.b, b...)
	}
	binary.BigEndian.PutUint32(w.b[1:], uint32(len(w.b)-5))
	_, err := w.w.Write(w.b)
	return err
}

func (w *wire) sendJSON(kind frameKind, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.send(kind, b)
}

func (w *wire) receive() (frame, error) {
	var h [5]byte
	if _, err := io.ReadFull(w.r, h[:]); err != nil {
		return frame{}, err
	}
	n := binary.BigEndian.Uint32(h[1:])
	if n > maxFrame {
		return frame{}, fmt.Errorf("frame of %d bytes", n)
	}
	f := frame{frameKind(h[0]), make([]byte, n)}
	_, err := io.ReadFull(w.r, f.body)
	return f, err
}
