package graphtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// loadDomain is the domain of a tenant that was loaded, and of users whose folder's name is not an address.
const loadDomain = "contoso.onmicrosoft.com"

// maxHeader is how much of a file is read for its header when it is listed.
const maxHeader = 1 << 20

// LoadTenant reads a tenant from a folder: a subfolder per user, in it folders of .eml files, which are mail folders
// by the name of their folder. Well-known are the English names Inbox, Sent Items, Drafts, Deleted Items, Archive, Junk
// Email, Outbox, Conversation History, and Recoverable Items with Deletions, Purges, Versions and DiscoveryHolds below;
// a name that begins with a dot makes a hidden folder. Files that lie directly in a user's folder are in the Inbox;
// files directly in dir belong to one user, "mail".
//
// user.json in a user's folder may give id, userPrincipalName, mail, displayName, userType, accountEnabled, licensed,
// aliases, purpose, onPremisesSyncEnabled, preferredDataLocation, archive (true: there is an archive mailbox, too), moving (a
// number, as [User.Moving]) and problem; what it does not give comes from the folder's name. x.json beside x.eml may give
// received (RFC 3339) and draft; without it a message was received when its first Received field says, or its Date, or
// else when its file was last changed. Bodies are read when they are asked for, and served as they are in the file.
//
// groups.json directly in dir may list groups, each with displayName, mail, id, unified, visibility, members (ids or addresses of
// users) and groups (ids or mail addresses of nested groups).
//
// Ids come from paths, so that they are the same at the next start. What cannot be read is left out and named in the
// error; the tenant is nil only if dir itself cannot be used.
func LoadTenant(dir string) (*Tenant, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("load tenant: %w", err)
	}
	l := &loader{root: dir, tenant: &Tenant{ID: guid("tenant " + loadDomain), Domain: loadDomain}}
	l.tenant.Apps = []App{{ClientID: guid("app " + loadDomain), Secret: Canary + "-secret"}}
	flat := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !e.IsDir() && isMail(e.Name()) })
	if flat {
		u := l.user("mail", "")
		l.messages(u, u.Folder("inbox"), "")
	}
	for _, e := range entries {
		if e.IsDir() && e.Name()[0] != '.' {
			l.userFolder(e.Name())
		}
	}
	if len(l.tenant.Users) == 0 {
		return nil, fmt.Errorf("load tenant: the folder holds neither users' folders nor .eml files")
	}
	l.groups()
	return l.tenant, errors.Join(l.faults...)
}

type loader struct {
	root   string
	tenant *Tenant
	faults []error
}

// fault notes a file that cannot be used, by its path below the root.
func (l *loader) fault(path string, err error) {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err // the path is said already
	}
	l.faults = append(l.faults, fmt.Errorf("%s: %w", filepath.ToSlash(path), err))
}

// userFile is user.json.
type userFile struct {
	ID                string   `json:"id"`
	UserPrincipalName string   `json:"userPrincipalName"`
	Mail              *string  `json:"mail"`
	DisplayName       string   `json:"displayName"`
	UserType          *string  `json:"userType"`
	AccountEnabled    *bool    `json:"accountEnabled"`
	Licensed          *bool    `json:"licensed"`
	Aliases           []string `json:"aliases"`
	Purpose           string   `json:"purpose"`
	OnPremises        bool     `json:"onPremisesSyncEnabled"`
	DataLocation      string   `json:"preferredDataLocation"`
	Archive           bool     `json:"archive"`
	Moving            int      `json:"moving"`
	Problem           string   `json:"problem"`
}

// user adds a user named after a folder, with the folders that every mailbox has.
func (l *loader) user(name, dir string) *User {
	var given userFile
	if dir != "" {
		given = readJSON[userFile](l, filepath.Join(dir, "user.json"))
	}
	u := &User{
		ID: given.ID, UserPrincipalName: given.UserPrincipalName, DisplayName: given.DisplayName, UserType: "Member",
		Enabled: true, Licensed: true, Aliases: given.Aliases, Purpose: given.Purpose, OnPremises: given.OnPremises,
		DataLocation: given.DataLocation, Archive: given.Archive, Moving: max(0, given.Moving), Problem: given.Problem,
	}
	if _, known := problem(u.Problem); !known && u.Problem != "" {
		l.fault(filepath.Join(dir, "user.json"), errors.New("the problem is not known"))
		u.Problem = ""
	}
	if u.UserPrincipalName == "" {
		u.UserPrincipalName = addressOf(name)
	}
	u.Mail = u.UserPrincipalName
	if u.ID == "" {
		u.ID = guid(strings.ToLower(u.UserPrincipalName))
	}
	if u.DisplayName == "" {
		u.DisplayName = name
	}
	set(&u.Mail, given.Mail)
	set(&u.UserType, given.UserType)
	set(&u.Enabled, given.AccountEnabled)
	set(&u.Licensed, given.Licensed)
	u.Mailbox = standardMailbox(u.ID)
	l.tenant.Users = append(l.tenant.Users, u)
	return u
}

