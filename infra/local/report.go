package main

import (
	"context"
	"fmt"
	"io"
	"path"
	"text/tabwriter"

	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
)

// report prints every batch with its figures, as its manifest in the evidence tells them, and who is left out and why. It
// reports whether all batches completed.
func (s *system) report(ctx context.Context, out io.Writer) (complete bool, err error) {
	complete = true
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "SOURCE\tBATCH\tSTATUS\tCUSTODIANS\tEXCLUDED\tFOUND\tCAPTURED\tEXCEPTED\tUNCHANGED\tPACKAGES\tMB")
	for _, source := range s.sources {
		batches, err := s.ledger.Batches(ctx, source.Name)
		if err != nil {
			return false, err
		}
		for _, b := range batches {
			complete = complete && b.Value.Published && completed(b.Value.Status)
			if err := s.reportBatch(ctx, t, source.Name, source.Container, b.Value); err != nil {
				return false, err
			}
		}
	}
	if err := t.Flush(); err != nil {
		return false, err
	}
	return complete, s.reportExcluded(ctx, out)
}

func (s *system) reportBatch(ctx context.Context, t io.Writer, source, container string, b ledger.Batch) error {
	if !b.Published {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t\t\t\t\t\t\t\n", source, b.ID, b.Status, b.Custodians)
		return nil
	}
	data, err := s.vault.Container(container).Get(ctx, pack.ManifestName(source, b.ID))
	if err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	m, err := pack.ParseManifest(data)
	if err != nil {
		return err
	}
	packages := 0
	for i, err := range s.vault.Container(container).List(ctx, pack.Folder(source, b.ID)) {
		if err != nil {
			return fmt.Errorf("list evidence: %w", err)
		}
		if path.Ext(i.Name) == ".zip" {
			packages++
		}
	}
	fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f\n", source, b.ID, m.Status, m.Totals.Custodians, m.Totals.Excluded,
		m.Totals.Found, m.Totals.Captured, m.Totals.Excepted, m.Totals.Unchanged, packages, float64(m.Totals.Bytes)/1e6)
	return nil
}

// reportExcluded names the individuals that cannot be collected; whoever runs this sees their own list.
func (s *system) reportExcluded(ctx context.Context, out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	first := true
	for _, source := range s.sources {
		people, err := s.ledger.People(ctx, source.Name)
		if err != nil {
			return err
		}
		for _, p := range people {
			if p.Value.Reason == "" {
				continue
			}
			if first {
				fmt.Fprintln(t, "\nEXCLUDED\tREASON\tSOURCE")
				first = false
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", p.Value.Identifier, p.Value.Reason, source.Name)
		}
	}
	return t.Flush()
}
