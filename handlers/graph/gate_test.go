package graph

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"chainmail/handlers/graph/graphtest"
)

func newTestGate(t *testing.T, clock *testClock) *gate {
	return newGate(Clock{Now: clock.Now, Sleep: clock.Sleep}, time.Hour, graphtest.NewLog(t).Logger())
}

func enter(t *testing.T, g *gate, mailbox string, slots int64, requests int) func() {
	t.Helper()
	leave, err := g.enter(t.Context(), mailbox, slots, requests)
	if err != nil {
		t.Fatal(err)
	}
	return leave
}

func TestGateLetsFourIntoAMailbox(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(t, newTestClock())
		var leave []func()
		for range mailboxSlots {
			leave = append(leave, enter(t, g, "a", 1, 1))
		}
		entered := make(chan func())
		go func() { entered <- enter(t, g, "a", 1, 1) }()
		synctest.Wait()
		select {
		case <-entered:
			t.Fatal("a fifth request entered")
		default:
		}
		enter(t, g, "b", mailboxSlots, 1)() // another mailbox is not concerned
		leave[0]()
		(<-entered)()
		for _, l := range leave[1:] {
			l()
		}
		enter(t, g, "a", mailboxSlots, 1)()
	})
}

func TestGateWaitEndsWithTheContext(t *testing.T) {
	t.Parallel()
	g := newTestGate(t, newTestClock())
	leave := enter(t, g, "a", mailboxSlots, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.enter(ctx, "a", 1, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("enter = %v, want Canceled", err)
	}
	leave()
	enter(t, g, "a", mailboxSlots, 1)()
}

func TestGateCountsTenThousandInTenMinutes(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	g := newTestGate(t, clock)
	for range mailboxRequests / 20 {
		enter(t, g, "a", mailboxSlots, 20)()
	}
	if got := clock.total(); got != 0 {
		t.Fatalf("the first 10,000 waited %v", got)
	}
	enter(t, g, "b", 1, 1)()
	if got := clock.total(); got != 0 {
		t.Fatalf("another mailbox waited %v", got)
	}
	enter(t, g, "a", 1, 1)()
	if got := clock.total(); got < mailboxWindow || got > mailboxWindow+2*time.Second {
		t.Errorf("request 10,001 waited %v, want ten minutes", got)
	}
}

func TestGateNeverExceedsTheWindowAtASteadyPace(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	g := newTestGate(t, clock)
	var sent []time.Time
	for i := range 25_000 {
		enter(t, g, "a", 1, 1)()
		now := clock.Now()
		sent = append(sent, now)
		if i >= mailboxRequests && now.Sub(sent[i-mailboxRequests]) < mailboxWindow {
			t.Fatalf("request %d came %v after the one 10,000 before it", i, now.Sub(sent[i-mailboxRequests]))
		}
		if i%7 == 0 {
			_ = clock.Sleep(t.Context(), 130*time.Millisecond)
		}
	}
}

func TestGateFences(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		wide    bool
		mailbox string
		waits   bool
	}{
		{"the mailbox", false, "a", true},
		{"not another", false, "b", false},
		{"all when wide", true, "b", true},
		{"the directory too when wide", true, directory, true},
	}
	for _, tt := range tests {
		clock := newTestClock()
		g := newTestGate(t, clock)
		g.close("a", tt.wide, clock.Now().Add(time.Minute))
		g.close("a", tt.wide, clock.Now().Add(time.Second)) // never brought forward
		enter(t, g, tt.mailbox, 1, 1)()
		if want := map[bool]time.Duration{true: time.Minute}[tt.waits]; clock.total() != want {
			t.Errorf("%s: waited %v, want %v", tt.name, clock.total(), want)
		}
	}
}

func TestGateSaysUntilWhenItsPatienceIsTooShort(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	g := newTestGate(t, clock)
	until := clock.Now().Add(2 * time.Hour)
	g.close("a", false, until)
	_, err := g.enter(t.Context(), "a", 1, 1)
	if MeaningOf(err) != Throttled || !Until(err).Equal(until) || clock.total() != 0 {
		t.Errorf("enter = %v until %v after %v, want throttled until %v at once", err, Until(err), clock.total(), until)
	}
	clock.now = until
	enter(t, g, "a", mailboxSlots, 1)() // nothing was kept
}

func TestGateForgetsMailboxesThatNobodyUses(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	g := newTestGate(t, clock)
	kept := enter(t, g, "kept", 1, 1)
	for i := range 1500 {
		enter(t, g, fmt.Sprint("m", i), 1, 1)()
	}
	_ = clock.Sleep(t.Context(), 2*mailboxWindow)
	for i := range 1000 {
		enter(t, g, fmt.Sprint("n", i), 1, 1)()
	}
	if n := len(g.lanes); n > 1200 {
		t.Errorf("%d lanes are left", n)
	}
	if g.lanes["kept"] == nil {
		t.Error("a lane in use was swept")
	}
	kept()
}
