package find

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"chainmail/handlers/pack"
	"chainmail/infra/evidence/store"

	"golang.org/x/sync/errgroup"
)

// maxManifest is the largest manifest that is read; those that are written are far smaller.
const maxManifest = 256 << 20

// namedParts are the parts that manifests name, by the batch's folder. One that cannot be read is a fault, and its batch is
// not in the map.
func namedParts(ctx context.Context, s store.Store, folders map[string]bool) (map[string]map[pack.Name]bool, []string, error) {
	var mu sync.Mutex
	var faults []string
	named := map[string]map[pack.Name]bool{}
	var g errgroup.Group
	g.SetLimit(readAtOnce)
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		g.Go(func() error {
			parts, err := partsOf(ctx, s, folder)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				faults = append(faults, fmt.Sprintf("%s%s: %v", folder, pack.ManifestFile, err))
				return nil
			}
			named[folder] = parts
			return nil
		})
	}
	_ = g.Wait()
	slices.Sort(faults)
	return named, faults, ctx.Err()
}

func partsOf(ctx context.Context, s store.Store, folder string) (map[pack.Name]bool, error) {
	r, err := s.Open(ctx, folder+pack.ManifestFile)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxManifest))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	m, err := pack.ParseManifest(data)
	if err != nil {
		return nil, err
	}
	parts := map[pack.Name]bool{}
	for _, seal := range m.Seals {
		if n, err := pack.ParseName(folder + seal.Name); err == nil {
			parts[n] = true
		}
	}
	return parts, nil
}
