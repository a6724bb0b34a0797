package hosttest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const webFunction = `{"bindings":[
	{"type":"httpTrigger","direction":"in","name":"request","authLevel":"anonymous","methods":["get","post"],"route":"{*path}"},
	{"type":"http","direction":"out","name":"response"}]}`

// webWorld has a function with an HTTP trigger beside one with a queue's.
func webWorld() world {
	return world{forwards: true, functions: map[string]string{"web": webFunction, "work": workFunction, "tick": tickFunction}}
}

// send sends a client's request to the host.
func (r *running) send(t *testing.T, method, path, body string, header http.Header) *http.Response {
	t.Helper()
	front := httptest.NewServer(r)
	t.Cleanup(front.Close)
	request, err := http.NewRequestWithContext(t.Context(), method, front.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "chainmail.example:7071"
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := front.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func TestAClientsRequestIsForwarded(t *testing.T) {
	t.Parallel()
	h := webWorld().start(t)
	response := h.send(t, "POST", "/api/a/b%2Fc?x=1&x=2&y=a+b", order{Do: "echo"}.String(), http.Header{
		"X-Own": {"one", "two"}, "User-Agent": {"curl/8"}, "X-Azure-Functions-Invocationid": {"forged"}, "Content-Type": {"application/json"},
	})
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "application/json" {
		t.Errorf("answer %d %v", response.StatusCode, response.Header)
	}
	var e echo
	if err := json.Unmarshal([]byte(h.line(t, "echo ")), &e); err != nil {
		t.Fatal(err)
	}
	if e.Method != "POST" || e.URI != "/api/a/b%2Fc?x=1%2C2&y=a+b" || e.Host != "chainmail.example:7071" || e.Body != (order{Do: "echo"}).String() {
		t.Errorf("the handler got %+v", e)
	}
	r := h.result(t)
	ids := e.Header["X-Azure-Functions-Invocationid"]
	if len(ids) != 2 || ids[0] != "forged" || ids[1] != r.Invocation || r.Function != "web" || r.Err != nil {
		t.Errorf("ids %q, result %+v, want the host's own id behind the client's", ids, r)
	}
	if e.Header.Get("X-Own") != "one" || len(e.Header["X-Own"]) != 1 || e.Header.Get("User-Agent") != "curl/8 Azure-Functions-Host/"+hostVersion {
		t.Errorf("headers %v", e.Header)
	}
}

func TestAnyAnswerGoesBackToTheClient(t *testing.T) {
	t.Parallel()
	h := webWorld().start(t)
	for _, o := range []order{
		{Do: "answer", Status: 418, Type: "text/plain", Body: "short and stout"},
		{Do: "answer", Status: 302, Target: "/api/elsewhere", Type: "text/plain", Body: "over there"},
	} {
		front := httptest.NewServer(h)
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		response, err := client.Post(front.URL+"/api/x", "application/json", strings.NewReader(o.String()))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != o.Status || string(body) != o.Body || err != nil || response.Header.Get("Location") != o.Target {
			t.Errorf("answer %d %s %v, want %+v", response.StatusCode, body, err, o)
		}
		front.Close()
	}
}

func TestOnlyWhatMeetsRouteAndMethodIsForwarded(t *testing.T) {
	t.Parallel()
	h := webWorld().start(t)
	for _, row := range [][2]string{{"PUT", "/api/x"}, {"DELETE", "/api/x"}, {"POST", "/work"}, {"GET", "/"}, {"GET", "/apis/x"}} {
		if response := h.send(t, row[0], row[1], "", nil); response.StatusCode != 404 {
			t.Errorf("%s %s: %d, want not found", row[0], row[1], response.StatusCode)
		}
	}
	if response := h.send(t, "GET", "/API/x", "", nil); response.StatusCode != 200 {
		t.Errorf("a route in capitals: %d", response.StatusCode)
	}
}

func TestAHandlerThatDiesFailsTheRequestAndIsStartedAgain(t *testing.T) {
	t.Parallel()
	h := webWorld().start(t)
	if response := h.send(t, "POST", "/api/x", order{Do: "exit", N: 3}.String(), nil); response.StatusCode != 500 {
		t.Errorf("answer %d, want 500", response.StatusCode)
	}
	if r := h.result(t); r.Err == nil {
		t.Error("the invocation counts as a success")
	}
	if response := h.send(t, "POST", "/api/x", order{Do: "other"}.String(), nil); response.StatusCode != 200 || h.Starts() != 2 {
		t.Errorf("answer %d after %d starts", response.StatusCode, h.Starts())
	}
	h.Close()
	if response := h.send(t, "GET", "/api/x", "", nil); response.StatusCode != 503 {
		t.Errorf("answer %d of a closed host", response.StatusCode)
	}
}

// With forwarding the host's client follows no redirect, whatever the trigger.
func TestARedirectFailsAnInvocationWhereRequestsAreForwarded(t *testing.T) {
	t.Parallel()
	h := webWorld().start(t)
	h.put(t, order{Do: "answer", Status: 301, Target: "/elsewhere", Type: "application/json", Body: "{}"})
	wantError(t, h.next(t).Err, "301")
}

func TestHTTPTriggersThatAreNotImitatedAreRefused(t *testing.T) {
	t.Parallel()
	change := func(old, with string) string { return strings.Replace(webFunction, old, with, 1) }
	forwards := `{"version":"2.0","customHandler":{"description":{"defaultExecutablePath":"handler"},"enableForwardingHttpRequest":true}}`
	for name, row := range map[string]struct{ host, function, want string }{
		"not forwarded":  {minimalHost, webFunction, "enableForwardingHttpRequest"},
		"a key":          {forwards, change(`"anonymous"`, `"function"`), "authLevel"},
		"no level":       {forwards, change(`"authLevel":"anonymous",`, ``), "authLevel"},
		"a route":        {forwards, change(`{*path}`, `a/{id}`), "route"},
		"all methods":    {forwards, change(`"methods":["get","post"],`, ``), "methods"},
		"no output":      {forwards, change(",\n\t{\"type\":\"http\",\"direction\":\"out\",\"name\":\"response\"}", ``), "http output"},
		"another output": {forwards, change(`]}`, `,{"type":"queue","direction":"out","name":"q","queueName":"q"}]}`), "http output"},
		"output alone":   {forwards, strings.Replace(tickFunction, `"type":"queue","direction":"out","name":"out","queueName":"out"`, `"type":"http","direction":"out","name":"out"`, 1), "HTTP trigger"},
	} {
		function := row.function
		if name == "another output" { // the last bracket, not that of the methods
			i := strings.LastIndex(webFunction, "]}")
			function = webFunction[:i] + `,{"type":"queue","direction":"out","name":"q","queueName":"q"}]}`
		}
		_, err := loadApp(stageFiles(t, map[string]string{"host.json": row.host, "web/function.json": function}),
			map[string]string{"TICK_SCHEDULE": "0 0 0 1 1 *"})
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, row.want)
		}
	}
}
