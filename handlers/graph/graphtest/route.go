package graphtest

import (
	"fmt"
	"net/url"
	"strings"
)

// A route is a parsed path below the version: the template says what is asked for, the keys which one.
type route struct {
	template   string // "/users/{id}/mailFolders/{id}/messages"
	user       string // keys as sent, percent-decoding undone
	folder     string
	message    string
	attachment string
	calendar   string
	event      string
	group      string

	calendarGroup string
	application   string
}

// The templates that the stand-in serves.
const (
	pathUsers            = "/users"
	pathUser             = "/users/{id}"
	pathSettings         = "/users/{id}/mailboxSettings"
	pathPurpose          = "/users/{id}/mailboxSettings/userPurpose"
	pathFolders          = "/users/{id}/mailFolders"
	pathFoldersDelta     = "/users/{id}/mailFolders/delta"
	pathFolder           = "/users/{id}/mailFolders/{id}"
	pathChildren         = "/users/{id}/mailFolders/{id}/childFolders"
	pathFolderList       = "/users/{id}/mailFolders/{id}/messages"
	pathFolderMessage    = "/users/{id}/mailFolders/{id}/messages/{id}"
	pathFolderValue      = "/users/{id}/mailFolders/{id}/messages/{id}/$value"
	pathMessages         = "/users/{id}/messages"
	pathMessage          = "/users/{id}/messages/{id}"
	pathValue            = "/users/{id}/messages/{id}/$value"
	pathAttachments      = "/users/{id}/messages/{id}/attachments"
	pathAttachment       = "/users/{id}/messages/{id}/attachments/{id}/$value"
	pathCalendars        = "/users/{id}/calendars"
	pathCalendarEvents   = "/users/{id}/calendars/{id}/events"
	pathCalendarView     = "/users/{id}/calendars/{id}/calendarView"
	pathCalendarGroups   = "/users/{id}/calendarGroups"
	pathGroupCalendars   = "/users/{id}/calendarGroups/{id}/calendars"
	pathEvent            = "/users/{id}/events/{id}"
	pathInstances        = "/users/{id}/events/{id}/instances"
	pathEventAttachments = "/users/{id}/events/{id}/attachments"
	pathEventAttachment  = "/users/{id}/events/{id}/attachments/{id}/$value"
	pathGroups           = "/groups"
	pathGroup            = "/groups/{id}"
	pathMembers          = "/groups/{id}/transitiveMembers"
	pathMemberUsers      = "/groups/{id}/transitiveMembers/microsoft.graph.user"
	pathApplication      = "/applications(appId='{id}')"
	pathBatch            = "/$batch"
)

// served reports whether a template is one of the paths above, and its method.
func served(template string) (method string, ok bool) {
	switch template {
	case pathBatch:
		return "POST", true
	case pathUsers, pathUser, pathSettings, pathPurpose, pathFolders, pathFoldersDelta, pathFolder, pathChildren,
		pathFolderList, pathFolderMessage, pathFolderValue, pathMessages, pathMessage, pathValue,
		pathAttachments, pathAttachment,
		pathCalendars, pathCalendarEvents, pathCalendarView, pathCalendarGroups, pathGroupCalendars,
		pathEvent, pathInstances, pathEventAttachments, pathEventAttachment,
		pathGroups, pathGroup, pathMembers, pathMemberUsers, pathApplication:
		return "GET", true
	}
	return "", false
}

// parseRoute reads an escaped path below the version, "/users/{key}/messages/{key}/$value". Keys may stand as
// segments or in parentheses, users('key'). The error names the segment that Graph would not know.
func parseRoute(escaped string) (route, error) {
	segments, err := splitPath(escaped)
	if err != nil {
		return route{}, err
	}
	var r route
	for i := 0; i < len(segments); i++ {
		name := segments[i]
		key := ""
		hasKey := i+1 < len(segments)
		if hasKey {
			key = segments[i+1]
		}
		word, collection := r.step(name)
		if word == "" {
			return route{}, fmt.Errorf("resource not found for the segment '%s'", name)
		}
		r.template += "/" + word
		if collection == nil || !hasKey || r.isWord(key) {
			continue
		}
		if key == "" {
			return route{}, fmt.Errorf("resource not found for the segment ''")
		}
		*collection = key
		r.template += "/{id}"
		i++
	}
	if _, ok := served(r.template); !ok {
		return route{}, fmt.Errorf("no resource at %s", r.template)
	}
	return r, nil
}

// step gives the word that a segment adds to the template, and the place for the key that may follow it.
func (r *route) step(segment string) (word string, key *string) {
	if id, ok := applicationKey(segment); ok && r.template == "" {
		r.application = id
		return strings.TrimPrefix(pathApplication, "/"), nil
	}
	switch {
	case r.template == "" && segment == "users":
		return segment, &r.user
	case r.template == "" && segment == "groups":
		return segment, &r.group
	case r.template == "" && segment == "$batch":
		return segment, nil
	case r.template == pathUser && segment == "mailFolders":
		return segment, &r.folder
	case (r.template == pathUser || r.template == pathFolder) && segment == "messages":
		return segment, &r.message
	case r.template == pathUser && segment == "calendarGroups":
		return segment, &r.calendarGroup
	case (r.template == pathUser || r.template == pathCalendarGroups+"/{id}") && segment == "calendars":
		return segment, &r.calendar
	case r.template == pathUser && segment == "events":
		return segment, &r.event
	case r.template == pathCalendars+"/{id}" && (segment == "events" || segment == "calendarView"),
		r.template == pathEvent && segment == "instances", r.template == pathEventAttachments+"/{id}" && segment == "$value":
		return segment, nil
	case (r.template == pathMessage || r.template == pathEvent) && segment == "attachments":
		return segment, &r.attachment
	case r.template == pathUser && segment == "mailboxSettings", r.template == pathSettings && segment == "userPurpose",
		r.template == pathFolder && segment == "childFolders", r.template == pathGroup && segment == "transitiveMembers",
		(r.template == pathMessage || r.template == pathFolderMessage || r.template == pathAttachments+"/{id}") && segment == "$value":
		return segment, nil
	case r.template == pathFolders && isDelta(segment):
		return "delta", nil
	case r.template == pathMembers && (segment == "microsoft.graph.user" || segment == "graph.user"):
		return "microsoft.graph.user", nil
	}
	return "", nil
}

// isWord reports whether a segment that could be a key is a function of the collection.
func (r *route) isWord(segment string) bool { return r.template == pathFolders && isDelta(segment) }

func isDelta(segment string) bool {
	return segment == "delta" || segment == "delta()" || segment == "microsoft.graph.delta()"
}

// splitPath takes an escaped path apart and undoes the percent-encoding within each segment, so that an id may hold
// an encoded slash. One slash at the end is allowed.
func splitPath(escaped string) ([]string, error) {
	rest, ok := strings.CutPrefix(escaped, "/")
	if !ok {
		return nil, fmt.Errorf("path does not begin with a slash")
	}
	var segments []string
	for part := range strings.SplitSeq(strings.TrimSuffix(rest, "/"), "/") {
		s, err := url.PathUnescape(part)
		if err != nil {
			return nil, fmt.Errorf("path is not percent-encoded")
		}
		if name, key, ok := strings.Cut(s, "('"); ok && strings.HasSuffix(key, "')") && !strings.Contains(part, "%2F") {
			segments = append(segments, name, strings.ReplaceAll(strings.TrimSuffix(key, "')"), "''", "'"))
			continue
		}
		segments = append(segments, s)
	}
	return segments, nil
}
