package graphtest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

var messageDefaults = []string{
	"id", "createdDateTime", "lastModifiedDateTime", "changeKey", "categories", "receivedDateTime", "sentDateTime",
	"hasAttachments", "internetMessageId", "subject", "bodyPreview", "importance", "parentFolderId", "conversationId",
	"isDeliveryReceiptRequested", "isReadReceiptRequested", "isRead", "isDraft", "webLink", "inferenceClassification",
	"body", "sender", "from", "toRecipients", "ccRecipients", "bccRecipients", "replyTo", "flag",
}

// messageProperties are the names that $select takes; the last have no value here, as is allowed in an answer.
func messageProperties() []string {
	return append(messageDefaults[:len(messageDefaults):len(messageDefaults)],
		"conversationIndex", "internetMessageHeaders", "uniqueBody")
}

// messageRow is a message as JSON, with what its MIME tells where d is not nil.
func (c *call) messageRow(f found, selected []string, properties []string, d *detail) map[string]any {
	m := f.message
	id := m.MutableID
	if c.prefer.immutable {
		id = m.ImmutableID
	}
	all := map[string]any{
		"id": id, "changeKey": m.ChangeKey, "createdDateTime": stamp(m.Created), "lastModifiedDateTime": stamp(m.Modified),
		"receivedDateTime": stamp(m.Received), "sentDateTime": stamp(m.Sent), "hasAttachments": m.HasAttachments,
		"internetMessageId": orNull(m.InternetMessageID), "subject": m.Subject, "bodyPreview": m.Preview,
		"categories": []string{}, "importance": "normal", "parentFolderId": f.folder.ID,
		"conversationId":             "AAQkAD" + m.ChangeKey[:min(8, len(m.ChangeKey))],
		"isDeliveryReceiptRequested": false, "isReadReceiptRequested": false, "isRead": true, "isDraft": m.Draft,
		"webLink": "https://outlook.office365.com/owa/?ItemID=" + id, "inferenceClassification": "focused",
		"body": map[string]any{"contentType": "text", "content": m.Preview},
		"from": recipient(m.From), "sender": recipient(m.Sender), "toRecipients": recipients(m.To),
		"ccRecipients": recipients(m.Cc), "bccRecipients": recipients(m.Bcc), "replyTo": []any{},
		"flag": map[string]any{"flagStatus": "notFlagged"},
	}
	if d != nil {
		c.more(all, m, d)
	}
	row := project(all, selected, messageDefaults)
	row["@odata.etag"] = `W/"` + m.ChangeKey + `"`
	if m.Type != "" {
		row["@odata.type"] = "#microsoft.graph." + m.Type
	}
	var values []any
	for _, id := range properties {
		if v := m.property(id, d); v != "" {
			values = append(values, map[string]any{"id": id, "value": v})
		}
	}
	if values != nil {
		row["singleValueExtendedProperties"] = values
	}
	return row
}

// stamp shows a time as Graph does: whole seconds, whatever is stored.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Truncate(time.Second).Format("2006-01-02T15:04:05Z")
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func recipient(a Address) any {
	if a == (Address{}) {
		return nil
	}
	return map[string]any{"emailAddress": map[string]any{"name": a.Name, "address": a.Address}}
}

func recipients(all []Address) []any {
	list := make([]any, 0, len(all))
	for _, a := range all {
		list = append(list, recipient(a))
	}
	return list
}

var (
	expandProperties = regexp.MustCompile(`^singleValueExtendedProperties\(\$filter=(.+)\)$`)
	propertyClause   = regexp.MustCompile(`^id eq '(Integer|Long|String) 0x0*([0-9A-Fa-f]+)'$`)
)

// extended are the extended properties that are served, as Exchange writes their ids, in lower case and without leading zeros: a
// message's size, its class, its sensitivity, the ids that it refers to, and the one that it replies to.
var extended = []string{"Integer 0xe08", "Long 0xe08", "String 0x1a", "Integer 0x36", "String 0x1039", "String 0x1042"}

