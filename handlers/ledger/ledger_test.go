package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"chainmail/handlers/capture"
	"chainmail/handlers/vault/storagetest"
)

const (
	source = "o365-mail"
	first  = "20260302000000UTC-20260303000000UTC"
	second = "20260303000000UTC-20260304000000UTC"
	third  = "20260304000000UTC-20260305000000UTC"
)

// now is the time of all tests. Nothing in the package looks at a clock.
var now = time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, connection string) *Ledger {
	t.Helper()
	l, err := Open(Account{ConnectionString: connection})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// empty is a ledger of its own, behind a proxy as strict as Azure.
func empty(t *testing.T) *Ledger {
	t.Helper()
	return open(t, storagetest.New(t).Proxy(t).ConnectionString())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put writes a row without a word about what is there.
func put(t *testing.T, l *Ledger, key string, value any) {
	t.Helper()
	must(t, l.commit(t.Context(), source, insert(key, value)))
}

func batchOf(id string, lanes ...int) Batch {
	b := Batch{
		ID: id, Start: instant(id[:17]), End: instant(id[18:35]), N: 1, Reason: "window", Snapshot: "snapshots/" + id,
		SnapshotSHA256: "aa", Custodians: len(lanes), Lanes: Packed[[]int]{lanes}, ConfigSHA256: "bb",
	}
	b.Enter(capture.Created, now, 0)
	return b
}

func instant(s string) time.Time {
	t, err := time.Parse("20060102150405UTC", s)
	if err != nil {
		panic(err)
	}
	return t
}

// create makes batches as a planner does.
func create(t *testing.T, l *Ledger, batches ...Batch) {
	t.Helper()
	for _, b := range batches {
		row, err := l.Source(t.Context(), source)
		must(t, err)
		row.Value.State = b.End
		must(t, l.CreateBatch(t.Context(), source, row, b))
	}
}

// dispatch gives the lanes of all open batches their turns.
func dispatch(t *testing.T, l *Ledger, at time.Time) []capture.Chunk {
	t.Helper()
	batches, err := l.OpenBatches(t.Context(), source)
	must(t, err)
	chunks, err := l.Dispatch(t.Context(), source, batches, at, false)
	must(t, err)
	return chunks
}

func chunkOf(batch string, lane int) capture.Chunk {
	return capture.Chunk{Source: source, Batch: batch, Lane: lane}
}

// take makes the run the holder of a chunk for a minute.
func take(t *testing.T, l *Ledger, c capture.Chunk, run string, at time.Time) *Work {
	t.Helper()
	w, err := l.Take(t.Context(), c, run, at, at.Add(time.Minute))
	must(t, err)
	return &w
}

func laneRow(t *testing.T, l *Ledger, number int) Lane {
	t.Helper()
	r, err := find[Lane](t.Context(), l, source, laneKey(number))
	must(t, err)
	return r.Value
}

func chunkRow(t *testing.T, l *Ledger, batch string, lane int) Chunk {
	t.Helper()
	r, err := l.Chunk(t.Context(), source, batch, lane)
	must(t, err)
	return r.Value
}

// dump is everything in the table but versions, nonces and the service's own times.
func dump(t *testing.T, l *Ledger) string {
	t.Helper()
	var text strings.Builder
	pages := l.table.NewListEntitiesPager(nil)
	for pages.More() {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		for _, entity := range page.Entities {
			var e map[string]any
			must(t, json.Unmarshal(entity, &e))
			for _, own := range []string{"odata.etag", "odata.metadata", "Timestamp", "Nonce"} {
				delete(e, own)
			}
			line, err := json.Marshal(e)
			must(t, err)
			fmt.Fprintf(&text, "%s\n", line)
		}
	}
	return text.String()
}

// roundTrip writes a row, reads it, writes what was read over it and reads it again.
func roundTrip[T any](t *testing.T, name string, value T) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		l := empty(t)
		put(t, l, "row", value)
		got, err := get[T](t.Context(), l, source, "row")
		must(t, err)
		must(t, l.commit(t.Context(), source, replace("row", got)))
		got, err = get[T](t.Context(), l, source, "row")
		if err != nil || !reflect.DeepEqual(got.Value, value) {
			t.Errorf("read %+v, %v, want %+v", got.Value, err, value)
		}
	})
}

func TestRowsComeBackAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	at := now.Add(123456789 * time.Nanosecond)
	roundTrip(t, "source", Source{State: at, EnabledAt: at, PeopleAt: at, LastRun: at, LastError: "Throttled", LastErrorAt: at})
	roundTrip(t, "new source", Source{})
	roundTrip(t, "head", Head{Sequence: 7, ManifestSHA256: "ab"})
	roundTrip(t, "config", Config{SHA256: "ab", AcceptedAt: at, Rejected: "cd", Faults: 3})
	b := batchOf(first, 0, 1, 99999)
	b.Sequence, b.Manifest, b.ManifestSHA256, b.Documents, b.Published = 2_000_000_000, "manifests/x", "cc", 123_456_789, true
	b.Enter(capture.Completed, at, 9)
	roundTrip(t, "batch", b)
	roundTrip(t, "batch of nobody", batchOf(first))
	roundTrip(t, "lane", Lane{Number: 3, Batch: first, Emitted: at, Emits: 2, Run: "r", Until: at})
	roundTrip(t, "chunk", Chunk{
		Batch: first, Lane: 3, Status: ChunkPendingRetry, Run: "r", Started: at, Attempts: 2, Due: at, Final: true, Part: 4,
		Burnt: Packed[[]int]{[]int{2}}, Record: "records/x", Pending: "records/y", Documents: 11,
	})
	roundTrip(t, "person", Person{
		Identifier: "o'brien@contoso.example", Secondary: Packed[[]string]{[]string{"ü@contoso.example", `"quoted"@x.example`}},
		DisplayName: "Zoë \U0001F600 <&>\u2028\t", FirstName: "Zoë", LastName: "O'Brien",
		Intervals: Packed[[]Interval]{[]Interval{{From: at, Cause: "list"}, {To: at, Cause: "group"}}},
		ObjectID:  "1", Lane: 4, Reason: "guest", CheckedAt: at,
	})
	roundTrip(t, "exception", Exception{
		Item:      Packed[capture.Item]{capture.Item{GraphID: "AAA=/+", Folder: "In\u0001box/\ufffe", State: capture.Purged, Received: at}},
		Custodian: "c", Batch: first, Stage: "fetch", Code: "Vanished", Attempts: 3, FirstSeen: at, LastSeen: at,
	})
}

// intervals is what someone collects who joins and leaves a group again and again.
func intervals(n int) []Interval {
	var all []Interval
	for i := range n {
		from := now.Add(time.Duration(i) * time.Hour)
		all = append(all, Interval{From: from, To: from.Add(30 * time.Minute), Cause: "0b0c2a5e-7a54-4d0c-8f2f-3d1f8a4b9c55"})
	}
	return all
}

func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func TestRowsOutgrowOneTextProperty(t *testing.T) {
	t.Parallel()
	secondary := make([]string, 100)
	for i := range secondary {
		secondary[i] = fmt.Sprintf("%s-%d@contoso.example", strings.Repeat("ü", 200), i)
	}
	stages := batchOf(first, numbers(400)...)
	for len(stages.Statuses.V) < 50 {
		stages.Enter(capture.CompletedWithDocumentLevelErrors, now, 1_000_000)
	}
	roundTrip(t, "400 lanes and 50 stages", stages)
	roundTrip(t, "60,000 lanes", batchOf(first, numbers(60_000)...))
	roundTrip(t, "20,000 burnt parts", Chunk{Batch: first, Started: now, Burnt: Packed[[]int]{numbers(20_000)}})
	roundTrip(t, "3,000 intervals, 100 long secondaries", Person{
		Identifier: "a@contoso.example", Secondary: Packed[[]string]{secondary}, Intervals: Packed[[]Interval]{intervals(3000)},
	})
	roundTrip(t, "a name of emoji", Person{DisplayName: strings.Repeat("\U0001F600", 20_000)})
	roundTrip(t, "a name of three-byte characters", Person{DisplayName: strings.Repeat("x", 1) + strings.Repeat("語", 40_000)})
	for _, n := range []int{maxText - 1, maxText, maxText + 1, 2 * maxText, 2*maxText + 1} {
		roundTrip(t, fmt.Sprintf("%d characters", n), Person{DisplayName: strings.Repeat("x", n)})
	}
}

