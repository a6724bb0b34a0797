// Package graphtest is a stand-in for Microsoft Graph: a tenant held in memory, served over real HTTP with Graph's own
// rules. It refuses what Graph refuses, enforces Graph's limits, and writes down every rule that its client broke.
//
// Where Microsoft documents no rule, the stand-in takes the reading that is hardest on a client: a count may be wrong,
// an id changes its form when the header is missing, MIME has other bytes at every call. [Sample] makes a tenant with
// mail and the truth about it, [LoadTenant] reads one from a folder of .eml files.
package graphtest

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
)

// A Tenant is the world that a [Server] serves: plain data. All times are UTC.
type Tenant struct {
	ID     string // directory id, a GUID
	Domain string // first domain, "contoso.onmicrosoft.com"
	Apps   []App
	Users  []*User
	Groups []*Group
}

// An App is an application registration with one client secret.
type App struct{ ClientID, Secret string }

// A Group is a security group or a distribution list. Members are object ids of users, Groups those of nested groups.
type Group struct {
	ID, Mail, DisplayName string
	Members, Groups       []string
}

// A User is one directory object, and the mailbox behind it if there is one.
type User struct {
	ID                string // object id, a GUID
	UserPrincipalName string
	Mail              string
	DisplayName       string
	UserType          string // "Member", "Guest", or "" as in accounts made before 2014
	Enabled           bool   // accountEnabled
	Licensed          bool   // has an Exchange Online plan
	Aliases           []string
	Purpose           string // mailboxSettings/userPurpose: user, shared, room …; empty is "user"
	*Mailbox                 // nil: none, every mailbox call is 404 MailboxNotEnabledForRESTAPI
	Problem           string // what stands in the way of the mailbox; one of the Problem constants
}

// What can stand in the way of a mailbox, as [User.Problem].
const (
	ProblemDenied       = "denied"       // 403 ErrorAccessDenied: an application access policy leaves the mailbox out
	ProblemMoving       = "moving"       // 503 ErrorMailboxMoveInProgress
	ProblemStore        = "store"        // 503 ErrorMailboxStoreUnavailable
	ProblemInactive     = "inactive"     // 404 MailboxNotEnabledForRESTAPI
	ProblemNotSupported = "notSupported" // 404 MailboxNotSupportedForRESTAPI
	ProblemUnauthorized = "unauthorized" // 401 AuthenticationError, which some data centres give for unlicensed users
)

// A Mailbox is a user's folders, from the root that users do not see. Below the root lie the folder that users see as
// the top (well-known name msgfolderroot) and beside it Recoverable Items (recoverableitemsroot).
type Mailbox struct{ Root *Folder }

// A Folder is a mail folder. A search folder holds messages that lie elsewhere: the same pointers.
type Folder struct {
	ID        string
	Name      string
	WellKnown string // lower case, empty for a folder without well-known name
	Hidden    bool
	Search    bool
	Children  []*Folder
	Messages  []*Message
}

// An Address is a mail address with its display name.
type Address struct{ Name, Address string }

// A Message is one message of a mailbox.
type Message struct {
	ImmutableID       string // stays when the message is moved
	MutableID         string // changes when the message is moved
	ChangeKey         string
	Type              string // "", "eventMessage", "eventMessageRequest", "eventMessageResponse"
	Received          time.Time
	Sent              time.Time
	Created           time.Time
	Modified          time.Time
	Draft             bool
	InternetMessageID string // with angle brackets; may be empty
	Subject           string
	Preview           string // begin of the text
	From, Sender      Address
	To, Cc, Bcc       []Address
	Size              int64 // bytes by Exchange's own account
	HasAttachments    bool

	// Raw is the message's MIME if it is fixed. Otherwise MIME makes it, and call, which differs at each call, should
	// go into the boundaries: Exchange makes MIME anew each time, so that its bytes are not an identity.
	Raw  []byte
	MIME func(call uint64) (io.ReadCloser, error)
}

