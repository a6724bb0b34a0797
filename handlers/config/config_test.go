package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"chainmail/handlers/ledger"
	"chainmail/handlers/vault"
	"chainmail/handlers/vault/storagetest"
)

func TestAGoodFileComesIntoForceAndIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	text := file(t, nil, map[string]any{"container": "other"}, nil)
	sum := hash([]byte(text))
	w.put(text)
	force := w.accept()
	if force.SHA256 != sum || len(force.Sources) != 3 || force.Sources[1].Container != "other" {
		t.Fatalf("in force: %+v", force)
	}
	if s, ok := force.Source("s2"); !ok || s.ControlNumberPrefix != "P2" || s.Credential.Secret.Reveal() != secret {
		t.Errorf("source s2 = %+v, %v", s, ok)
	}
	if s, ok := force.Source("nobody"); ok || s.Name != "" {
		t.Errorf("source nobody = %+v, %v", s, ok)
	}
	want := map[string]string{
		"state/config/" + sum + ".json": text, "evidence/_config/" + sum + ".json": text, "other/_config/" + sum + ".json": text,
	}
	if got := w.contents("state", "evidence", "other"); !maps.Equal(got, want) {
		t.Errorf("blobs = %v, want %v", got, want)
	}
	if got := w.row(); got != (ledger.Config{SHA256: sum, AcceptedAt: w.now}) {
		t.Errorf("row = %+v", got)
	}
	if events := w.events(); len(events["config accepted"]) != 1 || events["config accepted"][0]["sha256"] != sum {
		t.Errorf("logged: %v", events)
	}
	current, err := w.store.Current(t.Context())
	if err != nil || !reflect.DeepEqual(current, force) {
		t.Errorf("current = %+v, %v, want %+v", current, err, force)
	}
}

func TestTheSameFileTwiceWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(file(t, nil))
	first := w.accept()
	w.events()
	w.now = w.now.Add(time.Hour)
	if n := w.writes(func() {
		if again := w.accept(); !reflect.DeepEqual(again, first) {
			t.Errorf("in force: %+v, want %+v", again, first)
		}
	}); n != 0 {
		t.Errorf("%d writes", n)
	}
	if events := w.events(); len(events) != 0 {
		t.Errorf("logged: %v", events)
	}
}

func TestEveryVersionIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	versions := []string{file(t, nil), file(t, map[string]any{"enabled": false}), file(t, map[string]any{"container": "other"}), file(t, nil)}
	for _, text := range versions {
		w.put(text)
		if force := w.accept(); force.SHA256 != hash([]byte(text)) || w.row().SHA256 != force.SHA256 {
			t.Errorf("in force: %s, row %+v", force.SHA256, w.row())
		}
	}
	if kept := w.contents("evidence", "other"); len(kept) != 3 {
		t.Errorf("%d versions are kept as evidence, want 3", len(kept))
	}
}

func TestWithoutAFileTheLastOneStaysInForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if force := w.accept(); force.SHA256 != "" || len(force.Sources) != 0 || len(w.events()["config missing"]) != 1 {
		t.Errorf("in force before there is a file: %+v", force)
	}
	w.put(file(t, nil))
	first := w.accept()
	must(t, w.blobs.Container("config").Delete(t.Context(), File))
	w.events()
	if force := w.accept(); !reflect.DeepEqual(force, first) || len(w.events()["config missing"]) != 1 {
		t.Errorf("in force: %+v, want %+v", force, first)
	}
}

func TestSettingsInForceOutliveTheirSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(file(t, nil))
	first := w.accept()
	delete(w.secrets, "A_SECRET")
	for name, f := range map[string]func() (InForce, error){
		"current": func() (InForce, error) { return w.store.Current(t.Context()) },
		"accept":  func() (InForce, error) { return w.store.Accept(t.Context()) },
	} {
		force, err := f()
		if err != nil || force.SHA256 != first.SHA256 || len(force.Sources) != 1 || !force.Sources[0].Credential.Secret.IsZero() {
			t.Errorf("%s: %+v, %v", name, force, err)
		}
	}
	if rejected := w.events()["config rejected"]; len(rejected) != 1 || rejected[0]["path"] != "sources[0].credential.setting" {
		t.Errorf("rejected: %v", rejected)
	}
	w.secrets["A_SECRET"] = "another"
	if force := w.accept(); force.Sources[0].Credential.Secret.Reveal() != "another" || w.row().Rejected != "" {
		t.Errorf("the secret is back: row %+v", w.row())
	}
}

func TestAFileWithFaultsChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(file(t, nil))
	good := w.accept()
	w.events()
	broken := file(t, map[string]any{"frequencyInMinutes": 0, "zeisig@contoso.example": true, "domain": secret})
	w.put(broken)
	w.now = w.now.Add(time.Hour)
	if force := w.accept(); !reflect.DeepEqual(force, good) {
		t.Errorf("in force: %+v, want %+v", force, good)
	}
	paths := map[string]bool{}
	for _, event := range w.events()["config rejected"] {
		path, _ := event["path"].(string)
		paths[path] = event["problem"] != "" && event["sha256"] == hash([]byte(broken))
	}
	if want := map[string]bool{"sources[0].frequencyInMinutes": true, "sources[0][key 9]": true, "sources[0].domain": true}; !maps.Equal(paths, want) {
		t.Errorf("faults logged: %v, want %v", paths, want)
	}
	report := w.report()
	if report.SHA256 != hash([]byte(broken)) || !report.At.Equal(w.now) || len(report.Faults) != 3 {
		t.Errorf("report = %+v", report)
	}
	row := w.row()
	if row.SHA256 != good.SHA256 || row.Rejected != report.SHA256 || row.Faults != 3 {
		t.Errorf("row = %+v", row)
	}
	w.now = w.now.Add(time.Hour)
	if n := w.writes(func() { w.accept() }); n != 0 {
		t.Errorf("%d writes for the same faults", n)
	}
	if n := len(w.contents("evidence")); n != 1 {
		t.Errorf("%d versions are kept as evidence, want the good one", n)
	}
}

// report is the report on a rejected file; zero without one.
func (w *world) report() rejection {
	w.Helper()
	data, err := w.blobs.Container("state").Get(w.Context(), rejectedBlob)
	if errors.Is(err, vault.ErrNotFound) {
		return rejection{}
	}
	must(w.T, err)
	var r rejection
	must(w.T, json.Unmarshal(data, &r))
	w.log.Check("the report", string(data))
	return r
}

func TestTheReportGoesWhenAGoodFileComes(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]map[string]any{"the one in force": nil, "another": {"enabled": false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.put(file(t, nil))
			w.accept()
			w.put("{")
			w.accept()
			if r := w.report(); len(r.Faults) != 1 || w.row().Faults != 1 {
				t.Fatalf("report = %+v, row %+v", r, w.row())
			}
			w.put(file(t, next))
			force := w.accept()
			if row := w.row(); row != (ledger.Config{SHA256: force.SHA256, AcceptedAt: w.now}) || len(w.report().Faults) != 0 {
				t.Errorf("row = %+v, report %+v", row, w.report())
			}
			if n := w.writes(func() { w.accept() }); n != 0 {
				t.Errorf("%d writes after that", n)
			}
		})
	}
}

func TestManyFaultsAreLoggedInPartAndReportedInFull(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{maxFaults: maxFaults, maxFaults + 1: maxFaults + 1, 130: maxFaults + 1} {
		w := newWorld(t)
		w.put(file(t, make([]map[string]any, n)...))
		delete(w.secrets, "A_SECRET") // a fault in each source
		w.accept()
		rejected := w.events()["config rejected"]
		if len(rejected) != want {
			t.Errorf("%d faults: %d lines, want %d", n, len(rejected), want)
		}
		if last := rejected[len(rejected)-1]; n > maxFaults && last["more"] != float64(n-maxFaults) {
			t.Errorf("%d faults: the last line is %v", n, last)
		}
		if r := w.report(); len(r.Faults) != n {
			t.Errorf("%d of %d faults are reported", len(r.Faults), n)
		}
	}
}

func TestTheReportFollowsTheAppSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(file(t, nil))
	for value, problem := range map[string]string{"": "is missing or empty", "<secret>": "placeholder", " x": "blanks"} {
		w.secrets["A_SECRET"] = value
		w.accept()
		if r := w.report(); len(r.Faults) != 1 || !strings.Contains(r.Faults[0].Problem, problem) {
			t.Errorf("report = %+v, want %s", r, problem)
		}
	}
}

func TestAReportThatIsGoneIsWrittenAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("{")
	w.accept()
	for _, spoil := range []func() error{
		func() error { return w.blobs.Container("state").Delete(t.Context(), rejectedBlob) },
		func() error { return w.blobs.Container("state").Put(t.Context(), rejectedBlob, []byte("x")) },
	} {
		must(t, spoil())
		w.accept()
		if r := w.report(); len(r.Faults) != 1 {
			t.Errorf("report = %+v", r)
		}
	}
}

func TestAcceptersSideBySideLeaveOneResult(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"a good file": file(t, nil, map[string]any{"container": "other"}), "a file with faults": "{"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.put(text)
			var got [4]InForce
			var errs [4]error
			var wg sync.WaitGroup
			for i := range got {
				store := w.newStore()
				wg.Go(func() { got[i], errs[i] = store.Accept(t.Context()) })
			}
			wg.Wait()
			for i := range got {
				if errs[i] != nil || !reflect.DeepEqual(got[i], got[0]) {
					t.Errorf("accepter %d: %+v, %v, want %+v", i, got[i], errs[i], got[0])
				}
			}
			if n := w.writes(func() { w.accept() }); n != 0 {
				t.Errorf("%d writes after that", n)
			}
		})
	}
}

func TestANewerFileIsNotUndoneByASlowAccepter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	older, newer := file(t, nil), file(t, map[string]any{"enabled": false})
	w.put(older)
	fast := *w.newStore()
	fast.Written, fast.State, fast.Ledger, fast.Evidence = w.blobs.Container("config"), w.blobs.Container("state"), w.ledger, w.blobs.Container
	var once sync.Once
	w.proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
		if op.Service == storagetest.Table && op.Write {
			once.Do(func() {
				w.put(newer)
				if _, err := fast.Accept(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		return storagetest.Pass
	})
	if force := w.accept(); force.SHA256 != hash([]byte(newer)) || force.Sources[0].Enabled || w.row().SHA256 != force.SHA256 {
		t.Errorf("in force: %+v, row %+v", force, w.row())
	}
}

func TestAnAcceptanceThatIsCutIsMadeGood(t *testing.T) {
	t.Parallel()
	good, other := file(t, nil, map[string]any{"container": "other"}), file(t, map[string]any{"enabled": false}, map[string]any{"container": "other"})
	for name, texts := range map[string][]string{
		"the first": {good}, "a newer one": {other, good}, "one after faults": {other, "{", good}, "faults": {good, "{"}, "the old one after faults": {good, "{", good},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				w := newWorld(t)
				last := len(texts) - 1
				for _, text := range texts[:last] {
					w.put(text)
					w.accept()
				}
				before := w.row()
				w.put(texts[last])
				cut := w.cutAccept(n)
				if row := w.row(); row.SHA256 != before.SHA256 { // whatever is in force is in the evidence
					for _, c := range []string{"evidence", "other"} {
						if _, err := w.blobs.Container(c).Get(t.Context(), "_config/"+row.SHA256+".json"); err != nil {
							t.Errorf("write %d: %s lacks the version in force: %v", n, c, err)
						}
					}
				}
				force := w.accept()
				want := hash([]byte(good))
				if row := w.row(); force.SHA256 != want || row.SHA256 != want || (row.Rejected != "") != (len(w.report().Faults) > 0) {
					t.Errorf("write %d: in force %s, row %+v, report %+v", n, force.SHA256, row, w.report())
				}
				if again := w.writes(func() { w.accept() }); again != 0 {
					t.Errorf("write %d: %d writes after it was made good", n, again)
				}
				if !cut {
					if n < 3 {
						t.Errorf("only %d writes were cut", n-1)
					}
					return
				}
			}
		})
	}
}

