package graphtest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"chainmail/handlers/graph/graphtest"
)

const (
	adasMessage     = "/users/id-ada/messages/AAkA-m1"
	adasAttachments = adasMessage + "/attachments?$select=name,contentType,size,isInline,microsoft.graph.fileAttachment/contentId"
	mixedMail       = "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\na < b\r\n" +
		"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: i\r\n\r\nx\r\n" +
		"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n--b--\r\n"
)

// withMixed gives Ada's second message a text and attachments, and never its MIME.
func withMixed(m *graphtest.Message) {
	m.NoMIME, m.MIME, m.Raw = true, nil, []byte(mixedMail)
	m.Attached = []graphtest.Attachment{
		{Kind: graphtest.ReferenceAttachment, Name: "cloud"}, {Kind: graphtest.FileAttachment, Name: "ole", Unopened: true},
		{Kind: graphtest.ItemAttachment, Name: "card", Content: []byte("BEGIN:VCARD")},
	}
}

func TestAMessageWithoutMIMEIsToldByItsParts(t *testing.T) {
	t.Parallel()
	b := newBench(t, withMail(3, withMixed))
	a := b.get(t, adasMessage+"?$select=body", "Prefer", immutable+", outlook.allow-unsafe-html")
	if a.status != 200 || !strings.Contains(string(a.body), `"contentType":"html"`) || !strings.Contains(string(a.body), "a &lt; b") {
		t.Errorf("the body: %d %s", a.status, a.body)
	}
	list := b.get(t, adasAttachments, "Prefer", immutable)
	var rows struct {
		Value []struct {
			Type      string `json:"@odata.type"`
			ID, Name  string
			ContentID *string
		}
	}
	if err := json.Unmarshal(list.body, &rows); err != nil || len(rows.Value) != 5 {
		t.Fatalf("%d attachments, %v: %s", len(rows.Value), err, list.body)
	}
	for i, want := range []string{
		"itemAttachment  200 Subject: i\r\n\r\nx", "fileAttachment a.pdf 200 %PDF", "referenceAttachment cloud 405 ",
		"fileAttachment ole 500 ErrorCannotOpenFileAttachment", "itemAttachment card 200 BEGIN:VCARD",
	} {
		row := rows.Value[i]
		a := b.get(t, adasMessage+"/attachments/"+row.ID+"/$value")
		got := fmt.Sprint(strings.TrimPrefix(row.Type, "#microsoft.graph."), " ", row.Name, " ", a.status, " ")
		switch {
		case a.status == 200:
			got += string(a.body)
		case a.status == 500:
			got += a.code()
		}
		if got != want {
			t.Errorf("attachment %d: %q, want %q", i, got, want)
		}
	}
	if a := b.get(t, adasMessage+"/attachments/nobody/$value"); a.status != 404 {
		t.Errorf("an unknown attachment: %d", a.status)
	}
	b.broken(t, "")
}

func TestABodyIsMadeSafeUnlessItIsAskedForAsItIs(t *testing.T) {
	t.Parallel()
	b := newBench(t, withMail(3, func(m *graphtest.Message) {
		m.MIME = func(uint64) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("Content-Type: text/html\r\n\r\n<p>a</p><script>b</script>")), nil
		}
	}))
	for prefer, want := range map[string]bool{immutable: false, "outlook.allow-unsafe-html": true} {
		if a := b.get(t, adasMessage+"?$select=body", "Prefer", prefer); strings.Contains(string(a.body), "script") != want {
			t.Errorf("%s: %s", prefer, a.body)
		}
	}
}

func TestAttachmentsAreNotListedWithTheirContents(t *testing.T) {
	t.Parallel()
	for query, rule := range map[string]string{
		"": "contents", "?$select=contentId": "$select", "?$expand=item&$select=name": "query option",
	} {
		b := newBench(t, withMail(3, withMixed))
		if a := b.get(t, adasMessage+"/attachments"+query); a.status != 400 {
			t.Errorf("%q: %d, want a refusal", query, a.status)
		}
		b.broken(t, rule)
	}
}
