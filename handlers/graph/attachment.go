package graph

import (
	"context"
	"errors"
	"strings"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/serialization"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
)

// An AttachmentKind is what an attachment is in the store.
type AttachmentKind int

// The kinds of attachments.
const (
	FileAttachment      AttachmentKind = iota
	ItemAttachment                     // an item of a mailbox: its content is MIME, iCalendar or a vCard
	ReferenceAttachment                // a file that lies in a cloud: it has no content here
)

// An Attachment is what is attached to an email, by the store's own account.
type Attachment struct {
	ID        string
	Kind      AttachmentKind
	Name      string
	Type      string // media type, as its sender gave it; may be empty
	Size      int64  // bytes by Exchange's own account, which are more than those of the content
	Inline    bool
	ContentID string // what the HTML calls it by; without angle brackets
	URL       string // where a ReferenceAttachment lies, where Graph says it
}

// Attachments lists what is attached to an email, in the order of the store.
func (c *Client) Attachments(ctx context.Context, userID, itemID string) ([]Attachment, error) {
	return c.attachments(ctx, userID, func(ctx context.Context, size int32) (*abstractions.RequestInformation, error) {
		query := &users.ItemMessagesItemAttachmentsRequestBuilderGetQueryParameters{Select: attachmentSelect()}
		if size > 0 {
			query.Top = &size
		}
		return c.user(userID).Messages().ByMessageId(itemID).Attachments().ToGetRequestInformation(ctx,
			&users.ItemMessagesItemAttachmentsRequestBuilderGetRequestConfiguration{Headers: immutableIDs(), QueryParameters: query})
	})
}

// EventAttachments lists what is attached to an event.
func (c *Client) EventAttachments(ctx context.Context, userID, eventID string) ([]Attachment, error) {
	return c.attachments(ctx, userID, func(ctx context.Context, size int32) (*abstractions.RequestInformation, error) {
		query := &users.ItemEventsItemAttachmentsRequestBuilderGetQueryParameters{Select: attachmentSelect()}
		if size > 0 {
			query.Top = &size
		}
		return c.user(userID).Events().ByEventId(eventID).Attachments().ToGetRequestInformation(ctx,
			&users.ItemEventsItemAttachmentsRequestBuilderGetRequestConfiguration{Headers: immutableIDs(), QueryParameters: query})
	})
}

// attachments walks a list of attachments from its first page on.
func (c *Client) attachments(ctx context.Context, userID string,
	first func(ctx context.Context, size int32) (*abstractions.RequestInformation, error),
) ([]Attachment, error) {
	const op = "list attachments"
	var all []Attachment
	known := map[string]bool{}
	err := c.walk(ctx, userID, &walk{
		op: op, sizes: []int32{0, 100, 10}, // 0: as the server likes it, since Graph's paging of attachments is not to be relied on
		model: models.CreateAttachmentCollectionResponseFromDiscriminatorValue,
		first: first,
		next: func(ctx context.Context, link string, _ int32) (*abstractions.RequestInformation, error) {
			return users.NewItemMessagesItemAttachmentsRequestBuilder(link, c.adapter).ToGetRequestInformation(ctx,
				&users.ItemMessagesItemAttachmentsRequestBuilderGetRequestConfiguration{Headers: immutableIDs()})
		},
		take: func(answer serialization.Parsable) (ids []string, next *string, err error) {
			page, ok := answer.(models.AttachmentCollectionResponseable)
			if !ok || page.GetValue() == nil {
				return nil, nil, errors.New("answer is no list of attachments")
			}
			for _, one := range page.GetValue() {
				if one == nil || value(one.GetId()) == "" {
					return nil, nil, errors.New("attachment without id")
				}
				a := readAttachment(one)
				if ids = append(ids, a.ID); !known[a.ID] {
					known[a.ID] = true
					all = append(all, a)
				}
			}
			return ids, page.GetOdataNextLink(), nil
		},
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// attachmentSelect asks for all but the contents, which would come as one answer. The name that HTML calls an attachment by is a
// property of files alone, and selected as such: by itself it is refused with RequestBroker--ParseUri.
func attachmentSelect() []string {
	return []string{"id", "name", "contentType", "size", "isInline", "microsoft.graph.fileAttachment/contentId"}
}

func readAttachment(m models.Attachmentable) Attachment {
	a := Attachment{
		ID: *m.GetId(), Name: value(m.GetName()), Type: value(m.GetContentType()),
		Size: int64(value(m.GetSize())), Inline: value(m.GetIsInline()),
	}
	switch kind := m.(type) {
	case models.FileAttachmentable:
		a.ContentID = value(kind.GetContentId())
	case models.ItemAttachmentable:
		a.Kind = ItemAttachment
	case models.ReferenceAttachmentable:
		a.Kind = ReferenceAttachment
		if address, ok := m.GetAdditionalData()["sourceUrl"].(*string); ok { // beta alone has it, as yet
			a.URL = value(address)
		}
	}
	return a
}

// Attachment writes an attachment's content to dst and returns its length, as [Client.MIME] does it for an item. [BadItem]
// means that Exchange cannot open it. One that is empty however often it is asked for is empty.
func (c *Client) Attachment(ctx context.Context, userID, itemID, attachmentID string, dst Sink) (int64, error) {
	return c.attachment(ctx, userID, dst, func(ctx context.Context) (*abstractions.RequestInformation, error) {
		return c.user(userID).Messages().ByMessageId(itemID).Attachments().ByAttachmentId(attachmentID).ToGetRequestInformation(ctx,
			&users.ItemMessagesItemAttachmentsAttachmentItemRequestBuilderGetRequestConfiguration{Headers: immutableIDs()})
	})
}

// EventAttachment is [Client.Attachment] for what is attached to an event.
func (c *Client) EventAttachment(ctx context.Context, userID, eventID, attachmentID string, dst Sink) (int64, error) {
	return c.attachment(ctx, userID, dst, func(ctx context.Context) (*abstractions.RequestInformation, error) {
		return c.user(userID).Events().ByEventId(eventID).Attachments().ByAttachmentId(attachmentID).ToGetRequestInformation(ctx,
			&users.ItemEventsItemAttachmentsAttachmentItemRequestBuilderGetRequestConfiguration{Headers: immutableIDs()})
	})
}

// attachment streams an attachment's $value, for which the SDK has no builder: of is a request for the attachment itself.
func (c *Client) attachment(ctx context.Context, userID string, dst Sink,
	of func(context.Context) (*abstractions.RequestInformation, error),
) (int64, error) {
	n, err := c.stream(ctx, "fetch attachment", userID, dst, func(ctx context.Context) (*abstractions.RequestInformation, error) {
		request, err := of(ctx)
		if err != nil {
			return nil, err
		}
		path, _, _ := strings.Cut(request.UrlTemplate, "{?")
		request.UrlTemplate = path + "/$value"
		request.Headers.Remove("Accept")
		request.Headers.Add("Accept", "application/octet-stream, application/json")
		return request, nil
	})
	var e *Error
	if errors.As(err, &e) && e.Code == codeEmpty {
		return 0, nil
	}
	return n, err
}
