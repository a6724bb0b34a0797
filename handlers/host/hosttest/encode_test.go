package hosttest

import (
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// captured is the message whose payload was published; see TestAMessageIsEncodedAsTheHostEncodesIt.
func captured() taken {
	at := func(day, hour, minute, second int) time.Time {
		return time.Date(2025, 2, day, hour, minute, second, 0, time.UTC)
	}
	return taken{
		id: "52d53c5f-e212-487e-998b-abbe3b9d51e4", receipt: "MThGZWIyMDI1MDM6MDY6MjA3NjM1", dequeueCount: 1,
		inserted: at(18, 3, 6, 19), expires: at(25, 3, 6, 19), nextVisible: at(18, 3, 16, 20),
	}
}

var randGUID = regexp.MustCompile(`"RandGuid":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"`)

func TestAMessageIsEncodedAsTheHostEncodesIt(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 2, 18, 3, 6, 20, 756_269_100, time.UTC)
	const metadata = `"DequeueCount":"1","ExpirationTime":"2025-02-25T03:06:19+00:00",` +
		`"Id":"\"52d53c5f-e212-487e-998b-abbe3b9d51e4\"","InsertionTime":"2025-02-18T03:06:19+00:00",` +
		`"NextVisibleTime":"2025-02-18T03:16:20+00:00","PopReceipt":"\"MThGZWIyMDI1MDM6MDY6MjA3NjM1\""`
	const system = `"sys":{"MethodName":"queue",RAND,"UtcNow":"2025-02-18T03:06:20.7562691Z"}`
	for text, want := range map[string]string{
		"hello!!": `{"Data":{"queue":"\"hello!!\""},"Metadata":{` + metadata + `,` + system + `}}`,
		`{"a":1,"b":"x<y"}`: `{"Data":{"queue":"\"{\\\"a\\\":1,\\\"b\\\":\\\"x<y\\\"}\""},"Metadata":{` + metadata +
			`,"a":"\"1\"","b":"\"x<y\"",` + system + `}}`,
	} {
		got := string(queueBody("queue", "queue", text, captured(), now))
		if got = randGUID.ReplaceAllString(got, "RAND"); got != want {
			t.Errorf("body of %s =\n%s, want\n%s", text, got, want)
		}
	}
}

func TestAMessagesPropertiesLieOverTheMetadata(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]map[string]string{
		`{"id":"mine","DEQUEUECOUNT":77}`: {"Id": `"\"mine\""`, "DequeueCount": `"\"77\""`},
		`{"a":true,"b":false,"c":1.50}`:   {"a": `"\"True\""`, "b": `"\"False\""`, "c": `"\"1.50\""`},
		`{"o":{"x":[1]},"sys":{}}`:        {"o": `{"x":[1]}`, "sys": `{}`},
		`{"n":null,"l":[1]}`:              {"n": "", "l": ""},
		`{"myTrigger":1,"QueueTrigger":2}`: {
			"myTrigger": "", "QueueTrigger": "",
		},
		`{"when":"2026-03-02T01:02:03Z","day":"2026-03-02"}`: {"when": `"\"03/02/2026 01:02:03\""`, "day": `"\"2026-03-02\""`},
		`{"when":"2026-13-02T01:02:03Z"}`:                    {"when": `"\"2026-13-02T01:02:03Z\""`},
		`{"broken":1`:                                        {"broken": ""},
		`["id"]`:                                             {"Id": `"\"52d53c5f-e212-487e-998b-abbe3b9d51e4\""`},
		`{}`:                                                 {"DequeueCount": `"1"`},
	} {
		var got struct{ Metadata map[string]json.RawMessage }
		if err := json.Unmarshal(queueBody("f", "queue", text, captured(), time.Now()), &got); err != nil {
			t.Fatal(err)
		}
		for key, value := range want {
			if string(got.Metadata[key]) != value {
				t.Errorf("%s: metadata %s = %s, want %s", text, key, got.Metadata[key], value)
			}
		}
		for key := range maps.Keys(got.Metadata) {
			if key != "Id" && strings.EqualFold(key, "id") || key != "DequeueCount" && strings.EqualFold(key, "dequeuecount") {
				t.Errorf("%s: the key %s stands beside its like", text, key)
			}
		}
	}
}

