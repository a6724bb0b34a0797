package graph

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/graph/graphtest"
)

func TestATokenIsReadAsFarAsItIsOne(t *testing.T) {
	t.Parallel()
	jwt := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".x"
	}
	for text, want := range map[string]Token{
		jwt(`{"appid":"a","tid":"t","roles":["Mail.Read","User.Read.All"]}`): {
			App: "a", Tenant: "t", Roles: []string{"Mail.Read", "User.Read.All"},
		},
		jwt(`{"appid":"a"}`): {App: "a"},
		jwt(`[]`):            {Opaque: true},
		jwt(`{"roles":7}`):   {Opaque: true},
		"a.*.c":              {Opaque: true},
		"opaque":             {Opaque: true},
		"":                   {Opaque: true},
	} {
		got := readToken(text)
		if got.App != want.App || got.Tenant != want.Tenant || got.Opaque != want.Opaque || !slices.Equal(got.Roles, want.Roles) {
			t.Errorf("%q is read as %+v, want %+v", text, got, want)
		}
	}
}

// secretClient makes a client of the public cloud that signs in with that secret.
func (n *network) secretClient(t *testing.T, secret string) *Client {
	t.Helper()
	r := Registration{Tenant: n.tenant.Domain, ClientID: n.tenant.Apps[0].ClientID, Cloud: public(), Transport: n}
	cred, err := r.Secret(secret)
	if err != nil {
		t.Fatal(err)
	}
	return n.client(t, public(), cred)
}

func TestASignInGivesTheTokensRolesOrItsCode(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, graphtest.Options{Permissions: []string{"User.Read.All"}, Scoped: []string{"Mail.Read"}})
	client := n.secretClient(t, "the~right.secret")
	got, err := client.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.App != n.tenant.Apps[0].ClientID || got.Tenant != n.tenant.ID || !slices.Equal(got.Roles, []string{"User.Read.All"}) {
		t.Errorf("token %+v", got)
	}
	if err := client.ProbeMailbox(t.Context(), testUser); err != nil {
		t.Errorf("what no token names is refused: %v", err)
	}
	_, err = n.secretClient(t, "a wrong one").Token(t.Context())
	if CodeOf(err) != "AADSTS7000215" || !strings.Contains(Remedy(err), "Value") || MeaningOf(err) != Unauthorized {
		t.Errorf("error %v with the remedy %q", err, Remedy(err))
	}
}

func TestAnApplicationsSecretsAreReadWithTheirEnds(t *testing.T) {
	t.Parallel()
	from, to := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	n := newNetwork(t, graphtest.Options{Permissions: []string{"Application.Read.All"}}, func(tenant *graphtest.Tenant) {
		tenant.Apps[0].SecretFrom, tenant.Apps[0].SecretTo = from, to
	})
	client := n.secretClient(t, "the~right.secret")
	got, err := client.ClientSecrets(t.Context(), n.tenant.Apps[0].ClientID)
	if want := (ClientSecret{Validity{from, to}, "the"}); err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("secrets %v, %v; want %v", got, err, want)
	}
	if _, err := client.ClientSecrets(t.Context(), testUser); MeaningOf(err) != NotFound {
		t.Errorf("of an application that is none: %v", err)
	}
	n.checkManners(t)
}

func TestPlansAreThoseInForce(t *testing.T) {
	t.Parallel()
	const (
		one = "EFB87545-963C-4E0D-99DF-69C6916D9EB0"
		two = "65cc641f-cccd-4643-97e0-a17e3045e541"
	)
	row := func(plan, status string) string {
		return `{"servicePlanId":"` + plan + `","capabilityStatus":"` + status + `","service":"exchange"}`
	}
	for plans, want := range map[string][]string{
		`[]`: {},
		`[` + row(one, "Enabled") + `,` + row(two, "Warning") + `]`:                                 {strings.ToLower(one), two},
		`[` + row(one, "Deleted") + `,` + row(two, "Suspended") + `,` + row(two, "LockedOut") + `]`: {},
		`null`: nil, // not for this app
	} {
		b := newBench(t, http.HandlerFunc(say(200, `{"id":"`+testUser+`","assignedPlans":`+plans+`}`)))
		got, err := b.client.Plans(t.Context(), testUser)
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%s gives %v, %v; want %v", plans, got, err, want)
		}
	}
}

func TestUsersWithoutWhatMayNotBeReadAreNone(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]Meaning{
		`{"value":[{"id":"a","userPrincipalName":"a@contoso.example","accountEnabled":true}]}`: "",
		`{"value":[]}`: "",
		`{"value":[{"id":"a","userPrincipalName":"a@contoso.example","accountEnabled":null}]}`: Unauthorized, // as for User.ReadBasic.All
		`{}`: Broken,
	} {
		_, err := newBench(t, http.HandlerFunc(say(200, body))).client.SomeUsers(t.Context(), 9)
		if MeaningOf(err) != want {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}
