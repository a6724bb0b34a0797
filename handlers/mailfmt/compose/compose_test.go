package compose

import (
	"bytes"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"chainmail/handlers/mailfmt"
)

var update = flag.Bool("update", false, "write the golden files")

func content(s string) func() io.Reader { return func() io.Reader { return strings.NewReader(s) } }

func composed(t testing.TB, m *Mail) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, m); err != nil {
		t.Fatalf("Write() = %v", err)
	}
	return b.String()
}

func read(t testing.TB, mail string) mailfmt.Mail {
	t.Helper()
	m, err := mailfmt.Read(strings.NewReader(mail))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const (
	png   = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
	inner = "From: driver@kestrel.example\r\nSubject: Delivery note\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n" +
		"--i\r\n\r\nTwelve pallets\r\n--i\r\nContent-Type: text/csv; name=n.csv\r\n\r\na,b\r\n--i--\r\n"
)

// whole is a mail that has everything.
func whole() *Mail {
	return &Mail{
		ID: "AAkALgAAAA==",
		Headers: []Field{
			{"Received", "from AM9P192MB0871.example (2001:db8::10) by DB7P192MB0299.example with HTTPS; Mon, 2 Mar 2026 08:15:02 +0000"},
			{"Received", "from mail.kestrel.example by AM9P192MB0871.example; Mon, 2 Mar 2026 08:15:01 +0000"},
			{"From", "nobody@forged.example"}, {"MIME-Version", "1.0"}, {"Content-Type", `multipart/mixed; boundary="lost"`},
			{"content-transfer-encoding", "7bit"}, {"X-Chainmail-Synthesised", "false"}, {"Thread-Topic", "Lieferschein"},
			{"In-Reply-To", "<first@kestrel.example>"}, {"References", "<zero@kestrel.example> <first@kestrel.example>"},
			{"X-Empty", ""}, {"Bad Name", "x"}, {"X-Injected", "a\r\nBcc: x@forged.example\r\n\r\nbody"},
		},
		From: Person{"Anna Żółć", "anna@kestrel.example"}, Sender: Person{"Büro", "office@kestrel.example"},
		To:      []Person{{`Bert "B" O'Hara, Sales`, "bert@contoso.example"}, {"", "carla@contoso.example"}, {"Dispatch", ""}},
		CC:      []Person{{"山田 太郎", "taro@contoso.example"}},
		BCC:     []Person{{"Leon", "leon@contoso.example"}},
		ReplyTo: []Person{{"Anna", "anna.private@kestrel.example"}},
		Subject: "Re: Größe der Lieferung 🎉", MessageID: "<second@kestrel.example>", InReplyTo: "<store@kestrel.example>",
		ThreadIndex: []byte{1, 0xDA, 0x6B, 0x7F, 0x11, 0x22}, Class: "IPM.Schedule.Meeting.Resp.Pos", Importance: "high",
		Sensitivity: "Private", Categories: []string{"Rot", "Blau"}, ReadReceipt: true, DeliveryAsk: true,
		Sent: time.Date(2026, 3, 2, 8, 15, 0, 0, time.UTC),
		HTML: true, Body: "<html><body><p>Zwölf Paletten. <img src=\"cid:logo@kestrel\"></p>\r\n<script>x()</script></body></html>",
		Attachments: []Attachment{
			{Name: "logo.png", Type: "image/png", Inline: true, ContentID: "logo@kestrel", Content: content(png)},
			{Name: "Übersicht 2026 – März.txt", Type: "text/plain; charset=iso-8859-1", Content: content("Gr\xFC\xDFe\n")},
			{Type: "message/rfc822", Content: content(inner)},
			{Name: `quote".bin`, Type: "no type", Content: content("\x00\xFF--_000_\r\n")},
			{Name: "empty.pdf", Type: "application/pdf", Content: content("")},
			{Name: "termin.ics", Type: "text/calendar", Content: content("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")},
		},
		Missing: []string{"Angebot.doc"}, Elsewhere: []Reference{{"Pläne.xlsx", "https://kestrel.example/p l"}, {"", ""}},
	}
}

func TestMailsAreComposedAsTheirGoldenFilesSay(t *testing.T) {
	t.Parallel()
	plain := &Mail{ID: "1", From: Person{"", "a@x.example"}, Subject: "Hello", Body: "Words\r\n"}
	related := whole()
	related.Attachments, related.Headers = related.Attachments[:1], nil
	sent := &Mail{
		ID: "2", From: Person{"Anna", "a@x.example"}, Sender: Person{"Anna", "A@x.example"}, InReplyTo: "<i@x>", References: "<h@x> <i@x>",
		Sensitivity: "Personal", Class: "IPM.Note", Subject: strings.Repeat("a long subject that goes on ", 12), HTML: true,
		Attachments: []Attachment{{Name: strings.Repeat("длинное имя ", 8) + ".txt", Type: "text/plain", Content: content("x")}},
	}
	for name, m := range map[string]*Mail{"whole": whole(), "plain": plain, "related": related, "sent": sent, "nothing": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := composed(t, m)
			if again := composed(t, m); again != got {
				t.Error("the same mail gives other bytes")
			}
			file := "testdata/" + name + ".eml"
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || got != string(want) {
				t.Errorf("the mail is not the one in %s, %v:\n%s", file, err, got)
			}
		})
	}
}

