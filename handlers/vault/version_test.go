package vault

import (
	"errors"
	"testing"
)

func TestABlobIsReplacedAsItWasReadAlone(t *testing.T) {
	t.Parallel()
	c, _, _ := newContainer(t)
	none, first, err := c.GetVersion(t.Context(), "a")
	if err != nil || none != nil || first.Exists() {
		t.Fatalf("GetVersion of nothing = %q, %v, %v", none, first, err)
	}
	if err := c.Replace(t.Context(), "a", []byte("one"), first); err != nil {
		t.Fatal(err)
	}
	if err := c.Replace(t.Context(), "a", []byte("rival"), first); !errors.Is(err, ErrChanged) {
		t.Errorf("Replace of what is there as if it were not = %v, want ErrChanged", err)
	}
	data, read, err := c.GetVersion(t.Context(), "a")
	if err != nil || string(data) != "one" || !read.Exists() {
		t.Fatalf("GetVersion = %q, %v", data, err)
	}
	if err := c.Replace(t.Context(), "a", []byte("two"), read); err != nil {
		t.Fatal(err)
	}
	if err := c.Replace(t.Context(), "a", []byte("three"), read); !errors.Is(err, ErrChanged) {
		t.Errorf("Replace of an old version = %v, want ErrChanged", err)
	}
	if err := c.Replace(t.Context(), "a", []byte("two"), read); err != nil {
		t.Errorf("Replace by what lies there already, as a second try would = %v", err)
	}
	if data, err := c.Get(t.Context(), "a"); err != nil || string(data) != "two" {
		t.Errorf("Get = %q, %v, want two", data, err)
	}
	if err := c.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := c.Replace(t.Context(), "a", []byte("four"), read); !errors.Is(err, ErrChanged) {
		t.Errorf("Replace of what is gone = %v, want ErrChanged", err)
	}
}
