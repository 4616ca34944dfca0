package storage_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

// wantError fails unless err has the code, names each word, and says what to
// do.
func wantError(t *testing.T, err error, code campaign.Code, words ...string) {
	t.Helper()
	if campaign.CodeOf(err) != code || len(campaign.HintsOf(err)) == 0 {
		t.Fatalf("error %v: code %q, hints %q; want code %q and a hint", err, campaign.CodeOf(err), campaign.HintsOf(err), code)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not name %q", err, word)
		}
	}
}

func TestOpenSettings(t *testing.T) {
	t.Parallel()
	// A folder whose name must not be taken for the options of a URI.
	path := filepath.Join(t.TempDir(), "données? 100%#&mode=memory", "ledger.db")
	s := openAt(t, path)
	for _, test := range []struct {
		name   string
		writer bool
		want   string
	}{
		{"journal_mode", true, "wal"},
		{"synchronous", true, "2"}, // FULL
		{"foreign_keys", true, "1"},
		{"busy_timeout", true, "5000"},
		{"wal_autocheckpoint", true, "8000"},
		{"query_only", false, "1"},
		{"journal_mode", false, "wal"},
	} {
		if got, err := s.Pragma(t.Context(), test.name, test.writer); err != nil || got != test.want {
			t.Errorf("%s (writer: %v) is %q, want %q (%v)", test.name, test.writer, got, test.want, err)
		}
	}
	for _, file := range []struct {
		path string
		want os.FileMode
	}{{filepath.Dir(path), 0o700}, {path, 0o600}, {path + "-wal", 0o600}} {
		info, err := os.Stat(file.path)
		if err != nil || info.Mode().Perm() != file.want {
			t.Errorf("%s has mode %v, want %v (%v)", file.path, info.Mode().Perm(), file.want, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	if _, err := storage.Open(t.Context(), storage.Config{}); err == nil || !strings.Contains(err.Error(), "Config.Path") {
		t.Errorf("opened without a path: %v", err)
	}
	t.Run("schema of a newer herald", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "ledger.db")
		s := openAt(t, path)
		if err := s.Exec(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)"); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := storage.Open(t.Context(), storage.Config{Path: path})
		wantError(t, err, campaign.CodeConflict, "newer herald", "99", filepath.Dir(path))
	})
	t.Run("not a database", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "ledger.db")
		if err := os.WriteFile(path, bytes.Repeat([]byte("not a ledger\n"), 1000), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := storage.Open(t.Context(), storage.Config{Path: path})
		wantError(t, err, campaign.CodeInternal, path)
	})
	t.Run("folder is a file", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := storage.Open(t.Context(), storage.Config{Path: filepath.Join(file, "ledger.db")})
		wantError(t, err, campaign.CodeUnavailable)
	})
}

// TestDamage flips bytes in the middle of a ledger that was not closed
// cleanly: opening it must notice.
func TestDamage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	s := openAt(t, path)
	storagetest.SeedDraft(t, s, 2000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	if err := s.Exec(t.Context(), "UPDATE meta SET value = 'no' WHERE key = 'closed'"); err != nil {
		t.Fatal(err)
	}
	if err := s.Exec(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(t.TempDir(), "ledger.db")
	for page := 40; page < 80; page++ {
		copy(b[page*4096:], bytes.Repeat([]byte{0xff}, 64))
	}
	if err := os.WriteFile(damaged, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = storage.Open(t.Context(), storage.Config{Path: damaged})
	wantError(t, err, campaign.CodeInternal, damaged)
	if hints := strings.Join(campaign.HintsOf(err), " "); !strings.Contains(hints, "restore a backup") || !strings.Contains(hints, "--after-restore") {
		t.Errorf("the hint does not say how to restore: %s", hints)
	}
}

func TestReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	s := openAt(t, path)
	seeded := storagetest.Seed(t, s, 10)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if err := s.BindMode(t.Context(), campaign.ModeLive); campaign.CodeOf(err) != campaign.CodeUnavailable {
		t.Errorf("a change after Close: %v", err)
	}
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
		t.Errorf("%d bytes are left in the WAL", info.Size())
	}
	again := openAt(t, path)
	totals, err := again.Totals(t.Context(), seeded.ID)
	if err != nil || totals.ByStatus[campaign.StatusPending] != 10 {
		t.Errorf("after opening again: %v %v", totals, err)
	}
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	seeded := storagetest.SeedDraft(t, s, 100)
	number, err := s.BeginImport(ctx, seeded.ID, campaign.Import{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.LimitPages(ctx, 5); err != nil {
		t.Fatal(err)
	}
	batch := storagetest.Batch(number, seeded.Sender.ID, 101, 1000, nil)
	err = s.AddRecipients(ctx, seeded.ID, batch)
	wantError(t, err, campaign.CodeUnavailable, s.Dir(), "no space")
	if strings.Contains(err.Error(), batch[0].Chat.Number()) {
		t.Error("the error names a recipient")
	}
	if err := s.BindMode(ctx, campaign.ModeSandbox); err != nil {
		t.Errorf("a change that needs no space: %v", err)
	}
	// Space is back: nothing needs a restart.
	if err := s.LimitPages(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.AddRecipients(ctx, seeded.ID, batch); err != nil {
		t.Errorf("after space was freed: %v", err)
	}
	if err := s.IntegrityCheck(ctx); err != nil {
		t.Error(err)
	}
}

// TestIntegrityCheckBites proves that the check of the books can fail.
func TestIntegrityCheckBites(t *testing.T) {
	t.Parallel()
	s := open(t)
	storagetest.Seed(t, s, 10)
	if err := s.Exec(t.Context(), "UPDATE recipients SET status = 'canceled' WHERE seq = 3"); err != nil {
		t.Fatal(err)
	}
	if err := s.IntegrityCheck(t.Context()); err == nil || !strings.Contains(err.Error(), "pending 10 kept, 9 counted") {
		t.Errorf("a row was moved behind the counters' back: %v", err)
	}
}

// TestIntegrityCheckAnswers proves that it sees rows and lists that do not say
// what was answered.
func TestIntegrityCheckAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ do, want string }{
		"a reply that its row does not have": {"DELETE FROM replies WHERE id = 'r'", "row 1 does not say what was answered"},
		"a first reply with another text":    {"UPDATE recipients SET reply = 'no' WHERE seq = 1", "row 1 does not say what was answered"},
		"a vote that nobody cast":            {"UPDATE recipients SET vote = '[\"Yes\"]' WHERE seq = 2", "voted 0 kept, 1 counted"},
		"a count that is wrong":              {"UPDATE counters SET n = 2 WHERE kind = 'answer' AND key = 'replied'", "replied 2 kept, 1 counted"},
		"an opt-out that does not hold":      {"DELETE FROM suppressions", "its latest decision and the list of opt-outs differ"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			seeded := storagetest.Seed(t, s, 2)
			at := time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC)
			_, err := s.Fold(t.Context(), []campaign.Folding{
				{Reply: &campaign.Reply{Inbound: campaign.Inbound{ID: "r", Chat: storagetest.Chat(1), Text: "yes", At: at}, Campaign: seeded.ID, Seq: 1, Tie: campaign.TieQuote}},
				{Consent: &campaign.Consent{Chat: storagetest.Chat(2), Wish: campaign.WishOut, At: at}},
			})
			check(t, err)
			check(t, s.IntegrityCheck(t.Context()))
			check(t, s.Exec(t.Context(), test.do))
			if err := s.IntegrityCheck(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the check says %v, want %q", err, test.want)
			}
		})
	}
}

