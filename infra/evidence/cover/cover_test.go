package cover

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
)

func day(n int) time.Time { return time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC) }

func days(from, to int) capture.Window { return capture.Window{Start: day(from), End: day(to)} }

// A said is what a batch says: of which days, and of each custodian "status" or "status reason", a seal for each list.
type said struct {
	from, to int
	number   int
	manifest pack.Manifest // its reason is "window" where none is given
	seals    []string      // "anna Collected, bo Failed code"; "?": cannot be read
	open     string        // no manifest: why
}

func (b said) tell(s *Source) {
	w := days(b.from, b.to)
	id := capture.BatchID(w, max(1, b.number))
	if b.open != "" {
		s.Open(id, w, b.open)
		return
	}
	m := b.manifest
	if m.Reason == "" {
		m.Reason = "window"
	}
	var seals []*pack.Seal
	for _, text := range b.seals {
		if text == "?" {
			seals = append(seals, nil)
			continue
		}
		seal := &pack.Seal{}
		for _, who := range strings.Split(text, ", ") {
			words := append(strings.Split(who, " "), "")
			k := pack.SealCustodian{ID: words[0], Status: capture.CustodianStatus(words[1]), Reason: words[2]}
			if words[2] == "found" {
				k.Found, k.Reason = 1, ""
			}
			if words[2] == "captured" {
				k.Captured, k.Reason = 1, ""
			}
			seal.Custodians = append(seal.Custodians, k)
		}
		seals = append(seals, seal)
	}
	s.Closed(id, w, &m, seals)
}

// text is a result in short: the share, and the gaps.
func text(r Result) string {
	lines := []string{fmt.Sprintf("%d of %d days", r.Covered/86400, r.Time/86400)}
	for _, g := range r.Gaps {
		lines = append(lines, fmt.Sprintf("%s %d..%d %s", g.Custodian, g.Period.Start.Day(), g.Period.End.Day(), g.Why))
	}
	return strings.Join(lines, "\n")
}

const (
	neverPlanned = "never planned: no batch for the period"
	notMonitored = "not monitored: in no seal of the batch"
)

