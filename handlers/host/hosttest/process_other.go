//go:build !linux

package hosttest

import "syscall"

func childAttributes() *syscall.SysProcAttr { return nil }
