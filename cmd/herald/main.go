package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	// Campaigns name IANA time zones; static images and Windows have none.
	_ "time/tzdata"
)

func main() {
	// The memory in use is small, so the collector would run dozens of times a
	// second while sending. Letting the heap grow to three times what is in use
	// saves about a twelfth of the processor (docs/benchmarks.md) for some tens of
	// MiB; GOGC overrides it.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
	os.Exit(realMain())
}

// realMain is main with an exit code, so that tests can run the command
// inside their own process. The first SIGINT or SIGTERM asks for a clean
// drain; the second ends the process at once.
func realMain() int {
	silenceStandardLog()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // from here on the default action is back: a second signal kills
	}()
	t := &terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ()}
	t.interrupt = func() { // what Ctrl-C does while a full-screen view holds the keyboard
		if ctx.Err() != nil {
			os.Exit(exitInterrupted)
		}
		stop()
	}
	return t.run(ctx, os.Args[1:])
}

// silenceStandardLog drops what libraries write through package log. net/http
// quotes there what a server sends unasked, which may hold anything, and
// offers no other place for it. Our own log is the slog.Logger that is passed
// around; nothing of ours writes here.
func silenceStandardLog() { log.SetOutput(io.Discard) }
