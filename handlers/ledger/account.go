package ledger

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
)

// Table is the name of the one table.
const Table = "chainmail"

// development is what "UseDevelopmentStorage=true" stands for (Microsoft Learn, "Use the Azurite emulator"); the key is
// public.
const development = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;" +
	"AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;" +
	"TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"

// Tries of one request. The service itself answers within 30 seconds or gives up (Microsoft Learn, "Setting timeouts for
// Table service operations"); a try that hangs for longer would cost a run the lease that it is about to extend.
const (
	retries       = 3
	retryDelay    = 400 * time.Millisecond
	maxRetryDelay = 8 * time.Second
	tryTimeout    = 30 * time.Second
)

// Account says where the table is and how to sign in: by ConnectionString, or by TableServiceURL and Credential. It does
// not print itself.
type Account struct {
	ConnectionString string                 // of the portal's form, with a key or a signature; or UseDevelopmentStorage=true
	TableServiceURL  string                 // "https://account.table.core.windows.net"
	Credential       azcore.TokenCredential // for TableServiceURL
	Transport        policy.Transporter     // nil: the SDK's default
}

// String hides the account's secrets, whatever the verb.
func (Account) String() string { return "[account]" }

// GoString is like String.
func (Account) GoString() string { return "[account]" }

// LogValue is like String.
func (Account) LogValue() slog.Value { return slog.StringValue("[account]") }

// A Ledger is safe for concurrent use.
type Ledger struct {
	table *aztables.Client
}

// Open makes a ledger of an account; nothing is sent before [Ledger.Ensure]. The error names the fault and never the
// value.
func Open(a Account) (*Ledger, error) {
	o := &aztables.ClientOptions{ClientOptions: policy.ClientOptions{
		Transport: a.Transport,
		Telemetry: policy.TelemetryOptions{ApplicationID: "chainmail"},
		Retry: policy.RetryOptions{
			MaxRetries: retries, RetryDelay: retryDelay, MaxRetryDelay: maxRetryDelay, TryTimeout: tryTimeout,
		},
	}}
	switch {
	case a.ConnectionString != "" && (a.TableServiceURL != "" || a.Credential != nil):
		return nil, errors.New("open ledger: both a connection string and a service address are given")
	case a.ConnectionString != "":
		s, err := connect(a.ConnectionString, o)
		if err != nil { // the SDK's text may hold the string itself
			return nil, errors.New("open ledger: the connection string cannot be read")
		}
		return &Ledger{table: s.NewClient(Table)}, nil
	case a.TableServiceURL == "" || a.Credential == nil:
		return nil, errors.New("open ledger: neither a connection string, nor a service address with a credential, is given")
	case !strings.HasPrefix(a.TableServiceURL, "https://"):
		return nil, errors.New("open ledger: the service address must begin with https://")
	}
	s, err := aztables.NewServiceClient(a.TableServiceURL, a.Credential, o)
	if err != nil {
		return nil, errors.New("open ledger: the service address cannot be read")
	}
	return &Ledger{table: s.NewClient(Table)}, nil
}

// connect reads two forms of a connection string that the SDK for blobs knows and the one for tables does not: that of
// the emulator, and that of the portal with a signature, which has endpoints and no account name.
func connect(connection string, o *aztables.ClientOptions) (*aztables.ServiceClient, error) {
	connection = strings.TrimRight(strings.TrimSpace(connection), ";")
	if connection == "UseDevelopmentStorage=true" {
		connection = development
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(connection, ";") {
		key, value, _ := strings.Cut(part, "=")
		parts[key] = value
	}
	endpoint, signature := parts["TableEndpoint"], parts["SharedAccessSignature"]
	if endpoint != "" && signature != "" && parts["AccountKey"] == "" {
		return aztables.NewServiceClientWithNoCredential(strings.TrimRight(endpoint, "/")+"/?"+signature, o)
	}
	return aztables.NewServiceClientFromConnectionString(connection, o)
}

// Ensure creates the table unless it exists.
func (l *Ledger) Ensure(ctx context.Context) error {
	_, err := l.table.CreateTable(ctx, nil)
	var re *azcore.ResponseError
	if errors.As(err, &re) && re.ErrorCode == string(aztables.TableAlreadyExists) {
		return nil
	}
	return wrap("create table", err)
}
