package collect

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
	"chainmail/handlers/settings"
	"chainmail/handlers/spool"
)

const sampleMail = "From: =?utf-8?Q?Anna_M=C3=BCller?= <anna@contoso.example>\r\n" +
	"Sender: Desk <desk@contoso.example>\r\n" +
	"To: Bo <bo@contoso.example>, BO@contoso.example\r\n" +
	"Cc: carl@fabrikam.example\r\n" +
	"Subject: RE: Terms\r\n" +
	"Date: Mon, 02 Mar 2026 10:15:00 +0100\r\n" +
	"Message-ID: <CALckR-a8UDkRjO4xJyjd_s0GPxQWw@mail.gmail.com>\r\n" +
	"Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nAgreed. \xE2\x9C\x93\r\n" +
	"--b\r\nContent-Type: application/pdf; name=terms.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n" +
	"--b--\r\n"

// packed puts a mail through family and the package's writer, and gives the package's files by name and its rows.
func packed(t *testing.T, source settings.Source, mail string) ([]pack.Document, map[string]string, []pack.ItemRow) {
	t.Helper()
	lease, err := spool.NewBudget(8<<20, 8<<20, t.TempDir()).Acquire(context.Background(), int64(len(mail)))
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	native := lease.New()
	if _, err := io.WriteString(native, mail); err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	window := capture.Window{Start: start, End: start.Add(24 * time.Hour)}
	custodian := capture.Custodian{Individual: capture.Individual{Identifier: "bo@contoso.example"}, ID: "0d0f1c52-0000-4000-8000-000000000001"}
	item := capture.Item{GraphID: "AAMk=", Kind: capture.Email, Folder: "Inbox", State: capture.Active, Received: start.Add(9 * time.Hour)}
	r := &run{Collector: &Collector{Texts: texts}, log: slog.New(slog.DiscardHandler), source: source}
	family, err := r.family(t.Context(), lease, custodian, item, native)
	if err != nil {
		t.Fatalf("family() = %v, want no error", err)
	}
	var out bytes.Buffer
	name := pack.Name{Source: "mail", Batch: capture.BatchID(window, 1), Lane: 0, Part: 1}
	w := pack.NewWriter(&out, name, "TEST", window, 1)
	if err := w.Add(family); err != nil {
		t.Fatalf("Add() = %v, want no error", err)
	}
	_, rows, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return family, unzipped(t, out.Bytes()), rows
}

func unzipped(t *testing.T, data []byte) map[string]string {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range r.File {
		body, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(content)
	}
	return files
}

func TestAnEmailIsPackedWithItsText(t *testing.T) {
	t.Parallel()
	family, files, _ := packed(t, settings.Source{}, sampleMail)
	d := family[0]
	if got := files[d.Native.Name]; got != sampleMail {
		t.Errorf("the native has %d bytes, want the mail's %d unchanged", len(got), len(sampleMail))
	}
	want := "\uFEFFFrom: Anna Müller <anna@contoso.example>\r\n" +
		"To: Bo <bo@contoso.example>; BO@contoso.example\r\nCc: carl@fabrikam.example\r\nSubject: RE: Terms\r\n" +
		"Sent: 2026-03-02 09:15:00 UTC\r\nAttachments: terms.pdf\r\n\r\nAgreed. ✓\r\n"
	if got := files[d.Text.Name]; got != want {
		t.Errorf("the text is %q, want %q", got, want)
	}
	if d.TextStatus != "Extracted" || d.Parent != -1 {
		t.Errorf("text status and parent = %q, %d, want Extracted, -1", d.TextStatus, d.Parent)
	}
	f := d.Fields
	if got, want := f.Participants, []string{"Anna Müller <anna@contoso.example>", "Desk <desk@contoso.example>"}; !slices.Equal(got, want) {
		t.Errorf("Participants = %q, want %q", got, want)
	}
	if f.Recipients != 2 || f.Action != "Reply-All" || f.MIH != "1de319c276884bd0c9e2f1621ada26cc" || len(f.Errors) != 0 {
		t.Errorf("recipients, action, MIH, errors = %d, %q, %q, %q, want 2, Reply-All, the MIH of the Message-ID, none",
			f.Recipients, f.Action, f.MIH, f.Errors)
	}
	if got := files[pack.LoadFileName]; !strings.Contains(got, "þ"+f.DocumentHash+"þ") || !strings.Contains(got, "þterms.pdfþ") {
		t.Error("the load file names neither document hash nor attachment")
	}
}

func TestAMailThatIsNoneIsStillPacked(t *testing.T) {
	t.Parallel()
	garbage := "\x00\xFF\x01--\r\n\r\n=?\xFE"
	family, files, _ := packed(t, settings.Source{}, garbage)
	d := family[0]
	if got := files[d.Native.Name]; got != garbage {
		t.Errorf("the native is %q, want %q", got, garbage)
	}
	if len(d.Fields.Errors) == 0 {
		t.Error("the document has no errors, want those of its reading")
	}
}