// groupFile is one group of groups.json.
type groupFile struct {
	ID          string   `json:"id"`
	Mail        string   `json:"mail"`
	DisplayName string   `json:"displayName"`
	Unified     bool     `json:"unified"`
	Visibility  string   `json:"visibility"`
	Members     []string `json:"members"`
	Groups      []string `json:"groups"`
}

// groups adds the groups of groups.json. Whom it names must be there.
func (l *loader) groups() {
	const name = "groups.json"
	ids := map[string]string{} // by id and address, lower case
	given := readJSON[[]groupFile](l, name)
	for _, g := range given {
		if g.ID == "" {
			g.ID = guid("group " + strings.ToLower(g.Mail+g.DisplayName))
		}
		one := &Group{ID: g.ID, Mail: g.Mail, DisplayName: g.DisplayName, Unified: g.Unified, Visibility: g.Visibility}
		for _, key := range g.Members {
			if u := l.tenant.User(key); u != nil {
				one.Members = append(one.Members, u.ID)
				continue
			}
			l.fault(name, errors.New("a member is no user of the tenant"))
		}
		l.tenant.Groups = append(l.tenant.Groups, one)
		ids[strings.ToLower(g.ID)], ids[strings.ToLower(g.Mail)] = g.ID, g.ID
	}
	for i, g := range given {
		for _, key := range g.Groups {
			id, ok := ids[strings.ToLower(key)]
			if !ok || key == "" {
				l.fault(name, errors.New("a nested group is not in the file"))
				continue
			}
			l.tenant.Groups[i].Groups = append(l.tenant.Groups[i].Groups, id)
		}
	}
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// addressOf makes an address of a folder's name.
func addressOf(name string) string {
	if strings.Contains(name, "@") {
		return name
	}
	local := strings.Map(func(r rune) rune {
		if r < 128 && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)) {
			return r
		}
		return '.'
	}, strings.ToLower(name))
	return strings.Trim(local, ".") + "@" + loadDomain
}

func standardMailbox(id string) *Mailbox {
	root := newFolder(id, "", "Root", "root")
	top := newFolder(id, "", "Top of Information Store", "msgfolderroot")
	dumpster := newFolder(id, "", "Recoverable Items", "recoverableitemsroot")
	root.Children = []*Folder{top, dumpster}
	for _, name := range []string{"Inbox", "Sent Items", "Drafts", "Deleted Items"} {
		top.Children = append(top.Children, newFolder(id, "", name, wellKnownTop(name)))
	}
	for _, name := range []string{"Deletions", "Purges", "Versions", "DiscoveryHolds"} {
		dumpster.Children = append(dumpster.Children, newFolder(id, "Recoverable Items", name, wellKnownDumpster(name)))
	}
	return &Mailbox{Root: root}
}

func newFolder(user, above, name, wellKnown string) *Folder {
	return &Folder{ID: folderID(user + " " + above + "/" + name + wellKnown), Name: name, WellKnown: wellKnown}
}

func wellKnownTop(name string) string {
	switch name {
	case "Inbox", "Sent Items", "Drafts", "Deleted Items", "Archive", "Junk Email", "Outbox", "Conversation History":
		return strings.ToLower(strings.ReplaceAll(name, " ", ""))
	}
	return ""
}

func wellKnownDumpster(name string) string {
	switch name {
	case "Deletions", "Purges", "Versions", "DiscoveryHolds":
		return "recoverableitems" + strings.ToLower(name)
	}
	return ""
}

func (l *loader) userFolder(dir string) {
	u := l.user(dir, dir)
	l.messages(u, u.Folder("inbox"), dir)
	for _, name := range l.folders(dir) {
		parent := u.Folder("msgfolderroot")
		if name == "Recoverable Items" {
			l.mailFolders(u, u.Folder("recoverableitemsroot"), filepath.Join(dir, name), wellKnownDumpster)
			continue
		}
		l.mailFolder(u, parent, filepath.Join(dir, name), wellKnownTop(name))
	}
}