func TestARowThatShrinksLeavesNoPieces(t *testing.T) {
	t.Parallel()
	l := empty(t)
	create(t, l, batchOf(first, numbers(20_000)...))
	b, err := l.Batch(t.Context(), source, first)
	must(t, err)
	b.Value.Lanes.V = []int{1}
	must(t, l.commit(t.Context(), source, replace(batchKey(first), b)))
	b, err = l.Batch(t.Context(), source, first)
	if err != nil || !slices.Equal(b.Value.Lanes.V, []int{1}) {
		t.Errorf("lanes = %d of them, %v, want [1]", len(b.Value.Lanes.V), err)
	}
	if strings.Contains(dump(t, l), "Lanes_2") {
		t.Error("a piece of the longer text is still there")
	}
}

func FuzzSplitTextsComeBackWhole(f *testing.F) {
	for _, s := range []string{"", "x", "語", "\U0001F600", "\xff\xfe", `"\`} {
		f.Add(s, 1)
		f.Add(s, maxText/2)
		f.Add("x"+s, maxText)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		if len(s) > 64 {
			s = s[:64]
		}
		s = strings.ToValidUTF8(strings.Repeat(s, min(max(n, 0), maxText)), "")
		entity := map[string]any{"Text": s, "Number": 1}
		split(entity)
		for name, v := range entity {
			if piece, ok := v.(string); ok && (len(utf16.Encode([]rune(piece))) > 32768 || piece != strings.ToValidUTF8(piece, "")) {
				t.Fatalf("%s does not fit into a property", name)
			}
		}
		data, err := json.Marshal(entity)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode[struct{ Text string }](data)
		if err != nil || got.Value.Text != s {
			t.Errorf("%d bytes came back as %d, %v", len(s), len(got.Value.Text), err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"odata.etag":"W/\"1\"","Identifier":"a","Secondary":"[\"b\"]","Intervals":"null","Lane":3}`))
	f.Add([]byte(`{"Secondary":7}`))
	f.Add([]byte(`{"Secondary":"{"}`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`{"Identifier":"x","Identifier_2":"y","Identifier_3":4,"Lane":1,"Lane_2":"z"}`))
	f.Fuzz(func(t *testing.T, entity []byte) {
		long := slices.Concat(entity, bytes.Repeat([]byte(" "), maxText)) // may hold cut texts
		for _, e := range [][]byte{entity, long} {
			row, err := decode[Person](e)
			if err != nil {
				continue
			}
			again, err := encode(source, insert("row", row.Value), "nonce")
			if err != nil {
				t.Fatalf("a row that was read cannot be written: %v", err)
			}
			if back, err := decode[Person](again); err != nil || !reflect.DeepEqual(back.Value, row.Value) {
				t.Errorf("%+v came back as %+v, %v", row.Value, back.Value, err)
			}
		}
	})
}

func TestAListGoesOnOverPages(t *testing.T) {
	t.Parallel()
	l := empty(t)
	const n = 1100 // a page has 1,000
	for from := 0; from < n; from += 100 {
		var changes []change
		for i := from; i < from+100; i++ {
			changes = append(changes, insert(fmt.Sprintf("person:%05d", i), Person{Identifier: fmt.Sprint(i), Lane: i}))
		}
		must(t, l.commit(t.Context(), source, changes...))
	}
	put(t, l, "personal", Person{}) // keys beside the prefix
	put(t, l, "person;", Person{})
	people, err := l.People(t.Context(), source)
	if err != nil || len(people) != n {
		t.Fatalf("%d people, %v, want %d", len(people), err, n)
	}
	for i, p := range people {
		if p.Value.Lane != i || !p.Exists() {
			t.Fatalf("person %d has lane %d", i, p.Value.Lane)
		}
	}
}

