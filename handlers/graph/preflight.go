package graph

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/applicationswithappid"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
)

// Remedy says in one line what an operator can do about the [*Error] in err's chain, "" where that is not known.
func Remedy(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return remedy(e.Code)
	}
	return ""
}

// A Token is what an access token says of whom it was given to. It is read and not validated: that is its receiver's affair.
type Token struct {
	App    string   // client id
	Tenant string   // id
	Roles  []string // application permissions; what RBAC for Applications grants is not among them
	Opaque bool     // the token is none that can be read
}

// SignsIn reports whether the client signs in at all.
func (c *Client) SignsIn() bool { return c.credential != nil }

// Token signs in and reads the token. The error is an [*Error] or the context's.
func (c *Client) Token(ctx context.Context) (Token, error) {
	got, err := c.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{c.scope}})
	if err != nil {
		return Token{}, asError("sign in", signInError(err))
	}
	return readToken(got.Token), nil
}

func readToken(text string) Token {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return Token{Opaque: true}
	}
	var claims struct {
		App    string   `json:"appid"`
		Tenant string   `json:"tid"`
		Roles  []string `json:"roles"`
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(data, &claims) != nil {
		return Token{Opaque: true}
	}
	return Token{App: claims.App, Tenant: claims.Tenant, Roles: claims.Roles}
}

// A Validity is the time for which a credential holds.
type Validity struct{ From, To time.Time }

// Certificate gives the validity of the certificate that the client signs in with, false if it has none.
func (c *Client) Certificate() (Validity, bool) {
	cert, ok := c.credential.(*certified)
	if !ok {
		return Validity{}, false
	}
	return Validity{From: cert.pair.leaf.NotBefore.UTC(), To: cert.pair.leaf.NotAfter.UTC()}, true
}

// A ClientSecret is one of an app registration's, as Graph shows it.
type ClientSecret struct {
	Validity
	Hint string // its first three characters
}

// ClientSecrets reads the client secrets of an app registration, for which an app needs the permission Application.Read.All.
func (c *Client) ClientSecrets(ctx context.Context, appID string) ([]ClientSecret, error) {
	a := &ask{op: "read application", model: models.CreateApplicationFromDiscriminatorValue}
	a.info = func(ctx context.Context) (*abstractions.RequestInformation, error) {
		builder := applicationswithappid.NewApplicationsWithAppIdRequestBuilderInternal(map[string]string{}, c.adapter, &appID)
		return builder.ToGetRequestInformation(ctx, &applicationswithappid.ApplicationsWithAppIdRequestBuilderGetRequestConfiguration{
			Headers: immutableIDs(),
			QueryParameters: &applicationswithappid.ApplicationsWithAppIdRequestBuilderGetQueryParameters{
				Select: []string{"id", "passwordCredentials"},
			},
		})
	}
	if err := c.ask(ctx, directory, false, a); err != nil {
		return nil, missing(err)
	}
	app, ok := a.answer.(models.Applicationable)
	if !ok || value(app.GetId()) == "" {
		return nil, unreadable(a.op)
	}
	var all []ClientSecret
	for _, p := range app.GetPasswordCredentials() {
		if p != nil && p.GetEndDateTime() != nil {
			all = append(all, ClientSecret{Validity{utc(p.GetStartDateTime()), utc(p.GetEndDateTime())}, value(p.GetHint())})
		}
	}
	return all, nil
}

func unreadable(op string) *Error { return &Error{Op: op, Meaning: Broken, Code: "UnreadableAnswer"} }

// SomeUsers reads one page of the directory's users, at most 999. The error means [Unauthorized] also when the directory gives
// users without what User.Read.All would show of them.
func (c *Client) SomeUsers(ctx context.Context, top int32) ([]User, error) {
	a := &ask{op: "list users", model: models.CreateUserCollectionResponseFromDiscriminatorValue}
	a.info = func(ctx context.Context) (*abstractions.RequestInformation, error) {
		return c.users().ToGetRequestInformation(ctx, &users.UsersRequestBuilderGetRequestConfiguration{
			Headers:         immutableIDs(),
			QueryParameters: &users.UsersRequestBuilderGetQueryParameters{Select: userSelect(), Top: &top},
		})
	}
	if err := c.ask(ctx, directory, false, a); err != nil {
		return nil, err
	}
	page, ok := a.answer.(models.UserCollectionResponseable)
	if !ok || page.GetValue() == nil {
		return nil, unreadable(a.op)
	}
	var all []User
	_, err := takeMembers(page.GetValue(), func(u User) { all = append(all, u) })
	return all, asNamed(a.op, err)
}

