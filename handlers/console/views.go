package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault"
)

// rowsShown is how many rows a page has.
const (
	rowsShown    = 50
	batchesShown = 30
	openShown    = 5
	openLooked   = 20 // at most so many are looked through for them
)

func top(n int) url.Values { return url.Values{"top": {strconv.Itoa(n)}} }

// A sourceCard is a source on the first page.
type sourceCard struct {
	sourceView
	State    string // enabled, disabled, trouble, behind, done
	Forecast forecast
}

// stateOf says in one word how a source is.
func stateOf(v sourceView, f forecast) string {
	switch {
	case !v.Enabled || !v.DisabledAt.IsZero():
		return "disabled"
	case v.Trouble != "":
		return "trouble"
	case f.Done:
		return "done"
	case v.IngestionState.IsZero():
		return "waiting"
	case f.Windows > 1:
		return "behind"
	}
	return "enabled"
}

func (c *Console) showSources(q *request) (content, error) {
	answer, err := ask[sourcesAnswer](q, c.sources, nil, nil)
	if err != nil {
		return content{}, err
	}
	force, err := c.Config.Current(q.ctx)
	if err != nil {
		return content{}, err
	}
	var data struct {
		Cards  []sourceCard
		Config configView
	}
	data.Config = answer.Config
	for _, v := range answer.Value {
		s, _ := force.Source(v.Name)
		// The batches are not read: how fast a source catches up stands on its own page.
		f := forecastOf(s, ledger.Source{State: v.IngestionState}, nil, c.Now().UTC())
		data.Cards = append(data.Cards, sourceCard{v, stateOf(v, f), f})
	}
	return content{template: "sources", title: "Sources", data: data}, nil
}

func (c *Console) showSource(q *request) (content, error) {
	v, err := ask[detailedSource](q, c.source, nil, nil)
	if err != nil {
		return content{}, err
	}
	s, err := c.find(q.ctx, v.Name)
	if err != nil {
		return content{}, err
	}
	before, first, err := beginning(q, v.IngestionState)
	if err != nil {
		return content{}, err
	}
	batches, older, err := c.latest(q, s, before, batchesShown)
	if err != nil {
		return content{}, err
	}
	data := struct {
		detailedSource
		Settings settings.Source
		State    string
		More     map[string]bool
		Rows     []batchView // the latest first
		Timeline timeline
		Older    string
		First    bool
	}{detailedSource: v, Settings: s, State: stateOf(v.sourceView, v.Forecast), More: map[string]bool{}, First: first}
	for _, name := range v.AtLeast {
		data.More[name] = true
	}
	for i := len(batches) - 1; i >= 0; i-- {
		data.Rows = append(data.Rows, viewBatch(s.Name, "", batches[i]))
	}
	data.Timeline = timelineOf(batches)
	if older {
		data.Older = batches[0].Start.UTC().Format(time.RFC3339)
	}
	return content{template: "source", title: v.Name, crumbs: []crumb{{"Sources", ""}}, data: data}, nil
}

// beginning is before when the batches of a page lie, and whether that is the latest page.
func beginning(q *request, state time.Time) (time.Time, bool, error) {
	text := q.query.Get("before")
	if text == "" {
		return state, true, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		var f faults
		f.add("before", "is no time: follow a link of the page")
		return t, false, f.problem(http.StatusBadRequest)
	}
	return t, false, nil
}

func crumbs(source string) []crumb {
	return []crumb{{"Sources", ""}, {source, "sources/" + source}}
}

func (c *Console) showCustodians(q *request) (content, error) {
	source := q.args["source"]
	if wanted := q.query.Get("find"); wanted != "" {
		return c.findCustodian(q, source, wanted)
	}
	query := top(rowsShown)
	query.Set("after", q.query.Get("after"))
	list, err := ask[page](q, c.custodians, nil, query)
	if err != nil {
		return content{}, err
	}
	data := map[string]any{"Source": source, "Rows": list.Value, "Next": list.Next, "After": q.query.Get("after")}
	return content{template: "custodians", title: "Custodians", crumbs: crumbs(source), data: data}, nil
}

