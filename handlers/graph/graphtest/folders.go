package graphtest

import "strings"

var folderProperties = []string{
	"id", "displayName", "parentFolderId", "childFolderCount", "unreadItemCount", "totalItemCount", "isHidden",
}

// folderRow is a folder as JSON. childFolderCount counts visible children alone, so that a client that takes 0 for
// "nothing below" misses what Graph leaves open.
func folderRow(p *place, selected []string) map[string]any {
	children := 0
	for _, c := range p.Children {
		if !c.Hidden {
			children++
		}
	}
	all := map[string]any{
		"id": p.ID, "displayName": p.Name, "childFolderCount": children, "unreadItemCount": len(p.Messages) / 3,
		"totalItemCount": len(p.Messages), "isHidden": p.Hidden,
	}
	if p.parent != nil {
		all["parentFolderId"] = p.parent.ID
	}
	row := project(all, selected, folderProperties)
	if p.Search {
		row["@odata.type"] = "#microsoft.graph.mailSearchFolder"
		if selected == nil {
			row["isSupported"], row["filterQuery"] = true, "contains(subject, 'invoice')"
		}
	}
	return row
}

// project keeps what is selected, and the id in any case.
func project(all map[string]any, selected, defaults []string) map[string]any {
	if selected == nil {
		selected = defaults
	}
	row := map[string]any{"id": all["id"]}
	for _, name := range selected {
		if v, ok := all[name]; ok {
			row[name] = v
		}
	}
	return row
}

// listFolders answers mailFolders and childFolders: one level.
func (s *Server) listFolders(c *call) *reply {
	var bad *reply
	if c.options, bad = parseOptions(c.query, []string{"$select", "$top", "$skip", "$count", "includeHiddenFolders"}); bad != nil {
		return bad
	}
	key := c.route.folder
	if key == "" {
		key = "msgfolderroot"
	}
	parent, bad := c.findFolder(key)
	if bad != nil {
		return bad
	}
	hidden, bad := isTrue(c.options, "includeHiddenFolders")
	if bad != nil {
		return bad
	}
	var places []*place
	for _, child := range parent.Children {
		if hidden || !child.Hidden {
			places = append(places, c.user.folders[child.ID])
		}
	}
	return s.folderPage(c, places, "$skip")
}

// deltaFolders answers mailFolders/delta: all folders below the top that are not hidden, flat, also those that lie in
// a hidden one. There is no change to tell of later, as the stand-in keeps no history: a delta token is always stale.
func (s *Server) deltaFolders(c *call) *reply {
	known := []string{"$select", "$top", "$skiptoken", "$deltatoken"}
	var bad *reply
	if c.options, bad = parseOptions(c.query, known); bad != nil {
		return bad
	}
	if _, ok := c.options["$deltatoken"]; ok {
		r := refuse(410, "syncStateNotFound", "The sync state generation is not found.")
		r.header.Set("Location", c.base+c.path)
		return r
	}
	if c.user.Problem == ProblemQuota {
		return refuse(507, "ErrorQuotaExceeded", "The mailbox is over its quota.")
	}
	var places []*place
	for _, p := range c.user.ordered {
		if p.visibleTop && !p.Hidden && p.WellKnown != "msgfolderroot" {
			places = append(places, p)
		}
	}
	if _, ok := c.options["$top"]; ok {
		// QUIRK: $top on a delta query is taken for the size of the whole round, which ends early without an error.
		s.violate(c, "$top on a delta query cuts the round short; maxpagesize is meant")
		_, count, bad := pageOf(c.options, preferences{}, 10, 1000)
		if bad != nil {
			return bad
		}
		places = places[:min(count, len(places))]
	}
	return s.folderPage(c, places, "$skiptoken")
}

func (s *Server) folderPage(c *call, places []*place, position string) *reply {
	selected, bad := selection(c.options, folderProperties)
	if bad != nil {
		return bad
	}
	skip, count, bad := pageOf(c.options, c.prefer, 10, 1000)
	if bad != nil {
		return bad
	}
	skip = min(skip, len(places))
	sent := strings.TrimPrefix(c.options[position], skipTokenPrefix)
	rows, next, more := c.fault.Page.next(sent, skip, count, len(places))
	list := make([]map[string]any, 0, rows)
	for _, p := range places[skip : skip+rows] {
		list = append(list, folderRow(p, selected))
	}
	answer := map[string]any{"@odata.context": c.base + "/$metadata#users('" + c.user.ID + "')/mailFolders", "value": list}
	counted, bad := isTrue(c.options, "$count")
	if bad != nil {
		return bad
	}
	if counted {
		answer["@odata.count"] = len(places)
	}
	switch {
	case more && position == "$skiptoken":
		answer["@odata.nextLink"] = s.link(c, position, skipTokenPrefix+next)
	case more:
		answer["@odata.nextLink"] = s.link(c, position, next)
	case position == "$skiptoken":
		answer["@odata.deltaLink"] = c.base + c.path + "?%24deltatoken=" + c.user.ID
	}
	return c.applied(jsonReply(answer))
}

// getFolder answers for one folder, by id or well-known name.
func (s *Server) getFolder(c *call) *reply {
	var bad *reply
	if c.options, bad = parseOptions(c.query, []string{"$select"}); bad != nil {
		return bad
	}
	selected, bad := selection(c.options, folderProperties)
	if bad != nil {
		return bad
	}
	p, bad := c.findFolder(c.route.folder)
	if bad != nil {
		return bad
	}
	row := folderRow(p, selected)
	row["@odata.context"] = c.base + "/$metadata#users('" + c.user.ID + "')/mailFolders/$entity"
	return jsonReply(row)
}

// findFolder gives the folder of a path.
//
// QUIRK: the well-known names of the archive mailbox (archivemsgfolderroot, archiveinbox …) are known to Graph and not served
// through the primary mailbox. Where there is an archive, clients have met 404 ErrorInvalidMailboxItemId, and a text that says
// so. What Graph answers where there is none is not known; here it is the same code without that sentence, so that a client
// which goes by the code alone takes every mailbox for one with an archive.
func (c *call) findFolder(key string) (*place, *reply) {
	if p := c.user.folder(key); p != nil {
		return p, nil
	}
	if lower := strings.ToLower(key); strings.HasPrefix(lower, "archive") && len(lower) > len("archive") && len(lower) < 40 {
		text := "Item '" + key + "' doesn't belong to the targeted mailbox '" + guid("mailbox "+c.user.ID) + "'."
		if c.user.Archive {
			text += " The item exists in an archive mailbox."
		}
		return nil, refuse(404, "ErrorInvalidMailboxItemId", text)
	}
	return nil, refuse(404, "ErrorItemNotFound", "The specified object was not found in the store.")
}

// applied names the preferences that went into an answer.
func (c *call) applied(r *reply) *reply {
	if c.prefer.immutable {
		r.header.Add("Preference-Applied", `IdType="ImmutableId"`)
	}
	for _, line := range c.header.Values("Prefer") {
		if c.prefer.pageSize > 0 && strings.Contains(strings.ToLower(line), "odata.maxpagesize") {
			r.header.Add("Preference-Applied", "odata.maxpagesize="+itoa(c.prefer.pageSize))
		}
	}
	return r
}
