// Package find looks documents up in the items of evidence, and fetches the native of one out of its package.
//
// Only what evidence vouches for is looked at: parts that a manifest names, and sealed parts of batches that are still
// being collected. Whether items are what their seal says is for verify to tell; a native is never given out unless it has
// the hash that its line of the items names.
package find

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
	"chainmail/infra/evidence/store"

	"golang.org/x/sync/errgroup"
)

// A Query says which documents are looked for: those that have every value that is given.
type Query struct {
	Source        string
	MessageID     string // with or without angle brackets
	SHA256        string // of the native
	MIH           string // EDRM message identification hash
	Custodian     string // name in paths
	ControlNumber string
	From, To      time.Time // received, else sent, in [From, To)
	SubjectSHA256 string    // of the subject, as UTF-8 and as the load file has it
}

// A Match is a document that was found. It holds nothing that a person wrote: of an attachment's entry the name is left
// out.
type Match struct {
	Source        string        `json:"source"`
	Batch         string        `json:"batch"`
	Package       string        `json:"package"` // file name, in the batch's folder
	Entry         string        `json:"entry"`   // as a pattern for unzip
	State         capture.State `json:"state"`
	SHA256        string        `json:"nativeSha256"`
	ControlNumber string        `json:"controlNumber"`
	Custodian     string        `json:"custodian"`
	Kind          capture.Kind  `json:"kind"`
	Bytes         int64         `json:"nativeBytes"`
	Offset        int64         `json:"offset"`
	Compressed    int64         `json:"compressedBytes"`
}

// File is the package, by its path in the evidence.
func (m Match) File() string { return pack.Folder(m.Source, m.Batch) + m.Package }

// A Result tells what was looked at. What could not be is in Faults, a line each, which quote nothing of any mail.
type Result struct {
	Matches   int
	Documents int // that were looked at
	Unnamed   int // parts that no manifest names, and that were not looked at
	Faults    []string
}

// readAtOnce is how many items files are read side by side.
const readAtOnce = 8

// Run looks through all items and gives the matches in the order of sources, batches and parts. read may be nil; it is
// called by several goroutines at a time. Memory holds the matches of a few parts, and no items. An error says that the
// evidence cannot be listed, or that ctx has ended.
func Run(ctx context.Context, s store.Store, q Query, found func(Match) error, read func(total int64, n int)) (Result, error) {
	l, err := list(ctx, s, q.Source)
	if err != nil {
		return Result{}, err
	}
	r := Result{Unnamed: l.unnamed, Faults: l.faults}
	f := finder{store: s, query: q, needle: q.needle(), total: l.bytes, zips: l.zips, read: read}
	g, ctx := errgroup.WithContext(ctx)
	parts := make(chan chan partResult, readAtOnce)
	g.Go(func() error {
		defer close(parts)
		for _, n := range l.parts {
			one := make(chan partResult, 1)
			select {
			case parts <- one:
			case <-ctx.Done():
				return ctx.Err()
			}
			g.Go(func() error { one <- f.part(ctx, n); return nil })
		}
		return nil
	})
	g.Go(func() error {
		for one := range parts {
			p := <-one
			r.Documents += p.documents
			if p.fault != nil {
				r.Faults = append(r.Faults, p.fault.Error())
			}
			for _, m := range p.matches {
				r.Matches++
				if err := found(m); err != nil {
					return err
				}
			}
		}
		return ctx.Err()
	})
	err = g.Wait()
	return r, err
}

// A finder looks through parts.
type finder struct {
	store  store.Store
	query  Query
	needle []byte // what a line must hold to match; nil: not known
	total  int64
	zips   map[pack.Name]int64 // sizes of packages
	read   func(total int64, n int)
}

type partResult struct {
	matches   []Match
	documents int
	fault     error
}

// maxLine is the longest line of an items file that is read; those that are written are far shorter.
const maxLine = 16 << 20

// part looks through the items of a part, line by line.
func (f *finder) part(ctx context.Context, n pack.Name) (p partResult) {
	r, err := f.store.Open(ctx, n.Items())
	if err != nil {
		p.fault = fmt.Errorf("%s: cannot be read: %w", n.Items(), err)
		return p
	}
	defer r.Close()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	lines.Split(pack.WholeLines)
	for lines.Scan() && ctx.Err() == nil {
		p.documents++
		line := lines.Bytes()
		if f.read != nil {
			f.read(f.total, len(line))
		}
		if f.misses(line) {
			continue
		}
		rows, err := pack.DecodeItems(line)
		if err != nil || len(rows) != 1 {
			p.fault = fmt.Errorf("%s: line %d is not a whole line of the format", n.Items(), p.documents)
			continue
		}
		if f.query.matches(&rows[0]) {
			p.matches = append(p.matches, MatchOf(n, &rows[0]))
		}
	}
	if err := lines.Err(); err != nil {
		p.fault = fmt.Errorf("%s: cannot be read to its end: %w", n.Items(), err)
	}
	if p.matches, err = f.bySubject(ctx, n, p.matches); err != nil {
		p.fault = err
	}
	return p
}

