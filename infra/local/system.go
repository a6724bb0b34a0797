package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/config"
	"chainmail/handlers/ledger"
	"chainmail/handlers/plan"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault"
	"chainmail/handlers/vault/storagetest"
)

// errIncomplete says that a batch did not complete; the closing table has named it.
var errIncomplete = errors.New("not every batch completed")

// system is the storage that app and run share.
type system struct {
	connection string
	blobURL    string
	vault      *vault.Vault
	ledger     *ledger.Ledger
	sources    []settings.Source // enabled ones
}

func open(azurite *storagetest.Azurite, g *given) (*system, error) {
	s := &system{
		connection: azurite.ConnectionString(storagetest.DevelopmentName),
		blobURL:    azurite.BlobURL(storagetest.DevelopmentName),
	}
	var err error
	if s.vault, err = vault.Open(vault.Account{ConnectionString: s.connection}); err != nil {
		return nil, err
	}
	if s.ledger, err = ledger.Open(ledger.Account{ConnectionString: s.connection}); err != nil {
		return nil, err
	}
	for _, source := range g.sources {
		if source.Enabled {
			s.sources = append(s.sources, source)
		}
	}
	return s, nil
}

// upload writes what the customer would: the lists first, because sources.json names them.
func (s *system) upload(ctx context.Context, g *given) error {
	written := s.vault.Container("config")
	if err := errors.Join(s.ledger.Ensure(ctx), written.Ensure(ctx)); err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(g.files))
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case a == config.File:
			return 1
		case b == config.File:
			return -1
		}
		return 0
	})
	for _, name := range names {
		if err := written.Put(ctx, name, g.files[name]); err != nil {
			return fmt.Errorf("upload %s: %w", name, err)
		}
	}
	return nil
}

// appSettings are what the app gets: what was given, over that this machine's storage, and schedules quick enough to watch.
func (s *system) appSettings(g *given) map[string]string {
	all := maps.Clone(g.settings)
	maps.Copy(all, map[string]string{
		"FUNCTIONS_WORKER_RUNTIME": "custom",
		"AzureWebJobsStorage":      s.connection,
		"CHAINMAIL_STATE":          s.connection,
		"CHAINMAIL_EVIDENCE":       s.connection,
		"PLAN_SCHEDULE":            "*/2 * * * * *",
		"PEOPLE_SCHEDULE":          "*/30 * * * * *",
	})
	for _, name := range []string{"RUN_BUDGET", "LOG_LEVEL"} {
		if v, ok := g.lookup(name); ok {
			all[name] = v
		}
	}
	return all
}

// operate runs the app until everything is collected (once) or the run is interrupted, shows how far it is, and ends with
// a table and the copy of the evidence.
func operate(ctx context.Context, o options, s *system, g *given, stdout, stderr io.Writer) error {
	log, err := os.Create(o.logFile())
	if err != nil {
		return fmt.Errorf("%w: give another folder by -data", err)
	}
	defer log.Close()
	front, err := o.front()
	if err != nil {
		return err
	}
	defer front.close()
	fmt.Fprintf(stderr, "local: the console is %s\n", front.url)
	appSettings := s.appSettings(g)
	front.open(appSettings)
	show := newProgress(stderr, log)

	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	var host sync.WaitGroup
	host.Go(func() { ended <- runHost(running, o, front, appSettings, show.console) })
	err = s.watch(ctx, o.once, show, ended)
	stop()
	host.Wait()
	show.end()
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // an interrupted run, too, ends with its table
	complete, err := s.report(ctx, stdout)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nlog of the handler  %s\nstorage             %s (Azurite)\n", o.logFile(), s.blobURL)
	if o.out != "" {
		if err := s.copyEvidence(ctx, o.out); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "evidence            %s\n", o.out)
	}
	if o.once && !complete {
		return errIncomplete
	}
	return nil
}

// lookEvery is how often the ledger is asked how far everything is.
const lookEvery = 300 * time.Millisecond

// patience is how long a source may be unable to read its individuals before a run that is to end by itself gives up.
const patience = time.Minute

// watch returns when every window is final, if the run is to end then, when the run is interrupted, or with the host's
// error.
func (s *system) watch(ctx context.Context, once bool, show *progress, ended <-chan error) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	began := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			if err == nil && ctx.Err() == nil {
				err = errors.New("the Functions host ended")
			}
			return err
		case <-tick.C:
		}
		now, err := s.look(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		show.at(now)
		if once && now.final {
			return nil
		}
		if once && now.stuck != "" && time.Since(began) > patience {
			return errors.New(now.stuck)
		}
	}
}

// state is how far everything is at a moment.
type state struct {
	batches []batch
	share   float64 // of all time that is owed, how much is final
	final   bool
	stuck   string // why a source has not begun
}

type batch struct {
	source string
	row    ledger.Batch
}

// look reads from the ledger how far everything is.
func (s *system) look(ctx context.Context) (state, error) {
	all := state{final: true}
	var owed, done time.Duration
	for _, source := range s.sources {
		row, err := s.ledger.Source(ctx, source.Name)
		if err != nil {
			return all, err
		}
		if row.Value.PeopleAt.IsZero() || row.Value.State.IsZero() {
			all.final = false
			if row.Value.LastError != "" {
				all.stuck = fmt.Sprintf("source %s: its individuals cannot be read: %s; the log of the handler says more", source.Name, row.Value.LastError)
			}
			continue
		}
		batches, err := s.ledger.Batches(ctx, source.Name)
		if err != nil {
			return all, err
		}
		for _, b := range batches {
			all.batches = append(all.batches, batch{source.Name, b.Value})
			length := b.Value.Window().Duration()
			owed += length
			if b.Value.Published {
				done += length
			} else {
				all.final = false
			}
		}
		ahead := due(source, row.Value.State)
		owed += ahead
		all.final = all.final && ahead == 0
	}
	if owed > 0 {
		all.share = float64(done) / float64(owed)
	}
	return all, nil
}

// due is how much time is owed that no batch has taken yet.
func due(s settings.Source, from time.Time) time.Duration {
	windows := plan.Due(plan.Schedule{
		State: from, End: s.EndDate, Frequency: s.Frequency, Offset: s.Offset, Settle: s.Settle, Merge: true, MaxMerge: 1 << 40,
	}, time.Now(), 1<<10)
	var sum time.Duration
	for _, w := range windows {
		sum += w.Duration()
	}
	return sum
}

// completed reports whether a batch ended well.
func completed(s capture.BatchStatus) bool {
	return s == capture.Completed || s == capture.CompletedWithDocumentLevelErrors
}
