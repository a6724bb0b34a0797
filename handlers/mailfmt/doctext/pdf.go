package doctext

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/klippa-app/go-pdfium"
	"github.com/klippa-app/go-pdfium/enums"
	pdfiumerrors "github.com/klippa-app/go-pdfium/errors"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/structs"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// The bounds of what is read of a PDF.
const (
	maxPDFMemory   = 128 << 20 // bytes that PDFium may have
	maxPages       = 20_000    // in less than the time: where that ends a document, equal ones may have other texts
	maxPagesFailed = 1_000     // one after the other
	maxAnnotations = 10_000
)

// pageBytes is WebAssembly's unit of memory.
const pageBytes = 64 << 10

// A library is PDFium, compiled. It has an instance for each document, with memory of its own.
type library struct{ pool pdfium.Pool }

// newLibrary compiles PDFium, or takes it from the cache if that is a directory.
func newLibrary(cache string) (*library, error) {
	config := wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesExceptionHandling).
		WithMemoryLimitPages(maxPDFMemory / pageBytes).
		WithDebugInfoEnabled(false)
	if cache != "" {
		if c, err := wazero.NewCompilationCacheWithDir(cache); err == nil { // without it, compiling takes longer
			config = config.WithCompilationCache(c)
		}
	}
	pool, err := webassembly.Init(webassembly.Config{
		Context: experimental.WithMemoryAllocator(context.Background(), &linear{}),
		MaxIdle: 1, MaxTotal: 1, RuntimeConfig: config, FSConfig: wazero.NewFSConfig(),
		Stdout: io.Discard, Stderr: io.Discard, RandomSource: zeros{},
	})
	if err != nil {
		return nil, fmt.Errorf("compile PDFium: %w", err)
	}
	debug.FreeOSMemory()
	return &library{pool}, nil
}

// A linear is the memory of the instance that runs. It lies where it is, growing would copy it; what has not been used of
// it the system has not given yet. The next instance gets it again.
type linear struct{ b []byte }

// maxSpare is how much of it, used, is kept: clearing takes time, and memory for large documents is given back.
const maxSpare = 32 << 20

func (l *linear) Allocate(_, limit uint64) experimental.LinearMemory {
	if uint64(cap(l.b)) < limit || len(l.b) > 0 { // what has not been freed is not clear
		l.b = make([]byte, 0, limit)
	}
	return l
}

func (l *linear) Reallocate(size uint64) []byte {
	if size > uint64(cap(l.b)) {
		return nil
	}
	l.b = l.b[:max(size, uint64(len(l.b)))]
	return l.b[:size]
}

func (l *linear) Free() {
	if len(l.b) > maxSpare {
		l.b = nil
		return
	}
	clear(l.b)
	l.b = l.b[:0]
}

// zeros is what PDFium has for chance: equal documents have equal texts.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// A pdfReader reads one document.
type pdfReader struct {
	pdfium.Pdfium
	d    *document
	doc  references.FPDF_DOCUMENT
	form references.FPDF_FORMHANDLE // when there is one
}

// pdf reads the text layer of a PDF page by page, with what forms and comments say and where links lead, and the names of
// the files in it.
//
// Nothing here ends PDFium when its time is over: that ends the worker.
func (l *library) pdf(d *document) error {
	instance, err := l.pool.GetInstanceWithContext(d.ctx)
	if err != nil {
		return fmt.Errorf("start PDFium: %w", err)
	}
	defer debug.FreeOSMemory()
	defer instance.Kill() // not Close: that would ask an instance for more that may have ended within a call
	r := &pdfReader{Pdfium: instance, d: d}
	content := d.section()
	defer func() { *content = io.SectionReader{} }() // go-pdfium keeps it when the instance is killed
	opened, err := instance.OpenDocument(&requests.OpenDocument{FileReader: content, FileReaderSize: d.Size})
	switch {
	case errors.Is(err, pdfiumerrors.ErrPassword),
		errors.Is(err, pdfiumerrors.ErrSecurity): // by a certificate, or by a scheme that PDFium has not
		d.protected = true
		return errProtected
	case err != nil:
		return err
	}
	r.doc = opened.Document
	count, err := instance.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: r.doc})
	if err != nil {
		return err
	}
	if err := r.pages(count.PageCount); err != nil {
		return err
	}
	switch {
	case trapped(r.d.flaw):
		return nil
	case count.PageCount > d.pages:
		return errTooLarge
	}
	return r.attachments()
}

func (r *pdfReader) pages(count int) error {
	failed := 0
	for i := range min(count, r.d.pages) {
		flaw := r.d.flaw
		r.d.flaw = nil
		if err := r.d.part(func() error { return r.page(i) }); err != nil {
			return err
		}
		if failed++; r.d.flaw == nil {
			r.d.flaw, failed = flaw, 0
		}
		switch {
		case r.d.out.done():
			return errTooLarge
		case trapped(r.d.flaw):
			return nil
		case failed >= maxPagesFailed:
			return nil
		}
		r.d.out.sep(paragraph)
	}
	return nil
}

// trapped reports whether PDFium ended within a call. What its memory says then is not to be asked for.
func trapped(err error) bool { return err != nil && strings.Contains(err.Error(), "wasm error") }

func (r *pdfReader) page(i int) error {
	page := requests.Page{ByIndex: &requests.PageByIndex{Document: r.doc, Index: i}}
	loaded, err := r.FPDFText_LoadPage(&requests.FPDFText_LoadPage{Page: page})
	if err != nil {
		return err
	}
	count, err := r.FPDFText_CountChars(&requests.FPDFText_CountChars{TextPage: loaded.TextPage})
	if err != nil {
		return err
	}
	if count.Count > 0 {
		text, err := r.FPDFText_GetText(&requests.FPDFText_GetText{TextPage: loaded.TextPage, Count: count.Count})
		if err != nil {
			return err
		}
		r.d.out.text(trimLines(joinWords.Replace(text.Text)))
	}
	if _, err := r.FPDFText_ClosePage(&requests.FPDFText_ClosePage{TextPage: loaded.TextPage}); err != nil {
		return err
	}
	return r.annotations(page)
}

