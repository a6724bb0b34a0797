package vault

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"chainmail/handlers/vault/storagetest"
)

// staged writes data in blocks of the given length and does not commit them.
func staged(t *testing.T, c *Container, name string, data []byte, blockBytes int) *Blocks {
	t.Helper()
	b := c.Stage(t.Context(), name)
	b.BlockBytes = blockBytes
	if n, err := b.Write(data); err != nil || n != len(data) {
		t.Fatalf("Write = %d, %v, want %d", n, err, len(data))
	}
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	return b
}

func pattern(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i ^ i>>8*31)
	}
	return data
}

func TestABlobIsCutIntoBlocks(t *testing.T) {
	t.Parallel()
	const block = 1000
	c, direct, p := newContainer(t)
	for _, row := range []struct{ size, blocks int }{
		{1, 1}, {block - 1, 1}, {block, 1}, {block + 1, 2}, {3 * block, 3}, {3*block + 1, 4},
	} {
		for _, step := range []int{1 << 20, block, 333} {
			name, data := strings.Repeat("x", row.size%97+1)+string(rune('a'+step%7)), pattern(row.size)
			before := len(p.Ops())
			b := c.Stage(t.Context(), name)
			b.BlockBytes = block
			for rest := data; len(rest) > 0; {
				n := min(step, len(rest))
				if got, err := b.Write(rest[:n]); err != nil || got != n {
					t.Fatalf("Write = %d, %v, want %d", got, err, n)
				}
				rest = rest[n:]
			}
			for range 2 { // flushing twice is harmless
				if err := b.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(p.Ops()) - before; n != row.blocks || len(b.IDs()) != row.blocks || b.Size() != int64(row.size) {
				t.Errorf("%d bytes in steps of %d: %d requests, %d ids, %d bytes; want %d blocks", row.size, step, n, len(b.IDs()), b.Size(), row.blocks)
			}
			if there, err := direct.Exists(t.Context(), name); there || err != nil {
				t.Errorf("before the commit Exists = %v, %v", there, err)
			}
			if err := c.Commit(t.Context(), name, b.IDs(), ""); err != nil {
				t.Fatal(err)
			}
			wantBlob(t, direct, name, string(data))
			if err := direct.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestABlobOfManyMebibytes(t *testing.T) {
	t.Parallel()
	c, direct, _ := newContainer(t)
	data := pattern(2*BlockBytes + 12345)
	b := c.Stage(t.Context(), "b")
	if _, err := io.Copy(b, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	if len(b.IDs()) != 3 {
		t.Errorf("%d blocks, want 3", len(b.IDs()))
	}
	if err := c.Commit(t.Context(), "b", b.IDs(), ""); err != nil {
		t.Fatal(err)
	}
	if got, err := direct.Get(t.Context(), "b"); err != nil || !bytes.Equal(got, data) {
		t.Errorf("Get = %d bytes, %v", len(got), err)
	}
}

func TestNoTwoBlocksHaveTheSameID(t *testing.T) {
	t.Parallel()
	c, _, _ := newContainer(t)
	seen := map[string]bool{}
	for range 3 {
		for _, id := range staged(t, c, "b", pattern(50), 10).IDs() {
			if seen[id] || len(id) != 24 {
				t.Errorf("id %s of %d characters, seen before: %v", id, len(id), seen[id])
			}
			seen[id] = true
		}
	}
}

func TestIDsCannotBeChangedFromOutside(t *testing.T) {
	t.Parallel()
	c, _, _ := newContainer(t)
	b := staged(t, c, "b", pattern(50), 10)
	want := b.IDs()
	clear(b.IDs())
	if !slices.Equal(b.IDs(), want) {
		t.Errorf("ids %q, want %q", b.IDs(), want)
	}
}

func TestNothingIsNoBlob(t *testing.T) {
	t.Parallel()
	c, _, p := newContainer(t)
	b := staged(t, c, "b", nil, 10)
	before := len(p.Ops())
	if err := c.Commit(t.Context(), "b", b.IDs(), ""); err == nil || len(p.Ops()) != before {
		t.Errorf("Commit of no blocks = %v after %d requests", err, len(p.Ops())-before)
	}
}

func TestABlockIsStagedAgainWhenItsAnswerIsLost(t *testing.T) {
	t.Parallel()
	for name, fate := range map[string]storagetest.Action{"lost": storagetest.After(nil), "cut": storagetest.Before(nil), "busy": storagetest.Fail(503, "ServerBusy")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, direct, p := newContainer(t)
			once(p, "Put Block", fate)
			b := staged(t, c, "b", pattern(35), 10)
			if err := c.Commit(t.Context(), "b", b.IDs(), ""); err != nil {
				t.Fatal(err)
			}
			wantBlob(t, direct, "b", string(pattern(35)))
		})
	}
}

func TestAFaultOfStagingIsGivenForEver(t *testing.T) {
	t.Parallel()
	c, _, p := newContainer(t)
	always(p, "Put Block", storagetest.Fail(403, "AuthorizationFailure"))
	b := c.Stage(t.Context(), "b")
	b.BlockBytes = 10
	n, err := b.Write(pattern(100)) // its first block is under way while the second is filled
	wantStatus(t, "Write", err, 403, "AuthorizationFailure")
	if n >= 100 {
		t.Errorf("Write = %d bytes, want fewer than 100", n)
	}
	again, errWrite := b.Write([]byte("x"))
	if errFlush := b.Flush(); again != 0 || errWrite != err || errFlush != err {
		t.Errorf("afterwards Write = %d, %v, Flush = %v, want %v", again, errWrite, errFlush, err)
	}
	staged := 0
	for _, op := range p.Ops() {
		if op.Verb == "Put Block" {
			staged++
		}
	}
	if staged != 1 {
		t.Errorf("%d blocks were sent, want none after the first fault", staged)
	}
}

func TestStagingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c, _, _ := newContainer(t)
	ctx, cancel := context.WithCancel(t.Context())
	b := c.Stage(ctx, "b")
	cancel()
	_, err := b.Write([]byte("x"))
	if err = errors.Join(err, b.Flush()); !errors.Is(err, context.Canceled) || Temporary(err) {
		t.Errorf("Flush = %v, temporary %v, want that it was cancelled", err, Temporary(err))
	}
}

// A forger changes a byte of every body on its way.
type forger struct{}

func (forger) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.ContentLength > 0 && r.Method == http.MethodPut {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		data[len(data)/2] ^= 1
		r.Body = io.NopCloser(bytes.NewReader(data))
	}
	return http.DefaultClient.Do(r)
}

func TestTheServiceRefusesWhatWasChangedOnItsWay(t *testing.T) {
	t.Parallel()
	account := storagetest.New(t)
	direct := open(t, Account{ConnectionString: account.ConnectionString()})
	c := open(t, Account{ConnectionString: account.ConnectionString(), Transport: forger{}})
	b := c.Stage(t.Context(), "b")
	_, err := b.Write(pattern(1000))
	wantStatus(t, "Flush", errors.Join(err, b.Flush()), 400, "Crc64Mismatch")
	wantStatus(t, "PutOnce", c.PutOnce(t.Context(), "b", pattern(1000), ""), 400, "Crc64Mismatch")
	if there, err := direct.Exists(t.Context(), "b"); there || err != nil {
		t.Errorf("Exists = %v, %v", there, err)
	}
}

func TestBlocksAreCommittedOnce(t *testing.T) {
	t.Parallel()
	const mine, other = "mine", "other"
	for _, row := range []struct {
		name    string
		before  string // who has committed before
		plain   bool   // before: a blob without blocks lies there
		worm    bool
		expired bool
		fate    storagetest.Action // of the first Put Block List
		want    error
		stored  string // "": nothing
	}{
		{name: "nothing there", stored: mine},
		{name: "the same there", before: mine, stored: mine},
		{name: "a rival's there", before: other, want: ErrDiffers, stored: other},
		{name: "a blob without blocks there", plain: true, want: ErrDiffers, stored: "plain"},
		{name: "request lost", fate: storagetest.Before(nil), stored: mine},
		{name: "answer lost", fate: storagetest.After(nil), stored: mine},
		{name: "answer lost, a rival's there", before: other, fate: storagetest.After(nil), want: ErrDiffers, stored: other},
		{name: "service busy", fate: storagetest.Fail(503, "ServerBusy"), stored: mine},
		{name: "precondition failed, the same there", before: mine, fate: storagetest.Fail(412, "ConditionNotMet"), stored: mine},
		{name: "blocks gone", expired: true, want: ErrBlocksGone},
		{name: "blocks said to be gone, the same there", before: mine, fate: storagetest.Fail(400, "InvalidBlockList"), stored: mine},
		{name: "blocks said to be gone, a rival's there", before: other, fate: storagetest.Fail(400, "InvalidBlockList"), want: ErrDiffers, stored: other},
		{name: "blocks of another length", fate: storagetest.Fail(400, "InvalidBlobOrBlock"), want: ErrBlocksGone},
		{name: "WORM, nothing there", worm: true, stored: mine},
		{name: "WORM, the same there", worm: true, before: mine, stored: mine},
		{name: "WORM, a rival's there", worm: true, before: other, want: ErrDiffers, stored: other},
		{name: "WORM, answer lost", worm: true, fate: storagetest.After(nil), stored: mine},
		{name: "WORM, blocks gone", worm: true, expired: true, want: ErrBlocksGone},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			account := storagetest.New(t)
			p := account.Proxy(t)
			direct := open(t, Account{ConnectionString: account.ConnectionString()})
			c := open(t, Account{ConnectionString: p.ConnectionString()})
			if row.plain {
				put(t, direct, "b", "plain")
			}
			ids := map[string][]string{
				mine: staged(t, direct, "b", []byte(mine), 3).IDs(), other: staged(t, direct, "b", []byte(other), 3).IDs(),
			}
			if row.before != "" {
				if err := direct.Commit(t.Context(), "b", ids[row.before], ""); err != nil {
					t.Fatal(err)
				}
			}
			if row.expired {
				if err := account.ExpireBlocks(t.Context(), "evidence", "b"); err != nil {
					t.Fatal(err)
				}
			}
			if row.worm {
				p.WORM("evidence")
			}
			if row.fate != nil {
				once(p, "Put Block List", row.fate)
			}
			err := c.Commit(t.Context(), "b", ids[mine], "")
			if !errors.Is(err, row.want) || errors.Is(err, ErrBlocksGone) != (row.want == ErrBlocksGone) {
				t.Errorf("Commit = %v, want %v", err, row.want)
			}
			if row.stored == "" {
				if there, err := direct.Exists(t.Context(), "b"); there || err != nil {
					t.Errorf("Exists = %v, %v, want nothing", there, err)
				}
				return
			}
			wantBlob(t, direct, "b", row.stored)
		})
	}
}

