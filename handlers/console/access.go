package console

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

const notHere = "The operators' console is for this machine alone"

// admit tells who calls, or refuses. Closed, the console answers nobody; open to this machine, whoever calls it by a name of
// its own; with a sign-in, whoever brings a token with a role. No page of another site is answered: browsers say where a request
// comes from, and the name by which they reached this machine, which an attacker's name server can point here, stands in Host.
func (c *Console) admit(r *http.Request) (person, error) {
	switch {
	case c.SignIn != nil:
		if !ownSite(r) && !arrives(r) {
			return person{}, foreign()
		}
		return c.signedIn(r)
	case !c.Open:
		return person{}, failed(http.StatusForbidden, "The operators' console is closed",
			"Set the app setting CHAINMAIL_CONSOLE: on Azure to tenant=GUID;audience=GUID, with which operators sign in, "+
				"on one's own machine to local. On Azure local opens nothing.")
	case !loopback(r.Host):
		return person{}, failed(http.StatusForbidden, notHere, "Call it by the host localhost or 127.0.0.1.")
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host"} {
		if r.Header.Get(name) != "" {
			return person{}, failed(http.StatusForbidden, notHere, "Call it without a proxy: the header "+name+" tells of one.")
		}
	}
	if !ownSite(r) {
		return person{}, foreign()
	}
	return person{name: local, roles: []string{roleOperator}}, nil
}

func foreign() error {
	return failed(http.StatusForbidden, "Pages of other sites may not call the operators' console",
		"The headers Origin and Sec-Fetch-Site name another site: open the page itself, or call it from a program, such as curl.")
}

// tokenHeader is where App Service authentication puts the token of whoever has signed in by the browser. What else it says of
// them is not believed.
const tokenHeader = "X-Ms-Token-Aad-Id-Token"

const signInFirst = "Send a token of the tenant for the console's app registration as Authorization: Bearer. " +
	"In a browser, sign in at /.auth/login/aad."

// signedIn tells a caller by their token.
func (c *Console) signedIn(r *http.Request) (person, error) {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		token = r.Header.Get(tokenHeader)
	}
	if token == "" {
		return person{}, unknown("Nobody has signed in", signInFirst)
	}
	who, err := c.SignIn.person(r.Context(), token)
	if errors.Is(err, errKeys) {
		c.Log.WarnContext(r.Context(), "sign-in not checked", "error", errKeys.Error())
		return person{}, failed(http.StatusServiceUnavailable, "The sign-in cannot be checked",
			"The keys of the tenant could not be read: try again in a minute, and see that the app reaches "+c.SignIn.Login+".")
	}
	if err != nil {
		return person{}, unknown("The token is not accepted", "Of the token: "+err.Error()+". "+signInFirst)
	}
	return who, nil
}

func unknown(title, detail string) *problem {
	p := failed(http.StatusUnauthorized, title, detail)
	p.signIn = true
	return p
}

// permit holds that a person has the role that a request needs.
func permit(who person, method string) error {
	role := roleReader
	if method != http.MethodGet {
		role = roleOperator
	}
	if who.may(role) {
		return nil
	}
	return failed(http.StatusForbidden, "The role "+role+" is needed",
		"Have the app role "+role+" of the console's app registration assigned in Entra ID, and sign in again.")
}

// loopback reports whether a Host header names this machine.
func loopback(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	} else if len(name) > 2 && name[0] == '[' && name[len(name)-1] == ']' {
		name = name[1 : len(name)-1]
	}
	if name == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.Unmap().IsLoopback()
}

// ownSite reports whether a request comes from no page, or from one of this very address.
func ownSite(r *http.Request) bool {
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return false
		}
	}
	for _, origin := range r.Header.Values("Origin") {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host != r.Host {
			return false
		}
	}
	return true
}

// arrives reports whether a person comes to one of the pages from another site, as after the sign-in, which is one: that reads a
// page into a window of its own, and does nothing.
func arrives(r *http.Request) bool {
	return r.Method == http.MethodGet && isPage(r.URL.Path) && r.Header.Get("Origin") == "" &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}
