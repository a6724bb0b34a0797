package graph

import (
	"bytes"
	"net/http"
	"testing"

	"chainmail/handlers/graph/graphtest"
)

// A page is a sink in memory.
type page struct{ bytes.Buffer }

func (p *page) Reset() error { p.Buffer.Reset(); return nil }

// TestNothingThatTheServiceSaysIsRepeated lets every call fail in every way. The tenant has the canary in all that people
// write, and the stand-in's refusals name somebody.
func TestNothingThatTheServiceSaysIsRepeated(t *testing.T) {
	t.Parallel()
	said := `zeisig@kestrel.example said "zeisig"`
	for name, fault := range map[string]graphtest.Fault{
		"throttled":          {Status: 429, Code: "ApplicationThrottled", RetryAfter: "1"},
		"throttled for long": {Status: 429, Code: "ApplicationThrottled", RetryAfter: "3600"},
		"refused":            {Status: 403, Code: "ErrorAccessDenied"},
		"unauthorized": {
			Status: 401, Code: "InvalidAuthenticationToken", Header: http.Header{"Www-Authenticate": {`Bearer claims="` + said + `"`}},
		},
		"bad":                   {Status: 400, Code: "BadRequest"},
		"gone":                  {Status: 404, Code: "ErrorItemNotFound"},
		"an unknown code":       {Status: 500, Code: said},
		"a page of a gateway":   {Status: 502, Body: []byte("<html>" + said), ContentType: "text/html"},
		"a redirect":            {Status: 302, Header: http.Header{"Location": {"https://kestrel.example/users/zeisig@kestrel.example"}}},
		"cut":                   {CutAfter: 9},
		"no answer":             {CutAfter: -1},
		"an answer that is odd": {Body: []byte(`["zeisig@kestrel.example"`)},
		"an answer of no shape": {Body: []byte(`{"id":{"zeisig@kestrel.example":1},"value":"zeisig","responses":{"zeisig":1}}`)},
		"an answer of bad time": {Body: []byte(`{"value":[{"id":"y","receivedDateTime":"zeisig@kestrel.example"}]}`)},
		"an answer of no text":  {Body: []byte(said)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant, truth := graphtest.Small(1)
			server := graphtest.NewServer(tenant, graphtest.Options{Anonymous: true})
			server.Fault(func(graphtest.Request) bool { return true }, 0, fault)
			b := newBench(t, server)
			user, window := tenant.Users[0], graphtest.SmallHalf()
			item := truth.InScope(window, false)[0]
			calls := map[string]func() error{
				"find by address": func() error { _, err := b.client.FindUser(t.Context(), user.Mail); return err },
				"find by id":      func() error { _, err := b.client.FindUser(t.Context(), user.ID); return err },
				"probe":           func() error { return b.client.ProbeMailbox(t.Context(), user.ID) },
				"check":           func() error { _, err := b.client.CheckMailbox(t.Context(), user.ID); return err },
				"list":            func() error { _, err := b.client.List(t.Context(), user.ID, Query{Window: window}); return err },
				"list quickly": func() error {
					_, err := b.client.List(t.Context(), user.ID, Query{Window: window, Quick: true})
					return err
				},
				"message":     func() error { _, err := b.client.Message(t.Context(), item.UserID, item.ImmutableID); return err },
				"attachments": func() error { _, err := b.client.Attachments(t.Context(), item.UserID, item.ImmutableID); return err },
				"attachment": func() error {
					_, err := b.client.Attachment(t.Context(), item.UserID, item.ImmutableID, "zeisig", &page{})
					return err
				},
				"fetch": func() error { _, err := b.client.MIME(t.Context(), item.UserID, item.ImmutableID, &page{}); return err },
			}
			failed := 0
			for _, call := range calls {
				if err := b.log.Error(call()); err != nil {
					failed++
				}
			}
			if failed < 4 {
				t.Errorf("%d of %d calls failed: the test would prove little", failed, len(calls))
			}
		})
	}
}