// asNamed is [asError] for an error that may be nil.
func asNamed(op string, err error) error {
	if err == nil {
		return nil
	}
	return asError(op, err)
}

// Plans reads the ids of the service plans that a user has and that are in force, in lower case.
func (c *Client) Plans(ctx context.Context, userID string) ([]string, error) {
	a := &ask{op: "read plans", model: models.CreateUserFromDiscriminatorValue}
	a.info = func(ctx context.Context) (*abstractions.RequestInformation, error) {
		return c.user(userID).ToGetRequestInformation(ctx, &users.UserItemRequestBuilderGetRequestConfiguration{
			Headers:         immutableIDs(),
			QueryParameters: &users.UserItemRequestBuilderGetQueryParameters{Select: []string{"id", "assignedPlans"}},
		})
	}
	if err := c.ask(ctx, directory, false, a); err != nil {
		return nil, missing(err)
	}
	u, ok := a.answer.(models.Userable)
	if !ok || u.GetAssignedPlans() == nil { // null is what an app gets that may not read them; who has none has an empty list
		return nil, unreadable(a.op)
	}
	var plans []string
	for _, p := range u.GetAssignedPlans() {
		// "Warning" is a subscription that has lapsed and still works (Microsoft Graph, assignedPlan resource type).
		if p != nil && p.GetServicePlanId() != nil && slices.Contains([]string{"Enabled", "Warning"}, value(p.GetCapabilityStatus())) {
			plans = append(plans, strings.ToLower(p.GetServicePlanId().String()))
		}
	}
	return plans, nil
}

// TryMessages lists one message of a mailbox with the property that listings ask for, its size: an app with Mail.ReadBasic.All
// alone is refused it. What is answered is thrown away.
func (c *Client) TryMessages(ctx context.Context, userID string) error {
	top := int32(1)
	a := &ask{op: "try messages", model: models.CreateMessageCollectionResponseFromDiscriminatorValue}
	a.info = func(ctx context.Context) (*abstractions.RequestInformation, error) {
		return c.user(userID).Messages().ToGetRequestInformation(ctx, &users.ItemMessagesRequestBuilderGetRequestConfiguration{
			Headers: immutableIDs(),
			QueryParameters: &users.ItemMessagesRequestBuilderGetQueryParameters{
				Select: []string{"id"}, Top: &top, Expand: []string{"singleValueExtendedProperties($filter=id eq '" + sizeProperty + "')"},
			},
		})
	}
	return c.ask(ctx, userID, false, a)
}

// TryCalendars lists one calendar of a mailbox, by its id.
func (c *Client) TryCalendars(ctx context.Context, userID string) error {
	top := int32(1)
	a := &ask{op: "try calendars", model: models.CreateCalendarCollectionResponseFromDiscriminatorValue}
	a.info = func(ctx context.Context) (*abstractions.RequestInformation, error) {
		return c.user(userID).Calendars().ToGetRequestInformation(ctx, &users.ItemCalendarsRequestBuilderGetRequestConfiguration{
			Headers:         immutableIDs(),
			QueryParameters: &users.ItemCalendarsRequestBuilderGetQueryParameters{Select: []string{"id"}, Top: &top},
		})
	}
	return c.ask(ctx, userID, false, a)
}

// TryTop asks for the id of a mailbox's top folder and nothing else, the least that shows whether the app is let in.
func (c *Client) TryTop(ctx context.Context, userID string) error {
	a := c.folderID(userID, "msgfolderroot")
	a.op = "try mailbox"
	return c.ask(ctx, userID, false, a)
}
