// Package config keeps the settings in force: it takes a valid sources file over from the customer's container, keeps every
// accepted version as evidence, and leaves the last good one in force when a newer one has faults.
package config

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"chainmail/handlers/ledger"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault"
)

// File is the sources file in the container that the customer writes; the lists of individuals lie beside it.
const File = "sources.json"

// A Store reads and accepts settings. All fields are needed.
type Store struct {
	Written  *vault.Container                        // container config: what the customer writes
	State    *vault.Container                        // accepted versions, by their hash
	Evidence func(container string) *vault.Container // where accepted versions are kept write-once
	Ledger   *ledger.Ledger
	Lookup   func(string) (string, bool) // secrets, under the names that the sources give
	Log      *slog.Logger
	Now      func() time.Time
}

// InForce is a set of valid settings with the SHA-256 of the file that they were read from.
type InForce struct {
	SHA256  string
	Sources []settings.Source
}

// Source is the source of that name; false if the settings have none.
func (f InForce) Source(name string) (settings.Source, bool) {
	for _, s := range f.Sources {
		if s.Name == name {
			return s, true
		}
	}
	return settings.Source{}, false
}

// Accept takes the customer's file over if it is valid, and returns the settings in force. A file with faults changes
// nothing: its faults are logged and kept as state blob config/rejected.json, until a file is accepted. Without any good
// file the settings are empty.
func (s *Store) Accept(ctx context.Context) (InForce, error) {
	for {
		force, err := s.accept(ctx)
		if !errors.Is(err, ledger.ErrConflict) { // else a rival was faster: look again at the file and the row
			return force, err
		}
	}
}

func (s *Store) accept(ctx context.Context) (InForce, error) {
	row, err := s.Ledger.Config(ctx)
	if err != nil {
		return InForce{}, err
	}
	data, err := s.Written.Get(ctx, File)
	if errors.Is(err, vault.ErrNotFound) {
		s.Log.WarnContext(ctx, "config missing", "remedy", "upload sources.json to the container config of the state account")
		return s.Current(ctx)
	}
	if err != nil {
		return InForce{}, fmt.Errorf("read sources file: %w", err)
	}
	sum := hash(data)
	sources, err := settings.ParseSources(data, s.Lookup)
	if err == nil && row.Value.SHA256 != sum {
		err = s.follows(ctx, sources)
	}
	if faults := (settings.Faults)(nil); err != nil && !errors.As(err, &faults) {
		return InForce{}, err
	}
	if err != nil {
		if err := s.reject(ctx, row, sum, err); err != nil {
			return InForce{}, err
		}
		return s.Current(ctx)
	}
	switch {
	case row.Value.SHA256 != sum:
		err = s.keep(ctx, row, sum, data, sources)
	case row.Value.Rejected != "": // the version in force is the customer's file again
		err = s.put(ctx, row, ledger.Config{SHA256: sum, AcceptedAt: row.Value.AcceptedAt})
	}
	if err != nil {
		return InForce{}, err
	}
	return InForce{SHA256: sum, Sources: sources}, nil
}

// Check reads a sources file and says whether it may come into force. The error is of type [settings.Faults] where it may not; any
// other says that it could not be found out.
//
// Beside what [settings.ParseSources] wants, it must follow what is in force: a source that has begun keeps its container, in which
// its chain of manifests lies, and one that has unfinished batches stays until they are finished.
func (s *Store) Check(ctx context.Context, data []byte) ([]settings.Source, error) {
	sources, err := settings.ParseSources(data, s.Lookup)
	if err == nil {
		err = s.follows(ctx, sources)
	}
	if err != nil {
		return nil, err
	}
	return sources, nil
}

// follows says what keeps sources from coming after those in force.
func (s *Store) follows(ctx context.Context, sources []settings.Source) error {
	var faults settings.Faults
	named := map[string]bool{}
	for i, one := range sources {
		named[one.Name] = true
		row, err := s.Ledger.Source(ctx, one.Name)
		if err != nil {
			return err
		}
		if was := row.Value.Container; was != "" && was != one.Container {
			faults = append(faults, settings.Fault{Path: fmt.Sprintf("sources[%d].container", i), Problem: fmt.Sprintf(
				"source %s has begun in the container %s, where its chain of manifests lies: keep it, or collect under another name", one.Name, was)})
		}
	}
	force, err := s.Current(ctx)
	if err != nil {
		return err
	}
	for _, old := range force.Sources {
		if named[old.Name] {
			continue
		}
		open, err := s.Ledger.OpenBatches(ctx, old.Name)
		if err != nil {
			return err
		}
		if len(open) > 0 {
			faults = append(faults, settings.Fault{Path: "sources", Problem: fmt.Sprintf(
				"source %s is missing, and has %d unfinished batches: leave it in with \"enabled\": false until they are finished", old.Name, len(open))})
		}
	}
	if faults != nil {
		return faults
	}
	return nil
}

