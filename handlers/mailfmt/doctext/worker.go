package doctext

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
)

// WorkerArgument begins the arguments of a process that is to be a worker.
const WorkerArgument = "read-documents"

// IsWorker reports whether a process with these arguments is to call Work and do nothing else.
func IsWorker(args []string) bool { return len(args) > 1 && args[1] == WorkerArgument }

// softMemory is the heap above which a worker collects garbage all the time; hardMemory is what the system lets it have.
const (
	softMemory = raceFactor * 400 << 20
	hardMemory = raceFactor * 768 << 20
)

// Work is a worker's life: it reads documents until in ends, as it does when the process that started it ends. args are
// those of the process.
func Work(args []string, in io.Reader, out io.Writer, conv Converters) error {
	debug.SetMemoryLimit(softMemory)
	if err := limitMemory(hardMemory); err != nil {
		return fmt.Errorf("limit memory: %w", err)
	}
	w := &worker{reader: reader{conv: conv}, wire: newWire(nil, out), frames: make(chan frame)}
	if len(args) > 2 {
		w.reader.cache = args[2]
	}
	go w.listen(in)
	for f := range w.frames {
		if f.kind != job {
			return errors.New("a document is due")
		}
		if err := w.read(f.body); err != nil {
			return err
		}
	}
	return nil
}

type worker struct {
	reader
	wire   *wire
	frames chan frame
}

// listen receives all the time, so that the worker ends when its parent has, whatever it is doing.
func (w *worker) listen(in io.Reader) {
	from := newWire(in, nil)
	for {
		f, err := from.receive()
		if err != nil {
			os.Exit(0)
		}
		w.frames <- f
	}
}

func (w *worker) read(body []byte) error {
	var src Source
	if err := json.Unmarshal(body, &src); err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	src.Content = &remote{worker: w}
	w.started = func(kind string) error { return w.wire.send(started, []byte(kind)) }
	res, err := w.reader.read(context.Background(), src, textWriter{w.wire})
	if err != nil {
		return err
	}
	return w.wire.sendJSON(result, res)
}

type textWriter struct{ wire *wire }

func (t textWriter) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		n := min(len(rest), maxFrame)
		if err := t.wire.send(textPart, rest[:n]); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(b), nil
}

// A remote is a document's content, which its owner has. It holds what it got last: readers ask for few bytes at a time.
type remote struct {
	worker *worker
	begin  int64
	block  []byte
}

var errSource = errors.New("content cannot be read")

func (r *remote) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	for n < len(b) {
		at := off + int64(n)
		if at < r.begin || at >= r.begin+int64(len(r.block)) {
			if err := r.fetch(at); err != nil {
				return n, err
			}
			if len(r.block) == 0 {
				return n, io.EOF
			}
		}
		n += copy(b[n:], r.block[at-r.begin:])
	}
	return n, nil
}

func (r *remote) fetch(at int64) error {
	const block = 128 << 10
	begin := at &^ (block/2 - 1) // a little before: directories are read from their end
	var request [12]byte
	binary.BigEndian.PutUint64(request[:], uint64(begin))
	binary.BigEndian.PutUint32(request[8:], block)
	if err := r.worker.wire.send(readAt, request[:]); err != nil {
		return err
	}
	f := <-r.worker.frames
	if f.kind != content {
		return errSource
	}
	r.begin, r.block = begin, f.body
	if at >= begin+int64(len(f.body)) {
		r.block = nil
	}
	return nil
}
