package collect

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/mailfmt"
	"chainmail/handlers/pack"
	"chainmail/handlers/spool"
)

const (
	message     = "GET /users/{id}/messages/{id}"
	attachments = "GET /users/{id}/messages/{id}/attachments"
	attachment  = "GET /users/{id}/messages/{id}/attachments/{id}/$value"
)

// withoutMIME is a mail of the user's whose MIME Graph never gives, with attachments of every sort.
func withoutMIME(u *graphtest.User, n int) *graphtest.Message {
	m := mail(u, n)
	m.NoMIME, m.HasAttachments = true, true
	m.Bcc = []graphtest.Address{{Name: "Leon", Address: "leon@contoso.example"}}
	encoded := base64.StdEncoding.EncodeToString
	m.Raw = []byte("Received: from a.example by b.example; Mon, 2 Mar 2026 08:00:00 +0000\r\nIn-Reply-To: <before@contoso.example>\r\n" +
		"References: <first@contoso.example> <before@contoso.example>\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n" +
		mimePart("o", "Content-Type: text/html; charset=iso-8859-1",
			"<style>p {}</style><p>Gr\xFC\xDFe von "+canaryText+` <img src="cid:logo@x"></p>`) +
		mimePart("o", "Content-Type: image/png; name=logo.png\r\nContent-ID: <logo@x>\r\nContent-Disposition: inline\r\n"+
			"Content-Transfer-Encoding: base64", encoded([]byte(png))) +
		mimePart("o", "Content-Type: text/plain; name=notes.txt; charset=utf-8", "Notes") +
		mimePart("o", "Content-Type: message/rfc822", innerMail) + "--o--\r\n")
	m.Attached = []graphtest.Attachment{
		{Kind: graphtest.ItemAttachment, Name: "Standup", Content: []byte("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")},
		{Kind: graphtest.ItemAttachment, Name: "Bert", Content: []byte("BEGIN:VCARD\r\nEND:VCARD\r\n")},
		{Kind: graphtest.ReferenceAttachment, Name: "plan.xlsx", URL: "https://contoso.example/plan"},
		{Kind: graphtest.FileAttachment, Name: "old.ole", Unopened: true},
		{Kind: graphtest.FileAttachment, Name: "empty.txt", ContentType: "text/plain"},
	}
	return m
}

// records are the load file's records of the package, and its entries.
func (e *evidence) records(t *testing.T) (records []map[string]string, files map[string]string) {
	t.Helper()
	files = map[string]string{}
	for name, data := range e.files {
		if !strings.HasSuffix(name, ".zip") {
			continue
		}
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		must(t, err)
		for _, f := range z.File {
			r, err := f.Open()
			must(t, err)
			content, err := io.ReadAll(r)
			must(t, err)
			files[f.Name] = string(content)
		}
		load, err := pack.NewLoadFileReader(strings.NewReader(files[pack.LoadFileName]))
		must(t, err)
		for values, err := load.Next(); !errors.Is(err, io.EOF); values, err = load.Next() {
			must(t, err)
			record := map[string]string{}
			for i, column := range pack.Columns() {
				record[column] = values[i]
			}
			records = append(records, record)
		}
	}
	return records, files
}

