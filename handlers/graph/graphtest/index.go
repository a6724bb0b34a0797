package graphtest

import (
	"slices"
	"strings"
	"time"
)

// An index finds users, folders and messages of a tenant by what a path may call them.
type index struct {
	tenant *Tenant
	users  map[string]*userIndex // by object id, user principal name and address, lower case
}

type userIndex struct {
	*User
	folders   map[string]*place // by id, and by well-known name
	ordered   []*place          // in the order of the tree, root first
	messages  map[string]found  // by either id
	addressed map[string]bool   // the keys that are aliases only
}

// A place is a folder within its mailbox.
type place struct {
	*Folder
	parent      *place
	recoverable bool // Recoverable Items or below
	visibleTop  bool // msgfolderroot or below
}

// found is a message and the folder that it lies in.
type found struct {
	message *Message
	folder  *place
}

func newIndex(t *Tenant) *index {
	x := &index{tenant: t, users: map[string]*userIndex{}}
	for _, u := range t.Users {
		ui := newUserIndex(u)
		x.users[strings.ToLower(u.ID)] = ui
		x.users[strings.ToLower(u.UserPrincipalName)] = ui
	}
	for _, u := range t.Users {
		ui := x.users[strings.ToLower(u.ID)]
		for _, a := range u.addresses() {
			key := strings.ToLower(a)
			if _, taken := x.users[key]; !taken {
				x.users[key] = ui
				ui.addressed[key] = true
			}
		}
	}
	return x
}

func (x *index) user(key string) *userIndex {
	if key == "" {
		return nil
	}
	return x.users[strings.ToLower(key)]
}

// ofDirectory finds a user as the directory does: by object id and user principal name alone. That any address opens
// the mailbox holds for Exchange's part of Graph only.
func (x *index) ofDirectory(key string) *userIndex {
	u := x.user(key)
	if u == nil || u.addressed[strings.ToLower(key)] {
		return nil
	}
	return u
}

func newUserIndex(u *User) *userIndex {
	ui := &userIndex{User: u, folders: map[string]*place{}, messages: map[string]found{}, addressed: map[string]bool{}}
	if u.Mailbox != nil {
		ui.add(u.Root, nil)
	}
	return ui
}

func (ui *userIndex) add(f *Folder, parent *place) {
	if f == nil {
		return
	}
	p := &place{Folder: f, parent: parent}
	if parent != nil {
		p.recoverable, p.visibleTop = parent.recoverable, parent.visibleTop
	}
	p.recoverable = p.recoverable || f.WellKnown == "recoverableitemsroot"
	p.visibleTop = p.visibleTop || f.WellKnown == "msgfolderroot"
	ui.folders[f.ID] = p
	if f.WellKnown != "" {
		ui.folders[strings.ToLower(f.WellKnown)] = p
	}
	ui.ordered = append(ui.ordered, p)
	for _, m := range f.Messages {
		if f.Search {
			continue // lies elsewhere
		}
		ui.messages[m.ImmutableID] = found{m, p}
		ui.messages[m.MutableID] = found{m, p}
	}
	for _, c := range f.Children {
		ui.add(c, p)
	}
}

// folder finds a folder by id, in its own letters, or by well-known name in any.
func (ui *userIndex) folder(key string) *place {
	if p, ok := ui.folders[key]; ok {
		return p
	}
	if p, ok := ui.folders[strings.ToLower(key)]; ok && p.WellKnown != "" && strings.EqualFold(p.WellKnown, key) {
		return p
	}
	return nil
}

// rows are the messages of a list: of one folder, or mailbox-wide. Mailbox-wide is everything but Recoverable Items,
// hidden folders and their copies of Teams chats included (known issue of "List messages"). What becomes visible later is in
// none.
func (ui *userIndex) rows(p *place, now time.Time) []found {
	return slices.DeleteFunc(ui.all(p), func(f found) bool { return now.Before(f.message.VisibleAfter) })
}

// all are the messages of a folder, or of all but Recoverable Items, visible already or not.
func (ui *userIndex) all(p *place) []found {
	var rows []found
	if p != nil {
		for _, m := range p.Messages {
			row := found{m, p}
			if p.Search {
				row = ui.messages[m.ImmutableID]
			}
			rows = append(rows, row)
		}
		return rows
	}
	for _, q := range ui.ordered {
		if q.Search || q.recoverable {
			continue
		}
		for _, m := range q.Messages {
			rows = append(rows, found{m, q})
		}
	}
	return rows
}
