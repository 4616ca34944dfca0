package storage_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

// TestDatabaseBusy lets another program hold the write lock. A claim waits for
// it, within bounds; then it fails, nothing is sent, and the next one succeeds.
func TestDatabaseBusy(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	s := openAt(t, path)
	seeded := storagetest.Seed(t, s, 2)
	rows := stageRange(t, s, seeded, 1, 2)
	other := openAt(t, filepath.Join(t.TempDir(), "other.db"))
	check(t, other.Exec(t.Context(), fmt.Sprintf("ATTACH '%s' AS busy", path)))
	lock := func() {
		check(t, other.Exec(t.Context(), "BEGIN IMMEDIATE"))
		check(t, other.Exec(t.Context(), "UPDATE busy.meta SET value = value"))
	}

	lock()
	granted := make(chan error, 1)
	go func() {
		claim, err := s.Claim(context.WithoutCancel(t.Context()), seeded.Intent(rows[0]))
		if err == nil && claim.Refused != campaign.RefusedNot {
			err = fmt.Errorf("refused: %s", claim.Refused)
		}
		granted <- err
	}()
	const held = 1500 * time.Millisecond
	select {
	case err := <-granted:
		t.Fatalf("claimed while another held the lock: %v", err)
	case <-time.After(held):
	}
	check(t, other.Exec(t.Context(), "COMMIT"))
	if err := <-granted; err != nil {
		t.Errorf("after the lock was free: %v", err)
	}

	check(t, s.Exec(t.Context(), "PRAGMA busy_timeout = 100"))
	lock()
	_, err := s.Claim(t.Context(), seeded.Intent(rows[1]))
	wantError(t, err, campaign.CodeUnavailable, "another program holds", path)
	check(t, other.Exec(t.Context(), "COMMIT"))
	if claim, err := s.Claim(t.Context(), seeded.Intent(rows[1])); err != nil || claim.Refused != campaign.RefusedNot {
		t.Errorf("after the lock was free: %q %v", claim.Refused, err)
	}
	check(t, other.Exec(t.Context(), "DETACH busy"))
}

// TestReadOnlyDirectory opens a ledger that this user may not write to, as
// nobody when the test is root's.
func TestReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("directories have no mode there")
	}
	root, err := os.MkdirTemp("", "herald-readonly-") //nolint:usetesting // t.TempDir is closed to other users
	check(t, err)
	check(t, os.Chmod(root, 0o755))
	dir := filepath.Join(root, "data")
	t.Cleanup(func() {
		check(t, os.Chmod(dir, 0o700))
		check(t, os.RemoveAll(root))
	})
	path := filepath.Join(dir, "ledger.db")
	check(t, openAt(t, path).Close())
	check(t, os.Chmod(path, 0o444))
	check(t, os.Chmod(filepath.Join(dir, "INSTANCE"), 0o444))
	check(t, os.Chmod(dir, 0o555))
	for name, target := range map[string]string{"ledger": path, "new ledger": filepath.Join(dir, "new.db"), "new directory": filepath.Join(dir, "sub", "new.db")} {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		child.Env = append(os.Environ(), childLedger+"="+target, childTask+"=open")
		out, err := child.CombinedOutput()
		if text := string(out); err != nil || !strings.Contains(text, "permission denied") || !strings.Contains(text, "code unavailable, hint choose a data_dir") {
			t.Errorf("%s: the error does not say what to do (%v):\n%s", name, err, out)
		}
	}
}

// openAsNobody opens a ledger without any rights, and prints the error.
func openAsNobody(ctx context.Context, path string) error {
	if err := dropRights(); err != nil {
		return err
	}
	s, err := storage.Open(ctx, storage.Config{Path: path})
	if err == nil {
		return fmt.Errorf("%s was opened, and closed with %w", path, s.Close())
	}
	_, err = fmt.Fprintf(os.Stdout, "%v: code %s, hint %s\n", err, campaign.CodeOf(err), strings.Join(campaign.HintsOf(err), "; "))
	return err
}
