package doctext

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAWorkerEndsWhenItsParentIsKilled(t *testing.T) {
	t.Parallel()
	for name, what := range map[string]string{"in Go": hangWorker, "in WebAssembly": spinWorker} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := exec.Command(os.Args[0], parentArgument, what)
			out, err := parent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			worker := 0
			if _, err := fmt.Fscan(bufio.NewReader(out), &worker); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Kill(worker, syscall.SIGKILL) })
			begun := processor(worker)
			within(t, "the worker is busy", func() bool { return processor(worker) >= begun+50 })
			if err := parent.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = parent.Wait() // with the signal
			within(t, "the worker has ended", func() bool { return processor(worker) < 0 })
		})
	}
}

func TestCloseLeavesNoProcessBehind(t *testing.T) {
	t.Parallel()
	e := extractor(t, func(o *Options) { o.Timeout = 300 * time.Millisecond })
	var pids []int
	for _, what := range []string{"", endWorker, "", hangWorker, ""} {
		e.extract(t, source("x.html", "<html>fine"+what))
		p := <-e.workers
		e.workers <- p
		if p != nil { // also the one that the next document ends
			pids = append(pids, p.cmd.Process.Pid)
		}
	}
	e.Close()
	e.Close() // does nothing
	for _, pid := range pids {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
			t.Errorf("process %d is still there", pid)
		}
	}
	if len(pids) != 3 {
		t.Errorf("processes %v, want three", pids)
	}
	if _, err := e.Extract(context.Background(), source("x.txt", "text"), io.Discard); err == nil {
		t.Error("text was extracted afterwards")
	}
}

// What a worker says as it ends may have in it what it was reading.
func TestWhatAWorkerSaysOfItsEndNobodyHears(t *testing.T) {
	t.Parallel()
	if text, _ := extractor(t).extract(t, source("x.html", "<html>"+errorsTo)); text != "errors: /dev/null <nil>" {
		t.Errorf("%q", text)
	}
}

func TestAWorkerThatEndsBetweenDocumentsIsReplaced(t *testing.T) {
	t.Parallel()
	e := extractor(t)
	e.extract(t, source("x.txt", "first"))
	p := <-e.workers
	pid := p.cmd.Process.Pid
	p.kill()
	within(t, "the worker has ended", func() bool { return processor(pid) < 0 })
	e.workers <- p
	if text, res := e.extract(t, source("x.txt", "second")); text != "second" || res.Status != Extracted {
		t.Errorf("%q, %+v", text, res)
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
		t.Error("the process that has ended is still there")
	}
}

// processor is how much of a processor a process has had, in hundredths of a second, or -1 for one that has ended.
func processor(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return -1
	}
	_, fields, _ := strings.Cut(string(b), ") ")
	var state string
	var user, system, other int
	if _, err := fmt.Sscan(fields, &state, &other, &other, &other, &other, &other, &other, &other, &other, &other, &other, &user,
		&system); err != nil || state == "Z" { // whoever has inherited it has not looked yet
		return -1
	}
	return user + system
}

// within waits for what is soon so.
func within(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}
