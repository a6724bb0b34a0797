package vault

import (
	"errors"
	"io"
	"strings"
	"testing"

	"chainmail/handlers/vault/storagetest"
)

// written gives a function that writes data in small steps.
func written(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		for len(data) > 0 {
			n := min(len(data), 70_001)
			if _, err := w.Write(data[:n]); err != nil {
				return err
			}
			data = data[n:]
		}
		return nil
	}
}

func TestAStreamIsPutInOneRequestOrInBlocks(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		size  int
		verbs string
	}{
		"nothing":           {0, "Put Blob"},
		"a little":          {100, "Put Blob"},
		"less than a block": {stateBytes - 1, "Put Blob"},
		"a block":           {stateBytes, "Put Block,Put Block List"},
		"more":              {2*stateBytes + 1, "Put Block,Put Block,Put Block,Put Block List"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, direct, p := newContainer(t)
			if err := direct.Put(t.Context(), "s", []byte("what lay there")); err != nil {
				t.Fatal(err)
			}
			data, before := pattern(row.size), len(p.Ops())
			if err := c.PutStream(t.Context(), "s", written(data)); err != nil {
				t.Fatal(err)
			}
			wantBlob(t, direct, "s", string(data))
			var verbs []string
			for _, op := range p.Ops()[before:] {
				verbs = append(verbs, op.Verb)
			}
			if got := strings.Join(verbs, ","); got != row.verbs {
				t.Errorf("requests %s, want %s", got, row.verbs)
			}
		})
	}
}

func TestAStreamThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, size := range []int{0, 10, 3 * stateBytes} {
		c, direct, _ := newContainer(t)
		if err := direct.Put(t.Context(), "s", []byte("before")); err != nil {
			t.Fatal(err)
		}
		err := c.PutStream(t.Context(), "s", func(w io.Writer) error {
			return errors.Join(written(pattern(size))(w), broken)
		})
		if !errors.Is(err, broken) {
			t.Errorf("%d bytes: PutStream = %v, want the writer's error", size, err)
		}
		wantBlob(t, direct, "s", "before")
	}
}

func TestAStreamWhoseBlocksAreRefusedIsAnError(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"Put Block", "Put Block List"} {
		c, direct, p := newContainer(t)
		p.OnRequest(func(op storagetest.Op) storagetest.Action {
			if op.Verb == verb {
				return storagetest.Fail(403, "AuthorizationFailure")
			}
			return storagetest.Pass
		})
		var e *Error
		if err := c.PutStream(t.Context(), "s", written(pattern(3*stateBytes))); !errors.As(err, &e) || e.Status != 403 {
			t.Errorf("%s refused: PutStream = %v, want status 403", verb, err)
		}
		if there, err := direct.Exists(t.Context(), "s"); there || err != nil {
			t.Errorf("%s refused: Exists = %v, %v", verb, there, err)
		}
	}
}
