package storage_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

// The child is this binary, told by the environment to claim rows of a ledger
// until it is killed, or to do another task.
const (
	childLedger = "HERALD_TEST_LEDGER"
	childTask   = "HERALD_TEST_TASK" // what else to do with it than claim
	childRows   = 20_000
)

// TestKill kills a process in the middle of group commits. Every claim it was
// told of must be in the ledger afterwards, the ledger must be sound, and no
// row may be claimable a second time.
func TestKill(t *testing.T) {
	t.Parallel()
	for round := range 5 {
		path := filepath.Join(t.TempDir(), "ledger.db")
		told := killAfter(t, path, 300+round*400)

		s := openAt(t, path)
		if err := s.IntegrityCheck(t.Context()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		all, err := s.Campaigns(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("round %d: %d campaigns (%v)", round, len(all), err)
		}
		for _, seq := range told {
			r, err := s.Recipient(t.Context(), all[0].ID, seq)
			if err != nil || r.Status != campaign.StatusSubmitting || r.Attempt != 1 {
				t.Fatalf("round %d: row %d was claimed, and is %s after attempt %d (%v)", round, seq, r.Status, r.Attempt, err)
			}
		}
		found, err := s.Recover(t.Context(), true)
		if err != nil || found.Unknown < int64(len(told)) {
			t.Errorf("round %d: %d rows became unknown, at least %d were claimed (%v)", round, found.Unknown, len(told), err)
		}
		totals, err := s.Totals(t.Context(), all[0].ID)
		if err != nil || !totals.Balanced(all[0].Rows()) {
			t.Errorf("round %d: %d rows read, %d accounted for (%v)", round, all[0].Rows(), totals.Sum(), err)
		}
		t.Logf("round %d: %d claims told, %d on disk", round, len(told), found.Unknown)
	}
}

// killAfter runs the child until it told of so many claims, kills it, and
// returns the rows of which it told.
func killAfter(t *testing.T, path string, claims int) []int64 {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), childLedger+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var told []int64
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var seq int64
		if _, err := fmt.Sscanf(lines.Text(), "claimed %d.", &seq); err != nil || !strings.HasSuffix(lines.Text(), ".") {
			continue // cut by the kill
		}
		if told = append(told, seq); len(told) == claims {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || len(told) < claims {
		t.Fatalf("the child ended by itself after %d claims: %v", len(told), err)
	}
	return told
}

// runChild is the child. It says whether this process is one.
func runChild() bool {
	path := os.Getenv(childLedger)
	if path == "" {
		return false
	}
	tasks := map[string]func(context.Context, string) error{
		"": claimForever, "upgrade": upgradeAndDie, "open": openAsNobody,
	}
	if err := tasks[os.Getenv(childTask)](context.Background(), path); err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1) //nolint:forbidigo // this is the child process of the test
	}
	return true
}

// claimForever claims from 64 goroutines and tells of each claim after Claim
// returned.
func claimForever(ctx context.Context, path string) error {
	s, err := storage.Open(ctx, storage.Config{Path: path})
	if err != nil {
		return err
	}
	seeded, staged, err := storagetest.SeedStaged(ctx, s, childRows)
	if err != nil {
		return err
	}
	work := make(chan campaign.Staged)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for row := range work {
				claim, err := s.Claim(ctx, seeded.Intent(row))
				if err == nil && claim.Refused == campaign.RefusedNot {
					// One write per line: a line is there whole or not at all.
					_, _ = fmt.Fprintf(os.Stdout, "claimed %d.\n", row.Seq)
				}
			}
		})
	}
	for _, row := range staged {
		work <- row
	}
	close(work)
	all.Wait()
	return s.Close()
}
