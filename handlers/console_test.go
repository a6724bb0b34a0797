package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
)

// front is the host's address for clients.
func (w *world) front() string {
	server := httptest.NewServer(w.host)
	w.Cleanup(server.Close)
	return server.URL + "/api/"
}

// api sends a request to the operators' API, with further headers by pairs, and gives the answer.
func (w *world) api(method, url, body string, header ...string) (*http.Response, string) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, url, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	if method != http.MethodGet {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.Fatal(err)
	}
	return response, string(text)
}

// want sends a request and wants an answer of that status.
func (w *world) want(status int, method, url, body string, header ...string) (*http.Response, string) {
	w.Helper()
	response, text := w.api(method, url, body, header...)
	if response.StatusCode != status {
		w.Fatalf("%s %s: %d %s, want %d", method, url, response.StatusCode, text, status)
	}
	return response, text
}

func TestOperatorsSteerACollectionOverHTTP(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t)
	w.settings["CHAINMAIL_CONSOLE"] = "local"
	w.configure(w.source(nil))
	w.start()
	w.settle()
	api := w.front()

	_, text := w.want(200, "GET", api+"sources/"+testSource, "")
	if !strings.Contains(text, `"Completed": 3`) {
		t.Errorf("the source after its days: %s", text)
	}
	var people struct {
		Value []struct{ Identifier, Custodian, Excluded string }
	}
	_, text = w.want(200, "GET", api+"sources/"+testSource+"/custodians", "")
	if err := json.Unmarshal([]byte(text), &people); err != nil || len(people.Value) == 0 {
		t.Fatalf("custodians: %v %s", err, text)
	}
	who := people.Value[0]
	for _, p := range people.Value {
		if p.Excluded == "" {
			who = p
		}
	}

	wish, err := json.Marshal(map[string]any{
		"custodians": []string{who.Identifier}, "start": "2026-03-03T00:00:00Z", "end": "2026-03-04T00:00:00Z", "reason": "asked by the court",
	})
	if err != nil {
		t.Fatal(err)
	}
	w.want(202, "POST", api+"sources/"+testSource+"/collect", string(wish))
	w.tick("plan")
	w.settle()
	w.drain()
	supplement := ledger.Batch{}
	for _, b := range w.batches() {
		if b.Reason == capture.ReasonRequested {
			supplement = b
		}
	}
	if supplement.ID != "20260303000000UTC-20260304000000UTC-2" || supplement.Status != capture.Completed || supplement.Custodians != 1 {
		t.Errorf("the supplement that was asked for: %+v", supplement)
	}
	if _, text = w.want(200, "GET", api+"gaps?source="+testSource, ""); strings.Contains(text, capture.ReasonRequested) {
		t.Errorf("the gap is still open: %s", text)
	}

	w.want(200, "POST", api+"sources/"+testSource+"/disable", `{"reason":"maintenance of the tenant"}`)
	response, text := w.want(200, "GET", api+"config", "")
	changed := strings.Replace(text, `"2026-03-05T00:00:00Z"`, `"2026-03-06T00:00:00Z"`, 1)
	w.want(422, "PUT", api+"config?reason=typo", `{"sources":[{"name":"X"}]}`, "If-Match", response.Header.Get("ETag"))
	w.want(200, "PUT", api+"config?reason=another+day", changed, "If-Match", response.Header.Get("ETag"))
	w.want(412, "PUT", api+"config?reason=late", changed, "If-Match", response.Header.Get("ETag"))
	w.tick("plan")
	if n := len(w.batches()); n != 4 {
		t.Errorf("%d batches while the source is disabled, want the 4 from before", n)
	}
	w.want(200, "POST", api+"sources/"+testSource+"/enable", `{"reason":"maintenance is over"}`)
	w.settle()
	if n := len(w.batches()); n != 5 {
		t.Errorf("%d batches once it is enabled, want one of the new day", n)
	}
	_, text = w.want(200, "GET", api+"preflight/"+testSource, "")
	if !strings.Contains(text, `"signIn"`) || !strings.Contains(text, `"findings"`) {
		t.Errorf("preflight: %s", text)
	}

	w.want(403, "GET", api+"sources", "", "Origin", "https://attacker.example")
	w.want(404, "DELETE", api+"sources", "")
	if n := strings.Count(w.logged(), `"operator acted"`); n != 4 {
		t.Errorf("%d actions are logged, want 4", n)
	}
}

func TestADeployedAppAnswersNobody(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]map[string]string{
		"not asked for": {},
		"on Azure":      {"CHAINMAIL_CONSOLE": "local", "WEBSITE_SITE_NAME": "chainmail"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSmallWorld(t)
			for key, value := range settings {
				w.settings[key] = value
			}
			w.configure(w.source(nil))
			w.start()
			api := w.front()
			for _, path := range []string{"sources", "config", "individuals/people.csv", "anything"} {
				w.want(403, "GET", api+path, "")
			}
			w.want(403, "POST", api+"sources/"+testSource+"/disable", `{"reason":"x"}`)
			source, err := w.ledger.Source(t.Context(), testSource)
			if err != nil || source.Exists() {
				t.Errorf("the source's row: %+v, %v", source.Value, err)
			}
		})
	}
}
