package spool

import (
	"fmt"
	"io"
	"os"
)

// A Buffer takes bytes and gives them back: the first [MemoryPerBuffer] from memory, the rest from a temporary file. One
// goroutine writes; when it is done, any number may read side by side.
type Buffer struct {
	lease  *Lease
	memory []byte
	file   *os.File
	path   string // of a file that could not be unlinked while it is open
	size   int64
	booked amount
	closed bool
}

var _ io.ReaderAt = (*Buffer)(nil)

// Write appends p. It never waits. Errors are the temporary file's (a full disk), [ErrReleased] and [ErrCrowded].
func (b *Buffer) Write(p []byte) (int, error) {
	if b.closed {
		return 0, ErrReleased
	}
	n := min(len(p), MemoryPerBuffer-len(b.memory))
	if n > 0 {
		if !b.grow(n) {
			return 0, ErrCrowded
		}
		b.memory = append(b.memory, p[:n]...)
		b.size += int64(n)
	}
	if n == len(p) {
		return n, nil
	}
	rest, err := b.spill(p[n:])
	return n + rest, err
}

// grow books n more bytes in memory and makes room for them; false where the budget has none.
func (b *Buffer) grow(n int) bool {
	need := len(b.memory) + n
	if need <= cap(b.memory) {
		return true
	}
	capacity := min(max(need, 2*cap(b.memory), 4<<10), MemoryPerBuffer)
	if !b.book(amount{int64(capacity), b.booked.disk}) {
		return false
	}
	grown := make([]byte, len(b.memory), capacity)
	copy(grown, b.memory)
	b.memory = grown
	return true
}

func (b *Buffer) spill(p []byte) (int, error) {
	if b.file == nil {
		if err := b.create(); err != nil {
			return 0, err
		}
	}
	if !b.book(amount{b.booked.memory, b.size - MemoryPerBuffer + int64(len(p))}) {
		return 0, ErrCrowded
	}
	n, err := b.file.WriteAt(p, b.size-MemoryPerBuffer)
	b.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("write spool file: %w", err)
	}
	return n, nil
}

// create makes the temporary file and removes its name at once, so that it vanishes with the process however that ends.
func (b *Buffer) create() error {
	f, err := os.CreateTemp(b.lease.budget.dir, "spool-*")
	if err != nil {
		return fmt.Errorf("create spool file: %w", err)
	}
	b.file = f
	if os.Remove(f.Name()) != nil { // not every system removes an open file
		b.path = f.Name()
	}
	return nil
}

// Size is the number of bytes written.
func (b *Buffer) Size() int64 { return b.size }

// Open reads the buffer from its beginning. Readers are independent of each other and cost nothing; they see what was
// written before Open.
func (b *Buffer) Open() *io.SectionReader { return io.NewSectionReader(b, 0, b.size) }

// ReadAt is [io.ReaderAt].
func (b *Buffer) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case b.closed:
		return 0, ErrReleased
	case off < 0:
		return 0, fmt.Errorf("read spool: negative offset")
	}
	n := 0
	if off < int64(len(b.memory)) {
		n = copy(p, b.memory[off:])
	}
	if n == len(p) {
		return n, nil
	}
	if off+int64(n) >= b.size {
		return n, io.EOF
	}
	m, err := b.file.ReadAt(p[n:], off+int64(n)-MemoryPerBuffer)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("read spool file: %w", err)
	}
	return n + m, err
}

// Reset empties the buffer and gives back what it held beyond the lease's estimate, for writing anew.
func (b *Buffer) Reset() error {
	if b.closed {
		return ErrReleased
	}
	return b.drop()
}

// Close frees the buffer before its lease ends. Closing twice is harmless.
func (b *Buffer) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	err := b.drop()
	b.lease.forget(b)
	return err
}

func (b *Buffer) drop() error {
	var err error
	if b.file != nil {
		err = b.file.Close()
		if b.path != "" {
			if e := os.Remove(b.path); err == nil {
				err = e
			}
		}
	}
	b.memory, b.file, b.path, b.size = nil, nil, "", 0
	b.book(amount{})
	if err != nil {
		return fmt.Errorf("remove spool file: %w", err)
	}
	return nil
}

// book sets what this buffer uses, unless there is no room for it.
func (b *Buffer) book(now amount) bool {
	if now != b.booked {
		if !b.lease.use(now.minus(b.booked)) {
			return false
		}
		b.booked = now
	}
	return true
}
