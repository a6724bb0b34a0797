package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Invocation is one call of a function by the Functions host.
type Invocation struct {
	ID       string // the host's invocation id, a lower-case GUID; "" when the caller sent none
	Function string // the function's name
	// Data holds the trigger's value under its binding's name.
	Data map[string]json.RawMessage
	// Metadata holds what the host knows of the trigger. It cannot be trusted: the host copies a queue message's
	// top-level properties over it.
	Metadata map[string]json.RawMessage
}

// envelope is the body of the host's POST.
type envelope struct {
	Data     map[string]json.RawMessage
	Metadata map[string]json.RawMessage
}

// parseEnvelope reads the body of an invocation. Its errors quote nothing of it.
func parseEnvelope(body []byte) (envelope, error) {
	var e envelope
	if len(body) == 0 {
		return envelope{}, errors.New("read invocation: the body is empty")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&e); err != nil {
		return envelope{}, fmt.Errorf("read invocation: the body is not the host's JSON: %T", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return envelope{}, errors.New("read invocation: the body holds more than one JSON value")
	}
	if e.Data == nil {
		return envelope{}, errors.New("read invocation: the body has no Data")
	}
	return e, nil
}

// Message gives the text of the queue message that triggered the invocation through the named binding.
//
// QUIRK: the host serialises a string to JSON text and then puts that text into a JSON string. Text encoded once (as
// Microsoft's documentation shows it) and a bare JSON value (a run started by hand through the admin endpoint) are
// accepted too.
func (i *Invocation) Message(binding string) ([]byte, error) {
	raw, ok := i.Data[binding]
	if !ok || isNull(raw) {
		return nil, fmt.Errorf("read message: the invocation holds no data for the binding %q", binding)
	}
	outer, ok := jsonString(raw)
	if !ok {
		var compact bytes.Buffer
		if err := json.Compact(&compact, raw); err != nil {
			return nil, fmt.Errorf("read message: the binding %q holds no JSON: %T", binding, err)
		}
		return compact.Bytes(), nil
	}
	if inner, ok := jsonString([]byte(outer)); ok {
		return []byte(inner), nil
	}
	return []byte(outer), nil
}

// DequeueCount says how often the queue message has been taken, 1 at its first time; 0 when that cannot be told. The
// host copies a message's own property of that name over it, so it is a hint and nothing may depend on it.
func (i *Invocation) DequeueCount() int {
	raw, ok := i.Metadata["DequeueCount"]
	for key, value := range i.Metadata {
		if ok {
			break
		}
		if strings.EqualFold(key, "DequeueCount") {
			raw, ok = value, true
		}
	}
	text := string(bytes.TrimSpace(raw))
	for range 2 { // encoded once as the service's count, twice as a message's property
		if s, ok := jsonString([]byte(text)); ok {
			text = s
		}
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return int(n)
}

// Timer is what a timer trigger tells.
type Timer struct {
	PastDue bool // the run was due while no host was running
	// Last and Next are occurrences of the schedule in UTC; zero when the host keeps no status for the timer (for
	// example when it fires more often than once a minute) or has none yet.
	Last, Next time.Time
}

// Timer gives the timer that triggered the invocation through the named binding. Fields that are missing or cannot be
// read are left zero: a timer's run depends on none of them.
func (i *Invocation) Timer(binding string) (Timer, error) {
	raw, ok := i.Data[binding]
	if !ok || isNull(raw) {
		return Timer{}, fmt.Errorf("read timer: the invocation holds no data for the binding %q", binding)
	}
	for range 2 { // a run started by hand may carry the object as JSON text
		if s, ok := jsonString(raw); ok {
			raw = json.RawMessage(s)
		}
	}
	var info struct {
		ScheduleStatus json.RawMessage
		IsPastDue      json.RawMessage
	}
	if err := json.Unmarshal(raw, &info); err != nil {
		// A run started by hand may say anything, and it is a run all the same.
		if json.Valid(raw) || len(bytes.TrimSpace(raw)) == 0 {
			return Timer{}, nil
		}
		return Timer{}, fmt.Errorf("read timer: the binding %q holds no JSON: %T", binding, err)
	}
	t := Timer{PastDue: lenientBool(info.IsPastDue)}
	var status struct{ Last, Next json.RawMessage }
	if len(info.ScheduleStatus) > 0 && json.Unmarshal(info.ScheduleStatus, &status) == nil {
		t.Last, t.Next = lenientTime(status.Last), lenientTime(status.Next)
	}
	return t, nil
}

func isNull(raw json.RawMessage) bool {
	text := bytes.TrimSpace(raw)
	return len(text) == 0 || string(text) == "null"
}

// jsonString gives the string that raw encodes, and whether raw is a JSON string at all.
func jsonString(raw []byte) (string, bool) {
	text := bytes.TrimSpace(raw)
	if len(text) == 0 || text[0] != '"' {
		return "", false
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return "", false
	}
	return s, true
}

func lenientBool(raw json.RawMessage) bool {
	text := strings.Trim(string(bytes.TrimSpace(raw)), `"`)
	return strings.EqualFold(text, "true")
}

// lenientTime reads a .NET date, with or without offset (then it is UTC, as the host's zone is); year 1 means never.
func lenientTime(raw json.RawMessage) time.Time {
	text, ok := jsonString(raw)
	if !ok {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 1 {
			return t.UTC()
		}
	}
	return time.Time{}
}
