package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"chainmail/handlers/graph/graphtest"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"chainmail/handlers/vault/storagetest"
)

// transport answers requests in place of a network.
type transport func(*http.Request) (*http.Response, error)

// Do implements [policy.Transporter].
func (f transport) Do(r *http.Request) (*http.Response, error) { return f(r) }

func answer(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: fmt.Sprintf("%d %s", status, body), Header: http.Header{}, Request: r,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

const canary = "canary-7f3a"

func TestErrorTextsHoldNoAddressAndNoBody(t *testing.T) {
	t.Parallel()
	address, err := url.Parse("https://" + canary + ".table.core.windows.net/chainmail?sig=" + canary)
	must(t, err)
	link := func(err error) error { return &url.Error{Op: "Get", URL: address.String(), Err: err} }
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.UnixAddr{Name: canary}, Err: err}
	}
	for _, row := range []struct {
		name string
		err  error
		want string
	}{
		{"refused", link(dial(os.NewSyscallError("connect", syscall.ECONNREFUSED))), "op: dial: " + syscall.ECONNREFUSED.Error()},
		{"unknown host", link(dial(&net.DNSError{Err: "no such host", Name: canary})), "op: dial: no answer (*net.DNSError)"},
		{"reset", link(&net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}), "op: read: " + syscall.ECONNRESET.Error()},
		{"closed", link(io.EOF), "op: connection closed"},
		{"cut", fmt.Errorf("read "+canary+": %w", io.ErrUnexpectedEOF), "op: connection closed"},
		{"cancelled", link(context.Canceled), "op: context canceled"},
		{"too late", fmt.Errorf(canary+": %w", context.DeadlineExceeded), "op: context deadline exceeded"},
		{"unknown", errors.New(canary), "op: no answer (*errors.errorString)"},
		{"answer", &azcore.ResponseError{StatusCode: 503, ErrorCode: "ServerBusy", RawResponse: &http.Response{
			Request: &http.Request{URL: address}, Body: io.NopCloser(strings.NewReader(canary)),
		}}, "op: 503 ServerBusy"},
		{"answer without a code", &azcore.ResponseError{StatusCode: 502, RawResponse: &http.Response{
			Request: &http.Request{URL: address}, Body: io.NopCloser(strings.NewReader("<html>" + canary)),
		}}, "op: 502"},
		{"answer of somebody else", &azcore.ResponseError{StatusCode: 403, ErrorCode: "blocked for " + canary, RawResponse: &http.Response{
			Request: &http.Request{URL: address}, Body: io.NopCloser(strings.NewReader(canary)),
		}}, "op: 403"},
	} {
		got := wrap("op", row.err)
		if got.Error() != row.want || !errors.Is(got, row.err) {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
	if err := wrap("op", nil); err != nil {
		t.Errorf("wrap(nil) = %v", err)
	}
}

func TestOperationsErrorsAreSafe(t *testing.T) {
	t.Parallel()
	body := `{"odata.error":{"code":"InvalidInput","message":{"lang":"en-US","value":"` + canary + `"}}}`
	l, err := Open(Account{
		ConnectionString: "TableEndpoint=https://" + canary + ".example;SharedAccessSignature=sig=" + canary,
		Transport:        transport(func(r *http.Request) (*http.Response, error) { return answer(r, 400, body), nil }),
	})
	must(t, err)
	_, batch := l.Batch(t.Context(), source, first)
	_, people := l.People(t.Context(), source)
	for want, err := range map[string]error{
		"create table: 400 InvalidInput": l.Ensure(t.Context()),
		"get row: 400 InvalidInput":      batch,
		"list rows: 400 InvalidInput":    people,
		"change rows: 400 InvalidInput":  l.PutPeople(t.Context(), source, Row[Source]{}, []Row[Person]{{Value: Person{Identifier: canary}}}, nil),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
	}
}

func TestARowThatCannotBeReadIsNotQuoted(t *testing.T) {
	t.Parallel()
	for row, want := range map[string]string{
		`{"CheckedAt":"zeisig@contoso.example"}`:      "read row: it is not as this app writes it (*time.ParseError)",
		`{"Identifier":{"zeisig@contoso.example":1}}`: "read row: property Identifier is not a string",
		`{"Secondary":"[\"zeisig@contoso.example\""}`: "read row: it is not as this app writes it (*json.SyntaxError)",
		`{"Secondary":"zeisig@contoso.example"}`:      "read row: it is not as this app writes it (*json.SyntaxError)",
		`{"Identifier":"zeisig@contoso.example"`:      "read row: it is not as this app writes it (*json.SyntaxError)",
	} {
		_, err := decode[Person]([]byte(row))
		if err = graphtest.NewLog(t).Error(err); err == nil || err.Error() != want {
			t.Errorf("%.60s: %v, want %s", strings.TrimSpace(row), err, want)
		}
	}
}

func TestAccountsDoNotPrintThemselves(t *testing.T) {
	t.Parallel()
	a := Account{ConnectionString: canary, TableServiceURL: canary}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "account", a)
	for _, text := range []string{fmt.Sprint(a), fmt.Sprintf("%+v", a), fmt.Sprintf("%#v", a), fmt.Sprintf("%v", &a), log.String()} {
		if strings.Contains(text, canary) || !strings.Contains(text, "[account]") {
			t.Errorf("account prints as %q", text)
		}
	}
}

// A token is a credential without a directory.
type token struct{}