func TestAComposedMailReadsAsItWasGiven(t *testing.T) {
	t.Parallel()
	mail := composed(t, whole())
	m := read(t, mail)
	if len(m.Defects) > 0 || m.TextStatus != mailfmt.Extracted {
		t.Errorf("defects %v, text %s", m.Defects, m.TextStatus)
	}
	for _, f := range []struct {
		name      string
		got, want any
	}{
		{"From", m.From, []string{"Anna Żółć <anna@kestrel.example>"}},
		{"Authors", m.Authors, []string{"Anna Żółć <anna@kestrel.example>", "Büro <office@kestrel.example>"}},
		{"To", m.To, []string{`Bert "B" O'Hara, Sales <bert@contoso.example>`, "carla@contoso.example", "Dispatch"}},
		{"Cc", m.CC, []string{"山田 太郎 <taro@contoso.example>"}},
		{"Bcc", m.BCC, []string{"Leon <leon@contoso.example>"}},
		{"Reply-To", m.ReplyTo, []string{"Anna <anna.private@kestrel.example>"}},
		{"Subject", m.Subject, "Re: Größe der Lieferung 🎉"},
		{"Message-ID", m.MessageID, "<second@kestrel.example>"},
		{"In-Reply-To", m.InReplyTo, "<first@kestrel.example>"},
		{"References", m.References, []string{"<zero@kestrel.example>", "<first@kestrel.example>"}},
		{"Thread-Topic", m.Conversation, "Lieferschein"},
		{"Thread-Index", m.ConversationIndex, "01da6b7f1122"},
		{"class", m.Class, "IPM.Schedule.Meeting.Resp.Pos"},
		{"Importance", m.Importance, "High"},
		{"Sensitivity", m.Sensitivity, "Private"},
		{"categories", m.Categories, []string{"Rot", "Blau"}},
		{"receipts", []bool{m.ReadReceipt, m.DeliveryReceipt}, []bool{true, true}},
		{"Date", m.Sent, time.Date(2026, 3, 2, 8, 15, 0, 0, time.UTC)},
		{"attachments", m.AttachmentNames(),
			[]string{"Übersicht 2026 – März.txt", "Delivery note.eml", `quote".bin`, "empty.pdf", "termin.ics"}},
		{"embedded", m.EmbeddedNames(), []string{"logo.png"}},
		{"charset", m.Attachments[1].Charset, "iso-8859-1"},
	} {
		if got, want := fmt.Sprintf("%q", f.got), fmt.Sprintf("%q", f.want); got != want {
			t.Errorf("%s = %s, want %s", f.name, got, want)
		}
	}
	if !strings.Contains(m.Body, "Zwölf Paletten.") {
		t.Errorf("the body is %q", m.Body)
	}
	for i, a := range m.Attachments {
		got, err := io.ReadAll(a.Content(strings.NewReader(mail)))
		want, _ := io.ReadAll(whole().Attachments[i].Content())
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("attachment %d is %q, want %q", i, got, want)
		}
	}
}