func TestOutputsAreGuessedAtAsTheHostGuesses(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string][]string{
		``:                        nil,
		`null`:                    nil,
		`[]`:                      nil,
		`["s1","s2"]`:             {"s1", "s2"},
		`["abcd1234","[1,2]"]`:    {"abcd1234", "[1,2]"},
		`["2026-03-02T01:02:03"]`: {"03/02/2026 01:02:03"},
		`[{"a":1},{"a":2}]`:       {"{\n  \"a\": 1\n}", "{\n  \"a\": 2\n}"},
		`{"a":1}`:                 {"{\n  \"a\": 1\n}"},
		`"abcd1234"`:              {"i\xb7\x1d\xd7m\xf8"},
		`"YWJj\nZA=="`:            {"abcd"},
		`"YWJjZA"`:                {"YWJjZA"},
		`"{\"a\":1}"`:             {"{\n  \"a\": 1\n}"},
		`"[1,2]"`:                 {"1", "2"},
		`"[\"a\",\"b\"]"`:         {"a", "b"},
		`"hello!!"`:               {"hello!!"},
		`""`:                      {""},
		`[null,"x"]`:              {"", "x"},
		`100`:                     {"100"},
		`true`:                    {"True"},
		`[[1]]`:                   {"[\n  1\n]"},
	} {
		got, err := outputMessages(json.RawMessage(raw), false)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("outputMessages(%s) = %q, %v, want %q", raw, got, err, want)
		}
	}
	if got, err := outputMessages(json.RawMessage(`"abcd1234"`), true); err != nil || !slices.Equal(got, []string{"abcd1234"}) {
		t.Errorf("of a binary binding: %q, %v, want it verbatim", got, err)
	}
	for _, raw := range []string{`"[note] see [1]"`, `"{x}"`, `"[1,]"`} {
		if got, err := outputMessages(json.RawMessage(raw), false); err == nil {
			t.Errorf("outputMessages(%s) = %q, want an error", raw, got)
		}
	}
}

func TestAnAnswerIsJudgedAsTheHostJudgesIt(t *testing.T) {
	t.Parallel()
	const jsonType = "application/json"
	for _, row := range []struct {
		status          int
		mediaType, body string
		want            string // part of the error; "" for success
	}{
		{200, jsonType, `{}`, ""},
		{202, "text/json", "\t{} \n", ""},
		{200, "Application/JSON; charset=utf-8", `{"unknown":1,"outputs":null,"LOGS":["a"]}`, ""},
		{299, jsonType, `{"ReturnValue":7}`, ""},
		{204, "", "", "would hang"},
		{200, "text/plain", "", "would hang"},
		{200, jsonType, "null", "would hang"},
		{200, jsonType, " \n", "would hang"},
		{200, "text/plain; charset=utf-8", `{}`, "content type"},
		{200, "application/problem+json", `{}`, "content type"},
		{200, "", `{}`, "content type"},
		{200, jsonType, `[{}]`, "not a JSON object"},
		{200, jsonType, `"{}"`, "not a JSON object"},
		{200, jsonType, `{} {}`, "more than one"},
		{200, jsonType, `{"Outputs":[]}`, "not JSON of the wanted shape"},
		{200, jsonType, `{"Logs":"one"}`, "not JSON of the wanted shape"},
		{200, jsonType, `{"Logs":["one",{}]}`, "Logs"},
		{300, jsonType, `{}`, "300"},
		{404, jsonType, `{}`, "404"},
		{500, jsonType, `{}`, "500"},
		{199, jsonType, `{}`, "199"},
	} {
		_, err := judge(row.status, row.mediaType, []byte(row.body))
		if row.want == "" && err != nil {
			t.Errorf("judge(%d, %q, %s) = %v, want success", row.status, row.mediaType, row.body, err)
		}
		if row.want != "" {
			wantError(t, err, row.want)
		}
		if errors.Is(err, errHangs) != (row.want == "would hang") {
			t.Errorf("judge(%d, %q, %s) = %v", row.status, row.mediaType, row.body, err)
		}
	}
}