func (m *Message) open(call uint64) (io.ReadCloser, error) {
	if m.MIME != nil {
		return m.MIME(call)
	}
	return io.NopCloser(bytes.NewReader(m.Raw)), nil
}

// User finds a user by object id, user principal name, mail address or alias; nil if there is none.
func (t *Tenant) User(key string) *User {
	for _, u := range t.Users {
		if strings.EqualFold(u.ID, key) || strings.EqualFold(u.UserPrincipalName, key) {
			return u
		}
	}
	for _, u := range t.Users {
		for _, a := range u.addresses() {
			if strings.EqualFold(a, key) {
				return u
			}
		}
	}
	return nil
}

func (u *User) addresses() []string {
	var all []string
	if u.Mail != "" {
		all = append(all, u.Mail)
	}
	return append(all, u.Aliases...)
}

// Folder finds a folder by id, well-known name or path from the top that users see ("Inbox/Projects"; "Recoverable
// Items/Purges" starts beside it); nil if there is none.
func (u *User) Folder(key string) *Folder {
	if u.Mailbox == nil {
		return nil
	}
	var found *Folder
	walk(u.Root, nil, func(f *Folder, path []*Folder) {
		if f.ID == key || f.WellKnown != "" && strings.EqualFold(f.WellKnown, key) || FolderPath(path) == key {
			if found == nil {
				found = f
			}
		}
	})
	return found
}

// FolderPath is the path of the last of a row of folders that begins at the root, as users see it.
func FolderPath(row []*Folder) string {
	var names []string
	for _, f := range row {
		if f.WellKnown != "root" && f.WellKnown != "msgfolderroot" {
			names = append(names, f.Name)
		}
	}
	return strings.Join(names, "/")
}

// walk calls visit for f and everything below it, with the row of folders from the root to the visited one.
func walk(f *Folder, above []*Folder, visit func(f *Folder, row []*Folder)) {
	if f == nil {
		return
	}
	row := append(above[:len(above):len(above)], f)
	visit(f, row)
	for _, c := range f.Children {
		walk(c, row, visit)
	}
}

// Find gives a message by its immutable id and the folder that it lies in; nil if the mailbox has none.
func (u *User) Find(immutableID string) (*Message, *Folder) {
	var message *Message
	var folder *Folder
	if u.Mailbox == nil {
		return nil, nil
	}
	walk(u.Root, nil, func(f *Folder, _ []*Folder) {
		if f.Search {
			return
		}
		for _, m := range f.Messages {
			if m.ImmutableID == immutableID {
				message, folder = m, f
			}
		}
	})
	return message, folder
}

// Move moves a message to another folder of the mailbox, named as for [User.Folder]: its mutable id and change key
// become others, its immutable id stays. For use within [Server.Mutate].
func (u *User) Move(immutableID, to string) error {
	m, from := u.Find(immutableID)
	target := u.Folder(to)
	if m == nil || target == nil {
		return fmt.Errorf("move message: no such message or folder")
	}
	from.remove(m)
	target.Messages = append(target.Messages, m)
	m.MutableID = mutableID(m.MutableID + target.ID)
	m.ChangeKey = changeKey(m.ChangeKey + target.ID)
	return nil
}

// Remove takes a message out of the mailbox for good. For use within [Server.Mutate].
func (u *User) Remove(immutableID string) error {
	m, from := u.Find(immutableID)
	if m == nil {
		return fmt.Errorf("remove message: no such message")
	}
	from.remove(m)
	walk(u.Root, nil, func(f *Folder, _ []*Folder) { f.remove(m) })
	return nil
}

func (f *Folder) remove(m *Message) {
	kept := f.Messages[:0:0]
	for _, other := range f.Messages {
		if other != m {
			kept = append(kept, other)
		}
	}
	f.Messages = kept
}
