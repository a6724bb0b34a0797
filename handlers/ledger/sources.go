package ledger

import (
	"context"
	"time"
)

// Source is the row of a source. It exists from the first tick of either timer that finds the source enabled.
type Source struct {
	State       time.Time `json:",omitzero"` // ingestion state: everything before it stands in batches
	EnabledAt   time.Time `json:",omitzero"`
	PeopleAt    time.Time `json:",omitzero"` // the last synchronisation of individuals; zero: none yet, nothing is planned
	LastRun     time.Time `json:",omitzero"`
	LastError   string    `json:",omitempty"` // a code, never text of a mailbox
	LastErrorAt time.Time `json:",omitzero"`
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
