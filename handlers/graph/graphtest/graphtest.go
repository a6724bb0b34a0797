// Package graphtest is a stand-in for Microsoft Graph: a tenant held in memory, served over real HTTP with Graph's own
// rules. It refuses what Graph refuses, enforces Graph's limits, and writes down every rule that its client broke.
//
// Where Microsoft documents no rule, the stand-in takes the reading that is hardest on a client: a count may be wrong,
// an id changes its form when the header is missing, MIME has other bytes at every call. [Sample] makes a tenant with
// mail and the truth about it, [LoadTenant] reads one from a folder of .eml files.
package graphtest

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"strings"
	"time"
)

// A Tenant is the world that a [Server] serves: plain data. All times are UTC.
type Tenant struct {
	ID         string // directory id, a GUID
	Domain     string // first domain, "contoso.onmicrosoft.com"
	Apps       []App
	Identities []Identity
	Users      []*User
	Groups     []*Group

	listed []Address // whom the list of individuals names besides users
}

// An App is an application registration with the credentials that it takes.
type App struct {
	ClientID      string
	Secret        string // a client secret; empty: none
	SecretExpired bool
	SecretFrom    time.Time // what Graph says of the secret's validity
	SecretTo      time.Time
	Certificates  []*x509.Certificate
	Federations   []Federation
}

// A Federation lets a managed identity sign in as an app: with a token for that audience, if the identity is the subject.
type Federation struct {
	Subject  string // the identity's object id
	Audience string // "api://AzureADTokenExchange", or that of another cloud
}

// An Identity is a managed identity of the function app that the client under test is.
type Identity struct {
	ClientID, ObjectID string
	System             bool // the system-assigned one
}

// A Group is a distribution list, a security group (it has no Mail) or a Microsoft 365 group (Unified). Members are object
// ids of users, Groups those of nested groups, Contacts and Devices those of members that are neither.
type Group struct {
	ID, Mail, DisplayName string
	Members, Groups       []string
	Contacts, Devices     []string
	Unified               bool
	Visibility            string // "Public", "Private", HiddenMembership; empty: none
}

// HiddenMembership is the visibility of a group whose members an app sees with Member.Read.Hidden alone.
const HiddenMembership = "HiddenMembership"

// A User is one directory object, and the mailbox behind it if there is one.
type User struct {
	ID                string // object id, a GUID
	UserPrincipalName string
	Mail              string
	DisplayName       string
	GivenName         string
	Surname           string
	UserType          string   // "Member", "Guest", or "" as in accounts made before 2014
	Enabled           bool     // accountEnabled
	Licensed          bool     // has an Exchange Online plan
	Plans             []string // ids of further service plans
	Aliases           []string
	Purpose           string // mailboxSettings/userPurpose: user, shared, room …; empty is "user"
	OnPremises        bool   // onPremisesSyncEnabled: the directory object comes from the customer's own directory
	DataLocation      string // preferredDataLocation of a Multi-Geo tenant, "CAN"; empty: the tenant's own
	*Mailbox                 // nil: none, every mailbox call is 404 MailboxNotEnabledForRESTAPI
	Archive           bool   // has an archive mailbox, too, which nothing is served of
	Moving            int    // so many requests find the mailbox in a move, as by ProblemMoving; then it has moved
	Problem           string // what stands in the way of the mailbox; one of the Problem constants
}

