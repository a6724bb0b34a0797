package hosttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// app is a staged Functions app as its files describe it.
type app struct {
	root            string
	executable      string
	arguments       []string
	initTimeout     time.Duration
	functionTimeout time.Duration // 0: none
	queues          queueOptions
	forwards        bool        // host.json's customHandler.enableForwardingHttpRequest
	routePrefix     string      // host.json's extensions.http.routePrefix
	functions       []*function // by name
}

// queueOptions is host.json's extensions.queues with the host's defaults.
type queueOptions struct {
	batchSize, newBatchThreshold int
	maxDequeueCount              int64
	visibility, maxPolling       time.Duration
	base64                       bool
}

func (q queueOptions) concurrency() int { return q.batchSize + q.newBatchThreshold }

// function is one folder with a function.json.
type function struct {
	name     string
	trigger  binding
	outputs  []binding     // queues
	answers  bool          // it has an http output
	schedule schedule      // of a timer
	turn     chan struct{} // of a timer: holds one token, since a timer never overlaps with itself
}

// binding is an entry of function.json's bindings, settings resolved.
type binding struct {
	Type, Direction, Name string
	QueueName, Connection string
	DataType              string
	Schedule              string
	RunOnStartup          bool
	UseMonitor            *bool
	Route, AuthLevel      string
	Methods               []string
}

// storageConnection is the setting that holds the host's own storage, and a queue binding's unless it names another.
const storageConnection = "AzureWebJobsStorage"

var functionName = regexp.MustCompile(`(?i)^[a-z][a-z0-9_\-]{0,127}$`)

func loadApp(root string, settings map[string]string) (*app, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("load app: %w", err)
	}
	a := &app{root: root}
	if err := a.loadHost(); err != nil {
		return nil, fmt.Errorf("load host.json: %w", err)
	}
	// The host looks one level below its root and nowhere else.
	folders, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("load app: %w", err)
	}
	for _, folder := range folders {
		data, err := os.ReadFile(filepath.Join(root, folder.Name(), "function.json"))
		if !folder.IsDir() || errors.Is(err, os.ErrNotExist) {
			continue
		}
		f := &function{name: folder.Name(), turn: make(chan struct{}, 1)}
		if err == nil {
			err = f.load(data, settings)
		}
		if err != nil {
			return nil, fmt.Errorf("load function %s: %w", folder.Name(), err)
		}
		if f.trigger.Type == httpTrigger && !a.forwards {
			return nil, fmt.Errorf("load function %s: an HTTP trigger is imitated with customHandler.enableForwardingHttpRequest alone", folder.Name())
		}
		a.functions = append(a.functions, f)
	}
	if len(a.functions) == 0 {
		return nil, errors.New("load app: no function.json one level below the root: the host would not start the handler")
	}
	return a, nil
}

func (a *app) loadHost() error {
	data, err := os.ReadFile(filepath.Join(a.root, "host.json"))
	if err != nil {
		return err
	}
	var file struct {
		Version         string
		FunctionTimeout string
		CustomHandler   *struct {
			Description struct {
				DefaultExecutablePath string
				Arguments             []string
			}
			InitializationTimeout       string
			EnableForwardingHTTPRequest bool `json:"enableForwardingHttpRequest"`
		}
		Extensions struct {
			Queues json.RawMessage
			HTTP   struct{ RoutePrefix *string } `json:"http"`
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return err
	}
	if file.Version != "2.0" || file.CustomHandler == nil || file.CustomHandler.Description.DefaultExecutablePath == "" {
		return errors.New(`it must have version "2.0" and customHandler.description.defaultExecutablePath`)
	}
	a.executable = filepath.Join(a.root, file.CustomHandler.Description.DefaultExecutablePath)
	if info, err := os.Stat(a.executable); err != nil || info.IsDir() {
		return errors.New("customHandler.description.defaultExecutablePath names no file of the app")
	}
	a.arguments = file.CustomHandler.Description.Arguments
	if a.initTimeout, err = orDefault(file.CustomHandler.InitializationTimeout, 30*time.Second); err != nil {
		return fmt.Errorf("customHandler.initializationTimeout: %w", err)
	}
	if file.FunctionTimeout != "-1" {
		if a.functionTimeout, err = orDefault(file.FunctionTimeout, 30*time.Minute); err != nil {
			return fmt.Errorf("functionTimeout: %w", err)
		}
	}
	a.forwards, a.routePrefix = file.CustomHandler.EnableForwardingHTTPRequest, "api"
	if p := file.Extensions.HTTP.RoutePrefix; p != nil {
		a.routePrefix = strings.Trim(*p, "/")
	}
	a.queues, err = loadQueues(file.Extensions.Queues)
	return err
}

func loadQueues(raw json.RawMessage) (queueOptions, error) {
	var file struct {
		BatchSize, NewBatchThreshold          *int
		MaxDequeueCount                       *int64
		VisibilityTimeout, MaxPollingInterval string
		MessageEncoding                       string
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &file); err != nil {
			return queueOptions{}, fmt.Errorf("extensions.queues: %w", err)
		}
	}
	q := queueOptions{batchSize: 16, maxDequeueCount: 5}
	if file.BatchSize != nil {
		q.batchSize = *file.BatchSize
	}
	q.newBatchThreshold = q.batchSize / 2 * runtime.NumCPU()
	if file.NewBatchThreshold != nil {
		q.newBatchThreshold = *file.NewBatchThreshold
	}
	if file.MaxDequeueCount != nil {
		q.maxDequeueCount = *file.MaxDequeueCount
	}
	if q.batchSize < 1 || q.batchSize > 32 || q.newBatchThreshold < 0 || q.maxDequeueCount < 1 {
		return q, errors.New("extensions.queues: batchSize must be from 1 to 32, newBatchThreshold at least 0, " +
			"maxDequeueCount at least 1")
	}
	var err error
	if q.visibility, err = orDefault(file.VisibilityTimeout, 0); err != nil {
		return q, fmt.Errorf("extensions.queues.visibilityTimeout: %w", err)
	}
	if q.maxPolling, err = orDefault(file.MaxPollingInterval, time.Minute); err != nil || q.maxPolling < 100*time.Millisecond {
		return q, errors.New("extensions.queues.maxPollingInterval: not a time span of at least 100 ms")
	}
	switch strings.ToLower(file.MessageEncoding) {
	case "", "base64":
		q.base64 = true
	case "none":
	default:
		return q, errors.New("extensions.queues.messageEncoding: neither base64 nor none")
	}
	return q, nil
}

