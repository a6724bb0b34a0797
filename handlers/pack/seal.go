package pack

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"chainmail/handlers/capture"
)

// The formats that this version writes. A reader goes by them alone.
const (
	SealFormat     = "chainmail/seal/1"
	ManifestFormat = "chainmail/manifest/1"
)

// A Seal closes a part: the hashes of its files, and each custodian's share of it. It is written last.
type Seal struct {
	Format           string          `json:"format"`
	Source           string          `json:"source"`
	Batch            string          `json:"batch"`
	Lane             int             `json:"lane"`
	Part             int             `json:"part"`
	Package          *Package        `json:"package"`                   // nil: a part without documents
	ItemsSHA256      string          `json:"itemsSha256"`               // "": there is no such file
	ExceptionsSHA256 string          `json:"exceptionsSha256"`          // "": there is no such file
	DeletionsSHA256  string          `json:"deletionsSha256,omitempty"` // "": there is no such file
	Documents        int             `json:"documents"`                 // rows of the items
	Synthesised      int             `json:"synthesised"`               // of the documents, natives made of JSON
	Texts            TextCounts      `json:"texts"`                     // of the documents
	Custodians       []SealCustodian `json:"custodians"`                // by id
	Closed           []Closed        `json:"closed,omitempty"`          // by batch and item
}

// A SealCustodian is a custodian's share of one part. Over all seals of a batch, Found is Captured + Excepted for every
// custodian that is Collected. Items are counted, not what is attached to them.
type SealCustodian struct {
	ID         string                  `json:"id"`
	Identifier string                  `json:"identifier"`
	Status     capture.CustodianStatus `json:"status"`
	Reason     string                  `json:"reason"`
	Found      int                     `json:"found"`
	Captured   int                     `json:"captured"`
	Excepted   int                     `json:"excepted"`
	Unchanged  int                     `json:"unchanged"`         // found, and captured before as they are
	Recovered  int                     `json:"recovered"`         // captured here, and owed to an earlier batch
	Deleted    int                     `json:"deleted,omitempty"` // captured before, and deleted since
	Bytes      int64                   `json:"bytes"`             // of the natives of captured and recovered items
	Coverage   []Note                  `json:"coverage,omitempty"`
}

// Scopes of notes that leave a gap: the mailbox is collected again for them.
const (
	ScopeCalendars = "calendars"
	ScopeUnlisted  = "items that could not be listed"
)

// A Note says what of a mailbox is not covered, or not wholly, and why.
type Note struct {
	Scope  string `json:"scope"`
	Reason string `json:"reason"`
}

// Name is the name of the sealed part.
func (s Seal) Name() Name { return Name{Source: s.Source, Batch: s.Batch, Lane: s.Lane, Part: s.Part} }

// Encode writes the seal: indented JSON with a final newline, its custodians by id, so that equal seals have equal bytes.
func (s Seal) Encode() ([]byte, error) {
	s.Format = SealFormat
	s.Custodians = ordered(s.Custodians, func(a, b SealCustodian) int { return cmp.Compare(a.ID, b.ID) })
	if s.Closed != nil {
		s.Closed = OrderClosed(s.Closed)
	}
	return encode("seal", s)
}

// ParseSeal reads a seal. It refuses another format than "chainmail/seal/1", unknown fields, and names that no part has.
func ParseSeal(data []byte) (Seal, error) {
	var s Seal
	if err := parse("seal", data, SealFormat, &s); err != nil {
		return Seal{}, err
	}
	if !s.Name().valid() {
		return Seal{}, errors.New("parse seal: it names no part")
	}
	return s, nil
}

// A Manifest closes a batch and names all its seals.
type Manifest struct {
	Format                 string              `json:"format"`
	App                    App                 `json:"app"`
	Source                 string              `json:"source"`
	Batch                  string              `json:"batch"`
	Start                  time.Time           `json:"start"`
	End                    time.Time           `json:"end"`                 // exclusive
	Reason                 string              `json:"reason"`              // why it was made; "window": by schedule
	RetryOf                string              `json:"retryOf"`             // "": none
	SplitOf                string              `json:"splitOf,omitempty"`   // the batch whose failed custodians this one holds
	SplitInto              string              `json:"splitInto,omitempty"` // the batch that holds this one's failed custodians
	Status                 capture.BatchStatus `json:"status"`
	Sequence               int64               `json:"sequence"` // of the source's manifests, from 1
	PreviousManifestSHA256 string              `json:"previousManifestSha256"`
	ConfigSHA256           string              `json:"configSha256"`
	Statuses               []StatusAt          `json:"statuses"` // in the order they were passed
	Totals                 Totals              `json:"totals"`
	Seals                  []FileSum           `json:"seals"`    // by name
	Closed                 []Closed            `json:"closed"`   // by batch and item
	Coverage               []Coverage          `json:"coverage"` // by custodian and scope
	LookedAtUntil          time.Time           `json:"lookedAtUntil,omitzero"`
}