// folders are the names of the folders in a folder, sorted.
func (l *loader) folders(dir string) []string {
	entries, err := os.ReadDir(filepath.Join(l.root, dir))
	if err != nil {
		l.fault(dir, err)
		return nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// mailFolder reads one folder and what lies below it into the mailbox.
func (l *loader) mailFolder(u *User, parent *Folder, dir, wellKnown string) {
	name := filepath.Base(dir)
	visible := strings.TrimPrefix(name, ".")
	var f *Folder
	for _, c := range parent.Children {
		if c.Name == visible {
			f = c
		}
	}
	if f == nil {
		f = newFolder(u.ID, parent.ID, visible, wellKnown)
		f.Hidden = visible != name
		parent.Children = append(parent.Children, f)
	}
	l.mailFolders(u, f, dir, func(string) string { return "" })
}

func (l *loader) mailFolders(u *User, f *Folder, dir string, wellKnown func(string) string) {
	l.messages(u, f, dir)
	for _, name := range l.folders(dir) {
		l.mailFolder(u, f, filepath.Join(dir, name), wellKnown(name))
	}
}

func isMail(name string) bool { return strings.EqualFold(filepath.Ext(name), ".eml") }

// messages reads the .eml files of a folder.
func (l *loader) messages(u *User, f *Folder, dir string) {
	entries, err := os.ReadDir(filepath.Join(l.root, dir))
	if err != nil {
		l.fault(dir, err)
		return
	}
	for _, e := range entries {
		if e.IsDir() || !isMail(e.Name()) {
			continue
		}
		m, err := l.message(u, filepath.Join(dir, e.Name()))
		if err != nil {
			l.fault(filepath.Join(dir, e.Name()), err)
			continue
		}
		f.Messages = append(f.Messages, m)
	}
}

// sidecar is x.json beside x.eml.
type sidecar struct {
	Received time.Time `json:"received"`
	Draft    bool      `json:"draft"`
}

// message reads the header of one file.
func (l *loader) message(u *User, path string) (*Message, error) {
	full := filepath.Join(l.root, path)
	file, err := os.Open(full)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return nil, errors.New("is empty or no file")
	}
	h, err := readHeader(io.LimitReader(file, maxHeader))
	if err != nil {
		return nil, err
	}
	beside := readJSON[sidecar](l, strings.TrimSuffix(path, filepath.Ext(path))+".json")

	name := u.ID + " " + filepath.ToSlash(path)
	m := &Message{
		ImmutableID: immutableID(name), MutableID: mutableID(name), ChangeKey: changeKey(name), Draft: beside.Draft,
		InternetMessageID: h.first("message-id"), Subject: decodeWords(h.first("subject")), Size: info.Size(),
		From: h.address("from"), Sender: h.address("sender"), To: h.addresses("to"), Cc: h.addresses("cc"), Bcc: h.addresses("bcc"),
		HasAttachments: strings.HasPrefix(strings.ToLower(h.first("content-type")), "multipart/mixed"),
		MIME:           func(uint64) (io.ReadCloser, error) { return os.Open(full) },
	}
	if m.Sender == (Address{}) {
		m.Sender = m.From
	}
	if strings.HasPrefix(strings.ToLower(h.first("content-type")), "text/calendar") {
		m.Type = "eventMessageRequest"
	}
	m.Received, m.Sent = h.times(info.ModTime().UTC())
	if !beside.Received.IsZero() {
		m.Received = beside.Received.UTC()
	}
	m.Created, m.Modified = m.Received, m.Received
	return m, nil
}

// readJSON reads a file that may be missing. A bad one is named, and is as if it were missing.
func readJSON[T any](l *loader, path string) T {
	var v, none T
	data, err := os.ReadFile(filepath.Join(l.root, path))
	if errors.Is(err, fs.ErrNotExist) {
		return none
	}
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		err = d.Decode(&v)
	}
	if err != nil {
		l.fault(path, err)
		return none
	}
	return v
}

// A header is a message's fields by lower-case name, unfolded. It is read with patience: what is no field is passed
// over, for broken mail is mail too.
type header map[string][]string

func (h header) first(name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

func readHeader(r io.Reader) (header, error) {
	h := header{}
	lines := bufio.NewReader(r)
	last := ""
	for {
		line, err := lines.ReadString('\n')
		if err != nil && err != io.EOF {
			return nil, err
		}
		line = strings.TrimRight(line, "\r\n")
		switch name, value, ok := strings.Cut(line, ":"); {
		case line == "":
			return h, nil
		case line[0] == ' ' || line[0] == '\t':
			if values := h[last]; len(values) > 0 {
				values[len(values)-1] += " " + strings.TrimSpace(line)
			}
		case ok && name != "" && !strings.ContainsAny(name, " \t"):
			last = strings.ToLower(name)
			h[last] = append(h[last], strings.TrimSpace(strings.ToValidUTF8(value, "\uFFFD")))
		}
		if err == io.EOF {
			return h, nil
		}
	}
}

// times finds when a message was received and sent.
func (h header) times(changed time.Time) (received, sent time.Time) {
	sent, sentErr := mail.ParseDate(h.first("date"))
	trace := h.first("received")
	received, err := mail.ParseDate(strings.TrimSpace(trace[strings.LastIndex(trace, ";")+1:]))
	switch {
	case err == nil && sentErr == nil:
	case err == nil:
		sent = received
	case sentErr == nil:
		received = sent
	default:
		received, sent = changed, changed
	}
	return received.UTC(), sent.UTC()
}

func decodeWords(s string) string {
	var d mime.WordDecoder
	if text, err := d.DecodeHeader(s); err == nil {
		return text
	}
	return s
}

func (h header) addresses(name string) []Address {
	parsed, err := mail.ParseAddressList(h.first(name))
	if err != nil {
		return nil
	}
	var list []Address
	for _, a := range parsed {
		list = append(list, Address{a.Name, a.Address})
	}
	return list
}

func (h header) address(name string) Address {
	if list := h.addresses(name); len(list) > 0 {
		return list[0]
	}
	return Address{}
}
