package graph

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A pair is a certificate of a test with its key.
type pair struct {
	leaf *x509.Certificate
	key  crypto.Signer
}

// newPair makes a certificate that is valid from one day after now to another.
func newPair(key crypto.Signer, from, to int) pair {
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Chainmail"},
		NotBefore: now.AddDate(0, 0, from), NotAfter: now.AddDate(0, 0, to),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return pair{leaf, key}
}

func newKey() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// goodPair is valid; the same for all tests.
var goodPair = sync.OnceValue(func() pair { return newPair(newKey(), -1, 30) })

func (p pair) certificate() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.leaf.Raw}))
}

func (p pair) privateKey() string {
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func (p pair) pem() string { return p.certificate() + p.privateKey() }

// pfx is one of the files of testdata, made by openssl pkcs12 -export: plain with -legacy and without password, locked with
// -legacy and a password, modern with neither.
func pfx(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".pfx.b64"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestACertificateIsReadInEveryFormThatAnAppSettingTakes(t *testing.T) {
	t.Parallel()
	good, other := goodPair(), newPair(newKey(), -1, 1)
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(good.key.(*rsa.PrivateKey))})
	for name, value := range map[string]string{
		"PEM":                         good.pem(),
		"key first":                   good.privateKey() + good.certificate(),
		"key of PKCS #1":              good.certificate() + string(pkcs1),
		"chain, leaf last":            other.certificate() + good.pem(),
		"CRLF":                        strings.ReplaceAll(good.pem(), "\n", "\r\n"),
		"blanks for line ends":        strings.ReplaceAll(good.pem(), "\n", " "),
		"no line ends":                strings.ReplaceAll(good.pem(), "\n", ""),
		"line ends written as \\n":    strings.ReplaceAll(good.pem(), "\n", `\n`),
		"line ends written as \\r\\n": strings.ReplaceAll(good.pem(), "\n", `\r\n`),
		"text around it":              "Bag Attributes\n  friendlyName: x\n" + good.pem() + "\nend",
		"PEM in base64":               base64.StdEncoding.EncodeToString([]byte(good.pem())),
	} {
		got, err := readCertificate(value)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !got.leaf.Equal(good.leaf) || !got.key.Equal(good.key) {
			t.Errorf("%s: read another certificate or key", name)
		}
	}
	for name, value := range map[string]string{
		"PFX": pfx(t, "plain"), "PFX on one line": strings.ReplaceAll(pfx(t, "plain"), "\n", ""),
	} {
		if got, err := readCertificate(value); err != nil || got.leaf.Subject.CommonName != "Chainmail test" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACertificateThatCannotBeUsedIsToldBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	good := goodPair()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	ecPEM := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}))
	for name, tt := range map[string]struct{ value, code, remedy string }{
		"nothing":              {"", "CertificateUnreadable", "as PEM, or a PFX without password in base64"},
		"a word":               {"swordfish", "CertificateUnreadable", "as PEM"},
		"base64 of nothing":    {"c3dvcmRmaXNo", "CertificateUnreadable", "as PEM"},
		"a path":               {"/home/alice/cert.pem", "CertificateUnreadable", "as PEM"},
		"a thumbprint":         {strings.Repeat("0A", 20), "CertificateUnreadable", "as PEM"},
		"certificate alone":    {good.certificate(), "CertificateWithoutKey", "private key is missing or encrypted"},
		"encrypted key":        {good.certificate() + strings.ReplaceAll(good.privateKey(), "PRIVATE", "ENCRYPTED PRIVATE"), "CertificateWithoutKey", "unencrypted"},
		"key alone":            {good.privateKey(), "CertificateMissing", "BEGIN CERTIFICATE"},
		"another key":          {good.certificate() + newPair(newKey(), -1, 1).privateKey(), "CertificateKeyMismatch", "belong to each other"},
		"EC":                   {newPair(ec, -1, 1).pem(), "CertificateKeyNotRSA", "RSA key of 2048 bits"},
		"EC of SEC 1":          {good.certificate() + ecPEM, "CertificateKeyNotRSA", "RSA key of 2048 bits"},
		"PEM with a hole":      {strings.Replace(good.pem(), "MII", "MIJ", 1), "CertificateUnreadable", "as PEM"},
		"PFX with a password":  {pfx(t, "locked"), "CertificatePFXUnreadable", "without password"},
		"PFX of other ciphers": {pfx(t, "modern"), "CertificatePFXUnreadable", "-legacy"},
		"expired":              {newPair(good.key, -30, -1).pem(), "CertificateExpired", "make a new one"},
		"not yet valid":        {newPair(good.key, 1, 30).pem(), "CertificateNotYetValid", "wait"},
	} {
		_, err := Registration{Tenant: "t", ClientID: "c", Cloud: public(), Transport: new(network{})}.Certificate(tt.value)
		text := fmt.Sprint(err)
		if CodeOf(err) != tt.code || MeaningOf(err) != Unauthorized || !strings.Contains(text, tt.remedy) {
			t.Errorf("%s: %v, want %s and %q", name, err, tt.code, tt.remedy)
		}
		if v := strings.TrimSpace(tt.value); v != "" && strings.Contains(text, v[:min(len(v), 30)]) && !strings.HasPrefix(v, "-----BEGIN") {
			t.Errorf("%s: the error shows the value: %s", name, text)
		}
	}
}

