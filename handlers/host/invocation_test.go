package host

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// Payloads as hosts have sent them, published by their receivers; ids shortened there are filled up.
const (
	capturedQueue = `{"Data":{"queue":"\"hello!!\""},"Metadata":{"DequeueCount":"1","ExpirationTime":"2025-02-25T03:06:19+00:00",` +
		`"Id":"\"52d53c5f-e212-487e-998b-abbe3b9d51e4\"","InsertionTime":"2025-02-18T03:06:19+00:00",` +
		`"NextVisibleTime":"2025-02-18T03:16:20+00:00","PopReceipt":"\"MThGZWIyMDI1MDM6MDY6MjA3NjM1\"",` +
		`"sys":{"MethodName":"queue","UtcNow":"2025-02-18T03:06:20.7562691Z","RandGuid":"e59556b5-0000-4000-8000-000000000000"}}}`
	capturedTimer = `{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}},` +
		`"Metadata":{"sys":{"MethodName":"azure","UtcNow":"2023-09-07T11:40:45.004275Z","RandGuid":"35e6e68c-0000-4000-8000-000000000000"}}}`
)

// received parses a body as the server does.
func received(t *testing.T, body string) *Invocation {
	t.Helper()
	e, err := parseEnvelope([]byte(body))
	if err != nil {
		t.Fatalf("parseEnvelope(%s): %v", body, err)
	}
	return &Invocation{Data: e.Data, Metadata: e.Metadata}
}

func TestACapturedQueueInvocationIsRead(t *testing.T) {
	t.Parallel()
	inv := received(t, capturedQueue)
	if text, err := inv.Message("queue"); err != nil || string(text) != "hello!!" {
		t.Errorf("Message = %q, %v, want hello!!", text, err)
	}
	if n := inv.DequeueCount(); n != 1 {
		t.Errorf("DequeueCount = %d, want 1", n)
	}
}

func TestAMessageIsDecodedHoweverOftenItIsEncoded(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`"\"hello!!\""`: "hello!!",
		`"\"{\\\"a\\\":1,\\\"b\\\":\\\"x<y\\\"}\""`: `{"a":1,"b":"x<y"}`, // as the host sends it
		`"{\"a\":1}"`:               `{"a":1}`,         // as Microsoft's documentation shows it
		` { "a" : [ 1 , "x y" ] } `: `{"a":[1,"x y"]}`, // by hand
		`"hello"`:                   "hello",
		`""`:                        "",
		`"\"\""`:                    "",
		`"\"\\\"quoted\\\"\""`:      `"quoted"`, // a message that is a JSON string itself stays one
		`"\"broken"`:                `"broken`,
		`7`:                         "7",
		`"\" caf\\u00e9 \""`:        " café ",
	} {
		inv := &Invocation{Data: map[string]json.RawMessage{"m": json.RawMessage(raw)}}
		if got, err := inv.Message("m"); err != nil || string(got) != want {
			t.Errorf("Message of %s = %q, %v, want %q", raw, got, err, want)
		}
	}
}

