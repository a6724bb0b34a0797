package storagetest

import (
	"bufio"
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// readTransaction gives the operations of an entity group transaction: a multipart batch with one change set, in which
// every part is an HTTP request (Microsoft Learn, "Performing entity group transactions"). What cannot be read is left
// out: Azurite says what is wrong with it.
func readTransaction(h http.Header, body []byte) []Op {
	var ops []Op
	eachPart(h.Get("Content-Type"), bytes.NewReader(body), func(contentType string, part io.Reader) {
		if !strings.HasPrefix(contentType, "multipart/") {
			if op, ok := readPart(part); ok { // a query stands in the batch itself
				ops = append(ops, op)
			}
			return
		}
		eachPart(contentType, part, func(_ string, part io.Reader) {
			if op, ok := readPart(part); ok {
				ops = append(ops, op)
			}
		})
	})
	return ops
}

// eachPart calls f for the parts of a multipart body.
func eachPart(contentType string, body io.Reader, f func(contentType string, part io.Reader)) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return
	}
	for r := multipart.NewReader(body, params["boundary"]); ; {
		part, err := r.NextRawPart()
		if err != nil {
			return
		}
		f(part.Header.Get("Content-Type"), part)
	}
}

// readPart reads the HTTP request in a part of a change set.
func readPart(part io.Reader) (Op, bool) {
	r := textproto.NewReader(bufio.NewReader(part))
	line, err := r.ReadLine()
	if err != nil {
		return Op{}, false
	}
	method, rest, _ := strings.Cut(line, " ")
	target, _, _ := strings.Cut(rest, " ")
	u, err := url.Parse(target)
	if err != nil || u.Path == "" {
		return Op{}, false
	}
	header, err := r.ReadMIMEHeader()
	if err != nil && err != io.EOF { // a request without a body may end with its headers
		return Op{}, false
	}
	body, err := io.ReadAll(r.R)
	if err != nil {
		return Op{}, false
	}
	return classify(Table, call{method, u.Path, u.Query(), http.Header(header), body}), true
}
