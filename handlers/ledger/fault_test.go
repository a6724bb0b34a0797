package ledger

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"chainmail/handlers/capture"
	"chainmail/handlers/vault/storagetest"
)

const transaction = "Entity Group Transaction"

// faults are what may befall the first try of a change.
var faults = map[string]storagetest.Action{
	"its answer is lost":     storagetest.After(nil),
	"it never arrives":       storagetest.Before(nil),
	"the service is busy":    storagetest.Fail(503, "ServerBusy"),
	"the service has failed": storagetest.Fail(500, "InternalError"),
}

// ready is a ledger in which lane 0 of two open batches is due, and a run holds lane 1.
func ready(t *testing.T, l *Ledger) *Work {
	t.Helper()
	create(t, l, batchOf(first, 0, 1), batchOf(second, 0, 1))
	dispatch(t, l, now)
	return take(t, l, chunkOf(first, 1), "run-1", now)
}

func exception(item string, seen time.Time) capture.Exception {
	return capture.Exception{
		Custodian: "c1", Item: capture.Item{GraphID: item, Kind: capture.Email, State: capture.Active, Received: now}, Batch: first,
		Stage: "fetch", Code: "ErrorCorruptData", Attempts: 1, FirstSeen: seen, LastSeen: seen,
	}
}

