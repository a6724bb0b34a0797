package mailfmt

import (
	"testing"
	"unicode"
)

func TestShortcutsToTheKindOfACharacterAgreeWithTheRule(t *testing.T) {
	t.Parallel()
	for r := range rune(unicode.MaxRune) {
		if got, want := kindOf(r), slowKind(r); got != want {
			t.Fatalf("U+%04X is %d, by the rule %d", r, got, want)
		}
	}
}

func TestAHashSetHasWhatWasAdded(t *testing.T) {
	t.Parallel()
	var s hashSet
	s.grow()
	for i := range uint64(10_000) {
		if h := i * 3; s.has(h) && i > 0 {
			t.Fatalf("%d is in the set before it was added", h)
		}
		s.add(i * 3)
		s.add(i * 3)
	}
	for i := range uint64(30_000) {
		if want := i%3 == 0 || i == 1; s.has(i) != want { // 0 and 1 share a slot
			t.Fatalf("has %d: %v, want %v", i, !want, want)
		}
	}
}
