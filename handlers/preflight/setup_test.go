package preflight

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/settings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// A world is a tenant behind the stand-in, and a source that collects it. What a test changes, it changes before check.
type world struct {
	*testing.T
	tenant     *graphtest.Tenant
	truth      *graphtest.Truth
	options    graphtest.Options
	server     *graphtest.Server // nil before check
	begun      func()            // with the server, before anything is asked
	subject    Subject
	others     []Subject
	checker    Checker
	credential azcore.TokenCredential // in place of the source's
	root       string                 // of another server than the stand-in
}

const groupID = "5e1c0d6a-2f4b-4d3e-9a11-8c7b6a5d4e3f"

// outsider is the object id of the user who is no individual.
const outsider = "0a9b8c7d-6e5f-4a3b-8c2d-1e0f9a8b7c6d"

// newWorld makes a world that is ready to be collected: two of three custodians are on the list, the third is in a group;
// the application is kept to them by RBAC for Applications, and everybody licensed has the Compliance module.
func newWorld(t *testing.T) *world {
	tenant, truth := graphtest.Small(1)
	for _, u := range tenant.Users {
		if u.Licensed {
			u.Plans = []string{compliancePlans[0]}
		}
	}
	tenant.Groups = []*graphtest.Group{{ID: groupID, DisplayName: "Desk", Members: []string{tenant.Users[2].ID}}}
	tenant.Users = append(tenant.Users, &graphtest.User{
		ID: outsider, UserPrincipalName: "nora.vance@" + tenant.Domain, Mail: "nora.vance@" + tenant.Domain, UserType: "Member",
		Enabled: true, Licensed: true, Problem: graphtest.ProblemOutOfScope, Mailbox: tenant.Users[0].Mailbox,
	})
	app := &tenant.Apps[0]
	app.SecretFrom, app.SecretTo = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
	w := &world{
		T: t, tenant: tenant, truth: truth,
		options: graphtest.Options{
			Permissions: []string{"User.Read.All", "GroupMember.Read.All", "Application.Read.All"},
			Scoped:      []string{"Mail.Read", "Calendars.Read"},
		},
		checker: Checker{Now: func() time.Time { return time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) }, Outsider: true},
		subject: Subject{Source: settings.Source{
			Name: "o365-mail", Enabled: true, Domain: tenant.Domain, ApplicationID: app.ClientID, Cloud: "public",
			Credential:   settings.Credential{Kind: "secret", Setting: "S", Secret: settings.NewSecret(app.Secret)},
			CollectEmail: true, CollectCalendar: true,
			Individuals: settings.Individuals{Groups: []string{groupID}, PullDisabledUsers: true, PullUnlicensedUsers: true},
			StartDate:   time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), EndDate: time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC),
			Frequency: time.Hour, Merge: true, MaxMerge: 24, IndividualsPerJob: 100, DeletedItemRetention: 14 * 24 * time.Hour,
		}},
	}
	w.list(tenant.Users[0].Mail, tenant.Users[1].Mail)
	return w
}

func (w *world) list(identifiers ...string) {
	w.subject.Individuals = nil
	for _, id := range identifiers {
		w.subject.Individuals = append(w.subject.Individuals, capture.Custodian{Individual: capture.Individual{Identifier: id}})
	}
}

// stuck has every request of a path fail with that answer.
func (w *world) stuck(path string, status int, code string) {
	w.begun = func() {
		w.server.Fault(func(r graphtest.Request) bool { return r.Path == path }, 0, graphtest.Fault{Status: status, Code: code})
	}
}

// check starts the stand-in, signs in to it over TLS as in the cloud, and checks the source. Whatever is found holds neither
// address nor secret, and the client has broken no rule of Graph's.
func (w *world) check() Result {
	w.Helper()
	w.server = graphtest.NewServer(w.tenant, w.options)
	address, err := w.server.Start("127.0.0.1:0", true)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(w.server.Close)
	if w.begun != nil {
		w.begun()
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.server.RootPEM())
	transport := graph.DefaultTransport()
	transport.Proxy, transport.TLSClientConfig = nil, &tls.Config{RootCAs: roots}
	w.Cleanup(transport.CloseIdleConnections)
	if w.root != "" {
		address = w.root
	}
	w.checker.Graph = func(s settings.Source) (*graph.Client, error) { return w.client(s, address, transport) }
	result, err := w.checker.Check(w.Context(), w.subject, append(w.others, w.subject))
	if err != nil {
		w.Fatal(err)
	}
	w.harmless(result)
	return result
}

