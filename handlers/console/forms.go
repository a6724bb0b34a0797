package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A form is the page of an action: what it does, and what it has to be told.
type form struct {
	path    string // its own; the action is that of the API with the same path
	query   string
	title   string
	button  string
	effect  string // what it does, for whoever is about to
	confirm string // what must be confirmed; empty: nothing
	answer  func(*Console, *request) (reply, error)
	collect bool // it asks for custodians and a period as well
	back    func(args map[string]string) (above []crumb, see string)
}

func forms() []form {
	source := func(args map[string]string) ([]crumb, string) {
		return crumbs(args["source"]), "sources/" + args["source"]
	}
	batch := func(args map[string]string) ([]crumb, string) {
		path := "batches/" + args["source"] + "/" + args["batch"]
		return append(crumbs(args["source"]), crumb{args["batch"], path}), path
	}
	exceptions := func(args map[string]string) ([]crumb, string) {
		path := "exceptions?source=" + url.QueryEscape(args["source"])
		return append(crumbs(args["source"]), crumb{"Open exceptions", path}), path
	}
	return []form{
		{
			path: "sources/{source}/enable", title: "Enable the source", button: "Enable",
			answer: (*Console).enable, back: source,
			effect: "Collecting goes on from the ingestion state. Whatever disabled the source, or troubled it, has to show itself anew.",
		},
		{
			path: "sources/{source}/disable", title: "Disable the source", button: "Disable",
			answer: (*Console).disable, back: source,
			effect: "Nothing new is begun. Batches that exist go on to their ends.",
		},
		{
			path: "sources/{source}/reset", title: "Reset the source", button: "Reset",
			answer: (*Console).reset, back: source,
			effect: "The source is disabled and its ingestion state cleared. Once it is enabled, it collects again from its start date, " +
				"or without one from that moment on.",
			confirm: "Everything from the start date on is collected again",
		},
		{
			path: "sources/{source}/collect", query: "custodian", title: "Collect a period again", button: "Collect",
			answer: (*Console).collect, back: source, collect: true,
			effect: "A supplement collects the period for these custodians as soon as the schedule has come past it.",
		},
		{
			path: "batches/{source}/{batch}/retry", title: "Try the batch again", button: "Try again",
			answer: (*Console).retry, back: batch,
			effect: "A supplement collects what the final batch left undone. The batch itself stays as it is.",
		},
		{
			path: "batches/{source}/{batch}/abandon", title: "Abandon the batch", button: "Abandon",
			answer: (*Console).abandon, back: batch,
			effect:  "The batch ends with what it has. What it leaves undone is a gap, which is not tried again by itself.",
			confirm: "What is missing is no longer collected by itself",
		},
		{
			path: "exceptions/{source}/{id}/close", title: "Close the exception", button: "Close",
			answer: (*Console).closeException, back: exceptions,
			effect:  "The item is not fetched again by itself. The next manifest tells, in your words, what became of it.",
			confirm: "The item is not in the evidence, and stays out of it",
		},
	}
}

// A field is what a form asks for.
type field struct {
	Name, Label, Hint, Kind string // kinds: line, text, check
	Value                   string
	Fault                   string
}

// A formData is the page of a form.
type formData struct {
	form
	Action         string // where it is sent
	Effect, Button string
	Subject        string
	Fields         []field
	Problem        *problem
	Back           string
	Dangerous      bool
}

// at is the form's path for what the arguments name.
func (f form) at(args map[string]string) string {
	path := f.path
	for name, value := range args {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
	}
	return path
}

func (f form) page(args map[string]string, values url.Values) formData {
	_, back := f.back(args)
	d := formData{form: f, Action: f.at(args), Effect: f.effect, Button: f.button, Back: back, Subject: args["source"], Dangerous: f.confirm != ""}
	for _, name := range []string{"batch", "id"} {
		if args[name] != "" {
			d.Subject = args[name]
		}
	}
	if f.collect {
		d.Fields = []field{
			{Name: "custodians", Label: "Custodians", Kind: "text", Hint: "Identifiers or object ids, one a line", Value: values.Get("custodians")},
			{Name: "start", Label: "Start", Kind: "line", Hint: "UTC, such as 2026-03-02 or 2026-03-02T08:00:00Z", Value: values.Get("start")},
			{Name: "end", Label: "End", Kind: "line", Hint: "UTC, exclusive", Value: values.Get("end")},
		}
	}
	d.Fields = append(d.Fields, field{
		Name: "reason", Label: "Reason", Kind: "text", Hint: "Why, in words for whoever reads the record", Value: values.Get("reason"),
	})
	if f.confirm != "" {
		d.Fields = append(d.Fields, field{Name: "confirmed", Label: f.confirm, Kind: "check"})
	}
	return d
}

func (f form) content(args map[string]string, d formData, status int) content {
	above, _ := f.back(args)
	return content{template: "form", title: f.title, crumbs: above, data: d, status: status}
}

