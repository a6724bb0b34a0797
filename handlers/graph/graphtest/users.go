package graphtest

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var userDefaults = []string{
	"id", "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation",
	"preferredLanguage", "surname", "userPrincipalName",
}

func userProperties() []string {
	return append(userDefaults[:len(userDefaults):len(userDefaults)],
		"accountEnabled", "userType", "assignedLicenses", "assignedPlans", "proxyAddresses", "otherMails", "mailNickname",
		"onPremisesSyncEnabled", "onPremisesImmutableId", "preferredDataLocation", "createdDateTime", "deletedDateTime")
}

// exchangePlan is the service plan of Exchange Online (Plan 2).
const exchangePlan = "efb87545-963c-4e0d-99df-69c6916d9eb0"

func userRow(u *User, selected []string) map[string]any {
	nickname, _, _ := strings.Cut(u.UserPrincipalName, "@")
	all := map[string]any{
		"id": u.ID, "businessPhones": []string{}, "displayName": u.DisplayName, "givenName": orNull(u.GivenName), "jobTitle": nil,
		"mail": orNull(u.Mail), "mobilePhone": nil, "officeLocation": nil, "preferredLanguage": nil, "surname": orNull(u.Surname),
		"userPrincipalName": u.UserPrincipalName, "accountEnabled": u.Enabled, "userType": orNull(u.UserType),
		"assignedLicenses": []any{}, "assignedPlans": []any{}, "proxyAddresses": proxyAddresses(u), "otherMails": []string{},
		"mailNickname": nickname, "onPremisesSyncEnabled": nil, "onPremisesImmutableId": nil,
		"preferredDataLocation": orNull(u.DataLocation), "createdDateTime": "2021-04-01T08:00:00Z", "deletedDateTime": nil,
	}
	if u.OnPremises {
		all["onPremisesSyncEnabled"] = true
		all["onPremisesImmutableId"] = base64.StdEncoding.EncodeToString(seedBytes("source anchor "+u.ID, 16))
	}
	if u.Licensed {
		all["assignedLicenses"] = []any{map[string]any{
			"disabledPlans": []string{}, "skuId": "6fd2c87f-b296-42f0-b197-1e91e994b900",
		}}
		all["assignedPlans"] = []any{map[string]any{
			"assignedDateTime": "2021-04-01T08:00:00Z", "capabilityStatus": "Enabled", "service": "exchange",
			"servicePlanId": exchangePlan,
		}}
	}
	if len(u.Plans) > 0 {
		all["assignedPlans"] = append(all["assignedPlans"].([]any), planRows(u.Plans)...)
	}
	return project(all, selected, userDefaults)
}

func proxyAddresses(u *User) []string {
	list := []string{}
	if u.Mail != "" {
		list = append(list, "SMTP:"+u.Mail)
	}
	for _, a := range u.Aliases {
		if !strings.EqualFold(a, u.Mail) {
			list = append(list, "smtp:"+a)
		}
	}
	return list
}

// getUser answers for one user, found by object id or user principal name alone.
func (s *Server) getUser(c *call) *reply {
	var bad *reply
	if c.options, bad = parseOptions(c.query, []string{"$select"}); bad != nil {
		return bad
	}
	selected, bad := selection(c.options, userProperties())
	if bad != nil {
		return bad
	}
	if !s.permitted("User.Read.All") {
		return insufficient()
	}
	u := s.index.ofDirectory(c.route.user)
	if u == nil {
		return noSuchResource()
	}
	row := userRow(u.User, selected)
	row["@odata.context"] = c.base + "/$metadata#users/$entity"
	return jsonReply(row)
}

