package graphtest_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"

	"golang.org/x/text/encoding/htmlindex"
)

// sampleDays is the period of the sample.
func sampleDays() capture.Window {
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	return capture.Window{Start: start, End: start.AddDate(0, 0, 3)}
}

// A reading is a mail as a stranger reads it, by the standard library and with all encodings undone.
type reading struct {
	from     *io.LimitedReader
	header   mail.Header
	texts    []string // of the bodies, those of attached mails too
	charsets []string
	html     []string
	files    []attached
}

type attached struct {
	name string
	size int64
	sum  string
}

// read reads a message as far as its first half megabyte goes: texts and names come before what is large.
func read(t *testing.T, m *graphtest.Message) *reading { return readUntil(t, m, 512<<10) }

func readUntil(t *testing.T, m *graphtest.Message, limit int64) *reading {
	t.Helper()
	body, err := m.MIME(1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	r := &reading{from: &io.LimitedReader{R: body, N: limit}}
	r.message(t, r.from)
	return r
}

// cut reports whether what went wrong is that the limit was reached.
func (r *reading) cut(err error) bool { return err != nil && r.from.N == 0 }

func (r *reading) message(t *testing.T, from io.Reader) {
	t.Helper()
	m, err := mail.ReadMessage(from)
	if err != nil {
		t.Fatal(err)
	}
	if r.header == nil {
		r.header = m.Header
	}
	r.part(t, m.Header.Get, m.Body)
}

func (r *reading) part(t *testing.T, header func(string) string, body io.Reader) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(header("Content-Type"))
	if err != nil {
		kind, params = "text/plain", map[string]string{"charset": "us-ascii"}
	}
	switch strings.ToLower(header("Content-Transfer-Encoding")) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	disposition, named, _ := mime.ParseMediaType(header("Content-Disposition"))
	switch {
	case kind == "message/rfc822":
		r.message(t, body)
	case strings.HasPrefix(kind, "multipart/"):
		parts := multipart.NewReader(body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if err == io.EOF || r.cut(err) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			r.part(t, p.Header.Get, p)
		}
	case disposition != "":
		h := sha256.New()
		n, err := io.Copy(h, body)
		if err != nil && !r.cut(err) {
			t.Fatal(err)
		}
		r.files = append(r.files, attached{named["filename"], n, fmt.Sprintf("%x", h.Sum(nil))})
	default:
		r.text(t, kind, params["charset"], body)
	}
}