func TestGapsAndTheirReasons(t *testing.T) {
	t.Parallel()
	abandoned := pack.Manifest{Status: capture.Abandoned}
	tests := []struct {
		name    string
		batches []said
		want    []string
	}{
		{"everything", []said{
			{from: 2, to: 3, seals: []string{"a Collected, b Collected"}}, {from: 3, to: 4, seals: []string{"a Collected, b Collected"}},
		}, []string{"4 of 4 days"}},
		{"a custodian left out of one batch", []said{
			{from: 2, to: 3, seals: []string{"a Collected, b Collected"}}, {from: 3, to: 4, seals: []string{"a Collected"}},
			{from: 4, to: 5, seals: []string{"a Collected, b Collected"}},
		}, []string{"5 of 6 days", "b 3..4 " + notMonitored}},
		{"a hole in the windows is one gap of everybody", []said{
			{from: 2, to: 3, seals: []string{"a Collected, b Collected"}}, {from: 5, to: 6, seals: []string{"a Collected, b Collected"}},
		}, []string{"4 of 8 days", " 3..5 " + neverPlanned}},
		{"a hole beside time that somebody was not monitored", []said{
			{from: 2, to: 3, seals: []string{"a Collected"}}, {from: 4, to: 5, seals: []string{"a Collected, b Collected"}},
		}, []string{"3 of 6 days", " 3..4 " + neverPlanned, "b 2..3 " + notMonitored}},
		{"excluded on several days is one gap", []said{
			{from: 2, to: 3, seals: []string{"a Excluded NoMailbox, b Collected"}},
			{from: 3, to: 4, seals: []string{"a Excluded NoMailbox, b Collected"}},
			{from: 4, to: 5, seals: []string{"a Excluded NotFound, b Collected"}},
		}, []string{"3 of 6 days", "a 2..4 excluded: NoMailbox", "a 4..5 excluded: NotFound"}},
		{"the last status in the batch counts", []said{
			{from: 2, to: 3, seals: []string{"a Collecting, b Collected", "a Collected, b Failed ErrorX"}},
		}, []string{"1 of 2 days", "b 2..3 failed: ErrorX"}},
		{"found in one part and captured in the next", []said{
			{from: 2, to: 3, seals: []string{"a Collecting found", "a Collected captured"}},
		}, []string{"1 of 1 days"}},
		{"found and not captured", []said{
			{from: 2, to: 3, seals: []string{"a Collected found"}},
		}, []string{"0 of 1 days", " 2..3 failed: not every item that was found is accounted for"}},
		{"not to its end", []said{{from: 2, to: 3, seals: []string{"a Waiting throttled, b Collected"}}},
			[]string{"1 of 2 days", "a 2..3 not collected to its end: throttled"}},
		{"abandoned: who was collected until then is covered", []said{
			{from: 2, to: 3, manifest: abandoned, seals: []string{"a Collected, b Failed ErrorX, c Excluded NotFound"}},
			{from: 3, to: 4, seals: []string{"a Collected, b Collected, c Collected, d Collected"}},
		}, []string{"5 of 8 days", "b 2..3 abandoned: ErrorX", "c 2..3 excluded: NotFound",
			"d 2..3 in no seal of a batch that was abandoned"}},
		{"a supplement closes a gap, before and after", []said{
			{from: 3, to: 4, number: 2, manifest: pack.Manifest{Reason: "gap"}, seals: []string{"b Collected"}},
			{from: 2, to: 3, seals: []string{"a Collected, b Failed ErrorX"}}, {from: 3, to: 4, seals: []string{"a Collected"}},
			{from: 2, to: 3, number: 2, manifest: pack.Manifest{Reason: "gap"}, seals: []string{"b Collected"}},
		}, []string{"4 of 4 days"}},
		{"a supplement says nothing of whom it does not name", []said{
			{from: 2, to: 3, seals: []string{"a Collected, b Collected"}},
			{from: 3, to: 4, manifest: pack.Manifest{Reason: "operator"}, seals: []string{"b Collected"}},
		}, []string{"3 of 4 days", "a 3..4 " + neverPlanned}},
		{"a batch of several windows over what a supplement covers in part", []said{
			{from: 2, to: 6, seals: []string{"a Failed ErrorX"}},
			{from: 3, to: 4, manifest: pack.Manifest{Reason: "gap"}, seals: []string{"a Collected"}},
		}, []string{"1 of 4 days", " 2..3 failed: ErrorX", " 4..6 failed: ErrorX"}},
		{"a seal that cannot be read", []said{
			{from: 2, to: 3, seals: []string{"a Collected", "?"}}, {from: 3, to: 4, seals: []string{"a Collected, b Collected"}},
		}, []string{"3 of 4 days", "b 2..3 not known: a seal cannot be read"}},
		{"seals that do not name everybody", []said{
			{from: 2, to: 3, seals: []string{"a Collected"}, manifest: pack.Manifest{
				Coverage: []pack.Coverage{{Scope: "custodians", Reason: "failed: the seals name 1 of 2"}}}},
			{from: 3, to: 4, seals: []string{"a Collected, b Collected"}},
		}, []string{"3 of 4 days", "b 2..3 in no seal of a batch whose seals do not name everybody"}},
		{"a batch without manifest", []said{
			{from: 2, to: 3, seals: []string{"a Collected"}}, {from: 3, to: 4, open: "open"},
			{from: 4, to: 5, seals: []string{"a Collected"}},
			{from: 5, to: 6, open: "beyond the last manifest"},
		}, []string{"2 of 3 days", " 3..4 open"}},
		{"a reason that was altered is not repeated", []said{{from: 2, to: 3, seals: []string{"a Failed x@y\x1b, b Collected"}}},
			[]string{"1 of 2 days", "a 2..3 failed: (unreadable)"}},
		{"nobody", []said{{from: 2, to: 3}, {from: 4, to: 5}}, []string{"0 of 0 days", " 2..3 " + notMonitored, " 3..4 " + neverPlanned,
			" 4..5 " + notMonitored}},
		{"a period that ends before it begins", []said{{from: 5, to: 2, seals: []string{"a Collected"}}}, []string{"0 of 0 days"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for range 8 { // whatever comes first
				s := NewSource()
				for _, i := range rand.Perm(len(test.batches)) {
					test.batches[i].tell(s)
				}
				if got, want := text(s.Result(time.Time{}, time.Time{})), strings.Join(test.want, "\n"); got != want {
					t.Fatalf("got\n%s\nwant\n%s", got, want)
				}
			}
		})
	}
}