func TestAFaultOfTheStorageIsAnError(t *testing.T) {
	t.Parallel()
	for name, match := range map[string]func(storagetest.Op) bool{
		"reading the file":     func(op storagetest.Op) bool { return op.Verb == "Get Blob" && op.Container == "config" },
		"reading the row":      func(op storagetest.Op) bool { return op.Verb == "Get Entity" },
		"keeping the version":  func(op storagetest.Op) bool { return op.Verb == "Put Blob" && op.Container == "state" },
		"making the container": func(op storagetest.Op) bool { return op.Verb == "Create Container" },
		"keeping the evidence": func(op storagetest.Op) bool { return op.Verb == "Put Blob" && op.Container == "evidence" },
		"writing the row":      func(op storagetest.Op) bool { return op.Service == storagetest.Table && op.Write },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.put(file(t, nil))
			w.proxy.OnRequest(func(op storagetest.Op) storagetest.Action {
				if match(op) {
					return storagetest.Fail(403, "AuthorizationFailure")
				}
				return storagetest.Pass
			})
			if force, err := w.store.Accept(t.Context()); w.log.Error(err) == nil || !strings.Contains(err.Error(), "403 AuthorizationFailure") || force.SHA256 != "" {
				t.Errorf("accept: %+v, %v", force, err)
			}
			if row := w.row(); row.SHA256 != "" {
				t.Errorf("row = %+v", row)
			}
		})
	}
}

func TestAVersionThatCannotStandInTheEvidenceDoesNotComeIntoForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(file(t, nil))
	good := w.accept()
	next := file(t, map[string]any{"enabled": false})
	must(t, w.blobs.Container("evidence").Put(t.Context(), "_config/"+hash([]byte(next))+".json", []byte("planted")))
	w.put(next)
	if _, err := w.store.Accept(t.Context()); !errors.Is(w.log.Error(err), vault.ErrDiffers) {
		t.Errorf("accept: %v, want ErrDiffers", err)
	}
	if force, err := w.store.Current(t.Context()); err != nil || force.SHA256 != good.SHA256 {
		t.Errorf("current: %s, %v, want %s", force.SHA256, err, good.SHA256)
	}
}

func TestSettingsInForceThatCannotBeReadAreAnError(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*vault.Container, string) error{
		"gone": func(c *vault.Container, blob string) error { return c.Delete(t.Context(), blob) },
		"damaged": func(c *vault.Container, blob string) error {
			return c.Put(t.Context(), blob, []byte(`{"zeisig@contoso.example`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.put(file(t, nil))
			force := w.accept()
			must(t, spoil(w.blobs.Container("state"), stateBlob(force.SHA256)))
			if got, err := w.store.Current(t.Context()); w.log.Error(err) == nil || len(got.Sources) != 0 {
				t.Errorf("current: %+v, %v", got, err)
			}
		})
	}
	if _, ok := (InForce{}).Source(""); ok {
		t.Error("no settings have a source")
	}
}

func TestASourceThatHasBegunKeepsItsContainerAndStaysUntilItIsFinished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := file(t, nil, nil)
	w.put(good)
	before := w.accept()
	row, err := w.ledger.Source(t.Context(), "s0")
	must(t, err)
	row.Value.Container = "evidence"
	at := w.now.Truncate(time.Second)
	b := ledger.Batch{ID: "20260302000000UTC-20260303000000UTC", Start: at, End: at.Add(time.Hour), N: 1}
	must(t, w.ledger.CreateBatch(t.Context(), "s0", row, b))
	for name, tt := range map[string]struct {
		text string
		path string
	}{
		"another container": {file(t, map[string]any{"container": "other"}, nil), "sources[0].container"},
		"gone":              {strings.Replace(good, `"s0"`, `"t0"`, 1), "sources"},
	} {
		w.put(tt.text)
		if got := w.accept(); !reflect.DeepEqual(got, before) {
			t.Errorf("%s: in force %+v", name, got)
		}
		rejected := w.events()["config rejected"]
		if len(rejected) != 1 || rejected[0]["path"] != tt.path || !strings.Contains(fmt.Sprint(rejected[0]["problem"]), "source s0 ") {
			t.Errorf("%s: logged %v", name, rejected)
		}
	}
	open, err := w.ledger.Batch(t.Context(), "s0", b.ID)
	must(t, err)
	must(t, w.ledger.Publish(t.Context(), "s0", open))
	w.put(strings.Replace(good, `"s0"`, `"t0"`, 1))
	if got := w.accept(); got.Sources[0].Name != "t0" {
		t.Errorf("in force once it is finished: %+v", got)
	}
}
