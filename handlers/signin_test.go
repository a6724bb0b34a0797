package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/settings"
	"chainmail/handlers/signin"
)

// An internet stands between the handler and Microsoft: a proxy that the handler's environment names, behind which the
// stand-in answers under the names of a cloud's Graph and sign-in. So the sources file needs no graphEndpoint and everything
// is as in the cloud, down to the names in the certificates.
type internet struct {
	leaf  tls.Certificate
	conns chan net.Conn

	mu    sync.Mutex
	asked map[string]bool // hosts with ports
}

// cloud puts the stand-in behind a proxy and gives the handler proxy, root certificate and managed identities' endpoint.
func (w *world) cloud(hosts ...string) *internet {
	w.Helper()
	w.graph = graphtest.NewServer(w.tenant, graphtest.Options{Now: w.now})
	identities, err := w.graph.Start("127.0.0.1:0", false)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(w.graph.Close)
	i := &internet{conns: make(chan net.Conn), asked: map[string]bool{}}
	var root []byte
	i.leaf, root = authority(w.T, hosts)
	file := filepath.Join(w.TempDir(), "root.pem")
	if err := os.WriteFile(file, root, 0o600); err != nil {
		w.Fatal(err)
	}
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	for server, listener := range map[*http.Server]net.Listener{
		{Handler: i, ReadHeaderTimeout: time.Minute}:       proxy,
		{Handler: w.graph, ReadHeaderTimeout: time.Minute}: &tunnels{Listener: proxy, conns: i.conns, done: w.Context().Done()},
	} {
		go func() { _ = server.Serve(listener) }() // ends with Close
		w.Cleanup(func() { _ = server.Close() })
	}
	w.env = []string{
		rootSetting + "=" + file, rootsFromTest, "HTTPS_PROXY=http://" + proxy.Addr().String(), "NO_PROXY=",
		"IDENTITY_ENDPOINT=" + identities + graphtest.IdentityPath, "IDENTITY_HEADER=" + graphtest.IdentityHeader,
	}
	return i
}

// ServeHTTP makes a tunnel and speaks TLS at its end.
func (i *internet) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(rw, "only tunnels", http.StatusMethodNotAllowed)
		return
	}
	i.mu.Lock()
	i.asked[r.Host] = true
	i.mu.Unlock()
	conn, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		_ = conn.Close()
		return
	}
	i.conns <- tls.Server(conn, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{i.leaf}})
}

// tunnels listens for the ends of tunnels.
type tunnels struct {
	net.Listener // for its address
	conns        chan net.Conn
	done         <-chan struct{}
}

func (t *tunnels) Accept() (net.Conn, error) {
	select {
	case c := <-t.conns:
		return c, nil
	case <-t.done:
		return nil, net.ErrClosed
	}
}

func (t *tunnels) Close() error { return nil }

// authority makes a root certificate and below it one for the hosts.
func authority(t *testing.T, hosts []string) (leaf tls.Certificate, rootPEM []byte) {
	t.Helper()
	root, rootKey := issue(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, nil)
	cert, key := issue(t, &x509.Certificate{DNSNames: hosts, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, root, rootKey)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})
}

