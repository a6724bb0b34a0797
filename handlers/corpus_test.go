package main

import (
	"os"
	"path/filepath"
	"testing"

	"chainmail/handlers/graph/graphtest"
)

// TestEveryMessageOfTheCorpusIsCaptured sends the messages that mailfmt reads in its tests, all of them ugly, through the
// main job.
func TestEveryMessageOfTheCorpusIsCaptured(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("mailfmt/testdata/*.eml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d messages in the corpus, %v", len(files), err)
	}
	tenant, truth := graphtest.Single(len(files), 1<<10)
	empty := 0
	for i, m := range tenant.Users[0].Folder("Inbox").Messages {
		m.MIME = nil
		if m.Raw, err = os.ReadFile(files[i]); err != nil {
			t.Fatal(err)
		}
		if len(m.Raw) == 0 { // no server has such a message: an answer without a byte is a fault, and what JSON tells is captured
			empty++
		}
	}
	w := newWorldOf(t, tenant, truth)
	w.configure(w.source(map[string]any{"endDate": "2026-03-03T00:00:00Z", "embeddedFileBehavior": "Import"}))
	w.start()
	w.settle()
	e := w.readEvidence()
	w.checkCaptured(e, sampleDays())
	w.checkViolations()
	attached, synthesised := 0, 0
	for _, row := range e.items {
		if row.Synthesised {
			synthesised++
		}
		if row.Kind == "attachment" {
			attached++
		}
	}
	if len(e.excepted) != 0 || synthesised != empty {
		t.Errorf("%d messages are excepted and %d synthesised, want the %d without a byte", len(e.excepted), synthesised, empty)
	}
	if attached < 30 {
		t.Errorf("%d attachments are captured: the corpus has more", attached)
	}
}
