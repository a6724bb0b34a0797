package graph

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/serialization"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"chainmail/handlers/capture"
)

// A Query says what to list.
type Query struct {
	Window  capture.Window // on the time received
	Quick   bool           // the mailbox as a whole instead of folder by folder; both find the same
	IDsOnly bool           // no more of an item than its id, folder, state and time received
	Drafts  bool           // drafts are in scope

	CreatedFrom time.Time // nothing that came into the store before; zero: whenever it came
}

// A Listing is what lies in a window.
type Listing struct {
	Items    []capture.Item // in scope, each id once, by time received and id
	Unlisted []Unlisted     // what is there and cannot be listed, by time and folder
	LeftOut  map[string]int // rows listed and not in scope, by the scope that they fall under: "hidden folder", "draft"
}

// The scopes of LeftOut.
const (
	HiddenFolder  = "hidden folder" // or one below a hidden folder, as the Teams chat copies
	Draft         = "draft"
	OutsideWindow = "outside window" // a row that the server should not have listed
)

// sizeProperty is MAPI's PidTagMessageSize; a message of Graph has no size of its own.
const sizeProperty = "Integer 0x0E08"

// List lists the emails of a mailbox that were received in the window and lie in a visible folder, all of whose parents are
// visible, or in Recoverable Items' Deletions, Purges and DiscoveryHolds; a mailbox without one of the three is fine.
//
// Graph pages by offset, so that what is moved or removed while a listing runs can be missed: list again until two
// agree. Recoverable Items are listed after the visible folders, and with IDsOnly only once those are through, so that
// an item deleted meanwhile is seen in at least one of two places. An item seen in several is kept as it was seen last: of
// one moved from Inbox to Deletions, the state is Recoverable.
//
// CreatedFrom finds what was imported, restored or moved in from elsewhere, which keeps its time received. Graph's pages document
// no filter on createdDateTime: where one is refused the error's meaning is Bad.
//
// An item whose row Graph cannot give spoils every page that would hold it. All others are listed around it, and it stands in
// Unlisted. A mailbox-wide list that is spoilt gives way to the folders' lists, since what spoils it need not be in scope.
func (c *Client) List(ctx context.Context, userID string, q Query) (Listing, error) {
	l := &lister{client: c, userID: userID, query: q, rows: map[string]row{}}
	if err := l.run(ctx); err != nil {
		return Listing{}, err
	}
	return l.listing(), nil
}

// A lister is one listing under way.
type lister struct {
	client *Client
	userID string
	query  Query
	tree   *tree
	rows   map[string]row // by id
	lost   []loss
	extra  int // requests spent on finding what spoils a page
}

// A list is one list of messages: of one folder, or with folderID "" of all but Recoverable Items.
type list struct {
	folderID string
	dumpster *dumpster      // nil for any but a folder of Recoverable Items
	rest     capture.Window // what is still to list: the list is sorted by time, and a row ends all seconds before its own
	opened   *walk          // begun by a batch
	narrows  bool           // its requests count as extra
}

func (l *lister) list(folderID string, d *dumpster) *list {
	return &list{folderID: folderID, dumpster: d, rest: l.query.Window}
}

// A row is an item as it was seen last. Where it is known from the list that it came from, the place is fixed; otherwise its
// folder decides.
type row struct {
	item  capture.Item
	fixed bool
}

// A dumpster is a folder of Recoverable Items that is in scope.
type dumpster struct {
	wellKnown, path string
	state           capture.State
}

func dumpsters() []dumpster {
	return []dumpster{
		{"recoverableitemsdeletions", "Recoverable Items/Deletions", capture.Recoverable},
		{"recoverableitemspurges", "Recoverable Items/Purges", capture.Purged},
		{"recoverableitemsdiscoveryholds", "Recoverable Items/DiscoveryHolds", capture.Recoverable},
	}
}