// changes are all changes of the package. Each makes its world and returns the change, whose text is what it returned.
var changes = map[string]func(t *testing.T, l *Ledger) func(context.Context) (string, error){
	"accept the settings": func(t *testing.T, l *Ledger) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			return "", l.PutConfig(ctx, Row[Config]{Value: Config{SHA256: "ab"}})
		}
	},
	"make a source": func(t *testing.T, l *Ledger) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			return "", l.UpdateSource(ctx, source, func(s *Source) bool { s.EnabledAt = now; return true })
		}
	},
	"change a source": func(t *testing.T, l *Ledger) func(context.Context) (string, error) {
		put(t, l, "source", Source{LastError: "x"})
		return func(ctx context.Context) (string, error) { // not idempotent: a second time would show
			return "", l.UpdateSource(ctx, source, func(s *Source) bool { s.LastError += "x"; return true })
		}
	},
	"create a batch": func(t *testing.T, l *Ledger) func(context.Context) (string, error) {
		put(t, l, "source", Source{State: now})
		row, err := l.Source(t.Context(), source)
		must(t, err)
		row.Value.State = now.Add(time.Hour)
		return func(ctx context.Context) (string, error) {
			return "", l.CreateBatch(ctx, source, row, batchOf(first, 0))
		}
	},
	"add a person": func(t *testing.T, l *Ledger) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			return "", putPerson(ctx, l, Row[Person]{Value: Person{Identifier: "A@x.example"}})
		}
	},
	"change a person": func(t *testing.T, l *Ledger) func(context.Context) (string, error) {
		must(t, putPerson(t.Context(), l, Row[Person]{Value: Person{Identifier: "A@x.example"}}))
		people, err := l.People(t.Context(), source)
		must(t, err)
		people[0].Value.Reason = "guest"
		return func(ctx context.Context) (string, error) { return "", putPerson(ctx, l, people[0]) }
	},
	"record exceptions": func(t *testing.T, l *Ledger) func(context.Context) (string, error) {
		must(t, l.PutExceptions(t.Context(), source, 0, []capture.Exception{exception("1", now)}, always))
		return func(ctx context.Context) (string, error) {
			later := now.Add(time.Hour)
			return "", l.PutExceptions(ctx, source, 0, []capture.Exception{exception("1", later), exception("2", later)}, always)
		}
	},
	"give out chunks": func(t *testing.T, l *Ledger) func(context.Context) (string, error) {
		create(t, l, batchOf(first, 0, 1))
		return func(ctx context.Context) (string, error) {
			batches, err := l.OpenBatches(ctx, source)
			must(t, err)
			chunks, err := l.Dispatch(ctx, source, batches, now, false)
			return fmt.Sprint(chunks), err
		}
	},
	"take a chunk": func(t *testing.T, l *Ledger) func(context.Context) (string, error) {
		ready(t, l)
		return func(ctx context.Context) (string, error) {
			w, err := l.Take(ctx, chunkOf(first, 0), "run-2", now, now.Add(time.Minute))
			return fmt.Sprintf("%+v", w.Chunk.Value), err
		}
	},
	"take a chunk over": func(t *testing.T, l *Ledger) func(context.Context) (string, error) {
		ready(t, l)
		return func(ctx context.Context) (string, error) {
			w, err := l.Take(ctx, chunkOf(first, 1), "run-2", now.Add(time.Hour), now.Add(2*time.Hour))
			return fmt.Sprintf("%+v", w.Chunk.Value), err
		}
	},
	"hold a lane for longer": func(t *testing.T, l *Ledger) func(context.Context) (string, error) {
		w := ready(t, l)
		return func(ctx context.Context) (string, error) { return "", l.Extend(ctx, w, now.Add(time.Hour)) }
	},
	"save a chunk twice": func(t *testing.T, l *Ledger) func(context.Context) (string, error) {
		w := ready(t, l)
		return func(ctx context.Context) (string, error) {
			w.Chunk.Value.Pending = "records/1"
			if err := l.Save(ctx, w); err != nil {
				return "", err
			}
			w.Chunk.Value.Part, w.Chunk.Value.Pending = 1, ""
			return "", l.Save(ctx, w)
		}
	},
	"leave a chunk": func(t *testing.T, l *Ledger) func(context.Context) (string, error) {
		w := ready(t, l)
		return func(ctx context.Context) (string, error) {
			w.Chunk.Value.Status = ChunkClosed
			next, more, err := l.Leave(ctx, w, now)
			return fmt.Sprint(next, more), err
		}
	},
	"give a lane back": func(t *testing.T, l *Ledger) func(context.Context) (string, error) {
		w := ready(t, l)
		return func(ctx context.Context) (string, error) { return "", l.Release(ctx, w) }
	},
	"bury a chunk": func(t *testing.T, l *Ledger) func(context.Context) (string, error) {
		ready(t, l)
		return func(ctx context.Context) (string, error) {
			done, err := l.Bury(ctx, chunkOf(first, 0), now, func(n int) (time.Time, bool) { return now.Add(time.Duration(n) * time.Hour), false })
			return fmt.Sprint(done), err
		}
	},
	"advance a batch": func(t *testing.T, l *Ledger) func(context.Context) (string, error) {
		ready(t, l)
		return func(ctx context.Context) (string, error) {
			return "", l.Progress(ctx, source, first, capture.Retrieving, now)
		}
	},
	"seal and publish a batch": func(t *testing.T, l *Ledger) func(context.Context) (string, error) {
		ready(t, l)
		return func(ctx context.Context) (string, error) { return "", seal(ctx, t, l, first, "ab") }
	},
}

// seal puts a batch at the end of the chain and publishes it.
func seal(ctx context.Context, t *testing.T, l *Ledger, id, sum string) error {
	t.Helper()
	head, err := l.Head(ctx, source)
	must(t, err)
	b, err := l.Batch(ctx, source, id)
	must(t, err)
	head.Value = Head{Sequence: head.Value.Sequence + 1, ManifestSHA256: sum}
	b.Value.Sequence, b.Value.ManifestSHA256 = head.Value.Sequence, sum
	b.Value.Enter(capture.Completed, now, 5)
	if err := l.Seal(ctx, source, head, b, nil); err != nil {
		return err
	}
	b, err = l.Batch(ctx, source, id)
	must(t, err)
	return l.Publish(ctx, source, b)
}

