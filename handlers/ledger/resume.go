package ledger

import (
	"context"
	"errors"
	"slices"
)

// A Remnant is a batch that was lost with an earlier ledger: evidence has a part of it, and no manifest closes it.
type Remnant struct {
	Batch  Batch
	Chunks []Chunk
}

// chunksAtOnce fit into one transaction.
const chunksAtOnce = 90

// Resume puts down what evidence tells of a source of whose ledger nothing is left: the end of its chain, and its remnants.
// What is there already stays, so that it may be done again. The end of the chain comes first: no remnant can be sealed
// without it.
func (l *Ledger) Resume(ctx context.Context, source string, head Head, remnants []Remnant) error {
	if err := l.lay(ctx, source, insert("head", head)); err != nil {
		return err
	}
	for _, r := range remnants {
		for some := range slices.Chunk(r.Chunks, chunksAtOnce) {
			var changes []change
			for _, c := range some {
				changes = append(changes, insert(chunkKey(c.Batch, c.Lane), c))
			}
			if err := l.lay(ctx, source, changes...); err != nil {
				return err
			}
		}
		id := r.Batch.ID
		if err := l.lay(ctx, source, insert(batchKey(id), r.Batch), insert(openKey(id), struct{}{})); err != nil {
			return err
		}
	}
	return nil
}

// lay inserts rows, unless they are there already.
func (l *Ledger) lay(ctx context.Context, partition string, changes ...change) error {
	if err := l.commit(ctx, partition, changes...); !errors.Is(err, ErrConflict) {
		return err
	}
	return nil
}
