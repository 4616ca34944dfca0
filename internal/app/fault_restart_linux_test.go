package app_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // the ledger's driver
)

const (
	// requireRestart=1 runs TestRestartOfAMillion and holds it to its promise.
	requireRestart = "HERALD_REQUIRE_RESTART"
	// mostRestart is from the start of the program to its first request
	// (promise P6).
	mostRestart = 5 * time.Second
)

// TestRestartOfAMillion kills the real binary in the middle of a campaign of a
// million recipients, half of which are sent, and measures how long after its
// start the next one sends (promise P6). HERALD_BENCH_ROWS is the size.
func TestRestartOfAMillion(t *testing.T) { //nolint:paralleltest // it measures
	if os.Getenv(requireRestart) != "1" {
		t.Skipf("NOT RUN: it imports a million rows; %s=1 runs it", requireRestart)
	}
	rows := setting(t, "HERALD_BENCH_ROWS", 1_000_000)
	part := min(rows/10, 2000)
	binary, server := build(t), startAPI(t, 0, 0)
	w := newWorkspace(t, rows, "{ rate: unlimited, in_flight: 64 }", server.url)
	run := func(signal os.Signal) *program {
		t.Helper()
		server.get(t, "/bench/reset")
		p := w.start(t, binary, server.url, "run", "campaign.yaml", "--yes", "--quiet", "--wait", "accepted")
		err := p.watch(t, once(func() os.Signal {
			if server.count(t) < part {
				return nil
			}
			return signal
		}))
		if server.count(t) < part {
			t.Fatalf("the run ended before it had sent %d messages: %v", part, err)
		}
		return p
	}
	began := time.Now()
	run(os.Interrupt) // in order: a log that was not closed must not be touched
	imported := time.Since(began)
	w.sendHalf(t, rows)
	run(syscall.SIGKILL) // a process that died with calls under way, and a log that was not closed

	began = time.Now()
	last := run(os.Interrupt)
	first := server.take(t)[0].Sub(began)
	t.Logf("%d rows, half of them sent: the first request came %s after the start of the program, which killed processes had left; peak %d MiB; import and the first messages took %s",
		rows, first.Round(time.Millisecond), last.peak/1024, imported.Round(time.Second))
	if first > mostRestart {
		t.Errorf("the first request came %s after the start, want at most %s", first, mostRestart)
	}
}

// sendHalf makes the first half of the rows accepted, as if they had been sent:
// to send them would take minutes.
func (w *workspace) sendHalf(tb testing.TB, rows int) {
	tb.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(w.dir, "data", "herald.db"))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	}()
	tx, err := db.BeginTx(tb.Context(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	done, err := tx.ExecContext(tb.Context(), `UPDATE recipients SET status = 'queued', gen = 1, attempt = 1, epoch = 1, claimed_at = 1, queued_at = 1,
		queue_id = 'queue-' || seq, unique_id = 'unique-' || seq, next_poll_at = 4102444800000 WHERE status = 'pending' AND seq <= ?`, rows/2)
	if err != nil {
		tb.Fatal(err)
	}
	n, err := done.RowsAffected()
	if err != nil || n == 0 {
		tb.Fatalf("%d rows changed: %v", n, err)
	}
	for _, step := range []string{
		`UPDATE counters SET n = n - ? WHERE kind = 'status' AND key = 'pending'`,
		`UPDATE counters SET n = n + ? WHERE kind = 'status' AND key = 'queued'`,
	} {
		done, err := tx.ExecContext(tb.Context(), step, n)
		if err != nil {
			tb.Fatal(err)
		}
		if counters, err := done.RowsAffected(); err != nil || counters != 1 {
			tb.Fatalf("%d counters changed: %v", counters, err)
		}
	}
	if err := tx.Commit(); err != nil {
		tb.Fatal(err)
	}
}
