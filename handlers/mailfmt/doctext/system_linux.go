package doctext

import (
	"os"
	"os/exec"
	"syscall"
)

// limitMemory makes the system refuse the process more memory than that: then it ends. What it held nowhere remains.
func limitMemory(bytes uint64) error {
	if err := limit(syscall.RLIMIT_CORE, 0); err != nil {
		return err
	}
	return limit(syscall.RLIMIT_DATA, bytes)
}

func limit(resource int, n uint64) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(resource, &l); err != nil {
		return err
	}
	l.Cur = min(n, l.Max)
	return syscall.Setrlimit(resource, &l)
}

// endWithParent makes the system end a process with the one that starts it. It ends by itself when its input does, but not
// while the garbage collector waits for compiled WebAssembly that runs on: nothing interrupts that, and all else waits too.
//
// QUIRK: what counts is the thread that starts it. Go ends one only with a goroutine that is locked to it.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// foreign reports whether a file is another user's.
func foreign(info os.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return !ok || int(s.Uid) != os.Getuid()
}
