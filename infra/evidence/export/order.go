package export

import (
	"context"
	"iter"

	"golang.org/x/sync/errgroup"
)

// inOrder works on what jobs gives, side by side and few at a time, and takes the results in the order of the jobs. The first
// error ends it.
func inOrder[J, R any](
	ctx context.Context, ahead int, jobs iter.Seq2[J, error], work func(context.Context, J) (R, error), take func(R) error,
) error {
	g, ctx := errgroup.WithContext(ctx)
	results := make(chan chan R, ahead)
	g.Go(func() error {
		defer close(results)
		for j, err := range jobs {
			if err != nil {
				return err
			}
			one := make(chan R, 1)
			select {
			case results <- one:
			case <-ctx.Done():
				return ctx.Err()
			}
			g.Go(func() error {
				defer close(one)
				r, err := work(ctx, j)
				if err == nil {
					one <- r
				}
				return err
			})
		}
		return nil
	})
	g.Go(func() error {
		for one := range results {
			r, ok := <-one
			if !ok {
				return nil // its worker's error is the group's
			}
			if err := take(r); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// each gives a list's values as jobs.
func each[T any](list []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}