// GetToken implements [azcore.TokenCredential].
func (token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "t", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func TestOpenRefusesWhatIsNoAccount(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]Account{
		"nothing":           {},
		"no key":            {ConnectionString: "AccountName=" + canary},
		"no pairs":          {ConnectionString: canary},
		"key not in base64": {ConnectionString: "AccountName=a;AccountKey=%" + canary},
		"both":              {ConnectionString: "UseDevelopmentStorage=true", TableServiceURL: "https://" + canary, Credential: token{}},
		"no credential":     {TableServiceURL: "https://" + canary},
		"no service":        {Credential: token{}},
		"no TLS":            {TableServiceURL: "http://" + canary, Credential: token{}},
	} {
		l, err := Open(a)
		if err == nil || l != nil || strings.Contains(err.Error(), canary) || !strings.HasPrefix(err.Error(), "open ledger: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpenFindsTheTable(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		account Account
		want    string
	}{
		{"development", Account{ConnectionString: "UseDevelopmentStorage=true"}, "http://127.0.0.1:10002/devstoreaccount1/Tables"},
		{"development, ended", Account{ConnectionString: " UseDevelopmentStorage=true; "}, "http://127.0.0.1:10002/devstoreaccount1/Tables"},
		{"key", Account{ConnectionString: "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5;EndpointSuffix=core.usgovcloudapi.net"},
			"https://a.table.core.usgovcloudapi.net/Tables"},
		{"signature of the portal", Account{ConnectionString: "BlobEndpoint=https://a.blob.core.windows.net/;" +
			"TableEndpoint=https://a.table.core.windows.net/;SharedAccessSignature=sv=1&sig=a%3D"},
			"https://a.table.core.windows.net/Tables?sig=a%3D&sv=1"},
		{"signature and name", Account{ConnectionString: "AccountName=a;SharedAccessSignature=sig=b"}, "https://a.table.core.windows.net/Tables?sig=b"},
		{"identity", Account{TableServiceURL: "https://a.table.core.windows.net", Credential: token{}}, "https://a.table.core.windows.net/Tables"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			row.account.Transport = transport(func(r *http.Request) (*http.Response, error) {
				got = r.URL.String()
				// A try that hangs is given up before the lease that it may be about to extend has ended.
				if end, ok := r.Context().Deadline(); !ok || time.Until(end) > tryTimeout {
					t.Errorf("try ends at %v, %v, want within %v", end, ok, tryTimeout)
				}
				return answer(r, 204, ""), nil
			})
			l, err := Open(row.account)
			must(t, err)
			must(t, l.Ensure(t.Context()))
			if got != row.want {
				t.Errorf("asked %s, want %s", got, row.want)
			}
		})
	}
}

func TestASignatureIsEnoughToWork(t *testing.T) {
	t.Parallel()
	account := storagetest.New(t)
	_, rest, _ := strings.Cut(account.ConnectionString(), "AccountKey=")
	key, _, _ := strings.Cut(rest, ";")
	cred, err := aztables.NewSharedKeyCredential(account.Name(), key)
	must(t, err)
	signature, err := aztables.AccountSASSignatureValues{
		Protocol: aztables.SASProtocolHTTPSandHTTP, ExpiryTime: time.Now().Add(time.Hour),
		Services: "t", ResourceTypes: "sco", Permissions: "rwdlacu",
	}.Sign(cred)
	must(t, err)
	l := open(t, "TableEndpoint="+account.Proxy(t).TableURL()+";SharedAccessSignature="+signature.Encode())
	create(t, l, batchOf(first, 0))
	batches, err := l.OpenBatches(t.Context(), source)
	if err != nil || len(batches) != 1 {
		t.Errorf("%d open batches, %v, want 1", len(batches), err)
	}
}

// The files of testdata/transaction are answers to refused transactions, named for their code and service.
func TestTheCodeOfARefusedTransactionIsInItsBody(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/transaction/*.txt")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d answers in testdata, %v", len(files), err)
	}
	for _, name := range files {
		body, err := os.ReadFile(name)
		must(t, err)
		want, _, _ := strings.Cut(filepath.Base(name), ".")
		if want == "none" {
			want = ""
		}
		for _, b := range [][]byte{body, bytes.ReplaceAll(body, []byte("\n"), []byte("\r\n"))} {
			if got := transactionCode(b); got != want {
				t.Errorf("%s: code %q, want %q", name, got, want)
			}
		}
	}
}

func TestOnlyChangedRowsAreConflicts(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		"EntityAlreadyExists": true, "UpdateConditionNotSatisfied": true, "ConditionNotMet": true, "ResourceNotFound": true,
		"EntityNotFound": true, "TableNotFound": false, "PropertyValueTooLarge": false, "EntityTooLarge": false,
		"ServerBusy": false, "OperationTimedOut": false, "InvalidDuplicateRow": false, "AuthorizationFailure": false, "": false,
	} {
		if got := (&Error{Status: 202, Code: code}).conflicts(); got != want {
			t.Errorf("%q conflicts = %v, want %v", code, got, want)
		}
	}
}

func TestARefusalIsNoConflict(t *testing.T) {
	t.Parallel()
	l := empty(t)
	var many []change
	for i := range 101 {
		many = append(many, insert(fmt.Sprint(i), struct{}{}))
	}
	for want, changes := range map[string][]change{
		"change rows: 202 InvalidInput":        many,
		"change rows: 202 InvalidDuplicateRow": {insert("row", struct{}{}), insert("row", struct{}{})},
	} {
		if err := l.commit(t.Context(), source, changes...); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func FuzzTransactionCode(f *testing.F) {
	files, err := filepath.Glob("testdata/transaction/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatalf("no answers in testdata (%v)", err)
	}
	for _, name := range files {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	word := regexp.MustCompile(`^[A-Za-z0-9]*$`)
	f.Fuzz(func(t *testing.T, body []byte) {
		code := transactionCode(body)
		if !word.MatchString(code) || !bytes.Contains(body, []byte(code)) {
			t.Errorf("code %q", code)
		}
	})
}