func (c *Console) showForm(q *request, f form) (content, error) {
	if err := permit(q.who, http.MethodPost); err != nil {
		return content{}, err
	}
	if _, err := c.find(q.ctx, q.args["source"]); err != nil {
		return content{}, err
	}
	return f.content(q.args, f.page(q.args, url.Values{"custodians": {q.query.Get("custodian")}}), 0), nil
}

// postForm does by the API's function what the form asks for, and shows the form again with what is wrong with it.
func (c *Console) postForm(q *request, f form) (content, error) {
	d := f.page(q.args, q.form)
	if f.confirm != "" && q.form.Get("confirmed") != "yes" {
		p := failed(http.StatusUnprocessableEntity, "This must be confirmed", "Nothing was changed. Tick the box, if that is what you want.")
		return d.again(f, q.args, p), nil
	}
	done, err := c.act(q, f)
	var p *problem
	switch {
	case errors.As(err, &p) && p.Status != http.StatusNotFound:
		return d.again(f, q.args, p), nil
	case err != nil:
		return content{}, err
	}
	_, see := f.back(q.args)
	separator := "?"
	if strings.Contains(see, "?") {
		separator = "&"
	}
	return content{see: see + separator + "done=" + url.QueryEscape(done)}, nil
}

// act calls the API's function with the body that a program would send, and gives the name of the record; "nothing" if there was
// nothing to do.
func (c *Console) act(q *request, f form) (string, error) {
	body := map[string]any{"reason": plainLines(q.form.Get("reason"))}
	if f.collect {
		body["custodians"] = strings.FieldsFunc(q.form.Get("custodians"), func(r rune) bool { return r == '\n' || r == '\r' })
		body["start"], body["end"] = instantText(q.form.Get("start")), instantText(q.form.Get("end"))
	}
	data, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	inner := *q
	inner.body = data
	answer, err := ask[struct {
		Record string `json:"record"`
	}](&inner, func(q *request) (reply, error) { return f.answer(c, q) }, nil, nil)
	if answer.Record == "" {
		answer.Record = "nothing"
	}
	return answer.Record, err
}

// plainLines undoes the line ends of forms.
func plainLines(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// instantText takes a day, or a time as the API has it, which it judges.
func instantText(text string) string {
	text = strings.TrimSpace(text)
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04", time.DateTime} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.Format(time.RFC3339)
		}
	}
	return text
}

// again shows the form with what is wrong, each fault at its field.
func (d formData) again(f form, args map[string]string, p *problem) content {
	d.Problem = p
	for _, fault := range p.Faults {
		name, _, _ := strings.Cut(fault.Path, "[")
		for i := range d.Fields {
			if d.Fields[i].Name == name {
				if d.Fields[i].Fault != "" {
					d.Fields[i].Fault += "; "
				}
				d.Fields[i].Fault += fault.Path + " " + fault.Problem
			}
		}
	}
	if len(p.Faults) == 0 && d.Fields[len(d.Fields)-1].Kind == "check" && p.Title == "This must be confirmed" {
		d.Fields[len(d.Fields)-1].Fault = "must be ticked"
	}
	return f.content(args, d, p.Status)
}

// A configData is the page of the settings.
type configData struct {
	Text    string
	ETag    string
	Reason  string
	Problem *problem
	Checked bool
	Sources []string
	Config  configView
}

func (c *Console) showConfig(q *request) (content, error) {
	file, err := c.sourcesFile(q)
	var p *problem
	if err != nil && !(errors.As(err, &p) && p.Status == http.StatusNotFound) {
		return content{}, err
	}
	return c.configPage(q, configData{Text: string(file.data), ETag: file.etag}, 0)
}

func (c *Console) configPage(q *request, d configData, status int) (content, error) {
	answer, err := ask[sourcesAnswer](q, c.sources, nil, nil)
	d.Config = answer.Config
	return content{template: "config", title: "Configuration", data: d, status: status}, err
}

// postConfig checks a new sources file, or has it take effect, as PUT /config does.
func (c *Console) postConfig(q *request) (content, error) {
	d := configData{Text: plainLines(q.form.Get("text")), ETag: q.form.Get("etag"), Reason: plainLines(q.form.Get("reason"))}
	inner := *q
	inner.body = []byte(d.Text)
	inner.header = http.Header{}
	if d.ETag != "" {
		inner.header.Set("If-Match", d.ETag)
	}
	query := url.Values{"reason": {d.Reason}}
	if q.form.Get("do") != "apply" {
		query = url.Values{"check": {"true"}}
	}
	answer, err := ask[map[string]any](&inner, c.putSourcesFile, nil, query)
	var p *problem
	if errors.As(err, &p) {
		d.Problem = p
		return c.configPage(q, d, p.Status)
	}
	if err != nil {
		return content{}, err
	}
	if q.form.Get("do") != "apply" {
		d.Checked = true
		d.Sources, _ = answer["sources"].([]string)
		return c.configPage(q, d, 0)
	}
	record, _ := answer["record"].(string)
	if record == "" {
		record = "nothing"
	}
	return content{see: "config?done=" + url.QueryEscape(record)}, nil
}
