package doctext

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how documents are read.
type Options struct {
	// Command starts a worker. By default it is this process's executable with WorkerArgument; its main function then calls Work.
	Command []string
	// Cache is a directory of the user's alone for what has been compiled, 22 MB. Without one every worker compiles PDFium.
	Cache string
	// Workers is how many documents are read at a time, each by a process. By default it is one.
	Workers int
	// Timeout is how long reading a document may take, by default two minutes. A page of a PDF takes some 5 ms, what is
	// unpacked of an Office document at most half a minute.
	Timeout time.Duration
}

// startTimeout is how long a worker may take before it reads: what it compiles it compiles under load too.
const startTimeout = 5 * time.Minute

// An Extractor reads documents in workers, which it starts when they are needed and keeps for the next document.
type Extractor struct {
	options Options
	workers chan *process // as many as there may be; nil for one that is not running
	close   sync.Once
	closed  chan struct{}
}

// New gives an extractor. Its workers end with it, or with the process.
func New(o Options) (*Extractor, error) {
	if len(o.Command) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find executable: %w", err)
		}
		o.Command = []string{self, WorkerArgument}
	}
	if o.Cache != "" {
		if err := private(o.Cache); err != nil {
			return nil, fmt.Errorf("use cache: %w", err)
		}
		o.Command = append(o.Command[:len(o.Command):len(o.Command)], o.Cache)
	}
	o.Workers = max(1, o.Workers)
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Minute
	}
	e := &Extractor{options: o, workers: make(chan *process, o.Workers), closed: make(chan struct{})}
	for range o.Workers {
		e.workers <- nil
	}
	return e, nil
}

// private makes a directory that nobody else can write to: what is in it is run.
func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() || foreign(info) || info.Mode().Perm()&0o022 != 0 && os.PathSeparator == '/' {
		return errors.New("others can write to the directory")
	}
	return nil
}

// Close ends the workers, those that read when their documents are read. Nothing is extracted any more.
func (e *Extractor) Close() {
	e.close.Do(func() {
		close(e.closed)
		for range e.options.Workers {
			if p := <-e.workers; p != nil {
				p.end()
			}
		}
	})
}

// ErrNotStarted is the error when a worker cannot be started, or a new one ends before it has begun to read.
var ErrNotStarted = errors.New("worker does not start")

var errClosed = errors.New("extractor is closed")

// Extract writes a document's text to w: valid UTF-8, lines end in LF, at most MaxText bytes. Equal documents have equal
// texts, but for one whose time was over. It waits for a worker that is free.
//
// Whatever the document is, there is a result. An error is one of ctx, of w, of reading the content, or ErrNotStarted.
func (e *Extractor) Extract(ctx context.Context, src Source, w io.Writer) (Result, error) {
	if res, ok := textless(src); ok {
		return res, nil
	}
	var p *process
	select {
	case p = <-e.workers:
	case <-e.closed:
		return Result{}, errClosed
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
	defer func() { e.workers <- p }()
	t := &transfer{src: src, w: w, kind: (&document{Source: src}).named()}
	for {
		used := p != nil
		if !used {
			var err error
			if p, err = start(e.options.Command); err != nil {
				return t.failed(), fmt.Errorf("%w: %w", ErrNotStarted, err)
			}
		}
		over, err := t.run(ctx, p, e.options.Timeout)
		if err == nil {
			return t.result, nil
		}
		p.end()
		p = nil
		switch {
		case ctx.Err() != nil:
			return Result{}, ctx.Err()
		case t.err != nil:
			return Result{}, t.err
		case used && !over: // perhaps it was what it had read before: a fresh one tells
			continue
		case !t.began:
			return t.failed(), fmt.Errorf("%w: it ended before it began", ErrNotStarted)
		}
		return t.failed(), nil
	}
}

// A process is a worker that runs.
type process struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	wire *wire
}

func start(command []string) (*process, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = []string{} // no secrets where hostile bytes are read; and what it says of its end, nobody hears
	endWithParent(cmd)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd, in, newWire(out, in)}, nil
}

// kill ends a worker from outside, whatever it is doing; end gives back what it had.
func (p *process) kill() { _ = p.cmd.Process.Kill() }

func (p *process) end() {
	p.kill()
	_ = p.in.Close()
	_ = p.cmd.Wait() // its end is no news
}

// A transfer is a document on its way through a worker, or through a second one when the first has died.
type transfer struct {
	src     Source
	w       io.Writer
	kind    string
	began   bool  // a worker has begun to read
	written int64 // bytes of text
	result  Result
	err     error // of the source or of w
}

func (t *transfer) failed() Result { return Result{Kind: t.kind, Status: Failed, Bytes: t.written} }

// run has a worker read the document. Its error says that there is no result, and over that the document's time was.
func (t *transfer) run(ctx context.Context, p *process, timeout time.Duration) (over bool, err error) {
	var timedOut atomic.Bool
	timer := time.AfterFunc(startTimeout, func() {
		timedOut.Store(true)
		p.kill()
	})
	defer timer.Stop()
	defer context.AfterFunc(ctx, p.kill)()
	t.began = false
	err = t.talk(p.wire, func() { timer.Reset(timeout) })
	return timedOut.Load(), err
}

// talk answers a worker until it has read the document.
func (t *transfer) talk(w *wire, began func()) error {
	src := t.src
	src.Name = path.Ext(src.Name) // no more of it is needed
	if err := w.sendJSON(job, src); err != nil {
		return err
	}
	repeated := t.written // a second worker says again what the first has said
	for {
		f, err := w.receive()
		if err != nil {
			return err
		}
		switch f.kind {
		case started:
			t.kind, t.began = string(f.body), true
			began()
		case readAt:
			err = t.answer(w, f.body)
		case textPart:
			skip := min(repeated, int64(len(f.body)))
			repeated -= skip
			err = t.write(f.body[skip:])
		case result:
			if err = json.Unmarshal(f.body, &t.result); err == nil {
				err = t.err
			}
			return err
		default:
			return fmt.Errorf("frame of kind %q", f.kind)
		}
		if err != nil {
			return err
		}
	}
}

func (t *transfer) write(b []byte) error {
	if t.written += int64(len(b)); t.written > MaxText {
		return errors.New("more text than is asked for")
	}
	_, t.err = t.w.Write(b)
	return t.err
}

// answer sends the bytes that a worker asks for: fewer at the document's end.
func (t *transfer) answer(w *wire, request []byte) error {
	if len(request) != 12 {
		return errors.New("request of another length")
	}
	off := binary.BigEndian.Uint64(request)
	n := binary.BigEndian.Uint32(request[8:])
	if n > maxFrame {
		return errors.New("request for too many bytes")
	}
	if off >= uint64(t.src.Size) {
		return w.send(content)
	}
	b := make([]byte, min(int64(n), t.src.Size-int64(off)))
	if m, err := t.src.Content.ReadAt(b, int64(off)); m < len(b) {
		t.err = fmt.Errorf("read content: %w", err)
		return w.send(noBytes)
	}
	return w.send(content, b)
}
