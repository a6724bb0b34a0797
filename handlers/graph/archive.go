package graph

import (
	"context"
	"errors"
	"strings"

	"github.com/microsoftgraph/msgraph-sdk-go/models/odataerrors"
)

// An Archive is what the check of a mailbox tells of an archive mailbox beside it.
type Archive int

// The answers. Microsoft documents none of them: only the sentence of ArchiveFound has been seen by clients, so that whatever
// else Graph says proves nothing.
const (
	ArchiveUntold  Archive = iota // no answer: what was known before still holds
	ArchiveUnknown                // an answer that does not say that there is one
	ArchiveFound
)

// archiveTop is the well-known name of the archive mailbox's top folder.
const archiveTop = "archivemsgfolderroot"

// CheckMailbox asks what [Client.ProbeMailbox] asks, with its errors, and in the same round trip whether the mailbox has an
// archive beside it. What is answered to that never makes the mailbox one that cannot be read.
func (c *Client) CheckMailbox(ctx context.Context, userID string) (Archive, error) {
	inbox, archive := c.folderID(userID, "inbox"), c.folderID(userID, archiveTop)
	if err := c.askAll(ctx, userID, []*ask{inbox, archive}); err != nil {
		return ArchiveUntold, err
	}
	if inbox.err != nil { // by itself it is asked with all the patience that its error deserves
		return archive.archive(), c.ProbeMailbox(ctx, userID)
	}
	_, err := inbox.folderID()
	return archive.archive(), err
}

// archive reads the answer for the archive's top folder.
//
// QUIRK: Graph knows the folder and does not give it: 404 ErrorInvalidMailboxItemId, "Item 'ArchiveMsgFolderRoot' doesn't belong
// to the targeted mailbox '…'. The item exists in an archive mailbox."
func (a *ask) archive() Archive {
	if a.err == nil {
		return ArchiveUnknown
	}
	var e *odataerrors.ODataError
	if errors.As(a.err, &e) && e.GetErrorEscaped() != nil &&
		strings.Contains(strings.ToLower(value(e.GetErrorEscaped().GetMessage())), "exists in an archive mailbox") {
		return ArchiveFound
	}
	switch a.err.Meaning {
	case NotFound, BadItem, Bad:
		return ArchiveUnknown
	}
	return ArchiveUntold
}
