package app

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/herald-campaigns/herald/internal/faults"
)

// HERALD_REQUIRE_STRACE=1 makes a machine without strace a failure.
const requireStrace = "HERALD_REQUIRE_STRACE"

// TestIntentIsOnDiskBeforeTheFirstByte watches the system calls of a process
// that sends one message at a time (promise P4): between the moment it sets out
// to write an intent and the first byte of the call there are a write to the
// ledger's log and, after the last such write, an fsync that has returned.
func TestIntentIsOnDiskBeforeTheFirstByte(t *testing.T) {
	t.Parallel()
	const sends = 30
	t.Run("as built", func(t *testing.T) {
		t.Parallel()
		trace := straced(t, part{}, sends)
		found, err := readTrace(strings.NewReader(trace))
		check(t, err)
		// Another transaction may write to the log between the intent's fsync and
		// the call, which looks the same; an intent that is not synced always does.
		if found.sends < sends || found.early > sends/10 {
			t.Errorf("%d sends, %d of them before their intent was on disk: %s", found.sends, found.early, found.first)
		}
		t.Logf("%d sends, each behind %.1f fsyncs", found.sends, float64(found.syncs)/float64(found.sends))

		// What a ledger opened with synchronous=OFF would have done.
		var without strings.Builder
		for line := range strings.Lines(trace) {
			if !strings.Contains(line, "sync") {
				without.WriteString(line)
			}
		}
		found, err = readTrace(strings.NewReader(without.String()))
		check(t, err)
		if found.early < sends {
			t.Errorf("without any fsync only %d of %d sends count as early: this test proves nothing", found.early, found.sends)
		}
	})
	t.Run("with late intents", func(t *testing.T) {
		t.Parallel()
		found, err := readTrace(strings.NewReader(straced(t, part{LateIntents: true}, sends/3)))
		check(t, err)
		// As above, one of them may look right by chance.
		if found.early <= found.sends/2 {
			t.Errorf("intents came after their sends, and only %d of %d sends count as early: this test proves nothing", found.early, found.sends)
		}
	})
}

// straced runs a part under strace until it has sent enough, and returns the
// trace.
func straced(t *testing.T, p part, sends int) string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err == nil {
		err = exec.CommandContext(t.Context(), strace, "-f", "-o", os.DevNull, "true").Run()
	}
	if err != nil {
		if os.Getenv(requireStrace) == "1" {
			t.Fatalf("strace cannot be used: %v", err)
		}
		t.Skipf("NOT RUN: strace cannot be used (%v); %s=1 makes that a failure", err, requireStrace)
	}
	th := newTheater(t, nil)
	p.File, p.Announce = th.text(sends, "pace: { rate: 50/s, in_flight: 1 }\n"), true
	child := th.child(p, faults.Plan{})
	nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	check(t, err)
	defer nowhere.Close()
	child.Stderr = nowhere // announcements
	// Killing strace need not kill what it watches.
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	defer func() { _ = syscall.Kill(-child.Process.Pid, syscall.SIGKILL) }()
	out := filepath.Join(th.dir, "trace")
	child.Args = append([]string{strace, "-f", "-y", "-s", "64", "-o", out, "-e", "trace=write,writev,pwrite64,fsync,fdatasync,sendto,sendmsg"}, child.Args...)
	child.Path = strace
	_, err = newKiller(t).Strike(t.Context(), child, faults.Strike{Working: th.api.after(sends)})
	check(t, err)
	trace, err := os.ReadFile(out)
	check(t, err)
	return string(trace)
}

// traced is what a trace shows.
type traced struct {
	sends int
	early int    // whose intent was not on disk
	syncs int    // of the log, between intent and send
	first string // why the first early one is
}

// A line of strace -f -y -o: the thread, the call, its file, and whether this
// is its beginning, its end or both.
var traceLine = regexp.MustCompile(`^(\d+) +(?:(\w+)\(\d+<([^>]*)>(.*)|<\.\.\. (\w+) resumed>.*)$`)

// readTrace follows the system calls one by one. Calls of other threads may lie
// between a call's two lines; then a write counts from its beginning, and an
// fsync from its end: the order that proves least.
func readTrace(r io.Reader) (traced, error) {
	var (
		found     traced
		announced bool                // an intent is being written
		written   bool                // its bytes are in the log, or on their way
		synced    bool                // and on disk
		open      = map[string]bool{} // threads in an fsync of the log
		stale     = map[string]bool{} // those whose fsync began before the last write
	)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	finish := func(thread string) {
		if !stale[thread] {
			synced = written
			found.syncs++
		}
		delete(stale, thread)
	}
	for lines.Scan() {
		m := traceLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		thread, call, file, rest, resumed := m[1], m[2], m[3], m[4], m[5]
		unfinished := strings.HasSuffix(rest, "<unfinished ...>")
		log := strings.HasSuffix(file, "herald.db-wal")
		switch {
		case resumed == "fsync" || resumed == "fdatasync":
			if open[thread] {
				delete(open, thread)
				finish(thread)
			}
		case resumed != "":
		case strings.Contains(rest, announcement):
			announced, written, synced = true, false, false
		case log && strings.HasPrefix(call, "pwrite"):
			written, synced = true, false
			for each := range open {
				stale[each] = true
			}
		case log && (call == "fsync" || call == "fdatasync"):
			if open[thread] = unfinished; !unfinished {
				delete(open, thread)
				finish(thread)
			}
		case strings.Contains(rest, `"POST /v1/message/send `):
			found.sends++
			if announced && written && synced {
				announced = false
				continue
			}
			found.early++
			if found.first == "" {
				found.first = fmt.Sprintf("announced %t, written %t, synced %t", announced, written, synced)
			}
			announced = false
		}
	}
	return found, lines.Err()
}
