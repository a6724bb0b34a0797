package doctext

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/tetratelabs/wazero"
	"golang.org/x/net/html"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

// TestMain makes the test binary a worker when it is started as one, or the process that starts one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == parentArgument {
		beParent()
	}
	if IsWorker(os.Args) {
		if err := Work(os.Args, os.Stdin, os.Stdout, converters()); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	debug.SetMaxStack(8 << 20) // depth that costs a stack ends the tests
	os.Exit(m.Run())
}

// converters are plain ones: what mail's do is tested with them.
func converters() Converters {
	return Converters{Decode: decode, HTML: texts, Calendar: func(b []byte, charset string) (string, bool) {
		text := decode(b, charset, false)
		return text, !strings.Contains(text, "END:VCALENDAR")
	}}
}

func decode(b []byte, charset string, _ bool) string {
	if e, err := htmlindex.Get(charset); err == nil && charset != "utf-8" {
		text, _ := e.NewDecoder().Bytes(b)
		return strings.TrimPrefix(string(text), "\uFEFF")
	}
	if !utf8.Valid(b) {
		b, _ = charmap.Windows1252.NewDecoder().Bytes(b)
	}
	return strings.TrimPrefix(string(b), "\uFEFF")
}

// What makes a worker do what no document should be able to.
const (
	endWorker  = "<!-- end -->"
	hangWorker = "<!-- hang -->"
	fillWorker = "<!-- fill -->"
	spinWorker = "<!-- spin -->"
	endIfUsed  = "<!-- end if used -->"
	environ    = "<!-- environment -->"
	errorsTo   = "<!-- errors -->"
)

var used bool

// texts gives the texts in HTML, each in a line.
func texts(source string) string {
	before := used
	used = true
	switch {
	case strings.Contains(source, endWorker), strings.Contains(source, endIfUsed) && before:
		os.Exit(7)
	case strings.Contains(source, hangWorker):
		for {
			runtime.KeepAlive(source)
		}
	case strings.Contains(source, spinWorker):
		spin()
	case strings.Contains(source, fillWorker):
		for b := [][]byte{}; ; b = append(b, make([]byte, 1<<20)) {
			for _, page := range b {
				page[len(page)-1]++
			}
		}
	case strings.Contains(source, errorsTo):
		to, err := os.Readlink("/proc/self/fd/2")
		return fmt.Sprintf("errors: %s %v", to, err)
	case strings.Contains(source, environ):
		return "environment: " + strings.Join(os.Environ(), " ")
	}
	var lines []string
	for t := html.NewTokenizer(strings.NewReader(source)); ; {
		switch t.Next() {
		case html.ErrorToken:
			return strings.Join(lines, "\n")
		case html.TextToken:
			if s := strings.TrimSpace(string(t.Text())); s != "" {
				lines = append(lines, s)
			}
		}
	}
}

// spin runs compiled WebAssembly that does not end: (func (export "f") (loop (br 0))). The garbage collector waits for it.
func spin() {
	ctx := context.Background()
	m, err := wazero.NewRuntime(ctx).Instantiate(ctx, []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00"+
		"\x07\x05\x01\x01f\x00\x00\x0a\x09\x01\x07\x00\x03\x40\x0c\x00\x0b\x0b"))
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			runtime.GC()
		}
	}()
	_, _ = m.ExportedFunction("f").Call(ctx)
}

const parentArgument = "start-worker"

// beParent has a worker read what hangs it, and says which process it is and when it has begun.
func beParent() {
	p, err := start([]string{os.Args[0], WorkerArgument})
	if err != nil {
		panic(err)
	}
	tr := &transfer{src: source("x.html", "<html>"+os.Args[2]), w: io.Discard}
	_ = tr.talk(p.wire, func() { fmt.Println(p.cmd.Process.Pid) })
	os.Exit(1) // the worker has ended
}

// cache is where compiled code is kept for the next run of the tests.
func cache(t testing.TB) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(dir, "chainmail")
	if err := private(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// shared is the tests' reader: what it compiles it compiles once.
var shared struct {
	sync.Mutex
	reader
}

// extract reads a document in this process.
func extract(t testing.TB, name string, b []byte) (string, Result) {
	t.Helper()
	return extractSource(t, Source{Name: name, Size: int64(len(b)), Content: strings.NewReader(string(b))})
}

func extractSource(t testing.TB, src Source) (string, Result) {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	shared.conv, shared.cache = converters(), cache(t)
	shared.testOnlyFault = func(v any) { t.Errorf("caught: %v\n%s", v, debug.Stack()) }
	var text strings.Builder
	res, err := shared.read(context.Background(), src, &text)
	if err != nil {
		t.Fatal(err)
	}
	checkText(t, text.String(), res)
	return text.String(), res
}

// checkText holds a text to what every text is.
func checkText(t testing.TB, text string, res Result) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("the text is no UTF-8: %.80q", text)
	}
	for _, r := range text {
		if r < 0x20 && r != '\n' && r != '\t' || r >= 0x7F && r <= 0x9F {
			t.Errorf("the text has the control character %q", r)
			break
		}
	}
	if res.Bytes != int64(len(text)) || len(text) > MaxText {
		t.Errorf("%d bytes of text, the result says %d", len(text), res.Bytes)
	}
	if blank := strings.TrimSpace(text) == ""; blank && res.Status == Extracted || !blank && res.Status == Empty {
		t.Errorf("the status is %s, the text is %.80q", res.Status, text)
	}
}