func (l *lister) run(ctx context.Context) error {
	tw := l.client.newTreeWalk(l.userID)
	var visible, recoverable []*list
	for _, d := range dumpsters() {
		recoverable = append(recoverable, l.list(d.wellKnown, &d))
	}
	asks := tw.asks()
	if l.query.Quick {
		visible = []*list{l.list("", nil)}
		asks = append(asks, l.open(visible)...)
		if !l.query.IDsOnly {
			asks = append(asks, l.open(recoverable)...)
		}
	}
	err := l.client.askAll(ctx, l.userID, asks)
	if err != nil {
		return err
	}
	if l.tree, err = l.client.finish(ctx, l.userID, tw); err != nil {
		return err
	}
	if l.query.Quick {
		err = l.follow(ctx, visible)
	}
	if !l.query.Quick || spoilt(err) {
		err = l.byFolder(ctx)
	}
	if err != nil {
		return err
	}
	if recoverable[0].opened == nil {
		if err := l.client.askAll(ctx, l.userID, l.open(recoverable)); err != nil {
			return err
		}
	}
	return l.follow(ctx, recoverable)
}

// byFolder lists the visible folders one by one.
func (l *lister) byFolder(ctx context.Context) error {
	var visible []*list
	for _, id := range l.tree.visible() {
		visible = append(visible, l.list(id, nil))
	}
	if err := l.client.askAll(ctx, l.userID, l.open(visible)); err != nil {
		return err
	}
	return l.follow(ctx, visible)
}

// open gives the first pages of lists as asks for a batch.
func (l *lister) open(lists []*list) []*ask {
	var asks []*ask
	for _, s := range lists {
		s.opened = l.messages(s)
		asks = append(asks, s.opened.open())
	}
	return asks
}

// follow goes through lists to their ends, one after another. A folder that is not there holds nothing: Recoverable Items
// come into being when needed, and a visible folder can go while we list.
func (l *lister) follow(ctx context.Context, lists []*list) error {
	for _, s := range lists {
		if err := l.sweep(ctx, s); err != nil && !absent(err) {
			return err
		}
	}
	return nil
}

// messages walks what is still to list of s.
func (l *lister) messages(s *list) *walk {
	return &walk{
		op: "list messages", sizes: []int32{1000, 100, 10}, brief: true,
		model: models.CreateMessageCollectionResponseFromDiscriminatorValue,
		first: func(ctx context.Context, size int32) (*abstractions.RequestInformation, error) {
			return l.firstMessages(ctx, s, size, 0)
		},
		next: func(ctx context.Context, link string, _ int32) (*abstractions.RequestInformation, error) {
			l.count(s)
			return users.NewItemMessagesRequestBuilder(link, l.client.adapter).ToGetRequestInformation(ctx,
				&users.ItemMessagesRequestBuilderGetRequestConfiguration{Headers: immutableIDs()})
		},
		take: func(answer serialization.Parsable) ([]string, *string, error) {
			page, ok := answer.(models.MessageCollectionResponseable)
			if !ok || page.GetValue() == nil {
				return nil, nil, errors.New("answer is no list of messages")
			}
			ids, err := l.take(page.GetValue(), s)
			return ids, page.GetOdataNextLink(), err
		},
	}
}

// firstMessages asks for little of each message: bodies and recipients make a page too slow to be answered. Every
// property of $orderby stands first in $filter, or the answer is InefficientFilter. skip is 0 but for a list that is spoilt.
func (l *lister) firstMessages(ctx context.Context, s *list, size, skip int32) (*abstractions.RequestInformation, error) {
	l.count(s)
	filter := fmt.Sprintf("receivedDateTime ge %s and receivedDateTime lt %s",
		s.rest.Start.UTC().Format(time.RFC3339), s.rest.End.UTC().Format(time.RFC3339))
	if from := l.query.CreatedFrom; !from.IsZero() { // last: what is sorted by comes first
		filter += " and createdDateTime ge " + from.UTC().Format(time.RFC3339)
	}
	var offset *int32
	if skip > 0 {
		offset = &skip
	}
	order, fields := []string{"receivedDateTime"}, []string{"id", "parentFolderId", "receivedDateTime", "isDraft"}
	var expand []string
	if !l.query.IDsOnly {
		fields = append(fields, "changeKey", "internetMessageId", "sentDateTime", "createdDateTime", "lastModifiedDateTime")
		expand = []string{"singleValueExtendedProperties($filter=id eq '" + sizeProperty + "')"}
	}
	if s.folderID == "" {
		return l.client.user(l.userID).Messages().ToGetRequestInformation(ctx,
			&users.ItemMessagesRequestBuilderGetRequestConfiguration{
				Headers: immutableIDs(),
				QueryParameters: &users.ItemMessagesRequestBuilderGetQueryParameters{
					Filter: &filter, Orderby: order, Select: fields, Expand: expand, Top: &size, Skip: offset,
				},
			})
	}
	return l.client.user(l.userID).MailFolders().ByMailFolderId(s.folderID).Messages().ToGetRequestInformation(ctx,
		&users.ItemMailFoldersItemMessagesRequestBuilderGetRequestConfiguration{
			Headers: immutableIDs(),
			QueryParameters: &users.ItemMailFoldersItemMessagesRequestBuilderGetQueryParameters{
				Filter: &filter, Orderby: order, Select: fields, Expand: expand, Top: &size, Skip: offset,
			},
		})
}

