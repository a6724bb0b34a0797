package graph

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/graph/graphtest"
)

const storedMail = "Received: from a.example\r\n by b.example; Mon, 2 Mar 2026 08:00:00 +0000\r\nFrom: Anna <anna@x.example>\r\n" +
	"To: Bert <bert@x.example>\r\nSubject: x\r\nMessage-ID: <m@x>\r\nIn-Reply-To: <i@x>\r\nReferences: <h@x> <i@x>\r\n" +
	"Thread-Index: AdprfxEi\r\nImportance: high\r\nSensitivity: Private\r\nReply-To: Carla <c@x.example>\r\nKeywords: Rot, Blau\r\n" +
	"Disposition-Notification-To: anna@x.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
	"<style>p{}</style>Gr=FC=DFe<script>x()</script>\r\n" +
	"--b\r\nContent-Type: image/png; name=logo.png\r\nContent-ID: <logo@x>\r\nContent-Disposition: inline\r\n" +
	"Content-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n" +
	"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nwords\r\n" +
	"--b\r\nContent-Type: text/plain; charset=iso-8859-1; name=a.txt\r\nContent-Disposition: attachment\r\n\r\nGr\xFC\xDFe\r\n--b--\r\n"

// storedMessage is a message with everything that JSON tells of it, and attachments of every kind.
func storedMessage() *graphtest.Message {
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	anna := graphtest.Address{Name: "Anna", Address: "anna@x.example"}
	return &graphtest.Message{
		ImmutableID: "AAkALg+/=", MutableID: "AAMk1", ChangeKey: "CQ1", Received: at.Add(time.Minute), Sent: at, InternetMessageID: "<m@x>",
		Subject: "Größe", From: anna, Sender: graphtest.Address{Name: "Büro", Address: "office@x.example"},
		To: []graphtest.Address{{Name: "Bert", Address: "bert@x.example"}}, Cc: []graphtest.Address{{Address: "cc@x.example"}},
		Bcc: []graphtest.Address{{Name: "Leon", Address: "leon@x.example"}}, NoMIME: true, Raw: []byte(storedMail),
		Attached: []graphtest.Attachment{
			{Kind: graphtest.ItemAttachment, Name: "Meeting", Content: []byte("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")},
			{Kind: graphtest.ReferenceAttachment, Name: "Plan.xlsx", ContentType: "application/x", URL: "https://x.example/plan"},
			{Kind: graphtest.FileAttachment, Name: "old.ole", Unopened: true},
			{Kind: graphtest.FileAttachment, Name: "empty.txt", ContentType: "text/plain"},
		},
	}
}

// storeBench is a client of a stand-in with one mailbox, which holds that message.
func storeBench(t *testing.T, m *graphtest.Message) (*graphtest.Server, *bench) {
	t.Helper()
	s := graphtest.NewServer(&graphtest.Tenant{ID: "t", Domain: "x.example", Users: []*graphtest.User{{
		ID: "u1", UserPrincipalName: "bert@x.example", Licensed: true, Mailbox: &graphtest.Mailbox{Root: &graphtest.Folder{
			ID: "root", WellKnown: "root", Children: []*graphtest.Folder{{ID: "top", WellKnown: "msgfolderroot", Children: []*graphtest.Folder{
				{ID: "in", WellKnown: "inbox", Messages: []*graphtest.Message{m}},
			}}},
		}},
	}}}, graphtest.Options{Anonymous: true})
	b := newBench(t, s)
	t.Cleanup(func() {
		if v := s.Violations(); len(v) > 0 {
			t.Errorf("rules of Graph's were broken: %q", v)
		}
	})
	return s, b
}

func TestAMessageIsToldWithoutItsMIME(t *testing.T) {
	t.Parallel()
	m := storedMessage()
	_, b := storeBench(t, m)
	got, err := b.client.Message(t.Context(), "u1", m.ImmutableID)
	if err != nil {
		t.Fatal(err)
	}
	headers := got.Headers
	got.Headers = nil
	want := Message{
		Subject: "Größe", From: Person{"Anna", "anna@x.example"}, Sender: Person{"Büro", "office@x.example"},
		To: []Person{{"Bert", "bert@x.example"}}, CC: []Person{{"", "cc@x.example"}}, BCC: []Person{{"Leon", "leon@x.example"}},
		ReplyTo: []Person{{"Carla", "c@x.example"}}, MessageID: "<m@x>", InReplyTo: "<i@x>", References: "<h@x> <i@x>",
		ConversationIndex: []byte{1, 0xDA, 0x6B, 0x7F, 0x11, 0x22}, Class: "IPM.Note", Sent: m.Sent, Received: m.Received,
		Importance: "high", Sensitivity: "Private", Categories: []string{"Rot", "Blau"}, ReadReceipt: true,
		HTML: true, Body: "<style>p{}</style>Grüße<script>x()</script>", // unsafe as it is
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Message() = %+v\nwant %+v", got, want)
	}
	if len(headers) != 15 || headers[0].Name != "Received" || !strings.HasSuffix(headers[0].Value, "08:00:00 +0000") {
		t.Errorf("%d headers, the first %v", len(headers), headers[:1])
	}
}

