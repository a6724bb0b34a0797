package queue

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"chainmail/handlers/vault/storagetest"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue"
)

func open(t *testing.T, connection string) *Queues {
	t.Helper()
	q, err := Open(Account{ConnectionString: connection})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestDepthCountsWhatWaitsAndWhatIsWorkedOn(t *testing.T) {
	t.Parallel()
	account := storagetest.New(t)
	q := open(t, account.ConnectionString())
	depth := func(want int) {
		t.Helper()
		if n, err := q.Depth(t.Context(), Chunks); n != want || err != nil {
			t.Errorf("Depth = %d, %v, want %d", n, err, want)
		}
	}
	depth(0) // there is no such queue yet
	service, err := azqueue.NewServiceClientFromConnectionString(account.ConnectionString(), nil)
	if err != nil {
		t.Fatal(err)
	}
	chunks := service.NewQueueClient(Chunks)
	if _, err := chunks.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	depth(0)
	for range 2 {
		if _, err := chunks.EnqueueMessage(t.Context(), "e30=", nil); err != nil {
			t.Fatal(err)
		}
	}
	depth(2)
	leased, err := chunks.DequeueMessage(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	depth(2)
	if _, err := chunks.DeleteMessage(t.Context(), *leased.Messages[0].MessageID, *leased.Messages[0].PopReceipt, nil); err != nil {
		t.Fatal(err)
	}
	depth(1)
}

func TestARefusalNamesTheQueueAndNeverTheAccount(t *testing.T) {
	t.Parallel()
	account := storagetest.New(t)
	proxy := account.Proxy(t)
	proxy.OnRequest(func(storagetest.Op) storagetest.Action {
		return storagetest.Fail(http.StatusForbidden, "AuthorizationPermissionMismatch")
	})
	_, err := open(t, proxy.ConnectionString()).Depth(t.Context(), Poison)
	if err == nil || err.Error() != "count queue chunks-poison: 403 AuthorizationPermissionMismatch" {
		t.Errorf("error %v", err)
	}
}

func TestOpenNamesTheFaultAndNotTheValue(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]Account{
		"connection string cannot be read": {ConnectionString: "AccountKey=secret"},
		"both":                             {ConnectionString: "secret", QueueServiceURL: "https://secret.queue.core.windows.net"},
		"neither":                          {QueueServiceURL: "https://secret.queue.core.windows.net"},
	} {
		if _, err := Open(a); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v", name, err)
		}
		if text := fmt.Sprintf("%v %+v %#v %s", a, a, a, a); strings.Contains(text, "secret") {
			t.Errorf("prints as %s", text)
		}
	}
}
