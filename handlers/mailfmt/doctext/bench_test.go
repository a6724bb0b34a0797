package doctext

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// prose is text of words that hardly repeat, so that it packs as text does.
func prose(words int) []string {
	random := rand.New(rand.NewPCG(1, 2))
	list := make([]string, words)
	for i := range list {
		list[i] = fmt.Sprintf("w%x", random.IntN(1<<20))
	}
	return list
}

// BenchmarkExtract reads a document of 200,000 words of each kind, in megabytes of its text.
func BenchmarkExtract(b *testing.B) {
	all := prose(200_000)
	var body, rows, slides, rich, lines strings.Builder
	var pages []string
	for i := 0; i < len(all); i += 20 {
		s := strings.Join(all[i:i+20], " ")
		body.WriteString(p(r(s[:40]) + r(s[40:])))
		rows.WriteString("<row>")
		for _, w := range all[i : i+20] {
			rows.WriteString(`<c t="inlineStr"><is><t>` + w + `</t></is></c>`)
		}
		rows.WriteString("</row>")
		slides.WriteString(shape("", s))
		rich.WriteString(s + "\\par\r\n")
		lines.WriteString(s + "\n")
		if i%1000 == 0 {
			pages = append(pages, "")
		}
		pages[len(pages)-1] += " (" + s + ") Tj T*"
	}
	for _, bench := range []struct {
		name    string
		content []byte
	}{
		{"docx", docx(b, body.String(), nil)},
		{"xlsx", xlsx(b, "<sheetData>"+rows.String()+"</sheetData>", nil)},
		{"pptx", pptx(b, slides.String(), nil)},
		{"rtf", []byte(`{\rtf1 ` + rich.String() + `}`)},
		{"ics", []byte("BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:" + strings.ReplaceAll(lines.String(), "\n",
			"\nSUMMARY:") + "\nEND:VEVENT\nEND:VCALENDAR\n")},
		{"txt", []byte(lines.String())},
		{"pdf", pdfPages(pages)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			e, err := New(Options{Cache: cache(b)})
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			read := func() {
				src := Source{Size: int64(len(bench.content)), Content: bytes.NewReader(bench.content)}
				res, err := e.Extract(b.Context(), src, io.Discard)
				if err != nil || res.Status != Extracted {
					b.Fatal(res, err)
				}
				b.SetBytes(res.Bytes)
			}
			read() // starting and compiling is not counted
			for b.Loop() {
				read()
			}
		})
	}
}

// pdfPages makes a PDF of pages of text.
func pdfPages(pages []string) []byte {
	objects := onePage("", "")
	kids := ""
	for _, page := range pages {
		n := len(objects) + 1
		kids += fmt.Sprintf(" %d 0 R", n)
		objects = append(objects,
			fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 2000 2000] /Resources << /Font << /F1 4 0 R >> >> "+
				"/Contents %d 0 R >>", n+1),
			stream("/Filter /FlateDecode", deflated("BT /F1 12 Tf 72 1900 Td 14 TL"+page+" ET")))
	}
	objects[1] = fmt.Sprintf("<< /Type /Pages /Kids [%s] /Count %d >>", kids, len(pages))
	return pdfFile(objects, "")
}
