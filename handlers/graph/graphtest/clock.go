package graphtest

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A Clock stands still but for Advance, Set, and Sleep, which takes no time: for tests in which time passes by what is done.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock is a clock that stands at a time.
func NewClock(at time.Time) *Clock { return &Clock{at: at} }

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Advance puts the clock forward.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Set puts the clock to a time.
func (c *Clock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// Sleep puts the clock forward and returns at once, with the context's error if it has one.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	c.Advance(d)
	return ctx.Err()
}

// EmptyMailbox is a mailbox with the usual folders and nothing in them: Inbox, Sent Items and Deleted Items, and those of
// Recoverable Items. The folders' ids have the number in them, which tells mailboxes apart.
func EmptyMailbox(n int) *Mailbox {
	folder := func(name, wellKnown string, children ...*Folder) *Folder {
		return &Folder{ID: fmt.Sprintf("AQMkAD-%d-%s=", n, wellKnown), Name: name, WellKnown: wellKnown, Children: children}
	}
	return &Mailbox{Root: folder("Root", "root",
		folder("Top of Information Store", "msgfolderroot",
			folder("Inbox", "inbox"), folder("Sent Items", "sentitems"), folder("Deleted Items", "deleteditems")),
		folder("Recoverable Items", "recoverableitemsroot",
			folder("Deletions", "recoverableitemsdeletions"), folder("Purges", "recoverableitemspurges"),
			folder("DiscoveryHolds", "recoverableitemsdiscoveryholds")),
	)}
}
