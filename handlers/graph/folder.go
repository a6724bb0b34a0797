package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/serialization"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"chainmail/handlers/capture"
)

// topFolder is the path of the mailbox's own top, in which few items ever lie.
const topFolder = "Top of Information Store"

// A tree is a mailbox's visible folders.
type tree struct {
	top     string // id of msgfolderroot
	deleted string // id of Deleted Items, empty where there is none
	folders map[string]folder
}

type folder struct {
	id, parent, name string
	children         bool
}

// A place is where a visible folder lies.
type place struct {
	path    string // "Inbox/Projects"
	deleted bool   // Deleted Items, or below
}

func (p place) state() capture.State {
	if p.deleted {
		return capture.Deleted
	}
	return capture.Active
}

// find gives the place of a folder, and false when the folder or one of its parents is not visible.
func (t *tree) find(id string) (place, bool) {
	if id == t.top {
		return place{path: topFolder}, true
	}
	var p place
	var names []string
	for range len(t.folders) + 1 { // a longer way goes round
		if id == t.top {
			slices.Reverse(names)
			p.path = strings.Join(names, "/")
			return p, true
		}
		f, ok := t.folders[id]
		if !ok {
			break
		}
		p.deleted = p.deleted || id == t.deleted
		names = append(names, f.name)
		id = f.parent
	}
	return place{}, false
}

// visible gives the ids of the visible folders, the top included, in a stable order.
func (t *tree) visible() []string {
	ids := []string{t.top}
	for id := range t.folders {
		if _, ok := t.find(id); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids[1:])
	return ids
}

// folderSelect leaves out isHidden: some national clouds do not know it, and hidden folders are not listed unless asked for.
func folderSelect() []string {
	return []string{"id", "displayName", "parentFolderId", "childFolderCount"}
}

// take notes the folders of one page. Search folders are virtual: what they show lies elsewhere.
func (t *tree) take(folders []models.MailFolderable) (ids []string, err error) {
	for _, f := range folders {
		if f == nil || f.GetId() == nil || *f.GetId() == "" {
			return nil, errors.New("folder without id")
		}
		ids = append(ids, *f.GetId())
		_, search := f.(models.MailSearchFolderable)
		_, removed := f.GetAdditionalData()["@removed"]
		if search || removed || value(f.GetIsHidden()) {
			delete(t.folders, *f.GetId())
			continue
		}
		t.folders[*f.GetId()] = folder{
			id: *f.GetId(), parent: value(f.GetParentFolderId()), name: value(f.GetDisplayName()),
			children: value(f.GetChildFolderCount()) > 0,
		}
	}
	return ids, nil
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// A treeWalk is what it takes to learn a tree: three asks, which fit into a batch together with others.
type treeWalk struct {
	tree         *tree
	top, deleted *ask
	delta        *walk
}

func (c *Client) newTreeWalk(userID string) *treeWalk {
	t := &tree{folders: map[string]folder{}}
	return &treeWalk{
		tree: t, top: c.folderID(userID, "msgfolderroot"), deleted: c.folderID(userID, "deleteditems"),
		delta: c.folderDelta(userID, t),
	}
}

func (w *treeWalk) asks() []*ask { return []*ask{w.top, w.deleted, w.delta.open()} }

// finish reads the batch's answers, asks again for those that failed in passing, and follows the list of folders.
func (c *Client) finish(ctx context.Context, userID string, w *treeWalk) (*tree, error) {
	top, err := c.answerID(ctx, userID, w.top)
	if absent(err) { // every mailbox has a top
		return nil, &Error{Op: w.top.op, Status: http.StatusNotFound, Code: CodeOf(err), Meaning: NoMailbox, err: err}
	}
	if err != nil {
		return nil, err
	}
	deleted, err := c.answerID(ctx, userID, w.deleted)
	if err != nil && !absent(err) {
		return nil, err
	}
	w.tree.top, w.tree.deleted = top, deleted
	if err = c.walk(ctx, userID, w.delta); withoutDelta(err) {
		err = c.walkDown(ctx, userID, w.tree)
	}
	return w.tree, err
}

// folderID asks for the id of a well-known folder, whatever its name in the mailbox's language.
func (c *Client) folderID(userID, name string) *ask {
	return &ask{
		op: "find folder", model: models.CreateMailFolderFromDiscriminatorValue,
		info: func(ctx context.Context) (*abstractions.RequestInformation, error) {
			return c.user(userID).MailFolders().ByMailFolderId(name).ToGetRequestInformation(ctx,
				&users.ItemMailFoldersMailFolderItemRequestBuilderGetRequestConfiguration{
					Headers: immutableIDs(),
					QueryParameters: &users.ItemMailFoldersMailFolderItemRequestBuilderGetQueryParameters{
						Select: []string{"id"},
					},
				})
		},
	}
}

func (c *Client) answerID(ctx context.Context, userID string, a *ask) (string, error) {
	if a.passing() {
		if err := c.ask(ctx, userID, false, a); err != nil {
			return "", err
		}
	}
	if a.err != nil {
		return "", a.err
	}
	return a.folderID()
}

// folderID reads the answer to [Client.folderID].
func (a *ask) folderID() (string, error) {
	f, ok := a.answer.(models.MailFolderable)
	if !ok || value(f.GetId()) == "" {
		return "", &Error{Op: a.op, Meaning: Broken, Code: "UnreadableAnswer"}
	}
	return *f.GetId(), nil
}

// folderDelta walks the whole visible tree, which Graph gives as one flat list. The page size is a preference here: $top
// would end the list.
func (c *Client) folderDelta(userID string, t *tree) *walk {
	headers := func(size int32) *abstractions.RequestHeaders {
		return prefer(fmt.Sprintf("odata.maxpagesize=%d,%s", size, immutable))
	}
	type config = users.ItemMailFoldersDeltaRequestBuilderGetRequestConfiguration
	return &walk{
		op: "list folders", sizes: []int32{200, 50, 10},
		model: users.CreateItemMailFoldersDeltaGetResponseFromDiscriminatorValue,
		first: func(ctx context.Context, size int32) (*abstractions.RequestInformation, error) {
			return c.user(userID).MailFolders().Delta().ToGetRequestInformation(ctx, &config{
				Headers:         headers(size),
				QueryParameters: &users.ItemMailFoldersDeltaRequestBuilderGetQueryParameters{Select: folderSelect()},
			})
		},
		next: func(ctx context.Context, link string, size int32) (*abstractions.RequestInformation, error) {
			return users.NewItemMailFoldersDeltaRequestBuilder(link, c.adapter).
				ToGetRequestInformation(ctx, &config{Headers: headers(size)})
		},
		take: func(answer serialization.Parsable) ([]string, *string, error) {
			page, ok := answer.(users.ItemMailFoldersDeltaGetResponseable)
			if !ok || page.GetValue() == nil {
				return nil, nil, errors.New("answer is no list of folders")
			}
			ids, err := t.take(page.GetValue())
			return ids, page.GetOdataNextLink(), err
		},
	}
}

// withoutDelta reports whether a mailbox, or its cloud, has no flat list of folders: China's Graph knows none, and a
// mailbox over its quota refuses it. That the mailbox is there has been seen from its top folder by then.
func withoutDelta(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Meaning == Bad || e.Meaning == NotFound || e.Meaning == NoMailbox ||
		strings.EqualFold(e.Code, "ErrorQuotaExceeded"))
}