func TestThePeriodMayBeGiven(t *testing.T) {
	t.Parallel()
	s := NewSource()
	counts := pack.Totals{Texts: pack.TextCounts{Extracted: 2, Failed: 1}, Synthesised: 1}
	for n := 4; n < 8; n++ {
		said{from: n, to: n + 1, manifest: pack.Manifest{Totals: counts}, seals: []string{"a Collected"}}.tell(s)
	}
	tests := []struct {
		from, to time.Time
		want     string
		texts    int
	}{
		{time.Time{}, time.Time{}, "4 of 4 days", 12},
		{day(5), day(6), "1 of 1 days", 3},
		{day(5).Add(time.Hour), day(6).Add(time.Hour), "1 of 1 days", 6},
		{day(2), time.Time{}, "4 of 6 days\n 2..4 " + neverPlanned, 12},
		{time.Time{}, day(10), "4 of 6 days\n 8..10 " + neverPlanned, 12},
		{day(1), day(3), "0 of 2 days\n 1..3 " + neverPlanned, 0},
		{day(9), time.Time{}, "0 of 0 days", 0},
		{time.Time{}, day(3), "0 of 0 days", 0},
	}
	for _, test := range tests {
		r := s.Result(test.from, test.to)
		if text(r) != test.want || r.Texts.Sum() != test.texts || r.Synthesised != test.texts/3 {
			t.Errorf("from %s to %s: %s, %d texts, %d synthesised, want %s",
				test.from, test.to, text(r), r.Texts.Sum(), r.Synthesised, test.want)
		}
	}
}

func TestAnExceptionIsOpenUntilAManifestClosesIt(t *testing.T) {
	t.Parallel()
	first, second := capture.BatchID(days(2, 3), 1), capture.BatchID(days(3, 4), 1)
	s := NewSource()
	said{from: 3, to: 4, manifest: pack.Manifest{Closed: []pack.Closed{
		{Batch: first, Item: "one", How: "Captured"}, {Batch: first, Item: "one", How: "Captured"}, {Batch: first, Item: "of nobody"},
	}}, seals: []string{"a Collected"}}.tell(s)
	said{from: 2, to: 3, seals: []string{"a Collected"}}.tell(s)
	for _, item := range []string{"one", "two", "three", "three"} {
		s.Excepted(first, item)
	}
	s.Excepted(second, "one")
	for _, test := range []struct{ from, to, open, ended int }{{2, 4, 3, 1}, {2, 3, 2, 1}, {3, 4, 1, 0}} {
		if r := s.Result(day(test.from), day(test.to)); r.Open != test.open || r.Ended != test.ended {
			t.Errorf("days %d to %d: %d open, %d closed, want %d, %d", test.from, test.to, r.Open, r.Ended, test.open, test.ended)
		}
	}
}