func TestARefusedCommitWithoutABlobIsNotSettled(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"BlobImmutableDueToPolicy", "BlobAlreadyExists"} {
		c, _, p := newContainer(t)
		b := staged(t, c, "b", []byte("x"), 10)
		once(p, "Put Block List", storagetest.Fail(409, code))
		err := c.Commit(t.Context(), "b", b.IDs(), "")
		wantStatus(t, "Commit", err, 409, code)
		if errors.Is(err, ErrDiffers) || errors.Is(err, ErrBlocksGone) {
			t.Errorf("Commit = %v", err)
		}
	}
}

func TestACommitThatCannotBeSettledIsAnError(t *testing.T) {
	t.Parallel()
	c, direct, p := newContainer(t)
	b := staged(t, c, "b", []byte("x"), 10)
	if err := direct.Commit(t.Context(), "b", b.IDs(), ""); err != nil {
		t.Fatal(err)
	}
	always(p, "Get Block List", storagetest.Fail(403, "AuthorizationFailure"))
	wantStatus(t, "Commit", c.Commit(t.Context(), "b", b.IDs(), ""), 403, "AuthorizationFailure")
}

// Of two runs at one name one commits whole, and the other is told so, though its blocks were staged in between.
func TestRivalsDoNotTouchEachOthersBlocks(t *testing.T) {
	t.Parallel()
	c, direct, _ := newContainer(t)
	one, two := c.Stage(t.Context(), "b"), direct.Stage(t.Context(), "b")
	one.BlockBytes, two.BlockBytes = 4, 4
	for range 5 {
		if _, err := one.Write([]byte("one!")); err != nil {
			t.Fatal(err)
		}
		if _, err := two.Write([]byte("two!")); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(one.Flush(), two.Flush()); err != nil {
		t.Fatal(err)
	}
	if err := c.Commit(t.Context(), "b", one.IDs(), ""); err != nil {
		t.Fatal(err)
	}
	if err := direct.Commit(t.Context(), "b", two.IDs(), ""); !errors.Is(err, ErrDiffers) {
		t.Errorf("the second Commit = %v, want ErrDiffers", err)
	}
	wantBlob(t, direct, "b", strings.Repeat("one!", 5))
}