func TestAnInvocationWithoutTheBindingsDataIsAnError(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"Data":{}}`, `{"Data":{"other":"x"}}`, `{"Data":{"m":null}}`, `{"Data":{"M":"x"}}`} {
		inv := received(t, body)
		if got, err := inv.Message("m"); err == nil {
			t.Errorf("Message of %s = %q, want an error", body, got)
		}
		if got, err := inv.Timer("m"); err == nil {
			t.Errorf("Timer of %s = %+v, want an error", body, got)
		}
	}
}

func TestTheDequeueCountIsAHint(t *testing.T) {
	t.Parallel()
	for metadata, want := range map[string]int{
		`{"DequeueCount":"1"}`:                    1,
		`{"DequeueCount":12}`:                     12,
		`{"DequeueCount":"\"4\""}`:                4, // a message's own property
		`{"dequeuecount":"3"}`:                    3,
		`{"DequeueCount":"2","dequeueCount":"9"}`: 2,
		`{}`:                             0,
		`null`:                           0,
		`{"DequeueCount":null}`:          0,
		`{"DequeueCount":"many"}`:        0,
		`{"DequeueCount":{"x":1}}`:       0,
		`{"DequeueCount":"-1"}`:          0,
		`{"DequeueCount":"99999999999"}`: 0,
	} {
		if got := received(t, `{"Data":{},"Metadata":`+metadata+`}`).DequeueCount(); got != want {
			t.Errorf("DequeueCount of %s = %d, want %d", metadata, got, want)
		}
	}
}

func TestATimerIsReadLeniently(t *testing.T) {
	t.Parallel()
	last, next := time.Date(2026, 10, 4, 10, 10, 0, 0, time.UTC), time.Date(2026, 10, 4, 10, 15, 0, 0, time.UTC)
	for raw, want := range map[string]Timer{
		`{"Schedule":{"AdjustForDST":true},"ScheduleStatus":{"Last":"2026-10-04T10:10:00+00:00","Next":"2026-10-04T10:15:00+00:00",` +
			`"LastUpdated":"2026-10-04T10:10:00.0123+00:00"},"IsPastDue":false}`: {Last: last, Next: next},
		`{"ScheduleStatus":{"Last":"2026-10-04T12:10:00+02:00","Next":"2026-10-04T10:15:00"},"IsPastDue":true}`: {true, last, next},
		`{"ScheduleStatus":{"Last":"0001-01-01T00:00:00","Next":"2026-10-04T10:15:00Z"}}`:                       {Next: next},
		`{"ScheduleStatus":{"Last":"0001-01-01T00:00:00+00:00","Next":"soon"},"IsPastDue":"True"}`:              {PastDue: true},
		`{"ScheduleStatus":null,"IsPastDue":null}`:                                                              {},
		`{"ScheduleStatus":"none","IsPastDue":1}`:                                                               {},
		`"{\"IsPastDue\":true}"`:         {PastDue: true},
		`"\"{\\\"IsPastDue\\\":true}\""`: {PastDue: true},
		`""`:                             {}, // a run started by hand
		`"\"\""`:                         {},
		`"\"go\""`:                       {},
		`17`:                             {},
		`{}`:                             {},
	} {
		inv := &Invocation{Data: map[string]json.RawMessage{"timer": json.RawMessage(raw)}}
		got, err := inv.Timer("timer")
		if raw == `"\"go\""` {
			if err == nil {
				t.Errorf("Timer of %s = %+v, want an error: it is no JSON", raw, got)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("Timer of %s = %+v, %v, want %+v", raw, got, err, want)
		}
	}
	if got, err := received(t, capturedTimer).Timer("timer"); err != nil || got != (Timer{}) {
		t.Errorf("Timer of the captured payload = %+v, %v", got, err)
	}
}

func TestABodyThatIsNotTheHostsIsRefusedWithoutQuotingIt(t *testing.T) {
	t.Parallel()
	const canary = "canary"
	for _, body := range []string{
		``, `null`, `{}`, `[]`, `"canary"`, `{"canary"`, `{"Data":"canary"}`, `{"Data":null}`, `{"Data":{"m":1}} canary`,
		`{"Data":{"m":1}}{"canary":1}`, `{"Data":{"m":canary}}`, `{"Data":{},"Metadata":["canary"]}`,
	} {
		_, err := parseEnvelope([]byte(body))
		if err == nil {
			t.Errorf("parseEnvelope(%s) succeeded", body)
			continue
		}
		if strings.Contains(err.Error(), canary) {
			t.Errorf("the error quotes the body: %v", err)
		}
	}
}

func FuzzParseEnvelope(f *testing.F) {
	for _, seed := range []string{capturedQueue, capturedTimer, `{"Data":{"":null},"Metadata":{"dequeueCOUNT":"\"1\""}}`, `{"data":{"a":{}}}`, `{`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := parseEnvelope(body)
		if err != nil {
			return
		}
		if !json.Valid(body) || e.Data == nil {
			t.Errorf("parseEnvelope took %q", body)
		}
		inv := &Invocation{Data: e.Data, Metadata: e.Metadata}
		if inv.DequeueCount() < 0 {
			t.Error("negative dequeue count")
		}
		for binding, raw := range e.Data {
			timer, err := inv.Timer(binding)
			if err == nil && (timer.Last.Location() != time.UTC || timer.Next.Location() != time.UTC) {
				t.Errorf("timer of %s is not in UTC: %+v", raw, timer)
			}
			if _, err := inv.Message(binding); (err != nil) != isNull(raw) {
				t.Errorf("message of %s: %v", raw, err)
			}
		}
	})
}

// Whatever text a message has, it is found again in what the host makes of it.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{"hello!!", `{"a":1,"b":"x<y"}`, `"quoted"`, "", "\x00\u2028", `\"`, "7"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var want string // invalid UTF-8 has been replaced
		if err := json.Unmarshal(once, &want); err != nil {
			t.Fatal(err)
		}
		twice, err := json.Marshal(string(once))
		if err != nil {
			t.Fatal(err)
		}
		inv := &Invocation{Data: map[string]json.RawMessage{"m": twice}}
		if got, err := inv.Message("m"); err != nil || string(got) != want {
			t.Errorf("Message = %q, %v, want %q", got, err, want)
		}
	})
}