func orDefault(text string, fallback time.Duration) (time.Duration, error) {
	if text == "" {
		return fallback, nil
	}
	return parseTimeSpan(text)
}

func (f *function) load(data []byte, settings map[string]string) error {
	if !functionName.MatchString(f.name) || strings.EqualFold(f.name, "host") {
		return errors.New("the folder's name is no function name")
	}
	var file struct {
		Bindings []binding
		Disabled bool
		Retry    json.RawMessage
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return fmt.Errorf("function.json: %w", err)
	}
	if file.Disabled || file.Retry != nil {
		return errors.New("function.json: disabled and retry are not imitated")
	}
	for _, b := range file.Bindings {
		if err := f.bind(b, settings); err != nil {
			return fmt.Errorf("binding %q: %w", b.Name, err)
		}
	}
	if f.trigger.Type == "" {
		return errors.New("function.json has no trigger")
	}
	return f.checkHTTP()
}

func (f *function) bind(b binding, settings map[string]string) (err error) {
	if b.Name == "" {
		return errors.New("has no name")
	}
	if b.Type == "queueTrigger" || b.Type == "queue" {
		if b.Connection == "" {
			b.Connection = storageConnection
		}
		if b.QueueName, err = resolve(b.QueueName, settings); err != nil {
			return err
		}
		if b.QueueName == "" {
			return errors.New("names no queue")
		}
	}
	switch strings.ToLower(b.Type + " " + b.Direction) {
	case "queue out":
		if slices.ContainsFunc(f.outputs, func(o binding) bool { return o.Name == b.Name }) {
			return errors.New("is declared twice")
		}
		f.outputs = append(f.outputs, b)
		return nil
	case "http out":
		f.answers = true
		return nil
	case "queuetrigger in":
	case "httptrigger in":
		if err := checkRoute(b); err != nil {
			return err
		}
	case "timertrigger in":
		if f.schedule, err = timerSchedule(b.Schedule, settings); err != nil {
			return err
		}
	default:
		return fmt.Errorf("is of the type and direction %q, which are not imitated", b.Type+" "+b.Direction)
	}
	if f.trigger.Type != "" {
		return errors.New("is a second trigger")
	}
	f.trigger = b
	return nil
}

// timerSchedule reads a schedule or, when it is %NAME% as a whole, the setting of that name.
func timerSchedule(text string, settings map[string]string) (schedule, error) {
	if strings.HasPrefix(text, "%") {
		var err error
		if text, err = resolve(text, settings); err != nil {
			return schedule{}, err
		}
	}
	return parseSchedule(text)
}

var settingReference = regexp.MustCompile(`%([^%]*)%`)

// resolve replaces each %NAME% by the setting of that name; a missing one keeps the function from being indexed.
func resolve(text string, settings map[string]string) (string, error) {
	var missing []string
	text = settingReference.ReplaceAllStringFunc(text, func(ref string) string {
		value, ok := settings[strings.Trim(ref, "%")]
		if !ok {
			missing = append(missing, ref)
		}
		return value
	})
	if missing != nil {
		return "", fmt.Errorf("setting is missing: %s", strings.Join(missing, ", "))
	}
	return text, nil
}
