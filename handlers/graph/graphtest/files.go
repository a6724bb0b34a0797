package graphtest

import (
	"archive/zip"
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"strings"
)

// Attachments of the sample: small files that real readers can open.

func fixed(name, kind string, data []byte) file {
	return file{name: name, kind: kind, size: len(data), data: func() []byte { return data }}
}

func attachment(kind, name, text string) file {
	switch kind {
	case "pdf":
		return fixed(name+".pdf", "application/pdf", pdf(text))
	case "csv":
		return fixed(name+".csv", "text/csv", []byte("item;quantity;price\r\n"+text+";12;4,90\r\nSeal 40 mm;3;11,20\r\n"))
	case "docx":
		return fixed(name+".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", docx(text))
	case "png":
		return fixed(name+".png", "image/png", picture(len(text)))
	}
	return fixed(name+".txt", "text/plain", []byte(text+"\r\n"))
}

// pdf makes a page with one line of text.
func pdf(text string) []byte {
	ascii := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`()\`, r) {
			return '?'
		}
		return r
	}, text)
	stream := "BT /F1 12 Tf 72 770 Td (" + ascii + ") Tj ET"
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(stream), stream),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
	}
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	var offsets []int
	for i, o := range objects {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	at := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, at)
	return b.Bytes()
}

// docx makes a document of one paragraph.
func docx(text string) []byte {
	escaped := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
	const head = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`
	entries := [][2]string{
		{"[Content_Types].xml", head + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
			`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
			`<Override PartName="/word/document.xml" ContentType=` +
			`"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`},
		{"_rels/.rels", head + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
			`<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"` +
			` Target="word/document.xml"/></Relationships>`},
		{"word/document.xml", head + `<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">` +
			`<w:body><w:p><w:r><w:t>` + escaped + `</w:t></w:r></w:p></w:body></w:document>`},
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		w, err := z.CreateHeader(&zip.FileHeader{Name: e[0], Method: zip.Store}) // packing would be most of a sample's time
		if err == nil {
			_, _ = w.Write([]byte(e[1])) // memory alone: cannot fail
		}
	}
	_ = z.Close()
	return b.Bytes()
}

// picture makes a small square in a colour of its own.
func picture(shade int) []byte {
	m := image.NewRGBA(image.Rect(0, 0, 24, 24))
	for i := range 24 * 24 {
		m.Set(i%24, i/24, color.RGBA{uint8(shade * 7), uint8(i), uint8(shade * 13), 255})
	}
	var b bytes.Buffer
	_ = (&png.Encoder{CompressionLevel: png.NoCompression}).Encode(&b, m) // memory alone: cannot fail
	return b.Bytes()
}

// noise is a large file that does not compress and is held by nobody. Its size is rounded down to whole lines of base64.
func noise(name, kind string, size int, seed uint64) file {
	count := size / 57
	return file{name: name, kind: kind, size: 57 * count, lines: func() io.Reader {
		lines := &bulkLines{random: rand.NewChaCha8([32]byte(seedBytes(fmt.Sprint("noise ", name, seed), 32)))}
		return io.LimitReader(lines, int64(count)*bulkLine)
	}}
}
