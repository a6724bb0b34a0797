package capture

import (
	"strings"
	"testing"
	"time"
)

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestAWindowHoldsItsStartAndNotItsEnd(t *testing.T) {
	t.Parallel()
	w := Window{Start: at("2026-03-02T00:00:00Z"), End: at("2026-03-03T00:00:00Z")}
	for text, want := range map[string]bool{
		"2026-03-01T23:59:59Z": false, "2026-03-02T00:00:00Z": true, "2026-03-02T01:00:00+01:00": true,
		"2026-03-02T23:59:59Z": true, "2026-03-03T00:00:00Z": false,
	} {
		if got := w.Contains(at(text)); got != want {
			t.Errorf("Contains(%s) = %v, want %v", text, got, want)
		}
	}
}

func TestABatchIsNamedByItsPeriodAndFromTheSecondOnByItsNumber(t *testing.T) {
	t.Parallel()
	w := Window{Start: at("2026-03-02T01:00:00+01:00"), End: at("2026-03-03T00:00:00Z")}
	for n, want := range map[int]string{
		1: "20260302000000UTC-20260303000000UTC", 2: "20260302000000UTC-20260303000000UTC-2", 12: "20260302000000UTC-20260303000000UTC-12",
	} {
		if got := BatchID(w, n); got != want {
			t.Errorf("BatchID(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestItemKeysTellIDsApartThatDifferInCaseAlone(t *testing.T) {
	t.Parallel()
	key := ItemKey("AAkALgAAAAAAHYQDEapmEc2byACqAC")
	if len(key) != 26 || strings.ToLower(key) != key || key == ItemKey("AAkALgAAAAAAHYQDEapmEc2byACqAc") {
		t.Errorf("key %q", key)
	}
	if key != (Item{GraphID: "AAkALgAAAAAAHYQDEapmEc2byACqAC"}).Key() {
		t.Error("an item's key is not that of its id")
	}
}

func TestACustodianWithoutObjectIDHasANameThatSaysNothing(t *testing.T) {
	t.Parallel()
	c := Custodian{Individual: Individual{Identifier: "Alice@contoso.com"}}
	other := Custodian{Individual: Individual{Identifier: "alice@contoso.com"}}
	if name := c.Name(); strings.Contains(strings.ToLower(name), "alice") || name != other.Name() {
		t.Errorf("name %q, of the other case %q", name, other.Name())
	}
	c.ID = "68ca8ec0-11f8-456b-a785-70d9936650d5"
	if c.Name() != c.ID {
		t.Errorf("name %q, want the object id", c.Name())
	}
}

func TestAMessageComesBackAsTheChunk(t *testing.T) {
	t.Parallel()
	want := Chunk{Source: "o365-mail", Batch: "20260302000000UTC-20260303000000UTC-2", Lane: 7}
	const text = `{"chunk":{"v":1,"source":"o365-mail","batch":"20260302000000UTC-20260303000000UTC-2","lane":7}}`
	if got := want.Message(); got != text {
		t.Errorf("message %s", got)
	}
	if got, err := ParseMessage([]byte(text)); err != nil || got != want {
		t.Errorf("parsed %+v, %v", got, err)
	}
}

func TestWhatIsNoChunkIsRefusedWithoutBeingQuoted(t *testing.T) {
	t.Parallel()
	const batch = `"batch":"20260302000000UTC-20260303000000UTC"`
	for name, text := range map[string]string{
		"nothing":       ``,
		"text":          `secret words`,
		"an array":      `[]`,
		"null":          `null`,
		"empty":         `{}`,
		"two values":    `{"chunk":{"v":1,"source":"a",` + batch + `,"lane":0}} {}`,
		"foreign key":   `{"chunk":{"v":1,"source":"a",` + batch + `,"lane":0},"id":"secret"}`,
		"foreign field": `{"chunk":{"v":1,"source":"a",` + batch + `,"lane":0,"secret":1}}`,
		"no version":    `{"chunk":{"source":"a",` + batch + `,"lane":0}}`,
		"version 2":     `{"chunk":{"v":2,"source":"a",` + batch + `,"lane":0}}`,
		"no source":     `{"chunk":{"v":1,` + batch + `,"lane":0}}`,
		"bad source":    `{"chunk":{"v":1,"source":"../secret",` + batch + `,"lane":0}}`,
		"no batch":      `{"chunk":{"v":1,"source":"a","lane":0}}`,
		"bad batch":     `{"chunk":{"v":1,"source":"a","batch":"secret","lane":0}}`,
		"no lane":       `{"chunk":{"v":1,"source":"a",` + batch + `}}`,
		"negative lane": `{"chunk":{"v":1,"source":"a",` + batch + `,"lane":-1}}`,
		"lane as text":  `{"chunk":{"v":1,"source":"a",` + batch + `,"lane":"secret"}}`,
	} {
		_, err := ParseMessage([]byte(text))
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add([]byte(`{"chunk":{"v":1,"source":"o365-mail","batch":"20260302000000UTC-20260303000000UTC","lane":0}}`))
	f.Add([]byte(`{"chunk":{"v":1,"source":"a","batch":"20260302000000UTC-20260303000000UTC-2","lane":99999}}`))
	f.Add([]byte(`{"chunk":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseMessage(text)
		if err != nil {
			return
		}
		if again, err := ParseMessage([]byte(c.Message())); err != nil || again != c {
			t.Errorf("%+v comes back as %+v, %v", c, again, err)
		}
	})
}
