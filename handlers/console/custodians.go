package console

import (
	"net/http"
	"regexp"
	"time"

	"chainmail/handlers/ledger"
)

// A custodianView is a monitored individual.
type custodianView struct {
	Key                  string            `json:"key"`
	Identifier           string            `json:"identifier"`
	SecondaryIdentifiers []string          `json:"secondaryIdentifiers,omitempty"`
	DisplayName          string            `json:"displayName,omitempty"`
	ObjectID             string            `json:"objectId,omitempty"`
	Custodian            string            `json:"custodian"` // the name in evidence and logs
	Lane                 int               `json:"lane"`
	Monitored            []ledger.Interval `json:"monitored"`
	Excluded             string            `json:"excluded,omitempty"` // why they cannot be collected
	ExcludedSince        time.Time         `json:"excludedSince,omitzero"`
	Archive              bool              `json:"archive,omitempty"` // they have an archive mailbox, which is not captured
	CheckedAt            time.Time         `json:"checkedAt,omitzero"`
}

func viewCustodian(key string, p ledger.Person) custodianView {
	v := custodianView{
		Key: key, Identifier: p.Identifier, SecondaryIdentifiers: p.Secondary.V, DisplayName: p.DisplayName, ObjectID: p.ObjectID,
		Custodian: p.Custodian().Name(), Lane: p.Lane, Monitored: p.Intervals.V, Excluded: p.Reason, ExcludedSince: p.ExcludedAt,
		Archive: p.Archive, CheckedAt: p.CheckedAt,
	}
	if v.Monitored == nil {
		v.Monitored = []ledger.Interval{}
	}
	return v
}

// custodians: GET /sources/{source}/custodians.
func (c *Console) custodians(q *request) (reply, error) {
	s, err := c.find(q.ctx, q.args["source"])
	if err != nil {
		return reply{}, err
	}
	top, err := q.top()
	if err != nil {
		return reply{}, err
	}
	after := q.query.Get("after")
	if !ledger.SliceAfter(after) {
		var f faults
		f.add("after", "must be what an answer to the same query named next")
		return reply{}, f.problem(http.StatusBadRequest)
	}
	rows, err := c.Ledger.PeopleSlice(q.ctx, s.Name, after, top)
	if err != nil {
		return reply{}, err
	}
	values := []custodianView{}
	for i, r := range rows.Rows {
		values = append(values, viewCustodian(rows.Keys[i], r.Value))
	}
	return reply{value: page{values, rows.Next}}, nil
}

// An exceptionView is an item that was found and could not be captured.
type exceptionView struct {
	Source    string    `json:"source"`
	ID        string    `json:"id"` // custodian:item
	Custodian string    `json:"custodian"`
	Item      string    `json:"item"`
	Kind      string    `json:"kind"`
	State     string    `json:"state"` // where in the mailbox it lay
	Folder    string    `json:"folder"`
	Received  time.Time `json:"received,omitzero"`
	Size      int64     `json:"size,omitempty"`
	Lane      int       `json:"lane"`
	Batch     string    `json:"batch"` // that found it
	Also      []string  `json:"also,omitempty"`
	Stage     string    `json:"stage"`
	Code      string    `json:"code"`
	Attempts  int       `json:"attempts"`
	FirstSeen time.Time `json:"firstSeen"`
	LastSeen  time.Time `json:"lastSeen"`
	Due       time.Time `json:"due,omitzero"` // when it is fetched again; absent: not by itself
}

func viewException(source, id string, e ledger.Exception) exceptionView {
	item := e.Item.V
	return exceptionView{
		Source: source, ID: id, Custodian: e.Custodian, Item: item.Key(), Kind: string(item.Kind), State: string(item.State),
		Folder: item.Folder, Received: item.Received, Size: item.Size, Lane: e.Lane, Batch: e.Batch, Also: e.Also.V, Stage: e.Stage,
		Code: e.Code, Attempts: e.Attempts, FirstSeen: e.FirstSeen, LastSeen: e.LastSeen, Due: e.Due,
	}
}

