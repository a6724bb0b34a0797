package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// formToken is what a form of the console's pages brings along.
var formToken = regexp.MustCompile(`name="token" value="([A-Z2-7]+)"`)

func TestOperatorsSteerACollectionByItsPages(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t)
	w.settings["CHAINMAIL_CONSOLE"] = "local"
	w.configure(w.source(nil))
	w.start()
	w.settle()
	pages := w.front() + "console"
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	read := func(response *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s, %v", response.Request.URL, response.StatusCode, text, err)
		}
		return string(text)
	}
	source := read(browser.Get(pages + "/sources/" + testSource))
	batches := regexp.MustCompile(`href="/api/console(/batches/[^"]+)"`).FindAllStringSubmatch(source, -1)
	if len(batches) != 3 || strings.Count(source, "<rect class=\"good\"") != 3 {
		t.Fatalf("the page of the source after its days: %s", source)
	}
	batch := read(browser.Get(pages + batches[0][1]))
	for _, want := range []string{".seal.json", "Status history", "Completed"} {
		if !strings.Contains(batch, want) {
			t.Errorf("the page of a batch lacks %q: %s", want, batch)
		}
	}
	if people := read(browser.Get(pages + "/sources/" + testSource + "/custodians")); !strings.Contains(people, "/custodians/"+testSource+"/") {
		t.Errorf("the page of the custodians: %s", people)
	}
	form := pages + "/sources/" + testSource + "/disable"
	token := formToken.FindStringSubmatch(read(browser.Get(form)))
	if token == nil {
		t.Fatal("the form has no token")
	}
	done := read(browser.PostForm(form, url.Values{"reason": {"maintenance"}, "token": {token[1]}}))
	if !strings.Contains(done, "recorded as") || !strings.Contains(done, "Operator: maintenance") {
		t.Errorf("after the form: %s", done)
	}
	row, err := w.ledger.Source(t.Context(), testSource)
	if err != nil || !row.Value.Disabled() || row.Value.DisabledReason != "Operator: maintenance" {
		t.Errorf("the source's row: %+v, %v", row.Value, err)
	}
}

func TestADeployedAppAsksForASignIn(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t)
	w.settings["WEBSITE_SITE_NAME"] = "chainmail"
	w.settings["CHAINMAIL_CONSOLE"] = "tenant=11111111-1111-4111-8111-111111111111;audience=22222222-2222-4222-8222-222222222222"
	w.configure(w.source(nil))
	w.start()
	api := w.front()
	for _, path := range []string{"sources", "config", "openapi.json", "console", "console/config"} {
		response, _ := w.want(401, "GET", api+path, "", "X-MS-CLIENT-PRINCIPAL-ID", "33333333-3333-4333-8333-333333333333")
		if response.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: %v", path, response.Header)
		}
	}
	w.want(401, "POST", api+"sources/"+testSource+"/disable", `{"reason":"x"}`, "Authorization", "Bearer x")
}
