package pack

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/spool"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden holds data against a file of testdata.
func golden(t *testing.T, name string, data []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, data, want)
	}
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

func day() capture.Window {
	return capture.Window{Start: at("2026-03-02T00:00:00Z"), End: at("2026-03-03T00:00:00Z")}
}

func partOne() Name {
	return Name{Source: "o365-mail", Batch: capture.BatchID(day(), 1), Lane: 7, Part: 1}
}

func anna() capture.Custodian {
	return capture.Custodian{
		Individual: capture.Individual{Identifier: "anna@contoso.example", DisplayName: "Anna Lind"},
		ID:         "7f9d4d4e-0f5a-4b5e-9c55-0a5cbb1f5a01", Lane: 7,
	}
}

func letter(id string) capture.Item {
	return capture.Item{
		GraphID: id, ChangeKey: "CQAAABYAAAD", Kind: capture.Email, Class: "message",
		InternetMessageID: "<" + id + "@contoso.example>", Folder: "Inbox/Projects", FolderID: "AAMkFolder", State: capture.Active,
		Received: at("2026-03-02T10:11:13Z"), Sent: at("2026-03-02T10:11:01Z"), Created: at("2026-03-02T10:10:00Z"),
		Modified: at("2026-03-02T12:00:00Z"), Size: 4096,
	}
}

// A packer makes entries and packages of one test.
type packer struct {
	t     testing.TB
	lease *spool.Lease
}

func newPacker(t testing.TB) packer {
	t.Helper()
	l, err := spool.NewBudget(1<<20, 1<<20, t.TempDir()).Acquire(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Release)
	return packer{t, l}
}

func (p packer) entry(name, content string) *Entry {
	p.t.Helper()
	e, err := Compress(name, strings.NewReader(content), p.lease.New())
	if err != nil {
		p.t.Fatal(err)
	}
	return &e
}

// email is a document without attachments.
func (p packer) email(id string) Document {
	it := letter(id)
	return Document{
		Custodian: anna(), Item: it, Kind: capture.Email, Parent: -1, TextStatus: "Extracted",
		Native: p.entry(NativeName(anna(), it), "Subject: "+id+"\r\n\r\n"+strings.Repeat("body of "+id+"\r\n", 400)),
		Text:   p.entry(TextName(anna(), it, 0), "\uFEFFbody of "+id),
		Fields: Fields{Subject: "About " + id, From: []string{"Anna Lind <anna@contoso.example>"}},
	}
}

func (p packer) attachment(id string, number, parent int, name string) Document {
	it := letter(id)
	return Document{
		Custodian: anna(), Item: it, Kind: capture.Attachment, Parent: parent, FileName: name, TextStatus: "NotSupported",
		Native: p.entry(AttachmentName(anna(), it, number, name), "content of "+name),
	}
}

// family is an email with two attachments, the second of which holds a third.
func (p packer) family(id string) []Document {
	return []Document{
		p.email(id), p.attachment(id, 1, 0, "figures.xlsx"), p.attachment(id, 2, 0, "fwd.eml"), p.attachment(id, 3, 2, "straße/ä.pdf"),
	}
}

// A built package, with what the writer says of it.
type built struct {
	data []byte
	pkg  Package
	rows []ItemRow
}

func (p packer) pack(families ...[]Document) built {
	p.t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, partOne(), "O365", day(), 1)
	for _, f := range families {
		if err := w.Add(f); err != nil {
			p.t.Fatal(err)
		}
	}
	pkg, rows, err := w.Close()
	if err != nil {
		p.t.Fatal(err)
	}
	return built{b.Bytes(), pkg, rows}
}

// wantError holds an error against a part of its text; "" is success.
func wantError(t *testing.T, what string, err error, text string) {
	t.Helper()
	if (text == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), text) {
		t.Errorf("%s = %v, want %q", what, err, text)
	}
}