// parseExpand reads an $expand: some extended properties are all that is served.
func parseExpand(text string) ([]string, error) {
	outer := expandProperties.FindStringSubmatch(text)
	if outer == nil {
		return nil, fmt.Errorf("only singleValueExtendedProperties($filter=id eq '…') can be expanded")
	}
	var ids []string
	for clause := range strings.SplitSeq(outer[1], " or ") {
		m := propertyClause.FindStringSubmatch(strings.TrimSpace(clause))
		if m == nil || !slices.Contains(extended, m[1]+" 0x"+strings.ToLower(m[2])) {
			return nil, fmt.Errorf("not an extended property that is served")
		}
		ids = append(ids, m[1]+" 0x"+strings.ToLower(m[2]))
	}
	return ids, nil
}

// listing is what a list of messages asks for.
type listing struct {
	filter      []clause
	orders      []order
	selected    []string
	sizes       []string
	counted     bool
	skip, count int
}

func (c *call) parseListing() (l listing, bad *reply) {
	known := []string{"$select", "$filter", "$orderby", "$top", "$skip", "$count", "$expand"}
	if c.options, bad = parseOptions(c.query, known); bad != nil {
		return l, bad
	}
	var err error
	if text, ok := c.options["$filter"]; ok {
		if l.filter, err = parseFilter(text); err != nil {
			return l, refuse(400, "ErrorInvalidUrlQueryFilter", "The query filter contains one or more invalid nodes.").
				breaks("$filter: " + err.Error())
		}
	}
	if text, ok := c.options["$orderby"]; ok {
		if l.orders, err = parseOrder(text); err != nil {
			return l, refuse(400, "BadRequest", "The $orderby query option is not valid.").breaks("$orderby: " + err.Error())
		}
	}
	if !efficient(l.filter, l.orders) {
		return l, refuse(400, "InefficientFilter", "The restriction or sort order is too complex for this operation.").
			breaks("InefficientFilter: properties of $orderby must come first in $filter")
	}
	if l.sizes, bad = c.parseExpansion(); bad != nil {
		return l, bad
	}
	if slices.ContainsFunc(l.sizes, func(id string) bool { return !strings.HasSuffix(id, " 0xe08") }) {
		return l, refuse(400, "BadRequest", "Parsing OData Select and Expand failed.").breaks("$expand: in a list the size alone")
	}
	if l.selected, bad = selection(c.options, messageProperties()); bad != nil {
		return l, bad
	}
	if l.counted, bad = isTrue(c.options, "$count"); bad != nil {
		return l, bad
	}
	l.skip, l.count, bad = pageOf(c.options, c.prefer, 10, 1000)
	return l, bad
}

func (c *call) parseExpansion() ([]string, *reply) {
	text, ok := c.options["$expand"]
	if !ok {
		return nil, nil
	}
	properties, err := parseExpand(text)
	if err != nil {
		return nil, refuse(400, "BadRequest", "Parsing OData Select and Expand failed.").breaks("$expand: " + err.Error())
	}
	return properties, nil
}

// listMessages answers the list of a folder's messages, or of the mailbox's.
func (s *Server) listMessages(c *call) *reply {
	s.checkContinuation(c)
	l, bad := c.parseListing()
	if bad != nil {
		return bad
	}
	var in *place
	context := "/$metadata#users('" + c.user.ID + "')/messages"
	if c.route.folder != "" {
		if in, bad = c.findFolder(c.route.folder); bad != nil {
			return bad
		}
		context = "/$metadata#users('" + c.user.ID + "')/mailFolders('" + in.ID + "')/messages"
	}
	now := s.options.Now()
	rows := matching(c.user.rows(in, now), l.filter)
	sortMessages(rows, l.orders)
	skip := min(l.skip, len(rows))
	n, next, more := c.fault.Page.next(c.options["$skip"], skip, l.count, len(rows))
	if bad := c.spoilt(rows[skip:skip+n], l.count, context); bad != nil {
		return bad
	}
	list := make([]map[string]any, 0, n)
	for _, f := range rows[skip : skip+n] {
		list = append(list, c.messageRow(f, l.selected, l.sizes, nil))
	}
	answer := map[string]any{"@odata.context": c.base + context, "value": list}
	if l.counted {
		answer["@odata.count"] = c.countOf(in, rows, l.filter, now)
	}
	if more {
		answer["@odata.nextLink"] = s.link(c, "$skip", next)
	}
	return c.applied(jsonReply(answer))
}