// walkDown learns the tree level by level.
func (c *Client) walkDown(ctx context.Context, userID string, t *tree) error {
	clear(t.folders)
	asked := map[string]bool{t.top: true}
	for level := []string{t.top}; len(level) > 0; {
		walks := make([]*walk, len(level))
		asks := make([]*ask, len(level))
		for i, id := range level {
			walks[i] = c.childFolders(userID, id, t)
			asks[i] = walks[i].open()
		}
		if err := c.askAll(ctx, userID, asks); err != nil {
			return err
		}
		for _, w := range walks {
			if err := c.walk(ctx, userID, w); err != nil && !absent(err) {
				return err
			}
		}
		level = nil
		for id, f := range t.folders {
			if f.children && !asked[id] {
				asked[id] = true
				level = append(level, id)
			}
		}
		slices.Sort(level)
	}
	return nil
}

func (c *Client) childFolders(userID, parent string, t *tree) *walk {
	type config = users.ItemMailFoldersItemChildFoldersRequestBuilderGetRequestConfiguration
	return &walk{
		op: "list folders", sizes: []int32{200, 50, 10},
		model: models.CreateMailFolderCollectionResponseFromDiscriminatorValue,
		first: func(ctx context.Context, size int32) (*abstractions.RequestInformation, error) {
			return c.user(userID).MailFolders().ByMailFolderId(parent).ChildFolders().ToGetRequestInformation(ctx, &config{
				Headers: immutableIDs(),
				QueryParameters: &users.ItemMailFoldersItemChildFoldersRequestBuilderGetQueryParameters{
					Select: folderSelect(), Top: &size,
				},
			})
		},
		next: func(ctx context.Context, link string, _ int32) (*abstractions.RequestInformation, error) {
			return users.NewItemMailFoldersItemChildFoldersRequestBuilder(link, c.adapter).
				ToGetRequestInformation(ctx, &config{Headers: immutableIDs()})
		},
		take: func(answer serialization.Parsable) ([]string, *string, error) {
			page, ok := answer.(models.MailFolderCollectionResponseable)
			if !ok || page.GetValue() == nil {
				return nil, nil, errors.New("answer is no list of folders")
			}
			ids, err := t.take(page.GetValue())
			return ids, page.GetOdataNextLink(), err
		},
	}
}

// absent reports whether err says that one folder is not there, as against its mailbox.
func absent(err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.Status != http.StatusNotFound {
		return false
	}
	switch strings.ToLower(e.Code) {
	case "erroritemnotfound", "itemnotfound", "errorfoldernotfound":
		return true
	}
	return false
}
