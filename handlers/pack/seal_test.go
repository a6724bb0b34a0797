package pack

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/capture"
)

func sampleSeal() Seal {
	n := partOne()
	return Seal{
		Source: n.Source, Batch: n.Batch, Lane: n.Lane, Part: n.Part,
		Package:     &Package{Name: n.Stem() + ".zip", Bytes: 123456, SHA256: strings.Repeat("0a", 32), Entries: 7},
		ItemsSHA256: strings.Repeat("1b", 32), ExceptionsSHA256: strings.Repeat("2c", 32), Documents: 4, Synthesised: 1,
		Custodians: []SealCustodian{
			{ID: "b", Identifier: "bo@contoso.example", Status: capture.Excluded, Reason: capture.ReasonNoMailbox},
			{ID: "a", Identifier: `"<anna>" & co@contoso.example`, Status: capture.Collected, Found: 5, Captured: 4, Excepted: 1, Recovered: 2, Bytes: 999},
		},
	}
}

func sampleManifest() Manifest {
	n, berlin := partOne(), time.FixedZone("", 3600)
	return Manifest{
		App: App{"1.2.3", "0123456789abcdef"}, Source: n.Source, Batch: n.Batch, Start: day().Start.In(berlin), End: day().End,
		Reason: "window", RetryOf: n.Batch + "-2", Status: capture.CompletedWithDocumentLevelErrors, Sequence: 3,
		PreviousManifestSHA256: strings.Repeat("3d", 32), ConfigSHA256: strings.Repeat("4e", 32),
		Statuses: []StatusAt{{capture.Created, at("2026-03-03T00:10:00Z"), 0}, {capture.CompletedWithDocumentLevelErrors, at("2026-03-03T01:20:00+01:00"), 4}},
		Totals:   Totals{Custodians: 2, Found: 5, Captured: 4, Excepted: 1, Recovered: 2, Excluded: 1, Bytes: 999, Documents: 4, Synthesised: 1},
		Seals:    []FileSum{{n.Stem() + "0.seal.json", strings.Repeat("5f", 32)}, {n.Stem() + ".seal.json", strings.Repeat("60", 32)}},
		Closed: []Closed{
			{n.Batch + "-3", letter("x").Key(), "Vanished"}, {n.Batch, letter("y").Key(), "Captured"}, {n.Batch, letter("x").Key(), "Captured"},
		},
		Coverage:      []Coverage{{"b", "mailbox", "NoMailbox"}, {"", "drafts", "left out"}, {"", "archive mailboxes", "out of reach"}},
		LookedAtUntil: at("2026-03-04T02:00:00+01:00"),
	}
}

func TestASealIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	want := sampleSeal()
	data, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "seal.json", data)
	got, err := ParseSeal(data)
	if err != nil {
		t.Fatal(err)
	}
	want.Format = SealFormat
	slices.Reverse(want.Custodians) // by id
	if !reflect.DeepEqual(got, want) {
		t.Errorf("seal\n%+v, want\n%+v", got, want)
	}
}

func TestAManifestIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	m := sampleManifest()
	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "manifest.json", data)
	got, err := ParseManifest(data)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := got.Encode(); err != nil || !bytes.Equal(again, data) {
		t.Errorf("read and written again:\n%s%v, want\n%s", again, err, data)
	}
	if !reflect.DeepEqual(m, sampleManifest()) {
		t.Error("Encode changed the manifest that it was given")
	}
}

func TestEqualSealsAndManifestsHaveEqualBytes(t *testing.T) {
	t.Parallel()
	s, m := sampleSeal(), sampleManifest()
	slices.Reverse(s.Custodians)
	slices.Reverse(m.Seals)
	slices.Reverse(m.Closed)
	slices.Reverse(m.Coverage)
	m.Start, m.End = m.Start.UTC(), m.End.In(time.FixedZone("", -3600))
	for _, row := range []struct {
		name string
		a, b interface{ Encode() ([]byte, error) }
	}{{"seal", sampleSeal(), s}, {"manifest", sampleManifest(), m}} {
		a, errA := row.a.Encode()
		b, errB := row.b.Encode()
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: %s, %v and %s, %v", row.name, a, errA, b, errB)
		}
	}
}

func TestListsOfNothingAreEmptyAndNotNull(t *testing.T) {
	t.Parallel()
	seal, err := Seal{Source: "s", Batch: partOne().Batch, Part: 1}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := Manifest{}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(seal, []byte(`"package": null`)) || !bytes.Contains(seal, []byte(`"custodians": []`)) {
		t.Errorf("seal %s", seal)
	}
	if bytes.Contains(manifest, []byte("null")) || bytes.Contains(manifest, []byte("lookedAtUntil")) {
		t.Errorf("manifest %s", manifest)
	}
}

