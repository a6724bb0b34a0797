package ledger

import (
	"context"
	"time"
)

// Source is the row of a source. It exists from the first tick of either timer that finds the source enabled.
type Source struct {
	Begin       time.Time `json:",omitzero"`  // from where on the state has moved: nothing before it is owed
	State       time.Time `json:",omitzero"`  // ingestion state: everything before it stands in batches
	Container   string    `json:",omitempty"` // of the evidence; for life
	EnabledAt   time.Time `json:",omitzero"`
	PeopleAt    time.Time `json:",omitzero"` // the last synchronisation of individuals; zero: none yet, nothing is planned
	LastRun     time.Time `json:",omitzero"`
	LastError   string    `json:",omitempty"` // a code, never text of a mailbox
	LastErrorAt time.Time `json:",omitzero"`
	LastSuccess time.Time `json:",omitzero"` // the last batch that was sealed with somebody collected

	// What a person must mend, such as a sign-in that is refused, and since when: nothing new is begun meanwhile.
	Trouble      string    `json:",omitempty"`
	TroubleSince time.Time `json:",omitzero"`

	// A source that is disabled here, though the settings have it enabled: by the health check, or by an operator.
	DisabledAt     time.Time `json:",omitzero"`
	DisabledReason string    `json:",omitempty"`

	LookedDay  time.Time `json:",omitzero"` // the end of the last day that was, or is being, looked at a second time
	LookedWeek time.Time `json:",omitzero"` // the same of the wide look
}

// Disabled reports whether the source is disabled here.
func (s Source) Disabled() bool { return !s.DisabledAt.IsZero() }

// Disable stops a source from being planned, for a reason; its open batches go on to their ends. One that is disabled stays so for
// the first reason.
func (l *Ledger) Disable(ctx context.Context, name, reason string, now time.Time) error {
	return l.UpdateSource(ctx, name, func(s *Source) bool {
		change := !s.Disabled()
		if change {
			s.DisabledAt, s.DisabledReason = now, reason
		}
		return change
	})
}

// Enable has a source planned again, from where it was, whatever it was disabled for. What was in its way has to show itself anew.
func (l *Ledger) Enable(ctx context.Context, name string, now time.Time) error {
	return l.UpdateSource(ctx, name, func(s *Source) bool {
		change := s.Disabled() || s.Trouble != ""
		s.DisabledAt, s.DisabledReason, s.Trouble, s.TroubleSince = time.Time{}, "", "", time.Time{}
		if !s.EnabledAt.IsZero() {
			s.EnabledAt = now
		}
		return change
	})
}

// Reset disables a source and clears its ingestion state: once it is enabled it collects again from its start date, or without one
// from that moment on.
func (l *Ledger) Reset(ctx context.Context, name string, now time.Time) error {
	return l.UpdateSource(ctx, name, func(s *Source) bool {
		s.DisabledAt, s.DisabledReason = now, "Reset"
		s.State, s.Begin, s.EnabledAt = time.Time{}, time.Time{}, time.Time{}
		return true
	})
}

// LatestError is what stands as the last error at the time, which is forgotten after a while.
func (s Source) LatestError(now time.Time, retention time.Duration) (code string, at time.Time) {
	if s.LastError == "" || retention > 0 && now.Sub(s.LastErrorAt) >= retention {
		return "", time.Time{}
	}
	return s.LastError, s.LastErrorAt
}

// Head is the end of a source's chain of manifests.
type Head struct {
	Sequence       int    // of the manifest sealed last; 0: none yet
	ManifestSHA256 string `json:",omitempty"`
}

// Config is the row that names the settings in force, in a partition of its own.
type Config struct {
	SHA256     string    // of the sources file in force: state blob config/<sha256>.json
	AcceptedAt time.Time `json:",omitzero"`
	Rejected   string    `json:",omitempty"` // SHA-256 of a newer file that was refused
	Faults     int       `json:",omitempty"`
}

const app = "_app" // no source can be named so

// Config reads the row of the settings in force; a row that does not exist is zero.
func (l *Ledger) Config(ctx context.Context) (Row[Config], error) {
	return find[Config](ctx, l, app, "config")
}

// PutConfig writes the row of the settings in force, as decided on what was read.
func (l *Ledger) PutConfig(ctx context.Context, r Row[Config]) error {
	return l.commit(ctx, app, replace("config", r))
}

// Source reads a source's row; one that does not exist is zero.
func (l *Ledger) Source(ctx context.Context, name string) (Row[Source], error) {
	return find[Source](ctx, l, name, "source")
}

// UpdateSource reads a source's row, lets change alter it, and writes it, again from the start when a rival was
// faster. change may be called several times; when it returns false nothing is written.
func (l *Ledger) UpdateSource(ctx context.Context, name string, change func(*Source) bool) error {
	return update(ctx, l, name, "source", change)
}

func update[T any](ctx context.Context, l *Ledger, partition, key string, change func(*T) bool) error {
	for {
		r, err := find[T](ctx, l, partition, key)
		if err != nil {
			return err
		}
		if !change(&r.Value) {
			return nil
		}
		if err := l.commit(ctx, partition, replace(key, r)); err != ErrConflict {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// complaintAfter is how old the same complaint must be to be written again: many mailboxes have it at once.
const complaintAfter = time.Hour

// Succeeded notes that a batch was sealed in which somebody was collected.
func (l *Ledger) Succeeded(ctx context.Context, name string, now time.Time) error {
	return l.UpdateSource(ctx, name, func(s *Source) bool {
		if now.Sub(s.LastSuccess) < successAfter {
			return false
		}
		s.LastSuccess = now
		return true
	})
}

// successAfter is how much later a success must be to be written: a cold start seals many batches in a row.
const successAfter = 5 * time.Minute

// Trouble notes that a person must mend something before the source can go on, by its code; the first of several in a row
// counts.
func (l *Ledger) Trouble(ctx context.Context, name, code string, now time.Time) error {
	return l.UpdateSource(ctx, name, func(s *Source) bool {
		if s.Trouble == code && now.Sub(s.LastErrorAt) < complaintAfter {
			return false
		}
		s.Trouble, s.LastError, s.LastErrorAt = code, code, now
		if s.TroubleSince.IsZero() {
			s.TroubleSince = now
		}
		return true
	})
}

// Complain notes what is wrong with a source as a whole, by its code.
func (l *Ledger) Complain(ctx context.Context, name, code string, now time.Time) error {
	return l.UpdateSource(ctx, name, func(s *Source) bool {
		if s.LastError == code && now.Sub(s.LastErrorAt) < complaintAfter {
			return false
		}
		s.LastError, s.LastErrorAt = code, now
		return true
	})
}
