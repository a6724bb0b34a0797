package graphtest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"chainmail/handlers/graph/graphtest"
)

// part is one answer of a batch.
type part struct {
	ID      string            `json:"id"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

func (b *bench) batch(t *testing.T, body string) (answer, map[string]part) {
	t.Helper()
	a := b.do(t, http.MethodPost, "/$batch", strings.NewReader(body), "Content-Type", "application/json")
	var got struct{ Responses []part }
	if a.status == 200 {
		if err := json.Unmarshal(a.body, &got); err != nil {
			t.Fatal(err)
		}
	}
	parts := map[string]part{}
	for _, p := range got.Responses {
		parts[p.ID] = p
	}
	return a, parts
}

// requests is the body of a batch with one GET for each path, numbered from 0.
func requests(paths ...string) string {
	var all []string
	for i, p := range paths {
		all = append(all, fmt.Sprintf(`{"id":"%d","method":"GET","url":%q,"headers":{"Prefer":"IdType=\"ImmutableId\""}}`, i, p))
	}
	return `{"requests":[` + strings.Join(all, ",") + `]}`
}

func TestABatchAnswersEachRequestByItself(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, parts := b.batch(t, requests("/users/id-ada/messages?$top=2", "users/nobody/messages", "/users/id-ada/mailFolders/inbox"))
	if len(parts) != 3 || parts["0"].Status != 200 || parts["1"].Status != 404 || parts["2"].Status != 200 {
		t.Fatalf("parts %v", parts)
	}
	var p page
	if err := json.Unmarshal(parts["0"].Body, &p); err != nil || len(p.Value) != 2 || !strings.HasPrefix(p.Next, b.root+"/users/id-ada/") {
		t.Errorf("rows %q, next %q, %v", p.ids(), p.Next, err)
	}
	if !strings.HasPrefix(p.ids()[0], "AAkA") {
		t.Errorf("ids %q, want those of the part's own header", p.ids())
	}
	if !bytes.Contains(parts["1"].Body, []byte(`"ResourceNotFound"`)) || parts["1"].Headers["Request-Id"] == "" {
		t.Errorf("part 1: %v", parts["1"])
	}
	if got := b.Requests(); got["POST /$batch"] != 1 || got["GET /users/{id}/messages"] != 2 {
		t.Errorf("Requests = %v", got)
	}
	b.get(t, p.Next)
	b.broken(t, "continuation without the Prefer header")
}

func TestBatchesAreRefusedWhole(t *testing.T) {
	t.Parallel()
	one := func(fields string) string { return `{"requests":[{` + fields + `}]}` }
	for name, body := range map[string]string{
		"no JSON":                 `{`,
		"no requests":             `{"requests":[]}`,
		"21 requests":             requests(slices.Repeat([]string{"/users/id-ada"}, 21)...),
		"no id":                   one(`"method":"GET","url":"/users/id-ada"`),
		"an id twice":             strings.ReplaceAll(requests("/users/id-ada", "/users/id-bob"), `"id":"1"`, `"id":"0"`),
		"another method":          one(`"id":"1","method":"POST","url":"/users/id-ada"`),
		"a body":                  one(`"id":"1","method":"GET","url":"/users/id-ada","body":{}`),
		"an absolute URL":         one(`"id":"1","method":"GET","url":"https://graph.microsoft.com/v1.0/users"`),
		"a URL with the version":  one(`"id":"1","method":"GET","url":"/v1.0/users"`),
		"no URL":                  one(`"id":"1","method":"GET","url":""`),
		"a batch in a batch":      one(`"id":"1","method":"GET","url":"/$batch"`),
		"dependence on a later":   `{"requests":[{"id":"1","method":"GET","url":"/users","dependsOn":["2"]},{"id":"2","method":"GET","url":"/users"}]}`,
		"dependence on an absent": one(`"id":"1","method":"GET","url":"/users","dependsOn":["7"]`),
	} {
		b := newBench(t)
		if a, _ := b.batch(t, body); a.status != 400 {
			t.Errorf("%s: %d %s, want 400", name, a.status, a.body)
		}
		b.broken(t, "batch: ")
	}
	b := newBench(t)
	if _, parts := b.batch(t, requests(slices.Repeat([]string{"/users/id-ada"}, 20)...)); len(parts) != 20 {
		t.Errorf("20 requests: %d answers", len(parts))
	}
	if a := b.do(t, http.MethodPost, "/$batch", strings.NewReader(requests("/users")), "Content-Type", "text/plain"); a.status != 400 {
		t.Errorf("text/plain: %d, want 400", a.status)
	}
}

func TestABatchMayBeCompressed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(requests("/users/id-ada")))
	_ = z.Close()
	a := b.do(t, http.MethodPost, "/$batch", &packed, "Content-Type", "application/json", "Content-Encoding", "gzip")
	if a.status != 200 || !bytes.Contains(a.body, []byte("ada@contoso.example")) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestABatchWorksOnFourAtATime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, parts := b.batch(t, requests(slices.Repeat([]string{"/users/id-ada/mailFolders/inbox"}, 20)...))
	for id, p := range parts {
		if p.Status != 200 {
			t.Errorf("part %s: %d", id, p.Status)
		}
	}
	if n := b.MostInFlight("id-ada"); n > 4 {
		t.Errorf("MostInFlight = %d, want at most 4", n)
	}
	b.broken(t, "")
}

func TestADependentRequestWaitsAndFailsWithWhatItDependsOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, parts := b.batch(t, `{"requests":[{"id":"a","method":"GET","url":"/users/nobody"},
		{"id":"b","method":"GET","url":"/users/id-ada","dependsOn":["a"]},{"id":"c","method":"GET","url":"/users/id-ada","dependsOn":["b"]},
		{"id":"d","method":"GET","url":"/users/id-ada"},{"id":"e","method":"GET","url":"/users/id-bob","dependsOn":["d"]}]}`)
	got := map[string]int{}
	for id, p := range parts {
		got[id] = p.Status
	}
	if want := fmt.Sprint(map[string]int{"a": 404, "b": 424, "c": 424, "d": 200, "e": 200}); fmt.Sprint(got) != want {
		t.Errorf("statuses %v, want %s", got, want)
	}
	var order []string
	b.OnRequest(func(r graphtest.Request) { order = append(order, r.User) })
	b.batch(t, `{"requests":[{"id":"a","method":"GET","url":"/users/id-bob"},{"id":"b","method":"GET","url":"/users/id-ada","dependsOn":["a"]}]}`)
	if want := []string{"", "id-bob", "id-ada"}; !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
}

func TestFaultsBefallPartsOfABatch(t *testing.T) {
	t.Parallel()
	b := newBench(t, withMail(3, func(m *graphtest.Message) { m.ListFault = graphtest.ListCut }))
	b.Fault(at("/users/{id}/mailFolders/{id}"), 1, graphtest.Fault{Status: 429, RetryAfter: "7"})
	b.Fault(at("/users/{id}"), 1, graphtest.Fault{CutAfter: -1})
	a, parts := b.batch(t, requests("/users/id-ada/mailFolders/inbox", "/users/id-ada", adasInbox))
	if a.status != 200 || parts["0"].Status != 429 || parts["0"].Headers["Retry-After"] != "7" {
		t.Errorf("%d, throttled part %+v", a.status, parts["0"])
	}
	if parts["1"].Status != 504 {
		t.Errorf("a part whose connection broke: %d, want 504 as from a gateway", parts["1"].Status)
	}
	var text string
	if err := json.Unmarshal(parts["2"].Body, &text); err != nil || parts["2"].Status != 200 {
		t.Errorf("a part that breaks off: %d %s, want text: %v", parts["2"].Status, parts["2"].Body, err)
	}
}

func TestABodyInABatchIsEncodedAndNoted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, parts := b.batch(t, requests(adasMail))
	var text string
	if err := json.Unmarshal(parts["0"].Body, &text); err != nil {
		t.Fatal(err)
	}
	if raw, err := base64.StdEncoding.DecodeString(text); err != nil || !bytes.HasPrefix(raw, []byte("Subject: m1\r\n")) {
		t.Errorf("body %q, %v", raw, err)
	}
	b.broken(t, "bodies do not belong in a batch")
}
