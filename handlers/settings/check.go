package settings

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// check reports what a schema cannot say: what must differ between sources, or agree within one, and whether the app
// settings hold the secrets.
func check(sources []any, lookup func(string) (string, bool), r *report) {
	distinct(sources, "name", "a source's name stands for it in the evidence", r)
	distinct(sources, "controlNumberPrefix", "control numbers must not be given twice", r)
	for i, entry := range sources {
		f := object(entry)
		here := func(keys ...string) []string { return append([]string{"sources", strconv.Itoa(i)}, keys...) }
		start, end := f.instant("startDate"), f.instant("endDate")
		if !start.IsZero() && !end.IsZero() && !end.After(start) {
			r.add(here("endDate"), "must be later than startDate")
		}
		if id := f.text("applicationId"); id != "" && strings.EqualFold(id, f.text("domain")) {
			r.add(here("applicationId"), "is the same as domain, the tenant's id: give the Application (client) id of the app registration")
		}
		if own(f.text("container")) {
			r.add(here("container"), "is a container of the app's or the Functions host's own: give another one, such as evidence")
		}
		if lookup == nil {
			continue
		}
		if problem := secretProblem(object(f["credential"]), lookup); problem != "" {
			r.add(here("credential", "setting"), problem)
		}
	}
}

// own reports whether a container is not for evidence: the app's config and state and the host's blobs lie in containers
// of these names, perhaps in the same account (Microsoft Learn, "Storage considerations for Azure Functions").
func own(container string) bool {
	return container == "config" || container == "state" || strings.HasPrefix(container, "azure-webjobs")
}

// distinct reports a text that an earlier source has already.
func distinct(sources []any, key, why string, r *report) {
	first := map[string]int{}
	for i, entry := range sources {
		text := object(entry).text(key)
		if text == "" {
			continue
		}
		if j, taken := first[text]; taken {
			r.add([]string{"sources", strconv.Itoa(i), key}, fmt.Sprintf("is that of sources[%d] too: give another one, %s", j, why))
			continue
		}
		first[text] = i
	}
}

var (
	guid        = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
	settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)
)

// secretProblem says what is wrong with the app setting that holds a credential's secret, or "". A name that is none is
// the schema's affair, and not repeated: it may be the secret itself.
func secretProblem(credential fields, lookup func(string) (string, bool)) string {
	kind, name := credential.text("kind"), credential.text("setting")
	if kind != "secret" && kind != "certificate" || !settingName.MatchString(name) {
		return ""
	}
	value, _ := lookup(name)
	bare := strings.TrimSpace(value)
	switch {
	case bare == "":
		return "the app setting " + name + " is missing or empty: add the app setting " + name
	case placeholder(bare) != "":
		return "the app setting " + name + " " + placeholder(bare)
	case kind == "certificate":
		return ""
	case guid.MatchString(bare):
		return "the app setting " + name + " holds a GUID, which looks like the Secret ID: it needs the secret's Value, " +
			"or Microsoft Entra refuses the sign-in with AADSTS7000215"
	case bare != value:
		return "the app setting " + name + " begins or ends with blanks: remove them"
	}
	return ""
}

// placeholder says what stands in an app setting in place of its value, or "".
func placeholder(value string) string {
	switch {
	// QUIRK: App Service hands a reference that it cannot resolve on as it is written ("Use Key Vault references as app
	// settings in Azure App Service", troubleshooting).
	case strings.HasPrefix(value, "@Microsoft.KeyVault("):
		return "holds a Key Vault reference that was not resolved: give the app's identity the role Key Vault Secrets User, and check the reference"
	case strings.HasPrefix(value, "<") && strings.HasSuffix(value, ">"):
		return "holds the sample's placeholder: put the value in its place"
	}
	return ""
}