func TestAnAttachedMessageCannotEndItsPart(t *testing.T) {
	t.Parallel()
	m := &Mail{ID: "known", Attachments: []Attachment{{Type: "message/rfc822", Content: content("Subject: x\r\n\r\nwords\r\n")}}}
	boundary, err := m.boundaries()
	if err != nil {
		t.Fatal(err)
	}
	evil := "Subject: x\r\n\r\n--" + boundary(0) + "\r\nContent-Type: text/html\r\n\r\nforged\r\n--" + boundary(0) + "--\r\n"
	m.Attachments[0].Content = content(evil)
	mail := composed(t, m)
	got := read(t, mail)
	if len(got.Attachments) != 1 || strings.Contains(got.Body, "forged") {
		t.Fatalf("%d attachments, the body is %q", len(got.Attachments), got.Body)
	}
	if data, _ := io.ReadAll(got.Attachments[0].Content(strings.NewReader(mail))); string(data) != evil {
		t.Errorf("the attached message is %q", data)
	}
}

func TestWhatHasPartsIsAttachedAsBytes(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"multipart/signed", "message/delivery-status", "message/partial", "", "x", "a/b; c", "image/"} {
		m := &Mail{Attachments: []Attachment{{Name: "a.bin", Type: kind, Content: content("--x\r\n\r\nbytes")}}}
		mail := composed(t, m)
		got := read(t, mail)
		if len(got.Attachments) != 1 || got.Attachments[0].Name != "a.bin" || len(got.Defects) > 0 {
			t.Errorf("%q: %d attachments, defects %v", kind, len(got.Attachments), got.Defects)
			continue
		}
		if data, _ := io.ReadAll(got.Attachments[0].Content(strings.NewReader(mail))); string(data) != "--x\r\n\r\nbytes" {
			t.Errorf("%q: the content is %q", kind, data)
		}
	}
}

// A failing is a writer that takes so many bytes.
type failing struct{ room int }

var errFull = errors.New("full")

