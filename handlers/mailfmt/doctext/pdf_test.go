package doctext

import (
	"bytes"
	"compress/zlib"
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
	"fmt"
	"maps"
	"strings"
	"testing"
)

// pdfFile makes a PDF of objects, the first of which is the catalogue; further entries for the trailer follow.
func pdfFile(objects []string, trailer string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n%\xE2\xE3\xCF\xD3\n")
	var offsets []int
	for i, o := range objects {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, trailer, xref)
	return b.Bytes()
}

func stream(dictionary, content string) string {
	return fmt.Sprintf("<< /Length %d %s >>\nstream\n%s\nendstream", len(content), dictionary, content)
}

const helvetica = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"

// onePage are the objects of a document of one page; further ones are numbered from 6.
func onePage(content, page string, more ...string) []string {
	return append([]string{
		"<< /Type /Catalog /Pages 2 0 R /Names << /EmbeddedFiles << /Names [(a) 20 0 R] >> >> /AcroForm << /Fields [] >> >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 4 0 R >> >> /Contents 5 0 R " +
			page + " >>",
		helvetica,
		stream("", content),
	}, more...)
}

// words are lines of text on a page.
func words(lines ...string) string {
	s := "BT /F1 12 Tf 72 720 Td 14 TL"
	for _, l := range lines {
		s += " (" + l + ") Tj T*"
	}
	return s + " ET"
}

func deflated(s string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

func TestPDFGivesItsTextLayer(t *testing.T) {
	t.Parallel()
	toUnicode := "/CIDInit /ProcSet findresource begin 12 dict begin begincmap 1 begincodespacerange <00> <FF> " +
		"endcodespacerange " +
		"2 beginbfchar <41> <0416> <42> <D83DDE00> endbfchar endcmap end end"
	two := onePage(words("first"), "")
	two[1] = "<< /Type /Pages /Kids [3 0 R 6 0 R] /Count 2 >>"
	two = append(two, "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 4 0 R >> >> "+
		"/Contents 7 0 R >>",
		stream("/Filter /FlateDecode", deflated(words("second"))))
	mapped := onePage(words("AB"), "", stream("", toUnicode))
	mapped[3] = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 6 0 R >>"
	for name, tt := range map[string]struct {
		objects []string
		want    string
	}{
		"lines":      {onePage(words("Hello world", "caf\\351 \\(5\\)"), ""), "Hello world\ncafé (5)"},
		"pages":      {two, "first\n\nsecond"},
		"a hyphen":   {onePage(words("inter-", "national law"), ""), "international law"},
		"blanks":     {onePage("BT /F1 12 Tf 72 720 Td [(word) -600 (gap)] TJ ET", ""), "word gap"},
		"to Unicode": {mapped, "Ж😀"},
		"annotations": {
			onePage(words("x"), "/Annots [6 0 R 7 0 R 8 0 R 9 0 R]",
				"<< /Type /Annot /Subtype /Text /Rect [0 0 9 9] /Contents (a comment) >>",
				"<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI (https://example.com/x) >> >>",
				"<< /Type /Annot /Subtype /Popup /Rect [0 0 9 9] /Contents (no) >>",
				"<< /Type /Annot /Subtype /FreeText /Rect [0 0 9 9] /Contents (\xFE\xFF\x04\x16) >>"),
			"x\na comment\n<https://example.com/x>\nЖ",
		},
		"form": {
			func() []string {
				o := onePage(words("Name:"), "/Annots [6 0 R]",
					"<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /V (Ann Lee) /Rect [0 0 9 9] >>")
				o[0] = "<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [6 0 R] >> >>"
				return o
			}(), "Name:\nAnn Lee",
		},
		"files in it": {
			func() []string {
				o := onePage(words("x"), "", "<< /Type /Filespec /F (budget.xlsx) /UF (budget.xlsx) /EF << /F 7 0 R >> "+
					">>", stream("/Type /EmbeddedFile", "data"))
				o[0] = "<< /Type /Catalog /Pages 2 0 R /Names << /EmbeddedFiles << /Names [(budget.xlsx) 6 0 R] >> >> >>"
				return o
			}(), "x\n\nbudget.xlsx",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, res := extract(t, "x.pdf", pdfFile(tt.objects, ""))
			if got != tt.want || res.Kind != PDF || res.Status != Extracted {
				t.Errorf("%q, %+v, want %q", got, res, tt.want)
			}
		})
	}
}

