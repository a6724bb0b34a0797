package graphtest_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/graph/graphtest"
)

const plain = "Received: from a.example by b.example; Mon, 2 Mar 2026 10:00:05 +0100\r\nFrom: =?utf-8?q?J=C3=BCrgen?= <j@x.example>\r\n" +
	"To: a@x.example, B <b@x.example>\r\nSubject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=\r\nDate: Mon, 2 Mar 2026 10:00:00 +0100\r\n" +
	"Message-ID: <1@x.example>\r\n\r\nHello\r\n"

// write makes files below a new folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestATenantIsReadFromAFolder(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"ada@contoso.example/direct.eml":                     plain,
		"ada@contoso.example/Inbox/one.eml":                  plain,
		"ada@contoso.example/Inbox/one.json":                 `{"received":"2026-03-03T04:05:06Z","draft":true}`,
		"ada@contoso.example/Inbox/Projects/2026/two.EML":    "Subject: dated\nDate: Mon, 2 Mar 2026 09:00:00 +0000\n\nx",
		"ada@contoso.example/Deleted Items/three.eml":        plain,
		"ada@contoso.example/.Team Chat/four.eml":            plain,
		"ada@contoso.example/Recoverable Items/Purges/5.eml": plain,
		"ada@contoso.example/Recoverable Items/Odd/6.eml":    plain,
		"ada@contoso.example/notes.txt":                      "no mail",
		"Bob Ümlaut/user.json": `{"id":"id-bob","userPrincipalName":"bob@contoso.example","mail":"","displayName":"Bob","userType":"",` +
			`"accountEnabled":false,"licensed":false,"aliases":["b@contoso.example"],"purpose":"shared","problem":"moving","archive":true,"moving":2,` +
			`"onPremisesSyncEnabled":true,"preferredDataLocation":"CAN"}`,
		"Bob Ümlaut/Inbox/meeting.eml": "Subject: Meet\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR",
		".git/config":                  "x",
	})
	world, err := graphtest.LoadTenant(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(world.Users) != 2 || len(world.Apps) != 1 {
		t.Fatalf("%d users, %d apps", len(world.Users), len(world.Apps))
	}
	ada := world.User("ada@contoso.example")
	for path, want := range map[string]int{
		"inbox": 2, "Inbox": 2, "Inbox/Projects": 0, "Inbox/Projects/2026": 1, "deleteditems": 1, "Team Chat": 1, "drafts": 0,
		"recoverableitemspurges": 1, "Recoverable Items/Odd": 1, "recoverableitemsdiscoveryholds": 0,
	} {
		if f := ada.Folder(path); f == nil || len(f.Messages) != want {
			t.Errorf("%s: %v, want %d messages", path, f, want)
		}
	}
	if !ada.Folder("Team Chat").Hidden || ada.Folder("Inbox/Projects").Hidden {
		t.Error("a name that begins with a dot, and no other, is hidden")
	}
	one := ada.Folder("inbox").Messages[1]
	want := time.Date(2026, 3, 3, 4, 5, 6, 0, time.UTC)
	if !one.Received.Equal(want) || !one.Draft || one.Subject != "Größe" || one.From != (graphtest.Address{Name: "Jürgen", Address: "j@x.example"}) ||
		len(one.To) != 2 || one.InternetMessageID != "<1@x.example>" || one.Size != int64(len(plain)) || one.Sender != one.From {
		t.Errorf("one = %+v", one)
	}
	direct := ada.Folder("inbox").Messages[0]
	if !direct.Received.Equal(time.Date(2026, 3, 2, 9, 0, 5, 0, time.UTC)) || !direct.Sent.Equal(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("received %v, sent %v, want the header's times in UTC", direct.Received, direct.Sent)
	}
	if two := ada.Folder("Inbox/Projects/2026").Messages[0]; !two.Received.Equal(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("received %v, want the Date", two.Received)
	}
	body, err := one.MIME(1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if raw, err := io.ReadAll(body); err != nil || string(raw) != plain {
		t.Errorf("MIME = %q, %v, want the file", raw, err)
	}
	bob := world.User("id-bob")
	if bob.Mail != "" || bob.DisplayName != "Bob" || bob.UserType != "" || bob.Enabled || bob.Licensed || bob.Purpose != "shared" ||
		bob.Problem != graphtest.ProblemMoving || len(bob.Aliases) != 1 || bob.Folder("inbox").Messages[0].Type != "eventMessageRequest" {
		t.Errorf("bob = %+v", bob)
	}
	if !bob.Archive || bob.Moving != 2 || !bob.OnPremises || bob.DataLocation != "CAN" {
		t.Errorf("bob = %+v, want archive, moving, on premises, CAN", bob)
	}
	again, err := graphtest.LoadTenant(dir)
	if err != nil || again.User("ada@contoso.example").Folder("inbox").Messages[1].ImmutableID != one.ImmutableID {
		t.Errorf("loaded again: %v, want the same ids", err)
	}
}

func TestWhatCannotBeReadIsNamedAndLeftOut(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"ada/Inbox/good.eml":     plain,
		"ada/Inbox/empty.eml":    "",
		"ada/Inbox/good.json":    `{"recieved":"2026-03-03T04:05:06Z"}`,
		"ada/user.json":          `{"problem":"of tomorrow"}`,
		"bob/user.json":          `{`,
		"bob/Inbox/no field.eml": "this is no header\r\n\r\nbut mail\r\n",
	})
	if err := os.MkdirAll(filepath.Join(dir, "ada", "Inbox", "folder.eml"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "ada", "Inbox", "gone.eml")); err != nil {
		t.Fatal(err)
	}
	world, err := graphtest.LoadTenant(dir)
	if world == nil || err == nil {
		t.Fatalf("LoadTenant = %v, %v, want a tenant and its faults", world, err)
	}
	for _, name := range []string{"ada/Inbox/empty.eml: ", "ada/Inbox/good.json: ", "ada/Inbox/gone.eml: ", "ada/user.json: ", "bob/user.json: "} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %q: %v", name, err)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 5 || strings.Contains(err.Error(), dir) {
		t.Errorf("%d faults, want 5 without the folder's own path: %v", n, err)
	}
	ada := world.User("ada@contoso.onmicrosoft.com")
	if got := ada.Folder("inbox").Messages; len(got) != 1 || got[0].Draft || ada.Problem != "" {
		t.Errorf("ada's Inbox %v, problem %q, want good.eml alone and none", got, ada.Problem)
	}
	if got := world.User("bob@contoso.onmicrosoft.com").Folder("inbox").Messages; len(got) != 1 || got[0].Received.IsZero() {
		t.Errorf("bob's Inbox %v, want the mail without fields, received when its file was changed", got)
	}
}