// Whatever becomes of the first tries, a change is made once, says so, and is not taken for a rival's.
func TestEveryChangeCountsOnceWhateverTheNetworkDoes(t *testing.T) {
	t.Parallel()
	for name, prepare := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, tries := disturbed(t, prepare, storagetest.Pass)
			for fault, action := range faults {
				t.Run(fault, func(t *testing.T) {
					t.Parallel()
					got, again := disturbed(t, prepare, action)
					if got != want {
						t.Errorf("left\n%s\nwant\n%s", got, want)
					}
					if again != 2*tries || tries == 0 {
						t.Errorf("%d tries, and undisturbed %d", again, tries)
					}
				})
			}
		})
	}
}

// disturbed makes a change whose every transaction meets the fault at its first try. It gives what the change returned
// and the rows that it left, and the number of tries.
func disturbed(t *testing.T, prepare func(*testing.T, *Ledger) func(context.Context) (string, error), fault storagetest.Action) (string, int) {
	t.Helper()
	p := storagetest.New(t).Proxy(t)
	l := open(t, p.ConnectionString())
	change := prepare(t, l)
	var tries atomic.Int32
	p.OnRequest(func(op storagetest.Op) storagetest.Action {
		if op.Verb != transaction {
			return storagetest.Pass
		}
		if tries.Add(1)%2 == 1 {
			return fault
		}
		return storagetest.Pass
	})
	soon := policy.RetryOptions{MaxRetries: retries, RetryDelay: time.Millisecond}
	said, err := change(policy.WithRetryOptions(t.Context(), soon))
	if err != nil {
		t.Fatal(err)
	}
	return said + "\n" + dump(t, l), int(tries.Load())
}

// once is a hook for the next request of that kind alone.
func once(verb string, action func() storagetest.Action) func(storagetest.Op) storagetest.Action {
	var done atomic.Bool
	return func(op storagetest.Op) storagetest.Action {
		if op.Verb != verb || done.Swap(true) {
			return storagetest.Pass
		}
		return action()
	}
}

func TestLostAnswerIsSettledAlsoWhenARivalHasGoneOn(t *testing.T) {
	t.Parallel()
	account := storagetest.New(t)
	p := account.Proxy(t)
	l, rival := open(t, p.ConnectionString()), open(t, account.ConnectionString())
	row, err := l.Source(t.Context(), source)
	must(t, err)
	row.Value.State = now
	p.OnRequest(once(transaction, func() storagetest.Action {
		return storagetest.After(func() {
			err := rival.UpdateSource(t.Context(), source, func(s *Source) bool { s.PeopleAt = now; return true })
			if err != nil {
				t.Error(err)
			}
		})
	}))
	if err := l.CreateBatch(t.Context(), source, row, batchOf(first, 0)); err != nil {
		t.Errorf("create batch: %v", err)
	}
	got, err := l.Source(t.Context(), source)
	if err != nil || !got.Value.State.Equal(now) || !got.Value.PeopleAt.Equal(now) {
		t.Errorf("source = %+v, %v, want both changes", got.Value, err)
	}
}

func TestARivalsChangeIsAConflictAlsoAfterALostTry(t *testing.T) {
	t.Parallel()
	account := storagetest.New(t)
	p := account.Proxy(t)
	l, rival := open(t, p.ConnectionString()), open(t, account.ConnectionString())
	put(t, l, "head", Head{Sequence: 1})
	head, err := l.Head(t.Context(), source)
	must(t, err)
	p.OnRequest(once(transaction, func() storagetest.Action {
		return storagetest.Before(func() {
			if err := update(t.Context(), rival, source, "head", func(h *Head) bool { h.Sequence = 9; return true }); err != nil {
				t.Error(err)
			}
		})
	}))
	head.Value.Sequence = 2
	if err := l.commit(t.Context(), source, replace("head", head)); err != ErrConflict {
		t.Errorf("commit: %v, want ErrConflict", err)
	}
	if got, err := l.Head(t.Context(), source); err != nil || got.Value.Sequence != 9 {
		t.Errorf("head = %+v, %v", got.Value, err)
	}
}