func TestACertificateThatExpiresWhileTheProcessRunsAsksForNothing(t *testing.T) {
	t.Parallel()
	good := goodPair()
	behind := &tokens{}
	now := good.leaf.NotAfter
	c := &certified{credential: behind, pair: keyPair{leaf: good.leaf}, now: func() time.Time { return now }}
	b := newBench(t, inbox, func(o *Options) { o.Credential, o.Scope = c, "s" })
	if err := b.client.ProbeMailbox(t.Context(), "u1"); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	err := b.client.ProbeMailbox(t.Context(), "u1")
	const want = "probe mailbox: CertificateExpired (unauthorized): the certificate has expired"
	if !strings.HasPrefix(fmt.Sprint(err), want) || len(behind.asked) != 1 || b.clock.total() != 0 {
		t.Errorf("ProbeMailbox = %v after %d tokens, want %s and no further token", err, len(behind.asked), want)
	}
}

func FuzzReadCertificate(f *testing.F) {
	kept, err := readCertificate(pfx(f, "plain")) // the same for every process of the fuzzer
	if err != nil {
		f.Fatal(err)
	}
	good := pair{kept.leaf, kept.key}
	f.Add(good.pem())
	f.Add(strings.ReplaceAll(good.pem(), "\n", " "))
	f.Add(pfx(f, "plain"))
	f.Add("-----BEGIN CERTIFICATE----------END CERTIFICATE-----")
	f.Add("MAA=")
	f.Fuzz(func(t *testing.T, value string) {
		got, err := readCertificate(value)
		var e *Error
		switch {
		case err == nil && (got.key == nil || !got.key.PublicKey.Equal(got.leaf.PublicKey)):
			t.Error("a key that is not the certificate's")
		case err != nil && (!errors.As(err, &e) || remedy(e.Code) == ""):
			t.Errorf("error %v has no remedy", err)
		}
	})
}

func FuzzUnfold(f *testing.F) {
	f.Add("-----BEGIN A-----b c-----END A-----")
	f.Add(`-----BEGIN A-----\nAAAA\n-----END A-----`)
	f.Fuzz(func(t *testing.T, value string) {
		once := unfold(value)
		if twice := unfold(once); twice != once {
			t.Errorf("unfold is not stable: %q, then %q", once, twice)
		}
		if block, _ := pem.Decode([]byte(once)); block != nil && !bytes.Contains([]byte(value), []byte(block.Type)) {
			t.Errorf("a block that was not there: %q", block.Type)
		}
	})
}
