package hosttest

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"
)

const minimalHost = `{"version":"2.0","customHandler":{"description":{"defaultExecutablePath":"handler"}}}`

// stageFiles writes an app of these files, and a handler that is never run.
func stageFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	all := map[string]string{"handler": "", "host.json": minimalHost}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestAnAppIsLoadedWithTheHostsDefaults(t *testing.T) {
	t.Parallel()
	a, err := loadApp(stageFiles(t, map[string]string{
		"work/function.json":        workFunction,
		"after/function.json":       afterFunction,
		"deep/inside/function.json": `broken, and never looked at`,
		"data/readme.txt":           "no function",
	}), map[string]string{"WORK_QUEUE": "jobs"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range a.functions {
		names = append(names, f.name)
	}
	if !slices.Equal(names, []string{"after", "work"}) {
		t.Errorf("functions = %q", names)
	}
	want := queueOptions{
		batchSize: 16, newBatchThreshold: 8 * runtime.NumCPU(), maxDequeueCount: 5, maxPolling: time.Minute, base64: true,
	}
	if a.queues != want || a.initTimeout != 30*time.Second || a.functionTimeout != 30*time.Minute {
		t.Errorf("app = %+v", a)
	}
	if trigger := a.functions[1].trigger; trigger.QueueName != "jobs" || trigger.Connection != storageConnection {
		t.Errorf("trigger = %+v, want its setting resolved and the host's storage", trigger)
	}
}

func TestHostJSONIsHeeded(t *testing.T) {
	t.Parallel()
	a, err := loadApp(stageFiles(t, map[string]string{
		"host.json": `{"version":"2.0","functionTimeout":"-1","customHandler":{"initializationTimeout":"00:01:00",
			"description":{"defaultExecutablePath":"handler","arguments":["serve"]}},
			"extensions":{"queues":{"batchSize":1,"newBatchThreshold":0,"maxDequeueCount":7,"visibilityTimeout":"00:01:30",
			"maxPollingInterval":"00:00:02","messageEncoding":"None"}}}`,
		"after/function.json": afterFunction,
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := queueOptions{batchSize: 1, maxDequeueCount: 7, visibility: 90 * time.Second, maxPolling: 2 * time.Second}
	if a.queues != want || a.queues.concurrency() != 1 {
		t.Errorf("queues = %+v, want %+v", a.queues, want)
	}
	if a.functionTimeout != 0 || a.initTimeout != time.Minute || !slices.Equal(a.arguments, []string{"serve"}) {
		t.Errorf("app = %+v", a)
	}
}

func TestAnAppThatTheHostWouldNotRunIsRefused(t *testing.T) {
	t.Parallel()
	function := func(bindings string) map[string]string {
		return map[string]string{"work/function.json": `{"bindings":[` + bindings + `]}`}
	}
	host := func(text string) map[string]string {
		return map[string]string{"host.json": text, "after/function.json": afterFunction}
	}
	queues := func(text string) map[string]string {
		return host(`{"version":"2.0","customHandler":{"description":{"defaultExecutablePath":"handler"}},"extensions":{"queues":` +
			text + `}}`)
	}
	const trigger = `{"type":"queueTrigger","direction":"in","name":"m","queueName":"q"}`
	for name, row := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no functions":     {nil, "no function.json"},
		"host broken":      {host(`{`), "load host.json"},
		"version":          {host(`{"version":"1.0"}`), "version"},
		"no custom":        {host(`{"version":"2.0"}`), "customHandler"},
		"no executable":    {host(`{"version":"2.0","customHandler":{"description":{"defaultExecutablePath":"other"}}}`), "names no file"},
		"timeout":          {host(`{"version":"2.0","functionTimeout":"30m","customHandler":{"description":{"defaultExecutablePath":"handler"}}}`), "functionTimeout"},
		"batch size":       {queues(`{"batchSize":33}`), "batchSize"},
		"threshold":        {queues(`{"newBatchThreshold":-1}`), "newBatchThreshold"},
		"dequeue count":    {queues(`{"maxDequeueCount":0}`), "maxDequeueCount"},
		"visibility":       {queues(`{"visibilityTimeout":"soon"}`), "visibilityTimeout"},
		"polling":          {queues(`{"maxPollingInterval":"00:00:00.05"}`), "maxPollingInterval"},
		"encoding":         {queues(`{"messageEncoding":"utf8"}`), "messageEncoding"},
		"queues no object": {queues(`7`), "extensions.queues"},
		"function broken":  {map[string]string{"work/function.json": `{`}, "load function work"},
		"function name":    {map[string]string{"1work/function.json": `{}`}, "no function name"},
		"reserved name":    {map[string]string{"Host/function.json": `{}`}, "no function name"},
		"disabled":         {map[string]string{"work/function.json": `{"disabled":true}`}, "disabled"},
		"no trigger":       {function(`{"type":"queue","direction":"out","name":"o","queueName":"q"}`), "no trigger"},
		"two triggers":     {function(trigger + `,{"type":"queueTrigger","direction":"in","name":"n","queueName":"q"}`), "second trigger"},
		"output twice": {function(trigger + `,{"type":"queue","direction":"out","name":"o","queueName":"q"},` +
			`{"type":"queue","direction":"out","name":"o","queueName":"p"}`), "declared twice"},
		"no name":          {function(`{"type":"queueTrigger","direction":"in","queueName":"q"}`), "has no name"},
		"no queue":         {function(`{"type":"queueTrigger","direction":"in","name":"m"}`), "names no queue"},
		"setting missing":  {function(`{"type":"queueTrigger","direction":"in","name":"m","queueName":"%NO%"}`), "setting is missing: %NO%"},
		"schedule missing": {function(`{"type":"timerTrigger","direction":"in","name":"t","schedule":"%NO%"}`), "setting is missing"},
		"schedule":         {function(`{"type":"timerTrigger","direction":"in","name":"t","schedule":"00:05:00"}`), "fields"},
		"http":             {function(`{"type":"httpTrigger","direction":"in","name":"r"}`), "not imitated"},
	} {
		_, err := loadApp(stageFiles(t, row.files), nil)
		if err == nil {
			t.Errorf("%s: loaded", name)
			continue
		}
		wantError(t, err, row.want)
	}
}

func TestAConnectionMustBeAConnectionString(t *testing.T) {
	t.Parallel()
	root := stageFiles(t, map[string]string{"after/function.json": afterFunction})
	const secret = "notreallyasecret"
	_, err := Start(t.Context(), Options{Root: root, Settings: map[string]string{storageConnection: "AccountKey=" + secret}})
	if err == nil || err.Error() != "open queues: the setting AzureWebJobsStorage is not a storage connection string" {
		t.Errorf("Start = %v, want an error that does not quote the setting", err)
	}
	a, err := loadApp(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	q, err := openQueues(a, map[string]string{storageConnection: "UseDevelopmentStorage=true"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := q.queue("", "work").client.URL(), "http://127.0.0.1:10001/devstoreaccount1/work"; got != want {
		t.Errorf("queue = %s, want %s", got, want)
	}
}
