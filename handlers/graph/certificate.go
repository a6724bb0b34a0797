package graph

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// A keyPair is a certificate with its private key, and the certificates of its issuers if they were given.
type keyPair struct {
	leaf  *x509.Certificate
	chain []*x509.Certificate // leaf among them
	key   *rsa.PrivateKey
}

// valid tells whether the certificate holds at that time. The error is an [*Error].
func (p keyPair) valid(now time.Time) error {
	switch {
	case now.After(p.leaf.NotAfter):
		return &Error{Meaning: Unauthorized, Code: "CertificateExpired"}
	case now.Before(p.leaf.NotBefore):
		return &Error{Meaning: Unauthorized, Code: "CertificateNotYetValid"}
	}
	return nil
}

// certified is a certificate's credential. It asks for nothing once the certificate has expired.
type certified struct {
	credential azcore.TokenCredential
	pair       keyPair
	now        func() time.Time
}

func (c *certified) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if err := c.pair.valid(c.now()); err != nil {
		return azcore.AccessToken{}, err
	}
	return c.credential.GetToken(ctx, o)
}

// readCertificate reads certificate and private key from PEM, or from a PFX without password in base64, or from PEM in base64.
// The error is an [*Error] that says what is wrong with the value and shows nothing of it.
func readCertificate(value string) (keyPair, error) {
	data := []byte(unfold(value))
	if len(data) == 0 {
		var err error
		if data, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value), "")); err != nil {
			return keyPair{}, unusable("CertificateUnreadable")
		}
	}
	certs, anyKey, err := azidentity.ParseCertificates(data, nil)
	if err != nil {
		return keyPair{}, unusable(whyUnreadable(data))
	}
	key, ok := anyKey.(*rsa.PrivateKey)
	if !ok {
		return keyPair{}, unusable("CertificateKeyNotRSA")
	}
	i := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return key.PublicKey.Equal(c.PublicKey) })
	if i < 0 {
		return keyPair{}, unusable("CertificateKeyMismatch")
	}
	return keyPair{leaf: certs[i], chain: certs, key: key}, nil
}

func unusable(code string) *Error { return &Error{Meaning: Unauthorized, Code: code} }

// whyUnreadable gives the code of what cannot be read as certificate and key.
func whyUnreadable(data []byte) string {
	has := func(text string) bool { return bytes.Contains(data, []byte(text)) }
	switch {
	case !has("-----BEGIN ") && len(data) > 0 && data[0] == 0x30: // a DER sequence, as every PFX is
		return "CertificatePFXUnreadable"
	case !has("-----BEGIN "):
		return "CertificateUnreadable"
	case has("BEGIN EC PRIVATE KEY"):
		return "CertificateKeyNotRSA"
	case !has("PRIVATE KEY-----"), has("BEGIN ENCRYPTED PRIVATE KEY"):
		return "CertificateWithoutKey"
	case !has("BEGIN CERTIFICATE-----"):
		return "CertificateMissing"
	}
	return "CertificateUnreadable"
}

var pemBlock = regexp.MustCompile(`-----BEGIN ([A-Z0-9 ]{1,40})-----([^-]*)-----END ([A-Z0-9 ]{1,40})-----`)

// unfold gives the PEM blocks of a text, each on lines of its own, or "". QUIRK: a form or a script that has one line for an
// app setting turns line ends into blanks, or writes them as \n; PEM needs them around its labels.
func unfold(value string) string {
	var b strings.Builder
	for _, block := range pemBlock.FindAllStringSubmatch(value, -1) {
		body := strings.NewReplacer(`\r`, " ", `\n`, " ").Replace(block[2])
		b.WriteString("-----BEGIN " + block[1] + "-----\n" + strings.Join(strings.Fields(body), "\n") + "\n-----END " + block[3] + "-----\n")
	}
	return b.String()
}
