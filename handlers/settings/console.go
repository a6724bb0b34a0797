package settings

import "strings"

// A Console is to whom the operators' console answers. The zero value: nobody.
type Console struct {
	Local bool // this machine, which is somebody's own

	// Whoever signs in at a tenant of Entra ID, by a token that is meant for an app registration.
	Tenant   string // id
	Audience string // client id of the app registration
	Login    string // root of the tenant's sign-in, https://login.microsoftonline.com
}

// SignIn reports whether callers sign in.
func (c Console) SignIn() bool { return c.Tenant != "" }

// logins are the sign-ins of the clouds.
func logins() map[string]string {
	return map[string]string{
		"public": "https://login.microsoftonline.com", "usgov": "https://login.microsoftonline.us",
		"usgovdod": "https://login.microsoftonline.us", "china": "https://login.partner.microsoftonline.cn",
	}
}

const consoleForm = "tenant=GUID;audience=GUID, with the tenant's id and the client id of the app registration that operators sign in to"

// console reads to whom the console answers. On Azure it answers nobody without a sign-in.
func (r *environment) console() (c Console) {
	text := r.get(consoleSetting)
	switch text {
	case "":
		return c
	case "local":
		return Console{Local: !r.deployed()}
	}
	given := map[string]string{"cloud": "public"}
	for part := range strings.SplitSeq(text, ";") {
		name, value, found := strings.Cut(part, "=")
		if name = strings.TrimSpace(name); !found || name != "tenant" && name != "audience" && name != "cloud" {
			r.fault(consoleSetting, "must be local, for one's own machine alone, or "+consoleForm)
			return c
		}
		given[name] = strings.TrimSpace(value)
	}
	for _, name := range []string{"tenant", "audience"} {
		if !guid.MatchString(given[name]) {
			r.fault(consoleSetting, "has no GUID as "+name+": it must be "+consoleForm)
		}
	}
	login, ok := logins()[given["cloud"]]
	if !ok {
		r.fault(consoleSetting, "has an unknown cloud: it must be public, usgov, usgovdod or china; without it, it is public")
	}
	return Console{Tenant: strings.ToLower(given["tenant"]), Audience: strings.ToLower(given["audience"]), Login: login}
}
