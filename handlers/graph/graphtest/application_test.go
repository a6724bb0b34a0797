package graphtest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAnApplicationIsShownToWhoMayReadIt(t *testing.T) {
	t.Parallel()
	const id = "0c4f6f0e-2f0a-4a6d-8a55-0f5b8b1d2c3e"
	for name, tt := range map[string]struct {
		permissions []string
		path        string
		status      int
		says        string
		breaks      bool
	}{
		"with the permission": {[]string{"Application.Read.All"}, "(appId='" + id + "')?$select=id,passwordCredentials", 200, `"hint":"abc"`, false},
		"without":             {[]string{"User.Read.All"}, "(appId='" + id + "')", 403, "Authorization_RequestDenied", false},
		"another":             {[]string{"Application.Read.All"}, "(appId='x')", 404, "Request_ResourceNotFound", false},
		"an unknown property": {[]string{"Application.Read.All"}, "(appId='" + id + "')?$select=secret", 400, "BadRequest", true},
		"a list":              {[]string{"Application.Read.All"}, "", 400, "BadRequest", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant := &Tenant{Apps: []App{{ClientID: id, Secret: "abcdef", SecretTo: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}}}
			server, root := Serve(t, tenant, Options{Anonymous: true, Permissions: tt.permissions})
			resp, err := http.Get(root + "/applications" + tt.path)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || !json.Valid(body) {
				t.Fatalf("%s, %v", body, err)
			}
			if resp.StatusCode != tt.status || !strings.Contains(string(body), tt.says) || strings.Contains(string(body), "abcdef") {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
			if broken := len(server.Violations()) > 0; broken != tt.breaks {
				t.Errorf("violations %q", server.Violations())
			}
		})
	}
}
