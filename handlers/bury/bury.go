// Package bury ends what the Functions host gave up: it records why, and hands the chunk to the retry policy.
package bury

import (
	"context"
	"log/slog"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/config"
	"chainmail/handlers/ledger"
)

// A Burier needs all its fields.
type Burier struct {
	Config *config.Store
	Ledger *ledger.Ledger
	Log    *slog.Logger
	Now    func() time.Time
}

// Run takes a message from the poison queue. Whatever it holds, the message is done with afterwards: a chunk is due again
// by its source's retry policy, or, out of attempts, closed with what it has at its next turn; anything else is logged.
// Only a fault of the storage is an error, and brings the message back.
func (b *Burier) Run(ctx context.Context, text []byte) error {
	chunk, err := capture.ParseMessage(text)
	if err != nil {
		b.Log.ErrorContext(ctx, "chunk buried", "reason", err.Error(), "bytes", len(text))
		return nil
	}
	log := b.Log.With("source", chunk.Source, "batch", chunk.Batch, "lane", chunk.Lane)
	force, err := b.Config.Current(ctx)
	if err != nil {
		return err
	}
	source, ok := force.Source(chunk.Source)
	if !ok {
		log.ErrorContext(ctx, "chunk buried", "reason", "the settings have no such source")
		return nil
	}
	now := b.Now().UTC()
	retry := func(attempts int) (time.Time, bool) {
		if attempts > len(source.RetryPolicy) {
			return now, true
		}
		return now.Add(source.RetryPolicy[attempts-1]), false
	}
	buried, err := b.Ledger.Bury(ctx, chunk, now, retry)
	if err != nil {
		return err
	}
	log.ErrorContext(ctx, "chunk buried", "reason", "the host gave the message up after its last delivery", "retried", buried)
	return nil
}