// TestClock drives leases and caps by a clock that the test sets.
func TestClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	s, err := storage.Open(t.Context(), storage.Config{
		Path: filepath.Join(t.TempDir(), "ledger.db"), Clock: func() time.Time { return now }, FirstPoll: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	seeded := storagetest.Seed(t, s, 5)
	staged := stageRange(t, s, seeded, 1, 3)
	intent := func(i int) campaign.Intent {
		in := seeded.Intent(staged[i])
		in.Hourly = 1
		return in
	}
	if claim, err := s.Claim(t.Context(), intent(0)); err != nil || !claim.ClaimedAt.Equal(now) {
		t.Fatalf("claimed at %v, want %v (%v)", claim.ClaimedAt, now, err)
	}
	second, err := s.Claim(t.Context(), intent(1))
	if err != nil || second.Refused != campaign.RefusedCap {
		t.Fatalf("second claim: %q %v", second.Refused, err)
	}
	now = seeded.Lease.ExpiresAt.Add(-time.Millisecond)
	if claim, err := s.Claim(t.Context(), intent(1)); err != nil || claim.Refused != campaign.RefusedCap {
		t.Errorf("within the hour: %q %v", claim.Refused, err)
	}
	now = seeded.Lease.ExpiresAt
	if claim, err := s.Claim(t.Context(), intent(1)); err != nil || claim.Refused != campaign.RefusedLease && claim.Refused != campaign.RefusedCap {
		t.Errorf("under an expired lease: %q %v", claim.Refused, err)
	}
	now = second.CapFreeAt
	lease, ok, err := s.AcquireLease(t.Context(), seeded.Sender.ID, "seed", time.Hour)
	if err != nil || !ok {
		t.Fatalf("acquired again: %v %v", ok, err)
	}
	seeded.Lease = lease
	claim, err := s.Claim(t.Context(), intent(1))
	if err != nil || claim.Refused != campaign.RefusedNot {
		t.Fatalf("at the time the cap said it would be free: %q %v", claim.Refused, err)
	}
	if _, err := s.Settle(t.Context(), seeded.Accepted(staged[1], claim)); err != nil {
		t.Fatal(err)
	}
	ended := claim.ClaimedAt.Add(40 * time.Millisecond)
	for _, test := range []struct {
		at   time.Time
		want int
	}{{ended.Add(time.Minute - time.Millisecond), 0}, {ended.Add(time.Minute), 1}} {
		if due, err := s.DuePolls(t.Context(), test.at, 10); err != nil || len(due) != test.want {
			t.Errorf("%d rows are due at %v, want %d (%v)", len(due), test.at, test.want, err)
		}
	}
}

func TestLockDir(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	lock, err := storage.LockDir(dir, campaign.ModeLive)
	if err != nil {
		t.Fatal(err)
	}
	_, err = storage.LockDir(dir, campaign.ModeSandbox)
	wantError(t, err, campaign.CodeConflict, "pid ", "live", dir)
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := storage.LockDir(dir, campaign.ModeSandbox)
	if err != nil {
		t.Fatalf("after Unlock: %v", err)
	}
	if err := again.Unlock(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v (%v)", info.Mode(), err)
	}
	if err := again.Unlock(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("unlocked twice: %v", err)
	}
}
