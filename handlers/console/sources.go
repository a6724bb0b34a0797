package console

import (
	"context"
	"net/http"
	"slices"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"
)

// A sourceView is how a source is doing.
type sourceView struct {
	Name           string    `json:"name"`
	Domain         string    `json:"domain"`
	Enabled        bool      `json:"enabled"`             // by the settings
	DisabledAt     time.Time `json:"disabledAt,omitzero"` // here, whatever the settings say
	DisabledReason string    `json:"disabledReason,omitempty"`
	Trouble        string    `json:"trouble,omitempty"` // what a person must mend before anything new is begun
	TroubleSince   time.Time `json:"troubleSince,omitzero"`
	StartDate      time.Time `json:"startDate,omitzero"`
	EndDate        time.Time `json:"endDate,omitzero"`
	Begin          time.Time `json:"begin,omitzero"`          // from where on the schedule has gone
	IngestionState time.Time `json:"ingestionState,omitzero"` // up to where it has come
	EnabledAt      time.Time `json:"enabledAt,omitzero"`
	IndividualsAt  time.Time `json:"individualsAt,omitzero"` // when they were synchronised last
	LastRun        time.Time `json:"lastRun,omitzero"`
	LastSuccess    time.Time `json:"lastSuccess,omitzero"`
	LastError      string    `json:"lastError,omitempty"`
	LastErrorAt    time.Time `json:"lastErrorAt,omitzero"`
}

func viewSource(s settings.Source, r ledger.Source, now time.Time) sourceView {
	v := sourceView{
		Name: s.Name, Domain: s.Domain, Enabled: s.Enabled, DisabledAt: r.DisabledAt, DisabledReason: r.DisabledReason,
		Trouble: r.Trouble, TroubleSince: r.TroubleSince, StartDate: s.StartDate, EndDate: s.EndDate, Begin: r.Begin,
		IngestionState: r.State, EnabledAt: r.EnabledAt, IndividualsAt: r.PeopleAt, LastRun: r.LastRun, LastSuccess: r.LastSuccess,
	}
	v.LastError, v.LastErrorAt = r.LatestError(now, s.ErrorRetention)
	return v
}

// A sourcesAnswer is all sources, with the settings that they are from.
type sourcesAnswer struct {
	Value  []sourceView `json:"value"`
	Config configView   `json:"config"`
}

// A configView is which settings are in force.
type configView struct {
	SHA256     string    `json:"sha256,omitempty"` // of the settings in force
	AcceptedAt time.Time `json:"acceptedAt,omitzero"`
	Rejected   string    `json:"rejected,omitempty"` // SHA-256 of a newer file with faults
	Faults     int       `json:"faults,omitempty"`
}

// sources: GET /sources.
func (c *Console) sources(q *request) (reply, error) {
	force, err := c.Config.Current(q.ctx)
	if err != nil {
		return reply{}, err
	}
	row, err := c.Ledger.Config(q.ctx)
	if err != nil {
		return reply{}, err
	}
	var answer sourcesAnswer
	answer.Config.SHA256, answer.Config.AcceptedAt = force.SHA256, row.Value.AcceptedAt
	answer.Config.Rejected, answer.Config.Faults = row.Value.Rejected, row.Value.Faults
	answer.Value = []sourceView{}
	for _, s := range force.Sources {
		r, err := c.Ledger.Source(q.ctx, s.Name)
		if err != nil {
			return reply{}, err
		}
		answer.Value = append(answer.Value, viewSource(s, r.Value, c.Now()))
	}
	return reply{value: answer}, nil
}

// find gives a source of the settings in force.
func (c *Console) find(ctx context.Context, name string) (settings.Source, error) {
	force, err := c.Config.Current(ctx)
	if err != nil {
		return settings.Source{}, err
	}
	s, ok := force.Source(name)
	if !ok {
		return s, missing("source", "The settings in force have none of that name: GET /api/sources lists those that they have.")
	}
	return s, nil
}

// A detailedSource is a source with what there is of it.
type detailedSource struct {
	sourceView
	Forecast       forecast                    `json:"forecast"`
	Batches        map[capture.BatchStatus]int `json:"batches"` // how many, by their statuses
	Documents      int                         `json:"documents"`
	Individuals    int                         `json:"individuals"`
	Excluded       map[string]int              `json:"excluded"` // individuals who cannot be collected, by the reasons
	OpenExceptions int                         `json:"openExceptions"`
	Gaps           int                         `json:"gaps"`
	Sealed         int                         `json:"sealed"`            // batches that are final
	AtLeast        []string                    `json:"atLeast,omitempty"` // the figures that were not counted to their ends
}

// Bounds of what is read of a source at once. A thousand rows are a page of Table storage.
const (
	mostCounted = 5000
	paceBatches = 30
)