// App is the version of the application that wrote a manifest.
type App struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
}

// A StatusAt is a status that a batch passed, when, and with how many documents.
type StatusAt struct {
	Status    capture.BatchStatus `json:"status"`
	At        time.Time           `json:"at"`
	Documents int                 `json:"documents"`
}

// Totals are the sums over a batch's seals.
type Totals struct {
	Custodians int   `json:"custodians"`
	Found      int   `json:"found"`
	Captured   int   `json:"captured"`
	Excepted   int   `json:"excepted"`
	Unchanged  int   `json:"unchanged"`
	Recovered  int   `json:"recovered"`
	Excluded   int   `json:"excluded"` // custodians
	Bytes      int64 `json:"bytes"`    // of the packages
	Documents  int   `json:"documents"`

	Synthesised int        `json:"synthesised"` // of the documents, natives made of JSON
	Texts       TextCounts `json:"texts"`       // of the documents
}

// A FileSum is a file of the batch's folder and its SHA-256.
type FileSum struct {
	Name   string `json:"name"` // the file's own name, in the folder of the manifest
	SHA256 string `json:"sha256"`
}

// A Closed is an open exception of an earlier batch that this batch closes.
type Closed struct {
	Batch string `json:"batch"`
	Item  string `json:"item"` // item key
	How   string `json:"how"`  // Captured, Vanished, Listed, or by a person
}

// OrderClosed puts closed exceptions in the order in which seals and manifests have them.
func OrderClosed(all []Closed) []Closed {
	return ordered(all, func(a, b Closed) int { return cmp.Or(cmp.Compare(a.Batch, b.Batch), cmp.Compare(a.Item, b.Item)) })
}

// A Coverage says what was not looked at, for a custodian or, with an empty one, for all.
type Coverage struct {
	Custodian string `json:"custodian"`
	Scope     string `json:"scope"`
	Reason    string `json:"reason"`
}

// Encode writes the manifest: indented JSON with a final newline, lists in their order, times in UTC, so that equal
// manifests have equal bytes.
func (m Manifest) Encode() ([]byte, error) {
	m.Format = ManifestFormat
	m.Start, m.End, m.LookedAtUntil = m.Start.UTC(), m.End.UTC(), m.LookedAtUntil.UTC()
	m.Statuses = ordered(m.Statuses, nil)
	for i := range m.Statuses {
		m.Statuses[i].At = m.Statuses[i].At.UTC()
	}
	m.Seals = ordered(m.Seals, func(a, b FileSum) int { return cmp.Compare(a.Name, b.Name) })
	m.Closed = OrderClosed(m.Closed)
	m.Coverage = ordered(m.Coverage, func(a, b Coverage) int {
		return cmp.Or(cmp.Compare(a.Custodian, b.Custodian), cmp.Compare(a.Scope, b.Scope))
	})
	return encode("manifest", m)
}

// ParseManifest reads a manifest. It refuses another format than "chainmail/manifest/1", unknown fields, and names that no
// batch has.
func ParseManifest(data []byte) (Manifest, error) {
	var m Manifest
	if err := parse("manifest", data, ManifestFormat, &m); err != nil {
		return Manifest{}, err
	}
	if !(Name{Source: m.Source, Batch: m.Batch, Part: 1}).valid() {
		return Manifest{}, errors.New("parse manifest: it names no batch")
	}
	return m, nil
}

// LinkManifest gives a manifest its place in the source's chain: sequence from 1, and the SHA-256 of the manifest before
// it, "" for the first.
func LinkManifest(m Manifest, sequence int64, previous string) Manifest {
	m.Sequence, m.PreviousManifestSHA256 = sequence, previous
	return m
}

// ManifestName is a manifest's blob name below the container, and ManifestSumName that of the file with its hash.
func ManifestName(source, batch string) string    { return Folder(source, batch) + ManifestFile }
func ManifestSumName(source, batch string) string { return Folder(source, batch) + ManifestSumFile }

// ManifestSumLine is the content of manifest.json.sha256, as sha256sum -c reads it.
func ManifestSumLine(manifest []byte) []byte {
	return []byte(Sum(manifest) + "  " + ManifestFile + "\n")
}

// ordered copies a list, sorted where an order is given; it is never nil, so that JSON has [] for none.
func ordered[T any](list []T, compare func(a, b T) int) []T {
	list = append([]T{}, list...)
	if compare != nil {
		slices.SortStableFunc(list, compare)
	}
	return list
}

func encode(what string, v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %s: %w", what, err)
	}
	return b.Bytes(), nil
}

func parse(what string, data []byte, format string, v any) error {
	var head struct {
		Format string `json:"format"`
	}
	if json.Unmarshal(data, &head) != nil {
		return fmt.Errorf("parse %s: it is not JSON", what)
	}
	if head.Format != format {
		return fmt.Errorf("parse %s: its format is not %s", what, format)
	}
	if err := decodeStrictly(data, v); err != nil {
		return fmt.Errorf("parse %s: %w", what, err)
	}
	return nil
}