func TestSourcesDoNotMeet(t *testing.T) {
	t.Parallel()
	l := empty(t)
	create(t, l, batchOf(first, 0))
	must(t, l.PutConfig(t.Context(), Row[Config]{Value: Config{SHA256: "ab"}}))
	other, err := l.Batches(t.Context(), "other")
	if err != nil || len(other) != 0 {
		t.Errorf("another source has %d batches, %v", len(other), err)
	}
	if row, err := l.Source(t.Context(), "other"); err != nil || row.Exists() {
		t.Errorf("another source has a row (%v)", err)
	}
	if c, err := l.Config(t.Context()); err != nil || c.Value.SHA256 != "ab" {
		t.Errorf("config = %+v, %v", c.Value, err)
	}
}

func TestEnsureIsDoneOnceByMany(t *testing.T) {
	t.Parallel()
	account := storagetest.New(t)
	for range 2 {
		open(t, account.ConnectionString())
	}
}

func TestAMissingTableIsNoMissingRow(t *testing.T) {
	t.Parallel()
	l, err := Open(Account{ConnectionString: storagetest.New(t).Proxy(t).ConnectionString()})
	must(t, err)
	_, batch := l.Batch(t.Context(), source, first)
	_, _, leave := l.Leave(t.Context(), &Work{Source: source, Run: "r"}, now)
	_, people := l.People(t.Context(), source)
	_, held := l.Take(t.Context(), chunkOf(first, 0), "r", now, now)
	for name, err := range map[string]error{
		"batch": batch, "leave": leave, "people": people, "take": held,
		"put config": l.PutConfig(t.Context(), Row[Config]{}),
	} {
		var e *Error
		if !errors.As(err, &e) || e.Code != "TableNotFound" || errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) {
			t.Errorf("%s: %v, want TableNotFound", name, err)
		}
	}
}

func TestARowIsWrittenOnlyOverTheVersionThatWasRead(t *testing.T) {
	t.Parallel()
	l := empty(t)
	put(t, l, "row", Head{Sequence: 1})
	read, err := get[Head](t.Context(), l, source, "row")
	must(t, err)
	stale := read
	read.Value.Sequence = 2
	must(t, l.commit(t.Context(), source, replace("row", read)))
	for name, c := range map[string]change{
		"older version": replace("row", stale),
		"insert":        insert("row", Head{Sequence: 9}),
		"zero row":      replace("row", Row[Head]{Value: Head{Sequence: 9}}),
		"gone row":      {key: "gone", value: Head{}, etag: stale.etag},
	} {
		if err := l.commit(t.Context(), source, insert("beside", struct{}{}), c); err != ErrConflict {
			t.Errorf("%s: %v, want ErrConflict", name, err)
		}
	}
	if got, want := dump(t, l), `{"PartitionKey":"o365-mail","RowKey":"row","Sequence":2}`+"\n"; got != want {
		t.Errorf("rows:\n%s\nwant:\n%s", got, want)
	}
}

func TestUpdateDecidesAnewWhenARivalIsFaster(t *testing.T) {
	t.Parallel()
	account := storagetest.New(t)
	l, rival := open(t, account.Proxy(t).ConnectionString()), open(t, account.ConnectionString())
	calls := 0
	err := l.UpdateSource(t.Context(), source, func(s *Source) bool {
		if calls++; calls == 1 {
			must(t, rival.UpdateSource(t.Context(), source, func(s *Source) bool { s.LastError = "rival"; return true }))
		}
		s.LastError += " mine"
		return true
	})
	row, readErr := l.Source(t.Context(), source)
	if err != nil || readErr != nil || calls != 2 || row.Value.LastError != "rival mine" {
		t.Errorf("update: %v, %d calls, %q, %v", err, calls, row.Value.LastError, readErr)
	}
}

func TestUpdateEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l := empty(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.UpdateSource(ctx, source, func(*Source) bool { return true }); !errors.Is(err, context.Canceled) {
		t.Errorf("update: %v, want context.Canceled", err)
	}
}