// take notes the messages of one page.
func (l *lister) take(messages []models.Messageable, s *list) (ids []string, err error) {
	for _, m := range messages {
		if m == nil || value(m.GetId()) == "" {
			return nil, errors.New("message without id")
		}
		r := row{item: l.item(m)}
		switch {
		case s.dumpster != nil:
			r.item.Folder, r.item.State, r.fixed = s.dumpster.path, s.dumpster.state, true
		case r.item.FolderID == "" && s.folderID == "":
			return nil, errors.New("message without folder")
		case r.item.FolderID == "":
			r.item.FolderID = s.folderID
		}
		l.rows[r.item.GraphID] = r
		if s.rest.Contains(r.item.Received) {
			s.rest.Start = r.item.Received.Truncate(time.Second)
		}
		ids = append(ids, r.item.GraphID)
	}
	return ids, nil
}

func (l *lister) item(m models.Messageable) capture.Item {
	item := capture.Item{
		GraphID: *m.GetId(), ChangeKey: value(m.GetChangeKey()), Kind: capture.Email, Class: "message",
		InternetMessageID: value(m.GetInternetMessageId()), FolderID: value(m.GetParentFolderId()),
		Draft: value(m.GetIsDraft()), Received: utc(m.GetReceivedDateTime()),
	}
	if t := value(m.GetOdataType()); t != "" {
		item.Class = strings.TrimPrefix(t, "#microsoft.graph.")
	}
	if l.query.IDsOnly {
		return capture.Item{
			GraphID: item.GraphID, Kind: item.Kind, FolderID: item.FolderID, Draft: item.Draft, Received: item.Received,
		}
	}
	item.Sent, item.Created = utc(m.GetSentDateTime()), utc(m.GetCreatedDateTime())
	item.Modified = utc(m.GetLastModifiedDateTime())
	for _, p := range m.GetSingleValueExtendedProperties() {
		if isSize(value(p.GetId())) {
			item.Size, _ = strconv.ParseInt(value(p.GetValue()), 10, 64) // 0: not known
		}
	}
	return item
}

// isSize tells the size from other properties.
func isSize(id string) bool { return isProperty(id, sizeProperty) }

// isProperty reports whether an extended property is the one of the given id. QUIRK: Exchange spells the id in its own way,
// "Integer 0xe08", however it was asked for.
func isProperty(id, asked string) bool {
	kind, tag, _ := strings.Cut(id, " ")
	askedKind, askedTag, _ := strings.Cut(asked, " ")
	n, err := strconv.ParseUint(tag, 0, 32)
	want, _ := strconv.ParseUint(askedTag, 0, 32)
	return err == nil && n == want && strings.EqualFold(kind, askedKind)
}

func utc(t *time.Time) time.Time { return value(t).UTC() }

// listing sorts out what is in scope.
func (l *lister) listing() Listing {
	out := Listing{LeftOut: map[string]int{}, Unlisted: l.unlisted()}
	for _, r := range l.rows {
		if scope := l.place(&r); scope != "" {
			out.LeftOut[scope]++
			continue
		}
		out.Items = append(out.Items, r.item)
	}
	slices.SortFunc(out.Items, func(a, b capture.Item) int {
		return cmp.Or(a.Received.Compare(b.Received), strings.Compare(a.GraphID, b.GraphID))
	})
	return out
}

// place gives the row its place, or says under which scope it is left out.
func (l *lister) place(r *row) (leftOut string) {
	if !r.fixed {
		p, ok := l.tree.find(r.item.FolderID)
		if !ok {
			return HiddenFolder
		}
		r.item.Folder, r.item.State = p.path, p.state()
	}
	switch {
	case r.item.Draft && !l.query.Drafts:
		return Draft
	case !r.item.Received.IsZero() && !l.query.Window.Contains(r.item.Received):
		return OutsideWindow // one without a time is kept: the server has found it in the window
	}
	return ""
}
