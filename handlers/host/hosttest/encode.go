package hosttest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// hostText is JsonConvert.SerializeObject: the JSON text of v without HTML escaping.
func hostText(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("hosttest: encode %T: %v", v, err)) // only strings, numbers and maps of them are encoded
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// metadata is the host's binding data: its keys differ in more than case.
type metadata map[string]any

// set adds a value, or replaces that of a key that differs in case only; that key stays as it is.
func (m metadata) set(key string, value any) {
	for old := range m {
		if strings.EqualFold(old, key) {
			key = old
			break
		}
	}
	m[key] = value
}

// queueBody gives the body for a queue message: its text twice encoded, and metadata over which the message's own
// top-level properties lie.
func queueBody(function, bindingName, text string, m taken, now time.Time) []byte {
	meta := metadata{
		"DequeueCount":    strconv.FormatInt(m.dequeueCount, 10),
		"ExpirationTime":  hostDate(m.expires),
		"Id":              hostText(m.id),
		"InsertionTime":   hostDate(m.inserted),
		"NextVisibleTime": hostDate(m.nextVisible),
		"PopReceipt":      hostText(m.receipt),
		"sys":             systemData(function, now),
	}
	meta.pollute(text)
	return body(bindingName, hostText(text), meta)
}

// timerBody gives the body for a timer: its object, and system metadata alone.
func timerBody(function, bindingName string, timer any, now time.Time) []byte {
	return body(bindingName, timer, metadata{"sys": systemData(function, now)})
}

// body orders Data first, as the host does.
func body(bindingName string, value any, meta metadata) []byte {
	for key := range meta {
		if strings.HasSuffix(strings.ToLower(key), "trigger") {
			delete(meta, key)
		}
	}
	return []byte(hostText(struct {
		Data     map[string]any
		Metadata metadata
	}{map[string]any{bindingName: value}, meta}))
}

func systemData(function string, now time.Time) map[string]string {
	return map[string]string{
		"MethodName": function,
		"UtcNow":     now.UTC().Format("2006-01-02T15:04:05.0000000Z"),
		"RandGuid":   guid(),
	}
}

// hostDate is how the host serialises a date: to seconds, with an offset.
func hostDate(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05-07:00") }

// pollute copies the top-level properties of a message that is a JSON object over the metadata, as the host's
// ApplyBindingData does; arrays and nulls are left out, and text that only looks like an object changes nothing.
func (m metadata) pollute(text string) {
	if !strings.HasPrefix(strings.TrimSpace(text), "{") || !json.Valid([]byte(text)) {
		return
	}
	d := json.NewDecoder(strings.NewReader(text))
	if _, err := d.Token(); err != nil {
		return
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return
		}
		switch raw[0] {
		case '[', 'n':
		case '{':
			m.set(key.(string), raw)
		default:
			m.set(key.(string), hostText(scalarText(raw)))
		}
	}
}

// scalarText is what .NET makes of a JSON scalar as a string.
func scalarText(raw json.RawMessage) string {
	switch raw[0] {
	case '"':
		var s string
		_ = json.Unmarshal(raw, &s) // it has been decoded once
		if date, ok := dotnetDate(s); ok {
			return date
		}
		return s
	case 't':
		return "True"
	case 'f':
		return "False"
	}
	return string(raw)
}

