// Package capture holds the vocabulary of a collection: sources, windows, batches, chunks, custodians, items and
// exceptions. It is the leaf of the house: plain values, no input or output, no clock.
package capture

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
	"time"
)

// A Window is a half-open span [Start, End) on whole seconds, UTC. Graph shows whole seconds and stores finer ones, so
// that only half-open bounds on whole seconds let two windows meet without a gap or a double (facts of Graph, 2.2).
type Window struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// Second cuts a time to the whole second, in UTC: windows lie on whole seconds.
func Second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// Contains reports whether t lies in the window.
func (w Window) Contains(t time.Time) bool { return !t.Before(w.Start) && t.Before(w.End) }

// Duration is the window's length.
func (w Window) Duration() time.Duration { return w.End.Sub(w.Start) }

// Kind is what a document is: an email, a calendar event, or an attachment of either.
type Kind string

// The kinds of documents.
const (
	Email      Kind = "email"
	Event      Kind = "event"
	Attachment Kind = "attachment"
)

// State says where in the mailbox an item lay when it was listed.
type State string

// The states of an item. Deleted is the Deleted Items folder and what lies below it, Recoverable the dumpster's
// Deletions and DiscoveryHolds, Purged its Purges.
const (
	Active      State = "active"
	Deleted     State = "deleted"
	Recoverable State = "recoverable"
	Purged      State = "purged"
)

// An Item is one row of a discovery: an item that lies in the window and is owed. All times are UTC.
type Item struct {
	GraphID           string    `json:"graphId"` // immutable id, case-sensitive
	ChangeKey         string    `json:"changeKey,omitempty"`
	Kind              Kind      `json:"kind"`
	Class             string    `json:"class,omitempty"` // Graph's type of the message, "message" or "eventMessageRequest" and so on
	InternetMessageID string    `json:"internetMessageId,omitempty"`
	Folder            string    `json:"folder"` // path from the top of the mailbox, "Inbox/Projects"
	FolderID          string    `json:"folderId,omitempty"`
	State             State     `json:"state"`
	Draft             bool      `json:"draft,omitempty"`
	Received          time.Time `json:"received"`
	Sent              time.Time `json:"sent,omitzero"`
	Created           time.Time `json:"created,omitzero"`
	Modified          time.Time `json:"modified,omitzero"`
	Size              int64     `json:"size,omitempty"` // bytes by Exchange's own account; 0 where it is not known
}

// Key is the item's name in evidence: the first 26 characters of the lower-case base32 of the SHA-256 of its
// immutable id (130 bits). Ids themselves are case-sensitive and too long for a file name.
func (i Item) Key() string { return ItemKey(i.GraphID) }

// ItemKey is the item key of a Graph id; see [Item.Key].
func ItemKey(graphID string) string {
	sum := sha256.Sum256([]byte(graphID))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))[:26]
}

// An Individual is one monitored individual as a list or a group names them, before anything of Graph is known.
type Individual struct {
	Identifier  string    `json:"identifier"` // usually the address
	Secondary   []string  `json:"secondary,omitempty"`
	DisplayName string    `json:"displayName,omitempty"`
	FirstName   string    `json:"firstName,omitempty"`
	LastName    string    `json:"lastName,omitempty"`
	From        time.Time `json:"from,omitzero"` // monitored from; zero: from the beginning
	To          time.Time `json:"to,omitzero"`   // monitored until, exclusive; zero: without end
}

// A Custodian is an individual in a batch: who is collected, from which mailbox, in which lane.
type Custodian struct {
	Individual
	ID     string `json:"id"`               // object id of the mailbox's user; empty when it could not be resolved
	Lane   int    `json:"lane"`             // for life
	Reason string `json:"reason,omitempty"` // why the custodian is excluded; empty: can be collected

	// Archive says that the mailbox is known to have an archive mailbox, which Graph does not give; false says nothing.
	Archive bool `json:"archive,omitempty"`
}

// Name is the custodian's name in paths and logs: the object id, or for one that has none a key of the identifier,
// which says nothing about the person.
func (c Custodian) Name() string {
	if c.ID != "" {
		return c.ID
	}
	return "unresolved-" + ItemKey(strings.ToLower(c.Identifier))[:12]
}

// CustodianStatus is how far a custodian's chunk got with them.
type CustodianStatus string

// The statuses of a custodian in a batch.
const (
	Waiting    CustodianStatus = "Waiting"
	Collecting CustodianStatus = "Collecting"
	Collected  CustodianStatus = "Collected"
	Failed     CustodianStatus = "Failed"
	Excluded   CustodianStatus = "Excluded"
)

// BatchStatus is a stage in a batch's life.
type BatchStatus string

// The statuses of a batch. The last four are final, but for PendingRetry.
const (
	Created                          BatchStatus = "Created"
	Retrieving                       BatchStatus = "Retrieving"
	PendingRetry                     BatchStatus = "PendingRetry"
	Completed                        BatchStatus = "Completed"
	CompletedWithDocumentLevelErrors BatchStatus = "CompletedWithDocumentLevelErrors"
	CompletedWithErrors              BatchStatus = "CompletedWithErrors"
	Abandoned                        BatchStatus = "Abandoned"
)

// Final reports whether nothing more will happen to a batch in this status.
func (s BatchStatus) Final() bool {
	switch s {
	case Completed, CompletedWithDocumentLevelErrors, CompletedWithErrors, Abandoned:
		return true
	}
	return false
}

// An Exception stands for an item that was found and could not be captured. It is open until a later run captures the
// item, finds it vanished, or a person closes it.
type Exception struct {
	Custodian string    `json:"custodian"` // Custodian.Name
	Item      Item      `json:"item"`
	Batch     string    `json:"batch"` // the batch that found the item
	Stage     string    `json:"stage"` // list, fetch, read or write
	Code      string    `json:"code"`  // Graph's or our own short code, never text from the mail
	Attempts  int       `json:"attempts"`
	FirstSeen time.Time `json:"firstSeen"`
	LastSeen  time.Time `json:"lastSeen"`
}

const batchTime = "20060102150405UTC"

// BatchTime writes an instant as it stands in the names of batches.
func BatchTime(t time.Time) string { return t.UTC().Format(batchTime) }

// BatchID names a batch: its window's two ends, and from the second batch of the same period on its number,
// "20260302000000UTC-20260303000000UTC-2".
func BatchID(w Window, n int) string {
	id := BatchTime(w.Start) + "-" + BatchTime(w.End)
	if n > 1 {
		id += fmt.Sprintf("-%d", n)
	}
	return id
}
