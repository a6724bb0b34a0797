package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"chainmail/handlers/settings"
)

// The media types of bodies and answers.
const (
	mediaJSON    = "application/json"
	mediaProblem = "application/problem+json"
	mediaCSV     = "text/csv"
)

// A problem is an error for whoever asked (RFC 9457), in words for them.
type problem struct {
	Title  string          `json:"title"`
	Status int             `json:"status"`
	Detail string          `json:"detail"` // what is wrong and what to do
	Faults settings.Faults `json:"faults,omitempty"`

	allow  string // the methods that are
	signIn bool   // it is for want of one
}

// challenge is what HTTP wants said to whoever has not signed in.
func (p *problem) challenge() string {
	if p.signIn {
		return "Bearer"
	}
	return ""
}

// Error implements error. The text is for the caller, and goes into no log.
func (p *problem) Error() string { return p.Title }

func failed(status int, title, detail string) *problem {
	return &problem{Title: title, Status: status, Detail: detail}
}

func missing(what, remedy string) *problem {
	return failed(http.StatusNotFound, "There is no such "+what, remedy)
}

// faults are everything that is wrong with a request, told at once.
type faults settings.Faults

func (f *faults) add(path, format string, args ...any) {
	*f = append(*f, settings.Fault{Path: path, Problem: fmt.Sprintf(format, args...)})
}

// problem is nil without any fault.
func (f faults) problem(status int) error {
	if len(f) == 0 {
		return nil
	}
	p := failed(status, "The request has faults", "Nothing was changed. "+f[0].Path+": "+f[0].Problem+".")
	if n := len(f) - 1; n > 0 {
		p.Detail += fmt.Sprintf(" There are %d more, see faults.", n)
	}
	p.Faults = settings.Faults(f)
	return p
}

// A reply is an answer that is not written yet.
type reply struct {
	status int    // 0: 200
	value  any    // written as JSON, unless there are bytes
	data   []byte // written as they are
	media  string // empty: JSON
	etag   string
	allow  string

	challenge string
}

func (a reply) write(w http.ResponseWriter) error {
	data, media := a.data, a.media
	if data == nil {
		var b bytes.Buffer
		e := json.NewEncoder(&b) // which escapes what HTML would take for its own
		e.SetIndent("", "  ")
		if err := e.Encode(a.value); err != nil {
			return err
		}
		data = b.Bytes()
	}
	switch media {
	case "":
		media = mediaJSON
	case mediaCSV:
		media = "text/csv; charset=utf-8"
		w.Header().Set("Content-Disposition", "attachment")
	}
	w.Header().Set("Content-Type", media)
	for name, value := range map[string]string{"ETag": a.etag, "Allow": a.allow, "WWW-Authenticate": a.challenge} {
		if value != "" {
			w.Header().Set(name, value)
		}
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, err := w.Write(data)
	return err
}
