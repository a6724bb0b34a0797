package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/preflight"
	"chainmail/handlers/settings"
	"chainmail/handlers/signin"
)

// errFault says that a source cannot be collected; its findings have named why.
var errFault = errors.New("a source has a fault")

// check runs the preflight of every source that is given, and prints what it found. Nothing is collected or stored.
func (g *given) check(ctx context.Context, o options, stdout, stderr io.Writer) error {
	stop, err := g.serveGraph(o)
	if err != nil {
		return err
	}
	defer stop()
	subjects, err := g.subjects()
	if err != nil {
		return err
	}
	clients := signin.New(slog.New(slog.DiscardHandler), graph.Clock{})
	faulty := false
	for i, s := range subjects {
		c := preflight.Checker{Graph: clients.Of, Now: time.Now, Outsider: o.outsider, Progress: steps(stderr, s.Source.Name)}
		result, err := c.Check(ctx, s, subjects)
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprintln(stdout)
		}
		if err := result.WriteText(stdout); err != nil {
			return err
		}
		faulty = faulty || result.Has(preflight.Fault)
	}
	if faulty {
		return errFault
	}
	return nil
}

// subjects are the sources with the individuals of their lists.
func (g *given) subjects() ([]preflight.Subject, error) {
	var all []preflight.Subject
	for _, s := range g.sources {
		subject := preflight.Subject{Source: s}
		if name := s.Individuals.File; name != "" {
			individuals, faults, err := settings.ParseIndividuals(g.files[name])
			if err != nil {
				return nil, refuse("source %s: %s: %w", s.Name, name, err)
			}
			for _, in := range individuals {
				subject.Individuals = append(subject.Individuals, capture.Custodian{Individual: in})
			}
			subject.Rejected = len(faults)
		}
		all = append(all, subject)
	}
	return all, nil
}

// stepEvery is after how many mailboxes a line says how far the check is.
const stepEvery = 50

// steps shows how far a check is, a line for each stage and some on the way.
func steps(out io.Writer, source string) func(stage string, done, of int) {
	var mu sync.Mutex
	last := ""
	return func(stage string, done, of int) {
		mu.Lock()
		defer mu.Unlock()
		if stage == last && done%stepEvery != 0 && done != of {
			return
		}
		last = stage
		line := fmt.Sprintf("local: %s: %s", source, stage)
		if of > 1 {
			line += fmt.Sprintf(", %d of %d", done, of)
		}
		fmt.Fprintln(out, line)
	}
}
