package graphtest

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
)

// RecordSetting names a file to which runs add, a line each, which events they log with which fields, as a [LogEvent]. The workbook
// and the alerts of a deployment are held to what was recorded.
const RecordSetting = "CHAINMAIL_TEST_RECORD_EVENTS"

// A LogEvent is a line of the log without its values.
type LogEvent struct {
	Msg    string   `json:"msg"`
	Fields []string `json:"fields"`
}

var recorded sync.Map // events that stand in the file already

// recordEvents adds the events of whole lines to the file that [RecordSetting] names, if it names one.
func recordEvents(lines []byte) {
	file := os.Getenv(RecordSetting)
	if file == "" {
		return
	}
	for line := range strings.Lines(string(lines)) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) != nil {
			continue // what else a process writes
		}
		msg, _ := fields["msg"].(string)
		data, err := json.Marshal(LogEvent{msg, slices.Sorted(maps.Keys(fields))})
		if _, known := recorded.LoadOrStore(string(data), true); known || err != nil {
			continue
		}
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		_, _ = f.Write(append(data, '\n'))
		_ = f.Close()
	}
}