func TestForeignSealsAndManifestsAreRefused(t *testing.T) {
	t.Parallel()
	seal, err := sampleSeal().Encode()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := sampleManifest().Encode()
	if err != nil {
		t.Fatal(err)
	}
	parseSeal := func(b []byte) error { _, err := ParseSeal(b); return err }
	parseManifest := func(b []byte) error { _, err := ParseManifest(b); return err }
	for _, row := range []struct {
		name     string
		parse    func([]byte) error
		data     []byte
		old, new string
		text     string
	}{
		{"seal", parseSeal, seal, "", "", ""},
		{"seal of another format", parseSeal, seal, "seal/1", "seal/2", "format is not chainmail/seal/1"},
		{"manifest for a seal", parseSeal, manifest, "", "", "format is not chainmail/seal/1"},
		{"seal with an unknown field", parseSeal, seal, `"lane"`, `"canary": 1, "lane"`, "not the JSON"},
		{"custodian with an unknown field", parseSeal, seal, `"found"`, `"canary": 1, "found"`, "not the JSON"},
		{"seal and more", parseSeal, seal, "\n}\n", "\n}\n{}", "parse seal"},
		{"seal that is cut", parseSeal, seal, "\n}\n", "\n", "it is not JSON"},
		{"lane that is text", parseSeal, seal, `"lane": 7`, `"lane": "canary"`, "field lane is not a int"},
		{"lane below 0", parseSeal, seal, `"lane": 7`, `"lane": -7`, "names no part"},
		{"part 0", parseSeal, seal, `"part": 1`, `"part": 0`, "names no part"},
		{"source that is a path", parseSeal, seal, `"source": "o365-mail"`, `"source": "../canary"`, "names no part"},
		{"source with a batch", parseSeal, seal, `"source": "o365-mail"`, `"source": "canary.x"`, "names no part"},
		{"manifest", parseManifest, manifest, "", "", ""},
		{"manifest of another format", parseManifest, manifest, "manifest/1", "manifest/2", "format is not chainmail/manifest/1"},
		{"seal for a manifest", parseManifest, seal, "", "", "format is not chainmail/manifest/1"},
		{"manifest with an unknown field", parseManifest, manifest, `"start"`, `"canary": 1, "start"`, "not the JSON"},
		{"total that is unknown", parseManifest, manifest, `"found"`, `"canary": 1, "found"`, "not the JSON"},
		{"time that is none", parseManifest, manifest, `2026-03-03T00:00:00Z`, `canary`, "parse manifest"},
		{"batch that is a path", parseManifest, manifest, `"batch": "2026`, `"batch": "../canary2026`, "names no batch"},
		{"batch of another form", parseManifest, manifest, `UTC-2026`, `-2026`, "names no batch"},
	} {
		err := row.parse([]byte(strings.Replace(string(row.data), row.old, row.new, 1)))
		wantError(t, row.name, err, row.text)
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error quotes the file: %v", row.name, err)
		}
	}
}

func TestALinkedManifestNamesTheOneBefore(t *testing.T) {
	t.Parallel()
	first, err := LinkManifest(sampleManifest(), 1, "").Encode()
	if err != nil {
		t.Fatal(err)
	}
	second := LinkManifest(sampleManifest(), 2, Sum(first))
	if m, err := ParseManifest(first); err != nil || m.Sequence != 1 || m.PreviousManifestSHA256 != "" {
		t.Errorf("first %+v, %v", m, err)
	}
	if second.Sequence != 2 || second.PreviousManifestSHA256 != Sum(first) {
		t.Errorf("second %+v", second)
	}
}

func TestTheSumLineIsAsSha256sumReadsIt(t *testing.T) {
	t.Parallel()
	want := "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  manifest.json\n"
	if got := string(ManifestSumLine(nil)); got != want {
		t.Errorf("ManifestSumLine = %q, want %q", got, want)
	}
}

func FuzzParseSeal(f *testing.F) {
	data, err := sampleSeal().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format":"chainmail/seal/1","source":"s","batch":"20260302000000UTC-20260303000000UTC","part":1}`))
	f.Add([]byte(`{"format":"chainmail/seal/1"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseSeal(data)
		if err != nil {
			return
		}
		once, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseSeal(once)
		if err != nil {
			t.Fatalf("what was read is not read back: %v", err)
		}
		if twice, err := again.Encode(); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s became %s, %v", once, twice, err)
		}
	})
}

func FuzzParseManifest(f *testing.F) {
	data, err := sampleManifest().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format":"chainmail/manifest/1","source":"s","batch":"20260302000000UTC-20260303000000UTC"}`))
	f.Add([]byte(`{"format":"chainmail/manifest/1","statuses":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest(data)
		if err != nil {
			return
		}
		once, err := m.Encode()
		if err != nil {
			return // a time whose year has four digits in its own zone alone
		}
		again, err := ParseManifest(once)
		if err != nil {
			t.Fatalf("what was read is not read back: %v", err)
		}
		if twice, err := again.Encode(); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s became %s, %v", once, twice, err)
		}
	})
}
