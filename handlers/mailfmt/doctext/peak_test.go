package doctext

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// peakMemory is the most that the worker has taken, in bytes. Only Linux tells.
func peakMemory(t *testing.T, e testExtractor) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	p := <-e.workers
	defer func() { e.workers <- p }()
	if p == nil {
		t.Fatal("the worker has died")
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	kb := 0
	if _, err := fmt.Sscan(peak, &kb); err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