var isoDate = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?(Z|[+-]\d\d:\d\d)?$`)

// dotnetDate reformats a string that as a whole is an ISO date-time: the host's JSON reader makes a date of it.
func dotnetDate(s string) (string, bool) {
	if !isoDate.MatchString(s) {
		return "", false
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC().Format("01/02/2006 15:04:05"), true
		}
	}
	return "", false
}

// result is the JSON object that a handler answers; names are matched whatever their case.
type result struct {
	Outputs     map[string]json.RawMessage
	Logs        []json.RawMessage
	ReturnValue json.RawMessage
}

// errHangs is the verdict on an answer without a result: the host would wait for it until functionTimeout and then
// kill the handler.
var errHangs = errors.New("would hang: the answer is empty or null, so the host waits for its result until functionTimeout")

// parseResult reads the body of a 2xx answer.
func parseResult(data []byte) (result, error) {
	text := bytes.TrimSpace(data)
	if len(text) == 0 || string(text) == "null" {
		return result{}, errHangs
	}
	if text[0] != '{' {
		return result{}, errors.New("the answer is not a JSON object")
	}
	var r result
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&r); err != nil {
		return result{}, fmt.Errorf("the answer is not JSON of the wanted shape: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return result{}, errors.New("the answer holds more than one JSON value")
	}
	for _, log := range r.Logs {
		if log[0] != '"' {
			return result{}, errors.New("the answer's Logs hold something else than strings")
		}
	}
	return r, nil
}

// returnBinding is the name of the binding that ReturnValue feeds.
const returnBinding = "$return"

// outputs gives what each output binding is fed, ReturnValue included. A name that no binding has is an error here: the
// host would lose what it holds without a word.
func (r result) outputs(f *function) (map[string]json.RawMessage, error) {
	values := map[string]json.RawMessage{}
	for name, value := range r.Outputs {
		values[name] = value
	}
	known := map[string]bool{}
	for _, b := range f.outputs {
		known[b.Name] = true
	}
	if raw := bytes.TrimSpace(r.ReturnValue); known[returnBinding] {
		values[returnBinding] = raw
	} else if len(raw) > 0 && raw[0] == '{' {
		var properties map[string]json.RawMessage
		if err := json.Unmarshal(raw, &properties); err != nil {
			return nil, fmt.Errorf("the answer's ReturnValue: %w", err)
		}
		for name, value := range properties {
			values[name] = value
		}
	}
	for name := range values {
		if !known[name] {
			return nil, fmt.Errorf("would lose an output: function.json has no output binding %q", name)
		}
	}
	return values, nil
}

// outputMessages gives the messages that the host makes of one value of Outputs for a queue binding.
func outputMessages(raw json.RawMessage, binary bool) ([]string, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if raw[0] != '"' {
		return fanOut(raw)
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("read output: %w", err)
	}
	if date, ok := dotnetDate(s); ok {
		return []string{date}, nil
	}
	if decoded, ok := netBase64(s); ok && !binary {
		return []string{string(decoded)}, nil
	}
	text := strings.TrimSpace(s)
	if !enclosed(text, "{", "}") && !enclosed(text, "[", "]") {
		return []string{s}, nil
	}
	if !json.Valid([]byte(text)) {
		return nil, errors.New("read output: a string that begins and ends like JSON is not JSON")
	}
	return fanOut([]byte(text))
}

func enclosed(s, open, end string) bool {
	return strings.HasPrefix(s, open) && strings.HasSuffix(s, end)
}

// fanOut makes a message of each element of an array, or of the value itself.
func fanOut(raw json.RawMessage) ([]string, error) {
	elements := []json.RawMessage{raw}
	if raw[0] == '[' {
		elements = nil
		if err := json.Unmarshal(raw, &elements); err != nil {
			return nil, fmt.Errorf("read output: %w", err)
		}
	}
	var messages []string
	for _, element := range elements {
		switch element[0] {
		case '{', '[':
			var b bytes.Buffer
			if err := json.Indent(&b, element, "", "  "); err != nil {
				return nil, fmt.Errorf("read output: %w", err)
			}
			messages = append(messages, b.String())
		case 'n':
			messages = append(messages, "")
		default:
			messages = append(messages, scalarText(element))
		}
	}
	return messages, nil
}

// netBase64 is Convert.FromBase64String: white space is skipped, padding required.
func netBase64(s string) ([]byte, bool) {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n", r) {
			return -1
		}
		return r
	}, s)
	b, err := base64.StdEncoding.DecodeString(s)
	return b, err == nil
}
