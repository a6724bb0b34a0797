package doctext

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
)

// What ends the reading of a document, or of a part of it.
var (
	errProtected   = errors.New("document is protected")
	errUnsupported = errors.New("text of this kind is not read")
	errTooLarge    = errors.New("document is larger than is read")
	errBroken      = errors.New("document is broken")
)

// errUnready is no fault of the document.
var errUnready = errors.New("reader is not ready")

// A reader reads documents, one at a time.
type reader struct {
	conv    Converters
	cache   string   // the directory of what has been compiled, if there is one
	pdfium  *library // once it was needed
	started func(kind string) error
	tokens  int // of XML that are read of a document, if not maxTokens
	pages   int // of a PDF that are read, if not maxPages

	testOnlyFault func(any) // what guard has caught
}

// A document is what is being read, and what is known of it so far.
type document struct {
	Source
	ctx       context.Context
	conv      Converters
	out       *sink
	kind      string
	tokens    int   // of XML that may still be read
	pages     int   // of a PDF that are read
	protected bool  // a password is needed, at least for a part
	flaw      error // the first that did not end the reading
	held      int   // bytes of its lists
	cut       bool  // there is more in it than is held, so not all is in the text
	fault     func(any)
}

// read writes a document's text to w. The error is that of w or errUnready; whatever the document is, there is a result.
func (r *reader) read(ctx context.Context, src Source, w io.Writer) (Result, error) {
	d := &document{Source: src, ctx: ctx, conv: r.conv, out: newSink(w, MaxText)}
	d.tokens, d.pages, d.fault = cmp.Or(r.tokens, maxTokens), cmp.Or(r.pages, maxPages), r.testOnlyFault
	err := d.guard(func() error { return r.dispatch(d) })
	if err := d.out.flush(); err != nil {
		return Result{}, fmt.Errorf("write text: %w", err)
	}
	if errors.Is(err, errUnready) {
		return Result{}, err
	}
	if err == nil || errors.Is(err, errTooLarge) && d.flaw != nil {
		err = d.flaw
	}
	if err == nil && d.cut {
		err = errTooLarge
	}
	res := Result{Kind: d.kind, PasswordProtected: d.protected, Bytes: d.out.written}
	switch {
	case d.out.full, errors.Is(err, errTooLarge):
		res.Status = TooLarge
	case errors.Is(err, errProtected):
		res.Status = Protected
	case errors.Is(err, errUnsupported):
		res.Status = NotSupported
	case err != nil:
		res.Status = Failed
	case d.out.seen:
		res.Status = Extracted
	default:
		res.Status = Empty
	}
	return res, nil
}

// guard is where a fault of a reader, or of a library on bytes that nobody has thought of, is caught: what was read until
// then stands.
func (d *document) guard(read func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			if d.fault != nil {
				d.fault(fault)
			}
			err = fmt.Errorf("%w: %v", errBroken, fault)
		}
	}()
	return read()
}

// part reads one part of several: if it is broken, the others are read all the same. Only what holds for all parts ends
// the reading: time, and room.
func (d *document) part(read func() error) error {
	err := d.guard(read)
	switch {
	case err == nil:
		return nil
	case d.ctx.Err() != nil:
		return d.ctx.Err()
	case errors.Is(err, errTooLarge):
		return err
	case d.flaw == nil:
		d.flaw = err
	}
	return nil
}

func (r *reader) dispatch(d *document) error {
	if d.Size == 0 {
		d.kind = d.named()
		return nil
	}
	if err := d.identify(); err != nil {
		return err
	}
	if err := r.prepare(d.kind); err != nil {
		return err
	}
	switch d.kind {
	case PlainText, CSV:
		return d.plain(false)
	case HTML:
		return d.plain(true)
	case Calendar:
		return d.calendar()
	case RTF:
		return d.rtf()
	case Word, Workbook, Presentation:
		return d.office()
	case ZIP:
		return d.members()
	case PDF:
		return r.pdfium.pdf(d)
	case oleFile:
		return d.ole()
	}
	return errUnsupported
}

// prepare does what takes long and does not depend on the document.
func (r *reader) prepare(kind string) error {
	if kind == PDF && r.pdfium == nil {
		library, err := newLibrary(r.cache)
		if err != nil {
			return fmt.Errorf("%w: %w", errUnready, err)
		}
		r.pdfium = library
	}
	if r.started != nil {
		if err := r.started(kind); err != nil {
			return fmt.Errorf("%w: %w", errUnready, err)
		}
	}
	return nil
}

// section is the whole document as a stream.
func (d *document) section() *io.SectionReader { return io.NewSectionReader(d.Content, 0, d.Size) }
