package people

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/graph/graphtest"
)

func TestBadRowsAreLoggedByLineAndTheRestIsUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenantOf(ada, "bob@contoso.example"))
	w.configure(nil)
	w.list(ada+",,,,", "canary@contoso.example,,,yesterday,", ",,Canary,,", "bob@contoso.example,,,,", ada+",,Canary,,", "canary")
	w.tick()
	if n := len(w.people()); n != 2 {
		t.Errorf("%d individuals, want two", n)
	}
	var lines []string
	for _, event := range w.log.Events("individual rejected") {
		if event["source"] != testSource || event["file"] != testList || event["problem"] == "" {
			t.Errorf("logged: %v", event)
		}
		lines = append(lines, fmt.Sprint(event["line"]))
	}
	if want := []string{"3", "4", "6", "7"}; !slices.Equal(lines, want) {
		t.Errorf("lines %v are logged, want %v", lines, want)
	}
}

func TestAListFullOfFaultsIsLoggedInPart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenantOf(ada))
	w.configure(nil)
	w.list(append([]string{ada + ",,,,"}, slices.Repeat([]string{"canary"}, 70)...)...)
	w.tick()
	sums := w.log.Events("list of individuals has faults")
	if n := len(w.log.Events("individual rejected")); n != maxFaults || len(sums) != 1 || sums[0]["rejected"] != 70.0 {
		t.Errorf("%d rows are logged, and %v", n, sums)
	}
}

func TestNobodyLeavesByAListWithFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenantOf(ada, "bob@contoso.example"))
	w.configure(nil)
	w.list(rows([]string{ada, "bob@contoso.example"})...)
	w.tick()
	w.now = w.now.Add(time.Hour)
	w.list(ada+",,,2026-13-01,", "eve,,,,") // a slip of the pen
	w.tick()
	p := w.people()
	if show(p[ada].Intervals.V) != "- - list" || show(p["bob@contoso.example"].Intervals.V) != "- - list" || show(p["eve"].Intervals.V) != "03-05T13 - list" {
		t.Errorf("people = %v", p)
	}
	w.now = w.now.Add(time.Hour)
	w.list(ada+",,,2026-03-01,", "eve,,,,")
	w.tick()
	p = w.people()
	if show(p[ada].Intervals.V) != "03-01T00 - list" || show(p["bob@contoso.example"].Intervals.V) != "- 03-05T14 left list" {
		t.Errorf("people = %v", p)
	}
}

func TestAListThatCannotBeReadChangesNobodysMonitoring(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		source  map[string]any
		list    string
		problem string
	}{
		{"missing", map[string]any{"individuals": map[string]any{"file": "individuals/other.csv"}}, "", "the list of individuals individuals/other.csv is missing: upload it"},
		{"empty", nil, "", "read list of individuals " + testList + ": the file is empty"},
		{"without a header", nil, "canary@contoso.example\n", "read list of individuals " + testList + ": column 1 of the header is unknown"},
		{"UTF-16", nil, "\xff\xfei\x00", "the file is UTF-16"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tenantOf(ada))
			w.configure(nil)
			w.list(ada + ",,,,")
			w.tick()
			synchronised := w.now
			w.now = w.now.Add(time.Hour)
			w.configure(tt.source)
			w.put(testList, tt.list)
			if err := w.log.Error(w.registry.Tick(t.Context())); err == nil || !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("tick: %v, want %s", err, tt.problem)
			}
			row, err := w.ledger.Source(t.Context(), testSource)
			if s := row.Value; err != nil || s.LastError != "IndividualsUnreadable" || !s.LastErrorAt.Equal(w.now) || !s.PeopleAt.Equal(synchronised) {
				t.Errorf("source = %+v, %v", s, err)
			}
			if got := show(w.people()[ada].Intervals.V); got != "- - list" {
				t.Errorf("intervals = %q", got)
			}
			if n := len(w.log.Events("individuals not synchronised")); n != 1 {
				t.Errorf("%d faults are logged, want one", n)
			}
		})
	}
}

func TestASourceThatIsDisabledIsNotSynchronised(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenantOf(ada))
	w.configure(map[string]any{"enabled": false})
	w.list(ada + ",,,,")
	w.tick()
	if row, err := w.ledger.Source(t.Context(), testSource); err != nil || row.Exists() || len(w.people()) != 0 {
		t.Errorf("source = %+v, %v, %d individuals", row.Value, err, len(w.people()))
	}
}

func TestWithoutSettingsNothingIsSynchronised(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenantOf(ada))
	w.tick()
	if len(w.log.Events("config missing")) != 1 {
		t.Error("the log does not say that the settings are missing")
	}
}

func TestTheLogTellsNothingOfAnybody(t *testing.T) {
	t.Parallel()
	tenant, _ := graphtest.Planted(1)
	w := newWorld(t, tenant)
	w.configure(nil)
	w.put(testList, string(graphtest.Custodians(tenant)))
	w.tick()
	w.graph.Fault(func(r graphtest.Request) bool { return strings.HasPrefix(r.Path, "GET /users") }, 0, graphtest.Fault{Status: 503, Code: "serviceNotAvailable"})
	w.tick()
	log := strings.ToLower(w.log.String())
	if len(w.log.Events("individual not checked")) < 10 {
		t.Error("the log does not tell of failed look-ups")
	}
	for _, u := range tenant.Users {
		for _, canary := range append([]string{u.DisplayName, u.Mail, u.UserPrincipalName}, u.Aliases...) {
			nickname, _, _ := strings.Cut(canary, "@")
			if strings.Contains(log, strings.ToLower(nickname)) {
				t.Fatal("the log holds a name or an address")
			}
		}
	}
	if strings.Contains(log, "former.employee") || strings.Contains(log, "aurora") {
		t.Error("the log holds an address that was not found")
	}
}