// joinWords takes out PDFium's sign for a hyphen at a line's end, behind which it goes on with the word.
var joinWords = strings.NewReplacer("\x02", "", "\uFFFE", "")

// annotations reads what lies on a page: comments, fields of forms, links.
func (r *pdfReader) annotations(page requests.Page) error {
	count, err := r.FPDFPage_GetAnnotCount(&requests.FPDFPage_GetAnnotCount{Page: page})
	if err != nil {
		return err
	}
	r.d.cut = r.d.cut || count.Count > maxAnnotations
	for i := range min(count.Count, maxAnnotations) {
		a, err := r.FPDFPage_GetAnnot(&requests.FPDFPage_GetAnnot{Page: page, Index: i})
		if err != nil {
			continue // it is not there
		}
		text := r.annotation(a.Annotation)
		if strings.TrimSpace(text) != "" {
			r.d.out.sep(line)
			r.d.out.text(text)
		}
		if _, err := r.FPDFPage_CloseAnnot(&requests.FPDFPage_CloseAnnot{Annotation: a.Annotation}); err != nil {
			return err
		}
	}
	return nil
}

// annotation is what an annotation says. What it does not say PDFium reports as an error.
func (r *pdfReader) annotation(a references.FPDF_ANNOTATION) string {
	kind, err := r.FPDFAnnot_GetSubtype(&requests.FPDFAnnot_GetSubtype{Annotation: a})
	if err != nil {
		return ""
	}
	switch kind.Subtype {
	case enums.FPDF_ANNOT_SUBTYPE_LINK:
		if t := r.link(a); t != "" {
			return "<" + t + ">"
		}
	case enums.FPDF_ANNOT_SUBTYPE_WIDGET:
		return r.field(a)
	case enums.FPDF_ANNOT_SUBTYPE_POPUP: // shows what its parent says
	default:
		if v, err := r.FPDFAnnot_GetStringValue(&requests.FPDFAnnot_GetStringValue{Annotation: a, Key: "Contents"}); err == nil {
			return v.Value
		}
	}
	return ""
}

func (r *pdfReader) link(a references.FPDF_ANNOTATION) string {
	link, err := r.FPDFAnnot_GetLink(&requests.FPDFAnnot_GetLink{Annotation: a})
	if err != nil {
		return ""
	}
	action, err := r.FPDFLink_GetAction(&requests.FPDFLink_GetAction{Link: link.Link})
	if err != nil || action.Action == nil {
		return ""
	}
	uri, err := r.FPDFAction_GetURIPath(&requests.FPDFAction_GetURIPath{Document: r.doc, Action: *action.Action})
	if err != nil || uri.URIPath == nil {
		return ""
	}
	return address(strings.ToValidUTF8(*uri.URIPath, "\uFFFD"))
}

// field is what a form's field holds.
func (r *pdfReader) field(a references.FPDF_ANNOTATION) string {
	if r.form == "" {
		f, err := r.FPDFDOC_InitFormFillEnvironment(&requests.FPDFDOC_InitFormFillEnvironment{
			Document: r.doc, FormFillInfo: noForm(),
		})
		if err != nil {
			return ""
		}
		r.form = f.FormHandle
	}
	v, err := r.FPDFAnnot_GetFormFieldValue(&requests.FPDFAnnot_GetFormFieldValue{FormHandle: r.form, Annotation: a})
	if err != nil {
		return ""
	}
	return v.FormFieldValue
}

// noForm is a form that nobody sees and nobody fills.
func noForm() structs.FPDF_FORMFILLINFO {
	return structs.FPDF_FORMFILLINFO{
		FFI_Invalidate:         func(references.FPDF_PAGE, float64, float64, float64, float64) {},
		FFI_OutputSelectedRect: func(references.FPDF_PAGE, float64, float64, float64, float64) {},
		FFI_SetCursor:          func(enums.FXCT) {},
		FFI_SetTimer:           func(int, func(int)) int { return 0 },
		FFI_KillTimer:          func(int) {},
		FFI_GetLocalTime:       func() structs.FPDF_SYSTEMTIME { return structs.FPDF_SYSTEMTIME{} },
		FFI_GetPage:            func(references.FPDF_DOCUMENT, int) *references.FPDF_PAGE { return nil },
		FFI_GetRotation:        func(references.FPDF_PAGE) enums.FPDF_PAGE_ROTATION { return enums.FPDF_PAGE_ROTATION_NONE },
		FFI_ExecuteNamedAction: func(string) {},
	}
}

// attachments lists the files in the document.
func (r *pdfReader) attachments() error {
	count, err := r.FPDFDoc_GetAttachmentCount(&requests.FPDFDoc_GetAttachmentCount{Document: r.doc})
	if err != nil {
		return err
	}
	r.d.cut = r.d.cut || count.AttachmentCount > maxAnnotations
	for i := range min(count.AttachmentCount, maxAnnotations) {
		a, err := r.FPDFDoc_GetAttachment(&requests.FPDFDoc_GetAttachment{Document: r.doc, Index: i})
		if err != nil {
			continue
		}
		if n, err := r.FPDFAttachment_GetName(&requests.FPDFAttachment_GetName{Attachment: a.Attachment}); err == nil {
			r.d.out.sep(line)
			r.d.out.text(n.Name)
		}
	}
	return nil
}
