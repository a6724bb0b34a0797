package graph

import (
	"context"
	"strconv"
	"strings"
	"time"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
)

// A Message is what Graph tells of an email beside its MIME: enough to write one where Exchange cannot.
type Message struct {
	Subject                    string
	From, Sender               Person // zero: there is none
	To, CC, BCC, ReplyTo       []Person
	MessageID                  string   // with its angle brackets
	InReplyTo, References      string   // by the store's own account, which sent mails have as well
	Headers                    []Header // as the mail was transported, in order; none for what was never transported
	ConversationIndex          []byte
	Class                      string // Outlook's message class, "IPM.Note"
	Sent, Received             time.Time
	Importance                 string // low, normal, high
	Sensitivity                string // Personal, Private, Company-Confidential; "": normal
	Categories                 []string
	ReadReceipt, DeliveryAsked bool
	HTML                       bool   // what the body is written in
	Body                       string // as it lies in the store, scripts and all
}

// A Person is a name and an address, of which one may be empty.
type Person struct{ Name, Address string }

// A Header is a field of a mail's header as it was transported, its value unfolded.
type Header struct{ Name, Value string }

// MAPI's properties that Graph's message does not have.
const (
	classProperty       = "String 0x001A"  // PidTagMessageClass
	sensitivityProperty = "Integer 0x0036" // PidTagSensitivity
	referencesProperty  = "String 0x1039"  // PidTagInternetReferences
	inReplyToProperty   = "String 0x1042"  // PidTagInReplyToId
)

// wholeBody is the header for a body as it is: without it Graph takes out of HTML what it holds for unsafe.
const wholeBody = immutable + ", outlook.allow-unsafe-html"

// Message gives an email's header fields and body as JSON has them. The errors mean what those of [Client.MIME] do.
func (c *Client) Message(ctx context.Context, userID, itemID string) (Message, error) {
	const op = "get item"
	a := &ask{op: op, model: models.CreateMessageFromDiscriminatorValue}
	a.info = func(ctx context.Context) (*abstractions.RequestInformation, error) {
		return c.user(userID).Messages().ByMessageId(itemID).ToGetRequestInformation(ctx,
			&users.ItemMessagesMessageItemRequestBuilderGetRequestConfiguration{
				Headers: prefer(wholeBody),
				QueryParameters: &users.ItemMessagesMessageItemRequestBuilderGetQueryParameters{
					Select: messageSelect(),
					Expand: []string{"singleValueExtendedProperties($filter=id eq '" + strings.Join([]string{
						classProperty, sensitivityProperty, referencesProperty, inReplyToProperty,
					}, "' or id eq '") + "')"},
				},
			})
	}
	if err := c.ask(ctx, userID, false, a); err != nil {
		return Message{}, err
	}
	m, ok := a.answer.(models.Messageable)
	if !ok || value(m.GetId()) == "" {
		return Message{}, &Error{Op: op, Meaning: Broken, Code: "UnreadableAnswer"}
	}
	return readMessage(m), nil
}

func messageSelect() []string {
	return []string{"id", "subject", "from", "sender", "toRecipients", "ccRecipients", "bccRecipients", "replyTo",
		"internetMessageId", "internetMessageHeaders", "conversationIndex", "sentDateTime", "receivedDateTime", "importance",
		"categories", "isReadReceiptRequested", "isDeliveryReceiptRequested", "body"}
}

func readMessage(m models.Messageable) Message {
	out := Message{
		Subject: value(m.GetSubject()), From: person(m.GetFrom()), Sender: person(m.GetSender()),
		To: persons(m.GetToRecipients()), CC: persons(m.GetCcRecipients()), BCC: persons(m.GetBccRecipients()),
		ReplyTo: persons(m.GetReplyTo()), MessageID: value(m.GetInternetMessageId()), ConversationIndex: m.GetConversationIndex(),
		Sent: utc(m.GetSentDateTime()), Received: utc(m.GetReceivedDateTime()), Categories: m.GetCategories(),
		ReadReceipt: value(m.GetIsReadReceiptRequested()), DeliveryAsked: value(m.GetIsDeliveryReceiptRequested()),
	}
	if i := m.GetImportance(); i != nil {
		out.Importance = i.String()
	}
	for _, h := range m.GetInternetMessageHeaders() {
		if h != nil {
			out.Headers = append(out.Headers, Header{Name: value(h.GetName()), Value: value(h.GetValue())})
		}
	}
	if b := m.GetBody(); b != nil {
		out.Body, out.HTML = value(b.GetContent()), value(b.GetContentType()) == models.HTML_BODYTYPE
	}
	for _, p := range m.GetSingleValueExtendedProperties() {
		switch id, text := value(p.GetId()), value(p.GetValue()); {
		case isProperty(id, classProperty):
			out.Class = text
		case isProperty(id, sensitivityProperty):
			out.Sensitivity = sensitivity(text)
		case isProperty(id, referencesProperty):
			out.References = text
		case isProperty(id, inReplyToProperty):
			out.InReplyTo = text
		}
	}
	return out
}

// sensitivity is a value of PidTagSensitivity in the words of mail (RFC 2156, 5.3.4).
func sensitivity(text string) string {
	n, _ := strconv.Atoi(text) // none of it is normal
	return map[int]string{1: "Personal", 2: "Private", 3: "Company-Confidential"}[n]
}

func person(r models.Recipientable) Person {
	if r == nil || r.GetEmailAddress() == nil {
		return Person{}
	}
	return Person{Name: value(r.GetEmailAddress().GetName()), Address: value(r.GetEmailAddress().GetAddress())}
}

func persons(all []models.Recipientable) []Person {
	var list []Person
	for _, r := range all {
		if p := person(r); p != (Person{}) {
			list = append(list, p)
		}
	}
	return list
}
