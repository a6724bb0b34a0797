package collect

import (
	"slices"
	"testing"

	"chainmail/handlers/vault"
	"chainmail/handlers/vault/storagetest"
)

func TestADeathLeavesSuspectsAndASecondOneAloneAKiller(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		trail  trail
		deaths int
		want   trail
	}{
		{"no death since", trail{Deaths: 1, Busy: []string{"a"}, Alone: "a"}, 1, trail{Deaths: 1}},
		{"a death with several under way", trail{Deaths: 1, Busy: []string{"a", "b"}}, 2, trail{Deaths: 1, Suspects: []string{"a", "b"}}},
		{"another adds to the suspects", trail{Deaths: 2, Busy: []string{"c", "b"}, Suspects: []string{"a", "b"}}, 3,
			trail{Deaths: 2, Suspects: []string{"a", "b", "c"}}},
		{"a death over a suspect alone", trail{Deaths: 2, Busy: []string{"b"}, Alone: "b", Suspects: []string{"a", "b"}}, 3,
			trail{Deaths: 2, Suspects: []string{"a"}, Killers: []string{"b"}}},
		{"read twice it says the same", trail{Deaths: 2, Alone: "b", Killers: []string{"b"}}, 4, trail{Deaths: 2, Killers: []string{"b"}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := row.trail.judged(row.deaths)
			if got.Deaths != row.want.Deaths || got.Alone != "" || len(got.Busy) > 0 ||
				!slices.Equal(got.Suspects, row.want.Suspects) || !slices.Equal(got.Killers, row.want.Killers) {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
		})
	}
}

// watchState is an empty state container.
func watchState(t *testing.T) *vault.Container {
	t.Helper()
	v, err := vault.Open(vault.Account{ConnectionString: storagetest.New(t).ConnectionString()})
	if err != nil {
		t.Fatal(err)
	}
	c := v.Container("state")
	if err := c.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func begun(t *testing.T, w *watch, work string) (end func()) {
	t.Helper()
	end, err := w.begin(t.Context(), work)
	if err != nil {
		t.Fatal(err)
	}
	return end
}

func TestAWatchWritesNothingBeforeTheFirstDeath(t *testing.T) {
	t.Parallel()
	state := watchState(t)
	w, err := openWatch(t.Context(), state, "watch/w.json", 0)
	if err != nil {
		t.Fatal(err)
	}
	begun(t, w, "u/a")()
	if there, err := state.Exists(t.Context(), "watch/w.json"); err != nil || there {
		t.Errorf("exists = %v, %v", there, err)
	}
}

func TestSuspectsAreTakenAloneAndTheOneFoundAloneIsNotBegunAgain(t *testing.T) {
	t.Parallel()
	state := watchState(t)
	open := func(deaths int) *watch {
		t.Helper()
		w, err := openWatch(t.Context(), state, "watch/w.json", deaths)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	one := open(1)
	begun(t, one, "u/a")
	begun(t, one, "u/b")
	begun(t, one, "u/c")()
	begun(t, one, "u/d") // what has ended is not written down again; here the run dies

	two := open(2)
	if two.killed("u/a") {
		t.Error("a suspect is taken for the killer")
	}
	beside := begun(t, two, "u/c")
	alone := make(chan func())
	go func() { alone <- begun(t, two, "u/a") }()
	select {
	case <-alone:
		t.Error("a suspect was begun beside other work")
	default:
	}
	beside()
	<-alone // the run dies over it

	three := open(3)
	if !three.killed("u/a") || three.killed("u/b") {
		t.Error("the killer is not known, or taken for another")
	}
	begun(t, three, "u/b")() // comes through alone: a suspect no more
	end := begun(t, three, "u/b")
	begun(t, three, "u/e")() // would wait for ever for a suspect
	end()
}