func TestAReturnValueFeedsItsBinding(t *testing.T) {
	t.Parallel()
	plain := &function{outputs: []binding{{Name: "out"}}}
	dollar := &function{outputs: []binding{{Name: "out"}, {Name: "$return"}}}
	for _, row := range []struct {
		f            *function
		answer, want string // want: the bindings and their values; "error"
	}{
		{plain, `{"Outputs":{"out":["a"]}}`, `{"out":["a"]}`},
		{plain, `{"ReturnValue":{"out":["b"]}}`, `{"out":["b"]}`},
		{plain, `{"ReturnValue":"text"}`, `{}`},
		{plain, `{"Outputs":{"OUT":[]}}`, "error"},
		{plain, `{"ReturnValue":{"other":1}}`, "error"},
		{dollar, `{"Outputs":{"out":1},"ReturnValue":{"other":1}}`, `{"$return":{"other":1},"out":1}`},
	} {
		r, err := parseResult([]byte(row.answer))
		if err != nil {
			t.Fatal(err)
		}
		values, err := r.outputs(row.f)
		got := hostText(values)
		if err != nil {
			got = "error"
		}
		if got != row.want {
			t.Errorf("outputs of %s = %s, %v, want %s", row.answer, got, err, row.want)
		}
	}
}

func TestPoisonQueuesHaveNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"chunks":                "chunks-poison",
		"chunks-poison":         "",
		strings.Repeat("q", 56): strings.Repeat("q", 56) + "-poison",
		strings.Repeat("q", 57): "",
	} {
		if got := poisonName(name); got != want {
			t.Errorf("poisonName(%s) = %q, want %q", name, got, want)
		}
	}
}

// What goes in as a message comes out of two decodings unchanged, whatever it is.
func FuzzQueueBody(f *testing.F) {
	for _, seed := range []string{"", "hello!!", `{"a":1,"b":"x<y"}`, `{"Data":{"sys":null},"SYS":1}`, "{", "[]", "\u2028\x00", `{"a":1}{`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return // decode lets only UTF-8 through
		}
		var envelope struct {
			Data     struct{ Queue string }
			Metadata map[string]json.RawMessage
		}
		if err := json.Unmarshal(queueBody("f", "queue", text, captured(), time.Now()), &envelope); err != nil {
			t.Fatal(err)
		}
		var got string
		if err := json.Unmarshal([]byte(envelope.Data.Queue), &got); err != nil || got != text {
			t.Errorf("message = %q, %v, want %q", got, err, text)
		}
		for key := range envelope.Metadata {
			if strings.HasSuffix(strings.ToLower(key), "trigger") {
				t.Errorf("metadata holds %q", key)
			}
		}
	})
}

// An answer that is taken feeds known bindings alone, and its messages can be made or are refused.
func FuzzParseResult(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"Outputs":{"out":["a",{"b":[1]},null,true]},"Logs":["x"],"ReturnValue":{"out":"[1,2]"}}`,
		`null`, `[]`, `{"Logs":[null]}`, `{"outputs":{"out":"YWJj"}}`, `{"ReturnValue":{}}{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseResult(data)
		if err != nil {
			return
		}
		values, err := r.outputs(&function{outputs: []binding{{Name: "out"}}})
		if err != nil {
			return
		}
		for name, raw := range values {
			if name != "out" {
				t.Errorf("the unknown binding %q was fed", name)
			}
			_, _ = outputMessages(raw, false)
		}
	})
}
