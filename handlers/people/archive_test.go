package people

import (
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
)

// warned are the object ids of the mailboxes of which the log says that they have an archive.
func (w *world) warned() (ids []string) {
	w.Helper()
	for _, event := range w.log.Events("archive mailbox found") {
		if event["level"] != "WARN" || event["source"] != testSource || event["remedy"] == "" {
			w.Errorf("logged: %v", event)
		}
		ids = append(ids, event["custodian"].(string))
	}
	return ids
}

func TestAnArchiveIsRememberedAndWarnedOfOnce(t *testing.T) {
	t.Parallel()
	const bob = "bob@contoso.example"
	w := newWorld(t, tenantOf(ada+" countess@contoso.example", bob))
	w.configure(nil)
	w.list(rows([]string{ada, "countess@contoso.example", bob})...) // the mailbox stands on the list twice
	w.tick()
	if p := w.people(); p[ada].Archive || p[bob].Archive || len(w.warned()) != 0 {
		t.Fatalf("without an archive: %+v, warned of %v", p, w.warned())
	}
	w.graph.Mutate(func(tenant *graphtest.Tenant) { tenant.Users[0].Archive = true })
	w.tick()
	people := w.people()
	if p := people[ada]; !p.Archive || p.Reason != "" || people[bob].Archive {
		t.Errorf("with an archive: %+v", people)
	}
	if ids := w.warned(); len(ids) != 1 || ids[0] != idOf(0) {
		t.Errorf("warned of %v, want once of the mailbox with the archive", ids)
	}
	if !people[ada].Custodian().Archive {
		t.Error("the custodian is not known to have an archive")
	}
	if n := w.rowsWritten(w.tick); n != 0 || len(w.warned()) != 1 {
		t.Errorf("another run writes %d rows and has warned of %v", n, w.warned())
	}
	w.graph.Mutate(func(tenant *graphtest.Tenant) { tenant.Users[0].Archive = false })
	w.tick()
	if p := w.people()[ada]; p.Archive || p.Reason != "" {
		t.Errorf("after the archive has gone: %+v", p)
	}
}

// TestWhatIsSaidOfAnArchiveDecidesNothingElse holds that a mailbox is collected whatever becomes of the question, and that
// trouble in passing leaves what was known.
func TestWhatIsSaidOfAnArchiveDecidesNothingElse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault graphtest.Fault
		want  bool // an archive was found before
	}{
		"trouble in passing": {graphtest.Fault{Status: 503, Code: "ErrorServerBusy"}, true},
		"throttled":          {graphtest.Fault{Status: 429, Code: "ApplicationThrottled", RetryAfter: "1"}, true},
		"refused":            {graphtest.Fault{Status: 403, Code: "ErrorAccessDenied"}, true},
		"no right to it":     {graphtest.Fault{Status: 401, Code: "InvalidAuthenticationToken"}, true},
		"nonsense":           {graphtest.Fault{Status: 500, Body: []byte("<html>"), ContentType: "text/html"}, true},
		"no such folder":     {graphtest.Fault{Status: 404, Code: "ErrorItemNotFound"}, false},
		"no such name":       {graphtest.Fault{Status: 400, Code: "ErrorInvalidIdMalformed"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tenantOf(ada))
			w.tenant.Users[0].Archive = true
			w.configure(nil)
			w.list(ada + ",,,,")
			w.tick()
			w.graph.Fault(func(r graphtest.Request) bool { return strings.HasPrefix(r.Folder, "archive") }, 0, tt.fault)
			w.now = w.now.Add(48 * time.Hour)
			w.tick()
			if p := w.people()[ada]; p.Reason != "" || p.ObjectID != idOf(0) || !p.CheckedAt.Equal(w.now) || p.Archive != tt.want {
				t.Errorf("person = %+v, want collected and checked, an archive: %v", p, tt.want)
			}
			if n := len(w.warned()); n != 1 {
				t.Errorf("warned %d times", n)
			}
		})
	}
}

func TestAnArchiveIsThatOfItsMailbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenantOf(ada))
	w.tenant.Users[0].Archive = true
	w.configure(nil)
	w.list(ada + ",,,,")
	w.tick()
	w.graph.Mutate(func(tenant *graphtest.Tenant) { // the address goes to another mailbox, which cannot be asked
		tenant.Users[0].ID, tenant.Users[0].Problem = idOf(7), graphtest.ProblemDenied
	})
	w.tick()
	if p := w.people()[ada]; p.ObjectID != idOf(7) || p.Archive || p.Reason != capture.ReasonDenied {
		t.Errorf("person = %+v, want that nothing is known of the new mailbox's archive", p)
	}
}

func TestTheSamplesArchivesAreFound(t *testing.T) {
	t.Parallel()
	tenant, _ := graphtest.Sample(1)
	w := newWorld(t, tenant)
	w.configure(nil)
	w.put(testList, string(graphtest.Custodians(tenant)))
	w.tick()
	found := 0
	for identifier, p := range w.people() {
		if u := tenant.User(identifier); p.Archive != (u != nil && u.Archive) {
			t.Errorf("custodian %s: archive %v", p.ObjectID, p.Archive)
		}
		if p.Archive {
			found++
		}
	}
	if found == 0 || len(w.warned()) != found {
		t.Errorf("%d archives, warned of %v", found, w.warned())
	}
}
