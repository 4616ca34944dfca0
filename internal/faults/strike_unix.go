//go:build unix

package faults

import (
	"os"
	"syscall"
	"time"
)

// strikeSelf sends the signal of the act to this process.
func strikeSelf(act Act) {
	if act != ActFreeze {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // other threads may run for a moment; this one goes no further
	}
	// The thread that asks may run on for a moment before the signal reaches
	// it. The timer's time passes while the process stands still, or before it.
	settled := time.After(50 * time.Millisecond)
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	<-settled
}

// freeze and thaw stop and continue another process.
func freeze(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }
func thaw(p *os.Process) error   { return p.Signal(syscall.SIGCONT) }