// What can stand in the way of a mailbox, as [User.Problem]. ProblemQuota leaves it readable but for the list of folders by
// delta, whose state cannot be written; all others stop every call to the mailbox. The codes are those that clients of Graph
// have met; Microsoft documents the two first alone ("Limiting application permissions to specific Exchange Online mailboxes",
// "Known errors with the Outlook API").
const (
	ProblemDenied       = "denied"       // 403 ErrorAccessDenied: an application access policy leaves the mailbox out
	ProblemMoving       = "moving"       // 503 ErrorMailboxMoveInProgress
	ProblemStore        = "store"        // 503 ErrorMailboxStoreUnavailable
	ProblemInactive     = "inactive"     // 404 MailboxNotEnabledForRESTAPI
	ProblemNotSupported = "notSupported" // 404 MailboxNotSupportedForRESTAPI
	ProblemUnauthorized = "unauthorized" // 401 AuthenticationError, which some data centres give for unlicensed users
	ProblemInvalidUser  = "invalidUser"  // 404 ErrorInvalidUser, as some data centres say it of an object id
	ProblemUndiscovered = "undiscovered" // 404 ResourceNotFound
	ProblemNoObject     = "noObject"     // 404 Request_ResourceNotFound
	ProblemNonExistent  = "nonExistent"  // 404 ErrorNonExistentMailbox
	ProblemNoFolders    = "noFolders"    // 404 ErrorItemNotFound for every folder, the inbox too
	ProblemOutOfScope   = "outOfScope"   // 403 ErrorAccessDenied, as role-based access control words it
	ProblemUnconsented  = "unconsented"  // 401 UnknownError without a message: the app lacks a permission
	ProblemInsufficient = "insufficient" // 403 Authorization_RequestDenied
	ProblemLapsed       = "lapsed"       // 403 notAllowed: the tenant's subscription has lapsed, or the app is disabled there
	ProblemLocked       = "locked"       // 403 resourceLocked: likewise
	ProblemTokenExpired = "tokenExpired" // 401 InvalidAuthenticationToken, whatever the token
	ProblemStoreShort   = "storeShort"   // 503 MailboxStoreUnavailable
	ProblemBusy         = "busy"         // 503 ErrorServerBusy
	ProblemTimeout      = "timeout"      // 503 ErrorTimeoutExpired
	ProblemTransient    = "transient"    // 500 ErrorInternalServerTransientError
	ProblemDirectory    = "directory"    // 503 ErrorADUnavailable
	ProblemConnection   = "connection"   // 503 ErrorConnectionFailed
	ProblemQuota        = "quota"        // 507 ErrorQuotaExceeded for the delta alone
)

// A Mailbox is a user's folders, from the root that users do not see. Below the root lie the folder that users see as
// the top (well-known name msgfolderroot) and beside it Recoverable Items (recoverableitemsroot).
type Mailbox struct {
	Root      *Folder
	Calendars []*Calendar
}

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

	// VisibleAfter keeps the message out of every list until then, whatever its time received: mail becomes visible seconds to
	// minutes after it was received. By its id it can be had at once.
	VisibleAfter time.Time

	// ListFault says how a page of a list fails that would hold the message, if its $top is above ListFaultAbove; 0 fails even
	// the page that holds it alone, and the message itself by its id. Its MIME is another matter.
	ListFault      ListFault
	ListFaultAbove int

	// NoMIME has its MIME fail for ever with 500 ErrorMimeContentConversionFailed, as Exchange does for items that it cannot
	// convert.
	NoMIME bool

	// Attached is what is attached to it beside what its MIME holds.
	Attached []Attachment

	// Raw is the message's MIME if it is fixed. Otherwise MIME makes it, and call, which differs at each call, should
	// go into the boundaries: Exchange makes MIME anew each time, so that its bytes are not an identity.
	Raw  []byte
	MIME func(call uint64) (io.ReadCloser, error)
}

// A ListFault is a way in which Graph fails at a page because of one message.
type ListFault string

// The ways in which a page fails. By the words of a page "above n rows" its $top is meant, not the rows that it would have:
// clients of Graph have seen it so, and it is the harder reading.
const (
	// ListRefused: 500 InternalServerError "Error while processing response."; 500 ErrorContentConversionFailed where the page
	// holds the message alone (microsoftgraph/microsoft-graph-docs-contrib issue 7758).
	ListRefused ListFault = "refused"
	// ListCut: 200 with a body that is whole by HTTP's account and ends after "value":[ (measured on Exchange Online by the
	// authors of MailboxMessageReport).
	ListCut ListFault = "cut"
)

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
