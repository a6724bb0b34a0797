package console

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"chainmail/handlers/capture"
)

// reads are good requests that change nothing.
func reads() []call {
	var all []call
	for _, path := range []string{
		"sources", "sources/o365-mail", "sources/o365-mail/custodians", "batches", "batches/o365-mail/" + firstID, "exceptions", "gaps",
		"config", "individuals/people.csv", "preflight/o365-mail", "openapi.json", "no/such/path",
	} {
		all = append(all, call{method: "GET", path: "/api/" + path})
	}
	return all
}

func TestAClosedConsoleAnswersNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	w.console.Open = false
	before, ops := w.snapshot(), len(w.proxy.Ops())
	for _, c := range append(reads(), everyChange(w)...) {
		answer := w.do(c)
		if answer.Code != 403 || strings.Contains(answer.Body.String(), alice) {
			t.Errorf("%s %s: %d %s", c.method, c.path, answer.Code, answer.Body)
		}
	}
	if n := len(w.proxy.Ops()) - ops; n > 0 {
		t.Errorf("a closed console asked storage %d times", n)
	}
	if w.snapshot() != before {
		t.Error("a closed console has changed something")
	}
}

// Whoever is not on this machine, and any page of another site, is refused everything, reading included.
func TestOthersThanThisMachineAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	before := w.snapshot()
	for name, alter := range map[string]call{
		"another host":        {host: "chainmail.contoso.example"},
		"a name that rebinds": {host: "127.0.0.1.rebind.example:7091"},
		"a name in front":     {host: "localhost.attacker.example"},
		"a network's host":    {host: "192.168.1.20:7091"},
		"any address":         {host: "0.0.0.0:7091"},
		"no host":             {host: ":7091"},
		"another site":        {header: map[string]string{"Origin": "https://attacker.example"}},
		"a sandboxed page":    {header: map[string]string{"Origin": "null"}},
		"another port":        {header: map[string]string{"Origin": "http://127.0.0.1:8080"}},
		"another name":        {header: map[string]string{"Origin": "http://localhost:7091"}},
		"an extension":        {header: map[string]string{"Origin": "chrome-extension://127.0.0.1:7091"}},
		"fetched across":      {header: map[string]string{"Sec-Fetch-Site": "cross-site"}},
		"fetched beside":      {header: map[string]string{"Sec-Fetch-Site": "same-site"}},
		"fetched somehow":     {header: map[string]string{"Sec-Fetch-Site": "new"}},
		"a proxy":             {header: map[string]string{"X-Forwarded-For": "203.0.113.7"}},
		"a proxy's host":      {header: map[string]string{"X-Forwarded-Host": "tunnel.example"}},
		"a standard proxy":    {header: map[string]string{"Forwarded": "for=203.0.113.7"}},
	} {
		for _, c := range append(reads(), everyChange(w)...) {
			c.host = alter.host
			for key, value := range alter.header {
				if c.header == nil {
					c.header = map[string]string{}
				}
				c.header[key] = value
			}
			if answer := w.do(c); answer.Code != 403 || strings.Contains(answer.Body.String(), alice) {
				t.Errorf("%s: %s %s: %d %s", name, c.method, c.path, answer.Code, answer.Body)
			}
		}
	}
	if w.snapshot() != before || len(w.records()) > 0 {
		t.Error("a refused request has changed something")
	}
}

func TestThisMachineIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]call{
		"by address":    {host: "127.0.0.1"},
		"by name":       {host: "localhost:7091"},
		"by IPv6":       {host: "[::1]:7091"},
		"IPv6, no port": {host: "[::1]"},
		"its own page":  {header: map[string]string{"Origin": "http://127.0.0.1:7091", "Sec-Fetch-Site": "same-origin"}},
		"typed in":      {header: map[string]string{"Sec-Fetch-Site": "none"}},
	} {
		c.method, c.path = "GET", "/api/sources"
		if answer := w.do(c); answer.Code != 200 {
			t.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
	}
}

// What a page of another site can send without being asked first is refused by its media type alone.
func TestFormsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	before := w.snapshot()
	for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; application/json", "json", ""} {
		for _, c := range everyChange(w) {
			header := map[string]string{"Content-Type": media}
			for key, value := range c.header {
				if key != "Content-Type" {
					header[key] = value
				}
			}
			c.header = header
			if answer := w.do(c); answer.Code != 415 {
				t.Errorf("%s as %q: %d %s", c.path, media, answer.Code, answer.Body)
			}
		}
	}
	if w.snapshot() != before || len(w.records()) > 0 {
		t.Error("a form has changed something")
	}
}

// A name may be anything: the answer that repeats it is JSON, and browsers take it for nothing else. See also [world.do].
func TestScriptsComeBackAsJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	const script = "%3Cscript%3Ealert(1)%3C/script%3E"
	for _, c := range []call{
		{method: "GET", path: "/api/" + script},
		{method: "GET", path: "/api/sources/" + script},
		{method: "GET", path: "/api/batches?source=" + script},
		{method: "GET", path: "/api/batches?status=" + script},
		{method: "GET", path: "/api/batches?" + script + "=1"},
		{method: "GET", path: "/api/individuals/" + script},
		{method: "GET", path: "/api/batches/o365-mail/" + script},
		{method: "POST", path: "/api/sources/o365-mail/collect", body: `{"custodians":["<script>"],"start":"<b>","end":"<i>","reason":""}`},
		{method: "POST", path: "/api/sources/o365-mail/disable", body: `{"<script>":1}`},
		{method: "POST", path: "/api/sources/o365-mail/disable", body: `{"reason":"<script>"}`},
		{method: "POST", path: "/api/exceptions/o365-mail/" + aliceID + ":" + capture.ItemKey("AAA") + "/close", body: `{"reason":"<script>"}`},
		{method: "PUT", path: "/api/config?check=true", body: `{"<script>":1}`},
		{method: "GET", path: "/api/sources"},
	} {
		answer := w.do(c)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if !strings.Contains(answer.Header().Get(name), want) {
				t.Errorf("%s: %s is %q", c.path, name, answer.Header().Get(name))
			}
		}
		if answer.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: other sites may read the answer", c.path)
		}
	}
}

func TestTheLogNamesNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t) // whose log refuses addresses
	w.populate()
	for _, c := range everyChange(w) {
		c.body = strings.ReplaceAll(c.body, `"test"`, `"as `+alice+` wished"`)
		if answer := w.do(c); answer.Code >= 300 {
			t.Errorf("%s: %d %s", c.path, answer.Code, answer.Body)
		}
	}
	w.do(call{method: "GET", path: "/api/sources/" + alice})
	w.do(call{method: "GET", path: "/api/batches?source=" + alice})
	if said := w.log.String(); !strings.Contains(said, aliceID) || strings.Count(said, "operator acted") != len(everyChange(w)) {
		t.Errorf("log: %s", said)
	}
}

func TestAnAnswerThatCannotBeWrittenIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := httptest.NewRequest("GET", "http://localhost/api/sources", nil)
	w.console.ServeHTTP(gone{httptest.NewRecorder()}, r)
	if !strings.Contains(w.log.String(), "answer not written") {
		t.Error("nothing is logged")
	}
}

// gone is a client that has gone.
type gone struct{ *httptest.ResponseRecorder }

func (gone) Write([]byte) (int, error) { return 0, errors.New("connection reset") }
