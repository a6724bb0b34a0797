package storagetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue"

	"chainmail/handlers/vault/storagetest"
)

// once makes every fault visible: no retries.
func once() policy.ClientOptions {
	return policy.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}}
}

func containerOf(t *testing.T, connection, name string) *container.Client {
	t.Helper()
	c, err := azblob.NewClientFromConnectionString(connection, &azblob.ClientOptions{ClientOptions: once()})
	if err != nil {
		t.Fatal(err)
	}
	return c.ServiceClient().NewContainerClient(name)
}

func newContainer(t *testing.T, connection, name string) *container.Client {
	t.Helper()
	c := containerOf(t, connection, name)
	if _, err := c.Create(t.Context(), nil); err != nil {
		t.Fatalf("create container: %v", err)
	}
	return c
}

func newTable(t *testing.T, connection string) *aztables.Client {
	t.Helper()
	s, err := aztables.NewServiceClientFromConnectionString(connection, &aztables.ClientOptions{ClientOptions: once()})
	if err != nil {
		t.Fatal(err)
	}
	table := s.NewClient("ledger")
	if _, err := table.CreateTable(t.Context(), nil); err != nil {
		t.Fatalf("create table: %v", err)
	}
	return table
}

func upload(c *container.Client, name, text string) error {
	_, err := c.NewBlockBlobClient(name).Upload(context.Background(), streaming.NopCloser(strings.NewReader(text)), nil)
	return err
}

func stage(c *container.Client, name, id string) error {
	_, err := c.NewBlockBlobClient(name).StageBlock(context.Background(), id, streaming.NopCloser(strings.NewReader("block")), nil)
	return err
}

func commit(c *container.Client, name string, ids ...string) error {
	_, err := c.NewBlockBlobClient(name).CommitBlockList(context.Background(), ids, nil)
	return err
}

func read(t *testing.T, c *container.Client, name string) string {
	t.Helper()
	resp, err := c.NewBlobClient(name).DownloadStream(t.Context(), nil)
	if err != nil {
		t.Fatalf("get blob: %v", err)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("get blob: %v", err)
	}
	return string(data)
}

func entity(partition, row, value string) []byte {
	data, err := json.Marshal(map[string]string{"PartitionKey": partition, "RowKey": row, "V": value})
	if err != nil {
		panic(err)
	}
	return data
}

func insert(partition, row, value string) aztables.TransactionAction {
	return aztables.TransactionAction{ActionType: aztables.TransactionTypeAdd, Entity: entity(partition, row, value)}
}