func (w *world) client(s settings.Source, address string, transport http.RoundTripper) (*graph.Client, error) {
	cloud := graph.Cloud{Root: address + "/v1.0", Authority: address + "/", Scope: "https://graph.microsoft.com/.default"}
	r := graph.Registration{Tenant: s.Domain, ClientID: s.ApplicationID, Cloud: cloud, Transport: transport}
	cred, err := w.credential, error(nil)
	switch {
	case cred != nil:
	case s.Credential.Kind == "secret":
		cred, err = r.Secret(s.Credential.Secret.Reveal())
	case s.Credential.Kind == "certificate":
		cred, err = r.Certificate(s.Credential.Secret.Reveal())
	}
	if err != nil {
		return nil, err
	}
	clock := graphtest.NewClock(time.Now())
	return graph.New(graph.Options{
		Root: cloud.Root, Scope: cloud.Scope, Credential: cred, Transport: transport,
		Clock: graph.Clock{Now: clock.Now, Sleep: clock.Sleep},
	})
}

// harmless holds that a result in both its forms shows nobody's address, secret or mail, and a remedy wherever one is owed.
func (w *world) harmless(result Result) {
	w.Helper()
	data, err := json.Marshal(result)
	if err != nil {
		w.Fatal(err)
	}
	for _, said := range []string{string(data), textOf(result)} {
		if what, _ := graphtest.Leak(said); what != "" {
			w.Errorf("the result shows %s: %s", what, said)
		}
		if strings.Contains(said, "@") {
			w.Errorf("the result shows an address: %s", said)
		}
	}
	for _, f := range result.Findings {
		if (f.Remedy == "") != (f.State == OK) || f.Text == "" {
			w.Errorf("%s is %s with the remedy %q and the text %q", f.Check, f.State, f.Remedy, f.Text)
		}
	}
	for _, v := range w.server.Violations() {
		w.Error(v)
	}
}

func textOf(r Result) string {
	var b strings.Builder
	_ = r.WriteText(&b) // a builder takes everything
	return b.String()
}

// finding gives the first finding of a check that holds all the words, in text, remedy or custodians.
func finding(t *testing.T, r Result, check string, state State, words ...string) Finding {
	t.Helper()
	for _, f := range r.Findings {
		said := f.Text + "\n" + f.Remedy + "\n" + strings.Join(f.Custodians, " ")
		missing := func(word string) bool { return !strings.Contains(said, word) }
		if f.Check == check && f.State == state && !slices.ContainsFunc(words, missing) {
			return f
		}
	}
	t.Errorf("no %s of check %s with %q:\n%s", state, check, words, textOf(r))
	return Finding{}
}

// opaque is a credential whose tokens cannot be read.
type opaque struct{}

func (opaque) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "opaque", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// certificate makes one that holds for so many days from now, in PEM with its key.
func certificate(t *testing.T, days int) (leaf *x509.Certificate, text string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Chainmail"},
		NotBefore: time.Now().AddDate(0, 0, -10), NotAfter: time.Now().AddDate(0, 0, days),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	bare, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return leaf, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: bare}))
}

// crowd makes so many members who have the first user's mailbox, and gives their addresses.
func (w *world) crowd(n int) (addresses []string) {
	for i := range n {
		address := fmt.Sprintf("member%d@%s", i, w.tenant.Domain)
		w.tenant.Users = append(w.tenant.Users, &graphtest.User{
			ID: fmt.Sprintf("%08d-1111-4111-8111-111111111111", i), UserPrincipalName: address, Mail: address, UserType: "Member",
			Enabled: true, Licensed: true, Mailbox: w.tenant.Users[0].Mailbox,
		})
		addresses = append(addresses, address)
	}
	return addresses
}
