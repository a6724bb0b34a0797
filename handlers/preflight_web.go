package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/config"
	"chainmail/handlers/preflight"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault"
)

// preflightTime is how long a check may begin further mailboxes: with the minute in which it ends it stays below the 230 s that
// Azure's front gives an HTTP answer.
const preflightTime = 2 * time.Minute

// checked gives the check of a source for the operators' API: of the settings in force, and the lists as they are now.
func checked(inForce *config.Store, written *vault.Container, c preflight.Checker) func(context.Context, settings.Source) (any, error) {
	c.Time = preflightTime
	return func(ctx context.Context, s settings.Source) (any, error) {
		force, err := inForce.Current(ctx)
		if err != nil {
			return nil, err
		}
		var all []preflight.Subject
		subject := preflight.Subject{Source: s}
		for _, other := range force.Sources {
			x, err := subjectOf(ctx, written, other)
			if err != nil {
				return nil, err
			}
			if all = append(all, x); other.Name == s.Name {
				subject = x
			}
		}
		return c.Check(ctx, subject, all)
	}
}

// subjectOf is a source with the individuals of its list; without any while the list is missing or unreadable, which people
// complains of.
func subjectOf(ctx context.Context, written *vault.Container, s settings.Source) (preflight.Subject, error) {
	x := preflight.Subject{Source: s}
	if s.Individuals.File == "" {
		return x, nil
	}
	data, err := written.Get(ctx, s.Individuals.File)
	if errors.Is(err, vault.ErrNotFound) {
		return x, nil
	}
	if err != nil {
		return x, fmt.Errorf("read list of individuals: %w", err)
	}
	people, faults, err := settings.ParseIndividuals(data)
	if err != nil {
		return x, nil
	}
	for _, in := range people {
		x.Individuals = append(x.Individuals, capture.Custodian{Individual: in})
	}
	x.Rejected = len(faults)
	return x, nil
}
