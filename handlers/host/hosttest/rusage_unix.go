//go:build unix

package hosttest

import (
	"os"
	"runtime"
	"syscall"
)

// peakOf is the largest resident set, in bytes, that an ended process has had by the system's account of it.
func peakOf(state *os.ProcessState) int64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	switch {
	case !ok:
		return 0
	case runtime.GOOS == "darwin":
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10 // KiB everywhere else
}