func insufficient() *reply {
	return refuse(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
}

func noSuchResource() *reply {
	return refuse(404, "Request_ResourceNotFound",
		"Resource does not exist or one of its queried reference-property objects are not present.")
}

// A directoryClause is one comparison of a $filter on users or groups.
type directoryClause struct{ property, op, value string }

var directoryTerm = regexp.MustCompile(`^(?:` +
	`(id|userPrincipalName|mail|displayName|userType|accountEnabled)\s+(eq|ne)\s+('(?:[^']|'')*'|true|false|null)` +
	`|proxyAddresses/any\((\w+):(\w+)\s+eq\s+('(?:[^']|'')*')\)` +
	`)(?:\s+(and|or)\s+|$)`)

// parseDirectoryFilter reads the $filter of a list of users or groups: comparisons by eq or ne, and
// proxyAddresses/any(p:p eq '…'), joined by and and or, without parentheses. The outer list is joined by or.
func parseDirectoryFilter(text string) ([][]directoryClause, error) {
	text = strings.TrimSpace(text)
	alternatives := [][]directoryClause{nil}
	for {
		m := directoryTerm.FindStringSubmatch(text)
		if m == nil || m[4] != m[5] {
			return nil, fmt.Errorf("a term is not understood")
		}
		c := directoryClause{property: m[1], op: m[2], value: m[3]}
		if m[4] != "" {
			c = directoryClause{property: "proxyAddresses", op: "eq", value: m[6]}
		}
		if boolean := c.value == "true" || c.value == "false"; boolean != (c.property == "accountEnabled") {
			return nil, fmt.Errorf("a value is not of the property's type")
		}
		if quoted, ok := strings.CutPrefix(c.value, "'"); ok {
			c.value = strings.ReplaceAll(strings.TrimSuffix(quoted, "'"), "''", "'")
		} else if c.value == "null" {
			c.value = ""
		}
		last := len(alternatives) - 1
		alternatives[last] = append(alternatives[last], c)
		text = text[len(m[0]):]
		switch m[7] {
		case "":
			return alternatives, nil
		case "or":
			alternatives = append(alternatives, nil)
		}
	}
}

func (d directoryClause) matches(values map[string]any) bool {
	is := false
	switch v := values[d.property].(type) {
	case nil:
		is = d.value == ""
	case string:
		is = strings.EqualFold(v, d.value)
	case bool:
		is = fmt.Sprint(v) == d.value
	case []string:
		is = slices.ContainsFunc(v, func(a string) bool { return strings.EqualFold(a, d.value) })
	}
	return is == (d.op == "eq")
}

// directoryPage answers a list of directory objects, each by a function that gives all its values: a large list is paged
// without making all of it each time.
func (s *Server) directoryPage(c *call, kind string, all []func() map[string]any, defaults, known []string) *reply {
	options := []string{"$select", "$filter", "$top", "$count", "$orderby", "$skiptoken"}
	var bad *reply
	if c.options, bad = parseOptions(c.query, options); bad != nil {
		return bad
	}
	rows, bad := c.filterDirectory(all)
	if bad != nil {
		return bad
	}
	selected, bad := selection(c.options, known)
	if bad != nil {
		return bad
	}
	if selected == nil {
		selected = defaults
	}
	skip, count, bad := pageOf(c.options, preferences{}, 100, 999)
	if bad != nil {
		return bad
	}
	skip = min(skip, len(rows))
	n, next, more := c.fault.Page.next(strings.TrimPrefix(c.options["$skiptoken"], skipTokenPrefix), skip, count, len(rows))
	list := make([]map[string]any, 0, n)
	for _, object := range rows[skip : skip+n] {
		values := object()
		row := project(values, selected, nil)
		if t, ok := values["@odata.type"]; ok {
			row["@odata.type"] = t
		}
		list = append(list, row)
	}
	answer := map[string]any{"@odata.context": c.base + "/$metadata#" + kind, "value": list}
	if c.options["$count"] == "true" && c.eventual() && c.options["$skiptoken"] == "" {
		answer["@odata.count"] = len(rows)
	}
	if more {
		answer["@odata.nextLink"] = s.link(c, "$skiptoken", skipTokenPrefix+next)
	}
	return jsonReply(answer)
}

func (c *call) eventual() bool {
	return strings.EqualFold(c.header.Get("ConsistencyLevel"), "eventual")
}

// filterDirectory applies $filter and $orderby. What counts as an advanced query needs both $count=true and the header
// ConsistencyLevel (page "Advanced query capabilities on Microsoft Entra ID objects").
func (c *call) filterDirectory(all []func() map[string]any) ([]func() map[string]any, *reply) {
	text, filtered := c.options["$filter"]
	orderby, ordered := c.options["$orderby"]
	var alternatives [][]directoryClause
	var err error
	if filtered {
		if alternatives, err = parseDirectoryFilter(text); err != nil {
			return nil, refuse(400, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause specified.").
				breaks("$filter: " + err.Error())
		}
	}
	advanced := filtered && ordered || slices.ContainsFunc(slices.Concat(alternatives...),
		func(d directoryClause) bool { return d.op == "ne" })
	if advanced && (!c.eventual() || c.options["$count"] != "true") {
		return nil, refuse(400, "Request_UnsupportedQuery", "Unsupported Query.").
			breaks("advanced query without ConsistencyLevel and $count")
	}
	rows := slices.DeleteFunc(slices.Clone(all), func(object func() map[string]any) bool {
		if !filtered {
			return false
		}
		values := object()
		return !slices.ContainsFunc(alternatives, func(and []directoryClause) bool {
			return !slices.ContainsFunc(and, func(d directoryClause) bool { return !d.matches(values) })
		})
	})
	if ordered {
		if orderby != "displayName" && orderby != "userPrincipalName" {
			return nil, refuse(400, "Request_UnsupportedQuery", "Sorting is not supported for this property.").
				breaks("$orderby: only displayName and userPrincipalName")
		}
		slices.SortStableFunc(rows, func(a, b func() map[string]any) int {
			return strings.Compare(fmt.Sprint(a()[orderby]), fmt.Sprint(b()[orderby]))
		})
	}
	return rows, nil
}

func (s *Server) listUsers(c *call) *reply {
	if !s.permitted("User.Read.All") {
		return insufficient()
	}
	var all []func() map[string]any
	for _, u := range s.owner.Users {
		all = append(all, func() map[string]any { return userRow(u, userProperties()) })
	}
	return s.directoryPage(c, "users", all, userDefaults, userProperties())
}

var groupProperties = []string{
	"id", "displayName", "mail", "mailEnabled", "securityEnabled", "groupTypes", "proxyAddresses", "description", "visibility",
}

func groupRow(g *Group) map[string]any {
	proxies := []string{}
	if g.Mail != "" {
		proxies = append(proxies, "SMTP:"+g.Mail)
	}
	types := []string{}
	if g.Unified {
		types = append(types, "Unified")
	}
	return map[string]any{
		"id": g.ID, "displayName": g.DisplayName, "mail": orNull(g.Mail), "mailEnabled": g.Mail != "",
		"securityEnabled": g.Mail == "", "groupTypes": types, "proxyAddresses": proxies, "description": nil,
		"visibility": orNull(g.Visibility),
	}
}

func (s *Server) mayReadGroups() bool {
	return s.permitted("GroupMember.Read.All") || s.permitted("Group.Read.All") || s.permitted("Directory.Read.All")
}

func (s *Server) listGroups(c *call) *reply {
	if !s.mayReadGroups() {
		return insufficient()
	}
	var all []func() map[string]any
	for _, g := range s.owner.Groups {
		all = append(all, func() map[string]any { return groupRow(g) })
	}
	return s.directoryPage(c, "groups", all, groupProperties, groupProperties)
}

func (s *Server) findGroup(id string) *Group {
	for _, g := range s.owner.Groups {
		if strings.EqualFold(g.ID, id) {
			return g
		}
	}
	return nil
}

func (s *Server) getGroup(c *call) *reply {
	if !s.mayReadGroups() {
		return insufficient()
	}
	var bad *reply
	if c.options, bad = parseOptions(c.query, []string{"$select"}); bad != nil {
		return bad
	}
	selected, bad := selection(c.options, groupProperties)
	if bad != nil {
		return bad
	}
	g := s.findGroup(c.route.group)
	if g == nil {
		return noSuchResource()
	}
	return jsonReply(project(groupRow(g), selected, groupProperties))
}

// listMembers answers a group's members with those of its nested groups, each once. The cast to users is an advanced query
// ("Advanced query capabilities on Microsoft Entra ID objects"), and a continuation of it one as well.
func (s *Server) listMembers(c *call) *reply {
	if !s.mayReadGroups() {
		return insufficient()
	}
	top := s.findGroup(c.route.group)
	if top == nil {
		return noSuchResource()
	}
	s.checkContinuation(c)
	cast := c.route.template == pathMemberUsers
	if query, err := url.ParseQuery(c.query); cast && (err != nil || !c.eventual() || query.Get("$count") != "true") {
		return refuse(400, "Request_UnsupportedQuery", "Unsupported Query.").
			breaks("advanced query without ConsistencyLevel and $count")
	}
	m := members{server: s, cast: cast, seen: map[string]bool{}}
	m.collect(top)
	return s.directoryPage(c, "directoryObjects", m.all, userDefaults, userProperties())
}

// members are gathered from a group and those nested in it. The cast leaves out all but users.
type members struct {
	server *Server
	cast   bool
	seen   map[string]bool
	all    []func() map[string]any
}

// collect adds a group's members. Microsoft says only that a hidden membership wants a permission of its own, not what a client
// without it gets: here it is an empty list, which is the harder reading.
func (m *members) collect(g *Group) {
	m.seen[g.ID] = true
	if g.Visibility == HiddenMembership && !m.server.permitted("Member.Read.Hidden") {
		return
	}
	for _, id := range g.Members {
		if u := m.server.index.ofDirectory(id); u != nil && !m.seen[u.ID] {
			m.seen[u.ID] = true
			m.all = append(m.all, func() map[string]any { return m.server.memberRow(u.User) })
		}
	}
	for i, id := range slices.Concat(g.Contacts, g.Devices) {
		kind := "#microsoft.graph.orgContact"
		if i >= len(g.Contacts) {
			kind = "#microsoft.graph.device"
		}
		m.add(id, func() map[string]any { return map[string]any{"@odata.type": kind, "id": id} })
	}
	for _, id := range g.Groups {
		nested := m.server.findGroup(id)
		if nested == nil || m.seen[nested.ID] {
			continue
		}
		m.add(nested.ID, func() map[string]any {
			row := groupRow(nested)
			row["@odata.type"] = "#microsoft.graph.group"
			return row
		})
		m.collect(nested)
	}
}

// add adds a member that is no user.
func (m *members) add(id string, row func() map[string]any) {
	if !m.cast && !m.seen[id] {
		m.all = append(m.all, row)
	}
	m.seen[id] = true
}

// memberRow is a user as a member. To an app that may not read users only the id is given ("Limited information returned for
// inaccessible member objects").
func (s *Server) memberRow(u *User) map[string]any {
	row := userRow(u, userProperties())
	if !s.permitted("User.Read.All") {
		for name := range row {
			if name != "id" {
				row[name] = nil
			}
		}
	}
	row["@odata.type"] = "#microsoft.graph.user"
	return row
}

// getSettings answers for a mailbox's purpose; the permission for it is one of its own.
func (s *Server) getSettings(c *call) *reply {
	if !s.permitted("MailboxSettings.Read") {
		return refuse(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
	}
	var bad *reply
	if c.options, bad = parseOptions(c.query, []string{"$select"}); bad != nil {
		return bad
	}
	purpose := c.user.Purpose
	if purpose == "" {
		purpose = "user"
	}
	context := c.base + "/$metadata#users('" + c.user.ID + "')/mailboxSettings"
	if c.route.template == pathPurpose {
		return jsonReply(map[string]any{"@odata.context": context + "/userPurpose", "value": purpose})
	}
	return jsonReply(map[string]any{"@odata.context": context, "userPurpose": purpose, "timeZone": "UTC"})
}
