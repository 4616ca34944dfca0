package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// openTerminal puts the command on a pseudo-terminal of 80 by 24 (pty(7)).
// What it draws goes to screen, what is written to the result is typed.
// attached is to be called once the command has started, and ended once it has
// ended: it waits for the last of what was drawn.
func openTerminal(ts *testscript.TestScript, command *exec.Cmd, screen io.Writer) (typed io.WriteCloser, attached, ended func()) {
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	ts.Check(err)
	fd := int(keyboard.Fd())
	ts.Check(unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	ts.Check(err)
	ts.Check(unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	ts.Check(err)
	command.Stdin, command.Stdout, command.Stderr = terminal, terminal, terminal
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	drawn := make(chan struct{})
	go func() {
		defer close(drawn)
		_, _ = io.Copy(screen, keyboard) // ends with an error once the other side is closed
	}()
	ts.Defer(func() { _ = keyboard.Close() })
	return keyboard, func() { _ = terminal.Close() }, func() { <-drawn }
}