var padding = []byte("\x28\xBF\x4E\x5E\x4E\x75\x8A\x41" +
	"\x64\x00\x4E\x56\xFF\xFA\x01\x08\x2E\x2E\x00\xB6\xD0\x68\x3E\x80\x2F\x0C\xA9\xFE\x64\x53\x69\x7A")

// encrypt encrypts the page's content by RC4 of 40 bits, for a user's and an owner's password: ISO 32000-1, 7.6.
func encrypt(objects []string, content int, user, owner string) ([]string, string) {
	pad := func(password string) []byte { return append([]byte(password), padding...)[:32] }
	code := func(key, b []byte) []byte {
		c, _ := rc4.NewCipher(key)
		out := make([]byte, len(b))
		c.XORKeyStream(out, b)
		return out
	}
	ownerKey := md5.Sum(pad(owner))
	o := code(ownerKey[:5], pad(user))
	seed := append(pad(user), o...)
	seed = binary.LittleEndian.AppendUint32(seed, 0xFFFFFFC0)
	seed = append(seed, "0123456789abcdef"...)
	key := md5.Sum(seed)
	u := code(key[:5], padding)
	object := append(bytes.Clone(key[:5]), byte(content+1), 0, 0, 0, 0)
	objectKey := md5.Sum(object)
	_, body, _ := strings.Cut(objects[content], "stream\n")
	body = strings.TrimSuffix(body, "\nendstream")
	objects[content] = stream("", string(code(objectKey[:10], []byte(body))))
	trailer := fmt.Sprintf("/ID [<%x> <%x>] /Encrypt << /Filter /Standard /V 1 /R 2 /O <%x> /U <%x> /P -64 >>",
		"0123456789abcdef", "0123456789abcdef", o, u)
	return objects, trailer
}

func TestPDFWithAPassword(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		encrypt    func(objects []string, content int, user, owner string) ([]string, string)
		user, want string
		status     string
		protected  bool
	}{
		"to open it, RC4":   {encrypt, "secret", "", Protected, true},
		"to change it, RC4": {encrypt, "", "Hello", Extracted, false},
		"to open it, AES":   {encryptAES, "secret", "", Protected, true},
		"to change it, AES": {encryptAES, "", "Hello", Extracted, false},
	} {
		objects, trailer := tt.encrypt(onePage(words("Hello"), ""), 4, tt.user, "owner")
		got, res := extract(t, "x.pdf", pdfFile(objects, trailer))
		if got != tt.want || res.Status != tt.status || res.PasswordProtected != tt.protected {
			t.Errorf("%s: %q, %+v, want %q, %s", name, got, res, tt.want, tt.status)
		}
	}
}

func TestAPDFThatACertificateOpensIsProtected(t *testing.T) {
	t.Parallel()
	b := pdfFile(onePage(words("Hello"), ""), "/Encrypt << /Filter /Adobe.PubSec /SubFilter /adbe.pkcs7.s5 /V 4 /Length 128 >>")
	if got, res := extract(t, "x.pdf", b); got != "" || res.Status != Protected || !res.PasswordProtected {
		t.Errorf("%q, %+v", got, res)
	}
}

func TestMorePagesThanAreRead(t *testing.T) {
	t.Parallel()
	objects := onePage(words("page"), "")
	objects[1] = "<< /Type /Pages /Kids [3 0 R 3 0 R 3 0 R] /Count 3 >>"
	shared.Lock()
	defer shared.Unlock()
	shared.pages, shared.cache = 2, cache(t)
	defer func() { shared.pages = 0 }()
	var text strings.Builder
	b := pdfFile(objects, "")
	res, err := shared.read(t.Context(), Source{Size: int64(len(b)), Content: bytes.NewReader(b)}, &text)
	if err != nil || res.Status != TooLarge || text.String() != "page\n\npage" {
		t.Errorf("%q, %+v, %v", text.String(), res, err)
	}
}