func TestAnItemWithoutMIMEIsSynthesised(t *testing.T) {
	t.Parallel()
	tenant := newTenant(1)
	u := tenant.Users[0]
	m := withoutMIME(u, 5)
	u.Folder("Inbox").Messages = append(put(u, "Inbox", 1, 2), m)
	w := newWorld(t, tenant, map[string]any{"extractAttachments": true})
	w.batch(w.custodians()...)
	w.settle(w.collector(nil), pause)
	e := w.read()
	w.checkOwed(e, capture.Completed, nil)
	if e.manifest.Totals.Synthesised != 1 {
		t.Errorf("%d natives are synthesised, want 1", e.manifest.Totals.Synthesised)
	}
	records, files := e.records(t)
	at := slices.IndexFunc(records, func(r map[string]string) bool { return strings.Contains(r["Other Metadata"], "Synthesised") })
	if at < 0 {
		t.Fatal("no record says that it is synthesised")
	}
	top := records[at]
	for column, want := range map[string]string{
		"Trace Error Details": "ErrorMimeContentConversionFailed;AttachmentMissing", "Subject": m.Subject, "Message ID": m.InternetMessageID,
		"Email In Reply To ID": "<before@contoso.example>", "BCC": "Leon <leon@contoso.example>", "Number of Attachments": "7",
		"Attachment List": "notes.txt;Inner.eml;Standup.ics;Bert.vcf;empty.txt;old.ole;plan.xlsx", "Sent Date/Time": "2026-03-02 00:05:00",
	} {
		if top[column] != want {
			t.Errorf("%s = %q, want %q", column, top[column], want)
		}
	}
	var other []pack.KeyValue
	must(t, json.Unmarshal([]byte(top["Other Metadata"]), &other))
	for _, want := range []pack.KeyValue{
		{Key: "Synthesised", Value: "true"}, {Key: "Embedded Files", Value: "logo.png"},
		{Key: "Reference Attachments", Value: "plan.xlsx <https://contoso.example/plan>"},
	} {
		if !slices.Contains(other, want) {
			t.Errorf("Other Metadata %v has no %v", other, want)
		}
	}
	if text := files[strings.ReplaceAll(top["Extracted Text"], `\`, "/")]; !strings.Contains(text, "Grüße von "+canaryText) {
		t.Errorf("the text is %q", text)
	}
	checkMembers(t, records[at+1:], files)
	native := files[strings.ReplaceAll(top["Native File"], `\`, "/")]
	got, err := mailfmt.Read(strings.NewReader(native))
	must(t, err)
	if got.Subject != m.Subject || len(got.Defects) > 0 || len(got.References) != 2 ||
		!strings.Contains(native, "X-Chainmail-Missing-Attachment: old.ole\r\n") ||
		!strings.Contains(native, "X-Chainmail-Reference-Attachment: plan.xlsx <https://contoso.example/plan>\r\n") {
		t.Errorf("the native reads as %q with defects %v, references %v:\n%s", got.Subject, got.Defects, got.References, native)
	}
}

// checkMembers holds what is attached to the synthesised mail against what the store has.
func checkMembers(t *testing.T, records []map[string]string, files map[string]string) {
	t.Helper()
	want := map[string]string{
		"notes.txt": "Notes", "Inner.eml": innerMail, "Standup.ics": "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
		"Bert.vcf": "BEGIN:VCARD\r\nEND:VCARD\r\n", "empty.txt": "",
	}
	for _, r := range records {
		if r["Message Class"] != "Attach" {
			break
		}
		content, ok := want[r["File Name"]]
		if ok && files[strings.ReplaceAll(r["Native File"], `\`, "/")] != content {
			t.Errorf("%s is not what is attached", r["File Name"])
		}
		delete(want, r["File Name"])
		if strings.Contains(r["Other Metadata"], "Synthesised") {
			t.Errorf("%s is said to be synthesised", r["File Name"])
		}
	}
	for name := range want {
		t.Errorf("%s is no document", name)
	}
}

// one is a world with one mail without MIME, and one with.
func one(t *testing.T) (*world, *graphtest.Message) {
	t.Helper()
	tenant := newTenant(1)
	u := tenant.Users[0]
	m := withoutMIME(u, 5)
	u.Folder("Inbox").Messages = append(put(u, "Inbox", 1, 1), m)
	w := newWorld(t, tenant, map[string]any{"extractAttachments": true})
	w.batch(w.custodians()...)
	return w, m
}

func (w *world) detail(e *evidence, column string) string {
	w.Helper()
	records, _ := e.records(w.T)
	for _, r := range records {
		if strings.Contains(r["Other Metadata"], "Synthesised") {
			return r[column]
		}
	}
	return "no record is synthesised"
}

// TestEveryFaultOfAnItemsMIMELeadsToJSON has the MIME fail in each way that is the item's own.
func TestEveryFaultOfAnItemsMIMELeadsToJSON(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault graphtest.Fault
		code  string
	}{
		{graphtest.Fault{Status: 500, Code: "ErrorInternalServerError"}, "ErrorInternalServerError"},
		{graphtest.Fault{Status: 403, Code: "ErrorAccessDenied"}, "ErrorAccessDenied"},
		{graphtest.Fault{Status: 400, Code: "ErrorInvalidIdMalformed"}, "ErrorInvalidIdMalformed"},
		{graphtest.Fault{Status: 404, Empty: true}, "transient"},
		{graphtest.Fault{Empty: true}, "EmptyAnswer"},
		{graphtest.Fault{CutAfter: 20}, "CutAnswer"},
	} {
		t.Run(tt.code, func(t *testing.T) {
			t.Parallel()
			w, m := one(t)
			w.graph.Mutate(func(*graphtest.Tenant) { m.NoMIME, m.Attached = false, nil })
			w.graph.Fault(func(r graphtest.Request) bool { return r.Path == value && r.Item == m.ImmutableID }, 0, tt.fault)
			w.settle(w.collector(nil), pause)
			e := w.read()
			w.checkOwed(e, capture.Completed, nil)
			if got := w.detail(e, "Trace Error Details"); got != tt.code {
				t.Errorf("Trace Error Details = %q, want %s", got, tt.code)
			}
		})
	}
}

// TestFaultsWhileAnItemIsSynthesised has what is asked for in the MIME's stead fail.
func TestFaultsWhileAnItemIsSynthesised(t *testing.T) {
	t.Parallel()
	const refusal = "ErrorMimeContentConversionFailed"
	both := refusal + ";" + codeMissing
	for _, tt := range []struct {
		name, path string
		fault      graphtest.Fault
		times      int
		excepted   string // the code; empty: it is synthesised
		details    string
		waits      bool // the mailbox as a whole
	}{
		{"the message is corrupt", message, graphtest.Fault{Status: 500, Code: "ErrorContentConversionFailed"}, 0, refusal, "", false},
		{"the message is refused", message, graphtest.Fault{Status: 403, Code: "ErrorAccessDenied"}, 0, refusal, "", false},
		{"the message is gone", message, graphtest.Fault{Status: 404, Code: "ErrorItemNotFound"}, 0, codeVanished, "", false},
		{"the message is late", message, graphtest.Fault{Status: 503, Empty: true}, 2, "", both, false},
		{"the message is cut", message, graphtest.Fault{CutAfter: 30}, 1, "", both, false},
		{"the message is throttled", message, graphtest.Fault{Status: 429, RetryAfter: "600"}, 1, "", both, true},
		{"the list is corrupt", attachments, graphtest.Fault{Status: 500, Code: "ErrorContentConversionFailed"}, 0, refusal, "", false},
		{"the list is gone", attachments, graphtest.Fault{Status: 404, Code: "ErrorItemNotFound"}, 0, codeVanished, "", false},
		{"an attachment is throttled", attachment, graphtest.Fault{Status: 429, RetryAfter: "600"}, 1, "", both, true},
		{"an attachment is cut", attachment, graphtest.Fault{CutAfter: 3}, 1, "", both, false},
		{"attachments are gone", attachment, graphtest.Fault{Status: 404, Code: "ErrorItemNotFound"}, 0, "", both, false},
		{"attachments are refused", attachment, graphtest.Fault{Status: 500, Code: "ErrorInternalServerError"}, 0, "", both, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, m := one(t)
			w.graph.Fault(func(r graphtest.Request) bool { return r.Path == tt.path && r.Item == m.ImmutableID }, tt.times, tt.fault)
			w.settle(w.collector(nil), pause)
			e := w.read()
			status, codes := capture.Completed, map[string]string(nil)
			if tt.excepted != "" {
				status, codes = capture.CompletedWithDocumentLevelErrors, map[string]string{m.ImmutableID: tt.excepted}
			}
			w.checkOwed(e, status, codes)
			if tt.excepted != "" {
				return
			}
			if got := w.detail(e, "Trace Error Details"); got != tt.details {
				t.Errorf("Trace Error Details = %q, want %q", got, tt.details)
			}
			if n := w.graph.Fetches(w.tenant.Users[0].ID, m.ImmutableID); (n > 2) != tt.waits { // the refusal is asked for twice
				t.Errorf("the MIME was asked for %d times", n)
			}
		})
	}
}

// TestAnItemThatGoesWhileItIsSynthesisedHasVanished takes the item away between its listing and its last attachment.
func TestAnItemThatGoesWhileItIsSynthesisedHasVanished(t *testing.T) {
	t.Parallel()
	w, m := one(t)
	var once sync.Once
	w.graph.OnRequest(func(r graphtest.Request) {
		if r.Path == attachment {
			once.Do(func() {
				w.graph.Mutate(func(tenant *graphtest.Tenant) {
					if err := tenant.Users[0].Remove(m.ImmutableID); err != nil {
						t.Error(err)
					}
				})
			})
		}
	})
	w.settle(w.collector(nil), pause)
	w.checkOwed(w.read(), capture.CompletedWithDocumentLevelErrors, map[string]string{m.ImmutableID: codeVanished})
}

// TestAnItemNoneOfWhoseManyAttachmentsCanBeHadIsExcepted has more of them fail than are worth their time.
func TestAnItemNoneOfWhoseManyAttachmentsCanBeHadIsExcepted(t *testing.T) {
	t.Parallel()
	w, m := one(t)
	w.graph.Mutate(func(*graphtest.Tenant) {
		for n := range 100 {
			m.Attached = append(m.Attached, graphtest.Attachment{Kind: graphtest.FileAttachment, Name: fmt.Sprint(n)})
		}
	})
	w.graph.Fault(func(r graphtest.Request) bool { return r.Path == attachment }, 0, graphtest.Fault{Status: 500, Code: "ErrorInternalServerError"})
	w.settle(w.collector(nil), pause)
	w.checkOwed(w.read(), capture.CompletedWithDocumentLevelErrors, map[string]string{m.ImmutableID: "ErrorMimeContentConversionFailed"})
	if n := w.graph.Requests()[attachment]; n > 3*(maxDoubtful+1) {
		t.Errorf("attachments were asked for %d times", n)
	}
}

// TestAMailboxThatFailsWhileAnItemIsSynthesisedIsRetried has the mailbox go away with the attachments.
func TestAMailboxThatFailsWhileAnItemIsSynthesisedIsRetried(t *testing.T) {
	t.Parallel()
	w, _ := one(t)
	var mu sync.Mutex
	failing := false
	w.graph.Fault(func(r graphtest.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		failing = failing || r.Path == attachment
		return failing && w.clock.Now().Before(day().End.AddDate(0, 0, 1).Add(12*time.Hour+20*time.Minute))
	}, 0, graphtest.Fault{Status: 503, Code: "ErrorMailboxStoreUnavailable"})
	w.settle(w.collector(nil), pause)
	w.checkOwed(w.read(), capture.Completed, nil)
	if w.log.count("custodian failed") == 0 || w.log.count("item synthesised") != 1 {
		t.Errorf("%d failures of the mailbox, %d syntheses", w.log.count("custodian failed"), w.log.count("item synthesised"))
	}
}

// TestALargeItemIsSynthesisedWithinItsRoom has as many as are taken at once, in a spool that has the estimate of each and no
// more: if one needed more, another would be begun again.
func TestALargeItemIsSynthesisedWithinItsRoom(t *testing.T) {
	t.Parallel()
	const size = 12 << 20
	tenant := newTenant(1)
	u := tenant.Users[0]
	for _, m := range put(u, "Inbox", 0, itemsAtOnce) {
		m.NoMIME, m.Size, m.MIME = true, size, graphtest.Bulk(m.Subject, size*4/3)
	}
	w := newWorld(t, tenant, nil)
	w.batch(w.custodians()...)
	c := w.collector(nil)
	c.Spool = spool.NewBudget(8<<20, itemsAtOnce*estimate(size), t.TempDir())
	w.settle(c, pause)
	w.checkOwed(w.read(), capture.Completed, nil)
	if n := w.graph.Requests()[message]; n != itemsAtOnce {
		t.Errorf("%d mails were asked for %d times", itemsAtOnce, n)
	}
	if b := w.row(); b.Documents != 2*itemsAtOnce {
		t.Errorf("%d documents, want each mail with its attachment", b.Documents)
	}
}

// TestASynthesisIsTheSameEachTime holds that what is captured again has the same bytes.
func TestASynthesisIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	sums := map[string]bool{}
	for range 2 {
		w, _ := one(t)
		w.settle(w.collector(nil), pause)
		sums[w.detail(w.read(), "Native SHA-256")] = true
	}
	if len(sums) != 1 {
		t.Errorf("the native has the hashes %s", fmt.Sprint(sums))
	}
}
