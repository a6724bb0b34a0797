package main

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/npmtest/icaljs"
)

// calendars are the natives of the events, each once, by custodian and id. The name of a native is unique within its package.
func (w *world) calendars(e *evidence) map[string]string {
	w.Helper()
	natives := map[string]string{}
	for name, data := range e.files {
		pkg, isPackage := strings.CutSuffix(name, ".zip")
		if !isPackage {
			continue
		}
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			w.Fatal(err)
		}
		for _, f := range z.File {
			if !strings.HasSuffix(f.Name, ".ics") {
				continue
			}
			r, err := f.Open()
			if err != nil {
				w.Fatal(err)
			}
			content, err := io.ReadAll(r)
			if err != nil {
				w.Fatal(err)
			}
			natives[pkg[strings.LastIndexByte(pkg, '/')+1:]+" "+f.Name] = string(content)
		}
	}
	all := map[string]string{}
	for _, row := range e.items {
		if row.Kind != string(capture.Event) {
			continue
		}
		key := row.Custodian + " " + row.GraphID
		if all[key] != "" {
			w.Errorf("an event of %s stands in the evidence twice", row.Folder)
		}
		if all[key] = natives[row.pkg+" "+row.Native]; all[key] == "" {
			w.Errorf("an event of %s has no calendar", row.Folder)
		}
	}
	return all
}

func TestTheMainJobCapturesCalendarsAsGraphShowsThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(w.source(map[string]any{"monitoredIndividualsPerJob": 5}))
	w.start()
	w.settle()
	e := w.readEvidence()
	got := w.calendars(e)
	monitored := w.monitored()
	var owed []graphtest.TruthEvent
	for _, one := range w.truth.EventsIn(sampleDays()) {
		if monitored[one.UserID] {
			owed = append(owed, one)
		}
	}
	if len(got) != len(owed) {
		t.Errorf("%d events are captured, %d are owed", len(got), len(owed))
	}
	w.checkExpansion(got, owed)
	w.checkUnchanged(e)
	w.checkOthers(e, got)
	w.checkManners()
}

// checkExpansion holds what ical.js makes of each calendar against what the stand-in shows of the event over two years, in which
// clocks are changed eight times.
func (w *world) checkExpansion(got map[string]string, owed []graphtest.TruthEvent) {
	w.Helper()
	from, to := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)
	var questions []icaljs.Question
	var wanted [][]icaljs.Instance
	series, changed, cancelled := 0, 0, 0
	for _, one := range owed {
		ics := got[one.UserID+" "+one.ID]
		if ics == "" {
			w.Errorf("an event of %s is owed and not captured", one.Folder)
			continue
		}
		var want []icaljs.Instance
		for _, i := range graphtest.Instances(&one.CalendarEvent, graphtest.Zone, from, to) {
			want = append(want, icaljs.Instance{Start: i.Start.Unix(), End: i.End.Unix(), Summary: i.Event.Subject})
		}
		questions, wanted = append(questions, icaljs.Question{ICS: ics, Until: to.AddDate(0, 2, 0).Unix()}), append(wanted, want)
		if one.Recurrence != nil {
			series, changed, cancelled = series+1, changed+len(one.Exceptions), cancelled+len(one.CancelledOccurrences)
		}
	}
	answers, err := icaljs.Ask(w.Context(), w.Output(), questions...)
	if err != nil {
		w.Fatal(err)
	}
	instances := 0
	for i, a := range answers {
		instances += len(wanted[i])
		if difference := icaljs.Difference(a.Within(from, to), wanted[i]); a.Error != "" || difference != "" {
			w.Errorf("%s%s\n%s", a.Error, difference, questions[i].ICS)
		}
	}
	w.Logf("%d events, of which %d recur, with %d instances; %d changed, %d cancelled", len(owed), series, instances, changed, cancelled)
	if len(owed) < 300 || series < 30 || changed < 20 || cancelled < 20 {
		w.Error("too few to tell anything")
	}
}

// checkUnchanged holds that events which a later batch finds as they were are counted there.
func (w *world) checkUnchanged(e *evidence) {
	w.Helper()
	unchanged := 0
	for _, m := range e.manifests {
		unchanged += m.Totals.Unchanged
	}
	if len(e.manifests) != 3 || unchanged == 0 {
		w.Errorf("%d batches, %d events unchanged", len(e.manifests), unchanged)
	}
}

// checkOthers holds that the calendars which colleagues share are not collected, and that the coverage of every batch says so.
func (w *world) checkOthers(e *evidence, got map[string]string) {
	w.Helper()
	told := map[string]int{}
	for _, m := range e.manifests {
		for _, c := range m.Coverage {
			if c.Scope == "calendars of others" && strings.HasPrefix(c.Reason, "left out by rule") {
				told[c.Custodian]++
			}
		}
	}
	sharing := 0
	for _, u := range w.tenant.Users {
		if u.Mailbox == nil {
			continue
		}
		shared, captured := 0, 0
		for _, one := range u.Calendars {
			for _, event := range one.Events {
				switch ics := got[u.ID+" "+event.ID]; {
				case one.Owner == graphtest.Address{} && ics != "":
					captured++
				case one.Owner != graphtest.Address{}:
					if shared++; ics != "" {
						w.Errorf("an event of the shared calendar %s is captured", one.Name)
					}
				}
			}
		}
		if shared == 0 || captured == 0 {
			continue
		}
		if sharing++; told[u.ID] != len(e.manifests) {
			w.Errorf("the coverage names the shared calendars of a mailbox %d times, want once a batch", told[u.ID])
		}
	}
	if sharing == 0 {
		w.Error("no calendar is shared: the test would prove nothing")
	}
}