// replaced is a PDF that says Hello, but for one object, with further ones.
func replaced(i int, o string, more ...string) []byte {
	objects := append(onePage(words("Hello"), ""), more...)
	objects[i] = o
	return pdfFile(objects, "")
}

// largePDFs are documents that have made readers crash or run on, by how much there is in them.
func largePDFs() map[string][]byte {
	return map[string][]byte{
		"deep dictionaries":        replaced(3, strings.Repeat("<< /K ", 100_000)+strings.Repeat(">> ", 100_000)),
		"deep arrays in a content": replaced(4, stream("", strings.Repeat("[", 1_000_000))),
		"deep states":              replaced(4, stream("", strings.Repeat("q ", 1_000_000)+words("Hello"))),
		"a bomb": replaced(4, stream("/Filter [/FlateDecode /FlateDecode]",
			deflated("\x78\x9C"+string(deflatedTimes("", strings.Repeat(" ", 1<<20), "", 2*maxPDFMemory>>20))))),
	}
}

// smallPDFs are others, by how they are built. They are soon made and soon read.
func smallPDFs() map[string][]byte {
	plain := onePage(words("Hello"), "")
	form := func(n int) string {
		return stream(fmt.Sprintf("/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X %d 0 R >> "+
			">>", n), "/X Do /X Do")
	}
	xrefLoop := string(pdfFile(plain, "/Prev 9"))
	at := strings.LastIndex(xrefLoop, "startxref\n") + len("startxref\n")
	offset := strings.SplitN(xrefLoop[at:], "\n", 2)[0]
	xrefLoop = strings.Replace(xrefLoop, "/Prev 9", "/Prev "+offset, 1)
	return map[string][]byte{
		"a page tree that is its own kid":   replaced(1, "<< /Type /Pages /Kids [2 0 R 3 0 R] /Count 2 >>"),
		"a page tree that says a billion":   replaced(1, "<< /Type /Pages /Kids [3 0 R] /Count 1000000000 >>"),
		"a parent that is a kid":            replaced(2, "<< /Type /Page /Parent 3 0 R /Kids [3 0 R] /Contents 5 0 R >>"),
		"a table of objects that goes back": []byte(xrefLoop),
		"a stream that holds itself":        replaced(4, stream("/Type /ObjStm /N 1 /First 4", "5 0 ")),
		"a length that is the stream":       replaced(4, "<< /Length 5 0 R >>\nstream\nBT ET\nendstream"),
		"forms that draw one another": replaced(2, "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font "+
			"<< /F1 4 0 R >> /XObject << /X 6 0 R >> >> /Contents 5 0 R >>",
			form(7), form(6)),
		"a wide image": replaced(4, stream("", "BI /W 1000000000 /H 1000000000 /BPC 8 /CS /RGB ID x EI "+
			""+words("Hello"))),
		"no objects":     []byte("%PDF-1.7\n"),
		"only a trailer": []byte("%PDF-1.7\ntrailer << /Root 1 0 R /Size 99999999 >>\nstartxref\n0\n%%EOF"),
	}
}

func TestHostilePDFsCostTheirTextAlone(t *testing.T) {
	t.Parallel()
	extract(t, "x.pdf", samples(t)["x.pdf"]) // compiles PDFium, where no test has, for the worker too
	e := extractor(t)
	all := largePDFs()
	maps.Copy(all, smallPDFs())
	for name, b := range all {
		text, res := e.extract(t, Source{Name: "x.pdf", Size: int64(len(b)), Content: bytes.NewReader(b)})
		t.Logf("%s: %s, %q", name, res.Status, text)
		if res.Kind != PDF || res.Status == NotSupported || res.Status == Protected {
			t.Errorf("%s: %+v", name, res)
		}
		plain := pdfFile(onePage(words("Hello"), ""), "")
		text, res = e.extract(t, Source{Name: "x.pdf", Size: int64(len(plain)), Content: bytes.NewReader(plain)})
		if text != "Hello" || res.Status != Extracted {
			t.Errorf("after %s: %q, %+v", name, text, res)
		}
	}
	if peak := peakMemory(t, e); peak > raceFactor*512<<20 {
		t.Errorf("the worker took %d MiB", peak>>20)
	} else {
		t.Logf("the worker took %d MiB", peak>>20)
	}
}
