package graph

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"chainmail/handlers/graph/graphtest"
)

// batched answers each request of a $batch by whether it asks for the inbox or for the archive; a request by itself is alone's.
func batched(t *testing.T, inbox, archive string, alone http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/$batch") {
			alone(w, r)
			return
		}
		var batch struct {
			Requests []struct{ ID, URL string } `json:"requests"`
		}
		body, err := unpack(r)
		if err == nil {
			err = json.Unmarshal(body, &batch)
		}
		if err != nil || len(batch.Requests) != 2 {
			t.Errorf("%d requests in a batch, %v", len(batch.Requests), err)
		}
		var answers []string
		for _, one := range batch.Requests {
			answer := inbox
			if strings.Contains(one.URL, "archive") {
				answer = archive
			}
			answers = append(answers, fmt.Sprintf(`{"id":%q,%s}`, one.ID, answer))
		}
		_, _ = io.WriteString(w, `{"responses":[`+strings.Join(answers, ",")+`]}`)
	}
}

// unpack reads a body, which the SDK packs.
func unpack(r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(r.Body)
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

func refused(status int, code, message string) string {
	return fmt.Sprintf(`"status":%d,"headers":{},"body":{"error":{"code":%q,"message":%q}}`, status, code, message)
}

func TestACheckTellsAnArchiveByGraphsOwnSentenceAlone(t *testing.T) {
	t.Parallel()
	const (
		there    = `"status":200,"headers":{},"body":{"id":"f1"}`
		sentence = "Item 'ArchiveMsgFolderRoot' doesn't belong to the targeted mailbox 'secret words'. " +
			"The item exists in an archive mailbox."
	)
	var (
		gone    = refused(404, "MailboxNotEnabledForRESTAPI", "")
		missing = refused(404, "ErrorItemNotFound", "")
		moving  = refused(503, "ErrorMailboxMoveInProgress", "")
		expired = refused(401, "InvalidAuthenticationToken", "")
		other   = refused(404, "ErrorInvalidMailboxItemId", "Item doesn't belong to the targeted mailbox.")
	)
	for name, tt := range map[string]struct {
		inbox, archive string           // as the batch has them
		alone          http.HandlerFunc // for the inbox by itself; nil: it is not asked for
		want           Archive
		meaning        Meaning
	}{
		"an archive":                        {there, refused(404, "ErrorInvalidMailboxItemId", sentence), nil, ArchiveFound, ""},
		"said by another code":              {there, refused(400, "ErrorSomething", sentence), nil, ArchiveFound, ""},
		"the code without the sentence":     {there, other, nil, ArchiveUnknown, ""},
		"no such folder":                    {there, missing, nil, ArchiveUnknown, ""},
		"a name that is not known":          {there, refused(400, "ErrorInvalidIdMalformed", ""), nil, ArchiveUnknown, ""},
		"a folder, which nobody has seen":   {there, there, nil, ArchiveUnknown, ""},
		"trouble in passing":                {there, refused(503, "ErrorTimeoutExpired", ""), nil, ArchiveUntold, ""},
		"throttled":                         {there, refused(429, "ApplicationThrottled", ""), nil, ArchiveUntold, ""},
		"refused":                           {there, refused(403, "ErrorAccessDenied", ""), nil, ArchiveUntold, ""},
		"a page of a gateway":               {there, `"status":502,"headers":{},"body":"PGh0bWw+"`, nil, ArchiveUntold, ""},
		"no mailbox":                        {gone, gone, refuse(404, "MailboxNotEnabledForRESTAPI"), ArchiveUntold, NoMailbox},
		"no inbox":                          {missing, missing, refuse(404, "ErrorItemNotFound"), ArchiveUnknown, NoMailbox},
		"the inbox comes when asked for":    {moving, moving, inbox, ArchiveUntold, ""},
		"an expired token within the batch": {expired, expired, inbox, ArchiveUntold, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alone := tt.alone
			if alone == nil {
				alone = func(http.ResponseWriter, *http.Request) { t.Error("a mailbox that answers is asked twice") }
			}
			b := newBench(t, batched(t, tt.inbox, tt.archive, alone))
			got, err := b.client.CheckMailbox(t.Context(), "u1")
			if got != tt.want || MeaningOf(b.log.Error(err)) != tt.meaning || (err == nil) != (tt.meaning == "") {
				t.Errorf("CheckMailbox = %v, %v, want %v, %q", got, err, tt.want, tt.meaning)
			}
		})
	}
}

func TestACheckThatNobodyAnswersFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, refuse(503, "serviceNotAvailable"))
	if got, err := b.client.CheckMailbox(t.Context(), "u1"); got != ArchiveUntold || MeaningOf(err) != Transient {
		t.Errorf("CheckMailbox = %v, %v, want transient", got, err)
	}
}

func TestTheStandInsArchivesAreFound(t *testing.T) {
	t.Parallel()
	tenant, _ := graphtest.Sample(1)
	server, root := graphtest.Serve(t, tenant, graphtest.Options{Anonymous: true})
	b := newBench(t, http.NotFoundHandler(), func(o *Options) { o.Root = root })
	found := 0
	for _, u := range tenant.Users {
		got, err := b.client.CheckMailbox(t.Context(), u.ID)
		if (got == ArchiveFound) != u.Archive || (err == nil) != (u.Mailbox != nil && u.Problem == "") {
			t.Errorf("user %s: %v, %v; archive %v, problem %q", u.ID, got, err, u.Archive, u.Problem)
		}
		if got == ArchiveFound {
			found++
		}
	}
	if v := server.Violations(); found == 0 || len(v) > 0 {
		t.Errorf("%d archives found, rules broken: %v", found, v)
	}
}
