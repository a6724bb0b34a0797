package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"chainmail/handlers/ledger"
)

// Bounds of a request.
const (
	maxBody   = 64 << 20 // a list of half a million individuals
	maxReason = 2000     // bytes
	usualTop  = 100
	mostTop   = 1000
)

// A request is one that has been read and whose query, media type and length are good.
type request struct {
	ctx    context.Context
	who    person
	args   map[string]string
	query  url.Values
	header http.Header
	body   []byte
	form   url.Values // of a page
}

func read(w http.ResponseWriter, r *http.Request, to route, args map[string]string) (*request, error) {
	q := &request{ctx: r.Context(), args: args, header: r.Header}
	var err error
	if q.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return nil, failed(http.StatusBadRequest, "The query cannot be read", "Percent-encode what is no letter or digit.")
	}
	if err := knownQuery(q.query, strings.Fields(to.query)); err != nil {
		return nil, err
	}
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		return q, nil
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if want := mediaOf(to); media != want {
		return nil, failed(http.StatusUnsupportedMediaType, "The body has another media type",
			"Send it with the header Content-Type: "+want+".")
	}
	q.body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, failed(http.StatusRequestEntityTooLarge, "The body is too large", fmt.Sprintf("It may have %d MiB.", maxBody>>20))
	}
	if err != nil {
		return nil, failed(http.StatusBadRequest, "The body cannot be read", "The connection broke: send it again.")
	}
	return q, nil
}

func mediaOf(to route) string {
	if to.media != "" {
		return to.media
	}
	return mediaJSON
}

func knownQuery(query url.Values, known []string) error {
	var f faults
	for name, values := range query {
		switch {
		case !slices.Contains(known, name) && len(known) == 0:
			f.add(name, "is no parameter: this path takes none")
		case !slices.Contains(known, name):
			f.add(name, "is no parameter: this path takes %s", strings.Join(known, ", "))
		case len(values) > 1:
			f.add(name, "is given more than once")
		}
	}
	return f.problem(http.StatusBadRequest)
}

// decode reads the body, a JSON object with no field that into does not have.
func (q *request) decode(into any) error {
	d := json.NewDecoder(bytes.NewReader(q.body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.New("there is more than one JSON value")
	}
	detail := "Send one JSON object."
	var field *json.UnmarshalTypeError
	switch text := err.Error(); {
	case errors.As(err, &field) && field.Field != "":
		detail = "The field " + field.Field + " must be a " + jsonType(field.Type.String()) + "."
	case strings.HasPrefix(text, "json: unknown field "):
		detail = "There is no field " + strings.TrimPrefix(text, "json: unknown field ") + ": remove it, or mend its name."
	}
	return failed(http.StatusBadRequest, "The body cannot be read", detail)
}

func jsonType(t string) string {
	if strings.HasPrefix(t, "[]") {
		return "list of texts"
	}
	return "text"
}

// checkReason says what is wrong with the words in which an operator says why.
func checkReason(f *faults, path, reason string) {
	control := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
	switch {
	case strings.TrimSpace(reason) == "":
		f.add(path, "is missing: say why, in words for whoever reads the record")
	case len(reason) > maxReason:
		f.add(path, "is longer than %d bytes", maxReason)
	case !utf8.ValidString(reason) || strings.ContainsFunc(reason, control):
		f.add(path, "holds characters that are no text")
	}
}

// reason reads the body {"reason": "…"}.
func (q *request) reason() (string, error) {
	var body struct {
		Reason string `json:"reason"`
	}
	if err := q.decode(&body); err != nil {
		return "", err
	}
	var f faults
	checkReason(&f, "reason", body.Reason)
	return body.Reason, f.problem(http.StatusUnprocessableEntity)
}

// top is how many rows a page may have.
func (q *request) top() (int, error) {
	text := q.query.Get("top")
	if text == "" {
		return usualTop, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostTop {
		var f faults
		f.add("top", "must be a number from 1 to %d", mostTop)
		return 0, f.problem(http.StatusBadRequest)
	}
	return n, nil
}

// flag reads a parameter that is true or false.
func (q *request) flag(name string) (bool, error) {
	switch q.query.Get(name) {
	case "true":
		return true, nil
	case "", "false":
		return false, nil
	}
	var f faults
	f.add(name, "must be true or false")
	return false, f.problem(http.StatusBadRequest)
}

// A page is a part of a list. Next, if there is more, is the value of the parameter after for the next part.
type page struct {
	Value any    `json:"value"`
	Next  string `json:"next,omitempty"`
}

// paged reads a part of a list that goes over sources: of all that are in force, or of the one that the query names. Where it
// begins is "source/key".
func paged[R, V any](c *Console, q *request, slice func(source, after string, top int) (ledger.Slice[R], error),
	view func(source, key string, row R) V) (reply, error) {
	top, err := q.top()
	if err != nil {
		return reply{}, err
	}
	names, err := c.named(q)
	if err != nil {
		return reply{}, err
	}
	from, after, found := strings.Cut(q.query.Get("after"), "/")
	if given := q.query.Get("after"); given != "" && (!found || !slices.Contains(names, from) || !ledger.SliceAfter(after)) {
		var f faults
		f.add("after", "must be what an answer to the same query named next")
		return reply{}, f.problem(http.StatusBadRequest)
	}
	values, next := []V{}, ""
	for _, name := range names[max(0, slices.Index(names, from)):] {
		if len(values) == top {
			next = name + "/" // whatever this source has stands behind
			break
		}
		s, err := slice(name, after, top-len(values))
		if err != nil {
			return reply{}, err
		}
		for i, row := range s.Rows {
			values = append(values, view(name, s.Keys[i], row.Value))
		}
		if after = ""; s.Next != "" {
			next = name + "/" + s.Next
			break
		}
	}
	return reply{value: page{values, next}}, nil
}

// named are the names of the source that the query names, or of all sources in force.
func (c *Console) named(q *request) ([]string, error) {
	if name := q.query.Get("source"); name != "" {
		s, err := c.find(q.ctx, name)
		return []string{s.Name}, err
	}
	force, err := c.Config.Current(q.ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range force.Sources {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return names, nil
}