// source: GET /sources/{source}.
func (c *Console) source(q *request) (reply, error) {
	s, err := c.find(q.ctx, q.args["source"])
	if err != nil {
		return reply{}, err
	}
	r, err := c.Ledger.Source(q.ctx, s.Name)
	if err != nil {
		return reply{}, err
	}
	head, err := c.Ledger.Head(q.ctx, s.Name)
	if err != nil {
		return reply{}, err
	}
	t, err := c.Ledger.Tally(q.ctx, s.Name, mostCounted)
	if err != nil {
		return reply{}, err
	}
	v := detailedSource{
		sourceView: viewSource(s, r.Value, c.Now()), Batches: t.Batches, Documents: t.Documents, Individuals: t.Individuals,
		Excluded: t.Excluded, OpenExceptions: t.Exceptions, Gaps: t.Gaps, Sealed: head.Value.Sequence,
	}
	for name, more := range map[string]bool{
		"batches": t.MoreBatches, "documents": t.MoreBatches, "individuals": t.MoreIndividuals, "excluded": t.MoreIndividuals,
		"openExceptions": t.MoreExceptions, "gaps": t.MoreGaps,
	} {
		if more {
			v.AtLeast = append(v.AtLeast, name)
		}
	}
	slices.Sort(v.AtLeast)
	recent, _, err := c.latest(q, s, r.Value.State, paceBatches)
	v.Forecast = forecastOf(s, r.Value, recent, c.Now().UTC())
	return reply{value: v}, err
}

// latest are the batches before an instant, the oldest first.
func (c *Console) latest(q *request, s settings.Source, before time.Time, top int) ([]ledger.Batch, bool, error) {
	if before.IsZero() { // after a reset there may be batches of the time before it
		before = c.Now().UTC()
	}
	usual := s.Frequency
	if s.Merge {
		usual *= time.Duration(max(s.MaxMerge, 1))
	}
	rows, older, err := c.Ledger.BatchesBack(q.ctx, s.Name, before, usual, top)
	var all []ledger.Batch
	for _, r := range rows {
		all = append(all, r.Value)
	}
	return all, older, err
}

// A changed source says whether a request has changed anything, and by which record.
type changedSource struct {
	Changed bool       `json:"changed"`
	Record  string     `json:"record,omitempty"`
	Source  sourceView `json:"source"`
}

// enable: POST /sources/{source}/enable.
func (c *Console) enable(q *request) (reply, error) {
	return c.switched(q, "enable", func(s settings.Source, r ledger.Source) (bool, error) {
		if !s.Enabled {
			return false, failed(http.StatusConflict, "The settings have the source disabled",
				"Set its field enabled to true in sources.json, by PUT /api/config.")
		}
		return r.Disabled() || r.Trouble != "", nil
	}, func(name, _ string, now time.Time) error { return c.Ledger.Enable(q.ctx, name, now) })
}

// disable: POST /sources/{source}/disable.
func (c *Console) disable(q *request) (reply, error) {
	return c.switched(q, "disable", func(_ settings.Source, r ledger.Source) (bool, error) { return !r.Disabled(), nil },
		func(name, reason string, now time.Time) error {
			return c.Ledger.Disable(q.ctx, name, "Operator: "+reason, now)
		})
}

// reset: POST /sources/{source}/reset.
func (c *Console) reset(q *request) (reply, error) {
	return c.switched(q, "reset", func(settings.Source, ledger.Source) (bool, error) { return true, nil },
		func(name, _ string, now time.Time) error { return c.Ledger.Reset(q.ctx, name, now) })
}

// switched changes a source's row if there is something to change.
func (c *Console) switched(q *request, what string, due func(settings.Source, ledger.Source) (bool, error),
	change func(name, reason string, now time.Time) error) (reply, error) {
	s, err := c.find(q.ctx, q.args["source"])
	if err != nil {
		return reply{}, err
	}
	reason, err := q.reason()
	if err != nil {
		return reply{}, err
	}
	r, err := c.Ledger.Source(q.ctx, s.Name)
	if err != nil {
		return reply{}, err
	}
	var done changedSource
	if done.Changed, err = due(s, r.Value); err != nil {
		return reply{}, err
	}
	if done.Changed {
		if done.Record, err = c.record(q, action{Action: what, Source: s.Name, Reason: reason}, nil); err != nil {
			return reply{}, err
		}
		if err := change(s.Name, reason, c.Now().UTC()); err != nil {
			return reply{}, err
		}
		if r, err = c.Ledger.Source(q.ctx, s.Name); err != nil {
			return reply{}, err
		}
	}
	done.Source = viewSource(s, r.Value, c.Now())
	return reply{value: done}, nil
}

// preflight: GET /preflight/{source}.
func (c *Console) preflight(q *request) (reply, error) {
	s, err := c.find(q.ctx, q.args["source"])
	if err != nil {
		return reply{}, err
	}
	if c.Preflight == nil {
		return reply{}, failed(http.StatusNotImplemented, "There is no preflight in this build", "Run go run ./infra/local -preflight.")
	}
	result, err := c.Preflight(q.ctx, s)
	return reply{value: result}, err
}
