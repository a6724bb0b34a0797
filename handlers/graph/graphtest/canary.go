package graphtest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A trace is a form in which something shows that must not leave the evidence or a secret's place.
type trace struct {
	what string
	form *regexp.Regexp
}

var traces = []trace{
	{"the canary", canaryForm()},
	{"an address", regexp.MustCompile(`[^\s"'<>()\[\],:;\\=@]+(?:@|%(?:25)*40|\\u0040)[\pL\d-]+(?:\.[\pL\d-]+)+`)},
	{"a mailbox's path", regexp.MustCompile(`/users/[^\s"/]|/(?i:mailFolders)\b`)},
	{"a token", regexp.MustCompile(`\beyJ[\w-]{4,}`)},
	{"an authorization", regexp.MustCompile(`\b(?i:Bearer|SharedKey|SharedKeyLite) \S`)},
	{"a secret's parameter", regexp.MustCompile(
		`(?:\b|%26)(?i:AccountKey|SharedAccessSignature|client_secret|client_assertion|sig)(?:=|%3[Dd])`)},
	{"a private key", regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY`)},
}

// canaryForm matches the canary in any case, also in hex, as a list of bytes, and in base64 wherever it begins there.
// Percent and quoted-printable encoding leave its letters as they are.
func canaryForm() *regexp.Regexp {
	forms := []string{"(?i:" + Canary + ")"}
	for _, word := range []string{Canary, strings.ToUpper(Canary[:1]) + Canary[1:], strings.ToUpper(Canary)} {
		forms = append(forms, "(?i:"+hex.EncodeToString([]byte(word))+")", strings.Trim(fmt.Sprint([]byte(word)), "[]"))
		for before := range 3 {
			text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + word))
			// The characters at both ends are made of what stands around the word, too.
			first, last := (8*before+5)/6, 8*(before+len(word))/6
			forms = append(forms, regexp.QuoteMeta(text[first:last]))
		}
	}
	return regexp.MustCompile(strings.Join(forms, "|"))
}

// notAnAddress is what follows the @ of OData's annotations and of modules' versions in stacks.
var notAnAddress = regexp.MustCompile(`^[^@]+@(?:odata\.|microsoft\.graph\.|v\d+\.\d)`)

// Leak says what a text tells that it must not: the canary, an address, a token or another secret, "" if nothing. Text is
// what it tells without that.
func Leak(said string) (what, text string) { return find(traces, said) }

func find(traces []trace, said string) (what, text string) {
	text = said
	for _, t := range traces {
		text = t.form.ReplaceAllStringFunc(text, func(found string) string {
			if notAnAddress.MatchString(found) {
				return found
			}
			if what == "" {
				what = t.what
			}
			return "[" + t.what + "]"
		})
	}
	return what, text
}

// A Reporter is the part of a *testing.T that a [Log] needs.
type Reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// A Log keeps what the tested code says, and fails the test at the first line that tells what it must not; see [Leak]. It is
// safe for concurrent use.
type Log struct {
	test   Reporter
	traces []trace

	mu   sync.Mutex
	text bytes.Buffer
	told bool
}

// NewLog makes a log of a test, which looks for some more words in any case.
func NewLog(t Reporter, words ...string) *Log {
	l := &Log{test: t, traces: slices.Clone(traces)}
	for _, word := range words {
		l.traces = append(l.traces, trace{"a secret of the test's", regexp.MustCompile("(?i)" + regexp.QuoteMeta(word))})
	}
	return l
}

// Logger gives a logger that writes to the log, one JSON object a line.
func (l *Log) Logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

// Write implements [io.Writer] for whole lines.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	l.text.Write(p)
	l.mu.Unlock()
	recordEvents(p)
	l.Check("a log line", string(p))
	return len(p), nil
}

// Check holds that a text tells nothing. Kind says what text it is.
func (l *Log) Check(kind, said string) {
	l.test.Helper()
	what, text := find(l.traces, said)
	if what == "" {
		return
	}
	l.mu.Lock()
	told := l.told
	l.told = true
	l.mu.Unlock()
	if !told {
		l.test.Errorf("%s tells %s: %.1000s", kind, what, text)
	}
}

// Error holds that an error tells nothing, and gives it back.
func (l *Log) Error(err error) error {
	l.test.Helper()
	if err != nil {
		l.Check("an error", err.Error())
	}
	return err
}

// String is what was written since the last Reset.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Reset forgets what was written.
func (l *Log) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

// Events are the lines with that message, or all with "".
func (l *Log) Events(message string) []map[string]any {
	l.test.Helper()
	var found []map[string]any
	for line := range strings.Lines(l.String()) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			l.test.Errorf("a log line is no JSON object: %v", err)
		}
		if message == "" || event["msg"] == message {
			found = append(found, event)
		}
	}
	return found
}