func TestAMessageThatWasSentHasNoHeaders(t *testing.T) {
	t.Parallel()
	m := storedMessage()
	_, rest, _ := strings.Cut(storedMail, "+0000\r\n")
	m.Raw, m.Type = []byte(rest), "eventMessageRequest"
	_, b := storeBench(t, m)
	got, err := b.client.Message(t.Context(), "u1", m.ImmutableID)
	if err != nil || got.Headers != nil || got.InReplyTo != "<i@x>" || got.References != "<h@x> <i@x>" ||
		got.Class != "IPM.Schedule.Meeting.Request" {
		t.Errorf("Message() = %v, %v, %q, %q, %q", err, got.Headers, got.InReplyTo, got.References, got.Class)
	}
}

func TestAttachmentsAreListedWithoutTheirContents(t *testing.T) {
	t.Parallel()
	m := storedMessage()
	for range 20 { // more than a page
		m.Attached = append(m.Attached, graphtest.Attachment{Kind: graphtest.FileAttachment, Name: "more.bin", Content: []byte("x")})
	}
	s, b := storeBench(t, m)
	all, err := b.client.Attachments(t.Context(), "u1", m.ImmutableID)
	if err != nil || len(all) != 27 {
		t.Fatalf("Attachments() = %d, %v, want 27", len(all), err)
	}
	for i := range all {
		if all[i].ID == "" || all[i].Size == 0 && i < 3 {
			t.Errorf("attachment %d is %+v", i, all[i])
		}
		all[i].ID, all[i].Size = "", 0
	}
	want := []Attachment{
		{Name: "logo.png", Type: "image/png", Inline: true, ContentID: "logo@x"},
		{Kind: ItemAttachment},
		{Name: "a.txt", Type: "text/plain"},
		{Kind: ItemAttachment, Name: "Meeting"},
		{Kind: ReferenceAttachment, Name: "Plan.xlsx", Type: "application/x", URL: "https://x.example/plan"},
		{Name: "old.ole"},
		{Name: "empty.txt", Type: "text/plain"},
	}
	if !slices.Equal(all[:7], want) {
		t.Errorf("Attachments() = %+v\nwant %+v", all[:7], want)
	}
	if n := s.Requests()["GET /users/{id}/messages/{id}/attachments"]; n != 3 {
		t.Errorf("%d pages, want 3", n)
	}
}

func TestAnAttachmentStreamsAsItIs(t *testing.T) {
	t.Parallel()
	m := storedMessage()
	s, b := storeBench(t, m)
	all, err := b.client.Attachments(t.Context(), "u1", m.ImmutableID)
	if err != nil {
		t.Fatal(err)
	}
	s.Fault(func(r graphtest.Request) bool { return r.Attachment == all[0].ID }, 1, graphtest.Fault{CutAfter: 3})
	for i, want := range []string{
		"\x89PNG\r\n\x1a\n", "Subject: inner\r\n\r\nwords", "Gr\xFC\xDFe", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "", "", "",
	} {
		var dst memory
		n, err := b.client.Attachment(t.Context(), "u1", m.ImmutableID, all[i].ID, &dst)
		switch {
		case i == 4 && MeaningOf(err) != Bad, i == 5 && CodeOf(err) != "ErrorCannotOpenFileAttachment", i == 5 && MeaningOf(err) != BadItem:
			t.Errorf("attachment %d: %v", i, err)
		case i == 4, i == 5:
		case err != nil || dst.String() != want || n != int64(len(want)):
			t.Errorf("attachment %d: %q, %d, %v, want %q", i, dst.String(), n, err, want)
		}
		if i == 0 && dst.resets != 1 {
			t.Errorf("%d resets after a cut, want 1", dst.resets)
		}
	}
}

func TestPartsOfAMessageThatCannotBeHadHaveTheirMeaning(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault graphtest.Fault
		want  Meaning
	}{
		{graphtest.Fault{Status: 404, Code: "ErrorItemNotFound"}, NotFound},
		{graphtest.Fault{Status: 500, Code: "ErrorContentConversionFailed"}, BadItem},
		{graphtest.Fault{Status: 503, Code: "ErrorMailboxStoreUnavailable"}, Transient},
		{graphtest.Fault{Status: 429, Code: "ApplicationThrottled", RetryAfter: "3600"}, Throttled},
		{graphtest.Fault{Status: 200, Body: []byte("{}")}, Broken},
		{graphtest.Fault{Status: http.StatusOK, Body: []byte(`{"id":"x","toRecipients":7,"value":{"id":1}}`)}, Broken},
	} {
		m := storedMessage()
		s, b := storeBench(t, m)
		s.Fault(func(graphtest.Request) bool { return true }, 0, tt.fault)
		_, err := b.client.Message(t.Context(), "u1", m.ImmutableID)
		if MeaningOf(err) != tt.want {
			t.Errorf("%+v: Message() = %v, want %s", tt.fault, err, tt.want)
		}
		if _, err := b.client.Attachments(t.Context(), "u1", m.ImmutableID); MeaningOf(err) != tt.want {
			t.Errorf("%+v: Attachments() = %v, want %s", tt.fault, err, tt.want)
		}
	}
}
