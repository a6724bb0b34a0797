package hosttest

import "syscall"

// childAttributes ends the handler with this process, also when that is killed and cannot do it.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