// exceptions: GET /exceptions, the open ones.
func (c *Console) exceptions(q *request) (reply, error) {
	return paged(c, q, func(source, after string, top int) (ledger.Slice[ledger.Exception], error) {
		return c.Ledger.ExceptionsSlice(q.ctx, source, after, top)
	}, viewException)
}

// exceptionID is custodian:item.
var exceptionID = regexp.MustCompile(`^([A-Za-z0-9-]{1,64}):([A-Za-z0-9-]{1,64})$`)

// closeException: POST /exceptions/{source}/{id}/close. How it was closed is what the person says.
func (c *Console) closeException(q *request) (reply, error) {
	s, err := c.find(q.ctx, q.args["source"])
	if err != nil {
		return reply{}, err
	}
	reason, err := q.reason()
	if err != nil {
		return reply{}, err
	}
	if ledger.ClosedByItself(reason) {
		var f faults
		f.add("reason", "is what the app itself writes when it closes an exception: say in your own words why you do")
		return reply{}, f.problem(http.StatusUnprocessableEntity)
	}
	none := missing("exception", "GET /api/exceptions?source="+s.Name+" lists the open ones.")
	id := exceptionID.FindStringSubmatch(q.args["id"])
	if id == nil {
		return reply{}, none
	}
	row, err := c.Ledger.Exception(q.ctx, s.Name, id[1], id[2])
	switch {
	case err != nil:
		return reply{}, err
	case !row.Exists():
		return reply{}, none
	case row.Value.Closed != "":
		return reply{}, failed(http.StatusConflict, "The exception is closed", "It was closed before, and what became of it stands.")
	}
	a := action{Action: "close", Source: s.Name, Custodians: []string{id[1]}, Item: id[2], Reason: reason}
	record, err := c.record(q, a, nil)
	if err != nil {
		return reply{}, err
	}
	closing := ledger.Closing{Custodian: id[1], Item: id[2], How: reason, At: c.Now().UTC()}
	if err := c.Ledger.CloseExceptions(q.ctx, s.Name, []ledger.Closing{closing}); err != nil {
		return reply{}, err
	}
	c.Log.InfoContext(q.ctx, "exception closed", "source", s.Name, "custodian", id[1], "item", id[2], "how", "operator")
	if row, err = c.Ledger.Exception(q.ctx, s.Name, id[1], id[2]); err == nil && row.Value.Closed != reason {
		err = failed(http.StatusConflict, "The exception has changed meanwhile",
			"Look at it again, and close it then if it is still open.")
	}
	return reply{value: map[string]any{"closed": reason, "record": record}}, err
}

// A gapView is time that an individual is owed.
type gapView struct {
	Source    string    `json:"source"`
	Key       string    `json:"key"`
	Custodian string    `json:"custodian"`
	Lane      int       `json:"lane"`
	Start     time.Time `json:"start"`
	End       time.Time `json:"end"`
	Reason    string    `json:"reason"`
	Origin    string    `json:"origin,omitempty"` // the batch that left it open
	Opened    time.Time `json:"opened"`
	Attempts  int       `json:"attempts"`
	Due       time.Time `json:"due,omitzero"` // not tried before
	Held      bool      `json:"held"`         // by a person: not tried by itself
	Asked     bool      `json:"asked"`        // by a person: tried whatever is known
	RetryOf   string    `json:"retryOf,omitempty"`
	Batch     string    `json:"batch,omitempty"` // the supplement that tries it now
}

// gaps: GET /gaps.
func (c *Console) gaps(q *request) (reply, error) {
	return paged(c, q, func(source, after string, top int) (ledger.Slice[ledger.Gap], error) {
		return c.Ledger.GapsSlice(q.ctx, source, after, top)
	}, viewGap)
}

func viewGap(source, key string, g ledger.Gap) gapView {
	return gapView{
		Source: source, Key: key, Custodian: g.Custodian, Lane: g.Lane, Start: g.Start, End: g.End, Reason: g.Reason, Origin: g.Origin,
		Opened: g.Opened, Attempts: g.Attempts, Due: g.Due, Held: g.Held, Asked: g.Asked, RetryOf: g.RetryOf, Batch: g.Batch,
	}
}
