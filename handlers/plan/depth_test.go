package plan

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"chainmail/handlers/queue"
	"chainmail/handlers/vault/storagetest"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue"
)

// depths are the queues' depths as the log has them since the last reset.
func (w *world) depths() string {
	var all string
	for _, e := range w.log.Events("queue depth") {
		all += fmt.Sprint(e["queue"], " ", e["messages"], "; ")
	}
	return all
}

func TestALostMessageIsFoundSoonerWhereNothingWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(nil)
	w.monitor(testSource, person("a", 1))
	if chunks := w.tick(); len(chunks) != 1 || w.depths() != "chunks 0; chunks-poison 0; " {
		t.Fatalf("gives out %v, with %s", chunks, w.depths())
	}
	service, err := azqueue.NewServiceClientFromConnectionString(w.direct, nil)
	must(t, err)
	chunks := service.NewQueueClient(queue.Chunks)
	_, err = chunks.Create(t.Context(), nil)
	must(t, err)
	message, err := chunks.EnqueueMessage(t.Context(), "e30=", nil)
	must(t, err)

	w.log.Reset()
	w.now = w.now.Add(10 * time.Minute)
	if got := w.tick(); len(got) != 0 || w.depths() != "chunks 1; chunks-poison 0; " {
		t.Errorf("gives out %v beside what waits, with %s", got, w.depths())
	}
	_, err = chunks.DeleteMessage(t.Context(), *message.Messages[0].MessageID, *message.Messages[0].PopReceipt, nil)
	must(t, err)
	if got := w.tick(); len(got) != 1 {
		t.Errorf("gives out %v of what is lost", got)
	}
}

func TestAQueueThatCannotBeCountedIsNoHindrance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(nil)
	w.monitor(testSource, person("a", 1))
	w.proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		if op.Service == storagetest.Queue {
			return storagetest.Fail(http.StatusForbidden, "AuthorizationPermissionMismatch")
		}
		return nil
	})
	began := w.now
	for _, row := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {29 * time.Minute, 0}, {30 * time.Minute, 1}} {
		w.now = began.Add(row.after)
		if got := w.tick(); len(got) != row.want {
			t.Errorf("after %v gives out %v, want %d", row.after, got, row.want)
		}
	}
	if told := w.log.Events("queue not counted"); len(told) != 6 || w.depths() != "" {
		t.Errorf("told %v and %s", told, w.depths())
	}
}
