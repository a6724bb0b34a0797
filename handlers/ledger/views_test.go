package ledger

import (
	"fmt"
	"slices"
	"testing"

	"chainmail/handlers/capture"
)

// walk reads everything in slices of two and gives the keys.
func walk[T any](t *testing.T, read func(after string, top int) (Slice[T], error)) []string {
	t.Helper()
	var keys []string
	for after := ""; ; {
		s, err := read(after, 2)
		must(t, err)
		if len(s.Rows) != len(s.Keys) || len(s.Rows) > 2 || s.Next != "" && len(s.Rows) != 2 {
			t.Fatalf("a slice of %d rows, %d keys, next %q", len(s.Rows), len(s.Keys), s.Next)
		}
		keys = append(keys, s.Keys...)
		if s.Next == "" {
			return keys
		}
		after = s.Next
	}
}

func TestRowsAreReadInSlices(t *testing.T) {
	t.Parallel()
	l := empty(t)
	var people []string
	for i := range 5 {
		p := Person{Identifier: fmt.Sprintf("p%d@x.example", i)}
		put(t, l, "person:"+PersonKey(p.Identifier), p)
		people = append(people, PersonKey(p.Identifier))
	}
	slices.Sort(people)
	var batches []string
	for i := range 4 {
		b := hours(i, i+1, capture.ReasonWindow)
		b.Status = capture.Created
		if i > 1 {
			b.Status = capture.Completed
		}
		put(t, l, batchKey(b.ID), b)
		put(t, l, openKey(b.ID), struct{}{})
		batches = append(batches, b.ID)
	}
	for i, item := range []string{"a", "b", "c"} {
		e := Exception{Custodian: "c1", Item: Packed[capture.Item]{capture.Item{GraphID: item}}}
		if i == 1 {
			e.Closed = ClosedVanished
		}
		put(t, l, exceptionKey("c1", e.Item.V.Key()), e)
	}
	put(t, l, "gap:p1:none:x", Gap{Person: "p1"})

	got := walk(t, func(after string, top int) (Slice[Person], error) {
		return l.PeopleSlice(t.Context(), source, after, top)
	})
	if !slices.Equal(got, people) {
		t.Errorf("people %v, want %v", got, people)
	}
	for status, want := range map[string][]string{"": batches, "Completed": batches[2:], "Abandoned": nil} {
		got := walk(t, func(after string, top int) (Slice[Batch], error) {
			return l.BatchesSlice(t.Context(), source, status, after, top)
		})
		if !slices.Equal(got, want) {
			t.Errorf("batches of status %q: %v, want %v", status, got, want)
		}
	}
	open := walk(t, func(after string, top int) (Slice[Exception], error) {
		return l.ExceptionsSlice(t.Context(), source, after, top)
	})
	if len(open) != 2 || slices.Contains(open, "c1:"+capture.ItemKey("b")) {
		t.Errorf("exceptions %v, want those of a and c", open)
	}
	if gaps, err := l.GapsSlice(t.Context(), source, "", 2); err != nil || len(gaps.Rows) != 1 || gaps.Keys[0] != "p1:none:x" {
		t.Errorf("gaps %v, %v", gaps.Keys, err)
	}
	if e, err := l.Exception(t.Context(), source, "c1", capture.ItemKey("b")); err != nil || e.Value.Closed != ClosedVanished {
		t.Errorf("Exception() = %+v, %v", e.Value, err)
	}
}

func TestASliceBeginsAtNothingButAKey(t *testing.T) {
	t.Parallel()
	l := empty(t)
	for _, after := range []string{"a' or PartitionKey gt '", "a b", "ä", "<"} {
		if SliceAfter(after) {
			t.Errorf("SliceAfter(%q)", after)
		}
		if _, err := l.GapsSlice(t.Context(), source, after, 1); err == nil {
			t.Errorf("a slice begins at %q", after)
		}
	}
	if _, err := l.GapsSlice(t.Context(), source, "", 0); err == nil {
		t.Error("a slice has no row")
	}
}
