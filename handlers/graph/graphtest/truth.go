package graphtest

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"slices"
	"strings"
	"time"

	"chainmail/handlers/capture"
)

// Truth is what lies in a sample, written down as it was put there, by no code of the server's or a client's.
type Truth struct {
	Items    []TruthItem       // of monitored and unmonitored users, in any window
	Events   []TruthEvent      // the same
	Excluded map[string]string // identifiers of [Custodians] that cannot be collected → capture.Reason…
}

// A TruthItem is an email that is owed when its time lies in the window: one in a visible folder, or in the folders of
// Recoverable Items that are in scope. Received is the stored time, which may be finer than the seconds Graph shows.
type TruthItem struct {
	UserID, ImmutableID string
	Folder              string // "Inbox/Projects"
	State               capture.State
	Received            time.Time
	Draft               bool
}

// InScope gives the items of a window by user, time and id, drafts only if they are asked for.
func (t *Truth) InScope(w capture.Window, drafts bool) []TruthItem {
	var items []TruthItem
	for _, i := range t.Items {
		if w.Contains(i.Received) && (drafts || !i.Draft) {
			items = append(items, i)
		}
	}
	slices.SortFunc(items, func(a, b TruthItem) int {
		return cmp.Or(cmp.Compare(a.UserID, b.UserID), a.Received.Compare(b.Received), cmp.Compare(a.ImmutableID, b.ImmutableID))
	})
	return items
}

// Custodians is the list of individuals that goes with a tenant: a CSV with the header
// identifier,secondaryIdentifiers,displayName,firstName,lastName,from,to. A sample's names one by an alias, and some that
// cannot be collected: users of the kinds that [Truth.Excluded] explains, an address that is nobody's, a distribution list
// and groups; and one user is not on it. Of any other tenant it lists all users.
func Custodians(t *Tenant) []byte {
	sample := len(t.listed) > 0
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	write := func(identifier, secondary, name string) {
		first, last, _ := strings.Cut(name, " ")
		_ = w.Write([]string{identifier, secondary, name, first, last, "", ""}) // memory alone: cannot fail
	}
	_ = w.Write([]string{"identifier", "secondaryIdentifiers", "displayName", "firstName", "lastName", "from", "to"})
	for _, u := range t.Users {
		nickname, _, _ := strings.Cut(u.UserPrincipalName, "@")
		identifier, secondary := cmp.Or(u.Mail, u.UserPrincipalName), strings.Join(u.Aliases, ";")
		switch {
		case sample && nickname == sampleUnmonitored:
			continue
		case sample && nickname == sampleByAlias:
			identifier, secondary = u.Aliases[0], ""
		}
		write(identifier, secondary, u.DisplayName)
	}
	for _, a := range t.listed {
		write(a.Address, "", a.Name)
	}
	w.Flush()
	return b.Bytes()
}
