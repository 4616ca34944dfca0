//go:build !linux

package main

import (
	"io"
	"os/exec"

	"github.com/rogpeppe/go-internal/testscript"
)

func openTerminal(ts *testscript.TestScript, _ *exec.Cmd, _ io.Writer) (typed io.WriteCloser, attached, ended func()) {
	ts.Fatalf("scripts with a terminal begin with [!linux] skip")
	return nil, nil, nil
}