// misses reports whether a line cannot match, by its bytes alone: reading all lines as JSON would take a hundred times as
// long. Where JSON's escapes may hide the needle, or the line is no whole one, it is read.
func (f *finder) misses(line []byte) bool {
	plain := bytes.HasSuffix(line, []byte("}\n")) && bytes.IndexByte(line, '\\') < 0
	return plain && f.needle != nil && !bytes.Contains(line, f.needle)
}

// needle is a text that every matching line holds, unless JSON escapes it.
func (q *Query) needle() []byte {
	for _, s := range []string{q.SHA256, q.ControlNumber, q.MIH, bare(q.MessageID), q.Custodian} {
		if s != "" {
			return []byte(s)
		}
	}
	return nil
}

// bare is a Message-ID without its angle brackets.
func bare(id string) string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(id), "<"), ">")
}

func (q *Query) matches(row *pack.ItemRow) bool {
	at := row.Received
	if at.IsZero() {
		at = row.Sent
	}
	switch {
	case q.MessageID != "" && bare(row.InternetMessageID) != bare(q.MessageID),
		q.SHA256 != "" && row.NativeSHA256 != q.SHA256,
		q.MIH != "" && row.MIH != q.MIH,
		q.Custodian != "" && row.Custodian != q.Custodian,
		q.ControlNumber != "" && row.ControlNumber != q.ControlNumber,
		!q.From.IsZero() && at.Before(q.From),
		!q.To.IsZero() && (at.IsZero() || !at.Before(q.To)):
		return false
	}
	return true
}

// MatchOf is a document of a part as a match.
func MatchOf(n pack.Name, row *pack.ItemRow) Match {
	entry := row.Native
	if row.Kind == capture.Attachment { // OriginalNatives/<custodian>/<item>/<nn>-<name>
		folder, file := path.Split(entry)
		number, _, _ := strings.Cut(file, "-")
		entry = folder + number + "-*"
	}
	return Match{
		Source: n.Source, Batch: n.Batch, Package: path.Base(n.Zip()), Entry: entry, State: row.State,
		SHA256: row.NativeSHA256, ControlNumber: row.ControlNumber, Custodian: row.Custodian, Kind: row.Kind,
		Bytes: row.NativeBytes, Offset: row.Offset, Compressed: row.CompressedBytes,
	}
}

// A listing is the parts to look through, in order.
type listing struct {
	parts   []pack.Name
	bytes   int64               // of their items
	zips    map[pack.Name]int64 // sizes of packages
	unnamed int
	faults  []string
}

// list finds the parts that evidence vouches for, of one source or of all.
func list(ctx context.Context, s store.Store, source string) (listing, error) {
	none := true
	sizes, zips := map[pack.Name]int64{}, map[pack.Name]int64{}
	sealed, manifests := map[pack.Name]bool{}, map[string]bool{} // manifests by the batch's folder
	for f, err := range s.List(ctx) {
		if err != nil {
			return listing{}, err
		}
		n, err := pack.ParseName(f.Name)
		isPart := err == nil && (f.Name == n.Items() || f.Name == n.Seal())
		isManifest := path.Base(f.Name) == pack.ManifestFile && strings.Count(f.Name, "/") == 2
		none = none && !isPart && !isManifest
		switch {
		case source != "" && !strings.HasPrefix(f.Name, source+"/"):
		case err == nil && f.Name == n.Zip():
			zips[n] = f.Size
		case isPart && f.Name == n.Items():
			sizes[n] = f.Size
		case isPart:
			sealed[n] = true
		case isManifest:
			manifests[path.Dir(f.Name)+"/"] = true
		}
	}
	if none {
		return listing{}, store.ErrNoEvidence
	}
	named, faults, err := namedParts(ctx, s, manifests)
	if err != nil {
		return listing{}, err
	}
	l := listing{faults: faults, zips: zips}
	for n, size := range sizes {
		names, closed := named[pack.Folder(n.Source, n.Batch)]
		if closed && !names[n] || !closed && !sealed[n] {
			l.unnamed++
			continue
		}
		l.parts, l.bytes = append(l.parts, n), l.bytes+size
	}
	slices.SortFunc(l.parts, func(a, b pack.Name) int { return strings.Compare(a.Items(), b.Items()) })
	return l, nil
}
