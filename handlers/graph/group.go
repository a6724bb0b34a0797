package graph

import (
	"context"
	"errors"
	"net/http"
	"strings"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/serialization"
	"github.com/microsoftgraph/msgraph-sdk-go/groups"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
)

// Codes of ours for a group whose members cannot be told; the remedies are in [remedy].
const (
	codeNoGroup       = "GroupNotFound"
	codeGroupDenied   = "GroupMembersDenied"
	codeHiddenGroup   = "HiddenMembership"
	codeHiddenMembers = "MembersUnreadable"
)

const opMembers = "list group members"

// Members calls take for every user among the members of a Microsoft Entra group, those of nested groups included. Groups
// themselves, contacts, devices and service principals are left out. A user may come more than once, and with an error only
// some have come: who lists for a decision takes all or nothing.
//
// The error means [NotFound] when there is no such group, [Unauthorized] when the app lacks a permission, [Denied] when the group
// hides its members.
func (c *Client) Members(ctx context.Context, groupID string, take func(User)) error {
	if strings.TrimSpace(groupID) == "" {
		return &Error{Op: opMembers, Meaning: Bad, Code: "EmptyIdentifier"}
	}
	some := false
	err := c.walk(ctx, directory, c.members(groupID, func(u User) {
		some = true
		take(u)
	}))
	if err == nil && some || ctx.Err() != nil {
		return err
	}
	return c.explainMembers(ctx, groupID, err)
}

// members walks a group's members. The cast to users is an advanced query, which wants the header ConsistencyLevel on every
// page, and $count, which a continuation carries along.
func (c *Client) members(groupID string, take func(User)) *walk {
	return &walk{
		op: opMembers, sizes: []int32{999, 100}, model: models.CreateUserCollectionResponseFromDiscriminatorValue,
		first: func(ctx context.Context, size int32) (*abstractions.RequestInformation, error) {
			count := true
			return c.group(groupID).TransitiveMembers().GraphUser().ToGetRequestInformation(ctx,
				&groups.ItemTransitiveMembersGraphUserRequestBuilderGetRequestConfiguration{
					Headers: eventual(),
					QueryParameters: &groups.ItemTransitiveMembersGraphUserRequestBuilderGetQueryParameters{
						Select: userSelect(), Top: &size, Count: &count,
					},
				})
		},
		next: func(ctx context.Context, link string, _ int32) (*abstractions.RequestInformation, error) {
			return groups.NewItemTransitiveMembersGraphUserRequestBuilder(link, c.adapter).ToGetRequestInformation(ctx,
				&groups.ItemTransitiveMembersGraphUserRequestBuilderGetRequestConfiguration{Headers: eventual()})
		},
		take: func(answer serialization.Parsable) ([]string, *string, error) {
			page, ok := answer.(models.UserCollectionResponseable)
			if !ok || page.GetValue() == nil {
				return nil, nil, errors.New("answer is no list of users")
			}
			ids, err := takeMembers(page.GetValue(), take)
			return ids, page.GetOdataNextLink(), err
		},
	}
}

// takeMembers reads one page. An app that may not read users gets their ids and nulls, which would make everybody disabled and
// without a licence.
func takeMembers(page []models.Userable, take func(User)) (ids []string, err error) {
	for _, m := range page {
		u, err := readUser(opMembers, m)
		if err != nil {
			return nil, err
		}
		if u.UserPrincipalName == "" || m.GetAccountEnabled() == nil {
			return nil, &Error{Op: opMembers, Meaning: Unauthorized, Code: codeHiddenMembers}
		}
		take(u)
		ids = append(ids, u.ID)
	}
	return ids, nil
}

// explainMembers says why a group's members could not be told. A group that hides its members answers an app without the
// permission for that as if it had none, so that an empty list is believed only of a group that hides nothing.
func (c *Client) explainMembers(ctx context.Context, groupID string, err error) error {
	var e *Error
	denied := errors.As(err, &e) && e.Status == http.StatusForbidden &&
		(strings.EqualFold(e.Code, "Authorization_RequestDenied") || strings.EqualFold(e.Code, "ErrorAccessDenied"))
	switch {
	case err == nil || denied:
	case e != nil && (e.Meaning == NoMailbox || e.Meaning == NotFound || e.Status == http.StatusBadRequest && e.Code == "Request_BadRequest"):
		return e.as(NotFound, codeNoGroup)
	default:
		return err
	}
	hides, asked := c.hidesMembers(ctx, groupID)
	switch {
	case hides && denied:
		return e.as(Denied, codeHiddenGroup)
	case hides:
		return &Error{Op: opMembers, Meaning: Denied, Code: codeHiddenGroup}
	case denied:
		return e.as(Unauthorized, codeGroupDenied)
	}
	return asked // nil: nobody is a member
}

// as gives the error another meaning, and a code of ours in place of Graph's.
func (e *Error) as(m Meaning, code string) *Error {
	named := *e
	named.Meaning, named.Code = m, code
	return &named
}

// hidesMembers asks whether the group's membership is hidden.
func (c *Client) hidesMembers(ctx context.Context, groupID string) (bool, error) {
	a := &ask{op: "read group", model: models.CreateGroupFromDiscriminatorValue}
	a.info = func(ctx context.Context) (*abstractions.RequestInformation, error) {
		return c.group(groupID).ToGetRequestInformation(ctx, &groups.GroupItemRequestBuilderGetRequestConfiguration{
			Headers:         immutableIDs(),
			QueryParameters: &groups.GroupItemRequestBuilderGetQueryParameters{Select: []string{"id", "visibility"}},
		})
	}
	if err := c.ask(ctx, directory, false, a); err != nil {
		return false, missing(err)
	}
	g, ok := a.answer.(models.Groupable)
	if !ok || value(g.GetId()) == "" {
		return false, &Error{Op: a.op, Meaning: Broken, Code: "UnreadableAnswer"}
	}
	return strings.EqualFold(value(g.GetVisibility()), "HiddenMembership"), nil
}

// group builds a request to one group, anew each time: see graph.go.
func (c *Client) group(id string) *groups.GroupItemRequestBuilder {
	return groups.NewGroupsRequestBuilderInternal(map[string]string{}, c.adapter).ByGroupId(id)
}

// eventual is the header of an advanced query of the directory.
func eventual() *abstractions.RequestHeaders {
	h := immutableIDs()
	h.Add("ConsistencyLevel", "eventual")
	return h
}