func TestWhatIsCoveredInPartIsTold(t *testing.T) {
	t.Parallel()
	s := NewSource()
	note := func(custodian, scope string) pack.Coverage {
		return pack.Coverage{Custodian: custodian, Scope: scope, Reason: "x"}
	}
	for n := 2; n < 5; n++ {
		m := pack.Manifest{Coverage: []pack.Coverage{note("", "hidden folders"), note("", "text: Failed"), note("a", "mailbox")}}
		if n != 3 {
			m.Coverage = append(m.Coverage, note("b", "archive mailbox"), note("a", "calendar"), note("a", "hidden folders"))
		}
		said{from: n, to: n + 1, manifest: m, seals: []string{"a Collected, b Collected"}}.tell(s)
	}
	r := s.Result(time.Time{}, day(4))
	want := []Partly{{"a", "calendar", days(2, 3)}, {"b", "archive mailbox", days(2, 3)}}
	if !slices.Equal(r.Partly, want) || !slices.Equal(r.Rules, []string{"hidden folders"}) {
		t.Errorf("got %v, %v", r.Partly, r.Rules)
	}
}

// What is kept of a custodian grows with the gaps, and not with the batches.
func TestManyBatchesAreFewStretches(t *testing.T) {
	t.Parallel()
	s := NewSource()
	const batches, custodians = 10000, 5
	start := day(2)
	order := rand.Perm(batches)
	slices.SortFunc(order, func(a, b int) int { return a/16 - b/16 }) // as they come from those that are read side by side
	longest := 0
	for _, i := range order {
		w := capture.Window{Start: start.Add(time.Duration(i) * time.Hour), End: start.Add(time.Duration(i+1) * time.Hour)}
		seal := &pack.Seal{}
		for k := range custodians {
			status := capture.Collected
			if k == 0 && (i == 4000 || i == 7000) {
				status = capture.Failed
			}
			seal.Custodians = append(seal.Custodians, pack.SealCustodian{ID: fmt.Sprint(k), Status: status})
		}
		s.Closed(capture.BatchID(w, 1), w, &pack.Manifest{Reason: "window"}, []*pack.Seal{seal})
		longest = max(longest, len(s.custodians["0"]))
	}
	r := s.Result(time.Time{}, time.Time{})
	if len(r.Gaps) != 2 || r.Time-r.Covered != 2*3600 || r.Time != batches*custodians*3600 {
		t.Errorf("gaps %v, %d of %d", r.Gaps, r.Covered, r.Time)
	}
	if len(s.custodians["0"]) != 5 || len(s.custodians["1"]) != 1 || len(s.periods) != 1 || longest > 5+16 {
		t.Errorf("stretches: %d, %d, %d, at most %d", len(s.custodians["0"]), len(s.custodians["1"]), len(s.periods), longest)
	}
}

// A line says of every second what the highest of all that was put there says.
func TestALineIsWhatWasPut(t *testing.T) {
	t.Parallel()
	states := []state{{planned, ""}, {excluded, "a"}, {excluded, "b"}, {failed, "c"}, {covered, ""}}
	for range 2000 {
		var l line
		var want [40]*state
		for range 1 + rand.IntN(12) {
			from := rand.IntN(39)
			to, s := from+1+rand.IntN(40-from-1), states[rand.IntN(len(states))]
			l = l.put(capture.Window{Start: time.Unix(int64(from), 0), End: time.Unix(int64(to), 0)}, s)
			for i := from; i < to; i++ {
				if want[i] == nil || s.over(*want[i]) {
					want[i] = &s
				}
			}
		}
		var got [40]*state
		for i, st := range l {
			if i > 0 && (st.start < l[i-1].end || st.start == l[i-1].end && st.state == l[i-1].state) || st.start >= st.end {
				t.Fatalf("stretches out of order, or not joined: %v", l)
			}
			for j := st.start; j < st.end; j++ {
				got[j] = &st.state
			}
		}
		for i := range got {
			if (got[i] == nil) != (want[i] == nil) || got[i] != nil && *got[i] != *want[i] {
				t.Fatalf("second %d: %v, want %v; line %v", i, got[i], want[i], l)
			}
		}
	}
}
