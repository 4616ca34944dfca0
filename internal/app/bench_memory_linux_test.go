package app_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is the real binary at work.
type program struct {
	*exec.Cmd

	ended chan error
	peak  int // KiB of resident memory, as of the last look
}

// build makes the binary once for a benchmark.
func build(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "herald")
	out, err := exec.CommandContext(tb.Context(), "go", "build", "-o", path, "github.com/herald-campaigns/herald/cmd/herald").CombinedOutput()
	if err != nil {
		tb.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

func (w *workspace) start(tb testing.TB, binary, url string, args ...string) *program {
	tb.Helper()
	p := &program{Cmd: exec.CommandContext(context.WithoutCancel(tb.Context()), binary, args...), ended: make(chan error, 1)}
	p.Dir = w.dir
	p.Env = append(os.Environ(), "HERALD_MODE=live", "HERALD_PERISKOPE_TOKEN=token", "HERALD_PERISKOPE_BASE_URL="+url,
		"HERALD_DATA_DIR="+filepath.Join(w.dir, "data"))
	p.Stderr = os.Stderr
	if err := p.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() { p.ended <- p.Wait() }()
	tb.Cleanup(func() { _ = p.Process.Kill() })
	return p
}

// look reads the peak so far. Rusage would not do: it begins with the memory
// of the process that started this one.
func (p *program) look() { p.peak = max(p.peak, p.status("VmHWM")) }

// status is what the kernel says about the process under that name, sizes in
// KiB; 0 once it has ended.
func (p *program) status(name string) int {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			return n
		}
	}
	return 0
}

// watch looks until the program ends or stop says so, and says how it ended.
func (p *program) watch(tb testing.TB, stop func() os.Signal) error {
	tb.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-p.ended:
			return err
		case <-tick.C:
			p.look()
			if signal := stop(); signal != nil {
				_ = p.Process.Signal(signal) // it may just have ended
			}
		}
	}
}

// BenchmarkProgram runs the real binary: the memory of a check, of an import
// with the sending after it, and of a restart after kill -9 on the way, with
// the time until that sends again.
func BenchmarkProgram(b *testing.B) {
	rows := benchRows(b)
	part := min(rows/2, setting(b, "HERALD_BENCH_SENDS", 100_000)) // messages before each of the two ends
	binary := build(b)
	for range b.N {
		server := startAPI(b, 0, 0)
		w := newWorkspace(b, rows, "{ rate: unlimited, in_flight: 64 }", server.url)
		after := func(signal os.Signal) func() os.Signal {
			return func() os.Signal {
				if server.count(b) < part {
					return nil
				}
				return signal
			}
		}
		mib := func(p *program) float64 { return float64(p.peak) / 1024 }

		check := w.start(b, binary, server.url, "check", "campaign.yaml")
		if err := check.watch(b, func() os.Signal { return nil }); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(mib(check), "check-MiB")

		first := w.start(b, binary, server.url, "run", "campaign.yaml", "--yes", "--quiet", "--wait", "accepted")
		_ = first.watch(b, after(syscall.SIGKILL)) // killed
		b.ReportMetric(mib(first), "run-MiB")
		if server.count(b) < part {
			b.Fatal("the first run ended before it was killed")
		}
		server.get(b, "/bench/reset")

		begun := time.Now()
		second := w.start(b, binary, server.url, "run", "campaign.yaml", "--yes", "--quiet", "--wait", "accepted")
		// Interrupted, or with a small file ended, some calls of the killed run
		// being unknown for good.
		err := second.watch(b, once(after(os.Interrupt)))
		if exit := second.ProcessState.ExitCode(); exit != 130 && exit != 7 && exit != 0 {
			b.Fatalf("the second run: %v", err)
		}
		b.ReportMetric(server.take(b)[0].Sub(begun).Seconds()*1000, "restart-first-ms")
		b.ReportMetric(mib(second), "restart-MiB")
	}
}

// once lets the first signal through; a second interrupt would not be clean.
func once(next func() os.Signal) func() os.Signal {
	sent := false
	return func() os.Signal {
		if sent {
			return nil
		}
		signal := next()
		sent = signal != nil
		return signal
	}
}
