package graph

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

const alice = `{"id":"11111111-0000-0000-0000-000000000001","userPrincipalName":"alice@contoso.onmicrosoft.com",
	"mail":"alice@contoso.com","displayName":"Alice","userType":"Member","accountEnabled":true,
	"assignedLicenses":[{"skuId":"efb87545-963c-4e0d-99df-69c6916d9eb0"}],
	"proxyAddresses":["smtp:a.smith@contoso.com","x500:/o=x","SMTP:alice@contoso.com","sip:alice@contoso.com"]}`

func TestFindUserByKeyThenByAddress(t *testing.T) {
	t.Parallel()
	want := User{
		ID: "11111111-0000-0000-0000-000000000001", UserPrincipalName: "alice@contoso.onmicrosoft.com", Mail: "alice@contoso.com",
		DisplayName: "Alice", UserType: "Member", Enabled: true, Licensed: true,
		Addresses: []string{"alice@contoso.com", "a.smith@contoso.com"},
	}
	directory := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if !strings.Contains(q.Get("$select"), "proxyAddresses") {
			t.Errorf("$select = %q", q.Get("$select"))
		}
		switch {
		case r.URL.Path == "/v1.0/users/"+want.ID, r.URL.Path == "/v1.0/users/"+want.UserPrincipalName:
			say(200, alice)(w, r)
		case r.URL.Path != "/v1.0/users":
			refuse(404, "Request_ResourceNotFound")(w, r)
		case r.Header.Get("ConsistencyLevel") != "eventual" || q.Get("$count") != "true":
			refuse(400, "Request_UnsupportedQuery")(w, r)
		case q.Get("$filter") == "proxyAddresses/any(p:p eq 'smtp:a.smith@contoso.com')":
			say(200, `{"value":[`+alice+`]}`)(w, r)
		case q.Get("$filter") == "proxyAddresses/any(p:p eq 'smtp:o''hara@contoso.com')":
			say(200, `{"value":[`+alice+`,`+alice+`]}`)(w, r)
		default:
			say(200, `{"value":[]}`)(w, r)
		}
	})
	b := newBench(t, directory)
	for _, identifier := range []string{want.ID, want.UserPrincipalName, "a.smith@contoso.com"} {
		if got, err := b.client.FindUser(t.Context(), identifier); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("FindUser(%q) = %+v, %v, want %+v", identifier, got, err, want)
		}
	}
	for identifier, meaning := range map[string]Meaning{
		"nobody@contoso.com":                   NotFound,
		"99999999-0000-0000-0000-000000000001": NotFound,
		"o'hara@contoso.com":                   Broken, // two users of one address
		" ":                                    Bad,
		"":                                     Bad,
	} {
		if _, err := b.client.FindUser(t.Context(), identifier); MeaningOf(err) != meaning {
			t.Errorf("FindUser(%q) = %v, want %s", identifier, err, meaning)
		}
	}
}

func TestFindUserWithoutConsentIsTheAppsTrouble(t *testing.T) {
	t.Parallel()
	b := newBench(t, refuse(403, "Authorization_RequestDenied"))
	if _, err := b.client.FindUser(t.Context(), "alice@contoso.com"); MeaningOf(err) != Unauthorized {
		t.Errorf("FindUser = %v, want unauthorized", err)
	}
}

func TestProbeMailbox(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   Meaning
	}{
		"answers":      {inbox, ""},
		"on premises":  {refuse(404, "MailboxNotEnabledForRESTAPI"), NoMailbox},
		"no inbox":     {refuse(404, "ErrorItemNotFound"), NoMailbox},
		"out of scope": {refuse(403, "ErrorAccessDenied"), Denied},
		"moving":       {refuse(503, "ErrorMailboxMoveInProgress"), Moving},
	} {
		b := newBench(t, tt.answer)
		if err := b.client.ProbeMailbox(t.Context(), "u1"); MeaningOf(err) != tt.want || (err == nil) != (tt.want == "") {
			t.Errorf("%s: ProbeMailbox = %v, want %q", name, err, tt.want)
		}
	}
}
