package mailfmt

import (
	"bytes"
	"io"
)

// Content is an attachment's content, its transfer encoding undone as it is read: nothing of it is held but a block.
type Content struct {
	r      io.Reader
	defect func() string
}

// Content reads the attachment out of the message that it was found in. Errors are the message's own reader's; what is no
// valid encoding is passed over, and told by [Content.Defect].
func (a *Attachment) Content(message io.ReaderAt) *Content {
	raw := io.NewSectionReader(message, a.Offset, a.Length)
	size := int(min(a.Length+1, contentBlock)) // one more, so that the first block has all of it
	if isUuencode(a.Encoding) {
		d := &uuDecoder{}
		return &Content{&blocks{src: raw, size: size, step: d.step}, d.defect}
	}
	switch a.Encoding {
	case "quoted-printable":
		return &Content{&blocks{src: raw, size: size, step: unquote}, func() string { return "" }}
	case "base64":
		d := &labelledBase64{}
		return &Content{&blocks{src: raw, size: size, step: d.step}, d.defect}
	case "", "7bit", "8bit", "binary":
		return &Content{raw, func() string { return "" }}
	}
	return &Content{raw, func() string { return UnknownEncoding }}
}

// Read is [io.Reader].
func (c *Content) Read(p []byte) (int, error) { return c.r.Read(p) }

// Defect is the code of what was wrong with the encoding of what has been read; empty: nothing was.
func (c *Content) Defect() string { return c.defect() }

// contentBlock is how many bytes are decoded at a time.
const contentBlock = 64 << 10

// blocks reads src block by block through a step, which appends what it makes of a block to out and tells how much of the
// block it leaves for the next one. At the end nothing may be left.
type blocks struct {
	src  io.Reader
	size int // of a block, at most
	step func(out, block []byte, last bool) (more []byte, left int)

	in, out []byte
	done    int // bytes of out that were read
	err     error
}

func (b *blocks) Read(p []byte) (int, error) {
	for b.done == len(b.out) {
		if b.err != nil {
			return 0, b.err
		}
		b.fill()
	}
	n := copy(p, b.out[b.done:])
	b.done += n
	return n, nil
}

func (b *blocks) fill() {
	if b.in == nil {
		b.in, b.out = make([]byte, 0, b.size), make([]byte, 0, b.size)
	}
	n, err := io.ReadFull(b.src, b.in[len(b.in):cap(b.in)])
	b.in = b.in[:len(b.in)+n]
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	b.err = err
	out, left := b.step(b.out[:0], b.in, err != nil)
	b.out, b.done = out, 0
	b.in = b.in[:copy(b.in, b.in[len(b.in)-left:])]
}

// labelledBase64 decodes what is labelled base64, unless its first block shows that it is none: then it is taken as it is.
type labelledBase64 struct {
	base64Decoder
	begun, words bool
}

func (d *labelledBase64) step(out, block []byte, last bool) ([]byte, int) {
	before := len(out)
	if !d.words {
		out, _ = d.base64Decoder.step(out, block, last)
	}
	if !d.begun {
		d.begun, d.words = true, isWords(block, d.broken)
	}
	if d.words {
		return append(out[:before], block...), 0
	}
	return out, 0
}

// unquote decodes a block of quoted-printable. It leaves the line that the block breaks off in, unless that fills half of
// it: then what a code or blanks at the line's end may need.
func unquote(out, block []byte, last bool) ([]byte, int) {
	left := 0
	if !last {
		if i := bytes.LastIndexByte(block, '\n'); i >= 0 && len(block)-i < contentBlock/2 {
			left = len(block) - i - 1
		} else {
			whole := bytes.TrimRight(block[:len(block)-2], "= \t\r")
			left = min(len(block)-len(whole), contentBlock/2)
		}
		block = block[:len(block)-left]
	}
	for len(block) > 0 {
		line, rest, ends := bytes.Cut(block, []byte{'\n'})
		block = rest
		end := line[len(bytes.TrimRight(line, "\r")):]
		if !ends && len(rest) == 0 && left > 0 { // the line goes on
			out = appendUnquoted(out, line)
			break
		}
		line, soft := quotedLine(line)
		out = appendUnquoted(out, line)
		if ends && !soft {
			out = append(append(out, end...), '\n')
		}
	}
	return out, left
}