// Current is the settings in force, as the last Accept left them.
func (s *Store) Current(ctx context.Context) (InForce, error) {
	row, err := s.Ledger.Config(ctx)
	if err != nil || row.Value.SHA256 == "" {
		return InForce{}, err
	}
	data, err := s.State.Get(ctx, stateBlob(row.Value.SHA256))
	if err != nil {
		return InForce{}, fmt.Errorf("read settings in force: %w", err)
	}
	// Secrets may be gone from the app settings since: that is the affair of whoever needs them.
	sources, err := settings.ParseSources(data, nil)
	if err != nil {
		return InForce{}, fmt.Errorf("read settings in force: %w", err)
	}
	for i := range sources {
		c := &sources[i].Credential
		if v, ok := s.Lookup(c.Setting); ok && c.Setting != "" {
			c.Secret = settings.NewSecret(v)
		}
	}
	return InForce{SHA256: row.Value.SHA256, Sources: sources}, nil
}

// keep writes the accepted version into the evidence of every container it names before it comes into force, so that no
// manifest can name a version that is not there.
func (s *Store) keep(ctx context.Context, row ledger.Row[ledger.Config], sum string, data []byte, sources []settings.Source) error {
	if err := s.State.Put(ctx, stateBlob(sum), data); err != nil {
		return fmt.Errorf("keep settings: %w", err)
	}
	for _, name := range containers(sources) {
		c := s.Evidence(name)
		if err := c.Ensure(ctx); err != nil {
			return fmt.Errorf("open evidence: %w", err)
		}
		if err := c.PutOnce(ctx, "_config/"+sum+".json", data, "application/json"); err != nil {
			return fmt.Errorf("keep settings in the evidence: %w", err)
		}
	}
	if err := s.put(ctx, row, ledger.Config{SHA256: sum, AcceptedAt: s.Now().UTC()}); err != nil {
		return err
	}
	s.Log.InfoContext(ctx, "config accepted", "sha256", sum, "sources", len(sources))
	return nil
}

// put writes the row of a customer's file that is good, and takes away the report on one that was not.
func (s *Store) put(ctx context.Context, row ledger.Row[ledger.Config], value ledger.Config) error {
	if row.Value.Rejected != "" {
		if err := s.State.Delete(ctx, rejectedBlob); err != nil {
			return fmt.Errorf("remove faults of settings: %w", err)
		}
	}
	row.Value = value
	return s.Ledger.PutConfig(ctx, row)
}

// A rejection is the report on a file with faults, as state blob config/rejected.json.
type rejection struct {
	SHA256 string          `json:"sha256"` // of the file
	At     time.Time       `json:"at"`
	Faults settings.Faults `json:"faults"` // all of them
}

const rejectedBlob = "config/rejected.json"

// maxFaults is how many faults are logged one by one. Each is at most a few hundred bytes, and comes at every tick.
const maxFaults = 50

func (s *Store) reject(ctx context.Context, row ledger.Row[ledger.Config], sum string, verdict error) error {
	faults := settings.Faults{{Problem: "the file cannot be read"}}
	errors.As(verdict, &faults)
	for _, f := range faults[:min(len(faults), maxFaults)] {
		s.Log.ErrorContext(ctx, "config rejected", "sha256", sum, "path", f.Path, "problem", f.Problem)
	}
	if more := len(faults) - maxFaults; more > 0 {
		s.Log.ErrorContext(ctx, "config rejected", "sha256", sum, "more", more, "report", "state blob "+rejectedBlob)
	}
	if row.Value.Rejected == sum && row.Value.Faults == len(faults) {
		// The same file may have other faults by now: app settings that hold secrets come and go.
		if reported, err := s.reported(ctx, faults); err != nil || reported {
			return err
		}
	}
	report, err := json.MarshalIndent(rejection{sum, s.Now().UTC(), faults}, "", "  ")
	if err != nil {
		return err
	}
	if err := s.State.Put(ctx, rejectedBlob, report); err != nil {
		return fmt.Errorf("keep faults of settings: %w", err)
	}
	row.Value.Rejected, row.Value.Faults = sum, len(faults)
	return s.Ledger.PutConfig(ctx, row)
}

// reported reports whether the report tells of these faults.
func (s *Store) reported(ctx context.Context, faults settings.Faults) (bool, error) {
	data, err := s.State.Get(ctx, rejectedBlob)
	if errors.Is(err, vault.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read faults of settings: %w", err)
	}
	var kept rejection
	return json.Unmarshal(data, &kept) == nil && slices.Equal(kept.Faults, faults), nil
}

func containers(sources []settings.Source) []string {
	var names []string
	for _, s := range sources {
		names = append(names, s.Container)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func stateBlob(sum string) string { return "config/" + sum + ".json" }

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
