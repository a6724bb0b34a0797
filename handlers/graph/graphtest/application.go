package graphtest

import (
	"slices"
	"strings"
	"time"
)

// planRows are service plans in force, as assignedPlans shows them.
func planRows(ids []string) []any {
	var rows []any
	for _, id := range ids {
		rows = append(rows, map[string]any{
			"assignedDateTime": "2021-04-01T08:00:00Z", "capabilityStatus": "Enabled", "service": "exchange", "servicePlanId": id,
		})
	}
	return rows
}

// applicationKey gives the client id of a segment such as applications(appId='…').
func applicationKey(segment string) (string, bool) {
	rest, ok := strings.CutPrefix(segment, "applications(appId='")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, "')")
}

var applicationProperties = []string{"id", "appId", "displayName", "passwordCredentials"}

// getApplication answers for an app registration. Of a secret it gives the beginning and the time for which it holds
// ("passwordCredential resource type").
func (s *Server) getApplication(c *call) *reply {
	if !s.permitted("Application.Read.All") {
		return insufficient()
	}
	var bad *reply
	if c.options, bad = parseOptions(c.query, []string{"$select"}); bad != nil {
		return bad
	}
	selected, bad := selection(c.options, applicationProperties)
	if bad != nil {
		return bad
	}
	i := slices.IndexFunc(s.owner.Apps, func(a App) bool { return strings.EqualFold(a.ClientID, c.route.application) })
	if i < 0 {
		return noSuchResource()
	}
	app := s.owner.Apps[i]
	secrets := []any{}
	if app.Secret != "" {
		secrets = append(secrets, map[string]any{
			"customKeyIdentifier": nil, "displayName": "collection", "hint": app.Secret[:min(3, len(app.Secret))], "secretText": nil,
			"keyId": guid("secret " + app.ClientID), "startDateTime": instant(app.SecretFrom), "endDateTime": instant(app.SecretTo),
		})
	}
	row := project(map[string]any{
		"id": guid("application " + app.ClientID), "appId": app.ClientID, "displayName": "Chainmail", "passwordCredentials": secrets,
	}, selected, applicationProperties)
	row["@odata.context"] = c.base + "/$metadata#applications/$entity"
	return jsonReply(row)
}

// instant shows a time as the directory does, null where there is none.
func instant(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}