// findCustodian goes to the page of an individual by their identifier.
func (c *Console) findCustodian(q *request, source, identifier string) (content, error) {
	s, err := c.find(q.ctx, source)
	if err != nil {
		return content{}, err
	}
	key := ledger.PersonKey(identifier)
	row, err := c.Ledger.Person(q.ctx, s.Name, key)
	if err == nil && !row.Exists() {
		err = missing("custodian", "No individual of the source has that identifier: write it whole, such as ana@contoso.example.")
	}
	return content{see: "custodians/" + s.Name + "/" + key}, err
}

// A custodianData is the page of a custodian.
type custodianData struct {
	custodianView
	Source     string
	Planned    time.Duration // how much time of monitoring batches were planned for
	Gaps       []gapView
	Owed       time.Duration
	Exceptions []exceptionView
	Next       string
	Lane       laneView
}

// A laneView is what a lane works on.
type laneView struct {
	Number int
	Open   []batchView // the first batches of it that are not final
}

func (c *Console) showCustodian(q *request) (content, error) {
	s, err := c.find(q.ctx, q.args["source"])
	if err != nil {
		return content{}, err
	}
	none := missing("custodian", "Look in the source's list of custodians.")
	key := q.args["id"]
	if !ledger.SliceAfter(key) {
		return content{}, none
	}
	row, err := c.Ledger.Person(q.ctx, s.Name, key)
	if err == nil && !row.Exists() {
		err = none
	}
	if err != nil {
		return content{}, err
	}
	data := custodianData{Source: s.Name, custodianView: viewCustodian(key, row.Value), Lane: laneView{Number: row.Value.Lane}}
	src, err := c.Ledger.Source(q.ctx, s.Name)
	if err != nil {
		return content{}, err
	}
	data.Planned = row.Value.MonitoredFor(capture.Window{Start: src.Value.Begin, End: src.Value.State})
	gaps, err := c.Ledger.PersonGaps(q.ctx, s.Name, key)
	if err != nil {
		return content{}, err
	}
	for _, g := range gaps {
		data.Gaps = append(data.Gaps, viewGap(s.Name, key, g.Value))
		data.Owed += g.Value.Window().Duration()
	}
	found, err := c.Ledger.CustodianExceptions(q.ctx, s.Name, data.Custodian, q.query.Get("after"), rowsShown)
	if err != nil {
		return content{}, badAfter(q, err)
	}
	for i, x := range found.Rows {
		data.Exceptions = append(data.Exceptions, viewException(s.Name, data.Custodian+":"+found.Keys[i], x.Value))
	}
	data.Next = found.Next
	open, err := c.Ledger.FirstOpen(q.ctx, s.Name, openLooked)
	for _, b := range open {
		if len(data.Lane.Open) < openShown && !b.Status.Final() && slices.Contains(b.Lanes.V, data.Lane.Number) {
			data.Lane.Open = append(data.Lane.Open, viewBatch(s.Name, "", b))
		}
	}
	title := data.DisplayName
	if title == "" {
		title = data.Identifier
	}
	above := append(crumbs(s.Name), crumb{"Custodians", "sources/" + s.Name + "/custodians"})
	return content{template: "custodian", title: title, crumbs: above, data: data}, err
}

// badAfter tells a bad link from a failure.
func badAfter(q *request, err error) error {
	if ledger.SliceAfter(q.query.Get("after")) {
		return err
	}
	var f faults
	f.add("after", "must be what a page before named next")
	return f.problem(http.StatusBadRequest)
}

// A batchData is the page of a batch.
type batchData struct {
	detailedBatch
	Manifest   manifest
	Sealed     bool
	People     []capture.Custodian
	PeopleNext int
	PeopleFrom int
	Exceptions []exceptionView
	More       bool // there are more exceptions
}

// A manifest is what the page has of a batch's.
type manifest struct {
	Totals struct {
		Found, Captured, Excepted, Unchanged, Recovered, Excluded, Documents int
		Bytes                                                                int64
	} `json:"totals"`
	Seals []struct {
		Name, SHA256 string
	} `json:"seals"`
}