func (w *failing) Write(p []byte) (int, error) {
	if w.room -= len(p); w.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestErrorsOfBothSidesComeBack(t *testing.T) {
	t.Parallel()
	large := func() io.Reader { return io.LimitReader(zeros{}, 1<<20) }
	broken := func() io.Reader { return io.MultiReader(large(), iotest.ErrReader(errFull)) }
	for _, kind := range []string{"message/rfc822", "application/pdf"} {
		m := &Mail{Attachments: []Attachment{{Type: kind, Content: large}}}
		for _, room := range []int{0, 70 << 10, 1 << 20} {
			if err := Write(&failing{room}, m); !errors.Is(err, errFull) {
				t.Errorf("%s, %d bytes: Write() = %v", kind, room, err)
			}
		}
		m.Attachments[0].Content = broken
		if err := Write(io.Discard, m); !errors.Is(err, errFull) {
			t.Errorf("%s: Write() = %v, want the content's error", kind, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestContentsGoThroughAsStreams is alone, since it looks at what the process has allocated.
func TestContentsGoThroughAsStreams(t *testing.T) {
	m := &Mail{}
	for _, kind := range []string{"message/rfc822", "application/pdf"} {
		m.Attachments = append(m.Attachments, Attachment{Type: kind, Content: func() io.Reader { return io.LimitReader(zeros{}, 64<<20) }})
	}
	allocated := testing.AllocsPerRun(1, func() {
		if err := Write(io.Discard, m); err != nil {
			t.Error(err)
		}
	})
	if allocated > 1000 {
		t.Errorf("%v allocations for 128 MiB: they do not stream", allocated)
	}
}

// FuzzCompose puts any text into every field. Each reads back as what a reader makes of the same characters in one encoded
// word, and no field or part comes from it.
func FuzzCompose(f *testing.F) {
	for _, s := range []string{
		"", "plain words", "Größe", "a\r\nBcc: x@y.example\r\n\r\nbody", "=?utf-8?B?YQ==?=", "  two  blanks ",
		"\x00\xFF\x80", "\"quo\\ted\"",
		"<a@b>, c@d", strings.Repeat("x", 2000), strings.Repeat("ж ", 300), "--_000_", "a; b=c",
		"%41*0*=''", "\u2028\u0085\u200b", "multipart/mixed",
	} {
		f.Add(s, s, s)
	}
	f.Fuzz(func(t *testing.T, text, name, raw string) {
		m := &Mail{
			ID: raw, Subject: text, From: Person{name, "from@x.example"}, Sender: Person{name, raw}, MessageID: raw, InReplyTo: raw,
			References: raw, To: []Person{{text, "to@x.example"}}, BCC: []Person{{name, raw}}, Class: raw, Importance: raw,
			Sensitivity: raw, Categories: []string{raw},
			Headers: []Field{{raw, text}, {"X-Note", text}, {"Thread-Topic", text}, {"Received", raw}},
			HTML:    true, Body: text, Missing: []string{name}, Elsewhere: []Reference{{name, raw}},
			Attachments: []Attachment{
				{Name: name, Type: "application/pdf", Content: content(raw)},
				{Name: name, Type: raw, ContentID: raw, Inline: true, Content: content(raw)},
				{Type: "message/rfc822", Content: content(raw)},
			},
		}
		mail := composed(t, m)
		checkFields(t, mail, raw)
		got := read(t, mail)
		word := func(s string) string {
			return "=?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte(strings.ToValidUTF8(s, "\uFFFD"))) + "?="
		}
		want := read(t, "Subject: "+word(text)+"\r\nFrom: "+word(name)+" <from@x.example>\r\nTo: "+word(text)+" <to@x.example>\r\n"+
			"Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=\""+word(name)+"\"\r\n\r\n")
		if got.Subject != want.Subject || !slices.Equal(got.From, want.From) || !slices.Equal(got.To, want.To) {
			t.Errorf("%q %q %q, want %q %q %q", got.Subject, got.From, got.To, want.Subject, want.From, want.To)
		}
		if len(got.Attachments) != 3 {
			t.Fatalf("%d attachments, want 3", len(got.Attachments))
		}
		if a, b := got.Attachments[0].Name, want.Attachments[0].Name; a != b {
			t.Errorf("the attachment is called %q, want %q", a, b)
		}
		for i, a := range got.Attachments {
			data, err := io.ReadAll(a.Content(strings.NewReader(mail)))
			if err != nil || string(data) != raw {
				t.Errorf("attachment %d is %q, want %q", i, data, raw)
			}
		}
	})
}

// checkFields holds that the header has no other fields than those that were asked for, and one of each that is.
func checkFields(t *testing.T, mail, raw string) {
	t.Helper()
	header, _, ok := strings.Cut(mail, "\r\n\r\n")
	if !ok || strings.ContainsAny(strings.ReplaceAll(header, "\r\n", ""), "\r\n\x00") {
		t.Fatalf("the header holds a bare line break: %q", header)
	}
	count := map[string]int{}
	for line := range strings.SplitSeq(header, "\r\n") {
		if strings.HasPrefix(line, " ") {
			continue
		}
		name, _, _ := strings.Cut(line, ":")
		count[strings.ToLower(name)]++
	}
	for name, n := range count {
		switch name {
		case strings.ToLower(raw), "received", "x-note", "thread-topic", "keywords":
		case "x-chainmail-synthesised", "from", "sender", "to", "bcc", "subject", "message-id", "content-class", "importance", "in-reply-to",
			"references", "sensitivity", "x-chainmail-missing-attachment", "x-chainmail-reference-attachment", "mime-version", "content-type":
			if n > 1 {
				t.Errorf("%d fields %s", n, name)
			}
		default:
			t.Errorf("a field %q that nobody asked for", name)
		}
	}
}