func TestProxyForwardsSignedRequestsOfAllServices(t *testing.T) {
	t.Parallel()
	account := storagetest.New(t)
	p := account.Proxy(t)

	c := newContainer(t, p.ConnectionString(), "evidence")
	if err := upload(c, "a/b c+ü/d", "hello"); err != nil {
		t.Fatalf("put blob: %v", err)
	}
	if got := read(t, containerOf(t, account.ConnectionString(), "evidence"), "a/b c+ü/d"); got != "hello" {
		t.Errorf("blob = %q past the proxy", got)
	}
	q, err := azqueue.NewQueueClientFromConnectionString(p.ConnectionString(), "chunks", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Create(t.Context(), nil); err != nil {
		t.Fatalf("create queue: %v", err)
	}
	if _, err := q.EnqueueMessage(t.Context(), "m", nil); err != nil {
		t.Fatalf("put message: %v", err)
	}
	table := newTable(t, p.ConnectionString())
	if _, err := table.AddEntity(t.Context(), entity("p", "r's", "1"), nil); err != nil {
		t.Fatalf("insert entity: %v", err)
	}
	if _, err := table.UpdateEntity(t.Context(), entity("p", "r's", "2"),
		&aztables.UpdateEntityOptions{IfMatch: to.Ptr(azcore.ETagAny), UpdateMode: aztables.UpdateModeReplace}); err != nil {
		t.Fatalf("update entity: %v", err)
	}
	if _, err := table.UpsertEntity(t.Context(), entity("p", "r's", "3"), nil); err != nil {
		t.Fatalf("upsert entity: %v", err)
	}
	if _, err := table.GetEntity(t.Context(), "p", "r's", nil); err != nil {
		t.Fatalf("get entity: %v", err)
	}
	if _, err := table.SubmitTransaction(t.Context(), []aztables.TransactionAction{
		insert("p", "x", "1"), {ActionType: aztables.TransactionTypeDelete, Entity: entity("p", "r's", "")}}, nil); err != nil {
		t.Fatalf("submit transaction: %v", err)
	}
	if _, err := table.DeleteEntity(t.Context(), "p", "x", nil); err != nil {
		t.Fatalf("delete entity: %v", err)
	}

	var got []string
	for _, op := range p.Ops() {
		got = append(got, fmt.Sprintf("%d %s %s %s %s", op.N, op.Service, op.Verb, op.Container, op.Name))
		for _, part := range op.Parts {
			got = append(got, fmt.Sprintf("- %s %s %s", part.Verb, part.Container, part.Name))
		}
	}
	want := []string{
		"1 blob Create Container evidence ", "2 blob Put Blob evidence a/b c+ü/d",
		"3 queue Create Queue chunks ", "4 queue Put Message chunks messages",
		"5 table Create Table ledger ", "6 table Insert Entity ledger p/r's", "7 table Update Entity ledger p/r's",
		"8 table Insert Or Merge Entity ledger p/r's", "0 table Get Entity ledger p/r's",
		"9 table Entity Group Transaction ledger p", "- Insert Entity ledger p/x", "- Delete Entity ledger p/r's",
		"10 table Delete Entity ledger p/x",
	}
	if !slices.Equal(got, want) {
		t.Errorf("ops:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if p.Writes() != 10 {
		t.Errorf("writes = %d, want 10", p.Writes())
	}
}

func TestProxyRefusesTheTransactionsThatAzureRefuses(t *testing.T) {
	t.Parallel()
	many := make([]aztables.TransactionAction, 101)
	for i := range many {
		many[i] = insert("p", fmt.Sprint(i), "")
	}
	large := make([]aztables.TransactionAction, 80)
	for i := range large {
		large[i] = insert("p", fmt.Sprint(i), strings.Repeat("x", 30_000)+strings.Repeat("ü", 2_000))
	}
	for i := range large {
		large[i].Entity = bytes.Replace(large[i].Entity, []byte(`"V":`), []byte(`"W":"`+strings.Repeat("y", 30_000)+`","V":`), 1)
	}
	for _, row := range []struct {
		name    string
		actions []aztables.TransactionAction
		status  int
		text    string
	}{
		{"two partitions", []aztables.TransactionAction{insert("p", "1", ""), insert("q", "1", "")}, 202,
			`"code":"CommandsInBatchActOnDifferentPartitions"`},
		{"101 entities", many, 202, `"code":"InvalidInput"`},
		{"over 4 MiB", large, 413, "RequestBodyTooLarge"},
		{"one entity twice", []aztables.TransactionAction{insert("p", "1", ""),
			{ActionType: aztables.TransactionTypeInsertMerge, Entity: entity("p", "1", "")}}, 202, "InvalidDuplicateRow"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := storagetest.New(t).Proxy(t)
			table := newTable(t, p.ConnectionString())
			_, err := table.SubmitTransaction(t.Context(), row.actions, nil)
			var e *azcore.ResponseError
			if !errors.As(err, &e) || e.StatusCode != row.status || !strings.Contains(err.Error(), row.text) {
				t.Errorf("transaction: %v, want status %d with %s", err, row.status, row.text)
			}
			page, err := table.NewListEntitiesPager(nil).NextPage(t.Context())
			if err != nil || len(page.Entities) != 0 {
				t.Errorf("%d entities stored (%v), want none", len(page.Entities), err)
			}
		})
	}
}

func TestProxyTakesTransactionsAtTheLimit(t *testing.T) {
	t.Parallel()
	actions := make([]aztables.TransactionAction, 100)
	for i := range actions {
		actions[i] = insert("p", fmt.Sprint(i), strings.Repeat("x", 20_000))
	}
	table := newTable(t, storagetest.New(t).Proxy(t).ConnectionString())
	if _, err := table.SubmitTransaction(t.Context(), actions, nil); err != nil {
		t.Errorf("100 entities of 20 kB: %v", err)
	}
}

func TestWORMRefusesEveryChangeOfACommittedBlob(t *testing.T) {
	t.Parallel()
	p := storagetest.New(t).Proxy(t)
	p.WORM("evidence")
	c := newContainer(t, p.ConnectionString(), "evidence")
	id, other := "YWFhYQ==", "YmJiYg=="
	if err := errors.Join(stage(c, "b", id), stage(c, "b", other), commit(c, "b", id, other)); err != nil {
		t.Fatalf("create once: %v", err)
	}
	changes := map[string]func() error{
		"put blob":       func() error { return upload(c, "b", "x") },
		"put block":      func() error { return stage(c, "b", id) },
		"put block list": func() error { return commit(c, "b", id) },
		"delete blob":    func() error { _, err := c.NewBlobClient("b").Delete(t.Context(), nil); return err },
		"set metadata": func() error {
			_, err := c.NewBlobClient("b").SetMetadata(t.Context(), map[string]*string{"a": to.Ptr("b")}, nil)
			return err
		},
		"set properties": func() error {
			_, err := c.NewBlobClient("b").SetHTTPHeaders(t.Context(), blob.HTTPHeaders{}, nil)
			return err
		},
		"snapshot":         func() error { _, err := c.NewBlobClient("b").CreateSnapshot(t.Context(), nil); return err },
		"delete container": func() error { _, err := c.Delete(t.Context(), nil); return err },
	}
	for name, change := range changes {
		if err := change(); !bloberror.HasCode(err, bloberror.BlobImmutableDueToPolicy) {
			t.Errorf("%s: %v, want BlobImmutableDueToPolicy", name, err)
		}
	}
	if got := read(t, c, "b"); got != "blockblock" {
		t.Errorf("blob = %q after the attempts", got)
	}
	free := newContainer(t, p.ConnectionString(), "state")
	if err := errors.Join(upload(free, "b", "1"), upload(free, "b", "2")); err != nil {
		t.Errorf("container without a mark: %v", err)
	}
}

func TestWORMLetsOneOfManyCommitsWin(t *testing.T) {
	t.Parallel()
	account := storagetest.New(t)
	newContainer(t, account.ConnectionString(), "evidence")
	const rivals = 8
	errs := make([]error, rivals)
	var wg sync.WaitGroup
	for i := range rivals {
		p := account.Proxy(t) // one each
		p.WORM("evidence")
		c := containerOf(t, p.ConnectionString(), "evidence")
		wg.Go(func() { errs[i] = upload(c, "b", fmt.Sprint(i)) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !bloberror.HasCode(err, bloberror.BlobImmutableDueToPolicy) {
			t.Errorf("rival: %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d rivals won, want 1", won)
	}
}

func TestHooksDecideWhatBecomesOfARequest(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		action func(ran func()) storagetest.Action
		stored bool // the blob is there afterwards
		ran    bool
		status int // 0: no answer; 201: success
	}{
		{"pass", func(func()) storagetest.Action { return storagetest.Pass }, true, false, 201},
		{"nil", func(func()) storagetest.Action { return nil }, true, false, 201},
		{"before", storagetest.Before, false, true, 0},
		{"after", storagetest.After, true, true, 0},
		{"fail", func(func()) storagetest.Action { return storagetest.Fail(503, "ServerBusy") }, false, false, 503},
		{"delay", func(func()) storagetest.Action { return storagetest.Delay(time.Millisecond) }, true, false, 201},
		{"twice", func(func()) storagetest.Action { return storagetest.Twice }, true, false, 201},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			account := storagetest.New(t)
			p := account.Proxy(t)
			direct := newContainer(t, account.ConnectionString(), "state")
			var ran atomic.Bool
			p.OnRequest(func(op storagetest.Op) storagetest.Action {
				if op.Verb != "Put Blob" || op.N != 1 {
					return storagetest.Pass
				}
				return row.action(func() { ran.Store(true) })
			})
			c := containerOf(t, p.ConnectionString(), "state")
			err := upload(c, "b", "x")
			var e *azcore.ResponseError
			switch answered := errors.As(err, &e); {
			case row.status == 201 && err != nil, row.status == 0 && (err == nil || answered):
				t.Errorf("put blob: %v", err)
			case row.status >= 400 && (!answered || e.StatusCode != row.status || e.ErrorCode != "ServerBusy"):
				t.Errorf("put blob: %v, want %d ServerBusy", err, row.status)
			}
			_, err = direct.NewBlobClient("b").GetProperties(t.Context(), nil)
			if stored := err == nil; stored != row.stored || ran.Load() != row.ran {
				t.Errorf("stored = %v, ran = %v, want %v, %v", stored, ran.Load(), row.stored, row.ran)
			}
			if err := upload(c, "b", "y"); err != nil {
				t.Errorf("second write: %v", err)
			}
		})
	}
}

func TestARequestThatComesTwiceMeetsItsOwnSuccess(t *testing.T) {
	t.Parallel()
	p := storagetest.New(t).Proxy(t)
	p.OnRequest(func(op storagetest.Op) storagetest.Action {
		if op.Verb == "Insert Entity" {
			return storagetest.Twice
		}
		return storagetest.Pass
	})
	table := newTable(t, p.ConnectionString())
	_, err := table.AddEntity(t.Context(), entity("p", "r", "1"), nil)
	var e *azcore.ResponseError
	if !errors.As(err, &e) || e.StatusCode != 409 {
		t.Errorf("insert: %v, want the conflict of the second", err)
	}
	if got, err := table.GetEntity(t.Context(), "p", "r", nil); err != nil {
		t.Errorf("get: %v, %v: the first was not stored", got, err)
	}
}

func TestFailSpeaksTheTableServicesForm(t *testing.T) {
	t.Parallel()
	p := storagetest.New(t).Proxy(t)
	table := newTable(t, p.ConnectionString())
	p.OnRequest(func(storagetest.Op) storagetest.Action { return storagetest.Fail(412, "UpdateConditionNotSatisfied") })
	_, err := table.AddEntity(t.Context(), entity("p", "r", ""), nil)
	var e *azcore.ResponseError
	if !errors.As(err, &e) || e.StatusCode != http.StatusPreconditionFailed || e.ErrorCode != "UpdateConditionNotSatisfied" {
		t.Errorf("insert entity: %v", err)
	}
}

func TestExpireBlocksTakesStagedBlocksAway(t *testing.T) {
	t.Parallel()
	account := storagetest.New(t)
	p := account.Proxy(t)
	p.WORM("evidence")
	c := newContainer(t, p.ConnectionString(), "evidence")
	id := "YWFhYQ=="
	if err := stage(c, "b", id); err != nil {
		t.Fatal(err)
	}
	if err := account.ExpireBlocks(t.Context(), "evidence", "b"); err != nil {
		t.Fatal(err)
	}
	list, err := c.NewBlockBlobClient("b").GetBlockList(t.Context(), blockblob.BlockListTypeAll, nil)
	if !bloberror.HasCode(err, bloberror.BlobNotFound) {
		t.Errorf("block list: %+v, %v, want BlobNotFound", list.BlockList, err)
	}
	if err := commit(c, "b", id); !bloberror.HasCode(err, bloberror.InvalidBlockList) {
		t.Errorf("commit: %v, want InvalidBlockList", err)
	}
	if err := errors.Join(stage(c, "b", id), commit(c, "b", id)); err != nil {
		t.Errorf("stage and commit again: %v", err)
	}
	if err := account.ExpireBlocks(t.Context(), "evidence", "b"); !bloberror.HasCode(err, bloberror.BlobAlreadyExists) {
		t.Errorf("expire a committed blob: %v, want BlobAlreadyExists", err)
	}
	if got := read(t, c, "b"); got != "block" {
		t.Errorf("blob = %q", got)
	}
}