// spoilt answers for a page that fails because of a message on it; nil if all can be listed.
func (c *call) spoilt(rows []found, top int, context string) *reply {
	for _, f := range rows {
		switch m := f.message; {
		case m.ListFault == "" || top <= m.ListFaultAbove:
		case m.ListFault == ListCut:
			r := newReply(200)
			r.header.Set("Content-Type", jsonType)
			r.body = []byte(`{"@odata.context":"` + c.base + context + `","value":[`)
			return r
		case len(rows) == 1:
			return unconvertible()
		default:
			return refuse(500, "InternalServerError", "Error while processing response.")
		}
	}
	return nil
}

func unconvertible() *reply {
	return refuse(500, "ErrorContentConversionFailed",
		"Content conversion failed., Content conversion: Body conversion failed.")
}

func matching(rows []found, filter []clause) []found {
	var kept []found
next:
	for _, f := range rows {
		for _, c := range filter {
			if !c.matches(f.message) {
				continue next
			}
		}
		kept = append(kept, f)
	}
	return kept
}

// countOf is the $count of a list.
//
// QUIRK: mailbox-wide it is not the number of messages that the list has; here what lies in Recoverable Items and what
// search folders show again is counted as well.
func (c *call) countOf(in *place, rows []found, filter []clause, now time.Time) int {
	if in != nil {
		return len(rows)
	}
	count := len(rows)
	for _, p := range c.user.ordered {
		if p.Search || p.recoverable {
			count += len(matching(c.user.rows(p, now), filter))
		}
	}
	return count
}

// findMessage gives the message of a path, by an id of either form.
func (s *Server) findMessage(c *call) (found, *reply) {
	missing := refuse(404, "ErrorItemNotFound", "The specified object was not found in the store.")
	if c.route.folder != "" {
		in, bad := c.findFolder(c.route.folder)
		if bad != nil {
			return found{}, bad
		}
		for _, f := range c.user.all(in) {
			if c.route.message == f.message.ImmutableID || c.route.message == f.message.MutableID {
				return f, nil
			}
		}
		return found{}, missing
	}
	if f, ok := c.user.messages[c.route.message]; ok {
		return f, nil
	}
	for _, u := range s.owner.Users {
		if other := s.index.user(u.ID); other != nil {
			if _, ok := other.messages[c.route.message]; ok {
				return found{}, refuse(404, "ErrorInvalidMailboxItemId", "Item doesn't belong to the targeted mailbox.").
					breaks("item id of another mailbox")
			}
		}
	}
	if !strings.HasPrefix(c.route.message, "AA") && !strings.HasPrefix(c.route.message, "AQ") {
		return found{}, refuse(400, "ErrorInvalidIdMalformed", "Id is malformed.").breaks("item id is malformed")
	}
	return found{}, missing
}

// getMessage answers for one message.
func (s *Server) getMessage(c *call) *reply {
	var bad *reply
	if c.options, bad = parseOptions(c.query, []string{"$select", "$expand"}); bad != nil {
		return bad
	}
	selected, bad := selection(c.options, messageProperties())
	if bad != nil {
		return bad
	}
	properties, bad := c.parseExpansion()
	if bad != nil {
		return bad
	}
	f, bad := s.findMessage(c)
	if bad != nil {
		return bad
	}
	if f.message.ListFault != "" && f.message.ListFaultAbove == 0 {
		return unconvertible()
	}
	d, err := f.message.detail()
	if err != nil {
		return unconvertible()
	}
	row := c.messageRow(f, selected, properties, d)
	row["@odata.context"] = c.base + "/$metadata#users('" + c.user.ID + "')/messages/$entity"
	return c.applied(jsonReply(row))
}

// getValue answers with a message's MIME, made anew.
func (s *Server) getValue(c *call) *reply {
	var bad *reply
	if c.options, bad = parseOptions(c.query, nil); bad != nil {
		return bad
	}
	f, bad := s.findMessage(c)
	if bad != nil {
		return bad
	}
	s.mu.Lock()
	s.mimeCalls++
	n := s.mimeCalls
	s.mu.Unlock()
	unconvertible := refuse(500, "ErrorMimeContentConversionFailed", "MIME content conversion failed.")
	if f.message.NoMIME {
		return unconvertible
	}
	body, err := f.message.open(n)
	if err != nil {
		return unconvertible
	}
	r := newReply(200)
	r.header.Set("Content-Type", "text/plain")
	r.stream = body
	key := c.user.ID + " " + f.message.ImmutableID
	r.complete = func(sum string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.served[key] = append(s.served[key], sum)
	}
	return r
}
