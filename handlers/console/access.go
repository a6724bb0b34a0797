package console

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
)

// local is who acts while nobody signs in: whoever works on this machine.
const local = "local"

const notHere = "The operators' API is for this machine alone"

// admit decides whether a request may be answered at all. Closed, nobody is; open, whoever calls this machine by a name of its
// own, and no page of another site: browsers say where a request comes from, and the name by which they reached this machine,
// which an attacker's name server can point here, stands in Host.
func (c *Console) admit(r *http.Request) error {
	if !c.Open {
		return failed(http.StatusForbidden, "The operators' API is closed",
			"It answers on somebody's own machine alone, where the app setting CHAINMAIL_CONSOLE is local; "+
				"on Azure it stays closed until it has a sign-in.")
	}
	if !loopback(r.Host) {
		return failed(http.StatusForbidden, notHere, "Call it by the host localhost or 127.0.0.1.")
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host"} {
		if r.Header.Get(name) != "" {
			return failed(http.StatusForbidden, notHere, "Call it without a proxy: the header "+name+" tells of one.")
		}
	}
	if !ownSite(r) {
		return failed(http.StatusForbidden, "Pages of other sites may not call the operators' API",
			"The headers Origin and Sec-Fetch-Site name another site: call it from a program, such as curl.")
	}
	return nil
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