func TestFilesWithoutAUsersFolderBelongToOneUser(t *testing.T) {
	t.Parallel()
	world, err := graphtest.LoadTenant(write(t, map[string]string{"a.eml": plain, "b.eml": plain}))
	if err != nil || len(world.Users) != 1 || len(world.User("mail@contoso.onmicrosoft.com").Folder("inbox").Messages) != 2 {
		t.Errorf("%v, %v, want one user with two mails", world, err)
	}
}

func TestAFolderWithoutMailIsNoTenant(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		if world, err := graphtest.LoadTenant(dir); world != nil || err == nil {
			t.Errorf("LoadTenant = %v, %v, want an error alone", world, err)
		}
	}
}

func TestALoadedTenantIsServed(t *testing.T) {
	t.Parallel()
	world, err := graphtest.LoadTenant(write(t, map[string]string{"ada@contoso.example/Inbox/one.eml": plain}))
	if err != nil {
		t.Fatal(err)
	}
	s, root := graphtest.Serve(t, world, graphtest.Options{Anonymous: true})
	b := &bench{Server: s, root: root}
	ids := b.get(t, "/users/ada@contoso.example/mailFolders/inbox/messages", "Prefer", immutable).page(t).ids()
	if len(ids) != 1 {
		t.Fatalf("ids %q", ids)
	}
	a := b.get(t, "/users/ada@contoso.example/messages/"+ids[0]+"/$value", "Accept-Encoding", "identity")
	if string(a.body) != plain {
		t.Errorf("%d %q, want the file's bytes", a.status, a.body)
	}
	b.broken(t, "")
	if list := string(graphtest.Custodians(world)); !strings.Contains(list, "\nada@contoso.example,") || strings.Count(list, "\n") != 2 {
		t.Errorf("Custodians = %q", list)
	}
}

// line is one message as a test compares it.
func line(u *graphtest.User, m *graphtest.Message, folder, state string) string {
	return fmt.Sprint(u.ID, " ", m.ImmutableID, " ", folder, " ", state, " ", m.Received.UnixNano(), " ", m.Draft)
}

// owed walks a user's folders and gives what is owed by the rule alone: below the top where nothing is hidden and nothing is a
// search, and three folders of Recoverable Items.
func owed(u *graphtest.User) (lines []string) {
	if u.Mailbox == nil || u.Problem != "" {
		return nil
	}
	var walk func(f *graphtest.Folder, path, state string)
	walk = func(f *graphtest.Folder, path, state string) {
		switch {
		case f.Hidden || f.Search:
			return
		case f.WellKnown == "deleteditems":
			state = "deleted"
		case f.WellKnown == "recoverableitemsdeletions" || f.WellKnown == "recoverableitemsdiscoveryholds":
			state = "recoverable"
		case f.WellKnown == "recoverableitemspurges":
			state = "purged"
		case f.WellKnown == "msgfolderroot":
			path, state = "", "active"
		}
		if f.Name != "" && f.WellKnown != "root" && f.WellKnown != "msgfolderroot" {
			path = strings.TrimPrefix(path+"/"+f.Name, "/")
		}
		if state != "" {
			for _, m := range f.Messages {
				lines = append(lines, line(u, m, path, state))
			}
		}
		for _, c := range f.Children {
			walk(c, path, state)
		}
	}
	walk(u.Root, "", "")
	return lines
}