func (c *Console) showBatch(q *request) (content, error) {
	source, b, err := c.batchOf(q)
	if err != nil {
		return content{}, err
	}
	v, err := ask[detailedBatch](q, c.batch, nil, nil)
	if err != nil {
		return content{}, err
	}
	data := batchData{detailedBatch: v, Sealed: b.Sequence > 0}
	if data.Sealed {
		if err := c.stored(q, b.Manifest, &data.Manifest); err != nil {
			return content{}, err
		}
	}
	if err := c.people(q, b, &data); err != nil {
		return content{}, err
	}
	found, err := c.Ledger.BatchExceptions(q.ctx, source, b.ID, "", rowsShown)
	for i, x := range found.Rows {
		data.Exceptions = append(data.Exceptions, viewException(source, found.Keys[i], x.Value))
	}
	data.More = found.Next != ""
	return content{template: "batch", title: "Batch " + showPeriod(b.Start, b.End), crumbs: crumbs(source), data: data}, err
}

// people gives the page a part of the batch's custodians, from the place on that the query names.
func (c *Console) people(q *request, b ledger.Batch, data *batchData) error {
	var all []capture.Custodian
	if err := c.stored(q, b.Snapshot, &all); err != nil {
		return err
	}
	if text := q.query.Get("after"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > len(all) {
			var f faults
			f.add("after", "must be what a page before named next")
			return f.problem(http.StatusBadRequest)
		}
		data.PeopleFrom = n
	}
	end := min(data.PeopleFrom+rowsShown, len(all))
	if data.People = all[data.PeopleFrom:end]; end < len(all) {
		data.PeopleNext = end
	}
	return nil
}

// stored reads a state blob into v; one that there is none of leaves it as it is.
func (c *Console) stored(q *request, name string, v any) error {
	if name == "" {
		return nil
	}
	data, err := c.State.Get(q.ctx, name)
	if errors.Is(err, vault.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil { // whose text may quote an individual
		return errors.New("read state blob: it is damaged")
	}
	return nil
}

func (c *Console) showExceptions(q *request) (content, error) {
	return c.showList(q, "exceptions", "Open exceptions", c.exceptions)
}

func (c *Console) showGaps(q *request) (content, error) { return c.showList(q, "gaps", "Gaps", c.gaps) }

// showList shows one of the lists that go over all sources.
func (c *Console) showList(q *request, name, title string, answer func(*request) (reply, error)) (content, error) {
	query := top(rowsShown)
	for _, parameter := range []string{"source", "after"} {
		if value := q.query.Get(parameter); value != "" {
			query.Set(parameter, value)
		}
	}
	list, err := ask[page](q, answer, nil, query)
	if err != nil {
		return content{}, err
	}
	data := map[string]any{
		"Rows": list.Value, "Next": list.Next, "After": query.Get("after"), "Source": query.Get("source"), "Page": name,
	}
	above := []crumb(nil)
	if source := query.Get("source"); source != "" {
		above = crumbs(source)
	}
	return content{template: name, title: title, crumbs: above, data: data}, nil
}

// A finding is one of the preflight's.
type finding struct {
	Check, State, Text, Remedy string
	Custodians                 []string
}

// A preflightData is the page of a source's preflight.
type preflightData struct {
	Source   string
	Ran      bool
	At       time.Time
	Findings []finding
}

func (c *Console) showPreflight(q *request) (content, error) {
	s, err := c.find(q.ctx, q.args["source"])
	if err != nil {
		return content{}, err
	}
	run, err := q.flag("run")
	if err != nil {
		return content{}, err
	}
	var data preflightData
	if run {
		if data, err = ask[preflightData](q, c.preflight, nil, nil); err != nil {
			return content{}, err
		}
	}
	data.Source, data.Ran = s.Name, run
	return content{template: "preflight", title: "Preflight", crumbs: crumbs(s.Name), data: data}, nil
}