// issue makes a certificate that is valid for a day around now. Without a parent it signs itself.
func issue(t *testing.T, template, parent *x509.Certificate, parentKey *rsa.PrivateKey) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: "Chainmail test"}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(0, 0, 1)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// appCertificate makes a certificate as an app registration has it, and the PEM for the app setting.
func appCertificate(t *testing.T) (*x509.Certificate, string) {
	t.Helper()
	cert, key := issue(t, &x509.Certificate{}, nil, nil)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

const certificateSetting = "O365_MAIL_CERTIFICATE"

// The identity of the function app in these tests.
const (
	identityID     = "5d0b3c52-7c1e-4d0b-9f43-6a2f5f0c9a11"
	identityObject = "c2a9c8f6-3f5b-4f0e-8d57-0e3b1f6f7b22"
)

func TestEveryKindOfCredentialSignsIn(t *testing.T) {
	t.Parallel()
	public := []string{"graph.microsoft.com:443", "login.microsoftonline.com:443"}
	tests := map[string]struct {
		credential map[string]any
		cloud      string
		hosts      []string
	}{
		"certificate":      {map[string]any{"kind": "certificate", "setting": certificateSetting}, "public", public},
		"managed identity": {map[string]any{"kind": "managedIdentity", "clientId": identityID}, "public", public[:1]},
		"federated": {
			map[string]any{"kind": "federated", "clientId": identityID}, "usgovdod",
			[]string{"dod-graph.microsoft.us:443", "login.microsoftonline.us:443"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			cert, text := appCertificate(t)
			app := &w.tenant.Apps[0]
			app.Certificates = []*x509.Certificate{cert}
			app.Federations = []graphtest.Federation{{Subject: identityObject, Audience: "api://AzureADTokenExchangeUSGov"}}
			w.tenant.Identities = []graphtest.Identity{{ClientID: identityID, ObjectID: identityObject}}
			w.settings[certificateSetting] = text
			var names []string
			for _, h := range tt.hosts {
				names = append(names, strings.TrimSuffix(h, ":443"))
			}
			net := w.cloud(names...)
			w.configure(w.source(map[string]any{
				"graphEndpoint": nil, "cloud": tt.cloud, "applicationId": app.ClientID, "credential": tt.credential,
				"endDate": "2026-03-02T06:00:00Z",
			}))
			w.start()
			w.settle()
			w.checkCaptured(w.readEvidence(), capture.Window{Start: sampleDays().Start, End: sampleDays().Start.Add(6 * time.Hour)})
			w.checkManners()
			if got := slices.Sorted(maps.Keys(net.asked)); !slices.Equal(got, tt.hosts) {
				t.Errorf("the handler asked %q, want %q", got, tt.hosts)
			}
			w.checkSecretless(text)
		})
	}
}

// checkSecretless holds that the log shows no line of a certificate's PEM, no token and no identity header.
func (w *world) checkSecretless(text string) {
	w.Helper()
	log := w.logged()
	for _, line := range append(strings.Fields(text), "eyJ", graphtest.IdentityHeader) {
		if (len(line) > 30 || line == "eyJ") && strings.Contains(log, line) {
			w.Fatal("the log holds a part of the certificate, a token or the identity header")
		}
	}
}

func TestARefusedSignInIsToldWithItsRemedy(t *testing.T) {
	t.Parallel()
	registered, _ := appCertificate(t)
	_, other := appCertificate(t)
	tests := map[string]struct{ setting, want string }{
		"a certificate that is not registered": {other,
			"401 AADSTS700027 (unauthorized): the certificate is not the application's: upload its public part to the app registration"},
		"no certificate": {"swordfish and other words",
			"app setting " + certificateSetting + ": CertificateUnreadable (unauthorized): it must hold certificate and private key as PEM"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.tenant.Apps[0].Certificates = []*x509.Certificate{registered}
			w.settings[certificateSetting] = tt.setting
			w.cloud("graph.microsoft.com", "login.microsoftonline.com")
			w.configure(w.source(map[string]any{
				"graphEndpoint": nil, "applicationId": w.tenant.Apps[0].ClientID,
				"credential": map[string]any{"kind": "certificate", "setting": certificateSetting},
			}))
			w.start()
			w.tick("people")
			if log := w.logged(); !strings.Contains(log, tt.want) || strings.Contains(log, "swordfish") {
				t.Errorf("the log lacks %q, or quotes the setting", tt.want)
			}
			w.checkSecretless(tt.setting)
			row, err := w.ledger.Source(t.Context(), testSource)
			if err != nil || row.Value.LastError != "unauthorized" {
				t.Errorf("last error %q, %v, want unauthorized", row.Value.LastError, err)
			}
		})
	}
}

func TestAClientIsKeptForEachCredential(t *testing.T) {
	t.Parallel()
	_, one := appCertificate(t)
	_, two := appCertificate(t)
	source := func(kind, clientID, secret string) settings.Source {
		return settings.Source{
			Domain: "contoso.onmicrosoft.com", ApplicationID: "app", Cloud: "public",
			Credential: settings.Credential{Kind: kind, Setting: "S", ClientID: clientID, Secret: settings.NewSecret(secret)},
		}
	}
	sources := []settings.Source{
		source("secret", "", "a"), source("secret", "", "b"), source("certificate", "", one), source("certificate", "", two),
		source("managedIdentity", "", ""), source("managedIdentity", "i1", ""), source("managedIdentity", "i2", ""),
		source("federated", "i1", ""), source("federated", "i2", ""),
	}
	c := signin.New(graphtest.NewLog(t).Logger(), graph.Clock{})
	seen := map[any]int{}
	for range 2 {
		for _, s := range sources {
			g, err := c.Of(s)
			if err != nil {
				t.Fatal(err)
			}
			seen[g]++
		}
	}
	if len(seen) != len(sources) {
		t.Errorf("%d clients for %d credentials", len(seen), len(sources))
	}
	for _, n := range seen {
		if n != 2 {
			t.Errorf("a client was given %d times, want twice", n)
		}
	}
}