func (r *reading) text(t *testing.T, kind, charset string, body io.Reader) {
	t.Helper()
	if charset != "us-ascii" {
		e, err := htmlindex.Get(charset)
		if err != nil {
			t.Fatal(err)
		}
		body = e.NewDecoder().Reader(body)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	if kind == "text/html" {
		r.html = append(r.html, string(b))
	}
	r.texts, r.charsets = append(r.texts, string(b)), append(r.charsets, charset)
}

func (r *reading) subject(t *testing.T) string {
	t.Helper()
	s, err := new(mime.WordDecoder).DecodeHeader(r.header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// each calls f for every message of a tenant that lies somewhere itself.
func each(world *graphtest.Tenant, f func(u *graphtest.User, path string, m *graphtest.Message)) {
	for _, u := range world.Users {
		if u.Mailbox == nil {
			continue
		}
		var walk func(at *graphtest.Folder, above []*graphtest.Folder)
		walk = func(at *graphtest.Folder, above []*graphtest.Folder) {
			row := append(slices.Clone(above), at)
			if !at.Search {
				for _, m := range at.Messages {
					f(u, graphtest.FolderPath(row), m)
				}
			}
			for _, c := range at.Children {
				walk(c, row)
			}
		}
		walk(u.Root, nil)
	}
}

func TestTheSampleHasEveryKindOfMailbox(t *testing.T) {
	t.Parallel()
	world, truth := graphtest.Sample(1)
	s, root := graphtest.Serve(t, world, graphtest.Options{Anonymous: true})
	b := &bench{Server: s, root: root}
	const gone, refused = "404 MailboxNotEnabledForRESTAPI", "403 ErrorAccessDenied"
	member := func(u *graphtest.User) bool { return u.UserType == "Member" && u.Purpose == "" }
	for _, kind := range []struct {
		name, answer string
		is           func(*graphtest.User) bool
	}{
		{"licensed", "200 ", func(u *graphtest.User) bool { return member(u) && u.Enabled && u.Licensed }},
		{"made before there were types", "200 ", func(u *graphtest.User) bool { return u.UserType == "" }},
		{"unlicensed, active", "200 ", func(u *graphtest.User) bool { return member(u) && u.Enabled && !u.Licensed }},
		{"shared, sign-in blocked", "200 ", func(u *graphtest.User) bool { return u.Purpose == "shared" && !u.Enabled }},
		{"a room", "200 ", func(u *graphtest.User) bool { return u.Purpose == "room" && !u.Enabled }},
		{"guest with a licence", "200 ", func(u *graphtest.User) bool { return u.UserType == "Guest" && u.Licensed }},
		{"blocked leaver", "200 ", func(u *graphtest.User) bool { return member(u) && !u.Enabled && u.Licensed }},
		{"another geography", "200 ", func(u *graphtest.User) bool { return u.DataLocation != "" }},
		{"with an archive", "200 ", func(u *graphtest.User) bool { return u.Archive }},
		{"moving", "503 ErrorMailboxMoveInProgress", func(u *graphtest.User) bool { return u.Moving > 0 }},
		{"shared, soft-deleted", gone, func(u *graphtest.User) bool {
			return u.Purpose == "shared" && u.Problem == graphtest.ProblemInactive
		}},
		{"guest without a licence", gone, func(u *graphtest.User) bool { return u.UserType == "Guest" && !u.Licensed }},
		{"inactive", gone, func(u *graphtest.User) bool { return member(u) && u.Problem == graphtest.ProblemInactive }},
		{"on premises", gone, func(u *graphtest.User) bool { return u.OnPremises }},
		{"licensed, not provisioned yet", gone, func(u *graphtest.User) bool { return member(u) && u.Licensed && u.Mailbox == nil }},
		{"licence taken away", "401 AuthenticationError", func(u *graphtest.User) bool { return u.Problem == graphtest.ProblemUnauthorized }},
		{"blocked by policy", refused, func(u *graphtest.User) bool { return u.Problem == graphtest.ProblemDenied }},
		{"outside the app's scope", refused, func(u *graphtest.User) bool { return u.Problem == graphtest.ProblemOutOfScope }},
	} {
		var answers []string
		for _, u := range world.Users {
			if !kind.is(u) {
				continue
			}
			a := b.get(t, "/users/"+u.ID+"/mailFolders/inbox")
			answers = append(answers, fmt.Sprint(a.status, " ", a.code()))
			_, excluded := truth.Excluded[u.Mail]
			if collectable := a.status == 200 || u.Moving > 0; collectable == excluded {
				t.Errorf("%s: the mailbox answers %d, and the truth has it excluded: %v", kind.name, a.status, excluded)
			}
		}
		if !slices.Contains(answers, kind.answer) {
			t.Errorf("%s: answers %q, want one %q", kind.name, answers, kind.answer)
		}
	}
	list := string(graphtest.Custodians(world))
	for _, identifier := range []string{
		"project-aurora@contoso.onmicrosoft.com", "site-office@contoso.onmicrosoft.com", world.Groups[3].ID,
	} {
		if truth.Excluded[identifier] != capture.ReasonNotFound || !strings.Contains(list, "\n"+identifier+",") {
			t.Errorf("group %s is not excluded, or not on the list", identifier)
		}
		if a := b.get(t, "/users/"+identifier); a.status != 404 {
			t.Errorf("group %s: %d, want 404: a group is no user", identifier, a.status)
		}
	}
}

func TestTheSampleHasItsSize(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		world, truth := graphtest.Sample(seed)
		if n := len(world.Users); n < 30 {
			t.Errorf("seed %d: %d users", seed, n)
		}
		owed := map[string]int{}
		for _, i := range truth.InScope(sampleDays(), false) {
			owed[i.UserID]++
		}
		delete(owed, world.User("nora.vance@contoso.onmicrosoft.com").ID) // is on no list
		total := 0
		for _, n := range owed {
			total += n
		}
		if total < 3000 {
			t.Errorf("seed %d: %d messages are owed", seed, total)
		}
		for day := range 3 {
			w := capture.Window{Start: sampleDays().Start.AddDate(0, 0, day), End: sampleDays().Start.AddDate(0, 0, day+1)}
			drafts := map[string]bool{}
			for _, i := range truth.InScope(w, true) {
				if i.Draft && i.Folder == "Drafts" {
					drafts[i.UserID] = true
				}
			}
			if len(drafts) < 5 {
				t.Errorf("seed %d, day %d: drafts in %d Drafts folders", seed, day+1, len(drafts))
			}
		}
	}
}

func TestAListsMailLiesInItsMembersMailboxes(t *testing.T) {
	t.Parallel()
	world, truth := graphtest.Sample(1)
	inScope := map[string]bool{}
	for _, i := range truth.InScope(sampleDays(), false) {
		inScope[i.ImmutableID] = true
	}
	holders := map[string]map[string]bool{}
	each(world, func(u *graphtest.User, path string, m *graphtest.Message) {
		toList := slices.ContainsFunc(m.To, func(a graphtest.Address) bool { return strings.HasPrefix(a.Address, "project-aurora@") })
		if toList && path != "Sent Items" && inScope[m.ImmutableID] {
			if holders[m.InternetMessageID] == nil {
				holders[m.InternetMessageID] = map[string]bool{}
			}
			holders[m.InternetMessageID][u.ID] = true
		}
	})
	if len(holders) != 3 {
		t.Errorf("%d mails to the list, want 3", len(holders))
	}
	for _, users := range holders {
		if len(users) < 5 {
			t.Errorf("a mail to the list lies in %d mailboxes", len(users))
		}
	}
}

// TestEveryMidnightHasMailOnBothSides holds that a second and 100 ns before and after each edge of a window, and on it, a mail
// lies in a folder of each state.
func TestEveryMidnightHasMailOnBothSides(t *testing.T) {
	t.Parallel()
	_, truth := graphtest.Sample(1)
	at := map[string]bool{}
	for _, i := range truth.Items {
		at[fmt.Sprint(i.Received.UnixNano(), i.State)] = true
	}
	for night := range 4 {
		for _, off := range []time.Duration{-time.Second, -100, 0, 100, time.Second} {
			moment := sampleDays().Start.AddDate(0, 0, night).Add(off)
			for _, state := range []capture.State{capture.Active, capture.Deleted, capture.Recoverable, capture.Purged} {
				if !at[fmt.Sprint(moment.UnixNano(), state)] {
					t.Errorf("nothing %s was received at %v", state, moment)
				}
			}
		}
	}
}

func TestTheSampleIsWrittenInManyLanguages(t *testing.T) {
	t.Parallel()
	world, _ := graphtest.Sample(1)
	sentences := map[string]string{ // as it is read back → a charset that it must have come in
		"Shall I call them?":                               "utf-8",
		"Danke dir, dann mahne ich noch nicht.":            "windows-1252",
		"voici l’ordre du jour de ":                        "windows-1252",
		"¿Y quién paga el segundo porte?":                  "iso-8859-1",
		"Consegues rever até ":                             "windows-1252",
		"платёж от 27 февраля в акте не учтён.":            "windows-1251",
		"確認しました。倉庫に48個あります。":                               "iso-2022-jp",
		"请法务部门今天下午看一下新的文本。":                                "gb2312",
		"الشحنة في الميناء، وننتظر أوراق الجمارك.":         "windows-1256",
		"Die neue Größe beträgt 40 mm, gemessen bei 20 °C": "iso-8859-1",
		"Счёт во вложении.":                                "koi8-r",
		"納期は3月10日です。よろしくお願いします。":                           "shift_jis",
	}
	found := map[string]map[string]bool{}
	rightToLeft := false
	each(world, func(_ *graphtest.User, _ string, m *graphtest.Message) {
		r := read(t, m)
		for i, text := range r.texts {
			if strings.ContainsAny(text, "\uFFFD\x1a") {
				t.Errorf("a text in %s has letters that its charset lacks", r.charsets[i])
			}
			rightToLeft = rightToLeft || strings.Contains(text, `dir="rtl"`)
			for s := range sentences {
				if strings.Contains(text, s) {
					if found[s] == nil {
						found[s] = map[string]bool{}
					}
					found[s][r.charsets[i]] = true
				}
			}
		}
	})
	for s, charset := range sentences {
		if !found[s][charset] {
			t.Errorf("%q comes in %v, want %s among them", s, slices.Collect(maps.Keys(found[s])), charset)
		}
	}
	if !rightToLeft {
		t.Error("no HTML is written from right to left")
	}
}

func TestLargeAttachmentsAreTheSameAtEveryCall(t *testing.T) {
	t.Parallel()
	large := func(seed uint64) (all []*graphtest.Message) {
		world, _ := graphtest.Sample(seed)
		each(world, func(_ *graphtest.User, _ string, m *graphtest.Message) {
			if m.Size > 1<<20 {
				all = append(all, m)
			}
		})
		return all
	}
	begin := func(seed uint64) (sums []string) {
		for _, m := range large(seed) {
			for _, f := range read(t, m).files {
				sums = append(sums, f.sum)
			}
		}
		return sums
	}
	one, again, other := begin(1), begin(1), begin(2)
	if len(one) < 5 || !slices.Equal(one, again) {
		t.Errorf("%d large attachments, and as many of the same bytes: %v", len(one), slices.Equal(one, again))
	}
	for _, sum := range other {
		if slices.Contains(one, sum) {
			t.Error("another seed made the same attachment")
		}
	}
	largest := slices.MaxFunc(large(1), func(a, b *graphtest.Message) int { return cmp.Compare(a.Size, b.Size) })
	if f := readUntil(t, largest, 1<<40).files; len(f) != 1 || f[0].size > 25<<20 || f[0].size < 25<<20-100 || f[0].size > largest.Size {
		t.Errorf("attachments %+v of a mail of %d bytes, want one of 25 MB", f, largest.Size)
	}
}

func TestThePlantedSampleHasTheWordInEverything(t *testing.T) {
	t.Parallel()
	world, truth := graphtest.Planted(1)
	own := map[string]bool{"project-aurora@contoso.onmicrosoft.com": true}
	for _, u := range world.Users {
		own[u.Mail] = true
		if !strings.Contains(u.DisplayName, graphtest.Canary) || strings.Contains(u.UserPrincipalName+u.Mail, graphtest.Canary) {
			t.Errorf("user %s: the word is in the name alone", u.ID)
		}
	}
	for line := range strings.Lines(string(graphtest.Custodians(world))) {
		if !strings.HasPrefix(line, "identifier,") && !strings.Contains(line, graphtest.Canary) {
			t.Errorf("the list of individuals has a name without the word: %s", line)
		}
	}
	lacks := map[string]int{}
	has := func(where, text string) {
		if !strings.Contains(text, graphtest.Canary) {
			lacks[where]++
		}
	}
	messages := 0
	each(world, func(_ *graphtest.User, _ string, m *graphtest.Message) {
		messages++
		r := read(t, m)
		has("subject", r.subject(t))
		has("listed subject", m.Subject)
		has("preview", m.Preview)
		for _, text := range r.texts {
			has("body", text)
		}
		for _, f := range r.files {
			has("name of an attachment", f.name)
		}
		if m.InternetMessageID != "" {
			has("Message-ID", m.InternetMessageID)
			has("Message-ID in MIME", r.header.Get("Message-ID"))
		}
		for _, a := range slices.Concat([]graphtest.Address{m.From, m.Sender}, m.To, m.Cc, m.Bcc) {
			has("name", a.Name)
			if !own[a.Address] {
				has("address of an outsider", a.Address)
			}
		}
		if len(r.texts) == 0 {
			t.Error("a message without a body")
		}
	})
	if len(lacks) > 0 || messages < 3000 {
		t.Errorf("of %d messages the word is missing in %v", messages, lacks)
	}
	folders := map[string]bool{}
	for _, i := range truth.Items {
		folders[i.Folder] = true
	}
	if !folders["Inbox"] || !folders["Inbox/Projects "+graphtest.Canary] || folders["Inbox/Projects"] {
		t.Errorf("folders %v, want the word in those that people make", slices.Sorted(maps.Keys(folders)))
	}
}

func TestThePlantedSampleIsTheSampleButForTheWord(t *testing.T) {
	t.Parallel()
	world, truth := graphtest.Planted(1)
	plain, want := graphtest.Sample(1)
	if strings.Contains(describe(t, plain), graphtest.Canary) {
		t.Error("the sample itself has the word")
	}
	ids := func(world *graphtest.Tenant) (all []string) {
		each(world, func(u *graphtest.User, _ string, m *graphtest.Message) {
			all = append(all, fmt.Sprint(u.ID, m.ImmutableID, m.MutableID, m.ChangeKey, m.Received, m.Sent, m.Draft, m.Type))
		})
		return all
	}
	if !slices.Equal(ids(world), ids(plain)) || !maps.Equal(truth.Excluded, want.Excluded) || len(truth.Items) != len(want.Items) {
		t.Error("other messages, or others excluded")
	}
	for i, got := range truth.Items {
		w := want.Items[i]
		w.Folder = got.Folder
		if got != w {
			t.Fatalf("item %d: %+v, want %+v", i, got, w)
		}
	}
}

func TestAMailboxThatMovesIsThereAfterSomeRequests(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(world *graphtest.Tenant, _ *graphtest.Options) { world.User("id-ada").Moving = 5 })
	if a := b.get(t, "/users/id-ada"); a.status != 200 {
		t.Errorf("the directory: %d, want that a move does not concern it", a.status)
	}
	var refused, served atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				switch a := b.get(t, "/users/id-ada/mailFolders/inbox"); {
				case a.status == 503 && a.code() == "ErrorMailboxMoveInProgress":
					refused.Add(1)
				case a.status == 200:
					served.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if refused.Load() != 5 || served.Load() != 35 {
		t.Errorf("%d requests are refused and %d served, want 5 and 35", refused.Load(), served.Load())
	}
	if a := b.get(t, "/users/id-bob/mailFolders/inbox"); a.status != 200 {
		t.Errorf("another mailbox: %d", a.status)
	}
}

func TestTheDirectoryTellsWhereAUserComesFrom(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(world *graphtest.Tenant, _ *graphtest.Options) {
		world.User("id-ada").DataLocation, world.User("id-bob").OnPremises = "CAN", true
		world.Groups = append(world.Groups, &graphtest.Group{ID: "g-team", Mail: "team@contoso.example", Unified: true})
	})
	for path, want := range map[string]string{
		"/users/id-ada?$select=preferredDataLocation": `"preferredDataLocation":"CAN"`,
		"/users/id-ada?$select=onPremisesSyncEnabled": `"onPremisesSyncEnabled":null`,
		"/users/id-bob?$select=onPremisesSyncEnabled": `"onPremisesSyncEnabled":true`,
		"/users/id-bob?$select=preferredDataLocation": `"preferredDataLocation":null`,
		"/groups/g-team?$select=groupTypes":           `"groupTypes":["Unified"]`,
		"/groups/g-inner?$select=groupTypes":          `"groupTypes":[]`,
	} {
		if a := b.get(t, path); a.status != 200 || !strings.Contains(string(a.body), want) {
			t.Errorf("%s: %d %s, want %s", path, a.status, a.body, want)
		}
	}
}

func TestAnArchiveIsSpokenOfAndNotServed(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(world *graphtest.Tenant, _ *graphtest.Options) { world.User("id-ada").Archive = true })
	const sentence = "The item exists in an archive mailbox."
	for _, name := range []string{"archivemsgfolderroot", "ArchiveMsgFolderRoot", "archiveinbox", "archiverecoverableitemsroot"} {
		a := b.get(t, "/users/id-ada/mailFolders/"+name)
		if a.status != 404 || a.code() != "ErrorInvalidMailboxItemId" || !strings.Contains(string(a.body), "Item '"+name+"' ") ||
			!strings.Contains(string(a.body), sentence) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if a := b.get(t, "/users/id-bob/mailFolders/"+name); a.status != 404 || strings.Contains(string(a.body), sentence) {
			t.Errorf("%s without an archive: %d %s", name, a.status, a.body)
		}
	}
	if a := b.get(t, "/users/id-bob/mailFolders/archive"); a.status != 404 || a.code() != "ErrorItemNotFound" {
		t.Errorf("archive is a folder of the primary mailbox, here missing: %d %s", a.status, a.body)
	}
}
