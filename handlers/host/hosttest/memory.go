package hosttest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// PeakMemory is the largest resident set, in bytes, that any life of the handler has had, as the operating system counts it.
// It is valid once the host is closed; a system that does not tell gives 0.
func (h *Host) PeakMemory() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.peak
}

// OpenFiles is the size in bytes of all files below dir that the running handler has open at this moment, those included
// whose names are gone. It is known on Linux alone, and 0 elsewhere.
func (h *Host) OpenFiles(dir string) int64 {
	h.mu.Lock()
	p := h.process
	h.mu.Unlock()
	dir, err := filepath.EvalSymlinks(dir)
	if p == nil || p.ended() || err != nil {
		return 0
	}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	total := int64(0)
	for _, fd := range fds {
		if name, err := os.Readlink(fd); err != nil || !strings.HasPrefix(name, dir+string(filepath.Separator)) {
			continue
		}
		if info, err := os.Stat(fd); err == nil && info.Mode().IsRegular() { // it may be closed by now
			total += info.Size()
		}
	}
	return total
}

// peakSoFar is the largest resident set that a running process has had, where the system tells before its end; else 0.
//
// QUIRK: on Linux the usage of an ended process is no measure. Its maxrss begins with what the process had before it became
// another program (fs/exec.c, exec_mmap), which is all that this one had when it forked. So it is asked for before a kill.
func (p *process) peakSoFar() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kib, err := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte(" kB"))), 10, 64)
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}