func TestTheSamplesTruthIsWhatItsFoldersHold(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		world, truth := graphtest.Sample(seed)
		var want, got []string
		for _, u := range world.Users {
			want = append(want, owed(u)...)
		}
		for _, i := range truth.Items {
			u := world.User(i.UserID)
			m, _ := u.Find(i.ImmutableID)
			if m == nil {
				t.Fatalf("seed %d: the truth has a message that is nowhere", seed)
			}
			l := line(u, m, i.Folder, string(i.State))
			if !i.Received.Equal(m.Received) || i.Draft != m.Draft {
				t.Errorf("seed %d: %+v, and the message %v %v", seed, i, m.Received, m.Draft)
			}
			got = append(got, l)
		}
		slices.Sort(want)
		slices.Sort(got)
		if len(got) < 3000 || !slices.Equal(got, want) {
			t.Errorf("seed %d: the truth has %d items, the folders %d, or others", seed, len(got), len(want))
		}
		if len(slices.Compact(got)) != len(want) {
			t.Errorf("seed %d: the truth has an item twice", seed)
		}
	}
}

// describe is all of a tenant that a client can see.
func describe(t *testing.T, world *graphtest.Tenant) string {
	t.Helper()
	var b strings.Builder
	for _, u := range world.Users {
		fmt.Fprintf(&b, "%s %s %s %v %q\n", u.ID, u.UserPrincipalName, u.Mail, u.Aliases, u.Problem)
		if u.Mailbox == nil {
			continue
		}
		var walk func(f *graphtest.Folder)
		walk = func(f *graphtest.Folder) {
			fmt.Fprintf(&b, "%s %s %s %v %v\n", f.ID, f.Name, f.WellKnown, f.Hidden, f.Search)
			for _, m := range f.Messages {
				fmt.Fprintf(&b, "%s %s %s %v %q %q %d\n", m.ImmutableID, m.MutableID, m.ChangeKey, m.Received, m.Subject, m.InternetMessageID, m.Size)
				if m.Size > 1_000_000 {
					continue
				}
				body, err := m.MIME(7)
				if err == nil {
					_, err = io.Copy(&b, body)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range f.Children {
				walk(c)
			}
		}
		walk(u.Root)
	}
	return b.String()
}

func TestTheSameSeedMakesTheSameTenant(t *testing.T) {
	t.Parallel()
	one, _ := graphtest.Sample(1)
	same, _ := graphtest.Sample(1)
	other, _ := graphtest.Sample(2)
	if a, b := describe(t, one), describe(t, same); a != b {
		t.Error("the same seed made another tenant")
	}
	if a, b := describe(t, one), describe(t, other); a == b {
		t.Error("another seed made the same tenant")
	}
	ids := map[string]bool{}
	for _, world := range []*graphtest.Tenant{one, other} {
		for _, u := range world.Users {
			for _, l := range owed(u) {
				id := strings.Fields(l)[1]
				if ids[id] {
					t.Fatal("an id is there twice")
				}
				ids[id] = true
			}
		}
	}
}

func TestTheSamplesCustodiansAreUsersOrExplained(t *testing.T) {
	t.Parallel()
	world, truth := graphtest.Sample(1)
	excluded := 0
	lines := strings.Split(strings.TrimSpace(string(graphtest.Custodians(world))), "\n")
	for _, l := range lines[1:] {
		identifier, _, _ := strings.Cut(l, ",")
		u := world.User(identifier)
		_, out := truth.Excluded[identifier]
		if out {
			excluded++
		}
		if collectable := u != nil && u.Mailbox != nil && u.Problem == ""; collectable == out {
			t.Errorf("%s: collectable %v, excluded %v", identifier, collectable, out)
		}
	}
	if excluded != len(truth.Excluded) || lines[0] != "identifier,secondaryIdentifiers,displayName,firstName,lastName,from,to" {
		t.Errorf("%d of %d excluded are listed; header %q", excluded, len(truth.Excluded), lines[0])
	}
}

func TestGroupsAreReadFromAFile(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"ada@contoso.example/direct.eml": plain,
		"bob@contoso.example/direct.eml": plain,
		"groups.json": `[{"id":"g-outer","displayName":"Outer","members":["ADA@contoso.example"],"groups":["inner@contoso.example"]},` +
			`{"mail":"inner@contoso.example","unified":true,"visibility":"HiddenMembership","members":["bob@contoso.example","nobody"],"groups":["none"]}]`,
	})
	world, err := graphtest.LoadTenant(dir)
	if err == nil || !strings.Contains(err.Error(), "a member is no user") || !strings.Contains(err.Error(), "a nested group is not in the file") {
		t.Errorf("faults: %v", err)
	}
	if world == nil || len(world.Groups) != 2 {
		t.Fatal("the groups are missing")
	}
	outer, inner := world.Groups[0], world.Groups[1]
	if !slices.Equal(outer.Members, []string{world.User("ada@contoso.example").ID}) || !slices.Equal(outer.Groups, []string{inner.ID}) {
		t.Errorf("outer = %+v", outer)
	}
	if inner.ID == "" || !inner.Unified || inner.Visibility != graphtest.HiddenMembership || len(inner.Members) != 1 || len(inner.Groups) != 0 {
		t.Errorf("inner = %+v", inner)
	}
}
