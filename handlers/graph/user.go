package graph

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
)

// A User is a user of the directory. Neither Enabled nor Licensed says whether there is a mailbox: a shared one normally
// has neither.
type User struct {
	ID                string // object id
	UserPrincipalName string
	Mail              string
	DisplayName       string
	FirstName         string
	LastName          string
	UserType          string // "Member", "Guest", or empty for old accounts
	Enabled           bool
	Licensed          bool
	Addresses         []string // SMTP addresses, the primary first
}

// UnlicensedGuest reports whether the user is a guest without a licence, whose mailbox is not collected (the seed, "Mailbox
// Collection").
func (u User) UnlicensedGuest() bool { return strings.EqualFold(u.UserType, "Guest") && !u.Licensed }

// FindUser finds a user by object id, user principal name, or any SMTP address. The error means [NotFound] when the
// directory has no such user: a group or contact of that address is none.
func (c *Client) FindUser(ctx context.Context, identifier string) (User, error) {
	const op = "find user"
	if strings.TrimSpace(identifier) == "" {
		return User{}, &Error{Op: op, Meaning: Bad, Code: "EmptyIdentifier"}
	}
	a := &ask{op: op, info: c.userByKey(identifier), model: models.CreateUserFromDiscriminatorValue}
	err := c.ask(ctx, directory, false, a)
	switch m := MeaningOf(err); {
	case err == nil:
		u, ok := a.answer.(models.Userable)
		if !ok {
			return User{}, &Error{Op: op, Meaning: Broken, Code: "UnreadableAnswer"}
		}
		return readUser(op, u)
	case m != NoMailbox && m != NotFound && m != Bad:
		return User{}, err
	case !strings.Contains(identifier, "@"):
		return User{}, missing(err)
	}
	return c.findAddress(ctx, op, identifier)
}

// missing makes an error of the directory say NotFound: a missing user has the codes of a missing mailbox.
func missing(err error) error {
	var e *Error
	if errors.As(err, &e) && e.Meaning == NoMailbox {
		e.Meaning = NotFound
	}
	return err
}

// findAddress looks for a user with that proxy address, which needs an advanced query of the directory.
func (c *Client) findAddress(ctx context.Context, op, address string) (User, error) {
	a := &ask{op: op, info: c.userByAddress(address), model: models.CreateUserCollectionResponseFromDiscriminatorValue}
	if err := c.ask(ctx, directory, false, a); err != nil {
		return User{}, missing(err)
	}
	page, ok := a.answer.(models.UserCollectionResponseable)
	if !ok || page.GetValue() == nil {
		return User{}, &Error{Op: op, Meaning: Broken, Code: "UnreadableAnswer"}
	}
	switch found := page.GetValue(); len(found) {
	case 0:
		return User{}, &Error{Op: op, Meaning: NotFound, Code: "UnknownAddress"}
	case 1:
		return readUser(op, found[0])
	}
	return User{}, &Error{Op: op, Meaning: Broken, Code: "AmbiguousAddress"}
}

func userSelect() []string {
	return []string{"id", "userPrincipalName", "mail", "displayName", "givenName", "surname", "userType", "accountEnabled",
		"assignedLicenses", "proxyAddresses"}
}

func (c *Client) userByKey(key string) func(context.Context) (*abstractions.RequestInformation, error) {
	return func(ctx context.Context) (*abstractions.RequestInformation, error) {
		return c.user(key).ToGetRequestInformation(ctx, &users.UserItemRequestBuilderGetRequestConfiguration{
			Headers:         immutableIDs(),
			QueryParameters: &users.UserItemRequestBuilderGetQueryParameters{Select: userSelect()},
		})
	}
}

func (c *Client) userByAddress(address string) func(context.Context) (*abstractions.RequestInformation, error) {
	filter := "proxyAddresses/any(p:p eq 'smtp:" + strings.ReplaceAll(address, "'", "''") + "')"
	count := true
	return func(ctx context.Context) (*abstractions.RequestInformation, error) {
		return c.users().ToGetRequestInformation(ctx, &users.UsersRequestBuilderGetRequestConfiguration{
			Headers: eventual(),
			QueryParameters: &users.UsersRequestBuilderGetQueryParameters{
				Filter: &filter, Count: &count, Select: userSelect(),
			},
		})
	}
}

func readUser(op string, u models.Userable) (User, error) {
	if u == nil || value(u.GetId()) == "" {
		return User{}, &Error{Op: op, Meaning: Broken, Code: "UnreadableAnswer"}
	}
	return User{
		ID: *u.GetId(), UserPrincipalName: value(u.GetUserPrincipalName()), Mail: value(u.GetMail()),
		DisplayName: value(u.GetDisplayName()), FirstName: value(u.GetGivenName()), LastName: value(u.GetSurname()),
		UserType: value(u.GetUserType()), Enabled: value(u.GetAccountEnabled()), Licensed: len(u.GetAssignedLicenses()) > 0,
		Addresses: smtpAddresses(u.GetProxyAddresses()),
	}, nil
}

// smtpAddresses gives the SMTP addresses among proxy addresses. The primary's prefix is in capitals.
func smtpAddresses(proxies []string) []string {
	prefix := regexp.MustCompile(`(?i)^smtp:`)
	var out []string
	for _, p := range proxies {
		switch {
		case strings.HasPrefix(p, "SMTP:"):
			out = slices.Insert(out, 0, p[len("SMTP:"):])
		case prefix.MatchString(p):
			out = append(out, p[len("smtp:"):])
		}
	}
	return out
}

// ProbeMailbox asks whether the user's mailbox answers: nil if it does. The error means [NoMailbox] when there is none
// that Graph can read, [Denied] when the app may not read it.
func (c *Client) ProbeMailbox(ctx context.Context, userID string) error {
	a := c.folderID(userID, "inbox")
	a.op = "probe mailbox"
	err := c.ask(ctx, userID, false, a)
	var e *Error
	if errors.As(err, &e) && e.Meaning == NotFound { // every mailbox has an inbox
		e.Meaning = NoMailbox
	}
	if err == nil {
		_, err = a.folderID()
	}
	return err
}
