package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"chainmail/handlers/capture"
	"chainmail/handlers/mailfmt"
	"chainmail/handlers/mailfmt/doctext"
	"chainmail/handlers/pack"
	"chainmail/handlers/settings"
	"chainmail/handlers/spool"
)

// A family is an item's documents in the making: the email, then what is attached to it, each after what it is attached
// to. Their entries share one buffer of the lease.
type family struct {
	*reader
	ctx       context.Context
	log       *slog.Logger
	texts     *doctext.Extractor
	source    settings.Source
	roll      *roll
	custodian capture.Custodian
	item      capture.Item
	lease     *spool.Lease

	packed    *spool.Buffer
	monitored []string // who is named in the email, the custodian apart
	documents []pack.Document
	room      int64 // bytes of attachments that may still be extracted
}

// The bounds of a family. Attached messages hold those attached to them once more, so that a hundred levels of them would
// make a hundredfold of their bytes; what is beyond a bound is in the native, stands in the Attachment List, and the
// document it is attached to has the error codeFamily.
const (
	maxFamily  = 10_000
	maxLevels  = 100
	familyRoom = 16 << 20 // bytes, beside ten times those of the native
	codeFamily = "FamilyTooLarge"
	codeText   = "TextFailed" // reading an attachment's text broke off
)

// family makes an email's family of its native. What the mail is never makes an error: what could not be read stands in
// the documents' Errors; an error is the spool's, or that of the context.
func (r *run) family(ctx context.Context, lease *spool.Lease, c capture.Custodian, it capture.Item, native *spool.Buffer) ([]pack.Document, error) {
	f := r.newFamily(ctx, lease, c, it, 10*native.Size()+familyRoom)
	err := f.message(native.Open(), pack.Document{Kind: it.Kind, Parent: -1}, 0)
	return f.finished(), err
}

func (r *run) newFamily(ctx context.Context, lease *spool.Lease, c capture.Custodian, it capture.Item, room int64) *family {
	return &family{
		reader: &r.reader, roll: &r.roll, ctx: ctx, log: r.log, texts: r.Texts, source: r.source, custodian: c, item: it, lease: lease,
		packed: lease.New(), room: room,
	}
}

func (f *family) finished() []pack.Document {
	for i := range f.documents {
		f.documents[i].Monitored = f.monitored
	}
	return f.documents
}

// name is the entry of the native of the document that comes next.
func (f *family) name(d *pack.Document) string {
	if d.Parent < 0 {
		return pack.NativeName(f.custodian, f.item)
	}
	return pack.AttachmentName(f.custodian, f.item, len(f.documents), d.FileName)
}

func (f *family) textName() string { return pack.TextName(f.custodian, f.item, len(f.documents)) }

// message takes in a message, the item's own or an attached one, and all that is attached to it. Its native is compressed
// after them: until then their copies are gone, and temporary files hold little more than two of it.
func (f *family) message(message *io.SectionReader, d pack.Document, level int) error {
	mail, text, err := f.mail(f.textName(), message, f.packed)
	if err != nil {
		return err
	}
	if level == 0 {
		f.monitored = f.roll.found(f.custodian.Identifier, mail.Addresses)
	}
	name, at := f.name(&d), len(f.documents)
	d.Custodian, d.Item = f.custodian, f.item
	d.Text, d.TextStatus, d.Fields = &text, mail.TextStatus, fields(&mail)
	f.documents = append(f.documents, d)
	complete := true
	for i := range mail.Attachments {
		a := &mail.Attachments[i]
		if !f.wanted(a, level) {
			continue
		}
		taken, err := f.attachment(message, a, at, level+1)
		if err != nil {
			return err
		}
		if complete = complete && taken; a.Embedded {
			own := &f.documents[at].Fields
			own.Attachments = append(own.Attachments, a.Name)
		}
	}
	if !complete {
		f.fault(at, codeFamily)
	}
	native, err := f.compressor.Compress(name, io.NewSectionReader(message, 0, message.Size()), f.packed)
	if err != nil {
		return fmt.Errorf("compress native: %w", err)
	}
	f.documents[at].Native = &native
	return nil
}

// wanted goes by the source's settings. An embedded file is one of the item's own at level 0, and of an attachment below.
func (f *family) wanted(a *mailfmt.Attachment, level int) bool {
	switch {
	case !f.source.ExtractAttachments:
		return false
	case !a.Embedded || f.source.EmbeddedFiles == settings.EmbeddedImport:
		return true
	}
	return f.source.EmbeddedFiles == settings.EmbeddedNotFromAttachments && level == 0
}

// attachment takes in what is attached to a document; false: the family has no room for it.
func (f *family) attachment(message io.ReaderAt, a *mailfmt.Attachment, parent, level int) (bool, error) {
	if len(f.documents) >= maxFamily || level > maxLevels || f.room <= 0 {
		return false, nil
	}
	content := f.lease.New()
	defer content.Close()
	decoded := a.Content(message)
	n, err := io.Copy(content, io.LimitReader(decoded, f.room+1))
	if err != nil {
		return false, fmt.Errorf("decode attachment: %w", err)
	}
	if f.room -= n; f.room < 0 {
		return false, nil
	}
	at := len(f.documents)
	if err := f.attached(content, a, parent, level); err != nil {
		return false, err
	}
	f.fault(at, decoded.Defect())
	return true, content.Close()
}

// attached takes in the content of what is attached to a document.
func (f *family) attached(content *spool.Buffer, a *mailfmt.Attachment, parent, level int) (err error) {
	at := len(f.documents)
	d := pack.Document{Kind: capture.Attachment, Parent: parent, FileName: a.Name}
	if a.Message() {
		err = f.message(content.Open(), d, level)
	} else {
		err = f.file(content, a, d)
	}
	if err == nil {
		f.documents[at].Fields.FileType = a.Type
	}
	return err
}

// file takes in an attached file, with its text where its kind is one whose text is read.
func (f *family) file(content *spool.Buffer, a *mailfmt.Attachment, d pack.Document) error {
	d.Custodian, d.Item = f.custodian, f.item
	src := doctext.Source{Name: a.Name, MediaType: a.Type, Charset: a.Charset, Size: content.Size(), Content: content}
	if a.Encrypted {
		d.TextStatus, d.Fields.PasswordProtected = doctext.Protected, true
	} else if err := f.read(src, &d); err != nil {
		return err
	}
	native, err := f.compressor.Compress(f.name(&d), content.Open(), f.packed)
	if err != nil {
		return fmt.Errorf("compress attachment: %w", err)
	}
	d.Native = &native
	f.documents = append(f.documents, d)
	return nil
}

// read reads a file's text. That no worker can be started costs the text, not the item.
func (f *family) read(src doctext.Source, d *pack.Document) error {
	text, res, err := f.text(f.textName(), src)
	switch {
	case f.ctx.Err() != nil:
		return f.ctx.Err()
	case errors.Is(err, doctext.ErrNotStarted):
		f.log.ErrorContext(f.ctx, "texts are not read", "error", err)
		res.Status = doctext.Failed
	case err != nil:
		return fmt.Errorf("read text of attachment: %w", err)
	}
	d.Text, d.TextStatus, d.Fields.PasswordProtected = text, res.Status, res.PasswordProtected
	if res.Status == doctext.Failed {
		d.Fields.Errors = append(d.Fields.Errors, codeText)
	}
	return nil
}

// fault notes a code among a document's errors, once.
func (f *family) fault(document int, code string) {
	errs := &f.documents[document].Fields.Errors
	if code != "" && !slices.Contains(*errs, code) {
		*errs = append(slices.Clip(*errs), code)
	}
}
