package graphtest

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// preferences are what a request's Prefer headers ask for, combined by comma or repeated (RFC 7240).
type preferences struct {
	immutable bool
	unsafe    bool // HTML as it is
	pageSize  int  // 0: none
}

func parsePrefer(h http.Header) preferences {
	var p preferences
	for _, line := range h.Values("Prefer") {
		for part := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			value = strings.Trim(strings.TrimSpace(value), `"`)
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "idtype":
				p.immutable = value == "ImmutableId"
			case "outlook.allow-unsafe-html":
				p.unsafe = true
			case "odata.maxpagesize":
				if n, err := strconv.Atoi(value); err == nil && n > 0 {
					p.pageSize = n
				}
			}
		}
	}
	return p
}

// parseOptions reads the query. known are the options that the resource takes; any other, or one given twice, is
// refused, where Graph would refuse it or, worse, pass over it.
func parseOptions(raw string, known []string) (map[string]string, *reply) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, refuse(400, "BadRequest", "The query string could not be parsed.").breaks("query string is malformed")
	}
	options := map[string]string{}
	for name, all := range values {
		if !slices.Contains(known, name) {
			return nil, refuse(400, "RequestBroker--ParseUri", "The query option is not known here.").
				breaks("unknown query option " + clip(name))
		}
		if len(all) != 1 {
			return nil, refuse(400, "BadRequest", "A query option was given more than once.").
				breaks("query option " + clip(name) + " is given twice")
		}
		options[name] = all[0]
	}
	return options, nil
}

// clip keeps what a client sent short enough for a list of violations.
func clip(s string) string { return strconv.QuoteToASCII(s[:min(len(s), 40)]) }

// pageOf gives size and begin of a page. top is the highest $top that Graph takes, size the default.
func pageOf(options map[string]string, p preferences, size, top int) (skip, count int, bad *reply) {
	if p.pageSize > 0 {
		size = min(p.pageSize, top)
	}
	if s, ok := options["$top"]; ok {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > top {
			return 0, 0, refuse(400, "ErrorInvalidUrlQuery", "The $top query option must be in the range 1 to "+
				strconv.Itoa(top)+".").breaks("$top is out of range")
		}
		size = n
	}
	for _, name := range []string{"$skip", "$skiptoken"} {
		s, ok := options[name]
		if !ok {
			continue
		}
		n, err := strconv.Atoi(strings.TrimPrefix(s, skipTokenPrefix))
		if err != nil || n < 0 {
			return 0, 0, refuse(400, "ErrorInvalidUrlQuery", "The "+name+" query option is not valid.").
				breaks(name + " is not valid")
		}
		skip = n
	}
	return skip, size, nil
}

const skipTokenPrefix = "m~"

// selection is a $select: nil selects the default properties.
func selection(options map[string]string, known []string) ([]string, *reply) {
	text, ok := options["$select"]
	if !ok {
		return nil, nil
	}
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(known, name) {
			return nil, refuse(400, "BadRequest", "Parsing OData Select and Expand failed: Could not find a property named '"+
				name+"'.").breaks("$select names an unknown property " + clip(name))
		}
		names = append(names, name)
	}
	return names, nil
}

// isTrue reads a boolean query option.
func isTrue(options map[string]string, name string) (bool, *reply) {
	switch options[name] {
	case "true":
		return true, nil
	case "", "false":
		return false, nil
	}
	return false, refuse(400, "BadRequest", "The value of "+name+" is not valid.").breaks(name + " is neither true nor false")
}
