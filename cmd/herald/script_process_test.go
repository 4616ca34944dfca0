package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// process is a herald in the background of a script.
type process struct {
	command *exec.Cmd
	out     *output // standard output
	err     *output // standard error; both, on a terminal
	tty     io.WriteCloser
	exited  chan struct{}
}

// processesKey is where a script keeps its processes, by name.
type processesKey struct{}

func processesOf(ts *testscript.TestScript) map[string]*process {
	return ts.Value(processesKey{}).(map[string]*process)
}

// background starts herald as scripts see it: their folder, their variables.
func background(ts *testscript.TestScript, name string, tty bool, args []string) *process {
	path, err := exec.LookPath("herald")
	ts.Check(err)
	p := &process{out: &output{}, err: &output{}, exited: make(chan struct{})}
	p.command = exec.Command(path, args...)
	p.command.Dir = ts.MkAbs(".")
	for _, name := range []string{
		"PATH", "HOME", "TMPDIR", "TZ", "TERM", "NO_COLOR", "CLICOLOR_FORCE", "GOCOVERDIR", "GORACE",
		"HERALD_MODE", "HERALD_DATA_DIR", "HERALD_PERISKOPE_BASE_URL", "HERALD_PERISKOPE_TOKEN",
		"HERALD_SANDBOX_SPEED", "HERALD_LOG_LEVEL", "HERALD_LISTEN", "HERALD_PERISKOPE_WEBHOOK_KEY",
	} {
		if value := ts.Getenv(name); value != "" {
			p.command.Env = append(p.command.Env, name+"="+value)
		}
	}
	p.command.Stdout, p.command.Stderr = p.out, p.err
	attached, ended := func() {}, func() {}
	if tty {
		p.tty, attached, ended = openTerminal(ts, p.command, p.err)
	}
	ts.Check(p.command.Start())
	attached()
	go func() {
		defer close(p.exited)
		_ = p.command.Wait() // the exit code is in ProcessState
		ended()
	}()
	ts.Defer(func() {
		_ = p.command.Process.Kill() // it may have ended long ago
		<-p.exited
		if ts.Getenv("SCRIPT_VERBOSE") != "" {
			ts.Logf("[%s]\n%s%s", name, p.out, p.err)
		}
	})
	ts.Setenv("PID_"+name, strconv.Itoa(p.command.Process.Pid))
	processesOf(ts)[name] = p
	return p
}

func named(ts *testscript.TestScript, name string) *process {
	p, ok := processesOf(ts)[name]
	if !ok {
		ts.Fatalf("nothing was started as %s", name)
	}
	return p
}

// start [-tty] NAME herald ARGS… starts herald in the background.
func start(ts *testscript.TestScript, neg bool, args []string) {
	tty := len(args) > 0 && args[0] == "-tty"
	if tty {
		args = args[1:]
	}
	if neg || len(args) < 2 || args[1] != "herald" {
		ts.Fatalf("usage: start [-tty] NAME herald ARGS…")
	}
	background(ts, args[0], tty, args[2:])
}

// until NAME PATTERN waits until what the process printed matches.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: until NAME PATTERN")
	}
	p := named(ts, args[0])
	pattern := regexp.MustCompile("(?m)" + args[1])
	await(func() bool { return pattern.MatchString(p.out.String() + p.err.String()) }, p.exited, func() {
		ts.Fatalf("%s has not printed %s:\n%s%s", args[0], args[1], p.out, p.err)
	})
}

// urlof NAME waits until the process has printed an address of this machine and
// puts it into NAME_URL.
func urlOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: urlof NAME")
	}
	p := named(ts, args[0])
	address := regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+/`)
	await(func() bool { return address.MatchString(p.err.String()) }, p.exited, func() {
		ts.Fatalf("%s has not said where it listens:\n%s", args[0], p.err)
	})
	ts.Setenv(args[0]+"_URL", address.FindString(p.err.String()))
}

// await looks again and again until done, or calls failed.
func await(done func() bool, exited <-chan struct{}, failed func()) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-exited:
			if !done() {
				failed()
			}
			return
		case <-ctx.Done():
			failed()
		}
	}
}

// send SIGNAL NAME, e.g. send INT run.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: send SIGNAL NAME")
	}
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "KILL": os.Kill}
	ts.Check(named(ts, args[1]).command.Process.Signal(signals[args[0]]))
}

// press NAME KEYS types on the process's terminal; \r is the enter key.
func press(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: press NAME KEYS")
	}
	_, err := io.WriteString(named(ts, args[0]).tty, strings.ReplaceAll(args[1], `\r`, "\r"))
	ts.Check(err)
}

// ends NAME CODE waits until the process has ended, with this exit code
// (-1: by a signal); what it printed is in NAME.out and NAME.err, and is what
// stdout and stderr look at next.
func ends(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ends NAME CODE")
	}
	p := named(ts, args[0])
	await(func() bool {
		select {
		case <-p.exited:
			return true
		default:
			return false
		}
	}, nil, func() { ts.Fatalf("%s has not ended:\n%s%s", args[0], p.out, p.err) })
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".out"), p.out.Bytes(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".err"), p.err.Bytes(), 0o600))
	_, err := ts.Stdout().Write(p.out.Bytes())
	ts.Check(errors.Join(err, copyTo(ts.Stderr(), p.err.Bytes())))
	if got := strconv.Itoa(p.command.ProcessState.ExitCode()); got != args[1] {
		ts.Fatalf("%s: exit code %s, want %s\n%s%s", args[0], got, args[1], p.out, p.err)
	}
}

func copyTo(w io.Writer, content []byte) error {
	_, err := w.Write(content)
	return err
}

// output collects what a process prints while a script looks at it.
type output struct {
	mu      sync.Mutex
	content bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.content.Write(p)
}

func (o *output) Bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.content.Bytes())
}

func (o *output) String() string { return string(o.Bytes()) }
